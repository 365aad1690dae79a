/*
 * order_number.c
 *		Whole numbers of order documents and answers: between int64 and the
 *		numeric that a JSON number is.
 *
 * numeric's own functions would compute with unpacked copies, several for
 * each comparison with a bound. Nearly all numbers here are short and whole:
 * those are read off the packed form, which is the form on disk and therefore
 * does not change; whatever is not plain goes to numeric's functions.
 */
#include "storesync.h"

#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

#include "order_doc.h"

/* Numbers that answers are full of are made once: 0 to one less than this. */
#define KEPT_NUMBERS	32

/* The header of a short numeric: flags, digits after the point, exponent of the first group. */
#define KIND_MASK		0xC000
#define KIND_SHORT		0x8000
#define SHORT_NEGATIVE	0x2000
#define SHORT_SCALE		0x1F80
#define SHORT_WEIGHT	0x007F	/* its top bit is the sign */
#define GROUP_BASE		10000
/* Groups of four digits that surely fit an int64. */
#define MOST_GROUPS		4

bool
order_plain_number(Numeric number, int64 *result)
{
	const char *bytes = VARDATA_ANY((struct varlena *) number);
	int			groups = (int) (VARSIZE_ANY_EXHDR((struct varlena *) number) / sizeof(uint16)) - 1;
	uint16		header;
	uint16		group;
	int			wanted;

	if (groups < 0)
		return false;
	memcpy(&header, bytes, sizeof(header));
	wanted = (header & SHORT_WEIGHT) + 1;
	if ((header & KIND_MASK) != KIND_SHORT || (header & (SHORT_NEGATIVE | SHORT_SCALE)) != 0 ||
		wanted > MOST_GROUPS || groups > wanted)
		return false;
	*result = 0;
	for (int i = 0; i < wanted; i++)
	{
		group = 0;				/* groups of zeros at the end are not stored */
		if (i < groups)
			memcpy(&group, bytes + sizeof(header) + sizeof(group) * i, sizeof(group));
		*result = *result * GROUP_BASE + group;
	}
	return true;
}

bool
order_whole_number(Numeric number, int64 low, int64 high, int64 *result)
{
	Datum		n = NumericGetDatum(number);

	if (order_plain_number(number, result))
		return *result >= low && *result <= high;
	if (DatumGetBool(DirectFunctionCall2(numeric_lt, n, NumericGetDatum(int64_to_numeric(low)))) ||
		DatumGetBool(DirectFunctionCall2(numeric_gt, n, NumericGetDatum(int64_to_numeric(high)))))
		return false;
	*result = DatumGetInt64(DirectFunctionCall1(numeric_int8, n));
	return DatumGetBool(DirectFunctionCall2(numeric_eq, n, NumericGetDatum(int64_to_numeric(*result))));
}

Numeric
order_to_numeric(int64 number)
{
	static Numeric kept[KEPT_NUMBERS];

	if (number < 0 || number >= KEPT_NUMBERS)
		return int64_to_numeric(number);
	if (kept[number] == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		kept[number] = int64_to_numeric(number);
		MemoryContextSwitchTo(old);
	}
	return kept[number];
}
