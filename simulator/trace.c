/*
 * trace.c
 *		Loads and plays the buyers' script; see trace.h.
 *
 * The player takes its own lock to look at the script's state and, after
 * giving it back, the market's lock for each event, so that no burst of events
 * keeps an HTTP call waiting for longer than one event.
 */
#include "trace.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "text.h"
#include "tsv.h"

#define US_PER_MS 1000
#define MAX_EVENTS 4000000
#define MAX_TRACE_LINES 16000000
#define MAX_AT_MS INT64_C(315360000000) /* ten years */
#define MAX_LINE_QTY 1000000

/* Where a word of the file leads an order; ORDER_N_STATUSES for an unknown word. */
static OrderStatus
status_of_word(const char *word)
{
	if (strcmp(word, "cancel") == 0)
		return ORDER_CANCELLED;
	if (strcmp(word, "ship") == 0)
		return ORDER_SHIPPED;
	if (strcmp(word, "complete") == 0)
		return ORDER_COMPLETED;
	return ORDER_N_STATUSES;
}

/* Reads "item_id:model_id:qty" into line; the listing must be the shop's. */
static bool
load_line(const Tsv *tsv, const Catalogue *catalogue, uint32_t shop, char *word, OrderLine *line)
{
	char	   *model = strchr(word, ':');
	char	   *qty = model != NULL ? strchr(model + 1, ':') : NULL;
	int64_t		item_id;
	int64_t		model_id;
	int64_t		units;

	if (qty == NULL)
		return tsv_error(tsv, "a line is item_id:model_id:qty");
	*model++ = '\0';
	*qty++ = '\0';
	if (!parse_integer(word, &item_id) || !parse_integer(model, &model_id) ||
		!parse_integer(qty, &units) || units < 1 || units > MAX_LINE_QTY)
		return tsv_error(tsv, "not a number, or a quantity that is too small or too large");
	line->listing = catalogue_listing(catalogue, shop, item_id, model_id);
	if (line->listing == NO_INDEX)
		return tsv_error(tsv, "the shop has no such listing");
	line->qty = (int32_t) units;
	return true;
}

/* at_ms, buy, order_sn, shop_id, lines */
static bool
load_buy(Trace *trace, const Tsv *tsv, const Catalogue *catalogue, TraceEvent *event)
{
	char	   *next;
	int64_t		shop_id;

	if (tsv->n_fields != 5)
		return tsv_error(tsv, "expected: at_ms, buy, order_sn, shop_id, lines");
	if (!parse_integer(tsv->field[3], &shop_id) ||
		(event->shop = catalogue_shop(catalogue, shop_id)) == NO_INDEX)
		return tsv_error(tsv, "unknown shop");

	event->first_line = trace->n_lines;
	for (char *word = strtok_r(tsv->field[4], ",", &next); word != NULL;
		 word = strtok_r(NULL, ",", &next))
	{
		if (event->n_lines >= MAX_ORDER_LINES || trace->n_lines >= MAX_TRACE_LINES)
			return tsv_error(tsv, "too many lines");
		if (trace->n_lines % 4096 == 0)
			trace->lines = sim_grow(trace->lines, (trace->n_lines + 4096) * sizeof(OrderLine));
		if (!load_line(tsv, catalogue, event->shop, word, &trace->lines[trace->n_lines]))
			return false;
		trace->n_lines++;
		event->n_lines++;
	}
	if (event->n_lines == 0)
		return tsv_error(tsv, "an order without lines");
	return true;
}

static bool
load_event(Trace *trace, const Tsv *tsv, const Catalogue *catalogue)
{
	TraceEvent *event;
	int64_t		at_ms;

	if (tsv->n_fields < 3)
		return tsv_error(tsv, "expected at least: at_ms, what, order_sn");
	if (!tsv_integer(tsv, 0, 0, MAX_AT_MS, &at_ms))
		return false;
	if (trace->n_events > 0 && at_ms * US_PER_MS < trace->events[trace->n_events - 1].at_us)
		return tsv_error(tsv, "earlier than the line before");
	if (!order_sn_valid(tsv->field[2]))
		return tsv_error(tsv, "an order_sn is 1 to 32 letters, digits, '-' and '_'");
	if (trace->n_events >= MAX_EVENTS)
		return tsv_error(tsv, "too many events");

	if (trace->n_events % 1024 == 0)
		trace->events = sim_grow(trace->events, (trace->n_events + 1024) * sizeof(TraceEvent));
	event = &trace->events[trace->n_events++];
	memset(event, 0, sizeof(*event));
	event->at_us = at_ms * US_PER_MS;
	event->order_sn = sim_copy(tsv->field[2]);
	if (strcmp(tsv->field[1], "buy") == 0)
		return load_buy(trace, tsv, catalogue, event);

	event->kind = TRACE_STATUS;
	event->status = status_of_word(tsv->field[1]);
	if (event->status == ORDER_N_STATUSES)
		return tsv_error(tsv, "an event is one of buy, cancel, ship, complete");
	if (tsv->n_fields != 3)
		return tsv_error(tsv, "expected: at_ms, what, order_sn");
	return true;
}

