/*
 * order_part.c
 *		The parts of an order line, from and to column `parts`
 *		(order_part.h). Nothing is moved here.
 *
 * jsonb, because lines are written as one array per column, and an array of
 * arrays would be flattened by unnest.
 */
#include "storesync.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#include "order_part.h"

/* The fields of a part, by their names in `parts`. */
static const char *const fields[] = {"sku_id", "location_id", "per", "reserved", "shipped", "back"};

static void
set_field(LinePart *part, int field, int64 value)
{
	switch (field)
	{
		case 0:
			part->sku_id = value;
			break;
		case 1:
			part->location_id = (int32) value;
			break;
		case 2:
			part->per = value;
			break;
		case 3:
			part->reserved = value;
			break;
		case 4:
			part->shipped = value;
			break;
		case 5:
			part->back = value;
			break;
	}
}

static void
read_part(JsonbValue *object, LinePart *part)
{
	JsonbValue	value;

	memset(part, 0, sizeof(LinePart));
	if (object->type != jbvBinary || !JsonContainerIsObject(object->val.binary.data))
		elog(ERROR, "part of an order line is no object");
	for (int f = 0; f < (int) lengthof(fields); f++)
		if (getKeyJsonValueFromContainer(object->val.binary.data, fields[f], strlen(fields[f]), &value) != NULL &&
			value.type == jbvNumeric)
			set_field(part, f, DatumGetInt64(DirectFunctionCall1(numeric_int8, NumericGetDatum(value.val.numeric))));
}

/* own_part is the one part of a line that has no others. */
static LinePart
own_part(const OrderLine *line)
{
	return (LinePart) {line->sku_id, line->location_id, 1, line->reserved, line->shipped, line->restocked};
}

void
order_part_read(OrderLine *line, Jsonb *parts)
{
	line->nparts = 0;
	line->parts = NULL;
	if (parts != NULL)
	{
		line->parts = palloc(sizeof(LinePart) * Max(JB_ROOT_COUNT(parts), 1));
		for (uint32 i = 0; i < JB_ROOT_COUNT(parts); i++)
			read_part(getIthJsonbValueFromContainer(&parts->root, i), &line->parts[line->nparts++]);
	}
	else if (line->sku_id != 0)
	{
		line->parts = palloc(sizeof(LinePart));
		line->parts[line->nparts++] = own_part(line);
	}
}

/* is_own: the line's columns say all that its parts do. */
static bool
is_own(const OrderLine *line)
{
	return line->nparts == 0 || (line->nparts == 1 && line->parts[0].sku_id == line->sku_id);
}

static void
push_number(JsonbParseState **state, const char *key, int64 number)
{
	JsonbValue	value;

	value.type = jbvString;
	value.val.string.val = (char *) key;
	value.val.string.len = strlen(key);
	(void) pushJsonbValue(state, WJB_KEY, &value);
	value.type = jbvNumeric;
	value.val.numeric = int64_to_numeric(number);
	(void) pushJsonbValue(state, WJB_VALUE, &value);
}

Jsonb *
order_part_json(const OrderLine *line)
{
	JsonbParseState *state = NULL;

	if (is_own(line))
		return NULL;
	(void) pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
	for (int i = 0; i < line->nparts; i++)
	{
		const LinePart *part = &line->parts[i];
		int64		values[] = {part->sku_id, part->location_id, part->per, part->reserved, part->shipped, part->back};

		(void) pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
		for (int f = 0; f < (int) lengthof(fields); f++)
			if (values[f] != 0)
				push_number(&state, fields[f], values[f]);
		(void) pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	}
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_ARRAY, NULL));
}

void
order_part_compose(OrderLine *line, const StockComponent *components, int n)
{
	if (line->reserved > 0 || line->shipped > 0 || !is_own(line))
		return;
	line->parts = palloc(sizeof(LinePart) * Max(n, 1));
	line->nparts = 0;
	for (int i = 0; i < n; i++)
		if (components[i].qty > 0)
			line->parts[line->nparts++] = (LinePart) {.sku_id = components[i].sku_id, .per = components[i].qty};
	if (line->nparts == 0)
		line->parts[line->nparts++] = own_part(line);
	else
		line->location_id = 0;
}

void
order_part_places(PageStore *store, Datum locations)
{
	Datum	   *elements;

	deconstruct_array(DatumGetArrayTypeP(locations), INT4OID, sizeof(int32), true, TYPALIGN_INT,
					  &elements, NULL, &store->nlocations);
	store->locations = palloc(sizeof(int32) * Max(store->nlocations, 1));
	for (int i = 0; i < store->nlocations; i++)
		store->locations[i] = DatumGetInt32(elements[i]);
}
