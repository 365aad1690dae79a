/*
 * token.h
 *		Each shop's access and refresh token and their lives, and the code that
 *		its seller was given last for new ones. Guarded by the market's lock.
 */
#ifndef SIM_TOKEN_H
#define SIM_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "catalogue.h"

/* The longest time for which a seller may consent. */
#define CONSENT_MOST_DAYS 365

typedef struct ShopTokens
{
	char	   *access;
	int64_t		access_until_us;
	char	   *previous;		/* access token before the last refresh, or NULL */
	int64_t		previous_until_us;
	char	   *refresh;		/* works once */
	char	   *code;			/* works once; NULL for none */
	int64_t		code_until_us;
	int64_t		consent_s;		/* Unix seconds: when the seller consented last, and for how many days */
	int64_t		consent_days;
} ShopTokens;

typedef struct Tokens
{
	ShopTokens *shops;
	uint32_t	n_shops;
	int64_t		life_us;		/* of an access token */
	int64_t		grace_us;		/* of the one before, after a refresh */
	int64_t		code_life_us;
	uint64_t	seed;
	int64_t		n_made;
} Tokens;

extern void tokens_init(Tokens *tokens, const Catalogue *catalogue, int64_t life_s, int64_t grace_s,
						int64_t code_life_s, uint64_t seed);
extern void tokens_free(Tokens *tokens);

/* Whether this access token opens the shop now. */
extern bool tokens_valid(const Tokens *tokens, uint32_t shop, const char *access);

/* Trades the shop's refresh token for a new pair. False: not the one in force. */
extern bool tokens_refresh(Tokens *tokens, uint32_t shop, const char *refresh);

/* The seller has consented: a code for the shop, which takes the place of the one before. */
extern const char *tokens_consent(Tokens *tokens, uint32_t shop, int64_t days);

/* Trades the shop's code for a new pair; the one before ends at once. False: not a code of this shop, spent or too old. */
extern bool tokens_exchange(Tokens *tokens, uint32_t shop, const char *code);

/* The seller takes the authorisation back: nothing opens the shop until another. */
extern void tokens_revoke(Tokens *tokens, uint32_t shop);

/* The seller authorises the shop anew: another pair, and the one before ends at once. */
extern void tokens_authorize(Tokens *tokens, uint32_t shop);

/* Ends the shop's access tokens at once; the refresh token stays. */
extern void tokens_expire(Tokens *tokens, uint32_t shop);

#endif
