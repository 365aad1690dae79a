-- Peak windows: whose clock, which stores, what is refused.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
SELECT storesync.add_store('shopee', '1', 'Taipei') AS taipei \gset
SELECT storesync.add_store('shopee', '2', 'Singapore') AS other \gset
UPDATE storesync.store SET timezone = 'America/New_York' WHERE store_id = :other;

-- A time zone that nobody knows.
\set VERBOSITY terse
UPDATE storesync.store SET timezone = 'Asia/Taipe' WHERE store_id = :taipei;

-- Each store's own clock; what is over is not shown.
SELECT storesync.add_peak_window('2100-11-11 00:00', '2100-11-11 02:00', platform => 'shopee') AS campaign \gset
SELECT store_id = :taipei AS in_taipei, kind, starts AT TIME ZONE 'UTC' AS starts, ends AT TIME ZONE 'UTC' AS ends, spread, is_on
FROM storesync.peak ORDER BY store_id, kind;
SELECT storesync.add_peak_window('2001-11-11 00:00', '2001-11-11 02:00', store => :taipei) AS past \gset
SELECT count(*) FROM storesync.peak WHERE peak_window_id = :past;
SELECT storesync.add_peak_window(now() AT TIME ZONE 'Asia/Taipei', (now() + '1 hour') AT TIME ZONE 'Asia/Taipei', store => :taipei,
	kinds => '{raise}', spread => '2 minutes') AS today \gset
SELECT store_id = :taipei AS in_taipei, kind, ends BETWEEN now() + '59 minutes' AND now() + '1 hour' AS in_an_hour, is_on
FROM storesync.peak WHERE peak_window_id = :today;

-- The stores concerned are told of, and no others.
BEGIN;
SELECT storesync.drop_peak_window(:today), storesync.drop_peak_window(:today);
SELECT kind, subject = :taipei AS taipei FROM storesync.outbox WHERE xid = pg_current_xact_id();
COMMIT;
SELECT action, after IS NULL AS gone FROM storesync.audit WHERE action LIKE '%peak window' ORDER BY audit_id;

-- Refused.
SELECT storesync.add_peak_window('2100-01-01', '2100-01-02');
SELECT storesync.add_peak_window('2100-01-01', '2100-01-02', store => 1, platform => 'shopee');
SELECT storesync.add_peak_window('2100-01-01', NULL, store => :taipei);
SELECT storesync.add_peak_window('2100-01-01', '2100-01-02', store => 99999);
SELECT storesync.add_peak_window('2100-01-01', '2100-01-02', platform => 'nowhere');
SELECT storesync.add_peak_window('2100-01-02', '2100-01-01', store => :taipei);
SELECT storesync.add_peak_window('2100-01-01', '2100-03-01', store => :taipei);
SELECT storesync.add_peak_window('4714-11-24 00:00 BC', '4714-11-24 01:00 BC', store => :taipei);
SELECT storesync.add_peak_window('2100-01-01', '2100-01-02', store => :taipei, kinds => '{decrease}');
SELECT storesync.add_peak_window('2100-01-01', '2100-01-02', store => :taipei, spread => '2 days');

-- Orders more often: beside what is held, or alone; until the end, without the spread.
SELECT storesync.add_peak_window(now() AT TIME ZONE 'Asia/Taipei', (now() + '1 hour') AT TIME ZONE 'Asia/Taipei', store => :taipei,
	kinds => '{price}', poll_interval => '2 seconds') AS both \gset
SELECT storesync.add_peak_window((now() - '2 minutes'::interval) AT TIME ZONE 'Asia/Taipei', (now() - '1 minute'::interval) AT TIME ZONE 'Asia/Taipei', store => :taipei,
	kinds => '{raise}', poll_interval => '1 second') AS over \gset
SELECT storesync.add_peak_window('2100-01-01', '2100-01-02', platform => 'shopee', kinds => '{}', poll_interval => '3 seconds') AS alone \gset
SELECT CASE peak_window_id WHEN :both THEN 'both' WHEN :over THEN 'over' ELSE 'alone' END AS of, store_id = :taipei AS in_taipei, kind, spread, is_on, poll_interval
FROM storesync.peak WHERE peak_window_id IN (:both, :over, :alone) ORDER BY peak_window_id, store_id, kind;
SELECT storesync.add_peak_window('2100-01-01', '2100-01-02', store => :taipei, kinds => '{}');
SELECT storesync.add_peak_window('2100-01-01', '2100-01-02', store => :taipei, kinds => '{}', poll_interval => '1 millisecond');
