/*
 * token.c
 *		Access and refresh tokens; see token.h.
 */
#include "token.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "text.h"

#define US_PER_S INT64_C(1000000)

void
tokens_init(Tokens *tokens, const Catalogue *catalogue, int64_t life_s, int64_t grace_s,
			int64_t code_life_s, uint64_t seed)
{
	memset(tokens, 0, sizeof(*tokens));
	tokens->n_shops = catalogue->n_shops;
	tokens->life_us = life_s * US_PER_S;
	tokens->grace_us = grace_s * US_PER_S;
	tokens->code_life_us = code_life_s * US_PER_S;
	tokens->seed = seed;
	tokens->shops = sim_alloc(tokens->n_shops * sizeof(ShopTokens));
	for (uint32_t i = 0; i < tokens->n_shops; i++)
	{
		tokens->shops[i].access = sim_copy(catalogue->shops[i].access_token);
		tokens->shops[i].refresh = sim_copy(catalogue->shops[i].refresh_token);
		tokens->shops[i].access_until_us = clock_us() + tokens->life_us;
		tokens->shops[i].consent_s = clock_wall_s();
		tokens->shops[i].consent_days = CONSENT_MOST_DAYS;
	}
}

void
tokens_free(Tokens *tokens)
{
	for (uint32_t i = 0; i < tokens->n_shops; i++)
	{
		free(tokens->shops[i].access);
		free(tokens->shops[i].previous);
		free(tokens->shops[i].refresh);
		free(tokens->shops[i].code);
	}
	free(tokens->shops);
	memset(tokens, 0, sizeof(*tokens));
}

bool
tokens_valid(const Tokens *tokens, uint32_t shop, const char *access)
{
	const ShopTokens *held = &tokens->shops[shop];
	int64_t		now_us = clock_us();

	if (strcmp(held->access, access) == 0)
		return now_us < held->access_until_us;
	return held->previous != NULL && strcmp(held->previous, access) == 0 &&
		now_us < held->previous_until_us;
}

/* A token that nobody else has: repeatable, not secret. */
static char *
make_token(Tokens *tokens, const char *kind)
{
	char		token[64];

	(void) snprintf(token, sizeof(token), "sim%s%016" PRIx64 "%08" PRIx64, kind, tokens->seed,
					(uint64_t) ++tokens->n_made);
	return sim_copy(token);
}

bool
tokens_refresh(Tokens *tokens, uint32_t shop, const char *refresh)
{
	ShopTokens *held = &tokens->shops[shop];
	int64_t		now_us = clock_us();

	if (strcmp(held->refresh, refresh) != 0)
		return false;

	free(held->previous);
	held->previous = held->access;
	held->previous_until_us = now_us + tokens->grace_us;
	if (held->previous_until_us > held->access_until_us)
		held->previous_until_us = held->access_until_us;
	held->access = make_token(tokens, "access");
	held->access_until_us = now_us + tokens->life_us;
	free(held->refresh);
	held->refresh = make_token(tokens, "refresh");
	return true;
}

void
tokens_authorize(Tokens *tokens, uint32_t shop)
{
	ShopTokens *held = &tokens->shops[shop];

	free(held->previous);
	held->previous = NULL;
	free(held->access);
	held->access = make_token(tokens, "access");
	held->access_until_us = clock_us() + tokens->life_us;
	free(held->refresh);
	held->refresh = make_token(tokens, "refresh");
}

const char *
tokens_consent(Tokens *tokens, uint32_t shop, int64_t days)
{
	ShopTokens *held = &tokens->shops[shop];

	held->consent_s = clock_wall_s();
	held->consent_days = days;
	free(held->code);
	held->code = make_token(tokens, "code");
	held->code_until_us = clock_us() + tokens->code_life_us;
	return held->code;
}

bool
tokens_exchange(Tokens *tokens, uint32_t shop, const char *code)
{
	ShopTokens *held = &tokens->shops[shop];
	bool		good = held->code != NULL && strcmp(held->code, code) == 0 && clock_us() < held->code_until_us;

	if (!good)
		return false;
	free(held->code);
	held->code = NULL;
	tokens_authorize(tokens, shop);
	return true;
}

void
tokens_revoke(Tokens *tokens, uint32_t shop)
{
	ShopTokens *held = &tokens->shops[shop];

	/* a pair that nobody is given */
	tokens_authorize(tokens, shop);
	tokens_expire(tokens, shop);
	free(held->code);
	held->code = NULL;
}

void
tokens_expire(Tokens *tokens, uint32_t shop)
{
	ShopTokens *held = &tokens->shops[shop];

	held->access_until_us = 0;
	held->previous_until_us = 0;
}
