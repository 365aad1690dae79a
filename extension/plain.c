/*
 * plain.c
 *		Text in pure code: building it, reading whole numbers from it, and
 *		making foreign text fit to be shown.
 *
 * Everything that a platform says and a person may read goes through
 * plain_clean and one of the redactions. Nothing here depends on the locale.
 */
#include "plain.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What a removed secret leaves behind. */
#define REDACTED			"[redacted]"
/* Shorter runs of letters and digits are words, order numbers or ids. */
#define TOKEN_BYTES			16
/* A run without digits must be longer than any word to be taken for a token. */
#define TOKEN_LETTERS		28
/* Shorter secrets would remove parts of ordinary words. */
#define SECRET_BYTES		4

static inline bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static inline bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char) (c - 'A' + 'a') : c;
}

/* ---------------------------------------------------------------- buffer */

void
plain_begin(PlainBuffer *buffer, Arena *arena, size_t expected_bytes)
{
	buffer->arena = arena;
	buffer->length = 0;
	buffer->size = expected_bytes < 64 ? 64 : expected_bytes;
	buffer->data = arena_alloc(arena, buffer->size);
	if (buffer->data == NULL)
		buffer->size = 0;
}

void
plain_bytes(PlainBuffer *buffer, const char *bytes, size_t length)
{
	/* one byte is kept for the NUL */
	if (buffer->data == NULL)
		return;
	if (length >= buffer->size - buffer->length)
	{
		size_t		size = buffer->size;
		char	   *data = NULL;

		while (size <= SIZE_MAX / 2 && length >= size - buffer->length)
			size *= 2;
		if (length < size - buffer->length)
			data = arena_alloc(buffer->arena, size);
		if (data != NULL)
			memcpy(data, buffer->data, buffer->length);
		buffer->data = data;
		buffer->size = size;
		if (data == NULL)
			return;
	}
	memcpy(buffer->data + buffer->length, bytes, length);
	buffer->length += length;
}

void
plain_add(PlainBuffer *buffer, const char *text)
{
	plain_bytes(buffer, text, strlen(text));
}

void
plain_add_int(PlainBuffer *buffer, int64_t value)
{
	char		digits[24];
	int			length = snprintf(digits, sizeof(digits), "%" PRId64, value);

	plain_bytes(buffer, digits, (size_t) length);
}

void
plain_add_json(PlainBuffer *buffer, const char *text)
{
	const char *start = text;

	plain_bytes(buffer, "\"", 1);
	for (; *text != '\0'; text++)
	{
		unsigned char c = (unsigned char) *text;
		char		escape[8];

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		plain_bytes(buffer, start, (size_t) (text - start));
		if (c < 0x20)
			(void) snprintf(escape, sizeof(escape), "\\u%04x", c);
		else
			(void) snprintf(escape, sizeof(escape), "\\%c", c);
		plain_add(buffer, escape);
		start = text + 1;
	}
	plain_bytes(buffer, start, (size_t) (text - start));
	plain_bytes(buffer, "\"", 1);
}

void
plain_add_query(PlainBuffer *buffer, const char *text)
{
	static const char digits[] = "0123456789ABCDEF";

	for (; *text != '\0'; text++)
	{
		unsigned char c = (unsigned char) *text;
		char		escape[3];

		if (is_letter(*text) || is_digit(*text) || strchr("-._~", c) != NULL)
		{
			plain_bytes(buffer, text, 1);
			continue;
		}
		escape[0] = '%';
		escape[1] = digits[c >> 4];
		escape[2] = digits[c & 15];
		plain_bytes(buffer, escape, sizeof(escape));
	}
}

char *
plain_finish(PlainBuffer *buffer)
{
	if (buffer->data != NULL)
		buffer->data[buffer->length] = '\0';
	return buffer->data;
}

/* ---------------------------------------------------------------- reading */

bool
plain_int(const char *text, int64_t low, int64_t high, int64_t *value)
{
	bool		negative = *text == '-';
	const char *digits = negative ? text + 1 : text;
	const char *p;
	uint64_t	sum = 0;
	uint64_t	most = negative ? (uint64_t) INT64_MAX + 1 : (uint64_t) INT64_MAX;
	int64_t		result;

	if (!is_digit(*digits) || (*digits == '0' && (digits[1] != '\0' || negative)))
		return false;
	for (p = digits; is_digit(*p); p++)
	{
		uint64_t	digit = (uint64_t) (*p - '0');

		if (sum > (most - digit) / 10)
			return false;
		sum = sum * 10 + digit;
	}
	if (*p != '\0')
		return false;
	/* sum is at least 1 when negative, so neither step can overflow */
	result = negative ? -(int64_t) (sum - 1) - 1 : (int64_t) sum;
	if (result < low || result > high)
		return false;
	*value = result;
	return true;
}

size_t
plain_utf8_length(const char *text, size_t length)
{
	const unsigned char *s = (const unsigned char *) text;
	size_t		need;
	size_t		i;

	if (length == 0)
		return 0;
	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xC2 && s[0] <= 0xDF)
		need = 2;
	else if ((s[0] & 0xF0) == 0xE0)
		need = 3;
	else if (s[0] >= 0xF0 && s[0] <= 0xF4)
		need = 4;
	else
		return 0;
	if (length < need)
		return 0;
	for (i = 1; i < need; i++)
		if ((s[i] & 0xC0) != 0x80)
			return 0;
	/* overlong forms, surrogates, beyond U+10FFFF */
	if ((s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xED && s[1] > 0x9F) ||
		(s[0] == 0xF0 && s[1] < 0x90) || (s[0] == 0xF4 && s[1] > 0x8F))
		return 0;
	return need;
}

