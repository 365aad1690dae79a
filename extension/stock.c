/*
 * stock.c
 *		Moves stock of places that stock_place.c has locked, and appends the
 *		ledger rows (stock.h has the lock order).
 */
#include "storesync.h"

#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

#include "partition.h"
#include "rows.h"
#include "stock.h"

/* A lock wait may reach into the next month: its partition is made this early. */
#define PARTITION_LEAD_US	USECS_PER_HOUR

/* In the order of MovementKind. */
static const char *const kind_names[] = {
	"receive", "reserve", "release", "ship", "restock", "adjust", "transfer"
};

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

/* Columns of the ledger in the order of stock_write. */
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
	static RowsTable table = {.name = {"ledger"}, .columns = "sku_id, version, on_hand_delta, reserved_delta, "
		"on_hand, reserved, order_id, event_at, recorded_at, location_id, kind, key, reference, reason"};
	Oid			types[L_COLUMNS] = {
		INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID,
		TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID, TEXTOID, InvalidOid, TEXTOID, TEXTOID
	};
	SsSet	   *set;

	if (journal->n == 0)
		return;
	types[L_KEY] = stock_key_type();
	set = set_create(L_COLUMNS, types, journal->n);
	for (int i = 0; i < journal->n; i++)
		put_move(set, &journal->moves[i]);
	rows_insert(&table, set);
	journal->n = 0;
}

void
stock_make_places(int64 sku_id, int n, const int32 *location_ids)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID, INT4ARRAYOID};
	Datum		values[] = {Int64GetDatum(sku_id), ss_int4_array(n, location_ids)};

	ss_execute(&plan,
			   "INSERT INTO storesync.stock_lock (sku_id, location_id) "
			   "SELECT $1, u.id FROM (SELECT unnest($2) UNION "
			   "  (SELECT m.location_id FROM storesync.location m WHERE m.sellable "
			   "   ORDER BY m.code <> 'main', m.priority, m.location_id LIMIT 1)) AS u (id) "
			   "WHERE NOT EXISTS (SELECT FROM storesync.stock_lock k WHERE k.sku_id = $1 AND k.location_id = u.id) "
			   "ORDER BY u.id ON CONFLICT DO NOTHING",
			   SPI_OK_INSERT, 2, types, values, NULL, 0);
}
