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
	authorized_at timestamptz NOT NULL,
	access_expires timestamptz,
	refreshed_at timestamptz,
	asked_at timestamptz,
	refused_at timestamptz,
	reason text
);
COMMENT ON TABLE storesync.token IS
'About a store''s tokens. incarnation: the life of the data in which they were got. authorized_at: when people set the refresh token. access_expires: as the platform said, NULL for an access token set by people. refreshed_at: the last refresh that went well. asked_at: a refresh was asked for and its answer is not recorded. refused_at, reason: the platform refused the refresh token. Not dumped, as the tokens are not.';

CREATE FUNCTION storesync.token_given(store int, name text) RETURNS void
	LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
	UPDATE storesync.token t SET access_expires = NULL WHERE $2 = 'access_token' AND t.store_id = $1;
	INSERT INTO storesync.token AS t (store_id, authorized_at)
	SELECT $1, clock_timestamp() WHERE $2 = 'refresh_token'
	ON CONFLICT (store_id) DO UPDATE SET authorized_at = excluded.authorized_at, incarnation = excluded.incarnation,
		access_expires = NULL, refreshed_at = NULL, asked_at = NULL, refused_at = NULL, reason = NULL
$$;
COMMENT ON FUNCTION storesync.token_given(int, text) IS
'Notes that people have set a store''s access or refresh token: what was known of the one before is over.';

-- When the dispatcher refreshes: half an hour before the access token ends, or in the last quarter of a
-- shorter life; at once when the answer to the last try is not known; a refused one an hour later.
CREATE VIEW storesync.token_status AS
SELECT s.store_id, s.platform, s.shop_id, s.name,
	coalesce(t.authorized_at, r.set_at) AS authorized_at,
	coalesce(t.authorized_at, r.set_at) OPERATOR(pg_catalog.+) l.authorization_life AS authorization_expires,
	coalesce(t.authorized_at, r.set_at) OPERATOR(pg_catalog.+) l.authorization_life
		OPERATOR(pg_catalog.-) pg_catalog.clock_timestamp() AS authorization_left,
	r.set_at OPERATOR(pg_catalog.+) l.refresh AS refresh_expires,
	r.set_at OPERATOR(pg_catalog.+) l.refresh OPERATOR(pg_catalog.-) pg_catalog.clock_timestamp() AS refresh_left,
	t.refreshed_at, t.access_expires,
	CASE WHEN t.asked_at IS NOT NULL OR a.set_at IS NULL THEN '-infinity'::timestamptz
		WHEN t.refused_at IS NOT NULL THEN t.refused_at OPERATOR(pg_catalog.+) '1 hour'::interval
		ELSE e.expires OPERATOR(pg_catalog.-) LEAST('30 minutes'::interval,
			(e.expires OPERATOR(pg_catalog.-) a.set_at) OPERATOR(pg_catalog./) 4::double precision) END AS refresh_due,
	t.asked_at, t.refused_at, t.reason
FROM storesync.store s
JOIN storesync.credential r ON r.store_id OPERATOR(pg_catalog.=) s.store_id AND r.name OPERATOR(pg_catalog.=) 'refresh_token'
LEFT JOIN storesync.credential a ON a.store_id OPERATOR(pg_catalog.=) s.store_id AND a.name OPERATOR(pg_catalog.=) 'access_token'
LEFT JOIN storesync.token t ON t.store_id OPERATOR(pg_catalog.=) s.store_id
CROSS JOIN LATERAL storesync.token_life(s.platform) l
CROSS JOIN LATERAL (SELECT coalesce(t.access_expires, a.set_at OPERATOR(pg_catalog.+) l.access) AS expires) e;
COMMENT ON VIEW storesync.token_status IS
'One row per store that has a refresh token: when people authorised it and when that ends (a year for Shopee), when the refresh token ends (30 days after the last refresh), the time left of both, the last refresh, the end of the access token (NULL: set by people, not known), when it is refreshed next (refresh_due), and what went wrong: asked_at (a refresh whose answer is not known), refused_at with the platform''s reason. Example: SELECT name, refresh_left, authorization_left FROM storesync.token_status ORDER BY authorization_left;';

CREATE FUNCTION storesync.health_tokens() RETURNS TABLE(component text, state text, reason text)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT concat('authorisation of store ', x.store_id), 'degraded', x.reason
	FROM (
		SELECT t.store_id, concat_ws('; ',
			CASE WHEN t.refused_at IS NOT NULL
				THEN format('the platform refuses its refresh token since %s: authorise the shop again, then set_credential()',
					date_trunc('second', t.refused_at))
				WHEN t.asked_at < clock_timestamp() - '5 minutes'::interval
				THEN format('a refresh of its token has no answer since %s', date_trunc('second', t.asked_at)) END,
			CASE WHEN t.refresh_left < '7 days' THEN format('its refresh token ends at %s', date_trunc('second', t.refresh_expires)) END,
			CASE WHEN t.authorization_left < '14 days'
				THEN format('ends at %s: authorise the shop again before', date_trunc('second', t.authorization_expires)) END,
			CASE WHEN k.incarnation < (SELECT max(i.incarnation) FROM storesync.incarnation i)
				AND NOT EXISTS (SELECT FROM storesync.store_stats() c WHERE c.store_id = t.store_id AND c.calls_ok > 0)
				THEN 'may be superseded: these tokens are those of the database that this one was copied from' END) AS reason
		FROM storesync.token_status t
		JOIN storesync.store s USING (store_id)
		LEFT JOIN storesync.token k USING (store_id)
		WHERE s.mode <> 'off') x
	WHERE x.reason <> ''
$$;
COMMENT ON FUNCTION storesync.health_tokens() IS
'The part of health() about tokens: refused, without an answer, about to end (refresh token in 7 days, authorisation in 14), or copied from another database and not tried since.';
