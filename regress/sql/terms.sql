-- What the dispatcher reads by index says the same as the view listing_target, in random states.
\set VERBOSITY terse
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
SET timezone = 'UTC';
SET jit = off;
SELECT setseed(0.4711);

SELECT count(storesync.add_store('shopee', i::text, 'store ' || i)) AS stores FROM generate_series(1, 4) i;
SELECT count(storesync.add_location(x)) AS locations FROM unnest(ARRAY['annex', 'shed']) x;
SELECT count(storesync.add_sku('S' || i)) AS skus FROM generate_series(1, 24) i;
SELECT count(storesync.set_bundle('S' || i, jsonb_build_object('S' || i - 20, 1, 'S' || i - 19, 2))) AS bundles FROM generate_series(22, 24) i;
SELECT count(storesync.add_listing(s, 'S' || i, 'I' || i, pack => 1 + i % 3)) AS listings
FROM generate_series(1, 4) s, generate_series(1, 24) i WHERE (s + i) % 5 > 0;
SELECT count(storesync.receive('S' || i, 60 + 10 * i, storesync.new_key(), l)) AS received
FROM generate_series(1, 21) i, unnest(ARRAY['main', 'annex', 'shed']) l WHERE l = 'main' OR i % 4 = 0;
UPDATE storesync.store SET mode = CASE store_id WHEN 4 THEN 'shadow' ELSE 'live' END, poll_interval = store_id * interval '20 s';

CREATE FUNCTION pg_temp.ago(seconds int) RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
	SELECT clock_timestamp() - random() * $1 * interval '1 s' $$;
CREATE FUNCTION pg_temp.some(n int) RETURNS int LANGUAGE sql VOLATILE AS $$ SELECT floor(random() * $1)::int $$;

-- What platforms have acknowledged, near what is wanted; some in doubt or under way, some in another incarnation.
CREATE PROCEDURE pg_temp.write_some() LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM storesync.listing_shown WHERE random() < 0.1;
	INSERT INTO storesync.listing_shown AS w (listing_id, acked_qty, acked_version, acked_incarnation, sent_at, written_at, doubt_qty, sending_qty)
	SELECT t.listing_id, greatest(t.wanted + CASE WHEN random() < 0.5 THEN 0 ELSE pg_temp.some(9) - 4 END, 0),
		t.version - CASE WHEN random() < 0.6 THEN 0 ELSE pg_temp.some(5) END,
		storesync.current_incarnation() - (random() < 0.05)::int, x.at, x.at + pg_temp.some(3) * interval '1 s',
		CASE WHEN random() < 0.05 THEN pg_temp.some(50) END, CASE WHEN random() < 0.05 THEN pg_temp.some(50) END
	FROM storesync.listing_target t CROSS JOIN LATERAL (
		-- sometimes by a clock that has been set back since
		SELECT pg_temp.ago(40 + t.listing_id::int % 7) + CASE WHEN random() < 0.03 THEN interval '1 hour' ELSE '0' END AS at) x
	WHERE random() < 0.3
	ON CONFLICT (listing_id) DO UPDATE SET acked_qty = excluded.acked_qty, acked_version = excluded.acked_version,
		acked_incarnation = excluded.acked_incarnation, sent_at = excluded.sent_at, written_at = excluded.written_at,
		doubt_qty = excluded.doubt_qty, sending_qty = excluded.sending_qty;
END $$;

-- Own orders, some of them cancelled, around writes and fetches; of last month, too.
CREATE PROCEDURE pg_temp.sell_some() LANGUAGE plpgsql AS $$
DECLARE
	cancelled int;
	placed timestamptz;
