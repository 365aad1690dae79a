-- What CREATE EXTENSION leaves behind, and that it can go and come again.
\set VERBOSITY terse
SELECT extversion FROM pg_extension WHERE extname = 'storesync';

-- The library is of the same release; where it is not, health() says what is to be done.
SELECT storesync.library_version() = extversion AS same FROM pg_extension WHERE extname = 'storesync';
SELECT * FROM storesync.health_version();
BEGIN;
UPDATE pg_extension SET extversion = '1.0' WHERE extname = 'storesync';
SELECT component, state, regexp_replace(reason, 'is of [0-9.]+', 'is of X') AS reason FROM storesync.health() WHERE component = 'version';
UPDATE pg_extension SET extversion = '1.10' WHERE extname = 'storesync';
SELECT component, state, regexp_replace(reason, 'is of [0-9.]+', 'is of X') AS reason FROM storesync.health() WHERE component = 'version';
ROLLBACK;

SELECT platform, base_url, rate_limit, max_quantity FROM storesync.platform ORDER BY platform;
-- no partition, no row but the script's own
SELECT count(*) AS partitions FROM pg_class WHERE relispartition AND relnamespace = 'storesync'::regnamespace;
SELECT parent, step, key_column, indexes, options, append_only FROM storesync.partitioned ORDER BY parent;
-- every partitioned table is described
SELECT c.relname AS not_described FROM pg_class c
WHERE c.relkind = 'p' AND c.relnamespace = 'storesync'::regnamespace
	AND NOT EXISTS (SELECT FROM storesync.partitioned p WHERE p.parent = c.relname);
-- ...and cut by the column that the description names
SELECT p.parent AS cut_otherwise FROM storesync.partitioned p
JOIN pg_partitioned_table t ON t.partrelid = format('storesync.%I', p.parent)::regclass
JOIN pg_attribute a ON a.attrelid = t.partrelid AND a.attnum = t.partattrs[0]
WHERE a.attname <> p.key_column OR t.partstrat <> 'r';

-- What a dump holds of the members: all tables and sequences but these.
SELECT c.relname AS not_dumped FROM pg_class c
JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'storesync'
WHERE c.relkind IN ('r', 'p', 'S') AND NOT c.oid = ANY (e.extconfig)
ORDER BY 1;

-- Created again, the schema must be ours: nobody's prepared schema is adopted.
DROP EXTENSION storesync;
SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'storesync%';
CREATE SCHEMA storesync;
CREATE EXTENSION storesync;
DROP SCHEMA storesync;
CREATE EXTENSION storesync;
-- The same session goes on with the new tables, its plans and caches with it.
SELECT storesync.add_sku('A');
SELECT storesync.current_incarnation();
SELECT storesync.outbox_add('stock', '{1}');
DROP EXTENSION storesync;
CREATE EXTENSION storesync;
SELECT count(*) FROM storesync.incarnation;
SELECT storesync.outbox_add('stock', '{1}');
SELECT incarnation, reason FROM storesync.incarnation;
SELECT id, subject, version, incarnation, kind FROM storesync.outbox;
-- Partitions go with the extension, and none may be made while it is being made.
SELECT count(*) > 0 AS partitions FROM pg_class WHERE relispartition AND relnamespace = 'storesync'::regnamespace;
DROP EXTENSION storesync;
SELECT count(*) FROM pg_class WHERE relname LIKE 'outbox%';
CREATE EXTENSION storesync;
