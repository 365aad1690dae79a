/*
 * olap_send.c
 *		ClickHouse over HTTP: rows of a batch, table by table, and statements.
 *
 * Each call is waited for, with its timeout, outside of any transaction; the
 * latch, the postmaster's death and interrupts are served meanwhile. ClickHouse
 * answers an INSERT when it has the rows; whether one that was cut off got
 * through does not matter, because the rows are sent again with a higher
 * version. User and password go by headers, and no message shows a header.
 */
#include "olap_work.h"

#include "miscadmin.h"
#include "storage/fd.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"

#include "address.h"
#include "http.h"
#include "shmem.h"
#include "version.h"

#define CONNECT_MS		2000
#define INSERT_MS		15000
/* Longest answer: a page of numbers. */
#define MAX_ANSWER		(1024 * 1024)
#define COMPLAINT_BYTES	300
#define N_HEADERS		3

static const char *const tables[] = {
	[OLAP_ORDER] = "sales_order", [OLAP_LINE] = "sales_order_line", [OLAP_LEDGER] = "ledger", [OLAP_CALL] = "call_log",
	[OLAP_STORE] = "store", [OLAP_SKU] = "sku", [OLAP_LOCATION] = "location",
	[OLAP_VISIT] = "visit_day"
};

static HttpEngine *engine = NULL;
static WaitEventSet *set = NULL;
static char complaint[COMPLAINT_BYTES] = "";

/* Where, in TopMemoryContext; base_url ends with the name of the database. */
static char *base_url = NULL;
static bool on_this_machine = false;
static char *headers[N_HEADERS];
static int	n_headers = 0;

static bool
acquire_descriptor(void)
{
	return AcquireExternalFD();
}

static void
release_descriptor(void)
{
	ReleaseExternalFD();
}

void
olap_send_init(void)
{
	HttpDescriptors descriptors = {acquire_descriptor, release_descriptor};

	engine = http_create(1, psprintf("storesync/%s", ss_release_text(SS_LIBRARY)), descriptors);
	if (engine == NULL)
		ereport(FATAL,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("could not set up the HTTP engine")));
	set = SsCreateWaitEventSet(3);
	AddWaitEventToSet(set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	AddWaitEventToSet(set, WL_SOCKET_READABLE, http_fd(engine), NULL, NULL);
}

/* append_escaped appends text as a part of a URL. */
static void
append_escaped(StringInfo url, const char *text)
{
	for (const unsigned char *c = (const unsigned char *) text; *c != '\0'; c++)
	{
		if (isalnum(*c) && *c < 128)
			appendStringInfoCharMacro(url, *c);
		else
			appendStringInfo(url, "%%%02X", *c);
	}
}

static void
add_header(const char *name, const char *value)
{
	headers[n_headers++] = MemoryContextStrdup(TopMemoryContext, psprintf("%s: %s", name, value));
}

void
olap_send_to(const char *url, const char *database, const char *secret)
{
	StringInfoData base;
	char	   *copy;
	char	   *blank;

	initStringInfo(&base);
	appendStringInfo(&base, "%s/?database=", url);
	append_escaped(&base, database);
	while (n_headers > 0)
		pfree(headers[--n_headers]);
	if (base_url != NULL)
		pfree(base_url);
	base_url = MemoryContextStrdup(TopMemoryContext, base.data);
	on_this_machine = url_names_loopback(url);
	/* text in and out, whatever the bytes */
	add_header("Content-Type", "text/plain");
	if (secret == NULL)
		return;
	copy = pstrdup(secret);
	blank = strchr(copy, ' ');
	if (blank != NULL)
		*blank = '\0';
	add_header("X-ClickHouse-User", blank != NULL ? copy : "default");
	add_header("X-ClickHouse-Key", blank != NULL ? blank + 1 : copy);
	explicit_bzero(copy, strlen(secret));
}

/* complain notes what went wrong: what ClickHouse says, in one line of ASCII. */
static void
complain(const char *text)
{
	int			n = 0;

	for (; *text != '\0' && n < COMPLAINT_BYTES - 1; text++)
		complaint[n++] = *text >= ' ' && *text < 127 ? *text : (*text == '\n' ? ' ' : '?');
	while (n > 0 && complaint[n - 1] == ' ')
		n--;
	complaint[n] = '\0';
}

const char *
olap_complaint(void)
{
	return complaint;
}

/* wait_for_answer drives the engine until its only call has ended. */
static void
wait_for_answer(HttpResult *result)
{
	uint32		wait_name = SsWaitEvent("StoresyncClickHouse");
	WaitEvent	event;

	while (!http_next(engine, result))
	{
		(void) WaitEventSetWait(set, http_timeout_ms(engine), &event, 1, wait_name);
		/* what it was set for is looked at after the call */
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		http_drive(engine);
	}
}

/* call makes one call; true with ClickHouse's answer in olap_round. */
static bool
call(const char *url, const char *body, size_t length, int timeout_ms, char **answer)
{
	HttpRequest request = {
		.method = "POST", .url = url, .reach = on_this_machine ? HTTP_REACH_LOOPBACK : HTTP_REACH_ANY,
		.headers = (const char *const *) headers, .n_headers = n_headers, .body = body, .body_length = length,
		.connect_timeout_ms = CONNECT_MS, .timeout_ms = timeout_ms, .ca_file = ss_ca_file, .max_answer = MAX_ANSWER
	};
	HttpResult	result = {0};
	bool		done;

	if (!http_start(engine, &request))
	{
		complain("out of memory");
		return false;
	}
	wait_for_answer(&result);
	done = result.complete && result.http_status == 200;
	if (done && answer != NULL)
		*answer = MemoryContextStrdup(olap_round, result.body == NULL ? "" : result.body);
	else if (!done)
		complain(result.complete ? (result.body == NULL ? "no reason given" : result.body) : result.error);
	http_result_free(&result);
	if (!done)
		olap_count(OLAP_FAILED, 1);
	return done;
}

bool
olap_send(const OlapBatch *batch)
{
	bool		counts = false;

	for (int i = 0; i < OLAP_TABLES; i++)
	{
		StringInfoData url;

		if (batch->n_rows[i] == 0)
			continue;
		initStringInfo(&url);
		appendStringInfo(&url, "%s&query=", base_url);
		append_escaped(&url, psprintf("INSERT INTO %s (%s) FORMAT TabSeparated", tables[i], batch->columns[i]));
		if (!call(url.data, batch->rows[i].data, batch->rows[i].len, INSERT_MS, NULL))
			return false;
		olap_count(OLAP_ROWS, batch->n_rows[i]);
		olap_count(OLAP_BATCHES, 1);
		counts |= i <= OLAP_CALL;
	}
	if (counts)
		olap_place.sent = batch->version;
	return true;
}

char *
olap_ask(const char *statement, int timeout_ms)
{
	char	   *answer = NULL;

	return call(base_url, statement, strlen(statement), timeout_ms, &answer) ? answer : NULL;
}
