-- Peak windows: hours in which work that can wait is held back (docs/peak.md).

CREATE FUNCTION storesync.store_timezone_check() RETURNS trigger
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM clock_timestamp() AT TIME ZONE NEW.timezone;
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION storesync.store_timezone_check() IS
'Row trigger of storesync.store: refuses a timezone that the server does not know with 22023.';
CREATE TRIGGER store_timezone_check BEFORE INSERT OR UPDATE OF timezone ON storesync.store
	FOR EACH ROW EXECUTE FUNCTION storesync.store_timezone_check();

CREATE SEQUENCE storesync.peak_window_id_seq AS int;
CREATE TABLE storesync.peak_window (
	peak_window_id int PRIMARY KEY DEFAULT nextval('storesync.peak_window_id_seq'),
	platform text,
	store_id int,
	starts timestamp NOT NULL,
	ends timestamp NOT NULL,
	kinds text[] NOT NULL,
	spread interval NOT NULL,
	CHECK (ends > starts AND ends <= starts + '31 days'::interval),
	CHECK (num_nonnulls(platform, store_id) = 1),
	CONSTRAINT peak_window_kinds_check CHECK (kinds <@ ARRAY['raise', 'price', 'list', 'unlist', 'read_back', 'fetch_listings']),
	CHECK (spread BETWEEN '0' AND '1 day'),
	-- far from where a clock's time has no moment: the view peak is read by every start of the dispatcher
	CONSTRAINT peak_window_years CHECK (starts >= '2000-01-01' AND ends < '3000-01-01'),
	poll_interval interval CHECK (poll_interval BETWEEN '100 milliseconds' AND '1 day'),
	CONSTRAINT peak_window_purpose CHECK (kinds <> '{}' OR poll_interval IS NOT NULL)
);
COMMENT ON TABLE storesync.peak_window IS
'Hours in which a store, or all stores of a platform, hold work back: from starts to ends by the clock of each store (store.timezone), these kinds of it, which then go out spread over the time in spread. poll_interval: from one order fetch to the next at most, from starts to ends (NULL: as ever). Made by add_peak_window().';

CREATE FUNCTION storesync.peak_changed(peak_window storesync.peak_window) RETURNS void
	LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT storesync.outbox_add('store', array_agg(s.store_id::bigint ORDER BY s.store_id))
	FROM storesync.store s
	WHERE s.store_id = ($1).store_id OR s.platform = ($1).platform
	HAVING count(*) > 0
$$;
COMMENT ON FUNCTION storesync.peak_changed(storesync.peak_window) IS
'Has the dispatcher look again at the stores that a peak window is for.';

CREATE FUNCTION storesync.add_peak_window(starts timestamp, ends timestamp, store int DEFAULT NULL, platform text DEFAULT NULL,
	kinds text[] DEFAULT '{price,list,unlist,read_back,fetch_listings}', spread interval DEFAULT '10 minutes',
	poll_interval interval DEFAULT NULL) RETURNS int
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	made storesync.peak_window;
BEGIN
	IF num_nonnulls($3, $4) <> 1 OR num_nulls($1, $2, $5, $6) > 0 THEN
		RAISE EXCEPTION 'a peak window is for one store or one platform, and has a start, an end, kinds and a spread'
			USING ERRCODE = '22023';
	END IF;
	IF $3 IS NOT NULL AND NOT EXISTS (SELECT FROM storesync.store s WHERE s.store_id = $3) THEN
		RAISE EXCEPTION 'store % does not exist', $3 USING ERRCODE = 'SS002';
	END IF;
	IF $4 IS NOT NULL AND NOT EXISTS (SELECT FROM storesync.platform p WHERE p.platform = $4) THEN
		RAISE EXCEPTION 'platform "%" does not exist', $4 USING ERRCODE = 'SS005';
	END IF;
	INSERT INTO storesync.peak_window AS w (platform, store_id, starts, ends, kinds, spread, poll_interval)
	VALUES ($4, $3, $1, $2, $5, $6, $7) RETURNING w.* INTO made;
	INSERT INTO storesync.audit (action, subject, after)
	VALUES ('add peak window', concat('peak window ', made.peak_window_id), to_jsonb(made));
	PERFORM storesync.peak_changed(made);
	RETURN made.peak_window_id;
END
$$;
COMMENT ON FUNCTION storesync.add_peak_window(timestamp, timestamp, int, text, text[], interval, interval) IS
'Hold work back from starts to ends, by the clock of each store (store.timezone), for one store or for all of a platform: kinds raise, price, list, unlist, and the tasks read_back and fetch_listings; afterwards it goes out spread over the time in spread. Decreases and order fetches never wait. poll_interval: meanwhile orders are fetched at least so often (100 ms to 1 day; NULL: as ever), as far as the fetches'' part of the budget goes; at the end it is as before. With kinds ''{}'' a window does that alone. Returns its id. Errors: 22023 when not one of store and platform is given or an argument is NULL, SS002 and SS005 for an unknown store or platform, 23514 for an end before its start, more than 31 days, times before the year 2000 or after 2999, an unknown kind, neither a kind nor a poll_interval, one out of its range, or a spread beyond a day. Example: SELECT storesync.add_peak_window(''2026-11-11 00:00'', ''2026-11-11 02:00'', platform => ''shopee'', poll_interval => ''2 seconds'');';

CREATE FUNCTION storesync.drop_peak_window(peak_window_id int) RETURNS boolean
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	gone storesync.peak_window;
BEGIN
	DELETE FROM storesync.peak_window w WHERE w.peak_window_id = $1 RETURNING w.* INTO gone;
	IF NOT FOUND THEN
		RETURN false;
	END IF;
	INSERT INTO storesync.audit (action, subject, before)
	VALUES ('drop peak window', concat('peak window ', $1), to_jsonb(gone));
	PERFORM storesync.peak_changed(gone);
	RETURN true;
END
$$;
COMMENT ON FUNCTION storesync.drop_peak_window(int) IS
'Take a peak window away; what it holds back goes out at once. False when there is none of that id. Example: SELECT storesync.drop_peak_window(3);';

CREATE VIEW storesync.peak AS
SELECT s.store_id, w.peak_window_id, k.kind, x.starts, x.ends, k.spread,
	x.starts OPERATOR(pg_catalog.<=) pg_catalog.statement_timestamp() AS is_on, k.poll_interval
FROM storesync.peak_window w
JOIN storesync.store s ON s.store_id OPERATOR(pg_catalog.=) w.store_id OR s.platform OPERATOR(pg_catalog.=) w.platform
CROSS JOIN LATERAL (SELECT w.starts AT TIME ZONE s.timezone AS starts, w.ends AT TIME ZONE s.timezone AS ends) x
CROSS JOIN LATERAL (
	SELECT h.kind, w.spread, NULL::interval AS poll_interval FROM pg_catalog.unnest(w.kinds) AS h (kind)
	UNION ALL
	SELECT 'fetch_orders', '0'::interval, w.poll_interval WHERE w.poll_interval IS NOT NULL) k
WHERE x.ends OPERATOR(pg_catalog.+) k.spread OPERATOR(pg_catalog.>) pg_catalog.statement_timestamp();
COMMENT ON VIEW storesync.peak IS
'Peak windows that are on or to come, per store and kind of work, with their moments; is_on: it has begun, and the time in spread after its end, in which work goes out, is not over. kind fetch_orders is not held back: from starts to ends orders are fetched every poll_interval at least. Example: SELECT * FROM storesync.peak WHERE is_on;';
