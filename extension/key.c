/*
 * key.c
 *		Type idempotency_key: text and binary form, order, hash, and how a key
 *		is derived from a fact.
 *
 * The derivation is a promise: the same fact gives the same key on every
 * platform, in every encoding and version. Nothing here may depend on byte
 * order, locale or the width of a type.
 */
#include "storesync.h"

#include <openssl/evp.h>

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "datatype/timestamp.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "port/pg_bswap.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/sortsupport.h"

#include "key.h"

/* 26 digits of 5 bits hold 130; the first one carries only 3 of the 128. */
#define KEY_DIGITS			26
#define KEY_FIRST_DIGIT_MAX	7
#define SHA256_BYTES		32

/* What names a fact is short; more is a mistake that would cost time and memory. */
#define KEY_MAX_PARTS		100
#define KEY_MAX_PART_BYTES	(1024 * 1024)	/* of all parts together, in the server's encoding */

#define EPOCH_OFFSET		((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)
#define USECS_PER_MS		INT64CONST(1000)
#define KEY_MAX_MS			((INT64CONST(1) << 48) - 1)
#define KEY_MIN_TIME		(-EPOCH_OFFSET)
#define KEY_MAX_TIME		(KEY_MAX_MS * USECS_PER_MS + (USECS_PER_MS - 1) - EPOCH_OFFSET)

static const char key_alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

PG_FUNCTION_INFO_V1(idempotency_key_in);
PG_FUNCTION_INFO_V1(idempotency_key_out);
PG_FUNCTION_INFO_V1(idempotency_key_recv);
PG_FUNCTION_INFO_V1(idempotency_key_send);
PG_FUNCTION_INFO_V1(idempotency_key_eq);
PG_FUNCTION_INFO_V1(idempotency_key_ne);
PG_FUNCTION_INFO_V1(idempotency_key_lt);
PG_FUNCTION_INFO_V1(idempotency_key_le);
PG_FUNCTION_INFO_V1(idempotency_key_gt);
PG_FUNCTION_INFO_V1(idempotency_key_ge);
PG_FUNCTION_INFO_V1(idempotency_key_cmp);
PG_FUNCTION_INFO_V1(idempotency_key_sortsupport);
PG_FUNCTION_INFO_V1(idempotency_key_hash);
PG_FUNCTION_INFO_V1(idempotency_key_hash_extended);
PG_FUNCTION_INFO_V1(derive_key);
PG_FUNCTION_INFO_V1(new_key);
PG_FUNCTION_INFO_V1(idempotency_key_time);

/* ---------------------------------------------------------------- text and binary form */

/*
 * digit_value returns the five bits that a character stands for, -1 for none.
 * As Crockford has it, either case counts, I and L read as 1 and O as 0; U is
 * no digit.
 */
static int
digit_value(char c)
{
	const char *found;

	if (c >= 'a' && c <= 'z')
		c -= 'a' - 'A';
	if (c == 'I' || c == 'L')
		return 1;
	if (c == 'O')
		return 0;
	found = c == '\0' ? NULL : strchr(key_alphabet, c);
	return found == NULL ? -1 : (int) (found - key_alphabet);
}

/* key_parse reads exactly 26 digits; false when the text is anything else. */
static bool
key_parse(const char *text, IdempotencyKey *key)
{
	uint64		high = 0;
	uint64		low = 0;

	if (strlen(text) != KEY_DIGITS || digit_value(text[0]) > KEY_FIRST_DIGIT_MAX)
		return false;
	for (int i = 0; i < KEY_DIGITS; i++)
	{
		int			value = digit_value(text[i]);

		if (value < 0)
			return false;
		high = (high << 5) | (low >> 59);
		low = (low << 5) | (uint64) value;
	}
	high = pg_hton64(high);
	low = pg_hton64(low);
	memcpy(key->bytes, &high, sizeof(high));
	memcpy(key->bytes + sizeof(high), &low, sizeof(low));
	return true;
}

