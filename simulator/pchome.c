/*
 * pchome.c
 *		The PChome dialect: routing, the checks before an endpoint, and the
 *		faults around it; see pchome.h.
 *
 * The checks go: path and method, vendor, address, limit, faults, endpoint.
 * There is no signature: whoever calls from an address that is let in is the
 * vendor.
 */
#include "pchome.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "dialect.h"

typedef struct Endpoint
{
	const char *path;			/* {V} is the vendor, {I} the id */
	const char *method;
	void		(*serve) (PchomeCall *call);
} Endpoint;

static const Endpoint endpoints[] = {
	{"/prod/v3.3/index.php/vendor/{V}/prod/qty", "PUT", pchome_put_qty},
	{"/prod/v3.3/index.php/vendor/{V}/prod/price", "PUT", pchome_put_price},
	{"/prod/v3.3/index.php/vendor/{V}/prod/isshelf", "PUT", pchome_put_shelf},
	{"/prod/v3.3/index.php/core/vendor/{V}/prod", "GET", pchome_list_products},
	{"/prod/v3.3/index.php/vendor/{V}/prod", "GET", pchome_get_products},
	{"/prod/v3.3/index.php/vendor/{V}/prod/{I}", "GET", pchome_get_product},
	{"/prod/v3.3/index.php/vendor/{V}/prod/{I}/spec", "GET", pchome_get_specs},
	{"/order/v1/index.php/trans/core/vendor/{V}/order", "GET", pchome_list_orders},
	{"/order/v1/index.php/trans/vendor/{V}/order", "GET", pchome_get_orders},
	{"/order/v1/index.php/trans/vendor/{V}/order/{I}/shipinfo", "PUT", pchome_put_ship_info},
	{"/order/v1/index.php/trans/vendor/{V}/order/{I}/isnotship", "PUT", pchome_put_not_ship},
	{"/refund/v1/index.php/trans/core/vendor/{V}/refund", "GET", pchome_list_returns},
};

#define N_ENDPOINTS ((int) (sizeof(endpoints) / sizeof(endpoints[0])))

void
pchome_init(PchomeState *state, const Catalogue *catalogue)
{
	memset(state, 0, sizeof(*state));
	state->listings = sim_alloc(catalogue->n_listings * sizeof(PchomeListing));
	state->shut = sim_alloc(catalogue->n_shops * sizeof(bool));
	for (uint32_t i = 0; i < catalogue->n_listings; i++)
	{
		state->listings[i].price = (int64_t) catalogue->listings[i].price;
		state->listings[i].list_price = state->listings[i].price;
	}
}

void
pchome_free(PchomeState *state)
{
	free(state->listings);
	free(state->shut);
	free(state->lines);
	memset(state, 0, sizeof(*state));
}

/* The path behind the live or the test directory, NULL when it is in neither. */
static const char *
inside(const char *path)
{
	if (strncmp(path, "/vdr/", 5) == 0)
		return path + 4;
	if (strncmp(path, "/vdr_fake/", 10) == 0)
		return path + 9;
	return NULL;
}

bool
pchome_path(const char *path)
{
	return inside(path) != NULL;
}

void
pchome_refuse(PchomeCall *call, const char *code, const char *message)
{
	text_free(&call->answer->body);
	call->answer->status = 400;
	text_addf(&call->answer->body, "{\"Code\":\"%s\",\"Msg\":", code);
	json_string(&call->answer->body, message);
	text_addf(&call->answer->body, "}");
}

void
pchome_done(PchomeCall *call)
{
	text_free(&call->answer->body);
	call->answer->status = 204;
}

void
pchome_group(const CatalogueListing *listing, char group[PCHOME_GROUP_SIZE])
{
	(void) snprintf(group, PCHOME_GROUP_SIZE, "SIMA0A-A%08" PRId64, listing->item_id);
}

uint32_t
pchome_find_group(const PchomeCall *call, const char *group, uint32_t *count)
{
	char		made[PCHOME_GROUP_SIZE];
	uint32_t	first;
	int64_t		item_id;

	*count = 0;
	if (strncmp(group, "SIMA0A-A", 8) != 0)
		return NO_INDEX;
	item_id = strtoll(group + 8, NULL, 10);
	first = catalogue_item(&call->sim->catalogue, call->shop, item_id, count);
	if (first == NO_INDEX)
		return NO_INDEX;
	pchome_group(&call->sim->catalogue.listings[first], made);
	return strcmp(made, group) == 0 ? first : NO_INDEX;
}

uint32_t
pchome_find_product(const PchomeCall *call, const char *id)
{
	const char *dash = strrchr(id, '-');
	char		group[PCHOME_GROUP_SIZE];
	uint32_t	count;
	uint32_t	first;

	if (dash == NULL || strlen(dash + 1) != 3 || dash - id >= PCHOME_GROUP_SIZE)
		return NO_INDEX;
	memcpy(group, id, (size_t) (dash - id));
	group[dash - id] = '\0';
	first = pchome_find_group(call, group, &count);
	if (first == NO_INDEX)
		return NO_INDEX;
	return catalogue_listing(&call->sim->catalogue, call->shop, call->sim->catalogue.listings[first].item_id,
							 strtoll(dash + 1, NULL, 10));
}

