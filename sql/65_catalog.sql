-- Catalogue: platforms, stores, SKUs, listings, their credentials, and the audit of every change.

-- ---------------------------------------------------------------- checks

CREATE FUNCTION storesync.check_text(what text, value text) RETURNS void
	LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF value IS NULL OR value = '' OR octet_length(value) > 200 OR value ~ '[[:cntrl:]]' THEN
		RAISE EXCEPTION '% is empty, too long or holds control characters', what
			USING ERRCODE = '22023', DETAIL = '1 to 200 bytes of printable text are allowed.';
	END IF;
END
$$;
COMMENT ON FUNCTION storesync.check_text(text, text) IS
'Raises 22023 unless value has 1 to 200 bytes and no control characters; what names it in the message.';

CREATE FUNCTION storesync.is_loopback(url text) RETURNS boolean
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN url ~ '^https?://(127(\.(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])){3}|localhost|\[::1\])(:[0-9]{1,5})?(/[A-Za-z0-9_]+)*$';
COMMENT ON FUNCTION storesync.is_loopback(text) IS
'Whether a base URL names this machine: 127.0.0.0/8, localhost or [::1]. Example: SELECT storesync.is_loopback(''http://127.0.0.1:8080''); -- true';

CREATE FUNCTION storesync.platform_check() RETURNS trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NEW.base_url !~ '^https?://([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[A-Za-z0-9_]+)*$'
		OR octet_length(NEW.base_url) > 200
		OR substring(NEW.base_url FROM ':([0-9]+)(?:/.*)?$')::int NOT BETWEEN 1 AND 65535 THEN
		RAISE EXCEPTION 'base URL of platform "%" is not valid', NEW.platform
			USING ERRCODE = 'SS404', DETAIL = 'It is made of https://, a host, perhaps a port and directories; no user, query or slash at its end.';
	END IF;
	IF NEW.base_url LIKE 'http:%' AND NOT storesync.is_loopback(NEW.base_url) THEN
		RAISE EXCEPTION 'base URL of platform "%" needs https', NEW.platform
			USING ERRCODE = 'SS404', DETAIL = 'Plain http is for loopback addresses: 127.0.0.0/8, localhost, [::1].';
	END IF;
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION storesync.platform_check() IS
'Row trigger of storesync.platform: refuses an unsafe base_url with SS404.';
CREATE TRIGGER platform_check BEFORE INSERT OR UPDATE ON storesync.platform
	FOR EACH ROW EXECUTE FUNCTION storesync.platform_check();

-- CREATE EXTENSION brings rows that a dump brings too, perhaps changed by an operator: an inserted
-- row takes the place of the one that is there. (It deletes, where an UPDATE would call triggers
-- that write other tables, which a dump in mid-restore must not meet.) Once the application has
-- secrets the database is at work, and a row that is there already is an error as everywhere.
CREATE FUNCTION storesync.platform_replace() RETURNS trigger
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	DELETE FROM storesync.platform p
	WHERE p.platform = NEW.platform
		AND NOT EXISTS (SELECT FROM storesync.app_credential c WHERE c.platform = p.platform);
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION storesync.platform_replace() IS
'Row trigger of storesync.platform: an inserted row replaces the one of the same name while its application has no credentials, so that a restored dump meets the row that CREATE EXTENSION made.';
CREATE TRIGGER platform_replace BEFORE INSERT ON storesync.platform
	FOR EACH ROW EXECUTE FUNCTION storesync.platform_replace();
-- also where the rows come by logical replication
ALTER TABLE storesync.platform ENABLE ALWAYS TRIGGER platform_replace;

INSERT INTO storesync.platform (platform, base_url, max_quantity, short_weight)
VALUES ('shopee', 'https://partner.shopeemobile.com', 999999, 3);
-- what these two do with a cancelled order's units no source says, and when it was cancelled they do not say
INSERT INTO storesync.platform (platform, base_url, max_quantity, returns_on_cancel, quota_scope, unpaid_hold)
VALUES ('ruten', 'https://partner.ruten.com.tw', 1200, NULL, 'store', '3 days');
INSERT INTO storesync.platform (platform, base_url, max_quantity, returns_on_cancel, quota_scope, short_weight)
VALUES ('pchome', 'https://ecvdr.pchome.com.tw/vdr', 1200, NULL, 'store', 2);

