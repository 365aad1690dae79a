-- Orders: every rule of docs/order.md that a document can bring about.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
SELECT storesync.add_store('shopee', '1', 'One') AS one \gset
SELECT storesync.add_store('shopee', '2', 'Two') AS two \gset
SELECT count(storesync.add_sku(c)) FROM unnest(ARRAY['TEA', 'CUP', 'POT', 'MUG']) c;
SELECT count(storesync.add_sku('PRE', allow_backorder => true));
SELECT count(storesync.add_listing(:one, 'TEA', '100')), count(storesync.add_listing(:one, 'CUP', '200', '7', 3));

CREATE TEMP TABLE clock AS SELECT date_trunc('hour', now()) - interval '1 day' AS at;
CREATE FUNCTION pg_temp.k(name text) RETURNS storesync.idempotency_key
	LANGUAGE SQL AS $$ SELECT storesync.derive_key(at, name) FROM clock $$;
CREATE FUNCTION pg_temp.receive(sku text, qty bigint, name text) RETURNS text
	LANGUAGE SQL AS $$ SELECT (storesync.receive(sku, qty, pg_temp.k('receive ' || name))).outcome $$;
-- A document whose update time is so many minutes after the order was made.
CREATE FUNCTION pg_temp.doc(sn text, status text, minutes int, lines text, fetched int DEFAULT NULL) RETURNS jsonb
	LANGUAGE SQL AS $$ SELECT jsonb_strip_nulls(jsonb_build_object('order_sn', sn, 'status', status,
		'create_time', extract(epoch FROM at)::bigint, 'update_time', extract(epoch FROM at)::bigint + minutes * 60,
		'fetched_at', extract(epoch FROM at)::bigint + coalesce(fetched, minutes) * 60,
		'lines', lines::jsonb)) FROM clock $$;
-- What was answered, on one line.
CREATE FUNCTION pg_temp.put(store int, VARIADIC docs jsonb[]) RETURNS SETOF text
	LANGUAGE SQL AS $$ SELECT r.order_sn || ': ' || r.outcome || coalesce((SELECT string_agg(format(E'\n  %s %s qty %s booked %s%s',
		d->>'line_id', d->>'state', d->>'qty', d->>'booked', ' (' || (d->>'reason') || ')'), '' ORDER BY n)
		FROM jsonb_array_elements(CASE jsonb_typeof(r.detail) WHEN 'array' THEN r.detail END) WITH ORDINALITY x (d, n)),
		' ' || (r.detail->>'reason'))
	FROM storesync.ingest_orders(store, to_jsonb(docs)) r $$;
CREATE VIEW pg_temp.line AS SELECT o.order_sn AS sn, l.line_id AS id, s.code AS sku, l.status, l.state, l.qty, l.cancelled_qty AS canc,
	l.reserved AS res, l.shipped AS ship, l.restocked AS rest, l.short, l.effects AS eff, c.code AS place, l.reason
	FROM storesync.sales_order_line l JOIN storesync.sales_order o USING (order_id)
	LEFT JOIN storesync.sku s USING (sku_id) LEFT JOIN storesync.location c USING (location_id);
CREATE VIEW pg_temp.balance AS SELECT s.code AS sku, c.code AS place, t.on_hand, t.reserved, t.version
	FROM storesync.stock t JOIN storesync.sku s USING (sku_id) JOIN storesync.location c USING (location_id) ORDER BY 1, 2;

