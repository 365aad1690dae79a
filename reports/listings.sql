-- listings.sql: what is wrong now: listings that do not show what they should, order lines that wait for stock, SKUs of
-- which more was sold than there is. Periods do not matter here; the oversold SKUs are those of all stores.
--
--   psql -d shop -f reports/listings.sql
--   psql -d shop -v part=wrong -v top=100 -f reports/listings.sql
--
-- Parts: stores (counts), wrong, short, oversold (each the `top` 20). Variables: docs/reports.md.

\set ON_ERROR_STOP on
\set parts 'stores wrong short oversold'
\ir common.sql
SELECT :'part' IN ('all', 'stores') AS is_stores, :'part' IN ('all', 'wrong') AS is_wrong, :'part' IN ('all', 'short') AS is_short, :'part' IN ('all', 'oversold') AS is_oversold \gset

\if :is_stores
	\if :is_csv
	\else
		\pset title 'Wrong now, by store'
	\endif
	SELECT s.platform, s.name AS store, s.mode, coalesce(w.n, 0) AS wrong_listings, date_trunc('second', w.age) AS longest,
		coalesce(o.n, 0) AS short_lines, coalesce(o.units, 0) AS short_units
	FROM storesync.store s
	LEFT JOIN (SELECT x.store_id, count(*) AS n, max(x.age) AS age FROM storesync_report.wrong_listing x WHERE x.store_id = ANY (:'stores') GROUP BY x.store_id) w ON w.store_id = s.store_id
	LEFT JOIN (SELECT x.store_id, count(*) AS n, sum(x.units) AS units FROM storesync_report.short_order x GROUP BY x.store_id) o ON o.store_id = s.store_id
	WHERE s.store_id = ANY (:'stores') ORDER BY s.platform, s.store_id;
	\if :is_gap
		\echo
	\endif
\endif

\if :is_wrong
	\if :is_csv
	\else
		\pset title 'Wrong listings, for the longest time first'
	\endif
	SELECT w.platform, w.store, w.listing_id AS listing, w.code, w.name, w.wanted, w.shown, w.state, date_trunc('second', w.since) AS since, date_trunc('second', w.age) AS age
	FROM storesync_report.wrong_listing w
	WHERE w.store_id = ANY (:'stores') ORDER BY w.age DESC, w.listing_id LIMIT :top;
	\if :is_gap
		\echo
	\endif
\endif

\if :is_short
	\if :is_csv
	\else
		\pset title 'Order lines that wait for stock, oldest first'
	\endif
	SELECT o.platform, o.store, o.order_sn, o.code, o.name, o.status, o.units, round(o.amount / 100.0, 2) AS amount, o.currency, date_trunc('second', o.since) AS since
	FROM storesync_report.short_order o
	WHERE o.store_id = ANY (:'stores') ORDER BY o.since, o.order_sn, o.line_id LIMIT :top;
	\if :is_gap
		\echo
	\endif
\endif

\if :is_oversold
	\if :is_csv
	\else
		\pset title 'Oversold SKUs, all stores'
	\endif
	SELECT v.code, v.name, v.units, v.waiting, v.sent, v.orders, v.stores, date_trunc('second', v.since) AS since
	FROM storesync_report.oversold v
	ORDER BY v.units DESC, v.code LIMIT :top;
\endif
COMMIT;
