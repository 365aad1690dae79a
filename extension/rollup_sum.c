/*
 * rollup_sum.c
 *		Sums of a step of roll_up(): gathered in hash tables, and added to the
 *		tables by a statement for each.
 *
 * A quarter of an hour lies in one hour and one day of any time zone: which,
 * the server says when the sums are written, by the store's zone.
 */
#include "storesync.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"

#include "histogram.h"
#include "rollup.h"
#include "set.h"
#include "sku_month.h"

/* Platforms' days and SKUs' months are those of this zone, east of UTC. */
#define ZONE_QUARTERS	(8 * 4)
#define DAY_QUARTERS	(24 * 4)

typedef struct QuarterKey
{
	int64		quarter;
	int64		store_id;
} QuarterKey;

typedef struct QuarterSum
{
	QuarterKey	key;
	SaleSum		sum;
} QuarterSum;

typedef struct MonthKey
{
	int64		block;			/* of SKUs */
	int64		month;			/* its first day, a DateADT */
} MonthKey;

typedef struct MonthSum
{
	MonthKey	key;
	SkuBlock	block;
} MonthSum;

typedef struct DelayKey
{
	int64		store_id;
	int64		day;			/* a DateADT */
} DelayKey;

typedef struct DelaySum
{
	DelayKey	key;
	Histogram  *histogram;
} DelaySum;

