-- Listings: what they should show, what they are believed to show, who hears of a change.
\set VERBOSITY terse
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
SET timezone = 'UTC';

-- The arithmetic: floors only, exact, clamped.
SELECT * FROM (VALUES
	('all', storesync.wanted_quantity(10, 0, 1, 1, 0, NULL, 999)),
	('safety', storesync.wanted_quantity(10, 3, 1, 1, 0, NULL, 999)),
	('safety above', storesync.wanted_quantity(3, 10, 1, 1, 0, NULL, 999)),
	('negative', storesync.wanted_quantity(-5, 0, 1, 1, 0, NULL, 999)),
	('share', storesync.wanted_quantity(9, 0, 0.5, 1, 0, NULL, 999)),
	('a third', storesync.wanted_quantity(9, 0, 0.3333333333333333, 1, 0, NULL, 999)),
	('nine tenths', storesync.wanted_quantity(10, 0, 0.9, 1, 0, NULL, 999)),
	('0.29 of 100', storesync.wanted_quantity(100, 0, 0.29, 1, 0, NULL, 999)),
	('almost one', storesync.wanted_quantity(1, 0, 0.99999999999999999999999999999999999999, 1, 0, NULL, 999)),
	('none', storesync.wanted_quantity(9, 0, 0, 1, 0, NULL, 999)),
	('pack', storesync.wanted_quantity(11, 0, 1, 3, 0, NULL, 999)),
	('share and pack', storesync.wanted_quantity(11, 0, 0.5, 2, 0, NULL, 999)),
	('buffer', storesync.wanted_quantity(10, 0, 1, 1, 4, NULL, 999)),
	('buffer above', storesync.wanted_quantity(10, 0, 1, 1, 40, NULL, 999)),
	('cap', storesync.wanted_quantity(10, 0, 1, 1, 0, 7, 999)),
	('cap 0', storesync.wanted_quantity(10, 0, 1, 1, 0, 0, 999)),
	('platform', storesync.wanted_quantity(5000, 0, 1, 1, 0, 7000, 999)),
	('buffer before cap', storesync.wanted_quantity(20, 0, 1, 1, 5, 10, 999)),
	('huge', storesync.wanted_quantity(9223372036854775807, 0, 1, 1, 0, NULL, 9223372036854775807)),
	('huge minus', storesync.wanted_quantity(-9223372036854775808, 1, 1, 1, 0, NULL, 999)),
	('unknown', storesync.wanted_quantity(NULL, 0, 1, 1, 0, NULL, 999))) AS x (what, quantity);
SELECT storesync.wanted_quantity(10, 0, 1.1, 1, 0, NULL, 999);
SELECT storesync.wanted_quantity(10, 0, -0.1, 1, 0, NULL, 999);
SELECT storesync.wanted_quantity(10, 0, 'NaN', 1, 0, NULL, 999);
SELECT storesync.wanted_quantity(10, 0, 1, 0, 0, NULL, 999);
SELECT storesync.wanted_quantity(10, -1, 1, 1, 0, NULL, 999);
-- against numeric's own words, over a grid
SELECT count(*) FROM generate_series(0, 60) a, generate_series(1, 7) p, generate_series(0, 20) s
WHERE storesync.wanted_quantity(a, 0, s / 20.0, p, 0, NULL, 999) <> div(a * s, 20 * p);

-- A catalogue.
SELECT storesync.add_store('shopee', '1', 'one') AS store1, storesync.add_store('shopee', '2', 'two') AS store2 \gset
SELECT storesync.add_sku('TEA') AS tea, storesync.add_sku('CUP') AS cup \gset
SELECT storesync.add_listing(:store1, 'TEA', '100', '1') AS tea1, storesync.add_listing(:store2, 'TEA', '200', pack => 2) AS tea2,
	storesync.add_listing(:store1, 'CUP', '101') AS cup1 \gset
INSERT INTO storesync.location (code, sellable) VALUES ('damaged', false);
SELECT outcome FROM storesync.receive('TEA', 10, storesync.new_key());
SELECT outcome FROM storesync.receive('TEA', 5, storesync.new_key(), 'damaged');
SELECT listing_id - :tea1 AS listing, available, wanted, believed, at_most, dirty, version, not_before, dead FROM storesync.listing_target ORDER BY 1;
SELECT store, sku, state, wanted FROM storesync.listing_status ORDER BY 1, 2;

