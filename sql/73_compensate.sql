-- compensate(): what was given up is tried again, shops are read and compared with what is believed of
-- them, and a certificate says what came of it (docs/compensate.md).

-- Days of 23 or 25 hours are seen to by the time zone. A night that a change of the clocks leaves nothing of is none.
CREATE FUNCTION storesync.night_of(store int, at timestamptz DEFAULT clock_timestamp(), OUT starts_at timestamptz, OUT ends_at timestamptz)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT n.starts_at, n.ends_at
	FROM storesync.store s
	CROSS JOIN generate_series(-1, 2) d(day)
	CROSS JOIN LATERAL (SELECT ($2 AT TIME ZONE s.timezone)::date + d.day AS date) t
	CROSS JOIN LATERAL (
		SELECT (t.date + s.night[1]) AT TIME ZONE s.timezone AS starts_at,
			(t.date + CASE WHEN s.night[2] < s.night[1] THEN 1 ELSE 0 END + s.night[2]) AT TIME ZONE s.timezone AS ends_at) n
	WHERE s.store_id = $1 AND n.ends_at > $2 AND n.ends_at > n.starts_at
	ORDER BY n.starts_at LIMIT 1
$$;
COMMENT ON FUNCTION storesync.night_of(int, timestamptz) IS
'The night of a store (store.night in its timezone) that a moment lies in, or the next one after it; NULL for an unknown store. Example: SELECT starts_at <= now() AS it_is_night FROM storesync.night_of(1);';

-- ---------------------------------------------------------------- work that was given up

-- What is not wanted any more is not tried again: never yesterday's price, a listing that was recalled, an order
-- that is shipped or cancelled.
CREATE FUNCTION storesync.overtaken_by(compensation_id bigint) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE
		WHEN s.store_id IS NULL THEN 'its store does not exist any more'
		WHEN c.call IN ('push_stock', 'push_price', 'list', 'unlist', 'read_back') THEN CASE
			WHEN l.listing_id IS NULL THEN 'its listing does not exist any more'
			WHEN NOT l.enabled THEN 'its listing is not enabled'
			WHEN c.call = 'push_stock' AND NOT (SELECT t.dirty FROM storesync.listing_target t WHERE t.listing_id = l.listing_id)
				THEN 'its shop shows what is wanted'
			WHEN storesync.is_overtaken(c.call, jsonb_build_object('listing', l.listing_id)) THEN 'the opposite is wanted by now'
			WHEN c.call IN ('push_price', 'list', 'unlist') AND NOT EXISTS (
				SELECT FROM storesync.offer o WHERE o.listing_id = l.listing_id AND o.open
					AND o.facet = CASE c.call WHEN 'push_price' THEN 'price' ELSE 'listed' END) THEN 'its shop shows what is wanted'
			WHEN c.call = 'read_back' AND w.read_at > c.at THEN 'it was read since' END
		WHEN c.call IN ('ship_order', 'cancel_order') THEN CASE
			WHEN o.status IN ('cancelled', 'in_cancel') AND c.call = 'ship_order' THEN 'the order is cancelled'
			WHEN o.status IN ('shipped', 'completed', 'returned') THEN 'the order is shipped'
			WHEN o.status = 'cancelled' THEN 'the order is cancelled' END
		WHEN c.call = 'fetch_orders' AND n.sns <> '{}' AND NOT EXISTS (
			SELECT FROM unnest(n.sns) AS x (order_sn)
			WHERE NOT EXISTS (SELECT FROM storesync.sales_order y
				WHERE y.store_id = c.store_id AND y.order_sn = x.order_sn AND y.fetched_at > c.at)) THEN 'it was booked since'
		WHEN c.call IN ('refresh_token', 'exchange_code') AND EXISTS (
			SELECT FROM storesync.credential x
			WHERE x.store_id = c.store_id AND x.name = 'refresh_token' AND x.set_at > c.at) THEN 'a newer token is stored'
		WHEN c.call = 'fetch_listings' AND EXISTS (
			SELECT FROM storesync.listing_walk x WHERE x.store_id = c.store_id AND x.ended_at > c.at) THEN 'it was read since'
		WHEN c.call = 'verify' THEN 'its run is over' END
	FROM storesync.compensation c
	LEFT JOIN storesync.store s ON s.store_id = c.store_id
	LEFT JOIN storesync.listing l ON l.listing_id = coalesce(c.listing_id, (c.payload ->> 'listing')::numeric::bigint)
	LEFT JOIN storesync.listing_shown w ON w.listing_id = l.listing_id
	LEFT JOIN storesync.sales_order o ON o.store_id = c.store_id AND o.order_sn = c.payload ->> 'order_sn'
	CROSS JOIN LATERAL (SELECT ARRAY(
		SELECT x FROM jsonb_array_elements_text(CASE WHEN jsonb_typeof(c.payload -> 'order_sn') = 'array' THEN c.payload -> 'order_sn'
			WHEN c.task_id IS NULL THEN jsonb_build_array(c.story -> 0 ->> 'order_sn') ELSE '[]' END) AS x
		WHERE x IS NOT NULL) AS sns) n
	WHERE c.compensation_id = $1
