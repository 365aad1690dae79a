-- Why a task waits: part of what task_state() answers. Here because it asks what is known of stores.

CREATE FUNCTION storesync.task_hint(task bigint) RETURNS text
	LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE
		WHEN NOT storesync.sending_allowed(s.platform) THEN 'waits: this instance is not confirmed for its platform'
		WHEN s.mode = 'off' THEN 'waits: the store is off'
		WHEN x.writes AND s.paused THEN 'waits: the store is paused'
		WHEN x.writes AND s.mode = 'shadow' THEN 'waits: the store is in shadow, nothing is written there'
		WHEN t.waits IS NOT NULL THEN t.waits
		WHEN p.ends IS NOT NULL THEN concat('waits', CASE o.payload ->> 'kind' WHEN 'push_stock' THEN ', if it is a raise' END,
			': a peak window ends at ', date_trunc('second', p.ends))
		WHEN x.writes AND x.raises AND s.mode = 'lower_only' THEN 'waits, if it is a raise: the store is lower_only'
		WHEN o.payload ->> 'kind' = 'fetch_listings' THEN (
			SELECT format('%s listings found so far', (SELECT count(*) FROM storesync.listing_seen f WHERE f.run = w.run))
			FROM storesync.listing_walk w WHERE w.run = $1) END
	FROM (SELECT o.payload FROM storesync.outbox o WHERE o.kind = 'task' AND o.subject = $1 LIMIT 1) o
	JOIN storesync.store s ON s.store_id = (o.payload ->> 'store')::int
	CROSS JOIN LATERAL (SELECT o.payload ->> 'kind' NOT LIKE 'fetch%'
		AND o.payload ->> 'kind' NOT IN ('read_back', 'verify', 'refresh_token', 'exchange_code') AS writes,
		o.payload ->> 'kind' NOT IN ('ship_order', 'cancel_order') AS raises) x
	LEFT JOIN storesync.store_stats() t ON t.store_id = s.store_id
	LEFT JOIN LATERAL (
		SELECT max(k.ends) AS ends FROM storesync.peak k
		WHERE k.store_id = s.store_id AND k.is_on
			AND k.kind = CASE o.payload ->> 'kind' WHEN 'push_price' THEN 'price' WHEN 'push_stock' THEN 'raise' ELSE o.payload ->> 'kind' END) p ON true
$$;
COMMENT ON FUNCTION storesync.task_hint(bigint) IS
'Why nothing is done now for an open task at its store: its mode, a pause, a peak window, a credential that the platform refused, the instance guard and the like; of the reading of a catalogue how far it has come; NULL when nothing stands in the way, or there is no such task. Example: SELECT storesync.task_hint(42); -- waits: the store is paused';
