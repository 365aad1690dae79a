/*
 * fuzz_judge.h
 *		What the fuzz targets of the judges share: an input is one character
 *		for the way the reply came and then its body; and what must hold of
 *		every answer, however broken the reply.
 */
#ifndef STORESYNC_FUZZ_JUDGE_H
#define STORESYNC_FUZZ_JUDGE_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "plain.h"
#include "platform.h"

#define FUZZ_ARENA_BYTES	(32 * 1024 * 1024)
#define FUZZ_TEXT_BYTES		300

/* The codec under test; a target of another one names it before it includes this. */
#ifndef FUZZ_PLATFORM
#define FUZZ_PLATFORM		platform_shopee
#endif

#define REQUIRE(condition) do { if (!(condition)) abort(); } while (0)

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * '2', '3', '4', '5', '9': a whole answer with that kind of status, 'b': 400, 'n': 204; 'c': cut off;
 * 's': sent, silence; else not sent.
 */
static inline PlatformReply
fuzz_reply(const uint8_t *data, size_t size)
{
	PlatformReply reply = {.sent = true, .complete = true, .retry_after = size % 3 == 0 ? (int64_t) size : -1};

	switch (size > 0 ? data[0] : '\0')
	{
		case '2':
			reply.http_status = 200;
			break;
		case '3':
			reply.http_status = 302;
			break;
		case '4':
			reply.http_status = 403;
			break;
		case '5':
			reply.http_status = 500;
			break;
		case 'b':
			reply.http_status = 400;
			break;
		case 'n':
			reply.http_status = 204;
			break;
		case '9':
			reply.http_status = 429;
			break;
		case 'c':
			reply.http_status = 200;
			reply.complete = false;
			break;
		case 's':
			reply.complete = false;
			break;
		default:
			reply.sent = reply.complete = false;
	}
	if (size > 0)
	{
		reply.body = (const char *) data + 1;
		reply.body_length = size - 1;
	}
	return reply;
}

/* fuzz_text asserts that a text can be shown: bounded, UTF-8, no control characters. */
static inline void
fuzz_text(const char *text)
{
	size_t		length;
	size_t		i = 0;

	REQUIRE(text != NULL);
	length = strlen(text);
	REQUIRE(length <= FUZZ_TEXT_BYTES);
	while (i < length)
	{
		size_t		n = plain_utf8_length(text + i, length - i);

		REQUIRE(n > 0);
		REQUIRE(n > 1 || ((unsigned char) text[i] >= 0x20 && text[i] != 0x7F));
		i += n;
	}
}

/* fuzz_judge judges and asserts what holds for every kind of call. */
static inline PlatformAnswer
fuzz_judge(const PlatformCall *call, const PlatformReply *reply, Arena *arena)
{
	PlatformAnswer answer;
	bool		read = platform_call_reads(call->kind);

	FUZZ_PLATFORM.judge(call, reply, arena, &answer);
	REQUIRE(answer.class >= OUTCOME_OK && answer.class <= OUTCOME_IN_DOUBT);
	REQUIRE(!(read && answer.class == OUTCOME_IN_DOUBT));
	REQUIRE(reply->sent || answer.class == OUTCOME_LATER);
	REQUIRE(reply->complete || (answer.class != OUTCOME_OK && answer.class != OUTCOME_PARTIAL &&
								answer.class != OUTCOME_PERMANENT));
	REQUIRE(answer.class != OUTCOME_PARTIAL || platform_call_has_items(call->kind));
	REQUIRE(answer.retry_after >= -1 && answer.retry_after <= 86400);
	fuzz_text(answer.code);
	fuzz_text(answer.message);
	REQUIRE(answer.n_items == (platform_call_has_items(call->kind) ? call->n_items : 0));
	REQUIRE(answer.next_cursor != NULL);
	REQUIRE(answer.documents != NULL);
	return answer;
}

#endif
