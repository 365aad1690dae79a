/*
 * partition.c
 *		Partitions of the tables that storesync.partitioned describes: looked
 *		up before each write, made when missing, and ahead of time by
 *		ensure_partitions().
 *
 * No partition is made inside CREATE EXTENSION, which would make it a member
 * and keep its rows out of every dump.
 *
 * Locking: whoever makes partitions first takes ShareUpdateExclusiveLock on
 * storesync.partitioned and keeps it to the end of the transaction. It is one
 * lock for all parents, so that two sessions that miss several partitions
 * cannot wait for each other, and it is taken before any row is locked:
 * partition_ensure() therefore looks for the outbox's partitions too, which a
 * call needs only after its stock is locked. But for the row that begins a
 * life of the data: whoever begins one keeps others waiting until he commits,
 * and may miss a partition before that, so they wait for him without the lock.
 *
 * What exists is read from the parent's partition descriptor: the relcache
 * keeps it, and its invalidations tell of every attach, detach and drop, also
 * of those that were rolled back. The stretch of time that was found last is
 * remembered until the next of them (rows_epoch).
 */
#include "storesync.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/partcache.h"
#include "utils/rel.h"

#include "key.h"
#include "outbox.h"
#include "partition.h"
#include "partition_make.h"
#include "rows.h"

/* Longest look ahead of ensure_partitions(): a typing error makes no partitions for the year 9999. */
#define MAX_AHEAD		(366 * USECS_PER_DAY)
/* How far ahead a call wants the outbox to be ready: longer than it may run. */
#define OUTBOX_AHEAD	USECS_PER_HOUR

PG_FUNCTION_INFO_V1(ensure_partitions);
PG_FUNCTION_INFO_V1(missing_partitions);

Oid
partition_relation(const char *name)
{
	Oid			relation = get_relname_relid(name, get_namespace_oid("storesync", false));

	if (!OidIsValid(relation))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation \"storesync.%s\" does not exist", name)));
	return relation;
}

/*
 * partition_holds says whether one of the parent's partitions holds the
 * moment `at`, and from when to when it does where the key column is a time.
 * Those being detached do not count.
 */
static bool
partition_holds(Relation parent, TimestampTz at, TimestampTz *from, TimestampTz *to)
{
	PartitionKey key = RelationGetPartitionKey(parent);
	PartitionDesc partitions = RelationGetPartitionDesc(parent, true);
	PartitionBoundInfo bounds = partitions->boundinfo;
	IdempotencyKey bound;
	Datum		value;
	bool		is_equal;
	int			offset;

	*from = *to = at;
	if (partitions->nparts == 0)
		return false;
	if (key->parttypid[0] == TIMESTAMPTZOID)
		value = TimestampTzGetDatum(at);
	else
	{
		key_floor(&bound, at);
		value = IdempotencyKeyPGetDatum(&bound);
	}
	offset = partition_range_datum_bsearch(key->partsupfunc, key->partcollation, bounds, 1, &value, &is_equal);
	if (bounds->indexes[offset + 1] < 0)
		return false;
	if (key->parttypid[0] == TIMESTAMPTZOID && bounds->kind[offset][0] == PARTITION_RANGE_DATUM_VALUE &&
		bounds->kind[offset + 1][0] == PARTITION_RANGE_DATUM_VALUE)
	{
		*from = DatumGetTimestampTz(bounds->datums[offset][0]);
		*to = DatumGetTimestampTz(bounds->datums[offset + 1][0]);
	}
	return true;
}

/* A stretch of time for which a parent was last found to have a partition. */
typedef struct FoundRange
{
	const char *parent;
	uint64		epoch;			/* rows_epoch(), which rises with every change of the parent */
	TimestampTz from;
	TimestampTz to;				/* not included */
} FoundRange;

