/*
 * report_load.c
 *		Books a month of the orders of report_orders.c, as bench/report asks.
 *
 *	report_load receive MONTH SCALE SEED CLIENTS	the month's goods in, by receive()
 *	report_load orders MONTH SCALE SEED CLIENTS		its pages, by ingest_orders()
 *	report_load visits MONTH SCALE SEED				prints store, day and visits, a line each
 *	report_load skus SCALE							prints how many there are
 *
 * The database is that of PGHOST and so on; stores have the ids 1 to 12, SKUs the codes S1, S2, ... Each
 * session's clock is set to the moment of the page (report_clock.c). One thread makes the documents and hands
 * them to the sessions in the order of their moments; a page that is not booked as it should be ends the run.
 * "orders" and "receive" print how many orders there were, how many lines, how many documents or receipts, and the
 * seconds they took.
 */
#include <errno.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "report_orders.h"

#define MAX_CLIENTS		32
#define RECEIPTS_A_CALL 500

typedef struct Session
{
	PGconn	   *connection;
	bool		busy;
	int			day;			/* whose orders the call under way brings, -1 for none */
	int			expected;		/* documents in it */
} Session;

typedef struct Buffer
{
	char	   *bytes;
	size_t		length;
	size_t		room;
} Buffer;

static Session sessions[MAX_CLIENTS];
static int	nsessions;
static Buffer document;
static int64_t orders_booked;
static int64_t lines_booked;
static int64_t documents;		/* or receipts */

static void
fail(const char *what, const char *why)
{
	fprintf(stderr, "report_load: %s: %s\n", what, why);
	exit(1);
}

__attribute__((format(printf, 1, 2)))
static void
append(const char *format, ...)
{
	va_list		args;
	int			length;

	if (document.room - document.length < 256)
	{
		document.room = document.room * 2 + 65536;
		document.bytes = realloc(document.bytes, document.room);
		if (document.bytes == NULL)
			fail("document", "out of memory");
	}
	va_start(args, format);
	length = vsnprintf(document.bytes + document.length, document.room - document.length, format, args);
	va_end(args);
	if (length < 0 || (size_t) length >= document.room - document.length)
		fail("document", "a piece is too long");
	document.length += length;
}

/* ---------------------------------------------------------------- sessions */

/* finish takes the answer of a session's call: all documents of the page are booked, or the run ends. */
static void
finish(Session *session)
{
	PGresult   *result;

	while ((result = PQgetResult(session->connection)) != NULL)
	{
		if (PQresultStatus(result) != PGRES_TUPLES_OK)
			fail("call", PQresultErrorMessage(result));
		if (atoi(PQgetvalue(result, 0, 0)) != session->expected)
			fail("call", PQgetvalue(result, 0, 1));
		PQclear(result);
	}
	session->busy = false;
}

/* take_answers waits until something has come from a session that is busy. */
static void
take_answers(void)
{
	struct pollfd waits[MAX_CLIENTS];

	for (int i = 0; i < nsessions; i++)
		waits[i] = (struct pollfd) {.fd = sessions[i].busy ? PQsocket(sessions[i].connection) : -1,.events = POLLIN};
	if (poll(waits, nsessions, -1) < 0 && errno != EINTR)
		fail("poll", strerror(errno));
	for (int i = 0; i < nsessions; i++)
	{
		if (!sessions[i].busy || waits[i].revents == 0)
			continue;
		if (!PQconsumeInput(sessions[i].connection))
			fail("connection", PQerrorMessage(sessions[i].connection));
		if (!PQisBusy(sessions[i].connection))
			finish(&sessions[i]);
	}
}

/* free_session waits until one is free. */
static Session *
free_session(void)
{
	for (;;)
	{
		for (int i = 0; i < nsessions; i++)
			if (!sessions[i].busy)
				return &sessions[i];
		take_answers();
	}
}

/* wait_for_day waits until the orders of the days up to this one are booked. */
static void
wait_for_day(int day)
{
	for (int i = 0; i < nsessions; i++)
		while (sessions[i].busy && sessions[i].day >= 0 && sessions[i].day <= day)
			take_answers();
}

static void
connect_all(const char *statement, int clients)
{
	for (nsessions = 0; nsessions < clients && nsessions < MAX_CLIENTS; nsessions++)
	{
		PGconn	   *connection = PQconnectdb("");
		PGresult   *result;

		if (PQstatus(connection) != CONNECTION_OK)
			fail("connection", PQerrorMessage(connection));
		result = PQprepare(connection, "call", statement, 0, NULL);
		if (PQresultStatus(result) != PGRES_COMMAND_OK)
			fail("statement", PQresultErrorMessage(result));
		PQclear(result);
		sessions[nsessions] = (Session) {.connection = connection};
	}
}

static void
disconnect_all(void)
{
	for (int i = 0; i < nsessions; i++)
	{
		while (sessions[i].busy)
			take_answers();
		PQfinish(sessions[i].connection);
	}
}

/* call sends document.bytes as $2, with the moment of the session's clock as $3. */
static void
call(int store, int day, int64_t at_ms, int expected)
{
	Session    *session = free_session();
	char		store_text[16];
	char		at_text[32];
	const char *values[3] = {store_text, document.bytes, at_text};

	(void) snprintf(store_text, sizeof(store_text), "%d", store + 1);
	(void) snprintf(at_text, sizeof(at_text), "%" PRId64 ".%03d", at_ms / 1000, (int) (at_ms % 1000));
	session->expected = expected;
	session->day = day;
	session->busy = true;
	if (!PQsendQueryPrepared(session->connection, "call", 3, values, NULL, NULL, 0))
		fail("call", PQerrorMessage(session->connection));
	documents += expected;
}

