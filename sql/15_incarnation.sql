-- Declared before the tables because outbox rows carry it by default.
CREATE FUNCTION storesync.current_incarnation() RETURNS int
	AS 'MODULE_PATHNAME', 'current_incarnation' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.current_incarnation() IS
'Number of this database''s present life. Starts the next one when the stored system identifier and database OID are another database''s (a restored dump, a copy). Error 25006 on a standby that would have to start one. Example: SELECT storesync.current_incarnation();';

CREATE FUNCTION storesync.database_identity(OUT system_identifier bigint, OUT database_oid oid, OUT instance_name text)
	AS 'MODULE_PATHNAME', 'database_identity' LANGUAGE C STABLE;
COMMENT ON FUNCTION storesync.database_identity() IS
'System identifier of this cluster and OID of this database, the pair that an incarnation stores, and the setting storesync.instance_name ('''' when it is not set), as the server''s configuration has it.';
