/*
 * olap_settle.c
 *		A life of the data begins (docs/outbox.md): ClickHouse may be ahead of
 *		a database that was recovered to an earlier moment.
 *
 * Versions of a life are higher than those of all before it. What is written
 * anew wins, and what is left with a version of an earlier life and above
 * `cut`, the last version that the recovered tables know to have been taken,
 * was read from a future that is lost: whatever was read up to that version
 * is in the recovered tables, since the transaction that read it had its id
 * before they ended. So
 *
 * 1. the life gets a number above all that ClickHouse has seen, and everything
 *	  recorded since the oldest of those rows is written anew;
 * 2. orders among them are written as they are now: one may be old, and only
 *	  its last change lost;
 * 3. what still has its version of then is not here any more, and is marked
 *	  deleted.
 *
 * Where nothing is known of ClickHouse (a restored dump) all it has is looked
 * at in this way.
 */
#include "olap_work.h"

#include "utils/builtins.h"

#include "outbox.h"
#include "set.h"

#define QUERY_MS		60000
#define MARK_MS			600000
#define PAGE_ORDERS		1000

/* The tables whose rows may be of a lost future, and what tells their rows from each other. */
static const struct
{
	const char *name;
	const char *key;
}			marked[] = {
	{"sales_order", "order_id"}, {"sales_order_line", "order_id, line_id"},
	{"ledger", "sku_id, location_id, number"}, {"call_log", "utc_day, row"}
};

static int64 place = 0;			/* the last order that was looked at */

/* ask_number asks for one number; false when ClickHouse did not answer with one. */
static bool
ask_number(const char *statement, int64 *number)
{
	char	   *answer = olap_ask(statement, QUERY_MS);

	return answer != NULL && sscanf(answer, INT64_FORMAT, number) == 1;
}

/* foreign is the condition that a version is of an earlier life and above the cut. */
static char *
foreign(const char *version)
{
	return psprintf("%s > " INT64_FORMAT " AND %s < " INT64_FORMAT, version, Max(olap_place.cut, 0), version,
					(int64) olap_place.life << OLAP_LIFE_SHIFT);
}

/* ask_newest asks for the highest version that ClickHouse has, 0 for none. */
static bool
ask_newest(int64 *newest)
{
	return ask_number("SELECT max(v) FROM (SELECT max(version) AS v FROM sales_order UNION ALL SELECT max(version) AS v FROM sales_order_line "
					  "UNION ALL SELECT max(version) AS v FROM ledger UNION ALL SELECT max(version) AS v FROM call_log)", newest);
}

/* write_all begins to write everything there is. */
static void
write_all(void)
{
	olap_place.fill = FILL_NONE;
	olap_place.again_from = DT_NOBEGIN;
}

bool
olap_settle_check(void)
{
	int64		newest;

	if (!ask_newest(&newest))
		return false;
	if (newest >= olap_place.sent)
		return true;
	ereport(LOG,
			(errmsg("ClickHouse has lost what it had, everything is written to it again")));
	olap_place.sent = newest;
	write_all();
	return true;
}

bool
olap_settle_begin(void)
{
	int64		newest;
	int64		oldest_ms;
	char	   *of;

	if (!ask_newest(&newest))
		return false;
	if (newest == 0)
		write_all();
	olap_place.life = Max(olap_place.incarnation, (int) (newest >> OLAP_LIFE_SHIFT) + 1);
	if (olap_place.life > PG_INT16_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("ClickHouse has data of too many lives of this database"),
				 errhint("Make its tables anew.")));
	/* what an earlier recovery left unsettled stays to be done */
	olap_place.cut = olap_place.cut < 0 ? olap_place.sent : Min(olap_place.cut, olap_place.sent);
	of = foreign("version");
	if (!ask_number(psprintf("SELECT min(t) FROM (SELECT min(recorded_ms) AS t FROM ledger WHERE deleted = 0 AND %s UNION ALL "
							 "SELECT min(at_ms) AS t FROM call_log WHERE deleted = 0 AND %s) WHERE t > 0", of, of), &oldest_ms))
		return false;
	if (oldest_ms > 0)
		olap_place.again_from = Min(olap_place.again_from,
									(oldest_ms - (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY * INT64CONST(1000)) * 1000);
	place = 0;
	return true;
}

/* read_ids reads the answer, one id a line. */
static int
read_ids(char *answer, int64 *ids)
{
	int			n = 0;

	for (char *line = strtok(answer, "\n"); line != NULL && n < PAGE_ORDERS; line = strtok(NULL, "\n"))
		ids[n++] = strtoll(line, NULL, 10);
	return n;
}

/* write_orders writes a page of orders as they are now, as far as they still are. False: ClickHouse failed. */
static bool
write_orders(int n, const int64 *ids)
{
	for (int done = 0; done < n;)
	{
		OlapBatch	batch;
		SsSession	session;

		olap_enter(&session, "storesync: orders of an earlier life");
		olap_batch_start(&batch);
		done += olap_read_orders(&batch, n - done, ids + done);
		olap_leave(&session, &batch);
		if (!olap_send(&batch))
			return false;
	}
	return true;
}

/* mark_rest marks what is left as deleted: the key alone, with a version of this life. */
static bool
mark_rest(void)
{
	SsSession	session;
	OlapBatch	version = {0};

	olap_enter(&session, "storesync: what an earlier life left");
	version.version = olap_version();
	olap_leave(&session, &version);
	for (int i = 0; i < (int) lengthof(marked); i++)
	{
		char	   *statement = psprintf("INSERT INTO %s (%s, deleted, version) SELECT %s, 1, " INT64_FORMAT
										 " FROM %s GROUP BY %s HAVING %s",
										 marked[i].name, marked[i].key, marked[i].key, version.version,
										 marked[i].name, marked[i].key, foreign("max(version)"));

		if (olap_ask(statement, MARK_MS) == NULL)
			return false;
	}
	return true;
}

bool
olap_settle_step(bool *done)
{
	int64		ids[PAGE_ORDERS];
	char	   *of = foreign("max(version)");
	char	   *answer;
	int			n;

	*done = false;
	answer = olap_ask(psprintf("SELECT DISTINCT order_id FROM (SELECT order_id FROM sales_order WHERE order_id > " INT64_FORMAT
							   " GROUP BY order_id HAVING %s UNION ALL SELECT order_id FROM sales_order_line WHERE order_id > " INT64_FORMAT
							   " GROUP BY order_id, line_id HAVING %s) ORDER BY order_id LIMIT %d", place, of, place, of, PAGE_ORDERS),
					  QUERY_MS);
	if (answer == NULL)
		return false;
	n = read_ids(answer, ids);
	if (n > 0)
	{
		if (!write_orders(n, ids))
			return false;
		place = ids[n - 1];
		return true;
	}
	if (!mark_rest())
		return false;
	olap_place.cut = -1;
	*done = true;
	return true;
}
