/*
 * stock.c
 *		The one place that touches stock_lock and ledger: locking places,
 *		reading balances, appending ledger rows (stock.h has the lock order).
 *
 * A lock row is never updated, so a held snapshot leaves nothing dead in
 * front of it; the balance is the newest ledger row, read with a snapshot
 * taken after the lock was granted. Under REPEATABLE READ and SERIALIZABLE
 * the lock alone would not notice that the balance moved since the
 * transaction's snapshot: load_places compares and raises 40001.
 */
#include "storesync.h"

#include "access/xact.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "partition.h"
#include "set.h"
#include "stock.h"

/* A lock wait may reach into the next month: its partition is made this early. */
#define PARTITION_LEAD_US	USECS_PER_HOUR

/* In the order of MovementKind. */
static const char *const kind_names[] = {
	"receive", "reserve", "release", "ship", "restock", "adjust", "transfer"
};

/*
 * A place's newest row leads the index backwards: one probe of each
 * partition, whatever the number of rows.
 */
static const char *const load_sql =
"SELECT u.ord, s.allow_backorder, c.sellable, c.priority, c.code = 'main', "
"       g.on_hand, g.reserved, g.version, g.recorded_at "
"FROM unnest($1, $2) WITH ORDINALITY AS u (sku_id, location_id, ord) "
"JOIN storesync.sku s ON s.sku_id = u.sku_id "
"JOIN storesync.location c ON c.location_id = u.location_id "
"LEFT JOIN LATERAL (SELECT l.on_hand, l.reserved, l.version, l.recorded_at FROM storesync.ledger l "
"                   WHERE l.sku_id = u.sku_id AND l.location_id = u.location_id "
"                   ORDER BY l.version DESC LIMIT 1) g ON true";

void
stock_prepare(void)
{
	TimestampTz now = GetCurrentTimestamp();

	partition_ensure("ledger", now);
	partition_ensure("ledger", now + PARTITION_LEAD_US);
}

Oid
stock_key_type(void)
{
	Oid			schema = GetSysCacheOid1(NAMESPACENAME, Anum_pg_namespace_oid, CStringGetDatum("storesync"));
	Oid			type = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid,
									   CStringGetDatum("idempotency_key"), ObjectIdGetDatum(schema));

	if (!OidIsValid(type))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("type \"storesync.idempotency_key\" does not exist")));
	return type;
}

/* column_int64 reads a bigint of a result row, `missing` for NULL. */
static int64
column_int64(HeapTuple tuple, int column, int64 missing)
{
	bool		isnull;
	Datum		value = SPI_getbinval(tuple, SPI_tuptable->tupdesc, column, &isnull);

	return isnull ? missing : DatumGetInt64(value);
}

static void
read_place(HeapTuple tuple, StockPlace *place)
{
	TupleDesc	desc = SPI_tuptable->tupdesc;
	bool		isnull;

	place->allow_backorder = DatumGetBool(SPI_getbinval(tuple, desc, 2, &isnull));
	place->sellable = DatumGetBool(SPI_getbinval(tuple, desc, 3, &isnull));
	place->priority = DatumGetInt32(SPI_getbinval(tuple, desc, 4, &isnull));
	place->preferred = DatumGetBool(SPI_getbinval(tuple, desc, 5, &isnull));
	place->on_hand = column_int64(tuple, 6, 0);
	place->reserved = column_int64(tuple, 7, 0);
	place->version = column_int64(tuple, 8, 0);
	place->recorded_at = column_int64(tuple, 9, DT_NOBEGIN);
}

/*
 * check_unmoved raises 40001 when a place has a newer row than the
 * transaction's snapshot shows. `plan` is the load statement, already run
 * under that snapshot; the latest one shows what the lock now protects.
 */
static void
check_unmoved(SPIPlanPtr plan, Datum *values, const StockPlace *places)
{
	if (SPI_execute_snapshot(plan, values, NULL, GetLatestSnapshot(), InvalidSnapshot,
							 true, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the ledger");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		int64		ord = column_int64(tuple, 1, 0);

		if (column_int64(tuple, 8, 0) != places[ord - 1].version)
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("could not serialize access due to concurrent movement of stock")));
	}
}

