-- Unique indexes of partitions are their replica identity.
DO $$
DECLARE
	made record;
BEGIN
	FOR made IN
		SELECT i.indrelid::regclass AS partition, c.relname AS index
		FROM storesync.partitioned p
		JOIN pg_catalog.pg_inherits h ON h.inhparent = pg_catalog.format('storesync.%I', p.parent)::regclass
		JOIN pg_catalog.pg_index i ON i.indrelid = h.inhrelid
		JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
		WHERE i.indisunique AND i.indpred IS NULL AND NOT i.indisreplident
	LOOP
		EXECUTE pg_catalog.format('ALTER TABLE %s REPLICA IDENTITY USING INDEX %I', made.partition, made.index);
	END LOOP;
END
$$;
