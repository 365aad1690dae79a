-- delay.sql: how late orders came through, in milliseconds: from the platform's create time until they were booked, and
-- until a shop acknowledged the first quantity that they changed; and how long listings were wrong.
--
--   psql -d shop -f reports/delay.sql
--   psql -d shop -v platform=ruten -v since=yesterday -f reports/delay.sql
--
-- Parts: period, days (by platform; of `store` its platform's), writes (by store). Variables: docs/reports.md.

\set ON_ERROR_STOP on
\set parts 'period days writes'
\ir common.sql
SELECT :'part' IN ('all', 'period') AS is_period, :'part' IN ('all', 'days') AS is_days, :'part' IN ('all', 'writes') AS is_writes \gset

\if :is_period
	\if :is_csv
	\else
		\pset title 'Delay of orders by platform, ':since' to ':until', in ms'
	\endif
	SELECT d.platform, d.stage, d.orders, d.p50_ms, d.p95_ms, d.p99_ms
	FROM storesync_report.delay(:'since', :'until') d
	WHERE d.platform = ANY (:'platforms') ORDER BY d.platform, d.stage;
	\if :is_gap
		\echo
	\endif
\endif

\if :is_days
	\if :is_csv
	\else
		\pset title 'Delay of orders by day, in ms'
	\endif
	SELECT d.day, d.platform, d.stage, d.orders, d.p50_ms, d.p95_ms, d.p99_ms
	FROM storesync_report.delay_day d
	WHERE d.day BETWEEN :'since' AND :'until' AND d.platform = ANY (:'platforms') ORDER BY d.day, d.platform, d.stage;
	\if :is_gap
		\echo
	\endif
\endif

\if :is_writes
	\if :is_csv
	\else
		\pset title 'From a change of stock to the shop''s answer, by day, in ms (as far back as the log goes)'
	\endif
	SELECT p.day, p.platform, p.store, p.writes, p.failed, p.p50_ms, p.p95_ms, p.p99_ms
	FROM storesync_report.push_day p
	WHERE p.day BETWEEN :'since' AND :'until' AND p.store_id = ANY (:'stores') ORDER BY p.day, p.platform, p.store_id;
\endif
COMMIT;
