/*
 * gcra.c
 *		Arithmetic of call limits; gcra.h has the guarantee and its proof,
 *		regress/unit/test_gcra.c tries to break it.
 */
#include "gcra.h"

bool
gcra_window(GcraWindow *window, int64_t calls, int64_t period_ns, int64_t burst)
{
	int64_t		interval;

	if (calls < 1 || period_ns < 1 || burst < 1)
		return false;
	/* rounded up: rounding down would grant one call too many now and then */
	interval = period_ns / calls + (period_ns % calls != 0);
	if (period_ns / calls < GCRA_MIN_INTERVAL_NS || burst > GCRA_MAX_CAPACITY_NS / interval)
		return false;
	window->interval_ns = interval;
	window->capacity_ns = burst * interval;
	return true;
}

int64_t
gcra_take_paced(const GcraWindow *window, int64_t tat_ns, int64_t now_ns,
				int64_t cost, int64_t step_ns, int64_t *next_ns)
{
	int64_t		granted_at = tat_ns + cost * window->interval_ns - window->capacity_ns;

	if (granted_at > now_ns)
		return granted_at - now_ns;
	*next_ns = (tat_ns > now_ns ? tat_ns : now_ns) + cost * step_ns;
	return 0;
}

int64_t
gcra_take(const GcraWindow *window, int64_t tat_ns, int64_t now_ns,
		  int64_t cost, int64_t *next_ns)
{
	return gcra_take_paced(window, tat_ns, now_ns, cost, window->interval_ns, next_ns);
}

bool
gcra_allows(const GcraWindow *window, int64_t cost)
{
	return cost <= window->capacity_ns / window->interval_ns;
}

int64_t
gcra_empty(const GcraWindow *window, int64_t now_ns)
{
	return now_ns + window->capacity_ns;
}

int64_t
gcra_hold(const GcraWindow *window, int64_t tat_ns, int64_t until_ns)
{
	int64_t		held = until_ns + window->capacity_ns - window->interval_ns;

	return tat_ns > held ? tat_ns : held;
}

/*
 * The window has to stand where it would, had the call been granted now: at
 * now + T and what was granted since. It stands at granted + T + lead and the
 * same.
 */
int64_t
gcra_late(int64_t granted_ns, int64_t lead_ns, int64_t now_ns)
{
	int64_t		late = now_ns - granted_ns - (lead_ns > 0 ? lead_ns : 0);

	return late > 0 ? late : 0;
}
