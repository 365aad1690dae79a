-- Rotation: rows that nobody needs any more go by dropping their partitions (docs/partitions.md):
-- storesync.partitioned says which tables, and how long they are kept. The dispatcher does it
-- (bgworker/rotation.c); maintain() and drop_consumed() do it where none runs.

CREATE FUNCTION storesync.oldest_xid() RETURNS xid8
	AS 'MODULE_PATHNAME', 'oldest_xid' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.oldest_xid() IS
'Transactions with a lower id have ended, and every snapshot that anybody holds in this database, on a replica with feedback too, knows it. Example: SELECT storesync.oldest_xid();';

CREATE FUNCTION storesync.log_retention() RETURNS interval
	AS 'MODULE_PATHNAME', 'log_retention' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION storesync.log_retention() IS
'The setting storesync.log_retention as an interval. Example: SELECT storesync.log_retention();';

CREATE FUNCTION storesync.key_horizon() RETURNS interval
	AS 'MODULE_PATHNAME', 'key_horizon' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION storesync.key_horizon() IS
'The setting storesync.key_horizon as an interval. Example: SELECT storesync.key_horizon();';

CREATE FUNCTION storesync.partition_days(parent name) RETURNS TABLE(partition name, from_at timestamptz, to_at timestamptz)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO, YMD'
AS $$
	SELECT c.relname,
		CASE WHEN $1 = 'idempotency' THEN storesync.key_time(x.bound[1]::storesync.idempotency_key) ELSE x.bound[1]::timestamptz END,
		CASE WHEN $1 = 'idempotency' THEN storesync.key_time(x.bound[2]::storesync.idempotency_key) ELSE x.bound[2]::timestamptz END
	FROM pg_inherits i
	JOIN pg_class c ON c.oid = i.inhrelid
	CROSS JOIN LATERAL regexp_match(pg_get_expr(c.relpartbound, c.oid), '^FOR VALUES FROM \(''(.*)''\) TO \(''(.*)''\)$') AS x(bound)
	WHERE i.inhparent = format('storesync.%I', $1)::regclass AND NOT i.inhdetachpending AND x.bound IS NOT NULL
	ORDER BY 2
$$;
COMMENT ON FUNCTION storesync.partition_days(name) IS
'Partitions of a table, with their bounds (those of idempotency as the times of the keys), but those being detached. Example: SELECT * FROM storesync.partition_days(''outbox'');';

-- Nobody writes into a day that ended an hour ago: a row's time is taken as it is written.
CREATE FUNCTION storesync.rotation(at timestamptz DEFAULT clock_timestamp())
	RETURNS TABLE(parent name, partition name, to_at timestamptz, waits_for text)
	LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	WITH day AS MATERIALIZED (SELECT * FROM storesync.partition_days('outbox')),
	life AS MATERIALIZED (SELECT storesync.current_incarnation() AS incarnation, storesync.oldest_xid() AS oldest)
	SELECT 'outbox'::name, p.partition, p.to_at, CASE
		WHEN behind.name IS NOT NULL THEN format('consumer %s', behind.name)
		WHEN last.xid >= life.oldest THEN 'a transaction that is still open' END
	FROM day p
	CROSS JOIN life
	LEFT JOIN LATERAL (
		SELECT o.xid FROM storesync.outbox o
		WHERE o.at >= p.from_at AND o.at < p.to_at AND o.incarnation = life.incarnation
		ORDER BY o.xid DESC LIMIT 1) last ON true
	LEFT JOIN LATERAL (
		SELECT min(c.name) AS name FROM storesync.consumer c
		WHERE coalesce(c.moved_at > $1 - c.patience, true)
			AND (c.incarnation IS DISTINCT FROM life.incarnation OR last.xid >= pg_snapshot_xmin(c.snapshot))) behind ON true
	WHERE p.to_at <= $1 - '1 hour'::interval
	UNION ALL
	-- an event outlives each row of its task: without it the task would be taken for an open one
	SELECT 'task_event'::name, p.partition, p.to_at,
		CASE WHEN p.to_at > x.oldest - '1 day'::interval THEN 'the outbox of its tasks' END
	FROM storesync.partition_days('task_event') p
	CROSS JOIN (SELECT min(d.from_at) AS oldest FROM day d) x
	WHERE p.to_at <= $1 - storesync.log_retention()
	UNION ALL
	SELECT t.parent, p.partition, p.to_at, NULL
	FROM storesync.partitioned t
	CROSS JOIN LATERAL storesync.partition_days(t.parent) p
	WHERE t.retention = 'log' AND t.parent <> 'task_event' AND p.to_at <= $1 - storesync.log_retention()
	UNION ALL
	-- each key in it is refused since an hour, by the clock: whatever `at` says, an answer outlives its key
	SELECT 'idempotency'::name, p.partition, p.to_at, NULL
	FROM storesync.partition_days('idempotency') p
	WHERE p.to_at <= least($1, clock_timestamp()) - storesync.key_horizon() - '1 hour'::interval
	UNION ALL
	SELECT 'return_notice'::name, p.partition, p.to_at, CASE WHEN EXISTS (
		SELECT FROM storesync.return_notice n
		WHERE n.at >= p.from_at AND n.at < p.to_at AND n.is_open AND NOT EXISTS (
			SELECT FROM storesync.return_notice m
			WHERE m.store_id = n.store_id AND m.return_id = n.return_id AND m.order_sn = n.order_sn
				AND m.line_id = n.line_id AND m.at > n.at)) THEN 'a return that is still open' END
	FROM storesync.partition_days('return_notice') p
	WHERE p.to_at <= $1 - storesync.order_retention()
	UNION ALL
	SELECT m.parent, m.partition, m.to_at, m.waits_for FROM storesync.old_months($1) m
