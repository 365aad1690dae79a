/*
 * ruten_push.c
 *		Ruten partner API: notifications.
 *
 * They carry the headers of a request, signed the same way over the URL that
 * the platform was given. Only what is signed is looked at, and it is a hint:
 * whoever acts asks the platform. Signature and key are compared in constant
 * time.
 */
#include "ruten.h"

#include <string.h>

#include "judge.h"
#include "sign.h"

/* check_signed says what is wrong with the headers of a notification, NULL when it was signed for the access. */
static const char *
check_signed(const PlatformPush *push, const PlatformAccess *access, Arena *arena, PushHint *hint)
{
	const char *wrong = ruten_check_access(access);
	const char *signature;

	if (wrong != NULL)
		return wrong;
	if (push->url == NULL || push->key == NULL || push->authorization == NULL || push->timestamp == NULL)
		return "a header of the notification is missing";
	if (!plain_int(push->timestamp, 0, INT64_MAX, &hint->sent_at))
		return "the time of the notification is not a number";
	if (!sign_same(push->key, access->api_key))
		return "the notification names another key";
	signature = ruten_signature(arena, access, push->url, push->body != NULL ? push->body : "",
								push->body != NULL ? push->body_length : 0, push->timestamp);
	if (signature == NULL)
		return "could not check the signature";
	if (!sign_same(push->authorization, signature))
		return "the signature of the notification is wrong";
	hint->genuine = true;
	if (access->now - hint->sent_at > RUTEN_MAX_SKEW || hint->sent_at - access->now > RUTEN_MAX_SKEW)
		return "the notification is too old, or from the future";
	return NULL;
}

/* read_hint reads a body; false when it is no notification. */
static bool
read_hint(const PlatformPush *push, Arena *arena, PushHint *hint)
{
	cJSON	   *root = jread_parse(push->body, push->body_length);
	const char *action = jread_text(root, "action_type");
	const char *order_sn = jread_text(root, "order_no");
	bool		ok = action != NULL;

	/* the query API calls it so */
	order_sn = order_sn != NULL ? order_sn : jread_text(root, "order_id");
	if (ok)
		hint->code = judge_text(arena, plain_clean(arena, action, RUTEN_MAX_CODE), RUTEN_MAX_CODE);
	if (ok && order_sn != NULL && ruten_order_sn_ok(order_sn))
	{
		/* whatever the action is called: asking for an order once more does no harm */
		hint->kind = PUSH_ORDER;
		hint->order_sn = arena_strdup(arena, order_sn);
	}
	cJSON_Delete(root);
	return ok;
}

/* ruten_read_push checks and reads a notification; see Platform in platform.h. */
bool
ruten_read_push(const PlatformPush *push, const PlatformAccess *access, Arena *arena,
				PushHint *hint, const char **error)
{
	static const PushHint none = {
		.kind = PUSH_OTHER, .code = "", .shop_id = "", .order_sn = "", .item_id = "", .model_id = "", .reserved = -1
	};
	PushHint	read = none;
	const char *wrong = check_signed(push, access, arena, &read);

	if (wrong == NULL && !read_hint(push, arena, &read))
		wrong = "the body is not a notification of Ruten";
	if (wrong == NULL && arena_failed(arena))
		wrong = "the notification does not fit into memory";
	*hint = wrong == NULL ? read : none;
	hint->genuine = read.genuine;
	*error = wrong;
	return wrong == NULL;
}
