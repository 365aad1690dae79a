-- Undo of a transaction by the audit: an import of wrong prices, shares, mappings, modes (docs/audit.md).

-- How much one transaction has changed no plan knows: few rows are expected, and loops are good for few. So
-- there are no loops, and every join has one key.

-- What the transaction made of each row, in all: what its fields were before the first change, and what they
-- were after the last. Of what it added there is one field, the switch that makes it rest.
CREATE FUNCTION storesync.undo_rows(transaction xid8, incarnation int)
	RETURNS TABLE(subject text, kind text, name text, back jsonb, imported jsonb, added text)
	LANGUAGE sql STABLE ROWS 100000 SET search_path = pg_catalog, pg_temp
	SET jit = off SET enable_nestloop = off SET work_mem = '64MB'
AS $$
	WITH wrote AS MATERIALIZED (
		SELECT a.audit_id, a.action, a.subject, split_part(a.subject, ' ', 1) AS kind, a.before, a.after
		FROM storesync.audit a WHERE a.transaction = $1 AND a.incarnation = $2),
	born AS MATERIALIZED (
		SELECT w.subject, bool_or(w.action = 'delete') AS gone,
			CASE w.kind WHEN 'listing' THEN 'enabled' WHEN 'store' THEN 'mode' END AS switch
		FROM wrote w WHERE w.action IN ('add', 'delete') GROUP BY w.subject, w.kind),
	change AS (
		SELECT w.audit_id, w.subject, f.key AS field, w.before -> f.key AS back, f.value AS imported, false AS added
		FROM wrote w
		LEFT JOIN born b ON b.subject = w.subject
		CROSS JOIN LATERAL jsonb_each(w.after) f
		-- sku.bundle follows from the components
		WHERE w.action = 'update' AND NOT (w.kind = 'sku' AND f.key = 'bundle')
			AND (b.subject IS NULL OR NOT b.gone AND b.switch IS NOT DISTINCT FROM f.key)
		UNION ALL
		SELECT w.audit_id, w.subject, b.switch, CASE w.kind WHEN 'store' THEN '"off"'::jsonb ELSE 'false' END, w.after -> b.switch, true
		FROM wrote w JOIN born b ON b.subject = w.subject
		WHERE w.action = 'add' AND b.switch IS NOT NULL AND NOT b.gone
		UNION ALL
		SELECT w.audit_id, w.subject, CASE w.action WHEN 'set bundle' THEN 'components' ELSE 'locations' END, w.before, w.after, false
		FROM wrote w WHERE w.action IN ('set bundle', 'set locations')),
	net AS (
		SELECT c.subject, c.field, (array_agg(c.back ORDER BY c.audit_id))[1] AS back,
			(array_agg(c.imported ORDER BY c.audit_id DESC))[1] AS imported, bool_or(c.added) AS added
		FROM change c GROUP BY 1, 2)
	SELECT n.subject, split_part(n.subject, ' ', 1), substring(n.subject FROM '^\S+ (.*)$'),
		jsonb_object_agg(n.field, n.back), jsonb_object_agg(n.field, n.imported), min(n.field) FILTER (WHERE n.added)
	FROM net n GROUP BY 1
$$;
COMMENT ON FUNCTION storesync.undo_rows(xid8, int) IS
'For undo(): the platforms, stores, locations, SKUs and listings that a transaction changed, by the audit, with what each changed field was before (back) and what it became (imported). components and locations are what set_bundle() and set_store_locations() set. added: the row itself is the transaction''s, and back makes it rest by this field (a listing is not enabled, a store is off). Nothing of what it deleted.';

-- Values are compared as their columns have them now: intervals are text in the style of the session that
-- wrote them. SKUs and listings, of which there are many, have none.
CREATE FUNCTION storesync.undo_fields(transaction xid8, incarnation int)
	RETURNS TABLE(subject text, kind text, field text, back jsonb, imported jsonb, added boolean, present jsonb)
	LANGUAGE sql STABLE ROWS 100000 SET search_path = pg_catalog, pg_temp
	SET jit = off SET enable_nestloop = off SET work_mem = '64MB'