/* load_places reads the balances of locked places. */
static void
load_places(int n, StockPlace *places)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8ARRAYOID, INT4ARRAYOID};
	int64	   *sku_ids = palloc(sizeof(int64) * n);
	int32	   *location_ids = palloc(sizeof(int32) * n);
	Datum		values[2];

	for (int i = 0; i < n; i++)
	{
		sku_ids[i] = places[i].sku_id;
		location_ids[i] = places[i].location_id;
	}
	values[0] = ss_int8_array(n, sku_ids);
	values[1] = ss_int4_array(n, location_ids);
	ss_execute(&plan, load_sql, SPI_OK_SELECT, 2, types, values, NULL, 0);
	if (SPI_processed != (uint64) n)
		elog(ERROR, "read %llu balances of %d", (unsigned long long) SPI_processed, n);
	for (int i = 0; i < n; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];

		read_place(tuple, &places[column_int64(tuple, 1, 0) - 1]);
	}
	SPI_freetuptable(SPI_tuptable);
	if (IsolationUsesXactSnapshot())
		check_unmoved(plan, values, places);
}

void
stock_lock_place(int64 sku_id, int32 location_id, StockPlace *place)
{
	static SPIPlanPtr lock_plan = NULL;
	static SPIPlanPtr make_plan = NULL;
	const Oid	types[] = {INT8OID, INT4OID};
	Datum		values[] = {Int64GetDatum(sku_id), Int32GetDatum(location_id)};
	const char *lock_sql = "SELECT 1 FROM storesync.stock_lock k "
		"WHERE k.sku_id = $1 AND k.location_id = $2 FOR UPDATE";

	ss_execute(&lock_plan, lock_sql, SPI_OK_SELECT, 2, types, values, NULL, 0);
	if (SPI_processed == 0)
	{
		ss_execute(&make_plan,
				   "INSERT INTO storesync.stock_lock (sku_id, location_id) VALUES ($1, $2) "
				   "ON CONFLICT DO NOTHING",
				   SPI_OK_INSERT, 2, types, values, NULL, 0);
		ss_execute(&lock_plan, lock_sql, SPI_OK_SELECT, 2, types, values, NULL, 0);
	}
	memset(place, 0, sizeof(StockPlace));
	place->sku_id = sku_id;
	place->location_id = location_id;
	load_places(1, place);
}

StockPlace *
stock_lock_skus(int n, const int64 *sku_ids, int *nplaces)
{
	static SPIPlanPtr make_plan = NULL;
	static SPIPlanPtr lock_plan = NULL;
	const Oid	types[] = {INT8ARRAYOID};
	Datum		values[] = {ss_int8_array(n, sku_ids)};
	StockPlace *places;

	/* What is missing is made before anything is locked: an insert may wait for another's insert. */
	ss_execute(&make_plan,
			   "INSERT INTO storesync.stock_lock (sku_id, location_id) "
			   "SELECT u.sku_id, c.location_id FROM unnest($1) AS u (sku_id) "
			   "CROSS JOIN (SELECT m.location_id FROM storesync.location m WHERE m.sellable "
			   "            ORDER BY m.code <> 'main', m.priority, m.location_id LIMIT 1) c "
			   "WHERE NOT EXISTS (SELECT FROM storesync.stock_lock k "
			   "                  WHERE k.sku_id = u.sku_id AND k.location_id = c.location_id) "
			   "ORDER BY 1 ON CONFLICT DO NOTHING",
			   SPI_OK_INSERT, 1, types, values, NULL, 0);
	ss_execute(&lock_plan,
			   "SELECT k.sku_id, k.location_id FROM storesync.stock_lock k WHERE k.sku_id = ANY ($1) "
			   "ORDER BY k.sku_id, k.location_id FOR UPDATE",
			   SPI_OK_SELECT, 1, types, values, NULL, 0);
	*nplaces = (int) SPI_processed;
	places = palloc0(sizeof(StockPlace) * Max(*nplaces, 1));
	for (int i = 0; i < *nplaces; i++)
	{
		bool		isnull;

		places[i].sku_id = column_int64(SPI_tuptable->vals[i], 1, 0);
		places[i].location_id = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[i],
															SPI_tuptable->tupdesc, 2, &isnull));
	}
	SPI_freetuptable(SPI_tuptable);
	if (*nplaces > 0)
		load_places(*nplaces, places);
	return places;
}

int64
stock_room(const StockPlace *place)
{
	int64		most = place->allow_backorder ? SS_MAX_QTY : place->on_hand;

	return Max(most - place->reserved, 0);
}

