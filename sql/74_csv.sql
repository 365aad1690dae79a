-- CSV files: staged by csv_load(), every row judged and answered, written by csv_confirm() and not before
-- (docs/csv.md). The columns of a kind, and their order in csv_row.cells: extension/csv_kind.c.

-- Logged: what was looked at is what is confirmed, also after a crash in between.
CREATE SEQUENCE storesync.csv_load_id_seq;
CREATE TABLE storesync.csv_file (
	load_id bigint PRIMARY KEY DEFAULT nextval('storesync.csv_load_id_seq'),
	kind text NOT NULL,
	store_id int,
	reference text,
	encoding text NOT NULL,
	digest text NOT NULL,
	bytes bigint NOT NULL,
	state text NOT NULL DEFAULT 'checked' CHECK (state IN ('checked', 'confirmed', 'discarded')),
	loaded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	loaded_by name NOT NULL DEFAULT session_user,
	settled_at timestamptz,
	settled_by name,
	CHECK ((state = 'checked') = (settled_at IS NULL))
);
COMMENT ON TABLE storesync.csv_file IS
'CSV files that came in by csv_load(): kind, the store and reference given with it, the encoding it was read in, digest (SHA-256 of its bytes, in hex) and length in bytes; state checked (waits for csv_confirm() or csv_discard()), confirmed or discarded, when and by whom. Kept for storesync.order_retention.';

CREATE TABLE storesync.csv_row (
	load_id bigint NOT NULL,
	line int NOT NULL,
	cells text[] NOT NULL,
	fault text,
	verdict text CHECK (verdict IN ('new', 'same', 'changed', 'error')),
	reason text,
	change jsonb,
	PRIMARY KEY (load_id, line)
) WITH (fillfactor = 50);
COMMENT ON TABLE storesync.csv_row IS
'Rows of the files in csv_file: the line on which a row begins, its cells in the order of the kind''s columns (docs/csv.md; NULL: empty, or the file has no such column; \N: to be cleared), fault: what no stock and no catalogue is needed to see; and how it was judged last (csv_answer). Kept for storesync.log_retention.';

CREATE TABLE storesync.csv_booked (
	kind text NOT NULL,
	reference text NOT NULL,
	sku_id bigint NOT NULL,
	location_id int NOT NULL,
	units bigint NOT NULL,
	counted_at timestamptz,
	key storesync.idempotency_key NOT NULL,
	load_id bigint NOT NULL,
	line int NOT NULL,
	booked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	PRIMARY KEY (kind, reference, sku_id, location_id)
);
CREATE INDEX ON storesync.csv_booked (load_id, line);
CREATE INDEX ON storesync.csv_booked (booked_at);
COMMENT ON TABLE storesync.csv_booked IS
'Counts and receipts that came in by CSV files, by what makes one the same as another: kind, reference, SKU and location. units: counted or received; key: of the movement. While a row is here (for storesync.order_retention) the same line of whatever file is the same and not booked again.';

CREATE VIEW storesync.csv_answer AS
SELECT f.load_id, f.kind, f.state, r.line, r.verdict, r.reason,
	CASE WHEN f.kind IN ('found', 'listing', 'price') THEN concat_ws('/', r.cells[2], r.cells[3]) ELSE r.cells[1] END AS subject,
	r.change, r.cells
FROM storesync.csv_file f
JOIN storesync.csv_row r ON r.load_id = f.load_id;
COMMENT ON VIEW storesync.csv_answer IS
'How each row of a CSV file was judged, by csv_load() or csv_check(), and at last by csv_confirm(): the line on which it begins, verdict (new, same, changed, error), why it is an error, what it is about (a SKU, or item/model), and what would change, or was changed: {"column": {"from": …, "to": …}}. Example: SELECT line, subject, reason FROM storesync.csv_answer WHERE load_id = 12 AND verdict = ''error'' ORDER BY line;';

-- ---------------------------------------------------------------- judging

CREATE FUNCTION storesync.csv_spoilt(code text) RETURNS text
	LANGUAGE sql STABLE
	RETURN CASE WHEN $1 ~ '^[0-9](\.[0-9]+)?[Ee][+-][0-9]+$' THEN concat('"', $1, '" looks like a number that a spreadsheet has rounded')
		WHEN $1 ~ '^\s|\s$' THEN concat('"', $1, '" begins or ends with a space') END;
COMMENT ON FUNCTION storesync.csv_spoilt(text) IS
'What is wrong with a code that is not known yet: a spreadsheet has made a rounded number of it (1E+05), or it begins or ends with a space; NULL: nothing. Example: SELECT storesync.csv_spoilt(''1.2E+10'');';

CREATE FUNCTION storesync.csv_alike(what text, n bigint, first int, last int) RETURNS text
	LANGUAGE sql STABLE
	RETURN CASE WHEN $2 > 1 THEN concat($2, ' rows of the file are about ', $1, ', from line ', $3, ' to line ', $4) END;
COMMENT ON FUNCTION storesync.csv_alike(text, bigint, int, int) IS
'Why a row is an error that is not the only one of a file about something; NULL when it is. For csv_judge().';

