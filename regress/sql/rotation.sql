-- Rotation: a day of the outbox goes when everybody is past it, and takes no open task along.
\set VERBOSITY terse
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
SET timezone = 'UTC';
SET datestyle = 'SQL, DMY';
-- days are told from today
CREATE FUNCTION day(n int) RETURNS timestamptz LANGUAGE sql STABLE AS
	$$ SELECT date_trunc('day', now(), 'UTC') + n * interval '24 hours' $$;
CREATE FUNCTION day_of(name name) RETURNS int LANGUAGE sql STABLE AS
	$$ SELECT to_date(right(name, 10), 'YYYY_MM_DD') - date_trunc('day', now(), 'UTC')::date $$;
CREATE VIEW days AS
	SELECT 'outbox' AS parent, array_agg(day_of(partition) ORDER BY from_at) AS days FROM storesync.partition_days('outbox')
	UNION ALL SELECT 'task_event', array_agg(day_of(partition) ORDER BY from_at) FROM storesync.partition_days('task_event');
-- what is as old as each test run is shown as how far from today
CREATE VIEW waiting AS SELECT r.parent, day_of(r.partition) AS day, r.waits_for FROM storesync.rotation(day(2) + interval '2 hours') r ORDER BY 1, 2;

SELECT storesync.ensure_partitions('2 days') > 0 AS made;
SELECT * FROM days;
SELECT storesync.add_store('shopee', '1', 'one') AS store \gset
SELECT * FROM storesync.rotation();
SELECT storesync.consumer_register('slow'), storesync.consumer_register('fast');
SELECT storesync.outbox_add('stock', '{1,2}');
INSERT INTO storesync.outbox (subject, kind, at) VALUES (3, 'stock', day(1));
SELECT * FROM waiting;
SELECT storesync.consumer_move('fast', pg_current_snapshot());
SELECT * FROM waiting;
SELECT storesync.drop_consumed(day(2) + '2 hours');
-- an older cursor is not taken
SELECT storesync.consumer_move('fast', '1:1:'), storesync.consumer_move('nobody', pg_current_snapshot());
SELECT storesync.consumer_move('slow', pg_current_snapshot());
SELECT * FROM waiting;
-- as long as a transaction of those days is open, nothing goes
BEGIN;
SELECT pg_current_xact_id() IS NOT NULL AS has_xid;
PREPARE TRANSACTION 'open';
SELECT storesync.outbox_add('stock', '{4}');
SELECT storesync.consumer_move('fast', pg_current_snapshot()), storesync.consumer_move('slow', pg_current_snapshot());
SELECT * FROM waiting;
COMMIT PREPARED 'open';
SELECT * FROM waiting;
SELECT storesync.consumer_move('fast', pg_current_snapshot()), storesync.consumer_move('slow', pg_current_snapshot());
SELECT * FROM waiting;

-- Open tasks go on into the next day: one in 40 days, one that waits, one just asked for; a closed one does not.
SELECT storesync.enqueue(:store, 'fetch_orders', '{}', not_before => day(40)) AS later,
	storesync.enqueue(:store, 'fetch_orders', '{"order_sn": ["A"]}') AS retried,
	storesync.enqueue(:store, 'fetch_listings', '{}') AS fresh, storesync.enqueue(:store, 'refresh_token', '{}') AS closed \gset
INSERT INTO storesync.task_event VALUES
	(:retried, clock_timestamp(), 'sent', NULL, 1, NULL, NULL),
	(:retried, clock_timestamp() + '1 ms', 'waiting', 'later', 3, day(1), 'busy'),
	(:closed, clock_timestamp(), 'done', NULL, 1, NULL, NULL);
