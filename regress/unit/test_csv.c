/*
 * test_csv.c
 *		Tests of CSV files in pure code: records, cells, lines, and what the
 *		columns of each kind may hold.
 */
#include "codec_test.h"

#include "csv.h"

/* read begins with a copy of text that has the one byte more that a reader may touch. */
static void
read_text(Arena *arena, CsvReader *reader, const char *text)
{
	csv_begin(reader, arena_strdup(arena, text), strlen(text));
}

/* expect_record is the next record, its cells joined by '|'. */
static void
expect_record(CsvReader *reader, int64_t line, const char *joined)
{
	char		seen[1000] = "";

	assert_int_equal(csv_next(reader), CSV_RECORD);
	for (int i = 0; i < reader->ncells; i++)
	{
		strcat(seen, i > 0 ? "|" : "");
		strcat(seen, reader->cells[i]);
	}
	assert_string_equal(seen, joined);
	assert_int_equal(reader->record_line, line);
}

static void
records_are_told_apart(void **state)
{
	CsvReader	reader;

	read_text(*state, &reader, "a,b\r\nc,d\re,f\ng,h");
	expect_record(&reader, 1, "a|b");
	expect_record(&reader, 2, "c|d");
	expect_record(&reader, 3, "e|f");
	expect_record(&reader, 4, "g|h");
	assert_int_equal(csv_next(&reader), CSV_END);
	assert_int_equal(csv_next(&reader), CSV_END);
}

static void
cells_are_exact(void **state)
{
	CsvReader	reader;

	read_text(*state, &reader, "\"a,\"\"b\"\"\",  c ,\n007,,\"\"\n=1+1,@x,-y\n烏龍,茶,\n,\"\",x");
	expect_record(&reader, 1, "a,\"b\"|  c |");
	expect_record(&reader, 2, "007||");
	expect_record(&reader, 3, "=1+1|@x|-y");
	expect_record(&reader, 4, "烏龍|茶|");
	expect_record(&reader, 5, "||x");
	assert_false(reader.stray);
	assert_int_equal(csv_next(&reader), CSV_END);
}

static void
lines_in_quotes_count(void **state)
{
	CsvReader	reader;

	read_text(*state, &reader, "\"1\n2\r\n3\r4\",b\nc,d");
	expect_record(&reader, 1, "1\n2\r\n3\r4|b");
	expect_record(&reader, 5, "c|d");
}

static void
blank_rows_are_passed_over(void **state)
{
	CsvReader	reader;

	read_text(*state, &reader, "\na,b\n\n\n,\n,,,,\r\n\"\"\nc,d\n\n");
	expect_record(&reader, 2, "a|b");
	expect_record(&reader, 8, "c|d");
	assert_int_equal(csv_next(&reader), CSV_END);
	read_text(*state, &reader, "");
	assert_int_equal(csv_next(&reader), CSV_END);
}

static void
unclosed_quotes_are_found(void **state)
{
	CsvReader	reader;

	read_text(*state, &reader, "a,b\nc,\"d\ne,f\n");
	expect_record(&reader, 1, "a|b");
	assert_int_equal(csv_next(&reader), CSV_UNCLOSED);
	assert_int_equal(reader.record_line, 2);
	/* the quote, not the record that it is in */
	read_text(*state, &reader, "\"a\n\",\"b");
	assert_int_equal(csv_next(&reader), CSV_UNCLOSED);
	assert_int_equal(reader.record_line, 2);
	read_text(*state, &reader, "\"");
	assert_int_equal(csv_next(&reader), CSV_UNCLOSED);
	read_text(*state, &reader, "\"a\"\"");
	assert_int_equal(csv_next(&reader), CSV_UNCLOSED);
}

static void
stray_quotes_are_noted(void **state)
{
	CsvReader	reader;

	read_text(*state, &reader, "5\" pipe,x\n\"a\"b,c\n\"a\" ,c\n\"\"x\nfine,x\n");
	for (int i = 0; i < 4; i++)
	{
		assert_int_equal(csv_next(&reader), CSV_RECORD);
		assert_true(reader.stray);
	}
	expect_record(&reader, 5, "fine|x");
	assert_false(reader.stray);
}

