/*
 * listing.c
 *		Row triggers of a listing: its revision, and what is forgotten when it
 *		comes to stand for another item. catalog_change.c tells of the change.
 *
 * They are on UPDATE alone: a restored dump must not fire them. They write in
 * the transaction that made the change and never look at what a platform
 * shows.
 */
#include "storesync.h"

#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "utils/datum.h"
#include "utils/rel.h"

#include "transition.h"

PG_FUNCTION_INFO_V1(known_listing);
PG_FUNCTION_INFO_V1(listing_revise);
PG_FUNCTION_INFO_V1(listing_renamed);
PG_FUNCTION_INFO_V1(release_hold);

/* known_listing returns its argument, or raises SS_ERR_UNKNOWN_LISTING: SQL functions begin with it. */
Datum
known_listing(PG_FUNCTION_ARGS)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {INT8OID};
	Datum		values[] = {PG_GETARG_DATUM(0)};
	SsSession	session;
	bool		known;

	ss_enter(&session, "known_listing()", false);
	ss_execute(&plan, "SELECT FROM storesync.listing WHERE listing_id = $1",
			   SPI_OK_SELECT, 1, types, values, NULL, 1);
	known = SPI_processed == 1;
	ss_leave(&session);
	if (!known)
		ereport(ERROR,
				(errcode(SS_ERR_UNKNOWN_LISTING),
				 errmsg("listing %lld does not exist", (long long) PG_GETARG_INT64(0))));
	PG_RETURN_DATUM(PG_GETARG_DATUM(0));
}

/* Columns that follow from others. */
static const char *const counters[] = {"revision", "shaped", "freed", NULL};

/* differs_beside says whether a column other than those named in `besides` (ended by NULL) changed, bytewise. */
static bool
differs_beside(TriggerData *trigger, const char *const *besides)
{
	TupleDesc	desc = RelationGetDescr(trigger->tg_relation);

	for (int column = 1; column <= desc->natts; column++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, column - 1);
		bool		old_null;
		bool		new_null;
		Datum		old_value = heap_getattr(trigger->tg_trigtuple, column, desc, &old_null);
		Datum		new_value = heap_getattr(trigger->tg_newtuple, column, desc, &new_null);

		if (attribute->attisdropped || transition_is_named(NameStr(attribute->attname), besides))
			continue;
		if (old_null != new_null ||
			(!old_null && !datum_image_eq(old_value, new_value, attribute->attbyval, attribute->attlen)))
			return true;
	}
	return false;
}

/* drawn_versions returns the sum of the versions of all stock that a SKU's listings draw on. */
static int64
drawn_versions(int64 sku_id)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(sku_id)};
	SsSession	session;
	bool		isnull;
	int64		sum;

	ss_enter(&session, "listing_revise()", true);
	ss_execute(&plan, "SELECT storesync.drawn_versions($1)",
			   SPI_OK_SELECT, 1, types, values, NULL, 1);
	sum = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	ss_leave(&session);
	return sum;
}

static int64
int64_column(HeapTuple tuple, TupleDesc desc, const char *name)
{
	bool		isnull;

	return DatumGetInt64(heap_getattr(tuple, SPI_fnumber(desc, name), desc, &isnull));
}

static bool
hold_ends(const TriggerData *trigger)
{
	TupleDesc	desc = RelationGetDescr(trigger->tg_relation);
	int			held = SPI_fnumber(desc, "held");

	return !heap_attisnull(trigger->tg_trigtuple, held, desc) && heap_attisnull(trigger->tg_newtuple, held, desc);
}

/*
 * listing_revise (BEFORE UPDATE, each row) raises the revision with every
 * change and never lets it fall. A listing that moves to another SKU loses
 * the versions of the old one's stock: they are added to its revision, so
 * that the listing's version never falls either. `shaped` follows the revision
 * where more changed than what moves no quantity: a revision raised alone is
 * another table's way to say that it does. So does `freed` where a hold ends;
 * whoever ends a stop sets it with the revision, and says so that nothing else
 * has moved the listing.
 */
Datum
listing_revise(PG_FUNCTION_ARGS)
{
	static const char *const shapeless[] = {"revision", "shaped", "freed", "held", "price", "price_floor", "listed", "at_zero", NULL};
	TriggerData *trigger = transition_trigger(fcinfo);
	TupleDesc	desc = RelationGetDescr(trigger->tg_relation);
	int			columns[] = {SPI_fnumber(desc, "revision"), SPI_fnumber(desc, "shaped"), SPI_fnumber(desc, "freed")};
	int64		before = int64_column(trigger->tg_trigtuple, desc, "revision");
	int64		revision = int64_column(trigger->tg_newtuple, desc, "revision");
	int64		old_sku = int64_column(trigger->tg_trigtuple, desc, "sku_id");
	int64		freed = int64_column(trigger->tg_newtuple, desc, "freed");
	bool		differs = differs_beside(trigger, counters);
	bool		shapes = differs ? differs_beside(trigger, shapeless) :
		freed == int64_column(trigger->tg_trigtuple, desc, "freed");
	int64		least = differs ? before + 1 : before;
	Datum		values[3];
	bool		nulls[3] = {false, false, false};

	if (old_sku != int64_column(trigger->tg_newtuple, desc, "sku_id"))
		least += drawn_versions(old_sku);
	if (revision == before && revision >= least)
		return PointerGetDatum(trigger->tg_newtuple);
	revision = Max(revision, least);
	values[0] = Int64GetDatum(revision);
	values[1] = Int64GetDatum(shapes ? revision : int64_column(trigger->tg_trigtuple, desc, "shaped"));
	values[2] = Int64GetDatum(hold_ends(trigger) ? revision : freed);
	return PointerGetDatum(heap_modify_tuple_by_cols(trigger->tg_newtuple, desc, 3, columns, values, nulls));
}

/*
 * listing_renamed (deferred to the commit, each row) forgets what the platform
 * was believed to show: that was another item. At the commit, because until
 * then the dispatcher still writes, and acknowledges, the old one.
 */
Datum
listing_renamed(PG_FUNCTION_ARGS)
{
	static SPIPlanPtr plan = NULL;
	TriggerData *trigger = transition_trigger(fcinfo);
	Oid			types[] = {INT8OID};
	Datum		values[1];
	SsSession	session;

	values[0] = Int64GetDatum(int64_column(trigger->tg_newtuple, RelationGetDescr(trigger->tg_relation),
										   "listing_id"));
	ss_enter(&session, "UPDATE", true);
	ss_execute(&plan, "DELETE FROM storesync.listing_shown WHERE listing_id = $1",
			   SPI_OK_DELETE, 1, types, values, NULL, 0);
	ss_leave(&session);
	return PointerGetDatum(NULL);
}

/*
 * release_hold lets a held listing show its quantity again; true when it was
 * held. Raises SS_ERR_UNKNOWN_LISTING.
 */
Datum
release_hold(PG_FUNCTION_ARGS)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {INT8OID};
	Datum		values[1];
	SsSession	session;
	bool		released;

	values[0] = DirectFunctionCall1(known_listing, PG_GETARG_DATUM(0));
	ss_enter(&session, "release_hold()", true);
	ss_execute(&plan, "UPDATE storesync.listing SET held = NULL WHERE listing_id = $1 AND held IS NOT NULL",
			   SPI_OK_UPDATE, 1, types, values, NULL, 0);
	released = SPI_processed > 0;
	ss_leave(&session);
	PG_RETURN_BOOL(released);
}
