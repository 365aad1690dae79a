-- Budgets of calls. Slow limits and holds make the answers certain: what is granted and what is not.
\set VERBOSITY sqlstate
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
SELECT storesync.add_store('shopee', '1', 'one a day', '1/day') AS slow \gset
SELECT storesync.add_store('shopee', '2', 'fast', '1000/ms burst 1000') AS fast \gset
SELECT storesync.add_store('shopee', '3', 'both', '1000/ms burst 1000, 2/day burst 2') AS both \gset

-- granted_soon polls until the first call of a store that starts empty is granted, at most ten seconds
CREATE FUNCTION pg_temp.granted_soon(store int, cost int DEFAULT 1) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	until timestamptz := clock_timestamp() + '10 s';
BEGIN
	LOOP
		IF storesync.rate_take(store, cost) = '0' THEN
			RETURN true;
		ELSIF clock_timestamp() > until THEN
			RETURN false;
		END IF;
	END LOOP;
END
$$;

-- A budget starts empty, as if all of it had just been used: one a day waits a day.
SELECT w > '23:59:00' AND w <= '24:00:00' AS waits_a_day FROM storesync.rate_take(:slow) w;
SELECT pg_temp.granted_soon(:fast);
SELECT w > '11:59:00' AND w <= '12:00:00' AS waits_half_a_day FROM storesync.rate_take(:both) w;
SELECT w > '23:59:00' AS cost_counts FROM storesync.rate_take(:both, 2) w;
-- What is refused takes nothing from the windows that would grant.
SELECT pg_temp.granted_soon(:fast, 1000);
SELECT count(*) AS refused FROM generate_series(1, 2000), storesync.rate_take(:both) w WHERE w > '11:50:00';

-- Arguments.
SELECT storesync.rate_take(0);
SELECT storesync.rate_take(-1);
SELECT storesync.rate_take(NULL);
SELECT storesync.rate_take(:fast, NULL);
SELECT storesync.rate_take(:fast, 0);
SELECT storesync.rate_take(:fast, -1);
SELECT storesync.rate_take(:fast, 1001);
SELECT storesync.rate_take(:fast, 2147483647);
\set VERBOSITY terse
SELECT storesync.rate_take(:both, 3);
SELECT storesync.rate_take(2147483647);
\set VERBOSITY sqlstate

-- A throttle moves the window; a shorter one never ends a longer one.
SELECT storesync.rate_hold(:fast, '1 hour');
SELECT w > '00:59:00' AND w <= '01:00:00' AS held FROM storesync.rate_take(:fast) w;
SELECT storesync.rate_hold(:fast, '1 minute');
SELECT w > '00:59:00' AS still_held FROM storesync.rate_take(:fast) w;
SELECT storesync.rate_hold(:fast, '1 day 1 microsecond');
SELECT storesync.rate_hold(:fast, '-1 second');
SELECT storesync.rate_hold(:fast, '1 month');
SELECT storesync.rate_hold(0, '1 second');
SELECT storesync.rate_hold(:fast, NULL);

-- A throttle halves the pace, but not while a hold lasts; good answers bring it back step by step.
SELECT pace, effective, slowed_since IS NOT NULL AS slowed FROM storesync.rate_status WHERE store_id = :fast;
SELECT storesync.rate_hold(:both, '0') FROM generate_series(1, 2);
SELECT per, pace, effective FROM storesync.rate_status WHERE store_id = :both ORDER BY per;
SELECT storesync.rate_hold(:both, '0') FROM generate_series(1, 9);
SELECT pace, effective FROM storesync.rate_status WHERE store_id = :both AND per = '1 ms';
SELECT storesync.rate_succeeded(:both);
SELECT pace FROM storesync.rate_status WHERE store_id = :both AND per = '1 ms';
SELECT storesync.rate_succeeded(:both, 88);
SELECT pace, slowed_since IS NOT NULL AS slowed FROM storesync.rate_status WHERE store_id = :both AND per = '1 ms';
SELECT storesync.rate_succeeded(:both, 2147483647);
SELECT pace, slowed_since FROM storesync.rate_status WHERE store_id = :both AND per = '1 ms';
SELECT storesync.rate_succeeded(:both, 0);
SELECT storesync.rate_succeeded(0);
SELECT storesync.rate_succeeded(NULL);
-- What is to be seen.
SELECT scope, store_id = :slow AS slow, store_id = :fast AS fast, platform, calls, per, burst,
	next_free_at > clock_timestamp() AS waits, held_until - clock_timestamp() > '58 min' AS held
FROM storesync.rate_status ORDER BY scope, store_id, per;

