/*
 * codec.c
 *		What a call costs in the codec: building and signing its request,
 *		judging its answer. The peer in the same run is the library below:
 *		libcrypto's HMAC of the same base string, cJSON's parse of the same
 *		body.
 *
 * CPU time of this process. Rounds of codec and library alternate, the first
 * of each is thrown away, and the fastest of nine counts: on a machine with
 * neighbours everything else measures the neighbours. A run is valid when
 * every request was built, every answer was ok, and the median round of no
 * line is over half as slow again as its fastest; the program says so and
 * ends with status 1 otherwise.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "json.h"
#include "plain.h"
#include "platform.h"
#include "sign.h"

#define ROUNDS			9
#define ROUND_SECONDS	0.05
#define ARENA_BYTES		(16 * 1024 * 1024)

static const PlatformAccess access = {
	.base_url = "https://partner.example.com",
	.shop_id = "300123456",
	.partner_id = "2009999",
	.partner_key = "demoPartnerKey0123456789abcdef",
	.access_token = "demoAccessToken0123456789",
	.refresh_token = "demoRefreshToken0123456789",
	.now = 1760000000
};

/* One measured thing: what is repeated, and on what. */
typedef struct Work
{
	const PlatformCall *call;
	const char *body;
	size_t		length;
	Arena	   *arena;
} Work;

typedef bool (*Step) (const Work *work);

static bool valid = true;

static bool
step_build(const Work *work)
{
	PlatformRequest request;
	const char *error;

	arena_reset(work->arena);
	return platform_shopee.build(work->call, &access, work->arena, &request, &error);
}

static bool
step_hmac(const Work *work)
{
	char		hex[SIGN_HEX_BYTES];

	return sign_hmac_sha256_hex(access.partner_key, work->body, work->length, hex);
}

static bool
step_judge(const Work *work)
{
	PlatformReply reply = {true, true, 200, -1, work->body, work->length};
	PlatformAnswer answer;

	arena_reset(work->arena);
	platform_shopee.judge(work->call, &reply, work->arena, &answer);
	return answer.class == OUTCOME_OK;
}

static bool
step_cjson(const Work *work)
{
	cJSON	   *tree = cJSON_ParseWithLength(work->body, work->length);

	cJSON_Delete(tree);
	return tree != NULL;
}

