/*
 * offer.c
 *		The row triggers of listings that say when a price or a listing state
 *		has to be written to a platform.
 *
 * A row of storesync.offer is made by the first change: what nobody has ever
 * changed here is never written. They are on UPDATE and DELETE alone, so that
 * a restored dump fires none.
 */
#include "storesync.h"

#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "utils/builtins.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(offer_changed);
PG_FUNCTION_INFO_V1(offer_renamed);

static TriggerData *
trigger_data(FunctionCallInfo fcinfo)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function was not called by a trigger")));
	return (TriggerData *) fcinfo->context;
}

static Datum
column_of(TriggerData *trigger, HeapTuple tuple, const char *name, bool *isnull)
{
	TupleDesc	desc = RelationGetDescr(trigger->tg_relation);

	return heap_getattr(tuple, SPI_fnumber(desc, name), desc, isnull);
}

static bool
price_differs(TriggerData *trigger)
{
	bool		old_null;
	bool		new_null;
	Datum		before = column_of(trigger, trigger->tg_trigtuple, "price", &old_null);
	Datum		after = column_of(trigger, trigger->tg_newtuple, "price", &new_null);

	return old_null != new_null || (!old_null && !DatumGetBool(DirectFunctionCall2(numeric_eq, before, after)));
}

static bool
listed_differs(TriggerData *trigger)
{
	bool		isnull;

	return DatumGetBool(column_of(trigger, trigger->tg_trigtuple, "listed", &isnull)) !=
		DatumGetBool(column_of(trigger, trigger->tg_newtuple, "listed", &isnull));
}

/* want has a facet of the listing written: its tries begin anew. */
static void
want(Datum listing_id, Datum store_id, const char *facet)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID, INT4OID, TEXTOID};
	Datum		values[] = {listing_id, store_id, CStringGetTextDatum(facet)};

	ss_execute(&plan,
			   "INSERT INTO storesync.offer AS o (listing_id, facet, store_id, incarnation, changed_at, next_at) "
			   "VALUES ($1, $3, $2, storesync.current_incarnation(), clock_timestamp(), clock_timestamp()) "
			   "ON CONFLICT (listing_id, facet) DO UPDATE SET store_id = excluded.store_id, incarnation = excluded.incarnation, "
			   "changed_at = excluded.changed_at, next_at = excluded.next_at, dead = false, attempts = 0, reason = NULL, story = '[]', "
			   "acked = CASE WHEN o.incarnation = excluded.incarnation THEN o.acked END, "
			   "sending = CASE WHEN o.incarnation = excluded.incarnation THEN o.sending END",
			   SPI_OK_INSERT, 3, types, values, NULL, 0);
}

/*
 * retry_state: whether at_zero takes a listing off the shelf has changed. One
 * that nothing was known of is the dispatcher's to look at.
 */
static void
retry_state(Datum listing_id)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID};

	ss_execute(&plan,
			   "UPDATE storesync.offer o SET changed_at = clock_timestamp(), next_at = clock_timestamp(), "
			   "dead = false, attempts = 0, reason = NULL, story = '[]' "
			   "WHERE o.listing_id = $1 AND o.facet = 'listed'",
			   SPI_OK_UPDATE, 1, types, &listing_id, NULL, 0);
}

/* end_campaign: a campaign of another price than is wanted now is over. */
static void
end_campaign(Datum listing_id)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID};

	ss_execute(&plan,
			   "DELETE FROM storesync.planned_offer p USING storesync.listing l "
			   "WHERE p.listing_id = $1 AND p.action = 'back' AND l.listing_id = $1 AND l.price IS DISTINCT FROM p.campaign",
			   SPI_OK_DELETE, 1, types, &listing_id, NULL, 0);
}

/* offer_changed (AFTER UPDATE OF price, listed, at_zero, each row in which one of them changed) */
Datum
offer_changed(PG_FUNCTION_ARGS)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID};
	TriggerData *trigger = trigger_data(fcinfo);
	bool		isnull;
	Datum		listing_id = column_of(trigger, trigger->tg_newtuple, "listing_id", &isnull);
	Datum		store_id = column_of(trigger, trigger->tg_newtuple, "store_id", &isnull);
	SsSession	session;

	ss_enter(&session, "UPDATE", true);
	ss_plan_by_index();
	if (price_differs(trigger))
	{
		want(listing_id, store_id, "price");
		end_campaign(listing_id);
	}
	if (listed_differs(trigger))
		want(listing_id, store_id, "listed");
	else
		retry_state(listing_id);
	ss_execute(&plan, "SELECT storesync.offer_refresh(ARRAY[$1])", SPI_OK_SELECT, 1, types, &listing_id, NULL, 0);
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
	TriggerData *trigger = trigger_data(fcinfo);
	bool		isnull;
	Datum		listing_id = column_of(trigger, trigger->tg_trigtuple, "listing_id", &isnull);
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
