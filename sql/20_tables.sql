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
UPDATE storesync.partitioned SET options = 'fillfactor = 80, vacuum_truncate = off' WHERE parent = 'sales_order_line';
UPDATE storesync.partitioned p SET retention = r.retention
FROM (VALUES ('outbox', 'consumed'), ('task_event', 'log'), ('push', 'log'), ('call_log', 'log'), ('order_gap', 'log'),
	('return_notice', 'order'), ('sales_order_line', 'order'), ('order_history', 'order'), ('ledger', 'order'),
	('idempotency', 'key')) AS r(parent, retention)
WHERE p.parent = r.parent;

-- ---------------------------------------------------------------- identity of this database

CREATE TABLE storesync.incarnation (
	incarnation int PRIMARY KEY CHECK (incarnation <= 32767),
	system_identifier bigint NOT NULL,
	database_oid oid NOT NULL,
	reason text NOT NULL,
	started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	recovery bigint NOT NULL DEFAULT 0,
	timeline int NOT NULL DEFAULT 0,
	CONSTRAINT incarnation_reason_check CHECK (reason IN ('new', 'copy', 'recovery', 'promotion'))
);
COMMENT ON TABLE storesync.incarnation IS
'Lives of this data: a dump restored elsewhere finds its stored pair (system identifier, database OID) different from its own and starts the next one (reason copy), a cluster that came out of a backup finds the number of that recovery in no row and does the same (reason recovery), and a standby that was promoted finds another timeline than its own (reason promotion). recovery: recovery_id() when the life began; timeline: the one that was written then, or when the tables were upgraded from 1.0. Transaction ids of different incarnations are never compared.';

CREATE TABLE storesync.instance (
	name text NOT NULL,
	system_identifier bigint NOT NULL,
	database_oid oid NOT NULL,
	confirmed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	confirmed_by name NOT NULL DEFAULT session_user,
	recovery bigint NOT NULL DEFAULT 0
);
COMMENT ON TABLE storesync.instance IS
'The newest row names the instance that may call real platforms (confirm_instance). recovery: recovery_id() then; one that is in no row waits for its operator. Never dumped: a copy waits for its operator.';

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
	sign_base64 boolean NOT NULL DEFAULT false,
	short_weight numeric NOT NULL DEFAULT 1 CHECK (short_weight BETWEEN 0 AND 1000),
	ship_within interval NOT NULL DEFAULT '2 days' CHECK (ship_within BETWEEN '1 hour' AND '366 days')
);
COMMENT ON TABLE storesync.platform IS
'One row per marketplace; an operator may update it (base_url pointing at a simulator or proxy is all that it takes; plain http only on loopback addresses). rate_limit: of the application, NULL for none. returns_on_cancel: the platform raises its own copy when an order is cancelled; NULL: nobody knows, or not when it was cancelled, and the listing is written once more. order_overlap: how far back each order fetch starts before the last one ended, at most 30 days. look_again: ages at which an hour''s orders are listed again and compared with what is booked (docs/intake.md), up to 8, of 30 days at most; {} for never. returns_interval: from one fetch of the list of returns to the next (1 s to 1 day; NULL: it is not fetched). quota_reset: when the day''s calls are granted anew; quota_scope: to whom they are granted, each store or the application with all its stores. unpaid_hold: of stores that are added from now on. sign_path_only, sign_base64: how Ruten''s requests and notifications are signed (docs/ruten.md), over the path instead of the whole URL, in base64 instead of hex; other platforms look at neither. short_weight: how heavily the platform punishes a paid order that is not sent, beside the others (0 to 1000): the first thing that short_work() ranks by; ship_within: how long after it was paid an order has to be sent there (1 hour to 366 days).';

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
	night time[] NOT NULL DEFAULT '{02:00,06:00}' CHECK (cardinality(night) = 2 AND array_ndims(night) = 1
		AND array_position(night, NULL) IS NULL AND night[1] <> night[2]),
	drift_units bigint DEFAULT 20 CHECK (drift_units >= 0),
	drift_share numeric DEFAULT 0.2 CHECK (drift_share >= 0 AND drift_share <= 1),
	drift_least bigint NOT NULL DEFAULT 3 CHECK (drift_least >= 0),
	UNIQUE (platform, shop_id)
);
COMMENT ON TABLE storesync.store IS
'A shop on a platform. mode: off, shadow (orders booked, writes computed, none sent), lower_only, live. paused stops writes, never order intake. priority: the live store with the highest number shows the last units of a SKU. stock_from: cut-over, orders from before it that arrive finished move no stock. poll_interval: from one order fetch to the next, 100 ms to 1 day; poll_spread: how many times as often a busy store is fetched and as seldom a quiet one (1 to 60; 1: always at poll_interval). unpaid_hold: NULL where the platform cancels unpaid orders by itself. breaker_share, breaker_least, breaker_window: when so large a part of its listings (above 0, at most 1; NULL: never), and at least so many, are to change within that time (1 s to 1 day) for another cause than a sale, they are held (docs/breaker.md). max_price_change: the largest part of a listing''s price by which set_price() changes it unless it is forced; NULL: any. night: when its shop is quiet, from and until as its timezone has it (until may be the next day''s): compensate() reads it then. drift_units, drift_share, drift_least: what a shop shows too many or too few, as compensate() finds it, is proposed and not written by itself when it is more than drift_units units, or more than that share of what was expected (NULL: never), but in no case up to drift_least units (docs/compensate.md).';

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
'Keys that callers used, a hash of the request each one stood for and the answer it got. One key, one effect. Of enqueue(): version 0, and in available the task''s id. Of settle_short(): version 0, in on_hand and reserved the units settled and still short, in available the task''s id.';

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

