/*
 * ids.c
 *		A growing list of ids (ids.h).
 */
#include "storesync.h"

#include "ids.h"

void
ids_add(IdList *list, int64 id)
{
	if (list->n == list->capacity)
	{
		list->capacity *= 2;
		list->ids = repalloc_huge(list->ids, sizeof(int64) * list->capacity);
	}
	list->ids[list->n++] = id;
}

static int
compare_ids(const void *a, const void *b)
{
	int64		x = *(const int64 *) a;
	int64		y = *(const int64 *) b;

	return (x > y) - (x < y);
}

void
ids_sort(IdList *list)
{
	int			kept = 0;

	qsort(list->ids, list->n, sizeof(int64), compare_ids);
	for (int i = 0; i < list->n; i++)
		if (i == 0 || list->ids[i] != list->ids[i - 1])
			list->ids[kept++] = list->ids[i];
	list->n = kept;
}
