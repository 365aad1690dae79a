-- The cache in Redis: what is written there for each SKU, listing and order (bgworker/cache*.c), and
-- locks and sessions (extension/cache.c). docs/cache.md has the keys and what they promise.

CREATE FUNCTION storesync.cache_is_set() RETURNS boolean
	AS 'MODULE_PATHNAME', 'cache_is_set' LANGUAGE C STABLE;
COMMENT ON FUNCTION storesync.cache_is_set() IS
'Whether storesync.redis_url names a Redis. Example: SELECT storesync.cache_is_set();';

CREATE FUNCTION storesync.cache_is_local() RETURNS boolean
	AS 'MODULE_PATHNAME', 'cache_is_local' LANGUAGE C STABLE;
COMMENT ON FUNCTION storesync.cache_is_local() IS
'Whether storesync.redis_url names a socket or a loopback address. Example: SELECT storesync.cache_is_local();';

CREATE FUNCTION storesync.cache_allowed() RETURNS boolean
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT storesync.instance_confirmed() OR (storesync.cache_is_local() AND NOT storesync.is_copy())
$$;
COMMENT ON FUNCTION storesync.cache_allowed() IS
'Whether this database may speak to Redis: as with platforms it was confirmed by confirm_instance(), or Redis is on this machine and the database is no copy. Example: SELECT storesync.cache_allowed();';

CREATE FUNCTION storesync.cache_stock(skus bigint[]) RETURNS TABLE(key text, version bigint, expires int, fields text[])
	LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT 'stock:' || k.code, storesync.drawn_versions(k.sku_id), 259200, ARRAY['available', CASE
		WHEN k.bundle THEN storesync.available(k.code)
		ELSE (SELECT coalesce(sum(x.on_hand - x.reserved), 0)
			FROM storesync.stock x JOIN storesync.location y ON y.location_id = x.location_id
			WHERE x.sku_id = k.sku_id AND y.sellable) END::text]
	FROM storesync.sku k WHERE k.sku_id = ANY ($1)
$$;
COMMENT ON FUNCTION storesync.cache_stock(bigint[]) IS
'What the cache has of SKUs: key behind the database''s name, version (the sum of the versions of the stock drawn on, of a bundle that of its components), seconds that it is kept, and fields with their values: available, units that may still be reserved. An unknown SKU has no row. Example: SELECT * FROM storesync.cache_stock(ARRAY[1]);';

CREATE FUNCTION storesync.cache_listing(listings bigint[]) RETURNS TABLE(key text, version bigint, expires int, fields text[])
	LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT concat('listing:', g.id), l.revision, 259200,
		CASE WHEN l.price IS NOT NULL THEN ARRAY['price', l.price::text, 'sku', k.code, 'store', l.store_id::text,
			'item', l.item_id, 'model', l.model_id, 'pack', l.pack::text] END
	FROM unnest($1) AS g(id)
	LEFT JOIN storesync.listing l ON l.listing_id = g.id
	LEFT JOIN storesync.sku k ON k.sku_id = l.sku_id
$$;
COMMENT ON FUNCTION storesync.cache_listing(bigint[]) IS
'What the cache has of listings, one row each, columns as of cache_stock(): price, sku, store, item, model, pack; version is the listing''s revision. fields NULL: there is no such listing, or it has no price, and the cache has no entry of it. Example: SELECT * FROM storesync.cache_listing(ARRAY[1]);';

-- Without the buyer. An order is kept until it is 90 days old.
CREATE FUNCTION storesync.cache_order(orders bigint[]) RETURNS TABLE(key text, version bigint, expires int, fields text[])
	LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT concat('order:', o.store_id, ':', o.order_sn), (extract(epoch FROM o.update_time) * 1000000)::bigint, x.expires,
		ARRAY['doc', jsonb_strip_nulls(jsonb_build_object('order_sn', o.order_sn, 'store', o.store_id, 'status', o.status,
			'create_time', extract(epoch FROM o.create_time)::bigint, 'update_time', extract(epoch FROM o.update_time)::bigint,
			'currency', o.currency, 'lines', (
				SELECT coalesce(jsonb_agg(jsonb_build_object('line_id', l.line_id, 'item_id', l.item_id, 'model_id', nullif(l.model_id, ''),
					'sku', coalesce(k.code, l.sku_code), 'qty', l.qty, 'cancelled_qty', nullif(l.cancelled_qty, 0),
					'returned_qty', l.returned_qty, 'unit_price', l.unit_price, 'state', l.state,
					'short', nullif(l.short, 0)) ORDER BY l.line_id), '[]')
				FROM storesync.sales_order_line l LEFT JOIN storesync.sku k ON k.sku_id = l.sku_id
				WHERE l.recorded_at = o.recorded_at AND l.order_id = o.order_id)))::text]
	FROM storesync.sales_order o
	CROSS JOIN LATERAL (SELECT floor(extract(epoch FROM o.create_time - (clock_timestamp() - '90 days'::interval)))::int AS expires) x
	WHERE o.order_id = ANY ($1) AND x.expires > 0
