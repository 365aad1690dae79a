/*
 * shopee_token.c
 *		Shopee Open Platform v2: the page where a seller lets the application
 *		in, and the tokens of an authorised shop, the first ones and the next
 *		ones.
 *
 * A code and a refresh token work once. Pure: no I/O, no state.
 */
#include "shopee.h"

/* An access token lives four hours. */
#define ACCESS_LIFE			14400
/* More than this is no duration but the moment of its end, as one sample of the documents has it. */
#define MAX_EXPIRES_IN		INT64_C(1000000000)

/* add_grant writes the body of either call: what is handed in, the application and the shop. */
static void
add_grant(PlainBuffer *body, const char *name, const char *value, const PlatformAccess *access)
{
	plain_add(body, "{");
	plain_add_json(body, name);
	plain_add(body, ":");
	plain_add_json(body, value);
	plain_add(body, ",\"partner_id\":");
	plain_add(body, access->partner_id);
	plain_add(body, ",\"shop_id\":");
	plain_add(body, access->shop_id);
	plain_add(body, "}");
}

const char *
shopee_build_get_token(const PlatformCall *call, const PlatformAccess *access,
					   PlainBuffer *url, PlainBuffer *body)
{
	if (access->auth_code == NULL)
		return "there is no code of an authorisation";
	if (!plain_visible(access->auth_code, SHOPEE_MAX_TOKEN))
		return "the code of the authorisation is malformed";
	add_grant(body, "code", access->auth_code, access);
	return NULL;
}

const char *
shopee_build_refresh_token(const PlatformCall *call, const PlatformAccess *access,
						   PlainBuffer *url, PlainBuffer *body)
{
	if (access->refresh_token == NULL)
		return "credential refresh_token is missing";
	if (!plain_visible(access->refresh_token, SHOPEE_MAX_TOKEN))
		return "credential refresh_token is malformed";
	add_grant(body, "refresh_token", access->refresh_token, access);
	return NULL;
}

const char *
shopee_authorization_url(const PlatformAccess *access, const char *redirect, bool cancel,
						 Arena *arena, const char **error)
{
	const char *path = cancel ? "/api/v2/shop/cancel_auth_partner" : "/api/v2/shop/auth_partner";
	PlainBuffer url = {0};
	char	   *text;

	*error = shopee_check_access(access, SHOPEE_APP);
	if (*error == NULL && !plain_visible(redirect, SHOPEE_MAX_TOKEN))
		*error = "the address to return to is no visible ASCII text of 1 to 2048 characters";
	if (*error != NULL)
		return NULL;
	if (!shopee_begin_url(&url, arena, access, path, SHOPEE_APP))
	{
		*error = "could not sign the request";
		return NULL;
	}
	plain_add(&url, "&redirect=");
	plain_add_query(&url, redirect);
	text = plain_finish(&url);
	if (text == NULL)
		*error = "the request does not fit into memory";
	return text;
}

/* shopee_judge_token reads a flat answer: the tokens stand beside the error. */
void
shopee_judge_token(const PlatformCall *call, const cJSON *root, Arena *arena, PlatformAnswer *answer)
{
	const char *access = jread_text(root, "access_token");
	const char *refresh = jread_text(root, "refresh_token");
	int64_t		expires_in;

	if (access == NULL || !plain_visible(access, SHOPEE_MAX_TOKEN) ||
		refresh == NULL || !plain_visible(refresh, SHOPEE_MAX_TOKEN) ||
		!jread_int(root, "expire_in", 1, INT64_MAX, &expires_in))
	{
		/* what was handed in may be spent */
		judge_settle(call, answer, OUTCOME_IN_DOUBT, "the answer lacks the tokens or their life");
		return;
	}
	answer->access_token = arena_strdup(arena, access);
	answer->refresh_token = arena_strdup(arena, refresh);
	answer->expires_in = expires_in > MAX_EXPIRES_IN ? ACCESS_LIFE : expires_in;
}

/* shopee_judge_shop_info reads a flat answer: when the shop's owner wanted the authorisation to end. */
void
shopee_judge_shop_info(const PlatformCall *call, const cJSON *root, Arena *arena, PlatformAnswer *answer)
{
	if (!jread_int(root, "expire_time", 0, SHOPEE_MAX_UINT32, &answer->authorization_ends))
		answer->authorization_ends = 0;
}
