-- The list of what waits for people: its kinds, its texts, and each call run as it stands there, by an operator.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET datestyle = 'ISO';
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
SELECT storesync.ensure_partitions() > 0 AS made;
CREATE ROLE regress_work;
SELECT storesync.grant_role('regress_work', 'operator');

-- Every kind that the views have is told in work_kind, and no other.
WITH viewed AS (
	SELECT m[1] AS kind FROM unnest(ARRAY['work_order', 'work_stock', 'work_listing', 'work_store']) v,
		regexp_matches(pg_get_viewdef(('storesync.' || v)::regclass), '(?:^|UNION ALL)\s+(?:WITH .*?\)\s+)?SELECT ''([a-z ]+)''::text AS kind', 'g') m)
SELECT count(*) AS kinds, count(DISTINCT k.place) AS places, max(k.place) AS last,
	(SELECT string_agg(v.kind, ', ') FROM viewed v WHERE v.kind NOT IN (SELECT x.kind FROM storesync.work_kind x)) AS untold,
	string_agg(k.kind, ', ') FILTER (WHERE k.kind NOT IN (SELECT v.kind FROM viewed v)) AS unviewed
FROM storesync.work_kind k;
SELECT count(*) AS of_nothing FROM storesync.work_list;

SELECT storesync.add_store('ruten', '1', '一號店') AS one \gset
SELECT storesync.add_store('pchome', '2', 'Two') AS two \gset
UPDATE storesync.store SET mode = 'live';
\set evil 'O''Brien "x"; \\'
SELECT count(storesync.add_sku(code)) FROM unnest(ARRAY[:'evil', 'TEA', 'CUP', 'SET', '茶']) code;
SELECT storesync.set_bundle('SET', '{"CUP": 1}');
SELECT count(storesync.add_location(code)) FROM unnest(ARRAY['north', 'it''s \south']) code;
SELECT count(storesync.set_store_locations(s, ARRAY['main'])) FROM unnest(ARRAY[:one, :two]) s;
CREATE FUNCTION pg_temp.put(store int, sn text, status text, lines jsonb) RETURNS text LANGUAGE SQL
	AS $$ SELECT r.outcome FROM storesync.ingest_order(store, jsonb_build_object('order_sn', sn, 'status', status,
		'create_time', now() - '1 hour'::interval, 'update_time', clock_timestamp(), 'lines', lines)) r $$;

-- The call of each row of a kind, run by an operator, and whether the row is gone.
\set ask 'SELECT rank, store_id, subject, replace(what, session_user, ''<login>'') AS what, call FROM storesync.work_list WHERE kind = :''kind'' ORDER BY rank;'
\set calls 'SELECT call FROM storesync.work_list WHERE kind = :''kind'' ORDER BY rank'

-- Stores that cannot be called
\set kind credential
:ask
:calls \gexec

-- Lines that name what nobody knows: an item, an item by a known code, a code that is new, neither
SELECT pg_temp.put(:one, 'P''1', 'ready_to_ship', jsonb_build_array(
	jsonb_build_object('line_id', '1', 'item_id', 'it''em', 'model_id', 'm\1', 'sku', :'evil', 'qty', 2),
	jsonb_build_object('line_id', '2', 'item_id', '7', 'sku', 'NEW''1', 'qty', 1),
	jsonb_build_object('line_id', '3', 'sku', 'NEW\2', 'qty', 1),
	jsonb_build_object('line_id', '4', 'item_id', E'x\n; SELECT ''run'' AS it; --', 'qty', 1),
	jsonb_build_object('line_id', '5', 'qty', 1))), pg_temp.put(:one, 'P2', 'ready_to_ship', '[{"line_id":"1","item_id":"7","qty":3}]');
\set kind parked
:ask
SET ROLE regress_work;
:calls \gexec
RESET ROLE;
:ask
SELECT k.code, l.item_id, l.model_id FROM storesync.listing l JOIN storesync.sku k USING (sku_id) ORDER BY l.listing_id;
SELECT pg_temp.put(:one, 'P''1', 'cancelled', jsonb_build_array(
	jsonb_build_object('line_id', '4', 'item_id', E'x\n; SELECT ''run'' AS it; --', 'qty', 1), jsonb_build_object('line_id', '5', 'qty', 1)));
:ask

