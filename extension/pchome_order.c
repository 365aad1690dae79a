/*
 * pchome_order.c
 *		PChome 24h vendor API: records of a detail answer as the canonical
 *		documents that ingest_orders takes.
 *
 * A record is one line of an order, and its id the order's number, a dash and
 * the line's. Records of one order in one answer become one document; lines
 * that are not in it come with others and join. Each line has its own status.
 * A record that cannot be understood, or was asked for and is not there,
 * becomes a document with its id and the status null: ingest rejects it by
 * name. Personal data is not read, nor are amounts: they are the vendor's
 * cost, not what the buyer paid.
 */
#include "pchome.h"

#include <string.h>
#include <time.h>

#include "document.h"

typedef struct Line
{
	const char *id;				/* of the record, as it was asked for */
	PchomeRecord name;
	bool		came;			/* it is in the answer */
	bool		understood;
	bool		written;		/* it is in a document */
	PchomeProduct product;
	int64_t		trans_time;		/* Unix seconds */
	DocumentLine line;
} Line;

/* digits_at reads n digits; -1 when they are none. */
static int
digits_at(const char *text, int n)
{
	int			value = 0;

	for (; n > 0; n--, text++)
	{
		if (*text < '0' || *text > '9')
			return -1;
		value = value * 10 + (*text - '0');
	}
	return value;
}

/* read_time reads a Taipei time as 2025/10/09 13:26:00. */
static bool
read_time(const char *text, int64_t *moment)
{
	struct tm	date = {0};
	struct tm	back;
	time_t		utc;

	if (text == NULL || strlen(text) != 19 || text[4] != '/' || text[7] != '/' || text[10] != ' ' ||
		text[13] != ':' || text[16] != ':')
		return false;
	date.tm_year = digits_at(text, 4) - 1900;
	date.tm_mon = digits_at(text + 5, 2) - 1;
	date.tm_mday = digits_at(text + 8, 2);
	date.tm_hour = digits_at(text + 11, 2);
	date.tm_min = digits_at(text + 14, 2);
	date.tm_sec = digits_at(text + 17, 2);
	if (date.tm_year < 70 || date.tm_mon < 0 || date.tm_mday < 1 || date.tm_hour < 0 || date.tm_min < 0 || date.tm_sec < 0)
		return false;
	back = date;
	utc = timegm(&back);
	/* a date that does not exist has become another one */
	if (back.tm_mon != date.tm_mon || back.tm_mday != date.tm_mday || back.tm_hour != date.tm_hour ||
		back.tm_min != date.tm_min || back.tm_sec != date.tm_sec)
		return false;
	*moment = (int64_t) utc - PCHOME_UTC_OFFSET;
	return *moment > 0;
}

/* optional_int reads a whole number that may be missing or empty: 0 then. */
static bool
optional_int(const cJSON *entry, const char *name, int64_t high, int64_t *value)
{
	const char *text = jread_text(entry, name);

	*value = 0;
	if (!jread_has(entry, name) || (text != NULL && *text == '\0'))
		return true;
	return jread_int(entry, name, 0, high, value);
}

/*
 * status_of: what is declined or cancelled whole keeps no stock. Shipped is
 * what the platform has a tracking number of that it checks or has seen move,
 * for then the goods have left the shelf; a wrong number is mended, the goods
 * are out all the same.
 */
static bool
status_of(const cJSON *entry, DocumentLine *line)
{
	const char *check = jread_text(entry, "ShipCheckStatus");
	int64_t		live = line->qty - line->cancelled_qty;
	int64_t		ship_qty;

	if (check != NULL && *check != '\0' && strcmp(check, "Error") != 0 &&
		strcmp(check, "Checking") != 0 && strcmp(check, "Shipped") != 0)
		return false;
	if (!optional_int(jread_child(entry, "ShipInfo"), "ShipQty", DOCUMENT_MAX_QTY, &ship_qty))
		return false;
	if (line->declined || live <= 0)
		line->status = "cancelled";
	else if (ship_qty >= live || (check != NULL && (strcmp(check, "Checking") == 0 || strcmp(check, "Shipped") == 0)))
		line->status = "shipped";
	else
		line->status = "ready_to_ship";
	return true;
}

