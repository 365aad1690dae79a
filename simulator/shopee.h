/*
 * shopee.h
 *		The Shopee dialect: what comes in under /api/v2/.
 *
 * Written from the platform's documents, sharing nothing with any client of
 * it. The whole of a call, from its first check to the text of its answer,
 * happens under the market's lock.
 */
#ifndef SIM_SHOPEE_H
#define SIM_SHOPEE_H

#include "server.h"

typedef struct ShopeeCall
{
	Simulator  *sim;
	const Request *request;
	Answer	   *answer;
	uint32_t	shop;
	const cJSON *body;			/* of a POST; an object */
	const char *path;			/* the endpoint's, constant */
} ShopeeCall;

extern void shopee_serve(Simulator *sim, const Request *request, Answer *answer);

/* "calls_total" and "calls" of the counters, without braces around; under the market's lock. */
extern void shopee_write_calls(Text *text);

/* The base string of a call's signature; shop calls have token and shop_id, public ones NULL. */
extern void shopee_sign_base(Text *base, int64_t partner_id, const char *path, const char *timestamp,
							 const char *access_token, const char *shop_id);

/* HMAC-SHA256 in lower-case hex; sign has room for 65 bytes. */
extern void shopee_sign(const char *key, const Text *base, char *sign);

/* The calls' signature is made without a shop and its token. */
extern bool shopee_path_public(const char *path);

/*
 * What the endpoints answer with. All of them replace an answer that was
 * begun. response is the JSON value of "response".
 */
extern void shopee_error(Answer *answer, const char *error, const char *message);
extern void shopee_response(Answer *answer, const char *error, const char *message, const Text *response);

/* Begins a flat answer, whose own fields follow; the endpoint closes the brace. */
extern void shopee_flat(Answer *answer);

/* Integer query parameter within the bounds; false: absent or not so. */
extern bool shopee_argument(const ShopeeCall *call, const char *name, int64_t least, int64_t most,
							int64_t *result);

/*
 * First listing of an item that the shop has, NO_INDEX when it has none of it (any more). *count: how many listings it
 * has or had; *present: the first that is there, which says what the item is.
 */
extern uint32_t shopee_item(const ShopeeCall *call, int64_t item_id, uint32_t *count, uint32_t *present);

/* A model that is there; NO_INDEX for none. */
extern uint32_t shopee_model(const ShopeeCall *call, int64_t item_id, int64_t model_id);

/* Endpoints */
extern void shopee_update_stock(ShopeeCall *call);
extern void shopee_update_price(ShopeeCall *call);
extern void shopee_unlist_item(ShopeeCall *call);
extern void shopee_get_item_list(ShopeeCall *call);
extern void shopee_get_item_base_info(ShopeeCall *call);
extern void shopee_get_model_list(ShopeeCall *call);
extern void shopee_get_order_list(ShopeeCall *call);
extern void shopee_get_order_detail(ShopeeCall *call);
extern void shopee_get_shipping_parameter(ShopeeCall *call);
extern void shopee_ship_order(ShopeeCall *call);
extern void shopee_cancel_order(ShopeeCall *call);
extern void shopee_get_return_list(ShopeeCall *call);
extern void shopee_refresh_token(ShopeeCall *call);
extern void shopee_get_token(ShopeeCall *call);
extern void shopee_consent_page(ShopeeCall *call);
extern void shopee_cancel_page(ShopeeCall *call);
extern void shopee_get_shop_info(ShopeeCall *call);
extern void shopee_get_lost_pushes(ShopeeCall *call);
extern void shopee_confirm_lost_pushes(ShopeeCall *call);

#endif
