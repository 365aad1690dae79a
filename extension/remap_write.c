/*
 * remap_write.c
 *		Lines that were booked anew are written, and whoever follows them is
 *		told: the roll-ups, searches, the outbox, the audit (remap_step.h).
 */
#include "storesync.h"

#include "catalog/pg_type.h"
#include "utils/array.h"

#include "outbox.h"
#include "remap_step.h"
#include "set.h"

/* A set that names lines, with what else is to be written of them. */
static SsSet *
name_lines(const LoneLine *lones, int n)
{
	static const Oid types[] = {INT8OID, TIMESTAMPTZOID, TEXTOID, INT8OID, INT4OID};
	SsSet	   *set = set_create(lengthof(types), types, n);

	for (int i = 0; i < n; i++)
	{
		set_add_row(set);
		set_put(set, 0, Int64GetDatum(lones[i].order_id));
		set_put(set, 1, TimestampTzGetDatum(lones[i].order_recorded_at));
		set_put_pointer(set, 2, lones[i].line.line_id);
		set_put(set, 3, Int64GetDatum(lones[i].line.sku_id));
		set_put(set, 4, Int32GetDatum(lones[i].line.pack));
	}
	return set;
}

#define NAMED "FROM unnest($1, $2, $3, $4, $5) WITH ORDINALITY AS u (order_id, recorded_at, line_id, sku_id, pack, turn) "

/* load_sales reads what the lines count for in the roll-ups, in their order. */
static void
load_sales(SsSet *lines, SaleMove *moves, bool before)
{
	static SPIPlanPtr plan = NULL;

	set_execute(&plan,
				"SELECT coalesce(CASE WHEN s.units > 0 THEN s.sku_id END, 0), s.sold, s.amount " NAMED
				"JOIN storesync.line_sale s ON s.order_id = u.order_id AND s.recorded_at = u.recorded_at AND s.line_id = u.line_id "
				"ORDER BY u.turn",
				SPI_OK_SELECT, lines);
	for (int i = 0; i < (int) SPI_processed; i++)
		*(before ? &moves[i].before : &moves[i].now) = (SaleLine) {remap_int8(i, 1), remap_int8(i, 2), remap_int8(i, 3)};
	SPI_freetuptable(SPI_tuptable);
}

/* write_mapping says on the lines what they sell; a warning that the document names another SKU is put right. */
static void
write_mapping(SsSet *lines)
{
	static SPIPlanPtr line_plan = NULL;
	static SPIPlanPtr search_plan = NULL;

	set_execute(&line_plan,
				"UPDATE storesync.sales_order_line l SET sku_id = u.sku_id, pack = u.pack, "
				"reason = CASE WHEN l.item_id IS NOT NULL AND l.sku_code <> k.code AND l.state <> 'kept' THEN "
				"  format('mapping warning: document says SKU \"%s\", listing has \"%s\"', l.sku_code, k.code) END "
				NAMED "JOIN storesync.sku k ON k.sku_id = u.sku_id "
				"WHERE l.order_id = u.order_id AND l.recorded_at = u.recorded_at AND l.line_id = u.line_id",
				SPI_OK_UPDATE, lines);
	/* searches find these orders by another SKU */
	set_execute(&search_plan, "INSERT INTO storesync.search_changed (order_id) SELECT DISTINCT u.order_id " NAMED,
				SPI_OK_INSERT, lines);
}

static void
write_audit(const RemapTo *to, int64 listing_id, int nlines, Datum to_count)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID, INT8OID, INT4OID, INT4OID, TEXTARRAYOID};
	Datum		values[] = {
		Int64GetDatum(listing_id), Int64GetDatum(to->sku_id), Int32GetDatum(to->pack), Int32GetDatum(nlines), to_count
	};

	ss_execute(&plan,
			   "INSERT INTO storesync.audit (action, subject, after) SELECT 'remap', concat('listing ', $1), "
			   "jsonb_build_object('sku_id', $2, 'pack', $3, 'lines', $4, 'to_count', to_jsonb($5))",
			   SPI_OK_INSERT, 5, types, values, NULL, 0);
}

/* name_places names places as findings do. */
static Datum
name_places(const RemapTo *to)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID, INT4OID};
	Datum	   *names = palloc(sizeof(Datum) * Max(to->ntold, 1));

	for (int i = 0; i < to->ntold; i++)
	{
		Datum		values[] = {Int64GetDatum(to->told[i]->sku_id), Int32GetDatum(to->told[i]->location_id)};

		ss_execute(&plan, "SELECT storesync.place_name($1, $2)", SPI_OK_SELECT, 2, types, values, NULL, 1);
		names[i] = PointerGetDatum(remap_text(0, 1));
		SPI_freetuptable(SPI_tuptable);
	}
	return PointerGetDatum(construct_array(names, to->ntold, TEXTOID, -1, false, TYPALIGN_INT));
}

Datum
remap_write(const RemapTo *to, int64 listing_id, LoneLine *lones, int n, SaleMove *sales)
{
	SsSet	   *lines = name_lines(lones, n);
	Datum		to_count;

	load_sales(lines, sales, true);
	write_mapping(lines);
	order_line_write(to->journal, lones, n, REMAP_REASON);
	load_sales(lines, sales, false);
	outbox_append_sale(0, NULL, NULL, sale_moved(sales, n));
	order_line_finish(to->journal, to->hold);
	to_count = name_places(to);
	write_audit(to, listing_id, n, to_count);
	return to_count;
}
