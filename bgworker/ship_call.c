/*
 * ship_call.c
 *		The calls that shipping and cancelling take, and what comes of each.
 *
 * Orders are read many at a time, whoever wants them; each is asked about and
 * written alone. A call that is not certainly done or certainly refused is not
 * repeated: its task tries again, and begins by reading.
 */
#include "ship_internal.h"

#include "utils/memutils.h"

#include "dispatcher.h"
#include "intake.h"
#include "record.h"
#include "retry.h"

/* Orders that were shipped are read together: one waits so long for others that are about to be. */
#define GATHER_US		USECS_PER_SEC

static bool
reads(const ShipJob *job)
{
	return job->phase == SHIP_READ || job->phase == SHIP_CHECK;
}

/*
 * may_go tells whether the store's switches let the job's next call leave. A
 * pause stops whatever leads to a write; what was written is looked at.
 */
static bool
may_go(const ShipJob *job)
{
	if (job->flying || job->phase == SHIP_ENDED)
		return false;
	return job->phase == SHIP_CHECK ? job->store->fetches : job->store->writes != WRITES_NONE;
}

/* first_due returns the job whose next call has been due for longest, NULL for none. */
static ShipJob *
first_due(const DispatchStore *store)
{
	ShipJob    *first = NULL;
	dlist_iter	iter;

	if (store->ships.n == 0)
		return NULL;
	dlist_foreach(iter, unconstify(dlist_head *, &store->ships.jobs))
	{
		ShipJob    *job = dlist_container(ShipJob, node, iter.cur);

		if (may_go(job) && (first == NULL || job->due < first->due))
			first = job;
	}
	return first;
}

TimestampTz
ship_due(const DispatchStore *store)
{
	const ShipJob *job = first_due(store);

	return job == NULL ? DT_NOEND : job->due;
}

/* ---------------------------------------------------------------- the calls */

static void
add_job(DispatchCall *call, ShipJob *job)
{
	call->ships[call->n_ships++] = job;
	job->flying = true;
}

/* add_records names an order's records, if the call has room for them. */
static void
add_records(DispatchCall *call, ShipJob *job, const char **records)
{
	if (call->call.n_order_sns + job->n_records > call->store->platform->max_get_orders)
		return;
	for (int i = 0; i < job->n_records; i++)
		records[call->call.n_order_sns++] = arena_strdup(call->arena, job->records[i]);
	add_job(call, job);
}

/* fill_read asks for the order of a job, and for those of others that are about to be read. */
static void
fill_read(DispatchCall *call, ShipJob *job, TimestampTz now)
{
	const char **records = MemoryContextAlloc(call->context, call->store->platform->max_get_orders * sizeof(char *));
	dlist_iter	iter;

	call->call.order_sns = records;
	add_records(call, job, records);
	dlist_foreach(iter, &call->store->ships.jobs)
	{
		ShipJob    *other = dlist_container(ShipJob, node, iter.cur);

		if (!job->alone && !other->alone && reads(other) && may_go(other) && other->due <= now + GATHER_US)
			add_records(call, other, records);
	}
}

/* fill_items names the lines that are to be cancelled. */
static void
fill_items(DispatchCall *call, const ShipJob *job)
{
	PlatformItem *items = MemoryContextAllocZero(call->context, job->n_parts * sizeof(PlatformItem));

	for (int i = 0; i < job->n_parts; i++)
	{
		items[i].item_id = arena_strdup(call->arena, job->parts[i].item_id);
		items[i].model_id = arena_strdup(call->arena, job->parts[i].model_id);
	}
	call->call.items = items;
	call->call.n_items = job->n_parts;
}

static const char *
keep(Arena *arena, const char *value)
{
	return value == NULL ? NULL : arena_strdup(arena, value);
}

