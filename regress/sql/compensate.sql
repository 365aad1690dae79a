-- compensate(): nights, what a reading means, what becomes of differences, and which work is tried again.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET jit = off;
SET timezone = 'UTC';
SELECT storesync.ensure_partitions() > 0 AS made;
CREATE FUNCTION key(text) RETURNS storesync.idempotency_key LANGUAGE sql AS $$ SELECT storesync.derive_key(now(), $1) $$;
SELECT storesync.add_store('shopee', '1', 'First', '5/s, 120/min') AS first \gset
SELECT storesync.add_store('ruten', '2', 'Second', '10/s burst 3') AS second \gset

-- ---------------------------------------------------------------- nights

CREATE VIEW nights AS
SELECT x.at AT TIME ZONE 'UTC' AS at, n.starts_at, n.ends_at, n.starts_at <= x.at AS is_night
FROM unnest(ARRAY['2026-01-10 12:00+00', '2026-01-10 17:59:59+00', '2026-01-10 18:00+00', '2026-01-10 22:00+00']::timestamptz[]) x(at),
	storesync.night_of(1, x.at) n;
SELECT * FROM nights;
UPDATE storesync.store SET night = '{22:00,04:00}' WHERE store_id = :first;
SELECT * FROM nights;
-- The clocks of Berlin go forward on 29 March at 2 and back on 25 October at 3.
UPDATE storesync.store SET night = '{02:00,06:00}', timezone = 'Europe/Berlin' WHERE store_id = :first;
SELECT n.*, n.ends_at - n.starts_at AS lasts
FROM unnest(ARRAY['2026-03-28 00:00+01', '2026-03-29 00:00+01', '2026-10-24 00:00+02', '2026-10-25 00:00+02', '2026-10-26 00:00+01']::timestamptz[]) x(at),
	storesync.night_of(1, x.at) n;
UPDATE storesync.store SET night = '{02:00,03:00}' WHERE store_id = :first;
SELECT n.* FROM storesync.night_of(:first, '2026-03-29 00:00+01') n;
UPDATE storesync.store SET night = '{00:00,24:00}', timezone = 'Asia/Taipei' WHERE store_id = :first;
SELECT n.* FROM storesync.night_of(:first, '2026-03-29 00:00+08') n;
SELECT * FROM storesync.night_of(99);
UPDATE storesync.store SET night = '{02:00,02:00}' WHERE store_id = :first;
UPDATE storesync.store SET night = '{02:00}' WHERE store_id = :first;
UPDATE storesync.store SET night = '{02:00,NULL}' WHERE store_id = :first;

-- ---------------------------------------------------------------- what a reading means

SELECT storesync.rate_per_second('5/s, 120/min') AS a, storesync.rate_per_second('1/ms') AS b, storesync.rate_per_second('86400/day burst 9') AS c;
SELECT storesync.read_batch('shopee') AS shopee, storesync.read_batch('pchome') AS pchome, storesync.read_batch('ruten') AS ruten, storesync.read_batch('none') AS none;
UPDATE storesync.sku SET solo_below = 0;
SELECT count(storesync.add_sku('TEA-' || n)) FROM generate_series(1, 12) n;
SELECT outcome, count(*) FROM generate_series(1, 12) n, storesync.receive('TEA-' || n, 100, key('open ' || n)) GROUP BY 1;
SELECT count(storesync.add_listing(:first, 'TEA-' || n, n::text)) FROM generate_series(1, 12) n;
UPDATE storesync.store SET mode = 'live';
-- all of them show 100 since an hour ago
CREATE FUNCTION acknowledge() RETURNS void LANGUAGE sql AS $$
	INSERT INTO storesync.listing_shown (listing_id, acked_qty, acked_version, acked_incarnation, sent_at, written_at, acked_revision)
	SELECT t.listing_id, 100, t.version, storesync.current_incarnation(), now() - interval '1 hour', now() - interval '1 hour', l.revision
	FROM storesync.listing_target t JOIN storesync.listing l USING (listing_id)
	ON CONFLICT (listing_id) DO UPDATE SET acked_qty = excluded.acked_qty, acked_version = excluded.acked_version, sending_qty = NULL, doubt_qty = NULL,
		sent_at = excluded.sent_at, written_at = excluded.written_at, acked_revision = excluded.acked_revision, acked_incarnation = excluded.acked_incarnation
