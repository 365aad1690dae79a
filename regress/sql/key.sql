-- Idempotency keys: text form, order, derivation, what is refused.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS storesync;
RESET client_min_messages;
\set VERBOSITY sqlstate
SET timezone = 'UTC';

-- Vectors computed apart from this code: they must never change.
SELECT storesync.derive_key('2024-05-01 02:00:00.123+00', 'shopee', '220001', '2404300ABC', 'item/0', 'reserve') AS five_parts,
	storesync.derive_key('2024-05-01 10:00:00.123999+08', 'ab', 'c') AS ab_c,
	storesync.derive_key('2024-05-01 02:00:00.123+00', 'a', 'bc') AS a_bc,
	storesync.derive_key('2024-05-01 02:00:00.123+00', '', '') AS two_empty,
	storesync.derive_key('2024-05-01 02:00:00.123+00', '') AS one_empty \gx
SELECT storesync.derive_key('1970-01-01 00:00+00', 'x') AS first,
	storesync.derive_key('10889-08-02 05:31:50.655+00', 'x') AS last;
SELECT storesync.derive_key('2024-05-01 02:00:00.123+00', VARIADIC ARRAY['ab', 'c']) AS as_array,
	storesync.key_time(storesync.derive_key('2024-05-01 02:00:00.123999+00', 'a')) AS to_the_millisecond,
	encode(storesync.idempotency_key_send(storesync.derive_key('2024-05-01 02:00:00.123+00', 'ab', 'c')), 'hex') AS binary;
SELECT storesync.derive_key('infinity', 'x');
SELECT storesync.derive_key('-infinity', 'x');
SELECT storesync.derive_key('1969-12-31 23:59:59.999999+00', 'x');
SELECT storesync.derive_key('10889-08-02 05:31:50.656+00', 'x');
SELECT storesync.derive_key(NULL, 'x');
SELECT storesync.derive_key(now(), 'x', NULL);
SELECT storesync.derive_key(now(), VARIADIC NULL);
SELECT storesync.derive_key(now(), VARIADIC '{}'::text[]);
SELECT storesync.derive_key(now(), VARIADIC ARRAY[['a', 'b'], ['c', 'd']]);
-- as many and as long as they may be; the second is of 1,048,576 bytes, an "x" each
SELECT storesync.derive_key('2024-05-01 02:00:00.123+00', VARIADIC array_fill('x'::text, ARRAY[100])) AS many,
	storesync.derive_key('2024-05-01 02:00:00.123+00', repeat('x', 1024 * 1024)) AS long;
SELECT storesync.derive_key('2024-05-01 02:00:00.123+00', VARIADIC array_fill('x'::text, ARRAY[101]));
SELECT storesync.derive_key('2024-05-01 02:00:00.123+00', 'x', repeat('x', 1024 * 1024));

-- Text: either case, I and L read as 1, O as 0; 26 digits that fit 128 bits.
SELECT t AS written, t::storesync.idempotency_key AS read
FROM (VALUES ('01HWS8FCBV0000000000000000'), ('01hws8fcbvzzzzzzzzzzzzzzzz'), ('OiHWS8FCBVlLIi1oO000000000'),
	('7ZZZZZZZZZZZZZZZZZZZZZZZZZ'), ('00000000000000000000000000')) v(t);
SELECT ''::storesync.idempotency_key;
SELECT '01HWS8FCBV000000000000000'::storesync.idempotency_key;
SELECT '01HWS8FCBV00000000000000000'::storesync.idempotency_key;
SELECT '8ZZZZZZZZZZZZZZZZZZZZZZZZZ'::storesync.idempotency_key;
SELECT '01HWS8FCBVU000000000000000'::storesync.idempotency_key;
SELECT '01HWS8FCBV-000000000000000'::storesync.idempotency_key;
SELECT ' 01HWS8FCBV000000000000000'::storesync.idempotency_key;
SELECT '01HWS8FCBV00000000000000é'::storesync.idempotency_key;

-- A new key is of now, and nobody's else.
SELECT abs(extract(epoch FROM clock_timestamp() - storesync.key_time(storesync.new_key()))) < 60 AS of_now,
	(SELECT count(DISTINCT storesync.new_key()) FROM generate_series(1, 1000)) AS different;

