-- Movements: balances, holders, keys, bounds, append-only.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
SELECT count(storesync.add_sku(c)) FROM unnest(ARRAY['TEA', 'CUP']) c;
SELECT count(storesync.add_sku('PRE', allow_backorder => true));
SELECT count(storesync.add_location('shop')), count(storesync.add_location('damaged', sellable => false));
-- A key that is the same whenever it is asked for within one run.
CREATE TEMP TABLE today AS SELECT date_trunc('day', now()) AS at;
CREATE FUNCTION pg_temp.k(name text) RETURNS storesync.idempotency_key
	LANGUAGE SQL AS $$ SELECT storesync.derive_key(at, name) FROM today $$;

-- each movement, and what the ledger says of it
SELECT * FROM storesync.receive('TEA', 10, pg_temp.k('r1'));
SELECT * FROM storesync.reserve('TEA', 4, pg_temp.k('v1'), reference => 'phone 1');
SELECT * FROM storesync.release('TEA', 1, pg_temp.k('l1'), reference => 'phone 1');
SELECT * FROM storesync.ship('TEA', 2, pg_temp.k('s1'), reference => 'phone 1');
SELECT * FROM storesync.restock('TEA', 1, pg_temp.k('b1'), reference => 'phone 1');
SELECT version, kind, on_hand_delta, reserved_delta, on_hand, reserved, reference, order_id,
	event_at = storesync.key_time(key) AS event_is_key_time
FROM storesync.ledger ORDER BY sku_id, location_id, version;
SELECT reference, qty FROM storesync.reservation;
SELECT reference, shipped, restocked FROM storesync.shipment;
SELECT on_hand, reserved, version FROM storesync.stock;
SELECT subject IS NOT NULL AS subject, version, kind FROM storesync.outbox WHERE kind = 'stock' ORDER BY xid, ctid;

-- a known key answers what it answered and writes nothing
CREATE TEMP TABLE before AS SELECT (SELECT count(*) FROM storesync.ledger) AS ledger,
	(SELECT count(*) FROM storesync.outbox) AS outbox, (SELECT count(*) FROM storesync.idempotency) AS keys;
SELECT * FROM storesync.receive('TEA', 10, pg_temp.k('r1'));
SELECT * FROM storesync.receive('TEA', 10, pg_temp.k('r1'), 'main', NULL);
SELECT * FROM storesync.reserve('TEA', 4, pg_temp.k('v1'), reference => 'phone 1');
SELECT * FROM storesync.release('TEA', 1, pg_temp.k('l1'), reference => 'phone 1');
SELECT * FROM storesync.ship('TEA', 2, pg_temp.k('s1'), reference => 'phone 1');
SELECT * FROM storesync.restock('TEA', 1, pg_temp.k('b1'), reference => 'phone 1');
SELECT * FROM before EXCEPT SELECT (SELECT count(*) FROM storesync.ledger),
	(SELECT count(*) FROM storesync.outbox), (SELECT count(*) FROM storesync.idempotency);
-- another request under the same key: quantity, SKU, place, reference, expiry, movement
SELECT storesync.receive('TEA', 11, pg_temp.k('r1'));
SELECT storesync.receive('CUP', 10, pg_temp.k('r1'));
SELECT storesync.receive('TEA', 10, pg_temp.k('r1'), 'shop');
SELECT storesync.receive('TEA', 10, pg_temp.k('r1'), reference => 'x');
SELECT storesync.reserve('TEA', 10, pg_temp.k('r1'));
SELECT storesync.reserve('TEA', 4, pg_temp.k('v1'), reference => 'phone 1', expires => '1 day');
-- keys from too long ago and from ahead of the clock
SELECT storesync.receive('TEA', 1, storesync.derive_key(now() - interval '91 days', 'old'));
SELECT storesync.receive('TEA', 1, storesync.derive_key(now() + interval '25 hours', 'new'));
SELECT outcome FROM storesync.receive('TEA', 1, storesync.derive_key(now() - interval '89 days', 'old enough'));
SELECT outcome FROM storesync.receive('TEA', 1, storesync.derive_key(now() + interval '23 hours', 'soon enough'));