AS $$
	WITH r AS MATERIALIZED (
		SELECT u.*, CASE WHEN u.kind <> 'platform' THEN u.name::bigint END AS id FROM storesync.undo_rows($1, $2) u),
	parts AS (
		SELECT c.bundle_id, jsonb_object_agg(k.code, c.qty) AS components
		FROM storesync.component c JOIN storesync.sku k ON k.sku_id = c.sku_id
		WHERE c.qty > 0 AND c.bundle_id IN (SELECT r.id FROM r WHERE r.back ? 'components') GROUP BY 1),
	places AS (
		SELECT z.store_id, jsonb_agg(p.code ORDER BY p.code) AS locations
		FROM storesync.store_location z JOIN storesync.location p ON p.location_id = z.location_id GROUP BY 1),
	found AS (
		SELECT r.*, to_jsonb(p) AS present, to_jsonb(jsonb_populate_record(p, r.back)) AS old, to_jsonb(jsonb_populate_record(p, r.imported)) AS new
		FROM r LEFT JOIN storesync.platform p ON p.platform = r.name WHERE r.kind = 'platform'
		UNION ALL
		SELECT r.*, to_jsonb(s) || jsonb_build_object('locations', coalesce(z.locations, '[]')),
			r.back || to_jsonb(jsonb_populate_record(s, r.back)), r.imported || to_jsonb(jsonb_populate_record(s, r.imported))
		FROM r LEFT JOIN storesync.store s ON s.store_id = r.id LEFT JOIN places z ON z.store_id = r.id WHERE r.kind = 'store'
		UNION ALL
		SELECT r.*, to_jsonb(p), r.back, r.imported
		FROM r LEFT JOIN storesync.location p ON p.location_id = r.id WHERE r.kind = 'location'
		UNION ALL
		SELECT r.*, to_jsonb(k) || jsonb_build_object('components', coalesce(c.components, '{}')), r.back, r.imported
		FROM r LEFT JOIN storesync.sku k ON k.sku_id = r.id LEFT JOIN parts c ON c.bundle_id = r.id WHERE r.kind = 'sku'
		UNION ALL
		SELECT r.*, to_jsonb(l), r.back, r.imported
		FROM r LEFT JOIN storesync.listing l ON l.listing_id = r.id WHERE r.kind = 'listing')
	SELECT f.subject, f.kind, k.field, f.old -> k.field, f.new -> k.field, coalesce(k.field = f.added, false), f.present -> k.field
	FROM found f CROSS JOIN LATERAL jsonb_object_keys(f.back) AS k (field)
$$;
COMMENT ON FUNCTION storesync.undo_fields(xid8, int) IS
'For undo(): the fields of undo_rows(), each with what it is at present, NULL where the row is gone.';

-- What a transaction did besides, and what does that: nothing here is set back.
CREATE FUNCTION storesync.undo_by_hand(transaction xid8, incarnation int)
	RETURNS TABLE(subject text, field text, imported jsonb, back jsonb, detail text)
	LANGUAGE sql STABLE ROWS 10 SET search_path = pg_catalog, pg_temp
AS $$
	SELECT a.subject, a.action, CASE WHEN a.action <> 'add' THEN a.after END, CASE WHEN a.action <> 'delete' THEN a.before END, CASE
		WHEN a.action = 'add' AND a.subject LIKE 'sku %' THEN 'it stays; nothing shows it but its listings'
		WHEN a.action = 'add' THEN 'it stays'
		WHEN a.action = 'delete' THEN 'it is gone; what adds one makes another'
		WHEN a.action = 'set credential' THEN 'what it was is in no table: set_credential(), set_app_credential()'
		WHEN a.action = 'allot' THEN 'allot()'
		WHEN a.action = 'stop selling' THEN 'start_selling()'
		WHEN a.action = 'start selling' THEN 'stop_selling()'
		WHEN a.action = 'add peak window' THEN 'drop_peak_window()'
		WHEN a.action = 'drop peak window' THEN 'add_peak_window()'
		WHEN a.action = 'grant role' THEN 'grant_role()'
		WHEN a.action = 'remap' THEN 'remap_listing()'
		WHEN a.action = 'plan offer' AND EXISTS (SELECT FROM storesync.planned_offer p
			WHERE p.planned_offer_id = (a.after ->> 'planned_offer_id')::bigint) THEN format('drop_planned_offer(%s)', a.after ->> 'planned_offer_id')
		WHEN a.action = 'plan offer' THEN 'it has taken place, or was called off'
		WHEN a.action = 'drop planned offer' THEN 'set_price()'
		ELSE 'cannot be undone' END
	FROM storesync.audit a
	WHERE a.transaction = $1 AND a.incarnation = $2 AND a.action NOT IN ('update', 'set bundle', 'set locations', 'undo', 'import')
		AND NOT (a.action = 'add' AND (a.subject LIKE 'listing %' OR a.subject LIKE 'store %'))
	UNION ALL
	SELECT concat('sku ', o.subject), 'stock', NULL, NULL, 'stock is not set back: count it, adjust()'
	FROM storesync.outbox o
	WHERE o.xid = $1 AND o.incarnation = $2 AND o.kind = 'stock' AND o.version IS NOT NULL
	GROUP BY o.subject
