/*
 * shopee.h
 *		What the files of the Shopee codec share among themselves. Nobody else
 *		includes it.
 */
#ifndef STORESYNC_SHOPEE_H
#define STORESYNC_SHOPEE_H

#include "json.h"
#include "judge.h"
#include "plain.h"
#include "platform.h"
#include "sign.h"

/* Limits of the platform's calls. */
#define SHOPEE_MAX_MODELS		50
#define SHOPEE_MAX_ORDERS		50
#define SHOPEE_MAX_ITEMS		50
#define SHOPEE_PAGE_SIZE		"100"
#define SHOPEE_MAX_QUANTITY		999999
#define SHOPEE_MAX_PRICE		999999999
#define SHOPEE_MAX_WINDOW		(15 * 86400 - 1)	/* seconds */
#define SHOPEE_MAX_UINT32		INT64_C(4294967295) /* partner, shop and time */

/* Bytes that are taken of texts, and held against what we send. */
#define SHOPEE_MAX_ORDER_SN		64
#define SHOPEE_MAX_CURSOR		1024
#define SHOPEE_MAX_TOKEN		2048
#define SHOPEE_MAX_CODE			80
#define SHOPEE_MAX_MESSAGE		300

typedef enum ShopeeScope
{
	SHOPEE_SHOP,				/* signed with the shop and its token */
	SHOPEE_PUBLIC,				/* signed without them; the shop stands in the body */
	SHOPEE_APP					/* of no shop at all */
} ShopeeScope;

/* What one kind of call is at Shopee. */
typedef struct ShopeeCall
{
	const char *path;
	ShopeeScope scope;
	bool		post;

	/*
	 * Add the call's own parameters and body; NULL, or what is wrong with the
	 * call. NULL where it has none.
	 */
	const char *(*build) (const PlatformCall *call, const PlatformAccess *access,
						  PlainBuffer *url, PlainBuffer *body);

	/* Judge an answer whose error is empty. NULL: that is all there is to it. */
	void		(*judge) (const PlatformCall *call, const cJSON *root,
						  Arena *arena, PlatformAnswer *answer);
} ShopeeCall;

/* NULL for a call that Shopee does not have. */
extern const ShopeeCall *shopee_call(CallKind kind);

/*
 * Signature of a request, hex: of partner id, path and time alone for public
 * calls (token and owner NULL), else of these, the access token and the id
 * of the shop or merchant. False when the arena or libcrypto fails.
 */
extern bool shopee_signature(Arena *arena, const char *partner_key, const char *partner_id,
							 const char *path, int64_t timestamp, const char *access_token,
							 const char *owner_id, char hex[SIGN_HEX_BYTES]);

/* What is wrong with the access, NULL when a call of that scope can be signed by it. */
extern const char *shopee_check_access(const PlatformAccess *access, ShopeeScope scope);

/* Sign the path and write the URL up to the common parameters; the call adds its own. False when that fails. */
extern bool shopee_begin_url(PlainBuffer *url, Arena *arena, const PlatformAccess *access,
							 const char *path, ShopeeScope scope);

/* Whether the text can be an order number: it is put into a comma-joined list. */
extern bool shopee_order_sn_ok(const char *order_sn);

/* The model a text names: "" and "0" are 0, an item without models. */
extern bool shopee_model_id(const char *text, int64_t *model_id);

extern void shopee_judge(const PlatformCall *call, const PlatformReply *reply,
						 Arena *arena, PlatformAnswer *answer);

/*
 * Class of an error code with its message, and of the free text that stands
 * beside a refused model. `class` of a code that is not known is permanent
 * and *known false.
 */
extern OutcomeClass shopee_code_class(const char *code, const char *message, bool *known);
/* The application's own key or address is refused, whichever shop it calls for. */
extern bool shopee_refuses_application(const char *code, const char *message);
extern OutcomeClass shopee_reason_class(const char *reason);

/*
 * The orders of a detail answer as canonical documents, one for each order
 * that the call asked for, and a message on what could not be understood.
 */
extern void shopee_documents(const PlatformCall *call, const cJSON *order_list,
							 Arena *arena, PlatformAnswer *answer);

/* shopee_write.c: quantities, prices, and whether items are listed */
extern const char *shopee_build_stock(const PlatformCall *call, const PlatformAccess *access,
									  PlainBuffer *url, PlainBuffer *body);
extern const char *shopee_build_price(const PlatformCall *call, const PlatformAccess *access,
									  PlainBuffer *url, PlainBuffer *body);
