-- all.sql: every report in a row, for a terminal: what is wrong now first.
--
--   psql -d shop -f reports/all.sql
--   psql -d shop -v store='the shop''s name' -v since=yesterday -f reports/all.sql
--
-- Variables: docs/reports.md; `part` is not one of them here.

\set ON_ERROR_STOP on
\set part all
\ir listings.sql
\ir sales.sql
\ir conversion.sql
\ir delay.sql
\ir calls.sql
\ir stock.sql
\ir turnover.sql
\ir cross_store.sql
