/*
 * test_http.c
 *		The HTTP engine against a server on a raw socket that answers badly on
 *		purpose: byte by byte, too much, half, late, never.
 *
 * getaddrinfo is this program's own, so that a look-up can be slow without
 * any name server, and can tell which signals its thread would take.
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "http.h"

#define MAX_IN_FLIGHT	64
#define MIB				(1024 * 1024)
/* curl's numbers for what the tests bring about */
#define UNSUPPORTED_PROTOCOL	1
#define COULD_NOT_CONNECT		7
#define PARTIAL_FILE			18
#define WRITE_ERROR				23
#define OPERATION_TIMEDOUT		28
#define PEER_FAILED_VERIFICATION 60
#define GOT_NOTHING				52
#define FILESIZE_EXCEEDED		63

static int	port;
static atomic_int connections;
static atomic_int requests;
static atomic_int descriptors;
static atomic_bool refuse_descriptors;
static atomic_bool lookup_takes_signals;

/* ------------------------------------------------------------ the server */

static void
send_all(int fd, const char *data, size_t length)
{
	while (length > 0)
	{
		ssize_t		n = send(fd, data, length, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		data += n;
		length -= (size_t) n;
	}
}

static void
pause_ms(long ms)
{
	struct timespec span = {ms / 1000, (ms % 1000) * 1000000};

	nanosleep(&span, NULL);
}

/* answer sends a whole answer of `length` bytes, a chunk at a time. */
static void
answer(int fd, int status, const char *headers, const char *body, size_t length, size_t chunk)
{
	char		head[1024];
	int			n = snprintf(head, sizeof(head), "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n%s\r\n",
							 status, length, headers);

	send_all(fd, head, (size_t) n);
	for (size_t sent = 0; sent < length; sent += chunk)
		send_all(fd, body + sent, length - sent < chunk ? length - sent : chunk);
}

static void
answer_filled(int fd, size_t length, size_t chunk)
{
	char	   *body = malloc(length);

	for (size_t i = 0; i < length; i++)
		body[i] = (char) ('a' + i % 26);
	answer(fd, 200, "", body, length, chunk);
	free(body);
}

/* answer_unannounced sends a body whose length no header tells, until nobody listens. */
static void
answer_unannounced(int fd)
{
	static const char head[] = "HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n";
	static const char piece[] = "10\r\n0123456789abcdef\r\n";

	send_all(fd, head, sizeof(head) - 1);
	for (int i = 0; i < 100000; i++)
	{
		if (send(fd, piece, sizeof(piece) - 1, MSG_NOSIGNAL) <= 0)
			return;
	}
}

static void
answer_headers_without_end(int fd)
{
	static const char head[] = "HTTP/1.1 200 X\r\n";
	static const char line[] = "X-Filler: 0123456789012345678901234567890123456789\r\n";

	send_all(fd, head, sizeof(head) - 1);
	for (int i = 0; i < 100000; i++)
	{
		if (send(fd, line, sizeof(line) - 1, MSG_NOSIGNAL) <= 0)
			return;
	}
}

/* respond answers by the path; false closes the connection. */
static int
respond(int fd, char *request, size_t length)
{
	char		path[200] = "";
	char		headers[300];

	sscanf(request, "%*s %199s", path);
	if (strcmp(path, "/ok") == 0)
		answer(fd, 200, "", "hello", 5, 5);
	else if (strcmp(path, "/echo") == 0)
		answer(fd, 200, "", request, length, length);
	else if (strcmp(path, "/bytes") == 0)
		answer_filled(fd, 2000, 1);
	else if (strncmp(path, "/big/", 5) == 0)
		answer_filled(fd, (size_t) atol(path + 5), 65536);
	else if (strcmp(path, "/unannounced") == 0)
		answer_unannounced(fd);
	else if (strcmp(path, "/headers") == 0)
		answer_headers_without_end(fd);
	else if (strcmp(path, "/cut-before") == 0)
		return 0;
	else if (strcmp(path, "/cut-after-headers") == 0)
	{
		static const char half[] = "HTTP/1.1 200 X\r\nContent-Length: 100\r\n\r\n0123456789";

		send_all(fd, half, sizeof(half) - 1);
		return 0;
	}
	else if (strncmp(path, "/slow/", 6) == 0)
	{
		pause_ms(atol(path + 6));
		answer(fd, 200, "", "late", 4, 4);
	}
	else if (strncmp(path, "/retry/", 7) == 0)
	{
		for (char *at = path + 7; *at; at++)
			*at = *at == '+' ? ' ' : *at;
		snprintf(headers, sizeof(headers), "retry-after: %s\r\n", path + 7);
		answer(fd, 429, headers, "", 0, 1);
	}
	else if (strcmp(path, "/redirect") == 0)
		answer(fd, 302, "Location: /ok\r\n", "", 0, 1);
	else
		answer(fd, 404, "", "", 0, 1);
	return 1;
}

/* read_request reads a whole request; its length, 0 at the connection's end. */
static size_t
read_request(int fd, char *buffer, size_t room)
{
	size_t		length = 0;
	size_t		wanted = 0;

	while (wanted == 0 || length < wanted)
	{
		ssize_t		n = recv(fd, buffer + length, room - 1 - length, 0);
		char	   *end;
		char	   *announced;

		if (n <= 0)
			return 0;
		length += (size_t) n;
		buffer[length] = '\0';
		end = strstr(buffer, "\r\n\r\n");
		if (end == NULL || wanted != 0)
			continue;
		announced = strstr(buffer, "Content-Length: ");
		wanted = (size_t) (end + 4 - buffer) + (announced ? (size_t) atol(announced + 16) : 0);
	}
	return length;
}

static void *
serve_connection(void *argument)
{
	int			fd = (int) (intptr_t) argument;
	char	   *buffer = malloc(65536);
	size_t		length;

	while ((length = read_request(fd, buffer, 65536)) > 0)
	{
		requests++;
		if (!respond(fd, buffer, length))
			break;
	}
	free(buffer);
	close(fd);
	return NULL;
}

static void *
serve(void *argument)
{
	int			listener = (int) (intptr_t) argument;

	for (;;)
	{
		int			fd = accept(listener, NULL, NULL);
		pthread_t	thread;

		if (fd < 0)
			return NULL;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int) {1}, sizeof(int));
		connections++;
		pthread_create(&thread, NULL, serve_connection, (void *) (intptr_t) fd);
		pthread_detach(thread);
	}
}

