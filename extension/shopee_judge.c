/*
 * shopee_judge.c
 *		Shopee Open Platform v2: what an answer means.
 *
 * The body decides: the platform says in it whether a call failed, and
 * documents no HTTP status. The status counts only where the body is not the
 * platform's envelope: a gateway's page, a cut answer, nothing at all.
 *
 * No success is concluded from silence: a model that neither list names is in
 * doubt.
 *
 * Pure: no I/O, no state. The JSON tree is freed before judge returns;
 * everything in the answer lives in the arena or is constant.
 */
#include "shopee.h"

#include <string.h>

#include "judge.h"
#include "plain.h"

/* A refreshed token lives four hours; more than this is no duration. */
#define MAX_EXPIRES_IN		INT64_C(1000000000)

static const char not_named[] = "the answer does not name this model";

/* find_item returns the place of the model that a list's entry names, -1 when it is none of ours. */
static int
find_item(const cJSON *entry, const int64_t *models, int n)
{
	const char *text = jread_text(entry, "model_id");
	int64_t		model_id = 0;
	int			i;

	/* an item without models may come without the member */
	if (text != NULL ? !shopee_model_id(text, &model_id) :
		!cJSON_IsObject(entry) || jread_has(entry, "model_id"))
		return -1;
	for (i = 0; i < n; i++)
		if (models[i] == model_id)
			return i;
	return -1;
}

/*
 * judge_lists gives the items that the lists of a stock answer name their
 * own outcomes, and then the others doubt; lists that name none change
 * nothing. Returns how many were named.
 */
static int
judge_lists(const PlatformCall *call, const cJSON *response, Arena *arena, PlatformAnswer *answer)
{
	int64_t    *models = arena_alloc(arena, sizeof(int64_t) * (size_t) answer->n_items);
	bool	   *listed = arena_alloc(arena, (size_t) answer->n_items);
	const cJSON *entry;
	int			named = 0;
	int			i;

	if (models == NULL || listed == NULL)
		return 0;
	for (i = 0; i < answer->n_items; i++)
		if (!shopee_model_id(call->items[i].model_id, &models[i]))
			models[i] = -1;
	cJSON_ArrayForEach(entry, jread_array(response, "success_list"))
	{
		i = find_item(entry, models, answer->n_items);
		if (i < 0 || listed[i])
			continue;
		answer->items[i] = (ItemOutcome) {call->items[i].listing_id, OUTCOME_OK, ""};
		listed[i] = true;
		named++;
	}
	cJSON_ArrayForEach(entry, jread_array(response, "failure_list"))
	{
		ItemOutcome *item;
		const char *reason = jread_text(entry, "failed_reason");

		i = find_item(entry, models, answer->n_items);
		if (i < 0 || (listed[i] && answer->items[i].class != OUTCOME_OK))
			continue;
		item = &answer->items[i];
		reason = plain_clean(arena, reason != NULL ? reason : "", SHOPEE_MAX_MESSAGE);
		/* in both lists: some of its warehouses took it, or nobody knows */
		item->class = listed[i] ? OUTCOME_IN_DOUBT : shopee_reason_class(reason);
		item->reason = *reason != '\0' ? judge_text(arena, reason, SHOPEE_MAX_MESSAGE) : "refused without a reason";
		named += !listed[i];
		listed[i] = true;
	}
	for (i = 0; i < answer->n_items && named > 0; i++)
		if (!listed[i])
			answer->items[i] = (ItemOutcome) {call->items[i].listing_id, OUTCOME_IN_DOUBT, not_named};
	return named;
}

