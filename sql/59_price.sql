-- Prices and listing state: what is wanted of each, what its platform has acknowledged, and changes
-- that take place later (docs/price.md). Before listings: their status shows it.

CREATE TABLE storesync.offer (
	listing_id bigint NOT NULL,
	facet text NOT NULL CHECK (facet IN ('price', 'listed')),
	store_id int NOT NULL,
	incarnation int NOT NULL,
	changed_at timestamptz NOT NULL,
	next_at timestamptz NOT NULL,
	open boolean NOT NULL DEFAULT false,
	dead boolean NOT NULL DEFAULT false,
	alone boolean NOT NULL DEFAULT false,
	at_zero boolean NOT NULL DEFAULT false,
	acked numeric,
	acked_at timestamptz,
	sending numeric,
	attempts int NOT NULL DEFAULT 0,
	reason text,
	story jsonb NOT NULL DEFAULT '[]',
	PRIMARY KEY (listing_id, facet)
) WITH (fillfactor = 70);
CREATE INDEX ON storesync.offer (store_id, next_at) WHERE open AND NOT dead;
COMMENT ON TABLE storesync.offer IS
'What a platform has acknowledged of a listing''s price, or of its being listed (1) or not (0); a row exists once somebody changed it here, and what has none is never written. changed_at: when the wanted value last changed. open: the wanted value is not the one acknowledged, or a write is in doubt; next_at: not written before. dead: given up until the wanted value changes, in storesync.compensation. alone: to be written without others, after a batch that was refused whole. at_zero: of listed, taken off because nothing is left (listing.at_zero). acked NULL: unknown. sending: committed before a write leaves, NULL again when its outcome is known. attempts, reason, story: of the tries that failed.';

CREATE SEQUENCE storesync.planned_offer_id_seq;
CREATE TABLE storesync.planned_offer (
	planned_offer_id bigint PRIMARY KEY DEFAULT nextval('storesync.planned_offer_id_seq'),
	listing_id bigint NOT NULL,
	due_at timestamptz NOT NULL,
	action text NOT NULL CHECK (action IN ('price', 'back', 'list', 'unlist')),
	price numeric,
	campaign numeric,
	until timestamptz,
	CHECK ((action IN ('price', 'back')) = (price IS NOT NULL)),
	CHECK ((action = 'back') = (campaign IS NOT NULL))
);
CREATE INDEX ON storesync.planned_offer (due_at, planned_offer_id);
CREATE INDEX ON storesync.planned_offer (listing_id);
CREATE UNIQUE INDEX ON storesync.planned_offer (listing_id) WHERE action = 'back';
COMMENT ON TABLE storesync.planned_offer IS
'Changes of listings that take place at due_at: price (until: then the one before comes back), back (the price from before a campaign, unless the price is another than campaign by then), list, unlist. Written by set_price() and enqueue(); done by release_expired().';

-- An item is on the shelf as a whole: as long as one of its listings is to be listed.
CREATE VIEW storesync.offer_state AS
SELECT o.listing_id, o.facet, o.store_id, l.item_id, l.model_id, l.enabled, l.listed, w.wanted, o.acked, o.acked_at, o.sending,
	CASE WHEN o.facet = 'price' THEN 'price' WHEN w.wanted = 1 THEN 'list' ELSE 'unlist' END AS kind,
	o.open, o.dead, o.alone, o.at_zero, o.incarnation, o.changed_at, o.next_at, o.attempts, o.reason, o.story,
	o.facet = 'price' AND l.price < l.price_floor AS below_floor,
	CASE WHEN o.incarnation <> storesync.current_incarnation() THEN 'unknown' WHEN NOT o.open THEN 'ok'
		WHEN o.facet = 'price' AND l.price < l.price_floor THEN 'below floor' WHEN o.dead THEN 'dead'
		WHEN o.sending IS NOT NULL THEN 'sending' ELSE 'waiting' END AS state
FROM storesync.offer o
JOIN storesync.listing l ON l.listing_id = o.listing_id
CROSS JOIN LATERAL (
	SELECT CASE WHEN o.facet = 'price' THEN trim_scale(l.price) ELSE (
		SELECT max(CASE WHEN s.listed AND NOT (s.at_zero = 'unlist' AND coalesce(z.at_zero, false)) THEN 1 ELSE 0 END)::numeric
		FROM storesync.listing s
		LEFT JOIN storesync.offer z ON z.listing_id = s.listing_id AND z.facet = 'listed'
		WHERE s.store_id = l.store_id AND s.item_id = l.item_id) END AS wanted
	OFFSET 0) w;
