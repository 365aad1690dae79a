/*
 * test_redis.c
 *		The client of Redis against a server of our own that misbehaves: what
 *		its URL may be, and that no call lasts longer than its time.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "redis.h"

#define TIMEOUT_MS	150
/* On a busy machine a call of TIMEOUT_MS may end this late. */
#define LATE_MS		3000

static char directory[] = "/tmp/storesync-redis-XXXXXX";
static int	open_sockets;

static bool
acquire(void)
{
	open_sockets++;
	return true;
}

static void
release(void)
{
	open_sockets--;
}

static int64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* serve starts a process that says `greeting` to each who connects, then `more` a byte at a time, and reads all. */
static pid_t
serve(RedisAddress *address, const char *greeting, const char *more)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int			listener = socket(AF_UNIX, SOCK_STREAM, 0);
	pid_t		pid;

	memset(address, 0, sizeof(*address));
	snprintf(address->host, sizeof(address->host), "%s/socket", directory);
	strcpy(name.sun_path, address->host);
	unlink(name.sun_path);
	assert_int_equal(bind(listener, (struct sockaddr *) &name, sizeof(name)), 0);
	assert_int_equal(listen(listener, 5), 0);
	pid = fork();
	if (pid == 0)
	{
		char		heard[4096];

		for (;;)
		{
			int			peer = accept(listener, NULL, NULL);
			const char *next = more;

			if (write(peer, greeting, strlen(greeting)) < 0)
				_exit(1);
			while (*next != '\0')
			{
				struct timespec pause = {.tv_nsec = 40 * 1000000};

				nanosleep(&pause, NULL);
				if (write(peer, next++, 1) < 0)
					break;
			}
			while (read(peer, heard, sizeof(heard)) > 0)
				;
			close(peer);
		}
	}
	close(listener);
	return pid;
}

static void
end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static Redis *
client(const RedisAddress *address, const char *secret)
{
	Redis	   *redis = redis_create((RedisDescriptors) {acquire, release});

	assert_non_null(redis);
	redis_point(redis, address, secret);
	return redis;
}

static bool
ping(Redis *redis, int timeout_ms, RedisAnswer *answer)
{
	return redis_begin(redis, timeout_ms) && redis_append(redis, 1, (const char *[]) {"PING"}, NULL) &&
		redis_next(redis, answer);
}

static void
url_names_a_socket_or_an_address(void **state)
{
	static const struct
	{
		const char *url;
		const char *host;
		int			port;
		int			database;
		bool		local;
	}			good[] = {
		{"unix:/run/redis/r.sock", "/run/redis/r.sock", 0, 0, true},
		{"unix:///run/r?db=15", "/run/r", 0, 15, true},
		{"redis://10.0.0.5", "10.0.0.5", 6379, 0, false},
		{"redis://127.0.0.9:7000/2", "127.0.0.9", 7000, 2, true},
		{"redis://localhost/", "127.0.0.1", 6379, 0, true},
		{"redis://[::1]:7000/2", "::1", 7000, 2, true},
		{"redis://[2001:db8::1]", "2001:db8::1", 6379, 0, false},
	};
	static const char *const bad[] = {
		"", "redis", "http://127.0.0.1", "redis://", "redis://cache.example", "redis://127.0.0.1:0", "redis://127.0.0.1:65536",
		"redis://127.0.0.1/x", "redis://127.0.0.1/99999", "redis://127.0.0.1/-1", "redis://:secret@127.0.0.1",
		"redis://u:p@127.0.0.1/1", "redis://[::1", "redis://[::1]x", "unix:r.sock", "unix:/r?x=1", "unix:/r?db=", "unix:/r?db=1&a=b",
		"redis://127.0.0.1:", "redis://127.0.0.1:1:2", "redis://127.0.0.256"
	};
	RedisAddress address;
	const char *complaint;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
	{
		assert_true(redis_read_url(good[i].url, &address, &complaint));
		assert_string_equal(address.host, good[i].host);
		assert_int_equal(address.port, good[i].port);
		assert_int_equal(address.database, good[i].database);
		assert_int_equal(redis_is_local(&address), good[i].local);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		complaint = NULL;
		assert_false(redis_read_url(bad[i], &address, &complaint));
		assert_non_null(complaint);
	}
}

static void
url_longer_than_all_room_is_refused(void **state)
{
	char		url[600];
	RedisAddress address;
	const char *complaint;

	for (size_t length = 100; length < 590; length += 7)
	{
		memset(url, 'a', sizeof(url));
		memcpy(url, "unix:/", 6);
		url[length] = '\0';
		assert_int_equal(redis_read_url(url, &address, &complaint), length < REDIS_HOST_BYTES + 5);
		memcpy(url, "redis://", 8);
		assert_false(redis_read_url(url, &address, &complaint));
	}
}

