-- Units of a SKU set aside for one listing (docs/allotment.md). Before listings: their view reads it.

-- A function, so that the lines of years are opened only where something is set aside. An order counts
-- when it was placed and booked since; platforms' order times come in whole seconds.
CREATE FUNCTION storesync.ordered_since(listing bigint, since timestamptz) RETURNS bigint
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT coalesce(sum((x.qty - x.cancelled_qty) * x.pack) FILTER (WHERE x.state NOT IN ('cancelled', 'lapsed')), 0)::bigint
	FROM storesync.sales_order_line x
	WHERE x.listing_id = $1 AND x.ordered_at >= date_trunc('second', $2) AND x.recorded_at > $2
$$;
COMMENT ON FUNCTION storesync.ordered_since(bigint, timestamptz) IS
'Units of the SKU that orders of a listing placed and booked since a moment want, cancelled ones left out. Example: SELECT storesync.ordered_since(1, now() - interval ''1 hour'');';

CREATE VIEW storesync.allotment_left AS
SELECT a.listing_id, a.sku_id, a.units,
	greatest(
		CASE WHEN a.until IS NULL OR a.until > statement_timestamp() THEN a.units - storesync.ordered_since(a.listing_id, a.since) END,
		a.locked - storesync.ordered_since(a.listing_id, a.locked_at), 0) AS remaining,
	a.since, a.until, a.locked, a.locked_at
FROM storesync.allotment a
JOIN storesync.listing l ON l.listing_id = a.listing_id AND l.sku_id = a.sku_id
WHERE a.locked IS NOT NULL OR a.until IS NULL OR a.until > statement_timestamp();
COMMENT ON VIEW storesync.allotment_left IS
'Units set aside for listings, in units of the SKU: units, as allotted by hand at since; locked, as a platform was seen to keep them for a promotion at locked_at; remaining, the larger of both less what the listing''s own orders since then have taken (cancelled ones come back); until: when the rest of what was allotted by hand flows back, NULL for never. Not those of a listing that sells another SKU by now.';

CREATE FUNCTION storesync.allot(listing bigint, qty bigint, key storesync.idempotency_key, until timestamptz DEFAULT NULL)
	RETURNS storesync.movement_result
	AS 'MODULE_PATHNAME', 'allot' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.allot(bigint, bigint, storesync.idempotency_key, timestamptz) IS
'Sets qty units of a listing''s SKU aside for it, from now until the given moment (NULL: for good), in place of what it had by hand; 0 ends it. What a platform keeps locked of it (reserve_seen) stays. Its own orders placed from now on use them first, the other listings of the SKU show less by what remains. Answer: outcome applied, replayed, or insufficient when qty is more than is available (where its store sells from) less what remains set aside for others: then nothing changed, and the key keeps that answer; on_hand and reserved of the SKU there; available: units that nobody has reserved and nothing is set aside of, after the call; version 0. Errors: SS004 unknown listing, SS204 its SKU is a bundle, SS201 qty below 0 or above 10^12, 22008 until is past or infinite, 22004 null, SS101 the key stands for another request, SS102, SS103 the key''s time is too old or ahead, 40001 under REPEATABLE READ, 25006 on a standby. Example: SELECT * FROM storesync.allot(7, 50, storesync.new_key(), ''2026-11-12 00:00+08'');';

CREATE FUNCTION storesync.reserves_seen(listings bigint[], reserved bigint[], seen_at timestamptz, until timestamptz DEFAULT NULL)
	RETURNS int
	AS 'MODULE_PATHNAME', 'reserves_seen' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.reserves_seen(bigint[], bigint[], timestamptz, timestamptz) IS
'reserve_seen() of many listings, an element each; those that do not exist are left out. Returns for how many of them others now show another quantity. Errors: 22023 arrays of different lengths, SS201 a quantity below 0 or above 10^12, 22004 null, SS103 seen_at is more than a day ahead, 25006 on a standby. Example: SELECT storesync.reserves_seen(ARRAY[7, 8], ARRAY[20, 0], now());';

