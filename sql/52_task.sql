-- Tasks: asked for by enqueue(), done by the dispatcher, told by task_event (docs/task.md).

CREATE FUNCTION storesync.enqueue(store int, kind text, payload jsonb,
	key storesync.idempotency_key DEFAULT NULL, not_before timestamptz DEFAULT NULL) RETURNS bigint
	AS 'MODULE_PATHNAME', 'enqueue' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.enqueue(int, text, jsonb, storesync.idempotency_key, timestamptz) IS
'Asks the dispatcher for work at a store and returns the task''s id; the dispatcher hears of it when the transaction commits. Kinds and payloads: push_stock, push_price, list, unlist, read_back {"listing": n}; ship_order {"order_sn", "package", "carrier", "tracking"}; cancel_order {"order_sn", "lines": […], "reason"}; fetch_orders {}, {"from", "to"} (Unix seconds or ISO 8601) or {"order_sn": […]}; fetch_listings, refresh_token, exchange_code, verify {} (verify: made by compensate()). ship_order and cancel_order read the order at the platform first and last, so that neither is done twice; package is a parcel, or at PChome a line; lines are line_ids of storesync.sales_order_line; reason is the platform''s word. key: the same request with the same key is one task, whose id comes back. not_before: not earlier than this, at most 366 days ahead. Errors: SS302 unknown kind, or a field that is unknown, missing or malformed; SS002 unknown store; SS004 the store has no such listing; SS101 the key stands for another request; SS102, SS103 the key''s time is too old or ahead; 22004 null; 22008 not_before infinite or too far ahead; 25006 on a standby. Example: SELECT storesync.enqueue(1, ''push_stock'', ''{"listing": 7}'');';

CREATE FUNCTION storesync.task_is_closed(state text) RETURNS boolean
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN state IN ('done', 'dead', 'discarded');
COMMENT ON FUNCTION storesync.task_is_closed(text) IS
'Whether an event of this state closes its task: done, dead (given up, in storesync.compensation) or discarded. Example: SELECT storesync.task_is_closed(''waiting''); -- false';

-- A task's rows are one, or several with the same id where it was carried forward; what happened to it
-- happened at or after each of them. A day is for clocks that were set back. An event that closes it
-- is the last one whatever the clock says.
CREATE VIEW storesync.task_open AS
SELECT o.subject AS task_id, o.at, o.incarnation,
	(o.payload ->> 'store')::int AS store_id, o.payload ->> 'kind' AS kind, o.payload -> 'payload' AS payload,
	coalesce((o.payload ->> 'since')::timestamptz, o.at) AS since,
	(o.payload ->> 'not_before')::timestamptz AS not_before,
	coalesce(e.state, 'queued') AS state, coalesce(e.attempts, 0) AS attempts, e.class AS last_class,
	coalesce(e.next_at, (o.payload ->> 'not_before')::timestamptz) AS next_at, e.at AS event_at, e.detail, e.try
FROM storesync.outbox o
LEFT JOIN LATERAL (
	SELECT x.at, x.state, x.attempts, x.class, x.next_at, x.detail, x.try
	FROM storesync.task_event x
	WHERE x.task_id = o.subject AND x.at >= o.at - '1 day'::interval
	ORDER BY storesync.task_is_closed(x.state) DESC, x.at DESC LIMIT 1) e ON true
WHERE o.kind = 'task' AND storesync.task_is_closed(e.state) IS NOT TRUE;
COMMENT ON VIEW storesync.task_open IS
'Tasks without a closing event, one row for each of their rows in the outbox (a task that was carried forward may have two for a while): what was asked for, since when, and the last event: state (queued, sent, waiting), attempts so far, class of the last one, when the next is due.';

-- Of one task, closed or not; none when nothing is known of it any more.
CREATE FUNCTION storesync.task_latest(task bigint, OUT state text, OUT attempts int,
	OUT last_class storesync.outcome_class, OUT next_at timestamptz, OUT detail text) RETURNS SETOF record
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	(SELECT e.state, e.attempts, e.class, e.next_at, e.detail
	FROM storesync.task_event e WHERE e.task_id = $1
	ORDER BY e.state = 'discarded' DESC, storesync.task_is_closed(e.state) DESC, e.at DESC LIMIT 1)
	UNION ALL
	(SELECT 'queued', 0, NULL, (o.payload ->> 'not_before')::timestamptz, NULL
	FROM storesync.outbox o
	WHERE o.kind = 'task' AND o.subject = $1
		AND NOT EXISTS (SELECT FROM storesync.task_event e WHERE e.task_id = $1) LIMIT 1)
$$;
COMMENT ON FUNCTION storesync.task_latest(bigint) IS
'What task_state() answers; no row for a task of which nothing is known.';

CREATE FUNCTION storesync.task_state(task bigint, OUT state text, OUT attempts int, OUT last_class text,
	OUT next_at timestamptz, OUT detail text)
	AS 'MODULE_PATHNAME', 'task_state' LANGUAGE C STABLE STRICT;
COMMENT ON FUNCTION storesync.task_state(bigint) IS
'How a task stands. state: queued (nothing has happened yet), sent (under way), waiting (until next_at, after a try that failed), done, dead (given up: storesync.compensation has its story), discarded (settled by people: detail says how). attempts: tries so far; last_class: outcome class of the last one that failed; next_at: not before this. detail: of a try that failed the reason, and why nothing is done now (waits: the store is paused, off, in shadow, lower_only, its credential was refused, ...). Closed tasks are known for storesync.log_retention. Error SS007 when there is no such task. Example: SELECT * FROM storesync.task_state(42);';

CREATE FUNCTION storesync.task_time(value jsonb) RETURNS timestamptz
	AS 'MODULE_PATHNAME', 'task_time' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION storesync.task_time(jsonb) IS
'The moment that a payload gives in Unix seconds or ISO 8601 with a zone; NULL when it is none. Example: SELECT storesync.task_time(''1700000000'');';

CREATE FUNCTION storesync.backfill(store int, since timestamptz) RETURNS bigint
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	moment timestamptz := clock_timestamp();
BEGIN
	IF $1 IS NULL OR $2 IS NULL THEN
		RAISE EXCEPTION 'store and since must not be null' USING ERRCODE = '22004';
	END IF;
	IF $2 >= moment OR $2 < moment - storesync.order_retention() THEN
		RAISE EXCEPTION 'since is out of range: %', $2
			USING ERRCODE = '22023', HINT = 'It must lie in the past, within storesync.order_retention.';
	END IF;
	RETURN storesync.enqueue($1, 'fetch_orders', jsonb_build_object('from', $2, 'to', moment));
END
$$;
COMMENT ON FUNCTION storesync.backfill(int, timestamptz) IS
'Has all orders of a store fetched that were placed or changed since then, within storesync.order_retention: a task of kind fetch_orders, whose id comes back. By turns with what is new, in pieces, going on after a restart where it was; task_state() tells through when it is done. What is booked already is not booked again, and store.stock_from says which orders move stock. Errors: SS002 unknown store, 22004 null, 22023 since is out of range, 25006 on a standby. Example: SELECT storesync.backfill(1, now() - interval ''90 days'');';
