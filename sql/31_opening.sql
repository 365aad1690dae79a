-- What is left of the ledger's rows when their partition goes (docs/partitions.md): opening balances.
--
-- A row of the ledger counts for an invariant when its version is above its place's opening, so openings
-- may be written, place by place, long before the partition that they stand for is dropped.

CREATE TABLE storesync.ledger_opening (
	sku_id bigint NOT NULL,
	location_id int NOT NULL,
	version bigint NOT NULL CHECK (version > 0),
	on_hand bigint NOT NULL,
	reserved bigint NOT NULL,
	at timestamptz NOT NULL,
	PRIMARY KEY (sku_id, location_id)
);
COMMENT ON TABLE storesync.ledger_opening IS
'Where the ledger of a SKU at a location begins: the balance, in units, after the row of that version, recorded at `at`. That row and all before it have gone, or are about to; the next one is there.';

CREATE TABLE storesync.holder_opening (
	sku_id bigint NOT NULL,
	location_id int NOT NULL,
	reference text NOT NULL,
	version bigint NOT NULL,
	reserved bigint NOT NULL,
	shipped bigint NOT NULL,
	restocked bigint NOT NULL,
	PRIMARY KEY (sku_id, location_id, reference)
);
COMMENT ON TABLE storesync.holder_opening IS
'What the rows that have gone from the ledger say of a holder of direct calls that is still there: units reserved less released, shipped, restocked, by version.';

CREATE TABLE storesync.line_opening (
	order_id bigint NOT NULL,
	line_id text NOT NULL,
	effects bigint NOT NULL,
	reserved bigint NOT NULL,
	shipped bigint NOT NULL,
	restocked bigint NOT NULL,
	PRIMARY KEY (order_id, line_id)
);
COMMENT ON TABLE storesync.line_opening IS
'What the rows that have gone from the ledger say of an order line that is still there, because its order is open: how many there were, and units reserved less released, shipped, restocked.';

CREATE TABLE storesync.retired (
	parent name PRIMARY KEY CHECK (parent IN ('ledger', 'sales_order_line')),
	through timestamptz NOT NULL DEFAULT '-infinity',
	xid xid8,
	under_way timestamptz,
	last_id bigint NOT NULL DEFAULT 0,
	last_location int NOT NULL DEFAULT 0,
	highest_order bigint NOT NULL DEFAULT 0
);
COMMENT ON TABLE storesync.retired IS
'How far the ledger and the orders have been made ready to go: all partitions that end at `through` or before are, since the transaction xid. under_way: the end of the partition that is being seen to, NULL for none; last_id, last_location: order, or SKU and location, of it that was looked at last. highest_order: orders with ids up to it that are not there have gone by age.';
