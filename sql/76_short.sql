-- Orders that the stock does not cover: ranked, each with a proposal, and settled (docs/short.md,
-- extension/short.c). What is decided is in storesync.short_decision.

CREATE FUNCTION storesync.settle_short(store int, order_sn text, line_id text, proposal text, key storesync.idempotency_key,
	location text DEFAULT NULL, until timestamptz DEFAULT NULL, note text DEFAULT NULL, whole boolean DEFAULT false,
	OUT outcome text, OUT replayed boolean, OUT units bigint, OUT short bigint, OUT task_id bigint, OUT detail text)
	AS 'MODULE_PATHNAME', 'settle_short' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.settle_short(int, text, text, text, storesync.idempotency_key, text, timestamptz, text, boolean) IS
'Carries out a proposal of short_work() in one transaction. line_id: of the order; NULL for all its short lines (not with move). proposal cancel: a task cancel_order for these lines, whose number is in task_id; a line that has some of its units is cancelled with whole => true alone, because platforms cancel lines. wait: the line rests until then (at most 366 days), with a note. move: what the line lacks is transferred from location, a place that its store does not sell from (NULL: the sellable one that covers it best), and reserved for this line before anybody else is served; units that it has come with it as far as whole ones of a bundle go. Stock that came in meanwhile goes to the lines that wait before anything is decided. outcome: cancelling, waiting, moved, insufficient (nothing to move there); or, with nothing booked and the key unused, not_short (filled, shipped or cancelled meanwhile), under_way (the order is being cancelled by task_id), refused (it cannot be cancelled by a call; detail says why). replayed: the key was answered before, this is its answer. units: of the SKU, cancelled, left to wait or moved; short: units of these lines that are still short. Errors: SS006 unknown order or store, SS008 unknown line, SS003 unknown location, 22023 unknown proposal, an argument that belongs to another, or a location that the store sells from anyway, 22004 null argument, 22008 end of a wait in the past or too far ahead, SS101 key used for another request, SS102 key too old, SS103 key ahead of the clock, 25006 read-only, 40001 as receive(), and when another session settled it under REPEATABLE READ. Example: SELECT * FROM storesync.settle_short(1, ''2411220ABC'', ''100001/0'', ''move'', storesync.new_key(), location => ''north'');';

CREATE FUNCTION storesync.platform_cancels(platform text) RETURNS boolean
	AS 'MODULE_PATHNAME', 'platform_cancels' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION storesync.platform_cancels(text) IS
'Whether a call is known that cancels lines of an order at the platform; where there is none they are cancelled at its own page. Example: SELECT storesync.platform_cancels(''ruten''); -- false';

-- ---------------------------------------------------------------- what is short, and of what

-- A line with parts, and one that holds something, is what it was booked as; any other what its SKU is today.
CREATE VIEW storesync.short_part AS
SELECT l.order_id, l.line_id, l.store_id, l.status, l.ordered_at, l.short, p.sku_id, p.per, l.short * p.per AS units
FROM storesync.sales_order_line l
CROSS JOIN LATERAL (
	SELECT DISTINCT x.sku_id, x.per FROM jsonb_to_recordset(l.parts) AS x (sku_id bigint, per bigint)
	WHERE l.parts IS NOT NULL
	UNION ALL
	SELECT c.sku_id, c.qty FROM storesync.component c
	WHERE l.parts IS NULL AND l.reserved = 0 AND c.bundle_id = l.sku_id AND c.qty > 0
	UNION ALL
	SELECT l.sku_id, 1
	WHERE l.parts IS NULL AND (l.reserved > 0 OR NOT EXISTS (
		SELECT FROM storesync.component c WHERE c.bundle_id = l.sku_id AND c.qty > 0))) p
WHERE l.short > 0 AND l.shipped = 0 AND l.status IN ('unpaid', 'ready_to_ship', 'in_cancel');
COMMENT ON VIEW storesync.short_part IS
'What each line that waits for stock waits for: short, units of the line''s SKU; and for each SKU that it is booked on (of a bundle its components) per, units in one of the line''s, and units, all of them. What was sent without the books having it waits for a count and is not here. Example: SELECT sku_id, sum(units) FROM storesync.short_part GROUP BY sku_id;';

