/*
 * csv_kind.c
 *		The kinds of CSV files, their columns, and what a cell of each may
 *		hold. Pure.
 *
 * The order of a kind's columns is that of csv_row.cells, which sql/74_csv.sql
 * reads by number: add at the end, before those that are only told.
 *
 * Numbers that a spreadsheet may have spoilt are refused, never mended.
 */
#include "csv.h"

#include <stdio.h>
#include <string.h>

#define MAX_QTY				INT64_C(1000000000000)
/* a thousand of them are within a place's bounds */
#define MAX_RECEIPT			INT64_C(1000000000)
#define STORE				{.name = "store", .type = CSV_WHOLE, .low = 1, .high = INT32_MAX}
#define ITEM				{.name = "item_id", .type = CSV_CODE, .required = true}
#define MODEL				{.name = "model_id", .type = CSV_MODEL}

static const CsvColumn sku_columns[] = {
	{.name = "sku", .type = CSV_CODE, .required = true},
	{.name = "name", .type = CSV_TEXT, .clearable = true},
	{.name = "safety_stock", .type = CSV_WHOLE, .high = MAX_QTY},
	{.name = "allow_backorder", .type = CSV_BOOL},
	{.name = "solo_below", .type = CSV_WHOLE, .high = MAX_QTY},
};

static const CsvColumn found_columns[] = {
	STORE, ITEM, MODEL,
	{.name = "sku", .type = CSV_CODE, .clearable = true},
	{.name = "pack", .type = CSV_WHOLE, .low = 1, .high = INT32_MAX},
	{.name = "seller_code", .type = CSV_TOLD},
	{.name = "name", .type = CSV_TOLD},
	{.name = "verdict", .type = CSV_TOLD},
	{.name = "detail", .type = CSV_TOLD},
};

static const CsvColumn listing_columns[] = {
	STORE, ITEM, MODEL,
	{.name = "sku", .type = CSV_CODE},
	{.name = "pack", .type = CSV_WHOLE, .low = 1, .high = INT32_MAX},
	{.name = "share", .type = CSV_DECIMAL},
	{.name = "buffer", .type = CSV_WHOLE, .high = MAX_QTY},
	{.name = "cap", .type = CSV_WHOLE, .clearable = true, .high = MAX_QTY},
	{.name = "enabled", .type = CSV_BOOL},
	{.name = "price_floor", .type = CSV_DECIMAL, .clearable = true},
	{.name = "listed", .type = CSV_BOOL},
	{.name = "at_zero", .type = CSV_AT_ZERO},
};

static const CsvColumn price_columns[] = {
	STORE, ITEM, MODEL,
	{.name = "price", .type = CSV_DECIMAL, .required = true},
	{.name = "force", .type = CSV_BOOL},
};

static const CsvColumn count_columns[] = {
	{.name = "sku", .type = CSV_CODE, .required = true},
	{.name = "counted", .type = CSV_WHOLE, .required = true, .high = MAX_QTY},
	{.name = "location", .type = CSV_CODE},
	{.name = "reference", .type = CSV_CODE},
	{.name = "counted_at", .type = CSV_TIME},
};

static const CsvColumn receipt_columns[] = {
	{.name = "sku", .type = CSV_CODE, .required = true},
	{.name = "qty", .type = CSV_WHOLE, .required = true, .low = 1, .high = MAX_RECEIPT},
	{.name = "location", .type = CSV_CODE},
	{.name = "reference", .type = CSV_CODE},
};

static const CsvKind kinds[] = {
#define KIND(word) {#word, sizeof(word##_columns) / sizeof(word##_columns[0]), word##_columns}
	KIND(sku), KIND(found), KIND(listing), KIND(price), KIND(count), KIND(receipt)
};

const CsvKind *
csv_kind(const char *name)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	return NULL;
}

/* add appends a name to a list, as far as there is room. */
static void
add(char *to, size_t size, const char *name)
{
	size_t		used = strlen(to);
	size_t		need = strlen(name) + (used > 0 ? 2 : 0);

	if (need < size - used)
		(void) snprintf(to + used, size - used, "%s%s", used > 0 ? ", " : "", name);
}