$$;
SELECT acknowledge();
-- orders of 10: of TEA-2 long before the reading, of TEA-3 as it was made, of TEA-4 afterwards
SELECT r.order_sn, r.outcome FROM storesync.ingest_orders(:first, (
	SELECT jsonb_agg(jsonb_build_object('order_sn', 'O' || n, 'status', 'ready_to_ship', 'create_time', extract(epoch FROM now() + x.after)::bigint,
		'update_time', extract(epoch FROM now() + x.after)::bigint, 'lines', jsonb_build_array(jsonb_build_object('line_id', '1', 'item_id', n::text, 'qty', 10))))
	FROM (VALUES (2, interval '-30 minutes'), (3, interval '-10 minutes'), (4, interval '-1 minute')) x(n, after))) r;
UPDATE storesync.listing_shown w SET sending_qty = 50 FROM storesync.listing l WHERE l.listing_id = w.listing_id AND l.item_id = '5';
UPDATE storesync.listing_shown w SET doubt_qty = 50 FROM storesync.listing l WHERE l.listing_id = w.listing_id AND l.item_id = '6';
UPDATE storesync.listing_shown w SET sent_at = now() - interval '9 minutes', written_at = now() - interval '9 minutes'
FROM storesync.listing l WHERE l.listing_id = w.listing_id AND l.item_id = '7';
DELETE FROM storesync.listing_shown w USING storesync.listing l WHERE l.listing_id = w.listing_id AND l.item_id = '8';
UPDATE storesync.listing SET enabled = false WHERE item_id = '9';
-- read ten minutes ago
CREATE FUNCTION compared(qty bigint) RETURNS TABLE(item int, qty bigint, verdict text, low bigint, high bigint) LANGUAGE sql AS $$
	SELECT l.item_id::int, c.qty, c.verdict, c.low, c.high
	FROM (SELECT array_agg(l.listing_id ORDER BY l.listing_id) AS ids, array_agg(l.item_id ORDER BY l.listing_id) AS items,
			array_agg(l.model_id ORDER BY l.listing_id) AS models, array_agg($1 ORDER BY l.listing_id) AS qtys,
			array_agg(now() - interval '10 minutes' ORDER BY l.listing_id) AS times
		FROM storesync.listing l) a,
		storesync.verify_compare(a.ids, a.items, a.models, a.qtys, a.times, a.times) c
	JOIN storesync.listing l ON l.listing_id = c.listing_id ORDER BY 1
$$;
SELECT * FROM compared(100) WHERE item <= 10;
SELECT * FROM compared(90) WHERE item <= 4;
SELECT * FROM compared(89) WHERE item <= 4;
-- of another life, as after a restore: a write that is under way or in doubt comes first
UPDATE storesync.listing_shown w SET acked_incarnation = acked_incarnation - 1 FROM storesync.listing l
WHERE l.listing_id = w.listing_id AND l.item_id IN ('4', '5', '6');
SELECT item, verdict FROM compared(100) WHERE item BETWEEN 4 AND 6;
SELECT DISTINCT verdict FROM compared(NULL);
UPDATE storesync.listing SET enabled = true WHERE item_id = '9';

-- ---------------------------------------------------------------- what is read first

INSERT INTO storesync.verification (listing_id, incarnation, certificate_id, verified_at, qty)
SELECT l.listing_id, CASE l.item_id WHEN '12' THEN storesync.current_incarnation() + 1 ELSE storesync.current_incarnation() END,
	CASE WHEN l.item_id::int > 9 THEN 1 ELSE 2 END, now(), 1
