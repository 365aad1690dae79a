/*
 * fuzz_csv.c
 *		Whatever a CSV file holds: records end, lines never go back, cells lie
 *		in the file; and what is written of the cells is read again as the
 *		same. A cell that its column takes is taken once more, unchanged.
 */
#include "fuzz_judge.h"

#include "csv.h"

/* write_cell adds a cell as RFC 4180 has it. */
static void
write_cell(PlainBuffer *out, const char *cell)
{
	plain_add(out, "\"");
	for (; *cell != '\0'; cell++)
	{
		if (*cell == '"')
			plain_add(out, "\"");
		plain_bytes(out, cell, 1);
	}
	plain_add(out, "\"");
}

/* check_again has a record written and read again. */
static void
check_again(Arena *arena, const CsvReader *reader)
{
	PlainBuffer out;
	CsvReader	again;
	char	   *text;

	plain_begin(&out, arena, 0);
	for (int i = 0; i < reader->ncells && i < CSV_MAX_CELLS; i++)
	{
		plain_add(&out, i > 0 ? "," : "");
		write_cell(&out, reader->cells[i]);
	}
	text = plain_finish(&out);
	REQUIRE(text != NULL);
	csv_begin(&again, text, strlen(text));
	if (csv_next(&again) == CSV_END)
		return;					/* nothing but empty cells */
	REQUIRE(!again.stray && again.at == again.length);
	for (int i = 0; i < again.ncells; i++)
		REQUIRE(strcmp(again.cells[i], reader->cells[i]) == 0);
}

static void
check_cells(Arena *arena, const CsvReader *reader)
{
	static const char *const kinds[] = {"sku", "found", "listing", "price", "count", "receipt"};
	const CsvKind *kind = csv_kind(kinds[reader->record_line % 6]);

	for (int i = 0; i < reader->ncells && i < kind->ncolumns; i++)
	{
		char	   *cell = arena_strdup(arena, reader->cells[i]);
		char	   *before;

		if (csv_cell_fault(&kind->columns[i], cell) != NULL)
			continue;
		REQUIRE(strlen(cell) <= strlen(reader->cells[i]));
		before = arena_strdup(arena, cell);
		REQUIRE(csv_cell_fault(&kind->columns[i], cell) == NULL);
		REQUIRE(strcmp(before, cell) == 0);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Arena	   *arena = arena_create(FUZZ_ARENA_BYTES);
	char	   *file = malloc(size + 1);
	CsvReader	reader;
	int64_t		line = 0;

	if (size > 0)
		memcpy(file, data, size);
	csv_begin(&reader, file, size);
	while (csv_next(&reader) == CSV_RECORD)
	{
		REQUIRE(reader.record_line > line && reader.line >= reader.record_line);
		line = reader.record_line;
		for (int i = 0; i < reader.ncells && i < CSV_MAX_CELLS; i++)
			REQUIRE(reader.cells[i] >= file && reader.cells[i] + strlen(reader.cells[i]) <= file + size);
		check_again(arena, &reader);
		check_cells(arena, &reader);
		arena_reset(arena);
	}
	free(file);
	arena_free(arena);
	return 0;
}
