-- Until shops knew (docs/rollup.md): rows of delay_day of stage pushed.
--
-- A day's histogram is computed from orders and pushes as a whole, as long as an answer may come that counts.

CREATE TABLE storesync.roll_up_pushed (
	only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
	day date NOT NULL,
	through timestamptz NOT NULL,
	last_day date NOT NULL,
	last_platform text NOT NULL,
	last_order bigint,
	so_far storesync.histogram,
	ended_at timestamptz
);
COMMENT ON TABLE storesync.roll_up_pushed IS
'How far the rows of delay_day of stage pushed are: those of days before `day` are final; the newest pass began at `through` (recorded_through()), has come to last_day and last_platform and ended at ended_at (NULL: not yet). last_order: that day of that platform is being computed and has come to this order, with so_far (NULL: of none yet); NULL when it is done. One row, none before the first pass. Without it the next pass begins with the oldest day of which orders and pushes are kept.';

-- As in roll_up_begin(): an order may be created a day after it is booked.
CREATE FUNCTION storesync.pushed_orders(platform text, day date, after bigint, last bigint, most bigint DEFAULT NULL) RETURNS bigint[]
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
AS $$
	SELECT ARRAY(
		SELECT DISTINCT l.order_id FROM storesync.sales_order_line l
		WHERE l.recorded_at >= ($2 - 1)::timestamp AT TIME ZONE 'Asia/Taipei' AND l.recorded_at < ($2 + 2)::timestamp AT TIME ZONE 'Asia/Taipei'
			AND l.ordered_at >= $2::timestamp AT TIME ZONE 'Asia/Taipei' AND l.ordered_at < ($2 + 1)::timestamp AT TIME ZONE 'Asia/Taipei'
			AND l.order_id > $3 AND l.order_id <= $4 AND l.effects > 0
			AND l.store_id = ANY (ARRAY(SELECT t.store_id FROM storesync.store t WHERE t.platform = $1))
		ORDER BY l.order_id LIMIT $5)
$$;
COMMENT ON FUNCTION storesync.pushed_orders(text, date, bigint, bigint, bigint) IS
'The first `most` (NULL: all) orders of a platform created on that day at UTC+8 that pushed_delays() looks at, with ids above `after` up to `last`, by id: those that moved stock and were booked before the end of the day after. For pushed_delays() and roll_up_pushed_step().';

CREATE FUNCTION storesync.pushed_delays_of(orders bigint[], day date) RETURNS storesync.histogram
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off
AS $$
	WITH line AS MATERIALIZED (
		SELECT l.order_id, l.ordered_at, l.recorded_at, l.sku_id, l.parts
		FROM storesync.sales_order_line l
		WHERE l.order_id = ANY ($1) AND l.effects > 0
			AND l.recorded_at >= ($2 - 1)::timestamp AT TIME ZONE 'Asia/Taipei' AND l.recorded_at < ($2 + 2)::timestamp AT TIME ZONE 'Asia/Taipei'),
	sold AS (
		SELECT l.order_id, l.ordered_at, l.recorded_at, l.sku_id FROM line l
		UNION
		SELECT l.order_id, l.ordered_at, l.recorded_at, x.sku_id
		FROM line l CROSS JOIN LATERAL jsonb_to_recordset(l.parts) AS x (sku_id bigint)
		WHERE l.parts IS NOT NULL)
	SELECT storesync.delay_histogram(floor(extract(epoch FROM x.at - x.ordered_at) * 1000)::bigint)
	FROM (
		SELECT o.ordered_at, min(p.at) AS at
		FROM sold o
		CROSS JOIN LATERAL (
			SELECT min(a.at) AS at
			FROM storesync.listing n
			CROSS JOIN LATERAL (
				SELECT u.at FROM storesync.push u
				WHERE u.listing_id = n.listing_id AND u.at >= o.recorded_at AND u.at < ($2 + 2)::timestamp AT TIME ZONE 'Asia/Taipei'
					AND u.sent_at >= o.recorded_at AND u.class IN ('ok', 'partial')
				ORDER BY u.at LIMIT 1) a
			WHERE n.sku_id = o.sku_id) p
		GROUP BY o.order_id, o.ordered_at) x
