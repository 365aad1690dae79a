-- Rules that every object of the extension keeps. Each query lists what breaks one: no rows.

-- Everything that a user may meet says what it is for.
SELECT p.oid::regprocedure AS without_comment FROM pg_proc p
WHERE p.pronamespace IN ('storesync'::regnamespace, 'storesync_report'::regnamespace)
	AND obj_description(p.oid, 'pg_proc') IS NULL
	-- input, output and support functions of our own types are no API
	AND NOT EXISTS (SELECT FROM pg_type t WHERE p.oid IN (t.typinput, t.typoutput, t.typreceive, t.typsend))
	AND NOT EXISTS (SELECT FROM pg_operator o WHERE o.oprcode = p.oid)
	AND NOT EXISTS (SELECT FROM pg_amproc a WHERE a.amproc = p.oid)
	AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgfoid = p.oid)
	AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
ORDER BY 1;

SELECT c.oid::regclass AS without_comment FROM pg_class c
WHERE c.relnamespace IN ('storesync'::regnamespace, 'storesync_report'::regnamespace)
	AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition
	AND obj_description(c.oid, 'pg_class') IS NULL
ORDER BY 1;

SELECT t.oid::regtype AS without_comment FROM pg_type t
WHERE t.typnamespace = 'storesync'::regnamespace AND obj_description(t.oid, 'pg_type') IS NULL
	AND t.typelem = 0
	AND (t.typrelid = 0 OR (SELECT c.relkind FROM pg_class c WHERE c.oid = t.typrelid) = 'c')
ORDER BY 1;

-- Who lends his rights says where names are looked up.
SELECT p.oid::regprocedure AS search_path_not_pinned FROM pg_proc p
WHERE p.pronamespace IN ('storesync'::regnamespace, 'storesync_report'::regnamespace)
	AND p.prosecdef AND NOT coalesce(p.proconfig, '{}') @> ARRAY['search_path=pg_catalog, pg_temp']
ORDER BY 1;

-- Nor does a name in any other body mean something else to another caller: it is looked up in one place,
-- or was when the function was made. Procedures that commit cannot pin it, and qualify every name.
SELECT p.oid::regprocedure AS search_path_of_caller FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
WHERE p.pronamespace IN ('storesync'::regnamespace, 'storesync_report'::regnamespace)
	AND l.lanname <> 'c' AND p.prokind = 'f' AND p.prosqlbody IS NULL
	AND NOT coalesce(p.proconfig, '{}') @> ARRAY['search_path=pg_catalog, pg_temp']
ORDER BY 1;
-- Every member lies in our schemas, but the schemas.
SELECT pg_describe_object(d.classid, d.objid, 0) AS elsewhere FROM pg_depend d
JOIN pg_extension e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass
CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, 0) i
WHERE e.extname = 'storesync' AND d.deptype = 'e' AND i.type NOT IN ('schema', 'cast')
	AND coalesce(i.schema, substring(i.identity FROM 'storesync(?:_report)?\.')) NOT LIKE 'storesync%'
ORDER BY 1;

-- Stock, orders and budgets move in C, and nothing there is interpreted.
SELECT p.oid::regprocedure AS hot_but_not_c, l.lanname FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
WHERE p.pronamespace = 'storesync'::regnamespace AND l.lanname <> 'c'
	AND p.proname IN ('receive', 'reserve', 'release', 'ship', 'restock', 'adjust', 'transfer', 'available',
		'ingest_order', 'ingest_orders', 'rate_take', 'derive_key', 'new_key')