/* range_of returns what is remembered of a parent, or the place for it; NULL: no room. */
static FoundRange *
range_of(const char *parent)
{
	static FoundRange ranges[8];

	for (int i = 0; i < (int) lengthof(ranges); i++)
	{
		if (ranges[i].parent == NULL)
			ranges[i].parent = MemoryContextStrdup(TopMemoryContext, parent);
		if (strcmp(ranges[i].parent, parent) == 0)
			return &ranges[i];
	}
	return NULL;
}

static bool
partition_exists(const char *name, TimestampTz at)
{
	FoundRange *range = range_of(name);
	Relation	parent;
	TimestampTz from;
	TimestampTz to;
	bool		exists;

	if (range != NULL && range->epoch == rows_epoch() && at >= range->from && at < range->to)
		return true;
	parent = table_open(partition_relation(name), AccessShareLock);
	rows_track(RelationGetRelid(parent));
	if (range != NULL)
		range->epoch = rows_epoch();
	exists = partition_holds(parent, at, &from, &to);
	if (range != NULL)
	{
		range->from = from;
		range->to = exists ? to : from;
	}
	table_close(parent, AccessShareLock);
	return exists;
}

/* outbox_ready says whether rows that this call will write to the outbox have a place. */
static bool
outbox_ready(TimestampTz now)
{
	return partition_exists("outbox", now) && partition_exists("outbox", now + OUTBOX_AHEAD);
}

/*
 * step_bounds gives the first day of the partition that holds `at`, and that
 * of the next one, as Julian days in UTC. Weeks begin on Monday, as ISO's do.
 */
static void
step_bounds(PartitionStep step, TimestampTz at, int *from, int *to)
{
	int64		days = at / USECS_PER_DAY - (at % USECS_PER_DAY < 0 ? 1 : 0);
	int			julian = (int) (days + POSTGRES_EPOCH_JDATE);
	int			year,
				month,
				day;

	*from = julian;
	*to = julian + 1;
	if (step == STEP_WEEK)
	{
		*from = julian - (j2day(julian) + 6) % 7;
		*to = *from + 7;
	}
	else if (step == STEP_MONTH)
	{
		j2date(julian, &year, &month, &day);
		*from = date2j(year, month, 1);
		*to = month == 12 ? date2j(year + 1, 1, 1) : date2j(year, month + 1, 1);
	}
}

static PartitionStep
parse_step(const char *step)
{
	if (strcmp(step, "day") == 0)
		return STEP_DAY;
	if (strcmp(step, "week") == 0)
		return STEP_WEEK;
	return STEP_MONTH;
}

/* load_shapes reads storesync.partitioned: all of it, or the row of one parent. */
static PartitionShape *
load_shapes(const char *only, int *count)
{
	Oid			types[] = {TEXTOID};
	Datum		values[1];
	PartitionShape *shapes;

	values[0] = only ? CStringGetTextDatum(only) : (Datum) 0;
	if (SPI_execute_with_args("SELECT parent, step, options, append_only, indexes "
							  "FROM storesync.partitioned WHERE parent = $1 OR $1 IS NULL ORDER BY parent",
							  1, types, values, only ? " " : "n", true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read storesync.partitioned");
	*count = (int) SPI_processed;
	shapes = palloc(sizeof(PartitionShape) * Max(*count, 1));
	for (int i = 0; i < *count; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		PartitionShape *shape = &shapes[i];
		bool		is_null;
		Datum	   *elements;

		shape->parent = SPI_getvalue(tuple, desc, 1);
		shape->step = parse_step(SPI_getvalue(tuple, desc, 2));
		shape->options = SPI_getvalue(tuple, desc, 3);
		shape->append_only = DatumGetBool(SPI_getbinval(tuple, desc, 4, &is_null));
		deconstruct_array(DatumGetArrayTypePCopy(SPI_getbinval(tuple, desc, 5, &is_null)),
						  TEXTOID, -1, false, TYPALIGN_INT, &elements, NULL, &shape->n_indexes);
		shape->indexes = palloc(sizeof(char *) * Max(shape->n_indexes, 1));
		for (int n = 0; n < shape->n_indexes; n++)
			shape->indexes[n] = TextDatumGetCString(elements[n]);
	}
	return shapes;
}

static void
refuse_in_script(void)
{
	if (creating_extension)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot make partitions inside CREATE EXTENSION or ALTER EXTENSION"),
				 errdetail("They would become members, and no dump would contain their rows.")));
}

