/*
 * writes.h
 *		What a seller's calls wrote: which listing, which value, and whether
 *		the shop took it. Guarded by the market's lock.
 */
#ifndef SIM_WRITES_H
#define SIM_WRITES_H

#include <stdbool.h>
#include <stdint.h>

#define WRITES_KEPT 200000		/* of all shops; later ones are only counted */

typedef enum WriteKind
{
	WRITE_STOCK,
	WRITE_PRICE,
	WRITE_LISTED				/* 1: put on the shelf, 0: taken off */
} WriteKind;

typedef struct WriteRecord
{
	int64_t		at_us;
	int64_t		item_id;
	int64_t		model_id;
	int64_t		value;
	uint32_t	shop;
	WriteKind	kind;
	bool		applied;
} WriteRecord;

typedef struct Writes
{
	WriteRecord *records;
	uint32_t	n;
	uint32_t	n_lost;			/* came when the log was full */
} Writes;

extern void writes_free(Writes *writes);
extern void writes_note(Writes *writes, uint32_t shop, WriteKind kind, int64_t item_id, int64_t model_id,
						int64_t value, bool applied);
extern const char *write_kind_name(WriteKind kind);

#endif
