-- calls.sql: what calls to the platforms came to, as far back as the log goes.
--
--   psql -d shop -f reports/calls.sql
--   psql -d shop -v since=yesterday -v part=stores -f reports/calls.sql
--
-- Parts: stores, days. Variables: docs/reports.md.

\set ON_ERROR_STOP on
\set parts 'stores days'
\ir common.sql
SELECT :'part' IN ('all', 'stores') AS is_stores, :'part' IN ('all', 'days') AS is_days \gset

\if :is_stores
	\if :is_csv
	\else
		\pset title 'Calls by store, ':since' to ':until
	\endif
	SELECT c.platform, c.store, sum(c.calls) AS calls, sum(c.failed) AS failed, sum(c.throttled) AS throttled,
		round(100 * sum(c.failed) / sum(c.calls), 2) AS "failed %", round(100 * sum(c.throttled) / sum(c.calls), 2) AS "throttled %"
	FROM storesync_report.call_day c
	WHERE c.day BETWEEN :'since' AND :'until' AND c.store_id = ANY (:'stores')
	GROUP BY c.platform, c.store_id, c.store ORDER BY c.platform, c.store_id;
	\if :is_gap
		\echo
	\endif
\endif

\if :is_days
	\if :is_csv
	\else
		\pset title 'Calls by day'
	\endif
	SELECT c.day, c.platform, c.store, c.calls, c.failed, c.throttled, round(100 * c.error_rate, 2) AS "failed %", round(100 * c.throttle_rate, 2) AS "throttled %"
	FROM storesync_report.call_day c
	WHERE c.day BETWEEN :'since' AND :'until' AND c.store_id = ANY (:'stores') ORDER BY c.day, c.platform, c.store_id;
\endif
COMMIT;
