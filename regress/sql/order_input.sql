-- Bad input to orders: each gets its word or its SQLSTATE, and leaves nothing half done.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
SELECT storesync.add_store('shopee', '1', 'One') AS one \gset
SELECT count(storesync.add_sku('TEA'));
CREATE FUNCTION pg_temp.doc(changes jsonb DEFAULT '{}', line jsonb DEFAULT '{}') RETURNS jsonb
	LANGUAGE SQL AS $$ SELECT jsonb_build_object('order_sn', 'A1', 'status', 'ready_to_ship',
		'create_time', extract(epoch FROM now())::bigint - 60,
		'lines', jsonb_build_array('{"line_id":"1","sku":"TEA","qty":1}'::jsonb || line)) || changes $$;
CREATE FUNCTION pg_temp.said(store int, doc jsonb) RETURNS text
	LANGUAGE SQL AS $$ SELECT outcome || coalesce(': ' || (detail->>'reason'), '') FROM storesync.ingest_order(store, doc) $$;
SELECT (storesync.receive('TEA', 5, storesync.new_key())).outcome;

-- the call as a whole
SELECT * FROM storesync.ingest_orders(:one, NULL);
SELECT * FROM storesync.ingest_orders(NULL, '[]');
SELECT * FROM storesync.ingest_order(:one, NULL);
SELECT * FROM storesync.ingest_orders(-1, '[]');
SELECT * FROM storesync.ingest_order(-1, pg_temp.doc());
SELECT * FROM storesync.ingest_orders(:one, '{}');
SELECT * FROM storesync.ingest_orders(:one, '7');
SELECT * FROM storesync.ingest_orders(:one, '"x"');
SELECT * FROM storesync.ingest_orders(:one, 'null');
SELECT * FROM storesync.ingest_orders(:one, (SELECT jsonb_agg(n) FROM generate_series(1, 10001) n));
-- lines of a page together, sound or not
SELECT * FROM storesync.ingest_orders(:one, (SELECT jsonb_agg(pg_temp.doc(jsonb_build_object('order_sn', 'L' || n, 'lines', x.lines)))
	FROM generate_series(1, 11) n, (SELECT jsonb_agg(0) AS lines FROM generate_series(1, 9091)) x));
SELECT outcome, count(*) FROM storesync.ingest_orders(:one, (SELECT jsonb_agg(pg_temp.doc(jsonb_build_object('order_sn', 'L' || n, 'lines', x.lines)))
	FROM generate_series(1, 10) n, (SELECT jsonb_agg(0) AS lines FROM generate_series(1, 10000)) x)) GROUP BY 1;
\set VERBOSITY sqlstate
SELECT * FROM storesync.ingest_orders(:one, NULL);
SELECT * FROM storesync.ingest_orders(-1, '[]');
SELECT * FROM storesync.ingest_orders(:one, '{}');
SELECT * FROM storesync.ingest_orders(:one, '[');
SELECT * FROM storesync.ingest_orders(:one, E'["\\u0000"]');
SELECT * FROM storesync.ingest_orders(:one, E'["\xff"]');
BEGIN READ ONLY;
SELECT * FROM storesync.ingest_orders(:one, '[]');
ROLLBACK;
\set VERBOSITY terse

-- one document: what is no order
SELECT d AS document, pg_temp.said(:one, d) FROM unnest(ARRAY['{}', '[]', '[[]]', '7', '"x"', 'null', 'true']::jsonb[]) d;
-- a field that is missing
SELECT f AS missing, pg_temp.said(:one, pg_temp.doc() - f) FROM unnest(ARRAY['order_sn', 'status', 'create_time', 'lines']) f;
-- a field of the order that is wrong
SELECT regexp_replace(left(c::text, 60), '(?<!\d)\d{10}(?!\d)', 'N') AS changes, pg_temp.said(:one, pg_temp.doc(c)) FROM unnest(ARRAY[
	'{"order_sn":null}', '{"order_sn":""}', '{"order_sn":1.5}', '{"order_sn":-1}', '{"order_sn":{}}', '{"order_sn":true}',
	jsonb_build_object('order_sn', repeat('x', 201)),
	'{"status":null}', '{"status":"lost"}', '{"status":"SHIPPED"}', '{"status":7}', '{"status":["shipped"]}',
	'{"create_time":null}', '{"create_time":"yesterday"}', '{"create_time":"now"}', '{"create_time":""}', '{"create_time":true}', '{"create_time":{}}',
	'{"create_time":-1}', '{"create_time":0}', '{"create_time":1700000000000}', '{"create_time":1e300}', '{"create_time":"99999999999999999999"}',
	'{"create_time":"2026-13-01T00:00:00Z"}', '{"create_time":"2026-02-29T00:00:00Z"}', '{"create_time":"2026-01-01"}',
	'{"create_time":"2026-01-01T00:00:00"}', '{"create_time":"2026-01-01T24:00:00Z"}', '{"create_time":"2026-01-01T00:00:00Zx"}',
	'{"create_time":"2026-01-01T00:00:00+16:00"}', '{"create_time":"2026-01-01T00:00:00.Z"}', '{"create_time":"0001-01-01T00:00:00Z"}',
	jsonb_build_object('create_time', extract(epoch FROM now())::bigint - 731 * 86400),
	jsonb_build_object('create_time', extract(epoch FROM now())::bigint + 86400 + 60),
	jsonb_build_object('update_time', extract(epoch FROM now())::bigint + 86400 + 60),
	jsonb_build_object('fetched_at', extract(epoch FROM now())::bigint + 86400 + 60),
	'{"update_time":"soon"}', '{"fetched_at":[]}', '{"buyer":{}}', jsonb_build_object('buyer', repeat('x', 201)), '{"currency":1.5}',
	'{"lines":null}', '{"lines":{}}', '{"lines":[]}', '{"lines":"x"}', '{"lines":[1]}', '{"lines":[[]]}', '{"lines":[null]}']::jsonb[]) c;
