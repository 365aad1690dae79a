/*
 * second_look.c
 *		Whether an hour whose orders were fetched had them all.
 *
 * A platform may list an order later than the overlap of two fetches reaches
 * back, and nobody would ever meet it again. So each hour is listed again at
 * the ages that platform.look_again names, and each order of it that is not
 * booked, or was booked as it stood before that hour, is fetched. A page at a
 * turn, one in LOOK_PACE_US at most, so that what is new never waits for it.
 *
 * How far the looks came is the table order_look, so that a restart goes on
 * there; an hour in which something was missing is a row of order_gap.
 *
 * No calls are made here.
 */
#include "second_look.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "record.h"
#include "retry.h"
#include "stores.h"

#define LOOK_PACE_US	(10 * USECS_PER_SEC)

static int
place_of(const RhythmLooks *looks, int64 age)
{
	for (int i = 0; i < looks->n; i++)
		if (looks->age[i] == age)
			return i;
	return -1;
}

static TimestampTz
hour_of(TimestampTz moment)
{
	return moment - moment % USECS_PER_HOUR;
}

void
look_set_ages(DispatchStore *store, ArrayType *ages)
{
	Look	   *look = &store->intake.look;
	RhythmLooks old = look->looks;
	Datum	   *elements;
	int			n;

	deconstruct_array(ages, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &elements, NULL, &n);
	look->looks.n = store->platform != NULL && store->platform->update_feed ? Min(n, RHYTHM_AGES) : 0;
	for (int i = 0; i < look->looks.n; i++)
	{
		int			place;

		look->looks.age[i] = DatumGetInt64(elements[i]);
		place = place_of(&old, look->looks.age[i]);
		look->looks.next[i] = place >= 0 ? old.next[place] : hour_of(look->since);
	}
}

void
look_start(DispatchStore *store, TimestampTz from)
{
	Look	   *look = &store->intake.look;

	if (look->since != 0)
		return;
	look->since = from;
	for (int i = 0; i < look->looks.n; i++)
		look->looks.next[i] = hour_of(from);
}

void
look_load(void)
{
	static SPIPlanPtr plan = NULL;
	bool		fresh = false;

	for (int i = 0; i < stores_count(); i++)
		fresh |= !stores_nth(i)->intake.look.loaded;
	if (!fresh)
		return;
	ss_execute(&plan,
			   "SELECT k.store_id, (extract(epoch FROM k.age) * 1000000)::bigint, k.looked_through "
			   "FROM storesync.order_look k", SPI_OK_SELECT, 0, NULL, NULL, NULL, 0);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		bool		isnull;
		DispatchStore *store = stores_find(DatumGetInt32(SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &isnull)));
		int			place;

		if (store == NULL || store->intake.look.loaded)
			continue;
		place = place_of(&store->intake.look.looks, DatumGetInt64(SPI_getbinval(row, SPI_tuptable->tupdesc, 2, &isnull)));
		if (place >= 0)
			store->intake.look.looks.next[place] =
				hour_of(DatumGetTimestampTz(SPI_getbinval(row, SPI_tuptable->tupdesc, 3, &isnull)));
	}
	SPI_freetuptable(SPI_tuptable);
	for (int i = 0; i < stores_count(); i++)
		stores_nth(i)->intake.look.loaded = true;
}

TimestampTz
look_due(const DispatchStore *store)
{
	const Look *look = &store->intake.look;
	TimestampTz due;

	if (look->since == 0 || look->looks.n == 0)
		return DT_NOEND;
	if (look->walking)
		return look->not_before;
	(void) rhythm_look(&look->looks, store->intake.fetched_through, &due);
	return Max(due, look->not_before);
}

void
look_begin(DispatchStore *store, TimestampTz now, TimestampTz *from, TimestampTz *to, const char **cursor)
{
	Look	   *look = &store->intake.look;

	if (!look->walking)
	{
		int64		due;
		int			place;

		rhythm_skip(&look->looks, now);
		place = rhythm_look(&look->looks, store->intake.fetched_through, &due);
		look->walking = true;
		look->age = look->looks.age[place];
		look->hour = look->looks.next[place];
		look->listed = 0;
		look->missing = 0;
		look->names[0] = '\0';
	}
	*from = look->hour;
	*to = look->hour + USECS_PER_HOUR - USECS_PER_SEC;
	*cursor = look->cursor != NULL ? look->cursor : "";
}

void
look_compare(DispatchStore *store, int n, const char *const *order_sns, bool *missing)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {INT4OID, TEXTARRAYOID, TIMESTAMPTZOID};
	Look	   *look = &store->intake.look;
	Datum	   *texts = palloc((n + 1) * sizeof(Datum));
	Datum		values[3];

	memset(missing, 0, n * sizeof(bool));
	for (int i = 0; i < n; i++)
		texts[i] = CStringGetTextDatum(order_sns[i]);
	values[0] = Int32GetDatum(store->store_id);
	values[1] = PointerGetDatum(construct_array(texts, n, TEXTOID, -1, false, TYPALIGN_INT));
	values[2] = TimestampTzGetDatum(look->hour);
	ss_execute(&plan,
			   "SELECT x.place FROM unnest($2) WITH ORDINALITY AS x (order_sn, place) "
			   "WHERE NOT EXISTS (SELECT FROM storesync.sales_order o "
			   "WHERE o.store_id = $1 AND o.order_sn = x.order_sn AND o.update_time >= $3)",
			   SPI_OK_SELECT, 3, types, values, NULL, 0);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		int64		place = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));

		missing[place - 1] = true;
		if (look->missing + (int) i < LOOK_NAMES)
		{
			if (look->names[0] != '\0')
				strlcat(look->names, " ", sizeof(look->names));
			strlcat(look->names, order_sns[place - 1], sizeof(look->names));
		}
	}
	look->listed += n;
	look->missing += (int) SPI_processed;
	SPI_freetuptable(SPI_tuptable);
}

static void
keep_cursor(Look *look, const char *cursor)
{
	if (look->cursor != NULL)
		pfree(look->cursor);
	look->cursor = cursor == NULL ? NULL : MemoryContextStrdup(TopMemoryContext, cursor);
}

/* end_hour records what was found, and goes on to the next hour. */
static void
end_hour(DispatchStore *store, Record *record)
{
	Look	   *look = &store->intake.look;
	int			place = place_of(&look->looks, look->age);

	look->walking = false;
	if (place >= 0)
		look->looks.next[place] = Max(look->looks.next[place], look->hour + USECS_PER_HOUR);
	record_look(record, store->store_id, look);
	if (look->missing > 0)
		ereport(LOG,
				(errmsg("storesync store %d: of %d orders of the hour from %s, %d had not been fetched",
						store->store_id, look->listed, timestamptz_to_str(look->hour), look->missing),
				 errdetail_internal("%s", look->names)));
}

void
look_ended(DispatchStore *store, TimestampTz now, const char *next_cursor, Record *record)
{
	Look	   *look = &store->intake.look;

	look->failures = 0;
	look->not_before = now + Min(store->poll_us, LOOK_PACE_US);
	keep_cursor(look, next_cursor);
	if (next_cursor == NULL)
		end_hour(store, record);
}

/* look_failed begins the hour anew after a pause: its cursor may have become too old. */
void
look_failed(DispatchStore *store, TimestampTz now)
{
	Look	   *look = &store->intake.look;

	look->walking = false;
	keep_cursor(look, NULL);
	look->not_before = now + retry_delay_us(++look->failures);
}
