/*
 * share.c
 *		Calls by platform and day, counted in memory and added to the table
 *		call_day every ten seconds: a row updated with every call would rot
 *		under a held snapshot. What a crash takes is ten seconds of counting;
 *		call_log has each call.
 */
#include "share.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "set.h"

#define STORE_EVERY_US	(10 * USECS_PER_SEC)
/* Platforms times days that ten seconds can touch; beyond that it is stored at once. */
#define SHARES			16
/* Marketplaces of this region count days by their own clock. */
#define DAY_ZONE_US		(8 * USECS_PER_HOUR)

typedef struct Share
{
	const char *platform;		/* constant text of the codec */
	int64		day;			/* since 2000-01-01 */
	int64		calls;
	int64		ok;
} Share;

static Share shares[SHARES];
static int	n_shares = 0;
static TimestampTz stored_at = 0;

void
share_count(const char *platform, TimestampTz at, bool ok)
{
	int64		day = (at + DAY_ZONE_US) / USECS_PER_DAY;
	int			i = 0;

	while (i < n_shares && (shares[i].platform != platform || shares[i].day != day))
		i++;
	if (i == SHARES)
		return;
	if (i == n_shares)
		shares[n_shares++] = (Share) {platform, day, 0, 0};
	shares[i].calls++;
	shares[i].ok += ok;
}

TimestampTz
share_due(void)
{
	return n_shares == 0 ? DT_NOEND : n_shares == SHARES ? 0 : stored_at + STORE_EVERY_US;
}

void
share_store(void)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {TEXTOID, INT4OID, INT8OID, INT8OID};
	SsSet	   *rows = set_create_in(CurrentMemoryContext, lengthof(types), types);

	for (int i = 0; i < n_shares; i++)
	{
		Datum		values[4];

		values[0] = CStringGetTextDatum(shares[i].platform);
		values[1] = Int32GetDatum((int32) shares[i].day);
		values[2] = Int64GetDatum(shares[i].calls);
		values[3] = Int64GetDatum(shares[i].ok);
		set_add(rows, values, NULL);
	}
	set_execute(&plan,
				"INSERT INTO storesync.call_day AS d (platform, day, calls, ok) "
				"SELECT x.platform, date '2000-01-01' + x.day, x.calls, x.ok "
				"FROM unnest($1, $2, $3, $4) AS x (platform, day, calls, ok) "
				"ON CONFLICT (platform, day) DO UPDATE SET calls = d.calls + excluded.calls, ok = d.ok + excluded.ok",
				SPI_OK_INSERT, rows);
	n_shares = 0;
	stored_at = GetCurrentTimestamp();
}
