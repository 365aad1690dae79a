/*
 * report_orders.c
 *		Two years of a store group's orders, made up from a seed: the same ones on every machine.
 *
 * 730 days from 2024-03-01 (UTC+8), 8,500 orders a day on average times the scale, 1.6 lines each:
 *
 *	days		a yearly wave of a quarter, weekends above, growth by a third over the two years, campaigns on
 *				6-6, 9-9, 12-12 (1.5 to 2 times) and 11-11 (3 times)
 *	hours		an evening peak, six times the small hours
 *	stores		12, from 24 % of the orders to 2 %, on three platforms
 *	SKUs		50,000 times the scale, by a power law: the first hundredth sells a third
 *	lines		1 to 4 (60, 25, 10, 5 %), of 1 to 3 units (85, 11, 4 %)
 *	fates		4 % cancelled a day later, 2 % returned after a week
 *	delay		from the shop's creation to the page that brings it: lognormal, median 2.5, 8 or 20 s by
 *				platform; three in a thousand come hours late, up to two days
 *	goods in	each month what it is expected to sell; at the start two months' worth and so much more that none is
 *				ever short
 *	visits		25 to 60 an order
 *
 * A store's orders of a day come in pages of 50, in the hours' rhythm. Every number is drawn from a hash of
 * what it belongs to, so an order can be made again when its second document is due.
 */
#include "report_orders.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FIRST_DAY_S		(INT64_C(1709251200) - 8 * 3600)	/* 2024-03-01 00:00 +08 */
#define ZONE_S			(8 * 3600)
#define ORDERS_A_DAY	8500.0
#define SKUS			50000.0
#define LINES_AN_ORDER	1.6
#define UNITS_A_LINE	1.19
#define SKU_POWER		0.8
#define SKU_SHIFT		10.0

static const double store_share[STORES] = {24, 16, 12, 10, 9, 7, 6, 5, 4, 3, 2, 2};
static const double hour_share[24] = {2, 1, 1, 1, 1, 1, 2, 3, 4, 5, 6, 6, 6, 5, 5, 5, 5, 5, 6, 8, 10, 12, 9, 5};
static const double delay_median_ms[3] = {2500, 8000, 20000};
static const double delay_sigma[3] = {0.5, 0.6, 0.8};

static uint64_t shape_seed;
static double shape_scale;
static int	skus;
static double *sku_sum;			/* of the shares of SKUs 1 to n */
static double day_sum[DAYS + 1];	/* of the days' weights, 1 on average */

/* ---------------------------------------------------------------- numbers */

static uint64_t
mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

/* hash_of gives what a thing draws from: kind tells the things apart. */
static uint64_t
hash_of(int kind, int a, int b, int c)
{
	return mix(mix(mix(mix(shape_seed + kind) + (uint64_t) a) + (uint64_t) b) + (uint64_t) c);
}

/* draw gives the next number from 0 up to, not including, 1. */
static double
draw(uint64_t *state)
{
	*state = mix(*state);
	return (double) (*state >> 11) / 9007199254740992.0;
}

static double
draw_normal(uint64_t *state)
{
	double		u = 1 - draw(state);

	return sqrt(-2 * log(u)) * cos(2 * M_PI * draw(state));
}

/* ---------------------------------------------------------------- the shape */

static struct tm
date_of(int day)
{
	time_t		at = FIRST_DAY_S + ZONE_S + (int64_t) day * 86400;
	struct tm	date;

	(void) gmtime_r(&at, &date);
	return date;
}

static double
day_weight(int day)
{
	struct tm	date = date_of(day);
	double		weight = (1 + 0.25 * sin(2 * M_PI * (date.tm_yday - 230) / 365)) * (1 + day / (3.0 * DAYS));

	if (date.tm_wday == 0 || date.tm_wday == 6)
		weight *= 1.15;
	if (date.tm_mon == 10 && date.tm_mday == 11)
		weight *= 3;
	else if (date.tm_mon == 11 && date.tm_mday == 12)
		weight *= 2;
	else if ((date.tm_mon == 5 || date.tm_mon == 8) && date.tm_mday == date.tm_mon + 1)
		weight *= 1.5;
	return weight;
}