static HTAB *
make_table(const char *name, Size key, Size entry)
{
	HASHCTL		control = {.keysize = key, .entrysize = entry, .hcxt = CurrentMemoryContext};

	return hash_create(name, 1024, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

void
rollup_init(RollUp *sums)
{
	sums->context = CurrentMemoryContext;
	sums->quarters = make_table("sales by quarter of an hour", sizeof(QuarterKey), sizeof(QuarterSum));
	sums->months = make_table("sales by SKUs and month", sizeof(MonthKey), sizeof(MonthSum));
	sums->delays = make_table("delays by store and day", sizeof(DelayKey), sizeof(DelaySum));
}

void
rollup_add_sales(RollUp *sums, int32 store_id, int64 quarter, const SaleSum *what)
{
	QuarterKey	key = {.quarter = quarter, .store_id = store_id};
	bool		found;
	QuarterSum *entry = hash_search(sums->quarters, &key, HASH_ENTER, &found);

	if (!found)
		memset(&entry->sum, 0, sizeof(SaleSum));
	entry->sum.orders += what->orders;
	entry->sum.units += what->units;
	entry->sum.amount += what->amount;
	entry->sum.cancelled_orders += what->cancelled_orders;
	entry->sum.cancelled_units += what->cancelled_units;
	entry->sum.returned_units += what->returned_units;
}

/* day_of is the day at UTC+8 of a quarter of an hour, as a DateADT. */
static int64
day_of(int64 quarter)
{
	int64		shifted = quarter + ZONE_QUARTERS;

	return shifted >= 0 ? shifted / DAY_QUARTERS : -((-shifted + DAY_QUARTERS - 1) / DAY_QUARTERS);
}

void
rollup_add_line(RollUp *sums, int64 quarter, const SaleLine *line)
{
	MonthKey	key = {.block = sku_block_number(line->sku_id)};
	int			year;
	int			month;
	int			day;
	bool		found;
	MonthSum   *entry;
	SkuSums    *sku;

	j2date((int) day_of(quarter) + POSTGRES_EPOCH_JDATE, &year, &month, &day);
	key.month = date2j(year, month, 1) - POSTGRES_EPOCH_JDATE;
	entry = hash_search(sums->months, &key, HASH_ENTER, &found);
	if (!found)
		memset(&entry->block, 0, sizeof(SkuBlock));
	sku = &entry->block.of[sku_slot(line->sku_id)];
	sku->sold += line->sold;
	sku->amount += line->amount;
}

void
rollup_add_delay(RollUp *sums, int32 store_id, int64 quarter, int64 delay_ms)
{
	DelayKey	key = {.store_id = store_id, .day = day_of(quarter)};
	bool		found;
	DelaySum   *entry = hash_search(sums->delays, &key, HASH_ENTER, &found);

	if (!found)
		entry->histogram = MemoryContextAllocZero(sums->context, sizeof(Histogram));
	entry->histogram->counts[histogram_bucket(delay_ms)]++;
}

void
rollup_add_changes(RollUp *sums, const bytea *packed, int64 through)
{
	SaleReader	reader;
	SaleEntry	entry;

	sale_open(&reader, packed);
	while (sale_next(&reader, &entry))
	{
		bool		counts = entry.order_id <= through;

		if (counts)
			rollup_add_sales(sums, entry.store_id, entry.quarter, &entry.sum);
		if (counts && entry.is_new)
			rollup_add_delay(sums, entry.store_id, entry.quarter, entry.delay_ms);
		for (int i = 0; i < entry.nlines; i++)
		{
			SaleLine	line;

			sale_next_line(&reader, &line);
			if (counts)
				rollup_add_line(sums, entry.quarter, &line);
		}
	}
}

/* ---------------------------------------------------------------- writing */

#define UNNEST_QUARTERS \
	"FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9) " \
	"  AS u (store_id, at, orders, units, amount, cancelled_orders, cancelled_units, returned_units, kept_from) " \
	"JOIN storesync.store s ON s.store_id = u.store_id "

static void
write_quarters(RollUp *sums, TimestampTz kept_from)
{
	static SPIPlanPtr day_plan = NULL;
	static SPIPlanPtr hour_plan = NULL;
	static const Oid types[] = {INT4OID, TIMESTAMPTZOID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, TIMESTAMPTZOID};
	SsSet	   *set = set_create(lengthof(types), types, (int) hash_get_num_entries(sums->quarters));
	HASH_SEQ_STATUS all;
	QuarterSum *entry;

	hash_seq_init(&all, sums->quarters);
	while ((entry = hash_seq_search(&all)) != NULL)
	{
		set_add_row(set);
		set_put(set, 0, Int32GetDatum((int32) entry->key.store_id));
		set_put(set, 1, TimestampTzGetDatum(entry->key.quarter * SALE_QUARTER_US));
		set_put(set, 2, Int64GetDatum(entry->sum.orders));
		set_put(set, 3, Int64GetDatum(entry->sum.units));
		set_put(set, 4, Int64GetDatum(entry->sum.amount));
		set_put(set, 5, Int64GetDatum(entry->sum.cancelled_orders));
		set_put(set, 6, Int64GetDatum(entry->sum.cancelled_units));
		set_put(set, 7, Int64GetDatum(entry->sum.returned_units));
		set_put(set, 8, TimestampTzGetDatum(kept_from));
	}
	if (set->rows == 0)
		return;
	set_execute(&day_plan,
				"INSERT INTO storesync.sales_day AS d "
				"  (store_id, day, orders, units, amount, cancelled_orders, cancelled_units, returned_units) "
				"SELECT u.store_id, x.day, sum(u.orders), sum(u.units), sum(u.amount), sum(u.cancelled_orders), "
				"  sum(u.cancelled_units), sum(u.returned_units) " UNNEST_QUARTERS
				"CROSS JOIN LATERAL (SELECT (u.at AT TIME ZONE s.timezone)::date AS day) x "
				"WHERE x.day > (u.kept_from AT TIME ZONE s.timezone)::date "
				"GROUP BY u.store_id, x.day ORDER BY u.store_id, x.day "
				"ON CONFLICT (store_id, day) DO UPDATE SET orders = d.orders + excluded.orders, units = d.units + excluded.units, "
				"  amount = d.amount + excluded.amount, cancelled_orders = d.cancelled_orders + excluded.cancelled_orders, "
				"  cancelled_units = d.cancelled_units + excluded.cancelled_units, "
				"  returned_units = d.returned_units + excluded.returned_units",
				SPI_OK_INSERT, set);
	set_execute(&hour_plan,
				"INSERT INTO storesync.sales_hour AS h (store_id, hour, orders, units, amount) "
				"SELECT u.store_id, x.hour, sum(u.orders), sum(u.units), sum(u.amount) " UNNEST_QUARTERS
				"CROSS JOIN LATERAL (SELECT date_trunc('hour', u.at, s.timezone) AS hour) x "
				"WHERE x.hour > u.kept_from GROUP BY u.store_id, x.hour "
				"HAVING sum(u.orders) <> 0 OR sum(u.units) <> 0 OR sum(u.amount) <> 0 ORDER BY u.store_id, x.hour "
				"ON CONFLICT (store_id, hour) DO UPDATE SET orders = h.orders + excluded.orders, "
				"  units = h.units + excluded.units, amount = h.amount + excluded.amount",
				SPI_OK_INSERT, set);
}

static void
write_months(RollUp *sums, TimestampTz kept_from)
{
	SsSet	   *rows = sku_month_rows();
	HASH_SEQ_STATUS all;
	MonthSum   *entry;

	hash_seq_init(&all, sums->months);
	while ((entry = hash_seq_search(&all)) != NULL)
	{
		TimestampTz begins = entry->key.month * USECS_PER_DAY - ZONE_QUARTERS * SALE_QUARTER_US;

		if (begins >= kept_from)
			sku_month_add(rows, entry->key.block, (DateADT) entry->key.month, &entry->block);
	}
	sku_month_write(rows);
}

/* histogram_text is what the input function of type histogram reads. */
static Datum
histogram_text(const Histogram *histogram)
{
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < HISTOGRAM_BUCKETS; i++)
		if (histogram->counts[i] > 0)
			appendStringInfo(&text, "%lld:%lld ", (long long) histogram_low(i), (long long) histogram->counts[i]);
	return CStringGetTextDatum(text.data);
}

static void
write_delays(RollUp *sums, TimestampTz kept_from)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {INT4OID, DATEOID, TEXTOID};
	SsSet	   *set = set_create(lengthof(types), types, (int) hash_get_num_entries(sums->delays));
	HASH_SEQ_STATUS all;
	DelaySum   *entry;

	hash_seq_init(&all, sums->delays);
	while ((entry = hash_seq_search(&all)) != NULL)
	{
		if (entry->key.day * USECS_PER_DAY - ZONE_QUARTERS * SALE_QUARTER_US < kept_from)
			continue;
		set_add_row(set);
		set_put(set, 0, Int32GetDatum((int32) entry->key.store_id));
		set_put(set, 1, DateADTGetDatum((DateADT) entry->key.day));
		set_put(set, 2, histogram_text(entry->histogram));
	}
	if (set->rows > 0)
		set_execute(&plan,
					"INSERT INTO storesync.delay_day AS d (platform, day, stage, histogram) "
					"SELECT s.platform, u.day, 'booked', storesync.delay_sum(u.histogram::storesync.histogram) "
					"FROM unnest($1, $2, $3) AS u (store_id, day, histogram) "
					"JOIN storesync.store s ON s.store_id = u.store_id "
					"GROUP BY s.platform, u.day ORDER BY s.platform, u.day "
					"ON CONFLICT (platform, day, stage) DO UPDATE SET histogram = "
					"(SELECT storesync.delay_sum(h) FROM (VALUES (d.histogram), (excluded.histogram)) v (h))",
					SPI_OK_INSERT, set);
}

void
rollup_write(RollUp *sums, TimestampTz kept_from)
{
	write_quarters(sums, kept_from);
	write_months(sums, kept_from);
	write_delays(sums, kept_from);
}