$$;
COMMENT ON FUNCTION storesync.overtaken_by(bigint) IS
'Why work that was given up (a row of storesync.compensation) is not wanted any more; NULL when it still is. Example: SELECT storesync.overtaken_by(17); -- the order is shipped';

-- What a platform refuses for good it will refuse tomorrow: one more night decides. A change of the listing or its
-- price tries again by itself.
CREATE FUNCTION storesync.rests(compensation_id bigint) RETURNS boolean
	LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT storesync.verify_reason(c.store_id) IS NOT NULL
		OR (c.class IN ('permanent', 'auth') AND EXISTS (
			SELECT FROM storesync.compensation p
			WHERE p.compensation_id < c.compensation_id AND p.call = c.call AND p.store_id = c.store_id
				AND p.settled_by LIKE 'requeued: certificate%'
				AND p.listing_id IS NOT DISTINCT FROM c.listing_id AND p.payload IS NOT DISTINCT FROM c.payload
				AND (p.task_id IS NULL) = (c.task_id IS NULL)
				AND (c.listing_id IS NOT NULL OR c.task_id IS NOT NULL
					OR p.story -> 0 -> 'order_sn' IS NOT DISTINCT FROM c.story -> 0 -> 'order_sn')))
	FROM storesync.compensation c
	WHERE c.compensation_id = $1
$$;
COMMENT ON FUNCTION storesync.rests(bigint) IS
'Whether work that was given up (a row of storesync.compensation) is left to people: refused for good again after a night had tried it once more, or of a store that cannot be called now. Example: SELECT storesync.rests(17);';

-- One that cannot even be asked for again stops no run. Fewer at a time than the subtransactions that a snapshot lists.
CREATE FUNCTION storesync.compensate_replay(certificate bigint) RETURNS boolean
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	dead record;
	how text;
	seen bigint := 0;
	tally int[] := '{0,0,0}';
	kind int;
BEGIN
	FOR dead IN
		SELECT x.compensation_id FROM storesync.compensation x
		JOIN storesync.certificate c ON c.certificate_id = $1
		WHERE x.settled_at IS NULL AND x.compensation_id > c.replay_through AND x.at < c.started_at
			AND (c.scope IS NULL OR x.store_id = ANY (c.scope))
		ORDER BY x.compensation_id LIMIT 50 FOR UPDATE OF x SKIP LOCKED
	LOOP
		seen := dead.compensation_id;
		BEGIN
			how := storesync.overtaken_by(seen);
			kind := CASE WHEN how IS NOT NULL THEN 2 WHEN storesync.rests(seen) THEN 3 ELSE 1 END;
			IF kind < 3 THEN
				PERFORM storesync.settle_compensation(seen, CASE kind WHEN 2 THEN concat('overtaken: ', how) ELSE concat('requeued: certificate ', $1) END);
			END IF;
		EXCEPTION
			WHEN transaction_rollback OR insufficient_resources OR lock_not_available THEN
				RAISE;
			WHEN OTHERS THEN
				RAISE WARNING 'compensation % cannot be tried again: %', seen, SQLERRM;
				kind := 3;
		END;
		tally[kind] := tally[kind] + 1;
	END LOOP;
	IF seen > 0 THEN
		UPDATE storesync.certificate c SET replay_through = seen, moved_at = clock_timestamp(), replayed = c.replayed + tally[1],
			overtaken = c.overtaken + tally[2], resting = c.resting + tally[3]
		WHERE c.certificate_id = $1;
	END IF;
	RETURN seen > 0;