-- the usual life of an order, each document twice
SELECT pg_temp.receive('TEA', 10, 'a');
SELECT pg_temp.put(:one, pg_temp.doc('A1', 'unpaid', 1, '[{"line_id":"1","item_id":"100","qty":3,"unit_price":199.5}]'));
SELECT pg_temp.put(:one, pg_temp.doc('A1', 'unpaid', 1, '[{"line_id":"1","item_id":"100","qty":3,"unit_price":199.5}]'));
SELECT pg_temp.put(:one, pg_temp.doc('A1', 'ready_to_ship', 2, '[{"line_id":"1","item_id":"100","qty":3}]'));
SELECT pg_temp.put(:one, pg_temp.doc('A1', 'shipped', 3, '[{"line_id":"1","item_id":"100","qty":3}]'));
SELECT pg_temp.put(:one, pg_temp.doc('A1', 'shipped', 3, '[{"line_id":"1","item_id":"100","qty":3}]'));
SELECT pg_temp.put(:one, pg_temp.doc('A1', 'completed', 4, '[{"line_id":"1","item_id":"100","qty":3}]'));
-- the same by one call of ingest_order
SELECT order_sn, outcome, detail FROM storesync.ingest_order(:one, pg_temp.doc('A1', 'completed', 4, '[{"line_id":"1","item_id":"100","qty":3}]'));
SELECT * FROM pg_temp.line; SELECT * FROM pg_temp.balance;
SELECT kind, on_hand_delta, reserved_delta, on_hand, reserved, reference, reason FROM storesync.ledger ORDER BY version;
SELECT status, outcome, lines FROM storesync.order_history ORDER BY update_time;
SELECT status, stock_effect, recorded_at > create_time AS later FROM storesync.sales_order;
-- its keys derive from the fact
SELECT g.key OPERATOR(storesync.=) storesync.derive_key(o.create_time, 'shopee', '1', 'A1', '1', n::text) AS derived
FROM storesync.ledger g JOIN storesync.sales_order o USING (order_id), generate_series(1, 2) n
WHERE g.version = n + 1 ORDER BY n;

-- stale documents change nothing; of equal update times the later fetched one wins, an equal one that differs is applied
SELECT pg_temp.put(:one, pg_temp.doc('A1', 'cancelled', 3, '[{"line_id":"1","item_id":"100","qty":3}]'));
SELECT pg_temp.put(:one, pg_temp.doc('A2', 'ready_to_ship', 5, '[{"line_id":"1","item_id":"100","qty":1}]', 20));
SELECT pg_temp.put(:one, pg_temp.doc('A2', 'ready_to_ship', 5, '[{"line_id":"1","item_id":"100","qty":2}]', 10));
SELECT pg_temp.put(:one, pg_temp.doc('A2', 'ready_to_ship', 5, '[{"line_id":"1","item_id":"100","qty":2}]', 20));
SELECT pg_temp.put(:one, pg_temp.doc('A2', 'ready_to_ship', 5, '[{"line_id":"1","item_id":"100","qty":2}]', 40));
SELECT pg_temp.put(:one, pg_temp.doc('A2', 'ready_to_ship', 5, '[{"line_id":"1","item_id":"100","qty":1}]', 30));
-- without update_time the moment of fetching stands for it, without both the moment of the call
SELECT pg_temp.put(:one, pg_temp.doc('A2', 'ready_to_ship', 5, '[{"line_id":"1","item_id":"100","qty":1}]', 45) - 'update_time');
SELECT pg_temp.put(:one, pg_temp.doc('A2', 'cancelled', 5, '[{"line_id":"1","item_id":"100","qty":1}]', 44) - 'update_time');
SELECT pg_temp.put(:one, pg_temp.doc('A2', 'cancelled', 5, '[{"line_id":"1","item_id":"100","qty":1}]') - 'update_time' - 'fetched_at');
SELECT * FROM pg_temp.line WHERE sn = 'A2'; SELECT * FROM pg_temp.balance;

