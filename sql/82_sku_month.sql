-- Sales and stock of a SKU by month (docs/rollup.md): the rows that roll_up() writes, and the view of them.

-- Of 32 SKUs at a time: a row costs as much to write as all that is said of them (sku_sums.h).
CREATE TABLE storesync.sku_block (
	block bigint NOT NULL,
	month date NOT NULL CHECK (extract(day FROM month) = 1),
	sums bytea NOT NULL,
	PRIMARY KEY (block, month)
) WITH (fillfactor = 70);
COMMENT ON TABLE storesync.sku_block IS
'Sales and stock of SKUs by month of Asia/Taipei, packed: a row has those with the same sku_id / 32. View sku_month shows them SKU by SKU. Written by roll_up().';

CREATE FUNCTION storesync.sku_sums_rows(block bigint, sums bytea)
	RETURNS TABLE(sku_id bigint, sold bigint, amount bigint, returned bigint, stock_seconds bigint, empty_seconds bigint, received bigint,
		shipped bigint, on_hand bigint, available bigint, through timestamptz)
	AS 'MODULE_PATHNAME', 'sku_sums_rows' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 32;
COMMENT ON FUNCTION storesync.sku_sums_rows(bigint, bytea) IS
'What storesync.sku_block.sums says of each SKU of that block of which it says anything; columns as in sku_month. Error XX001 for other bytes. Example: SELECT x.* FROM storesync.sku_block b, storesync.sku_sums_rows(b.block, b.sums) x WHERE b.block = 1000 / 32 AND x.sku_id = 1000;';

CREATE FUNCTION storesync.sku_sums_step(state internal, sku_id bigint, sold bigint, amount bigint, returned bigint, stock_seconds bigint,
	empty_seconds bigint, received bigint, shipped bigint, on_hand bigint, available bigint, through timestamptz) RETURNS internal
	AS 'MODULE_PATHNAME', 'sku_sums_step' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION storesync.sku_sums_step(internal, bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint, timestamptz) IS
'Step of sku_sums().';
CREATE FUNCTION storesync.sku_sums_final(state internal) RETURNS bytea
	AS 'MODULE_PATHNAME', 'sku_sums_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION storesync.sku_sums_final(internal) IS 'Result of sku_sums().';
CREATE AGGREGATE storesync.sku_sums(sku_id bigint, sold bigint, amount bigint, returned bigint, stock_seconds bigint, empty_seconds bigint,
	received bigint, shipped bigint, on_hand bigint, available bigint, through timestamptz) (
	SFUNC = storesync.sku_sums_step,
	STYPE = internal,
	SSPACE = 3000,
	FINALFUNC = storesync.sku_sums_final,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE storesync.sku_sums(bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint, timestamptz) IS
'The other way round: storesync.sku_block.sums of SKUs of one block, one row for each (of two for the same SKU one counts); through, whole seconds, is NULL of a SKU without stock. NULL of no rows. Errors: 22023 for a SKU of another block, 22004 for another null. Example: SELECT storesync.sku_sums(m.sku_id, m.sold, m.amount, m.returned, m.stock_seconds, m.empty_seconds, m.received, m.shipped, m.on_hand, m.available, m.through) FROM storesync.sku_month m GROUP BY m.block, m.month;';

CREATE FUNCTION storesync.sku_sums_merge(sums bytea, more bytea) RETURNS bytea
	AS 'MODULE_PATHNAME', 'sku_sums_merge' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION storesync.sku_sums_merge(bytea, bytea) IS
'The one with the sales of the other added, and with its stock in place of its own where the other has stock. Errors: 22003 for a sum beyond bigint, XX001 for other bytes. For what writes storesync.sku_block alone.';
CREATE FUNCTION storesync.sku_sums_sales(sums bytea) RETURNS bytea
	AS 'MODULE_PATHNAME', 'sku_sums_sales' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION storesync.sku_sums_sales(bytea) IS
'The sales of it, without stock. Error XX001 for other bytes. For what writes storesync.sku_block alone.';
CREATE FUNCTION storesync.sku_sums_stock(sums bytea) RETURNS bytea
	AS 'MODULE_PATHNAME', 'sku_sums_stock' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION storesync.sku_sums_stock(bytea) IS
'The stock of it, without sales. Error XX001 for other bytes. For what writes storesync.sku_block alone.';
CREATE FUNCTION storesync.sku_sums_next(sums bytea, at timestamptz) RETURNS bytea
	AS 'MODULE_PATHNAME', 'sku_sums_next' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION storesync.sku_sums_next(bytea, timestamptz) IS
'What a month begins with whose month before ended like this: on_hand and available of SKUs that have stock, through that moment. Error XX001 for other bytes. For what writes storesync.sku_block alone.';

CREATE VIEW storesync.sku_month AS
SELECT x.sku_id, b.month, x.sold, x.amount, x.returned, x.stock_seconds, x.empty_seconds, x.received, x.shipped, x.on_hand, x.available,
	x.through, b.block
FROM storesync.sku_block b CROSS JOIN LATERAL storesync.sku_sums_rows(b.block, b.sums) x;
COMMENT ON VIEW storesync.sku_month IS
'Sales and stock of a SKU by month of Asia/Taipei. sold, amount: by the orders'' create_time, of lines of that SKU, in its units and in hundredths of their currency, unpaid and cancelled ones left out. From the ledger, by recorded_at: received, shipped, returned (units that came in, were sent, came back); and at sellable locations, in whole seconds up to `through`: stock_seconds, units on hand times seconds; empty_seconds, with nothing available; on_hand, available: then. through: NULL without a row of the ledger. At a later moment of the month, up to its end or to roll_up_stock.through, stock_seconds is on_hand larger for each second since, and so is empty_seconds by 1 with nothing available (storesync_report.stock_month tells both so). block: sku_id / 32, by which a SKU''s rows are found without looking at all others. Example: SELECT * FROM storesync.sku_month WHERE sku_id = 1000 AND block = 1000 / 32;';
