/*
 * text.c
 *		A growing text, and JSON written into it and read out of cJSON trees.
 *
 * Nothing here locks; a Text belongs to one thread. Out of memory ends the
 * process: everything is sized from files that were accepted at start and
 * from bodies of at most 1 MiB.
 */
#include "text.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXACT_DOUBLE 9007199254740992.0 /* 2^53: above it a double skips integers */

static void
out_of_memory(void)
{
	fputs("simulator: out of memory\n", stderr);
	_Exit(1);
}

void *
sim_alloc(size_t size)
{
	void	   *block = calloc(1, size > 0 ? size : 1);

	if (block == NULL)
		out_of_memory();
	return block;
}

void *
sim_grow(void *block, size_t size)
{
	void	   *grown = realloc(block, size);

	if (grown == NULL)
		out_of_memory();
	return grown;
}

char *
sim_copy(const char *string)
{
	size_t		size = strlen(string) + 1;

	return memcpy(sim_alloc(size), string, size);
}

/* Makes room for length more bytes and the NUL. */
static void
text_reserve(Text *text, size_t length)
{
	size_t		needed = text->length + length + 1;

	if (needed <= text->size)
		return;
	text->size = needed < 512 ? 512 : needed * 2;
	text->data = sim_grow(text->data, text->size);
}

void
text_add(Text *text, const char *data, size_t length)
{
	text_reserve(text, length);
	if (length > 0)
		memcpy(text->data + text->length, data, length);
	text->length += length;
	text->data[text->length] = '\0';
}

void
text_addf(Text *text, const char *format,...)
{
	va_list		arguments;
	int			length;

	va_start(arguments, format);
	length = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	if (length < 0)
		return;

	text_reserve(text, (size_t) length);
	va_start(arguments, format);
	(void) vsnprintf(text->data + text->length, (size_t) length + 1, format, arguments);
	va_end(arguments);
	text->length += (size_t) length;
}

void
text_free(Text *text)
{
	free(text->data);
	memset(text, 0, sizeof(*text));
}

void
json_string(Text *text, const char *string)
{
	text_add(text, "\"", 1);
	for (const char *p = string; *p != '\0'; p++)
	{
		if (*p == '"' || *p == '\\')
			text_addf(text, "\\%c", *p);
		else if ((unsigned char) *p < 0x20)
			text_addf(text, "\\u%04x", (unsigned) *p);
		else
			text_add(text, p, 1);
	}
	text_add(text, "\"", 1);
}

void
json_comma(Text *text)
{
	char		last = text->length > 0 ? text->data[text->length - 1] : '\0';

	if (last != '[' && last != '{' && last != ':')
		text_add(text, ",", 1);
}

bool
json_integer(const cJSON *value, bool allow_text, int64_t *result)
{
	if (allow_text && cJSON_IsString(value))
		return parse_integer(value->valuestring, result);
	if (!cJSON_IsNumber(value) || fabs(value->valuedouble) > EXACT_DOUBLE ||
		floor(value->valuedouble) != value->valuedouble)
		return false;
	*result = (int64_t) value->valuedouble;
	return true;
}

bool
json_field_integer(const cJSON *object, const char *name, bool allow_text, int64_t *result)
{
	return json_integer(cJSON_GetObjectItemCaseSensitive(object, name), allow_text, result);
}

const char *
json_field_string(const cJSON *object, const char *name)
{
	const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, name);

	return cJSON_IsString(value) ? value->valuestring : NULL;
}

bool
parse_integer(const char *string, int64_t *result)
{
	const char *digits = string[0] == '-' ? string + 1 : string;
	char	   *end;
	intmax_t	value;

	if (digits[0] == '\0' || strspn(digits, "0123456789") != strlen(digits))
		return false;
	errno = 0;
	value = strtoimax(string, &end, 10);
	if (errno != 0 || *end != '\0')
		return false;
	*result = (int64_t) value;
	return true;
}
