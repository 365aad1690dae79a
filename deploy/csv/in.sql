-- A CSV file in: staged and judged (docs/csv.md). Nothing is written before the statement that it ends with.
--
--   psql -X -v kind=sku -v file=skus.csv -f deploy/csv/in.sql
--
-- Also: -v store=3 -v encoding=BIG5 -v reference='delivery 4711' -v errors=50 (how many are shown).
\set ON_ERROR_STOP on
\if :{?store}
\else
\set store ''
\endif
\if :{?encoding}
\else
\set encoding ''
\endif
\if :{?reference}
\else
\set reference ''
\endif
\if :{?errors}
\else
\set errors 50
\endif

-- one transaction: a file that cannot be read leaves no large object behind
BEGIN;
\lo_import :file
SELECT storesync.csv_load(:'kind', :LASTOID, nullif(:'store', '')::int, nullif(:'encoding', ''), nullif(:'reference', '')) AS load \gset
COMMIT;
SELECT line, subject, reason FROM storesync.csv_answer WHERE load_id = :load AND verdict = 'error' ORDER BY line LIMIT :errors;
SELECT verdict, count(*) AS rows FROM storesync.csv_answer WHERE load_id = :load GROUP BY verdict ORDER BY verdict;
\echo To write it: SELECT * FROM storesync.csv_confirm(:load);
