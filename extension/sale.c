/*
 * sale.c
 *		What orders count for in the roll-ups, and the differences that tell of
 *		a change (sale.h). The view storesync.order_sale says the same in SQL,
 *		and check_invariants() compares the two.
 *
 * Locking: none of its own. An order's row is locked by whoever changes it, so
 * each difference starts where the one before ended.
 */
#include "storesync.h"

#include "utils/fmgrprotos.h"

#include "sale.h"
#include "varint.h"

/* Numbers of an entry that may be missing, in the order of SaleSum, and what else its word says. */
#define SUMS		((int) (sizeof(SaleSum) / sizeof(int64)))
#define HAS_DELAY	(1 << SUMS)

/* Bytes of an entry without its lines, and of a line, at most. */
#define ENTRY_BYTES	((SUMS + 6) * VARINT_MOST)
#define LINE_BYTES	(3 * VARINT_MOST)

typedef struct SaleWriter
{
	bytea	   *packed;			/* NULL: nothing so far */
	Size		used;			/* with the header */
	Size		room;
	int64		order_id;
	int64		quarter;
} SaleWriter;

/* ---------------------------------------------------------------- what an order counts for */

int64
sale_amount(Numeric unit_price, int64 units)
{
	int64		minor;

	if (unit_price == NULL)
		return 0;
	if (order_plain_number(unit_price, &minor))
		minor = Min(minor, SALE_MAX_AMOUNT / 100) * 100;
	else
	{
		Datum		hundredths = DirectFunctionCall2(numeric_mul, NumericGetDatum(unit_price), NumericGetDatum(int64_to_numeric(100)));

		if (DatumGetBool(DirectFunctionCall2(numeric_ge, hundredths, NumericGetDatum(int64_to_numeric(SALE_MAX_AMOUNT)))))
			minor = SALE_MAX_AMOUNT;
		else
			minor = DatumGetInt64(DirectFunctionCall1(numeric_int8, hundredths));
	}
	return minor > 0 && units > SALE_MAX_AMOUNT / minor ? SALE_MAX_AMOUNT : units * minor;
}

int64
sale_returned_units(const OrderLine *line)
{
	int64		live = Max(line->qty - line->cancelled_qty, 0);

	if (line->state == LINE_KEPT)
		return line->status != ORDER_RETURNED ? 0 : line->returned_qty > 0 ? Min(line->returned_qty, live) : live;
	return line->restocked / line->pack;
}

/* sum_order says what an order counts for, and in now[] what each of its lines does. */
static void
sum_order(const Order *order, SaleSum *sum, SaleLine *now)
{
	bool		any_live = false;

	memset(sum, 0, sizeof(SaleSum));
	for (int i = 0; i < order->nlines; i++)
	{
		const OrderLine *line = order->lines[i];
		bool		cancelled = line->status == ORDER_CANCELLED;
		int64		live = cancelled ? 0 : Max(line->qty - line->cancelled_qty, 0);

		memset(&now[i], 0, sizeof(SaleLine));
		sum->cancelled_units += cancelled ? line->qty : Min(line->cancelled_qty, line->qty);
		sum->returned_units += sale_returned_units(line);
		any_live |= live > 0;
		if (line->status == ORDER_UNPAID || live == 0)
			continue;
		now[i].sku_id = line->sku_id;
		now[i].sold = order_units(live, line->pack);
		now[i].amount = sale_amount(line->unit_price, live);
		sum->units += live;
		sum->amount += now[i].amount;
	}
	sum->orders = sum->units > 0;
	sum->cancelled_orders = !any_live && order->nlines > 0;
}

void
sale_loaded(OrderPage *page)
{
	for (int i = 0; i < page->norders; i++)
	{
		Order	   *order = &page->orders[i];
		SaleLine   *now;

		if (order->is_new || order->settled)
			continue;
		now = palloc(sizeof(SaleLine) * Max(order->nlines, 1));
		sum_order(order, &order->told, now);
		for (int j = 0; j < order->nlines; j++)
			order->lines[j]->told = now[j];
		order->is_told = true;
		pfree(now);
	}
}

