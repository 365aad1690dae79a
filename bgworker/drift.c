/*
 * drift.c
 *		Listings that wait for people to confirm a difference.
 *
 * The table drift says which; memory holds their ids alone, so that a listing
 * without a difference costs no statement. Whether it is over is asked each
 * time that the listing is compared.
 */
#include "drift.h"

#include "catalog/pg_type.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "set.h"
#include "version.h"

typedef struct Drift
{
	int64		listing_id;		/* hash key */
	bool		held;			/* as the table says now */
	int64		excess;			/* units that the shop shows too many, 0 for too few */
} Drift;

static HTAB *drifts = NULL;

void
drift_init(void)
{
	HASHCTL		control = {.keysize = sizeof(int64), .entrysize = sizeof(Drift), .hcxt = TopMemoryContext};

	drifts = hash_create("storesync differences", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

void
drift_add(int64 listing_id)
{
	(void) hash_search(drifts, &listing_id, HASH_ENTER, NULL);
}

bool
drift_holds(int64 listing_id)
{
	return hash_get_num_entries(drifts) > 0 && hash_search(drifts, &listing_id, HASH_FIND, NULL) != NULL;
}

void
drift_load(void)
{
	static SPIPlanPtr plan = NULL;
	HASH_SEQ_STATUS scan;
	Drift	   *drift;
	int64	   *ids;
	int			n;

	hash_seq_init(&scan, drifts);
	while ((drift = hash_seq_search(&scan)) != NULL)
		(void) hash_search(drifts, &drift->listing_id, HASH_REMOVE, NULL);
	if (!ss_sql_has(SS_SQL_1_1))
		return;
	ss_execute(&plan, "SELECT d.listing_id FROM storesync.drift d WHERE d.state IN ('proposed', 'rejected')",
			   SPI_OK_SELECT, 0, NULL, NULL, NULL, 0);
	ids = ss_read_ids(&n);
	for (int i = 0; i < n; i++)
		drift_add(ids[i]);
}

/* look asks the table about n listings; those that it does not name any more are forgotten. */
static void
look(int n, const int64 *listing_ids, int n_clean, const int64 *clean)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8ARRAYOID, INT8ARRAYOID};
	Datum		values[] = {ss_int8_array(n, listing_ids), ss_int8_array(n_clean, clean)};

	for (int i = 0; i < n; i++)
		((Drift *) hash_search(drifts, &listing_ids[i], HASH_FIND, NULL))->held = false;
	ss_execute(&plan, "SELECT x.listing_id, x.excess FROM storesync.drift_look($1, $2) x", SPI_OK_SELECT, 2, types, values, NULL, 0);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		int64		id = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));
		Drift	   *drift = hash_search(drifts, &id, HASH_FIND, NULL);

		drift->held = true;
		drift->excess = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2, &isnull));
	}
	SPI_freetuptable(SPI_tuptable);
	for (int i = 0; i < n; i++)
		if (!((Drift *) hash_search(drifts, &listing_ids[i], HASH_FIND, NULL))->held)
			(void) hash_search(drifts, &listing_ids[i], HASH_REMOVE, NULL);
}

/* is_below: a write of what is wanted is below what the shop shows, and below what was expected of it. */
static bool
is_below(const Terms *terms, const Drift *drift)
{
	int64		shows = terms->believed == TERMS_NONE ? terms->at_most : terms->believed;

	return terms->wanted == 0 || terms->wanted < shows - drift->excess;
}

void
drift_hold(ListingTerms *listings, int n)
{
	int64	   *ids;
	int64	   *clean;
	int			n_ids = 0;
	int			n_clean = 0;

	if (hash_get_num_entries(drifts) == 0)
		return;
	ids = palloc((n + 1) * sizeof(int64));
	clean = palloc((n + 1) * sizeof(int64));
	for (int i = 0; i < n; i++)
	{
		if (!drift_holds(listings[i].listing_id))
			continue;
		ids[n_ids++] = listings[i].listing_id;
		if (!listings[i].dirty)
			clean[n_clean++] = listings[i].listing_id;
	}
	if (n_ids == 0)
		return;
	look(n_ids, ids, n_clean, clean);
	for (int i = 0; i < n; i++)
	{
		const Drift *drift = hash_search(drifts, &listings[i].listing_id, HASH_FIND, NULL);

		if (drift != NULL && !is_below(&listings[i].terms, drift))
			listings[i].due = false;
	}
}
