/*
 * price_look.c
 *		Which prices and listing states are due, and when.
 *
 * The table knows what is open (offer.open, kept by the listing's trigger and
 * by outcomes). This file brings the moment of a store's next write into
 * memory, has a listing taken off the shelf when nothing is left of it
 * (listing.at_zero), and has a list in doubt read before it is done again.
 */
#include "price.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "dispatcher.h"
#include "feed.h"
#include "record.h"
#include "stores.h"

/* In the time in which work goes out after a peak window, a store is looked at this often. */
#define SPREAD_LOOK_US		USECS_PER_SEC

/* Listings with at_zero = 'unlist'; -1: not counted yet. */
static int64 n_at_zero = -1;

/* ---------------------------------------------------------------- when */

void
price_parts(const DispatchStore *store, TimestampTz now, double parts[PRICE_KINDS])
{
	for (int i = 0; i < PRICE_KINDS; i++)
	{
		/* taking something off the shelf lowers, all else waits until the store may raise */
		if (store->writes == WRITES_NONE || (store->writes == WRITES_LOWER && i != PRICE_UNLIST))
			parts[i] = 0;
		else
			parts[i] = peak_part(store, PEAK_PRICE + i, now);
	}
}

/* held_until says when a peak window will let more go out, DT_NOEND when none holds anything. */
static TimestampTz
held_until(const DispatchStore *store, TimestampTz now)
{
	TimestampTz until = DT_NOEND;

	for (int i = 0; i < PRICE_KINDS; i++)
	{
		const PeakHold *hold = &store->peaks[PEAK_PRICE + i];

		if (hold->until != 0 && now < hold->until + hold->spread_us)
			until = Min(until, Max(hold->until, now + SPREAD_LOOK_US));
	}
	return until;
}

/*
 * ask_reads has what is in doubt of being listed read before it is listed
 * again: whoever took it off since must not be overruled. Where the shop cannot
 * be asked it is listed again.
 */
static void
ask_reads(DispatchStore *store, const Datum *values)
{
	static SPIPlanPtr put_off_plan = NULL;
	static SPIPlanPtr give_up_plan = NULL;
	const Oid	types[] = {INT4OID, FLOAT8OID, FLOAT8OID, FLOAT8OID, TIMESTAMPTZOID};
	int			n;
	int64	   *ids;

	ss_execute(&put_off_plan,
			   "UPDATE storesync.offer o SET next_at = $5 + '1 minute'::interval FROM storesync.offer_state v "
			   "WHERE " PRICE_OPEN " AND v.kind = 'list' AND v.sending IS NOT NULL AND v.next_at <= $5 "
			   "AND o.listing_id = v.listing_id AND o.facet = v.facet RETURNING o.listing_id",
			   SPI_OK_UPDATE_RETURNING, 5, types, (Datum *) values, NULL, 0);
	ids = ss_read_ids(&n);
	for (int i = 0; i < n; i++)
	{
		const Oid	id_type[] = {INT8OID};
		Datum		id = Int64GetDatum(ids[i]);

		if (read_back_ask(store, ids[i]))
			store->prices.reading++;
		else
			ss_execute(&give_up_plan,
					   "UPDATE storesync.offer o SET sending = NULL, next_at = clock_timestamp() "
					   "WHERE o.listing_id = $1 AND o.facet = 'listed'",
					   SPI_OK_UPDATE, 1, id_type, &id, NULL, 0);
	}
}

void
price_look(DispatchStore *store)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT4OID, FLOAT8OID, FLOAT8OID, FLOAT8OID, TIMESTAMPTZOID};
	TimestampTz now = GetCurrentTimestamp();
	double		parts[PRICE_KINDS];
	Datum		values[5];
	bool		isnull;

	store->prices.due = DT_NOEND;
	if (store->prices.flying || store->platform == NULL || store->writes == WRITES_NONE)
		return;
	price_parts(store, now, parts);
	values[0] = Int32GetDatum(store->store_id);
	for (int i = 0; i < PRICE_KINDS; i++)
		values[i + 1] = Float8GetDatum(parts[i]);
	values[4] = TimestampTzGetDatum(now);
	ask_reads(store, values);
	ss_execute(&plan,
			   "SELECT v.next_at FROM storesync.offer_state v WHERE " PRICE_OPEN " ORDER BY v.next_at LIMIT 1",
			   SPI_OK_SELECT, 4, types, values, NULL, 1);
	if (SPI_processed > 0)
		store->prices.due = DatumGetTimestampTz(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	store->prices.due = Min(store->prices.due, held_until(store, now));
}

