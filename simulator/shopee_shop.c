/*
 * shopee_shop.c
 *		The Shopee dialect: tokens and the shop itself. Their answers are flat:
 *		no "response" around the fields.
 */
#include <inttypes.h>

#include "shopee.h"

void
shopee_refresh_token(ShopeeCall *call)
{
	Tokens	   *tokens = &call->sim->tokens;
	const ShopTokens *held = &tokens->shops[call->shop];
	const char *refresh = json_field_string(call->body, "refresh_token");
	Text	   *body = &call->answer->body;

	if (refresh == NULL)
	{
		shopee_error(call->answer, "error_param", "There is no refresh_token in the body.");
		return;
	}
	if (!tokens_refresh(tokens, call->shop, refresh))
	{
		shopee_error(call->answer, "error_auth", "Invalid refresh_token.");
		return;
	}
	shopee_flat(call->answer);
	text_addf(body, ",\"partner_id\":%" PRId64 ",\"shop_id\":%" PRId64, call->sim->catalogue.partner_id,
			  call->sim->catalogue.shops[call->shop].shop_id);
	text_addf(body, ",\"access_token\":\"%s\",\"refresh_token\":\"%s\",\"expire_in\":%" PRId64 "}",
			  held->access, held->refresh, tokens->life_us / 1000000);
}

void
shopee_get_shop_info(ShopeeCall *call)
{
	shopee_flat(call->answer);
	text_addf(&call->answer->body,
			  ",\"shop_name\":\"shop %" PRId64 "\",\"region\":\"TW\",\"status\":\"NORMAL\"}",
			  call->sim->catalogue.shops[call->shop].shop_id);
}
