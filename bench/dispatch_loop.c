/*
 * dispatch_loop.c
 *		The floor of bench/dispatch: a loop over libcurl's multi interface and
 *		epoll that sends the same requests and remembers nothing.
 *
 *	dispatch_loop URL CALLS IN-FLIGHT
 *
 * Sends CALLS stock calls, each of another item, and keeps IN-FLIGHT of them
 * under way over kept-alive connections. Prints seconds, and its own CPU
 * seconds. Any failed call ends it with status 1.
 */
#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#define EVENTS_AT_ONCE	64

typedef struct Call
{
	CURL	   *easy;
	char		body[160];
} Call;

static CURLM *multi;
static struct curl_slist *headers;
static int	poll_fd;
static int64_t deadline_us = -1;
static long started = 0;
static long done = 0;
static long wanted;

static int64_t
clock_us(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int
on_socket(CURL *easy, curl_socket_t fd, int what, void *client, void *socket_client)
{
	struct epoll_event event = {.data.fd = fd};

	if (what == CURL_POLL_REMOVE)
	{
		(void) epoll_ctl(poll_fd, EPOLL_CTL_DEL, fd, NULL);
		return 0;
	}
	event.events = (what & CURL_POLL_IN ? EPOLLIN : 0) | (what & CURL_POLL_OUT ? EPOLLOUT : 0);
	if (epoll_ctl(poll_fd, EPOLL_CTL_MOD, fd, &event) != 0)
		(void) epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event);
	return 0;
}

static int
on_timer(CURLM *m, long timeout_ms, void *client)
{
	deadline_us = timeout_ms < 0 ? -1 : clock_us(CLOCK_MONOTONIC) + (int64_t) timeout_ms * 1000;
	return 0;
}

static size_t
on_body(char *data, size_t size, size_t n, void *client)
{
	return size * n;
}

static void
send_next(Call *call)
{
	int			length = snprintf(call->body, sizeof(call->body),
								  "{\"item_id\":%ld,\"stock_list\":[{\"model_id\":0,\"seller_stock\":[{\"stock\":%ld}]}]}",
								  100000 + started, 1000 + started % 1000);

	started++;
	curl_easy_setopt(call->easy, CURLOPT_POSTFIELDSIZE, (long) length);
	curl_easy_setopt(call->easy, CURLOPT_POSTFIELDS, call->body);
	curl_multi_add_handle(multi, call->easy);
}

/*
 * take_finished has to follow every action: a handle that was added again may
 * be through inside the very next one, and nothing else would tell of it.
 */
static void
take_finished(void)
{
	CURLMsg    *message;
	int			left;

	while ((message = curl_multi_info_read(multi, &left)) != NULL)
	{
		CURL	   *easy = message->easy_handle;
		CURLcode	code = message->data.result;
		Call	   *call;
		long		status;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **) &call);
		curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
		curl_multi_remove_handle(multi, easy);
		if (code != CURLE_OK || status != 200)
		{
			fprintf(stderr, "dispatch_loop: %s, status %ld\n", curl_easy_strerror(code), status);
			exit(1);
		}
		done++;
		if (started < wanted)
			send_next(call);
	}
}

static void
act(curl_socket_t fd, int what)
{
	int			running;

	curl_multi_socket_action(multi, fd, what, &running);
	take_finished();
}

static void
make_call(Call *call, const char *url)
{
	call->easy = curl_easy_init();
	curl_easy_setopt(call->easy, CURLOPT_URL, url);
	curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(call->easy, CURLOPT_USERAGENT, "storesync/1.0");
	curl_easy_setopt(call->easy, CURLOPT_PRIVATE, call);
	curl_easy_setopt(call->easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(call->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(call->easy, CURLOPT_TIMEOUT_MS, 20000L);
}

static void
run_loop(void)
{
	struct epoll_event events[EVENTS_AT_ONCE];

	while (done < wanted)
	{
		int64_t		left_us = deadline_us < 0 ? 1000000 : deadline_us - clock_us(CLOCK_MONOTONIC);
		int			n = epoll_wait(poll_fd, events, EVENTS_AT_ONCE, left_us <= 0 ? 0 : (int) ((left_us + 999) / 1000));

		for (int i = 0; i < n; i++)
			act(events[i].data.fd, (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR) ? CURL_CSELECT_IN : 0) |
				(events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0));
		if (deadline_us >= 0 && clock_us(CLOCK_MONOTONIC) >= deadline_us)
		{
			deadline_us = -1;
			act(CURL_SOCKET_TIMEOUT, 0);
		}
	}
}

int
main(int argc, char **argv)
{
	int			in_flight = argc == 4 ? atoi(argv[3]) : 0;
	Call	   *calls;
	int64_t		start_us;

	if (in_flight < 1)
	{
		fprintf(stderr, "usage: dispatch_loop URL CALLS IN-FLIGHT\n");
		return 2;
	}
	wanted = atol(argv[2]);
	calls = calloc((size_t) in_flight, sizeof(Call));
	if (calls == NULL)
		return 1;
	curl_global_init(CURL_GLOBAL_DEFAULT);
	multi = curl_multi_init();
	poll_fd = epoll_create1(EPOLL_CLOEXEC);
	curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long) in_flight);
	headers = curl_slist_append(NULL, "Accept: application/json");
	headers = curl_slist_append(headers, "Content-Type: application/json");
	start_us = clock_us(CLOCK_MONOTONIC);
	for (int i = 0; i < in_flight && started < wanted; i++)
	{
		make_call(&calls[i], argv[1]);
		send_next(&calls[i]);
	}
	run_loop();
	printf("%.6f %.6f\n", (double) (clock_us(CLOCK_MONOTONIC) - start_us) / 1e6,
		   (double) clock_us(CLOCK_PROCESS_CPUTIME_ID) / 1e6);
	free(calls);
	return 0;
}
