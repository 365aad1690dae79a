/*
 * shopee_push.c
 *		Shopee Open Platform v2: notifications, those that come and those that
 *		were lost on the way.
 *
 * A notification is a hint, and is believed only as far as asking the platform
 * goes. It is signed over the exact URL and the raw bytes; whoever checks
 * neither takes part in nothing. Pure: no I/O, no state.
 */
#include "shopee.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

/*
 * What may lie between a notification's time and its arrival, in seconds. The
 * last of its repetitions goes out 13,200 s after the first.
 */
#define MAX_AGE			(6 * 3600)
#define MAX_AHEAD		300
#define MAX_LOST		100
#define MAX_URL			2048

/* The platform's numbers of what matters to stock and orders. */
static const struct
{
	int			code;
	PushKind	kind;
}			codes[] = {
	{1, PUSH_AUTHORISED},
	{2, PUSH_REVOKED},
	{3, PUSH_ORDER},
	{4, PUSH_ORDER},			/* a tracking number */
	{7, PUSH_ITEM},				/* an item's promotion */
	{8, PUSH_RESERVED},
	{9, PUSH_ITEM},				/* a promotion's items and times */
	{12, PUSH_EXPIRING},
	{16, PUSH_ITEM},			/* taken down for a violation */
	{22, PUSH_ITEM},			/* a price */
	{29, PUSH_ORDER},			/* a return */
	{30, PUSH_ORDER},			/* a parcel */
};

static const PushHint no_hint = {.code = "", .shop_id = "", .order_sn = "", .item_id = "", .model_id = "", .reserved = -1};

static PushKind
kind_of(int64_t code)
{
	size_t		i;

	for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i].code == code)
			return codes[i].kind;
	return PUSH_OTHER;
}

/* genuine compares the signature in constant time. */
static bool
genuine(const PlatformPush *push, const PlatformAccess *access, Arena *arena)
{
	PlainBuffer base = {0};
	char		hex[SIGN_HEX_BYTES];

	if (access->partner_key == NULL || *access->partner_key == '\0' ||
		push->authorization == NULL || strlen(push->authorization) != SIGN_HEX_BYTES - 1)
		return false;
	plain_begin(&base, arena, strlen(push->url) + push->body_length + 2);
	plain_add(&base, push->url);
	plain_add(&base, "|");
	plain_bytes(&base, push->body, push->body_length);
	if (plain_finish(&base) == NULL ||
		!sign_hmac_sha256_hex(access->partner_key, base.data, base.length, hex))
		return false;
	return CRYPTO_memcmp(hex, push->authorization, SIGN_HEX_BYTES - 1) == 0;
}

/* text_of reads an id or number of a notification, "" when there is none that is readable. */
static const char *
text_of(const cJSON *parent, const char *name, Arena *arena)
{
	const char *text = jread_text(parent, name);
	const char *copy = text != NULL && plain_visible(text, SHOPEE_MAX_ORDER_SN) ? arena_strdup(arena, text) : NULL;

	return copy != NULL ? copy : "";
}

/* reserved_of reads how many units are locked now, -1 when it is not said. */
static int64_t
reserved_of(const cJSON *data)
{
	const cJSON *change;
	int64_t		units;

	cJSON_ArrayForEach(change, jread_array(data, "changed_values"))
	{
		const char *name = jread_text(change, "name");

		if (name != NULL && strcmp(name, "reserved_stock") == 0 && jread_int(change, "new", 0, SHOPEE_MAX_PRICE, &units))
			return units;
	}
	return -1;
}

/* shop_of reads whose notification it is: said by the envelope, or by what it holds. False when they differ. */
static bool
shop_of(const cJSON *root, const cJSON *data, Arena *arena, PushHint *hint)
{
	const char *inner = text_of(data, "shop_id", arena);

	hint->shop_id = text_of(root, "shop_id", arena);
	if (*hint->shop_id == '\0')
		hint->shop_id = inner;
	return *inner == '\0' || strcmp(hint->shop_id, inner) == 0;
}