END
$$;
COMMENT ON FUNCTION storesync.compensate_replay(bigint) IS
'A step of compensate(): the next fifty pieces of work that was given up. What cannot be asked for again is left to people, with a warning. False when there are none.';

-- ---------------------------------------------------------------- beginning

CREATE FUNCTION storesync.compensate_expect(store int, at_night boolean, OUT listings bigint, OUT calls bigint,
	OUT at_best interval, OUT at_worst interval)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT n.listings, n.calls, make_interval(secs => ceil(n.calls / r.per_second)),
		make_interval(secs => ceil(n.calls / r.per_second / CASE WHEN $2 THEN 0.3 ELSE 0.05 END))
	FROM storesync.store s
	CROSS JOIN LATERAL (SELECT storesync.rate_per_second(s.rate_limit) AS per_second) r
	CROSS JOIN LATERAL (
		SELECT count(*) AS listings,
			(ceil(count(*) FILTER (WHERE l.model_id = '') / coalesce(storesync.read_batch(s.platform), 1)::numeric)
				+ count(DISTINCT l.item_id) FILTER (WHERE l.model_id <> ''))::bigint AS calls
		FROM storesync.listing l WHERE l.store_id = s.store_id AND l.enabled) n
	WHERE s.store_id = $1
$$;
COMMENT ON FUNCTION storesync.compensate_expect(int, boolean) IS
'How many listings of a store compensate() reads, by about how many calls, and how long that takes when the store''s limit has nothing else to do, and when it has only the part that is reading''s for sure, at night or by day. Example: SELECT * FROM storesync.compensate_expect(1, true);';

CREATE FUNCTION storesync.dispatcher_state() RETURNS text
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN coalesce((SELECT d.state FROM storesync.dispatcher_stats() d WHERE d.database = current_database()), 'off');
END
$$;
COMMENT ON FUNCTION storesync.dispatcher_state() IS
'The state of this database''s dispatcher as stat_dispatcher has it; off when it has none.';

CREATE FUNCTION storesync.compensate_check(stores int[]) RETURNS void
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	unknown int;
BEGIN
	IF pg_is_in_recovery() THEN
		RAISE EXCEPTION 'cannot run compensate() on a standby' USING ERRCODE = '25006';
	END IF;
	SELECT x INTO unknown FROM unnest($1) x
	WHERE NOT EXISTS (SELECT FROM storesync.store s WHERE s.store_id = x) LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'store % does not exist', coalesce(unknown::text, 'null') USING ERRCODE = 'SS002';
	END IF;
	IF storesync.dispatcher_state() NOT IN ('running', 'starting', 'backing off') THEN
		RAISE EXCEPTION 'no dispatcher is running in database "%"', current_database() USING ERRCODE = '55000',
			DETAIL = concat('It reads the shops. Its state is: ', storesync.dispatcher_state(), '.'), HINT = 'See storesync.health().';
	END IF;
END
$$;
COMMENT ON FUNCTION storesync.compensate_check(int[]) IS
'Raises what stands against compensate() in the first place: 25006, SS002, 55000.';

