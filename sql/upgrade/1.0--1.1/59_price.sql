-- It looks at a whole statement now, instead of at each row.
DROP TRIGGER offer_changed ON storesync.listing;
