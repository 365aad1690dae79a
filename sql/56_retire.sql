-- Orders and the ledger make ready to go when they are older than storesync.order_retention
-- (docs/partitions.md): what is still needed of a month is carried out of it, row by row in bounded steps,
-- before its partitions are dropped as any other (sql/53_rotation.sql).
--
-- An order goes with its lines in one transaction, and before the rows of the ledger that they made. Every
-- step leaves all invariants holding. One session at a time: the rows of storesync.retired are its lock.
-- Lock order: places, sorted, then orders, which are passed over when somebody has them, so that nothing
-- here waits for an order while it holds a place.

-- Of the orders booked in a month those that are settled are deleted, the others move to the beginning of
-- the next month, with their lines and what the history says of them. Whoever fills short lines passes
-- over a locked order: so the places that could fill them are locked first, and nobody fills meanwhile.
CREATE FUNCTION storesync.retire_orders(from_at timestamptz, to_at timestamptz, after bigint, most int) RETURNS bigint
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
	SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
	oldest timestamptz := clock_timestamp() - storesync.order_retention();
	moved_to timestamptz;
	looked bigint[];
	skus bigint[];
	locked bigint[];
	kept bigint[];
BEGIN
	looked := ARRAY(SELECT DISTINCT l.order_id FROM storesync.sales_order_line l
		WHERE l.recorded_at >= $1 AND l.recorded_at < $2 AND l.order_id > $3 ORDER BY l.order_id LIMIT $4);
	-- places of what is open are locked for a few orders at a time
	LOOP
		skus := ARRAY(SELECT DISTINCT x.sku_id FROM storesync.sales_order_line l
			CROSS JOIN LATERAL (SELECT l.sku_id UNION SELECT c.sku_id FROM storesync.component c WHERE c.bundle_id = l.sku_id) x
			WHERE l.recorded_at >= $1 AND l.recorded_at < $2 AND l.order_id = ANY (looked) AND l.reserved + l.short > 0);
		EXIT WHEN cardinality(skus) = 0 OR cardinality(looked) <= 50;
		looked := looked[1:50];
	END LOOP;
	PERFORM FROM storesync.stock_lock k WHERE k.sku_id = ANY (skus) ORDER BY k.sku_id, k.location_id FOR UPDATE;
	locked := ARRAY(SELECT o.order_id FROM storesync.sales_order o
		WHERE o.order_id = ANY (looked) AND o.recorded_at >= $1 AND o.recorded_at < $2
		ORDER BY o.store_id, o.order_sn FOR UPDATE SKIP LOCKED);
	kept := ARRAY(SELECT DISTINCT o.order_id
		FROM storesync.sales_order o
		JOIN storesync.sales_order_line l ON l.order_id = o.order_id AND l.recorded_at = o.recorded_at
		WHERE o.order_id = ANY (locked) AND l.recorded_at >= $1 AND l.recorded_at < $2
			AND (o.update_time >= oldest OR o.create_time >= oldest
				OR l.reserved + l.short > 0
				OR storesync.units_due(l.status, l.qty, l.cancelled_qty, l.returned_qty, l.pack, l.shipped, l.restocked, l.lost) > 0
				OR EXISTS (SELECT FROM storesync.allotment a
					WHERE a.listing_id = l.listing_id AND least(a.since, a.locked_at) < l.recorded_at)
				OR EXISTS (SELECT FROM storesync.return_notice n
					WHERE n.store_id = o.store_id AND n.order_sn = o.order_sn AND n.is_open AND NOT EXISTS (
						SELECT FROM storesync.return_notice m
						WHERE m.store_id = n.store_id AND m.return_id = n.return_id AND m.order_sn = n.order_sn
							AND m.line_id = n.line_id AND m.at > n.at))));
	DELETE FROM storesync.sales_order_line l
	WHERE l.recorded_at >= $1 AND l.recorded_at < $2 AND l.order_id = ANY (locked) AND l.order_id <> ALL (kept);
	DELETE FROM storesync.line_opening x WHERE x.order_id = ANY (locked) AND x.order_id <> ALL (kept);
	DELETE FROM storesync.short_decision x WHERE x.order_id = ANY (locked) AND x.order_id <> ALL (kept);
	DELETE FROM storesync.sales_order o WHERE o.order_id = ANY (locked) AND o.order_id <> ALL (kept);
	IF cardinality(kept) > 0 THEN
		moved_to := (SELECT min(d.from_at) FROM storesync.partition_days('sales_order_line') d WHERE d.from_at >= $2);
		INSERT INTO storesync.order_history
		SELECT h.order_id, moved_to + h.n * '1 microsecond'::interval, h.update_time, h.fetched_at, h.status, h.outcome, h.lines
		FROM (SELECT x.*, row_number() OVER (PARTITION BY x.order_id ORDER BY x.recorded_at) AS n
			FROM storesync.order_history x
			WHERE x.recorded_at >= $1 AND x.recorded_at < $2 AND x.order_id = ANY (kept)) h;
		UPDATE storesync.sales_order_line l SET recorded_at = moved_to
		WHERE l.recorded_at >= $1 AND l.recorded_at < $2 AND l.order_id = ANY (kept);
		UPDATE storesync.sales_order o SET recorded_at = moved_to WHERE o.order_id = ANY (kept);
	END IF;
	RETURN looked[cardinality(looked)];
