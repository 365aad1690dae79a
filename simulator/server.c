/*
 * server.c
 *		The HTTP server; see server.h.
 *
 * libmicrohttpd runs one thread that serves all connections. A late answer
 * suspends its connection; a second thread resumes it when it is due, so
 * that slow calls hold up nobody. The lock here guards only the list of the
 * suspended ones and is held over nothing that waits.
 *
 * An answer that is to be cut makes the request handler say MHD_NO: the
 * connection is closed with not one byte of answer.
 */
#include "server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin.h"
#include "clock.h"
#include "pchome.h"
#include "ruten.h"
#include "shopee.h"

#define MAX_BODY ((size_t) 1024 * 1024)	/* bytes of a request */
#define MAX_CONNECTIONS 900		/* below the usual limit of 1024 descriptors */
#define IDLE_TIMEOUT_S 120

/* One request from its first header to the end of its answer. */
typedef struct Exchange
{
	struct MHD_Connection *connection;	/* NULL until the headers are there */
	char	   *uri;
	Text		body;
	bool		too_long;
	bool		answered;		/* answer is ready */
	Answer		answer;
	int64_t		due_us;
	struct Exchange *next;		/* in the list of the suspended */
} Exchange;

struct Server
{
	Simulator  *sim;
	struct MHD_Daemon *daemons[1 + SERVER_MAX_TLS];	/* plain http, then https */
	int			n_daemons;
	pthread_t	thread;			/* resumes late answers */
	pthread_mutex_t lock;		/* guards the rest */
	pthread_cond_t wake;
	bool		stop;
	Exchange   *late;
};

const char *
request_argument(const Request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

const char *
request_header(const Request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

typedef struct WantedArgument
{
	const char *name;
	const char *value;
	bool		found;
} WantedArgument;

static enum MHD_Result
look_for_argument(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
	WantedArgument *wanted = cls;

	(void) kind;
	wanted->found = value != NULL && strcmp(name, wanted->name) == 0 &&
		strcmp(value, wanted->value) == 0;
	return wanted->found ? MHD_NO : MHD_YES;
}

bool
request_has(const Request *request, const char *name, const char *value)
{
	WantedArgument wanted = {.name = name,.value = value};

	MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, look_for_argument, &wanted);
	return wanted.found;
}

/* Suspends the exchange until it is due; false when the server is stopping. */
static bool
send_later(Server *server, Exchange *exchange)
{
	bool		suspended = false;

	pthread_mutex_lock(&server->lock);
	if (!server->stop)
	{
		MHD_suspend_connection(exchange->connection);
		exchange->due_us = clock_us() + exchange->answer.delay_ms * 1000;
		exchange->next = server->late;
		server->late = exchange;
		suspended = true;
		pthread_cond_signal(&server->wake);
	}
	pthread_mutex_unlock(&server->lock);
	return suspended;
}

/* Resumes what is due, all when stopping; returns when the next one is. */
static int64_t
resume_due(Server *server)
{
	int64_t		now_us = clock_us();
	int64_t		next_us = INT64_MAX;
	Exchange  **link = &server->late;

	while (*link != NULL)
	{
		Exchange   *exchange = *link;

		if (server->stop || exchange->due_us <= now_us)
		{
			*link = exchange->next;
			MHD_resume_connection(exchange->connection);
			continue;
		}
		if (exchange->due_us < next_us)
			next_us = exchange->due_us;
		link = &exchange->next;
	}
	return next_us;
}

/* The thread of the late answers. */
static void *
late_main(void *argument)
{
	Server	   *server = argument;

	pthread_mutex_lock(&server->lock);
	while (!server->stop)
		clock_wait(&server->wake, &server->lock, resume_due(server));
	(void) resume_due(server);
	pthread_mutex_unlock(&server->lock);
	return NULL;
}

/* Hands the answer over to libmicrohttpd, or closes the connection without one. */
static enum MHD_Result
send_answer(Exchange *exchange)
{
	Answer	   *answer = &exchange->answer;
	struct MHD_Response *response;
	enum MHD_Result result;

	if (answer->cut)
		return MHD_NO;
	response = MHD_create_response_from_buffer(answer->body.length, answer->body.data,
											   MHD_RESPMEM_MUST_FREE);
	if (response == NULL)
		return MHD_NO;
	memset(&answer->body, 0, sizeof(answer->body));
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->content_type);
	if (answer->location.data != NULL)
		MHD_add_response_header(response, MHD_HTTP_HEADER_LOCATION, answer->location.data);
	result = MHD_queue_response(exchange->connection, (unsigned) answer->status, response);
	MHD_destroy_response(response);
	return result;
}

/* Has the request answered by the side that its path belongs to. */
static void
make_answer(Server *server, Exchange *exchange, const char *method, const char *path)
{
	Answer	   *answer = &exchange->answer;
	Request		request = {
		.method = method,
		.path = path,
		.uri = exchange->uri,
		.tls = MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_GNUTLS_SESSION) != NULL,
		.body = exchange->body.data != NULL ? exchange->body.data : "",
		.body_length = exchange->body.length,
		.connection = exchange->connection
	};

	answer->status = MHD_HTTP_OK;
	answer->content_type = "application/json";
	if (exchange->too_long)
	{
		answer->status = MHD_HTTP_CONTENT_TOO_LARGE;
		text_addf(&answer->body, "{\"error\":\"body too large\"}");
	}
	else if (strncmp(path, "/admin/", 7) == 0)
		admin_serve(server->sim, &request, answer);
	else if (pchome_path(path))
		pchome_serve(server->sim, &request, answer);
	else if (ruten_path(path))
		ruten_serve(server->sim, &request, answer);
	else
		shopee_serve(server->sim, &request, answer);
	exchange->answered = true;
}

