-- Partitions: cut where they should be, made once, noticed when they go.
\set VERBOSITY terse
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
-- an odd session: bounds must not depend on it, these queries need one that they can read
SET datestyle = 'German';
SET timezone = 'Asia/Taipei';

-- Bounds are UTC days, ISO weeks (Monday) and months; the name says which.
SELECT storesync.ensure_partitions('45 days') > 0 AS made;
SET datestyle = 'ISO';
SET timezone = 'UTC';
SELECT storesync.ensure_partitions('45 days') AS made_again, storesync.missing_partitions('45 days') AS missing;
CREATE TEMP VIEW part AS
SELECT p.parent, p.step, c.oid, c.relname AS name, c.relname::text AS text_name,
	substring(pg_get_expr(c.relpartbound, c.oid) FROM 'FROM \(''([^'']+)''\)') AS low,
	substring(pg_get_expr(c.relpartbound, c.oid) FROM 'TO \(''([^'']+)''\)') AS high
FROM storesync.partitioned p
JOIN pg_inherits i ON i.inhparent = format('storesync.%I', p.parent)::regclass
JOIN pg_class c ON c.oid = i.inhrelid;
SELECT parent, step, count(*) >= CASE step WHEN 'day' THEN 46 WHEN 'week' THEN 7 ELSE 2 END AS enough,
	bool_and(CASE step
		WHEN 'day' THEN high::timestamptz - low::timestamptz = '1 day' AND text_name = parent || to_char(low::timestamptz AT TIME ZONE 'UTC', '"_"YYYY"_"MM"_"DD')
			AND low::timestamptz AT TIME ZONE 'UTC' = date_trunc('day', low::timestamptz AT TIME ZONE 'UTC')
		WHEN 'month' THEN text_name = parent || to_char(low::timestamptz AT TIME ZONE 'UTC', '"_"YYYY"_"MM')
			AND low::timestamptz AT TIME ZONE 'UTC' = date_trunc('month', low::timestamptz AT TIME ZONE 'UTC')
			AND high::timestamptz AT TIME ZONE 'UTC' = low::timestamptz AT TIME ZONE 'UTC' + '1 month'
		END) AS as_named
FROM part WHERE step <> 'week' GROUP BY parent, step ORDER BY parent;
SELECT parent, count(*) >= 7 AS enough, bool_and(
	text_name = parent || to_char(storesync.key_time(low::storesync.idempotency_key) AT TIME ZONE 'UTC', '"_"IYYY"w"IW')
	AND storesync.key_time(low::storesync.idempotency_key) AT TIME ZONE 'UTC' = date_trunc('week', storesync.key_time(low::storesync.idempotency_key) AT TIME ZONE 'UTC')
	AND storesync.key_time(high::storesync.idempotency_key) - storesync.key_time(low::storesync.idempotency_key) = '7 days') AS as_named
FROM part WHERE step = 'week' GROUP BY parent;
-- neither gap nor overlap
SELECT name AS no_neighbour FROM part p
WHERE high <> (SELECT max(high) FROM part q WHERE q.parent = p.parent AND length(q.high) = length(p.high))
	AND NOT EXISTS (SELECT FROM part q WHERE q.parent = p.parent AND q.low = p.high);

-- Each has its indexes, its storage parameters, and is no member of the extension.
SELECT p.parent, count(DISTINCT i.indexrelid) FILTER (WHERE i.indisunique) AS uniques, count(DISTINCT i.indexrelid) AS indexes,
	(SELECT reloptions FROM pg_class WHERE oid = min(p.oid)) AS options
FROM part p LEFT JOIN pg_index i ON i.indrelid = p.oid AND p.low = (SELECT min(low) FROM part q WHERE q.parent = p.parent)
GROUP BY p.parent ORDER BY 1;
SELECT name AS member FROM part p JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'e';
-- and belongs to the owner of the schema, whoever made it, in whatever tablespace he likes
CREATE ROLE regress_maker;
SELECT storesync.grant_role('regress_maker', 'operator');
DO $$
DECLARE p regclass;
BEGIN
	FOR p IN SELECT oid FROM part WHERE parent = 'call_log' LOOP EXECUTE format('DROP TABLE %s', p); END LOOP;
END $$;
SET ROLE regress_maker;
SET default_tablespace = 'pg_global';
SELECT storesync.ensure_partitions('0') AS made;
SHOW default_tablespace;
RESET default_tablespace;
RESET ROLE;
SELECT count(*) AS others_property FROM part p JOIN pg_class c USING (oid)
WHERE c.relowner <> (SELECT nspowner FROM pg_namespace WHERE nspname = 'storesync');
DROP OWNED BY regress_maker;
DROP ROLE regress_maker;

-- TRUNCATE of the ledger is refused, by the parent's name and by the partition's.
TRUNCATE storesync.ledger;
DO $$
BEGIN
	EXECUTE (SELECT format('TRUNCATE %s', min(oid)::regclass) FROM part WHERE parent = 'ledger');
EXCEPTION WHEN SQLSTATE 'SS203' THEN
	RAISE NOTICE 'refused';
END $$;

-- A dropped partition is noticed, a rolled back one too, within one session.
CREATE FUNCTION pg_temp.drop_outbox() RETURNS void LANGUAGE plpgsql AS $$
DECLARE p regclass;
BEGIN
	FOR p IN SELECT oid FROM part WHERE parent = 'outbox' LOOP EXECUTE format('DROP TABLE %s', p); END LOOP;
END $$;
SELECT storesync.outbox_add('stock', '{1}');
SELECT pg_temp.drop_outbox();
SELECT storesync.outbox_add('stock', '{2}');
BEGIN;
SELECT pg_temp.drop_outbox();
SAVEPOINT before;
SELECT storesync.outbox_add('stock', '{3}');
ROLLBACK TO before;
SELECT storesync.outbox_add('stock', '{4}');
SELECT subject FROM storesync.outbox;
ROLLBACK;
SELECT storesync.outbox_add('stock', '{5}');
SELECT subject FROM storesync.outbox ORDER BY xid, ctid;

-- Where one has to be made while a statement has the parent open, the error says so; nothing is half done.
SELECT pg_temp.drop_outbox();
INSERT INTO storesync.outbox (subject, kind) SELECT 6, 'stock' FROM storesync.outbox_add('stock', '{7}');
SELECT count(*) FROM part WHERE parent = 'outbox';
SELECT storesync.outbox_add('stock', '{8}');
SELECT subject FROM storesync.outbox ORDER BY xid, ctid;

-- What is asked for has limits.
SELECT storesync.ensure_partitions('-1 second');
SELECT storesync.ensure_partitions('367 days');
BEGIN READ ONLY;
SELECT storesync.ensure_partitions();
ROLLBACK;

-- as found
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
