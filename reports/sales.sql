-- sales.sql: what was sold: by store, by day and platform, by hour of the last day, by SKU.
--
--   psql -d shop -f reports/sales.sql                                                  the last 30 days, all stores
--   psql -d shop -v platform=shopee -v since=2026-11-01 -v until=2026-11-11 -f reports/sales.sql
--   psql -d shop -v format=csv -v part=days -f reports/sales.sql                       one part as CSV with a header
--
-- Parts: stores, days, hours (of the day `until`), skus (the `top` 20 by units). Variables: docs/reports.md.

\set ON_ERROR_STOP on
\set parts 'stores days hours skus'
\ir common.sql
SELECT :'part' IN ('all', 'stores') AS is_stores, :'part' IN ('all', 'days') AS is_days, :'part' IN ('all', 'hours') AS is_hours,
	:'part' IN ('all', 'skus') AS is_skus \gset

\if :is_stores
	\if :is_csv
	\else
		\pset title 'Sales by store, ':since' to ':until
	\endif
	SELECT d.platform, d.store, sum(d.orders) AS orders, sum(d.units) AS units, round(sum(d.amount) / 100, 2) AS amount,
		:'currencies'::jsonb ->> d.store_id::text AS currency,
		sum(d.cancelled_orders) AS cancelled, round(100 * sum(d.cancelled_orders) / nullif(sum(d.orders + d.cancelled_orders), 0), 1) AS "cancelled %",
		sum(d.returned_units) AS returned, round(100 * sum(d.returned_units) / nullif(sum(d.units), 0), 1) AS "returned %"
	FROM storesync_report.sales_day d
	WHERE d.day BETWEEN :'since' AND :'until' AND d.store_id = ANY (:'stores')
	GROUP BY d.platform, d.store_id, d.store ORDER BY d.platform, d.store_id;
	\if :is_gap
		\echo
	\endif
\endif

\if :is_days
	\if :is_csv
	\else
		\pset title 'Sales by day and platform'
	\endif
	SELECT d.day, d.platform, sum(d.orders) AS orders, sum(d.units) AS units, round(sum(d.amount) / 100, 2) AS amount,
		:'currencies'::jsonb ->> d.store_id::text AS currency, sum(d.cancelled_orders) AS cancelled, sum(d.returned_units) AS returned
	FROM storesync_report.sales_day d
	WHERE d.day BETWEEN :'since' AND :'until' AND d.store_id = ANY (:'stores')
	GROUP BY d.day, d.platform, 6 ORDER BY d.day, d.platform, 6;
	\if :is_gap
		\echo
	\endif
\endif

-- hours of each store's own clock
\if :is_hours
	\if :is_csv
	\else
		\pset title 'Sales by hour, ':until
	\endif
	SELECT h.hour AT TIME ZONE s.timezone AS hour, h.platform, sum(h.orders) AS orders, sum(h.units) AS units, round(sum(h.amount) / 100, 2) AS amount,
		:'currencies'::jsonb ->> h.store_id::text AS currency
	FROM storesync_report.sales_hour h JOIN storesync.store s ON s.store_id = h.store_id
	WHERE h.hour >= :'until'::timestamp AT TIME ZONE s.timezone AND h.hour < (:'until'::date + 1)::timestamp AT TIME ZONE s.timezone
		AND h.store_id = ANY (:'stores')
	GROUP BY h.hour AT TIME ZONE s.timezone, h.platform, 6 ORDER BY 1, 2, 6;
	\if :is_gap
		\echo
	\endif
\endif

\if :is_skus
	\if :is_csv
	\else
		\pset title 'SKUs sold most, ':since' to ':until
	\endif
	SELECT d.code, d.name, count(DISTINCT d.store_id) AS stores, sum(d.orders) AS orders, sum(d.sku_units) AS units, round(sum(d.amount) / 100, 2) AS amount,
		:'currencies'::jsonb ->> d.store_id::text AS currency
	FROM storesync_report.sales_sku(:'since', :'until') d
	WHERE d.store_id = ANY (:'stores')
	GROUP BY d.sku_id, d.code, d.name, 7 ORDER BY sum(d.sku_units) DESC, d.code, 7 LIMIT :top;
\endif
COMMIT;
