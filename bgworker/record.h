/*
 * record.h
 *		What follows from the calls that ended in a round: gathered first,
 *		written by a handful of statements.
 */
#ifndef STORESYNC_RECORD_H
#define STORESYNC_RECORD_H

#include "call.h"
#include "set.h"

typedef struct Record
{
	SsSet	   *again;			/* listings to be compared again: (id, when it changed) */
	SsSet	   *clean;			/* listings known to show what is wanted: likewise */
	SsSet	   *acks;			/* listing_shown: acknowledged */
	SsSet	   *doubts;			/* listing_shown: may or may not have been applied */
	SsSet	   *refused;		/* listing_shown: certainly not applied */
	SsSet	   *put_off;		/* listing_shown: refused for the moment */
	SsSet	   *reads;			/* listing_shown: read */
	SsSet	   *pushes;			/* push: each quantity sent */
	SsSet	   *calls;			/* call_log */
	SsSet	   *dead;			/* compensation */
	SsSet	   *cursors;		/* order_cursor */
	SsSet	   *looks;			/* order_look, order_gap */
} Record;

/* A platform's text as this database can hold it. */
extern const char *record_text(const char *value);

extern void record_init(Record *record, MemoryContext context);

/* Outcome of element `i` of a stock call. */
extern void record_push(Record *record, const DispatchCall *call, int i,
						OutcomeClass class, const char *reason);
/* Element `i` of a stock call is refused for now, and the platform says when to come again. */
extern void record_put_off(Record *record, const DispatchCall *call, int i, const char *reason);
/*
 * Before calls leave: their listings' quantities, committed with the round that
 * built them. Rows of (listing_id, quantity).
 */
extern void record_sending(SsSet *sending);
/* A read found element `i` of its items showing a quantity, and no write of it left meanwhile. */
extern void record_read(Record *record, const DispatchCall *call, int i, int64 quantity);
/* The call itself; `message` NULL for the answer's own. */
extern void record_call(Record *record, const DispatchCall *call, const char *message);
/* Given up: element `i` of a stock call, with the story its listing has. */
extern void record_dead_listing(Record *record, const DispatchCall *call, int i,
								OutcomeClass class, const char *reason);
/* A try as a JSON object: when, class, HTTP status, curl code, microseconds by phase, reason, redacted excerpt. */
extern char *record_attempt_text(const QueueAttempt *attempt);
/* Given up: one order that cannot be fetched or booked. Not repeated while it is unsettled. */
extern void record_dead_order(Record *record, const DispatchCall *call, const char *order_sn);
/* All orders of the store up to `through` are committed. */
extern void record_cursor(Record *record, int store_id, TimestampTz through);
/* An hour of the store has been looked at again, whatever was missing has been fetched. */
extern void record_look(Record *record, int store_id, const Look *look);

/* Write everything. Returns how many went to compensation. SPI connected, as the owner. */
extern int	record_write(const Record *record);

#endif
