-- Rows that are written and found without statements: whatever an operator adds to a table is honoured.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
SELECT storesync.add_store('shopee', '1', 'One') AS one \gset
SELECT count(storesync.add_sku(c)) FROM unnest(ARRAY['TEA', 'CUP']) c;
CREATE TEMP TABLE clock AS SELECT date_trunc('hour', now()) - interval '1 day' AS at;
CREATE FUNCTION pg_temp.receive(qty bigint, reference text DEFAULT NULL) RETURNS text
	LANGUAGE SQL AS $$ SELECT outcome || ' ' || version FROM storesync.receive('TEA', qty, storesync.new_key(), 'main', reference) $$;
CREATE FUNCTION pg_temp.sell(sn text, status text DEFAULT 'ready_to_ship') RETURNS text
	LANGUAGE SQL AS $$ SELECT outcome || ' ' || (detail->0->>'state') FROM clock,
		storesync.ingest_order((SELECT store_id FROM storesync.store), jsonb_build_object('order_sn', sn, 'status', status,
		'create_time', extract(epoch FROM at)::bigint, 'update_time', extract(epoch FROM at)::bigint, 'buyer', 'b' || sn,
		'lines', '[{"line_id": "1", "sku": "TEA", "qty": 1, "unit_price": 19.50}]'::jsonb)) $$;
-- the partition that holds this moment
CREATE FUNCTION pg_temp.current(parent regclass) RETURNS regclass LANGUAGE SQL AS $$
	SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = parent ORDER BY inhrelid LIMIT 1 $$;
