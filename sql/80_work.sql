-- What waits for people, of all kinds in one list, each row with the call that settles it (docs/operations.md).
-- Reads alone: it runs on a standby, where reporters ask it. Texts in a call come from platforms and buyers: as
-- literals by %L, and where the call is a comment, on one line.

CREATE FUNCTION storesync.work_line(what text) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT btrim(regexp_replace($1, '[[:cntrl:]\u0085\u2028\u2029]+', ' ', 'g'))
$$;
COMMENT ON FUNCTION storesync.work_line(text) IS
'A text in one line, for work_list: each run of line ends and other control characters is a space. Example: SELECT storesync.work_line(E''a\nb''); -- a b';

CREATE FUNCTION storesync.work_by_hand(what text) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT concat('-- ', storesync.work_line($1))
$$;
COMMENT ON FUNCTION storesync.work_by_hand(text) IS
'A call of work_list that only a person can make: an SQL comment of one line. Example: SELECT storesync.work_by_hand(''count the shelf''); -- -- count the shelf';

CREATE VIEW storesync.work_kind AS
SELECT k.place, k.kind, k.meaning
FROM (VALUES
	(1, 'short', 'order lines that the stock does not cover, as short_work() ranks them'),
	(2, 'dead', 'work given up: refused by a platform for good, or failed too often'),
	(3, 'token', 'authorisations and tokens that end, were refused or never answered'),
	(4, 'credential', 'stores that lack a credential'),
	(5, 'breaker', 'mass changes that are held until somebody looks'),
	(6, 'drift', 'shops that show something else than expected, by much'),
	(7, 'put off', 'listings that show too many, and that the platform does not let be lowered'),
	(8, 'in doubt', 'writes whose outcome is not known'),
	(9, 'parked', 'order lines without a listing or SKU'),
	(10, 'allotment', 'units set aside by hand that the stock does not cover'),
	(11, 'locked', 'units that a promotion locks and nothing is set aside for'),
	(12, 'return', 'sent goods that should come back'),
	(13, 'held', 'listings at 0 since a line of theirs was declined'),
	(14, 'stopped', 'what stop_selling() keeps at 0'),
	(15, 'price', 'prices below their floor, which are not sent'),
	(16, 'unread', 'listings that their shop did not tell when it was read'),
	(17, 'unverified', 'stores with listings that were never compared with their shop'),
	(18, 'store', 'stores that are paused, in shadow or lower_only')) AS k (place, kind, meaning);
COMMENT ON VIEW storesync.work_kind IS
'The kinds of rows of work_list, the most urgent first (place). Example: SELECT kind, meaning FROM storesync.work_kind ORDER BY place;';

-- Each kind is a subselect around its window, so that a condition on kind leaves all others unread.

-- ---------------------------------------------------------------- orders

-- A function, for a view would keep the code's column from ever having another type.
CREATE FUNCTION storesync.work_parked()
	RETURNS TABLE(store_id int, item_id text, model_id text, sku_code text, lines bigint, units numeric, since timestamptz)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT l.store_id, l.item_id, coalesce(l.model_id, ''), min(l.sku_code), count(*), sum(l.qty), min(l.ordered_at)
	FROM storesync.sales_order_line l
	WHERE l.state = 'parked'
	GROUP BY l.store_id, l.item_id, coalesce(l.model_id, ''), CASE WHEN l.item_id IS NULL THEN l.sku_code END
$$;
COMMENT ON FUNCTION storesync.work_parked() IS
'What parked order lines wait for: an item of a store, or a code where they name no item; how many lines and sold units, since the oldest order. For work_list.';

