/*
 * notice_send.c
 *		One try of a notification: its signature, and a small HTTP client that
 *		waits for three seconds at most.
 *
 * Shopee signs URL, a bar and the body under the partner key; Ruten salt, URL,
 * body and time under the shop's secret. The code is this file's own: who
 * checks notifications is to find other mistakes than those he makes himself.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "notice.h"
#include "simulator.h"

#define TIMEOUT_US INT64_C(3000000)
#define MAX_REPLY 4096
#define SIGNATURE_SIZE 65
#define SCHEME "http://"

/* A URL's parts: host with port as it is written, port, path with query. */
typedef struct Target
{
	char		host[64];
	uint16_t	port;
	const char *path;
} Target;

/* Reads a URL on the loopback address; false for another. */
static bool
read_url(const char *url, Target *target)
{
	const char *start = url + strlen(SCHEME);
	const char *colon;
	int64_t		port = 80;
	size_t		length;

	if (strncmp(url, SCHEME, strlen(SCHEME)) != 0 || strlen(url) > NOTICE_MAX_URL)
		return false;
	length = strcspn(start, "/?");
	if (length == 0 || length >= sizeof(target->host))
		return false;
	memcpy(target->host, start, length);
	target->host[length] = '\0';
	target->path = start[length] == '/' ? start + length : "/";
	colon = strchr(target->host, ':');
	if (colon != NULL && (!parse_integer(colon + 1, &port) || port < 1 || port > 65535))
		return false;
	target->port = (uint16_t) port;
	length = colon != NULL ? (size_t) (colon - target->host) : strlen(target->host);
	return (length == 9 && strncmp(target->host, "127.0.0.1", 9) == 0) || (length == 9 && strncmp(target->host, "localhost", 9) == 0);
}

bool
notice_url_valid(const char *url)
{
	Target		target;

	return read_url(url, &target);
}

/* ---------------------------------------------------------------- signatures */

static void
sign(const char *key, const Text *message, bool base64, char *signature)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned	length = 0;

	(void) HMAC(EVP_sha256(), key, (int) strlen(key), (const unsigned char *) message->data, message->length, digest, &length);
	if (base64)
		(void) EVP_EncodeBlock((unsigned char *) signature, digest, (int) length);
	else
		for (unsigned i = 0; i < length && i < 32; i++)
			(void) snprintf(signature + (size_t) 2 * i, 3, "%02x", digest[i]);
}

static void
shopee_headers(const Simulator *sim, const Notice *notice, const char *url, Text *request)
{
	Text		message = {0};
	char		signature[SIGNATURE_SIZE];

	text_addf(&message, "%s|%s", url, notice->body);
	sign(sim->catalogue.partner_key, &message, false, signature);
	text_addf(request, "Authorization: %s\r\n", signature);
	text_free(&message);
}

static void
ruten_headers(const Simulator *sim, const Notice *notice, const char *url, const Target *target, bool path_only, bool base64, Text *request)
{
	const CatalogueShop *shop = &sim->catalogue.shops[notice->shop];
	int64_t		now_s = clock_wall_s();
	Text		message = {0};
	char		signature[SIGNATURE_SIZE];

	text_addf(&message, "%s%s%s%" PRId64, sim->catalogue.partner_key, path_only ? target->path : url, notice->body, now_s);
	sign(shop->refresh_token, &message, base64, signature);
	text_addf(request, "X-RT-Key: %s\r\nX-RT-Timestamp: %" PRId64 "\r\nX-RT-Authorization: %s\r\n", shop->access_token, now_s, signature);
	text_free(&message);
}

/* ---------------------------------------------------------------- HTTP */

/* Waits until the socket can be read or written; false: the time is over. */
static bool
await(int fd, short events, int64_t end_us)
{
	struct pollfd poller = {.fd = fd,.events = events};
	int			ready;

	do
	{
		int64_t		left_us = end_us - clock_us();

		if (left_us <= 0)
			return false;
		ready = poll(&poller, 1, (int) (left_us / 1000 + 1));
	} while (ready < 0 && errno == EINTR);
	return ready > 0;
}

/* A socket that is being connected, -1 for none. */
static int
open_socket(const Target *target)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(target->port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)
	};
	int			fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	if (connect(fd, (struct sockaddr *) &address, sizeof(address)) != 0 && errno != EINPROGRESS)
	{
		(void) close(fd);
		return -1;
	}
	return fd;
}

static bool
write_all(int fd, const Text *request, int64_t end_us)
{
	size_t		done = 0;

	while (done < request->length)
	{
		ssize_t		n;

		if (!await(fd, POLLOUT, end_us))
			return false;
		n = send(fd, request->data + done, request->length - done, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return false;
		if (n > 0)
			done += (size_t) n;
	}
	return true;
}

/* Reads until the connection is closed; false: the time is over, it broke, or the answer is too long. */
static bool
read_reply(int fd, char *reply, int64_t end_us)
{
	size_t		length = 0;

	while (length < MAX_REPLY - 1)
	{
		ssize_t		n;

		if (!await(fd, POLLIN, end_us))
			return false;
		n = recv(fd, reply + length, MAX_REPLY - 1 - length, 0);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return false;
		if (n == 0)
		{
			reply[length] = '\0';
			return true;
		}
		if (n > 0)
			length += (size_t) n;
	}
	return false;
}

/* Whether the answer is what the platform takes for "taken": 201, or any 2xx with an empty body. */
static bool
is_taken(const char *reply, bool ruten)
{
	const char *body = strstr(reply, "\r\n\r\n");
	int			status;

	if (body == NULL || sscanf(reply, "HTTP/1.%*1d %3d", &status) != 1)
		return false;
	if (ruten)
		return status == 201;
	return status / 100 == 2 && (body[4] == '\0' || strcmp(body + 4, "0\r\n\r\n") == 0);
}

bool
notice_send(const Simulator *sim, const Notice *notice, const char *url, bool path_only, bool base64)
{
	int64_t		end_us = clock_us() + TIMEOUT_US;
	char		reply[MAX_REPLY];
	Text		request = {0};
	Target		target;
	bool		taken;
	int			fd;

	if (!read_url(url, &target))
		return false;
	fd = open_socket(&target);
	if (fd < 0)
		return false;
	text_addf(&request, "POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: simulator\r\nContent-Type: application/json\r\n"
			  "Content-Length: %zu\r\nConnection: close\r\n", target.path, target.host, strlen(notice->body));
	if (notice->ruten)
		ruten_headers(sim, notice, url, &target, path_only, base64, &request);
	else
		shopee_headers(sim, notice, url, &request);
	text_addf(&request, "\r\n%s", notice->body);
	taken = write_all(fd, &request, end_us) && read_reply(fd, reply, end_us) && is_taken(reply, notice->ruten);
	text_free(&request);
	(void) close(fd);
	return taken;
}
