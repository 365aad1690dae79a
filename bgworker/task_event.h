/*
 * task_event.h
 *		What a round has to write about tasks: gathered first, written by two
 *		statements. SPI connected, as the owner.
 */
#ifndef STORESYNC_TASK_EVENT_H
#define STORESYNC_TASK_EVENT_H

#include "storesync.h"

#include "platform.h"

/* Why a push is dead whose listing is: the listing's story is then the task's. */
#define TASK_LISTING_DEAD	"the listing was given up or discarded at this version"

/* Begin to gather, in this memory context. */
extern void task_event_init(MemoryContext context);
/*
 * An event: `class` NULL for none, next_at 0 for none, `detail` NULL for none,
 * `attempt` as record_attempt_text() tells the call that failed, NULL for none.
 */
extern void task_event_add(int64 task_id, const char *state, const char *class, int attempts,
						   TimestampTz next_at, const char *detail, const char *attempt);
/* A task under way has come further: `progress` is JSON for who goes on with it, `detail` for people. */
extern void task_event_progress(int64 task_id, int attempts, const char *progress, const char *detail);
/* A task is given up: its last event, and its row in compensation. */
extern void task_event_dead(int64 task_id, int store_id, const char *kind, OutcomeClass class,
							int attempts, const char *reason, const char *attempt);
extern void task_event_write(void);

#endif
