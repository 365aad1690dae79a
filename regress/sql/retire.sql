-- Old orders and balances, step by step: what goes, what is carried on, and that all invariants hold after
-- each step. Rows are put into the past by their owner, who can switch triggers off.
\set VERBOSITY terse
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
SET timezone = 'UTC';

-- the month that ended between 800 and 770 days ago, with the indexes of its partitions
CREATE FUNCTION old_month(parent text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	low timestamptz := date_trunc('month', now() - interval '800 days');
	made text := parent || to_char(low, '_YYYY_MM');
	index text;
BEGIN
	EXECUTE format('CREATE TABLE storesync.%I (LIKE storesync.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', made, parent);
	FOREACH index IN ARRAY (SELECT p.indexes FROM storesync.partitioned p WHERE p.parent = old_month.parent) LOOP
		EXECUTE CASE WHEN index LIKE 'UNIQUE %' THEN format('CREATE UNIQUE INDEX ON storesync.%I %s', made, substr(index, 8))
			ELSE format('CREATE INDEX ON storesync.%I %s', made, index) END;
	END LOOP;
	EXECUTE format('ALTER TABLE storesync.%I ATTACH PARTITION storesync.%I FOR VALUES FROM (%L) TO (%L)',
		parent, made, low, low + interval '1 month');
END
$$;
CREATE FUNCTION doc(sn text, status text, sku text, extra text DEFAULT '') RETURNS jsonb LANGUAGE sql AS $$
	SELECT format('{"order_sn": "%s", "status": "%s", "create_time": %s, "lines": [{"line_id": "1", "qty": 2, %s%s}]}', $1, $2,
		extract(epoch FROM now())::bigint - 60, $3, $4)::jsonb $$;

SELECT storesync.ensure_partitions() > 0 AS made;
SELECT storesync.add_store('shopee', '1', 'One') AS store \gset
SELECT count(storesync.add_sku(c)) FROM unnest(ARRAY['TEA', 'CUP', 'IDLE', 'NONE']) c;
SELECT storesync.add_listing(:store, 'TEA', '100') AS tea, storesync.add_listing(:store, 'CUP', '200') AS cup \gset
SELECT (storesync.receive(c, 50, storesync.new_key())).version FROM unnest(ARRAY['TEA', 'CUP', 'IDLE']) c;
SELECT (storesync.reserve('TEA', 4, storesync.new_key(), reference => 'held')).version, (storesync.reserve('TEA', 2, storesync.new_key(), reference => 'sent')).version;
SELECT (storesync.ship('TEA', 2, storesync.new_key(), reference => 'sent')).version;
SELECT order_sn, outcome FROM storesync.ingest_orders(:store, jsonb_build_array(
	doc('shipped', 'shipped', '"sku": "TEA"'), doc('cancelled', 'cancelled', '"sku": "TEA"'), doc('parked', 'ready_to_ship', '"item_id": "404"'),
	doc('reserved', 'ready_to_ship', '"sku": "TEA"'), doc('short', 'ready_to_ship', '"sku": "NONE"'), doc('gone', 'shipped', '"sku": "NONE"'),
	doc('due', 'shipped', '"sku": "TEA"'), doc('part', 'shipped', '"sku": "TEA"', ', "cancelled_qty": 1'), doc('listed', 'shipped', '"sku": "TEA"'),
	doc('allotted', 'shipped', '"item_id": "200"'), doc('young', 'shipped', '"sku": "TEA"'))) ORDER BY order_sn;
SELECT (storesync.ingest_order(:store, doc('due', 'cancelled', '"sku": "TEA"'))).outcome;
INSERT INTO storesync.return_notice (store_id, return_id, order_sn, line_id, qty, state, is_open) VALUES (:store, 'R', 'listed', '1', 1, 'REQUESTED', true);
INSERT INTO storesync.allotment (listing_id, sku_id, units, since) SELECT :cup, sku_id, 9, now() - interval '900 days' FROM storesync.sku WHERE code = 'CUP';
-- what is due back by the order, in two ways
SELECT o.order_sn, d AS units FROM storesync.sales_order_line l JOIN storesync.sales_order o USING (order_id)
CROSS JOIN LATERAL storesync.units_due(l.status, l.qty, l.cancelled_qty, l.returned_qty, l.pack, l.shipped, l.restocked, l.lost) d WHERE d > 0 ORDER BY 1;
SELECT order_sn, units FROM storesync.returns_due ORDER BY 1;

-- All of it happened 800 days ago, but that one order was changed since.
SELECT old_month(p) FROM unnest(ARRAY['ledger', 'sales_order_line', 'order_history']) p;
SELECT date_trunc('month', now() - interval '800 days') + interval '10 days' - now() AS back \gset
ALTER TABLE storesync.ledger DISABLE TRIGGER append_only;
ALTER TABLE storesync.order_history DISABLE TRIGGER append_only;
UPDATE storesync.ledger SET recorded_at = recorded_at + :'back';
UPDATE storesync.order_history SET recorded_at = recorded_at + :'back';
UPDATE storesync.sales_order_line SET recorded_at = recorded_at + :'back', ordered_at = ordered_at + :'back';
UPDATE storesync.sales_order SET recorded_at = recorded_at + :'back', create_time = create_time + :'back', fetched_at = fetched_at + :'back',
	update_time = CASE WHEN order_sn = 'young' THEN update_time ELSE update_time + :'back' END;
ALTER TABLE storesync.ledger ENABLE TRIGGER append_only;
ALTER TABLE storesync.order_history ENABLE TRIGGER append_only;
DELETE FROM storesync.idempotency;
SELECT * FROM storesync.check_invariants();
CREATE TABLE stood AS SELECT * FROM storesync.stock;
CREATE VIEW months AS SELECT parent, can_retire, waits_for FROM storesync.old_months() ORDER BY parent;
CREATE VIEW orders AS SELECT o.order_sn, l.state, l.reserved, l.shipped, l.short, now() - o.recorded_at < interval '799 days' AS moved,
	(SELECT count(*) FROM storesync.order_history h WHERE h.order_id = o.order_id AND h.recorded_at >= o.recorded_at) AS documents
	FROM storesync.sales_order o JOIN storesync.sales_order_line l USING (order_id, recorded_at) ORDER BY o.order_id;
SELECT * FROM months;
SELECT component, state, regexp_replace(reason, '\d{4}_\d\d', 'MONTH') AS reason FROM storesync.health() WHERE component LIKE 'retention%' ORDER BY 1;

-- The ledger waits for its orders; another table has nothing to retire.
SELECT storesync.retire('ledger', 100) AS more, storesync.retire('push', 100) AS none;
SELECT storesync.retire('sales_order_line', 6) AS more;
SELECT * FROM storesync.check_invariants();
SELECT parent, last_id, highest_order, under_way IS NOT NULL AS under_way FROM storesync.retired ORDER BY 1;
SELECT * FROM orders;
SELECT storesync.retire('sales_order_line', 100) AS more;
SELECT storesync.retire('sales_order_line', 100) AS more;
SELECT storesync.retire('sales_order_line', 100) AS more;
SELECT * FROM orders;
SELECT * FROM storesync.check_invariants();
SELECT * FROM months;

-- Opening balances, a place at a time: rows that they cover count no longer, though they are there.
SELECT storesync.retire('ledger', 1) AS more;
SELECT * FROM storesync.check_invariants();
SELECT k.code, o.version, o.on_hand, o.reserved FROM storesync.ledger_opening o JOIN storesync.sku k USING (sku_id) ORDER BY 1;
SELECT storesync.retire('ledger', 100) AS more;
SELECT storesync.retire('ledger', 100) AS more;
SELECT storesync.retire('ledger', 100) AS more;
SELECT k.code, o.version, o.on_hand, o.reserved FROM storesync.ledger_opening o JOIN storesync.sku k USING (sku_id) ORDER BY 1;
SELECT k.code, g.kind, g.version, g.on_hand_delta, g.on_hand, g.reserved FROM storesync.ledger g JOIN storesync.sku k USING (sku_id) WHERE g.kind = 'opening' ORDER BY 1;
SELECT reference, version, reserved, shipped, restocked FROM storesync.holder_opening;
SELECT o.order_sn, x.effects, x.reserved, x.shipped, x.restocked FROM storesync.line_opening x JOIN storesync.sales_order o USING (order_id) ORDER BY o.order_id;
SELECT reference, held, shipped FROM storesync.holder;
SELECT * FROM storesync.check_invariants();
SELECT * FROM months;

-- What is tampered with afterwards is found.
BEGIN; UPDATE storesync.ledger_opening SET on_hand = on_hand + 1 WHERE version = 1 AND sku_id = (SELECT sku_id FROM storesync.sku WHERE code = 'IDLE');
SELECT * FROM storesync.check_invariants(); ROLLBACK;
BEGIN; UPDATE storesync.ledger_opening SET version = version + 1 WHERE sku_id = (SELECT sku_id FROM storesync.sku WHERE code = 'IDLE');
SELECT * FROM storesync.check_invariants(); ROLLBACK;
BEGIN; UPDATE storesync.holder_opening SET reserved = 3;
SELECT * FROM storesync.check_invariants(); ROLLBACK;
BEGIN; UPDATE storesync.line_opening SET effects = 2 WHERE order_id = (SELECT order_id FROM storesync.sales_order WHERE order_sn = 'reserved');
SELECT * FROM storesync.check_invariants(); ROLLBACK;
BEGIN; DELETE FROM storesync.holder;
ROLLBACK;

-- A month that holds what no opening covers comes back when it is to be dropped; otherwise it goes.
SELECT partition AS month FROM storesync.old_months() WHERE parent = 'ledger' \gset
ALTER TABLE storesync.ledger DETACH PARTITION storesync.:month;
BEGIN;
DELETE FROM storesync.ledger_opening WHERE sku_id = (SELECT sku_id FROM storesync.sku WHERE code = 'IDLE');
SELECT storesync.drop_detached(:'month');
SELECT count(*) FROM storesync.partition_days('ledger') WHERE partition = :'month';
ROLLBACK;
SELECT parent FROM storesync.left_detached();
CALL storesync.maintain();
SELECT parent FROM storesync.left_detached();
SELECT * FROM months;
SELECT * FROM storesync.check_invariants();
SELECT k.code, t.version - s.version AS versions FROM stood s JOIN storesync.stock t USING (sku_id, location_id, on_hand, reserved)
JOIN storesync.sku k USING (sku_id) ORDER BY 1;

-- Afterwards: what is left goes on from where it was.
SELECT storesync.balance_at('TEA', now()), storesync.balance_at('TEA', now() - interval '100 days');
SELECT storesync.balance_at('TEA', now() - interval '900 days');
SELECT storesync.restock('TEA', 1, storesync.new_key(), reference => 'sent');
SELECT outcome, reserved, version FROM storesync.release('TEA', 4, storesync.new_key(), reference => 'held');
SELECT outcome, on_hand, reserved FROM storesync.receive('NONE', 3, storesync.new_key());
SELECT outcome, on_hand, reserved FROM storesync.adjust('TEA', 0, storesync.new_key());
SELECT * FROM orders;
SELECT (storesync.ingest_order(:store, doc('shipped', 'shipped', '"sku": "TEA"') || jsonb_build_object('create_time', extract(epoch FROM now())::bigint - 790 * 86400))).outcome;
SELECT outcome FROM storesync.receive_return(:store, 'due', '1', 2, storesync.new_key());
SELECT storesync.receive_return(:store, 'shipped', '1', 2, storesync.new_key());
SELECT * FROM storesync.check_invariants();

-- as found
DROP VIEW months, orders;
DROP TABLE stood;
DROP FUNCTION old_month(text), doc(text, text, text, text);
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
