-- Notifications: whose they are, what is answered, what is kept of them, and what they ask for.
\set VERBOSITY terse
SET datestyle = 'ISO';
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
\set SHOW_CONTEXT never
-- HMAC-SHA-256 in hex, by its definition
CREATE FUNCTION hmac(key text, message bytea) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
	inner_pad bytea := decode(repeat('36', 64), 'hex');
	outer_pad bytea := decode(repeat('5c', 64), 'hex');
BEGIN
	FOR i IN 0 .. length(key) - 1 LOOP
		inner_pad := set_byte(inner_pad, i, get_byte(inner_pad, i) # ascii(substr(key, i + 1, 1)));
		outer_pad := set_byte(outer_pad, i, get_byte(outer_pad, i) # ascii(substr(key, i + 1, 1)));
	END LOOP;
	RETURN encode(sha256(outer_pad || sha256(inner_pad || message)), 'hex');
END
$$;
-- the vectors of the platforms' own documents
SELECT hmac('demoPartnerKey0123456789abcdef', '2009999/api/v2/auth/token/get1760000000')
	= '84c1b82e446f422fd3e35edc7e20ad8d6f2b974b20657728e936a3b2fed3f2e6' AS right_hmac;
\set url 'https://erp.example.com/hooks/shopee'
-- a notification of shop 220001 by its code and data, sent so long ago; signed with this key over this URL
CREATE FUNCTION body(code int, data jsonb, ago interval DEFAULT '0', shop text DEFAULT '220001') RETURNS bytea LANGUAGE sql AS $$
	SELECT convert_to(jsonb_build_object('code', $1, 'data', $2, 'shop_id', $4::bigint,
		'timestamp', extract(epoch FROM date_trunc('second', clock_timestamp() - $3))::bigint)::text, 'UTF8')
$$;
CREATE FUNCTION shopee(body bytea, header text DEFAULT 'Authorization', key text DEFAULT 'demoPartnerKey',
	signed text DEFAULT 'https://erp.example.com/hooks/shopee', url text DEFAULT 'https://erp.example.com/hooks/shopee') RETURNS int LANGUAGE sql AS $$
	SELECT storesync.ingest_push('shopee', $5, jsonb_build_object('Host', 'erp.example.com', $2, hmac($3, convert_to($4 || '|', 'UTF8') || $1)), $1)
$$;
CREATE FUNCTION ruten(action text, order_no text, ago interval DEFAULT '0', key text DEFAULT 'demo-api-key', secret text DEFAULT 'demo-secret',
	url text DEFAULT 'https://erp.example.com/hooks/ruten') RETURNS int LANGUAGE sql AS $$
	SELECT storesync.ingest_push('ruten', $6, jsonb_build_object('X-RT-Key', $4, 'x-rt-timestamp', t.at,
		'X-RT-AUTHORIZATION', hmac($5, convert_to('demo-salt' || $6 || t.body || t.at, 'UTF8'))), convert_to(t.body, 'UTF8'))
	FROM (SELECT jsonb_build_object('action_type', $1, 'order_no', $2)::text AS body,
		extract(epoch FROM date_trunc('second', clock_timestamp() - $3))::bigint::text AS at) t
$$;
CREATE VIEW told AS SELECT kind, code, store_id, shop_id, order_sn, item_id, model_id, reserved FROM storesync.notification ORDER BY kind, code, order_sn, item_id;
CREATE VIEW asked AS SELECT o.payload ->> 'store' AS store, o.payload ->> 'kind' AS kind, o.payload -> 'payload' AS payload,
	(o.payload ->> 'not_before')::timestamptz - o.at BETWEEN '-1 s' AND '10 s' AS soon
	FROM storesync.outbox o WHERE o.kind = 'task' ORDER BY o.id;

SELECT storesync.add_store('shopee', '220001', 'Main'), storesync.add_store('ruten', 'teashop', 'Tea'), storesync.add_store('shopee', '220002', 'Off');
UPDATE storesync.store SET mode = 'off' WHERE shop_id = '220002';
SELECT storesync.add_sku('A');
SELECT storesync.add_listing(1, 'A', '100', '1') AS red, storesync.add_listing(1, 'A', '100', '2') AS blue, storesync.add_listing(1, 'A', '101') AS plain;

-- Without a key nothing can be checked.
SELECT shopee(body(3, '{"ordersn": "A1"}'));
SELECT storesync.set_app_credential('shopee', 'partner_id', '2009999'), storesync.set_app_credential('shopee', 'partner_key', 'demoPartnerKey');
SELECT shopee(body(3, '{"ordersn": "A1", "status": "READY_TO_SHIP"}'));
-- a header's name in any case
SELECT shopee(body(3, '{"ordersn": "A2"}'), 'AUTHORIZATION'), shopee(body(3, '{"ordersn": "A3"}'), 'authorization');

-- Not the platform's: another key, no signature, the body alone or other bytes signed, another URL.
SELECT shopee(body(3, '{"ordersn": "X1"}'), key => 'demoPartnerKeY');
SELECT shopee(body(3, '{"ordersn": "X2"}'), 'X-Shopee-Signature');
SELECT storesync.ingest_push('shopee', :'url', '{}', body(3, '{"ordersn": "X3"}'));
SELECT storesync.ingest_push('shopee', :'url', jsonb_build_object('authorization', hmac('demoPartnerKey', b)), b) FROM body(3, '{"ordersn": "X4"}') b;
SELECT storesync.ingest_push('shopee', :'url', jsonb_build_object('authorization', hmac('demoPartnerKey', convert_to(:'url' || '|', 'UTF8') || b)), b || ' ')
	FROM body(3, '{"ordersn": "X5"}') b;
SELECT shopee(body(3, '{"ordersn": "X6"}'), signed => :'url' || '/');
SELECT shopee(body(3, '{"ordersn": "X7"}'), url => :'url' || '?a=b');
-- a header that is there twice, is a list, or too long
SELECT storesync.ingest_push('shopee', :'url', jsonb_build_object('authorization', h, 'Authorization', h), b),
	storesync.ingest_push('shopee', :'url', jsonb_build_object('authorization', jsonb_build_array(h)), b),
	storesync.ingest_push('shopee', :'url', jsonb_build_object('authorization', repeat(h, 100)), b)
	FROM body(3, '{"ordersn": "X8"}') b, LATERAL hmac('demoPartnerKey', convert_to(:'url' || '|', 'UTF8') || b) h;
-- The URL that the platform was given, once it is known, is the only one.
SELECT storesync.set_app_credential('shopee', 'callback_url', :'url');
SELECT shopee(body(3, '{"ordersn": "A4"}'));
SELECT shopee(body(3, '{"ordersn": "X9"}'), signed => :'url' || '/', url => :'url' || '/');

-- Genuine, and refused all the same: too old, of a time to come, nothing readable, too large, not a store of ours.
SELECT shopee(body(3, '{"ordersn": "A5"}', '5 hours'));
SELECT shopee(body(3, '{"ordersn": "Y1"}', '7 hours')), shopee(body(3, '{"ordersn": "Y2"}', '-10 minutes'));
SELECT shopee('[1]'), shopee(''), shopee('\xff00fe'), shopee('{"code": 3}');
SELECT shopee(body(3, jsonb_build_object('ordersn', 'Y3', 'x', repeat('x', 262144))));
SELECT shopee(body(3, '{"ordersn": "Y4"}', shop => '999')), shopee(body(3, '{"ordersn": "Y5", "shop_id": 999}'));

-- Nothing but the genuine ones is kept. Their orders are asked for, not those of a store that is off.
SELECT shopee(body(3, '{"ordersn": "B1"}', shop => '220002'));
SELECT * FROM told;
SELECT * FROM asked;

-- The same again is known, and asks for nothing; another status of the order within the second asks once.
SELECT count(*) AS before FROM asked \gset
SELECT count(shopee(b)) FROM body(3, '{"ordersn": "A6"}') b, generate_series(1, 20);
SELECT storesync.ingest_push('shopee', :'url', jsonb_build_object('authorization', hmac('demoPartnerKey', convert_to(:'url' || '|', 'UTF8') || b)), b)
	FROM generate_series(1, 3), body(4, '{"ordersn": "A6", "tracking_no": "T1"}') b;
SELECT count(*) AS kept FROM told WHERE order_sn = 'A6';
SELECT count(*) - :before BETWEEN 1 AND 2 AS asked_once_a_second FROM asked;

-- What a shop shows of an item, or of one model of it, is read.
DELETE FROM storesync.outbox;
SELECT shopee(body(8, '{"shop_id": 220001, "item_id": 100, "variation_id": 2, "changed_values": [{"name": "reserved_stock", "old": 0, "new": 9}],
	"action": "place_order", "ordersn": "A7"}'));
SELECT shopee(body(8, '{"item_id": 101, "variation_id": 0, "changed_values": [{"name": "reserved_stock", "old": 0, "new": 4}]}'));
SELECT shopee(body(7, '{"item_id": 100, "action": "promo_lock_stock"}'));
SELECT shopee(body(7, '{"item_id": 555, "action": "promo_lock_stock"}'));
SELECT kind, code, item_id, model_id, reserved FROM told WHERE kind IN ('reserved', 'item');
SELECT store, kind, payload, soon FROM (SELECT DISTINCT * FROM asked) x ORDER BY payload;

-- The authorisation of a shop, its end, and what concerns nobody.
SELECT shopee(body(2, '{"shop_id": 220001}')), shopee(body(1, '{}', shop => '220009')),
	storesync.ingest_push('shopee', :'url', jsonb_build_object('authorization', hmac('demoPartnerKey', convert_to(:'url' || '|', 'UTF8') || b)), b)
	FROM (SELECT convert_to(format('{"code":12,"timestamp":%s,"data":{"shop_expire_soon":[220001],"expire_before":1}}',
		extract(epoch FROM clock_timestamp())::bigint), 'UTF8')) AS x(b);
SELECT shopee(body(10, '{}')), shopee(body(0, '{}', shop => '0'));
SELECT component, state, regexp_replace(reason, '(at|since) \d{4}.*?(:|,| that) .*', '\1 ...') AS reason
FROM (SELECT h.component, h.state, regexp_replace(h.reason, '^\d+ refused', 'N refused') AS reason FROM storesync.health() h) x
WHERE component ~ '^(notif|authoris)' ORDER BY 1;
SELECT storesync.set_credential(1, 'refresh_token', 'r');
SELECT count(*) FROM storesync.health() WHERE component = 'authorisation of store 1' AND reason LIKE 'the shop took%';

-- Ruten: the store is the one whose key it names.
SELECT storesync.set_credential(2, 'api_key', 'demo-api-key'), storesync.set_credential(2, 'secret_key', 'demo-secret'),
	storesync.set_credential(2, 'salt_key', 'demo-salt');
SELECT ruten('create_order', '25100900000001'), ruten('buyer_cancel', '25100900000002');
SELECT ruten('create_order', '25100900000003', '10 minutes'), ruten('create_order', '25100900000003', '-10 minutes');
SELECT ruten('create_order', '25100900000003', key => 'another'), ruten('create_order', '25100900000003', secret => 'another');
SELECT storesync.set_credential(2, 'callback_url', 'https://erp.example.com/hooks/ruten');
SELECT ruten('order_paid', '25100900000001'), ruten('order_paid', '25100900000001', url => 'https://erp.example.com/hooks/other');
SELECT ruten('hello', NULL);
SELECT kind, code, store_id, order_sn FROM storesync.notification WHERE platform = 'ruten' ORDER BY kind, code;

-- Refused ones are counted, whatever there is of them.
SELECT platform, reason, refused > 0 AS counted, last_at >= first_at AS times FROM storesync.notification_refused ORDER BY 1, 2;
SELECT count(*) AS kept FROM storesync.notification WHERE order_sn ~ '^[XY]';

-- Errors are the receiver's
SELECT storesync.ingest_push('momo', :'url', '{}', '');
SELECT storesync.ingest_push('pchome', :'url', '{}', '');
SELECT storesync.ingest_push('shopee', :'url', '[]', '');
SELECT storesync.ingest_push(NULL, :'url', '{}', '');
SELECT storesync.ingest_push('shopee', NULL, '{}', '');
SELECT storesync.ingest_push('shopee', :'url', NULL, '');
SELECT storesync.ingest_push('shopee', :'url', '{}', NULL);
BEGIN READ ONLY;
SELECT storesync.ingest_push('shopee', :'url', '{}', '');
ROLLBACK;
-- what is kept stays
\set VERBOSITY sqlstate
UPDATE storesync.notification SET code = '0';
DELETE FROM storesync.notification;
\set VERBOSITY terse

-- A receiver is an application: it hands in and sees nothing.
CREATE ROLE regress_receiver;
SELECT storesync.grant_role('regress_receiver', 'application');
GRANT EXECUTE ON FUNCTION hmac(text, bytea), body(int, jsonb, interval, text), shopee(bytea, text, text, text, text) TO regress_receiver;
SET ROLE regress_receiver;
SELECT shopee(body(3, '{"ordersn": "A9"}'));
SELECT count(*) FROM storesync.notification;
SELECT * FROM storesync.notification_refused;
RESET ROLE;
DROP OWNED BY regress_receiver;
DROP ROLE regress_receiver;
-- no key is anywhere
SELECT count(*) AS leaks FROM (SELECT n::text FROM storesync.notification n UNION ALL SELECT r::text FROM storesync.notification_refused r
	UNION ALL SELECT o::text FROM storesync.outbox o) AS x(row) WHERE row ~ 'demoPartnerKey|demo-secret|demo-salt';
SELECT * FROM storesync.check_invariants();

-- as found
DROP VIEW told, asked;
DROP FUNCTION hmac, body, shopee, ruten;
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
