-- The outbox: what a row carries, who may write what, how far readers are.
\set VERBOSITY terse
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
SELECT storesync.outbox_add('stock', '{7}');
SELECT storesync.outbox_add('listing', '{1,2,3}');
SELECT storesync.outbox_add('store', '{}');
SELECT subject, version, incarnation, kind, payload, xid IS NOT NULL AS has_xid, clock_timestamp() - at < '1 minute' AS fresh
FROM storesync.outbox ORDER BY xid, ctid;
-- rows of one transaction carry one transaction id
BEGIN;
SELECT storesync.outbox_add('order', '{8}');
INSERT INTO storesync.outbox (subject, kind) VALUES (9, 'order');
SELECT count(DISTINCT xid) AS xids, bool_and(xid = pg_current_xact_id()) AS ours FROM storesync.outbox WHERE subject IN (8, 9);
ROLLBACK;
SELECT count(*) FROM storesync.outbox WHERE subject IN (8, 9);

-- Errors
SELECT storesync.outbox_add('nothing', '{1}');
SELECT storesync.outbox_add('stock', '{1,NULL}');
BEGIN READ ONLY;
SELECT storesync.outbox_add('stock', '{1}');
ROLLBACK;

-- Consumers: from where they register, by snapshots.
SELECT storesync.consumer_register('first'), storesync.consumer_register('first');
SELECT storesync.consumer_register('');
SELECT storesync.consumer_register(repeat('x', 100000));
SELECT consumer, incarnation, lag_rows, lag FROM storesync.stat_outbox;
SELECT storesync.outbox_add('stock', '{10,11}');
SELECT storesync.consumer_register('second');
SELECT storesync.outbox_add('stock', '{12}');
SELECT consumer, lag_rows, lag_since <= clock_timestamp() AS since, lag >= '0' AS lag FROM storesync.stat_outbox ORDER BY 1;
-- rows of another life of the data are not counted: their transaction ids mean nothing here
UPDATE storesync.consumer SET incarnation = 99 WHERE name = 'second';
SELECT consumer, lag_rows FROM storesync.stat_outbox ORDER BY 1;
SELECT storesync.consumer_drop('second'), storesync.consumer_drop('second'), storesync.consumer_drop('first');

-- Incarnations: one to begin with, the next when the stored pair is another database's.
SELECT incarnation, reason, system_identifier = (storesync.database_identity()).system_identifier AS ours FROM storesync.incarnation;
SELECT storesync.is_copy();
BEGIN;
UPDATE storesync.incarnation SET database_oid = 1;
SELECT storesync.is_copy();
ROLLBACK;
UPDATE storesync.incarnation SET database_oid = 1;
\c -
BEGIN READ ONLY;
SELECT storesync.current_incarnation();
ROLLBACK;
BEGIN;
SELECT storesync.current_incarnation();
ROLLBACK;
-- the number of the rolled back start was not kept
SELECT count(*) FROM storesync.incarnation;
SELECT storesync.outbox_add('stock', '{13}');
SELECT incarnation, reason FROM storesync.incarnation ORDER BY 1;
SELECT subject, incarnation FROM storesync.outbox WHERE subject = 13;
SELECT storesync.is_copy();
BEGIN READ ONLY;
SELECT storesync.current_incarnation();
ROLLBACK;

-- A promoted standby writes on another timeline: the next life, of the same data. What a shop has acknowledged is
-- believed no more, but can be compared with what was booked since.
SELECT storesync.add_listing(storesync.add_store('shopee', '1', 'One'), 'A', '1') AS listing FROM storesync.add_sku('A') \gset
INSERT INTO storesync.listing_shown (listing_id, acked_qty, acked_version, acked_incarnation, sent_at, written_at, acked_revision)
VALUES (:listing, 7, 1, storesync.current_incarnation(), now() - interval '1 hour', now() - interval '1 hour', 1);
SELECT believed, acked_revision FROM storesync.listing_target;
UPDATE storesync.incarnation SET timeline = timeline - 1 WHERE incarnation = storesync.current_incarnation();
\c -
SELECT storesync.current_incarnation();
SELECT believed, acked_revision FROM storesync.listing_target;
SELECT incarnation, reason, timeline - lag(timeline) OVER (ORDER BY incarnation) AS later FROM storesync.incarnation ORDER BY 1;
SELECT storesync.is_copy();
UPDATE storesync.incarnation SET database_oid = 1;
\c -
SELECT believed, acked_revision FROM storesync.listing_target;
SELECT believed, acked_revision FROM storesync.listing_target;
SELECT incarnation, reason FROM storesync.incarnation ORDER BY 1 DESC LIMIT 1;

-- as found
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
