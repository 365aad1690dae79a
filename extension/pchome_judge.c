/*
 * pchome_judge.c
 *		PChome 24h vendor API: what an answer means.
 *
 * A write has succeeded when the status is 204 and at no other: its answer
 * has no body. A read has succeeded when it is 200 with the JSON that was
 * asked for. What was refused carries a code, and is refused whole.
 *
 * Pure: no I/O, no state. The JSON tree is freed before judge returns;
 * everything in the answer lives in the arena or is constant.
 */
#include "pchome.h"

#include <inttypes.h>
#include <string.h>

#include "judge.h"
#include "plain.h"

/* What cannot be done now is asked for again within so many seconds: the platform says no time. */
#define RETRY_LATER			60

/* one_group tells whether a call is about one product: what is said of it is said of all its items. */
static bool
one_group(const PlatformCall *call)
{
	int			i;

	for (i = 1; i < call->n_items; i++)
		if (strcmp(call->items[i].item_id, call->items[0].item_id) != 0)
			return false;
	return true;
}

/*
 * judge_error judges a refusal. "Is so already" is success for one product; of
 * several it is a refusal of the others, and the batch has to be taken apart.
 */
static void
judge_error(const PlatformCall *call, const PlatformReply *reply, const cJSON *root,
			Arena *arena, PlatformAnswer *answer)
{
	const char *message = jread_text(root, "Msg");
	const char *code = plain_clean(arena, jread_text(root, "Code"), PCHOME_MAX_CODE);
	bool		known;
	OutcomeClass class = pchome_code_class(code, &known);

	if (!known && reply->http_status == 429)
		class = OUTCOME_THROTTLED;
	else if (!known && (reply->http_status == 401 || reply->http_status == 403))
		class = OUTCOME_AUTH;
	else if (!known && (reply->http_status < 400 || reply->http_status >= 500))
		class = OUTCOME_IN_DOUBT;
	if (class == OUTCOME_OK && (platform_call_reads(call->kind) || !one_group(call)))
		class = OUTCOME_PERMANENT;
	if (class == OUTCOME_LATER && answer->retry_after < 0)
		answer->retry_after = RETRY_LATER;
	answer->code = judge_text(arena, code, PCHOME_MAX_CODE);
	message = plain_clean(arena, message != NULL && *message != '\0' ? message : "refused without a message",
						  PCHOME_MAX_MESSAGE);
	judge_settle(call, answer, class, judge_text(arena, message, PCHOME_MAX_MESSAGE));
}

/*
 * read_page returns the rows of a list, and where the next page begins. One
 * whose rows do not come to its total would end or loop the walk, so it is no
 * answer.
 */
static const cJSON *
read_page(const PlatformCall *call, const cJSON *root, Arena *arena, PchomePage *page, PlatformAnswer *answer)
{
	const cJSON *rows = jread_array(root, "Rows");
	int64_t		n = cJSON_GetArraySize(rows);
	int64_t		total;

	if (rows == NULL || !jread_int(root, "TotalRows", 0, PCHOME_MAX_OFFSET, &total) ||
		!pchome_read_cursor(call->kind, call->cursor, page))
	{
		judge_settle(call, answer, OUTCOME_LATER, "the answer has no rows or does not say how many there are");
		return NULL;
	}
	if (n == 0 && page->offset <= total)
	{
		judge_settle(call, answer, OUTCOME_LATER, "the answer lacks rows that it says there are");
		return NULL;
	}
	judge_settle(call, answer, OUTCOME_OK, "");
	page->offset += n;
	answer->more = page->offset <= total;
	if (answer->more)
		answer->next_cursor = arena_printf(arena, "%" PRId64, page->offset);
	return rows;
}

/* tell_unreadable says how many rows were of no use. */
static void
tell_unreadable(Arena *arena, PlatformAnswer *answer, int unreadable)
{
	if (unreadable > 0)
		answer->message = arena_printf(arena, "%d rows without a readable id", unreadable);
}

static void
judge_list_orders(const PlatformCall *call, const cJSON *root, Arena *arena, PlatformAnswer *answer)
{
	PchomePage	page;
	const cJSON *rows = read_page(call, root, arena, &page, answer);
	const cJSON *row;
	PchomeRecord record;
	int			unreadable = 0;

	if (rows == NULL)
		return;
	answer->order_sns = arena_alloc(arena, sizeof(char *) * (size_t) (cJSON_GetArraySize(rows) + 1));
	if (answer->order_sns == NULL)
		return;
	cJSON_ArrayForEach(row, rows)
	{
		const char *id = jread_text(row, "Id");

		if (id != NULL && pchome_read_record(id, &record))
			answer->order_sns[answer->n_order_sns++] = arena_strdup(arena, id);
		else
			unreadable++;
	}
	tell_unreadable(arena, answer, unreadable);
}

/* has_item tells whether a page names an item already: specs of one group are rows of their own. */
static bool
has_item(const PlatformAnswer *answer, const char *item_id)
{
	int			i;

	for (i = 0; i < answer->n_item_ids; i++)
		if (strcmp(answer->item_ids[i], item_id) == 0)
			return true;
	return false;
}

