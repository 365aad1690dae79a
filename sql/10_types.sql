-- Types. Words that appear in several tables are enums: four bytes, readable, checked.

CREATE TYPE storesync.idempotency_key;
CREATE FUNCTION storesync.idempotency_key_in(cstring) RETURNS storesync.idempotency_key
	AS 'MODULE_PATHNAME', 'idempotency_key_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION storesync.idempotency_key_out(storesync.idempotency_key) RETURNS cstring
	AS 'MODULE_PATHNAME', 'idempotency_key_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION storesync.idempotency_key_recv(internal) RETURNS storesync.idempotency_key
	AS 'MODULE_PATHNAME', 'idempotency_key_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION storesync.idempotency_key_send(storesync.idempotency_key) RETURNS bytea
	AS 'MODULE_PATHNAME', 'idempotency_key_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE TYPE storesync.idempotency_key (
	INPUT = storesync.idempotency_key_in,
	OUTPUT = storesync.idempotency_key_out,
	RECEIVE = storesync.idempotency_key_recv,
	SEND = storesync.idempotency_key_send,
	INTERNALLENGTH = 16,
	ALIGNMENT = char,
	STORAGE = plain
);
COMMENT ON TYPE storesync.idempotency_key IS
'Serial number of one operation: 16 bytes, 48-bit milliseconds then a hash; 26 characters of Crockford base32 as text; ordered by time. Made by derive_key() or new_key().';

CREATE TYPE storesync.rate_limit;
CREATE FUNCTION storesync.rate_limit_in(cstring) RETURNS storesync.rate_limit
	AS 'MODULE_PATHNAME', 'rate_limit_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION storesync.rate_limit_out(storesync.rate_limit) RETURNS cstring
	AS 'MODULE_PATHNAME', 'rate_limit_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION storesync.rate_limit_recv(internal) RETURNS storesync.rate_limit
	AS 'MODULE_PATHNAME', 'rate_limit_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION storesync.rate_limit_send(storesync.rate_limit) RETURNS bytea
	AS 'MODULE_PATHNAME', 'rate_limit_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE TYPE storesync.rate_limit (
	INPUT = storesync.rate_limit_in,
	OUTPUT = storesync.rate_limit_out,
	RECEIVE = storesync.rate_limit_recv,
	SEND = storesync.rate_limit_send,
	INTERNALLENGTH = VARIABLE,
	ALIGNMENT = double,
	STORAGE = plain
);
COMMENT ON TYPE storesync.rate_limit IS
'Calls a platform grants: N/unit or N/unit burst B, unit ms, s, min, h or day; several windows joined by commas hold all at once. Example: ''5/s burst 10, 350/min''.';

CREATE TYPE storesync.movement_kind AS ENUM
	('receive', 'reserve', 'release', 'ship', 'restock', 'adjust', 'transfer', 'opening');
COMMENT ON TYPE storesync.movement_kind IS
'What a ledger row did to the stock of one SKU at one location. opening: nothing; it carries the balance of a place where nothing has moved for storesync.order_retention.';

CREATE TYPE storesync.order_status AS ENUM
	('unpaid', 'ready_to_ship', 'shipped', 'completed', 'in_cancel', 'cancelled', 'returned');
COMMENT ON TYPE storesync.order_status IS 'Canonical status of an order or of one of its lines.';

CREATE TYPE storesync.line_state AS ENUM
	('parked', 'short', 'reserved', 'shipped', 'restocked', 'cancelled', 'kept', 'lapsed');
COMMENT ON TYPE storesync.line_state IS
'Where a line stands with the stock: parked (nothing to book it on), short (stock did not cover it), reserved, shipped, restocked, cancelled, kept (from before the cut-over: no stock effect), lapsed (unpaid for longer than the store holds stock).';

CREATE TYPE storesync.outbox_kind AS ENUM
	('stock', 'listing', 'store', 'platform', 'order', 'task', 'sale');
COMMENT ON TYPE storesync.outbox_kind IS
'What an outbox row says has changed; subject is a sku_id, listing_id, store_id, nothing, order_id, the task''s own id, or nothing.';

CREATE TYPE storesync.outcome_class AS ENUM
	('ok', 'partial', 'throttled', 'quota', 'auth', 'later', 'permanent', 'in_doubt');
COMMENT ON TYPE storesync.outcome_class IS 'The class every answer of a platform falls into; docs/dispatch.md says what follows from each.';

CREATE TYPE storesync.movement_result AS (
	outcome text,
	on_hand bigint,
	reserved bigint,
	available bigint,
	version bigint
);
COMMENT ON TYPE storesync.movement_result IS
'Answer of a movement: outcome applied, replayed or insufficient, and the balance of the SKU at the location after it, in units; version counts the ledger rows of the two.';

CREATE TYPE storesync.order_result AS (
	order_sn text,
	outcome text,
	detail jsonb
);
COMMENT ON TYPE storesync.order_result IS
'Answer to one order document: outcome rejected, stale, parked, short, applied or unchanged; detail is an array with line_id, state, qty, booked, reason per line, or an object with the reason of a rejection.';
