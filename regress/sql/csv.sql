-- CSV files in: read, judged row by row, written when they are confirmed and not before, as an operator.
-- regress/t/097_csv.pl has psql with files, many rows and two sessions at once.
\set VERBOSITY terse
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
DROP ROLE IF EXISTS regress_csv_operator, regress_csv_reporter;
CREATE ROLE regress_csv_operator;
CREATE ROLE regress_csv_reporter;
SET timezone = 'UTC';
SELECT storesync.grant_role('regress_csv_operator', 'operator'), storesync.grant_role('regress_csv_reporter', 'reporter');
SELECT storesync.add_store('shopee', '1', 'one') AS store1, storesync.add_store('shopee', '2', 'two') AS store2 \gset
CREATE FUNCTION pg_temp.load(kind text, file text, store int DEFAULT NULL, encoding text DEFAULT NULL, bytes bytea DEFAULT NULL) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	object oid := lo_from_bytea(0, coalesce(bytes, convert_to(file, 'UTF8')));
BEGIN
	RETURN storesync.csv_load(kind, object, store, encoding);
END
$$;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA pg_temp TO PUBLIC;
SET ROLE regress_csv_operator;

-- SKUs: header in any order and case, columns left out, quotes, line ends, empty cells and rows.
SELECT pg_temp.load('sku', E'\uFEFFname,SKU,safety_stock,allow_backorder\r\n"烏龍茶 ""100 g""\r\n高山",TEA-100,2,TRUE\r\n,007,,\r\n,,,\r\n  two  words ,A B,0010,no\r\n') AS load \gset
SELECT line, verdict, subject, reason, change FROM storesync.csv_answer WHERE load_id = :load ORDER BY line;
SELECT count(*) FROM storesync.sku;
SELECT * FROM storesync.csv_confirm(:load);
SELECT code, name, safety_stock, allow_backorder, solo_below FROM storesync.sku ORDER BY sku_id;
SELECT * FROM storesync.csv_confirm(:load);
SELECT action, subject, after - 'created_at' - 'digest' AS after FROM storesync.audit WHERE subject ~ '^(sku|csv)' ORDER BY audit_id;

-- The same file once more changes nothing.
SELECT count(*) AS audited FROM storesync.audit \gset
SELECT pg_temp.load('sku', E'\uFEFFname,SKU,safety_stock,allow_backorder\r\n"烏龍茶 ""100 g""\r\n高山",TEA-100,2,TRUE\r\n,007,,\r\n,,,\r\n  two  words ,A B,0010,no\r\n') AS load \gset
SELECT * FROM storesync.csv_confirm(:load);
SELECT count(*) - :audited AS audited FROM storesync.audit;

-- What is wrong with a row is said of each, and the others are written.
SELECT pg_temp.load('sku', E'sku,name,safety_stock,allow_backorder,solo_below\n'
	'TEA-100,\\N,"1,000",maybe,１\nDOUBLE,,,,\nDOUBLE,x,y,,\n,nobody,,,\n1E+05,,,,\n B,,,,\n"A\nB",,,,\nTEA-100X,a,b\nC"D,,,,\n"E"F,,,,\n'
	'G,,1.5,,\nH,,-1,,\nI,,1000000000001,,\nJ,,\\N,,\nK,,1E+05,, 1\n"L",=1+1,,,\nTEA-101,@x,,,5\n') AS load \gset
SELECT line, verdict, subject, reason, change FROM storesync.csv_answer WHERE load_id = :load ORDER BY line;
SELECT * FROM storesync.csv_confirm(:load, all_or_nothing => true);
SELECT count(*) FROM storesync.sku WHERE code IN ('L', 'TEA-101');
SELECT * FROM storesync.csv_confirm(:load);
SELECT code, name, solo_below FROM storesync.sku WHERE code IN ('L', 'TEA-101') ORDER BY code;

-- A cell that is empty leaves the column as it is, \N clears it.
SELECT pg_temp.load('sku', E'sku,name,safety_stock\nTEA-100,\\N,\n"A B",,4\n007,seven,\n') AS load \gset
SELECT line, verdict, subject, change FROM storesync.csv_answer WHERE load_id = :load ORDER BY line;
SELECT * FROM storesync.csv_confirm(:load);
SELECT code, name, safety_stock FROM storesync.sku WHERE code IN ('TEA-100', 'A B', '007') ORDER BY code;
SELECT action, before, after FROM storesync.audit WHERE before IS NOT NULL ORDER BY after::text COLLATE "C";

