/*
 * task_payload.c
 *		The kinds of tasks, and which fields the payload of each may have.
 *
 * One table says it all; what is not in it is refused, so that a misspelt
 * field is an error of the caller and not a task that does something else.
 */
#include "storesync.h"

#include "utils/builtins.h"
#include "utils/numeric.h"

#include "order_doc.h"
#include "plain.h"
#include "task.h"

/* Order numbers, or lines, in one task. */
#define MAX_TEXTS	500
#define MAX_FIELDS	4

PG_FUNCTION_INFO_V1(task_time);

typedef enum FieldType
{
	FIELD_ID,					/* a whole number from 1 */
	FIELD_TEXT,
	FIELD_TEXTS,				/* an array of 1 to MAX_TEXTS texts */
	FIELD_TIME					/* Unix seconds or ISO 8601 */
} FieldType;

typedef struct Field
{
	const char *name;			/* NULL: the table of fields has ended */
	FieldType	type;
	bool		required;
} Field;

typedef struct Kind
{
	const char *name;
	Field		fields[MAX_FIELDS];
} Kind;

#define OF_LISTING	{{"listing", FIELD_ID, true}}

static const Kind kinds[] = {
	{"push_stock", OF_LISTING},
	{"push_price", OF_LISTING},
	{"list", OF_LISTING},
	{"unlist", OF_LISTING},
	{"read_back", OF_LISTING},
	{"ship_order", {{"order_sn", FIELD_TEXT, true}, {"package", FIELD_TEXT, false},
	{"carrier", FIELD_TEXT, false}, {"tracking", FIELD_TEXT, false}}},
	{"cancel_order", {{"order_sn", FIELD_TEXT, true}, {"lines", FIELD_TEXTS, false}, {"reason", FIELD_TEXT, false}}},
	{"fetch_orders", {{"from", FIELD_TIME, false}, {"to", FIELD_TIME, false}, {"order_sn", FIELD_TEXTS, false}}},
	{"fetch_listings", {{NULL}}},
	{"refresh_token", {{NULL}}},
	{"exchange_code", {{NULL}}},
	{"verify", {{NULL}}}
};

static const Kind *
find_kind(const char *name)
{
	for (int i = 0; i < (int) lengthof(kinds); i++)
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	ereport(ERROR,
			(errcode(SS_ERR_BAD_TASK),
			 errmsg("unknown kind of task: \"%s\"", name),
			 errhint("Kinds are push_stock, push_price, list, unlist, read_back, ship_order, cancel_order, "
					 "fetch_orders, fetch_listings, refresh_token, exchange_code and verify.")));
}

static void pg_attribute_noreturn()
refuse_field(const Kind *kind, const char *field, const char *what)
{
	ereport(ERROR,
			(errcode(SS_ERR_BAD_TASK),
			 errmsg("field \"%s\" of a task of kind %s %s", field, kind->name, what)));
}

/* read_id returns the number of a FIELD_ID, 0 when it is none. */
static int64
read_id(const JsonbValue *value)
{
	int64_t		id = 0;

	/* 7.0 and 7e0 are 7, too: without trailing zeros a whole number is written as one */
	if (value->type == jbvNumeric)
		(void) plain_int(numeric_normalize(value->val.numeric), 1, PG_INT64_MAX, &id);
	return id;
}

static bool
is_text(const JsonbValue *value)
{
	return value->type == jbvString && value->val.string.len >= 1 && value->val.string.len <= SS_MAX_TEXT;
}

static bool
are_texts(const JsonbValue *value)
{
	JsonbContainer *array;
	int			n;

	if (value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data) ||
		JsonContainerIsScalar(value->val.binary.data))
		return false;
	array = value->val.binary.data;
	n = JsonContainerSize(array);
	for (int i = 0; i < n && n <= MAX_TEXTS; i++)
		if (!is_text(getIthJsonbValueFromContainer(array, i)))
			return false;
	return n >= 1 && n <= MAX_TEXTS;
}

