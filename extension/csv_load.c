/*
 * csv_load.c
 *		csv_load(): a CSV file that a client has left as a large object becomes
 *		rows of csv_row, each with what is wrong with its cells; what it would
 *		change is judged by sql/74_csv.sql. Nothing else is written.
 *
 * The large object is read and dropped as the caller, before anything is
 * done as the owner: nobody reads another's through this (csv_file.c).
 */
#include "storesync.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "csv.h"
#include "csv_file.h"
#include "ledger.h"

PG_FUNCTION_INFO_V1(csv_load);

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
	load->encoding = PG_ARGISNULL(ARG_ENCODING) ? -1 : csv_encoding(text_to_cstring(PG_GETARG_TEXT_PP(ARG_ENCODING)));
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
	load.file = csv_take_object(PG_GETARG_OID(ARG_FILE));
	ss_enter(&session, "storesync.csv_load()", true);
	load.encoding = csv_open(load.file, load.encoding, &load.reader);
	read_header(&load);
	begin(&load);
	read_rows(&load);
	check(&load);
	ss_leave(&session);
	PG_RETURN_INT64(load.load_id);
}