/* look_selected looks at the stores whose ids the last query returned. */
static void
look_selected(void)
{
	int			n;
	int64	   *ids = ss_read_ids(&n);

	for (int i = 0; i < n; i++)
	{
		DispatchStore *store = stores_find((int) ids[i]);

		if (store != NULL)
			price_look(store);
	}
}

/* look_at looks at the stores of which one of these listings has something open. */
static void
look_at(int n, const int64 *listing_ids)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8ARRAYOID};
	Datum		values[] = {ss_int8_array(n, listing_ids)};

	/* that of a whole item may be open for another of its listings */
	ss_execute(&plan,
			   "SELECT DISTINCT l.store_id::bigint FROM storesync.listing l WHERE l.listing_id = ANY ($1) AND EXISTS ("
			   "SELECT FROM storesync.offer o WHERE o.store_id = l.store_id AND o.open AND NOT o.dead)",
			   SPI_OK_SELECT, 1, types, values, NULL, 0);
	look_selected();
}

void
price_load(void)
{
	static SPIPlanPtr plan = NULL;

	for (int i = 0; i < stores_count(); i++)
		stores_nth(i)->prices.due = DT_NOEND;
	ss_execute(&plan,
			   "SELECT s.store_id::bigint FROM storesync.store s WHERE EXISTS ("
			   "SELECT FROM storesync.offer o WHERE o.store_id = s.store_id AND o.open AND NOT o.dead)",
			   SPI_OK_SELECT, 0, NULL, NULL, NULL, 0);
	look_selected();
}

/* ---------------------------------------------------------------- zero */

/*
 * start_over closes what another life of the data left open: a restored copy
 * writes no price of then. Reads that a dispatcher before this one has asked
 * for are asked for again at once.
 */
static void
start_over(void)
{
	static SPIPlanPtr plan = NULL;
	static SPIPlanPtr doubt_plan = NULL;

	ss_execute(&plan,
			   "UPDATE storesync.offer o SET open = false, sending = NULL "
			   "WHERE o.open AND o.incarnation <> storesync.current_incarnation()",
			   SPI_OK_UPDATE, 0, NULL, NULL, NULL, 0);
	ss_execute(&doubt_plan,
			   "UPDATE storesync.offer o SET next_at = clock_timestamp() "
			   "WHERE o.open AND NOT o.dead AND o.sending IS NOT NULL AND o.next_at > clock_timestamp()",
			   SPI_OK_UPDATE, 0, NULL, NULL, NULL, 0);
}

static void
count_at_zero(void)
{
	static SPIPlanPtr plan = NULL;
	bool		isnull;

	ss_execute(&plan, "SELECT count(*) FROM storesync.listing l WHERE l.at_zero = 'unlist'",
			   SPI_OK_SELECT, 0, NULL, NULL, NULL, 1);
	n_at_zero = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
}

/*
 * turn_at_zero has listings taken off the shelf that show nothing and are to
 * show nothing, and put back those that show something again. The quantity
 * goes first either way: while it is under way nothing is sold too often, and
 * what comes back to the shelf is there to be sold. One whose quantity is not
 * known stays as it is. Returns them.
 */
static int64 *
turn_at_zero(bool everything, Datum listings, Datum skus, int *n)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {BOOLOID, INT8ARRAYOID, INT8ARRAYOID};
	Datum		values[] = {BoolGetDatum(everything), listings, skus};

	ss_execute(&plan,
			   "INSERT INTO storesync.offer AS o (listing_id, facet, store_id, incarnation, changed_at, next_at, at_zero) "
			   "SELECT t.listing_id, 'listed', t.store_id, storesync.current_incarnation(), clock_timestamp(), clock_timestamp(), t.wanted = 0 "
			   "FROM storesync.listing_target t "
			   "LEFT JOIN storesync.offer w ON w.listing_id = t.listing_id AND w.facet = 'listed' "
			   "WHERE t.listing_id = ANY (ARRAY(SELECT l.listing_id FROM storesync.listing l WHERE l.at_zero = 'unlist' "
			   "AND ($1 OR l.listing_id = ANY ($2) OR l.sku_id = ANY ($3) OR l.sku_id IN ("
			   "SELECT c.bundle_id FROM storesync.component c WHERE c.sku_id = ANY ($3) AND c.qty > 0)))) "
			   "AND t.enabled AND (t.wanted = 0) = (t.believed = 0) AND (t.wanted = 0) <> coalesce(w.at_zero, false) "
			   "ON CONFLICT (listing_id, facet) DO UPDATE SET at_zero = excluded.at_zero, changed_at = excluded.changed_at, "
			   "next_at = excluded.next_at, dead = false, attempts = 0, reason = NULL, story = '[]', incarnation = excluded.incarnation, "
			   "acked = CASE WHEN o.incarnation = excluded.incarnation THEN o.acked END "
			   "RETURNING o.listing_id",
			   SPI_OK_INSERT_RETURNING, 3, types, values, NULL, 0);
	return ss_read_ids(n);
}