/* ---------------------------------------------------------------- what is sent */

static void
append_order(const Order *order, Fate told, int64_t at_ms)
{
	static const char *const status[] = {"completed", "ready_to_ship", "completed", "cancelled", "returned"};
	const char *word = status[told == FATE_KEPT ? order->fate : told + 2];
	int64_t		updated_ms = told == FATE_KEPT ? order->created_ms : at_ms - 5000;

	append("%s{\"order_sn\":\"%03d-%02d-%05d\",\"status\":\"%s\",", document.length == 1 ? "" : ",",
		   order->day, order->store + 1, order->number, word);
	append("\"create_time\":%" PRId64 ".%03d,\"update_time\":%" PRId64 ".%03d,\"currency\":\"TWD\",\"lines\":[",
		   order->created_ms / 1000, (int) (order->created_ms % 1000), updated_ms / 1000, (int) (updated_ms % 1000));
	for (int i = 0; i < order->nlines; i++)
		append("%s{\"line_id\":\"%d\",\"sku\":\"S%d\",\"qty\":%d,\"unit_price\":%d.%02d}", i == 0 ? "" : ",", i + 1,
			   order->lines[i].sku, order->lines[i].qty, order->lines[i].price_cents / 100, order->lines[i].price_cents % 100);
	append("]}");
}

/* send_page makes the documents of a page; told of a fate, they are the orders that it befell, from the page's first. */
static void
send_page(const Page *page)
{
	Order		order;
	int			seen = 0;
	int			sent = 0;

	document.length = 0;
	append("[");
	for (int number = page->told == FATE_KEPT ? page->first : 0; sent < page->count; number++)
	{
		if (page->told != FATE_KEPT && (fate_of(page->day, page->store, number) != page->told || seen++ < page->first))
			continue;
		make_order(page->day, page->store, number, &order);
		append_order(&order, page->told, page->at_ms);
		lines_booked += page->told == FATE_KEPT ? order.nlines : 0;
		sent++;
	}
	append("]");
	orders_booked += page->told == FATE_KEPT ? sent : 0;
	if (page->told != FATE_KEPT)
		wait_for_day(page->day);
	call(page->store, page->told == FATE_KEPT ? page->day : -1, page->at_ms, sent);
}

static void
book_orders(int first, int end)
{
	for (int day = first; day < end; day++)
	{
		int			count;
		Page	   *pages = pages_of(day, &count);

		for (int i = 0; i < count; i++)
			send_page(&pages[i]);
	}
}

/* receive_goods: one call takes SKUs in rising order that no other call has, so none waits for another. */
static void
receive_goods(int month, int first_day)
{
	int			in_call = 0;

	for (int sku = 1; sku <= sku_count() + 1; sku++)
	{
		int64_t		units = sku <= sku_count() ? units_received(month, sku) : 0;

		if (in_call == RECEIPTS_A_CALL || (sku > sku_count() && in_call > 0))
		{
			append("]");
			call(0, -1, day_start_ms(first_day), in_call);
			in_call = 0;
		}
		if (units == 0)
			continue;
		if (in_call++ == 0)
		{
			document.length = 0;
			append("[");
		}
		append("%s[\"S%d\",%" PRId64 "]", in_call == 1 ? "" : ",", sku, units);
	}
}

static void
print_visits(int first, int end)
{
	for (int day = first; day < end; day++)
		for (int store = 0; store < STORES; store++)
		{
			time_t		at = day_start_ms(day) / 1000 + 8 * 3600;
			char		date[16];

			(void) strftime(date, sizeof(date), "%Y-%m-%d", gmtime(&at));
			printf("%d\t%s\t%d\n", store + 1, date, visits_of(day, store));
		}
}

int
main(int argc, char **argv)
{
	struct timespec began;
	struct timespec ended;
	int			month;
	int			first;
	int			end;

	if (argc == 3 && strcmp(argv[1], "skus") == 0)
	{
		start_shape(atof(argv[2]), 0);
		printf("%d\n", sku_count());
		return 0;
	}
	if (argc < 5 || (argc < 6 && strcmp(argv[1], "visits") != 0))
		fail("usage", "receive|orders|visits MONTH SCALE SEED CLIENTS");
	month = atoi(argv[2]);
	start_shape(atof(argv[3]), strtoull(argv[4], NULL, 10));
	month_days(month, &first, &end);
	if (strcmp(argv[1], "visits") == 0)
	{
		print_visits(first, end);
		return 0;
	}
	connect_all(strcmp(argv[1], "orders") == 0 ?
				"SELECT count(*) FILTER (WHERE r.outcome = 'applied'), string_agg(r::text, ' ') FILTER (WHERE r.outcome <> 'applied') FROM storesync.ingest_orders($1::int, "
				"CASE WHEN public.report_clock(to_timestamp($3::float8)) THEN $2::jsonb END) r" :
				"SELECT count(storesync.receive(r->>0, (r->>1)::bigint, storesync.new_key())) FROM jsonb_array_elements("
				"CASE WHEN $1::int IS NOT NULL AND public.report_clock(to_timestamp($3::float8)) THEN $2::jsonb END) r",
				atoi(argv[5]));
	(void) clock_gettime(CLOCK_MONOTONIC, &began);
	if (strcmp(argv[1], "orders") == 0)
		book_orders(first, end);
	else
		receive_goods(month, first);
	disconnect_all();
	(void) clock_gettime(CLOCK_MONOTONIC, &ended);
	printf("%" PRId64 " %" PRId64 " %" PRId64 " %.3f\n", orders_booked, lines_booked, documents,
		   (double) (ended.tv_sec - began.tv_sec) + (double) (ended.tv_nsec - began.tv_nsec) / 1e9);
	return 0;
}
