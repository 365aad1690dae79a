-- What a shop has sold and nobody has fetched yet: an absolute write must not give it away again.
\set VERBOSITY terse
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
SET timezone = 'UTC';

SELECT storesync.add_store('shopee', '1', 'one') AS store1, storesync.add_store('shopee', '2', 'two') AS store2 \gset
SELECT storesync.add_sku('TEA') AS tea \gset
SELECT storesync.add_listing(:store1, 'TEA', '100') AS tea1, storesync.add_listing(:store2, 'TEA', '200') AS tea2 \gset

-- The first shop's own copy is `shown`; what it sells lowers it at once, whether we know of it or not.
CREATE FUNCTION pg_temp.acked(qty bigint, ago interval) RETURNS void LANGUAGE sql AS $$
	INSERT INTO storesync.listing_shown (listing_id, acked_qty, acked_version, acked_incarnation, sent_at, written_at)
	SELECT t.listing_id, $1, t.version, storesync.current_incarnation(), clock_timestamp() - $2, clock_timestamp() - $2
	FROM storesync.listing_target t WHERE t.item_id = '100'
	ON CONFLICT (listing_id) DO UPDATE SET acked_qty = excluded.acked_qty, acked_version = excluded.acked_version,
		sent_at = excluded.sent_at, written_at = excluded.written_at
$$;
CREATE FUNCTION pg_temp.placed(shop int, sn text, ago interval, qty int) RETURNS text LANGUAGE sql AS $$
	SELECT outcome FROM storesync.ingest_order($1, jsonb_build_object('order_sn', $2, 'status', 'ready_to_ship',
		'create_time', clock_timestamp() - $3, 'update_time', clock_timestamp() - $3,
		'lines', jsonb_build_array(jsonb_build_object('line_id', '1', 'item_id', $1 || '00', 'qty', $4))))
$$;
-- orders of the first shop are known through this many seconds ago
CREATE FUNCTION pg_temp.fetched(ago interval) RETURNS void LANGUAGE sql AS $$
	INSERT INTO storesync.order_cursor (store_id, fetched_through) VALUES (1, clock_timestamp() - $1)
	ON CONFLICT (store_id) DO UPDATE SET fetched_through = excluded.fetched_through
$$;
CREATE VIEW pg_temp.tea AS
SELECT wanted, believed, dirty, unseen, to_send,
	CASE WHEN needs_fetch_after IS NULL THEN 'now' WHEN needs_fetch_after > fetched_through THEN 'fetch'
		ELSE 'known' END AS may_go
FROM storesync.listing_target WHERE item_id = '100';

-- It sold 16 of 26 in the minute before the last fetch; 13.5 s have passed since: about 4 more.
SELECT outcome FROM storesync.receive('TEA', 26, storesync.new_key());
SELECT pg_temp.acked(26, '2 min');
SELECT pg_temp.fetched('13.5 s');
SELECT pg_temp.placed(1, 'A' || i, make_interval(secs => 20 + i), 1) FROM generate_series(1, 16) i;
-- its own orders cost no call: nothing is due, and nothing is looked for
SELECT * FROM pg_temp.tea;
SELECT round(per_second, 3) FROM storesync.listing_target WHERE item_id = '100';

SELECT pg_temp.fetched('13.5 s');
-- The race: 10 left, 4 of them sold and unseen, so the shop shows 6. Another shop sells 2.
-- A "decrease" to 8 would raise it; it waits for the orders.
SELECT pg_temp.placed(2, 'B1', '0 s', 2);
SELECT * FROM pg_temp.tea;
-- they come: the shop shows 6, 4 are left
BEGIN;
SELECT pg_temp.placed(1, 'C' || i, make_interval(secs => 8 + i), 1) FROM generate_series(1, 4) i;
SELECT pg_temp.fetched('0 s');
SELECT * FROM pg_temp.tea;
ROLLBACK;
-- they do not, for there were none: the shop shows 10, 8 are left
BEGIN;
SELECT pg_temp.fetched('0 s');
SELECT * FROM pg_temp.tea;
ROLLBACK;
-- one of them is pushed before the others are fetched: it is not unseen any more
BEGIN;
SELECT pg_temp.placed(1, 'C1', '9 s', 1);
SELECT * FROM pg_temp.tea;
ROLLBACK;

-- A decrease larger than what may have been sold meanwhile goes at once, less that.
BEGIN;
SELECT pg_temp.placed(2, 'B2', '0 s', 4);
SELECT * FROM pg_temp.tea;
-- written: what it says less than wanted is no reason to write again, however long it takes …
SELECT pg_temp.acked(0, '0 s');
SELECT * FROM pg_temp.tea;
SELECT pg_temp.fetched('17 s');
SELECT * FROM pg_temp.tea;
-- … until orders are fetched: either they explain it (they were placed well before the write) …
SAVEPOINT written;
UPDATE storesync.listing_shown SET sent_at = clock_timestamp() + interval '20 s', written_at = sent_at + interval '20 s';
SELECT pg_temp.placed(1, 'C' || i, make_interval(secs => 8 + i), 1) FROM generate_series(1, 4) i;
SELECT pg_temp.fetched('0 s');
SELECT * FROM pg_temp.tea;
-- … or there were none, and the listing is raised again
ROLLBACK TO written;
SELECT pg_temp.fetched('0 s');
SELECT * FROM pg_temp.tea;
ROLLBACK;
-- To 0 goes at once whatever was sold.
BEGIN;
SELECT pg_temp.placed(2, 'B2', '0 s', 8);
SELECT * FROM pg_temp.tea;
ROLLBACK;

-- A raise waits always, and says what is left when the orders of the meantime have gone.
BEGIN;
SELECT outcome FROM storesync.receive('TEA', 20, storesync.new_key());
SELECT * FROM pg_temp.tea;
-- known a moment ago: it may go, once that moment is after the change
SELECT pg_temp.fetched('2 s');
SELECT * FROM pg_temp.tea;
-- a cap that stands below the stock: nothing can be oversold, nothing is held back
UPDATE storesync.listing SET cap = 12 WHERE item_id = '100';
SELECT pg_temp.fetched('13.5 s');
SELECT * FROM pg_temp.tea;
ROLLBACK;
-- Orders that are too old are no orders, and a store never fetched has none.
BEGIN;
SELECT outcome FROM storesync.receive('TEA', 20, storesync.new_key());
SELECT pg_temp.fetched('25 s');
SELECT may_go FROM pg_temp.tea;
DELETE FROM storesync.order_cursor;
SELECT wanted, unseen, to_send, needs_fetch_after IS NOT NULL AS needs, fetched_through FROM storesync.listing_target WHERE item_id = '100';
ROLLBACK;
-- A shop cannot have sold more than it showed.
BEGIN;
SELECT pg_temp.fetched('1 hour');
UPDATE storesync.sales_order_line SET ordered_at = ordered_at - interval '1 hour' WHERE item_id = '100';
UPDATE storesync.listing_shown SET sent_at = sent_at - interval '1 hour', written_at = written_at - interval '1 hour';
SELECT believed, unseen, to_send FROM storesync.listing_target WHERE item_id = '100';
ROLLBACK;
SELECT term, value FROM storesync.explain(:tea1) WHERE term IN ('units a second', 'unseen', 'to send', 'dirty');
SELECT * FROM storesync.check_invariants();