/* check_field raises unless the value is one of the field's type; returns that of a FIELD_ID, otherwise 0. */
static int64
check_field(const Kind *kind, const Field *field, const JsonbValue *value)
{
	TimestampTz at;
	int64		id = 0;

	switch (field->type)
	{
		case FIELD_ID:
			id = read_id(value);
			if (id == 0)
				refuse_field(kind, field->name, "must be a whole number from 1");
			break;
		case FIELD_TEXT:
			if (!is_text(value))
				refuse_field(kind, field->name, "must be a text of 1 to 200 bytes");
			break;
		case FIELD_TEXTS:
			if (!are_texts(value))
				refuse_field(kind, field->name, "must be an array of 1 to 500 texts of 1 to 200 bytes");
			break;
		case FIELD_TIME:
			if (!order_time_read(value, &at))
				refuse_field(kind, field->name, "must be Unix seconds, or ISO 8601 with a zone");
			break;
	}
	return id;
}

/* check_known raises for a field that the kind does not have. */
static void
check_known(const Kind *kind, JsonbContainer *object)
{
	JsonbIterator *it = JsonbIteratorInit(object);
	JsonbValue	value;
	JsonbIteratorToken token;

	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		bool		known = token != WJB_KEY;

		for (int i = 0; i < MAX_FIELDS && !known && kind->fields[i].name != NULL; i++)
			known = strlen(kind->fields[i].name) == value.val.string.len &&
				memcmp(kind->fields[i].name, value.val.string.val, value.val.string.len) == 0;
		if (!known)
			refuse_field(kind, pnstrdup(value.val.string.val, Min(value.val.string.len, SS_MAX_TEXT)),
						 "is not known");
	}
}

static bool
get_field(JsonbContainer *object, const char *name, JsonbValue *value)
{
	return getKeyJsonValueFromContainer(object, name, (int) strlen(name), value) != NULL;
}

/* check_window: a window has both ends, in order, and no order numbers beside it. */
static void
check_window(const Kind *kind, JsonbContainer *object)
{
	JsonbValue	value;
	TimestampTz from;
	TimestampTz to;
	bool		has_from = get_field(object, "from", &value) && order_time_read(&value, &from);
	bool		has_to = get_field(object, "to", &value) && order_time_read(&value, &to);

	if (has_from != has_to)
		refuse_field(kind, has_from ? "to" : "from", "is missing: a window has two ends");
	if (!has_from)
		return;
	if (get_field(object, "order_sn", &value))
		refuse_field(kind, "order_sn", "cannot stand beside a window");
	if (from >= to)
		refuse_field(kind, "to", "must be later than \"from\"");
}

int64
task_check(const char *name, Jsonb *payload)
{
	const Kind *kind = find_kind(name);
	JsonbContainer *object = &payload->root;
	int64		id = 0;

	if (!JsonContainerIsObject(object))
		ereport(ERROR,
				(errcode(SS_ERR_BAD_TASK),
				 errmsg("payload of a task must be a JSON object")));
	check_known(kind, object);
	for (int i = 0; i < MAX_FIELDS && kind->fields[i].name != NULL; i++)
	{
		const Field *field = &kind->fields[i];
		JsonbValue	value;

		if (get_field(object, field->name, &value))
			id = Max(id, check_field(kind, field, &value));
		else if (field->required)
			refuse_field(kind, field->name, "is missing");
	}
	check_window(kind, object);
	return id;
}

/* task_time(jsonb) returns timestamptz: a FIELD_TIME as task_check takes it. */
Datum
task_time(PG_FUNCTION_ARGS)
{
	Jsonb	   *value = PG_GETARG_JSONB_P(0);
	JsonbValue	scalar;
	TimestampTz at;

	if (!JB_ROOT_IS_SCALAR(value) || !JsonbExtractScalar(&value->root, &scalar) || !order_time_read(&scalar, &at))
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(at);
}
