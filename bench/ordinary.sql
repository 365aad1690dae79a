-- What stock and orders look like in an ordinary layout: text keys, jsonb payloads, names as text,
-- one balance row that is updated, and an index for each look-up that somebody has to make. It
-- keeps the facts that storesync keeps of the same order: head, lines with what they have booked,
-- a history row, stock with a version, a ledger row and an outbox row per movement.
-- No foreign keys, and no second index where one serves: it is meant to be hard to beat.
CREATE SCHEMA ordinary;

CREATE TABLE ordinary.stock (
	sku text NOT NULL,
	location_id int NOT NULL,
	on_hand bigint NOT NULL,
	reserved bigint NOT NULL DEFAULT 0,
	version bigint NOT NULL DEFAULT 0,
	PRIMARY KEY (sku, location_id),
	CHECK (on_hand >= reserved)
) WITH (fillfactor = 70);

CREATE TABLE ordinary.ledger (
	sku text NOT NULL,
	location_id int NOT NULL,
	version bigint NOT NULL,
	kind text NOT NULL,
	on_hand_delta bigint NOT NULL,
	reserved_delta bigint NOT NULL,
	on_hand bigint NOT NULL,
	reserved bigint NOT NULL,
	idempotency_key text NOT NULL,
	reference text,
	reason text,
	event_at timestamptz NOT NULL,
	recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	PRIMARY KEY (sku, location_id, version)
);

-- Keys of callers with their answers. Orders need none: their number is the key.
CREATE TABLE ordinary.idempotency (
	idempotency_key text PRIMARY KEY,
	fingerprint bigint NOT NULL,
	response jsonb NOT NULL,
	created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- What direct reservations hold.
CREATE TABLE ordinary.reservation (
	sku text NOT NULL,
	location_id int NOT NULL,
	reference text NOT NULL,
	qty bigint NOT NULL CHECK (qty >= 0),
	expires_at timestamptz,
	PRIMARY KEY (sku, location_id, reference)
);

CREATE TABLE ordinary.sales_order (
	store_id int NOT NULL,
	order_sn text NOT NULL,
	status text NOT NULL,
	create_time timestamptz NOT NULL,
	update_time timestamptz NOT NULL,
	fetched_at timestamptz NOT NULL,
	recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	buyer text,
	currency text,
	PRIMARY KEY (store_id, order_sn)
);

CREATE TABLE ordinary.sales_order_line (
	store_id int NOT NULL,
	order_sn text NOT NULL,
	line_id text NOT NULL,
	sku text,
	location_id int,
	ordered_at timestamptz NOT NULL,
	qty bigint NOT NULL CHECK (qty > 0),
	cancelled_qty bigint NOT NULL DEFAULT 0 CHECK (cancelled_qty >= 0),
	returned_qty bigint NOT NULL DEFAULT 0 CHECK (returned_qty >= 0),
	reserved bigint NOT NULL CHECK (reserved >= 0),
	shipped bigint NOT NULL DEFAULT 0 CHECK (shipped >= 0),
	restocked bigint NOT NULL DEFAULT 0 CHECK (restocked >= 0 AND restocked <= shipped),
	short bigint NOT NULL DEFAULT 0 CHECK (short >= 0),
	status text NOT NULL,
	state text NOT NULL,
	item_id text,
	model_id text,
	unit_price numeric,
	reason text,
	PRIMARY KEY (store_id, order_sn, line_id)
);
-- Sales of a SKU since a moment, which the quantity to be shown depends on.
CREATE INDEX ON ordinary.sales_order_line (sku, ordered_at);

CREATE TABLE ordinary.order_history (
	store_id int NOT NULL,
	order_sn text NOT NULL,
	recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	update_time timestamptz NOT NULL,
	fetched_at timestamptz NOT NULL,
	status text NOT NULL,
	outcome text NOT NULL,
	lines jsonb NOT NULL
);
CREATE INDEX ON ordinary.order_history (order_sn);

CREATE TABLE ordinary.outbox (
	id bigserial PRIMARY KEY,
	at timestamptz NOT NULL DEFAULT clock_timestamp(),
	payload jsonb NOT NULL
);

-- What an item of a store sells, and what its platform has acknowledged, for what a dispatcher reads.
CREATE TABLE ordinary.listing (
	listing_id bigint PRIMARY KEY,
	store_id int NOT NULL,
	item_id text NOT NULL,
	sku text NOT NULL,
	acked_qty bigint NOT NULL DEFAULT 0,
	sent_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	UNIQUE (store_id, item_id)
);
CREATE INDEX ON ordinary.listing (sku);
