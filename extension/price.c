/*
 * price.c
 *		Prices: set_price(), campaigns that end by themselves, and changes of
 *		price or listing state that were planned for later.
 *
 * What is wanted are columns of the listing; whoever changes them, the row
 * trigger (offer.c) says that a write is due. So nothing here knows a
 * platform, and no price is ever carried by a task: it is read when its call
 * is built.
 *
 * Locking: the listing's row, then the key and what is planned of the listing.
 * Two calls with one key for one listing meet at the listing; the second finds
 * the key and answers from it.
 */
#include "price.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/json.h"
#include "utils/numeric.h"

#include "answer.h"
#include "key.h"
#include "ledger.h"

/* How far ahead a change may be planned, as with tasks. */
#define MAX_AHEAD	(366 * USECS_PER_DAY)
/* Prices are below this. */
#define MAX_PRICE	INT64CONST(1000000000000)

PG_FUNCTION_INFO_V1(set_price);

enum
{
	ARG_LISTING, ARG_PRICE, ARG_KEY, ARG_NOT_BEFORE, ARG_UNTIL, ARG_FORCE
};

typedef struct PriceRequest
{
	int64		listing_id;
	Datum		price;			/* numeric */
	const IdempotencyKey *key;
	TimestampTz not_before;		/* 0: now */
	TimestampTz until;			/* 0: for good */
	bool		force;
	uint64		fingerprint;
} PriceRequest;

/* What the listing's row says, under its lock. */
typedef struct PriceListing
{
	int32		store_id;
	bool		has_price;		/* or had one before the campaign that is on */
	bool		below_floor;
	bool		too_much;		/* changed by more than the store allows */
	char	   *floor;
	char	   *price;			/* NULL: none */
	char	   *most;			/* the largest change, of its price, NULL: any */
} PriceListing;

/* ---------------------------------------------------------------- the request */

static uint64
request_fingerprint(const PriceRequest *request, const char *not_before, const char *until)
{
	char		listing[32];
	const char *parts[6] = {"set_price", listing, NULL, not_before, until, request->force ? "force" : ""};
	int			lengths[6];

	snprintf(listing, sizeof(listing), "%lld", (long long) request->listing_id);
	/* 100 and 100.00 are one price */
	parts[2] = DatumGetCString(DirectFunctionCall1(numeric_out,
												   DirectFunctionCall1(numeric_trim_scale, request->price)));
	for (int i = 0; i < (int) lengthof(parts); i++)
		lengths[i] = (int) strlen(parts[i]);
	return ss_fingerprint(lengthof(parts), parts, lengths);
}

static void
check_price(Datum price)
{
	Datum		most = NumericGetDatum(int64_to_numeric(MAX_PRICE));
	Datum		zero = NumericGetDatum(int64_to_numeric(0));

	/* neither NaN nor infinity is below the one, nor above the other */
	if (!DatumGetBool(DirectFunctionCall2(numeric_gt, price, zero)) ||
		!DatumGetBool(DirectFunctionCall2(numeric_lt, price, most)))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("price must be above 0 and below 10^12")));
}

/* read_time reads a moment that may be missing (0); `text` gets it for the fingerprint. */
static TimestampTz
read_time(FunctionCallInfo fcinfo, int number, const char *what, char *text)
{
	TimestampTz at;
	int			utc = 0;

	text[0] = '\0';
	if (PG_ARGISNULL(number))
		return 0;
	at = PG_GETARG_TIMESTAMPTZ(number);
	if (TIMESTAMP_NOT_FINITE(at) || at > GetCurrentTimestamp() + MAX_AHEAD)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("%s of a price cannot be more than 366 days ahead", what)));
	(void) JsonEncodeDateTime(text, TimestampTzGetDatum(at), TIMESTAMPTZOID, &utc);
	return at;
}

/* read_request checks every argument but the listing; nothing has been read or locked yet. */
static void
read_request(FunctionCallInfo fcinfo, PriceRequest *request)
{
	char		not_before[MAXDATELEN + 1];
	char		until[MAXDATELEN + 1];

	ledger_check_not_null(fcinfo, ARG_LISTING, "listing");
	ledger_check_not_null(fcinfo, ARG_PRICE, "price");
	ledger_check_not_null(fcinfo, ARG_KEY, "idempotency key");
	ledger_check_not_null(fcinfo, ARG_FORCE, "force");
	request->listing_id = PG_GETARG_INT64(ARG_LISTING);
	request->price = PG_GETARG_DATUM(ARG_PRICE);
	request->key = PG_GETARG_IDEMPOTENCY_KEY_P(ARG_KEY);
	request->force = PG_GETARG_BOOL(ARG_FORCE);
	check_price(request->price);
	request->not_before = read_time(fcinfo, ARG_NOT_BEFORE, "start", not_before);
	request->until = read_time(fcinfo, ARG_UNTIL, "end", until);
	key_check_age(request->key);
	request->fingerprint = request_fingerprint(request, not_before, until);
}

