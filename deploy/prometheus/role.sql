-- The role that prometheus-postgres-exporter asks as, in the database that it asks:
--   psql -X -d shop -f deploy/prometheus/role.sql
-- It reads and cannot write, holds three connections at most, and no query of it lasts long. No password: it is let in by
-- who asks over the socket (docs/alarms.md). Once more after an upgrade of storesync, for what is new.

\set ON_ERROR_STOP on
SELECT NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'storesync_exporter') AS missing \gset
\if :missing
CREATE ROLE storesync_exporter LOGIN CONNECTION LIMIT 3;
\endif
ALTER ROLE storesync_exporter SET default_transaction_read_only = on;
ALTER ROLE storesync_exporter SET statement_timeout = '8s';
ALTER ROLE storesync_exporter SET jit = off;
ALTER ROLE storesync_exporter SET search_path = pg_catalog;
GRANT pg_read_all_stats TO storesync_exporter;
SELECT storesync.grant_role('storesync_exporter', 'reporter');