/* lock_for_making takes the one lock of everybody who makes partitions, until the transaction ends. */
static void
lock_for_making(void)
{
	refuse_in_script();
	(void) incarnation_current();
	LockRelationOid(partition_relation("partitioned"), ShareUpdateExclusiveLock);
}

/*
 * count_missing counts the partitions that one parent lacks from `at` through
 * `until`, and makes them if asked to.
 */
static int
count_missing(const PartitionShape *shape, TimestampTz at, TimestampTz until, bool make)
{
	int			missing = 0;

	while (at <= until)
	{
		int			from,
					to;

		CHECK_FOR_INTERRUPTS();
		step_bounds(shape->step, at, &from, &to);
		if (!partition_exists(shape->parent, at))
		{
			if (make)
				partition_make(shape, from, to);
			missing++;
		}
		at = partition_day(to);
	}
	return missing;
}

static void
make_missing(const char *parent, TimestampTz at, TimestampTz until)
{
	int			count;
	PartitionShape *shape;

	shape = load_shapes(parent, &count);
	if (count != 1)
		elog(ERROR, "storesync.partitioned does not describe \"%s\"", parent);
	(void) count_missing(shape, at, until, true);
}

void
partition_ensure(const char *parent, TimestampTz at)
{
	TimestampTz now = GetCurrentTimestamp();
	SsPin		pin;

	if (partition_exists(parent, at) && outbox_ready(now))
		return;
	ss_pin(&pin);
	if (TIMESTAMP_NOT_FINITE(at))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("no partition of \"%s\" can hold an infinite time", parent)));
	ss_check_not_ahead("time", at);
	lock_for_making();
	make_missing("outbox", now, now + OUTBOX_AHEAD);
	make_missing(parent, at, at);
	ss_unpin(&pin);
}

/* look_ahead counts what all parents lack from now through `until`, and makes it if asked to. */
static int
look_ahead(TimestampTz until, bool make)
{
	TimestampTz from = Min(GetCurrentTimestamp(), until);
	PartitionShape *shapes;
	int			count;
	int			missing = 0;

	shapes = load_shapes(NULL, &count);
	for (int i = 0; i < count; i++)
		missing += count_missing(&shapes[i], from, until, make);
	return missing;
}

bool
partition_ensure_ahead(TimestampTz until)
{
	refuse_in_script();
	if (!ConditionalLockRelationOid(partition_relation("partitioned"), ShareUpdateExclusiveLock))
		return false;
	(void) look_ahead(until, true);
	return true;
}

/* until_arg turns the argument `ahead` into a moment, within its limits. */
static TimestampTz
until_arg(Datum ahead)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz until = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
																TimestampTzGetDatum(now), ahead));

	if (until < now || until > now + MAX_AHEAD)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("partitions can be made from now to 366 days ahead")));
	return until;
}

/* ensure_partitions(ahead interval) returns int: partitions made, for all parents. */
Datum
ensure_partitions(PG_FUNCTION_ARGS)
{
	TimestampTz until = until_arg(PG_GETARG_DATUM(0));
	SsSession	session;
	int			made;

	ss_enter(&session, "storesync.ensure_partitions()", true);
	lock_for_making();
	made = look_ahead(until, true);
	ss_leave(&session);
	PG_RETURN_INT32(made);
}

/* missing_partitions(ahead interval) returns int: how many ensure_partitions() would make. */
Datum
missing_partitions(PG_FUNCTION_ARGS)
{
	TimestampTz until = until_arg(PG_GETARG_DATUM(0));
	SsSession	session;
	int			missing;

	ss_enter(&session, "storesync.missing_partitions()", false);
	missing = look_ahead(until, false);
	ss_leave(&session);
	PG_RETURN_INT32(missing);
}
