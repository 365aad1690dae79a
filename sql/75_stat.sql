-- Counters of the workers, from shared memory. Without shared_preload_libraries the view is empty.

CREATE FUNCTION storesync.dispatcher_stats(
	OUT database text,
	OUT pid int,
	OUT state text,
	OUT heartbeat timestamptz,
	OUT failures bigint,
	OUT next_start timestamptz,
	OUT calls_ok bigint,
	OUT calls_failed bigint,
	OUT calls_throttled bigint,
	OUT listings_acked bigint,
	OUT orders_ingested bigint,
	OUT orders_duplicate bigint,
	OUT tasks_dead bigint,
	OUT cycles bigint,
	OUT statements bigint,
	OUT queued bigint,
	OUT in_flight bigint,
	OUT backing_off bigint,
	OUT stores bigint
) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'dispatcher_stats' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION storesync.dispatcher_stats() IS
'What shared memory says of each dispatcher: see the view stat_dispatcher. No rows when storesync is not preloaded.';

CREATE FUNCTION storesync.launcher_pid() RETURNS int
	AS 'MODULE_PATHNAME', 'launcher_pid' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION storesync.launcher_pid() IS
'Process id of the launcher; NULL while none runs: on a standby, or when storesync is not preloaded. Example: SELECT storesync.launcher_pid() IS NOT NULL;';

CREATE VIEW storesync.stat_dispatcher AS
SELECT s.database, s.pid, s.state,
	pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) s.heartbeat AS heartbeat_age,
	s.failures, s.next_start,
	s.calls_ok, s.calls_failed, s.calls_throttled, s.listings_acked,
	s.orders_ingested, s.orders_duplicate, s.tasks_dead, s.cycles, s.statements,
	s.queued, s.in_flight, s.backing_off, s.stores
FROM storesync.dispatcher_stats() s;
COMMENT ON VIEW storesync.stat_dispatcher IS
'One row per database of this server that is to have a dispatcher or had one since the server started. state: starting, running, backing off (ended by itself, starts again at next_start), no worker slot (raise max_worker_processes), held (DROP DATABASE or the like), stopping, off. heartbeat_age: since it last woke, which it does every 10 seconds at least. failures: ends in a row. calls_* count answers (ok and partial; throttled; all others), listings_acked writes acknowledged, orders_* documents fetched and those that changed nothing, cycles rounds with work, statements transactions. queued, in_flight, backing_off: listings now; stores: loaded. Counts start at 0 with the server. Example: SELECT database, state, queued FROM storesync.stat_dispatcher;';

CREATE VIEW storesync.stat_store AS
SELECT s.store_id, s.platform, s.shop_id, s.name, s.mode, s.paused,
	c.fetched_through, pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) c.fetched_at AS fetch_age,
	(SELECT count(*) FROM storesync.listing l WHERE l.store_id OPERATOR(pg_catalog.=) s.store_id) AS listings,
	(SELECT count(*) FROM storesync.compensation x
		WHERE x.store_id OPERATOR(pg_catalog.=) s.store_id AND x.settled_at IS NULL) AS open_compensation
FROM storesync.store s
LEFT JOIN storesync.order_cursor c ON c.store_id OPERATOR(pg_catalog.=) s.store_id;
COMMENT ON VIEW storesync.stat_store IS
'One row per store: its switches, the moment up to which all its orders are committed (fetched_through; NULL: never fetched), how long ago that was found (fetch_age), how many listings it has and how many pieces of work given up are open. Example: SELECT name, mode, fetch_age FROM storesync.stat_store ORDER BY fetch_age DESC;';
