-- Outbox: written by C (extension/outbox.c), read by consumers through transaction snapshots.

CREATE FUNCTION storesync.outbox_wake() RETURNS trigger
	AS 'MODULE_PATHNAME', 'outbox_wake' LANGUAGE C;
COMMENT ON FUNCTION storesync.outbox_wake() IS
'Statement trigger of storesync.outbox: wakes the dispatcher when the transaction commits.';
-- An INSERT trigger with no effect on any table: a restored dump may fire it again.
CREATE TRIGGER wake AFTER INSERT ON storesync.outbox
	FOR EACH STATEMENT EXECUTE FUNCTION storesync.outbox_wake();

CREATE FUNCTION storesync.outbox_add(kind text, subjects bigint[]) RETURNS void
	AS 'MODULE_PATHNAME', 'outbox_add' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION storesync.outbox_add(text, bigint[]) IS
'Appends one outbox row per subject: kind stock, listing, store, platform or order; the rows carry no version. For storesync''s own triggers and functions. Errors: 22023 unknown kind, 22004 null subject.';

CREATE FUNCTION storesync.consumer_register(name text) RETURNS boolean
	LANGUAGE sql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	WITH made AS (
		INSERT INTO storesync.consumer (name, incarnation, snapshot)
		VALUES ($1, storesync.current_incarnation(), pg_current_snapshot())
		ON CONFLICT DO NOTHING RETURNING 1)
	SELECT EXISTS (SELECT FROM made)
$$;
COMMENT ON FUNCTION storesync.consumer_register(text) IS
'Registers a reader of the outbox that starts at this moment: what is committed later is its to read. Returns false when it exists already. Partitions of the outbox stay until every consumer is past them. Error 23514 for a name that is empty or over 200 bytes. Example: SELECT storesync.consumer_register(''cache'');';

CREATE FUNCTION storesync.consumer_move(name text, seen pg_snapshot) RETURNS boolean
	AS 'MODULE_PATHNAME', 'consumer_move' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION storesync.consumer_move(text, pg_snapshot) IS
'Stores how far a reader of the outbox has come: everything visible in `seen` is done. Returns false, and changes nothing, when there is no such reader or it is further already; a cursor of another life of the data is replaced. Error 25006 on a standby. Example: SELECT storesync.consumer_move(''cache'', pg_current_snapshot());';

CREATE FUNCTION storesync.consumer_drop(name text) RETURNS boolean
	LANGUAGE sql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	WITH gone AS (DELETE FROM storesync.consumer c WHERE c.name = $1 RETURNING 1)
	SELECT EXISTS (SELECT FROM gone)
$$;
COMMENT ON FUNCTION storesync.consumer_drop(text) IS
'Forgets a reader of the outbox; partitions no longer wait for it. Returns false when there is none. Example: SELECT storesync.consumer_drop(''cache'');';

-- What a snapshot does not show: transactions that ran then, by their ids, and all later ones. The
-- count stops at 10,000: a view that is looked at every few seconds must stay cheap when a consumer
-- has been away for a week.
CREATE VIEW storesync.stat_outbox AS
SELECT c.name AS consumer, c.incarnation, c.moved_at,
	behind.rows AS lag_rows, behind.oldest AS lag_since, clock_timestamp() - behind.oldest AS lag,
	coalesce(c.moved_at > clock_timestamp() - c.patience, true) AS waited
FROM storesync.consumer c
CROSS JOIN LATERAL (
	SELECT count(*) AS rows, min(r.at) AS oldest
	FROM (
		(SELECT o.at
		FROM pg_snapshot_xip(c.snapshot) AS x (xid) JOIN storesync.outbox o ON o.xid = x.xid
		WHERE o.incarnation = c.incarnation LIMIT 10000)
		UNION ALL
		(SELECT o.at FROM storesync.outbox o
		WHERE o.xid >= pg_snapshot_xmax(c.snapshot) AND o.incarnation = c.incarnation
		ORDER BY o.xid LIMIT 10000)
		LIMIT 10000) r) behind;
COMMENT ON VIEW storesync.stat_outbox IS
'Each consumer of the outbox: rows committed since its durable cursor (counted up to 10,000), since when the oldest of them waits, and for how long. The cursor is written seldom, so a healthy consumer shows a small lag. waited: whether partitions stay for it; false when it has not moved for longer than its patience.';