/* check_end refuses an end that is past, or not after the start: of a new request, not of a repeated one. */
static void
check_end(const PriceRequest *request)
{
	if (request->until != 0 && request->until <= Max(request->not_before, GetCurrentTimestamp()))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("end of a campaign is past, or not after its start")));
}

/* ---------------------------------------------------------------- the listing */

/* lock_listing locks the row and judges the new price by it; raises when there is none. */
static void
lock_listing(const PriceRequest *request, PriceListing *listing)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID, NUMERICOID};
	Datum		values[] = {Int64GetDatum(request->listing_id), request->price};
	HeapTuple	row;
	TupleDesc	desc;
	bool		isnull;

	ss_execute(&plan,
			   "SELECT l.store_id, l.price IS NOT NULL, coalesce($2 < l.price_floor, false), "
			   "coalesce(abs($2 - l.price) > l.price * s.max_price_change, false), "
			   "l.price_floor::text, l.price::text, trim_scale(s.max_price_change * 100)::text "
			   "FROM storesync.listing l JOIN storesync.store s ON s.store_id = l.store_id "
			   "WHERE l.listing_id = $1 FOR NO KEY UPDATE OF l",
			   SPI_OK_SELECT, 2, types, values, NULL, 1);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(SS_ERR_UNKNOWN_LISTING),
				 errmsg("listing %lld does not exist", (long long) request->listing_id)));
	row = SPI_tuptable->vals[0];
	desc = SPI_tuptable->tupdesc;
	listing->store_id = DatumGetInt32(SPI_getbinval(row, desc, 1, &isnull));
	listing->has_price = DatumGetBool(SPI_getbinval(row, desc, 2, &isnull));
	listing->below_floor = DatumGetBool(SPI_getbinval(row, desc, 3, &isnull));
	listing->too_much = DatumGetBool(SPI_getbinval(row, desc, 4, &isnull));
	listing->floor = SPI_getvalue(row, desc, 5);
	listing->price = SPI_getvalue(row, desc, 6);
	listing->most = SPI_getvalue(row, desc, 7);
}

static void
check_change(const PriceRequest *request, const PriceListing *listing)
{
	if (listing->below_floor)
		ereport(ERROR,
				(errcode(SS_ERR_PRICE_FLOOR),
				 errmsg("price of listing %lld would be below its floor", (long long) request->listing_id),
				 errdetail("Its price_floor is %s.", listing->floor)));
	if (listing->too_much && !request->force)
		ereport(ERROR,
				(errcode(SS_ERR_PRICE_CHANGE),
				 errmsg("price of listing %lld would change by more than its store allows", (long long) request->listing_id),
				 errdetail("It is %s, and max_price_change is %s %%.", listing->price, listing->most),
				 errhint("Say force => true when it is meant.")));
	if (request->until != 0 && !listing->has_price)
		ereport(ERROR,
				(errcode(SS_ERR_NO_PRICE),
				 errmsg("listing %lld has no price to come back to", (long long) request->listing_id),
				 errhint("Set the price that is to hold after the campaign first.")));
}

/*
 * apply_price makes a price the wanted one. Of a campaign the price before it
 * is kept, of one in another the price before the first. The row trigger ends
 * the campaign that was on, unless its price is the same.
 */
static void
apply_price(int64 listing_id, Datum price, TimestampTz until)
{
	static SPIPlanPtr back_plan = NULL;
	static SPIPlanPtr price_plan = NULL;
	static SPIPlanPtr plan_plan = NULL;
	const Oid	types[] = {INT8OID, NUMERICOID, TIMESTAMPTZOID, NUMERICOID};
	Datum		values[] = {Int64GetDatum(listing_id), price, TimestampTzGetDatum(until), (Datum) 0};
	bool		isnull = true;

	if (until != 0)
	{
		ss_execute(&back_plan,
				   "SELECT coalesce((SELECT p.price FROM storesync.planned_offer p "
				   "WHERE p.listing_id = l.listing_id AND p.action = 'back' AND p.campaign = l.price), l.price) "
				   "FROM storesync.listing l WHERE l.listing_id = $1",
				   SPI_OK_SELECT, 1, types, values, NULL, 1);
		if (SPI_processed > 0)
			values[3] = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	}
	ss_execute(&price_plan,
			   "WITH gone AS (DELETE FROM storesync.planned_offer p WHERE p.listing_id = $1 AND p.action = 'back') "
			   "UPDATE storesync.listing l SET price = $2 WHERE l.listing_id = $1 AND l.price IS DISTINCT FROM $2",
			   SPI_OK_UPDATE, 2, types, values, NULL, 0);
	/* a listing that has lost its price since the campaign was planned has none to come back to */
	if (until != 0 && !isnull)
		ss_execute(&plan_plan,
				   "INSERT INTO storesync.planned_offer (listing_id, due_at, action, price, campaign) "
				   "VALUES ($1, $3, 'back', $4, $2)",
				   SPI_OK_INSERT, 4, types, values, NULL, 0);
}