static void
too_many_cells_are_counted(void **state)
{
	char		text[CSV_MAX_CELLS + 10];
	CsvReader	reader;

	memset(text, ',', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	read_text(*state, &reader, text);
	assert_int_equal(csv_next(&reader), CSV_RECORD);
	assert_int_equal(reader.ncells, CSV_MAX_CELLS + 10);
	assert_int_equal(csv_next(&reader), CSV_END);
}

/* ---------------------------------------------------------------- cells of columns */

/* judged is the cell as it is rewritten, or what is wrong with it. */
static const char *
judged(Arena *arena, CsvType type, const char *cell)
{
	CsvColumn	column = {.name = "c", .type = type, .low = 1, .high = 1000000000000};
	char	   *text = arena_strdup(arena, cell);
	const char *fault = csv_cell_fault(&column, text);

	return fault != NULL ? fault : text;
}

static void
whole_numbers(void **state)
{
	static const char *const cells[][2] = {
		{"1", "1"}, {"0012", "12"}, {"1000000000000", "1000000000000"}, {"1000000000001", "is too large"},
		{"99999999999999999999999", "is too large"}, {"0", "is too small"}, {"000", "is too small"},
		{"-1", "is negative"}, {" 1", "has a space in it"}, {"1 ", "has a space in it"}, {"1,000", "has a thousands separator"},
		{"1E+05", "was rounded by a spreadsheet"}, {"1.5e10", "was rounded by a spreadsheet"}, {"１２", "has full-width digits"},
		{"1.0", "is no whole number"}, {"+1", "is no whole number"}, {"x", "is no whole number"}, {"-", "is no whole number"},
		{"\xEF\xBC", "is no whole number"}, {"\\N", "cannot be cleared"}
	};

	for (size_t i = 0; i < sizeof(cells) / sizeof(cells[0]); i++)
		assert_string_equal(judged(*state, CSV_WHOLE, cells[i][0]), cells[i][1]);
}

static void
decimals(void **state)
{
	static const char *const cells[][2] = {
		{"12.50", "12.5"}, {"12.00", "12"}, {"0", "0"}, {"00.70", "0.7"}, {"0.0", "0"}, {"100", "100"}, {"999999999999.999999", "999999999999.999999"},
		{"0.0000001", "has more than 6 digits behind the point"}, {"1.50000000", "1.5"}, {"1000000000000", "is too large"},
		{".5", "is no number"}, {"5.", "is no number"}, {"1.2.3", "is no number"}, {"NaN", "is no number"}, {"-0.5", "is negative"},
		{"1,999.00", "has a thousands separator"}, {"$5", "is no number"}, {"1.2E+3", "was rounded by a spreadsheet"}
	};

	for (size_t i = 0; i < sizeof(cells) / sizeof(cells[0]); i++)
		assert_string_equal(judged(*state, CSV_DECIMAL, cells[i][0]), cells[i][1]);
}

static void
booleans(void **state)
{
	static const char *const yes[] = {"true", "TRUE", "t", "Yes", "y", "1"};
	static const char *const no[] = {"false", "FALSE", "f", "No", "n", "0"};

	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
	{
		assert_string_equal(judged(*state, CSV_BOOL, yes[i]), "t");
		assert_string_equal(judged(*state, CSV_BOOL, no[i]), "f");
	}
	assert_string_equal(judged(*state, CSV_BOOL, "maybe"), "is neither true nor false");
	assert_string_equal(judged(*state, CSV_BOOL, "tru"), "is neither true nor false");
}

static void
times(void **state)
{
	static const char *const good[] = {
		"2026-11-23 09:30+08", "2026-11-23T09:30:15+08:00", "2028-02-29 00:00:00.123456Z", "2026-11-23 09:30-0330"
	};
	static const char *const bad[] = {
		"2026/11/23 09:30+08", "2026-02-29 00:00Z", "2026-11-23", "2026-11-23 24:00Z", "2026-11-23 09:60Z", "1969-11-23 09:30Z",
		"2026-11-23 09:30:61Z", "2026-11-23 09:30:1.Z", "2026-11-23 09:30+15", "2026-11-23 09:30+08:", "2026-11-23 09:30+08x", "today", "2026"
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_string_equal(judged(*state, CSV_TIME, good[i]), good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_string_equal(judged(*state, CSV_TIME, bad[i]), "is no time such as 2026-11-23 09:30+08");
	assert_non_null(strstr(judged(*state, CSV_TIME, "2026-11-23 09:30"), "time zone"));
}

static void
codes_and_texts(void **state)
{
	char	   *lengthy = arena_alloc(*state, 1100);

	assert_string_equal(judged(*state, CSV_CODE, "007"), "007");
	assert_string_equal(judged(*state, CSV_CODE, "=1 ＋1"), "=1 ＋1");
	assert_non_null(strstr(judged(*state, CSV_CODE, "a\nb"), "control"));
	assert_non_null(strstr(judged(*state, CSV_MODEL, "a\tb"), "control"));
	assert_string_equal(judged(*state, CSV_TEXT, "a\nb"), "a\nb");
	assert_string_equal(judged(*state, CSV_AT_ZERO, "unlist"), "unlist");
	assert_non_null(strstr(judged(*state, CSV_AT_ZERO, "Unlist"), "neither"));
	memset(lengthy, 'x', 201);
	assert_non_null(strstr(judged(*state, CSV_CODE, lengthy), "200"));
	memset(lengthy, 'x', 1001);
	assert_non_null(strstr(judged(*state, CSV_TEXT, lengthy), "1000"));
}

static void
kinds_have_columns(void **state)
{
	char		names[500];
	char		few[8];

	(void) state;
	assert_null(csv_kind("SKU"));
	assert_int_equal(csv_column(csv_kind("sku"), "SAFETY_stock"), 2);
	assert_int_equal(csv_column(csv_kind("sku"), "safety"), -1);
	assert_int_equal(csv_column(csv_kind("sku"), ""), -1);
	csv_columns(csv_kind("sku"), names, sizeof(names));
	assert_string_equal(names, "sku, name, safety_stock, allow_backorder, solo_below");
	csv_kinds(few, sizeof(few));
	assert_string_equal(few, "sku");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		arena_test(records_are_told_apart),
		arena_test(cells_are_exact),
		arena_test(lines_in_quotes_count),
		arena_test(blank_rows_are_passed_over),
		arena_test(unclosed_quotes_are_found),
		arena_test(stray_quotes_are_noted),
		arena_test(too_many_cells_are_counted),
		arena_test(whole_numbers),
		arena_test(decimals),
		arena_test(booleans),
		arena_test(times),
		arena_test(codes_and_texts),
		cmocka_unit_test(kinds_have_columns),
	};

	return cmocka_run_group_tests_name("csv", tests, NULL, NULL);
}
