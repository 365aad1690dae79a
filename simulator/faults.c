/*
 * faults.c
 *		Which calls go wrong; see faults.h.
 *
 * Each shop draws from its own stream of random numbers, one number a call
 * that the rules concern. So the same seed and the same calls of a shop meet
 * the same faults, however the calls of several shops mingle.
 */
#include "faults.h"

#include <stdlib.h>
#include <string.h>

#include "catalogue.h"
#include "text.h"

static const char *const fault_names[FAULT_N_KINDS] = {
	[FAULT_ERROR_5XX] = "error_5xx",
	[FAULT_CUT_BEFORE] = "cut_before",
	[FAULT_THROTTLE] = "throttle",
	[FAULT_QUOTA] = "quota",
	[FAULT_AUTH] = "auth",
	[FAULT_SERVER] = "server",
	[FAULT_SLOW] = "slow",
	[FAULT_CUT_AFTER] = "cut_after",
	[FAULT_MALFORMED] = "malformed",
	[FAULT_ITEM_FAILURE] = "item_failure",
};

/* splitmix64: the next number of a stream whose state is one word. */
static uint64_t
next_random(uint64_t *state)
{
	uint64_t	z = (*state += UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

/* From 0 up to but not including 1. */
static double
next_fraction(uint64_t *state)
{
	return (double) (next_random(state) >> 11) / 9007199254740992.0;
}

void
faults_init(Faults *faults, uint32_t n_shops, uint64_t seed)
{
	memset(faults, 0, sizeof(*faults));
	faults->stream = sim_alloc(n_shops * sizeof(uint64_t));
	for (uint32_t i = 0; i < n_shops; i++)
	{
		uint64_t	state = seed ^ ((uint64_t) (i + 1) << 40);

		faults->stream[i] = next_random(&state);
	}
	faults->rules = fault_rules_none();
}

void
faults_free(Faults *faults)
{
	free(faults->stream);
	memset(faults, 0, sizeof(*faults));
}

const char *
fault_name(FaultKind kind)
{
	return fault_names[kind];
}

FaultRules
fault_rules_none(void)
{
	FaultRules	rules = {.slow_ms = 3000,.http_status = 200,.shop = NO_INDEX,.left = INT64_MAX};

	return rules;
}

void
faults_set(Faults *faults, const FaultRules *rules)
{
	faults->rules = *rules;
	faults->active = false;
	for (int kind = 0; kind < FAULT_N_KINDS; kind++)
		faults->active = faults->active || rules->rate[kind] > 0;
}

static bool
concerned(const Faults *faults, uint32_t shop, const char *path)
{
	const FaultRules *rules = &faults->rules;

	return faults->active && rules->left > 0 &&
		(rules->shop == NO_INDEX || rules->shop == shop) &&
		strstr(path, rules->path) != NULL;
}

static void
count_injected(Faults *faults, FaultKind kind)
{
	faults->injected[kind]++;
	if (faults->rules.left != INT64_MAX)
		faults->rules.left--;
}

FaultKind
faults_draw(Faults *faults, uint32_t shop, const char *path, bool with_token)
{
	double		fraction;

	if (!concerned(faults, shop, path))
		return FAULT_NONE;
	fraction = next_fraction(&faults->stream[shop]);
	for (int kind = 0; kind < FAULT_ITEM_FAILURE; kind++)
	{
		double		rate = kind == FAULT_AUTH && !with_token ? 0 : faults->rules.rate[kind];

		if (fraction < rate)
		{
			count_injected(faults, (FaultKind) kind);
			return (FaultKind) kind;
		}
		fraction -= rate;
	}
	return FAULT_NONE;
}

bool
faults_draw_item(Faults *faults, uint32_t shop, const char *path)
{
	if (!concerned(faults, shop, path) || faults->rules.rate[FAULT_ITEM_FAILURE] <= 0 ||
		next_fraction(&faults->stream[shop]) >= faults->rules.rate[FAULT_ITEM_FAILURE])
		return false;
	count_injected(faults, FAULT_ITEM_FAILURE);
	return true;
}

uint32_t
faults_pick(Faults *faults, uint32_t shop, uint32_t bound)
{
	return (uint32_t) (next_random(&faults->stream[shop]) % bound);
}