-- NULL, '' and '0' are three spellings of an item without models.
CREATE FUNCTION storesync.listing_normalise() RETURNS trigger
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	NEW.model_id := CASE WHEN NEW.model_id IS NULL OR NEW.model_id = '0' THEN '' ELSE NEW.model_id END;
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION storesync.listing_normalise() IS
'Row trigger of storesync.listing: a model_id of NULL or ''0'' is stored as ''''.';
CREATE TRIGGER listing_normalise BEFORE INSERT OR UPDATE OF model_id ON storesync.listing
	FOR EACH ROW EXECUTE FUNCTION storesync.listing_normalise();

-- ---------------------------------------------------------------- references
--
-- What foreign keys would do. Whoever makes a reference has locked the row it points to (FOR KEY
-- SHARE), so that a removal waits for him and then finds the reference.

CREATE FUNCTION storesync.refuse_orphans() RETURNS trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	is_used boolean;
BEGIN
	CASE TG_TABLE_NAME
		WHEN 'platform' THEN
			is_used := EXISTS (SELECT FROM storesync.store s WHERE s.platform = OLD.platform);
		WHEN 'store' THEN
			is_used := EXISTS (SELECT FROM storesync.listing l WHERE l.store_id = OLD.store_id)
				OR EXISTS (SELECT FROM storesync.sales_order o WHERE o.store_id = OLD.store_id)
				OR EXISTS (SELECT FROM storesync.store_location z WHERE z.store_id = OLD.store_id)
				OR EXISTS (SELECT FROM storesync.selling_stop z WHERE z.store_id = OLD.store_id);
		WHEN 'sku' THEN
			is_used := EXISTS (SELECT FROM storesync.listing l WHERE l.sku_id = OLD.sku_id)
				OR EXISTS (SELECT FROM storesync.stock_lock k WHERE k.sku_id = OLD.sku_id)
				OR EXISTS (SELECT FROM storesync.component c WHERE c.bundle_id = OLD.sku_id)
				OR EXISTS (SELECT FROM storesync.component c WHERE c.sku_id = OLD.sku_id)
				OR EXISTS (SELECT FROM storesync.selling_stop z WHERE z.sku_id = OLD.sku_id);
		WHEN 'location' THEN
			is_used := EXISTS (SELECT FROM storesync.stock_lock k WHERE k.location_id = OLD.location_id)
				OR EXISTS (SELECT FROM storesync.store_location z WHERE z.location_id = OLD.location_id);
	END CASE;
	IF is_used THEN
		RAISE EXCEPTION '% is still referred to', TG_TABLE_NAME USING ERRCODE = '23503',
			DETAIL = format('Rows refer to %s.', to_jsonb(OLD) -> TG_ARGV[0]);
	END IF;
	RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END
$$;
COMMENT ON FUNCTION storesync.refuse_orphans() IS
'Row trigger: refuses with 23503 to delete a platform, store, SKU or location that rows refer to, or to change its key. Argument: the key.';
CREATE TRIGGER refuse_orphans BEFORE DELETE OR UPDATE OF platform ON storesync.platform
	-- but not what platform_replace() does
	FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION storesync.refuse_orphans('platform');
CREATE TRIGGER refuse_orphans BEFORE DELETE OR UPDATE OF store_id ON storesync.store
	FOR EACH ROW EXECUTE FUNCTION storesync.refuse_orphans('store_id');
CREATE TRIGGER refuse_orphans BEFORE DELETE OR UPDATE OF sku_id ON storesync.sku
	FOR EACH ROW EXECUTE FUNCTION storesync.refuse_orphans('sku_id');
CREATE TRIGGER refuse_orphans BEFORE DELETE OR UPDATE OF location_id ON storesync.location
	FOR EACH ROW EXECUTE FUNCTION storesync.refuse_orphans('location_id');

CREATE FUNCTION storesync.listing_moved() RETURNS trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM FROM storesync.store s WHERE s.store_id = NEW.store_id FOR KEY SHARE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'store % does not exist', coalesce(NEW.store_id::text, 'null') USING ERRCODE = 'SS002';
	END IF;
	PERFORM FROM storesync.sku k WHERE k.sku_id = NEW.sku_id FOR KEY SHARE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'SKU % does not exist', coalesce(NEW.sku_id::text, 'null') USING ERRCODE = 'SS001';
	END IF;
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION storesync.listing_moved() IS
'Row trigger of storesync.listing: a changed mapping must point to an existing store and SKU (SS002, SS001).';
CREATE TRIGGER listing_moved BEFORE UPDATE OF store_id, sku_id ON storesync.listing
	FOR EACH ROW EXECUTE FUNCTION storesync.listing_moved();

-- What is kept of a listing or a store goes with it; what was written as history stays. (Its offers:
-- storesync.offer_renamed().)
CREATE FUNCTION storesync.listing_gone() RETURNS trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	DELETE FROM storesync.listing_shown w WHERE w.listing_id = OLD.listing_id;
	DELETE FROM storesync.listing_reserved w WHERE w.listing_id = OLD.listing_id;
	DELETE FROM storesync.allotment a WHERE a.listing_id = OLD.listing_id;
	DELETE FROM storesync.breaker_listing b WHERE b.listing_id = OLD.listing_id;
	DELETE FROM storesync.verify_item i WHERE i.listing_id = OLD.listing_id;
	DELETE FROM storesync.verification v WHERE v.listing_id = OLD.listing_id;
	DELETE FROM storesync.drift d WHERE d.listing_id = OLD.listing_id AND d.settled_at IS NULL;
	-- what was set aside for it is the others' now
	PERFORM storesync.outbox_add('stock', ARRAY[OLD.sku_id]);
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION storesync.listing_gone() IS
'Row trigger of storesync.listing: what is kept of a deleted listing goes with it, and the others of its SKU are compared.';
CREATE TRIGGER listing_gone AFTER DELETE ON storesync.listing
	FOR EACH ROW EXECUTE FUNCTION storesync.listing_gone();

CREATE FUNCTION storesync.store_gone() RETURNS trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	DELETE FROM storesync.listing_seen s WHERE s.store_id = OLD.store_id;
	DELETE FROM storesync.listing_walk w WHERE w.store_id = OLD.store_id;
	DELETE FROM storesync.order_cursor c WHERE c.store_id = OLD.store_id;
	DELETE FROM storesync.order_look k WHERE k.store_id = OLD.store_id;
	DELETE FROM storesync.breaker b WHERE b.store_id = OLD.store_id;
	DELETE FROM storesync.peak_window w WHERE w.store_id = OLD.store_id;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION storesync.store_gone() IS
'Row trigger of storesync.store: what is kept of a deleted store goes with it.';
CREATE TRIGGER store_gone AFTER DELETE ON storesync.store
	FOR EACH ROW EXECUTE FUNCTION storesync.store_gone();

CREATE FUNCTION storesync.store_hold() RETURNS trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM storesync.hold_unpaid(NEW.store_id);
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION storesync.store_hold() IS
'Row trigger of storesync.store: a changed unpaid_hold holds for the orders that are unpaid already.';
CREATE TRIGGER store_hold AFTER UPDATE OF unpaid_hold ON storesync.store
	FOR EACH ROW WHEN (NEW.unpaid_hold IS DISTINCT FROM OLD.unpaid_hold) EXECUTE FUNCTION storesync.store_hold();

-- Not for INSERT: a restore would fire it.
CREATE FUNCTION storesync.listing_mapped() RETURNS trigger AS 'MODULE_PATHNAME', 'listing_mapped' LANGUAGE C;
COMMENT ON FUNCTION storesync.listing_mapped() IS
'Statement trigger of storesync.listing: parked order lines of a changed mapping are booked.';
CREATE TRIGGER listing_mapped AFTER UPDATE ON storesync.listing
	REFERENCING OLD TABLE AS before NEW TABLE AS after
	FOR EACH STATEMENT EXECUTE FUNCTION storesync.listing_mapped();

-- ---------------------------------------------------------------- audit

CREATE TRIGGER refuse_change BEFORE UPDATE OR TRUNCATE ON storesync.audit
	FOR EACH STATEMENT EXECUTE FUNCTION storesync.refuse_change();
-- what is younger nobody deletes, what is older maintain() alone has a right to
CREATE TRIGGER refuse_loss BEFORE DELETE ON storesync.audit
	FOR EACH ROW WHEN (OLD.at >= clock_timestamp() - storesync.order_retention() OR OLD.action = 'grant role')
	EXECUTE FUNCTION storesync.refuse_change();

CREATE FUNCTION storesync.audit_change() RETURNS trigger AS 'MODULE_PATHNAME', 'audit_change' LANGUAGE C;
COMMENT ON FUNCTION storesync.audit_change() IS
'Statement trigger: one audit row for each row that an UPDATE changed (its changed columns before and after; none where only columns that follow from others changed) or a DELETE removed. Argument: the column that names a row.';
CREATE TRIGGER audit_update AFTER UPDATE ON storesync.platform
	REFERENCING OLD TABLE AS before NEW TABLE AS after
	FOR EACH STATEMENT EXECUTE FUNCTION storesync.audit_change('platform');
CREATE TRIGGER audit_update AFTER UPDATE ON storesync.store
	REFERENCING OLD TABLE AS before NEW TABLE AS after
	FOR EACH STATEMENT EXECUTE FUNCTION storesync.audit_change('store_id');
CREATE TRIGGER audit_delete AFTER DELETE ON storesync.store
	REFERENCING OLD TABLE AS before
	FOR EACH STATEMENT EXECUTE FUNCTION storesync.audit_change('store_id');
CREATE TRIGGER audit_update AFTER UPDATE ON storesync.location
	REFERENCING OLD TABLE AS before NEW TABLE AS after
	FOR EACH STATEMENT EXECUTE FUNCTION storesync.audit_change('location_id');
CREATE TRIGGER audit_update AFTER UPDATE ON storesync.sku
	REFERENCING OLD TABLE AS before NEW TABLE AS after
	FOR EACH STATEMENT EXECUTE FUNCTION storesync.audit_change('sku_id');
CREATE TRIGGER audit_delete AFTER DELETE ON storesync.sku
	REFERENCING OLD TABLE AS before
	FOR EACH STATEMENT EXECUTE FUNCTION storesync.audit_change('sku_id');
CREATE TRIGGER audit_update AFTER UPDATE ON storesync.listing
	REFERENCING OLD TABLE AS before NEW TABLE AS after
	FOR EACH STATEMENT EXECUTE FUNCTION storesync.audit_change('listing_id');
CREATE TRIGGER audit_delete AFTER DELETE ON storesync.listing
	REFERENCING OLD TABLE AS before
	FOR EACH STATEMENT EXECUTE FUNCTION storesync.audit_change('listing_id');

-- ---------------------------------------------------------------- additions

CREATE FUNCTION storesync.add_store(platform text, shop_id text, name text,
	rate_limit storesync.rate_limit DEFAULT '5/s') RETURNS int
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	loopback boolean;
	hold interval;
	made int;
BEGIN
	PERFORM storesync.check_text('shop id', $2);
	PERFORM storesync.check_text('store name', $3);
	IF $4 IS NULL THEN
		RAISE EXCEPTION 'rate limit of a store must not be null' USING ERRCODE = '22004';
	END IF;
	SELECT storesync.is_loopback(p.base_url), p.unpaid_hold INTO loopback, hold
	FROM storesync.platform p WHERE p.platform = $1 FOR KEY SHARE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'platform "%" does not exist', $1 USING ERRCODE = 'SS005';
	END IF;
	INSERT INTO storesync.store (platform, shop_id, name, mode, rate_limit, unpaid_hold)
	VALUES ($1, $2, $3, CASE WHEN loopback THEN 'live' ELSE 'shadow' END, $4, hold)
	ON CONFLICT DO NOTHING RETURNING store_id INTO made;
	IF made IS NULL THEN
		RAISE EXCEPTION 'shop "%" of platform "%" is a store already', $2, $1 USING ERRCODE = '23505';
	END IF;
	INSERT INTO storesync.audit (action, subject, after)
	SELECT 'add', concat('store ', made), to_jsonb(s) FROM storesync.store s WHERE s.store_id = made;
	PERFORM storesync.outbox_add('store', ARRAY[made::bigint]);
	RETURN made;
END
$$;
COMMENT ON FUNCTION storesync.add_store(text, text, text, storesync.rate_limit) IS
'Adds a shop of a platform and returns its store_id. It starts in mode live where the platform''s base_url is a loopback address, otherwise in shadow: orders are booked, nothing is sent. unpaid_hold is the platform''s. Errors: SS005 unknown platform, 23505 the shop is there already, 22023 empty or overlong text, 22004 no limit. Example: SELECT storesync.add_store(''shopee'', ''220001'', ''Main shop'', ''5/s burst 10'');';

CREATE FUNCTION storesync.add_sku(code text, name text DEFAULT NULL, safety_stock bigint DEFAULT 0,
	allow_backorder boolean DEFAULT false) RETURNS bigint
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	made bigint;
BEGIN
	PERFORM storesync.check_text('SKU code', $1);
	IF $3 IS NULL OR $3 NOT BETWEEN 0 AND 1000000000000 THEN
		RAISE EXCEPTION 'safety stock % is out of range', coalesce($3::text, 'null') USING ERRCODE = 'SS201';
	END IF;
	IF NOT EXISTS (SELECT FROM storesync.location p WHERE p.code = 'main') THEN
		INSERT INTO storesync.location (code) VALUES ('main') ON CONFLICT DO NOTHING;
	END IF;
	INSERT INTO storesync.sku (code, name, safety_stock, allow_backorder)
	VALUES ($1, $2, $3, coalesce($4, false))
	ON CONFLICT DO NOTHING RETURNING sku_id INTO made;
	IF made IS NULL THEN
		RAISE EXCEPTION 'SKU "%" exists already', $1 USING ERRCODE = '23505';
	END IF;
	INSERT INTO storesync.audit (action, subject, after)
	SELECT 'add', concat('sku ', made), to_jsonb(k) FROM storesync.sku k WHERE k.sku_id = made;
	PERFORM storesync.take_up_sku($1);
	RETURN made;
END
$$;
COMMENT ON FUNCTION storesync.add_sku(text, text, bigint, boolean) IS
'Adds a SKU and returns its sku_id; makes the location ''main'' when it is the first. safety_stock: units never shown on any listing. allow_backorder: may be reserved below zero. Parked order lines that name it are booked. Errors: 23505 the code exists, SS201 safety stock out of range, 22023 empty or overlong code. Example: SELECT storesync.add_sku(''TEA-100'', ''Oolong tea 100 g'', 2);';

CREATE FUNCTION storesync.add_location(code text, name text DEFAULT NULL, sellable boolean DEFAULT true) RETURNS int
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	made int;
BEGIN
	PERFORM storesync.check_text('location code', $1);
	INSERT INTO storesync.location (code, name, sellable) VALUES ($1, $2, coalesce($3, true))
	ON CONFLICT DO NOTHING RETURNING location_id INTO made;
	IF made IS NULL THEN
		RAISE EXCEPTION 'location "%" exists already', $1 USING ERRCODE = '23505';
	END IF;
	INSERT INTO storesync.audit (action, subject, after)
	SELECT 'add', concat('location ', made), to_jsonb(p) FROM storesync.location p WHERE p.location_id = made;
	RETURN made;
END
$$;
COMMENT ON FUNCTION storesync.add_location(text, text, boolean) IS
'Adds a place that holds stock and returns its location_id; only sellable places count in what listings show. Errors: 23505 the code exists, 22023 empty or overlong code. Example: SELECT storesync.add_location(''returns'', ''Returns shelf'', false);';

CREATE FUNCTION storesync.add_listing(store int, sku text, item_id text, model_id text DEFAULT NULL,
	pack int DEFAULT 1) RETURNS bigint
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	kept bigint;
	made bigint;
BEGIN
	PERFORM storesync.check_text('item id', $3);
	IF $4 <> '' THEN
		PERFORM storesync.check_text('model id', $4);
	END IF;
	IF $5 IS NULL OR $5 < 1 THEN
		RAISE EXCEPTION 'pack % is out of range', coalesce($5::text, 'null') USING ERRCODE = 'SS201';
	END IF;
	PERFORM FROM storesync.store s WHERE s.store_id = $1 FOR KEY SHARE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'store % does not exist', coalesce($1::text, 'null') USING ERRCODE = 'SS002';
	END IF;
	SELECT k.sku_id INTO kept FROM storesync.sku k WHERE k.code = $2 FOR KEY SHARE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'SKU "%" does not exist', coalesce($2, 'null') USING ERRCODE = 'SS001';
	END IF;
	INSERT INTO storesync.listing (store_id, sku_id, item_id, model_id, pack)
	VALUES ($1, kept, $3, $4, $5)
	ON CONFLICT DO NOTHING RETURNING listing_id INTO made;
	IF made IS NULL THEN
		RAISE EXCEPTION 'item "%", model "%" of store % is a listing already', $3, coalesce($4, ''), $1
			USING ERRCODE = '23505';
	END IF;
	INSERT INTO storesync.audit (action, subject, after)
	SELECT 'add', concat('listing ', made), to_jsonb(l) FROM storesync.listing l WHERE l.listing_id = made;
	PERFORM storesync.outbox_add('listing', ARRAY[made]);
	PERFORM storesync.tell_siblings(ARRAY[made]);
	PERFORM storesync.take_up_listings(ARRAY[made]);
	RETURN made;
END
$$;
COMMENT ON FUNCTION storesync.add_listing(int, text, text, text, int) IS
'Says that an item (and model) of a store sells a SKU; returns the listing_id. model_id NULL, '''' and ''0'' all mean an item without models. pack: units of the SKU that one sold unit takes. Policy is on the columns of storesync.listing. Parked order lines of the item are booked. Errors: SS002 unknown store, SS001 unknown SKU, 23505 the item and model are listed already, SS201 pack below 1, 22023 empty or overlong id. Example: SELECT storesync.add_listing(1, ''TEA-100'', ''80012345'', ''9001'', pack => 2);';

