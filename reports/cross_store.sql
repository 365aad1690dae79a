-- cross_store.sql: who sells what where, as a matrix: units of a SKU that each store sold in the last 30 days, 0 where it
-- lists the SKU and sold none, nothing where it does not list it. `since` and `until` do not matter here.
--
--   psql -d shop -f reports/cross_store.sql
--   psql -d shop -v platform=shopee -v top=100 -v format=csv -f reports/cross_store.sql
--
-- The `top` 20 SKUs by units. Variables: docs/reports.md.

\set ON_ERROR_STOP on
\set parts 'matrix'
\ir common.sql
\if :is_csv
\else
	\pset title 'Units sold in 30 days, by SKU and store'
\endif
WITH cell AS MATERIALIZED (SELECT x.* FROM storesync_report.cross_store x WHERE x.store_id = ANY (:'stores')),
row AS (
	SELECT c.sku_id, sum(c.units_30d) AS units, row_number() OVER (ORDER BY sum(c.units_30d) DESC, min(c.code)) AS place
	FROM cell c GROUP BY c.sku_id ORDER BY place LIMIT :top)
SELECT concat_ws(' ', c.code, c.name) AS sku, concat(c.store, ' (', c.store_id, ')') AS store, c.units_30d, c.store_id AS place
FROM row r JOIN cell c ON c.sku_id = r.sku_id
ORDER BY r.place, c.store_id
\crosstabview sku store units_30d place
COMMIT;
