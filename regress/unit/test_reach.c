/*
 * test_reach.c
 *		Where calls may go: the scope of addresses, URLs that name this machine,
 *		and the engine, which connects to no address beyond a request's reach
 *		whatever name stands for it.
 *
 * getaddrinfo is this program's own: who answers for a name decides what it
 * stands for. No packet leaves the machine: what would is what is refused.
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "address.h"
#include "http.h"

/* curl's numbers */
#define UNSUPPORTED_PROTOCOL	1
#define COULD_NOT_CONNECT		7
#define TLS_CONNECT_ERROR		35

static int	port;				/* of a listener that takes connections and says nothing */
static int	listener;
static atomic_int descriptors;
static const char *meaning[3];	/* addresses that every name stands for, NULL-terminated */

/* getaddrinfo: one numeric address after the other, by the C library's own for numbers. */
int
getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result)
{
	struct addrinfo *last = NULL;

	*result = NULL;
	for (int i = 0; meaning[i] != NULL; i++)
	{
		struct addrinfo *entry = calloc(1, sizeof(*entry));
		struct sockaddr_in6 *v6 = calloc(1, sizeof(*v6));
		struct sockaddr_in *v4 = (struct sockaddr_in *) v6;

		entry->ai_socktype = SOCK_STREAM;
		entry->ai_protocol = IPPROTO_TCP;
		entry->ai_addr = (struct sockaddr *) v6;
		if (inet_pton(AF_INET, meaning[i], &v4->sin_addr) == 1)
		{
			entry->ai_family = v4->sin_family = AF_INET;
			v4->sin_port = htons((uint16_t) atoi(service));
			entry->ai_addrlen = sizeof(*v4);
		}
		else
		{
			assert_int_equal(inet_pton(AF_INET6, meaning[i], &v6->sin6_addr), 1);
			entry->ai_family = v6->sin6_family = AF_INET6;
			v6->sin6_port = htons((uint16_t) atoi(service));
			entry->ai_addrlen = sizeof(*v6);
		}
		if (last != NULL)
			last->ai_next = entry;
		else
			*result = entry;
		last = entry;
	}
	return *result != NULL ? 0 : EAI_NONAME;
}

void
freeaddrinfo(struct addrinfo *list)
{
	while (list != NULL)
	{
		struct addrinfo *next = list->ai_next;

		free(list->ai_addr);
		free(list);
		list = next;
	}
}

static bool
acquire(void)
{
	descriptors++;
	return true;
}

static void
release(void)
{
	descriptors--;
}

/* call makes one request and closes the connection that the listener takes, if any. */
static HttpResult
call(HttpEngine *engine, const char *url, HttpReach reach, bool *connected)
{
	HttpRequest request = {
		.method = "GET", .url = url, .reach = reach, .connect_timeout_ms = 2000, .timeout_ms = 5000, .max_answer = 1000,
	};
	HttpResult	result;

	*connected = false;
	assert_true(http_start(engine, &request));
	while (!http_next(engine, &result))
	{
		struct pollfd fds[] = {{http_fd(engine), POLLIN, 0}, {listener, POLLIN, 0}};
		long		wait_ms = http_timeout_ms(engine);

		poll(fds, 2, wait_ms < 0 || wait_ms > 100 ? 100 : (int) wait_ms);
		if (fds[1].revents & POLLIN)
		{
			*connected = true;
			close(accept(listener, NULL, NULL));
		}
		http_drive(engine);
	}
	http_result_free(&result);
	return result;
}

static void
expect_refused(const char *url, HttpReach reach)
{
	HttpEngine *engine = http_create(2, "storesync-test/1", (HttpDescriptors) {acquire, release});
	bool		connected;
	HttpResult	result = call(engine, url, reach, &connected);

	assert_int_equal(result.curl_code, COULD_NOT_CONNECT);
	assert_true(result.out_of_reach);
	assert_false(result.sent);
	assert_false(connected);
	http_destroy(engine);
	assert_int_equal(descriptors, 0);
}

/* ------------------------------------------------------------ tests */

