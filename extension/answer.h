/*
 * answer.h
 *		Keys that callers used, and the answer each of them got.
 */
#ifndef STORESYNC_ANSWER_H
#define STORESYNC_ANSWER_H

#include "storesync.h"

#include "key.h"

/* What a movement_result says; `replayed` only in answers that were found. */
typedef struct Answer
{
	bool		replayed;
	bool		insufficient;
	int64		on_hand;
	int64		reserved;
	int64		available;
	int64		version;
} Answer;

/*
 * The answer stored under a key, false when there is none. Takes no lock and
 * writes nothing. Raises SS_ERR_KEY_REUSED when the key stands for another
 * request. SPI connected, as the owner.
 */
extern bool answer_find(const IdempotencyKey *key, uint64 fingerprint, Answer *answer);

/* Make the partition that the key needs; before any lock. */
extern void answer_prepare(const IdempotencyKey *key);

/*
 * Store the answer of a key. False when another transaction has used the key
 * meanwhile (it is waited for): then nothing may be written under it.
 */
extern bool answer_store(const IdempotencyKey *key, uint64 fingerprint, const Answer *answer);

/* The Datum of a movement_result. */
extern Datum answer_result(FunctionCallInfo fcinfo, const Answer *answer);

#endif
