-- What must always hold (docs/invariant.md). Each function returns no row when it does; hot tables
-- carry no foreign keys, so these prove what foreign keys would.

CREATE FUNCTION storesync.place_name(sku_id bigint, location_id int) RETURNS text
LANGUAGE SQL STABLE AS $$
	SELECT coalesce((SELECT s.code FROM storesync.sku s WHERE s.sku_id = $1), 'SKU ' || $1) || ' at '
		|| coalesce((SELECT c.code FROM storesync.location c WHERE c.location_id = $2), 'location ' || $2)
$$;
COMMENT ON FUNCTION storesync.place_name(bigint, int) IS
'How findings name a SKU at a location: ''CODE at CODE''. Example: SELECT storesync.place_name(1, 1);';

CREATE FUNCTION storesync.line_name(order_id bigint, line_id text) RETURNS text
LANGUAGE SQL STABLE AS $$
	SELECT coalesce((SELECT t.platform || ' ' || t.shop_id || ' ' || o.order_sn
		FROM storesync.sales_order o JOIN storesync.store t ON t.store_id = o.store_id
		WHERE o.order_id = $1), 'order ' || $1) || ' line ' || $2
$$;
COMMENT ON FUNCTION storesync.line_name(bigint, text) IS
'How findings name a line of an order: platform, shop, order number, line. Example: SELECT storesync.line_name(1, ''1'');';

