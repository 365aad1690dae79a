-- What other settings would have made of orders that were placed (docs/what-if.md). Reads only.

-- How many SKUs a store shares with a day's orders no plan knows: few rows are expected, and loops are good for few.
CREATE FUNCTION storesync.what_if_listings(since timestamptz, until timestamptz, store int DEFAULT NULL, sku text DEFAULT NULL,
	buffer bigint DEFAULT NULL, share numeric DEFAULT NULL, solo_below bigint DEFAULT NULL, safety_stock bigint DEFAULT NULL,
	cap bigint DEFAULT NULL, fetch_delay interval DEFAULT NULL, write_delay interval DEFAULT NULL,
	OUT scenario text, OUT store_id int, OUT sku_id bigint, OUT listing_id bigint, OUT demanded bigint, OUT sold bigint,
	OUT oversold bigint, OUT lost bigint, OUT out_of_stock bigint, OUT writes bigint, OUT shown bigint)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'what_if_listings' LANGUAGE C STABLE ROWS 10000 SET jit = off SET enable_nestloop = off;
COMMENT ON FUNCTION storesync.what_if_listings(timestamptz, timestamptz, int, text, bigint, numeric, bigint, bigint, bigint, interval, interval) IS
'Replays the orders placed from since until until (up to 31 days) in memory, of SKUs that were ordered then, and writes nothing. scenario as set: with the settings as they are now and the delays measured on these days; what if: with those that are given in place of them. store: its listings alone get the others, and SKUs that it sells are replayed; sku: this one alone. buffer, share, cap: of listings; solo_below, safety_stock: of SKUs; fetch_delay: from placing an order to its booking; write_delay: from then until a shop shows it. Per listing, in units of the SKU: demanded = sold + lost (its shop showed too little though stock was there) + out_of_stock (there was none); oversold: of those sold, without stock; writes: to its shop; shown: what it shows at the end, in sold units (NULL: it is not written by us). Errors: 22023 for a period or value out of range, 22004 without a period, SS001, SS002 unknown SKU or store. Example: SELECT * FROM storesync.what_if_listings(now() - interval ''1 day'', now(), sku => ''T-SHIRT-M'', buffer => 2);';

CREATE FUNCTION storesync.what_if(since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL, store int DEFAULT NULL, sku text DEFAULT NULL,
	buffer bigint DEFAULT NULL, share numeric DEFAULT NULL, solo_below bigint DEFAULT NULL, safety_stock bigint DEFAULT NULL,
	cap bigint DEFAULT NULL, fetch_delay interval DEFAULT NULL, write_delay interval DEFAULT NULL)
	RETURNS TABLE(scenario text, store_id int, demanded bigint, sold bigint, oversold bigint, lost bigint, out_of_stock bigint, writes bigint)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT w.scenario, w.store_id, coalesce(sum(w.demanded), 0)::bigint, coalesce(sum(w.sold), 0)::bigint, coalesce(sum(w.oversold), 0)::bigint,
		coalesce(sum(w.lost), 0)::bigint, coalesce(sum(w.out_of_stock), 0)::bigint, coalesce(sum(w.writes), 0)::bigint
	FROM (SELECT date_trunc('day', statement_timestamp() AT TIME ZONE '+08') AS today) d
	CROSS JOIN LATERAL (SELECT coalesce($1, $2 - '1 day'::interval, (d.today - '1 day'::interval) AT TIME ZONE '+08') AS begins) b
	CROSS JOIN LATERAL storesync.what_if_listings(b.begins, coalesce($2, b.begins + '1 day'::interval),
		$3, $4, $5, $6, $7, $8, $9, $10, $11) w
	GROUP BY GROUPING SETS ((w.scenario, w.store_id), (w.scenario))
	ORDER BY w.scenario, w.store_id
$$;
COMMENT ON FUNCTION storesync.what_if(timestamptz, timestamptz, int, text, bigint, numeric, bigint, bigint, bigint, interval, interval) IS
'What other settings would have made of the orders of a period: what_if_listings() summed up by scenario (as set, what if) and store, and over all stores (store_id NULL), in units of SKUs. Without since and until: yesterday at UTC+8; without one of them: a day. Reads only, on a standby too. Errors: as what_if_listings(). Example: SELECT * FROM storesync.what_if(buffer => 2, solo_below => 5);';