CREATE VIEW storesync.short_ahead AS
SELECT p.order_id, p.line_id, p.sku_id, p.units, coalesce(sum(p.units) OVER (PARTITION BY p.sku_id
	ORDER BY p.status = 'unpaid', p.ordered_at, p.order_id, p.line_id COLLATE "C"
	ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)::bigint AS ahead
FROM storesync.short_part p;
COMMENT ON VIEW storesync.short_ahead IS
'Of each line that waits for stock, and each SKU that it waits for: the units that it wants and those that lines want which are filled before it (ahead): paid ones before unpaid ones, then the oldest, of all stores. Example: SELECT ahead + units FROM storesync.short_ahead WHERE order_id = 7;';

CREATE VIEW storesync.short_reach AS
SELECT p.order_id, p.line_id, p.store_id, p.short, p.sku_id, p.per, p.units, c.location_id, c.code, c.sellable, c.priority,
	f.here::bigint AS here, f.there::bigint AS there
FROM storesync.short_part p
CROSS JOIN storesync.location c
CROSS JOIN LATERAL (
	SELECT coalesce(sum(greatest(s.on_hand - s.reserved, 0)) FILTER (WHERE x.sells), 0) AS here,
		coalesce(sum(greatest(s.on_hand - s.reserved, 0)) FILTER (WHERE s.location_id = c.location_id), 0) AS there
	FROM storesync.stock s
	JOIN storesync.location e ON e.location_id = s.location_id
	CROSS JOIN LATERAL (SELECT e.sellable AND (e.location_id IN (
			SELECT z.location_id FROM storesync.store_location z WHERE z.store_id = p.store_id)
		OR NOT EXISTS (SELECT FROM storesync.store_location z WHERE z.store_id = p.store_id)) AS sells) x
	WHERE s.sku_id = p.sku_id) f
WHERE NOT (c.sellable AND (c.location_id IN (
		SELECT z.location_id FROM storesync.store_location z WHERE z.store_id = p.store_id)
	OR NOT EXISTS (SELECT FROM storesync.store_location z WHERE z.store_id = p.store_id)));
COMMENT ON VIEW storesync.short_reach IS
'Of each line that waits for stock, each SKU that it waits for and each place that its store does not sell from: units that nobody has reserved there, and here, at the places that the store does sell from. Example: SELECT code, there FROM storesync.short_reach WHERE order_id = 7 AND there > 0;';

-- ---------------------------------------------------------------- the order of work

CREATE VIEW storesync.short_rank AS
WITH cancelling AS MATERIALIZED (
	SELECT t.store_id, t.payload ->> 'order_sn' AS order_sn, t.payload -> 'lines' AS lines, t.task_id, t.since
	FROM storesync.task_open t WHERE t.kind = 'cancel_order'),
line AS (
	SELECT l.order_id, l.recorded_at, l.line_id, l.store_id, l.sku_id, l.status, l.short, l.reserved, l.pack, l.unit_price, l.ordered_at
	FROM storesync.sales_order_line l
	WHERE l.short > 0 AND l.shipped = 0 AND l.status IN ('unpaid', 'ready_to_ship', 'in_cancel')
	UNION ALL
	-- what was decided about it goes on though it is covered
	SELECT l.order_id, l.recorded_at, l.line_id, l.store_id, l.sku_id, l.status, l.short, l.reserved, l.pack, l.unit_price, l.ordered_at
	FROM storesync.short_decision d
	JOIN storesync.sales_order o ON o.order_id = d.order_id
	JOIN storesync.sales_order_line l ON l.order_id = o.order_id AND l.recorded_at = o.recorded_at AND l.line_id = d.line_id
	WHERE l.short = 0 AND l.shipped = 0 AND l.reserved > 0 AND l.status IN ('ready_to_ship', 'in_cancel')
		AND (d.proposal = 'move' OR EXISTS (SELECT FROM cancelling c
			WHERE c.store_id = o.store_id AND c.order_sn = o.order_sn AND (c.lines IS NULL OR c.lines ? l.line_id)))),
judged AS (
	SELECT l.*, o.order_sn, o.currency, s.platform, d.proposal AS decided, d.decided_at, d.until, d.note, d.location_id,
		d.task_id AS decided_task, c.task_id,
		CASE WHEN c.task_id IS NOT NULL OR (l.status = 'in_cancel' AND d.proposal = 'cancel') THEN 'cancelling'
			WHEN l.short = 0 THEN 'moved'
			WHEN d.proposal = 'wait' AND d.until > statement_timestamp() THEN 'waiting'
			ELSE 'open' END AS state,
		coalesce(c.since, d.decided_at) AS since,
		CASE WHEN l.status = 'ready_to_ship' THEN p.short_weight ELSE 0 END AS penalty,
		round(l.unit_price * l.short / l.pack, 2) AS value,
		h.paid_at, h.paid_at + p.ship_within AS ship_by,
		floor(extract(epoch FROM h.paid_at + p.ship_within - statement_timestamp()) / 86400)::bigint AS days_left
	FROM line l
	JOIN storesync.sales_order o ON o.order_id = l.order_id AND o.recorded_at = l.recorded_at
	JOIN storesync.store s ON s.store_id = l.store_id
	JOIN storesync.platform p ON p.platform = s.platform
	LEFT JOIN storesync.short_decision d ON d.order_id = l.order_id AND d.line_id = l.line_id
	LEFT JOIN LATERAL (
		SELECT min(c.task_id) AS task_id, min(c.since) AS since FROM cancelling c
		WHERE c.store_id = l.store_id AND c.order_sn = o.order_sn AND (c.lines IS NULL OR c.lines ? l.line_id)) c ON true
	-- paid when a document first said so; an order that was paid when it came, when it was placed
	CROSS JOIN LATERAL (
		SELECT CASE WHEN l.status <> 'unpaid' THEN coalesce((
			SELECT CASE WHEN bool_or(x.status = 'unpaid') THEN min(x.update_time) FILTER (WHERE x.status <> 'unpaid') END
			FROM storesync.order_history x
			WHERE x.order_id = o.order_id AND x.recorded_at >= o.recorded_at), o.create_time) END AS paid_at) h)
SELECT row_number() OVER (ORDER BY j.state <> 'open', j.penalty DESC, j.days_left NULLS LAST, j.value DESC NULLS LAST,
	j.ordered_at, j.order_id, j.line_id COLLATE "C") AS rank, j.*
FROM judged j;
COMMENT ON VIEW storesync.short_rank IS
'Lines that wait for stock, and those about which something was decided that still goes on, in the order in which they want to be settled: open ones first, then by penalty (platform.short_weight of paid lines, else 0) downwards, whole days left until ship_by (paid_at plus platform.ship_within) upwards, value (unit_price of the units that are short) downwards, then the oldest. state: open, cancelling (task_id; since), waiting (until), moved (reserved since, and carried over when the warehouse has done it). short_work() shows the first of them with proposals. Example: SELECT rank, order_sn, penalty, days_left, value FROM storesync.short_rank ORDER BY rank LIMIT 20;';

-- ---------------------------------------------------------------- proposals

CREATE FUNCTION storesync.short_moves(order_id bigint, line_id text)
	RETURNS TABLE(location text, units bigint, sellable boolean, carries jsonb)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
	SELECT f.code, f.whole, f.sellable,
		jsonb_object_agg(k.code, f.whole * f.per - f.here) FILTER (WHERE f.whole * f.per > f.here)
	FROM (SELECT r.*, min(least(r.short, (r.here + r.there) / r.per)) OVER (PARTITION BY r.location_id) AS whole
		FROM storesync.short_reach r WHERE r.order_id = $1 AND r.line_id = $2) f
	JOIN storesync.sku k ON k.sku_id = f.sku_id
	WHERE f.whole > 0
	GROUP BY f.code, f.whole, f.sellable, f.priority, f.location_id
	ORDER BY NOT f.sellable, f.whole DESC, f.priority, f.location_id
$$;
COMMENT ON FUNCTION storesync.short_moves(bigint, text) IS
'Places that a short line could be served from by a move, whatever other lines want: whole units of the line that it could have from there, whether the place sells, and what would be carried, by code; those that sell first, then those that have most. For short_work().';

-- Down the list, each line takes the first place that has all it lacks after what better ranked lines took.
CREATE FUNCTION storesync.short_served(upto bigint) RETURNS TABLE(order_id bigint, line_id text, location_id int)
	LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
#variable_conflict use_column
DECLARE
	way record;
	taken jsonb := '{}';
BEGIN
	FOR way IN
		SELECT r.rank, f.order_id, f.line_id, f.location_id,
			jsonb_object_agg(concat(f.sku_id, '/', f.location_id), jsonb_build_array(greatest(f.units - f.here, 0), f.there)) AS wants
		FROM storesync.short_rank r
		JOIN storesync.short_reach f ON f.order_id = r.order_id AND f.line_id = r.line_id
		WHERE r.rank <= upto AND r.state = 'open' AND r.status = 'ready_to_ship' AND f.sellable
		GROUP BY r.rank, f.order_id, f.line_id, f.location_id, f.priority
		HAVING bool_and(f.there >= f.units - f.here)
		ORDER BY r.rank, f.priority, f.location_id
	LOOP
		CONTINUE WHEN (way.order_id, way.line_id) = (order_id, line_id) OR EXISTS (
			SELECT FROM jsonb_each(way.wants) w
			WHERE (w.value ->> 0)::bigint > (w.value ->> 1)::bigint - coalesce((taken ->> w.key)::bigint, 0));
		order_id := way.order_id;
		line_id := way.line_id;
		location_id := way.location_id;
		taken := taken || (SELECT jsonb_object_agg(w.key, (w.value ->> 0)::bigint + coalesce((taken ->> w.key)::bigint, 0))
			FROM jsonb_each(way.wants) w);
		RETURN NEXT;
	END LOOP;
END
$$;
COMMENT ON FUNCTION storesync.short_served(bigint) IS
'Which open, paid lines of short_rank, up to a rank, are proposed to be served by a move, and from where: down the list each takes the first sellable place, by priority, that has all it lacks after what better ranked lines take there. For short_work().';

CREATE FUNCTION storesync.short_work(max int DEFAULT 100, store int DEFAULT NULL)
	RETURNS TABLE(rank bigint, state text, store_id int, platform text, order_sn text, line_id text, sku text, units bigint,
		value numeric, currency text, paid_at timestamptz, ship_by timestamptz, penalty numeric, why text,
		proposal text, location text, advice text, alternatives jsonb, since timestamptz, until timestamptz, task_id bigint, note text)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
	WITH top AS MATERIALIZED (
		SELECT r.* FROM storesync.short_rank r WHERE $2 IS NULL OR r.store_id = $2
		ORDER BY r.rank LIMIT least(greatest(coalesce($1, 100), 0), 1000)),
	wants AS (
		SELECT a.order_id, a.line_id, sum(a.ahead) AS ahead, jsonb_object_agg(k.code, a.ahead) FILTER (WHERE a.ahead > 0) AS older,
			jsonb_object_agg(k.code, a.ahead + a.units) AS must_come,
			string_agg(format('%s of %s', a.ahead + a.units, k.code), ', ' ORDER BY k.code COLLATE "C") AS must_come_text
		FROM storesync.short_ahead a JOIN storesync.sku k ON k.sku_id = a.sku_id
		WHERE (a.order_id, a.line_id) IN (SELECT t.order_id, t.line_id FROM top t)
		GROUP BY a.order_id, a.line_id),
	served AS (
		SELECT v.order_id, v.line_id, p.code
		FROM storesync.short_served((SELECT max(t.rank) FROM top t)) v JOIN storesync.location p ON p.location_id = v.location_id),
	refused AS (
		SELECT c.store_id, c.payload ->> 'order_sn' AS order_sn, c.payload -> 'lines' AS lines, c.reason, c.at
		FROM storesync.compensation c WHERE c.call = 'cancel_order' AND c.settled_at IS NULL),
	chosen AS (
		SELECT t.*, w.older, w.must_come, w.must_come_text, w.ahead, v.code AS served, x.reason AS refusal, n.why_not,
			CASE WHEN t.state <> 'open' THEN NULL
				WHEN t.status = 'unpaid' THEN 'wait'
				WHEN t.status = 'in_cancel' THEN 'page'
				WHEN v.code IS NOT NULL THEN 'move'
				WHEN t.ship_by - '1 day'::interval > statement_timestamp() THEN 'wait'
				WHEN n.why_not IS NULL AND x.reason IS NULL THEN 'cancel'
				ELSE 'page' END AS proposal
		FROM top t
		LEFT JOIN wants w ON w.order_id = t.order_id AND w.line_id = t.line_id
		LEFT JOIN served v ON v.order_id = t.order_id AND v.line_id = t.line_id
		LEFT JOIN LATERAL (SELECT x.reason FROM refused x
			WHERE x.store_id = t.store_id AND x.order_sn = t.order_sn AND (x.lines IS NULL OR x.lines ? t.line_id)
			ORDER BY x.at DESC LIMIT 1) x ON true
		CROSS JOIN LATERAL (SELECT CASE
			WHEN NOT storesync.platform_cancels(t.platform) THEN 'no call that cancels at this platform is known'
			WHEN t.status = 'in_cancel' THEN 'the buyer asks to cancel: answer at the platform''s own page'
			WHEN t.status <> 'ready_to_ship' THEN format('the line is %s', t.status) END AS why_not) n)
	SELECT c.rank, c.state, c.store_id, c.platform, c.order_sn, c.line_id, k.code, c.short, c.value, c.currency, c.paid_at, c.ship_by, c.penalty,
		format('penalty %s, %s, worth %s', c.penalty,
			CASE WHEN c.paid_at IS NULL THEN 'unpaid' WHEN c.days_left < 0 THEN format('late by %s d', -c.days_left)
				ELSE format('%s d left', c.days_left) END,
			CASE WHEN c.value IS NULL THEN 'nobody knows how much' ELSE concat_ws(' ', c.value, c.currency) END),
		c.proposal, CASE WHEN c.proposal = 'move' THEN c.served WHEN c.state = 'moved' THEN p.code END,
		CASE c.proposal
			WHEN 'move' THEN format('%s has what it lacks%s', c.served,
				CASE WHEN c.ahead > 0 THEN '; older lines wait, too' END)
			WHEN 'wait' THEN concat(CASE WHEN c.paid_at IS NULL THEN 'unpaid; ' END, 'must come: ', c.must_come_text)
			WHEN 'cancel' THEN concat('due within a day, and no place has what it lacks',
				CASE WHEN c.reserved > 0 THEN format('; %s units that it has go with it (whole => true)', c.reserved) END)
			WHEN 'page' THEN coalesce(c.why_not, 'the platform refused to cancel it by a call') END,
		CASE WHEN c.state <> 'moved' THEN jsonb_strip_nulls(jsonb_build_object(
			'move', (SELECT jsonb_agg(to_jsonb(m) - 'ordinality' ORDER BY m.ordinality)
				FROM storesync.short_moves(c.order_id, c.line_id) WITH ORDINALITY m),
			'wait', jsonb_build_object('older', c.older, 'must_come', c.must_come),
			'cancel', CASE WHEN c.why_not IS NULL THEN jsonb_build_object('units', c.reserved + c.short, 'has', nullif(c.reserved, 0)) END,
			'page', c.why_not)) END,
		c.since, CASE WHEN c.state = 'waiting' THEN c.until END, c.task_id,
		CASE WHEN c.task_id IS NOT NULL THEN (SELECT concat_ws('; ', s.state, s.detail) FROM storesync.task_state(c.task_id) s)
			WHEN c.state = 'open' AND c.refusal IS NOT NULL THEN format('the platform refused to cancel: %s', c.refusal)
			WHEN c.decided = 'cancel' AND c.state = 'open' AND (SELECT s.state FROM storesync.task_latest(c.decided_task) s) = 'done'
				THEN 'the platform took the cancellation; its order does not show it'
			ELSE c.note END
	FROM chosen c
	JOIN storesync.sku k ON k.sku_id = c.sku_id
	LEFT JOIN storesync.location p ON p.location_id = c.location_id
	ORDER BY c.rank
$$;
COMMENT ON FUNCTION storesync.short_work(int, int) IS
'The work list of lines that the stock does not cover: the first max (100; at most 1000) of short_rank, of a store or of all (NULL). units: of the SKU that are short; why: what its rank comes from. proposal: one of cancel, wait, move (from location), page (at the platform''s own page), by the rules of docs/short.md; advice: why this one. alternatives: what settle_short() can do, under the name of each proposal: move, an array of places with the whole units that the line could have from there, whatever better ranked lines take, whether it sells, and what would be carried; wait, units that older lines want and that must come in all, by SKU; cancel, units that go, and of these has, those that the line has; page, why no call can cancel. since, until, task_id, note: of what was decided; note also says why a platform refused. Example: SELECT rank, order_sn, line_id, units, why, proposal, location, advice FROM storesync.short_work(20);';
