-- A million ledger rows and how long check_invariants() takes over them. In a database of its own:
--
--   createdb million && psql -X -d million -f bench/million.sql
--
-- 10,000 SKUs, 400,000 deliveries, 150,000 orders of two lines booked open and then shipped.
\set ON_ERROR_STOP on
CREATE EXTENSION storesync;
SELECT storesync.add_store('shopee', '1', 'One') AS store \gset
SELECT count(storesync.add_sku('S' || n)) AS skus FROM generate_series(0, 9999) n;
SELECT count(storesync.receive('S' || n % 10000, 100, storesync.new_key())) AS deliveries FROM generate_series(1, 400000) n;
CREATE FUNCTION page(page int, status text, minutes int) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_agg(jsonb_build_object('order_sn', 'O' || page || '-' || o, 'status', status,
		'create_time', d.day, 'update_time', d.day + minutes * 60,
		'lines', (SELECT jsonb_agg(jsonb_build_object('line_id', l, 'sku', 'S' || ((page * 7919 + o * 31 + l * 17) % 10000), 'qty', l))
			FROM generate_series(1, 2) l)))
	FROM generate_series(1, 200) o, (SELECT 86400 * (extract(epoch FROM now())::bigint / 86400 - 3) AS day) d $$;
SELECT count(*) AS booked FROM generate_series(1, 750) p, storesync.ingest_orders(:store, page(p, 'ready_to_ship', 1));
SELECT count(*) AS shipped FROM generate_series(1, 750) p, storesync.ingest_orders(:store, page(p, 'shipped', 2));
VACUUM ANALYZE;
SELECT count(*) AS ledger_rows FROM storesync.ledger;
\timing on
SELECT * FROM storesync.check_invariants();
SELECT * FROM storesync.check_invariants();
SELECT * FROM storesync.check_invariants();
