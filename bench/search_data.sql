-- Orders of two years, straight into the tables: :orders of them over 12 stores, 1.6 lines each, of :skus SKUs.
--
-- Everything follows from hashes of row numbers, so that two runs have the same rows. A SKU's sales fall with
-- its number (the cube of an even draw); every twentieth sells nothing. Names are made of words, order numbers as
-- the platforms make theirs: the day, then letters and digits, or digits alone.
SET synchronous_commit = off;

CREATE FUNCTION public.draw(n bigint, seed bigint) RETURNS double precision
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN (pg_catalog.hashint8extended(n, seed) & 9007199254740991)::double precision / 9007199254740992;

CREATE FUNCTION public.pick(words text[], n bigint, seed bigint) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN words[1 + floor(public.draw(n, seed) * cardinality(words))::int];

-- eight letters and digits
CREATE FUNCTION public.letters(n bigint, seed bigint) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN upper(translate(substr(encode(int8send(pg_catalog.hashint8extended(n, seed)), 'base64'), 1, 8), '+/', '07'));

CREATE TABLE public.words (kind text PRIMARY KEY, words text[]);
INSERT INTO public.words VALUES
	('brand', string_to_array('晨光 山海 綠野 木村 小熊 北極星 藍鯨 日和 福田 青松 大同 雲端 NORTH Mizu Kiwi Aero 三葉 白鷺 金門 玉山', ' ')),
	('kind', string_to_array('純棉 防水 輕量 加厚 可愛 復古 無線 摺疊 不鏽鋼 有機 兒童 男女 透氣 保暖 抗菌 迷你 環保 日式 韓版 經典', ' ')),
	('noun', string_to_array('短袖上衣 牛仔褲 運動鞋 後背包 保溫杯 雨傘 襪子 帽子 毛巾 枕頭 床包 書桌 檯燈 耳機 充電線 手機殼 行動電源 滑鼠 鍵盤 茶葉 咖啡豆 餅乾 果醬 洗髮精 牙膏 面膜 防曬乳 口紅 貓砂 狗糧 積木 拼圖 水彩筆 筆記本 鋼筆 剪刀 平底鍋 電鍋 吹風機 電風扇', ' ')),
	('colour', string_to_array('黑色 白色 紅色 藍色 綠色 米白 深灰 粉紅 淺藍 卡其', ' ')),
	('size', string_to_array('S M L XL 2L 500ml 1入 3入 10入 加大', ' ')),
	('family', string_to_array('陳 林 黃 張 李 王 吳 劉 蔡 楊 許 鄭 謝 洪 郭 邱 曾 廖 賴 徐 周 葉 蘇 莊 呂 江 何 蕭 羅 高', ' ')),
	('given', string_to_array('怡君 雅婷 志明 家豪 淑芬 俊傑 美玲 建宏 雅雯 宗翰 佳穎 冠宇 心怡 承恩 詩涵 宜庭 品妍 柏翰 子晴 宇軒', ' ')),
	('login', string_to_array('amy lin sunny happy coco joy mike kevin shop tw lucky star moon cat dog love fish rain blue tiger', ' '));

-- ---------------------------------------------------------------- catalogue

UPDATE storesync.platform SET base_url = 'http://127.0.0.1:9';
SELECT count(storesync.add_store(p, 'S' || i, p || ' ' || i)) AS stores FROM unnest('{shopee,ruten,pchome}'::text[]) p, generate_series(1, 4) i;
UPDATE storesync.store SET mode = 'off';
INSERT INTO storesync.location (code) VALUES ('main');

INSERT INTO storesync.sku (code, name)
SELECT concat(public.pick('{TS,JN,SH,BG,CP,UM,SK,HT,TW,PL}', i, 1), '-', lpad(i::text, 6, '0'), '-', public.pick('{S,M,L,XL,BK,WH}', i, 2)),
	concat(public.pick(b.words, i, 3), ' ', public.pick(k.words, i, 4), public.pick(n.words, i, 5), ' ', public.pick(c.words, i, 6), ' ', public.pick(z.words, i, 7))
FROM generate_series(1, :skus) i
JOIN public.words b ON b.kind = 'brand' JOIN public.words k ON k.kind = 'kind' JOIN public.words n ON n.kind = 'noun'
JOIN public.words c ON c.kind = 'colour' JOIN public.words z ON z.kind = 'size'
ORDER BY i;

-- each SKU in four shops
INSERT INTO storesync.listing (store_id, sku_id, item_id, model_id)
SELECT 1 + ((k.sku_id + 3 * j) % 12)::int, k.sku_id, (20000000000 + k.sku_id * 7919 + j)::text, CASE WHEN k.sku_id % 3 = 0 THEN (k.sku_id * 13 + j)::text ELSE '' END
FROM storesync.sku k, generate_series(0, 3) j;
INSERT INTO storesync.listing_walk (run, store_id, ended_at, current) SELECT s.store_id, s.store_id, now(), true FROM storesync.store s;
INSERT INTO storesync.listing_seen (run, store_id, item_id, model_id, seller_code, name, quantity, price, reserved, listed, ended, writable, seen_at)
SELECT l.store_id, l.store_id, l.item_id, l.model_id, k.code, concat('【現貨】', k.name, ' 台灣出貨 免運'), 10, 199, 0, true, false, true, now()
FROM storesync.listing l JOIN storesync.sku k ON k.sku_id = l.sku_id;

