-- The audit: whatever an operator may change is in it, and nobody changes it.
\set VERBOSITY terse
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
DROP ROLE IF EXISTS regress_audit_operator, regress_audit_reporter;
CREATE ROLE regress_audit_operator;
CREATE ROLE regress_audit_reporter;
SELECT storesync.grant_role('regress_audit_operator', 'operator'), storesync.grant_role('regress_audit_reporter', 'reporter');
RESET client_min_messages;

SELECT storesync.add_store('shopee', '1', 'one') AS store \gset
SELECT storesync.add_sku('TEA') AS tea, storesync.add_sku('CUP') AS cup, storesync.add_sku('SET') AS set \gset
SELECT storesync.add_listing(:store, 'TEA', '100') AS listing \gset

-- A value for each column that an operator may update, another than the one it has.
CREATE TEMP TABLE change (name text, field text, value text);
INSERT INTO change VALUES
	('platform', 'base_url', 'http://127.0.0.1:1'), ('platform', 'rate_limit', '7/s'), ('platform', 'max_quantity', '77'),
	('platform', 'returns_on_cancel', NULL), ('platform', 'order_overlap', '7 minutes'), ('platform', 'look_again', '{7 hours}'),
	('platform', 'returns_interval', '7 minutes'), ('platform', 'quota_reset', '07:00+08'), ('platform', 'quota_scope', 'store'),
	('platform', 'unpaid_hold', '7 days'), ('platform', 'sign_path_only', 'true'), ('platform', 'sign_base64', 'true'),
	('platform', 'short_weight', '7'), ('platform', 'ship_within', '7 days'),
	('store', 'name', 'seven'), ('store', 'mode', 'lower_only'), ('store', 'paused', 'true'), ('store', 'priority', '7'),
	('store', 'rate_limit', '7/s'), ('store', 'poll_interval', '7 seconds'), ('store', 'poll_spread', '7'),
	('store', 'stock_from', '2026-07-07 07:07+08'), ('store', 'unpaid_hold', '7 days'), ('store', 'returns', 'platform'),
	('store', 'timezone', 'Asia/Tokyo'), ('store', 'breaker_share', '0.7'), ('store', 'breaker_least', '7'),
	('store', 'breaker_window', '7 minutes'), ('store', 'max_price_change', '0.7'), ('store', 'night', '{01:07,07:07}'),
	('store', 'drift_units', '7'), ('store', 'drift_share', '0.7'), ('store', 'drift_least', '7'),
	('location', 'name', 'seven'), ('location', 'sellable', 'false'), ('location', 'priority', '7'),
	('sku', 'name', 'seven'), ('sku', 'safety_stock', '7'), ('sku', 'allow_backorder', 'true'), ('sku', 'solo_below', '7'),
	('listing', 'sku_id', :'cup'), ('listing', 'pack', '7'), ('listing', 'share', '0.7'), ('listing', 'buffer', '7'),
	('listing', 'cap', '7'), ('listing', 'enabled', 'false'), ('listing', 'price', '7'), ('listing', 'price_floor', '6'),
	('listing', 'listed', 'false'), ('listing', 'at_zero', 'unlist');
GRANT SELECT ON change TO regress_audit_operator;

-- None is left out. What was found in a shop is no catalogue: accept_matches() audits what is made of it.
SELECT m.name, f.field AS untried
FROM storesync.role_tables() m
CROSS JOIN LATERAL regexp_split_to_table(substring(m.privilege FROM '^UPDATE \((.*)\)$'), ', ') AS f(field)
WHERE m.kind = 'operator' AND m.name <> 'listing_found'
	AND NOT EXISTS (SELECT FROM change c WHERE c.name = m.name AND c.field = f.field)
ORDER BY 1, 2;

-- Each is one row, with the operator's login, of which the column has what it was and what it became.
CREATE FUNCTION pg_temp.unaudited(change) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	last bigint;
	one text := CASE $1.name WHEN 'platform' THEN 'platform = ''shopee''' ELSE format('%I = (SELECT min(%1$I) FROM storesync.%I)', $1.name || '_id', $1.name) END;
	wrote bigint;
	fits boolean;
