/*
 * notice.c
 *		The notifications that wait, and those that are lost; see notice.h.
 *
 * Shopee sends a notification again 300, 1800 and 10800 seconds after a try
 * that failed, and keeps what never arrived for three days. How Ruten repeats
 * is not known: here in the same way, but nothing is kept. They go out one
 * after another, each try with a limit of its own, so a slow receiver holds up
 * nothing but other notifications.
 */
#include "notice.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "simulator.h"

#define US_PER_S INT64_C(1000000)
#define LOST_PAGE 100
#define LOST_KEPT_S (INT64_C(3) * 86400)

static const int64_t retry_after_s[] = {300, 1800, 10800};

#define N_RETRIES ((int) (sizeof(retry_after_s) / sizeof(retry_after_s[0])))

void
notices_init(Notices *notices, Simulator *sim, uint64_t seed)
{
	memset(notices, 0, sizeof(*notices));
	pthread_mutex_init(&notices->lock, NULL);
	clock_condition_init(&notices->wake);
	notices->sim = sim;
	notices->n_shops = sim->catalogue.n_shops;
	notices->shop_urls = sim_alloc((notices->n_shops + 1) * sizeof(char *));
	notices->retry_scale = 1;
	notices->random = seed * 2 + 1;
}

static void
list_free(NoticeList *list)
{
	for (uint32_t i = 0; i < list->n; i++)
		free(list->notices[i].body);
	free(list->notices);
}

void
notices_free(Notices *notices)
{
	list_free(&notices->waiting);
	list_free(&notices->lost);
	for (uint32_t i = 0; i < notices->n_shops; i++)
		free(notices->shop_urls[i]);
	free(notices->shop_urls);
	free(notices->url);
	pthread_cond_destroy(&notices->wake);
	pthread_mutex_destroy(&notices->lock);
}

/* ---------------------------------------------------------------- lists */

/* Adds a notice, whose body the list owns from now on; the oldest makes room. */
static void
list_add(NoticeList *list, const Notice *notice)
{
	if (list->n == NOTICE_MAX)
	{
		free(list->notices[0].body);
		memmove(&list->notices[0], &list->notices[1], (--list->n) * sizeof(Notice));
	}
	if (list->n == list->room)
	{
		list->room = list->room == 0 ? 16 : list->room * 2;
		list->notices = sim_grow(list->notices, list->room * sizeof(Notice));
	}
	list->notices[list->n++] = *notice;
}

/* Takes out the first one that is due; false: none is, *due_us says when one will be. */
static bool
list_take(NoticeList *list, int64_t now_us, Notice *notice, int64_t *due_us)
{
	*due_us = INT64_MAX;
	for (uint32_t i = 0; i < list->n; i++)
	{
		if (list->notices[i].due_us <= now_us)
		{
			*notice = list->notices[i];
			memmove(&list->notices[i], &list->notices[i + 1], (list->n - i - 1) * sizeof(Notice));
			list->n--;
			return true;
		}
		if (list->notices[i].due_us < *due_us)
			*due_us = list->notices[i].due_us;
	}
	return false;
}

/* ---------------------------------------------------------------- making */

/* A number from 0 up to but not including 1 (xorshift). */
static double
draw(Notices *notices)
{
	uint64_t	x = notices->random;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	notices->random = x;
	return (double) (x >> 11) / 9007199254740992.0;
}

static void
lose(Notices *notices, Notice *notice)
{
	if (notice->ruten)
	{
		free(notice->body);
		return;
	}
	notice->id = ++notices->last_lost;
	list_add(&notices->lost, notice);
}