-- The dispatcher may be judging what it read: it writes these tables in the same order.
CREATE FUNCTION storesync.compensate_close(certificate bigint) RETURNS void
	LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
	DELETE FROM storesync.verify_item;
	UPDATE storesync.certificate_store n
	SET state = CASE WHEN n.state IN ('planned', 'waiting') AND n.started_at IS NULL THEN 'left out' WHEN n.state IN ('planned', 'reading') THEN 'read' ELSE n.state END,
		reason = CASE WHEN n.state IN ('planned', 'reading') THEN 'the run was given up' ELSE n.reason END,
		ended_at = coalesce(n.ended_at, clock_timestamp()), corrected = d.corrected, left_open = d.left_open,
		unverified = v.unverified, oldest_verified = v.oldest
	FROM (
		SELECT m.store_id, count(x.*) FILTER (WHERE x.state = 'corrected') AS corrected, count(x.*) FILTER (WHERE x.settled_at IS NULL) AS left_open
		FROM storesync.certificate_store m
		LEFT JOIN storesync.drift x ON x.certificate_id = m.certificate_id AND x.store_id = m.store_id
		WHERE m.certificate_id = $1 GROUP BY m.store_id) d
	CROSS JOIN LATERAL (
		SELECT count(*) FILTER (WHERE y.verified_at IS NULL) AS unverified, min(y.verified_at) AS oldest
		FROM storesync.listing l JOIN storesync.listing_verified y ON y.listing_id = l.listing_id
		WHERE l.store_id = d.store_id AND l.enabled) v
	WHERE n.certificate_id = $1 AND n.store_id = d.store_id;
	UPDATE storesync.certificate c
	SET ended_at = clock_timestamp(), moved_at = clock_timestamp(), phase = 'done', pid = NULL, listings = n.listings, compared = n.compared,
		differing = n.differing, corrected = n.corrected, left_open = n.left_open,
		coverage = round(n.compared / nullif(n.listings, 0)::numeric, 4), unverified = n.unverified, oldest_verified = n.oldest
	FROM (
		SELECT coalesce(sum(m.listings), 0) AS listings, coalesce(sum(m.compared), 0) AS compared, coalesce(sum(m.differing), 0) AS differing,
			coalesce(sum(m.corrected), 0) AS corrected, coalesce(sum(m.left_open), 0) AS left_open,
			sum(m.unverified) FILTER (WHERE s.mode = 'live') AS unverified, min(m.oldest_verified) FILTER (WHERE s.mode = 'live') AS oldest
		FROM storesync.certificate_store m
		LEFT JOIN storesync.store s ON s.store_id = m.store_id
		WHERE m.certificate_id = $1) n
	WHERE c.certificate_id = $1
$$;
COMMENT ON FUNCTION storesync.compensate_close(bigint) IS
'The last step of compensate(): sums up by store and in all, and ends the run.';

