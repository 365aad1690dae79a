/*
 * shopee_class.c
 *		Shopee Open Platform v2: what an error code, and the text beside it,
 *		means for the call.
 *
 * Codes alone do not tell: error_auth covers a bad token, a missing right, a
 * stock rule and a fault of the platform. So a code has phrases that are
 * looked for in the message first, in order, and a class for the rest.
 *
 * In doubt stands for "failed somewhere inside": for a read it is later,
 * which shopee_judge.c sees to.
 */
#include "shopee.h"

#include <string.h>

#include "plain.h"

typedef struct Phrase
{
	const char *text;			/* NULL ends the list */
	OutcomeClass class;
} Phrase;

typedef struct Code
{
	const char *code;
	OutcomeClass class;			/* when no phrase is found */
	const Phrase *phrases;		/* NULL for none */
} Code;

/* Refusals by a rule of the shop or the item, which may pass. */
static const Phrase business[] = {
	{"system error", OUTCOME_IN_DOUBT},
	{"internal error", OUTCOME_IN_DOUBT},
	{"timeout", OUTCOME_IN_DOUBT},
	{"timed out", OUTCOME_IN_DOUBT},
	/* promotions hold stock and let go of it again */
	{"promotion", OUTCOME_LATER},
	{"campaign", OUTCOME_LATER},
	{"flash sale", OUTCOME_LATER},
	{"reserved", OUTCOME_LATER},
	{"locked", OUTCOME_LATER},
	{"活動", OUTCOME_LATER},
	{"促銷", OUTCOME_LATER},
	{"保留", OUTCOME_LATER},
	{"holiday", OUTCOME_LATER},
	{"vacation", OUTCOME_LATER},
	{"休假", OUTCOME_LATER},
	{"too many request", OUTCOME_LATER},
	{"too frequent", OUTCOME_LATER},
	{"try again", OUTCOME_LATER},
	{"try later", OUTCOME_LATER},
	{"busy", OUTCOME_LATER},
	{"稍後", OUTCOME_LATER},
	{NULL, 0}
};

/* Of a refused model: nothing but a person helps. */
static const Phrase hopeless[] = {
	{"wrong model", OUTCOME_PERMANENT},
	{"invalid model", OUTCOME_PERMANENT},
	{"not found", OUTCOME_PERMANENT},
	{"not exist", OUTCOME_PERMANENT},
	{"not belong", OUTCOME_PERMANENT},
	{"deleted", OUTCOME_PERMANENT},
	{"banned", OUTCOME_PERMANENT},
	{NULL, 0}
};

static const Phrase param[] = {
	{"access_token", OUTCOME_AUTH},
	{"access token", OUTCOME_AUTH},
	{"timestamp", OUTCOME_LATER},
	{"reserved", OUTCOME_LATER},
	{"promotion", OUTCOME_LATER},
	{NULL, 0}
};

static const Phrase auth[] = {
	{"system error", OUTCOME_IN_DOUBT},
	{"try again", OUTCOME_IN_DOUBT},
	{"invalid sign", OUTCOME_AUTH},
	{"wrong sign", OUTCOME_AUTH},
	{"permission", OUTCOME_PERMANENT},
	{"token", OUTCOME_AUTH},
	{"invalid code", OUTCOME_AUTH},
	{"partner_id", OUTCOME_AUTH},
	{"shopid", OUTCOME_AUTH},
	{"shop_id", OUTCOME_AUTH},
	{"reserved", OUTCOME_LATER},
	{"promotion", OUTCOME_LATER},
	{"holiday", OUTCOME_LATER},
	{"location", OUTCOME_PERMANENT},
	{"stock", OUTCOME_PERMANENT},
	{"item", OUTCOME_PERMANENT},
	{NULL, 0}
};

