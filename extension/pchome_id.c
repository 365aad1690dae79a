/*
 * pchome_id.c
 *		PChome 24h vendor API: ids of products and records, and cursors.
 *
 * Pure: no I/O, no state.
 */
#include "pchome.h"

#include <string.h>

#include "plain.h"

const char *const pchome_return_states[PCHOME_RETURN_STATES] = {"NA", "QCOK", "QCFail"};

bool
pchome_all_of(const char *text, const char *set, size_t max)
{
	size_t		length = strspn(text, set);

	return length > 0 && length <= max && text[length] == '\0';
}

bool
pchome_group_ok(const char *group)
{
	size_t		head = strspn(group, PCHOME_DIGITS PCHOME_LETTERS);

	return head > 0 && group[head] == '-' && strlen(group) <= PCHOME_MAX_ID - 1 - PCHOME_MAX_SPEC &&
		pchome_all_of(group + head + 1, PCHOME_DIGITS PCHOME_LETTERS, PCHOME_MAX_ID);
}

/* split_last cuts a text in two at its last dash; false when there is none, or a part does not fit. */
static bool
split_last(const char *text, char *head, char *tail, size_t tail_bytes)
{
	const char *dash = strrchr(text, '-');

	if (dash == NULL || strlen(text) > PCHOME_MAX_ID || strlen(dash + 1) >= tail_bytes)
		return false;
	memcpy(head, text, (size_t) (dash - text));
	head[dash - text] = '\0';
	memcpy(tail, dash + 1, strlen(dash + 1) + 1);
	return true;
}

bool
pchome_read_product(const char *id, PchomeProduct *product)
{
	if (!split_last(id, product->group, product->spec, sizeof(product->spec)) ||
		!pchome_group_ok(product->group) || strspn(product->spec, PCHOME_DIGITS) != PCHOME_MAX_SPEC)
		return false;
	if (strcmp(product->spec, "000") == 0)
		product->spec[0] = '\0';
	return true;
}

bool
pchome_read_record(const char *id, PchomeRecord *record)
{
	return split_last(id, record->order_sn, record->line_id, sizeof(record->line_id)) &&
		pchome_all_of(record->order_sn, PCHOME_DIGITS PCHOME_LETTERS, PCHOME_MAX_ID) && pchome_all_of(record->line_id, PCHOME_DIGITS, PCHOME_MAX_ID);
}

bool
pchome_read_cursor(CallKind kind, const char *cursor, PchomePage *page)
{
	*page = (PchomePage) {0, 1};
	if (*cursor == '\0')
		return true;
	if (kind == CALL_LIST_RETURNS)
	{
		for (page->state = 0; page->state < PCHOME_RETURN_STATES; page->state++)
		{
			size_t		length = strlen(pchome_return_states[page->state]);

			if (strncmp(cursor, pchome_return_states[page->state], length) == 0 && cursor[length] == '/')
				return plain_int(cursor + length + 1, 1, PCHOME_MAX_OFFSET, &page->offset);
		}
		return false;
	}
	return plain_int(cursor, 1, PCHOME_MAX_OFFSET, &page->offset);
}
