-- Every table and view at once, or none: a script that waited for one of them while it holds another
-- would wait for callers that wait for it, and one of the two would be ended as a deadlock. An
-- attempt that is not through soon lets go of all, so that callers go on meanwhile.
DO $$
DECLARE
	attempt_until timestamptz;
	relation regclass;
	done boolean := false;
BEGIN
	FOR try IN 1 .. 25 LOOP
		attempt_until := pg_catalog.clock_timestamp() + '300 ms';
		BEGIN
			SET LOCAL lock_timeout = '50ms';
			-- views first: who reads one has locked it before its tables
			FOR relation IN
				SELECT c.oid FROM pg_catalog.pg_class c
				JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
				JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND d.refclassid = 'pg_catalog.pg_extension'::regclass
				WHERE e.extname = 'storesync' AND c.relkind IN ('v', 'r', 'p')
				ORDER BY c.relkind = 'v' DESC, c.oid
			LOOP
				IF pg_catalog.clock_timestamp() > attempt_until THEN
					RAISE lock_not_available;
				END IF;
				EXECUTE pg_catalog.format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', relation);
			END LOOP;
			done := true;
		EXCEPTION WHEN lock_not_available THEN
			PERFORM pg_catalog.pg_sleep(0.1);
		END;
		EXIT WHEN done;
	END LOOP;
	IF NOT done THEN
		RAISE 'could not lock the tables of extension "storesync"'
			USING ERRCODE = '55P03', HINT = 'Nothing has changed. Run it again when dumps, reports and long transactions are over.';
	END IF;
END
$$;
