-- common.sql: what the other reports begin with: their variables read, checked and filled in, one snapshot for all
-- parts, and how rows are printed. A report names its parts in `parts` and includes this; see docs/reports.md.
--
-- Sets since, until (days), stores, platforms (arrays, as literals), top, currencies (by store_id), is_csv, is_gap (an empty line
-- after a part). A wrong value is an error (22023),
-- and psql ends with status 3.

\set QUIET on
\set ON_ERROR_STOP on
\set VERBOSITY default
\set SHOW_CONTEXT never
\encoding UTF8
\if :{?store}
\else
	\set store ''
\endif
\if :{?platform}
\else
	\set platform ''
\endif
\if :{?since}
\else
	\set since ''
\endif
\if :{?until}
\else
	\set until ''
\endif
\if :{?part}
\else
	\set part all
\endif
\if :{?format}
\else
	\set format text
\endif
\if :{?top}
\else
	\set top 20
\endif
\if :{?currency}
\else
	\set currency TWD
\endif

BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY;
SET LOCAL search_path = pg_catalog, pg_temp;
SET LOCAL timezone = 'Asia/Taipei';
SET LOCAL datestyle = 'ISO';
SET LOCAL intervalstyle = 'postgres';
SET LOCAL jit = off;

-- days are read by PostgreSQL, so 'yesterday' and '2026-11-01' are both days
SELECT coalesce(nullif(:'until', '')::date, current_date - 1) AS until \gset
SELECT coalesce(nullif(:'since', '')::date, :'until'::date - 29) AS since, :'top'::int AS top, :'format' = 'csv' AS is_csv, :'format' = 'csv' AND :'part' = 'all' AS is_gap \gset
SELECT coalesce(array_agg(s.store_id ORDER BY s.store_id), '{}') AS stores, coalesce(array_agg(DISTINCT s.platform), '{}') AS platforms
FROM storesync.store s
WHERE (:'store' = '' OR s.store_id::text = :'store' OR s.name = :'store' OR s.shop_id = :'store')
	AND (:'platform' = '' OR s.platform = :'platform') \gset
SELECT set_config('reports.fault', CASE
		WHEN :'format' NOT IN ('text', 'csv') THEN format('unknown format: "%s"', :'format')
		WHEN :'part' <> 'all' AND :'part' <> ALL (string_to_array(:'parts', ' ')) THEN format('unknown part: "%s"', :'part')
		WHEN :'since'::date > :'until'::date THEN format('since (%s) is after until (%s)', :'since', :'until')
		WHEN :'until'::date - :'since'::date > 3660 THEN 'a period of more than ten years'
		WHEN :'top'::int NOT BETWEEN 1 AND 1000 THEN format('top is %s, and must be from 1 to 1000', :'top')
		WHEN :'platform' <> '' AND NOT EXISTS (SELECT FROM storesync.store s WHERE s.platform = :'platform') THEN format('no store is on platform "%s"', :'platform')
		WHEN :'store' <> '' AND :'stores' = '{}' THEN format('no store has the id, name or shop_id "%s"', :'store') || CASE WHEN :'platform' = '' THEN '' ELSE format(' on platform "%s"', :'platform') END
		ELSE '' END, true) AS fault,
	set_config('reports.hint', CASE
		WHEN :'format' NOT IN ('text', 'csv') THEN 'Formats are text and csv.'
		WHEN :'part' <> 'all' AND :'part' <> ALL (string_to_array(:'parts', ' ')) THEN format('Parts are all, %s.', replace(:'parts', ' ', ', '))
		ELSE 'docs/reports.md has the variables.' END, true) AS hint \gset
SELECT :'fault' <> '' AS is_fault \gset
\if :is_fault
	DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = current_setting('reports.fault'), HINT = current_setting('reports.hint'); END $$;
\endif

-- Nobody says which currency a store sells in but its orders: that of one of the last (order numbers grow with time).
SELECT coalesce(jsonb_object_agg(s.store_id, coalesce((
		SELECT o.currency FROM (
			SELECT x.currency, x.order_sn FROM storesync.sales_order x WHERE x.store_id = s.store_id ORDER BY x.order_sn DESC LIMIT 50) o
		WHERE o.currency IS NOT NULL ORDER BY o.order_sn DESC LIMIT 1), :'currency')), '{}') AS currencies
FROM storesync.store s WHERE s.store_id = ANY (:'stores') \gset

\pset null ''
\pset tuples_only off
\pset pager off
\pset title
\if :is_csv
	\pset format csv
	\pset footer off
	\pset numericlocale off
\else
	\pset format aligned
	\pset footer on
	\pset border 1
	\pset linestyle ascii
	\pset numericlocale on
\endif
