/*
 * holder.c
 *		What direct calls reserved, shipped and took back (holder.h).
 *
 * A state is a row of its own, under the version of the ledger row that made
 * it; the one before is deleted. Nothing is ever updated: versions rise, so
 * the index read backwards leads to the newest state and never through dead
 * ones, however many a held snapshot keeps. For the same reason a holder
 * that is used up keeps a row that says so: where there is none, the look
 * for it would walk through all the dead (docs/ledger.md).
 */
#include "storesync.h"

#include "catalog/pg_type.h"

#include "holder.h"
#include "rows.h"
#include "set.h"

static RowsLookup holder_rows = {
	.name = {"holder"}, .nkeys = 4, .keys = {"sku_id", "location_id", "reference", "version"},
	.columns = "version, held, shipped, restocked, expires_at", .writes = true, .delete_trigger = "refuse_loss"
};

/* load_by_statement reads the newest state where the table does not allow to look directly. */
static void
load_by_statement(Holder *holder)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID, INT4OID, TEXTOID};
	Datum		values[] = {Int64GetDatum(holder->sku_id), Int32GetDatum(holder->location_id),
	PointerGetDatum(holder->reference)};
	Datum		state[5];
	bool		nulls[5];

	ss_execute(&plan,
			   "SELECT h.version, h.held, h.shipped, h.restocked, h.expires_at FROM storesync.holder h "
			   "WHERE h.sku_id = $1 AND h.location_id = $2 AND h.reference = $3 ORDER BY h.version DESC LIMIT 1",
			   SPI_OK_SELECT, 3, types, values, NULL, 0);
	if (SPI_processed == 0)
		return;
	for (int i = 0; i < (int) lengthof(state); i++)
		state[i] = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, i + 1, &nulls[i]);
	holder->version = DatumGetInt64(state[0]);
	holder->held = DatumGetInt64(state[1]);
	holder->shipped = DatumGetInt64(state[2]);
	holder->restocked = DatumGetInt64(state[3]);
	holder->expires_at = nulls[4] ? DT_NOEND : DatumGetTimestampTz(state[4]);
	SPI_freetuptable(SPI_tuptable);
}

/* take_row takes the state from the row that a scan has found. */
static void
take_row(Holder *holder, RowsScan *scan)
{
	bool		isnull;
	Datum		expires_at;

	holder->version = DatumGetInt64(rows_get(scan, 0, &isnull));
	holder->held = DatumGetInt64(rows_get(scan, 1, &isnull));
	holder->shipped = DatumGetInt64(rows_get(scan, 2, &isnull));
	holder->restocked = DatumGetInt64(rows_get(scan, 3, &isnull));
	expires_at = rows_get(scan, 4, &isnull);
	holder->expires_at = isnull ? DT_NOEND : DatumGetTimestampTz(expires_at);
	holder->row = rows_at(scan);
}

void
holder_load(Holder *holder)
{
	const Datum keys[] = {Int64GetDatum(holder->sku_id), Int32GetDatum(holder->location_id),
	PointerGetDatum(holder->reference)};
	RowsScan	scan;

	holder->version = holder->held = holder->shipped = holder->restocked = 0;
	holder->expires_at = DT_NOEND;
	ItemPointerSetInvalid(&holder->row);
	if (!rows_open(&scan, &holder_rows, false))
	{
		load_by_statement(holder);
		return;
	}
	if (rows_find_last(&scan, lengthof(keys), keys))
		take_row(holder, &scan);
	rows_close(&scan);
}

int64
holder_has(const Holder *holder, MovementKind kind)
{
	if (kind == MOVE_RECEIVE || kind == MOVE_RESERVE)
		return SS_MAX_QTY;
	return kind == MOVE_RESTOCK ? holder->shipped - holder->restocked : holder->held;
}

/* insert_state appends the holder's state as its newest row. */
static void
insert_state(const Holder *holder)
{
	static RowsTable table = {.name = {"holder"},
	.columns = "sku_id, version, held, shipped, restocked, expires_at, location_id, reference"};
	static const Oid types[] = {INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, TIMESTAMPTZOID, INT4OID, TEXTOID};
	SsSet	   *set = set_create(lengthof(types), types, 1);

	set_add_row(set);
	set_put(set, 0, Int64GetDatum(holder->sku_id));
	set_put(set, 1, Int64GetDatum(holder->version));
	set_put(set, 2, Int64GetDatum(holder->held));
	set_put(set, 3, Int64GetDatum(holder->shipped));
	set_put(set, 4, Int64GetDatum(holder->restocked));
	if (holder->expires_at != DT_NOEND)
		set_put(set, 5, TimestampTzGetDatum(holder->expires_at));
	set_put(set, 6, Int32GetDatum(holder->location_id));
	set_put(set, 7, PointerGetDatum(holder->reference));
	rows_insert(&table, set);
}

/* delete_state takes the row away that `before` was read from. */
static void
delete_state(const Holder *before)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID, INT4OID, TEXTOID, INT8OID};
	Datum		values[] = {Int64GetDatum(before->sku_id), Int32GetDatum(before->location_id),
	PointerGetDatum(before->reference), Int64GetDatum(before->version)};

	if (ItemPointerIsValid(&before->row) && rows_delete(&holder_rows, before->row))
		return;
	ss_execute(&plan,
			   "DELETE FROM storesync.holder h "
			   "WHERE h.sku_id = $1 AND h.location_id = $2 AND h.reference = $3 AND h.version = $4",
			   SPI_OK_DELETE, 4, types, values, NULL, 0);
}

void
holder_book(Holder *holder, MovementKind kind, int64 qty, TimestampTz expires_at, int64 version)
{
	Holder		before = *holder;

	switch (kind)
	{
		case MOVE_RESERVE:
			holder->held += qty;
			holder->expires_at = expires_at;
			break;
		case MOVE_RELEASE:
			holder->held -= qty;
			break;
		case MOVE_SHIP:
			holder->held -= qty;
			holder->shipped += qty;
			break;
		case MOVE_RESTOCK:
			holder->restocked += qty;
			break;
		case MOVE_RECEIVE:
		case MOVE_ADJUST:
		case MOVE_TRANSFER:
			return;
	}
	if (holder->held == 0)
		holder->expires_at = DT_NOEND;
	holder->version = version;
	insert_state(holder);
	if (before.version != 0)
		delete_state(&before);
}
