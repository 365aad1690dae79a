/*
 * test_canonical.c
 *		The tables of docs/canonical.md against the codecs: what each status
 *		becomes, and which fields of a document each platform fills.
 *
 * Reads the page in the working directory, the top of the tree.
 */
#include <stdio.h>
#include <stdlib.h>

#include "codec_test.h"

#define PAGE			"docs/canonical.md"
#define LINE_BYTES		1024
#define MAX_CELLS		6

static const char *const shopee_sns[] = {"A1"};
static const char *const ruten_sns[] = {"A1"};
static const char *const pchome_sns[] = {"A1-01"};

/* How an order of each platform looks, %s being its status, or of PChome a field of the record. */
typedef struct Sample
{
	const Platform *platform;
	const char *const *sns;
	const char *plain;			/* nothing but what has to be there */
	const char *full;			/* everything that is read */
	const char *usual;			/* what stands for %s in an order in full */
} Sample;

static const Sample samples[] = {
	{
		&platform_shopee, shopee_sns,
		"{\"error\":\"\",\"message\":\"\",\"response\":{\"order_list\":[{\"order_sn\":\"A1\",\"order_status\":\"%s\","
		"\"create_time\":1760000000,\"update_time\":1760000100,\"item_list\":[{\"item_id\":5,\"model_id\":7,\"model_quantity_purchased\":2}]}]}}",
		"{\"error\":\"\",\"message\":\"\",\"response\":{\"order_list\":[{\"order_sn\":\"A1\",\"order_status\":\"%s\","
		"\"create_time\":1760000000,\"update_time\":1760000100,\"currency\":\"TWD\",\"buyer_username\":\"PERSON\",\"buyer_user_id\":1,"
		"\"recipient_address\":{\"name\":\"PERSON\",\"phone\":\"PERSON\"},\"message_to_seller\":\"PERSON\",\"note\":\"PERSON\",\"item_list\":["
		"{\"item_id\":5,\"model_id\":7,\"model_sku\":\"M\",\"item_sku\":\"I\",\"model_quantity_purchased\":2,\"cancelled_qty\":1,\"returned_qty\":1,"
		"\"model_original_price\":250,\"model_discounted_price\":199}]}]}}",
		"PROCESSED"
	},
	{
		&platform_ruten, ruten_sns,
		"{\"status\":\"success\",\"data\":[{\"order_id\":\"A1\",\"order_detail\":{\"order_info\":{\"order_id\":\"A1\",\"order_status\":\"%s\"},"
		"\"item_list\":[{\"item_id\":\"5\",\"spec_id\":\"7\",\"quantity_purchased\":2}]}}],\"error_code\":null,\"error_msg\":null}",
		"{\"status\":\"success\",\"data\":[{\"order_id\":\"A1\",\"order_detail\":{\"order_info\":{\"order_id\":\"A1\",\"order_status\":\"%s\","
		"\"buyer_id\":\"PERSON\",\"create_time\":\"2025-10-09 16:53:20\"},\"checkout_info\":{\"total_amount\":100,\"receiver\":\"PERSON\"},"
		"\"item_list\":[{\"item_id\":\"5\",\"spec_id\":\"7\",\"custom_no\":\"S\",\"quantity_purchased\":2,\"original_price\":250,"
		"\"discount_price\":199}]}}],\"error_code\":null,\"error_msg\":null}",
		"ReadyToShip"
	},
	{
		&platform_pchome, pchome_sns,
		"[{\"Id\":\"A1-01\",\"TransDate\":\"2025/10/09 13:26:00\",\"OrderQty\":2,\"Prod\":{\"Id\":\"AAAA0A-A00000001-001\"},%s}]",
		"[{\"Id\":\"A1-01\",\"TransDate\":\"2025/10/09 13:26:00\",\"OrderQty\":2,\"CancelQty\":1,\"TotalCost\":1800,"
		"\"Prod\":{\"Id\":\"AAAA0A-A00000001-001\",\"VendorPID\":\"S\",\"Cost\":900},\"Buyer\":{\"Name\":\"PERSON\"},"
		"\"Receiver\":{\"Name\":\"PERSON\",\"Tel\":\"PERSON\",\"Address\":\"PERSON\"},%s}]",
		"\"isNotShip\":1"
	}
};

#define N_SAMPLES ((int) (sizeof(samples) / sizeof(samples[0])))

static const Sample *
sample_of(const char *name)
{
	for (int i = 0; i < N_SAMPLES; i++)
		if (strcmp(samples[i].platform->name, name) == 0)
			return &samples[i];
	return NULL;
}

