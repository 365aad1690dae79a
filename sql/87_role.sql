-- Who may do what. Rights are given by grant_role() alone; nothing is granted to PUBLIC.

-- A view checks functions with the rights of who reads it, and an operator checks its function.
CREATE FUNCTION storesync.common_functions() RETURNS SETOF regprocedure
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT p.oid::regprocedure
	FROM pg_proc p
	WHERE p.pronamespace = 'storesync'::regnamespace
		AND (EXISTS (SELECT FROM pg_operator o WHERE o.oprcode = p.oid)
			OR p.proname IN ('derive_key', 'new_key', 'key_time', 'available', 'balance_at', 'explain', 'health', 'task_state', 'short_work', 'work', 'library_version', 'search_orders', 'search_products',
				'delay_count', 'delay_percentile', 'delay_sum', 'delay_histogram', 'replay_delay'))
$$;
COMMENT ON FUNCTION storesync.common_functions() IS
'Functions that every kind of role may call: those behind operators, and those that only look.';

CREATE FUNCTION storesync.view_functions(kind text) RETURNS SETOF regprocedure
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	WITH RECURSIVE readable(oid) AS (
		SELECT c.oid FROM pg_class c
		WHERE c.relkind = 'v' AND c.relnamespace IN ('storesync'::regnamespace, 'storesync_report'::regnamespace)
			AND ($1 <> 'application' OR EXISTS (SELECT FROM storesync.role_tables() m
				WHERE m.kind = $1 AND m.name = c.relname AND m.privilege = 'SELECT'))
		UNION
		SELECT d.refobjid FROM readable v
		JOIN pg_rewrite r ON r.ev_class = v.oid
		JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass)
	SELECT DISTINCT p.oid::regprocedure
	FROM readable v
	JOIN pg_rewrite r ON r.ev_class = v.oid
	JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_proc'::regclass
	JOIN pg_proc p ON p.oid = d.refobjid AND p.pronamespace = 'storesync'::regnamespace
$$;
COMMENT ON FUNCTION storesync.view_functions(text) IS
'Functions of storesync behind the views that a kind of role may read, and the views behind these.';

CREATE FUNCTION storesync.role_functions() RETURNS TABLE(kind text, name text)
	LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT m.kind, unnest(m.names) FROM (VALUES
		('application', ARRAY['receive', 'reserve', 'release', 'ship', 'restock', 'adjust', 'transfer', 'receive_return',
			'ingest_order', 'ingest_orders', 'ingest_push', 'rate_take', 'rate_hold', 'rate_succeeded', 'rate_quota', 'enqueue', 'current_incarnation',
			'cache_lock', 'cache_unlock', 'session_put', 'session_get', 'session_drop', 'ingest_visits']),
		('reporter', ARRAY['what_if', 'what_if_listings']),
		('operator', ARRAY['add_store', 'add_sku', 'add_location', 'add_listing', 'set_store_locations', 'set_bundle', 'set_credential', 'set_app_credential',
			'settle_short', 'authorization_url', 'authorize_store', 'note_authorization',
			'schedule_jobs', 'unschedule_jobs', 'prune_job_runs', 'compensate_night', 'job_list', 'job_plan', 'night_due',
			'missing_credentials', 'pause', 'resume', 'stop_selling', 'start_selling', 'allot', 'set_price', 'reserve_seen', 'reserves_seen', 'remap_preview', 'remap_step', 'remap_listing', 'release_hold', 'release_breaker', 'match_listings', 'accept_matches', 'preview', 'go_live', 'go_live_missing', 'requeue', 'discard', 'add_peak_window', 'drop_peak_window', 'drop_planned_offer', 'night_of', 'roll_up', 'roll_up_step', 'roll_up_stock_step', 'roll_up_pushed_step',
			'undo', 'undo_rows', 'undo_fields', 'undo_by_hand', 'undo_look', 'undo_lock', 'undo_set', 'undo_note',
			'csv_load', 'csv_check', 'csv_confirm', 'csv_discard',
			'confirm_instance', 'instance_confirmed', 'is_copy', 'recovery_id', 'sending_allowed', 'rate_room', 'rate_forget', 'backfill', 'check_invariants',
			'compensate', 'compensate_begin', 'compensate_step', 'confirm_drift', 'confirm_drifts', 'reject_drift',
			'ensure_partitions', 'missing_partitions', 'consumer_register', 'consumer_move', 'consumer_drop', 'rotation', 'cache_allowed', 'cache_stock', 'cache_listing', 'cache_order', 'olap_allowed', 'olap_fill', 'drop_consumed', 'maintain', 'maintain_ahead', 'maintain_step', 'search_grams', 'search_refresh', 'search_step', 'take_up_parked', 'release_expired', 'next_expiry'])) AS m(kind, names)
