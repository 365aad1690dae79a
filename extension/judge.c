/*
 * judge.c
 *		What the judges of all platforms share.
 *
 * judge_reply is total. What is not certainly refused is in doubt for a write
 * and later for a read (judge_settle). Pure: no I/O, no state. The JSON tree
 * is freed before it returns; everything in the answer lives in the arena or
 * is constant.
 */
#include "judge.h"

#include <string.h>

#include "plain.h"

/* A day: what a platform asks us to wait longer is not believed. */
#define MAX_RETRY_AFTER		86400

/* item_class says what the class of a call means for each of its items. */
static OutcomeClass
item_class(OutcomeClass class)
{
	switch (class)
	{
		case OUTCOME_OK:
		case OUTCOME_LATER:
		case OUTCOME_PERMANENT:
			return class;
		case OUTCOME_THROTTLED:
		case OUTCOME_QUOTA:
		case OUTCOME_AUTH:
			return OUTCOME_LATER;
		case OUTCOME_PARTIAL:
		case OUTCOME_IN_DOUBT:
			break;
	}
	return OUTCOME_IN_DOUBT;
}

void
judge_settle(const PlatformCall *call, PlatformAnswer *answer, OutcomeClass class, const char *message)
{
	int			i;

	if (class == OUTCOME_IN_DOUBT && platform_call_reads(call->kind))
		class = OUTCOME_LATER;
	answer->class = class;
	answer->message = message;
	for (i = 0; i < answer->n_items; i++)
	{
		answer->items[i].class = item_class(class);
		answer->items[i].reason = class == OUTCOME_OK ? "" : message;
	}
}

void
judge_sum_up(PlatformAnswer *answer, bool failed)
{
	int			ok = 0;
	int			doubtful = 0;
	int			i;

	for (i = 0; i < answer->n_items; i++)
	{
		ok += answer->items[i].class == OUTCOME_OK;
		doubtful += answer->items[i].class == OUTCOME_IN_DOUBT;
	}
	/* a call without items has nothing to doubt */
	if (ok == answer->n_items && !failed)
		answer->class = OUTCOME_OK;
	else if (doubtful == answer->n_items)
	{
		answer->class = OUTCOME_IN_DOUBT;
		if (*answer->message == '\0')
			answer->message = answer->items[0].reason;
	}
	else
		answer->class = OUTCOME_PARTIAL;
}

const char *
judge_text(Arena *arena, const char *text, size_t max_bytes)
{
	return plain_clean(arena, plain_redact_tokens(arena, text), max_bytes);
}

/* judge_status judges an answer that is not the platform's envelope. */
static void
judge_status(const PlatformCall *call, const PlatformReply *reply, const char *platform, Arena *arena,
			 PlatformAnswer *answer)
{
	const char *message;
	OutcomeClass class = OUTCOME_IN_DOUBT;

	if (reply->http_status == 429)
		class = OUTCOME_THROTTLED;
	else if (reply->http_status == 403)
		class = OUTCOME_LATER;	/* turned away at the gate */
	if (reply->http_status == 0)
		message = "no answer came";
	else
		message = arena_printf(arena, "HTTP status %d, and the body is %s%s", reply->http_status,
							   reply->complete ? "not an answer of " : "cut off", reply->complete ? platform : "");
	judge_settle(call, answer, class, message != NULL ? message : "");
}

/* begin sets up an answer with all that every class has: no list, no text, one outcome per item. */
static void
begin(const PlatformCall *call, const PlatformReply *reply, Arena *arena, PlatformAnswer *answer)
{
	int			i;

	*answer = (PlatformAnswer) {
		.class = OUTCOME_IN_DOUBT,
		.code = "",
		.message = "",
		.retry_after = reply->retry_after,
		.next_cursor = "",
		.documents = "[]",
	};
	if (reply->retry_after < 0)
		answer->retry_after = -1;
	else if (reply->retry_after > MAX_RETRY_AFTER)
		answer->retry_after = MAX_RETRY_AFTER;
	if (!platform_call_has_items(call->kind) || call->n_items <= 0)
		return;
	answer->items = arena_alloc(arena, sizeof(ItemOutcome) * (size_t) call->n_items);
	if (answer->items == NULL)
		return;
	answer->n_items = call->n_items;
	for (i = 0; i < call->n_items; i++)
		answer->items[i].listing_id = call->items[i].listing_id;
}

/* forget takes back a judgement that did not fit into the arena: half an answer is none. */
static void
forget(const PlatformCall *call, bool sent, PlatformAnswer *answer)
{
	answer->code = "";
	answer->order_sns = NULL;
	answer->n_order_sns = 0;
	answer->more = false;
	answer->next_cursor = "";
	answer->item_ids = NULL;
	answer->item_names = NULL;
	answer->n_item_ids = 0;
	answer->shown = NULL;
	answer->n_shown = 0;
	answer->ship_method = NULL;
	answer->until = 0;
	answer->documents = "[]";
	answer->n_documents = 0;
	answer->access_token = NULL;
	answer->refresh_token = NULL;
	answer->expires_in = 0;
	judge_settle(call, answer, sent ? OUTCOME_IN_DOUBT : OUTCOME_LATER, "the answer does not fit into memory");
}

bool
judge_amount(const char *text)
{
	size_t		whole = strspn(text, "0123456789");
	size_t		part;

	if (whole == 0 || whole > 15 || (*text == '0' && whole > 1))
		return false;
	if (text[whole] == '\0')
		return true;
	if (text[whole] != '.')
		return false;
	part = strspn(text + whole + 1, "0123456789");
	return part > 0 && part <= 6 && text[whole + 1 + part] == '\0';
}

void
judge_reply(const PlatformCall *call, const PlatformReply *reply, const char *platform,
			JudgeBody judge_body, Arena *arena, PlatformAnswer *answer)
{
	bool		sent = reply->sent || reply->complete || reply->http_status != 0;
	cJSON	   *root = NULL;

	begin(call, reply, arena, answer);
	if (!sent)
		judge_settle(call, answer, OUTCOME_LATER, reply->unsent != NULL ? reply->unsent : "the request was not sent");
	else
	{
		if (reply->complete)
			root = jread_parse(reply->body, reply->body_length);
		if (!judge_body(call, reply, root, arena, answer))
			judge_status(call, reply, platform, arena, answer);
		cJSON_Delete(root);
	}
	if (arena_failed(arena))
		forget(call, sent, answer);
}
