/*
 * codec.c
 *		What a call costs in the codecs of the three platforms: building and
 *		signing its request, judging its answer. The peer in the same run is
 *		the libraries below: cJSON makes and prints an array of as many ids
 *		and quantities, with libcrypto's HMAC of it where the platform wants
 *		one; cJSON parses the same body.
 *
 * CPU time of this process. Rounds of codec and library alternate, the first
 * of each is thrown away, and the fastest of nine counts: on a machine with
 * neighbours everything else measures the neighbours. A run is valid when
 * every request was built, every answer was judged as it should be, and the
 * median round of no line is over half as slow again as its fastest; the
 * program says so and ends with status 1 otherwise. Goal: a stock call and
 * its answer below 20 microseconds each.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "answers.h"
#include "json.h"
#include "platform.h"
#include "sign.h"

#define ROUNDS			9
#define ROUND_SECONDS	0.05
#define ARENA_BYTES		(16 * 1024 * 1024)
#define GOAL_US			20.0
#define MAX_ITEMS		50

/* One measured thing: what is repeated, and on what. */
typedef struct Work
{
	const AnswersPlatform *on;
	const PlatformCall *call;
	const char *body;
	size_t		length;
	int			http_status;
	OutcomeClass class;			/* that it is judged to be */
	Arena	   *arena;
} Work;

typedef bool (*Step) (const Work *work);

static bool valid = true;
static double slowest_stock;	/* microseconds */

static bool
step_build(const Work *work)
{
	PlatformRequest request;
	const char *error;

	arena_reset(work->arena);
	return work->on->platform->build(work->call, &answers_access, work->arena, &request, &error);
}

/* step_print is the peer of step_build. */
static bool
step_print(const Work *work)
{
	cJSON	   *list = cJSON_CreateArray();
	char		hex[SIGN_HEX_BYTES];
	char	   *text;
	bool		done;
	int			i;

	for (i = 0; i < work->call->n_items; i++)
	{
		cJSON	   *item = cJSON_CreateObject();

		(void) cJSON_AddStringToObject(item, "id", work->call->items[i].model_id);
		(void) cJSON_AddNumberToObject(item, "qty", (double) work->call->items[i].quantity);
		(void) cJSON_AddItemToArray(list, item);
	}
	text = cJSON_PrintUnformatted(list);
	done = text != NULL &&
		(work->on->platform == &platform_pchome ||
		 sign_hmac_sha256_hex(answers_access.partner_key, text, strlen(text), hex));
	cJSON_free(text);
	cJSON_Delete(list);
	return done;
}

static bool
step_judge(const Work *work)
{
	PlatformReply reply = {.sent = true, .complete = true, .http_status = work->http_status, .retry_after = -1,
		.body = work->body, .body_length = work->length};
	PlatformAnswer answer;

	arena_reset(work->arena);
	work->on->platform->judge(work->call, &reply, work->arena, &answer);
	return answer.class == work->class;
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

/* compare prints a line, and returns the microseconds of a step. */
static double
compare(const char *name, Step step, Step peer, const Work *work)
{
	double		ours[ROUNDS] = {0};
	double		theirs[ROUNDS] = {0};
	double		a;
	double		b;
	int			i;

	(void) one_round(step, work);
	(void) one_round(peer, work);
	for (i = 0; i < ROUNDS; i++)
	{
		ours[i] = one_round(step, work);
		theirs[i] = one_round(peer, work);
	}
	a = fastest(ours);
	b = fastest(theirs);
	printf("%-40s %9zu %10.2f %10.2f %7.2f\n", name, work->length, a, b, a / b);
	return a;
}

static void
note_stock(double us)
{
	if (us > slowest_stock)
		slowest_stock = us;
}

/* bench_stock measures a stock call on n items and its answer. */
static void
bench_stock(const AnswersPlatform *on, Arena *inputs, Arena *scratch, PlatformCall *call, int n)
{
	char		name[64];
	Work		work = {.on = on,.call = call,.arena = scratch,.http_status = on->stock_status};
	PlatformRequest request = {0};
	const char *error;

	call->n_items = n;
	if (!on->platform->build(call, &answers_access, scratch, &request, &error))
	{
		printf("%s: a stock call of %d cannot be built: %s\n", on->platform->name, n, error);
		valid = false;
		return;
	}
	work.length = strlen(request.url) + request.body_length;
	(void) snprintf(name, sizeof(name), "%s: build and sign, stock of %d", on->platform->name, n);
	note_stock(compare(name, step_build, step_print, &work));
	work.body = answers_stock(on, inputs, call);
	work.length = strlen(work.body);
	work.class = on->stock_status == 200 ? OUTCOME_OK : OUTCOME_LATER;
	(void) snprintf(name, sizeof(name), "%s: judge, stock of %d", on->platform->name, n);
	note_stock(compare(name, step_judge, step_cjson, &work));
}

/* next_sku counts. */
static int
next_sku(void *state)
{
	return ++*(int *) state;
}

/* bench_orders measures a full detail answer. */
static void
bench_orders(const AnswersPlatform *on, Arena *inputs, Arena *scratch)
{
	const char *sns[50];
	PlatformCall call = {.kind = CALL_GET_ORDERS,.order_sns = sns,.n_order_sns = on->max_orders,.cursor = ""};
	Work		work = {.on = on,.call = &call,.arena = scratch,.http_status = 200,.class = OUTCOME_OK};
	char		name[64];
	int			sku = 0;
	int			i;

	for (i = 0; i < on->max_orders; i++)
		sns[i] = on->records ? arena_printf(inputs, "251009TESTSN%02d-%02d", i / 2, i % 2 + 1) :
			arena_printf(inputs, "251009TESTSN%02d", i);
	work.body = answers_orders(on, inputs, &call, next_sku, &sku);
	work.length = strlen(work.body);
	(void) snprintf(name, sizeof(name), "%s: judge, detail of %d %s", on->platform->name, on->max_orders,
					on->records ? "records" : "orders");
	(void) compare(name, step_judge, step_cjson, &work);
}

int
main(void)
{
	Arena	   *inputs = arena_create(ARENA_BYTES);
	Arena	   *scratch = arena_create(ARENA_BYTES);
	const AnswersPlatform *on;

	printf("%-40s %9s %10s %10s %7s\n", "CPU microseconds, fastest round", "bytes", "codec", "library", "ratio");
	for (on = answers_platforms; on->platform != NULL; on++)
	{
		PlatformItem items[MAX_ITEMS];
		PlatformCall push = {.kind = CALL_PUSH_STOCK,.items = items,.cursor = ""};
		int			i;

		/* of one item, where a call takes but one */
		for (i = 0; i < on->max_items; i++)
			items[i] = (PlatformItem) {i, answers_item(on, inputs, 1), answers_model(on, inputs, i + 1), 8, NULL};
		bench_stock(on, inputs, scratch, &push, 1);
		bench_stock(on, inputs, scratch, &push, on->max_items);
		bench_orders(on, inputs, scratch);
	}
	arena_free(inputs);
	arena_free(scratch);
	printf("slowest of a stock call and its answer: %.2f us, goal below %.0f: %s\n", slowest_stock, GOAL_US,
		   slowest_stock < GOAL_US ? "met" : "SHORT");
	if (!valid)
		printf("not valid: a step failed, or rounds differ too much\n");
	return valid ? 0 : 1;
}