CREATE FUNCTION storesync.csv_change(names text[], old text[], cells text[]) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'csv_change' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION storesync.csv_change(text[], text[], text[]) IS
'What cells of a CSV file would change of columns with these names and values: {"column": {"from": …, "to": …}}, NULL for nothing. A cell that is NULL leaves its column as it is, \N clears it. Error 22023: not as many of each, or a name is null. Example: SELECT storesync.csv_change(''{name}'', ''{a}'', ''{b}'');';

CREATE FUNCTION storesync.csv_judge_sku(load bigint) RETURNS TABLE(line int, verdict text, reason text, change jsonb)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT r.line,
		CASE WHEN w.reason IS NOT NULL THEN 'error' WHEN k.sku_id IS NULL THEN 'new' WHEN d.change IS NULL THEN 'same' ELSE 'changed' END,
		w.reason, CASE WHEN w.reason IS NULL THEN d.change END
	FROM (
		SELECT x.line, x.cells, x.fault, count(*) OVER same AS n, min(x.line) OVER same AS first, max(x.line) OVER same AS last
		FROM storesync.csv_row x WHERE x.load_id = $1
		WINDOW same AS (PARTITION BY x.cells[1])) r
	LEFT JOIN storesync.sku k ON k.code = r.cells[1]
	CROSS JOIN LATERAL (
		SELECT coalesce(r.fault, storesync.csv_alike('this SKU', r.n, r.first, r.last),
			CASE WHEN k.sku_id IS NULL THEN storesync.csv_spoilt(r.cells[1]) END,
			CASE WHEN k.bundle AND r.cells[4] = 'true' THEN 'a bundle cannot allow backorder: its components say that' END) AS reason
		OFFSET 0) w
	CROSS JOIN LATERAL (
		SELECT storesync.csv_change('{name,safety_stock,allow_backorder,solo_below}',
			ARRAY[k.name, k.safety_stock::text, k.allow_backorder::text, k.solo_below::text], r.cells[2:5]) AS change
		OFFSET 0) d
$$;
COMMENT ON FUNCTION storesync.csv_judge_sku(bigint) IS
'csv_judge() of a file of SKUs.';

CREATE FUNCTION storesync.csv_judge_found(load bigint) RETURNS TABLE(line int, verdict text, reason text, change jsonb)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT r.line,
		CASE WHEN w.reason IS NOT NULL THEN 'error' WHEN d.change IS NULL THEN 'same' WHEN f.sku IS NULL THEN 'new' ELSE 'changed' END,
		w.reason, CASE WHEN w.reason IS NULL THEN d.change END
	FROM (
		SELECT x.line, x.cells, x.fault, CASE WHEN x.fault IS NULL THEN x.cells[1]::int END AS store_id, coalesce(x.cells[3], '') AS model_id,
			count(*) OVER same AS n, min(x.line) OVER same AS first, max(x.line) OVER same AS last
		FROM storesync.csv_row x WHERE x.load_id = $1
		WINDOW same AS (PARTITION BY x.cells[1], x.cells[2], coalesce(x.cells[3], ''))) r
	LEFT JOIN storesync.listing_found f ON f.store_id = r.store_id AND f.item_id = r.cells[2] AND f.model_id = r.model_id
	LEFT JOIN storesync.sku k ON k.code = r.cells[4]
	LEFT JOIN storesync.listing l ON l.store_id = r.store_id AND l.item_id = r.cells[2] AND l.model_id = r.model_id
	LEFT JOIN storesync.sku own ON own.sku_id = l.sku_id
	CROSS JOIN LATERAL (
		SELECT storesync.csv_change('{sku,pack}', ARRAY[f.sku, f.pack::text], r.cells[4:5]) AS change
		OFFSET 0) d
	CROSS JOIN LATERAL (
		SELECT coalesce(r.fault, storesync.csv_alike('this item and model', r.n, r.first, r.last),
			CASE WHEN f.item_id IS NULL THEN coalesce(storesync.csv_spoilt(r.cells[2]), storesync.csv_spoilt(r.cells[3]),
				concat('the last reading of store ', r.store_id, ' has not found it')) END,
			CASE WHEN d.change ? 'sku' AND r.cells[4] <> '\N' AND k.sku_id IS NULL THEN coalesce(storesync.csv_spoilt(r.cells[4]),
				concat('SKU "', r.cells[4], '" does not exist')) END,
			CASE WHEN d.change IS NOT NULL AND l.listing_id IS NOT NULL AND (own.code <> r.cells[4] OR l.pack::text <> r.cells[5])
				THEN concat('it is listing ', l.listing_id, ' already, of SKU "', own.code, '": a file of kind listing changes that') END) AS reason
		OFFSET 0) w
$$;
COMMENT ON FUNCTION storesync.csv_judge_found(bigint) IS
'csv_judge() of a file that says which SKU it is what a reading of a shop''s catalogue has found. new: no SKU was given before.';