-- Text and binary say the same key.
SET search_path = storesync, public;
CREATE TABLE public.key_test AS
SELECT i, storesync.derive_key('2024-05-01 00:00+00'::timestamptz + (i % 100) * interval '1 hour', i::text) AS key
FROM generate_series(1, 2000) i;
ALTER TABLE key_test ADD PRIMARY KEY (key);
ANALYZE key_test;
SELECT count(*) AS differing FROM key_test WHERE key::text::idempotency_key <> key;
\getenv abs_builddir PG_ABS_BUILDDIR
\set file :abs_builddir '/results/key_test.copy'
COPY key_test TO :'file' (FORMAT binary);
CREATE TEMP TABLE key_copy (LIKE key_test);
COPY key_copy FROM :'file' (FORMAT binary);
SELECT count(*) AS copied_equal FROM key_test JOIN key_copy USING (i, key);

-- Order is by time, then by hash; sorted, indexed and compared alike.
SELECT count(*) AS out_of_order FROM (
	SELECT key, lag(key) OVER (ORDER BY key) AS before FROM key_test) s
WHERE key < before OR NOT key > before OR key <= before OR NOT key >= before OR key = before OR NOT key <> before
	OR storesync.key_time(key) < storesync.key_time(before)
	OR storesync.idempotency_key_send(key) <= storesync.idempotency_key_send(before)
	OR storesync.idempotency_key_cmp(key, before) <= 0 OR storesync.idempotency_key_cmp(before, key) >= 0;
SELECT count(*) AS equal_to_itself FROM key_test WHERE key = key AND key <= key AND key >= key
	AND storesync.idempotency_key_cmp(key, key) = 0;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT i FROM key_test WHERE key = storesync.derive_key('2024-05-01 07:00+00', '7');
SELECT i FROM key_test WHERE key = storesync.derive_key('2024-05-01 07:00+00', '7');
SELECT count(*) FROM key_test WHERE key >= '01HWS1KS000000000000000000' AND key < '01HWSBAC000000000000000000';
RESET enable_seqscan;
RESET enable_bitmapscan;
INSERT INTO key_test VALUES (0, storesync.derive_key('2024-05-01 07:00+00', '7'));

-- Joins by merge and by hash, hash partitions.
SET enable_hashjoin = off;
SET enable_nestloop = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM key_test a JOIN key_test b USING (key);
SELECT count(*) FROM key_test a JOIN key_test b USING (key);
RESET enable_hashjoin;
SET enable_mergejoin = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM key_test a JOIN key_test b USING (key);
SELECT count(*) FROM key_test a JOIN key_test b USING (key);
RESET enable_mergejoin;
RESET enable_nestloop;
CREATE TABLE public.key_hashed (key storesync.idempotency_key) PARTITION BY HASH (key);
CREATE TABLE public.key_hashed_0 PARTITION OF public.key_hashed FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE public.key_hashed_1 PARTITION OF public.key_hashed FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO key_hashed SELECT key FROM key_test;
SELECT count(*) FROM key_hashed;
SELECT count(*) FROM key_hashed_0 WHERE key IN (SELECT key FROM key_hashed_1);
DROP TABLE key_hashed;
DROP TABLE key_test;
RESET search_path;
SELECT opcname, amname, opcdefault, amvalidate(o.oid) FROM pg_opclass o JOIN pg_am a ON a.oid = o.opcmethod
WHERE opcintype = 'storesync.idempotency_key'::regtype ORDER BY 2;

-- The same fact gives the same key in a database of another encoding.
SELECT storesync.derive_key('2024-05-01 02:00:00.123+00', chr(233)) AS utf8;
CREATE DATABASE regress_key_latin1 TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C';
\set main :DBNAME
\c regress_key_latin1
SET client_min_messages = warning;
CREATE EXTENSION storesync;
SELECT storesync.derive_key('2024-05-01 02:00:00.123+00', chr(233)) AS latin1;
\c :main
DROP DATABASE regress_key_latin1;
