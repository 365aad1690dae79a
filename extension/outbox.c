/*
 * outbox.c
 *		Rows of the outbox: written in the transaction that made the change,
 *		never updated, and announced to the dispatcher when it commits.
 *
 * A row says that something changed, not to what: a quantity is computed when
 * the call is built. Rows need no lock of ours; readers cut them by snapshots
 * (docs/outbox.md), so their order means nothing.
 */
#include "storesync.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/xid8.h"

#include "outbox.h"
#include "partition.h"
#include "rows.h"
#include "shmem.h"

PG_FUNCTION_INFO_V1(outbox_add);
PG_FUNCTION_INFO_V1(outbox_wake);

/* In the order of OutboxKind and of the type storesync.outbox_kind. */
static const char *const kind_names[] = {"stock", "listing", "store", "platform", "order", "task", "sale"};

#define KINDS	((int) lengthof(kind_names))

/* Columns of the outbox in the order of outbox_append. */
enum
{
	X_XID, X_AT, X_SUBJECT, X_VERSION, X_KIND, X_INCARNATION, X_SALE, X_COLUMNS
};

/* append writes rows of one kind; `sale` goes with the last of them. */
static void
append(OutboxKind kind, int n, const int64 *subjects, const int64 *versions, const bytea *sale)
{
	static RowsTable table = {
		.name = {"outbox"}, .columns = "xid, at, subject, version, kind, incarnation",
		.wake_trigger = "outbox_wake", .wake = wake_at_commit
	};
	static RowsTable table_with_sale = {
		.name = {"outbox"}, .columns = "xid, at, subject, version, kind, incarnation, sale",
		.wake_trigger = "outbox_wake", .wake = wake_at_commit
	};
	static const Oid types[X_COLUMNS] = {XID8OID, TIMESTAMPTZOID, INT8OID, INT8OID, TEXTOID, INT2OID, BYTEAOID};
	TimestampTz at = GetCurrentTimestamp();
	Datum		kind_name;
	Datum		xid;
	int16		incarnation;
	SsSet	   *set;

	Assert(kind >= 0 && (int) kind < KINDS);
	if (n <= 0)
		return;
	partition_ensure("outbox", at);
	kind_name = CStringGetTextDatum(kind_names[kind]);
	xid = FullTransactionIdGetDatum(GetTopFullTransactionId());
	incarnation = (int16) incarnation_current();
	set = set_create(sale != NULL ? X_COLUMNS : X_SALE, types, n);
	for (int i = 0; i < n; i++)
	{
		set_add_row(set);
		set_put(set, X_XID, xid);
		set_put(set, X_AT, TimestampTzGetDatum(at));
		set_put(set, X_SUBJECT, Int64GetDatum(subjects[i]));
		if (versions[i] != 0)
			set_put(set, X_VERSION, Int64GetDatum(versions[i]));
		set_put(set, X_KIND, kind_name);
		set_put(set, X_INCARNATION, Int16GetDatum(incarnation));
	}
	if (sale != NULL)
		set_put_pointer(set, X_SALE, sale);
	rows_insert(sale != NULL ? &table_with_sale : &table, set);
}

void
outbox_append(OutboxKind kind, int n, const int64 *subjects, const int64 *versions)
{
	append(kind, n, subjects, versions, NULL);
}

void
outbox_append_sale(int n, const int64 *subjects, const int64 *versions, const bytea *sale)
{
	static const int64 none = 0;

	if (n == 0 && sale != NULL)
		append(OUTBOX_SALE, 1, &none, &none, sale);
	else
		append(OUTBOX_STOCK, n, subjects, versions, sale);
}

/* parse_kind turns the text of an outbox_kind into OutboxKind; tasks are enqueued, not added. */
static OutboxKind
parse_kind(const char *name)
{
	for (int i = 0; i < OUTBOX_TASK; i++)
		if (strcmp(name, kind_names[i]) == 0)
			return (OutboxKind) i;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown kind of outbox row: \"%s\"", name),
			 errhint("Kinds are stock, listing, store, platform and order; tasks are made by enqueue().")));
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
