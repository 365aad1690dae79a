/*
 * notification.c
 *		What platforms have told us without being asked: each told once, kept
 *		as a row of storesync.notification, and turned into a task that asks
 *		the platform.
 *
 * A notification moves no stock, and what it says of an order is not looked
 * at. What a promotion has locked is taken from it, because only the platform
 * can say so and waiting for a reading oversells; a reading follows. Whether it comes twice, late, in another
 * order or never changes what is asked, not what is booked. Tasks that would
 * ask the same within a second are one, by their key; the dispatcher makes one
 * call of those that are due together.
 *
 * The texts of a hint are visible ASCII or cleaned by the codec (platform.h);
 * nothing else of a body is kept.
 */
#include "notification.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "json.h"
#include "key.h"
#include "partition.h"
#include "rows.h"

/* Orders that were told of in the same second are asked for together, at its end. */
#define ORDER_BUCKET_US		USECS_PER_SEC
/* A campaign tells of each item, a price of what we wrote ourselves: a look at each once in this time will do. */
#define ITEM_BUCKET_US		(10 * USECS_PER_SEC)
/* Listings looked at for one notification: models of an item. */
#define MAX_LISTINGS		100
/* Bound of what is read of lost notifications: a page of them, and its parts. */
#define LOST_ARENA_BYTES	(16 * 1024 * 1024)
/* Counts of refused ones are written this often. */
#define REFUSED_WRITE_US	USECS_PER_SEC
#define REFUSED_KINDS		32

/* The store that a notification is of. */
typedef struct Told
{
	int			store_id;		/* 0: none of ours */
	bool		on;				/* calls are made for it */
} Told;

/* Refused notifications of one reason that are not written yet. */
typedef struct Refused
{
	const char *platform;		/* constants: compared by address */
	const char *reason;
	int64		n;
	TimestampTz written_at;
} Refused;

static Refused refused[REFUSED_KINDS];

static const char *
kind_name(PushKind kind)
{
	static const char *const names[] = {
		[PUSH_OTHER] = "other",
		[PUSH_ORDER] = "order",
		[PUSH_RESERVED] = "reserved",
		[PUSH_ITEM] = "item",
		[PUSH_AUTHORISED] = "authorised",
		[PUSH_REVOKED] = "revoked",
		[PUSH_EXPIRING] = "expiring",
	};

	return names[kind];
}

/* ---------------------------------------------------------------- whose */

static void
find_store(const Platform *platform, int store_id, const char *shop_id, Told *told)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {TEXTOID, INT4OID, TEXTOID};
	Datum		values[] = {CStringGetTextDatum(platform->name), Int32GetDatum(store_id), CStringGetTextDatum(shop_id)};
	bool		isnull;

	told->store_id = 0;
	told->on = false;
	ss_execute(&plan,
			   "SELECT s.store_id, s.mode <> 'off' FROM storesync.store s "
			   "WHERE s.platform = $1 AND CASE WHEN $2 <> 0 THEN s.store_id = $2 ELSE s.shop_id = $3 END",
			   SPI_OK_SELECT, 3, types, values, NULL, 1);
	if (SPI_processed == 0)
		return;
	told->store_id = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	told->on = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull));
}

/* needs_shop: what cannot be acted upon without knowing the store. A shop that has just let us in may not be one yet. */
static bool
needs_shop(PushKind kind)
{
	return kind == PUSH_ORDER || kind == PUSH_RESERVED || kind == PUSH_ITEM;
}

/* ---------------------------------------------------------------- once */

/* fingerprint names what was told: a repetition tells the same of the same moment. */
static int64
fingerprint(const Platform *platform, const Told *told, const PushHint *hint)
{
	const char *parts[] = {
		platform->name, psprintf("%d", told->store_id), hint->shop_id, hint->code, hint->order_sn, hint->item_id,
		hint->model_id, psprintf("%lld", (long long) hint->reserved), psprintf("%lld", (long long) hint->sent_at)
	};
	int			lengths[lengthof(parts)];

	for (int i = 0; i < (int) lengthof(parts); i++)
		lengths[i] = (int) strlen(parts[i]);
	return (int64) ss_fingerprint(lengthof(parts), parts, lengths);
}

