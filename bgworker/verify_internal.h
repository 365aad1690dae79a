/*
 * verify_internal.h
 *		What verify.c, which has shops read, and verify_judge.c, which asks what
 *		that means, share.
 */
#ifndef STORESYNC_VERIFY_INTERNAL_H
#define STORESYNC_VERIFY_INTERNAL_H

#include "verify.h"

#include "platform.h"

typedef enum ReadingState
{
	READING_WAITS,
	READING_FLYING,
	READING_READ,				/* to be judged */
	READING_DOUBTFUL			/* differs: to be judged when orders are fetched */
} ReadingState;

typedef struct Reading
{
	PlatformItem item;			/* texts that are its own */
	ReadingState state;
	int			attempts;
	int64		qty;			/* -1: it could not be read, and `reason` says why */
	TimestampTz sent_at;
	TimestampTz answered_at;
	char		reason[80];
} Reading;

/* Forget one reading; the last one takes its place. */
extern void verify_forget(StoreVerify *verify, int i);

/*
 * Judge what was read, and what orders are fetched for by now; note through
 * when they are to be fetched for the rest. Listings to be compared are added
 * to `again`. SPI connected.
 */
extern void verify_judge(DispatchStore *store, TimestampTz now, SsSet *again);

#endif