-- Codes that are there are taken whatever they look like; a bundle leaves backorder to its components.
SELECT storesync.add_sku('1E+05'), storesync.add_sku(' X'), storesync.add_sku('SET'), storesync.add_sku('PART') \gset x_
SELECT storesync.set_bundle('SET', '{"PART": 2}');
SELECT pg_temp.load('sku', E'sku,safety_stock,allow_backorder\n1E+05,1,\n X,1,\nSET,,t\nSET2,,t\n') AS load \gset
SELECT line, verdict, subject, reason FROM storesync.csv_answer WHERE load_id = :load ORDER BY line;
SELECT storesync.csv_discard(:load);
SELECT storesync.csv_discard(:load);
SELECT * FROM storesync.csv_check(:load);
SELECT count(*) FROM storesync.csv_answer WHERE load_id = :load;

-- What has changed between check and confirm is seen, and not written over.
SELECT pg_temp.load('sku', E'sku,safety_stock\nL,7\nTEA-101,7\n007,7\nNEW1,1\nNEW2,1\n') AS load \gset
UPDATE storesync.sku SET safety_stock = 3 WHERE code = 'L';
UPDATE storesync.sku SET safety_stock = 7 WHERE code = 'TEA-101';
SELECT storesync.add_sku('NEW1') > 0 AS added;
SELECT * FROM storesync.csv_confirm(:load);
SELECT line, verdict, subject, reason, change FROM storesync.csv_answer WHERE load_id = :load ORDER BY line;
SELECT code, safety_stock FROM storesync.sku WHERE code IN ('L', 'TEA-101', '007', 'NEW1', 'NEW2') ORDER BY code;
SELECT pg_temp.load('sku', E'sku,safety_stock\nL,7\n') AS load \gset
UPDATE storesync.sku SET safety_stock = 4 WHERE code = 'L';
SELECT * FROM storesync.csv_check(:load);
SELECT change FROM storesync.csv_answer WHERE load_id = :load;
SELECT * FROM storesync.csv_confirm(:load);

-- Encodings: told, or found; bytes that are none are pointed at.
SELECT pg_temp.load('sku', NULL, bytes => convert_to(E'sku,name\n茶,"許功蓋,"\n', 'BIG5')) AS load \gset
SELECT f.encoding, r.subject, r.change -> 'name' ->> 'to' AS name FROM storesync.csv_file f JOIN storesync.csv_answer r USING (load_id) WHERE load_id = :load;
SELECT pg_temp.load('sku', NULL, encoding => 'UTF8', bytes => '\x736b752c6e616d650aafb82c0a');
SELECT pg_temp.load('sku', E'sku\n茶葉', encoding => 'big5');
SELECT pg_temp.load('sku', NULL, bytes => '\x736b750a41ff0a');
SELECT pg_temp.load('sku', NULL, bytes => '\x736b750a410042');
SELECT pg_temp.load('sku', NULL, bytes => '\xfffe73006b007500');
SELECT pg_temp.load('sku', E'sku\nA', encoding => 'LATIN1');

-- Files that are none.
SELECT pg_temp.load('skus', E'sku\nA');
SELECT pg_temp.load('sku', '');
SELECT pg_temp.load('sku', E'name\nA');
SELECT pg_temp.load('sku', E'sku,price\nA,1');
SELECT pg_temp.load('sku', E'sku,name,SKU\nA,1,A');
SELECT pg_temp.load('sku', E'sku;name\nA;1');
SELECT pg_temp.load('sku', E'sku,name\nA,"b\nC,d\n\n');
SELECT pg_temp.load('sku', E'sku\nA', store => 99);
SELECT pg_temp.load('sku', E'sku\n' || repeat(E'A\n', 200001));
SELECT storesync.csv_load('sku', NULL);
SELECT storesync.csv_load('sku', 1);
SELECT * FROM storesync.csv_confirm(0);
SELECT * FROM storesync.csv_confirm(NULL);
SELECT pg_temp.load('sku', E'sku\n') AS load \gset
SELECT * FROM storesync.csv_confirm(:load);