/* libmicrohttpd calls this with the first line of a request, and gives what it returns to the others. */
static void *
begin_exchange(void *cls, const char *uri, struct MHD_Connection *connection)
{
	Exchange   *exchange = sim_alloc(sizeof(*exchange));

	(void) cls;
	(void) connection;
	exchange->uri = sim_copy(uri);
	return exchange;
}

/*
 * libmicrohttpd calls this when the headers are there, for each piece of the
 * body, when the request is whole, and once more after a resume.
 */
static enum MHD_Result
handle(void *cls, struct MHD_Connection *connection, const char *path, const char *method,
	   const char *version, const char *upload, size_t *upload_size, void **con_cls)
{
	Server	   *server = cls;
	Exchange   *exchange = *con_cls;

	(void) version;
	if (exchange->connection == NULL)
	{
		exchange->connection = connection;
		return MHD_YES;
	}
	if (*upload_size > 0)
	{
		if (*upload_size > MAX_BODY - exchange->body.length)
			exchange->too_long = true;
		if (!exchange->too_long)
			text_add(&exchange->body, upload, *upload_size);
		*upload_size = 0;
		return MHD_YES;
	}
	if (!exchange->answered)
	{
		make_answer(server, exchange, method, path);
		if (exchange->answer.delay_ms > 0 && send_later(server, exchange))
			return MHD_YES;
	}
	return send_answer(exchange);
}

static void
end_exchange(void *cls, struct MHD_Connection *connection, void **con_cls,
			 enum MHD_RequestTerminationCode code)
{
	Exchange   *exchange = *con_cls;

	(void) cls;
	(void) connection;
	(void) code;
	if (exchange == NULL)
		return;
	free(exchange->uri);
	text_free(&exchange->body);
	text_free(&exchange->answer.body);
	text_free(&exchange->answer.location);
	free(exchange);
	*con_cls = NULL;
}

static void
server_free(Server *server)
{
	pthread_cond_destroy(&server->wake);
	pthread_mutex_destroy(&server->lock);
	free(server);
}

/* Ends the thread of the late answers, which first resumes them all. */
static void
stop_late(Server *server)
{
	pthread_mutex_lock(&server->lock);
	server->stop = true;
	pthread_cond_signal(&server->wake);
	pthread_mutex_unlock(&server->lock);
	pthread_join(server->thread, NULL);
}

/* Listens on one port, over TLS where there is a certificate with its key in PEM; false when that fails. */
static bool
listen_on(Server *server, uint16_t port, const char *pem)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)
	};
	struct MHD_OptionItem tls[] = {
		{MHD_OPTION_HTTPS_MEM_KEY, 0, (void *) (uintptr_t) pem},
		{MHD_OPTION_HTTPS_MEM_CERT, 0, (void *) (uintptr_t) pem},
		{MHD_OPTION_END, 0, NULL}
	};
	unsigned	flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | (pem != NULL ? MHD_USE_TLS : 0);
	struct MHD_Daemon *daemon =
		MHD_start_daemon(flags, port, NULL, NULL, handle, server,
						 MHD_OPTION_SOCK_ADDR, (struct sockaddr *) &address,
						 MHD_OPTION_URI_LOG_CALLBACK, begin_exchange, NULL,
						 MHD_OPTION_NOTIFY_COMPLETED, end_exchange, NULL,
						 MHD_OPTION_CONNECTION_LIMIT, (unsigned) MAX_CONNECTIONS,
						 MHD_OPTION_CONNECTION_TIMEOUT, (unsigned) IDLE_TIMEOUT_S,
						 MHD_OPTION_ARRAY, pem != NULL ? tls : &tls[2],
						 MHD_OPTION_END);

	if (daemon == NULL)
	{
		fprintf(stderr, "simulator: could not listen on 127.0.0.1:%u%s: %s\n", (unsigned) port,
				pem != NULL ? " over TLS" : "", strerror(errno));
		return false;
	}
	server->daemons[server->n_daemons++] = daemon;
	return true;
}

Server *
server_start(Simulator *sim, uint16_t port, int n_pems, char *const *pems)
{
	Server	   *server = sim_alloc(sizeof(*server));
	bool		ok;

	server->sim = sim;
	pthread_mutex_init(&server->lock, NULL);
	clock_condition_init(&server->wake);
	if (pthread_create(&server->thread, NULL, late_main, server) != 0)
	{
		fputs("simulator: could not start a thread\n", stderr);
		server_free(server);
		return NULL;
	}
	ok = listen_on(server, port, NULL);
	for (int i = 0; i < n_pems && ok; i++)
		ok = listen_on(server, 0, pems[i]);
	if (!ok)
	{
		server_stop(server);
		return NULL;
	}
	return server;
}

uint16_t
server_port(const Server *server, int which)
{
	return MHD_get_daemon_info(server->daemons[which], MHD_DAEMON_INFO_BIND_PORT)->port;
}

void
server_stop(Server *server)
{
	stop_late(server);
	for (int i = 0; i < server->n_daemons; i++)
		MHD_stop_daemon(server->daemons[i]);
	server_free(server);
}