BEGIN
	FOR i IN 1..8 LOOP
		cancelled := CASE WHEN random() < 0.3 THEN 1 + pg_temp.some(2) ELSE 0 END;
		placed := pg_temp.ago(CASE WHEN random() < 0.1 THEN 40 * 86400 ELSE 70 END);
		INSERT INTO storesync.sales_order_line (recorded_at, order_id, listing_id, sku_id, ordered_at, cancelled_at, qty, cancelled_qty,
			returned_qty, reserved, shipped, restocked, short, store_id, pack, status, state, line_id)
		SELECT CASE WHEN random() < 0.8 THEN clock_timestamp() ELSE placed END, nextval('storesync.order_id_seq'),
			l.listing_id, l.sku_id, date_trunc('second', placed),
			CASE WHEN cancelled > 0 THEN pg_temp.ago(60) END, 2 + pg_temp.some(4), cancelled, NULL, 0, (random() < 0.1)::int, 0, 0,
			l.store_id, l.pack, 'ready_to_ship', 'reserved', '1'
		FROM storesync.listing l ORDER BY random() LIMIT 1;
	END LOOP;
	INSERT INTO storesync.order_cursor (store_id, fetched_through)
	SELECT s, pg_temp.ago(30) + CASE WHEN random() < 0.05 THEN interval '1 hour' ELSE '0' END FROM generate_series(1, 3) s
	ON CONFLICT (store_id) DO UPDATE SET fetched_through = excluded.fetched_through;
END $$;

-- Policies, stock, allotments, stops, places, and what was given up.
CREATE PROCEDURE pg_temp.move_some() LANGUAGE plpgsql AS $$
DECLARE
	sku text := 'S' || 1 + pg_temp.some(21);
BEGIN
	PERFORM storesync.reserve(sku, 1 + pg_temp.some(40), storesync.new_key()), storesync.receive(sku, 1 + pg_temp.some(9), storesync.new_key(), 'annex');
	UPDATE storesync.listing SET share = (ARRAY[1, 0.5, 0.33, 0])[1 + pg_temp.some(4)], buffer = pg_temp.some(3),
		cap = CASE WHEN random() < 0.3 THEN pg_temp.some(20) END, enabled = random() < 0.9,
		held = CASE WHEN random() < 0.1 THEN 'counted' END
	WHERE random() < 0.05;
	UPDATE storesync.sku SET safety_stock = pg_temp.some(4), solo_below = pg_temp.some(5) WHERE random() < 0.05;
	DELETE FROM storesync.selling_stop;
	IF random() < 0.5 THEN
		INSERT INTO storesync.selling_stop (store_id, sku_id, reason)
		SELECT CASE WHEN random() < 0.7 THEN 1 + pg_temp.some(4) END, CASE WHEN random() < 0.9 THEN k.sku_id END, 'stopped'
		FROM storesync.sku k WHERE k.code = sku;
	END IF;
	DELETE FROM storesync.allotment WHERE random() < 0.3;
	INSERT INTO storesync.allotment (listing_id, sku_id, units, since, until)
	SELECT l.listing_id, l.sku_id, 1 + pg_temp.some(30), pg_temp.ago(60), CASE WHEN random() < 0.5 THEN pg_temp.ago(60) + interval '30 s' END
	FROM storesync.listing l WHERE random() < 0.02 ON CONFLICT DO NOTHING;
	DELETE FROM storesync.store_location WHERE random() < 0.3;
	INSERT INTO storesync.store_location SELECT 1 + pg_temp.some(4), 1 + pg_temp.some(3) WHERE random() < 0.3 ON CONFLICT DO NOTHING;
	UPDATE storesync.location SET sellable = random() < 0.7 WHERE code = 'shed' AND random() < 0.2;
	INSERT INTO storesync.compensation (store_id, listing_id, call, class, version, settled_at, settled_by)
	SELECT t.store_id, t.listing_id, CASE WHEN random() < 0.9 THEN 'push_stock' ELSE 'push_price' END, 'permanent', t.version, x.at,
		CASE WHEN x.at IS NOT NULL THEN CASE WHEN random() < 0.5 THEN 'discarded: no' ELSE 'requeued' END END
	FROM storesync.listing_target t CROSS JOIN LATERAL (SELECT CASE WHEN random() < 0.5 THEN clock_timestamp() END AS at OFFSET 0) x
	WHERE random() < 0.05;
END $$;

