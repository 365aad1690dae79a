-- maintain(): partitions made ahead and old ones dropped, by hand or by any scheduler (docs/partitions.md).
--
-- A procedure that commits can be neither SECURITY DEFINER nor pin a search_path: it is a shell, and each
-- step of it is a function that does both. No step queues longer than 50 ms for a lock that others would
-- queue behind: at most two of them, of a table and of one partition.
--
-- Months of orders and of the ledger are made ready to go first, in steps of some tens of milliseconds
-- that may hold locks of orders and places as old as that (retire(), sql/56_retire.sql).

CREATE TABLE storesync.maintenance (
	part name PRIMARY KEY,
	ran_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	done_at timestamptz,
	failing_since timestamptz,
	code text,
	problem text,
	CHECK (num_nulls(failing_since, code, problem) IN (0, 3))
);
COMMENT ON TABLE storesync.maintenance IS
'How maintain() last fared, a row for each part: ''partitions'' made ahead, and each table that is not kept for good. ran_at: when it last looked; done_at: when nothing was left to do, NULL for never; failing_since, code (SQLSTATE), problem: what it could not do since then, NULL when all went well. 55P03: somebody had the table open.';

CREATE FUNCTION storesync.maintain_note(part name, code text DEFAULT NULL, problem text DEFAULT NULL) RETURNS void
	LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
	INSERT INTO storesync.maintenance AS m (part, done_at, failing_since, code, problem)
	VALUES ($1, CASE WHEN $2 IS NULL THEN clock_timestamp() END, CASE WHEN $2 IS NOT NULL THEN clock_timestamp() END, $2, $3)
	ON CONFLICT ON CONSTRAINT maintenance_pkey DO UPDATE SET ran_at = clock_timestamp(),
		done_at = coalesce(excluded.done_at, m.done_at),
		failing_since = CASE WHEN excluded.code IS NOT NULL THEN coalesce(m.failing_since, excluded.failing_since) END,
		code = excluded.code, problem = excluded.problem
$$;
COMMENT ON FUNCTION storesync.maintain_note(name, text, text) IS
'Writes down how a part of maintain() fared: without a code (SQLSTATE) it is done.';

CREATE FUNCTION storesync.maintain_ahead() RETURNS boolean
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '50ms'
AS $$
DECLARE
	code text;
	problem text;
BEGIN
	BEGIN
		PERFORM storesync.ensure_partitions('8 days');
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, problem = MESSAGE_TEXT;
	END;
	PERFORM storesync.maintain_note('partitions', code, problem);
	RETURN code IS NULL;
END
$$;
COMMENT ON FUNCTION storesync.maintain_ahead() IS
'A step of maintain(): makes the partitions of the next 8 days. False: it could not, storesync.maintenance says why.';

-- Whoever has to wait for the table's lock takes nothing along: what was carried is rolled back with it.
CREATE FUNCTION storesync.maintain_detach(parent name) RETURNS boolean
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	gone record;
BEGIN
	SELECT c.relname AS partition, NULL::timestamptz AS to_at, 'FINALIZE' AS how INTO gone
	FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
	WHERE i.inhdetachpending AND i.inhparent = format('storesync.%I', $1)::regclass
		AND NOT EXISTS (SELECT FROM pg_stat_activity a
			WHERE a.backend_type = 'storesync dispatcher' AND a.datname = current_database());
	IF gone.partition IS NULL THEN
		SELECT r.partition, r.to_at, '' AS how INTO gone FROM storesync.rotation() r
		WHERE r.parent = $1 AND r.waits_for IS NULL ORDER BY r.to_at LIMIT 1;
	END IF;
	IF gone.partition IS NULL THEN
		RETURN false;
	END IF;
	IF $1 = 'outbox' AND gone.to_at IS NOT NULL THEN
		PERFORM storesync.carry_tasks(gone.to_at);
	END IF;
	EXECUTE format('LOCK TABLE ONLY storesync.%I IN ACCESS EXCLUSIVE MODE', $1);
	-- a dispatcher may have been quicker
	IF gone.to_at IS NULL OR EXISTS (SELECT FROM storesync.partition_days($1) d WHERE d.partition = gone.partition) THEN
		EXECUTE format('ALTER TABLE storesync.%I DETACH PARTITION storesync.%I %s', $1, gone.partition, gone.how);
	END IF;
	RETURN true;
END
$$;
COMMENT ON FUNCTION storesync.maintain_detach(name) IS
'Detaches the oldest partition of a table that can go, or finishes what a dispatcher that is gone has begun. False: there is none.';

CREATE FUNCTION storesync.maintain_step(parent name) RETURNS text
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '50ms'
AS $$
DECLARE
	former name;
	is_more boolean;
	code text;
	problem text;
