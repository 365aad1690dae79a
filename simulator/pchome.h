/*
 * pchome.h
 *		The PChome dialect (ECVDR): what comes in under /vdr/ and /vdr_fake/.
 *
 * Written from the platform's documents, sharing nothing with any client of
 * it. The whole of a call, from its first check to the text of its answer,
 * happens under the market's lock.
 *
 * The catalogue has numbers for ids. Here item 100001 is the group
 * SIMA0A-A00100001 and its model 2 the product SIMA0A-A00100001-002; an item
 * without models is 000. An order's line n is the record with its number, a
 * dash and n in two digits.
 */
#ifndef SIM_PCHOME_H
#define SIM_PCHOME_H

#include "admin.h"
#include "server.h"

#define PCHOME_GROUP_SIZE 32	/* with the NUL */

typedef struct PchomeCall
{
	Simulator  *sim;
	const Request *request;
	Answer	   *answer;
	uint32_t	shop;
	const cJSON *body;			/* of a PUT */
	const char *id;				/* what the path names, NULL for none */
	const char *path;			/* the endpoint's pattern, constant */
} PchomeCall;

extern bool pchome_path(const char *path);
extern void pchome_serve(Simulator *sim, const Request *request, Answer *answer);

/* /admin/pchome: consigned goods, stock that cannot be lowered, an address that is not let in. */
extern void pchome_admin(AdminCall *call);

/* Answers 400 with a code. */
extern void pchome_refuse(PchomeCall *call, const char *code, const char *message);
/* Answers 204, without a body. */
extern void pchome_done(PchomeCall *call);

/* The group of a listing's item, and the listing that a product id names (NO_INDEX: none). */
extern void pchome_group(const CatalogueListing *listing, char group[PCHOME_GROUP_SIZE]);
/* First listing of the group and how many there are; NO_INDEX when the shop has none. */
extern uint32_t pchome_find_group(const PchomeCall *call, const char *group, uint32_t *count);
extern uint32_t pchome_find_product(const PchomeCall *call, const char *id);

/* Reads offset, from 1, and limit of a list. */
extern void pchome_read_page(const PchomeCall *call, int64_t *offset, int64_t *limit);

/* Endpoints */
extern void pchome_put_qty(PchomeCall *call);
extern void pchome_put_price(PchomeCall *call);
extern void pchome_put_shelf(PchomeCall *call);
extern void pchome_list_products(PchomeCall *call);
extern void pchome_get_products(PchomeCall *call);
extern void pchome_get_product(PchomeCall *call);
extern void pchome_get_specs(PchomeCall *call);
extern void pchome_list_orders(PchomeCall *call);
extern void pchome_get_orders(PchomeCall *call);
extern void pchome_put_ship_info(PchomeCall *call);
extern void pchome_put_not_ship(PchomeCall *call);
extern void pchome_list_returns(PchomeCall *call);

#endif