bool
trace_load(Trace *trace, const char *file, const Catalogue *catalogue, double speed)
{
	Tsv			tsv;
	bool		ok;

	memset(trace, 0, sizeof(*trace));
	trace->speed = speed;
	pthread_mutex_init(&trace->lock, NULL);
	clock_condition_init(&trace->wake);
	if (file == NULL)
		return true;

	ok = tsv_open(&tsv, file);
	while (ok && tsv_next(&tsv))
		ok = load_event(trace, &tsv, catalogue);
	tsv_close(&tsv);
	return ok;
}

/*
 * Lets one event happen. What became of it is the market's to count: a
 * change of an order that was lost altogether, or that comes twice, is no
 * error.
 */
static void
play(Trace *trace, const TraceEvent *event)
{
	Market	   *market = trace->market;
	Purchase	purchase;
	Order	   *order;

	pthread_mutex_lock(&market->lock);
	if (event->kind == TRACE_BUY)
		(void) market_buy(market, event->order_sn, event->shop, trace->lines + event->first_line,
						  event->n_lines, ORDER_READY_TO_SHIP, &purchase);
	else if ((order = orders_find(&market->orders, event->order_sn)) != NULL)
		(void) market_set_status(market, order, event->status);
	pthread_mutex_unlock(&market->lock);
}

/* When the next event is due by clock_us; INT64_MAX when there is none to wait for. */
static int64_t
next_due(const Trace *trace)
{
	if (!trace->started || trace->done == trace->n_events)
		return INT64_MAX;
	return trace->started_us + (int64_t) llround((double) trace->events[trace->done].at_us / trace->speed);
}

/* The player's thread. */
static void *
trace_main(void *argument)
{
	Trace	   *trace = argument;
	const TraceEvent *event;

	pthread_mutex_lock(&trace->lock);
	while (!trace->stop)
	{
		int64_t		due_us = next_due(trace);

		if (due_us > clock_us())
		{
			clock_wait(&trace->wake, &trace->lock, due_us);
			continue;
		}
		event = &trace->events[trace->done];
		pthread_mutex_unlock(&trace->lock);
		play(trace, event);
		pthread_mutex_lock(&trace->lock);
		if (++trace->done == trace->n_events)
			trace->finished_us = clock_us();
	}
	pthread_mutex_unlock(&trace->lock);
	return NULL;
}

bool
trace_run(Trace *trace, Market *market)
{
	trace->market = market;
	trace->running = pthread_create(&trace->thread, NULL, trace_main, trace) == 0;
	return trace->running;
}

bool
trace_start(Trace *trace)
{
	bool		first;

	pthread_mutex_lock(&trace->lock);
	first = !trace->started;
	if (first)
	{
		trace->started = true;
		trace->started_us = clock_us();
		if (trace->n_events == 0)
			trace->finished_us = trace->started_us;
		pthread_cond_signal(&trace->wake);
	}
	pthread_mutex_unlock(&trace->lock);
	return first;
}

void
trace_stop(Trace *trace)
{
	if (!trace->running)
		return;
	pthread_mutex_lock(&trace->lock);
	trace->stop = true;
	pthread_cond_signal(&trace->wake);
	pthread_mutex_unlock(&trace->lock);
	pthread_join(trace->thread, NULL);
	trace->running = false;
}

void
trace_free(Trace *trace)
{
	for (uint32_t i = 0; i < trace->n_events; i++)
		free(trace->events[i].order_sn);
	free(trace->events);
	free(trace->lines);
	pthread_cond_destroy(&trace->wake);
	pthread_mutex_destroy(&trace->lock);
}

TraceProgress
trace_progress(Trace *trace)
{
	TraceProgress progress = {0};

	pthread_mutex_lock(&trace->lock);
	progress.started = trace->started;
	progress.finished = trace->started && trace->done == trace->n_events;
	progress.events = trace->n_events;
	progress.done = trace->done;
	if (trace->started)
		progress.elapsed_us = (trace->finished_us > 0 ? trace->finished_us : clock_us()) -
			trace->started_us;
	pthread_mutex_unlock(&trace->lock);
	return progress;
}