void
pchome_read_page(const PchomeCall *call, int64_t *offset, int64_t *limit)
{
	const char *value = request_argument(call->request, "offset");

	if (value == NULL || !parse_integer(value, offset) || *offset < 1)
		*offset = 1;
	value = request_argument(call->request, "limit");
	if (value == NULL || !parse_integer(value, limit) || *limit < 1)
		*limit = 20;
	if (*limit > 112)
		*limit = 112;
}

/* Matches a path against a pattern; the two parts are cut out into the caller's buffers. */
static bool
matches(const char *pattern, const char *path, char *vendor, char *id, size_t size)
{
	while (*pattern != '\0')
	{
		size_t		length = strcspn(path, "/");
		char	   *part = pattern[0] == '{' ? (pattern[1] == 'V' ? vendor : id) : NULL;

		if (part != NULL)
		{
			if (length == 0 || length >= size)
				return false;
			memcpy(part, path, length);
			part[length] = '\0';
			path += length;
			pattern += 3;
		}
		else if (*pattern++ != *path++)
			return false;
	}
	return *path == '\0';
}

/* What the vendor is told of an injected error; see DialectRefusal. */
static void
refuse_fault(void *called, FaultKind fault)
{
	PchomeCall *call = called;

	if (fault == FAULT_SERVER)
		pchome_refuse(call, "400-00-016", "The update failed.");
	else
		dialect_page(call->answer, fault == FAULT_AUTH ? 403 : 429);
}

/* From the limit on: the call is known to be the vendor's own. */
static void
serve_vendor(PchomeCall *call, const Endpoint *endpoint)
{
	FaultKind	fault;

	if (!calls_take(&call->sim->calls, call->shop, endpoint->path))
	{
		dialect_page(call->answer, 429);
		return;
	}
	fault = faults_draw(&call->sim->faults, call->shop, endpoint->path, true);
	if (dialect_fault_before(call->sim, call->shop, call->answer, fault, refuse_fault, call))
		return;
	endpoint->serve(call);
	dialect_fault_after(call->sim, call->shop, call->answer, fault);
}

static void
serve_known(PchomeCall *call, const Endpoint *endpoint, const char *vendor)
{
	const Request *request = call->request;
	bool		put = strcmp(endpoint->method, "PUT") == 0;
	cJSON	   *body = NULL;
	int64_t		shop_id;

	call->shop = parse_integer(vendor, &shop_id) ? catalogue_shop(&call->sim->catalogue, shop_id) : NO_INDEX;
	if (put)
		body = dialect_body(request);
	call->body = body;
	if (call->shop == NO_INDEX)
		pchome_refuse(call, "400-00-004", "The vendor is not found.");
	else if (call->sim->pchome.shut[call->shop])
		dialect_page(call->answer, 403);
	else if (put && body == NULL)
		pchome_refuse(call, "400-00-001", "The data is invalid.");
	else
		serve_vendor(call, endpoint);
	cJSON_Delete(body);
}

void
pchome_serve(Simulator *sim, const Request *request, Answer *answer)
{
	PchomeCall	call = {.sim = sim,.request = request,.answer = answer,.shop = NO_INDEX};
	const Endpoint *found = NULL;
	char		vendor[64] = "";
	char		id[64] = "";

	pthread_mutex_lock(&sim->market.lock);
	sim->pchome.calls++;
	for (int i = 0; i < N_ENDPOINTS && found == NULL; i++)
	{
		if (strcmp(endpoints[i].method, request->method) == 0 &&
			matches(endpoints[i].path, inside(request->path), vendor, id, sizeof(id)))
			found = &endpoints[i];
	}
	if (found == NULL)
		dialect_page(answer, 404);
	else
	{
		call.path = found->path;
		call.id = id;
		serve_known(&call, found, vendor);
	}
	pthread_mutex_unlock(&sim->market.lock);
}

void
pchome_admin(AdminCall *call)
{
	PchomeState *state = &call->sim->pchome;
	uint32_t	shop = admin_shop(call);
	uint32_t	listing;
	int64_t		seconds;
	const cJSON *value;

	if (shop == NO_INDEX)
		return;
	if ((value = cJSON_GetObjectItemCaseSensitive(call->body, "shut")) != NULL)
		state->shut[shop] = cJSON_IsTrue(value);
	if (cJSON_HasObjectItem(call->body, "item_id"))
	{
		listing = admin_listing(call, shop, call->body);
		if (listing == NO_INDEX)
		{
			admin_error(call, 400, "the shop has no such listing");
			return;
		}
		if ((value = cJSON_GetObjectItemCaseSensitive(call->body, "consigned")) != NULL)
			state->listings[listing].consigned = cJSON_IsTrue(value);
		if (json_field_integer(call->body, "fixed_s", false, &seconds))
			state->listings[listing].fixed_until_us = clock_us() + seconds * 1000000;
	}
	text_addf(&call->answer->body, "{\"ok\":true}");
}
