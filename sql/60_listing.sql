-- What each listing should show, what its platform is believed to show, and the triggers that say
-- when an input of it has changed. docs/listing.md has the rules.

CREATE FUNCTION storesync.wanted_quantity(available bigint, safety bigint, share numeric, pack int,
	buffer bigint, cap bigint, max_quantity bigint) RETURNS bigint
	AS 'MODULE_PATHNAME', 'wanted_quantity' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION storesync.wanted_quantity(bigint, bigint, numeric, int, bigint, bigint, bigint) IS
'Sold units a listing should show: floor((available - safety) * share / pack) - buffer, between 0 and the smaller of cap (NULL: none) and max_quantity; available and safety in units of the SKU. Exact, rounds down only. NULL when an argument other than cap is. Error 22023 for a share outside 0..1, a pack below 1, a negative safety or buffer. Example: SELECT storesync.wanted_quantity(10, 1, 0.5, 2, 0, NULL, 1000); -- 2';

CREATE FUNCTION storesync.drawn_versions(sku bigint) RETURNS bigint
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT coalesce(sum(x.version), 0)::bigint FROM storesync.stock x
	WHERE x.sku_id = ANY (ARRAY(
		SELECT $1 UNION ALL
		SELECT c.sku_id FROM storesync.component c JOIN storesync.sku k ON k.sku_id = c.bundle_id
		WHERE c.bundle_id = $1 AND k.bundle))
$$;
COMMENT ON FUNCTION storesync.drawn_versions(bigint) IS
'The versions of all stock that a SKU''s listings draw on, summed up: what a listing''s version has beside its revision. Example: SELECT storesync.drawn_versions(1);';

CREATE FUNCTION storesync.clock_doubt() RETURNS interval
	AS 'MODULE_PATHNAME', 'clock_doubt' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION storesync.clock_doubt() IS
'The setting storesync.clock_doubt as an interval. Example: SELECT storesync.clock_doubt();';

CREATE FUNCTION storesync.max_fetch_age() RETURNS interval
	AS 'MODULE_PATHNAME', 'max_fetch_age' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION storesync.max_fetch_age() IS
'The setting storesync.max_fetch_age as an interval. Example: SELECT storesync.max_fetch_age();';

CREATE FUNCTION storesync.known_listing(listing bigint) RETURNS bigint
	AS 'MODULE_PATHNAME', 'known_listing' LANGUAGE C STABLE STRICT;
COMMENT ON FUNCTION storesync.known_listing(bigint) IS
'Its argument, or error SS004 when there is no such listing. Example: SELECT storesync.known_listing(1);';

-- A function, so that the lines of years are opened only where a write is due.
CREATE FUNCTION storesync.sold_lately(listing bigint, fetched_through timestamptz, OUT per_second numeric, OUT known bigint)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT (sum(x.qty) FILTER (WHERE x.ordered_at <= $2))::numeric / 60, (sum(x.qty) FILTER (WHERE x.ordered_at > $2))::bigint
	FROM storesync.sales_order_line x
	WHERE x.listing_id = $1 AND x.ordered_at > $2 - '1 minute'::interval AND x.recorded_at > $2 - '1 day'::interval
$$;
COMMENT ON FUNCTION storesync.sold_lately(bigint, timestamptz) IS
'Of a listing, in sold units: what its shop sold a second in the minute before a moment, and what is booked of later orders; NULL for nothing. Example: SELECT * FROM storesync.sold_lately(1, now());';

CREATE FUNCTION storesync.store_available(sku bigint, store int) RETURNS bigint
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE WHEN NOT k.bundle THEN (
			SELECT coalesce(sum(x.on_hand - x.reserved), 0)::bigint
			FROM storesync.stock x JOIN storesync.location y ON y.location_id = x.location_id
			WHERE x.sku_id = k.sku_id AND y.sellable
				AND (z.all_places OR y.location_id IN (SELECT e.location_id FROM storesync.store_location e WHERE e.store_id = $2)))
		ELSE (
			SELECT greatest(coalesce(min(h.units) FILTER (WHERE NOT m.allow_backorder), min(h.units)), 0)::bigint
			FROM storesync.component c
			JOIN storesync.sku m ON m.sku_id = c.sku_id
			CROSS JOIN LATERAL (
				SELECT floor((coalesce(sum(x.on_hand - x.reserved), 0) - m.safety_stock - (
						SELECT coalesce(sum(f.remaining), 0) FROM storesync.allotment_left f WHERE f.sku_id = c.sku_id)) / c.qty) AS units
				FROM storesync.stock x JOIN storesync.location y ON y.location_id = x.location_id
				WHERE x.sku_id = c.sku_id AND y.sellable
					AND (z.all_places OR y.location_id IN (SELECT e.location_id FROM storesync.store_location e WHERE e.store_id = $2))) h
			WHERE c.bundle_id = k.sku_id AND c.qty > 0) END
	FROM storesync.sku k
	CROSS JOIN (SELECT NOT EXISTS (SELECT FROM storesync.store_location e WHERE e.store_id = $2) AS all_places) z
	WHERE k.sku_id = $1