$$;
COMMENT ON FUNCTION storesync.rotation(timestamptz) IS
'Partitions whose time is over at `at` (storesync.partitioned says how long each table is kept), and what each of them waits for before it can go: the consumer of the outbox that is not past it (of several the first by name; one that consumer_drop() may forget), an open transaction or snapshot as old as it, a return that is still open, orders and opening balances that retire() has to see to; NULL: nothing. Example: SELECT * FROM storesync.rotation();';

CREATE FUNCTION storesync.carry_tasks(before timestamptz, at timestamptz DEFAULT clock_timestamp()) RETURNS bigint
	LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
	WITH task AS MATERIALIZED (
		SELECT * FROM (
			SELECT DISTINCT ON (t.task_id) t.* FROM storesync.task_open t ORDER BY t.task_id, t.incarnation DESC, t.at DESC) newest
		WHERE newest.at < $1 OR newest.incarnation <> storesync.current_incarnation()),
	row AS (
		INSERT INTO storesync.outbox (id, at, subject, kind, payload)
		SELECT t.task_id, $2, t.task_id, 'task', jsonb_build_object('store', t.store_id, 'kind', t.kind,
			'payload', t.payload, 'since', t.since)
			|| CASE WHEN t.not_before IS NULL THEN '{}' ELSE jsonb_build_object('not_before', t.not_before) END
		FROM task t RETURNING 1),
	event AS (
		INSERT INTO storesync.task_event (task_id, at, state, class, attempts, next_at, detail, try)
		SELECT t.task_id, $2, t.state, t.last_class, t.attempts, t.next_at, t.detail, t.try
		FROM task t WHERE t.state <> 'queued')
	SELECT count(*) FROM row
$$;
COMMENT ON FUNCTION storesync.carry_tasks(timestamptz, timestamptz) IS
'Writes open tasks anew, with the same ids and their last event, at `at`: those whose newest row is older than `before`, and those of another life of the data. Returns how many. Called before partitions of the outbox go.';

CREATE FUNCTION storesync.left_detached() RETURNS TABLE(parent name, partition name)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT p.parent, c.relname
	FROM storesync.partitioned p
	JOIN pg_class c ON c.relname ~ concat('^', p.parent,
		CASE p.step WHEN 'day' THEN '_\d{4}_\d\d_\d\d$' WHEN 'week' THEN '_\d{4}w\d\d$' ELSE '_\d{4}_\d\d$' END)
	WHERE p.retention IS NOT NULL AND c.relnamespace = 'storesync'::regnamespace AND c.relkind = 'r' AND NOT c.relispartition
	ORDER BY 1, 2
$$;
COMMENT ON FUNCTION storesync.left_detached() IS
'Former partitions of tables that are not kept for good, detached and not yet dropped, oldest first.';

-- Nobody reaches the table any more but by its name, so what is found now is final.
CREATE FUNCTION storesync.detached_is_needed(partition name) RETURNS boolean
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	is_needed boolean;
BEGIN
	EXECUTE format(CASE
		WHEN $1 LIKE 'outbox%' THEN 'SELECT EXISTS (SELECT FROM storesync.%1$I o
			JOIN storesync.consumer c ON c.incarnation = o.incarnation AND o.xid >= pg_snapshot_xmin(c.snapshot)
				AND coalesce(c.moved_at > clock_timestamp() - c.patience, true)
			WHERE o.incarnation = storesync.current_incarnation())
			OR EXISTS (SELECT FROM storesync.%1$I o
			WHERE o.kind = ''task''
				AND NOT EXISTS (SELECT FROM storesync.outbox n WHERE n.kind = ''task'' AND n.subject = o.subject)
				AND NOT EXISTS (SELECT FROM storesync.task_event e
					WHERE e.task_id = o.subject AND storesync.task_is_closed(e.state)))'
		WHEN $1 LIKE 'sales\_order\_line%' THEN 'SELECT EXISTS (SELECT FROM storesync.%1$I)'
		WHEN $1 LIKE 'ledger%' THEN 'WITH RECURSIVE place AS (
			(SELECT g.sku_id, g.location_id FROM storesync.%1$I g ORDER BY g.sku_id, g.location_id LIMIT 1)
			UNION ALL
			SELECT n.sku_id, n.location_id FROM place p CROSS JOIN LATERAL (
				SELECT g.sku_id, g.location_id FROM storesync.%1$I g
				WHERE (g.sku_id, g.location_id) > (p.sku_id, p.location_id)
				ORDER BY g.sku_id, g.location_id LIMIT 1) n)
			SELECT EXISTS (SELECT FROM place p
				CROSS JOIN LATERAL (SELECT g.version FROM storesync.%1$I g
					WHERE g.sku_id = p.sku_id AND g.location_id = p.location_id ORDER BY g.version DESC LIMIT 1) last
				JOIN storesync.stock t ON t.sku_id = p.sku_id AND t.location_id = p.location_id
				LEFT JOIN storesync.ledger_opening o ON o.sku_id = p.sku_id AND o.location_id = p.location_id
				WHERE last.version > coalesce(o.version, 0) OR t.version <= o.version)'
		ELSE 'SELECT false' END, $1) INTO is_needed;
	RETURN is_needed;