-- not enough is an answer, and it stays the answer when stock comes
SELECT * FROM storesync.reserve('CUP', 1, pg_temp.k('c1'));
SELECT * FROM storesync.receive('CUP', 5, pg_temp.k('c2'));
SELECT * FROM storesync.reserve('CUP', 1, pg_temp.k('c1'));
SELECT * FROM storesync.reserve('CUP', 6, pg_temp.k('c3'));
SELECT * FROM storesync.reserve('CUP', 5, pg_temp.k('c4'));
SELECT storesync.available('CUP'), storesync.available('CUP', 'main'), storesync.available('CUP', 'shop');
-- a transaction that was rolled back leaves no trace of its key
BEGIN;
SELECT outcome FROM storesync.receive('CUP', 7, pg_temp.k('undone'));
ROLLBACK;
SELECT * FROM storesync.receive('CUP', 3, pg_temp.k('undone'));

-- holders: nobody takes what another holds, nor more than was shipped
SELECT storesync.release('CUP', 1, pg_temp.k('h1'), reference => 'stranger');
SELECT storesync.ship('CUP', 6, pg_temp.k('h2'));
SELECT storesync.restock('CUP', 1, pg_temp.k('h3'));
SELECT outcome FROM storesync.ship('CUP', 5, pg_temp.k('h4'));
SELECT storesync.restock('CUP', 6, pg_temp.k('h5'));
SELECT storesync.restock('CUP', 1, pg_temp.k('h6'), 'shop');
SELECT outcome FROM storesync.restock('CUP', 5, pg_temp.k('h7'));
SELECT storesync.restock('CUP', 1, pg_temp.k('h8'));
SELECT count(*) AS used_up FROM storesync.reservation WHERE qty = 0;
-- one row a holder, its newest state, whatever has happened; one that is used up may come back
SELECT outcome FROM storesync.reserve('CUP', 3, pg_temp.k('h9'), reference => 'again', expires => '1 hour');
SELECT outcome FROM storesync.release('CUP', 3, pg_temp.k('h10'), reference => 'again');
SELECT storesync.release('CUP', 1, pg_temp.k('h11'), reference => 'again');
SELECT reference, held, shipped, restocked, expires_at FROM storesync.holder WHERE reference IN ('', 'again') ORDER BY 1;
SELECT outcome FROM storesync.reserve('CUP', 2, pg_temp.k('h12'), reference => 'again');
SELECT outcome FROM storesync.ship('CUP', 1, pg_temp.k('h13'), reference => 'again');
SELECT outcome FROM storesync.restock('CUP', 1, pg_temp.k('h14'), reference => 'again');
SELECT outcome FROM storesync.release('CUP', 1, pg_temp.k('h15'), reference => 'again');
SELECT h.reference, h.held, h.shipped, h.restocked, h.version = (SELECT max(g.version) FROM storesync.ledger g
	WHERE g.sku_id = h.sku_id AND g.location_id = h.location_id AND g.reference = h.reference) AS newest
FROM storesync.holder h WHERE h.reference = 'again';
-- reservations of one reference add up and share the last expiry
SELECT outcome FROM storesync.reserve('CUP', 1, pg_temp.k('e1'), reference => 'e', expires => '1 hour');
SELECT qty, expires_at > now() AS expires FROM storesync.reservation WHERE reference = 'e';
SELECT outcome FROM storesync.reserve('CUP', 2, pg_temp.k('e2'), reference => 'e');
SELECT qty, expires_at FROM storesync.reservation WHERE reference = 'e';
SELECT storesync.reserve('CUP', 1, pg_temp.k('e3'), expires => '0');
SELECT storesync.reserve('CUP', 1, pg_temp.k('e3'), expires => '-1 hour');

-- a SKU on backorder goes below zero, and comes back
SELECT * FROM storesync.reserve('PRE', 3, pg_temp.k('p1'));
SELECT * FROM storesync.ship('PRE', 2, pg_temp.k('p2'));
SELECT * FROM storesync.receive('PRE', 5, pg_temp.k('p3'));

-- places: only those that sell count together
SELECT outcome FROM storesync.receive('TEA', 100, pg_temp.k('d1'), 'damaged');
SELECT outcome FROM storesync.receive('TEA', 20, pg_temp.k('d2'), 'shop');
SELECT storesync.available('TEA'), storesync.available('TEA', 'main'), storesync.available('TEA', 'shop'),
	storesync.available('TEA', 'damaged');
