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

CREATE FUNCTION storesync.store_stats(
	OUT store_id int,
	OUT cause text,
	OUT waits text,
	OUT since timestamptz,
	OUT until timestamptz,
	OUT lower bigint,
	OUT "raise" bigint,
	OUT fetching bigint,
	OUT in_flight bigint,
	OUT poll_ms bigint,
	OUT calls_ok bigint,
	OUT calls_failed bigint,
	OUT calls_throttled bigint,
	OUT listings_acked bigint
) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'store_stats' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION storesync.store_stats() IS
'What shared memory says of each store of this database: see the view stat_store. No rows when storesync is not preloaded.';

CREATE FUNCTION storesync.store_latency(
	OUT store_id int,
	OUT phase text,
	OUT within_ms bigint,
	OUT n bigint
) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'store_latency' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION storesync.store_latency() IS
'Histograms of durations by store and phase since the server started: n of them lasted at most within_ms milliseconds (NULL: the last, boundless bucket). Phases: see the view stat_latency. Example: SELECT * FROM storesync.store_latency() WHERE phase = ''call'';';

CREATE VIEW storesync.stat_latency AS
SELECT x.store_id, x.phase, max(x.total) AS n,
	min(x.within_ms) FILTER (WHERE x.n OPERATOR(pg_catalog.>=) (0.5 OPERATOR(pg_catalog.*) x.total)) AS p50_ms,
	min(x.within_ms) FILTER (WHERE x.n OPERATOR(pg_catalog.>=) (0.95 OPERATOR(pg_catalog.*) x.total)) AS p95_ms,
	min(x.within_ms) FILTER (WHERE x.n OPERATOR(pg_catalog.>=) (0.99 OPERATOR(pg_catalog.*) x.total)) AS p99_ms
FROM (SELECT l.store_id, l.phase, l.within_ms, l.n, max(l.n) OVER (PARTITION BY l.store_id, l.phase) AS total
	FROM storesync.store_latency() l) x
GROUP BY x.store_id, x.phase;
COMMENT ON VIEW storesync.stat_latency IS
'How long calls take, by store and phase, since the server started: n durations, of which half, 95 and 99 in a hundred lasted at most p50_ms, p95_ms and p99_ms milliseconds, rounded up to a power of two (NULL: more than 262 s). Phases: lookup of the name, connect, tls (none of these on a kept connection), answer (from there to the first byte), call (the whole of it), converged (from the commit of a change to its acknowledgement by the shop). Example: SELECT * FROM storesync.stat_latency WHERE phase = ''converged'';';

CREATE VIEW storesync.stat_application AS
SELECT d.platform, d.day, d.calls, d.ok,
	pg_catalog.round(d.ok::numeric OPERATOR(pg_catalog./) NULLIF(d.calls, 0)::numeric, 4) AS share
FROM storesync.call_day d;
COMMENT ON VIEW storesync.stat_application IS
'Per platform and day at UTC+8: calls made, those that went well and their share; Shopee wants 0.9. Example: SELECT * FROM storesync.stat_application ORDER BY day DESC LIMIT 7;';

CREATE VIEW storesync.stat_store AS
SELECT s.store_id, s.platform, s.shop_id, s.name, s.mode, s.paused,
	c.fetched_through, pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) c.fetched_at AS fetch_age,
	(SELECT count(*) FROM storesync.listing l WHERE l.store_id OPERATOR(pg_catalog.=) s.store_id) AS listings,
	(SELECT count(*) FROM storesync.compensation x
		WHERE x.store_id OPERATOR(pg_catalog.=) s.store_id AND x.settled_at IS NULL) AS open_compensation,
	t.waits, t.since AS waits_since, t.until AS waits_until,
	t.lower, t."raise", t.fetching, t.in_flight,
	t.calls_ok, t.calls_failed, t.calls_throttled, t.listings_acked,
	b.opened_at AS breaker_since, b.held AS breaker_held,
	pg_catalog.make_interval(secs => NULLIF(t.poll_ms, 0)::double precision OPERATOR(pg_catalog./) 1000) AS polled_every
FROM storesync.store s
LEFT JOIN storesync.order_cursor c ON c.store_id OPERATOR(pg_catalog.=) s.store_id
LEFT JOIN storesync.store_stats() t ON t.store_id OPERATOR(pg_catalog.=) s.store_id
LEFT JOIN storesync.breaker_status b ON b.store_id OPERATOR(pg_catalog.=) s.store_id;
COMMENT ON VIEW storesync.stat_store IS
'One row per store: its switches, the moment up to which all its orders are committed (fetched_through; NULL: never fetched), how long ago that was found (fetch_age), how many listings it has and how many pieces of work given up are open. Then, from shared memory (NULL when not preloaded): why no calls are made to it (waits, with waits_since and waits_until), how many listings are ready to be lowered and raised, how many raises wait for orders (fetching), calls under way, and counts since the server started. breaker_since, breaker_held: since when its mass-change breaker is open and how many changes it holds (NULL: closed). polled_every: from one fetch of its orders to the next as it is now (docs/intake.md; NULL: none is made). Example: SELECT name, mode, waits, fetch_age FROM storesync.stat_store ORDER BY fetch_age DESC;';
