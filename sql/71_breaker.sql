-- Mass-change breaker: when many listings of a store are to change at once for another cause than a
-- sale, people look first (docs/breaker.md). The dispatcher decides; what it has decided is in tables.

CREATE FUNCTION storesync.breaker_cause(listing bigint, version bigint, revision bigint, since timestamptz, acked bigint,
	wanted bigint, believed bigint, OUT shaped boolean, OUT sold bigint, OUT received bigint, OUT counted boolean,
	OUT released boolean, OUT freed boolean, OUT counts boolean, OUT direct boolean)
	AS 'MODULE_PATHNAME', 'breaker_cause' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION storesync.breaker_cause(bigint, bigint, bigint, timestamptz, bigint, bigint, bigint) IS
'What the dispatcher makes of a listing''s change from believed to wanted (sold units) since its shop acknowledged acked at this version, revision and moment: what breaker_moves() says, by the same names; counts, whether it counts for the mass-change breaker: a decrease that sales do not explain, where something else has moved the listing, or a raise that goods received do not explain, where it was a change of policy, a count, a transfer, or a reservation given back without the end of a stop or hold; direct, found without a statement. NULL for no such listing. Example: SELECT * FROM storesync.breaker_cause(1, 5, 1, now() - ''1 hour''::interval, 10, 0, 10);';

CREATE FUNCTION storesync.breaker_target(listings bigint[])
	RETURNS TABLE(listing_id bigint, to_send bigint, due boolean, needs_fetch_after timestamptz)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT t.listing_id, greatest(b.bound - t.unseen, 0),
		t.enabled AND NOT t.dead AND coalesce(t.at_most > b.bound, false),
		CASE WHEN b.bound > t.unseen AND t.at_most - b.bound <= t.unseen
			THEN least(greatest(statement_timestamp() - storesync.max_fetch_age(), t.written_at), statement_timestamp()) END
	FROM storesync.listing_target t
	CROSS JOIN LATERAL (
		SELECT greatest(t.acked_qty - m.sold, 0) AS bound
		FROM storesync.breaker_moves(t.listing_id, t.acked_version, t.acked_revision, t.sent_at) m
		OFFSET 0) b
	WHERE t.listing_id = ANY ($1) AND t.stopped IS NULL AND t.held IS NULL
$$;
COMMENT ON FUNCTION storesync.breaker_target(bigint[]) IS
'What may be sent of listings that the mass-change breaker holds: the quantity last acknowledged less what was sold since, less unseen sales (to_send, sold units), where the shop may show more than that (due), after orders are fetched through needs_fetch_after (NULL: at once). No row for one that is stopped or held otherwise: its 0 goes out.';

CREATE FUNCTION storesync.release_breaker(store int) RETURNS int
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
DECLARE
	opened storesync.breaker;
	kept bigint[];
BEGIN
	PERFORM FROM storesync.store s WHERE s.store_id = $1 FOR KEY SHARE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'store % does not exist', coalesce($1::text, 'null') USING ERRCODE = 'SS002';
	END IF;
	-- the dispatcher, too, before it writes either table
	LOCK TABLE storesync.breaker_listing IN SHARE ROW EXCLUSIVE MODE;
	DELETE FROM storesync.breaker b WHERE b.store_id = $1 RETURNING b.* INTO opened;
	IF NOT FOUND THEN
		RETURN 0;
	END IF;
	kept := ARRAY(SELECT b.listing_id FROM storesync.breaker_listing b WHERE b.store_id = $1 AND NOT b.passed ORDER BY b.listing_id);
	UPDATE storesync.breaker_listing b
	SET passed = true, at = clock_timestamp(), qty = t.wanted, version = t.version, revision = l.revision
	FROM storesync.listing_target t JOIN storesync.listing l ON l.listing_id = t.listing_id
	WHERE b.listing_id = t.listing_id AND t.listing_id = ANY (kept);
	DELETE FROM storesync.breaker_listing b WHERE b.store_id = $1 AND NOT b.passed;
	INSERT INTO storesync.audit (action, subject, before, after)
	VALUES ('release breaker', concat('store ', $1), to_jsonb(opened), jsonb_build_object('released', cardinality(kept)));
	PERFORM storesync.outbox_add('store', ARRAY[$1::bigint]);
	RETURN cardinality(kept);
END
$$;
COMMENT ON FUNCTION storesync.release_breaker(int) IS
'Lets go what the mass-change breaker of a store holds: the quantities of now go out, as the store''s limit allows, and counting begins anew. What changes after this call counts again. Returns how many listings were held, 0 when the breaker was not open. Error SS002 for an unknown store. Example: SELECT storesync.release_breaker(3);';

CREATE VIEW storesync.breaker_status AS
SELECT b.store_id, s.name, b.opened_at, b.changes, b.listings,
	(SELECT count(*) FROM storesync.breaker_listing x
		WHERE x.store_id OPERATOR(pg_catalog.=) b.store_id AND NOT x.passed) AS held
FROM storesync.breaker b
JOIN storesync.store s ON s.store_id OPERATOR(pg_catalog.=) b.store_id;
COMMENT ON VIEW storesync.breaker_status IS
'Stores whose mass-change breaker is open: since when, how many of how many listings were to change then, and how many are held now. listing_status tells which (held by breaker), release_breaker() lets them go. Example: SELECT * FROM storesync.breaker_status;';