static const char *
read_body(const cJSON *root, Arena *arena, PushHint *hint)
{
	const cJSON *data = jread_child(root, "data");
	int64_t		code;

	if (!jread_int(root, "code", 0, 1000000, &code))
		return "the notification has no code";
	if (!jread_int(root, "timestamp", 0, SHOPEE_MAX_UINT32, &hint->sent_at))
		return "the notification has no time";
	if (!shop_of(root, data, arena, hint))
		return "the notification names two shops";
	hint->code = text_of(root, "code", arena);
	hint->order_sn = text_of(data, "ordersn", arena);
	if (*hint->order_sn == '\0')
		hint->order_sn = text_of(data, "order_sn", arena);
	hint->item_id = text_of(data, "item_id", arena);
	hint->model_id = text_of(data, "variation_id", arena);
	if (*hint->model_id == '\0')
		hint->model_id = text_of(data, "model_id", arena);
	hint->reserved = reserved_of(data);
	hint->kind = kind_of(code);
	if ((hint->kind == PUSH_ORDER && *hint->order_sn == '\0') ||
		((hint->kind == PUSH_RESERVED || hint->kind == PUSH_ITEM) && *hint->item_id == '\0'))
		hint->kind = PUSH_OTHER;
	return NULL;
}

/* read_text reads a body that is known to be the platform's. */
static const char *
read_text(const char *body, size_t length, Arena *arena, PushHint *hint)
{
	cJSON	   *root = jread_parse(body, length);
	const char *error = cJSON_IsObject(root) ? read_body(root, arena, hint) : "the notification is no JSON object";

	cJSON_Delete(root);
	if (error == NULL && arena_failed(arena))
		error = "the notification does not fit into memory";
	return error;
}

bool
shopee_read_push(const PlatformPush *push, const PlatformAccess *access, Arena *arena,
				 PushHint *hint, const char **error)
{
	*hint = no_hint;
	if (push->url == NULL || strlen(push->url) > MAX_URL || push->body_length > JSON_MAX_BYTES ||
		!genuine(push, access, arena))
	{
		*error = "the signature does not fit";
		return false;
	}
	hint->genuine = true;
	*error = read_text(push->body, push->body_length, arena, hint);
	if (*error == NULL && (hint->sent_at < access->now - MAX_AGE || hint->sent_at > access->now + MAX_AHEAD))
		*error = "the notification is too old, or of a time to come";
	return *error == NULL;
}

bool
shopee_read_lost(const char *body, size_t length, Arena *arena, PushHint *hint, const char **error)
{
	*hint = no_hint;
	*error = read_text(body, length, arena, hint);
	return *error == NULL;
}

const char *
shopee_build_confirm_pushes(const PlatformCall *call, const PlatformAccess *access,
							PlainBuffer *url, PlainBuffer *body)
{
	int64_t		last;

	if (!plain_int(call->cursor, 0, INT64_MAX, &last))
		return "the last notification's id is not a number";
	plain_add(body, "{\"last_message_id\":");
	plain_add(body, call->cursor);
	plain_add(body, "}");
	return NULL;
}

/* add_lost adds the body of one lost notification: documented as a text that holds all of it, or it is the entry. */
static void
add_lost(const cJSON *entry, PlainBuffer *documents, bool first)
{
	const char *text = jread_text(entry, "data");
	char	   *printed = NULL;

	if (text == NULL || *text != '{')
		text = printed = cJSON_PrintUnformatted(entry);
	if (!first)
		plain_add(documents, ",");
	plain_add_json(documents, text != NULL ? text : "");
	cJSON_free(printed);
}

void
shopee_judge_lost_pushes(const PlatformCall *call, const cJSON *root, Arena *arena, PlatformAnswer *answer)
{
	const cJSON *response = jread_child(root, "response");
	const cJSON *list = jread_array(response, "push_message_list");
	const char *last = jread_text(response, "last_message_id");
	const cJSON *entry;
	PlainBuffer documents = {0};
	int64_t		id;

	if (list == NULL || (cJSON_GetArraySize(list) > 0 && (last == NULL || !plain_int(last, 0, INT64_MAX, &id))))
	{
		judge_settle(call, answer, OUTCOME_LATER, "the answer has no list of notifications, or not its end");
		return;
	}
	plain_begin(&documents, arena, 1024);
	plain_add(&documents, "[");
	cJSON_ArrayForEach(entry, list)
	{
		if (answer->n_documents == MAX_LOST)
			break;
		add_lost(entry, &documents, answer->n_documents == 0);
		answer->n_documents++;
	}
	plain_add(&documents, "]");
	answer->documents = plain_finish(&documents);
	answer->more = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(response, "has_next_page"));
	answer->next_cursor = last != NULL ? arena_strdup(arena, last) : "";
}