-- ---------------------------------------------------------------- places of a store

CREATE FUNCTION storesync.set_store_locations(store int, locations text[]) RETURNS void
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	unknown text;
	old_codes text[];
	new_codes text[];
BEGIN
	IF $2 IS NULL OR array_position($2, NULL) IS NOT NULL THEN
		RAISE EXCEPTION 'locations of a store must not be null' USING ERRCODE = '22004',
			HINT = 'An empty array lets the store sell from every location that is sellable.';
	END IF;
	PERFORM FROM storesync.store s WHERE s.store_id = $1 FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'store % does not exist', coalesce($1::text, 'null') USING ERRCODE = 'SS002';
	END IF;
	PERFORM FROM storesync.location p WHERE p.code = ANY ($2) ORDER BY p.location_id FOR KEY SHARE;
	SELECT u.code INTO unknown FROM unnest($2) u (code)
	WHERE NOT EXISTS (SELECT FROM storesync.location p WHERE p.code = u.code) LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'location "%" does not exist', unknown USING ERRCODE = 'SS003';
	END IF;
	SELECT coalesce(array_agg(DISTINCT u.code), '{}') INTO new_codes FROM unnest($2) u (code);
	IF cardinality(new_codes) < cardinality($2) THEN
		RAISE EXCEPTION 'a location of store % is named twice', $1 USING ERRCODE = '22023';
	END IF;
	SELECT coalesce(array_agg(p.code ORDER BY p.code), '{}') INTO old_codes
	FROM storesync.store_location z JOIN storesync.location p ON p.location_id = z.location_id WHERE z.store_id = $1;
	IF old_codes = new_codes THEN
		RETURN;
	END IF;
	DELETE FROM storesync.store_location z WHERE z.store_id = $1;
	INSERT INTO storesync.store_location (store_id, location_id)
	SELECT $1, p.location_id FROM storesync.location p WHERE p.code = ANY (new_codes);
	INSERT INTO storesync.audit (action, subject, before, after)
	VALUES ('set locations', concat('store ', $1), to_jsonb(old_codes), to_jsonb(new_codes));
	UPDATE storesync.listing l SET revision = l.revision + 1 WHERE l.store_id = $1;
	PERFORM storesync.outbox_add('store', ARRAY[$1::bigint]);
	PERFORM storesync.tell_siblings(ARRAY(SELECT l.listing_id FROM storesync.listing l WHERE l.store_id = $1));