void
csv_kinds(char *to, size_t size)
{
	to[0] = '\0';
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		add(to, size, kinds[i].name);
}

void
csv_columns(const CsvKind *kind, char *to, size_t size)
{
	to[0] = '\0';
	for (int i = 0; i < kind->ncolumns; i++)
		add(to, size, kind->columns[i].name);
}

static inline char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char) (c - 'A' + 'a') : c;
}

static inline bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* is_word compares in either case; `word` is in lower case. */
static bool
is_word(const char *text, const char *word)
{
	while (*text != '\0' && lower(*text) == *word)
	{
		text++;
		word++;
	}
	return *text == '\0' && *word == '\0';
}

int
csv_column(const CsvKind *kind, const char *name)
{
	for (int i = 0; i < kind->ncolumns; i++)
		if (is_word(name, kind->columns[i].name))
			return i;
	return -1;
}

/* ---------------------------------------------------------------- numbers */

/* is_power: 1E+05, 1.2E+10, as spreadsheets write long numbers. */
static bool
is_power(const char *text)
{
	const char *e = strpbrk(text, "eE");

	return e != NULL && e > text && is_digit(text[0]) && strspn(text, "0123456789.") == (size_t) (e - text) &&
		(is_digit(e[1]) || ((e[1] == '+' || e[1] == '-') && is_digit(e[2])));
}

/* has_wide_digit: U+FF10 to U+FF19, in UTF-8. */
static bool
has_wide_digit(const char *text)
{
	for (const char *p = strstr(text, "\xEF\xBC"); p != NULL; p = strstr(p + 2, "\xEF\xBC"))
		if ((unsigned char) p[2] >= 0x90 && (unsigned char) p[2] <= 0x99)
			return true;
	return false;
}

/* number_fault says what is wrong with text that is no plain number. */
static const char *
number_fault(const char *text)
{
	if (strpbrk(text, " \t\r\n") != NULL)
		return "has a space in it";
	if (has_wide_digit(text))
		return "has full-width digits";
	if (is_power(text))
		return "was rounded by a spreadsheet";
	if (is_digit(text[0]) && strchr(text, ',') != NULL)
		return "has a thousands separator";
	if (text[0] == '-' && is_digit(text[1]))
		return "is negative";
	return NULL;
}

/* drop_zeros takes leading zeros away, but one before the point or the end. */
static void
drop_zeros(char *text)
{
	size_t		zeros = strspn(text, "0");

	if (zeros > 0 && !is_digit(text[zeros]))
		zeros--;
	memmove(text, text + zeros, strlen(text + zeros) + 1);
}

static const char *
whole_fault(const CsvColumn *column, char *text)
{
	const char *fault = number_fault(text);
	int64_t		value = 0;

	if (fault != NULL)
		return fault;
	if (text[strspn(text, "0123456789")] != '\0')
		return "is no whole number";
	drop_zeros(text);
	/* bounds have 13 digits at most */
	if (strlen(text) > 13)
		return "is too large";
	for (const char *p = text; *p != '\0'; p++)
		value = value * 10 + (*p - '0');
	if (value > column->high)
		return "is too large";
	return value < column->low ? "is too small" : NULL;
}

/* Without zeros at the end of its fraction, or the point: 12.50 is 12.5, 12.00 is 12. */
static const char *
decimal_fault(char *text)
{
	const char *fault = number_fault(text);
	size_t		whole = strspn(text, "0123456789");
	size_t		fraction = text[whole] == '.' ? strspn(text + whole + 1, "0123456789") : 0;
	size_t		length = whole + (text[whole] == '.' ? fraction + 1 : 0);

	if (fault != NULL)
		return fault;
	if (whole == 0 || (text[whole] == '.' && fraction == 0) || text[length] != '\0')
		return "is no number";
	if (fraction > 0)
	{
		while (text[length - 1] == '0')
			length--;
		if (text[length - 1] == '.')
			length--;
		text[length] = '\0';
		if (length > whole + 1 + 6)
			return "has more than 6 digits behind the point";
	}
	drop_zeros(text);
	return strcspn(text, ".") > 12 ? "is too large" : NULL;
}

