/*
 * offer.c
 *		The triggers of listings that say when a price or a listing state has
 *		to be written to a platform.
 *
 * A row of storesync.offer is made by the first change: what nobody has ever
 * changed here is never written. They are on UPDATE and DELETE alone, so that
 * a restored dump fires none.
 */
#include "storesync.h"

#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "utils/rel.h"

#include "set.h"
#include "transition.h"

PG_FUNCTION_INFO_V1(offer_changed);
PG_FUNCTION_INFO_V1(offer_renamed);

/* changed_in returns the listings whose column of this name changed, ascending. Version 1.0 has the trigger on each row. */
static int64 *
changed_in(TriggerData *trigger, const char *column, int *n)
{
	const char *const names[] = {column, NULL};
	Transition	row = {.trigger = trigger, .old = trigger->tg_trigslot, .new = trigger->tg_newslot};
	int64	   *id;

	if (TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event))
		return transition_ids(trigger, names, false, n);
	id = palloc(sizeof(int64));
	*id = transition_int(row.new, 1);
	*n = transition_row_differs(&row, transition_columns(RelationGetDescr(trigger->tg_relation), names, false)) ? 1 : 0;
	return id;
}

/* WANT has a facet of listings written: their tries begin anew. */
#define WANT(facet) \
	"INSERT INTO storesync.offer AS o (listing_id, facet, store_id, incarnation, changed_at, next_at) " \
	"SELECT l.listing_id, '" facet "', l.store_id, storesync.current_incarnation(), clock_timestamp(), clock_timestamp() " \
	"FROM storesync.listing l WHERE l.listing_id = ANY ($1) ORDER BY l.listing_id " \
	"ON CONFLICT (listing_id, facet) DO UPDATE SET store_id = excluded.store_id, incarnation = excluded.incarnation, " \
	"changed_at = excluded.changed_at, next_at = excluded.next_at, dead = false, attempts = 0, reason = NULL, story = '[]', " \
	"acked = CASE WHEN o.incarnation = excluded.incarnation THEN o.acked END, " \
	"sending = CASE WHEN o.incarnation = excluded.incarnation THEN o.sending END"

/* want_prices: a campaign of another price than is wanted now is over. */
static void
want_prices(int n, const int64 *listings)
{
	static SPIPlanPtr want_plan = NULL;
	static SPIPlanPtr end_plan = NULL;

	if (n == 0)
		return;
	ss_execute_ids(&want_plan, WANT("price"), SPI_OK_INSERT, n, listings);
	ss_execute_ids(&end_plan,
				   "DELETE FROM storesync.planned_offer p USING storesync.listing l "
				   "WHERE p.listing_id = ANY ($1) AND p.action = 'back' AND l.listing_id = p.listing_id "
				   "AND l.price IS DISTINCT FROM p.campaign",
				   SPI_OK_DELETE, n, listings);
}

/*
 * want_states: the state itself, and whether at_zero takes a listing off the
 * shelf. One that nothing was known of is the dispatcher's to look at then.
 */
static void
want_states(int nlisted, const int64 *listed, int nat_zero, const int64 *at_zero)
{
	static SPIPlanPtr want_plan = NULL;
	static SPIPlanPtr retry_plan = NULL;

	if (nat_zero > 0)
		ss_execute_ids(&retry_plan,
					   "UPDATE storesync.offer o SET changed_at = clock_timestamp(), next_at = clock_timestamp(), "
					   "dead = false, attempts = 0, reason = NULL, story = '[]' "
					   "WHERE o.listing_id = ANY ($1) AND o.facet = 'listed'",
					   SPI_OK_UPDATE, nat_zero, at_zero);
	if (nlisted > 0)
		ss_execute_ids(&want_plan, WANT("listed"), SPI_OK_INSERT, nlisted, listed);
}

/* offer_changed (AFTER UPDATE, each statement) */
Datum
offer_changed(PG_FUNCTION_ARGS)
{
	static SPIPlanPtr plan = NULL;
	TriggerData *trigger = transition_trigger(fcinfo);
	int			npriced;
	int			nlisted;
	int			nat_zero;
	int64	   *priced = changed_in(trigger, "price", &npriced);
	int64	   *listed = changed_in(trigger, "listed", &nlisted);
	int64	   *at_zero = changed_in(trigger, "at_zero", &nat_zero);
	int64	   *all = palloc(Max(npriced + nlisted + nat_zero, 1) * sizeof(int64));
	SsSession	session;

	if (npriced + nlisted + nat_zero == 0)
		return PointerGetDatum(NULL);
	memcpy(all, priced, npriced * sizeof(int64));
	memcpy(all + npriced, listed, nlisted * sizeof(int64));
	memcpy(all + npriced + nlisted, at_zero, nat_zero * sizeof(int64));
	ss_enter(&session, "UPDATE", true);
	ss_plan_by_index();
	want_prices(npriced, priced);
	want_states(nlisted, listed, nat_zero, at_zero);
	ss_execute_ids(&plan, "SELECT storesync.offer_refresh($1)", SPI_OK_SELECT,
				   transition_sort_ids(all, npriced + nlisted + nat_zero), all);
	ss_leave(&session);
	return PointerGetDatum(NULL);
}

/*
 * offer_renamed (AFTER UPDATE of the ids, AFTER DELETE, each row) forgets what
 * the platform acknowledged: that was of another item. What is planned goes
 * with the listing.
 */
Datum
offer_renamed(PG_FUNCTION_ARGS)
{
	static SPIPlanPtr forget_plan = NULL;
	static SPIPlanPtr drop_plan = NULL;
	const Oid	types[] = {INT8OID};
	TriggerData *trigger = transition_trigger(fcinfo);
	Datum		listing_id = Int64GetDatum(transition_int(trigger->tg_trigslot, 1));
	SsSession	session;

	ss_enter(&session, "UPDATE", true);
	ss_plan_by_index();
	ss_execute(&forget_plan, "DELETE FROM storesync.offer WHERE listing_id = $1",
			   SPI_OK_DELETE, 1, types, &listing_id, NULL, 0);
	if (TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
		ss_execute(&drop_plan, "DELETE FROM storesync.planned_offer WHERE listing_id = $1",
				   SPI_OK_DELETE, 1, types, &listing_id, NULL, 0);
	ss_leave(&session);
	return PointerGetDatum(NULL);
}