/* plan puts a change off, which the audit tells; nothing of the listing changes now, so its outbox row tells when to look. */
static void
plan(int64 listing_id, TimestampTz at, const char *action, Datum price, TimestampTz until)
{
	static SPIPlanPtr insert_plan = NULL;
	static SPIPlanPtr tell_plan = NULL;
	const Oid	types[] = {INT8OID, TIMESTAMPTZOID, TEXTOID, NUMERICOID, TIMESTAMPTZOID};
	Datum		values[] = {Int64GetDatum(listing_id), TimestampTzGetDatum(at), CStringGetTextDatum(action), price,
	TimestampTzGetDatum(until)};
	char		nulls[] = {' ', ' ', ' ', price == (Datum) 0 ? 'n' : ' ', until == 0 ? 'n' : ' ', '\0'};

	ss_execute(&insert_plan,
			   "WITH made AS ("
			   "  INSERT INTO storesync.planned_offer (listing_id, due_at, action, price, until) VALUES ($1, $2, $3, $4, $5) "
			   "  RETURNING *) "
			   "INSERT INTO storesync.audit (action, subject, after) "
			   "SELECT 'plan offer', concat('listing ', m.listing_id), jsonb_strip_nulls(to_jsonb(m)) FROM made m",
			   SPI_OK_INSERT, 5, types, values, nulls, 0);
	ss_execute(&tell_plan, "SELECT storesync.outbox_add('listing', ARRAY[$1])",
			   SPI_OK_SELECT, 1, types, values, NULL, 0);
}

/* ---------------------------------------------------------------- set_price */

/* enqueue_task makes the task that is done when the shop shows the price. */
static int64
enqueue_task(const PriceRequest *request, const PriceListing *listing)
{
	static SPIPlanPtr enqueue_plan = NULL;
	const Oid	types[] = {INT4OID, INT8OID, TIMESTAMPTZOID};
	Datum		values[] = {Int32GetDatum(listing->store_id), Int64GetDatum(request->listing_id),
	TimestampTzGetDatum(request->not_before)};
	bool		isnull;

	ss_execute(&enqueue_plan,
			   "SELECT storesync.enqueue($1, 'push_price', jsonb_build_object('listing', $2), NULL, $3)",
			   SPI_OK_SELECT, 3, types, values, request->not_before == 0 ? "  n" : NULL, 1);
	return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
}

/* change does what was asked for under a key that was not known a moment ago; returns the task. */
static int64
change(const PriceRequest *request)
{
	PriceListing listing;
	Answer		answer = {0};

	answer_prepare(request->key);
	lock_listing(request, &listing);
	/* while we waited for the row, a call with the same key may have done it */
	if (answer_find(request->key, request->fingerprint, &answer))
		return answer.available;
	check_end(request);
	check_change(request, &listing);
	if (request->not_before > GetCurrentTimestamp())
		plan(request->listing_id, request->not_before, "price", request->price, request->until);
	else
		apply_price(request->listing_id, request->price, request->until);
	answer.available = enqueue_task(request, &listing);
	if (answer_store(request->key, request->fingerprint, &answer))
		return answer.available;
	/* only a call for another listing can have used it: that is another request */
	(void) answer_find(request->key, request->fingerprint, &answer);
	elog(ERROR, "idempotency key vanished");
}

/* set_price(listing, price, key, not_before, valid_until, force) returns bigint */
Datum
set_price(PG_FUNCTION_ARGS)
{
	PriceRequest request = {0};
	SsSession	session;
	Answer		answer;
	int64		task;

	read_request(fcinfo, &request);
	ss_enter(&session, "storesync.set_price()", true);
	ss_plan_by_index();
	if (answer_find(request.key, request.fingerprint, &answer))
		task = answer.available;
	else
		task = change(&request);
	ss_leave(&session);
	PG_RETURN_INT64(task);
}

/* ---------------------------------------------------------------- planned changes */

