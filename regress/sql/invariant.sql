-- check_invariants() finds what is tampered with, by name, and nothing else.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
SELECT storesync.add_store('shopee', '1', 'One') AS one \gset
SELECT count(storesync.add_sku(c)) FROM unnest(ARRAY['TEA', 'CUP']) c;
SELECT storesync.add_listing(:one, 'TEA', '100') AS listing \gset
SELECT * FROM storesync.check_invariants();
SELECT (storesync.receive('TEA', 10, storesync.new_key())).outcome, (storesync.receive('CUP', 10, storesync.new_key())).outcome;
SELECT (storesync.reserve('CUP', 4, storesync.new_key(), reference => 'p')).outcome;
SELECT (storesync.ship('CUP', 2, storesync.new_key(), reference => 'p')).outcome;
SELECT (storesync.restock('CUP', 1, storesync.new_key(), reference => 'p')).outcome;
SELECT order_sn, outcome FROM storesync.ingest_orders(:one, (SELECT jsonb_agg(jsonb_build_object('order_sn', sn, 'status', status,
	'create_time', extract(epoch FROM now())::bigint - 60, 'lines', jsonb_build_array(
	jsonb_build_object('line_id', '1', 'item_id', '100', 'qty', 2), jsonb_build_object('line_id', '2', 'item_id', '404', 'qty', 1))))
	FROM (VALUES ('A1', 'ready_to_ship'), ('A2', 'shipped'), ('A3', 'cancelled')) v (sn, status)));
INSERT INTO storesync.listing_shown (listing_id, acked_qty, acked_version, acked_incarnation, sent_at, written_at)
SELECT :listing, 6, revision + 3, storesync.current_incarnation(), now(), now() FROM storesync.listing;
SELECT * FROM storesync.check_invariants();

-- Each tampering in a transaction of its own, undone afterwards. Its owner can switch the ledger's trigger off.
\set ledger 'ALTER TABLE storesync.ledger DISABLE TRIGGER append_only;'
CREATE FUNCTION pg_temp.broken() RETURNS TABLE(invariant text, subject text, detail text)
	LANGUAGE SQL AS $$ SELECT invariant, regexp_replace(subject, '^key \w+', 'key K'), detail FROM storesync.check_invariants() $$;
