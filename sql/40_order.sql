-- Orders: ingestion and what is due back (extension/order.c, docs/order.md).

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON storesync.order_history
	FOR EACH ROW EXECUTE FUNCTION storesync.refuse_change();

CREATE FUNCTION storesync.order_retention() RETURNS interval
	AS 'MODULE_PATHNAME', 'order_retention' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION storesync.order_retention() IS
'The setting storesync.order_retention as an interval. Example: SELECT storesync.order_retention();';

CREATE FUNCTION storesync.ingest_order(store int, doc jsonb) RETURNS storesync.order_result
	AS 'MODULE_PATHNAME', 'ingest_order' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.ingest_order(int, jsonb) IS
'Books one order document: what its lines want of the stock less what they have booked, so repeated, late and disordered documents come out right. Outcome, the worst word that fits: rejected (malformed; detail has the reason), stale (a newer document is booked), parked (a line has no listing or SKU), short (stock does not cover a line), applied, unchanged. Detail per line: line_id, state, qty (sold units), booked (units of the SKU it keeps off the shelf), reason, and parts for a bundle or a line over several locations. Errors: SS002 unknown store, 22004 null argument, 25006 read-only, 40001 under REPEATABLE READ. Document and rules: docs/order.md. Example: SELECT * FROM storesync.ingest_order(1, ''{"order_sn":"A1","status":"ready_to_ship","create_time":1760000000,"lines":[{"line_id":"1","sku":"T-SHIRT-M","qty":2}]}'');';

CREATE FUNCTION storesync.ingest_orders(store int, docs jsonb) RETURNS SETOF storesync.order_result
	AS 'MODULE_PATHNAME', 'ingest_orders' LANGUAGE C VOLATILE ROWS 50;
COMMENT ON FUNCTION storesync.ingest_orders(int, jsonb) IS
'Books a JSON array of at most 10000 order documents, 100000 lines together, as ingest_order does, in their order and in one transaction; one row each in that order. A bad document is rejected alone. All orders and all stock are locked in one order, so calls never deadlock as long as each is a transaction of its own. Errors as ingest_order, and SS301 when docs is no array or too long. Example: SELECT order_sn, outcome FROM storesync.ingest_orders(1, ''[]'');';

CREATE FUNCTION storesync.release_expired(max int DEFAULT 1000) RETURNS int
	AS 'MODULE_PATHNAME', 'release_expired' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION storesync.release_expired(int) IS
'Gives back what direct reservations hold past their expires, and what unpaid orders hold past their store''s unpaid_hold, at most max (1 to 10000) of them in one transaction; returns how many. Short lines are filled from it; an order that is paid later reserves again, short if need be. The dispatcher calls it when something is due; without it call this until it returns 0. Errors: 22023 max out of range, 25006 read-only, 40001 under REPEATABLE READ. Example: SELECT storesync.release_expired();';
CREATE FUNCTION storesync.next_expiry() RETURNS timestamptz
	AS 'MODULE_PATHNAME', 'next_expiry' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.next_expiry() IS
'When release_expired() will next have something to do; NULL when nothing is to expire. Example: SELECT storesync.next_expiry();';
CREATE FUNCTION storesync.hold_unpaid(store int) RETURNS void
	AS 'MODULE_PATHNAME', 'hold_unpaid' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION storesync.hold_unpaid(int) IS
'Sets the timers of a store''s unpaid orders: called when unpaid_hold changes.';

CREATE FUNCTION storesync.take_up_parked(max int DEFAULT 1000) RETURNS int
	AS 'MODULE_PATHNAME', 'take_up_parked' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION storesync.take_up_parked(int) IS
'Books parked order lines that have a listing or a SKU by now, at most max (1 to 10000) in one transaction; returns how many. add_listing(), add_sku() and a changed mapping do it by themselves for up to 1000 lines, the dispatcher does the rest; without it call this until it returns 0. Errors: 22023 max out of range, 25006 read-only, 40001 under REPEATABLE READ. Example: SELECT storesync.take_up_parked();';
CREATE FUNCTION storesync.take_up_listings(listings bigint[]) RETURNS int
	AS 'MODULE_PATHNAME', 'take_up_listings' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION storesync.take_up_listings(bigint[]) IS
