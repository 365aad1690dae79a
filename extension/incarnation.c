/*
 * incarnation.c
 *		Which life of its data this database is, so that transaction ids and
 *		versions of another one are never compared with its own.
 *
 * A row of storesync.incarnation holds the system identifier and database OID
 * that a number was given for. They travel with a dump, a template copy or an
 * upgrade, and there they are another database's: the first who asks starts
 * the next incarnation, with reason 'copy'.
 *
 * The pair cannot change under a running backend, so the number is kept for
 * the backend's life; but never from a row of the present transaction, which
 * may yet roll back.
 */
#include "storesync.h"

#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "outbox.h"

/* How often to look again after another session started the incarnation we tried to start. */
#define MAX_LOOKS	3

PG_FUNCTION_INFO_V1(current_incarnation);
PG_FUNCTION_INFO_V1(database_identity);

/* The newest row of storesync.incarnation. */
typedef struct Life
{
	int			number;			/* 0: there is none */
	bool		ours;
} Life;

static int	known;				/* 0: not looked up yet */
static Oid	known_table;		/* of this table: DROP EXTENSION makes another one */
static LocalTransactionId started_in = InvalidLocalTransactionId;	/* where we inserted a row */

static Oid
incarnation_table(void)
{
	return get_relname_relid("incarnation", get_namespace_oid("storesync", false));
}

static Life
newest_life(void)
{
	static SPIPlanPtr plan = NULL;
	Life		life = {0, false};
	bool		is_null;
	HeapTuple	tuple;
	TupleDesc	desc;

	ss_execute(&plan,
			   "SELECT incarnation, system_identifier, database_oid FROM storesync.incarnation "
			   "ORDER BY incarnation DESC LIMIT 1",
			   SPI_OK_SELECT, 0, NULL, NULL, NULL, 1);
	if (SPI_processed == 0)
		return life;
	tuple = SPI_tuptable->vals[0];
	desc = SPI_tuptable->tupdesc;
	life.number = DatumGetInt32(SPI_getbinval(tuple, desc, 1, &is_null));
	life.ours = DatumGetInt64(SPI_getbinval(tuple, desc, 2, &is_null)) == (int64) GetSystemIdentifier() &&
		DatumGetObjectId(SPI_getbinval(tuple, desc, 3, &is_null)) == MyDatabaseId;
	return life;
}

/* start_life inserts the row of a new incarnation, unless another session just did. */
static void
start_life(int number)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT4OID, INT8OID, OIDOID, TEXTOID};
	Datum		values[4];

	PreventCommandIfReadOnly("starting an incarnation of storesync");
	PreventCommandDuringRecovery("starting an incarnation of storesync");
	values[0] = Int32GetDatum(number);
	values[1] = Int64GetDatum((int64) GetSystemIdentifier());
	values[2] = ObjectIdGetDatum(MyDatabaseId);
	values[3] = CStringGetTextDatum(number == 1 ? "new" : "copy");
	ss_execute(&plan,
			   "INSERT INTO storesync.incarnation (incarnation, system_identifier, database_oid, reason) "
			   "VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
			   SPI_OK_INSERT, 4, types, values, NULL, 0);
	if (SPI_processed > 0)
		started_in = SsMyLocalTransactionId();
}

int
incarnation_current(void)
{
	Oid			table = incarnation_table();

	if (known != 0 && known_table == table)
		return known;
	for (int look = 0; look < MAX_LOOKS; look++)
	{
		Life		life = newest_life();

		if (life.ours)
		{
			if (started_in != SsMyLocalTransactionId())
			{
				known = life.number;
				known_table = table;
			}
			return life.number;
		}
		start_life(life.number + 1);
	}
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("another session is starting an incarnation of storesync"),
			 errhint("Run the transaction again.")));
}

/* current_incarnation() returns int: the default of outbox.incarnation, so cheap once known. */
Datum
current_incarnation(PG_FUNCTION_ARGS)
{
	SsSession	session;
	int			number;

	if (known != 0 && known_table == incarnation_table())
		PG_RETURN_INT32(known);
	ss_enter(&session, "storesync.current_incarnation()", false);
	number = incarnation_current();
	ss_leave(&session);
	PG_RETURN_INT32(number);
}

/*
 * database_identity(OUT system_identifier bigint, OUT database_oid oid, OUT
 * instance_name text): ours. The name comes from here and not from
 * current_setting(), which a session may forge until the library is loaded.
 */
Datum
database_identity(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Datum		values[3];
	bool		nulls[3] = {false, false, false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = Int64GetDatum((int64) GetSystemIdentifier());
	values[1] = ObjectIdGetDatum(MyDatabaseId);
	values[2] = CStringGetTextDatum(ss_instance_name ? ss_instance_name : "");
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
