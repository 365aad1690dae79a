/*
 * cache_write.c
 *		Entries into Redis, a page of them in one pipeline.
 *
 * A script decides in Redis, where nothing comes between: an entry that has a
 * lower (incarnation, version, stamp) than what is there is left alone. So it
 * does not matter what a worker that was thought dead still had under way,
 * and after a recovery to an earlier moment the next incarnation wins, though
 * its versions are lower. When there is no memory left what cannot be
 * written is deleted, which always can: no value is better than an old one.
 */
#include "cache_work.h"

#include "shmem.h"

/* KEYS[1]: key; ARGV: incarnation, version, stamp, seconds to keep, fields and values. */
#define WRITE_SCRIPT \
	"local old = redis.call('HMGET', KEYS[1], 'incarnation', 'version', 'stamp') " \
	"for i = 1, 3 do " \
	"local a, b = tonumber(old[i] or 0), tonumber(ARGV[i]) " \
	"if b > a then break end " \
	"if b < a then return 0 end " \
	"end " \
	"redis.call('HSET', KEYS[1], 'incarnation', ARGV[1], 'version', ARGV[2], 'stamp', ARGV[3], unpack(ARGV, 5)) " \
	"redis.call('EXPIRE', KEYS[1], ARGV[4]) " \
	"return 1"

/* ARGV: where to go on, pattern, incarnation. Answers where to go on, "0" at the end. */
#define PURGE_SCRIPT \
	"local found = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', 500) " \
	"for _, key in ipairs(found[2]) do " \
	"if redis.call('TYPE', key)['ok'] == 'hash' then " \
	"local of = redis.call('HGET', key, 'incarnation') " \
	"if of and tonumber(of) < tonumber(ARGV[3]) then redis.call('DEL', key) end " \
	"end end " \
	"return found[1]"

#define FIXED_WORDS		7
#define MAX_WORDS		64
#define NUMBER_BYTES	24
#define PLACE_BYTES		32

Redis	   *cache_redis = NULL;

static char script[64];			/* name of WRITE_SCRIPT in Redis */
static char purge_place[PLACE_BYTES] = "0";

static bool
ask(int n, const char *const *words, RedisAnswer *answer)
{
	return redis_begin(cache_redis, CACHE_TIMEOUT_MS) && redis_append(cache_redis, n, words, NULL) &&
		redis_next(cache_redis, answer);
}

/* refused tells what an error means; LOG says what it was. */
static CacheOutcome
refused(const RedisAnswer *answer)
{
	if (strstr(answer->text, "OOM ") != NULL)
		return CACHE_NO_MEMORY;
	ereport(LOG,
			(errcode(SS_ERR_CACHE_AWAY),
			 errmsg("Redis refused what the cache worker asked: %.150s", answer->text)));
	redis_close(cache_redis);
	return CACHE_FAILED;
}

bool
cache_greet(void)
{
	RedisAnswer answer;

	if (!ask(3, (const char *[]) {"SCRIPT", "LOAD", WRITE_SCRIPT}, &answer))
		return false;
	if (answer.kind != REDIS_TEXT)
	{
		if (answer.kind == REDIS_REFUSED)
			(void) refused(&answer);
		return false;
	}
	strlcpy(script, answer.text, sizeof(script));
	return true;
}

static bool
append_entry(const CacheBatch *batch, const CacheEntry *entry)
{
	char		numbers[4][NUMBER_BYTES];
	const char *words[FIXED_WORDS + 1 + MAX_WORDS];
	int			n = FIXED_WORDS;

	if (entry->n_words == 0)
		return redis_append(cache_redis, 2, (const char *[]) {"DEL", entry->key}, NULL);
	snprintf(numbers[0], NUMBER_BYTES, "%d", batch->incarnation);
	snprintf(numbers[1], NUMBER_BYTES, INT64_FORMAT, entry->version);
	snprintf(numbers[2], NUMBER_BYTES, INT64_FORMAT, batch->stamp);
	snprintf(numbers[3], NUMBER_BYTES, "%d", entry->expires);
	words[0] = "EVALSHA";
	words[1] = script;
	words[2] = "1";
	words[3] = entry->key;
	words[4] = numbers[0];
	words[5] = numbers[1];
	words[6] = numbers[2];
	words[n++] = numbers[3];
	for (int i = 0; i < entry->n_words && i < MAX_WORDS; i++)
		words[n++] = entry->words[i];
	return redis_append(cache_redis, n, words, NULL);
}

void
cache_count(int counter, int64 n)
{
	SsDatabase *slot = shmem_database(MyDatabaseId, false);

	if (slot != NULL && n > 0)
		pg_atomic_fetch_add_u64(&slot->cache.counters[counter], n);
}