'take_up_parked() for what these listings sell: called where a listing is added or its mapping changes.';
CREATE FUNCTION storesync.take_up_sku(code text) RETURNS int
	AS 'MODULE_PATHNAME', 'take_up_sku' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION storesync.take_up_sku(text) IS
'take_up_parked() for lines that name this SKU and no item: called where a SKU is added.';

CREATE FUNCTION storesync.receive_return(store int, order_sn text, line_id text, qty bigint,
	key storesync.idempotency_key, disposition text DEFAULT 'saleable', location text DEFAULT 'main',
	reference text DEFAULT NULL) RETURNS storesync.movement_result
	AS 'MODULE_PATHNAME', 'receive_return' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.receive_return(int, text, text, bigint, storesync.idempotency_key, text, text, text) IS
'Books qty units (of the SKU, not of the listing) of an order line as back. disposition saleable: restocked at the location, short lines are filled from them; damaged: restocked at a location that does not sell; lost: the line is closed for these units without stock. Of a bundle all components come back to the location. Answer: outcome applied or replayed, balance of the SKU (of a bundle''s first component) at the location. Settles returns_due; a document that says the same later books nothing. Errors: SS006 unknown order (or store), SS008 unknown line, SS003 unknown location, SS202 for more than was shipped and is neither restocked nor lost, 22023 unknown disposition or damaged goods to a location that sells, the others as receive. Example: SELECT * FROM storesync.receive_return(1, ''A1'', ''1'', 2, storesync.new_key(), ''damaged'', ''scrap'', ''RMA 12'');';

CREATE VIEW storesync.line_part AS
SELECT l.order_id, l.line_id, l.recorded_at, l.store_id, p.sku_id, p.location_id, p.per, p.reserved, p.shipped, p.back
FROM storesync.sales_order_line l
CROSS JOIN LATERAL (
	SELECT l.sku_id, l.location_id, 1::bigint AS per, l.reserved, l.shipped, l.restocked AS back
	WHERE l.parts IS NULL AND l.sku_id IS NOT NULL
	UNION ALL
	SELECT x.sku_id, x.location_id, x.per, coalesce(x.reserved, 0), coalesce(x.shipped, 0), coalesce(x.back, 0)
	FROM jsonb_to_recordset(l.parts) AS x (sku_id bigint, location_id int, per bigint, reserved bigint, shipped bigint, back bigint)) p;
COMMENT ON VIEW storesync.line_part IS
'Where each order line has its units: SKU (of a bundle: its components), location (NULL: nowhere yet), per (units of it in one unit of the line''s SKU), and units reserved, shipped and, of those, back.';

CREATE VIEW storesync.return_status AS
SELECT DISTINCT ON (n.store_id, n.return_id, n.order_sn, n.line_id)
	n.store_id, n.return_id, n.order_sn, n.line_id, n.qty, n.state, n.is_open, n.at AS since