/* documents_of returns what an answer becomes, as the intake gets it. */
static const char *
documents_of(Arena *arena, const Sample *sample, const char *form, const char *says)
{
	PlatformCall call = {.kind = CALL_GET_ORDERS, .order_sns = sample->sns, .n_order_sns = 1, .cursor = ""};
	const char *mark = strstr(form, "%s");
	PlatformReply reply;
	PlatformAnswer answer;

	assert_non_null(mark);
	reply = reply_of(arena, 200, arena_printf(arena, "%.*s%s%s", (int) (mark - form), form, says, mark + 2));
	sample->platform->judge(&call, &reply, arena, &answer);
	assert_int_equal(answer.class, OUTCOME_OK);
	assert_int_equal(answer.n_documents, 1);
	return answer.documents;
}

/* bare takes the blanks around a cell away, and the backquotes around what stands in it. */
static char *
bare(char *cell)
{
	char	   *end;

	cell += strspn(cell, " `");
	end = cell + strlen(cell);
	while (end > cell && strchr(" `\n", end[-1]) != NULL)
		end--;
	*end = '\0';
	return cell;
}

/* next_row reads the next row of the page whose first cell is none of a header; how many cells, 0 at the end. */
static int
next_row(FILE *page, char *line, char *cells[MAX_CELLS])
{
	static char none[] = "";

	for (int i = 0; i < MAX_CELLS; i++)
		cells[i] = none;
	while (fgets(line, LINE_BYTES, page) != NULL)
	{
		int			n = 0;
		char	   *rest = line;
		char	   *cell;

		if (line[0] != '|' || strncmp(line, "| ---", 5) == 0)
			continue;
		while (n < MAX_CELLS && (cell = strsep(&rest, "|")) != NULL)
			if (cell != line)
				cells[n++] = bare(cell);
		return n - 1;
	}
	return 0;
}

static FILE *
open_page(void)
{
	FILE	   *page = fopen(PAGE, "r");

	assert_non_null(page);
	return page;
}

static void
every_status_is_what_the_page_says(void **state)
{
	int			rows[N_SAMPLES] = {0};
	char		line[LINE_BYTES];
	char	   *cells[MAX_CELLS];
	FILE	   *page = open_page();

	while (next_row(page, line, cells) > 0)
	{
		const Sample *sample = sample_of(cells[0]);
		const char *expected;

		if (sample == NULL)
			continue;
		/* of the order, and of its line where lines have their own */
		expected = arena_printf(*state, "\"status\":\"%s\",", cells[2]);
		if (strstr(documents_of(*state, sample, sample->plain, cells[1]), expected) == NULL)
			fail_msg("%s: %s is not %s", cells[0], cells[1], cells[2]);
		rows[sample - samples]++;
	}
	(void) fclose(page);
	/* as many as the platforms' documents have; of PChome, readings */
	assert_int_equal(rows[0], 12);
	assert_int_equal(rows[1], 6);
	assert_int_equal(rows[2], 8);
}

/* has_field says whether documents have a field, of the order or, as lines[].NAME, of its lines. */
static bool
has_field(Arena *arena, const char *documents, const char *field)
{
	const char *lines = strstr(documents, "\"lines\":[");
	bool		of_line = strncmp(field, "lines[].", 8) == 0;
	const char *found;

	assert_non_null(lines);
	found = strstr(of_line ? lines : documents, arena_printf(arena, "\"%s\":", of_line ? field + 8 : field));
	return found != NULL && (of_line || found < lines);
}

static void
each_platform_fills_what_the_page_says(void **state)
{
	const char *documents[N_SAMPLES];
	char		line[LINE_BYTES];
	char	   *cells[MAX_CELLS];
	int			rows = 0;
	FILE	   *page = open_page();

	for (int i = 0; i < N_SAMPLES; i++)
		documents[i] = documents_of(*state, &samples[i], samples[i].full, samples[i].usual);
	while (next_row(page, line, cells) > 0)
	{
		if (sample_of(cells[0]) != NULL || strcmp(cells[0], "platform") == 0 || strcmp(cells[0], "document") == 0)
			continue;
		for (int i = 0; i < N_SAMPLES; i++)
			if (has_field(*state, documents[i], cells[0]) != (strcmp(cells[1 + i], "–") != 0))
				fail_msg("%s of %s: %s", cells[0], samples[i].platform->name, documents[i]);
		rows++;
	}
	(void) fclose(page);
	assert_int_equal(rows, 16);
}

static void
nothing_of_a_person_comes_in(void **state)
{
	for (int i = 0; i < N_SAMPLES; i++)
		assert_null(strstr(documents_of(*state, &samples[i], samples[i].full, samples[i].usual), "PERSON"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		arena_test(every_status_is_what_the_page_says),
		arena_test(each_platform_fills_what_the_page_says),
		arena_test(nothing_of_a_person_comes_in),
	};

	return cmocka_run_group_tests_name("canonical", tests, NULL, NULL);
}
