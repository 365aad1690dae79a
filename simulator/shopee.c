/*
 * shopee.c
 *		The Shopee dialect: routing, the checks before an endpoint, and the
 *		faults around it; see shopee.h.
 *
 * The checks go: path and method, application, timestamp, shop, signature,
 * limit, faults, access token, endpoint. So a call that is signed rightly
 * costs the shop's budget whatever comes of it, and one that is not costs
 * nothing.
 */
#include "shopee.h"

#include <inttypes.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "dialect.h"

#define TIMESTAMP_WINDOW_S 300
#define MAX_ID32 INT64_C(4294967295)

/* What a call is signed with, and where its shop stands. */
typedef enum Scope
{
	SHOP,						/* shop and token, in the query */
	PUBLIC,						/* neither; the shop is in the body */
	PAGE,						/* neither: a seller's browser, which costs no budget */
	APPLICATION					/* neither, and no shop: it costs nobody's budget */
} Scope;

typedef struct Endpoint
{
	const char *path;
	const char *method;
	Scope		scope;
	void		(*serve) (ShopeeCall *call);
} Endpoint;

static const Endpoint endpoints[] = {
	{"/api/v2/auth/access_token/get", "POST", PUBLIC, shopee_refresh_token},
	{"/api/v2/auth/token/get", "POST", PUBLIC, shopee_get_token},
	{"/api/v2/logistics/get_shipping_parameter", "GET", SHOP, shopee_get_shipping_parameter},
	{"/api/v2/logistics/ship_order", "POST", SHOP, shopee_ship_order},
	{"/api/v2/order/cancel_order", "POST", SHOP, shopee_cancel_order},
	{"/api/v2/order/get_order_detail", "GET", SHOP, shopee_get_order_detail},
	{"/api/v2/order/get_order_list", "GET", SHOP, shopee_get_order_list},
	{"/api/v2/product/get_item_base_info", "GET", SHOP, shopee_get_item_base_info},
	{"/api/v2/product/get_item_list", "GET", SHOP, shopee_get_item_list},
	{"/api/v2/product/get_model_list", "GET", SHOP, shopee_get_model_list},
	{"/api/v2/product/unlist_item", "POST", SHOP, shopee_unlist_item},
	{"/api/v2/product/update_price", "POST", SHOP, shopee_update_price},
	{"/api/v2/product/update_stock", "POST", SHOP, shopee_update_stock},
	{"/api/v2/returns/get_return_list", "GET", SHOP, shopee_get_return_list},
	{"/api/v2/shop/auth_partner", "GET", PAGE, shopee_consent_page},
	{"/api/v2/shop/cancel_auth_partner", "GET", PAGE, shopee_cancel_page},
	{"/api/v2/push/confirm_consumed_lost_push_message", "POST", APPLICATION, shopee_confirm_lost_pushes},
	{"/api/v2/push/get_lost_push_message", "GET", APPLICATION, shopee_get_lost_pushes},
	{"/api/v2/shop/get_shop_info", "GET", SHOP, shopee_get_shop_info},
};

#define N_ENDPOINTS ((int) (sizeof(endpoints) / sizeof(endpoints[0])))

static int64_t calls_by_endpoint[N_ENDPOINTS];	/* guarded by the market's lock */
static int64_t calls_elsewhere;

static const Endpoint *
find_endpoint(const char *path)
{
	for (int i = 0; i < N_ENDPOINTS; i++)
	{
		if (strcmp(endpoints[i].path, path) == 0)
		{
			calls_by_endpoint[i]++;
			return &endpoints[i];
		}
	}
	calls_elsewhere++;
	return NULL;
}

bool
shopee_path_public(const char *path)
{
	return strncmp(path, "/api/v2/auth/", 13) == 0 ||
		strncmp(path, "/api/v2/push/", 13) == 0 ||
		strcmp(path, "/api/v2/shop/auth_partner") == 0 || strcmp(path, "/api/v2/shop/cancel_auth_partner") == 0;
}

bool
shopee_argument(const ShopeeCall *call, const char *name, int64_t least, int64_t most, int64_t *result)
{
	const char *value = request_argument(call->request, name);

	return value != NULL && parse_integer(value, result) && *result >= least && *result <= most;
}