static void
answers_come_in_the_order_of_commands(void **state)
{
	RedisAddress address;
	pid_t		server = serve(&address, "$9\r\nrun_id:ab\r\n+PONG\r\n:7\r\n$-1\r\n-OOM none\r\n", "");
	Redis	   *redis = client(&address, NULL);
	RedisAnswer answer = {0};

	/* all of it is there before it is asked for: an answer too many is taken as well */
	assert_true(ping(redis, LATE_MS, &answer));
	assert_int_equal(answer.kind, REDIS_TEXT);
	assert_string_equal(answer.text, "PONG");
	assert_string_equal(redis_run_id(redis), "ab");
	assert_true(redis_next(redis, &answer));
	assert_int_equal(answer.integer, 7);
	assert_true(redis_next(redis, &answer));
	assert_int_equal(answer.kind, REDIS_NIL);
	assert_true(redis_next(redis, &answer));
	assert_int_equal(answer.kind, REDIS_REFUSED);
	redis_destroy(redis);
	assert_int_equal(open_sockets, 0);
	end(server);
}

static void
silent_or_slow_server_costs_its_time_and_no_more(void **state)
{
	static const char *const slow[] = {"", "$9\r\nrun_id:ab\r\n+PONGPONGPONGPONGPONGPONGPONGPONGPONGPONG\r\n"};

	for (size_t i = 0; i < 2; i++)
	{
		RedisAddress address;
		pid_t		server = serve(&address, "", slow[i]);
		Redis	   *redis = client(&address, NULL);
		RedisAnswer answer;
		int64_t		began = now_ms();

		assert_false(ping(redis, TIMEOUT_MS, &answer));
		assert_in_range(now_ms() - began, TIMEOUT_MS - 1, LATE_MS);
		assert_string_equal(redis_complaint(redis), "no answer in time");
		/* and the next one nothing */
		assert_in_range(redis_pause_ms(redis), 1, REDIS_PAUSE_FIRST_MS);
		began = now_ms();
		assert_false(ping(redis, TIMEOUT_MS, &answer));
		assert_in_range(now_ms() - began, 0, TIMEOUT_MS - 1);
		redis_destroy(redis);
		assert_int_equal(open_sockets, 0);
		end(server);
	}
}

static void
nonsense_and_endless_answers_end_the_connection(void **state)
{
	char	   *endless = malloc(REDIS_MAX_ANSWER + 100000);
	const char *const greetings[] = {"HTTP/1.1 400 Bad Request\r\n\r\n", "$9\r\nrun_id:ab\r\n*1\r\n:1\r\n", endless};

	memset(endless, 'x', REDIS_MAX_ANSWER + 100000);
	memcpy(endless, "$9\r\nrun_id:ab\r\n$99999999\r\n", 27);
	endless[REDIS_MAX_ANSWER + 99999] = '\0';
	for (size_t i = 0; i < 3; i++)
	{
		RedisAddress address;
		pid_t		server = serve(&address, greetings[i], "");
		Redis	   *redis = client(&address, NULL);
		RedisAnswer answer;

		assert_true(redis_begin(redis, LATE_MS) ? !(redis_append(redis, 1, (const char *[]) {"PING"}, NULL) && redis_next(redis, &answer)) : true);
		assert_string_not_equal(redis_complaint(redis), "");
		redis_destroy(redis);
		assert_int_equal(open_sockets, 0);
		end(server);
	}
	free(endless);
}

static void
wrong_password_is_no_connection_and_is_not_repeated(void **state)
{
	RedisAddress address;
	pid_t		server = serve(&address, "-WRONGPASS invalid\r\n", "");
	Redis	   *redis = client(&address, "user hush");

	assert_false(redis_begin(redis, LATE_MS));
	assert_non_null(strstr(redis_complaint(redis), "WRONGPASS"));
	assert_null(strstr(redis_complaint(redis), "hush"));
	redis_destroy(redis);
	end(server);
}

static void
pause_grows_and_ends_with_another_address(void **state)
{
	RedisAddress address = {.host = "/nowhere/at/all"};
	Redis	   *redis = client(&address, NULL);

	assert_false(redis_begin(redis, TIMEOUT_MS));
	assert_in_range(redis_pause_ms(redis), 1, REDIS_PAUSE_FIRST_MS);
	redis_point(redis, &address, NULL);
	assert_in_range(redis_pause_ms(redis), 1, REDIS_PAUSE_FIRST_MS);
	strcpy(address.host, "/nowhere/else");
	redis_point(redis, &address, NULL);
	assert_int_equal(redis_pause_ms(redis), 0);
	redis_destroy(redis);
	assert_int_equal(open_sockets, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(url_names_a_socket_or_an_address),
		cmocka_unit_test(url_longer_than_all_room_is_refused),
		cmocka_unit_test(answers_come_in_the_order_of_commands),
		cmocka_unit_test(silent_or_slow_server_costs_its_time_and_no_more),
		cmocka_unit_test(nonsense_and_endless_answers_end_the_connection),
		cmocka_unit_test(wrong_password_is_no_connection_and_is_not_repeated),
		cmocka_unit_test(pause_grows_and_ends_with_another_address),
	};
	int			failed;

	signal(SIGPIPE, SIG_IGN);
	if (mkdtemp(directory) == NULL)
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	{
		char		path[64];

		snprintf(path, sizeof(path), "%s/socket", directory);
		unlink(path);
		rmdir(directory);
	}
	return failed;
}
