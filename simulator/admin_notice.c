/*
 * admin_notice.c
 *		/admin/: where notifications are sent to and what goes wrong with them,
 *		sending one, and what has become of them. Under the market's lock.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "admin.h"

#define MAX_SHUFFLE_MS 600000

/* Reads a number from 0 to `most`, if it is there. False: it is none. */
static bool
read_number(const AdminCall *call, const char *name, double most, double *value)
{
	const cJSON *field = cJSON_GetObjectItemCaseSensitive(call->body, name);
	char	   *end;

	if (field == NULL)
		return true;
	if (cJSON_IsNumber(field))
		*value = field->valuedouble;
	else if (cJSON_IsString(field))
	{
		*value = strtod(field->valuestring, &end);
		if (end == field->valuestring || *end != '\0')
			return false;
	}
	else
		return false;
	return *value >= 0 && *value <= most;
}

/* Replaces a URL; "" for none. */
static void
set_url(char **place, const char *url)
{
	free(*place);
	*place = *url == '\0' ? NULL : sim_copy(url);
}

/* POST /admin/push: {"url"} is Shopee's, {"shop_id","url"} of one shop at Ruten; the faults. */
void
admin_set_push(AdminCall *call)
{
	Notices    *notices = &call->sim->notices;
	const char *url = json_field_string(call->body, "url");
	double		drop = notices->drop;
	double		duplicate = notices->duplicate;
	double		shuffle = (double) notices->shuffle_ms;
	double		scale = notices->retry_scale;
	uint32_t	shop = NO_INDEX;

	if (url != NULL && *url != '\0' && !notice_url_valid(url))
	{
		admin_error(call, 400, "url must begin with http://127.0.0.1 or http://localhost");
		return;
	}
	if (cJSON_HasObjectItem(call->body, "shop_id") && (shop = admin_shop(call)) == NO_INDEX)
		return;
	if (!read_number(call, "drop", 1, &drop) || !read_number(call, "duplicate", 1, &duplicate) ||
		!read_number(call, "shuffle_ms", MAX_SHUFFLE_MS, &shuffle) || !read_number(call, "retry_scale", 1, &scale))
	{
		admin_error(call, 400, "drop, duplicate and retry_scale must be from 0 to 1, shuffle_ms from 0 to 600000");
		return;
	}
	pthread_mutex_lock(&notices->lock);
	notices->drop = drop;
	notices->duplicate = duplicate;
	notices->shuffle_ms = (int64_t) shuffle;
	notices->retry_scale = scale;
	if (url != NULL)
		set_url(shop != NO_INDEX ? &notices->shop_urls[shop] : &notices->url, url);
	pthread_mutex_unlock(&notices->lock);
	text_addf(&call->answer->body, "{\"ok\":true}");
}

/* POST /admin/push_send: one of Shopee's, {"code","data"} and perhaps "shop_id". */
void
admin_send_push(AdminCall *call)
{
	const cJSON *data = cJSON_GetObjectItemCaseSensitive(call->body, "data");
	uint32_t	shop = NO_INDEX;
	int64_t		code;
	char	   *text;

	if (!json_field_integer(call->body, "code", true, &code) || code < 0 || !cJSON_IsObject(data))
	{
		admin_error(call, 400, "code must be a number and data an object");
		return;
	}
	if (cJSON_HasObjectItem(call->body, "shop_id") && (shop = admin_shop(call)) == NO_INDEX)
		return;
	text = cJSON_PrintUnformatted(data);
	notices_add(&call->sim->notices, shop, code, text != NULL ? text : "{}");
	cJSON_free(text);
	text_addf(&call->answer->body, "{\"ok\":true}");
}

/* GET /admin/push: how many there are, and were. */
void
admin_push(AdminCall *call)
{
	Notices    *notices = &call->sim->notices;
	Text	   *body = &call->answer->body;

	pthread_mutex_lock(&notices->lock);
	text_addf(body, "{\"waiting\":%" PRIu32 ",\"lost\":%" PRIu32 ",\"made\":%" PRId64 ",\"tries\":%" PRId64, notices->waiting.n,
			  notices->lost.n, notices->counters.made, notices->counters.tries);
	text_addf(body, ",\"taken\":%" PRId64 ",\"duplicated\":%" PRId64 ",\"dropped\":%" PRId64 ",\"given_up\":%" PRId64 "}",
			  notices->counters.taken, notices->counters.duplicated, notices->counters.dropped, notices->counters.given_up);
	pthread_mutex_unlock(&notices->lock);
}
