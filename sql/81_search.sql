-- Orders and products by a fragment of text (extension/search*.c, docs/search.md).
--
-- The catalogue is searched by GIN indexes on the grams of its text. Orders are not indexed where they are
-- booked: what they are found by is packed afterwards, a run of orders at a time, into rows that are made
-- once and read in parts. Whatever is in no run yet is looked through.

CREATE FUNCTION storesync.search_grams(VARIADIC texts text[]) RETURNS int[]
	AS 'MODULE_PATHNAME', 'search_grams' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;
COMMENT ON FUNCTION storesync.search_grams(text[]) IS
'Every two and every three characters on end of each text, hashed, NULL passed over: what the indexes behind search_products() contain. Small and capital letters are the same, full-width forms as plain ones. Example: SELECT storesync.search_grams(''T-SHIRT-M'', ''T 恤'');';

CREATE FUNCTION storesync.search_query(fragment text, max int) RETURNS int[]
	AS 'MODULE_PATHNAME', 'search_query' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 5;
COMMENT ON FUNCTION storesync.search_query(text, int) IS
'What search_grams() of any text with this fragment contains. Errors: 22004 null argument, 22023 fragment shorter than 2 characters (spaces at its ends not counted) or longer than 200 bytes, or max not within 1 to 1000. Example: SELECT storesync.search_query(''shirt'', 50);';

CREATE FUNCTION storesync.search_contains(value text, fragment text) RETURNS boolean
	AS 'MODULE_PATHNAME', 'search_contains' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION storesync.search_contains(text, text) IS
'Whether a text has a fragment, as searches compare: capitals and full-width forms are the same as small and plain ones; %, _ and \ are characters as others. Errors: 22023 fragment too short or too long. Example: SELECT storesync.search_contains(''ＡＢＣ-1'', ''bc-'');  -- true';

-- ---------------------------------------------------------------- products

CREATE INDEX ON storesync.sku USING gin (storesync.search_grams(code, name));
CREATE INDEX ON storesync.listing USING gin (storesync.search_grams(item_id, model_id));
CREATE INDEX ON storesync.listing_seen USING gin (storesync.search_grams(name, seller_code));

-- Exact codes and ids first; then each kind in turn, as far as there is room for it.
CREATE FUNCTION storesync.search_products(fragment text, max int DEFAULT 50)
	RETURNS TABLE(sku_id bigint, code text, name text, listing_id bigint, store_id int, item_id text, model_id text, field text, matched text)
	LANGUAGE sql STABLE SECURITY DEFINER ROWS 50 SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
	WITH asked AS MATERIALIZED (SELECT storesync.search_query($1, $2) AS grams),
	found AS MATERIALIZED (
		SELECT x.* FROM (
			SELECT 1 AS rank, k.sku_id, NULL::bigint AS listing_id, NULL::int AS store_id, NULL::text AS item_id, NULL::text AS model_id, 'sku' AS field, k.code AS matched
			FROM asked, storesync.sku k WHERE k.code = btrim($1)
			UNION ALL
			SELECT 2, k.sku_id, NULL, NULL, NULL, NULL, m.field, m.matched
			FROM storesync.sku k
			CROSS JOIN LATERAL (SELECT y.field, y.matched FROM (VALUES ('sku', k.code), ('name', k.name)) AS y(field, matched)
				WHERE storesync.search_contains(y.matched, $1) LIMIT 1) m
			WHERE storesync.search_grams(k.code, k.name) @> (SELECT a.grams FROM asked a) AND k.code <> btrim($1)
			UNION ALL
			SELECT 3, l.sku_id, l.listing_id, l.store_id, l.item_id, nullif(l.model_id, ''), m.field, m.matched
			FROM storesync.listing l
			CROSS JOIN LATERAL (SELECT y.field, y.matched FROM (VALUES ('item', l.item_id), ('model', l.model_id)) AS y(field, matched)
				WHERE storesync.search_contains(y.matched, $1) LIMIT 1) m
			WHERE storesync.search_grams(l.item_id, l.model_id) @> (SELECT a.grams FROM asked a)
			UNION ALL
			SELECT 4, l.sku_id, l.listing_id, f.store_id, f.item_id, nullif(f.model_id, ''), m.field, m.matched
			FROM storesync.listing_seen f
			JOIN storesync.listing_walk w ON w.run = f.run AND w.current
			LEFT JOIN storesync.listing l ON l.store_id = f.store_id AND l.item_id = f.item_id AND l.model_id = f.model_id
			CROSS JOIN LATERAL (SELECT y.field, y.matched FROM (VALUES ('title', f.name), ('seller code', f.seller_code)) AS y(field, matched)
				WHERE storesync.search_contains(y.matched, $1) LIMIT 1) m
			WHERE storesync.search_grams(f.name, f.seller_code) @> (SELECT a.grams FROM asked a)) x
		-- max is looked at first
		LIMIT (SELECT CASE WHEN a.grams IS NOT NULL THEN $2 END FROM asked a))
	SELECT g.sku_id, k.code, k.name, g.listing_id, g.store_id, g.item_id, g.model_id, g.field, g.matched
	FROM found g LEFT JOIN storesync.sku k ON k.sku_id = g.sku_id
	ORDER BY g.rank, k.code, g.store_id, g.item_id, g.model_id