CREATE FUNCTION storesync.compensate_new(stores int[]) RETURNS bigint
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	run bigint;
BEGIN
	DELETE FROM storesync.drift d WHERE d.settled_at < clock_timestamp() - storesync.order_retention();
	DELETE FROM storesync.certificate_store n USING storesync.certificate c
	WHERE c.certificate_id = n.certificate_id AND c.ended_at < clock_timestamp() - storesync.order_retention();
	DELETE FROM storesync.certificate c WHERE c.ended_at < clock_timestamp() - storesync.order_retention();
	UPDATE storesync.drift d SET state = 'settled', settled_at = clock_timestamp(), settled_by = 'found in another life of the data'
	FROM storesync.certificate c
	WHERE d.settled_at IS NULL AND c.certificate_id = d.certificate_id AND c.incarnation <> storesync.current_incarnation();
	PERFORM storesync.drift_look(array_agg(t.listing_id), coalesce(array_agg(t.listing_id) FILTER (WHERE NOT t.dirty), '{}'))
	FROM storesync.listing_target t
	WHERE t.listing_id IN (SELECT d.listing_id FROM storesync.drift d WHERE d.state IN ('proposed', 'rejected'));
	INSERT INTO storesync.certificate (started_at, scope) VALUES (clock_timestamp(), $1) RETURNING certificate_id INTO run;
	INSERT INTO storesync.certificate_store (certificate_id, store_id, state, reason, ended_at, read_until, calls, listings)
	SELECT run, x.store_id, CASE WHEN x.reason IS NOT NULL THEN 'left out' WHEN x.waits THEN 'waiting' ELSE 'planned' END,
		CASE WHEN x.reason IS NOT NULL THEN x.reason WHEN x.waits THEN concat('its night begins at ', date_trunc('second', x.starts_at)) END,
		CASE WHEN x.reason IS NOT NULL THEN clock_timestamp() END,
		CASE WHEN x.starts_at <= clock_timestamp() THEN x.ends_at END, e.calls, CASE WHEN x.reason IS NULL AND NOT x.waits THEN e.listings ELSE 0 END
	FROM (
		SELECT s.store_id, r.reason, n.starts_at, n.ends_at,
			$1 IS NULL AND n.starts_at > clock_timestamp()
				AND bool_or(n.starts_at <= clock_timestamp() AND r.reason IS NULL) OVER () AS waits
		FROM storesync.store s
		CROSS JOIN LATERAL storesync.verify_reason(s.store_id) r(reason)
		CROSS JOIN LATERAL storesync.night_of(s.store_id) n
		WHERE $1 IS NULL OR s.store_id = ANY ($1)) x
	CROSS JOIN LATERAL storesync.compensate_expect(x.store_id, x.starts_at <= clock_timestamp()) e;
	RETURN run;
END
$$;
COMMENT ON FUNCTION storesync.compensate_new(int[]) IS
'Begins a run of compensate(): which stores are read, and until when. With NULL those whose night it is are, the others when theirs begins while the run lasts; where it is no store''s night, and where stores are named, all are read now.';

CREATE FUNCTION storesync.compensate_begin(stores int[]) RETURNS bigint
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
DECLARE
	wanted int[] := (SELECT array_agg(DISTINCT x ORDER BY x) FROM unnest($1) x);
	run storesync.certificate;
	store record;
BEGIN
	PERFORM storesync.compensate_check($1);
	LOCK TABLE storesync.certificate IN SHARE ROW EXCLUSIVE MODE;
	SELECT c.* INTO run FROM storesync.certificate c WHERE c.ended_at IS NULL;
	IF run.pid <> pg_backend_pid() AND storesync.is_calling(run.pid, run.called_at) THEN
		RAISE EXCEPTION 'compensate() is under way' USING ERRCODE = '55006',
			DETAIL = format('Process %s has run it since %s; certificate %s has come to phase "%s".', run.pid,
				date_trunc('second', run.called_at), run.certificate_id, run.phase);
	END IF;
	IF run.incarnation <> storesync.current_incarnation() OR run.scope IS DISTINCT FROM wanted THEN
		PERFORM storesync.compensate_close(run.certificate_id);
		run := NULL;
	END IF;
	IF run.certificate_id IS NOT NULL THEN
		RAISE NOTICE 'certificate % was broken off in phase "%" and is taken up', run.certificate_id, run.phase;
		UPDATE storesync.certificate_store n
		SET state = 'planned', read_until = CASE WHEN n.read_until IS NOT NULL AND x.starts_at <= clock_timestamp() THEN x.ends_at ELSE n.read_until END
		FROM storesync.certificate_store m CROSS JOIN LATERAL storesync.night_of(m.store_id) x
		WHERE m.certificate_id = run.certificate_id AND m.state IN ('planned', 'reading') AND n.certificate_id = m.certificate_id AND n.store_id = m.store_id;
	ELSE
		run.certificate_id := storesync.compensate_new(wanted);
	END IF;
	UPDATE storesync.certificate c SET pid = pg_backend_pid(), moved_at = clock_timestamp(),
		called_at = (SELECT coalesce(a.query_start, a.backend_start) FROM pg_stat_get_activity(pg_backend_pid()) a)
	WHERE c.certificate_id = run.certificate_id;
	FOR store IN
		SELECT n.*, s.name, e.at_best, e.at_worst FROM storesync.certificate_store n
		JOIN storesync.store s ON s.store_id = n.store_id
		CROSS JOIN LATERAL storesync.compensate_expect(n.store_id, n.read_until IS NOT NULL) e
		WHERE n.certificate_id = run.certificate_id AND n.state <> 'read' ORDER BY n.store_id
	LOOP
		RAISE NOTICE 'store % (%): %', store.store_id, store.name, coalesce(store.reason,
			format('%s listings, about %s calls, %s to %s', store.listings - store.compared, store.calls, store.at_best, store.at_worst)
				|| coalesce(', until ' || date_trunc('second', store.read_until), ''));
	END LOOP;
	RETURN run.certificate_id;
