-- The guard that keeps copies of a database from calling real platforms (docs/copies.md).

CREATE FUNCTION storesync.instance_confirmed() RETURNS boolean
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT i.instance_name <> '' AND EXISTS (
		SELECT FROM (SELECT * FROM storesync.instance ORDER BY confirmed_at DESC LIMIT 1) newest
		WHERE newest.name = i.instance_name
			AND newest.system_identifier = i.system_identifier
			AND newest.database_oid = i.database_oid)
		AND (r.id = 0 OR EXISTS (SELECT FROM storesync.instance c WHERE c.recovery = r.id))
	FROM storesync.database_identity() i, storesync.recovery_id() r(id)
$$;
COMMENT ON FUNCTION storesync.instance_confirmed() IS
'Whether the newest confirmation names this very database (storesync.instance_name, system identifier and database OID), and the last recovery from a backup was confirmed. Example: SELECT storesync.instance_confirmed();';

CREATE FUNCTION storesync.is_copy() RETURNS boolean
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT NOT coalesce((
		SELECT n.reason = 'new' AND n.system_identifier = i.system_identifier AND n.database_oid = i.database_oid
			AND (r.id = 0 OR EXISTS (SELECT FROM storesync.incarnation l WHERE l.recovery = r.id))
		FROM storesync.incarnation n WHERE n.reason <> 'promotion' ORDER BY n.incarnation DESC LIMIT 1), true)
	FROM storesync.database_identity() i, storesync.recovery_id() r(id)
$$;
COMMENT ON FUNCTION storesync.is_copy() IS
'Whether this data began its life elsewhere: a restored dump, a template copy, an upgraded cluster, or a cluster that came out of a backup. A standby that was promoted is what its primary was. Example: SELECT storesync.is_copy();';

CREATE FUNCTION storesync.sending_allowed(platform text) RETURNS boolean
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT coalesce((
		SELECT storesync.instance_confirmed()
			OR (storesync.is_loopback(p.base_url) AND NOT storesync.is_copy())
		FROM storesync.platform p WHERE p.platform = $1), false)
$$;
COMMENT ON FUNCTION storesync.sending_allowed(text) IS
'Whether this database may call a platform: it was confirmed by confirm_instance(), or the platform''s base_url is a loopback address and the database is no copy (a proxy to the real platform may listen there). False for an unknown platform. Example: SELECT storesync.sending_allowed(''shopee'');';

CREATE FUNCTION storesync.confirm_instance(name text) RETURNS void
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	ours record;
BEGIN
	SELECT i.* INTO ours FROM storesync.database_identity() i;
	IF ours.instance_name = '' THEN
		RAISE EXCEPTION 'storesync.instance_name is not set'
			USING ERRCODE = '55000', HINT = 'Set it in a configuration file outside the data directory.';
	END IF;
	IF $1 IS DISTINCT FROM ours.instance_name THEN
		RAISE EXCEPTION 'this instance is not called "%"', coalesce($1, 'null')
			USING ERRCODE = '22023', DETAIL = format('storesync.instance_name is "%s".', ours.instance_name);
	END IF;
	PERFORM storesync.current_incarnation();
	INSERT INTO storesync.instance (name, system_identifier, database_oid, recovery)
	VALUES ($1, ours.system_identifier, ours.database_oid, storesync.recovery_id());
	INSERT INTO storesync.audit (action, subject, after)
	VALUES ('confirm instance', concat('instance ', $1), to_jsonb(ours));
	PERFORM storesync.outbox_add('platform', '{0}');
END
$$;
COMMENT ON FUNCTION storesync.confirm_instance(text) IS
'Lets this database call real platforms from now on. name must be what storesync.instance_name is set to, so that nobody confirms a copy by a habit. Errors: 22023 another name, 55000 no name is set, 25006 on a standby. Example: SELECT storesync.confirm_instance(''shop-main'');';
