/*
 * ruten_list.c
 *		Ruten partner API: lists of items and orders, page by page.
 *
 * What says whether there is more is not known for sure: a total where one
 * stands, else a full page. A page that begins as the one before it is that
 * page again, for a platform may answer so beyond the last one: the list ends
 * there. What the members are called is tolerated in all forms that clients
 * have seen or expect.
 *
 * The list of what is on sale is two lists of the platform: "on" and then
 * "out", items that are sold out and come back with their stock.
 */
#include "ruten.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "judge.h"

#define SOLD_OUT	"out:"

/* What one page of a list holds. */
typedef struct Page
{
	const cJSON *list;			/* NULL: the answer has none */
	int64_t		total;			/* -1: none was told */
	const char **ids;			/* readable ones, in the arena */
	int			n_ids;
	int			n_entries;
} Page;

bool
ruten_cursor_read(const char *text, RutenCursor *cursor)
{
	const char *slash = strchr(text, '/');
	char		place[16] = "";
	size_t		length;

	*cursor = (RutenCursor) {.place = 1};
	if (*text == '\0')
		return true;
	if (strncmp(text, SOLD_OUT, sizeof(SOLD_OUT) - 1) == 0)
	{
		cursor->sold_out = true;
		text += sizeof(SOLD_OUT) - 1;
	}
	length = slash != NULL ? (size_t) (slash - text) : strlen(text);
	if (length >= sizeof(place) || (slash != NULL && !ruten_order_sn_ok(slash + 1)))
		return false;
	memcpy(place, text, length);
	cursor->before = slash != NULL ? slash + 1 : NULL;
	return plain_int(place, 1, RUTEN_MAX_PLACE, &cursor->place);
}

const char *
ruten_cursor_text(Arena *arena, const RutenCursor *cursor)
{
	const char *text = arena_printf(arena, "%s%" PRId64 "%s%s", cursor->sold_out ? SOLD_OUT : "", cursor->place,
									cursor->before != NULL ? "/" : "", cursor->before != NULL ? cursor->before : "");

	return text != NULL ? text : "";
}

/* find_list finds the array of a page: the data itself, or the first of its members that is one. */
static const cJSON *
find_list(const cJSON *data, const char *const *names, bool *empty)
{
	*empty = false;
	if (cJSON_IsArray(data))
		return data;
	for (; *names != NULL; names++)
	{
		const cJSON *list = jread_array(data, *names);

		if (list != NULL)
			return list;
		/* null in its place: there is nothing */
		if (cJSON_IsObject(data) && cJSON_GetObjectItemCaseSensitive(data, *names) != NULL && !jread_has(data, *names))
			*empty = true;
	}
	return NULL;
}

static int64_t
find_total(const cJSON *data)
{
	static const char *const names[] = {"total", "total_count", "count"};
	int64_t		total;
	size_t		i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (jread_int(data, names[i], 0, RUTEN_MAX_PLACE, &total))
			return total;
	return -1;
}

/* read_page collects the ids of a page, which are texts or members of objects under one of two names. */
static bool
read_page(const cJSON *data, const char *const *lists, const char *name, const char *other_name,
		  bool (*id_ok) (const char *id), Arena *arena, Page *page)
{
	const cJSON *entry;
	bool		empty;

	*page = (Page) {.list = find_list(data, lists, &empty), .total = find_total(data)};
	if (page->list == NULL)
		return empty;
	page->ids = arena_alloc(arena, sizeof(char *) * (size_t) (cJSON_GetArraySize(page->list) + 1));
	cJSON_ArrayForEach(entry, page->list)
	{
		const char *id = cJSON_GetStringValue(entry);

		id = id != NULL ? id : jread_text(entry, name);
		id = id != NULL ? id : jread_text(entry, other_name);
		page->n_entries++;
		if (id != NULL && id_ok(id) && page->ids != NULL)
			page->ids[page->n_ids++] = arena_strdup(arena, id);
	}
	return true;
}

/*
 * turn_page says where the list goes on, in *cursor, and whether it does.
 * `step` is what the place moves by, `seen` the entries before this page.
 */
static bool
turn_page(const Page *page, RutenCursor *cursor, int64_t step, int64_t seen)
{
	if (page->n_ids == 0 || cursor->place > RUTEN_MAX_PLACE - step)
		return false;
	if (page->n_entries < RUTEN_PAGE && page->total <= seen + page->n_entries)
		return false;
	cursor->before = page->ids[0];
	cursor->place += step;
	return true;
}

/* comes_again says whether a page is the one before it, so that there is none. */
static bool
comes_again(const Page *page, const RutenCursor *cursor)
{
	return cursor->before != NULL && page->n_ids > 0 && page->ids[0] != NULL &&
		strcmp(page->ids[0], cursor->before) == 0;
}

/* settle_page makes the answer of a page what it ought to be; false when it is no page. */
static bool
settle_page(const PlatformCall *call, Page *page, bool found, const RutenCursor *cursor,
			Arena *arena, PlatformAnswer *answer)
{
	const char *message = "";
	bool		again = comes_again(page, cursor);

	if (!found || (page->n_entries > 0 && page->n_ids == 0))
	{
		judge_settle(call, answer, OUTCOME_LATER,
					 found ? "no id on the page can be read" : "the answer has no list");
		return false;
	}
	if (again)
	{
		*page = (Page) {.total = -1};
		message = "the page before came again, and is taken as the end of the list";
	}
	else if (page->n_ids < page->n_entries)
		message = arena_printf(arena, "%d entries without a readable id", page->n_entries - page->n_ids);
	judge_settle(call, answer, OUTCOME_OK, message);
	return true;
}

void
ruten_list_orders(const PlatformCall *call, const cJSON *data, Arena *arena, PlatformAnswer *answer)
{
	static const char *const lists[] = {"order_list", "orders", "list", "rows", NULL};
	RutenCursor cursor;
	Page		page;
	bool		found = read_page(data, lists, "order_id", "order_no", ruten_order_sn_ok, arena, &page);

	if (!ruten_cursor_read(call->cursor, &cursor))
		cursor = (RutenCursor) {.place = 1};
	if (!settle_page(call, &page, found, &cursor, arena, answer))
		return;
	answer->order_sns = page.ids;
	answer->n_order_sns = page.n_ids;
	answer->more = turn_page(&page, &cursor, 1, (cursor.place - 1) * RUTEN_PAGE);
	if (answer->more)
		answer->next_cursor = ruten_cursor_text(arena, &cursor);
}

void
ruten_list_items(const PlatformCall *call, const cJSON *data, Arena *arena, PlatformAnswer *answer)
{
	static const char *const lists[] = {
		"items", "item_list", "product_list", "products", "list", "rows", NULL
	};
	RutenCursor cursor;
	Page		page;
	bool		found = read_page(data, lists, "item_id", "id", ruten_id_ok, arena, &page);

	if (!ruten_cursor_read(call->cursor, &cursor))
		cursor = (RutenCursor) {.place = 1};
	if (!settle_page(call, &page, found, &cursor, arena, answer))
		return;
	answer->item_ids = page.ids;
	answer->n_item_ids = page.n_ids;
	answer->more = turn_page(&page, &cursor, RUTEN_PAGE, cursor.place - 1);
	if (!answer->more && call->listed && !cursor.sold_out)
	{
		cursor = (RutenCursor) {.sold_out = true, .place = 1};
		answer->more = true;
	}
	if (answer->more)
		answer->next_cursor = ruten_cursor_text(arena, &cursor);
}
