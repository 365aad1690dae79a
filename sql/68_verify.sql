-- Reading shops for compensate(): which listings are read, what a reading means, and what is written down of
-- it. Called by the dispatcher (docs/compensate.md).

CREATE VIEW storesync.listing_verified AS
SELECT l.listing_id, l.store_id,
	CASE WHEN v.incarnation OPERATOR(pg_catalog.=) i.incarnation THEN v.verified_at END AS verified_at,
	CASE WHEN v.incarnation OPERATOR(pg_catalog.=) i.incarnation THEN v.qty END AS qty,
	v.failed_at, v.failure
FROM storesync.listing l
LEFT JOIN storesync.verification v ON v.listing_id OPERATOR(pg_catalog.=) l.listing_id
CROSS JOIN (SELECT pg_catalog.max(x.incarnation) AS incarnation FROM storesync.incarnation x) i;
COMMENT ON VIEW storesync.listing_verified IS
'When each listing was last read in its shop and compared by compensate(), and what it showed then, in sold units; NULL: never in this life of the data, as after a restore. failed_at, failure: that it could not be read the last time, and why. Example: SELECT count(*) FROM storesync.listing_verified WHERE verified_at IS NULL;';

CREATE FUNCTION storesync.read_batch(platform text) RETURNS int
	AS 'MODULE_PATHNAME', 'read_batch' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION storesync.read_batch(text) IS
'How many items without models one call to a platform reads; all models of one item are a call, too. NULL where nothing can be read. Example: SELECT storesync.read_batch(''shopee''); -- 50';

CREATE FUNCTION storesync.rate_per_second(rate storesync.rate_limit) RETURNS double precision
	AS 'MODULE_PATHNAME', 'rate_per_second' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION storesync.rate_per_second(storesync.rate_limit) IS
'How many calls a second a limit grants for long: that of its tightest window. Example: SELECT storesync.rate_per_second(''5/s, 60/min''); -- 1';

-- ---------------------------------------------------------------- what is read

CREATE FUNCTION storesync.verify_reason(store int) RETURNS text
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN (
	SELECT CASE WHEN s.mode NOT IN ('live', 'lower_only') THEN 'its mode is ' || s.mode
		WHEN s.paused THEN 'it is paused'
		WHEN storesync.read_batch(s.platform) IS NULL THEN 'its platform does not tell what it shows'
		WHEN NOT storesync.sending_allowed(s.platform) THEN 'this instance is not confirmed for its platform'
		WHEN m.missing <> '{}' THEN 'it has no credential ' || array_to_string(m.missing, ', ')
		WHEN t.waits IS NOT NULL THEN t.waits END
	FROM storesync.store s
	CROSS JOIN LATERAL storesync.missing_credentials(s.store_id) m(missing)
	LEFT JOIN storesync.store_stats() t ON t.store_id = s.store_id AND t.cause IN ('credential', 'request')
	WHERE s.store_id = $1);
END
$$;
COMMENT ON FUNCTION storesync.verify_reason(int) IS
'Why a store cannot be read by compensate() now; NULL when it can, or does not exist. Example: SELECT storesync.verify_reason(1);';

-- Oldest night first, within it what sold best in a week. What one call can read is read together: by item.
CREATE FUNCTION storesync.verify_plan(store int) RETURNS bigint
	LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
	WITH planned AS (
		INSERT INTO storesync.verify_item (store_id, place, listing_id)
		SELECT x.store_id, row_number() OVER (ORDER BY x.run NULLS FIRST, x.sold DESC, x.item_id, x.model_id), x.listing_id
		FROM (
			SELECT l.listing_id, l.store_id, l.item_id, l.model_id,
				CASE WHEN count(v.verified_at) OVER item = count(*) OVER item THEN min(v.certificate_id) OVER item END AS run,
				coalesce(sum(y.sold) OVER item, 0) AS sold
			FROM storesync.listing l
			LEFT JOIN storesync.verification v ON v.listing_id = l.listing_id AND v.incarnation = storesync.current_incarnation()
			LEFT JOIN (
				SELECT o.listing_id, sum(o.qty) AS sold FROM storesync.sales_order_line o
				WHERE o.store_id = $1 AND o.recorded_at > statement_timestamp() - '7 days'::interval
				GROUP BY o.listing_id) y ON y.listing_id = l.listing_id
			WHERE l.store_id = $1 AND l.enabled
			WINDOW item AS (PARTITION BY l.item_id)) x
		ON CONFLICT DO NOTHING
		RETURNING 1)
	SELECT count(*) FROM planned
