/*
 * remap_moves.c
 *		Where the goods of lines that are booked anew were: what the ledger has
 *		of their movements, and of counts since then (remap_step.h).
 */
#include "storesync.h"

#include "catalog/pg_type.h"

#include "remap_step.h"
#include "set.h"

void
remap_make_places(const RemapTo *to, int norders, const int64 *order_ids, const IdList *skus, TimestampTz since)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID, INT8ARRAYOID, INT8ARRAYOID, TIMESTAMPTZOID};
	Datum		values[4];

	values[0] = Int64GetDatum(to->sku_id);
	values[1] = ss_int8_array(norders, order_ids);
	values[2] = ss_int8_array(skus->n, skus->ids);
	values[3] = TimestampTzGetDatum(since);
	ss_execute(&plan,
			   "INSERT INTO storesync.stock_lock (sku_id, location_id) SELECT n.sku_id, p.location_id "
			   "FROM (SELECT k.sku_id FROM storesync.sku k WHERE k.sku_id = $1 AND NOT k.bundle "
			   "      UNION SELECT c.sku_id FROM storesync.component c JOIN storesync.sku k ON k.sku_id = c.bundle_id "
			   "      WHERE c.bundle_id = $1 AND k.bundle AND c.qty > 0) n "
			   "CROSS JOIN (SELECT DISTINCT m.location_id FROM storesync.remap_moved($2, ARRAY(SELECT unnest($3) "
			   "      UNION SELECT c.sku_id FROM storesync.component c WHERE c.bundle_id = ANY ($3)), $4) m) p "
			   "WHERE NOT EXISTS (SELECT FROM storesync.stock_lock x WHERE x.sku_id = n.sku_id AND x.location_id = p.location_id) "
			   "ORDER BY 1, 2 ON CONFLICT DO NOTHING",
			   SPI_OK_INSERT, 4, types, values, NULL, 0);
}

/* hold_skus lists the SKUs of the places of a hold, as an array. */
static Datum
hold_skus(const StockHold *hold)
{
	IdList		list = {0, 64, palloc(sizeof(int64) * 64)};

	for (int i = 0; i < hold->nplaces; i++)
		if (i == 0 || hold->places[i].sku_id != hold->places[i - 1].sku_id)
			ids_add(&list, hold->places[i].sku_id);
	return ss_int8_array(list.n, list.ids);
}

/* load_moves reads what the lines of the orders have sent and taken back, sorted by order and line. */
static RemapMove *
load_moves(int norders, const int64 *order_ids, Datum skus, TimestampTz since, int *n)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8ARRAYOID, INT8ARRAYOID, TIMESTAMPTZOID};
	Datum		values[] = {ss_int8_array(norders, order_ids), skus, TimestampTzGetDatum(since)};
	RemapMove  *moves;
	bool		isnull;

	ss_execute(&plan,
			   "SELECT m.order_id, m.line_id, m.sku_id, m.location_id, m.back, m.moment, m.units "
			   "FROM storesync.remap_moved($1, $2, $3) m "
			   "ORDER BY m.order_id, m.line_id COLLATE \"C\", m.back, m.moment, m.sku_id, m.location_id",
			   SPI_OK_SELECT, 3, types, values, NULL, 0);
	*n = (int) SPI_processed;
	moves = palloc(sizeof(RemapMove) * Max(*n, 1));
	for (int i = 0; i < *n; i++)
		moves[i] = (RemapMove) {
			remap_int8(i, 1), remap_text(i, 2), remap_int8(i, 3), remap_int4(i, 4),
			DatumGetBool(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 5, &isnull)),
			remap_time(i, 6), remap_int8(i, 7)
		};
	SPI_freetuptable(SPI_tuptable);
	return moves;
}

static void
load_counts(RemapTo *to, Datum skus, TimestampTz since)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8ARRAYOID, TIMESTAMPTZOID};
	Datum		values[] = {skus, TimestampTzGetDatum(since)};

	ss_execute(&plan, "SELECT c.sku_id, c.location_id, c.moment FROM storesync.remap_counted($1, $2) c",
			   SPI_OK_SELECT, 2, types, values, NULL, 0);
	to->ncounts = (int) SPI_processed;
	to->counts = palloc(sizeof(RemapCount) * Max(to->ncounts, 1));
	for (int i = 0; i < to->ncounts; i++)
		to->counts[i] = (RemapCount) {remap_int8(i, 1), remap_int4(i, 2), remap_time(i, 3)};
	SPI_freetuptable(SPI_tuptable);
}

RemapMove *
remap_read_moves(RemapTo *to, int norders, const int64 *order_ids, TimestampTz since, int *n)
{
	Datum		skus = hold_skus(to->hold);
	RemapMove  *moves = load_moves(norders, order_ids, skus, since, n);

	load_counts(to, skus, since);
	return moves;
}

const RemapMove *
remap_moves_of(const RemapMove *moves, int nmoves, const LoneLine *lone, int *n)
{
	int			low = 0;
	int			high = nmoves;

	while (low < high)
	{
		int			middle = (low + high) / 2;
		const RemapMove *m = &moves[middle];

		if (m->order_id < lone->order_id ||
			(m->order_id == lone->order_id && ss_text_compare(m->line_id, lone->line.line_id) < 0))
			low = middle + 1;
		else
			high = middle;
	}
	*n = 0;
	while (low + *n < nmoves && moves[low + *n].order_id == lone->order_id &&
		   ss_text_compare(moves[low + *n].line_id, lone->line.line_id) == 0)
		(*n)++;
	return &moves[low];
}
