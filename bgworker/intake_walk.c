/*
 * intake_walk.c
 *		What of a store's orders is walked next, and how far it has come.
 *
 * A regular walk fetches what is new: a window of update times, a page of
 * order numbers after the other, the documents of each in batches. The
 * window's end becomes the store's fetched_through in the transaction that
 * books its last batch, never before; the next window starts an overlap
 * earlier, because platforms show orders late.
 *
 * By turns with it come walks that move no cursor: what a task asked for
 * (errand.c), orders read again by their age (reread.c), hours looked at
 * again (second_look.c), each a piece or a page at a time, so that what is
 * new never waits for longer.
 *
 * No calls are made here.
 */
#include "intake.h"

#include "utils/memutils.h"

/* How far back the very first fetch of a store goes at least: what is open by then has its goods on the shelf. */
#define FIRST_FETCH_US	(15 * USECS_PER_DAY)
/* How far back a fetch goes when the last one is said to lie ahead of the time of day, by more than a clock errs. */
#define AHEAD_FETCH_US	USECS_PER_DAY
#define AHEAD_US		(5 * USECS_PER_SEC)

/* hastened: in a peak window that says so, no interval is longer than the window's. */
static int64
hastened(const DispatchStore *store, int64 interval_us)
{
	return store->peak_poll_us != 0 ? Min(interval_us, store->peak_poll_us) : interval_us;
}

int64
intake_interval(const DispatchStore *store)
{
	return hastened(store, store->intake.poll_us != 0 ? store->intake.poll_us : store->poll_us);
}

/*
 * poll_due: a fetch begins earlier than its poll when raises, or readings
 * that differ, wait for it, and not before the whole second that it has to reach is over. While
 * decreases wait for their calls, a busy store is fetched at its poll_interval,
 * or a peak window's. One that a task asks for is due at once, also when another
 * was under way as it asked, and has set the time of the next since.
 */
static TimestampTz
poll_due(const DispatchStore *store)
{
	const StoreIntake *intake = &store->intake;
	TimestampTz wanted = store->lanes.fetch_after;
	TimestampTz due = intake->due;

	if (errand_wants_poll(&intake->errand))
		return 0;
	if (intake->failures > 0)
		return due;
	if (due != 0 && queue_has_decreases(&store->lanes))
		due = Max(due, intake->polled_at + hastened(store, store->poll_us));
	if (store->verify.wants_through != 0)
		wanted = Min(wanted, store->verify.wants_through);
	if (wanted == DT_NOEND)
		return due;
	return Min(due, (wanted / USECS_PER_SEC + 1) * USECS_PER_SEC);
}

/* side_due: when a walk of a kind that is not regular can begin or go on. */
static TimestampTz
side_due(const DispatchStore *store, IntakeWalk walk)
{
	switch (walk)
	{
		case WALK_ERRAND:
			return errand_waits(&store->intake.errand) ? 0 : DT_NOEND;
		case WALK_REREAD:
			return reread_due(store);
		case WALK_LOOK:
			return look_due(store);
		default:
			return DT_NOEND;
	}
}

TimestampTz
intake_due(const DispatchStore *store)
{
	const StoreIntake *intake = &store->intake;
	TimestampTz due;

	if (!store->fetches || intake->flying)
		return DT_NOEND;
	if (intake->phase != INTAKE_IDLE)
		return intake->due;
	due = poll_due(store);
	for (IntakeWalk walk = 0; walk < WALKS; walk++)
		due = Min(due, side_due(store, walk));
	return due;
}

void
intake_hasten(DispatchStore *store)
{
	if (store->intake.failures > 0)
		store->intake.due = 0;
}

/* ---------------------------------------------------------------- beginning */

/*
 * set_window makes [from, at most now] the window; whole seconds, as platforms
 * count. Its calls are due at once, however far off the poll was: one that is
 * held up by its store and made again later must not wait for that.
 */
static void
set_window(DispatchStore *store, TimestampTz from, TimestampTz now)
{
	StoreIntake *intake = &store->intake;
	int64		widest = (int64) store->platform->max_window * USECS_PER_SEC;

	intake->due = now;
	from -= from % USECS_PER_SEC;
	now -= now % USECS_PER_SEC;
	intake->window_from = Min(from, now);
	intake->window_to = Min(now, intake->window_from + widest);
	intake->phase = INTAKE_LIST;
	MemoryContextReset(intake->context);
	intake->cursor = MemoryContextStrdup(intake->context, "");
	intake->next_cursor = NULL;
	intake->n_order_sns = 0;
}

/* begin_errand walks what the errand wants, or the next piece of it. */
static void
begin_errand(DispatchStore *store, TimestampTz now)
{
	StoreIntake *intake = &store->intake;
	Errand	   *errand = &intake->errand;

	set_window(store, errand->from, Min(now, errand_piece(errand, store->platform->max_window * USECS_PER_SEC)));
	if (errand->kind == ERRAND_WINDOW)
		return;
	intake->order_sns = MemoryContextAlloc(intake->context, errand->n_order_sns * sizeof(char *));
	for (int i = 0; i < errand->n_order_sns; i++)
		intake->order_sns[i] = MemoryContextStrdup(intake->context, errand->order_sns[i]);
	intake->n_order_sns = errand->n_order_sns;
	intake->n_done = 0;
	intake->alone_until = 0;
	intake->phase = INTAKE_DETAIL;
}

