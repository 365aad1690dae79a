-- What a careful user would write instead: an ordinary layout (text keys, jsonb payloads, an
-- index each) and one tight PL/pgSQL function that books an order, with the same facts kept.
CREATE SCHEMA peer;

CREATE TABLE peer.stock (
	sku text PRIMARY KEY,
	on_hand bigint NOT NULL,
	reserved bigint NOT NULL DEFAULT 0,
	version bigint NOT NULL DEFAULT 0,
	CHECK (on_hand >= reserved)
) WITH (fillfactor = 70);

CREATE TABLE peer.ledger (
	ledger_id bigserial PRIMARY KEY,
	sku text NOT NULL,
	kind text NOT NULL,
	reserved_delta bigint NOT NULL,
	on_hand bigint NOT NULL,
	reserved bigint NOT NULL,
	version bigint NOT NULL,
	idempotency_key text NOT NULL,
	event_at timestamptz NOT NULL,
	recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	UNIQUE (sku, version)
);

CREATE TABLE peer.sales_order (
	order_sn text PRIMARY KEY,
	store_id int NOT NULL,
	status text NOT NULL,
	create_time timestamptz NOT NULL,
	update_time timestamptz NOT NULL
);
CREATE TABLE peer.sales_order_line (
	order_sn text NOT NULL,
	line_id text NOT NULL,
	sku text NOT NULL,
	qty bigint NOT NULL,
	reserved bigint NOT NULL,
	short bigint NOT NULL,
	PRIMARY KEY (order_sn, line_id)
);
CREATE INDEX ON peer.sales_order_line (sku);
CREATE TABLE peer.order_history (
	history_id bigserial PRIMARY KEY,
	order_sn text NOT NULL,
	at timestamptz NOT NULL DEFAULT clock_timestamp(),
	payload jsonb NOT NULL
);
CREATE INDEX ON peer.order_history (order_sn);
CREATE TABLE peer.outbox (
	id bigserial PRIMARY KEY,
	at timestamptz NOT NULL DEFAULT clock_timestamp(),
	payload jsonb NOT NULL
);

-- ingest: the order document once; a known order is answered and nothing is written.
CREATE FUNCTION peer.ingest(doc jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line jsonb;
	stock peer.stock;
	outcome text := 'applied';
BEGIN
	INSERT INTO peer.sales_order
	VALUES (doc->>'order_sn', 1, doc->>'status',
		to_timestamp((doc->>'create_time')::bigint), to_timestamp((doc->>'update_time')::bigint))
	ON CONFLICT DO NOTHING;
	IF NOT FOUND THEN
		RETURN 'unchanged';
	END IF;
	FOR line IN SELECT l FROM jsonb_array_elements(doc->'lines') l ORDER BY l->>'sku' LOOP
		UPDATE peer.stock s SET reserved = s.reserved + (line->>'qty')::bigint, version = s.version + 1
		WHERE s.sku = line->>'sku' AND s.on_hand - s.reserved >= (line->>'qty')::bigint
		RETURNING * INTO stock;
		IF FOUND THEN
			INSERT INTO peer.ledger (sku, kind, reserved_delta, on_hand, reserved, version, idempotency_key, event_at)
			VALUES (stock.sku, 'reserve', (line->>'qty')::bigint, stock.on_hand, stock.reserved, stock.version,
				(doc->>'order_sn') || '/' || (line->>'line_id') || '/1', to_timestamp((doc->>'create_time')::bigint));
			INSERT INTO peer.outbox (payload)
			VALUES (jsonb_build_object('kind', 'stock', 'sku', stock.sku, 'version', stock.version));
			INSERT INTO peer.sales_order_line
			VALUES (doc->>'order_sn', line->>'line_id', line->>'sku', (line->>'qty')::bigint, (line->>'qty')::bigint, 0);
		ELSE
			outcome := 'short';
			INSERT INTO peer.sales_order_line
			VALUES (doc->>'order_sn', line->>'line_id', line->>'sku', (line->>'qty')::bigint, 0, (line->>'qty')::bigint);
		END IF;
	END LOOP;
	INSERT INTO peer.order_history (order_sn, payload) VALUES (doc->>'order_sn', doc);
	RETURN outcome;
END $$;