CREATE FUNCTION pg_temp.run(statement text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE statement; END $$;
SELECT pg_temp.receive(100);
SELECT pg_temp.sell('O1');
SELECT pg_temp.sell('O1');
SELECT count(*) FROM storesync.ledger;

-- triggers: for each row after and before, and for each statement, on the parent and on a partition
CREATE TABLE seen (n int GENERATED ALWAYS AS IDENTITY, what text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO public.seen (what) VALUES (format('%s %s %s', TG_ARGV[0], TG_WHEN, TG_LEVEL));
	RETURN NEW;
END $$;
CREATE FUNCTION mark() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.reason := 'marked'; RETURN NEW; END $$;
BEGIN;
CREATE TRIGGER note AFTER INSERT ON storesync.ledger FOR EACH ROW EXECUTE FUNCTION note('ledger');
CREATE TRIGGER note_statement BEFORE INSERT ON storesync.ledger FOR EACH STATEMENT EXECUTE FUNCTION note('ledger');
CREATE TRIGGER note AFTER INSERT ON storesync.outbox FOR EACH ROW EXECUTE FUNCTION note('outbox');
CREATE TRIGGER note AFTER INSERT ON storesync.sales_order FOR EACH ROW EXECUTE FUNCTION note('order');
SELECT pg_temp.run(format('CREATE TRIGGER note AFTER INSERT ON %s FOR EACH ROW EXECUTE FUNCTION note(''key'')', pg_temp.current('storesync.idempotency')));
SELECT pg_temp.run(format('CREATE TRIGGER mark BEFORE INSERT ON %s FOR EACH ROW EXECUTE FUNCTION mark()', pg_temp.current('storesync.ledger')));
SELECT pg_temp.receive(1), pg_temp.sell('O2');
SELECT what FROM seen ORDER BY n;
SELECT count(*) FILTER (WHERE reason = 'marked') AS marked, count(*) FROM storesync.ledger;
ROLLBACK;
-- and none of it once it is gone, in the same session
SELECT pg_temp.receive(1), pg_temp.sell('O2');
SELECT count(*) FROM seen;
SELECT count(*) FILTER (WHERE reason = 'marked') AS marked, count(*) FROM storesync.ledger;

-- constraints
\set VERBOSITY sqlstate
ALTER TABLE storesync.ledger ADD CONSTRAINT no_bad CHECK (reference <> 'bad');
SELECT pg_temp.receive(1, 'bad');
SELECT pg_temp.receive(1, 'good');
ALTER TABLE storesync.ledger DROP CONSTRAINT no_bad;
-- what somebody else wrote runs under the pinned path, in calls too that pin it only when they must
CREATE FUNCTION is_pinned() RETURNS boolean LANGUAGE sql AS $$ SELECT current_setting('search_path') = 'pg_catalog, pg_temp' $$;
SELECT storesync.enqueue(:one, 'fetch_orders', '{}') AS before \gset
BEGIN;
ALTER TABLE storesync.outbox ADD CONSTRAINT pinned CHECK (public.is_pinned()) NOT VALID;
SELECT storesync.enqueue(:one, 'fetch_orders', '{}') > :before AS made, public.is_pinned() AS here;
SELECT storesync.enqueue(:one, 'fetch_orders', '{}') > :before AS made, public.is_pinned() AS here;
ALTER TABLE storesync.outbox DROP CONSTRAINT pinned;
-- nor does an error that was caught on the way leave it open
CREATE FUNCTION pg_temp.try() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	PERFORM storesync.enqueue(0, 'fetch_orders', '{}');
EXCEPTION WHEN OTHERS THEN
	RETURN public.is_pinned();
END $$;
SELECT pg_temp.try(), public.is_pinned();
ALTER TABLE storesync.outbox ADD CONSTRAINT pinned CHECK (public.is_pinned()) NOT VALID;
SELECT pg_temp.receive(1), public.is_pinned() AS here;
ROLLBACK;
DROP FUNCTION is_pinned();
BEGIN;
ALTER TABLE storesync.outbox ADD CONSTRAINT no_stock CHECK (kind <> 'stock') NOT VALID;
SELECT pg_temp.receive(1);
ROLLBACK;
BEGIN;
ALTER TABLE storesync.idempotency ADD CONSTRAINT never CHECK (insufficient) NOT VALID;
SELECT pg_temp.receive(1);
ROLLBACK;

\set VERBOSITY terse
-- indexes of an operator: by expression, in part, unique; of another kind
CREATE INDEX ON storesync.sales_order_line (upper(line_id || item_id)) WHERE state = 'reserved';
SELECT pg_temp.run(format('CREATE INDEX by_kind ON %s (lower(reference), (on_hand - reserved)) WHERE on_hand_delta > 0', pg_temp.current('storesync.ledger')));
SELECT pg_temp.run(format('CREATE INDEX by_fingerprint ON %s USING hash (fingerprint)', pg_temp.current('storesync.idempotency')));
SELECT pg_temp.run(format('CREATE INDEX by_subject ON %s USING brin (subject)', pg_temp.current('storesync.outbox')));
CREATE UNIQUE INDEX one_buyer ON storesync.sales_order (lower(buyer));
SELECT pg_temp.receive(2, 'Indexed'), pg_temp.receive(3, 'INDEXED'), pg_temp.sell('O3');
-- a row for the partial index again, after one that was none for it
SELECT pg_temp.receive(1, 'indexed');
-- whoever is kept out by a key of its own does not book
SELECT pg_temp.sell('o3');
SET enable_seqscan = off;
SELECT reference, on_hand_delta FROM storesync.ledger WHERE lower(reference) = 'indexed' AND on_hand_delta > 0 ORDER BY version;
SELECT count(*) FROM storesync.idempotency i WHERE i.fingerprint IN (SELECT j.fingerprint FROM storesync.idempotency j);
SELECT order_sn FROM storesync.sales_order WHERE lower(buyer) = 'bo3';
RESET enable_seqscan;
DROP INDEX storesync.one_buyer;

-- rules, columns with a default or computed, a column of another type
BEGIN;
CREATE RULE also AS ON INSERT TO storesync.outbox DO ALSO INSERT INTO seen (what) VALUES ('rule');
SELECT pg_temp.receive(1);
SELECT what FROM seen;
ROLLBACK;
BEGIN;
ALTER TABLE storesync.ledger ADD COLUMN host text DEFAULT 'here', ADD COLUMN room bigint GENERATED ALWAYS AS (on_hand - reserved) STORED;
ALTER TABLE storesync.sales_order_line ALTER sku_code TYPE char(5);
ALTER TABLE storesync.sales_order ADD COLUMN plain text;
SELECT pg_temp.receive(1), pg_temp.sell('O4');
SELECT DISTINCT host, room = on_hand - reserved AS room FROM storesync.ledger;
SELECT octet_length(l.sku_code) FROM storesync.sales_order_line l JOIN storesync.sales_order o USING (order_id) WHERE o.order_sn = 'O4';
ROLLBACK;

-- a partition made by hand: other order of columns, a dropped one, no index
BEGIN;
SELECT pg_temp.current('storesync.ledger') AS old \gset
CREATE TABLE storesync.by_hand (gone int, reason text, reference text, key storesync.idempotency_key NOT NULL,
	kind storesync.movement_kind NOT NULL, location_id int NOT NULL, recorded_at timestamptz NOT NULL, event_at timestamptz NOT NULL,
	order_id bigint, reserved bigint NOT NULL, on_hand bigint NOT NULL, reserved_delta bigint NOT NULL, on_hand_delta bigint NOT NULL,
	version bigint NOT NULL, sku_id bigint NOT NULL);
ALTER TABLE storesync.by_hand DROP COLUMN gone;
SELECT pg_temp.run(format('ALTER TABLE storesync.ledger DETACH PARTITION %s', :'old'));
SELECT pg_temp.run(format('INSERT INTO storesync.by_hand (sku_id, version, on_hand_delta, reserved_delta, on_hand, reserved, order_id, event_at, recorded_at, location_id, kind, key, reference, reason) SELECT * FROM %s', :'old'));
SELECT pg_temp.run(format('ALTER TABLE storesync.ledger ATTACH PARTITION storesync.by_hand FOR VALUES FROM (%L) TO (%L)',
	date_trunc('month', now(), 'UTC'), (date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC'));
SELECT pg_temp.receive(5, 'hand'), pg_temp.sell('O5');
CREATE UNIQUE INDEX ON storesync.by_hand (sku_id, location_id, version);
SELECT pg_temp.receive(5, 'hand'), pg_temp.sell('O6');
SELECT kind, version, reference, on_hand - reserved AS available FROM storesync.by_hand ORDER BY version DESC LIMIT 4;
SELECT * FROM storesync.check_invariants();
ROLLBACK;
-- one that is partitioned again
BEGIN;
SELECT pg_temp.run(format('ALTER TABLE storesync.outbox DETACH PARTITION %s', pg_temp.current('storesync.outbox')));
CREATE TABLE storesync.divided (LIKE storesync.outbox INCLUDING CONSTRAINTS) PARTITION BY LIST (kind);
CREATE TABLE storesync.divided_stock PARTITION OF storesync.divided FOR VALUES IN ('stock');
SELECT pg_temp.run(format('ALTER TABLE storesync.outbox ATTACH PARTITION storesync.divided FOR VALUES FROM (%L) TO (%L)',
	date_trunc('day', now(), 'UTC'), date_trunc('day', now(), 'UTC') + interval '24 hours'));
SELECT pg_temp.receive(1);
SELECT kind, version IS NOT NULL AS versioned FROM storesync.divided_stock;
ROLLBACK;

-- rows that are deleted: a holder's state, when the next one is there
CREATE FUNCTION pg_temp.hold(units bigint) RETURNS text LANGUAGE SQL AS $$
	SELECT outcome || ' ' || reserved FROM storesync.reserve('CUP', units, storesync.new_key(), reference => 'h') $$;
SELECT outcome FROM storesync.receive('CUP', 100, storesync.new_key());
SELECT pg_temp.hold(1), pg_temp.hold(1);
CREATE FUNCTION note_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO public.seen (what) VALUES (format('%s %s %s', TG_OP, TG_WHEN, TG_LEVEL));
	RETURN OLD;
END $$;
BEGIN;
CREATE TRIGGER note AFTER DELETE ON storesync.holder FOR EACH ROW EXECUTE FUNCTION note_delete();
CREATE TRIGGER note_statement BEFORE DELETE ON storesync.holder FOR EACH STATEMENT EXECUTE FUNCTION note_delete();
SELECT pg_temp.hold(1);
SELECT what FROM seen ORDER BY n;
ROLLBACK;
-- the refusing trigger itself, where it is not the known one: always on, without its condition
BEGIN;
ALTER TABLE storesync.holder ENABLE ALWAYS TRIGGER refuse_loss;
SELECT pg_temp.hold(1);
DROP TRIGGER refuse_loss ON storesync.holder;
SELECT pg_temp.hold(1);
CREATE TRIGGER refuse_loss BEFORE DELETE ON storesync.holder FOR EACH ROW EXECUTE FUNCTION storesync.refuse_change();
SELECT pg_temp.hold(1);
ROLLBACK;
BEGIN;
CREATE RULE also AS ON DELETE TO storesync.holder DO ALSO INSERT INTO seen (what) VALUES ('rule');
SELECT pg_temp.hold(1);
SELECT what FROM seen;
ROLLBACK;
-- what refers to a state keeps it
BEGIN;
CREATE TABLE note_of (sku_id bigint, location_id int, reference text, version bigint,
	FOREIGN KEY (sku_id, location_id, reference, version) REFERENCES storesync.holder);
INSERT INTO note_of SELECT sku_id, location_id, reference, version FROM storesync.holder;
SELECT pg_temp.hold(1);
ROLLBACK;
-- published without a replica identity: refused as by a statement
SET client_min_messages = error;
BEGIN;
CREATE PUBLICATION direct_holder FOR TABLE storesync.holder;
SELECT pg_temp.hold(1);
ALTER TABLE storesync.holder REPLICA IDENTITY NOTHING;
SELECT pg_temp.hold(1);
ROLLBACK;
RESET client_min_messages;
-- by statements throughout
BEGIN;
SET LOCAL session_replication_role = replica;
SELECT pg_temp.hold(1);
SELECT outcome, reserved FROM storesync.release('CUP', 2, storesync.new_key(), reference => 'h');
SELECT count(*), min(held) FROM storesync.holder WHERE reference = 'h';
ROLLBACK;
-- undone in part
BEGIN;
SELECT pg_temp.hold(1);
SAVEPOINT a;
SELECT pg_temp.hold(1);
ROLLBACK TO a;
SELECT pg_temp.hold(5);
COMMIT;
SELECT count(*), min(held) FROM storesync.holder WHERE reference = 'h';

-- rights and row security of an owner that is no superuser
CREATE ROLE direct_owner;
CREATE ROLE direct_caller;
BEGIN;
ALTER SCHEMA storesync OWNER TO direct_owner;
GRANT ALL ON ALL TABLES IN SCHEMA storesync TO direct_owner;
GRANT ALL ON ALL SEQUENCES IN SCHEMA storesync TO direct_owner;
GRANT ALL ON ALL ROUTINES IN SCHEMA storesync TO direct_owner, direct_caller;
GRANT ALL ON TYPE storesync.idempotency_key, storesync.movement_kind, storesync.movement_result, storesync.outbox_kind TO direct_owner, direct_caller;
GRANT USAGE ON SCHEMA storesync TO direct_caller;
SET LOCAL ROLE direct_caller;
SELECT (storesync.receive('TEA', 1, storesync.new_key())).outcome;
RESET ROLE;
SAVEPOINT clean;
REVOKE INSERT ON storesync.ledger FROM direct_owner;
SET LOCAL ROLE direct_caller;
SELECT (storesync.receive('TEA', 1, storesync.new_key())).outcome;
ROLLBACK TO clean;
REVOKE SELECT ON storesync.stock_lock FROM direct_owner;
SET LOCAL ROLE direct_caller;
SELECT (storesync.receive('TEA', 1, storesync.new_key())).outcome;
ROLLBACK TO clean;
SET LOCAL ROLE direct_caller;
SELECT (storesync.reserve('CUP', 1, storesync.new_key(), reference => 'h')).outcome;
RESET ROLE;
REVOKE DELETE ON storesync.holder FROM direct_owner;
SET LOCAL ROLE direct_caller;
SELECT (storesync.reserve('CUP', 1, storesync.new_key(), reference => 'h')).outcome;
ROLLBACK TO clean;
ALTER TABLE storesync.holder ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON storesync.holder USING (true) WITH CHECK (held < 100);
SET LOCAL ROLE direct_caller;
SELECT (storesync.reserve('CUP', 1, storesync.new_key(), reference => 'h')).outcome;
ROLLBACK TO clean;
ALTER TABLE storesync.ledger ENABLE ROW LEVEL SECURITY;
CREATE POLICY small ON storesync.ledger USING (true) WITH CHECK (on_hand_delta < 10);
SET LOCAL ROLE direct_caller;
SELECT (storesync.receive('TEA', 9, storesync.new_key())).outcome;
SAVEPOINT small;
SELECT (storesync.receive('TEA', 10, storesync.new_key())).outcome;
ROLLBACK TO clean;
ALTER TABLE storesync.sku ENABLE ROW LEVEL SECURITY;
SET LOCAL ROLE direct_caller;
SELECT (storesync.receive('TEA', 1, storesync.new_key())).outcome;
ROLLBACK;
DROP ROLE direct_owner, direct_caller;

-- a read-only transaction, and a key used twice in one transaction
BEGIN READ ONLY;
SELECT pg_temp.receive(1);
ROLLBACK;
BEGIN;
SELECT storesync.new_key() AS key \gset
SELECT outcome FROM storesync.receive('TEA', 1, :'key');
SELECT outcome FROM storesync.receive('TEA', 1, :'key');
SELECT outcome FROM storesync.receive('TEA', 2, :'key');
ROLLBACK;
-- a subtransaction that is rolled back takes its rows and its partitions' state along
BEGIN;
SAVEPOINT a;
SELECT pg_temp.receive(7, 'lost');
ROLLBACK TO a;
SELECT pg_temp.receive(8, 'kept');
COMMIT;
SELECT reference FROM storesync.ledger WHERE reference IN ('lost', 'kept');
-- an order's locks: no more than the 16 that a backend's fast path holds, and none on what was only read;
-- a transaction with one snapshot keeps those, too
CREATE FUNCTION pg_temp.locks() RETURNS TABLE(fits boolean, read_only text) LANGUAGE SQL AS $$
	SELECT count(DISTINCT l.relation) <= 16, string_agg(DISTINCT c.relname, ' ' ORDER BY c.relname)
		FILTER (WHERE c.relname IN ('sku', 'location', 'component', 'store', 'store_location'))
	FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
	WHERE l.pid = pg_backend_pid() AND c.relnamespace = 'storesync'::regnamespace $$;
SELECT format('{"order_sn": "L%%s", "status": "ready_to_ship", "create_time": %s, "lines": [{"line_id": "1", "sku": "TEA", "qty": 1}]}',
	extract(epoch FROM at)::bigint) AS document FROM clock \gset
SELECT outcome FROM storesync.ingest_order(:one, format(:'document', 1)::jsonb);
BEGIN;
SELECT outcome FROM storesync.ingest_order(:one, format(:'document', 2)::jsonb);
SELECT * FROM pg_temp.locks();
COMMIT;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT outcome FROM storesync.ingest_order(:one, format(:'document', 3)::jsonb);
SELECT read_only FROM pg_temp.locks();
COMMIT;
SELECT * FROM storesync.check_invariants();
DROP TABLE seen;
DROP FUNCTION note_delete();
