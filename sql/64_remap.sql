-- A listing that was mapped to the wrong SKU, or with the wrong pack, and what was booked through it
-- meanwhile (docs/remap.md). remap_step() is C (extension/remap.c); what it asks for is here.

CREATE FUNCTION storesync.remap_target(listing bigint, sku text, pack int, OUT sku_id bigint, OUT units int)
	LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	SELECT k.sku_id INTO sku_id FROM storesync.sku k WHERE k.code = $2;
	IF sku_id IS NULL THEN
		RAISE EXCEPTION 'SKU "%" does not exist', coalesce($2, 'null') USING ERRCODE = 'SS001';
	END IF;
	SELECT coalesce($3, l.pack) INTO units FROM storesync.listing l WHERE l.listing_id = $1;
	IF units IS NULL THEN
		RAISE EXCEPTION 'listing % does not exist', coalesce($1::text, 'null') USING ERRCODE = 'SS004';
	END IF;
	IF units NOT BETWEEN 1 AND 1000000 THEN
		RAISE EXCEPTION 'pack % is out of range', units
			USING ERRCODE = 'SS201', DETAIL = 'A pack has between 1 and 1000000 units.';
	END IF;
END
$$;
COMMENT ON FUNCTION storesync.remap_target(bigint, text, int) IS
'What a listing is to be mapped to: the SKU''s id, and units of it that one sold unit takes (NULL: the listing''s pack as it is). Errors: SS001 unknown SKU, SS004 unknown listing, SS201 a pack below 1 or above 1000000. For remap_preview() and remap_step().';