-- What a reading found: which SKU it is.
RESET ROLE;
INSERT INTO storesync.listing_walk (run, store_id, ended_at, current) VALUES (1, :store1, now(), true);
INSERT INTO storesync.listing_seen (run, store_id, item_id, model_id, seller_code, name, quantity, price, reserved, listed, ended, writable, seen_at)
SELECT 1, :store1, v.item_id, v.model_id, '', 'x', 5, 100, 0, true, false, true, now()
FROM (VALUES ('10', ''), ('11', '1'), ('11', '2'), ('12', ''), ('13', '')) AS v (item_id, model_id);
SET ROLE regress_csv_operator;
SELECT storesync.add_listing(:store1, 'L', '13') > 0 AS is_listing;
SELECT pg_temp.load('found', E'item_id,model_id,sku,pack,name,verdict\n10,0,007,,told,unknown sku\n11,1,TEA-101,2,,\n11,2,NOBODY,,,\n12,,,3,,\n12x,,007,,,\n13,,007,,,\n1E+05,,007,,,\n', :store1) AS load \gset
SELECT line, verdict, subject, reason, change FROM storesync.csv_answer WHERE load_id = :load ORDER BY line;
SELECT * FROM storesync.csv_confirm(:load);
SELECT item_id, model_id, sku, pack FROM storesync.listing_found ORDER BY 1, 2;
SELECT pg_temp.load('found', format(E'store,item_id,model_id,sku\n%s,10,,\\N\n%s,11,1,TEA-101\n%s,12,,007\n,12,,007\n', :store1, :store1, :store2)) AS load \gset
SELECT line, verdict, subject, reason, change FROM storesync.csv_answer WHERE load_id = :load ORDER BY line;
SELECT * FROM storesync.csv_confirm(:load);
SELECT pg_temp.load('found', format(E'store,item_id\n%s,10\n', :store2), :store1) AS load \gset
SELECT line, verdict, subject, reason FROM storesync.csv_answer WHERE load_id = :load ORDER BY line;
SELECT item_id, model_id, verdict, sku, pack FROM storesync.match_listings(:store1);

-- Listings and their policy.
SELECT pg_temp.load('listing', E'item_id,model_id,sku,pack,share,buffer,cap,enabled,price_floor,listed,at_zero\n'
	'20,,007,2,0.50,1,10,yes,12.00,no,unlist\n21,1,TEA-101,,,,,,,,\n13,0,,,0.80,,\\N,,\\N,,\n22,,,,,,,,,,\n23,,NOBODY,,,,,,,,\n24,,007,0,1.5,,,,,,never\n25,,007,,1.5,,,,,,\n', :store1) AS load \gset
SELECT line, verdict, subject, reason, change FROM storesync.csv_answer WHERE load_id = :load ORDER BY line;
SELECT * FROM storesync.csv_confirm(:load);
SELECT l.item_id, l.model_id, k.code, l.pack, l.share, l.buffer, l.cap, l.enabled, l.price_floor, l.listed, l.at_zero
FROM storesync.listing l JOIN storesync.sku k USING (sku_id) ORDER BY 1, 2;
SELECT pg_temp.load('listing', E'item_id,model_id,sku,pack,share,buffer,cap,enabled,price_floor,listed,at_zero\n'
	'20,,007,2,0.50,1,10,yes,12.00,no,unlist\n21,1,TEA-101,,,,,,,,\n13,0,,,0.80,,\\N,,\\N,,\n', :store1) AS load \gset
SELECT * FROM storesync.csv_confirm(:load);
SELECT pg_temp.load('listing', format(E'store,item_id,sku,enabled,cap\n%s,20,L,f,\\N\n99,1,L,,\n', :store1)) AS load \gset
SELECT line, verdict, subject, reason, change FROM storesync.csv_answer WHERE load_id = :load ORDER BY line;
SELECT * FROM storesync.csv_confirm(:load);
SELECT DISTINCT o.kind FROM storesync.outbox o JOIN storesync.listing l ON o.kind = 'listing' AND o.subject = l.listing_id AND l.item_id = '20';

-- Prices, as set_price() would have them.
UPDATE storesync.listing SET price = 100 WHERE item_id <> '21';
SELECT pg_temp.load('price', E'item_id,model_id,price,force\n20,,120.50,\n21,1,99,\n13,,100.00,\n', :store1) AS load \gset
SELECT line, verdict, subject, reason, change FROM storesync.csv_answer WHERE load_id = :load ORDER BY line;
SELECT * FROM storesync.csv_confirm(:load);
SELECT pg_temp.load('price', E'item_id,model_id,price,force\n20,,11,yes\n21,1,9,no\n13,,9,yes\n13x,,9,\n21,,0,\n21,1x,\\N,\n', :store1) AS load \gset
SELECT line, verdict, subject, reason, change FROM storesync.csv_answer WHERE load_id = :load ORDER BY line;
SELECT * FROM storesync.csv_confirm(:load);
SELECT l.item_id, l.price, o.open FROM storesync.listing l LEFT JOIN storesync.offer o ON o.listing_id = l.listing_id AND o.facet = 'price' ORDER BY 1;

