/*
 * olap_state.c
 *		How far ClickHouse has what is here: the row of storesync.olap_state,
 *		beside it the consumer `olap` of the outbox, and versions.
 *
 * The worker reads no row of the outbox: history, ledger and call log tell
 * more. Its snapshot stands in storesync.consumer for those who look there how
 * far each reader has come, and nobody waits for it for longer than PATIENCE.
 *
 * A version is the number of the life, and below it the id of the transaction
 * that read the row: of two readings the later one has the higher version,
 * whatever clocks say.
 */
#include "olap_work.h"

#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"

#include "outbox.h"

#define PATIENCE	"6 hours"

OlapPlace	olap_place;

/* again_from as the row has it, as far as we know. */
static TimestampTz known_again = DT_NOEND;

static const char *const fills[] = {
	[FILL_NONE] = "", [FILL_ORDER] = "order", [FILL_HISTORY] = "history", [FILL_LEDGER] = "ledger", [FILL_CALL] = "call"
};

static Datum
value(int column, bool *is_null)
{
	return SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, is_null);
}

bool
olap_state_load(void)
{
	static SPIPlanPtr plan = NULL;
	bool		is_null;
	char	   *phase;

	ss_execute(&plan,
			   "SELECT incarnation, life, sent, coalesce(cut, -1), through, coalesce(fill, ''), coalesce(fill_from, 'infinity'), "
			   "coalesce(fill_partition, ''), fill_place, coalesce(again_from, 'infinity') FROM storesync.olap_state",
			   SPI_OK_SELECT, 0, NULL, NULL, NULL, 1);
	if (SPI_processed == 0)
		return false;
	olap_place.incarnation = DatumGetInt32(value(1, &is_null));
	olap_place.life = DatumGetInt32(value(2, &is_null));
	olap_place.sent = DatumGetInt64(value(3, &is_null));
	olap_place.cut = DatumGetInt64(value(4, &is_null));
	olap_place.through = DatumGetTimestampTz(value(5, &is_null));
	phase = TextDatumGetCString(value(6, &is_null));
	for (int i = 0; i < (int) lengthof(fills); i++)
		if (strcmp(fills[i], phase) == 0)
			olap_place.fill = i;
	olap_place.fill_from = DatumGetTimestampTz(value(7, &is_null));
	olap_place.fill_partition = *DatumGetName(value(8, &is_null));
	olap_place.fill_place = DatumGetInt64(value(9, &is_null));
	olap_place.again_from = known_again = DatumGetTimestampTz(value(10, &is_null));
	return true;
}

/* store_consumer moves the cursor in the outbox, or makes it. */
static void
store_consumer(Datum snapshot)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT4OID, PG_SNAPSHOTOID};
	Datum		values[] = {Int32GetDatum(olap_place.incarnation), snapshot};

	ss_execute(&plan,
			   "INSERT INTO storesync.consumer AS c (name, incarnation, snapshot, moved_at, patience) "
			   "VALUES ('olap', $1, $2, clock_timestamp(), '" PATIENCE "') "
			   "ON CONFLICT (name) DO UPDATE SET incarnation = excluded.incarnation, snapshot = excluded.snapshot, "
			   "moved_at = excluded.moved_at, patience = excluded.patience",
			   SPI_OK_INSERT, 2, types, values, NULL, 0);
}

/*
 * What operators ask for meanwhile, a filling since some moment, is in the row
 * and not here: of both the earlier is kept, and taken over.
 */