Datum
idempotency_key_in(PG_FUNCTION_ARGS)
{
	const char *text = PG_GETARG_CSTRING(0);
	IdempotencyKey *key = palloc(sizeof(IdempotencyKey));

	if (!key_parse(text, key))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type %s: \"%s\"", "idempotency_key", text),
				 errdetail("A key is %d digits of Crockford base32, the first from 0 to %d.",
						   KEY_DIGITS, KEY_FIRST_DIGIT_MAX)));
	PG_RETURN_IDEMPOTENCY_KEY_P(key);
}

Datum
idempotency_key_out(PG_FUNCTION_ARGS)
{
	const IdempotencyKey *key = PG_GETARG_IDEMPOTENCY_KEY_P(0);
	char	   *text = palloc(KEY_DIGITS + 1);
	uint64		high;
	uint64		low;

	memcpy(&high, key->bytes, sizeof(high));
	memcpy(&low, key->bytes + sizeof(high), sizeof(low));
	high = pg_ntoh64(high);
	low = pg_ntoh64(low);
	text[KEY_DIGITS] = '\0';
	for (int i = KEY_DIGITS - 1; i >= 0; i--)
	{
		text[i] = key_alphabet[low & 31];
		low = (low >> 5) | (high << 59);
		high >>= 5;
	}
	PG_RETURN_CSTRING(text);
}

Datum
idempotency_key_recv(PG_FUNCTION_ARGS)
{
	StringInfo	message = (StringInfo) PG_GETARG_POINTER(0);
	IdempotencyKey *key = palloc(sizeof(IdempotencyKey));

	pq_copymsgbytes(message, (char *) key->bytes, KEY_BYTES);
	PG_RETURN_IDEMPOTENCY_KEY_P(key);
}

Datum
idempotency_key_send(PG_FUNCTION_ARGS)
{
	const IdempotencyKey *key = PG_GETARG_IDEMPOTENCY_KEY_P(0);
	StringInfoData message;

	pq_begintypsend(&message);
	pq_sendbytes(&message, (const char *) key->bytes, KEY_BYTES);
	PG_RETURN_BYTEA_P(pq_endtypsend(&message));
}

/* ---------------------------------------------------------------- order and hash */

int
key_compare(const IdempotencyKey *a, const IdempotencyKey *b)
{
	return memcmp(a->bytes, b->bytes, KEY_BYTES);
}

static inline int
compare_arguments(FunctionCallInfo fcinfo)
{
	return key_compare(PG_GETARG_IDEMPOTENCY_KEY_P(0), PG_GETARG_IDEMPOTENCY_KEY_P(1));
}

Datum
idempotency_key_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) == 0);
}

Datum
idempotency_key_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) != 0);
}

Datum
idempotency_key_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) < 0);
}

Datum
idempotency_key_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) <= 0);
}

Datum
idempotency_key_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) > 0);
}

Datum
idempotency_key_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) >= 0);
}

Datum
idempotency_key_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(compare_arguments(fcinfo));
}

static int
compare_full(Datum a, Datum b, SortSupport ssup)
{
	return key_compare(DatumGetIdempotencyKeyP(a), DatumGetIdempotencyKeyP(b));
}

#if SIZEOF_DATUM == 8

/* abbreviate_key: the first half of a key as a number; ties are compared in full. */
static Datum
abbreviate_key(Datum original, SortSupport ssup)
{
	uint64		high;

	memcpy(&high, DatumGetIdempotencyKeyP(original)->bytes, sizeof(high));
	return UInt64GetDatum(pg_ntoh64(high));
}

static int
compare_abbreviated(Datum a, Datum b, SortSupport ssup)
{
	return (a > b) - (a < b);
}

/* keep_abbreviating: a millisecond and 16 bits of hash nearly always tell keys apart. */
static bool
keep_abbreviating(int count, SortSupport ssup)
{
	return false;
}

