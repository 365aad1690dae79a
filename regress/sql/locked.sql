-- Units that a platform keeps locked for a promotion: allotments that make, correct and end themselves.
\set VERBOSITY terse
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
SET timezone = 'UTC';

UPDATE storesync.platform SET base_url = 'http://127.0.0.1:1';
SELECT storesync.add_store('shopee', '1', 'one') AS store1, storesync.add_store('shopee', '2', 'two') AS store2 \gset
SELECT storesync.add_sku('TEA') AS tea, storesync.add_sku('CUP') AS cup, storesync.add_sku('SET') AS set \gset
SELECT storesync.set_bundle('SET', '{"TEA": 2, "CUP": 1}');
SELECT storesync.add_listing(:store1, 'TEA', '100') AS tea1, storesync.add_listing(:store2, 'TEA', '200', pack => 2) AS tea2,
	storesync.add_listing(:store1, 'SET', '101') AS set1 \gset
SELECT outcome FROM storesync.receive('TEA', 100, storesync.new_key());
SELECT outcome FROM storesync.receive('CUP', 100, storesync.new_key());
CREATE VIEW pg_temp.shown AS
SELECT string_agg(t.wanted::text, ' ' ORDER BY t.listing_id) AS wanted FROM storesync.listing_target t;
CREATE VIEW pg_temp.aside AS
SELECT s.name AS store, f.units, f.locked, f.remaining FROM storesync.allotment_left f
JOIN storesync.listing l ON l.listing_id = f.listing_id JOIN storesync.store s ON s.store_id = l.store_id ORDER BY 1;
CREATE FUNCTION pg_temp.told() RETURNS TABLE(kind text, subject text) LANGUAGE sql AS $$
	SELECT o.kind::text, string_agg(o.subject::text, ',' ORDER BY o.subject) FROM storesync.outbox o WHERE o.xid = pg_current_xact_id() GROUP BY 1 ORDER BY 1
$$;
CREATE FUNCTION pg_temp.ordered(shop int, sn text, qty int, ago interval) RETURNS text LANGUAGE sql AS $$
	SELECT outcome FROM storesync.ingest_order($1, jsonb_build_object('order_sn', $2, 'status', 'ready_to_ship',
		'create_time', clock_timestamp() - $4, 'update_time', clock_timestamp(),
		'lines', jsonb_build_array(jsonb_build_object('line_id', '1', 'item_id', $1 || '00', 'qty', $3))))
$$;

-- Nothing locked and nothing known: no row.
SELECT storesync.reserve_seen(:tea1, 0, now() - interval '2 hours');
SELECT count(*) FROM storesync.listing_reserved;

-- Made: others show less, in the same transaction, with a new version.
SELECT version FROM storesync.listing_target WHERE listing_id = :tea2 \gset
BEGIN;
SELECT storesync.reserve_seen(:tea1, 20, now() - interval '1 hour', now() + interval '1 day');
SELECT * FROM pg_temp.shown;
SELECT kind, subject = :tea::text AS tea FROM pg_temp.told();
SELECT version - :version AS risen FROM storesync.listing_target WHERE listing_id = :tea2;
COMMIT;
SELECT sku, item_id, reserved, remaining, until > now() AS until, state FROM storesync.listing_locked;

-- Own orders since use it up; one placed before is in what was seen.
SELECT pg_temp.ordered(:store1, 'OLD', 3, '2 hours'), pg_temp.ordered(:store1, 'A', 4, '30 min');
SELECT * FROM pg_temp.aside;

-- The platform says 16 now, which is what remains: nobody is told. An end once known stays known.
BEGIN;
SELECT storesync.reserve_seen(:tea1, 16, now() - interval '10 min');
SELECT * FROM pg_temp.told();
SELECT * FROM pg_temp.aside;
SELECT until > now() AS until FROM storesync.listing_reserved WHERE listing_id = :tea1;
COMMIT;
-- Corrected. A sighting that is older, or the same again, says nothing.
SELECT storesync.reserve_seen(:tea1, 30, now() - interval '5 min');
SELECT storesync.reserve_seen(:tea1, 30, now() - interval '5 min');
SELECT storesync.reserve_seen(:tea1, 99, now() - interval '7 min');
SELECT * FROM pg_temp.aside;
SELECT * FROM pg_temp.shown;