static const Code codes[] = {
	/* slow down */
	{"error_rate_limit", OUTCOME_THROTTLED, NULL},
	{"error_limit", OUTCOME_QUOTA, NULL},

	/* a new token, or a new authorisation by the seller */
	{"error_auth", OUTCOME_AUTH, auth},
	{"invalid_acceess_token", OUTCOME_AUTH, NULL},	/* so spelled */
	{"invalid_access_token", OUTCOME_AUTH, NULL},
	{"refresh_token_expired", OUTCOME_AUTH, NULL},
	{"error_shop_refresh_token", OUTCOME_AUTH, NULL},
	{"shop_access_expired", OUTCOME_AUTH, NULL},
	{"shop_no_linked", OUTCOME_AUTH, NULL},
	{"partner_shop_no_link", OUTCOME_AUTH, NULL},
	{"invalid_code", OUTCOME_AUTH, NULL},

	/* the platform's own trouble */
	{"error_server", OUTCOME_IN_DOUBT, NULL},
	{"error_inner", OUTCOME_IN_DOUBT, NULL},
	{"error_network", OUTCOME_IN_DOUBT, NULL},
	{"error_system_busy", OUTCOME_LATER, NULL},

	/* the application: see of_application */
	{"error_sign", OUTCOME_AUTH, NULL},
	{"source_ip_undeclared", OUTCOME_AUTH, NULL},
	{"error_partner_key_expired", OUTCOME_AUTH, NULL},

	/* set-up: nothing but a person helps */
	{"error_param", OUTCOME_PERMANENT, param},
	{"error.param", OUTCOME_PERMANENT, param},
	{"api_suspended", OUTCOME_PERMANENT, NULL},
	{"error_api_permission", OUTCOME_PERMANENT, NULL},
	{"error_api_call_restricted", OUTCOME_PERMANENT, NULL},
	{"error_kyc_auth", OUTCOME_PERMANENT, NULL},
	{"shop_banned", OUTCOME_PERMANENT, NULL},
	{"invalid_shop_id", OUTCOME_PERMANENT, NULL},

	/* stock: will pass */
	{"error_busi_update_stock_failed", OUTCOME_LATER, NULL},
	{"error_cannt_edit_stock_in_promotion", OUTCOME_LATER, NULL},
	{"error_promotion_cantnot_update_stock", OUTCOME_LATER, NULL},
	{"error_model_update_stock_model_in_promotion", OUTCOME_LATER, NULL},
	{"error_in_item_promotion_nomodel_to_models", OUTCOME_LATER, NULL},
	{"error_holiday_mode_change_stock", OUTCOME_LATER, NULL},

	/* price and listing state: will pass */
	{"error_cannt_edit_price_in_promotion", OUTCOME_LATER, NULL},	/* so spelled */
	{"error_in_item_promotion_item_price_lock", OUTCOME_LATER, NULL},
	{"error_cannot_update_price_in_promotion", OUTCOME_LATER, NULL},
	{"error_unlist_item_all_failed", OUTCOME_LATER, NULL},

	/* stock: will not pass by itself */
	{"error_busi", OUTCOME_PERMANENT, business},
	{"error_item_not_found", OUTCOME_PERMANENT, NULL},
	{"error_item_not_belong_shop", OUTCOME_PERMANENT, NULL},
	{"error_edit_item_stock_for_item_has_model", OUTCOME_PERMANENT, NULL},
	{"error_item_uneditable", OUTCOME_PERMANENT, NULL},
	{"error_wms_shop_block_upate_stock", OUTCOME_PERMANENT, NULL},	/* so spelled */
	{"error_seller_under_penalty", OUTCOME_PERMANENT, NULL},
	{"error_busi_cannot_edit_vsku", OUTCOME_PERMANENT, NULL},
	{"error_not_in_whitelist", OUTCOME_PERMANENT, NULL},

	/* orders */
	{"error_not_found", OUTCOME_PERMANENT, NULL},
	{"order_list_invalid_time", OUTCOME_PERMANENT, NULL},
};

/* Refusals of the application's key or address: no token of a shop helps, and what was asked is not to blame. */
static const char *const of_application[] = {"error_sign", "source_ip_undeclared", "error_partner_key_expired"};

static const Code *
find_code(const char *code)
{
	size_t		i;

	for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (strcmp(codes[i].code, code) == 0)
			return &codes[i];
	return NULL;
}

/* phrase_class returns the class of the first phrase that the text contains, else `otherwise`. */
static OutcomeClass
phrase_class(const Phrase *phrases, const char *text, OutcomeClass otherwise)
{
	for (; phrases->text != NULL; phrases++)
		if (plain_contains(text, phrases->text))
			return phrases->class;
	return otherwise;
}

/* find_in_module: a module may stand before the code: product.error_param. */
static const Code *
find_in_module(const char *code)
{
	const Code *found = find_code(code);
	const char *dot = strrchr(code, '.');

	return found == NULL && dot != NULL ? find_code(dot + 1) : found;
}

OutcomeClass
shopee_code_class(const char *code, const char *message, bool *known)
{
	const Code *found = find_in_module(code);

	*known = found != NULL;
	if (found == NULL)
		return OUTCOME_PERMANENT;
	if (found->phrases == NULL)
		return found->class;
	return phrase_class(found->phrases, message, found->class);
}

bool
shopee_refuses_application(const char *code, const char *message)
{
	const Code *found = find_in_module(code);

	if (found == NULL)
		return false;
	for (size_t i = 0; i < sizeof(of_application) / sizeof(of_application[0]); i++)
		if (strcmp(found->code, of_application[i]) == 0)
			return true;
	return found->phrases == auth &&
		(plain_contains(message, "invalid sign") || plain_contains(message, "wrong sign"));
}

/*
 * The text beside a refused model comes without a code and in any wording:
 * what it does not clearly call hopeless is tried again, and given up after
 * its attempts.
 */
OutcomeClass
shopee_reason_class(const char *reason)
{
	return phrase_class(business, reason, phrase_class(hopeless, reason, OUTCOME_LATER));
}
