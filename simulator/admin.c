/*
 * admin.c
 *		Routing of /admin/ and its small answers; see admin.h.
 *
 * Handlers run under the market's lock, but for the two that speak to the
 * trace, which has a lock of its own.
 */
#include "admin.h"

#include <inttypes.h>
#include <string.h>

#include "pchome.h"
#include "ruten.h"
#include "shopee.h"

void
admin_error(AdminCall *call, int status, const char *message)
{
	text_free(&call->answer->body);
	call->answer->status = status;
	text_addf(&call->answer->body, "{\"error\":");
	json_string(&call->answer->body, message);
	text_addf(&call->answer->body, "}");
}

uint32_t
admin_shop(AdminCall *call)
{
	int64_t		shop_id;
	uint32_t	shop = NO_INDEX;

	if (json_field_integer(call->body, "shop_id", true, &shop_id))
		shop = catalogue_shop(&call->sim->catalogue, shop_id);
	if (shop == NO_INDEX)
		admin_error(call, 400, "unknown shop_id");
	return shop;
}

static void
admin_health(AdminCall *call)
{
	text_addf(&call->answer->body, "{\"ok\":true}");
}

static void
admin_start(AdminCall *call)
{
	if (trace_start(&call->sim->trace))
		text_addf(&call->answer->body, "{\"ok\":true}");
	else
		admin_error(call, 409, "the trace was started before");
}

static void
admin_progress(AdminCall *call)
{
	TraceProgress progress = trace_progress(&call->sim->trace);

	text_addf(&call->answer->body, "{\"started\":%s,\"finished\":%s,\"events\":%" PRIu32 ",\"done\":%" PRIu32
			  ",\"elapsed_ms\":%" PRId64 "}",
			  progress.started ? "true" : "false", progress.finished ? "true" : "false",
			  progress.events, progress.done, progress.elapsed_us / 1000);
}

/* The last calls of one shop, oldest first. */
static void
admin_calls(AdminCall *call)
{
	const char *shop_text = request_argument(call->request, "shop");
	Text	   *body = &call->answer->body;
	const ShopCalls *calls;
	int64_t		shop_id;
	uint32_t	shop;
	uint64_t	i;

	if (shop_text == NULL || !parse_integer(shop_text, &shop_id) ||
		(shop = catalogue_shop(&call->sim->catalogue, shop_id)) == NO_INDEX)
	{
		admin_error(call, 400, "unknown shop");
		return;
	}
	calls = &call->sim->calls.shops[shop];
	i = calls->n_calls > CALLS_KEPT ? calls->n_calls - CALLS_KEPT : 0;
	text_addf(body, "{\"calls\":[");
	for (; i < calls->n_calls; i++)
	{
		const CallRecord *record = &calls->ring[i % CALLS_KEPT];

		json_comma(body);
		text_addf(body, "{\"at_us\":%" PRId64 ",\"path\":\"%s\",\"accepted\":%s}", record->at_us,
				  record->path, record->accepted ? "true" : "false");
	}
	text_addf(body, "]}");
}

/* What a call ought to be signed with, for whoever looks for his mistake. */
static void
admin_sign(AdminCall *call)
{
	const Catalogue *catalogue = &call->sim->catalogue;
	const char *path = request_argument(call->request, "path");
	const char *timestamp = request_argument(call->request, "timestamp");
	const char *shop_text = request_argument(call->request, "shop");
	Text	   *body = &call->answer->body;
	Text		base = {0};
	char		sign[65];
	int64_t		shop_id;
	uint32_t	shop = NO_INDEX;

	if (path == NULL || timestamp == NULL)
	{
		admin_error(call, 400, "path and timestamp are needed");
		return;
	}
	if (!shopee_path_public(path) &&
		(shop_text == NULL || !parse_integer(shop_text, &shop_id) ||
		 (shop = catalogue_shop(catalogue, shop_id)) == NO_INDEX))
	{
		admin_error(call, 400, "unknown shop");
		return;
	}
	shopee_sign_base(&base, catalogue->partner_id, path, timestamp,
					 shop != NO_INDEX ? call->sim->tokens.shops[shop].access : NULL, shop_text);
	shopee_sign(catalogue->partner_key, &base, sign);
	text_addf(body, "{\"base\":");
	json_string(body, base.data);
	text_addf(body, ",\"sign\":\"%s\"}", sign);
	text_free(&base);
}