/* judge_error judges an envelope whose error is not empty. */
static void
judge_error(const PlatformCall *call, const PlatformReply *reply, const cJSON *root,
			Arena *arena, PlatformAnswer *answer)
{
	const char *message = jread_text(root, "message");
	const char *code = plain_clean(arena, jread_text(root, "error"), SHOPEE_MAX_CODE);
	bool		known;
	OutcomeClass class;

	message = plain_clean(arena, message != NULL ? message : "", SHOPEE_MAX_MESSAGE);
	class = shopee_code_class(code, message, &known);
	if (!known && reply->http_status == 429)
		class = OUTCOME_THROTTLED;
	else if (!known && reply->http_status >= 500)
		class = OUTCOME_IN_DOUBT;
	answer->code = judge_text(arena, code, SHOPEE_MAX_CODE);
	judge_settle(call, answer, class, judge_text(arena, message, SHOPEE_MAX_MESSAGE));

	/* when all models are refused the reasons are in the list as well */
	if (call->kind == CALL_PUSH_STOCK &&
		judge_lists(call, jread_child(root, "response"), arena, answer) > 0)
		judge_sum_up(answer, true);
}

static void
judge_push_stock(const PlatformCall *call, const cJSON *root, Arena *arena, PlatformAnswer *answer)
{
	judge_settle(call, answer, OUTCOME_IN_DOUBT, not_named);
	answer->message = "";
	(void) judge_lists(call, jread_child(root, "response"), arena, answer);
	judge_sum_up(answer, false);
}

/*
 * judge_list_orders takes a page of order numbers. A page that says "more"
 * without saying where would end or loop the fetch, so it is no answer.
 */
static void
judge_list_orders(const PlatformCall *call, const cJSON *root, Arena *arena, PlatformAnswer *answer)
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

static void
judge_get_orders(const PlatformCall *call, const cJSON *root, Arena *arena, PlatformAnswer *answer)
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

/* judge_refresh_token reads a flat answer: the tokens stand beside the error. */
static void
judge_refresh_token(const PlatformCall *call, const cJSON *root, Arena *arena, PlatformAnswer *answer)
{
	const char *access = jread_text(root, "access_token");
	const char *refresh = jread_text(root, "refresh_token");
	int64_t		expires_in;

	if (access == NULL || !plain_visible(access, SHOPEE_MAX_TOKEN) ||
		refresh == NULL || !plain_visible(refresh, SHOPEE_MAX_TOKEN) ||
		!jread_int(root, "expire_in", 1, MAX_EXPIRES_IN, &expires_in))
	{
		/* the old token may be spent */
		judge_settle(call, answer, OUTCOME_IN_DOUBT, "the answer lacks the tokens or their life");
		return;
	}
	judge_settle(call, answer, OUTCOME_OK, "");
	answer->access_token = arena_strdup(arena, access);
	answer->refresh_token = arena_strdup(arena, refresh);
	answer->expires_in = expires_in;
}

/* judge_body judges a body that is JSON; false when it is not the platform's envelope. */
static bool
judge_body(const PlatformCall *call, const PlatformReply *reply, const cJSON *root,
		   Arena *arena, PlatformAnswer *answer)
{
	const char *error = jread_text(root, "error");
	const char *warning = jread_text(root, "warning");

	/* an error of another type, or none and nothing beside it, is somebody else's JSON */
	if (error == NULL && (jread_has(root, "error") ||
						  (jread_child(root, "response") == NULL && !jread_has(root, "access_token"))))
		return false;
	if (error != NULL && *error != '\0')
	{
		judge_error(call, reply, root, arena, answer);
		return true;
	}
	switch ((int) call->kind)
	{
		case CALL_PUSH_STOCK:
			judge_push_stock(call, root, arena, answer);
			break;
		case CALL_LIST_ORDERS:
			judge_list_orders(call, root, arena, answer);
			break;
		case CALL_GET_ORDERS:
			judge_get_orders(call, root, arena, answer);
			break;
		case CALL_REFRESH_TOKEN:
			judge_refresh_token(call, root, arena, answer);
			break;
	}
	if (warning != NULL && answer->message != NULL && *answer->message == '\0')
		answer->message = judge_text(arena, plain_clean(arena, warning, SHOPEE_MAX_MESSAGE), SHOPEE_MAX_MESSAGE);
	return true;
}

void
shopee_judge(const PlatformCall *call, const PlatformReply *reply, Arena *arena,
			 PlatformAnswer *answer)
{
	judge_reply(call, reply, "Shopee", judge_body, arena, answer);
}
