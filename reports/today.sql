-- today.sql: every morning's summary, read in a minute: what is not well, each store in a line, what waits for people
-- with the call that settles it, and what was changed since yesterday. A part that has nothing to say is one line.
-- Reads tables and views alone, so it runs on a standby; for an operator or reporter.
--
--   psql -d shop -f reports/today.sql
--   psql -d shop -v store=3 -v top=10 -f reports/today.sql                  one store, ten rows of each kind of work
--   psql -d shop -v format=csv -v part=work -v top=1000 -f reports/today.sql
--
-- Parts: state, stores, work (of each kind the `top` first rows, 2), changes. Variables: docs/reports.md.

\set ON_ERROR_STOP on
\set parts 'state stores work changes'
\if :{?top}
\else
	\set top 2
\endif
\ir common.sql
SELECT :'part' IN ('all', 'state') AS is_state, :'part' IN ('all', 'stores') AS is_stores, :'part' IN ('all', 'work') AS is_work, :'part' IN ('all', 'changes') AS is_changes \gset
\pset footer off

\if :is_state
	\if :is_csv
		SELECT h.component, h.state, h.reason FROM storesync.health() h WHERE h.state <> 'ok';
		\if :is_gap
			\echo
		\endif
	\else
		\pset tuples_only on
		\pset format unaligned
		WITH bad AS (SELECT row_number() OVER (ORDER BY h.state = 'degraded', h.component) AS n, count(*) OVER () AS all_of_them, h.*
			FROM storesync.health() h WHERE h.state <> 'ok')
		SELECT x.line FROM (
			SELECT 0 AS n, to_char(now(), 'YYYY-MM-DD HH24:MI') || CASE WHEN pg_is_in_recovery() THEN ' on a standby' ELSE '' END
				|| CASE WHEN NOT EXISTS (SELECT FROM bad) THEN ': all is well'
					ELSE format(': %s not well (storesync.health())', (SELECT count(*) FROM bad)) END AS line
			UNION ALL
			SELECT b.n, left(format('  %s %s: %s', b.component, b.state, b.reason), 100) FROM bad b WHERE b.n <= 6
			UNION ALL
			SELECT 7, format('  and %s more', max(b.all_of_them) - 6) FROM bad b HAVING max(b.all_of_them) > 6) x ORDER BY x.n;
		\pset tuples_only off
		\pset format aligned
		\echo
	\endif
\endif

\if :is_stores
	SELECT t.store_id AS id, t.store, t.platform, t.mode, to_char(t.fetched_through, 'MM-DD HH24:MI:SS') AS "orders through",
		t.orders_yesterday AS yesterday, t.orders_today AS today, round(t.amount_today / 100.0) AS amount,
		(SELECT count(*) FROM storesync_report.wrong_listing w WHERE w.store_id = t.store_id AND w.age > '1 minute') AS wrong,
		t.budget_used AS "budget %", t.token_days AS "token d"
	FROM storesync.store_today t WHERE t.store_id = ANY (:'stores') ORDER BY t.store_id;
	\if :is_gap
		\echo
	\endif
\endif

\if :is_work
	\if :is_csv
		SELECT x.kind, x.store_id, x.subject, date_trunc('second', x.since) AS since, x.what, x.call
		FROM (SELECT w.*, row_number() OVER (PARTITION BY w.kind ORDER BY w.rank) AS n FROM storesync.work_list w
			WHERE w.store_id = ANY (:'stores') OR (w.store_id IS NULL AND :'store' = '' AND :'platform' = '')) x
		JOIN storesync.work_kind k ON k.kind = x.kind
		WHERE x.n <= :top ORDER BY k.place, x.n;
		\if :is_gap
			\echo
		\endif
	\else
		\pset tuples_only on
		\pset format unaligned
		WITH row AS MATERIALIZED (
			SELECT w.*, k.place, k.meaning, row_number() OVER (PARTITION BY w.kind ORDER BY w.rank) AS n
			FROM storesync.work_list w JOIN storesync.work_kind k ON k.kind = w.kind
			WHERE w.store_id = ANY (:'stores') OR (w.store_id IS NULL AND :'store' = '' AND :'platform' = '')),
		kind AS (
			SELECT r.place, r.kind, r.meaning, CASE WHEN r.kind = 'short' THEN (
					SELECT count(*) FROM storesync.short_rank s WHERE s.state = 'open' AND s.store_id = ANY (:'stores')) ELSE count(*) END AS open,
				min(r.since) AS oldest
			FROM row r GROUP BY r.place, r.kind, r.meaning)
		SELECT x.line FROM (
			SELECT 0 AS place, 0 AS n, 0 AS part, CASE WHEN EXISTS (SELECT FROM kind) THEN 'Work' ELSE 'Nothing waits for people' END AS line
			UNION ALL
			SELECT k.place, 0, 0, left(format('%s: %s%s (%s)', k.kind, k.open,
				', the oldest for ' || CASE WHEN k.age < 120 THEN format('%s min', k.age) WHEN k.age < 2880 THEN format('%s h', k.age / 60)
					ELSE format('%s days', k.age / 1440) END, k.meaning), 100)
			FROM (SELECT y.*, CASE WHEN y.oldest IS NOT NULL THEN greatest(floor(extract(epoch FROM now() - y.oldest) / 60), 0)::bigint END AS age FROM kind y) k
			UNION ALL
			SELECT r.place, r.n, 1, left(format('  %s%s: %s', CASE WHEN r.store_id IS NOT NULL AND r.subject NOT LIKE 'store %' THEN format('store %s, ', r.store_id) END, r.subject, r.what), 100)
			FROM row r WHERE r.n <= :top
			UNION ALL
			SELECT r.place, r.n, 2, '    ' || r.call FROM row r WHERE r.n <= :top) x
		ORDER BY x.place, x.n, x.part;
		\pset tuples_only off
		\pset format aligned
		\echo
	\endif
\endif

\if :is_changes
	SELECT EXISTS (SELECT FROM storesync.audit a WHERE a.at >= current_date - 1) AS is_changed \gset
	\if :is_csv
	\elif :is_changed
		\pset title 'Changed since yesterday'
	\else
		\echo Nothing was changed since yesterday
	\endif
	SELECT :'is_csv' OR :'is_changed' AS is_told \gset
	\if :is_told
		SELECT a.action, split_part(a.subject, ' ', 1) AS "of", count(*) AS changes, a.login, date_trunc('second', max(a.at)) AS last,
			(array_agg(left(a.subject, 40) ORDER BY a.audit_id DESC))[1] AS "last of"
		FROM storesync.audit a WHERE a.at >= current_date - 1
		GROUP BY a.action, split_part(a.subject, ' ', 1), a.login ORDER BY max(a.audit_id) DESC LIMIT CASE WHEN :'is_csv' THEN 1000 ELSE 8 END;
		\pset title
	\endif
\endif
COMMIT;
