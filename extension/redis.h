/*
 * redis.h
 *		A client of Redis with a limit on everything: where the server is, one
 *		connection, pipelines of commands, and a pause after each failure.
 *
 * Neutral on purpose: no type of PostgreSQL's, nothing that raises, no
 * hiredis. bgworker/redis.c is the only file that knows hiredis; it is part
 * of the library storesync_cache, which the cache worker is started from and
 * which other sessions load when they first call a function that needs it.
 *
 * Use: redis_begin, redis_append as often as wanted, redis_next as often,
 * each answer in the order of its command. The time given to redis_begin is
 * for all of it, a new connection included. After any false the connection is
 * closed, what was under way is lost, and for a pause that grows from
 * REDIS_PAUSE_FIRST_MS to REDIS_PAUSE_LAST_MS redis_begin says no without
 * trying.
 */
#ifndef STORESYNC_REDIS_H
#define STORESYNC_REDIS_H

#include <stdbool.h>
#include <stddef.h>

#define REDIS_PAUSE_FIRST_MS	250
#define REDIS_PAUSE_LAST_MS		30000
/* Longest answer, in bytes: a session's data and something more. */
#define REDIS_MAX_ANSWER		(4 * 1024 * 1024)
/* Path of a socket, or an address, with its zero byte. */
#define REDIS_HOST_BYTES		108
#define REDIS_COMPLAINT_BYTES	200

typedef struct RedisAddress
{
	char		host[REDIS_HOST_BYTES]; /* address in digits; of a socket its absolute path */
	int			port;			/* 0: a socket */
	int			database;		/* number, for SELECT */
} RedisAddress;

/*
 * Read redis://ADDRESS[:PORT][/DATABASE] or unix:/PATH[?db=DATABASE]. The
 * address is in digits, with brackets around an IPv6 one, or localhost: no
 * name is ever looked up, since nothing bounds how long that takes. False
 * with a complaint, a whole sentence, for anything else.
 */
extern bool redis_read_url(const char *url, RedisAddress *address, const char **complaint);

/* Whether the server is on this machine. */
extern bool redis_is_local(const RedisAddress *address);

typedef enum RedisKind
{
	REDIS_NIL,
	REDIS_INTEGER,
	REDIS_TEXT,					/* also a status, like OK */
	REDIS_REFUSED				/* an error; its text begins with its kind, like OOM */
} RedisKind;

typedef struct RedisAnswer
{
	RedisKind	kind;
	long long	integer;
	const char *text;			/* zero-terminated; valid until the next call for the same client */
	size_t		length;
} RedisAnswer;

typedef struct Redis Redis;

/* Asked before a socket is opened, told after it was closed; NULL: nobody counts them. */
typedef struct RedisDescriptors
{
	bool		(*acquire) (void);
	void		(*release) (void);
} RedisDescriptors;

/* How the library's functions are reached by those who load it late: storesync_redis() returns this. */
typedef struct RedisCalls
{
	Redis	   *(*create) (RedisDescriptors descriptors);	/* NULL: out of memory */
	/* Where to connect from now on; closes, and ends the pause, when that is elsewhere. secret: NULL or "[user ]password". */
	void		(*point) (Redis *redis, const RedisAddress *address, const char *secret);
	bool		(*begin) (Redis *redis, int timeout_ms);
	bool		(*append) (Redis *redis, int n, const char *const *words, const size_t *lengths);
	bool		(*next) (Redis *redis, RedisAnswer *answer);
	void		(*close) (Redis *redis);
	/* What went wrong last, "" for nothing; never the secret. */
	const char *(*complaint) (const Redis *redis);
} RedisCalls;

extern Redis *redis_create(RedisDescriptors descriptors);
extern void redis_destroy(Redis *redis);
extern void redis_point(Redis *redis, const RedisAddress *address, const char *secret);
extern bool redis_begin(Redis *redis, int timeout_ms);
extern bool redis_append(Redis *redis, int n, const char *const *words, const size_t *lengths);
extern bool redis_next(Redis *redis, RedisAnswer *answer);
extern void redis_close(Redis *redis);
extern const char *redis_complaint(const Redis *redis);

/* Which run of which server the connection is to, "" when it does not say; changes with every restart. */
extern const char *redis_run_id(const Redis *redis);
/* Connections made since redis_create. */
extern long redis_connections(const Redis *redis);
/* Milliseconds until redis_begin tries again, 0 when it would now. */
extern int	redis_pause_ms(const Redis *redis);

#endif