static void
test_scope(void **state)
{
	static const struct
	{
		const char *address;
		AddressScope scope;
	}			cases[] = {
		{"127.0.0.1", ADDRESS_LOOPBACK}, {"127.255.255.254", ADDRESS_LOOPBACK}, {"::1", ADDRESS_LOOPBACK},
		{"::ffff:127.0.0.1", ADDRESS_LOOPBACK},
		{"0.0.0.0", ADDRESS_PRIVATE}, {"0.1.2.3", ADDRESS_PRIVATE}, {"10.0.0.0", ADDRESS_PRIVATE},
		{"10.255.255.255", ADDRESS_PRIVATE}, {"100.64.0.1", ADDRESS_PRIVATE}, {"100.127.255.255", ADDRESS_PRIVATE},
		{"169.254.169.254", ADDRESS_PRIVATE}, {"172.16.0.1", ADDRESS_PRIVATE}, {"172.31.255.255", ADDRESS_PRIVATE},
		{"192.0.0.8", ADDRESS_PRIVATE}, {"192.0.2.1", ADDRESS_PRIVATE}, {"192.168.1.1", ADDRESS_PRIVATE},
		{"198.18.0.1", ADDRESS_PRIVATE}, {"198.19.255.255", ADDRESS_PRIVATE}, {"198.51.100.7", ADDRESS_PRIVATE},
		{"203.0.113.7", ADDRESS_PRIVATE}, {"224.0.0.1", ADDRESS_PRIVATE}, {"240.0.0.1", ADDRESS_PRIVATE},
		{"255.255.255.255", ADDRESS_PRIVATE},
		{"::", ADDRESS_PRIVATE}, {"::2", ADDRESS_PRIVATE}, {"::10.0.0.1", ADDRESS_PRIVATE}, {"::8.8.8.8", ADDRESS_PRIVATE},
		{"::ffff:10.0.0.1", ADDRESS_PRIVATE}, {"::ffff:169.254.169.254", ADDRESS_PRIVATE}, {"::ffff:0.0.0.0", ADDRESS_PRIVATE},
		{"64:ff9b::10.0.0.1", ADDRESS_PRIVATE}, {"64:ff9b:1::8.8.8.8", ADDRESS_PRIVATE}, {"100::1", ADDRESS_PRIVATE},
		{"2001::1", ADDRESS_PRIVATE}, {"2001:db8::1", ADDRESS_PRIVATE}, {"2002:a00:1::1", ADDRESS_PRIVATE},
		{"2002:7f00:1::1", ADDRESS_LOOPBACK}, {"3fff:fff::1", ADDRESS_PRIVATE}, {"4000::1", ADDRESS_PRIVATE},
		{"fc00::1", ADDRESS_PRIVATE}, {"fdff::1", ADDRESS_PRIVATE}, {"fe80::1", ADDRESS_PRIVATE}, {"febf::1", ADDRESS_PRIVATE},
		{"fec0::1", ADDRESS_PRIVATE}, {"ff02::1", ADDRESS_PRIVATE}, {"", ADDRESS_PRIVATE}, {"localhost", ADDRESS_PRIVATE},
		{"1.0.0.1", ADDRESS_PUBLIC}, {"9.255.255.255", ADDRESS_PUBLIC}, {"11.0.0.0", ADDRESS_PUBLIC},
		{"100.63.255.255", ADDRESS_PUBLIC}, {"100.128.0.0", ADDRESS_PUBLIC}, {"126.255.255.255", ADDRESS_PUBLIC},
		{"128.0.0.0", ADDRESS_PUBLIC}, {"169.253.255.255", ADDRESS_PUBLIC}, {"172.15.255.255", ADDRESS_PUBLIC},
		{"172.32.0.0", ADDRESS_PUBLIC}, {"192.0.1.0", ADDRESS_PUBLIC}, {"192.167.255.255", ADDRESS_PUBLIC},
		{"192.169.0.0", ADDRESS_PUBLIC}, {"198.20.0.0", ADDRESS_PUBLIC}, {"223.255.255.255", ADDRESS_PUBLIC},
		{"::ffff:8.8.8.8", ADDRESS_PUBLIC}, {"64:ff9b::8.8.8.8", ADDRESS_PUBLIC}, {"2002:808:808::1", ADDRESS_PUBLIC},
		{"2001:200::1", ADDRESS_PUBLIC}, {"2001:4860:4860::8888", ADDRESS_PUBLIC}, {"2400:cb00::1", ADDRESS_PUBLIC},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		if (address_scope_text(cases[i].address) != cases[i].scope)
			fail_msg("%s is of another scope", cases[i].address);
	}
}

static void
test_scope_of_sockaddr(void **state)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x08080808)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr.s6_addr = {[15] = 1}};
	struct sockaddr other = {.sa_family = AF_UNIX};

	assert_int_equal(address_scope((struct sockaddr *) &v4, sizeof(v4)), ADDRESS_PUBLIC);
	assert_int_equal(address_scope((struct sockaddr *) &v4, sizeof(v4) - 1), ADDRESS_PRIVATE);
	assert_int_equal(address_scope((struct sockaddr *) &v6, sizeof(v6)), ADDRESS_LOOPBACK);
	assert_int_equal(address_scope((struct sockaddr *) &v6, sizeof(v4)), ADDRESS_PRIVATE);
	assert_int_equal(address_scope(&other, sizeof(other)), ADDRESS_PRIVATE);
}

