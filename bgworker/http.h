/*
 * http.h
 *		HTTP calls without waiting: a neutral face over libcurl's multi
 *		interface. Knows no PostgreSQL type and raises nothing.
 *
 * All of curl's sockets sit in one epoll descriptor (http_fd), which the
 * owner waits on; when it is readable, or http_timeout_ms has passed, the
 * owner calls http_drive and then takes what has finished with http_next
 * until it returns false.
 */
#ifndef STORESYNC_HTTP_H
#define STORESYNC_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct HttpEngine HttpEngine;

/* Which addresses a request may go to. */
typedef enum HttpReach
{
	HTTP_REACH_PUBLIC,			/* those of the internet, by https */
	HTTP_REACH_ANY,				/* all, by https */
	HTTP_REACH_LOOPBACK			/* this machine, by http or https */
} HttpReach;

typedef struct HttpRequest
{
	const char *method;
	const char *url;
	HttpReach	reach;
	const char *const *headers;
	int			n_headers;
	const char *body;			/* NULL for none */
	size_t		body_length;
	int			connect_timeout_ms;
	int			timeout_ms;		/* whole call */
	const char *ca_file;		/* authorities trusted over https; NULL or "": the system's */
	size_t		max_answer;		/* bytes of body; longer ends the call */
	void	   *tag;			/* comes back with the result */
} HttpRequest;

/* Microseconds from the start of a call until each phase was over; 0: it was not reached, or there was none. */
typedef struct HttpTimes
{
	int64_t		lookup_us;		/* of the name */
	int64_t		connect_us;		/* TCP */
	int64_t		tls_us;
	int64_t		first_byte_us;
	int64_t		total_us;
} HttpTimes;

typedef struct HttpResult
{
	void	   *tag;
	bool		sent;			/* bytes of the request may have left */
	bool		complete;		/* a whole answer was read */
	bool		out_of_reach;	/* an address that the request's reach excludes was not connected to */
	int			curl_code;		/* 0: no error */
	const char *error;			/* constant text for curl_code */
	int			http_status;
	int64_t		retry_after;	/* seconds, -1 without the header */
	char	   *body;			/* NUL-terminated beyond body_length; owned by the result */
	size_t		body_length;
	HttpTimes	times;
} HttpResult;

/* Called when the engine takes or gives back a file descriptor; acquire returns false to refuse. */
typedef struct HttpDescriptors
{
	bool		(*acquire) (void);
	void		(*release) (void);
} HttpDescriptors;

/* NULL on failure. One per process. */
extern HttpEngine *http_create(int max_in_flight, const char *user_agent, HttpDescriptors descriptors);
extern int	http_fd(const HttpEngine *engine);
extern long http_timeout_ms(const HttpEngine *engine);	/* -1: none due */

/* False when max_in_flight is reached or memory is short. Copies all it needs. */
extern bool http_start(HttpEngine *engine, const HttpRequest *request);
extern int	http_in_flight(const HttpEngine *engine);
extern void http_drive(HttpEngine *engine);
extern bool http_next(HttpEngine *engine, HttpResult *result);
extern void http_result_free(HttpResult *result);

/* Drops everything under way without waiting for it. */
extern void http_destroy(HttpEngine *engine);

#endif
