-- Histograms of lengths of time (docs/rollup.md); their bytes are histogram.c's.

CREATE TYPE storesync.histogram;
CREATE FUNCTION storesync.histogram_in(cstring) RETURNS storesync.histogram
	AS 'MODULE_PATHNAME', 'histogram_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION storesync.histogram_out(storesync.histogram) RETURNS cstring
	AS 'MODULE_PATHNAME', 'histogram_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION storesync.histogram_recv(internal) RETURNS storesync.histogram
	AS 'MODULE_PATHNAME', 'histogram_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION storesync.histogram_send(storesync.histogram) RETURNS bytea
	AS 'MODULE_PATHNAME', 'histogram_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE TYPE storesync.histogram (
	INPUT = storesync.histogram_in,
	OUTPUT = storesync.histogram_out,
	RECEIVE = storesync.histogram_recv,
	SEND = storesync.histogram_send,
	INTERNALLENGTH = VARIABLE,
	ALIGNMENT = int4,
	STORAGE = extended
);
COMMENT ON TYPE storesync.histogram IS
'How often each length of time in milliseconds occurred, within 0.8 %: some hundred bytes for any number of values. As text pairs of milliseconds and count: ''120:3 128:1''. Made by delay_histogram(), read by delay_percentile() and delay_count(), summed up by delay_sum().';

CREATE FUNCTION storesync.delay_count(histogram storesync.histogram) RETURNS bigint
	AS 'MODULE_PATHNAME', 'delay_count' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION storesync.delay_count(storesync.histogram) IS
'How many values a histogram counts. Example: SELECT storesync.delay_count(''120:3 128:1'');';

CREATE FUNCTION storesync.delay_percentile(histogram storesync.histogram, fraction double precision) RETURNS bigint
	AS 'MODULE_PATHNAME', 'delay_percentile' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION storesync.delay_percentile(storesync.histogram, double precision) IS
'Milliseconds at or below which that fraction (0 to 1) of a histogram''s values lie, as percentile_disc() has it, within 0.8 %, and exactly below 128; NULL of an empty one. Error 22003 for a fraction out of range. Example: SELECT storesync.delay_percentile(''120:3 128:1'', 0.95);';

CREATE FUNCTION storesync.delay_sum_step(internal, storesync.histogram) RETURNS internal
	AS 'MODULE_PATHNAME', 'delay_sum_step' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION storesync.delay_sum_step(internal, storesync.histogram) IS 'A step of delay_sum().';
CREATE FUNCTION storesync.delay_histogram_step(internal, bigint) RETURNS internal
	AS 'MODULE_PATHNAME', 'delay_histogram_step' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION storesync.delay_histogram_step(internal, bigint) IS 'A step of delay_histogram().';
CREATE FUNCTION storesync.delay_final(internal) RETURNS storesync.histogram
	AS 'MODULE_PATHNAME', 'delay_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION storesync.delay_final(internal) IS 'The end of delay_sum() and delay_histogram().';

CREATE AGGREGATE storesync.delay_sum(storesync.histogram) (
	SFUNC = storesync.delay_sum_step, STYPE = internal, SSPACE = 20000, FINALFUNC = storesync.delay_final, PARALLEL = SAFE);
COMMENT ON AGGREGATE storesync.delay_sum(storesync.histogram) IS
'One histogram of several; NULL of no rows. Error 22003 when a count passes 2^63. Example: SELECT storesync.delay_percentile(storesync.delay_sum(histogram), 0.99) FROM storesync.delay_day WHERE stage = ''booked'';';
CREATE AGGREGATE storesync.delay_histogram(bigint) (
	SFUNC = storesync.delay_histogram_step, STYPE = internal, SSPACE = 20000, FINALFUNC = storesync.delay_final, PARALLEL = SAFE);
COMMENT ON AGGREGATE storesync.delay_histogram(bigint) IS
'The histogram of lengths of time in milliseconds: NULL is left out, a negative one counts as 0; NULL of no rows. Example: SELECT storesync.delay_histogram(x) FROM generate_series(1, 1000) x;';
