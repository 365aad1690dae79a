-- The first day of a shop: which SKU is it, what would be written, may it go live. regress/t/075_catalog.pl has
-- the reading of a shop's catalogue.
\set VERBOSITY terse
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
DROP ROLE IF EXISTS regress_onboarding;
CREATE ROLE regress_onboarding;
RESET client_min_messages;
SET timezone = 'UTC';

SELECT storesync.add_store('shopee', '1', 'one') AS store1, storesync.add_store('shopee', '2', 'two') AS store2 \gset
SELECT mode, stock_from FROM storesync.store ORDER BY store_id;
-- live before anything was accepted it would be written to unseen afterwards
SELECT storesync.go_live(:store1);
SELECT storesync.go_live(:store1, lower_only => true);
SELECT mode FROM storesync.store WHERE store_id = :store1;
SELECT count(storesync.add_sku(c)) FROM unnest(ARRAY['A-1', '44', 'X/Y', 'PLAIN', 'HAVE', 'P 1', 'P1', 'OTHER', 'LAST']) c;

-- Codes that are the same but for how they are written.
SELECT c, storesync.code_key(c) FROM unnest(ARRAY['/44', ' 44 ', 'a-1', '-A-1-', 'Ａ－１', 'x/y', '/', '']) c;

-- What a reading found; one under way beside it is not seen.
INSERT INTO storesync.listing_walk (run, store_id, ended_at, current) VALUES (1, :store1, now(), true), (2, :store1, NULL, false);
INSERT INTO storesync.listing_seen (run, store_id, item_id, model_id, seller_code, name, quantity, price, reserved, listed, ended, writable, seen_at)
SELECT 1, :store1, v.item_id, v.model_id, v.code, v.name, v.qty, 100, v.reserved, v.listed, v.ended, v.writable, now() - interval '1 min'
FROM (VALUES
	('10', '', 'A-1', 'the same code', 5, 0, true, false, true),
	('11', '1', '/44', 'a slash before it', 5, 0, true, false, true),
	('12', '', 'x/y', 'other capitals', 5, 3, false, false, true),
	('13', '', 'PLAIN', 'two have this one', 5, 0, true, false, true),
	('14', '', 'plain', 'two have this one', 5, 0, true, false, true),
	('15', '', 'P-1', 'no such code', 5, 0, true, false, true),
	('16', '', 'p1', 'like two SKUs', 5, 0, true, false, true),
	('17', '', '', 'no code', 5, 0, true, false, true),
	('18', '', 'OTHER', 'ended', 0, 0, false, true, false),
	('19', '', 'OTHER', 'not to be written', 5, 0, true, false, false),
	('20', '', 'have', 'a listing already', 5, 0, true, false, true),
	('21', '', 'HAVE', 'the SKU has a listing already', 5, 0, true, false, true),
	('22', '', 'OTHER', 'the only one that can be sold', 5, 0, true, false, true),
	('23', '', 'LAST', 'few are left', 5, 0, true, false, true)) AS v (item_id, model_id, code, name, qty, reserved, listed, ended, writable);
INSERT INTO storesync.listing_seen VALUES (2, :store1, '99', '', 'A-1', 'under way', 1, 1, 0, true, false, true, now());
SELECT storesync.add_listing(:store1, 'HAVE', '20') AS have \gset
SELECT count(*) FROM storesync.listing_found;
SELECT item_id, verdict, sku, listing_id IS NOT NULL AS is_listing, detail FROM storesync.match_listings(:store1);
SELECT count(*) FROM storesync.match_listings(:store2);
SELECT count(*) FROM storesync.listing;

-- An operator may say which SKU it is, and nothing else.
SELECT storesync.grant_role('regress_onboarding', 'operator');
SET ROLE regress_onboarding;
UPDATE storesync.listing_found SET quantity = 1;
UPDATE storesync.listing_found SET sku = 'PLAIN' WHERE item_id = '14';
UPDATE storesync.listing_found SET sku = 'PLAIN', pack = 6 WHERE item_id = '15';
UPDATE storesync.listing_found SET sku = 'NOBODY' WHERE item_id = '17';
UPDATE storesync.listing_found SET sku = 'A-1' WHERE item_id = '20';
UPDATE storesync.listing_found SET pack = 0 WHERE item_id = '20';
SELECT item_id, verdict, sku, pack, detail FROM storesync.match_listings(:store1) WHERE item_id IN ('13', '14', '15', '17', '20');