END
$$;
COMMENT ON FUNCTION storesync.detached_is_needed(name) IS
'Whether a former partition holds what is still needed: a row of the outbox that a consumer has not seen, a task that is open and was not carried forward, an order line, a row of the ledger that no opening balance covers.';

CREATE FUNCTION storesync.drop_detached(partition name) RETURNS boolean
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	is_daily boolean := $1 ~ '_\d{4}_\d\d_\d\d$';
	first_day date;
	next_day date;
BEGIN
	EXECUTE format('LOCK TABLE storesync.%I IN ACCESS EXCLUSIVE MODE', $1);
	IF NOT storesync.detached_is_needed($1) THEN
		EXECUTE format('DROP TABLE storesync.%I', $1);
		RETURN true;
	END IF;
	first_day := to_date(right($1, CASE WHEN is_daily THEN 10 ELSE 7 END), 'YYYY_MM_DD');
	next_day := first_day + CASE WHEN is_daily THEN '1 day'::interval ELSE '1 month'::interval END;
	-- retire() has to see to it once more
	UPDATE storesync.retired x SET through = first_day::timestamp AT TIME ZONE 'UTC'
	WHERE x.parent = regexp_replace($1, '_\d{4}_[0-9_]+$', '') AND x.through > first_day::timestamp AT TIME ZONE 'UTC';
	EXECUTE format('ALTER TABLE storesync.%I ATTACH PARTITION storesync.%I FOR VALUES FROM (%L) TO (%L)',
		regexp_replace($1, '_\d{4}_[0-9_]+$', ''), $1, first_day || ' 00:00:00+00', next_day || ' 00:00:00+00');
	RETURN false;
END
$$;
COMMENT ON FUNCTION storesync.drop_detached(name) IS
'Drops a former partition, or attaches it again when it holds what is still needed (detached_is_needed), for retire() to see to. False in that case.';

CREATE FUNCTION storesync.drop_consumed(at timestamptz DEFAULT clock_timestamp()) RETURNS int
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '100ms'
AS $$
DECLARE
	gone record;
	dropped int := 0;
	held name[] := '{}';
BEGIN
	IF NOT EXISTS (SELECT FROM storesync.partition_days('outbox') d
		JOIN storesync.partition_days('task_event') e USING (from_at, to_at) WHERE $1 >= from_at AND $1 < to_at) THEN
		PERFORM storesync.ensure_partitions(greatest($1 - clock_timestamp(), '0'));
	END IF;
	PERFORM storesync.carry_tasks(max(r.to_at), $1)
	FROM storesync.rotation($1) r WHERE r.waits_for IS NULL AND r.parent = 'outbox';
	-- oldest first, and none before an older one of its table: answers go in the order of their keys
	FOR gone IN SELECT r.parent, r.partition FROM storesync.rotation($1) r WHERE r.waits_for IS NULL ORDER BY r.to_at LOOP
		CONTINUE WHEN gone.parent = ANY (held);
		BEGIN
			EXECUTE format('ALTER TABLE storesync.%I DETACH PARTITION storesync.%I', gone.parent, gone.partition);
			IF storesync.drop_detached(gone.partition) THEN
				dropped := dropped + 1;
			END IF;
		EXCEPTION WHEN lock_not_available THEN
			-- somebody reads it: next time
			held := held || gone.parent;
		END;
	END LOOP;
	RETURN dropped;
END
$$;
COMMENT ON FUNCTION storesync.drop_consumed(timestamptz) IS
'Drops what rotation() says can go, open tasks carried forward before; returns how many partitions. For databases without a dispatcher, which does the same without taking a lock that readers of the outbox wait for: this one waits at most 100 ms for each, and leaves what somebody holds to the next call. at: as if it were then; answers of keys go by the clock alone. Errors: 25006 on a standby, 55P03 when somebody is making partitions. Example: SELECT storesync.drop_consumed();';