/* listen_on_loopback returns a listening socket and its port. */
static int
listen_on_loopback(int *its_port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t	length = sizeof(address);
	int			fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *) &address, sizeof(address)) != 0 ||
		listen(fd, 256) != 0 || getsockname(fd, (struct sockaddr *) &address, &length) != 0)
		return -1;
	*its_port = ntohs(address.sin_port);
	return fd;
}

/* self_signed makes a key and a certificate for localhost that nobody vouches for. */
static SSL_CTX *
self_signed(void)
{
	SSL_CTX    *context = SSL_CTX_new(TLS_server_method());
	EVP_PKEY   *key = EVP_EC_gen("P-256");
	X509	   *certificate = X509_new();
	X509_NAME  *name = X509_get_subject_name(certificate);

	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *) "localhost", -1, -1, 0);
	X509_set_issuer_name(certificate, name);
	X509_set_pubkey(certificate, key);
	X509_sign(certificate, key, EVP_sha256());
	SSL_CTX_use_certificate(context, certificate);
	SSL_CTX_use_PrivateKey(context, key);
	X509_free(certificate);
	EVP_PKEY_free(key);
	return context;
}

/* serve_tls takes one connection and reads what a client that trusts it would send. */
static void *
serve_tls(void *argument)
{
	SSL_CTX    *context = self_signed();
	SSL		   *tls = SSL_new(context);
	int			fd = accept((int) (intptr_t) argument, NULL, NULL);
	char		byte;

	SSL_set_fd(tls, fd);
	if (SSL_accept(tls) == 1 && SSL_read(tls, &byte, 1) == 1)
		requests++;
	SSL_free(tls);
	SSL_CTX_free(context);
	close(fd);
	return NULL;
}

/* ------------------------------------------------------------ what curl calls */

int
getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result)
{
	int			(*real) (const char *, const char *, const struct addrinfo *, struct addrinfo **);
	sigset_t	blocked;

	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	if (!sigismember(&blocked, SIGTERM) || !sigismember(&blocked, SIGUSR1))
		lookup_takes_signals = true;
	if (node != NULL && strcmp(node, "slow.invalid") == 0)
	{
		pause_ms(1500);
		return EAI_AGAIN;
	}
	*(void **) &real = dlsym(RTLD_NEXT, "getaddrinfo");
	return real(node, service, hints, result);
}

static bool
acquire(void)
{
	if (refuse_descriptors)
		return false;
	descriptors++;
	return true;
}

