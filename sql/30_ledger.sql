-- Movements of stock and what is read of the ledger (extension/ledger.c, docs/ledger.md).

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON storesync.ledger
	FOR EACH ROW EXECUTE FUNCTION storesync.refuse_change();
CREATE TRIGGER keep_rows BEFORE TRUNCATE ON storesync.ledger
	FOR EACH STATEMENT EXECUTE FUNCTION storesync.refuse_change();

-- A state of a holder may go when a newer one has taken its place, or when it says nothing.
CREATE FUNCTION storesync.holder_is_newest(sku_id bigint, location_id int, reference text, version bigint) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT NOT EXISTS (SELECT FROM storesync.holder h
		WHERE h.sku_id = $1 AND h.location_id = $2 AND h.reference = $3 AND h.version > $4)
$$;
COMMENT ON FUNCTION storesync.holder_is_newest(bigint, int, text, bigint) IS
'Whether no state of the holder is newer than this version; then its row is refused to be deleted. Example: SELECT storesync.holder_is_newest(1, 1, ''phone 1'', 4);';
-- And when the row of the ledger that it rests on has gone by age, unless it holds units.
CREATE FUNCTION storesync.holder_is_retired(sku_id bigint, location_id int, version bigint) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT EXISTS (SELECT FROM storesync.ledger_opening o
		WHERE o.sku_id = $1 AND o.location_id = $2 AND o.version >= $3)
$$;
COMMENT ON FUNCTION storesync.holder_is_retired(bigint, int, bigint) IS
'Whether the row of the ledger that a holder''s state rests on has gone by age (storesync.ledger_opening). Example: SELECT storesync.holder_is_retired(1, 1, 4);';
CREATE TRIGGER refuse_loss BEFORE DELETE ON storesync.holder
	FOR EACH ROW WHEN ((OLD.held > 0 OR (OLD.shipped > 0
			AND NOT storesync.holder_is_retired(OLD.sku_id, OLD.location_id, OLD.version)))
		AND storesync.holder_is_newest(OLD.sku_id, OLD.location_id, OLD.reference, OLD.version))
	EXECUTE FUNCTION storesync.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE ON storesync.holder
	FOR EACH ROW EXECUTE FUNCTION storesync.refuse_change();
CREATE TRIGGER keep_rows BEFORE TRUNCATE ON storesync.holder
	FOR EACH STATEMENT EXECUTE FUNCTION storesync.refuse_change();

CREATE FUNCTION storesync.receive(sku text, qty bigint, key storesync.idempotency_key,
	location text DEFAULT 'main', reference text DEFAULT NULL) RETURNS storesync.movement_result
	AS 'MODULE_PATHNAME', 'ledger_receive' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.receive(text, bigint, storesync.idempotency_key, text, text) IS
'Books qty units (1 to 10^12) of a SKU as arrived at a location; short order lines are filled from them, oldest paid order first. Answer: outcome applied or replayed, balance of the SKU there right after this movement. Errors: SS001 unknown SKU, SS204 the SKU is a bundle, SS003 unknown location, SS101 key used for another request, SS102 key too old, SS103 key ahead of the clock, SS201 quantity out of range, 22004 null argument, 22023 text empty or too long, 25006 read-only, 40001 under REPEATABLE READ when the stock moved since the snapshot. Example: SELECT * FROM storesync.receive(''T-SHIRT-M'', 100, storesync.derive_key(now(), ''delivery'', ''4711'', ''1''));';

CREATE FUNCTION storesync.reserve(sku text, qty bigint, key storesync.idempotency_key,
	location text DEFAULT 'main', reference text DEFAULT NULL, expires interval DEFAULT NULL)
	RETURNS storesync.movement_result
	AS 'MODULE_PATHNAME', 'ledger_reserve' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.reserve(text, bigint, storesync.idempotency_key, text, text, interval) IS