/* fill_write says what is to be done: to the order, or to its next line. */
static void
fill_write(DispatchCall *call, ShipJob *job)
{
	PlatformCall *to = &call->call;
	bool		by_line = call->store->platform->ship_by_line;
	const ShipPart *part = job->phase == SHIP_WRITE ? &job->parts[job->n_done] : NULL;

	add_job(call, job);
	to->order_sn = arena_strdup(call->arena, job->order_sn);
	to->package_id = keep(call->arena, by_line && part != NULL ? part->line_id : job->package);
	to->ship_method = keep(call->arena, job->method);
	to->carrier = keep(call->arena, job->carrier);
	to->tracking = keep(call->arena, job->tracking);
	to->reason = keep(call->arena, job->reason);
	to->quantity = part != NULL ? part->qty : 0;
	if (!job->cancels)
		return;
	if (by_line && part != NULL)
	{
		const char **record = MemoryContextAlloc(call->context, sizeof(char *));

		record[0] = arena_printf(call->arena, "%s-%s", job->order_sn, part->line_id);
		to->order_sns = record;
		to->n_order_sns = 1;
	}
	else
		fill_items(call, job);
}

static CallKind
kind_of(const ShipJob *job)
{
	if (reads(job))
		return CALL_GET_ORDERS;
	if (job->phase == SHIP_ASK)
		return CALL_SHIP_INFO;
	return job->cancels ? CALL_CANCEL_LINES : CALL_SHIP;
}

/* land takes the call's jobs back. */
static void
land(DispatchCall *call)
{
	for (int i = 0; i < call->n_ships; i++)
		call->ships[i]->flying = false;
}

/* part_company: each of the jobs is read alone, so that one costs no other. */
static void
part_company(DispatchCall *call, TimestampTz now)
{
	for (int i = 0; i < call->n_ships; i++)
	{
		call->ships[i]->alone = true;
		call->ships[i]->due = now;
	}
}

/* cannot_build tells a store without credentials, which waits, from a task that no call can be made of. */
static void
cannot_build(DispatchCall *call, const char *error)
{
	TimestampTz now = GetCurrentTimestamp();
	const char *access_error;

	land(call);
	if (!call_access_builds(call->store, &access_error))
		store_trouble(call->store, TROUBLE_ACCESS, now + STORE_AUTH_WAIT_US, access_error);
	else if (call->n_ships > 1)
		part_company(call, now);
	else
		ship_end(call->ships[0], OUTCOME_PERMANENT, error);
	call_free(call);
}

void
ship_build(DispatchStore *store)
{
	TimestampTz now = GetCurrentTimestamp();
	ShipJob    *job = first_due(store);
	DispatchCall *call;
	const char *error;

	if (!reads(job) && job->read_at + SHIP_STALE_US < now)
		job->phase = SHIP_READ;
	call = call_create(store, kind_of(job));
	call->ships = MemoryContextAlloc(call->context, SHIP_ROOM * sizeof(ShipJob *));
	if (reads(job))
		fill_read(call, job, now);
	else
		fill_write(call, job);
	if (call_build(call, &error))
		dispatch_ready(call);
	else
		cannot_build(call, error);
}

void
ship_return(DispatchCall *call)
{
	land(call);
	call_free(call);
}

void
ship_answered(DispatchCall *call)
{
	if (call->call.kind == CALL_GET_ORDERS)
		intake_answered(call);
	else
		dispatch_ended(call);
}

/* ---------------------------------------------------------------- what came of them */

/* note_failure keeps the call as a try of the task's story. */
static void
note_failure(const DispatchCall *call, ShipJob *job)
{
	QueueAttempt attempt = call_attempt(call, call->answer.class, call->answer.message);

	job->attempt = MemoryContextStrdup(job->context, record_attempt_text(&attempt));
}

/* failed ends this try: the task comes back later, and begins by reading. */
static void
failed(const DispatchCall *call, ShipJob *job)
{
	note_failure(call, job);
	ship_end(job, call->answer.class, call->answer.message);
}

/*
 * away: the platform cannot be reached, which costs no try. What was sent may
 * have arrived, so it begins anew.
 */
