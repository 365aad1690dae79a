/*
 * incarnation.c
 *		Which life of its data this database is, so that transaction ids and
 *		versions of another one are never compared with its own.
 *
 * A row of storesync.incarnation holds the system identifier and database OID
 * that a number was given for. They travel with a dump, a template copy or an
 * upgrade, and there they are another database's: the first who asks starts
 * the next incarnation, with reason 'copy'. A recovery from a backup leaves
 * the pair as it was; then the number of the recovery (recovery.c) is in no
 * row, and the next incarnation has reason 'recovery'. A standby that is
 * promoted writes on another timeline than the one on which the incarnation
 * began, and what its primary did last may not have reached it: reason
 * 'promotion'. A standby that stays one says nothing, whatever it follows.
 *
 * The number of the next one is at least the timeline's: a second recovery to
 * the same point gets a higher one than the first, which is lost with the rows
 * written since.
 *
 * What a promoted standby holds is all of the life before, as of a moment:
 * versions and acknowledgements fit each other. So it is told, too, in which
 * incarnation the data began its life here: since then there were promotions
 * alone (incarnation_origin).
 *
 * None of this can change under a running backend once recovery is over, so it
 * is kept for the backend's life; but never from a row of the present
 * transaction, which may yet roll back, and on a standby for a transaction.
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
#include "recovery.h"

/* How often to look again after another session started the incarnation we tried to start. */
#define MAX_LOOKS	3

PG_FUNCTION_INFO_V1(current_incarnation);
PG_FUNCTION_INFO_V1(database_identity);

/* The newest row of storesync.incarnation. */
typedef struct Life
{
	int			number;			/* 0: there is none */
	int			origin;			/* of the newest that no promotion began */
	bool		here;			/* of this very cluster and database */
	bool		kept;			/* and the data did not come out of a backup since */
	bool		ours;			/* and no standby was promoted since */
} Life;

static Life known;				/* number 0: not looked up yet */
static Oid	known_table;		/* of this table: DROP EXTENSION makes another one */
static bool known_blindly;		/* the table could not tell of recoveries: its upgrade begins another life */
static LocalTransactionId known_in = InvalidLocalTransactionId; /* in this transaction alone */
static LocalTransactionId started_in = InvalidLocalTransactionId;	/* where we inserted a row */

static Oid
incarnation_table(void)
{
	return get_relname_relid("incarnation", get_namespace_oid("storesync", false));
}

/*
 * knows_recoveries: the tables of 1.0 do not, nor do they know of timelines.
 * Of a recovery another life begins, and sending goes on, once they are
 * upgraded; of promotions before that nothing is known.
 */
static bool
knows_recoveries(void)
{
	return get_attnum(incarnation_table(), "recovery") != InvalidAttrNumber;
}

bool
incarnation_unconfirmable(void)
{
	return recovery_id() != 0 && !knows_recoveries();
}

/* is_known says whether `known` still holds. */
static bool
is_known(Oid table)
{
	return known.number != 0 && known_table == table && !(known_blindly && knows_recoveries()) &&
		(known_in == InvalidLocalTransactionId || known_in == SsMyLocalTransactionId());
}

/* newest_life reads what there is; timeline is the one that is written, 0 on a standby. */
static Life
newest_life(int timeline)
{
	static SPIPlanPtr plan = NULL;
	static SPIPlanPtr plan_old = NULL;
	const Oid	types[] = {INT8OID, INT4OID};
	Datum		values[] = {Int64GetDatum(recovery_id()), Int32GetDatum(timeline)};
	Life		life = {0};
	bool		is_null;
	HeapTuple	tuple;
	TupleDesc	desc;

	if (knows_recoveries())
		ss_execute(&plan,
				   "SELECT n.incarnation, n.system_identifier, n.database_oid, "
				   "$1 = 0 OR EXISTS (SELECT FROM storesync.incarnation r WHERE r.recovery = $1), "
				   "$2 = 0 OR n.timeline = $2, "
				   "coalesce((SELECT max(o.incarnation) FROM storesync.incarnation o WHERE o.reason <> 'promotion'), n.incarnation) "
				   "FROM storesync.incarnation n ORDER BY n.incarnation DESC LIMIT 1",
				   SPI_OK_SELECT, 2, types, values, NULL, 1);
	else
		ss_execute(&plan_old,
				   "SELECT incarnation, system_identifier, database_oid, true, true, incarnation "
				   "FROM storesync.incarnation ORDER BY incarnation DESC LIMIT 1",
				   SPI_OK_SELECT, 0, NULL, NULL, NULL, 1);
	if (SPI_processed == 0)
		return life;
	tuple = SPI_tuptable->vals[0];
	desc = SPI_tuptable->tupdesc;
	life.number = DatumGetInt32(SPI_getbinval(tuple, desc, 1, &is_null));
	life.here = DatumGetInt64(SPI_getbinval(tuple, desc, 2, &is_null)) == (int64) GetSystemIdentifier() &&
		DatumGetObjectId(SPI_getbinval(tuple, desc, 3, &is_null)) == MyDatabaseId;
	life.kept = life.here && DatumGetBool(SPI_getbinval(tuple, desc, 4, &is_null));
	life.ours = life.kept && DatumGetBool(SPI_getbinval(tuple, desc, 5, &is_null));
	life.origin = DatumGetInt32(SPI_getbinval(tuple, desc, 6, &is_null));
	return life;
}

