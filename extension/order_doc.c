/*
 * order_doc.c
 *		Order documents: JSON into structs, and everything that may be wrong
 *		with one (order_doc.h).
 *
 * The first fault found is the reason of the rejection. Fields that nobody
 * asked for are passed over; null stands for a missing field.
 */
#include "storesync.h"

#include "utils/builtins.h"
#include "utils/numeric.h"

#include "order_doc.h"

/* A price above this is no price. */
#define MAX_PRICE	INT64CONST(1000000000000000)
/* Longest decimal text that is taken as a price. */
#define MAX_DECIMAL_TEXT	40

static const char *const status_names[] = {
	"unpaid", "ready_to_ship", "shipped", "completed", "in_cancel", "cancelled", "returned"
};

const char *
order_status_name(OrderStatus status)
{
	return status_names[status];
}

bool
order_status_find(const char *name, int length, OrderStatus *status)
{
	for (int i = 0; i < (int) lengthof(status_names); i++)
	{
		if (strlen(status_names[i]) == (size_t) length && memcmp(status_names[i], name, length) == 0)
		{
			*status = (OrderStatus) i;
			return true;
		}
	}
	return false;
}

int
ss_text_compare(const text *a, const text *b)
{
	int			la = VARSIZE_ANY_EXHDR(a);
	int			lb = VARSIZE_ANY_EXHDR(b);
	int			order = memcmp(VARDATA_ANY(a), VARDATA_ANY(b), Min(la, lb));

	return order != 0 ? order : la - lb;
}

/* field looks a key up; false when it is missing or null. */
static bool
field(JsonbContainer *object, const char *key, JsonbValue *value)
{
	return getKeyJsonValueFromContainer(object, key, strlen(key), value) != NULL && value->type != jbvNull;
}

/* digits_number is order_whole_number for a string of digits. */
static bool
digits_number(const char *p, int length, int64 low, int64 high, int64 *result)
{
	*result = 0;
	if (length == 0)
		return false;
	for (int i = 0; i < length; i++)
	{
		if (p[i] < '0' || p[i] > '9' || *result > SS_MAX_QTY)
			return false;
		*result = *result * 10 + (p[i] - '0');
	}
	return *result >= low && *result <= high;
}

/*
 * read_id reads a text that may also come as a whole number. NULL when it is
 * missing or empty; *bad when it is neither or too long.
 */
static text *
read_id(JsonbContainer *object, const char *key, bool *bad)
{
	JsonbValue	value;
	int64		number;

	*bad = false;
	if (!field(object, key, &value))
		return NULL;
	if (value.type == jbvNumeric && order_whole_number(value.val.numeric, 0, PG_INT64_MAX, &number))
		return cstring_to_text(psprintf(INT64_FORMAT, number));
	*bad = value.type != jbvString || value.val.string.len > SS_MAX_TEXT;
	if (*bad || value.val.string.len == 0)
		return NULL;
	return cstring_to_text_with_len(value.val.string.val, value.val.string.len);
}

/* read_quantity reads a whole number or a string of digits; `missing` when there is none. */
static bool
read_quantity(JsonbContainer *object, const char *key, int64 low, int64 missing, int64 *qty)
{
	JsonbValue	value;

	*qty = missing;
	if (!field(object, key, &value))
		return missing >= low;
	if (value.type == jbvNumeric)
		return order_whole_number(value.val.numeric, low, SS_MAX_QTY, qty);
	return value.type == jbvString &&
		digits_number(value.val.string.val, value.val.string.len, low, SS_MAX_QTY, qty);
}

/* decimal_text says whether a string is digits with at most one point inside. */
static bool
decimal_text(const char *p, int length)
{
	int			points = 0;

	if (length == 0 || length > MAX_DECIMAL_TEXT || p[0] == '.' || p[length - 1] == '.')
		return false;
	for (int i = 0; i < length; i++)
	{
		if (p[i] == '.')
			points++;
		else if (p[i] < '0' || p[i] > '9')
			return false;
	}
	return points <= 1;
}

