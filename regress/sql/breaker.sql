-- The mass-change breaker: which changes count, what may be sent meanwhile, what releases it.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
\set VERBOSITY terse
SET jit = off;
SELECT storesync.add_store('shopee', '1', 'First') AS first \gset
SELECT storesync.add_store('shopee', '2', 'Second') AS second \gset
UPDATE storesync.sku SET solo_below = 0;
CREATE FUNCTION key(text) RETURNS storesync.idempotency_key LANGUAGE sql AS $$ SELECT storesync.derive_key(now(), $1) $$;
SELECT storesync.add_sku('TEA-' || n) FROM generate_series(1, 9) n;
SELECT outcome FROM generate_series(1, 9) n, storesync.receive('TEA-' || n, 20, key('open ' || n));
SELECT count(storesync.add_listing(s, 'TEA-' || n, n::text, pack => CASE n WHEN 9 THEN 2 ELSE 1 END))
FROM unnest(ARRAY[:first, :second]) s, generate_series(1, 9) n;

-- acknowledge: every listing shows what is wanted, as its platform has said
CREATE FUNCTION acknowledge() RETURNS void LANGUAGE sql AS $$
	INSERT INTO storesync.listing_shown (listing_id, acked_qty, acked_version, acked_incarnation, sent_at, written_at, acked_revision)
	SELECT t.listing_id, t.wanted, t.version, storesync.current_incarnation(), clock_timestamp(), clock_timestamp(), l.revision
	FROM storesync.listing_target t JOIN storesync.listing l USING (listing_id)
	ON CONFLICT (listing_id) DO UPDATE SET acked_qty = excluded.acked_qty, acked_version = excluded.acked_version,
		sent_at = excluded.sent_at, written_at = excluded.written_at, acked_revision = excluded.acked_revision
$$;
-- counted: listings that would count as changed, by item, of both stores where both do
CREATE VIEW counted AS
SELECT l.item_id, count(*) AS stores, min(t.believed) AS believed, min(t.wanted) AS wanted
FROM storesync.listing_target t JOIN storesync.listing l ON l.listing_id = t.listing_id,
	storesync.breaker_cause(t.listing_id, t.acked_version, t.acked_revision, t.sent_at, t.acked_qty, t.wanted, coalesce(t.believed, t.acked_qty)) c
WHERE t.dirty AND c.counts
GROUP BY l.item_id;
SELECT acknowledge();

-- Sales and goods received do not count, counts, transfers and policy do, in either direction.
SELECT storesync.add_location('shelf', NULL, false) > 0 AS shelf;
SELECT outcome FROM storesync.reserve('TEA-1', 3, key('1'));
SELECT outcome FROM storesync.receive('TEA-3', 3, key('3'));
SELECT outcome FROM storesync.adjust('TEA-4', 0, key('4'));
SELECT outcome FROM storesync.adjust('TEA-5', 200, key('5'));
SELECT outcome FROM storesync.transfer('TEA-6', 5, 'main', 'shelf', key('6'));
UPDATE storesync.listing SET share = 0.5 WHERE item_id = '7' AND store_id = :first;
UPDATE storesync.listing SET price = 99;
SELECT item_id, stores, believed, wanted FROM counted ORDER BY 1;
SELECT acknowledge();

-- A reservation given back counts as a raise; a count counts although there were sales, too.
SELECT outcome FROM storesync.release('TEA-1', 3, key('back'));
SELECT outcome FROM storesync.adjust('TEA-2', 17, key('less'));
SELECT outcome FROM storesync.reserve('TEA-2', 4, key('sold'));
-- A price alone is no reason, whatever is sold then.
UPDATE storesync.listing SET price = 98;
SELECT outcome FROM storesync.reserve('TEA-8', 4, key('sold 8'));
SELECT item_id, stores, believed, wanted FROM counted ORDER BY 1;
SELECT item_id, m.* FROM storesync.listing l JOIN storesync.listing_shown w USING (listing_id),
	storesync.breaker_moves(l.listing_id, w.acked_version, w.acked_revision, w.sent_at) m
WHERE l.store_id = :first AND l.item_id IN ('1', '2', '8') ORDER BY 1;
SELECT acknowledge();

-- Held listings: what was sold is taken from what they show; with a pack rounded up.
SELECT outcome FROM storesync.adjust('TEA-9', 2, key('9'));
INSERT INTO storesync.breaker (store_id, changes, listings) VALUES (:first, 9, 9);
INSERT INTO storesync.breaker_listing (listing_id, store_id) SELECT listing_id, store_id FROM storesync.listing
WHERE store_id = :first AND item_id IN ('5', '9');
SELECT outcome FROM storesync.adjust('TEA-5', 0, key('none'));
SELECT l.item_id, b.to_send, b.due FROM storesync.listing l,
	storesync.breaker_target(ARRAY[l.listing_id]) b WHERE l.store_id = :first AND l.item_id IN ('5', '9') ORDER BY 1;