$$;
COMMENT ON FUNCTION storesync.verify_plan(int) IS
'Writes down which listings of a store compensate() reads, in their order; returns how many.';

CREATE FUNCTION storesync.is_calling(pid int, called_at timestamptz) RETURNS boolean
	LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT EXISTS (
		SELECT FROM pg_stat_get_activity($1) a
		WHERE coalesce(a.query_start, a.backend_start) = $2 AND a.state IS DISTINCT FROM 'idle')
$$;
COMMENT ON FUNCTION storesync.is_calling(int, timestamptz) IS
'Whether the session pid is still in the statement that it began at called_at.';

CREATE FUNCTION storesync.verify_run(store int, task bigint, OUT certificate bigint, OUT read_until timestamptz) RETURNS SETOF record
	LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT s.certificate_id, s.read_until
	FROM storesync.certificate_store s
	JOIN storesync.certificate c ON c.certificate_id = s.certificate_id
	WHERE s.store_id = $1 AND s.task_id = $2 AND s.state = 'reading' AND c.ended_at IS NULL
		AND storesync.is_calling(c.pid, c.called_at)
$$;
COMMENT ON FUNCTION storesync.verify_run(int, bigint) IS
'The run of compensate() for which a task reads a store, and until when; no row when nobody waits for it any more.';