END
$$;
COMMENT ON FUNCTION storesync.set_store_locations(int, text[]) IS
'Says from which places a store sells: those named that are sellable, or every sellable one with an empty array. Its listings count only what lies there, and its order lines are booked only there; what they hold elsewhere they keep. Errors: SS002 unknown store, SS003 unknown location, 22023 a location named twice, 22004 null. Example: SELECT storesync.set_store_locations(1, ARRAY[''main'', ''north'']);';

-- ---------------------------------------------------------------- switches

CREATE FUNCTION storesync.set_paused(store int, paused boolean) RETURNS void
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	UPDATE storesync.store s SET paused = $2 WHERE s.store_id = $1;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'store % does not exist', coalesce($1::text, 'null') USING ERRCODE = 'SS002';
	END IF;
END
$$;
COMMENT ON FUNCTION storesync.set_paused(int, boolean) IS 'What pause() and resume() do.';

CREATE FUNCTION storesync.pause(store int) RETURNS void
	LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT storesync.set_paused($1, true) $$;
COMMENT ON FUNCTION storesync.pause(int) IS
'Stops writes to a store; its orders are fetched and booked as before. Error SS002 for an unknown store. Example: SELECT storesync.pause(1);';

CREATE FUNCTION storesync.resume(store int) RETURNS void
	LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT storesync.set_paused($1, false) $$;
