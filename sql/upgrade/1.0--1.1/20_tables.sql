-- A cluster that came out of a backup begins another life of its data, and so does a standby that is promoted
-- from now on.
ALTER TABLE storesync.incarnation ADD COLUMN recovery bigint NOT NULL DEFAULT 0, ADD COLUMN timeline int NOT NULL DEFAULT 0;
UPDATE storesync.incarnation SET timeline = ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int;
ALTER TABLE storesync.incarnation DROP CONSTRAINT incarnation_reason_check;
ALTER TABLE storesync.incarnation ADD CONSTRAINT incarnation_reason_check CHECK (reason IN ('new', 'copy', 'recovery', 'promotion'));
ALTER TABLE storesync.instance ADD COLUMN recovery bigint NOT NULL DEFAULT 0;

-- Stores have a night, and say which differences are large.
ALTER TABLE storesync.store
	ADD COLUMN night time[] NOT NULL DEFAULT '{02:00,06:00}' CHECK (cardinality(night) = 2 AND array_ndims(night) = 1
		AND array_position(night, NULL) IS NULL AND night[1] <> night[2]),
	ADD COLUMN drift_units bigint DEFAULT 20 CHECK (drift_units >= 0),
	ADD COLUMN drift_share numeric DEFAULT 0.2 CHECK (drift_share >= 0 AND drift_share <= 1),
	ADD COLUMN drift_least bigint NOT NULL DEFAULT 3 CHECK (drift_least >= 0);

-- Certificates, which nobody wrote before, tell more.
ALTER TABLE storesync.certificate
	DROP COLUMN detail,
	ADD COLUMN incarnation int NOT NULL DEFAULT storesync.current_incarnation(),
	ADD COLUMN scope int[],
	ADD COLUMN phase text NOT NULL DEFAULT 'replay' CHECK (phase IN ('replay', 'read', 'settle', 'done')),
	ADD COLUMN pid int,
	ADD COLUMN called_at timestamptz,
	ADD COLUMN moved_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	ADD COLUMN replay_through bigint NOT NULL DEFAULT 0,
	ADD COLUMN replayed bigint NOT NULL DEFAULT 0,
	ADD COLUMN overtaken bigint NOT NULL DEFAULT 0,
	ADD COLUMN resting bigint NOT NULL DEFAULT 0,
	ADD COLUMN listings bigint NOT NULL DEFAULT 0,
	ADD COLUMN coverage numeric,
	ADD COLUMN unverified bigint,
	ADD COLUMN oldest_verified timestamptz,
	ADD CHECK ((ended_at IS NOT NULL) = (phase = 'done'));

-- Orders and ledger go by age.
UPDATE storesync.partitioned SET retention = 'order' WHERE parent IN ('ledger', 'sales_order_line', 'order_history');

-- A consumer of the outbox may be one that nobody waits for for ever.
ALTER TABLE storesync.consumer ADD COLUMN patience interval CHECK (patience > '0');

-- Vacuum does not give back the end of a table that a standby may read (sql/90_rights.sql, for the others).
UPDATE storesync.partitioned SET options = 'fillfactor = 80, vacuum_truncate = off' WHERE parent = 'sales_order_line';
DO $$
DECLARE
	made regclass;
BEGIN
	FOR made IN SELECT h.inhrelid FROM pg_catalog.pg_inherits h WHERE h.inhparent = 'storesync.sales_order_line'::regclass LOOP
		EXECUTE pg_catalog.format('ALTER TABLE %s SET (vacuum_truncate = off)', made);
	END LOOP;
END
$$;

-- Rows of the outbox tell the roll-ups what has changed in sales.
ALTER TABLE storesync.outbox ADD COLUMN sale bytea;

-- The audit says in which transaction; of what it has already nobody knows.
ALTER TABLE storesync.audit ADD COLUMN transaction xid8, ADD COLUMN incarnation int;
ALTER TABLE storesync.audit ALTER COLUMN transaction SET DEFAULT pg_catalog.pg_current_xact_id(),
	ALTER COLUMN incarnation SET DEFAULT storesync.current_incarnation();