static void
judge_list_items(const PlatformCall *call, const cJSON *root, Arena *arena, PlatformAnswer *answer)
{
	PchomePage	page;
	const cJSON *rows = read_page(call, root, arena, &page, answer);
	const cJSON *row;
	int			unreadable = 0;

	if (rows == NULL)
		return;
	if (cJSON_GetArraySize(rows) > PCHOME_PRODUCT_PAGE)
	{
		answer->more = false;
		answer->next_cursor = "";
		judge_settle(call, answer, OUTCOME_LATER, "the answer has more rows than were asked for");
		return;
	}
	answer->item_ids = arena_alloc(arena, sizeof(char *) * PCHOME_PRODUCT_PAGE);
	if (answer->item_ids == NULL)
		return;
	cJSON_ArrayForEach(row, rows)
	{
		const char *group = jread_text(row, "GroupId");

		if (group == NULL || !pchome_group_ok(group))
			unreadable++;
		else if (!has_item(answer, group))
		{
			const char *copy = arena_strdup(arena, group);

			if (copy == NULL)
				return;
			answer->item_ids[answer->n_item_ids++] = copy;
		}
	}
	tell_unreadable(arena, answer, unreadable);
}

/*
 * judge_list_returns takes a page of returns of one state; after the last of a
 * state comes the next state's first. The list has ids alone: whose goods they
 * are is in the detail, whose fields are not documented to us. An id that reads
 * as that of an order's record is taken for it; where there is no such order it
 * is nobody's.
 */
static void
judge_list_returns(const PlatformCall *call, const cJSON *root, Arena *arena, PlatformAnswer *answer)
{
	PchomePage	page;
	const cJSON *rows = read_page(call, root, arena, &page, answer);
	const cJSON *row;
	PchomeRecord record;
	PlainBuffer out;
	int			unreadable = 0;

	if (rows == NULL)
		return;
	if (!answer->more && page.state + 1 < PCHOME_RETURN_STATES)
	{
		answer->more = true;
		answer->next_cursor = arena_printf(arena, "%s/1", pchome_return_states[page.state + 1]);
	}
	else if (answer->more)
		answer->next_cursor = arena_printf(arena, "%s/%" PRId64, pchome_return_states[page.state], page.offset);
	plain_begin(&out, arena, 1024);
	plain_add(&out, "[");
	cJSON_ArrayForEach(row, rows)
	{
		const char *id = jread_text(row, "Id");

		if (id == NULL || !plain_visible(id, PCHOME_MAX_ID))
		{
			unreadable++;
			continue;
		}
		plain_add(&out, answer->n_documents > 0 ? ",{\"return_id\":" : "{\"return_id\":");
		plain_add_json(&out, id);
		if (pchome_read_record(id, &record))
		{
			plain_add(&out, ",\"order_sn\":");
			plain_add_json(&out, record.order_sn);
			plain_add(&out, ",\"line_id\":");
			plain_add_json(&out, record.line_id);
		}
		else
			plain_add(&out, ",\"order_sn\":null,\"line_id\":null");
		plain_add(&out, ",\"qty\":null,\"state\":\"");
		plain_add(&out, pchome_return_states[page.state]);
		plain_add(&out, "\",\"open\":true}");
		answer->n_documents++;
	}
	plain_add(&out, "]");
	answer->documents = plain_finish(&out);
	tell_unreadable(arena, answer, unreadable);
}

/* judge_read judges a read's answer with status 200. */
static void
judge_read(const PlatformCall *call, const cJSON *root, Arena *arena, PlatformAnswer *answer)
{
	switch ((int) call->kind)
	{
		case CALL_LIST_ORDERS:
			judge_list_orders(call, root, arena, answer);
			return;
		case CALL_LIST_ITEMS:
			judge_list_items(call, root, arena, answer);
			return;
		case CALL_LIST_RETURNS:
			judge_list_returns(call, root, arena, answer);
			return;
	}
	if (!cJSON_IsArray(root))
	{
		judge_settle(call, answer, OUTCOME_LATER, "the answer is no list");
		return;
	}
	judge_settle(call, answer, OUTCOME_OK, "");
	if (call->kind == CALL_GET_ORDERS)
		pchome_documents(call, root, arena, answer);
	else
		pchome_shown(call, root, arena, answer);
}

/* judge_body judges by code, status and shape; false when it is not the platform's answer. */
static bool
judge_body(const PlatformCall *call, const PlatformReply *reply, const cJSON *root,
		   Arena *arena, PlatformAnswer *answer)
{
	if (!reply->complete)
		return false;
	if (jread_text(root, "Code") != NULL)
	{
		judge_error(call, reply, root, arena, answer);
		return true;
	}
	if (reply->http_status == 401 || reply->http_status == 403)
	{
		judge_settle(call, answer, OUTCOME_AUTH, "the platform lets this address not in: has it been registered there?");
		return true;
	}
	if (!platform_call_reads(call->kind))
	{
		if (reply->http_status != 204)
			return false;
		judge_settle(call, answer, OUTCOME_OK, "");
		return true;
	}
	if (reply->http_status != 200 || root == NULL)
		return false;
	judge_read(call, root, arena, answer);
	return true;
}

void
pchome_judge(const PlatformCall *call, const PlatformReply *reply, Arena *arena,
			 PlatformAnswer *answer)
{
	judge_reply(call, reply, "PChome", judge_body, arena, answer);
}
