-- maintain(): what is old goes table by table, what is not stays, and what it could not do is told.
\set VERBOSITY terse
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
SET timezone = 'UTC';
SET datestyle = 'SQL, DMY';

-- the lowest key of a moment: milliseconds in ten digits, then nothing
CREATE FUNCTION key_of(at timestamp) RETURNS text LANGUAGE sql STABLE AS $$
	SELECT rpad(string_agg(substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', ((x.ms >> 5 * i) & 31)::int + 1, 1), '' ORDER BY i DESC), 26, '0')
	FROM (SELECT (extract(epoch FROM at AT TIME ZONE 'UTC') * 1000)::bigint AS ms) x, generate_series(0, 9) i
$$;
-- an old partition of a table, as it would have been made then, `age` old when its time is over
CREATE FUNCTION old(parent text, age interval) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	cut text := (SELECT p.step FROM storesync.partitioned p WHERE p.parent = old.parent);
	low timestamp := date_trunc(cut, now() AT TIME ZONE 'UTC' - age) - ('1 ' || cut)::interval;
	high timestamp := low + ('1 ' || cut)::interval;
	made text := parent || to_char(low, CASE cut WHEN 'day' THEN '_YYYY_MM_DD' WHEN 'week' THEN '_IYYY"w"IW' ELSE '_YYYY_MM' END);
	from_key text := to_char(low, 'YYYY-MM-DD') || ' 00:00:00+00';
	to_key text := to_char(high, 'YYYY-MM-DD') || ' 00:00:00+00';
BEGIN
	IF cut = 'week' THEN
		from_key := key_of(low);
		to_key := key_of(high);
	END IF;
	EXECUTE format('CREATE TABLE storesync.%I (LIKE storesync.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', made, parent);
	EXECUTE format('ALTER TABLE storesync.%I ATTACH PARTITION storesync.%I FOR VALUES FROM (%L) TO (%L)', parent, made, from_key, to_key);
	RETURN made;
END
$$;
CREATE VIEW kept AS
SELECT p.parent, p.retention, count(*) AS old
FROM storesync.partitioned p CROSS JOIN LATERAL storesync.partition_days(p.parent) d
WHERE d.to_at < now() - '1 day'::interval GROUP BY p.parent ORDER BY p.parent;

SELECT storesync.add_sku('A') AS sku, storesync.add_store('shopee', '1', 'one') AS store \gset
SELECT made IS NOT NULL AS made FROM (SELECT max(old(parent, CASE retention WHEN 'consumed' THEN interval '2 days' WHEN 'log' THEN '40 days'
	WHEN 'key' THEN '100 days' WHEN 'order' THEN '800 days' ELSE '2000 days' END)) AS made FROM storesync.partitioned) x;
-- younger ones, that are kept
SELECT count(old(parent, CASE retention WHEN 'log' THEN interval '4 days' WHEN 'key' THEN '70 days' ELSE '300 days' END))
FROM storesync.partitioned WHERE retention IN ('log', 'key', 'order') AND step <> 'month' OR retention = 'order';
-- a return that is open since then
INSERT INTO storesync.return_notice
SELECT d.from_at, :store, 'R', 'O', '', 1, 'REQUESTED', true FROM storesync.partition_days('return_notice') d ORDER BY 1 LIMIT 1;
SELECT * FROM kept;
SELECT parent, waits_for FROM storesync.rotation() ORDER BY parent;

-- It commits, so a transaction block is no place for it.
BEGIN;
CALL storesync.maintain();
ROLLBACK;
SELECT component, state, reason ~ '^\d+ of the next 6 days are missing: maintain\(\) makes them$' AS told
FROM storesync.health() WHERE component = 'partitions';
CALL storesync.maintain();
SELECT * FROM kept;
SELECT storesync.missing_partitions('7 days') AS missing;
SELECT component, state, reason FROM storesync.health() WHERE component LIKE '%partition%' OR component LIKE 'maintenance%';
SELECT part, done_at IS NOT NULL AS done, problem FROM storesync.maintenance ORDER BY part;
-- the return is closed
INSERT INTO storesync.return_notice SELECT now(), :store, 'R', 'O', '', 1, 'CLOSED', false;
CALL storesync.maintain();
SELECT * FROM kept WHERE parent = 'return_notice';
SELECT state, is_open FROM storesync.return_status;

-- What a dispatcher left half way is finished, what was detached is dropped.
SELECT old('push', '40 days') AS old, old('idempotency', '100 days') AS old_keys \gset
ALTER TABLE storesync.push DETACH PARTITION storesync.:old;
ALTER TABLE storesync.idempotency DETACH PARTITION storesync.:old_keys CONCURRENTLY;
SELECT old('call_log', '40 days') AS old \gset
UPDATE pg_inherits SET inhdetachpending = true WHERE inhrelid = format('storesync.%I', :'old')::regclass;
SELECT parent FROM storesync.left_detached();
CALL storesync.maintain();
SELECT count(*) FROM storesync.left_detached();
SELECT count(*) FROM pg_inherits WHERE inhdetachpending;
SELECT * FROM kept WHERE parent IN ('push', 'call_log');

-- What fails is told, stops nothing else, and is forgotten when it went well.
SELECT old('call_log', '40 days') AS stuck, old('push', '40 days') IS NOT NULL AS made \gset
CREATE VIEW stuck AS SELECT * FROM storesync.:stuck;
CALL storesync.maintain();
SELECT parent, old FROM kept WHERE parent IN ('push', 'call_log');
SELECT component, state, reason ~ '^2BP01: cannot drop table .* since ' AS told FROM storesync.health() WHERE component LIKE 'maintenance%';
DROP VIEW stuck;
CALL storesync.maintain();
SELECT component FROM storesync.health() WHERE component LIKE 'maintenance%';
SELECT count(*) FROM storesync.left_detached();

-- Nobody has dropped what should have gone a week ago.
SELECT old('call_log', '40 days') IS NOT NULL AS made, old('idempotency', '100 days') IS NOT NULL AS made_keys;
SELECT component, state, regexp_replace(reason, '_\d{4}[w_0-9]*', '_...') AS reason FROM storesync.health() WHERE component LIKE 'retention%' ORDER BY 1;
CALL storesync.maintain();
SELECT component FROM storesync.health() WHERE component LIKE 'retention%';

-- What is settled goes after a month, but for what still says something: what was discarded and nothing has moved
-- since, and what a night tried again that is open once more.
SELECT outcome FROM storesync.add_sku('C'), storesync.receive('C', 1, storesync.new_key());
SELECT storesync.add_listing(:store, 'C', '1') AS listing \gset
SELECT l.revision + storesync.drawn_versions(l.sku_id) AS version FROM storesync.listing l \gset
INSERT INTO storesync.compensation (store_id, listing_id, call, class, version, reason, settled_at, settled_by, payload)
SELECT :store, x.listing, x.call, 'permanent', x.version, x.reason, now() - x.age, x.how, x.payload::jsonb
FROM (VALUES
	(:listing, 'push_stock', :version, 'old', interval '31 days', 'requeued', NULL),
	(:listing, 'push_stock', :version, 'discarded, and still wanted so', interval '31 days', 'discarded: no', NULL),
	(:listing, 'push_stock', :version - 1, 'discarded, and moved since', interval '31 days', 'discarded: no', NULL),
	(:listing + 1, 'push_stock', :version, 'discarded, of no listing', interval '31 days', 'discarded: no', NULL),
	(:listing, 'push_stock', :version, 'young', interval '29 days', 'requeued', NULL),
	(NULL, 'ship_order', NULL, 'tried again and open', interval '31 days', 'requeued: certificate 1', '{"order_sn": "1"}'),
	(NULL, 'ship_order', NULL, 'tried again and over', interval '31 days', 'requeued: certificate 1', '{"order_sn": "2"}'),
	(NULL, 'ship_order', NULL, 'open', NULL, NULL, '{"order_sn": "1"}')) AS x (listing, call, version, reason, age, how, payload);
INSERT INTO storesync.compensation (store_id, listing_id, call, class, reason, settled_at, settled_by)
SELECT :store, :listing, 'push_stock', 'permanent', 'many', now() - interval '40 days', 'requeued' FROM generate_series(1, 2001);
-- The audit goes with the orders, but for roles; what is younger cannot be deleted.
INSERT INTO storesync.audit (at, action, subject)
SELECT now() - x.age, x.action, 'anything'
FROM (VALUES (interval '731 days', 'change'), ('731 days', 'grant role'), ('729 days', 'change')) AS x (age, action);
INSERT INTO storesync.audit (at, action, subject) SELECT now() - interval '800 days', 'change', 'many' FROM generate_series(1, 2001);
DELETE FROM storesync.audit WHERE at < now() - interval '729 days' AND subject = 'anything';
DELETE FROM storesync.audit WHERE action = 'grant role';
SELECT storesync.forget_old('compensation', 1000) AS compensation, storesync.forget_old('audit', 1000) AS audit;
SELECT count(*) FILTER (WHERE reason = 'many') AS compensation, (SELECT count(*) FROM storesync.audit WHERE subject = 'many') AS audit
FROM storesync.compensation;
CALL storesync.maintain();
SELECT reason FROM storesync.compensation ORDER BY compensation_id;
SELECT action, (extract(epoch FROM now() - at) / 86400)::int AS days FROM storesync.audit WHERE at < now() - interval '1 day' ORDER BY at;
SELECT storesync.forget_old('compensation', 1000) AS compensation, storesync.forget_old('audit', 1000) AS audit;
TRUNCATE storesync.compensation;

-- An operator may call it, another may not.
CREATE ROLE regress_operator;
CREATE ROLE regress_nobody;
SELECT storesync.grant_role('regress_operator', 'operator');
SELECT old('call_log', '40 days') IS NOT NULL AS made;
SET ROLE regress_nobody;
CALL storesync.maintain();
SET ROLE regress_operator;
CALL storesync.maintain();
RESET ROLE;
SELECT old FROM kept WHERE parent = 'call_log';

-- Keys that went are refused, those that are kept are answered again; all invariants hold.
SELECT storesync.ensure_partitions() >= 0 AS made;
SELECT storesync.derive_key(now() - interval '80 days', 'a') AS kept, storesync.derive_key(now() - interval '100 days', 'a') AS gone \gset
SELECT outcome, version FROM storesync.receive('A', 5, :'kept');
SELECT storesync.receive('A', 5, :'gone');
CALL storesync.maintain();
SELECT outcome, version FROM storesync.receive('A', 5, :'kept');
SELECT * FROM storesync.check_invariants();

-- Not even a moment far ahead takes answers whose keys are still taken.
SELECT storesync.drop_consumed(now() + '20 days') > 0 AS dropped;
SELECT outcome, version FROM storesync.receive('A', 5, :'kept');

-- A month that was through, and is written to all the same: it comes back, and is seen to once more. Of
-- the places in it A has gone on in a later month meanwhile.
SELECT storesync.add_sku('B') AS b \gset
SELECT outcome, version FROM storesync.receive('A', 1, storesync.new_key())
UNION ALL SELECT outcome, version FROM storesync.receive('A', 1, storesync.new_key())
UNION ALL SELECT outcome, version FROM storesync.receive('B', 7, storesync.new_key());
SELECT storesync.ingest_order(:store, jsonb_build_object('order_sn', 'late', 'status', 'shipped', 'create_time', now(), 'update_time', now(),
	'lines', '[{"line_id": "1", "sku": "B", "qty": 2}]'::jsonb)) IS NOT NULL AS came;
SELECT parent, through < now() - interval '760 days' AS old FROM storesync.retired ORDER BY parent;
SELECT old('ledger', '800 days') AS ledger, old('sales_order_line', '800 days') AS lines, old('order_history', '800 days') IS NOT NULL AS made \gset
SELECT from_at AS at FROM storesync.partition_days('ledger') ORDER BY from_at LIMIT 1 \gset
UPDATE storesync.retired SET through = through + interval '60 days';
BEGIN;
SET LOCAL session_replication_role = replica;
UPDATE storesync.sales_order SET recorded_at = :'at', update_time = :'at', create_time = :'at' WHERE order_sn = 'late';
UPDATE storesync.sales_order_line SET recorded_at = :'at' WHERE sku_id = :b;
UPDATE storesync.ledger SET recorded_at = :'at'::timestamptz + version * interval '1 s' WHERE sku_id = :b OR (sku_id = :sku AND version = 1);
INSERT INTO storesync.ledger_opening SELECT sku_id, location_id, version, on_hand, reserved, recorded_at FROM storesync.ledger WHERE sku_id = :sku AND version = 2;
DELETE FROM storesync.idempotency;
COMMIT;
SELECT * FROM storesync.check_invariants();
CALL storesync.maintain();
SELECT parent, waits_for FROM storesync.rotation() ORDER BY parent;
CALL storesync.maintain();
SELECT parent, waits_for FROM storesync.rotation() ORDER BY parent;
CALL storesync.maintain();
SELECT count(*) AS orders FROM storesync.sales_order WHERE order_sn = 'late';
SELECT sku_id = :b AS b, version, on_hand FROM storesync.ledger_opening ORDER BY sku_id;
SELECT parent, waits_for FROM storesync.rotation() ORDER BY parent;
SELECT storesync.available('B');
SELECT * FROM storesync.check_invariants();

-- as found
DROP OWNED BY regress_operator;
DROP ROLE regress_operator, regress_nobody;
DROP VIEW kept;
DROP FUNCTION old(text, interval), key_of(timestamp);
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