/* next_number of a life: see above. */
static int
next_number(const Life *newest, int timeline)
{
	return newest->here && timeline > newest->number && timeline <= PG_INT16_MAX ? timeline : newest->number + 1;
}

/* reason_of the life that follows. */
static const char *
reason_of(const Life *newest)
{
	if (newest->number == 0)
		return "new";
	if (!newest->here)
		return "copy";
	return newest->kept ? "promotion" : "recovery";
}

/* start_life inserts the row of a new incarnation, unless another session just did. */
static void
start_life(const Life *newest, int timeline)
{
	static SPIPlanPtr plan = NULL;
	static SPIPlanPtr plan_old = NULL;
	const Oid	types[] = {INT4OID, INT8OID, OIDOID, TEXTOID, INT8OID, INT4OID};
	Datum		values[6];

	PreventCommandIfReadOnly("starting an incarnation of storesync");
	values[0] = Int32GetDatum(next_number(newest, timeline));
	values[1] = Int64GetDatum((int64) GetSystemIdentifier());
	values[2] = ObjectIdGetDatum(MyDatabaseId);
	values[3] = CStringGetTextDatum(reason_of(newest));
	values[4] = Int64GetDatum(recovery_id());
	values[5] = Int32GetDatum(timeline);
	if (knows_recoveries())
		ss_execute(&plan,
				   "INSERT INTO storesync.incarnation "
				   "(incarnation, system_identifier, database_oid, reason, recovery, timeline) "
				   "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
				   SPI_OK_INSERT, 6, types, values, NULL, 0);
	else
		ss_execute(&plan_old,
				   "INSERT INTO storesync.incarnation (incarnation, system_identifier, database_oid, reason) "
				   "VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
				   SPI_OK_INSERT, 4, types, values, NULL, 0);
	if (SPI_processed > 0)
		started_in = SsMyLocalTransactionId();
}

/* find_life returns the present life, and starts it where none is. */
static Life
find_life(void)
{
	Oid			table = incarnation_table();
	bool		standby;
	int			timeline;

	if (is_known(table))
		return known;
	standby = RecoveryInProgress();
	timeline = standby ? 0 : (int) SsTimeline();
	for (int look = 0; look < MAX_LOOKS; look++)
	{
		Life		life = newest_life(timeline);

		if (life.ours)
		{
			if (started_in != SsMyLocalTransactionId())
			{
				known = life;
				known_table = table;
				known_blindly = incarnation_unconfirmable();
				known_in = standby ? SsMyLocalTransactionId() : InvalidLocalTransactionId;
			}
			return life;
		}
		/* looking is allowed where nothing can be written: the number of the life that is to begin */
		if (standby)
		{
			life.origin = ++life.number;
			return life;
		}
		start_life(&life, timeline);
	}
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("another session is starting an incarnation of storesync"),
			 errhint("Run the transaction again.")));
}

int
incarnation_current(void)
{
	return find_life().number;
}

int
incarnation_origin(void)
{
	return find_life().origin;
}

/* current_incarnation() returns int: the default of outbox.incarnation, so cheap once known. */
Datum
current_incarnation(PG_FUNCTION_ARGS)
{
	SsSession	session;
	int			number;

	if (is_known(incarnation_table()))
		PG_RETURN_INT32(known.number);
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
