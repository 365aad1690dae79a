/*
 * verify_judge.c
 *		What compensate()'s readings of shops mean: the books judge
 *		(sql/68_verify.sql), here is what follows in memory.
 *
 * A reading is judged at once, by the orders that are known. One that differs
 * is judged again when the store's orders are fetched through the moment of
 * reading; meanwhile others are read.
 */
#include "verify_internal.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "drift.h"
#include "set.h"
#include "stores.h"

/* how_doubtful: a platform's times are trusted no closer than this, as in the view listing_target. */
static int64
how_doubtful(void)
{
	return (int64) ss_clock_doubt * 1000 + USECS_PER_SEC;
}

/* Columns of what is handed to verify_note. */
enum
{
	NOTE_LISTING, NOTE_ITEM, NOTE_MODEL, NOTE_QTY, NOTE_REASON, NOTE_SENT, NOTE_ANSWERED, NOTE_STORE, NOTE_FINAL, NOTE_LATE,
	NOTE_COLUMNS
};

static void
add_note(SsSet *set, const DispatchStore *store, const Reading *reading, bool final)
{
	Datum		values[NOTE_COLUMNS];
	bool		nulls[NOTE_COLUMNS] = {false};

	values[NOTE_LISTING] = Int64GetDatum(reading->item.listing_id);
	values[NOTE_ITEM] = CStringGetTextDatum(reading->item.item_id);
	values[NOTE_MODEL] = CStringGetTextDatum(reading->item.model_id);
	values[NOTE_QTY] = Int64GetDatum(reading->qty);
	nulls[NOTE_QTY] = reading->qty < 0;
	values[NOTE_REASON] = CStringGetTextDatum(reading->reason);
	nulls[NOTE_REASON] = reading->qty >= 0;
	values[NOTE_SENT] = TimestampTzGetDatum(reading->sent_at);
	values[NOTE_ANSWERED] = TimestampTzGetDatum(reading->answered_at);
	values[NOTE_STORE] = Int32GetDatum(store->store_id);
	values[NOTE_FINAL] = BoolGetDatum(final);
	values[NOTE_LATE] = BoolGetDatum(!store->platform->update_feed);
	set_add(set, values, nulls);
}

/* take_verdict does what follows from a judgement in memory: what differs is kept, all else is over. */
static void
take_verdict(StoreVerify *verify, int64 listing_id, const char *verdict, TimestampTz now, SsSet *again)
{
	Datum		changed[2] = {Int64GetDatum(listing_id), TimestampTzGetDatum(now)};
	int			i = 0;

	while (i < verify->n && verify->readings[i].item.listing_id != listing_id)
		i++;
	if (i == verify->n)
		return;
	if (strcmp(verdict, "differs") == 0)
	{
		verify->readings[i].state = READING_DOUBTFUL;
		verify->n_doubtful++;
		return;
	}
	if (strcmp(verdict, "proposed") == 0)
		drift_add(listing_id);
	if (strcmp(verdict, "proposed") == 0 || strcmp(verdict, "pushed") == 0 || strcmp(verdict, "unknown") == 0 ||
		strcmp(verdict, "agrees") == 0)
		set_add(again, changed, NULL);
	verify_forget(verify, i);
}

/* judge hands readings to the books; those that are not spoken of, as of listings that are gone, are forgotten. */
static void
judge(DispatchStore *store, SsSet *set, TimestampTz now, SsSet *again)
{
	static SPIPlanPtr plan = NULL;
	StoreVerify *verify = &store->verify;
	uint64		n;
	SPITupleTable *verdicts;

	set_execute(&plan,
				"SELECT x.listing_id, x.verdict FROM storesync.verify_note(($8)[1], $1, $2, $3, $4, $5, $6, $7, ($9)[1], ($10)[1]) x",
				SPI_OK_SELECT, set);
	n = SPI_processed;
	verdicts = SPI_tuptable;
	for (uint64 i = 0; i < n; i++)
	{
		bool		isnull;

		take_verdict(verify, DatumGetInt64(SPI_getbinval(verdicts->vals[i], verdicts->tupdesc, 1, &isnull)),
					 SPI_getvalue(verdicts->vals[i], verdicts->tupdesc, 2), now, again);
	}
	SPI_freetuptable(verdicts);
}

/* ripen: what was doubtful can be judged once its store's orders are fetched through the moment of reading. */
static void
ripen(DispatchStore *store)
{
	StoreVerify *verify = &store->verify;

	for (int i = 0; i < verify->n; i++)
	{
		Reading    *reading = &verify->readings[i];

		if (reading->state != READING_DOUBTFUL || reading->answered_at + how_doubtful() > store->lanes.fetched_through)
			continue;
		reading->state = READING_READ;
		verify->n_doubtful--;
	}
}

/* judge_read has all that was read judged; nothing of it is kept but what differs. */
static void
judge_read(DispatchStore *store, bool final, TimestampTz now, SsSet *again)
{
	static const Oid types[NOTE_COLUMNS] = {
		INT8OID, TEXTOID, TEXTOID, INT8OID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID, BOOLOID, BOOLOID
	};
	StoreVerify *verify = &store->verify;
	SsSet	   *set = set_create_in(CurrentMemoryContext, NOTE_COLUMNS, types);

	for (int i = 0; i < verify->n; i++)
		if (verify->readings[i].state == READING_READ)
			add_note(set, store, &verify->readings[i], final);
	if (set->rows == 0)
		return;
	judge(store, set, now, again);
	for (int i = verify->n - 1; i >= 0; i--)
		if (verify->readings[i].state == READING_READ)
			verify_forget(verify, i);
}

/* want_orders says through when orders are to be fetched for what is doubtful. */
static void
want_orders(StoreVerify *verify)
{
	verify->wants_through = 0;
	for (int i = 0; i < verify->n; i++)
	{
		TimestampTz wanted = verify->readings[i].answered_at + how_doubtful();

		if (verify->readings[i].state == READING_DOUBTFUL && (verify->wants_through == 0 || wanted < verify->wants_through))
			verify->wants_through = wanted;
	}
}

void
verify_judge(DispatchStore *store, TimestampTz now, SsSet *again)
{
	judge_read(store, false, now, again);
	ripen(store);
	judge_read(store, true, now, again);
	want_orders(&store->verify);
}
