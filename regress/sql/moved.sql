-- Whatever moves a wanted number says so in the outbox, in the same transaction: each column of the
-- catalogue is named here, with a value to change it to and what the dispatcher hears of.
\set VERBOSITY terse
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
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
	('store', 'poll_spread', '7', 'store'), ('platform', 'look_again', '''{1 day}''', 'platform'),
	('store', 'stock_from', '''2024-01-01''', 'store'), ('store', 'unpaid_hold', '''3 days''', 'store'),
	('store', 'returns', '''platform''', 'store'), ('store', 'timezone', '''UTC''', 'store'),
	('store', 'breaker_share', '0.5', 'store'), ('store', 'breaker_least', '7', 'store'), ('store', 'breaker_window', '''7 min''', 'store'),
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

-- the movements of stock
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
	('set_store_locations(1, ''{main}'')'), ('add_sku(''POT'')'), ('add_listing(1, ''POT'', ''300'')')) AS m(statement);

-- as found
DROP TABLE change;
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