-- One sort of the ledger serves versions, chain and record times; only broken rows are put in words.
CREATE FUNCTION storesync.invariant_ledger() RETURNS TABLE(invariant text, subject text, detail text)
LANGUAGE SQL STABLE AS $$
	SELECT x.invariant, storesync.place_name(w.sku_id, w.location_id), x.detail
	FROM (SELECT g.sku_id, g.location_id, g.version, g.on_hand, g.reserved, g.on_hand_delta, g.reserved_delta,
				g.recorded_at, lag(g.version, 1, 0::bigint) OVER p AS version_before,
				lag(g.on_hand, 1, 0::bigint) OVER p AS on_hand_before,
				lag(g.reserved, 1, 0::bigint) OVER p AS reserved_before,
				lag(g.recorded_at) OVER p AS recorded_before
			FROM storesync.ledger g
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
$$;
COMMENT ON FUNCTION storesync.invariant_ledger() IS
'Per SKU and location: versions run from 1 without gaps, each balance is the one before plus the deltas, record times never fall. No rows when all hold. Example: SELECT * FROM storesync.invariant_ledger();';

CREATE FUNCTION storesync.invariant_sum() RETURNS TABLE(invariant text, subject text, detail text)
LANGUAGE SQL STABLE AS $$
	SELECT 'ledger sum', storesync.place_name(sku_id, location_id),
		format('deltas sum up to %s/%s, balance is %s/%s', g.on_hand, g.reserved, t.on_hand, t.reserved)
	FROM (SELECT l.sku_id, l.location_id, sum(l.on_hand_delta) AS on_hand, sum(l.reserved_delta) AS reserved
			FROM storesync.ledger l GROUP BY l.sku_id, l.location_id) g
	JOIN storesync.stock t USING (sku_id, location_id)
	WHERE t.on_hand <> g.on_hand OR t.reserved <> g.reserved
$$;
COMMENT ON FUNCTION storesync.invariant_sum() IS
'The stock of each SKU at each location is the sum of all its deltas. No rows when it holds. Example: SELECT * FROM storesync.invariant_sum();';

CREATE FUNCTION storesync.invariant_available() RETURNS TABLE(invariant text, subject text, detail text)
LANGUAGE SQL STABLE AS $$
	SELECT 'available', storesync.place_name(t.sku_id, t.location_id),
		format('%s on hand, %s reserved', t.on_hand, t.reserved)
	FROM storesync.stock t LEFT JOIN storesync.sku s ON s.sku_id = t.sku_id
	WHERE t.reserved < 0 OR (t.on_hand < t.reserved AND s.allow_backorder IS NOT TRUE)
$$;
COMMENT ON FUNCTION storesync.invariant_available() IS
'Nothing is reserved twice: reserved is not negative, and not above on hand unless the SKU allows backorder. No rows when it holds. Example: SELECT * FROM storesync.invariant_available();';

CREATE FUNCTION storesync.invariant_reserved() RETURNS TABLE(invariant text, subject text, detail text)
LANGUAGE SQL STABLE AS $$
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
LANGUAGE SQL STABLE AS $$
	SELECT 'holder', storesync.place_name(sku_id, location_id) || ' for "' || reference || '"',
		format('ledger has %s reserved, %s shipped, %s restocked by version %s; the holder has %s, %s, %s by version %s',
			coalesce(g.reserved, 0), coalesce(g.shipped, 0), coalesce(g.restocked, 0), coalesce(g.version, 0),
			coalesce(h.held, 0), coalesce(h.shipped, 0), coalesce(h.restocked, 0), coalesce(h.version, 0))
	FROM (SELECT l.sku_id, l.location_id, coalesce(l.reference, '') AS reference, max(l.version) AS version,
				sum(l.reserved_delta) AS reserved,
				coalesce(-sum(l.on_hand_delta) FILTER (WHERE l.kind = 'ship'), 0) AS shipped,
				coalesce(sum(l.on_hand_delta) FILTER (WHERE l.kind = 'restock'), 0) AS restocked
			FROM storesync.ledger l
			WHERE l.order_id IS NULL AND l.kind IN ('reserve', 'release', 'ship', 'restock')
			GROUP BY l.sku_id, l.location_id, coalesce(l.reference, '')) g
	FULL JOIN storesync.holder h USING (sku_id, location_id, reference)
	WHERE coalesce(g.reserved, 0) <> coalesce(h.held, 0) OR coalesce(g.shipped, 0) <> coalesce(h.shipped, 0)
		OR coalesce(g.restocked, 0) <> coalesce(h.restocked, 0) OR g.version <> h.version
$$;
COMMENT ON FUNCTION storesync.invariant_holder() IS
'What direct calls hold, sent and took back by reference is what their ledger rows say, and is kept once. No rows when it holds. Example: SELECT * FROM storesync.invariant_holder();';

CREATE FUNCTION storesync.invariant_effect() RETURNS TABLE(invariant text, subject text, detail text)
LANGUAGE SQL STABLE AS $$
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
	FULL JOIN (SELECT x.order_id, x.reference AS line_id, count(*) AS effects, sum(x.reserved_delta)::bigint AS reserved,
				coalesce(-sum(x.on_hand_delta) FILTER (WHERE x.on_hand_delta < 0), 0)::bigint AS shipped,
				coalesce(sum(x.on_hand_delta) FILTER (WHERE x.on_hand_delta > 0), 0)::bigint AS restocked
			FROM storesync.ledger x
			WHERE x.order_id IS NOT NULL
			GROUP BY x.order_id, x.reference) g USING (order_id, line_id)
	WHERE coalesce(l.effects, 0) <> coalesce(g.effects, 0) OR coalesce(l.reserved, 0) <> coalesce(g.reserved, 0)
		OR coalesce(l.shipped, 0) <> coalesce(g.shipped, 0) OR coalesce(l.restocked, 0) <> coalesce(g.restocked, 0)
$$;
COMMENT ON FUNCTION storesync.invariant_effect() IS
'Each order line has booked what its ledger rows say, once: as many rows as effects, with its reserved, shipped and restocked units. No rows when it holds. Example: SELECT * FROM storesync.invariant_effect();';

CREATE FUNCTION storesync.invariant_key() RETURNS TABLE(invariant text, subject text, detail text)
LANGUAGE SQL STABLE AS $$
	SELECT 'key', g.key::text, format('%s ledger rows of %s', count(*), storesync.place_name(g.sku_id, g.location_id))
	FROM storesync.ledger g
	GROUP BY g.key, g.sku_id, g.location_id
	HAVING count(*) > 1
$$;
COMMENT ON FUNCTION storesync.invariant_key() IS
'One key moves the stock of a SKU at a location at most once. No rows when it holds. Example: SELECT * FROM storesync.invariant_key();';

CREATE FUNCTION storesync.invariant_transfer() RETURNS TABLE(invariant text, subject text, detail text)
LANGUAGE SQL STABLE AS $$
	SELECT 'transfer', g.key::text, format('%s ledger rows, %s units gained', count(*), sum(g.on_hand_delta))
	FROM storesync.ledger g
	WHERE g.kind = 'transfer'
	GROUP BY g.key
	HAVING count(*) <> 2 OR sum(g.on_hand_delta) <> 0 OR min(g.sku_id) <> max(g.sku_id)
$$;
COMMENT ON FUNCTION storesync.invariant_transfer() IS
'A transfer is two ledger rows of one SKU: what left one location came to another. No rows when it holds. Example: SELECT * FROM storesync.invariant_transfer();';

-- Rows that only a caller's key can make. Answers go with their partitions, oldest keys first, so a row
-- whose key is older than all answers has none; releases may be a timer's or a count's.
CREATE FUNCTION storesync.invariant_answer() RETURNS TABLE(invariant text, subject text, detail text)
LANGUAGE SQL STABLE AS $$
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
LANGUAGE SQL STABLE AS $$
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
LANGUAGE SQL STABLE AS $$
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
LANGUAGE SQL STABLE AS $$
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
	FROM storesync.ledger g
	WHERE g.version = 1 AND NOT EXISTS (SELECT FROM storesync.stock_lock k
		WHERE k.sku_id = g.sku_id AND k.location_id = g.location_id)
$$;
COMMENT ON FUNCTION storesync.invariant_reference() IS
'What foreign keys would prove: lines have their order, store, SKU and location, orders have lines, stock has its SKU, location and lock row. No rows when it holds. Example: SELECT * FROM storesync.invariant_reference();';

CREATE FUNCTION storesync.invariant_catalog() RETURNS TABLE(invariant text, subject text, detail text)
LANGUAGE SQL STABLE AS $$
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
LANGUAGE SQL STABLE AS $$
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
LANGUAGE SQL STABLE AS $$
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
	ORDER BY 1, 2, 3
$$;
COMMENT ON FUNCTION storesync.check_invariants() IS
'Everything that must always hold of stock, keys, orders and listings, from one snapshot: a row for each finding with the invariant, what it is about and what is wrong; no rows when all hold. Seconds for a million ledger rows. Example: SELECT * FROM storesync.check_invariants();';
