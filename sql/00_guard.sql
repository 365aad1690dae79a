\echo Use "CREATE EXTENSION storesync" to load this file. \quit

-- The schema is made here and not named in the control file, so that an install
-- into a schema somebody prepared beforehand fails instead of adopting it.
CREATE SCHEMA storesync;
COMMENT ON SCHEMA storesync IS 'storesync: the stock of truth and everything that makes each listing follow it';
CREATE SCHEMA storesync_report;
COMMENT ON SCHEMA storesync_report IS 'storesync: views for reports, readable on a hot standby';
