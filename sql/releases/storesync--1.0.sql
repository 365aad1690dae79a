\echo Use "CREATE EXTENSION storesync" to load this file. \quit

-- The schema is made here and not named in the control file, so that an install
-- into a schema somebody prepared beforehand fails instead of adopting it.
CREATE SCHEMA storesync;
COMMENT ON SCHEMA storesync IS 'storesync: the stock of truth and everything that makes each listing follow it';
CREATE SCHEMA storesync_report;
COMMENT ON SCHEMA storesync_report IS 'storesync: views for reports, readable on a hot standby';
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
	('receive', 'reserve', 'release', 'ship', 'restock', 'adjust', 'transfer');
COMMENT ON TYPE storesync.movement_kind IS 'What a ledger row did to the stock of one SKU at one location.';

CREATE TYPE storesync.order_status AS ENUM
	('unpaid', 'ready_to_ship', 'shipped', 'completed', 'in_cancel', 'cancelled', 'returned');
COMMENT ON TYPE storesync.order_status IS 'Canonical status of an order or of one of its lines.';

CREATE TYPE storesync.line_state AS ENUM
	('parked', 'short', 'reserved', 'shipped', 'restocked', 'cancelled', 'kept', 'lapsed');
COMMENT ON TYPE storesync.line_state IS
'Where a line stands with the stock: parked (nothing to book it on), short (stock did not cover it), reserved, shipped, restocked, cancelled, kept (from before the cut-over: no stock effect), lapsed (unpaid for longer than the store holds stock).';

CREATE TYPE storesync.outbox_kind AS ENUM
	('stock', 'listing', 'store', 'platform', 'order', 'task');
COMMENT ON TYPE storesync.outbox_kind IS
'What an outbox row says has changed; subject is a sku_id, listing_id, store_id, nothing, order_id or the task''s own id.';

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
-- Order and hash of idempotency keys, before the tables: one of them is partitioned by key.

CREATE FUNCTION storesync.idempotency_key_eq(storesync.idempotency_key, storesync.idempotency_key) RETURNS boolean
	AS 'MODULE_PATHNAME', 'idempotency_key_eq' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION storesync.idempotency_key_ne(storesync.idempotency_key, storesync.idempotency_key) RETURNS boolean
	AS 'MODULE_PATHNAME', 'idempotency_key_ne' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION storesync.idempotency_key_lt(storesync.idempotency_key, storesync.idempotency_key) RETURNS boolean
	AS 'MODULE_PATHNAME', 'idempotency_key_lt' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION storesync.idempotency_key_le(storesync.idempotency_key, storesync.idempotency_key) RETURNS boolean
	AS 'MODULE_PATHNAME', 'idempotency_key_le' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION storesync.idempotency_key_gt(storesync.idempotency_key, storesync.idempotency_key) RETURNS boolean
	AS 'MODULE_PATHNAME', 'idempotency_key_gt' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION storesync.idempotency_key_ge(storesync.idempotency_key, storesync.idempotency_key) RETURNS boolean
	AS 'MODULE_PATHNAME', 'idempotency_key_ge' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION storesync.idempotency_key_cmp(storesync.idempotency_key, storesync.idempotency_key) RETURNS integer
	AS 'MODULE_PATHNAME', 'idempotency_key_cmp' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION storesync.idempotency_key_sortsupport(internal) RETURNS void
	AS 'MODULE_PATHNAME', 'idempotency_key_sortsupport' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION storesync.idempotency_key_hash(storesync.idempotency_key) RETURNS integer
	AS 'MODULE_PATHNAME', 'idempotency_key_hash' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION storesync.idempotency_key_hash_extended(storesync.idempotency_key, bigint) RETURNS bigint
	AS 'MODULE_PATHNAME', 'idempotency_key_hash_extended' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE OPERATOR storesync.= (
	LEFTARG = storesync.idempotency_key, RIGHTARG = storesync.idempotency_key,
	FUNCTION = storesync.idempotency_key_eq,
	COMMUTATOR = OPERATOR(storesync.=), NEGATOR = OPERATOR(storesync.<>),
	RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES
);
CREATE OPERATOR storesync.<> (
	LEFTARG = storesync.idempotency_key, RIGHTARG = storesync.idempotency_key,
	FUNCTION = storesync.idempotency_key_ne,
	COMMUTATOR = OPERATOR(storesync.<>), NEGATOR = OPERATOR(storesync.=),
	RESTRICT = neqsel, JOIN = neqjoinsel
);
CREATE OPERATOR storesync.< (
	LEFTARG = storesync.idempotency_key, RIGHTARG = storesync.idempotency_key,
	FUNCTION = storesync.idempotency_key_lt,
	COMMUTATOR = OPERATOR(storesync.>), NEGATOR = OPERATOR(storesync.>=),
	RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
CREATE OPERATOR storesync.<= (
	LEFTARG = storesync.idempotency_key, RIGHTARG = storesync.idempotency_key,
	FUNCTION = storesync.idempotency_key_le,
	COMMUTATOR = OPERATOR(storesync.>=), NEGATOR = OPERATOR(storesync.>),
	RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
CREATE OPERATOR storesync.> (
	LEFTARG = storesync.idempotency_key, RIGHTARG = storesync.idempotency_key,
	FUNCTION = storesync.idempotency_key_gt,
	COMMUTATOR = OPERATOR(storesync.<), NEGATOR = OPERATOR(storesync.<=),
	RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);
CREATE OPERATOR storesync.>= (
	LEFTARG = storesync.idempotency_key, RIGHTARG = storesync.idempotency_key,
	FUNCTION = storesync.idempotency_key_ge,
	COMMUTATOR = OPERATOR(storesync.<=), NEGATOR = OPERATOR(storesync.<),
	RESTRICT = scalargesel, JOIN = scalargejoinsel
);
COMMENT ON FUNCTION storesync.idempotency_key_eq(storesync.idempotency_key, storesync.idempotency_key) IS 'Implementation of the = operator: same key.';
COMMENT ON FUNCTION storesync.idempotency_key_ne(storesync.idempotency_key, storesync.idempotency_key) IS 'Implementation of the <> operator: different keys.';
COMMENT ON FUNCTION storesync.idempotency_key_lt(storesync.idempotency_key, storesync.idempotency_key) IS 'Implementation of the < operator: earlier key: by time, then by hash.';
COMMENT ON FUNCTION storesync.idempotency_key_le(storesync.idempotency_key, storesync.idempotency_key) IS 'Implementation of the <= operator: earlier or same key.';
COMMENT ON FUNCTION storesync.idempotency_key_gt(storesync.idempotency_key, storesync.idempotency_key) IS 'Implementation of the > operator: later key: by time, then by hash.';
COMMENT ON FUNCTION storesync.idempotency_key_ge(storesync.idempotency_key, storesync.idempotency_key) IS 'Implementation of the >= operator: later or same key.';
COMMENT ON FUNCTION storesync.idempotency_key_cmp(storesync.idempotency_key, storesync.idempotency_key) IS 'Less, equal or greater than zero as the first key is earlier than, the same as or later than the second.';
COMMENT ON FUNCTION storesync.idempotency_key_sortsupport(internal) IS 'Sort support of the btree operator class.';
COMMENT ON FUNCTION storesync.idempotency_key_hash(storesync.idempotency_key) IS 'Hash of the hash operator class.';
COMMENT ON FUNCTION storesync.idempotency_key_hash_extended(storesync.idempotency_key, bigint) IS 'Seeded hash of the hash operator class.';

CREATE OPERATOR CLASS storesync.idempotency_key_ops
	DEFAULT FOR TYPE storesync.idempotency_key USING btree AS
	OPERATOR 1 storesync.<,
	OPERATOR 2 storesync.<=,
	OPERATOR 3 storesync.=,
	OPERATOR 4 storesync.>=,
	OPERATOR 5 storesync.>,
	FUNCTION 1 storesync.idempotency_key_cmp(storesync.idempotency_key, storesync.idempotency_key),
	FUNCTION 2 storesync.idempotency_key_sortsupport(internal),
	FUNCTION 4 pg_catalog.btequalimage(oid);
COMMENT ON OPERATOR CLASS storesync.idempotency_key_ops USING btree IS 'Keys in the order of their time.';
CREATE OPERATOR CLASS storesync.idempotency_key_ops
	DEFAULT FOR TYPE storesync.idempotency_key USING hash AS
	OPERATOR 1 storesync.=,
	FUNCTION 1 storesync.idempotency_key_hash(storesync.idempotency_key),
	FUNCTION 2 storesync.idempotency_key_hash_extended(storesync.idempotency_key, bigint);
COMMENT ON OPERATOR CLASS storesync.idempotency_key_ops USING hash IS 'Equality of keys by hash.';

CREATE FUNCTION storesync.derive_key(event_time timestamptz, VARIADIC parts text[]) RETURNS storesync.idempotency_key
	AS 'MODULE_PATHNAME', 'derive_key' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION storesync.derive_key(timestamptz, text[]) IS
'The idempotency key of a fact: whoever derives it again from the same time (to the millisecond) and the same parts, in any database, encoding or version, gets the same key. Parts are told apart by their lengths: (''ab'',''c'') is not (''a'',''bc''). Errors: 22004 the time or a part is null, 22008 event_time before 1970, after 10889 or infinite, 22021 a part is no valid text, 22023 no parts. Example: SELECT storesync.derive_key(''2024-05-01 10:00+08'', ''stocktake'', ''main'', ''SKU-1'');';

CREATE FUNCTION storesync.new_key() RETURNS storesync.idempotency_key
	AS 'MODULE_PATHNAME', 'new_key' LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION storesync.new_key() IS
'A key that was never there before: the present millisecond and 80 bits from a strong random source. Keep it with the request, so that a retry carries the same one. Example: SELECT storesync.new_key();';

CREATE FUNCTION storesync.key_time(key storesync.idempotency_key) RETURNS timestamptz
	AS 'MODULE_PATHNAME', 'idempotency_key_time' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION storesync.key_time(storesync.idempotency_key) IS
'When the key says its operation happened, in whole milliseconds. Example: SELECT storesync.key_time(storesync.new_key());';
-- Declared before the tables because outbox rows carry it by default.
CREATE FUNCTION storesync.current_incarnation() RETURNS int
	AS 'MODULE_PATHNAME', 'current_incarnation' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.current_incarnation() IS
'Number of this database''s present life. Starts the next one when the stored system identifier and database OID are another database''s (a restored dump, a copy). Error 25006 on a standby that would have to start one. Example: SELECT storesync.current_incarnation();';

CREATE FUNCTION storesync.database_identity(OUT system_identifier bigint, OUT database_oid oid, OUT instance_name text)
	AS 'MODULE_PATHNAME', 'database_identity' LANGUAGE C STABLE;
COMMENT ON FUNCTION storesync.database_identity() IS
'System identifier of this cluster and OID of this database, the pair that an incarnation stores, and the setting storesync.instance_name ('''' when it is not set), as the server''s configuration has it.';
-- Every table, in the way of the data: catalogue, stock, orders, outbox, dispatch, night.
-- A partitioned parent bears no key, index or foreign key: these belong on its partitions, which
-- storesync.partitioned describes and extension/partition.c makes (why: docs/partitions.md).

-- What each partitioned parent's partitions look like. Rows belong to the script, not to dumps.
CREATE TABLE storesync.partitioned (
	parent name PRIMARY KEY,
	step text NOT NULL CHECK (step IN ('day', 'week', 'month')),
	key_column name NOT NULL,
	indexes text[] NOT NULL,
	options text NOT NULL DEFAULT '',
	append_only boolean NOT NULL DEFAULT false,
	retention text CHECK (retention IN ('consumed', 'log', 'order', 'key'))
);
COMMENT ON TABLE storesync.partitioned IS
'How the partitions of each partitioned table are cut (UTC days, ISO weeks or months of key_column), which indexes and storage parameters each of them gets, whether it refuses TRUNCATE, and how long it is kept: consumed (until every consumer is past it), log, order, key (for storesync.log_retention, order_retention, key_horizon); NULL: for good.';
INSERT INTO storesync.partitioned VALUES
	('idempotency', 'week', 'key', ARRAY['UNIQUE (key)']),
	('ledger', 'month', 'recorded_at', ARRAY['UNIQUE (sku_id, location_id, version)']),
	('sales_order_line', 'month', 'recorded_at', ARRAY[
		'UNIQUE (order_id, line_id)',
		'(listing_id, ordered_at) WHERE listing_id IS NOT NULL',
		'(listing_id, cancelled_at) WHERE cancelled_qty > 0',
		'(sku_id, ordered_at) WHERE short > 0',
		'(store_id, item_id, model_id) WHERE state = ''parked''']),
	('order_history', 'month', 'recorded_at', ARRAY['(order_id)']),
	('outbox', 'day', 'at', ARRAY['(xid)', '(subject) WHERE kind = ''task''']),
	('task_event', 'day', 'at', ARRAY['(task_id)']),
	('push', 'day', 'at', ARRAY['(listing_id, at)']),
	('call_log', 'day', 'at', ARRAY[]::text[]),
	('order_gap', 'month', 'at', ARRAY[]::text[]),
	('return_notice', 'month', 'at', ARRAY['(store_id, return_id)', '(store_id, order_sn)']);
UPDATE storesync.partitioned SET append_only = true WHERE parent = 'ledger';
UPDATE storesync.partitioned SET options = 'fillfactor = 80' WHERE parent = 'sales_order_line';
UPDATE storesync.partitioned p SET retention = r.retention
FROM (VALUES ('outbox', 'consumed'), ('task_event', 'log'), ('push', 'log'), ('call_log', 'log'), ('order_gap', 'log'),
	('return_notice', 'order'), ('idempotency', 'key')) AS r(parent, retention)
WHERE p.parent = r.parent;

-- ---------------------------------------------------------------- identity of this database