BEGIN; :ledger
UPDATE storesync.ledger SET on_hand = on_hand + 1, on_hand_delta = on_hand_delta + 1 WHERE version = 1 AND sku_id = (SELECT sku_id FROM storesync.sku WHERE code = 'CUP');
SELECT * FROM pg_temp.broken(); ROLLBACK;
BEGIN; :ledger
UPDATE storesync.ledger SET on_hand = on_hand + 1 WHERE version = 4;
SELECT * FROM pg_temp.broken(); ROLLBACK;
BEGIN; :ledger
DELETE FROM storesync.ledger WHERE version = 2 AND order_id IS NULL;
SELECT * FROM pg_temp.broken(); ROLLBACK;
BEGIN; :ledger
UPDATE storesync.ledger SET recorded_at = recorded_at + interval '1 second' WHERE version = 1 AND sku_id = (SELECT sku_id FROM storesync.sku WHERE code = 'TEA');
SELECT * FROM pg_temp.broken(); ROLLBACK;
BEGIN; :ledger
UPDATE storesync.ledger SET key = (SELECT key FROM storesync.ledger WHERE version = 2 AND order_id IS NULL) WHERE version = 3 AND order_id IS NULL;
SELECT subject = (SELECT key::text FROM storesync.ledger WHERE version = 2 AND order_id IS NULL) AS the_key, invariant, detail FROM pg_temp.broken(); ROLLBACK;
-- a row appended by hand: a reservation that nobody holds, more than there is
BEGIN;
INSERT INTO storesync.ledger (sku_id, version, on_hand_delta, reserved_delta, on_hand, reserved, event_at, recorded_at, location_id, kind, key)
SELECT sku_id, version + 1, 0, 20, on_hand, reserved + 20, now(), clock_timestamp(), location_id, 'reserve', storesync.new_key() FROM storesync.stock WHERE version = 4;
SELECT * FROM pg_temp.broken(); ROLLBACK;
-- holders: what one has, a state that is not the newest, one kept beside it, none
\set holder 'ALTER TABLE storesync.holder DISABLE TRIGGER USER;'
BEGIN; :holder
UPDATE storesync.reservation SET qty = qty + 1;
SELECT * FROM pg_temp.broken(); ROLLBACK;
BEGIN; :holder
UPDATE storesync.shipment SET restocked = restocked + 1;
SELECT * FROM pg_temp.broken(); ROLLBACK;
BEGIN; :holder
UPDATE storesync.holder SET version = version - 1;
SELECT * FROM pg_temp.broken(); ROLLBACK;
BEGIN;
INSERT INTO storesync.holder SELECT sku_id, version - 1, held, shipped, restocked, NULL, location_id, reference FROM storesync.holder;
SELECT * FROM pg_temp.broken(); ROLLBACK;
BEGIN; :holder
DELETE FROM storesync.holder;
SELECT * FROM pg_temp.broken(); ROLLBACK;
BEGIN;
UPDATE storesync.sales_order_line SET reserved = reserved + 1 WHERE state = 'reserved';
SELECT * FROM pg_temp.broken(); ROLLBACK;
BEGIN;
UPDATE storesync.sales_order_line SET shipped = 3 WHERE state = 'shipped';
SELECT * FROM pg_temp.broken(); ROLLBACK;
BEGIN;
UPDATE storesync.sales_order_line SET short = 1 WHERE state = 'parked';
SELECT * FROM pg_temp.broken(); ROLLBACK;
BEGIN;
UPDATE storesync.sales_order_line SET state = 'kept' WHERE state = 'reserved';
SELECT * FROM pg_temp.broken(); ROLLBACK;
BEGIN;
UPDATE storesync.sales_order_line SET effects = effects + 1 WHERE state = 'shipped';
SELECT * FROM pg_temp.broken(); ROLLBACK;
BEGIN;
DELETE FROM storesync.sales_order_line WHERE state = 'shipped';
SELECT * FROM pg_temp.broken(); ROLLBACK;
BEGIN;
UPDATE storesync.sales_order SET order_id = order_id + 1000 WHERE order_sn = 'A3';
SELECT count(*), min(invariant), min(detail), max(detail) FROM pg_temp.broken(); ROLLBACK;
BEGIN;
DELETE FROM storesync.stock_lock WHERE sku_id = (SELECT sku_id FROM storesync.sku WHERE code = 'CUP');
SELECT * FROM pg_temp.broken() WHERE invariant = 'reference'; ROLLBACK;
BEGIN; ALTER TABLE storesync.listing DISABLE TRIGGER listing_moved;
UPDATE storesync.listing SET sku_id = 99;
SELECT * FROM pg_temp.broken() WHERE invariant = 'catalog'; ROLLBACK;
BEGIN; ALTER TABLE storesync.platform DISABLE TRIGGER refuse_orphans;
DELETE FROM storesync.platform WHERE platform = 'shopee';
SELECT * FROM pg_temp.broken(); ROLLBACK;
BEGIN;
UPDATE storesync.listing_shown SET acked_version = acked_version + 1;
SELECT regexp_replace(subject, '\d+', 'N') AS subject, invariant, detail FROM pg_temp.broken(); ROLLBACK;
BEGIN;
UPDATE storesync.sku SET allow_backorder = true;
SELECT (storesync.reserve('CUP', 20, storesync.new_key())).outcome;
SELECT * FROM pg_temp.broken();
UPDATE storesync.sku SET allow_backorder = false;
SELECT * FROM pg_temp.broken(); ROLLBACK;
-- nothing of that is left, and the ledger refuses again (the message names the partition of this month; its code will do)
SELECT * FROM storesync.check_invariants();
\set VERBOSITY sqlstate
UPDATE storesync.ledger SET on_hand = 0;
