/*
 * redis.c
 *		The client of redis.h, over hiredis. Knows nothing of PostgreSQL.
 *
 * The connection never blocks by itself: hiredis buffers and parses, and all
 * waiting is done here, by poll() until one deadline, so that no server that
 * answers a byte at a time makes a call last longer than its time. A deadline
 * is set anew by each redis_begin, whatever the connection has seen before.
 *
 * States: closed (context NULL) and open. There is one way to close, and a
 * failure goes through fail(), which closes and begins the pause.
 */
#include "redis.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <hiredis/hiredis.h>

/* A run id is 40 characters. */
#define RUN_ID_BYTES	64

struct Redis
{
	RedisDescriptors descriptors;
	RedisAddress address;
	char	   *secret;			/* NULL for none */
	redisContext *context;		/* NULL: closed */
	redisReply *reply;			/* that the last answer points into */
	int64_t		deadline;		/* of what is under way, ms of the clock below */
	int64_t		rest_until;
	int			pause_ms;		/* of the last failure, 0 after a success */
	long		connections;
	char		run_id[RUN_ID_BYTES];
	char		complaint[REDIS_COMPLAINT_BYTES];
};

extern const RedisCalls *storesync_redis(void);

/* now_ms is a clock that only goes forward. */
static int64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void
drop_reply(Redis *redis)
{
	if (redis->reply != NULL)
		freeReplyObject(redis->reply);
	redis->reply = NULL;
}

void
redis_close(Redis *redis)
{
	drop_reply(redis);
	if (redis->context == NULL)
		return;
	redisFree(redis->context);
	redis->context = NULL;
	if (redis->descriptors.release != NULL)
		redis->descriptors.release();
}

/* fail closes, notes why, and begins a pause twice as long as the last one. */
__attribute__((format(printf, 2, 3)))
static bool
fail(Redis *redis, const char *format, ...)
{
	va_list		arguments;
	char		text[REDIS_COMPLAINT_BYTES];

	/* what it says may be of the connection */
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	memcpy(redis->complaint, text, sizeof(text));
	redis_close(redis);
	redis->pause_ms = redis->pause_ms == 0 ? REDIS_PAUSE_FIRST_MS : redis->pause_ms * 2;
	if (redis->pause_ms > REDIS_PAUSE_LAST_MS)
		redis->pause_ms = REDIS_PAUSE_LAST_MS;
	redis->rest_until = now_ms() + redis->pause_ms;
	return false;
}

/* wait_for waits until the socket can be read or written; false at the deadline, and for an error. */
static bool
wait_for(Redis *redis, short events)
{
	struct pollfd socket = {.fd = redis->context->fd, .events = events};

	for (;;)
	{
		int64_t		left = redis->deadline - now_ms();
		int			n;

		if (left <= 0)
			return fail(redis, "no answer in time");
		n = poll(&socket, 1, (int) left);
		if (n > 0)
			return true;
		if (n < 0 && errno != EINTR)
			return fail(redis, "%s", strerror(errno));
	}
}

/* send_all hands everything that was appended to the kernel. */
static bool
send_all(Redis *redis)
{
	int			done = 0;

	for (;;)
	{
		if (redisBufferWrite(redis->context, &done) != REDIS_OK)
			return fail(redis, "%s", redis->context->errstr);
		if (done)
			return true;
		if (!wait_for(redis, POLLOUT))
			return false;
	}
}

/* take_reply waits for the next reply, which is redis->reply then. */
static bool
take_reply(Redis *redis)
{
	void	   *reply = NULL;

	drop_reply(redis);
	for (;;)
	{
		if (redisGetReplyFromReader(redis->context, &reply) != REDIS_OK)
			return fail(redis, "%s", redis->context->errstr);
		if (reply != NULL)
		{
			redis->reply = reply;
			return true;
		}
		if (redis->context->reader->len > REDIS_MAX_ANSWER)
			return fail(redis, "its answer is longer than %d bytes", REDIS_MAX_ANSWER);
		if (!wait_for(redis, POLLIN))
			return false;
		if (redisBufferRead(redis->context) != REDIS_OK)
			return fail(redis, "%s", redis->context->errstr);
	}
}

/* say appends a command of plain words. */
static bool
say(Redis *redis, int n, const char **words)
{
	if (redisAppendCommandArgv(redis->context, n, words, NULL) != REDIS_OK)
		return fail(redis, "%s", redis->context->errstr);
	return true;
}

/* greet_with says who we are and which database we want; *wanted counts the answers that must not be errors. */
static bool
greet_with(Redis *redis, int *wanted)
{
	char		number[16];
	char	   *copy;
	char	   *space;
	bool		sent;

	*wanted = 0;
	if (redis->secret != NULL)
	{
		if ((copy = strdup(redis->secret)) == NULL)
			return fail(redis, "out of memory");
		space = strchr(copy, ' ');
		if (space != NULL)
			*space = '\0';
		sent = space == NULL ? say(redis, 2, (const char *[]) {"AUTH", copy})
			: say(redis, 3, (const char *[]) {"AUTH", copy, space + 1});
		free(copy);
		if (!sent)
			return false;
		(*wanted)++;
	}
	if (redis->address.database != 0)
	{
		snprintf(number, sizeof(number), "%d", redis->address.database);
		if (!say(redis, 2, (const char *[]) {"SELECT", number}))
			return false;
		(*wanted)++;
	}
	return say(redis, 2, (const char *[]) {"INFO", "server"}) && send_all(redis);
}

