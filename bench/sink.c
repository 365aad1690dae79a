/*
 * sink.c
 *		A shop that takes everything: what bench/dispatch sends its calls to.
 *
 * One thread, one epoll descriptor, keep-alive connections, one request at a
 * time on each. A stock call is answered as Shopee does when all of it was
 * applied; a list of orders is empty. Nothing is checked: the sink is to cost
 * as little as it can, so that it does not bound what is measured.
 *
 *	sink PORT-FILE
 *
 * It listens on 127.0.0.1 and writes the port into PORT-FILE. GET requests
 * steer it:
 *
 *	/control/delay?us=N				answers come N microseconds later (0)
 *	/control/shop?id=S&us=N			those to shop S come N microseconds later
 *	/control/shop?id=S&close=1		connections of shop S are closed without an answer
 *	/control/shop?id=S				shop S is as the others again
 *	/control/log					stock calls since the last clear: "us shop item quantity" a line
 *	/control/stats					"calls bytes": of stock calls since the last clear
 *	/control/clear
 *
 * Times are microseconds of the wall clock when the request was complete.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_FD			4096
#define MAX_SHOPS		1024	/* with a rule of their own */
#define MAX_REQUEST		65536
#define MAX_MODELS		50
#define EVENTS_AT_ONCE	256

typedef struct Connection
{
	bool		open;
	uint32_t	generation;		/* tells a connection from an earlier one with its number */
	size_t		got;
	char	   *in;				/* MAX_REQUEST + 1 bytes */
	char	   *out;			/* what is still to be written, malloc'ed */
	size_t		out_length;
	size_t		out_done;
} Connection;

typedef struct Due
{
	int64_t		at_us;
	int			fd;
	uint32_t	generation;
} Due;

typedef struct Shop
{
	int64_t		id;
	int64_t		delay_us;
	bool		closes;
} Shop;

typedef struct Arrival
{
	int64_t		at_us;
	int64_t		shop;
	int64_t		item;
	int64_t		quantity;
} Arrival;

static Connection connections[MAX_FD];
static Due	heap[MAX_FD];
static int	heap_count = 0;
static Shop shops[MAX_SHOPS];
static int	shop_count = 0;
static int64_t delay_us = 0;
static Arrival *arrivals = NULL;
static size_t arrival_count = 0;
static size_t arrival_room = 0;
static size_t arrival_bytes = 0;
static int	poll_fd;

