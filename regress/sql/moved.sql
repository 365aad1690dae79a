-- Whatever moves a wanted number says so in the outbox, in the same transaction: each column of the
-- catalogue is named here, with a value to change it to and what the dispatcher hears of.
\set VERBOSITY terse
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
-- compiling the view that is read here takes longer than reading it
SET jit = off;
SELECT storesync.add_store('shopee', '1', 'one') AS store \gset
SELECT storesync.add_sku('TEA') AS tea, storesync.add_sku('CUP') AS cup \gset
SELECT storesync.add_listing(:store, 'TEA', '100') AS listing \gset
SELECT outcome FROM storesync.receive('TEA', 10, storesync.new_key());

CREATE TABLE change (relation text, attribute text, value text, kind text);
INSERT INTO change VALUES
	('listing', 'store_id', NULL, NULL), ('listing', 'listing_id', NULL, NULL), ('listing', 'created_at', NULL, NULL),
	('listing', 'revision', NULL, NULL),
	('listing', 'sku_id', '2', 'listing,stock'), ('listing', 'item_id', '''101''', 'listing'), ('listing', 'model_id', '''7''', 'listing'),
	('listing', 'pack', '2', 'listing'), ('listing', 'share', '0.5', 'listing'), ('listing', 'buffer', '1', 'listing'),
	('listing', 'cap', '3', 'listing'), ('listing', 'enabled', 'false', 'listing'), ('listing', 'price', '10', 'listing'),
	('listing', 'price_floor', '5', 'listing'), ('listing', 'listed', 'false', 'listing'), ('listing', 'at_zero', '''unlist''', 'listing'),
	('listing', 'held', '''counted''', 'listing'),
	('sku', 'sku_id', NULL, NULL), ('sku', 'code', NULL, NULL), ('sku', 'name', NULL, NULL), ('sku', 'created_at', NULL, NULL),
	-- set_bundle() changes it
	('sku', 'bundle', NULL, NULL),
	('sku', 'safety_stock', '3', 'stock'), ('sku', 'solo_below', '7', 'stock'), ('sku', 'allow_backorder', 'true', 'stock'),
	('location', 'location_id', NULL, NULL), ('location', 'code', NULL, NULL), ('location', 'name', NULL, NULL),
	('location', 'priority', NULL, NULL), ('location', 'sellable', 'false', 'platform'),
	('store', 'store_id', NULL, NULL), ('store', 'platform', NULL, NULL), ('store', 'shop_id', NULL, NULL), ('store', 'created_at', NULL, NULL),
	('store', 'name', '''new''', 'store'), ('store', 'mode', '''lower_only''', 'store'), ('store', 'paused', 'true', 'store'),
	('store', 'priority', '4', 'store'), ('store', 'rate_limit', '''7/s''', 'store'), ('store', 'poll_interval', '''7 s''', 'store'),
	('store', 'poll_spread', '7', 'store'), ('platform', 'look_again', '''{1 day}''', 'platform'), ('platform', 'returns_interval', '''1 day''', 'platform'),
	('platform', 'ship_within', '''1 day''', 'platform'), ('platform', 'short_weight', '7', 'platform'),
	('store', 'stock_from', '''2024-01-01''', 'store'), ('store', 'unpaid_hold', '''3 days''', 'store'),
	('store', 'returns', '''platform''', 'store'), ('store', 'timezone', '''UTC''', 'store'),
	('store', 'breaker_share', '0.5', 'store'), ('store', 'breaker_least', '7', 'store'), ('store', 'breaker_window', '''7 min''', 'store'),
	('store', 'max_price_change', '0.7', 'store'), ('store', 'night', '''{01:00,05:00}''', 'store'),
	('store', 'drift_units', '7', 'store'), ('store', 'drift_share', '0.7', 'store'), ('store', 'drift_least', '7', 'store'),
	-- what a trigger keeps
	('listing', 'shaped', NULL, NULL), ('listing', 'freed', NULL, NULL),
	('platform', 'platform', NULL, NULL),
	('platform', 'base_url', '''http://127.0.0.1:1''', 'platform'), ('platform', 'rate_limit', '''100/s''', 'platform'),
	('platform', 'quota_reset', '''01:00+08''', 'platform'), ('platform', 'quota_scope', '''store''', 'platform'),
	('platform', 'max_quantity', '7', 'platform'), ('platform', 'returns_on_cancel', 'false', 'platform'),
	('platform', 'order_overlap', '''1 min''', 'platform'), ('platform', 'unpaid_hold', '''1 day''', 'platform'),
	('platform', 'sign_path_only', 'true', 'platform'), ('platform', 'sign_base64', 'true', 'platform');
