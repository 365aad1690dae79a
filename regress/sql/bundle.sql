-- Bundles: what they are made of, what they may not be, what their listings show.
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
SELECT kind, subject - :set AS sku FROM storesync.outbox ORDER BY id DESC LIMIT 1;
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
SELECT kind, subject - :shirt AS sku FROM storesync.outbox ORDER BY id DESC LIMIT 1;
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