BEGIN
	SELECT max(audit_id) INTO last FROM storesync.audit;
	EXECUTE format('UPDATE storesync.%I SET %I = %L WHERE %s', $1.name, $1.field, $1.value, one);
	SELECT count(*), bool_and(a.action = 'update' AND a.subject LIKE $1.name || ' %' AND a.before ? $1.field
		AND a.before -> $1.field IS DISTINCT FROM a.after -> $1.field AND a.login = session_user)
	INTO wrote, fits FROM storesync.audit a WHERE a.audit_id > last;
	RETURN CASE WHEN wrote <> 1 OR NOT fits THEN format('%s.%s: %s rows', $1.name, $1.field, wrote) END;
END
$$;
SET ROLE regress_audit_operator;
SELECT x.unaudited FROM (SELECT c.name, c.field, pg_temp.unaudited(c) FROM change c OFFSET 0) x WHERE x.unaudited IS NOT NULL ORDER BY 1;
RESET ROLE;
SELECT name, count(*) FROM change GROUP BY 1 ORDER BY 1;

-- What an operator does by a call is there by its name.
SELECT max(audit_id) AS last FROM storesync.audit \gset
SET ROLE regress_audit_operator;
SELECT storesync.add_location('north') > 0 AS made;
SELECT storesync.set_store_locations(:store, '{north}');
SELECT storesync.set_bundle('SET', '{"CUP": 2}');
SELECT storesync.stop_selling(sku => 'CUP', reason => 'recalled') > 0 AS stopped;
SELECT storesync.start_selling(sku => 'CUP') > 0 AS started;
SELECT storesync.resume(:store);
SELECT storesync.set_credential(:store, 'access_token', 'Marker-7');
SELECT storesync.set_app_credential('shopee', 'partner_id', '7');
SELECT storesync.set_price(:listing, 8, storesync.new_key()) > 0 AS priced;
RESET ROLE;
SELECT action, split_part(subject, ' ', 1) AS of, before IS NOT NULL AS before, after IS NOT NULL AS after
FROM storesync.audit WHERE audit_id > :last ORDER BY audit_id;
SELECT count(*) AS leaks FROM storesync.audit a WHERE a::text LIKE '%Marker-7%';

-- Each function that an operator may call and that may write: with a call, which writes an audit row under his login, or with
-- the reason why there is none. One that is in neither list is printed.
CREATE TEMP TABLE pass (place int GENERATED ALWAYS AS IDENTITY, name text, call text, reason text);
INSERT INTO pass (name, reason) SELECT x.name, 'the ledger has it' FROM unnest('{receive,reserve,release,ship,restock,adjust,transfer,receive_return,release_expired}'::text[]) x (name);
INSERT INTO pass (name, reason) SELECT x.name, 'the history of orders has it' FROM unnest('{ingest_order,ingest_orders,take_up_parked}'::text[]) x (name);
INSERT INTO pass (name, reason) SELECT x.name, 'a platform told it' FROM unnest('{ingest_push,ingest_visits}'::text[]) x (name);
INSERT INTO pass (name, reason) SELECT x.name, 'a task, with its own events' FROM unnest('{backfill}'::text[]) x (name);
INSERT INTO pass (name, reason) SELECT x.name, 'a budget of calls' FROM unnest('{rate_take,rate_hold,rate_succeeded,rate_quota,rate_room,rate_forget}'::text[]) x (name);
INSERT INTO pass (name, reason) SELECT x.name, 'the cache' FROM unnest('{cache_lock,cache_unlock,session_put,session_get,session_drop}'::text[]) x (name);
INSERT INTO pass (name, reason) SELECT x.name, 'the certificate has it' FROM unnest('{compensate,compensate_begin,compensate_night,compensate_step}'::text[]) x (name);
INSERT INTO pass (name, reason) SELECT x.name, 'upkeep, changes no fact'
FROM unnest('{consumer_drop,consumer_move,consumer_register,drop_consumed,ensure_partitions,maintain,maintain_ahead,maintain_step,olap_fill,prune_job_runs,roll_up,roll_up_pushed_step,roll_up_step,roll_up_stock_step,search_refresh,search_step}'::text[]) x (name);
INSERT INTO pass (name, reason) SELECT x.name, 'only looks' FROM unnest('{current_incarnation,missing_partitions,next_expiry,preview,rotation}'::text[]) x (name);
INSERT INTO pass (name, reason) SELECT x.name, 'staged, nothing is changed before csv_confirm()' FROM unnest('{csv_load,csv_check,csv_discard}'::text[]) x (name);
INSERT INTO pass (name, reason) SELECT x.name, 'a part of undo()' FROM unnest('{undo_lock,undo_set}'::text[]) x (name);
INSERT INTO pass (name, reason) VALUES
	('authorization_url', 'makes an address; what comes of it is audited by authorize_store()'),
	('authorize_store', 'a code, audited as a credential and when it is exchanged: 040_token'),
	('remap_listing', 'remap_step(), which it calls'), ('remap_step', 'regress/sql/remap.sql'),
	('accept_matches', 'regress/sql/onboarding.sql'), ('csv_confirm', 'regress/sql/csv.sql'), ('undo', 'regress/sql/undo.sql'), ('undo_note', 'regress/sql/undo.sql'),
	('schedule_jobs', 'needs pg_cron: 081_job'), ('unschedule_jobs', 'needs pg_cron: 081_job');
