-- Stock by month (docs/rollup.md): columns of sku_month that come from the ledger.
--
-- Each row of the ledger is taken once, month after month, a stretch of time after the other, up to a moment
-- before which nothing more will be recorded.

CREATE TABLE storesync.roll_up_stock (
	only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
	month date NOT NULL,
	through timestamptz NOT NULL,
	rows_behind bigint NOT NULL DEFAULT 0,
	doing text NOT NULL DEFAULT 'take' CHECK (doing IN ('reset', 'take', 'turn')),
	last_sku bigint NOT NULL DEFAULT 0,
	upto timestamptz,
	rows_upto bigint,
	until timestamptz,
	ended_at timestamptz
);
COMMENT ON TABLE storesync.roll_up_stock IS
'How far the columns of sku_month that come from the ledger are: they have all rows recorded before `through`, which lies in `month` or ends it, those of SKUs up to last_sku all before `upto` where that is set; rows_behind and rows_upto: how many of these rows lie in the partition of either moment. Months before are final. doing: take takes rows of the ledger; turn, where a month has ended, makes the rows of the next and has come to last_sku; reset, where months are made once more, takes out what they said and has come to last_sku. The pass under way goes up to `until` (NULL: none is), the last one ended at ended_at. One row, none before the first pass.';

-- The ledger of a month that is made ready to go is not whole.
CREATE FUNCTION storesync.ledger_kept_from() RETURNS timestamptz
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT coalesce(max(greatest(r.through, r.under_way)), '-infinity') FROM storesync.retired r WHERE r.parent = 'ledger'
$$;
COMMENT ON FUNCTION storesync.ledger_kept_from() IS
'The moment from which on all rows of the ledger are there; of those before some may have gone by age (-infinity: none has). Example: SELECT storesync.ledger_kept_from();';

-- Who moves stock takes the time after he has got its lock, and with it a transaction id.
CREATE FUNCTION storesync.recorded_through() RETURNS timestamptz
	LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT date_trunc('second', least(clock_timestamp() - '1 second'::interval,
		(SELECT min(a.xact_start) FROM pg_stat_activity a
			WHERE a.datname = current_database() AND a.backend_xid IS NOT NULL AND a.pid <> pg_backend_pid()),
		(SELECT min(p.prepared) - '1 hour'::interval FROM pg_prepared_xacts p WHERE p.database = current_database())))
$$;
COMMENT ON FUNCTION storesync.recorded_through() IS
'A moment, in whole seconds, before which no row of the ledger is still to be committed: where the oldest transaction that writes began (of a prepared one: an hour before it was prepared). Example: SELECT storesync.recorded_through();';

CREATE FUNCTION storesync.roll_up_stock_slice(month date, since timestamptz, until timestamptz, behind bigint, after bigint, most int,
	OUT reached timestamptz, OUT rows_behind bigint, OUT last_sku bigint)
	AS 'MODULE_PATHNAME', 'roll_up_stock_slice' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION storesync.roll_up_stock_slice(date, timestamptz, timestamptz, bigint, bigint, int) IS
'Takes rows of the ledger recorded from since on and before until, both whole seconds of that month of Asia/Taipei, into sku_month: of the next SKUs with ids above `after`, up to last_sku (0: all), those before `reached`, which is `until` or, where after is 0, so much sooner that memory is enough. All are NULL when the rows are still being gathered, which a session goes on with when it is called again: each call does what taking some `most` rows costs. rows_behind: how many rows of the partition in which `reached` lies are older. reached is NULL, and nothing done, when the partition in which since lies has not `behind` rows that are older. For roll_up_stock_step() alone.';

-- How many rows of the partition in which a moment lies are older.
CREATE FUNCTION storesync.ledger_rows_behind(at timestamptz) RETURNS bigint
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT count(*) FROM storesync.ledger g
	WHERE g.recorded_at >= (SELECT d.from_at FROM storesync.partition_days('ledger') d WHERE $1 >= d.from_at AND $1 < d.to_at)
		AND g.recorded_at < $1
$$;
COMMENT ON FUNCTION storesync.ledger_rows_behind(timestamptz) IS
'How many rows of the partition of the ledger in which that moment lies were recorded before it. For roll_up_stock_step() alone.';

-- The first month of the ledger of which all rows are there; NULL without a ledger.
CREATE FUNCTION storesync.roll_up_stock_first() RETURNS date
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT date_trunc('month', greatest(min(d.from_at), storesync.ledger_kept_from() + '1 month'::interval) AT TIME ZONE 'Asia/Taipei')::date
	FROM storesync.partition_days('ledger') d