FROM storesync.listing l WHERE l.item_id::int BETWEEN 4 AND 12;
SELECT storesync.verify_plan(:first);
SELECT i.place, l.item_id FROM storesync.verify_item i JOIN storesync.listing l USING (listing_id) ORDER BY i.place;
SELECT x.place, x.item_id FROM storesync.verify_next(:first, 3, 2) x ORDER BY x.place;
SELECT * FROM storesync.compensate_expect(:first, true);
SELECT * FROM storesync.compensate_expect(:first, false);
TRUNCATE storesync.verification, storesync.verify_item;

-- ---------------------------------------------------------------- what is written down

SELECT acknowledge();
INSERT INTO storesync.certificate (certificate_id, started_at, phase) VALUES (100, now(), 'read');
INSERT INTO storesync.certificate_store (certificate_id, store_id, state, listings) VALUES (100, :first, 'reading', 12);
SELECT storesync.verify_plan(:first);
-- read: so many were shown, item by item from the first
CREATE FUNCTION read(qtys bigint[], final boolean DEFAULT true, late boolean DEFAULT false, ago interval DEFAULT '10 minutes')
	RETURNS TABLE(item int, verdict text) LANGUAGE sql AS $$
	SELECT l.item_id::int, c.verdict
	FROM (SELECT array_agg(l.listing_id ORDER BY q.n) AS ids, array_agg(l.item_id ORDER BY q.n) AS items, array_agg(l.model_id ORDER BY q.n) AS models,
			array_agg(q.qty ORDER BY q.n) AS qtys, array_agg(CASE WHEN q.qty IS NULL THEN 'not there' END ORDER BY q.n) AS reasons,
			array_agg(now() - $4 ORDER BY q.n) AS times
		FROM unnest($1) WITH ORDINALITY AS q (qty, n) JOIN storesync.listing l ON l.item_id = q.n::text) a,
		storesync.verify_note(1, a.ids, a.items, a.models, a.qtys, a.reasons, a.times, a.times, $2, $3) c
	JOIN storesync.listing l ON l.listing_id = c.listing_id ORDER BY 1
