/*
 * http.c
 *		The engine: curl's multi interface driven by socket events.
 *
 * curl tells which sockets it waits for, and they go into one epoll
 * descriptor of our own; it tells when it wants to be called next, and that is
 * kept as a moment on the monotonic clock. A call may finish inside any
 * action, also inside the one that a timer or a just added handle asked for,
 * so what has finished is taken after every single action: a loop that looks
 * only after socket events sleeps on results it already has.
 *
 * curl resolves names in threads, and a thread inherits the signal mask of
 * who starts it: all signals are blocked around every call into curl's multi
 * interface, so that no handler of the owner ever runs in such a thread.
 * SIGPIPE the owner ignores, as all PostgreSQL processes do.
 *
 * Never logs, never raises, calls nothing of PostgreSQL.
 */
#include "http_internal.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

/* Events taken from the epoll descriptor at once, and how often in one drive. */
#define EVENTS_AT_ONCE	64
#define ROUNDS_AT_ONCE	4

static int64_t
now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void
block_signals(sigset_t *before)
{
	sigset_t	all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, before);
}

static void
restore_signals(const sigset_t *before)
{
	pthread_sigmask(SIG_SETMASK, before, NULL);
}

/*
 * on_socket keeps the epoll descriptor's members as curl wants them. A socket
 * that is gone already (curl closed it, or its number was taken anew) is no
 * error; one that cannot be added ends by its call's timeout.
 */
static int
on_socket(CURL *easy, curl_socket_t fd, int what, void *client, void *socket_client)
{
	HttpEngine *engine = client;
	struct epoll_event event = {0};

	if (what == CURL_POLL_REMOVE)
	{
		(void) epoll_ctl(engine->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
		return 0;
	}
	event.data.fd = fd;
	if (what & CURL_POLL_IN)
		event.events |= EPOLLIN;
	if (what & CURL_POLL_OUT)
		event.events |= EPOLLOUT;
	/* what is assigned to the socket says that it is there; curl forgets that with the socket */
	if (socket_client != NULL && epoll_ctl(engine->epoll_fd, EPOLL_CTL_MOD, fd, &event) == 0)
		return 0;
	if (epoll_ctl(engine->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
		(void) epoll_ctl(engine->epoll_fd, EPOLL_CTL_MOD, fd, &event);
	(void) curl_multi_assign(engine->multi, fd, engine);
	return 0;
}

static int
on_timer(CURLM *multi, long timeout_ms, void *client)
{
	HttpEngine *engine = client;

	engine->deadline_us = timeout_ms < 0 ? -1 : now_us() + (int64_t) timeout_ms * 1000;
	return 0;
}

static CURLM *
create_multi(HttpEngine *engine)
{
	CURLM	   *multi = curl_multi_init();

	if (multi == NULL)
		return NULL;
	curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, engine);
	curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(multi, CURLMOPT_TIMERDATA, engine);
	curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long) engine->max_in_flight);
	return multi;
}

static void
give_back(HttpEngine *engine, HttpCall *call)
{
	call->state = CALL_IDLE;
	call->next = engine->free_calls;
	engine->free_calls = call;
}

HttpEngine *
http_create(int max_in_flight, const char *user_agent, HttpDescriptors descriptors)
{
	HttpEngine *engine;

	if (max_in_flight < 1 || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return NULL;
	engine = calloc(1, sizeof(HttpEngine) + (size_t) max_in_flight * sizeof(HttpCall));
	if (engine == NULL)
		return NULL;
	engine->max_in_flight = max_in_flight;
	engine->descriptors = descriptors;
	engine->deadline_us = -1;
	for (int i = max_in_flight - 1; i >= 0; i--)
	{
		engine->calls[i].engine = engine;
		give_back(engine, &engine->calls[i]);
	}
	engine->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	engine->user_agent = strdup(user_agent);
	engine->multi = create_multi(engine);
	if (engine->epoll_fd < 0 || engine->user_agent == NULL || engine->multi == NULL)
	{
		http_destroy(engine);
		return NULL;
	}
	return engine;
}

int
http_fd(const HttpEngine *engine)
{
	return engine->epoll_fd;
}

long
http_timeout_ms(const HttpEngine *engine)
{
	int64_t		left_us;

	if (engine->first_finished != NULL)
		return 0;
	if (engine->deadline_us < 0)
		return -1;
	left_us = engine->deadline_us - now_us();
	return left_us <= 0 ? 0 : (long) ((left_us + 999) / 1000);
}

int
http_in_flight(const HttpEngine *engine)
{
	return engine->in_flight;
}

bool
http_start(HttpEngine *engine, const HttpRequest *request)
{
	HttpCall   *call = engine->free_calls;
	CURLMcode	code;
	sigset_t	before;

	if (call == NULL)
		return false;
	if (!call_prepare(call, request))
	{
		call_clear(call);
		return false;
	}
	block_signals(&before);
	code = curl_multi_add_handle(engine->multi, call->easy);
	restore_signals(&before);
	if (code != CURLM_OK)
	{
		call_clear(call);
		return false;
	}
	engine->free_calls = call->next;
	call->next = NULL;
	call->state = CALL_RUNNING;
	engine->in_flight++;
	return true;
}

/* take_finished moves every call that curl is done with to the list of results. */
static void
take_finished(HttpEngine *engine)
{
	CURLMsg    *message;
	int			left;

	while ((message = curl_multi_info_read(engine->multi, &left)) != NULL)
	{
		HttpCall   *call = NULL;
		CURLcode	code = message->data.result;

		if (message->msg != CURLMSG_DONE ||
			curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **) &call) != CURLE_OK ||
			call == NULL)
			continue;
		curl_multi_remove_handle(engine->multi, call->easy);
		call_finish(call, code);
		call->state = CALL_FINISHED;
		call->next = NULL;
		if (engine->last_finished != NULL)
			engine->last_finished->next = call;
		else
			engine->first_finished = call;
		engine->last_finished = call;
	}
}

