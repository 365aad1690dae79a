/*
 * test_pchome_order.c
 *		Tests of PChome's records as documents: joined by order, each line with
 *		its own status, and that one bad record costs no other.
 */
#define TEST_PLATFORM	platform_pchome
#include "codec_test.h"

static const char *const three[] = {"20251009000001-01", "20251009000002-01", "20251009000001-02"};
static const PlatformCall get_one = {.kind = CALL_GET_ORDERS, .order_sns = three, .n_order_sns = 1, .cursor = ""};
static const PlatformCall get_three = {.kind = CALL_GET_ORDERS, .order_sns = three, .n_order_sns = 3, .cursor = ""};

/* 2025/10/09 13:26:00 in Taipei */
#define WHEN	"1759987560"
#define RECORD(id, product, more) \
	"{\"Id\":\"" id "\",\"VendorShipDate\":\"2025/10/11\",\"ShipDate\":\"\",\"TransDate\":\"2025/10/09 13:26:00\",\"OrderQty\":2," \
	"\"TotalCost\":1800,\"Prod\":{\"Id\":\"" product "\",\"Name\":\"名\",\"SpecName\":\"\",\"Cost\":900,\"isRecyclable\":0}," \
	"\"Buyer\":{\"Name\":\"secret\"},\"Receiver\":{\"Name\":\"secret\"}" more "}"
#define PLAIN(id) RECORD(id, "AAAA0A-A00000001-001", "")
#define LINE(id, status) \
	"{\"line_id\":\"" id "\",\"item_id\":\"AAAA0A-A00000001\",\"model_id\":\"001\",\"qty\":2,\"cancelled_qty\":0,\"status\":\"" status "\"}"
#define ORDER(sn, status, lines) \
	"{\"order_sn\":\"" sn "\",\"status\":\"" status "\",\"create_time\":" WHEN ",\"lines\":[" lines "]}"
#define REJECTED(id) "{\"order_sn\":\"" id "\",\"status\":null}"

static void
records_of_one_order_are_joined(void **state)
{
	PlatformAnswer answer = judge(&get_three, *state,
								  "[" PLAIN("20251009000001-02") "," PLAIN("20251009000002-01") ","
								  RECORD("20251009000001-01", "DICKCB-A900GN8U0-000",
										 ",\"CancelQty\":1,\"isNotShip\":0,\"ShipCheckStatus\":\"Shipped\"") "]");

	assert_class(answer.class, OUTCOME_OK);
	assert_string_equal(answer.message, "");
	assert_int_equal(answer.n_documents, 2);
	assert_string_equal(answer.documents, "["
						ORDER("20251009000001", "ready_to_ship",
							  "{\"line_id\":\"01\",\"item_id\":\"DICKCB-A900GN8U0\",\"model_id\":\"\",\"qty\":2,\"cancelled_qty\":1,"
							  "\"status\":\"shipped\"}," LINE("02", "ready_to_ship")) ","
						ORDER("20251009000002", "ready_to_ship", LINE("01", "ready_to_ship")) "]");
	assert_null(strstr(answer.documents, "secret"));
}

static void
the_oldest_record_dates_the_order(void **state)
{
	PlatformAnswer answer = judge(&get_three, *state,
								  "[" PLAIN("20251009000001-01") "," PLAIN("20251009000002-01") ","
								  "{\"Id\":\"20251009000001-02\",\"TransDate\":\"2025/10/08 00:00:00\",\"OrderQty\":\"1\","
								  "\"Prod\":{\"Id\":\"AAAA0A-A00000001-002\",\"VendorPID\":\"SKU \\\"2\\\"\"}}]");

	assert_non_null(strstr(answer.documents,
						   "{\"order_sn\":\"20251009000001\",\"status\":\"ready_to_ship\",\"create_time\":1759852800,\"lines\":["
						   LINE("01", "ready_to_ship") ",{\"line_id\":\"02\",\"item_id\":\"AAAA0A-A00000001\",\"model_id\":\"002\","
						   "\"sku\":\"SKU \\\"2\\\"\",\"qty\":1,\"cancelled_qty\":0,\"status\":\"ready_to_ship\"}]}"));
}