-- cancelling: partly, wholly, before and after shipping
SELECT pg_temp.put(:one, pg_temp.doc('B1', 'ready_to_ship', 1, '[{"line_id":"1","item_id":"100","qty":4}]'));
SELECT pg_temp.put(:one, pg_temp.doc('B1', 'in_cancel', 2, '[{"line_id":"1","item_id":"100","qty":4}]'));
SELECT pg_temp.put(:one, pg_temp.doc('B1', 'ready_to_ship', 3, '[{"line_id":"1","item_id":"100","qty":4,"cancelled_qty":1}]'));
SELECT pg_temp.put(:one, pg_temp.doc('B1', 'cancelled', 4, '[{"line_id":"1","item_id":"100","qty":4,"cancelled_qty":1}]'));
SELECT pg_temp.put(:one, pg_temp.doc('B1', 'ready_to_ship', 5, '[{"line_id":"1","item_id":"100","qty":4,"cancelled_qty":9}]'));
SELECT pg_temp.put(:one, pg_temp.doc('B1', 'ready_to_ship', 6, '[{"line_id":"1","item_id":"100","qty":4,"cancelled_qty":2}]'));
SELECT * FROM pg_temp.line WHERE sn = 'B1'; SELECT * FROM pg_temp.balance;
SELECT cancelled_at = c.at + interval '4 minutes' AS when_it_was FROM storesync.sales_order_line, clock c WHERE cancelled_qty > 0 AND listing_id IS NOT NULL AND qty = 4;
SELECT pg_temp.put(:one, pg_temp.doc('B1', 'shipped', 7, '[{"line_id":"1","item_id":"100","qty":4,"cancelled_qty":2}]'));
SELECT * FROM storesync.returns_due;
-- gone is gone: no newer document takes a unit back, the line is due to come back instead
SELECT pg_temp.put(:one, pg_temp.doc('B1', 'ready_to_ship', 8, '[{"line_id":"1","item_id":"100","qty":4,"cancelled_qty":2}]'));
SELECT sku, line_id, units, cause FROM storesync.returns_due;
SELECT pg_temp.put(:one, pg_temp.doc('B1', 'in_cancel', 9, '[{"line_id":"1","item_id":"100","qty":4,"cancelled_qty":2}]'));
SELECT sku, line_id, units, cause FROM storesync.returns_due;
SELECT pg_temp.put(:one, pg_temp.doc('B1', 'cancelled', 10, '[{"line_id":"1","item_id":"100","qty":4,"cancelled_qty":4}]'));
SELECT sku, line_id, units, cause FROM storesync.returns_due;
SELECT pg_temp.put(:one, pg_temp.doc('B1', 'completed', 11, '[{"line_id":"1","item_id":"100","qty":4,"cancelled_qty":2}]'));
SELECT sku, line_id, units, cause FROM storesync.returns_due WHERE order_sn = 'B1';
SELECT pg_temp.put(:one, pg_temp.doc('B1', 'completed', 12, '[{"line_id":"1","item_id":"100","qty":4,"cancelled_qty":3}]'));
SELECT sku, line_id, units, cause FROM storesync.returns_due;
SELECT pg_temp.put(:one, pg_temp.doc('B1', 'completed', 13, '[{"line_id":"1","item_id":"100","qty":1}]'));
SELECT sku, line_id, units, cause FROM storesync.returns_due;
SELECT * FROM pg_temp.line WHERE sn = 'B1'; SELECT * FROM pg_temp.balance;

-- goods back: by status, by returned_qty, only with the store's trust, never twice, never more than was shipped
SELECT pg_temp.put(:one, pg_temp.doc('C1', 'returned', 1, '[{"line_id":"1","item_id":"100","qty":1}]'));
SELECT kind, on_hand_delta, reserved_delta FROM storesync.ledger ORDER BY sku_id, version DESC LIMIT 2;
SELECT pg_temp.put(:one, pg_temp.doc('C2', 'completed', 1, '[{"line_id":"1","item_id":"100","qty":2,"returned_qty":1}]'));
SELECT order_sn, units, cause FROM storesync.returns_due WHERE order_sn = 'C2';
SELECT pg_temp.put(:one, pg_temp.doc('C2', 'returned', 2, '[{"line_id":"1","item_id":"100","qty":2,"returned_qty":1}]'));
SELECT pg_temp.put(:one, pg_temp.doc('C2', 'returned', 3, '[{"line_id":"1","item_id":"100","qty":2,"returned_qty":1}]'));
SELECT pg_temp.put(:one, pg_temp.doc('C2', 'completed', 4, '[{"line_id":"1","item_id":"100","qty":2}]'));
UPDATE storesync.store SET returns = 'platform' WHERE store_id = :one;
SELECT pg_temp.put(:one, pg_temp.doc('C2', 'completed', 5, '[{"line_id":"1","item_id":"100","qty":2,"returned_qty":9}]'));
SELECT pg_temp.put(:one, pg_temp.doc('C3', 'ready_to_ship', 1, '[{"line_id":"1","item_id":"100","qty":2,"returned_qty":1}]'));
UPDATE storesync.store SET returns = 'manual' WHERE store_id = :one;
SELECT * FROM pg_temp.line WHERE sn LIKE 'C%' ORDER BY sn; SELECT * FROM pg_temp.balance;