-- a field of a line that is wrong
SELECT left(c::text, 60) AS changes, pg_temp.said(:one, pg_temp.doc(line => c)) FROM unnest(ARRAY[
	'{"line_id":null}', '{"line_id":""}', '{"line_id":[]}', jsonb_build_object('line_id', repeat('x', 201)),
	'{"item_id":{}}', jsonb_build_object('item_id', repeat('x', 201)), '{"model_id":1.5}', '{"sku":false}', jsonb_build_object('sku', repeat('x', 201)),
	'{"qty":null}', '{"qty":0}', '{"qty":-1}', '{"qty":1.5}', '{"qty":1000000000001}', '{"qty":1e400}', '{"qty":"x"}', '{"qty":""}', '{"qty":"-1"}',
	'{"qty":"99999999999999999999999"}', '{"qty":[1]}', '{"qty":true}',
	'{"cancelled_qty":-1}', '{"cancelled_qty":0.5}', '{"cancelled_qty":9223372036854775808}', '{"returned_qty":-1}', '{"returned_qty":"one"}',
	'{"unit_price":-1}', '{"unit_price":"x"}', '{"unit_price":"1e5"}', '{"unit_price":"1."}', '{"unit_price":"-1"}', '{"unit_price":1e30}', '{"unit_price":{}}',
	'{"status":"lost"}', '{"status":7}']::jsonb[]) c;
SELECT pg_temp.said(:one, pg_temp.doc('{"lines":[{"line_id":"1","sku":"TEA","qty":1},{"line_id":1,"sku":"TEA","qty":1}]}'));
SELECT pg_temp.said(:one, jsonb_set(pg_temp.doc(), '{lines}', (SELECT jsonb_agg(jsonb_build_object('line_id', n, 'sku', 'TEA', 'qty', 1)) FROM generate_series(1, 10001) n)));
-- nothing of all that is booked, and nothing is written but by sound documents
SELECT (SELECT count(*) FROM storesync.sales_order) AS orders, (SELECT count(*) FROM storesync.sales_order_line) AS lines,
	(SELECT count(*) FROM storesync.order_history) AS history, storesync.available('TEA');