SELECT storesync.consumer_move('fast', pg_current_snapshot()), storesync.consumer_move('slow', pg_current_snapshot());
CREATE TEMP TABLE before AS SELECT t.id, s.* FROM (VALUES (:later), (:retried), (:fresh), (:closed)) AS t(id), storesync.task_state(t.id) s;
SELECT storesync.drop_consumed(day(2) + '2 hours');
SELECT * FROM days;
SELECT o.id = o.subject AS same_id, o.payload ->> 'kind' AS kind, o.at >= day(2) AS moved,
	(o.payload ->> 'since')::timestamptz < day(1) AS since_kept
FROM storesync.outbox o WHERE o.kind = 'task' ORDER BY o.id;
SELECT count(*) AS changed FROM before b, storesync.task_state(b.id) s WHERE to_jsonb(s) IS DISTINCT FROM to_jsonb(b) - 'id';
SELECT state, attempts, last_class FROM storesync.task_open ORDER BY task_id;
-- again, over 41 days: once more the same
SELECT storesync.ensure_partitions('43 days') > 0 AS made;
SELECT storesync.drop_consumed(day(3) + '2 hours');
SELECT days[1:3] FROM days WHERE parent = 'outbox';
SELECT storesync.consumer_move('fast', pg_current_snapshot()), storesync.consumer_move('slow', pg_current_snapshot());
SELECT storesync.drop_consumed(day(3) + '2 hours');
SELECT storesync.consumer_move('fast', pg_current_snapshot()), storesync.consumer_move('slow', pg_current_snapshot());
SELECT storesync.drop_consumed(day(42) + '2 hours') > 50 AS dropped;
SELECT count(*) AS changed FROM before b, storesync.task_state(b.id) s WHERE b.id <> :closed AND to_jsonb(s) IS DISTINCT FROM to_jsonb(b) - 'id';
-- what is closed is known for storesync.log_retention
SELECT state FROM storesync.task_state(:closed);
SELECT count(*) AS open, count(DISTINCT task_id) AS tasks FROM storesync.task_open;
SELECT (SELECT min(days[1]) FROM days WHERE parent = 'outbox') AS oldest, (SELECT days[1] FROM days WHERE parent = 'task_event') AS oldest_event;

-- Of another life of the data: written anew, and its cursors block until they begin anew.
-- A session that ends drops its temporary tables when the next one is there already: nothing is to be open then.
DROP TABLE before;
UPDATE storesync.incarnation SET database_oid = 1;
\c -
SET timezone = 'UTC';
SELECT storesync.carry_tasks('-infinity', day(42));
SELECT storesync.carry_tasks('-infinity', day(42));
SELECT incarnation, count(*) FROM storesync.outbox WHERE kind = 'task' GROUP BY 1 ORDER BY 1;
SELECT component, state, reason FROM storesync.health() WHERE component LIKE 'consumer%';
SELECT day_of(partition), waits_for FROM storesync.rotation(day(43) + '2 hours') WHERE parent = 'outbox' ORDER BY 1 DESC LIMIT 1;
SELECT storesync.consumer_move('fast', pg_current_snapshot()), storesync.consumer_drop('slow');
SELECT day_of(partition), waits_for FROM storesync.rotation(day(43) + '2 hours') WHERE parent = 'outbox' ORDER BY 1 DESC LIMIT 1;
-- one that came too late brings its day back
SELECT partition AS late FROM storesync.partition_days('outbox') ORDER BY from_at DESC LIMIT 1 \gset
INSERT INTO storesync.outbox (subject, kind, at) VALUES (-9, 'stock', day(43));
ALTER TABLE storesync.outbox DETACH PARTITION storesync.:late;
SELECT count(*) FROM storesync.left_detached();
SELECT storesync.drop_detached(:'late');
SELECT count(*) FROM storesync.outbox WHERE subject = -9;
SELECT storesync.consumer_move('fast', pg_current_snapshot());
ALTER TABLE storesync.outbox DETACH PARTITION storesync.:late;
SELECT storesync.drop_detached(:'late');
SELECT count(*) FROM storesync.left_detached();
SELECT * FROM storesync.check_invariants();

-- as found
DROP VIEW waiting, days;
DROP FUNCTION day(int), day_of(name);
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
