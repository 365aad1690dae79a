-- stock.sql: stock that does not move, stock that was not there, and stock that will not be. Of the whole store group:
-- stock belongs to no store, so `store` and `platform` do not matter here.
--
--   psql -d shop -f reports/stock.sql
--   psql -d shop -v format=csv -v part=forecast -v top=1000 -f reports/stock.sql
--
-- Parts: out (in the months that since and until lie in), forecast (an estimate by simple exponential smoothing, as of
-- now), dead (as of now); each the `top` 20. Variables: docs/reports.md.

\set ON_ERROR_STOP on
\set parts 'out forecast dead'
\ir common.sql
SELECT :'part' IN ('all', 'out') AS is_out, :'part' IN ('all', 'forecast') AS is_forecast, :'part' IN ('all', 'dead') AS is_dead \gset

\if :is_out
	\if :is_csv
	\else
		\pset title 'Had nothing available, and what was not sold for it (an estimate)'
	\endif
	SELECT to_char(o.month, 'YYYY-MM') AS month, o.code, o.name, round(o.hours, 1) AS hours, o.lost_units
	FROM storesync_report.stock_out o
	WHERE o.month BETWEEN date_trunc('month', :'since'::date) AND :'until'::date
	ORDER BY o.lost_units DESC NULLS LAST, o.hours DESC, o.code LIMIT :top;
	\if :is_gap
		\echo
	\endif
\endif

\if :is_forecast
	\if :is_csv
	\else
		\pset title 'Empty soonest (a forecast by simple exponential smoothing)'
	\endif
	SELECT f.code, f.name, f.available, round(f.daily_units, 2) AS daily_units, f.days_left, f.empty_on
	FROM storesync_report.forecast f
	ORDER BY f.days_left, f.daily_units DESC, f.code LIMIT :top;
	\if :is_gap
		\echo
	\endif
\endif

\if :is_dead
	\if :is_csv
	\else
		\pset title 'Not sold for 90 days'
	\endif
	SELECT d.code, d.name, d.on_hand, date_trunc('second', d.last_sale) AS last_sale, d.days
	FROM storesync_report.dead_stock d
	ORDER BY d.on_hand DESC, d.code LIMIT :top;
\endif
COMMIT;