CREATE FUNCTION storesync.verify_next(store int, after bigint, most int)
	RETURNS TABLE(listing_id bigint, place bigint, item_id text, model_id text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT l.listing_id, i.place, l.item_id, l.model_id
	FROM storesync.verify_item i
	JOIN storesync.listing l ON l.listing_id = i.listing_id
	WHERE i.store_id = $1 AND i.place > $2 AND (i.not_before IS NULL OR i.not_before <= clock_timestamp())
		AND l.store_id = $1 AND l.enabled
	ORDER BY i.place LIMIT $3
$$;
COMMENT ON FUNCTION storesync.verify_next(int, bigint, int) IS
'The next listings of a store that compensate() has still to read, behind a place.';

CREATE FUNCTION storesync.verify_wait(store int) RETURNS timestamptz
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT min(i.not_before)
	FROM storesync.verify_item i
	JOIN storesync.listing l ON l.listing_id = i.listing_id
	WHERE i.store_id = $1 AND i.not_before IS NOT NULL AND l.store_id = $1 AND l.enabled
$$;
COMMENT ON FUNCTION storesync.verify_wait(int) IS
'When the next of the listings that are to be read again later may be; NULL for none.';

CREATE FUNCTION storesync.verify_end(store int, task bigint, reason text) RETURNS text
	LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
	UPDATE storesync.certificate_store s
	SET state = 'read', reason = $3, ended_at = clock_timestamp(), moved_at = clock_timestamp()
	WHERE s.store_id = $1 AND s.task_id = $2 AND s.state = 'reading'
	RETURNING format('%s of %s listings compared, %s differ', s.compared, s.listings, s.differing)
$$;
COMMENT ON FUNCTION storesync.verify_end(int, bigint, text) IS
'A store is read, as far as it will be; reason: why no further, NULL when nothing is left. Returns in words how far.';

-- ---------------------------------------------------------------- what it means

-- Between low and high nobody can say: orders and cancellations placed too close to the last write, or to the
-- reading, for two clocks to tell which came first.
CREATE FUNCTION storesync.verify_compare(listings bigint[], items text[], models text[], qtys bigint[],
		sent timestamptz[], answered timestamptz[])
	RETURNS TABLE(listing_id bigint, qty bigint, sent_at timestamptz, answered_at timestamptz, verdict text, low bigint, high bigint)
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	SELECT r.listing_id, r.qty, r.sent_at, r.answered_at,
		CASE WHEN l.enabled IS NOT TRUE THEN 'gone'
			WHEN r.qty IS NULL THEN 'unread'
			WHEN w.listing_id IS NULL THEN 'unknown'
			-- first of all: what is in doubt, of whatever life, a reading that began before may not settle
			WHEN w.doubt_qty IS NOT NULL OR w.sending_qty IS NOT NULL THEN 'moved'
			WHEN w.acked_incarnation <> storesync.current_incarnation() THEN 'unknown'
			WHEN w.written_at >= r.sent_at THEN 'moved'
			WHEN r.qty BETWEEN e.low AND e.high THEN 'equal'
			ELSE 'differs' END,
		e.low, e.high
	FROM unnest($1, $2, $3, $4, $5, $6) AS r (listing_id, item_id, model_id, qty, sent_at, answered_at)
	LEFT JOIN storesync.listing l ON l.listing_id = r.listing_id AND l.item_id = r.item_id AND l.model_id = r.model_id
	LEFT JOIN storesync.store s ON s.store_id = l.store_id
	LEFT JOIN storesync.platform p ON p.platform = s.platform
	LEFT JOIN storesync.listing_shown w ON w.listing_id = l.listing_id
	CROSS JOIN LATERAL (SELECT storesync.clock_doubt() + '1 second'::interval AS doubt) d
	LEFT JOIN LATERAL (
		SELECT coalesce(sum(x.qty) FILTER (WHERE x.ordered_at > w.written_at + d.doubt AND x.ordered_at <= r.sent_at - d.doubt), 0) AS sure,
			coalesce(sum(x.qty) FILTER (WHERE x.ordered_at <= w.written_at + d.doubt OR x.ordered_at > r.sent_at - d.doubt), 0) AS unsure
		FROM storesync.sales_order_line x
		WHERE x.listing_id = w.listing_id AND x.recorded_at > w.sent_at
			AND x.ordered_at > w.sent_at - d.doubt AND x.ordered_at <= r.answered_at + d.doubt) o ON true
	LEFT JOIN LATERAL (
		SELECT coalesce(sum(x.cancelled_qty) FILTER (WHERE p.returns_on_cancel
				AND x.cancelled_at > w.written_at + d.doubt AND x.cancelled_at <= r.sent_at - d.doubt), 0) AS sure,
			coalesce(sum(x.cancelled_qty) FILTER (WHERE p.returns_on_cancel IS NULL
				OR x.cancelled_at <= w.written_at + d.doubt OR x.cancelled_at > r.sent_at - d.doubt), 0) AS unsure
		FROM storesync.sales_order_line x
		WHERE p.returns_on_cancel IS NOT FALSE AND x.listing_id = w.listing_id AND x.cancelled_qty > 0 AND x.shipped = 0
			AND x.cancelled_at > w.sent_at - d.doubt AND x.cancelled_at <= r.answered_at + d.doubt) c ON true
	CROSS JOIN LATERAL (
		SELECT greatest(w.acked_qty - o.sure + c.sure - o.unsure, 0)::bigint AS low,
			greatest(w.acked_qty - o.sure + c.sure + c.unsure, 0)::bigint AS high) e;
END
$$;
COMMENT ON FUNCTION storesync.verify_compare(bigint[], text[], text[], bigint[], timestamptz[], timestamptz[]) IS
'Compares readings of listings (ids, item and model that were read, quantity shown or NULL, when the call was sent and answered) with what the shops should have shown at that moment by the orders that are booked: between low and high. verdict: equal; differs; moved (written since, being written, or in doubt: nobody can say); unknown (never written in this life of the data); unread (the shop did not tell); gone (not enabled, or another item by now).';

-- Where orders are listed late a shop that shows fewer has mostly sold what is not known yet: it is drift when it
-- still stands after half an hour. Fewer or more, what people have to look at is told from what is written by itself
-- by drift_units, drift_share and drift_least; when so many differ as would open the store's mass-change breaker, the
-- answers themselves are doubtful, and each further one is for people.
CREATE FUNCTION storesync.verify_note(store int, listings bigint[], items text[], models text[], qtys bigint[], reasons text[],
		sent timestamptz[], answered timestamptz[], final boolean, late boolean)
	RETURNS TABLE(listing_id bigint, verdict text)
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	WITH run AS MATERIALIZED (
		SELECT n.certificate_id, n.listings, n.differing, s.drift_units, s.drift_share, s.drift_least, s.breaker_share, s.breaker_least
		FROM storesync.certificate_store n
		JOIN storesync.store s ON s.store_id = n.store_id
		WHERE n.store_id = $1 AND n.state = 'reading'),
	seen AS MATERIALIZED (
		SELECT x.*, i.since, i.tries, h.drift_id AS held_id, y.reason,
			CASE WHEN x.qty < x.low + coalesce(h.excess, 0) THEN x.low + coalesce(h.excess, 0)
				ELSE x.high + coalesce(h.excess, 0) END AS expected,
			x.qty BETWEEN x.low + h.excess AND x.high + h.excess AS agrees
		FROM storesync.verify_compare($2, $3, $4, $5, $7, $8) x
		JOIN storesync.verify_item i ON i.listing_id = x.listing_id
		JOIN unnest($2, $6) AS y (listing_id, reason) ON y.listing_id = x.listing_id
		LEFT JOIN LATERAL (
			SELECT d.drift_id, d.expected - d.shown AS excess FROM storesync.drift d
			WHERE d.listing_id = x.listing_id AND d.state IN ('proposed', 'rejected')
			ORDER BY d.drift_id DESC LIMIT 1) h ON true),
	judged AS MATERIALIZED (
		SELECT v.*, n.certificate_id,
			CASE WHEN v.verdict <> 'differs' THEN CASE WHEN v.verdict = 'moved' AND v.tries >= 2 THEN 'skipped' ELSE v.verdict END
				WHEN v.agrees THEN 'agrees'
				WHEN NOT $9 THEN 'differs'
				WHEN $10 AND v.qty < v.expected AND (v.since IS NULL OR v.since > v.sent_at - '30 minutes'::interval) THEN 'late'
				WHEN abs(v.qty - v.expected) > n.drift_least
					AND (abs(v.qty - v.expected) > n.drift_units OR abs(v.qty - v.expected) > n.drift_share * v.expected
						OR n.breaker_share IS NOT NULL AND n.differing + row_number() OVER (PARTITION BY v.verdict ORDER BY v.listing_id)
							> greatest(n.breaker_least, n.breaker_share * n.listings)) THEN 'proposed'
				ELSE 'pushed' END AS judgement
		FROM seen v CROSS JOIN run n),
	verified AS (
		INSERT INTO storesync.verification AS t (listing_id, incarnation, certificate_id, verified_at, qty)
		SELECT j.listing_id, storesync.current_incarnation(), j.certificate_id, j.sent_at, j.qty FROM judged j
		WHERE j.judgement IN ('equal', 'unknown', 'agrees', 'proposed', 'pushed')
		ON CONFLICT ON CONSTRAINT verification_pkey DO UPDATE SET incarnation = excluded.incarnation, certificate_id = excluded.certificate_id,
			verified_at = excluded.verified_at, qty = excluded.qty, failed_at = NULL, failure = NULL),
	failed AS (
		INSERT INTO storesync.verification AS t (listing_id, incarnation, certificate_id, failed_at, failure)
		SELECT j.listing_id, storesync.current_incarnation(), j.certificate_id, j.answered_at, coalesce(j.reason, 'it could not be read')
		FROM judged j WHERE j.judgement = 'unread'
		ON CONFLICT ON CONSTRAINT verification_pkey DO UPDATE SET failed_at = excluded.failed_at, failure = excluded.failure),
	shown AS (
		INSERT INTO storesync.listing_shown AS w (listing_id, acked_qty, acked_version, acked_incarnation, sent_at, written_at, read_qty, read_at)
		SELECT j.listing_id, j.qty, 0, storesync.current_incarnation(), j.sent_at, j.answered_at, j.qty, j.answered_at
		FROM judged j WHERE j.judgement IN ('unknown', 'agrees', 'proposed', 'pushed')
		ON CONFLICT ON CONSTRAINT listing_shown_pkey DO UPDATE SET acked_qty = excluded.acked_qty, acked_version = excluded.acked_version,
			acked_incarnation = excluded.acked_incarnation, sent_at = excluded.sent_at, written_at = excluded.written_at,
			read_qty = excluded.read_qty, read_at = excluded.read_at, doubt_qty = NULL, sending_qty = NULL),
	over AS (
		UPDATE storesync.drift d SET state = 'settled', settled_at = clock_timestamp(),
			settled_by = CASE WHEN j.judgement = 'agrees' THEN 'the shop shows what was expected' ELSE 'it shows something else by now' END
		FROM judged j
		WHERE d.listing_id = j.listing_id AND d.state IN ('proposed', 'rejected')
			AND j.judgement IN ('agrees', 'unknown', 'proposed', 'pushed')),
	found AS (
		INSERT INTO storesync.drift (certificate_id, store_id, listing_id, expected, shown, read_at, state)
		SELECT j.certificate_id, $1, j.listing_id, j.expected, j.qty, j.sent_at, j.judgement FROM judged j
		WHERE j.judgement IN ('proposed', 'pushed') ORDER BY j.listing_id),
	done AS (
		DELETE FROM storesync.verify_item i USING judged j
		WHERE i.listing_id = j.listing_id AND j.judgement NOT IN ('differs', 'moved', 'late')),
	later AS (
		UPDATE storesync.verify_item i SET place = i.place + 1000000000000,
			tries = i.tries + CASE WHEN j.judgement = 'moved' THEN 1 ELSE 0 END,
			since = CASE WHEN j.judgement = 'late' THEN coalesce(i.since, j.sent_at) END,
			not_before = CASE WHEN j.judgement = 'late' THEN coalesce(i.since, j.sent_at) + '30 minutes'::interval
				ELSE j.answered_at + storesync.clock_doubt() + '1 second'::interval END
		FROM judged j WHERE i.listing_id = j.listing_id AND j.judgement IN ('moved', 'late')),
	counted AS (
		UPDATE storesync.certificate_store n SET moved_at = clock_timestamp(), compared = n.compared + k.compared,
			learnt = n.learnt + k.learnt, differing = n.differing + k.differing, proposed = n.proposed + k.proposed,
			moved = n.moved + k.moved, unread = n.unread + k.unread
		FROM (
			SELECT count(*) FILTER (WHERE j.judgement IN ('equal', 'unknown', 'agrees', 'proposed', 'pushed')) AS compared,
				count(*) FILTER (WHERE j.judgement = 'unknown') AS learnt,
				count(*) FILTER (WHERE j.judgement IN ('proposed', 'pushed')) AS differing,
				count(*) FILTER (WHERE j.judgement = 'proposed') AS proposed,
				count(*) FILTER (WHERE j.judgement = 'skipped') AS moved,
				count(*) FILTER (WHERE j.judgement = 'unread') AS unread
			FROM judged j) k
		WHERE n.store_id = $1 AND n.state = 'reading')
	SELECT j.listing_id, j.judgement FROM judged j;
END
$$;
COMMENT ON FUNCTION storesync.verify_note(int, bigint[], text[], text[], bigint[], text[], timestamptz[], timestamptz[], boolean, boolean) IS
'For the dispatcher: judges readings of a store''s listings (as verify_compare() takes them; reasons: why one was not read) and writes down what follows. final: the store''s orders are fetched through the moment of reading; late: its platform may list orders late. Returns for each: differs (to be judged again when orders are fetched), unknown, agrees, pushed, proposed (what was read is believed now: compare it again), moved, late (read again later), equal, skipped, unread, gone.';
