/*
 * holder.c
 *		Reservations and shipments of direct calls (holder.h). A reservation
 *		that is used up is deleted: references are mostly used once.
 */
#include "storesync.h"

#include "catalog/pg_type.h"

#include "holder.h"

/* execute runs a statement with the holder as $1 to $3, a quantity as $4 and a moment as $5. */
static void
execute(SPIPlanPtr *plan, const char *sql, int expect, const Holder *holder, int64 qty, TimestampTz at)
{
	const Oid	types[] = {INT8OID, INT4OID, TEXTOID, INT8OID, TIMESTAMPTZOID};
	Datum		values[5];

	values[0] = Int64GetDatum(holder->sku_id);
	values[1] = Int32GetDatum(holder->location_id);
	values[2] = PointerGetDatum(holder->reference);
	values[3] = Int64GetDatum(qty);
	values[4] = TimestampTzGetDatum(at);
	ss_execute(plan, sql, expect, 5, types, values, at == DT_NOEND ? "    n" : NULL, 0);
}

int64
holder_has(const Holder *holder, MovementKind kind)
{
	static SPIPlanPtr reserved_plan = NULL;
	static SPIPlanPtr shipped_plan = NULL;
	bool		isnull;
	int64		units;

	if (kind == MOVE_RECEIVE || kind == MOVE_RESERVE)
		return SS_MAX_QTY;
	if (kind == MOVE_RESTOCK)
		execute(&shipped_plan,
				"SELECT s.shipped - s.restocked FROM storesync.shipment s "
				"WHERE s.sku_id = $1 AND s.location_id = $2 AND s.reference = $3",
				SPI_OK_SELECT, holder, 0, DT_NOEND);
	else
		execute(&reserved_plan,
				"SELECT r.qty FROM storesync.reservation r "
				"WHERE r.sku_id = $1 AND r.location_id = $2 AND r.reference = $3",
				SPI_OK_SELECT, holder, 0, DT_NOEND);
	if (SPI_processed == 0)
		return 0;
	units = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	return units;
}

static void
reservation_add(const Holder *holder, int64 qty, TimestampTz expires_at)
{
	static SPIPlanPtr plan = NULL;

	execute(&plan,
			"INSERT INTO storesync.reservation AS r (sku_id, location_id, reference, qty, expires_at) "
			"VALUES ($1, $2, $3, $4, $5) ON CONFLICT (sku_id, location_id, reference) "
			"DO UPDATE SET qty = r.qty + excluded.qty, expires_at = excluded.expires_at",
			SPI_OK_INSERT, holder, qty, expires_at);
}

static void
reservation_take(const Holder *holder, int64 qty)
{
	static SPIPlanPtr all_plan = NULL;
	static SPIPlanPtr part_plan = NULL;

	execute(&all_plan,
			"DELETE FROM storesync.reservation r "
			"WHERE r.sku_id = $1 AND r.location_id = $2 AND r.reference = $3 AND r.qty = $4",
			SPI_OK_DELETE, holder, qty, DT_NOEND);
	if (SPI_processed == 0)
		execute(&part_plan,
				"UPDATE storesync.reservation SET qty = qty - $4 "
				"WHERE sku_id = $1 AND location_id = $2 AND reference = $3",
				SPI_OK_UPDATE, holder, qty, DT_NOEND);
}

static void
shipment_add(const Holder *holder, int64 qty)
{
	static SPIPlanPtr plan = NULL;

	execute(&plan,
			"INSERT INTO storesync.shipment AS s (sku_id, location_id, reference, shipped, restocked) "
			"VALUES ($1, $2, $3, $4, 0) ON CONFLICT (sku_id, location_id, reference) "
			"DO UPDATE SET shipped = s.shipped + excluded.shipped",
			SPI_OK_INSERT, holder, qty, DT_NOEND);
}

static void
shipment_take_back(const Holder *holder, int64 qty)
{
	static SPIPlanPtr plan = NULL;

	execute(&plan,
			"UPDATE storesync.shipment SET restocked = restocked + $4 "
			"WHERE sku_id = $1 AND location_id = $2 AND reference = $3",
			SPI_OK_UPDATE, holder, qty, DT_NOEND);
}

void
holder_book(const Holder *holder, MovementKind kind, int64 qty, TimestampTz expires_at)
{
	switch (kind)
	{
		case MOVE_RESERVE:
			reservation_add(holder, qty, expires_at);
			break;
		case MOVE_RELEASE:
			reservation_take(holder, qty);
			break;
		case MOVE_SHIP:
			reservation_take(holder, qty);
			shipment_add(holder, qty);
			break;
		case MOVE_RESTOCK:
			shipment_take_back(holder, qty);
			break;
		case MOVE_RECEIVE:
		case MOVE_ADJUST:
		case MOVE_TRANSFER:
			break;
	}
}