-- One transaction, all that is matched and is no listing yet.
SELECT storesync.accept_matches(:store1);
SELECT storesync.accept_matches(:store1);
SELECT storesync.accept_matches(0);
RESET ROLE;
SELECT l.item_id, l.model_id, k.code, l.pack, l.price, l.listed, w.acked_qty, w.acked_version, w.read_qty
FROM storesync.listing l JOIN storesync.sku k USING (sku_id) LEFT JOIN storesync.listing_shown w USING (listing_id)
WHERE l.store_id = :store1 ORDER BY l.item_id;
SELECT action, count(*) FROM storesync.audit WHERE subject LIKE 'listing %' GROUP BY 1;
SELECT item_id, reserved, remaining, state FROM storesync.listing_locked;

-- Not before everything was read and counted.
SELECT reason, count(*) FROM storesync.go_live_missing(:store1) GROUP BY 1 ORDER BY 1;
SELECT remedy FROM storesync.go_live_missing(:store1) WHERE reason = 'never read back' OR sku = 'A-1' ORDER BY 1;
SELECT storesync.go_live(:store1);
SELECT mode FROM storesync.store WHERE store_id = :store1;
UPDATE storesync.listing SET enabled = false WHERE listing_id = :have;
SELECT count(storesync.adjust(code, CASE code WHEN 'LAST' THEN 2 ELSE 8 END, storesync.new_key())) FROM storesync.sku;
SELECT count(*) FROM storesync.go_live_missing(:store1);

-- The last units are shown by one live store: the preview knows that this store would be it, and leaves no trace.
SELECT t.wanted FROM storesync.listing_target t JOIN storesync.listing USING (listing_id) WHERE listing.item_id = '23';
SELECT count(*) AS audited FROM storesync.audit \gset
SELECT sku, item_id, model_id, shown, wanted, change FROM storesync.preview(:store1);
SELECT item_id, shown, wanted FROM storesync.preview(:store1, lower_only => true);
SELECT mode FROM storesync.store WHERE store_id = :store1;
SELECT count(*) - :audited AS audited FROM storesync.audit;
SELECT storesync.preview(0);

-- Exactly these pass the breaker; a cut-over that was set stays.
BEGIN;
SELECT storesync.go_live(:store1, lower_only => true);
SELECT mode FROM storesync.store WHERE store_id = :store1;
SELECT l.item_id, b.passed, b.qty FROM storesync.breaker_listing b JOIN storesync.listing l USING (listing_id) ORDER BY 1;
ROLLBACK;
SET ROLE regress_onboarding;
SELECT storesync.go_live(:store1);
RESET ROLE;
SELECT mode, stock_from > now() - interval '1 min' AS stock_from FROM storesync.store WHERE store_id = :store1;
SELECT l.item_id, b.passed, b.qty, b.qty = t.wanted AS wanted, b.version = t.version AS version FROM storesync.breaker_listing b
JOIN storesync.listing l USING (listing_id) JOIN storesync.listing_target t USING (listing_id) ORDER BY 1;
BEGIN;
UPDATE storesync.store SET stock_from = '2020-01-01' WHERE store_id = :store2;
SELECT storesync.add_listing(:store2, k.code, '1') AS listing FROM storesync.sku k
WHERE NOT k.bundle AND EXISTS (SELECT FROM storesync.ledger g WHERE g.sku_id = k.sku_id) ORDER BY k.sku_id LIMIT 1 \gset
INSERT INTO storesync.listing_shown VALUES (:listing, 0, 0, storesync.current_incarnation(), now(), now());
SELECT storesync.go_live(:store2) IS NOT NULL AS live;
SELECT mode, stock_from FROM storesync.store WHERE store_id = :store2;
ROLLBACK;
SELECT storesync.go_live(0);

-- A reading takes the place of the one before; what is left of that goes bit by bit.
SELECT storesync.note_walk(2, false, '100', 1);
SELECT run, current, listed, cursor, unread, ended_at IS NOT NULL AS ended FROM storesync.listing_walk ORDER BY run;
SELECT storesync.show_walk(2, 1);
SELECT item_id FROM storesync.listing_found;
INSERT INTO storesync.listing_walk (run, store_id) VALUES (3, :store1);
SELECT storesync.note_walk(3, true, '', 0);
SELECT run, current FROM storesync.listing_walk ORDER BY run;
SELECT DISTINCT run FROM storesync.listing_seen;

-- What was over before the shop came in moves nothing: its SKU is sold by another shop, and was counted for that one.
SELECT storesync.add_store('shopee', '3', 'three') AS store3, storesync.add_store('shopee', '4', 'four') AS store4 \gset
SELECT count(storesync.add_sku(c)) FROM unnest(ARRAY['SHARED', 'FEW']) c;
SELECT storesync.add_listing(:store4, 'SHARED', '40') > 0 AS sold_elsewhere;
SELECT outcome, available FROM storesync.adjust('SHARED', 50, storesync.new_key());
CREATE TEMP TABLE clock AS SELECT date_trunc('second', now()) - interval '3 hours' AS at;
CREATE FUNCTION pg_temp.put(sn text, status text, minutes int, item text DEFAULT '30', qty int DEFAULT 1, made int DEFAULT 0) RETURNS text
	LANGUAGE SQL AS $$ SELECT r.outcome FROM clock, storesync.store s, storesync.ingest_order(s.store_id, jsonb_build_object(
		'order_sn', sn, 'status', status, 'create_time', at + made * interval '1 minute', 'update_time', at + minutes * interval '1 minute',
		'lines', jsonb_build_array(jsonb_build_object('line_id', '1', 'item_id', item, 'qty', qty)))) r WHERE s.shop_id = '3' $$;