/* status_of_one judges a record with these fields, and finds the line's status. */
static void
status_of_one(Arena *arena, const char *fields, const char *expected)
{
	const char *body = arena_printf(arena, "[" RECORD("20251009000001-01", "AAAA0A-A00000001-001", "%s") "]", fields);
	PlatformAnswer answer = judge(&get_one, arena, body);

	assert_class(answer.class, OUTCOME_OK);
	if (strstr(answer.documents, arena_printf(arena, "\"status\":\"%s\"", expected)) == NULL)
		fail_msg("%s: %s instead of %s", fields, answer.documents, expected);
}

static void
the_status_of_a_line(void **state)
{
	static const char *const cases[][2] = {
		{"", "ready_to_ship"},
		{",\"ShipInfo\":null,\"isNotShip\":null,\"CancelQty\":\"\"", "ready_to_ship"},
		{",\"ShipInfo\":[],\"ShipCheckStatus\":\"\"", "ready_to_ship"},
		{",\"ShipInfo\":{\"ShipQty\":0,\"ShipId\":\"\"}", "ready_to_ship"},
		{",\"ShipInfo\":{\"ShipQty\":1}", "ready_to_ship"},
		{",\"ShipInfo\":{\"ShipQty\":1},\"CancelQty\":1", "shipped"},
		{",\"ShipInfo\":{\"ShipQty\":2}", "shipped"},
		{",\"ShipInfo\":{\"ShipQty\":2},\"ShipCheckStatus\":\"Error\"", "shipped"},
		{",\"ShipCheckStatus\":\"Error\"", "ready_to_ship"},
		{",\"ShipCheckStatus\":\"Checking\"", "shipped"},
		{",\"ShipCheckStatus\":\"Shipped\"", "shipped"},
		{",\"isNotShip\":1", "cancelled"},
		{",\"isNotShip\":\"1\",\"ShipCheckStatus\":\"Shipped\"", "cancelled"},
		{",\"CancelQty\":2", "cancelled"},
		{",\"CancelQty\":3", "cancelled"}
	};
	size_t		i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		status_of_one(*state, cases[i][0], cases[i][1]);
}

static void
a_decline_is_told(void **state)
{
	PlatformAnswer answer = judge(&get_one, *state,
								  "[" RECORD("20251009000001-01", "AAAA0A-A00000001-001", ",\"isNotShip\":1") "]");

	assert_non_null(strstr(answer.documents, "\"status\":\"cancelled\",\"declined\":true}"));
	answer = judge(&get_one, *state, "[" RECORD("20251009000001-01", "AAAA0A-A00000001-001", ",\"CancelQty\":2") "]");
	assert_null(strstr(answer.documents, "declined"));
}

