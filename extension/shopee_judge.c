/*
 * shopee_judge.c
 *		Shopee Open Platform v2: what an answer means.
 *
 * The body decides: the platform says in it whether a call failed, and
 * documents no HTTP status. The status counts only where the body is not the
 * platform's envelope: a gateway's page, a cut answer, nothing at all. What
 * an answer without an error brings is each call's own to read.
 *
 * Pure: no I/O, no state.
 */
#include "shopee.h"

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
	answer->application = class == OUTCOME_AUTH && shopee_refuses_application(code, message);
	judge_settle(call, answer, class, judge_text(arena, message, SHOPEE_MAX_MESSAGE));

	/* when all items are refused the reasons are in the list as well */
	if (answer->n_items > 0 &&
		shopee_judge_lists(call, jread_child(root, "response"), arena, answer) > 0)
		judge_sum_up(answer, true);
}

/* judge_body judges a body that is JSON; false when it is not the platform's envelope. */
static bool
judge_body(const PlatformCall *call, const PlatformReply *reply, const cJSON *root,
		   Arena *arena, PlatformAnswer *answer)
{
	const ShopeeCall *kind = shopee_call(call->kind);
	const char *error = jread_text(root, "error");
	const char *warning = jread_text(root, "warning");

	/* an error of another type, or none and nothing beside it, is somebody else's JSON */
	if (kind == NULL || (error == NULL && (jread_has(root, "error") ||
						  (jread_child(root, "response") == NULL && !jread_has(root, "access_token")))))
		return false;
	if (error != NULL && *error != '\0')
	{
		judge_error(call, reply, root, arena, answer);
		return true;
	}
	/* no error is no success where the status says another thing; but tokens are never thrown away */
	if ((reply->http_status < 200 || reply->http_status > 299) && !jread_has(root, "access_token"))
		return false;
	judge_settle(call, answer, OUTCOME_OK, "");
	if (kind->judge != NULL)
		kind->judge(call, root, arena, answer);
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
