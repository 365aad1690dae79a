-- Orders and products by fragments: what is found, by whom, and that runs of orders, changes and orders in no
-- run yet find together what looking through everything finds.
\set VERBOSITY terse
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
SELECT storesync.add_store('shopee', '1', 'one') AS one, storesync.add_store('ruten', '2', 'two') AS two \gset

-- Text as searches see it
SELECT storesync.search_contains('T-Shirt ＡＢＣ', 'shirt ab'), storesync.search_contains('ÄPFEL Ελιά Чай', 'äpfel ελ'), storesync.search_contains('Чай', 'ЧА'),
	storesync.search_contains('１００％　純棉', '100% 純'), storesync.search_contains('純棉上衣', '棉上'), storesync.search_contains('a_b', 'aXb');
SELECT storesync.search_grams('ab') <@ storesync.search_grams('XABC'), storesync.search_grams('abd') <@ storesync.search_grams('xabc'),
	storesync.search_grams(VARIADIC '{}'), storesync.search_grams(NULL, 'a');
SELECT storesync.search_query('ABCD', 5) <@ storesync.search_grams('-abcd-'), cardinality(storesync.search_query('ABCD', 5)), cardinality(storesync.search_query(' 棉衣 ', 5));

-- What cannot be looked for
SELECT * FROM storesync.search_orders(NULL);
SELECT * FROM storesync.search_orders('');
SELECT * FROM storesync.search_orders('棉');
SELECT * FROM storesync.search_orders('  a  ');
SELECT * FROM storesync.search_orders('%');
SELECT * FROM storesync.search_orders(repeat('x', 201));
SELECT * FROM storesync.search_orders('ab', NULL);
SELECT * FROM storesync.search_orders('ab', 0);
SELECT * FROM storesync.search_orders('ab', 1001);
SELECT * FROM storesync.search_products(NULL);
SELECT * FROM storesync.search_products('棉');
SELECT * FROM storesync.search_products('ab', 0);
SELECT * FROM storesync.search_products('ab', NULL);
SELECT * FROM storesync.search_orders('nothing');
SELECT * FROM storesync.search_products('nothing');

-- Products
SELECT storesync.add_sku('TS-100', '純棉短袖上衣 黑色'), storesync.add_sku('TS-1001', '純棉長袖上衣'), storesync.add_sku('CUP_5%', 'Steel Cup ５００ml'), storesync.add_sku('BARE');
SELECT storesync.add_listing(:one, 'TS-100', '80012345', '77'), storesync.add_listing(:two, 'TS-100', '2211', NULL), storesync.add_listing(:one, 'CUP_5%', '80099999');
INSERT INTO storesync.listing_walk (run, store_id, ended_at, current) VALUES (1, :one, now(), true), (2, :one, NULL, false);
INSERT INTO storesync.listing_seen (run, store_id, item_id, model_id, seller_code, name, reserved, listed, ended, writable, seen_at)
VALUES (1, :one, '80012345', '77', 'A9', '【現貨】純棉上衣', 0, true, false, true, now()), (1, :one, '5', '', 'OLD-1', '竹蓆', 0, true, false, true, now()),
	(2, :one, '80012345', '77', 'A9', '還沒讀完', 0, true, false, true, now());
SELECT code, store_id, item_id, model_id, field, matched FROM storesync.search_products('ts-100');
SELECT code, store_id, item_id, model_id, field, matched FROM storesync.search_products('TS-100', 1);
SELECT code, store_id, item_id, model_id, field, matched FROM storesync.search_products('純棉');
SELECT code, field, matched FROM storesync.search_products('500M');
SELECT code, field, matched FROM storesync.search_products('_5%');
SELECT code, item_id, field, matched FROM storesync.search_products('8001');
SELECT code, item_id, model_id, field, matched FROM storesync.search_products('77');
SELECT sku_id, code, item_id, field, matched FROM storesync.search_products('竹蓆');
SELECT code, item_id, field, matched FROM storesync.search_products('old-');
SELECT count(*) FROM storesync.search_products('還沒');
UPDATE storesync.sku SET name = '不鏽鋼杯' WHERE code = 'CUP_5%';
SELECT count(*) FROM storesync.search_products('steel');
SELECT code FROM storesync.search_products('鏽鋼');