/* Answers with error and returns false, for the checks. */
static bool
refuse(ShopeeCall *call, const char *error, const char *message)
{
	shopee_error(call->answer, error, message);
	return false;
}

/* The application and the time. */
static bool
check_common(ShopeeCall *call)
{
	const char *timestamp = request_argument(call->request, "timestamp");
	int64_t		partner_id;
	int64_t		at;

	if (request_argument(call->request, "partner_id") == NULL)
		return refuse(call, "error_param", "There is no partner_id in query.");
	if (!shopee_argument(call, "partner_id", 0, MAX_ID32, &partner_id))
		return refuse(call, "error_param", "partner_id is invalid.");
	if (partner_id != call->sim->catalogue.partner_id)
		return refuse(call, "error_auth", "Invalid partner_id or shopid.");
	if (timestamp == NULL)
		return refuse(call, "error_param", "There is no timestamp in query.");
	if (!shopee_argument(call, "timestamp", 0, MAX_ID32, &at))
		return refuse(call, "error_param", "Invalid timestamp.");
	if (llabs(clock_wall_s() - at) > TIMESTAMP_WINDOW_S)
		return refuse(call, "error_param", "Timestamp is expired.");
	if (request_argument(call->request, "sign") == NULL)
		return refuse(call, "error_param", "There is no sign in query.");
	return true;
}

/* The shop of a page is that of the seller who has logged in there: `shop_id`, or the catalogue's first. */
static bool
check_seller(ShopeeCall *call)
{
	int64_t		shop_id = call->sim->catalogue.shops[0].shop_id;

	if (request_argument(call->request, "redirect") == NULL)
		return refuse(call, "error_param", "There is no redirect in query.");
	if (request_argument(call->request, "shop_id") != NULL)
		(void) shopee_argument(call, "shop_id", 0, MAX_ID32, &shop_id);
	call->shop = catalogue_shop(&call->sim->catalogue, shop_id);
	return call->shop != NO_INDEX || refuse(call, "error_auth", "Invalid partner_id or shopid.");
}

/* The shop: of a public call from its body, of the others from the query. */
static bool
check_shop(ShopeeCall *call, const Endpoint *endpoint)
{
	int64_t		shop_id;

	if (endpoint->scope == PAGE)
		return check_seller(call);
	if (endpoint->scope == APPLICATION)
		return true;
	if (endpoint->scope == PUBLIC)
	{
		int64_t		partner_id;

		if (!json_field_integer(call->body, "partner_id", false, &partner_id) ||
			partner_id != call->sim->catalogue.partner_id)
			return refuse(call, "error_param", "partner_id of the body is not the caller's.");
		if (!json_field_integer(call->body, "shop_id", false, &shop_id))
			return refuse(call, "error_param", "There is no shop_id in the body.");
	}
	else
	{
		if (request_argument(call->request, "shop_id") == NULL)
			return refuse(call, "error_param", "There is no shop_id in query.");
		if (!shopee_argument(call, "shop_id", 0, MAX_ID32, &shop_id))
			return refuse(call, "error_param", "shop_id is invalid.");
		if (request_argument(call->request, "access_token") == NULL)
			return refuse(call, "error_param", "There is no access_token in query.");
	}
	call->shop = catalogue_shop(&call->sim->catalogue, shop_id);
	if (call->shop == NO_INDEX)
		return refuse(call, "error_auth", "Invalid partner_id or shopid.");
	return true;
}

static bool
check_sign(ShopeeCall *call, const Endpoint *endpoint)
{
	const Catalogue *catalogue = &call->sim->catalogue;
	const char *given = request_argument(call->request, "sign");
	char		expected[65];
	Text		base = {0};
	bool		same;

	shopee_sign_base(&base, catalogue->partner_id, endpoint->path,
					 request_argument(call->request, "timestamp"),
					 endpoint->scope != SHOP ? NULL : request_argument(call->request, "access_token"),
					 endpoint->scope != SHOP ? NULL : request_argument(call->request, "shop_id"));
	shopee_sign(catalogue->partner_key, &base, expected);
	text_free(&base);
	same = strlen(given) == strlen(expected) && CRYPTO_memcmp(given, expected, strlen(expected)) == 0;
	if (same)
		return true;

	call->sim->calls.bad_signature++;
	if (call->shop != NO_INDEX)
		calls_refused(&call->sim->calls, call->shop, endpoint->path);
	shopee_error(call->answer, "error_sign", "Wrong sign.");
	call->answer->status = 403;
	return false;
}