$$;
COMMENT ON FUNCTION storesync.pushed_delays_of(bigint[], date) IS
'pushed_delays() of some of the orders of that day. For pushed_delays() and roll_up_pushed_step().';

CREATE FUNCTION storesync.pushed_delays(platform text, day date) RETURNS storesync.histogram
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT storesync.pushed_delays_of(storesync.pushed_orders($1, $2, 0, 9223372036854775807), $2)
$$;
COMMENT ON FUNCTION storesync.pushed_delays(text, date) IS
'The histogram of milliseconds from create_time until a shop first acknowledged a write (class ok or partial) that was sent after the order was booked, for any listing of one of its SKUs or of their components, of the orders of a platform created on that day at UTC+8. Only lines that moved stock count, and what was booked and acknowledged until a day after the day''s end; an order to which nothing answered does not count. NULL for no order. By listings as they are now. What roll_up_pushed_step() writes into delay_day. Example: SELECT storesync.delay_percentile(storesync.pushed_delays(''shopee'', current_date - 1), 0.95);';

-- Ids of the orders whose lines may have been booked for that day.
CREATE FUNCTION storesync.pushed_span(day date, OUT first bigint, OUT last bigint)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
AS $$
	SELECT min(x.first), max(x.last)
	FROM storesync.partition_days('sales_order_line') d
	CROSS JOIN LATERAL (
		SELECT min(l.order_id) AS first, max(l.order_id) AS last FROM storesync.sales_order_line l
		WHERE l.recorded_at >= d.from_at AND l.recorded_at < d.to_at) x
	WHERE d.to_at > ($1 - 1)::timestamp AT TIME ZONE 'Asia/Taipei' AND d.from_at < ($1 + 2)::timestamp AT TIME ZONE 'Asia/Taipei'
$$;
COMMENT ON FUNCTION storesync.pushed_span(date) IS
'The least and the greatest id of the orders in the partitions of lines that pushed_delays() reads for that day; NULL of none. For roll_up_pushed_step() alone.';

CREATE FUNCTION storesync.roll_up_pushed_step(most int DEFAULT 5000, every interval DEFAULT '0') RETURNS boolean
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
DECLARE
	pass storesync.roll_up_pushed;
	next record;
	span record;
	upto bigint;
	orders bigint[];
	-- a hundred orders of other days and platforms cost as much as one, and a day by itself as ten
	budget bigint := $1;
