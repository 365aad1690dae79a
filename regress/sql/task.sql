-- Tasks: what may be asked for, once per key, and how a task stands.
\set VERBOSITY terse
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
SET timezone = 'UTC';
SELECT storesync.add_store('shopee', '1', 'one') AS store, storesync.add_store('shopee', '2', 'two') AS other \gset
SELECT storesync.add_sku('TEA') AS tea \gset
SELECT storesync.add_listing(:store, 'TEA', '100') AS listing \gset
TRUNCATE storesync.outbox;

-- The row: its subject is its id, the payload says the rest.
SELECT storesync.enqueue(:store, 'push_stock', jsonb_build_object('listing', :listing)) AS task \gset
SELECT o.id = o.subject AND o.id = :task AS own_id, o.kind, o.version, o.incarnation, o.xid IS NOT NULL AS has_xid,
	o.payload - 'store' AS payload, (o.payload ->> 'store')::int = :store AS of_store FROM storesync.outbox o;
SELECT * FROM storesync.task_state(:task);
BEGIN;
SELECT storesync.enqueue(:store, 'refresh_token', '{}') AS undone \gset
SELECT state FROM storesync.task_state(:undone);
ROLLBACK;
SELECT state FROM storesync.task_state(:undone);

-- Every kind, with all that it may carry.
SELECT k.kind, count(storesync.enqueue(:store, k.kind, replace(k.payload, 'LISTING', :listing::text)::jsonb)) FROM (VALUES
	('push_price', '{"listing": LISTING}'), ('list', '{"listing": LISTING}'), ('unlist', '{"listing": LISTING}'),
	('read_back', '{"listing": LISTING.0}'),
	('ship_order', '{"order_sn": "A1", "package": "P", "carrier": "C", "tracking": "T"}'),
	('ship_order', '{"order_sn": "A1"}'),
	('cancel_order', '{"order_sn": "A1", "lines": ["1", "2"], "reason": "out of stock"}'),
	('fetch_orders', '{}'), ('fetch_orders', '{"from": 1700000000, "to": "2023-11-15T10:00:00+08:00"}'),
	('fetch_orders', '{"order_sn": ["A1", "A2"]}'), ('fetch_listings', '{}'), ('refresh_token', '{}'), ('exchange_code', '{}')) AS k(kind, payload)
GROUP BY 1 ORDER BY 1;

-- What is refused.
SELECT storesync.enqueue(:store, 'dance', '{}');
SELECT storesync.enqueue(:store, 'push_stock', '[]');
SELECT storesync.enqueue(:store, 'push_stock', '1');
SELECT storesync.enqueue(:store, 'push_stock', '{}');
SELECT storesync.enqueue(:store, 'push_stock', '{"listing": 0}');
SELECT storesync.enqueue(:store, 'push_stock', '{"listing": 1.5}');
SELECT storesync.enqueue(:store, 'push_stock', '{"listing": "1"}');
SELECT storesync.enqueue(:store, 'push_stock', '{"listing": 99999999999999999999}');
SELECT storesync.enqueue(:store, 'push_stock', '{"listing": null}');
SELECT storesync.enqueue(:store, 'push_stock', '{"listing": 1, "qty": 5}');
SELECT storesync.enqueue(:store, 'refresh_token', '{"force": true}');
SELECT storesync.enqueue(:store, 'ship_order', '{"tracking": "T"}');
SELECT storesync.enqueue(:store, 'ship_order', '{"order_sn": ""}');
SELECT storesync.enqueue(:store, 'cancel_order', '{"order_sn": "A", "lines": []}');
SELECT storesync.enqueue(:store, 'cancel_order', '{"order_sn": "A", "lines": [1]}');
SELECT storesync.enqueue(:store, 'cancel_order', '{"order_sn": "A", "lines": "1"}');
SELECT storesync.enqueue(:store, 'fetch_orders', jsonb_build_object('order_sn', (SELECT jsonb_agg(x::text) FROM generate_series(1, 501) x)));
SELECT storesync.enqueue(:store, 'fetch_orders', '{"from": 1700000000}');
SELECT storesync.enqueue(:store, 'fetch_orders', '{"to": 1700000000}');
SELECT storesync.enqueue(:store, 'fetch_orders', '{"from": 1700000000, "to": 1700000000}');
SELECT storesync.enqueue(:store, 'fetch_orders', '{"from": "yesterday", "to": 1700000000}');
SELECT storesync.enqueue(:store, 'fetch_orders', '{"from": 1700000000, "to": 1700000001, "order_sn": ["A"]}');
SELECT storesync.enqueue(-1, 'fetch_orders', '{}');
SELECT storesync.enqueue(:other, 'push_stock', jsonb_build_object('listing', :listing)) IS NULL;
SELECT storesync.enqueue(:store, 'push_stock', '{"listing": 999999}');
SELECT storesync.enqueue(NULL, 'fetch_orders', '{}');
SELECT storesync.enqueue(:store, NULL, '{}');
SELECT storesync.enqueue(:store, 'fetch_orders', NULL);
SELECT storesync.enqueue(:store, 'fetch_orders', '{}', not_before => 'infinity');
SELECT storesync.enqueue(:store, 'fetch_orders', '{}', not_before => clock_timestamp() + '400 days');
BEGIN READ ONLY;
SELECT storesync.enqueue(:store, 'fetch_orders', '{}');
ROLLBACK;
SELECT * FROM storesync.task_state(-1);
SELECT * FROM storesync.task_state(NULL);
-- by another way than enqueue()
\set VERBOSITY sqlstate
INSERT INTO storesync.outbox (subject, kind, payload) VALUES (1, 'task', '{}');
\set VERBOSITY terse
SELECT storesync.outbox_add('task', '{1}');

