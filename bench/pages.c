/*
 * pages.c
 *		Documents for bench/ingest: detail answers of a platform, through its
 *		codec.
 *
 *		pages catalogue SKUS			lines: platform, item, model, SKU as S1, S2, ...
 *		pages PLATFORM SKUS PAGES SEED	lines: number from 1, lines in it, documents
 *
 * Tab separated, for COPY. Numbers of orders hold QQQQQQQQ, for whoever wants
 * each page to be new. What the codec costs, in CPU microseconds a page, goes
 * to stderr: the fastest of several rounds over all pages.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "answers.h"

#define ARENA_BYTES		(64 * 1024 * 1024)
#define MAX_PAGES		1000
#define ROUNDS			9

typedef struct Skus
{
	uint64_t	state;
	int			n;
} Skus;

/* next_sku draws one (xorshift64). */
static int
next_sku(void *state)
{
	Skus	   *skus = state;

	skus->state ^= skus->state << 13;
	skus->state ^= skus->state >> 7;
	skus->state ^= skus->state << 17;
	return (int) (skus->state % (uint64_t) skus->n) + 1;
}

static double
cpu_us(void)
{
	struct timespec now;

	(void) clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double) now.tv_sec * 1e6 + (double) now.tv_nsec / 1e3;
}

static void
write_catalogue(int skus)
{
	const AnswersPlatform *on;
	int			i;

	for (on = answers_platforms; on->platform != NULL; on++)
		for (i = 1; i <= skus; i++)
		{
			Arena	   *arena = arena_create(ARENA_BYTES);

			printf("%s\t%s\t%s\tS%d\n", on->platform->name, answers_item(on, arena, i), answers_model(on, arena, i), i);
			arena_free(arena);
		}
}

static bool
read_page(const AnswersPlatform *on, const PlatformCall *call, const char *body, Arena *arena, PlatformAnswer *answer)
{
	PlatformReply reply = {.sent = true, .complete = true, .http_status = 200, .retry_after = -1,
		.body = body, .body_length = strlen(body)};

	arena_reset(arena);
	on->platform->judge(call, &reply, arena, answer);
	return answer->class == OUTCOME_OK && *answer->message == '\0';
}

/* write_pages prints the documents of n answers, and says what they cost. */
static bool
write_pages(const AnswersPlatform *on, Skus *skus, int n)
{
	static const char *bodies[MAX_PAGES];
	Arena	   *inputs = arena_create((size_t) ARENA_BYTES * 4);
	Arena	   *scratch = arena_create(ARENA_BYTES);
	const char *sns[50];
	PlatformCall call = {.kind = CALL_GET_ORDERS,.order_sns = sns,.n_order_sns = on->max_orders,.cursor = ""};
	PlatformAnswer answer;
	double		fastest = 0;
	bool		ok = true;
	int			i;

	for (i = 0; i < on->max_orders; i++)
		sns[i] = on->records ? arena_printf(inputs, "BQQQQQQQQX%02d-%02d", i / 2, i % 2 + 1) :
			arena_printf(inputs, "BQQQQQQQQX%02d", i);
	for (i = 0; i < n; i++)
		bodies[i] = answers_orders(on, inputs, &call, next_sku, skus);
	for (int round = 0; round < ROUNDS && ok; round++)
	{
		double		start = cpu_us();
		double		spent;

		for (i = 0; i < n && ok; i++)
			ok = read_page(on, &call, bodies[i], scratch, &answer);
		spent = (cpu_us() - start) / n;
		if (round == 0 || spent < fastest)
			fastest = spent;
	}
	for (i = 0; i < n && ok; i++)
	{
		ok = read_page(on, &call, bodies[i], scratch, &answer);
		printf("%d\t%d\t%s\n", i + 1, on->max_orders * (on->records ? 1 : 2), answer.documents);
	}
	fprintf(stderr, "%.1f\n", fastest);
	arena_free(inputs);
	arena_free(scratch);
	return ok;
}

int
main(int argc, char **argv)
{
	int			skus = argc > 2 ? atoi(argv[2]) : 0;
	int			pages = argc > 3 ? atoi(argv[3]) : 0;
	const AnswersPlatform *on = answers_platforms;
	Skus		state;

	if (argc == 3 && strcmp(argv[1], "catalogue") == 0 && skus > 0)
	{
		write_catalogue(skus);
		return 0;
	}
	while (argc == 5 && on->platform != NULL && strcmp(on->platform->name, argv[1]) != 0)
		on++;
	if (argc != 5 || on->platform == NULL || skus < 1 || pages < 1 || pages > MAX_PAGES)
	{
		fprintf(stderr, "usage: pages catalogue SKUS | pages PLATFORM SKUS PAGES SEED\n");
		return 2;
	}
	state = (Skus) {.state = (uint64_t) atoll(argv[4]) * 2 + 1,.n = skus};
	return write_pages(on, &state, pages) ? 0 : 1;
}
