/*
 * judge.h
 *		What the judges of all platforms share: how an answer begins, how one
 *		class settles all of it, and what a reply means that is not the
 *		platform's own.
 *
 * Free of PostgreSQL headers, no I/O, no state.
 */
#ifndef STORESYNC_JUDGE_H
#define STORESYNC_JUDGE_H

#include "json.h"
#include "platform.h"

/*
 * Judges a reply that has come, by its body or its status; `root` is NULL when
 * the body is no JSON, or not whole. False when it is not the platform's own:
 * a gateway's page, or what it says of nobody's call.
 */
typedef bool (*JudgeBody) (const PlatformCall *call, const PlatformReply *reply, const cJSON *root,
						   Arena *arena, PlatformAnswer *answer);

/*
 * A whole judgement, total: every reply gets a class. `platform` is a name for
 * messages. What did not fit into the arena is no answer, never half a one.
 */
extern void judge_reply(const PlatformCall *call, const PlatformReply *reply, const char *platform,
						JudgeBody judge_body, Arena *arena, PlatformAnswer *answer);

/*
 * Give the answer and all its items one class and a reason: the one place
 * where a read's doubt becomes later.
 */
extern void judge_settle(const PlatformCall *call, PlatformAnswer *answer, OutcomeClass class, const char *message);

/* Give the answer the class that its items make together; `failed`: the platform said that the call did. */
extern void judge_sum_up(PlatformAnswer *answer, bool failed);

/* A platform's text for a log: without what looks like a secret, clean, at most max_bytes. */
extern const char *judge_text(Arena *arena, const char *text, size_t max_bytes);

/* Whether a text is an amount: a plain decimal number without sign or exponent. */
extern bool judge_amount(const char *text);

#endif
