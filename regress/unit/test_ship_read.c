/*
 * test_ship_read.c
 *		Tests of what documents say of shipping and cancelling.
 */
#include "codec_test.h"

#include "ship_read.h"

#define LINE(id, more)	"{\"line_id\":\"" id "\",\"item_id\":\"7\",\"model_id\":\"8\",\"qty\":3" more "}"
#define ORDER(sn, status, more, lines) \
	"{\"order_sn\":\"" sn "\",\"status\":\"" status "\"" more ",\"lines\":[" lines "]}"

static const ShipOrder *
read_one(Arena *arena, const char *document)
{
	int			n;
	ShipOrder  *orders = ship_read(arena_printf(arena, "[%s]", document), arena, &n);

	assert_int_equal(n, 1);
	return &orders[0];
}

/* how an order stands, as a word for each thing that is so */
static const char *
standing(Arena *arena, const char *document)
{
	const ShipOrder *order = read_one(arena, document);

	return arena_printf(arena, "%s%s%s%s%s", order->understood ? "understood" : "none", order->cancelled ? " cancelled" : "",
						order->shipped ? " shipped" : "", order->arranged ? " arranged" : "", order->in_cancel ? " in_cancel" : "");
}

static void
an_order_stands_as_its_lines(void **state)
{
	assert_string_equal(standing(*state, ORDER("A", "ready_to_ship", "", LINE("1", ""))), "understood");
	assert_string_equal(standing(*state, ORDER("A", "unpaid", "", LINE("1", ""))), "understood");
	assert_string_equal(standing(*state, ORDER("A", "ready_to_ship", ",\"arranged\":true", LINE("1", ""))), "understood arranged");
	assert_string_equal(standing(*state, ORDER("A", "ready_to_ship", ",\"arranged\":\"true\"", LINE("1", ""))), "understood");
	assert_string_equal(standing(*state, ORDER("A", "in_cancel", "", LINE("1", ""))), "understood in_cancel");
	assert_string_equal(standing(*state, ORDER("A", "shipped", "", LINE("1", ""))), "understood shipped");
	assert_string_equal(standing(*state, ORDER("A", "completed", "", LINE("1", ""))), "understood shipped");
	assert_string_equal(standing(*state, ORDER("A", "returned", "", LINE("1", ""))), "understood shipped");
	assert_string_equal(standing(*state, ORDER("A", "cancelled", "", LINE("1", ""))), "understood cancelled");
	assert_string_equal(standing(*state, ORDER("A", "ready_to_ship", "", LINE("1", ",\"cancelled_qty\":3"))), "understood cancelled");
	assert_string_equal(standing(*state, ORDER("A", "ready_to_ship", "", LINE("1", ",\"cancelled_qty\":2"))), "understood");
	assert_string_equal(standing(*state, ORDER("A", "shipped", "", LINE("1", ",\"cancelled_qty\":3") "," LINE("2", ""))),
						"understood shipped");
}

static void
a_line_has_its_own_status(void **state)
{
	const ShipOrder *order = read_one(*state, ORDER("A", "ready_to_ship", "", LINE("01", ",\"status\":\"shipped\"") ","
													 LINE("02", ",\"cancelled_qty\":1") "," LINE("03", ",\"status\":\"cancelled\"")));

	assert_false(order->shipped);
	assert_false(order->cancelled);
	assert_true(ship_find_line(order, "01")->shipped);
	assert_false(ship_find_line(order, "01")->cancelled);
	assert_false(ship_find_line(order, "02")->shipped);
	assert_int_equal(ship_find_line(order, "02")->live, 2);
	assert_true(ship_find_line(order, "03")->cancelled);
	assert_false(ship_find_line(order, "03")->shipped);
	assert_string_equal(ship_find_line(order, "02")->item_id, "7");
	assert_string_equal(ship_find_line(order, "02")->model_id, "8");
	assert_null(ship_find_line(order, "1"));
	assert_string_equal(standing(*state, ORDER("A", "ready_to_ship", "", LINE("01", ",\"status\":\"shipped\"") ","
											   LINE("03", ",\"status\":\"cancelled\""))), "understood shipped");
}

static void
what_cannot_be_read_is_not_guessed(void **state)
{
	int			n;

	assert_string_equal(standing(*state, "{\"order_sn\":\"A\",\"status\":null}"), "none");
	assert_string_equal(standing(*state, "{\"order_sn\":\"A\",\"status\":\"shipped\"}"), "none");
	assert_string_equal(standing(*state, "{\"order_sn\":\"A\",\"status\":\"shipped\",\"lines\":[]}"), "none");
	assert_string_equal(standing(*state, "{\"order_sn\":\"A\",\"status\":\"shipped\",\"lines\":[{\"qty\":1}]}"), "none");
	assert_string_equal(standing(*state, "7"), "none");
	(void) ship_read(NULL, *state, &n);
	assert_int_equal(n, 0);
	(void) ship_read("", *state, &n);
	assert_int_equal(n, 0);
	(void) ship_read("{}", *state, &n);
	assert_int_equal(n, 0);
	(void) ship_read("[]", *state, &n);
	assert_int_equal(n, 0);
}

static void
orders_are_found_by_number(void **state)
{
	int			n;
	ShipOrder  *orders = ship_read("[" ORDER("A", "shipped", "", LINE("1", "")) ",{\"order_sn\":\"B\",\"status\":null}]", *state, &n);

	assert_int_equal(n, 2);
	assert_true(ship_find(orders, n, "A")->understood);
	assert_false(ship_find(orders, n, "B")->understood);
	assert_null(ship_find(orders, n, "C"));
}

static void
half_a_reading_is_none(void **state)
{
	int			n;

	for (size_t size = 1; size < 4000; size += 97)
	{
		Arena	   *small = arena_create(size);

		(void) ship_read("[" ORDER("A", "shipped", "", LINE("1", "")) "," ORDER("B", "shipped", "", LINE("1", "")) "]", small, &n);
		assert_int_equal(n, arena_failed(small) ? 0 : 2);
		arena_free(small);
	}
	(void) state;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		arena_test(an_order_stands_as_its_lines),
		arena_test(a_line_has_its_own_status),
		arena_test(what_cannot_be_read_is_not_guessed),
		arena_test(orders_are_found_by_number),
		arena_test(half_a_reading_is_none),
	};

	return cmocka_run_group_tests_name("ship_read", tests, NULL, NULL);
}
