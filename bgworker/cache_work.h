/*
 * cache_work.h
 *		What the files of the cache worker share.
 *
 * A round reads in a transaction of its own, ends it, and only then speaks to
 * Redis: no lock, no snapshot and no transaction waits for an answer.
 */
#ifndef STORESYNC_CACHE_WORK_H
#define STORESYNC_CACHE_WORK_H

#include "storesync.h"

#include "cache.h"
#include "redis.h"

/* Entries of one pipeline, and of one page while everything is written. */
#define CACHE_PAGE			500
/* For one pipeline, a new connection included. */
#define CACHE_TIMEOUT_MS	1000
/* More changes than this at once, and all stock and listings are written instead. */
#define CACHE_FEED_MAX		20000

typedef enum CacheWhat
{
	CACHE_STOCK,
	CACHE_LISTING,
	CACHE_ORDER
} CacheWhat;

/* What is to be in Redis under one key. */
typedef struct CacheEntry
{
	char	   *key;			/* whole, in UTF-8 */
	int64		version;
	int			expires;		/* seconds */
	int			n_words;		/* fields and values; 0: there must be no such key */
	char	  **words;
} CacheEntry;

/* Entries read in one transaction; they live until the round ends. */
typedef struct CacheBatch
{
	int			n;
	int			room;
	CacheEntry *entries;
	int			incarnation;
	int64		stamp;			/* transaction id that the snapshot did not reach: orders batches of one incarnation */
} CacheBatch;

typedef struct CacheIds
{
	int			n;
	int64	   *ids;
} CacheIds;

/*
 * What outlives a transaction and not the round. Each statement leaves SPI's
 * own context current, which goes with the transaction: who keeps a result
 * switches to this one after it.
 */
extern MemoryContext cache_round;

/* cache_read.c; in a transaction, SPI connected, as the owner */
extern void cache_batch_start(CacheBatch *batch);
extern void cache_read(CacheBatch *batch, CacheWhat what, const CacheIds *ids);
/* The bigints in the first column of the statement just run. */
extern CacheIds cache_ids(void);

/*
 * cache_feed.c: the outbox by snapshots, and the orders' history by time. The
 * first four in a transaction as above; *_seen when Redis has what was read.
 * cache_feed_read is false when there was too much.
 */
extern void cache_feed_start(void);
extern bool cache_feed_read(CacheIds *skus, CacheIds *listings, bool *everything);
extern bool cache_feed_store(void); /* false: we were away too long, and nobody waited */
extern CacheIds cache_orders_read(bool *more);
extern void cache_feed_seen(void);
extern void cache_orders_seen(void);
extern TimestampTz cache_feed_store_due(void);

/* cache_fill.c: writing everything, page by page */
extern void cache_fill_start(bool orders, bool purge);
extern void cache_fill_stop(void);
extern bool cache_filling(void);
extern bool cache_fill_has_purge(void); /* the page that is due is one of the purge */
/* The next page, in a transaction as above; cache_fill_seen goes on behind it, true when that was the last. */
extern void cache_fill_read(CacheBatch *batch);
extern bool cache_fill_seen(void);

typedef enum CacheOutcome
{
	CACHE_DONE,
	CACHE_NO_MEMORY,			/* some could not be written, and were deleted */
	CACHE_FAILED				/* the connection is closed */
} CacheOutcome;

/* cache_write.c: Redis; outside of any transaction */
extern Redis *cache_redis;
extern bool cache_greet(void);	/* a new connection: scripts */
extern CacheOutcome cache_write(const CacheBatch *batch);
/* The mark that the filling left in Redis: the token it was begun with, "" when there is none. */
extern bool cache_read_mark(const char *key, char *token, size_t size, int *incarnation);
extern CacheOutcome cache_write_mark(const char *key, const char *token, int incarnation);
/* Deletes keys of lower incarnations, a few hundred looked at: true, and *done at the end. */
extern bool cache_purge(const char *pattern, int incarnation, bool *done);
extern void cache_count(int counter, int64 n);

#endif
