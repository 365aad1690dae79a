-- Access tokens that end and are refreshed by the dispatcher (docs/token.md). The tokens themselves lie
-- in storesync.credential; here is what may be told about them.

CREATE FUNCTION storesync.token_life(platform text, OUT access interval, OUT refresh interval, OUT authorization_life interval)
	LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT l.access, l.refresh, l.authorization_life
	FROM (VALUES ('shopee', '4 hours'::interval, '30 days'::interval, '365 days'::interval)) AS l (platform, access, refresh, authorization_life)
	WHERE l.platform = $1
$$;
COMMENT ON FUNCTION storesync.token_life(text) IS
'How long a platform''s access tokens, refresh tokens and authorisations of a shop live; NULL for a platform without tokens. Example: SELECT * FROM storesync.token_life(''shopee'');';

CREATE TABLE storesync.token (
	store_id int PRIMARY KEY REFERENCES storesync.store ON DELETE CASCADE,
	incarnation int NOT NULL DEFAULT storesync.current_incarnation(),
	authorized_at timestamptz,
	authorization_ends timestamptz,
	look_due timestamptz,
	access_expires timestamptz,
	refreshed_at timestamptz,
	asked_at timestamptz,
	refused_at timestamptz,
	reason text,
	code_asked_at timestamptz,
	code_refused_at timestamptz,
	code_reason text
);
COMMENT ON TABLE storesync.token IS
'About a store''s tokens. incarnation: the life of the data in which they were got. authorized_at: when a code was exchanged for them or people set the refresh token; NULL while there is a code alone. authorization_ends: as the platform said, NULL unknown; look_due: when it is asked next. access_expires: as the platform said, NULL for an access token set by people. refreshed_at: the last refresh that went well. asked_at: a refresh was asked for and its answer is not recorded. refused_at, reason: the platform refused the refresh token. code_asked_at: the exchange of a code was asked for and its answer is not recorded. code_refused_at, code_reason: the last code was refused. Not dumped, as the tokens are not.';

CREATE FUNCTION storesync.token_given(store int, name text) RETURNS void
	LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
	UPDATE storesync.token t SET access_expires = NULL WHERE $2 = 'access_token' AND t.store_id = $1;
	DELETE FROM storesync.credential c WHERE $2 = 'refresh_token' AND c.store_id = $1 AND c.name = 'auth_code';
	INSERT INTO storesync.token AS t (store_id, authorized_at, look_due)
	SELECT $1, clock_timestamp(), clock_timestamp() + '1 hour'::interval WHERE $2 = 'refresh_token'
	ON CONFLICT (store_id) DO UPDATE SET authorized_at = excluded.authorized_at, look_due = excluded.look_due, incarnation = excluded.incarnation,
		authorization_ends = NULL, access_expires = NULL, refreshed_at = NULL, asked_at = NULL, refused_at = NULL, reason = NULL,
		code_asked_at = NULL, code_refused_at = NULL, code_reason = NULL;
	INSERT INTO storesync.token AS t (store_id)
	SELECT $1 WHERE $2 = 'auth_code'
	ON CONFLICT (store_id) DO UPDATE SET code_asked_at = NULL, code_refused_at = NULL, code_reason = NULL
$$;
COMMENT ON FUNCTION storesync.token_given(int, text) IS
'Notes that people have set a store''s access or refresh token or handed over a code: what was known of the one before is over. A code that waits is not exchanged any more when a refresh token is set.';

CREATE FUNCTION storesync.authorization_url(platform text, redirect text, cancel boolean DEFAULT false) RETURNS text
	AS 'MODULE_PATHNAME', 'authorization_url' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION storesync.authorization_url(text, text, boolean) IS
'The address that the owner of a shop opens to let the platform''s application in, signed now and good for five minutes (Shopee); with cancel the one that takes it back. The platform sends the browser on to redirect with code and shop_id behind it: authorize_store() takes the code. Errors: 0A000 the platform has no such page; SS005 unknown platform; SS403 a credential of the application is missing or malformed, or redirect is not 1 to 2048 visible ASCII characters. Example: SELECT storesync.authorization_url(''shopee'', ''https://erp.example.com/shopee'');';

CREATE FUNCTION storesync.authorize_store(store int, code text) RETURNS bigint
	AS 'MODULE_PATHNAME', 'authorize_store' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.authorize_store(int, text) IS
'Hands over the code that an owner brought back from authorization_url(), for the dispatcher to exchange it for the store''s first tokens, or new ones; returns a task of kind exchange_code. The code works once and for ten minutes; it is a credential, kept until then, and may be given as file:NAME like one. Outcome: task_state(), token_status, health(). Errors: SS002 unknown store; 0A000 its platform knows no codes; SS403 as in set_credential(); 22004 null. Example: SELECT storesync.authorize_store(1, $1); -- $1 the code, as a bind parameter';

CREATE FUNCTION storesync.note_authorization(store int, ends timestamptz) RETURNS void
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	UPDATE storesync.token t SET authorization_ends = $2 WHERE t.store_id = $1;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'store % does not exist or has no authorisation', coalesce($1::text, 'null') USING ERRCODE = 'SS002';
	END IF;
	INSERT INTO storesync.audit (action, subject, after)
	VALUES ('note authorization', concat('store ', $1), jsonb_build_object('ends', $2));
END
$$;
COMMENT ON FUNCTION storesync.note_authorization(int, timestamptz) IS
'Notes until when the platform says that a store is authorised (its console, or a notification that it ends soon), where the dispatcher has not asked it yet; NULL: unknown, a year from the authorisation is taken (token_life()). The next authorisation, and the next answer of the platform, take its place. Error SS002 when the store does not exist or was never authorised. Example: SELECT storesync.note_authorization(1, ''2027-03-01 00:00+08'');';