END
$$;
COMMENT ON FUNCTION storesync.compensate_begin(int[]) IS
'The first step of compensate(): begins a run, or takes up the one that was broken off, where it had the same scope. Returns its number; says what is to be read as notices. Errors: as compensate().';

-- ---------------------------------------------------------------- reading and closing

CREATE FUNCTION storesync.compensate_ask(certificate bigint) RETURNS boolean
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	next storesync.certificate_store;
BEGIN
	UPDATE storesync.certificate_store n SET state = 'planned', reason = NULL, read_until = x.ends_at
	FROM storesync.certificate_store m CROSS JOIN LATERAL storesync.night_of(m.store_id) x
	WHERE m.certificate_id = $1 AND m.state = 'waiting' AND x.starts_at <= clock_timestamp()
		AND n.certificate_id = m.certificate_id AND n.store_id = m.store_id;
	SELECT n.* INTO next FROM storesync.certificate_store n
	WHERE n.certificate_id = $1 AND n.state = 'planned' ORDER BY n.store_id LIMIT 1;
	IF NOT FOUND THEN
		RETURN false;
	END IF;
	IF next.started_at IS NULL THEN
		next.listings := storesync.verify_plan(next.store_id);
	END IF;
	UPDATE storesync.certificate_store n
	SET state = 'reading', task_id = storesync.enqueue(n.store_id, 'verify', '{}'), listings = next.listings,
		started_at = coalesce(n.started_at, clock_timestamp()), moved_at = clock_timestamp()
	WHERE n.certificate_id = $1 AND n.store_id = next.store_id;
	RETURN true;
END
$$;
COMMENT ON FUNCTION storesync.compensate_ask(bigint) IS
'A step of compensate(): has the dispatcher read one more store. False when all whose time has come are asked for.';

CREATE FUNCTION storesync.compensate_watch(certificate bigint) RETURNS boolean
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	looked_at timestamptz := (SELECT c.moved_at FROM storesync.certificate c WHERE c.certificate_id = $1);
	store record;
	is_told boolean := looked_at < clock_timestamp() - '1 minute'::interval;
	is_open boolean := false;
BEGIN
	IF storesync.dispatcher_state() NOT IN ('running', 'starting', 'backing off') THEN
		RAISE EXCEPTION 'the dispatcher has ended' USING ERRCODE = '55000',
			DETAIL = format('Certificate %s goes on where it is with the next call of compensate().', $1), HINT = 'See storesync.health().';
	END IF;
	PERFORM storesync.verify_end(n.store_id, n.task_id, coalesce(r.reason, 'nothing could be read for 10 minutes'))
	FROM storesync.certificate_store n CROSS JOIN LATERAL storesync.verify_reason(n.store_id) r(reason)
	WHERE n.certificate_id = $1 AND n.state = 'reading' AND (r.reason IS NOT NULL OR (
		n.moved_at < clock_timestamp() - '10 minutes'::interval AND coalesce(storesync.verify_wait(n.store_id), '-infinity') < clock_timestamp()));
	FOR store IN
		SELECT n.*, s.name FROM storesync.certificate_store n LEFT JOIN storesync.store s ON s.store_id = n.store_id
		WHERE n.certificate_id = $1 AND (n.state = 'reading' OR n.ended_at > looked_at) ORDER BY n.store_id
	LOOP
		is_open := is_open OR store.state = 'reading';
		is_told := is_told OR store.state <> 'reading';
		IF store.state <> 'reading' OR looked_at < clock_timestamp() - '1 minute'::interval THEN
			RAISE NOTICE 'store % (%): % of % listings compared, % differ%', store.store_id, store.name, store.compared,
				store.listings, store.differing, coalesce('; ' || store.reason, '');
		END IF;
	END LOOP;
	IF is_told THEN
		UPDATE storesync.certificate c SET moved_at = clock_timestamp() WHERE c.certificate_id = $1;
	END IF;
	RETURN is_open;
