-- What other settings would have made of orders: an example that is computed by hand, and what is shown at the end.
\set VERBOSITY terse
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
SET timezone = 'UTC';

-- Two shops, 5 units, no last units; an order is known after a minute, and what is written shows at once.
--
--   s      buffer 0                                       buffer 2
--   0      both show 5                                    both show 3
--   10     shop 1 sells 4, and shows 1; 1 is there        it shows less than 4, though 5 are there: 4 lost
--   20     shop 2 sells 2, and shows 3: 1 oversold        it sells 2, and shows 1; 3 are there
--   70     4 are known to be gone, shop 2 shows 1
--   80     6 are: both show 0                             2 are known to be gone: shop 1 shows 1
--   120    shop 1 shows 0: 1 out of stock                 shop 1 sells 1, and shows 0; 2 are there
--   180                                                   shop 2 shows 0
SELECT storesync.add_store('shopee', '1', 'one') AS one \gset
SELECT storesync.add_store('shopee', '2', 'two') AS two \gset
UPDATE storesync.store SET mode = 'live';
SELECT storesync.add_sku('A') > 0 AS made, storesync.add_sku('IDLE') > 0 AS and_one_that_nobody_orders;
UPDATE storesync.sku SET solo_below = 0;
SELECT count(storesync.add_listing(s, k, k)) FROM unnest(ARRAY[:one, :two]) s, unnest(ARRAY['A', 'IDLE']) k;
SELECT (storesync.receive('A', 5, storesync.new_key())).outcome;
SELECT clock_timestamp() AS since, date_trunc('second', clock_timestamp()) AS noon \gset
CREATE FUNCTION pg_temp.sells(store int, sn text, at timestamptz, qty bigint, item text) RETURNS text LANGUAGE sql AS $$
	SELECT (storesync.ingest_order($1, jsonb_build_object('order_sn', $2, 'status', 'ready_to_ship', 'create_time', $3, 'update_time', $3,
		'lines', jsonb_build_array(jsonb_build_object('line_id', '1', 'item_id', $5, 'qty', $4, 'unit_price', 1))))).outcome $$;
SELECT pg_temp.sells(:one, 'O1', :'noon'::timestamptz + '10 s'::interval, 4, 'A') AS first, pg_temp.sells(:two, 'O2', :'noon'::timestamptz + '20 s'::interval, 2, 'A') AS second,
	pg_temp.sells(:one, 'O3', :'noon'::timestamptz + '2 min'::interval, 1, 'A') AS third;
CREATE FUNCTION pg_temp.with_buffer(since timestamptz, buffer bigint) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT w::text FROM storesync.what_if($1, $1 + '5 min'::interval, sku => 'A', buffer => $2, fetch_delay => '1 min', write_delay => '0') w
	WHERE w.scenario = 'what if' $$;
BEGIN READ ONLY;
SELECT pg_temp.with_buffer(:'since', 0);
SELECT pg_temp.with_buffer(:'since', 2);
-- Of one shop alone: the other keeps its own.
SELECT store_id = :one AS in_one, demanded, sold, oversold, lost, out_of_stock, shown
FROM storesync.what_if_listings(:'since', :'since'::timestamptz + '5 min'::interval, store => :one, buffer => 2, fetch_delay => '1 min', write_delay => '0')
WHERE scenario = 'what if' ORDER BY listing_id;
-- As it is set: a poll and a second, where nothing was measured.
SELECT sold, oversold, lost, out_of_stock FROM storesync.what_if(:'since', :'since'::timestamptz + '5 min'::interval) WHERE scenario = 'as set' AND store_id IS NULL;
-- Yesterday nothing was ordered.
SELECT * FROM storesync.what_if();
COMMIT;

-- What is set may be beyond what may be asked for, and orders that came after days have a delay of days: that is no error of who asks.
BEGIN;
UPDATE storesync.sku SET safety_stock = 2000000000000 WHERE code = 'A';
UPDATE storesync.listing SET buffer = 3000000000000, cap = 4000000000000 WHERE item_id = 'A';
INSERT INTO storesync.delay_day (platform, day, stage, histogram) VALUES ('shopee', (:'since'::timestamptz AT TIME ZONE '+08')::date, 'booked', '259200000:1');
SELECT scenario, sold, oversold, lost, out_of_stock
FROM storesync.what_if(:'since', :'since'::timestamptz + '5 min'::interval, sku => 'A', buffer => 0, safety_stock => 0) WHERE store_id IS NULL;
ROLLBACK;

-- What is shown when all is known is what the product shows: shares, packs, buffers, caps, last units.
SELECT setseed(0.4711);
SELECT count(storesync.add_store('shopee', x::text, 'store ' || x)) FROM generate_series(3, 4) x;
UPDATE storesync.store SET mode = 'live', priority = store_id % 3;
SELECT count(storesync.add_sku('R' || x, safety_stock => x % 3)) FROM generate_series(1, 200) x;
SELECT count(storesync.add_listing(s, 'R' || x, 'R' || x, pack => 1 + (x + s) % 3)) FROM generate_series(1, 4) s, generate_series(1, 200) x WHERE (s + x) % 5 > 0;
UPDATE storesync.sku SET solo_below = 12 WHERE code LIKE 'R%4';
UPDATE storesync.listing SET share = CASE WHEN random() < 0.5 THEN 1 ELSE 0.6 END, buffer = floor(random() * 2), cap = CASE WHEN random() < 0.2 THEN 4 END WHERE item_id LIKE 'R%';
SELECT count(storesync.receive('R' || x, 3 + x / 6, storesync.new_key())) FROM generate_series(1, 200) x;
SELECT clock_timestamp() AS since, date_trunc('second', clock_timestamp()) AS noon \gset
SELECT count(pg_temp.sells(l.store_id, 'R' || l.listing_id, :'noon'::timestamptz + l.listing_id * '2 s'::interval, 1, l.item_id))
FROM storesync.listing_target l WHERE l.item_id LIKE 'R%' AND (l.sole_id = l.listing_id OR l.sole_id IS NULL AND l.listing_id % 5 = 0);
CREATE TEMP TABLE replayed AS
SELECT w.*, w.lost + w.out_of_stock + w.oversold > 0 AS differs
FROM storesync.what_if_listings(:'since', :'since'::timestamptz + '2 hours'::interval, fetch_delay => '2 s', write_delay => '1 s') w WHERE w.scenario = 'what if';
SELECT count(*) > 100 AS many, count(*) FILTER (WHERE t.sole_id IS NOT NULL) > 10 AS some_at_their_last_units
FROM replayed r JOIN storesync.listing_target t USING (listing_id) WHERE NOT EXISTS (SELECT FROM replayed x WHERE x.sku_id = r.sku_id AND x.differs);
SELECT r.listing_id, r.shown, t.wanted FROM replayed r JOIN storesync.listing_target t USING (listing_id)
WHERE r.shown <> t.wanted AND NOT EXISTS (SELECT FROM replayed x WHERE x.sku_id = r.sku_id AND x.differs);

-- Refused.
SELECT * FROM storesync.what_if(now(), now() - interval '1 day');
SELECT * FROM storesync.what_if(now() - interval '40 days', now());
SELECT * FROM storesync.what_if('4700-01-01 BC', '294200-01-01');
SELECT * FROM storesync.what_if(share => 2);
SELECT * FROM storesync.what_if(buffer => -1);
SELECT * FROM storesync.what_if(sku => 'NONE');
SELECT * FROM storesync.what_if(store => 999);
SELECT * FROM storesync.what_if_listings(NULL, now());
