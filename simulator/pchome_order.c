/*
 * pchome_order.c
 *		The PChome dialect: records of orders, shipping and declining them.
 *
 * A record is one line of an order. An order is handed to the vendor once it
 * is paid; before, it is not shown.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "pchome.h"

#define TAIPEI_S (INT64_C(8) * 3600)
#define MAX_DETAILS 50
#define RECORD_SIZE (ORDER_SN_SIZE + 16)

/* What is known of a line beyond the market; NULL for nothing. */
static PchomeLine *
find_line(const PchomeState *state, uint32_t order, int line)
{
	for (uint32_t i = 0; i < state->n_lines; i++)
	{
		if (state->lines[i].order == order && state->lines[i].line == line)
			return &state->lines[i];
	}
	return NULL;
}

static PchomeLine *
make_line(PchomeState *state, uint32_t order, int line)
{
	PchomeLine *known = find_line(state, order, line);

	if (known != NULL)
		return known;
	if (state->n_lines == 0 || (state->n_lines & (state->n_lines - 1)) == 0)
		state->lines = sim_grow(state->lines, (state->n_lines == 0 ? 1 : (size_t) state->n_lines * 2) * sizeof(PchomeLine));
	known = &state->lines[state->n_lines++];
	memset(known, 0, sizeof(*known));
	known->order = order;
	known->line = line;
	return known;
}

/* The version of an order that the vendor sees, NULL before it is handed over. */
static const OrderVersion *
seen(const PchomeCall *call, const Order *order)
{
	const OrderVersion *version = order->shop == call->shop ?
		orders_visible(&call->sim->market.orders, order, clock_us()) : NULL;

	if (version == NULL || version->status == ORDER_UNPAID || version->status == ORDER_PENDING)
		return NULL;
	return version;
}

/* The order of a record's id, and its line; NULL when the vendor has none such. */
static Order *
find_record(const PchomeCall *call, const char *id, int *line)
{
	const char *dash = strrchr(id, '-');
	char		sn[ORDER_SN_SIZE];
	Order	   *order;
	int64_t		number;

	if (dash == NULL || dash - id >= ORDER_SN_SIZE || strlen(dash + 1) < 2 || dash[1] == '-' ||
		!parse_integer(dash[1] == '0' ? dash + 2 : dash + 1, &number))
		return NULL;
	memcpy(sn, id, (size_t) (dash - id));
	sn[dash - id] = '\0';
	order = orders_find(&call->sim->market.orders, sn);
	if (order == NULL || number < 1 || number > order->n_lines || seen(call, order) == NULL)
		return NULL;
	*line = (int) number - 1;
	return order;
}

static void
format_time(int64_t moment, char *text, size_t size, const char *format)
{
	time_t		local = (time_t) (moment + TAIPEI_S);
	struct tm	parts;

	text[0] = '\0';
	if (gmtime_r(&local, &parts) != NULL)
		(void) strftime(text, size, format, &parts);
}

/* Whether the query's two dates, joined by a dash, include the day; false also for anything else. */
static bool
in_dates(const char *dates, int64_t moment)
{
	char		day[16];

	format_time(moment, day, sizeof(day), "%Y/%m/%d");
	return strncmp(dates, day, 10) <= 0 && strncmp(dates + 11, day, 10) >= 0;
}

/* The query's dates, NULL with the refusal answered. */
static const char *
read_dates(PchomeCall *call, const char *argument)
{
	const char *dates = request_argument(call->request, argument);

	if (dates != NULL && strlen(dates) == 21 && dates[10] == '-' && strspn(dates, "0123456789/-") == 21 &&
		strncmp(dates, dates + 11, 10) <= 0)
		return dates;
	pchome_refuse(call, "400-00-001", "The dates are not as 2025/10/01-2025/10/09.");
	return NULL;
}