CREATE FUNCTION storesync.csv_judge_listing(load bigint) RETURNS TABLE(line int, verdict text, reason text, change jsonb)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT r.line,
		CASE WHEN w.reason IS NOT NULL THEN 'error' WHEN l.listing_id IS NULL THEN 'new' WHEN d.change IS NULL THEN 'same' ELSE 'changed' END,
		w.reason, CASE WHEN w.reason IS NULL THEN d.change END
	FROM (
		SELECT x.line, x.cells, x.fault, CASE WHEN x.fault IS NULL THEN x.cells[1]::int END AS store_id, coalesce(x.cells[3], '') AS model_id,
			count(*) OVER same AS n, min(x.line) OVER same AS first, max(x.line) OVER same AS last
		FROM storesync.csv_row x WHERE x.load_id = $1
		WINDOW same AS (PARTITION BY x.cells[1], x.cells[2], coalesce(x.cells[3], ''))) r
	LEFT JOIN storesync.store s ON s.store_id = r.store_id
	LEFT JOIN storesync.listing l ON l.store_id = r.store_id AND l.item_id = r.cells[2] AND l.model_id = r.model_id
	LEFT JOIN storesync.sku own ON own.sku_id = l.sku_id
	LEFT JOIN storesync.sku k ON k.code = r.cells[4]
	CROSS JOIN LATERAL (
		SELECT coalesce(r.fault, storesync.csv_alike('this item and model', r.n, r.first, r.last),
			CASE WHEN s.store_id IS NULL THEN concat('store ', r.store_id, ' does not exist') END,
			CASE WHEN l.listing_id IS NULL THEN coalesce(storesync.csv_spoilt(r.cells[2]), storesync.csv_spoilt(r.cells[3]),
				CASE WHEN r.cells[4] IS NULL THEN 'a new listing needs a SKU' END) END,
			CASE WHEN r.cells[4] IS NOT NULL AND k.sku_id IS NULL THEN coalesce(storesync.csv_spoilt(r.cells[4]),
				concat('SKU "', r.cells[4], '" does not exist')) END,
			CASE WHEN r.cells[6]::numeric > 1 THEN concat('share "', r.cells[6], '" is larger than 1') END) AS reason
		OFFSET 0) w
	CROSS JOIN LATERAL (
		SELECT storesync.csv_change('{sku,pack,share,buffer,cap,enabled,price_floor,listed,at_zero}',
			ARRAY[own.code, l.pack::text, trim_scale(l.share)::text, l.buffer::text, l.cap::text, l.enabled::text,
				trim_scale(l.price_floor)::text, l.listed::text, l.at_zero], r.cells[4:12]) AS change
		OFFSET 0) d
$$;
COMMENT ON FUNCTION storesync.csv_judge_listing(bigint) IS
'csv_judge() of a file of listings.';

CREATE FUNCTION storesync.csv_judge_price(load bigint) RETURNS TABLE(line int, verdict text, reason text, change jsonb)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT r.line,
		CASE WHEN w.reason IS NOT NULL THEN 'error' WHEN d.change IS NULL THEN 'same' WHEN l.price IS NULL THEN 'new' ELSE 'changed' END,
		w.reason, CASE WHEN w.reason IS NULL THEN d.change END
	FROM (
		SELECT x.line, x.cells, x.fault, CASE WHEN x.fault IS NULL THEN x.cells[1]::int END AS store_id, coalesce(x.cells[3], '') AS model_id,
			CASE WHEN x.fault IS NULL THEN x.cells[4]::numeric END AS price,
			count(*) OVER same AS n, min(x.line) OVER same AS first, max(x.line) OVER same AS last
		FROM storesync.csv_row x WHERE x.load_id = $1
		WINDOW same AS (PARTITION BY x.cells[1], x.cells[2], coalesce(x.cells[3], ''))) r
	LEFT JOIN storesync.listing l ON l.store_id = r.store_id AND l.item_id = r.cells[2] AND l.model_id = r.model_id
	LEFT JOIN storesync.store s ON s.store_id = l.store_id
	CROSS JOIN LATERAL (
		SELECT storesync.csv_change('{price}', ARRAY[trim_scale(l.price)::text], r.cells[4:4]) AS change
		OFFSET 0) d
	CROSS JOIN LATERAL (
		SELECT coalesce(r.fault, storesync.csv_alike('this item and model', r.n, r.first, r.last),
			CASE WHEN l.listing_id IS NULL THEN coalesce(storesync.csv_spoilt(r.cells[2]), storesync.csv_spoilt(r.cells[3]),
				concat('store ', r.store_id, ' has no such listing')) END,
			CASE WHEN r.price = 0 THEN 'a price is above 0' END,
			-- as set_price() has it
			CASE WHEN d.change IS NOT NULL AND r.price < l.price_floor THEN concat('price "', r.cells[4], '" is below the price_floor of the listing, ', trim_scale(l.price_floor)) END,
			CASE WHEN abs(r.price - l.price) > l.price * s.max_price_change AND coalesce(r.cells[5], 'false') = 'false' THEN
				concat('price "', r.cells[4], '" is further from ', trim_scale(l.price), ' than the store allows: say true in column force when it is meant') END) AS reason
		OFFSET 0) w
$$;
COMMENT ON FUNCTION storesync.csv_judge_price(bigint) IS
'csv_judge() of a file of prices. new: the listing had none.';