static void
away(const DispatchCall *call, ShipJob *job)
{
	if (!reads(job))
		job->phase = SHIP_READ;
	job->due = call->answered_at + retry_delay_us(1);
}

/* refused_for_good: the order is read once more, for it may be done already. */
static void
refused_for_good(const DispatchCall *call, ShipJob *job)
{
	note_failure(call, job);
	job->refused = true;
	job->detail = MemoryContextStrdup(job->context, call->answer.message);
	job->phase = SHIP_CHECK;
	job->due = call->answered_at;
}

/* others_go_on tells whether more orders of the store are about to be shipped or cancelled. */
static bool
others_go_on(const DispatchStore *store)
{
	dlist_iter	iter;

	dlist_foreach(iter, unconstify(dlist_head *, &store->ships.jobs))
	{
		const ShipJob *job = dlist_container(ShipJob, node, iter.cur);

		if (job->phase < SHIP_CHECK)
			return true;
	}
	return false;
}

/* written goes on to the next line, or to looking at what has come of it all. */
static void
written(const DispatchCall *call, ShipJob *job)
{
	job->n_done = call->store->platform->ship_by_line ? job->n_done + 1 : job->n_parts;
	job->due = call->answered_at;
	if (job->n_done < job->n_parts)
		return;
	job->phase = SHIP_CHECK;
	if (others_go_on(call->store))
		job->due += GATHER_US;
}

static void
settle_one(const DispatchCall *call, ShipJob *job)
{
	switch (call->answer.class)
	{
		case OUTCOME_OK:
			if (call->call.kind != CALL_SHIP_INFO)
			{
				written(call, job);
				return;
			}
			job->method = MemoryContextStrdup(job->context, call->answer.ship_method);
			job->phase = SHIP_WRITE;
			job->due = call->answered_at;
			return;
		case OUTCOME_PERMANENT:
			refused_for_good(call, job);
			return;
		default:
			failed(call, job);
			return;
	}
}

/* read_failed: an order that was about to be written is tried later; one that was is read again. */
static void
read_failed(const DispatchCall *call, ShipJob *job)
{
	if (job->phase == SHIP_READ)
	{
		failed(call, job);
		return;
	}
	if (++job->failures >= QUEUE_MAX_ATTEMPTS)
		ship_judge_unread(job, call->answer.message);
	else
		job->due = call->answered_at + retry_delay_us(job->failures);
}

/*
 * settle_read: documents that could not be booked tell as much as others;
 * the regular fetch meets them again, and leaves them to people.
 */
static void
settle_read(DispatchCall *call)
{
	bool		refused = call->answer.class == OUTCOME_PERMANENT;
	int			n = 0;
	ShipOrder  *orders = NULL;

	if (call->answer.n_documents > 0 && (refused || call->answer.class == OUTCOME_OK || call->answer.class == OUTCOME_PARTIAL))
		orders = ship_read(call->answer.documents, call->arena, &n);
	if (orders == NULL && refused && call->n_ships > 1)
	{
		part_company(call, call->answered_at);
		return;
	}
	for (int i = 0; i < call->n_ships; i++)
	{
		ShipJob    *job = call->ships[i];

		if (orders != NULL)
			ship_judge(job, ship_find(orders, n, job->order_sn), call->answered_at);
		else if (refused)
		{
			note_failure(call, job);
			ship_judge_unread(job, call->answer.message);
		}
		else
			read_failed(call, job);
	}
}

void
ship_settle(DispatchCall *call, Record *record)
{
	bool		held;

	land(call);
	record_call(record, call, NULL);
	dispatch_count_answer(call);
	held = dispatch_hold_store(call);
	if (held || call->host_away)
	{
		for (int i = 0; i < call->n_ships && !held; i++)
			away(call, call->ships[i]);
	}
	else if (call->call.kind == CALL_GET_ORDERS)
		settle_read(call);
	else
		settle_one(call, call->ships[0]);
	call_free(call);
}