static void
test_loopback_urls(void **state)
{
	static const char *const named[] = {
		"http://127.0.0.1", "https://127.255.0.9:443/a", "http://localhost", "http://localhost:1/a?b=c", "https://[::1]:8/",
		"https://[::1]", "http://localhost?a",
	};
	static const char *const not_named[] = {
		"", "localhost", "ftp://localhost", "HTTP://localhost", "http://", "http://localhost.example", "http://127.0.0.1.example",
		"http://127.1", "http://2130706433", "http://0177.0.0.1", "http://0x7f.0.0.1", "http://128.0.0.1", "http://[::2]",
		"http://[::1", "http://[::1]x", "http://[::ffff:127.0.0.1]", "http://localhost@example.com",
		"http://127.0.0.1:1@example.com", "http://localhost]", "http://a@localhost", "https://example.com/localhost", "http://localhost\\@example.com",
	};

	for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++)
		assert_true(url_names_loopback(named[i]));
	for (size_t i = 0; i < sizeof(not_named) / sizeof(not_named[0]); i++)
	{
		if (url_names_loopback(not_named[i]))
			fail_msg("%s is taken for this machine", not_named[i]);
	}
}

static void
test_names_beyond_reach(void **state)
{
	static const char *const private[] = {
		"10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "0.0.0.0", "fc00::1", "fe80::1",
		"::ffff:10.0.0.1", "127.0.0.1", "::1", "::ffff:127.0.0.1",
	};
	char		url[100];

	snprintf(url, sizeof(url), "https://shop.example:%d/", port);
	for (size_t i = 0; i < sizeof(private) / sizeof(private[0]); i++)
	{
		meaning[0] = private[i];
		expect_refused(url, HTTP_REACH_PUBLIC);
	}
	/* one after the other, and none is tried */
	meaning[0] = "::1";
	meaning[1] = "127.0.0.1";
	expect_refused(url, HTTP_REACH_PUBLIC);
	meaning[1] = NULL;
	/* written as a number */
	meaning[0] = "10.0.0.1";
	expect_refused("https://10.0.0.1/", HTTP_REACH_PUBLIC);
	meaning[0] = "::ffff:10.0.0.1";
	expect_refused("https://[::ffff:10.0.0.1]/", HTTP_REACH_PUBLIC);
	/* a name for this machine that leads away from it */
	meaning[0] = "8.8.8.8";
	snprintf(url, sizeof(url), "http://localhost.:%d/", port);
	expect_refused(url, HTTP_REACH_LOOPBACK);
	meaning[0] = "10.0.0.1";
	expect_refused(url, HTTP_REACH_LOOPBACK);
}

static void
test_allowed(void **state)
{
	HttpEngine *engine = http_create(2, "storesync-test/1", (HttpDescriptors) {acquire, release});
	bool		connected;
	char		url[100];
	HttpResult	result;

	meaning[0] = "127.0.0.1";
	snprintf(url, sizeof(url), "https://shop.example:%d/", port);
	result = call(engine, url, HTTP_REACH_ANY, &connected);
	assert_int_equal(result.curl_code, TLS_CONNECT_ERROR);
	assert_false(result.out_of_reach);
	assert_true(connected);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/", port);
	result = call(engine, url, HTTP_REACH_LOOPBACK, &connected);
	assert_false(result.out_of_reach);
	assert_true(connected);
	assert_true(result.sent);
	http_destroy(engine);
	assert_int_equal(descriptors, 0);
}

/* Beyond a URL that names this machine nothing is spoken but https. */
static void
test_https_alone(void **state)
{
	static const HttpReach reaches[] = {HTTP_REACH_PUBLIC, HTTP_REACH_ANY};
	HttpEngine *engine = http_create(2, "storesync-test/1", (HttpDescriptors) {acquire, release});
	char		url[100];

	meaning[0] = "127.0.0.1";
	snprintf(url, sizeof(url), "http://shop.example:%d/", port);
	for (int i = 0; i < 2; i++)
	{
		bool		connected;
		HttpResult	result = call(engine, url, reaches[i], &connected);

		assert_int_equal(result.curl_code, UNSUPPORTED_PROTOCOL);
		assert_false(connected);
		assert_false(result.sent);
	}
	http_destroy(engine);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scope),
		cmocka_unit_test(test_scope_of_sockaddr),
		cmocka_unit_test(test_loopback_urls),
		cmocka_unit_test(test_names_beyond_reach),
		cmocka_unit_test(test_allowed),
		cmocka_unit_test(test_https_alone),
	};
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t	length = sizeof(address);

	signal(SIGPIPE, SIG_IGN);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	if (listener < 0 || bind(listener, (struct sockaddr *) &address, sizeof(address)) != 0 ||
		listen(listener, 16) != 0 || getsockname(listener, (struct sockaddr *) &address, &length) != 0)
		return 1;
	port = ntohs(address.sin_port);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