$$;
COMMENT ON FUNCTION storesync.search_products(text, int) IS
'Products with a fragment (2 characters at least, 200 bytes at most, Chinese or Latin, capitals and full-width forms the same as small and plain ones) in the code or name of the SKU, in the item or model id of a listing, or in the title or seller''s code that the last reading of a shop''s catalogue found; at most max rows (1 to 1000): the SKU of that code, then SKUs, listings, what was found, as far as there is room. field says where it is: sku, name, item, model, title, seller code; matched has the text. A listing has a row of its own beside its SKU; what was found and is no listing has no sku_id. No row: nothing matches. Which rows come when there are more than max is not defined. Works on a standby. Errors: 22004 null argument, 22023 fragment or max out of range. Example: SELECT code, name, field, matched FROM storesync.search_products(''棉T'');';

-- ---------------------------------------------------------------- runs of orders

CREATE TABLE storesync.search_run (
	from_id bigint PRIMARY KEY,
	ids int NOT NULL CHECK (ids IN (4096, 65536)),
	orders int NOT NULL CHECK (orders > 0),
	lists bytea NOT NULL
);
ALTER TABLE storesync.search_run ALTER lists SET STORAGE EXTERNAL;
COMMENT ON TABLE storesync.search_run IS
'What searches find orders by: for the order ids from from_id on, ids of them, lists of those that have two characters and the one after them in their number or buyer, or a SKU in their lines (extension/search_lists.h). orders: how many there were. Made by search_step() from orders, and made anew from them after a restore: not dumped.';

CREATE TABLE storesync.search_changed (
	order_id bigint NOT NULL
);
ALTER TABLE storesync.search_changed REPLICA IDENTITY FULL;
COMMENT ON TABLE storesync.search_changed IS
'Orders that came to have another buyer, another line or a SKU after they were made: searches look at them whatever runs say, until search_step() has added them to their run. Written with the change.';

CREATE TABLE storesync.search_progress (
	is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
	through bigint NOT NULL DEFAULT 0,
	complete bigint NOT NULL DEFAULT 0,
	seen bigint NOT NULL DEFAULT 0,
	waits_for text[] NOT NULL DEFAULT '{}',
	checked bigint NOT NULL DEFAULT -1
);
COMMENT ON TABLE storesync.search_progress IS
'How far search_step() has come: order ids below through are in runs; those below complete are of transactions that have ended; those below seen may be of transactions in waits_for; runs up to checked were looked at for orders that have gone. Its row is the lock of whoever takes a step. Not dumped: a restored copy begins anew.';
INSERT INTO storesync.search_progress DEFAULT VALUES;

CREATE FUNCTION storesync.search_pack_add(state internal, ordinal int, texts text[], sku bigint) RETURNS internal
	AS 'MODULE_PATHNAME', 'search_pack_add' LANGUAGE C IMMUTABLE;
COMMENT ON FUNCTION storesync.search_pack_add(internal, int, text[], bigint) IS 'A step of the aggregate search_pack().';
CREATE FUNCTION storesync.search_merge_add(state internal, lists bytea, base int) RETURNS internal
	AS 'MODULE_PATHNAME', 'search_merge_add' LANGUAGE C IMMUTABLE;
COMMENT ON FUNCTION storesync.search_merge_add(internal, bytea, int) IS 'A step of the aggregate search_merge().';
CREATE FUNCTION storesync.search_pack_end(state internal) RETURNS bytea
	AS 'MODULE_PATHNAME', 'search_pack_end' LANGUAGE C IMMUTABLE;
COMMENT ON FUNCTION storesync.search_pack_end(internal) IS 'The end of the aggregates search_pack() and search_merge().';

