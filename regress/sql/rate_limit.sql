-- Call limits as text: what is read, how it is shown, what is refused.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS storesync;
RESET client_min_messages;

SELECT t AS written, t::storesync.rate_limit AS read
FROM (VALUES ('5/s'), ('5/s burst 1'), ('5/s burst 10, 350/min'), ('350/min,5/s burst 10'),
	(E'  5 / s\tburst  10 ,\n350/min '), ('1/day'), ('1000/ms'), ('1000000/s burst 1000000'),
	('1/day burst 3652'), ('0005/s'), ('1/ms, 2/s, 3/min, 4/h'), ('4/h, 3/min, 2/s, 1/day burst 7')) v(t);

-- malformed: 22P02
\set VERBOSITY default
SELECT ''::storesync.rate_limit;
SELECT '5/fortnight'::storesync.rate_limit;
\set VERBOSITY sqlstate
SELECT '5'::storesync.rate_limit;
SELECT '5/'::storesync.rate_limit;
SELECT '/s'::storesync.rate_limit;
SELECT '-5/s'::storesync.rate_limit;
SELECT '5.5/s'::storesync.rate_limit;
SELECT '5/S'::storesync.rate_limit;
SELECT '5/sburst 3'::storesync.rate_limit;
SELECT '5/s burst'::storesync.rate_limit;
SELECT '5/s burst x'::storesync.rate_limit;
SELECT '5/s burst 3 4'::storesync.rate_limit;
SELECT '5/s,'::storesync.rate_limit;
SELECT ', 5/s'::storesync.rate_limit;
SELECT '5/s; 3/min'::storesync.rate_limit;
SELECT '5/秒'::storesync.rate_limit;

-- out of range: 22023
\set VERBOSITY default
SELECT '5/s, 6/min, 7/s'::storesync.rate_limit;
SELECT '1001/ms'::storesync.rate_limit;
\set VERBOSITY sqlstate
SELECT '0/s'::storesync.rate_limit;
SELECT '5/s burst 0'::storesync.rate_limit;
SELECT '1000001/s'::storesync.rate_limit;
SELECT '5/s burst 1000001'::storesync.rate_limit;
SELECT '99999999999999999999999999/s'::storesync.rate_limit;
SELECT '5/s burst 99999999999999999999999999'::storesync.rate_limit;
SELECT '1/day burst 3653'::storesync.rate_limit;
SELECT '1/ms, 2/s, 3/min, 4/h, 5/day'::storesync.rate_limit;

-- Equal are limits with the same windows, whatever their order.
SELECT '5/s, 350/min'::storesync.rate_limit OPERATOR(storesync.=) '350/min burst 1, 5/s' AS same,
	'5/s'::storesync.rate_limit OPERATOR(storesync.=) '300/min' AS other_unit,
	'5/s'::storesync.rate_limit OPERATOR(storesync.<>) '5/s burst 2' AS other_burst,
	'5/s'::storesync.rate_limit OPERATOR(storesync.<>) '5/s' AS not_different;

-- Through a table, and as binary.
CREATE TABLE limit_test (l storesync.rate_limit);
INSERT INTO limit_test VALUES ('5/s burst 10, 350/min'), (NULL);
SELECT l, encode(storesync.rate_limit_send(l), 'hex') FROM limit_test;
DROP TABLE limit_test;

-- The setting takes what the type takes, or nothing.
ALTER SYSTEM SET storesync.total_rate_limit = '5/fortnight';
\set VERBOSITY default
ALTER SYSTEM SET storesync.total_rate_limit = '5/s, 6/s';
SET storesync.total_rate_limit = '5/s';
SHOW storesync.total_rate_limit;