CREATE TABLE storesync.short_decision (
	order_id bigint NOT NULL,
	line_id text NOT NULL,
	decided_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	login name NOT NULL DEFAULT session_user,
	proposal text NOT NULL CHECK (proposal IN ('cancel', 'wait', 'move')),
	task_id bigint,
	until timestamptz,
	location_id int,
	units bigint NOT NULL CHECK (units > 0),
	note text,
	PRIMARY KEY (order_id, line_id),
	CHECK ((proposal = 'cancel') = (task_id IS NOT NULL)),
	CHECK ((proposal = 'wait') = (until IS NOT NULL)),
	CHECK ((proposal = 'move') = (location_id IS NOT NULL))
);
COMMENT ON TABLE storesync.short_decision IS
'What was decided last about a line that the stock did not cover, by whom and when: cancel (by task_id), wait (until), move (of units from location_id). units: of the SKU, that were short, or were moved. Written by settle_short(), which also takes old rows of lines away that wait for nothing any more; all decisions are in storesync.audit.';

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
	CHECK (kind <> 'task' OR (id IS NOT NULL AND subject = id AND payload IS NOT NULL)),
	sale bytea
) PARTITION BY RANGE (at);
COMMENT ON TABLE storesync.outbox IS
'Insert-only: something changed, committed with the change. A stock row says which SKU and its version, never a quantity: that is computed when the call is built. Consumers read it by transaction snapshots (docs/outbox.md). Only tasks have an id, the same as their subject. sale: what the transaction changed in the sales that roll_up() counts, with one of its stock rows, or in a row of its own (kind sale).';

CREATE TABLE storesync.consumer (
	name text PRIMARY KEY CHECK (octet_length(name) BETWEEN 1 AND 200),
	incarnation int,
	snapshot pg_snapshot,
	moved_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	patience interval CHECK (patience > '0')
);
COMMENT ON TABLE storesync.consumer IS
'How far each consumer of the outbox has durably come: everything visible in snapshot is done. Written seldom; the running cursor lives in the worker. patience: after that time without a move nobody waits for it any more, and it has to begin anew; NULL: it is waited for for ever.';

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
'What a platform last acknowledged for a listing, in sold units, with the version it was computed from, when it was sent and when the answer came (written_at). doubt_qty: the larger of old and new while a write is in doubt. sending_qty: committed before a write leaves and taken back with its outcome, so that a dispatcher that dies in between leaves a listing to be written again and not a wrong belief. read_qty, read_at: what a read of the shop found last; it counts as acknowledged then, with version 0. acked_revision: the listing''s revision that it was computed from, NULL before the first acknowledgement. put_off_at, put_off: since when, and in which words, the platform has refused for the moment to have it written; of no meaning once it is older than written_at.';

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
CREATE INDEX ON storesync.compensation (settled_at) WHERE settled_at IS NOT NULL;
COMMENT ON TABLE storesync.compensation IS
'Work that was refused for good or ran out of attempts, with its whole story; task_id and payload: of a task, for which call is the kind. Open until it is settled: requeued, discarded, or overtaken by a newer version; kept for storesync.log_retention after that.';