$$;
COMMENT ON FUNCTION storesync.store_available(bigint, int) IS
'Units of a SKU, or whole ones of a bundle, that may still be reserved where a store sells from; NULL for an unknown SKU. Example: SELECT storesync.store_available(1, 1);';

-- A store without places of its own is no key of g, so that its rows serve all such stores; a bundle
-- is looked into for bundles alone. OFFSET 0 keeps a term from being computed for each use.
--
-- Own orders are told from our writes by two clocks. By ours: an order booked before the write was
-- sent was placed before it, and the write has wiped it. By the platform's, which is doubted by
-- clock_doubt and cuts to whole seconds: later than the answer, it was placed after it. Between the
-- two nobody knows, and the listing counts as unknown until it is written again, unless nothing
-- was booked since (acked_version = version).
--
-- Who shows the last units (e) is looked for only where few are left, or none would be shown.
-- What may have been sold and is not fetched yet is looked for only where a write is due. No shop sells
-- more than it shows, but what it showed before a write that orders have not reached is forgotten.
--
-- A moment that lies ahead was noted by a clock that has been set back since; in truth it is behind us, and
-- counts as now.
CREATE VIEW storesync.listing_target AS
SELECT l.listing_id, l.store_id, l.sku_id, l.item_id, l.model_id, l.enabled,
	a.available, i.own AS allotted, i.others AS allotted_to_others, v.left_units, t.wanted, e.sole_id, h.reason AS stopped, t.version,
	w.acked_qty, w.acked_version, w.written_at, w.doubt_qty, w.sending_qty,
	coalesce(o.after_units, 0) AS ordered_after, coalesce(c.after_units, 0) AS cancelled_after,
	b.believed, b.at_most,
	l.enabled AND b.believed IS DISTINCT FROM t.wanted AS dirty,
	u.unseen, n.to_send,
	CASE WHEN b.believed = t.wanted OR t.wanted = 0 OR b.at_most - t.wanted > u.unseen THEN NULL
		WHEN b.believed < t.wanted AND n.to_send <= b.believed
			THEN least(q.fetched_through, statement_timestamp()) + least(s.poll_interval, '1 minute'::interval)
		ELSE least(greatest(statement_timestamp() - d.fetch_age, w.written_at), statement_timestamp()) END AS needs_fetch_after,
	q.fetched_through, r.per_second,
	CASE WHEN w.doubt_qty IS NULL AND w.sending_qty IS NULL AND w.acked_qty = t.wanted AND w.acked_version = t.version
		THEN least(w.written_at, statement_timestamp()) + d.doubt END AS not_before,
	EXISTS (SELECT FROM storesync.compensation x
		WHERE x.listing_id = l.listing_id AND x.version = t.version AND x.call = 'push_stock'
			AND (x.settled_at IS NULL OR x.settled_by LIKE 'discarded%')) AS dead,
	l.held, w.sent_at, CASE WHEN w.acked_incarnation NOT BETWEEN coalesce(d.origin, d.incarnation) AND d.incarnation THEN -1 ELSE w.acked_revision END AS acked_revision
FROM storesync.listing l
JOIN storesync.store s ON s.store_id = l.store_id
JOIN storesync.platform p ON p.platform = s.platform
JOIN storesync.sku k ON k.sku_id = l.sku_id
CROSS JOIN (SELECT storesync.clock_doubt() + '1 second'::interval AS doubt,
	storesync.max_fetch_age() AS fetch_age,
	storesync.current_incarnation() AS incarnation,
	(SELECT CASE WHEN max(x.incarnation) = storesync.current_incarnation()
		THEN max(x.incarnation) FILTER (WHERE x.reason <> 'promotion') END FROM storesync.incarnation x) AS origin) d