CREATE FUNCTION storesync.csv_judge_stock(load bigint) RETURNS TABLE(line int, verdict text, reason text, change jsonb)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT r.line, CASE WHEN w.reason IS NOT NULL THEN 'error' WHEN b.units IS NULL THEN 'new' ELSE 'same' END, w.reason,
		CASE WHEN w.reason IS NULL AND b.units IS NULL THEN
			storesync.csv_change(ARRAY[CASE r.kind WHEN 'count' THEN 'counted' ELSE 'received' END, 'location', 'reference'],
				ARRAY[NULL, NULL, NULL]::text[], ARRAY[r.cells[2], r.location, r.cells[4]]) END
	FROM (
		SELECT x.line, x.cells, x.fault, f.kind, coalesce(x.cells[3], 'main') AS location,
			CASE WHEN x.fault IS NULL THEN x.cells[2]::bigint END AS units, CASE WHEN x.fault IS NULL THEN x.cells[5]::timestamptz END AS counted_at,
			count(*) OVER same AS n, min(x.line) OVER same AS first, max(x.line) OVER same AS last
		FROM storesync.csv_row x
		JOIN storesync.csv_file f ON f.load_id = x.load_id
		WHERE x.load_id = $1
		WINDOW same AS (PARTITION BY x.cells[1], coalesce(x.cells[3], 'main'), x.cells[4])) r
	LEFT JOIN storesync.sku k ON k.code = r.cells[1]
	LEFT JOIN storesync.location p ON p.code = r.location
	LEFT JOIN storesync.csv_booked b ON b.kind = r.kind AND b.reference = r.cells[4] AND b.sku_id = k.sku_id AND b.location_id = p.location_id
	CROSS JOIN LATERAL (
		SELECT coalesce(r.fault, storesync.csv_alike('this SKU at this location under this reference', r.n, r.first, r.last),
			CASE WHEN k.sku_id IS NULL THEN coalesce(storesync.csv_spoilt(r.cells[1]), concat('SKU "', r.cells[1], '" does not exist')) END,
			CASE WHEN k.bundle THEN 'a bundle has no stock of its own: its components have' END,
			CASE WHEN p.location_id IS NULL THEN concat('location "', r.location, '" does not exist') END,
			CASE WHEN (b.units, b.counted_at) IS DISTINCT FROM (r.units, r.counted_at) AND b.units IS NOT NULL THEN
				concat('under this reference ', b.units, CASE r.kind WHEN 'count' THEN ' were counted' ELSE ' were received' END, ' already, by load ', b.load_id, ', line ', b.line) END,
			CASE WHEN b.units IS NULL AND r.counted_at > clock_timestamp() THEN 'counted_at is still to come'
				WHEN b.units IS NULL AND r.counted_at < clock_timestamp() - '30 days'::interval THEN 'counted_at is more than 30 days ago' END) AS reason
		OFFSET 0) w
$$;
COMMENT ON FUNCTION storesync.csv_judge_stock(bigint) IS
'csv_judge() of a file of counts or receipts: new, unless the same was booked under the same reference.';

CREATE FUNCTION storesync.csv_judge(load bigint) RETURNS TABLE(line int, verdict text, reason text, change jsonb)
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	SET jit = off
AS $$
BEGIN
	CASE (SELECT f.kind FROM storesync.csv_file f WHERE f.load_id = $1)
		WHEN 'sku' THEN RETURN QUERY SELECT * FROM storesync.csv_judge_sku($1);
		WHEN 'found' THEN RETURN QUERY SELECT * FROM storesync.csv_judge_found($1);
		WHEN 'listing' THEN RETURN QUERY SELECT * FROM storesync.csv_judge_listing($1);
		WHEN 'price' THEN RETURN QUERY SELECT * FROM storesync.csv_judge_price($1);
		WHEN 'count', 'receipt' THEN RETURN QUERY SELECT * FROM storesync.csv_judge_stock($1);
	END CASE;
END
$$;
COMMENT ON FUNCTION storesync.csv_judge(bigint) IS
'What each row of a CSV file would do now: line, verdict, reason and change as in csv_answer. For csv_check() and csv_confirm().';

-- ---------------------------------------------------------------- loading, looking again, throwing away

CREATE FUNCTION storesync.csv_begin(kind text, store int, reference text, encoding text, file bytea) RETURNS bigint
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	made bigint;
	earlier record;
BEGIN
	IF $2 IS NOT NULL AND NOT EXISTS (SELECT FROM storesync.store s WHERE s.store_id = $2) THEN
		RAISE EXCEPTION 'store % does not exist', $2 USING ERRCODE = 'SS002';
	END IF;
	DELETE FROM storesync.csv_row r USING storesync.csv_file f
	WHERE r.load_id = f.load_id AND f.loaded_at < clock_timestamp() - storesync.log_retention();
	DELETE FROM storesync.csv_file f WHERE f.loaded_at < clock_timestamp() - storesync.order_retention();
	DELETE FROM storesync.csv_booked b WHERE b.booked_at < clock_timestamp() - storesync.order_retention();
	SELECT f.load_id, f.settled_at INTO earlier FROM storesync.csv_file f
	WHERE f.digest = encode(sha256($5), 'hex') AND f.kind = $1 AND f.state = 'confirmed' ORDER BY f.load_id DESC LIMIT 1;
	IF FOUND THEN
		RAISE NOTICE 'the very same file was confirmed at % (load %)', date_trunc('second', earlier.settled_at), earlier.load_id;
	END IF;
	INSERT INTO storesync.csv_file (kind, store_id, reference, encoding, digest, bytes)
	VALUES ($1, $2, $3, $4, encode(sha256($5), 'hex'), length($5))
	RETURNING load_id INTO made;
	RETURN made;
