-- Queues beside the outbox: a bare INSERT of the same facts, a plain table with SKIP LOCKED, and PgQ
-- where it is installed. And a consumer of the outbox as one would write it in SQL.
CREATE SCHEMA queue;

-- What an outbox row holds of a task, and the one index that a table is expected to have.
CREATE TABLE queue.bare (
	id bigserial PRIMARY KEY,
	xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
	at timestamptz NOT NULL DEFAULT clock_timestamp(),
	incarnation int NOT NULL DEFAULT 1,
	store_id int NOT NULL,
	kind text NOT NULL,
	payload jsonb NOT NULL
);

CREATE TABLE queue.plain (
	id bigserial PRIMARY KEY,
	at timestamptz NOT NULL DEFAULT clock_timestamp(),
	store_id int NOT NULL,
	kind text NOT NULL,
	payload jsonb NOT NULL
);

-- Snapshots between which a hundred messages lie, and the next one to go to: a consumer that looks
-- regularly has these by itself.
CREATE TABLE queue.tick (n bigserial PRIMARY KEY, seen pg_snapshot NOT NULL DEFAULT pg_current_snapshot());
CREATE SEQUENCE queue.step;

-- Each of these takes what is there, up to a hundred messages, looks at all of it, and has it done with
-- when it commits; the answer is how many there were.
CREATE FUNCTION queue.take_plain() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
	bytes bigint;
BEGIN
	WITH taken AS (
		DELETE FROM queue.plain WHERE id = ANY (ARRAY(
			SELECT p.id FROM queue.plain p ORDER BY p.id LIMIT 100 FOR UPDATE SKIP LOCKED))
		RETURNING id, at, kind, payload)
	SELECT count(*), sum(length(t.payload::text)) INTO n, bytes FROM taken t;
	RETURN n;
END $$;

-- Rows that one snapshot shows and an older one did not, as the dispatcher reads them.
CREATE FUNCTION queue.read_outbox(old pg_snapshot, new pg_snapshot) RETURNS bigint LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
	n bigint;
	bytes bigint;
BEGIN
	SELECT count(*), sum(length(r.payload::text)) INTO n, bytes FROM (
		SELECT o.subject, o.at, o.kind, o.payload, o.xid FROM storesync.outbox o
		WHERE o.xid >= pg_snapshot_xmax(old) AND o.xid < pg_snapshot_xmax(new)
		UNION ALL
		SELECT o.subject, o.at, o.kind, o.payload, o.xid FROM storesync.outbox o
		WHERE o.xid = ANY (ARRAY(SELECT pg_snapshot_xip(old)))) r
	WHERE pg_visible_in_snapshot(r.xid, new);
	RETURN n;
END $$;

-- From the durable cursor to the next noted snapshot, and the cursor with it.
CREATE FUNCTION queue.drain_outbox() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	old pg_snapshot;
	new pg_snapshot;
	step bigint := nextval('queue.step');
	n bigint;
BEGIN
	SELECT c.snapshot INTO old FROM storesync.consumer c WHERE c.name = 'bench';
	SELECT t.seen INTO STRICT new FROM queue.tick t WHERE t.n = step;
	n := queue.read_outbox(old, new);
	PERFORM storesync.consumer_move('bench', new);
	RETURN n;
END $$;

-- What is new, as a running consumer has it: the cursor in the session, stored every ten seconds.
CREATE FUNCTION queue.take_outbox() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	new pg_snapshot := pg_current_snapshot();
	old pg_snapshot := nullif(current_setting('queue.cursor', true), '');
	stored timestamptz := nullif(current_setting('queue.stored', true), '');
	n bigint := 0;
BEGIN
	IF old IS NOT NULL THEN
		n := queue.read_outbox(old, new);
	END IF;
	PERFORM set_config('queue.cursor', new::text, false);
	IF stored IS NULL OR clock_timestamp() > stored + '10 seconds'::interval THEN
		PERFORM storesync.consumer_move('bench', new), set_config('queue.stored', clock_timestamp()::text, false);
	END IF;
	RETURN n;
END $$;
