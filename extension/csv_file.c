/*
 * csv_file.c
 *		The file of csv_load(): a large object, its size, its encoding (csv_file.h).
 *
 * Whatever it holds is the caller's: it is bounded first, made text of the
 * server's encoding next, and only then looked into.
 */
#include "storesync.h"

#include "catalog/namespace.h"
#include "mb/pg_wchar.h"
#include "utils/fmgrprotos.h"

#include "csv_file.h"

#define MAX_BYTES			(64 * 1024 * 1024)
#define MAX_ROWS			200000
/* Bytes converted at once: a character may be cut at their end. */
#define CHUNK_BYTES			65536

bytea *
csv_take_object(Oid file)
{
	bytea	   *data;

	data = DatumGetByteaPP(DirectFunctionCall3(be_lo_get_fragment, ObjectIdGetDatum(file), Int64GetDatum(0),
											   Int32GetDatum(MAX_BYTES + 1)));
	if (VARSIZE_ANY_EXHDR(data) > MAX_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("file is too large"),
				 errdetail("A file has up to %d bytes.", MAX_BYTES),
				 errhint("Cut it in several, each with the header.")));
	(void) DirectFunctionCall1(be_lo_unlink, ObjectIdGetDatum(file));
	return data;
}

int
csv_encoding(const char *name)
{
	int			encoding = pg_char_to_encoding(name);

	if (encoding != PG_UTF8 && encoding != PG_BIG5)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("encoding \"%s\" of a file is not known", name),
				 errhint("Encodings are UTF8 and BIG5.")));
	return encoding;
}

/* bad_byte raises 22021 for the byte at which a file is not what it should be. */
static void
bad_byte(const char *what, const char *data, int length, int at)
{
	bool		utf16 = length >= 2 && (memcmp(data, "\xFF\xFE", 2) == 0 || memcmp(data, "\xFE\xFF", 2) == 0);

	ereport(ERROR,
			(errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
			 errmsg("file is not valid %s", what),
			 errdetail("Byte %d, counted from 0, is 0x%02x.", at, (unsigned char) data[at]),
			 utf16 ? errhint("It seems to be UTF-16. Save it as \"CSV UTF-8\".") : 0));
}

/* convert makes text of the server's encoding of `length` bytes in another; returns how many of them were good. */
static int
convert(int encoding, const char *data, int length, char **text, size_t *converted)
{
	int			server = GetDatabaseEncoding();
	Oid			function = FindDefaultConversionProc(encoding, server);
	int			at = 0;

	if (!OidIsValid(function))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("text in %s cannot be converted to %s", pg_encoding_to_char(encoding), pg_encoding_to_char(server))));
	*text = MemoryContextAllocHuge(CurrentMemoryContext, (Size) length * MAX_CONVERSION_GROWTH + 1);
	*converted = 0;
	while (at < length)
	{
		int			chunk = Min(length - at, CHUNK_BYTES);
		int			done = pg_do_encoding_conversion_buf(function, encoding, server, (unsigned char *) unconstify(char *, data) + at, chunk,
														 (unsigned char *) *text + *converted, chunk * MAX_CONVERSION_GROWTH + 1, true);

		if (done == 0)
			break;
		at += done;
		*converted += strlen(*text + *converted);
	}
	return at;
}

/* to_text reads bytes as one encoding; returns how many of them were good. */
static int
to_text(int encoding, const char *data, int length, char **text, size_t *converted)
{
	int			good = pg_encoding_verifymbstr(encoding, data, length);

	if (good < length)
		return good;
	/* a database without an encoding holds what comes */
	if (encoding != GetDatabaseEncoding() && !(GetDatabaseEncoding() == PG_SQL_ASCII && encoding == PG_UTF8))
		return convert(encoding, data, length, text, converted);
	*text = palloc((Size) length + 1);
	memcpy(*text, data, length);
	*converted = length;
	return length;
}

/* decode hands the reader the file as text of the server's encoding, without the mark that it may begin with; returns the one it has. */
static int
decode(const bytea *file, int said, CsvReader *reader)
{
	const char *data = VARDATA_ANY(file);
	int			length = VARSIZE_ANY_EXHDR(file);
	int			mark = length >= 3 && memcmp(data, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
	int			encoding = said == PG_BIG5 ? PG_BIG5 : PG_UTF8;
	int			good = -1;
	char	   *text = NULL;
	size_t		converted = 0;

	if (said != PG_BIG5)
		good = to_text(PG_UTF8, data + mark, length - mark, &text, &converted) + mark;
	if (said != PG_UTF8 && good < length)
	{
		encoding = PG_BIG5;
		good = Max(good, to_text(PG_BIG5, data, length, &text, &converted));
	}
	if (good < length)
		bad_byte(said == PG_BIG5 ? "Big5" : said == PG_UTF8 ? "UTF-8" : "UTF-8 or Big5", data, length, good);
	csv_begin(reader, text, converted);
	return encoding;
}

/* check_size finds files that are too long, or broken at their end, before anything of them is written. */
static void
check_size(const CsvReader *whole)
{
	char	   *copy = MemoryContextAllocHuge(CurrentMemoryContext, whole->length + 1);
	CsvReader	reader;
	CsvResult	result;
	int			records = 0;

	memcpy(copy, whole->data, whole->length);
	csv_begin(&reader, copy, whole->length);
	while ((result = csv_next(&reader)) == CSV_RECORD && records <= MAX_ROWS + 1)
		records++;
	if (result == CSV_UNCLOSED)
		ereport(ERROR,
				(errcode(ERRCODE_BAD_COPY_FILE_FORMAT),
				 errmsg("a quote on line %lld is never closed", (long long) reader.record_line)));
	if (records > MAX_ROWS + 1)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("file has too many rows"),
				 errdetail("A file has up to %d rows and its header.", MAX_ROWS),
				 errhint("Cut it in several, each with the header.")));
	pfree(copy);
}

int
csv_open(const bytea *file, int said, CsvReader *reader)
{
	int			encoding = decode(file, said, reader);

	check_size(reader);
	return encoding;
}
