/*
 * admin_faults.c
 *		/admin/: setting faults and reading the counters. Under the market's
 *		lock.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "admin.h"
#include "shopee.h"

#define MAX_SLOW_MS 600000
#define MAX_COUNT 1000000000

/* The kind of this name; FAULT_NONE for another word. */
static FaultKind
fault_named(const char *name)
{
	int			kind = 0;

	while (kind < FAULT_N_KINDS && strcmp(fault_name((FaultKind) kind), name) != 0)
		kind++;
	return (FaultKind) kind;
}

/* Reads one field of the rules; NULL when it is well formed, else what is wrong. */
static const char *
read_rule(const AdminCall *call, const cJSON *field, FaultRules *rules)
{
	FaultKind	kind = fault_named(field->string);
	int64_t		value;

	if (kind != FAULT_NONE)
	{
		rules->rate[kind] = cJSON_IsNumber(field) ? field->valuedouble :
			cJSON_IsString(field) ? strtod(field->valuestring, NULL) : -1;
		return rules->rate[kind] >= 0 && rules->rate[kind] <= 1 ? NULL : "a rate must be from 0 to 1";
	}
	if (strcmp(field->string, "path") == 0)
	{
		if (!cJSON_IsString(field) || strlen(field->valuestring) >= FAULT_PATH_SIZE)
			return "path must be a text of less than 128 bytes";
		memcpy(rules->path, field->valuestring, strlen(field->valuestring) + 1);
		return NULL;
	}
	if (!json_integer(field, true, &value))
		return "an unknown field, or not a number";
	if (strcmp(field->string, "shop_id") == 0)
	{
		rules->shop = catalogue_shop(&call->sim->catalogue, value);
		return rules->shop == NO_INDEX ? "unknown shop_id" : NULL;
	}
	if (strcmp(field->string, "slow_ms") == 0)
	{
		rules->slow_ms = value;
		return value >= 0 && value <= MAX_SLOW_MS ? NULL : "slow_ms must be from 0 to 600000";
	}
	if (strcmp(field->string, "count") == 0)
	{
		rules->left = value;
		return value >= 0 && value <= MAX_COUNT ? NULL : "count must be from 0 to 1000000000";
	}
	if (strcmp(field->string, "http_status") == 0)
	{
		rules->http_status = value;
		return value >= 200 && value <= 599 ? NULL : "http_status must be from 200 to 599";
	}
	return "an unknown field";
}

void
admin_set_faults(AdminCall *call)
{
	FaultRules	rules = fault_rules_none();
	const char *wrong = NULL;
	const cJSON *field;
	double		sum = 0;

	cJSON_ArrayForEach(field, call->body)
	{
		wrong = read_rule(call, field, &rules);
		if (wrong != NULL)
			break;
	}
	for (int kind = 0; kind < FAULT_ITEM_FAILURE; kind++)
		sum += rules.rate[kind];
	if (wrong == NULL && sum > 1.000001)
		wrong = "the rates, item_failure left out, come to more than 1";
	if (wrong != NULL)
	{
		admin_error(call, 400, wrong);
		return;
	}
	faults_set(&call->sim->faults, &rules);
	text_addf(&call->answer->body, "{\"ok\":true}");
}

/* What buyers did and the limit refused: of one shop, or of all. */
static void
write_sales(Text *body, const MarketCounters *counters, int64_t refused_limit)
{
	text_addf(body, "\"refused_limit\":%" PRId64 ",\"orders\":%" PRId64 ",\"lines\":%" PRId64 ",\"units\":%" PRId64,
			  refused_limit, counters->orders, counters->lines, counters->units);
	text_addf(body, ",\"lost_lines\":%" PRId64 ",\"lost_units\":%" PRId64, counters->lost_lines,
			  counters->lost_units);
	text_addf(body, ",\"oversold_units\":%" PRId64 ",\"cancelled_orders\":%" PRId64,
			  counters->oversold_units, counters->cancelled_orders);
}

static void
write_shops(const Simulator *sim, Text *body)
{
	text_addf(body, ",\"shops\":[");
	for (uint32_t i = 0; i < sim->catalogue.n_shops; i++)
	{
		const ShopCalls *calls = &sim->calls.shops[i];

		json_comma(body);
		text_addf(body, "{\"shop_id\":\"%" PRId64 "\",\"calls\":%" PRIu64 ",", sim->catalogue.shops[i].shop_id, calls->n_calls);
		write_sales(body, &sim->market.counters[i], calls->refused_limit);
		text_addf(body, "}");
	}
	text_addf(body, "]");
}

void
admin_counters(AdminCall *call)
{
	const Simulator *sim = call->sim;
	MarketCounters total = market_total(&sim->market);
	Text	   *body = &call->answer->body;

	text_addf(body, "{");
	shopee_write_calls(body);
	text_addf(body, ",\"ruten_calls\":%" PRId64, sim->ruten.calls);
	text_addf(body, ",\"pchome_calls\":%" PRId64, sim->pchome.calls);
	text_addf(body, ",\"bad_signature\":%" PRId64 ",", sim->calls.bad_signature);
	write_sales(body, &total, calls_over_limit(&sim->calls));
	text_addf(body, ",\"max_in_second\":%" PRId64, sim->calls.max_in_second);
	write_shops(sim, body);
	text_addf(body, ",\"faults\":{");
	for (int kind = 0; kind < FAULT_N_KINDS; kind++)
	{
		json_comma(body);
		text_addf(body, "\"%s\":%" PRId64, fault_name((FaultKind) kind), sim->faults.injected[kind]);
	}
	text_addf(body, "}}");
}
