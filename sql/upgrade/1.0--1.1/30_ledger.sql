-- A holder that rests on a row of the ledger that has gone by age may go.
DROP TRIGGER refuse_loss ON storesync.holder;