/* What the seller is told of an injected error; see DialectRefusal. */
static void
refuse_fault(void *called, FaultKind fault)
{
	ShopeeCall *call = called;
	Answer	   *answer = call->answer;

	if (fault == FAULT_THROTTLE)
		shopee_error(answer, "error_rate_limit", "Too many requests, please try later.");
	else if (fault == FAULT_QUOTA)
		shopee_error(answer, "error_limit", "The daily limit of calls is reached.");
	else if (fault == FAULT_AUTH)
		shopee_error(answer, "invalid_acceess_token", "Invalid access_token.");
	else
		shopee_error(answer, "error_server", "Something wrong, please try later.");
	answer->status = (int) call->sim->faults.rules.http_status;
}

/* From the limit on: the call is known to be the seller's own. */
static void
serve_signed(ShopeeCall *call, const Endpoint *endpoint)
{
	Simulator  *sim = call->sim;
	FaultKind	fault;

	if (endpoint->scope == PAGE || endpoint->scope == APPLICATION)
	{
		endpoint->serve(call);
		return;
	}
	if (!calls_take(&sim->calls, call->shop, endpoint->path))
	{
		shopee_error(call->answer, "error_rate_limit", "Too many requests, please try later.");
		return;
	}
	fault = faults_draw(&sim->faults, call->shop, endpoint->path, endpoint->scope == SHOP);
	if (dialect_fault_before(sim, call->shop, call->answer, fault, refuse_fault, call))
		return;
	if (endpoint->scope == SHOP && !tokens_valid(&sim->tokens, call->shop,
										   request_argument(call->request, "access_token")))
		shopee_error(call->answer, "invalid_acceess_token", "Invalid access_token.");
	else
		endpoint->serve(call);
	dialect_fault_after(sim, call->shop, call->answer, fault);
}

static void
serve_known(ShopeeCall *call, const Endpoint *endpoint)
{
	bool		post = strcmp(endpoint->method, "POST") == 0;
	const Request *request = call->request;
	cJSON	   *body = NULL;

	if (strcmp(request->method, endpoint->method) != 0)
	{
		shopee_error(call->answer, "error_param", "The request method is incorrect.");
		return;
	}
	if (post)
		body = dialect_body(request);
	call->body = body;
	if (post && !cJSON_IsObject(body))
		shopee_error(call->answer, "error_param", "The body is not a JSON object.");
	else if (check_common(call) && check_shop(call, endpoint) && check_sign(call, endpoint))
		serve_signed(call, endpoint);
	cJSON_Delete(body);
}

void
shopee_serve(Simulator *sim, const Request *request, Answer *answer)
{
	ShopeeCall	call = {.sim = sim,.request = request,.answer = answer,.shop = NO_INDEX};
	const Endpoint *endpoint;

	pthread_mutex_lock(&sim->market.lock);
	endpoint = find_endpoint(request->path);
	if (endpoint == NULL)
		shopee_error(answer, "error_param", "The API is offline or the request path is incorrect.");
	else
	{
		call.path = endpoint->path;
		serve_known(&call, endpoint);
	}
	pthread_mutex_unlock(&sim->market.lock);
}

void
shopee_write_calls(Text *text)
{
	int64_t		total = calls_elsewhere;

	for (int i = 0; i < N_ENDPOINTS; i++)
		total += calls_by_endpoint[i];
	text_addf(text, "\"calls_total\":%" PRId64 ",\"calls\":{", total);
	for (int i = 0; i < N_ENDPOINTS; i++)
	{
		if (calls_by_endpoint[i] == 0)
			continue;
		json_comma(text);
		text_addf(text, "\"%s\":%" PRId64, endpoints[i].path, calls_by_endpoint[i]);
	}
	if (calls_elsewhere > 0)
	{
		json_comma(text);
		text_addf(text, "\"other\":%" PRId64, calls_elsewhere);
	}
	text_addf(text, "}");
}
