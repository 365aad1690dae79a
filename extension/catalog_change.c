/*
 * catalog_change.c
 *		The statement triggers that tell the dispatcher when an input of what
 *		listings should show has changed.
 *
 * They are on UPDATE alone: a restored dump must not fire them. They write in
 * the transaction that made the change and never look at what a platform
 * shows.
 *
 * What changed is read from the transition tables here and handed to statements
 * as an array of keys. Their plans are kept, often from a time when the tables
 * were empty, and must not be slow for an import of ten thousands of rows: so
 * they reach tables by index, or are made anew for many rows, and none has a
 * transition table of many rows in it.
 */
#include "storesync.h"

#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "utils/array.h"
#include "utils/guc.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

#include "outbox.h"
#include "set.h"
#include "transition.h"

PG_FUNCTION_INFO_V1(tell_siblings);
PG_FUNCTION_INFO_V1(listing_changed);
PG_FUNCTION_INFO_V1(listing_mapped);
PG_FUNCTION_INFO_V1(sku_changed);
PG_FUNCTION_INFO_V1(location_changed);
PG_FUNCTION_INFO_V1(store_changed);
PG_FUNCTION_INFO_V1(platform_changed);

/* append_subjects writes one outbox row for each subject, of a kind that has no version. */
static void
append_subjects(OutboxKind kind, int n, const int64 *subjects)
{
	outbox_append(kind, n, subjects, palloc0(Max(n, 1) * sizeof(int64)));
}

/* ---------------------------------------------------------------- last units */

/*
 * execute_sized runs a statement for one listing by a kept plan: planning the
 * view takes ten times as long as looking one listing up in it. For many it is
 * the other way round, and a plan made while the tables were small may read all of
 * them for each: that plan is made for these values alone.
 */
static void
execute_sized(bool many, SPIPlanPtr *plan, const char *sql, int expect, int nargs, Oid *types, Datum *values)
{
	int			code = expect;

	if (many)
		code = SPI_execute_with_args(sql, nargs, types, values, NULL, false, 0);
	else
		ss_execute(plan, sql, expect, nargs, types, values, NULL, 0);
	if (code != expect)
		elog(ERROR, "unexpected result of \"%s\": %s", sql, SPI_result_code_string(code));
}

/*
 * The SKUs whose last units matter to another of their listings. A kept plan for
 * one listing has to know that it is one.
 */
#define FEW_LEFT(what, is_listing) \
	"SELECT " what " FROM storesync.listing_target t " \
	"JOIN storesync.sku k ON k.sku_id = t.sku_id " \
	"WHERE t.listing_id = " is_listing " AND k.solo_below > 0 AND t.left_units > 0 " \
	"AND EXISTS (SELECT FROM storesync.listing m " \
	"WHERE m.sku_id = t.sku_id AND ($2 OR m.listing_id <> t.listing_id) " \
	"AND (t.left_units < k.solo_below OR floor(t.left_units * m.share / m.pack) - m.buffer <= 0))"

/*
 * tell_siblings(listings, them): whoever shows the last units decides what the
 * others show. Told of are SKUs that have, or could come to have, one such
 * listing, with all their listings: more than needed, never fewer.
 */
