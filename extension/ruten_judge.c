/*
 * ruten_judge.c
 *		Ruten partner API: what an answer means.
 *
 * Success is the word "success" in the body, and nothing else. A refusal is
 * the same envelope with another word, under any HTTP status; where the body
 * is no envelope the status counts. A call that writes is about one item, so
 * that its specs succeed or fail together.
 *
 * Pure: no I/O, no state. Everything in the answer lives in the arena or is
 * constant.
 */
#include "ruten.h"

#include <string.h>

#include "judge.h"

/* judge_refusal judges an envelope that says that the call failed. */
static void
judge_refusal(const PlatformCall *call, const PlatformReply *reply, const cJSON *root,
			  Arena *arena, PlatformAnswer *answer)
{
	const char *code = jread_text(root, "error_code");
	const char *message = jread_text(root, "error_msg");

	code = plain_clean(arena, code != NULL ? code : "", RUTEN_MAX_CODE);
	message = plain_clean(arena, message != NULL ? message : "", RUTEN_MAX_MESSAGE);
	answer->code = judge_text(arena, code, RUTEN_MAX_CODE);
	if (call->kind == CALL_GET_ITEMS && reply->http_status == 404)
	{
		/* there is no such item: that is what was asked */
		judge_settle(call, answer, OUTCOME_OK, judge_text(arena, message, RUTEN_MAX_MESSAGE));
		return;
	}
	judge_settle(call, answer, ruten_class(code, message, reply->http_status),
				 *message != '\0' ? judge_text(arena, message, RUTEN_MAX_MESSAGE) : "refused without a reason");
}

static void
judge_success(const PlatformCall *call, const cJSON *root, Arena *arena, PlatformAnswer *answer)
{
	const cJSON *data = cJSON_GetObjectItemCaseSensitive(root, "data");

	switch ((int) call->kind)
	{
		case CALL_LIST_ITEMS:
			ruten_list_items(call, data, arena, answer);
			break;
		case CALL_GET_ITEMS:
			ruten_get_item(call, data, arena, answer);
			break;
		case CALL_LIST_ORDERS:
			ruten_list_orders(call, data, arena, answer);
			break;
		case CALL_GET_ORDERS:
			ruten_get_orders(call, data, arena, answer);
			break;
		default:
			judge_settle(call, answer, OUTCOME_OK, "");
	}
}

/* is_refusal says whether the envelope's word is one of those that clients have seen for a failure. */
static bool
is_refusal(const char *status)
{
	return strcmp(status, "fail") == 0 || strcmp(status, "failure") == 0 || strcmp(status, "failed") == 0 ||
		strcmp(status, "error") == 0;
}

/* judge_body judges an envelope, or a status that says enough without one; see JudgeBody in judge.h. */
static bool
judge_body(const PlatformCall *call, const PlatformReply *reply, const cJSON *root,
		   Arena *arena, PlatformAnswer *answer)
{
	const char *status = jread_text(root, "status");

	if (status != NULL && strcmp(status, "success") == 0 && reply->http_status >= 200 && reply->http_status < 300)
	{
		judge_success(call, root, arena, answer);
		return true;
	}
	if (status != NULL && is_refusal(status))
	{
		judge_refusal(call, reply, root, arena, answer);
		return true;
	}
	/* without an envelope, but certainly not done */
	if (reply->http_status == 401)
		judge_settle(call, answer, OUTCOME_AUTH, "HTTP status 401: a key was refused");
	else if (reply->http_status == 404)
		judge_settle(call, answer, OUTCOME_LATER, "HTTP status 404, and the body is not an answer of Ruten");
	else
		return false;
	return true;
}

void
ruten_judge(const PlatformCall *call, const PlatformReply *reply, Arena *arena,
			PlatformAnswer *answer)
{
	judge_reply(call, reply, "Ruten", judge_body, arena, answer);
}
