/*
 * csv_load.c
 *		csv_load(): a CSV file that a client has left as a large object becomes
 *		rows of csv_row, each with what is wrong with its cells; what it would
 *		change is judged by sql/74_csv.sql. Nothing else is written.
 *
 * The large object is read and dropped as the caller, before anything is
 * done as the owner: nobody reads another's through this. Whatever the file
 * holds is the caller's: it is bounded first, made text of the server's
 * encoding next, and only then looked into.
 */
#include "storesync.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "libpq/be-fsstubs.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "csv.h"
#include "ledger.h"

PG_FUNCTION_INFO_V1(csv_load);

#define MAX_BYTES			(64 * 1024 * 1024)
#define MAX_ROWS			200000
/* Bytes converted at once: a character may be cut at their end. */
#define CHUNK_BYTES			65536

enum
{
	ARG_KIND, ARG_FILE, ARG_STORE, ARG_ENCODING, ARG_REFERENCE
};

/* A file on its way in. */
typedef struct CsvLoad
{
	int64		load_id;
	const CsvKind *kind;
	bytea	   *file;			/* as it came */
	int			encoding;		/* -1: not said; later the one that it has */
	bool		has_store;
	int32		store;
	text	   *reference;		/* NULL: none */
	CsvReader	reader;
	int			ncolumns;		/* of the header */
	int			places[CSV_MAX_CELLS];	/* of each cell in the kind's columns; -1: it is not read */
	bool		given[CSV_MAX_CELLS];	/* columns of the kind that the header has */
	int			rows;
} CsvLoad;

/* ---------------------------------------------------------------- the file */

/* take_object reads the caller's large object and drops it. */
static bytea *
take_object(Oid file)
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

static int
encoding_by_name(const char *name)
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