END
$$;
COMMENT ON FUNCTION storesync.retire_orders(timestamptz, timestamptz, bigint, int) IS
'A step of retire(): looks at `most` orders with ids above `after` that were booked between two moments, the bounds of a partition; at 50 when one of them is open. Deletes those that are settled, and moves the others into the next partition: those changed within storesync.order_retention, with units reserved, short or due back, with an open return, or that count for an allotment. Passes over orders that somebody is working on. Returns the last id looked at; NULL: there is none left. Errors: 55P03 when somebody works on the stock of an open line.';

-- Rows of the ledger below an opening no longer count, so a place's opening, and those of the holders and
-- lines whose rows it covers, are written in one transaction. Where nothing has moved since, a row that
-- changes nothing carries the balance to the newest partition: who moves stock looks at the newest row
-- and need not know of openings. The rows of the month are final: nobody writes in the past.
CREATE FUNCTION storesync.retire_places(from_at timestamptz, to_at timestamptz, INOUT last_sku bigint, INOUT last_location int,
	highest_order bigint, most int)
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
	SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
	places storesync.ledger_opening[];
	carried storesync.ledger_opening[];
	deleted int;
	open_orders bigint[] := ARRAY(SELECT o.order_id FROM storesync.sales_order o WHERE o.order_id <= $5);