/* ---------------------------------------------------------------- writing */

static void
make_room(SaleWriter *writer, Size bytes)
{
	if (writer->packed == NULL)
	{
		writer->room = VARHDRSZ + 256;
		writer->used = VARHDRSZ;
		writer->packed = palloc(writer->room);
	}
	if (writer->room - writer->used >= bytes)
		return;
	while (writer->room - writer->used < bytes)
		writer->room *= 2;
	writer->packed = repalloc(writer->packed, writer->room);
}

static void
put_unsigned(SaleWriter *writer, uint64 number)
{
	writer->used = varint_put((uint8 *) writer->packed + writer->used, number) - (uint8 *) writer->packed;
}

static void
put_signed(SaleWriter *writer, int64 number)
{
	writer->used = varint_put_signed((uint8 *) writer->packed + writer->used, number) - (uint8 *) writer->packed;
}

/* quarter_of rounds down, also before 2000. */
static int64
quarter_of(TimestampTz at)
{
	return at >= 0 ? at / SALE_QUARTER_US : -((-at + SALE_QUARTER_US - 1) / SALE_QUARTER_US);
}

/* put_entry writes an entry up to the number of its lines, which follow; delay_us from create_time until it was booked. */
static void
put_entry(SaleWriter *writer, int64 order_id, int32 store_id, TimestampTz create_time, const SaleSum *change,
		  bool has_delay, int64 delay_us, int nlines)
{
	const int64 *sums = (const int64 *) change;
	int64		quarter = quarter_of(create_time);
	uint64		word = has_delay ? HAS_DELAY : 0;

	make_room(writer, ENTRY_BYTES + nlines * (Size) LINE_BYTES);
	for (int i = 0; i < SUMS; i++)
		word |= sums[i] != 0 ? UINT64CONST(1) << i : 0;
	put_signed(writer, order_id - writer->order_id);
	put_signed(writer, quarter - writer->quarter);
	put_unsigned(writer, (uint64) store_id);
	put_unsigned(writer, word);
	for (int i = 0; i < SUMS; i++)
		if (sums[i] != 0)
			put_signed(writer, sums[i]);
	if (has_delay)
		put_unsigned(writer, (uint64) (Max(delay_us, 0) / 1000));
	put_unsigned(writer, (uint64) nlines);
	writer->order_id = order_id;
	writer->quarter = quarter;
}

static void
put_line(SaleWriter *writer, const SaleLine *line)
{
	put_unsigned(writer, (uint64) line->sku_id);
	put_signed(writer, line->sold);
	put_signed(writer, line->amount);
}

/* add_change adds what one line counts for more, to at most two SKUs; what is on no SKU is in no month of one. */
static int
add_change(const SaleLine *before, const SaleLine *now, SaleLine *changes, int n)
{
	if (before->sku_id == now->sku_id)
	{
		if (now->sku_id != 0 && (now->sold != before->sold || now->amount != before->amount))
			changes[n++] = (SaleLine) {now->sku_id, now->sold - before->sold, now->amount - before->amount};
		return n;
	}
	if (before->sku_id != 0)
		changes[n++] = (SaleLine) {before->sku_id, -before->sold, -before->amount};
	if (now->sku_id != 0)
		changes[n++] = *now;
	return n;
}

/* tell_order writes what an order counts for more than was told, and remembers that. */
static void
tell_order(SaleWriter *writer, const OrderPage *page, Order *order)
{
	SaleLine   *now = palloc(sizeof(SaleLine) * 3 * Max(order->nlines, 1));
	SaleLine   *changes = now + order->nlines;
	bool		has_delay = !order->is_told && order->stock_effect;
	bool		any = has_delay;
	SaleSum		sum;
	SaleSum		change;
	int			n = 0;

	sum_order(order, &sum, now);
	for (int i = 0; i < SUMS; i++)
	{
		((int64 *) &change)[i] = ((int64 *) &sum)[i] - ((int64 *) &order->told)[i];
		any |= ((int64 *) &change)[i] != 0;
	}
	for (int i = 0; i < order->nlines; i++)
	{
		n = add_change(&order->lines[i]->told, &now[i], changes, n);
		order->lines[i]->told = now[i];
	}
	if (any || n > 0)
	{
		put_entry(writer, order->order_id, page->store.store_id, order->create_time, &change,
				  has_delay, order->recorded_at - order->create_time, n);
		for (int i = 0; i < n; i++)
			put_line(writer, &changes[i]);
	}
	order->told = sum;
	order->is_told = true;
	pfree(now);
}

