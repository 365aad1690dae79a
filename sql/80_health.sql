-- health(): one answer to "is it working, and if not, why not". docs/operations.md says what to do.

CREATE FUNCTION storesync.health_workers() RETURNS TABLE(component text, state text, reason text)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	WITH setting AS (
		SELECT string_to_array(replace(current_setting('shared_preload_libraries'), ' ', ''), ',') @> '{storesync}' AS preloaded,
			pg_is_in_recovery() AS standby,
			storesync.launcher_pid() AS launcher),
	worker AS (
		SELECT d.state, d.heartbeat_age,
			d.heartbeat_age > greatest((SELECT 3 * max(s.poll_interval) FROM storesync.store s WHERE s.mode <> 'off'),
				'1 minute') AS silent
		FROM (SELECT) always
		LEFT JOIN storesync.stat_dispatcher d ON d.database = current_database())
	SELECT 'preload', CASE WHEN preloaded THEN 'ok' ELSE 'down' END,
		CASE WHEN NOT preloaded THEN 'storesync is not in shared_preload_libraries: no limits, no workers' END
	FROM setting
	UNION ALL
	SELECT 'launcher', CASE WHEN standby OR launcher IS NOT NULL THEN 'ok' ELSE 'down' END,
		CASE WHEN standby THEN 'standby: starts at promotion'
			WHEN launcher IS NULL THEN 'no launcher is running' END
	FROM setting
	UNION ALL
	SELECT 'dispatcher',
		CASE WHEN standby THEN 'ok' WHEN worker.state = 'running' THEN CASE WHEN silent THEN 'degraded' ELSE 'ok' END
			WHEN worker.state = 'starting' THEN 'degraded' ELSE 'down' END,
		CASE WHEN standby THEN 'standby: starts at promotion'
			WHEN worker.state IS NULL OR worker.state = 'off' THEN 'this database is not named in storesync.databases'
			WHEN worker.state = 'no worker slot' THEN 'no free worker slot: raise max_worker_processes'
			WHEN worker.state <> 'running' THEN format('the dispatcher is %s', worker.state)
			WHEN silent THEN format('no sign of life for %s', date_trunc('second', heartbeat_age)) END
	FROM setting, worker
$$;
COMMENT ON FUNCTION storesync.health_workers() IS 'The part of health() about processes.';

-- A store can be called when each of these is there.
CREATE FUNCTION storesync.missing_credentials(store int) RETURNS text[]
	LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT coalesce(array_agg(n.name ORDER BY n.place), '{}')
	FROM storesync.store s
	JOIN (VALUES (1, 'shopee', true, 'partner_id'), (2, 'shopee', true, 'partner_key'),
		(3, 'shopee', false, 'access_token'), (4, 'shopee', false, 'refresh_token'),
		(5, 'ruten', false, 'api_key'), (6, 'ruten', false, 'secret_key'), (7, 'ruten', false, 'salt_key')) AS n (place, platform, application, name)
		ON n.platform = s.platform
	WHERE s.store_id = $1
		AND NOT EXISTS (SELECT FROM storesync.credential c
			WHERE NOT n.application AND c.store_id = s.store_id AND c.name = n.name)
		AND NOT EXISTS (SELECT FROM storesync.app_credential a
			WHERE n.application AND a.platform = s.platform AND a.name = n.name)
	HAVING EXISTS (SELECT FROM storesync.store s WHERE s.store_id = $1)
$$;
COMMENT ON FUNCTION storesync.missing_credentials(int) IS
'Names of the credentials that a store or its platform''s application needs and has not; {} when all are there, NULL when there is no such store. Example: SELECT storesync.missing_credentials(1);';

CREATE FUNCTION storesync.health_rates()
	RETURNS TABLE(store_id int, quota_until timestamptz, pace int, slowed_since timestamptz, roomless boolean)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	WITH budget AS (
		SELECT w.store_id, max(w.quota_until) AS quota_until, min(w.pace) AS pace, min(w.slowed_since) AS slowed_since
		FROM storesync.rate_windows(true) w
		WHERE w.scope = 'store'
		GROUP BY w.store_id)
	SELECT b.store_id, b.quota_until, b.pace, b.slowed_since, false
	FROM budget b
	WHERE b.quota_until IS NOT NULL OR b.slowed_since IS NOT NULL
	UNION ALL
	SELECT s.store_id, NULL, NULL, NULL, true
	FROM storesync.store s
	WHERE s.mode <> 'off' AND storesync.rate_room() <= 0
		AND NOT EXISTS (SELECT FROM budget b WHERE b.store_id = s.store_id)