BEGIN
	WITH RECURSIVE place AS (
		(SELECT g.sku_id, g.location_id, 1 AS n FROM storesync.ledger g
		WHERE g.recorded_at >= $1 AND g.recorded_at < $2 AND (g.sku_id, g.location_id) > ($3, $4)
		ORDER BY g.sku_id, g.location_id LIMIT 1)
		UNION ALL
		SELECT x.sku_id, x.location_id, p.n + 1
		FROM place p
		CROSS JOIN LATERAL (
			SELECT g.sku_id, g.location_id FROM storesync.ledger g
			WHERE g.recorded_at >= $1 AND g.recorded_at < $2 AND (g.sku_id, g.location_id) > (p.sku_id, p.location_id)
			ORDER BY g.sku_id, g.location_id LIMIT 1) x
		WHERE p.n < 200),
	last AS (
		SELECT ROW(p.sku_id, p.location_id, g.version, g.on_hand, g.reserved, g.recorded_at)::storesync.ledger_opening AS stands,
			sum(g.version - coalesce(o.version, 0)) OVER w - (g.version - coalesce(o.version, 0)) AS rows_before
		FROM place p
		CROSS JOIN LATERAL (
			SELECT x.version, x.on_hand, x.reserved, x.recorded_at FROM storesync.ledger x
			WHERE x.recorded_at >= $1 AND x.recorded_at < $2 AND x.sku_id = p.sku_id AND x.location_id = p.location_id
			ORDER BY x.version DESC LIMIT 1) g
		LEFT JOIN storesync.ledger_opening o ON o.sku_id = p.sku_id AND o.location_id = p.location_id
		WINDOW w AS (ORDER BY p.sku_id, p.location_id))
	SELECT array_agg(l.stands ORDER BY (l.stands).sku_id, (l.stands).location_id) INTO places FROM last l WHERE l.rows_before < $6;
	IF places IS NULL THEN
		last_sku := NULL;
		RETURN;
	END IF;

	INSERT INTO storesync.line_opening AS x
	SELECT g.order_id, g.reference, count(*), sum(g.reserved_delta),
		coalesce(-sum(g.on_hand_delta) FILTER (WHERE g.kind = 'ship'), 0),
		coalesce(sum(g.on_hand_delta) FILTER (WHERE g.kind = 'restock'), 0)
	FROM unnest(places) p
	LEFT JOIN storesync.ledger_opening o ON o.sku_id = p.sku_id AND o.location_id = p.location_id
	JOIN storesync.ledger g ON g.sku_id = p.sku_id AND g.location_id = p.location_id
		AND g.recorded_at >= $1 AND g.recorded_at < $2 AND g.version > coalesce(o.version, 0)
	WHERE g.order_id = ANY (open_orders)
	GROUP BY g.order_id, g.reference
	ON CONFLICT ON CONSTRAINT line_opening_pkey DO UPDATE SET effects = x.effects + excluded.effects,
		reserved = x.reserved + excluded.reserved, shipped = x.shipped + excluded.shipped,
		restocked = x.restocked + excluded.restocked;
	INSERT INTO storesync.holder_opening AS x
	SELECT g.sku_id, g.location_id, coalesce(g.reference, ''), max(g.version), sum(g.reserved_delta),
		coalesce(-sum(g.on_hand_delta) FILTER (WHERE g.kind = 'ship'), 0),
		coalesce(sum(g.on_hand_delta) FILTER (WHERE g.kind = 'restock'), 0)
	FROM unnest(places) p
	LEFT JOIN storesync.ledger_opening o ON o.sku_id = p.sku_id AND o.location_id = p.location_id
	JOIN storesync.ledger g ON g.sku_id = p.sku_id AND g.location_id = p.location_id
		AND g.recorded_at >= $1 AND g.recorded_at < $2 AND g.version > coalesce(o.version, 0)
	WHERE g.order_id IS NULL AND g.kind IN ('reserve', 'release', 'ship', 'restock')
	GROUP BY g.sku_id, g.location_id, coalesce(g.reference, '')
	ON CONFLICT ON CONSTRAINT holder_opening_pkey DO UPDATE SET version = excluded.version,
		reserved = x.reserved + excluded.reserved, shipped = x.shipped + excluded.shipped,
		restocked = x.restocked + excluded.restocked;
	INSERT INTO storesync.ledger_opening AS x SELECT p.* FROM unnest(places) p
	ON CONFLICT ON CONSTRAINT ledger_opening_pkey DO UPDATE SET version = excluded.version,
		on_hand = excluded.on_hand, reserved = excluded.reserved, at = excluded.at
	-- of a month that was brought back, places may have been seen to in a later one
	WHERE x.version < excluded.version;

	-- locks are taken last, and held for these three statements
	carried := ARRAY(SELECT p FROM unnest(places) p
		JOIN storesync.stock t ON t.sku_id = p.sku_id AND t.location_id = p.location_id
		WHERE t.version = p.version OR EXISTS (SELECT FROM storesync.holder h
			WHERE h.sku_id = p.sku_id AND h.location_id = p.location_id AND h.held = 0 AND h.version <= p.version));
	PERFORM FROM unnest(carried) p
	JOIN storesync.stock_lock k ON k.sku_id = p.sku_id AND k.location_id = p.location_id
	ORDER BY k.sku_id, k.location_id FOR UPDATE OF k;
	INSERT INTO storesync.ledger (sku_id, version, on_hand_delta, reserved_delta, on_hand, reserved, event_at, recorded_at,
		location_id, kind, key)
	SELECT p.sku_id, p.version + 1, 0, 0, p.on_hand, p.reserved, p.at, clock_timestamp(), p.location_id, 'opening',
		storesync.derive_key(p.at, 'opening', p.sku_id::text, p.location_id::text, (p.version + 1)::text)
	FROM unnest(carried) p
	JOIN storesync.stock t ON t.sku_id = p.sku_id AND t.location_id = p.location_id
	WHERE t.version = p.version;
	DELETE FROM storesync.holder h WHERE h.ctid = ANY (ARRAY(
		SELECT x.ctid FROM unnest(carried) p
		JOIN storesync.holder x ON x.sku_id = p.sku_id AND x.location_id = p.location_id AND x.held = 0 AND x.version <= p.version
		LIMIT 500));
	GET DIAGNOSTICS deleted = ROW_COUNT;
	-- a holder that holds nothing any more, and whose last row is among those that went, is gone with them
	DELETE FROM storesync.holder_opening x USING unnest(places) p
	WHERE x.sku_id = p.sku_id AND x.location_id = p.location_id AND NOT EXISTS (SELECT FROM storesync.holder h
		WHERE h.sku_id = x.sku_id AND h.location_id = x.location_id AND h.reference = x.reference);
	-- with more of them to delete the same places come once more, for these alone
	IF deleted < 500 THEN
		last_sku := (places[cardinality(places)]).sku_id;
		last_location := (places[cardinality(places)]).location_id;
	END IF;