static void
release(void)
{
	descriptors--;
}

/* ------------------------------------------------------------ the owner */

static int64_t
clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* stalled_ms: how long somebody on this machine waited for a processor, as the kernel counts it; 0 where it does not. */
static int64_t
stalled_ms(void)
{
	FILE	   *pressure = fopen("/proc/pressure/cpu", "r");
	long long	us = 0;

	if (pressure == NULL)
		return 0;
	if (fscanf(pressure, "some avg10=%*s avg60=%*s avg300=%*s total=%lld", &us) != 1)
		us = 0;
	fclose(pressure);
	return us / 1000;
}

typedef struct
{
	int64_t		at_ms;
	int64_t		stalled_ms;
} Moment;

static Moment
moment(void)
{
	return (Moment) {clock_ms(), stalled_ms()};
}

/* undisturbed_ms: what went by since then, but for what was stalled: on a busy machine it says little, on a quiet one all. */
static int64_t
undisturbed_ms(const Moment *began)
{
	Moment		now = moment();
	int64_t		ms = now.at_ms - began->at_ms - (now.stalled_ms - began->stalled_ms);

	return ms > 0 ? ms : 0;
}

static HttpEngine *
create(void)
{
	HttpEngine *engine = http_create(MAX_IN_FLIGHT, "storesync-test/1", (HttpDescriptors) {acquire, release});

	assert_non_null(engine);
	connections = 0;
	requests = 0;
	return engine;
}

static HttpRequest
get(char *url, size_t room, const char *path)
{
	snprintf(url, room, "http://127.0.0.1:%d%s", port, path);
	return (HttpRequest) {
		.method = "GET", .url = url, .reach = HTTP_REACH_LOOPBACK, .connect_timeout_ms = 2000, .timeout_ms = 5000, .max_answer = 8 * MIB,
	};
}

/* wait_once waits exactly as long as the engine says, as the dispatcher does. */
static void
wait_once(HttpEngine *engine)
{
	struct pollfd fd = {http_fd(engine), POLLIN, 0};

	poll(&fd, 1, (int) http_timeout_ms(engine));
	http_drive(engine);
}

static HttpResult
wait_next(HttpEngine *engine)
{
	HttpResult	result;

	while (!http_next(engine, &result))
		wait_once(engine);
	return result;
}

static HttpResult
run(HttpEngine *engine, HttpRequest request)
{
	assert_true(http_start(engine, &request));
	return wait_next(engine);
}

static HttpResult
run_path(HttpEngine *engine, const char *path)
{
	char		url[300];

	return run(engine, get(url, sizeof(url), path));
}

/* ------------------------------------------------------------ tests */

static void
test_ok(void **state)
{
	HttpEngine *engine = create();
	int			mine;
	char		url[300];
	HttpRequest request = get(url, sizeof(url), "/ok");
	HttpResult	result;

	request.tag = &mine;
	result = run(engine, request);
	assert_ptr_equal(result.tag, &mine);
	assert_true(result.sent);
	assert_true(result.complete);
	assert_int_equal(result.curl_code, 0);
	assert_string_equal(result.error, "");
	assert_int_equal(result.http_status, 200);
	assert_int_equal(result.retry_after, -1);
	assert_int_equal(result.body_length, 5);
	assert_string_equal(result.body, "hello");
	assert_true(result.times.connect_us > 0 && result.times.connect_us <= result.times.first_byte_us);
	assert_true(result.times.first_byte_us <= result.times.total_us);
	http_result_free(&result);
	assert_int_equal(http_in_flight(engine), 0);
	http_destroy(engine);
	assert_int_equal(descriptors, 0);
}

