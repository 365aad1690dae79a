/*
 * shopee.h
 *		What the files of the Shopee codec share among themselves. Nobody else
 *		includes it.
 */
#ifndef STORESYNC_SHOPEE_H
#define STORESYNC_SHOPEE_H

#include "json.h"
#include "platform.h"
#include "sign.h"

/* Limits of the platform's calls. */
#define SHOPEE_MAX_MODELS		50
#define SHOPEE_MAX_ORDERS		50
#define SHOPEE_PAGE_SIZE		"100"
#define SHOPEE_MAX_QUANTITY		999999
#define SHOPEE_MAX_WINDOW		(15 * 86400 - 1)	/* seconds */
#define SHOPEE_MAX_UINT32		INT64_C(4294967295) /* partner, shop and time */

/* Bytes that are taken of texts, and held against what we send. */
#define SHOPEE_MAX_ORDER_SN		64
#define SHOPEE_MAX_CURSOR		1024
#define SHOPEE_MAX_TOKEN		2048
#define SHOPEE_MAX_CODE			80
#define SHOPEE_MAX_MESSAGE		300

/*
 * Signature of a request, hex: of partner id, path and time alone for public
 * calls (token and owner NULL), else of these, the access token and the id
 * of the shop or merchant. False when the arena or libcrypto fails.
 */
extern bool shopee_signature(Arena *arena, const char *partner_key, const char *partner_id,
							 const char *path, int64_t timestamp, const char *access_token,
							 const char *owner_id, char hex[SIGN_HEX_BYTES]);

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
extern OutcomeClass shopee_reason_class(const char *reason);

/*
 * The orders of a detail answer as canonical documents, one for each order
 * that the call asked for, and a message on what could not be understood.
 */
extern void shopee_documents(const PlatformCall *call, const cJSON *order_list,
							 Arena *arena, PlatformAnswer *answer);

#endif