$$;
CREATE VIEW state AS
SELECT n.compared, n.learnt, n.differing, n.proposed, n.moved, n.unread, (SELECT count(*) FROM storesync.verify_item) AS "left"
FROM storesync.certificate_store n WHERE n.certificate_id = 100;
-- expected are 100, of TEA-2 90, of TEA-3 one or the other: differences are told, and judged when orders are fetched
SELECT * FROM read('{100,87,60,95}', final => false);
SELECT * FROM state;
SELECT * FROM read('{7,87,60,95}');
SELECT * FROM state;
SELECT l.item_id, d.expected, d.shown, d.state FROM storesync.drift d JOIN storesync.listing l USING (listing_id) ORDER BY 1;
SELECT l.item_id, w.acked_qty, w.acked_version, t.believed, t.wanted, t.dirty, s.state
FROM storesync.listing l JOIN storesync.listing_shown w USING (listing_id) JOIN storesync.listing_target t USING (listing_id)
JOIN storesync.listing_status s USING (listing_id) WHERE l.item_id::int BETWEEN 1 AND 4 ORDER BY 1;
-- one that moves is read again behind the others, at the third time it is left
UPDATE storesync.listing_shown w SET sending_qty = 50 FROM storesync.listing l WHERE l.listing_id = w.listing_id AND l.item_id = '5';
SELECT * FROM read('{1,1,1,1,50}');
SELECT i.place > 1000000000000 AS behind, i.tries, i.not_before IS NOT NULL AS later FROM storesync.verify_item i JOIN storesync.listing l USING (listing_id) WHERE l.item_id = '5';
SELECT * FROM read('{1,1,1,1,50}');
SELECT * FROM read('{1,1,1,1,50}');
-- where orders come late fewer than expected are asked for again, more are not
SELECT * FROM read('{1,1,1,1,1,98,102}', late => true);
SELECT * FROM read('{1,1,1,1,1,98}', late => true, ago => '-15 minutes');
SELECT * FROM read('{1,1,1,1,1,98}', late => true, ago => '-21 minutes');
-- one that was never written, one that is not there, and none that is disabled
DELETE FROM storesync.listing_shown w USING storesync.listing l WHERE l.listing_id = w.listing_id AND l.item_id = '8';
UPDATE storesync.listing SET enabled = false WHERE item_id = '10';
SELECT * FROM read('{1,1,1,1,1,1,1,55,NULL,1}');
SELECT * FROM state;
SELECT l.item_id, v.verified_at IS NOT NULL AS verified, v.qty, v.failure FROM storesync.listing_verified v JOIN storesync.listing l USING (listing_id) ORDER BY l.item_id::int;
SELECT l.item_id, e.term, regexp_replace(e.value, '^[^,]* UTC', 'TIME') AS value FROM storesync.listing l, storesync.explain(l.listing_id) e
WHERE l.item_id IN ('8', '9') AND e.term ~ 'verified' ORDER BY 1, 2;
UPDATE storesync.verification SET incarnation = incarnation + 1;
SELECT DISTINCT e.value FROM storesync.listing l, storesync.explain(l.listing_id) e WHERE e.term IN ('verified', 'verified at');
UPDATE storesync.verification SET incarnation = incarnation - 1;
-- as many as would open the breaker: each further one is for people
UPDATE storesync.store SET breaker_least = 1, breaker_share = 0.1 WHERE store_id = :first;
SELECT acknowledge() FROM storesync.listing WHERE item_id = '11';
SELECT * FROM read('{1,1,1,1,1,1,1,1,1,1,95}');
-- after a restore a listing is read while a write of it leaves, which is then reset: the reading settles nothing
UPDATE storesync.listing_shown w SET acked_incarnation = acked_incarnation - 1, doubt_qty = 200 FROM storesync.listing l
WHERE l.listing_id = w.listing_id AND l.item_id = '12';
SELECT * FROM read('{1,1,1,1,1,1,1,1,1,1,1,55}');
SELECT w.acked_qty, w.doubt_qty, t.at_most FROM storesync.listing_shown w JOIN storesync.listing l USING (listing_id) JOIN storesync.listing_target t USING (listing_id)
WHERE l.item_id = '12';
UPDATE storesync.listing_shown SET acked_incarnation = acked_incarnation + 1, doubt_qty = NULL WHERE doubt_qty = 200;
UPDATE storesync.store SET drift_least = 5 WHERE store_id = :first;
SELECT * FROM read('{1,1,1,1,1,1,1,1,1,1,1,95}');
UPDATE storesync.store SET drift_least = 3, breaker_least = 50 WHERE store_id = :first;

-- ---------------------------------------------------------------- what is proposed

SELECT s.sku, s.expected, s.shown, s.excess, s.state FROM storesync.drift_status s ORDER BY s.sku;
SELECT drift_id AS three, listing_id AS listing_three FROM storesync.drift_status WHERE sku = 'TEA-3' \gset
SELECT storesync.confirm_drift(NULL);
SELECT storesync.confirm_drift(-1);
SELECT storesync.reject_drift(:three, '');
SELECT storesync.reject_drift(:three, 'a display piece');
SELECT storesync.reject_drift(:three, 'a display piece');
SELECT * FROM storesync.drift_look(ARRAY[:listing_three], '{}') x;
SELECT storesync.confirm_drifts(99);
SELECT storesync.confirm_drifts(:first) AS confirmed;
SELECT storesync.confirm_drifts(:first) AS confirmed;
SELECT s.sku, s.state FROM storesync.drift_status s WHERE s.state <> 'pushed' ORDER BY s.sku;
SELECT a.action, a.after ->> 'reason' AS reason FROM storesync.audit a WHERE a.action LIKE '%drift' ORDER BY a.audit_id;
-- a count ends it
SELECT outcome FROM storesync.adjust('TEA-3', 60, key('count'));
SELECT count(*) FROM storesync.drift_look(ARRAY[:listing_three], '{}');
SELECT state, settled_by FROM storesync.drift WHERE drift_id = :three;
SELECT storesync.confirm_drift(:three);