void
stock_journal_start(StockJournal *journal)
{
	memset(journal, 0, sizeof(StockJournal));
	journal->now = GetCurrentTimestamp();
}

StockMove *
stock_move(StockJournal *journal, StockPlace *place, MovementKind kind,
		   int64 on_hand_delta, int64 reserved_delta)
{
	StockMove  *move;

	if (journal->n == journal->capacity)
	{
		journal->capacity = Max(journal->capacity * 2, 8);
		if (journal->moves == NULL)
			journal->moves = palloc(sizeof(StockMove) * journal->capacity);
		else
			journal->moves = repalloc_huge(journal->moves, sizeof(StockMove) * journal->capacity);
	}
	place->on_hand += on_hand_delta;
	place->reserved += reserved_delta;
	place->version++;
	place->recorded_at = Max(place->recorded_at, journal->now);
	place->moved = true;
	if (on_hand_delta > reserved_delta)
		place->freed = journal->freed = true;

	move = &journal->moves[journal->n++];
	memset(move, 0, sizeof(StockMove));
	move->kind = kind;
	move->sku_id = place->sku_id;
	move->location_id = place->location_id;
	move->version = place->version;
	move->on_hand_delta = on_hand_delta;
	move->reserved_delta = reserved_delta;
	move->on_hand = place->on_hand;
	move->reserved = place->reserved;
	move->recorded_at = place->recorded_at;
	return move;
}

/* Columns of the ledger in the order of the insert statement. */
enum
{
	L_SKU, L_VERSION, L_ON_HAND_DELTA, L_RESERVED_DELTA, L_ON_HAND, L_RESERVED, L_ORDER,
	L_EVENT_AT, L_RECORDED_AT, L_LOCATION, L_KIND, L_KEY, L_REFERENCE, L_REASON, L_COLUMNS
};

static void
put_move(SsSet *set, StockMove *move)
{
	set_add_row(set);
	set_put(set, L_SKU, Int64GetDatum(move->sku_id));
	set_put(set, L_VERSION, Int64GetDatum(move->version));
	set_put(set, L_ON_HAND_DELTA, Int64GetDatum(move->on_hand_delta));
	set_put(set, L_RESERVED_DELTA, Int64GetDatum(move->reserved_delta));
	set_put(set, L_ON_HAND, Int64GetDatum(move->on_hand));
	set_put(set, L_RESERVED, Int64GetDatum(move->reserved));
	if (move->order_id != 0)
		set_put(set, L_ORDER, Int64GetDatum(move->order_id));
	set_put(set, L_EVENT_AT, TimestampTzGetDatum(move->event_at));
	set_put(set, L_RECORDED_AT, TimestampTzGetDatum(move->recorded_at));
	set_put(set, L_LOCATION, Int32GetDatum(move->location_id));
	set_put(set, L_KIND, CStringGetTextDatum(kind_names[move->kind]));
	set_put(set, L_KEY, IdempotencyKeyPGetDatum(&move->key));
	set_put_pointer(set, L_REFERENCE, move->reference);
	set_put_pointer(set, L_REASON, move->reason);
}

void
stock_write(StockJournal *journal)
{
	static SPIPlanPtr plan = NULL;
	static Oid	planned_type = InvalidOid;
	Oid			types[L_COLUMNS] = {
		INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID,
		TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID, TEXTOID, InvalidOid, TEXTOID, TEXTOID
	};
	SsSet	   *set;

	if (journal->n == 0)
		return;
	types[L_KEY] = stock_key_type();
	if (planned_type != types[L_KEY])
		plan = NULL;			/* the extension was dropped and made again */
	planned_type = types[L_KEY];
	set = set_create(L_COLUMNS, types, journal->n);
	for (int i = 0; i < journal->n; i++)
		put_move(set, &journal->moves[i]);
	set_execute(&plan,
				"INSERT INTO storesync.ledger (sku_id, version, on_hand_delta, reserved_delta, on_hand, reserved, "
				"order_id, event_at, recorded_at, location_id, kind, key, reference, reason) "
				"SELECT u.a, u.b, u.c, u.d, u.e, u.f, u.g, u.h, u.i, u.j, u.k::storesync.movement_kind, u.l, u.m, u.n "
				"FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) "
				"AS u (a, b, c, d, e, f, g, h, i, j, k, l, m, n)",
				SPI_OK_INSERT, set);
	journal->n = 0;
}
