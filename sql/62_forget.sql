-- Rows of tables that are not cut by time, and go one by one when they are old: maintain() takes them in steps
-- (docs/partitions.md).

CREATE FUNCTION storesync.forget_old(kept name, most int) RETURNS boolean
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	gone bigint := 0;
BEGIN
	IF $1 = 'compensation' THEN
		-- as long as nothing has moved a listing, what was discarded keeps it from being written; and what a night
		-- has tried again is why the same, open once more, is left to people (rests())
		DELETE FROM storesync.compensation d WHERE d.compensation_id = ANY (ARRAY(
			SELECT c.compensation_id FROM storesync.compensation c
			WHERE c.settled_at < clock_timestamp() - storesync.log_retention()
				AND NOT (c.call = 'push_stock' AND c.settled_by LIKE 'discarded%' AND EXISTS (
					SELECT FROM storesync.listing l
					WHERE l.listing_id = c.listing_id AND c.version >= l.revision + storesync.drawn_versions(l.sku_id)))
				AND NOT (c.settled_by LIKE 'requeued: certificate%' AND EXISTS (
					SELECT FROM storesync.compensation o
					WHERE o.settled_at IS NULL AND o.store_id = c.store_id AND o.call = c.call
						AND o.listing_id IS NOT DISTINCT FROM c.listing_id AND o.payload IS NOT DISTINCT FROM c.payload))
			ORDER BY c.settled_at LIMIT $2));
		GET DIAGNOSTICS gone = ROW_COUNT;
	ELSIF $1 = 'audit' THEN
		DELETE FROM storesync.audit d WHERE d.audit_id = ANY (ARRAY(
			SELECT a.audit_id FROM storesync.audit a
			WHERE a.at < clock_timestamp() - storesync.order_retention() AND a.action <> 'grant role'
			ORDER BY a.at LIMIT $2));
		GET DIAGNOSTICS gone = ROW_COUNT;
	END IF;
	RETURN gone = $2;
END
$$;
COMMENT ON FUNCTION storesync.forget_old(name, int) IS
'One bounded step towards deleting what is old in a table: of compensation what was settled more than storesync.log_retention ago, but what was discarded and still keeps its listing from being written, and what was tried again and is open once more; of audit what is older than storesync.order_retention, but which roles were granted. Deletes up to `most` rows; false: no more of them are left. maintain() calls it until then.';