/* decode hands the reader the file as text of the server's encoding, without the mark that it may begin with. */
static void
decode(CsvLoad *load)
{
	const char *data = VARDATA_ANY(load->file);
	int			length = VARSIZE_ANY_EXHDR(load->file);
	int			mark = length >= 3 && memcmp(data, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
	int			said = load->encoding;
	int			good = -1;
	char	   *text = NULL;
	size_t		converted = 0;

	load->encoding = said == PG_BIG5 ? PG_BIG5 : PG_UTF8;
	if (said != PG_BIG5)
		good = to_text(PG_UTF8, data + mark, length - mark, &text, &converted) + mark;
	if (said != PG_UTF8 && good < length)
	{
		load->encoding = PG_BIG5;
		good = Max(good, to_text(PG_BIG5, data, length, &text, &converted));
	}
	if (good < length)
		bad_byte(said == PG_BIG5 ? "Big5" : said == PG_UTF8 ? "UTF-8" : "UTF-8 or Big5", data, length, good);
	csv_begin(&load->reader, text, converted);
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

/* ---------------------------------------------------------------- the header */

static void
bad_header(const CsvLoad *load, const char *message, const char *column)
{
	char		columns[1000];

	csv_columns(load->kind, columns, sizeof(columns));
	ereport(ERROR,
			(errcode(ERRCODE_BAD_COPY_FILE_FORMAT),
			 column != NULL ? errmsg_internal(message, column) : errmsg_internal("%s", message),
			 errdetail("Columns of kind \"%s\" are %s.", load->kind->name, columns)));
}

/* read_header takes the first record: columns in any order, none twice, none unknown, none missing that is required. */
static void
read_header(CsvLoad *load)
{
	CsvReader  *reader = &load->reader;

	if (csv_next(reader) != CSV_RECORD)
		bad_header(load, "file is empty", NULL);
	if (reader->stray)
		bad_header(load, "header has a quote inside a cell", NULL);
	if (reader->ncells > CSV_MAX_CELLS)
		bad_header(load, "header has too many columns", NULL);
	load->ncolumns = reader->ncells;
	for (int i = 0; i < reader->ncells; i++)
	{
		int			place = csv_column(load->kind, reader->cells[i]);

		if (place < 0)
			bad_header(load, "column \"%s\" is not known", reader->cells[i]);
		else if (load->given[place])
			bad_header(load, "column \"%s\" is there twice", reader->cells[i]);
		else
		{
			load->given[place] = true;
			load->places[i] = load->kind->columns[place].type == CSV_TOLD ? -1 : place;
		}
	}
	for (int i = 0; i < load->kind->ncolumns; i++)
		if (load->kind->columns[i].required && !load->given[i])
			bad_header(load, "column \"%s\" is missing", load->kind->columns[i].name);
}

/* ---------------------------------------------------------------- rows */

/* add_fault notes what is wrong with a cell; the cell is shown, cut where it is long. */
static void
add_fault(StringInfo faults, const CsvColumn *column, const char *cell, const char *fault)
{
	if (faults->len > 0)
		appendStringInfoString(faults, "; ");
	appendStringInfoString(faults, column->name);
	if (*cell != '\0')
		appendStringInfo(faults, " \"%.*s\"", pg_mbcliplen(cell, (int) strlen(cell), 40), cell);
	appendStringInfo(faults, " %s", fault);
}

/* read_cells puts the record's cells in the order of the kind's columns; an empty one is none. False: they are not told apart. */
static bool
read_cells(const CsvLoad *load, const char **cells, StringInfo faults)
{
	const CsvReader *reader = &load->reader;

	if (reader->stray)
	{
		appendStringInfoString(faults, "a quote stands inside a cell that does not begin with one, or text behind a closing one");
		return false;
	}
	if (reader->ncells != load->ncolumns)
	{
		appendStringInfo(faults, "the row has %d cells, the header %d", reader->ncells, load->ncolumns);
		return false;
	}
	for (int i = 0; i < load->ncolumns; i++)
	{
		const CsvColumn *column;
		const char *cell = reader->cells[i];
		const char *fault = NULL;

		if (load->places[i] < 0)
			continue;
		column = &load->kind->columns[load->places[i]];
		if (*cell != '\0')
			fault = csv_cell_fault(column, reader->cells[i]);
		else if (column->required)
			fault = "is empty";
		if (fault != NULL)
			add_fault(faults, column, cell, fault);
		else if (*cell != '\0' && column->type == CSV_BOOL)
			cell = *cell == 't' ? "true" : "false";
		if (*cell != '\0' && !(column->type == CSV_MODEL && strcmp(cell, "0") == 0))
			cells[load->places[i]] = cell;
	}
	return true;
}

/* fill_store has every row of a kind with stores name one. */
static void
fill_store(const CsvLoad *load, const char **cells, StringInfo faults)
{
	int			place = csv_column(load->kind, "store");
	const char *join = faults->len > 0 ? "; " : "";
	char		store[16];

	if (place < 0)
		return;
	pg_ltoa(load->store, store);
	if (cells[place] == NULL && load->has_store)
		cells[place] = pstrdup(store);
	else if (cells[place] == NULL)
		appendStringInfo(faults, "%sthe row names no store, and none was given for the file", join);
	else if (load->has_store && strcmp(cells[place], store) != 0)
		appendStringInfo(faults, "%sstore \"%s\" is not the one that was given for the file, %s", join, cells[place], store);
}

/* fill_reference has every row of a kind with references bear one. */
static void
fill_reference(const CsvLoad *load, const char **cells, StringInfo faults)
{
	int			place = csv_column(load->kind, "reference");

	if (place < 0 || cells[place] != NULL)
		return;
	if (load->reference != NULL)
		cells[place] = text_to_cstring(load->reference);
	else
		appendStringInfo(faults, "%sthe row has no reference, and none was given for the file", faults->len > 0 ? "; " : "");
}

static void
insert_row(const CsvLoad *load, const char *const *cells, const StringInfo faults)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID, INT4OID, TEXTARRAYOID, TEXTOID};
	Datum		texts[CSV_MAX_CELLS];
	bool		nulls[CSV_MAX_CELLS];
	int			ncells = load->kind->ncolumns;
	int			low = 1;
	Datum		values[4];

	for (int i = 0; i < ncells; i++)
	{
		nulls[i] = cells[i] == NULL;
		texts[i] = nulls[i] ? (Datum) 0 : CStringGetTextDatum(cells[i]);
	}
	values[0] = Int64GetDatum(load->load_id);
	values[1] = Int32GetDatum((int32) load->reader.record_line);
	values[2] = PointerGetDatum(construct_md_array(texts, nulls, 1, &ncells, &low, TEXTOID, -1, false, TYPALIGN_INT));
	values[3] = faults->len > 0 ? PointerGetDatum(cstring_to_text_with_len(faults->data, faults->len)) : (Datum) 0;
	ss_execute(&plan, "INSERT INTO storesync.csv_row (load_id, line, cells, fault) VALUES ($1, $2, $3, $4)",
			   SPI_OK_INSERT, 4, types, values, faults->len > 0 ? NULL : "   n", 0);
}

