/*
 * shopee_return.c
 *		Shopee Open Platform v2: requests to return goods or money.
 *
 * A request is a request: goods are back when somebody has received them, and
 * nothing here says so. It does not change the state of an order that is
 * completed, so the lists of orders never tell of it.
 *
 * Pure: no I/O, no state.
 */
#include "shopee.h"

#include <inttypes.h>
#include <string.h>

#define RETURN_PAGE		"100"
#define MAX_PAGE		INT64_C(100000)
#define MAX_WORD		40
#define MAX_UNITS		INT64_C(1000000000000)

static bool
read_page(const char *cursor, int64_t *page)
{
	*page = 0;
	return *cursor == '\0' || plain_int(cursor, 0, MAX_PAGE, page);
}

const char *
shopee_build_list_returns(const PlatformCall *call, const PlatformAccess *access, PlainBuffer *url, PlainBuffer *body)
{
	int64_t		page;

	if (call->from < 0 || call->to > SHOPEE_MAX_UINT32 || call->from > call->to ||
		call->to - call->from > SHOPEE_MAX_WINDOW)
		return "the window of a list of returns is empty or over 15 days";
	if (!read_page(call->cursor, &page))
		return "the cursor is not the number of a page";
	plain_add(url, "&page_no=");
	plain_add_int(url, page);
	plain_add(url, "&page_size=" RETURN_PAGE "&update_time_from=");
	plain_add_int(url, call->from);
	plain_add(url, "&update_time_to=");
	plain_add_int(url, call->to);
	return NULL;
}

/* is_open tells whether goods may still come back: not of a request that is over, nor of one for money alone. */
static bool
is_open(const cJSON *entry, const char *status)
{
	const char *solution = jread_text(entry, "return_solution");

	if (strcmp(status, "CANCELLED") == 0 || strcmp(status, "CLOSED") == 0)
		return false;
	return solution == NULL || (strcmp(solution, "1") != 0 && strcmp(solution, "REFUND") != 0);
}

/* add_document appends what is asked to be returned of one line; item NULL: nobody says of which. */
static bool
add_document(PlainBuffer *out, const cJSON *entry, const char *status, const cJSON *item, int before)
{
	int64_t		item_id = 0;
	int64_t		model_id = 0;
	int64_t		amount = 0;

	if (item != NULL &&
		(!jread_int(item, "item_id", 1, INT64_MAX, &item_id) || !jread_int(item, "amount", 1, MAX_UNITS, &amount) ||
		 (jread_has(item, "model_id") && !jread_int(item, "model_id", 0, INT64_MAX, &model_id))))
		return false;
	plain_add(out, before > 0 ? ",{\"return_id\":" : "{\"return_id\":");
	plain_add_json(out, jread_text(entry, "return_sn"));
	plain_add(out, ",\"order_sn\":");
	plain_add_json(out, jread_text(entry, "order_sn"));
	plain_add(out, ",\"line_id\":");
	if (item == NULL)
		plain_add(out, "null,\"qty\":null");
	else
	{
		plain_add(out, "\"");
		plain_add_int(out, item_id);
		plain_add(out, "/");
		plain_add_int(out, model_id);
		plain_add(out, "\",\"qty\":");
		plain_add_int(out, amount);
	}
	plain_add(out, ",\"state\":");
	plain_add_json(out, status);
	plain_add(out, is_open(entry, status) ? ",\"open\":true}" : ",\"open\":false}");
	return true;
}

/* add_entry appends a request's documents; false when it cannot be understood, or one of its items cannot. */
static bool
add_entry(PlainBuffer *out, const cJSON *entry, PlatformAnswer *answer)
{
	const char *return_sn = jread_text(entry, "return_sn");
	const char *order_sn = jread_text(entry, "order_sn");
	const char *status = jread_text(entry, "status");
	const cJSON *items = jread_array(entry, "item");
	const cJSON *item;
	bool		understood = true;

	if (return_sn == NULL || !plain_visible(return_sn, SHOPEE_MAX_ORDER_SN) ||
		order_sn == NULL || !shopee_order_sn_ok(order_sn) || status == NULL || !plain_visible(status, MAX_WORD))
		return false;
	if (cJSON_GetArraySize(items) == 0)
	{
		answer->n_documents += add_document(out, entry, status, NULL, answer->n_documents);
		return true;
	}
	cJSON_ArrayForEach(item, items)
	{
		if (add_document(out, entry, status, item, answer->n_documents))
			answer->n_documents++;
		else
			understood = false;
	}
	return understood;
}

void
shopee_judge_list_returns(const PlatformCall *call, const cJSON *root, Arena *arena, PlatformAnswer *answer)
{
	const cJSON *response = jread_child(root, "response");
	const cJSON *list = jread_array(response, "return");
	const cJSON *entry;
	PlainBuffer out;
	int64_t		page;
	int			unreadable = 0;

	if (list == NULL || !read_page(call->cursor, &page))
	{
		judge_settle(call, answer, OUTCOME_LATER, "the answer has no list of returns");
		return;
	}
	judge_settle(call, answer, OUTCOME_OK, "");
	/* an empty page that says there are more would have us ask for ever */
	answer->more = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(response, "more")) &&
		cJSON_GetArraySize(list) > 0 && page < MAX_PAGE;
	answer->next_cursor = answer->more ? arena_printf(arena, "%" PRId64, page + 1) : "";
	plain_begin(&out, arena, 1024);
	plain_add(&out, "[");
	cJSON_ArrayForEach(entry, list)
		unreadable += !add_entry(&out, entry, answer);
	plain_add(&out, "]");
	answer->documents = plain_finish(&out);
	if (unreadable > 0)
		answer->message = arena_printf(arena, "%d requests that could not be understood whole", unreadable);
}