$$;
COMMENT ON FUNCTION storesync.undo_by_hand(xid8, int) IS
'For undo(): what a transaction did that is not set back, and the call that does it by hand: SKUs and locations that it added, rows that it deleted, credentials, units set aside, stops, prices planned for later, movements of stock (as long as the outbox has them).';

CREATE FUNCTION storesync.undo_look(transaction xid8, incarnation int)
	RETURNS TABLE(subject text, field text, imported jsonb, present jsonb, back jsonb, verdict text, detail text)
	LANGUAGE sql STABLE ROWS 100000 SET search_path = pg_catalog, pg_temp
	SET jit = off SET enable_nestloop = off SET work_mem = '64MB'
AS $$
	WITH wrote AS (
		SELECT max(a.audit_id) AS last, min(a.at) AS at FROM storesync.audit a WHERE a.transaction = $1 AND a.incarnation = $2),
	judged AS MATERIALIZED (
		SELECT f.subject, f.field, f.imported, f.present, f.back, f.added, m.maps,
			concat(f.subject, ' ', f.field) AS one, concat(f.subject, ' ', CASE WHEN m.maps THEN 'mapping' ELSE f.field END) AS facet,
			CASE WHEN f.present IS NULL THEN 'gone'
				WHEN f.present = f.back THEN 'as before'
				WHEN f.present <> f.imported THEN 'changed'
				WHEN NOT CASE f.field WHEN 'components' THEN has_function_privilege('storesync.set_bundle(text, jsonb)', 'EXECUTE')
					WHEN 'locations' THEN has_function_privilege('storesync.set_store_locations(int, text[])', 'EXECUTE')
					ELSE has_column_privilege(format('storesync.%I', f.kind), f.field, 'UPDATE') END THEN 'no right'
				ELSE 'back' END AS verdict
		FROM storesync.undo_fields($1, $2) f
		CROSS JOIN LATERAL (SELECT f.kind = 'listing' AND f.field IN ('sku_id', 'pack') AS maps) m),
	since AS MATERIALIZED (
		SELECT DISTINCT ON (1) concat(a.subject, ' ', f.field) AS one, a.audit_id, a.login, a.at, f.field IN ('sku_id', 'pack') AS maps,
			concat(a.subject, ' ', CASE WHEN f.field IN ('sku_id', 'pack') THEN 'mapping' ELSE f.field END) AS facet
		FROM storesync.audit a
		CROSS JOIN wrote w
		CROSS JOIN LATERAL jsonb_object_keys(CASE a.action WHEN 'update' THEN a.after
			WHEN 'set bundle' THEN '{"components": 0}' WHEN 'set locations' THEN '{"locations": 0}' ELSE '{}' END) AS f (field)
		WHERE a.at >= w.at AND a.audit_id > w.last
			AND a.subject IN (SELECT j.subject FROM judged j WHERE j.verdict = 'changed' OR j.maps)
		ORDER BY 1, a.audit_id DESC),
	latest AS (
		SELECT DISTINCT ON (s.facet) s.facet, s.login, s.at FROM since s ORDER BY s.facet, s.audit_id DESC),
	-- SKU and pack are one mapping: who has changed one of them since has meant both
	remapped AS MATERIALIZED (
		SELECT j.facet FROM judged j WHERE j.maps AND j.verdict = 'changed'
		UNION
		SELECT s.facet FROM since s WHERE s.maps AND NOT EXISTS (SELECT FROM judged j WHERE j.one = s.one))
	SELECT j.subject, j.field, j.imported, j.present, j.back, v.verdict, CASE v.verdict
		WHEN 'gone' THEN 'it was deleted since'
		WHEN 'changed' THEN format('by %s at %s', l.login, date_trunc('second', l.at))
		WHEN 'no right' THEN format('%s may not change it', current_user)
		WHEN 'back' THEN CASE WHEN j.added THEN 'the transaction made it: it stays, and rests'
			WHEN j.maps THEN 'what was booked meanwhile stays with the SKU of then' END END
	FROM judged j
	LEFT JOIN latest l ON l.facet = j.facet
	CROSS JOIN LATERAL (SELECT CASE WHEN j.maps AND j.verdict = 'back' AND j.facet IN (SELECT r.facet FROM remapped r)
		THEN 'changed' ELSE j.verdict END AS verdict) v
	UNION ALL
	SELECT h.subject, h.field, h.imported, NULL, h.back, 'by hand', h.detail FROM storesync.undo_by_hand($1, $2) h
