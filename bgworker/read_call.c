/*
 * read_call.c
 *		Calls that read what a shop shows of listings. No table is touched.
 */
#include "read_call.h"

#include "push.h"

bool
read_possible(const DispatchStore *store)
{
	return store->platform != NULL && (store->platform->calls & CALL_BIT(CALL_GET_ITEMS)) != 0;
}

bool
read_fits(const DispatchStore *store, const PlatformItem *first, int n, const PlatformItem *item)
{
	if (n == 0)
		return true;
	if (*item->model_id == '\0')
		return *first->model_id == '\0' && n < store->platform->max_get_items;
	return *first->model_id != '\0' && strcmp(item->item_id, first->item_id) == 0 && n < PUSH_MAX_ITEMS;
}

int
read_most(const DispatchStore *store)
{
	return Max(store->platform->max_get_items, PUSH_MAX_ITEMS);
}

/* kind_of: where a platform has no call for models, an item's own tells them too. */
static CallKind
kind_of(const DispatchStore *store, const PlatformItem *first)
{
	return *first->model_id != '\0' && (store->platform->calls & CALL_BIT(CALL_GET_MODELS)) != 0 ?
		CALL_GET_MODELS : CALL_GET_ITEMS;
}

DispatchCall *
read_create(DispatchStore *store, const PlatformItem *items, int n)
{
	DispatchCall *call = call_create(store, kind_of(store, &items[0]));
	PlatformItem *copy = MemoryContextAllocZero(call->context, n * sizeof(PlatformItem));
	const char **ids = MemoryContextAlloc(call->context, n * sizeof(char *));

	for (int i = 0; i < n; i++)
	{
		copy[i].listing_id = items[i].listing_id;
		copy[i].item_id = ids[i] = arena_strdup(call->arena, items[i].item_id);
		copy[i].model_id = arena_strdup(call->arena, items[i].model_id);
	}
	call->call.items = copy;
	call->call.n_items = n;
	call->call.item_ids = ids;
	call->call.n_item_ids = *items[0].model_id == '\0' ? n : 1;
	return call;
}

const ShownItem *
read_shown(const PlatformAnswer *answer, const PlatformItem *item)
{
	for (int i = 0; i < answer->n_shown; i++)
	{
		const ShownItem *shown = &answer->shown[i];

		if (strcmp(shown->item_id, item->item_id) == 0 && strcmp(shown->model_id, item->model_id) == 0)
			return shown;
	}
	return NULL;
}

const char *
read_problem(const ShownItem *shown)
{
	if (shown == NULL)
		return "the shop does not have it";
	if (shown->ended)
		return "the shop does not sell it any more";
	return shown->quantity < 0 ? "the shop does not tell its quantity" : NULL;
}
