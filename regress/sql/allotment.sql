-- Allotments: units set aside for one listing.
\set VERBOSITY terse
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
SET timezone = 'UTC';

UPDATE storesync.platform SET base_url = 'http://127.0.0.1:1';
SELECT storesync.add_store('shopee', '1', 'one') AS store1, storesync.add_store('shopee', '2', 'two') AS store2,
	storesync.add_store('shopee', '3', 'three') AS store3 \gset
SELECT storesync.add_sku('TEA') AS tea, storesync.add_sku('CUP') AS cup, storesync.add_sku('SET') AS set \gset
SELECT storesync.set_bundle('SET', '{"TEA": 2, "CUP": 1}');
SELECT storesync.add_listing(:store1, 'TEA', '100') AS tea1, storesync.add_listing(:store2, 'TEA', '200', pack => 2) AS tea2,
	storesync.add_listing(:store3, 'TEA', '300') AS tea3, storesync.add_listing(:store1, 'SET', '101') AS set1 \gset
SELECT outcome FROM storesync.receive('TEA', 100, storesync.new_key());
SELECT outcome FROM storesync.receive('CUP', 100, storesync.new_key());
CREATE VIEW pg_temp.shown AS
SELECT string_agg(t.wanted::text, ' ' ORDER BY t.listing_id) AS wanted FROM storesync.listing_target t;
CREATE VIEW pg_temp.aside AS
SELECT s.name AS store, f.units, f.remaining FROM storesync.allotment_left f
JOIN storesync.listing l ON l.listing_id = f.listing_id JOIN storesync.store s ON s.store_id = l.store_id ORDER BY 1;
CREATE FUNCTION pg_temp.placed(shop int, sn text, qty int, cancelled int DEFAULT 0, status text DEFAULT 'ready_to_ship', ago interval DEFAULT '0 s')
RETURNS text LANGUAGE sql AS $$
	SELECT outcome FROM storesync.ingest_order($1, jsonb_build_object('order_sn', $2, 'status', $5,
		'create_time', clock_timestamp() - $6, 'update_time', clock_timestamp(),
		'lines', jsonb_build_array(jsonb_build_object('line_id', '1', 'item_id', $1 || '00', 'qty', $3, 'cancelled_qty', $4))))
$$;
CREATE FUNCTION pg_temp.told() RETURNS TABLE(kind text, subject text) LANGUAGE sql AS $$
	SELECT o.kind::text, string_agg(o.subject::text, ',' ORDER BY o.subject) FROM storesync.outbox o WHERE o.xid = pg_current_xact_id() GROUP BY 1 ORDER BY 1
$$;
SELECT * FROM pg_temp.shown;

-- Others show less, bundles with the SKU too; told of in the same transaction, with a new version.
SELECT storesync.new_key() AS key \gset
SELECT version FROM storesync.listing_target WHERE listing_id = :tea3 \gset
BEGIN;
SELECT * FROM storesync.allot(:tea1, 40, :'key');
SELECT * FROM pg_temp.shown;
SELECT kind, subject = :tea::text AS tea FROM pg_temp.told();
SELECT version - :version AS risen FROM storesync.listing_target WHERE listing_id = :tea3;
COMMIT;
-- the same request again; the same key for another
SELECT * FROM storesync.allot(:tea1, 40, :'key');
SELECT * FROM storesync.allot(:tea1, 41, :'key');
SELECT term, value FROM storesync.explain(:tea1) WHERE term IN ('available', 'allotted', 'allotted to others', 'left');
SELECT term, value FROM storesync.explain(:tea3) WHERE term IN ('available', 'allotted', 'allotted to others', 'left');

-- Their sum is never above available.
SELECT storesync.new_key() AS key2 \gset
SELECT * FROM storesync.allot(:tea2, 61, :'key2');
SELECT outcome FROM storesync.allot(:tea2, 61, :'key2');
SELECT * FROM storesync.allot(:tea2, 60, storesync.new_key());
SELECT * FROM pg_temp.shown;
SELECT * FROM pg_temp.aside;
-- a new one takes the old one's place; 0 ends it
SELECT * FROM storesync.allot(:tea2, 20, storesync.new_key());
SELECT * FROM pg_temp.shown;

