-- The peers: what a careful user would write on the ordinary layout (bench/ordinary.sql) to do the
-- same work. The look at the stock is folded into the UPDATE that takes it, the lines are locked
-- in one order, a known order is answered and nothing is written.

-- ingest: an order document in one call.
CREATE FUNCTION ordinary.ingest(store int, doc jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	sn text := doc->>'order_sn';
	created timestamptz := to_timestamp((doc->>'create_time')::bigint);
	updated timestamptz := to_timestamp((doc->>'update_time')::bigint);
	fetched timestamptz := to_timestamp((doc->>'fetched_at')::bigint);
	outcome text := 'applied';
	line record;
	stock record;
BEGIN
	INSERT INTO ordinary.sales_order (store_id, order_sn, status, create_time, update_time, fetched_at)
	VALUES (store, sn, doc->>'status', created, updated, fetched)
	ON CONFLICT DO NOTHING;
	IF NOT FOUND THEN
		RETURN 'unchanged';
	END IF;
	FOR line IN
		SELECT l.line_id, l.item_id, l.qty, l.unit_price, coalesce(l.sku, (
			SELECT g.sku FROM ordinary.listing g WHERE g.store_id = store AND g.item_id = l.item_id)) AS sku
		FROM jsonb_to_recordset(doc->'lines') AS l (line_id text, item_id text, sku text, qty bigint, unit_price numeric)
		ORDER BY 5
	LOOP
		UPDATE ordinary.stock s SET reserved = s.reserved + line.qty, version = s.version + 1
		WHERE s.sku = line.sku AND s.location_id = 1 AND s.on_hand - s.reserved >= line.qty
		RETURNING s.on_hand, s.reserved, s.version INTO stock;
		IF FOUND THEN
			INSERT INTO ordinary.ledger (sku, location_id, version, kind, on_hand_delta, reserved_delta, on_hand, reserved,
				idempotency_key, reason, event_at)
			VALUES (line.sku, 1, stock.version, 'reserve', 0, line.qty, stock.on_hand, stock.reserved,
				sn || '/' || line.line_id || '/1', doc->>'status', created);
			INSERT INTO ordinary.outbox (payload)
			VALUES (jsonb_build_object('kind', 'stock', 'sku', line.sku, 'version', stock.version));
			INSERT INTO ordinary.sales_order_line (store_id, order_sn, line_id, sku, location_id, ordered_at, qty, reserved,
				status, state, item_id, unit_price)
			VALUES (store, sn, line.line_id, line.sku, 1, created, line.qty, line.qty,
				doc->>'status', 'reserved', line.item_id, line.unit_price);
		ELSE
			outcome := 'short';
			INSERT INTO ordinary.sales_order_line (store_id, order_sn, line_id, sku, location_id, ordered_at, qty, reserved,
				short, status, state, item_id, unit_price)
			VALUES (store, sn, line.line_id, line.sku, 1, created, line.qty, 0,
				line.qty, doc->>'status', 'short', line.item_id, line.unit_price);
		END IF;
	END LOOP;
	INSERT INTO ordinary.order_history (store_id, order_sn, update_time, fetched_at, status, outcome, lines)
	VALUES (store, sn, updated, fetched, doc->>'status', outcome, doc->'lines');
	RETURN outcome;
END $$;

-- ingest_page: a page of documents as one statement. It does less than a page should: when a SKU
-- does not cover all of a page, none of the page's lines gets it; the outbox has one row a SKU.
-- Stock is locked in one order first, or two pages would deadlock. The plan is kept, and reads the
-- stock by its index: the planner expects 10,000 lines and would read all of it, twice. For the same
-- reason it has no use for JIT, which compiled for 30 ms a page that then ran for 5.
CREATE FUNCTION ordinary.ingest_page(store int, docs jsonb) RETURNS bigint LANGUAGE plpgsql
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off AS $$
DECLARE
	orders bigint;
BEGIN
	WITH doc AS MATERIALIZED (
		SELECT d.order_sn, d.status, to_timestamp(d.create_time) AS create_time, to_timestamp(d.update_time) AS update_time,
			to_timestamp(d.fetched_at) AS fetched_at, d.lines
		FROM jsonb_to_recordset(docs)
			AS d (order_sn text, status text, create_time bigint, update_time bigint, fetched_at bigint, lines jsonb)
	), fresh AS (
		INSERT INTO ordinary.sales_order (store_id, order_sn, status, create_time, update_time, fetched_at)
		SELECT store, d.order_sn, d.status, d.create_time, d.update_time, d.fetched_at FROM doc d ORDER BY d.order_sn
		ON CONFLICT DO NOTHING
		RETURNING order_sn, status, create_time, update_time, fetched_at
	), line AS MATERIALIZED (
		SELECT f.order_sn, f.status, f.create_time, l.line_id, l.item_id, l.sku, l.qty, l.unit_price,
			(sum(l.qty) OVER w)::bigint AS sum_qty, row_number() OVER w AS nth
		FROM fresh f
		JOIN doc d ON d.order_sn = f.order_sn
		CROSS JOIN LATERAL (
			SELECT r.line_id, r.item_id, r.qty, r.unit_price, coalesce(r.sku, (
				SELECT g.sku FROM ordinary.listing g WHERE g.store_id = store AND g.item_id = r.item_id)) AS sku
			FROM jsonb_to_recordset(d.lines) AS r (line_id text, item_id text, sku text, qty bigint, unit_price numeric)) l
		WINDOW w AS (PARTITION BY l.sku ORDER BY f.order_sn, l.line_id)
	), wanted AS (
		SELECT l.sku, sum(l.qty)::bigint AS qty, count(*) AS n FROM line l GROUP BY l.sku
	), locked AS MATERIALIZED (
		SELECT s.sku, w.qty, w.n
		FROM wanted w JOIN ordinary.stock s ON s.sku = w.sku AND s.location_id = 1
		ORDER BY s.sku FOR UPDATE OF s
	), moved AS (
		UPDATE ordinary.stock s SET reserved = s.reserved + l.qty, version = s.version + l.n
		FROM locked l
		WHERE s.sku = l.sku AND s.location_id = 1 AND s.on_hand - s.reserved >= l.qty
		RETURNING s.sku, s.on_hand, s.reserved - l.qty AS reserved, s.version - l.n AS version, s.version AS last
	), booked AS (
		INSERT INTO ordinary.ledger (sku, location_id, version, kind, on_hand_delta, reserved_delta, on_hand, reserved,
			idempotency_key, reason, event_at)
		SELECT m.sku, 1, m.version + l.nth, 'reserve', 0, l.qty, m.on_hand, m.reserved + l.sum_qty,
			l.order_sn || '/' || l.line_id || '/1', l.status, l.create_time
		FROM line l JOIN moved m ON m.sku = l.sku
	), told AS (
		INSERT INTO ordinary.outbox (payload)
		SELECT jsonb_build_object('kind', 'stock', 'sku', m.sku, 'version', m.last) FROM moved m
	), lines AS (
		INSERT INTO ordinary.sales_order_line (store_id, order_sn, line_id, sku, location_id, ordered_at, qty, reserved,
			short, status, state, item_id, unit_price)
		SELECT store, l.order_sn, l.line_id, l.sku, 1, l.create_time, l.qty,
			CASE WHEN m.sku IS NULL THEN 0 ELSE l.qty END, CASE WHEN m.sku IS NULL THEN l.qty ELSE 0 END,
			l.status, CASE WHEN m.sku IS NULL THEN 'short' ELSE 'reserved' END, l.item_id, l.unit_price
		FROM line l LEFT JOIN moved m ON m.sku = l.sku
	), history AS (
		INSERT INTO ordinary.order_history (store_id, order_sn, update_time, fetched_at, status, outcome, lines)
		SELECT store, f.order_sn, f.update_time, f.fetched_at, f.status, 'applied', d.lines
		FROM fresh f JOIN doc d ON d.order_sn = f.order_sn
	)
	SELECT count(*) INTO orders FROM fresh;
	RETURN orders;
END $$;

-- reserve: a direct reservation with the caller's key; a known key is answered from its row.
CREATE FUNCTION ordinary.reserve(sku text, qty bigint, key text, reference text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	print bigint := hashtextextended(sku || '/' || qty || '/' || reference, 0);
	known ordinary.idempotency;
	stock record;
	answer jsonb;
BEGIN
	SELECT * INTO known FROM ordinary.idempotency i WHERE i.idempotency_key = key;
	IF FOUND THEN
		IF known.fingerprint <> print THEN
			RAISE EXCEPTION 'key % was used for another request', key;
		END IF;
		RETURN known.response;
	END IF;
	UPDATE ordinary.stock s SET reserved = s.reserved + reserve.qty, version = s.version + 1
	WHERE s.sku = reserve.sku AND s.location_id = 1 AND s.on_hand - s.reserved >= reserve.qty
	RETURNING s.on_hand, s.reserved, s.version INTO stock;
	IF FOUND THEN
		answer := jsonb_build_object('outcome', 'applied', 'on_hand', stock.on_hand, 'reserved', stock.reserved,
			'version', stock.version);
		INSERT INTO ordinary.ledger (sku, location_id, version, kind, on_hand_delta, reserved_delta, on_hand, reserved,
			idempotency_key, reference, event_at)
		VALUES (sku, 1, stock.version, 'reserve', 0, qty, stock.on_hand, stock.reserved, key, reference, clock_timestamp());
		INSERT INTO ordinary.reservation AS r (sku, location_id, reference, qty) VALUES (sku, 1, reference, qty)
		ON CONFLICT ON CONSTRAINT reservation_pkey DO UPDATE SET qty = r.qty + excluded.qty;
		INSERT INTO ordinary.outbox (payload)
		VALUES (jsonb_build_object('kind', 'stock', 'sku', sku, 'version', stock.version));
	ELSE
		answer := jsonb_build_object('outcome', 'insufficient');
	END IF;
	INSERT INTO ordinary.idempotency (idempotency_key, fingerprint, response) VALUES (key, print, answer);
	RETURN answer;
END $$;

-- release: gives back what reserve holds for the reference.
CREATE FUNCTION ordinary.release(sku text, qty bigint, key text, reference text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	print bigint := hashtextextended('release/' || sku || '/' || qty || '/' || reference, 0);
	known ordinary.idempotency;
	stock record;
	answer jsonb;
BEGIN
	SELECT * INTO known FROM ordinary.idempotency i WHERE i.idempotency_key = key;
	IF FOUND THEN
		IF known.fingerprint <> print THEN
			RAISE EXCEPTION 'key % was used for another request', key;
		END IF;
		RETURN known.response;
	END IF;
	UPDATE ordinary.stock s SET reserved = s.reserved - release.qty, version = s.version + 1
	WHERE s.sku = release.sku AND s.location_id = 1
	RETURNING s.on_hand, s.reserved, s.version INTO stock;
	DELETE FROM ordinary.reservation r
	WHERE r.sku = release.sku AND r.location_id = 1 AND r.reference = release.reference AND r.qty = release.qty;
	IF NOT FOUND THEN
		UPDATE ordinary.reservation r SET qty = r.qty - release.qty
		WHERE r.sku = release.sku AND r.location_id = 1 AND r.reference = release.reference AND r.qty > release.qty;
		IF NOT FOUND THEN
			RAISE EXCEPTION 'reference % holds less', reference;
		END IF;
	END IF;
	answer := jsonb_build_object('outcome', 'applied', 'on_hand', stock.on_hand, 'reserved', stock.reserved,
		'version', stock.version);
	INSERT INTO ordinary.ledger (sku, location_id, version, kind, on_hand_delta, reserved_delta, on_hand, reserved,
		idempotency_key, reference, event_at)
	VALUES (sku, 1, stock.version, 'release', 0, -qty, stock.on_hand, stock.reserved, key, reference, clock_timestamp());
	INSERT INTO ordinary.outbox (payload)
	VALUES (jsonb_build_object('kind', 'stock', 'sku', sku, 'version', stock.version));
	INSERT INTO ordinary.idempotency (idempotency_key, fingerprint, response) VALUES (key, print, answer);
	RETURN answer;
END $$;
