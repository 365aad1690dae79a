-- Rights: PUBLIC has none, each kind of role has its own and no more.
\set VERBOSITY terse
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
\set SHOW_CONTEXT never
CREATE ROLE regress_public;
CREATE ROLE regress_application;
CREATE ROLE regress_reporter;
CREATE ROLE regress_operator;
SELECT storesync.ensure_partitions() > 0 AS made;

-- Whatever PUBLIC may use: nothing, partitions that were made since included.
SELECT n.nspname FROM pg_namespace n WHERE n.nspname LIKE 'storesync%'
	AND (has_schema_privilege('regress_public', n.oid, 'USAGE') OR has_schema_privilege('regress_public', n.oid, 'CREATE'));
SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname LIKE 'storesync%' AND has_function_privilege('regress_public', p.oid, 'EXECUTE');
SELECT t.oid::regtype FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
WHERE n.nspname LIKE 'storesync%' AND t.typcategory <> 'A' AND coalesce(c.relkind, 'c') = 'c'
	AND has_type_privilege('regress_public', t.oid, 'USAGE');
SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname LIKE 'storesync%' AND c.relkind IN ('r', 'p', 'v', 'm')
	AND (has_table_privilege('regress_public', c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
		OR has_any_column_privilege('regress_public', c.oid, 'SELECT, INSERT, UPDATE, REFERENCES'));
SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname LIKE 'storesync%' AND CASE c.relkind WHEN 'S' THEN has_sequence_privilege('regress_public', c.oid, 'USAGE, SELECT, UPDATE') END;
SET ROLE regress_public;
SELECT storesync.new_key();
SELECT * FROM storesync.sku;
RESET ROLE;

-- Giving
SELECT storesync.grant_role('regress_application', 'application');
SELECT storesync.grant_role('regress_reporter', 'reporter');
SELECT storesync.grant_role('regress_operator', 'operator');
SELECT storesync.grant_role('regress_operator', 'operator');
SELECT storesync.grant_role('regress_operator', 'king');
SELECT storesync.grant_role('regress_operator', NULL);
SELECT storesync.grant_role('regress_nobody', 'operator');
SELECT storesync.grant_role(NULL, 'operator');
-- a word that stands for everybody, whatever its quotes
SELECT storesync.grant_role('public', 'reporter');
SELECT storesync.grant_role('PUBLIC', 'reporter');
SELECT storesync.grant_role('current_user', 'reporter');
SET ROLE regress_operator;
SELECT storesync.grant_role('regress_public', 'operator');
RESET ROLE;
SET ROLE regress_application;
SELECT storesync.take_rights('regress_operator');
RESET ROLE;
SELECT subject, after FROM storesync.audit WHERE action = 'grant role' ORDER BY audit_id;
-- A role is of the kind that was said last, and others keep theirs; one with an odd name, too.
CREATE ROLE "regress; Odd ""one""";
SELECT storesync.grant_role('regress; Odd "one"', 'operator');
SELECT storesync.grant_role('regress; Odd "one"', 'application');
CREATE VIEW rights AS
SELECT a.grantee::regrole, 'routine' AS kind, p.oid, a.privilege_type AS may
	FROM pg_proc p, aclexplode(p.proacl) a WHERE p.pronamespace = 'storesync'::regnamespace
UNION ALL SELECT a.grantee::regrole, 'relation', c.oid, a.privilege_type
	FROM pg_class c, aclexplode(c.relacl) a WHERE c.relnamespace = 'storesync'::regnamespace
UNION ALL SELECT a.grantee::regrole, 'column ' || t.attname, c.oid, a.privilege_type
	FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid, aclexplode(t.attacl) a WHERE c.relnamespace = 'storesync'::regnamespace
UNION ALL SELECT a.grantee::regrole, 'type', t.oid, a.privilege_type
	FROM pg_type t, aclexplode(t.typacl) a WHERE t.typnamespace = 'storesync'::regnamespace;
SELECT kind, oid, may FROM rights WHERE grantee = '"regress; Odd ""one"""'::regrole
EXCEPT SELECT kind, oid, may FROM rights WHERE grantee = 'regress_application'::regrole;
SELECT kind, oid, may FROM rights WHERE grantee = 'regress_application'::regrole
EXCEPT SELECT kind, oid, may FROM rights WHERE grantee = '"regress; Odd ""one"""'::regrole;
SELECT count(*) > 0 AS kept FROM rights WHERE grantee = 'regress_operator'::regrole AND may = 'UPDATE';
DROP VIEW rights;
DROP OWNED BY "regress; Odd ""one""";
DROP ROLE "regress; Odd ""one""";

-- Every name in the matrix exists.
SELECT name FROM storesync.role_functions() EXCEPT SELECT proname FROM pg_proc WHERE pronamespace = 'storesync'::regnamespace;
SELECT name FROM storesync.role_tables() EXCEPT SELECT relname FROM pg_class WHERE relnamespace = 'storesync'::regnamespace;
-- What no role may call is our own machinery: who adds a function for users gives it to a kind of role.
SELECT DISTINCT p.proname AS internal FROM pg_proc p
WHERE p.pronamespace = 'storesync'::regnamespace AND p.prorettype <> 'trigger'::regtype
	AND p.proname !~ '^(health|invariant)_'
	AND NOT EXISTS (SELECT FROM pg_type t WHERE p.oid IN (t.typinput, t.typoutput, t.typreceive, t.typsend))
	AND NOT EXISTS (SELECT FROM pg_amproc a WHERE a.amproc = p.oid)
	AND NOT has_function_privilege('regress_operator', p.oid, 'EXECUTE')
ORDER BY 1;
-- An application's and a reporter's are among an operator's.
SELECT r AS role, p.proname FROM pg_proc p, unnest(ARRAY['regress_application', 'regress_reporter']) r
WHERE p.pronamespace = 'storesync'::regnamespace AND has_function_privilege(r, p.oid, 'EXECUTE')
	AND NOT has_function_privilege('regress_operator', p.oid, 'EXECUTE');
-- Secrets and the word that lets a database send: nobody's.
SELECT r AS role, c.relname FROM pg_class c, unnest(ARRAY['regress_application', 'regress_reporter', 'regress_operator']) r
WHERE c.relnamespace = 'storesync'::regnamespace AND c.relname IN ('credential', 'app_credential', 'instance')
	AND (has_table_privilege(r, c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE') OR has_any_column_privilege(r, c.oid, 'SELECT, INSERT, UPDATE'));
-- Nobody may delete, truncate, or write into what is append-only.
SELECT r AS role, c.oid::regclass AS relation FROM pg_class c, unnest(ARRAY['regress_application', 'regress_reporter', 'regress_operator']) r
WHERE c.relnamespace = 'storesync'::regnamespace AND c.relkind IN ('r', 'p')
	AND (has_table_privilege(r, c.oid, 'DELETE, TRUNCATE, TRIGGER, REFERENCES')
		OR (c.relname IN ('ledger', 'audit', 'order_history', 'push', 'call_log', 'task_event')
			AND has_any_column_privilege(r, c.oid, 'INSERT, UPDATE')));

SET ROLE regress_operator;
SELECT storesync.add_store('shopee', '1', 'One') IS NOT NULL AS store, storesync.add_sku('A') IS NOT NULL AS sku;
SELECT storesync.add_listing(min(store_id), 'A', '100') IS NOT NULL AS listing FROM storesync.store;
UPDATE storesync.platform SET base_url = 'http://localhost:8080' WHERE platform = 'shopee';
UPDATE storesync.sku SET safety_stock = 2;
UPDATE storesync.listing SET buffer = 1;
UPDATE storesync.location SET sellable = false WHERE code = 'main';
UPDATE storesync.sku SET code = 'B';
UPDATE storesync.listing SET revision = 1;
UPDATE storesync.platform SET base_url = 'http://example.com' WHERE platform = 'shopee';
INSERT INTO storesync.sku (code) VALUES ('C');
SELECT count(*) > 0 AS health FROM storesync.health();
SELECT count(*) FROM storesync.listing_status;
RESET ROLE;
SET ROLE regress_application;
SELECT code FROM storesync.sku;
SELECT count(*) FROM storesync.listing_status;
SELECT storesync.new_key() OPERATOR(storesync.=) storesync.new_key() AS same;
INSERT INTO storesync.outbox (subject, kind) VALUES (1, 'order');
INSERT INTO storesync.outbox (subject, kind, xid) VALUES (1, 'order', '1');
INSERT INTO storesync.outbox (subject, kind, incarnation) VALUES (1, 'order', 1);
INSERT INTO storesync.outbox (id, subject, kind) VALUES (1, 1, 'order');
INSERT INTO storesync.outbox (subject, kind, payload) VALUES (1, 'order', '{}');
SELECT * FROM storesync.dispatcher_stats();
SELECT storesync.add_sku('C');
SELECT storesync.set_app_credential('shopee', 'partner_id', '1');
SELECT storesync.outbox_add('stock', '{1}');
SELECT storesync.confirm_instance('x');
UPDATE storesync.sku SET safety_stock = 3;
RESET ROLE;
SET ROLE regress_reporter;
SELECT code FROM storesync.sku;
SELECT count(*) FROM storesync.stock;
SELECT count(*) > 0 AS audited FROM storesync.audit;
SELECT count(*) FROM storesync.stat_outbox;
SELECT * FROM storesync.credential;
SELECT storesync.add_sku('C');
INSERT INTO storesync.outbox (subject, kind) VALUES (1, 'order');
RESET ROLE;
DROP OWNED BY regress_application, regress_reporter, regress_operator;
DROP ROLE regress_public, regress_application, regress_reporter, regress_operator;

-- as found
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