END
$$;
COMMENT ON FUNCTION storesync.retire_places(timestamptz, timestamptz, bigint, int, bigint, int) IS
'A step of retire(): writes the openings of places after the SKU and location given that have rows of the ledger between two moments, the bounds of a partition: at least one place and about `most` rows, at most 200 places. highest_order: as in storesync.retired. Deletes up to 500 holders that hold nothing and whose last row is among these; with more of them it stays where it was. Returns the place looked at last; NULL: there is none left. Errors: 55P03 when somebody works on stock that has not moved since.';

CREATE FUNCTION storesync.old_months(at timestamptz DEFAULT clock_timestamp())
	RETURNS TABLE(parent name, partition name, from_at timestamptz, to_at timestamptz, can_retire boolean, waits_for text)
	LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
	WITH month AS MATERIALIZED (
		SELECT t.parent, p.partition, p.from_at, p.to_at,
			coalesce(x.through >= p.to_at, false) AS is_ready,
			-- an id from before a restore may lie ahead
			coalesce(x.xid < storesync.oldest_xid() OR x.xid >= pg_snapshot_xmax(pg_current_snapshot()), false) AS is_over
		FROM storesync.partitioned t
		CROSS JOIN LATERAL storesync.partition_days(t.parent) p
		LEFT JOIN storesync.retired x ON x.parent = t.parent
		WHERE t.parent IN ('ledger', 'sales_order_line', 'order_history')
			AND p.to_at <= $1 - storesync.order_retention() - '1 day'::interval),
	waits AS (
		SELECT m.*, CASE
			WHEN m.parent = 'sales_order_line' THEN CASE WHEN NOT m.is_ready THEN 'its orders' END
			WHEN EXISTS (SELECT FROM month l WHERE l.parent = 'sales_order_line' AND l.from_at < m.to_at
				AND NOT l.is_ready) THEN 'its orders'
			WHEN m.parent = 'order_history' THEN CASE WHEN EXISTS (SELECT FROM month l WHERE l.parent = 'sales_order_line'
				AND l.from_at < m.to_at AND NOT l.is_over) THEN 'a transaction that is still open' END
			WHEN EXISTS (SELECT FROM storesync.partition_days('idempotency') k WHERE k.from_at < m.to_at + '1 day'::interval)
				THEN 'answers of its time'
			WHEN NOT m.is_ready THEN 'its opening balances' END AS reason
		FROM month m)
	SELECT w.parent, w.partition, w.from_at, w.to_at,
		w.reason IS NOT DISTINCT FROM CASE w.parent WHEN 'ledger' THEN 'its opening balances' WHEN 'sales_order_line' THEN 'its orders' ELSE '' END,
		CASE WHEN w.reason IS NOT NULL THEN w.reason
			WHEN w.parent <> 'order_history' AND NOT w.is_over THEN 'a transaction that is still open' END
	FROM waits w
