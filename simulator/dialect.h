/*
 * dialect.h
 *		What the dialects have in common around an endpoint: reading the body,
 *		and what faults make of an answer. Under the market's lock.
 */
#ifndef SIM_DIALECT_H
#define SIM_DIALECT_H

#include "server.h"

/* The body as JSON, NULL when it is none; the caller deletes it. */
extern cJSON *dialect_body(const Request *request);

/* Replaces the answer by a page of HTML, as a gateway answers. */
extern void dialect_page(Answer *answer, int status);

/* Refuses the call in the dialect's own words: a throttle, a quota, a credential or the server's fault. */
typedef void (*DialectRefusal) (void *call, FaultKind fault);

/* Faults that keep a call of the shop from doing anything. True: it is over. */
extern bool dialect_fault_before(Simulator *sim, uint32_t shop, Answer *answer, FaultKind fault,
								 DialectRefusal refuse, void *call);

/* Faults that strike when all is done. */
extern void dialect_fault_after(Simulator *sim, uint32_t shop, Answer *answer, FaultKind fault);

#endif
