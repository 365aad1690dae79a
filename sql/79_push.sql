-- Notifications of platforms (docs/push.md): what they told, and how many were refused.

INSERT INTO storesync.partitioned VALUES
	('notification', 'day', 'at', ARRAY['(fingerprint)', '(platform, at) WHERE kind IN (''authorised'', ''revoked'', ''expiring'')'], '', true, 'log');
CREATE TABLE storesync.notification (
	at timestamptz NOT NULL,
	fingerprint bigint NOT NULL,
	sent_at timestamptz,
	store_id int,
	platform text NOT NULL,
	shop_id text,
	kind text NOT NULL CHECK (kind IN ('order', 'reserved', 'item', 'authorised', 'revoked', 'expiring', 'other')),
	code text NOT NULL,
	order_sn text,
	item_id text,
	model_id text,
	reserved bigint
) PARTITION BY RANGE (at);
COMMENT ON TABLE storesync.notification IS
'Append-only: what platforms told without being asked, each once, kept for storesync.log_retention. at: when it came; sent_at: when the platform says it was sent; fingerprint: hash of what it says, by which a repetition is known. kind: order (order_sn has changed), reserved (units of item_id, model_id that a promotion has locked: reserved), item (what the shop shows of it may have changed), authorised, revoked (the application, by the shop), expiring (authorisations end soon), other; code: the platform''s own word. store_id NULL: of no shop, or of one that is no store. Nothing here is trusted: it says what to ask.';
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON storesync.notification
	FOR EACH ROW EXECUTE FUNCTION storesync.refuse_change();

CREATE TABLE storesync.notification_refused (
	platform text NOT NULL,
	reason text NOT NULL,
	refused bigint NOT NULL CHECK (refused > 0),
	first_at timestamptz NOT NULL,
	last_at timestamptz NOT NULL,
	PRIMARY KEY (platform, reason)
);
COMMENT ON TABLE storesync.notification_refused IS
'Notifications that ingest_push() refused, by platform and reason: how many since first_at, the last one at last_at. Written at most once a second by each session, so that a flood fills nothing; what a session counted since its last one is missing.';

CREATE FUNCTION storesync.ingest_push(platform text, url text, headers jsonb, body bytea) RETURNS int
	AS 'MODULE_PATHNAME', 'ingest_push' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.ingest_push(text, text, jsonb, bytea) IS
'Takes a notification of a platform, as it came over HTTP, and returns the status to answer it with, the answer''s body being empty. url: as the platform was given it (and as credential callback_url says, where that is set); headers: an object of names, in any case, and values; body: the bytes as they came, at most 256 kB. 200 (Shopee) or 201 (Ruten): it is genuine, and what it is a hint at will be asked for, orders within about a second; also for one that was taken before. 400: genuine, but too old, of a time to come or malformed. 401: not signed with the application''s or the store''s key, or for another URL. 404: its shop is no store here. 413: too large. 503: there is no key to check it with. What is refused is counted in notification_refused. Errors: SS005 unknown platform, or one that sends none (PChome); 22023 headers that are no object; 22004 null; 25006 on a standby. Example: SELECT storesync.ingest_push(''shopee'', ''https://erp.example.com/hooks/shopee'', ''{"authorization": "37727b5f..."}'', convert_to(''{"code": 3}'', ''UTF8'')); -- 401';

-- The newest word of a shop about its authorisation. One that was given to us since has settled it.
CREATE FUNCTION storesync.health_notifications() RETURNS TABLE(component text, state text, reason text)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT concat('notifications of ', r.platform), 'degraded',
		format('%s refused since %s, the last at %s: %s', sum(r.refused), date_trunc('second', min(r.first_at)),
			date_trunc('second', max(r.last_at)), (array_agg(r.reason ORDER BY r.last_at DESC))[1])
	FROM storesync.notification_refused r
	GROUP BY r.platform HAVING max(r.last_at) > clock_timestamp() - '1 hour'::interval
	UNION ALL
	SELECT concat('authorisation of store ', x.store_id), 'degraded',
		format('the shop took it back at %s: authorise the shop again, then set_credential()', date_trunc('second', x.told_at))
	FROM (
		SELECT DISTINCT ON (n.store_id) n.store_id, n.kind, coalesce(n.sent_at, n.at) AS told_at
		FROM storesync.notification n
		WHERE n.kind IN ('authorised', 'revoked') AND n.store_id IS NOT NULL
		ORDER BY n.store_id, coalesce(n.sent_at, n.at) DESC) x
	WHERE x.kind = 'revoked'
		AND NOT EXISTS (SELECT FROM storesync.token t WHERE t.store_id = x.store_id AND t.authorized_at > x.told_at)
	UNION ALL
	SELECT concat('authorisations of ', n.platform), 'degraded',
		format('the platform says at %s that some end soon: see token_status', date_trunc('second', max(n.at)))
	FROM storesync.notification n
	WHERE n.kind = 'expiring' AND n.at > clock_timestamp() - '7 days'::interval
	GROUP BY n.platform
$$;
COMMENT ON FUNCTION storesync.health_notifications() IS
'The part of health() about what platforms tell: notifications refused within the hour, shops that took their authorisation back, authorisations that end soon (for a week).';