-- ---------------------------------------------------------------- partitions of the past

DO $$
DECLARE
	month timestamptz;
	made text;
	index text;
BEGIN
	PERFORM storesync.ensure_partitions();
	FOR month IN SELECT generate_series(date_trunc('month', now() AT TIME ZONE 'UTC') - interval '24 months',
			date_trunc('month', now() AT TIME ZONE 'UTC') - interval '1 month', '1 month') AT TIME ZONE 'UTC' LOOP
		made := 'sales_order_line' || to_char(month AT TIME ZONE 'UTC', '_YYYY_MM');
		EXECUTE format('CREATE TABLE storesync.%I (LIKE storesync.sales_order_line INCLUDING DEFAULTS INCLUDING CONSTRAINTS) WITH (fillfactor = 80)', made);
		EXECUTE format('ALTER TABLE storesync.sales_order_line ATTACH PARTITION storesync.%I FOR VALUES FROM (%L) TO (%L)',
			made, month, (month AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC');
	END LOOP;
END
$$;

-- ---------------------------------------------------------------- orders

-- Indexes are made when the rows are there.
ALTER TABLE storesync.sales_order DROP CONSTRAINT sales_order_pkey;
DROP INDEX storesync.sales_order_order_id_idx;

INSERT INTO storesync.sales_order (order_id, create_time, update_time, fetched_at, recorded_at, store_id, status, stock_effect, order_sn, buyer, currency)
SELECT i, t.at, t.at + interval '3 days', t.at + interval '3 days', t.at + interval '10 seconds', s.store_id, 'completed', true,
	CASE WHEN s.store_id <= 4 THEN to_char(t.at AT TIME ZONE 'Asia/Taipei', 'YYMMDD') || public.letters(i, 12)
		WHEN s.store_id <= 8 THEN to_char(t.at AT TIME ZONE 'Asia/Taipei', 'YYMMDD') || lpad((i * 7919 % 100000000)::text, 8, '0')
		ELSE to_char(t.at AT TIME ZONE 'Asia/Taipei', 'YYYYMMDD') || lpad((i % 100000000)::text, 8, '0') END,
	CASE WHEN s.store_id <= 6 THEN concat(public.pick(g.words, i, 14), public.pick('{"",_,.}', i, 15), public.pick(g.words, i, 16), floor(public.draw(i, 17) * 10000)::int)
		ELSE concat(public.pick(f.words, i, 18), public.pick(v.words, i, 19)) END, 'TWD'
FROM generate_series(1, :orders) i
CROSS JOIN LATERAL (SELECT now() - interval '1 day' - (:orders - i) * (interval '728 days' / :orders) AS at) t
CROSS JOIN LATERAL (SELECT 1 + floor(power(public.draw(i, 11), 1.5) * 12)::int AS store_id) s
JOIN public.words f ON f.kind = 'family' JOIN public.words v ON v.kind = 'given' JOIN public.words g ON g.kind = 'login';

INSERT INTO storesync.sales_order_line (recorded_at, order_id, listing_id, sku_id, ordered_at, qty, cancelled_qty, reserved, shipped, restocked,
	short, store_id, location_id, pack, effects, status, state, line_id, item_id, model_id, sku_code, unit_price)
SELECT o.recorded_at, o.order_id, k.sku_id * 4 - 3 + (o.order_id % 4), k.sku_id, o.create_time, 1, 0, 0, 1, 0, 0, o.store_id, 1, 1, 2, 'completed', 'shipped',
	concat(20000000000 + k.sku_id * 7919, '/', j), (20000000000 + k.sku_id * 7919)::text, '', NULL, 199
FROM storesync.sales_order o
CROSS JOIN LATERAL generate_series(1, CASE WHEN o.order_id % 5 < 3 THEN 1 WHEN o.order_id % 5 = 3 THEN 2 ELSE 3 END) j
CROSS JOIN LATERAL (SELECT x.sku_id + (x.sku_id % 20 = 0)::int AS sku_id
	FROM (SELECT 1 + floor((:skus - 1) * power(public.draw(o.order_id * 4 + j, 20), 3))::bigint AS sku_id) x) k;

ALTER TABLE storesync.sales_order ADD PRIMARY KEY (store_id, order_sn);
CREATE UNIQUE INDEX ON storesync.sales_order (order_id);
DO $$
DECLARE
	part regclass;
	index text;
BEGIN
	FOR part IN SELECT i.inhrelid FROM pg_inherits i WHERE i.inhparent = 'storesync.sales_order_line'::regclass
		AND NOT EXISTS (SELECT FROM pg_index x WHERE x.indrelid = i.inhrelid) LOOP
		FOREACH index IN ARRAY (SELECT p.indexes FROM storesync.partitioned p WHERE p.parent = 'sales_order_line') LOOP
			EXECUTE format('CREATE %s INDEX ON %s %s', CASE WHEN index LIKE 'UNIQUE%' THEN 'UNIQUE' ELSE '' END, part, regexp_replace(index, '^UNIQUE ', ''));
		END LOOP;
	END LOOP;
END
$$;
SELECT setval('storesync.order_id_seq', :orders);
VACUUM ANALYZE;