-- Receipts: one for each reference, SKU and location, whichever file it is in.
SELECT storesync.add_location('north') > 0 AS north;
SELECT pg_temp.load('receipt', E'sku,qty,location,reference\n007,5,,D-1\n007,5,north,D-1\n007,5,,D-2\nL,1,,D-1\nL,1,,D-1\nSET,1,,D-1\nNOBODY,1,,D-1\n007,1,nowhere,D-1\n007,0,,D-3\n007,2,,\n') AS load \gset
SELECT line, verdict, subject, reason, change FROM storesync.csv_answer WHERE load_id = :load ORDER BY line;
-- booked in the order of the file, wherever its rows lie
RESET ROLE;
UPDATE storesync.csv_row SET line = line WHERE load_id = :load AND line = 2;
SET ROLE regress_csv_operator;
SET enable_indexscan = off;
SET enable_bitmapscan = off;
SELECT * FROM storesync.csv_confirm(:load);
RESET enable_indexscan;
RESET enable_bitmapscan;
SELECT pg_temp.load('receipt', E'sku,qty,location,reference\n007,5,main,D-1\n007,6,north,D-1\n007,5,,D-2\n007,5,,D-4\nL,3,,D-1\n') AS load \gset
SELECT line, verdict, subject, reason FROM storesync.csv_answer WHERE load_id = :load ORDER BY line;
SELECT * FROM storesync.csv_confirm(:load);
SELECT k.code, p.code AS place, g.kind, g.on_hand_delta, g.reference FROM storesync.ledger g
JOIN storesync.sku k USING (sku_id) JOIN storesync.location p USING (location_id) ORDER BY 1, 2, g.version;

-- Counts likewise; what was counted before something left is no count of now.
SELECT concat(to_char(clock_timestamp(), 'YYYY-MM-DD HH24:MI:SS.US'), 'Z') AS counted_at \gset
SELECT outcome FROM storesync.reserve('007', 2, storesync.new_key(), 'main', 'x');
SELECT outcome FROM storesync.ship('007', 2, storesync.new_key(), 'main', 'x');
SELECT pg_temp.load('count', E'sku,counted,counted_at\n007,14,2026-11-23\n') AS load \gset
SELECT line, verdict, reason FROM storesync.csv_answer WHERE load_id = :load;
SELECT pg_temp.load('count', format(E'sku,counted,reference,counted_at\n007,14,C-1,%s\nL,4,C-1,\nTEA-100,1,C-1,2000-01-01 00:00Z\nTEA-100,1,C-2,2100-01-01 00:00Z\nTEA-100,1,C-3,2026-13-01 00:00Z\n', :'counted_at')) AS load \gset
SELECT line, verdict, subject, reason FROM storesync.csv_answer WHERE load_id = :load ORDER BY line;
SELECT * FROM storesync.csv_confirm(:load);
SELECT storesync.available('007', 'main') AS "12", storesync.available('L') AS "4";
SELECT outcome FROM storesync.receive('L', 10, storesync.new_key());
SELECT pg_temp.load('count', format(E'counted,sku,reference,counted_at\n14,007,C-1,%s\n4,L,C-1,\n', :'counted_at')) AS load \gset
SELECT * FROM storesync.csv_confirm(:load);
SELECT storesync.available('007', 'main') AS "12", storesync.available('L') AS "14";

-- The large objects are gone; answers are read by reporters, nothing is done by them.
SELECT count(*) FROM pg_largeobject_metadata;
SELECT lo_from_bytea(4242, 'sku') AS others \gset
SET ROLE regress_csv_reporter;
SELECT count(*) > 0 AS told FROM storesync.csv_answer;
SELECT storesync.csv_load('sku', 1);
SELECT * FROM storesync.csv_confirm(1);
SELECT * FROM storesync.csv_judge(1);
RESET ROLE;
SELECT storesync.grant_role('regress_csv_reporter', 'operator');
SET ROLE regress_csv_reporter;
SELECT storesync.csv_load('sku', :others);
RESET ROLE;
SELECT lo_unlink(:others);

-- Old files go with the next one.
UPDATE storesync.csv_file SET loaded_at = now() - interval '31 days' WHERE load_id <= 2;
UPDATE storesync.csv_file SET loaded_at = now() - interval '731 days' WHERE load_id = 3;
SELECT pg_temp.load('sku', E'sku\nA') AS load \gset
SELECT load_id, count(r.line) FROM storesync.csv_file f LEFT JOIN storesync.csv_row r USING (load_id) WHERE load_id <= 4 GROUP BY 1 ORDER BY 1;
SELECT * FROM storesync.check_invariants();
BEGIN READ ONLY;
SELECT storesync.csv_load('sku', 1);
ROLLBACK;
DROP OWNED BY regress_csv_operator, regress_csv_reporter;
DROP ROLE regress_csv_operator, regress_csv_reporter;
