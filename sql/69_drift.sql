-- Differences that compensate() found: what becomes of them, and what people say of those that are proposed
-- (docs/compensate.md).

-- Over: the shop has acknowledged something since, the SKU, or one that it is made of, was counted, or what is
-- wanted by now is what the shop shows.
CREATE FUNCTION storesync.drift_look(listings bigint[], clean bigint[])
	RETURNS TABLE(listing_id bigint, excess bigint)
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
BEGIN
	UPDATE storesync.drift d SET state = 'settled', settled_at = clock_timestamp(), settled_by = x.how
	FROM (
		SELECT h.drift_id, CASE
			WHEN l.listing_id = ANY ($2) AND l.enabled THEN 'the shop shows what is wanted'
			WHEN w.sent_at > h.read_at AND w.acked_version > 0 THEN 'it was written for another cause'
			WHEN EXISTS (
				SELECT FROM storesync.ledger g
				WHERE g.kind = 'adjust' AND g.order_id IS NULL AND g.recorded_at > h.found_at AND g.sku_id = ANY (ARRAY(
					SELECT l.sku_id UNION ALL
					SELECT c.sku_id FROM storesync.component c WHERE c.bundle_id = l.sku_id AND c.qty > 0))) THEN 'it was counted' END AS how
		FROM storesync.drift h
		JOIN storesync.listing l ON l.listing_id = h.listing_id
		LEFT JOIN storesync.listing_shown w ON w.listing_id = h.listing_id
		WHERE h.listing_id = ANY ($1) AND h.state IN ('proposed', 'rejected')) x
	WHERE d.drift_id = x.drift_id AND x.how IS NOT NULL;
	RETURN QUERY
	SELECT d.listing_id, greatest(max(d.shown - d.expected), 0)
	FROM storesync.drift d
	WHERE d.listing_id = ANY ($1) AND d.state IN ('proposed', 'rejected')
	GROUP BY d.listing_id;
END
$$;
COMMENT ON FUNCTION storesync.drift_look(bigint[], bigint[]) IS
'For the dispatcher: which of these listings are not to be written for a difference that people have not confirmed, and how many units too many their shops show (excess, 0 for too few); differences that are over are settled first. clean: those of the listings that show what is wanted.';

CREATE VIEW storesync.drift_status AS
SELECT d.drift_id, d.state, d.store_id, s.platform, s.name AS store, d.listing_id, k.code AS sku, l.item_id, l.model_id,
	d.expected, d.shown, d.shown OPERATOR(pg_catalog.-) d.expected AS excess, d.read_at, d.found_at, d.certificate_id
FROM storesync.drift d
JOIN storesync.listing l ON l.listing_id OPERATOR(pg_catalog.=) d.listing_id
JOIN storesync.store s ON s.store_id OPERATOR(pg_catalog.=) d.store_id
JOIN storesync.sku k ON k.sku_id OPERATOR(pg_catalog.=) l.sku_id
WHERE d.settled_at IS NULL;
COMMENT ON VIEW storesync.drift_status IS
'Differences that compensate() found and that are not over: what was expected and what the shop showed at read_at, in sold units, and how many too many that was (excess, negative for too few). state: proposed (confirm_drift() or reject_drift()), rejected, pushed and confirmed (to be written). Example: SELECT * FROM storesync.drift_status WHERE state = ''proposed'' ORDER BY abs(excess) DESC;';

CREATE FUNCTION storesync.decide_drift(drift bigint[], state text, how text) RETURNS int
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	decided bigint[];
BEGIN
	WITH changed AS (
		UPDATE storesync.drift d SET state = $2
		WHERE d.drift_id = ANY ($1) AND d.state IN ('proposed', 'rejected') AND d.state <> $2
		RETURNING d.drift_id, d.listing_id, d.expected, d.shown),
	told AS (
		INSERT INTO storesync.audit (action, subject, before, after)
		SELECT CASE $2 WHEN 'confirmed' THEN 'confirm drift' ELSE 'reject drift' END, concat('listing ', c.listing_id),
			jsonb_build_object('expected', c.expected, 'shown', c.shown), jsonb_build_object('drift', c.drift_id, 'reason', $3)
		FROM changed c ORDER BY c.drift_id)
	SELECT array_agg(c.listing_id) INTO decided FROM changed c;
	IF decided IS NOT NULL THEN
		PERFORM storesync.outbox_add('listing', decided);
	END IF;
	RETURN coalesce(cardinality(decided), 0);
END
$$;
COMMENT ON FUNCTION storesync.decide_drift(bigint[], text, text) IS
'What confirm_drift() and reject_drift() do: state is confirmed or rejected. Returns how many it concerned.';

CREATE FUNCTION storesync.confirm_drift(drift bigint) RETURNS void
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF storesync.decide_drift(ARRAY[$1], 'confirmed', NULL) = 0 THEN
		RAISE EXCEPTION 'drift % does not exist or is over', coalesce($1::text, 'null') USING ERRCODE = 'SS007';
	END IF;
END
$$;
COMMENT ON FUNCTION storesync.confirm_drift(bigint) IS
'A proposed difference (storesync.drift_status) is the shop''s mistake: it is written what is wanted. One that was rejected can be confirmed, too. Errors: SS007 it does not exist, is over or confirmed already; 25006 on a standby. Example: SELECT storesync.confirm_drift(17);';

CREATE FUNCTION storesync.confirm_drifts(store int) RETURNS int
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM FROM storesync.store s WHERE s.store_id = $1;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'store % does not exist', coalesce($1::text, 'null') USING ERRCODE = 'SS002';
	END IF;
	RETURN storesync.decide_drift(
		ARRAY(SELECT d.drift_id FROM storesync.drift d WHERE d.store_id = $1 AND d.state = 'proposed'), 'confirmed', NULL);
END
$$;
COMMENT ON FUNCTION storesync.confirm_drifts(int) IS
'Confirms every difference of a store that is proposed now; returns how many. Errors: SS002 unknown store; 25006 on a standby. Example: SELECT storesync.confirm_drifts(3);';

CREATE FUNCTION storesync.reject_drift(drift bigint, reason text) RETURNS void
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM storesync.check_text('reason', $2);
	IF storesync.decide_drift(ARRAY[$1], 'rejected', $2) = 0 THEN
		RAISE EXCEPTION 'drift % does not exist or is over', coalesce($1::text, 'null') USING ERRCODE = 'SS007';
	END IF;
END
$$;
COMMENT ON FUNCTION storesync.reject_drift(bigint, text) IS
'A proposed difference is our mistake, or somebody meant it: the shop is left as it is, and is not asked about again, until its SKU is counted, it is confirmed after all, or a decrease below both goes out. The reason is kept in storesync.audit. Errors: SS007 it does not exist, is over or rejected already; 22023 for an empty or overlong reason; 25006 on a standby. Example: SELECT storesync.reject_drift(17, ''the shop keeps a display piece'');';