static void
test_what_is_sent(void **state)
{
	static const char *const headers[] = {"X-One: 1", "Content-Type: application/json"};
	static const char body[] = "{\"a\":\0 1}";
	HttpEngine *engine = create();
	char		url[300];
	HttpRequest request = get(url, sizeof(url), "/echo");
	HttpResult	result;

	result = run(engine, request);
	assert_int_equal(strncmp(result.body, "GET /echo HTTP/1.1\r\n", 20), 0);
	assert_non_null(strstr(result.body, "User-Agent: storesync-test/1\r\n"));
	http_result_free(&result);

	request.method = "PUT";
	request.headers = headers;
	request.n_headers = 2;
	request.body = body;
	request.body_length = sizeof(body) - 1;
	result = run(engine, request);
	assert_int_equal(strncmp(result.body, "PUT /echo HTTP/1.1\r\n", 20), 0);
	assert_non_null(strstr(result.body, "X-One: 1\r\n"));
	assert_non_null(strstr(result.body, "Content-Type: application/json\r\n"));
	assert_null(strstr(result.body, "Expect"));
	assert_memory_equal(result.body + result.body_length - request.body_length, body, request.body_length);
	http_result_free(&result);

	/* nothing of the call before it is left, nor does curl invent a content type */
	request.method = "POST";
	request.n_headers = 0;
	result = run(engine, request);
	assert_int_equal(strncmp(result.body, "POST /echo HTTP/1.1\r\n", 21), 0);
	assert_null(strstr(result.body, "X-One"));
	assert_null(strstr(result.body, "Content-Type"));
	http_result_free(&result);

	request.method = "GET";
	request.body = NULL;
	result = run(engine, request);
	assert_int_equal(strncmp(result.body, "GET /echo HTTP/1.1\r\n", 20), 0);
	assert_null(strstr(result.body, "Content-Length"));
	http_result_free(&result);
	http_destroy(engine);
}

static void
test_bodies(void **state)
{
	HttpEngine *engine = create();
	HttpResult	result = run_path(engine, "/bytes");

	assert_true(result.complete);
	assert_int_equal(result.body_length, 2000);
	assert_int_equal(result.body[1999], 'a' + 1999 % 26);
	http_result_free(&result);

	result = run_path(engine, "/big/4194304");
	assert_true(result.complete);
	assert_int_equal(result.body_length, 4 * MIB);
	for (size_t i = 0; i < result.body_length; i++)
		assert_int_equal(result.body[i], 'a' + i % 26);
	assert_int_equal(result.body[result.body_length], '\0');
	http_result_free(&result);
	http_destroy(engine);
}

static void
test_body_over_limit(void **state)
{
	HttpEngine *engine = create();
	char		url[300];
	HttpRequest request = get(url, sizeof(url), "/big/65537");
	HttpResult	result;

	request.max_answer = 65536;
	result = run(engine, request);
	assert_int_equal(result.curl_code, FILESIZE_EXCEEDED);
	assert_true(result.sent);
	assert_false(result.complete);
	assert_int_equal(result.body_length, 0);
	http_result_free(&result);

	request = get(url, sizeof(url), "/unannounced");
	request.max_answer = 65536;
	result = run(engine, request);
	assert_int_equal(result.curl_code, WRITE_ERROR);
	assert_true(result.sent);
	assert_false(result.complete);
	assert_true(result.body_length <= 65536);
	http_result_free(&result);

	request = get(url, sizeof(url), "/big/65536");
	request.max_answer = 65536;
	result = run(engine, request);
	assert_true(result.complete);
	assert_int_equal(result.body_length, 65536);
	http_result_free(&result);
	http_destroy(engine);
}

static void
test_headers_without_end(void **state)
{
	HttpEngine *engine = create();
	HttpResult	result = run_path(engine, "/headers");

	assert_int_equal(result.curl_code, WRITE_ERROR);
	assert_false(result.complete);
	http_result_free(&result);
	http_destroy(engine);
}

static void
test_cut(void **state)
{
	HttpEngine *engine = create();
	HttpResult	result = run_path(engine, "/cut-before");

	assert_int_equal(result.curl_code, GOT_NOTHING);
	assert_true(result.sent);
	assert_false(result.complete);
	assert_int_equal(result.http_status, 0);
	http_result_free(&result);

	result = run_path(engine, "/cut-after-headers");
	assert_int_equal(result.curl_code, PARTIAL_FILE);
	assert_true(result.sent);
	assert_false(result.complete);
	assert_int_equal(result.http_status, 200);
	http_result_free(&result);
	http_destroy(engine);
}

/* A kept connection that dies under a request must not make curl send it again by itself. */
static void
test_sent_once(void **state)
{
	static const char *const methods[] = {"GET", "POST"};

	for (int i = 0; i < 2; i++)
	{
		HttpEngine *engine = create();
		HttpResult	result = run_path(engine, "/ok");
		char		url[300];
		HttpRequest request = get(url, sizeof(url), "/cut-before");

		http_result_free(&result);
		request.method = methods[i];
		if (i == 1)
		{
			request.body = "{}";
			request.body_length = 2;
		}
		result = run(engine, request);
		assert_int_not_equal(result.curl_code, 0);
		assert_true(result.sent);
		assert_false(result.complete);
		assert_int_equal(requests, 2);
		http_result_free(&result);
		http_destroy(engine);
	}
}

