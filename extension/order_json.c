/*
 * order_json.c
 *		What is said about a document and its lines: details of answers and
 *		lines of the history, as jsonb.
 */
#include "storesync.h"

#include "utils/builtins.h"
#include "utils/numeric.h"

#include "order_part.h"

static const char *const state_names[] = {
	"parked", "short", "reserved", "shipped", "restocked", "cancelled", "kept", "lapsed"
};

const char *
order_state_name(LineState state)
{
	return state_names[state];
}

LineState
order_state_find(const char *name)
{
	for (int i = 0; i < (int) lengthof(state_names); i++)
		if (strcmp(state_names[i], name) == 0)
			return (LineState) i;
	elog(ERROR, "unknown state of an order line \"%s\"", name);
}

static void
push_string(JsonbParseState **state, JsonbIteratorToken token, const char *string, int length)
{
	JsonbValue	value;

	value.type = jbvString;
	value.val.string.val = (char *) string;
	value.val.string.len = length;
	(void) pushJsonbValue(state, token, &value);
}

static void
push_text(JsonbParseState **state, const char *key, const text *string)
{
	JsonbValue	null = {.type = jbvNull};

	push_string(state, WJB_KEY, key, strlen(key));
	if (string == NULL)
		(void) pushJsonbValue(state, WJB_VALUE, &null);
	else
		push_string(state, WJB_VALUE, VARDATA_ANY(string), VARSIZE_ANY_EXHDR(string));
}

static void
push_word(JsonbParseState **state, const char *key, const char *word)
{
	push_string(state, WJB_KEY, key, strlen(key));
	push_string(state, WJB_VALUE, word, strlen(word));
}

static void
push_int(JsonbParseState **state, const char *key, int64 number)
{
	JsonbValue	value;

	push_string(state, WJB_KEY, key, strlen(key));
	value.type = jbvNumeric;
	value.val.numeric = order_to_numeric(number);
	(void) pushJsonbValue(state, WJB_VALUE, &value);
}

/* push_parts adds where a line has its units, when it is more than one SKU at one place. */
static void
push_parts(JsonbParseState **state, const OrderLine *line)
{
	Jsonb	   *parts = order_part_json(line);
	JsonbValue	value;

	if (parts == NULL)
		return;
	push_string(state, WJB_KEY, "parts", strlen("parts"));
	value.type = jbvBinary;
	value.val.binary.data = &parts->root;
	value.val.binary.len = VARSIZE(parts) - VARHDRSZ;
	(void) pushJsonbValue(state, WJB_VALUE, &value);
}

/* line_reason says in words what is the matter with a line, NULL when nothing is. */
static text *
line_reason(const OrderLine *line)
{
	if (line->missing == 0)
		return line->reason;
	return cstring_to_text(psprintf("short by %lld units%s%s", (long long) line->missing,
									line->reason == NULL ? "" : "; ",
									line->reason == NULL ? "" : text_to_cstring(line->reason)));
}

/*
 * push_detail adds what an answer says of a line, in the order in which jsonb
 * keeps keys, shorter ones first: what is sorted need not be.
 * booked: units it keeps off the shelf.
 */
static void
push_detail(JsonbParseState **state, const OrderLine *line, text *reason)
{
	(void) pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
	push_int(state, "qty", line->qty);
	push_parts(state, line);
	push_word(state, "state", order_state_name(line->state));
	push_int(state, "booked", line->reserved + line->shipped - line->restocked);
	push_text(state, "reason", reason);
	push_text(state, "line_id", line->line_id);
	(void) pushJsonbValue(state, WJB_END_OBJECT, NULL);
}

void
order_answer_lines(OrderPage *page, int d, const char *outcome)
{
	const OrderDoc *doc = &page->docs[d];
	const Order *order = &page->orders[page->order_of[d]];
	text	   *stale = strcmp(outcome, "stale") == 0 ? cstring_to_text("a newer document is booked") : NULL;
	JsonbParseState *state = NULL;

	(void) pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
	for (int i = 0; i < doc->nlines; i++)
	{
		OrderLine  *line = order_line_find(order, doc->lines[i].line_id);

		if (line != NULL)
			push_detail(&state, line, stale != NULL ? stale : line_reason(line));
	}
	page->answers[d].outcome = outcome;
	page->answers[d].detail = JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_ARRAY, NULL));
}

void
order_answer_reject(OrderPage *page, int d, const char *reason)
{
	JsonbParseState *state = NULL;

	(void) pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	push_word(&state, "reason", reason);
	page->answers[d].outcome = "rejected";
	page->answers[d].detail = JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

/* holds_what_is_live: reserved, and as many units as are ordered and not cancelled; the history need not say so. */
static bool
holds_what_is_live(const OrderLine *line)
{
	return line->state == LINE_RESERVED && line->reserved == line->qty - line->cancelled_qty;
}

/* order_history_lines says how lines stand, keys as in push_detail; their status where it is not their order's. */
Jsonb *
order_history_lines(OrderLine **lines, int n, const char *order_status)
{
	JsonbParseState *state = NULL;

	(void) pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
	for (int i = 0; i < n; i++)
	{
		const OrderLine *line = lines[i];

		(void) pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
		push_int(&state, "qty", line->qty);
		if (line->lost > 0)
			push_int(&state, "lost", line->lost);
		push_parts(&state, line);
		if (line->missing > 0)
			push_int(&state, "short", line->missing);
		push_word(&state, "state", order_state_name(line->state));
		if (strcmp(order_status_name(line->status), order_status) != 0)
			push_word(&state, "status", order_status_name(line->status));
		push_text(&state, "line_id", line->line_id);
		if (line->shipped > 0)
			push_int(&state, "shipped", line->shipped);
		if (line->reserved > 0 && !holds_what_is_live(line))
			push_int(&state, "reserved", line->reserved);
		if (line->restocked > 0)
			push_int(&state, "restocked", line->restocked);
		if (line->cancelled_qty > 0)
			push_int(&state, "cancelled_qty", line->cancelled_qty);
		(void) pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	}
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_ARRAY, NULL));
}