-- The listing's own orders use them first; a cancelled one gives them back. What was ordered before does not count.
SELECT pg_temp.placed(1, 'OLD', 3, ago => '1 hour');
SELECT * FROM pg_temp.aside;
SELECT pg_temp.placed(1, 'A', 10), pg_temp.placed(2, 'B', 4), pg_temp.placed(3, 'C', 5);
SELECT * FROM pg_temp.aside;
SELECT * FROM pg_temp.shown;
SELECT pg_temp.placed(1, 'A', 10, 4);
SELECT * FROM pg_temp.aside;
SELECT pg_temp.placed(1, 'A', 10, 4, 'cancelled');
SELECT * FROM pg_temp.aside;
-- more than was set aside
SELECT pg_temp.placed(2, 'D', 10);
SELECT * FROM pg_temp.aside;
SELECT * FROM pg_temp.shown;

-- The stock does not cover them any more: the newest is cut first, and health() says so.
SELECT * FROM storesync.allot(:tea2, 20, storesync.new_key());
BEGIN;
SELECT outcome FROM storesync.adjust('TEA', 83, storesync.new_key());
SELECT * FROM pg_temp.aside;
SELECT available, allotted, allotted_to_others, left_units, wanted FROM storesync.listing_target WHERE sku_id = :tea ORDER BY listing_id;
SELECT * FROM storesync.health_allotments();
SELECT outcome FROM storesync.adjust('TEA', 50, storesync.new_key());
SELECT available, allotted, allotted_to_others, left_units, wanted FROM storesync.listing_target WHERE sku_id = :tea ORDER BY listing_id;
ROLLBACK;
SELECT * FROM storesync.health_allotments();

-- The last units: what is set aside for one is not left for another.
BEGIN;
SELECT outcome FROM storesync.allot(:tea1, 58, storesync.new_key());
SELECT outcome FROM storesync.allot(:tea2, 0, storesync.new_key());
SELECT * FROM pg_temp.shown;
UPDATE storesync.sku SET safety_stock = 5 WHERE code = 'TEA';
SELECT left_units, sole_id = :tea1 AS sole, wanted FROM storesync.listing_target WHERE sku_id = :tea ORDER BY listing_id;
ROLLBACK;

-- At the end the rest flows back.
SELECT outcome FROM storesync.allot(:tea1, 30, storesync.new_key(), clock_timestamp() + interval '1 hour');
SELECT storesync.next_expiry() > clock_timestamp() + interval '59 min' AS due;
SELECT storesync.release_expired(100);
SELECT * FROM pg_temp.shown;
BEGIN;
UPDATE storesync.allotment SET until = clock_timestamp() WHERE listing_id = :tea1;
SELECT storesync.release_expired(100);
SELECT kind, subject = :tea::text AS tea FROM pg_temp.told();
SELECT * FROM pg_temp.aside;
SELECT * FROM pg_temp.shown;
COMMIT;
SELECT storesync.release_expired(100), storesync.next_expiry();
-- Of a listing that sells something else by now nothing is set aside.
BEGIN;
UPDATE storesync.listing SET sku_id = :cup WHERE listing_id = :tea2;
SELECT * FROM pg_temp.aside;
ROLLBACK;

SELECT storesync.allot(0, 1, storesync.new_key());
SELECT storesync.allot(:set1, 1, storesync.new_key());
SELECT storesync.allot(:tea1, -1, storesync.new_key());
SELECT storesync.allot(:tea1, 1, storesync.new_key(), clock_timestamp() - interval '1 s');
SELECT storesync.allot(:tea1, 1, storesync.new_key(), 'infinity');
SELECT storesync.allot(:tea1, NULL, storesync.new_key());
SELECT subject = 'listing ' || :tea1 AS tea1, before, after - 'sku_id' - 'until' AS after FROM storesync.audit WHERE action = 'allot' ORDER BY audit_id;
SELECT * FROM storesync.check_invariants();