END
$$;
COMMENT ON FUNCTION storesync.csv_begin(text, int, text, text, bytea) IS
'For csv_load(): a row of csv_file for a file that is about to be staged; rows of files that are older than storesync.log_retention go, and what csv_file has from before storesync.order_retention.';

CREATE FUNCTION storesync.csv_load(kind text, file oid, store int DEFAULT NULL, encoding text DEFAULT NULL, reference text DEFAULT NULL) RETURNS bigint
	AS 'MODULE_PATHNAME', 'csv_load' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.csv_load(text, oid, int, text, text) IS
'Stages a CSV file that lies in a large object (psql: \lo_import FILE, then :LASTOID) of the caller''s and drops that, judges every row, writes nothing else, and returns the load_id for csv_answer, csv_confirm() and csv_discard(). kind: sku, found, listing, price, count, receipt (docs/csv.md has the columns of each). store: of all rows, where the kind has one. encoding: UTF8 or BIG5; NULL: UTF-8 if all of it is, else Big5 if all of it is. reference: of counts and receipts that have none of their own. Errors: 22023 unknown kind or encoding, 22021 a byte that is not in the encoding, or that the database cannot hold (its offset is told), 22P04 a quote that is never closed (its line is told), a header with an unknown, repeated or missing column, or no header, 54000 more than 64 MB or 200000 rows, SS002 unknown store, 42704 no such large object, 42501 somebody else''s, 22004 null, 25006 on a standby. Example: SELECT storesync.csv_load(''sku'', :LASTOID);';

CREATE FUNCTION storesync.csv_open(load bigint) RETURNS storesync.csv_file
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	file storesync.csv_file;
BEGIN
	SELECT f.* INTO file FROM storesync.csv_file f WHERE f.load_id = $1 FOR UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'CSV load % does not exist', coalesce($1::text, 'null') USING ERRCODE = '22023';
	END IF;
	IF file.state <> 'checked' THEN
		RAISE EXCEPTION 'CSV load % was % already', $1, file.state
			USING ERRCODE = '55000', DETAIL = format('By %s at %s.', file.settled_by, file.settled_at);
	END IF;
	IF NOT EXISTS (SELECT FROM storesync.csv_row r WHERE r.load_id = $1) AND file.loaded_at < clock_timestamp() - storesync.log_retention() THEN
		RAISE EXCEPTION 'CSV load % is too old', $1 USING ERRCODE = '55000', HINT = 'Load the file again.';
	END IF;
	RETURN file;
END
$$;
COMMENT ON FUNCTION storesync.csv_open(bigint) IS
'Locks a CSV file that waits to be confirmed or discarded and returns its row; 22023 there is none, 55000 it was, or its rows have gone by age.';

CREATE FUNCTION storesync.csv_check(load bigint) RETURNS TABLE(verdict text, rows bigint)
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	SET jit = off
AS $$
BEGIN
	PERFORM storesync.csv_open($1);
	UPDATE storesync.csv_row r SET verdict = j.verdict, reason = j.reason, change = j.change
	FROM storesync.csv_judge($1) j
	WHERE r.load_id = $1 AND r.line = j.line AND (r.verdict, r.reason, r.change) IS DISTINCT FROM (j.verdict, j.reason, j.change);
	RETURN QUERY SELECT r.verdict, count(*) FROM storesync.csv_row r WHERE r.load_id = $1 GROUP BY r.verdict ORDER BY r.verdict;
END
$$;
COMMENT ON FUNCTION storesync.csv_check(bigint) IS
'Judges the rows of a CSV file that waits once more, as they stand to the tables now, and answers how many there are of each verdict; csv_answer has the rows. Errors: 22023 no such load, 55000 confirmed or discarded already, or older than storesync.log_retention, 25006 on a standby. Example: SELECT * FROM storesync.csv_check(12);';

CREATE FUNCTION storesync.csv_discard(load bigint) RETURNS void
	LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT storesync.csv_open($1);
	DELETE FROM storesync.csv_row r WHERE r.load_id = $1;
	UPDATE storesync.csv_file f SET state = 'discarded', settled_at = clock_timestamp(), settled_by = session_user WHERE f.load_id = $1;
$$;
COMMENT ON FUNCTION storesync.csv_discard(bigint) IS
'Throws the rows of a CSV file away that waits to be confirmed. Errors: 22023 no such load, 55000 confirmed or discarded already, 25006 on a standby. Example: SELECT storesync.csv_discard(12);';

-- ---------------------------------------------------------------- writing

CREATE FUNCTION storesync.csv_write_sku(load bigint, lines int[]) RETURNS bigint
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	made bigint;
	changed bigint;