COMMENT ON FUNCTION storesync.resume(int) IS
'Lets writes to a paused store go out again. Error SS002 for an unknown store. Example: SELECT storesync.resume(1);';

-- What a stop with this store and this SKU (NULL: any) covers.
CREATE FUNCTION storesync.revise_stopped(store int, sku bigint, ends boolean) RETURNS int
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	covered bigint[];
BEGIN
	WITH revised AS (
		UPDATE storesync.listing l SET revision = l.revision + 1, freed = CASE WHEN $3 THEN l.revision + 1 ELSE l.freed END
		WHERE ($1 IS NULL OR l.store_id = $1)
			AND ($2 IS NULL OR l.sku_id = $2 OR l.sku_id IN (
				SELECT c.bundle_id FROM storesync.component c WHERE c.sku_id = $2 AND c.qty > 0))
		RETURNING l.listing_id)
	SELECT coalesce(array_agg(r.listing_id ORDER BY r.listing_id), '{}') INTO covered FROM revised r;
	IF $1 IS NULL AND $2 IS NULL THEN
		PERFORM storesync.outbox_add('platform', ARRAY[0]);
	ELSE
		IF $2 IS NULL THEN
			PERFORM storesync.outbox_add('store', ARRAY[$1::bigint]);
		ELSE
			PERFORM storesync.outbox_add('listing', covered);
		END IF;
		PERFORM storesync.tell_siblings(covered);
	END IF;
	RETURN cardinality(covered);
