-- Credentials: known names, decent values, and the value nowhere to be seen.
\set VERBOSITY terse
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
SELECT storesync.add_store('shopee', '220001', 'Main') AS store \gset
SELECT storesync.missing_credentials(:store);
SELECT storesync.missing_credentials(0) IS NULL AS no_such_store;

PREPARE app(text, text, text) AS SELECT storesync.set_app_credential($1, $2, $3);
PREPARE store(int, text, text) AS SELECT storesync.set_credential($1, $2, $3);
EXECUTE app('shopee', 'partner_id', '2000001');
EXECUTE app('shopee', 'partner_key', 'MARKER-key');
EXECUTE store(:store, 'access_token', 'MARKER-token');
EXECUTE store(:store, 'access_token', 'MARKER-token-2');
SELECT storesync.missing_credentials(:store);
SELECT name, value, set_at <= clock_timestamp() AS set FROM storesync.credential;
SELECT platform, name FROM storesync.app_credential ORDER BY 2;

-- Errors name neither value nor, since arguments may have been swapped, the name.
EXECUTE store(:store, 'MARKER-token', 'access_token');
EXECUTE store(:store, 'partner_key', 'MARKER');
EXECUTE app('shopee', 'access_token', 'MARKER');
EXECUTE app('MARKER', 'partner_id', 'MARKER');
EXECUTE store(99, 'access_token', 'MARKER');
EXECUTE store(:store, 'access_token', '');
EXECUTE store(:store, 'access_token', E'MARKER\nX-Header: 1');
EXECUTE store(:store, 'access_token', 'MARKER é');
EXECUTE store(:store, 'access_token', repeat('M', 8193));
EXECUTE store(:store, 'access_token', NULL);
EXECUTE store(:store, NULL, 'MARKER');
EXECUTE app(NULL, 'partner_id', 'MARKER');
EXECUTE store(:store, 'refresh_token', repeat('M', 8192));
-- not even when it comes out of another function
DO $$ BEGIN PERFORM storesync.set_credential(99, 'access_token', 'MARKER-in-context'); END $$;

-- Ruten has three keys a store and no application.
SELECT storesync.add_store('ruten', 'teashop', 'Tea') AS ruten \gset
SELECT storesync.missing_credentials(:ruten);
EXECUTE store(:ruten, 'api_key', 'MARKER-api');
EXECUTE store(:ruten, 'secret_key', 'MARKER-secret');
SELECT storesync.missing_credentials(:ruten);
EXECUTE store(:ruten, 'salt_key', 'MARKER-salt');
EXECUTE store(:ruten, 'callback_url', 'https://erp.example.com/hooks/ruten');
SELECT storesync.missing_credentials(:ruten);
EXECUTE store(:ruten, 'access_token', 'MARKER');
EXECUTE app('ruten', 'api_key', 'MARKER');

-- Files need a directory that the server's configuration names (regress/t/042_secrets.pl has one).
EXECUTE store(:store, 'access_token', 'file:token');
-- The audit has the names, the outbox says whom it concerns; neither has a value.
SELECT action, subject, after FROM storesync.audit WHERE action = 'set credential' ORDER BY audit_id;
SELECT count(*) AS leaks FROM storesync.audit a, storesync.outbox o
WHERE a::text LIKE '%MARKER%' OR o::text LIKE '%MARKER%';
SELECT DISTINCT kind FROM storesync.outbox ORDER BY 1;

-- What others see of the statement while it runs and afterwards.
SELECT storesync.set_app_credential('shopee', 'callback_url', 'MARKER-literal') \; SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid();

-- Nobody may read them but the owner.
CREATE ROLE regress_operator;
SELECT storesync.grant_role('regress_operator', 'operator');
SET ROLE regress_operator;
SELECT value FROM storesync.credential;
SELECT value FROM storesync.app_credential;
SELECT storesync.set_app_credential('shopee', 'partner_id', '2000002');
RESET ROLE;
DROP OWNED BY regress_operator;
DROP ROLE regress_operator;

-- as found
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