/* read_price reads a price as a number or a decimal string; false when it is no price. */
static bool
read_price(JsonbContainer *object, Numeric *price)
{
	JsonbValue	value;
	int64		whole;
	Datum		n;

	*price = NULL;
	if (!field(object, "unit_price", &value))
		return true;
	if (value.type == jbvNumeric)
		n = NumericGetDatum(value.val.numeric);
	else if (value.type == jbvString && decimal_text(value.val.string.val, value.val.string.len))
		n = DirectFunctionCall3(numeric_in,
								CStringGetDatum(pnstrdup(value.val.string.val, value.val.string.len)),
								ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
	else
		return false;
	*price = DatumGetNumeric(n);
	if (order_plain_number(*price, &whole))
		return whole <= MAX_PRICE;
	return DatumGetBool(DirectFunctionCall2(numeric_ge, n, NumericGetDatum(int64_to_numeric(0)))) &&
		DatumGetBool(DirectFunctionCall2(numeric_le, n, NumericGetDatum(int64_to_numeric(MAX_PRICE)))) &&
		VARSIZE_ANY(*price) <= MAX_DECIMAL_TEXT;
}

/* read_status reads a status word into *status, which stays as it is when there is none. */
static bool
read_status(JsonbContainer *object, OrderStatus *status)
{
	JsonbValue	value;

	if (!field(object, "status", &value))
		return true;
	return value.type == jbvString &&
		order_status_find(value.val.string.val, value.val.string.len, status);
}

/* read_line reads one line; returns what is wrong with it or NULL. */
static const char *
read_line(const JsonbValue *value, OrderStatus order_status, DocLine *line)
{
	JsonbContainer *object;
	bool		bad;

	if (value == NULL || value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		return "no object";
	object = value->val.binary.data;
	line->line_id = read_id(object, "line_id", &bad);
	if (bad || line->line_id == NULL)
		return "line_id is missing or malformed";
	line->item_id = read_id(object, "item_id", &bad);
	if (bad)
		return "item_id is malformed";
	line->model_id = read_id(object, "model_id", &bad);
	if (bad)
		return "model_id is malformed";
	if (line->model_id == NULL ||
		(VARSIZE_ANY_EXHDR(line->model_id) == 1 && *VARDATA_ANY(line->model_id) == '0'))
		line->model_id = cstring_to_text("");
	line->sku = read_id(object, "sku", &bad);
	if (bad)
		return "sku is malformed";
	if (!read_quantity(object, "qty", 1, 0, &line->qty))
		return "qty is missing or out of range";
	if (!read_quantity(object, "cancelled_qty", 0, 0, &line->cancelled_qty))
		return "cancelled_qty is out of range";
	if (!read_quantity(object, "returned_qty", 0, 0, &line->returned_qty))
		return "returned_qty is out of range";
	if (!read_price(object, &line->unit_price))
		return "unit_price is no price";
	line->status = order_status;
	if (!read_status(object, &line->status))
		return "status is unknown";
	return NULL;
}

static int
compare_line_ids(const void *a, const void *b)
{
	return ss_text_compare(*(text *const *) a, *(text *const *) b);
}

/* repeated_line returns a line_id that occurs twice, or NULL. */
static text *
repeated_line(const OrderDoc *doc)
{
	text	  **ids = palloc(sizeof(text *) * doc->nlines);
	text	   *repeated = NULL;

	for (int i = 0; i < doc->nlines; i++)
		ids[i] = doc->lines[i].line_id;
	qsort(ids, doc->nlines, sizeof(text *), compare_line_ids);
	for (int i = 1; i < doc->nlines && repeated == NULL; i++)
		if (ss_text_compare(ids[i - 1], ids[i]) == 0)
			repeated = ids[i];
	pfree(ids);
	return repeated;
}

static const char *
read_lines(JsonbContainer *object, OrderDoc *doc)
{
	JsonbValue	value;
	JsonbContainer *array;
	text	   *repeated;

	if (!field(object, "lines", &value) || value.type != jbvBinary ||
		!JsonContainerIsArray(value.val.binary.data))
		return "lines are missing or no array";
	array = value.val.binary.data;
	doc->nlines = JsonContainerSize(array);
	if (doc->nlines == 0 || doc->nlines > SS_MAX_LINES)
		return psprintf("document has %d lines; 1 to %d are allowed", doc->nlines, SS_MAX_LINES);
	doc->lines = palloc0(sizeof(DocLine) * doc->nlines);
	for (int i = 0; i < doc->nlines; i++)
	{
		DocLine    *line = &doc->lines[i];
		const char *fault = read_line(getIthJsonbValueFromContainer(array, i), doc->status, line);

		if (fault != NULL)
			return psprintf("line %d: %s", i + 1, fault);
		doc->any_returned |= line->returned_qty > 0;
	}
	repeated = repeated_line(doc);
	if (repeated != NULL)
		return psprintf("line_id \"%s\" occurs twice", text_to_cstring(repeated));
	return NULL;
}

/* read_moment reads a time that may not lie over a day ahead of the clock. */
static const char *
read_moment(JsonbContainer *object, const char *key, TimestampTz now, bool required, TimestampTz *at)
{
	JsonbValue	value;

	if (!field(object, key, &value))
		return required ? psprintf("%s is missing", key) : NULL;
	if (!order_time_read(&value, at))
		return psprintf("%s is neither Unix seconds nor ISO 8601 with a zone", key);
	if (*at > now + USECS_PER_DAY)
		return psprintf("%s is more than a day ahead of the clock", key);
	return NULL;
}

static const char *
read_times(JsonbContainer *object, TimestampTz now, OrderDoc *doc)
{
	const char *fault = read_moment(object, "create_time", now, true, &doc->create_time);

	if (fault != NULL)
		return fault;
	if (doc->create_time < now - (int64) ss_order_retention * USECS_PER_SEC)
		return "order is older than storesync.order_retention";
	doc->fetched_at = now;
	fault = read_moment(object, "fetched_at", now, false, &doc->fetched_at);
	if (fault != NULL)
		return fault;
	doc->update_time = doc->fetched_at;
	return read_moment(object, "update_time", now, false, &doc->update_time);
}

static const char *
read_document(const JsonbValue *value, TimestampTz now, OrderDoc *doc)
{
	JsonbContainer *object;
	JsonbValue	status;
	const char *fault;
	bool		bad;

	if (value == NULL || value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		return "document is no object";
	object = value->val.binary.data;
	doc->order_sn = read_id(object, "order_sn", &bad);
	if (bad || doc->order_sn == NULL)
		return "order_sn is missing or malformed";
	if (!field(object, "status", &status) || !read_status(object, &doc->status))
		return "status is missing or unknown";
	fault = read_times(object, now, doc);
	if (fault != NULL)
		return fault;
	doc->buyer = read_id(object, "buyer", &bad);
	if (bad)
		return "buyer is malformed";
	doc->currency = read_id(object, "currency", &bad);
	if (bad)
		return "currency is malformed";
	return read_lines(object, doc);
}

void
order_doc_read(const JsonbValue *value, TimestampTz now, OrderDoc *doc)
{
	memset(doc, 0, sizeof(OrderDoc));
	doc->reject = read_document(value, now, doc);
}
