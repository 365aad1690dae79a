-- What bench/dispatch adds to a database with storesync: the peer's table of tasks, and functions that
-- make one change in either and note when.

CREATE SCHEMA worker;

-- The ordinary way: a row a call, taken with SKIP LOCKED, its outcome written into it.
CREATE TABLE worker.task (
	id bigserial PRIMARY KEY,
	shop_id text NOT NULL,
	path text NOT NULL,
	body jsonb NOT NULL,
	attempts int NOT NULL DEFAULT 0,
	http_status int,
	error text,
	done_at timestamptz
);
CREATE INDEX ON worker.task (id) WHERE done_at IS NULL;

CREATE FUNCTION worker.wake() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	NOTIFY task;
	RETURN NULL;
END
$$;
CREATE TRIGGER wake AFTER INSERT ON worker.task FOR EACH STATEMENT EXECUTE FUNCTION worker.wake();

CREATE FUNCTION worker.add(first bigint, last bigint) RETURNS void LANGUAGE sql
BEGIN ATOMIC
	INSERT INTO worker.task (shop_id, path, body)
	SELECT (1000 + i % 64)::text, '/api/v2/product/update_stock', jsonb_build_object('item_id', 100000 + i, 'stock_list',
		jsonb_build_array(jsonb_build_object('model_id', 0, 'seller_stock', jsonb_build_array(jsonb_build_object('stock', 1000 + i % 1000)))))
	FROM generate_series(first, last) i;
END;

CREATE SCHEMA bench;
CREATE TABLE bench.change (item_id bigint NOT NULL, at timestamptz NOT NULL);
CREATE SEQUENCE bench.turn;

-- One unit of the next SKU is taken: the shop that lists it has to hear of it.
CREATE FUNCTION bench.change_own(skus bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	n bigint := nextval('bench.turn') % skus + 1;
BEGIN
	PERFORM storesync.reserve('S' || n, 1, storesync.new_key());
	INSERT INTO bench.change VALUES (100000 + n, clock_timestamp());
END
$$;

-- The peer gets its task ready made.
CREATE FUNCTION bench.change_worker(skus bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	n bigint := nextval('bench.turn') % skus + 1;
BEGIN
	PERFORM worker.add(n, n);
	INSERT INTO bench.change VALUES (100000 + n, clock_timestamp());
END
$$;