static void
test_never_sent(void **state)
{
	HttpEngine *engine = create();
	int			closed_port = 0;
	char		url[300];
	HttpRequest request = get(url, sizeof(url), "/ok");
	HttpResult	result;

	close(listen_on_loopback(&closed_port));
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/secret", closed_port);
	result = run(engine, request);
	assert_int_equal(result.curl_code, COULD_NOT_CONNECT);
	assert_false(result.sent);
	assert_false(result.complete);
	assert_null(strstr(result.error, "secret"));
	http_result_free(&result);

	refuse_descriptors = true;
	result = run_path(engine, "/ok");
	refuse_descriptors = false;
	assert_int_equal(result.curl_code, COULD_NOT_CONNECT);
	assert_false(result.sent);
	http_result_free(&result);

	snprintf(url, sizeof(url), "file:///etc/hostname");
	result = run(engine, request);
	assert_int_equal(result.curl_code, UNSUPPORTED_PROTOCOL);
	assert_false(result.sent);
	http_result_free(&result);
	http_destroy(engine);
	assert_int_equal(descriptors, 0);
}

/* A certificate that nobody vouches for: no byte of the request leaves. */
static void
test_untrusted_certificate(void **state)
{
	HttpEngine *engine = create();
	int			tls_port = 0;
	int			listener = listen_on_loopback(&tls_port);
	pthread_t	server;
	char		url[300];
	HttpRequest request = get(url, sizeof(url), "/");
	HttpResult	result;

	pthread_create(&server, NULL, serve_tls, (void *) (intptr_t) listener);
	snprintf(url, sizeof(url), "https://localhost:%d/", tls_port);
	result = run(engine, request);
	assert_int_equal(result.curl_code, PEER_FAILED_VERIFICATION);
	assert_false(result.sent);
	assert_false(result.complete);
	http_result_free(&result);
	http_destroy(engine);
	pthread_join(server, NULL);
	close(listener);
	assert_int_equal(requests, 0);
	assert_int_equal(descriptors, 0);
}

static void
test_timeout(void **state)
{
	HttpEngine *engine = create();
	char		url[300];
	HttpRequest request = get(url, sizeof(url), "/slow/2000");
	Moment		began = moment();
	HttpResult	result;

	request.timeout_ms = 500;
	result = run(engine, request);
	assert_true(clock_ms() - began.at_ms >= 490);
	assert_true(undisturbed_ms(&began) <= 1350);
	assert_int_equal(result.curl_code, OPERATION_TIMEDOUT);
	assert_true(result.sent);
	assert_false(result.complete);
	http_result_free(&result);
	http_destroy(engine);
}

static void
test_retry_after(void **state)
{
	HttpEngine *engine = create();
	static const struct
	{
		const char *value;
		int64_t		low;
		int64_t		high;
	}			cases[] = {
		{"0", 0, 0}, {"17", 17, 17}, {"++17+", 17, 17}, {"soon", -1, -1}, {"-5", -1, 0}, {"", -1, -1},
		{"99999999999999999999999", 31 * 86400, 31 * 86400},
		{"Wed,+21+Oct+2015+07:28:00+GMT", 0, 0},
		{"Wed,+21+Oct+2130+07:28:00+GMT", 31 * 86400, 31 * 86400},
	};
	char		path[300];
	time_t		later = time(NULL) + 60;
	HttpResult	result;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		snprintf(path, sizeof(path), "/retry/%s", cases[i].value);
		result = run_path(engine, path);
		assert_int_equal(result.http_status, 429);
		if (result.retry_after < cases[i].low || result.retry_after > cases[i].high)
			fail_msg("Retry-After: %s gave %lld", cases[i].value, (long long) result.retry_after);
		http_result_free(&result);
	}
	strftime(path, sizeof(path), "/retry/%a,+%d+%b+%Y+%H:%M:%S+GMT", gmtime(&later));
	result = run_path(engine, path);
	assert_in_range(result.retry_after, 55, 60);
	http_result_free(&result);
	result = run_path(engine, "/ok");
	assert_int_equal(result.retry_after, -1);
	http_result_free(&result);
	http_destroy(engine);
}

static void
test_redirect_is_not_followed(void **state)
{
	HttpEngine *engine = create();
	HttpResult	result = run_path(engine, "/redirect");

	assert_int_equal(result.http_status, 302);
	assert_true(result.complete);
	assert_int_equal(requests, 1);
	http_result_free(&result);
	http_destroy(engine);
}

