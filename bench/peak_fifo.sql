-- The tables of the queue that bench/peak puts beside storesync: each change of stock is a row for each
-- listing of its SKU, with the quantity of then, sent in order.
CREATE TABLE stock (sku text PRIMARY KEY, qty bigint NOT NULL);
CREATE TABLE listing (
	id serial PRIMARY KEY,
	shop_id text NOT NULL,
	item_id text NOT NULL,
	model_id text NOT NULL,
	sku text NOT NULL,
	UNIQUE (shop_id, item_id, model_id)
);
CREATE INDEX ON listing (sku);
CREATE TABLE taken_order (shop_id text NOT NULL, order_sn text NOT NULL, PRIMARY KEY (shop_id, order_sn));
CREATE TABLE queue (id bigserial PRIMARY KEY, listing_id int NOT NULL, qty bigint NOT NULL);

-- An order that was not seen before: less stock, and a row for each listing that shows it.
CREATE FUNCTION take_order(shop text, number text, lines jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	line record;
	left_over bigint;
BEGIN
	INSERT INTO taken_order VALUES (shop, number) ON CONFLICT DO NOTHING;
	IF NOT FOUND THEN
		RETURN;
	END IF;
	FOR line IN
		SELECT l.sku, sum((x ->> 'model_quantity_purchased')::bigint) AS qty
		FROM jsonb_array_elements(lines) x
		JOIN listing l ON l.shop_id = shop AND l.item_id = x ->> 'item_id' AND l.model_id = coalesce(x ->> 'model_id', '0')
		GROUP BY l.sku ORDER BY l.sku
	LOOP
		UPDATE stock SET qty = stock.qty - line.qty WHERE sku = line.sku RETURNING stock.qty INTO left_over;
		INSERT INTO queue (listing_id, qty) SELECT l.id, greatest(left_over, 0) FROM listing l WHERE l.sku = line.sku ORDER BY l.id;
	END LOOP;
END
$$;