$$;
COMMENT ON FUNCTION storesync.health_rates() IS
'The part of health() about call budgets: stores whose day''s calls are used up, that are slowed after throttles, or that shared memory has no room for.';

CREATE FUNCTION storesync.health_stores() RETURNS TABLE(component text, state text, reason text)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT concat('instance ', p.platform), CASE WHEN x.allowed THEN 'ok' ELSE 'degraded' END,
		CASE WHEN x.allowed THEN NULL
			WHEN storesync.is_copy() THEN 'sending is paused: this data came from another database or out of a backup, confirm_instance() lets it go on'
			ELSE 'sending is paused until confirm_instance()' END
	FROM storesync.platform p CROSS JOIN LATERAL storesync.sending_allowed(p.platform) x(allowed)
	WHERE EXISTS (SELECT FROM storesync.store s WHERE s.platform = p.platform AND s.mode <> 'off')
	UNION ALL
	SELECT concat('store ', s.store_id), 'degraded', concat_ws('; ',
		CASE WHEN s.paused THEN 'paused' END,
		CASE s.mode WHEN 'off' THEN 'mode is off: not even orders are fetched'
			WHEN 'shadow' THEN 'mode is shadow: nothing is sent'
			WHEN 'lower_only' THEN 'mode is lower_only: no quantity is raised' END,
		'no credential ' || nullif(array_to_string(x.missing, ', '), ''),
		t.waits || ' since ' || date_trunc('second', t.since),
		CASE WHEN s.mode <> 'off' AND c.fetched_at < clock_timestamp() - greatest(10 * s.poll_interval, '5 minutes')
			THEN format('orders not fetched since %s', date_trunc('second', c.fetched_at)) END,
		'the day''s calls are used up until ' || date_trunc('second', r.quota_until),
		CASE WHEN r.slowed_since IS NOT NULL
			THEN format('uses %s %% of its limit since a throttle at %s', r.pace, date_trunc('second', r.slowed_since)) END,
		CASE WHEN r.roomless THEN 'no room for its call budget: raise storesync.max_stores' END)
	FROM storesync.store s
	LEFT JOIN storesync.order_cursor c ON c.store_id = s.store_id
	LEFT JOIN storesync.health_rates() r ON r.store_id = s.store_id
	LEFT JOIN storesync.store_stats() t ON t.store_id = s.store_id AND t.cause IN ('credential', 'request', 'host')
	CROSS JOIN LATERAL storesync.missing_credentials(s.store_id) x(missing)
	WHERE t.waits IS NOT NULL OR s.paused OR s.mode <> 'live' OR x.missing <> '{}'
		OR c.fetched_at < clock_timestamp() - greatest(10 * s.poll_interval, '5 minutes')
		OR r.store_id IS NOT NULL
$$;
COMMENT ON FUNCTION storesync.health_stores() IS
'The part of health() about platforms in use and about stores; a store with nothing to say has no row.';

CREATE FUNCTION storesync.health_data() RETURNS TABLE(component text, state text, reason text)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT 'compensation', CASE WHEN x.open = 0 THEN 'ok' ELSE 'degraded' END,
		CASE WHEN x.open > 0 THEN format('%s open, the oldest since %s', x.open, date_trunc('second', x.oldest)) END
	FROM (SELECT count(*) AS open, min(c.at) AS oldest FROM storesync.compensation c WHERE c.settled_at IS NULL) x
	UNION ALL
	SELECT 'partitions', CASE WHEN x.missing = 0 THEN 'ok' ELSE 'degraded' END,
		CASE WHEN x.missing > 0 THEN format('%s of the next 6 days are missing: maintain() makes them', x.missing) END
	-- the dispatcher makes them 7 days ahead, once a day
	FROM storesync.missing_partitions('6 days') x(missing)
	UNION ALL
	SELECT concat('consumer ', o.consumer), CASE WHEN o.lag < '5 minutes' AND NOT o.lost THEN 'ok' ELSE 'degraded' END,
		CASE WHEN o.lost THEN 'its cursor is of another life of the data: it has to begin anew, or consumer_drop()'
			WHEN o.lag >= '5 minutes' THEN format('%s rows behind, for %s', o.lag_rows, date_trunc('second', o.lag)) END
	FROM (
		SELECT s.consumer, s.lag_rows, coalesce(s.lag, '0') AS lag,
			s.incarnation IS DISTINCT FROM (SELECT max(i.incarnation) FROM storesync.incarnation i) AS lost
		FROM storesync.stat_outbox s WHERE s.waited) o
