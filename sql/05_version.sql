-- The release of the library, beside that of these objects: they are upgraded one after the other.
-- First of all modules: a library that is too old has not got this function, and nothing else is tried.

CREATE FUNCTION storesync.library_version() RETURNS text
	AS 'MODULE_PATHNAME', 'library_version' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION storesync.library_version() IS
'Release of the library that this session has loaded. pg_extension.extversion is that of the SQL objects, which ALTER EXTENSION storesync UPDATE brings after it: docs/upgrade.md. Example: SELECT storesync.library_version();';

CREATE FUNCTION storesync.health_version() RETURNS TABLE(component text, state text, reason text)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT 'version', 'degraded',
		format('the SQL objects are of release %s, the library is of %s: %s', e.extversion, x.library,
			CASE WHEN string_to_array(e.extversion, '.')::int[] < string_to_array(x.library, '.')::int[]
				THEN 'ALTER EXTENSION storesync UPDATE' ELSE 'restart the server with the new library' END)
	FROM pg_extension e
	CROSS JOIN storesync.library_version() AS x(library)
	WHERE e.extname = 'storesync' AND e.extversion <> x.library
$$;
COMMENT ON FUNCTION storesync.health_version() IS 'The part of health() about releases: a row where library and SQL objects are of different ones.';