BEGIN
	SELECT d.partition INTO former FROM storesync.left_detached() d WHERE d.parent = $1 LIMIT 1;
	BEGIN
		IF former IS NOT NULL THEN
			-- one that comes back is for the next call, so that none can go and come all night
			is_more := storesync.drop_detached(former);
		ELSIF $1 IN ('compensation', 'audit') THEN
			is_more := storesync.forget_old($1, 1000);
		ELSIF storesync.retire($1, CASE $1 WHEN 'ledger' THEN 20000 ELSE 1000 END) THEN
			is_more := true;
		ELSE
			is_more := storesync.maintain_detach($1);
		END IF;
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, problem = MESSAGE_TEXT;
	END;
	IF is_more THEN
		RETURN 'more';
	END IF;
	PERFORM storesync.maintain_note($1, code, problem);
	RETURN CASE WHEN code IS NULL THEN 'done' WHEN code = '55P03' THEN 'busy' ELSE 'failed' END;
END
$$;
COMMENT ON FUNCTION storesync.maintain_step(name) IS
'A step of maintain(): detaches one partition of a table, drops one that is detached, or takes a step of retire() or, of compensation and audit, of forget_old(). more: there may be more to do; done; busy: somebody has it open; failed: storesync.maintenance says why.';

-- 100 ms between two tries let go on whoever waited behind the one before.
CREATE PROCEDURE storesync.maintain()
	LANGUAGE plpgsql
AS $$
DECLARE
	-- orders go before what was written of them
	parents pg_catalog.name[] := pg_catalog.array_cat(ARRAY(SELECT p.parent FROM storesync.partitioned p WHERE p.retention IS NOT NULL
		ORDER BY p.parent OPERATOR(pg_catalog.<>) 'sales_order_line', p.parent), '{compensation,audit}');
	parent pg_catalog.name;
	outcome pg_catalog.text;
	tries pg_catalog.int4;
BEGIN
	FOR i IN 1..5 LOOP
		EXIT WHEN storesync.maintain_ahead();
		COMMIT;
		PERFORM pg_catalog.pg_sleep(0.1);
	END LOOP;
	COMMIT;
	FOREACH parent IN ARRAY parents LOOP
		tries := 5;
		-- years of days, each in two steps, or of months, each in hundreds
		FOR i IN 1..100000 LOOP
			outcome := storesync.maintain_step(parent);
			COMMIT;
			IF outcome OPERATOR(pg_catalog.=) 'busy' THEN
				tries := tries OPERATOR(pg_catalog.-) 1;
				EXIT WHEN tries OPERATOR(pg_catalog.=) 0;
				PERFORM pg_catalog.pg_sleep(0.1);
			ELSE
				EXIT WHEN outcome OPERATOR(pg_catalog.<>) 'more';
			END IF;
		END LOOP;
	END LOOP;
END
$$;
COMMENT ON PROCEDURE storesync.maintain() IS
'Makes partitions 8 days ahead and drops those that rotation() says can go, table by table, each partition in transactions of its own. It waits at most 50 ms for a lock that others might queue behind, five times a table, and leaves what somebody holds open to the next call. What it could not do is in storesync.maintenance and health(). Once a day is enough; beside a dispatcher, which does the same by itself, it does no harm. Months of orders and of the ledger go when they are older than storesync.order_retention: settled orders are deleted, open ones and balances carried on. Settled work of compensation goes after storesync.log_retention, the audit after storesync.order_retention. Errors: 2D000 inside a transaction block, 25006 on a standby. Example: CALL storesync.maintain();';

CREATE FUNCTION storesync.health_maintenance() RETURNS TABLE(component text, state text, reason text)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
	SELECT concat('maintenance of ', m.part), 'degraded',
		format('%s: %s, since %s', m.code, m.problem, date_trunc('second', m.failing_since))
	FROM storesync.maintenance m
	WHERE m.problem IS NOT NULL AND (m.code <> '55P03' OR m.failing_since < clock_timestamp() - '1 day'::interval)
	UNION ALL
	SELECT concat('retention of ', m.parent), 'degraded',
		format('months that should have gone: %s, %s waits for %s', count(*), min(m.partition),
			coalesce((array_agg(m.waits_for ORDER BY m.to_at))[1], 'maintain()'))
	FROM storesync.old_months(clock_timestamp() - '7 days'::interval) m
	GROUP BY m.parent
	UNION ALL
	SELECT concat('retention of ', p.parent), 'degraded',
		format('partitions that should have gone: %s, from %s on: rotation() tells what they wait for', count(*), min(d.partition))
	FROM storesync.partitioned p
	CROSS JOIN LATERAL storesync.partition_days(p.parent) d
	WHERE p.retention IN ('consumed', 'log', 'key') AND d.to_at < clock_timestamp() - '7 days'::interval - CASE p.retention
		WHEN 'consumed' THEN '1 hour'::interval WHEN 'log' THEN storesync.log_retention() ELSE storesync.key_horizon() END
	GROUP BY p.parent
$$;
COMMENT ON FUNCTION storesync.health_maintenance() IS
'The part of health() about maintain(): what it could not do (a table that somebody had open counts after a day), and partitions that should have gone a week ago, whoever drops them.';
