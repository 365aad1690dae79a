-- The first day of a shop: what reading its catalogue found, which SKU that is, what would be written, and
-- the step into selling (docs/onboarding.md).

-- ---------------------------------------------------------------- what was found

-- One complete reading is seen, never a part of one.
CREATE VIEW storesync.listing_found AS
SELECT s.store_id, s.item_id, s.model_id, s.seller_code, s.name, s.quantity, s.price, s.reserved, s.listed, s.ended,
	s.writable, s.seen_at, s.run, s.sku, s.pack
FROM storesync.listing_seen s
WHERE s.run OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT w.run FROM storesync.listing_walk w WHERE w.current));
COMMENT ON VIEW storesync.listing_found IS
'What the last complete reading of each shop''s catalogue (task fetch_listings, its number in run) found: item and model as the platform names them (model_id '''': without models), the seller''s code (not unique), name, quantity shown in sold units (NULL: not told), price, reserved (sold units locked for promotions), listed, ended (deleted, banned or under review), writable (its quantity is the seller''s to write), and when. What is not here any more was not there. An operator may update sku (the code of the SKU that it is, whatever the seller''s code says) and pack (units of the SKU in one sold unit): match_listings() goes by them, and the next reading keeps them. Example: UPDATE storesync.listing_found SET sku = ''TEA-100'', pack = 2 WHERE store_id = 3 AND item_id = ''80012345'';';

CREATE FUNCTION storesync.note_walk(run bigint, listed boolean, cursor text, unread int) RETURNS void
	LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	UPDATE storesync.listing_walk w SET listed = $2, cursor = $3, unread = $4 WHERE w.run = $1;
	WITH old AS MATERIALIZED (
		SELECT w.run FROM storesync.listing_walk w
		WHERE w.store_id = (SELECT m.store_id FROM storesync.listing_walk m WHERE m.run = $1) AND NOT w.current AND w.run <> $1
		ORDER BY w.run LIMIT 1),
	gone AS (
		DELETE FROM storesync.listing_seen s USING (
			SELECT x.run, x.item_id, x.model_id FROM storesync.listing_seen x
			WHERE x.run = (SELECT o.run FROM old o) ORDER BY x.item_id, x.model_id LIMIT 1000) y
		WHERE s.run = y.run AND s.item_id = y.item_id AND s.model_id = y.model_id RETURNING 1)
	DELETE FROM storesync.listing_walk w USING old o
	WHERE w.run = o.run AND (SELECT count(*) FROM gone) < 1000;
$$;
COMMENT ON FUNCTION storesync.note_walk(bigint, boolean, text, int) IS
'For the dispatcher: a reading of a shop''s catalogue is at this page of this list; a part of what readings before it have left goes.';

CREATE FUNCTION storesync.show_walk(run bigint, unread int) RETURNS text
	LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	UPDATE storesync.listing_walk w SET current = false
	WHERE w.current AND w.run <> $1 AND w.store_id = (SELECT m.store_id FROM storesync.listing_walk m WHERE m.run = $1);
	UPDATE storesync.listing_walk w SET current = true, ended_at = clock_timestamp(), unread = $2 WHERE w.run = $1;
	SELECT concat((SELECT count(*) FROM storesync.listing_seen s WHERE s.run = $1), ' listings found',
		CASE WHEN $2 > 0 THEN concat(', ', $2, ' items could not be read') END);
$$;
COMMENT ON FUNCTION storesync.show_walk(bigint, int) IS
'For the dispatcher: a reading of a shop''s catalogue is complete; listing_found shows it in place of the one before. Returns how many listings it found.';

-- ---------------------------------------------------------------- which SKU it is

CREATE FUNCTION storesync.code_key(code text) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT upper(btrim(regexp_replace(CASE WHEN getdatabaseencoding() = 'UTF8' THEN normalize($1, NFKC) ELSE $1 END,
		'\s+', '', 'g'), '/\-_.,:;#*+|'))
$$;
COMMENT ON FUNCTION storesync.code_key(text) IS
'A code as codes are compared when they are not the same: in capitals, full-width characters as plain ones, without spaces and without punctuation at either end. Example: SELECT storesync.code_key('' /a-44''); -- A-44';

-- An item that could not be read has one row without a model: which models it has nobody knows.
CREATE FUNCTION storesync.gone_listings(store int) RETURNS TABLE(listing_id bigint, sku text, item_id text, model_id text, pack int,
	item_there boolean)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	SET jit = off
AS $$
	SELECT l.listing_id, k.code, l.item_id, l.model_id, l.pack,
		EXISTS (SELECT FROM storesync.listing_seen s WHERE s.run = w.run AND s.item_id = l.item_id)
	FROM storesync.listing_walk w
	JOIN storesync.listing l ON l.store_id = w.store_id AND l.created_at < w.started_at AND l.enabled
	JOIN storesync.sku k ON k.sku_id = l.sku_id
	WHERE w.store_id = $1 AND w.current AND NOT EXISTS (
		SELECT FROM storesync.listing_seen s
		WHERE s.run = w.run AND s.item_id = l.item_id AND (s.model_id = l.model_id OR (s.model_id = '' AND NOT s.writable)))
$$;
COMMENT ON FUNCTION storesync.gone_listings(int) IS
'For match_listings() and go_live_missing(): enabled listings of a store that the last complete reading of its shop, begun after they were made, did not find; item_there: it found the item, with other models. Example: SELECT * FROM storesync.gone_listings(3);';

-- Replaced is a listing whose model is certain to be gone, for its item was read with all its models.
CREATE FUNCTION storesync.match_found(store int) RETURNS TABLE(item_id text, model_id text, name text, seller_code text,
	verdict text, sku text, pack int, listing_id bigint, replaces bigint, detail text)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	SET jit = off
AS $$
	WITH skus AS MATERIALIZED (
		SELECT x.code_key, count(*) AS n, min(x.code) AS code
		FROM (SELECT k.code, storesync.code_key(k.code) AS code_key FROM storesync.sku k) x
		WHERE x.code_key <> '' GROUP BY x.code_key),
	found AS MATERIALIZED (
		SELECT f.*, l.listing_id, l.enabled, own.code AS own, given.code AS given, y.n,
			f.ended OR NOT f.writable AS out, l.listing_id IS NULL AND NOT f.ended AND f.writable AS free,
			CASE WHEN l.listing_id IS NOT NULL THEN own.code WHEN f.sku IS NOT NULL THEN given.code
				ELSE coalesce(exact.code, CASE WHEN y.n = 1 THEN y.code END) END AS code, exact.code IS NOT NULL AS is_exact
		FROM storesync.listing_found f
		LEFT JOIN storesync.listing l ON l.store_id = f.store_id AND l.item_id = f.item_id AND l.model_id = f.model_id
		LEFT JOIN storesync.sku own ON own.sku_id = l.sku_id
		LEFT JOIN storesync.sku given ON given.code = f.sku
		LEFT JOIN storesync.sku exact ON exact.code = f.seller_code
		LEFT JOIN skus y ON y.code_key = storesync.code_key(f.seller_code)
		WHERE f.store_id = $1),
	gone AS MATERIALIZED (
		SELECT g.*, row_number() OVER (PARTITION BY g.item_id, g.sku ORDER BY g.listing_id DESC) AS place
		FROM storesync.gone_listings($1) g),
	counted AS (
		SELECT f.*, count(*) FILTER (WHERE NOT f.out) OVER (PARTITION BY f.code) AS alike,
			row_number() OVER (PARTITION BY f.item_id, f.code, f.free ORDER BY f.sku IS NULL, f.model_id) AS place
		FROM found f),
	judged AS MATERIALIZED (
		SELECT c.*, v.verdict, g.listing_id AS replaces, g.model_id AS old_model,
			CASE WHEN g.listing_id IS NOT NULL AND c.sku IS NULL AND c.pack = 1 THEN g.pack ELSE c.pack END AS made_pack
		FROM counted c
		CROSS JOIN LATERAL (
			SELECT CASE WHEN c.ended THEN 'ended'
				WHEN NOT c.writable THEN 'not writable'
				WHEN c.listing_id IS NOT NULL OR (c.sku IS NOT NULL AND c.given IS NOT NULL) THEN 'matched'
				WHEN c.sku IS NOT NULL THEN 'unknown sku'
				WHEN c.code IS NULL AND c.n > 1 THEN 'ambiguous'
				WHEN c.code IS NULL THEN 'unknown sku'
				WHEN c.alike > 1 THEN 'ambiguous'
				ELSE 'matched' END AS verdict
			OFFSET 0) v
		LEFT JOIN gone g ON c.free AND v.verdict = 'matched' AND c.place = 1 AND g.place = 1 AND g.item_there
			AND g.item_id = c.item_id AND g.sku = c.code)
	SELECT c.item_id, c.model_id, c.name, c.seller_code, c.verdict,
		CASE WHEN c.verdict = 'matched' OR c.listing_id IS NOT NULL THEN c.code END,
		c.made_pack, c.listing_id, c.replaces,
		CASE c.verdict
			WHEN 'ended' THEN CASE WHEN c.enabled THEN 'it is a listing: disable it' END
			WHEN 'not writable' THEN CASE
				WHEN c.enabled THEN 'it is a listing: disable it'
				WHEN c.quantity IS NULL AND c.seller_code = '' THEN 'a kit, or it could not be read' END
			WHEN 'matched' THEN CASE
				WHEN c.listing_id IS NOT NULL AND c.sku IS NOT NULL AND c.sku <> c.own THEN format('it is a listing already; the SKU given here is %s', c.sku)
				WHEN c.listing_id IS NOT NULL AND NOT c.enabled THEN 'it is a listing already, and disabled'
				WHEN c.listing_id IS NOT NULL THEN 'it is a listing already'
				WHEN c.replaces IS NOT NULL THEN format('takes the place of listing %s, whose model %L is gone', c.replaces, c.old_model)
				WHEN c.sku IS NOT NULL THEN 'the SKU was given'
				WHEN NOT c.is_exact THEN 'the codes differ in punctuation, spaces or capitals' END
			WHEN 'unknown sku' THEN CASE
				WHEN c.sku IS NOT NULL THEN format('the SKU given, %s, does not exist', c.sku)
				WHEN c.seller_code = '' THEN 'it has no code' END
			ELSE CASE WHEN c.code IS NULL THEN format('%s SKUs have this code but for punctuation, spaces or capitals', c.n)
				ELSE format('%s listings of the shop would be SKU %s: say of each which it is', c.alike, c.code) END
		END
	FROM judged c
	UNION ALL
	SELECT g.item_id, g.model_id, NULL, NULL, 'gone', g.sku, g.pack, g.listing_id, NULL,
		CASE WHEN j.item_id IS NOT NULL THEN format('accept_matches() gives its place to model %L', j.model_id)
			WHEN g.item_there THEN 'its item has no such model any more: disable it'
			ELSE 'its item was not in the shop: disable it' END
	FROM gone g
	LEFT JOIN judged j ON j.replaces = g.listing_id
	ORDER BY 1, 2
$$;
COMMENT ON FUNCTION storesync.match_found(int) IS
'match_listings(), and which listing would be replaced. For accept_matches().';

CREATE FUNCTION storesync.match_listings(store int) RETURNS TABLE(item_id text, model_id text, name text, seller_code text,
	verdict text, sku text, pack int, listing_id bigint, detail text)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	SET jit = off
AS $$
	SELECT m.item_id, m.model_id, m.name, m.seller_code, m.verdict, m.sku, m.pack, m.listing_id, m.detail FROM storesync.match_found($1) m
$$;
COMMENT ON FUNCTION storesync.match_listings(int) IS
'Says of each listing that was found in a shop which SKU it is; changes nothing. verdict: matched, by the SKU that an operator gave (listing_found.sku) or the seller''s code, the same or the same but for punctuation at its ends, spaces and capitals; ambiguous: several listings of the shop would be the same SKU, or several SKUs have the code; unknown sku; ended; not writable; gone: an enabled listing that was not found any more. sku and pack: what accept_matches() would make of it (a model made anew has the pack of the one that it replaces, unless another was said). listing_id: of one that is a listing already. detail: why, where the verdict does not say it. No rows for a shop whose catalogue was never read to its end. Example: SELECT verdict, count(*) FROM storesync.match_listings(3) GROUP BY verdict;';

-- What platforms keep locked of a model ends with it. The new one has no orders yet: what remains is its own.
CREATE FUNCTION storesync.hand_on(listings bigint[], replaced bigint[]) RETURNS void
	LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT storesync.reserves_seen(array_agg(r.listing_id), array_agg(0::bigint), clock_timestamp())
	FROM storesync.listing_reserved r WHERE r.listing_id = ANY ($2) AND r.reserved > 0 HAVING count(*) > 0;
	WITH old AS (
		DELETE FROM storesync.allotment a USING unnest($1, $2) x (heir, old_id) WHERE a.listing_id = x.old_id
		RETURNING a.*, x.heir, a.units - storesync.ordered_since(a.listing_id, a.since) AS remaining),
	put AS (
		INSERT INTO storesync.allotment (listing_id, sku_id, units, since, until)
		SELECT o.heir, o.sku_id, o.remaining, clock_timestamp(), o.until FROM old o
		WHERE o.remaining > 0 AND (o.until IS NULL OR o.until > clock_timestamp()) ORDER BY o.heir
		RETURNING *)
	INSERT INTO storesync.audit (action, subject, before, after)
	SELECT 'allot', concat('listing ', p.listing_id), jsonb_build_object('remaining', 0),
		jsonb_strip_nulls(jsonb_build_object('sku_id', p.sku_id, 'units', p.units, 'until', p.until))
	FROM put p;
	UPDATE storesync.listing l SET enabled = false WHERE l.listing_id = ANY ($2);
$$;
COMMENT ON FUNCTION storesync.hand_on(bigint[], bigint[]) IS
'For accept_matches(): each listing takes over what is set aside for the one that it replaces (an element each), which is disabled.';

CREATE FUNCTION storesync.accept_matches(store int) RETURNS int
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	SET jit = off
AS $$
DECLARE
	made bigint[];
	heirs bigint[];
	replaced bigint[];
	reading bigint;
BEGIN
	PERFORM FROM storesync.store s WHERE s.store_id = $1 FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'store % does not exist', coalesce($1::text, 'null') USING ERRCODE = 'SS002';
	END IF;
	-- by its number: one row for an item and model, whatever is known of how many there are
	SELECT w.run INTO reading FROM storesync.listing_walk w WHERE w.store_id = $1 AND w.current;
	WITH matched AS MATERIALIZED (
		SELECT m.* FROM storesync.match_found($1) m WHERE m.verdict = 'matched' AND m.listing_id IS NULL),
	added AS (
		INSERT INTO storesync.listing (store_id, sku_id, item_id, model_id, pack, share, buffer, cap, price, price_floor, listed, at_zero)
		SELECT $1, k.sku_id, m.item_id, m.model_id, m.pack, coalesce(o.share, 1), coalesce(o.buffer, 0), o.cap,
			CASE WHEN f.price > 0 THEN f.price END, o.price_floor, f.listed, coalesce(o.at_zero, 'quantity')
		FROM matched m
		JOIN storesync.listing_seen f ON f.run = reading AND f.item_id = m.item_id AND f.model_id = m.model_id
		JOIN storesync.sku k ON k.code = m.sku
		LEFT JOIN storesync.listing o ON o.listing_id = m.replaces
		ORDER BY k.sku_id, m.item_id, m.model_id FOR KEY SHARE OF k
		ON CONFLICT DO NOTHING RETURNING *),
	said AS (
		INSERT INTO storesync.audit (action, subject, after)
		SELECT 'add', concat('listing ', a.listing_id), to_jsonb(a) FROM added a ORDER BY a.listing_id)
	SELECT coalesce((SELECT array_agg(a.listing_id ORDER BY a.listing_id) FROM added a), '{}'),
		array_agg(a.listing_id ORDER BY a.listing_id), array_agg(m.replaces ORDER BY a.listing_id)
	INTO made, heirs, replaced
	FROM matched m JOIN added a ON a.item_id = m.item_id AND a.model_id = m.model_id WHERE m.replaces IS NOT NULL;
	IF cardinality(made) = 0 THEN
		RETURN 0;
	END IF;
	-- the cut-over, before what is parked is booked: what is over left the shelf before it is counted
	UPDATE storesync.store s SET stock_from = clock_timestamp()
	WHERE s.store_id = $1 AND s.stock_from = '-infinity' AND s.mode IN ('off', 'shadow');
	-- nothing was ever written there: what was found is what is shown
	INSERT INTO storesync.listing_shown (listing_id, acked_qty, acked_version, acked_incarnation, sent_at, written_at, read_qty, read_at)
	SELECT l.listing_id, f.quantity, 0, storesync.current_incarnation(), f.seen_at, f.seen_at, f.quantity, f.seen_at
	FROM storesync.listing l
	JOIN storesync.listing_seen f ON f.run = reading AND f.item_id = l.item_id AND f.model_id = l.model_id
	WHERE l.listing_id = ANY (made) AND f.quantity IS NOT NULL
	ON CONFLICT DO NOTHING;
	IF heirs IS NOT NULL THEN
		PERFORM storesync.hand_on(heirs, replaced);
	END IF;
	PERFORM storesync.reserves_seen(array_agg(l.listing_id), array_agg(f.reserved), min(f.seen_at))
	FROM storesync.listing l
	JOIN storesync.listing_seen f ON f.run = reading AND f.item_id = l.item_id AND f.model_id = l.model_id
	WHERE l.listing_id = ANY (made) AND f.reserved > 0
	HAVING count(*) > 0;
	PERFORM storesync.outbox_add('listing', made);
	PERFORM storesync.tell_siblings(made);
	PERFORM storesync.take_up_listings(made);
	RETURN cardinality(made);
END
$$;
COMMENT ON FUNCTION storesync.accept_matches(int) IS
'Makes a listing of everything that match_listings() says is matched and is none yet, with the price, state and shown quantity that were found: all or nothing, an audit row each. A model made anew with the SKU of one that its item has no more takes over that one''s share, buffer, cap, price floor, at_zero and what is set aside by hand, and that one is disabled. Returns how many. Of a store in off or shadow whose stock_from was never set it is set to now: what is known by then to have been shipped, completed, cancelled or returned moves no stock, ever. Parked order lines are booked, a thousand at once and the rest by the dispatcher. Asking again makes what has been matched since. Nothing is written to a shop that is in shadow; one that is live begins to follow the stock at once. Error SS002 unknown store. Example: SELECT storesync.accept_matches(3);';

-- ---------------------------------------------------------------- going live

CREATE FUNCTION storesync.go_live_missing(store int) RETURNS TABLE(listing_id bigint, sku text, item_id text, model_id text,
	reason text, remedy text)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	SET jit = off
AS $$
	SELECT l.listing_id, k.code, l.item_id, l.model_id, m.reason, m.remedy
	FROM storesync.listing l
	JOIN storesync.sku k ON k.sku_id = l.sku_id
	CROSS JOIN LATERAL (
		SELECT 'never read back' AS reason,
			format('SELECT storesync.enqueue(%s, ''read_back'', ''{"listing": %s}'');', l.store_id, l.listing_id) AS remedy
		WHERE NOT EXISTS (SELECT FROM storesync.listing_shown w WHERE w.listing_id = l.listing_id)
		UNION ALL
		SELECT CASE WHEN f.ended THEN 'ended in the shop' ELSE 'not writable in the shop' END,
			format('UPDATE storesync.listing SET enabled = false WHERE listing_id = %s;', l.listing_id)
		FROM storesync.listing_walk w
		JOIN storesync.listing_seen f ON f.run = w.run AND f.item_id = l.item_id AND f.model_id = l.model_id
		WHERE w.store_id = l.store_id AND w.current AND (f.ended OR NOT f.writable)
		UNION ALL
		SELECT 'gone from the shop', format('UPDATE storesync.listing SET enabled = false WHERE listing_id = %s;', l.listing_id)
		WHERE l.listing_id IN (SELECT g.listing_id FROM storesync.gone_listings($1) g)
		UNION ALL
		SELECT format('SKU %s was never counted', n.code),
			format('SELECT storesync.adjust(%L, <counted units>, storesync.new_key());', n.code)
		FROM storesync.sku n
		WHERE n.sku_id IN (SELECT l.sku_id WHERE NOT k.bundle
				UNION ALL SELECT c.sku_id FROM storesync.component c WHERE k.bundle AND c.bundle_id = l.sku_id AND c.qty > 0)
			AND NOT EXISTS (SELECT FROM storesync.ledger g WHERE g.sku_id = n.sku_id AND g.kind IN ('adjust', 'receive') AND g.order_id IS NULL)
			AND NOT EXISTS (SELECT FROM storesync.ledger_opening o WHERE o.sku_id = n.sku_id)) m
	WHERE l.store_id = $1 AND l.enabled
	ORDER BY l.listing_id, m.reason
$$;
COMMENT ON FUNCTION storesync.go_live_missing(int) IS
'What keeps a store from going live: its enabled listings that were never read back or written, those that the last reading of its shop found ended, not writable or not at all, and those whose SKU (of a bundle: a component) was never counted or received, each with the call that settles it. No rows: go_live() may be called. Example: SELECT * FROM storesync.go_live_missing(3);';

CREATE FUNCTION storesync.live_numbers(store int, lower_only boolean) RETURNS TABLE(listing_id bigint, believed bigint,
	wanted bigint, version bigint, revision bigint)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT t.listing_id, t.believed, t.wanted, t.version, l.revision
	FROM storesync.listing_target t
	JOIN storesync.listing l ON l.listing_id = t.listing_id
	WHERE t.store_id = $1 AND t.dirty AND NOT t.dead AND (NOT $2 OR t.believed IS NULL OR t.wanted < t.believed)
$$;
COMMENT ON FUNCTION storesync.live_numbers(int, boolean) IS
'For preview() and go_live(): what would be written to a store as it stands, decreases alone where asked for; sold units.';

-- The numbers depend on the mode: the last units of a SKU are shown by one live store alone.
CREATE FUNCTION storesync.preview(store int, lower_only boolean DEFAULT false) RETURNS TABLE(listing_id bigint, sku text,
	item_id text, model_id text, shown bigint, wanted bigint, change bigint)
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	SET jit = off
AS $$
DECLARE
	numbers jsonb;
BEGIN
	PERFORM FROM storesync.store s WHERE s.store_id = $1;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'store % does not exist', coalesce($1::text, 'null') USING ERRCODE = 'SS002';
	END IF;
	-- as if it were: the change is taken back before anybody sees it
	BEGIN
		UPDATE storesync.store s SET mode = CASE WHEN $2 THEN 'lower_only' ELSE 'live' END WHERE s.store_id = $1;
		SELECT jsonb_agg(to_jsonb(x) ORDER BY x.listing_id) INTO numbers FROM storesync.live_numbers($1, $2) x;
		RAISE EXCEPTION USING ERRCODE = 'SS206', MESSAGE = 'not to be seen';
	EXCEPTION WHEN SQLSTATE 'SS206' THEN
		NULL;
	END;
	RETURN QUERY SELECT x.listing_id, k.code, l.item_id, l.model_id, x.believed, x.wanted, x.wanted - x.believed
	FROM jsonb_to_recordset(numbers) AS x (listing_id bigint, believed bigint, wanted bigint)
	JOIN storesync.listing l ON l.listing_id = x.listing_id
	JOIN storesync.sku k ON k.sku_id = l.sku_id
	ORDER BY x.listing_id;
END
$$;
COMMENT ON FUNCTION storesync.preview(int, boolean) IS
'What go_live() would have written to a store, were it called now: each listing that does not show what it should, with the quantity that it is believed to show (NULL: unknown), the one wanted, and the difference, in sold units; with lower_only decreases alone. The store stays as it is. Errors: SS002 unknown store, 25006 on a standby. Example: SELECT * FROM storesync.preview(3) ORDER BY abs(change) DESC;';

CREATE FUNCTION storesync.go_live(store int, lower_only boolean DEFAULT false) RETURNS int
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	SET jit = off
AS $$
DECLARE
	missing text;
	n bigint;
	passed bigint;
BEGIN
	-- before the store's row: as release_breaker() and the dispatcher
	LOCK TABLE storesync.breaker_listing IN SHARE ROW EXCLUSIVE MODE;
	PERFORM FROM storesync.store s WHERE s.store_id = $1 FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'store % does not exist', coalesce($1::text, 'null') USING ERRCODE = 'SS002';
	END IF;
	SELECT count(DISTINCT x.listing_id), string_agg(format('listing %s (item %s%s): %s', x.listing_id, x.item_id,
		CASE WHEN x.model_id <> '' THEN concat(', model ', x.model_id) END, x.reason), E'\n' ORDER BY x.place) FILTER (WHERE x.place <= 20)
	INTO n, missing
	FROM (SELECT m.*, row_number() OVER (ORDER BY m.listing_id, m.reason) AS place FROM storesync.go_live_missing($1) m) x;
	IF n > 0 THEN
		RAISE EXCEPTION 'store % is not ready to go live: % listings are not known well enough', $1, n
			USING ERRCODE = 'SS206', DETAIL = missing, HINT = format('SELECT * FROM storesync.go_live_missing(%s) has all of them, with the call that settles each.', $1);
	END IF;
	-- it would be live, and what is accepted afterwards written unseen
	IF NOT EXISTS (SELECT FROM storesync.listing l WHERE l.store_id = $1 AND l.enabled) THEN
		RAISE EXCEPTION 'store % is not ready to go live: it has no listing', $1
			USING ERRCODE = 'SS206', HINT = format('SELECT storesync.accept_matches(%s) makes those of its shop, once it was read.', $1);
	END IF;
	UPDATE storesync.store s SET mode = CASE WHEN $2 THEN 'lower_only' ELSE 'live' END,
		stock_from = CASE WHEN s.stock_from = '-infinity' THEN clock_timestamp() ELSE s.stock_from END
	WHERE s.store_id = $1;
	INSERT INTO storesync.breaker_listing (listing_id, store_id, passed, at, qty, version, revision)
	SELECT x.listing_id, $1, true, clock_timestamp(), x.wanted, x.version, x.revision FROM storesync.live_numbers($1, $2) x
	ON CONFLICT (listing_id) DO UPDATE SET passed = true, at = excluded.at, qty = excluded.qty, version = excluded.version,
		revision = excluded.revision;
	GET DIAGNOSTICS passed = ROW_COUNT;
	PERFORM storesync.outbox_add('store', ARRAY[$1::bigint]);
	RETURN passed;
END
$$;
COMMENT ON FUNCTION storesync.go_live(int, boolean) IS
'Lets a store follow the stock from now on (mode live, or lower_only: decreases alone): exactly what preview() says at this moment passes the mass-change breaker, what changes afterwards does not. Sets stock_from, if accept_matches() or an operator has not set it, to now: an order from before that is first seen when it has left the shelf moves no stock. A paused store stays paused. Returns how many listings are going to be written. Errors: SS002 unknown store, SS206 it has no listing, or one was never read back, or has ended in the shop, or its SKU was never counted, with the first twenty of them (go_live_missing() has all). Example: SELECT storesync.go_live(3);';
