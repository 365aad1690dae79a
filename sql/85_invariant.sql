-- What must always hold (docs/invariant.md). Each function returns no row when it does; hot tables
-- carry no foreign keys, so these prove what foreign keys would.
--
-- Rows of the ledger up to a place's opening (storesync.ledger_opening) have gone by age or are about to:
-- sums and chains begin there, with what holder_opening and line_opening say of those that are left.

CREATE FUNCTION storesync.place_name(sku_id bigint, location_id int) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT coalesce((SELECT s.code FROM storesync.sku s WHERE s.sku_id = $1), 'SKU ' || $1) || ' at '
		|| coalesce((SELECT c.code FROM storesync.location c WHERE c.location_id = $2), 'location ' || $2)
$$;
COMMENT ON FUNCTION storesync.place_name(bigint, int) IS
'How findings name a SKU at a location: ''CODE at CODE''. Example: SELECT storesync.place_name(1, 1);';

CREATE FUNCTION storesync.line_name(order_id bigint, line_id text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT coalesce((SELECT t.platform || ' ' || t.shop_id || ' ' || o.order_sn
		FROM storesync.sales_order o JOIN storesync.store t ON t.store_id = o.store_id
		WHERE o.order_id = $1), 'order ' || $1) || ' line ' || $2
$$;
COMMENT ON FUNCTION storesync.line_name(bigint, text) IS
'How findings name a line of an order: platform, shop, order number, line. Example: SELECT storesync.line_name(1, ''1'');';

-- One sort of the ledger serves versions, chain and record times; only broken rows are put in words.
CREATE FUNCTION storesync.invariant_ledger() RETURNS TABLE(invariant text, subject text, detail text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT x.invariant, storesync.place_name(w.sku_id, w.location_id), x.detail
	FROM (SELECT g.sku_id, g.location_id, g.version, g.on_hand, g.reserved, g.on_hand_delta, g.reserved_delta,
				g.recorded_at, lag(g.version, 1, coalesce(o.version, 0)) OVER p AS version_before,
				lag(g.on_hand, 1, coalesce(o.on_hand, 0)) OVER p AS on_hand_before,
				lag(g.reserved, 1, coalesce(o.reserved, 0)) OVER p AS reserved_before,
				lag(g.recorded_at, 1, o.at) OVER p AS recorded_before
			FROM storesync.ledger g
			LEFT JOIN storesync.ledger_opening o ON o.sku_id = g.sku_id AND o.location_id = g.location_id
			WHERE g.version > coalesce(o.version, 0)
			WINDOW p AS (PARTITION BY g.sku_id, g.location_id ORDER BY g.version)) w
	CROSS JOIN LATERAL (VALUES
		('ledger version', w.version <> w.version_before + 1,
			format('version %s follows %s', w.version, w.version_before)),
		('ledger chain', w.on_hand <> w.on_hand_before + w.on_hand_delta
				OR w.reserved <> w.reserved_before + w.reserved_delta,
			format('version %s: %s/%s and %s/%s give %s/%s', w.version, w.on_hand_before, w.reserved_before,
				w.on_hand_delta, w.reserved_delta, w.on_hand, w.reserved)),
		('ledger time', w.recorded_at < w.recorded_before,
			format('version %s was recorded before version %s', w.version, w.version_before))
		) x (invariant, broken, detail)
	WHERE x.broken AND (w.version <> w.version_before + 1 OR w.on_hand <> w.on_hand_before + w.on_hand_delta
		OR w.reserved <> w.reserved_before + w.reserved_delta OR w.recorded_at < w.recorded_before)
	UNION ALL
	SELECT 'ledger version', storesync.place_name(o.sku_id, o.location_id), format('no version follows %s, where it begins', o.version)
	FROM storesync.ledger_opening o
	LEFT JOIN storesync.stock t ON t.sku_id = o.sku_id AND t.location_id = o.location_id
	WHERE coalesce(t.version, 0) <= o.version
$$;
COMMENT ON FUNCTION storesync.invariant_ledger() IS
'Per SKU and location: versions run from 1, or from the opening balance, without gaps, each balance is the one before plus the deltas, record times never fall. No rows when all hold. Example: SELECT * FROM storesync.invariant_ledger();';

CREATE FUNCTION storesync.invariant_sum() RETURNS TABLE(invariant text, subject text, detail text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT 'ledger sum', storesync.place_name(sku_id, location_id),
		format('deltas sum up to %s/%s, balance is %s/%s', g.on_hand, g.reserved, t.on_hand, t.reserved)
	FROM (SELECT l.sku_id, l.location_id, sum(l.on_hand_delta) + coalesce(min(o.on_hand), 0) AS on_hand,
				sum(l.reserved_delta) + coalesce(min(o.reserved), 0) AS reserved
			FROM storesync.ledger l
			LEFT JOIN storesync.ledger_opening o ON o.sku_id = l.sku_id AND o.location_id = l.location_id
			WHERE l.version > coalesce(o.version, 0)
			GROUP BY l.sku_id, l.location_id) g
	JOIN storesync.stock t USING (sku_id, location_id)
	WHERE t.on_hand <> g.on_hand OR t.reserved <> g.reserved
$$;
COMMENT ON FUNCTION storesync.invariant_sum() IS
'The stock of each SKU at each location is its opening balance and the sum of all deltas since. No rows when it holds. Example: SELECT * FROM storesync.invariant_sum();';

CREATE FUNCTION storesync.invariant_available() RETURNS TABLE(invariant text, subject text, detail text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT 'available', storesync.place_name(t.sku_id, t.location_id),
		format('%s on hand, %s reserved', t.on_hand, t.reserved)
	FROM storesync.stock t LEFT JOIN storesync.sku s ON s.sku_id = t.sku_id
	WHERE t.reserved < 0 OR (t.on_hand < t.reserved AND s.allow_backorder IS NOT TRUE)
$$;
COMMENT ON FUNCTION storesync.invariant_available() IS
'Nothing is reserved twice: reserved is not negative, and not above on hand unless the SKU allows backorder. No rows when it holds. Example: SELECT * FROM storesync.invariant_available();';

CREATE FUNCTION storesync.invariant_reserved() RETURNS TABLE(invariant text, subject text, detail text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT 'reserved', storesync.place_name(sku_id, location_id),
		format('ledger has %s, order lines and reservations hold %s', coalesce(t.reserved, 0), coalesce(h.units, 0))
	FROM storesync.stock t
	FULL JOIN (SELECT u.sku_id, u.location_id, sum(u.units) AS units
			FROM (SELECT l.sku_id, l.location_id, l.reserved AS units FROM storesync.sales_order_line l
					WHERE l.reserved > 0 AND l.parts IS NULL
				UNION ALL SELECT p.sku_id, p.location_id, p.reserved
					FROM storesync.sales_order_line l
					CROSS JOIN LATERAL jsonb_to_recordset(l.parts) AS p (sku_id bigint, location_id int, reserved bigint)
					WHERE l.parts IS NOT NULL
				UNION ALL SELECT r.sku_id, r.location_id, r.qty FROM storesync.reservation r) u
			GROUP BY u.sku_id, u.location_id) h USING (sku_id, location_id)
	WHERE coalesce(t.reserved, 0) <> coalesce(h.units, 0)
$$;
COMMENT ON FUNCTION storesync.invariant_reserved() IS
'Reserved stock of each SKU and location is what order lines and direct reservations hold of it. No rows when it holds. Example: SELECT * FROM storesync.invariant_reserved();';

CREATE FUNCTION storesync.invariant_holder() RETURNS TABLE(invariant text, subject text, detail text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT 'holder', storesync.place_name(sku_id, location_id) || ' for "' || reference || '"',
		format('ledger has %s reserved, %s shipped, %s restocked by version %s; the holder has %s, %s, %s by version %s',
			coalesce(g.reserved, 0), coalesce(g.shipped, 0), coalesce(g.restocked, 0), coalesce(g.version, 0),
			coalesce(h.held, 0), coalesce(h.shipped, 0), coalesce(h.restocked, 0), coalesce(h.version, 0))
	FROM (SELECT x.sku_id, x.location_id, x.reference, max(x.version) AS version, sum(x.reserved) AS reserved,
				sum(x.shipped) AS shipped, sum(x.restocked) AS restocked
			FROM (SELECT l.sku_id, l.location_id, coalesce(l.reference, '') AS reference, l.version, l.reserved_delta AS reserved,
						CASE WHEN l.kind = 'ship' THEN -l.on_hand_delta ELSE 0 END AS shipped,
						CASE WHEN l.kind = 'restock' THEN l.on_hand_delta ELSE 0 END AS restocked
					FROM storesync.ledger l
					LEFT JOIN storesync.ledger_opening o ON o.sku_id = l.sku_id AND o.location_id = l.location_id
					WHERE l.order_id IS NULL AND l.kind IN ('reserve', 'release', 'ship', 'restock')
						AND l.version > coalesce(o.version, 0)
				UNION ALL SELECT p.sku_id, p.location_id, p.reference, p.version, p.reserved, p.shipped, p.restocked
					FROM storesync.holder_opening p) x
			GROUP BY x.sku_id, x.location_id, x.reference) g
	FULL JOIN storesync.holder h USING (sku_id, location_id, reference)
	WHERE coalesce(g.reserved, 0) <> coalesce(h.held, 0) OR coalesce(g.shipped, 0) <> coalesce(h.shipped, 0)
		OR coalesce(g.restocked, 0) <> coalesce(h.restocked, 0) OR g.version <> h.version
$$;
COMMENT ON FUNCTION storesync.invariant_holder() IS
'What direct calls hold, sent and took back by reference is what their ledger rows say, and is kept once. No rows when it holds. Example: SELECT * FROM storesync.invariant_holder();';

CREATE FUNCTION storesync.invariant_effect() RETURNS TABLE(invariant text, subject text, detail text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT 'effect', storesync.line_name(order_id, line_id),
		format('line has %s effects, %s reserved, %s shipped, %s restocked; its ledger rows %s, %s, %s, %s',
			coalesce(l.effects, 0), coalesce(l.reserved, 0), coalesce(l.shipped, 0), coalesce(l.restocked, 0),
			coalesce(g.effects, 0), coalesce(g.reserved, 0), coalesce(g.shipped, 0), coalesce(g.restocked, 0))
	FROM (SELECT x.order_id, x.line_id, x.effects, x.reserved, x.shipped, x.restocked
			FROM storesync.sales_order_line x WHERE x.parts IS NULL
		UNION ALL SELECT x.order_id, x.line_id, x.effects, p.reserved, p.shipped, p.back
			FROM storesync.sales_order_line x
			CROSS JOIN LATERAL (SELECT coalesce(sum(y.reserved), 0)::bigint AS reserved,
					coalesce(sum(y.shipped), 0)::bigint AS shipped, coalesce(sum(y.back), 0)::bigint AS back
				FROM jsonb_to_recordset(x.parts) AS y (reserved bigint, shipped bigint, back bigint)) p
			WHERE x.parts IS NOT NULL) l
	FULL JOIN (SELECT y.order_id, y.line_id, sum(y.effects) AS effects, sum(y.reserved)::bigint AS reserved,
				sum(y.shipped)::bigint AS shipped, sum(y.restocked)::bigint AS restocked
			FROM (SELECT x.order_id, x.reference AS line_id, 1 AS effects, x.reserved_delta AS reserved,
						CASE WHEN x.kind = 'ship' THEN -x.on_hand_delta ELSE 0 END AS shipped,
						CASE WHEN x.kind = 'restock' THEN x.on_hand_delta ELSE 0 END AS restocked
					FROM storesync.ledger x
					LEFT JOIN storesync.ledger_opening o ON o.sku_id = x.sku_id AND o.location_id = x.location_id
					WHERE x.order_id IS NOT NULL AND x.version > coalesce(o.version, 0)
				UNION ALL SELECT p.order_id, p.line_id, p.effects, p.reserved, p.shipped, p.restocked
					FROM storesync.line_opening p) y
			GROUP BY y.order_id, y.line_id) g USING (order_id, line_id)
	WHERE (coalesce(l.effects, 0) <> coalesce(g.effects, 0) OR coalesce(l.reserved, 0) <> coalesce(g.reserved, 0)
			OR coalesce(l.shipped, 0) <> coalesce(g.shipped, 0) OR coalesce(l.restocked, 0) <> coalesce(g.restocked, 0))
		-- of an order that has gone by age its last rows may be there yet
		AND (l.order_id IS NOT NULL OR NOT EXISTS (SELECT FROM storesync.retired r
				WHERE r.parent = 'sales_order_line' AND r.highest_order >= g.order_id)
			OR EXISTS (SELECT FROM storesync.sales_order t WHERE t.order_id = g.order_id))
$$;
COMMENT ON FUNCTION storesync.invariant_effect() IS
'Each order line has booked what its ledger rows say, those that have gone included, once: as many rows as effects, with its reserved, shipped and restocked units. No rows when it holds. Example: SELECT * FROM storesync.invariant_effect();';

CREATE FUNCTION storesync.invariant_key() RETURNS TABLE(invariant text, subject text, detail text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT 'key', g.key::text, format('%s ledger rows of %s', count(*), storesync.place_name(g.sku_id, g.location_id))
	FROM storesync.ledger g
	GROUP BY g.key, g.sku_id, g.location_id
	HAVING count(*) > 1
$$;
COMMENT ON FUNCTION storesync.invariant_key() IS
'One key moves the stock of a SKU at a location at most once. No rows when it holds. Example: SELECT * FROM storesync.invariant_key();';

CREATE FUNCTION storesync.invariant_transfer() RETURNS TABLE(invariant text, subject text, detail text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT 'transfer', g.key::text, format('%s ledger rows, %s units gained', count(*), sum(g.on_hand_delta))
	FROM storesync.ledger g
	WHERE g.kind = 'transfer'
	GROUP BY g.key
	HAVING (count(*) <> 2 OR sum(g.on_hand_delta) <> 0 OR min(g.sku_id) <> max(g.sku_id))
		-- the other half, recorded in the month before, may have gone by age
		AND NOT (count(*) = 1 AND EXISTS (SELECT FROM storesync.retired r
			WHERE r.parent = 'ledger' AND min(g.recorded_at) < r.through + '1 hour'::interval))
$$;
COMMENT ON FUNCTION storesync.invariant_transfer() IS
'A transfer is two ledger rows of one SKU: what left one location came to another. No rows when it holds. Example: SELECT * FROM storesync.invariant_transfer();';

-- Rows that only a caller's key can make. Answers go with their partitions, oldest keys first, so a row
-- whose key is older than all answers has none; releases may be a timer's or a count's.
CREATE FUNCTION storesync.invariant_answer() RETURNS TABLE(invariant text, subject text, detail text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT 'answer', storesync.place_name(g.sku_id, g.location_id),
		CASE WHEN i.key IS NULL THEN format('%s of version %s was never answered', g.kind, g.version)
			ELSE format('version %s: %s/%s was answered as %sversion %s: %s/%s', g.version, g.on_hand, g.reserved,
				CASE WHEN i.insufficient THEN 'insufficient at ' ELSE '' END, i.version, i.on_hand, i.reserved) END
	FROM storesync.ledger g
	LEFT JOIN storesync.idempotency i ON i.key OPERATOR(storesync.=) g.key
	WHERE g.order_id IS NULL
		AND (g.kind IN ('receive', 'reserve', 'release', 'ship', 'restock') OR (g.kind = 'transfer' AND g.on_hand_delta < 0))
		AND g.key OPERATOR(storesync.>=) (SELECT o.key FROM storesync.idempotency o
			ORDER BY o.key USING OPERATOR(storesync.<) LIMIT 1)
		AND CASE WHEN i.key IS NULL THEN g.kind <> 'release'
			ELSE i.insufficient OR g.version <> i.version OR g.on_hand <> i.on_hand OR g.reserved <> i.reserved END
	UNION ALL
	SELECT 'answer', 'key ' || i.key,
		format('version %s: %s/%s was answered, no row of the ledger says so', i.version, i.on_hand, i.reserved)
	FROM storesync.idempotency i
	WHERE NOT i.insufficient AND i.version > 0
		AND NOT EXISTS (SELECT FROM storesync.ledger g
			WHERE g.version = i.version AND g.on_hand = i.on_hand AND g.reserved = i.reserved)
$$;
COMMENT ON FUNCTION storesync.invariant_answer() IS
'A replay answers what happened: each movement that a caller made by a key has that key''s answer, with its version and balance, and each answer has a row of the ledger that says the same. No rows when it holds. Example: SELECT * FROM storesync.invariant_answer();';

-- Only broken lines are put in words: a list of values for each row would cost most of the time.
CREATE FUNCTION storesync.invariant_line() RETURNS TABLE(invariant text, subject text, detail text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT x.invariant, storesync.line_name(l.order_id, l.line_id),
		format('%s, %s: %s of %s live units reserved, %s shipped, %s restocked, %s lost, %s short', l.status, l.state,
			l.reserved, w.live, l.shipped, l.restocked, coalesce(l.lost, 0), l.short)
	FROM storesync.sales_order_line l
	CROSS JOIN LATERAL (SELECT
		CASE WHEN l.qty - l.cancelled_qty > 1000000000000 / l.pack THEN 1000000000000
			ELSE greatest(l.qty - l.cancelled_qty, 0) * l.pack END AS live,
		CASE WHEN l.qty > 1000000000000 / l.pack THEN 1000000000000 ELSE l.qty * l.pack END AS ordered,
		l.status IN ('shipped', 'completed', 'returned') AS gone) w
	CROSS JOIN LATERAL (SELECT
		l.shipped > w.ordered AS shipped,
		l.restocked + coalesce(l.lost, 0) > l.shipped AS restocked,
		CASE
			WHEN l.sku_id IS NULL OR l.state = 'kept' THEN l.reserved + l.shipped + l.short > 0
			WHEN l.shipped > 0 OR w.gone
				THEN l.reserved > 0 OR (w.gone AND l.shipped + l.short <> greatest(l.shipped, w.live))
			WHEN l.status = 'cancelled' THEN l.reserved > 0 OR (l.short > 0 AND l.returned_qty IS NULL)
			WHEN l.state = 'lapsed' THEN l.reserved + l.short > 0
			ELSE l.reserved + l.short <> w.live END AS booked,
		l.state <> (CASE
			WHEN l.state = 'kept' THEN 'kept'
			WHEN l.sku_id IS NULL AND l.state = 'lapsed' AND l.status = 'unpaid' AND w.live > 0 THEN 'lapsed'
			WHEN l.sku_id IS NULL
				THEN CASE WHEN w.live > 0 AND (l.status <> 'cancelled' OR l.returned_qty > 0) THEN 'parked' ELSE 'cancelled' END
			WHEN l.short > 0 THEN 'short'
			WHEN l.shipped > 0 THEN CASE WHEN l.restocked > 0 AND l.restocked + coalesce(l.lost, 0) = l.shipped THEN 'restocked' ELSE 'shipped' END
			WHEN l.reserved > 0 THEN 'reserved'
			WHEN l.status = 'unpaid' AND w.live > 0 THEN 'lapsed'
			ELSE 'cancelled' END)::storesync.line_state AS state) b
	CROSS JOIN LATERAL (VALUES ('line shipped', b.shipped), ('line restocked', b.restocked),
		('line booked', b.booked), ('line state', b.state)) x (invariant, broken)
	WHERE x.broken AND (b.shipped OR b.restocked OR b.booked OR b.state)
$$;
COMMENT ON FUNCTION storesync.invariant_line() IS
'Each order line has what its status and quantities want: reserved plus short, or shipped plus short, is the live quantity; shipped is never above ordered, restocked and lost together never above shipped; its state says so. No rows when it holds. Example: SELECT * FROM storesync.invariant_line();';

CREATE FUNCTION storesync.invariant_part() RETURNS TABLE(invariant text, subject text, detail text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT 'part', storesync.line_name(l.order_id, l.line_id),
		format('of SKU id %s its parts have %s reserved, %s shipped, %s back by %s; the line %s, %s, %s', p.sku_id,
			p.reserved, p.shipped, p.back, p.per, l.reserved, l.shipped, l.restocked)
	FROM storesync.sales_order_line l
	CROSS JOIN LATERAL (
		SELECT x.sku_id, max(x.per) AS per, coalesce(sum(x.reserved), 0) AS reserved, coalesce(sum(x.shipped), 0) AS shipped,
			coalesce(sum(x.back), 0) AS back,
			min(x.per) IS NULL OR min(x.per) < 1 OR min(x.per) <> max(x.per) OR count(*) <> count(DISTINCT x.location_id)
				AND count(*) > 1
				OR min(coalesce(x.reserved, 0)) < 0 OR min(coalesce(x.shipped, 0) - coalesce(x.back, 0)) < 0
				OR bool_or(x.location_id IS NULL AND coalesce(x.reserved, 0) + coalesce(x.shipped, 0) > 0) AS broken
		FROM jsonb_to_recordset(l.parts) AS x (sku_id bigint, location_id int, per bigint, reserved bigint, shipped bigint, back bigint)
		GROUP BY x.sku_id) p
	WHERE l.parts IS NOT NULL AND (p.broken OR p.reserved <> l.reserved * p.per OR p.shipped <> l.shipped * p.per
		OR p.back <> l.restocked * p.per OR l.location_id IS NOT NULL)
	UNION ALL
	SELECT 'part', storesync.line_name(p.order_id, p.line_id), 'its SKU or location does not exist: ' || storesync.place_name(p.sku_id, p.location_id)
	FROM storesync.sales_order_line l
	JOIN storesync.line_part p ON p.order_id = l.order_id AND p.line_id = l.line_id AND p.recorded_at = l.recorded_at
	WHERE l.parts IS NOT NULL AND (NOT EXISTS (SELECT FROM storesync.sku s WHERE s.sku_id = p.sku_id)
		OR (p.location_id IS NOT NULL AND NOT EXISTS (SELECT FROM storesync.location c WHERE c.location_id = p.location_id)))
$$;
COMMENT ON FUNCTION storesync.invariant_part() IS
'A line of several parts has of each SKU what its own quantities say: reserved, shipped and restocked times the units in one, each place once, at places that exist. No rows when it holds. Example: SELECT * FROM storesync.invariant_part();';

CREATE FUNCTION storesync.invariant_reference() RETURNS TABLE(invariant text, subject text, detail text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT 'reference', 'order ' || l.order_id || ' line ' || l.line_id, 'its order does not exist'
	FROM storesync.sales_order_line l
	WHERE NOT EXISTS (SELECT FROM storesync.sales_order o WHERE o.order_id = l.order_id AND o.recorded_at = l.recorded_at)
	UNION ALL
	SELECT 'reference', storesync.line_name(l.order_id, l.line_id), 'its SKU, location or store does not exist'
	FROM storesync.sales_order_line l
	LEFT JOIN storesync.store t ON t.store_id = l.store_id
	LEFT JOIN storesync.sku s ON s.sku_id = l.sku_id
	LEFT JOIN storesync.location c ON c.location_id = l.location_id
	WHERE t.store_id IS NULL OR (l.sku_id IS NOT NULL AND s.sku_id IS NULL)
		OR (l.location_id IS NOT NULL AND c.location_id IS NULL)
	UNION ALL
	SELECT 'reference', 'order ' || o.order_id, 'it has no lines'
	FROM storesync.sales_order o
	WHERE NOT EXISTS (SELECT FROM storesync.sales_order_line l WHERE l.order_id = o.order_id AND l.recorded_at = o.recorded_at)
	UNION ALL
	SELECT 'reference', storesync.place_name(k.sku_id, k.location_id), 'SKU or location does not exist'
	FROM storesync.stock_lock k
	LEFT JOIN storesync.sku s ON s.sku_id = k.sku_id
	LEFT JOIN storesync.location c ON c.location_id = k.location_id
	WHERE s.sku_id IS NULL OR c.location_id IS NULL
	UNION ALL
	SELECT 'reference', storesync.place_name(g.sku_id, g.location_id), 'ledger rows without a row to lock'
	FROM (SELECT l.sku_id, l.location_id FROM storesync.ledger l WHERE l.version = 1
		UNION ALL SELECT o.sku_id, o.location_id FROM storesync.ledger_opening o) g
	WHERE NOT EXISTS (SELECT FROM storesync.stock_lock k
		WHERE k.sku_id = g.sku_id AND k.location_id = g.location_id)
	UNION ALL
	SELECT 'reference', 'order ' || p.order_id || ' line ' || p.line_id, 'opening of an order that does not exist'
	FROM storesync.line_opening p
	WHERE NOT EXISTS (SELECT FROM storesync.sales_order o WHERE o.order_id = p.order_id)
$$;
COMMENT ON FUNCTION storesync.invariant_reference() IS
'What foreign keys would prove: lines have their order, store, SKU and location, orders have lines, stock has its SKU, location and lock row. No rows when it holds. Example: SELECT * FROM storesync.invariant_reference();';

CREATE FUNCTION storesync.invariant_catalog() RETURNS TABLE(invariant text, subject text, detail text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT 'catalog', 'store ' || t.store_id, 'its platform does not exist'
	FROM storesync.store t
	WHERE NOT EXISTS (SELECT FROM storesync.platform p WHERE p.platform = t.platform)
	UNION ALL
	SELECT 'catalog', 'listing ' || l.listing_id, 'its store or SKU does not exist'
	FROM storesync.listing l
	WHERE NOT EXISTS (SELECT FROM storesync.store t WHERE t.store_id = l.store_id)
		OR NOT EXISTS (SELECT FROM storesync.sku k WHERE k.sku_id = l.sku_id)
	UNION ALL
	SELECT 'catalog', 'store ' || z.store_id, 'it or location ' || z.location_id || ' does not exist'
	FROM storesync.store_location z
	WHERE NOT EXISTS (SELECT FROM storesync.store t WHERE t.store_id = z.store_id)
		OR NOT EXISTS (SELECT FROM storesync.location p WHERE p.location_id = z.location_id)
	UNION ALL
	SELECT 'catalog', format('listing %s, its %s', o.listing_id, o.facet), 'the listing does not exist, or is another store''s'
	FROM storesync.offer o
	WHERE NOT EXISTS (SELECT FROM storesync.listing l WHERE l.listing_id = o.listing_id AND l.store_id = o.store_id)
	UNION ALL
	SELECT 'catalog', format('listing %s, its campaign', p.listing_id), 'its price is to come back from another than it has'
	FROM storesync.planned_offer p
	WHERE p.action = 'back'
		AND NOT EXISTS (SELECT FROM storesync.listing l WHERE l.listing_id = p.listing_id AND l.price = p.campaign)
$$;
COMMENT ON FUNCTION storesync.invariant_catalog() IS
'Stores, listings, places of stores and prices of listings that point to nothing: what foreign keys would refuse, which a restore could not bear; and campaigns that are over and would yet end. No rows when it holds. Example: SELECT * FROM storesync.invariant_catalog();';

CREATE FUNCTION storesync.invariant_bundle() RETURNS TABLE(invariant text, subject text, detail text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT 'bundle', coalesce('SKU ' || k.code, 'SKU id ' || x.sku_id), x.detail
	FROM (
		SELECT s.sku_id, 'it is marked as a bundle and has no components, or the other way round' AS detail
		FROM storesync.sku s
		WHERE s.bundle <> EXISTS (SELECT FROM storesync.component c WHERE c.bundle_id = s.sku_id AND c.qty > 0)
		UNION ALL
		SELECT c.bundle_id, 'component ' || c.sku_id || ' or the bundle does not exist'
		FROM storesync.component c
		WHERE NOT EXISTS (SELECT FROM storesync.sku s WHERE s.sku_id = c.bundle_id)
			OR NOT EXISTS (SELECT FROM storesync.sku s WHERE s.sku_id = c.sku_id)
		UNION ALL
		SELECT c.bundle_id, 'its component ' || s.code || ' is a bundle'
		FROM storesync.component c JOIN storesync.sku s ON s.sku_id = c.sku_id
		WHERE s.bundle
		UNION ALL
		SELECT s.sku_id, 'it is a bundle and has stock of its own'
		FROM storesync.sku s
		WHERE s.bundle AND EXISTS (SELECT FROM storesync.ledger g WHERE g.sku_id = s.sku_id)) x
	LEFT JOIN storesync.sku k ON k.sku_id = x.sku_id
$$;
COMMENT ON FUNCTION storesync.invariant_bundle() IS
'A bundle has components, which exist and are no bundles, and no stock of its own. No rows when it holds. Example: SELECT * FROM storesync.invariant_bundle();';

CREATE FUNCTION storesync.invariant_shown() RETURNS TABLE(invariant text, subject text, detail text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT 'shown', 'listing ' || w.listing_id,
		format('version %s was acknowledged, the current one is %s', w.acked_version, l.revision + coalesce(v.versions, 0))
	FROM storesync.listing_shown w
	JOIN storesync.listing l ON l.listing_id = w.listing_id
	LEFT JOIN (SELECT u.sku_id, sum(t.version)::bigint AS versions
			FROM (SELECT k.sku_id, k.sku_id AS drawn FROM storesync.sku k
				UNION ALL SELECT c.bundle_id, c.sku_id FROM storesync.component c
					JOIN storesync.sku k ON k.sku_id = c.bundle_id WHERE k.bundle) u
			JOIN storesync.stock t ON t.sku_id = u.drawn
			GROUP BY u.sku_id) v ON v.sku_id = l.sku_id
	WHERE w.acked_version > l.revision + coalesce(v.versions, 0)
		AND w.acked_incarnation = (SELECT max(i.incarnation) FROM storesync.incarnation i)
$$;
COMMENT ON FUNCTION storesync.invariant_shown() IS
'No platform has acknowledged a version of a listing that does not exist yet (its revision plus the versions of its stock). No rows when it holds. Example: SELECT * FROM storesync.invariant_shown();';

-- What was folded and what waits to be folded is what the orders count for. Days of which orders may have
-- gone are left out, and all until the roll-ups have been made.
CREATE FUNCTION storesync.invariant_rollup() RETURNS TABLE(invariant text, subject text, detail text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
	WITH cursor AS MATERIALIZED (
		SELECT r.*, storesync.orders_kept_from() AS checked_from FROM storesync.roll_up_cursor r
		WHERE r.built_through IS NULL AND EXISTS (SELECT FROM storesync.consumer k WHERE k.name = 'rollup')),
	waiting AS MATERIALIZED (
		SELECT x.* FROM cursor c
		JOIN storesync.outbox o ON o.sale IS NOT NULL AND (o.incarnation > c.incarnation
			OR (o.incarnation = c.incarnation AND NOT pg_visible_in_snapshot(o.xid, c.snapshot)))
		CROSS JOIN LATERAL storesync.sale_changes(o.sale) x),
	said AS MATERIALIZED (
		SELECT o.store_id, o.create_time AS at, o.orders, o.units, o.amount, o.cancelled_orders, o.cancelled_units, o.returned_units
		FROM cursor c CROSS JOIN storesync.order_sale o
		UNION ALL
		SELECT w.store_id, w.at, -w.orders, -w.units, -w.amount, -w.cancelled_orders, -w.cancelled_units, -w.returned_units
		FROM waiting w WHERE w.sku_id IS NULL),
	day AS (
		SELECT x.store_id, x.day, sum(x.orders) AS orders, sum(x.units) AS units, sum(x.amount) AS amount,
			sum(x.cancelled_orders) AS cancelled_orders, sum(x.cancelled_units) AS cancelled_units, sum(x.returned_units) AS returned_units
		FROM (SELECT n.store_id, (n.at AT TIME ZONE s.timezone)::date AS day, n.orders, n.units, n.amount, n.cancelled_orders,
					n.cancelled_units, n.returned_units
				FROM said n JOIN storesync.store s ON s.store_id = n.store_id
			UNION ALL SELECT d.store_id, d.day, -d.orders, -d.units, -d.amount, -d.cancelled_orders, -d.cancelled_units, -d.returned_units
				FROM cursor c CROSS JOIN storesync.sales_day d) x
		GROUP BY x.store_id, x.day),
	hour AS (
		SELECT x.store_id, x.hour, sum(x.orders) AS orders, sum(x.units) AS units, sum(x.amount) AS amount
		FROM (SELECT n.store_id, date_trunc('hour', n.at, s.timezone) AS hour, n.orders, n.units, n.amount
				FROM said n JOIN storesync.store s ON s.store_id = n.store_id
			UNION ALL SELECT h.store_id, h.hour, -h.orders, -h.units, -h.amount FROM cursor c CROSS JOIN storesync.sales_hour h) x
		GROUP BY x.store_id, x.hour),
	month AS (
		SELECT x.sku_id, x.month, sum(x.sold) AS sold, sum(x.amount) AS amount
		FROM (SELECT l.sku_id, date_trunc('month', l.ordered_at AT TIME ZONE 'Asia/Taipei')::date AS month, l.sold, l.amount
				FROM cursor c CROSS JOIN storesync.line_sale l WHERE l.sku_id IS NOT NULL
			UNION ALL SELECT w.sku_id, date_trunc('month', w.at AT TIME ZONE 'Asia/Taipei')::date, -w.units, -w.amount
				FROM waiting w WHERE w.sku_id IS NOT NULL
			UNION ALL SELECT m.sku_id, m.month, -m.sold, -m.amount FROM cursor c CROSS JOIN storesync.sku_month m) x
		GROUP BY x.sku_id, x.month),
	delay AS (
		SELECT x.platform, x.day, storesync.delay_histogram(x.ms) FILTER (WHERE x.ms IS NOT NULL) AS said,
			storesync.delay_sum(x.histogram) FILTER (WHERE x.histogram IS NOT NULL) AS has
		FROM (SELECT s.platform, (o.create_time AT TIME ZONE 'Asia/Taipei')::date AS day,
					floor(extract(epoch FROM o.recorded_at - o.create_time) * 1000)::bigint AS ms, NULL::storesync.histogram AS histogram
				FROM cursor c CROSS JOIN storesync.sales_order o JOIN storesync.store s ON s.store_id = o.store_id WHERE o.stock_effect
			UNION ALL SELECT s.platform, (w.at AT TIME ZONE 'Asia/Taipei')::date, NULL, storesync.delay_histogram(w.delay_ms)
				FROM waiting w JOIN storesync.store s ON s.store_id = w.store_id WHERE w.delay_ms IS NOT NULL GROUP BY 1, 2
			UNION ALL SELECT d.platform, d.day, NULL, d.histogram FROM cursor c CROSS JOIN storesync.delay_day d WHERE d.stage = 'booked') x
		GROUP BY x.platform, x.day)
	SELECT 'roll-up', format('store %s, day %s', d.store_id, d.day),
		format('orders say %s orders, %s units, %s amount, %s and %s cancelled, %s returned more',
			d.orders, d.units, d.amount, d.cancelled_orders, d.cancelled_units, d.returned_units)
	FROM day d CROSS JOIN cursor c LEFT JOIN storesync.store s ON s.store_id = d.store_id
	WHERE (d.day > (c.checked_from AT TIME ZONE s.timezone)::date)
		AND (d.orders <> 0 OR d.units <> 0 OR d.amount <> 0 OR d.cancelled_orders <> 0 OR d.cancelled_units <> 0 OR d.returned_units <> 0)
	UNION ALL
	SELECT 'roll-up', format('store %s, hour %s', h.store_id, h.hour AT TIME ZONE 'UTC'),
		format('orders say %s orders, %s units, %s amount more', h.orders, h.units, h.amount)
	FROM hour h CROSS JOIN cursor c WHERE h.hour > c.checked_from AND (h.orders <> 0 OR h.units <> 0 OR h.amount <> 0)
	UNION ALL
	SELECT 'roll-up', format('SKU id %s, month %s', m.sku_id, m.month), format('orders say %s units, %s amount more', m.sold, m.amount)
	FROM month m CROSS JOIN cursor c
	WHERE m.month::timestamp AT TIME ZONE 'Asia/Taipei' >= c.checked_from AND (m.sold <> 0 OR m.amount <> 0)
	UNION ALL
	SELECT 'roll-up', format('delays of %s, day %s', d.platform, d.day),
		format('orders say %s, rolled up are %s', coalesce(storesync.delay_count(d.said), 0), coalesce(storesync.delay_count(d.has), 0))
	FROM delay d CROSS JOIN cursor c
	WHERE d.day::timestamp AT TIME ZONE 'Asia/Taipei' >= c.checked_from AND d.said::text IS DISTINCT FROM d.has::text
$$;
COMMENT ON FUNCTION storesync.invariant_rollup() IS
'The roll-ups, and the changes that wait in the outbox to be folded into them, are what the orders count for (order_sale, line_sale): by store and day, store and hour, SKU and month, and the delays of each platform and day until orders were booked. Days of which orders may have gone by age are left out. No rows when it holds. Example: SELECT * FROM storesync.invariant_rollup();';

-- Units times seconds, told another way than extension/stock_month.c does: of what was there at the end, all the
-- time, less each change for the time before it. Each join is of whole tables, as in check_invariants().
CREATE FUNCTION storesync.invariant_rollup_stock() RETURNS TABLE(invariant text, subject text, detail text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET jit = off SET enable_nestloop = off AS $$
	WITH span AS MATERIALIZED (
		SELECT r.through, CASE WHEN r.upto IS NULL THEN 0 ELSE r.last_sku END AS last_sku, coalesce(r.upto, r.through) AS upto,
			storesync.ledger_kept_from() AS kept_from, storesync.roll_up_stock_first()::timestamp AT TIME ZONE 'Asia/Taipei' AS first
		FROM storesync.roll_up_stock r WHERE greatest(r.through, r.upto) <= clock_timestamp() AND r.doing <> 'reset'),
	month AS MATERIALIZED (
		SELECT m.*, x.begins, y.known, m.stock_seconds + m.on_hand * extract(epoch FROM y.known - m.through)::bigint AS known_seconds
		FROM storesync.sku_month m
		CROSS JOIN span p
		CROSS JOIN LATERAL (
			SELECT m.month::timestamp AT TIME ZONE 'Asia/Taipei' AS begins, (m.month + '1 month'::interval)::timestamp AT TIME ZONE 'Asia/Taipei' AS ends) x
		CROSS JOIN LATERAL (SELECT least(CASE WHEN m.sku_id <= p.last_sku THEN p.upto ELSE p.through END, x.ends) AS known) y
		WHERE m.through IS NOT NULL AND x.begins >= p.kept_from),
	-- seconds: of its month, which is one without a change of clocks
	change AS (
		SELECT g.sku_id, date_trunc('month', x.local) AS month, g.kind, g.on_hand_delta,
			c.sellable::int * g.on_hand_delta AS on_hand, c.sellable::int * (g.on_hand_delta - g.reserved_delta) AS available,
			(date_part('day', x.local)::int - 1) * 86400 + floor(date_part('epoch', x.local::time))::int AS seconds
		FROM storesync.ledger g
		CROSS JOIN span p
		JOIN storesync.location c ON c.location_id = g.location_id
		CROSS JOIN LATERAL (SELECT g.recorded_at AT TIME ZONE 'Asia/Taipei' AS local) x
		WHERE g.recorded_at < CASE WHEN g.sku_id <= p.last_sku THEN p.upto ELSE p.through END AND g.recorded_at >= p.kept_from AND g.recorded_at >= p.first),
	said AS (
		SELECT c.sku_id, c.month::date AS month, coalesce(sum(c.on_hand_delta) FILTER (WHERE c.kind = 'receive'), 0) AS received,
			coalesce(-sum(c.on_hand_delta) FILTER (WHERE c.kind = 'ship'), 0) AS shipped,
			coalesce(sum(c.on_hand_delta) FILTER (WHERE c.kind = 'restock'), 0) AS returned,
			sum(c.on_hand) AS on_hand, sum(c.available) AS available, sum(c.on_hand * c.seconds) AS moved_seconds
		FROM change c
		GROUP BY c.sku_id, c.month)
	SELECT 'roll-up', format('SKU id %s, month %s', coalesce(m.sku_id, s.sku_id), coalesce(m.month, s.month)),
		format('it has %s stock seconds, %s received, %s shipped, %s returned, %s on hand, %s available; the ledger says otherwise',
			m.stock_seconds, m.received, m.shipped, m.returned, m.on_hand, m.available)
	FROM month m FULL JOIN said s ON s.sku_id = m.sku_id AND s.month = m.month
	LEFT JOIN month b ON b.sku_id = m.sku_id AND b.month = (m.month - '1 month'::interval)::date
	WHERE m.sku_id IS NULL
		OR (m.received, m.shipped, m.returned) IS DISTINCT FROM (coalesce(s.received, 0), coalesce(s.shipped, 0), coalesce(s.returned, 0))
		OR m.known_seconds <> m.on_hand * extract(epoch FROM m.known - m.begins)::bigint - coalesce(s.moved_seconds, 0)
		OR m.on_hand <> b.on_hand + coalesce(s.on_hand, 0) OR m.available <> b.available + coalesce(s.available, 0)
$$;
COMMENT ON FUNCTION storesync.invariant_rollup_stock() IS
'What sku_month has of the ledger, up to roll_up_stock.through, is what the ledger says: units received, shipped and returned, units on hand times seconds, and what was on hand and available at the end, from one month to the next. Months of which rows of the ledger may have gone by age are left out. Says nothing while the clock is behind `through` and while months are made once more; when the clock was set back, what it finds is mended by the next pass. No rows when it holds. Example: SELECT * FROM storesync.invariant_rollup_stock();';

-- Listings that come to show another SKU, and lines that are mapped late, change what pushed_delays() says of a
-- day that is final; what is compared here holds whatever they do.
CREATE FUNCTION storesync.invariant_rollup_pushed() RETURNS TABLE(invariant text, subject text, detail text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
	WITH pushed AS MATERIALIZED (
		SELECT d.platform, d.day, storesync.delay_count(d.histogram) AS orders, storesync.delay_percentile(d.histogram, 0) AS least,
			storesync.delay_percentile(d.histogram, 1) AS most
		FROM storesync.delay_day d
		WHERE d.stage = 'pushed' AND d.day::timestamp AT TIME ZONE 'Asia/Taipei' >= storesync.orders_kept_from()),
	booked AS (
		SELECT s.platform, (o.create_time AT TIME ZONE 'Asia/Taipei')::date AS day,
			storesync.delay_histogram(floor(extract(epoch FROM o.recorded_at - o.create_time) * 1000)::bigint) AS histogram
		FROM storesync.sales_order o JOIN storesync.store s ON s.store_id = o.store_id
		WHERE o.stock_effect AND o.create_time >= (SELECT min(p.day)::timestamp AT TIME ZONE 'Asia/Taipei' FROM pushed p)
		GROUP BY 1, 2)
	SELECT 'roll-up', format('pushes for orders of %s, day %s', p.platform, p.day),
		format('%s orders within %s to %s ms, there are %s, the first booked within %s ms', p.orders, p.least, p.most,
			coalesce(storesync.delay_count(b.histogram), 0), storesync.delay_percentile(b.histogram, 0))
	FROM pushed p LEFT JOIN booked b ON b.platform = p.platform AND b.day = p.day
	WHERE p.orders > coalesce(storesync.delay_count(b.histogram), 0) OR p.least < storesync.delay_percentile(b.histogram, 0)
		OR p.most > storesync.delay_percentile('172800000:1', 1)
$$;
COMMENT ON FUNCTION storesync.invariant_rollup_pushed() IS
'What delay_day has of stage pushed is possible: for each platform and day of not more orders than were created with stock effect, none sooner than the first of them was booked, none later than two days after it was created. Days of which orders may have gone by age are left out. No rows when it holds. Example: SELECT * FROM storesync.invariant_rollup_pushed();';

-- Statistics may be of when the tables were nearly empty: by those a nested loop over all answers and all
-- rows of the ledger looks cheap. Each join here is of whole tables.
CREATE FUNCTION storesync.check_invariants() RETURNS TABLE(invariant text, subject text, detail text)
LANGUAGE SQL STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	SET work_mem = '128MB' SET jit = off SET enable_nestloop = off AS $$
	SELECT * FROM storesync.invariant_ledger()
	UNION ALL SELECT * FROM storesync.invariant_sum()
	UNION ALL SELECT * FROM storesync.invariant_available()
	UNION ALL SELECT * FROM storesync.invariant_reserved()
	UNION ALL SELECT * FROM storesync.invariant_holder()
	UNION ALL SELECT * FROM storesync.invariant_effect()
	UNION ALL SELECT * FROM storesync.invariant_key()
	UNION ALL SELECT * FROM storesync.invariant_answer()
	UNION ALL SELECT * FROM storesync.invariant_transfer()
	UNION ALL SELECT * FROM storesync.invariant_line()
	UNION ALL SELECT * FROM storesync.invariant_part()
	UNION ALL SELECT * FROM storesync.invariant_reference()
	UNION ALL SELECT * FROM storesync.invariant_catalog()
	UNION ALL SELECT * FROM storesync.invariant_bundle()
	UNION ALL SELECT * FROM storesync.invariant_shown()
	UNION ALL SELECT * FROM storesync.invariant_rollup()
	UNION ALL SELECT * FROM storesync.invariant_rollup_stock()
	UNION ALL SELECT * FROM storesync.invariant_rollup_pushed()
	ORDER BY 1, 2, 3
$$;
COMMENT ON FUNCTION storesync.check_invariants() IS
'Everything that must always hold of stock, keys, orders and listings, from one snapshot: a row for each finding with the invariant, what it is about and what is wrong; no rows when all hold. Seconds for a million ledger rows. Example: SELECT * FROM storesync.check_invariants();';
