/*
 * consumer.c
 *		How far readers of the outbox have durably come.
 *
 * In C for its plan's sake: a reader that stores its cursor with each batch
 * would have an SQL function parsed and planned each time.
 */
#include "storesync.h"

#include "catalog/pg_type.h"

#include "outbox.h"

PG_FUNCTION_INFO_V1(consumer_move);

/* consumer_move(name text, seen pg_snapshot) returns boolean: never back, within a life of the data. */
Datum
consumer_move(PG_FUNCTION_ARGS)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {TEXTOID, PG_SNAPSHOTOID, INT4OID};
	Datum		values[] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1), (Datum) 0};
	SsSession	session;
	bool		moved;

	ss_enter_direct(&session, "storesync.consumer_move()", true);
	ss_plan_by_index();
	values[2] = Int32GetDatum(incarnation_current());
	ss_execute(&plan,
			   "UPDATE storesync.consumer c "
			   "SET incarnation = $3, snapshot = $2, moved_at = clock_timestamp() "
			   "WHERE c.name = $1 AND (c.incarnation IS DISTINCT FROM $3 OR ("
			   "pg_snapshot_xmin($2) >= pg_snapshot_xmin(c.snapshot) AND pg_snapshot_xmax($2) >= pg_snapshot_xmax(c.snapshot)))",
			   SPI_OK_UPDATE, 3, types, values, NULL, 0);
	moved = SPI_processed > 0;
	ss_leave(&session);
	PG_RETURN_BOOL(moved);
}
