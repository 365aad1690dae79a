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

CREATE FUNCTION storesync.rate_take(store int, cost int DEFAULT 1) RETURNS interval
	AS 'MODULE_PATHNAME', 'rate_take' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION storesync.rate_take(int, int) IS
'Take cost calls from the budget of a store: its own limit, that of its application at the platform and storesync.total_rate_limit, from all or from none. The dispatcher takes from the same budget. Zero: granted, make the call now. Otherwise how long to wait before asking again; nothing was taken. What is taken stays taken when the transaction aborts. Errors: SS002 unknown store, 22004 null, 22023 cost below 1 or above the smallest burst, 25006 on a standby, SS401 not preloaded, SS402 no room in shared memory. Example: SELECT storesync.rate_take(1);';

CREATE FUNCTION storesync.rate_hold(store int, wait interval) RETURNS void
	AS 'MODULE_PATHNAME', 'rate_hold' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION storesync.rate_hold(int, interval) IS
'A platform has throttled a store: grant it no call for wait (0 to 24 hours), then one, then half the rate that it had, not below a tenth of its limit; rate_succeeded brings the rate back, and so does an hour without a throttle. A shorter hold never ends a longer one, and a store that is held already is not slowed again. For applications that call by themselves and were told to slow down; the dispatcher does the same for its own calls. Errors: as rate_take, 22023 wait out of range. Example: SELECT storesync.rate_hold(1, ''30 seconds'');';

CREATE FUNCTION storesync.rate_succeeded(store int, calls int DEFAULT 1) RETURNS void
	AS 'MODULE_PATHNAME', 'rate_succeed' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION storesync.rate_succeeded(int, int) IS
'Calls of a store went well: after a throttle each gives back a hundredth of the store''s limit, until all of it is used again. For applications that use rate_hold; the dispatcher does the same for its own calls. Without effect on a store that is not slowed. Errors: as rate_take, 22023 calls below 1. Example: SELECT storesync.rate_succeeded(1);';

CREATE FUNCTION storesync.rate_quota(store int) RETURNS timestamptz
	AS 'MODULE_PATHNAME', 'rate_quota' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION storesync.rate_quota(int) IS
'A platform says that the day''s calls are used up: grant none until its next platform.quota_reset, to the store or, as platform.quota_scope says, to all stores of the application. Returns the end. For applications that call by themselves; the dispatcher does the same for its own calls. Not remembered over a restart. Errors: as rate_take. Example: SELECT storesync.rate_quota(1);';

CREATE FUNCTION storesync.rate_forget_answers(store int) RETURNS void
	AS 'MODULE_PATHNAME', 'rate_forget' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION storesync.rate_forget_answers(int) IS 'The part of rate_forget() in shared memory.';

CREATE FUNCTION storesync.rate_forget(store int DEFAULT NULL) RETURNS void
	LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT storesync.rate_forget_answers($1);
	SELECT storesync.outbox_add('store', array_agg(s.store_id::bigint))
	FROM storesync.store s
	WHERE $1 IS NULL OR s.platform = (SELECT t.platform FROM storesync.store t WHERE t.store_id = $1)
	HAVING count(*) > 0
$$;
COMMENT ON FUNCTION storesync.rate_forget(int) IS
'Forget what platforms answered: a store (NULL: every store of the database) uses its whole limit again, and its quota, or its application''s, does not count as used up; the dispatcher goes on at once. Limits and holds stay. For an operator to whom the platform has granted more. Errors: as rate_take. Example: SELECT storesync.rate_forget(1);';

CREATE FUNCTION storesync.rate_room() RETURNS int
	AS 'MODULE_PATHNAME', 'rate_room' LANGUAGE C VOLATILE PARALLEL RESTRICTED;
COMMENT ON FUNCTION storesync.rate_room() IS
'For how many more stores, of all databases, there is room in shared memory (storesync.max_stores); NULL when storesync is not preloaded. Example: SELECT storesync.rate_room();';

CREATE FUNCTION storesync.rate_reload() RETURNS void
	AS 'MODULE_PATHNAME', 'rate_reload' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION storesync.rate_reload() IS
'Have every session read the limits of this database again once the transaction ends. Changes by SQL do this by themselves. A transaction that called it cannot be prepared. Example: SELECT storesync.rate_reload();';

CREATE FUNCTION storesync.rate_limits_changed() RETURNS trigger
	AS 'MODULE_PATHNAME', 'rate_limits_changed' LANGUAGE C;
COMMENT ON FUNCTION storesync.rate_limits_changed() IS
'Statement trigger of the tables that hold limits: rate_reload().';

CREATE TRIGGER rate_limits_changed AFTER UPDATE OF rate_limit, platform OR DELETE OR TRUNCATE ON storesync.store
	FOR EACH STATEMENT EXECUTE FUNCTION storesync.rate_limits_changed();
CREATE TRIGGER rate_limits_changed AFTER UPDATE OF rate_limit, platform, quota_reset, quota_scope OR DELETE OR TRUNCATE ON storesync.platform
	FOR EACH STATEMENT EXECUTE FUNCTION storesync.rate_limits_changed();
-- also where rows arrive by logical replication
ALTER TABLE storesync.store ENABLE ALWAYS TRIGGER rate_limits_changed;
ALTER TABLE storesync.platform ENABLE ALWAYS TRIGGER rate_limits_changed;

CREATE FUNCTION storesync.rate_windows(missing_ok boolean DEFAULT false,
		OUT scope text, OUT store_id int, OUT platform text, OUT calls int, OUT per interval, OUT burst int,
		OUT next_free_at timestamptz, OUT held_until timestamptz, OUT pace int, OUT effective float8,
		OUT slowed_since timestamptz, OUT quota_until timestamptz)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'rate_windows' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION storesync.rate_windows(boolean) IS
'The windows of all budgets of this database that were asked since the server started; view rate_status shows them. missing_ok: no rows instead of SS401 when storesync is not preloaded. Example: SELECT * FROM storesync.rate_windows();';

CREATE VIEW storesync.rate_status AS
SELECT w.scope, w.store_id, w.platform, w.calls, w.per, w.burst, w.next_free_at, w.held_until,
	w.pace, w.effective, w.slowed_since, w.quota_until
FROM storesync.rate_windows() w;
COMMENT ON VIEW storesync.rate_status IS
'Every window of the call budgets that were asked since the server started. scope: store, application (of the platform) or database (storesync.total_rate_limit). calls per interval, with burst: as configured. next_free_at: from when this window grants a call, in the past while it is free. held_until: end of a throttle, NULL without one. pace: percent of the limit that is used after throttles, effective: calls per interval at that pace, slowed_since: since when it is below 100, else NULL. quota_until: the day''s calls are used up until then, NULL when they are not.';

-- An earlier installation in this database may have left limits and answers in memory.
SELECT storesync.rate_reload();
SELECT storesync.rate_forget_answers(NULL);
