/*
 * delay.c
 *		Type histogram, and its functions: how long orders took, in
 *		milliseconds, one value for all orders of a platform and day.
 *
 * Buckets and packing are histogram.c's. As text: the least value of each
 * bucket that is not empty and its count, as in '120:3 128:1'.
 */
#include "storesync.h"

#include "common/int.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "utils/builtins.h"

#include "histogram.h"

PG_FUNCTION_INFO_V1(histogram_in);
PG_FUNCTION_INFO_V1(histogram_out);
PG_FUNCTION_INFO_V1(histogram_recv);
PG_FUNCTION_INFO_V1(histogram_send);
PG_FUNCTION_INFO_V1(delay_count);
PG_FUNCTION_INFO_V1(delay_percentile);
PG_FUNCTION_INFO_V1(delay_sum_step);
PG_FUNCTION_INFO_V1(delay_histogram_step);
PG_FUNCTION_INFO_V1(delay_final);

/* ---------------------------------------------------------------- the type */

static bytea *
pack(const Histogram *histogram)
{
	uint8_t    *packed = palloc(HISTOGRAM_PACKED);
	size_t		length = histogram_pack(histogram, packed);
	bytea	   *result = palloc(VARHDRSZ + length);

	SET_VARSIZE(result, VARHDRSZ + length);
	memcpy(VARDATA(result), packed, length);
	pfree(packed);
	return result;
}

static void
unpack(const bytea *packed, Histogram *histogram)
{
	if (!histogram_unpack((const uint8_t *) VARDATA_ANY(packed), VARSIZE_ANY_EXHDR(packed), histogram))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("invalid value of type %s", "histogram")));
}

static void
raise_too_large(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("count of a histogram out of range")));
}

/* read_number reads digits at *p and moves it behind them; false without a digit, or with too many. */
static bool
read_number(const char **p, int64 *number)
{
	const char *digit = *p;

	for (*number = 0; *digit >= '0' && *digit <= '9'; digit++)
		if (pg_mul_s64_overflow(*number, 10, number) || pg_add_s64_overflow(*number, *digit - '0', number))
			return false;
	if (digit == *p)
		return false;
	*p = digit;
	return true;
}

/* parse reads pairs ms:count with spaces between them, in any order. */
static bool
parse(const char *p, Histogram *histogram)
{
	memset(histogram, 0, sizeof(Histogram));
	for (;;)
	{
		int64		ms;
		int64		count;
		int64	   *sum;

		while (*p == ' ')
			p++;
		if (*p == '\0')
			return true;
		if (!read_number(&p, &ms) || *p++ != ':' || !read_number(&p, &count) || (*p != ' ' && *p != '\0'))
			return false;
		sum = &histogram->counts[histogram_bucket(ms)];
		if (pg_add_s64_overflow(*sum, count, sum))
			return false;
	}
}

Datum
histogram_in(PG_FUNCTION_ARGS)
{
	const char *text = PG_GETARG_CSTRING(0);
	Histogram	histogram;

	if (!parse(text, &histogram))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid value for type %s: \"%s\"", "histogram", text),
				 errdetail("A histogram is pairs of milliseconds and count, as in \"120:3 128:1\".")));
	PG_RETURN_BYTEA_P(pack(&histogram));
}

Datum
histogram_out(PG_FUNCTION_ARGS)
{
	Histogram	histogram;
	StringInfoData text;

	unpack(PG_GETARG_BYTEA_PP(0), &histogram);
	initStringInfo(&text);
	for (int i = 0; i < HISTOGRAM_BUCKETS; i++)
		if (histogram.counts[i] > 0)
			appendStringInfo(&text, "%s%lld:%lld", text.len > 0 ? " " : "",
							 (long long) histogram_low(i), (long long) histogram.counts[i]);
	PG_RETURN_CSTRING(text.data);
}

Datum
histogram_recv(PG_FUNCTION_ARGS)
{
	StringInfo	message = (StringInfo) PG_GETARG_POINTER(0);
	int			length = message->len - message->cursor;
	Histogram	histogram;

	if (!histogram_unpack((const uint8_t *) pq_getmsgbytes(message, length), length, &histogram))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid binary value for type %s", "histogram")));
	PG_RETURN_BYTEA_P(pack(&histogram));
}

Datum
histogram_send(PG_FUNCTION_ARGS)
{
	bytea	   *packed = PG_GETARG_BYTEA_PP(0);
	StringInfoData message;

	pq_begintypsend(&message);
	pq_sendbytes(&message, VARDATA_ANY(packed), VARSIZE_ANY_EXHDR(packed));
	PG_RETURN_BYTEA_P(pq_endtypsend(&message));
}

/* ---------------------------------------------------------------- questions */

/* delay_count(histogram): how many orders it counts. */
Datum
delay_count(PG_FUNCTION_ARGS)
{
	Histogram	histogram;

	unpack(PG_GETARG_BYTEA_PP(0), &histogram);
	PG_RETURN_INT64(histogram_count(&histogram));
}

/* delay_percentile(histogram, fraction): milliseconds, NULL of an empty one. */
Datum
delay_percentile(PG_FUNCTION_ARGS)
{
	double		fraction = PG_GETARG_FLOAT8(1);
	Histogram	histogram;
	int64		ms;

	if (!(fraction >= 0 && fraction <= 1))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("percentile value %g is not between 0 and 1", fraction)));
	unpack(PG_GETARG_BYTEA_PP(0), &histogram);
	if (!histogram_percentile(&histogram, fraction, &ms))
		PG_RETURN_NULL();
	PG_RETURN_INT64(ms);
}

/* ---------------------------------------------------------------- aggregates */

/* sum_of returns the state of an aggregate, made with the first row. */
static Histogram *
sum_of(FunctionCallInfo fcinfo)
{
	MemoryContext context;

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "aggregate function called in non-aggregate context");
	if (!PG_ARGISNULL(0))
		return (Histogram *) PG_GETARG_POINTER(0);
	return MemoryContextAllocZero(context, sizeof(Histogram));
}

/* delay_sum_step(state, histogram): step of delay_sum(). */
Datum
delay_sum_step(PG_FUNCTION_ARGS)
{
	Histogram  *sum = sum_of(fcinfo);
	Histogram	histogram;

	if (PG_ARGISNULL(1))
		PG_RETURN_POINTER(sum);
	unpack(PG_GETARG_BYTEA_PP(1), &histogram);
	if (!histogram_add(sum, &histogram))
		raise_too_large();
	PG_RETURN_POINTER(sum);
}

/* delay_histogram_step(state, ms): step of delay_histogram(). */
Datum
delay_histogram_step(PG_FUNCTION_ARGS)
{
	Histogram  *sum = sum_of(fcinfo);

	if (!PG_ARGISNULL(1))
		sum->counts[histogram_bucket(PG_GETARG_INT64(1))]++;
	PG_RETURN_POINTER(sum);
}

/* delay_final(state): what both aggregates return, NULL of no rows. */
Datum
delay_final(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_BYTEA_P(pack((Histogram *) PG_GETARG_POINTER(0)));
}
