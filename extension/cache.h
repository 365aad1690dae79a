/*
 * cache.h
 *		What the cache worker and the SQL functions of the cache share: which
 *		Redis, whether this database may speak to it, and the names of keys.
 */
#ifndef STORESYNC_CACHE_H
#define STORESYNC_CACHE_H

#include "storesync.h"

#include "utils/guc.h"

#include "redis.h"

/* The kinds of keys; sql/56_cache.sql makes those of entries. */
#define CACHE_KEY_STATE		"cache"
#define CACHE_KEY_LOCK		"lock:"
#define CACHE_KEY_TOKEN		"lock_token"
#define CACHE_KEY_SESSION	"session:"

/* Check hook of storesync.redis_url. */
extern bool cache_check_url(char **value, void **extra, GucSource source);

/* Where the settings point: false when there is no cache; the secret is palloc'd, NULL for none. Raises when its file cannot be read. */
extern PGDLLEXPORT bool cache_where(RedisAddress *address, char **secret);

/* Whether this database may speak to Redis: copies may not (sql/56_cache.sql). In a transaction, SPI connected, as the owner. */
extern PGDLLEXPORT bool cache_is_allowed(void);

/*
 * A text as Redis has it, in UTF-8, behind "DATABASE:KIND" where a kind is
 * given; palloc'd. In a transaction, the name of the database is looked up.
 */
extern PGDLLEXPORT char *cache_key(const char *kind, const char *name);
extern PGDLLEXPORT char *cache_utf8(const char *value);

#endif