#endif

Datum
idempotency_key_sortsupport(PG_FUNCTION_ARGS)
{
	SortSupport ssup = (SortSupport) PG_GETARG_POINTER(0);

	ssup->comparator = compare_full;
#if SIZEOF_DATUM == 8
	if (ssup->abbreviate)
	{
		ssup->comparator = compare_abbreviated;
		ssup->abbrev_converter = abbreviate_key;
		ssup->abbrev_abort = keep_abbreviating;
		ssup->abbrev_full_comparator = compare_full;
	}
#endif
	PG_RETURN_VOID();
}

Datum
idempotency_key_hash(PG_FUNCTION_ARGS)
{
	return hash_any(PG_GETARG_IDEMPOTENCY_KEY_P(0)->bytes, KEY_BYTES);
}

Datum
idempotency_key_hash_extended(PG_FUNCTION_ARGS)
{
	return hash_any_extended(PG_GETARG_IDEMPOTENCY_KEY_P(0)->bytes, KEY_BYTES, PG_GETARG_INT64(1));
}

/* ---------------------------------------------------------------- time */

/* put_time writes the 48 bits of a moment's millisecond; raises 22008 outside of what they hold. */
static void
put_time(IdempotencyKey *key, TimestampTz at)
{
	uint64		ms;

	if (at < KEY_MIN_TIME || at > KEY_MAX_TIME)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("time of an idempotency key is out of range"),
				 errdetail("It lies between the years 1970 and 10889.")));
	ms = (uint64) ((at + EPOCH_OFFSET) / USECS_PER_MS);
	for (int i = KEY_TIME_BYTES - 1; i >= 0; i--)
	{
		key->bytes[i] = (uint8) (ms & 0xFF);
		ms >>= 8;
	}
}

TimestampTz
key_time(const IdempotencyKey *key)
{
	int64		ms = 0;

	for (int i = 0; i < KEY_TIME_BYTES; i++)
		ms = (ms << 8) | key->bytes[i];
	return ms * USECS_PER_MS - EPOCH_OFFSET;
}

void
key_floor(IdempotencyKey *key, TimestampTz at)
{
	memset(key->bytes, 0, KEY_BYTES);
	put_time(key, at);
}

void
key_check_age(const IdempotencyKey *key)
{
	TimestampTz at = key_time(key);

	ss_check_not_ahead("idempotency key", at);
	if (at < GetCurrentTimestamp() - (int64) ss_key_horizon * USECS_PER_SEC)
		ereport(ERROR,
				(errcode(SS_ERR_KEY_EXPIRED),
				 errmsg("idempotency key is older than storesync.key_horizon"),
				 errdetail("It is of %s.", timestamptz_to_str(at)),
				 errhint("An operation this old is not applied again; make a new key if it is a new one.")));
}

Datum
idempotency_key_time(PG_FUNCTION_ARGS)
{
	PG_RETURN_TIMESTAMPTZ(key_time(PG_GETARG_IDEMPOTENCY_KEY_P(0)));
}

/* ---------------------------------------------------------------- derivation */

/*
 * digest_parts hashes each part behind its length as four big-endian bytes,
 * so that ('ab','c') and ('a','bc') differ. The context is made once in each
 * process and keeps its algorithm, which costs more to look up than a key to
 * hash; starting it again forgets whatever an error left in it.
 */
