-- Roles as databases really have them: members of two kinds, without inheritance, one that leaves, the owner himself, and what
-- a DBA's default privileges would give away.
\set VERBOSITY terse
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE ROLE regress_clerk;
CREATE ROLE regress_reader;
CREATE ROLE regress_web;
CREATE ROLE regress_both;
CREATE ROLE regress_switch NOINHERIT;
CREATE ROLE "regress, PUBLIC";

-- Default privileges: nothing of it reaches PUBLIC, secrets nobody; what a role has otherwise it has until it is of a kind.
ALTER DEFAULT PRIVILEGES GRANT USAGE, CREATE ON SCHEMAS TO PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO regress_web, "regress, PUBLIC";
ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO regress_web;
ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO regress_web;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TYPES TO regress_web;
CREATE EXTENSION storesync;
RESET client_min_messages;
SELECT storesync.ensure_partitions() > 0 AS made;
CREATE VIEW rights AS
SELECT a.grantee, 'schema' AS what, n.nspname AS name, a.privilege_type AS may
	FROM pg_namespace n, aclexplode(n.nspacl) a WHERE n.nspname LIKE 'storesync%'
UNION ALL SELECT a.grantee, CASE WHEN c.relispartition THEN 'partition' ELSE 'relation' END, c.relname, a.privilege_type
	FROM pg_class c, aclexplode(c.relacl) a WHERE c.relnamespace::regnamespace::text LIKE 'storesync%'
UNION ALL SELECT a.grantee, 'routine', p.proname, a.privilege_type
	FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE p.pronamespace::regnamespace::text LIKE 'storesync%'
UNION ALL SELECT a.grantee, 'type', t.typname, a.privilege_type
	FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid, aclexplode(coalesce(t.typacl, acldefault('T', t.typowner))) a
	WHERE t.typnamespace::regnamespace::text LIKE 'storesync%' AND t.typcategory <> 'A' AND coalesce(c.relkind, 'c') = 'c';
SELECT DISTINCT what FROM rights WHERE grantee = 0;
SELECT * FROM rights WHERE name IN ('credential', 'app_credential', 'instance')
	AND grantee <> (SELECT nspowner FROM pg_namespace WHERE nspname = 'storesync');
SELECT grantee::regrole, count(*) FROM rights
WHERE what = 'partition' AND grantee <> (SELECT nspowner FROM pg_namespace WHERE nspname = 'storesync') GROUP BY 1;
SELECT DISTINCT what FROM rights WHERE grantee = 'regress_web'::regrole ORDER BY what;
SELECT storesync.grant_role('regress_web', 'application');
SELECT name, string_agg(may, ' ') FROM rights WHERE grantee = 'regress_web'::regrole AND what = 'relation' GROUP BY name ORDER BY name COLLATE "C";
SELECT count(*) FROM rights WHERE grantee = 'regress_web'::regrole AND what = 'routine' AND name IN ('add_sku', 'take_rights', 'grant_role');
ALTER DEFAULT PRIVILEGES REVOKE ALL ON SCHEMAS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON SEQUENCES FROM PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM regress_web, "regress, PUBLIC";
ALTER DEFAULT PRIVILEGES REVOKE ALL ON SEQUENCES FROM regress_web;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON FUNCTIONS FROM regress_web;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON TYPES FROM regress_web;
DROP OWNED BY "regress, PUBLIC";
SELECT count(*) AS left_over FROM pg_default_acl;

-- A member of two kinds may what either may; his own kind does not take away what he has as a member.
SELECT storesync.add_sku('A') IS NOT NULL AS added;
SELECT storesync.grant_role('regress_clerk', 'operator');
SELECT storesync.grant_role('regress_reader', 'reporter');
GRANT regress_web, regress_reader TO regress_both;
SET ROLE regress_both;
SELECT outcome FROM storesync.receive('A', 1, storesync.new_key());
SELECT count(*) FROM storesync.sales_order;
SELECT storesync.add_sku('C');
RESET ROLE;
SELECT storesync.grant_role('regress_both', 'application');
SET ROLE regress_both;
SELECT count(*) FROM storesync.sales_order;
RESET ROLE;
SELECT storesync.revoke_role('regress_both');
SELECT has_schema_privilege('regress_both', 'storesync', 'USAGE') AS as_a_member;

-- Who does not inherit has nothing until SET ROLE.
GRANT regress_clerk TO regress_switch;
SET SESSION AUTHORIZATION regress_switch;
SELECT storesync.add_sku('B');
SET ROLE regress_clerk;
SELECT storesync.add_sku('B') IS NOT NULL AS added;
UPDATE storesync.sku SET safety_stock = 1 WHERE code = 'B';
RESET SESSION AUTHORIZATION;
-- the audit names who had logged in
SELECT login, after FROM storesync.audit ORDER BY audit_id DESC LIMIT 1;

-- The owner has every right, and every C function works with his: none is taken from him.
DO $$
BEGIN
	BEGIN
		PERFORM storesync.grant_role(current_user, 'reporter');
	EXCEPTION WHEN invalid_parameter_value THEN
		RAISE NOTICE '%', replace(SQLERRM, current_user, 'OWNER');
	END;
	PERFORM storesync.revoke_role(current_user);
EXCEPTION WHEN invalid_parameter_value THEN
	RAISE NOTICE '%', replace(SQLERRM, current_user, 'OWNER');
END
$$;

-- One leaves: nothing of his is left, and his role goes.
SELECT storesync.revoke_role('regress_clerk');
SELECT count(*) FROM rights WHERE grantee = 'regress_clerk'::regrole;
SET ROLE regress_clerk;
SELECT count(*) FROM storesync.sku;
RESET ROLE;
DROP ROLE regress_clerk;
SELECT storesync.revoke_role('regress_clerk');
SELECT storesync.revoke_role('public');
SELECT storesync.revoke_role(NULL);
SET ROLE regress_reader;
SELECT storesync.revoke_role('regress_web');
RESET ROLE;
-- Who is of which kind now, as docs/upgrade.md asks.
SELECT subject, kind FROM (SELECT DISTINCT ON (subject) subject, after ->> 'kind' AS kind FROM storesync.audit
WHERE action = 'grant role' ORDER BY subject, at DESC) last WHERE kind IS NOT NULL;
DROP VIEW rights;
SELECT storesync.revoke_role('regress_reader'), storesync.revoke_role('regress_web');
DROP ROLE regress_reader, regress_web, regress_both, regress_switch, "regress, PUBLIC";

-- as found
SET client_min_messages = warning;
DROP EXTENSION storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