END
$$;
COMMENT ON FUNCTION storesync.revise_stopped(int, bigint, boolean) IS
'What stop_selling() and start_selling() do to the listings of a store and a SKU (NULL: any; bundles of the SKU with it): a new version and an outbox row; ends: the mass-change breaker is told that a stop has ended. Returns how many there are.';

CREATE FUNCTION storesync.resolve_stop(store int, sku text) RETURNS bigint
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	found_sku bigint;
BEGIN
	IF $1 IS NOT NULL THEN
		PERFORM FROM storesync.store s WHERE s.store_id = $1 FOR KEY SHARE;
		IF NOT FOUND THEN
			RAISE EXCEPTION 'store % does not exist', $1 USING ERRCODE = 'SS002';
		END IF;
	END IF;
	IF $2 IS NOT NULL THEN
		SELECT k.sku_id INTO found_sku FROM storesync.sku k WHERE k.code = $2 FOR KEY SHARE;
		IF NOT FOUND THEN
			RAISE EXCEPTION 'SKU "%" does not exist', $2 USING ERRCODE = 'SS001';
		END IF;
	END IF;
	RETURN found_sku;
END
$$;
COMMENT ON FUNCTION storesync.resolve_stop(int, text) IS
'The sku_id of a code, NULL for NULL; errors SS002 and SS001 when there is no such store or SKU.';