void
start_shape(double scale, uint64_t seed)
{
	double		sum;

	shape_scale = scale;
	shape_seed = mix(seed);
	for (int day = 0; day < DAYS; day++)
		day_sum[day + 1] = day_sum[day] + day_weight(day);
	sum = day_sum[DAYS];
	for (int day = 1; day <= DAYS; day++)
		day_sum[day] *= DAYS / sum;
	skus = (int) fmax(SKUS * scale, 200);
	sku_sum = calloc(skus + 1, sizeof(double));
	if (sku_sum == NULL)
		abort();
	for (int sku = 1; sku <= skus; sku++)
		sku_sum[sku] = sku_sum[sku - 1] + pow(sku + SKU_SHIFT * fmin(scale * 10, 1), -SKU_POWER);
	sum = sku_sum[skus];
	for (int sku = 1; sku <= skus; sku++)
		sku_sum[sku] /= sum;
}

int
sku_count(void)
{
	return skus;
}

/* month_days: the days from `first` to, not including, `end` of a calendar month, the first being month 0. */
void
month_days(int month, int *first, int *end)
{
	int			day = 0;

	*first = 0;
	for (int m = 0; m <= month; m++)
	{
		int			calendar = date_of(day).tm_mon;

		*first = day;
		while (day < DAYS && date_of(day).tm_mon == calendar)
			day++;
	}
	*end = day;
}

int64_t
day_start_ms(int day)
{
	return (FIRST_DAY_S + (int64_t) day * 86400) * 1000;
}

int
orders_of(int day, int store)
{
	double		a_weight = ORDERS_A_DAY * shape_scale * store_share[store] / 100;

	return (int) (floor(day_sum[day + 1] * a_weight) - floor(day_sum[day] * a_weight));
}

int
visits_of(int day, int store)
{
	uint64_t	state = hash_of(1, day, store, 0);

	return (int) ((25 + 35 * draw(&state)) * orders_of(day, store)) + 10;
}

/* units_received: what comes in of a SKU at the beginning of a month. */
int64_t
units_received(int month, int sku)
{
	double		a_weight = ORDERS_A_DAY * shape_scale * LINES_AN_ORDER * UNITS_A_LINE * (sku_sum[sku] - sku_sum[sku - 1]);
	int			first;
	int			end;
	int64_t		units;

	month_days(month, &first, &end);
	units = (int64_t) (floor(day_sum[end] * a_weight) - floor(day_sum[first] * a_weight));
	if (month == 0)
		units += (int64_t) (2 * 30.4 * a_weight + 7 * sqrt(DAYS * a_weight)) + 30;
	return units;
}

/* ---------------------------------------------------------------- moments */

/* moment_ms: when a part of the day's orders, by the hours' shares, is through. */
static int64_t
moment_ms(int day, double part)
{
	double		sum = 0;
	double		all = 0;

	for (int hour = 0; hour < 24; hour++)
		all += hour_share[hour];
	for (int hour = 0; hour < 24; hour++)
	{
		double		next = sum + hour_share[hour] / all;

		if (part < next)
			return day_start_ms(day) + (int64_t) ((hour + (part - sum) / (next - sum)) * 3600e3);
		sum = next;
	}
	return day_start_ms(day + 1) - 1;
}

static int
page_count(int orders)
{
	return (orders + PAGE_ORDERS - 1) / PAGE_ORDERS;
}

/* page_ms: when page i of `count` is booked that tells of a store's `of_day`. */
static int64_t
page_ms(int day, int of_day, int store, Fate told, int i, int count)
{
	uint64_t	state = hash_of(5 + told, of_day, store, i);

	return moment_ms(day, (i + draw(&state)) / count);
}

/* ---------------------------------------------------------------- orders */