CREATE TABLE storesync.incarnation (
	incarnation int PRIMARY KEY CHECK (incarnation <= 32767),
	system_identifier bigint NOT NULL,
	database_oid oid NOT NULL,
	reason text NOT NULL CHECK (reason IN ('new', 'copy')),
	started_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE storesync.incarnation IS
'Lives of this data: a dump restored elsewhere finds its stored pair (system identifier, database OID) different from its own and starts the next one. Transaction ids of different incarnations are never compared.';

CREATE TABLE storesync.instance (
	name text NOT NULL,
	system_identifier bigint NOT NULL,
	database_oid oid NOT NULL,
	confirmed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	confirmed_by name NOT NULL DEFAULT session_user
);
COMMENT ON TABLE storesync.instance IS
'The newest row names the instance that may call real platforms (confirm_instance). Never dumped: a copy waits for its operator.';

-- ---------------------------------------------------------------- catalogue
--
-- No foreign keys among tables that are dumped: members exist before their rows come, and
-- pg_restore -j loads them in any order. sql/65_catalog.sql refuses what would leave an orphan.

CREATE TABLE storesync.platform (
	platform text PRIMARY KEY,
	base_url text NOT NULL,
	rate_limit storesync.rate_limit,
	max_quantity bigint NOT NULL CHECK (max_quantity > 0),
	returns_on_cancel boolean DEFAULT true,
	order_overlap interval NOT NULL DEFAULT '5 minutes' CHECK (order_overlap BETWEEN '0' AND '30 days'),
	look_again interval[] NOT NULL DEFAULT '{1 hour, 6 hours, 1 day, 3 days}' CHECK (cardinality(look_again) <= 8
		AND array_position(look_again, NULL) IS NULL AND '0' <= ALL (look_again) AND '30 days' >= ALL (look_again)),
	returns_interval interval DEFAULT '30 minutes' CHECK (returns_interval BETWEEN '1 second' AND '1 day'),
	quota_reset timetz NOT NULL DEFAULT '00:00+08',
	quota_scope text NOT NULL DEFAULT 'application' CHECK (quota_scope IN ('store', 'application')),
	unpaid_hold interval CHECK (unpaid_hold BETWEEN '0' AND '366 days'),
	sign_path_only boolean NOT NULL DEFAULT false,
	sign_base64 boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE storesync.platform IS
'One row per marketplace; an operator may update it (base_url pointing at a simulator or proxy is all that it takes; plain http only on loopback addresses). rate_limit: of the application, NULL for none. returns_on_cancel: the platform raises its own copy when an order is cancelled; NULL: nobody knows, or not when it was cancelled, and the listing is written once more. order_overlap: how far back each order fetch starts before the last one ended, at most 30 days. look_again: ages at which an hour''s orders are listed again and compared with what is booked (docs/intake.md), up to 8, of 30 days at most; {} for never. returns_interval: from one fetch of the list of returns to the next (1 s to 1 day; NULL: it is not fetched). quota_reset: when the day''s calls are granted anew; quota_scope: to whom they are granted, each store or the application with all its stores. unpaid_hold: of stores that are added from now on. sign_path_only, sign_base64: how Ruten''s requests and notifications are signed (docs/ruten.md), over the path instead of the whole URL, in base64 instead of hex; other platforms look at neither.';

CREATE SEQUENCE storesync.store_id_seq AS int;
CREATE TABLE storesync.store (
	store_id int PRIMARY KEY DEFAULT nextval('storesync.store_id_seq'),
	platform text NOT NULL,
	shop_id text NOT NULL CHECK (shop_id <> ''),
	name text NOT NULL,
	mode text NOT NULL DEFAULT 'shadow' CHECK (mode IN ('off', 'shadow', 'lower_only', 'live')),
	paused boolean NOT NULL DEFAULT false,
	priority int NOT NULL DEFAULT 0,
	rate_limit storesync.rate_limit NOT NULL,
	poll_interval interval NOT NULL DEFAULT '10 seconds' CHECK (poll_interval BETWEEN '100 milliseconds' AND '1 day'),
	poll_spread int NOT NULL DEFAULT 4 CHECK (poll_spread BETWEEN 1 AND 60),
	stock_from timestamptz NOT NULL DEFAULT '-infinity',
	unpaid_hold interval CHECK (unpaid_hold BETWEEN '0' AND '366 days'),
	returns text NOT NULL DEFAULT 'manual' CHECK (returns IN ('manual', 'platform')),
	timezone text NOT NULL DEFAULT 'Asia/Taipei',
	breaker_share numeric DEFAULT 0.2 CHECK (breaker_share > 0 AND breaker_share <= 1),
	breaker_least int NOT NULL DEFAULT 50 CHECK (breaker_least >= 1),
	breaker_window interval NOT NULL DEFAULT '10 minutes' CHECK (breaker_window BETWEEN '1 second' AND '1 day'),
	max_price_change numeric DEFAULT 0.5 CHECK (max_price_change > 0 AND max_price_change < 1000000),
	created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	UNIQUE (platform, shop_id)
);
COMMENT ON TABLE storesync.store IS
'A shop on a platform. mode: off, shadow (orders booked, writes computed, none sent), lower_only, live. paused stops writes, never order intake. priority: the live store with the highest number shows the last units of a SKU. stock_from: cut-over, orders from before it that arrive finished move no stock. poll_interval: from one order fetch to the next, 100 ms to 1 day; poll_spread: how many times as often a busy store is fetched and as seldom a quiet one (1 to 60; 1: always at poll_interval). unpaid_hold: NULL where the platform cancels unpaid orders by itself. breaker_share, breaker_least, breaker_window: when so large a part of its listings (above 0, at most 1; NULL: never), and at least so many, are to change within that time (1 s to 1 day) for another cause than a sale, they are held (docs/breaker.md). max_price_change: the largest part of a listing''s price by which set_price() changes it unless it is forced; NULL: any.';

CREATE SEQUENCE storesync.location_id_seq AS int;
CREATE TABLE storesync.location (
	location_id int PRIMARY KEY DEFAULT nextval('storesync.location_id_seq'),
	code text NOT NULL UNIQUE CHECK (code <> ''),
	name text,
	sellable boolean NOT NULL DEFAULT true,
	priority int NOT NULL DEFAULT 0
);
COMMENT ON TABLE storesync.location IS
'A place that holds stock; only sellable ones count in available, listings and order lines. The place ''main'' is made with the first SKU.';

CREATE TABLE storesync.store_location (
	store_id int NOT NULL,
	location_id int NOT NULL,
	PRIMARY KEY (store_id, location_id)
);
COMMENT ON TABLE storesync.store_location IS
'The places that a store sells from, those of them that are sellable; a store without rows sells from all that are. Written by set_store_locations().';

CREATE SEQUENCE storesync.sku_id_seq;
CREATE TABLE storesync.sku (
	sku_id bigint PRIMARY KEY DEFAULT nextval('storesync.sku_id_seq'),
	code text NOT NULL UNIQUE CHECK (code <> ''),
	name text,
	safety_stock bigint NOT NULL DEFAULT 0 CHECK (safety_stock >= 0),
	allow_backorder boolean NOT NULL DEFAULT false,
	bundle boolean NOT NULL DEFAULT false,
	solo_below bigint NOT NULL DEFAULT 3 CHECK (solo_below >= 0),
	created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	CHECK (NOT (bundle AND allow_backorder))
);
COMMENT ON TABLE storesync.sku IS
'What is kept and sold. safety_stock: units never shown on any listing. allow_backorder: may be reserved below zero. bundle: made of others, set by set_bundle(); its stock is theirs. solo_below: with fewer units left than this (available less safety stock) one listing alone shows them; 0: never.';

CREATE TABLE storesync.component (
	bundle_id bigint NOT NULL,
	sku_id bigint NOT NULL,
	qty bigint NOT NULL CHECK (qty BETWEEN 0 AND 1000000),
	PRIMARY KEY (bundle_id, sku_id),
	UNIQUE (sku_id, bundle_id)
);
COMMENT ON TABLE storesync.component IS
'What a bundle is made of: qty units of the SKU sku_id in one unit of bundle_id. qty 0: not any more; the row stays, because order lines may hold units by the composition of their day. Written by set_bundle().';

CREATE SEQUENCE storesync.listing_id_seq;
CREATE TABLE storesync.listing (
	listing_id bigint PRIMARY KEY DEFAULT nextval('storesync.listing_id_seq'),
	store_id int NOT NULL,
	sku_id bigint NOT NULL,
	item_id text NOT NULL CHECK (item_id <> ''),
	model_id text NOT NULL DEFAULT '',
	pack int NOT NULL DEFAULT 1 CHECK (pack > 0),
	share numeric NOT NULL DEFAULT 1 CHECK (share >= 0 AND share <= 1),
	buffer bigint NOT NULL DEFAULT 0 CHECK (buffer >= 0),
	cap bigint CHECK (cap >= 0),
	enabled boolean NOT NULL DEFAULT true,
	price numeric CHECK (price > 0 AND price < 1000000000000),
	price_floor numeric CHECK (price_floor >= 0 AND price_floor < 1000000000000),
	listed boolean NOT NULL DEFAULT true,
	at_zero text NOT NULL DEFAULT 'quantity' CHECK (at_zero IN ('quantity', 'unlist')),
	held text,
	revision bigint NOT NULL DEFAULT 1,
	shaped bigint NOT NULL DEFAULT 1,
	freed bigint NOT NULL DEFAULT 1,
	created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	UNIQUE (store_id, item_id, model_id)
);
CREATE INDEX ON storesync.listing (sku_id);
CREATE INDEX ON storesync.listing (sku_id) WHERE at_zero = 'unlist';
COMMENT ON TABLE storesync.listing IS
'One SKU shown in one shop. model_id is '''' for an item without models (NULL and ''0'' are stored so). pack: units of the SKU that one sold unit takes. share, buffer, cap: docs/listing.md. held: why nothing but 0 is sent, NULL for not held. revision rises with every change; shaped: what it was after the last change that may move the quantity; freed: after the last end of a stop or hold, which is no such change. price, price_floor, listed, at_zero: docs/price.md.';

CREATE SEQUENCE storesync.selling_stop_id_seq;
CREATE TABLE storesync.selling_stop (
	stop_id bigint PRIMARY KEY DEFAULT nextval('storesync.selling_stop_id_seq'),
	store_id int,
	sku_id bigint,
	reason text NOT NULL,
	since timestamptz NOT NULL DEFAULT clock_timestamp(),
	login name NOT NULL DEFAULT session_user
);
CREATE UNIQUE INDEX ON storesync.selling_stop (coalesce(store_id, 0), coalesce(sku_id, 0));
COMMENT ON TABLE storesync.selling_stop IS
'What is not to be sold: a SKU, a store, a SKU in a store, or with both NULL everything. Listings that a row covers want 0, those added later as well. Written by stop_selling() and start_selling().';

CREATE TABLE storesync.allotment (
	listing_id bigint PRIMARY KEY,
	sku_id bigint NOT NULL,
	units bigint CHECK (units > 0),
	since timestamptz,
	until timestamptz,
	locked bigint CHECK (locked > 0),
	locked_at timestamptz,
	CHECK ((units IS NULL) = (since IS NULL)),
	CHECK (units IS NOT NULL OR until IS NULL),
	CHECK ((locked IS NULL) = (locked_at IS NULL)),
	CHECK (units IS NOT NULL OR locked IS NOT NULL)
);
CREATE INDEX ON storesync.allotment (sku_id);
CREATE INDEX ON storesync.allotment (until) WHERE until IS NOT NULL;
COMMENT ON TABLE storesync.allotment IS
'Units of a SKU set aside for one listing: units, by hand, from since until until (NULL: for good), written by allot(); locked, by its platform for a promotion as seen at locked_at, written by reserve_seen(); NULL where there are none of that kind. The larger remainder of both counts: the view allotment_left.';

CREATE TABLE storesync.listing_reserved (
	listing_id bigint PRIMARY KEY,
	reserved bigint NOT NULL CHECK (reserved >= 0),
	seen_at timestamptz NOT NULL,
	until timestamptz
) WITH (fillfactor = 80);
COMMENT ON TABLE storesync.listing_reserved IS
'What a platform was last seen to keep locked of a listing for promotions, in sold units, written by reserve_seen(). until: when the promotion ends, NULL where it is not known. A row stays with 0, so that an older sighting that comes late says nothing.';

CREATE TABLE storesync.credential (
	store_id int NOT NULL REFERENCES storesync.store ON DELETE CASCADE,
	name text NOT NULL,
	value text NOT NULL,
	set_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	PRIMARY KEY (store_id, name)
);
COMMENT ON TABLE storesync.credential IS 'Secrets of a store, written by set_credential(). Neither dumped nor granted to anybody.';
CREATE TABLE storesync.app_credential (
	platform text NOT NULL REFERENCES storesync.platform,
	name text NOT NULL,
	value text NOT NULL,
	set_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	PRIMARY KEY (platform, name)
);
COMMENT ON TABLE storesync.app_credential IS 'Secrets of the application at a platform, written by set_app_credential(). Neither dumped nor granted to anybody.';

-- ---------------------------------------------------------------- stock

CREATE TABLE storesync.stock_lock (
	sku_id bigint NOT NULL,
	location_id int NOT NULL,
	PRIMARY KEY (sku_id, location_id)
);
COMMENT ON TABLE storesync.stock_lock IS
'One row per SKU and location, locked by whoever moves its stock and never updated, so that a held snapshot can pile no dead versions before the lock. The balance is the newest ledger row.';

CREATE TABLE storesync.ledger (
	sku_id bigint NOT NULL,
	version bigint NOT NULL,
	on_hand_delta bigint NOT NULL,
	reserved_delta bigint NOT NULL,
	on_hand bigint NOT NULL,
	reserved bigint NOT NULL,
	order_id bigint,
	event_at timestamptz NOT NULL,
	recorded_at timestamptz NOT NULL,
	location_id int NOT NULL,
	kind storesync.movement_kind NOT NULL,
	key storesync.idempotency_key NOT NULL,
	reference text,
	reason text
) PARTITION BY RANGE (recorded_at);
COMMENT ON TABLE storesync.ledger IS
'Append-only movements of stock in units: deltas, balance after, version from 1 without gaps per SKU and location, key, event and record time. The newest row is the stock.';

CREATE VIEW storesync.stock AS
SELECT k.sku_id, k.location_id,
	coalesce(l.on_hand, 0) AS on_hand, coalesce(l.reserved, 0) AS reserved, coalesce(l.version, 0) AS version
FROM storesync.stock_lock k
LEFT JOIN LATERAL (
	SELECT g.on_hand, g.reserved, g.version FROM storesync.ledger g
	WHERE g.sku_id = k.sku_id AND g.location_id = k.location_id
	ORDER BY g.version DESC LIMIT 1) l ON true;
COMMENT ON VIEW storesync.stock IS 'Balance of each SKU at each location, in units: its newest ledger row.';

-- Never updated: a new state is a new row and the one before is deleted, so that the key read
-- backwards leads to the newest past whatever a held snapshot keeps (docs/ledger.md).
CREATE TABLE storesync.holder (
	sku_id bigint NOT NULL,
	version bigint NOT NULL CHECK (version > 0),
	held bigint NOT NULL CHECK (held >= 0),
	shipped bigint NOT NULL CHECK (shipped >= 0),
	restocked bigint NOT NULL CHECK (restocked >= 0 AND restocked <= shipped),
	expires_at timestamptz CHECK (expires_at IS NULL OR held > 0),
	location_id int NOT NULL,
	reference text NOT NULL,
	PRIMARY KEY (sku_id, location_id, reference, version)
);
CREATE INDEX ON storesync.holder (sku_id, location_id) WHERE held > 0;
CREATE INDEX ON storesync.holder (expires_at) WHERE expires_at IS NOT NULL;
COMMENT ON TABLE storesync.holder IS
'What each holder of direct calls (SKU, location and reference, '''' when none was given) has reserved, shipped and taken back: its state after the ledger row of that version, the only one that is kept. One that has used up all keeps its row.';

CREATE VIEW storesync.reservation AS
SELECT h.sku_id, h.location_id, h.reference, h.held AS qty, h.expires_at
FROM storesync.holder h WHERE h.held > 0;
COMMENT ON VIEW storesync.reservation IS
'Units that direct calls of reserve() hold, by reference ('''' when none was given). Order lines hold their own in sales_order_line.reserved.';

CREATE VIEW storesync.shipment AS
SELECT h.sku_id, h.location_id, h.reference, h.shipped, h.restocked
FROM storesync.holder h WHERE h.shipped > 0;
COMMENT ON VIEW storesync.shipment IS
'Units that direct calls of ship() sent away and restock() took back, by reference: no reference takes back more than it shipped.';

CREATE TABLE storesync.idempotency (
	key storesync.idempotency_key NOT NULL,
	fingerprint bigint NOT NULL,
	on_hand bigint,
	reserved bigint,
	available bigint,
	version bigint,
	insufficient boolean NOT NULL
) PARTITION BY RANGE (key);
COMMENT ON TABLE storesync.idempotency IS
'Keys that callers used, a hash of the request each one stood for and the answer it got. One key, one effect. Of enqueue(): version 0, and in available the task''s id.';

-- ---------------------------------------------------------------- orders

CREATE SEQUENCE storesync.order_id_seq;
CREATE TABLE storesync.sales_order (
	order_id bigint NOT NULL DEFAULT nextval('storesync.order_id_seq'),
	create_time timestamptz NOT NULL,
	update_time timestamptz NOT NULL,
	fetched_at timestamptz NOT NULL,
	recorded_at timestamptz NOT NULL,
	store_id int NOT NULL,
	status storesync.order_status NOT NULL,
	stock_effect boolean NOT NULL,
	order_sn text NOT NULL,
	buyer text,
	currency text,
	PRIMARY KEY (store_id, order_sn)
) WITH (fillfactor = 85);
CREATE UNIQUE INDEX ON storesync.sales_order (order_id);
COMMENT ON TABLE storesync.sales_order IS
'An order as its newest document says. update_time: of that document (fetched_at where the platform has none). recorded_at: when the order was first booked; its lines lie in the partition of that moment. stock_effect false: from before the cut-over.';

CREATE TABLE storesync.sales_order_line (
	recorded_at timestamptz NOT NULL,
	order_id bigint NOT NULL,
	listing_id bigint,
	sku_id bigint,
	ordered_at timestamptz NOT NULL,
	cancelled_at timestamptz,
	qty bigint NOT NULL CHECK (qty > 0),
	cancelled_qty bigint NOT NULL CHECK (cancelled_qty >= 0),
	returned_qty bigint CHECK (returned_qty > 0),
	reserved bigint NOT NULL CHECK (reserved >= 0),
	shipped bigint NOT NULL CHECK (shipped >= 0),
	restocked bigint NOT NULL CHECK (restocked >= 0 AND restocked <= shipped),
	lost bigint CHECK (lost > 0 AND restocked + lost <= shipped),
	short bigint NOT NULL CHECK (short >= 0),
	store_id int NOT NULL,
	location_id int,
	pack int NOT NULL,
	effects int NOT NULL DEFAULT 0,
	status storesync.order_status NOT NULL,
	state storesync.line_state NOT NULL,
	line_id text NOT NULL,
	item_id text,
	model_id text,
	sku_code text,
	unit_price numeric,
	reason text,
	parts jsonb
) PARTITION BY RANGE (recorded_at);
COMMENT ON TABLE storesync.sales_order_line IS
'A line of an order and what it has booked. qty, cancelled_qty, returned_qty: sold units as the platform counts; reserved, shipped, restocked, short: units of the SKU (sold units times pack). shipped, restocked and lost never fall. returned_qty: NULL for none. lost: sent and closed without coming back, NULL for none. effects: how many ledger rows it has made. parts: NULL for a line of its own SKU at one place, else what it has of each SKU at each location (storesync.line_part shows both kinds alike); location_id is NULL then. ordered_at, recorded_at: of its order.';

CREATE TABLE storesync.order_timer (
	due_at timestamptz NOT NULL,
	order_id bigint NOT NULL,
	PRIMARY KEY (due_at, order_id)
);
COMMENT ON TABLE storesync.order_timer IS
'When the hold of an unpaid order is over, for stores with an unpaid_hold: release_expired() looks at the order then and takes the row away, whatever has become of it.';

CREATE TABLE storesync.order_history (
	order_id bigint NOT NULL,
	recorded_at timestamptz NOT NULL,
	update_time timestamptz NOT NULL,
	fetched_at timestamptz NOT NULL,
	status storesync.order_status NOT NULL,
	outcome text NOT NULL,
	lines jsonb
) PARTITION BY RANGE (recorded_at);
COMMENT ON TABLE storesync.order_history IS 'One row per document that changed an order: its times, status, outcome and the lines that moved. In lines, a reserved line that says nothing of reserved holds as many units as are ordered and not cancelled.';

-- ---------------------------------------------------------------- outbox

-- Ids of tasks. They say nothing about order, so a session takes them thirty-two at a time: fewer locks
-- and less WAL a task.
CREATE SEQUENCE storesync.task_id_seq CACHE 32;
CREATE TABLE storesync.outbox (
	xid xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id(),
	at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	subject bigint NOT NULL,
	version bigint,
	kind storesync.outbox_kind NOT NULL,
	incarnation smallint NOT NULL DEFAULT storesync.current_incarnation(),
	id bigint,
	payload jsonb,
	-- who adds rows by himself cannot set id: tasks are made by enqueue() alone, which checks them
	CHECK (kind <> 'task' OR (id IS NOT NULL AND subject = id AND payload IS NOT NULL))
) PARTITION BY RANGE (at);
COMMENT ON TABLE storesync.outbox IS
'Insert-only: something changed, committed with the change. A stock row says which SKU and its version, never a quantity: that is computed when the call is built. Consumers read it by transaction snapshots (docs/outbox.md). Only tasks have an id, the same as their subject.';

CREATE TABLE storesync.consumer (
	name text PRIMARY KEY CHECK (octet_length(name) BETWEEN 1 AND 200),
	incarnation int,
	snapshot pg_snapshot,
	moved_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE storesync.consumer IS
'How far each consumer of the outbox has durably come: everything visible in snapshot is done. Written seldom; the running cursor lives in the worker.';

CREATE TABLE storesync.task_event (
	task_id bigint NOT NULL,
	at timestamptz NOT NULL DEFAULT clock_timestamp(),
	state text NOT NULL CHECK (state IN ('sent', 'waiting', 'done', 'dead', 'discarded')),
	class storesync.outcome_class,
	attempts int NOT NULL DEFAULT 0,
	next_at timestamptz,
	detail text,
	try jsonb,
	progress jsonb
) PARTITION BY RANGE (at);
COMMENT ON TABLE storesync.task_event IS 'Append-only life of a task: an outbox row of kind task is open until a done, dead or discarded event. attempts: tries so far; next_at: when a waiting task is due; try: of a try that failed at a call its HTTP status, curl code, microseconds by phase and redacted excerpt of the answer; progress: how far a fetch of a window has come (through: Unix seconds, orders met), where a restart goes on.';

-- ---------------------------------------------------------------- dispatch

CREATE TABLE storesync.listing_shown (
	listing_id bigint PRIMARY KEY,
	acked_qty bigint NOT NULL,
	acked_version bigint NOT NULL,
	acked_incarnation int NOT NULL,
	sent_at timestamptz NOT NULL,
	written_at timestamptz NOT NULL,
	doubt_qty bigint,
	sending_qty bigint,
	read_qty bigint,
	read_at timestamptz,
	acked_revision bigint,
	put_off_at timestamptz,
	put_off text
) WITH (fillfactor = 60);
CREATE INDEX ON storesync.listing_shown (put_off_at) WHERE put_off_at IS NOT NULL;
COMMENT ON TABLE storesync.listing_shown IS
'What a platform last acknowledged for a listing, in sold units, with the version it was computed from, when it was sent and when the answer came (written_at). doubt_qty: the larger of old and new while a write is in doubt. sending_qty: committed before a write leaves and taken back with its outcome, so that a dispatcher that dies in between leaves a listing to be written again and not a wrong belief. read_qty, read_at: what a read of the shop found last; it counts as acknowledged then, with version 0. acked_revision: the listing''s revision when the acknowledgement came, NULL before the first. put_off_at, put_off: since when, and in which words, the platform has refused for the moment to have it written; of no meaning once it is older than written_at.';

CREATE TABLE storesync.breaker (
	store_id int PRIMARY KEY,
	opened_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	changes bigint NOT NULL,
	listings bigint NOT NULL
);
COMMENT ON TABLE storesync.breaker IS
'Stores whose mass-change breaker is open: since when, and how many of how many listings were to change then. Written by the dispatcher and by release_breaker().';

CREATE TABLE storesync.breaker_listing (
	listing_id bigint PRIMARY KEY,
	store_id int NOT NULL,
	passed boolean NOT NULL DEFAULT false,
	at timestamptz NOT NULL DEFAULT clock_timestamp(),
	qty bigint,
	version bigint,
	revision bigint,
	CHECK (NOT passed OR num_nulls(qty, version, revision) = 0)
);
CREATE INDEX ON storesync.breaker_listing (store_id);
COMMENT ON TABLE storesync.breaker_listing IS
'Listings whose change the mass-change breaker of their store holds, since at, or has passed: then qty in sold units was approved at that version and revision of the listing at the moment at, and only what changes beyond that counts. A row goes when its listing shows what is wanted.';

CREATE TABLE storesync.listing_walk (
	run bigint PRIMARY KEY,
	store_id int NOT NULL,
	started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	ended_at timestamptz,
	current boolean NOT NULL DEFAULT false,
	listed boolean NOT NULL DEFAULT true,
	cursor text NOT NULL DEFAULT '',
	unread int NOT NULL DEFAULT 0,
	CHECK (NOT current OR ended_at IS NOT NULL)
);
CREATE UNIQUE INDEX ON storesync.listing_walk (store_id) WHERE current;
COMMENT ON TABLE storesync.listing_walk IS
'Readings of a shop''s whole catalogue: run, the number of the task fetch_listings; current, the store''s last complete one, which listing_found shows; of one under way the list (listed: what is on sale, which comes first) and the cursor of the page that it is at; unread: items that could not be read.';

CREATE TABLE storesync.listing_seen (
	run bigint NOT NULL,
	store_id int NOT NULL,
	item_id text NOT NULL CHECK (item_id <> ''),
	model_id text NOT NULL,
	seller_code text NOT NULL,
	name text NOT NULL,
	quantity bigint CHECK (quantity >= 0),
	price numeric,
	reserved bigint NOT NULL,
	listed boolean NOT NULL,
	ended boolean NOT NULL,
	writable boolean NOT NULL,
	seen_at timestamptz NOT NULL,
	sku text,
	pack int NOT NULL DEFAULT 1 CHECK (pack > 0),
	PRIMARY KEY (run, item_id, model_id)
);
CREATE INDEX ON storesync.listing_seen (store_id);
COMMENT ON TABLE storesync.listing_seen IS
'What readings of a shop''s catalogue found, that under way among them: read listing_found instead.';

CREATE TABLE storesync.order_cursor (
	store_id int PRIMARY KEY,
	fetched_through timestamptz NOT NULL,
	fetched_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	returns_through timestamptz
) WITH (fillfactor = 60);
COMMENT ON TABLE storesync.order_cursor IS 'The moment up to which all orders of a store are committed, and when that was found. returns_through: up to when its list of returns has been fetched, NULL for never.';

CREATE TABLE storesync.return_notice (
	at timestamptz NOT NULL DEFAULT clock_timestamp(),
	store_id int NOT NULL,
	return_id text NOT NULL,
	order_sn text NOT NULL,
	line_id text NOT NULL,
	qty bigint,
	state text NOT NULL,
	is_open boolean NOT NULL
) PARTITION BY RANGE (at);
COMMENT ON TABLE storesync.return_notice IS
'Append-only: what a platform''s list of returns said of an order line, whenever that changed. A request is no goods: it feeds returns_due and moves nothing. order_sn, line_id: '''' where the platform does not tell; qty: units asked to be returned, as sold, NULL likewise; state: the platform''s own word; is_open: goods may still come. The newest row of each: return_status.';

CREATE TABLE storesync.order_look (
	store_id int NOT NULL,
	age interval NOT NULL,
	looked_through timestamptz NOT NULL,
	listed int NOT NULL,
	looked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	PRIMARY KEY (store_id, age)
) WITH (fillfactor = 60);
COMMENT ON TABLE storesync.order_look IS
'Second looks at what was fetched (platform.look_again): of each store, and each age that an hour had then, the moment up to which hours have been looked at, how many orders the platform listed of the last one, and when. Written by the dispatcher.';

CREATE TABLE storesync.order_gap (
	at timestamptz NOT NULL DEFAULT clock_timestamp(),
	store_id int NOT NULL,
	age interval NOT NULL,
	hour timestamptz NOT NULL,
	listed int NOT NULL,
	missing int NOT NULL,
	order_sns text[] NOT NULL
) PARTITION BY RANGE (at);
COMMENT ON TABLE storesync.order_gap IS
'Append-only: hours in which a second look found orders that had not been fetched, or not as they stood then: how old the hour was, orders listed and missing, and the numbers of the first 20 of these. They have been fetched since; a store with many such hours wants a larger platform.order_overlap.';

CREATE TABLE storesync.push (
	at timestamptz NOT NULL,
	listing_id bigint NOT NULL,
	store_id int NOT NULL,
	qty bigint NOT NULL,
	version bigint NOT NULL,
	changed_at timestamptz NOT NULL,
	sent_at timestamptz NOT NULL,
	class storesync.outcome_class NOT NULL,
	reason text
) PARTITION BY RANGE (at);
COMMENT ON TABLE storesync.push IS
'Append-only: each quantity sent for a listing and its outcome. changed_at: when the change it carries was recorded; at: when the answer was. at minus changed_at is the convergence time.';

CREATE TABLE storesync.call_log (
	at timestamptz NOT NULL,
	store_id int NOT NULL,
	call text NOT NULL,
	class storesync.outcome_class NOT NULL,
	items int NOT NULL,
	http_status int,
	curl_code int,
	total_us bigint,
	code text,
	message text
) PARTITION BY RANGE (at);
COMMENT ON TABLE storesync.call_log IS 'One row per call to a platform: kind, outcome class, items carried, HTTP status, curl code, microseconds, the platform''s error code and a redacted message.';

CREATE TABLE storesync.call_day (
	platform text NOT NULL,
	day date NOT NULL,
	calls bigint NOT NULL,
	ok bigint NOT NULL,
	PRIMARY KEY (platform, day)
) WITH (fillfactor = 60);
COMMENT ON TABLE storesync.call_day IS
'Calls of a platform''s application by day at UTC+8, and those of them that went well (ok or partial): what platforms judge an application by. Up to ten seconds behind.';

CREATE SEQUENCE storesync.compensation_id_seq;
CREATE TABLE storesync.compensation (
	compensation_id bigint PRIMARY KEY DEFAULT nextval('storesync.compensation_id_seq'),
	at timestamptz NOT NULL DEFAULT clock_timestamp(),
	store_id int,
	listing_id bigint,
	task_id bigint,
	call text NOT NULL,
	class storesync.outcome_class NOT NULL,
	version bigint,
	reason text,
	payload jsonb,
	story jsonb NOT NULL DEFAULT '[]',
	settled_at timestamptz,
	settled_by text,
	CHECK ((settled_at IS NULL) = (settled_by IS NULL))
);
CREATE INDEX ON storesync.compensation (listing_id, version);
COMMENT ON TABLE storesync.compensation IS
'Work that was refused for good or ran out of attempts, with its whole story; task_id and payload: of a task, for which call is the kind. Stays until it is settled: requeued, discarded, or overtaken by a newer version.';

CREATE SEQUENCE storesync.certificate_id_seq;
CREATE TABLE storesync.certificate (
	certificate_id bigint PRIMARY KEY DEFAULT nextval('storesync.certificate_id_seq'),
	started_at timestamptz NOT NULL,
	ended_at timestamptz,
	compared bigint NOT NULL DEFAULT 0,
	differing bigint NOT NULL DEFAULT 0,
	corrected bigint NOT NULL DEFAULT 0,
	left_open bigint NOT NULL DEFAULT 0,
	detail jsonb
);
COMMENT ON TABLE storesync.certificate IS 'What a night''s reconciliation compared, corrected and left open.';

CREATE SEQUENCE storesync.audit_id_seq;
CREATE TABLE storesync.audit (
	audit_id bigint PRIMARY KEY DEFAULT nextval('storesync.audit_id_seq'),
	at timestamptz NOT NULL DEFAULT clock_timestamp(),
	login name NOT NULL DEFAULT session_user,
	application text NOT NULL DEFAULT pg_catalog.current_setting('application_name'),
	action text NOT NULL,
	subject text NOT NULL,
	before jsonb,
	after jsonb
);
COMMENT ON TABLE storesync.audit IS 'Append-only: who changed which platform, store, SKU, listing, switch or credential (name only), and how.';
-- Partitions: made ahead, never by this script (a partition made here would be a member, and no
-- dump would contain its rows).

CREATE FUNCTION storesync.refuse_change() RETURNS trigger
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RAISE EXCEPTION 'cannot change table "%": it is append-only', TG_TABLE_NAME
		USING ERRCODE = 'SS203', DETAIL = format('%s is refused.', TG_OP);
END
$$;
COMMENT ON FUNCTION storesync.refuse_change() IS
'Trigger of append-only tables: refuses what it is declared for (UPDATE, DELETE, TRUNCATE) with SS203.';

CREATE FUNCTION storesync.ensure_partitions(ahead interval DEFAULT '7 days') RETURNS int
	AS 'MODULE_PATHNAME', 'ensure_partitions' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION storesync.ensure_partitions(interval) IS
'Makes the partitions that rows from now until `ahead` (at most 366 days) will need; returns how many were missing. The dispatcher calls it at its start and once a day; a write that finds its partition missing makes it by itself. Errors: 22023 for an interval below zero or too long, 25006 on a standby, 55006 from inside a statement that has a partitioned table of storesync open. Example: SELECT storesync.ensure_partitions();';

CREATE FUNCTION storesync.missing_partitions(ahead interval DEFAULT '1 day') RETURNS int
	AS 'MODULE_PATHNAME', 'missing_partitions' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION storesync.missing_partitions(interval) IS
'How many partitions ensure_partitions() would make; writes nothing. Error 22023 for an interval below zero or over 366 days. Example: SELECT storesync.missing_partitions(''2 days'');';
-- Movements of stock and what is read of the ledger (extension/ledger.c, docs/ledger.md).

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON storesync.ledger
	FOR EACH ROW EXECUTE FUNCTION storesync.refuse_change();
CREATE TRIGGER keep_rows BEFORE TRUNCATE ON storesync.ledger
	FOR EACH STATEMENT EXECUTE FUNCTION storesync.refuse_change();

-- A state of a holder may go when a newer one has taken its place, or when it says nothing.
CREATE FUNCTION storesync.holder_is_newest(sku_id bigint, location_id int, reference text, version bigint) RETURNS boolean
LANGUAGE SQL STABLE AS $$
	SELECT NOT EXISTS (SELECT FROM storesync.holder h
		WHERE h.sku_id = $1 AND h.location_id = $2 AND h.reference = $3 AND h.version > $4)
$$;
COMMENT ON FUNCTION storesync.holder_is_newest(bigint, int, text, bigint) IS
'Whether no state of the holder is newer than this version; then its row is refused to be deleted. Example: SELECT storesync.holder_is_newest(1, 1, ''phone 1'', 4);';
CREATE TRIGGER refuse_loss BEFORE DELETE ON storesync.holder
	FOR EACH ROW WHEN ((OLD.held > 0 OR OLD.shipped > 0)
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
'Units of a SKU on hand at a location after the last movement recorded up to the given moment; 0 before the first. Errors: SS001 unknown SKU, SS204 the SKU is a bundle, SS003 unknown location, 22004 NULL argument. Example: SELECT storesync.balance_at(''T-SHIRT-M'', now() - interval ''1 day'');';
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
'Books a JSON array of at most 10000 order documents as ingest_order does, in their order and in one transaction; one row each in that order. A bad document is rejected alone. All orders and all stock are locked in one order, so calls never deadlock as long as each is a transaction of its own. Errors as ingest_order, and SS301 when docs is no array or too long. Example: SELECT order_sn, outcome FROM storesync.ingest_orders(1, ''[]'');';

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
-- Outbox: written by C (extension/outbox.c), read by consumers through transaction snapshots.

CREATE FUNCTION storesync.outbox_wake() RETURNS trigger
	AS 'MODULE_PATHNAME', 'outbox_wake' LANGUAGE C;
COMMENT ON FUNCTION storesync.outbox_wake() IS
'Statement trigger of storesync.outbox: wakes the dispatcher when the transaction commits.';
-- An INSERT trigger with no effect on any table: a restored dump may fire it again.
CREATE TRIGGER wake AFTER INSERT ON storesync.outbox
	FOR EACH STATEMENT EXECUTE FUNCTION storesync.outbox_wake();

CREATE FUNCTION storesync.outbox_add(kind text, subjects bigint[]) RETURNS void
	AS 'MODULE_PATHNAME', 'outbox_add' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION storesync.outbox_add(text, bigint[]) IS
'Appends one outbox row per subject: kind stock, listing, store, platform or order; the rows carry no version. For storesync''s own triggers and functions. Errors: 22023 unknown kind, 22004 null subject.';

CREATE FUNCTION storesync.consumer_register(name text) RETURNS boolean
	LANGUAGE sql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	WITH made AS (
		INSERT INTO storesync.consumer (name, incarnation, snapshot)
		VALUES ($1, storesync.current_incarnation(), pg_current_snapshot())
		ON CONFLICT DO NOTHING RETURNING 1)
	SELECT EXISTS (SELECT FROM made)
$$;
COMMENT ON FUNCTION storesync.consumer_register(text) IS
'Registers a reader of the outbox that starts at this moment: what is committed later is its to read. Returns false when it exists already. Partitions of the outbox stay until every consumer is past them. Error 23514 for a name that is empty or over 200 bytes. Example: SELECT storesync.consumer_register(''cache'');';

CREATE FUNCTION storesync.consumer_move(name text, seen pg_snapshot) RETURNS boolean
	AS 'MODULE_PATHNAME', 'consumer_move' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION storesync.consumer_move(text, pg_snapshot) IS
'Stores how far a reader of the outbox has come: everything visible in `seen` is done. Returns false, and changes nothing, when there is no such reader or it is further already; a cursor of another life of the data is replaced. Error 25006 on a standby. Example: SELECT storesync.consumer_move(''cache'', pg_current_snapshot());';

CREATE FUNCTION storesync.consumer_drop(name text) RETURNS boolean
	LANGUAGE sql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	WITH gone AS (DELETE FROM storesync.consumer c WHERE c.name = $1 RETURNING 1)
	SELECT EXISTS (SELECT FROM gone)
$$;
COMMENT ON FUNCTION storesync.consumer_drop(text) IS
'Forgets a reader of the outbox; partitions no longer wait for it. Returns false when there is none. Example: SELECT storesync.consumer_drop(''cache'');';

-- What a snapshot does not show: transactions that ran then, by their ids, and all later ones. The
-- count stops at 10,000: a view that is looked at every few seconds must stay cheap when a consumer
-- has been away for a week.
CREATE VIEW storesync.stat_outbox AS
SELECT c.name AS consumer, c.incarnation, c.moved_at,
	behind.rows AS lag_rows, behind.oldest AS lag_since, clock_timestamp() - behind.oldest AS lag
FROM storesync.consumer c
CROSS JOIN LATERAL (
	SELECT count(*) AS rows, min(r.at) AS oldest
	FROM (
		(SELECT o.at
		FROM pg_snapshot_xip(c.snapshot) AS x (xid) JOIN storesync.outbox o ON o.xid = x.xid
		WHERE o.incarnation = c.incarnation LIMIT 10000)
		UNION ALL
		(SELECT o.at FROM storesync.outbox o
		WHERE o.xid >= pg_snapshot_xmax(c.snapshot) AND o.incarnation = c.incarnation
		ORDER BY o.xid LIMIT 10000)
		LIMIT 10000) r) behind;
COMMENT ON VIEW storesync.stat_outbox IS
'Each consumer of the outbox: rows committed since its durable cursor (counted up to 10,000), since when the oldest of them waits, and for how long. The cursor is written seldom, so a healthy consumer shows a small lag.';
-- Tasks: asked for by enqueue(), done by the dispatcher, told by task_event (docs/task.md).

CREATE FUNCTION storesync.enqueue(store int, kind text, payload jsonb,
	key storesync.idempotency_key DEFAULT NULL, not_before timestamptz DEFAULT NULL) RETURNS bigint
	AS 'MODULE_PATHNAME', 'enqueue' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.enqueue(int, text, jsonb, storesync.idempotency_key, timestamptz) IS
'Asks the dispatcher for work at a store and returns the task''s id; the dispatcher hears of it when the transaction commits. Kinds and payloads: push_stock, push_price, list, unlist, read_back {"listing": n}; ship_order {"order_sn", "package", "carrier", "tracking"}; cancel_order {"order_sn", "lines": […], "reason"}; fetch_orders {}, {"from", "to"} (Unix seconds or ISO 8601) or {"order_sn": […]}; fetch_listings, refresh_token, exchange_code {}. ship_order and cancel_order read the order at the platform first and last, so that neither is done twice; package is a parcel, or at PChome a line; lines are line_ids of storesync.sales_order_line; reason is the platform''s word. key: the same request with the same key is one task, whose id comes back. not_before: not earlier than this, at most 366 days ahead. Errors: SS302 unknown kind, or a field that is unknown, missing or malformed; SS002 unknown store; SS004 the store has no such listing; SS101 the key stands for another request; SS102, SS103 the key''s time is too old or ahead; 22004 null; 22008 not_before infinite or too far ahead; 25006 on a standby. Example: SELECT storesync.enqueue(1, ''push_stock'', ''{"listing": 7}'');';

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
-- Rotation: rows that nobody needs any more go by dropping their partitions (docs/partitions.md):
-- storesync.partitioned says which tables, and how long they are kept. The dispatcher does it
-- (bgworker/rotation.c); maintain() and drop_consumed() do it where none runs.

CREATE FUNCTION storesync.oldest_xid() RETURNS xid8
	AS 'MODULE_PATHNAME', 'oldest_xid' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.oldest_xid() IS
'Transactions with a lower id have ended, and every snapshot that anybody holds in this database, on a replica with feedback too, knows it. Example: SELECT storesync.oldest_xid();';

CREATE FUNCTION storesync.log_retention() RETURNS interval
	AS 'MODULE_PATHNAME', 'log_retention' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION storesync.log_retention() IS
'The setting storesync.log_retention as an interval. Example: SELECT storesync.log_retention();';

CREATE FUNCTION storesync.key_horizon() RETURNS interval
	AS 'MODULE_PATHNAME', 'key_horizon' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION storesync.key_horizon() IS
'The setting storesync.key_horizon as an interval. Example: SELECT storesync.key_horizon();';

CREATE FUNCTION storesync.partition_days(parent name) RETURNS TABLE(partition name, from_at timestamptz, to_at timestamptz)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO, YMD'
AS $$
	SELECT c.relname,
		CASE WHEN $1 = 'idempotency' THEN storesync.key_time(x.bound[1]::storesync.idempotency_key) ELSE x.bound[1]::timestamptz END,
		CASE WHEN $1 = 'idempotency' THEN storesync.key_time(x.bound[2]::storesync.idempotency_key) ELSE x.bound[2]::timestamptz END
	FROM pg_inherits i
	JOIN pg_class c ON c.oid = i.inhrelid
	CROSS JOIN LATERAL regexp_match(pg_get_expr(c.relpartbound, c.oid), '^FOR VALUES FROM \(''(.*)''\) TO \(''(.*)''\)$') AS x(bound)
	WHERE i.inhparent = format('storesync.%I', $1)::regclass AND NOT i.inhdetachpending AND x.bound IS NOT NULL
	ORDER BY 2
$$;
COMMENT ON FUNCTION storesync.partition_days(name) IS
'Partitions of a table, with their bounds (those of idempotency as the times of the keys), but those being detached. Example: SELECT * FROM storesync.partition_days(''outbox'');';

-- Nobody writes into a day that ended an hour ago: a row's time is taken as it is written.
CREATE FUNCTION storesync.rotation(at timestamptz DEFAULT clock_timestamp())
	RETURNS TABLE(parent name, partition name, to_at timestamptz, waits_for text)
	LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
	WITH day AS MATERIALIZED (SELECT * FROM storesync.partition_days('outbox')),
	life AS MATERIALIZED (SELECT storesync.current_incarnation() AS incarnation, storesync.oldest_xid() AS oldest)
	SELECT 'outbox'::name, p.partition, p.to_at, CASE
		WHEN behind.name IS NOT NULL THEN format('consumer %s', behind.name)
		WHEN last.xid >= life.oldest THEN 'a transaction that is still open' END
	FROM day p
	CROSS JOIN life
	LEFT JOIN LATERAL (
		SELECT o.xid FROM storesync.outbox o
		WHERE o.at >= p.from_at AND o.at < p.to_at AND o.incarnation = life.incarnation
		ORDER BY o.xid DESC LIMIT 1) last ON true
	LEFT JOIN LATERAL (
		SELECT min(c.name) AS name FROM storesync.consumer c
		WHERE c.incarnation IS DISTINCT FROM life.incarnation OR last.xid >= pg_snapshot_xmin(c.snapshot)) behind ON true
	WHERE p.to_at <= $1 - '1 hour'::interval
	UNION ALL
	-- an event outlives each row of its task: without it the task would be taken for an open one
	SELECT 'task_event'::name, p.partition, p.to_at,
		CASE WHEN p.to_at > x.oldest - '1 day'::interval THEN 'the outbox of its tasks' END
	FROM storesync.partition_days('task_event') p
	CROSS JOIN (SELECT min(d.from_at) AS oldest FROM day d) x
	WHERE p.to_at <= $1 - storesync.log_retention()
	UNION ALL
	SELECT t.parent, p.partition, p.to_at, NULL
	FROM storesync.partitioned t
	CROSS JOIN LATERAL storesync.partition_days(t.parent) p
	WHERE t.retention = 'log' AND t.parent <> 'task_event' AND p.to_at <= $1 - storesync.log_retention()
	UNION ALL
	-- each key in it is refused since an hour
	SELECT 'idempotency'::name, p.partition, p.to_at, NULL
	FROM storesync.partition_days('idempotency') p
	WHERE p.to_at <= $1 - storesync.key_horizon() - '1 hour'::interval
	UNION ALL
	SELECT 'return_notice'::name, p.partition, p.to_at, CASE WHEN EXISTS (
		SELECT FROM storesync.return_notice n
		WHERE n.at >= p.from_at AND n.at < p.to_at AND n.is_open AND NOT EXISTS (
			SELECT FROM storesync.return_notice m
			WHERE m.store_id = n.store_id AND m.return_id = n.return_id AND m.order_sn = n.order_sn
				AND m.line_id = n.line_id AND m.at > n.at)) THEN 'a return that is still open' END
	FROM storesync.partition_days('return_notice') p
	WHERE p.to_at <= $1 - storesync.order_retention()
$$;
COMMENT ON FUNCTION storesync.rotation(timestamptz) IS
'Partitions whose time is over at `at` (storesync.partitioned says how long each table is kept), and what each of them waits for before it can go: the consumer of the outbox that is not past it (of several the first by name; one that consumer_drop() may forget), an open transaction or snapshot as old as it, a return that is still open; NULL: nothing. Example: SELECT * FROM storesync.rotation();';

CREATE FUNCTION storesync.carry_tasks(before timestamptz, at timestamptz DEFAULT clock_timestamp()) RETURNS bigint
	LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
	WITH task AS MATERIALIZED (
		SELECT * FROM (
			SELECT DISTINCT ON (t.task_id) t.* FROM storesync.task_open t ORDER BY t.task_id, t.incarnation DESC, t.at DESC) newest
		WHERE newest.at < $1 OR newest.incarnation <> storesync.current_incarnation()),
	row AS (
		INSERT INTO storesync.outbox (id, at, subject, kind, payload)
		SELECT t.task_id, $2, t.task_id, 'task', jsonb_build_object('store', t.store_id, 'kind', t.kind,
			'payload', t.payload, 'since', t.since)
			|| CASE WHEN t.not_before IS NULL THEN '{}' ELSE jsonb_build_object('not_before', t.not_before) END
		FROM task t RETURNING 1),
	event AS (
		INSERT INTO storesync.task_event (task_id, at, state, class, attempts, next_at, detail, try)
		SELECT t.task_id, $2, t.state, t.last_class, t.attempts, t.next_at, t.detail, t.try
		FROM task t WHERE t.state <> 'queued')
	SELECT count(*) FROM row
$$;
COMMENT ON FUNCTION storesync.carry_tasks(timestamptz, timestamptz) IS
'Writes open tasks anew, with the same ids and their last event, at `at`: those whose newest row is older than `before`, and those of another life of the data. Returns how many. Called before partitions of the outbox go.';

CREATE FUNCTION storesync.left_detached() RETURNS TABLE(parent name, partition name)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT p.parent, c.relname
	FROM storesync.partitioned p
	JOIN pg_class c ON c.relname ~ concat('^', p.parent,
		CASE p.step WHEN 'day' THEN '_\d{4}_\d\d_\d\d$' WHEN 'week' THEN '_\d{4}w\d\d$' ELSE '_\d{4}_\d\d$' END)
	WHERE p.retention IS NOT NULL AND c.relnamespace = 'storesync'::regnamespace AND c.relkind = 'r' AND NOT c.relispartition
	ORDER BY 1, 2
$$;
COMMENT ON FUNCTION storesync.left_detached() IS
'Former partitions of tables that are not kept for good, detached and not yet dropped, oldest first.';

-- Nobody reaches the table any more but by its name, so what is found now is final. A row that came
-- too late to be seen by everybody brings the whole day back.
CREATE FUNCTION storesync.drop_detached(partition name) RETURNS boolean
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	day date;
	is_late boolean := false;
BEGIN
	EXECUTE format('LOCK TABLE storesync.%I IN ACCESS EXCLUSIVE MODE', $1);
	IF $1 LIKE 'outbox%' THEN
		EXECUTE format('SELECT EXISTS (SELECT FROM storesync.%1$I o
			JOIN storesync.consumer c ON c.incarnation = o.incarnation AND o.xid >= pg_snapshot_xmin(c.snapshot)
			WHERE o.incarnation = storesync.current_incarnation())
			OR EXISTS (SELECT FROM storesync.%1$I o
			WHERE o.kind = ''task''
				AND NOT EXISTS (SELECT FROM storesync.outbox n WHERE n.kind = ''task'' AND n.subject = o.subject)
				AND NOT EXISTS (SELECT FROM storesync.task_event e
					WHERE e.task_id = o.subject AND storesync.task_is_closed(e.state)))', $1) INTO is_late;
	END IF;
	IF is_late THEN
		day := to_date(right($1, 10), 'YYYY_MM_DD');
		EXECUTE format('ALTER TABLE storesync.outbox ATTACH PARTITION storesync.%I FOR VALUES FROM (%L) TO (%L)',
			$1, day || ' 00:00:00+00', day + 1 || ' 00:00:00+00');
	ELSE
		EXECUTE format('DROP TABLE storesync.%I', $1);
	END IF;
	RETURN NOT is_late;
END
$$;
COMMENT ON FUNCTION storesync.drop_detached(name) IS
'Drops a former partition, or attaches it again when it holds a row of the outbox that a consumer has not seen, or a task that is open and was not carried forward. False in that case.';

CREATE FUNCTION storesync.drop_consumed(at timestamptz DEFAULT clock_timestamp()) RETURNS int
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '100ms'
AS $$
DECLARE
	gone record;
	dropped int := 0;
	held name[] := '{}';
BEGIN
	IF NOT EXISTS (SELECT FROM storesync.partition_days('outbox') d
		JOIN storesync.partition_days('task_event') e USING (from_at, to_at) WHERE $1 >= from_at AND $1 < to_at) THEN
		PERFORM storesync.ensure_partitions(greatest($1 - clock_timestamp(), '0'));
	END IF;
	PERFORM storesync.carry_tasks(max(r.to_at), $1)
	FROM storesync.rotation($1) r WHERE r.waits_for IS NULL AND r.parent = 'outbox';
	-- oldest first, and none before an older one of its table: answers go in the order of their keys
	FOR gone IN SELECT r.parent, r.partition FROM storesync.rotation($1) r WHERE r.waits_for IS NULL ORDER BY r.to_at LOOP
		CONTINUE WHEN gone.parent = ANY (held);
		BEGIN
			EXECUTE format('ALTER TABLE storesync.%I DETACH PARTITION storesync.%I', gone.parent, gone.partition);
			IF storesync.drop_detached(gone.partition) THEN
				dropped := dropped + 1;
			END IF;
		EXCEPTION WHEN lock_not_available THEN
			-- somebody reads it: next time
			held := held || gone.parent;
		END;
	END LOOP;
	RETURN dropped;
END
$$;
COMMENT ON FUNCTION storesync.drop_consumed(timestamptz) IS
'Drops what rotation() says can go, open tasks carried forward before; returns how many partitions. For databases without a dispatcher, which does the same without taking a lock that readers of the outbox wait for: this one waits at most 100 ms for each, and leaves what somebody holds to the next call. at: as if it were then. Errors: 25006 on a standby, 55P03 when somebody is making partitions. Example: SELECT storesync.drop_consumed();';
-- maintain(): partitions made ahead and old ones dropped, by hand or by any scheduler (docs/partitions.md).
--
-- A procedure that commits can be neither SECURITY DEFINER nor pin a search_path: it is a shell, and each
-- step of it is a function that does both. No step queues longer than 50 ms for a lock that others would
-- queue behind: at most two of them, of a table and of one partition.

CREATE TABLE storesync.maintenance (
	part name PRIMARY KEY,
	ran_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	done_at timestamptz,
	failing_since timestamptz,
	code text,
	problem text,
	CHECK (num_nulls(failing_since, code, problem) IN (0, 3))
);
COMMENT ON TABLE storesync.maintenance IS
'How maintain() last fared, a row for each part: ''partitions'' made ahead, and each table that is not kept for good. ran_at: when it last looked; done_at: when nothing was left to do, NULL for never; failing_since, code (SQLSTATE), problem: what it could not do since then, NULL when all went well. 55P03: somebody had the table open.';

CREATE FUNCTION storesync.maintain_note(part name, code text DEFAULT NULL, problem text DEFAULT NULL) RETURNS void
	LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
	INSERT INTO storesync.maintenance AS m (part, done_at, failing_since, code, problem)
	VALUES ($1, CASE WHEN $2 IS NULL THEN clock_timestamp() END, CASE WHEN $2 IS NOT NULL THEN clock_timestamp() END, $2, $3)
	ON CONFLICT ON CONSTRAINT maintenance_pkey DO UPDATE SET ran_at = clock_timestamp(),
		done_at = coalesce(excluded.done_at, m.done_at),
		failing_since = CASE WHEN excluded.code IS NOT NULL THEN coalesce(m.failing_since, excluded.failing_since) END,
		code = excluded.code, problem = excluded.problem
$$;
COMMENT ON FUNCTION storesync.maintain_note(name, text, text) IS
'Writes down how a part of maintain() fared: without a code (SQLSTATE) it is done.';

CREATE FUNCTION storesync.maintain_ahead() RETURNS boolean
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '50ms'
AS $$
DECLARE
	code text;
	problem text;
BEGIN
	BEGIN
		PERFORM storesync.ensure_partitions('8 days');
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, problem = MESSAGE_TEXT;
	END;
	PERFORM storesync.maintain_note('partitions', code, problem);
	RETURN code IS NULL;
END
$$;
COMMENT ON FUNCTION storesync.maintain_ahead() IS
'A step of maintain(): makes the partitions of the next 8 days. False: it could not, storesync.maintenance says why.';

-- Whoever has to wait for the table's lock takes nothing along: what was carried is rolled back with it.
CREATE FUNCTION storesync.maintain_detach(parent name) RETURNS boolean
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	gone record;
BEGIN
	SELECT c.relname AS partition, NULL::timestamptz AS to_at, 'FINALIZE' AS how INTO gone
	FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
	WHERE i.inhdetachpending AND i.inhparent = format('storesync.%I', $1)::regclass
		AND NOT EXISTS (SELECT FROM pg_stat_activity a
			WHERE a.backend_type = 'storesync dispatcher' AND a.datname = current_database());
	IF gone.partition IS NULL THEN
		SELECT r.partition, r.to_at, '' AS how INTO gone FROM storesync.rotation() r
		WHERE r.parent = $1 AND r.waits_for IS NULL ORDER BY r.to_at LIMIT 1;
	END IF;
	IF gone.partition IS NULL THEN
		RETURN false;
	END IF;
	IF $1 = 'outbox' AND gone.to_at IS NOT NULL THEN
		PERFORM storesync.carry_tasks(gone.to_at);
	END IF;
	EXECUTE format('LOCK TABLE ONLY storesync.%I IN ACCESS EXCLUSIVE MODE', $1);
	-- a dispatcher may have been quicker
	IF gone.to_at IS NULL OR EXISTS (SELECT FROM storesync.partition_days($1) d WHERE d.partition = gone.partition) THEN
		EXECUTE format('ALTER TABLE storesync.%I DETACH PARTITION storesync.%I %s', $1, gone.partition, gone.how);
	END IF;
	RETURN true;
END
$$;
COMMENT ON FUNCTION storesync.maintain_detach(name) IS
'Detaches the oldest partition of a table that can go, or finishes what a dispatcher that is gone has begun. False: there is none.';

CREATE FUNCTION storesync.maintain_step(parent name) RETURNS text
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '50ms'
AS $$
DECLARE
	former name;
	is_more boolean;
	code text;
	problem text;
BEGIN
	SELECT d.partition INTO former FROM storesync.left_detached() d WHERE d.parent = $1 LIMIT 1;
	BEGIN
		IF former IS NOT NULL THEN
			PERFORM storesync.drop_detached(former);
			is_more := true;
		ELSE
			is_more := storesync.maintain_detach($1);
		END IF;
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, problem = MESSAGE_TEXT;
	END;
	IF is_more THEN
		RETURN 'more';
	END IF;
	PERFORM storesync.maintain_note($1, code, problem);
	RETURN CASE WHEN code IS NULL THEN 'done' WHEN code = '55P03' THEN 'busy' ELSE 'failed' END;
END
$$;
COMMENT ON FUNCTION storesync.maintain_step(name) IS
'A step of maintain(): detaches one partition of a table, or drops one that is detached. more: there may be more to do; done; busy: somebody has it open; failed: storesync.maintenance says why.';

-- 100 ms between two tries let go on whoever waited behind the one before.
CREATE PROCEDURE storesync.maintain()
	LANGUAGE plpgsql
AS $$
DECLARE
	parents pg_catalog.name[] := ARRAY(SELECT p.parent FROM storesync.partitioned p WHERE p.retention IS NOT NULL ORDER BY p.parent);
	parent pg_catalog.name;
	outcome pg_catalog.text;
	tries pg_catalog.int4;
BEGIN
	FOR i IN 1..5 LOOP
		EXIT WHEN storesync.maintain_ahead();
		COMMIT;
		PERFORM pg_catalog.pg_sleep(0.1);
	END LOOP;
	COMMIT;
	FOREACH parent IN ARRAY parents LOOP
		tries := 5;
		-- a year's days, each in two steps
		FOR i IN 1..1000 LOOP
			outcome := storesync.maintain_step(parent);
			COMMIT;
			IF outcome OPERATOR(pg_catalog.=) 'busy' THEN
				tries := tries OPERATOR(pg_catalog.-) 1;
				EXIT WHEN tries OPERATOR(pg_catalog.=) 0;
				PERFORM pg_catalog.pg_sleep(0.1);
			ELSE
				EXIT WHEN outcome OPERATOR(pg_catalog.<>) 'more';
			END IF;
		END LOOP;
	END LOOP;
END
$$;
COMMENT ON PROCEDURE storesync.maintain() IS
'Makes partitions 8 days ahead and drops those that rotation() says can go, table by table, each partition in transactions of its own. It waits at most 50 ms for a lock that others might queue behind, five times a table, and leaves what somebody holds open to the next call. What it could not do is in storesync.maintenance and health(). Once a day is enough; beside a dispatcher, which does the same by itself, it does no harm. Ledger and orders are kept. Errors: 2D000 inside a transaction block, 25006 on a standby. Example: CALL storesync.maintain();';

CREATE FUNCTION storesync.health_maintenance() RETURNS TABLE(component text, state text, reason text)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT concat('maintenance of ', m.part), 'degraded',
		format('%s: %s, since %s', m.code, m.problem, date_trunc('second', m.failing_since))
	FROM storesync.maintenance m
	WHERE m.problem IS NOT NULL AND (m.code <> '55P03' OR m.failing_since < clock_timestamp() - '1 day'::interval)
$$;
COMMENT ON FUNCTION storesync.health_maintenance() IS
'The part of health() about maintain(): what it could not do; a table that somebody had open counts after a day.';
-- Call limits: equality of the type, taking from a budget, what the budgets hold.

CREATE FUNCTION storesync.rate_limit_eq(storesync.rate_limit, storesync.rate_limit) RETURNS boolean
	AS 'MODULE_PATHNAME', 'rate_limit_eq' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION storesync.rate_limit_eq(storesync.rate_limit, storesync.rate_limit) IS 'Implementation of the = operator: same windows.';
CREATE FUNCTION storesync.rate_limit_ne(storesync.rate_limit, storesync.rate_limit) RETURNS boolean
	AS 'MODULE_PATHNAME', 'rate_limit_ne' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION storesync.rate_limit_ne(storesync.rate_limit, storesync.rate_limit) IS 'Implementation of the <> operator: different windows.';
CREATE OPERATOR storesync.= (
	LEFTARG = storesync.rate_limit, RIGHTARG = storesync.rate_limit,
	FUNCTION = storesync.rate_limit_eq,
	COMMUTATOR = OPERATOR(storesync.=), NEGATOR = OPERATOR(storesync.<>),
	RESTRICT = eqsel, JOIN = eqjoinsel
);
CREATE OPERATOR storesync.<> (
	LEFTARG = storesync.rate_limit, RIGHTARG = storesync.rate_limit,
	FUNCTION = storesync.rate_limit_ne,
	COMMUTATOR = OPERATOR(storesync.<>), NEGATOR = OPERATOR(storesync.=),
	RESTRICT = neqsel, JOIN = neqjoinsel
);

CREATE FUNCTION storesync.rate_take(store int, cost int DEFAULT 1) RETURNS interval
	AS 'MODULE_PATHNAME', 'rate_take' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION storesync.rate_take(int, int) IS
'Take cost calls from the budget of a store: its own limit, that of its application at the platform and storesync.total_rate_limit, from all or from none. The dispatcher takes from the same budget. Zero: granted, make the call now. Otherwise how long to wait before asking again; nothing was taken. What is taken stays taken when the transaction aborts. Errors: SS002 unknown store, 22004 null, 22023 cost below 1 or above the smallest burst, 25006 on a standby, SS401 not preloaded, SS402 no room in shared memory. Example: SELECT storesync.rate_take(1);';

CREATE FUNCTION storesync.rate_hold(store int, wait interval) RETURNS void
	AS 'MODULE_PATHNAME', 'rate_hold' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION storesync.rate_hold(int, interval) IS
'A platform has throttled a store: grant it no call for wait (0 to 24 hours), then one, then half the rate that it had, not below a tenth of its limit; rate_succeeded brings the rate back, and so does an hour without a throttle. A shorter hold never ends a longer one, and a store that is held already is not slowed again. For applications that call by themselves and were told to slow down; the dispatcher does the same for its own calls. Errors: as rate_take, 22023 wait out of range. Example: SELECT storesync.rate_hold(1, ''30 seconds'');';

CREATE FUNCTION storesync.rate_succeeded(store int, calls int DEFAULT 1) RETURNS void
	AS 'MODULE_PATHNAME', 'rate_succeed' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION storesync.rate_succeeded(int, int) IS
'Calls of a store went well: after a throttle each gives back a hundredth of the store''s limit, until all of it is used again. For applications that use rate_hold; the dispatcher does the same for its own calls. Without effect on a store that is not slowed. Errors: as rate_take, 22023 calls below 1. Example: SELECT storesync.rate_succeeded(1);';

CREATE FUNCTION storesync.rate_quota(store int) RETURNS timestamptz
	AS 'MODULE_PATHNAME', 'rate_quota' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION storesync.rate_quota(int) IS
'A platform says that the day''s calls are used up: grant none until its next platform.quota_reset, to the store or, as platform.quota_scope says, to all stores of the application. Returns the end. For applications that call by themselves; the dispatcher does the same for its own calls. Not remembered over a restart. Errors: as rate_take. Example: SELECT storesync.rate_quota(1);';

CREATE FUNCTION storesync.rate_forget_answers(store int) RETURNS void
	AS 'MODULE_PATHNAME', 'rate_forget' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION storesync.rate_forget_answers(int) IS 'The part of rate_forget() in shared memory.';

CREATE FUNCTION storesync.rate_forget(store int DEFAULT NULL) RETURNS void
	LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT storesync.rate_forget_answers($1);
	SELECT storesync.outbox_add('store', array_agg(s.store_id::bigint))
	FROM storesync.store s
	WHERE $1 IS NULL OR s.platform = (SELECT t.platform FROM storesync.store t WHERE t.store_id = $1)
	HAVING count(*) > 0
$$;
COMMENT ON FUNCTION storesync.rate_forget(int) IS
'Forget what platforms answered: a store (NULL: every store of the database) uses its whole limit again, and its quota, or its application''s, does not count as used up; the dispatcher goes on at once. Limits and holds stay. For an operator to whom the platform has granted more. Errors: as rate_take. Example: SELECT storesync.rate_forget(1);';

CREATE FUNCTION storesync.rate_room() RETURNS int
	AS 'MODULE_PATHNAME', 'rate_room' LANGUAGE C VOLATILE PARALLEL RESTRICTED;
COMMENT ON FUNCTION storesync.rate_room() IS
'For how many more stores, of all databases, there is room in shared memory (storesync.max_stores); NULL when storesync is not preloaded. Example: SELECT storesync.rate_room();';

CREATE FUNCTION storesync.rate_reload() RETURNS void
	AS 'MODULE_PATHNAME', 'rate_reload' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION storesync.rate_reload() IS
'Have every session read the limits of this database again once the transaction ends. Changes by SQL do this by themselves. A transaction that called it cannot be prepared. Example: SELECT storesync.rate_reload();';

CREATE FUNCTION storesync.rate_limits_changed() RETURNS trigger
	AS 'MODULE_PATHNAME', 'rate_limits_changed' LANGUAGE C;
COMMENT ON FUNCTION storesync.rate_limits_changed() IS
'Statement trigger of the tables that hold limits: rate_reload().';

CREATE TRIGGER rate_limits_changed AFTER UPDATE OF rate_limit, platform OR DELETE OR TRUNCATE ON storesync.store
	FOR EACH STATEMENT EXECUTE FUNCTION storesync.rate_limits_changed();
CREATE TRIGGER rate_limits_changed AFTER UPDATE OF rate_limit, platform, quota_reset, quota_scope OR DELETE OR TRUNCATE ON storesync.platform
	FOR EACH STATEMENT EXECUTE FUNCTION storesync.rate_limits_changed();
-- also where rows arrive by logical replication
ALTER TABLE storesync.store ENABLE ALWAYS TRIGGER rate_limits_changed;
ALTER TABLE storesync.platform ENABLE ALWAYS TRIGGER rate_limits_changed;

CREATE FUNCTION storesync.rate_windows(missing_ok boolean DEFAULT false,
		OUT scope text, OUT store_id int, OUT platform text, OUT calls int, OUT per interval, OUT burst int,
		OUT next_free_at timestamptz, OUT held_until timestamptz, OUT pace int, OUT effective float8,
		OUT slowed_since timestamptz, OUT quota_until timestamptz)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'rate_windows' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION storesync.rate_windows(boolean) IS
'The windows of all budgets of this database that were asked since the server started; view rate_status shows them. missing_ok: no rows instead of SS401 when storesync is not preloaded. Example: SELECT * FROM storesync.rate_windows();';

CREATE VIEW storesync.rate_status AS
SELECT w.scope, w.store_id, w.platform, w.calls, w.per, w.burst, w.next_free_at, w.held_until,
	w.pace, w.effective, w.slowed_since, w.quota_until
FROM storesync.rate_windows() w;
COMMENT ON VIEW storesync.rate_status IS
'Every window of the call budgets that were asked since the server started. scope: store, application (of the platform) or database (storesync.total_rate_limit). calls per interval, with burst: as configured. next_free_at: from when this window grants a call, in the past while it is free. held_until: end of a throttle, NULL without one. pace: percent of the limit that is used after throttles, effective: calls per interval at that pace, slowed_since: since when it is below 100, else NULL. quota_until: the day''s calls are used up until then, NULL when they are not.';

-- An earlier installation in this database may have left limits and answers in memory.
SELECT storesync.rate_reload();
SELECT storesync.rate_forget_answers(NULL);
-- Units of a SKU set aside for one listing (docs/allotment.md). Before listings: their view reads it.

-- A function, so that the lines of years are opened only where something is set aside. An order counts
-- when it was placed and booked since; platforms' order times come in whole seconds.
CREATE FUNCTION storesync.ordered_since(listing bigint, since timestamptz) RETURNS bigint
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT coalesce(sum((x.qty - x.cancelled_qty) * x.pack) FILTER (WHERE x.state NOT IN ('cancelled', 'lapsed')), 0)::bigint
	FROM storesync.sales_order_line x
	WHERE x.listing_id = $1 AND x.ordered_at >= date_trunc('second', $2) AND x.recorded_at > $2
$$;
COMMENT ON FUNCTION storesync.ordered_since(bigint, timestamptz) IS
'Units of the SKU that orders of a listing placed and booked since a moment want, cancelled ones left out. Example: SELECT storesync.ordered_since(1, now() - interval ''1 hour'');';

CREATE VIEW storesync.allotment_left AS
SELECT a.listing_id, a.sku_id, a.units,
	greatest(
		CASE WHEN a.until IS NULL OR a.until > statement_timestamp() THEN a.units - storesync.ordered_since(a.listing_id, a.since) END,
		a.locked - storesync.ordered_since(a.listing_id, a.locked_at), 0) AS remaining,
	a.since, a.until, a.locked, a.locked_at
FROM storesync.allotment a
JOIN storesync.listing l ON l.listing_id = a.listing_id AND l.sku_id = a.sku_id
WHERE a.locked IS NOT NULL OR a.until IS NULL OR a.until > statement_timestamp();
COMMENT ON VIEW storesync.allotment_left IS
'Units set aside for listings, in units of the SKU: units, as allotted by hand at since; locked, as a platform was seen to keep them for a promotion at locked_at; remaining, the larger of both less what the listing''s own orders since then have taken (cancelled ones come back); until: when the rest of what was allotted by hand flows back, NULL for never. Not those of a listing that sells another SKU by now.';

CREATE FUNCTION storesync.allot(listing bigint, qty bigint, key storesync.idempotency_key, until timestamptz DEFAULT NULL)
	RETURNS storesync.movement_result
	AS 'MODULE_PATHNAME', 'allot' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.allot(bigint, bigint, storesync.idempotency_key, timestamptz) IS
'Sets qty units of a listing''s SKU aside for it, from now until the given moment (NULL: for good), in place of what it had by hand; 0 ends it. What a platform keeps locked of it (reserve_seen) stays. Its own orders placed from now on use them first, the other listings of the SKU show less by what remains. Answer: outcome applied, replayed, or insufficient when qty is more than is available (where its store sells from) less what remains set aside for others: then nothing changed, and the key keeps that answer; on_hand and reserved of the SKU there; available: units that nobody has reserved and nothing is set aside of, after the call; version 0. Errors: SS004 unknown listing, SS204 its SKU is a bundle, SS201 qty below 0 or above 10^12, 22008 until is past or infinite, 22004 null, SS101 the key stands for another request, SS102, SS103 the key''s time is too old or ahead, 40001 under REPEATABLE READ, 25006 on a standby. Example: SELECT * FROM storesync.allot(7, 50, storesync.new_key(), ''2026-11-12 00:00+08'');';

CREATE FUNCTION storesync.reserves_seen(listings bigint[], reserved bigint[], seen_at timestamptz, until timestamptz DEFAULT NULL)
	RETURNS int
	AS 'MODULE_PATHNAME', 'reserves_seen' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.reserves_seen(bigint[], bigint[], timestamptz, timestamptz) IS
'reserve_seen() of many listings, an element each; those that do not exist are left out. Returns for how many of them others now show another quantity. Errors: 22023 arrays of different lengths, SS201 a quantity below 0 or above 10^12, 22004 null, SS103 seen_at is more than a day ahead, 25006 on a standby. Example: SELECT storesync.reserves_seen(ARRAY[7, 8], ARRAY[20, 0], now());';

CREATE FUNCTION storesync.reserve_seen(listing bigint, reserved bigint, seen_at timestamptz, until timestamptz DEFAULT NULL)
	RETURNS boolean
	AS 'MODULE_PATHNAME', 'reserve_seen' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.reserve_seen(bigint, bigint, timestamptz, timestamptz) IS
'Says that the platform was seen at a moment to keep reserved sold units of a listing locked for promotions (0: none any more), and when the promotion ends as far as that is known. Makes, corrects or ends an allotment of as many units of its SKU, beside the one that allot() made: the larger remainder counts. Nothing is refused when the stock does not cover it, for it is locked all the same: listing_locked and health() tell. A bundle has nothing that could be set aside; it is told there too. A sighting that is not newer than the last changes nothing. True when other listings now show another quantity. Errors: SS004 unknown listing, SS201 reserved below 0 or above 10^12, 22004 null, SS103 seen_at is more than a day ahead, 25006 on a standby. Example: SELECT storesync.reserve_seen(7, 20, now());';

CREATE VIEW storesync.listing_locked AS
SELECT r.listing_id, l.store_id, k.code AS sku, l.item_id, l.model_id, r.reserved, coalesce(f.remaining, 0) AS remaining,
	r.seen_at, r.until,
	CASE WHEN k.bundle THEN 'bundle'
		WHEN f.locked IS NULL THEN 'other SKU'
		WHEN (SELECT sum(x.remaining) FROM storesync.allotment_left x WHERE x.sku_id = k.sku_id) > (
			SELECT coalesce(sum(t.on_hand - t.reserved), 0) FROM storesync.stock t
			JOIN storesync.location p ON p.location_id = t.location_id
			WHERE t.sku_id = k.sku_id AND p.sellable) THEN 'not covered'
		ELSE 'covered' END AS state
FROM storesync.listing_reserved r
JOIN storesync.listing l ON l.listing_id = r.listing_id
JOIN storesync.sku k ON k.sku_id = l.sku_id
LEFT JOIN storesync.allotment_left f ON f.listing_id = r.listing_id
WHERE r.reserved > 0;
COMMENT ON VIEW storesync.listing_locked IS
'Listings of which a platform keeps units locked for promotions: reserved, in sold units, as seen at seen_at; remaining, what is set aside for the listing now, in units of the SKU; until: when the promotion ends, NULL where it is not known; state: covered; not covered, the stock has less than is set aside of the SKU (receive, count, or take back another allotment by allot(listing, 0, …)); bundle, nothing is set aside, its components may be sold elsewhere (cap or stop what shares them); other SKU, the listing was mapped to another SKU since (the next reading corrects it).';

CREATE FUNCTION storesync.health_allotments() RETURNS TABLE(component text, state text, reason text)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT concat('allotments of ', k.code), 'degraded', format('%s units are set aside, %s are available', x.aside, x.available)
	FROM (
		SELECT f.sku_id, sum(f.remaining) AS aside,
			(SELECT coalesce(sum(t.on_hand - t.reserved), 0) FROM storesync.stock t
				JOIN storesync.location p ON p.location_id = t.location_id
				WHERE t.sku_id = f.sku_id AND p.sellable) AS available
		FROM storesync.allotment_left f
		GROUP BY f.sku_id) x
	JOIN storesync.sku k ON k.sku_id = x.sku_id
	WHERE x.aside > greatest(x.available, 0)
	UNION ALL
	SELECT concat('allotments of ', v.sku), 'degraded',
		format('a promotion locks %s units of listing %s, which is a bundle: nothing is set aside', v.reserved, v.listing_id)
	FROM storesync.listing_locked v
	WHERE v.state = 'bundle'
$$;
COMMENT ON FUNCTION storesync.health_allotments() IS
'The part of health() about units set aside that the stock does not cover any more, and about locked units of bundles.';
-- Prices and listing state: what is wanted of each, what its platform has acknowledged, and changes
-- that take place later (docs/price.md). Before listings: their status shows it.

CREATE TABLE storesync.offer (
	listing_id bigint NOT NULL,
	facet text NOT NULL CHECK (facet IN ('price', 'listed')),
	store_id int NOT NULL,
	incarnation int NOT NULL,
	changed_at timestamptz NOT NULL,
	next_at timestamptz NOT NULL,
	open boolean NOT NULL DEFAULT false,
	dead boolean NOT NULL DEFAULT false,
	alone boolean NOT NULL DEFAULT false,
	at_zero boolean NOT NULL DEFAULT false,
	acked numeric,
	acked_at timestamptz,
	sending numeric,
	attempts int NOT NULL DEFAULT 0,
	reason text,
	story jsonb NOT NULL DEFAULT '[]',
	PRIMARY KEY (listing_id, facet)
) WITH (fillfactor = 70);
CREATE INDEX ON storesync.offer (store_id, next_at) WHERE open AND NOT dead;
COMMENT ON TABLE storesync.offer IS
'What a platform has acknowledged of a listing''s price, or of its being listed (1) or not (0); a row exists once somebody changed it here, and what has none is never written. changed_at: when the wanted value last changed. open: the wanted value is not the one acknowledged, or a write is in doubt; next_at: not written before. dead: given up until the wanted value changes, in storesync.compensation. alone: to be written without others, after a batch that was refused whole. at_zero: of listed, taken off because nothing is left (listing.at_zero). acked NULL: unknown. sending: committed before a write leaves, NULL again when its outcome is known. attempts, reason, story: of the tries that failed.';

CREATE SEQUENCE storesync.planned_offer_id_seq;
CREATE TABLE storesync.planned_offer (
	planned_offer_id bigint PRIMARY KEY DEFAULT nextval('storesync.planned_offer_id_seq'),
	listing_id bigint NOT NULL,
	due_at timestamptz NOT NULL,
	action text NOT NULL CHECK (action IN ('price', 'back', 'list', 'unlist')),
	price numeric,
	campaign numeric,
	until timestamptz,
	CHECK ((action IN ('price', 'back')) = (price IS NOT NULL)),
	CHECK ((action = 'back') = (campaign IS NOT NULL))
);
CREATE INDEX ON storesync.planned_offer (due_at, planned_offer_id);
CREATE INDEX ON storesync.planned_offer (listing_id);
CREATE UNIQUE INDEX ON storesync.planned_offer (listing_id) WHERE action = 'back';
COMMENT ON TABLE storesync.planned_offer IS
'Changes of listings that take place at due_at: price (until: then the one before comes back), back (the price from before a campaign, unless the price is another than campaign by then), list, unlist. Written by set_price() and enqueue(); done by release_expired().';

-- An item is on the shelf as a whole: as long as one of its listings is to be listed.
CREATE VIEW storesync.offer_state AS
SELECT o.listing_id, o.facet, o.store_id, l.item_id, l.model_id, l.enabled, l.listed, w.wanted, o.acked, o.acked_at, o.sending,
	CASE WHEN o.facet = 'price' THEN 'price' WHEN w.wanted = 1 THEN 'list' ELSE 'unlist' END AS kind,
	o.open, o.dead, o.alone, o.at_zero, o.incarnation, o.changed_at, o.next_at, o.attempts, o.reason, o.story,
	o.facet = 'price' AND l.price < l.price_floor AS below_floor,
	CASE WHEN o.incarnation <> storesync.current_incarnation() THEN 'unknown' WHEN NOT o.open THEN 'ok'
		WHEN o.facet = 'price' AND l.price < l.price_floor THEN 'below floor' WHEN o.dead THEN 'dead'
		WHEN o.sending IS NOT NULL THEN 'sending' ELSE 'waiting' END AS state
FROM storesync.offer o
JOIN storesync.listing l ON l.listing_id = o.listing_id
CROSS JOIN LATERAL (
	SELECT CASE WHEN o.facet = 'price' THEN trim_scale(l.price) ELSE (
		SELECT max(CASE WHEN s.listed AND NOT (s.at_zero = 'unlist' AND coalesce(z.at_zero, false)) THEN 1 ELSE 0 END)::numeric
		FROM storesync.listing s
		LEFT JOIN storesync.offer z ON z.listing_id = s.listing_id AND z.facet = 'listed'
		WHERE s.store_id = l.store_id AND s.item_id = l.item_id) END AS wanted
	OFFSET 0) w;
COMMENT ON VIEW storesync.offer_state IS
'Rows of storesync.offer with what is wanted now: the listing''s price (NULL: none), or 1 where its item is to be listed and 0 where it is not; kind: what a write would be (price, list, unlist); below_floor: the price is below the listing''s price_floor, and is not sent; state: ok, waiting, sending (under way, or in doubt), below floor, dead (given up), unknown (acknowledged in another life of the data).';

CREATE FUNCTION storesync.offer_refresh(listings bigint[]) RETURNS void
	LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
	UPDATE storesync.offer o SET open = x.open
	FROM (
		SELECT v.listing_id, v.facet, v.wanted IS NOT NULL AND v.incarnation = storesync.current_incarnation()
			AND (v.wanted IS DISTINCT FROM v.acked OR v.sending IS NOT NULL)
			-- another model keeps the item where it is, and nobody has asked for it to be put there
			AND NOT (v.facet = 'listed' AND v.wanted = 1 AND num_nonnulls(v.acked, v.sending) = 0 AND (v.at_zero OR NOT v.listed)) AS open
		FROM storesync.offer_state v
		WHERE v.listing_id = ANY (ARRAY(
			SELECT s.listing_id FROM storesync.listing l
			JOIN storesync.listing s ON s.store_id = l.store_id AND s.item_id = l.item_id
			WHERE l.listing_id = ANY ($1)))) x
	WHERE o.listing_id = x.listing_id AND o.facet = x.facet AND o.open <> x.open
$$;
COMMENT ON FUNCTION storesync.offer_refresh(bigint[]) IS
'Brings offer.open in line with what is wanted of these listings and of the others of their items. For storesync''s own triggers and the dispatcher.';

CREATE FUNCTION storesync.offer_revive(listing bigint, call text) RETURNS void
	LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
	UPDATE storesync.offer o SET dead = false, attempts = 0, story = '[]', next_at = clock_timestamp()
	WHERE o.listing_id = $1 AND o.facet = CASE $2 WHEN 'push_price' THEN 'price' WHEN 'list' THEN 'listed' WHEN 'unlist' THEN 'listed' END
$$;
COMMENT ON FUNCTION storesync.offer_revive(bigint, text) IS
'A price or state that was given up is tried again; call: push_price, list or unlist, others do nothing. For requeue().';

CREATE FUNCTION storesync.is_overtaken(call text, payload jsonb) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT coalesce((
		SELECT l.listed <> ($1 = 'list') FROM storesync.listing l
		WHERE $1 IN ('list', 'unlist') AND l.listing_id = ($2 ->> 'listing')::bigint), false)
$$;
COMMENT ON FUNCTION storesync.is_overtaken(text, jsonb) IS
'Whether a task to list or unlist asks for what is not wanted any more: then it is not done again. Example: SELECT storesync.is_overtaken(''list'', ''{"listing": 7}'');';

CREATE FUNCTION storesync.set_price(listing bigint, price numeric, key storesync.idempotency_key,
	not_before timestamptz DEFAULT NULL, valid_until timestamptz DEFAULT NULL, force boolean DEFAULT false) RETURNS bigint
	AS 'MODULE_PATHNAME', 'set_price' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.set_price(bigint, numeric, storesync.idempotency_key, timestamptz, timestamptz, boolean) IS
'Sets a listing''s price, in its shop''s currency, and returns the id of the task push_price that is done when the shop shows it (task_state()). not_before: it takes place then, at most 366 days ahead. valid_until: it is a campaign''s price, and the price from before comes back by itself then; another set_price() or a change of listing.price ends the campaign. force: a change larger than store.max_price_change is meant. The same call with the same key is one change, whose task comes back. Errors: SS501 below price_floor, SS502 a larger change than store.max_price_change and not forced, SS503 a campaign of a listing that has no price to come back to, SS004 unknown listing, 22003 not above 0 and below 10^12, 22008 a time that is infinite, too far ahead, or an end that is past or not after not_before, 22004 null, SS101 the key stands for another request, SS102, SS103 its time is too old or ahead, 25006 on a standby. Example: SELECT storesync.set_price(7, 199, storesync.new_key(), valid_until => ''2026-11-12 00:00+08'');';

CREATE FUNCTION storesync.offer_changed() RETURNS trigger AS 'MODULE_PATHNAME', 'offer_changed' LANGUAGE C;
COMMENT ON FUNCTION storesync.offer_changed() IS
'Row trigger of storesync.listing: a changed price, listed or at_zero has to be written, and ends the campaign of another price.';
CREATE TRIGGER offer_changed AFTER UPDATE OF price, listed, at_zero ON storesync.listing
	FOR EACH ROW
	WHEN ((OLD.price, OLD.listed, OLD.at_zero) IS DISTINCT FROM (NEW.price, NEW.listed, NEW.at_zero))
	EXECUTE FUNCTION storesync.offer_changed();

CREATE FUNCTION storesync.offer_renamed() RETURNS trigger AS 'MODULE_PATHNAME', 'offer_renamed' LANGUAGE C;
COMMENT ON FUNCTION storesync.offer_renamed() IS
'Row trigger of storesync.listing: what was known of the price and state of another item is forgotten, and what was planned for a listing that is gone.';
CREATE TRIGGER offer_renamed AFTER UPDATE OF store_id, item_id, model_id ON storesync.listing
	FOR EACH ROW
	WHEN ((OLD.store_id, OLD.item_id, OLD.model_id) IS DISTINCT FROM (NEW.store_id, NEW.item_id, NEW.model_id))
	EXECUTE FUNCTION storesync.offer_renamed();
CREATE TRIGGER offer_deleted AFTER DELETE ON storesync.listing
	FOR EACH ROW EXECUTE FUNCTION storesync.offer_renamed();

CREATE FUNCTION storesync.health_prices() RETURNS TABLE(component text, state text, reason text)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT concat('prices of store ', x.store_id), 'degraded', concat_ws('; ',
		CASE WHEN x.below > 0 THEN format('%s below their floor are not sent', x.below) END,
		CASE WHEN x.late > 0 THEN format('%s prices and listing states wait for over an hour, the oldest since %s', x.late, date_trunc('second', x.oldest)) END)
	FROM (
		SELECT v.store_id, count(*) FILTER (WHERE v.below_floor) AS below,
			count(*) FILTER (WHERE NOT v.below_floor AND v.changed_at < clock_timestamp() - '1 hour'::interval) AS late,
			min(v.changed_at) FILTER (WHERE NOT v.below_floor) AS oldest
		FROM storesync.offer_state v
		JOIN storesync.store s ON s.store_id = v.store_id
		WHERE v.open AND NOT v.dead AND v.enabled AND s.mode = 'live' AND NOT s.paused
		GROUP BY v.store_id) x
	WHERE x.below > 0 OR x.late > 0
$$;
COMMENT ON FUNCTION storesync.health_prices() IS
'The part of health() about prices below their floor, and about prices and listing states that a live store waits long to show.';
-- What each listing should show, what its platform is believed to show, and the triggers that say
-- when an input of it has changed. docs/listing.md has the rules.

CREATE FUNCTION storesync.wanted_quantity(available bigint, safety bigint, share numeric, pack int,
	buffer bigint, cap bigint, max_quantity bigint) RETURNS bigint
	AS 'MODULE_PATHNAME', 'wanted_quantity' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION storesync.wanted_quantity(bigint, bigint, numeric, int, bigint, bigint, bigint) IS
'Sold units a listing should show: floor((available - safety) * share / pack) - buffer, between 0 and the smaller of cap (NULL: none) and max_quantity; available and safety in units of the SKU. Exact, rounds down only. NULL when an argument other than cap is. Error 22023 for a share outside 0..1, a pack below 1, a negative safety or buffer. Example: SELECT storesync.wanted_quantity(10, 1, 0.5, 2, 0, NULL, 1000); -- 2';

CREATE FUNCTION storesync.drawn_versions(sku bigint) RETURNS bigint
	LANGUAGE sql STABLE
AS $$
	SELECT coalesce(sum(x.version), 0)::bigint FROM storesync.stock x
	WHERE x.sku_id = ANY (ARRAY(
		SELECT $1 UNION ALL
		SELECT c.sku_id FROM storesync.component c JOIN storesync.sku k ON k.sku_id = c.bundle_id
		WHERE c.bundle_id = $1 AND k.bundle))
$$;
COMMENT ON FUNCTION storesync.drawn_versions(bigint) IS
'The versions of all stock that a SKU''s listings draw on, summed up: what a listing''s version has beside its revision. Example: SELECT storesync.drawn_versions(1);';

CREATE FUNCTION storesync.clock_doubt() RETURNS interval
	AS 'MODULE_PATHNAME', 'clock_doubt' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION storesync.clock_doubt() IS
'The setting storesync.clock_doubt as an interval. Example: SELECT storesync.clock_doubt();';

CREATE FUNCTION storesync.max_fetch_age() RETURNS interval
	AS 'MODULE_PATHNAME', 'max_fetch_age' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION storesync.max_fetch_age() IS
'The setting storesync.max_fetch_age as an interval. Example: SELECT storesync.max_fetch_age();';

CREATE FUNCTION storesync.known_listing(listing bigint) RETURNS bigint
	AS 'MODULE_PATHNAME', 'known_listing' LANGUAGE C STABLE STRICT;
COMMENT ON FUNCTION storesync.known_listing(bigint) IS
'Its argument, or error SS004 when there is no such listing. Example: SELECT storesync.known_listing(1);';

-- A function, so that the lines of years are opened only where a write is due.
CREATE FUNCTION storesync.sold_lately(listing bigint, fetched_through timestamptz, OUT per_second numeric, OUT known bigint)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT (sum(x.qty) FILTER (WHERE x.ordered_at <= $2))::numeric / 60, (sum(x.qty) FILTER (WHERE x.ordered_at > $2))::bigint
	FROM storesync.sales_order_line x
	WHERE x.listing_id = $1 AND x.ordered_at > $2 - '1 minute'::interval AND x.recorded_at > $2 - '1 day'::interval
$$;
COMMENT ON FUNCTION storesync.sold_lately(bigint, timestamptz) IS
'Of a listing, in sold units: what its shop sold a second in the minute before a moment, and what is booked of later orders; NULL for nothing. Example: SELECT * FROM storesync.sold_lately(1, now());';

CREATE FUNCTION storesync.store_available(sku bigint, store int) RETURNS bigint
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE WHEN NOT k.bundle THEN (
			SELECT coalesce(sum(x.on_hand - x.reserved), 0)::bigint
			FROM storesync.stock x JOIN storesync.location y ON y.location_id = x.location_id
			WHERE x.sku_id = k.sku_id AND y.sellable
				AND (z.all_places OR y.location_id IN (SELECT e.location_id FROM storesync.store_location e WHERE e.store_id = $2)))
		ELSE (
			SELECT greatest(coalesce(min(h.units) FILTER (WHERE NOT m.allow_backorder), min(h.units)), 0)::bigint
			FROM storesync.component c
			JOIN storesync.sku m ON m.sku_id = c.sku_id
			CROSS JOIN LATERAL (
				SELECT floor((coalesce(sum(x.on_hand - x.reserved), 0) - m.safety_stock - (
						SELECT coalesce(sum(f.remaining), 0) FROM storesync.allotment_left f WHERE f.sku_id = c.sku_id)) / c.qty) AS units
				FROM storesync.stock x JOIN storesync.location y ON y.location_id = x.location_id
				WHERE x.sku_id = c.sku_id AND y.sellable
					AND (z.all_places OR y.location_id IN (SELECT e.location_id FROM storesync.store_location e WHERE e.store_id = $2))) h
			WHERE c.bundle_id = k.sku_id AND c.qty > 0) END
	FROM storesync.sku k
	CROSS JOIN (SELECT NOT EXISTS (SELECT FROM storesync.store_location e WHERE e.store_id = $2) AS all_places) z
	WHERE k.sku_id = $1
$$;
COMMENT ON FUNCTION storesync.store_available(bigint, int) IS
'Units of a SKU, or whole ones of a bundle, that may still be reserved where a store sells from; NULL for an unknown SKU. Example: SELECT storesync.store_available(1, 1);';

-- A store without places of its own is no key of g, so that its rows serve all such stores; a bundle
-- is looked into for bundles alone. OFFSET 0 keeps a term from being computed for each use.
--
-- Own orders are told from our writes by two clocks. By ours: an order booked before the write was
-- sent was placed before it, and the write has wiped it. By the platform's, which is doubted by
-- clock_doubt and cuts to whole seconds: later than the answer, it was placed after it. Between the
-- two nobody knows, and the listing counts as unknown until it is written again, unless nothing
-- was booked since (acked_version = version).
--
-- Who shows the last units (e) is looked for only where few are left, or none would be shown.
-- What may have been sold and is not fetched yet is looked for only where a write is due. No shop sells
-- more than it shows, but what it showed before a write that orders have not reached is forgotten.
--
-- A moment that lies ahead was noted by a clock that has been set back since; in truth it is behind us, and
-- counts as now.
CREATE VIEW storesync.listing_target AS
SELECT l.listing_id, l.store_id, l.sku_id, l.item_id, l.model_id, l.enabled,
	a.available, i.own AS allotted, i.others AS allotted_to_others, v.left_units, t.wanted, e.sole_id, h.reason AS stopped, t.version,
	w.acked_qty, w.acked_version, w.written_at, w.doubt_qty, w.sending_qty,
	coalesce(o.after_units, 0) AS ordered_after, coalesce(c.after_units, 0) AS cancelled_after,
	b.believed, b.at_most,
	l.enabled AND b.believed IS DISTINCT FROM t.wanted AS dirty,
	u.unseen, n.to_send,
	CASE WHEN b.believed = t.wanted OR t.wanted = 0 OR b.at_most - t.wanted > u.unseen THEN NULL
		WHEN b.believed < t.wanted AND n.to_send <= b.believed
			THEN least(q.fetched_through, statement_timestamp()) + least(s.poll_interval, '1 minute'::interval)
		ELSE least(greatest(statement_timestamp() - d.fetch_age, w.written_at), statement_timestamp()) END AS needs_fetch_after,
	q.fetched_through, r.per_second,
	CASE WHEN w.doubt_qty IS NULL AND w.sending_qty IS NULL AND w.acked_qty = t.wanted AND w.acked_version = t.version
		THEN least(w.written_at, statement_timestamp()) + d.doubt END AS not_before,
	EXISTS (SELECT FROM storesync.compensation x
		WHERE x.listing_id = l.listing_id AND x.version = t.version AND x.call = 'push_stock'
			AND (x.settled_at IS NULL OR x.settled_by LIKE 'discarded%')) AS dead,
	l.held, w.sent_at, CASE WHEN w.acked_incarnation <> d.incarnation THEN -1 ELSE w.acked_revision END AS acked_revision
FROM storesync.listing l
JOIN storesync.store s ON s.store_id = l.store_id
JOIN storesync.platform p ON p.platform = s.platform
JOIN storesync.sku k ON k.sku_id = l.sku_id
CROSS JOIN (SELECT storesync.clock_doubt() + '1 second'::interval AS doubt,
	storesync.max_fetch_age() AS fetch_age,
	storesync.current_incarnation() AS incarnation) d
LEFT JOIN storesync.order_cursor q ON q.store_id = l.store_id
LEFT JOIN LATERAL (SELECT z.store_id FROM storesync.store_location z WHERE z.store_id = s.store_id LIMIT 1) z ON true
CROSS JOIN LATERAL (
	SELECT coalesce(sum(x.on_hand - x.reserved) FILTER (WHERE y.sellable AND (z.store_id IS NULL OR EXISTS (
			SELECT FROM storesync.store_location e WHERE e.store_id = z.store_id AND e.location_id = y.location_id))), 0)::bigint AS available,
		coalesce(sum(x.version), 0)::bigint AS versions
	FROM storesync.stock x JOIN storesync.location y ON y.location_id = x.location_id
	WHERE x.sku_id = l.sku_id) g
CROSS JOIN LATERAL (
	SELECT CASE WHEN NOT k.bundle THEN g.available ELSE (
		SELECT greatest(coalesce(min(h.units) FILTER (WHERE NOT m.allow_backorder), min(h.units)), 0)::bigint
		FROM storesync.component c
		JOIN storesync.sku m ON m.sku_id = c.sku_id
		CROSS JOIN LATERAL (
			SELECT floor((coalesce(sum(x.on_hand - x.reserved), 0) - m.safety_stock - (
					SELECT coalesce(sum(f.remaining), 0) FROM storesync.allotment_left f WHERE f.sku_id = c.sku_id)) / c.qty) AS units
			FROM storesync.stock x JOIN storesync.location y ON y.location_id = x.location_id
			WHERE x.sku_id = c.sku_id AND y.sellable AND (z.store_id IS NULL OR EXISTS (
				SELECT FROM storesync.store_location e WHERE e.store_id = z.store_id AND e.location_id = y.location_id))) h
		WHERE c.bundle_id = l.sku_id AND c.qty > 0) END AS available,
		CASE WHEN NOT k.bundle THEN g.versions ELSE (
			SELECT coalesce(sum(x.version), 0)::bigint FROM storesync.component c JOIN storesync.stock x ON x.sku_id = c.sku_id
			WHERE c.bundle_id = l.sku_id) END AS versions
	OFFSET 0) a
LEFT JOIN LATERAL (
	SELECT z.reason FROM storesync.selling_stop z
	WHERE (z.store_id IS NULL OR z.store_id = l.store_id)
		AND (z.sku_id IS NULL OR z.sku_id = l.sku_id OR z.sku_id IN (
			SELECT c.sku_id FROM storesync.component c WHERE k.bundle AND c.bundle_id = l.sku_id AND c.qty > 0))
	ORDER BY z.stop_id LIMIT 1) h ON true
LEFT JOIN LATERAL (
	SELECT sum(y.units) FILTER (WHERE y.listing_id <> l.listing_id)::bigint AS others,
		sum(y.units) FILTER (WHERE y.listing_id = l.listing_id)::bigint AS own
	FROM (
		SELECT f.listing_id, least(f.remaining, greatest(a.available - coalesce(sum(f.remaining) OVER (
			ORDER BY f.locked IS NULL, CASE WHEN f.locked IS NULL THEN f.since END, f.listing_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0), 0)) AS units
		FROM storesync.allotment_left f
		WHERE f.sku_id = l.sku_id) y) i ON true
CROSS JOIN LATERAL (
	SELECT a.available - coalesce(i.others, 0) - k.safety_stock AS left_units,
		storesync.wanted_quantity(a.available - coalesce(i.others, 0), k.safety_stock, l.share, l.pack, l.buffer, l.cap,
			p.max_quantity) AS quantity
	OFFSET 0) v
LEFT JOIN LATERAL (
	SELECT CASE WHEN v.left_units < k.solo_below OR max(m.quantity) = 0
		THEN (array_agg(m.listing_id ORDER BY m.priority DESC, m.listing_id))[1] END AS sole_id
	FROM (
		SELECT x.listing_id, y.priority,
			storesync.wanted_quantity(n.units, 0, x.share, x.pack, x.buffer, x.cap, f.max_quantity) AS quantity
		FROM storesync.listing x
		JOIN storesync.store y ON y.store_id = x.store_id
		JOIN storesync.platform f ON f.platform = y.platform
		CROSS JOIN LATERAL (
			SELECT CASE WHEN z.store_id IS NULL
					AND NOT EXISTS (SELECT FROM storesync.store_location e WHERE e.store_id = x.store_id) THEN v.left_units
				ELSE storesync.store_available(x.sku_id, x.store_id) - coalesce(i.others, 0) - k.safety_stock END
				+ coalesce((SELECT least(f.remaining, i.others) FROM storesync.allotment_left f
					WHERE i.others > 0 AND x.listing_id <> l.listing_id AND f.listing_id = x.listing_id), 0)
				- CASE WHEN x.listing_id = l.listing_id THEN 0 ELSE coalesce(i.own, 0) END AS units
			OFFSET 0) n
		WHERE x.sku_id = l.sku_id AND x.enabled AND x.held IS NULL AND y.mode = 'live' AND NOT y.paused
			AND n.units >= x.pack AND x.cap IS DISTINCT FROM 0
			AND NOT EXISTS (SELECT FROM storesync.selling_stop j
				WHERE (j.store_id IS NULL OR j.store_id = x.store_id)
					AND (j.sku_id IS NULL OR j.sku_id = x.sku_id))) m
	WHERE k.solo_below > 0 AND v.left_units > 0 AND (v.left_units < k.solo_below OR v.quantity = 0)) e ON true
CROSS JOIN LATERAL (
	SELECT CASE WHEN l.held IS NOT NULL OR h.reason IS NOT NULL THEN 0
			WHEN e.sole_id IS NULL THEN v.quantity
			WHEN e.sole_id <> l.listing_id THEN 0
			ELSE storesync.wanted_quantity(v.left_units, 0, 1, l.pack, 0, l.cap, p.max_quantity)
			END AS wanted,
		l.revision + a.versions AS version
	OFFSET 0) t
LEFT JOIN storesync.listing_shown w ON w.listing_id = l.listing_id
LEFT JOIN LATERAL (
	SELECT sum(x.qty) FILTER (WHERE x.ordered_at > w.written_at + d.doubt)::bigint AS after_units,
		bool_or(x.ordered_at <= w.written_at + d.doubt) AS unsure
	FROM storesync.sales_order_line x
	WHERE x.listing_id = l.listing_id AND x.recorded_at > w.sent_at
		AND x.ordered_at > w.sent_at - d.doubt) o ON true
LEFT JOIN LATERAL (
	SELECT sum(x.cancelled_qty)::bigint AS units,
		sum(x.cancelled_qty) FILTER (WHERE x.cancelled_at > w.written_at + d.doubt)::bigint AS after_units,
		bool_or(x.cancelled_at <= w.written_at + d.doubt) AS unsure
	FROM storesync.sales_order_line x
	WHERE p.returns_on_cancel IS NOT FALSE AND x.listing_id = l.listing_id AND x.cancelled_qty > 0 AND x.shipped = 0
		AND x.cancelled_at > w.sent_at - d.doubt) c ON true
CROSS JOIN LATERAL (
	SELECT f.believed, greatest(w.sending_qty, CASE WHEN w.doubt_qty IS NOT NULL THEN w.doubt_qty
		ELSE coalesce(f.believed, w.acked_qty + coalesce(c.units, 0)) END) AS at_most
	FROM (SELECT CASE WHEN w.listing_id IS NULL OR w.doubt_qty IS NOT NULL OR w.sending_qty IS NOT NULL OR w.acked_incarnation <> d.incarnation
				OR (w.acked_version <> t.version AND (o.unsure OR c.unsure))
				OR (p.returns_on_cancel IS NULL AND c.after_units > 0) THEN NULL
			ELSE greatest(w.acked_qty - coalesce(o.after_units, 0) + coalesce(c.after_units, 0), 0) END AS believed) f
	OFFSET 0) b
LEFT JOIN LATERAL (
	SELECT x.per_second, x.known FROM storesync.sold_lately(l.listing_id, q.fetched_through) x
	WHERE b.believed IS DISTINCT FROM t.wanted
	OFFSET 0) r ON true
CROSS JOIN LATERAL (
	SELECT greatest(least(coalesce(round(r.per_second * extract(epoch FROM statement_timestamp() - q.fetched_through))
		- coalesce(r.known, 0), 0), CASE WHEN w.written_at < q.fetched_through THEN b.at_most END), 0)::bigint AS unseen
	OFFSET 0) u
CROSS JOIN LATERAL (
	SELECT CASE WHEN t.wanted = 0 OR u.unseen = 0 THEN t.wanted
		WHEN e.sole_id IS NULL
			THEN storesync.wanted_quantity(v.left_units, 0, l.share, l.pack, l.buffer + u.unseen, l.cap, p.max_quantity)
		ELSE storesync.wanted_quantity(v.left_units, 0, 1, l.pack, u.unseen, l.cap, p.max_quantity)
		END AS to_send) n;
COMMENT ON VIEW storesync.listing_target IS
'Per listing, in sold units: wanted; allotted and allotted_to_others, what remains of units set aside for it and for others as far as the stock covers it, those that platforms keep locked and then the oldest first, in units of the SKU (NULL: nothing); left_units, available less that of others and safety stock, in units of the SKU; sole_id, the one listing of the SKU that shows its last units (NULL: each shows its own part); stopped, the reason of a stop_selling() that holds it at 0; version (its revision plus the versions of all stock it draws on); believed, what the platform is thought to show (last acknowledged, less own units ordered after that write, plus own units cancelled after it; NULL: unknown); at_most, the most it may show (NULL: never acknowledged); dirty: enabled and believed is not wanted; unseen: units that its shop has probably sold since its store''s orders were fetched through fetched_through (per_second, its own of the minute before that, less those known already; 0 where nothing has to be written); to_send: what a write has to say, wanted before its bounds less unseen; needs_fetch_after: a write that may raise what the shop shows waits until orders are fetched through this moment and one after the change (NULL: may go now); not_before: a write of the same again has to wait until then; dead: refused for good or discarded at this version; held: why nothing but 0 is sent; sent_at, acked_revision: of the last acknowledgement, -1 for one of another incarnation.';

CREATE FUNCTION storesync.listing_terms(listings bigint[], OUT listing_id bigint, OUT direct boolean, OUT version bigint,
	OUT wanted bigint, OUT believed bigint, OUT at_most bigint, OUT dirty boolean, OUT due boolean, OUT unseen bigint,
	OUT to_send bigint, OUT needs_fetch_after timestamptz, OUT not_before timestamptz, OUT stopped boolean)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'listing_terms' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION storesync.listing_terms(bigint[]) IS
'What the dispatcher makes of listings: the terms of the view listing_target by the same names, due (dirty and not dead), and direct: read without the view, whose plan takes long to start. Listings that do not exist have no row. Error 22004 for a NULL among them. Example: SELECT * FROM storesync.listing_terms(ARRAY[1, 2]);';

CREATE VIEW storesync.listing_status AS
SELECT t.listing_id, t.store_id, s.platform, s.name AS store, k.code AS sku, t.item_id, t.model_id,
	CASE WHEN NOT t.enabled THEN 'disabled' WHEN t.dead AND t.dirty THEN 'dead' WHEN t.doubt_qty IS NOT NULL THEN 'in doubt'
		WHEN t.sending_qty IS NOT NULL THEN 'sending'
		WHEN t.stopped IS NOT NULL AND NOT t.dirty THEN 'stopped' WHEN l.held IS NOT NULL AND NOT t.dirty THEN 'held'
		WHEN t.dirty AND EXISTS (SELECT FROM storesync.breaker_listing b WHERE b.listing_id = t.listing_id AND NOT b.passed) THEN 'held by breaker'
		WHEN t.dirty AND w.put_off_at > w.written_at THEN 'put off'
		WHEN t.dirty THEN 'dirty' ELSE 'ok' END AS state,
	t.available, t.wanted, t.believed, t.at_most, t.dirty, t.version,
	t.acked_qty, t.acked_version, t.written_at, l.held, t.stopped,
	l.price, y.acked AS price_shown, coalesce(y.state, 'unknown') AS price_state,
	l.listed, z.acked = 1 AS listed_shown, coalesce(z.state, 'unknown') AS listed_state
FROM storesync.listing_target t
LEFT JOIN storesync.listing_shown w ON w.listing_id = t.listing_id
JOIN storesync.listing l ON l.listing_id = t.listing_id
JOIN storesync.store s ON s.store_id = t.store_id
JOIN storesync.sku k ON k.sku_id = t.sku_id
LEFT JOIN storesync.offer_state y ON y.listing_id = t.listing_id AND y.facet = 'price'
LEFT JOIN storesync.offer_state z ON z.listing_id = t.listing_id AND z.facet = 'listed';
COMMENT ON VIEW storesync.listing_status IS
'For people: each listing with its state (disabled, dead, in doubt, sending, stopped, held, held by breaker, put off: refused by the platform for the moment, dirty, ok), the quantity wanted, believed and last acknowledged, in sold units; price and listed with what was last acknowledged of them and their states (unknown: never written here). explain(listing) has every term.';

-- Versions bound the rows from below: of all stock that a listing draws on, no more than n rows were
-- added since, so at each place none of them is older than the newest n. What was read from a shop
-- has no version (0), and what was acknowledged in another life of the data has one that means nothing (revision
-- -1): the time alone tells.
CREATE FUNCTION storesync.breaker_moves(listing bigint, version bigint, revision bigint, since timestamptz,
	OUT shaped boolean, OUT sold bigint, OUT received bigint, OUT counted boolean, OUT released boolean, OUT freed boolean)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT l.shaped > $3,
		coalesce(ceil(max((m.sold + o.short) / d.per) / l.pack), 0)::bigint,
		coalesce(ceil(max(m.received / d.per) / l.pack), 0)::bigint,
		coalesce(bool_or(m.counted), false), coalesce(bool_or(m.released), false), l.freed > $3
	FROM storesync.listing l
	JOIN storesync.sku k ON k.sku_id = l.sku_id
	CROSS JOIN LATERAL (SELECT storesync.drawn_versions(l.sku_id) - CASE WHEN $3 < 0 THEN 0 ELSE $2 - $3 END AS n OFFSET 0) z
	CROSS JOIN LATERAL (
		SELECT l.sku_id, 1::numeric AS per WHERE NOT k.bundle
		UNION ALL
		SELECT c.sku_id, c.qty FROM storesync.component c WHERE k.bundle AND c.bundle_id = l.sku_id AND c.qty > 0) d
	CROSS JOIN LATERAL (
		SELECT greatest(coalesce(sum(g.reserved_delta - g.on_hand_delta) FILTER (WHERE g.kind IN ('reserve', 'ship', 'release')), 0), 0) AS sold,
			coalesce(sum(g.on_hand_delta) FILTER (WHERE g.kind IN ('receive', 'restock')), 0) AS received,
			bool_or(g.kind IN ('adjust', 'transfer')) AS counted,
			bool_or(g.kind = 'release') AS released
		FROM storesync.stock x
		JOIN storesync.location y ON y.location_id = x.location_id AND y.sellable
		JOIN storesync.ledger g ON g.sku_id = x.sku_id AND g.location_id = x.location_id
			AND g.version > x.version - z.n AND g.recorded_at > $4 - CASE WHEN $2 > 0 AND $3 >= 0 THEN '1 minute'::interval ELSE '0' END
		WHERE x.sku_id = d.sku_id) m
	CROSS JOIN LATERAL (
		SELECT coalesce(sum(x.short), 0) AS short FROM storesync.sales_order_line x
		WHERE x.sku_id = d.sku_id AND x.short > 0 AND x.recorded_at > $4) o
	WHERE l.listing_id = $1
	GROUP BY l.listing_id, l.shaped, l.freed, l.pack
$$;
COMMENT ON FUNCTION storesync.breaker_moves(bigint, bigint, bigint, timestamptz) IS
'What has moved a listing since the given version and revision of it, at the moment since: shaped, its policy, mapping or another input that is no stock changed; in sold units, rounded up, sold (reserved, shipped or short less released, of a bundle of its scarcest component) and received; counted, a count or transfer was booked; released, a reservation was given back; freed, a stop or hold of it has ended. Sellable locations alone. Example: SELECT * FROM storesync.breaker_moves(1, 5, 1, now() - ''1 hour''::interval);';

CREATE FUNCTION storesync.explain(listing bigint) RETURNS TABLE(term text, value text)
LANGUAGE SQL STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
	SELECT x.term, x.value
	FROM storesync.listing_target t
	JOIN storesync.listing l ON l.listing_id = t.listing_id
	JOIN storesync.store s ON s.store_id = l.store_id
	JOIN storesync.platform p ON p.platform = s.platform
	JOIN storesync.sku k ON k.sku_id = l.sku_id
	LEFT JOIN storesync.listing_shown w ON w.listing_id = l.listing_id
	LEFT JOIN LATERAL (
		SELECT h.at, m.sold
		FROM storesync.breaker_listing h
		CROSS JOIN LATERAL storesync.breaker_moves(h.listing_id, t.acked_version, t.acked_revision, t.sent_at) m
		WHERE h.listing_id = l.listing_id AND NOT h.passed) b ON true
	LEFT JOIN storesync.offer_state y ON y.listing_id = l.listing_id AND y.facet = 'price'
	LEFT JOIN storesync.offer_state z ON z.listing_id = l.listing_id AND z.facet = 'listed'
	CROSS JOIN LATERAL (VALUES
		(1, 'sku', k.code),
		(2, 'store', pg_catalog.format('%s %s (%s)', s.platform, s.shop_id, CASE WHEN s.paused THEN 'paused' ELSE s.mode END)),
		(3, 'available', t.available::text),
		(4, 'allotted', t.allotted::text),
		(5, 'allotted to others', t.allotted_to_others::text),
		(6, 'safety stock', k.safety_stock::text),
		(7, 'left', t.left_units::text),
		(8, 'share', l.share::text),
		(9, 'pack', l.pack::text),
		(10, 'buffer', l.buffer::text),
		(11, 'cap', l.cap::text),
		(12, 'largest quantity of the platform', p.max_quantity::text),
		(13, 'last units below', nullif(k.solo_below, 0)::text),
		(14, 'shown alone by', CASE WHEN t.sole_id = t.listing_id THEN 'this listing' ELSE 'listing ' || t.sole_id END),
		(15, 'held', l.held),
		(16, 'stopped', t.stopped),
		(17, 'enabled', l.enabled::text),
		(18, 'wanted', t.wanted::text),
		(19, 'revision', l.revision::text),
		(20, 'version', t.version::text),
		(21, 'acknowledged', w.acked_qty::text),
		(22, 'acknowledged version', w.acked_version::text),
		(23, 'sent at', w.sent_at::text),
		(24, 'acknowledged at', w.written_at::text),
		(25, 'ordered after', t.ordered_after::text),
		(26, 'cancelled after', t.cancelled_after::text),
		(27, 'in doubt up to', w.doubt_qty::text),
		(28, 'being sent', w.sending_qty::text),
		(29, 'believed', t.believed::text),
		(30, 'read back', w.read_qty::text),
		(31, 'read back at', w.read_at::text),
		(32, 'dirty', t.dirty::text),
		(33, 'orders fetched through', t.fetched_through::text),
		(34, 'units a second', round(t.per_second, 3)::text),
		(35, 'unseen', t.unseen::text),
		(36, 'to send', t.to_send::text),
		(37, 'waits for orders through', CASE WHEN t.dirty THEN t.needs_fetch_after::text END),
		(38, 'dead', t.dead::text),
		(39, 'held by the breaker since', b.at::text),
		(40, 'sold since the acknowledgement', b.sold::text),
		(41, 'put off since', CASE WHEN t.dirty AND w.put_off_at > w.written_at THEN concat_ws(', ', w.put_off_at, w.put_off) END),
		(42, 'price', trim_scale(l.price)::text),
		(43, 'price shown', y.acked::text),
		(44, 'price state', y.state),
		(45, 'listed', l.listed::text),
		(46, 'listed shown', (z.acked = 1)::text),
		(47, 'listed state', z.state)) AS x(place, term, value)
	WHERE t.listing_id = storesync.known_listing($1)
	ORDER BY x.place
$$;
COMMENT ON FUNCTION storesync.explain(bigint) IS
'Every term of what a listing should show and is believed to show, as rows (term, value), in the order of the arithmetic; quantities in sold units, available and safety stock in units of the SKU. Error SS004 for an unknown listing. Example: SELECT * FROM storesync.explain(1);';

CREATE FUNCTION storesync.release_hold(listing bigint) RETURNS boolean
	AS 'MODULE_PATHNAME', 'release_hold' LANGUAGE C STRICT;
COMMENT ON FUNCTION storesync.release_hold(bigint) IS
'Let a held listing show its quantity again. True when it was held. Error SS004 for an unknown listing. Example: SELECT storesync.release_hold(1);';

CREATE FUNCTION storesync.tell_siblings(listings bigint[], them boolean DEFAULT false) RETURNS void
	AS 'MODULE_PATHNAME', 'tell_siblings' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION storesync.tell_siblings(bigint[], boolean) IS
'Has the other listings of the SKUs of these listings compared, where a change of one may move who shows the last units; them: they have no new revision yet and get one, too. For storesync''s own triggers and functions.';

CREATE FUNCTION storesync.listing_revise() RETURNS trigger AS 'MODULE_PATHNAME', 'listing_revise' LANGUAGE C;
COMMENT ON FUNCTION storesync.listing_revise() IS 'Raises listing.revision with every change and never lets it fall.';
CREATE FUNCTION storesync.listing_changed() RETURNS trigger AS 'MODULE_PATHNAME', 'listing_changed' LANGUAGE C;
COMMENT ON FUNCTION storesync.listing_changed() IS 'One outbox row of kind listing for each listing an UPDATE changed, and one of kind stock for each SKU whose last units may be shown by another listing now.';
CREATE FUNCTION storesync.listing_renamed() RETURNS trigger AS 'MODULE_PATHNAME', 'listing_renamed' LANGUAGE C;
COMMENT ON FUNCTION storesync.listing_renamed() IS 'Forgets what a listing showed when it comes to stand for another item.';
CREATE FUNCTION storesync.sku_changed() RETURNS trigger AS 'MODULE_PATHNAME', 'sku_changed' LANGUAGE C;
COMMENT ON FUNCTION storesync.sku_changed() IS 'One outbox row of kind stock for each SKU whose safety_stock, allow_backorder or solo_below changed; its bundles follow it.';
CREATE FUNCTION storesync.location_changed() RETURNS trigger AS 'MODULE_PATHNAME', 'location_changed' LANGUAGE C;
COMMENT ON FUNCTION storesync.location_changed() IS 'An outbox row of kind platform when sellable changed: every listing is computed again.';
CREATE FUNCTION storesync.store_changed() RETURNS trigger AS 'MODULE_PATHNAME', 'store_changed' LANGUAGE C;
COMMENT ON FUNCTION storesync.store_changed() IS 'One outbox row of kind store for each store that changed, and one of kind stock for each SKU whose last units may be shown by another listing now.';
CREATE FUNCTION storesync.platform_changed() RETURNS trigger AS 'MODULE_PATHNAME', 'platform_changed' LANGUAGE C;
COMMENT ON FUNCTION storesync.platform_changed() IS 'An outbox row of kind platform when a platform changed.';

CREATE TRIGGER listing_revise BEFORE UPDATE ON storesync.listing
	FOR EACH ROW EXECUTE FUNCTION storesync.listing_revise();
CREATE TRIGGER listing_changed AFTER UPDATE ON storesync.listing
	REFERENCING OLD TABLE AS before NEW TABLE AS after
	FOR EACH STATEMENT EXECUTE FUNCTION storesync.listing_changed();
CREATE CONSTRAINT TRIGGER listing_renamed AFTER UPDATE OF store_id, item_id, model_id ON storesync.listing
	DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
	WHEN ((OLD.store_id, OLD.item_id, OLD.model_id) IS DISTINCT FROM (NEW.store_id, NEW.item_id, NEW.model_id))
	EXECUTE FUNCTION storesync.listing_renamed();
CREATE TRIGGER sku_changed AFTER UPDATE ON storesync.sku
	REFERENCING OLD TABLE AS before NEW TABLE AS after
	FOR EACH STATEMENT EXECUTE FUNCTION storesync.sku_changed();
CREATE TRIGGER location_changed AFTER UPDATE ON storesync.location
	REFERENCING OLD TABLE AS before NEW TABLE AS after
	FOR EACH STATEMENT EXECUTE FUNCTION storesync.location_changed();
CREATE TRIGGER store_changed AFTER UPDATE ON storesync.store
	REFERENCING OLD TABLE AS before NEW TABLE AS after
	FOR EACH STATEMENT EXECUTE FUNCTION storesync.store_changed();
CREATE TRIGGER platform_changed AFTER UPDATE ON storesync.platform
	REFERENCING OLD TABLE AS before NEW TABLE AS after
	FOR EACH STATEMENT EXECUTE FUNCTION storesync.platform_changed();
-- Catalogue: platforms, stores, SKUs, listings, their credentials, and the audit of every change.

-- ---------------------------------------------------------------- checks

CREATE FUNCTION storesync.check_text(what text, value text) RETURNS void
	LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF value IS NULL OR value = '' OR octet_length(value) > 200 OR value ~ '[[:cntrl:]]' THEN
		RAISE EXCEPTION '% is empty, too long or holds control characters', what
			USING ERRCODE = '22023', DETAIL = '1 to 200 bytes of printable text are allowed.';
	END IF;
END
$$;
COMMENT ON FUNCTION storesync.check_text(text, text) IS
'Raises 22023 unless value has 1 to 200 bytes and no control characters; what names it in the message.';

CREATE FUNCTION storesync.is_loopback(url text) RETURNS boolean
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN url ~ '^https?://(127(\.(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])){3}|localhost|\[::1\])(:[0-9]{1,5})?(/[A-Za-z0-9_]+)*$';
COMMENT ON FUNCTION storesync.is_loopback(text) IS
'Whether a base URL names this machine: 127.0.0.0/8, localhost or [::1]. Example: SELECT storesync.is_loopback(''http://127.0.0.1:8080''); -- true';

CREATE FUNCTION storesync.platform_check() RETURNS trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NEW.base_url !~ '^https?://([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[A-Za-z0-9_]+)*$'
		OR octet_length(NEW.base_url) > 200
		OR substring(NEW.base_url FROM ':([0-9]+)(?:/.*)?$')::int NOT BETWEEN 1 AND 65535 THEN
		RAISE EXCEPTION 'base URL of platform "%" is not valid', NEW.platform
			USING ERRCODE = 'SS404', DETAIL = 'It is made of https://, a host, perhaps a port and directories; no user, query or slash at its end.';
	END IF;
	IF NEW.base_url LIKE 'http:%' AND NOT storesync.is_loopback(NEW.base_url) THEN
		RAISE EXCEPTION 'base URL of platform "%" needs https', NEW.platform
			USING ERRCODE = 'SS404', DETAIL = 'Plain http is for loopback addresses: 127.0.0.0/8, localhost, [::1].';
	END IF;
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION storesync.platform_check() IS
'Row trigger of storesync.platform: refuses an unsafe base_url with SS404.';
CREATE TRIGGER platform_check BEFORE INSERT OR UPDATE ON storesync.platform
	FOR EACH ROW EXECUTE FUNCTION storesync.platform_check();

-- CREATE EXTENSION brings rows that a dump brings too, perhaps changed by an operator: an inserted
-- row takes the place of the one that is there. (It deletes, where an UPDATE would call triggers
-- that write other tables, which a dump in mid-restore must not meet.) Once the application has
-- secrets the database is at work, and a row that is there already is an error as everywhere.
CREATE FUNCTION storesync.platform_replace() RETURNS trigger
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	DELETE FROM storesync.platform p
	WHERE p.platform = NEW.platform
		AND NOT EXISTS (SELECT FROM storesync.app_credential c WHERE c.platform = p.platform);
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION storesync.platform_replace() IS
'Row trigger of storesync.platform: an inserted row replaces the one of the same name while its application has no credentials, so that a restored dump meets the row that CREATE EXTENSION made.';
CREATE TRIGGER platform_replace BEFORE INSERT ON storesync.platform
	FOR EACH ROW EXECUTE FUNCTION storesync.platform_replace();

INSERT INTO storesync.platform (platform, base_url, max_quantity)
VALUES ('shopee', 'https://partner.shopeemobile.com', 999999);
-- what these two do with a cancelled order's units no source says, and when it was cancelled they do not say
INSERT INTO storesync.platform (platform, base_url, max_quantity, returns_on_cancel, quota_scope, unpaid_hold)
VALUES ('ruten', 'https://partner.ruten.com.tw', 1200, NULL, 'store', '3 days');
INSERT INTO storesync.platform (platform, base_url, max_quantity, returns_on_cancel, quota_scope)
VALUES ('pchome', 'https://ecvdr.pchome.com.tw/vdr', 1200, NULL, 'store');

-- NULL, '' and '0' are three spellings of an item without models.
CREATE FUNCTION storesync.listing_normalise() RETURNS trigger
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	NEW.model_id := CASE WHEN NEW.model_id IS NULL OR NEW.model_id = '0' THEN '' ELSE NEW.model_id END;
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION storesync.listing_normalise() IS
'Row trigger of storesync.listing: a model_id of NULL or ''0'' is stored as ''''.';
CREATE TRIGGER listing_normalise BEFORE INSERT OR UPDATE OF model_id ON storesync.listing
	FOR EACH ROW EXECUTE FUNCTION storesync.listing_normalise();

-- ---------------------------------------------------------------- references
--
-- What foreign keys would do. Whoever makes a reference has locked the row it points to (FOR KEY
-- SHARE), so that a removal waits for him and then finds the reference.

CREATE FUNCTION storesync.refuse_orphans() RETURNS trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	is_used boolean;
BEGIN
	CASE TG_TABLE_NAME
		WHEN 'platform' THEN
			is_used := EXISTS (SELECT FROM storesync.store s WHERE s.platform = OLD.platform);
		WHEN 'store' THEN
			is_used := EXISTS (SELECT FROM storesync.listing l WHERE l.store_id = OLD.store_id)
				OR EXISTS (SELECT FROM storesync.sales_order o WHERE o.store_id = OLD.store_id)
				OR EXISTS (SELECT FROM storesync.store_location z WHERE z.store_id = OLD.store_id)
				OR EXISTS (SELECT FROM storesync.selling_stop z WHERE z.store_id = OLD.store_id);
		WHEN 'sku' THEN
			is_used := EXISTS (SELECT FROM storesync.listing l WHERE l.sku_id = OLD.sku_id)
				OR EXISTS (SELECT FROM storesync.stock_lock k WHERE k.sku_id = OLD.sku_id)
				OR EXISTS (SELECT FROM storesync.component c WHERE c.bundle_id = OLD.sku_id)
				OR EXISTS (SELECT FROM storesync.component c WHERE c.sku_id = OLD.sku_id)
				OR EXISTS (SELECT FROM storesync.selling_stop z WHERE z.sku_id = OLD.sku_id);
		WHEN 'location' THEN
			is_used := EXISTS (SELECT FROM storesync.stock_lock k WHERE k.location_id = OLD.location_id)
				OR EXISTS (SELECT FROM storesync.store_location z WHERE z.location_id = OLD.location_id);
	END CASE;
	IF is_used THEN
		RAISE EXCEPTION '% is still referred to', TG_TABLE_NAME USING ERRCODE = '23503',
			DETAIL = format('Rows refer to %s.', to_jsonb(OLD) -> TG_ARGV[0]);
	END IF;
	RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END
$$;
COMMENT ON FUNCTION storesync.refuse_orphans() IS
'Row trigger: refuses with 23503 to delete a platform, store, SKU or location that rows refer to, or to change its key. Argument: the key.';
CREATE TRIGGER refuse_orphans BEFORE DELETE OR UPDATE OF platform ON storesync.platform
	-- but not what platform_replace() does
	FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION storesync.refuse_orphans('platform');
CREATE TRIGGER refuse_orphans BEFORE DELETE OR UPDATE OF store_id ON storesync.store
	FOR EACH ROW EXECUTE FUNCTION storesync.refuse_orphans('store_id');
CREATE TRIGGER refuse_orphans BEFORE DELETE OR UPDATE OF sku_id ON storesync.sku
	FOR EACH ROW EXECUTE FUNCTION storesync.refuse_orphans('sku_id');
CREATE TRIGGER refuse_orphans BEFORE DELETE OR UPDATE OF location_id ON storesync.location
	FOR EACH ROW EXECUTE FUNCTION storesync.refuse_orphans('location_id');

CREATE FUNCTION storesync.listing_moved() RETURNS trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM FROM storesync.store s WHERE s.store_id = NEW.store_id FOR KEY SHARE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'store % does not exist', coalesce(NEW.store_id::text, 'null') USING ERRCODE = 'SS002';
	END IF;
	PERFORM FROM storesync.sku k WHERE k.sku_id = NEW.sku_id FOR KEY SHARE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'SKU % does not exist', coalesce(NEW.sku_id::text, 'null') USING ERRCODE = 'SS001';
	END IF;
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION storesync.listing_moved() IS
'Row trigger of storesync.listing: a changed mapping must point to an existing store and SKU (SS002, SS001).';
CREATE TRIGGER listing_moved BEFORE UPDATE OF store_id, sku_id ON storesync.listing
	FOR EACH ROW EXECUTE FUNCTION storesync.listing_moved();

-- What is kept of a listing or a store goes with it; what was written as history stays. (Its offers:
-- storesync.offer_renamed().)
CREATE FUNCTION storesync.listing_gone() RETURNS trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	DELETE FROM storesync.listing_shown w WHERE w.listing_id = OLD.listing_id;
	DELETE FROM storesync.listing_reserved w WHERE w.listing_id = OLD.listing_id;
	DELETE FROM storesync.allotment a WHERE a.listing_id = OLD.listing_id;
	DELETE FROM storesync.breaker_listing b WHERE b.listing_id = OLD.listing_id;
	-- what was set aside for it is the others' now
	PERFORM storesync.outbox_add('stock', ARRAY[OLD.sku_id]);
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION storesync.listing_gone() IS
'Row trigger of storesync.listing: what is kept of a deleted listing goes with it, and the others of its SKU are compared.';
CREATE TRIGGER listing_gone AFTER DELETE ON storesync.listing
	FOR EACH ROW EXECUTE FUNCTION storesync.listing_gone();

CREATE FUNCTION storesync.store_gone() RETURNS trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	DELETE FROM storesync.listing_seen s WHERE s.store_id = OLD.store_id;
	DELETE FROM storesync.listing_walk w WHERE w.store_id = OLD.store_id;
	DELETE FROM storesync.order_cursor c WHERE c.store_id = OLD.store_id;
	DELETE FROM storesync.order_look k WHERE k.store_id = OLD.store_id;
	DELETE FROM storesync.breaker b WHERE b.store_id = OLD.store_id;
	DELETE FROM storesync.peak_window w WHERE w.store_id = OLD.store_id;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION storesync.store_gone() IS
'Row trigger of storesync.store: what is kept of a deleted store goes with it.';
CREATE TRIGGER store_gone AFTER DELETE ON storesync.store
	FOR EACH ROW EXECUTE FUNCTION storesync.store_gone();

CREATE FUNCTION storesync.store_hold() RETURNS trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM storesync.hold_unpaid(NEW.store_id);
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION storesync.store_hold() IS
'Row trigger of storesync.store: a changed unpaid_hold holds for the orders that are unpaid already.';
CREATE TRIGGER store_hold AFTER UPDATE OF unpaid_hold ON storesync.store
	FOR EACH ROW WHEN (NEW.unpaid_hold IS DISTINCT FROM OLD.unpaid_hold) EXECUTE FUNCTION storesync.store_hold();

-- Not for INSERT: a restore would fire it.
CREATE FUNCTION storesync.listing_mapped() RETURNS trigger AS 'MODULE_PATHNAME', 'listing_mapped' LANGUAGE C;
COMMENT ON FUNCTION storesync.listing_mapped() IS
'Statement trigger of storesync.listing: parked order lines of a changed mapping are booked.';
CREATE TRIGGER listing_mapped AFTER UPDATE ON storesync.listing
	REFERENCING OLD TABLE AS before NEW TABLE AS after
	FOR EACH STATEMENT EXECUTE FUNCTION storesync.listing_mapped();

-- ---------------------------------------------------------------- audit

CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON storesync.audit
	FOR EACH STATEMENT EXECUTE FUNCTION storesync.refuse_change();

CREATE FUNCTION storesync.audit_change() RETURNS trigger AS 'MODULE_PATHNAME', 'audit_change' LANGUAGE C;
COMMENT ON FUNCTION storesync.audit_change() IS
'Statement trigger: one audit row for each row that an UPDATE changed (its changed columns before and after; none where only columns that follow from others changed) or a DELETE removed. Argument: the column that names a row.';
CREATE TRIGGER audit_update AFTER UPDATE ON storesync.platform
	REFERENCING OLD TABLE AS before NEW TABLE AS after
	FOR EACH STATEMENT EXECUTE FUNCTION storesync.audit_change('platform');
CREATE TRIGGER audit_update AFTER UPDATE ON storesync.store
	REFERENCING OLD TABLE AS before NEW TABLE AS after
	FOR EACH STATEMENT EXECUTE FUNCTION storesync.audit_change('store_id');
CREATE TRIGGER audit_delete AFTER DELETE ON storesync.store
	REFERENCING OLD TABLE AS before
	FOR EACH STATEMENT EXECUTE FUNCTION storesync.audit_change('store_id');
CREATE TRIGGER audit_update AFTER UPDATE ON storesync.location
	REFERENCING OLD TABLE AS before NEW TABLE AS after
	FOR EACH STATEMENT EXECUTE FUNCTION storesync.audit_change('location_id');
CREATE TRIGGER audit_update AFTER UPDATE ON storesync.sku
	REFERENCING OLD TABLE AS before NEW TABLE AS after
	FOR EACH STATEMENT EXECUTE FUNCTION storesync.audit_change('sku_id');
CREATE TRIGGER audit_delete AFTER DELETE ON storesync.sku
	REFERENCING OLD TABLE AS before
	FOR EACH STATEMENT EXECUTE FUNCTION storesync.audit_change('sku_id');
CREATE TRIGGER audit_update AFTER UPDATE ON storesync.listing
	REFERENCING OLD TABLE AS before NEW TABLE AS after
	FOR EACH STATEMENT EXECUTE FUNCTION storesync.audit_change('listing_id');
CREATE TRIGGER audit_delete AFTER DELETE ON storesync.listing
	REFERENCING OLD TABLE AS before
	FOR EACH STATEMENT EXECUTE FUNCTION storesync.audit_change('listing_id');

-- ---------------------------------------------------------------- additions

CREATE FUNCTION storesync.add_store(platform text, shop_id text, name text,
	rate_limit storesync.rate_limit DEFAULT '5/s') RETURNS int
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	loopback boolean;
	hold interval;
	made int;
BEGIN
	PERFORM storesync.check_text('shop id', $2);
	PERFORM storesync.check_text('store name', $3);
	IF $4 IS NULL THEN
		RAISE EXCEPTION 'rate limit of a store must not be null' USING ERRCODE = '22004';
	END IF;
	SELECT storesync.is_loopback(p.base_url), p.unpaid_hold INTO loopback, hold
	FROM storesync.platform p WHERE p.platform = $1 FOR KEY SHARE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'platform "%" does not exist', $1 USING ERRCODE = 'SS005';
	END IF;
	INSERT INTO storesync.store (platform, shop_id, name, mode, rate_limit, unpaid_hold)
	VALUES ($1, $2, $3, CASE WHEN loopback THEN 'live' ELSE 'shadow' END, $4, hold)
	ON CONFLICT DO NOTHING RETURNING store_id INTO made;
	IF made IS NULL THEN
		RAISE EXCEPTION 'shop "%" of platform "%" is a store already', $2, $1 USING ERRCODE = '23505';
	END IF;
	INSERT INTO storesync.audit (action, subject, after)
	SELECT 'add', concat('store ', made), to_jsonb(s) FROM storesync.store s WHERE s.store_id = made;
	PERFORM storesync.outbox_add('store', ARRAY[made::bigint]);
	RETURN made;
END
$$;
COMMENT ON FUNCTION storesync.add_store(text, text, text, storesync.rate_limit) IS
'Adds a shop of a platform and returns its store_id. It starts in mode live where the platform''s base_url is a loopback address, otherwise in shadow: orders are booked, nothing is sent. unpaid_hold is the platform''s. Errors: SS005 unknown platform, 23505 the shop is there already, 22023 empty or overlong text, 22004 no limit. Example: SELECT storesync.add_store(''shopee'', ''220001'', ''Main shop'', ''5/s burst 10'');';

CREATE FUNCTION storesync.add_sku(code text, name text DEFAULT NULL, safety_stock bigint DEFAULT 0,
	allow_backorder boolean DEFAULT false) RETURNS bigint
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	made bigint;
BEGIN
	PERFORM storesync.check_text('SKU code', $1);
	IF $3 IS NULL OR $3 NOT BETWEEN 0 AND 1000000000000 THEN
		RAISE EXCEPTION 'safety stock % is out of range', coalesce($3::text, 'null') USING ERRCODE = 'SS201';
	END IF;
	IF NOT EXISTS (SELECT FROM storesync.location p WHERE p.code = 'main') THEN
		INSERT INTO storesync.location (code) VALUES ('main') ON CONFLICT DO NOTHING;
	END IF;
	INSERT INTO storesync.sku (code, name, safety_stock, allow_backorder)
	VALUES ($1, $2, $3, coalesce($4, false))
	ON CONFLICT DO NOTHING RETURNING sku_id INTO made;
	IF made IS NULL THEN
		RAISE EXCEPTION 'SKU "%" exists already', $1 USING ERRCODE = '23505';
	END IF;
	INSERT INTO storesync.audit (action, subject, after)
	SELECT 'add', concat('sku ', made), to_jsonb(k) FROM storesync.sku k WHERE k.sku_id = made;
	PERFORM storesync.take_up_sku($1);
	RETURN made;
END
$$;
COMMENT ON FUNCTION storesync.add_sku(text, text, bigint, boolean) IS
'Adds a SKU and returns its sku_id; makes the location ''main'' when it is the first. safety_stock: units never shown on any listing. allow_backorder: may be reserved below zero. Parked order lines that name it are booked. Errors: 23505 the code exists, SS201 safety stock out of range, 22023 empty or overlong code. Example: SELECT storesync.add_sku(''TEA-100'', ''Oolong tea 100 g'', 2);';

CREATE FUNCTION storesync.add_location(code text, name text DEFAULT NULL, sellable boolean DEFAULT true) RETURNS int
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	made int;
BEGIN
	PERFORM storesync.check_text('location code', $1);
	INSERT INTO storesync.location (code, name, sellable) VALUES ($1, $2, coalesce($3, true))
	ON CONFLICT DO NOTHING RETURNING location_id INTO made;
	IF made IS NULL THEN
		RAISE EXCEPTION 'location "%" exists already', $1 USING ERRCODE = '23505';
	END IF;
	INSERT INTO storesync.audit (action, subject, after)
	SELECT 'add', concat('location ', made), to_jsonb(p) FROM storesync.location p WHERE p.location_id = made;
	RETURN made;
END
$$;
COMMENT ON FUNCTION storesync.add_location(text, text, boolean) IS
'Adds a place that holds stock and returns its location_id; only sellable places count in what listings show. Errors: 23505 the code exists, 22023 empty or overlong code. Example: SELECT storesync.add_location(''returns'', ''Returns shelf'', false);';

CREATE FUNCTION storesync.add_listing(store int, sku text, item_id text, model_id text DEFAULT NULL,
	pack int DEFAULT 1) RETURNS bigint
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	kept bigint;
	made bigint;
BEGIN
	PERFORM storesync.check_text('item id', $3);
	IF $4 <> '' THEN
		PERFORM storesync.check_text('model id', $4);
	END IF;
	IF $5 IS NULL OR $5 < 1 THEN
		RAISE EXCEPTION 'pack % is out of range', coalesce($5::text, 'null') USING ERRCODE = 'SS201';
	END IF;
	PERFORM FROM storesync.store s WHERE s.store_id = $1 FOR KEY SHARE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'store % does not exist', coalesce($1::text, 'null') USING ERRCODE = 'SS002';
	END IF;
	SELECT k.sku_id INTO kept FROM storesync.sku k WHERE k.code = $2 FOR KEY SHARE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'SKU "%" does not exist', coalesce($2, 'null') USING ERRCODE = 'SS001';
	END IF;
	INSERT INTO storesync.listing (store_id, sku_id, item_id, model_id, pack)
	VALUES ($1, kept, $3, $4, $5)
	ON CONFLICT DO NOTHING RETURNING listing_id INTO made;
	IF made IS NULL THEN
		RAISE EXCEPTION 'item "%", model "%" of store % is a listing already', $3, coalesce($4, ''), $1
			USING ERRCODE = '23505';
	END IF;
	INSERT INTO storesync.audit (action, subject, after)
	SELECT 'add', concat('listing ', made), to_jsonb(l) FROM storesync.listing l WHERE l.listing_id = made;
	PERFORM storesync.outbox_add('listing', ARRAY[made]);
	PERFORM storesync.tell_siblings(ARRAY[made]);
	PERFORM storesync.take_up_listings(ARRAY[made]);
	RETURN made;
END
$$;
COMMENT ON FUNCTION storesync.add_listing(int, text, text, text, int) IS
'Says that an item (and model) of a store sells a SKU; returns the listing_id. model_id NULL, '''' and ''0'' all mean an item without models. pack: units of the SKU that one sold unit takes. Policy is on the columns of storesync.listing. Parked order lines of the item are booked. Errors: SS002 unknown store, SS001 unknown SKU, 23505 the item and model are listed already, SS201 pack below 1, 22023 empty or overlong id. Example: SELECT storesync.add_listing(1, ''TEA-100'', ''80012345'', ''9001'', pack => 2);';

-- ---------------------------------------------------------------- places of a store

CREATE FUNCTION storesync.set_store_locations(store int, locations text[]) RETURNS void
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	unknown text;
	old_codes text[];
	new_codes text[];
BEGIN
	IF $2 IS NULL OR array_position($2, NULL) IS NOT NULL THEN
		RAISE EXCEPTION 'locations of a store must not be null' USING ERRCODE = '22004',
			HINT = 'An empty array lets the store sell from every location that is sellable.';
	END IF;
	PERFORM FROM storesync.store s WHERE s.store_id = $1 FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'store % does not exist', coalesce($1::text, 'null') USING ERRCODE = 'SS002';
	END IF;
	PERFORM FROM storesync.location p WHERE p.code = ANY ($2) ORDER BY p.location_id FOR KEY SHARE;
	SELECT u.code INTO unknown FROM unnest($2) u (code)
	WHERE NOT EXISTS (SELECT FROM storesync.location p WHERE p.code = u.code) LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'location "%" does not exist', unknown USING ERRCODE = 'SS003';
	END IF;
	SELECT coalesce(array_agg(DISTINCT u.code), '{}') INTO new_codes FROM unnest($2) u (code);
	IF cardinality(new_codes) < cardinality($2) THEN
		RAISE EXCEPTION 'a location of store % is named twice', $1 USING ERRCODE = '22023';
	END IF;
	SELECT coalesce(array_agg(p.code ORDER BY p.code), '{}') INTO old_codes
	FROM storesync.store_location z JOIN storesync.location p ON p.location_id = z.location_id WHERE z.store_id = $1;
	IF old_codes = new_codes THEN
		RETURN;
	END IF;
	DELETE FROM storesync.store_location z WHERE z.store_id = $1;
	INSERT INTO storesync.store_location (store_id, location_id)
	SELECT $1, p.location_id FROM storesync.location p WHERE p.code = ANY (new_codes);
	INSERT INTO storesync.audit (action, subject, before, after)
	VALUES ('set locations', concat('store ', $1), to_jsonb(old_codes), to_jsonb(new_codes));
	UPDATE storesync.listing l SET revision = l.revision + 1 WHERE l.store_id = $1;
	PERFORM storesync.outbox_add('store', ARRAY[$1::bigint]);
	PERFORM storesync.tell_siblings(ARRAY(SELECT l.listing_id FROM storesync.listing l WHERE l.store_id = $1));
END
$$;
COMMENT ON FUNCTION storesync.set_store_locations(int, text[]) IS
'Says from which places a store sells: those named that are sellable, or every sellable one with an empty array. Its listings count only what lies there, and its order lines are booked only there; what they hold elsewhere they keep. Errors: SS002 unknown store, SS003 unknown location, 22023 a location named twice, 22004 null. Example: SELECT storesync.set_store_locations(1, ARRAY[''main'', ''north'']);';

-- ---------------------------------------------------------------- switches

CREATE FUNCTION storesync.set_paused(store int, paused boolean) RETURNS void
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	UPDATE storesync.store s SET paused = $2 WHERE s.store_id = $1;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'store % does not exist', coalesce($1::text, 'null') USING ERRCODE = 'SS002';
	END IF;
END
$$;
COMMENT ON FUNCTION storesync.set_paused(int, boolean) IS 'What pause() and resume() do.';

CREATE FUNCTION storesync.pause(store int) RETURNS void
	LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT storesync.set_paused($1, true) $$;
COMMENT ON FUNCTION storesync.pause(int) IS
'Stops writes to a store; its orders are fetched and booked as before. Error SS002 for an unknown store. Example: SELECT storesync.pause(1);';

CREATE FUNCTION storesync.resume(store int) RETURNS void
	LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT storesync.set_paused($1, false) $$;
COMMENT ON FUNCTION storesync.resume(int) IS
'Lets writes to a paused store go out again. Error SS002 for an unknown store. Example: SELECT storesync.resume(1);';

-- What a stop with this store and this SKU (NULL: any) covers.
CREATE FUNCTION storesync.revise_stopped(store int, sku bigint, ends boolean) RETURNS int
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	covered bigint[];
BEGIN
	WITH revised AS (
		UPDATE storesync.listing l SET revision = l.revision + 1, freed = CASE WHEN $3 THEN l.revision + 1 ELSE l.freed END
		WHERE ($1 IS NULL OR l.store_id = $1)
			AND ($2 IS NULL OR l.sku_id = $2 OR l.sku_id IN (
				SELECT c.bundle_id FROM storesync.component c WHERE c.sku_id = $2 AND c.qty > 0))
		RETURNING l.listing_id)
	SELECT coalesce(array_agg(r.listing_id ORDER BY r.listing_id), '{}') INTO covered FROM revised r;
	IF $1 IS NULL AND $2 IS NULL THEN
		PERFORM storesync.outbox_add('platform', ARRAY[0]);
	ELSE
		IF $2 IS NULL THEN
			PERFORM storesync.outbox_add('store', ARRAY[$1::bigint]);
		ELSE
			PERFORM storesync.outbox_add('listing', covered);
		END IF;
		PERFORM storesync.tell_siblings(covered);
	END IF;
	RETURN cardinality(covered);
END
$$;
COMMENT ON FUNCTION storesync.revise_stopped(int, bigint, boolean) IS
'What stop_selling() and start_selling() do to the listings of a store and a SKU (NULL: any; bundles of the SKU with it): a new version and an outbox row; ends: the mass-change breaker is told that a stop has ended. Returns how many there are.';

CREATE FUNCTION storesync.resolve_stop(store int, sku text) RETURNS bigint
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	found_sku bigint;
BEGIN
	IF $1 IS NOT NULL THEN
		PERFORM FROM storesync.store s WHERE s.store_id = $1 FOR KEY SHARE;
		IF NOT FOUND THEN
			RAISE EXCEPTION 'store % does not exist', $1 USING ERRCODE = 'SS002';
		END IF;
	END IF;
	IF $2 IS NOT NULL THEN
		SELECT k.sku_id INTO found_sku FROM storesync.sku k WHERE k.code = $2 FOR KEY SHARE;
		IF NOT FOUND THEN
			RAISE EXCEPTION 'SKU "%" does not exist', $2 USING ERRCODE = 'SS001';
		END IF;
	END IF;
	RETURN found_sku;
END
$$;
COMMENT ON FUNCTION storesync.resolve_stop(int, text) IS
'The sku_id of a code, NULL for NULL; errors SS002 and SS001 when there is no such store or SKU.';

CREATE FUNCTION storesync.stop_selling(store int DEFAULT NULL, sku text DEFAULT NULL, reason text DEFAULT NULL) RETURNS int
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	stopped_sku bigint := storesync.resolve_stop($1, $2);
	why text := coalesce($3, 'stopped');
BEGIN
	PERFORM storesync.check_text('reason', why);
	INSERT INTO storesync.selling_stop (store_id, sku_id, reason) VALUES ($1, stopped_sku, why) ON CONFLICT DO NOTHING;
	IF NOT FOUND THEN
		RETURN 0;
	END IF;
	INSERT INTO storesync.audit (action, subject, after)
	VALUES ('stop selling', CASE WHEN $1 IS NOT NULL THEN concat('store ', $1) WHEN $2 IS NOT NULL THEN concat('sku ', stopped_sku)
			ELSE 'everything' END,
		jsonb_strip_nulls(jsonb_build_object('store', $1, 'sku', $2, 'reason', why)));
	RETURN storesync.revise_stopped($1, stopped_sku, false);
END
$$;
COMMENT ON FUNCTION storesync.stop_selling(int, text, text) IS
'Sends 0 for all listings of a store, of a SKU (and of bundles with it), of a SKU in a store, or with neither of everything, before any other write, and holds them there until start_selling(); listings added meanwhile too. Nothing else is touched: orders are booked as before. Where a store is paused or not live, 0 goes out when it is again (lower_only sends it). Returns how many listings it concerns; a stop that is in force already changes nothing and returns 0. Errors: SS002 unknown store, SS001 unknown SKU, 22023 empty or overlong reason. Example: SELECT storesync.stop_selling(sku => ''TEA-100'', reason => ''recalled'');';

CREATE FUNCTION storesync.start_selling(store int DEFAULT NULL, sku text DEFAULT NULL) RETURNS int
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	stopped_sku bigint := storesync.resolve_stop($1, $2);
	ended jsonb;
BEGIN
	WITH gone AS (
		DELETE FROM storesync.selling_stop z
		WHERE ($1 IS NULL OR z.store_id = $1) AND (stopped_sku IS NULL OR z.sku_id = stopped_sku)
		RETURNING z.store_id, z.sku_id, z.reason, z.since, z.login)
	SELECT jsonb_agg(jsonb_strip_nulls(to_jsonb(g)) ORDER BY g.since) INTO ended FROM gone g;
	IF ended IS NULL THEN
		RETURN 0;
	END IF;
	INSERT INTO storesync.audit (action, subject, before)
	VALUES ('start selling', CASE WHEN $1 IS NOT NULL THEN concat('store ', $1) WHEN $2 IS NOT NULL THEN concat('sku ', stopped_sku)
			ELSE 'everything' END, ended);
	RETURN storesync.revise_stopped($1, stopped_sku, true);
END
$$;
COMMENT ON FUNCTION storesync.start_selling(int, text) IS
'Ends the stops of stop_selling() that lie within the store and the SKU given (NULL: any): start_selling() ends all, start_selling(1) those of store 1 and of SKUs in it, not one of everything. What is held for another reason (listing.held) stays held. Returns how many listings are compared again, 0 when no stop ended. Errors: SS002 unknown store, SS001 unknown SKU. Example: SELECT storesync.start_selling(sku => ''TEA-100'');';

-- ---------------------------------------------------------------- credentials

CREATE FUNCTION storesync.set_credential(store int, name text, value text) RETURNS void
	AS 'MODULE_PATHNAME', 'set_credential' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.set_credential(int, text, text) IS
'Sets a secret of a store: access_token, refresh_token, auth_code (Shopee; for the last see authorize_store()); api_key, secret_key, salt_key, callback_url (Ruten). Pass the value as a bind parameter, or as file:NAME for a file under storesync.secret_directory; a literal would be in the log that log_statement writes. Errors: SS403 unknown name, unreadable file, value that is empty, over 8 KiB or not printable ASCII; SS002 unknown store; 22004 null. Example: SELECT storesync.set_credential(1, ''access_token'', ''file:shop1.token'');';

CREATE FUNCTION storesync.set_app_credential(platform text, name text, value text) RETURNS void
	AS 'MODULE_PATHNAME', 'set_app_credential' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.set_app_credential(text, text, text) IS
'Sets a secret of the application at a platform: partner_id, partner_key, callback_url (Shopee). Value and errors as in set_credential(), SS005 for an unknown platform. Example: SELECT storesync.set_app_credential(''shopee'', ''partner_key'', ''file:shopee.key'');';
-- Bundles: SKUs made of other SKUs (docs/bundle.md). storesync.component has what they are made of.

-- Two changes that concern one SKU take its row in turn, in the order of ids. The bundle's places
-- are locked as whoever moves its stock locks them, so that nobody is about to give it any.
CREATE FUNCTION storesync.set_bundle(sku text, components jsonb) RETURNS void
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	wanted jsonb := coalesce($2, '{}');
	made storesync.sku;
	bad text;
	old_parts jsonb;
	drawn bigint;
BEGIN
	IF jsonb_typeof(wanted) <> 'object' THEN
		RAISE EXCEPTION 'components of a bundle are no JSON object' USING ERRCODE = '22023',
			HINT = 'Example: {"MUG": 1, "T-SHIRT-M": 2}.';
	END IF;
	IF (SELECT count(*) FROM jsonb_object_keys(wanted)) > 100 THEN
		RAISE EXCEPTION 'a bundle has at most 100 components' USING ERRCODE = '22023';
	END IF;
	SELECT e.key INTO bad FROM jsonb_each_text(wanted) e
	WHERE e.value IS NULL OR e.value !~ '^[0-9]{1,7}$' OR e.value::bigint NOT BETWEEN 1 AND 1000000
	ORDER BY 1 LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'quantity of component "%" is out of range', bad USING ERRCODE = 'SS201',
			DETAIL = 'Quantities in a bundle lie between 1 and 1000000.';
	END IF;

	PERFORM FROM storesync.sku k WHERE k.code = $1 OR wanted ? k.code ORDER BY k.sku_id FOR NO KEY UPDATE;
	SELECT k.* INTO made FROM storesync.sku k WHERE k.code = $1;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'SKU "%" does not exist', coalesce($1, 'null') USING ERRCODE = 'SS001';
	END IF;
	SELECT e.key INTO bad FROM jsonb_object_keys(wanted) e (key)
	WHERE NOT EXISTS (SELECT FROM storesync.sku k WHERE k.code = e.key) ORDER BY 1 LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'SKU "%" does not exist', bad USING ERRCODE = 'SS001';
	END IF;
	SELECT coalesce(jsonb_object_agg(k.code, c.qty), '{}') INTO old_parts
	FROM storesync.component c JOIN storesync.sku k ON k.sku_id = c.sku_id
	WHERE c.bundle_id = made.sku_id AND c.qty > 0;
	IF old_parts = wanted THEN
		RETURN;
	END IF;
	IF wanted <> '{}' THEN
		PERFORM storesync.check_bundle(made, wanted);
	END IF;

	drawn := storesync.drawn_versions(made.sku_id);
	INSERT INTO storesync.component AS c (bundle_id, sku_id, qty)
	SELECT made.sku_id, k.sku_id, (wanted ->> k.code)::bigint FROM storesync.sku k WHERE wanted ? k.code
	ON CONFLICT (bundle_id, sku_id) DO UPDATE SET qty = excluded.qty;
	UPDATE storesync.component c SET qty = 0
	FROM storesync.sku k
	WHERE c.bundle_id = made.sku_id AND k.sku_id = c.sku_id AND c.qty > 0 AND NOT wanted ? k.code;
	UPDATE storesync.sku k SET bundle = wanted <> '{}' WHERE k.sku_id = made.sku_id AND k.bundle <> (wanted <> '{}');
	INSERT INTO storesync.audit (action, subject, before, after)
	VALUES ('set bundle', concat('sku ', made.sku_id), old_parts, wanted);
	-- a listing of what is no bundle any more loses the versions of the components' stock
	UPDATE storesync.listing l SET revision = l.revision + 1 + CASE WHEN wanted = '{}' THEN drawn ELSE 0 END
	WHERE l.sku_id = made.sku_id;
	PERFORM storesync.outbox_add('stock', ARRAY[made.sku_id]);
END
$$;
COMMENT ON FUNCTION storesync.set_bundle(text, jsonb) IS
'Makes a SKU a bundle of others: components maps their codes to units in one bundle (1 to 1000000 each, at most 100 of them); NULL or {} makes it a plain SKU again. Its stock is that of its components: available() and listings count whole bundles, order lines book the components, movements of the bundle itself are refused (SS204). Lines keep the composition that they were booked with. Errors: SS001 unknown SKU, SS201 quantity out of range, SS205 the SKU is or was a component, has or had stock of its own or allows backorder, or a component is a bundle, 22023 no object or too many. Example: SELECT storesync.set_bundle(''GIFT-SET'', ''{"MUG": 1, "T-SHIRT-M": 2}'');';

CREATE FUNCTION storesync.check_bundle(made storesync.sku, wanted jsonb) RETURNS void
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	bad text;
	why text;
BEGIN
	-- a place to lock, so that a first movement of the SKU waits for us and then finds a bundle
	INSERT INTO storesync.stock_lock (sku_id, location_id)
	SELECT ($1).sku_id, p.location_id FROM storesync.location p
	WHERE NOT ($1).bundle
	ORDER BY p.location_id ON CONFLICT DO NOTHING;
	PERFORM FROM storesync.stock_lock k WHERE k.sku_id = ($1).sku_id ORDER BY k.location_id FOR UPDATE;
	SELECT k.code INTO bad FROM storesync.sku k WHERE $2 ? k.code AND k.bundle ORDER BY 1 LIMIT 1;
	why := CASE
		WHEN $2 ? ($1).code THEN 'It cannot be a component of itself.'
		WHEN bad IS NOT NULL THEN format('Component "%s" is a bundle.', bad)
		WHEN ($1).allow_backorder THEN 'It allows backorder; a bundle is on backorder when its components are.'
		WHEN EXISTS (SELECT FROM storesync.component c WHERE c.sku_id = ($1).sku_id)
			THEN 'It is, or was, a component of another bundle.'
		WHEN EXISTS (SELECT FROM storesync.ledger g WHERE g.sku_id = ($1).sku_id)
			THEN 'It has, or had, stock of its own.' END;
	IF why IS NOT NULL THEN
		RAISE EXCEPTION 'SKU "%" cannot be a bundle of these components', ($1).code
			USING ERRCODE = 'SS205', DETAIL = why;
	END IF;
	DELETE FROM storesync.stock_lock k WHERE k.sku_id = ($1).sku_id;
END
$$;
COMMENT ON FUNCTION storesync.check_bundle(storesync.sku, jsonb) IS
'What set_bundle() asks before it makes a SKU a bundle of these components: SS205 when it cannot be one. Takes away the places that the SKU has, which are empty.';
-- The guard that keeps copies of a database from calling real platforms (docs/operations.md).

CREATE FUNCTION storesync.instance_confirmed() RETURNS boolean
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT i.instance_name <> '' AND EXISTS (
		SELECT FROM (SELECT * FROM storesync.instance ORDER BY confirmed_at DESC LIMIT 1) newest
		WHERE newest.name = i.instance_name
			AND newest.system_identifier = i.system_identifier
			AND newest.database_oid = i.database_oid)
	FROM storesync.database_identity() i
$$;
COMMENT ON FUNCTION storesync.instance_confirmed() IS
'Whether the newest confirmation names this very database: storesync.instance_name, system identifier and database OID. Example: SELECT storesync.instance_confirmed();';

CREATE FUNCTION storesync.is_copy() RETURNS boolean
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT NOT coalesce((
		SELECT n.reason = 'new' AND n.system_identifier = i.system_identifier AND n.database_oid = i.database_oid
		FROM storesync.incarnation n ORDER BY n.incarnation DESC LIMIT 1), true)
	FROM storesync.database_identity() i
$$;
COMMENT ON FUNCTION storesync.is_copy() IS
'Whether this data began its life in another database: a restored dump, a template copy, an upgraded cluster. Example: SELECT storesync.is_copy();';

CREATE FUNCTION storesync.sending_allowed(platform text) RETURNS boolean
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT coalesce((
		SELECT storesync.instance_confirmed()
			OR (storesync.is_loopback(p.base_url) AND NOT storesync.is_copy())
		FROM storesync.platform p WHERE p.platform = $1), false)
$$;
COMMENT ON FUNCTION storesync.sending_allowed(text) IS
'Whether this database may call a platform: it was confirmed by confirm_instance(), or the platform''s base_url is a loopback address and the database is no copy (a proxy to the real platform may listen there). False for an unknown platform. Example: SELECT storesync.sending_allowed(''shopee'');';

CREATE FUNCTION storesync.confirm_instance(name text) RETURNS void
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	ours record;
BEGIN
	SELECT i.* INTO ours FROM storesync.database_identity() i;
	IF ours.instance_name = '' THEN
		RAISE EXCEPTION 'storesync.instance_name is not set'
			USING ERRCODE = '55000', HINT = 'Set it in a configuration file outside the data directory.';
	END IF;
	IF $1 IS DISTINCT FROM ours.instance_name THEN
		RAISE EXCEPTION 'this instance is not called "%"', coalesce($1, 'null')
			USING ERRCODE = '22023', DETAIL = format('storesync.instance_name is "%s".', ours.instance_name);
	END IF;
	PERFORM storesync.current_incarnation();
	INSERT INTO storesync.instance (name, system_identifier, database_oid)
	VALUES ($1, ours.system_identifier, ours.database_oid);
	INSERT INTO storesync.audit (action, subject, after)
	VALUES ('confirm instance', concat('instance ', $1), to_jsonb(ours));
	PERFORM storesync.outbox_add('platform', '{0}');
END
$$;
COMMENT ON FUNCTION storesync.confirm_instance(text) IS
'Lets this database call real platforms from now on. name must be what storesync.instance_name is set to, so that nobody confirms a copy by a habit. Errors: 22023 another name, 55000 no name is set, 25006 on a standby. Example: SELECT storesync.confirm_instance(''shop-main'');';
-- What people do with work that was given up (docs/dispatch.md).

CREATE FUNCTION storesync.task_settled(task bigint, how text) RETURNS void
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF storesync.missing_partitions('0') > 0 THEN
		PERFORM storesync.ensure_partitions('0');
	END IF;
	INSERT INTO storesync.task_event (task_id, state, class, attempts, detail)
	SELECT $1, 'discarded', t.last_class, coalesce(t.attempts, 0), $2
	FROM (SELECT) always LEFT JOIN storesync.task_latest($1) t ON true;
END
$$;
COMMENT ON FUNCTION storesync.task_settled(bigint, text) IS
'The last event of a task that was given up and is now settled by people; how becomes its detail.';

CREATE FUNCTION storesync.settle_compensation(compensation_id bigint, how text) RETURNS bigint
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	given_up storesync.compensation;
BEGIN
	UPDATE storesync.compensation c SET settled_at = clock_timestamp(), settled_by = $2
	WHERE c.compensation_id = $1 AND c.settled_at IS NULL
	RETURNING c.* INTO given_up;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'compensation % does not exist or is settled', coalesce($1::text, 'null')
			USING ERRCODE = 'SS007';
	END IF;
	INSERT INTO storesync.audit (action, subject, before, after)
	VALUES (split_part($2, ':', 1), concat('compensation ', $1),
		jsonb_build_object('call', given_up.call, 'class', given_up.class, 'reason', given_up.reason),
		jsonb_build_object('settled_by', $2));
	IF $2 = 'requeued' AND given_up.listing_id IS NOT NULL THEN
		PERFORM storesync.offer_revive(given_up.listing_id, given_up.call);
	END IF;
	IF given_up.task_id IS NOT NULL THEN
		PERFORM storesync.task_settled(given_up.task_id, CASE WHEN $2 <> 'requeued' THEN $2
			WHEN storesync.is_overtaken(given_up.call, given_up.payload) THEN 'discarded: overtaken, it is not wanted any more'
			ELSE concat('requeued as task ', storesync.enqueue(given_up.store_id, given_up.call, given_up.payload)) END);
	END IF;
	IF given_up.listing_id IS NOT NULL THEN
		PERFORM storesync.outbox_add('listing', ARRAY[given_up.listing_id]);
	END IF;
	RETURN given_up.listing_id;
END
$$;
COMMENT ON FUNCTION storesync.settle_compensation(bigint, text) IS
'What requeue() and discard() do: settle the row, write the audit, have the listing compared again; of a task, close it for good, and enqueue the same anew where it is requeued. Returns the listing_id. Error SS007 when the row does not exist or is settled.';

CREATE FUNCTION storesync.requeue(compensation_id bigint) RETURNS void
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM storesync.settle_compensation($1, 'requeued');
END
$$;
COMMENT ON FUNCTION storesync.requeue(bigint) IS
'Try work that was given up once more: a task is enqueued anew (task_state() of the old one names the new one), a listing is written again when it still differs, with the quantity of then. An order that could not be booked comes again with its store''s next fetch only while it is inside the overlap. Errors: SS007 when the row does not exist or is settled; of a task also those of enqueue(). Example: SELECT storesync.requeue(17);';

CREATE FUNCTION storesync.discard(compensation_id bigint, reason text) RETURNS void
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM storesync.check_text('reason', $2);
	PERFORM storesync.settle_compensation($1, concat('discarded: ', $2));
END
$$;
COMMENT ON FUNCTION storesync.discard(bigint, text) IS
'Let work that was given up rest: the listing is left as it is until something about it changes. Errors: SS007 when the row does not exist or is settled, 22023 for an empty or overlong reason. Example: SELECT storesync.discard(17, ''the item was taken down'');';
-- Mass-change breaker: when many listings of a store are to change at once for another cause than a
-- sale, people look first (docs/breaker.md). The dispatcher decides; what it has decided is in tables.

CREATE FUNCTION storesync.breaker_cause(listing bigint, version bigint, revision bigint, since timestamptz, acked bigint,
	wanted bigint, believed bigint, OUT shaped boolean, OUT sold bigint, OUT received bigint, OUT counted boolean,
	OUT released boolean, OUT freed boolean, OUT counts boolean, OUT direct boolean)
	AS 'MODULE_PATHNAME', 'breaker_cause' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION storesync.breaker_cause(bigint, bigint, bigint, timestamptz, bigint, bigint, bigint) IS
'What the dispatcher makes of a listing''s change from believed to wanted (sold units) since its shop acknowledged acked at this version, revision and moment: what breaker_moves() says, by the same names; counts, whether it counts for the mass-change breaker: a decrease that sales do not explain, where something else has moved the listing, or a raise that goods received do not explain, where it was a change of policy, a count, a transfer, or a reservation given back without the end of a stop or hold; direct, found without a statement. NULL for no such listing. Example: SELECT * FROM storesync.breaker_cause(1, 5, 1, now() - ''1 hour''::interval, 10, 0, 10);';

CREATE FUNCTION storesync.breaker_target(listings bigint[])
	RETURNS TABLE(listing_id bigint, to_send bigint, due boolean, needs_fetch_after timestamptz)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT t.listing_id, greatest(b.bound - t.unseen, 0),
		t.enabled AND NOT t.dead AND coalesce(t.at_most > b.bound, false),
		CASE WHEN b.bound > t.unseen AND t.at_most - b.bound <= t.unseen
			THEN least(greatest(statement_timestamp() - storesync.max_fetch_age(), t.written_at), statement_timestamp()) END
	FROM storesync.listing_target t
	CROSS JOIN LATERAL (
		SELECT greatest(t.acked_qty - m.sold, 0) AS bound
		FROM storesync.breaker_moves(t.listing_id, t.acked_version, t.acked_revision, t.sent_at) m
		OFFSET 0) b
	WHERE t.listing_id = ANY ($1) AND t.stopped IS NULL AND t.held IS NULL
$$;
COMMENT ON FUNCTION storesync.breaker_target(bigint[]) IS
'What may be sent of listings that the mass-change breaker holds: the quantity last acknowledged less what was sold since, less unseen sales (to_send, sold units), where the shop may show more than that (due), after orders are fetched through needs_fetch_after (NULL: at once). No row for one that is stopped or held otherwise: its 0 goes out.';

CREATE FUNCTION storesync.release_breaker(store int) RETURNS int
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
DECLARE
	opened storesync.breaker;
	kept bigint[];
BEGIN
	PERFORM FROM storesync.store s WHERE s.store_id = $1 FOR KEY SHARE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'store % does not exist', coalesce($1::text, 'null') USING ERRCODE = 'SS002';
	END IF;
	-- the dispatcher, too, before it writes either table
	LOCK TABLE storesync.breaker_listing IN SHARE ROW EXCLUSIVE MODE;
	DELETE FROM storesync.breaker b WHERE b.store_id = $1 RETURNING b.* INTO opened;
	IF NOT FOUND THEN
		RETURN 0;
	END IF;
	kept := ARRAY(SELECT b.listing_id FROM storesync.breaker_listing b WHERE b.store_id = $1 AND NOT b.passed ORDER BY b.listing_id);
	UPDATE storesync.breaker_listing b
	SET passed = true, at = clock_timestamp(), qty = t.wanted, version = t.version, revision = l.revision
	FROM storesync.listing_target t JOIN storesync.listing l ON l.listing_id = t.listing_id
	WHERE b.listing_id = t.listing_id AND t.listing_id = ANY (kept);
	DELETE FROM storesync.breaker_listing b WHERE b.store_id = $1 AND NOT b.passed;
	INSERT INTO storesync.audit (action, subject, before, after)
	VALUES ('release breaker', concat('store ', $1), to_jsonb(opened), jsonb_build_object('released', cardinality(kept)));
	PERFORM storesync.outbox_add('store', ARRAY[$1::bigint]);
	RETURN cardinality(kept);
END
$$;
COMMENT ON FUNCTION storesync.release_breaker(int) IS
'Lets go what the mass-change breaker of a store holds: the quantities of now go out, as the store''s limit allows, and counting begins anew. What changes after this call counts again. Returns how many listings were held, 0 when the breaker was not open. Error SS002 for an unknown store. Example: SELECT storesync.release_breaker(3);';

CREATE VIEW storesync.breaker_status AS
SELECT b.store_id, s.name, b.opened_at, b.changes, b.listings,
	(SELECT count(*) FROM storesync.breaker_listing x
		WHERE x.store_id OPERATOR(pg_catalog.=) b.store_id AND NOT x.passed) AS held
FROM storesync.breaker b
JOIN storesync.store s ON s.store_id OPERATOR(pg_catalog.=) b.store_id;
COMMENT ON VIEW storesync.breaker_status IS
'Stores whose mass-change breaker is open: since when, how many of how many listings were to change then, and how many are held now. listing_status tells which (held by breaker), release_breaker() lets them go. Example: SELECT * FROM storesync.breaker_status;';
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
	CHECK (kinds <> '{}' AND kinds <@ ARRAY['raise', 'price', 'list', 'unlist', 'read_back', 'fetch_listings']),
	CHECK (spread BETWEEN '0' AND '1 day'),
	-- far from where a clock's time has no moment: the view peak is read by every start of the dispatcher
	CONSTRAINT peak_window_years CHECK (starts >= '2000-01-01' AND ends < '3000-01-01')
);
COMMENT ON TABLE storesync.peak_window IS
'Hours in which a store, or all stores of a platform, hold work back: from starts to ends by the clock of each store (store.timezone), these kinds of it, which then go out spread over the time in spread. Made by add_peak_window().';

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
	kinds text[] DEFAULT '{price,list,unlist,read_back,fetch_listings}', spread interval DEFAULT '10 minutes') RETURNS int
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
	INSERT INTO storesync.peak_window AS w (platform, store_id, starts, ends, kinds, spread)
	VALUES ($4, $3, $1, $2, $5, $6) RETURNING w.* INTO made;
	INSERT INTO storesync.audit (action, subject, after)
	VALUES ('add peak window', concat('peak window ', made.peak_window_id), to_jsonb(made));
	PERFORM storesync.peak_changed(made);
	RETURN made.peak_window_id;
END
$$;
COMMENT ON FUNCTION storesync.add_peak_window(timestamp, timestamp, int, text, text[], interval) IS
'Hold work back from starts to ends, by the clock of each store (store.timezone), for one store or for all of a platform: kinds raise, price, list, unlist, and the tasks read_back and fetch_listings; afterwards it goes out spread over the time in spread. Decreases and order fetches never wait. Returns its id. Errors: 22023 when not one of store and platform is given or an argument is NULL, SS002 and SS005 for an unknown store or platform, 23514 for an end before its start, more than 31 days, times before the year 2000 or after 2999, an unknown kind or a spread beyond a day. Example: SELECT storesync.add_peak_window(''2026-11-11 00:00'', ''2026-11-11 02:00'', platform => ''shopee'');';

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
SELECT s.store_id, w.peak_window_id, k.kind, x.starts, x.ends, w.spread,
	x.starts OPERATOR(pg_catalog.<=) pg_catalog.statement_timestamp() AS is_on
FROM storesync.peak_window w
JOIN storesync.store s ON s.store_id OPERATOR(pg_catalog.=) w.store_id OR s.platform OPERATOR(pg_catalog.=) w.platform
CROSS JOIN LATERAL (SELECT w.starts AT TIME ZONE s.timezone AS starts, w.ends AT TIME ZONE s.timezone AS ends) x
CROSS JOIN LATERAL pg_catalog.unnest(w.kinds) AS k (kind)
WHERE x.ends OPERATOR(pg_catalog.+) w.spread OPERATOR(pg_catalog.>) pg_catalog.statement_timestamp();
COMMENT ON VIEW storesync.peak IS
'Peak windows that are on or to come, per store and kind of work, with their moments; is_on: it has begun, and the time in spread after its end, in which work goes out, is not over. Example: SELECT * FROM storesync.peak WHERE is_on;';
-- The first day of a shop: what reading its catalogue found, which SKU that is, what would be written, and
-- the step into selling (docs/onboarding.md).

-- ---------------------------------------------------------------- what was found

-- One complete reading is seen, never a part of one.
CREATE VIEW storesync.listing_found AS
SELECT s.store_id, s.item_id, s.model_id, s.seller_code, s.name, s.quantity, s.price, s.reserved, s.listed, s.ended,
	s.writable, s.seen_at, s.run, s.sku, s.pack
FROM storesync.listing_seen s
WHERE s.run OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT w.run FROM storesync.listing_walk w WHERE w.current));
COMMENT ON VIEW storesync.listing_found IS
'What the last complete reading of each shop''s catalogue (task fetch_listings, its number in run) found: item and model as the platform names them (model_id '''': without models), the seller''s code (not unique), name, quantity shown in sold units (NULL: not told), price, reserved (sold units locked for promotions), listed, ended (deleted, banned or under review), writable (its quantity is the seller''s to write), and when. What is not here any more was not there. An operator may update sku (the code of the SKU that it is, whatever the seller''s code says) and pack (units of the SKU in one sold unit): match_listings() goes by them, and the next reading keeps them. Example: UPDATE storesync.listing_found SET sku = ''TEA-100'', pack = 2 WHERE store_id = 3 AND item_id = ''80012345'';';

CREATE FUNCTION storesync.note_walk(run bigint, listed boolean, cursor text, unread int) RETURNS void
	LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	UPDATE storesync.listing_walk w SET listed = $2, cursor = $3, unread = $4 WHERE w.run = $1;
	WITH old AS MATERIALIZED (
		SELECT w.run FROM storesync.listing_walk w
		WHERE w.store_id = (SELECT m.store_id FROM storesync.listing_walk m WHERE m.run = $1) AND NOT w.current AND w.run <> $1
		ORDER BY w.run LIMIT 1),
	gone AS (
		DELETE FROM storesync.listing_seen s USING (
			SELECT x.run, x.item_id, x.model_id FROM storesync.listing_seen x
			WHERE x.run = (SELECT o.run FROM old o) ORDER BY x.item_id, x.model_id LIMIT 1000) y
		WHERE s.run = y.run AND s.item_id = y.item_id AND s.model_id = y.model_id RETURNING 1)
	DELETE FROM storesync.listing_walk w USING old o
	WHERE w.run = o.run AND (SELECT count(*) FROM gone) < 1000;
$$;
COMMENT ON FUNCTION storesync.note_walk(bigint, boolean, text, int) IS
'For the dispatcher: a reading of a shop''s catalogue is at this page of this list; a part of what readings before it have left goes.';

CREATE FUNCTION storesync.show_walk(run bigint, unread int) RETURNS text
	LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	UPDATE storesync.listing_walk w SET current = false
	WHERE w.current AND w.run <> $1 AND w.store_id = (SELECT m.store_id FROM storesync.listing_walk m WHERE m.run = $1);
	UPDATE storesync.listing_walk w SET current = true, ended_at = clock_timestamp(), unread = $2 WHERE w.run = $1;
	SELECT concat((SELECT count(*) FROM storesync.listing_seen s WHERE s.run = $1), ' listings found',
		CASE WHEN $2 > 0 THEN concat(', ', $2, ' items could not be read') END);
$$;
COMMENT ON FUNCTION storesync.show_walk(bigint, int) IS
'For the dispatcher: a reading of a shop''s catalogue is complete; listing_found shows it in place of the one before. Returns how many listings it found.';

-- ---------------------------------------------------------------- which SKU it is

CREATE FUNCTION storesync.code_key(code text) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT upper(btrim(regexp_replace(CASE WHEN getdatabaseencoding() = 'UTF8' THEN normalize($1, NFKC) ELSE $1 END,
		'\s+', '', 'g'), '/\-_.,:;#*+|'))
$$;
COMMENT ON FUNCTION storesync.code_key(text) IS
'A code as codes are compared when they are not the same: in capitals, full-width characters as plain ones, without spaces and without punctuation at either end. Example: SELECT storesync.code_key('' /a-44''); -- A-44';

CREATE FUNCTION storesync.match_listings(store int) RETURNS TABLE(item_id text, model_id text, name text, seller_code text,
	verdict text, sku text, pack int, listing_id bigint, detail text)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	WITH skus AS MATERIALIZED (
		SELECT x.code_key, count(*) AS n, min(x.code) AS code
		FROM (SELECT k.code, storesync.code_key(k.code) AS code_key FROM storesync.sku k) x
		WHERE x.code_key <> '' GROUP BY x.code_key),
	found AS MATERIALIZED (
		SELECT f.*, l.listing_id, own.code AS own, given.code AS given, y.n,
			f.ended OR NOT f.writable AS out,
			CASE WHEN l.listing_id IS NOT NULL THEN own.code WHEN f.sku IS NOT NULL THEN given.code
				ELSE coalesce(exact.code, CASE WHEN y.n = 1 THEN y.code END) END AS code, exact.code IS NOT NULL AS is_exact
		FROM storesync.listing_found f
		LEFT JOIN storesync.listing l ON l.store_id = f.store_id AND l.item_id = f.item_id AND l.model_id = f.model_id
		LEFT JOIN storesync.sku own ON own.sku_id = l.sku_id
		LEFT JOIN storesync.sku given ON given.code = f.sku
		LEFT JOIN storesync.sku exact ON exact.code = f.seller_code
		LEFT JOIN skus y ON y.code_key = storesync.code_key(f.seller_code)
		WHERE f.store_id = $1),
	counted AS (
		SELECT f.*, count(*) FILTER (WHERE NOT f.out) OVER (PARTITION BY f.code) AS alike FROM found f)
	SELECT c.item_id, c.model_id, c.name, c.seller_code, v.verdict,
		CASE WHEN v.verdict = 'matched' OR c.listing_id IS NOT NULL THEN c.code END,
		c.pack, c.listing_id,
		CASE v.verdict
			WHEN 'ended' THEN CASE WHEN c.listing_id IS NOT NULL THEN 'it is a listing: disable it' END
			WHEN 'not writable' THEN CASE WHEN c.quantity IS NULL AND c.seller_code = '' THEN 'a kit, or it could not be read' END
			WHEN 'matched' THEN CASE
				WHEN c.listing_id IS NOT NULL AND c.sku IS NOT NULL AND c.sku <> c.own THEN format('it is a listing already; the SKU given here is %s', c.sku)
				WHEN c.listing_id IS NOT NULL THEN 'it is a listing already'
				WHEN c.sku IS NOT NULL THEN 'the SKU was given'
				WHEN NOT c.is_exact THEN 'the codes differ in punctuation, spaces or capitals' END
			WHEN 'unknown sku' THEN CASE
				WHEN c.sku IS NOT NULL THEN format('the SKU given, %s, does not exist', c.sku)
				WHEN c.seller_code = '' THEN 'it has no code' END
			ELSE CASE WHEN c.code IS NULL THEN format('%s SKUs have this code but for punctuation, spaces or capitals', c.n)
				ELSE format('%s listings of the shop would be SKU %s: say of each which it is', c.alike, c.code) END
		END
	FROM counted c
	CROSS JOIN LATERAL (
		SELECT CASE WHEN c.ended THEN 'ended'
			WHEN NOT c.writable THEN 'not writable'
			WHEN c.listing_id IS NOT NULL OR (c.sku IS NOT NULL AND c.given IS NOT NULL) THEN 'matched'
			WHEN c.sku IS NOT NULL THEN 'unknown sku'
			WHEN c.code IS NULL AND c.n > 1 THEN 'ambiguous'
			WHEN c.code IS NULL THEN 'unknown sku'
			WHEN c.alike > 1 THEN 'ambiguous'
			ELSE 'matched' END AS verdict
		OFFSET 0) v
	ORDER BY c.item_id, c.model_id
$$;
COMMENT ON FUNCTION storesync.match_listings(int) IS
'Says of each listing that was found in a shop which SKU it is; changes nothing. verdict: matched, by the SKU that an operator gave (listing_found.sku) or the seller''s code, the same or the same but for punctuation at its ends, spaces and capitals; ambiguous: several listings of the shop would be the same SKU, or several SKUs have the code; unknown sku; ended; not writable. sku and pack: what accept_matches() would make of it. listing_id: of one that is a listing already. detail: why, where the verdict does not say it. No rows for a shop whose catalogue was never read to its end. Example: SELECT verdict, count(*) FROM storesync.match_listings(3) GROUP BY verdict;';

CREATE FUNCTION storesync.accept_matches(store int) RETURNS int
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	SET jit = off
AS $$
DECLARE
	made bigint[];
BEGIN
	PERFORM FROM storesync.store s WHERE s.store_id = $1 FOR KEY SHARE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'store % does not exist', coalesce($1::text, 'null') USING ERRCODE = 'SS002';
	END IF;
	WITH added AS (
		INSERT INTO storesync.listing (store_id, sku_id, item_id, model_id, pack, price, listed)
		SELECT $1, k.sku_id, m.item_id, m.model_id, m.pack, CASE WHEN f.price > 0 THEN f.price END, f.listed
		FROM storesync.match_listings($1) m
		JOIN storesync.listing_found f ON f.store_id = $1 AND f.item_id = m.item_id AND f.model_id = m.model_id
		JOIN storesync.sku k ON k.code = m.sku
		WHERE m.verdict = 'matched' AND m.listing_id IS NULL
		ORDER BY k.sku_id, m.item_id, m.model_id FOR KEY SHARE OF k
		ON CONFLICT DO NOTHING RETURNING *),
	said AS (
		INSERT INTO storesync.audit (action, subject, after)
		SELECT 'add', concat('listing ', a.listing_id), to_jsonb(a) FROM added a ORDER BY a.listing_id)
	SELECT coalesce(array_agg(a.listing_id ORDER BY a.listing_id), '{}') INTO made FROM added a;
	IF cardinality(made) = 0 THEN
		RETURN 0;
	END IF;
	-- nothing was ever written there: what was found is what is shown
	INSERT INTO storesync.listing_shown (listing_id, acked_qty, acked_version, acked_incarnation, sent_at, written_at, read_qty, read_at)
	SELECT l.listing_id, f.quantity, 0, storesync.current_incarnation(), f.seen_at, f.seen_at, f.quantity, f.seen_at
	FROM storesync.listing l
	JOIN storesync.listing_found f ON f.store_id = l.store_id AND f.item_id = l.item_id AND f.model_id = l.model_id
	WHERE l.listing_id = ANY (made) AND f.quantity IS NOT NULL
	ON CONFLICT DO NOTHING;
	PERFORM storesync.reserves_seen(array_agg(l.listing_id), array_agg(f.reserved), min(f.seen_at))
	FROM storesync.listing l
	JOIN storesync.listing_found f ON f.store_id = l.store_id AND f.item_id = l.item_id AND f.model_id = l.model_id
	WHERE l.listing_id = ANY (made) AND f.reserved > 0
	HAVING count(*) > 0;
	PERFORM storesync.outbox_add('listing', made);
	PERFORM storesync.tell_siblings(made);
	PERFORM storesync.take_up_listings(made);
	RETURN cardinality(made);
END
$$;
COMMENT ON FUNCTION storesync.accept_matches(int) IS
'Makes a listing of everything that match_listings() says is matched and is none yet, with the price, state and shown quantity that were found: all or nothing, an audit row each. Returns how many. Parked order lines of them are booked, a thousand at once and the rest by the dispatcher. Asking again makes what has been matched since. Nothing is written to a shop that is in shadow; one that is live begins to follow the stock at once. Error SS002 unknown store. Example: SELECT storesync.accept_matches(3);';

-- ---------------------------------------------------------------- going live

CREATE FUNCTION storesync.go_live_missing(store int) RETURNS TABLE(listing_id bigint, sku text, item_id text, model_id text,
	reason text, remedy text)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT l.listing_id, k.code, l.item_id, l.model_id, m.reason, m.remedy
	FROM storesync.listing l
	JOIN storesync.sku k ON k.sku_id = l.sku_id
	CROSS JOIN LATERAL (
		SELECT 'never read back' AS reason,
			format('SELECT storesync.enqueue(%s, ''read_back'', ''{"listing": %s}'');', l.store_id, l.listing_id) AS remedy
		WHERE NOT EXISTS (SELECT FROM storesync.listing_shown w WHERE w.listing_id = l.listing_id)
		UNION ALL
		SELECT format('SKU %s was never counted', n.code),
			format('SELECT storesync.adjust(%L, <counted units>, storesync.new_key());', n.code)
		FROM storesync.sku n
		WHERE n.sku_id IN (SELECT l.sku_id WHERE NOT k.bundle
				UNION ALL SELECT c.sku_id FROM storesync.component c WHERE k.bundle AND c.bundle_id = l.sku_id AND c.qty > 0)
			AND NOT EXISTS (SELECT FROM storesync.ledger g WHERE g.sku_id = n.sku_id AND g.kind IN ('adjust', 'receive'))) m
	WHERE l.store_id = $1 AND l.enabled
	ORDER BY l.listing_id, m.reason
$$;
COMMENT ON FUNCTION storesync.go_live_missing(int) IS
'What keeps a store from going live: its enabled listings that were never read back or written, and those whose SKU (of a bundle: a component) was never counted or received, each with the call that settles it. No rows: go_live() may be called. Example: SELECT * FROM storesync.go_live_missing(3);';

CREATE FUNCTION storesync.live_numbers(store int, lower_only boolean) RETURNS TABLE(listing_id bigint, believed bigint,
	wanted bigint, version bigint, revision bigint)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT t.listing_id, t.believed, t.wanted, t.version, l.revision
	FROM storesync.listing_target t
	JOIN storesync.listing l ON l.listing_id = t.listing_id
	WHERE t.store_id = $1 AND t.dirty AND NOT t.dead AND (NOT $2 OR t.believed IS NULL OR t.wanted < t.believed)
$$;
COMMENT ON FUNCTION storesync.live_numbers(int, boolean) IS
'For preview() and go_live(): what would be written to a store as it stands, decreases alone where asked for; sold units.';

-- The numbers depend on the mode: the last units of a SKU are shown by one live store alone.
CREATE FUNCTION storesync.preview(store int, lower_only boolean DEFAULT false) RETURNS TABLE(listing_id bigint, sku text,
	item_id text, model_id text, shown bigint, wanted bigint, change bigint)
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	SET jit = off
AS $$
DECLARE
	numbers jsonb;
BEGIN
	PERFORM FROM storesync.store s WHERE s.store_id = $1;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'store % does not exist', coalesce($1::text, 'null') USING ERRCODE = 'SS002';
	END IF;
	-- as if it were: the change is taken back before anybody sees it
	BEGIN
		UPDATE storesync.store s SET mode = CASE WHEN $2 THEN 'lower_only' ELSE 'live' END WHERE s.store_id = $1;
		SELECT jsonb_agg(to_jsonb(x) ORDER BY x.listing_id) INTO numbers FROM storesync.live_numbers($1, $2) x;
		RAISE EXCEPTION USING ERRCODE = 'SS206', MESSAGE = 'not to be seen';
	EXCEPTION WHEN SQLSTATE 'SS206' THEN
		NULL;
	END;
	RETURN QUERY SELECT x.listing_id, k.code, l.item_id, l.model_id, x.believed, x.wanted, x.wanted - x.believed
	FROM jsonb_to_recordset(numbers) AS x (listing_id bigint, believed bigint, wanted bigint)
	JOIN storesync.listing l ON l.listing_id = x.listing_id
	JOIN storesync.sku k ON k.sku_id = l.sku_id
	ORDER BY x.listing_id;
END
$$;
COMMENT ON FUNCTION storesync.preview(int, boolean) IS
'What go_live() would have written to a store, were it called now: each listing that does not show what it should, with the quantity that it is believed to show (NULL: unknown), the one wanted, and the difference, in sold units; with lower_only decreases alone. The store stays as it is. Errors: SS002 unknown store, 25006 on a standby. Example: SELECT * FROM storesync.preview(3) ORDER BY abs(change) DESC;';

CREATE FUNCTION storesync.go_live(store int, lower_only boolean DEFAULT false) RETURNS int
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	SET jit = off
AS $$
DECLARE
	missing text;
	n bigint;
	passed bigint;
BEGIN
	-- before the store's row: as release_breaker() and the dispatcher
	LOCK TABLE storesync.breaker_listing IN SHARE ROW EXCLUSIVE MODE;
	PERFORM FROM storesync.store s WHERE s.store_id = $1 FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'store % does not exist', coalesce($1::text, 'null') USING ERRCODE = 'SS002';
	END IF;
	SELECT count(DISTINCT x.listing_id), string_agg(format('listing %s (item %s%s): %s', x.listing_id, x.item_id,
		CASE WHEN x.model_id <> '' THEN concat(', model ', x.model_id) END, x.reason), E'\n' ORDER BY x.place) FILTER (WHERE x.place <= 20)
	INTO n, missing
	FROM (SELECT m.*, row_number() OVER (ORDER BY m.listing_id, m.reason) AS place FROM storesync.go_live_missing($1) m) x;
	IF n > 0 THEN
		RAISE EXCEPTION 'store % is not ready to go live: % listings are not known well enough', $1, n
			USING ERRCODE = 'SS206', DETAIL = missing, HINT = format('SELECT * FROM storesync.go_live_missing(%s) has all of them, with the call that settles each.', $1);
	END IF;
	UPDATE storesync.store s SET mode = CASE WHEN $2 THEN 'lower_only' ELSE 'live' END,
		stock_from = CASE WHEN s.stock_from = '-infinity' THEN clock_timestamp() ELSE s.stock_from END
	WHERE s.store_id = $1;
	INSERT INTO storesync.breaker_listing (listing_id, store_id, passed, at, qty, version, revision)
	SELECT x.listing_id, $1, true, clock_timestamp(), x.wanted, x.version, x.revision FROM storesync.live_numbers($1, $2) x
	ON CONFLICT (listing_id) DO UPDATE SET passed = true, at = excluded.at, qty = excluded.qty, version = excluded.version,
		revision = excluded.revision;
	GET DIAGNOSTICS passed = ROW_COUNT;
	PERFORM storesync.outbox_add('store', ARRAY[$1::bigint]);
	RETURN passed;
END
$$;
COMMENT ON FUNCTION storesync.go_live(int, boolean) IS
'Lets a store follow the stock from now on (mode live, or lower_only: decreases alone): exactly what preview() says at this moment passes the mass-change breaker, what changes afterwards does not. Sets stock_from, if it was never set, to now: an order from before that is first seen when it has left the shelf moves no stock. A paused store stays paused. Returns how many listings are going to be written. Errors: SS002 unknown store, SS206 a listing was never read back or its SKU never counted, with the first twenty of them (go_live_missing() has all). Example: SELECT storesync.go_live(3);';
-- Counters of the workers, from shared memory. Without shared_preload_libraries the view is empty.

CREATE FUNCTION storesync.dispatcher_stats(
	OUT database text,
	OUT pid int,
	OUT state text,
	OUT heartbeat timestamptz,
	OUT failures bigint,
	OUT next_start timestamptz,
	OUT calls_ok bigint,
	OUT calls_failed bigint,
	OUT calls_throttled bigint,
	OUT listings_acked bigint,
	OUT orders_ingested bigint,
	OUT orders_duplicate bigint,
	OUT tasks_dead bigint,
	OUT cycles bigint,
	OUT statements bigint,
	OUT queued bigint,
	OUT in_flight bigint,
	OUT backing_off bigint,
	OUT stores bigint
) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'dispatcher_stats' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION storesync.dispatcher_stats() IS
'What shared memory says of each dispatcher: see the view stat_dispatcher. No rows when storesync is not preloaded.';

CREATE FUNCTION storesync.launcher_pid() RETURNS int
	AS 'MODULE_PATHNAME', 'launcher_pid' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION storesync.launcher_pid() IS
'Process id of the launcher; NULL while none runs: on a standby, or when storesync is not preloaded. Example: SELECT storesync.launcher_pid() IS NOT NULL;';

CREATE VIEW storesync.stat_dispatcher AS
SELECT s.database, s.pid, s.state,
	pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) s.heartbeat AS heartbeat_age,
	s.failures, s.next_start,
	s.calls_ok, s.calls_failed, s.calls_throttled, s.listings_acked,
	s.orders_ingested, s.orders_duplicate, s.tasks_dead, s.cycles, s.statements,
	s.queued, s.in_flight, s.backing_off, s.stores
FROM storesync.dispatcher_stats() s;
COMMENT ON VIEW storesync.stat_dispatcher IS
'One row per database of this server that is to have a dispatcher or had one since the server started. state: starting, running, backing off (ended by itself, starts again at next_start), no worker slot (raise max_worker_processes), held (DROP DATABASE or the like), stopping, off. heartbeat_age: since it last woke, which it does every 10 seconds at least. failures: ends in a row. calls_* count answers (ok and partial; throttled; all others), listings_acked writes acknowledged, orders_* documents fetched and those that changed nothing, cycles rounds with work, statements transactions. queued, in_flight, backing_off: listings now; stores: loaded. Counts start at 0 with the server. Example: SELECT database, state, queued FROM storesync.stat_dispatcher;';

CREATE FUNCTION storesync.store_stats(
	OUT store_id int,
	OUT cause text,
	OUT waits text,
	OUT since timestamptz,
	OUT until timestamptz,
	OUT lower bigint,
	OUT "raise" bigint,
	OUT fetching bigint,
	OUT in_flight bigint,
	OUT poll_ms bigint,
	OUT calls_ok bigint,
	OUT calls_failed bigint,
	OUT calls_throttled bigint,
	OUT listings_acked bigint
) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'store_stats' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION storesync.store_stats() IS
'What shared memory says of each store of this database: see the view stat_store. No rows when storesync is not preloaded.';

CREATE FUNCTION storesync.store_latency(
	OUT store_id int,
	OUT phase text,
	OUT within_ms bigint,
	OUT n bigint
) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'store_latency' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION storesync.store_latency() IS
'Histograms of durations by store and phase since the server started: n of them lasted at most within_ms milliseconds (NULL: the last, boundless bucket). Phases: see the view stat_latency. Example: SELECT * FROM storesync.store_latency() WHERE phase = ''call'';';

CREATE VIEW storesync.stat_latency AS
SELECT x.store_id, x.phase, max(x.total) AS n,
	min(x.within_ms) FILTER (WHERE x.n OPERATOR(pg_catalog.>=) (0.5 OPERATOR(pg_catalog.*) x.total)) AS p50_ms,
	min(x.within_ms) FILTER (WHERE x.n OPERATOR(pg_catalog.>=) (0.95 OPERATOR(pg_catalog.*) x.total)) AS p95_ms,
	min(x.within_ms) FILTER (WHERE x.n OPERATOR(pg_catalog.>=) (0.99 OPERATOR(pg_catalog.*) x.total)) AS p99_ms
FROM (SELECT l.store_id, l.phase, l.within_ms, l.n, max(l.n) OVER (PARTITION BY l.store_id, l.phase) AS total
	FROM storesync.store_latency() l) x
GROUP BY x.store_id, x.phase;
COMMENT ON VIEW storesync.stat_latency IS
'How long calls take, by store and phase, since the server started: n durations, of which half, 95 and 99 in a hundred lasted at most p50_ms, p95_ms and p99_ms milliseconds, rounded up to a power of two (NULL: more than 262 s). Phases: lookup of the name, connect, tls (none of these on a kept connection), answer (from there to the first byte), call (the whole of it), converged (from the commit of a change to its acknowledgement by the shop). Example: SELECT * FROM storesync.stat_latency WHERE phase = ''converged'';';

CREATE VIEW storesync.stat_application AS
SELECT d.platform, d.day, d.calls, d.ok,
	pg_catalog.round(d.ok::numeric OPERATOR(pg_catalog./) NULLIF(d.calls, 0)::numeric, 4) AS share
FROM storesync.call_day d;
COMMENT ON VIEW storesync.stat_application IS
'Per platform and day at UTC+8: calls made, those that went well and their share; Shopee wants 0.9. Example: SELECT * FROM storesync.stat_application ORDER BY day DESC LIMIT 7;';

CREATE VIEW storesync.stat_store AS
SELECT s.store_id, s.platform, s.shop_id, s.name, s.mode, s.paused,
	c.fetched_through, pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) c.fetched_at AS fetch_age,
	(SELECT count(*) FROM storesync.listing l WHERE l.store_id OPERATOR(pg_catalog.=) s.store_id) AS listings,
	(SELECT count(*) FROM storesync.compensation x
		WHERE x.store_id OPERATOR(pg_catalog.=) s.store_id AND x.settled_at IS NULL) AS open_compensation,
	t.waits, t.since AS waits_since, t.until AS waits_until,
	t.lower, t."raise", t.fetching, t.in_flight,
	t.calls_ok, t.calls_failed, t.calls_throttled, t.listings_acked,
	b.opened_at AS breaker_since, b.held AS breaker_held,
	pg_catalog.make_interval(secs => NULLIF(t.poll_ms, 0)::double precision OPERATOR(pg_catalog./) 1000) AS polled_every
FROM storesync.store s
LEFT JOIN storesync.order_cursor c ON c.store_id OPERATOR(pg_catalog.=) s.store_id
LEFT JOIN storesync.store_stats() t ON t.store_id OPERATOR(pg_catalog.=) s.store_id
LEFT JOIN storesync.breaker_status b ON b.store_id OPERATOR(pg_catalog.=) s.store_id;
COMMENT ON VIEW storesync.stat_store IS
'One row per store: its switches, the moment up to which all its orders are committed (fetched_through; NULL: never fetched), how long ago that was found (fetch_age), how many listings it has and how many pieces of work given up are open. Then, from shared memory (NULL when not preloaded): why no calls are made to it (waits, with waits_since and waits_until), how many listings are ready to be lowered and raised, how many raises wait for orders (fetching), calls under way, and counts since the server started. breaker_since, breaker_held: since when its mass-change breaker is open and how many changes it holds (NULL: closed). polled_every: from one fetch of its orders to the next as it is now (docs/intake.md; NULL: none is made). Example: SELECT name, mode, waits, fetch_age FROM storesync.stat_store ORDER BY fetch_age DESC;';
-- Access tokens that end and are refreshed by the dispatcher (docs/token.md). The tokens themselves lie
-- in storesync.credential; here is what may be told about them.

CREATE FUNCTION storesync.token_life(platform text, OUT access interval, OUT refresh interval, OUT authorization_life interval)
	LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT l.access, l.refresh, l.authorization_life
	FROM (VALUES ('shopee', '4 hours'::interval, '30 days'::interval, '365 days'::interval)) AS l (platform, access, refresh, authorization_life)
	WHERE l.platform = $1
$$;
COMMENT ON FUNCTION storesync.token_life(text) IS
'How long a platform''s access tokens, refresh tokens and authorisations of a shop live; NULL for a platform without tokens. Example: SELECT * FROM storesync.token_life(''shopee'');';

CREATE TABLE storesync.token (
	store_id int PRIMARY KEY REFERENCES storesync.store ON DELETE CASCADE,
	incarnation int NOT NULL DEFAULT storesync.current_incarnation(),
	authorized_at timestamptz,
	authorization_ends timestamptz,
	look_due timestamptz,
	access_expires timestamptz,
	refreshed_at timestamptz,
	asked_at timestamptz,
	refused_at timestamptz,
	reason text,
	code_asked_at timestamptz,
	code_refused_at timestamptz,
	code_reason text
);
COMMENT ON TABLE storesync.token IS
'About a store''s tokens. incarnation: the life of the data in which they were got. authorized_at: when a code was exchanged for them or people set the refresh token; NULL while there is a code alone. authorization_ends: as the platform said, NULL unknown; look_due: when it is asked next. access_expires: as the platform said, NULL for an access token set by people. refreshed_at: the last refresh that went well. asked_at: a refresh was asked for and its answer is not recorded. refused_at, reason: the platform refused the refresh token. code_asked_at: the exchange of a code was asked for and its answer is not recorded. code_refused_at, code_reason: the last code was refused. Not dumped, as the tokens are not.';

CREATE FUNCTION storesync.token_given(store int, name text) RETURNS void
	LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
	UPDATE storesync.token t SET access_expires = NULL WHERE $2 = 'access_token' AND t.store_id = $1;
	DELETE FROM storesync.credential c WHERE $2 = 'refresh_token' AND c.store_id = $1 AND c.name = 'auth_code';
	INSERT INTO storesync.token AS t (store_id, authorized_at, look_due)
	SELECT $1, clock_timestamp(), clock_timestamp() + '1 hour'::interval WHERE $2 = 'refresh_token'
	ON CONFLICT (store_id) DO UPDATE SET authorized_at = excluded.authorized_at, look_due = excluded.look_due, incarnation = excluded.incarnation,
		authorization_ends = NULL, access_expires = NULL, refreshed_at = NULL, asked_at = NULL, refused_at = NULL, reason = NULL,
		code_asked_at = NULL, code_refused_at = NULL, code_reason = NULL;
	INSERT INTO storesync.token AS t (store_id)
	SELECT $1 WHERE $2 = 'auth_code'
	ON CONFLICT (store_id) DO UPDATE SET code_asked_at = NULL, code_refused_at = NULL, code_reason = NULL
$$;
COMMENT ON FUNCTION storesync.token_given(int, text) IS
'Notes that people have set a store''s access or refresh token or handed over a code: what was known of the one before is over. A code that waits is not exchanged any more when a refresh token is set.';

CREATE FUNCTION storesync.authorization_url(platform text, redirect text, cancel boolean DEFAULT false) RETURNS text
	AS 'MODULE_PATHNAME', 'authorization_url' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION storesync.authorization_url(text, text, boolean) IS
'The address that the owner of a shop opens to let the platform''s application in, signed now and good for five minutes (Shopee); with cancel the one that takes it back. The platform sends the browser on to redirect with code and shop_id behind it: authorize_store() takes the code. Errors: 0A000 the platform has no such page; SS005 unknown platform; SS403 a credential of the application is missing or malformed, or redirect is not 1 to 2048 visible ASCII characters. Example: SELECT storesync.authorization_url(''shopee'', ''https://erp.example.com/shopee'');';

CREATE FUNCTION storesync.authorize_store(store int, code text) RETURNS bigint
	AS 'MODULE_PATHNAME', 'authorize_store' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.authorize_store(int, text) IS
'Hands over the code that an owner brought back from authorization_url(), for the dispatcher to exchange it for the store''s first tokens, or new ones; returns a task of kind exchange_code. The code works once and for ten minutes; it is a credential, kept until then, and may be given as file:NAME like one. Outcome: task_state(), token_status, health(). Errors: SS002 unknown store; 0A000 its platform knows no codes; SS403 as in set_credential(); 22004 null. Example: SELECT storesync.authorize_store(1, $1); -- $1 the code, as a bind parameter';

CREATE FUNCTION storesync.note_authorization(store int, ends timestamptz) RETURNS void
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	UPDATE storesync.token t SET authorization_ends = $2 WHERE t.store_id = $1;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'store % does not exist or has no authorisation', coalesce($1::text, 'null') USING ERRCODE = 'SS002';
	END IF;
	INSERT INTO storesync.audit (action, subject, after)
	VALUES ('note authorization', concat('store ', $1), jsonb_build_object('ends', $2));
END
$$;
COMMENT ON FUNCTION storesync.note_authorization(int, timestamptz) IS
'Notes until when the platform says that a store is authorised (its console, or a notification that it ends soon), where the dispatcher has not asked it yet; NULL: unknown, a year from the authorisation is taken (token_life()). The next authorisation, and the next answer of the platform, take its place. Error SS002 when the store does not exist or was never authorised. Example: SELECT storesync.note_authorization(1, ''2027-03-01 00:00+08'');';

-- When the dispatcher refreshes: half an hour before the access token ends, or in the last quarter of a
-- shorter life; at once when the answer to the last try is not known; a refused one an hour later.
CREATE VIEW storesync.token_status AS
SELECT s.store_id, s.platform, s.shop_id, s.name, e.authorized_at, e.authorization_expires,
	e.authorization_expires OPERATOR(pg_catalog.-) pg_catalog.clock_timestamp() AS authorization_left,
	r.set_at OPERATOR(pg_catalog.+) l.refresh AS refresh_expires,
	r.set_at OPERATOR(pg_catalog.+) l.refresh OPERATOR(pg_catalog.-) pg_catalog.clock_timestamp() AS refresh_left,
	t.refreshed_at, t.access_expires,
	CASE WHEN r.set_at IS NULL THEN NULL
		WHEN t.asked_at IS NOT NULL OR a.set_at IS NULL THEN '-infinity'::timestamptz
		WHEN t.refused_at IS NOT NULL THEN t.refused_at OPERATOR(pg_catalog.+) '1 hour'::interval
		ELSE e.expires OPERATOR(pg_catalog.-) LEAST('30 minutes'::interval,
			(e.expires OPERATOR(pg_catalog.-) a.set_at) OPERATOR(pg_catalog./) 4::double precision) END AS refresh_due,
	t.asked_at, t.refused_at, t.reason, c.set_at AS code_given_at, t.code_refused_at, t.code_reason
FROM storesync.store s
LEFT JOIN storesync.credential r ON r.store_id OPERATOR(pg_catalog.=) s.store_id AND r.name OPERATOR(pg_catalog.=) 'refresh_token'
LEFT JOIN storesync.credential a ON a.store_id OPERATOR(pg_catalog.=) s.store_id AND a.name OPERATOR(pg_catalog.=) 'access_token'
LEFT JOIN storesync.credential c ON c.store_id OPERATOR(pg_catalog.=) s.store_id AND c.name OPERATOR(pg_catalog.=) 'auth_code'
LEFT JOIN storesync.token t ON t.store_id OPERATOR(pg_catalog.=) s.store_id
CROSS JOIN LATERAL storesync.token_life(s.platform) l
CROSS JOIN LATERAL (
	SELECT COALESCE(t.access_expires, a.set_at OPERATOR(pg_catalog.+) l.access) AS expires,
		COALESCE(t.authorized_at, r.set_at) AS authorized_at,
		COALESCE(t.authorization_ends, COALESCE(t.authorized_at, r.set_at) OPERATOR(pg_catalog.+) l.authorization_life) AS authorization_expires) e
WHERE l.access IS NOT NULL AND (r.store_id IS NOT NULL OR t.store_id IS NOT NULL);
COMMENT ON VIEW storesync.token_status IS
'One row per store that has, or was to have, a refresh token: when it was authorised and when that ends (as the platform said, else a year later for Shopee), when the refresh token ends (30 days after the last refresh), the time left of both, the last refresh, the end of the access token (NULL: set by people, not known), when it is refreshed next (refresh_due), and what went wrong: asked_at (a refresh whose answer is not known), refused_at with the platform''s reason; code_given_at (a code waits to be exchanged), code_refused_at with the reason of the last one. Example: SELECT name, refresh_left, authorization_left FROM storesync.token_status ORDER BY authorization_left;';

CREATE FUNCTION storesync.health_tokens() RETURNS TABLE(component text, state text, reason text)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT concat('authorisation of store ', x.store_id), 'degraded', x.reason
	FROM (
		SELECT t.store_id, concat_ws('; ',
			CASE WHEN t.refused_at IS NOT NULL
				THEN format('the platform refuses its refresh token since %s: authorise the shop again (authorization_url(), authorize_store())',
					date_trunc('second', t.refused_at))
				WHEN t.asked_at < clock_timestamp() - '5 minutes'::interval
				THEN format('a refresh of its token has no answer since %s', date_trunc('second', t.asked_at)) END,
			CASE WHEN t.code_refused_at IS NOT NULL
				THEN format('the code of an authorisation was refused at %s (%s): get another from authorization_url()',
					date_trunc('second', t.code_refused_at), t.code_reason)
				WHEN t.code_given_at < clock_timestamp() - '5 minutes'::interval
				THEN format('a code waits to be exchanged since %s and works for ten minutes', date_trunc('second', t.code_given_at)) END,
			CASE WHEN t.refresh_left < '7 days' THEN format('its refresh token ends at %s', date_trunc('second', t.refresh_expires)) END,
			CASE WHEN t.authorization_left < '14 days'
				THEN format('ends at %s: authorise the shop again before', date_trunc('second', t.authorization_expires)) END,
			CASE WHEN k.incarnation < (SELECT max(i.incarnation) FROM storesync.incarnation i)
				AND NOT EXISTS (SELECT FROM storesync.store_stats() c WHERE c.store_id = t.store_id AND c.calls_ok > 0)
				THEN 'may be superseded: these tokens are those of the database that this one was copied from' END) AS reason
		FROM storesync.token_status t
		JOIN storesync.store s USING (store_id)
		LEFT JOIN storesync.token k USING (store_id)
		WHERE s.mode <> 'off') x
	WHERE x.reason <> ''
$$;
COMMENT ON FUNCTION storesync.health_tokens() IS
'The part of health() about tokens: refused, without an answer, a code that was refused or waits, about to end (refresh token in 7 days, authorisation in 14), or copied from another database and not tried since.';
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
		AND o.payload ->> 'kind' NOT IN ('read_back', 'refresh_token', 'exchange_code') AS writes,
		o.payload ->> 'kind' NOT IN ('ship_order', 'cancel_order') AS raises) x
	LEFT JOIN storesync.store_stats() t ON t.store_id = s.store_id
	LEFT JOIN LATERAL (
		SELECT max(k.ends) AS ends FROM storesync.peak k
		WHERE k.store_id = s.store_id AND k.is_on
			AND k.kind = CASE o.payload ->> 'kind' WHEN 'push_price' THEN 'price' WHEN 'push_stock' THEN 'raise' ELSE o.payload ->> 'kind' END) p ON true
$$;
COMMENT ON FUNCTION storesync.task_hint(bigint) IS
'Why nothing is done now for an open task at its store: its mode, a pause, a peak window, a credential that the platform refused, the instance guard and the like; of the reading of a catalogue how far it has come; NULL when nothing stands in the way, or there is no such task. Example: SELECT storesync.task_hint(42); -- waits: the store is paused';
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
-- health(): one answer to "is it working, and if not, why not". docs/operations.md says what to do.

CREATE FUNCTION storesync.health_workers() RETURNS TABLE(component text, state text, reason text)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	WITH setting AS (
		SELECT string_to_array(replace(current_setting('shared_preload_libraries'), ' ', ''), ',') @> '{storesync}' AS preloaded,
			pg_is_in_recovery() AS standby,
			storesync.launcher_pid() AS launcher),
	worker AS (
		SELECT d.state, d.heartbeat_age,
			d.heartbeat_age > greatest((SELECT 3 * max(s.poll_interval) FROM storesync.store s WHERE s.mode <> 'off'),
				'1 minute') AS silent
		FROM (SELECT) always
		LEFT JOIN storesync.stat_dispatcher d ON d.database = current_database())
	SELECT 'preload', CASE WHEN preloaded THEN 'ok' ELSE 'down' END,
		CASE WHEN NOT preloaded THEN 'storesync is not in shared_preload_libraries: no limits, no workers' END
	FROM setting
	UNION ALL
	SELECT 'launcher', CASE WHEN standby OR launcher IS NOT NULL THEN 'ok' ELSE 'down' END,
		CASE WHEN standby THEN 'standby: starts at promotion'
			WHEN launcher IS NULL THEN 'no launcher is running' END
	FROM setting
	UNION ALL
	SELECT 'dispatcher',
		CASE WHEN standby THEN 'ok' WHEN worker.state = 'running' THEN CASE WHEN silent THEN 'degraded' ELSE 'ok' END
			WHEN worker.state = 'starting' THEN 'degraded' ELSE 'down' END,
		CASE WHEN standby THEN 'standby: starts at promotion'
			WHEN worker.state IS NULL OR worker.state = 'off' THEN 'this database is not named in storesync.databases'
			WHEN worker.state = 'no worker slot' THEN 'no free worker slot: raise max_worker_processes'
			WHEN worker.state <> 'running' THEN format('the dispatcher is %s', worker.state)
			WHEN silent THEN format('no sign of life for %s', date_trunc('second', heartbeat_age)) END
	FROM setting, worker
$$;
COMMENT ON FUNCTION storesync.health_workers() IS 'The part of health() about processes.';

-- A store can be called when each of these is there.
CREATE FUNCTION storesync.missing_credentials(store int) RETURNS text[]
	LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT coalesce(array_agg(n.name ORDER BY n.place), '{}')
	FROM storesync.store s
	JOIN (VALUES (1, 'shopee', true, 'partner_id'), (2, 'shopee', true, 'partner_key'),
		(3, 'shopee', false, 'access_token'), (4, 'shopee', false, 'refresh_token'),
		(5, 'ruten', false, 'api_key'), (6, 'ruten', false, 'secret_key'), (7, 'ruten', false, 'salt_key')) AS n (place, platform, application, name)
		ON n.platform = s.platform
	WHERE s.store_id = $1
		AND NOT EXISTS (SELECT FROM storesync.credential c
			WHERE NOT n.application AND c.store_id = s.store_id AND c.name = n.name)
		AND NOT EXISTS (SELECT FROM storesync.app_credential a
			WHERE n.application AND a.platform = s.platform AND a.name = n.name)
$$;
COMMENT ON FUNCTION storesync.missing_credentials(int) IS
'Names of the credentials that a store or its platform''s application needs and has not; {} when all are there. Example: SELECT storesync.missing_credentials(1);';

CREATE FUNCTION storesync.health_rates()
	RETURNS TABLE(store_id int, quota_until timestamptz, pace int, slowed_since timestamptz, roomless boolean)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	WITH budget AS (
		SELECT w.store_id, max(w.quota_until) AS quota_until, min(w.pace) AS pace, min(w.slowed_since) AS slowed_since
		FROM storesync.rate_windows(true) w
		WHERE w.scope = 'store'
		GROUP BY w.store_id)
	SELECT b.store_id, b.quota_until, b.pace, b.slowed_since, false
	FROM budget b
	WHERE b.quota_until IS NOT NULL OR b.slowed_since IS NOT NULL
	UNION ALL
	SELECT s.store_id, NULL, NULL, NULL, true
	FROM storesync.store s
	WHERE s.mode <> 'off' AND storesync.rate_room() <= 0
		AND NOT EXISTS (SELECT FROM budget b WHERE b.store_id = s.store_id)
$$;
COMMENT ON FUNCTION storesync.health_rates() IS
'The part of health() about call budgets: stores whose day''s calls are used up, that are slowed after throttles, or that shared memory has no room for.';

CREATE FUNCTION storesync.health_stores() RETURNS TABLE(component text, state text, reason text)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT concat('instance ', p.platform), CASE WHEN x.allowed THEN 'ok' ELSE 'degraded' END,
		CASE WHEN x.allowed THEN NULL
			WHEN storesync.is_copy() THEN 'sending is paused: this data came from another database, confirm_instance() lets it go on'
			ELSE 'sending is paused until confirm_instance()' END
	FROM storesync.platform p CROSS JOIN LATERAL storesync.sending_allowed(p.platform) x(allowed)
	WHERE EXISTS (SELECT FROM storesync.store s WHERE s.platform = p.platform AND s.mode <> 'off')
	UNION ALL
	SELECT concat('store ', s.store_id), 'degraded', concat_ws('; ',
		CASE WHEN s.paused THEN 'paused' END,
		CASE s.mode WHEN 'off' THEN 'mode is off: not even orders are fetched'
			WHEN 'shadow' THEN 'mode is shadow: nothing is sent'
			WHEN 'lower_only' THEN 'mode is lower_only: no quantity is raised' END,
		'no credential ' || nullif(array_to_string(x.missing, ', '), ''),
		t.waits || ' since ' || date_trunc('second', t.since),
		CASE WHEN s.mode <> 'off' AND c.fetched_at < clock_timestamp() - greatest(10 * s.poll_interval, '5 minutes')
			THEN format('orders not fetched since %s', date_trunc('second', c.fetched_at)) END,
		'the day''s calls are used up until ' || date_trunc('second', r.quota_until),
		CASE WHEN r.slowed_since IS NOT NULL
			THEN format('uses %s %% of its limit since a throttle at %s', r.pace, date_trunc('second', r.slowed_since)) END,
		CASE WHEN r.roomless THEN 'no room for its call budget: raise storesync.max_stores' END)
	FROM storesync.store s
	LEFT JOIN storesync.order_cursor c ON c.store_id = s.store_id
	LEFT JOIN storesync.health_rates() r ON r.store_id = s.store_id
	LEFT JOIN storesync.store_stats() t ON t.store_id = s.store_id AND t.cause IN ('credential', 'request', 'host')
	CROSS JOIN LATERAL storesync.missing_credentials(s.store_id) x(missing)
	WHERE t.waits IS NOT NULL OR s.paused OR s.mode <> 'live' OR x.missing <> '{}'
		OR c.fetched_at < clock_timestamp() - greatest(10 * s.poll_interval, '5 minutes')
		OR r.store_id IS NOT NULL
$$;
COMMENT ON FUNCTION storesync.health_stores() IS
'The part of health() about platforms in use and about stores; a store with nothing to say has no row.';

CREATE FUNCTION storesync.health_data() RETURNS TABLE(component text, state text, reason text)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT 'compensation', CASE WHEN x.open = 0 THEN 'ok' ELSE 'degraded' END,
		CASE WHEN x.open > 0 THEN format('%s open, the oldest since %s', x.open, date_trunc('second', x.oldest)) END
	FROM (SELECT count(*) AS open, min(c.at) AS oldest FROM storesync.compensation c WHERE c.settled_at IS NULL) x
	UNION ALL
	SELECT 'partitions', CASE WHEN x.missing = 0 THEN 'ok' ELSE 'degraded' END,
		CASE WHEN x.missing > 0 THEN format('%s of the next 6 days are missing: maintain() makes them', x.missing) END
	-- the dispatcher makes them 7 days ahead, once a day
	FROM storesync.missing_partitions('6 days') x(missing)
	UNION ALL
	SELECT concat('consumer ', o.consumer), CASE WHEN o.lag < '5 minutes' AND NOT o.lost THEN 'ok' ELSE 'degraded' END,
		CASE WHEN o.lost THEN 'its cursor is of another life of the data: it has to begin anew, or consumer_drop()'
			WHEN o.lag >= '5 minutes' THEN format('%s rows behind, for %s', o.lag_rows, date_trunc('second', o.lag)) END
	FROM (
		SELECT s.consumer, s.lag_rows, coalesce(s.lag, '0') AS lag,
			s.incarnation IS DISTINCT FROM (SELECT max(i.incarnation) FROM storesync.incarnation i) AS lost
		FROM storesync.stat_outbox s) o
$$;
COMMENT ON FUNCTION storesync.health_data() IS 'The part of health() about what lies in tables.';

CREATE FUNCTION storesync.health_breakers() RETURNS TABLE(component text, state text, reason text)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT concat('breaker of store ', b.store_id), 'degraded',
		format('%s changes are held since %s, when %s of %s listings were to change for another cause than a sale: release_breaker(%s) lets them go',
			b.held, date_trunc('second', b.opened_at), b.changes, b.listings, b.store_id)
	FROM storesync.breaker_status b
$$;
COMMENT ON FUNCTION storesync.health_breakers() IS
'The part of health() about mass-change breakers: one row for each that is open.';

CREATE FUNCTION storesync.health_put_off() RETURNS TABLE(component text, state text, reason text)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT concat('listings of store ', t.store_id), 'degraded',
		format('%s show more than is wanted since %s, because the platform refuses for now to have them lowered (listing_status: put off): %s',
			count(*), date_trunc('second', min(w.put_off_at)), min(w.put_off))
	FROM storesync.listing_shown w
	JOIN storesync.listing_target t ON t.listing_id = w.listing_id
	WHERE w.put_off_at > w.written_at AND t.dirty AND t.at_most > t.wanted
	GROUP BY t.store_id
$$;
COMMENT ON FUNCTION storesync.health_put_off() IS
'The part of health() about listings whose platform refuses for the moment to have them lowered: one row for each store that has such.';

CREATE FUNCTION storesync.health() RETURNS TABLE(component text, state text, reason text)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT * FROM storesync.health_workers()
	UNION ALL SELECT * FROM storesync.health_stores()
	UNION ALL SELECT * FROM storesync.health_tokens()
	UNION ALL SELECT * FROM storesync.health_notifications()
	UNION ALL SELECT * FROM storesync.health_breakers()
	UNION ALL SELECT * FROM storesync.health_put_off()
	UNION ALL SELECT * FROM storesync.health_data()
	UNION ALL SELECT * FROM storesync.health_maintenance()
	UNION ALL SELECT * FROM storesync.health_allotments()
	UNION ALL SELECT * FROM storesync.health_prices()
$$;
COMMENT ON FUNCTION storesync.health() IS
'How each part is: state ok, degraded (works, with less than it should) or down, and the reason when it is not ok. Components: preload, launcher, dispatcher; instance PLATFORM for each platform in use; store N where it is not simply live; breaker of store N where it is open; listings of store N where some cannot be lowered for now; authorisation of store N where it needs somebody; notifications of PLATFORM where some are refused, authorisations of PLATFORM where it says that some end; compensation, partitions, maintenance of TABLE where maintain() could not do its work, consumer NAME, allotments of SKU; prices of store N where some are not sent or wait long. Example: SELECT * FROM storesync.health() WHERE state <> ''ok'';';
-- What must always hold (docs/invariant.md). Each function returns no row when it does; hot tables
-- carry no foreign keys, so these prove what foreign keys would.

CREATE FUNCTION storesync.place_name(sku_id bigint, location_id int) RETURNS text
LANGUAGE SQL STABLE AS $$
	SELECT coalesce((SELECT s.code FROM storesync.sku s WHERE s.sku_id = $1), 'SKU ' || $1) || ' at '
		|| coalesce((SELECT c.code FROM storesync.location c WHERE c.location_id = $2), 'location ' || $2)
$$;
COMMENT ON FUNCTION storesync.place_name(bigint, int) IS
'How findings name a SKU at a location: ''CODE at CODE''. Example: SELECT storesync.place_name(1, 1);';

CREATE FUNCTION storesync.line_name(order_id bigint, line_id text) RETURNS text
LANGUAGE SQL STABLE AS $$
	SELECT coalesce((SELECT t.platform || ' ' || t.shop_id || ' ' || o.order_sn
		FROM storesync.sales_order o JOIN storesync.store t ON t.store_id = o.store_id
		WHERE o.order_id = $1), 'order ' || $1) || ' line ' || $2
$$;
COMMENT ON FUNCTION storesync.line_name(bigint, text) IS
'How findings name a line of an order: platform, shop, order number, line. Example: SELECT storesync.line_name(1, ''1'');';

-- One sort of the ledger serves versions, chain and record times; only broken rows are put in words.
CREATE FUNCTION storesync.invariant_ledger() RETURNS TABLE(invariant text, subject text, detail text)
LANGUAGE SQL STABLE AS $$
	SELECT x.invariant, storesync.place_name(w.sku_id, w.location_id), x.detail
	FROM (SELECT g.sku_id, g.location_id, g.version, g.on_hand, g.reserved, g.on_hand_delta, g.reserved_delta,
				g.recorded_at, lag(g.version, 1, 0::bigint) OVER p AS version_before,
				lag(g.on_hand, 1, 0::bigint) OVER p AS on_hand_before,
				lag(g.reserved, 1, 0::bigint) OVER p AS reserved_before,
				lag(g.recorded_at) OVER p AS recorded_before
			FROM storesync.ledger g
			WINDOW p AS (PARTITION BY g.sku_id, g.location_id ORDER BY g.version)) w
	CROSS JOIN LATERAL (VALUES
		('ledger version', w.version <> w.version_before + 1,
			format('version %s follows %s', w.version, w.version_before)),
		('ledger chain', w.on_hand <> w.on_hand_before + w.on_hand_delta
				OR w.reserved <> w.reserved_before + w.reserved_delta,
			format('version %s: %s/%s and %s/%s give %s/%s', w.version, w.on_hand_before, w.reserved_before,
				w.on_hand_delta, w.reserved_delta, w.on_hand, w.reserved)),
		('ledger time', w.recorded_at < w.recorded_before,
			format('version %s was recorded before version %s', w.version, w.version_before))
		) x (invariant, broken, detail)
	WHERE x.broken AND (w.version <> w.version_before + 1 OR w.on_hand <> w.on_hand_before + w.on_hand_delta
		OR w.reserved <> w.reserved_before + w.reserved_delta OR w.recorded_at < w.recorded_before)
$$;
COMMENT ON FUNCTION storesync.invariant_ledger() IS
'Per SKU and location: versions run from 1 without gaps, each balance is the one before plus the deltas, record times never fall. No rows when all hold. Example: SELECT * FROM storesync.invariant_ledger();';

CREATE FUNCTION storesync.invariant_sum() RETURNS TABLE(invariant text, subject text, detail text)
LANGUAGE SQL STABLE AS $$
	SELECT 'ledger sum', storesync.place_name(sku_id, location_id),
		format('deltas sum up to %s/%s, balance is %s/%s', g.on_hand, g.reserved, t.on_hand, t.reserved)
	FROM (SELECT l.sku_id, l.location_id, sum(l.on_hand_delta) AS on_hand, sum(l.reserved_delta) AS reserved
			FROM storesync.ledger l GROUP BY l.sku_id, l.location_id) g
	JOIN storesync.stock t USING (sku_id, location_id)
	WHERE t.on_hand <> g.on_hand OR t.reserved <> g.reserved
$$;
COMMENT ON FUNCTION storesync.invariant_sum() IS
'The stock of each SKU at each location is the sum of all its deltas. No rows when it holds. Example: SELECT * FROM storesync.invariant_sum();';

CREATE FUNCTION storesync.invariant_available() RETURNS TABLE(invariant text, subject text, detail text)
LANGUAGE SQL STABLE AS $$
	SELECT 'available', storesync.place_name(t.sku_id, t.location_id),
		format('%s on hand, %s reserved', t.on_hand, t.reserved)
	FROM storesync.stock t LEFT JOIN storesync.sku s ON s.sku_id = t.sku_id
	WHERE t.reserved < 0 OR (t.on_hand < t.reserved AND s.allow_backorder IS NOT TRUE)
$$;
COMMENT ON FUNCTION storesync.invariant_available() IS
'Nothing is reserved twice: reserved is not negative, and not above on hand unless the SKU allows backorder. No rows when it holds. Example: SELECT * FROM storesync.invariant_available();';

CREATE FUNCTION storesync.invariant_reserved() RETURNS TABLE(invariant text, subject text, detail text)
LANGUAGE SQL STABLE AS $$
	SELECT 'reserved', storesync.place_name(sku_id, location_id),
		format('ledger has %s, order lines and reservations hold %s', coalesce(t.reserved, 0), coalesce(h.units, 0))
	FROM storesync.stock t
	FULL JOIN (SELECT u.sku_id, u.location_id, sum(u.units) AS units
			FROM (SELECT l.sku_id, l.location_id, l.reserved AS units FROM storesync.sales_order_line l
					WHERE l.reserved > 0 AND l.parts IS NULL
				UNION ALL SELECT p.sku_id, p.location_id, p.reserved
					FROM storesync.sales_order_line l
					CROSS JOIN LATERAL jsonb_to_recordset(l.parts) AS p (sku_id bigint, location_id int, reserved bigint)
					WHERE l.parts IS NOT NULL
				UNION ALL SELECT r.sku_id, r.location_id, r.qty FROM storesync.reservation r) u
			GROUP BY u.sku_id, u.location_id) h USING (sku_id, location_id)
	WHERE coalesce(t.reserved, 0) <> coalesce(h.units, 0)
$$;
COMMENT ON FUNCTION storesync.invariant_reserved() IS
'Reserved stock of each SKU and location is what order lines and direct reservations hold of it. No rows when it holds. Example: SELECT * FROM storesync.invariant_reserved();';

CREATE FUNCTION storesync.invariant_holder() RETURNS TABLE(invariant text, subject text, detail text)
LANGUAGE SQL STABLE AS $$
	SELECT 'holder', storesync.place_name(sku_id, location_id) || ' for "' || reference || '"',
		format('ledger has %s reserved, %s shipped, %s restocked by version %s; the holder has %s, %s, %s by version %s',
			coalesce(g.reserved, 0), coalesce(g.shipped, 0), coalesce(g.restocked, 0), coalesce(g.version, 0),
			coalesce(h.held, 0), coalesce(h.shipped, 0), coalesce(h.restocked, 0), coalesce(h.version, 0))
	FROM (SELECT l.sku_id, l.location_id, coalesce(l.reference, '') AS reference, max(l.version) AS version,
				sum(l.reserved_delta) AS reserved,
				coalesce(-sum(l.on_hand_delta) FILTER (WHERE l.kind = 'ship'), 0) AS shipped,
				coalesce(sum(l.on_hand_delta) FILTER (WHERE l.kind = 'restock'), 0) AS restocked
			FROM storesync.ledger l
			WHERE l.order_id IS NULL AND l.kind IN ('reserve', 'release', 'ship', 'restock')
			GROUP BY l.sku_id, l.location_id, coalesce(l.reference, '')) g
	FULL JOIN storesync.holder h USING (sku_id, location_id, reference)
	WHERE coalesce(g.reserved, 0) <> coalesce(h.held, 0) OR coalesce(g.shipped, 0) <> coalesce(h.shipped, 0)
		OR coalesce(g.restocked, 0) <> coalesce(h.restocked, 0) OR g.version <> h.version
$$;
COMMENT ON FUNCTION storesync.invariant_holder() IS
'What direct calls hold, sent and took back by reference is what their ledger rows say, and is kept once. No rows when it holds. Example: SELECT * FROM storesync.invariant_holder();';

CREATE FUNCTION storesync.invariant_effect() RETURNS TABLE(invariant text, subject text, detail text)
LANGUAGE SQL STABLE AS $$
	SELECT 'effect', storesync.line_name(order_id, line_id),
		format('line has %s effects, %s reserved, %s shipped, %s restocked; its ledger rows %s, %s, %s, %s',
			coalesce(l.effects, 0), coalesce(l.reserved, 0), coalesce(l.shipped, 0), coalesce(l.restocked, 0),
			coalesce(g.effects, 0), coalesce(g.reserved, 0), coalesce(g.shipped, 0), coalesce(g.restocked, 0))
	FROM (SELECT x.order_id, x.line_id, x.effects, x.reserved, x.shipped, x.restocked
			FROM storesync.sales_order_line x WHERE x.parts IS NULL
		UNION ALL SELECT x.order_id, x.line_id, x.effects, p.reserved, p.shipped, p.back
			FROM storesync.sales_order_line x
			CROSS JOIN LATERAL (SELECT coalesce(sum(y.reserved), 0)::bigint AS reserved,
					coalesce(sum(y.shipped), 0)::bigint AS shipped, coalesce(sum(y.back), 0)::bigint AS back
				FROM jsonb_to_recordset(x.parts) AS y (reserved bigint, shipped bigint, back bigint)) p
			WHERE x.parts IS NOT NULL) l
	FULL JOIN (SELECT x.order_id, x.reference AS line_id, count(*) AS effects, sum(x.reserved_delta)::bigint AS reserved,
				coalesce(-sum(x.on_hand_delta) FILTER (WHERE x.on_hand_delta < 0), 0)::bigint AS shipped,
				coalesce(sum(x.on_hand_delta) FILTER (WHERE x.on_hand_delta > 0), 0)::bigint AS restocked
			FROM storesync.ledger x
			WHERE x.order_id IS NOT NULL
			GROUP BY x.order_id, x.reference) g USING (order_id, line_id)
	WHERE coalesce(l.effects, 0) <> coalesce(g.effects, 0) OR coalesce(l.reserved, 0) <> coalesce(g.reserved, 0)
		OR coalesce(l.shipped, 0) <> coalesce(g.shipped, 0) OR coalesce(l.restocked, 0) <> coalesce(g.restocked, 0)
$$;
COMMENT ON FUNCTION storesync.invariant_effect() IS
'Each order line has booked what its ledger rows say, once: as many rows as effects, with its reserved, shipped and restocked units. No rows when it holds. Example: SELECT * FROM storesync.invariant_effect();';

CREATE FUNCTION storesync.invariant_key() RETURNS TABLE(invariant text, subject text, detail text)
LANGUAGE SQL STABLE AS $$
	SELECT 'key', g.key::text, format('%s ledger rows of %s', count(*), storesync.place_name(g.sku_id, g.location_id))
	FROM storesync.ledger g
	GROUP BY g.key, g.sku_id, g.location_id
	HAVING count(*) > 1
$$;
COMMENT ON FUNCTION storesync.invariant_key() IS
'One key moves the stock of a SKU at a location at most once. No rows when it holds. Example: SELECT * FROM storesync.invariant_key();';

CREATE FUNCTION storesync.invariant_transfer() RETURNS TABLE(invariant text, subject text, detail text)
LANGUAGE SQL STABLE AS $$
	SELECT 'transfer', g.key::text, format('%s ledger rows, %s units gained', count(*), sum(g.on_hand_delta))
	FROM storesync.ledger g
	WHERE g.kind = 'transfer'
	GROUP BY g.key
	HAVING count(*) <> 2 OR sum(g.on_hand_delta) <> 0 OR min(g.sku_id) <> max(g.sku_id)
$$;
COMMENT ON FUNCTION storesync.invariant_transfer() IS
'A transfer is two ledger rows of one SKU: what left one location came to another. No rows when it holds. Example: SELECT * FROM storesync.invariant_transfer();';

-- Rows that only a caller's key can make. Answers go with their partitions, oldest keys first, so a row
-- whose key is older than all answers has none; releases may be a timer's or a count's.
CREATE FUNCTION storesync.invariant_answer() RETURNS TABLE(invariant text, subject text, detail text)
LANGUAGE SQL STABLE AS $$
	SELECT 'answer', storesync.place_name(g.sku_id, g.location_id),
		CASE WHEN i.key IS NULL THEN format('%s of version %s was never answered', g.kind, g.version)
			ELSE format('version %s: %s/%s was answered as %sversion %s: %s/%s', g.version, g.on_hand, g.reserved,
				CASE WHEN i.insufficient THEN 'insufficient at ' ELSE '' END, i.version, i.on_hand, i.reserved) END
	FROM storesync.ledger g
	LEFT JOIN storesync.idempotency i ON i.key OPERATOR(storesync.=) g.key
	WHERE g.order_id IS NULL
		AND (g.kind IN ('receive', 'reserve', 'release', 'ship', 'restock') OR (g.kind = 'transfer' AND g.on_hand_delta < 0))
		AND g.key OPERATOR(storesync.>=) (SELECT o.key FROM storesync.idempotency o
			ORDER BY o.key USING OPERATOR(storesync.<) LIMIT 1)
		AND CASE WHEN i.key IS NULL THEN g.kind <> 'release'
			ELSE i.insufficient OR g.version <> i.version OR g.on_hand <> i.on_hand OR g.reserved <> i.reserved END
	UNION ALL
	SELECT 'answer', 'key ' || i.key,
		format('version %s: %s/%s was answered, no row of the ledger says so', i.version, i.on_hand, i.reserved)
	FROM storesync.idempotency i
	WHERE NOT i.insufficient AND i.version > 0
		AND NOT EXISTS (SELECT FROM storesync.ledger g
			WHERE g.version = i.version AND g.on_hand = i.on_hand AND g.reserved = i.reserved)
$$;
COMMENT ON FUNCTION storesync.invariant_answer() IS
'A replay answers what happened: each movement that a caller made by a key has that key''s answer, with its version and balance, and each answer has a row of the ledger that says the same. No rows when it holds. Example: SELECT * FROM storesync.invariant_answer();';

-- Only broken lines are put in words: a list of values for each row would cost most of the time.
CREATE FUNCTION storesync.invariant_line() RETURNS TABLE(invariant text, subject text, detail text)
LANGUAGE SQL STABLE AS $$
	SELECT x.invariant, storesync.line_name(l.order_id, l.line_id),
		format('%s, %s: %s of %s live units reserved, %s shipped, %s restocked, %s lost, %s short', l.status, l.state,
			l.reserved, w.live, l.shipped, l.restocked, coalesce(l.lost, 0), l.short)
	FROM storesync.sales_order_line l
	CROSS JOIN LATERAL (SELECT
		CASE WHEN l.qty - l.cancelled_qty > 1000000000000 / l.pack THEN 1000000000000
			ELSE greatest(l.qty - l.cancelled_qty, 0) * l.pack END AS live,
		CASE WHEN l.qty > 1000000000000 / l.pack THEN 1000000000000 ELSE l.qty * l.pack END AS ordered,
		l.status IN ('shipped', 'completed', 'returned') AS gone) w
	CROSS JOIN LATERAL (SELECT
		l.shipped > w.ordered AS shipped,
		l.restocked + coalesce(l.lost, 0) > l.shipped AS restocked,
		CASE
			WHEN l.sku_id IS NULL OR l.state = 'kept' THEN l.reserved + l.shipped + l.short > 0
			WHEN l.shipped > 0 OR w.gone
				THEN l.reserved > 0 OR (w.gone AND l.shipped + l.short <> greatest(l.shipped, w.live))
			WHEN l.status = 'cancelled' THEN l.reserved > 0 OR (l.short > 0 AND l.returned_qty IS NULL)
			WHEN l.state = 'lapsed' THEN l.reserved + l.short > 0
			ELSE l.reserved + l.short <> w.live END AS booked,
		l.state <> (CASE
			WHEN l.state = 'kept' THEN 'kept'
			WHEN l.sku_id IS NULL AND l.state = 'lapsed' AND l.status = 'unpaid' AND w.live > 0 THEN 'lapsed'
			WHEN l.sku_id IS NULL
				THEN CASE WHEN w.live > 0 AND (l.status <> 'cancelled' OR l.returned_qty > 0) THEN 'parked' ELSE 'cancelled' END
			WHEN l.short > 0 THEN 'short'
			WHEN l.shipped > 0 THEN CASE WHEN l.restocked > 0 AND l.restocked + coalesce(l.lost, 0) = l.shipped THEN 'restocked' ELSE 'shipped' END
			WHEN l.reserved > 0 THEN 'reserved'
			WHEN l.status = 'unpaid' AND w.live > 0 THEN 'lapsed'
			ELSE 'cancelled' END)::storesync.line_state AS state) b
	CROSS JOIN LATERAL (VALUES ('line shipped', b.shipped), ('line restocked', b.restocked),
		('line booked', b.booked), ('line state', b.state)) x (invariant, broken)
	WHERE x.broken AND (b.shipped OR b.restocked OR b.booked OR b.state)
$$;
COMMENT ON FUNCTION storesync.invariant_line() IS
'Each order line has what its status and quantities want: reserved plus short, or shipped plus short, is the live quantity; shipped is never above ordered, restocked and lost together never above shipped; its state says so. No rows when it holds. Example: SELECT * FROM storesync.invariant_line();';

CREATE FUNCTION storesync.invariant_part() RETURNS TABLE(invariant text, subject text, detail text)
LANGUAGE SQL STABLE AS $$
	SELECT 'part', storesync.line_name(l.order_id, l.line_id),
		format('of SKU id %s its parts have %s reserved, %s shipped, %s back by %s; the line %s, %s, %s', p.sku_id,
			p.reserved, p.shipped, p.back, p.per, l.reserved, l.shipped, l.restocked)
	FROM storesync.sales_order_line l
	CROSS JOIN LATERAL (
		SELECT x.sku_id, max(x.per) AS per, coalesce(sum(x.reserved), 0) AS reserved, coalesce(sum(x.shipped), 0) AS shipped,
			coalesce(sum(x.back), 0) AS back,
			min(x.per) IS NULL OR min(x.per) < 1 OR min(x.per) <> max(x.per) OR count(*) <> count(DISTINCT x.location_id)
				AND count(*) > 1
				OR min(coalesce(x.reserved, 0)) < 0 OR min(coalesce(x.shipped, 0) - coalesce(x.back, 0)) < 0
				OR bool_or(x.location_id IS NULL AND coalesce(x.reserved, 0) + coalesce(x.shipped, 0) > 0) AS broken
		FROM jsonb_to_recordset(l.parts) AS x (sku_id bigint, location_id int, per bigint, reserved bigint, shipped bigint, back bigint)
		GROUP BY x.sku_id) p
	WHERE l.parts IS NOT NULL AND (p.broken OR p.reserved <> l.reserved * p.per OR p.shipped <> l.shipped * p.per
		OR p.back <> l.restocked * p.per OR l.location_id IS NOT NULL)
	UNION ALL
	SELECT 'part', storesync.line_name(p.order_id, p.line_id), 'its SKU or location does not exist: ' || storesync.place_name(p.sku_id, p.location_id)
	FROM storesync.sales_order_line l
	JOIN storesync.line_part p ON p.order_id = l.order_id AND p.line_id = l.line_id AND p.recorded_at = l.recorded_at
	WHERE l.parts IS NOT NULL AND (NOT EXISTS (SELECT FROM storesync.sku s WHERE s.sku_id = p.sku_id)
		OR (p.location_id IS NOT NULL AND NOT EXISTS (SELECT FROM storesync.location c WHERE c.location_id = p.location_id)))
$$;
COMMENT ON FUNCTION storesync.invariant_part() IS
'A line of several parts has of each SKU what its own quantities say: reserved, shipped and restocked times the units in one, each place once, at places that exist. No rows when it holds. Example: SELECT * FROM storesync.invariant_part();';

CREATE FUNCTION storesync.invariant_reference() RETURNS TABLE(invariant text, subject text, detail text)
LANGUAGE SQL STABLE AS $$
	SELECT 'reference', 'order ' || l.order_id || ' line ' || l.line_id, 'its order does not exist'
	FROM storesync.sales_order_line l
	WHERE NOT EXISTS (SELECT FROM storesync.sales_order o WHERE o.order_id = l.order_id AND o.recorded_at = l.recorded_at)
	UNION ALL
	SELECT 'reference', storesync.line_name(l.order_id, l.line_id), 'its SKU, location or store does not exist'
	FROM storesync.sales_order_line l
	LEFT JOIN storesync.store t ON t.store_id = l.store_id
	LEFT JOIN storesync.sku s ON s.sku_id = l.sku_id
	LEFT JOIN storesync.location c ON c.location_id = l.location_id
	WHERE t.store_id IS NULL OR (l.sku_id IS NOT NULL AND s.sku_id IS NULL)
		OR (l.location_id IS NOT NULL AND c.location_id IS NULL)
	UNION ALL
	SELECT 'reference', 'order ' || o.order_id, 'it has no lines'
	FROM storesync.sales_order o
	WHERE NOT EXISTS (SELECT FROM storesync.sales_order_line l WHERE l.order_id = o.order_id AND l.recorded_at = o.recorded_at)
	UNION ALL
	SELECT 'reference', storesync.place_name(k.sku_id, k.location_id), 'SKU or location does not exist'
	FROM storesync.stock_lock k
	LEFT JOIN storesync.sku s ON s.sku_id = k.sku_id
	LEFT JOIN storesync.location c ON c.location_id = k.location_id
	WHERE s.sku_id IS NULL OR c.location_id IS NULL
	UNION ALL
	SELECT 'reference', storesync.place_name(g.sku_id, g.location_id), 'ledger rows without a row to lock'
	FROM storesync.ledger g
	WHERE g.version = 1 AND NOT EXISTS (SELECT FROM storesync.stock_lock k
		WHERE k.sku_id = g.sku_id AND k.location_id = g.location_id)
$$;
COMMENT ON FUNCTION storesync.invariant_reference() IS
'What foreign keys would prove: lines have their order, store, SKU and location, orders have lines, stock has its SKU, location and lock row. No rows when it holds. Example: SELECT * FROM storesync.invariant_reference();';

CREATE FUNCTION storesync.invariant_catalog() RETURNS TABLE(invariant text, subject text, detail text)
LANGUAGE SQL STABLE AS $$
	SELECT 'catalog', 'store ' || t.store_id, 'its platform does not exist'
	FROM storesync.store t
	WHERE NOT EXISTS (SELECT FROM storesync.platform p WHERE p.platform = t.platform)
	UNION ALL
	SELECT 'catalog', 'listing ' || l.listing_id, 'its store or SKU does not exist'
	FROM storesync.listing l
	WHERE NOT EXISTS (SELECT FROM storesync.store t WHERE t.store_id = l.store_id)
		OR NOT EXISTS (SELECT FROM storesync.sku k WHERE k.sku_id = l.sku_id)
	UNION ALL
	SELECT 'catalog', 'store ' || z.store_id, 'it or location ' || z.location_id || ' does not exist'
	FROM storesync.store_location z
	WHERE NOT EXISTS (SELECT FROM storesync.store t WHERE t.store_id = z.store_id)
		OR NOT EXISTS (SELECT FROM storesync.location p WHERE p.location_id = z.location_id)
	UNION ALL
	SELECT 'catalog', format('listing %s, its %s', o.listing_id, o.facet), 'the listing does not exist, or is another store''s'
	FROM storesync.offer o
	WHERE NOT EXISTS (SELECT FROM storesync.listing l WHERE l.listing_id = o.listing_id AND l.store_id = o.store_id)
	UNION ALL
	SELECT 'catalog', format('listing %s, its campaign', p.listing_id), 'its price is to come back from another than it has'
	FROM storesync.planned_offer p
	WHERE p.action = 'back'
		AND NOT EXISTS (SELECT FROM storesync.listing l WHERE l.listing_id = p.listing_id AND l.price = p.campaign)
$$;
COMMENT ON FUNCTION storesync.invariant_catalog() IS
'Stores, listings, places of stores and prices of listings that point to nothing: what foreign keys would refuse, which a restore could not bear; and campaigns that are over and would yet end. No rows when it holds. Example: SELECT * FROM storesync.invariant_catalog();';

CREATE FUNCTION storesync.invariant_bundle() RETURNS TABLE(invariant text, subject text, detail text)
LANGUAGE SQL STABLE AS $$
	SELECT 'bundle', coalesce('SKU ' || k.code, 'SKU id ' || x.sku_id), x.detail
	FROM (
		SELECT s.sku_id, 'it is marked as a bundle and has no components, or the other way round' AS detail
		FROM storesync.sku s
		WHERE s.bundle <> EXISTS (SELECT FROM storesync.component c WHERE c.bundle_id = s.sku_id AND c.qty > 0)
		UNION ALL
		SELECT c.bundle_id, 'component ' || c.sku_id || ' or the bundle does not exist'
		FROM storesync.component c
		WHERE NOT EXISTS (SELECT FROM storesync.sku s WHERE s.sku_id = c.bundle_id)
			OR NOT EXISTS (SELECT FROM storesync.sku s WHERE s.sku_id = c.sku_id)
		UNION ALL
		SELECT c.bundle_id, 'its component ' || s.code || ' is a bundle'
		FROM storesync.component c JOIN storesync.sku s ON s.sku_id = c.sku_id
		WHERE s.bundle
		UNION ALL
		SELECT s.sku_id, 'it is a bundle and has stock of its own'
		FROM storesync.sku s
		WHERE s.bundle AND EXISTS (SELECT FROM storesync.ledger g WHERE g.sku_id = s.sku_id)) x
	LEFT JOIN storesync.sku k ON k.sku_id = x.sku_id
$$;
COMMENT ON FUNCTION storesync.invariant_bundle() IS
'A bundle has components, which exist and are no bundles, and no stock of its own. No rows when it holds. Example: SELECT * FROM storesync.invariant_bundle();';

CREATE FUNCTION storesync.invariant_shown() RETURNS TABLE(invariant text, subject text, detail text)
LANGUAGE SQL STABLE AS $$
	SELECT 'shown', 'listing ' || w.listing_id,
		format('version %s was acknowledged, the current one is %s', w.acked_version, l.revision + coalesce(v.versions, 0))
	FROM storesync.listing_shown w
	JOIN storesync.listing l ON l.listing_id = w.listing_id
	LEFT JOIN (SELECT u.sku_id, sum(t.version)::bigint AS versions
			FROM (SELECT k.sku_id, k.sku_id AS drawn FROM storesync.sku k
				UNION ALL SELECT c.bundle_id, c.sku_id FROM storesync.component c
					JOIN storesync.sku k ON k.sku_id = c.bundle_id WHERE k.bundle) u
			JOIN storesync.stock t ON t.sku_id = u.drawn
			GROUP BY u.sku_id) v ON v.sku_id = l.sku_id
	WHERE w.acked_version > l.revision + coalesce(v.versions, 0)
		AND w.acked_incarnation = (SELECT max(i.incarnation) FROM storesync.incarnation i)
$$;
COMMENT ON FUNCTION storesync.invariant_shown() IS
'No platform has acknowledged a version of a listing that does not exist yet (its revision plus the versions of its stock). No rows when it holds. Example: SELECT * FROM storesync.invariant_shown();';

-- Statistics may be of when the tables were nearly empty: by those a nested loop over all answers and all
-- rows of the ledger looks cheap. Each join here is of whole tables.
CREATE FUNCTION storesync.check_invariants() RETURNS TABLE(invariant text, subject text, detail text)
LANGUAGE SQL STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	SET work_mem = '128MB' SET jit = off SET enable_nestloop = off AS $$
	SELECT * FROM storesync.invariant_ledger()
	UNION ALL SELECT * FROM storesync.invariant_sum()
	UNION ALL SELECT * FROM storesync.invariant_available()
	UNION ALL SELECT * FROM storesync.invariant_reserved()
	UNION ALL SELECT * FROM storesync.invariant_holder()
	UNION ALL SELECT * FROM storesync.invariant_effect()
	UNION ALL SELECT * FROM storesync.invariant_key()
	UNION ALL SELECT * FROM storesync.invariant_answer()
	UNION ALL SELECT * FROM storesync.invariant_transfer()
	UNION ALL SELECT * FROM storesync.invariant_line()
	UNION ALL SELECT * FROM storesync.invariant_part()
	UNION ALL SELECT * FROM storesync.invariant_reference()
	UNION ALL SELECT * FROM storesync.invariant_catalog()
	UNION ALL SELECT * FROM storesync.invariant_bundle()
	UNION ALL SELECT * FROM storesync.invariant_shown()
	ORDER BY 1, 2, 3
$$;
COMMENT ON FUNCTION storesync.check_invariants() IS
'Everything that must always hold of stock, keys, orders and listings, from one snapshot: a row for each finding with the invariant, what it is about and what is wrong; no rows when all hold. Seconds for a million ledger rows. Example: SELECT * FROM storesync.check_invariants();';
-- Who may do what. Rights are given by grant_role() alone; nothing is granted to PUBLIC.

-- A view checks functions with the rights of who reads it, and an operator checks its function.
CREATE FUNCTION storesync.common_functions() RETURNS SETOF regprocedure
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT p.oid::regprocedure
	FROM pg_proc p
	WHERE p.pronamespace = 'storesync'::regnamespace
		AND (EXISTS (SELECT FROM pg_operator o WHERE o.oprcode = p.oid)
			OR EXISTS (SELECT FROM pg_depend d
				WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_proc'::regclass AND d.refobjid = p.oid)
			OR p.proname IN ('derive_key', 'new_key', 'key_time', 'available', 'balance_at', 'explain', 'health', 'task_state'))
$$;
COMMENT ON FUNCTION storesync.common_functions() IS
'Functions that every kind of role may call: those behind operators and views, and those that only look.';

CREATE FUNCTION storesync.role_functions() RETURNS TABLE(kind text, name text)
	LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT m.kind, unnest(m.names) FROM (VALUES
		('application', ARRAY['receive', 'reserve', 'release', 'ship', 'restock', 'adjust', 'transfer', 'receive_return',
			'ingest_order', 'ingest_orders', 'ingest_push', 'rate_take', 'rate_hold', 'rate_succeeded', 'rate_quota', 'enqueue', 'current_incarnation']),
		('operator', ARRAY['add_store', 'add_sku', 'add_location', 'add_listing', 'set_store_locations', 'set_bundle', 'set_credential', 'set_app_credential',
			'authorization_url', 'authorize_store', 'note_authorization',
			'missing_credentials', 'pause', 'resume', 'stop_selling', 'start_selling', 'allot', 'set_price', 'reserve_seen', 'reserves_seen', 'release_hold', 'release_breaker', 'match_listings', 'accept_matches', 'preview', 'go_live', 'go_live_missing', 'requeue', 'discard', 'add_peak_window', 'drop_peak_window',
			'confirm_instance', 'instance_confirmed', 'is_copy', 'sending_allowed', 'rate_room', 'rate_forget', 'backfill', 'check_invariants',
			'ensure_partitions', 'missing_partitions', 'consumer_register', 'consumer_move', 'consumer_drop', 'rotation', 'drop_consumed', 'maintain', 'maintain_ahead', 'maintain_step', 'take_up_parked', 'release_expired', 'next_expiry'])) AS m(kind, names)
$$;
COMMENT ON FUNCTION storesync.role_functions() IS
'Functions by the kind of role that may call them; an operator may also call an application''s.';

CREATE FUNCTION storesync.role_tables() RETURNS TABLE(kind text, name text, privilege text)
	LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
	VALUES
		('application', 'sku', 'SELECT'),
		('application', 'location', 'SELECT'),
		('application', 'store', 'SELECT'),
		('application', 'listing', 'SELECT'),
		('application', 'stock', 'SELECT'),
		('application', 'listing_status', 'SELECT'),
		('application', 'rate_status', 'SELECT'),
		('application', 'outbox', 'INSERT (subject, kind, version, payload)'),
		('operator', 'platform', 'UPDATE (base_url, rate_limit, max_quantity, returns_on_cancel, order_overlap, look_again, returns_interval, quota_reset, quota_scope, unpaid_hold, sign_path_only, sign_base64)'),
		('operator', 'store', 'UPDATE (name, mode, paused, priority, rate_limit, poll_interval, poll_spread, stock_from, unpaid_hold, returns, timezone, breaker_share, breaker_least, breaker_window, max_price_change)'),
		('operator', 'location', 'UPDATE (name, sellable, priority)'),
		('operator', 'sku', 'UPDATE (name, safety_stock, allow_backorder, solo_below)'),
		('operator', 'listing_found', 'UPDATE (sku, pack)'),
		('operator', 'listing', 'UPDATE (sku_id, pack, share, buffer, cap, enabled, price, price_floor, listed, at_zero)')
$$;
COMMENT ON FUNCTION storesync.role_tables() IS
'Rights on tables by the kind of role. Reporters and operators may also read every table and view but credential, app_credential and instance.';

CREATE FUNCTION storesync.grant_role(role name, kind text) RETURNS void
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	grants text;
BEGIN
	IF kind IS NULL OR kind NOT IN ('operator', 'application', 'reporter') THEN
		RAISE EXCEPTION 'unknown kind of role: "%"', coalesce(kind, 'null')
			USING ERRCODE = '22023', HINT = 'Kinds are operator, application and reporter.';
	END IF;
	SELECT string_agg(format('GRANT %s TO %I', x.what, role), '; ') INTO STRICT grants FROM (
		SELECT 'USAGE ON SCHEMA storesync, storesync_report'
		UNION ALL
		SELECT format('USAGE ON TYPE %s', t.oid::regtype) FROM pg_type t
		WHERE t.typnamespace = 'storesync'::regnamespace AND t.typtype IN ('b', 'e') AND t.typcategory <> 'A'
		UNION ALL
		SELECT format('EXECUTE ON FUNCTION %s', f) FROM storesync.common_functions() f
		UNION ALL
		SELECT format('EXECUTE ON ROUTINE %s', p.oid::regprocedure)
		FROM storesync.role_functions() m
		JOIN pg_proc p ON p.pronamespace = 'storesync'::regnamespace AND p.proname = m.name
		WHERE m.kind = grant_role.kind OR grant_role.kind = 'operator'
		UNION ALL
		SELECT format('%s ON %sstoresync.%I', m.privilege, CASE c.relkind WHEN 'S' THEN 'SEQUENCE ' END, m.name)
		FROM storesync.role_tables() m
		JOIN pg_class c ON c.relnamespace = 'storesync'::regnamespace AND c.relname = m.name
		WHERE m.kind = grant_role.kind OR grant_role.kind = 'operator'
		UNION ALL
		SELECT format('SELECT ON %s', c.oid::regclass) FROM pg_class c
		WHERE grant_role.kind <> 'application' AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition
			AND c.relnamespace IN ('storesync'::regnamespace, 'storesync_report'::regnamespace)
			AND c.relname NOT IN ('credential', 'app_credential', 'instance')) AS x(what);
	EXECUTE grants;
	INSERT INTO storesync.audit (action, subject, after)
	VALUES ('grant role', concat('role ', role), jsonb_build_object('kind', kind));
END
$$;
COMMENT ON FUNCTION storesync.grant_role(name, text) IS
'Gives an existing role what one kind of user needs. application: moves stock, hands in orders, takes calls from the limits. reporter: reads everything but secrets. operator: both, and adds and changes catalogue, credentials and switches. For the owner of storesync or a superuser. Errors: 22023 unknown kind, 42704 no such role, 42501. Example: SELECT storesync.grant_role(''shop_backend'', ''application'');';
-- Rights and dumps. The last module of the install script and of every upgrade script: nothing is
-- granted to PUBLIC, business tables and sequences are dumped, secrets and confirmations are not.

REVOKE ALL ON ALL ROUTINES IN SCHEMA storesync, storesync_report FROM PUBLIC;
DO $$
DECLARE
	type regtype;
	relation regclass;
BEGIN
	FOR type IN
		SELECT t.oid FROM pg_catalog.pg_type t LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid
		WHERE t.typnamespace IN ('storesync'::regnamespace, 'storesync_report'::regnamespace)
			AND t.typcategory <> 'A' AND coalesce(c.relkind, 'c') = 'c'
	LOOP
		EXECUTE pg_catalog.format('REVOKE ALL ON TYPE %s FROM PUBLIC', type);
	END LOOP;
	FOR relation IN
		SELECT c.oid FROM pg_catalog.pg_class c
		WHERE c.relnamespace = 'storesync'::regnamespace AND c.relkind IN ('r', 'p', 'S')
			AND c.relname NOT IN ('partitioned', 'credential', 'app_credential', 'instance', 'token')
	LOOP
		PERFORM pg_catalog.pg_extension_config_dump(relation, '');
	END LOOP;
END
$$;
