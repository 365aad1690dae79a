-- The ledger refuses to be changed, to its owner too; and who gets round that is found.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
SELECT storesync.add_store('shopee', '1', 'One') AS one \gset
SELECT count(storesync.add_sku(c)) FROM unnest(ARRAY['TEA', 'CUP', 'PEN']) c;
SELECT (storesync.receive('TEA', 10, storesync.new_key())).outcome, (storesync.receive('CUP', 10, storesync.new_key())).outcome;
SELECT (storesync.receive('PEN', 3, storesync.new_key())).outcome, (storesync.receive('PEN', 4, storesync.new_key())).outcome;
SELECT (storesync.reserve('CUP', 4, storesync.new_key(), reference => 'p')).outcome;
SELECT outcome FROM storesync.ingest_order(:one, jsonb_build_object('order_sn', 'A', 'status', 'ready_to_ship',
	'create_time', extract(epoch FROM now())::bigint, 'lines', '[{"line_id":"1","sku":"TEA","qty":2}]'::jsonb));
SELECT * FROM storesync.check_invariants();

-- Refused: through the table, through its partition, to its owner who is a superuser here
SELECT current_user = pg_get_userbyid(c.relowner) AS is_owner, r.rolsuper
	FROM pg_class c, pg_roles r WHERE c.oid = 'storesync.ledger'::regclass AND r.rolname = current_user;
DO $$
DECLARE
	attempt text;
	part text := (SELECT tableoid::regclass FROM storesync.ledger LIMIT 1);
BEGIN
	FOREACH attempt IN ARRAY ARRAY['UPDATE %s SET reason = reason', 'DELETE FROM %s', 'TRUNCATE %s'] LOOP
		FOR i IN 1 .. 2 LOOP
			BEGIN
				EXECUTE format(attempt, CASE i WHEN 1 THEN 'storesync.ledger' ELSE part END);
				RAISE WARNING '% went through', attempt;
			EXCEPTION WHEN OTHERS THEN
				RAISE NOTICE '% %: % (%)', split_part(attempt, ' ', 1), CASE i WHEN 1 THEN 'ledger' ELSE 'partition' END,
					regexp_replace(SQLERRM, 'ledger_\w+', 'ledger_N'), SQLSTATE;
			END;
		END LOOP;
	END LOOP;
END $$;
SELECT count(*) FROM storesync.ledger;

-- Holders: a state goes when a newer one has taken its place, or says nothing, and is never changed.
UPDATE storesync.holder SET held = held;
UPDATE storesync.reservation SET qty = 5;
DELETE FROM storesync.holder;
DELETE FROM storesync.reservation;
TRUNCATE storesync.holder;
BEGIN;
SELECT (storesync.reserve('CUP', 1, storesync.new_key(), reference => 'q')).outcome, (storesync.release('CUP', 1, storesync.new_key(), reference => 'q')).outcome;
SELECT version, held, reference FROM storesync.holder ORDER BY reference;
DELETE FROM storesync.holder WHERE reference = 'q';
SELECT version, held, reference FROM storesync.holder ORDER BY reference;
SELECT * FROM storesync.check_invariants();
ROLLBACK;

-- Got round: replicas fire no triggers. Each in a transaction of its own, undone afterwards.
CREATE FUNCTION pg_temp.found() RETURNS TABLE(invariant text, findings bigint, first text)
	LANGUAGE sql AS $$ SELECT invariant, count(*), regexp_replace(min(subject || ': ' || detail), 'key \w+', 'key K') FROM storesync.check_invariants() GROUP BY 1 ORDER BY 1 $$;
\set tea '(SELECT sku_id FROM storesync.sku WHERE code = ''TEA'')'
\set cup '(SELECT sku_id FROM storesync.sku WHERE code = ''CUP'')'
\set pen '(SELECT sku_id FROM storesync.sku WHERE code = ''PEN'')'
\set secretly 'BEGIN; SET LOCAL session_replication_role = replica;'

-- a balance
:secretly
UPDATE storesync.ledger SET on_hand = 12 WHERE sku_id = :tea AND version = 1;
SELECT * FROM pg_temp.found(); ROLLBACK;
-- the newest balance: the stock itself
:secretly
UPDATE storesync.ledger SET on_hand = 12 WHERE sku_id = :tea AND version = 2;
SELECT * FROM pg_temp.found(); ROLLBACK;
-- a delta
:secretly
UPDATE storesync.ledger SET on_hand_delta = 12 WHERE sku_id = :tea AND version = 1;
SELECT * FROM pg_temp.found(); ROLLBACK;
-- a delta and every balance after it: the chain holds, but the key's answer was another
:secretly
UPDATE storesync.ledger SET on_hand_delta = 12 WHERE sku_id = :tea AND version = 1;
UPDATE storesync.ledger SET on_hand = on_hand + 2 WHERE sku_id = :tea;
SELECT * FROM pg_temp.found(); ROLLBACK;
-- what an order took, chain and all
:secretly
UPDATE storesync.ledger SET reserved_delta = 1, reserved = 1 WHERE sku_id = :tea AND version = 2;
SELECT * FROM pg_temp.found(); ROLLBACK;
-- what a direct call reserved, chain and all
:secretly
UPDATE storesync.ledger SET reserved_delta = 3, reserved = 3 WHERE sku_id = :cup AND version = 2;
SELECT * FROM pg_temp.found(); ROLLBACK;
-- another holder's name on it
:secretly
UPDATE storesync.ledger SET reference = 'q' WHERE sku_id = :cup AND version = 2;
SELECT * FROM pg_temp.found(); ROLLBACK;
-- another key on it: sending the first one again would book it twice
:secretly
UPDATE storesync.ledger SET key = storesync.new_key() WHERE sku_id = :cup AND version = 1;
SELECT * FROM pg_temp.found(); ROLLBACK;
-- a moment moved behind the next one's
:secretly
UPDATE storesync.ledger SET recorded_at = recorded_at + interval '1 second' WHERE sku_id = :tea AND version = 1;
SELECT * FROM pg_temp.found(); ROLLBACK;
-- rows taken out: the first, the newest of an order, of a reservation, of a delivery, all of a SKU
:secretly
DELETE FROM storesync.ledger WHERE sku_id = :tea AND version = 1;
SELECT * FROM pg_temp.found(); ROLLBACK;
:secretly
DELETE FROM storesync.ledger WHERE sku_id = :tea AND version = 2;
SELECT * FROM pg_temp.found(); ROLLBACK;
:secretly
DELETE FROM storesync.ledger WHERE sku_id = :cup AND version = 2;
SELECT * FROM pg_temp.found(); ROLLBACK;
:secretly
DELETE FROM storesync.ledger WHERE sku_id = :pen AND version = 2;
SELECT * FROM pg_temp.found(); ROLLBACK;
:secretly
DELETE FROM storesync.ledger WHERE sku_id = :cup;
SELECT invariant, findings FROM pg_temp.found(); ROLLBACK;
-- a row added: goods out of nowhere
:secretly
INSERT INTO storesync.ledger (sku_id, version, on_hand_delta, reserved_delta, on_hand, reserved, event_at, recorded_at, location_id, kind, key)
SELECT sku_id, version + 1, 5, 0, on_hand + 5, reserved, now(), clock_timestamp(), location_id, 'receive', storesync.new_key()
FROM storesync.stock WHERE sku_id = :cup;
SELECT * FROM pg_temp.found(); ROLLBACK;
-- everything
:secretly
TRUNCATE storesync.ledger;
SELECT invariant, findings FROM pg_temp.found(); ROLLBACK;
SELECT * FROM storesync.check_invariants();