static bytea *
finish(SaleWriter *writer)
{
	if (writer->packed != NULL)
		SET_VARSIZE(writer->packed, writer->used);
	return writer->packed;
}

bytea *
sale_told(OrderPage *page)
{
	SaleWriter	writer = {0};

	for (int i = 0; i < page->norders; i++)
		if (!page->orders[i].settled)
			tell_order(&writer, page, &page->orders[i]);
	return finish(&writer);
}

bytea *
sale_returned(int64 order_id, int32 store_id, TimestampTz create_time, int64 units)
{
	SaleWriter	writer = {0};
	SaleSum		change = {.returned_units = units};

	if (units != 0)
		put_entry(&writer, order_id, store_id, create_time, &change, false, 0, 0);
	return finish(&writer);
}

bytea *
sale_moved(const SaleMove *moves, int n)
{
	SaleWriter	writer = {0};
	SaleSum		same = {0};

	for (int i = 0; i < n; i++)
	{
		const SaleMove *m = &moves[i];
		SaleLine	changes[2];
		int			nchanges = add_change(&m->before, &m->now, changes, 0);

		if (nchanges > 0)
			put_entry(&writer, m->order_id, m->store_id, m->create_time, &same, false, 0, nchanges);
		for (int c = 0; c < nchanges; c++)
			put_line(&writer, &changes[c]);
	}
	return finish(&writer);
}

/* ---------------------------------------------------------------- reading */

static void
raise_no_change(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("invalid change of sales in the outbox")));
}

static uint64
get_unsigned(SaleReader *reader)
{
	uint64		value = 0;

	if (!varint_get(&reader->at, reader->end, &value))
		raise_no_change();
	return value;
}

static int64
get_signed(SaleReader *reader)
{
	int64		value = 0;

	if (!varint_get_signed(&reader->at, reader->end, &value))
		raise_no_change();
	return value;
}

void
sale_open(SaleReader *reader, const bytea *packed)
{
	reader->at = (const uint8 *) VARDATA_ANY(packed);
	reader->end = reader->at + VARSIZE_ANY_EXHDR(packed);
	reader->order_id = 0;
	reader->quarter = 0;
}

bool
sale_next(SaleReader *reader, SaleEntry *entry)
{
	uint64		word;
	uint64		nlines;

	if (reader->at == reader->end)
		return false;
	memset(entry, 0, sizeof(SaleEntry));
	entry->order_id = reader->order_id += get_signed(reader);
	entry->quarter = reader->quarter += get_signed(reader);
	entry->store_id = (int32) get_unsigned(reader);
	word = get_unsigned(reader);
	for (int i = 0; i < SUMS; i++)
		if (word & (UINT64CONST(1) << i))
			((int64 *) &entry->sum)[i] = get_signed(reader);
	entry->is_new = (word & HAS_DELAY) != 0;
	if (entry->is_new)
		entry->delay_ms = (int64) get_unsigned(reader);
	nlines = get_unsigned(reader);
	if (nlines > 2 * SS_MAX_LINES)
		raise_no_change();
	entry->nlines = (int) nlines;
	return true;
}

void
sale_next_line(SaleReader *reader, SaleLine *line)
{
	line->sku_id = (int64) get_unsigned(reader);
	if (line->sku_id <= 0)
		raise_no_change();
	line->sold = get_signed(reader);
	line->amount = get_signed(reader);
}