-- In units of the SKU for a listing of packs; several at once, those that do not exist left out.
SELECT storesync.reserves_seen(ARRAY[:tea1, :tea2, 0]::bigint[], ARRAY[10, 5, 3]::bigint[], now() - interval '4 min');
SELECT * FROM pg_temp.aside;
SELECT * FROM pg_temp.shown;

-- Beside what was allotted by hand the larger remainder counts, and each ends by itself.
SELECT outcome, available FROM storesync.allot(:tea1, 25, storesync.new_key(), now() + interval '1 hour');
SELECT * FROM pg_temp.aside;
SELECT outcome, available FROM storesync.allot(:tea1, 5, storesync.new_key());
SELECT * FROM pg_temp.aside;
SELECT outcome, available FROM storesync.allot(:tea1, 0, storesync.new_key());
SELECT * FROM pg_temp.aside;
SELECT outcome FROM storesync.allot(:tea1, 25, storesync.new_key(), now() + interval '1 hour');
SELECT storesync.reserve_seen(:tea1, 0, now() - interval '3 min');
SELECT * FROM pg_temp.aside;
SELECT storesync.reserve_seen(:tea1, 40, now() - interval '2 min');
BEGIN;
UPDATE storesync.allotment SET until = clock_timestamp() WHERE listing_id = :tea1;
SELECT storesync.release_expired(100);
SELECT * FROM pg_temp.aside;
ROLLBACK;
-- What ended is not brought back by a sighting from before.
SELECT storesync.reserve_seen(:tea2, 0, now() - interval '1 min');
SELECT storesync.reserve_seen(:tea2, 5, now() - interval '2 min');
SELECT * FROM pg_temp.aside;

-- Locked is locked: where the stock does not cover it, people are told, and what is locked comes before what was allotted.
BEGIN;
SELECT outcome FROM storesync.allot(:tea2, 10, storesync.new_key());
UPDATE storesync.allotment SET since = '2020-01-01' WHERE listing_id = :tea2;
SELECT storesync.reserve_seen(:tea1, 200, now());
SELECT component, state, reason FROM storesync.health_allotments();
SELECT item_id, reserved, remaining, state FROM storesync.listing_locked;
SELECT listing_id = :tea1 AS tea1, allotted, allotted_to_others, wanted FROM storesync.listing_target WHERE sku_id = :tea ORDER BY listing_id;
ROLLBACK;
-- A bundle has nothing to set aside.
BEGIN;
SELECT storesync.reserve_seen(:set1, 5, now());
SELECT item_id, reserved, remaining, state FROM storesync.listing_locked WHERE listing_id = :set1;
SELECT state, regexp_replace(reason, '\d+ of|listing \d+', '#', 'g') FROM storesync.health_allotments();
ROLLBACK;
-- A listing that comes to sell another SKU.
BEGIN;
UPDATE storesync.listing SET sku_id = :cup WHERE listing_id = :tea1;
SELECT item_id, remaining, state FROM storesync.listing_locked;
SELECT storesync.reserve_seen(:tea1, 40, now());
SELECT * FROM pg_temp.aside;
SELECT item_id, remaining, state FROM storesync.listing_locked;
ROLLBACK;

SELECT storesync.reserve_seen(0, 1, now());
SELECT storesync.reserve_seen(:tea1, -1, now());
SELECT storesync.reserve_seen(:tea1, NULL, now());
SELECT storesync.reserve_seen(:tea1, 1, now() + interval '2 days');
SELECT storesync.reserves_seen(ARRAY[1]::bigint[], ARRAY[1, 2]::bigint[], now());
SELECT storesync.reserves_seen(ARRAY[NULL]::bigint[], ARRAY[1]::bigint[], now());
SELECT before, after - 'sku_id' - 'seen_at' AS after FROM storesync.audit WHERE action = 'reserve seen' ORDER BY audit_id;
SELECT * FROM storesync.check_invariants();
