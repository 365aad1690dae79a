-- Who may do what: every object of the extension, a line each, and what each kind of role may do with
-- it: x call, U use, r read, a add, w change, d delete; for some columns alone, those. An object that
-- is not in the expected file fails the test: whoever adds one decides who may use it, here for all to
-- see (role_functions(), role_tables()), and what nobody may use says so by its dots.
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
\pset fieldsep ' '
CREATE ROLE matrix_operator;
CREATE ROLE matrix_application;
CREATE ROLE matrix_reporter;
CREATE ROLE matrix_nobody;
SELECT FROM storesync.grant_role('matrix_operator', 'operator');
SELECT FROM storesync.grant_role('matrix_application', 'application');
SELECT FROM storesync.grant_role('matrix_reporter', 'reporter');

-- may(role, object class, object): letters, '.' for none
CREATE FUNCTION pg_temp.may(who text, class regclass, object oid) RETURNS text LANGUAGE sql STABLE AS $$
	SELECT coalesce(nullif(CASE $2
		WHEN 'pg_proc'::regclass THEN CASE WHEN has_function_privilege($1, $3, 'EXECUTE') THEN 'x' END
		WHEN 'pg_type'::regclass THEN CASE WHEN has_type_privilege($1, $3, 'USAGE') THEN 'U' END
		WHEN 'pg_namespace'::regclass THEN concat(CASE WHEN has_schema_privilege($1, $3, 'USAGE') THEN 'U' END,
			CASE WHEN has_schema_privilege($1, $3, 'CREATE') THEN 'C' END)
		WHEN 'pg_class'::regclass THEN CASE (SELECT c.relkind FROM pg_class c WHERE c.oid = $3)
			WHEN 'S' THEN (SELECT string_agg(p.letter, '') FROM (VALUES ('U', 'USAGE'), ('r', 'SELECT'), ('w', 'UPDATE')) p (letter, name)
				WHERE has_sequence_privilege($1, $3, p.name))
			ELSE (SELECT string_agg(CASE WHEN has_table_privilege($1, $3, p.name) THEN p.letter
					ELSE format('%s(%s)', p.letter, (SELECT string_agg(a.attname, ',' ORDER BY a.attnum) FROM pg_attribute a
						WHERE a.attrelid = $3 AND a.attnum > 0 AND NOT a.attisdropped AND has_column_privilege($1, $3, a.attnum, p.name))) END, '' ORDER BY p.n)
				FROM (VALUES (1, 'r', 'SELECT'), (2, 'a', 'INSERT'), (3, 'w', 'UPDATE'), (6, 'x', 'REFERENCES')) p (n, letter, name)
				WHERE has_any_column_privilege($1, $3, p.name))
				|| (SELECT coalesce(string_agg(p.letter, '' ORDER BY p.letter), '') FROM (VALUES ('d', 'DELETE'), ('D', 'TRUNCATE'), ('t', 'TRIGGER')) p (letter, name)
				WHERE has_table_privilege($1, $3, p.name)) END END, ''), '.')
$$;

\echo object | operator | application | reporter | nobody
SELECT i.type, replace(replace(i.identity, 'storesync.', ''), 'pg_catalog.', '') AS object, '|',
	pg_temp.may('matrix_operator', d.classid, d.objid), '|', pg_temp.may('matrix_application', d.classid, d.objid), '|',
	pg_temp.may('matrix_reporter', d.classid, d.objid), '|', pg_temp.may('matrix_nobody', d.classid, d.objid)
FROM pg_depend d
JOIN pg_extension e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass AND e.extname = 'storesync'
CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, 0) i
WHERE d.deptype = 'e' AND d.classid IN ('pg_class'::regclass, 'pg_proc'::regclass, 'pg_type'::regclass, 'pg_namespace'::regclass)
	-- a row's type goes with its table, an array with its element
	AND NOT (d.classid = 'pg_type'::regclass AND EXISTS (SELECT FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
		WHERE t.oid = d.objid AND (t.typelem <> 0 OR c.relkind <> 'c')))
ORDER BY i.type COLLATE "C", i.identity COLLATE "C";

DROP OWNED BY matrix_operator, matrix_application, matrix_reporter;
DROP ROLE matrix_operator, matrix_application, matrix_reporter, matrix_nobody;