$$;
COMMENT ON FUNCTION storesync.health_data() IS 'The part of health() about what lies in tables.';

CREATE FUNCTION storesync.health_breakers() RETURNS TABLE(component text, state text, reason text)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT concat('breaker of store ', b.store_id), 'degraded',
		format('%s changes are held since %s, when %s of %s listings were to change for another cause than a sale: release_breaker(%s) lets them go',
			b.held, date_trunc('second', b.opened_at), b.changes, b.listings, b.store_id)
	FROM storesync.breaker_status b
$$;
COMMENT ON FUNCTION storesync.health_breakers() IS
'The part of health() about mass-change breakers: one row for each that is open.';

CREATE FUNCTION storesync.health_put_off() RETURNS TABLE(component text, state text, reason text)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT concat('listings of store ', t.store_id), 'degraded',
		format('%s show more than is wanted since %s, because the platform refuses for now to have them lowered (listing_status: put off): %s',
			count(*), date_trunc('second', min(w.put_off_at)), min(w.put_off))
	FROM storesync.listing_shown w
	JOIN storesync.listing_target t ON t.listing_id = w.listing_id
	WHERE w.put_off_at > w.written_at AND t.dirty AND t.at_most > t.wanted
	GROUP BY t.store_id
$$;
COMMENT ON FUNCTION storesync.health_put_off() IS
'The part of health() about listings whose platform refuses for the moment to have them lowered: one row for each store that has such.';

CREATE FUNCTION storesync.health() RETURNS TABLE(component text, state text, reason text)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
	SELECT * FROM storesync.health_workers()
	UNION ALL SELECT * FROM storesync.health_version()
	UNION ALL SELECT * FROM storesync.health_replay()
	UNION ALL SELECT * FROM storesync.health_replicas()
	UNION ALL SELECT * FROM storesync.health_stores()
	UNION ALL SELECT * FROM storesync.health_tokens()
	UNION ALL SELECT * FROM storesync.health_notifications()
	UNION ALL SELECT * FROM storesync.health_breakers()
	UNION ALL SELECT * FROM storesync.health_put_off()
	UNION ALL SELECT * FROM storesync.health_data()
	UNION ALL SELECT * FROM storesync.health_cache()
	UNION ALL SELECT * FROM storesync.health_olap()
	UNION ALL SELECT * FROM storesync.health_reconciliation()
	UNION ALL SELECT * FROM storesync.health_maintenance()
	UNION ALL SELECT * FROM storesync.health_allotments()
	UNION ALL SELECT * FROM storesync.health_prices()
$$;
COMMENT ON FUNCTION storesync.health() IS
'How each part is: state ok, degraded (works, with less than it should) or down, and the reason when it is not ok. Components: preload, launcher, dispatcher; version where library and SQL objects are of different releases; replica on a standby, replica NAME for each standby that follows, with how far it is behind; instance PLATFORM for each platform in use; store N where it is not simply live; breaker of store N where it is open; listings of store N where some cannot be lowered for now; authorisation of store N where it needs somebody; notifications of PLATFORM where some are refused, authorisations of PLATFORM where it says that some end; compensation, partitions, reconciliation, drift of store N where people have to confirm differences, maintenance of TABLE where maintain() could not do its work, consumer NAME, cache where storesync.redis_url is set, olap where storesync.clickhouse_url is set, allotments of SKU; prices of store N where some are not sent or wait long. Example: SELECT * FROM storesync.health() WHERE state <> ''ok'';';