/* note_run_id finds it in what INFO has answered; an error leaves it unknown. */
static void
note_run_id(Redis *redis)
{
	const char *found = redis->reply->type == REDIS_REPLY_STRING ? strstr(redis->reply->str, "run_id:") : NULL;

	redis->run_id[0] = '\0';
	if (found != NULL)
		snprintf(redis->run_id, sizeof(redis->run_id), "%.*s", (int) strspn(found + 7, "0123456789abcdef"), found + 7);
}

/* connect_now opens a connection and greets. */
static bool
connect_now(Redis *redis)
{
	int			error = 0;
	int			wanted;
	socklen_t	length = sizeof(error);

	if (redis->descriptors.acquire != NULL && !redis->descriptors.acquire())
		return fail(redis, "too many open files");
	redis->context = redis->address.port == 0 ? redisConnectUnixNonBlock(redis->address.host)
		: redisConnectNonBlock(redis->address.host, redis->address.port);
	if (redis->context == NULL)
	{
		if (redis->descriptors.release != NULL)
			redis->descriptors.release();
		return fail(redis, "out of memory");
	}
	if (redis->context->err != 0)
		return fail(redis, "%s", redis->context->errstr);
	if (!wait_for(redis, POLLOUT))
		return false;
	if (getsockopt(redis->context->fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0 || error != 0)
		return fail(redis, "%s", strerror(error != 0 ? error : errno));
	if (!greet_with(redis, &wanted))
		return false;
	while (wanted-- > 0)
	{
		if (!take_reply(redis))
			return false;
		if (redis->reply->type == REDIS_REPLY_ERROR)
			return fail(redis, "%.150s", redis->reply->str);
	}
	if (!take_reply(redis))
		return false;
	note_run_id(redis);
	redis->connections++;
	return true;
}

Redis *
redis_create(RedisDescriptors descriptors)
{
	Redis	   *redis = calloc(1, sizeof(Redis));

	if (redis != NULL)
		redis->descriptors = descriptors;
	return redis;
}

void
redis_destroy(Redis *redis)
{
	redis_close(redis);
	free(redis->secret);
	free(redis);
}

static bool
same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

void
redis_point(Redis *redis, const RedisAddress *address, const char *secret)
{
	if (strcmp(redis->address.host, address->host) == 0 && redis->address.port == address->port &&
		redis->address.database == address->database && same_text(redis->secret, secret))
		return;
	redis_close(redis);
	redis->address = *address;
	free(redis->secret);
	redis->secret = secret == NULL ? NULL : strdup(secret);
	redis->rest_until = 0;
	redis->pause_ms = 0;
}

/* close_if_dead: a server that has gone since the last call says so by an end of file, which is no failure of this one. */
static void
close_if_dead(Redis *redis)
{
	struct pollfd socket;

	if (redis->context == NULL)
		return;
	socket = (struct pollfd) {.fd = redis->context->fd, .events = POLLIN};
	/* nothing was asked, so nothing but the end can have come */
	if (poll(&socket, 1, 0) > 0)
		redis_close(redis);
}

bool
redis_begin(Redis *redis, int timeout_ms)
{
	if (redis_pause_ms(redis) > 0)
		return false;
	redis->deadline = now_ms() + timeout_ms;
	close_if_dead(redis);
	return redis->context != NULL || connect_now(redis);
}

bool
redis_append(Redis *redis, int n, const char *const *words, const size_t *lengths)
{
	if (redis->context == NULL)
		return false;
	if (redisAppendCommandArgv(redis->context, n, (const char **) words, lengths) != REDIS_OK)
		return fail(redis, "%s", redis->context->errstr);
	return true;
}

bool
redis_next(Redis *redis, RedisAnswer *answer)
{
	if (redis->context == NULL || !send_all(redis) || !take_reply(redis))
		return false;
	redis->pause_ms = 0;
	answer->integer = redis->reply->integer;
	answer->text = redis->reply->str;
	answer->length = redis->reply->len;
	switch (redis->reply->type)
	{
		case REDIS_REPLY_STRING:
		case REDIS_REPLY_STATUS:
			answer->kind = REDIS_TEXT;
			return true;
		case REDIS_REPLY_ERROR:
			answer->kind = REDIS_REFUSED;
			return true;
		case REDIS_REPLY_INTEGER:
			answer->kind = REDIS_INTEGER;
			return true;
		case REDIS_REPLY_NIL:
			answer->kind = REDIS_NIL;
			return true;
		default:
			return fail(redis, "an answer of a kind that was not asked for");
	}
}

const char *
redis_complaint(const Redis *redis)
{
	return redis->complaint;
}

const char *
redis_run_id(const Redis *redis)
{
	return redis->run_id;
}

long
redis_connections(const Redis *redis)
{
	return redis->connections;
}

int
redis_pause_ms(const Redis *redis)
{
	int64_t		left = redis->rest_until - now_ms();

	return left > 0 ? (int) left : 0;
}

const RedisCalls *
storesync_redis(void)
{
	static const RedisCalls calls = {
		redis_create, redis_point, redis_begin, redis_append, redis_next, redis_close, redis_complaint
	};

	return &calls;
}