$$;
COMMENT ON FUNCTION storesync.roll_up_stock_first() IS
'The first month of Asia/Taipei of which the ledger has all rows; NULL without partitions. Example: SELECT storesync.roll_up_stock_first();';

CREATE FUNCTION storesync.roll_up_stock_begin(first date, after bigint, last bigint) RETURNS void
	LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
	UPDATE storesync.sku_block b SET sums = storesync.sku_sums_sales(b.sums)
	WHERE b.block >= ($2 + 1) / 32 AND b.block <= $3 / 32 AND b.month >= $1;
	INSERT INTO storesync.sku_block AS b (block, month, sums)
	SELECT k.sku_id / 32, $1, storesync.sku_sums(k.sku_id, 0, 0, 0, 0, 0, 0, 0, k.on_hand, k.available, $1::timestamp AT TIME ZONE 'Asia/Taipei')
	FROM (
		SELECT x.sku_id, sum(x.on_hand * c.sellable::int)::bigint AS on_hand, sum((x.on_hand - x.reserved) * c.sellable::int)::bigint AS available
		FROM (
			SELECT o.sku_id, o.location_id, o.on_hand, o.reserved FROM storesync.ledger_opening o WHERE o.sku_id > $2 AND o.sku_id <= $3
			UNION ALL
			SELECT g.sku_id, g.location_id, g.on_hand_delta, g.reserved_delta
			FROM storesync.ledger g LEFT JOIN storesync.ledger_opening o ON o.sku_id = g.sku_id AND o.location_id = g.location_id
			WHERE g.recorded_at < $1::timestamp AT TIME ZONE 'Asia/Taipei' AND g.version > coalesce(o.version, 0) AND g.sku_id > $2 AND g.sku_id <= $3) x
		JOIN storesync.location c ON c.location_id = x.location_id
		GROUP BY x.sku_id) k
	GROUP BY 1 ORDER BY 1
	ON CONFLICT ON CONSTRAINT sku_block_pkey DO UPDATE SET sums = storesync.sku_sums_merge(b.sums, excluded.sums)
$$;
COMMENT ON FUNCTION storesync.roll_up_stock_begin(date, bigint, bigint) IS
'Takes what the ledger says out of sku_month from a month on, of SKUs with ids above `after` up to `last`, both the last of a block (or 0), and writes how they stood at its beginning, by openings and the rows before it. For roll_up_stock_step() alone.';

CREATE FUNCTION storesync.roll_up_stock_back(month date, after bigint, last bigint) RETURNS void
	LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off
AS $$
	UPDATE storesync.sku_block b SET sums = storesync.sku_sums_merge(storesync.sku_sums_sales(b.sums),
		coalesce(storesync.sku_sums_next(x.sums, $1::timestamp AT TIME ZONE 'Asia/Taipei'), ''))
	FROM storesync.sku_block n
	LEFT JOIN storesync.sku_block x ON x.block = n.block AND n.month = $1 AND x.month = ($1 - '1 month'::interval)::date
	WHERE n.block >= ($2 + 1) / 32 AND n.block <= $3 / 32 AND n.month >= $1 AND b.block = n.block AND b.month = n.month
$$;
COMMENT ON FUNCTION storesync.roll_up_stock_back(date, bigint, bigint) IS
'Takes what the ledger says out of sku_month from a month on, of SKUs with ids above `after` up to `last`, both the last of a block (or 0); its own rows stand as the month before ended. For roll_up_stock_step() alone.';

-- Portions of a reset: false when another beginning is to be taken, because rows of the ledger go by age.
CREATE FUNCTION storesync.roll_up_stock_reset(month date, after bigint, most int, OUT goes_on boolean, OUT last_sku bigint)
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	first date;
BEGIN
	-- what was there at the beginning is told by openings as well as by rows
	LOCK TABLE storesync.retired IN SHARE MODE;
	first := storesync.roll_up_stock_first();
	-- the last of its block
	last_sku := ($2 + $3) / 32 * 32 + 31;
	IF NOT EXISTS (SELECT FROM storesync.sku k WHERE k.sku_id > last_sku) THEN
		last_sku := NULL;
	END IF;
	goes_on := coalesce($1 >= first, false);
	IF $1 > first THEN
		PERFORM storesync.roll_up_stock_back($1, $2, coalesce(last_sku, 9223372036854775807));
	ELSIF goes_on THEN
		PERFORM storesync.roll_up_stock_begin($1, $2, coalesce(last_sku, 9223372036854775807));
	END IF;
