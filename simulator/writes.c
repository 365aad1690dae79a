/*
 * writes.c
 *		The log of what a seller's calls wrote; see writes.h.
 */
#include "writes.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "text.h"

/* Room is made for so many at first, and for twice as many whenever it is full. */
#define FIRST_ROOM 256

void
writes_free(Writes *writes)
{
	free(writes->records);
	memset(writes, 0, sizeof(*writes));
}

void
writes_note(Writes *writes, uint32_t shop, WriteKind kind, int64_t item_id, int64_t model_id, int64_t value,
			bool applied)
{
	uint32_t	n = writes->n;

	if (n == WRITES_KEPT)
	{
		writes->n_lost++;
		return;
	}
	if (n == 0 || (n >= FIRST_ROOM && (n & (n - 1)) == 0))
		writes->records = sim_grow(writes->records, (n == 0 ? FIRST_ROOM : (size_t) n * 2) * sizeof(WriteRecord));
	writes->records[writes->n++] = (WriteRecord) {
		.at_us = clock_us(), .item_id = item_id, .model_id = model_id, .value = value, .shop = shop, .kind = kind,
		.applied = applied
	};
}

const char *
write_kind_name(WriteKind kind)
{
	return kind == WRITE_STOCK ? "stock" : kind == WRITE_PRICE ? "price" : "listed";
}