-- A changed limit is obeyed at once, by this session and the next; a hold outlives it.
UPDATE storesync.store SET rate_limit = '900/ms burst 900' WHERE store_id = :fast;
SELECT w > '00:58:00' AS held FROM storesync.rate_take(:fast) w;
SELECT storesync.rate_take(:fast, 901);
UPDATE storesync.store SET rate_limit = '1000/ms burst 1000' WHERE store_id = :slow;
SELECT pg_temp.granted_soon(:slow);
\c
SELECT storesync.rate_take(:fast, 901);
-- A window that stays keeps what was taken; only the new one starts empty.
UPDATE storesync.store SET rate_limit = '1000/ms burst 1000, 2/day burst 2, 1/h' WHERE store_id = :both;
SELECT w > '11:50:00' AS kept FROM storesync.rate_take(:both) w;

-- The application's limit holds all its stores; undone with the transaction that set it.
BEGIN;
UPDATE storesync.platform SET rate_limit = '1/day' WHERE platform = 'shopee';
SELECT w > '23:59:00' AS by_application FROM storesync.rate_take(:slow) w;
ROLLBACK;
SELECT storesync.rate_take(:slow) < '00:00:01' AS free_again;
UPDATE storesync.platform SET rate_limit = '1/day' WHERE platform = 'shopee';
SELECT w > '23:59:00' AS by_application FROM storesync.rate_take(:slow) w;
SELECT scope, store_id IS NULL AS of_no_store, platform, calls, per, burst FROM storesync.rate_status WHERE scope <> 'store';
UPDATE storesync.platform SET rate_limit = NULL WHERE platform = 'shopee';

-- A prepared transaction cannot tell the others when it commits.
BEGIN;
UPDATE storesync.store SET rate_limit = '6/day' WHERE store_id = :slow;
PREPARE TRANSACTION 'rate';
-- It is no write to the database: a read-only transaction may take.
BEGIN READ ONLY;
SELECT storesync.rate_take(:both) > '11:00:00' AS asked;
COMMIT;
-- A store that is gone has no budget.
DELETE FROM storesync.store WHERE store_id = :slow;
SELECT storesync.rate_take(:slow);

-- The day's calls are used up: of one store, or of the application with all its stores.
SELECT now() + interval '2 hours' AS reset \gset
UPDATE storesync.platform SET quota_scope = 'store', quota_reset = :'reset'::timestamptz::timetz;
SELECT q - :'reset' BETWEEN '-1 s' AND '1 s' AS until_the_reset FROM storesync.rate_quota(:fast) q;
SELECT count(*) AS windows, min(quota_until) - now() > '01:59:00' AS quota FROM storesync.rate_status
WHERE store_id = :fast;
SELECT count(quota_until) AS others FROM storesync.rate_status WHERE store_id <> :fast;
SELECT w > '01:59:00' AND w < '02:00:01' AS waits_for_it FROM storesync.rate_take(:fast) w;
SELECT now() + interval '3 hours' AS reset \gset
UPDATE storesync.platform SET quota_scope = 'application', quota_reset = :'reset'::timestamptz::timetz;
SELECT q - :'reset' BETWEEN '-1 s' AND '1 s' AS until_the_reset FROM storesync.rate_quota(:both) q;
SELECT bool_and(quota_until - now() > '02:59:00') AS all_wait FROM storesync.rate_status;
SELECT w > '02:59:00' AS waits_with_it FROM storesync.rate_take(:fast) w;
SELECT storesync.rate_hold(:both, '0');
SELECT state, reason LIKE '%calls are used up until%' AS quota,
	reason LIKE '%uses 50 % of its limit since a throttle at%' AS slowed
FROM storesync.health() WHERE component = 'store ' || :both;
UPDATE storesync.platform SET quota_scope = 'nobody';
SELECT storesync.rate_quota(0);
SELECT storesync.rate_quota(NULL);
SELECT storesync.rate_forget(:both);
SELECT count(quota_until) AS one_waits, min(pace) AS pace FROM storesync.rate_status;
SELECT storesync.rate_forget();
SELECT count(quota_until) AS nobody_waits FROM storesync.rate_status;
SELECT storesync.rate_hold(:both, '0');
SELECT storesync.rate_quota(:both) > now() AS used_up;
SELECT storesync.rate_room() > 0 AS room;

-- Limits of an earlier installation are forgotten with it, and so are answers.
SET client_min_messages = warning;
DROP EXTENSION storesync CASCADE;
SELECT storesync.rate_take(:fast);
CREATE EXTENSION storesync;
RESET client_min_messages;
SELECT storesync.rate_take(:fast);
SELECT storesync.add_store('shopee', '9', 'same number, other limit', '1/day') = :slow AS same_number;
SELECT w > '23:59:00' AS waits_a_day FROM storesync.rate_take(:slow) w;
SELECT count(*) AS slowed_or_waiting FROM storesync.rate_status WHERE pace < 100 OR quota_until IS NOT NULL;