END
$$;
COMMENT ON FUNCTION storesync.roll_up_stock_reset(date, bigint, int) IS
'Takes what the ledger says out of sku_month from a month on, of SKUs with about the next `most` ids above `after`, whole blocks; their rows stand as the month before ended. last_sku: the last of these ids, NULL when none is left. goes_on: false, and nothing done, when the month is not whole. For roll_up_stock_step() alone.';

-- A month has ended: the rows of the next begin as its rows stand, which are not written for that: they stand like
-- this until its end.
CREATE FUNCTION storesync.roll_up_stock_next(month date, after bigint, most int) RETURNS bigint
	LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off
AS $$
	WITH span AS MATERIALIZED (
		SELECT ($1 + '1 month'::interval)::date AS next,
			(SELECT max(x.block) FROM (
				SELECT b.block FROM storesync.sku_block b
				WHERE b.block >= ($2 + 1) / 32 AND b.month = $1 ORDER BY b.block LIMIT $3) x) AS last),
	begins AS (
		INSERT INTO storesync.sku_block AS b (block, month, sums)
		SELECT x.block, s.next, n.sums
		FROM span s
		JOIN storesync.sku_block x ON x.block >= ($2 + 1) / 32 AND x.block <= s.last AND x.month = $1
		CROSS JOIN LATERAL storesync.sku_sums_next(x.sums, s.next::timestamp AT TIME ZONE 'Asia/Taipei') n (sums)
		WHERE n.sums <> ''
		ORDER BY x.block
		ON CONFLICT ON CONSTRAINT sku_block_pkey DO UPDATE SET sums = storesync.sku_sums_merge(b.sums, excluded.sums))
	SELECT s.last * 32 + 31 FROM span s
$$;
COMMENT ON FUNCTION storesync.roll_up_stock_next(date, bigint, int) IS
'Makes the rows of sku_month of the month after that one, of the next `most` blocks of SKUs with ids above `after`, from how they stand at its end. The last id of these blocks; NULL when there was none left. For roll_up_stock_step() alone.';

-- Where the months begin that are made once more: rows that came in behind lie in the same partition, or are of the clock's time.
CREATE FUNCTION storesync.roll_up_stock_again(month date, through timestamptz) RETURNS date
	LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT greatest(storesync.roll_up_stock_first(), least($1, date_trunc('month', clock_timestamp() AT TIME ZONE 'Asia/Taipei')::date, (
		SELECT date_trunc('month', max(d.from_at) AT TIME ZONE 'Asia/Taipei')::date
		FROM storesync.partition_days('ledger') d WHERE d.from_at <= $2)))
$$;
COMMENT ON FUNCTION storesync.roll_up_stock_again(date, timestamptz) IS
'The month from which on stock by month is to be made once more when rows were recorded behind `through`, which lies in that month. For roll_up_stock_step() alone.';

CREATE FUNCTION storesync.roll_up_stock_step(most int DEFAULT 1000000, every interval DEFAULT '0') RETURNS boolean
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
DECLARE
	pass storesync.roll_up_stock;
	late boolean;
	took record;
	month_ends timestamptz;
	-- to turn a block of SKUs costs as much as some rows, and so does each of the SKUs that are reset
	blocks int := greatest($1 / 10, 1);
	skus int := greatest($1 / 5, 1);
