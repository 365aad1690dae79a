-- Order and hash of idempotency keys, before the tables: one of them is partitioned by key.

CREATE FUNCTION storesync.idempotency_key_eq(storesync.idempotency_key, storesync.idempotency_key) RETURNS boolean
	AS 'MODULE_PATHNAME', 'idempotency_key_eq' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION storesync.idempotency_key_ne(storesync.idempotency_key, storesync.idempotency_key) RETURNS boolean
	AS 'MODULE_PATHNAME', 'idempotency_key_ne' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION storesync.idempotency_key_lt(storesync.idempotency_key, storesync.idempotency_key) RETURNS boolean
	AS 'MODULE_PATHNAME', 'idempotency_key_lt' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION storesync.idempotency_key_le(storesync.idempotency_key, storesync.idempotency_key) RETURNS boolean
	AS 'MODULE_PATHNAME', 'idempotency_key_le' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION storesync.idempotency_key_gt(storesync.idempotency_key, storesync.idempotency_key) RETURNS boolean
	AS 'MODULE_PATHNAME', 'idempotency_key_gt' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION storesync.idempotency_key_ge(storesync.idempotency_key, storesync.idempotency_key) RETURNS boolean
	AS 'MODULE_PATHNAME', 'idempotency_key_ge' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION storesync.idempotency_key_cmp(storesync.idempotency_key, storesync.idempotency_key) RETURNS integer
	AS 'MODULE_PATHNAME', 'idempotency_key_cmp' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION storesync.idempotency_key_sortsupport(internal) RETURNS void
	AS 'MODULE_PATHNAME', 'idempotency_key_sortsupport' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION storesync.idempotency_key_hash(storesync.idempotency_key) RETURNS integer
	AS 'MODULE_PATHNAME', 'idempotency_key_hash' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION storesync.idempotency_key_hash_extended(storesync.idempotency_key, bigint) RETURNS bigint
	AS 'MODULE_PATHNAME', 'idempotency_key_hash_extended' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE OPERATOR storesync.= (
	LEFTARG = storesync.idempotency_key, RIGHTARG = storesync.idempotency_key,
	FUNCTION = storesync.idempotency_key_eq,
	COMMUTATOR = OPERATOR(storesync.=), NEGATOR = OPERATOR(storesync.<>),
	RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES
);
CREATE OPERATOR storesync.<> (
	LEFTARG = storesync.idempotency_key, RIGHTARG = storesync.idempotency_key,
	FUNCTION = storesync.idempotency_key_ne,
	COMMUTATOR = OPERATOR(storesync.<>), NEGATOR = OPERATOR(storesync.=),
	RESTRICT = neqsel, JOIN = neqjoinsel
);
CREATE OPERATOR storesync.< (
	LEFTARG = storesync.idempotency_key, RIGHTARG = storesync.idempotency_key,
	FUNCTION = storesync.idempotency_key_lt,
	COMMUTATOR = OPERATOR(storesync.>), NEGATOR = OPERATOR(storesync.>=),
	RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
CREATE OPERATOR storesync.<= (
	LEFTARG = storesync.idempotency_key, RIGHTARG = storesync.idempotency_key,
	FUNCTION = storesync.idempotency_key_le,
	COMMUTATOR = OPERATOR(storesync.>=), NEGATOR = OPERATOR(storesync.>),
	RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
CREATE OPERATOR storesync.> (
	LEFTARG = storesync.idempotency_key, RIGHTARG = storesync.idempotency_key,
	FUNCTION = storesync.idempotency_key_gt,
	COMMUTATOR = OPERATOR(storesync.<), NEGATOR = OPERATOR(storesync.<=),
	RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);
CREATE OPERATOR storesync.>= (
	LEFTARG = storesync.idempotency_key, RIGHTARG = storesync.idempotency_key,
	FUNCTION = storesync.idempotency_key_ge,
	COMMUTATOR = OPERATOR(storesync.<=), NEGATOR = OPERATOR(storesync.<),
	RESTRICT = scalargesel, JOIN = scalargejoinsel
);
COMMENT ON FUNCTION storesync.idempotency_key_eq(storesync.idempotency_key, storesync.idempotency_key) IS 'Implementation of the = operator: same key.';
COMMENT ON FUNCTION storesync.idempotency_key_ne(storesync.idempotency_key, storesync.idempotency_key) IS 'Implementation of the <> operator: different keys.';
COMMENT ON FUNCTION storesync.idempotency_key_lt(storesync.idempotency_key, storesync.idempotency_key) IS 'Implementation of the < operator: earlier key: by time, then by hash.';
COMMENT ON FUNCTION storesync.idempotency_key_le(storesync.idempotency_key, storesync.idempotency_key) IS 'Implementation of the <= operator: earlier or same key.';
COMMENT ON FUNCTION storesync.idempotency_key_gt(storesync.idempotency_key, storesync.idempotency_key) IS 'Implementation of the > operator: later key: by time, then by hash.';
COMMENT ON FUNCTION storesync.idempotency_key_ge(storesync.idempotency_key, storesync.idempotency_key) IS 'Implementation of the >= operator: later or same key.';
COMMENT ON FUNCTION storesync.idempotency_key_cmp(storesync.idempotency_key, storesync.idempotency_key) IS 'Less, equal or greater than zero as the first key is earlier than, the same as or later than the second.';
COMMENT ON FUNCTION storesync.idempotency_key_sortsupport(internal) IS 'Sort support of the btree operator class.';
COMMENT ON FUNCTION storesync.idempotency_key_hash(storesync.idempotency_key) IS 'Hash of the hash operator class.';
COMMENT ON FUNCTION storesync.idempotency_key_hash_extended(storesync.idempotency_key, bigint) IS 'Seeded hash of the hash operator class.';

CREATE OPERATOR CLASS storesync.idempotency_key_ops
	DEFAULT FOR TYPE storesync.idempotency_key USING btree AS
	OPERATOR 1 storesync.<,
	OPERATOR 2 storesync.<=,
	OPERATOR 3 storesync.=,
	OPERATOR 4 storesync.>=,
	OPERATOR 5 storesync.>,
	FUNCTION 1 storesync.idempotency_key_cmp(storesync.idempotency_key, storesync.idempotency_key),
	FUNCTION 2 storesync.idempotency_key_sortsupport(internal),
	FUNCTION 4 pg_catalog.btequalimage(oid);
COMMENT ON OPERATOR CLASS storesync.idempotency_key_ops USING btree IS 'Keys in the order of their time.';
CREATE OPERATOR CLASS storesync.idempotency_key_ops
	DEFAULT FOR TYPE storesync.idempotency_key USING hash AS
	OPERATOR 1 storesync.=,
	FUNCTION 1 storesync.idempotency_key_hash(storesync.idempotency_key),
	FUNCTION 2 storesync.idempotency_key_hash_extended(storesync.idempotency_key, bigint);
COMMENT ON OPERATOR CLASS storesync.idempotency_key_ops USING hash IS 'Equality of keys by hash.';

CREATE FUNCTION storesync.derive_key(event_time timestamptz, VARIADIC parts text[]) RETURNS storesync.idempotency_key
	AS 'MODULE_PATHNAME', 'derive_key' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION storesync.derive_key(timestamptz, text[]) IS
'The idempotency key of a fact: whoever derives it again from the same time (to the millisecond) and the same parts, in any database, encoding or version, gets the same key. Parts are told apart by their lengths: (''ab'',''c'') is not (''a'',''bc''). Errors: 22004 the time or a part is null, 22008 event_time before 1970, after 10889 or infinite, 22021 a part is no valid text, 22023 no parts, 54000 more than 100 parts or 1 MB. Example: SELECT storesync.derive_key(''2024-05-01 10:00+08'', ''stocktake'', ''main'', ''SKU-1'');';

CREATE FUNCTION storesync.new_key() RETURNS storesync.idempotency_key
	AS 'MODULE_PATHNAME', 'new_key' LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION storesync.new_key() IS
'A key that was never there before: the present millisecond and 80 bits from a strong random source. Keep it with the request, so that a retry carries the same one. Example: SELECT storesync.new_key();';

CREATE FUNCTION storesync.key_time(key storesync.idempotency_key) RETURNS timestamptz
	AS 'MODULE_PATHNAME', 'idempotency_key_time' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION storesync.key_time(storesync.idempotency_key) IS
'When the key says its operation happened, in whole milliseconds. Example: SELECT storesync.key_time(storesync.new_key());';