LEFT JOIN storesync.order_cursor q ON q.store_id = l.store_id
LEFT JOIN LATERAL (SELECT z.store_id FROM storesync.store_location z WHERE z.store_id = s.store_id LIMIT 1) z ON true
CROSS JOIN LATERAL (
	SELECT coalesce(sum(x.on_hand - x.reserved) FILTER (WHERE y.sellable AND (z.store_id IS NULL OR EXISTS (
			SELECT FROM storesync.store_location e WHERE e.store_id = z.store_id AND e.location_id = y.location_id))), 0)::bigint AS available,
		coalesce(sum(x.version), 0)::bigint AS versions
	FROM storesync.stock x JOIN storesync.location y ON y.location_id = x.location_id
	WHERE x.sku_id = l.sku_id) g
CROSS JOIN LATERAL (
	SELECT CASE WHEN NOT k.bundle THEN g.available ELSE (
		SELECT greatest(coalesce(min(h.units) FILTER (WHERE NOT m.allow_backorder), min(h.units)), 0)::bigint
		FROM storesync.component c
		JOIN storesync.sku m ON m.sku_id = c.sku_id
		CROSS JOIN LATERAL (
			SELECT floor((coalesce(sum(x.on_hand - x.reserved), 0) - m.safety_stock - (
					SELECT coalesce(sum(f.remaining), 0) FROM storesync.allotment_left f WHERE f.sku_id = c.sku_id)) / c.qty) AS units
			FROM storesync.stock x JOIN storesync.location y ON y.location_id = x.location_id
			WHERE x.sku_id = c.sku_id AND y.sellable AND (z.store_id IS NULL OR EXISTS (
				SELECT FROM storesync.store_location e WHERE e.store_id = z.store_id AND e.location_id = y.location_id))) h
		WHERE c.bundle_id = l.sku_id AND c.qty > 0) END AS available,
		CASE WHEN NOT k.bundle THEN g.versions ELSE (
			SELECT coalesce(sum(x.version), 0)::bigint FROM storesync.component c JOIN storesync.stock x ON x.sku_id = c.sku_id
			WHERE c.bundle_id = l.sku_id) END AS versions
	OFFSET 0) a
LEFT JOIN LATERAL (
	SELECT z.reason FROM storesync.selling_stop z
	WHERE (z.store_id IS NULL OR z.store_id = l.store_id)
		AND (z.sku_id IS NULL OR z.sku_id = l.sku_id OR z.sku_id IN (
			SELECT c.sku_id FROM storesync.component c WHERE k.bundle AND c.bundle_id = l.sku_id AND c.qty > 0))
	ORDER BY z.stop_id LIMIT 1) h ON true