SELECT storesync.add_store('pchome', '2', 'two') AS two, storesync.add_sku('POT') AS pot \gset
UPDATE storesync.listing SET price = 100, price_floor = NULL, listed = true, sku_id = :tea WHERE listing_id = :listing;
UPDATE storesync.location SET sellable = true;
SELECT outcome FROM storesync.receive('TEA', 50, storesync.new_key());
SELECT storesync.ingest_order(:store, jsonb_build_object('order_sn', 's1', 'status', 'ready_to_ship', 'create_time', now(), 'fetched_at', now(),
	'lines', '[{"line_id": "1", "sku": "POT", "qty": 4}]'::jsonb)) IS NOT NULL AS short;
INSERT INTO storesync.breaker (store_id, changes, listings) VALUES (:store, 9, 9);
SELECT storesync.add_listing(:two, 'TEA', '900') AS other \gset
INSERT INTO storesync.listing_shown (listing_id, acked_qty, acked_version, acked_incarnation, sent_at, written_at)
	VALUES (:other, 1, 0, storesync.current_incarnation(), now(), now());
INSERT INTO storesync.certificate (certificate_id, started_at) VALUES (1, now());
INSERT INTO storesync.drift (drift_id, certificate_id, store_id, listing_id, expected, shown, read_at, state)
	SELECT n, 1, :store, :listing, 5, 50, now(), 'proposed' FROM generate_series(1, 3) n;
INSERT INTO storesync.compensation (compensation_id, store_id, listing_id, call, class) VALUES (1, :store, :listing, 'push_stock', 'permanent'), (2, :store, :listing, 'push_stock', 'permanent');
UPDATE storesync.listing SET held = 'declined' WHERE listing_id = :listing;
-- what can go live: a listing that was read, of a SKU that was counted
SELECT storesync.add_listing(:two, 'TEA', '200') AS of_two \gset
INSERT INTO storesync.listing_shown VALUES (:of_two, 0, 0, storesync.current_incarnation(), now(), now());
INSERT INTO pass (name, call) VALUES
	('add_location', $$SELECT storesync.add_location('west')$$), ('add_sku', $$SELECT storesync.add_sku('PAN')$$),
	('add_store', $$SELECT storesync.add_store('ruten', '3', 'three')$$), ('add_listing', $$SELECT storesync.add_listing(:store, 'CUP', '101')$$),
	('set_store_locations', $$SELECT storesync.set_store_locations(:store, '{main}')$$), ('set_bundle', $$SELECT storesync.set_bundle('PAN', '{"CUP": 2}')$$),
	('set_credential', $$SELECT storesync.set_credential(:store, 'refresh_token', 'Marker-7')$$),
	('set_app_credential', $$SELECT storesync.set_app_credential('shopee', 'partner_key', 'Marker-7')$$),
	('note_authorization', $$SELECT storesync.note_authorization(:store, now() + '1 year')$$),
	('confirm_instance', $$SELECT storesync.confirm_instance('regress')$$),
	('pause', $$SELECT storesync.pause(:store)$$), ('resume', $$SELECT storesync.resume(:store)$$),
	('stop_selling', $$SELECT storesync.stop_selling(:store, reason => 'tried')$$), ('start_selling', $$SELECT storesync.start_selling(:store)$$),
	('release_hold', $$SELECT storesync.release_hold(:listing)$$), ('release_breaker', $$SELECT storesync.release_breaker(:store)$$),
	('go_live', $$SELECT storesync.go_live(:two)$$),
	('allot', $$SELECT storesync.allot(:listing, 2, storesync.new_key())$$),
	('reserve_seen', $$SELECT storesync.reserve_seen(:listing, 3, now())$$), ('reserves_seen', $$SELECT storesync.reserves_seen(ARRAY[:listing], ARRAY[4], now() + interval '1 second')$$),
	('set_price', $$SELECT storesync.set_price(:listing, 110, storesync.new_key())$$),
	('set_price', $$SELECT storesync.set_price(:listing, 120, storesync.new_key(), not_before => now() + '1 day')$$),
	('enqueue', $$SELECT storesync.enqueue(:store, 'unlist', '{"listing": :listing}')$$),
	('enqueue', $$SELECT storesync.enqueue(:store, 'list', '{"listing": :listing}', not_before => now() + '1 day')$$),
	('drop_planned_offer', $$SELECT storesync.drop_planned_offer(min(planned_offer_id)) FROM storesync.planned_offer WHERE action = 'price'$$),
	('add_peak_window', $$SELECT storesync.add_peak_window('2100-01-01', '2100-01-02', :store)$$),
	('drop_peak_window', $$SELECT storesync.drop_peak_window(min(peak_window_id)) FROM storesync.peak_window$$),
	('settle_short', $$SELECT * FROM storesync.settle_short(:store, 's1', '1', 'wait', storesync.new_key(), until => now() + '1 day')$$),
	('requeue', $$SELECT storesync.requeue(1)$$), ('discard', $$SELECT storesync.discard(2, 'tried')$$),
	('confirm_drift', $$SELECT storesync.confirm_drift(1)$$), ('reject_drift', $$SELECT storesync.reject_drift(2, 'tried')$$),
	('confirm_drifts', $$SELECT storesync.confirm_drifts(:store)$$);
