/*
 * shopee_ship.c
 *		Shopee Open Platform v2: shipping an order, and cancelling lines of one.
 *
 * The platform names the ways in which an order may be shipped and what each
 * of them needs. A way is handed on as a text: "dropoff", "pickup/ADDRESS/TIME"
 * or "non_integrated", in the order in which we prefer them.
 *
 * Pure: no I/O, no state.
 */
#include "shopee.h"

#include <string.h>

#define MAX_METHOD		200
#define MAX_PACKAGE		64
#define MAX_TRACKING	100

static const char *
check_order(const PlatformCall *call)
{
	if (call->order_sn == NULL || !shopee_order_sn_ok(call->order_sn))
		return "the order number is malformed";
	if (call->package_id != NULL && !plain_visible(call->package_id, MAX_PACKAGE))
		return "the package number is malformed";
	return NULL;
}

const char *
shopee_build_ship_info(const PlatformCall *call, const PlatformAccess *access,
					   PlainBuffer *url, PlainBuffer *body)
{
	const char *wrong = check_order(call);

	if (wrong != NULL)
		return wrong;
	plain_add(url, "&order_sn=");
	plain_add_query(url, call->order_sn);
	if (call->package_id != NULL)
	{
		plain_add(url, "&package_number=");
		plain_add_query(url, call->package_id);
	}
	return NULL;
}

/* add_pickup writes the branch of "pickup/ADDRESS/TIME"; false when it is none. */
static bool
add_pickup(const char *method, PlainBuffer *body)
{
	const char *address = method + strlen("pickup/");
	const char *slash = strchr(address, '/');
	char	   *number;
	int64_t		id;

	if (slash == NULL)
		return false;
	number = arena_strndup(body->arena, address, (size_t) (slash - address));
	if (number == NULL || !plain_int(number, 1, INT64_MAX, &id) || slash[1] == '\0')
		return false;
	plain_add(body, "\"pickup\":{\"address_id\":");
	plain_add(body, number);
	plain_add(body, ",\"pickup_time_id\":");
	plain_add_json(body, slash + 1);
	plain_add(body, "}");
	return true;
}

const char *
shopee_build_ship(const PlatformCall *call, const PlatformAccess *access,
				  PlainBuffer *url, PlainBuffer *body)
{
	const char *method = call->ship_method != NULL ? call->ship_method : "";
	const char *wrong = check_order(call);

	if (wrong != NULL)
		return wrong;
	if (!plain_visible(method, MAX_METHOD))
		return "the way of shipping is malformed";
	plain_add(body, "{\"order_sn\":");
	plain_add_json(body, call->order_sn);
	if (call->package_id != NULL)
	{
		plain_add(body, ",\"package_number\":");
		plain_add_json(body, call->package_id);
	}
	plain_add(body, ",");
	if (strcmp(method, "dropoff") == 0)
		plain_add(body, "\"dropoff\":{}");
	else if (strcmp(method, "non_integrated") == 0)
	{
		if (call->tracking == NULL || !plain_visible(call->tracking, MAX_TRACKING))
			return "this way of shipping needs a tracking number";
		plain_add(body, "\"non_integrated\":{\"tracking_number\":");
		plain_add_json(body, call->tracking);
		plain_add(body, "}");
	}
	else if (strncmp(method, "pickup/", strlen("pickup/")) != 0 || !add_pickup(method, body))
		return "the way of shipping is none of Shopee's";
	plain_add(body, "}");
	return NULL;
}

/* pickup_method names the first time at the first address, NULL when there is none. */
static const char *
pickup_method(const cJSON *response, Arena *arena)
{
	const cJSON *address = cJSON_GetArrayItem(jread_array(jread_child(response, "pickup"), "address_list"), 0);
	const cJSON *slot = cJSON_GetArrayItem(jread_array(address, "time_slot_list"), 0);
	const char *address_id = jread_text(address, "address_id");
	const char *time_id = jread_text(slot, "pickup_time_id");
	int64_t		id;

	if (address_id == NULL || !plain_int(address_id, 1, INT64_MAX, &id) ||
		time_id == NULL || !plain_visible(time_id, MAX_PACKAGE) || strchr(time_id, '/') != NULL)
		return NULL;
	return arena_printf(arena, "pickup/%s/%s", address_id, time_id);
}

/*
 * A way that wants more than we can know (a branch, the sender's name) is not
 * taken; an order that has no other is for people.
 */
void
shopee_judge_ship_info(const PlatformCall *call, const cJSON *root, Arena *arena, PlatformAnswer *answer)
{
	const cJSON *response = jread_child(root, "response");
	const cJSON *needed = jread_child(response, "info_needed");
	const cJSON *dropoff = jread_array(needed, "dropoff");

	if (needed == NULL)
	{
		judge_settle(call, answer, OUTCOME_LATER, "the answer does not say how the order may be shipped");
		return;
	}
	if (dropoff != NULL && cJSON_GetArraySize(dropoff) == 0)
		answer->ship_method = "dropoff";
	else if (jread_array(needed, "pickup") != NULL)
		answer->ship_method = pickup_method(response, arena);
	if (answer->ship_method == NULL && jread_array(needed, "non_integrated") != NULL)
		answer->ship_method = "non_integrated";
	if (answer->ship_method == NULL)
		judge_settle(call, answer, OUTCOME_PERMANENT, "every way of shipping wants what only a person knows");
}

/* reason_of: who says no reason for lines cannot deliver them. */
static const char *
reason_of(const PlatformCall *call)
{
	return call->reason == NULL && call->n_items > 0 ? "OUT_OF_STOCK" : call->reason;
}

/* reason_ok tells whether Shopee knows the reason, and what goes with it. */
static bool
reason_ok(const PlatformCall *call, const char *reason)
{
	static const char *const reasons[] = {"CUSTOMER_REQUEST", "UNDELIVERABLE_AREA", "COD_NOT_SUPPORTED"};
	size_t		i;

	if (reason == NULL)
		return false;
	if (strcmp(reason, "OUT_OF_STOCK") == 0)
		return call->n_items > 0;
	for (i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (strcmp(reasons[i], reason) == 0)
			return true;
	return false;
}

const char *
shopee_build_cancel(const PlatformCall *call, const PlatformAccess *access,
					PlainBuffer *url, PlainBuffer *body)
{
	const char *wrong = check_order(call);
	const char *reason = reason_of(call);
	int64_t		id;
	int			i;

	if (wrong != NULL)
		return wrong;
	if (!reason_ok(call, reason))
		return "the reason is none of Shopee's, or OUT_OF_STOCK without the lines";
	plain_add(body, "{\"order_sn\":");
	plain_add_json(body, call->order_sn);
	plain_add(body, ",\"cancel_reason\":");
	plain_add_json(body, reason);
	for (i = 0; i < call->n_items; i++)
	{
		if (!plain_int(call->items[i].item_id, 1, INT64_MAX, &id) || !shopee_model_id(call->items[i].model_id, &id))
			return "the item or model id is not a number";
		plain_add(body, i == 0 ? ",\"item_list\":[{\"item_id\":" : ",{\"item_id\":");
		plain_add(body, call->items[i].item_id);
		plain_add(body, ",\"model_id\":");
		plain_add_int(body, id);
		plain_add(body, "}");
	}
	plain_add(body, call->n_items > 0 ? "]}" : "}");
	return NULL;
}
