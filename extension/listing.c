/*
 * listing.c
 *		The triggers that tell the dispatcher when an input of what a listing
 *		should show has changed.
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

#include "outbox.h"
#include "transition.h"

PG_FUNCTION_INFO_V1(known_listing);
PG_FUNCTION_INFO_V1(listing_revise);
PG_FUNCTION_INFO_V1(listing_changed);
PG_FUNCTION_INFO_V1(listing_renamed);
PG_FUNCTION_INFO_V1(sku_changed);
PG_FUNCTION_INFO_V1(location_changed);
PG_FUNCTION_INFO_V1(store_changed);
PG_FUNCTION_INFO_V1(platform_changed);
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

static TriggerData *
trigger_data(FunctionCallInfo fcinfo)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function was not called by a trigger")));
	return (TriggerData *) fcinfo->context;
}

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
	TriggerData *trigger = trigger_data(fcinfo);
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

/* append_selected writes one outbox row for each (subject, version) that the last query returned. */
static void
append_selected(OutboxKind kind)
{
	uint64		n = SPI_processed;
	SPITupleTable *table = SPI_tuptable;
	int64	   *subjects;
	int64	   *versions;
	bool		isnull;

	if (n == 0)
		return;
	subjects = palloc(n * sizeof(int64));
	versions = palloc(n * sizeof(int64));
	for (uint64 i = 0; i < n; i++)
	{
		subjects[i] = DatumGetInt64(SPI_getbinval(table->vals[i], table->tupdesc, 1, &isnull));
		versions[i] = DatumGetInt64(SPI_getbinval(table->vals[i], table->tupdesc, 2, &isnull));
	}
	outbox_append(kind, (int) n, subjects, versions);
}

/* What an UPDATE statement has to tell, in statements over its transition tables `before` and `after`. */
typedef struct Telling
{
	OutboxKind	kind;
	const char *revise;			/* raises revisions; NULL: the rows' own triggers did */
	const char *subjects;		/* selects the subjects and versions that the outbox has to hear of */
	const char *siblings;		/* has listings compared that the change reaches only by last units; NULL: none */
	SPIPlanPtr	revise_plan;
	SPIPlanPtr	subjects_plan;
	SPIPlanPtr	siblings_plan;
} Telling;

/* tell_changes does so, in the transaction of the change; nothing follows for listings where nothing was to be told. */
static Datum
tell_changes(FunctionCallInfo fcinfo, Telling *telling)
{
	TriggerData *trigger = trigger_data(fcinfo);
	SsSession	session;
	bool		told;

	ss_enter(&session, "UPDATE", true);
	if (SPI_register_trigger_data(trigger) != SPI_OK_TD_REGISTER)
		elog(ERROR, "could not register the transition tables");
	if (telling->revise != NULL)
		ss_execute(&telling->revise_plan, telling->revise, SPI_OK_UPDATE, 0, NULL, NULL, NULL, 0);
	ss_execute(&telling->subjects_plan, telling->subjects, SPI_OK_SELECT, 0, NULL, NULL, NULL, 0);
	told = SPI_processed > 0;
	append_selected(telling->kind);
	if (told && telling->siblings != NULL)
		ss_execute(&telling->siblings_plan, telling->siblings, SPI_OK_SELECT, 0, NULL, NULL, NULL, 0);
	ss_leave(&session);
	return PointerGetDatum(NULL);
}

/* Each listing whose row changed in anything but these columns. */
#define CHANGED_BESIDE(columns) \
	"SELECT x.listing_id, max(x.revision) AS revision, min(x.sku_id) AS low, max(x.sku_id) AS high FROM (" \
	"SELECT a.listing_id, a.sku_id, a.revision, to_jsonb(a) - '{" columns "}'::text[] AS data FROM after a UNION ALL " \
	"SELECT b.listing_id, b.sku_id, b.revision, to_jsonb(b) - '{" columns "}'::text[] FROM before b) x " \
	"GROUP BY x.listing_id HAVING count(DISTINCT x.data) > 1"
#define COUNTERS			"revision,shaped,freed"
/* What moves no quantity: neither this listing's nor that of the others of its SKU. */
#define SHAPELESS			COUNTERS ",price,price_floor,listed,at_zero"

/*
 * A revision raised alone comes from one of the triggers below, which tells
 * of it itself. Grouped, not joined: the plan is kept from the first change,
 * mostly of one row, and a join planned for one row is quadratic for an import.
 */
