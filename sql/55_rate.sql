-- Call limits: equality of the type, taking from a budget, what the budgets hold.

CREATE FUNCTION storesync.rate_limit_eq(storesync.rate_limit, storesync.rate_limit) RETURNS boolean
	AS 'MODULE_PATHNAME', 'rate_limit_eq' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION storesync.rate_limit_eq(storesync.rate_limit, storesync.rate_limit) IS 'Implementation of the = operator: same windows.';
CREATE FUNCTION storesync.rate_limit_ne(storesync.rate_limit, storesync.rate_limit) RETURNS boolean
	AS 'MODULE_PATHNAME', 'rate_limit_ne' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION storesync.rate_limit_ne(storesync.rate_limit, storesync.rate_limit) IS 'Implementation of the <> operator: different windows.';
CREATE OPERATOR storesync.= (
	LEFTARG = storesync.rate_limit, RIGHTARG = storesync.rate_limit,
	FUNCTION = storesync.rate_limit_eq,
	COMMUTATOR = OPERATOR(storesync.=), NEGATOR = OPERATOR(storesync.<>),
	RESTRICT = eqsel, JOIN = eqjoinsel
);
CREATE OPERATOR storesync.<> (
	LEFTARG = storesync.rate_limit, RIGHTARG = storesync.rate_limit,
	FUNCTION = storesync.rate_limit_ne,
	COMMUTATOR = OPERATOR(storesync.<>), NEGATOR = OPERATOR(storesync.=),
	RESTRICT = neqsel, JOIN = neqjoinsel
);
