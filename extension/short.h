/*
 * short.h
 *		Lines of orders that the stock does not cover, settled by an operator:
 *		cancelled at their platform, left to rest, or served from a place that
 *		their store does not sell from.
 *
 * Locking: the order's row, then the places of its short lines and of what is
 * moved (order_line.h), then the key's index entry and the decision's row.
 */
#ifndef STORESYNC_SHORT_H
#define STORESYNC_SHORT_H

#include "storesync.h"

#include "key.h"
#include "order_line.h"

typedef enum ShortProposal
{
	SHORT_CANCEL,
	SHORT_WAIT,
	SHORT_MOVE
} ShortProposal;

/* What was asked for, checked. */
typedef struct ShortRequest
{
	int32		store_id;
	text	   *order_sn;
	text	   *line_id;		/* NULL: all lines that are short */
	ShortProposal proposal;
	const IdempotencyKey *key;
	text	   *location;		/* of a move; NULL: what the work list proposes */
	TimestampTz until;			/* of a wait; 0 otherwise */
	text	   *note;			/* NULL: none */
	bool		whole;			/* cancel units that are covered, too */
	uint64		fingerprint;
} ShortRequest;

/* The order under its lock, and those of its lines that the request is about. */
typedef struct ShortOrder
{
	int64		order_id;
	char	   *platform;
	int			nlines;
	LoneLine   *lines;
	StockHold	hold;
	StockJournal journal;
} ShortOrder;

/* What is answered. Nothing is stored under the key unless `done` is set. */
typedef struct ShortAnswer
{
	const char *outcome;
	bool		done;
	bool		replayed;
	int64		units;			/* of the SKU: cancelled, left to wait, or moved */
	int64		left;			/* still short */
	int64		task_id;		/* 0: none */
	char	   *detail;			/* NULL: none */
} ShortAnswer;

/* ---- short_request.c */

/* Read and check every argument. */
extern void short_read_request(FunctionCallInfo fcinfo, ShortRequest *r);
extern const char *short_proposal_name(ShortProposal proposal);

/* ---- short_order.c */

/* Lock the order; raises SS_ERR_UNKNOWN_ORDER. */
extern void short_lock(const ShortRequest *r, ShortOrder *order);
/* Read the line that the request names, or all that are short; raises SS_ERR_UNKNOWN_LINE. */
extern void short_load(const ShortRequest *r, ShortOrder *order);
/*
 * Lock the places of its lines, give what there is to the lines that wait for
 * it, those of this order among them, and read its lines again.
 */
extern void short_take_in(const ShortRequest *r, ShortOrder *order);
/* Drop the lines that wait for nothing; the answer says so when none is left. */
extern void short_keep(ShortOrder *order, ShortAnswer *answer);
/* Units of a line that its order wants: reserved and short ones. */
extern int64 short_live(const OrderLine *line);
/* A task of this order that asks its platform to cancel, of this line if it is not NULL; 0: none is open. */
extern int64 short_cancel_open(const ShortRequest *r, const text *line_id);

/* ---- short_move.c */

/* Where a move comes from and goes to, named before places are locked. */
typedef struct ShortRoute
{
	int32		from;			/* 0: there is no place that has any */
	int32		to;				/* 0: the store has no place that sells */
	char	   *from_code;
} ShortRoute;

/* Find both ends, and make the places that are missing there. Raises 22023 when the store sells from `from` anyway. */
extern void short_route(const ShortRequest *r, const ShortOrder *order, ShortRoute *route);
/*
 * Move what the line lacks and reserve it for the line, before anybody else
 * is served; as many whole units as there are. The answer is not done when
 * there is nothing to move.
 */
extern void short_move(const ShortRequest *r, ShortOrder *order, const ShortRoute *route, ShortAnswer *answer);

#endif