void
olap_state_store(Datum snapshot)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT4OID, INT4OID, INT8OID, INT8OID, TIMESTAMPTZOID, TEXTOID, TIMESTAMPTZOID, NAMEOID, INT8OID, TIMESTAMPTZOID,
	TIMESTAMPTZOID};
	Datum		values[] = {
		Int32GetDatum(olap_place.incarnation), Int32GetDatum(olap_place.life), Int64GetDatum(olap_place.sent),
		Int64GetDatum(olap_place.cut), TimestampTzGetDatum(olap_place.through), CStringGetTextDatum(fills[olap_place.fill]),
		TimestampTzGetDatum(olap_place.fill_from), NameGetDatum(&olap_place.fill_partition), Int64GetDatum(olap_place.fill_place),
		TimestampTzGetDatum(olap_place.again_from), TimestampTzGetDatum(known_again)
	};
	bool		is_null;

	ss_execute(&plan,
			   "INSERT INTO storesync.olap_state AS x (incarnation, life, sent, cut, through, fill, fill_from, fill_partition, fill_place, again_from) "
			   "VALUES ($1, $2, $3, nullif($4, -1), $5, nullif($6, ''), CASE WHEN $6 <> '' THEN $7 END, nullif($8, ''), $9, nullif($10, 'infinity')) "
			   "ON CONFLICT (one) DO UPDATE SET incarnation = excluded.incarnation, life = excluded.life, sent = excluded.sent, "
			   "cut = excluded.cut, through = excluded.through, fill = excluded.fill, fill_from = excluded.fill_from, "
			   "fill_partition = excluded.fill_partition, fill_place = excluded.fill_place, "
			   "again_from = CASE WHEN coalesce(x.again_from, 'infinity') = $11 THEN excluded.again_from "
			   "ELSE least(x.again_from, excluded.again_from) END, moved_at = clock_timestamp() "
			   "RETURNING coalesce(x.again_from, 'infinity')",
			   SPI_OK_INSERT_RETURNING, 11, types, values, NULL, 0);
	olap_place.again_from = known_again = DatumGetTimestampTz(value(1, &is_null));
	if (snapshot != (Datum) 0)
		store_consumer(snapshot);
}

void
olap_state_asked(void)
{
	static SPIPlanPtr plan = NULL;
	bool		is_null;
	TimestampTz asked;

	ss_execute(&plan, "SELECT coalesce(x.again_from, 'infinity') FROM storesync.olap_state x", SPI_OK_SELECT, 0, NULL, NULL, NULL, 1);
	asked = SPI_processed == 0 ? DT_NOEND : DatumGetTimestampTz(value(1, &is_null));
	if (asked == known_again)
		return;
	known_again = asked;
	olap_place.again_from = Min(olap_place.again_from, asked);
}

/*
 * olap_horizon returns a moment: rows of history, ledger and call log that a
 * snapshot taken after this call does not see were recorded then or later.
 *
 * Rows get their time from the clock when a call begins, so a transaction that
 * has written nothing matters since its statement began; of one that waits
 * for longer than an hour before it writes a filling alone finds the rows.
 * Calls are booked a moment after they end. Only a superuser sees what others
 * do, so this statement, which names nothing of ours, runs as one.
 */
TimestampTz
olap_horizon(void)
{
	static SPIPlanPtr plan = NULL;
	Oid			user;
	int			security;
	bool		is_null;

	GetUserIdAndSecContext(&user, &security);
	SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID, security);
	ss_execute(&plan,
			   "SELECT least(clock_timestamp() - '1 minute'::interval, "
			   "(SELECT min(CASE WHEN a.backend_xid IS NOT NULL THEN a.xact_start "
			   "ELSE greatest(a.query_start, clock_timestamp() - '1 hour'::interval) END) "
			   "FROM pg_stat_activity a WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() "
			   "AND (a.backend_xid IS NOT NULL OR (a.state = 'active' AND a.backend_type NOT IN ('walsender', 'autovacuum worker')))), "
			   "(SELECT min(p.prepared) - '1 hour'::interval FROM pg_prepared_xacts p WHERE p.database = current_database()))",
			   SPI_OK_SELECT, 0, NULL, NULL, NULL, 1);
	SetUserIdAndSecContext(user, security);
	return DatumGetTimestampTz(value(1, &is_null));
}

Datum
olap_snapshot(void)
{
	static SPIPlanPtr plan = NULL;
	bool		is_null;
	Datum		snapshot;

	ss_execute(&plan, "SELECT pg_current_snapshot()", SPI_OK_SELECT, 0, NULL, NULL, NULL, 1);
	snapshot = value(1, &is_null);
	MemoryContextSwitchTo(olap_round);
	return datumCopy(snapshot, false, -1);
}

int64
olap_version(void)
{
	uint64		xid = U64FromFullTransactionId(GetTopFullTransactionId());

	return ((int64) olap_place.life << OLAP_LIFE_SHIFT) | (int64) (xid & ((UINT64CONST(1) << OLAP_LIFE_SHIFT) - 1));
}