-- the balance of then, by record time
SELECT storesync.balance_at('TEA', '-infinity'), storesync.balance_at('TEA', 'infinity'),
	storesync.balance_at('TEA', 'infinity', 'shop');
SELECT version, storesync.balance_at('TEA', recorded_at) = on_hand AS same
FROM storesync.ledger JOIN storesync.sku USING (sku_id) JOIN storesync.location USING (location_id)
WHERE sku.code = 'TEA' AND location.code = 'main' ORDER BY version;

-- what is refused before anything is touched
SELECT storesync.receive('NONE', 1, pg_temp.k('x'));
SELECT storesync.receive('TEA', 1, pg_temp.k('x'), 'nowhere');
SELECT storesync.receive('TEA', 0, pg_temp.k('x'));
SELECT storesync.receive('TEA', -1, pg_temp.k('x'));
SELECT storesync.receive('TEA', 1000000000001, pg_temp.k('x'));
SELECT storesync.receive('TEA', 9223372036854775807, pg_temp.k('x'));
SELECT storesync.receive('TEA', 9223372036854775808, pg_temp.k('x'));
SELECT storesync.receive('TEA', 1000000000000, pg_temp.k('x'));
SELECT storesync.reserve('PRE', 1000000000000, pg_temp.k('x'));
SELECT storesync.receive(NULL, 1, pg_temp.k('x'));
SELECT storesync.receive('TEA', NULL, pg_temp.k('x'));
SELECT storesync.receive('TEA', 1, NULL);
SELECT storesync.receive('TEA', 1, pg_temp.k('x'), NULL);
SELECT storesync.receive('', 1, pg_temp.k('x'));
SELECT storesync.receive(repeat('x', 201), 1, pg_temp.k('x'));
SELECT storesync.receive('TEA', 1, pg_temp.k('x'), reference => repeat('x', 201));
SELECT storesync.receive('TEA', 1, 'no key');
SELECT storesync.available('NONE');
SELECT storesync.available('TEA', 'nowhere');
SELECT storesync.available(NULL);
SELECT storesync.balance_at('TEA', NULL);
SELECT storesync.balance_at('NONE', now());
\set VERBOSITY sqlstate
SELECT storesync.receive('NONE', 1, pg_temp.k('x'));
SELECT storesync.receive('TEA', 1, pg_temp.k('x'), 'nowhere');
SELECT storesync.receive('TEA', 0, pg_temp.k('x'));
SELECT storesync.receive('TEA', 11, pg_temp.k('r1'));
SELECT storesync.receive('TEA', 1, storesync.derive_key(now() - interval '91 days', 'old'));
SELECT storesync.receive('TEA', 1, storesync.derive_key(now() + interval '25 hours', 'new'));
SELECT storesync.ship('TEA', 100, pg_temp.k('x'));
BEGIN READ ONLY;
SELECT storesync.receive('TEA', 1, pg_temp.k('x'));
ROLLBACK;
-- the ledger only grows
UPDATE storesync.ledger SET reason = 'x';
DELETE FROM storesync.ledger;
TRUNCATE storesync.ledger;
\set VERBOSITY terse
SELECT outcome FROM storesync.receive('TEA', 1, pg_temp.k('x'));

-- somebody without any right on the tables may be given the function alone
CREATE ROLE regress_clerk;
GRANT USAGE ON SCHEMA storesync TO regress_clerk;
SET ROLE regress_clerk;
SELECT storesync.receive('TEA', 1, NULL);
RESET ROLE;
GRANT EXECUTE ON FUNCTION storesync.receive, storesync.new_key TO regress_clerk;
GRANT USAGE ON TYPE storesync.idempotency_key TO regress_clerk;
SET ROLE regress_clerk;
SET search_path = pg_temp;
SELECT outcome FROM storesync.receive('TEA', 1, storesync.new_key());
SELECT current_user, current_setting('search_path');
SELECT count(*) FROM storesync.ledger;
RESET ROLE;
RESET search_path;
DROP OWNED BY regress_clerk;
DROP ROLE regress_clerk;

SELECT * FROM storesync.check_invariants();