CREATE FUNCTION storesync.stop_selling(store int DEFAULT NULL, sku text DEFAULT NULL, reason text DEFAULT NULL) RETURNS int
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	stopped_sku bigint := storesync.resolve_stop($1, $2);
	why text := coalesce($3, 'stopped');
BEGIN
	PERFORM storesync.check_text('reason', why);
	INSERT INTO storesync.selling_stop (store_id, sku_id, reason) VALUES ($1, stopped_sku, why) ON CONFLICT DO NOTHING;
	IF NOT FOUND THEN
		RETURN 0;
	END IF;
	INSERT INTO storesync.audit (action, subject, after)
	VALUES ('stop selling', CASE WHEN $1 IS NOT NULL THEN concat('store ', $1) WHEN $2 IS NOT NULL THEN concat('sku ', stopped_sku)
			ELSE 'everything' END,
		jsonb_strip_nulls(jsonb_build_object('store', $1, 'sku', $2, 'reason', why)));
	RETURN storesync.revise_stopped($1, stopped_sku, false);
END
$$;
COMMENT ON FUNCTION storesync.stop_selling(int, text, text) IS
'Sends 0 for all listings of a store, of a SKU (and of bundles with it), of a SKU in a store, or with neither of everything, before any other write, and holds them there until start_selling(); listings added meanwhile too. Nothing else is touched: orders are booked as before. Where a store is paused or not live, 0 goes out when it is again (lower_only sends it). Returns how many listings it concerns; a stop that is in force already changes nothing and returns 0. Errors: SS002 unknown store, SS001 unknown SKU, 22023 empty or overlong reason. Example: SELECT storesync.stop_selling(sku => ''TEA-100'', reason => ''recalled'');';

