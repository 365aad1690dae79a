-- Rights, dumps and storage. The last module of the install script and of every upgrade script: nothing is
-- granted to PUBLIC, nor secrets to anybody, whatever ALTER DEFAULT PRIVILEGES says; business tables and sequences are dumped, secrets and confirmations are not, and
-- vacuum locks no table.
-- Only what PUBLIC may use is touched: a REVOKE in an upgrade makes the rights that roles have on
-- the object those of the extension, which no dump contains.

DO $$
DECLARE
	what text;
	relation regclass;
BEGIN
	FOR what IN
		SELECT pg_catalog.format('ROUTINE %s', p.oid::regprocedure)
		FROM pg_catalog.pg_proc p
		CROSS JOIN LATERAL pg_catalog.aclexplode(coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))) a
		WHERE p.pronamespace IN ('storesync'::regnamespace, 'storesync_report'::regnamespace) AND a.grantee = 0
		UNION ALL
		SELECT pg_catalog.format('TYPE %s', t.oid::regtype)
		FROM pg_catalog.pg_type t
		LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid
		CROSS JOIN LATERAL pg_catalog.aclexplode(coalesce(t.typacl, pg_catalog.acldefault('T', t.typowner))) a
		WHERE t.typnamespace IN ('storesync'::regnamespace, 'storesync_report'::regnamespace)
			AND t.typcategory <> 'A' AND coalesce(c.relkind, 'c') = 'c' AND a.grantee = 0
		UNION ALL
		SELECT pg_catalog.format('SCHEMA %I', n.nspname)
		FROM pg_catalog.pg_namespace n, pg_catalog.aclexplode(n.nspacl) a
		WHERE n.nspname IN ('storesync', 'storesync_report') AND a.grantee = 0
		UNION ALL
		SELECT pg_catalog.format('%s %s', CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.oid::regclass)
		FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a
		WHERE c.relnamespace IN ('storesync'::regnamespace, 'storesync_report'::regnamespace) AND a.grantee = 0
	LOOP
		EXECUTE pg_catalog.format('REVOKE ALL ON %s FROM PUBLIC', what);
	END LOOP;
	FOR what IN
		SELECT DISTINCT pg_catalog.format('%s FROM %s', c.oid::regclass, a.grantee::regrole)
		FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a
		WHERE c.relnamespace = 'storesync'::regnamespace AND c.relname IN ('credential', 'app_credential', 'instance')
			AND a.grantee NOT IN (0, c.relowner)
	LOOP
		EXECUTE pg_catalog.format('REVOKE ALL ON TABLE %s', what);
	END LOOP;
	FOR relation IN
		SELECT c.oid FROM pg_catalog.pg_class c
		JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
		WHERE c.relnamespace = 'storesync'::regnamespace AND c.relkind IN ('r', 'p', 'S')
			AND c.relname NOT IN ('partitioned', 'credential', 'app_credential', 'instance', 'token', 'olap_state', 'search_run', 'search_changed', 'search_progress')
	LOOP
		PERFORM pg_catalog.pg_extension_config_dump(relation, '');
	END LOOP;
	-- To give the end of a table back vacuum takes a lock that a standby's replay waits for while anybody reads
	-- the table there, and readers who come later wait behind it (docs/replica.md). Rows will fill it again.
	FOR relation IN
		SELECT c.oid FROM pg_catalog.pg_class c
		WHERE c.relnamespace = 'storesync'::regnamespace AND c.relkind = 'r' AND NOT c.relispartition
			AND NOT coalesce(c.reloptions, '{}') @> '{vacuum_truncate=off}'
	LOOP
		EXECUTE pg_catalog.format('ALTER TABLE %s SET (vacuum_truncate = off)', relation);
	END LOOP;
END
$$;