/* delete_entries takes away what could not be written. */
static CacheOutcome
delete_entries(const CacheEntry *entries, const bool *which, int n)
{
	RedisAnswer answer;
	int			asked = 0;

	if (!redis_begin(cache_redis, CACHE_TIMEOUT_MS))
		return CACHE_FAILED;
	for (int i = 0; i < n; i++)
	{
		if (!which[i])
			continue;
		if (!redis_append(cache_redis, 2, (const char *[]) {"DEL", entries[i].key}, NULL))
			return CACHE_FAILED;
		asked++;
	}
	for (int i = 0; i < asked; i++)
	{
		if (!redis_next(cache_redis, &answer))
			return CACHE_FAILED;
		if (answer.kind == REDIS_REFUSED)
			return refused(&answer);
	}
	cache_count(CACHE_DELETED, asked);
	return CACHE_NO_MEMORY;
}

/* write_page writes n entries of a batch from one on, in one pipeline. */
static CacheOutcome
write_page(const CacheBatch *batch, int from, int n)
{
	const CacheEntry *entries = batch->entries + from;
	bool		unwritten[CACHE_PAGE] = {false};
	bool		full = false;
	int			written = 0;
	int			deleted = 0;
	RedisAnswer answer;

	if (!redis_begin(cache_redis, CACHE_TIMEOUT_MS))
		return CACHE_FAILED;
	for (int i = 0; i < n; i++)
		if (!append_entry(batch, &entries[i]))
			return CACHE_FAILED;
	for (int i = 0; i < n; i++)
	{
		if (!redis_next(cache_redis, &answer))
			return CACHE_FAILED;
		if (answer.kind == REDIS_REFUSED)
		{
			if (refused(&answer) == CACHE_FAILED)
				return CACHE_FAILED;
			full = unwritten[i] = true;
		}
		else if (entries[i].n_words == 0)
			deleted += (int) answer.integer;
		else
			written += (int) answer.integer;
	}
	cache_count(CACHE_WRITTEN, written);
	cache_count(CACHE_DELETED, deleted);
	if (full)
		return delete_entries(entries, unwritten, n);
	for (int i = 0; i < n; i++)
		written += entries[i].n_words == 0;
	cache_count(CACHE_OLDER, n - written);
	return CACHE_DONE;
}

CacheOutcome
cache_write(const CacheBatch *batch)
{
	CacheOutcome worst = CACHE_DONE;

	for (int from = 0; from < batch->n; from += CACHE_PAGE)
	{
		CacheOutcome outcome = write_page(batch, from, Min(CACHE_PAGE, batch->n - from));

		if (outcome == CACHE_FAILED)
			return CACHE_FAILED;
		worst = Max(worst, outcome);
	}
	return worst;
}

bool
cache_read_mark(const char *key, char *token, size_t size, int *incarnation)
{
	RedisAnswer answer;

	token[0] = '\0';
	*incarnation = 0;
	if (!ask(3, (const char *[]) {"HGET", key, "token"}, &answer))
		return false;
	if (answer.kind == REDIS_REFUSED)
		return refused(&answer) != CACHE_FAILED;
	if (answer.kind == REDIS_TEXT)
		strlcpy(token, answer.text, size);
	if (!ask(3, (const char *[]) {"HGET", key, "incarnation"}, &answer))
		return false;
	if (answer.kind == REDIS_TEXT)
		*incarnation = atoi(answer.text);
	return true;
}

CacheOutcome
cache_write_mark(const char *key, const char *token, int incarnation)
{
	char		number[NUMBER_BYTES];
	RedisAnswer answer;

	snprintf(number, NUMBER_BYTES, "%d", incarnation);
	if (!ask(6, (const char *[]) {"HSET", key, "token", token, "incarnation", number}, &answer))
		return CACHE_FAILED;
	return answer.kind == REDIS_REFUSED ? refused(&answer) : CACHE_DONE;
}

bool
cache_purge(const char *pattern, int incarnation, bool *done)
{
	char		number[NUMBER_BYTES];
	RedisAnswer answer;

	snprintf(number, NUMBER_BYTES, "%d", incarnation);
	if (!ask(6, (const char *[]) {"EVAL", PURGE_SCRIPT, "0", purge_place, pattern, number}, &answer))
		return false;
	if (answer.kind == REDIS_REFUSED)
		return refused(&answer) != CACHE_FAILED;
	strlcpy(purge_place, answer.kind == REDIS_TEXT ? answer.text : "0", sizeof(purge_place));
	*done = strcmp(purge_place, "0") == 0;
	return true;
}
