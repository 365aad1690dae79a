/*
 * order_read.c
 *		Reads orders and lines from rows (order_read.h). Locks nothing: whoever
 *		calls knows whether the order is locked.
 */
#include "storesync.h"

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "order_part.h"
#include "order_read.h"

static Datum
column(const LoadedRow *row, int number, bool *isnull)
{
	if (row->scan != NULL)
		return rows_get(row->scan, number - 2, isnull);
	return SPI_getbinval(row->tuple, SPI_tuptable->tupdesc, number, isnull);
}

int64
order_read_int64(const LoadedRow *row, int number)
{
	bool		isnull;
	Datum		value = column(row, number, &isnull);

	return isnull ? 0 : DatumGetInt64(value);
}

static int32
int32_column(const LoadedRow *row, int number)
{
	bool		isnull;
	Datum		value = column(row, number, &isnull);

	return isnull ? 0 : DatumGetInt32(value);
}

static text *
text_column(const LoadedRow *row, int number)
{
	bool		isnull;
	Datum		value = column(row, number, &isnull);

	return isnull ? NULL : DatumGetTextPP(value);
}

/* label_column reads an enum, which a statement turns into text. */
static char *
label_column(const LoadedRow *row, int number)
{
	bool		isnull;
	Datum		value = column(row, number, &isnull);

	if (row->scan != NULL)
		return DatumGetCString(DirectFunctionCall1(enum_out, value));
	return TextDatumGetCString(value);
}

static OrderStatus
status_column(const LoadedRow *row, int number)
{
	char	   *name = label_column(row, number);
	OrderStatus status = ORDER_UNPAID;

	if (!order_status_find(name, strlen(name), &status))
		elog(ERROR, "unknown order status \"%s\"", name);
	return status;
}

void
order_read_head(const LoadedRow *row, Order *order)
{
	bool		isnull;

	order->order_id = order_read_int64(row, 2);
	order->status = status_column(row, 3);
	order->stock_effect = DatumGetBool(column(row, 4, &isnull));
	order->create_time = order_read_int64(row, 5);
	order->update_time = order_read_int64(row, 6);
	order->fetched_at = order_read_int64(row, 7);
	order->recorded_at = order_read_int64(row, 8);
	order->buyer = text_column(row, 9);
	order->currency = text_column(row, 10);
}

/* read_line takes what the table says of a line. */
static OrderLine *
read_line(const LoadedRow *row)
{
	OrderLine  *line = palloc0(sizeof(OrderLine));
	bool		isnull;
	Datum		value;

	line->line_id = text_column(row, 2);
	line->item_id = text_column(row, 3);
	line->model_id = text_column(row, 4);
	line->sku_code = text_column(row, 5);
	line->reason = text_column(row, 6);
	value = column(row, 7, &isnull);
	line->unit_price = isnull ? NULL : DatumGetNumeric(value);
	line->listing_id = order_read_int64(row, 8);
	line->sku_id = order_read_int64(row, 9);
	line->location_id = int32_column(row, 10);
	line->pack = int32_column(row, 11);
	line->qty = order_read_int64(row, 12);
	line->cancelled_qty = order_read_int64(row, 13);
	line->returned_qty = order_read_int64(row, 14);
	line->reserved = order_read_int64(row, 15);
	line->shipped = order_read_int64(row, 16);
	line->restocked = order_read_int64(row, 17);
	line->missing = order_read_int64(row, 18);
	line->effects = int32_column(row, 19);
	value = column(row, 20, &isnull);
	line->cancelled_at = isnull ? DT_NOBEGIN : DatumGetTimestampTz(value);
	line->status = status_column(row, 21);
	line->state = order_state_find(label_column(row, 22));
	line->lost = order_read_int64(row, 23);
	value = column(row, 24, &isnull);
	order_part_read(line, isnull ? NULL : DatumGetJsonbP(value));
	return line;
}

void
order_read_line(const LoadedRow *row, Order *order)
{
	if (order->nlines == order->capacity)
	{
		order->capacity = Max(order->capacity * 2, 4);
		order->lines = order->lines == NULL ? palloc(sizeof(OrderLine *) * order->capacity) :
			repalloc(order->lines, sizeof(OrderLine *) * order->capacity);
	}
	order->lines[order->nlines++] = read_line(row);
}

static int
compare_loaded(const void *a, const void *b)
{
	return ss_text_compare((*(OrderLine *const *) a)->line_id, (*(OrderLine *const *) b)->line_id);
}

#define LINE_LOOKUP \
	.name = {"sales_order_line"}, .nkeys = 2, .keys = {"order_id", "line_id"}, \
	.columns = "line_id, item_id, model_id, sku_code, reason, unit_price, listing_id, sku_id, location_id, " \
	"pack, qty, cancelled_qty, returned_qty, reserved, shipped, restocked, short, effects, cancelled_at, " \
	"status, state, lost, parts"

bool
order_open_lines(RowsScan *scan, bool active)
{
	static RowsLookup lookup = {LINE_LOOKUP};
	static RowsLookup active_lookup = {LINE_LOOKUP, .active = true};

	return rows_open(scan, active ? &active_lookup : &lookup, false);
}

void
order_read_lines(RowsScan *scan, Order *order)
{
	Datum		key = Int64GetDatum(order->order_id);
	LoadedRow	row = {.scan = scan};

	for (bool more = rows_find_at(scan, TimestampTzGetDatum(order->recorded_at), 1, &key); more; more = rows_next(scan))
		order_read_line(&row, order);
	qsort(order->lines, order->nlines, sizeof(OrderLine *), compare_loaded);
}