'Sets qty units of a SKU aside for a reference ('''' when NULL); calls with one reference add up, the last call''s expires holds for all of them. Answer: outcome applied, replayed, or insufficient when less is available and the SKU allows no backorder: then nothing was taken, and the key keeps that answer. Errors as receive. Example: SELECT * FROM storesync.reserve(''T-SHIRT-M'', 2, storesync.new_key(), reference => ''phone order 12'', expires => ''2 days'');';

CREATE FUNCTION storesync.release(sku text, qty bigint, key storesync.idempotency_key,
	location text DEFAULT 'main', reference text DEFAULT NULL) RETURNS storesync.movement_result
	AS 'MODULE_PATHNAME', 'ledger_release' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.release(text, bigint, storesync.idempotency_key, text, text) IS
'Gives back qty units that reserve() holds for the reference; short order lines are filled from them. Errors as receive, and SS202 when the reference holds less. Example: SELECT * FROM storesync.release(''T-SHIRT-M'', 1, storesync.new_key(), reference => ''phone order 12'');';

CREATE FUNCTION storesync.ship(sku text, qty bigint, key storesync.idempotency_key,
	location text DEFAULT 'main', reference text DEFAULT NULL) RETURNS storesync.movement_result
	AS 'MODULE_PATHNAME', 'ledger_ship' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.ship(text, bigint, storesync.idempotency_key, text, text) IS
'Sends away qty units that reserve() holds for the reference: on hand and reserved fall by qty. Errors as receive, and SS202 when the reference holds less. Example: SELECT * FROM storesync.ship(''T-SHIRT-M'', 1, storesync.new_key(), reference => ''phone order 12'');';

CREATE FUNCTION storesync.restock(sku text, qty bigint, key storesync.idempotency_key,
	location text DEFAULT 'main', reference text DEFAULT NULL) RETURNS storesync.movement_result
	AS 'MODULE_PATHNAME', 'ledger_restock' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.restock(text, bigint, storesync.idempotency_key, text, text) IS
'Takes back qty units that ship() sent away from this location for the reference; short order lines are filled from them. Errors as receive, and SS202 for more than was shipped and not yet taken back. Example: SELECT * FROM storesync.restock(''T-SHIRT-M'', 1, storesync.new_key(), reference => ''phone order 12'');';

CREATE FUNCTION storesync.adjust(sku text, counted bigint, key storesync.idempotency_key,
	location text DEFAULT 'main', reference text DEFAULT NULL, counted_at timestamptz DEFAULT NULL)
	RETURNS storesync.movement_result
	AS 'MODULE_PATHNAME', 'adjust' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.adjust(text, bigint, storesync.idempotency_key, text, text, timestamptz) IS
'Books a count: counted (0 to 10^12) units lay at the location at counted_at (now when NULL); on hand changes by counted less balance_at(counted_at), and not below 0 unless the SKU allows backorder. Never refused for being low: reservations that are no longer covered become short in the same transaction, unpaid orders first, then the newest, direct reservations last. Lines that were sent without the books having them are explained by it, and listings of the SKU that a decline holds (listing.held) show their quantity again. Answer: outcome applied or replayed, balance after the count. Errors: 22008 counted_at in the future or before what the ledger knows, 40001 also when an order that has to give up units is being worked on (run it again), the others as receive. Example: SELECT * FROM storesync.adjust(''T-SHIRT-M'', 97, storesync.new_key(), reference => ''inventory 2026'');';

CREATE FUNCTION storesync.transfer(sku text, qty bigint, from_location text, to_location text,
	key storesync.idempotency_key, reference text DEFAULT NULL) RETURNS storesync.movement_result
	AS 'MODULE_PATHNAME', 'transfer' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.transfer(text, bigint, text, text, storesync.idempotency_key, text) IS
'Moves qty units of a SKU that nobody has reserved from one location to another: two ledger rows, one key. What goes to a place that does not sell leaves the listings; what comes to one that sells goes first to short order lines. Answer: outcome applied, replayed, or insufficient when less is available at from_location (also for a SKU on backorder); balance of the SKU at from_location. Errors as receive, and 22023 when both locations are one. Example: SELECT * FROM storesync.transfer(''T-SHIRT-M'', 3, ''main'', ''damaged'', storesync.new_key());';

CREATE FUNCTION storesync.available(sku text, location text DEFAULT NULL) RETURNS bigint
	AS 'MODULE_PATHNAME', 'ledger_available' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.available(text, text) IS
'Units of a SKU on hand and not reserved: at one location, or at all sellable ones together when location is NULL; as committed when it is called, with what this transaction did. Of a bundle: the whole ones that its components make. Below zero only for a SKU that allows backorder, or a bundle of such alone. Errors: SS001 unknown SKU, SS003 unknown location, 22004 NULL SKU. Example: SELECT storesync.available(''T-SHIRT-M'');';

CREATE FUNCTION storesync.balance_at(sku text, at timestamptz, location text DEFAULT 'main') RETURNS bigint
	AS 'MODULE_PATHNAME', 'ledger_balance_at' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.balance_at(text, timestamptz, text) IS
'Units of a SKU on hand at a location after the last movement recorded up to the given moment; 0 before the first. Errors: 22008 the moment lies before what the ledger knows (rows older than storesync.order_retention go), SS001 unknown SKU, SS204 the SKU is a bundle, SS003 unknown location, 22004 NULL argument. Example: SELECT storesync.balance_at(''T-SHIRT-M'', now() - interval ''1 day'');';
