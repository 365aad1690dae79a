-- Transfers: two rows under one key, only what is free, listings and short lines follow.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
SELECT storesync.add_store('shopee', '1', 'One') AS one \gset
SELECT count(storesync.add_sku('TEA')), count(storesync.add_sku('PRE', allow_backorder => true));
SELECT count(storesync.add_location('shop')), count(storesync.add_location('damaged', sellable => false));
SELECT storesync.add_listing(:one, 'TEA', '100') AS listing \gset
CREATE TEMP TABLE today AS SELECT date_trunc('day', now()) AS at;
CREATE FUNCTION pg_temp.k(name text) RETURNS storesync.idempotency_key
	LANGUAGE SQL AS $$ SELECT storesync.derive_key(at, name) FROM today $$;
CREATE VIEW pg_temp.balance AS SELECT s.code AS sku, c.code AS place, t.on_hand, t.reserved, t.version
	FROM storesync.stock t JOIN storesync.sku s USING (sku_id) JOIN storesync.location c USING (location_id) ORDER BY 1, 2;

SELECT outcome FROM storesync.receive('TEA', 10, pg_temp.k('r1'));
SELECT wanted FROM storesync.listing_target;
SELECT xid AS last FROM storesync.outbox ORDER BY xid DESC LIMIT 1 \gset
-- both ways, to a place that was never used and back
SELECT * FROM storesync.transfer('TEA', 4, 'main', 'damaged', pg_temp.k('t1'), 'box 7');
SELECT wanted FROM storesync.listing_target;
SELECT * FROM storesync.transfer('TEA', 1, 'damaged', 'main', pg_temp.k('t2'));
SELECT * FROM storesync.transfer('TEA', 2, 'main', 'shop', pg_temp.k('t3'));
SELECT * FROM pg_temp.balance;
SELECT wanted FROM storesync.listing_target;
SELECT c.code, g.version, g.kind, g.on_hand_delta, g.reserved_delta, g.reference, g.event_at = storesync.key_time(g.key) AS event_is_key_time
FROM storesync.ledger g JOIN storesync.location c USING (location_id) WHERE g.kind = 'transfer' ORDER BY c.code, g.version;
SELECT kind, version FROM storesync.outbox WHERE xid > :'last' ORDER BY xid, ctid;

-- a known key, the same key for something else
SELECT * FROM storesync.transfer('TEA', 4, 'main', 'damaged', pg_temp.k('t1'), 'box 7');
SELECT storesync.transfer('TEA', 4, 'damaged', 'main', pg_temp.k('t1'), 'box 7');
SELECT storesync.transfer('TEA', 4, 'main', 'damaged', pg_temp.k('t1'));
SELECT storesync.transfer('TEA', 3, 'main', 'damaged', pg_temp.k('t1'), 'box 7');
SELECT storesync.receive('TEA', 4, pg_temp.k('t1'));

-- what is reserved stays; too little is an answer that stays one
SELECT outcome FROM storesync.reserve('TEA', 3, pg_temp.k('v1'));
SELECT * FROM storesync.transfer('TEA', 3, 'main', 'shop', pg_temp.k('t4'));
SELECT outcome FROM storesync.receive('TEA', 3, pg_temp.k('r2'));
SELECT * FROM storesync.transfer('TEA', 3, 'main', 'shop', pg_temp.k('t4'));
SELECT * FROM storesync.transfer('TEA', 3, 'main', 'shop', pg_temp.k('t5'));
SELECT * FROM storesync.transfer('PRE', 1, 'main', 'shop', pg_temp.k('p1'));
SELECT * FROM pg_temp.balance;

-- units that come to a place that sells go to short lines, to one that does not they do not
SELECT o.outcome, o.detail FROM today, storesync.ingest_order(:one, jsonb_build_object('order_sn', 'A', 'status', 'ready_to_ship',
	'create_time', extract(epoch FROM at)::bigint, 'lines', '[{"line_id":"1","item_id":"100","qty":9}]'::jsonb)) o;
SELECT outcome FROM storesync.receive('TEA', 1, pg_temp.k('r3'), 'damaged');
SELECT outcome FROM storesync.transfer('TEA', 2, 'damaged', 'shop', pg_temp.k('t6'));
SELECT l.reserved, l.short FROM storesync.sales_order_line l;
SELECT c.code, p.reserved FROM storesync.line_part p JOIN storesync.location c USING (location_id) ORDER BY 1;
SELECT * FROM pg_temp.balance;

-- refused before anything is touched
SELECT storesync.transfer('TEA', 1, 'main', 'main', pg_temp.k('x'));
SELECT storesync.transfer('NONE', 1, 'main', 'shop', pg_temp.k('x'));
SELECT storesync.transfer('TEA', 1, 'nowhere', 'shop', pg_temp.k('x'));
SELECT storesync.transfer('TEA', 1, 'main', 'nowhere', pg_temp.k('x'));
SELECT storesync.transfer('TEA', 0, 'main', 'shop', pg_temp.k('x'));
SELECT storesync.transfer('TEA', -1, 'main', 'shop', pg_temp.k('x'));
SELECT storesync.transfer('TEA', NULL, 'main', 'shop', pg_temp.k('x'));
SELECT storesync.transfer('TEA', 1, NULL, 'shop', pg_temp.k('x'));
SELECT storesync.transfer('TEA', 1, 'main', NULL, pg_temp.k('x'));
SELECT storesync.transfer('TEA', 1, 'main', 'shop', NULL);
SELECT storesync.transfer('TEA', 1, 'main', 'shop', pg_temp.k('x'), repeat('x', 201));
SELECT storesync.transfer('TEA', 1, 'main', 'shop', storesync.derive_key(now() - interval '91 days', 'old'));
\set VERBOSITY sqlstate
SELECT storesync.transfer('TEA', 1, 'main', 'main', pg_temp.k('x'));
BEGIN READ ONLY;
SELECT storesync.transfer('TEA', 1, 'main', 'shop', pg_temp.k('x'));
ROLLBACK;
\set VERBOSITY terse

SELECT * FROM storesync.check_invariants();
-- half a transfer is found
BEGIN;
SET LOCAL session_replication_role = replica;
DELETE FROM storesync.ledger WHERE kind = 'transfer' AND key OPERATOR(storesync.=) pg_temp.k('t1') AND on_hand_delta > 0;
SELECT invariant, detail FROM storesync.invariant_transfer();
ROLLBACK;
