-- What people do with work that was given up.
\set VERBOSITY terse
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
SELECT storesync.add_store('shopee', '1', 'one') AS store \gset
SELECT storesync.add_sku('TEA') AS tea \gset
SELECT storesync.add_listing(:store, 'TEA', '100') AS listing \gset
SELECT outcome FROM storesync.receive('TEA', 10, storesync.new_key());
CREATE FUNCTION pg_temp.give_up() RETURNS bigint LANGUAGE sql AS $$
	INSERT INTO storesync.compensation (store_id, listing_id, call, class, version, reason)
	SELECT store_id, listing_id, 'push_stock', 'permanent', version, 'item not found' FROM storesync.listing_target
	RETURNING compensation_id
$$;
CREATE FUNCTION pg_temp.told() RETURNS TABLE(kind text, subject bigint) LANGUAGE sql AS $$
	SELECT kind::text, subject FROM storesync.outbox WHERE xid = pg_current_xact_id()
$$;

-- Given up at a version: dead at this one, dirty at the next.
SELECT pg_temp.give_up() AS given_up \gset
SELECT dirty, dead FROM storesync.listing_target;
SELECT state FROM storesync.listing_status;
SELECT outcome FROM storesync.receive('TEA', 1, storesync.new_key());
SELECT dirty, dead FROM storesync.listing_target;

SELECT pg_temp.give_up() AS given_up2 \gset
SELECT dead FROM storesync.listing_target;
BEGIN;
SELECT storesync.requeue(:given_up2);
SELECT kind, subject = :listing AS this FROM pg_temp.told();
COMMIT;
SELECT dead FROM storesync.listing_target;
SELECT storesync.requeue(:given_up2);
SELECT storesync.requeue(0);

SELECT pg_temp.give_up() AS given_up3 \gset
SELECT storesync.discard(:given_up3, '');
SELECT storesync.discard(:given_up3, 'taken down');
SELECT dead FROM storesync.listing_target;
SELECT storesync.discard(:given_up3, 'again');
SELECT settled_by, settled_at IS NOT NULL AS settled FROM storesync.compensation ORDER BY compensation_id;
SELECT action, after FROM storesync.audit WHERE subject LIKE 'compensation %' ORDER BY audit_id;

-- A store at a glance: what was given up and settled since does not count.
SELECT name, mode, paused, fetched_through, fetch_age, listings, open_compensation FROM storesync.stat_store;
INSERT INTO storesync.order_cursor (store_id, fetched_through) VALUES (:store, '2026-01-01 00:00+00');
SELECT pg_temp.give_up() > 0 AS given_up;
SELECT fetched_through = '2026-01-01 00:00+00' AS through, fetch_age < '1 minute' AS fetched, open_compensation FROM storesync.stat_store;