-- lines: packs, several, one without listing, one without item, a wrong SKU code, a status of its own
SELECT pg_temp.receive('CUP', 7, 'b'), pg_temp.receive('POT', 5, 'c');
SELECT pg_temp.put(:one, pg_temp.doc('D1', 'ready_to_ship', 1, '[
	{"line_id":"1","item_id":"200","model_id":"7","qty":2},
	{"line_id":"2","item_id":"100","model_id":"0","sku":"POT","qty":1},
	{"line_id":"3","item_id":"100","model_id":"5","qty":1},
	{"line_id":"4","sku":"POT","qty":1},
	{"line_id":"5","sku":"NONE","qty":1},
	{"line_id":"6","qty":1},
	{"line_id":"7","item_id":100,"model_id":null,"qty":"1","status":"shipped"},
	{"line_id":8,"item_id":"","sku":"POT","qty":1.0,"status":"cancelled"}]'));
SELECT * FROM pg_temp.line WHERE sn = 'D1' ORDER BY id; SELECT * FROM pg_temp.balance;
-- parked lines say so again, and are taken up once there is a listing
SELECT pg_temp.put(:one, pg_temp.doc('D1', 'ready_to_ship', 1, '[{"line_id":"3","item_id":"100","model_id":"5","qty":1}]'));
SELECT count(storesync.add_listing(:one, 'POT', '100', '5', 2));
SELECT pg_temp.put(:one, pg_temp.doc('D1', 'ready_to_ship', 1, '[{"line_id":"3","item_id":"100","model_id":"5","qty":1}]'));
-- lines that the document does not name keep their effect, lines may join later, quantities may change
SELECT pg_temp.put(:one, pg_temp.doc('D1', 'ready_to_ship', 2, '[{"line_id":"4","sku":"POT","qty":2},{"line_id":"9","sku":"POT","qty":1}]'));
SELECT id, state, res, ship, eff FROM pg_temp.line WHERE sn = 'D1' ORDER BY id; SELECT * FROM pg_temp.balance;
SELECT pg_temp.put(:one, pg_temp.doc('D1', 'cancelled', 3, '[{"line_id":"1","item_id":"200","model_id":"7","qty":2},
	{"line_id":"3","item_id":"100","model_id":"5","qty":1},{"line_id":"5","sku":"NONE","qty":1},{"line_id":"6","qty":1}]'));
SELECT id, state, canc, res, ship FROM pg_temp.line WHERE sn = 'D1' ORDER BY id; SELECT * FROM pg_temp.balance;

-- short: what the stock cannot cover is shown, and filled when stock comes, oldest paid order first
SELECT pg_temp.receive('MUG', 2, 'd');
SELECT pg_temp.put(:two,
	jsonb_set(pg_temp.doc('E1', 'unpaid', 1, '[{"line_id":"1","sku":"MUG","qty":1}]'), '{create_time}', to_jsonb(extract(epoch FROM at)::bigint - 300)),
	jsonb_set(pg_temp.doc('E2', 'ready_to_ship', 1, '[{"line_id":"1","sku":"MUG","qty":3}]'), '{create_time}', to_jsonb(extract(epoch FROM at)::bigint - 100)),
	jsonb_set(pg_temp.doc('E3', 'ready_to_ship', 1, '[{"line_id":"1","sku":"MUG","qty":2}]'), '{create_time}', to_jsonb(extract(epoch FROM at)::bigint - 200)),
	jsonb_set(pg_temp.doc('E4', 'unpaid', 1, '[{"line_id":"1","sku":"MUG","qty":1}]'), '{create_time}', to_jsonb(extract(epoch FROM at)::bigint - 400)))
FROM clock;
SELECT pg_temp.put(:two, pg_temp.doc('E2', 'ready_to_ship', 1, '[{"line_id":"1","sku":"MUG","qty":3}]'));
SELECT pg_temp.receive('MUG', 1, 'e');
SELECT sn, res, short, state, eff FROM pg_temp.line WHERE sku = 'MUG' ORDER BY sn;
SELECT * FROM storesync.receive('MUG', 2, pg_temp.k('two more'));
SELECT * FROM storesync.receive('MUG', 2, pg_temp.k('two more'));
SELECT sn, res, short, state, eff FROM pg_temp.line WHERE sku = 'MUG' ORDER BY sn;
-- units that another order gives back go to it before the page's next document
SELECT pg_temp.put(:two,
	pg_temp.doc('E3', 'cancelled', 2, '[{"line_id":"1","sku":"MUG","qty":2}]'),
	pg_temp.doc('E5', 'ready_to_ship', 2, '[{"line_id":"1","sku":"MUG","qty":1}]'),
	pg_temp.doc('E2', 'ready_to_ship', 2, '[{"line_id":"1","sku":"MUG","qty":3}]'));
SELECT sn, res, short, state, eff FROM pg_temp.line WHERE sku = 'MUG' ORDER BY sn;
SELECT status, outcome, lines FROM storesync.order_history WHERE outcome = 'filled' ORDER BY recorded_at, order_id;
-- so do units that a direct reservation or a shipment gives back
SELECT pg_temp.receive('MUG', 1, 'f');
SELECT pg_temp.put(:two, pg_temp.doc('E6', 'ready_to_ship', 2, '[{"line_id":"1","sku":"MUG","qty":1}]'));
SELECT outcome FROM storesync.reserve('MUG', 1, pg_temp.k('none left'));
SELECT pg_temp.receive('MUG', 5, 'g');
SELECT outcome FROM storesync.reserve('MUG', 3, pg_temp.k('three'));
SELECT pg_temp.put(:two, pg_temp.doc('E7', 'ready_to_ship', 2, '[{"line_id":"1","sku":"MUG","qty":9}]'));
SELECT outcome FROM storesync.release('MUG', 1, pg_temp.k('one of three'));
SELECT outcome FROM storesync.ship('MUG', 2, pg_temp.k('two of three'));
SELECT outcome FROM storesync.restock('MUG', 1, pg_temp.k('one of two'));
SELECT sn, res, short, state, eff FROM pg_temp.line WHERE sku = 'MUG' ORDER BY sn; SELECT * FROM pg_temp.balance WHERE sku = 'MUG';
-- shipped without the books having it: books what there is, the rest waits for a count and takes no delivery
SELECT pg_temp.put(:two, pg_temp.doc('E7', 'shipped', 3, '[{"line_id":"1","sku":"MUG","qty":9}]'));
SELECT pg_temp.receive('MUG', 5, 'h');
SELECT pg_temp.put(:two, pg_temp.doc('E7', 'completed', 4, '[{"line_id":"1","sku":"MUG","qty":9}]'));
SELECT sn, ship, short, state, eff FROM pg_temp.line WHERE sn = 'E7'; SELECT * FROM pg_temp.balance WHERE sku = 'MUG';
-- a SKU on backorder is never short
SELECT pg_temp.put(:two, pg_temp.doc('F1', 'ready_to_ship', 1, '[{"line_id":"1","sku":"PRE","qty":3}]'));
SELECT pg_temp.put(:two, pg_temp.doc('F1', 'shipped', 2, '[{"line_id":"1","sku":"PRE","qty":3}]'));
SELECT * FROM pg_temp.balance WHERE sku = 'PRE';

-- places: the first that covers a line, else the one with most; what does not sell is no place
SELECT count(storesync.add_location('shop')), count(storesync.add_location('back', sellable => false));
UPDATE storesync.location SET priority = 5 WHERE code = 'main';
SELECT outcome FROM storesync.receive('POT', 2, pg_temp.k('shop'), 'shop');
SELECT outcome FROM storesync.receive('POT', 50, pg_temp.k('back'), 'back');
SELECT pg_temp.put(:two, pg_temp.doc('G1', 'ready_to_ship', 1, '[{"line_id":"1","sku":"POT","qty":1}]'),
	pg_temp.doc('G2', 'ready_to_ship', 1, '[{"line_id":"1","sku":"POT","qty":2}]'),
	pg_temp.doc('G3', 'ready_to_ship', 1, '[{"line_id":"1","sku":"POT","qty":2}]'),
	pg_temp.doc('G4', 'ready_to_ship', 1, '[{"line_id":"1","sku":"POT","qty":1}]'));
SELECT sn, res, short, place FROM pg_temp.line WHERE sn LIKE 'G%' ORDER BY sn; SELECT * FROM pg_temp.balance WHERE sku = 'POT';
SELECT outcome FROM storesync.receive('POT', 4, pg_temp.k('shop again'), 'shop');
SELECT outcome FROM storesync.receive('POT', 4, pg_temp.k('main again'));
SELECT sn, res, short, place FROM pg_temp.line WHERE sn LIKE 'G%' ORDER BY sn; SELECT * FROM pg_temp.balance WHERE sku = 'POT';

-- cut-over: what was finished before it and comes in now moves nothing, ever; what is open counts
UPDATE storesync.store SET stock_from = (SELECT at + interval '1 minute' FROM clock) WHERE store_id = :two;
SELECT pg_temp.put(:two, pg_temp.doc('H1', 'completed', 2, '[{"line_id":"1","sku":"POT","qty":1},{"line_id":"2","item_id":"none","qty":1}]'),
	pg_temp.doc('H2', 'ready_to_ship', 2, '[{"line_id":"1","sku":"POT","qty":1},{"line_id":"2","sku":"POT","qty":1,"status":"shipped"}]'),
	pg_temp.doc('H1', 'returned', 3, '[{"line_id":"1","sku":"POT","qty":1},{"line_id":"3","sku":"POT","qty":1}]'),
	pg_temp.doc('H2', 'shipped', 3, '[{"line_id":"1","sku":"POT","qty":1},{"line_id":"2","sku":"POT","qty":1}]'));
SELECT sn, id, status, state, res, ship, eff FROM pg_temp.line WHERE sn LIKE 'H%' ORDER BY sn, id;
SELECT order_sn, stock_effect FROM storesync.sales_order WHERE order_sn LIKE 'H%' ORDER BY 1;

-- one order several times in a page, in document order; the same number in another shop is another order
SELECT pg_temp.put(:one, pg_temp.doc('I1', 'ready_to_ship', 2, '[{"line_id":"1","sku":"CUP","qty":1}]'),
	pg_temp.doc('I1', 'unpaid', 1, '[{"line_id":"1","sku":"CUP","qty":1}]'),
	pg_temp.doc('I1', 'shipped', 3, '[{"line_id":"1","sku":"CUP","qty":1},{"line_id":"2","sku":"CUP","qty":1}]'),
	pg_temp.doc('I1', 'shipped', 3, '[{"line_id":"1","sku":"CUP","qty":1},{"line_id":"2","sku":"CUP","qty":1}]'));
SELECT pg_temp.put(:two, pg_temp.doc('I1', 'ready_to_ship', 2, '[{"line_id":"1","sku":"CUP","qty":1}]') || jsonb_build_object('create_time', at + interval '2 minutes')) FROM clock;
SELECT sn, id, state, res, ship, eff FROM pg_temp.line WHERE sn = 'I1' ORDER BY state, id;

-- a page is one row of the outbox for each SKU, and none when nothing moved
SELECT xid AS last FROM storesync.outbox ORDER BY xid DESC LIMIT 1 \gset
SELECT count(*) FROM storesync.ingest_orders(:one, (SELECT jsonb_agg(pg_temp.doc('J' || n, 'ready_to_ship', 1,
	'[{"line_id":"1","sku":"PRE","qty":1},{"line_id":"2","sku":"CUP","qty":1},{"line_id":"3","sku":"PRE","qty":2}]')) FROM generate_series(1, 50) n));
SELECT s.code, o.version = t.version AS last_version FROM storesync.outbox o JOIN storesync.sku s ON s.sku_id = o.subject
JOIN storesync.stock t USING (sku_id) WHERE o.xid > :'last' AND o.kind = 'stock' ORDER BY 1;
SELECT xid AS last FROM storesync.outbox ORDER BY xid DESC LIMIT 1 \gset
SELECT outcome, count(*) FROM storesync.ingest_orders(:one, (SELECT jsonb_agg(pg_temp.doc('J' || n, 'ready_to_ship', 1,
	'[{"line_id":"1","sku":"PRE","qty":1},{"line_id":"2","sku":"CUP","qty":1},{"line_id":"3","sku":"PRE","qty":2}]')) FROM generate_series(1, 50) n)) GROUP BY 1;
SELECT count(*) FROM storesync.outbox WHERE xid > :'last';
SELECT * FROM storesync.ingest_orders(:one, '[]');

SELECT * FROM storesync.check_invariants();