BEGIN
	INSERT INTO storesync.location (code) SELECT 'main' WHERE NOT EXISTS (SELECT FROM storesync.location p WHERE p.code = 'main')
	ON CONFLICT DO NOTHING;
	WITH added AS (
		-- what a file does not say is as add_sku() has it
		INSERT INTO storesync.sku (code, name, safety_stock, allow_backorder, solo_below)
		SELECT r.cells[1], nullif(r.cells[2], '\N'), coalesce(r.cells[3]::bigint, 0), coalesce(r.cells[4]::boolean, false), coalesce(r.cells[5]::bigint, 3)
		FROM storesync.csv_row r WHERE r.load_id = $1 AND r.line = ANY ($2) AND r.verdict = 'new'
		ORDER BY r.cells[1] COLLATE "C"
		ON CONFLICT DO NOTHING RETURNING *),
	said AS (
		INSERT INTO storesync.audit (action, subject, after)
		SELECT 'add', concat('sku ', a.sku_id), to_jsonb(a) FROM added a ORDER BY a.sku_id)
	SELECT count(*) INTO made FROM added;
	UPDATE storesync.sku k SET name = CASE WHEN r.cells[2] IS NULL THEN k.name ELSE nullif(r.cells[2], '\N') END,
		safety_stock = coalesce(r.cells[3]::bigint, k.safety_stock), allow_backorder = coalesce(r.cells[4]::boolean, k.allow_backorder),
		solo_below = coalesce(r.cells[5]::bigint, k.solo_below)
	FROM storesync.csv_row r
	WHERE r.load_id = $1 AND r.line = ANY ($2) AND r.verdict = 'changed' AND k.code = r.cells[1];
	GET DIAGNOSTICS changed = ROW_COUNT;
	RETURN made + changed;
END
$$;
COMMENT ON FUNCTION storesync.csv_write_sku(bigint, int[]) IS
'For csv_confirm(): writes these lines of a file of SKUs; returns how many it wrote.';

CREATE FUNCTION storesync.csv_write_found(load bigint, lines int[]) RETURNS bigint
	LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
	WITH given AS (
		UPDATE storesync.listing_found f SET sku = CASE WHEN r.cells[4] IS NULL THEN f.sku ELSE nullif(r.cells[4], '\N') END,
			pack = coalesce(r.cells[5]::int, f.pack)
		FROM storesync.csv_row r
		WHERE r.load_id = $1 AND r.line = ANY ($2) AND f.store_id = r.cells[1]::int AND f.item_id = r.cells[2] AND f.model_id = coalesce(r.cells[3], '')
		RETURNING 1)
	SELECT count(*) FROM given
$$;
COMMENT ON FUNCTION storesync.csv_write_found(bigint, int[]) IS
'For csv_confirm(): writes these lines of a file that says what was found; returns how many it wrote.';

CREATE FUNCTION storesync.csv_write_listing(load bigint, lines int[]) RETURNS bigint
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	made bigint[];
	changed bigint;
BEGIN
	WITH added AS (
		-- what a file does not say is as add_listing() has it
		INSERT INTO storesync.listing (store_id, sku_id, item_id, model_id, pack, share, buffer, cap, enabled, price_floor, listed, at_zero)
		SELECT r.cells[1]::int, k.sku_id, r.cells[2], r.cells[3], coalesce(r.cells[5]::int, 1), coalesce(r.cells[6]::numeric, 1),
			coalesce(r.cells[7]::bigint, 0), nullif(r.cells[8], '\N')::bigint, coalesce(r.cells[9]::boolean, true),
			nullif(r.cells[10], '\N')::numeric, coalesce(r.cells[11]::boolean, true), coalesce(r.cells[12], 'quantity')
		FROM storesync.csv_row r
		JOIN storesync.sku k ON k.code = r.cells[4]
		WHERE r.load_id = $1 AND r.line = ANY ($2) AND r.verdict = 'new'
		ORDER BY r.cells[1]::int, r.cells[2] COLLATE "C", r.cells[3] COLLATE "C"
		ON CONFLICT DO NOTHING RETURNING *),
	said AS (
		INSERT INTO storesync.audit (action, subject, after)
		SELECT 'add', concat('listing ', a.listing_id), to_jsonb(a) FROM added a ORDER BY a.listing_id)
	SELECT coalesce(array_agg(a.listing_id ORDER BY a.listing_id), '{}') INTO made FROM added a;
	IF cardinality(made) > 0 THEN
		PERFORM storesync.outbox_add('listing', made);
		PERFORM storesync.tell_siblings(made);
		PERFORM storesync.take_up_listings(made);
	END IF;
	UPDATE storesync.listing l SET sku_id = coalesce(k.sku_id, l.sku_id), pack = coalesce(r.cells[5]::int, l.pack),
		share = coalesce(r.cells[6]::numeric, l.share), buffer = coalesce(r.cells[7]::bigint, l.buffer),
		cap = CASE WHEN r.cells[8] IS NULL THEN l.cap ELSE nullif(r.cells[8], '\N')::bigint END,
		enabled = coalesce(r.cells[9]::boolean, l.enabled),
		price_floor = CASE WHEN r.cells[10] IS NULL THEN l.price_floor ELSE nullif(r.cells[10], '\N')::numeric END,
		listed = coalesce(r.cells[11]::boolean, l.listed), at_zero = coalesce(r.cells[12], l.at_zero)
	FROM storesync.csv_row r
	LEFT JOIN storesync.sku k ON k.code = r.cells[4]
	WHERE r.load_id = $1 AND r.line = ANY ($2) AND r.verdict = 'changed'
		AND l.store_id = r.cells[1]::int AND l.item_id = r.cells[2] AND l.model_id = coalesce(r.cells[3], '');
	GET DIAGNOSTICS changed = ROW_COUNT;
	RETURN cardinality(made) + changed;
