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
SELECT a.listing_id, a.sku_id, a.units, greatest(a.units - storesync.ordered_since(a.listing_id, a.since), 0) AS remaining,
	a.since, a.until
FROM storesync.allotment a
JOIN storesync.listing l ON l.listing_id = a.listing_id AND l.sku_id = a.sku_id
WHERE a.until IS NULL OR a.until > statement_timestamp();
COMMENT ON VIEW storesync.allotment_left IS
'Units set aside for listings, in units of the SKU: units, as allotted at since; remaining, those that the listing''s own orders since then have not taken (cancelled ones come back); until: when the rest flows back, NULL for never. Not those of a listing that sells another SKU by now.';

CREATE FUNCTION storesync.allot(listing bigint, qty bigint, key storesync.idempotency_key, until timestamptz DEFAULT NULL)
	RETURNS storesync.movement_result
	AS 'MODULE_PATHNAME', 'allot' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.allot(bigint, bigint, storesync.idempotency_key, timestamptz) IS
'Sets qty units of a listing''s SKU aside for it, from now until the given moment (NULL: for good), in place of what it had; 0 ends it. Its own orders placed from now on use them first, the other listings of the SKU show less by what remains. Answer: outcome applied, replayed, or insufficient when qty is more than is available (where its store sells from) less what remains set aside for others: then nothing changed, and the key keeps that answer; on_hand and reserved of the SKU there; available: units that nobody has reserved and nothing is set aside of, after the call; version 0. Errors: SS004 unknown listing, SS204 its SKU is a bundle, SS201 qty below 0 or above 10^12, 22008 until is past or infinite, 22004 null, SS101 the key stands for another request, SS102, SS103 the key''s time is too old or ahead, 40001 under REPEATABLE READ, 25006 on a standby. Example: SELECT * FROM storesync.allot(7, 50, storesync.new_key(), ''2026-11-12 00:00+08'');';

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
$$;
COMMENT ON FUNCTION storesync.health_allotments() IS
'The part of health() about units set aside that the stock does not cover any more.';