COMMENT ON VIEW storesync.offer_state IS
'Rows of storesync.offer with what is wanted now: the listing''s price (NULL: none), or 1 where its item is to be listed and 0 where it is not; kind: what a write would be (price, list, unlist); below_floor: the price is below the listing''s price_floor, and is not sent; state: ok, waiting, sending (under way, or in doubt), below floor, dead (given up), unknown (acknowledged in another life of the data).';

CREATE FUNCTION storesync.offer_refresh(listings bigint[]) RETURNS void
	LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
	UPDATE storesync.offer o SET open = x.open
	FROM (
		SELECT v.listing_id, v.facet, v.wanted IS NOT NULL AND v.incarnation = storesync.current_incarnation()
			AND (v.wanted IS DISTINCT FROM v.acked OR v.sending IS NOT NULL)
			-- another model keeps the item where it is, and nobody has asked for it to be put there
			AND NOT (v.facet = 'listed' AND v.wanted = 1 AND num_nonnulls(v.acked, v.sending) = 0 AND (v.at_zero OR NOT v.listed)) AS open
		FROM storesync.offer_state v
		WHERE v.listing_id = ANY (ARRAY(
			SELECT s.listing_id FROM storesync.listing l
			JOIN storesync.listing s ON s.store_id = l.store_id AND s.item_id = l.item_id
			WHERE l.listing_id = ANY ($1)))) x
	WHERE o.listing_id = x.listing_id AND o.facet = x.facet AND o.open <> x.open
$$;
COMMENT ON FUNCTION storesync.offer_refresh(bigint[]) IS
'Brings offer.open in line with what is wanted of these listings and of the others of their items. For storesync''s own triggers and the dispatcher.';

CREATE FUNCTION storesync.offer_revive(listing bigint, call text) RETURNS void
	LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
	UPDATE storesync.offer o SET dead = false, attempts = 0, story = '[]', next_at = clock_timestamp()
	WHERE o.listing_id = $1 AND o.facet = CASE $2 WHEN 'push_price' THEN 'price' WHEN 'list' THEN 'listed' WHEN 'unlist' THEN 'listed' END
$$;
COMMENT ON FUNCTION storesync.offer_revive(bigint, text) IS
'A price or state that was given up is tried again; call: push_price, list or unlist, others do nothing. For requeue().';

CREATE FUNCTION storesync.is_overtaken(call text, payload jsonb) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT coalesce((
		SELECT l.listed <> ($1 = 'list') FROM storesync.listing l
		WHERE $1 IN ('list', 'unlist') AND l.listing_id = ($2 ->> 'listing')::numeric::bigint), false)
$$;
COMMENT ON FUNCTION storesync.is_overtaken(text, jsonb) IS
'Whether a task to list or unlist asks for what is not wanted any more: then it is not done again. Example: SELECT storesync.is_overtaken(''list'', ''{"listing": 7}'');';

CREATE FUNCTION storesync.set_price(listing bigint, price numeric, key storesync.idempotency_key,
	not_before timestamptz DEFAULT NULL, valid_until timestamptz DEFAULT NULL, force boolean DEFAULT false) RETURNS bigint
	AS 'MODULE_PATHNAME', 'set_price' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.set_price(bigint, numeric, storesync.idempotency_key, timestamptz, timestamptz, boolean) IS
'Sets a listing''s price, in its shop''s currency, and returns the id of the task push_price that is done when the shop shows it (task_state()). not_before: it takes place then, at most 366 days ahead. valid_until: it is a campaign''s price, and the price from before comes back by itself then; another set_price() or a change of listing.price ends the campaign. force: a change larger than store.max_price_change is meant. The same call with the same key is one change, whose task comes back. Errors: SS501 below price_floor, SS502 a larger change than store.max_price_change and not forced, SS503 a campaign of a listing that has no price to come back to, SS004 unknown listing, 22003 not above 0 and below 10^12, 22008 a time that is infinite, too far ahead, or an end that is past or not after not_before, 22004 null, SS101 the key stands for another request, SS102, SS103 its time is too old or ahead, 25006 on a standby. Example: SELECT storesync.set_price(7, 199, storesync.new_key(), valid_until => ''2026-11-12 00:00+08'');';