/*
 * keep writes the row; false: the same was told before. The platform repeats
 * one for hours and calls it lost for three days. Two at the same moment may
 * both get a row, and ask for one task.
 */
static bool
keep(const Platform *platform, const Told *told, const PushHint *hint, TimestampTz at)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {TIMESTAMPTZOID, INT8OID, TEXTOID, INT4OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID,
	INT8OID, INT8OID};
	Datum		values[] = {
		TimestampTzGetDatum(at), Int64GetDatum(fingerprint(platform, told, hint)), CStringGetTextDatum(platform->name),
		Int32GetDatum(told->store_id), CStringGetTextDatum(hint->shop_id), CStringGetTextDatum(kind_name(hint->kind)),
		CStringGetTextDatum(hint->code), CStringGetTextDatum(hint->order_sn), CStringGetTextDatum(hint->item_id),
		CStringGetTextDatum(hint->model_id), Int64GetDatum(hint->reserved), Int64GetDatum(hint->sent_at)
	};

	partition_ensure("notification", at);
	ss_execute(&plan,
			   "INSERT INTO storesync.notification (at, fingerprint, platform, store_id, shop_id, kind, code, order_sn, "
			   "item_id, model_id, reserved, sent_at) "
			   "SELECT $1, $2, $3, nullif($4, 0), nullif($5, ''), $6, $7, nullif($8, ''), nullif($9, ''), nullif($10, ''), "
			   "nullif($11, -1), to_timestamp(nullif($12, 0)) "
			   "WHERE NOT EXISTS (SELECT FROM storesync.notification n "
			   "WHERE n.fingerprint = $2 AND n.at > $1 - interval '4 days')",
			   SPI_OK_INSERT, lengthof(values), types, values, NULL, 0);
	return SPI_processed > 0;
}

/* ---------------------------------------------------------------- what it is a hint at */

/* bucket_end returns when what is told now will be asked. */
static TimestampTz
bucket_end(TimestampTz at, int64 length_us)
{
	return at - at % length_us + length_us;
}

static void
ask_order(const Told *told, const PushHint *hint, TimestampTz at)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT4OID, TEXTOID, TIMESTAMPTZOID};
	Datum		values[] = {Int32GetDatum(told->store_id), CStringGetTextDatum(hint->order_sn),
	TimestampTzGetDatum(bucket_end(at, ORDER_BUCKET_US))};

	ss_execute(&plan,
			   "SELECT storesync.enqueue($1, 'fetch_orders', jsonb_build_object('order_sn', jsonb_build_array($2)), "
			   "storesync.derive_key($3, 'notification', 'fetch_orders', $1::text, $2), $3)",
			   SPI_OK_SELECT, 3, types, values, NULL, 1);
}

/* ask_listings has what the shop shows of an item, or of one of its models, read. */
static void
ask_listings(const Told *told, const PushHint *hint, TimestampTz at)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT4OID, TEXTOID, TEXTOID, TIMESTAMPTZOID, INT4OID};
	Datum		values[] = {Int32GetDatum(told->store_id), CStringGetTextDatum(hint->item_id),
		CStringGetTextDatum(strcmp(hint->model_id, "0") == 0 ? "" : hint->model_id),
	TimestampTzGetDatum(bucket_end(at, ITEM_BUCKET_US)), Int32GetDatum(MAX_LISTINGS)};

	ss_execute(&plan,
			   "SELECT count(storesync.enqueue($1, 'read_back', jsonb_build_object('listing', x.listing_id), "
			   "storesync.derive_key($4, 'notification', 'read_back', x.listing_id::text), $4)) "
			   "FROM (SELECT l.listing_id FROM storesync.listing l "
			   "WHERE l.store_id = $1 AND l.item_id = $2 AND ($3 = '' OR l.model_id = $3) "
			   "ORDER BY l.listing_id LIMIT $5) x",
			   SPI_OK_SELECT, 5, types, values, NULL, 1);
}

/*
 * see_reserved says how many units a promotion keeps locked of a listing: the
 * other listings must not sell them. Less than the platform may just have
 * locked is corrected by the next reading, which is asked for.
 */
