-- Bundles: what they are made of, what they may not be, what their listings show, and their order lines.
\set VERBOSITY verbose
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
SET timezone = 'UTC';
CREATE FUNCTION pg_temp.try(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	EXECUTE statement;
	RETURN 'done';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN concat_ws(': ', SQLSTATE, SQLERRM, nullif(detail, ''));
END $$;
\set VERBOSITY terse
SELECT storesync.add_store('shopee', '1', 'one') AS store, storesync.add_store('shopee', '2', 'two') AS second \gset
SELECT storesync.add_sku('MUG') AS mug, storesync.add_sku('SHIRT') AS shirt, storesync.add_sku('SET') AS set,
	storesync.add_sku('DUO') AS duo, storesync.add_sku('LATE', allow_backorder => true) AS late \gset
SELECT storesync.add_location('north') AS north, storesync.add_location('scrap', NULL, false) AS scrap \gset
CREATE FUNCTION pg_temp.arrive(sku text, qty bigint, place text DEFAULT 'main') RETURNS text LANGUAGE sql AS
$$ SELECT outcome FROM storesync.receive($1, $2, storesync.new_key(), $3) $$;

-- What is no composition.
SELECT x.components, pg_temp.try(format('SELECT storesync.set_bundle(%L, %L)', x.sku, x.components))
FROM (VALUES ('SET', '[]'), ('SET', '{"MUG": 0}'), ('SET', '{"MUG": -1}'), ('SET', '{"MUG": 1.5}'), ('SET', '{"MUG": null}'),
	('SET', '{"MUG": "x"}'), ('SET', '{"MUG": 1000001}'), ('SET', '{"NONE": 1}'), ('NONE', '{"MUG": 1}'), ('SET', '{"SET": 1}'),
	('LATE', '{"MUG": 1}')) x (sku, components);
SELECT pg_temp.try('SELECT storesync.set_bundle(''SET'', (SELECT jsonb_object_agg(n, 1) FROM generate_series(1, 101) n))');
SELECT count(*) FROM storesync.component;

-- One that is.
SELECT pg_temp.arrive('MUG', 10), pg_temp.arrive('SHIRT', 9);
SELECT storesync.set_bundle('SET', '{"MUG": 1, "SHIRT": 2}');
SELECT storesync.set_bundle('SET', '{"MUG": 1, "SHIRT": 2}');
SELECT b.code, b.bundle, k.code, c.qty FROM storesync.component c JOIN storesync.sku b ON b.sku_id = c.bundle_id JOIN storesync.sku k ON k.sku_id = c.sku_id ORDER BY 1, 3;
SELECT action, before, after FROM storesync.audit WHERE subject = concat('sku ', :set) AND action <> 'add' ORDER BY audit_id;
SELECT kind, subject - :set AS sku FROM storesync.outbox ORDER BY xid DESC, ctid DESC LIMIT 1;
SELECT storesync.available('SET'), storesync.available('SET', 'main'), storesync.available('SET', 'north');

-- No nesting, whichever comes first; no stock of its own; nothing moves it.
SELECT x.sku, pg_temp.try(format('SELECT storesync.set_bundle(%L, %L)', x.sku, x.components))
FROM (VALUES ('DUO', '{"SET": 1}'), ('MUG', '{"SHIRT": 1}'), ('SHIRT', '{"DUO": 1}')) x (sku, components);
SELECT x.call, pg_temp.try(format('SELECT storesync.%s', x.call)) FROM (VALUES
	('receive(''SET'', 1, storesync.new_key())'), ('reserve(''SET'', 1, storesync.new_key())'), ('release(''SET'', 1, storesync.new_key())'),
	('ship(''SET'', 1, storesync.new_key())'), ('restock(''SET'', 1, storesync.new_key())'), ('adjust(''SET'', 1, storesync.new_key())'),
	('transfer(''SET'', 1, ''main'', ''north'', storesync.new_key())'), ('balance_at(''SET'', now())')) x (call);
SELECT split_part(pg_temp.try('UPDATE storesync.sku SET allow_backorder = true WHERE code = ''SET'''), ': Failing', 1);
SELECT pg_temp.try('DELETE FROM storesync.sku WHERE code = ''SET''');
SELECT count(*) AS places FROM storesync.stock WHERE sku_id = :set;

-- Availability: the scarcest component decides; one on backorder does not, unless all are.
SELECT storesync.set_bundle('DUO', '{"MUG": 3, "LATE": 1}');
SELECT storesync.available('DUO');
SELECT storesync.set_bundle('DUO', '{"LATE": 2}');
SELECT pg_temp.arrive('LATE', 5), storesync.available('DUO');
SELECT outcome FROM storesync.reserve('LATE', 8, storesync.new_key());
SELECT storesync.available('DUO');
SELECT k.code, c.qty FROM storesync.component c JOIN storesync.sku k ON k.sku_id = c.sku_id WHERE c.bundle_id = :duo ORDER BY 1;

-- Listings: safety units of a component are not shown; then the bundle's own safety, pack and buffer.
SELECT storesync.add_listing(:store, 'SET', '100') AS listing, storesync.add_listing(:second, 'SET', '200', pack => 2) AS packed \gset
CREATE VIEW pg_temp.shown AS SELECT item_id, available, wanted, version FROM storesync.listing_target ORDER BY 1;
SELECT * FROM pg_temp.shown;
SELECT version AS before FROM storesync.listing_target WHERE item_id = '100' \gset
CREATE FUNCTION pg_temp.rose(before bigint) RETURNS boolean LANGUAGE sql AS
$$ SELECT version > $1 FROM storesync.listing_target WHERE item_id = '100' $$;
UPDATE storesync.sku SET safety_stock = 3 WHERE code = 'SHIRT';
SELECT *, pg_temp.rose(:before) FROM pg_temp.shown;
SELECT kind, subject - :shirt AS sku FROM storesync.outbox ORDER BY xid DESC, ctid DESC LIMIT 1;
UPDATE storesync.sku SET safety_stock = 1 WHERE code = 'SET';
SELECT item_id, available, wanted FROM pg_temp.shown;
SELECT pg_temp.arrive('SHIRT', 20);
SELECT item_id, available, wanted FROM pg_temp.shown;
-- a store sells from its places alone
SELECT version AS before FROM storesync.listing_target WHERE item_id = '100' \gset
SELECT storesync.set_store_locations(:store, ARRAY['north', 'scrap']);
SELECT item_id, available, wanted, pg_temp.rose(:before) FROM pg_temp.shown;
SELECT pg_temp.arrive('SHIRT', 7, 'north'), pg_temp.arrive('MUG', 4, 'north'), pg_temp.arrive('MUG', 4, 'scrap');
SELECT item_id, available, wanted FROM pg_temp.shown;
SELECT storesync.available('SET'), storesync.available('SET', 'north'), storesync.available('SET', 'scrap');
-- another composition, then none: versions never fall
SELECT version AS before FROM storesync.listing_target WHERE item_id = '100' \gset
SELECT storesync.set_bundle('SET', '{"MUG": 1}');
SELECT item_id, available, wanted, pg_temp.rose(:before) FROM pg_temp.shown;
SELECT version AS before FROM storesync.listing_target WHERE item_id = '100' \gset
SELECT storesync.set_bundle('SET', NULL);
SELECT item_id, available, wanted, pg_temp.rose(:before) FROM pg_temp.shown;
SELECT pg_temp.arrive('SET', 2, 'north');
SELECT pg_temp.try('SELECT storesync.set_bundle(''SET'', ''{"MUG": 1}'')');
SELECT * FROM storesync.check_invariants();

-- Order lines of bundles: a box is a mug, two shirts and a card.
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
SELECT storesync.add_sku('CARD') AS card, storesync.add_sku('BOX') AS box, storesync.add_sku('CUP') AS cup, storesync.add_sku('TWIN') AS twin \gset
UPDATE storesync.sku SET safety_stock = 0;
SELECT storesync.set_store_locations(:store, '{}');
SELECT outcome FROM unnest(ARRAY['main', 'north']) place, unnest(ARRAY['MUG', 'SHIRT']) sku, LATERAL storesync.adjust(sku, 0, storesync.new_key(), place);
SELECT storesync.set_bundle('BOX', '{"MUG": 1, "SHIRT": 2, "CARD": 1}'), storesync.set_bundle('TWIN', '{"CUP": 2}');
SELECT pg_temp.arrive('MUG', 3), pg_temp.arrive('SHIRT', 4), pg_temp.arrive('SHIRT', 3, 'north'), pg_temp.arrive('CARD', 9), pg_temp.arrive('CUP', 5);
SELECT * FROM pg_temp.sells('A1', pg_temp.line('BOX', 2));
SELECT * FROM pg_temp.parts;
SELECT * FROM pg_temp.sells('A2', pg_temp.line('BOX', 3));
SELECT * FROM pg_temp.parts WHERE sn = 'A2';
SELECT * FROM pg_temp.lines;
SELECT storesync.available('BOX'), storesync.available('MUG'), storesync.available('CARD');
SELECT count(*) AS places FROM storesync.stock WHERE sku_id IN (:box, :twin);
-- one component is not enough for another box; the last one that is missing fills it
SELECT pg_temp.arrive('MUG', 1), pg_temp.arrive('SHIRT', 1);
SELECT * FROM pg_temp.lines WHERE sn = 'A2';
SELECT pg_temp.arrive('SHIRT', 2, 'north');
SELECT * FROM pg_temp.lines WHERE sn = 'A2';
SELECT * FROM pg_temp.parts WHERE sn = 'A2';
-- another order gives a mug back, two shirts lie there: the last box
SELECT pg_temp.arrive('SHIRT', 2), pg_temp.arrive('MUG', 2), * FROM pg_temp.sells('M1', pg_temp.line('MUG', 1));
SELECT * FROM pg_temp.lines WHERE sn IN ('A2', 'M1');
SELECT * FROM storesync.check_invariants();

-- Lines that share a component take it in turn, in one order, over a page, by themselves and in bundles.
SELECT * FROM pg_temp.sells('S1', pg_temp.line('TWIN', 2, 'a') || pg_temp.line('CUP', 2, 'b') || pg_temp.line('TWIN', 1, 'c'));
SELECT * FROM pg_temp.parts WHERE sn = 'S1';
SELECT * FROM pg_temp.stock WHERE sku = 'CUP';
SELECT outcome, on_hand, reserved FROM storesync.receive('CUP', 1, storesync.new_key());
SELECT outcome, on_hand, reserved FROM storesync.receive('CUP', 1, storesync.new_key());
SELECT * FROM pg_temp.lines WHERE sn = 'S1';
SELECT * FROM pg_temp.sells('S1', pg_temp.line('TWIN', 2, 'a', '{"cancelled_qty": 1}') || pg_temp.line('CUP', 2, 'b') || pg_temp.line('TWIN', 1, 'c'), seconds => 1);
SELECT * FROM pg_temp.lines WHERE sn = 'S1';
SELECT * FROM storesync.check_invariants();

-- The composition of the day holds for the line; new lines have the new one.
SELECT storesync.set_bundle('BOX', '{"MUG": 1, "CUP": 1}');
SELECT * FROM pg_temp.sells('A1', pg_temp.line('BOX', 3), seconds => 1);
SELECT * FROM pg_temp.parts WHERE sn = 'A1';
SELECT * FROM pg_temp.sells('A3', pg_temp.line('BOX', 1));
SELECT * FROM pg_temp.parts WHERE sn = 'A3';
SELECT pg_temp.arrive('SHIRT', 2), pg_temp.arrive('MUG', 2), pg_temp.arrive('CUP', 1);
SELECT * FROM pg_temp.lines WHERE sn IN ('A1', 'A3');
SELECT * FROM storesync.check_invariants();

-- Sent, back by the platform's word, back to a shelf of ours, lost.
SELECT * FROM pg_temp.sells('A2', pg_temp.line('BOX', 3), 'shipped', 1);
SELECT * FROM pg_temp.sells('A2', pg_temp.line('BOX', 3, more => '{"returned_qty": 1}'), 'returned', 2);
SELECT * FROM pg_temp.parts WHERE sn = 'A2';
SELECT storesync.new_key() AS key \gset
SELECT outcome, on_hand, reserved FROM storesync.receive_return(:store, 'A2', '1', 1, :'key', 'damaged', 'scrap');
SELECT outcome, on_hand, reserved FROM storesync.receive_return(:store, 'A2', '1', 1, :'key', 'damaged', 'scrap');
SELECT outcome FROM storesync.receive_return(:store, 'A2', '1', 1, storesync.new_key(), 'lost');
SELECT * FROM pg_temp.parts WHERE sn = 'A2';
SELECT * FROM pg_temp.lines WHERE sn = 'A2';
SELECT * FROM pg_temp.stock;
SELECT * FROM storesync.check_invariants();

-- A count that finds too few of a component breaks whole bundles, the newest first, and sets the other components free.
SELECT * FROM pg_temp.lines WHERE res > 0;
SELECT outcome, on_hand, reserved FROM storesync.adjust('MUG', 1, storesync.new_key());
SELECT * FROM pg_temp.lines WHERE res + short > 0;
SELECT * FROM pg_temp.stock WHERE place <> 'scrap';
SELECT * FROM storesync.check_invariants();
-- a bundle that was sent without the books having it stays short
SELECT * FROM pg_temp.sells('A1', pg_temp.line('BOX', 3), 'shipped', 2);
SELECT outcome, on_hand FROM storesync.adjust('MUG', 7, storesync.new_key());
SELECT * FROM pg_temp.lines WHERE sn = 'A1';

-- Packs, unpaid holds, cancelled, and a line that was short before its SKU became a bundle.
SELECT storesync.add_sku('LATER') AS later, storesync.add_listing(:store, 'TWIN', '300', pack => 2) AS twins \gset
SELECT * FROM pg_temp.sells('L1', pg_temp.line('LATER', 1));
SELECT storesync.set_bundle('LATER', '{"SHIRT": 1, "CARD": 2}');
SELECT pg_temp.arrive('CARD', 1), pg_temp.arrive('SHIRT', 1);
SELECT * FROM pg_temp.parts WHERE sn = 'L1';
SELECT pg_temp.arrive('CUP', 9), * FROM pg_temp.sells('P1', '[{"line_id": "1", "item_id": "300", "qty": 2}]', 'unpaid');
SELECT * FROM pg_temp.sells('P1', '[{"line_id": "1", "item_id": "300", "qty": 2}]', 'unpaid', 1);
SELECT * FROM pg_temp.parts WHERE sn = 'P1';
UPDATE storesync.store SET unpaid_hold = '1 second' WHERE store_id = :store;
SELECT storesync.release_expired();
SELECT * FROM pg_temp.lines WHERE sn = 'P1';
SELECT * FROM pg_temp.sells('A3', pg_temp.line('BOX', 1), 'cancelled', 1);
SELECT * FROM pg_temp.parts WHERE sn IN ('A3', 'P1');
-- a page of orders, the same components in every order of lines
SELECT r.order_sn, r.outcome FROM storesync.ingest_orders(:store, (SELECT jsonb_agg(jsonb_build_object('order_sn', 'Z' || n, 'status', 'ready_to_ship',
	'create_time', extract(epoch FROM now())::bigint - 100, 'lines', CASE n % 2 WHEN 0 THEN pg_temp.line('BOX', 1, 'a') || pg_temp.line('TWIN', 1, 'b') || pg_temp.line('CUP', 1, 'c')
	ELSE pg_temp.line('CUP', 1, 'a') || pg_temp.line('BOX', 1, 'b') || pg_temp.line('MUG', 1, 'c') END) ORDER BY n) FROM generate_series(1, 4) n)) r;
SELECT * FROM pg_temp.lines WHERE sn LIKE 'Z%';
SELECT * FROM pg_temp.stock WHERE place <> 'scrap';
SELECT * FROM storesync.check_invariants();
