-- conversion.sql: how many visits became orders, by store and by day.
--
--   psql -d shop -f reports/conversion.sql
--   psql -d shop -v store='the shop''s name' -v since=2026-11-01 -f reports/conversion.sql
--
-- Parts: stores (of the period: sums divided, over days whose visits are known), days. Variables: docs/reports.md.

\set ON_ERROR_STOP on
\set parts 'stores days'
\ir common.sql
SELECT :'part' IN ('all', 'stores') AS is_stores, :'part' IN ('all', 'days') AS is_days \gset

\if :is_stores
	\if :is_csv
	\else
		\pset title 'Conversion by store, ':since' to ':until
	\endif
	SELECT c.platform, c.store, sum(c.orders) AS orders, count(c.visits) AS days_with_visits, sum(c.visits) AS visits,
		round(100 * sum(c.orders) FILTER (WHERE c.visits IS NOT NULL) / nullif(sum(c.visits), 0), 2) AS "conversion %"
	FROM storesync_report.conversion_day c
	WHERE c.day BETWEEN :'since' AND :'until' AND c.store_id = ANY (:'stores')
	GROUP BY c.platform, c.store_id, c.store ORDER BY c.platform, c.store_id;
	\if :is_gap
		\echo
	\endif
\endif

\if :is_days
	\if :is_csv
	\else
		\pset title 'Conversion by day'
	\endif
	SELECT c.day, c.platform, c.store, c.orders, c.visits, round(100 * c.conversion, 2) AS "conversion %", c.source
	FROM storesync_report.conversion_day c
	WHERE c.day BETWEEN :'since' AND :'until' AND c.store_id = ANY (:'stores')
	ORDER BY c.day, c.platform, c.store_id;
\endif
COMMIT;