/* Puts a notice, and perhaps its twin, among those that wait, or among the lost ones. */
static void
add(Notices *notices, Notice *notice, int64_t delay_us)
{
	Notice		twin = *notice;

	notices->counters.made++;
	if (draw(notices) < notices->drop)
	{
		notices->counters.dropped++;
		lose(notices, notice);
		return;
	}
	notice->due_us = clock_us() + delay_us + (int64_t) (draw(notices) * (double) notices->shuffle_ms * 1000);
	list_add(&notices->waiting, notice);
	if (draw(notices) < notices->duplicate)
	{
		notices->counters.duplicated++;
		twin.body = sim_copy(notice->body);
		twin.due_us = clock_us() + delay_us + (int64_t) (draw(notices) * (double) notices->shuffle_ms * 1000);
		list_add(&notices->waiting, &twin);
	}
	pthread_cond_signal(&notices->wake);
}

/* One of Shopee's, as the platform writes it. The lock is held. */
static void
add_shopee(Notices *notices, uint32_t shop, int64_t code, const char *data, int64_t delay_us)
{
	Notice		notice = {.shop = shop,.code = code,.made_s = clock_wall_s()};
	Text		body = {0};

	text_addf(&body, "{\"data\":%s,", data);
	if (shop != NO_INDEX)
		text_addf(&body, "\"shop_id\":%" PRId64 ",", notices->sim->catalogue.shops[shop].shop_id);
	text_addf(&body, "\"code\":%" PRId64 ",\"timestamp\":%" PRId64 "}", code, notice.made_s);
	notice.body = body.data;
	add(notices, &notice, delay_us);
}

void
notices_add(Notices *notices, uint32_t shop, int64_t code, const char *data)
{
	pthread_mutex_lock(&notices->lock);
	if (notices->url != NULL)
		add_shopee(notices, shop, code, data, 0);
	pthread_mutex_unlock(&notices->lock);
}

/* What Ruten calls a change of an order; NULL: it tells nobody. */
static const char *
ruten_action(const Order *order)
{
	switch (order_newest(order)->status)
	{
		case ORDER_IN_CANCEL:
			return "buyer_cancel";
		case ORDER_CANCELLED:
			return "order_cancel";
		case ORDER_READY_TO_SHIP:
			return order->n_versions == 1 ? "create_order" : "order_paid";
		default:
			return order->n_versions == 1 ? "create_order" : NULL;
	}
}

void
notices_order(void *argument, const Orders *orders, const Order *order)
{
	Notices    *notices = argument;
	Text		text = {0};

	pthread_mutex_lock(&notices->lock);
	if (notices->shop_urls[order->shop] != NULL && ruten_action(order) != NULL)
	{
		Notice		notice = {.ruten = true,.shop = order->shop,.made_s = clock_wall_s()};

		text_addf(&text, "{\"action_type\":\"%s\",\"order_no\":\"%s\"}", ruten_action(order), order->sn);
		notice.body = text.data;
		add(notices, &notice, orders->delay_us);
	}
	else if (notices->shop_urls[order->shop] == NULL && notices->url != NULL)
	{
		text_addf(&text, "{\"items\":[],\"ordersn\":\"%s\",\"status\":\"%s\",\"completed_scenario\":\"\",\"update_time\":%" PRId64 "}",
				  order->sn, order_status_name(order_newest(order)->status), order_newest(order)->update_time);
		add_shopee(notices, order->shop, 3, text.data, orders->delay_us);
		text_free(&text);
	}
	pthread_mutex_unlock(&notices->lock);
}

/* ---------------------------------------------------------------- sending */

/* What follows from a try. */
static void
tried(Notices *notices, Notice *notice, bool taken)
{
	notices->counters.tries++;
	if (taken)
	{
		notices->counters.taken++;
		free(notice->body);
		return;
	}
	if (notice->tries == N_RETRIES)
	{
		notices->counters.given_up++;
		lose(notices, notice);
		return;
	}
	notice->due_us = clock_us() + (int64_t) ((double) (retry_after_s[notice->tries++] * US_PER_S) * notices->retry_scale);
	list_add(&notices->waiting, notice);
}

