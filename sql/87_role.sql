-- Who may do what. Rights are given by grant_role() alone; nothing is granted to PUBLIC.

-- A view checks functions with the rights of who reads it, and an operator checks its function.
CREATE FUNCTION storesync.common_functions() RETURNS SETOF regprocedure
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT p.oid::regprocedure
	FROM pg_proc p
	WHERE p.pronamespace = 'storesync'::regnamespace
		AND (EXISTS (SELECT FROM pg_operator o WHERE o.oprcode = p.oid)
			OR EXISTS (SELECT FROM pg_depend d
				WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_proc'::regclass AND d.refobjid = p.oid)
			OR p.proname IN ('derive_key', 'new_key', 'key_time', 'available', 'balance_at', 'explain', 'health', 'task_state'))
$$;
COMMENT ON FUNCTION storesync.common_functions() IS
'Functions that every kind of role may call: those behind operators and views, and those that only look.';

CREATE FUNCTION storesync.role_functions() RETURNS TABLE(kind text, name text)
	LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT m.kind, unnest(m.names) FROM (VALUES
		('application', ARRAY['receive', 'reserve', 'release', 'ship', 'restock', 'adjust', 'transfer', 'receive_return',
			'ingest_order', 'ingest_orders', 'ingest_push', 'rate_take', 'rate_hold', 'rate_succeeded', 'rate_quota', 'enqueue', 'current_incarnation']),
		('operator', ARRAY['add_store', 'add_sku', 'add_location', 'add_listing', 'set_store_locations', 'set_bundle', 'set_credential', 'set_app_credential',
			'authorization_url', 'authorize_store', 'note_authorization',
			'missing_credentials', 'pause', 'resume', 'stop_selling', 'start_selling', 'allot', 'set_price', 'reserve_seen', 'reserves_seen', 'release_hold', 'release_breaker', 'match_listings', 'accept_matches', 'preview', 'go_live', 'go_live_missing', 'requeue', 'discard', 'add_peak_window', 'drop_peak_window',
			'confirm_instance', 'instance_confirmed', 'is_copy', 'sending_allowed', 'rate_room', 'rate_forget', 'backfill', 'check_invariants',
			'ensure_partitions', 'missing_partitions', 'consumer_register', 'consumer_move', 'consumer_drop', 'rotation', 'drop_consumed', 'maintain', 'maintain_ahead', 'maintain_step', 'take_up_parked', 'release_expired', 'next_expiry'])) AS m(kind, names)
$$;
COMMENT ON FUNCTION storesync.role_functions() IS
'Functions by the kind of role that may call them; an operator may also call an application''s.';

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
		('application', 'outbox', 'INSERT (subject, kind, version, payload)'),
		('operator', 'platform', 'UPDATE (base_url, rate_limit, max_quantity, returns_on_cancel, order_overlap, look_again, returns_interval, quota_reset, quota_scope, unpaid_hold, sign_path_only, sign_base64)'),
		('operator', 'store', 'UPDATE (name, mode, paused, priority, rate_limit, poll_interval, poll_spread, stock_from, unpaid_hold, returns, timezone, breaker_share, breaker_least, breaker_window, max_price_change)'),
		('operator', 'location', 'UPDATE (name, sellable, priority)'),
		('operator', 'sku', 'UPDATE (name, safety_stock, allow_backorder, solo_below)'),
		('operator', 'listing_found', 'UPDATE (sku, pack)'),
		('operator', 'listing', 'UPDATE (sku_id, pack, share, buffer, cap, enabled, price, price_floor, listed, at_zero)')
$$;
COMMENT ON FUNCTION storesync.role_tables() IS
'Rights on tables by the kind of role. Reporters and operators may also read every table and view but credential, app_credential and instance.';

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
	SELECT string_agg(format('GRANT %s TO %I', x.what, role), '; ') INTO STRICT grants FROM (
		SELECT 'USAGE ON SCHEMA storesync, storesync_report'
		UNION ALL
		SELECT format('USAGE ON TYPE %s', t.oid::regtype) FROM pg_type t
		WHERE t.typnamespace = 'storesync'::regnamespace AND t.typtype IN ('b', 'e') AND t.typcategory <> 'A'
		UNION ALL
		SELECT format('EXECUTE ON FUNCTION %s', f) FROM storesync.common_functions() f
		UNION ALL
		SELECT format('EXECUTE ON ROUTINE %s', p.oid::regprocedure)
		FROM storesync.role_functions() m
		JOIN pg_proc p ON p.pronamespace = 'storesync'::regnamespace AND p.proname = m.name
		WHERE m.kind = grant_role.kind OR grant_role.kind = 'operator'
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
'Gives an existing role what one kind of user needs. application: moves stock, hands in orders, takes calls from the limits. reporter: reads everything but secrets. operator: both, and adds and changes catalogue, credentials and switches. For the owner of storesync or a superuser. Errors: 22023 unknown kind, 42704 no such role, 42501. Example: SELECT storesync.grant_role(''shop_backend'', ''application'');';
