/*
 * pchome_state.h
 *		What the PChome dialect knows beyond the market: prices, the shelf, what
 *		keeps a product from being written, and what became of single lines.
 *		Guarded by the market's lock.
 */
#ifndef SIM_PCHOME_STATE_H
#define SIM_PCHOME_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "catalogue.h"

#define PCHOME_SHIP_ID_SIZE 49	/* with the NUL */

typedef struct PchomeListing
{
	int64_t		list_price;
	int64_t		price;
	bool		off_shelf;
	bool		consigned;		/* the platform's warehouse counts it */
	int64_t		sale_until_us;	/* its price cannot be changed before */
	int64_t		fixed_until_us; /* it cannot be lowered before */
} PchomeListing;

/* A line that was shipped or declined. */
typedef struct PchomeLine
{
	uint32_t	order;			/* place in the market's orders */
	int			line;			/* from 0 */
	bool		declined;
	int64_t		ship_qty;		/* 0: not shipped */
	char		ship_id[PCHOME_SHIP_ID_SIZE];
	char		carrier[PCHOME_SHIP_ID_SIZE];
} PchomeLine;

typedef struct PchomeState
{
	PchomeListing *listings;	/* as the catalogue's */
	bool	   *shut;			/* per shop: the caller's address is not let in */
	PchomeLine *lines;
	uint32_t	n_lines;
	int64_t		calls;			/* that came in under /vdr/ and /vdr_fake/ */
} PchomeState;

extern void pchome_init(PchomeState *state, const Catalogue *catalogue);
extern void pchome_free(PchomeState *state);

#endif
