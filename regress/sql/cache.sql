-- What the cache is to have, and the functions of it where there is none.
\set VERBOSITY terse
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;

SELECT storesync.cache_is_set(), storesync.cache_is_local();
SELECT storesync.cache_lock('a', '1 second');
SELECT storesync.session_get('a');
SELECT count(*) FROM storesync.health() WHERE component = 'cache';
SELECT pid, state FROM storesync.stat_cache;

-- Arguments are looked at first.
SELECT storesync.cache_lock(NULL, '1 second');
SELECT storesync.cache_lock('', '1 second');
SELECT storesync.cache_lock('a', NULL);
SELECT storesync.cache_lock('a', '0');
SELECT storesync.cache_lock('a', '1 day 1 ms');
SELECT storesync.cache_lock('a', '1 month');
SELECT storesync.cache_lock('a', '178000000 years');
SELECT storesync.cache_unlock('a', NULL);
SELECT storesync.cache_unlock(repeat('x', 201), 1);
SELECT storesync.session_put('a', NULL, '1 hour');
SELECT storesync.session_put('a', '{}', '1 ms');
SELECT storesync.session_put('a', to_jsonb(repeat('x', 300000)), '1 hour');
SELECT storesync.session_drop(NULL);

-- The setting has no password, and no name to be looked up.
ALTER SYSTEM SET storesync.redis_url = 'redis://user:secret@127.0.0.1';
ALTER SYSTEM SET storesync.redis_url = 'redis://cache.example';
SET storesync.redis_url = 'redis://127.0.0.1';

-- Entries
SELECT storesync.add_store('shopee', '1', 'one'), storesync.add_sku('A'), storesync.add_sku('B'), storesync.add_sku('SET');
SELECT storesync.add_location('back', NULL, false);
SELECT outcome FROM storesync.receive('A', 10, storesync.new_key());
SELECT outcome FROM storesync.receive('A', 5, storesync.new_key(), 'back');
SELECT outcome FROM storesync.receive('B', 7, storesync.new_key());
SELECT storesync.set_bundle('SET', '{"A": 2, "B": 1}');
SELECT outcome FROM storesync.reserve('A', 3, storesync.new_key(), reference => 'x');
SELECT * FROM storesync.cache_stock(ARRAY(SELECT sku_id FROM storesync.sku) || 99::bigint) ORDER BY key;
SELECT storesync.add_listing(1, 'A', '7'), storesync.add_listing(1, 'B', '8', '9');
UPDATE storesync.listing SET price = 12.50 WHERE item_id = '8';
SELECT * FROM storesync.cache_listing(ARRAY[1, 2, 99]) ORDER BY key;

SELECT (storesync.ingest_order(1, jsonb_build_object('order_sn', 'N' || n, 'status', 'ready_to_ship',
	'create_time', extract(epoch FROM now())::bigint - n * 86400, 'buyer', 'Somebody', 'currency', 'TWD',
	'lines', '[{"line_id": "1", "item_id": "7", "qty": 1, "unit_price": 5}, {"line_id": "2", "item_id": "none", "qty": 1}]'::jsonb))).outcome
FROM unnest(ARRAY[1, 89, 91]) n;
SELECT key, round(expires / 86400.0) AS days, fields[1], fields[2]::jsonb - '{create_time,update_time}'::text[] AS doc, fields[2] LIKE '%Somebody%' AS names_buyer
FROM storesync.cache_order(ARRAY[1, 2, 3, 99]) ORDER BY key;

-- A consumer that is away for longer than its patience is waited for no more.
SELECT storesync.consumer_register('cache');
SELECT waited FROM storesync.stat_outbox WHERE consumer = 'cache';
UPDATE storesync.consumer SET patience = '1 hour', moved_at = now() - interval '2 hours' WHERE name = 'cache';
SELECT waited FROM storesync.stat_outbox WHERE consumer = 'cache';
SELECT count(*) FROM storesync.health() WHERE component = 'consumer cache';
UPDATE storesync.consumer SET patience = '0' WHERE name = 'cache';

SELECT * FROM storesync.check_invariants();
