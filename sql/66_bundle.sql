-- Bundles: SKUs made of other SKUs (docs/bundle.md). storesync.component has what they are made of.

-- Two changes that concern one SKU take its row in turn, in the order of ids. The bundle's places
-- are locked as whoever moves its stock locks them, so that nobody is about to give it any.
CREATE FUNCTION storesync.set_bundle(sku text, components jsonb) RETURNS void
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	wanted jsonb := coalesce($2, '{}');
	made storesync.sku;
	bad text;
	old_parts jsonb;
	drawn bigint;
BEGIN
	IF jsonb_typeof(wanted) <> 'object' THEN
		RAISE EXCEPTION 'components of a bundle are no JSON object' USING ERRCODE = '22023',
			HINT = 'Example: {"MUG": 1, "T-SHIRT-M": 2}.';
	END IF;
	IF (SELECT count(*) FROM jsonb_object_keys(wanted)) > 100 THEN
		RAISE EXCEPTION 'a bundle has at most 100 components' USING ERRCODE = '22023';
	END IF;
	SELECT e.key INTO bad FROM jsonb_each_text(wanted) e
	WHERE e.value IS NULL OR e.value !~ '^[0-9]{1,7}$' OR e.value::bigint NOT BETWEEN 1 AND 1000000
	ORDER BY 1 LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'quantity of component "%" is out of range', bad USING ERRCODE = 'SS201',
			DETAIL = 'Quantities in a bundle lie between 1 and 1000000.';
	END IF;

	PERFORM FROM storesync.sku k WHERE k.code = $1 OR wanted ? k.code ORDER BY k.sku_id FOR NO KEY UPDATE;
	SELECT k.* INTO made FROM storesync.sku k WHERE k.code = $1;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'SKU "%" does not exist', coalesce($1, 'null') USING ERRCODE = 'SS001';
	END IF;
	SELECT e.key INTO bad FROM jsonb_object_keys(wanted) e (key)
	WHERE NOT EXISTS (SELECT FROM storesync.sku k WHERE k.code = e.key) ORDER BY 1 LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'SKU "%" does not exist', bad USING ERRCODE = 'SS001';
	END IF;
	SELECT coalesce(jsonb_object_agg(k.code, c.qty), '{}') INTO old_parts
	FROM storesync.component c JOIN storesync.sku k ON k.sku_id = c.sku_id
	WHERE c.bundle_id = made.sku_id AND c.qty > 0;
	IF old_parts = wanted THEN
		RETURN;
	END IF;
	IF wanted <> '{}' THEN
		PERFORM storesync.check_bundle(made, wanted);
	END IF;

	drawn := storesync.drawn_versions(made.sku_id);
	INSERT INTO storesync.component AS c (bundle_id, sku_id, qty)
	SELECT made.sku_id, k.sku_id, (wanted ->> k.code)::bigint FROM storesync.sku k WHERE wanted ? k.code
	ON CONFLICT (bundle_id, sku_id) DO UPDATE SET qty = excluded.qty;
	UPDATE storesync.component c SET qty = 0
	FROM storesync.sku k
	WHERE c.bundle_id = made.sku_id AND k.sku_id = c.sku_id AND c.qty > 0 AND NOT wanted ? k.code;
	UPDATE storesync.sku k SET bundle = wanted <> '{}' WHERE k.sku_id = made.sku_id AND k.bundle <> (wanted <> '{}');
	INSERT INTO storesync.audit (action, subject, before, after)
	VALUES ('set bundle', concat('sku ', made.sku_id), old_parts, wanted);
	-- a listing of what is no bundle any more loses the versions of the components' stock
	UPDATE storesync.listing l SET revision = l.revision + 1 + CASE WHEN wanted = '{}' THEN drawn ELSE 0 END
	WHERE l.sku_id = made.sku_id;
	PERFORM storesync.outbox_add('stock', ARRAY[made.sku_id]);
END
$$;
COMMENT ON FUNCTION storesync.set_bundle(text, jsonb) IS
'Makes a SKU a bundle of others: components maps their codes to units in one bundle (1 to 1000000 each, at most 100 of them); NULL or {} makes it a plain SKU again. Its stock is that of its components: available() and listings count whole bundles, order lines book the components, movements of the bundle itself are refused (SS204). Lines keep the composition that they were booked with. Errors: SS001 unknown SKU, SS201 quantity out of range, SS205 the SKU is or was a component, has or had stock of its own or allows backorder, or a component is a bundle, 22023 no object or too many. Example: SELECT storesync.set_bundle(''GIFT-SET'', ''{"MUG": 1, "T-SHIRT-M": 2}'');';

CREATE FUNCTION storesync.check_bundle(made storesync.sku, wanted jsonb) RETURNS void
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	bad text;
	why text;
BEGIN
	-- a place to lock, so that a first movement of the SKU waits for us and then finds a bundle
	INSERT INTO storesync.stock_lock (sku_id, location_id)
	SELECT ($1).sku_id, p.location_id FROM storesync.location p
	WHERE NOT ($1).bundle
	ORDER BY p.location_id ON CONFLICT DO NOTHING;
	PERFORM FROM storesync.stock_lock k WHERE k.sku_id = ($1).sku_id ORDER BY k.location_id FOR UPDATE;
	SELECT k.code INTO bad FROM storesync.sku k WHERE $2 ? k.code AND k.bundle ORDER BY 1 LIMIT 1;
	why := CASE
		WHEN $2 ? ($1).code THEN 'It cannot be a component of itself.'
		WHEN bad IS NOT NULL THEN format('Component "%s" is a bundle.', bad)
		WHEN ($1).allow_backorder THEN 'It allows backorder; a bundle is on backorder when its components are.'
		WHEN EXISTS (SELECT FROM storesync.component c WHERE c.sku_id = ($1).sku_id)
			THEN 'It is, or was, a component of another bundle.'
		WHEN EXISTS (SELECT FROM storesync.ledger g WHERE g.sku_id = ($1).sku_id)
			THEN 'It has, or had, stock of its own.' END;
	IF why IS NOT NULL THEN
		RAISE EXCEPTION 'SKU "%" cannot be a bundle of these components', ($1).code
			USING ERRCODE = 'SS205', DETAIL = why;
	END IF;
	DELETE FROM storesync.stock_lock k WHERE k.sku_id = ($1).sku_id;
END
$$;
COMMENT ON FUNCTION storesync.check_bundle(storesync.sku, jsonb) IS
'What set_bundle() asks before it makes a SKU a bundle of these components: SS205 when it cannot be one. Takes away the places that the SKU has, which are empty.';