static void
see_reserved(const Told *told, const PushHint *hint, TimestampTz at)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT4OID, TEXTOID, TEXTOID, INT8OID, INT8OID, TIMESTAMPTZOID};
	Datum		values[] = {Int32GetDatum(told->store_id), CStringGetTextDatum(hint->item_id),
		CStringGetTextDatum(strcmp(hint->model_id, "0") == 0 ? "" : hint->model_id),
	Int64GetDatum(hint->reserved), Int64GetDatum(hint->sent_at), TimestampTzGetDatum(at)};

	if (hint->reserved < 0 || hint->reserved > SS_MAX_QTY)
		return;
	ss_execute(&plan,
			   "SELECT storesync.reserve_seen(l.listing_id, $4, least(to_timestamp($5), $6)) FROM storesync.listing l "
			   "WHERE l.store_id = $1 AND l.item_id = $2 AND l.model_id = $3",
			   SPI_OK_SELECT, 6, types, values, NULL, 1);
}

NotificationResult
notification_take(const Platform *platform, int store_id, const PushHint *hint)
{
	TimestampTz at = GetCurrentTimestamp();
	Told		told;

	find_store(platform, store_id, hint->shop_id, &told);
	if (told.store_id == 0 && needs_shop(hint->kind))
		return NOTIFICATION_NO_SHOP;
	if (!keep(platform, &told, hint, at))
		return NOTIFICATION_KNOWN;
	if (hint->kind == PUSH_RESERVED)
		see_reserved(&told, hint, at);
	if (told.on && hint->kind == PUSH_ORDER)
		ask_order(&told, hint, at);
	else if (told.on && (hint->kind == PUSH_RESERVED || hint->kind == PUSH_ITEM))
		ask_listings(&told, hint, at);
	return NOTIFICATION_TAKEN;
}

int
notification_take_lost(const Platform *platform, const char *documents)
{
	Arena	   *arena = arena_create(LOST_ARENA_BYTES);
	cJSON	   *list = jread_parse(documents, strlen(documents));
	volatile int taken = 0;

	if (arena == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	PG_TRY();
	{
		const cJSON *entry;

		cJSON_ArrayForEach(entry, list)
		{
			const char *body = cJSON_GetStringValue(entry);
			const char *error;
			PushHint	hint;

			if (body != NULL && platform->read_lost(body, strlen(body), arena, &hint, &error) &&
				notification_take(platform, 0, &hint) == NOTIFICATION_TAKEN)
				taken++;
		}
	}
	PG_FINALLY();
	{
		cJSON_Delete(list);
		arena_free(arena);
	}
	PG_END_TRY();
	return taken;
}

/* ---------------------------------------------------------------- those that were refused */

static void
write_refused(const Refused *entry, TimestampTz now)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {TEXTOID, TEXTOID, INT8OID, TIMESTAMPTZOID};
	Datum		values[] = {CStringGetTextDatum(entry->platform), CStringGetTextDatum(entry->reason),
	Int64GetDatum(entry->n), TimestampTzGetDatum(now)};

	ss_execute(&plan,
			   "INSERT INTO storesync.notification_refused AS r (platform, reason, refused, first_at, last_at) "
			   "VALUES ($1, $2, $3, $4, $4) "
			   "ON CONFLICT (platform, reason) DO UPDATE SET refused = r.refused + excluded.refused, "
			   "last_at = greatest(r.last_at, excluded.last_at)",
			   SPI_OK_INSERT, 4, types, values, NULL, 0);
}

void
notification_refused(const Platform *platform, const char *reason)
{
	TimestampTz now = GetCurrentTimestamp();
	Refused    *entry = NULL;

	for (int i = 0; i < REFUSED_KINDS && entry == NULL; i++)
		if (refused[i].reason == NULL || (refused[i].reason == reason && refused[i].platform == platform->name))
			entry = &refused[i];
	if (entry == NULL)
		entry = &refused[REFUSED_KINDS - 1];	/* more reasons than there are: the last one tells */
	entry->platform = platform->name;
	entry->reason = reason;
	entry->n++;
	if (now < entry->written_at + REFUSED_WRITE_US)
		return;
	write_refused(entry, now);
	entry->n = 0;
	entry->written_at = now;
}