/*
 * refresh brings what is open in line with what is committed by now. The
 * listings' trigger has done so with what it saw: two that take the last models
 * of an item off the shelf at once each saw the other's on it.
 */
static void
refresh(int n, const int64 *listing_ids)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8ARRAYOID};
	Datum		values[] = {ss_int8_array(n, listing_ids)};

	ss_execute(&plan, "SELECT storesync.offer_refresh($1)", SPI_OK_SELECT, 1, types, values, NULL, 0);
}

/* refresh_all is for changes that were not told one by one. */
static void
refresh_all(void)
{
	static SPIPlanPtr plan = NULL;

	ss_execute(&plan,
			   "SELECT storesync.offer_refresh(ARRAY(SELECT o.listing_id FROM storesync.offer o WHERE o.facet = 'listed'))",
			   SPI_OK_SELECT, 0, NULL, NULL, NULL, 0);
}

/* add_ids appends the first column of a set. */
static void
add_ids(int64 *ids, int *n, const SsSet *set)
{
	for (int i = 0; set != NULL && i < set->rows; i++)
		ids[(*n)++] = DatumGetInt64(set->values[0][i]);
}

void
price_heed(const Feed *feed, const Record *record, bool starting, bool everything)
{
	const SsSet *again = record->again;
	const SsSet *clean = record->clean;
	int			n_skus = 0;
	int			n = 0;
	int			n_turned;
	int64	   *skus = palloc(sizeof(int64) * ((feed->skus != NULL ? feed->skus->rows : 0) + 1));
	/* the feed's may be more than this round compares */
	int			n_told = feed->listings != NULL ? feed->listings->rows : 0;
	int64	   *listings = palloc(sizeof(int64) * (Max(n_told, again->rows + clean->rows) + 1));
	int64	   *turned;

	if (starting)
		start_over();
	if (starting || everything)
	{
		refresh_all();
		price_load();
	}
	if (everything || n_at_zero < 0 || n_told > 0)
		count_at_zero();
	if (n_told > 0)
	{
		add_ids(listings, &n, feed->listings);
		refresh(n, listings);
		look_at(n, listings);
		n = 0;
	}
	add_ids(skus, &n_skus, feed->skus);
	add_ids(listings, &n, again);
	add_ids(listings, &n, clean);
	if (n_at_zero == 0 || (!everything && n + n_skus == 0))
		return;
	turned = turn_at_zero(everything, ss_int8_array(n, listings), ss_int8_array(n_skus, skus), &n_turned);
	if (n_turned == 0)
		return;
	refresh(n_turned, turned);
	look_at(n_turned, turned);
}

/* ---------------------------------------------------------------- reads */

void
price_read(DispatchStore *store, int64 listing_id, const ShownItem *shown)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID, NUMERICOID};
	Datum		values[] = {Int64GetDatum(listing_id), (Datum) 0};

	if (store->prices.reading == 0)
		return;
	store->prices.reading--;
	if (shown != NULL)
		values[1] = DirectFunctionCall1(int4_numeric, Int32GetDatum(shown->listed ? 1 : 0));
	ss_execute(&plan,
			   "UPDATE storesync.offer o SET acked = $2, acked_at = CASE WHEN $2 IS NOT NULL THEN clock_timestamp() END, "
			   "sending = NULL, next_at = clock_timestamp() "
			   "FROM storesync.listing l JOIN storesync.listing s ON s.store_id = l.store_id AND s.item_id = l.item_id "
			   "WHERE l.listing_id = $1 AND o.listing_id = s.listing_id AND o.facet = 'listed' AND o.sending IS NOT NULL",
			   SPI_OK_UPDATE, 2, types, values, shown == NULL ? " n" : NULL, 0);
	refresh(1, &listing_id);
	price_news_add(listing_id);
	price_look(store);
}