END
$$;
COMMENT ON FUNCTION storesync.csv_write_listing(bigint, int[]) IS
'For csv_confirm(): writes these lines of a file of listings; returns how many it wrote.';

CREATE FUNCTION storesync.csv_write_price(load bigint, lines int[]) RETURNS bigint
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	changed bigint;
BEGIN
	UPDATE storesync.listing l SET price = r.cells[4]::numeric
	FROM storesync.csv_row r
	WHERE r.load_id = $1 AND r.line = ANY ($2) AND l.store_id = r.cells[1]::int AND l.item_id = r.cells[2] AND l.model_id = coalesce(r.cells[3], '');
	GET DIAGNOSTICS changed = ROW_COUNT;
	RETURN changed;
END
$$;
COMMENT ON FUNCTION storesync.csv_write_price(bigint, int[]) IS
'For csv_confirm(): writes these lines of a file of prices; returns how many it wrote.';

CREATE FUNCTION storesync.csv_write_stock(load bigint, lines int[]) RETURNS bigint
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	written bigint;
BEGIN
	INSERT INTO storesync.csv_booked (kind, reference, sku_id, location_id, units, counted_at, key, load_id, line)
	SELECT f.kind, r.cells[4], k.sku_id, p.location_id, r.cells[2]::bigint, r.cells[5]::timestamptz,
		storesync.derive_key(clock_timestamp(), 'csv', f.kind, r.cells[4], k.code, p.code), $1, r.line
	FROM storesync.csv_row r
	JOIN storesync.csv_file f ON f.load_id = r.load_id
	JOIN storesync.sku k ON k.code = r.cells[1]
	JOIN storesync.location p ON p.code = coalesce(r.cells[3], 'main')
	WHERE r.load_id = $1 AND r.line = ANY ($2);
	-- places in the order of locks, what is of one place in the order of the file
	SELECT count(*) INTO written
	FROM (
		SELECT b.*, k.code AS sku, p.code AS location
		FROM storesync.csv_booked b
		JOIN storesync.sku k ON k.sku_id = b.sku_id
		JOIN storesync.location p ON p.location_id = b.location_id
		WHERE b.load_id = $1 AND b.line = ANY ($2)
		ORDER BY b.sku_id, b.location_id, b.line OFFSET 0) z
	CROSS JOIN LATERAL (
		SELECT CASE z.kind WHEN 'count' THEN (storesync.adjust(z.sku, z.units, z.key, z.location, z.reference, z.counted_at)).version
			ELSE (storesync.receive(z.sku, z.units, z.key, z.location, z.reference)).version END AS version
		OFFSET 0) m
	WHERE m.version > 0;
	RETURN written;
END
$$;
COMMENT ON FUNCTION storesync.csv_write_stock(bigint, int[]) IS
'For csv_confirm(): books these lines of a file of counts or receipts; returns how many it booked.';

-- Rows that exist stay as they are from here to the end; those that are new meet others at their unique index.
CREATE FUNCTION storesync.csv_lock(load bigint, kind text) RETURNS void
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF $2 IN ('count', 'receipt') THEN
		-- two files of one reference, one after the other; csv_load(), which deletes what is too old, beside them
		LOCK TABLE storesync.csv_booked IN SHARE UPDATE EXCLUSIVE MODE;
	END IF;
	IF $2 = 'listing' THEN
		PERFORM FROM storesync.store s WHERE s.store_id IN (
			SELECT r.cells[1]::int FROM storesync.csv_row r WHERE r.load_id = $1 AND r.verdict = 'new')
		ORDER BY s.store_id FOR KEY SHARE;
	END IF;
	IF $2 = 'sku' THEN
		PERFORM FROM storesync.sku k WHERE k.code IN (
			SELECT r.cells[1] FROM storesync.csv_row r WHERE r.load_id = $1 AND r.verdict = 'changed')
		ORDER BY k.sku_id FOR NO KEY UPDATE;
	ELSIF $2 IN ('found', 'listing') THEN
		PERFORM FROM storesync.sku k WHERE k.code IN (
			SELECT r.cells[4] FROM storesync.csv_row r WHERE r.load_id = $1 AND r.verdict IN ('new', 'changed'))
		ORDER BY k.sku_id FOR KEY SHARE;
	END IF;
	IF $2 IN ('listing', 'price') THEN
		PERFORM FROM storesync.listing l
		WHERE (l.store_id, l.item_id, l.model_id) IN (
			SELECT r.cells[1]::int, r.cells[2], coalesce(r.cells[3], '') FROM storesync.csv_row r WHERE r.load_id = $1 AND r.verdict IN ('new', 'changed'))
		ORDER BY l.listing_id FOR NO KEY UPDATE;
	ELSIF $2 = 'found' THEN
		PERFORM FROM storesync.listing_found f
		WHERE (f.store_id, f.item_id, f.model_id) IN (
			SELECT r.cells[1]::int, r.cells[2], coalesce(r.cells[3], '') FROM storesync.csv_row r WHERE r.load_id = $1 AND r.verdict IN ('new', 'changed'))
		ORDER BY f.store_id, f.item_id, f.model_id FOR NO KEY UPDATE;
	END IF;
END
$$;
COMMENT ON FUNCTION storesync.csv_lock(bigint, text) IS
'For csv_confirm(): locks what the rows of a CSV file refer to and change, each table in the order of its ids.';

