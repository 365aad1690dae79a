-- Places where nothing moves for years are carried on in the ledger.
ALTER TYPE storesync.movement_kind ADD VALUE 'opening';
-- Roll-ups are told of sales.
ALTER TYPE storesync.outbox_kind ADD VALUE 'sale';
