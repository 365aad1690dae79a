/*
 * text.h
 *		A growing text, and JSON written into it and read out of cJSON trees.
 *
 * Answers are written as text, not as cJSON trees: cJSON keeps numbers as
 * double and would print a large id in exponent form.
 */
#ifndef SIM_TEXT_H
#define SIM_TEXT_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Text
{
	char	   *data;			/* NUL-terminated once anything was added */
	size_t		length;
	size_t		size;
} Text;

extern void *sim_alloc(size_t size);	/* zeroed; ends the process when memory is short */
extern void *sim_grow(void *block, size_t size);
extern char *sim_copy(const char *string);

extern void text_add(Text *text, const char *data, size_t length);
extern void text_addf(Text *text, const char *format,...) __attribute__((format(printf, 2, 3)));
extern void text_free(Text *text);

/* A quoted, escaped JSON string. */
extern void json_string(Text *text, const char *string);

/* A comma unless the text ends with an opening bracket or a colon. */
extern void json_comma(Text *text);

/* Whole numbers up to 2^53 in size; with allow_text also "123". False: absent or something else. */
extern bool json_integer(const cJSON *value, bool allow_text, int64_t *result);
extern bool json_field_integer(const cJSON *object, const char *name, bool allow_text, int64_t *result);

/* NULL: absent or not a string. */
extern const char *json_field_string(const cJSON *object, const char *name);

/* Decimal digits with an optional minus, nothing else, no overflow. */
extern bool parse_integer(const char *string, int64_t *result);

#endif