static void
admin_expire_token(AdminCall *call)
{
	uint32_t	shop = admin_shop(call);

	if (shop == NO_INDEX)
		return;
	tokens_expire(&call->sim->tokens, shop);
	text_addf(&call->answer->body, "{\"ok\":true}");
}

static void
admin_authorize(AdminCall *call)
{
	uint32_t	shop = admin_shop(call);
	const ShopTokens *held;

	if (shop == NO_INDEX)
		return;
	tokens_authorize(&call->sim->tokens, shop);
	held = &call->sim->tokens.shops[shop];
	text_addf(&call->answer->body, "{\"access_token\":\"%s\",\"refresh_token\":\"%s\"}", held->access, held->refresh);
}

typedef struct AdminEndpoint
{
	const char *path;
	const char *method;
	void		(*serve) (AdminCall *call);
} AdminEndpoint;

static const AdminEndpoint endpoints[] = {
	{"/admin/health", "GET", admin_health},
	{"/admin/start", "POST", admin_start},
	{"/admin/progress", "GET", admin_progress},
	{"/admin/offers", "GET", admin_offers},
	{"/admin/price_lock", "POST", admin_price_lock},
	{"/admin/shown", "GET", admin_shown},
	{"/admin/shown", "POST", admin_set_shown},
	{"/admin/promotion", "POST", admin_promotion},
	{"/admin/state", "POST", admin_state},
	{"/admin/writes", "GET", admin_writes},
	{"/admin/faults", "POST", admin_set_faults},
	{"/admin/counters", "GET", admin_counters},
	{"/admin/calls", "GET", admin_calls},
	{"/admin/order", "POST", admin_order},
	{"/admin/pchome", "POST", pchome_admin},
	{"/admin/ruten", "POST", ruten_admin},
	{"/admin/shipments", "GET", admin_shipments},
	{"/admin/order_status", "POST", admin_order_status},
	{"/admin/expire_token", "POST", admin_expire_token},
	{"/admin/authorize", "POST", admin_authorize},
	{"/admin/push", "GET", admin_push},
	{"/admin/push", "POST", admin_set_push},
	{"/admin/push_send", "POST", admin_send_push},
	{"/admin/sign", "GET", admin_sign},
};

static const AdminEndpoint *
find_endpoint(const Request *request)
{
	for (size_t i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++)
	{
		if (strcmp(endpoints[i].path, request->path) == 0 &&
			strcmp(endpoints[i].method, request->method) == 0)
			return &endpoints[i];
	}
	return NULL;
}

void
admin_serve(Simulator *sim, const Request *request, Answer *answer)
{
	AdminCall	call = {.sim = sim,.request = request,.answer = answer};
	const AdminEndpoint *endpoint = find_endpoint(request);
	cJSON	   *body = NULL;

	if (endpoint == NULL)
	{
		admin_error(&call, 404, "no such path or method");
		return;
	}
	if (request->body_length > 0)
		body = cJSON_ParseWithOpts(request->body, NULL, true);
	else if (strcmp(request->method, "POST") == 0)
		body = cJSON_CreateObject();
	call.body = body;

	if (body == NULL ? request->body_length > 0 : !cJSON_IsObject(body))
		admin_error(&call, 400, "the body is not a JSON object");
	else if (endpoint->serve == admin_start || endpoint->serve == admin_progress)
		endpoint->serve(&call);
	else
	{
		pthread_mutex_lock(&sim->market.lock);
		endpoint->serve(&call);
		pthread_mutex_unlock(&sim->market.lock);
	}
	cJSON_Delete(body);
}