/* read_line reads one record; false when it cannot be understood. */
static bool
read_line(const cJSON *entry, Arena *arena, Line *record)
{
	const cJSON *prod = jread_child(entry, "Prod");
	const char *product = jread_text(prod, "Id");
	DocumentLine *line = &record->line;
	int64_t		declined;

	if (product == NULL || !pchome_read_product(product, &record->product) ||
		!read_time(jread_text(entry, "TransDate"), &record->trans_time) ||
		!jread_int(entry, "OrderQty", 1, DOCUMENT_MAX_QTY, &line->qty) ||
		!optional_int(entry, "CancelQty", DOCUMENT_MAX_QTY, &line->cancelled_qty) ||
		!optional_int(entry, "isNotShip", 1, &declined))
		return false;
	line->line_id = record->name.line_id;
	line->item_id = record->product.group;
	line->model_id = record->product.spec;
	line->returned_qty = DOCUMENT_UNSAID;
	line->sku = document_sku(arena, jread_text(prod, "VendorPID"));
	line->declined = declined == 1;
	return status_of(entry, line);
}

/* earlier returns the one of two lines' statuses that has more before it. */
static const char *
earlier(const char *x, const char *y)
{
	if (strcmp(x, "ready_to_ship") == 0 || strcmp(y, "cancelled") == 0)
		return x;
	return y;
}

/*
 * write_order appends the document of a line's order, with all its lines. Its
 * status is that of the line that has most before it. False: no memory.
 */
static bool
write_order(PlainBuffer *out, Arena *arena, Line *lines, int n, int first)
{
	const char *order_sn = lines[first].name.order_sn;
	Document	document = {.status = "cancelled", .create_time = lines[first].trans_time};
	int			i;

	document.lines = arena_alloc(arena, sizeof(DocumentLine) * (size_t) n);
	if (document.lines == NULL)
		return false;
	for (i = first; i < n; i++)
	{
		if (!lines[i].understood || strcmp(lines[i].name.order_sn, order_sn) != 0)
			continue;
		document.lines[document.n_lines++] = lines[i].line;
		document.status = earlier(document.status, lines[i].line.status);
		if (lines[i].trans_time < document.create_time)
			document.create_time = lines[i].trans_time;
		lines[i].written = true;
	}
	document_write(out, order_sn, &document);
	return true;
}

/* find_line returns the line whose record has an id, NULL for none. */
static Line *
find_line(Line *lines, int n, const char *id)
{
	int			i;

	for (i = 0; i < n; i++)
		if (strcmp(lines[i].id, id) == 0)
			return &lines[i];
	return NULL;
}

/* read_lines makes a line of each record asked for, and returns how many entries were none of these. */
static int
read_lines(const cJSON *records, Arena *arena, Line *lines, int n, int *broken)
{
	const cJSON *entry;
	int			strange = 0;

	cJSON_ArrayForEach(entry, records)
	{
		const char *id = jread_text(entry, "Id");
		Line	   *line = id != NULL ? find_line(lines, n, id) : NULL;

		if (line == NULL || line->came)
		{
			strange++;
			continue;
		}
		line->came = true;
		line->understood = read_line(entry, arena, line);
		*broken += !line->understood;
	}
	return strange;
}

void
pchome_documents(const PlatformCall *call, const cJSON *records, Arena *arena, PlatformAnswer *answer)
{
	static const Document none = {0};
	Line	   *lines = arena_alloc(arena, sizeof(Line) * (size_t) call->n_order_sns);
	PlainBuffer out;
	int			n = 0;
	int			strange;
	int			broken = 0;
	int			missing = 0;
	int			i;

	if (lines == NULL)
		return;
	for (i = 0; i < call->n_order_sns; i++)
		if (find_line(lines, n, call->order_sns[i]) == NULL && pchome_read_record(call->order_sns[i], &lines[n].name))
			lines[n++].id = call->order_sns[i];
	strange = read_lines(records, arena, lines, n, &broken);
	plain_begin(&out, arena, 256 * (size_t) n + 64);
	plain_add(&out, "[");
	for (i = 0; i < n; i++)
	{
		if (lines[i].written)
			continue;
		answer->n_documents++;
		missing += !lines[i].came;
		if (!lines[i].understood)
			document_write(&out, lines[i].id, &none);
		else if (!write_order(&out, arena, lines, n, i))
			return;
	}
	plain_add(&out, "]");
	answer->documents = plain_finish(&out);
	if (strange + broken + missing > 0)
		answer->message = arena_printf(arena,
									   "of %d records %d could not be understood and %d are missing; "
									   "%d were unnamed or not asked for",
									   n, broken, missing, strange);
}