CREATE VIEW pg_temp.line AS SELECT o.order_sn AS sn, l.status, l.state, k.code AS sku, l.reserved AS res, l.shipped AS ship, l.short, l.effects AS eff
	FROM storesync.sales_order_line l JOIN storesync.sales_order o USING (order_id) LEFT JOIN storesync.sku k USING (sku_id) ORDER BY 1;
SELECT pg_temp.put('SHIPPED', 'shipped', 1), pg_temp.put('DONE', 'completed', 1), pg_temp.put('BACK', 'returned', 1), pg_temp.put('OFF', 'cancelled', 1),
	pg_temp.put('OPEN', 'ready_to_ship', 1, qty => 2), pg_temp.put('UNPAID', 'unpaid', 1, qty => 3), pg_temp.put('SENT', 'ready_to_ship', 1),
	pg_temp.put('ALIEN', 'shipped', 1, '39'), pg_temp.put('ALIEN OPEN', 'ready_to_ship', 1, '39'), pg_temp.put('MOVED', 'shipped', 1);
SELECT pg_temp.put('SENT', 'shipped', 2);
INSERT INTO storesync.listing_walk (run, store_id, ended_at, current) VALUES (30, :store3, now(), true);
INSERT INTO storesync.listing_seen VALUES (30, :store3, '30', '', 'SHARED', '', 5, 1, 0, true, false, true, now());
SET ROLE regress_onboarding;
SELECT storesync.accept_matches(:store3);
SELECT stock_from > now() - interval '1 min' AS cut_over FROM storesync.store WHERE store_id = :store3;
SELECT stock_from AS was FROM storesync.store WHERE store_id = :store3 \gset
RESET ROLE;
SELECT * FROM pg_temp.line;
SELECT storesync.available('SHARED');
-- Of an item that is no listing, too; what is open of it counts when there is one, whenever it is sent.
SELECT storesync.take_up_parked(), storesync.take_up_parked();
SELECT * FROM pg_temp.line WHERE sn LIKE 'ALIEN%';
SELECT pg_temp.put('ALIEN OPEN', 'shipped', 190, '39');
SELECT outcome FROM storesync.receive('FEW', 5, storesync.new_key());
SELECT storesync.add_listing(:store3, 'FEW', '39') > 0 AS mapped;
SELECT * FROM pg_temp.line WHERE sn LIKE 'ALIEN%';
-- From now on: an old one that comes late is over, or is open; what was open is sent; a new one counts whatever it is.
SELECT pg_temp.put('LATE', 'shipped', 2), pg_temp.put('LATE OPEN', 'in_cancel', 2), pg_temp.put('OPEN', 'shipped', 190, qty => 2),
	pg_temp.put('MOVED', 'completed', 190), pg_temp.put('NEW', 'shipped', 190, made => 181);
SELECT * FROM pg_temp.line WHERE sn IN ('LATE', 'LATE OPEN', 'OPEN', 'MOVED', 'NEW');
SELECT storesync.available('SHARED');
-- One that was seen open, and of which nobody knew before that it had left before.
SELECT pg_temp.put('SLOW', 'ready_to_ship', 1, '38');
SELECT pg_temp.put('SLOW', 'shipped', 3, '38');
SELECT * FROM pg_temp.line WHERE sn = 'SLOW';
-- Once: neither a second call nor going live moves it, nor is it set for a store that sells.
INSERT INTO storesync.listing_seen VALUES (30, :store3, '31', '', 'FEW', '', 5, 1, 0, true, false, true, now());
SELECT storesync.accept_matches(:store3);
UPDATE storesync.listing SET enabled = false WHERE store_id = :store3 AND item_id = '39';
SELECT storesync.go_live(:store3);
SELECT stock_from = :'was' AS as_it_was FROM storesync.store WHERE store_id = :store3;
UPDATE storesync.store SET mode = 'live' WHERE store_id = :store4;
INSERT INTO storesync.listing_walk (run, store_id, ended_at, current) VALUES (40, :store4, now(), true);
INSERT INTO storesync.listing_seen VALUES (40, :store4, '41', '', 'FEW', '', 5, 1, 0, true, false, true, now());
SELECT storesync.accept_matches(:store4);
SELECT stock_from FROM storesync.store WHERE store_id = :store4;
SELECT * FROM storesync.check_invariants();