END
$$;
COMMENT ON FUNCTION storesync.compensate_watch(bigint) IS
'A step of compensate(): how far the dispatcher is, as notices when a store is read and once a minute; a store that cannot be read any more is left. False when none is being read. Error 55000 when there is no dispatcher any more.';

-- A difference is corrected when the shop has acknowledged a write after it was read.
CREATE FUNCTION storesync.compensate_settle(certificate bigint) RETURNS boolean
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	settled bigint;
	looked_at timestamptz := (SELECT c.moved_at FROM storesync.certificate c WHERE c.certificate_id = $1);
BEGIN
	UPDATE storesync.drift d SET settled_at = clock_timestamp(),
		state = CASE WHEN x.is_written THEN 'corrected' ELSE 'settled' END,
		settled_by = CASE WHEN x.is_written THEN 'acknowledged' ELSE 'nothing had to be written' END
	FROM (
		SELECT y.drift_id, t.acked_version > 0 AND t.sent_at > y.read_at AS is_written
		FROM storesync.drift y JOIN storesync.listing_target t ON t.listing_id = y.listing_id
		WHERE y.state IN ('pushed', 'confirmed') AND NOT t.dirty AND t.enabled AND num_nonnulls(t.doubt_qty, t.sending_qty) = 0) x
	WHERE d.drift_id = x.drift_id;
	GET DIAGNOSTICS settled = ROW_COUNT;
	IF settled > 0 THEN
		UPDATE storesync.certificate c SET moved_at = clock_timestamp() WHERE c.certificate_id = $1;
		RETURN true;
	END IF;
	RETURN looked_at > clock_timestamp() - '2 minutes'::interval AND EXISTS (
		SELECT FROM storesync.drift y
		JOIN storesync.listing_target t ON t.listing_id = y.listing_id
		JOIN storesync.store s ON s.store_id = y.store_id
		WHERE y.certificate_id = $1 AND y.state = 'pushed' AND t.enabled AND NOT t.dead AND s.mode IN ('live', 'lower_only') AND NOT s.paused);
END
$$;
COMMENT ON FUNCTION storesync.compensate_settle(bigint) IS
'A step of compensate(): which differences are corrected by now. False when none of this run can be waited for any more: all are, or nothing has come for two minutes.';

CREATE FUNCTION storesync.compensate_step(certificate bigint) RETURNS double precision
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
DECLARE
	run storesync.certificate;
	is_more boolean;
BEGIN
	SELECT c.* INTO run FROM storesync.certificate c
	WHERE c.certificate_id = $1 AND c.ended_at IS NULL AND c.pid = pg_backend_pid();
	IF NOT FOUND THEN
		RAISE EXCEPTION 'certificate % is not made by this session', $1 USING ERRCODE = '55000';
	END IF;
	CASE run.phase
		WHEN 'replay' THEN
			is_more := storesync.compensate_replay($1);
		WHEN 'read' THEN
			IF storesync.compensate_ask($1) THEN
				RETURN 0;
			END IF;
			is_more := storesync.compensate_watch($1);
		ELSE
			is_more := storesync.compensate_settle($1);
	END CASE;
	IF is_more THEN
		RETURN CASE run.phase WHEN 'replay' THEN 0 ELSE 0.25 END;
	END IF;
	IF run.phase <> 'settle' THEN
		UPDATE storesync.certificate c SET moved_at = clock_timestamp(),
			phase = CASE c.phase WHEN 'replay' THEN 'read' ELSE 'settle' END
		WHERE c.certificate_id = $1;
		RETURN 0;
	END IF;
	PERFORM storesync.compensate_close($1);
	SELECT c.* INTO run FROM storesync.certificate c WHERE c.certificate_id = $1;
	RAISE NOTICE 'certificate %: % of % listings compared, % differed, % corrected, % left open; of work given up % tried again, % overtaken, % left to people',
		run.certificate_id, run.compared, run.listings, run.differing, run.corrected, run.left_open, run.replayed, run.overtaken, run.resting;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION storesync.compensate_step(bigint) IS
