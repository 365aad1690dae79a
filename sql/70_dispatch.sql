-- What people do with work that was given up (docs/dispatch.md).

CREATE FUNCTION storesync.task_settled(task bigint, how text) RETURNS void
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF storesync.missing_partitions('0') > 0 THEN
		PERFORM storesync.ensure_partitions('0');
	END IF;
	INSERT INTO storesync.task_event (task_id, state, class, attempts, detail)
	SELECT $1, 'discarded', t.last_class, coalesce(t.attempts, 0), $2
	FROM (SELECT) always LEFT JOIN storesync.task_latest($1) t ON true;
END
$$;
COMMENT ON FUNCTION storesync.task_settled(bigint, text) IS
'The last event of a task that was given up and is now settled by people; how becomes its detail.';

CREATE FUNCTION storesync.settle_compensation(compensation_id bigint, how text) RETURNS bigint
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	given_up storesync.compensation;
BEGIN
	UPDATE storesync.compensation c SET settled_at = clock_timestamp(), settled_by = $2
	WHERE c.compensation_id = $1 AND c.settled_at IS NULL
	RETURNING c.* INTO given_up;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'compensation % does not exist or is settled', coalesce($1::text, 'null')
			USING ERRCODE = 'SS007';
	END IF;
	INSERT INTO storesync.audit (action, subject, before, after)
	VALUES (split_part($2, ':', 1), concat('compensation ', $1),
		jsonb_build_object('call', given_up.call, 'class', given_up.class, 'reason', given_up.reason),
		jsonb_build_object('settled_by', $2));
	IF $2 LIKE 'requeued%' AND given_up.listing_id IS NOT NULL THEN
		PERFORM storesync.offer_revive(given_up.listing_id, given_up.call);
	END IF;
	IF given_up.task_id IS NOT NULL THEN
		PERFORM storesync.task_settled(given_up.task_id, CASE WHEN $2 NOT LIKE 'requeued%' THEN $2
			WHEN storesync.is_overtaken(given_up.call, given_up.payload) THEN 'discarded: overtaken, it is not wanted any more'
			ELSE concat('requeued as task ', storesync.enqueue(given_up.store_id, given_up.call, given_up.payload)) END);
	END IF;
	IF $2 LIKE 'requeued%' AND given_up.task_id IS NULL AND given_up.story -> 0 ->> 'order_sn' IS NOT NULL THEN
		PERFORM storesync.enqueue(given_up.store_id, 'fetch_orders', jsonb_build_object('order_sn', jsonb_build_array(given_up.story -> 0 ->> 'order_sn')));
	END IF;
	IF given_up.listing_id IS NOT NULL THEN
		PERFORM storesync.outbox_add('listing', ARRAY[given_up.listing_id]);
	END IF;
	RETURN given_up.listing_id;
END
$$;
COMMENT ON FUNCTION storesync.settle_compensation(bigint, text) IS
'What requeue() and discard() do: settle the row, write the audit, have the listing compared again; of a task, close it for good, and enqueue the same anew where it is requeued. Returns the listing_id. Error SS007 when the row does not exist or is settled.';

CREATE FUNCTION storesync.requeue(compensation_id bigint) RETURNS void
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM storesync.settle_compensation($1, 'requeued');
END
$$;
COMMENT ON FUNCTION storesync.requeue(bigint) IS
'Try work that was given up once more: a task is enqueued anew (task_state() of the old one names the new one), a listing is written again when it still differs, with the quantity of then, and an order that could not be booked is fetched again, by a task of its own. Errors: SS007 when the row does not exist or is settled; of a task also those of enqueue(). Example: SELECT storesync.requeue(17);';

CREATE FUNCTION storesync.discard(compensation_id bigint, reason text) RETURNS void
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM storesync.check_text('reason', $2);
	PERFORM storesync.settle_compensation($1, concat('discarded: ', $2));
END
$$;
COMMENT ON FUNCTION storesync.discard(bigint, text) IS
'Let work that was given up rest: the listing is left as it is until something about it changes. Errors: SS007 when the row does not exist or is settled, 22023 for an empty or overlong reason. Example: SELECT storesync.discard(17, ''the item was taken down'');';