Datum
tell_siblings(PG_FUNCTION_ARGS)
{
	static SPIPlanPtr find = NULL;
	static SPIPlanPtr revise = NULL;
	ArrayType  *listings = PG_GETARG_ARRAYTYPE_P(0);
	bool		many = ArrayGetNItems(ARR_NDIM(listings), ARR_DIMS(listings)) > 1;
	Oid			types[] = {INT8ARRAYOID, BOOLOID, INT8ARRAYOID};
	Datum		values[] = {PointerGetDatum(listings), PG_GETARG_DATUM(1), (Datum) 0};
	SsSession	session;
	int64	   *skus;
	int			n;

	ss_enter(&session, "tell_siblings()", true);
	/* compiling the view would take longer than reading it */
	(void) set_config_option("jit", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	/* not by index: a table of the view has no fitting one, and the cost of that would hide all other differences */
	execute_sized(many, &find, many ? FEW_LEFT("DISTINCT t.sku_id", "ANY ($1)") " ORDER BY 1" :
				  FEW_LEFT("t.sku_id", "($1)[1]"), SPI_OK_SELECT, 2, types, values);
	skus = ss_read_ids(&n);
	if (n > 0)
	{
		if (!many)
			ss_plan_by_index();
		values[2] = ss_int8_array(n, skus);
		/* NOT IN is hashed, <> ALL is not */
		execute_sized(many, &revise,
					  "UPDATE storesync.listing l SET revision = l.revision + 1 "
					  "WHERE l.sku_id = ANY ($3) AND ($2 OR l.listing_id NOT IN (SELECT unnest($1)))",
					  SPI_OK_UPDATE, 3, types, values);
		append_subjects(OUTBOX_STOCK, n, skus);
	}
	ss_leave(&session);
	PG_RETURN_VOID();
}

/* ---------------------------------------------------------------- listings */

typedef struct Revised
{
	int64		listing_id;
	int64		revision;
} Revised;

/* What an UPDATE made of listings. */
typedef struct ListingChanges
{
	int			nchanged;
	Revised    *changed;		/* in anything but a counter */
	int			nshaped;
	int64	   *shaped;			/* in anything that may move a quantity */
	int			nmoved;
	int64	   *moved;			/* SKUs that listings left or came to */
} ListingChanges;

static int
compare_revised(const void *a, const void *b)
{
	const Revised *left = a;
	const Revised *right = b;

	return (left->listing_id > right->listing_id) - (left->listing_id < right->listing_id);
}

/* collect_listings reads what changed from the transition tables, each list in the order of its ids. */
static void
collect_listings(const TriggerData *trigger, ListingChanges *changes)
{
	static const char *const counters[] = {"revision", "shaped", "freed", NULL};
	/* what moves no quantity: neither this listing's nor that of the others of its SKU */
	static const char *const shapeless[] = {"revision", "shaped", "freed", "price", "price_floor", "listed", "at_zero", NULL};
	TupleDesc	desc = RelationGetDescr(trigger->tg_relation);
	bool	   *counts = transition_columns(desc, counters, true);
	bool	   *shapes = transition_columns(desc, shapeless, true);
	int			revision = SPI_fnumber(desc, "revision");
	int			sku_id = SPI_fnumber(desc, "sku_id");
	int64		rows = tuplestore_tuple_count(trigger->tg_newtable);
	Transition	row;

	memset(changes, 0, sizeof(*changes));
	changes->changed = palloc(rows * sizeof(Revised));
	changes->shaped = palloc(rows * sizeof(int64));
	changes->moved = palloc(rows * 2 * sizeof(int64));
	transition_begin(&row, trigger);
	while (transition_next(&row))
	{
		int64		listing_id = transition_int(row.new, 1);
		int64		old_sku = transition_int(row.old, sku_id);
		int64		new_sku = transition_int(row.new, sku_id);

		if (!transition_row_differs(&row, counts))
			continue;
		changes->changed[changes->nchanged++] = (Revised) {listing_id, transition_int(row.new, revision)};
		if (transition_row_differs(&row, shapes))
			changes->shaped[changes->nshaped++] = listing_id;
		if (old_sku != new_sku)
		{
			changes->moved[changes->nmoved++] = old_sku;
			changes->moved[changes->nmoved++] = new_sku;
		}
	}
	transition_end(&row);
	if (changes->nchanged > 0)
		qsort(changes->changed, changes->nchanged, sizeof(Revised), compare_revised);
	changes->nshaped = transition_sort_ids(changes->shaped, changes->nshaped);
	changes->nmoved = transition_sort_ids(changes->moved, changes->nmoved);
}

static void
append_listings(int n, const Revised *changed)
{
	int64	   *subjects = palloc(n * sizeof(int64));
	int64	   *versions = palloc(n * sizeof(int64));

	for (int i = 0; i < n; i++)
	{
		subjects[i] = changed[i].listing_id;
		versions[i] = changed[i].revision;
	}
	outbox_append(OUTBOX_LISTING, n, subjects, versions);
}

/* A revision raised alone comes from one of the triggers below, which tells of it itself. */
Datum
listing_changed(PG_FUNCTION_ARGS)
{
	static SPIPlanPtr plan = NULL;
	ListingChanges changes;
	SsSession	session;

	collect_listings(transition_trigger(fcinfo), &changes);
	if (changes.nchanged == 0)
		return PointerGetDatum(NULL);
	ss_enter(&session, "UPDATE", true);
	append_listings(changes.nchanged, changes.changed);
	if (changes.nshaped > 0)
		ss_execute_ids(&plan, "SELECT storesync.tell_siblings($1)", SPI_OK_SELECT, changes.nshaped, changes.shaped);
	if (changes.nmoved > 0)
		append_subjects(OUTBOX_STOCK, changes.nmoved, changes.moved);
	ss_leave(&session);
	return PointerGetDatum(NULL);
}

/* listing_mapped has the parked order lines booked of listings that came to stand for another item or SKU. */
Datum
listing_mapped(PG_FUNCTION_ARGS)
{
	static const char *const mapping[] = {"store_id", "sku_id", "item_id", "model_id", NULL};
	static SPIPlanPtr plan = NULL;
	SsSession	session;
	int			n;
	int64	   *listings = transition_ids(transition_trigger(fcinfo), mapping, false, &n);

	if (n == 0)
		return PointerGetDatum(NULL);
	ss_enter(&session, "UPDATE", true);
	ss_execute_ids(&plan, "SELECT storesync.take_up_listings($1)", SPI_OK_SELECT, n, listings);
	ss_leave(&session);
	return PointerGetDatum(NULL);
}

/* ---------------------------------------------------------------- what listings depend on */

/* The listings of SKUs and of bundles of them get a new revision; skus: a query of those. */
#define REVISE_SKUS(skus) \
	"UPDATE storesync.listing l SET revision = l.revision + 1 WHERE l.sku_id = ANY (ARRAY(" \
	skus " UNION SELECT c.bundle_id FROM storesync.component c WHERE c.qty > 0 AND c.sku_id = ANY (ARRAY(" skus "))))"

Datum
sku_changed(PG_FUNCTION_ARGS)
{
	static const char *const inputs[] = {"safety_stock", "allow_backorder", "solo_below", NULL};
	static SPIPlanPtr plan = NULL;
	SsSession	session;
	int			n;
	int64	   *skus = transition_ids(transition_trigger(fcinfo), inputs, false, &n);

	if (n == 0)
		return PointerGetDatum(NULL);
	ss_enter(&session, "UPDATE", true);
	ss_plan_by_index();
	ss_execute_ids(&plan, REVISE_SKUS("SELECT unnest($1)"), SPI_OK_UPDATE, n, skus);
	append_subjects(OUTBOX_STOCK, n, skus);
	ss_leave(&session);
	return PointerGetDatum(NULL);
}

Datum
location_changed(PG_FUNCTION_ARGS)
{
	static const char *const inputs[] = {"sellable", NULL};
	static const int64 everything = 0;
	static SPIPlanPtr plan = NULL;
	SsSession	session;
	int			n;
	int64	   *locations = transition_ids(transition_trigger(fcinfo), inputs, false, &n);

	if (n == 0)
		return PointerGetDatum(NULL);
	ss_enter(&session, "UPDATE", true);
	ss_plan_by_index();
	ss_execute_ids(&plan, REVISE_SKUS("SELECT k.sku_id FROM storesync.stock_lock k WHERE k.location_id = ANY ($1::int[])"),
				SPI_OK_UPDATE, n, locations);
	append_subjects(OUTBOX_PLATFORM, 1, &everything);
	ss_leave(&session);
	return PointerGetDatum(NULL);
}

Datum
store_changed(PG_FUNCTION_ARGS)
{
	static const char *const none[] = {NULL};
	static const char *const inputs[] = {"mode", "paused", "priority", NULL};
	static SPIPlanPtr plan = NULL;
	TriggerData *trigger = transition_trigger(fcinfo);
	SsSession	session;
	int			n;
	int64	   *stores = transition_ids(trigger, none, true, &n);

	if (n == 0)
		return PointerGetDatum(NULL);
	ss_enter(&session, "UPDATE", true);
	append_subjects(OUTBOX_STORE, n, stores);
	stores = transition_ids(trigger, inputs, false, &n);
	if (n > 0)
		ss_execute_ids(&plan, "SELECT storesync.tell_siblings(ARRAY("
					"SELECT l.listing_id FROM storesync.listing l WHERE l.store_id = ANY ($1::int[])), true)",
					SPI_OK_SELECT, n, stores);
	ss_leave(&session);
	return PointerGetDatum(NULL);
}

/* There are as many platforms as codecs: their transition tables may be joined. */
Datum
platform_changed(PG_FUNCTION_ARGS)
{
	static const char *const none[] = {NULL};
	static const int64 everything = 0;
	static SPIPlanPtr plan = NULL;
	TriggerData *trigger = transition_trigger(fcinfo);
	SsSession	session;

	if (!transition_differs(trigger, none))
		return PointerGetDatum(NULL);
	ss_enter(&session, "UPDATE", true);
	ss_plan_by_index();
	if (SPI_register_trigger_data(trigger) != SPI_OK_TD_REGISTER)
		elog(ERROR, "could not register the transition tables");
	ss_execute(&plan,
			   "UPDATE storesync.listing l SET revision = l.revision + 1 WHERE l.store_id = ANY (ARRAY("
			   "SELECT s.store_id FROM storesync.store s JOIN after a USING (platform) JOIN before b USING (platform) "
			   "WHERE a.max_quantity <> b.max_quantity))",
			   SPI_OK_UPDATE, 0, NULL, NULL, NULL, 0);
	append_subjects(OUTBOX_PLATFORM, 1, &everything);
	ss_leave(&session);
	return PointerGetDatum(NULL);
}