CREATE FUNCTION storesync.start_selling(store int DEFAULT NULL, sku text DEFAULT NULL) RETURNS int
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	stopped_sku bigint := storesync.resolve_stop($1, $2);
	ended jsonb;
BEGIN
	WITH gone AS (
		DELETE FROM storesync.selling_stop z
		WHERE ($1 IS NULL OR z.store_id = $1) AND (stopped_sku IS NULL OR z.sku_id = stopped_sku)
		RETURNING z.store_id, z.sku_id, z.reason, z.since, z.login)
	SELECT jsonb_agg(jsonb_strip_nulls(to_jsonb(g)) ORDER BY g.since) INTO ended FROM gone g;
	IF ended IS NULL THEN
		RETURN 0;
	END IF;
	INSERT INTO storesync.audit (action, subject, before)
	VALUES ('start selling', CASE WHEN $1 IS NOT NULL THEN concat('store ', $1) WHEN $2 IS NOT NULL THEN concat('sku ', stopped_sku)
			ELSE 'everything' END, ended);
	RETURN storesync.revise_stopped($1, stopped_sku, true);
END
$$;
COMMENT ON FUNCTION storesync.start_selling(int, text) IS
'Ends the stops of stop_selling() that lie within the store and the SKU given (NULL: any): start_selling() ends all, start_selling(1) those of store 1 and of SKUs in it, not one of everything. What is held for another reason (listing.held) stays held. Returns how many listings are compared again, 0 when no stop ended. Errors: SS002 unknown store, SS001 unknown SKU. Example: SELECT storesync.start_selling(sku => ''TEA-100'');';

-- ---------------------------------------------------------------- credentials

CREATE FUNCTION storesync.set_credential(store int, name text, value text) RETURNS void
	AS 'MODULE_PATHNAME', 'set_credential' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.set_credential(int, text, text) IS
'Sets a secret of a store: access_token, refresh_token, auth_code (Shopee; for the last see authorize_store()); api_key, secret_key, salt_key, callback_url (Ruten). Pass the value as a bind parameter, or as file:NAME for a file under storesync.secret_directory; a literal would be in the log that log_statement writes. Errors: SS403 unknown name, unreadable file, value that is empty, over 8 KiB or not printable ASCII; SS002 unknown store; 22004 null. Example: SELECT storesync.set_credential(1, ''access_token'', ''file:shop1.token'');';

CREATE FUNCTION storesync.set_app_credential(platform text, name text, value text) RETURNS void
	AS 'MODULE_PATHNAME', 'set_app_credential' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.set_app_credential(text, text, text) IS
'Sets a secret of the application at a platform: partner_id, partner_key, callback_url (Shopee). Value and errors as in set_credential(), SS005 for an unknown platform. Example: SELECT storesync.set_app_credential(''shopee'', ''partner_key'', ''file:shopee.key'');';
