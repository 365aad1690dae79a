/*
 * document.c
 *		Canonical order documents from a platform's answer.
 *
 * An order is translated whole or not at all. One that cannot be becomes a
 * document with its number and the status null, and so does one that was
 * asked for and is not in the answer: ingest then rejects it by name, and
 * nothing is lost in silence. Pure: no I/O, no state.
 */
#include "document.h"

#include <stdlib.h>
#include <string.h>

const char *
document_status(Arena *arena, const char *platform, const DocumentStatus *statuses, size_t n, const char *theirs)
{
	const char *unknown;

	for (size_t i = 0; i < n; i++)
		if (strcmp(statuses[i].theirs, theirs) == 0)
			return statuses[i].canonical;
	unknown = arena_printf(arena, "%s:%s", platform, plain_clean(arena, theirs, DOCUMENT_MAX_STATUS));
	return unknown != NULL ? unknown : "";
}

/* compare_ids orders numbers by their size, and whatever else in some way. */
static int
compare_ids(const char *x, const char *y)
{
	size_t		length = strlen(x);
	size_t		other = strlen(y);

	return length != other ? (length < other ? -1 : 1) : strcmp(x, y);
}

static int
compare_listings(const DocumentLine *x, const DocumentLine *y)
{
	int			order = compare_ids(x->item_id, y->item_id);

	return order != 0 ? order : compare_ids(x->model_id, y->model_id);
}

static int
compare_lines(const void *a, const void *b)
{
	const DocumentLine *x = a;
	const DocumentLine *y = b;
	int			order = compare_listings(x, y);

	return order != 0 ? order : x->place - y->place;
}

/* add_qty adds a quantity where it is said; false when the sum is out of range. */
static bool
add_qty(int64_t *sum, int64_t qty)
{
	if (*sum == DOCUMENT_UNSAID)
		*sum = qty;
	else if (qty != DOCUMENT_UNSAID)
		*sum += qty;
	return *sum <= DOCUMENT_MAX_QTY;
}

/*
 * sum_lines orders the lines by item and model and makes one of those that
 * share both, for their line_id is made of these. Price and SKU are those of
 * the first. False when a sum is out of range.
 */
static bool
sum_lines(Document *document)
{
	int			kept = 0;
	int			i;

	qsort(document->lines, (size_t) document->n_lines, sizeof(DocumentLine), compare_lines);
	for (i = 1; i < document->n_lines; i++)
	{
		DocumentLine *last = &document->lines[kept];
		const DocumentLine *line = &document->lines[i];

		if (compare_listings(line, last) != 0)
			document->lines[++kept] = *line;
		else if (!add_qty(&last->qty, line->qty) || !add_qty(&last->cancelled_qty, line->cancelled_qty) ||
				 !add_qty(&last->returned_qty, line->returned_qty))
			return false;
	}
	document->n_lines = kept + 1;
	return true;
}

const char *
document_sku(Arena *arena, const char *text)
{
	return text != NULL && strlen(text) <= DOCUMENT_MAX_SKU ? plain_clean(arena, text, DOCUMENT_MAX_SKU) : "";
}

/* add_number writes a member, unless it is not said. */
static void
add_number(PlainBuffer *out, const char *name, int64_t value)
{
	if (value == DOCUMENT_UNSAID)
		return;
	plain_add(out, name);
	plain_add_int(out, value);
}

static void
write_line(PlainBuffer *out, const DocumentLine *line)
{
	plain_add(out, "{\"line_id\":\"");
	if (line->line_id != NULL)
		plain_add(out, line->line_id);
	else
	{
		plain_add(out, line->item_id);
		plain_add(out, "/");
		plain_add(out, *line->model_id != '\0' ? line->model_id : "0");
	}
	plain_add(out, "\",\"item_id\":\"");
	plain_add(out, line->item_id);
	plain_add(out, "\",\"model_id\":\"");
	plain_add(out, line->model_id);
	plain_add(out, "\"");
	if (*line->sku != '\0')
	{
		plain_add(out, ",\"sku\":");
		plain_add_json(out, line->sku);
	}
	add_number(out, ",\"qty\":", line->qty);
	add_number(out, ",\"cancelled_qty\":", line->cancelled_qty);
	add_number(out, ",\"returned_qty\":", line->returned_qty);
	if (line->unit_price != NULL)
	{
		plain_add(out, ",\"unit_price\":");
		plain_add(out, line->unit_price);
	}
	if (line->status != NULL)
	{
		plain_add(out, ",\"status\":");
		plain_add_json(out, line->status);
	}
	plain_add(out, line->declined ? ",\"declined\":true}" : "}");
}