/* One try, with no lock held but for a look at how Ruten signs. */
static bool
try_once(Notices *notices, const Notice *notice, const char *url)
{
	Simulator  *sim = notices->sim;
	bool		path_only;
	bool		base64;

	pthread_mutex_lock(&sim->market.lock);
	path_only = sim->ruten.sign_path_only;
	base64 = sim->ruten.sign_base64;
	pthread_mutex_unlock(&sim->market.lock);
	return notice_send(sim, notice, url, path_only, base64);
}

/* The thread that sends. */
static void *
notices_main(void *argument)
{
	Notices    *notices = argument;

	pthread_mutex_lock(&notices->lock);
	while (!notices->stop)
	{
		Notice		notice;
		const char *url;
		char	   *copy;
		int64_t		due_us;
		bool		taken;

		if (!list_take(&notices->waiting, clock_us(), &notice, &due_us))
		{
			clock_wait(&notices->wake, &notices->lock, due_us);
			continue;
		}
		url = notice.ruten ? notices->shop_urls[notice.shop] : notices->url;
		copy = sim_copy(url != NULL ? url : "");
		pthread_mutex_unlock(&notices->lock);
		taken = *copy != '\0' && try_once(notices, &notice, copy);
		free(copy);
		pthread_mutex_lock(&notices->lock);
		tried(notices, &notice, taken);
	}
	pthread_mutex_unlock(&notices->lock);
	return NULL;
}

bool
notices_run(Notices *notices)
{
	notices->running = pthread_create(&notices->thread, NULL, notices_main, notices) == 0;
	return notices->running;
}

void
notices_stop(Notices *notices)
{
	if (!notices->running)
		return;
	pthread_mutex_lock(&notices->lock);
	notices->stop = true;
	pthread_cond_signal(&notices->wake);
	pthread_mutex_unlock(&notices->lock);
	pthread_join(notices->thread, NULL);
	notices->running = false;
}

/* ---------------------------------------------------------------- lost ones */

/* Forgets the first ones of the list. */
static void
forget_lost(NoticeList *list, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		free(list->notices[i].body);
	memmove(&list->notices[0], &list->notices[n], (list->n - n) * sizeof(Notice));
	list->n -= n;
}

static void
write_lost(const Notices *notices, const Notice *notice, Text *response)
{
	json_comma(response);
	text_addf(response, "{");
	if (notice->shop != NO_INDEX)
		text_addf(response, "\"shop_id\":%" PRId64 ",", notices->sim->catalogue.shops[notice->shop].shop_id);
	text_addf(response, "\"code\":%" PRId64 ",\"timestamp\":%" PRId64 ",\"data\":", notice->code, notice->made_s);
	json_string(response, notice->body);
	text_addf(response, "}");
}

void
notices_write_lost(Notices *notices, Text *response)
{
	NoticeList *list = &notices->lost;
	int64_t		last = 0;
	uint32_t	old = 0;

	pthread_mutex_lock(&notices->lock);
	while (old < list->n && list->notices[old].made_s < clock_wall_s() - LOST_KEPT_S)
		old++;
	if (old > 0)
		forget_lost(list, old);
	text_addf(response, "{\"push_message_list\":[");
	for (uint32_t i = 0; i < list->n && i < LOST_PAGE; i++)
	{
		write_lost(notices, &list->notices[i], response);
		last = list->notices[i].id;
	}
	text_addf(response, "],\"has_next_page\":%s,\"last_message_id\":%" PRId64 "}", list->n > LOST_PAGE ? "true" : "false", last);
	pthread_mutex_unlock(&notices->lock);
}

void
notices_confirm_lost(Notices *notices, int64_t last_id)
{
	uint32_t	n = 0;

	pthread_mutex_lock(&notices->lock);
	while (n < notices->lost.n && notices->lost.notices[n].id <= last_id)
		n++;
	if (n > 0)
		forget_lost(&notices->lost, n);
	pthread_mutex_unlock(&notices->lock);
}