static void
set_listed(int64 listing_id, bool listed)
{
	static SPIPlanPtr set_plan = NULL;
	const Oid	types[] = {INT8OID, BOOLOID};
	Datum		values[] = {Int64GetDatum(listing_id), BoolGetDatum(listed)};

	ss_execute(&set_plan, "UPDATE storesync.listing l SET listed = $2 WHERE l.listing_id = $1 AND l.listed <> $2",
			   SPI_OK_UPDATE, 2, types, values, NULL, 0);
}

void
price_want_listed(int64 listing_id, bool listed, TimestampTz at)
{
	if (at > GetCurrentTimestamp())
		plan(listing_id, at, listed ? "list" : "unlist", (Datum) 0, 0);
	else
		set_listed(listing_id, listed);
}

/* come_back ends a campaign: the price before it holds again, unless somebody has set another meanwhile. */
static void
come_back(int64 listing_id, Datum price, Datum campaign)
{
	static SPIPlanPtr back_plan = NULL;
	const Oid	types[] = {INT8OID, NUMERICOID, NUMERICOID};
	Datum		values[] = {Int64GetDatum(listing_id), price, campaign};

	ss_execute(&back_plan, "UPDATE storesync.listing l SET price = $2 WHERE l.listing_id = $1 AND l.price = $3",
			   SPI_OK_UPDATE, 3, types, values, NULL, 0);
}

/* A row of planned_offer, taken out. */
typedef struct Planned
{
	int64		listing_id;
	char	   *action;
	Datum		price;
	Datum		campaign;
	TimestampTz until;			/* 0: for good */
} Planned;

/*
 * take_planned takes out what is due, oldest first, of listings that nobody
 * holds; of others at the next call. Their rows are locked first, as everybody
 * who ends a campaign has them.
 */
static Planned *
take_planned(TimestampTz now, int max, int *n)
{
	static SPIPlanPtr take_plan = NULL;
	const Oid	types[] = {TIMESTAMPTZOID, INT4OID};
	Datum		values[] = {TimestampTzGetDatum(now), Int32GetDatum(max)};
	Planned    *taken;
	bool		isnull;

	ss_execute(&take_plan,
			   "WITH due AS MATERIALIZED (SELECT d.planned_offer_id, d.listing_id FROM storesync.planned_offer d "
			   "WHERE d.due_at <= $1 ORDER BY d.due_at, d.planned_offer_id LIMIT $2), "
			   "free AS MATERIALIZED (SELECT l.listing_id FROM storesync.listing l "
			   "WHERE l.listing_id IN (SELECT d.listing_id FROM due d) ORDER BY l.listing_id FOR NO KEY UPDATE SKIP LOCKED), "
			   "gone AS (DELETE FROM storesync.planned_offer p WHERE p.planned_offer_id IN (SELECT d.planned_offer_id FROM due d "
			   "WHERE d.listing_id IN (SELECT f.listing_id FROM free f) "
			   "OR NOT EXISTS (SELECT FROM storesync.listing l WHERE l.listing_id = d.listing_id)) RETURNING p.*) "
			   "SELECT g.listing_id, g.action, coalesce(g.price, 0), coalesce(g.campaign, 0), g.until FROM gone g "
			   "ORDER BY g.due_at, g.planned_offer_id",
			   SPI_OK_SELECT, 2, types, values, NULL, 0);
	*n = (int) SPI_processed;
	taken = palloc0(sizeof(Planned) * Max(*n, 1));
	for (int i = 0; i < *n; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		Datum		until = SPI_getbinval(row, desc, 5, &isnull);

		taken[i].until = isnull ? 0 : DatumGetTimestampTz(until);
		taken[i].listing_id = DatumGetInt64(SPI_getbinval(row, desc, 1, &isnull));
		taken[i].action = SPI_getvalue(row, desc, 2);
		taken[i].price = SPI_getbinval(row, desc, 3, &isnull);
		taken[i].campaign = SPI_getbinval(row, desc, 4, &isnull);
	}
	return taken;
}

int64
price_planned(TimestampTz now, int max)
{
	int			n;
	Planned    *taken = take_planned(now, max, &n);

	for (int i = 0; i < n; i++)
	{
		const Planned *planned = &taken[i];

		if (strcmp(planned->action, "back") == 0)
			come_back(planned->listing_id, planned->price, planned->campaign);
		else if (strcmp(planned->action, "price") != 0)
			set_listed(planned->listing_id, strcmp(planned->action, "list") == 0);
		/* a campaign that is over by now has never been */
		else if (planned->until == 0 || planned->until > now)
			apply_price(planned->listing_id, planned->price, planned->until);
	}
	return n;
}
