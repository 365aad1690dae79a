/*
 * ruten.c
 *		The Ruten dialect: routing, signature, the checks before an endpoint
 *		and the faults around it; see ruten.h.
 *
 * The checks go: User-Agent, path and method, key, timestamp, signature,
 * limit, faults, endpoint. So a call that is signed rightly costs the shop's
 * budget whatever comes of it, and one that is not costs nothing.
 */
#include "ruten.h"

#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "dialect.h"

#define TIMESTAMP_WINDOW_S 300
#define PREFIX "/api/v1/"
#define ITEM_PATH "/api/v1/product/item/"
#define SIGNATURE_SIZE 65		/* of the longer form, with its NUL */

typedef struct Endpoint
{
	const char *path;
	const char *method;
	void		(*serve) (RutenCall *call);
} Endpoint;

static const Endpoint endpoints[] = {
	{"/api/v1/product/list", "GET", ruten_product_list},
	{"/api/v1/product/item/stock", "PUT", ruten_stock},
	{"/api/v1/product/item/price", "PUT", ruten_price},
	{"/api/v1/product/item/online", "PUT", ruten_online},
	{"/api/v1/product/item/offline", "PUT", ruten_offline},
	{"/api/v1/order/list", "GET", ruten_order_list},
	{"/api/v1/order/detail", "POST", ruten_order_detail},
};

static const Endpoint item_endpoint = {"/api/v1/product/item/ID", "GET", ruten_product_item};

void
ruten_init(RutenState *state, const Catalogue *catalogue)
{
	memset(state, 0, sizeof(*state));
	state->user_agent = true;
	(void) snprintf(state->time_field, sizeof(state->time_field), "create_time");
	state->offline = sim_alloc(catalogue->n_listings * sizeof(bool));
	state->price = sim_alloc(catalogue->n_listings * sizeof(int64_t));
	for (uint32_t i = 0; i < catalogue->n_listings; i++)
		state->price[i] = (int64_t) catalogue->listings[i].price;
}

void
ruten_free(RutenState *state)
{
	free(state->offline);
	free(state->price);
	memset(state, 0, sizeof(*state));
}

bool
ruten_path(const char *path)
{
	return strncmp(path, PREFIX, sizeof(PREFIX) - 1) == 0;
}

bool
ruten_argument(const RutenCall *call, const char *name, int64_t least, int64_t most, int64_t *result)
{
	const char *value = request_argument(call->request, name);

	return value != NULL && parse_integer(value, result) && *result >= least && *result <= most;
}

void
ruten_success(RutenCall *call, const Text *data)
{
	Text	   *body = &call->answer->body;

	text_free(body);
	text_addf(body, "{\"status\":\"success\",\"data\":%s,\"error_code\":null,\"error_msg\":null}",
			  data != NULL ? data->data : "null");
}

void
ruten_fail(RutenCall *call, int status, const char *code, const char *message)
{
	Text	   *body = &call->answer->body;

	text_free(body);
	call->answer->status = status;
	text_addf(body, "{\"status\":\"fail\",\"data\":null,\"error_code\":\"%s\",\"error_msg\":", code);
	json_string(body, message);
	text_addf(body, "}");
}

/* The signature that the request ought to have. */
static void
expected_signature(const RutenCall *call, const char *timestamp, char *signature)
{
	const Catalogue *catalogue = &call->sim->catalogue;
	const char *secret = catalogue->shops[call->shop].refresh_token;
	const char *host = request_header(call->request, "Host");
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned	length = 0;
	Text		message = {0};

	text_addf(&message, "%s", catalogue->partner_key);
	if (!call->sim->ruten.sign_path_only)
		text_addf(&message, "%s://%s", call->request->tls ? "https" : "http", host != NULL ? host : "");
	text_addf(&message, "%s", call->request->uri);
	text_add(&message, call->request->body, call->request->body_length);
	text_addf(&message, "%s", timestamp);
	(void) HMAC(EVP_sha256(), secret, (int) strlen(secret), (const unsigned char *) message.data,
				message.length, digest, &length);
	text_free(&message);
	if (call->sim->ruten.sign_base64)
		(void) EVP_EncodeBlock((unsigned char *) signature, digest, (int) length);
	else
		for (unsigned i = 0; i < length && i < 32; i++)
			(void) snprintf(signature + (size_t) 2 * i, 3, "%02x", digest[i]);
}

/* The shop whose API key this is; NO_INDEX for nobody's. */
static uint32_t
shop_of_key(const Catalogue *catalogue, const char *key)
{
	for (uint32_t i = 0; i < catalogue->n_shops; i++)
	{
		if (strcmp(catalogue->shops[i].access_token, key) == 0)
			return i;
	}
	return NO_INDEX;
}

