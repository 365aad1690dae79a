-- Places: those that a store sells from, and order lines over several of them.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
SET timezone = 'UTC';
SELECT storesync.add_store('shopee', '1', 'one') AS store, storesync.add_store('shopee', '2', 'two') AS second \gset
SELECT storesync.add_sku('TEA') AS tea, storesync.add_sku('CUP') AS cup \gset
SELECT storesync.add_location('north') AS north, storesync.add_location('south') AS south,
	storesync.add_location('scrap', NULL, false) AS scrap \gset
CREATE FUNCTION pg_temp.arrive(sku text, qty bigint, place text DEFAULT 'main') RETURNS text LANGUAGE sql AS
$$ SELECT outcome FROM storesync.receive($1, $2, storesync.new_key(), $3) $$;

-- The places of a store.
SELECT storesync.set_store_locations(0, '{}');
SELECT storesync.set_store_locations(:store, NULL);
SELECT storesync.set_store_locations(:store, ARRAY['north', NULL]);
SELECT storesync.set_store_locations(:store, ARRAY['north', 'nowhere']);
SELECT storesync.set_store_locations(:store, ARRAY['north', 'north']);
SELECT count(*) FROM storesync.store_location;
SELECT storesync.set_store_locations(:store, ARRAY['south', 'north', 'scrap']);
SELECT storesync.set_store_locations(:store, ARRAY['north', 'scrap', 'south']);
SELECT p.code FROM storesync.store_location z JOIN storesync.location p USING (location_id) WHERE z.store_id = :store ORDER BY 1;
SELECT action, before, after FROM storesync.audit WHERE subject = concat('store ', :store) AND action <> 'add';
SELECT kind, subject - :store AS store FROM storesync.outbox ORDER BY xid DESC, ctid DESC LIMIT 1;
DELETE FROM storesync.location WHERE code = 'scrap';

-- Listings show what lies there and sells; available() knows no store.
SELECT storesync.add_listing(:store, 'TEA', '100') AS tied, storesync.add_listing(:second, 'TEA', '200') AS untied \gset
SELECT pg_temp.arrive('TEA', 8), pg_temp.arrive('TEA', 4, 'north'), pg_temp.arrive('TEA', 2, 'south'), pg_temp.arrive('TEA', 1, 'scrap');
SELECT item_id, available, wanted FROM storesync.listing_target ORDER BY 1;
SELECT storesync.available('TEA');
UPDATE storesync.location SET sellable = false WHERE code = 'south';
SELECT item_id, available, wanted FROM storesync.listing_target ORDER BY 1;
UPDATE storesync.location SET sellable = true WHERE code = 'south';
SELECT version AS before FROM storesync.listing_target WHERE listing_id = :tied \gset
SELECT storesync.set_store_locations(:store, '{}');
SELECT item_id, available, wanted, version > :before AS rose FROM storesync.listing_target WHERE listing_id = :tied;
SELECT * FROM storesync.check_invariants();

-- Order lines over several places.
CREATE FUNCTION pg_temp.sells(sn text, lines jsonb, status text DEFAULT 'ready_to_ship', seconds int DEFAULT 0, store text DEFAULT '1')
	RETURNS TABLE(outcome text, states text) LANGUAGE sql AS $$
	SELECT r.outcome, string_agg(concat(d ->> 'line_id', ' ', d ->> 'state', coalesce(': ' || (d ->> 'reason'), '')), '; ')
	FROM storesync.ingest_order((SELECT store_id FROM storesync.store WHERE shop_id = $5), jsonb_build_object('order_sn', $1, 'status', $3,
		'create_time', extract(epoch FROM now())::bigint - 1000, 'update_time', extract(epoch FROM now())::bigint - 900 + $4,
		'fetched_at', extract(epoch FROM now())::bigint - 900 + $4, 'lines', $2)) r
	LEFT JOIN LATERAL jsonb_array_elements(r.detail) d ON true GROUP BY 1