CREATE VIEW storesync.work_order AS
SELECT 'short'::text AS kind, w.rank, w.store_id, format('order %s, line %s', w.order_sn, w.line_id) AS subject,
	coalesce(w.paid_at, o.create_time) AS since,
	concat_ws('; ', format('%s of %s short', w.units, w.sku), w.why, w.advice, w.note) AS what,
	CASE w.proposal
		WHEN 'move' THEN format('SELECT * FROM storesync.settle_short(%s, %L, %L, ''move'', storesync.new_key(), location => %L);',
			w.store_id, w.order_sn, w.line_id, w.location)
		WHEN 'wait' THEN format('SELECT * FROM storesync.settle_short(%s, %L, %L, ''wait'', storesync.new_key(), until => now() + ''6 hours'');',
			w.store_id, w.order_sn, w.line_id)
		WHEN 'cancel' THEN format('SELECT * FROM storesync.settle_short(%s, %L, %L, ''cancel'', storesync.new_key()%s);',
			w.store_id, w.order_sn, w.line_id, CASE WHEN w.alternatives #>> '{cancel,has}' IS NOT NULL THEN ', whole => true' END)
		ELSE storesync.work_by_hand(format('at the page of %s: %s', w.platform, w.advice)) END AS call
FROM storesync.short_work(1000) w
JOIN storesync.sales_order o ON o.store_id = w.store_id AND o.order_sn = w.order_sn
WHERE w.state = 'open'
UNION ALL
SELECT 'parked', p.rank, p.store_id, p.subject, p.since, p.what, p.call
FROM (
	SELECT row_number() OVER (ORDER BY g.since, g.store_id, g.item_id, g.model_id, g.sku_code) AS rank, g.store_id, g.since,
		CASE WHEN g.item_id IS NULL THEN concat('SKU ', coalesce(g.sku_code, '(none)'))
			ELSE concat('item ', g.item_id, CASE WHEN g.model_id <> '' THEN concat(', model ', g.model_id) END) END AS subject,
		format('lines %s, units %s: ', g.lines, g.units) || CASE
			WHEN x.is_known THEN 'is known by now, and booked with the next step'
			WHEN g.item_id IS NULL AND g.sku_code IS NULL THEN 'the order names neither item nor SKU'
			WHEN g.item_id IS NULL THEN format('no SKU %s: a new one, or a wrong code of the shop?', g.sku_code)
			WHEN x.code IS NOT NULL THEN format('no listing of it; it is SKU %s', x.code)
			WHEN g.sku_code IS NOT NULL THEN format('no listing of it, and no SKU %s: a new one, or another name of one that is there?', g.sku_code)
			ELSE 'no listing of it, and it has no code: which SKU is it?' END AS what,
		CASE WHEN x.is_known THEN 'SELECT storesync.take_up_parked();'
			WHEN g.item_id IS NULL AND g.sku_code IS NULL THEN storesync.work_by_hand('find the order at the platform, and give its item or SKU a name there')
			WHEN g.item_id IS NULL THEN format('SELECT storesync.add_sku(%L);', g.sku_code)
			WHEN x.code IS NOT NULL THEN format('SELECT storesync.add_listing(%s, %L, %L, %L, %s);', g.store_id, x.code, g.item_id, g.model_id, x.pack)
			WHEN g.sku_code IS NOT NULL THEN format('SELECT storesync.add_sku(%1$L), storesync.add_listing(%2$s, %1$L, %3$L, %4$L);',
				g.sku_code, g.store_id, g.item_id, g.model_id)
			ELSE storesync.work_by_hand(format('SELECT storesync.add_listing(%s, ''<its SKU>'', %L, %L);', g.store_id, g.item_id, g.model_id)) END AS call
	FROM storesync.work_parked() g
	LEFT JOIN storesync.listing_found f ON f.store_id = g.store_id AND f.item_id = g.item_id AND f.model_id = g.model_id
	LEFT JOIN storesync.sku given ON given.code = f.sku
	LEFT JOIN storesync.sku named ON named.code = g.sku_code
	CROSS JOIN LATERAL (
		SELECT coalesce(given.code, named.code) AS code, coalesce(f.pack, 1) AS pack,
			CASE WHEN g.item_id IS NULL THEN named.sku_id IS NOT NULL ELSE EXISTS (
				SELECT FROM storesync.listing l
				WHERE l.store_id = g.store_id AND l.item_id = g.item_id AND l.model_id = g.model_id) END AS is_known) x) p
UNION ALL
SELECT 'return', r.rank, r.store_id, r.subject, r.since, r.what, r.call
FROM (
	SELECT row_number() OVER (ORDER BY d.since, d.order_id, d.line_id) AS rank, d.store_id, d.since,
		format('order %s, line %s', d.order_sn, d.line_id) AS subject,
		format('%s of %s: %s. When they are here; else disposition => ''damaged'' with a location that does not sell, or ''lost''',
			d.units, d.sku, d.cause) AS what,
		format('SELECT * FROM storesync.receive_return(%s, %L, %L, %s, storesync.new_key()%s);', d.store_id, d.order_sn, d.line_id, d.units,
			CASE WHEN x.code <> 'main' THEN format(', location => %L', x.code) END) AS call
	FROM storesync.returns_due d
	LEFT JOIN LATERAL (
		SELECT c.code
		FROM storesync.line_part p
		JOIN storesync.location c ON c.location_id = p.location_id
		WHERE p.order_id = d.order_id AND p.line_id = d.line_id AND p.shipped > p.back
		ORDER BY c.location_id LIMIT 1) x ON true) r;
COMMENT ON VIEW storesync.work_order IS
'The kinds of work_list that are about orders: short, parked, return; read that instead. Example: SELECT * FROM storesync.work_order WHERE kind = ''return'';';

-- ---------------------------------------------------------------- listings

CREATE VIEW storesync.work_stock AS
WITH aside AS (
	SELECT f.sku_id, f.aside, greatest(coalesce(t.available, 0), 0) AS available
	FROM (SELECT x.sku_id, sum(x.remaining) AS aside FROM storesync.allotment_left x GROUP BY x.sku_id) f
	CROSS JOIN LATERAL (
		SELECT sum(t.on_hand - t.reserved) AS available
		FROM storesync.stock t
		JOIN storesync.location p ON p.location_id = t.location_id
		WHERE t.sku_id = f.sku_id AND p.sellable) t
	WHERE f.aside > greatest(coalesce(t.available, 0), 0)),
byhand AS (
	SELECT f.listing_id, f.sku_id, f.remaining, f.since, f.until, a.aside, a.available
	FROM aside a
	JOIN storesync.allotment_left f ON f.sku_id = a.sku_id
	WHERE f.units IS NOT NULL AND f.remaining > 0
		AND (f.locked IS NULL OR f.locked - storesync.ordered_since(f.listing_id, f.locked_at) < f.remaining))
SELECT 'allotment'::text AS kind, x.rank, x.store_id, x.subject, x.since, x.what, x.call
FROM (
	SELECT row_number() OVER (ORDER BY a.since, a.listing_id) AS rank, l.store_id, a.since,
		format('listing %s, SKU %s', a.listing_id, k.code) AS subject,
		format('%s units are set aside of the SKU, %s for it, and %s are there', a.aside, a.remaining, a.available) AS what,
		format('SELECT * FROM storesync.allot(%s, %s, storesync.new_key()%s);', a.listing_id,
			greatest(least(a.available, coalesce(storesync.store_available(a.sku_id, l.store_id), 0)) - (a.aside - a.remaining), 0),
			CASE WHEN a.until IS NOT NULL THEN format(', %L', concat(to_char(a.until AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'), '+00')) END) AS call
	FROM byhand a
	JOIN storesync.listing l ON l.listing_id = a.listing_id
	JOIN storesync.sku k ON k.sku_id = a.sku_id) x
UNION ALL
SELECT 'locked', x.rank, x.store_id, x.subject, x.since, x.what, x.call
FROM (
	SELECT row_number() OVER (ORDER BY v.seen_at, v.listing_id) AS rank, v.store_id, v.seen_at AS since,
		format('listing %s, SKU %s', v.listing_id, v.sku) AS subject,
		CASE v.state WHEN 'bundle' THEN format('a promotion locks %s of a bundle: its components may be sold elsewhere', v.reserved)
			WHEN 'other SKU' THEN format('a promotion locks %s, and the listing was mapped to another SKU since', v.reserved)
			ELSE format('a promotion locks %s, which the stock does not cover', v.reserved) END AS what,
		CASE v.state WHEN 'other SKU' THEN format('SELECT storesync.enqueue(%s, ''read_back'', ''{"listing": %s}'');', v.store_id, v.listing_id)
			WHEN 'bundle' THEN storesync.work_by_hand('cap or stop the other listings of its components, or end the promotion at the platform')
			ELSE storesync.work_by_hand(format('receive or count %s, or end the promotion at the platform', v.sku)) END AS call
	FROM storesync.listing_locked v
	JOIN storesync.listing l ON l.listing_id = v.listing_id
	WHERE v.state <> 'covered' AND NOT EXISTS (SELECT FROM byhand a WHERE a.sku_id = l.sku_id)) x;
COMMENT ON VIEW storesync.work_stock IS
'The kinds of work_list that are about units set aside: allotment, locked; read that instead. Example: SELECT * FROM storesync.work_stock WHERE kind = ''locked'';';

CREATE VIEW storesync.work_listing AS
SELECT 'held'::text AS kind, x.rank, x.store_id, x.subject, x.since, x.what, x.call
FROM (
	SELECT row_number() OVER (ORDER BY l.listing_id) AS rank, l.store_id, NULL::timestamptz AS since,
		format('listing %s, SKU %s', l.listing_id, k.code) AS subject,
		format('%s: at 0 until the SKU is counted (adjust), or let go', l.held) AS what,
		format('SELECT storesync.release_hold(%s);', l.listing_id) AS call
	FROM storesync.listing l
	JOIN storesync.sku k ON k.sku_id = l.sku_id
	WHERE l.held IS NOT NULL AND l.enabled) x
UNION ALL
SELECT 'breaker', x.rank, x.store_id, x.subject, x.since, x.what, x.call
FROM (
	SELECT row_number() OVER (ORDER BY b.opened_at, b.store_id) AS rank, b.store_id, b.opened_at AS since, concat('store ', b.store_id) AS subject,
		format('%s changes are held; %s of %s listings were to change for another cause than a sale. When they are meant; else correct them first',
			b.held, b.changes, b.listings) AS what,
		format('SELECT storesync.release_breaker(%s);', b.store_id) AS call
	FROM storesync.breaker_status b) x
UNION ALL
SELECT 'stopped', x.rank, x.store_id, x.subject, x.since, x.what, x.call
FROM (
	SELECT row_number() OVER (ORDER BY z.since, z.stop_id) AS rank, z.store_id, z.since,
		coalesce(nullif(concat_ws(', ', 'store ' || z.store_id, 'SKU ' || k.code), ''), 'everything') AS subject,
		format('%s (by %s)', z.reason, z.login) AS what,
		format('SELECT storesync.start_selling(%s);', concat_ws(', ', 'store => ' || z.store_id, 'sku => ' || quote_literal(k.code))) AS call
	FROM storesync.selling_stop z
	LEFT JOIN storesync.sku k ON k.sku_id = z.sku_id) x
UNION ALL
SELECT 'put off', x.rank, x.store_id, x.subject, x.since, x.what, x.call
FROM (
	SELECT row_number() OVER (ORDER BY w.put_off_at, w.listing_id) AS rank, t.store_id, w.put_off_at AS since,
		format('listing %s, item %s', w.listing_id, t.item_id) AS subject,
		format('shows %s, wanted %s: %s', t.at_most, t.wanted, w.put_off) AS what,
		storesync.work_by_hand(format('at the page of %s: lower item %s by hand, or end its promotion; here it is tried again by itself',
			s.platform, t.item_id)) AS call
	FROM storesync.listing_shown w
	JOIN storesync.listing_target t ON t.listing_id = w.listing_id
	JOIN storesync.store s ON s.store_id = t.store_id
	WHERE w.put_off_at > w.written_at AND t.dirty AND t.at_most > t.wanted) x
UNION ALL
SELECT 'in doubt', x.rank, x.store_id, x.subject, x.since, x.what, x.call
FROM (
	SELECT row_number() OVER (ORDER BY coalesce(p.at, w.written_at), w.listing_id) AS rank, l.store_id, coalesce(p.at, w.written_at) AS since,
		format('listing %s, SKU %s', w.listing_id, k.code) AS subject,
		format('nobody knows whether its shop took the last quantity: up to %s may be shown', w.doubt_qty) AS what,
		format('SELECT storesync.enqueue(%s, ''read_back'', ''{"listing": %s}'');', l.store_id, w.listing_id) AS call
	FROM storesync.listing_shown w
	JOIN storesync.listing l ON l.listing_id = w.listing_id
	JOIN storesync.sku k ON k.sku_id = l.sku_id
	LEFT JOIN LATERAL (
		SELECT y.at FROM storesync.push y
		WHERE y.listing_id = w.listing_id AND y.class = 'in_doubt' AND y.at >= w.written_at
		ORDER BY y.at LIMIT 1) p ON true
	WHERE w.doubt_qty IS NOT NULL AND l.enabled) x
UNION ALL
SELECT 'drift', x.rank, x.store_id, x.subject, x.since, x.what, x.call
FROM (
	SELECT row_number() OVER (ORDER BY abs(d.excess) DESC, d.drift_id) AS rank, d.store_id, d.read_at AS since,
		format('listing %s, SKU %s', d.listing_id, d.sku) AS subject,
		format('its shop shows %s, expected %s. When the shop is wrong; else storesync.reject_drift(%s, ''why'')', d.shown, d.expected, d.drift_id) AS what,
		format('SELECT storesync.confirm_drift(%s);', d.drift_id) AS call
	FROM storesync.drift_status d
	WHERE d.state = 'proposed') x
UNION ALL
SELECT 'price', x.rank, x.store_id, x.subject, x.since, x.what, x.call
FROM (
	SELECT row_number() OVER (ORDER BY v.changed_at, v.listing_id) AS rank, v.store_id, v.changed_at AS since,
		format('listing %s, item %s', v.listing_id, v.item_id) AS subject,
		format('its price %s is below its floor %s. When the floor is right; else change listing.price_floor',
			trim_scale(l.price), trim_scale(l.price_floor)) AS what,
		format('SELECT storesync.set_price(%s, %s, storesync.new_key(), force => true);', v.listing_id, l.price_floor) AS call
	FROM storesync.offer_state v
	JOIN storesync.listing l ON l.listing_id = v.listing_id
	WHERE v.facet = 'price' AND v.open AND NOT v.dead AND v.below_floor AND v.enabled) x
UNION ALL
SELECT 'unread', x.rank, x.store_id, x.subject, x.since, x.what, x.call
FROM (
	SELECT row_number() OVER (ORDER BY v.failed_at, v.listing_id) AS rank, v.store_id, v.failed_at AS since,
		format('listing %s, item %s', v.listing_id, l.item_id) AS subject,
		format('%s. When it is not on sale any more; else CALL storesync.compensate(ARRAY[%s])', v.failure, v.store_id) AS what,
		format('UPDATE storesync.listing SET enabled = false WHERE listing_id = %s;', v.listing_id) AS call
	FROM storesync.listing_verified v
	JOIN storesync.listing l ON l.listing_id = v.listing_id
	JOIN storesync.store s ON s.store_id = v.store_id
	WHERE v.failed_at IS NOT NULL AND l.enabled AND s.mode IN ('live', 'lower_only')) x
UNION ALL
-- as old as health() lets a store wait for its reading
SELECT 'unverified', x.rank, x.store_id, x.subject, x.since, x.what, x.call
FROM (
	SELECT row_number() OVER (ORDER BY count(*) DESC, s.store_id) AS rank, s.store_id, min(l.created_at) AS since,
		concat('store ', s.store_id) AS subject,
		format('%s listings were never compared with what the shop shows', count(*)) AS what,
		format('CALL storesync.compensate(ARRAY[%s]);', s.store_id) AS call
	FROM storesync.store s
	JOIN storesync.listing l ON l.store_id = s.store_id
	JOIN storesync.listing_verified v ON v.listing_id = l.listing_id
	WHERE s.mode IN ('live', 'lower_only') AND NOT s.paused AND storesync.read_batch(s.platform) IS NOT NULL
		AND l.enabled AND l.created_at < statement_timestamp() - '36 hours'::interval AND v.verified_at IS NULL AND v.failed_at IS NULL
	GROUP BY s.store_id) x;
COMMENT ON VIEW storesync.work_listing IS
'The kinds of work_list that are about listings: held, breaker, stopped, put off, in doubt, drift, price, unread, unverified; read that instead. Example: SELECT * FROM storesync.work_listing WHERE kind = ''drift'';';

-- ---------------------------------------------------------------- stores and work that was given up

CREATE VIEW storesync.work_store AS
SELECT 'dead'::text AS kind, x.rank, x.store_id, x.subject, x.since, x.what, x.call
FROM (
	SELECT row_number() OVER (ORDER BY c.at, c.compensation_id) AS rank, c.store_id, c.at AS since,
		concat_ws(', ', c.call, 'listing ' || coalesce(c.listing_id::text, c.payload ->> 'listing'),
			'order ' || coalesce(c.payload ->> 'order_sn', c.story -> 0 ->> 'order_sn')) AS subject,
		concat(CASE c.class WHEN 'auth' THEN 'authorise the shop first; ' WHEN 'permanent' THEN 'mend the cause first; ' END, coalesce(c.reason, c.class::text),
			format('. Not wanted any more: storesync.discard(%s, ''why'')', c.compensation_id)) AS what,
		format('SELECT storesync.requeue(%s);', c.compensation_id) AS call
	FROM storesync.compensation c
	WHERE c.settled_at IS NULL) x
UNION ALL
SELECT 'token', x.rank, x.store_id, x.subject, x.since, x.what, x.call
FROM (
	SELECT row_number() OVER (ORDER BY least(t.refresh_left, t.authorization_left), t.store_id) AS rank, t.store_id,
		coalesce(t.refused_at, t.code_refused_at, t.asked_at, t.code_given_at) AS since, concat('store ', t.store_id) AS subject,
		concat(h.reason, format(' (refresh token: %s days left, authorisation: %s)', floor(extract(epoch FROM t.refresh_left) / 86400),
			floor(extract(epoch FROM t.authorization_left) / 86400))) AS what,
		CASE WHEN t.refused_at IS NULL AND t.code_refused_at IS NULL AND t.code_given_at IS NULL AND t.authorization_left >= '14 days'
			THEN format('SELECT storesync.enqueue(%s, ''refresh_token'', ''{}'');', t.store_id)
			ELSE storesync.work_by_hand(format('its owner opens what SELECT storesync.authorization_url(%L, ''<your address>'') says; then SELECT storesync.authorize_store(%s, ''<code>'')',
				t.platform, t.store_id)) END AS call
	FROM storesync.health_tokens() h
	JOIN storesync.token_status t ON h.component = concat('authorisation of store ', t.store_id)) x
UNION ALL
SELECT 'credential', x.rank, x.store_id, x.subject, x.since, x.what, x.call
FROM (
	SELECT row_number() OVER (ORDER BY s.store_id) AS rank, s.store_id, NULL::timestamptz AS since, concat('store ', s.store_id) AS subject,
		concat('it has no ', array_to_string(m.missing, ', ')) AS what,
		storesync.work_by_hand((SELECT string_agg(CASE WHEN n LIKE 'partner%'
				THEN format('SELECT storesync.set_app_credential(%L, %L, ''file:<name>'');', s.platform, n)
				ELSE format('SELECT storesync.set_credential(%s, %L, ''file:<name>'');', s.store_id, n) END, ' ')
			FROM unnest(m.missing) n)) AS call
	FROM storesync.store s
	CROSS JOIN LATERAL storesync.missing_credentials(s.store_id) m(missing)
	WHERE s.mode <> 'off' AND m.missing <> '{}') x
UNION ALL
SELECT 'store', x.rank, x.store_id, x.subject, x.since, x.what, x.call
FROM (
	SELECT row_number() OVER (ORDER BY s.paused DESC, s.mode, s.store_id) AS rank, s.store_id, a.at AS since, concat('store ', s.store_id) AS subject,
		CASE WHEN s.paused THEN format('paused: nothing is sent; it has %s listings', n.listings)
			WHEN s.mode = 'lower_only' THEN format('lower_only: no quantity is raised; it has %s listings', n.listings)
			ELSE format('shadow: nothing is sent; it has %s listings, %s of which were never read (go_live_missing(%s))', n.listings, n.unknown, s.store_id) END AS what,
		CASE WHEN s.paused THEN format('SELECT storesync.resume(%s);', s.store_id) ELSE format('SELECT storesync.go_live(%s);', s.store_id) END AS call
	FROM storesync.store s
	CROSS JOIN LATERAL (
		SELECT count(*) AS listings, count(*) FILTER (WHERE w.listing_id IS NULL) AS unknown
		FROM storesync.listing l
		LEFT JOIN storesync.listing_shown w ON w.listing_id = l.listing_id
		WHERE l.store_id = s.store_id AND l.enabled) n
	LEFT JOIN LATERAL (
		SELECT u.at FROM storesync.audit u
		WHERE u.action = 'update' AND u.subject = concat('store ', s.store_id) AND u.after ? CASE WHEN s.paused THEN 'paused' ELSE 'mode' END
		ORDER BY u.at DESC LIMIT 1) a ON true
	WHERE s.mode <> 'off' AND (s.paused OR s.mode IN ('shadow', 'lower_only')) AND n.listings > 0) x;
COMMENT ON VIEW storesync.work_store IS
'The kinds of work_list that are about stores and about work given up: dead, token, credential, store; read that instead. Example: SELECT * FROM storesync.work_store WHERE kind = ''dead'';';

-- ---------------------------------------------------------------- all of it

CREATE VIEW storesync.work_list AS
SELECT o.kind, o.rank, o.store_id, storesync.work_line(o.subject) AS subject, o.since, storesync.work_line(o.what) AS what, o.call FROM storesync.work_order o
UNION ALL SELECT s.kind, s.rank, s.store_id, storesync.work_line(s.subject) AS subject, s.since, storesync.work_line(s.what) AS what, s.call FROM storesync.work_stock s
UNION ALL SELECT l.kind, l.rank, l.store_id, storesync.work_line(l.subject) AS subject, l.since, storesync.work_line(l.what) AS what, l.call FROM storesync.work_listing l
UNION ALL SELECT m.kind, m.rank, m.store_id, storesync.work_line(m.subject) AS subject, m.since, storesync.work_line(m.what) AS what, m.call FROM storesync.work_store m;
COMMENT ON VIEW storesync.work_list IS
'What waits for people, a row for each thing: kind (work_kind says what each is), rank within the kind from 1, store_id (NULL: of no one store), subject, since when (NULL: not recorded), what it is, and call: the statement that settles it, to be run as it stands by an operator; one that begins with -- is for a person, at the platform or at the shelf. A statement does what its row means, so read what before; a row goes when its matter is settled, whoever settled it. Of short lines the first 1000. Ask for one kind, and the others are not read. Example: SELECT subject, what, call FROM storesync.work_list WHERE kind = ''parked'' ORDER BY rank;';

CREATE FUNCTION storesync.work(max int DEFAULT 100, store int DEFAULT NULL, kind text DEFAULT NULL)
	RETURNS TABLE(kind text, rank bigint, store_id int, subject text, since timestamptz, what text, call text)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
	SELECT w.kind, w.rank, w.store_id, w.subject, w.since, w.what, w.call
	FROM storesync.work_list w
	JOIN storesync.work_kind k ON k.kind = w.kind
	WHERE ($2 IS NULL OR w.store_id = $2) AND ($3 IS NULL OR w.kind = $3)
	ORDER BY k.place, w.rank
	LIMIT least(greatest(coalesce($1, 100), 0), 1000)
$$;
COMMENT ON FUNCTION storesync.work(int, int, text) IS
'The first max rows (100; at most 1000) of work_list, the most urgent kind first, of a store or of all (NULL; what belongs to no one store is left out when one is named), and of one kind or of all (NULL). Example: SELECT kind, subject, what, call FROM storesync.work(20);';
