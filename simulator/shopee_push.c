/*
 * shopee_push.c
 *		The Shopee dialect: notifications that never arrived. The calls are the
 *		application's: signed without a shop, and on no shop's budget.
 */
#include "shopee.h"

void
shopee_get_lost_pushes(ShopeeCall *call)
{
	Text		response = {0};

	notices_write_lost(&call->sim->notices, &response);
	shopee_response(call->answer, "", "", &response);
	text_free(&response);
}

void
shopee_confirm_lost_pushes(ShopeeCall *call)
{
	int64_t		last_id;

	if (!json_field_integer(call->body, "last_message_id", false, &last_id))
	{
		shopee_error(call->answer, "error_param", "There is no last_message_id in the body.");
		return;
	}
	notices_confirm_lost(&call->sim->notices, last_id);
	shopee_error(call->answer, "", "");
}