-- Acknowledged, it is believed; own orders are told from our writes.
CREATE FUNCTION pg_temp.shown(listing bigint, qty bigint, ago interval) RETURNS void LANGUAGE sql AS $$
	INSERT INTO storesync.listing_shown (listing_id, acked_qty, acked_version, acked_incarnation, sent_at, written_at)
	SELECT $1, $2, t.version, storesync.current_incarnation(), clock_timestamp() - $3 - interval '1 s', clock_timestamp() - $3
	FROM storesync.listing_target t WHERE t.listing_id = $1
	ON CONFLICT (listing_id) DO UPDATE SET acked_qty = excluded.acked_qty, acked_version = excluded.acked_version,
		acked_incarnation = excluded.acked_incarnation, sent_at = excluded.sent_at, written_at = excluded.written_at, doubt_qty = NULL
$$;
CREATE FUNCTION pg_temp.placed(sn text, ago interval, qty int, cancelled int DEFAULT 0) RETURNS text LANGUAGE sql AS $$
	SELECT outcome FROM storesync.ingest_order(1, jsonb_build_object('order_sn', $1, 'status', 'ready_to_ship',
		'create_time', clock_timestamp() - $2, 'update_time', clock_timestamp() - CASE WHEN $4 > 0 THEN interval '0' ELSE $2 END,
		'lines', jsonb_build_array(jsonb_build_object('line_id', '100/1', 'item_id', '100', 'model_id', '1', 'qty', $3, 'cancelled_qty', $4))))
$$;
CREATE VIEW pg_temp.tea AS SELECT wanted, believed, at_most, dirty, not_before IS NOT NULL AS not_before FROM storesync.listing_target WHERE item_id = '100';
SELECT pg_temp.shown(:tea1, 10, '60 s');
SELECT * FROM pg_temp.tea;
-- after the write: no call
SELECT pg_temp.placed('AFTER', '30 s', 2);
SELECT * FROM pg_temp.tea;
-- before the write: the write has wiped it out
SELECT pg_temp.placed('BEFORE', '90 s', 1);
SELECT * FROM pg_temp.tea;
-- close to it: nobody knows
SELECT pg_temp.shown(:tea1, 7, '60 s');
SELECT pg_temp.placed('CLOSE', '58 s', 1);
SELECT * FROM pg_temp.tea;
-- booked before the write was sent, placed long before or in doubt: certain
SELECT pg_temp.shown(:tea1, 6, '0 s');
UPDATE storesync.listing_shown SET sent_at = clock_timestamp(), written_at = clock_timestamp();
SELECT * FROM pg_temp.tea;
-- cancelled by the platform after the write: it shows more by itself
SELECT pg_temp.shown(:tea1, 8, '40 s');
SELECT * FROM pg_temp.tea;
SELECT pg_temp.placed('AFTER', '30 s', 2, 2);
SELECT * FROM pg_temp.tea;
-- … where it does
UPDATE storesync.platform SET returns_on_cancel = false;
SELECT * FROM pg_temp.tea;
-- … and where nobody knows: unknown, whatever the version, until it is written once more
UPDATE storesync.platform SET returns_on_cancel = NULL;
SELECT * FROM pg_temp.tea;
UPDATE storesync.listing_shown SET acked_version = (SELECT version FROM storesync.listing_target WHERE listing_id = :tea1) WHERE listing_id = :tea1;
SELECT * FROM pg_temp.tea;
SELECT pg_temp.shown(:tea1, 8, '0 s');
SELECT * FROM pg_temp.tea;
SELECT pg_temp.shown(:tea1, 8, '40 s');
UPDATE storesync.platform SET returns_on_cancel = true;
-- in doubt: unknown, and the larger of both
UPDATE storesync.listing_shown SET doubt_qty = 11 WHERE listing_id = :tea1;
SELECT * FROM pg_temp.tea;
SELECT state FROM storesync.listing_status WHERE listing_id = :tea1;
UPDATE storesync.listing_shown SET doubt_qty = NULL WHERE listing_id = :tea1;
-- a write under way, or one whose sender died: unknown
UPDATE storesync.listing_shown SET sending_qty = 11 WHERE listing_id = :tea1;
SELECT * FROM pg_temp.tea;
SELECT state FROM storesync.listing_status WHERE listing_id = :tea1;
UPDATE storesync.listing_shown SET sending_qty = NULL WHERE listing_id = :tea1;
-- of another life of the data: unknown
SELECT pg_temp.shown(:tea1, 8, '60 s');
UPDATE storesync.listing_shown SET acked_incarnation = 99 WHERE listing_id = :tea1;
SELECT wanted, believed, dirty FROM pg_temp.tea;
UPDATE storesync.listing_shown SET acked_incarnation = storesync.current_incarnation() WHERE listing_id = :tea1;