FROM storesync.return_notice n
ORDER BY n.store_id, n.return_id, n.order_sn, n.line_id, n.at DESC;
COMMENT ON VIEW storesync.return_status IS
'Each return that a platform lists, by order line, as it stands since then: return_id, order and line ('''' where the platform does not tell), units as sold, the platform''s word for its state, and whether goods may still come (is_open). Example: SELECT * FROM storesync.return_status WHERE is_open;';

CREATE FUNCTION storesync.units_due(status storesync.order_status, qty bigint, cancelled_qty bigint, returned_qty bigint,
	pack int, shipped bigint, restocked bigint, lost bigint) RETURNS bigint
	LANGUAGE sql IMMUTABLE
	RETURN CASE
		WHEN status IN ('cancelled', 'unpaid', 'ready_to_ship', 'in_cancel') THEN shipped
		WHEN returned_qty > 0 THEN least(shipped, returned_qty::numeric * pack)::bigint
		WHEN cancelled_qty > 0 THEN shipped - (greatest(qty - cancelled_qty, 0)::numeric * pack)::bigint
		ELSE 0 END - restocked - coalesce(lost, 0);
COMMENT ON FUNCTION storesync.units_due(storesync.order_status, bigint, bigint, bigint, int, bigint, bigint, bigint) IS
'Units of a shipped line, by its columns of these names, that its order says should come back and have not, as returns_due has them; 0 or less: none. Example: SELECT storesync.units_due(''cancelled'', 2, 0, NULL, 1, 2, 0, NULL);';

CREATE VIEW storesync.returns_due AS
SELECT l.store_id, o.order_sn, l.line_id, k.code AS sku, d.units, d.since, d.cause, l.order_id
FROM storesync.sales_order_line l
JOIN storesync.sales_order o ON o.order_id = l.order_id
JOIN storesync.sku k ON k.sku_id = l.sku_id
CROSS JOIN LATERAL (SELECT l.restocked + coalesce(l.lost, 0) AS units) b
CROSS JOIN LATERAL (
	SELECT CASE
			WHEN l.status IN ('cancelled', 'unpaid', 'ready_to_ship', 'in_cancel') THEN l.shipped - b.units
			WHEN l.returned_qty > 0 THEN least(l.shipped, l.returned_qty::numeric * l.pack)::bigint - b.units
			WHEN l.cancelled_qty > 0
				THEN l.shipped - (greatest(l.qty - l.cancelled_qty, 0)::numeric * l.pack)::bigint - b.units
			ELSE 0 END AS units,
		CASE
			WHEN l.status IN ('cancelled', 'unpaid', 'ready_to_ship') THEN 'not collected'
			WHEN l.status = 'in_cancel' OR l.returned_qty > 0 THEN 'return requested'
			ELSE 'cancelled in transit' END AS cause,
		coalesce(l.cancelled_at, o.update_time) AS since) d
WHERE l.shipped > b.units
	AND (l.status NOT IN ('shipped', 'completed', 'returned') OR l.cancelled_qty > 0 OR l.returned_qty > 0)
	AND d.units > 0
UNION ALL
-- of a line whose order says nothing of it, what the platform's list of returns says
SELECT l.store_id, o.order_sn, l.line_id, k.code, d.units, r.since, 'return requested', l.order_id
FROM (SELECT x.store_id, x.order_sn, x.line_id, sum(x.qty) AS qty, bool_or(x.qty IS NULL) AS untold, min(x.since) AS since
	FROM storesync.return_status x WHERE x.is_open AND x.order_sn <> ''
	GROUP BY x.store_id, x.order_sn, x.line_id) r
JOIN storesync.sales_order o ON o.store_id = r.store_id AND o.order_sn = r.order_sn
JOIN storesync.sales_order_line l ON l.order_id = o.order_id AND r.line_id IN ('', l.line_id)
JOIN storesync.sku k ON k.sku_id = l.sku_id
CROSS JOIN LATERAL (SELECT CASE WHEN r.untold THEN l.shipped ELSE least(l.shipped, r.qty * l.pack)::bigint END
	- l.restocked - coalesce(l.lost, 0) AS units) d
WHERE l.status IN ('shipped', 'completed', 'returned') AND coalesce(l.returned_qty, 0) = 0
	AND l.shipped - l.restocked - coalesce(l.lost, 0) <= greatest(l.qty - l.cancelled_qty, 0)::numeric * l.pack
	AND d.units > 0;
COMMENT ON VIEW storesync.returns_due IS
'Shipped lines whose goods should come back and have not: store, order, line, units of the SKU, since when (of the document that said so), cause: not collected (cancelled, or to be shipped again, after it had left), return requested (by the order, or by the platform''s list of returns: return_status), cancelled in transit (fewer units wanted than were shipped). receive_return() settles it.';