/* ---------------------------------------------------------------- others */

static const char *
bool_fault(char *text)
{
	static const char *const yes[] = {"true", "yes", "t", "y", "1"};
	static const char *const no[] = {"false", "no", "f", "n", "0"};

	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
	{
		bool		is_yes = is_word(text, yes[i]);

		if (!is_yes && !is_word(text, no[i]))
			continue;
		/* a cell of one letter has no room for more */
		text[0] = is_yes ? 't' : 'f';
		text[1] = '\0';
		return NULL;
	}
	return "is neither true nor false";
}

/* code_fault lets everything through that a code may be; a control character is none. */
static const char *
code_fault(const char *text)
{
	if (strlen(text) > CSV_MAX_CODE)
		return "is longer than 200 bytes";
	for (const char *p = text; *p != '\0'; p++)
	{
		unsigned char c = (unsigned char) *p;

		if (c < 0x20 || c == 0x7F)
			return "has a line end, tab or other control character in it";
	}
	return NULL;
}

/* take_number reads `digits` digits; -1: they are not there. */
static int
take_number(const char **p, int digits)
{
	int			value = 0;

	for (int i = 0; i < digits; i++)
	{
		if (!is_digit(**p))
			return -1;
		value = value * 10 + (*(*p)++ - '0');
	}
	return value;
}

static bool
is_day(int year, int month, int day)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool		leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return year >= 1970 && month >= 1 && month <= 12 && day >= 1 && day <= days[month - 1] + (leap && month == 2);
}

/* is_offset: Z, +08, +0800 or +08:00, and the end. */
static bool
is_offset(const char *p)
{
	int			hours;
	int			minutes = 0;

	if (strcmp(p, "Z") == 0)
		return true;
	if (*p != '+' && *p != '-')
		return false;
	p++;
	hours = take_number(&p, 2);
	if (*p == ':' ? *p++ != '\0' : *p != '\0')
		minutes = take_number(&p, 2);
	return hours >= 0 && hours <= 14 && minutes >= 0 && minutes <= 59 && *p == '\0';
}

static const char *
time_fault(const char *text)
{
	static const char *const no_time = "is no time such as 2026-11-23 09:30+08";
	const char *p = text;
	int			year = take_number(&p, 4);
	int			month = *p == '-' ? (p++, take_number(&p, 2)) : -1;
	int			day = *p == '-' ? (p++, take_number(&p, 2)) : -1;
	int			hour = *p == ' ' || *p == 'T' ? (p++, take_number(&p, 2)) : -1;
	int			minute = *p == ':' ? (p++, take_number(&p, 2)) : -1;

	if (!is_day(year, month, day) || hour < 0 || hour > 23 || minute < 0 || minute > 59)
		return no_time;
	if (*p == ':')
	{
		int			second = (p++, take_number(&p, 2));

		if (second < 0 || second > 59)
			return no_time;
		if (*p == '.')
		{
			size_t		fraction = strspn(p + 1, "0123456789");

			if (fraction < 1 || fraction > 6)
				return no_time;
			p += 1 + fraction;
		}
	}
	if (*p == '\0')
		return "does not say which time zone: add +08 or the like";
	return is_offset(p) ? NULL : no_time;
}

const char *
csv_cell_fault(const CsvColumn *column, char *text)
{
	if (strcmp(text, CSV_CLEAR) == 0)
		return column->clearable ? NULL : "cannot be cleared";
	switch (column->type)
	{
		case CSV_CODE:
		case CSV_MODEL:
			return code_fault(text);
		case CSV_TEXT:
			return strlen(text) > CSV_MAX_TEXT ? "is longer than 1000 bytes" : NULL;
		case CSV_WHOLE:
			return whole_fault(column, text);
		case CSV_DECIMAL:
			return decimal_fault(text);
		case CSV_BOOL:
			return bool_fault(text);
		case CSV_TIME:
			return time_fault(text);
		case CSV_AT_ZERO:
			return strcmp(text, "quantity") == 0 || strcmp(text, "unlist") == 0 ? NULL : "is neither quantity nor unlist";
		case CSV_TOLD:
			break;
	}
	return NULL;
}
