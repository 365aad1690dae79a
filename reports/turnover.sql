-- turnover.sql: how often stock turns over, and how much of what came in was sold. Of the whole store group: stock
-- belongs to no store, so `store` and `platform` do not matter here. Whole months: those that since and until lie in.
--
--   psql -d shop -f reports/turnover.sql
--   psql -d shop -v since=2026-01-01 -v until=2026-12-31 -v top=100 -f reports/turnover.sql
--
-- Parts: months (all SKUs together), skus (the `top` 20 by units sold), sell_through (the `top` 20 that came in and sold
-- least of it). Variables: docs/reports.md.

\set ON_ERROR_STOP on
\set parts 'months skus sell_through'
\ir common.sql
SELECT :'part' IN ('all', 'months') AS is_months, :'part' IN ('all', 'skus') AS is_skus, :'part' IN ('all', 'sell_through') AS is_sell_through \gset

\if :is_months
	\if :is_csv
	\else
		\pset title 'Turnover by month, all SKUs, in units'
	\endif
	SELECT to_char(m.month, 'YYYY-MM') AS month, m.sold, m.average_stock, round(m.turnover, 2) AS turnover, round(m.days_of_supply, 1) AS days_of_supply
	FROM storesync_report.turnover_group_month m
	WHERE m.month BETWEEN date_trunc('month', :'since'::date) AND :'until'::date ORDER BY m.month;
	\if :is_gap
		\echo
	\endif
\endif

\if :is_skus
	\if :is_csv
	\else
		\pset title 'Turnover by SKU'
	\endif
	SELECT t.code, t.name, t.sold, t.average_stock, round(t.turnover, 2) AS turnover, round(t.days_of_supply, 1) AS days_of_supply
	FROM storesync_report.turnover(:'since', :'until') t
	ORDER BY t.sold DESC, t.code LIMIT :top;
	\if :is_gap
		\echo
	\endif
\endif

\if :is_sell_through
	\if :is_csv
	\else
		\pset title 'Came in and sold least of it'
	\endif
	SELECT t.code, t.name, t.received, t.sold, round(100 * t.rate, 1) AS "sell-through %"
	FROM storesync_report.sell_through(:'since', :'until') t
	WHERE t.received > 0 ORDER BY t.rate, t.received DESC, t.code LIMIT :top;
\endif
COMMIT;
