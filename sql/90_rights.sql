-- Rights and dumps. The last module of the install script and of every upgrade script: nothing is
-- granted to PUBLIC, business tables and sequences are dumped, secrets and confirmations are not.

REVOKE ALL ON ALL ROUTINES IN SCHEMA storesync, storesync_report FROM PUBLIC;
DO $$
DECLARE
	type regtype;
	relation regclass;
BEGIN
	FOR type IN
		SELECT t.oid FROM pg_catalog.pg_type t LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid
		WHERE t.typnamespace IN ('storesync'::regnamespace, 'storesync_report'::regnamespace)
			AND t.typcategory <> 'A' AND coalesce(c.relkind, 'c') = 'c'
	LOOP
		EXECUTE pg_catalog.format('REVOKE ALL ON TYPE %s FROM PUBLIC', type);
	END LOOP;
	FOR relation IN
		SELECT c.oid FROM pg_catalog.pg_class c
		WHERE c.relnamespace = 'storesync'::regnamespace AND c.relkind IN ('r', 'p', 'S')
			AND c.relname NOT IN ('partitioned', 'credential', 'app_credential', 'instance', 'token')
	LOOP
		PERFORM pg_catalog.pg_extension_config_dump(relation, '');
	END LOOP;
END
$$;