-- Variants made anew. The next reading of shop 3 finds item 50 with other models: 52 for 51, 54 and 55 for 53; item 56 is gone.
SELECT count(storesync.add_sku(c)) FROM unnest(ARRAY['VAR', 'VAR2', 'WHOLE', 'END']) c;
SELECT storesync.add_listing(:store3, 'VAR', '50', '51', pack => 3) AS var, storesync.add_listing(:store3, 'VAR2', '50', '53') AS var2,
	storesync.add_listing(:store3, 'WHOLE', '56') AS whole, storesync.add_listing(:store3, 'END', '57') AS ends,
	storesync.add_listing(:store3, 'END', '58', '1') AS unread, storesync.add_listing(:store4, 'VAR', '50', '51') AS other \gset
UPDATE storesync.listing SET share = 0.5, buffer = 2, cap = 40, price_floor = 10, at_zero = 'unlist' WHERE listing_id = :var;
SELECT outcome FROM storesync.adjust('VAR', 100, storesync.new_key());
SELECT outcome FROM storesync.allot(:var, 30, storesync.new_key(), '2100-01-01');
SELECT storesync.reserve_seen(:var, 5, now());
UPDATE storesync.listing_walk SET current = false WHERE store_id = :store3;
INSERT INTO storesync.listing_walk (run, store_id, started_at, ended_at, current) VALUES (31, :store3, clock_timestamp(), clock_timestamp(), true);
INSERT INTO storesync.listing_seen (run, store_id, item_id, model_id, seller_code, name, quantity, price, reserved, listed, ended, writable, seen_at)
SELECT 31, :store3, v.item, v.model, v.code, '', 5, 20, v.reserved, true, v.ended, v.writable, now()
FROM (VALUES ('30', '', 'SHARED', 0, false, true), ('31', '', 'FEW', 0, false, true), ('50', '52', 'var', 2, false, true), ('50', '54', 'VAR2', 0, false, true),
	('50', '55', 'VAR2', 0, false, true), ('57', '', 'END', 0, true, true), ('58', '', '', 0, false, false), ('59', '', 'WHOLE', 0, false, true))
	AS v (item, model, code, reserved, ended, writable);
SELECT item_id, model_id, verdict, sku, pack, listing_id IS NOT NULL AS is_listing, regexp_replace(detail, '\d+(?=, whose)', 'N') AS detail
FROM storesync.match_listings(:store3);
UPDATE storesync.listing_found SET sku = 'VAR2', pack = 1 WHERE item_id = '50' AND model_id = '55';
SELECT storesync.accept_matches(:store3);
SELECT l.item_id, l.model_id, k.code, l.pack, l.share, l.buffer, l.cap, l.price, l.price_floor, l.at_zero, l.enabled, a.units, a.until IS NOT NULL AS until, a.locked
FROM storesync.listing l JOIN storesync.sku k USING (sku_id) LEFT JOIN storesync.allotment a USING (listing_id)
WHERE l.item_id IN ('50', '56', '59') ORDER BY l.store_id, l.item_id, l.model_id;
SELECT listing_id = :var AS is_old, remaining FROM storesync.listing_locked ORDER BY 1;
SELECT regexp_replace(subject, '\d+', 'N') AS subject, action, before ->> 'enabled' AS was, after ->> 'enabled' AS enabled, after ->> 'units' AS units
FROM storesync.audit WHERE subject IN ('listing ' || :var, 'listing ' || (SELECT listing_id FROM storesync.listing WHERE model_id = '52')) ORDER BY audit_id;
-- What has ended or is gone holds up going live; disabled it does not.
UPDATE storesync.store SET mode = 'shadow' WHERE store_id = :store3;
SELECT item_id, model_id, reason, remedy LIKE 'UPDATE storesync.listing SET enabled = false WHERE listing_id = %;' AS disables
FROM storesync.go_live_missing(:store3) WHERE reason NOT LIKE '%never%' ORDER BY 1, 2;
SELECT storesync.go_live(:store3);
SELECT string_agg(DISTINCT remedy, E'\n') AS remedy FROM storesync.go_live_missing(:store3) WHERE remedy LIKE 'UPDATE%' \gset
:remedy
SELECT item_id, reason FROM storesync.go_live_missing(:store3) WHERE reason NOT LIKE '%never%';
SELECT item_id, model_id, verdict, detail FROM storesync.match_listings(:store3) WHERE listing_id IS NOT NULL AND item_id <> '30';
UPDATE storesync.listing_seen SET ended = false WHERE item_id = '57' AND run = 31;
SELECT verdict, detail FROM storesync.match_listings(:store3) WHERE item_id = '57';
SELECT * FROM storesync.check_invariants();

DROP OWNED BY regress_onboarding;
DROP ROLE regress_onboarding;