-- Short: what is unpaid waits, another place is drawn on, a buyer who cancels is answered at the platform
SELECT count(storesync.settle_short(:one, o.order_sn, l.line_id, 'wait', storesync.new_key(), until => now() + '1 day'))
FROM storesync.sales_order_line l JOIN storesync.sales_order o USING (order_id) WHERE l.short > 0 AND l.status = 'ready_to_ship';
SELECT pg_temp.put(:one, 'S''1', 'unpaid', jsonb_build_array(jsonb_build_object('line_id', 'l\1', 'sku', 'TEA', 'qty', 1))),
	pg_temp.put(:one, 'S2', 'ready_to_ship', jsonb_build_array(jsonb_build_object('line_id', '1', 'sku', :'evil', 'qty', 2))),
	pg_temp.put(:one, 'S3', 'in_cancel', jsonb_build_array(jsonb_build_object('line_id', '1', 'sku', 'TEA', 'qty', 1)));
SELECT (storesync.receive(:'evil', 2, storesync.new_key(), 'it''s \south')).outcome;
\set kind short
:ask
SET ROLE regress_work;
:calls \gexec
RESET ROLE;
:ask
SELECT pg_temp.put(:one, 'S3', 'cancelled', jsonb_build_array(jsonb_build_object('line_id', '1', 'sku', 'TEA', 'qty', 1)));
:ask

-- Returns, to where the goods came from
SELECT (storesync.receive('CUP', 5, storesync.new_key(), 'north')).outcome, storesync.set_store_locations(:two, ARRAY['north']);
SELECT pg_temp.put(:two, 'R''1', s, jsonb_build_array(jsonb_build_object('line_id', '1', 'sku', 'CUP', 'qty', 2))) FROM unnest(ARRAY['shipped', 'cancelled']) s;
\set kind return
:ask
SET ROLE regress_work;
:calls \gexec
RESET ROLE;
:ask

-- Held, and stopped in every way
SELECT storesync.add_listing(:two, 'CUP', 'C1') AS cup \gset
SELECT storesync.add_listing(:two, 'SET', 'C2') AS bundle \gset
UPDATE storesync.listing SET held = 'declined order R''1' WHERE listing_id = :cup;
\set kind held
:ask
SET ROLE regress_work;
:calls \gexec
RESET ROLE;
:ask
SELECT storesync.stop_selling(sku => :'evil', reason => 'recalled; "why"'), storesync.stop_selling(:two, reason => 'fire'), storesync.stop_selling(:two, '茶', 'old');
\set kind stopped
:ask
SET ROLE regress_work;
:calls \gexec
RESET ROLE;
:ask
SELECT storesync.stop_selling(reason => 'all of it') > 0 AS stopped;
:ask
SELECT storesync.start_selling() > 0 AS started;

-- Set aside by hand, and nothing to set aside from; locked by promotions
SELECT a.outcome FROM storesync.allot(:cup, 4, storesync.new_key(), now() + '1 day') a;
SELECT s.outcome FROM storesync.adjust('CUP', 1, storesync.new_key(), 'north') s;
\set kind allotment
SELECT store_id, subject, what, regexp_replace(call, '''\d.*''', '<until>') AS call FROM storesync.work_list WHERE kind = 'allotment';
SET ROLE regress_work;
SELECT call FROM storesync.work_list WHERE kind = 'allotment' \gset
:call
RESET ROLE;
:ask
SELECT storesync.reserve_seen(:cup, 3, now()), storesync.reserve_seen(:bundle, 2, now());
\set kind locked
:ask
:calls \gexec
SELECT storesync.reserve_seen(:cup, 0, clock_timestamp()), storesync.reserve_seen(:bundle, 0, clock_timestamp());
:ask

-- Prices below their floor
SELECT storesync.set_price(:cup, 100, storesync.new_key()) > 0 AS priced;
UPDATE storesync.listing SET price_floor = 120.50 WHERE listing_id = :cup;
\set kind price
:ask
SET ROLE regress_work;
SELECT replace(call, 'SELECT', 'SELECT 0 <') AS call FROM storesync.work_list WHERE kind = 'price' \gset
:call
RESET ROLE;
:ask

-- Work that was given up, in words of a platform
INSERT INTO storesync.compensation (store_id, listing_id, call, class, version, reason)
VALUES (:two, :cup, 'push_stock', 'permanent', 1, E'it''s "closed"\n; \\'), (:two, NULL, 'fetch_orders', 'in_doubt', NULL, NULL);
\set kind dead
:ask
SET ROLE regress_work;
SELECT call FROM storesync.work_list WHERE kind = 'dead' AND subject LIKE 'push_stock%' \gexec
RESET ROLE;
:ask
SELECT storesync.discard(compensation_id, 'a test') FROM storesync.compensation WHERE settled_at IS NULL;

