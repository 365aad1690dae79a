-- Prices and listing state: what is refused, what is written down to be sent, campaigns and what is
-- planned, and that a price moves no quantity. What the platforms are told: regress/t/073_price.pl.

\set VERBOSITY terse
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
UPDATE storesync.platform SET base_url = 'http://127.0.0.1:1';
SELECT storesync.add_store('shopee', '730001', 'prices') AS store \gset
SELECT storesync.add_sku('PRICE-1') > 0 AS added, storesync.add_sku('PRICE-2') > 0 AS added;
SELECT storesync.add_listing(:store, 'PRICE-1', '7301', '1') AS one \gset
SELECT storesync.add_listing(:store, 'PRICE-2', '7301', '2') AS two \gset

CREATE FUNCTION pg_temp.error_of(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	RETURN 'none';
EXCEPTION WHEN OTHERS THEN
	RETURN sqlstate || ': ' || regexp_replace(sqlerrm, '\d{3,}|(?<=listing )\d+', 'N', 'g');
END
$$;
CREATE FUNCTION pg_temp.refused(listing bigint, price text, rest text DEFAULT '') RETURNS text LANGUAGE sql AS $$
	SELECT pg_temp.error_of(format('SELECT storesync.set_price(%s, %s, storesync.new_key()%s)', listing, price, rest))
$$;
CREATE FUNCTION pg_temp.offers(listing bigint) RETURNS TABLE(facet text, wanted numeric, acked numeric, open boolean) LANGUAGE sql AS $$
	SELECT v.facet, v.wanted, v.acked, v.open FROM storesync.offer_state v WHERE v.listing_id = $1 ORDER BY v.facet
$$;

-- what nobody has set is not known and not written
SELECT * FROM pg_temp.offers(:one);
SELECT l.revision, l.shaped FROM storesync.listing l WHERE l.listing_id = :one;

-- a price, once however often it is asked for
SELECT storesync.new_key() AS key \gset
SELECT storesync.set_price(:one, 100, :'key') AS task \gset
SELECT storesync.set_price(:one, 100.00, :'key') = :task AS same_task;
SELECT pg_temp.error_of(format('SELECT storesync.set_price(%s, 101, %L)', :one, :'key')) AS another_price;
SELECT pg_temp.error_of(format('SELECT storesync.set_price(%s, 100, %L)', :two, :'key')) AS another_listing;
SELECT count(*) AS tasks, min(o.kind), min(o.payload::text) = format('{"listing": %s}', :one) AS of_listing
FROM storesync.task_open o WHERE o.task_id >= :task AND o.kind = 'push_price';
SELECT * FROM pg_temp.offers(:one);
-- the revision rises, the shape stays, and the dispatcher is told in the same transaction
SELECT l.revision, l.shaped, l.price FROM storesync.listing l WHERE l.listing_id = :one;
SELECT count(*) > 0 AS told FROM storesync.outbox o WHERE o.kind = 'listing' AND o.subject = :one;
SELECT count(*) AS audited FROM storesync.audit a WHERE a.before ? 'price' AND a.subject = 'listing ' || :one;

-- what is refused
SELECT pg_temp.refused(-1, '5') AS unknown_listing;
SELECT pg_temp.refused(:one, '0') AS zero, pg_temp.refused(:one, '''NaN''') AS nan, pg_temp.refused(:one, '1e12') AS huge;
SELECT pg_temp.refused(:one, 'NULL::numeric') AS no_price;
SELECT pg_temp.refused(:one, '151') AS too_much, pg_temp.refused(:one, '49') AS too_little, pg_temp.refused(:one, '150') AS half;
SELECT pg_temp.refused(:one, '100', ', force => true') AS forced;
UPDATE storesync.listing SET price_floor = 80 WHERE listing_id = :one;
SELECT pg_temp.refused(:one, '79', ', force => true') AS below_floor, pg_temp.refused(:one, '80') AS at_floor;
UPDATE storesync.store SET max_price_change = NULL WHERE store_id = :store;
SELECT pg_temp.refused(:one, '1000') AS any_change;
UPDATE storesync.store SET max_price_change = 0.5 WHERE store_id = :store;
SELECT pg_temp.refused(:two, '50', ', valid_until => now() + interval ''1 day''') AS nothing_to_come_back_to;
SELECT pg_temp.refused(:one, '900', ', valid_until => now() - interval ''1 day''') AS over,
	pg_temp.refused(:one, '900', ', now() + interval ''2 days'', now() + interval ''1 day''') AS ends_first,
	pg_temp.refused(:one, '900', ', ''infinity''') AS never;
SELECT l.price FROM storesync.listing l WHERE l.listing_id = :one;

-- by hand: as good, but what is below the floor is not sent
UPDATE storesync.listing SET price = 70 WHERE listing_id = :one;
SELECT v.open, v.below_floor FROM storesync.offer_state v WHERE v.listing_id = :one AND v.facet = 'price';
UPDATE storesync.store SET mode = 'live' WHERE store_id = :store;
SELECT regexp_replace(h.component, '\d+', 'N') AS component, h.state, h.reason FROM storesync.health() h WHERE h.component LIKE 'prices%';
UPDATE storesync.listing SET price = 1000 WHERE listing_id = :one;

-- what was acknowledged is not open, and is again when another is wanted, and not when that is taken back
UPDATE storesync.offer SET acked = 1000, acked_at = now() WHERE listing_id = :one AND facet = 'price';
SELECT storesync.offer_refresh(ARRAY[:one]);
SELECT * FROM pg_temp.offers(:one);
UPDATE storesync.listing SET price = 1001 WHERE listing_id = :one;
SELECT * FROM pg_temp.offers(:one);
UPDATE storesync.listing SET price = 1000 WHERE listing_id = :one;
SELECT * FROM pg_temp.offers(:one);

-- a campaign ends by itself, of one in another the price before both comes back
SELECT storesync.set_price(:one, 900, storesync.new_key(), valid_until => now() + interval '1 day') > 0 AS task;
SELECT storesync.set_price(:one, 800, storesync.new_key(), valid_until => now() + interval '2 days') > 0 AS task;
SELECT p.action, p.price, p.campaign FROM storesync.planned_offer p WHERE p.listing_id = :one;
SELECT storesync.next_expiry() <= now() + interval '2 days' AS due;
SELECT storesync.release_expired(100) AS nothing_yet;
UPDATE storesync.planned_offer SET due_at = now() WHERE listing_id = :one;
SELECT storesync.release_expired(100) AS ended;
SELECT l.price FROM storesync.listing l WHERE l.listing_id = :one;
SELECT * FROM pg_temp.offers(:one);
-- another price meanwhile ends it
SELECT storesync.set_price(:one, 900, storesync.new_key(), valid_until => now() + interval '1 day') > 0 AS task;
UPDATE storesync.listing SET price = 950 WHERE listing_id = :one;
SELECT count(*) AS planned FROM storesync.planned_offer p WHERE p.listing_id = :one;

-- later: neither now, nor when its end has come too
SELECT storesync.set_price(:one, 960, storesync.new_key(), now() + interval '1 day') > 0 AS task;
SELECT storesync.set_price(:one, 970, storesync.new_key(), now() + interval '2 days', now() + interval '3 days') > 0 AS task;
SELECT l.price FROM storesync.listing l WHERE l.listing_id = :one;
UPDATE storesync.planned_offer SET due_at = due_at - interval '4 days', until = until - interval '4 days' WHERE listing_id = :one;
SELECT storesync.release_expired(100) AS done;
SELECT l.price, (SELECT count(*) FROM storesync.planned_offer p WHERE p.listing_id = :one) AS planned
FROM storesync.listing l WHERE l.listing_id = :one;

-- called off before it begins, by an operator, once; a campaign that has begun is ended by another price
SELECT l.price FROM storesync.listing l WHERE l.listing_id = :one \gset
SELECT storesync.set_price(:one, :price - 1, storesync.new_key(), now() + interval '1 day', now() + interval '2 days') > 0 AS task;
SELECT storesync.set_price(:one, :price - 2, storesync.new_key(), valid_until => now() + interval '1 day') > 0 AS task;
CREATE ROLE regress_operator;
SELECT storesync.grant_role('regress_operator', 'operator');
SET ROLE regress_operator;
SELECT p.action, storesync.drop_planned_offer(p.planned_offer_id) AS called_off, storesync.drop_planned_offer(p.planned_offer_id) AS again
FROM storesync.planned_offer p WHERE p.listing_id = :one ORDER BY p.action;
SELECT storesync.drop_planned_offer(0), storesync.drop_planned_offer(NULL);
RESET ROLE;
SELECT a.action, a.before ->> 'action' AS what FROM storesync.audit a ORDER BY a.audit_id DESC LIMIT 1;
SELECT p.action FROM storesync.planned_offer p WHERE p.listing_id = :one;
UPDATE storesync.listing SET price = :price WHERE listing_id = :one;
SELECT count(*) AS planned FROM storesync.planned_offer p WHERE p.listing_id = :one;
SELECT storesync.revoke_role('regress_operator');
DROP ROLE regress_operator;

-- listed: a column, or a task; of an item with models as long as one of them is to be
SELECT storesync.enqueue(:store, 'unlist', jsonb_build_object('listing', :one)) > 0 AS task;
SELECT l.listing_id = :one AS first, l.listed FROM storesync.listing l WHERE l.store_id = :store ORDER BY l.listing_id;
SELECT * FROM pg_temp.offers(:one) WHERE facet = 'listed';
UPDATE storesync.listing SET listed = false WHERE listing_id = :two;
SELECT * FROM pg_temp.offers(:one) WHERE facet = 'listed';
SELECT storesync.enqueue(:store, 'list', jsonb_build_object('listing', :one), NULL, now() + interval '1 hour') > 0 AS task;
SELECT l.listed, p.action FROM storesync.listing l JOIN storesync.planned_offer p USING (listing_id) WHERE l.listing_id = :one;
UPDATE storesync.planned_offer SET due_at = now() WHERE listing_id = :one;
SELECT storesync.release_expired(100) AS done;
SELECT * FROM pg_temp.offers(:one) WHERE facet = 'listed';
-- nothing brings back what was recalled
SELECT storesync.enqueue(:store, 'list', jsonb_build_object('listing', :one)) AS listing_task \gset
SELECT storesync.ensure_partitions('0') IS NOT NULL AS made;
INSERT INTO storesync.task_event (task_id, state, class, attempts) VALUES (:listing_task, 'dead', 'permanent', 1);
INSERT INTO storesync.compensation (store_id, task_id, call, class, payload)
VALUES (:store, :listing_task, 'list', 'permanent', jsonb_build_object('listing', :one)) RETURNING compensation_id AS given_up \gset
UPDATE storesync.listing SET listed = false WHERE listing_id = :one;
SELECT storesync.requeue(:given_up);
SELECT l.listed, t.state, t.detail FROM storesync.listing l, storesync.task_state(:listing_task) t WHERE l.listing_id = :one;

-- what people see
SELECT s.price, s.price_shown, s.price_state, s.listed, s.listed_shown, s.listed_state FROM storesync.listing_status s WHERE s.listing_id = :one;
SELECT x.term, x.value FROM storesync.explain(:one) x WHERE x.term ~ 'price|listed';

-- another item: nothing is known of it
UPDATE storesync.listing SET item_id = '7302' WHERE listing_id = :one;
SELECT * FROM pg_temp.offers(:one);
-- another item, and at once another price: that is written
UPDATE storesync.listing SET item_id = '7303', price = 981 WHERE listing_id = :one;
SELECT * FROM pg_temp.offers(:one);
DELETE FROM storesync.listing WHERE listing_id IN (:one, :two);
SELECT count(*) FROM storesync.offer o WHERE o.listing_id IN (:one, :two);
SELECT * FROM storesync.check_invariants();
