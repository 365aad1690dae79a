/*
 * outbox.c
 *		Rows of the outbox: written in the transaction that made the change,
 *		never updated, and announced to the dispatcher when it commits.
 *
 * A row says that something changed, not to what: a quantity is computed when
 * the call is built. Rows need no lock of ours; readers cut them by snapshots
 * (docs/outbox.md), so the order of ids means nothing.
 */
#include "storesync.h"

#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "outbox.h"
#include "partition.h"
#include "shmem.h"

PG_FUNCTION_INFO_V1(outbox_add);
PG_FUNCTION_INFO_V1(outbox_wake);

/* In the order of OutboxKind and of the type storesync.outbox_kind. */
static const char *const kind_names[] = {"stock", "listing", "store", "platform", "order", "task"};

#define KINDS	((int) lengthof(kind_names))

/* append_one writes a single row: what a movement of stock needs, without arrays. */
static void
append_one(OutboxKind kind, int64 subject, int64 version, TimestampTz at)
{
	static SPIPlanPtr plans[lengthof(kind_names)];
	static char *statements[lengthof(kind_names)];
	const Oid	types[] = {INT8OID, INT8OID, TIMESTAMPTZOID, INT4OID};
	Datum		values[4];

	if (statements[kind] == NULL)
		statements[kind] = MemoryContextStrdup(TopMemoryContext,
											   psprintf("INSERT INTO storesync.outbox (xid, at, subject, version, incarnation, kind) "
														"VALUES (pg_current_xact_id(), $3, $1, $2, $4, '%s')",
														kind_names[kind]));
	values[0] = Int64GetDatum(subject);
	values[1] = Int64GetDatum(version);
	values[2] = TimestampTzGetDatum(at);
	values[3] = Int32GetDatum(incarnation_current());
	ss_execute(&plans[kind], statements[kind], SPI_OK_INSERT, 4, types, values,
			   version == 0 ? " n  " : NULL, 0);
}

static Datum
int64_array(int n, const int64 *numbers)
{
	Datum	   *elements = palloc(sizeof(Datum) * n);

	for (int i = 0; i < n; i++)
		elements[i] = Int64GetDatum(numbers[i]);
	return PointerGetDatum(construct_array(elements, n, INT8OID, sizeof(int64),
										   FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/* append_many writes n rows by one statement. */
static void
append_many(OutboxKind kind, int n, const int64 *subjects, const int64 *versions, TimestampTz at)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8ARRAYOID, INT8ARRAYOID, TIMESTAMPTZOID, INT4OID, TEXTOID};
	Datum		values[5];

	values[0] = int64_array(n, subjects);
	values[1] = int64_array(n, versions);
	values[2] = TimestampTzGetDatum(at);
	values[3] = Int32GetDatum(incarnation_current());
	values[4] = CStringGetTextDatum(kind_names[kind]);
	ss_execute(&plan,
			   "INSERT INTO storesync.outbox (xid, at, subject, version, incarnation, kind) "
			   "SELECT pg_current_xact_id(), $3, u.subject, nullif(u.version, 0), $4, $5::storesync.outbox_kind "
			   "FROM unnest($1, $2) AS u (subject, version)",
			   SPI_OK_INSERT, 5, types, values, NULL, 0);
}

void
outbox_append(OutboxKind kind, int n, const int64 *subjects, const int64 *versions)
{
	TimestampTz at = GetCurrentTimestamp();

	Assert(kind >= 0 && (int) kind < KINDS);
	if (n <= 0)
		return;
	partition_ensure("outbox", at);
	if (n == 1)
		append_one(kind, subjects[0], versions[0], at);
	else
		append_many(kind, n, subjects, versions, at);
}

/* parse_kind turns the text of an outbox_kind into OutboxKind. */
static OutboxKind
parse_kind(const char *name)
{
	for (int i = 0; i < KINDS; i++)
		if (strcmp(name, kind_names[i]) == 0)
			return (OutboxKind) i;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown kind of outbox row: \"%s\"", name)));
}

/* outbox_add(kind text, subjects bigint[]): rows without a version, for triggers and functions in SQL. */
Datum
outbox_add(PG_FUNCTION_ARGS)
{
	OutboxKind	kind = parse_kind(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	SsSession	session;
	Datum	   *elements;
	bool	   *nulls;
	int64	   *subjects;
	int64	   *versions;
	int			n;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), INT8OID, sizeof(int64), FLOAT8PASSBYVAL,
					  TYPALIGN_DOUBLE, &elements, &nulls, &n);
	subjects = palloc(sizeof(int64) * Max(n, 1));
	versions = palloc0(sizeof(int64) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("subject of an outbox row cannot be null")));
		subjects[i] = DatumGetInt64(elements[i]);
	}
	ss_enter(&session, "storesync.outbox_add()", true);
	outbox_append(kind, n, subjects, versions);
	ss_leave(&session);
	PG_RETURN_VOID();
}

/* outbox_wake(): statement trigger of the outbox; its readers are woken when this transaction commits. */
Datum
outbox_wake(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" can only be called as a trigger", "outbox_wake")));
	wake_at_commit();
	return PointerGetDatum(NULL);
}