SELECT outcome FROM storesync.reserve('TEA-9', 1, key('one of them'));
SELECT l.item_id, b.to_send, b.due FROM storesync.listing l,
	storesync.breaker_target(ARRAY[l.listing_id]) b WHERE l.store_id = :first AND l.item_id IN ('5', '9') ORDER BY 1;
-- An order that the count left short was a sale all the same.
SELECT outcome FROM storesync.ingest_order(:second, jsonb_build_object('order_sn', 'A', 'status', 'ready_to_ship', 'create_time', now(), 'update_time', now(),
	'lines', '[{"line_id": "1", "item_id": "5", "qty": 2}]'::jsonb));
SELECT b.to_send, b.due FROM storesync.listing l, storesync.breaker_target(ARRAY[l.listing_id]) b WHERE l.store_id = :first AND l.item_id = '5';
-- A stop is not bound by it.
SELECT storesync.stop_selling(:first, 'TEA-5', 'recalled') AS stopped;
SELECT count(*) FROM storesync.listing l, storesync.breaker_target(ARRAY[l.listing_id]) b WHERE l.store_id = :first AND l.item_id = '5';
SELECT storesync.start_selling(:first, 'TEA-5') AS started;

-- To be seen
SELECT store_id = :first AS first, changes, listings, held FROM storesync.breaker_status;
SELECT item_id, state FROM storesync.listing_status WHERE state LIKE 'held%' ORDER BY 1;
SELECT x.term, x.value IS NOT NULL AS shown FROM storesync.listing l, storesync.explain(l.listing_id) x
WHERE l.store_id = :first AND l.item_id = '9' AND x.term IN ('held by the breaker since', 'sold since the acknowledgement');
SELECT breaker_since IS NOT NULL AS open, breaker_held FROM storesync.stat_store ORDER BY store_id;
SELECT state, regexp_replace(reason, 'since [^,]*,', 'since,') AS reason FROM storesync.health() WHERE component LIKE 'breaker%';

-- Released: what is wanted now has been approved, and no more than that.
SELECT storesync.release_breaker(:first);
SELECT storesync.release_breaker(:first);
SELECT storesync.release_breaker(99999);
SELECT item_id, passed, qty FROM storesync.breaker_listing JOIN storesync.listing USING (listing_id) ORDER BY 1;
SELECT action, before ->> 'changes' AS changes, after FROM storesync.audit WHERE action LIKE '%breaker' ORDER BY audit_id;
SELECT kind, subject = :first AS first FROM storesync.outbox WHERE kind = 'store' ORDER BY at DESC LIMIT 1;

-- The end of a stop or of a hold is nobody's change: what they freed does not count, nor what was sold, received and
-- given back meanwhile; a count, and a policy, do.
SELECT storesync.adjust('TEA-' || n, 20, key('even ' || n)) IS NOT NULL AS even FROM generate_series(1, 6) n;
SELECT outcome FROM storesync.reserve('TEA-2', 4, key('to be given back'));
SELECT acknowledge();
SELECT storesync.stop_selling(:first, reason => 'audit') AS stopped;
UPDATE storesync.listing SET held = 'declined order A' WHERE store_id = :second;
SELECT acknowledge();
SELECT outcome FROM storesync.reserve('TEA-1', 1, key('a sale meanwhile'));
SELECT outcome FROM storesync.release('TEA-2', 4, key('given back'));
SELECT outcome FROM storesync.receive('TEA-3', 5, key('goods meanwhile'));
SELECT outcome FROM storesync.adjust('TEA-4', 200, key('a count meanwhile'));
UPDATE storesync.listing SET cap = 7 WHERE item_id = '5' AND store_id = :first;
SELECT storesync.start_selling(:first) AS started;
SELECT count(*) AS released FROM (SELECT storesync.release_hold(listing_id) AS x FROM storesync.listing WHERE store_id = :second) y WHERE x;
SELECT count(*) AS dirty FROM storesync.listing_target WHERE dirty;
SELECT item_id, stores, believed, wanted FROM counted ORDER BY 1;
SELECT outcome FROM storesync.adjust('TEA-6', 200, key('a count thereafter'));
SELECT item_id, stores FROM counted ORDER BY 1;

-- Settings
UPDATE storesync.store SET breaker_share = 0;
UPDATE storesync.store SET breaker_share = 1.1;
UPDATE storesync.store SET breaker_least = 0;
UPDATE storesync.store SET breaker_window = '2 days';
UPDATE storesync.store SET breaker_share = NULL, breaker_least = 1, breaker_window = '1 s';
DROP VIEW counted;
DROP FUNCTION acknowledge();
DROP FUNCTION key(text);