-- One statement, so that the moment that both reckon from is the same.
CREATE VIEW pg_temp.different AS
SELECT listing_id, d.direct,
	(d.version, d.wanted, d.believed, d.at_most, d.dirty, d.due, d.unseen, d.to_send, d.needs_fetch_after, d.not_before, d.stopped)::text AS read,
	(t.version, t.wanted, t.believed, t.at_most, t.dirty, t.dirty AND NOT t.dead, t.unseen, t.to_send, t.needs_fetch_after, t.not_before,
		t.stopped IS NOT NULL)::text AS viewed
FROM storesync.listing_target t
FULL JOIN storesync.listing_terms((SELECT array_agg(l.listing_id) FROM storesync.listing l)) d USING (listing_id);

CREATE TEMP TABLE tally (direct boolean, dirty boolean, due boolean, unknown boolean, unseen boolean, waits boolean);
CREATE TEMP TABLE failure (round int, read text, viewed text);
SELECT storesync.ensure_partitions('0') >= 0 AS made;
-- and older months, as they were made in their time
SELECT (date_trunc('month', now()) - interval '3 months')::text AS earlier, date_trunc('month', now())::text AS present \gset
CREATE TABLE storesync.earlier_lines PARTITION OF storesync.sales_order_line FOR VALUES FROM (:'earlier') TO (:'present');
CREATE UNIQUE INDEX ON storesync.earlier_lines (order_id, line_id);
CREATE INDEX ON storesync.earlier_lines (listing_id, ordered_at) WHERE listing_id IS NOT NULL;
CREATE INDEX ON storesync.earlier_lines (listing_id, cancelled_at) WHERE cancelled_qty > 0;

DO $$
BEGIN
	FOR round IN 1..60 LOOP
		UPDATE storesync.platform SET returns_on_cancel = (ARRAY[true, true, false, NULL])[1 + pg_temp.some(4)] WHERE platform = 'shopee';
		CALL pg_temp.move_some();
		CALL pg_temp.write_some();
		CALL pg_temp.sell_some();
		INSERT INTO failure SELECT round, x.read, x.viewed FROM pg_temp.different x WHERE x.read IS DISTINCT FROM x.viewed;
		INSERT INTO tally SELECT d.direct, d.dirty, d.due, d.believed IS NULL, d.unseen > 0, d.needs_fetch_after IS NOT NULL
		FROM storesync.listing_terms((SELECT array_agg(l.listing_id) FROM storesync.listing l)) d;
	END LOOP;
END $$;
SELECT round, read, viewed FROM failure LIMIT 3;
SELECT count(*) > 4000 AS many, count(*) FILTER (WHERE direct) > 1000 AS read, count(*) FILTER (WHERE NOT direct) > 500 AS viewed,
	bool_or(direct AND dirty AND NOT due) AS dead, bool_or(direct AND NOT dirty) AS clean, bool_or(direct AND unknown) AS unknown,
	bool_or(direct AND unseen) AS unseen, bool_or(direct AND waits) AS waits FROM tally;

-- What has moved listings since some moment: the dispatcher, by index, and breaker_moves() say the same.
CREATE INDEX ON storesync.earlier_lines (sku_id, ordered_at) WHERE short > 0;
CREATE PROCEDURE pg_temp.book_some() LANGUAGE plpgsql AS $$
DECLARE
	sku text := 'S' || 1 + pg_temp.some(21);
BEGIN
	PERFORM storesync.receive(sku, 3 + pg_temp.some(9), storesync.new_key()), storesync.reserve(sku, 2, storesync.new_key(), reference => 'w');
	IF random() < 0.5 THEN
		PERFORM storesync.release(sku, 1, storesync.new_key(), reference => 'w');
	END IF;
	IF random() < 0.3 THEN
		PERFORM storesync.adjust(sku, 50 + pg_temp.some(50), storesync.new_key());
	END IF;
	IF random() < 0.2 THEN
		PERFORM storesync.transfer(sku, 1, 'main', 'annex', storesync.new_key());
	END IF;
	UPDATE storesync.sales_order_line SET short = pg_temp.some(3) WHERE random() < 0.1;