Datum
listing_changed(PG_FUNCTION_ARGS)
{
	static Telling telling = {
		.kind = OUTBOX_LISTING,
		.subjects = "SELECT c.listing_id, c.revision FROM (" CHANGED_BESIDE(COUNTERS) ") c ORDER BY c.listing_id",
		.siblings = "WITH changed AS MATERIALIZED (" CHANGED_BESIDE(SHAPELESS) ") "
		"SELECT storesync.tell_siblings(ARRAY(SELECT c.listing_id FROM changed c)), "
		"(SELECT storesync.outbox_add('stock', array_agg(m.sku_id ORDER BY m.sku_id)) FROM ("
		"SELECT c.low AS sku_id FROM changed c WHERE c.low <> c.high UNION "
		"SELECT c.high FROM changed c WHERE c.low <> c.high) m HAVING count(*) > 0)"
	};

	if (!transition_differs(trigger_data(fcinfo), counters))
		return PointerGetDatum(NULL);
	return tell_changes(fcinfo, &telling);
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
	TriggerData *trigger = trigger_data(fcinfo);
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

Datum
sku_changed(PG_FUNCTION_ARGS)
{
	static Telling telling = {
		.kind = OUTBOX_STOCK,
		.revise = "UPDATE storesync.listing l SET revision = l.revision + 1 WHERE l.sku_id IN ("
		"SELECT unnest(a.sku_id || ARRAY(SELECT c.bundle_id FROM storesync.component c "
		"                                WHERE c.sku_id = a.sku_id AND c.qty > 0)) "
		"FROM after a JOIN before b USING (sku_id) "
		"WHERE (a.safety_stock, a.allow_backorder, a.solo_below) "
		"IS DISTINCT FROM (b.safety_stock, b.allow_backorder, b.solo_below))",
		.subjects = "SELECT a.sku_id, 0::bigint FROM after a JOIN before b USING (sku_id) "
		"WHERE (a.safety_stock, a.allow_backorder, a.solo_below) "
		"IS DISTINCT FROM (b.safety_stock, b.allow_backorder, b.solo_below) "
		"ORDER BY a.sku_id"
	};

	return tell_changes(fcinfo, &telling);
}

Datum
location_changed(PG_FUNCTION_ARGS)
{
	static Telling telling = {
		.kind = OUTBOX_PLATFORM,
		.revise = "UPDATE storesync.listing l SET revision = l.revision + 1 "
		"WHERE l.sku_id IN (SELECT unnest(k.sku_id || ARRAY(SELECT c.bundle_id "
		"  FROM storesync.component c WHERE c.sku_id = k.sku_id AND c.qty > 0)) "
		"FROM storesync.stock_lock k "
		"JOIN after a USING (location_id) JOIN before b USING (location_id) "
		"WHERE a.sellable <> b.sellable)",
		.subjects = "SELECT 0::bigint, 0::bigint FROM after a JOIN before b USING (location_id) "
		"WHERE a.sellable <> b.sellable LIMIT 1"
	};

	return tell_changes(fcinfo, &telling);
}

Datum
store_changed(PG_FUNCTION_ARGS)
{
	static Telling telling = {
		.kind = OUTBOX_STORE,
		.subjects = "SELECT a.store_id::bigint, 0::bigint FROM after a JOIN before b USING (store_id) "
		"WHERE a::text <> b::text ORDER BY a.store_id",
		.siblings = "SELECT storesync.tell_siblings(ARRAY(SELECT l.listing_id FROM storesync.listing l "
		"JOIN after a ON a.store_id = l.store_id JOIN before b ON b.store_id = l.store_id "
		"WHERE (a.mode, a.paused, a.priority) IS DISTINCT FROM (b.mode, b.paused, b.priority)), true)"
	};

	return tell_changes(fcinfo, &telling);
}

Datum
platform_changed(PG_FUNCTION_ARGS)
{
	static Telling telling = {
		.kind = OUTBOX_PLATFORM,
		.revise = "UPDATE storesync.listing l SET revision = l.revision + 1 "
		"FROM storesync.store s JOIN after a USING (platform) JOIN before b USING (platform) "
		"WHERE l.store_id = s.store_id AND a.max_quantity <> b.max_quantity",
		.subjects = "SELECT 0::bigint, 0::bigint FROM after a JOIN before b USING (platform) "
		"WHERE a::text <> b::text LIMIT 1"
	};

	return tell_changes(fcinfo, &telling);
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