/*
 * A handle that is added again while its connection is warm may finish inside
 * the timer's action. A loop that looks for results only after socket events
 * then makes one call a second.
 */
static void
test_warm_connection_and_pace(void **state)
{
	HttpEngine *engine = create();
	Moment		began = moment();

	for (int i = 0; i < 200; i++)
	{
		HttpResult	result = run_path(engine, "/ok");

		assert_true(result.complete);
		http_result_free(&result);
	}
	assert_true(undisturbed_ms(&began) < 1000);
	assert_int_equal(connections, 1);
	assert_int_equal(requests, 200);
	http_destroy(engine);
}

static void
test_many_at_once(void **state)
{
	HttpEngine *engine = create();
	Moment		began = moment();
	char		url[300];
	HttpRequest request = get(url, sizeof(url), "/slow/300");

	for (intptr_t i = 0; i < MAX_IN_FLIGHT; i++)
	{
		request.tag = (void *) i;
		assert_true(http_start(engine, &request));
	}
	assert_false(http_start(engine, &request));
	assert_int_equal(http_in_flight(engine), MAX_IN_FLIGHT);
	for (int i = 0; i < MAX_IN_FLIGHT; i++)
	{
		HttpResult	result = wait_next(engine);

		assert_true(result.complete);
		assert_string_equal(result.body, "late");
		http_result_free(&result);
	}
	assert_true(clock_ms() - began.at_ms >= 300);
	assert_true(undisturbed_ms(&began) <= 2000);
	assert_int_equal(http_in_flight(engine), 0);
	http_destroy(engine);
	assert_int_equal(descriptors, 0);
}

static void
test_destroy_under_way(void **state)
{
	HttpEngine *engine = create();
	char		url[300];
	HttpRequest request = get(url, sizeof(url), "/slow/4500");
	Moment		began = moment();

	for (int i = 0; i < 20; i++)
		assert_true(http_start(engine, &request));
	while (requests < 20 && clock_ms() - began.at_ms < 4000)
	{
		struct pollfd fd = {http_fd(engine), POLLIN, 0};

		poll(&fd, 1, 10);
		http_drive(engine);
	}
	assert_int_equal(requests, 20);
	began = moment();
	http_destroy(engine);
	assert_true(undisturbed_ms(&began) < 100);
	assert_int_equal(descriptors, 0);
}

/* Names are looked up in a thread: it takes none of the owner's signals, and nobody waits for it. */
static void
test_slow_lookup(void **state)
{
	HttpEngine *engine = create();
	char		url[300] = "http://slow.invalid/";
	HttpRequest request = get(url, sizeof(url), "/");
	HttpResult	result;
	Moment		began;

	snprintf(url, sizeof(url), "http://localhost:%d/ok", port);
	result = run(engine, request);
	assert_true(result.complete);
	http_result_free(&result);
	assert_false(lookup_takes_signals);

	snprintf(url, sizeof(url), "http://slow.invalid/");
	request.timeout_ms = 50;
	result = run(engine, request);
	assert_int_equal(result.curl_code, OPERATION_TIMEDOUT);
	assert_false(result.sent);
	http_result_free(&result);

	request.timeout_ms = 5000;
	assert_true(http_start(engine, &request));
	wait_once(engine);
	began = moment();
	http_destroy(engine);
	assert_true(undisturbed_ms(&began) < 100);
	assert_false(lookup_takes_signals);
	/* the thread frees what it holds when it ends */
	pause_ms(1600);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ok),
		cmocka_unit_test(test_what_is_sent),
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_body_over_limit),
		cmocka_unit_test(test_headers_without_end),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_sent_once),
		cmocka_unit_test(test_never_sent),
		cmocka_unit_test(test_untrusted_certificate),
		cmocka_unit_test(test_timeout),
		cmocka_unit_test(test_retry_after),
		cmocka_unit_test(test_redirect_is_not_followed),
		cmocka_unit_test(test_warm_connection_and_pace),
		cmocka_unit_test(test_many_at_once),
		cmocka_unit_test(test_destroy_under_way),
		cmocka_unit_test(test_slow_lookup),
	};
	pthread_t	server;
	int			listener = listen_on_loopback(&port);

	signal(SIGPIPE, SIG_IGN);
	if (listener < 0 || pthread_create(&server, NULL, serve, (void *) (intptr_t) listener) != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