-- ---------------------------------------------------------------- what is tried again

UPDATE storesync.certificate SET phase = 'done', ended_at = now(), compared = 1;
SELECT storesync.set_credential(:second, 'api_key', 'a'), storesync.set_credential(:second, 'secret_key', 's'), storesync.set_credential(:second, 'salt_key', 'p');
UPDATE storesync.platform SET base_url = 'http://127.0.0.1:1';
SELECT storesync.add_listing(:second, 'TEA-1', 'far') AS far \gset
SELECT outcome FROM storesync.ingest_order(:second,
	jsonb_build_object('order_sn', 'SENT', 'status', 'shipped', 'create_time', extract(epoch FROM now())::bigint, 'lines', '[{"line_id": "1", "item_id": "far", "qty": 1}]'::jsonb));
CREATE TABLE dead AS
SELECT * FROM (VALUES
	(1, 'push_stock', 'permanent', :far, NULL::jsonb, NULL::text),
	(2, 'push_stock', 'later', 999999, NULL, NULL),
	(3, 'list', 'later', NULL, jsonb_build_object('listing', :far * 1.0), NULL),
	(4, 'unlist', 'later', NULL, jsonb_build_object('listing', :far), NULL),
	(5, 'ship_order', 'later', NULL, '{"order_sn": "SENT"}', NULL),
	(6, 'cancel_order', 'later', NULL, '{"order_sn": "SENT"}', NULL),
	(7, 'ship_order', 'permanent', NULL, '{"order_sn": "UNKNOWN"}', NULL),
	(8, 'fetch_orders', 'permanent', NULL, NULL, 'SENT'),
	(9, 'fetch_orders', 'permanent', NULL, NULL, 'BROKEN'),
	(10, 'fetch_listings', 'later', NULL, '{}', NULL),
	(11, 'refresh_token', 'auth', NULL, '{}', NULL),
	(12, 'verify', 'permanent', NULL, '{}', NULL),
	(13, 'fetch_orders', 'later', NULL, NULL, repeat('7', 201)),
	(14, 'fetch_orders', 'later', NULL, '{"order_sn": ["A1"]}', NULL)) AS x (n, call, class, listing_id, payload, order_sn);
CREATE FUNCTION die() RETURNS void LANGUAGE sql AS $$
	INSERT INTO storesync.compensation (at, store_id, listing_id, task_id, call, class, version, payload, story)
	SELECT clock_timestamp() - interval '1 second', 2, d.listing_id, CASE WHEN d.payload IS NOT NULL THEN nextval('storesync.task_id_seq') END, d.call, d.class::storesync.outcome_class,
		CASE WHEN d.listing_id IS NOT NULL THEN 1 END, d.payload,
		CASE WHEN d.order_sn IS NULL THEN '[]' ELSE jsonb_build_array(jsonb_build_object('order_sn', d.order_sn)) END
	FROM dead d ORDER BY d.n
$$;
SELECT die();
UPDATE storesync.sales_order SET fetched_at = clock_timestamp();
SELECT c.call, left(coalesce(c.payload ->> 'order_sn', c.story -> 0 ->> 'order_sn'), 9) AS order_sn, storesync.overtaken_by(c.compensation_id), storesync.rests(c.compensation_id)
FROM storesync.compensation c ORDER BY c.compensation_id;
INSERT INTO storesync.certificate (certificate_id, started_at, scope) VALUES (101, clock_timestamp(), ARRAY[:second]);
SELECT storesync.compensate_replay(101) AS more, storesync.compensate_replay(101) AS again;
SELECT replayed, overtaken, resting FROM storesync.certificate WHERE certificate_id = 101;
SELECT c.call, c.settled_by FROM storesync.compensation c ORDER BY c.compensation_id;
SELECT o.payload ->> 'kind' AS kind, o.payload -> 'payload' AS payload FROM storesync.outbox o WHERE o.kind = 'task' AND o.xid = (SELECT max(x.xid) FROM storesync.outbox x WHERE x.kind = 'task') ORDER BY 1, 2::text;
-- the same, refused again: what was refused for good rests, what may heal is tried again
SELECT die();
UPDATE storesync.sales_order SET fetched_at = clock_timestamp();
UPDATE storesync.certificate SET phase = 'done', ended_at = now() WHERE certificate_id = 101;
INSERT INTO storesync.certificate (certificate_id, started_at) VALUES (102, clock_timestamp());
SELECT storesync.compensate_replay(102);
SELECT replayed, overtaken, resting FROM storesync.certificate WHERE certificate_id = 102;
SELECT c.call, c.class FROM storesync.compensation c WHERE c.settled_at IS NULL ORDER BY c.compensation_id;
SELECT storesync.compensate_close(102);

