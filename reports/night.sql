-- night.sql: what the last run of compensate() did, store by store, and what is left for people, each row with the
-- call that settles it. Reads tables alone, so it runs on a standby as well; for an operator or reporter.
--
--   psql -d shop -f reports/night.sql                                       for people
--   psql -d shop -v certificate=17 -f reports/night.sql                     another run than the last one
--   psql -d shop -v format=csv -v part=stores -f reports/night.sql          one part as CSV with a header
--
-- Parts: run, stores, drift, work, unread. Without part all of them; as CSV with an empty line between two.

\set QUIET on
\set ON_ERROR_STOP on
\if :{?part}
\else
	\set part all
\endif
\if :{?format}
\else
	\set format text
\endif
\if :{?certificate}
\else
	SELECT coalesce(max(c.certificate_id), 0) AS certificate FROM storesync.certificate c WHERE c.ended_at IS NOT NULL \gset
\endif
SELECT :'part' IN ('all', 'run') AS is_run, :'part' IN ('all', 'stores') AS is_stores, :'part' IN ('all', 'drift') AS is_drift,
	:'part' IN ('all', 'work') AS is_work, :'part' IN ('all', 'unread') AS is_unread, :'format' = 'csv' AS is_csv \gset
\pset null ''
\pset footer off
\if :is_csv
	\pset format csv
	\pset title
\else
	\pset format aligned
	\pset border 1
\endif

\if :is_run
	\if :is_csv
	\else
		\pset title 'The run'
	\endif
	SELECT c.certificate_id AS certificate, date_trunc('second', c.started_at) AS started, date_trunc('second', c.ended_at) AS ended,
		c.listings, c.compared, round(100 * c.coverage, 1) AS "coverage %", c.differing, c.corrected, c.left_open,
		c.unverified, date_trunc('second', c.oldest_verified) AS oldest_verified,
		c.replayed AS tried_again, c.overtaken, c.resting AS left_to_people
	FROM storesync.certificate c WHERE c.certificate_id = :certificate;
	\if :is_csv
		\echo
	\endif
\endif

\if :is_stores
	\if :is_csv
	\else
		\pset title 'Stores'
	\endif
	SELECT n.store_id AS store, s.platform, s.name, n.state, n.reason, date_trunc('second', n.started_at) AS started,
		date_trunc('second', n.ended_at) AS ended, date_trunc('second', n.read_until) AS night_until,
		n.listings, n.compared, n.learnt, n.differing, n.corrected, n.proposed, n.left_open, n.moved, n.unread, n.unverified,
		date_trunc('second', n.oldest_verified) AS oldest_verified
	FROM storesync.certificate_store n LEFT JOIN storesync.store s ON s.store_id = n.store_id
	WHERE n.certificate_id = :certificate ORDER BY n.store_id;
	\if :is_csv
		\echo
	\endif
\endif

-- of this run and of those before
\if :is_drift
	\if :is_csv
	\else
		\pset title 'Differences that are open'
	\endif
	SELECT d.drift_id AS drift, d.state, d.store, d.sku, d.item_id, d.model_id, d.expected, d.shown, d.excess,
		date_trunc('second', d.read_at) AS read_at,
		CASE d.state WHEN 'proposed' THEN format('SELECT storesync.confirm_drift(%s); or storesync.reject_drift(%s, ''why'');', d.drift_id, d.drift_id)
			WHEN 'rejected' THEN format('count the SKU, or SELECT storesync.confirm_drift(%s);', d.drift_id)
			ELSE format('is being written: SELECT * FROM storesync.explain(%s);', d.listing_id) END AS "what to do"
	FROM storesync.drift_status d ORDER BY d.state, abs(d.excess) DESC, d.drift_id;
	\if :is_csv
		\echo
	\endif
\endif

\if :is_work
	\if :is_csv
	\else
		\pset title 'Work that was given up'
	\endif
	SELECT x.compensation_id AS compensation, x.call, s.name AS store, k.code AS sku, coalesce(x.payload ->> 'order_sn', x.story -> 0 ->> 'order_sn') AS order_sn,
		date_trunc('second', x.at) AS since, x.class, x.reason,
		CASE x.class WHEN 'auth' THEN 'authorise the shop again, then ' WHEN 'permanent' THEN 'mend the cause, then ' ELSE '' END
			|| format('SELECT storesync.requeue(%s); or storesync.discard(%s, ''why'');', x.compensation_id, x.compensation_id) AS "what to do"
	FROM storesync.compensation x
	LEFT JOIN storesync.store s ON s.store_id = x.store_id
	LEFT JOIN storesync.listing l ON l.listing_id = coalesce(x.listing_id, (x.payload ->> 'listing')::numeric::bigint)
	LEFT JOIN storesync.sku k ON k.sku_id = l.sku_id
	WHERE x.settled_at IS NULL ORDER BY x.compensation_id;
	\if :is_csv
		\echo
	\endif
\endif

\if :is_unread
	\if :is_csv
	\else
		\pset title 'Listings that could not be read'
	\endif
	SELECT v.listing_id AS listing, s.name AS store, k.code AS sku, l.item_id, l.model_id, date_trunc('second', v.failed_at) AS failed_at,
		date_trunc('second', v.verified_at) AS last_verified, v.failure,
		'is it still the item? storesync.match_listings(), or listing.enabled = false' AS "what to do"
	FROM storesync.listing_verified v
	JOIN storesync.listing l ON l.listing_id = v.listing_id
	JOIN storesync.store s ON s.store_id = v.store_id
	JOIN storesync.sku k ON k.sku_id = l.sku_id
	WHERE v.failed_at IS NOT NULL AND l.enabled ORDER BY v.failed_at DESC, v.listing_id;
\endif