extern const char *shopee_build_listed(const PlatformCall *call, const PlatformAccess *access,
									   PlainBuffer *url, PlainBuffer *body);
extern void shopee_judge_write(const PlatformCall *call, const cJSON *root,
							   Arena *arena, PlatformAnswer *answer);

/* Give the items that the lists of an answer name their own outcomes, the others doubt; how many were named. */
extern int	shopee_judge_lists(const PlatformCall *call, const cJSON *response,
							   Arena *arena, PlatformAnswer *answer);

/* shopee_fetch.c: orders */
extern const char *shopee_build_list_orders(const PlatformCall *call, const PlatformAccess *access,
											PlainBuffer *url, PlainBuffer *body);
extern const char *shopee_build_get_orders(const PlatformCall *call, const PlatformAccess *access,
										   PlainBuffer *url, PlainBuffer *body);
extern void shopee_judge_list_orders(const PlatformCall *call, const cJSON *root,
									 Arena *arena, PlatformAnswer *answer);
extern void shopee_judge_get_orders(const PlatformCall *call, const cJSON *root,
									Arena *arena, PlatformAnswer *answer);

/* shopee_item.c: what the shop shows */
extern const char *shopee_build_list_items(const PlatformCall *call, const PlatformAccess *access,
										   PlainBuffer *url, PlainBuffer *body);
extern const char *shopee_build_get_items(const PlatformCall *call, const PlatformAccess *access,
										  PlainBuffer *url, PlainBuffer *body);
extern const char *shopee_build_get_models(const PlatformCall *call, const PlatformAccess *access,
										   PlainBuffer *url, PlainBuffer *body);
extern void shopee_judge_list_items(const PlatformCall *call, const cJSON *root,
									Arena *arena, PlatformAnswer *answer);
extern void shopee_judge_get_items(const PlatformCall *call, const cJSON *root,
								   Arena *arena, PlatformAnswer *answer);
extern void shopee_judge_get_models(const PlatformCall *call, const cJSON *root,
									Arena *arena, PlatformAnswer *answer);

/* shopee_ship.c: shipping and cancelling */
extern const char *shopee_build_ship_info(const PlatformCall *call, const PlatformAccess *access,
										  PlainBuffer *url, PlainBuffer *body);
extern const char *shopee_build_ship(const PlatformCall *call, const PlatformAccess *access,
									 PlainBuffer *url, PlainBuffer *body);
extern const char *shopee_build_cancel(const PlatformCall *call, const PlatformAccess *access,
									   PlainBuffer *url, PlainBuffer *body);
extern void shopee_judge_ship_info(const PlatformCall *call, const cJSON *root,
								   Arena *arena, PlatformAnswer *answer);

/* shopee_token.c: the seller's consent, the first tokens and the next ones */
extern const char *shopee_authorization_url(const PlatformAccess *access, const char *redirect, bool cancel,
											Arena *arena, const char **error);
extern const char *shopee_build_get_token(const PlatformCall *call, const PlatformAccess *access,
										  PlainBuffer *url, PlainBuffer *body);
extern const char *shopee_build_refresh_token(const PlatformCall *call, const PlatformAccess *access,
											  PlainBuffer *url, PlainBuffer *body);
extern void shopee_judge_shop_info(const PlatformCall *call, const cJSON *root,
								   Arena *arena, PlatformAnswer *answer);
extern void shopee_judge_token(const PlatformCall *call, const cJSON *root,
							   Arena *arena, PlatformAnswer *answer);

/* shopee_return.c: requests to return goods */
extern const char *shopee_build_list_returns(const PlatformCall *call, const PlatformAccess *access,
											 PlainBuffer *url, PlainBuffer *body);
extern void shopee_judge_list_returns(const PlatformCall *call, const cJSON *root,
									  Arena *arena, PlatformAnswer *answer);

/* shopee_push.c: notifications */
extern const char *shopee_build_confirm_pushes(const PlatformCall *call, const PlatformAccess *access,
											   PlainBuffer *url, PlainBuffer *body);
extern void shopee_judge_lost_pushes(const PlatformCall *call, const cJSON *root,
									 Arena *arena, PlatformAnswer *answer);
extern bool shopee_read_push(const PlatformPush *push, const PlatformAccess *access,
							 Arena *arena, PushHint *hint, const char **error);
extern bool shopee_read_lost(const char *body, size_t length, Arena *arena, PushHint *hint, const char **error);

#endif