'A step of compensate(); returns for how many seconds nothing is to be done, NULL when the run has ended. Errors: as compensate().';

CREATE PROCEDURE storesync.compensate(stores int[] DEFAULT NULL)
	LANGUAGE plpgsql
AS $$
DECLARE
	run pg_catalog.int8;
	pause pg_catalog.float8;
BEGIN
	run := storesync.compensate_begin(stores);
	COMMIT;
	LOOP
		pause := storesync.compensate_step(run);
		COMMIT;
		EXIT WHEN pause IS NULL;
		PERFORM pg_catalog.pg_sleep(pause);
		COMMIT;
	END LOOP;
END
$$;
COMMENT ON PROCEDURE storesync.compensate(int[]) IS
'Makes shops and books agree: tries again what was given up and is still wanted, has the dispatcher read what shops show (of the named stores, NULL for all), compares, has differences written, and ends with a row of storesync.certificate and of certificate_store. Large differences are proposed (storesync.drift_status). With NULL each store is read in its night; where it is nobody''s night, and where stores are named, now. One run at a time; one that was broken off is taken up by the next call with the same stores. Notices tell what is to be read and how far it is. Errors: 55006 another session runs it; 55000 no dispatcher is running; SS002 unknown store; 2D000 inside a transaction block; 25006 on a standby. Example: CALL storesync.compensate();';

CREATE FUNCTION storesync.health_reconciliation() RETURNS TABLE(component text, state text, reason text)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT 'reconciliation', CASE WHEN x.since < clock_timestamp() - '36 hours'::interval THEN 'degraded' ELSE 'ok' END,
		CASE WHEN x.since < clock_timestamp() - '36 hours'::interval
			THEN format('store %s was not compared since %s: see compensate() and storesync.certificate_store', x.store_id, date_trunc('second', x.since)) END
	FROM (
		-- go_live() has just looked at every listing
		SELECT s.store_id, coalesce(r.ended_at, CASE WHEN s.stock_from < clock_timestamp() THEN greatest(s.created_at, s.stock_from) ELSE s.created_at END) AS since
		FROM storesync.store s
		LEFT JOIN (
			SELECT n.store_id, max(c.ended_at) AS ended_at
			FROM storesync.certificate c JOIN storesync.certificate_store n ON n.certificate_id = c.certificate_id
			WHERE c.incarnation = (SELECT max(i.incarnation) FROM storesync.incarnation i) AND (n.compared > 0 OR n.state = 'read' AND n.listings = 0)
			GROUP BY n.store_id) r ON r.store_id = s.store_id
		WHERE s.mode = 'live' AND EXISTS (SELECT FROM storesync.listing l WHERE l.store_id = s.store_id AND l.enabled)
		ORDER BY since, s.store_id LIMIT 1) x
	UNION ALL
	SELECT concat('drift of store ', d.store_id), 'degraded',
		format('%s listings show something else than expected, the oldest since %s: drift_status, confirm_drifts(%s)',
			count(*), date_trunc('second', min(d.found_at)), d.store_id)
	FROM storesync.drift d WHERE d.state = 'proposed'
	GROUP BY d.store_id
$$;
COMMENT ON FUNCTION storesync.health_reconciliation() IS
'The part of health() about compensate(): the live store with listings that was compared longest ago, and whether that is more than 36 hours (a run that left it out does not count); and stores that have differences to be confirmed.';