CREATE AGGREGATE storesync.search_pack(ordinal int, texts text[], sku bigint) (
	SFUNC = storesync.search_pack_add, STYPE = internal, SSPACE = 1000000, FINALFUNC = storesync.search_pack_end, FINALFUNC_MODIFY = READ_WRITE);
COMMENT ON AGGREGATE storesync.search_pack(int, text[], bigint) IS
'Lists of a run of orders: of each order its ordinal in the run (0 to 65535) with texts, a SKU, or both (NULL: none). Error 22023 for an ordinal out of range.';
CREATE AGGREGATE storesync.search_merge(lists bytea, base int) (
	SFUNC = storesync.search_merge_add, STYPE = internal, SSPACE = 1000000, FINALFUNC = storesync.search_pack_end, FINALFUNC_MODIFY = READ_WRITE);
COMMENT ON AGGREGATE storesync.search_merge(bytea, int) IS
'Lists of several runs as those of one, the ordinals of each raised by base. Errors: 22023 base out of range, XX001 lists are damaged.';

CREATE FUNCTION storesync.search_lists(from_id bigint, ids int, chosen bigint[] DEFAULT NULL, OUT orders int, OUT lists bytea)
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
	SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
BEGIN
	IF $3 IS NULL THEN
		SELECT count(x.texts), storesync.search_pack((x.order_id - $1)::int, x.texts, x.sku_id) INTO orders, lists FROM (
			SELECT o.order_id, ARRAY[o.order_sn, o.buyer] AS texts, NULL::bigint AS sku_id
			FROM storesync.sales_order o WHERE o.order_id >= $1 AND o.order_id < $1 + $2
			UNION ALL
			SELECT l.order_id, NULL, l.sku_id
			FROM storesync.sales_order_line l WHERE l.order_id >= $1 AND l.order_id < $1 + $2 AND l.sku_id IS NOT NULL) x;
	ELSE
		SELECT count(x.texts), storesync.search_pack((x.order_id - $1)::int, x.texts, x.sku_id) INTO orders, lists FROM (
			SELECT o.order_id, ARRAY[o.order_sn, o.buyer] AS texts, NULL::bigint AS sku_id
			FROM storesync.sales_order o WHERE o.order_id = ANY ($3)
			UNION ALL
			SELECT l.order_id, NULL, l.sku_id
			FROM storesync.sales_order_line l WHERE l.order_id = ANY ($3) AND l.sku_id IS NOT NULL) x;
	END IF;
END
$$;
COMMENT ON FUNCTION storesync.search_lists(bigint, int, bigint[]) IS
'Lists of a run as its orders are now, of all of them or of some, and how many orders that are; NULL without any.';

-- Ids are taken before rows are seen. So the next id is read first, then who has the table open, and when
-- all these have ended every row with a lower id is there or never will be.
CREATE FUNCTION storesync.search_complete(progress storesync.search_progress) RETURNS storesync.search_progress
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	here oid := (SELECT d.oid FROM pg_database d WHERE d.datname = current_database());
BEGIN
	FOR i IN 1..2 LOOP
		-- a prepared transaction has changed its name
		EXIT WHEN EXISTS (SELECT FROM pg_locks k WHERE k.database = here AND k.relation = 'storesync.sales_order'::regclass
			AND (k.virtualtransaction = ANY (progress.waits_for) OR k.virtualtransaction LIKE '-1/%'));
		progress.complete := progress.seen;
		progress.seen := (SELECT CASE WHEN s.is_called THEN s.last_value + 1 ELSE s.last_value END FROM storesync.order_id_seq s);
		progress.waits_for := ARRAY(SELECT DISTINCT k.virtualtransaction FROM pg_locks k
			WHERE k.database = here AND k.relation = 'storesync.sales_order'::regclass AND k.pid IS DISTINCT FROM pg_backend_pid());
	END LOOP;
	RETURN progress;
END
$$;
COMMENT ON FUNCTION storesync.search_complete(storesync.search_progress) IS
'The progress given, with the ids below which no order can come to light any more.';

CREATE FUNCTION storesync.search_absorb() RETURNS boolean
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	run storesync.search_run;
	changed bigint[];