/* Lists records: all of the days, or of those the ones that are coming back. */
static void
list_records(PchomeCall *call, const char *argument, bool returns)
{
	const Orders *orders = &call->sim->market.orders;
	const char *dates = read_dates(call, argument);
	int64_t		offset;
	int64_t		limit;
	int64_t		n = 0;
	Text		rows = {0};

	if (dates == NULL)
		return;
	pchome_read_page(call, &offset, &limit);
	text_addf(&rows, "[");
	for (uint32_t i = 0; i < orders->n_orders; i++)
	{
		const Order *order = &orders->orders[i];
		const OrderVersion *version = seen(call, order);

		if (version == NULL || !in_dates(dates, order->versions[0].update_time) ||
			(returns && version->status != ORDER_TO_RETURN))
			continue;
		for (int line = 1; line <= order->n_lines; line++)
		{
			n++;
			if (n < offset || n >= offset + limit)
				continue;
			json_comma(&rows);
			text_addf(&rows, "{\"Id\":\"%s-%02d\"}", order->sn, line);
		}
	}
	text_addf(&call->answer->body, "{\"TotalRows\":%" PRId64 ",\"Rows\":%s]}", n, rows.data);
	text_free(&rows);
}

void
pchome_list_orders(PchomeCall *call)
{
	list_records(call, "transdate", false);
}

void
pchome_list_returns(PchomeCall *call)
{
	const char *state = request_argument(call->request, "prodqcstatus");

	if (state != NULL && strcmp(state, "NA") == 0)
		list_records(call, "approveddate", true);
	else
		text_addf(&call->answer->body, "{\"TotalRows\":0,\"Rows\":[]}");
}

/* Whether the goods are on their way or further. */
static bool
has_left(OrderStatus status)
{
	return status == ORDER_SHIPPED || status == ORDER_TO_CONFIRM_RECEIVE || status == ORDER_COMPLETED ||
		status == ORDER_TO_RETURN;
}

static void
write_record(const PchomeCall *call, Text *text, const Order *order, const OrderVersion *version, int line)
{
	const CatalogueListing *listing = &call->sim->catalogue.listings[order->lines[line].listing];
	const PchomeLine *known = find_line(&call->sim->pchome, (uint32_t) (order - call->sim->market.orders.orders), line);
	int64_t		price = call->sim->pchome.listings[order->lines[line].listing].price;
	bool		shipped = known != NULL && known->ship_qty > 0;
	char		group[PCHOME_GROUP_SIZE];
	char		when[32];

	pchome_group(listing, group);
	format_time(order->versions[0].update_time, when, sizeof(when), "%Y/%m/%d %H:%M:%S");
	json_comma(text);
	text_addf(text, "{\"Id\":\"%s-%02d\",\"VendorShipDate\":\"\",\"ShipDate\":\"\",\"TransDate\":\"%s\"", order->sn, line + 1, when);
	text_addf(text, ",\"OrderQty\":%" PRId32 ",\"CancelQty\":%" PRId32 ",\"TotalCost\":%" PRId64, order->lines[line].qty,
			  version->cancelled[line], price * order->lines[line].qty);
	text_addf(text, ",\"Prod\":{\"Id\":\"%s-%03" PRId64 "\",\"Name\":\"\",\"SpecName\":\"\",\"Cost\":%" PRId64 ",\"VendorPID\":",
			  group, listing->model_id, price);
	json_string(text, call->sim->catalogue.skus[listing->sku].code);
	text_addf(text, ",\"isRecyclable\":0},\"ShipInfo\":{\"ShipQty\":%" PRId64 ",\"ShipId\":", shipped ? known->ship_qty : 0);
	json_string(text, shipped ? known->ship_id : "");
	text_addf(text, ",\"ShipVendorId\":");
	json_string(text, shipped ? known->carrier : "");
	text_addf(text, "},\"ShipCheckStatus\":\"%s\",\"PreOrderDate\":\"\",\"isNotShip\":%d",
			  has_left(version->status) ? "Shipped" : shipped ? "Checking" : "", known != NULL && known->declined);
	text_addf(text, ",\"Buyer\":{\"Name\":\"Rm9v\"},\"Receiver\":{\"Name\":\"Rm9v\",\"Tel\":\"\",\"Address\":\"\"}}");
}

