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

void
errand_ask(DispatchStore *store, ErrandKind kind, int64 task_id,
		   TimestampTz from, TimestampTz to, int n, char **order_sns, int orders)
{
	Errand	   *errand = &store->intake.errand;
	MemoryContext context = errand->context;

	Assert(errand->state == ERRAND_NONE);
	if (context == NULL)
		context = AllocSetContextCreate(TopMemoryContext, "storesync errand", ALLOCSET_SMALL_SIZES);
	MemoryContextReset(context);
	memset(errand, 0, sizeof(*errand));
	errand->context = context;
	errand->state = ERRAND_ASKED;
	errand->kind = kind;
	errand->task_id = task_id;
	errand->from = from;
	errand->to = to;
	errand->n_order_sns = n;
	errand->orders = orders;
	errand->order_sns = MemoryContextAlloc(context, Max(n, 1) * sizeof(char *));
	for (int i = 0; i < n; i++)
		errand->order_sns[i] = MemoryContextStrdup(context, order_sns[i]);
	if (kind == ERRAND_POLL)
		store->intake.due = 0;
}

void
errand_clear(DispatchStore *store)
{
	store->intake.errand.state = ERRAND_NONE;
	if (store->intake.errand.context != NULL)
		MemoryContextReset(store->intake.errand.context);
}

bool
errand_waits(const Errand *errand)
{
	return errand->state == ERRAND_ASKED && errand->kind != ERRAND_POLL;
}

void
errand_poll_began(Errand *errand)
{
	if (errand->state == ERRAND_ASKED && errand->kind == ERRAND_POLL)
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
