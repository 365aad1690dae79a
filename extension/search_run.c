/*
 * search_run.c
 *		Looks into the packed lists of a run of orders (search_run.h), reading
 *		no more of the value than it takes: a slice of the directory for each
 *		bucket, then a slice with its lists.
 *
 * What it finds are candidates. Hashing, grams that stand apart and texts that
 * have changed make some of them wrong; none that is right is left out.
 */
#include "storesync.h"

#include "port/pg_bitutils.h"

#include "search_run.h"

/* Grams of a fragment that are looked at: each leaves a small part of those before it. */
#define MOST_GRAMS		8
/* So few candidates are looked at instead of another list, */
#define FEW_ORDERS		4
/* and so few instead of a list longer than that. */
#define SOME_ORDERS		64
#define LONG_LIST		8192
/* Lists of SKUs that lie no further apart are read at once: slices come in chunks of 2 kB. */
#define NEAR_BYTES		4096

/* slice returns bytes [from, to) of a run's lists, or what there is of them. */
static bytea *
slice(Datum lists, uint32 from, uint32 to)
{
	return (bytea *) pg_detoast_datum_slice((struct varlena *) DatumGetPointer(lists), (int32) from, (int32) (to - from));
}

/* Part of a directory: offsets of some buckets and the one after them. */
typedef struct Directory
{
	bytea	   *bytes;
	int			first;
	int			n;				/* buckets of which both ends are there */
} Directory;

static Directory
read_directory(Datum lists, int first, int n)
{
	Directory	directory = {.bytes = slice(lists, 4 * (uint32) first, 4 * (uint32) (first + n + 1)), .first = first};

	directory.n = (int) VARSIZE_ANY_EXHDR(directory.bytes) / 4 - 1;
	return directory;
}

/* bounds tells where the lists of a bucket lie behind the directory. */
static void
bounds(const Directory *directory, int bucket, uint32 *from, uint32 *to)
{
	const uint8_t *at = (const uint8_t *) VARDATA_ANY(directory->bytes) + 4 * (bucket - directory->first);

	*from = *to = 0;
	if (bucket - directory->first >= directory->n)
		return;
	*from = search_offset(at);
	*to = Max(*from, search_offset(at + 4));
}

/* note_bucket notes what the lists of a slice have under a key; key -1: under any. */
static void
note_bucket(const bytea *bytes, int key, uint64_t *set)
{
	SearchWalk	walk = {.at = (const uint8_t *) VARDATA_ANY(bytes)};

	walk.end = walk.at + VARSIZE_ANY_EXHDR(bytes);
	while (search_next(&walk))
		if (key < 0 || walk.key == (uint64_t) key)
			(void) search_note(&walk, set);
}

/* keep keeps what is in both sets, and returns how many that are. */
static uint64
keep(uint64_t *set, const uint64_t *other)
{
	uint64		n = 0;

	for (int i = 0; i < SEARCH_WORDS; i++)
	{
		set[i] &= other[i];
		n += (uint64) pg_popcount64(set[i]);
	}
	return n;
}

/* find_text leaves in `found` the orders that have every gram looked at. */
static void
find_text(Datum lists, const SearchText *fragment, uint64_t *found)
{
	const uint32_t *characters = fragment->characters;
	uint64_t	other[SEARCH_WORDS];
	uint64		n = SEARCH_RUN;

	memset(found, 0xFF, sizeof(other));
	/* the last first: numbers begin with the day, which many have in common */
	for (int i = Max(fragment->n - 3, 0), looked = 0; i >= 0 && looked < MOST_GRAMS && n > FEW_ORDERS; i--, looked++)
	{
		int			bucket = search_bucket(characters[i], characters[i + 1]);
		Directory	directory = read_directory(lists, bucket, 1);
		uint32		from;
		uint32		to;

		bounds(&directory, bucket, &from, &to);
		if (n <= SOME_ORDERS && to - from > LONG_LIST)
			continue;
		memset(other, 0, sizeof(other));
		if (from < to)
			note_bucket(slice(lists, SEARCH_DIRECTORY + from, SEARCH_DIRECTORY + to),
						fragment->n == 2 ? -1 : search_key(characters[i + 2]), other);
		n = keep(found, other);
	}
}

void
search_run_text(Datum lists, const SearchText *fragment, uint64_t *set)
{
	uint64_t	found[SEARCH_WORDS];

	find_text(lists, fragment, found);
	for (int i = 0; i < SEARCH_WORDS; i++)
		set[i] |= found[i];
}

/* note_skus notes the lists of those of n SKUs that are in one bucket; its lists lie in [at, end). */
static void
note_skus(const uint8_t *at, const uint8_t *end, const SearchPosting *skus, int n, uint64_t *set)
{
	SearchWalk	walk = {.at = at, .end = end};
	int			i = 0;

	/* both rise */
	while (i < n && search_next(&walk))
	{
		while (i < n && search_posting_key(skus[i]) < walk.key)
			i++;
		if (i < n && search_posting_key(skus[i]) == walk.key)
			(void) search_note(&walk, set);
	}
}

/* near_end returns how many of n SKUs have lists that are worth one slice, and where it ends. */
static int
near_end(const Directory *directory, const SearchPosting *skus, int n, uint32 *end)
{
	int			i = 0;

	for (; i < n; i++)
	{
		uint32		from;
		uint32		to;

		bounds(directory, search_posting_bucket(skus[i]), &from, &to);
		if (i > 0 && from > *end + NEAR_BYTES)
			break;
		*end = to;
	}
	return i;
}

void
search_run_skus(Datum lists, const SearchPosting *skus, int n, uint64_t *set)
{
	Directory	directory = read_directory(lists, SEARCH_BUCKETS, SEARCH_SKU_BUCKETS);

	while (n > 0)
	{
		uint32		first;
		uint32		end;
		uint32		from;
		uint32		to;
		bytea	   *bytes;
		int			near;
		int			alike;

		bounds(&directory, search_posting_bucket(skus[0]), &first, &end);
		near = near_end(&directory, skus, n, &end);
		bytes = slice(lists, SEARCH_DIRECTORY + first, SEARCH_DIRECTORY + Max(end, first));
		for (n -= near; near > 0; near -= alike, skus += alike)
		{
			for (alike = 1; alike < near && search_posting_bucket(skus[alike]) == search_posting_bucket(skus[0]);)
				alike++;
			bounds(&directory, search_posting_bucket(skus[0]), &from, &to);
			if (from < first || to - first > VARSIZE_ANY_EXHDR(bytes))
				continue;
			note_skus((const uint8_t *) VARDATA_ANY(bytes) + (from - first), (const uint8_t *) VARDATA_ANY(bytes) + (to - first),
					  skus, alike, set);
		}
		pfree(bytes);
	}
}