BEGIN
	-- as roll_up_stock_step()
	IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
		RAISE EXCEPTION 'roll_up_pushed_step() needs a snapshot of its own for each statement'
			USING ERRCODE = '25001', HINT = 'Call it in a transaction of isolation level READ COMMITTED.';
	END IF;
	SELECT r.* INTO pass FROM storesync.roll_up_pushed r FOR UPDATE;
	IF $1 NOT BETWEEN 1 AND 1000000 THEN
		RAISE EXCEPTION 'number of orders must be between 1 and 1000000' USING ERRCODE = '22023';
	END IF;
	IF pass.only_row IS NULL THEN
		SELECT true, (min(d.from_at) AT TIME ZONE 'Asia/Taipei')::date - 1 INTO pass.only_row, pass.day FROM storesync.partition_days('push') d;
		IF pass.day IS NULL THEN
			RETURN NULL;
		END IF;
	ELSIF pass.ended_at > clock_timestamp() - $2 THEN
		RETURN false;
	END IF;
	IF pass.through IS NULL OR pass.ended_at IS NOT NULL THEN
		PERFORM pg_stat_clear_snapshot();
		pass.through := storesync.recorded_through();
		-- of days before it orders or pushes may have gone
		pass.day := greatest(pass.day, (greatest(pass.through - storesync.log_retention(), storesync.orders_kept_from())
			AT TIME ZONE 'Asia/Taipei')::date + 1);
		pass.last_day := pass.day;
		pass.last_platform := '';
		pass.last_order := NULL;
		pass.ended_at := NULL;
	END IF;
	WHILE budget > 0 LOOP
		IF pass.last_order IS NULL THEN
			SELECT d.day, p.platform INTO next
			FROM (SELECT pass.last_day + n AS day FROM generate_series(0, (pass.through AT TIME ZONE 'Asia/Taipei')::date - pass.last_day) n) d
			CROSS JOIN (SELECT DISTINCT s.platform FROM storesync.store s) p
			WHERE (d.day, p.platform) > (pass.last_day, pass.last_platform)
			ORDER BY d.day, p.platform LIMIT 1;
			IF NOT FOUND THEN
				-- an answer is written some seconds after it came: an hour is enough for that
				pass.day := greatest(pass.day, ((pass.through - '1 hour'::interval) AT TIME ZONE 'Asia/Taipei')::date - 1);
				pass.ended_at := clock_timestamp();
				EXIT;
			END IF;
			pass.last_day := next.day;
			pass.last_platform := next.platform;
			pass.last_order := 0;
			pass.so_far := NULL;
		END IF;
		span := storesync.pushed_span(pass.last_day);
		pass.last_order := greatest(pass.last_order, span.first - 1);
		IF pass.last_order < span.last THEN
			upto := least(span.last, pass.last_order + budget * 100);
			orders := storesync.pushed_orders(pass.last_platform, pass.last_day, pass.last_order, upto, budget);
			IF cardinality(orders) = budget THEN
				upto := orders[budget];
			END IF;
			IF cardinality(orders) > 0 THEN
				SELECT storesync.delay_sum(x.h) INTO pass.so_far
				FROM (VALUES (pass.so_far), (storesync.pushed_delays_of(orders, pass.last_day))) x (h);
			END IF;
			budget := budget - greatest(cardinality(orders), (upto - pass.last_order) / 100, 1);
			pass.last_order := upto;
			CONTINUE;
		END IF;
		IF pass.so_far IS NULL THEN
			DELETE FROM storesync.delay_day d WHERE d.platform = pass.last_platform AND d.day = pass.last_day AND d.stage = 'pushed';
		ELSE
			INSERT INTO storesync.delay_day AS d (platform, day, stage, histogram)
			VALUES (pass.last_platform, pass.last_day, 'pushed', pass.so_far)
			ON CONFLICT ON CONSTRAINT delay_day_pkey DO UPDATE SET histogram = excluded.histogram
			WHERE d.histogram::text <> excluded.histogram::text;
		END IF;
		pass.last_order := NULL;
		pass.so_far := NULL;
		budget := budget - 10;
	END LOOP;
	INSERT INTO storesync.roll_up_pushed SELECT pass.*
	ON CONFLICT ON CONSTRAINT roll_up_pushed_pkey DO UPDATE SET day = excluded.day, through = excluded.through, last_day = excluded.last_day,
		last_platform = excluded.last_platform, last_order = excluded.last_order, so_far = excluded.so_far, ended_at = excluded.ended_at;
	RETURN pass.ended_at IS NULL;
END
$$;
COMMENT ON FUNCTION storesync.roll_up_pushed_step(int, interval) IS
'Writes pushed_delays() of days of a platform that are not final into delay_day: a day is when a pass began more than 25 hours after its end. Looks at the next `most` (1 to 1000000) orders of the day and platform, or a hundred times as many others; true when the pass goes on, NULL when there is no partition of pushes yet. A pass that has ended is followed by another one when it ended longer than `every` ago. Called by roll_up() and by the dispatcher, by it once a day. Errors: 22023 for another number, 25001 under REPEATABLE READ, 25006 on a standby. Example: SELECT storesync.roll_up_pushed_step();';