static void
read_rows(CsvLoad *load)
{
	MemoryContext row = AllocSetContextCreate(CurrentMemoryContext, "CSV row", ALLOCSET_SMALL_SIZES);
	MemoryContext before = MemoryContextSwitchTo(row);

	while (csv_next(&load->reader) == CSV_RECORD)
	{
		const char *cells[CSV_MAX_CELLS] = {NULL};
		StringInfoData faults;

		CHECK_FOR_INTERRUPTS();
		load->rows++;
		initStringInfo(&faults);
		if (read_cells(load, cells, &faults))
		{
			fill_store(load, cells, &faults);
			fill_reference(load, cells, &faults);
		}
		insert_row(load, cells, &faults);
		MemoryContextReset(row);
	}
	MemoryContextSwitchTo(before);
	MemoryContextDelete(row);
}

/* ---------------------------------------------------------------- csv_load */

/* begin makes the file's row, which has its number; old files go. */
static void
begin(CsvLoad *load)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {TEXTOID, INT4OID, TEXTOID, TEXTOID, BYTEAOID};
	char		nulls[] = {' ', load->has_store ? ' ' : 'n', load->reference != NULL ? ' ' : 'n', ' ', ' ', '\0'};
	Datum		values[] = {
		CStringGetTextDatum(load->kind->name), Int32GetDatum(load->store), PointerGetDatum(load->reference),
		CStringGetTextDatum(pg_encoding_to_char(load->encoding)), PointerGetDatum(load->file)
	};
	bool		isnull;

	ss_execute(&plan, "SELECT storesync.csv_begin($1, $2, $3, $4, $5)", SPI_OK_SELECT, 5, types, values, nulls, 1);
	load->load_id = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
}

/* check has every row judged. */
static void
check(const CsvLoad *load)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(load->load_id)};

	ereport(NOTICE, (errmsg("%d rows read, as %s", load->rows, pg_encoding_to_char(load->encoding))));
	ss_execute(&plan, "SELECT count(*) FROM storesync.csv_check($1)", SPI_OK_SELECT, 1, types, values, NULL, 0);
}

static void
read_request(FunctionCallInfo fcinfo, CsvLoad *load)
{
	char	   *kind;

	memset(load, 0, sizeof(*load));
	ledger_check_not_null(fcinfo, ARG_KIND, "kind of a file");
	ledger_check_not_null(fcinfo, ARG_FILE, "file");
	kind = text_to_cstring(PG_GETARG_TEXT_PP(ARG_KIND));
	load->kind = csv_kind(kind);
	if (load->kind == NULL)
	{
		char		kinds[200];

		csv_kinds(kinds, sizeof(kinds));
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown kind of file: \"%s\"", kind),
				 errhint("Kinds are %s.", kinds)));
	}
	load->has_store = !PG_ARGISNULL(ARG_STORE);
	load->store = load->has_store ? PG_GETARG_INT32(ARG_STORE) : 0;
	load->encoding = PG_ARGISNULL(ARG_ENCODING) ? -1 : encoding_by_name(text_to_cstring(PG_GETARG_TEXT_PP(ARG_ENCODING)));
	if (!PG_ARGISNULL(ARG_REFERENCE))
	{
		load->reference = PG_GETARG_TEXT_PP(ARG_REFERENCE);
		ss_check_text("reference", load->reference);
	}
}

/* csv_load(kind, file, store, encoding, reference) returns bigint */
Datum
csv_load(PG_FUNCTION_ARGS)
{
	CsvLoad		load;
	SsSession	session;

	read_request(fcinfo, &load);
	PreventCommandIfReadOnly("storesync.csv_load()");
	PreventCommandDuringRecovery("storesync.csv_load()");
	PreventCommandIfParallelMode("storesync.csv_load()");
	load.file = take_object(PG_GETARG_OID(ARG_FILE));
	ss_enter(&session, "storesync.csv_load()", true);
	decode(&load);
	check_size(&load.reader);
	read_header(&load);
	begin(&load);
	read_rows(&load);
	check(&load);
	ss_leave(&session);
	PG_RETURN_INT64(load.load_id);
}