-- One key, one task.
SELECT storesync.new_key() AS key, clock_timestamp() + '40 days' AS later \gset
SELECT storesync.enqueue(:store, 'fetch_orders', '{}', :'key') AS once \gset
SELECT storesync.enqueue(:store, 'fetch_orders', '{}', :'key') = :once AS same;
SELECT storesync.enqueue(:store, 'fetch_orders', '{"order_sn": ["A"]}', :'key');
SELECT storesync.enqueue(:store, 'fetch_listings', '{}', :'key');
SELECT storesync.enqueue(:store, 'fetch_orders', '{}', :'key', :'later');
SELECT storesync.receive('TEA', 1, :'key');
SELECT count(*) FROM storesync.outbox WHERE kind = 'task' AND subject = :once;
SELECT storesync.enqueue(:store, 'fetch_orders', '{}', storesync.derive_key('2020-01-01', 'x'));
SELECT storesync.enqueue(:store, 'fetch_orders', '{}', storesync.derive_key(now() + '3 days', 'x'));
BEGIN;
SELECT storesync.new_key() AS key \gset
SELECT storesync.enqueue(:store, 'fetch_orders', '{}', :'key') AS undone \gset
ROLLBACK;
SELECT storesync.enqueue(:store, 'fetch_orders', '{}', :'key') > :undone AS another;

-- Put off.
SELECT storesync.enqueue(:store, 'fetch_orders', '{}', NULL, :'later') AS task \gset
SELECT state, attempts, last_class, next_at = :'later' AS at_that_time, detail FROM storesync.task_state(:task);

-- Why it waits, as far as its store tells; a fetch and a write may differ.
SELECT storesync.ensure_partitions('1 day') > 0 AS made;
SELECT detail FROM storesync.task_state(:task);
UPDATE storesync.platform SET base_url = 'http://127.0.0.1:9';
SELECT storesync.enqueue(:store, 'push_stock', jsonb_build_object('listing', :listing)) AS write \gset
CREATE FUNCTION pg_temp.hints(VARIADIC tasks bigint[]) RETURNS SETOF text LANGUAGE sql AS
$$SELECT s.detail FROM unnest(tasks) WITH ORDINALITY AS t(id, n) CROSS JOIN LATERAL storesync.task_state(t.id) s ORDER BY t.n$$;
UPDATE storesync.store SET mode = 'live' WHERE store_id = :store;
SELECT pg_temp.hints(:task, :write);
SELECT storesync.pause(:store);
SELECT pg_temp.hints(:task, :write);
SELECT storesync.resume(:store);
UPDATE storesync.store SET mode = 'shadow' WHERE store_id = :store;
SELECT pg_temp.hints(:task, :write);
UPDATE storesync.store SET mode = 'lower_only' WHERE store_id = :store;
SELECT pg_temp.hints(:task, :write);
UPDATE storesync.store SET mode = 'off' WHERE store_id = :store;
SELECT pg_temp.hints(:task, :write);
UPDATE storesync.store SET mode = 'live' WHERE store_id = :store;
SELECT storesync.add_peak_window('2026-01-01', '2026-01-02', store => :store, kinds => '{raise}') AS window \gset
UPDATE storesync.peak_window SET starts = now() AT TIME ZONE 'Asia/Taipei', ends = (now() + '1 hour') AT TIME ZONE 'Asia/Taipei';
SELECT regexp_replace(h, ' at .*', '') AS hint FROM pg_temp.hints(:task, :write) h;
SELECT storesync.drop_peak_window(:window);
UPDATE storesync.store SET mode = 'off' WHERE store_id = :store;
INSERT INTO storesync.task_event (task_id, at, state, class, attempts, detail) VALUES (:write, clock_timestamp(), 'waiting', 'later', 1, 'busy');
SELECT pg_temp.hints(:write);
INSERT INTO storesync.task_event (task_id, at, state, attempts) VALUES (:write, clock_timestamp(), 'done', 2);
SELECT pg_temp.hints(:write);
UPDATE storesync.store SET mode = 'live' WHERE store_id = :store;

-- Events say how it goes on; whatever the clock says, a closing one is the last.
INSERT INTO storesync.task_event (task_id, at, state, attempts) VALUES (:task, clock_timestamp(), 'sent', 1);
SELECT state, attempts FROM storesync.task_state(:task);
INSERT INTO storesync.task_event VALUES (:task, clock_timestamp() + '1 hour', 'waiting', 'later', 1, '2030-01-01', 'busy');
SELECT * FROM storesync.task_state(:task);
SELECT state, attempts, last_class, next_at, detail FROM storesync.task_open WHERE task_id = :task;
INSERT INTO storesync.task_event VALUES (:task, clock_timestamp(), 'done', NULL, 2);
SELECT * FROM storesync.task_state(:task);
SELECT count(*) FROM storesync.task_open WHERE task_id = :task;
SELECT count(*) > 10 AS open FROM storesync.task_open;

-- A backfill is a fetch of all that changed since a moment.
SELECT storesync.backfill(:store, '2020-01-01');
SELECT storesync.backfill(:store, '2999-01-01');
SELECT storesync.backfill(:store, '-infinity');
SELECT storesync.backfill(:store, NULL);
SELECT storesync.backfill(0, clock_timestamp() - interval '1 day');
SELECT storesync.backfill(:store, clock_timestamp() - interval '90 days') AS task \gset
SELECT store_id = :store AS store, kind, storesync.task_time(payload -> 'to') - storesync.task_time(payload -> 'from') >= interval '90 days' AS whole
FROM storesync.task_open WHERE task_id = :task;
SELECT * FROM storesync.check_invariants();

-- as found
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