$$;
COMMENT ON FUNCTION storesync.old_months(timestamptz) IS
'Partitions of orders and ledger that are older than storesync.order_retention and a day (an order may be booked a day before its time) at `at`, what each waits for before it can go (NULL: nothing), and whether that is retire()''s to do. Example: SELECT * FROM storesync.old_months();';

CREATE FUNCTION storesync.retire(parent name, most int) RETURNS boolean
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	month record;
	come storesync.retired;
	orders_seen bigint;
	is_left boolean := false;
BEGIN
	IF $1 NOT IN ('ledger', 'sales_order_line') THEN
		RETURN false;
	END IF;
	-- what is under way need not be looked for
	SELECT d.from_at, d.to_at INTO month FROM storesync.retired x
	JOIN storesync.partition_days($1) d ON d.to_at = x.under_way WHERE x.parent = $1;
	IF NOT FOUND THEN
		SELECT m.from_at, m.to_at INTO month FROM storesync.old_months() m WHERE m.parent = $1 AND m.can_retire ORDER BY m.to_at LIMIT 1;
		IF NOT FOUND THEN
			RETURN false;
		END IF;
	END IF;
	INSERT INTO storesync.retired (parent) VALUES ('ledger'), ('sales_order_line') ON CONFLICT DO NOTHING;
	PERFORM FROM storesync.retired x ORDER BY x.parent FOR UPDATE NOWAIT;
	SELECT x.* INTO STRICT come FROM storesync.retired x WHERE x.parent = $1;
	SELECT x.highest_order INTO STRICT orders_seen FROM storesync.retired x WHERE x.parent = 'sales_order_line';
	IF come.through >= month.to_at THEN
		RETURN true; -- somebody else has just done it
	END IF;
	IF come.under_way IS DISTINCT FROM month.to_at THEN
		come.under_way := month.to_at;
		come.last_id := 0;
		come.last_location := 0;
	END IF;
	IF $1 = 'ledger' THEN
		SELECT p.last_sku, p.last_location INTO come.last_id, come.last_location
		FROM storesync.retire_places(month.from_at, month.to_at, come.last_id, come.last_location, orders_seen, $2) p;
	ELSE
		come.last_id := storesync.retire_orders(month.from_at, month.to_at, come.last_id, $2);
		come.highest_order := greatest(come.highest_order, come.last_id);
		is_left := come.last_id IS NULL AND EXISTS (SELECT FROM storesync.sales_order_line l
			WHERE l.recorded_at >= month.from_at AND l.recorded_at < month.to_at);
	END IF;
	IF come.last_id IS NULL THEN
		come.under_way := NULL;
		IF NOT is_left THEN
			come.through := month.to_at;
			come.xid := pg_current_xact_id();
		END IF;
	END IF;
	UPDATE storesync.retired x SET through = come.through, xid = come.xid, under_way = come.under_way,
		last_id = coalesce(come.last_id, 0), last_location = coalesce(come.last_location, 0), highest_order = come.highest_order
	WHERE x.parent = $1;
	RETURN NOT is_left;
END
$$;
COMMENT ON FUNCTION storesync.retire(name, int) IS
'One bounded step towards dropping the oldest partition of `parent` (ledger, sales_order_line): about `most` orders, or rows of the ledger. False: there is nothing to do, or what is left somebody is working on. maintain() and the dispatcher call it until then. Errors: 55P03 when another session is at it.';