static void
digest_parts(uint8 digest[SHA256_BYTES], int n, const char *const *parts, const int *lengths)
{
	static EVP_MD_CTX *context = NULL;
	static bool ready = false;
	bool		ok;

	if (context == NULL)
		context = EVP_MD_CTX_new();
	ok = context != NULL && EVP_DigestInit_ex(context, ready ? NULL : EVP_sha256(), NULL) == 1;
	ready = ok;
	for (int i = 0; ok && i < n; i++)
	{
		uint32		length = pg_hton32((uint32) lengths[i]);

		ok = EVP_DigestUpdate(context, &length, sizeof(length)) == 1 &&
			EVP_DigestUpdate(context, parts[i], (size_t) lengths[i]) == 1;
	}
	if (!ok || EVP_DigestFinal_ex(context, digest, NULL) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not compute SHA-256")));
}

uint64
ss_fingerprint(int n, const char *const *parts, const int *lengths)
{
	uint8		digest[SHA256_BYTES];
	uint64		first;

	digest_parts(digest, n, parts, lengths);
	memcpy(&first, digest, sizeof(first));
	return pg_ntoh64(first);
}

void
key_derive(IdempotencyKey *key, TimestampTz event, int n,
		   const char *const *parts, const int *lengths)
{
	uint8		digest[SHA256_BYTES];

	put_time(key, event);
	if (GetDatabaseEncoding() == PG_UTF8)
		digest_parts(digest, n, parts, lengths);
	else
	{
		const char **utf8 = palloc(sizeof(char *) * n);
		int		   *utf8_lengths = palloc(sizeof(int) * n);

		for (int i = 0; i < n; i++)
		{
			utf8[i] = pg_server_to_any(parts[i], lengths[i], PG_UTF8);
			utf8_lengths[i] = utf8[i] == parts[i] ? lengths[i] : (int) strlen(utf8[i]);
		}
		digest_parts(digest, n, utf8, utf8_lengths);
		pfree(utf8);
		pfree(utf8_lengths);
	}
	memcpy(key->bytes + KEY_TIME_BYTES, digest, KEY_BYTES - KEY_TIME_BYTES);
}

/* take_parts points to the texts of an array without nulls. */
static int
take_parts(ArrayType *array, const char ***parts, int **lengths)
{
	Datum	   *elements;
	int64		bytes = 0;
	int			n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));

	if (n > KEY_MAX_PARTS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("cannot derive an idempotency key from more than %d parts", KEY_MAX_PARTS)));
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, NULL, &n);
	*parts = palloc(sizeof(char *) * n);
	*lengths = palloc(sizeof(int) * n);
	for (int i = 0; i < n; i++)
	{
		const text *part = DatumGetTextPP(elements[i]);

		(*parts)[i] = VARDATA_ANY(part);
		(*lengths)[i] = (int) VARSIZE_ANY_EXHDR(part);
		bytes += (*lengths)[i];
	}
	if (bytes > KEY_MAX_PART_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("cannot derive an idempotency key from more than %d bytes", KEY_MAX_PART_BYTES),
				 errhint("Hash a long part first.")));
	return n;
}

/*
 * derive_key(event_time timestamptz, VARIADIC parts text[])
 */
Datum
derive_key(PG_FUNCTION_ARGS)
{
	ArrayType  *array;
	IdempotencyKey *key = palloc(sizeof(IdempotencyKey));
	const char **parts;
	int		   *lengths;
	int			n;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("time and parts of an idempotency key must not be null")));
	array = PG_GETARG_ARRAYTYPE_P(1);
	if (array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("part of an idempotency key must not be null")));
	if (ARR_NDIM(array) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("idempotency key needs a list of at least one part")));
	n = take_parts(array, &parts, &lengths);
	key_derive(key, PG_GETARG_TIMESTAMPTZ(0), n, parts, lengths);
	PG_RETURN_IDEMPOTENCY_KEY_P(key);
}

/*
 * new_key()
 */
Datum
new_key(PG_FUNCTION_ARGS)
{
	IdempotencyKey *key = palloc(sizeof(IdempotencyKey));

	put_time(key, GetCurrentTimestamp());
	if (!pg_strong_random(key->bytes + KEY_TIME_BYTES, KEY_BYTES - KEY_TIME_BYTES))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random bytes")));
	PG_RETURN_IDEMPOTENCY_KEY_P(key);
}