-- When the dispatcher refreshes: half an hour before the access token ends, or in the last quarter of a
-- shorter life; at once when the answer to the last try is not known, and when the tokens came with a copy
-- or out of a backup, where they may have been used since; a refused one an hour later.
CREATE VIEW storesync.token_status AS
SELECT s.store_id, s.platform, s.shop_id, s.name, e.authorized_at, e.authorization_expires,
	e.authorization_expires OPERATOR(pg_catalog.-) pg_catalog.clock_timestamp() AS authorization_left,
	r.set_at OPERATOR(pg_catalog.+) l.refresh AS refresh_expires,
	r.set_at OPERATOR(pg_catalog.+) l.refresh OPERATOR(pg_catalog.-) pg_catalog.clock_timestamp() AS refresh_left,
	t.refreshed_at, t.access_expires,
	CASE WHEN r.set_at IS NULL THEN NULL
		WHEN t.asked_at IS NOT NULL OR a.set_at IS NULL THEN '-infinity'::timestamptz
		WHEN t.refused_at IS NOT NULL THEN t.refused_at OPERATOR(pg_catalog.+) '1 hour'::interval
		WHEN e.superseded THEN '-infinity'::timestamptz
		ELSE e.expires OPERATOR(pg_catalog.-) LEAST('30 minutes'::interval,
			(e.expires OPERATOR(pg_catalog.-) a.set_at) OPERATOR(pg_catalog./) 4::double precision) END AS refresh_due,
	t.asked_at, t.refused_at, t.reason, c.set_at AS code_given_at, t.code_refused_at, t.code_reason,
	r.store_id IS NOT NULL AND e.superseded AS superseded
FROM storesync.store s
LEFT JOIN storesync.credential r ON r.store_id OPERATOR(pg_catalog.=) s.store_id AND r.name OPERATOR(pg_catalog.=) 'refresh_token'
LEFT JOIN storesync.credential a ON a.store_id OPERATOR(pg_catalog.=) s.store_id AND a.name OPERATOR(pg_catalog.=) 'access_token'
LEFT JOIN storesync.credential c ON c.store_id OPERATOR(pg_catalog.=) s.store_id AND c.name OPERATOR(pg_catalog.=) 'auth_code'
LEFT JOIN storesync.token t ON t.store_id OPERATOR(pg_catalog.=) s.store_id
CROSS JOIN LATERAL storesync.token_life(s.platform) l
CROSS JOIN LATERAL (
	SELECT COALESCE(t.access_expires, a.set_at OPERATOR(pg_catalog.+) l.access) AS expires,
		COALESCE(t.authorized_at, r.set_at) AS authorized_at,
		COALESCE(t.authorization_ends, COALESCE(t.authorized_at, r.set_at) OPERATOR(pg_catalog.+) l.authorization_life) AS authorization_expires,
		COALESCE(t.incarnation OPERATOR(pg_catalog.<) storesync.current_incarnation(), false) AS superseded) e
WHERE l.access IS NOT NULL AND (r.store_id IS NOT NULL OR t.store_id IS NOT NULL);
COMMENT ON VIEW storesync.token_status IS
'One row per store that has, or was to have, a refresh token: when it was authorised and when that ends (as the platform said, else a year later for Shopee), when the refresh token ends (30 days after the last refresh), the time left of both, the last refresh, the end of the access token (NULL: set by people, not known), when it is refreshed next (refresh_due), and what went wrong: asked_at (a refresh whose answer is not known), refused_at with the platform''s reason; code_given_at (a code waits to be exchanged), code_refused_at with the reason of the last one; superseded: the tokens came with a copy of the data or out of a backup, and the refresh token, which works once, may have been used elsewhere: so until a refresh, or a new authorisation, went well here. Example: SELECT name, refresh_left, authorization_left FROM storesync.token_status ORDER BY authorization_left;';

CREATE FUNCTION storesync.health_tokens() RETURNS TABLE(component text, state text, reason text)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT concat('authorisation of store ', x.store_id), 'degraded', x.reason
	FROM (
		SELECT t.store_id, concat_ws('; ',
			CASE WHEN t.refused_at IS NOT NULL
				THEN format('the platform refuses its refresh token since %s: authorise the shop again (authorization_url(), authorize_store())',
					date_trunc('second', t.refused_at))
				WHEN t.asked_at < clock_timestamp() - '5 minutes'::interval
				THEN format('a refresh of its token has no answer since %s', date_trunc('second', t.asked_at)) END,
			CASE WHEN t.code_refused_at IS NOT NULL
				THEN format('the code of an authorisation was refused at %s (%s): get another from authorization_url()',
					date_trunc('second', t.code_refused_at), t.code_reason)
				WHEN t.code_given_at < clock_timestamp() - '5 minutes'::interval
				THEN format('a code waits to be exchanged since %s and works for ten minutes', date_trunc('second', t.code_given_at)) END,
			CASE WHEN t.refresh_left < '7 days' THEN format('its refresh token ends at %s', date_trunc('second', t.refresh_expires)) END,
			CASE WHEN t.authorization_left < '14 days'
				THEN format('ends at %s: authorise the shop again before', date_trunc('second', t.authorization_expires)) END,
			CASE WHEN t.superseded
				THEN 'may be superseded: its tokens came with a copy of the data or out of a backup, and none was refreshed since' END) AS reason
		FROM storesync.token_status t
		JOIN storesync.store s USING (store_id)
		WHERE s.mode <> 'off') x
	WHERE x.reason <> ''
$$;
COMMENT ON FUNCTION storesync.health_tokens() IS
'The part of health() about tokens: refused, without an answer, a code that was refused or waits, about to end (refresh token in 7 days, authorisation in 14), or come with a copy or out of a backup and not refreshed since.';