LEFT JOIN LATERAL (
	SELECT sum(y.units) FILTER (WHERE y.listing_id <> l.listing_id)::bigint AS others,
		sum(y.units) FILTER (WHERE y.listing_id = l.listing_id)::bigint AS own
	FROM (
		SELECT f.listing_id, least(f.remaining, greatest(a.available - coalesce(sum(f.remaining) OVER (
			ORDER BY f.locked IS NULL, CASE WHEN f.locked IS NULL THEN f.since END, f.listing_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0), 0)) AS units
		FROM storesync.allotment_left f
		WHERE f.sku_id = l.sku_id) y) i ON true
CROSS JOIN LATERAL (
	SELECT a.available - coalesce(i.others, 0) - k.safety_stock AS left_units,
		storesync.wanted_quantity(a.available - coalesce(i.others, 0), k.safety_stock, l.share, l.pack, l.buffer, l.cap,
			p.max_quantity) AS quantity
	OFFSET 0) v
LEFT JOIN LATERAL (
	SELECT CASE WHEN v.left_units < k.solo_below OR max(m.quantity) = 0
		THEN (array_agg(m.listing_id ORDER BY m.priority DESC, m.listing_id))[1] END AS sole_id
	FROM (
		SELECT x.listing_id, y.priority,
			storesync.wanted_quantity(n.units, 0, x.share, x.pack, x.buffer, x.cap, f.max_quantity) AS quantity
		FROM storesync.listing x
		JOIN storesync.store y ON y.store_id = x.store_id
		JOIN storesync.platform f ON f.platform = y.platform
		CROSS JOIN LATERAL (
			SELECT CASE WHEN z.store_id IS NULL
					AND NOT EXISTS (SELECT FROM storesync.store_location e WHERE e.store_id = x.store_id) THEN v.left_units
				ELSE storesync.store_available(x.sku_id, x.store_id) - coalesce(i.others, 0) - k.safety_stock END
				+ coalesce((SELECT least(f.remaining, i.others) FROM storesync.allotment_left f
					WHERE i.others > 0 AND x.listing_id <> l.listing_id AND f.listing_id = x.listing_id), 0)
				- CASE WHEN x.listing_id = l.listing_id THEN 0 ELSE coalesce(i.own, 0) END AS units
			OFFSET 0) n
		WHERE x.sku_id = l.sku_id AND x.enabled AND x.held IS NULL AND y.mode = 'live' AND NOT y.paused
			AND n.units >= x.pack AND x.cap IS DISTINCT FROM 0
			AND NOT EXISTS (SELECT FROM storesync.selling_stop j
				WHERE (j.store_id IS NULL OR j.store_id = x.store_id)
					AND (j.sku_id IS NULL OR j.sku_id = x.sku_id))) m
	WHERE k.solo_below > 0 AND v.left_units > 0 AND (v.left_units < k.solo_below OR v.quantity = 0)) e ON true
CROSS JOIN LATERAL (
	SELECT CASE WHEN l.held IS NOT NULL OR h.reason IS NOT NULL THEN 0
			WHEN e.sole_id IS NULL THEN v.quantity
			WHEN e.sole_id <> l.listing_id THEN 0
			ELSE storesync.wanted_quantity(v.left_units, 0, 1, l.pack, 0, l.cap, p.max_quantity)
			END AS wanted,
		l.revision + a.versions AS version
	OFFSET 0) t
LEFT JOIN storesync.listing_shown w ON w.listing_id = l.listing_id
LEFT JOIN LATERAL (
	SELECT sum(x.qty) FILTER (WHERE x.ordered_at > w.written_at + d.doubt)::bigint AS after_units,
		bool_or(x.ordered_at <= w.written_at + d.doubt) AS unsure
	FROM storesync.sales_order_line x
	WHERE x.listing_id = l.listing_id AND x.recorded_at > w.sent_at
		AND x.ordered_at > w.sent_at - d.doubt) o ON true
LEFT JOIN LATERAL (
	SELECT sum(x.cancelled_qty)::bigint AS units,
		sum(x.cancelled_qty) FILTER (WHERE x.cancelled_at > w.written_at + d.doubt)::bigint AS after_units,
		bool_or(x.cancelled_at <= w.written_at + d.doubt) AS unsure
	FROM storesync.sales_order_line x
	WHERE p.returns_on_cancel IS NOT FALSE AND x.listing_id = l.listing_id AND x.cancelled_qty > 0 AND x.shipped = 0
		AND x.cancelled_at > w.sent_at - d.doubt) c ON true
CROSS JOIN LATERAL (
	SELECT f.believed, greatest(w.sending_qty, CASE WHEN w.doubt_qty IS NOT NULL THEN w.doubt_qty
		ELSE coalesce(f.believed, w.acked_qty + coalesce(c.units, 0)) END) AS at_most
	FROM (SELECT CASE WHEN w.listing_id IS NULL OR w.doubt_qty IS NOT NULL OR w.sending_qty IS NOT NULL OR w.acked_incarnation <> d.incarnation
				OR (w.acked_version <> t.version AND (o.unsure OR c.unsure))
				OR (p.returns_on_cancel IS NULL AND c.after_units > 0) THEN NULL
			ELSE greatest(w.acked_qty - coalesce(o.after_units, 0) + coalesce(c.after_units, 0), 0) END AS believed) f
	OFFSET 0) b
LEFT JOIN LATERAL (
	SELECT x.per_second, x.known FROM storesync.sold_lately(l.listing_id, q.fetched_through) x
	WHERE b.believed IS DISTINCT FROM t.wanted
	OFFSET 0) r ON true
CROSS JOIN LATERAL (
	SELECT greatest(least(coalesce(round(r.per_second * extract(epoch FROM statement_timestamp() - q.fetched_through))
		- coalesce(r.known, 0), 0), CASE WHEN w.written_at < q.fetched_through THEN b.at_most END), 0)::bigint AS unseen
	OFFSET 0) u
CROSS JOIN LATERAL (
	SELECT CASE WHEN t.wanted = 0 OR u.unseen = 0 THEN t.wanted
		WHEN e.sole_id IS NULL
			THEN storesync.wanted_quantity(v.left_units, 0, l.share, l.pack, l.buffer + u.unseen, l.cap, p.max_quantity)
		ELSE storesync.wanted_quantity(v.left_units, 0, 1, l.pack, u.unseen, l.cap, p.max_quantity)
		END AS to_send) n;
COMMENT ON VIEW storesync.listing_target IS
'Per listing, in sold units: wanted; allotted and allotted_to_others, what remains of units set aside for it and for others as far as the stock covers it, those that platforms keep locked and then the oldest first, in units of the SKU (NULL: nothing); left_units, available less that of others and safety stock, in units of the SKU; sole_id, the one listing of the SKU that shows its last units (NULL: each shows its own part); stopped, the reason of a stop_selling() that holds it at 0; version (its revision plus the versions of all stock it draws on); believed, what the platform is thought to show (last acknowledged, less own units ordered after that write, plus own units cancelled after it; NULL: unknown); at_most, the most it may show (NULL: never acknowledged); dirty: enabled and believed is not wanted; unseen: units that its shop has probably sold since its store''s orders were fetched through fetched_through (per_second, its own of the minute before that, less those known already; 0 where nothing has to be written); to_send: what a write has to say, wanted before its bounds less unseen; needs_fetch_after: a write that may raise what the shop shows waits until orders are fetched through this moment and one after the change (NULL: may go now); not_before: a write of the same again has to wait until then; dead: refused for good or discarded at this version; held: why nothing but 0 is sent; sent_at, acked_revision: of the last acknowledgement, -1 for one of another incarnation, unless promotions alone lie between.';

CREATE FUNCTION storesync.listing_terms(listings bigint[], OUT listing_id bigint, OUT direct boolean, OUT version bigint,
	OUT wanted bigint, OUT believed bigint, OUT at_most bigint, OUT dirty boolean, OUT due boolean, OUT unseen bigint,
	OUT to_send bigint, OUT needs_fetch_after timestamptz, OUT not_before timestamptz, OUT stopped boolean)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'listing_terms' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION storesync.listing_terms(bigint[]) IS
'What the dispatcher makes of listings: the terms of the view listing_target by the same names, due (dirty and not dead), and direct: read without the view, whose plan takes long to start. Listings that do not exist have no row. Error 22004 for a NULL among them. Example: SELECT * FROM storesync.listing_terms(ARRAY[1, 2]);';

CREATE VIEW storesync.listing_status AS
SELECT t.listing_id, t.store_id, s.platform, s.name AS store, k.code AS sku, t.item_id, t.model_id,
	CASE WHEN NOT t.enabled THEN 'disabled' WHEN t.dead AND t.dirty THEN 'dead' WHEN t.doubt_qty IS NOT NULL THEN 'in doubt'
		WHEN t.sending_qty IS NOT NULL THEN 'sending'
		WHEN t.stopped IS NOT NULL AND NOT t.dirty THEN 'stopped' WHEN l.held IS NOT NULL AND NOT t.dirty THEN 'held'
		WHEN t.dirty AND EXISTS (SELECT FROM storesync.breaker_listing b WHERE b.listing_id = t.listing_id AND NOT b.passed) THEN 'held by breaker'
		WHEN t.dirty AND EXISTS (SELECT FROM storesync.drift d WHERE d.listing_id = t.listing_id AND d.state IN ('proposed', 'rejected')) THEN 'proposed'
		WHEN t.dirty AND w.put_off_at > w.written_at THEN 'put off'
		WHEN t.dirty THEN 'dirty' ELSE 'ok' END AS state,
	t.available, t.wanted, t.believed, t.at_most, t.dirty, t.version,
	t.acked_qty, t.acked_version, t.written_at, l.held, t.stopped,
	l.price, y.acked AS price_shown, coalesce(y.state, 'unknown') AS price_state,
	l.listed, z.acked = 1 AS listed_shown, coalesce(z.state, 'unknown') AS listed_state
FROM storesync.listing_target t
LEFT JOIN storesync.listing_shown w ON w.listing_id = t.listing_id
JOIN storesync.listing l ON l.listing_id = t.listing_id
JOIN storesync.store s ON s.store_id = t.store_id
JOIN storesync.sku k ON k.sku_id = t.sku_id
LEFT JOIN storesync.offer_state y ON y.listing_id = t.listing_id AND y.facet = 'price'
LEFT JOIN storesync.offer_state z ON z.listing_id = t.listing_id AND z.facet = 'listed';
COMMENT ON VIEW storesync.listing_status IS
'For people: each listing with its state (disabled, dead, in doubt, sending, stopped, held, held by breaker, proposed: what compensate() found has to be confirmed, put off: refused by the platform for the moment, dirty, ok), the quantity wanted, believed and last acknowledged, in sold units; price and listed with what was last acknowledged of them and their states (unknown: never written here). explain(listing) has every term.';

-- Versions bound the rows from below: of all stock that a listing draws on, no more than n rows were
-- added since, so at each place none of them is older than the newest n. What was read from a shop
-- has no version (0), and what was acknowledged in another life of the data has one that means nothing (revision
-- -1): the time alone tells.
CREATE FUNCTION storesync.breaker_moves(listing bigint, version bigint, revision bigint, since timestamptz,
	OUT shaped boolean, OUT sold bigint, OUT received bigint, OUT counted boolean, OUT released boolean, OUT freed boolean)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT l.shaped > $3,
		coalesce(ceil(max((m.sold + o.short) / d.per) / l.pack), 0)::bigint,
		coalesce(ceil(max(m.received / d.per) / l.pack), 0)::bigint,
		coalesce(bool_or(m.counted), false), coalesce(bool_or(m.released), false), l.freed > $3
	FROM storesync.listing l
	JOIN storesync.sku k ON k.sku_id = l.sku_id
	CROSS JOIN LATERAL (SELECT storesync.drawn_versions(l.sku_id) - CASE WHEN $3 < 0 THEN 0 ELSE $2 - $3 END AS n OFFSET 0) z
	CROSS JOIN LATERAL (
		SELECT l.sku_id, 1::numeric AS per WHERE NOT k.bundle
		UNION ALL
		SELECT c.sku_id, c.qty FROM storesync.component c WHERE k.bundle AND c.bundle_id = l.sku_id AND c.qty > 0) d
	CROSS JOIN LATERAL (
		SELECT greatest(coalesce(sum(g.reserved_delta - g.on_hand_delta) FILTER (WHERE g.kind IN ('reserve', 'ship', 'release')), 0), 0) AS sold,
			coalesce(sum(g.on_hand_delta) FILTER (WHERE g.kind IN ('receive', 'restock')), 0) AS received,
			bool_or(g.kind IN ('adjust', 'transfer')) AS counted,
			bool_or(g.kind = 'release') AS released
		FROM storesync.stock x
		JOIN storesync.location y ON y.location_id = x.location_id AND y.sellable
		JOIN storesync.ledger g ON g.sku_id = x.sku_id AND g.location_id = x.location_id
			AND g.version > x.version - z.n AND g.recorded_at > $4 - CASE WHEN $2 > 0 AND $3 >= 0 THEN '1 minute'::interval ELSE '0' END
		WHERE x.sku_id = d.sku_id) m
	CROSS JOIN LATERAL (
		SELECT coalesce(sum(x.short), 0) AS short FROM storesync.sales_order_line x
		WHERE x.sku_id = d.sku_id AND x.short > 0 AND x.recorded_at > $4) o
	WHERE l.listing_id = $1
	GROUP BY l.listing_id, l.shaped, l.freed, l.pack
$$;
COMMENT ON FUNCTION storesync.breaker_moves(bigint, bigint, bigint, timestamptz) IS
'What has moved a listing since the given version and revision of it, at the moment since: shaped, its policy, mapping or another input that is no stock changed; in sold units, rounded up, sold (reserved, shipped or short less released, of a bundle of its scarcest component) and received; counted, a count or transfer was booked; released, a reservation was given back; freed, a stop or hold of it has ended. Sellable locations alone. Example: SELECT * FROM storesync.breaker_moves(1, 5, 1, now() - ''1 hour''::interval);';

CREATE FUNCTION storesync.explain(listing bigint) RETURNS TABLE(term text, value text)
LANGUAGE SQL STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
	SELECT x.term, x.value
	FROM storesync.listing_target t
	JOIN storesync.listing l ON l.listing_id = t.listing_id
	JOIN storesync.store s ON s.store_id = l.store_id
	JOIN storesync.platform p ON p.platform = s.platform
	JOIN storesync.sku k ON k.sku_id = l.sku_id
	LEFT JOIN storesync.listing_shown w ON w.listing_id = l.listing_id
	LEFT JOIN LATERAL (
		SELECT CASE WHEN h.is_present THEN f.qty END AS qty, CASE WHEN h.is_present THEN f.verified_at END AS verified_at, f.failed_at, f.failure
		FROM storesync.verification f
		CROSS JOIN LATERAL (SELECT f.incarnation = storesync.current_incarnation() AS is_present) h
		WHERE f.listing_id = l.listing_id) v ON true
	LEFT JOIN LATERAL (
		SELECT h.at, m.sold
		FROM storesync.breaker_listing h
		CROSS JOIN LATERAL storesync.breaker_moves(h.listing_id, t.acked_version, t.acked_revision, t.sent_at) m
		WHERE h.listing_id = l.listing_id AND NOT h.passed) b ON true
	LEFT JOIN storesync.offer_state y ON y.listing_id = l.listing_id AND y.facet = 'price'
	LEFT JOIN storesync.offer_state z ON z.listing_id = l.listing_id AND z.facet = 'listed'
	CROSS JOIN LATERAL (VALUES
		(1, 'sku', k.code),
		(2, 'store', pg_catalog.format('%s %s (%s)', s.platform, s.shop_id, CASE WHEN s.paused THEN 'paused' ELSE s.mode END)),
		(3, 'available', t.available::text),
		(4, 'allotted', t.allotted::text),
		(5, 'allotted to others', t.allotted_to_others::text),
		(6, 'safety stock', k.safety_stock::text),
		(7, 'left', t.left_units::text),
		(8, 'share', l.share::text),
		(9, 'pack', l.pack::text),
		(10, 'buffer', l.buffer::text),
		(11, 'cap', l.cap::text),
		(12, 'largest quantity of the platform', p.max_quantity::text),
		(13, 'last units below', nullif(k.solo_below, 0)::text),
		(14, 'shown alone by', CASE WHEN t.sole_id = t.listing_id THEN 'this listing' ELSE 'listing ' || t.sole_id END),
		(15, 'held', l.held),
		(16, 'stopped', t.stopped),
		(17, 'enabled', l.enabled::text),
		(18, 'wanted', t.wanted::text),
		(19, 'revision', l.revision::text),
		(20, 'version', t.version::text),
		(21, 'acknowledged', w.acked_qty::text),
		(22, 'acknowledged version', w.acked_version::text),
		(23, 'sent at', w.sent_at::text),
		(24, 'acknowledged at', w.written_at::text),
		(25, 'ordered after', t.ordered_after::text),
		(26, 'cancelled after', t.cancelled_after::text),
		(27, 'in doubt up to', w.doubt_qty::text),
		(28, 'being sent', w.sending_qty::text),
		(29, 'believed', t.believed::text),
		(30, 'read back', w.read_qty::text),
		(31, 'read back at', w.read_at::text),
		(32, 'verified', v.qty::text),
		(33, 'verified at', v.verified_at::text),
		(34, 'could not be verified', CASE WHEN v.failed_at IS NOT NULL THEN concat_ws(', ', v.failed_at, v.failure) END),
		(35, 'dirty', t.dirty::text),
		(36, 'orders fetched through', t.fetched_through::text),
		(37, 'units a second', round(t.per_second, 3)::text),
		(38, 'unseen', t.unseen::text),
		(39, 'to send', t.to_send::text),
		(40, 'waits for orders through', CASE WHEN t.dirty THEN t.needs_fetch_after::text END),
		(41, 'dead', t.dead::text),
		(42, 'held by the breaker since', b.at::text),
		(43, 'sold since the acknowledgement', b.sold::text),
		(44, 'put off since', CASE WHEN t.dirty AND w.put_off_at > w.written_at THEN concat_ws(', ', w.put_off_at, w.put_off) END),
		(45, 'price', trim_scale(l.price)::text),
		(46, 'price shown', y.acked::text),
		(47, 'price state', y.state),
		(48, 'listed', l.listed::text),
		(49, 'listed shown', (z.acked = 1)::text),
		(50, 'listed state', z.state)) AS x(place, term, value)
	WHERE t.listing_id = storesync.known_listing($1)
	ORDER BY x.place
$$;
COMMENT ON FUNCTION storesync.explain(bigint) IS
'Every term of what a listing should show and is believed to show, as rows (term, value), in the order of the arithmetic; quantities in sold units, available and safety stock in units of the SKU. verified: what compensate() last read in the shop, in this life of the data. Error SS004 for an unknown listing. Example: SELECT * FROM storesync.explain(1);';

CREATE FUNCTION storesync.release_hold(listing bigint) RETURNS boolean
	AS 'MODULE_PATHNAME', 'release_hold' LANGUAGE C STRICT;
COMMENT ON FUNCTION storesync.release_hold(bigint) IS
'Let a held listing show its quantity again. True when it was held. Error SS004 for an unknown listing. Example: SELECT storesync.release_hold(1);';

CREATE FUNCTION storesync.tell_siblings(listings bigint[], them boolean DEFAULT false) RETURNS void
	AS 'MODULE_PATHNAME', 'tell_siblings' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION storesync.tell_siblings(bigint[], boolean) IS
'Has the other listings of the SKUs of these listings compared, where a change of one may move who shows the last units; them: they have no new revision yet and get one, too. For storesync''s own triggers and functions.';

CREATE FUNCTION storesync.listing_revise() RETURNS trigger AS 'MODULE_PATHNAME', 'listing_revise' LANGUAGE C;
COMMENT ON FUNCTION storesync.listing_revise() IS 'Raises listing.revision with every change and never lets it fall.';
CREATE FUNCTION storesync.listing_changed() RETURNS trigger AS 'MODULE_PATHNAME', 'listing_changed' LANGUAGE C;
COMMENT ON FUNCTION storesync.listing_changed() IS 'One outbox row of kind listing for each listing an UPDATE changed, and one of kind stock for each SKU whose last units may be shown by another listing now.';
CREATE FUNCTION storesync.listing_renamed() RETURNS trigger AS 'MODULE_PATHNAME', 'listing_renamed' LANGUAGE C;
COMMENT ON FUNCTION storesync.listing_renamed() IS 'Forgets what a listing showed when it comes to stand for another item.';
CREATE FUNCTION storesync.sku_changed() RETURNS trigger AS 'MODULE_PATHNAME', 'sku_changed' LANGUAGE C;
COMMENT ON FUNCTION storesync.sku_changed() IS 'One outbox row of kind stock for each SKU whose safety_stock, allow_backorder or solo_below changed; its bundles follow it.';
CREATE FUNCTION storesync.location_changed() RETURNS trigger AS 'MODULE_PATHNAME', 'location_changed' LANGUAGE C;
COMMENT ON FUNCTION storesync.location_changed() IS 'An outbox row of kind platform when sellable changed: every listing is computed again.';
CREATE FUNCTION storesync.store_changed() RETURNS trigger AS 'MODULE_PATHNAME', 'store_changed' LANGUAGE C;
COMMENT ON FUNCTION storesync.store_changed() IS 'One outbox row of kind store for each store that changed, and one of kind stock for each SKU whose last units may be shown by another listing now.';
CREATE FUNCTION storesync.platform_changed() RETURNS trigger AS 'MODULE_PATHNAME', 'platform_changed' LANGUAGE C;
COMMENT ON FUNCTION storesync.platform_changed() IS 'An outbox row of kind platform when a platform changed.';

CREATE TRIGGER listing_revise BEFORE UPDATE ON storesync.listing
	FOR EACH ROW EXECUTE FUNCTION storesync.listing_revise();
CREATE TRIGGER listing_changed AFTER UPDATE ON storesync.listing
	REFERENCING OLD TABLE AS before NEW TABLE AS after
	FOR EACH STATEMENT EXECUTE FUNCTION storesync.listing_changed();
CREATE CONSTRAINT TRIGGER listing_renamed AFTER UPDATE OF store_id, item_id, model_id ON storesync.listing
	DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
	WHEN ((OLD.store_id, OLD.item_id, OLD.model_id) IS DISTINCT FROM (NEW.store_id, NEW.item_id, NEW.model_id))
	EXECUTE FUNCTION storesync.listing_renamed();
CREATE TRIGGER sku_changed AFTER UPDATE ON storesync.sku
	REFERENCING OLD TABLE AS before NEW TABLE AS after
	FOR EACH STATEMENT EXECUTE FUNCTION storesync.sku_changed();
CREATE TRIGGER location_changed AFTER UPDATE ON storesync.location
	REFERENCING OLD TABLE AS before NEW TABLE AS after
	FOR EACH STATEMENT EXECUTE FUNCTION storesync.location_changed();
CREATE TRIGGER store_changed AFTER UPDATE ON storesync.store
	REFERENCING OLD TABLE AS before NEW TABLE AS after
	FOR EACH STATEMENT EXECUTE FUNCTION storesync.store_changed();
CREATE TRIGGER platform_changed AFTER UPDATE ON storesync.platform
	REFERENCING OLD TABLE AS before NEW TABLE AS after
	FOR EACH STATEMENT EXECUTE FUNCTION storesync.platform_changed();