/* Key, time and signature. False: the error is answered. */
static bool
check_signed(RutenCall *call)
{
	const char *key = request_header(call->request, "X-RT-Key");
	const char *timestamp = request_header(call->request, "X-RT-Timestamp");
	const char *given = request_header(call->request, "X-RT-Authorization");
	char		expected[SIGNATURE_SIZE];
	int64_t		at;

	call->shop = key != NULL ? shop_of_key(&call->sim->catalogue, key) : NO_INDEX;
	if (call->shop == NO_INDEX)
	{
		ruten_fail(call, 401, "10401", "the key is missing or unknown");
		return false;
	}
	if (timestamp == NULL || !parse_integer(timestamp, &at) || llabs(clock_wall_s() - at) > TIMESTAMP_WINDOW_S)
	{
		ruten_fail(call, 403, "10402", "the timestamp is missing or expired");
		return false;
	}
	expected_signature(call, timestamp, expected);
	if (given != NULL && strlen(given) == strlen(expected) && CRYPTO_memcmp(given, expected, strlen(expected)) == 0)
		return true;
	call->sim->calls.bad_signature++;
	calls_refused(&call->sim->calls, call->shop, call->path);
	if (call->sim->ruten.html_403)
		dialect_page(call->answer, 403);
	else
		ruten_fail(call, 403, "10403", "the signature is wrong");
	return false;
}

/* The status of an injected error: its own unless the rules name another. */
static int
fault_status(const RutenCall *call, int own)
{
	int			named = (int) call->sim->faults.rules.http_status;

	return named != 200 ? named : own;
}

/* What the seller is told of an injected error; see DialectRefusal. */
static void
refuse_fault(void *called, FaultKind fault)
{
	RutenCall  *call = called;

	if (fault == FAULT_AUTH)
		ruten_fail(call, fault_status(call, 401), "10401", "the key is not valid");
	else if (fault == FAULT_SERVER)
		ruten_fail(call, fault_status(call, 500), "10500", "system error");
	else
		ruten_fail(call, fault_status(call, 429), "10429", "too many requests");
}

/* From the limit on: the call is known to be the seller's own. */
static void
serve_signed(RutenCall *call, const Endpoint *endpoint)
{
	bool		has_body = strcmp(endpoint->method, "GET") != 0;
	cJSON	   *body = NULL;
	FaultKind	fault;

	if (!calls_take(&call->sim->calls, call->shop, endpoint->path))
	{
		ruten_fail(call, 429, "10429", "too many requests");
		return;
	}
	fault = faults_draw(&call->sim->faults, call->shop, endpoint->path, true);
	if (dialect_fault_before(call->sim, call->shop, call->answer, fault, refuse_fault, call))
		return;
	if (has_body)
		body = dialect_body(call->request);
	call->body = body;
	if (has_body && !cJSON_IsObject(body))
		ruten_fail(call, 400, "20005", "the body is not a JSON object");
	else
		endpoint->serve(call);
	cJSON_Delete(body);
	dialect_fault_after(call->sim, call->shop, call->answer, fault);
}

/* The endpoint of a path; the item's id, when it is one item's, goes into the call. */
static const Endpoint *
find_endpoint(RutenCall *call)
{
	const char *path = call->request->path;

	for (size_t i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++)
	{
		if (strcmp(endpoints[i].path, path) == 0)
			return &endpoints[i];
	}
	if (strncmp(path, ITEM_PATH, sizeof(ITEM_PATH) - 1) == 0 &&
		parse_integer(path + sizeof(ITEM_PATH) - 1, &call->item_id))
		return &item_endpoint;
	return NULL;
}

void
ruten_serve(Simulator *sim, const Request *request, Answer *answer)
{
	RutenCall	call = {.sim = sim,.request = request,.answer = answer,.shop = NO_INDEX};
	const Endpoint *endpoint;

	pthread_mutex_lock(&sim->market.lock);
	sim->ruten.calls++;
	endpoint = find_endpoint(&call);
	if (sim->ruten.user_agent && request_header(request, "User-Agent") == NULL)
		dialect_page(answer, 403);
	else if (endpoint == NULL)
		ruten_fail(&call, 404, "10404", "no such path");
	else if (strcmp(request->method, endpoint->method) != 0)
		ruten_fail(&call, 405, "10405", "no such method");
	else
	{
		call.path = endpoint->path;
		if (check_signed(&call))
			serve_signed(&call, endpoint);
	}
	pthread_mutex_unlock(&sim->market.lock);
}

/* Reads one switch of the settings; false when it is there and neither 0 nor 1. */
static bool
read_switch(const cJSON *body, const char *name, bool *value)
{
	int64_t		number;

	if (!cJSON_HasObjectItem(body, name))
		return true;
	if (!json_field_integer(body, name, true, &number) || number < 0 || number > 1)
		return false;
	*value = number == 1;
	return true;
}

void
ruten_admin(AdminCall *call)
{
	RutenState	wanted = call->sim->ruten;
	const char *field = json_field_string(call->body, "time_field");

	if (!read_switch(call->body, "sign_path_only", &wanted.sign_path_only) ||
		!read_switch(call->body, "sign_base64", &wanted.sign_base64) ||
		!read_switch(call->body, "user_agent", &wanted.user_agent) ||
		!read_switch(call->body, "html_403", &wanted.html_403))
	{
		admin_error(call, 400, "a switch must be 0 or 1");
		return;
	}
	if (field != NULL && (strlen(field) >= RUTEN_TIME_FIELD_SIZE || strpbrk(field, "\"\\") != NULL))
	{
		admin_error(call, 400, "time_field must be a name of less than 32 bytes");
		return;
	}
	if (field != NULL)
		(void) snprintf(wanted.time_field, sizeof(wanted.time_field), "%s", field);
	call->sim->ruten = wanted;
	text_addf(&call->answer->body, "{\"ok\":true}");
}