-- Orders: each one's first reason, the last booked first
CREATE FUNCTION pg_temp.doc(sn text, buyer text, lines jsonb, minutes int DEFAULT 0) RETURNS jsonb LANGUAGE sql
	RETURN jsonb_strip_nulls(jsonb_build_object('order_sn', sn, 'status', 'ready_to_ship', 'create_time', extract(epoch FROM date_trunc('hour', now()))::bigint - 86400,
		'update_time', extract(epoch FROM date_trunc('hour', now()))::bigint - 80000 + minutes * 60, 'buyer', buyer, 'lines', lines));
SELECT outcome FROM storesync.ingest_orders(:one, jsonb_build_array(
	pg_temp.doc('261120AB7XQ2', 'Amy_Lin88', '[{"line_id":"1","sku":"TS-100","qty":1}]'),
	pg_temp.doc('261120CC00TS', '王小明', '[{"line_id":"1","sku":"CUP_5%","qty":1},{"line_id":"2","sku":"TS-1001","qty":1}]'),
	pg_temp.doc('261121ZZ', NULL, '[{"line_id":"1","sku":"NEW-7","qty":1}]')));
SELECT order_sn, buyer, field, matched FROM storesync.search_orders('261120');
SELECT order_sn, buyer, field, matched FROM storesync.search_orders('ab7');
SELECT order_sn, buyer, field, matched FROM storesync.search_orders('小明');
SELECT order_sn, buyer, field, matched FROM storesync.search_orders('Y_');
SELECT order_sn, buyer, field, matched FROM storesync.search_orders('ts');
SELECT order_sn, buyer, field, matched FROM storesync.search_orders('純棉');
SELECT order_sn, field, matched FROM storesync.search_orders('new-7');
SELECT order_sn FROM storesync.search_orders('%1');
SELECT order_sn, store_id, status FROM storesync.search_orders('2611', 1);

-- By whom: an application neither sees buyers nor finds by them.
CREATE ROLE search_application;
CREATE ROLE search_reporter;
CREATE ROLE search_nobody;
SELECT FROM storesync.grant_role('search_application', 'application');
SELECT FROM storesync.grant_role('search_reporter', 'reporter');
SET ROLE search_application;
SELECT order_sn, buyer, field, matched FROM storesync.search_orders('純棉');
SELECT order_sn FROM storesync.search_orders('小明');
SELECT code, field FROM storesync.search_products('鏽鋼');
SELECT count(*) FROM storesync.search_run;
CALL storesync.search_refresh();
SET ROLE search_reporter;
SELECT order_sn, buyer FROM storesync.search_orders('小明');
SELECT behind, runs FROM storesync.search_status;
SELECT storesync.search_step();
SET ROLE search_nobody;
SELECT order_sn FROM storesync.search_orders('小明');
RESET ROLE;

-- What looking through everything finds
CREATE FUNCTION pg_temp.differing(fragments text[]) RETURNS TABLE(fragment text, found bigint, there bigint) LANGUAGE sql AS $$
	SELECT f, cardinality(s.found), cardinality(n.there) FROM unnest($1) f
	CROSS JOIN LATERAL (SELECT ARRAY(SELECT order_id FROM storesync.search_orders(f, 1000)) AS found) s
	CROSS JOIN LATERAL (SELECT ARRAY(SELECT o.order_id FROM storesync.sales_order o
		WHERE storesync.search_contains(o.order_sn, f) OR storesync.search_contains(o.buyer, f)
			OR EXISTS (SELECT FROM storesync.sales_order_line l LEFT JOIN storesync.sku k ON k.sku_id = l.sku_id
				WHERE l.order_id = o.order_id AND (storesync.search_contains(coalesce(k.code, l.sku_code), f) OR storesync.search_contains(k.name, f)))
		ORDER BY o.order_id DESC LIMIT 1000) AS there) n
	WHERE s.found IS DISTINCT FROM n.there $$;
SELECT count(*) AS skus FROM (SELECT storesync.add_sku('K' || i, CASE i % 3 WHEN 0 THEN '竹製' WHEN 1 THEN 'Bamboo ' ELSE '玻璃' END || chr(20000 + i) || chr(21000 + i * 7)) FROM generate_series(1, 400) i) x;
CREATE TABLE public.fragments AS
SELECT array_agg(DISTINCT f) AS list FROM (
	SELECT substr(upper(md5(i::text)), 1 + i % 5, 2 + i % 7) AS f FROM generate_series(1, 24) i
	UNION ALL SELECT 'k' || i FROM generate_series(7, 400, 61) i
	UNION ALL SELECT chr(20000 + i) || chr(21000 + i * 7) FROM generate_series(1, 400, 67) i
	UNION ALL SELECT unnest('{竹製,bamboo,玻璃,小明,amy,26,00,0000,2026,9999,K400,陳雅,陳大文,大文,文5,user,R1,r12,NEW-7,nothing,無此}'::text[])) x;
