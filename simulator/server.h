/*
 * server.h
 *		The HTTP server: collects a request, has it answered, sends the answer
 *		now, later or not at all. The only file pair that knows libmicrohttpd.
 */
#ifndef SIM_SERVER_H
#define SIM_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "simulator.h"
#include "text.h"

typedef struct Request
{
	const char *method;
	const char *path;			/* without the query */
	const char *uri;			/* path and query as they came, not decoded */
	bool		tls;			/* came over https */
	const char *body;			/* NUL-terminated; "" for none */
	size_t		body_length;
	void	   *connection;		/* the server's */
} Request;

typedef struct Answer
{
	int			status;
	const char *content_type;
	Text		body;
	Text		location;		/* where a redirect leads; empty for none */
	int64_t		delay_ms;		/* before it is sent */
	bool		cut;			/* close the connection instead */
} Answer;

typedef struct Server Server;

/* Certificates that it can listen with, each on a port of its own. */
#define SERVER_MAX_TLS 8

/*
 * NULL, with a message on stderr, when it could not start. port 0: any free
 * one. Each of pems, a certificate and its key, gets a port over TLS besides.
 */
extern Server *server_start(Simulator *sim, uint16_t port, int n_pems, char *const *pems);
/* Port number `which`: 0 the plain one, then those over TLS in order. */
extern uint16_t server_port(const Server *server, int which);
extern void server_stop(Server *server);

/* A decoded query parameter, NULL when absent. */
extern const char *request_argument(const Request *request, const char *name);

/* A header, NULL when absent. */
extern const char *request_header(const Request *request, const char *name);

/* Whether a repeatable query parameter has this value among its values. */
extern bool request_has(const Request *request, const char *name, const char *value);

#endif