$$;
COMMENT ON FUNCTION storesync.cache_order(bigint[]) IS
'What the cache has of orders that are younger than 90 days, columns as of cache_stock(): doc, compact JSON with lines and without the buyer; version is update_time in microseconds. Example: SELECT * FROM storesync.cache_order(ARRAY[1]);';

CREATE FUNCTION storesync.cache_stats(OUT pid int, OUT state text, OUT since timestamptz, OUT heartbeat timestamptz,
	OUT written bigint, OUT older bigint, OUT deleted bigint, OUT filled bigint)
	AS 'MODULE_PATHNAME', 'cache_stats' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.cache_stats() IS 'The row of the view stat_cache.';

CREATE VIEW storesync.stat_cache AS SELECT * FROM storesync.cache_stats();
COMMENT ON VIEW storesync.stat_cache IS
'This database''s cache worker: pid (NULL: none runs), state (starting, old sql, unconfirmed, away, filling, following, full) and since when; heartbeat: Redis has what was committed before; since the server''s start entries written, left alone because Redis had newer ones, deleted, and how often everything was written.';

CREATE FUNCTION storesync.health_cache() RETURNS TABLE(component text, state text, reason text)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT 'cache', CASE WHEN x.reason IS NULL THEN 'ok' ELSE 'degraded' END, x.reason
	FROM storesync.cache_stats() c
	CROSS JOIN LATERAL (SELECT CASE
		WHEN pg_is_in_recovery() THEN NULL
		WHEN c.pid IS NULL THEN 'no cache worker is running: the server log says why'
		WHEN c.state = 'unconfirmed' THEN 'nothing is written before confirm_instance()'
		WHEN c.state = 'away' THEN format('Redis is away, slow or refuses since %s, the server log says why: nobody waits for it but its readers', date_trunc('second', c.since))
		WHEN c.state = 'filling' THEN format('everything is being written, since %s', date_trunc('second', c.since))
		WHEN c.state = 'full' THEN format('Redis has no memory left since %s: what cannot be written is deleted there', date_trunc('second', c.since))
		WHEN c.state <> 'following' THEN format('the cache worker is in state "%s"', c.state) END) AS x(reason)
	WHERE storesync.cache_is_set()
$$;
COMMENT ON FUNCTION storesync.health_cache() IS 'The part of health() about the cache: a row where storesync.redis_url is set.';

CREATE FUNCTION storesync.cache_lock(name text, ttl interval) RETURNS bigint
	AS 'MODULE_PATHNAME', 'cache_lock' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.cache_lock(text, interval) IS
'Takes a lock in Redis for ttl (1 ms to 1 day, no months) and returns its fencing token, higher than any before; NULL when somebody has the lock. A courtesy among applications: it may end early when Redis loses its memory, and the stock is right without it. Whatever the lock protects should refuse a token lower than the highest it has seen. Not undone by a rollback. Errors: 22004 null argument, 22023 text empty or too long or ttl out of range, 25006 on a standby, 55000 no cache is set or the instance is not confirmed, SS601 Redis does not answer within storesync.redis_timeout. Example: SELECT storesync.cache_lock(''recount T-SHIRT-M'', ''30 seconds'');';

CREATE FUNCTION storesync.cache_unlock(name text, token bigint) RETURNS boolean
	AS 'MODULE_PATHNAME', 'cache_unlock' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.cache_unlock(text, bigint) IS
'Gives a lock of cache_lock() back. False, and nothing happens, when the token is not the lock''s (it expired, and somebody else may have it) or NULL. Errors as cache_lock(). Example: SELECT storesync.cache_unlock(''recount T-SHIRT-M'', 1763900000000000);';

CREATE FUNCTION storesync.session_put(id text, data jsonb, ttl interval) RETURNS void
	AS 'MODULE_PATHNAME', 'session_put' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.session_put(text, jsonb, interval) IS
'Stores the data of a session (up to 256 kB of text) in Redis, in place of what was there, until nobody has asked for it for ttl (1 s to 90 days, no months). Not undone by a rollback; gone when Redis loses its memory. Errors as cache_lock(). Example: SELECT storesync.session_put(''c2f1'', ''{"user": 7}'', ''30 minutes'');';

CREATE FUNCTION storesync.session_get(id text) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'session_get' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.session_get(text) IS
'The data of a session, NULL when there is none; its time begins anew. Errors as cache_lock(), and 22P02 for data that somebody else has written and that is no JSON. Example: SELECT storesync.session_get(''c2f1'');';

CREATE FUNCTION storesync.session_drop(id text) RETURNS boolean
	AS 'MODULE_PATHNAME', 'session_drop' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.session_drop(text) IS
'Ends a session. False when there was none. Errors as cache_lock(). Example: SELECT storesync.session_drop(''c2f1'');';
