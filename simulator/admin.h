/*
 * admin.h
 *		What comes in under /admin/: starting the trace, looking inside,
 *		setting faults, being a buyer. No signature: loopback only.
 */
#ifndef SIM_ADMIN_H
#define SIM_ADMIN_H

#include "server.h"

typedef struct AdminCall
{
	Simulator  *sim;
	const Request *request;
	Answer	   *answer;			/* begun empty; an error replaces it */
	const cJSON *body;			/* of a POST; an object */
} AdminCall;

extern void admin_serve(Simulator *sim, const Request *request, Answer *answer);

/* Answers with {"error":…} and the HTTP status. */
extern void admin_error(AdminCall *call, int status, const char *message);

/* Shop named by a field of the body, or NO_INDEX with the error answered. */
extern uint32_t admin_shop(AdminCall *call);

/* The listing that item_id and model_id (absent: 0) of an object name; NO_INDEX for none. */
extern uint32_t admin_listing(const AdminCall *call, uint32_t shop, const cJSON *object);
/* The listing that the body names by "shop_id", "item_id" and "model_id"; NO_INDEX when there is none, the error answered. */
extern uint32_t admin_body_listing(AdminCall *call);

/* admin_order.c and admin_faults.c; under the market's lock. */
extern void admin_order(AdminCall *call);
extern void admin_order_status(AdminCall *call);
extern void admin_shipments(AdminCall *call);
extern void admin_offers(AdminCall *call);
extern void admin_price_lock(AdminCall *call);
extern void admin_shown(AdminCall *call);
extern void admin_set_shown(AdminCall *call);
extern void admin_promotion(AdminCall *call);
extern void admin_set_faults(AdminCall *call);
extern void admin_counters(AdminCall *call);

/* admin_state.c; under the market's lock. */
extern void admin_state(AdminCall *call);
extern void admin_writes(AdminCall *call);

/* admin_notice.c; under the market's lock. */
extern void admin_push(AdminCall *call);
extern void admin_set_push(AdminCall *call);
extern void admin_send_push(AdminCall *call);

#endif
