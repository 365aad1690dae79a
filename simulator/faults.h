/*
 * faults.h
 *		Which calls go wrong, and how: by rate, by count, by shop and path,
 *		drawn from a seed. Guarded by the market's lock.
 */
#ifndef SIM_FAULTS_H
#define SIM_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

/* In the order in which one draw is divided among them. */
typedef enum FaultKind
{
	FAULT_ERROR_5XX,			/* a gateway's 500, 502, 503 or 504, nothing applied */
	FAULT_CUT_BEFORE,			/* nothing applied, closed without an answer */
	FAULT_THROTTLE,				/* error_rate_limit, nothing applied */
	FAULT_QUOTA,				/* error_limit, nothing applied */
	FAULT_AUTH,					/* invalid_acceess_token, nothing applied */
	FAULT_SERVER,				/* error_server, nothing applied */
	FAULT_SLOW,					/* applied, answered slow_ms later */
	FAULT_CUT_AFTER,			/* applied, closed without an answer */
	FAULT_MALFORMED,			/* applied, answered with something that is not JSON */
	FAULT_ITEM_FAILURE,			/* drawn for itself, per model: one entry of failure_list */
	FAULT_N_KINDS,
	FAULT_NONE = FAULT_N_KINDS
} FaultKind;

#define FAULT_PATH_SIZE 128

typedef struct FaultRules
{
	double		rate[FAULT_N_KINDS];
	int64_t		slow_ms;
	int64_t		http_status;	/* of THROTTLE, QUOTA, AUTH and SERVER */
	uint32_t	shop;			/* NO_INDEX: all shops */
	char		path[FAULT_PATH_SIZE];	/* only paths that contain it; "": all */
	int64_t		left;			/* still to be injected; INT64_MAX: no end */
} FaultRules;

typedef struct Faults
{
	FaultRules	rules;
	bool		active;			/* some rate is above 0 */
	uint64_t   *stream;			/* per shop: state of its random numbers */
	int64_t		injected[FAULT_N_KINDS];
} Faults;

extern void faults_init(Faults *faults, uint32_t n_shops, uint64_t seed);
extern void faults_free(Faults *faults);

extern const char *fault_name(FaultKind kind);

/* No faults, 3 s slow, HTTP 200, all shops and paths, without end. */
extern FaultRules fault_rules_none(void);
extern void faults_set(Faults *faults, const FaultRules *rules);

/* The fault of this call, counted; FAULT_NONE mostly. A call without token meets no FAULT_AUTH. */
extern FaultKind faults_draw(Faults *faults, uint32_t shop, const char *path, bool with_token);

/* Whether this model's entry fails, counted. */
extern bool faults_draw_item(Faults *faults, uint32_t shop, const char *path);

/* A number below bound from the shop's stream, for the details of a fault. */
extern uint32_t faults_pick(Faults *faults, uint32_t shop, uint32_t bound);

#endif