$$;
COMMENT ON FUNCTION storesync.undo_look(xid8, int) IS
'What undo() would do with a transaction of a life of the data, a row for each field; columns and verdicts as there. No row for one that the audit does not know.';

CREATE FUNCTION storesync.undo_note(transaction xid8, incarnation int, fields bigint) RETURNS void
	LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	INSERT INTO storesync.audit (action, subject, after)
	VALUES ('undo', concat('transaction ', $1), jsonb_build_object('incarnation', $2, 'fields', $3))
$$;
COMMENT ON FUNCTION storesync.undo_note(xid8, int, bigint) IS
'For undo(): the audit row that says which transaction this one undoes. It changes nothing.';

-- In the order in which everybody locks them; who waits looks again afterwards.
CREATE FUNCTION storesync.undo_lock(transaction xid8, incarnation int) RETURNS void
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	t record;
BEGIN
	FOR t IN
		SELECT o.kind, o.key, o.type, array_agg(f.name) AS names
		FROM storesync.undo_rows($1, $2) f
		JOIN (VALUES (1, 'platform', 'platform', 'text'), (2, 'store', 'store_id', 'int'), (3, 'location', 'location_id', 'int'),
			(4, 'sku', 'sku_id', 'bigint'), (5, 'listing', 'listing_id', 'bigint')) AS o (place, kind, key, type) ON o.kind = f.kind
		GROUP BY o.place, o.kind, o.key, o.type ORDER BY o.place
	LOOP
		EXECUTE format('SELECT FROM storesync.%1$I t WHERE t.%2$I = ANY ($1::%3$s[]) ORDER BY t.%2$I FOR NO KEY UPDATE', t.kind, t.key, t.type)
			USING t.names;
	END LOOP;
END
$$;
COMMENT ON FUNCTION storesync.undo_lock(xid8, int) IS
'For undo(): locks the rows that a transaction changed: platforms, stores, locations, SKUs, listings, each by id.';