ORDER BY 1;
-- Only what an operator does by hand, and the triggers of the catalogue, may be interpreted.
SELECT p.oid::regprocedure AS interpreted FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
WHERE p.pronamespace = 'storesync'::regnamespace AND l.lanname = 'plpgsql' AND p.prokind <> 'p'
	AND p.proname NOT IN ('add_store', 'add_sku', 'add_location', 'add_listing', 'set_store_locations', 'set_bundle', 'check_bundle', 'set_paused',
		'confirm_instance', 'grant_role', 'revoke_role', 'role_begin', 'take_rights', 'settle_compensation', 'task_settled', 'requeue', 'discard', 'drop_detached', 'detached_is_needed', 'drop_consumed', 'maintain_ahead', 'maintain_detach', 'maintain_step', 'retire', 'retire_orders', 'retire_places', 'forget_old', 'check_text', 'refuse_change',
		'platform_check', 'platform_replace', 'listing_normalise', 'listing_moved', 'refuse_orphans', 'listing_mapped', 'store_hold',
		'resolve_stop', 'revise_stopped', 'stop_selling', 'start_selling',
		'store_timezone_check', 'listing_gone', 'store_gone', 'add_peak_window', 'drop_peak_window', 'drop_planned_offer', 'release_breaker', 'tell_siblings', 'note_authorization', 'backfill',
		'accept_matches', 'preview', 'go_live', 'remap_target', 'short_served',
		'undo', 'undo_lock', 'undo_set',
		'csv_judge', 'csv_begin', 'csv_open', 'csv_check', 'csv_write_sku', 'csv_write_listing', 'csv_write_price', 'csv_write_stock', 'csv_lock', 'csv_confirm',
		'verify_reason', 'verify_compare', 'verify_note', 'drift_look', 'decide_drift', 'confirm_drift', 'confirm_drifts', 'reject_drift',
		'compensate_replay', 'dispatcher_state', 'compensate_check', 'compensate_new', 'compensate_begin', 'compensate_ask',
		'compensate_watch', 'compensate_settle', 'compensate_step', 'roll_up_anew',
		'roll_up_stock_step', 'roll_up_stock_reset', 'roll_up_stock_anew', 'roll_up_pushed_step', 'search_lists', 'search_complete', 'search_absorb', 'search_forget', 'search_step')
ORDER BY 1;

-- Nothing is granted to everybody.
SELECT p.oid::regprocedure AS open_to_public FROM pg_proc p
CROSS JOIN LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
WHERE p.pronamespace IN ('storesync'::regnamespace, 'storesync_report'::regnamespace) AND a.grantee = 0
ORDER BY 1;
SELECT c.oid::regclass AS open_to_public FROM pg_class c
CROSS JOIN LATERAL aclexplode(c.relacl) a
WHERE c.relnamespace IN ('storesync'::regnamespace, 'storesync_report'::regnamespace) AND a.grantee = 0
ORDER BY 1;
SELECT t.oid::regtype AS open_to_public FROM pg_type t
CROSS JOIN LATERAL aclexplode(coalesce(t.typacl, acldefault('T', t.typowner))) a
WHERE t.typnamespace = 'storesync'::regnamespace AND a.grantee = 0 AND t.typelem = 0 AND t.typrelid = 0
ORDER BY 1;
SELECT n.nspname AS open_to_public FROM pg_namespace n
CROSS JOIN LATERAL aclexplode(n.nspacl) a
WHERE n.nspname IN ('storesync', 'storesync_report') AND a.grantee = 0
ORDER BY 1;

-- No partition belongs to the extension: its rows would be missing from every dump.
SELECT c.oid::regclass AS partition_is_member FROM pg_class c
JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
WHERE c.relispartition
ORDER BY 1;
-- Nor has a partitioned parent an index or a key: it would not restore.
SELECT i.indexrelid::regclass AS index_of_parent FROM pg_index i
JOIN pg_class c ON c.oid = i.indrelid
WHERE c.relkind = 'p' AND c.relnamespace = 'storesync'::regnamespace
ORDER BY 1;
-- Nor does a foreign key join two tables that are dumped: pg_restore -j loads them in any order.
SELECT c.conname AS foreign_key FROM pg_constraint c JOIN pg_extension e ON e.extname = 'storesync'
WHERE c.contype = 'f' AND c.conrelid = ANY (e.extconfig) AND c.confrelid = ANY (e.extconfig)
ORDER BY 1;