$$;
COMMENT ON FUNCTION storesync.role_functions() IS
'Functions by the kind of role that may call them; an operator may also call those of the others.';

CREATE FUNCTION storesync.role_tables() RETURNS TABLE(kind text, name text, privilege text)
	LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
	VALUES
		('application', 'sku', 'SELECT'),
		('application', 'location', 'SELECT'),
		('application', 'store', 'SELECT'),
		('application', 'listing', 'SELECT'),
		('application', 'stock', 'SELECT'),
		('application', 'listing_status', 'SELECT'),
		('application', 'rate_status', 'SELECT'),
		('application', 'outbox', 'INSERT (subject, kind, version)'),
		('operator', 'platform', 'UPDATE (base_url, rate_limit, max_quantity, returns_on_cancel, order_overlap, look_again, returns_interval, quota_reset, quota_scope, unpaid_hold, sign_path_only, sign_base64, short_weight, ship_within)'),
		('operator', 'store', 'UPDATE (name, mode, paused, priority, rate_limit, poll_interval, poll_spread, stock_from, unpaid_hold, returns, timezone, breaker_share, breaker_least, breaker_window, max_price_change, night, drift_units, drift_share, drift_least)'),
		('operator', 'location', 'UPDATE (name, sellable, priority)'),
		('operator', 'sku', 'UPDATE (name, safety_stock, allow_backorder, solo_below)'),
		('operator', 'listing_found', 'UPDATE (sku, pack)'),
		('operator', 'listing', 'UPDATE (sku_id, pack, share, buffer, cap, enabled, price, price_floor, listed, at_zero)')
$$;
COMMENT ON FUNCTION storesync.role_tables() IS
'Rights on tables by the kind of role. Reporters and operators may also read every table and view but credential, app_credential and instance.';

CREATE FUNCTION storesync.take_rights(role regrole) RETURNS void
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	taken text;
BEGIN
	SELECT string_agg(format('REVOKE ALL ON %s FROM %s', x.what, take_rights.role), '; ') INTO taken FROM (
		SELECT format('%s %s', CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.oid::regclass) FROM pg_class c
		WHERE c.relnamespace IN ('storesync'::regnamespace, 'storesync_report'::regnamespace)
			AND (EXISTS (SELECT FROM aclexplode(c.relacl) a WHERE a.grantee = take_rights.role)
				OR EXISTS (SELECT FROM pg_attribute t, aclexplode(t.attacl) a WHERE t.attrelid = c.oid AND a.grantee = take_rights.role))
		UNION ALL
		SELECT format('ROUTINE %s', p.oid::regprocedure) FROM pg_proc p
		WHERE p.pronamespace IN ('storesync'::regnamespace, 'storesync_report'::regnamespace)
			AND EXISTS (SELECT FROM aclexplode(p.proacl) a WHERE a.grantee = take_rights.role)
		UNION ALL
		SELECT format('TYPE %s', t.oid::regtype) FROM pg_type t
		WHERE t.typnamespace IN ('storesync'::regnamespace, 'storesync_report'::regnamespace)
			AND EXISTS (SELECT FROM aclexplode(t.typacl) a WHERE a.grantee = take_rights.role)) AS x(what);
	IF taken IS NOT NULL THEN
		EXECUTE taken;
	END IF;
END
$$;
COMMENT ON FUNCTION storesync.take_rights(regrole) IS
'Takes back what was granted to a role on tables, sequences, routines and types; not on the schemas.';

CREATE FUNCTION storesync.role_begin(role name) RETURNS void
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- the word public, quoted or not, would stand for everybody
	IF NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = role_begin.role) THEN
		RAISE EXCEPTION 'role "%" does not exist', coalesce(role, 'null') USING ERRCODE = '42704';
	END IF;
	-- what is taken from the owner every function would lack, since they run as he does
	IF EXISTS (SELECT FROM pg_namespace n WHERE n.nspname IN ('storesync', 'storesync_report') AND pg_get_userbyid(n.nspowner) = role_begin.role) THEN
		RAISE EXCEPTION 'role "%" owns storesync', role
			USING ERRCODE = '22023', DETAIL = 'An owner has every right, and storesync works with his.';
	END IF;
	-- the audit waits for the beginning of a life of the data: not behind the lock, for which whoever began it may wait
	PERFORM storesync.current_incarnation();
	-- whoever makes partitions changes the same rows of pg_class, in another order; so does another grant_role()
	LOCK TABLE storesync.partitioned IN SHARE UPDATE EXCLUSIVE MODE;