CREATE FUNCTION storesync.undo_set(todo jsonb) RETURNS void
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	t record;
BEGIN
	FOR t IN
		SELECT o.kind, o.key, o.type, string_agg(DISTINCT quote_ident(f.field), ', ') AS fields,
			string_agg(DISTINCT format('r.%I', f.field), ', ') AS news
		FROM jsonb_to_recordset($1) AS d (kind text, back jsonb)
		CROSS JOIN LATERAL jsonb_object_keys(d.back) AS f (field)
		JOIN (VALUES (1, 'platform', 'platform', 'text'), (2, 'store', 'store_id', 'int'), (3, 'location', 'location_id', 'int'),
			(4, 'sku', 'sku_id', 'bigint'), (5, 'listing', 'listing_id', 'bigint')) AS o (place, kind, key, type) ON o.kind = d.kind
		WHERE f.field NOT IN ('components', 'locations')
		GROUP BY o.place, o.kind, o.key, o.type ORDER BY o.place
	LOOP
		EXECUTE format('UPDATE storesync.%1$I t SET (%2$s) = (SELECT %3$s FROM jsonb_populate_record(t, u.back) r)
			FROM (SELECT d.name::%5$s AS id, d.back FROM jsonb_to_recordset($1) AS d (kind text, name text, back jsonb)
				WHERE d.kind = %1$L) u
			WHERE t.%4$I = u.id', t.kind, t.fields, t.news, t.key, t.type) USING $1;
	END LOOP;
	PERFORM storesync.set_store_locations(d.name::int, ARRAY(SELECT jsonb_array_elements_text(d.back -> 'locations')))
	FROM jsonb_to_recordset($1) AS d (name text, back jsonb) WHERE d.back ? 'locations';
	PERFORM storesync.set_bundle(k.code, d.back -> 'components')
	FROM jsonb_to_recordset($1) AS d (name text, back jsonb)
	JOIN storesync.sku k ON d.back ? 'components' AND k.sku_id = d.name::bigint;
END
$$;
COMMENT ON FUNCTION storesync.undo_set(jsonb) IS
'For undo(): sets fields back; todo: an array of objects with kind, name and back (fields and their values). With the rights of who calls it.';

CREATE FUNCTION storesync.undo(transaction xid8, confirm boolean DEFAULT false, incarnation int DEFAULT NULL)
	RETURNS TABLE(subject text, field text, imported jsonb, present jsonb, back jsonb, verdict text, detail text)
	LANGUAGE plpgsql VOLATILE ROWS 1000 SET search_path = pg_catalog, pg_temp
	SET jit = off
AS $$
#variable_conflict use_column
DECLARE
	life int := coalesce($3, storesync.current_incarnation());
	todo jsonb;
	fields bigint;
BEGIN
	IF $2 THEN
		PERFORM storesync.undo_lock($1, life);
	END IF;
	RETURN QUERY SELECT * FROM storesync.undo_look($1, life) l
	ORDER BY split_part(l.subject, ' ', 1), length(l.subject), l.subject, l.field;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'transaction % of incarnation % is not in the audit', coalesce($1::text, 'null'), life
			USING ERRCODE = 'SS009', HINT = 'SELECT transaction, incarnation, at, login, subject FROM storesync.audit ORDER BY at DESC;';
	END IF;
	IF $2 IS NOT TRUE THEN
		RETURN;
	END IF;
	SELECT jsonb_agg(jsonb_build_object('kind', split_part(x.subject, ' ', 1), 'name', substring(x.subject FROM '^\S+ (.*)$'), 'back', x.back)),
		sum(x.n)
	INTO todo, fields
	FROM (SELECT l.subject, jsonb_object_agg(l.field, l.back) AS back, count(*) AS n
		FROM storesync.undo_look($1, life) l WHERE l.verdict = 'back' GROUP BY 1) x;
	IF todo IS NULL THEN
		RAISE EXCEPTION 'nothing is left to undo of transaction %', $1 USING ERRCODE = 'SS207',
			DETAIL = (SELECT string_agg(format('%s: %s', v.verdict, v.n), ', ' ORDER BY v.verdict)
				FROM (SELECT l.verdict, count(*) AS n FROM storesync.undo_look($1, life) l GROUP BY 1) v),
			HINT = format('SELECT * FROM storesync.undo(%L); says why.', $1);
	END IF;
	PERFORM storesync.undo_set(todo);
	PERFORM storesync.undo_note($1, life, fields);
END
$$;
COMMENT ON FUNCTION storesync.undo(xid8, boolean, int) IS
'Undoes what one transaction changed in platforms, stores, locations, SKUs and listings, by the audit: audit.transaction of a wrong import. A first call looks and changes nothing; with confirm => true the second sets back, in one transaction, with the rights of the caller, what still has the value that was imported. A row for each field: subject, field, imported, present (when the call began), back, verdict (back: is set back; as before: it has that value already; changed: somebody has changed it since, who is in detail, and it stays; gone; no right; by hand: detail has the call). Listings that the transaction added are disabled, stores switched off, SKUs and locations stay. The audit has what was set back, so an undo can be undone; shops follow, and the mass-change breaker counts it as any import. incarnation: of that transaction (audit.incarnation), NULL for the present one. Errors: SS009 no such transaction in the audit, SS207 nothing is left to undo, 42501, 25006 on a standby; those of an UPDATE. Example: SELECT verdict, field, count(*) FROM storesync.undo(''7421'') GROUP BY 1, 2;';
