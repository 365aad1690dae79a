/*
 * errand.c
 *		What a task wants fetched, and how far that is. No calls are made here.
 *
 * A window is walked in pieces of about as many orders, however long a time
 * they took, so that the regular fetch of what has just been sold is never far
 * behind, and the past of a quiet store costs few calls.
 */
#include "errand.h"

#include "mb/pg_wchar.h"
#include "utils/memutils.h"

#include "rhythm.h"
#include "stores.h"

/* joins says whether a walk that has not begun has room for so many more numbers: those of one call. */
static bool
joins(const DispatchStore *store, ErrandKind kind, int n)
{
	const Errand *errand = &store->intake.errand;

	return errand->state == ERRAND_ASKED && errand->kind == ERRAND_ORDERS && kind == ERRAND_ORDERS &&
		errand->n_order_sns + n <= store->platform->max_get_orders;
}

bool
errand_open(const DispatchStore *store)
{
	return store->intake.errand.state == ERRAND_NONE || joins(store, ERRAND_ORDERS, 1);
}

/* begin makes an errand without order numbers yet. */
static void
begin(DispatchStore *store, ErrandKind kind, TimestampTz from, TimestampTz to, int orders)
{
	static uint64 tickets = 0;
	Errand	   *errand = &store->intake.errand;
	MemoryContext context = errand->context;

	if (context == NULL)
		context = AllocSetContextCreate(TopMemoryContext, "storesync errand", ALLOCSET_SMALL_SIZES);
	MemoryContextReset(context);
	memset(errand, 0, sizeof(*errand));
	errand->context = context;
	errand->state = ERRAND_ASKED;
	errand->kind = kind;
	errand->ticket = ++tickets;
	errand->from = from;
	errand->to = to;
	errand->orders = orders;
	/* one that is under way and pauses after a failure goes on; errand_wants_poll() sees to the one after it */
	if (kind == ERRAND_POLL)
		store->intake.due = 0;
}

/* add_order adds a number, once. */
static void
add_order(Errand *errand, const char *order_sn)
{
	for (int i = 0; i < errand->n_order_sns; i++)
		if (strcmp(errand->order_sns[i], order_sn) == 0)
			return;
	errand->order_sns[errand->n_order_sns++] = MemoryContextStrdup(errand->context, order_sn);
}

uint64
errand_ask(DispatchStore *store, ErrandKind kind,
		   TimestampTz from, TimestampTz to, int n, char **order_sns, int orders)
{
	Errand	   *errand = &store->intake.errand;
	char	  **all;

	if (errand->state == ERRAND_NONE)
		begin(store, kind, from, to, orders);
	else if (!joins(store, kind, n))
		return 0;
	errand->n_tasks++;
	all = MemoryContextAlloc(errand->context, (errand->n_order_sns + n + 1) * sizeof(char *));
	if (errand->n_order_sns > 0)
		memcpy(all, errand->order_sns, errand->n_order_sns * sizeof(char *));
	errand->order_sns = all;
	for (int i = 0; i < n; i++)
		add_order(errand, order_sns[i]);
	return errand->ticket;
}

bool
errand_leave(DispatchStore *store)
{
	Errand	   *errand = &store->intake.errand;

	if (--errand->n_tasks > 0)
		return false;
	errand->state = ERRAND_NONE;
	MemoryContextReset(errand->context);
	return true;
}

bool
errand_waits(const Errand *errand)
{
	return errand->state == ERRAND_ASKED && errand->kind != ERRAND_POLL;
}

bool
errand_wants_poll(const Errand *errand)
{
	return errand->state == ERRAND_ASKED && errand->kind == ERRAND_POLL;
}

void
errand_poll_began(Errand *errand)
{
	if (errand_wants_poll(errand))
		errand->state = ERRAND_RUNNING;
}

void
errand_poll_ended(Errand *errand)
{
	if (errand->state == ERRAND_RUNNING && errand->kind == ERRAND_POLL)
		errand->state = ERRAND_DONE;
}

void
errand_failed(Errand *errand, OutcomeClass class, const char *reason, const char *attempt)
{
	if (errand->state != ERRAND_RUNNING)
		return;
	errand->state = ERRAND_FAILED;
	errand->class = class;
	errand->attempt = MemoryContextStrdup(errand->context, attempt);
	if (reason == NULL)
		reason = "";
	strlcpy(errand->reason, reason, pg_mbcliplen(reason, (int) strlen(reason), sizeof(errand->reason) - 1) + 1);
}

TimestampTz
errand_piece(Errand *errand, int64 widest_us)
{
	errand->state = ERRAND_RUNNING;
	if (errand->kind != ERRAND_WINDOW)
		return errand->to;
	errand->piece_us = rhythm_piece(errand->piece_us, widest_us, errand->met);
	errand->met = 0;
	return Min(errand->to, errand->from + errand->piece_us);
}

void
errand_met(Errand *errand, int n)
{
	errand->orders += n;
	errand->met += n;
}

void
errand_walked(Errand *errand, TimestampTz through)
{
	errand->from = through;
	errand->progressed = true;
	errand->state = errand->kind == ERRAND_WINDOW && through < errand->to ? ERRAND_ASKED : ERRAND_DONE;
}