$$;
CREATE FUNCTION pg_temp.line(sku text, qty int, id text DEFAULT '1', more jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS
$$ SELECT jsonb_build_array(jsonb_build_object('line_id', $3, 'sku', $1, 'qty', $2) || $4) $$;
CREATE VIEW pg_temp.parts AS
SELECT o.order_sn AS sn, p.line_id AS id, k.code AS sku, c.code AS place, p.per, p.reserved AS res, p.shipped AS sent, p.back
FROM storesync.line_part p JOIN storesync.sales_order o USING (order_id) JOIN storesync.sku k USING (sku_id)
LEFT JOIN storesync.location c USING (location_id) ORDER BY 1, 2, 3, c.priority, c.location_id;
CREATE VIEW pg_temp.lines AS
SELECT o.order_sn AS sn, l.line_id AS id, l.state, l.reserved AS res, l.shipped AS sent, l.restocked AS back, l.lost, l.short, l.effects AS eff,
	c.code AS place, l.parts IS NOT NULL AS parts
FROM storesync.sales_order_line l JOIN storesync.sales_order o USING (order_id) LEFT JOIN storesync.location c USING (location_id) ORDER BY 1, 2;
CREATE VIEW pg_temp.stock AS
SELECT k.code AS sku, c.code AS place, t.on_hand, t.reserved FROM storesync.stock t JOIN storesync.sku k USING (sku_id)
JOIN storesync.location c USING (location_id) WHERE t.version > 0 ORDER BY 1, c.priority, c.location_id;
UPDATE storesync.location SET priority = CASE code WHEN 'main' THEN 2 WHEN 'north' THEN 1 ELSE 3 END;

-- CUP: north 3, main 4, south 5. The first that covers, then the first that covers, then all in the order of priority.
SELECT pg_temp.arrive('CUP', 4), pg_temp.arrive('CUP', 3, 'north'), pg_temp.arrive('CUP', 5, 'south'), pg_temp.arrive('CUP', 9, 'scrap');
SELECT * FROM pg_temp.sells('A1', pg_temp.line('CUP', 2));
SELECT * FROM pg_temp.sells('A2', pg_temp.line('CUP', 5));
SELECT * FROM pg_temp.sells('A3', pg_temp.line('CUP', 7));
SELECT * FROM pg_temp.parts;
SELECT * FROM pg_temp.lines;
SELECT h.lines FROM storesync.order_history h JOIN storesync.sales_order o USING (order_id) WHERE o.order_sn = 'A3';
-- filled from wherever stock comes
SELECT pg_temp.arrive('CUP', 1, 'scrap'), pg_temp.arrive('CUP', 1, 'south');
SELECT * FROM pg_temp.parts WHERE sn = 'A3';
SELECT pg_temp.arrive('CUP', 3, 'north');
SELECT * FROM pg_temp.parts WHERE sn = 'A3';
SELECT * FROM pg_temp.stock WHERE sku = 'CUP';
-- drawn last, given back first; shipped from every place, its own units first, back to where they came from
SELECT * FROM pg_temp.sells('A3', pg_temp.line('CUP', 7, more => '{"cancelled_qty": 2}'), seconds => 1);
SELECT * FROM pg_temp.parts WHERE sn = 'A3';
SELECT * FROM pg_temp.sells('A3', pg_temp.line('CUP', 7, more => '{"cancelled_qty": 1}'), 'shipped', 2);
SELECT * FROM pg_temp.parts WHERE sn = 'A3';
SELECT * FROM pg_temp.sells('A3', pg_temp.line('CUP', 7, more => '{"cancelled_qty": 1, "returned_qty": 3}'), 'returned', 3);
SELECT * FROM pg_temp.parts WHERE sn = 'A3';
-- to a shelf of our choice, and never
SELECT outcome, on_hand FROM storesync.receive_return(:store, 'A3', '1', 2, storesync.new_key(), 'damaged', 'scrap');
SELECT outcome FROM storesync.receive_return(:store, 'A3', '1', 1, storesync.new_key(), 'lost');
SELECT outcome FROM storesync.receive_return(:store, 'A3', '1', 1, storesync.new_key());
SELECT * FROM pg_temp.parts WHERE sn = 'A3';
SELECT * FROM pg_temp.lines WHERE sn = 'A3';
SELECT * FROM pg_temp.stock WHERE sku = 'CUP';
SELECT * FROM storesync.check_invariants();

-- A count takes from the line what lies at its place; what is elsewhere stays, and what is free elsewhere fills it.
SELECT * FROM pg_temp.sells('B1', pg_temp.line('TEA', 13));
SELECT * FROM pg_temp.parts WHERE sn = 'B1';
SELECT outcome, on_hand, reserved FROM storesync.adjust('TEA', 1, storesync.new_key(), 'north');
SELECT * FROM pg_temp.parts WHERE sn = 'B1';
SELECT * FROM pg_temp.lines WHERE sn = 'B1';
SELECT * FROM storesync.check_invariants();
-- sent all the same, more than the books have: the first count that sells explains it
SELECT * FROM pg_temp.sells('B1', pg_temp.line('TEA', 13), 'shipped', 1);
SELECT outcome, on_hand, reserved FROM storesync.adjust('TEA', 5, storesync.new_key(), 'south');
SELECT * FROM pg_temp.parts WHERE sn = 'B1';
SELECT * FROM pg_temp.lines WHERE sn = 'B1';
SELECT * FROM storesync.check_invariants();

-- A store takes from its own places alone; what it holds elsewhere it keeps.
SELECT * FROM pg_temp.sells('C1', pg_temp.line('TEA', 3));
SELECT storesync.set_store_locations(:store, ARRAY['north', 'main']);
SELECT pg_temp.arrive('TEA', 3), * FROM pg_temp.sells('C1', pg_temp.line('TEA', 9), seconds => 1);
SELECT * FROM pg_temp.parts WHERE sn = 'C1';
SELECT * FROM pg_temp.sells('C2', pg_temp.line('TEA', 2), store => '2');
SELECT * FROM pg_temp.parts WHERE sn = 'C2';
SELECT pg_temp.arrive('TEA', 4, 'south'), pg_temp.arrive('TEA', 1, 'north');
SELECT * FROM pg_temp.parts WHERE sn = 'C1';
SELECT * FROM pg_temp.sells('C1', pg_temp.line('TEA', 9), 'cancelled', 2);
SELECT * FROM pg_temp.lines WHERE sn = 'C1';

-- Unpaid holds end for all parts.
UPDATE storesync.store SET unpaid_hold = '1 day' WHERE store_id = :store;
SELECT pg_temp.arrive('CUP', 2), pg_temp.arrive('CUP', 2, 'north');
SELECT * FROM pg_temp.sells('D1', pg_temp.line('CUP', (SELECT sum(on_hand - reserved)::int FROM pg_temp.stock WHERE sku = 'CUP' AND place IN ('main', 'north'))), 'unpaid');
SELECT count(*) > 1 AS several, sum(res) > 0 AS held FROM pg_temp.parts WHERE sn = 'D1';
UPDATE storesync.store SET unpaid_hold = '1 second' WHERE store_id = :store;
SELECT storesync.release_expired();
SELECT state, res, short, parts FROM pg_temp.lines WHERE sn = 'D1';
SELECT * FROM storesync.check_invariants();