static void
die(const char *what)
{
	fprintf(stderr, "sink: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t
now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---------------------------------------------------------------- answers that wait */

static void
heap_swap(int a, int b)
{
	Due			kept = heap[a];

	heap[a] = heap[b];
	heap[b] = kept;
}

static void
heap_push(Due due)
{
	int			i = heap_count++;

	heap[i] = due;
	while (i > 0 && heap[i].at_us < heap[(i - 1) / 2].at_us)
	{
		heap_swap(i, (i - 1) / 2);
		i = (i - 1) / 2;
	}
}

static Due
heap_pop(void)
{
	Due			first = heap[0];
	int			i = 0;

	heap[0] = heap[--heap_count];
	for (;;)
	{
		int			child = 2 * i + 1;

		if (child + 1 < heap_count && heap[child + 1].at_us < heap[child].at_us)
			child++;
		if (child >= heap_count || heap[i].at_us <= heap[child].at_us)
			return first;
		heap_swap(i, child);
		i = child;
	}
}

/* ---------------------------------------------------------------- connections */

static void
watch(int fd, uint32_t events, int operation)
{
	struct epoll_event event = {.events = events, .data.fd = fd};

	if (epoll_ctl(poll_fd, operation, fd, &event) != 0)
		die("epoll_ctl");
}

static void
close_connection(int fd)
{
	Connection *c = &connections[fd];

	c->open = false;
	c->generation++;
	free(c->out);
	c->out = NULL;
	close(fd);
}

static void
open_connection(int fd)
{
	Connection *c = &connections[fd];
	int			on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (c->in == NULL && (c->in = malloc(MAX_REQUEST + 1)) == NULL)
		die("malloc");
	c->open = true;
	c->got = 0;
	watch(fd, EPOLLIN, EPOLL_CTL_ADD);
}

/* write_out sends what it can and waits for room when that is not all. */
static void
write_out(int fd)
{
	Connection *c = &connections[fd];

	while (c->out_done < c->out_length)
	{
		ssize_t		n = write(fd, c->out + c->out_done, c->out_length - c->out_done);

		if (n < 0 && errno == EAGAIN)
		{
			watch(fd, EPOLLOUT, EPOLL_CTL_MOD);
			return;
		}
		if (n < 0)
		{
			close_connection(fd);
			return;
		}
		c->out_done += (size_t) n;
	}
	free(c->out);
	c->out = NULL;
}

static void
answer(int fd, const char *type, const char *body, size_t length)
{
	Connection *c = &connections[fd];
	char	   *out = malloc(length + 256);
	int			head;

	if (out == NULL)
		die("malloc");
	head = snprintf(out, 256, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n", type, length);
	memcpy(out + head, body, length);
	c->out = out;
	c->out_length = (size_t) head + length;
	c->out_done = 0;
}

/* ---------------------------------------------------------------- the shop */

/* number_after finds `key` in the text and reads the number behind it, -1 when it is not there. */
static int64_t
number_after(const char *text, const char *key, const char **end)
{
	const char *found = strstr(text, key);

	if (found == NULL)
		return -1;
	return strtoll(found + strlen(key), (char **) end, 10);
}

static void
note_arrival(int64_t shop, int64_t item, int64_t quantity)
{
	if (arrival_count == arrival_room)
	{
		arrival_room = arrival_room == 0 ? 65536 : 2 * arrival_room;
		arrivals = realloc(arrivals, arrival_room * sizeof(Arrival));
		if (arrivals == NULL)
			die("realloc");
	}
	arrivals[arrival_count++] = (Arrival) {now_us(), shop, item, quantity};
}

/* take_stock answers a stock call: each of its models was applied. */
static void
take_stock(int fd, int64_t shop, const char *body, size_t bytes)
{
	char		text[160 + MAX_MODELS * 80];
	const char *at = body;
	const char *end = body;
	int64_t		item = number_after(body, "\"item_id\":", &end);
	int			length;

	arrival_bytes += bytes;
	length = sprintf(text, "{\"request_id\":\"sink\",\"error\":\"\",\"message\":\"\",\"warning\":\"\","
					 "\"response\":{\"success_list\":[");
	for (int i = 0; i < MAX_MODELS; i++)
	{
		int64_t		model = number_after(at, "\"model_id\":", &end);
		int64_t		stock;

		if (model < 0)
			break;
		stock = number_after(end, "\"stock\":", &at);
		if (i == 0)
			note_arrival(shop, item, stock);
		length += sprintf(text + length, "%s{\"model_id\":%" PRId64 ",\"location_id\":\"\",\"stock\":%" PRId64 "}",
						  i > 0 ? "," : "", model, stock);
	}
	length += sprintf(text + length, "],\"failure_list\":[]}}");
	answer(fd, "application/json", text, (size_t) length);
}

static Shop *
find_shop(int64_t id)
{
	for (int i = 0; i < shop_count; i++)
		if (shops[i].id == id)
			return &shops[i];
	return NULL;
}

static void
set_shop(const char *query)
{
	const char *end;
	int64_t		id = number_after(query, "id=", &end);
	Shop	   *shop = find_shop(id);

	if (shop == NULL && shop_count < MAX_SHOPS)
		shop = &shops[shop_count++];
	if (shop == NULL)
		return;
	*shop = (Shop) {id, number_after(query, "us=", &end), number_after(query, "close=", &end) > 0};
}

static void
show_log(int fd)
{
	char	   *text = malloc(arrival_count * 84 + 1);
	size_t		length = 0;

	if (text == NULL)
		die("malloc");
	for (size_t i = 0; i < arrival_count; i++)
		length += (size_t) sprintf(text + length, "%" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 "\n",
								   arrivals[i].at_us, arrivals[i].shop, arrivals[i].item, arrivals[i].quantity);
	answer(fd, "text/plain", text, length);
	free(text);
}

static void
control(int fd, const char *target)
{
	char		text[64] = "ok\n";
	const char *end;

	if (strncmp(target, "log", 3) == 0)
	{
		show_log(fd);
		return;
	}
	if (strncmp(target, "delay", 5) == 0)
		delay_us = number_after(target, "us=", &end);
	else if (strncmp(target, "shop", 4) == 0)
		set_shop(target);
	else if (strncmp(target, "stats", 5) == 0)
		snprintf(text, sizeof(text), "%zu %zu\n", arrival_count, arrival_bytes);
	else if (strncmp(target, "clear", 5) == 0)
		arrival_count = arrival_bytes = 0;
	answer(fd, "text/plain", text, strlen(text));
}

/* serve answers the request that is complete in the buffer, now or when its delay is over. */
static void
serve(int fd, const char *body, size_t bytes)
{
	static const char none[] = "{\"request_id\":\"sink\",\"error\":\"\",\"message\":\"\",\"warning\":\"\","
		"\"response\":{\"more\":false,\"next_cursor\":\"\",\"order_list\":[]}}";
	Connection *c = &connections[fd];
	const char *target = strchr(c->in, ' ');
	const char *end;
	int64_t		shop;
	int64_t		wait = delay_us;
	Shop	   *rule;

	if (target != NULL && strncmp(target, " /control/", 10) == 0)
	{
		control(fd, target + 10);
		write_out(fd);
		return;
	}
	shop = number_after(c->in, "shop_id=", &end);
	rule = find_shop(shop);
	if (rule != NULL && rule->closes)
	{
		close_connection(fd);
		return;
	}
	if (rule != NULL && rule->delay_us >= 0)
		wait = rule->delay_us;
	if (strstr(c->in, "/update_stock") != NULL)
		take_stock(fd, shop, body, bytes);
	else
		answer(fd, "application/json", none, sizeof(none) - 1);
	if (wait <= 0)
	{
		write_out(fd);
		return;
	}
	heap_push((Due) {now_us() + wait, fd, c->generation});
}

/* take_request looks whether a whole request is in the buffer, and serves it. */
static void
take_request(int fd)
{
	Connection *c = &connections[fd];
	char	   *head;
	const char *end;
	int64_t		length;
	size_t		all;

	c->in[c->got] = '\0';
	head = strstr(c->in, "\r\n\r\n");
	if (head == NULL || c->out != NULL)
		return;
	length = number_after(c->in, "\r\nContent-Length: ", &end);
	all = (size_t) (head + 4 - c->in) + (length > 0 ? (size_t) length : 0);
	if (c->got < all)
		return;
	c->got = 0;					/* nobody sends a request before the last was answered */
	serve(fd, head + 4, all);
}

static void
read_in(int fd)
{
	Connection *c = &connections[fd];
	ssize_t		n = read(fd, c->in + c->got, MAX_REQUEST - c->got);

	if (n <= 0)
	{
		if (n == 0 || errno != EAGAIN)
			close_connection(fd);
		return;
	}
	c->got += (size_t) n;
	take_request(fd);
}

static void
accept_all(int listener)
{
	int			fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
	{
		if (fd >= MAX_FD)
			close(fd);
		else
			open_connection(fd);
	}
}

static void
send_due(void)
{
	int64_t		now = now_us();

	while (heap_count > 0 && heap[0].at_us <= now)
	{
		Due			due = heap_pop();

		if (!connections[due.fd].open || connections[due.fd].generation != due.generation)
			continue;
		write_out(due.fd);
	}
}

static int
start_listening(const char *port_file)
{
	int			fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t	length = sizeof(address);
	FILE	   *out;

	if (fd < 0 || bind(fd, (struct sockaddr *) &address, sizeof(address)) != 0 || listen(fd, 1024) != 0 ||
		getsockname(fd, (struct sockaddr *) &address, &length) != 0)
		die("listen");
	out = fopen(port_file, "w");
	if (out == NULL || fprintf(out, "%d\n", ntohs(address.sin_port)) < 0 || fclose(out) != 0)
		die(port_file);
	return fd;
}

int
main(int argc, char **argv)
{
	struct epoll_event events[EVENTS_AT_ONCE];
	int			listener;

	if (argc != 2)
	{
		fprintf(stderr, "usage: sink PORT-FILE\n");
		return 2;
	}
	poll_fd = epoll_create1(EPOLL_CLOEXEC);
	listener = start_listening(argv[1]);
	watch(listener, EPOLLIN, EPOLL_CTL_ADD);
	for (;;)
	{
		int64_t		left_us = heap_count > 0 ? heap[0].at_us - now_us() : -1;
		struct timespec timeout = {left_us / 1000000, left_us % 1000000 * 1000};
		int			n;

		if (heap_count > 0 && left_us < 0)
			timeout = (struct timespec) {0, 0};
		n = epoll_pwait2(poll_fd, events, EVENTS_AT_ONCE, heap_count > 0 ? &timeout : NULL, NULL);
		if (n < 0 && errno != EINTR)
			die("epoll_pwait2");
		for (int i = 0; i < n; i++)
		{
			int			fd = events[i].data.fd;

			if (fd == listener)
				accept_all(listener);
			else if (!connections[fd].open)
				continue;
			else if (events[i].events & EPOLLOUT)
			{
				watch(fd, EPOLLIN, EPOLL_CTL_MOD);
				write_out(fd);
			}
			else
				read_in(fd);
		}
		send_due();
	}
}
