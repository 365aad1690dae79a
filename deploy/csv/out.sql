-- A CSV file out, of the shape that comes in again by deploy/csv/in.sql, where every row is then the same.
--
--   psql -X -q -v kind=sku -f deploy/csv/out.sql >skus.csv
--
-- kind: sku, found, listing, price, count or receipt (of those two, what came in by CSV); -v store=3 for one store's. -v bom=1 begins with the mark by which Excel knows
-- UTF-8. PGCLIENTENCODING=BIG5 for a file in Big5: a character that it does not have is an error (22P05).
\set ON_ERROR_STOP on
\if :{?store}
\else
\set store ''
\endif
\if :{?bom}
\encoding UTF8
\set mark '\357\273\277'
\echo -n :mark
\endif

SELECT :'kind' = 'sku' AS is_sku, :'kind' = 'found' AS is_found, :'kind' = 'listing' AS is_listing, :'kind' = 'price' AS is_price,
	:'kind' = 'count' AS is_count, :'kind' = 'receipt' AS is_receipt \gset
\if :is_sku
COPY (
	SELECT k.code AS sku, k.name, k.safety_stock, k.allow_backorder, k.solo_below
	FROM storesync.sku k ORDER BY k.code COLLATE "C")
TO STDOUT (FORMAT csv, HEADER);
\elif :is_found
COPY (
	SELECT f.store_id AS store, f.item_id, f.model_id, f.sku, f.pack, f.seller_code, f.name, m.verdict, m.detail
	FROM storesync.store s
	CROSS JOIN LATERAL storesync.match_listings(s.store_id) m
	JOIN storesync.listing_found f ON f.store_id = s.store_id AND f.item_id = m.item_id AND f.model_id = m.model_id
	WHERE :'store' IN ('', s.store_id::text)
	ORDER BY f.store_id, f.item_id COLLATE "C", f.model_id COLLATE "C")
TO STDOUT (FORMAT csv, HEADER);
\elif :is_listing
COPY (
	SELECT l.store_id AS store, l.item_id, l.model_id, k.code AS sku, l.pack, trim_scale(l.share) AS share, l.buffer, l.cap, l.enabled,
		trim_scale(l.price_floor) AS price_floor, l.listed, l.at_zero
	FROM storesync.listing l
	JOIN storesync.sku k ON k.sku_id = l.sku_id
	WHERE :'store' IN ('', l.store_id::text)
	ORDER BY l.store_id, l.item_id COLLATE "C", l.model_id COLLATE "C")
TO STDOUT (FORMAT csv, HEADER);
\elif :is_price
COPY (
	SELECT l.store_id AS store, l.item_id, l.model_id, trim_scale(l.price) AS price
	FROM storesync.listing l
	WHERE l.price IS NOT NULL AND :'store' IN ('', l.store_id::text)
	ORDER BY l.store_id, l.item_id COLLATE "C", l.model_id COLLATE "C")
TO STDOUT (FORMAT csv, HEADER);
\elif :is_count
COPY (
	SELECT k.code AS sku, b.units AS counted, p.code AS location, b.reference,
		to_char(b.counted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || 'Z' AS counted_at
	FROM storesync.csv_booked b
	JOIN storesync.sku k ON k.sku_id = b.sku_id
	JOIN storesync.location p ON p.location_id = b.location_id
	WHERE b.kind = 'count' ORDER BY b.reference COLLATE "C", k.code COLLATE "C", p.code COLLATE "C")
TO STDOUT (FORMAT csv, HEADER);
\elif :is_receipt
COPY (
	SELECT k.code AS sku, b.units AS qty, p.code AS location, b.reference
	FROM storesync.csv_booked b
	JOIN storesync.sku k ON k.sku_id = b.sku_id
	JOIN storesync.location p ON p.location_id = b.location_id
	WHERE b.kind = 'receipt' ORDER BY b.reference COLLATE "C", k.code COLLATE "C", p.code COLLATE "C")
TO STDOUT (FORMAT csv, HEADER);
\else
DO 'BEGIN RAISE EXCEPTION $$kind is sku, found, listing, price, count or receipt$$ USING ERRCODE = $$22023$$; END';
\endif
