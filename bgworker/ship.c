/*
 * ship.c
 *		What is to be done about an order, by what its platform says of it.
 *
 * No platform takes a key that would make a repeated call harmless. So the
 * order's document decides, and nothing that was remembered: it is read before
 * anything is written, whether this is a first try or one after a timeout, a
 * crash or a restart, and read again afterwards, which books it. What is
 * shipped or cancelled already is done; what was cancelled is never shipped.
 */
#include "ship_internal.h"

#include "mb/pg_wchar.h"
#include "utils/memutils.h"

#define DETAIL_BYTES	300

void
ship_end(ShipJob *job, OutcomeClass class, const char *detail)
{
	job->phase = SHIP_ENDED;
	job->class = class;
	job->detail = NULL;
	if (detail != NULL && *detail != '\0')
		job->detail = MemoryContextStrdup(job->context, pnstrdup(detail, pg_mbcliplen(detail, (int) strlen(detail), DETAIL_BYTES)));
}

/* wants_line tells whether the task is about a line. */
static bool
wants_line(const ShipJob *job, const ShipLine *line)
{
	if (job->store->platform->ship_by_line && job->package != NULL)
		return strcmp(job->package, line->line_id) == 0;
	for (int i = 0; i < job->n_lines; i++)
		if (strcmp(job->lines[i], line->line_id) == 0)
			return true;
	return job->n_lines == 0;
}

/* misses_line tells whether the task names a line that the order does not have. */
static bool
misses_line(const ShipJob *job, const ShipOrder *order)
{
	if (job->store->platform->ship_by_line && job->package != NULL)
		return ship_find_line(order, job->package) == NULL;
	for (int i = 0; i < job->n_lines; i++)
		if (ship_find_line(order, job->lines[i]) == NULL)
			return true;
	return false;
}

/* How the lines stand that a task is about. */
typedef struct Standing
{
	int			n;
	int			cancelled;
	int			shipped;
} Standing;

static Standing
stand(const ShipJob *job, const ShipOrder *order)
{
	Standing	standing = {0};

	for (int i = 0; i < order->n_lines; i++)
	{
		if (!wants_line(job, &order->lines[i]))
			continue;
		standing.n++;
		standing.cancelled += order->lines[i].cancelled;
		standing.shipped += order->lines[i].shipped;
	}
	return standing;
}

/* is_reached tells whether what the task wants is so. */
static bool
is_reached(const ShipJob *job, const ShipOrder *order)
{
	Standing	standing = stand(job, order);

	if (job->cancels)
		return standing.cancelled == standing.n;
	if (standing.cancelled == standing.n)
		return false;
	return order->arranged || standing.cancelled + standing.shipped == standing.n;
}

/* is_hopeless tells why what the task wants cannot be any more, NULL when it can. */
static const char *
is_hopeless(const ShipJob *job, const ShipOrder *order)
{
	Standing	standing = stand(job, order);

	if (misses_line(job, order))
		return "the order has no such line";
	if (job->cancels)
		return standing.shipped > 0 && standing.cancelled + standing.shipped == standing.n ?
			"the order has been shipped" : NULL;
	return standing.cancelled == standing.n ? "the order is cancelled" : NULL;
}

/* find_parts notes the lines that a call has to be about. */
static void
find_parts(ShipJob *job, const ShipOrder *order)
{
	MemoryContext old = MemoryContextSwitchTo(job->context);

	job->parts = palloc0(order->n_lines * sizeof(ShipPart));
	job->n_parts = 0;
	job->n_done = 0;
	for (int i = 0; i < order->n_lines; i++)
	{
		const ShipLine *line = &order->lines[i];
		ShipPart   *part = &job->parts[job->n_parts];

		if (!wants_line(job, line) || line->cancelled || line->shipped)
			continue;
		part->line_id = pstrdup(line->line_id);
		part->item_id = pstrdup(line->item_id);
		part->model_id = pstrdup(line->model_id);
		part->qty = line->live;
		job->n_parts++;
	}
	MemoryContextSwitchTo(old);
}

/* judge_before decides what is to be done about an order that nothing has been done about in this try. */
static void
judge_before(ShipJob *job, const ShipOrder *order, TimestampTz now)
{
	const char *hopeless = is_hopeless(job, order);

	if (hopeless != NULL)
		ship_end(job, OUTCOME_PERMANENT, hopeless);
	else if (is_reached(job, order))
		ship_end(job, OUTCOME_OK, job->cancels ? "it was cancelled already" : "it was shipped already");
	else if (job->cancels && order->in_cancel)
		ship_end(job, OUTCOME_LATER, "a cancellation is under way at the platform");
	else
	{
		bool		ask = !job->cancels && (job->store->platform->calls & CALL_BIT(CALL_SHIP_INFO)) != 0;

		find_parts(job, order);
		job->phase = ask ? SHIP_ASK : SHIP_WRITE;
		job->due = now;
	}
}

/*
 * judge_after: the platform's word that it is done is enough, however late
 * its documents are; after its refusal they tell whether there was anything
 * left to be done.
 */
static void
judge_after(ShipJob *job, const ShipOrder *order)
{
	bool		reached = is_reached(job, order);

	if (reached)
		ship_end(job, OUTCOME_OK, job->refused ? "it was done already" : NULL);
	else if (job->refused)
		ship_end(job, OUTCOME_PERMANENT, job->detail);
	else
		ship_end(job, OUTCOME_OK, "the platform took it; its document does not show it yet");
}

void
ship_judge(ShipJob *job, const ShipOrder *order, TimestampTz now)
{
	job->read_at = now;
	job->failures = 0;
	if (order == NULL || !order->understood)
		ship_judge_unread(job, "the platform does not have the order, or what it says of it cannot be understood");
	else if (job->phase == SHIP_CHECK)
		judge_after(job, order);
	else
		judge_before(job, order, now);
}

void
ship_judge_unread(ShipJob *job, const char *reason)
{
	if (job->phase != SHIP_CHECK)
		ship_end(job, OUTCOME_PERMANENT, reason);
	else if (job->refused)
		ship_end(job, OUTCOME_PERMANENT, job->detail);
	else
		ship_end(job, OUTCOME_OK, psprintf("the platform took it; the order could not be read since: %s", reason));
}