END
$$;
COMMENT ON FUNCTION storesync.role_begin(name) IS
'Begins a change of what a role may do: it exists (42704), is not the owner (22023), and nobody else changes rights or makes partitions until the transaction ends.';

CREATE FUNCTION storesync.grant_role(role name, kind text) RETURNS void
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	grants text;
BEGIN
	IF kind IS NULL OR kind NOT IN ('operator', 'application', 'reporter') THEN
		RAISE EXCEPTION 'unknown kind of role: "%"', coalesce(kind, 'null')
			USING ERRCODE = '22023', HINT = 'Kinds are operator, application and reporter.';
	END IF;
	PERFORM storesync.role_begin(grant_role.role);
	PERFORM storesync.take_rights(quote_ident(role)::regrole);
	SELECT string_agg(format('GRANT %s TO %I', x.what, role), '; ') INTO STRICT grants FROM (
		SELECT 'USAGE ON SCHEMA storesync, storesync_report'
		UNION ALL
		SELECT format('USAGE ON TYPE %s', t.oid::regtype) FROM pg_type t
		WHERE t.typnamespace = 'storesync'::regnamespace AND t.typtype IN ('b', 'e') AND t.typcategory <> 'A'
		UNION ALL
		SELECT format('EXECUTE ON FUNCTION %s', f) FROM storesync.common_functions() f
		UNION ALL
		SELECT format('EXECUTE ON FUNCTION %s', f) FROM storesync.view_functions(grant_role.kind) f
		UNION ALL
		SELECT format('EXECUTE ON ROUTINE %s', p.oid::regprocedure)
		FROM storesync.role_functions() m
		JOIN pg_proc p ON p.pronamespace = 'storesync'::regnamespace AND p.proname = m.name
		WHERE m.kind = grant_role.kind OR grant_role.kind = 'operator'
		UNION ALL
		SELECT format('EXECUTE ON ROUTINE %s', p.oid::regprocedure) FROM pg_proc p
		WHERE grant_role.kind <> 'application' AND p.pronamespace = 'storesync_report'::regnamespace
		UNION ALL
		SELECT format('%s ON %sstoresync.%I', m.privilege, CASE c.relkind WHEN 'S' THEN 'SEQUENCE ' END, m.name)
		FROM storesync.role_tables() m
		JOIN pg_class c ON c.relnamespace = 'storesync'::regnamespace AND c.relname = m.name
		WHERE m.kind = grant_role.kind OR grant_role.kind = 'operator'
		UNION ALL
		SELECT format('SELECT ON %s', c.oid::regclass) FROM pg_class c
		WHERE grant_role.kind <> 'application' AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition
			AND c.relnamespace IN ('storesync'::regnamespace, 'storesync_report'::regnamespace)
			AND c.relname NOT IN ('credential', 'app_credential', 'instance')) AS x(what);
	EXECUTE grants;
	INSERT INTO storesync.audit (action, subject, after)
	VALUES ('grant role', concat('role ', role), jsonb_build_object('kind', kind));
END
$$;
COMMENT ON FUNCTION storesync.grant_role(name, text) IS
'Gives an existing role what one kind of user needs, and takes back what it had here before: a role is of the kind that was said last. application: moves stock, hands in orders, takes calls from the limits. reporter: reads everything but secrets. operator: both, and adds and changes catalogue, credentials and switches. For the owner of storesync or a superuser. Waits while partitions are made. Errors: 22023 unknown kind, or the owner himself, 42704 no such role (PUBLIC is none), 42501. Example: SELECT storesync.grant_role(''shop_backend'', ''application'');';

CREATE FUNCTION storesync.revoke_role(role name) RETURNS void
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM storesync.role_begin(revoke_role.role);
	PERFORM storesync.take_rights(quote_ident(role)::regrole);
	EXECUTE format('REVOKE ALL ON SCHEMA storesync, storesync_report FROM %I', role);
	-- as a grant of nothing: such rows are kept for good
	INSERT INTO storesync.audit (action, subject, after) VALUES ('grant role', concat('role ', role), '{"kind": null}');
END
$$;
COMMENT ON FUNCTION storesync.revoke_role(name) IS
'Takes back what grant_role() gave to a role, and whatever else it was granted here; what it has as a member of other roles it keeps, and a session that is open loses its rights with its next statement. For the owner of storesync or a superuser. Errors: 22023 the owner himself, 42704 no such role (PUBLIC is none), 42501. Example: SELECT storesync.revoke_role(''shop_backend'');';