CREATE FUNCTION pg_temp.book(from_n int, to_n int, minutes int, skus int DEFAULT 397, suffix text DEFAULT '') RETURNS TABLE(outcome text, orders bigint) LANGUAGE sql AS $$
	SELECT r.outcome, count(*) FROM storesync.ingest_orders(1, (SELECT jsonb_agg(pg_temp.doc('26' || upper(substr(md5(i::text), 1, 10)),
			CASE i % 3 WHEN 0 THEN 'user' || i WHEN 1 THEN '陳大文' || i % 100 END || suffix,
			jsonb_build_array(jsonb_build_object('line_id', '1', 'sku', 'K' || (1 + i * 31 % skus), 'qty', 1)), minutes)) FROM generate_series(from_n, to_n) i)) r
	GROUP BY 1 $$;
SELECT * FROM pg_temp.book(1, 5000, 0);
SELECT * FROM pg_temp.differing((SELECT list FROM public.fragments));
CALL storesync.search_refresh();
SELECT through, behind, runs, orders, changed FROM storesync.search_status;
SELECT * FROM pg_temp.differing((SELECT list FROM public.fragments));

-- Changed after their run was made: another buyer, another line, a SKU where there was none
SELECT * FROM pg_temp.book(1, 100, 5, 397, 'R1');
SELECT (storesync.ingest_order(:one, pg_temp.doc('261120AB7XQ2', NULL, '[{"line_id":"2","sku":"K400","qty":1}]', 6))).outcome;
SELECT storesync.add_sku('NEW-7', '竹製無此') IS NOT NULL AS taken_up;
SELECT changed FROM storesync.search_status;
SELECT order_sn, field FROM storesync.search_orders('無此');
SELECT order_sn, field FROM storesync.search_orders('K400');
SELECT * FROM pg_temp.differing((SELECT list FROM public.fragments));
-- what says nothing new changes nothing
SELECT * FROM pg_temp.book(1, 100, 7, 397, 'R1');
SELECT changed FROM storesync.search_status;
-- more of them are added to their run
SELECT * FROM pg_temp.book(101, 500, 5, 397, 'R1');
SELECT changed FROM storesync.search_status;
CALL storesync.search_refresh();
SELECT changed FROM storesync.search_status;
SELECT * FROM pg_temp.differing((SELECT list FROM public.fragments));

-- Ids that nobody has are passed over, full runs become one, and runs of orders that have gone go.
SELECT setval('storesync.order_id_seq', 65530);
SELECT * FROM pg_temp.book(6001, 7000, 0);
SELECT setval('storesync.order_id_seq', 200000);
SELECT * FROM pg_temp.book(8001, 13000, 0);
CALL storesync.search_refresh();
SELECT from_id, ids, orders FROM storesync.search_run ORDER BY from_id;
SELECT through, behind, runs, orders FROM storesync.search_status;
SELECT * FROM pg_temp.differing((SELECT list FROM public.fragments));
SELECT order_id, order_sn FROM storesync.search_orders((SELECT order_sn FROM storesync.sales_order ORDER BY order_id LIMIT 1));
BEGIN;
DELETE FROM storesync.sales_order WHERE order_id < 3000;
DELETE FROM storesync.sales_order WHERE order_id BETWEEN 65536 AND 131072;
SELECT storesync.search_forget(-1), storesync.search_forget(65536);
SELECT from_id, ids, orders FROM storesync.search_run ORDER BY from_id;
SELECT * FROM pg_temp.differing((SELECT list FROM public.fragments));
ROLLBACK;

-- One at a time, with a snapshot for each statement, and nothing of it in a dump
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT storesync.search_step();
ROLLBACK;
SELECT c.relname FROM pg_extension e, unnest(e.extconfig) x JOIN pg_class c ON c.oid = x WHERE e.extname = 'storesync' AND c.relname LIKE 'search%';
-- Damage is told.
SELECT storesync.search_merge('\x00', 0);
SELECT storesync.search_pack(65536, '{ab}', 1);
SELECT * FROM storesync.check_invariants();
DROP TABLE public.fragments;
DROP OWNED BY search_application, search_reporter;
DROP ROLE search_application, search_reporter, search_nobody;