-- A campaign that has begun is ended by another price: what brings the old one back is not taken away alone.
CREATE FUNCTION storesync.drop_planned_offer(planned_offer_id bigint) RETURNS boolean
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	gone storesync.planned_offer;
BEGIN
	-- whoever carries plans out locks the listing first
	PERFORM FROM storesync.listing l
	WHERE l.listing_id = (SELECT p.listing_id FROM storesync.planned_offer p WHERE p.planned_offer_id = $1) FOR NO KEY UPDATE;
	DELETE FROM storesync.planned_offer p WHERE p.planned_offer_id = $1 AND p.action <> 'back' RETURNING p.* INTO gone;
	IF NOT FOUND THEN
		RETURN false;
	END IF;
	INSERT INTO storesync.audit (action, subject, before)
	VALUES ('drop planned offer', concat('listing ', gone.listing_id), to_jsonb(gone));
	RETURN true;
END
$$;
COMMENT ON FUNCTION storesync.drop_planned_offer(bigint) IS
'Calls off a change of a price or of being listed that was planned for later (set_price() and enqueue() with not_before) and has not taken place. False when there is none of that id, or it is the end of a campaign that has begun: set_price() ends that. Example: SELECT storesync.drop_planned_offer(3);';

CREATE FUNCTION storesync.offer_changed() RETURNS trigger AS 'MODULE_PATHNAME', 'offer_changed' LANGUAGE C;
COMMENT ON FUNCTION storesync.offer_changed() IS
'Statement trigger of storesync.listing: a changed price, listed or at_zero has to be written, and ends the campaign of another price.';
CREATE TRIGGER offer_changed AFTER UPDATE ON storesync.listing
	REFERENCING OLD TABLE AS before NEW TABLE AS after
	FOR EACH STATEMENT EXECUTE FUNCTION storesync.offer_changed();

CREATE FUNCTION storesync.offer_renamed() RETURNS trigger AS 'MODULE_PATHNAME', 'offer_renamed' LANGUAGE C;
COMMENT ON FUNCTION storesync.offer_renamed() IS
'Row trigger of storesync.listing: what was known of the price and state of another item is forgotten, and what was planned for a listing that is gone.';
CREATE TRIGGER offer_renamed AFTER UPDATE OF store_id, item_id, model_id ON storesync.listing
	FOR EACH ROW
	WHEN ((OLD.store_id, OLD.item_id, OLD.model_id) IS DISTINCT FROM (NEW.store_id, NEW.item_id, NEW.model_id))
	EXECUTE FUNCTION storesync.offer_renamed();
CREATE TRIGGER offer_deleted AFTER DELETE ON storesync.listing
	FOR EACH ROW EXECUTE FUNCTION storesync.offer_renamed();

CREATE FUNCTION storesync.health_prices() RETURNS TABLE(component text, state text, reason text)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT concat('prices of store ', x.store_id), 'degraded', concat_ws('; ',
		CASE WHEN x.below > 0 THEN format('%s below their floor are not sent', x.below) END,
		CASE WHEN x.late > 0 THEN format('%s prices and listing states wait for over an hour, the oldest since %s', x.late, date_trunc('second', x.oldest)) END)
	FROM (
		SELECT v.store_id, count(*) FILTER (WHERE v.below_floor) AS below,
			count(*) FILTER (WHERE NOT v.below_floor AND v.changed_at < clock_timestamp() - '1 hour'::interval) AS late,
			min(v.changed_at) FILTER (WHERE NOT v.below_floor) AS oldest
		FROM storesync.offer_state v
		JOIN storesync.store s ON s.store_id = v.store_id
		WHERE v.open AND NOT v.dead AND v.enabled AND s.mode = 'live' AND NOT s.paused
		GROUP BY v.store_id) x
	WHERE x.below > 0 OR x.late > 0
$$;
COMMENT ON FUNCTION storesync.health_prices() IS
'The part of health() about prices below their floor, and about prices and listing states that a live store waits long to show.';
