/*
 * notice.h
 *		Notifications: what the platforms tell a seller's server of, sent over
 *		HTTP by a thread of its own, repeated until they are taken, and kept as
 *		lost when they never were.
 */
#ifndef SIM_NOTICE_H
#define SIM_NOTICE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "catalogue.h"
#include "orders.h"
#include "text.h"

#define NOTICE_MAX 100000		/* waiting, and as many lost */
#define NOTICE_MAX_URL 512

typedef struct Simulator Simulator;

typedef struct Notice
{
	int64_t		id;				/* of a lost one: rises */
	bool		ruten;			/* else Shopee's */
	uint32_t	shop;			/* NO_INDEX: of the application */
	int64_t		code;			/* Shopee's */
	int64_t		made_s;			/* Unix seconds */
	char	   *body;
	int			tries;
	int64_t		due_us;
} Notice;

typedef struct NoticeList
{
	Notice	   *notices;
	uint32_t	n;
	uint32_t	room;
} NoticeList;

typedef struct NoticeCounters
{
	int64_t		made;
	int64_t		tries;
	int64_t		taken;
	int64_t		duplicated;
	int64_t		dropped;		/* never sent, by the fault */
	int64_t		given_up;		/* after the last repetition */
} NoticeCounters;

typedef struct Notices
{
	pthread_mutex_t lock;		/* guards all below; taken after the market's, never before */
	pthread_cond_t wake;
	pthread_t	thread;
	bool		running;
	bool		stop;
	Simulator  *sim;
	uint32_t	n_shops;
	char	   *url;			/* Shopee's callback URL; NULL: none are sent */
	char	  **shop_urls;		/* per shop: Ruten's; NULL: the shop is one of Shopee's */
	double		drop;			/* rates of faults */
	double		duplicate;
	int64_t		shuffle_ms;		/* each waits for up to this, so that they overtake one another */
	double		retry_scale;	/* of the times between repetitions */
	uint64_t	random;
	int64_t		last_lost;
	NoticeList	waiting;
	NoticeList	lost;
	NoticeCounters counters;
} Notices;

extern void notices_init(Notices *notices, Simulator *sim, uint64_t seed);
extern void notices_free(Notices *notices);
/* The thread that sends. False: it could not be started. */
extern bool notices_run(Notices *notices);
extern void notices_stop(Notices *notices);

/* An order was placed or has changed; for Orders. Under the market's lock. */
extern void notices_order(void *notices, const Orders *orders, const Order *order);

/* One of Shopee's with this data, a JSON object; shop NO_INDEX: of the application. */
extern void notices_add(Notices *notices, uint32_t shop, int64_t code, const char *data);

/* "push_message_list" and what belongs to it: up to 100 lost ones, the oldest first. */
extern void notices_write_lost(Notices *notices, Text *response);
/* The lost ones up to this id have been taken. */
extern void notices_confirm_lost(Notices *notices, int64_t last_id);

/* notice_send.c: one try. True: the receiver took it, as the platform wants it. */
extern bool notice_send(const Simulator *sim, const Notice *notice, const char *url, bool path_only, bool base64);
/* Whether notifications can be sent there: http, on the loopback address. */
extern bool notice_url_valid(const char *url);

#endif