static void
act(HttpEngine *engine, curl_socket_t fd, int what)
{
	int			running;

	curl_multi_socket_action(engine->multi, fd, what, &running);
	take_finished(engine);
}

static int
curl_events(uint32_t events)
{
	int			what = 0;

	if (events & (EPOLLIN | EPOLLHUP))
		what |= CURL_CSELECT_IN;
	if (events & EPOLLOUT)
		what |= CURL_CSELECT_OUT;
	if (events & EPOLLERR)
		what |= CURL_CSELECT_ERR;
	return what;
}

void
http_drive(HttpEngine *engine)
{
	struct epoll_event events[EVENTS_AT_ONCE];
	sigset_t	before;
	int			n = EVENTS_AT_ONCE;

	block_signals(&before);
	for (int round = 0; round < ROUNDS_AT_ONCE && n == EVENTS_AT_ONCE; round++)
	{
		n = epoll_wait(engine->epoll_fd, events, EVENTS_AT_ONCE, 0);
		for (int i = 0; i < n; i++)
			act(engine, events[i].data.fd, curl_events(events[i].events));
	}
	if (engine->deadline_us >= 0 && now_us() >= engine->deadline_us)
	{
		/* curl sets the next one during the action */
		engine->deadline_us = -1;
		act(engine, CURL_SOCKET_TIMEOUT, 0);
	}
	restore_signals(&before);
}

bool
http_next(HttpEngine *engine, HttpResult *result)
{
	HttpCall   *call = engine->first_finished;

	if (call == NULL)
		return false;
	engine->first_finished = call->next;
	if (engine->first_finished == NULL)
		engine->last_finished = NULL;
	*result = call->result;
	memset(&call->result, 0, sizeof(call->result));
	engine->in_flight--;
	give_back(engine, call);
	return true;
}

void
http_result_free(HttpResult *result)
{
	free(result->body);
	result->body = NULL;
	result->body_length = 0;
}

/*
 * drop_call ends a call without waiting. A curl that knows no QUICK_EXIT would
 * wait for a name's look-up when the handle is freed, so there a call under
 * way is left to the end of the process.
 */
static void
drop_call(HttpEngine *engine, HttpCall *call)
{
	http_result_free(&call->result);
	if (call->easy == NULL)
		return;
#if LIBCURL_VERSION_NUM < 0x075700
	if (call->state == CALL_RUNNING)
		return;
#endif
	if (call->state == CALL_RUNNING)
		curl_multi_remove_handle(engine->multi, call->easy);
	curl_easy_cleanup(call->easy);
	free(call->ca_file);
	call_clear(call);
}

void
http_destroy(HttpEngine *engine)
{
	sigset_t	before;

	if (engine == NULL)
		return;
	block_signals(&before);
	for (int i = 0; i < engine->max_in_flight; i++)
		drop_call(engine, &engine->calls[i]);
#if LIBCURL_VERSION_NUM >= 0x075700
	if (engine->multi != NULL)
		curl_multi_cleanup(engine->multi);
	if (engine->epoll_fd >= 0)
		close(engine->epoll_fd);
	free(engine->user_agent);
	free(engine);
#endif
	restore_signals(&before);
}