-- ---------------------------------------------------------------- a run

-- no dispatcher here
CALL storesync.compensate();
CALL storesync.compensate(ARRAY[:first, 77]);
CALL storesync.compensate(ARRAY[NULL::int]);
SELECT storesync.compensate_step(102);
SELECT s.store_id, storesync.verify_reason(s.store_id) FROM storesync.store s ORDER BY 1;
UPDATE storesync.store SET paused = true WHERE store_id = :second;
SELECT storesync.verify_reason(:second);
UPDATE storesync.store SET paused = false, mode = 'shadow' WHERE store_id = :second;
SELECT storesync.verify_reason(:second);
-- what was verified in another life of the data is not
SELECT count(*) FILTER (WHERE verified_at IS NOT NULL) > 0 AS some FROM storesync.listing_verified;
INSERT INTO storesync.incarnation (incarnation, system_identifier, database_oid, reason, timeline)
SELECT incarnation + 1, system_identifier, database_oid, 'copy', timeline FROM storesync.incarnation;
SELECT count(*) FILTER (WHERE verified_at IS NOT NULL) AS none FROM storesync.listing_verified;
SELECT component, state, reason FROM storesync.health() WHERE component = 'reconciliation';
UPDATE storesync.store SET created_at = now() - interval '2 days';
SELECT component, state, regexp_replace(reason, 'since .* UTC', 'since TIME') AS reason FROM storesync.health() WHERE component = 'reconciliation';
-- nor does a run count that left the store out, or one of another
INSERT INTO storesync.certificate (certificate_id, incarnation, started_at, ended_at, phase, compared)
SELECT 103, max(i.incarnation), now(), now(), 'done', 1 FROM storesync.incarnation i;
INSERT INTO storesync.certificate_store (certificate_id, store_id, state, compared) VALUES (103, :first, 'left out', 0), (103, :second, 'read', 1);
SELECT component, state, regexp_replace(reason, 'since .* UTC', 'since TIME') AS reason FROM storesync.health() WHERE component = 'reconciliation';
-- one that has just gone live has time
UPDATE storesync.store SET stock_from = now() - interval '1 hour';
SELECT component, state, reason FROM storesync.health() WHERE component = 'reconciliation';
UPDATE storesync.store SET stock_from = '-infinity';
UPDATE storesync.certificate_store SET state = 'read', compared = 1 WHERE certificate_id = 103;
SELECT component, state, reason FROM storesync.health() WHERE component = 'reconciliation';
UPDATE storesync.store SET mode = 'shadow';
SELECT count(*) AS nothing_is_live FROM storesync.health() WHERE component = 'reconciliation';
-- what is kept of a listing goes with it
DELETE FROM storesync.listing WHERE item_id = '12';
SELECT count(*) FROM storesync.drift d WHERE d.settled_at IS NULL AND NOT EXISTS (SELECT FROM storesync.listing l WHERE l.listing_id = d.listing_id);
SELECT * FROM storesync.check_invariants();
DROP VIEW nights, state;
DROP TABLE dead;
DROP FUNCTION key(text), acknowledge(), compared(bigint), read(bigint[], boolean, boolean, interval), die();
