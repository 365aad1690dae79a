/*
 * plain.h
 *		Text in pure code: a growing buffer in an arena, whole numbers as
 *		text, and foreign text made fit to be shown. Free of PostgreSQL
 *		headers.
 */
#ifndef STORESYNC_PLAIN_H
#define STORESYNC_PLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"

/*
 * A buffer that grows by doubling. A failed arena makes every append a no-op
 * and plain_finish NULL: callers build on and look once at the end.
 */
typedef struct PlainBuffer
{
	Arena	   *arena;
	char	   *data;
	size_t		length;
	size_t		size;
} PlainBuffer;

extern void plain_begin(PlainBuffer *buffer, Arena *arena, size_t expected_bytes);
extern void plain_bytes(PlainBuffer *buffer, const char *bytes, size_t length);
extern void plain_add(PlainBuffer *buffer, const char *text);
extern void plain_add_int(PlainBuffer *buffer, int64_t value);
extern void plain_add_json(PlainBuffer *buffer, const char *text);	/* quoted and escaped */
extern void plain_add_query(PlainBuffer *buffer, const char *text); /* percent-encoded */
extern char *plain_finish(PlainBuffer *buffer); /* NUL-terminated */

/*
 * Whole decimal number without sign but an optional '-', without leading
 * zeros, spaces or exponent, within [low, high]. False leaves *value alone.
 */
extern bool plain_int(const char *text, int64_t low, int64_t high, int64_t *value);

/* Bytes of the UTF-8 character at the start of text, 0 when there is no valid one or it is cut. */
extern size_t plain_utf8_length(const char *text, size_t length);

/*
 * A copy of foreign text fit for a log: at most max_bytes, cut at a character,
 * controls as spaces, no invalid UTF-8. Never NULL.
 */
extern const char *plain_clean(Arena *arena, const char *text, size_t max_bytes);

/* The text with everything that looks like a token, key or signature replaced. Never NULL. */
extern const char *plain_redact_tokens(Arena *arena, const char *text);

/* The text with each occurrence of secret replaced; NULL and very short secrets are none. Never NULL. */
extern const char *plain_redact_secret(Arena *arena, const char *text, const char *secret);

/* Whether text contains needle, ASCII letters in either case. */
extern bool plain_contains(const char *text, const char *needle);

/* Whether text is 1 to max_bytes visible ASCII characters. */
extern bool plain_visible(const char *text, size_t max_bytes);

#endif