BEGIN
	IF (SELECT count(*) FROM (SELECT FROM storesync.search_changed LIMIT 256) x) < 256 THEN
		RETURN false;
	END IF;
	SELECT r.* INTO run FROM storesync.search_changed c
	JOIN storesync.search_run r ON r.from_id = (SELECT max(y.from_id) FROM storesync.search_run y WHERE y.from_id <= c.order_id)
		AND c.order_id < r.from_id + r.ids
	GROUP BY r.from_id ORDER BY count(*) DESC LIMIT 1;
	IF NOT FOUND THEN
		-- they are in no run yet, or gone
		DELETE FROM storesync.search_changed c WHERE c.order_id < (SELECT p.through FROM storesync.search_progress p);
		RETURN FOUND;
	END IF;
	-- taken away first: whoever commits a change meanwhile commits another row of his own
	WITH gone AS (DELETE FROM storesync.search_changed c
		WHERE c.order_id >= run.from_id AND c.order_id < run.from_id + run.ids RETURNING c.order_id)
	SELECT array_agg(DISTINCT g.order_id) INTO changed FROM gone g;
	UPDATE storesync.search_run r SET lists = (SELECT storesync.search_merge(x.lists, 0) FROM (
		SELECT run.lists UNION ALL SELECT y.lists FROM storesync.search_lists(run.from_id, run.ids, changed) y) x)
	WHERE r.from_id = run.from_id;
	RETURN true;
END
$$;
COMMENT ON FUNCTION storesync.search_absorb() IS
'A part of search_step(): adds orders that have changed to their run, when there are many. False: there are not.';

CREATE FUNCTION storesync.search_forget(checked bigint) RETURNS bigint
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	run record;
	last bigint := -1;
	made record;
BEGIN
	FOR run IN SELECT r.from_id, r.ids, r.orders FROM storesync.search_run r WHERE r.from_id > $1 AND r.ids = 65536 ORDER BY r.from_id LIMIT 4 LOOP
		last := run.from_id;
		CONTINUE WHEN run.orders < 2 * (SELECT count(*) FROM storesync.sales_order o WHERE o.order_id >= run.from_id AND o.order_id < run.from_id + run.ids);
		made := storesync.search_lists(run.from_id, run.ids);
		IF made.orders > 0 THEN
			UPDATE storesync.search_run r SET orders = made.orders, lists = made.lists WHERE r.from_id = run.from_id;
		ELSE
			DELETE FROM storesync.search_run r WHERE r.from_id = run.from_id;
		END IF;
	END LOOP;
	RETURN last;
END
$$;
COMMENT ON FUNCTION storesync.search_forget(bigint) IS
'A part of search_step(): looks at some runs after the id given, drops those whose orders have gone, and makes those anew of which half have. Returns the last one looked at, -1 after the last of all.';

CREATE FUNCTION storesync.search_step(most int DEFAULT 4096) RETURNS boolean
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	progress storesync.search_progress;
	block bigint;
	merged record;
	made record;
	ids int := 4096;
BEGIN
	IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
		RAISE EXCEPTION 'search_step() needs a snapshot of its own for each statement'
			USING ERRCODE = '25001', HINT = 'Call it in a transaction of isolation level READ COMMITTED.';
	END IF;
	SELECT p.* INTO progress FROM storesync.search_progress p FOR UPDATE SKIP LOCKED;
	IF NOT FOUND THEN
		RETURN false;
	END IF;
	-- sixteen runs that are complete become one
	SELECT r.from_id / 65536 * 65536 INTO block FROM storesync.search_run r
	WHERE r.ids = 4096 AND r.from_id < progress.through / 65536 * 65536 ORDER BY r.from_id LIMIT 1;
	IF FOUND THEN
		SELECT sum(r.orders)::int AS orders, storesync.search_merge(r.lists, (r.from_id - block)::int) AS lists INTO merged
		FROM storesync.search_run r WHERE r.from_id >= block AND r.from_id < block + 65536;
		DELETE FROM storesync.search_run r WHERE r.from_id >= block AND r.from_id < block + 65536;
		INSERT INTO storesync.search_run VALUES (block, 65536, merged.orders, merged.lists);
		UPDATE storesync.search_progress p SET checked = storesync.search_forget(progress.checked);
		RETURN true;
	END IF;
	IF storesync.search_absorb() THEN
		RETURN true;
	END IF;
	IF progress.complete < progress.through + 4096 THEN
		progress := storesync.search_complete(progress);
		UPDATE storesync.search_progress p SET complete = progress.complete, seen = progress.seen, waits_for = progress.waits_for;
	END IF;
	-- ids that nobody has are passed over
	progress.through := greatest(progress.through, (SELECT coalesce(min(o.order_id), progress.complete) / 4096 * 4096
		FROM storesync.sales_order o WHERE o.order_id >= progress.through AND o.order_id < progress.complete));
	UPDATE storesync.search_progress p SET through = progress.through WHERE p.through <> progress.through;
	IF progress.complete < progress.through + 4096 THEN
		RETURN false;
	END IF;
	IF most >= 65536 AND progress.through % 65536 = 0 AND progress.complete >= progress.through + 65536 THEN
		ids := 65536;
	END IF;
	DELETE FROM storesync.search_changed c WHERE c.order_id >= progress.through AND c.order_id < progress.through + ids;
	made := storesync.search_lists(progress.through, ids);
	IF made.orders > 0 THEN
		INSERT INTO storesync.search_run VALUES (progress.through, ids, made.orders, made.lists);
	END IF;
	UPDATE storesync.search_progress p SET through = progress.through + ids,
		checked = CASE ids WHEN 65536 THEN storesync.search_forget(p.checked) ELSE p.checked END;
	RETURN true;