static void
one_bad_record_costs_no_other(void **state)
{
	static const char *const bad[] = {
		"{\"Id\":\"20251009000002-01\"}",
		RECORD("20251009000002-01", "AAAA0A-A00000001", ""),
		RECORD("20251009000002-01", "", ""),
		RECORD("20251009000002-01", "AAAA0A-A00000001-001", ",\"CancelQty\":-1"),
		RECORD("20251009000002-01", "AAAA0A-A00000001-001", ",\"CancelQty\":\"many\""),
		RECORD("20251009000002-01", "AAAA0A-A00000001-001", ",\"isNotShip\":2"),
		RECORD("20251009000002-01", "AAAA0A-A00000001-001", ",\"isNotShip\":true"),
		RECORD("20251009000002-01", "AAAA0A-A00000001-001", ",\"ShipCheckStatus\":\"New\""),
		RECORD("20251009000002-01", "AAAA0A-A00000001-001", ",\"ShipInfo\":{\"ShipQty\":-2}"),
#define AT(time, qty) "{\"Id\":\"20251009000002-01\",\"TransDate\":\"" time "\",\"OrderQty\":" qty ",\"Prod\":{\"Id\":\"AAAA0A-A00000001-001\"}}"
		AT("2025/10/09", "1"), AT("2025-10-09 13:26:00", "1"), AT("2025/13/09 13:26:00", "1"), AT("2025/02/29 13:26:00", "1"),
		AT("2025/10/09 24:00:00", "1"), AT("2025/10/09 13:60:00", "1"), AT("0000/10/09 13:26:00", "1"), AT("2025/1a/09 13:26:00", "1"),
		AT("2025/10/09 13:26:00", "0"), AT("2025/10/09 13:26:00", "1.5"), AT("2025/10/09 13:26:00", "null"),
		AT("2025/10/09 13:26:00", "1000000000001"), AT("1970/01/01 00:00:00", "1"),
	};
	size_t		i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		PlatformAnswer answer = judge(&get_three, *state,
									  arena_printf(*state, "[%s,%s,%s]", PLAIN("20251009000001-01"), bad[i], PLAIN("20251009000001-02")));

		assert_class(answer.class, OUTCOME_OK);
		assert_int_equal(answer.n_documents, 2);
		assert_string_equal(answer.documents, "["
							ORDER("20251009000001", "ready_to_ship", LINE("01", "ready_to_ship") "," LINE("02", "ready_to_ship")) ","
							REJECTED("20251009000002-01") "]");
		assert_string_equal(answer.message,
							"of 3 records 1 could not be understood and 0 are missing; 0 were unnamed or not asked for");
	}
}

static void
missing_and_strange_records_are_told(void **state)
{
	PlatformAnswer answer = judge(&get_three, *state,
								  "[null,{},7," PLAIN("20251009000001-01") "," PLAIN("20251009000001-01") "," PLAIN("9-1") "]");

	assert_string_equal(answer.documents, "["
						ORDER("20251009000001", "ready_to_ship", LINE("01", "ready_to_ship")) ","
						REJECTED("20251009000002-01") "," REJECTED("20251009000001-02") "]");
	assert_string_equal(answer.message,
						"of 3 records 0 could not be understood and 2 are missing; 5 were unnamed or not asked for");
}

static void
a_record_asked_for_twice_is_one_line(void **state)
{
	const char *const twice[] = {"20251009000001-01", "20251009000001-01"};
	PlatformCall call = {.kind = CALL_GET_ORDERS, .order_sns = twice, .n_order_sns = 2, .cursor = ""};
	PlatformAnswer answer = judge(&call, *state, "[" PLAIN("20251009000001-01") "]");

	assert_string_equal(answer.documents, "[" ORDER("20251009000001", "ready_to_ship", LINE("01", "ready_to_ship")) "]");
	assert_string_equal(answer.message, "");
	answer = judge(&call, *state, "[]");
	assert_string_equal(answer.documents, "[" REJECTED("20251009000001-01") "]");
}

static void
half_an_answer_is_none(void **state)
{
	const char *body = "[" PLAIN("20251009000001-01") "," PLAIN("20251009000002-01") "," PLAIN("20251009000001-02") "]";
	size_t		bytes;

	for (bytes = 0; bytes < 16384; bytes += 64)
	{
		Arena	   *small = arena_create(bytes);
		PlatformReply reply = reply_of(*state, 200, body);
		PlatformAnswer answer;

		platform_pchome.judge(&get_three, &reply, small, &answer);
		if (arena_failed(small))
		{
			assert_class(answer.class, OUTCOME_LATER);
			assert_string_equal(answer.documents, "[]");
		}
		else
			assert_int_equal(answer.n_documents, 2);
		arena_free(small);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		arena_test(records_of_one_order_are_joined),
		arena_test(the_oldest_record_dates_the_order),
		arena_test(the_status_of_a_line),
		arena_test(a_decline_is_told),
		arena_test(one_bad_record_costs_no_other),
		arena_test(missing_and_strange_records_are_told),
		arena_test(a_record_asked_for_twice_is_one_line),
		arena_test(half_an_answer_is_none),
	};

	return cmocka_run_group_tests_name("pchome_order", tests, NULL, NULL);
}
