/*
 * price_task.c
 *		The tasks push_price, list and unlist.
 *
 * A task carries the listing alone. What it waits for are columns of the
 * listing, set when it was asked for or when it came to be due; whoever set
 * another value since has overtaken it.
 */
#include "price_task.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "price.h"
#include "task_event.h"

/* Without news a listing is looked at this often. */
#define LOOK_US		(10 * USECS_PER_SEC)

typedef enum Standing
{
	STANDS_PLANNED,				/* the change that it is about has not taken place yet */
	STANDS_OPEN,				/* to be written */
	STANDS_DONE,
	STANDS_OVERTAKEN,
	STANDS_DEAD,				/* given up */
	STANDS_NEVER				/* cannot be done, whatever is tried */
} Standing;

/* revive has the listing's price or state written: also one that nobody knew of, and one that was given up. */
static void
revive(const Task *task)
{
	static SPIPlanPtr open_plan = NULL;
	static SPIPlanPtr refresh_plan = NULL;
	const Oid	types[] = {INT8OID, TEXTOID};
	Datum		values[] = {Int64GetDatum(task->listing_id),
	CStringGetTextDatum(strcmp(task->kind, "push_price") == 0 ? "price" : "listed")};

	ss_execute(&open_plan,
			   "INSERT INTO storesync.offer AS o (listing_id, facet, store_id, incarnation, changed_at, next_at) "
			   "SELECT l.listing_id, $2, l.store_id, storesync.current_incarnation(), clock_timestamp(), clock_timestamp() "
			   "FROM storesync.listing l WHERE l.listing_id = $1 "
			   "ON CONFLICT (listing_id, facet) DO UPDATE SET dead = false, "
			   "attempts = CASE WHEN o.dead THEN 0 ELSE o.attempts END, next_at = CASE WHEN o.dead THEN excluded.next_at ELSE o.next_at END, "
			   "acked = CASE WHEN o.incarnation = excluded.incarnation THEN o.acked END, incarnation = excluded.incarnation",
			   SPI_OK_INSERT, 2, types, values, NULL, 0);
	ss_execute(&refresh_plan, "SELECT storesync.offer_refresh(ARRAY[$1])", SPI_OK_SELECT, 1, types, values, NULL, 0);
	price_look(task->store);
}

/* standing_of looks how it stands, and why where it never can. */
static Standing
standing_of(const Task *task, const char **why)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID, TEXTOID, TEXTOID};
	Datum		values[] = {Int64GetDatum(task->listing_id), CStringGetTextDatum(task->kind),
	CStringGetTextDatum(strcmp(task->kind, "push_price") == 0 ? "price" : "listed")};
	char	   *word;

	*why = "the listing does not exist any more";
	ss_execute(&plan,
			   "SELECT CASE WHEN EXISTS (SELECT FROM storesync.planned_offer p WHERE p.listing_id = $1 AND p.due_at <= clock_timestamp()) "
			   "THEN 'planned' WHEN NOT l.enabled THEN 'disabled' "
			   "WHEN storesync.is_overtaken($2, jsonb_build_object('listing', $1)) THEN 'overtaken' "
			   "WHEN $2 = 'push_price' AND l.price IS NULL THEN 'none' "
			   "WHEN v.below_floor THEN 'floor' WHEN v.dead AND v.open THEN 'dead' WHEN v.open THEN 'open' ELSE 'done' END "
			   "FROM storesync.listing l LEFT JOIN storesync.offer_state v ON v.listing_id = l.listing_id AND v.facet = $3 "
			   "WHERE l.listing_id = $1",
			   SPI_OK_SELECT, 3, types, values, NULL, 1);
	if (SPI_processed == 0)
		return STANDS_NEVER;
	word = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	SPI_freetuptable(SPI_tuptable);
	*why = strcmp(word, "disabled") == 0 ? "the listing is not enabled" :
		strcmp(word, "none") == 0 ? "the listing has no price" :
		strcmp(word, "floor") == 0 ? "the price is below the listing's floor" : NULL;
	if (*why != NULL)
		return STANDS_NEVER;
	return strcmp(word, "planned") == 0 ? STANDS_PLANNED :
		strcmp(word, "overtaken") == 0 ? STANDS_OVERTAKEN :
		strcmp(word, "dead") == 0 ? STANDS_DEAD :
		strcmp(word, "open") == 0 ? STANDS_OPEN : STANDS_DONE;
}

/* ended closes a task that stands so; false: it goes on. */
static bool
ended(Task *task, Standing standing, const char *why)
{
	switch (standing)
	{
		case STANDS_DONE:
			task_close_done(task, NULL);
			return true;
		case STANDS_OVERTAKEN:
			task_close_done(task, "overtaken: it is not wanted any more");
			return true;
		case STANDS_DEAD:
			task_close_dead(task, OUTCOME_PERMANENT, TASK_LISTING_DEAD);
			return true;
		case STANDS_NEVER:
			task_close_dead(task, OUTCOME_PERMANENT, why);
			return true;
		default:
			return false;
	}
}

TaskBegun
price_task_begin(Task *task, TimestampTz now, SsSet *again pg_attribute_unused())
{
	const char *why;
	Standing	standing;

	if (task->store->writes == WRITES_NONE)
		return TASK_NOT_NOW;
	standing = standing_of(task, &why);
	if (standing == STANDS_PLANNED)
		return TASK_NOT_NOW;
	if (task->attempts == 0 && (standing == STANDS_DONE || standing == STANDS_DEAD))
	{
		revive(task);
		standing = standing_of(task, &why);
	}
	if (ended(task, standing, why))
		return TASK_CLOSED;
	task_tell(task);
	task->ticket = (uint64) now;
	return TASK_BEGUN;
}

void
price_task_settle(Task *task, TimestampTz now)
{
	const char *why;
	Standing	standing;

	if (!price_news(task->listing_id) && now < (TimestampTz) task->ticket + LOOK_US)
		return;
	task->ticket = (uint64) now;
	standing = standing_of(task, &why);
	(void) ended(task, standing, why);
}
