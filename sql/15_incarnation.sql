-- Declared before the tables because outbox rows carry it by default.
CREATE FUNCTION storesync.current_incarnation() RETURNS int
	AS 'MODULE_PATHNAME', 'current_incarnation' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.current_incarnation() IS
'Number of this database''s present life. Starts the next one when the stored system identifier and database OID are another database''s (a restored dump, a copy), or when the cluster came out of a backup, or was promoted from a standby, since. On a standby, or while a recovery is under way, nothing is written and a number after the last is told. Error 25006 in a read-only transaction that would have to start one. Example: SELECT storesync.current_incarnation();';

CREATE FUNCTION storesync.database_identity(OUT system_identifier bigint, OUT database_oid oid, OUT instance_name text)
	AS 'MODULE_PATHNAME', 'database_identity' LANGUAGE C STABLE;
COMMENT ON FUNCTION storesync.database_identity() IS
'System identifier of this cluster and OID of this database, the pair that an incarnation stores, and the setting storesync.instance_name ('''' when it is not set), as the server''s configuration has it.';

CREATE FUNCTION storesync.recovery_id() RETURNS bigint
	AS 'MODULE_PATHNAME', 'storesync_recovery_id' LANGUAGE C STABLE;
COMMENT ON FUNCTION storesync.recovery_id() IS
'Number of the last recovery of this cluster from a backup (recovery to a point in time, or a copy of the data directory that was started as a primary): random, kept in the file storesync.recovery of the data directory; 0 for none. Example: SELECT storesync.recovery_id();';