void
document_write(PlainBuffer *out, const char *order_sn, const Document *document)
{
	int			i;

	plain_add(out, out->length > 1 ? ",{\"order_sn\":" : "{\"order_sn\":");
	plain_add_json(out, order_sn);
	if (document->status == NULL)
	{
		plain_add(out, ",\"status\":null}");
		return;
	}
	plain_add(out, ",\"status\":");
	plain_add_json(out, document->status);
	if (document->arranged)
		plain_add(out, ",\"arranged\":true");
	add_number(out, ",\"create_time\":", document->create_time != 0 ? document->create_time : DOCUMENT_UNSAID);
	add_number(out, ",\"update_time\":", document->update_time != 0 ? document->update_time : DOCUMENT_UNSAID);
	if (document->currency != NULL)
	{
		plain_add(out, ",\"currency\":");
		plain_add_json(out, document->currency);
	}
	plain_add(out, ",\"lines\":[");
	for (i = 0; i < document->n_lines; i++)
	{
		if (i > 0)
			plain_add(out, ",");
		write_line(out, &document->lines[i]);
	}
	plain_add(out, "]}");
}

/* find_asked returns the place of an order number among those asked for, -1 for none. */
static int
find_asked(const PlatformCall *call, const char *order_sn)
{
	int			i;

	for (i = 0; i < call->n_order_sns; i++)
		if (strcmp(call->order_sns[i], order_sn) == 0)
			return i;
	return -1;
}

/* add_missing writes the documents of orders that the answer does not have; returns how many. */
static int
add_missing(const PlatformCall *call, const bool *seen, PlainBuffer *out)
{
	static const Document missing = {0};
	int			n = 0;
	int			i;

	/* a number that was asked for twice has one document */
	for (i = 0; i < call->n_order_sns; i++)
		if (!seen[i] && find_asked(call, call->order_sns[i]) == i)
		{
			document_write(out, call->order_sns[i], &missing);
			n++;
		}
	return n;
}

void
document_answer(const PlatformCall *call, const cJSON *list, DocumentReader read,
				Arena *arena, PlatformAnswer *answer)
{
	bool	   *seen = arena_alloc(arena, (size_t) call->n_order_sns);
	PlainBuffer out;
	const cJSON *entry;
	int			strange = 0;
	int			broken = 0;
	int			missing;

	if (seen == NULL)
		return;
	plain_begin(&out, arena, 512 * (size_t) call->n_order_sns + 64);
	plain_add(&out, "[");
	for (entry = cJSON_IsArray(list) ? list->child : list; entry != NULL;
		 entry = cJSON_IsArray(list) ? entry->next : NULL)
	{
		Document	document = {0};
		const char *order_sn = read(entry, arena, &document);
		int			i = order_sn != NULL ? find_asked(call, order_sn) : -1;

		if (i < 0 || seen[i])
		{
			/* no number, not asked for, or said twice */
			strange++;
			continue;
		}
		seen[i] = true;
		if (document.status != NULL && !sum_lines(&document))
			document.status = NULL;
		broken += document.status == NULL;
		document_write(&out, order_sn, &document);
		answer->n_documents++;
	}
	missing = add_missing(call, seen, &out);
	answer->n_documents += missing;
	plain_add(&out, "]");
	answer->documents = plain_finish(&out);
	if (strange + broken + missing > 0)
		answer->message = arena_printf(arena,
									   "of %d orders %d could not be understood and %d are missing; "
									   "%d were unnamed or not asked for",
									   answer->n_documents, broken, missing, strange);
}
