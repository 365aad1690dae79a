/*
 * ruten.h
 *		The Ruten dialect: what comes in under /api/v1/.
 *
 * Written from what is publicly known of the platform, sharing nothing with
 * any client of it. Each call happens under the market's lock as a whole.
 * Any shop of the catalogue can be spoken to: its API key is the catalogue's
 * access_token, its secret key the refresh_token, the salt the partner_key.
 */
#ifndef SIM_RUTEN_H
#define SIM_RUTEN_H

#include "admin.h"
#include "server.h"

typedef struct RutenCall
{
	Simulator  *sim;
	const Request *request;
	Answer	   *answer;
	uint32_t	shop;
	const cJSON *body;			/* of a PUT or POST; an object */
	const char *path;			/* the endpoint's, constant */
	int64_t		item_id;		/* in the path of one item */
} RutenCall;

/* Whether a path is of this dialect. */
extern bool ruten_path(const char *path);
extern void ruten_serve(Simulator *sim, const Request *request, Answer *answer);

/* POST /admin/ruten: the settings. */
extern void ruten_admin(AdminCall *call);

/* What the endpoints answer with; both replace an answer that was begun. data is JSON. */
extern void ruten_success(RutenCall *call, const Text *data);
extern void ruten_fail(RutenCall *call, int status, const char *code, const char *message);

/* Endpoints */
extern void ruten_product_list(RutenCall *call);
extern void ruten_product_item(RutenCall *call);
extern void ruten_stock(RutenCall *call);
extern void ruten_price(RutenCall *call);
extern void ruten_online(RutenCall *call);
extern void ruten_offline(RutenCall *call);
extern void ruten_order_list(RutenCall *call);
extern void ruten_order_detail(RutenCall *call);

/* Integer query parameter within the bounds; false: absent or not so. */
extern bool ruten_argument(const RutenCall *call, const char *name, int64_t least, int64_t most, int64_t *result);

#endif