END $$;
CREATE TEMP TABLE cause (direct boolean, shaped boolean, sold boolean, received boolean, counted boolean, released boolean);
DO $$
BEGIN
	TRUNCATE failure;
	FOR round IN 1..30 LOOP
		CALL pg_temp.move_some();
		CALL pg_temp.book_some();
		CALL pg_temp.sell_some();
		CREATE TEMP TABLE base AS
		SELECT t.listing_id, t.version - pg_temp.some(7) AS version, CASE WHEN random() < 0.05 THEN -1 ELSE l.revision - (random() < 0.2)::int END AS revision,
			pg_temp.ago(CASE WHEN random() < 0.1 THEN 40 * 86400 ELSE 40 END) AS since
		FROM storesync.listing_target t JOIN storesync.listing l USING (listing_id);
		INSERT INTO failure
		SELECT round, (c.shaped, c.sold, c.received, c.counted, c.released, c.freed)::text, (m.shaped, m.sold, m.received, m.counted, m.released, m.freed)::text
		FROM base b, storesync.breaker_cause(b.listing_id, b.version, b.revision, b.since, 9, 3, 9) c,
			storesync.breaker_moves(b.listing_id, b.version, b.revision, b.since) m
		WHERE (c.shaped, c.sold, c.received, c.counted, c.released, c.freed) IS DISTINCT FROM (m.shaped, m.sold, m.received, m.counted, m.released, m.freed);
		INSERT INTO cause SELECT c.direct, c.shaped, c.sold > 0, c.received > 0, c.counted, c.released
		FROM base b, storesync.breaker_cause(b.listing_id, b.version, b.revision, b.since, 9, 3, 9) c;
		DROP TABLE base;
	END LOOP;
END $$;
SELECT round, read, viewed FROM failure LIMIT 3;
SELECT count(*) > 1000 AS many, count(*) FILTER (WHERE direct) > 500 AS read, bool_or(NOT direct) AS asked, bool_or(direct AND shaped) AS shaped,
	bool_or(direct AND sold) AS sold, bool_or(direct AND received) AS received, bool_or(direct AND counted) AS counted,
	bool_or(direct AND released) AS released, bool_or(direct AND NOT (shaped OR sold OR received OR counted)) AS nothing FROM cause;
SELECT storesync.breaker_cause(-1, 1, 1, now(), 9, 3, 9) IS NULL AS none;

-- A table that only a statement may read: all by the view.
CREATE POLICY nobody ON storesync.listing_shown USING (true);
ALTER TABLE storesync.listing_shown ENABLE ROW LEVEL SECURITY;
SELECT count(*) FILTER (WHERE d.direct) AS direct, count(*) > 0 AS some
FROM storesync.listing_terms((SELECT array_agg(l.listing_id) FROM storesync.listing l)) d;
ALTER TABLE storesync.listing_shown DISABLE ROW LEVEL SECURITY;
DROP POLICY nobody ON storesync.listing_shown;
-- An index of the same columns over other rows does not serve.
BEGIN;
DO $$
DECLARE
	index regclass;
BEGIN
	FOR index IN SELECT i.indexrelid FROM pg_index i
		WHERE i.indrelid = 'storesync.earlier_lines'::regclass AND pg_get_indexdef(i.indexrelid) LIKE '%cancelled_at%' LOOP
		EXECUTE format('DROP INDEX %s', index);
	END LOOP;
END $$;
CREATE INDEX ON storesync.earlier_lines (listing_id, cancelled_at) WHERE cancelled_qty > 1;
SELECT count(*) FILTER (WHERE d.direct) AS direct
FROM storesync.listing_terms((SELECT array_agg(l.listing_id) FROM storesync.listing l)) d;
SELECT count(*) FROM pg_temp.different x WHERE x.read IS DISTINCT FROM x.viewed;
ROLLBACK;
SELECT count(*) FROM storesync.listing_terms('{}');
SELECT count(*) FROM storesync.listing_terms('{1,1,-5}');
SELECT count(*) FROM storesync.listing_terms('{1,NULL}');
