/*
 * csv.c
 *		Records of a CSV file (RFC 4180): cells between commas, quoted where
 *		they hold commas, quotes or line ends. Pure: no PostgreSQL, no memory
 *		of its own.
 *
 * Lines end with LF, CR LF or CR. Bytes are not looked at beyond these signs,
 * so every encoding will do whose characters hold no ASCII bytes.
 */
#include "csv.h"

void
csv_begin(CsvReader *reader, char *data, size_t length)
{
	reader->data = data;
	reader->length = length;
	reader->at = 0;
	reader->line = 1;
	reader->record_line = 1;
	reader->ncells = 0;
	reader->stray = false;
}

/* take_line_end steps over the end of a line that is at hand. */
static void
take_line_end(CsvReader *reader)
{
	bool		is_return = reader->data[reader->at++] == '\r';

	if (is_return && reader->at < reader->length && reader->data[reader->at] == '\n')
		reader->at++;
	reader->line++;
}

/*
 * read_quoted copies what stands between quotes to *out and steps behind the
 * closing one. False: there is none, and record_line is where it began.
 */
static bool
read_quoted(CsvReader *reader, char **out)
{
	int64_t		began = reader->line;

	for (reader->at++; reader->at < reader->length;)
	{
		char		c = reader->data[reader->at];

		if (c == '"')
		{
			reader->at++;
			if (reader->at == reader->length || reader->data[reader->at] != '"')
				return true;
		}
		/* CR LF counts at its LF */
		else if (c == '\n' ||
				 (c == '\r' && (reader->at + 1 == reader->length || reader->data[reader->at + 1] != '\n')))
			reader->line++;
		*(*out)++ = c;
		reader->at++;
	}
	reader->record_line = began;
	return false;
}

/* read_cell adds a cell to the record; *last: the record ends with it. False: a quote is not closed. */
static bool
read_cell(CsvReader *reader, bool *last)
{
	char	   *text = reader->data + reader->at;
	char	   *out = text;
	bool		quoted = reader->at < reader->length && *text == '"';

	if (quoted && !read_quoted(reader, &out))
		return false;
	for (; reader->at < reader->length; reader->at++)
	{
		char		c = reader->data[reader->at];

		if (c == ',' || c == '\n' || c == '\r')
			break;
		if (quoted || c == '"')
			reader->stray = true;
		*out++ = c;
	}
	*last = reader->at == reader->length || reader->data[reader->at] != ',';
	if (!*last)
		reader->at++;
	else if (reader->at < reader->length)
		take_line_end(reader);
	/* what stood here has been read */
	*out = '\0';
	if (reader->ncells < CSV_MAX_CELLS)
		reader->cells[reader->ncells] = text;
	reader->ncells++;
	return true;
}

/* is_blank: spreadsheets leave rows of commas behind where something was deleted. */
static bool
is_blank(const CsvReader *reader)
{
	if (reader->ncells > CSV_MAX_CELLS || reader->stray)
		return false;
	for (int i = 0; i < reader->ncells; i++)
		if (reader->cells[i][0] != '\0')
			return false;
	return true;
}

CsvResult
csv_next(CsvReader *reader)
{
	do
	{
		bool		last;

		if (reader->at == reader->length)
			return CSV_END;
		reader->record_line = reader->line;
		reader->ncells = 0;
		reader->stray = false;
		do
		{
			if (!read_cell(reader, &last))
				return CSV_UNCLOSED;
		} while (!last);
	} while (is_blank(reader));
	return CSV_RECORD;
}