CREATE FUNCTION storesync.reserve_seen(listing bigint, reserved bigint, seen_at timestamptz, until timestamptz DEFAULT NULL)
	RETURNS boolean
	AS 'MODULE_PATHNAME', 'reserve_seen' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.reserve_seen(bigint, bigint, timestamptz, timestamptz) IS
'Says that the platform was seen at a moment to keep reserved sold units of a listing locked for promotions (0: none any more), and when the promotion ends as far as that is known. Makes, corrects or ends an allotment of as many units of its SKU, beside the one that allot() made: the larger remainder counts. Nothing is refused when the stock does not cover it, for it is locked all the same: listing_locked and health() tell. A bundle has nothing that could be set aside; it is told there too. A sighting that is not newer than the last changes nothing. True when other listings now show another quantity. Errors: SS004 unknown listing, SS201 reserved below 0 or above 10^12, 22004 null, SS103 seen_at is more than a day ahead, 25006 on a standby. Example: SELECT storesync.reserve_seen(7, 20, now());';

CREATE VIEW storesync.listing_locked AS
SELECT r.listing_id, l.store_id, k.code AS sku, l.item_id, l.model_id, r.reserved, coalesce(f.remaining, 0) AS remaining,
	r.seen_at, r.until,
	CASE WHEN k.bundle THEN 'bundle'
		WHEN f.locked IS NULL THEN 'other SKU'
		WHEN (SELECT sum(x.remaining) FROM storesync.allotment_left x WHERE x.sku_id = k.sku_id) > (
			SELECT coalesce(sum(t.on_hand - t.reserved), 0) FROM storesync.stock t
			JOIN storesync.location p ON p.location_id = t.location_id
			WHERE t.sku_id = k.sku_id AND p.sellable) THEN 'not covered'
		ELSE 'covered' END AS state
FROM storesync.listing_reserved r
JOIN storesync.listing l ON l.listing_id = r.listing_id
JOIN storesync.sku k ON k.sku_id = l.sku_id
LEFT JOIN storesync.allotment_left f ON f.listing_id = r.listing_id
WHERE r.reserved > 0;
COMMENT ON VIEW storesync.listing_locked IS
'Listings of which a platform keeps units locked for promotions: reserved, in sold units, as seen at seen_at; remaining, what is set aside for the listing now, in units of the SKU; until: when the promotion ends, NULL where it is not known; state: covered; not covered, the stock has less than is set aside of the SKU (receive, count, or take back another allotment by allot(listing, 0, …)); bundle, nothing is set aside, its components may be sold elsewhere (cap or stop what shares them); other SKU, the listing was mapped to another SKU since (the next reading corrects it).';

CREATE FUNCTION storesync.health_allotments() RETURNS TABLE(component text, state text, reason text)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT concat('allotments of ', k.code), 'degraded', format('%s units are set aside, %s are available', x.aside, x.available)
	FROM (
		SELECT f.sku_id, sum(f.remaining) AS aside,
			(SELECT coalesce(sum(t.on_hand - t.reserved), 0) FROM storesync.stock t
				JOIN storesync.location p ON p.location_id = t.location_id
				WHERE t.sku_id = f.sku_id AND p.sellable) AS available
		FROM storesync.allotment_left f
		GROUP BY f.sku_id) x
	JOIN storesync.sku k ON k.sku_id = x.sku_id
	WHERE x.aside > greatest(x.available, 0)
	UNION ALL
	SELECT concat('allotments of ', v.sku), 'degraded',
		format('a promotion locks %s units of listing %s, which is a bundle: nothing is set aside', v.reserved, v.listing_id)
	FROM storesync.listing_locked v
	WHERE v.state = 'bundle'
$$;
COMMENT ON FUNCTION storesync.health_allotments() IS
'The part of health() about units set aside that the stock does not cover any more, and about locked units of bundles.';