-- a column that nobody has thought of
SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'storesync'::regnamespace AND c.relname IN ('listing', 'sku', 'location', 'store', 'platform')
	AND NOT EXISTS (SELECT FROM change m WHERE m.relation = c.relname AND m.attribute = a.attname)
ORDER BY 1, 2;

CREATE FUNCTION pg_temp.told(relation text, attribute text, value text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	before timestamptz := clock_timestamp();
BEGIN
	EXECUTE format('UPDATE storesync.%I SET %I = %s', relation, attribute, value);
	RETURN (SELECT string_agg(DISTINCT o.kind::text, ',') FROM storesync.outbox o
		WHERE o.at > before AND o.xid = pg_current_xact_id());
END
$$;
-- none of these is silent, and none says something else
SELECT m.relation, m.attribute, m.kind, x.told
FROM change m CROSS JOIN LATERAL pg_temp.told(m.relation, m.attribute, m.value) x(told)
WHERE m.value IS NOT NULL AND x.told IS DISTINCT FROM m.kind;
-- and an UPDATE that changes nothing says nothing
SELECT m.relation, m.attribute, x.told
FROM change m CROSS JOIN LATERAL pg_temp.told(m.relation, m.attribute, m.attribute) x(told)
WHERE m.value IS NOT NULL AND x.told IS NOT NULL;

-- the functions
CREATE FUNCTION pg_temp.told_by(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	before timestamptz := clock_timestamp();
BEGIN
	EXECUTE statement;
	RETURN (SELECT string_agg(DISTINCT o.kind::text, ',') FROM storesync.outbox o
		WHERE o.at > before AND o.xid = pg_current_xact_id());
END
$$;
UPDATE storesync.location SET sellable = true;
UPDATE storesync.store SET paused = false;
SELECT storesync.add_sku('SET') AS bundle \gset
SELECT m.statement, pg_temp.told_by(format('SELECT storesync.%s', m.statement)) FROM (VALUES
	('receive(''TEA'', 5, storesync.new_key())'), ('reserve(''TEA'', 2, storesync.new_key())'),
	('release(''TEA'', 1, storesync.new_key())'), ('ship(''TEA'', 1, storesync.new_key())'),
	('restock(''TEA'', 1, storesync.new_key())'), ('adjust(''TEA'', 9, storesync.new_key())'),
	('pause(1)'), ('resume(1)'), ('release_hold(1)'), ('set_bundle(''SET'', ''{"TEA": 2}'')'),
	('set_store_locations(1, ''{main}'')'), ('add_sku(''POT'')'), ('add_listing(1, ''POT'', ''300'')'),
	('add_location(''shop'')'), ('transfer(''TEA'', 1, ''main'', ''shop'', storesync.new_key())'),
	('set_bundle(''SET'', NULL)'), ('add_store(''shopee'', ''2'', ''two'')'),
	('stop_selling(sku => ''CUP'')'), ('start_selling(sku => ''CUP'')'), ('stop_selling(1)'), ('start_selling(1)'),
	('stop_selling()'), ('start_selling()'),
	('add_peak_window(''2100-01-01'', ''2100-01-02'', store => 1)'), ('drop_peak_window(1)')) AS m(statement);

-- And told of are those that moved: whatever a statement makes of wanted numbers, each listing whose number is another
-- one afterwards is named, by itself or with its SKU, a part of its bundle, its store, or with everything.
SELECT storesync.add_sku('PAIR') AS pair \gset
SELECT storesync.set_bundle('PAIR', '{"TEA": 1, "CUP": 2}');
SELECT outcome FROM storesync.receive('CUP', 30, storesync.new_key());
SELECT outcome FROM storesync.adjust('TEA', 40, storesync.new_key());
UPDATE storesync.store SET mode = 'live', paused = false, priority = store_id;
UPDATE storesync.listing SET sku_id = :tea, share = 1, pack = 1, buffer = 0, cap = NULL, enabled = true, held = NULL;
UPDATE storesync.sku SET safety_stock = 0, solo_below = 3, allow_backorder = false;
UPDATE storesync.platform SET max_quantity = 1000;
SELECT count(storesync.add_listing(s.store_id, c.code, 'more ' || c.code)) AS listings
FROM storesync.store s, unnest(ARRAY['TEA', 'CUP', 'PAIR']) AS c (code);
-- silent: not named, or with another number at a version that it had before
CREATE FUNCTION pg_temp.silent(statement text, OUT moved bigint, OUT silent bigint) LANGUAGE plpgsql AS $$
DECLARE
	start timestamptz := clock_timestamp();
BEGIN
	CREATE TEMP TABLE was AS SELECT t.listing_id, t.wanted, t.version FROM storesync.listing_target t;
	EXECUTE statement;
	SELECT count(*), count(*) FILTER (WHERE t.version <= w.version OR NOT EXISTS (
		SELECT FROM storesync.outbox o
		WHERE o.at > start AND o.xid = pg_current_xact_id() AND CASE o.kind
			WHEN 'listing' THEN o.subject = t.listing_id WHEN 'store' THEN o.subject = t.store_id WHEN 'platform' THEN true
			WHEN 'stock' THEN o.subject = t.sku_id OR EXISTS (
				SELECT FROM storesync.component c WHERE c.bundle_id = t.sku_id AND c.sku_id = o.subject) END))
	INTO moved, silent
	FROM storesync.listing_target t JOIN was w USING (listing_id) WHERE t.wanted <> w.wanted;
	DROP TABLE was;
END
$$;
CREATE TABLE done (place serial, statement text, moved bigint, silent bigint);
CREATE FUNCTION pg_temp.try(statement text) RETURNS void LANGUAGE sql AS
	$$ INSERT INTO done (statement, moved, silent) SELECT $1, x.* FROM pg_temp.silent($1) x $$;
DO $$
DECLARE
	statement text;
BEGIN
	FOREACH statement IN ARRAY ARRAY[
		'UPDATE storesync.listing SET buffer = 5 WHERE item_id = ''more TEA''',
		'UPDATE storesync.listing SET share = 0.5 WHERE item_id = ''more CUP''',
		'UPDATE storesync.listing SET pack = 2, cap = 9 WHERE item_id = ''more CUP''',
		'UPDATE storesync.listing SET held = ''declined'' WHERE item_id = ''more TEA''',
		'SELECT storesync.adjust(''TEA'', 25, storesync.new_key())',
		'UPDATE storesync.sku SET safety_stock = 4 WHERE code = ''CUP''',
		'UPDATE storesync.platform SET max_quantity = 7', 'UPDATE storesync.platform SET max_quantity = 1000',
		'UPDATE storesync.location SET sellable = false WHERE code = ''main''', 'UPDATE storesync.location SET sellable = true',
		'SELECT storesync.transfer(''TEA'', 6, ''main'', ''shop'', storesync.new_key())',
		'SELECT storesync.set_store_locations(1, ''{shop}'')', 'SELECT storesync.set_store_locations(1, ''{}'')',
		'SELECT storesync.set_bundle(''PAIR'', ''{"TEA": 1}'')',
		'SELECT storesync.stop_selling(sku => ''TEA'')', 'SELECT storesync.start_selling(sku => ''TEA'')',
		'SELECT storesync.stop_selling(1)', 'SELECT storesync.start_selling(1)',
		'SELECT storesync.stop_selling()', 'SELECT storesync.start_selling()',
		'SELECT storesync.allot(min(listing_id), 9, storesync.new_key()) FROM storesync.listing WHERE item_id = ''more TEA''',
		'SELECT storesync.allot(min(listing_id), 0, storesync.new_key()) FROM storesync.listing WHERE item_id = ''more TEA''',
		'UPDATE storesync.sku SET solo_below = 100 WHERE code = ''TEA''',
		'UPDATE storesync.store SET priority = 9 WHERE store_id = 1',
		'UPDATE storesync.store SET mode = ''shadow'' WHERE store_id = 1', 'UPDATE storesync.store SET mode = ''live'' WHERE store_id = 1',
		'SELECT storesync.pause(1)', 'SELECT storesync.resume(1)',
		'UPDATE storesync.listing SET enabled = false WHERE store_id = 1', 'UPDATE storesync.listing SET enabled = true',
		'SELECT storesync.stop_selling(1)', 'SELECT storesync.start_selling(1)',
		'SELECT storesync.reserve(''TEA'', 20, storesync.new_key())', 'SELECT storesync.reserve(''CUP'', 20, storesync.new_key())']
	LOOP
		PERFORM pg_temp.try(statement);
	END LOOP;
END
$$;
SELECT statement, moved > 0 AS moves, silent FROM done ORDER BY place;
DROP TABLE done;

-- as found
DROP TABLE change;
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