UPDATE pass SET call = replace(replace(replace(call, ':store', :'store'), ':listing', :'listing'), ':two', :'two');
GRANT SELECT ON pass TO regress_audit_operator;
SELECT DISTINCT p.proname AS untried
FROM pg_proc p JOIN storesync.role_functions() m ON m.name = p.proname AND m.kind IN ('operator', 'application')
WHERE p.pronamespace = 'storesync'::regnamespace AND p.provolatile = 'v' AND NOT EXISTS (SELECT FROM pass x WHERE x.name = p.proname)
ORDER BY 1;
SELECT x.name AS gone FROM pass x WHERE NOT EXISTS (SELECT FROM storesync.role_functions() m WHERE m.name = x.name) ORDER BY 1;
CREATE FUNCTION pg_temp.silent(pass) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	last bigint;
	wrote bigint;
BEGIN
	SELECT max(a.audit_id) INTO last FROM storesync.audit a;
	EXECUTE $1.call;
	SELECT count(*) INTO wrote FROM storesync.audit a WHERE a.audit_id > last AND a.login = session_user AND a.transaction = pg_current_xact_id();
	RETURN CASE WHEN wrote = 0 THEN $1.call END;
END
$$;
SET ROLE regress_audit_operator;
SELECT x.silent FROM (SELECT pg_temp.silent(p) FROM pass p WHERE p.call IS NOT NULL ORDER BY p.place OFFSET 0) x WHERE x.silent IS NOT NULL;
RESET ROLE;
SELECT DISTINCT a.action FROM storesync.audit a WHERE a.audit_id > :last ORDER BY 1;

-- Who changed this price, and from what?
SELECT a.before ->> 'price' AS before, a.after ->> 'price' AS after
FROM storesync.audit a WHERE a.action = 'update' AND a.subject = 'listing ' || :listing AND a.after ? 'price' ORDER BY a.audit_id;

-- Operator and reporter read it; neither writes to it, nor does its owner take anything away.
SET ROLE regress_audit_reporter;
SELECT count(*) > 0 AS readable FROM storesync.audit;
DELETE FROM storesync.audit;
INSERT INTO storesync.audit (action, subject) VALUES ('a', 'b');
SET ROLE regress_audit_operator;
SELECT count(*) > 0 AS readable FROM storesync.audit;
UPDATE storesync.audit SET login = 'nobody';
DELETE FROM storesync.audit;
INSERT INTO storesync.audit (action, subject) VALUES ('a', 'b');
RESET ROLE;
UPDATE storesync.audit SET login = 'nobody';
DELETE FROM storesync.audit;
TRUNCATE storesync.audit;

SELECT * FROM storesync.check_invariants();
DROP OWNED BY regress_audit_operator, regress_audit_reporter;
DROP ROLE regress_audit_operator, regress_audit_reporter;
