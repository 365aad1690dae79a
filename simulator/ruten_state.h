/*
 * ruten_state.h
 *		What a shop has at Ruten beside its stock and orders, and how strict
 *		the dialect is. Guarded by the market's lock.
 */
#ifndef SIM_RUTEN_STATE_H
#define SIM_RUTEN_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "catalogue.h"

#define RUTEN_TIME_FIELD_SIZE 32

typedef struct RutenState
{
	bool		sign_path_only; /* signatures are over path and query, else over the whole URL */
	bool		sign_base64;	/* and in base64, else in hex */
	bool		user_agent;		/* requests without User-Agent get a page */
	bool		html_403;		/* a wrong signature gets a page instead of JSON */
	char		time_field[RUTEN_TIME_FIELD_SIZE];	/* of an order: what says when it was placed; "": nothing does */
	bool	   *offline;		/* per listing; an item's is that of its first */
	int64_t    *price;			/* per listing, in dollars */
	int64_t		calls;			/* that came, refused ones included */
} RutenState;

extern void ruten_init(RutenState *state, const Catalogue *catalogue);
extern void ruten_free(RutenState *state);

#endif
