/*
 * olap.c
 *		The setting storesync.clickhouse_url, and what shared memory knows of
 *		this database's OLAP worker, as a row (sql/57_olap.sql).
 *
 * Calls nothing outside: that is the worker's (bgworker/olap_main.c).
 */
#include "storesync.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "olap.h"
#include "shmem.h"

#define FIXED_COLUMNS	4
#define MAX_URL			200
#define MAX_PORT		65535

PG_FUNCTION_INFO_V1(olap_url);
PG_FUNCTION_INFO_V1(olap_stats);

static const char *const states[] = {
	[OLAP_NONE] = "starting", [OLAP_OLD_SQL] = "old sql", [OLAP_UNCONFIRMED] = "unconfirmed", [OLAP_AWAY] = "away",
	[OLAP_FILLING] = "filling", [OLAP_FOLLOWING] = "following"
};

/* names_this_machine: 127.0.0.0/8 in digits, localhost or [::1]. */
static bool
names_this_machine(const char *host, size_t length)
{
	if (length == strlen("localhost") && pg_strncasecmp(host, "localhost", length) == 0)
		return true;
	if (length == strlen("[::1]") && strncmp(host, "[::1]", length) == 0)
		return true;
	return length >= strlen("127.0.0.1") && strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") == length;
}

/* complaint_about tells what is wrong with an address, NULL for nothing. */
static const char *
complaint_about(const char *url)
{
	bool		plain = strncmp(url, "http://", 7) == 0;
	const char *host = url + (plain ? 7 : 8);
	size_t		length;
	const char *port;

	if (!plain && strncmp(url, "https://", 8) != 0)
		return "It begins with https://, or on this machine with http://.";
	if (strchr(url, '@') != NULL)
		return "User and password belong into the file that \"storesync.clickhouse_password_file\" names.";
	length = host[0] == '[' ? strspn(host + 1, "0123456789abcdefABCDEF:.") + 2 :
		strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-");
	if (strlen(url) > MAX_URL || length == 0 || length > strlen(host) || (host[0] == '[' && host[length - 1] != ']'))
		return "It is made of https://, a host and perhaps a port.";
	port = host + length;
	if (*port == ':')
	{
		size_t		digits = strspn(++port, "0123456789");

		if (digits == 0 || digits > 5 || atoi(port) < 1 || atoi(port) > MAX_PORT)
			return "The port is a number from 1 to 65535.";
		port += digits;
	}
	if (*port != '\0')
		return "It is made of https://, a host and perhaps a port.";
	if (plain && !names_this_machine(host, length))
		return "Plain http is for loopback addresses: 127.0.0.0/8, localhost, [::1].";
	return NULL;
}

bool
olap_check_url(char **value, void **extra, GucSource source)
{
	const char *complaint = (*value)[0] == '\0' ? NULL : complaint_about(*value);

	if (complaint == NULL)
		return true;
	GUC_check_errdetail("%s", complaint);
	return false;
}

/* olap_url() returns text: where ClickHouse is, NULL for nowhere. */
Datum
olap_url(PG_FUNCTION_ARGS)
{
	if (ss_clickhouse_url[0] == '\0')
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(ss_clickhouse_url));
}

/* olap_stats(OUT pid int, OUT state text, OUT since timestamptz, OUT heartbeat timestamptz, OUT counters...) */
Datum
olap_stats(PG_FUNCTION_ARGS)
{
	SsDatabase *slot = shmem_database(MyDatabaseId, false);
	Datum		values[FIXED_COLUMNS + OLAP_COUNTERS];
	bool		nulls[FIXED_COLUMNS + OLAP_COUNTERS];
	TupleDesc	desc;
	uint64		since;
	uint64		heartbeat;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	memset(values, 0, sizeof(values));
	memset(nulls, true, sizeof(nulls));
	if (slot != NULL && slot->followers[SS_FOLLOWER_OLAP].pid != 0)
	{
		memset(nulls, false, sizeof(nulls));
		since = pg_atomic_read_u64(&slot->olap.since);
		heartbeat = pg_atomic_read_u64(&slot->olap.heartbeat);
		values[0] = Int32GetDatum(slot->followers[SS_FOLLOWER_OLAP].pid);
		values[1] = CStringGetTextDatum(states[Min(pg_atomic_read_u32(&slot->olap.state), OLAP_FOLLOWING)]);
		values[2] = TimestampTzGetDatum((TimestampTz) since);
		nulls[2] = since == 0;
		values[3] = TimestampTzGetDatum((TimestampTz) heartbeat);
		nulls[3] = heartbeat == 0;
		for (int i = 0; i < OLAP_COUNTERS; i++)
			values[FIXED_COLUMNS + i] = Int64GetDatum((int64) pg_atomic_read_u64(&slot->olap.counters[i]));
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
