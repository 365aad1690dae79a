/*
 * platform.c
 *		The list of marketplaces, and what is the same for all of them.
 *
 * A new platform is one more file with a Platform in it and one more line in
 * `platforms`. Free of PostgreSQL headers, no state.
 */
#include "platform.h"

#include <string.h>

#include "plain.h"

static const Platform *const platforms[] = {
	&platform_shopee,
	&platform_ruten,
	&platform_pchome,
	NULL
};

const char *
outcome_name(OutcomeClass class)
{
	switch (class)
	{
		case OUTCOME_OK:
			return "ok";
		case OUTCOME_PARTIAL:
			return "partial";
		case OUTCOME_THROTTLED:
			return "throttled";
		case OUTCOME_QUOTA:
			return "quota";
		case OUTCOME_AUTH:
			return "auth";
		case OUTCOME_LATER:
			return "later";
		case OUTCOME_PERMANENT:
			return "permanent";
		case OUTCOME_IN_DOUBT:
			break;
	}
	return "in_doubt";
}

/* Of a call: its name, and what it does. In the order of CallKind. */
static const struct
{
	const char *name;
	bool		reads;
	bool		has_items;
}			kinds[CALL_KINDS] = {
	[CALL_PUSH_STOCK] = {"push_stock", false, true},
	[CALL_LIST_ORDERS] = {"list_orders", true, false},
	[CALL_GET_ORDERS] = {"get_orders", true, false},
	[CALL_REFRESH_TOKEN] = {"refresh_token", false, false},
	[CALL_GET_TOKEN] = {"get_token", false, false},
	[CALL_PUSH_PRICE] = {"push_price", false, true},
	[CALL_SET_LISTED] = {"set_listed", false, true},
	[CALL_LIST_ITEMS] = {"list_items", true, false},
	[CALL_GET_ITEMS] = {"get_items", true, false},
	[CALL_GET_MODELS] = {"get_models", true, false},
	[CALL_SHIP_INFO] = {"ship_info", true, false},
	[CALL_SHIP] = {"ship", false, false},
	[CALL_CANCEL_LINES] = {"cancel_lines", false, false},
	[CALL_LIST_RETURNS] = {"list_returns", true, false},
	[CALL_LOST_PUSHES] = {"lost_pushes", true, false},
	[CALL_CONFIRM_PUSHES] = {"confirm_pushes", false, false},
	[CALL_SHOP_INFO] = {"shop_info", true, false},
};

bool
platform_call_reads(CallKind kind)
{
	return kinds[kind].reads;
}

bool
platform_call_has_items(CallKind kind)
{
	return kinds[kind].has_items;
}

const char *
platform_call_name(CallKind kind)
{
	return kinds[kind].name;
}

const Platform *
platform_find(const char *name)
{
	const Platform *const *p;

	for (p = platforms; *p != NULL; p++)
		if (strcmp((*p)->name, name) == 0)
			return *p;
	return NULL;
}

const Platform *const *
platform_all(void)
{
	return platforms;
}

/* redact_all removes every secret of one access from one text. */
static const char *
redact_all(Arena *arena, const char *text, const PlatformAccess *access)
{
	text = plain_redact_secret(arena, text, access->partner_key);
	text = plain_redact_secret(arena, text, access->access_token);
	text = plain_redact_secret(arena, text, access->refresh_token);
	text = plain_redact_secret(arena, text, access->auth_code);
	text = plain_redact_secret(arena, text, access->api_key);
	text = plain_redact_secret(arena, text, access->secret_key);
	return plain_redact_secret(arena, text, access->salt_key);
}

void
platform_redact(const PlatformAccess *access, Arena *arena, PlatformAnswer *answer)
{
	int			i;

	answer->code = redact_all(arena, answer->code, access);
	answer->message = redact_all(arena, answer->message, access);
	for (i = 0; i < answer->n_items; i++)
		answer->items[i].reason = redact_all(arena, answer->items[i].reason, access);
}

const char *
platform_redact_text(const PlatformAccess *access, Arena *arena, const char *text, size_t max_bytes)
{
	return plain_clean(arena, redact_all(arena, plain_redact_tokens(arena, text), access), max_bytes);
}