-- ---------------------------------------------------------------- night

CREATE SEQUENCE storesync.certificate_id_seq;
CREATE TABLE storesync.certificate (
	certificate_id bigint PRIMARY KEY DEFAULT nextval('storesync.certificate_id_seq'),
	started_at timestamptz NOT NULL,
	ended_at timestamptz,
	compared bigint NOT NULL DEFAULT 0,
	differing bigint NOT NULL DEFAULT 0,
	corrected bigint NOT NULL DEFAULT 0,
	left_open bigint NOT NULL DEFAULT 0,
	incarnation int NOT NULL DEFAULT storesync.current_incarnation(),
	scope int[],
	phase text NOT NULL DEFAULT 'replay' CHECK (phase IN ('replay', 'read', 'settle', 'done')),
	pid int,
	called_at timestamptz,
	moved_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	replay_through bigint NOT NULL DEFAULT 0,
	replayed bigint NOT NULL DEFAULT 0,
	overtaken bigint NOT NULL DEFAULT 0,
	resting bigint NOT NULL DEFAULT 0,
	listings bigint NOT NULL DEFAULT 0,
	coverage numeric,
	unverified bigint,
	oldest_verified timestamptz,
	CHECK ((ended_at IS NOT NULL) = (phase = 'done'))
);
-- one run at a time
CREATE UNIQUE INDEX ON storesync.certificate ((ended_at IS NULL)) WHERE ended_at IS NULL;
COMMENT ON TABLE storesync.certificate IS
'Runs of compensate(), one row each; one that has not ended (ended_at NULL) is under way, or was broken off and is taken up by the next call. scope: the stores that were asked for, NULL for all. phase: replay (what was given up), read (shops), settle (corrections are waited for), done. pid, called_at: the session and statement that make it; moved_at: when it last came further. replayed, overtaken, resting: work given up that was tried again, was not wanted any more, was left to people. listings: of the stores that were read; compared: those of them that were read and compared; differing: of these, those that showed something that no order explains; corrected: of these, those whose shop has acknowledged what is wanted; left_open: of these, all others (proposed, or not acknowledged when the run ended). coverage: compared by listings, NULL for none. unverified: enabled listings of live stores that have never been verified in this life of the data; oldest_verified: of the others, the oldest. By store: certificate_store. incarnation: of which life of the data.';

CREATE TABLE storesync.certificate_store (
	certificate_id bigint NOT NULL,
	store_id int NOT NULL,
	state text NOT NULL CHECK (state IN ('left out', 'waiting', 'planned', 'reading', 'read')),
	reason text,
	task_id bigint,
	started_at timestamptz,
	ended_at timestamptz,
	read_until timestamptz,
	moved_at timestamptz,
	calls bigint NOT NULL DEFAULT 0,
	listings bigint NOT NULL DEFAULT 0,
	compared bigint NOT NULL DEFAULT 0,
	learnt bigint NOT NULL DEFAULT 0,
	differing bigint NOT NULL DEFAULT 0,
	proposed bigint NOT NULL DEFAULT 0,
	corrected bigint NOT NULL DEFAULT 0,
	left_open bigint NOT NULL DEFAULT 0,
	moved bigint NOT NULL DEFAULT 0,
	unread bigint NOT NULL DEFAULT 0,
	unverified bigint,
	oldest_verified timestamptz,
	PRIMARY KEY (certificate_id, store_id)
) WITH (fillfactor = 70);
CREATE INDEX ON storesync.certificate_store (store_id) WHERE ended_at IS NULL;
COMMENT ON TABLE storesync.certificate_store IS
'A run of compensate() by store. state: left out (reason says why), waiting (for its night to begin, while the run lasts), planned, reading, read (reason: why not to its end, NULL when nothing was left). task_id: the dispatcher''s task; read_until: end of its night, NULL for a run by hand at another time; calls: about how many were expected. listings: enabled ones at the start; compared, differing, corrected, left_open: as in certificate; learnt: of those compared, those of which nothing was believed; proposed: of those differing, those that people have to confirm (storesync.drift); moved: changed or sold while they were read, each time; unread: their shop did not tell (storesync.verification). unverified, oldest_verified: as in certificate.';

