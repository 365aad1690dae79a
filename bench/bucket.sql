-- What a user would write instead of rate_take: a token bucket in a row, and nothing that forbids the call.
CREATE SCHEMA bucket;
CREATE TABLE bucket.budget (
	store_id int PRIMARY KEY,
	rate float8 NOT NULL,       -- tokens a second
	burst float8 NOT NULL,
	tokens float8 NOT NULL,
	at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50);
INSERT INTO bucket.budget SELECT i, 1000000, 1000, 1000 FROM generate_series(1, 12) i;

CREATE FUNCTION bucket.take(wanted int) RETURNS interval LANGUAGE plpgsql AS $$
DECLARE
	b bucket.budget;
	seen timestamptz;
BEGIN
	SELECT * INTO b FROM bucket.budget WHERE store_id = wanted FOR UPDATE;
	seen := clock_timestamp();
	b.tokens := least(b.burst, b.tokens + b.rate * extract(epoch FROM seen - b.at));
	IF b.tokens < 1 THEN
		RETURN make_interval(secs => (1 - b.tokens) / b.rate);
	END IF;
	UPDATE bucket.budget SET tokens = b.tokens - 1, at = seen WHERE store_id = wanted;
	RETURN '0';
END
$$;

-- Processor time of this session so far, in nanoseconds (Linux).
CREATE FUNCTION bucket.cpu_ns() RETURNS bigint LANGUAGE sql VOLATILE AS
$$SELECT split_part(pg_read_file('/proc/self/schedstat', 0, 100), ' ', 1)::bigint$$;

-- Processor time of one evaluation of an expression inside a query, in nanoseconds.
CREATE FUNCTION bucket.cost_ns(expression text, calls int) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
	before bigint := bucket.cpu_ns();
BEGIN
	EXECUTE format('SELECT count(%s) FROM generate_series(1, %s)', expression, calls);
	RETURN (bucket.cpu_ns() - before) / calls::float8;
END
$$;