static int
draw_sku(uint64_t *state)
{
	double		at = draw(state);
	int			low = 1;
	int			high = skus;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (sku_sum[middle] > at)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static bool
has_sku(const Order *order, int sku)
{
	for (int i = 0; i < order->nlines; i++)
		if (order->lines[i].sku == sku)
			return true;
	return false;
}

/* platform_of: stores 0 to 4 are on the first, 5 to 8 on the second, 9 to 11 on the third. */
static int
platform_of(int store)
{
	return store < 5 ? 0 : store < 9 ? 1 : 2;
}

static int64_t
draw_delay_ms(uint64_t *state, int store)
{
	int			platform = platform_of(store);

	if (draw(state) < 0.003)
		return (int64_t) (3600e3 * (1 + 47 * draw(state) * draw(state)));
	return (int64_t) (delay_median_ms[platform] * exp(delay_sigma[platform] * draw_normal(state)));
}

Fate
fate_of(int day, int store, int number)
{
	uint64_t	state = hash_of(2, day, store, number);
	double		chance = draw(&state);

	return chance < 0.04 ? FATE_CANCELLED : chance < 0.06 ? FATE_RETURNED : FATE_KEPT;
}

void
make_order(int day, int store, int number, Order *order)
{
	uint64_t	state = hash_of(3, day, store, number);
	double		at = draw(&state);
	int			lines = at < 0.6 ? 1 : at < 0.85 ? 2 : at < 0.95 ? 3 : 4;

	order->day = day;
	order->store = store;
	order->number = number;
	order->fate = fate_of(day, store, number);
	order->created_ms = page_ms(day, day, store, FATE_KEPT, number / PAGE_ORDERS, page_count(orders_of(day, store))) -
		draw_delay_ms(&state, store);
	order->nlines = 0;
	while (order->nlines < lines)
	{
		Line	   *line = &order->lines[order->nlines];
		int			sku = draw_sku(&state);
		uint64_t	price = hash_of(4, sku, 0, 0);

		if (has_sku(order, sku))
			continue;
		line->sku = sku;
		at = draw(&state);
		line->qty = at < 0.85 ? 1 : at < 0.96 ? 2 : 3;
		line->price_cents = (int) (50 * exp(3.5 * draw(&price))) * 100 + (store == STORES - 1 ? 50 : 0);
		order->nlines++;
	}
}

/* ---------------------------------------------------------------- pages */

static int
compare_pages(const void *a, const void *b)
{
	const Page *left = a;
	const Page *right = b;

	if (left->at_ms != right->at_ms)
		return left->at_ms < right->at_ms ? -1 : 1;
	return left->store != right->store ? left->store - right->store : left->first - right->first;
}

/* count_told counts the orders of a store's day that a second document is due of. */
static int
count_told(int day, int store, Fate told)
{
	int			count = 0;

	for (int number = 0; day >= 0 && number < orders_of(day, store); number++)
		count += fate_of(day, store, number) == told;
	return count;
}

/* add_pages adds a store's pages of `of_day`, told on `day`. */
static int
add_pages(Page *pages, int day, int of_day, int store, Fate told)
{
	int			all = told == FATE_KEPT ? orders_of(of_day, store) : count_told(of_day, store, told);
	int			count = page_count(all);

	for (int i = 0; i < count; i++)
		pages[i] = (Page)
		{
			.at_ms = page_ms(day, of_day, store, told, i, count), .store = store, .day = of_day, .told = told,
			.first = i * PAGE_ORDERS, .count = i == count - 1 ? all - i * PAGE_ORDERS : PAGE_ORDERS
		};
	return count;
}

Page *
pages_of(int day, int *count)
{
	static Page *pages = NULL;
	int			most = 0;

	for (int store = 0; store < STORES; store++)
		for (int back = 0; back <= 7 && back <= day; back++)
			most += back == 0 || back == 1 || back == 7 ? orders_of(day - back, store) / PAGE_ORDERS + 1 : 0;
	pages = realloc(pages, sizeof(Page) * most);
	if (pages == NULL)
		abort();
	*count = 0;
	for (int store = 0; store < STORES; store++)
	{
		*count += add_pages(pages + *count, day, day, store, FATE_KEPT);
		*count += add_pages(pages + *count, day, day - 1, store, FATE_CANCELLED);
		*count += add_pages(pages + *count, day, day - 7, store, FATE_RETURNED);
	}
	qsort(pages, *count, sizeof(Page), compare_pages);
	return pages;
}
