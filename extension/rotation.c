/*
 * rotation.c
 *		What decides whether a partition may go (sql/53_rotation.sql): how old
 *		the oldest snapshot is, and how long logs, orders and keys are kept.
 */
#include "storesync.h"

#include "access/table.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "storage/procarray.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/xid8.h"

PG_FUNCTION_INFO_V1(oldest_xid);
PG_FUNCTION_INFO_V1(log_retention);
PG_FUNCTION_INFO_V1(order_retention);
PG_FUNCTION_INFO_V1(key_horizon);

/*
 * oldest_xid returns the transaction id before which everything is over for
 * everybody: running and prepared transactions, held snapshots, replicas with
 * feedback and replication slots. It is what VACUUM goes by for a table of
 * this database.
 */
Datum
oldest_xid(PG_FUNCTION_ARGS)
{
	Relation	rel = table_open(get_relname_relid("consumer", get_namespace_oid("storesync", false)),
								 AccessShareLock);
	TransactionId oldest = GetOldestNonRemovableTransactionId(rel);
	FullTransactionId next = ReadNextFullTransactionId();

	table_close(rel, AccessShareLock);
	/* at most 2^31 behind: the difference of the low halves is exact */
	PG_RETURN_FULLTRANSACTIONID(FullTransactionIdFromU64(
		U64FromFullTransactionId(next) - (uint32) (XidFromFullTransactionId(next) - oldest)));
}

static Interval *
interval_of(int seconds)
{
	Interval   *interval = palloc0(sizeof(Interval));

	interval->time = (TimeOffset) seconds * USECS_PER_SEC;
	return interval;
}

/* log_retention returns storesync.log_retention, whose text a session without the library could not read. */
Datum
log_retention(PG_FUNCTION_ARGS)
{
	PG_RETURN_INTERVAL_P(interval_of(ss_log_retention));
}

/* order_retention returns storesync.order_retention likewise. */
Datum
order_retention(PG_FUNCTION_ARGS)
{
	PG_RETURN_INTERVAL_P(interval_of(ss_order_retention));
}

/* key_horizon returns storesync.key_horizon likewise. */
Datum
key_horizon(PG_FUNCTION_ARGS)
{
	PG_RETURN_INTERVAL_P(interval_of(ss_key_horizon));
}