static double
cpu_seconds(void)
{
	struct timespec now;

	(void) clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

static int
compare_doubles(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return (x > y) - (x < y);
}

/* one_round returns the CPU microseconds of one step, the mean of a round. */
static double
one_round(Step step, const Work *work)
{
	double		start = cpu_seconds();
	double		spent;
	long		steps = 0;

	do
	{
		int			i;

		for (i = 0; i < 16; i++)
			valid = step(work) && valid;
		steps += 16;
		spent = cpu_seconds() - start;
	} while (spent < ROUND_SECONDS);
	return spent * 1e6 / (double) steps;
}

/* fastest sorts the rounds and returns the first, once it has looked at the median. */
static double
fastest(double *rounds)
{
	qsort(rounds, ROUNDS, sizeof(double), compare_doubles);
	valid = valid && rounds[ROUNDS / 2] <= 1.5 * rounds[0];
	return rounds[0];
}

static void
compare(const char *name, Step step, const Work *work, Step peer, const Work *peer_work)
{
	double		ours[ROUNDS] = {0};
	double		theirs[ROUNDS] = {0};
	double		a;
	double		b;
	int			i;

	(void) one_round(step, work);
	(void) one_round(peer, peer_work);
	for (i = 0; i < ROUNDS; i++)
	{
		ours[i] = one_round(step, work);
		theirs[i] = one_round(peer, peer_work);
	}
	a = fastest(ours);
	b = fastest(theirs);
	printf("%-34s %9zu %10.2f %10.2f %7.2f\n", name, work->length, a, b, a / b);
}

static void
bench_build(Arena *arena, const char *name, const PlatformCall *call)
{
	static const char base[] = "2009999/api/v2/product/update_stock1760000000demoAccessToken0123456789300123456";
	PlatformRequest request;
	const char *error;
	Work		work = {call, NULL, 0, arena};
	Work		peer = {call, base, sizeof(base) - 1, arena};

	valid = platform_shopee.build(call, &access, arena, &request, &error) && valid;
	work.length = strlen(request.url) + request.body_length;
	compare(name, step_build, &work, step_hmac, &peer);
}

static void
bench_judge(Arena *arena, const char *name, const PlatformCall *call, const char *body)
{
	Work		work = {call, body, strlen(body), arena};

	compare(name, step_judge, &work, step_cjson, &work);
}

/* stock_answer makes the body that takes n models. */
static const char *
stock_answer(Arena *arena, int n)
{
	PlainBuffer body;
	int			i;

	plain_begin(&body, arena, 4096);
	plain_add(&body, "{\"error\":\"\",\"message\":\"\",\"warning\":\"\",\"request_id\":\"e3e3e7f3e5c3\",\"response\":{\"success_list\":[");
	for (i = 0; i < n; i++)
	{
		plain_add(&body, i > 0 ? ",{\"model_id\":" : "{\"model_id\":");
		plain_add_int(&body, 200001 + i);
		plain_add(&body, ",\"location_id\":\"\",\"stock\":8}");
	}
	plain_add(&body, "],\"failure_list\":[]}}");
	return plain_finish(&body);
}

/* list_answer makes a page of 100 order numbers. */
static const char *
list_answer(Arena *arena)
{
	PlainBuffer body;
	int			i;

	plain_begin(&body, arena, 8192);
	plain_add(&body, "{\"error\":\"\",\"message\":\"\",\"response\":{\"more\":true,\"next_cursor\":\"100\",\"order_list\":[");
	for (i = 0; i < 100; i++)
	{
		plain_add(&body, i > 0 ? ",{\"order_sn\":\"251009TESTSN" : "{\"order_sn\":\"251009TESTSN");
		plain_add_int(&body, i);
		plain_add(&body, "\",\"order_status\":\"READY_TO_SHIP\"}");
	}
	plain_add(&body, "]}}");
	return plain_finish(&body);
}

/* order_answer makes a detail answer of n orders with two lines each, as wide as the platform's. */
static const char *
order_answer(Arena *arena, const char *const *sns, int n)
{
	PlainBuffer body;
	int			i;
	int			j;

	plain_begin(&body, arena, 65536);
	plain_add(&body, "{\"error\":\"\",\"message\":\"\",\"response\":{\"order_list\":[");
	for (i = 0; i < n; i++)
	{
		plain_add(&body, i > 0 ? ",{\"order_sn\":\"" : "{\"order_sn\":\"");
		plain_add(&body, sns[i]);
		plain_add(&body, "\",\"region\":\"TW\",\"currency\":\"TWD\",\"cod\":false,\"order_status\":\"READY_TO_SHIP\","
				  "\"message_to_seller\":\"\",\"create_time\":1760000000,\"update_time\":1760000100,"
				  "\"days_to_ship\":3,\"ship_by_date\":1760259200,\"item_list\":[");
		for (j = 0; j < 2; j++)
		{
			plain_add(&body, j > 0 ? ",{\"item_id\":" : "{\"item_id\":");
			plain_add_int(&body, 100001 + i);
			plain_add(&body, ",\"item_name\":\"復古馬克杯 350ml\",\"item_sku\":\"MUG\",\"model_id\":");
			plain_add_int(&body, 200001 + j);
			plain_add(&body, ",\"model_name\":\"白色\",\"model_sku\":\"MUG-W\",\"model_quantity_purchased\":2,"
					  "\"model_original_price\":250,\"model_discounted_price\":199,\"wholesale\":false,\"weight\":0.3,"
					  "\"add_on_deal\":false,\"main_item\":false,\"add_on_deal_id\":0,\"promotion_type\":\"\","
					  "\"promotion_id\":0,\"order_item_id\":100001,\"promotion_group_id\":0,"
					  "\"image_info\":{\"image_url\":\"https://cf.example.com/file/0123456789abcdef\"},"
					  "\"product_location_id\":[\"TWZ\"]}");
		}
		plain_add(&body, "]}");
	}
	plain_add(&body, "]}}");
	return plain_finish(&body);
}

int
main(void)
{
	Arena	   *inputs = arena_create(ARENA_BYTES);
	Arena	   *scratch = arena_create(ARENA_BYTES);
	PlatformItem items[50];
	const char *sns[50];
	PlatformCall push = {.kind = CALL_PUSH_STOCK, .items = items, .n_items = 1, .cursor = ""};
	PlatformCall list = {.kind = CALL_LIST_ORDERS, .from = 1759990000, .to = 1760000000, .cursor = ""};
	PlatformCall get = {.kind = CALL_GET_ORDERS, .order_sns = sns, .n_order_sns = 1, .cursor = ""};
	int			i;

	for (i = 0; i < 50; i++)
	{
		items[i] = (PlatformItem) {i, "100001", arena_printf(inputs, "%d", 200001 + i), 8};
		sns[i] = arena_printf(inputs, "251009TESTSN%02d", i);
	}
	printf("%-34s %9s %10s %10s %7s\n", "CPU microseconds, fastest round", "bytes", "codec", "library", "ratio");
	bench_build(scratch, "build and sign, stock of 1 model", &push);
	bench_judge(scratch, "judge, stock of 1 model", &push, stock_answer(inputs, 1));
	push.n_items = 50;
	bench_build(scratch, "build and sign, stock of 50 models", &push);
	bench_judge(scratch, "judge, stock of 50 models", &push, stock_answer(inputs, 50));
	bench_build(scratch, "build and sign, order list", &list);
	bench_judge(scratch, "judge, list of 100 orders", &list, list_answer(inputs));
	bench_judge(scratch, "judge, detail of 1 order", &get, order_answer(inputs, sns, 1));
	get.n_order_sns = 50;
	bench_build(scratch, "build and sign, detail of 50", &get);
	bench_judge(scratch, "judge, detail of 50 orders", &get, order_answer(inputs, sns, 50));
	arena_free(inputs);
	arena_free(scratch);
	if (!valid)
		printf("not valid: a step failed, or rounds differ too much\n");
	return valid ? 0 : 1;
}