-- Without a moment these are the lines that bear what the listing was mapped to before it came to the
-- target: a line that was booked by an earlier mapping, which may have been right then, stays.
CREATE FUNCTION storesync.remap_lines(listing bigint, sku bigint, pack int, since timestamptz DEFAULT NULL, orders bigint[] DEFAULT NULL)
	RETURNS TABLE(order_id bigint, recorded_at timestamptz, line_id text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
	WITH wrong AS MATERIALIZED (
		SELECT CASE WHEN x.is_done THEN coalesce((a.before ->> 'sku_id')::bigint, l.sku_id) ELSE l.sku_id END AS sku_id,
			CASE WHEN x.is_done THEN coalesce((a.before ->> 'pack')::int, l.pack) ELSE l.pack END AS pack
		FROM storesync.listing l
		CROSS JOIN LATERAL (SELECT l.sku_id = $2 AND l.pack = $3 AS is_done) x
		LEFT JOIN LATERAL (
			SELECT a.before FROM storesync.audit a
			WHERE x.is_done AND $4 IS NULL AND a.action = 'update' AND a.subject = concat('listing ', $1)
				AND a.before ?| ARRAY['sku_id', 'pack']
			ORDER BY a.audit_id DESC LIMIT 1) a ON true
		WHERE l.listing_id = $1)
	SELECT l.order_id, l.recorded_at, l.line_id
	FROM wrong w
	CROSS JOIN LATERAL (
		SELECT x.* FROM storesync.sales_order_line x WHERE $5 IS NULL AND x.listing_id = $1
		UNION ALL
		SELECT x.* FROM storesync.sales_order_line x WHERE x.order_id = ANY ($5) AND x.listing_id = $1) l
	WHERE l.sku_id IS NOT NULL AND (l.sku_id <> $2 OR l.pack <> $3)
		AND CASE WHEN $4 IS NULL THEN l.sku_id = w.sku_id AND l.pack = w.pack ELSE l.ordered_at >= $4 END
		-- older ones are booked no more, and rows of the ledger may have gone
		AND l.ordered_at > statement_timestamp() - storesync.order_retention() + '1 minute'::interval
$$;
COMMENT ON FUNCTION storesync.remap_lines(bigint, bigint, int, timestamptz, bigint[]) IS
'Lines of orders (NULL: of all) that came through a listing and are to be on another SKU (by its id) or pack: of orders placed since a moment; without one those that bear what the listing was mapped to before, by the audit. Of orders younger than storesync.order_retention. Example: SELECT count(*) FROM storesync.remap_lines(1, 2, 1);';

-- A row that corrects another has that one's moment in event_at, and sums up with it; so has what a count
-- has found to be gone by then.
CREATE FUNCTION storesync.remap_moved(orders bigint[], skus bigint[], since timestamptz)
	RETURNS TABLE(order_id bigint, line_id text, sku_id bigint, location_id int, back boolean, moment timestamptz, units bigint)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET enable_hashjoin = on SET enable_nestloop = off SET jit = off
AS $$
	SELECT g.order_id, g.reference, g.sku_id, g.location_id, g.kind = 'restock', m.moment,
		sum(CASE g.kind WHEN 'restock' THEN g.on_hand_delta ELSE -g.on_hand_delta END)::bigint
	FROM (SELECT DISTINCT unnest($1) AS order_id) u
	-- no index leads from an order to its rows: those of the SKUs are read, once
	JOIN storesync.ledger g ON g.order_id = u.order_id
	CROSS JOIN LATERAL (SELECT CASE WHEN g.reason IN ('remapped', 'counted') THEN g.event_at ELSE g.recorded_at END AS moment) m
	WHERE g.sku_id = ANY ($2) AND g.recorded_at >= $3 AND g.kind IN ('ship', 'restock')
	GROUP BY 1, 2, 3, 4, 5, 6
	HAVING sum(g.on_hand_delta) <> 0
$$;
COMMENT ON FUNCTION storesync.remap_moved(bigint[], bigint[], timestamptz) IS
'What lines of orders have sent and taken back (back) of SKUs, by the ledger''s rows since a moment, each where and when it was booked, less what was corrected of it. For remap_preview() and remap_step().';

CREATE FUNCTION storesync.remap_counted(skus bigint[], since timestamptz)
	RETURNS TABLE(sku_id bigint, location_id int, moment timestamptz)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT g.sku_id, g.location_id, max(g.event_at)
	FROM storesync.ledger g
	WHERE g.sku_id = ANY ($1) AND g.recorded_at >= $2 AND g.kind = 'adjust' AND g.order_id IS NULL
	GROUP BY 1, 2
$$;
COMMENT ON FUNCTION storesync.remap_counted(bigint[], timestamptz) IS
'When SKUs were counted last at each location, of counts that were booked since a moment: what was booked until then, the count has found. For remap_preview() and remap_step().';

CREATE FUNCTION storesync.remap_preview(listing bigint, sku text, pack int DEFAULT NULL, since timestamptz DEFAULT NULL)
	RETURNS TABLE(sku text, lines bigint, reserved bigint, shipped bigint, returned bigint, short bigint, on_hand bigint, available bigint)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
	WITH target AS MATERIALIZED (SELECT x.sku_id, x.units AS pack FROM storesync.remap_target($1, $2, $3) x),
	line AS MATERIALIZED (
		SELECT l.order_id, l.line_id, l.recorded_at, l.sku_id, l.pack, l.shipped, l.restocked, l.short, t.pack::numeric / l.pack AS ratio,
			CASE WHEN l.state = 'kept' OR l.shipped > 0 OR l.status IN ('shipped', 'completed', 'returned', 'cancelled') OR l.reserved + l.short = 0 THEN 0
				ELSE greatest(l.qty - l.cancelled_qty, 0) * t.pack END AS to_reserve,
			CASE WHEN l.shipped > 0 OR l.status IN ('shipped', 'completed', 'returned', 'cancelled')
				THEN ceil((l.shipped + l.short)::numeric / l.pack) * t.pack ELSE 0 END AS to_ship
		FROM target t
		CROSS JOIN LATERAL storesync.remap_lines($1, t.sku_id, t.pack, $4) r
		JOIN storesync.sales_order_line l ON l.order_id = r.order_id AND l.recorded_at = r.recorded_at AND l.line_id = r.line_id),
	part AS MATERIALIZED (
		SELECT l.order_id, l.line_id, p.sku_id, max(p.per) AS per, sum(p.reserved) AS reserved, sum(p.shipped) AS shipped, sum(p.back) AS back,
			p.sku_id = min(p.sku_id) OVER (PARTITION BY l.order_id, l.line_id) AS is_first
		FROM line l JOIN storesync.line_part p ON p.order_id = l.order_id AND p.line_id = l.line_id AND p.recorded_at = l.recorded_at
		GROUP BY l.order_id, l.line_id, p.sku_id),
	made AS MATERIALIZED (
		SELECT coalesce(c.sku_id, t.sku_id) AS sku_id, coalesce(c.qty, 1) AS per
		FROM target t
		JOIN storesync.sku k ON k.sku_id = t.sku_id
		LEFT JOIN storesync.component c ON k.bundle AND c.bundle_id = k.sku_id AND c.qty > 0),
	span AS MATERIALIZED (SELECT min(l.recorded_at) AS begins, array_agg(DISTINCT l.order_id) AS orders FROM line l),
	counted AS MATERIALIZED (
		SELECT n.* FROM span s CROSS JOIN LATERAL storesync.remap_counted(
			ARRAY(SELECT p.sku_id FROM part p UNION SELECT m.sku_id FROM made m), s.begins) n),
	moved AS MATERIALIZED (
		SELECT m.sku_id, m.location_id, m.moment, CASE WHEN m.back THEN -m.units ELSE m.units END AS units, p.is_first, p.per, l.ratio
		FROM span s CROSS JOIN LATERAL storesync.remap_moved(s.orders, ARRAY(SELECT DISTINCT p.sku_id FROM part p), s.begins) m
		JOIN line l ON l.order_id = m.order_id AND l.line_id = m.line_id
		JOIN part p ON p.order_id = m.order_id AND p.line_id = m.line_id AND p.sku_id = m.sku_id),
	change AS (
		SELECT p.sku_id, count(*) AS lines, -sum(p.reserved) AS reserved, -sum(p.shipped) AS shipped, -sum(p.back) AS returned,
			0::numeric AS short, 0::numeric AS on_hand
		FROM part p GROUP BY p.sku_id
		UNION ALL
		SELECT l.sku_id, 0, 0, 0, 0, -sum(l.short), 0 FROM line l GROUP BY l.sku_id HAVING sum(l.short) > 0
		UNION ALL
		SELECT m.sku_id, 0, 0, 0, 0, 0, sum(m.units)
		FROM moved m LEFT JOIN counted n ON n.sku_id = m.sku_id AND n.location_id = m.location_id AND n.moment >= m.moment
		WHERE n.sku_id IS NULL GROUP BY m.sku_id
		UNION ALL
		SELECT d.sku_id, x.lines, x.reserved * d.per, x.shipped * d.per, x.returned * d.per, 0, 0
		FROM made d
		CROSS JOIN (SELECT count(*) AS lines, sum(l.to_reserve) AS reserved, sum(l.to_ship) AS shipped,
				sum(floor(l.restocked * l.ratio)) AS returned FROM line l) x
		WHERE x.lines > 0
		UNION ALL
		SELECT d.sku_id, 0, 0, 0, 0, 0, -sum(m.units / m.per * m.ratio * d.per)
		FROM moved m
		CROSS JOIN made d
		LEFT JOIN counted n ON n.sku_id = d.sku_id AND n.location_id = m.location_id AND n.moment >= m.moment
		WHERE m.is_first AND n.sku_id IS NULL GROUP BY d.sku_id)
	SELECT k.code, sum(c.lines)::bigint, sum(c.reserved)::bigint, sum(c.shipped)::bigint, sum(c.returned)::bigint, sum(c.short)::bigint,
		round(sum(c.on_hand))::bigint, storesync.available(k.code)
	FROM change c JOIN storesync.sku k ON k.sku_id = c.sku_id
	GROUP BY k.sku_id, k.code
	ORDER BY k.code COLLATE "C"
$$;
COMMENT ON FUNCTION storesync.remap_preview(bigint, text, int, timestamptz) IS
'What remap_listing() with the same arguments would still do, by SKU (of bundles: by component); changes nothing. lines: of orders that leave or come to the SKU; reserved, shipped, returned, short: change of what these have of it, in its units; of the new one reserved and shipped are what is wanted, as far as its stock does not cover that it will be short; on_hand: change of what is on hand, where no count has found it already; available: now. No rows: no line is left to be re-booked. Errors: SS001 unknown SKU, SS004 unknown listing, SS201 pack out of range. Example: SELECT * FROM storesync.remap_preview(17, ''TEA-200'');';

CREATE FUNCTION storesync.remap_step(listing bigint, sku text, pack int DEFAULT NULL, since timestamptz DEFAULT NULL, most int DEFAULT 500,
	OUT state text, OUT lines int, OUT to_count text[])
	AS 'MODULE_PATHNAME', 'remap_step' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.remap_step(bigint, text, int, timestamptz, int) IS
'One transaction''s part of remap_listing(), whose other arguments it takes; most: lines at once, 1 to 1000. state mapped: the listing is mapped anew, its orders come in on the new SKU; booked: so many lines were taken back and booked anew; done: there are none, and none can come any more: it has waited for the transactions that were booking orders. to_count: SKUs at places (''CODE at CODE'') from which goods that had come back could not be taken off, because they are promised by now: count them. Errors as remap_listing(). Example: SELECT * FROM storesync.remap_step(17, ''TEA-200'');';

CREATE PROCEDURE storesync.remap_listing(listing bigint, sku text, pack int DEFAULT NULL, since timestamptz DEFAULT NULL,
	INOUT lines bigint DEFAULT 0, INOUT to_count pg_catalog.text[] DEFAULT '{}')
	LANGUAGE plpgsql
AS $$
DECLARE
	step record;
BEGIN
	lines := 0;
	to_count := '{}';
	LOOP
		SELECT * INTO step FROM storesync.remap_step(listing, sku, pack, since);
		COMMIT;
		lines := lines OPERATOR(pg_catalog.+) step.lines;
		to_count := ARRAY(SELECT x FROM pg_catalog.unnest(to_count OPERATOR(pg_catalog.||) step.to_count) x GROUP BY x ORDER BY x);
		EXIT WHEN step.state OPERATOR(pg_catalog.=) 'done';
	END LOOP;
END
$$;
COMMENT ON PROCEDURE storesync.remap_listing(bigint, text, int, timestamptz, bigint, text[]) IS
'Corrects a listing that was mapped to the wrong SKU, or with the wrong pack (NULL: that is right): from now on it sells this one, and the lines of orders that came through it are taken back from the old and booked on the new, by rows of the ledger of their own: those of orders placed since a moment, or without one those that were booked by the mapping that is corrected. In transactions of up to 500 lines; the same call again goes on where one ended. Answers how many lines it has booked anew, and what has to be counted (remap_step()). remap_preview() says beforehand what it will do. Errors: SS001 unknown SKU, SS004 unknown listing, SS201 pack out of range, 2D000 inside a transaction block, 25001 under REPEATABLE READ, XX001 the ledger does not say what a line has sent, 25006 on a standby. Example: CALL storesync.remap_listing(17, ''TEA-200'');';