CREATE TABLE storesync.verify_item (
	store_id int NOT NULL,
	place bigint NOT NULL,
	listing_id bigint NOT NULL,
	tries int NOT NULL DEFAULT 0,
	not_before timestamptz,
	since timestamptz,
	PRIMARY KEY (store_id, place),
	UNIQUE (listing_id)
);
COMMENT ON TABLE storesync.verify_item IS
'Listings that the run of compensate() under way has still to read, by store in the order of place. tries: how often its listing moved while it was read; not_before: not read again earlier; since: first read showing fewer than expected, where orders come late. A row goes when its listing is compared.';

CREATE TABLE storesync.verification (
	listing_id bigint PRIMARY KEY,
	incarnation int NOT NULL,
	certificate_id bigint NOT NULL,
	verified_at timestamptz,
	qty bigint,
	failed_at timestamptz,
	failure text,
	CHECK ((verified_at IS NULL) = (qty IS NULL)),
	CHECK ((failed_at IS NULL) = (failure IS NULL))
) WITH (fillfactor = 70);
COMMENT ON TABLE storesync.verification IS
'When compensate() last read a listing in its shop and what that showed (verified_at, qty in sold units), in which life of the data and in which run; failed_at, failure: that it could not be read the last time, and why. Read listing_verified instead: what was verified in another life of the data is not.';

CREATE SEQUENCE storesync.drift_id_seq;
CREATE TABLE storesync.drift (
	drift_id bigint PRIMARY KEY DEFAULT nextval('storesync.drift_id_seq'),
	certificate_id bigint NOT NULL,
	store_id int NOT NULL,
	listing_id bigint NOT NULL,
	expected bigint NOT NULL,
	shown bigint NOT NULL,
	read_at timestamptz NOT NULL,
	found_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	state text NOT NULL CHECK (state IN ('pushed', 'proposed', 'confirmed', 'rejected', 'corrected', 'settled')),
	settled_at timestamptz,
	settled_by text,
	CHECK ((settled_at IS NULL) = (settled_by IS NULL)),
	CHECK ((settled_at IS NOT NULL) = (state IN ('corrected', 'settled')))
);
CREATE INDEX ON storesync.drift (certificate_id, store_id);
CREATE INDEX ON storesync.drift (listing_id) WHERE state IN ('proposed', 'rejected');
CREATE INDEX ON storesync.drift (listing_id) WHERE state IN ('pushed', 'confirmed');
COMMENT ON TABLE storesync.drift IS
'Differences that compensate() found: shown is what a shop showed at read_at, expected what it should have shown then by all that is known, orders fetched afterwards included, in sold units. state: pushed (to be written by itself), proposed (people decide: confirm_drift(), reject_drift()), confirmed (to be written), rejected (left as it is until it is counted or confirmed), corrected (the shop acknowledged what is wanted), settled (over without that; settled_by says how).';

CREATE SEQUENCE storesync.audit_id_seq;
CREATE TABLE storesync.audit (
	audit_id bigint PRIMARY KEY DEFAULT nextval('storesync.audit_id_seq'),
	at timestamptz NOT NULL DEFAULT clock_timestamp(),
	login name NOT NULL DEFAULT session_user,
	application text NOT NULL DEFAULT pg_catalog.current_setting('application_name'),
	action text NOT NULL,
	subject text NOT NULL,
	before jsonb,
	after jsonb,
	transaction xid8 DEFAULT pg_catalog.pg_current_xact_id(),
	incarnation int DEFAULT storesync.current_incarnation()
);
CREATE INDEX ON storesync.audit (at);
CREATE INDEX ON storesync.audit (transaction) WHERE transaction IS NOT NULL;
COMMENT ON TABLE storesync.audit IS 'Append-only: who changed which platform, store, SKU, listing, switch or credential (name only), and how. transaction, incarnation: in which transaction of which life of the data, for undo(); NULL in rows of release 1.0. Kept for storesync.order_retention, which roles were granted for good.';