/* begin_page goes on with the page of a walk that is left after each. */
static void
begin_page(DispatchStore *store, TimestampTz now)
{
	StoreIntake *intake = &store->intake;
	TimestampTz from;
	TimestampTz to;
	const char *cursor;

	if (intake->walk == WALK_REREAD)
		reread_begin(store, now, &from, &to, &cursor);
	else
		look_begin(store, now, &from, &to, &cursor);
	set_window(store, from, to);
	intake->due = now;
	intake->cursor = MemoryContextStrdup(intake->context, cursor);
}

/*
 * fetch_from says where a regular fetch begins. A last one that lies ahead
 * was noted by a clock that has been set back since; nobody knows when it was.
 */
static TimestampTz
fetch_from(const DispatchStore *store, TimestampTz now)
{
	TimestampTz through = store->intake.fetched_through;

	if (through == 0)
		return TIMESTAMP_NOT_FINITE(store->stock_from) ? now - FIRST_FETCH_US : Min(store->stock_from, now - FIRST_FETCH_US);
	return through > now + AHEAD_US ? now - AHEAD_FETCH_US : through - store->overlap_us;
}

/* choose_walk: the regular one when it is due and was not the last, else the next kind that is. */
static IntakeWalk
choose_walk(const DispatchStore *store, TimestampTz now)
{
	const StoreIntake *intake = &store->intake;

	if (poll_due(store) <= now && intake->walk != WALK_REGULAR)
		return WALK_REGULAR;
	for (int i = 1; i <= WALKS; i++)
	{
		IntakeWalk	walk = (intake->side + i) % WALKS;

		if (side_due(store, walk) <= now)
			return walk;
	}
	return WALK_REGULAR;
}

void
intake_begin(DispatchStore *store, TimestampTz now)
{
	StoreIntake *intake = &store->intake;

	intake->walk = choose_walk(store, now);
	if (intake->walk == WALK_REGULAR)
	{
		errand_poll_began(&intake->errand);
		intake->polled_at = now;
		intake->news = 0;
		set_window(store, fetch_from(store, now), now);
		look_start(store, now);
		return;
	}
	intake->side = intake->walk;
	intake->regular_due = intake->due;
	if (intake->walk == WALK_ERRAND)
		begin_errand(store, now);
	else
		begin_page(store, now);
}

/* ---------------------------------------------------------------- going on */

void
intake_leave(DispatchStore *store)
{
	store->intake.phase = INTAKE_IDLE;
	store->intake.due = store->intake.regular_due;
}

bool
intake_ends_window(const StoreIntake *intake, int n)
{
	return intake->walk == WALK_REGULAR && intake->n_done + n >= intake->n_order_sns && intake->next_cursor == NULL;
}

/* end_regular: what is new up to the window's end is booked; the next window, or the next fetch after a while. */
static void
end_regular(DispatchStore *store, TimestampTz now)
{
	StoreIntake *intake = &store->intake;

	intake->fetched_through = intake->window_to;
	queue_fetched(&store->lanes, intake->window_to);
	if (intake->window_to + USECS_PER_SEC < intake->polled_at)
	{
		set_window(store, intake->window_to, now);
		return;
	}
	intake->phase = INTAKE_IDLE;
	intake->poll_us = rhythm_poll(store->poll_us, store->poll_spread, intake->poll_us, intake->news > 0);
	intake->due = Max(now, intake->polled_at + intake_interval(store));
	errand_poll_ended(&intake->errand);
}

static void
end_window(DispatchStore *store, TimestampTz now)
{
	StoreIntake *intake = &store->intake;

	if (intake->walk == WALK_REGULAR)
	{
		end_regular(store, now);
		return;
	}
	/* whole seconds: one that the errand's end cuts in two is over */
	errand_walked(&intake->errand, intake->window_to + USECS_PER_SEC > Min(intake->errand.to, now) ?
				  intake->errand.to : intake->window_to);
	intake_leave(store);
}

static void
end_page(DispatchStore *store, Record *record)
{
	StoreIntake *intake = &store->intake;
	TimestampTz now = GetCurrentTimestamp();

	if (intake->walk == WALK_REREAD || intake->walk == WALK_LOOK)
	{
		if (intake->walk == WALK_REREAD)
			reread_ended(store, intake->next_cursor);
		else
			look_ended(store, now, intake->next_cursor, record);
		intake_leave(store);
		return;
	}
	if (intake->next_cursor == NULL)
	{
		end_window(store, now);
		return;
	}
	intake->phase = INTAKE_LIST;
	intake->cursor = intake->next_cursor;
	intake->next_cursor = NULL;
	intake->due = now;
}

void
intake_advance(DispatchStore *store, int n, Record *record)
{
	StoreIntake *intake = &store->intake;

	intake->n_done += n;
	intake->failures = 0;
	if (intake->walk == WALK_ERRAND)
		errand_met(&intake->errand, n);
	intake->due = GetCurrentTimestamp();
	if (intake->n_done >= intake->n_order_sns)
		end_page(store, record);
}
