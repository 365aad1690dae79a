/*
 * shopee_fetch.c
 *		Shopee Open Platform v2: lists of orders, and orders in full. What an
 *		order means stands in shopee_order.c.
 *
 * Pure: no I/O, no state.
 */
#include "shopee.h"

#include <string.h>

const char *
shopee_build_list_orders(const PlatformCall *call, const PlatformAccess *access, PlainBuffer *url, PlainBuffer *body)
{
	if (call->from < 0 || call->to > SHOPEE_MAX_UINT32 || call->from > call->to ||
		call->to - call->from > SHOPEE_MAX_WINDOW)
		return "the window of an order list is empty or over 15 days";
	if (strlen(call->cursor) > SHOPEE_MAX_CURSOR)
		return "the cursor is too long";
	plain_add(url, "&time_range_field=update_time&time_from=");
	plain_add_int(url, call->from);
	plain_add(url, "&time_to=");
	plain_add_int(url, call->to);
	plain_add(url, "&page_size=" SHOPEE_PAGE_SIZE "&cursor=");
	plain_add_query(url, call->cursor);
	/* without the last one, orders that are PENDING are not listed */
	plain_add(url, "&response_optional_fields=order_status&request_order_status_pending=true");
	return NULL;
}

/*
 * Asks for item_list alone beyond the default fields: everything else that a
 * document needs is among them, and no personal data comes.
 */
const char *
shopee_build_get_orders(const PlatformCall *call, const PlatformAccess *access, PlainBuffer *url, PlainBuffer *body)
{
	int			i;

	if (call->n_order_sns < 1 || call->n_order_sns > SHOPEE_MAX_ORDERS)
		return "an order detail call takes 1 to 50 orders";
	for (i = 0; i < call->n_order_sns; i++)
		if (!shopee_order_sn_ok(call->order_sns[i]))
			return "the order number is malformed";
	plain_add(url, "&order_sn_list=");
	for (i = 0; i < call->n_order_sns; i++)
	{
		if (i > 0)
			plain_add(url, "%2C");
		plain_add_query(url, call->order_sns[i]);
	}
	plain_add(url, "&response_optional_fields=item_list&request_order_status_pending=true");
	return NULL;
}

/*
 * shopee_judge_list_orders takes a page of order numbers. A page that says "more"
 * without saying where would end or loop the fetch, so it is no answer.
 */
void
shopee_judge_list_orders(const PlatformCall *call, const cJSON *root, Arena *arena, PlatformAnswer *answer)
{
	const cJSON *response = jread_child(root, "response");
	const cJSON *list = jread_array(response, "order_list");
	const cJSON *more = cJSON_GetObjectItemCaseSensitive(response, "more");
	const char *cursor = jread_text(response, "next_cursor");
	const cJSON *entry;
	int			unreadable = 0;

	cursor = cursor != NULL ? cursor : "";
	answer->more = cJSON_IsBool(more) ? cJSON_IsTrue(more) : *cursor != '\0';
	if (list == NULL ||
		(answer->more && (*cursor == '\0' || strlen(cursor) > SHOPEE_MAX_CURSOR ||
						  strcmp(cursor, call->cursor) == 0)))
	{
		answer->more = false;
		judge_settle(call, answer, OUTCOME_LATER,
			   list == NULL ? "the answer has no order list" : "the answer does not say where the next page starts");
		return;
	}
	judge_settle(call, answer, OUTCOME_OK, "");
	answer->next_cursor = answer->more ? arena_strdup(arena, cursor) : "";
	answer->order_sns = arena_alloc(arena, sizeof(char *) * (size_t) cJSON_GetArraySize(list));
	if (answer->order_sns == NULL)
		return;
	cJSON_ArrayForEach(entry, list)
	{
		const char *order_sn = jread_text(entry, "order_sn");

		if (order_sn != NULL && shopee_order_sn_ok(order_sn))
			answer->order_sns[answer->n_order_sns++] = arena_strdup(arena, order_sn);
		else
			unreadable++;
	}
	if (unreadable > 0)
		answer->message = arena_printf(arena, "%d orders without a readable number", unreadable);
}

void
shopee_judge_get_orders(const PlatformCall *call, const cJSON *root, Arena *arena, PlatformAnswer *answer)
{
	const cJSON *list = jread_array(jread_child(root, "response"), "order_list");

	if (list == NULL)
		judge_settle(call, answer, OUTCOME_LATER, "the answer has no order list");
	else
	{
		judge_settle(call, answer, OUTCOME_OK, "");
		shopee_documents(call, list, arena, answer);
	}
}