bool
plain_contains(const char *text, const char *needle)
{
	for (; *text != '\0'; text++)
	{
		size_t		i = 0;

		while (needle[i] != '\0' && lower(text[i]) == lower(needle[i]))
			i++;
		if (needle[i] == '\0')
			return true;
	}
	return *needle == '\0';
}

bool
plain_visible(const char *text, size_t max_bytes)
{
	size_t		length = strnlen(text, max_bytes + 1);
	size_t		i;

	if (length == 0 || length > max_bytes)
		return false;
	for (i = 0; i < length; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return false;
	return true;
}

/* ---------------------------------------------------------------- showing */

/*
 * control_length says how many of the n bytes at s make one control
 * character: C0, DEL or, as two bytes of UTF-8, C1; 0 for none.
 */
static size_t
control_length(const char *s, size_t n)
{
	unsigned char c = (unsigned char) s[0];

	if (n == 1 && (c < 0x20 || c == 0x7F))
		return 1;
	if (n == 2 && c == 0xC2 && (unsigned char) s[1] < 0xA0)
		return 2;
	return 0;
}

const char *
plain_clean(Arena *arena, const char *text, size_t max_bytes)
{
	size_t		length = strnlen(text, max_bytes + 4);
	size_t		in = 0;
	size_t		out = 0;
	char	   *copy = arena_alloc(arena, (length < max_bytes ? length : max_bytes) + 1);

	if (copy == NULL)
		return "";
	while (in < length)
	{
		size_t		n = plain_utf8_length(text + in, length - in);
		bool		shown = n > 0 && control_length(text + in, n) == 0;

		if (out + (shown ? n : 1) > max_bytes)
			break;
		if (shown)
		{
			memcpy(copy + out, text + in, n);
			out += n;
		}
		else
			copy[out++] = n > 0 ? ' ' : '?';
		in += n > 0 ? n : 1;
	}
	copy[out] = '\0';
	return copy;
}

/* is_run says whether a token may contain the character, not NUL; '/' is left to paths, '=' to parameters. */
static inline bool
is_run(char c)
{
	return is_letter(c) || is_digit(c) || strchr("_-+~%", c) != NULL;
}

/*
 * looks_secret judges a run of token characters: long, with both letters and
 * digits, or longer than words are. Error codes are words joined by '_',
 * ids and order numbers are shorter or digits alone.
 */
static bool
looks_secret(const char *run, size_t length)
{
	size_t		letters = 0;
	size_t		digits = 0;
	size_t		joints = 0;
	size_t		i;

	for (i = 0; i < length; i++)
	{
		letters += is_letter(run[i]);
		digits += is_digit(run[i]);
		joints += run[i] == '_';
	}
	if (length >= TOKEN_BYTES && letters > 0 && digits > 0)
		return true;
	return length >= TOKEN_LETTERS && letters > 0 && joints == 0;
}

/*
 * names_secret says whether the `length` bytes before a value are the name of
 * a secret, as in "access_token=…" or "\"sign\":\"…\"".
 */
static bool
names_secret(const char *name, size_t length)
{
	static const char *const names[] = {"token", "key", "sign", "secret"};
	size_t		i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
	{
		size_t		n = strlen(names[i]);
		size_t		j;

		if (length < n)
			continue;
		for (j = 0; j < n && lower(name[length - n + j]) == names[i][j]; j++)
			;
		if (j == n)
			return true;
	}
	return false;
}

const char *
plain_redact_tokens(Arena *arena, const char *text)
{
	PlainBuffer buffer;
	bool		named = false;	/* the last run was the name of a secret */
	bool		assigned = false;	/* and a sign since then says that its value follows */
	const char *result;

	plain_begin(&buffer, arena, strlen(text) + 64);
	while (*text != '\0')
	{
		const char *start = text;
		size_t		length;

		if (!is_run(*text))
		{
			if (strchr("\"':= ", *text) == NULL)
				named = false;
			assigned = named && (assigned || *text != ' ');
			plain_bytes(&buffer, text++, 1);
			continue;
		}
		while (*text != '\0' && is_run(*text))
			text++;
		length = (size_t) (text - start);
		if (looks_secret(start, length) || assigned)
			plain_add(&buffer, REDACTED);
		else
			plain_bytes(&buffer, start, length);
		named = names_secret(start, length);
		assigned = false;
	}
	result = plain_finish(&buffer);
	return result != NULL ? result : "";
}

const char *
plain_redact_secret(Arena *arena, const char *text, const char *secret)
{
	PlainBuffer buffer;
	const char *found;
	const char *result;

	if (secret == NULL || strlen(secret) < SECRET_BYTES || strstr(text, secret) == NULL)
		return text;
	plain_begin(&buffer, arena, strlen(text) + 64);
	while ((found = strstr(text, secret)) != NULL)
	{
		plain_bytes(&buffer, text, (size_t) (found - text));
		plain_add(&buffer, REDACTED);
		text = found + strlen(secret);
	}
	plain_add(&buffer, text);
	result = plain_finish(&buffer);
	return result != NULL ? result : "";
}