void
pchome_get_orders(PchomeCall *call)
{
	const char *given = request_argument(call->request, "id");
	char	   *list = sim_copy(given != NULL ? given : "");
	char	   *rest = list;
	int			n = 0;

	text_addf(&call->answer->body, "[");
	while (rest != NULL && ++n <= MAX_DETAILS)
	{
		int			line;
		const Order *order = find_record(call, strsep(&rest, ","), &line);

		if (order != NULL)
			write_record(call, &call->answer->body, order, seen(call, order), line);
	}
	text_addf(&call->answer->body, "]");
	free(list);
	if (rest != NULL)
		pchome_refuse(call, "400-00-001", "There are too many ids.");
}

/* A name of the body, kept within its size; false when it is missing or too long. */
static bool
read_name(const PchomeCall *call, const char *name, char *result)
{
	const char *text = json_field_string(call->body, name);

	if (text == NULL || text[0] == '\0' || strlen(text) >= PCHOME_SHIP_ID_SIZE)
		return false;
	(void) snprintf(result, PCHOME_SHIP_ID_SIZE, "%s", text);
	return true;
}

void
pchome_put_ship_info(PchomeCall *call)
{
	static const char *const carriers[] = {
		"Kerry", "BlackCat", "HCT", "Pelican", "Post", "Ton", "CFE", "Nippon", "TongYing", "ClTrans", "QTrans", "Maple",
		"SP", "KeExpress", "FSE"
	};
	Market	   *market = &call->sim->market;
	int			line = 0;
	Order	   *order = find_record(call, call->id, &line);
	PchomeLine	ship = {0};
	bool		known = false;

	if (order == NULL || !json_field_integer(call->body, "ShipQty", false, &ship.ship_qty) ||
		ship.ship_qty != order->lines[line].qty - order_newest(order)->cancelled[line] || ship.ship_qty == 0)
	{
		pchome_refuse(call, "400-001", "The quantity is not what is to be shipped.");
		return;
	}
	if (read_name(call, "ShipVendorId", ship.carrier))
		for (size_t i = 0; i < sizeof(carriers) / sizeof(carriers[0]); i++)
			known = known || strcmp(ship.carrier, carriers[i]) == 0;
	if (!known || !read_name(call, "ShipId", ship.ship_id))
	{
		pchome_refuse(call, known ? "400-003" : "400-002", "Carrier or number are not valid.");
		return;
	}
	ship.order = (uint32_t) (order - market->orders.orders);
	ship.line = line;
	*make_line(&call->sim->pchome, ship.order, line) = ship;
	order->lines[line].ships++;
	pchome_done(call);
}

/* Declining cancels the line, and the product shows nothing any more. */
void
pchome_put_not_ship(PchomeCall *call)
{
	Market	   *market = &call->sim->market;
	int			line = 0;
	Order	   *order = find_record(call, call->id, &line);
	int32_t		cancelled[MAX_ORDER_LINES];
	bool		all = true;
	int64_t		one = 0;

	if (order == NULL || !json_integer(call->body, false, &one) || one != 1 || order->shipped)
	{
		pchome_refuse(call, "400-001", "The order cannot be declined.");
		return;
	}
	memcpy(cancelled, order_newest(order)->cancelled, (size_t) order->n_lines * sizeof(int32_t));
	cancelled[line] = order->lines[line].qty;
	for (int i = 0; i < order->n_lines; i++)
		all = all && cancelled[i] == order->lines[i].qty;
	if (market_cancel_units(market, order, all ? ORDER_CANCELLED : order_newest(order)->status, cancelled) != MARKET_OK)
	{
		pchome_refuse(call, "400-001", "The order is cancelled already.");
		return;
	}
	market_show(market, order->lines[line].listing, 0);
	make_line(&call->sim->pchome, (uint32_t) (order - market->orders.orders), line)->declined = true;
	order->lines[line].cancels++;
	pchome_done(call);
}
