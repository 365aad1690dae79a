-- Partitions: made ahead, never by this script (a partition made here would be a member, and no
-- dump would contain its rows).

CREATE FUNCTION storesync.refuse_change() RETURNS trigger
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RAISE EXCEPTION 'cannot change table "%": it is append-only', TG_TABLE_NAME
		USING ERRCODE = 'SS203', DETAIL = format('%s is refused.', TG_OP);
END
$$;
COMMENT ON FUNCTION storesync.refuse_change() IS
'Trigger of append-only tables: refuses what it is declared for (UPDATE, DELETE, TRUNCATE) with SS203.';

CREATE FUNCTION storesync.ensure_partitions(ahead interval DEFAULT '7 days') RETURNS int
	AS 'MODULE_PATHNAME', 'ensure_partitions' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION storesync.ensure_partitions(interval) IS
'Makes the partitions that rows from now until `ahead` (at most 366 days) will need; returns how many were missing. The dispatcher calls it at its start and once a day; a write that finds its partition missing makes it by itself. Errors: 22023 for an interval below zero or too long, 25006 on a standby, 55006 from inside a statement that has a partitioned table of storesync open. Example: SELECT storesync.ensure_partitions();';

CREATE FUNCTION storesync.missing_partitions(ahead interval DEFAULT '1 day') RETURNS int
	AS 'MODULE_PATHNAME', 'missing_partitions' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION storesync.missing_partitions(interval) IS
'How many partitions ensure_partitions() would make; writes nothing. Error 22023 for an interval below zero or over 366 days. Example: SELECT storesync.missing_partitions(''2 days'');';