-- what is accepted: ids as numbers, quantities and prices as strings, times in both ways, null for missing, unknown fields
SELECT pg_temp.said(:one, pg_temp.doc(jsonb_build_object('order_sn', n) || c)) FROM unnest(ARRAY[
	jsonb_build_object('create_time', to_char(now() AT TIME ZONE 'UTC' - interval '1 minute', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')),
	jsonb_build_object('create_time', to_char(now() AT TIME ZONE 'UTC' + interval '8 hours', 'YYYY-MM-DD HH24:MI:SS.US+08:00')),
	jsonb_build_object('create_time', to_char(now() AT TIME ZONE 'UTC' - interval '210 minutes', 'YYYY-MM-DD"T"HH24:MI"-0330"')),
	jsonb_build_object('create_time', (extract(epoch FROM now())::bigint - 60)::text),
	jsonb_build_object('create_time', extract(epoch FROM now()) - 60),
	'{"update_time":null,"fetched_at":null,"buyer":null,"currency":"TWD","what":{"ever":[1]}}']::jsonb[]) WITH ORDINALITY x (c, n);
SELECT order_sn, abs(extract(epoch FROM recorded_at - create_time)) < 600 AS recent, update_time = fetched_at AS same, currency FROM storesync.sales_order ORDER BY order_sn;
SELECT pg_temp.said(:one, pg_temp.doc('{"order_sn":"B1"}', '{"line_id":7,"qty":"2","cancelled_qty":"1","returned_qty":null,"unit_price":"199.50","status":null}'));
SELECT line_id, qty, cancelled_qty, returned_qty, unit_price, l.status, state FROM storesync.sales_order_line l JOIN storesync.sales_order o USING (order_id) WHERE order_sn = 'B1';
-- the largest quantities there are, times a pack
SELECT count(storesync.add_listing(:one, 'TEA', '9', pack => 2147483647));
SELECT outcome, detail FROM storesync.ingest_order(:one, pg_temp.doc('{"order_sn":"B2"}', '{"item_id":"9","qty":1000000000000}'));
SELECT outcome FROM storesync.ingest_order(:one, pg_temp.doc(jsonb_build_object('order_sn', 'B2', 'status', 'cancelled', 'update_time', extract(epoch FROM now())::bigint + 60), '{"item_id":"9","qty":1000000000000}'));

-- a bad document does not stop the rest of its page, whichever place it has
SELECT order_sn, outcome FROM storesync.ingest_orders(:one, jsonb_build_array(7, pg_temp.doc('{"order_sn":"C1"}'), pg_temp.doc('{"order_sn":"C2","status":"x"}'),
	pg_temp.doc('{"order_sn":"C3"}', '{"qty":0}'), pg_temp.doc('{"order_sn":"C4"}', '{"sku":"NONE"}'), '{}'::jsonb)) WITH ORDINALITY x ORDER BY ordinality;
-- an error after the call undoes all of it
BEGIN;
SELECT outcome FROM storesync.ingest_order(:one, pg_temp.doc('{"order_sn":"C5"}'));
SELECT 1 / 0;
ROLLBACK;
SELECT count(*) FROM storesync.sales_order WHERE order_sn = 'C5';

-- 10,000 lines, a SKU in all of them; and once more, and cancelled
SELECT (storesync.receive('TEA', 9000, storesync.new_key())).outcome;
CREATE TEMP TABLE big AS SELECT jsonb_set(pg_temp.doc('{"order_sn":"D1"}'), '{lines}',
	(SELECT jsonb_agg(jsonb_build_object('line_id', n, 'sku', 'TEA', 'qty', 1)) FROM generate_series(1, 10000) n)) AS doc;
SELECT outcome, jsonb_array_length(detail) FROM big, storesync.ingest_order(:one, doc);
SELECT outcome, jsonb_array_length(detail) FROM big, storesync.ingest_order(:one, doc);
SELECT state, count(*), sum(reserved) AS reserved, sum(short) AS short FROM storesync.sales_order_line l JOIN storesync.sales_order o USING (order_id)
WHERE order_sn = 'D1' GROUP BY state ORDER BY state;
SELECT outcome FROM big, storesync.ingest_order(:one, doc || jsonb_build_object('status', 'cancelled', 'update_time', extract(epoch FROM now())::bigint + 60));
SELECT state, count(*) FROM storesync.sales_order_line l JOIN storesync.sales_order o USING (order_id) WHERE order_sn = 'D1' GROUP BY state ORDER BY state;
-- 10,000 documents in a page
SELECT outcome, count(*) FROM storesync.ingest_orders(:one, (SELECT jsonb_agg(pg_temp.doc(jsonb_build_object('order_sn', 'E' || n))) FROM generate_series(1, 10000) n)) GROUP BY 1 ORDER BY 1;
SELECT storesync.available('TEA');

-- other encodings: a LATIN1 client's bytes mean what they mean there
SET client_encoding = 'LATIN1';
SELECT outcome FROM storesync.ingest_order(:one, pg_temp.doc('{"order_sn":"Fé"}'));
RESET client_encoding;
SELECT order_sn, octet_length(order_sn) FROM storesync.sales_order WHERE order_sn LIKE 'F%';
SELECT outcome FROM storesync.ingest_order(:one, pg_temp.doc('{"order_sn":"訂單一號"}', '{"line_id":"行"}'));
SELECT pg_temp.said(:one, pg_temp.doc(jsonb_build_object('order_sn', repeat('單', 67))));
SELECT outcome FROM storesync.ingest_order(:one, pg_temp.doc(E'{"order_sn":"G\xe9"}'::jsonb));
SELECT outcome FROM storesync.ingest_order(:one, pg_temp.doc(E'{"order_sn":"G\xed\xa0\x80"}'::jsonb));
SELECT count(*) FROM storesync.sales_order WHERE order_sn LIKE 'G%';

SELECT * FROM storesync.check_invariants();
