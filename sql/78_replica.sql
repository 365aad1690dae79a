-- Standbys: how far this one is behind, and how those that follow are (docs/replica.md).

-- What has arrived and been replayed is no sign of being up to date where nothing arrives any more.
CREATE FUNCTION storesync.replay_delay() RETURNS interval
	LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE WHEN NOT pg_is_in_recovery() THEN NULL
		WHEN pg_last_wal_replay_lsn() >= pg_last_wal_receive_lsn()
			AND EXISTS (SELECT FROM pg_stat_wal_receiver w WHERE w.status = 'streaming') THEN '0'
		ELSE greatest(clock_timestamp() - pg_last_xact_replay_timestamp(), '0') END
$$;
COMMENT ON FUNCTION storesync.replay_delay() IS
'How far what a standby shows is behind its primary: 0 where all that has come is replayed and the stream stands, else the age of the newest commit that is replayed (with both machines'' clocks), NULL where none was. NULL on a primary. Example: SELECT clock_timestamp() - storesync.replay_delay() AS as_of;';

CREATE FUNCTION storesync.health_replay() RETURNS TABLE(component text, state text, reason text)
	LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT 'replica', CASE WHEN x.trouble IS NULL THEN 'ok' ELSE 'degraded' END,
		coalesce(x.trouble, format('%s behind', coalesce(date_trunc('milliseconds', r.delay), '0')))
	FROM (SELECT storesync.replay_delay() AS delay,
			greatest('5 minutes', current_setting('max_standby_streaming_delay')::interval) AS most,
			EXISTS (SELECT FROM pg_stat_wal_receiver w WHERE w.status = 'streaming') AS streaming,
			CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() END AS paused) r
	CROSS JOIN LATERAL (SELECT CASE
		WHEN NOT r.streaming THEN concat('no stream from the primary, shows what was committed until '
			|| date_trunc('second', pg_last_xact_replay_timestamp()))
		WHEN r.paused THEN concat('the replay is paused, ', date_trunc('second', r.delay), ' behind: pg_wal_replay_resume()')
		WHEN r.delay > r.most THEN format('%s behind: the replay waits for statements here, or has too much to do', date_trunc('second', r.delay)) END) AS x(trouble)
	WHERE pg_is_in_recovery()
$$;
COMMENT ON FUNCTION storesync.health_replay() IS
'The part of health() about the replay of a standby, there; on a primary no row.';

-- Base backups and logical consumers are no replicas; a slot that nobody reads is one that is away.
CREATE FUNCTION storesync.health_replicas() RETURNS TABLE(component text, state text, reason text)
	LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT concat('replica ', f.name), CASE WHEN x.trouble IS NULL THEN 'ok' ELSE 'degraded' END,
		coalesce(x.trouble, format('%s behind', coalesce(date_trunc('milliseconds', f.replay_lag), '0')))
	FROM (
		SELECT coalesce(s.slot_name, r.application_name) AS name, r.pid, r.flush_lag, r.replay_lag, r.sync_state, s.wal_status,
			pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END,
				s.restart_lsn) AS kept
		FROM (SELECT * FROM pg_stat_replication a
			WHERE a.state IN ('streaming', 'catchup') AND NOT EXISTS (SELECT FROM pg_replication_slots o
				WHERE o.active_pid = a.pid AND (o.slot_type = 'logical' OR o.temporary))) r
		FULL JOIN (SELECT * FROM pg_replication_slots a WHERE a.slot_type = 'physical' AND NOT a.temporary) s
			ON s.active_pid = r.pid) f
	CROSS JOIN LATERAL (SELECT CASE
		WHEN f.wal_status = 'lost' THEN 'WAL that it needs is gone: make it anew, or drop its slot'
		WHEN f.pid IS NULL THEN concat('not connected', '; ' || pg_size_pretty(f.kept) || ' of WAL are kept for it')
		WHEN f.wal_status = 'unreserved' THEN 'WAL that it needs is about to go: max_slot_wal_keep_size'
		WHEN f.flush_lag > '1 minute' THEN format('the stream is %s behind', date_trunc('second', f.flush_lag))
		WHEN f.replay_lag > CASE f.sync_state WHEN 'async' THEN '20 minutes'::interval ELSE '1 minute' END
			THEN format('the replay is %s behind', date_trunc('second', f.replay_lag)) END) AS x(trouble)
$$;
COMMENT ON FUNCTION storesync.health_replicas() IS
'The part of health() about standbys that follow this server, each by the name of its slot, or without one by its application_name: one that is away, that the stream reaches more than a minute late, or whose replay is more than 20 minutes behind (a minute where synchronous_standby_names has it).';