-- Drift, what could not be read, what was never compared, what is in doubt
INSERT INTO storesync.drift (certificate_id, store_id, listing_id, expected, shown, read_at, state) VALUES (1, :two, :cup, 5, 40, now(), 'proposed');
INSERT INTO storesync.verification (listing_id, incarnation, certificate_id, failed_at, failure)
VALUES (:bundle, storesync.current_incarnation(), 1, now(), 'the item does not exist');
INSERT INTO storesync.listing_shown (listing_id, acked_qty, acked_version, acked_incarnation, sent_at, written_at, doubt_qty)
VALUES (:cup, 5, 1, storesync.current_incarnation(), now(), now(), 9);
UPDATE storesync.listing SET created_at = now() - '2 days'::interval WHERE listing_id = :cup;
SELECT kind, rank, store_id, subject, what, call FROM storesync.work_list WHERE kind IN ('drift', 'unread', 'unverified', 'in doubt') ORDER BY 1, 2;
SET ROLE regress_work;
SELECT call FROM storesync.work_list WHERE kind IN ('drift', 'unread') ORDER BY kind \gexec
RESET ROLE;
SELECT kind, subject FROM storesync.work_list WHERE kind IN ('drift', 'unread', 'unverified', 'in doubt') ORDER BY 1, 2;

-- Switches
SELECT storesync.pause(:one);
UPDATE storesync.store SET mode = 'lower_only' WHERE store_id = :two;
\set kind store
:ask
SELECT store_id, since IS NOT NULL AS told FROM storesync.work_list WHERE kind = 'store' ORDER BY 1;
SET ROLE regress_work;
SELECT call FROM storesync.work_list WHERE kind = 'store' AND store_id = :one \gexec
RESET ROLE;
:ask

-- Tokens: a refresh is asked for, a refused one needs the shop's owner
SELECT storesync.add_store('shopee', '3', 'Three') AS three \gset
SELECT storesync.set_credential(:three, 'access_token', 'a'), storesync.set_credential(:three, 'refresh_token', 'r');
UPDATE storesync.credential SET set_at = now() - '26 days 1 hour'::interval WHERE name = 'refresh_token';
SELECT store_id, regexp_replace(what, '\d{4}-\S+ \S+', '<time>') AS what, call FROM storesync.work_list WHERE kind = 'token';
UPDATE storesync.token SET refused_at = now(), reason = 'spent';
SELECT store_id, call FROM storesync.work_list WHERE kind = 'token';

-- The first of all kinds, the most urgent first, for whoever may call; a limit on everything
SELECT array_agg(w.kind ORDER BY w.n) = array_agg(w.kind ORDER BY k.place, w.rank) AS in_order, count(DISTINCT w.kind) > 3 AS several
FROM storesync.work() WITH ORDINALITY AS w (kind, rank, store_id, subject, since, what, call, n) JOIN storesync.work_kind k ON k.kind = w.kind;
SELECT count(*) FROM storesync.work(2);
SELECT count(*) FROM storesync.work(0);
SELECT count(*) FROM storesync.work(-5);
SELECT DISTINCT kind FROM storesync.work(NULL, kind => 'token');
SELECT count(*) FROM storesync.work(kind => 'none');
SELECT bool_and(store_id = :three) AS its_own FROM storesync.work(store => :three);
SELECT pg_temp.put(:one, 'M' || n, 'ready_to_ship', jsonb_build_array(jsonb_build_object('line_id', '1', 'item_id', 'i' || n, 'qty', 1))) AS outcome, count(*)
FROM generate_series(1, 1010) n GROUP BY 1;
SELECT count(*) FROM storesync.work(1000000);
SELECT count(*) FROM storesync.work(1000000, kind => 'parked');

-- Who may see it
CREATE ROLE regress_work_seer;
SELECT storesync.grant_role('regress_work_seer', 'reporter');
SET ROLE regress_work_seer;
SELECT count(*) > 1000 AS seen FROM storesync.work_list;
RESET ROLE;
SELECT storesync.grant_role('regress_work_seer', 'application');
SET ROLE regress_work_seer;
SELECT count(*) FROM storesync.work(3);
SELECT count(*) FROM storesync.work_list;
RESET ROLE;
SELECT storesync.work_by_hand(E' a\r\nb\u2028c\td ');
SELECT DISTINCT invariant FROM storesync.check_invariants();
DROP OWNED BY regress_work, regress_work_seer;
DROP ROLE regress_work, regress_work_seer;