END
$$;
COMMENT ON FUNCTION storesync.search_step(int) IS
'One bounded step, some tens of milliseconds, towards runs of all orders: packs the next 4096 order ids (with most of 65536 or more, as many at once where there are so many), makes sixteen such runs one, adds orders that have changed, or drops runs of orders that have gone. False: there is nothing to do for now, or somebody else is at it. No order waits for it, and it waits for nobody. The dispatcher calls it every few seconds while orders come. Errors: 25001 under REPEATABLE READ, 25006 on a standby. Example: SELECT storesync.search_step();';

CREATE PROCEDURE storesync.search_refresh()
	LANGUAGE plpgsql
AS $$
BEGIN
	-- as many orders as can have an id in years
	FOR i IN 1..1000000 LOOP
		EXIT WHEN NOT storesync.search_step(65536);
		COMMIT;
	END LOOP;
END
$$;
COMMENT ON PROCEDURE storesync.search_refresh() IS
'Calls search_step(), each in a transaction of its own, until there is nothing to do: after many orders were loaded, or now and then where no dispatcher runs. Errors: those of search_step(); 2D000 inside a transaction block. Example: CALL storesync.search_refresh();';

CREATE VIEW storesync.search_status AS
SELECT p.through, greatest(x.next_id - p.through, 0) AS behind,
	(SELECT count(*) FROM storesync.search_run r) AS runs,
	(SELECT coalesce(sum(r.orders), 0) FROM storesync.search_run r)::bigint AS orders,
	(SELECT count(*) FROM storesync.search_changed c) AS changed,
	pg_catalog.pg_total_relation_size('storesync.search_run') AS bytes, p.waits_for
FROM storesync.search_progress p
CROSS JOIN (SELECT coalesce(max(o.order_id), 0) + 1 AS next_id FROM storesync.sales_order o) x;
COMMENT ON VIEW storesync.search_status IS
'How far searches of orders have their runs: order ids below through are in one of `runs`, which hold `orders` and take `bytes`; behind: ids that have to be looked through, up to 8192 where the dispatcher works; changed: orders that are looked at whatever runs say; waits_for: virtual transaction ids (pg_locks) that have to end before more can be packed. Example: SELECT behind, bytes FROM storesync.search_status;';

-- ---------------------------------------------------------------- orders

CREATE FUNCTION storesync.search_orders(fragment text, max int DEFAULT 50)
	RETURNS TABLE(order_id bigint, store_id int, order_sn text, status storesync.order_status, create_time timestamptz, buyer text, field text, matched text)
	AS 'MODULE_PATHNAME', 'search_orders' LANGUAGE C STABLE ROWS 50 COST 10000;
COMMENT ON FUNCTION storesync.search_orders(text, int) IS
'Orders with a fragment (2 characters at least, 200 bytes at most, Chinese or Latin, capitals and full-width forms the same as small and plain ones) in their number, their buyer, or the code or name of a SKU in their lines (of a line that has none: the code that its document names); at most max of them (1 to 1000), those that were booked last first. field says where it is, the first that fits: order_sn, buyer, sku, product; matched has the text. Buyers are looked at and shown only to callers who may read storesync.sales_order themselves: not to an application. No row: nothing matches. Works on a standby. Errors: 22004 null argument, 22023 fragment or max out of range. Example: SELECT order_sn, buyer, field, matched FROM storesync.search_orders(''棉T'', 20);';