BEGIN
	-- what was committed before `until` has to be seen
	IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
		RAISE EXCEPTION 'roll_up_stock_step() needs a snapshot of its own for each statement'
			USING ERRCODE = '25001', HINT = 'Call it in a transaction of isolation level READ COMMITTED.';
	END IF;
	IF $1 NOT BETWEEN 1 AND 1000000 THEN
		RAISE EXCEPTION 'number of rows must be between 1 and 1000000' USING ERRCODE = '22023';
	END IF;
	SELECT r.* INTO pass FROM storesync.roll_up_stock r FOR UPDATE;
	IF pass.only_row IS NULL THEN
		-- one session begins, after those who change which places sell
		LOCK TABLE storesync.roll_up_stock IN SHARE ROW EXCLUSIVE MODE;
		INSERT INTO storesync.roll_up_stock (month, through, doing)
		SELECT f.month, f.month::timestamp AT TIME ZONE 'Asia/Taipei', 'reset'
		FROM storesync.roll_up_stock_first() f (month) WHERE f.month IS NOT NULL
		ON CONFLICT ON CONSTRAINT roll_up_stock_pkey DO NOTHING;
		RETURN (SELECT true FROM storesync.roll_up_stock);
	END IF;
	-- somebody has set the clock back: what is recorded from now on lies behind
	late := greatest(pass.through, pass.upto) > clock_timestamp() AND pass.doing <> 'reset';
	IF NOT late AND pass.until IS NULL AND pass.ended_at > clock_timestamp() - $2 AND pass.ended_at <= clock_timestamp() THEN
		RETURN false;
	END IF;
	IF pass.until IS NULL OR late THEN
		-- who was active is otherwise as this transaction saw it first
		PERFORM pg_stat_clear_snapshot();
		pass.until := greatest(storesync.recorded_through(), CASE WHEN NOT late THEN pass.through END);
	END IF;

	month_ends := (pass.month + '1 month'::interval)::timestamp AT TIME ZONE 'Asia/Taipei';
	IF late THEN
		NULL;
	ELSIF pass.doing = 'reset' THEN
		SELECT * INTO took FROM storesync.roll_up_stock_reset(pass.month, pass.last_sku, skus);
		late := NOT took.goes_on;
		pass.last_sku := coalesce(took.last_sku, 0);
		IF took.last_sku IS NULL THEN
			pass.doing := 'take';
			pass.rows_behind := storesync.ledger_rows_behind(pass.through);
		END IF;
	ELSIF pass.doing = 'turn' THEN
		pass.last_sku := coalesce(storesync.roll_up_stock_next(pass.month, pass.last_sku, blocks), 0);
		IF pass.last_sku = 0 THEN
			pass.doing := 'take';
			pass.month := (pass.month + '1 month'::interval)::date;
			month_ends := (pass.month + '1 month'::interval)::timestamp AT TIME ZONE 'Asia/Taipei';
		END IF;
	ELSIF pass.through < least(pass.until, month_ends) THEN
		SELECT * INTO took
		FROM storesync.roll_up_stock_slice(pass.month, pass.through, coalesce(pass.upto, least(pass.until, month_ends)), pass.rows_behind,
			pass.last_sku, $1);
		-- rows that came in behind, or into what has been written of a part of the SKUs
		late := took.rows_behind IS NOT NULL AND (took.reached IS NULL OR took.rows_behind <> pass.rows_upto);
		IF took.last_sku > 0 THEN
			pass.last_sku := took.last_sku;
			pass.upto := took.reached;
			pass.rows_upto := took.rows_behind;
		ELSIF took.last_sku = 0 THEN
			pass.through := took.reached;
			pass.rows_behind := took.rows_behind;
			pass.last_sku := 0;
			pass.upto := NULL;
			pass.rows_upto := NULL;
		END IF;
	END IF;
	IF late THEN
		pass.month := storesync.roll_up_stock_again(pass.month, pass.through);
		pass.through := pass.month::timestamp AT TIME ZONE 'Asia/Taipei';
		pass.until := greatest(pass.until, pass.through);
		pass.doing := 'reset';
		pass.last_sku := 0;
		pass.upto := NULL;
		pass.rows_upto := NULL;
	ELSIF pass.doing = 'take' AND pass.through = month_ends THEN
		pass.doing := 'turn';
	ELSIF pass.doing = 'take' AND pass.through >= pass.until THEN
		pass.until := NULL;
		pass.ended_at := clock_timestamp();
	END IF;
	UPDATE storesync.roll_up_stock r SET month = pass.month, through = pass.through, rows_behind = pass.rows_behind, doing = pass.doing,
		last_sku = pass.last_sku, upto = pass.upto, rows_upto = pass.rows_upto, until = pass.until, ended_at = pass.ended_at;
	RETURN pass.until IS NOT NULL;
END
$$;
COMMENT ON FUNCTION storesync.roll_up_stock_step(int, interval) IS
'Takes rows of the ledger into sku_month: does what taking some `most` (1 to 1000000) rows costs, about 2 us of CPU each; true when the pass goes on, which the same session does best, since it has gathered rows in memory; NULL when there is no partition of the ledger yet. A pass that has ended is followed by another one when it ended longer than `every` ago. When the clock was set back, or rows were recorded behind what has been taken, the months from there on are made once more. Called by roll_up() and by the dispatcher, by it once a day. Errors: 22023 for another number, 25001 under REPEATABLE READ, 25006 on a standby. Example: SELECT storesync.roll_up_stock_step();';

-- Stock at a place that comes to sell, or no longer does, counts from the beginning as it does now.
CREATE FUNCTION storesync.roll_up_stock_anew() RETURNS trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	DELETE FROM storesync.roll_up_stock;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION storesync.roll_up_stock_anew() IS 'Trigger: the next roll_up_stock_step() begins with the first month of the ledger.';
CREATE TRIGGER roll_up_stock_anew AFTER UPDATE OF sellable ON storesync.location
	FOR EACH ROW WHEN (OLD.sellable <> NEW.sellable) EXECUTE FUNCTION storesync.roll_up_stock_anew();
