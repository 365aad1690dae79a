/*
 * shopee_shop.c
 *		The Shopee dialect: tokens and the shop itself. Their answers are flat:
 *		no "response" around the fields.
 */
#include <inttypes.h>
#include <string.h>

#include "shopee.h"

/* The pair that the shop has now, behind what stands in the answer already. */
static void
add_pair(ShopeeCall *call)
{
	const Tokens *tokens = &call->sim->tokens;
	const ShopTokens *held = &tokens->shops[call->shop];

	text_addf(&call->answer->body, ",\"access_token\":\"%s\",\"refresh_token\":\"%s\",\"expire_in\":%" PRId64,
			  held->access, held->refresh, tokens->life_us / 1000000);
}

void
shopee_get_token(ShopeeCall *call)
{
	const char *code = json_field_string(call->body, "code");

	if (code == NULL)
	{
		shopee_error(call->answer, "error_param", "There is no code in the body.");
		return;
	}
	if (!tokens_exchange(&call->sim->tokens, call->shop, code))
	{
		shopee_error(call->answer, "error_auth", "Invalid code");
		return;
	}
	shopee_flat(call->answer);
	add_pair(call);
	text_addf(&call->answer->body, ",\"shop_id_list\":[%" PRId64 "],\"merchant_id_list\":[]}",
			  call->sim->catalogue.shops[call->shop].shop_id);
}

/* redirect_back sends the browser to where the application wants it, which the caller adds to. */
static Text *
redirect_back(ShopeeCall *call)
{
	const char *redirect = request_argument(call->request, "redirect");
	Text	   *location = &call->answer->location;

	call->answer->status = 302;
	call->answer->content_type = "text/html";
	text_addf(location, "%s%cshop_id=%" PRId64, redirect, strchr(redirect, '?') == NULL ? '?' : '&',
			  call->sim->catalogue.shops[call->shop].shop_id);
	return location;
}

void
shopee_consent_page(ShopeeCall *call)
{
	Text	   *location = redirect_back(call);
	int64_t		days;

	if (!shopee_argument(call, "days", 1, CONSENT_MOST_DAYS, &days))
		days = CONSENT_MOST_DAYS;
	text_addf(location, "&code=%s", tokens_consent(&call->sim->tokens, call->shop, days));
}

void
shopee_cancel_page(ShopeeCall *call)
{
	(void) redirect_back(call);
	tokens_revoke(&call->sim->tokens, call->shop);
}

void
shopee_refresh_token(ShopeeCall *call)
{
	const char *refresh = json_field_string(call->body, "refresh_token");
	Text	   *body = &call->answer->body;

	if (refresh == NULL)
	{
		shopee_error(call->answer, "error_param", "There is no refresh_token in the body.");
		return;
	}
	if (!tokens_refresh(&call->sim->tokens, call->shop, refresh))
	{
		shopee_error(call->answer, "error_auth", "Invalid refresh_token.");
		return;
	}
	shopee_flat(call->answer);
	text_addf(body, ",\"partner_id\":%" PRId64 ",\"shop_id\":%" PRId64, call->sim->catalogue.partner_id,
			  call->sim->catalogue.shops[call->shop].shop_id);
	add_pair(call);
	text_addf(body, "}");
}

void
shopee_get_shop_info(ShopeeCall *call)
{
	const ShopTokens *held = &call->sim->tokens.shops[call->shop];

	shopee_flat(call->answer);
	text_addf(&call->answer->body,
			  ",\"shop_name\":\"shop %" PRId64 "\",\"region\":\"TW\",\"status\":\"NORMAL\",\"auth_time\":%" PRId64
			  ",\"expire_time\":%" PRId64 "}",
			  call->sim->catalogue.shops[call->shop].shop_id, held->consent_s, held->consent_s + held->consent_days * 86400);
}