CREATE FUNCTION storesync.csv_confirm(load bigint, all_or_nothing boolean DEFAULT false) RETURNS TABLE(verdict text, rows bigint)
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	SET jit = off
AS $$
DECLARE
	file storesync.csv_file := storesync.csv_open($1);
	batch constant int := 10000;
	lines int[];
	part int[];
	written bigint;
BEGIN
	PERFORM storesync.csv_lock($1, file.kind);
	-- nothing is written that was not seen
	UPDATE storesync.csv_row r SET verdict = CASE WHEN j.verdict = 'same' THEN 'same' ELSE 'error' END,
		reason = CASE WHEN j.verdict IN ('same', 'error') THEN j.reason ELSE 'it would not do now what was shown when the file was checked' END,
		change = CASE WHEN j.verdict <> 'error' THEN j.change END
	FROM storesync.csv_judge($1) j
	WHERE r.load_id = $1 AND r.line = j.line AND (r.verdict, r.change) IS DISTINCT FROM (j.verdict, j.change);
	IF $2 AND EXISTS (SELECT FROM storesync.csv_row r WHERE r.load_id = $1 AND r.verdict = 'error') THEN
		RAISE EXCEPTION 'CSV load % has rows with errors', $1
			USING ERRCODE = '22000', DETAIL = (
				SELECT string_agg(format('Line %s: %s.', e.line, e.reason), E'\n' ORDER BY e.line)
				FROM (SELECT r.line, r.reason FROM storesync.csv_row r WHERE r.load_id = $1 AND r.verdict = 'error' ORDER BY r.line LIMIT 20) e),
			HINT = 'Nothing was written. csv_answer has all of them after csv_check().';
	END IF;
	-- counts and receipts in the order of the places that they lock
	SELECT coalesce(array_agg(r.line ORDER BY
		CASE WHEN file.kind IN ('count', 'receipt') THEN (SELECT k.sku_id FROM storesync.sku k WHERE k.code = r.cells[1]) END,
		CASE WHEN file.kind IN ('count', 'receipt') THEN (SELECT p.location_id FROM storesync.location p WHERE p.code = coalesce(r.cells[3], 'main')) END,
		r.cells[1] COLLATE "C", r.cells[2] COLLATE "C", r.cells[3] COLLATE "C", r.line), '{}') INTO lines
	FROM storesync.csv_row r WHERE r.load_id = $1 AND r.verdict IN ('new', 'changed');
	FOR at IN 1 .. cardinality(lines) BY batch LOOP
		part := lines[at : at + batch - 1];
		CASE file.kind
			WHEN 'sku' THEN written := storesync.csv_write_sku($1, part);
			WHEN 'found' THEN written := storesync.csv_write_found($1, part);
			WHEN 'listing' THEN written := storesync.csv_write_listing($1, part);
			WHEN 'price' THEN written := storesync.csv_write_price($1, part);
			WHEN 'count', 'receipt' THEN written := storesync.csv_write_stock($1, part);
		END CASE;
		IF written <> cardinality(part) THEN
			RAISE EXCEPTION 'what CSV load % adds was added by somebody else meanwhile', $1
				USING ERRCODE = '40001', HINT = 'Nothing was written. Confirm it again.';
		END IF;
		RAISE NOTICE '% of % rows written', at - 1 + written, cardinality(lines);
	END LOOP;
	IF file.kind = 'sku' AND EXISTS (SELECT FROM storesync.csv_row r WHERE r.load_id = $1 AND r.verdict = 'new') THEN
		PERFORM storesync.take_up_parked();
	END IF;
	UPDATE storesync.csv_file f SET state = 'confirmed', settled_at = clock_timestamp(), settled_by = session_user WHERE f.load_id = $1;
	INSERT INTO storesync.audit (action, subject, after)
	SELECT 'import', concat('csv ', $1), jsonb_build_object('kind', file.kind, 'store_id', file.store_id, 'reference', file.reference, 'digest', file.digest)
		|| coalesce((SELECT jsonb_object_agg(n.verdict, n.rows) FROM (
			SELECT r.verdict, count(*) AS rows FROM storesync.csv_row r WHERE r.load_id = $1 GROUP BY r.verdict) n), '{}')
	WHERE cardinality(lines) > 0;
	RETURN QUERY SELECT r.verdict, count(*) FROM storesync.csv_row r WHERE r.load_id = $1 GROUP BY r.verdict ORDER BY r.verdict;
END
$$;
COMMENT ON FUNCTION storesync.csv_confirm(bigint, boolean) IS
'Writes the rows of a CSV file that were judged new or changed, in one transaction, with an audit row each as if by hand and one for the file, unless nothing is written; answers how many rows there are of each verdict. The file is judged again first: a row that would not do now what csv_answer shows becomes an error and is left out (csv_check() judges anew, to be looked at and confirmed), one that says what is there by now is same. all_or_nothing: when any row is an error nothing is written. Progress is told by a NOTICE every 10000 rows. Errors: 22000 all_or_nothing and rows with errors, the first twenty of them; 22023 no such load, 55000 confirmed or discarded already, or too old, 40001 somebody adds the same at the same time: confirm again, 25006 on a standby. Example: SELECT * FROM storesync.csv_confirm(12);';
