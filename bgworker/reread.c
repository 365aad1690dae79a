/*
 * reread.c
 *		Which orders are read again, and when: young ones often, older ones
 *		seldom.
 *
 * A platform without a feed of changes lists orders by when they were placed.
 * Its regular fetch finds the new ones; that one of them was shipped or
 * cancelled is seen only by reading it again. So each day of the last month is
 * walked over and over, in times of its own, a page at a turn, so that a
 * regular fetch never waits for more than a page.
 *
 * The regular fetch meets the orders of a day each time it lists that day, and
 * reads the details of those that it has not read before.
 *
 * No calls are made here.
 */
#include "reread.h"

#include "utils/memutils.h"

#include "retry.h"
#include "stores.h"

/* Days begin when they do where all platforms without a feed are, in Taipei, eight hours before UTC. */
#define DAY_OFFSET_US	(8 * USECS_PER_HOUR)
/* Orders remembered as read, of one store. */
#define MET_MAX			65536

/* How often a day is walked, in polls of its store, by its age. */
static int
polls_of(int age)
{
	if (age <= 1)
		return 6;
	if (age <= 3)
		return 60;
	return age <= 7 ? 360 : 2160;
}

static TimestampTz
due_of(const DispatchStore *store, int age)
{
	return store->intake.reread.walked[age] + polls_of(age) * store->poll_us;
}

/* next_day: the day that is due first, the youngest of equals. */
static int
next_day(const DispatchStore *store)
{
	int			next = 0;

	for (int age = 1; age < REREAD_DAYS; age++)
		if (due_of(store, age) < due_of(store, next))
			next = age;
	return next;
}

TimestampTz
reread_due(const DispatchStore *store)
{
	const Reread *reread = &store->intake.reread;

	if (store->platform == NULL || store->platform->update_feed || store->intake.fetched_through == 0)
		return DT_NOEND;
	return Max(reread->not_before, reread->walking ? 0 : due_of(store, next_day(store)));
}

void
reread_begin(DispatchStore *store, TimestampTz now, TimestampTz *from, TimestampTz *to, const char **cursor)
{
	Reread	   *reread = &store->intake.reread;

	/* what became of young orders while nobody looked is wanted at once, the others in their turn */
	for (int age = 2; age < REREAD_DAYS && !reread->started; age++)
		reread->walked[age] = now;
	reread->started = true;
	if (!reread->walking)
	{
		int			age = next_day(store);
		TimestampTz today = now + DAY_OFFSET_US;

		/* the microseconds of a timestamp count from a midnight of UTC */
		today -= today % USECS_PER_DAY + DAY_OFFSET_US;
		reread->day = today - age * USECS_PER_DAY;
		reread->walked[age] = now;
		reread->walking = true;
		reread->cursor[0] = '\0';
	}
	*from = reread->day;
	*to = Min(reread->day + USECS_PER_DAY - USECS_PER_SEC, now);
	*cursor = reread->cursor;
}

void
reread_ended(DispatchStore *store, const char *next_cursor)
{
	Reread	   *reread = &store->intake.reread;

	reread->failures = 0;
	reread->not_before = 0;
	reread->walking = next_cursor != NULL && strlen(next_cursor) < sizeof(reread->cursor);
	if (reread->walking)
		strlcpy(reread->cursor, next_cursor, sizeof(reread->cursor));
}

void
reread_failed(DispatchStore *store, TimestampTz now)
{
	Reread	   *reread = &store->intake.reread;

	reread->not_before = now + retry_delay_us(++reread->failures);
}

void
reread_meet(DispatchStore *store, uint64 order)
{
	Reread	   *reread = &store->intake.reread;
	HASHCTL		control = {.keysize = sizeof(uint64), .entrysize = sizeof(uint64)};

	if (store->platform->update_feed)
		return;
	if (reread->met != NULL && hash_get_num_entries(reread->met) >= MET_MAX)
	{
		hash_destroy(reread->met);
		reread->met = NULL;
	}
	if (reread->met == NULL)
		reread->met = hash_create("storesync orders met", 1024, &control, HASH_ELEM | HASH_BLOBS);
	(void) hash_search(reread->met, &order, HASH_ENTER, NULL);
}

bool
reread_met(const DispatchStore *store, uint64 order)
{
	const Reread *reread = &store->intake.reread;

	return reread->met != NULL && hash_search(reread->met, &order, HASH_FIND, NULL) != NULL;
}