-- Policy raises the revision and tells of it.
CREATE FUNCTION pg_temp.told() RETURNS TABLE(kind text, subject text) LANGUAGE sql AS $$
	SELECT o.kind::text, string_agg(o.subject::text, ',' ORDER BY o.subject) FROM storesync.outbox o WHERE o.xid = pg_current_xact_id() GROUP BY 1 ORDER BY 1
$$;
CREATE FUNCTION pg_temp.version(listing bigint) RETURNS bigint LANGUAGE sql AS $$ SELECT version FROM storesync.listing_target WHERE listing_id = $1 $$;
SELECT pg_temp.version(:tea1) AS version \gset
BEGIN;
UPDATE storesync.listing SET share = 0.5, buffer = 1, cap = 3 WHERE listing_id = :tea1;
SELECT * FROM pg_temp.told();
SELECT pg_temp.version(:tea1) - :version AS risen, wanted FROM pg_temp.tea;
UPDATE storesync.listing SET share = 0.5;
UPDATE storesync.listing SET revision = 1;
SELECT count(*) FROM storesync.outbox WHERE xid = pg_current_xact_id();
SELECT min(revision) FROM storesync.listing WHERE listing_id = :tea1;
ROLLBACK;
BEGIN;
UPDATE storesync.sku SET safety_stock = 4 WHERE code = 'TEA';
SELECT * FROM pg_temp.told();
SELECT pg_temp.version(:tea1) - :version AS risen, wanted FROM pg_temp.tea;
ROLLBACK;
BEGIN;
UPDATE storesync.sku SET name = 'Tea';
SELECT * FROM pg_temp.told();
UPDATE storesync.location SET sellable = true WHERE code = 'damaged';
SELECT * FROM pg_temp.told();
SELECT pg_temp.version(:tea1) - :version AS risen, wanted FROM pg_temp.tea;
ROLLBACK;
BEGIN;
UPDATE storesync.platform SET max_quantity = 2;
SELECT * FROM pg_temp.told();
SELECT pg_temp.version(:tea1) - :version AS risen, wanted FROM pg_temp.tea;
ROLLBACK;
BEGIN;
SELECT storesync.pause(:store1);
UPDATE storesync.store SET mode = 'live';
SELECT * FROM pg_temp.told();
ROLLBACK;
-- another SKU: the versions of the old one stay in the sum
BEGIN;
UPDATE storesync.listing SET sku_id = :cup WHERE listing_id = :tea1;
SELECT pg_temp.version(:tea1) > :version AS risen;
ROLLBACK;
-- another item: what the old one showed says nothing
BEGIN;
UPDATE storesync.listing SET item_id = '102' WHERE listing_id = :tea1;
SET CONSTRAINTS ALL IMMEDIATE;
SELECT acked_qty, believed, dirty FROM storesync.listing_target WHERE listing_id = :tea1;
ROLLBACK;

-- Held: 0 until released.
UPDATE storesync.listing SET held = 'declined' WHERE listing_id = :tea1;
SELECT wanted, dirty FROM pg_temp.tea;
SELECT storesync.release_hold(:tea1), storesync.release_hold(:tea1);
SELECT wanted FROM pg_temp.tea;
SELECT storesync.release_hold(0);
-- Disabled: never dirty.
UPDATE storesync.listing SET enabled = false WHERE listing_id = :tea2;
SELECT state, dirty FROM storesync.listing_status WHERE listing_id = :tea2;

SELECT term, value FROM storesync.explain(:tea1) WHERE term NOT LIKE '% at';
SELECT * FROM storesync.explain(0);
SELECT * FROM storesync.check_invariants();
