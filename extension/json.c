/*
 * json.c
 *		Reading foreign JSON within bounds.
 *
 * cJSON alone would do three things that must not happen here: turn an id
 * above 2^53 into another id, end a text at an escaped NUL, and refuse a
 * whole page of orders for half a surrogate pair in a buyer's message. So a
 * pass over the bytes comes first: it quotes numbers, mends texts, counts
 * values and depth. It judges only what it touches; the grammar is cJSON's.
 *
 * cJSON keeps the place of its last error in a static variable: one thread.
 */
#include "json.h"

#include <stdlib.h>
#include <string.h>

#include "plain.h"

/* A body on its way to cJSON. */
typedef struct Pass
{
	const char *in;
	const char *end;
	char	   *out;			/* has room for twice the body, see jread_parse */
	size_t		depth;
	size_t		values;
} Pass;

/* skip_digits returns the first byte at or after p that is no digit. */
static const char *
skip_digits(const char *p, const char *end)
{
	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return p;
}

/* number_end checks a number against JSON's grammar; NULL when it breaks it. */
static const char *
number_end(const char *p, const char *end)
{
	const char *start = p;
	const char *digits;

	if (p < end && *p == '-')
		p++;
	digits = p;
	p = skip_digits(p, end);
	if (p == digits || (*digits == '0' && p - digits > 1))
		return NULL;
	if (p < end && *p == '.')
	{
		digits = p + 1;
		p = skip_digits(digits, end);
		if (p == digits)
			return NULL;
	}
	if (p < end && (*p == 'e' || *p == 'E'))
	{
		p++;
		if (p < end && (*p == '+' || *p == '-'))
			p++;
		digits = p;
		p = skip_digits(digits, end);
		if (p == digits)
			return NULL;
	}
	return p - start <= JSON_MAX_NUMBER ? p : NULL;
}

/* pass_number copies a number as a string. */
static bool
pass_number(Pass *pass)
{
	const char *after = number_end(pass->in, pass->end);
	size_t		length;

	if (after == NULL)
		return false;
	length = (size_t) (after - pass->in);
	*pass->out++ = '"';
	memcpy(pass->out, pass->in, length);
	pass->out += length;
	*pass->out++ = '"';
	pass->in = after;
	return true;
}

/* hex4 reads four hexadecimal digits; -1 when they are none. */
static int
hex4(const char *p, const char *end)
{
	int			value = 0;
	int			i;

	if (end - p < 4)
		return -1;
	for (i = 0; i < 4; i++)
	{
		char		c = p[i];

		if (c >= '0' && c <= '9')
			value = value * 16 + (c - '0');
		else if (c >= 'a' && c <= 'f')
			value = value * 16 + (c - 'a' + 10);
		else if (c >= 'A' && c <= 'F')
			value = value * 16 + (c - 'A' + 10);
		else
			return -1;
	}
	return value;
}

/*
 * pass_escape copies one escape, a surrogate pair as a whole; a NUL and half
 * a pair become U+FFFD.
 */
static bool
pass_escape(Pass *pass)
{
	size_t		length = 2;
	int			code;

	if (pass->end - pass->in < 2)
		return false;
	if (pass->in[1] == 'u')
	{
		code = hex4(pass->in + 2, pass->end);
		if (code < 0)
			return false;
		length = 6;
		if (code >= 0xD800 && code <= 0xDBFF && pass->end - pass->in >= 12 &&
			pass->in[6] == '\\' && pass->in[7] == 'u')
		{
			int			low = hex4(pass->in + 8, pass->end);

			if (low >= 0xDC00 && low <= 0xDFFF)
				length = 12;
		}
		if (code == 0 || (code >= 0xD800 && code <= 0xDFFF && length == 6))
		{
			memcpy(pass->out, "\\ufffd", 6);
			pass->out += 6;
			pass->in += 6;
			return true;
		}
	}
	memcpy(pass->out, pass->in, length);
	pass->out += length;
	pass->in += length;
	return true;
}

/* pass_run copies what needs no look: visible ASCII but quotes and backslashes. */
static void
pass_run(Pass *pass)
{
	const char *p = pass->in;
	size_t		length;

	while (p < pass->end && *p >= ' ' && *p <= '~' && *p != '"' && *p != '\\')
		p++;
	length = (size_t) (p - pass->in);
	memcpy(pass->out, pass->in, length);
	pass->out += length;
	pass->in = p;
}

/* pass_wide copies a character beyond ASCII, or '?' for a byte that is part of none. */
static void
pass_wide(Pass *pass)
{
	size_t		n = plain_utf8_length(pass->in, (size_t) (pass->end - pass->in));

	if (n == 0)
		*pass->out++ = '?';
	else
		memcpy(pass->out, pass->in, n);
	pass->out += n;
	pass->in += n > 0 ? n : 1;
}

/* pass_string copies a string with its quotes, mending what it holds. */
static bool
pass_string(Pass *pass)
{
	*pass->out++ = *pass->in++;
	for (;;)
	{
		unsigned char c;

		pass_run(pass);
		if (pass->in == pass->end)
			return false;
		c = (unsigned char) *pass->in;
		if (c == '"')
		{
			*pass->out++ = *pass->in++;
			return true;
		}
		if (c == '\\')
		{
			if (!pass_escape(pass))
				return false;
		}
		else if (c >= 0x80)
			pass_wide(pass);
		else
		{
			/* a control character */
			*pass->out++ = ' ';
			pass->in++;
		}
	}
}

/*
 * pass_other copies what is neither string nor number: brackets, commas,
 * colons, blanks and the letters of true, false and null.
 */
static bool
pass_other(Pass *pass)
{
	char		c = *pass->in;

	switch (c)
	{
		case '{':
		case '[':
			pass->values++;
			if (++pass->depth > JSON_MAX_DEPTH)
				return false;
			break;
		case '}':
		case ']':
			if (pass->depth-- == 0)
				return false;
			break;
		case ',':
			pass->values++;
			break;
		case ':':
		case ' ':
		case '\t':
		case '\n':
		case '\r':
			break;
		default:
			if (c < 'a' || c > 'z')
				return false;
	}
	*pass->out++ = c;
	pass->in++;
	return pass->values <= JSON_MAX_VALUES;
}

cJSON *
jread_parse(const char *body, size_t length)
{
	Pass		pass;
	char	   *copy;
	cJSON	   *tree = NULL;
	bool		ok = true;

	if (body == NULL || length == 0 || length > JSON_MAX_BYTES)
		return NULL;
	/* only a number grows, by two quotes, and all but one have a separator: "1,1" to "'1','1'" */
	copy = malloc(2 * length + 2);
	if (copy == NULL)
		return NULL;
	pass = (Pass) {.in = body, .end = body + length, .out = copy};
	while (ok && pass.in < pass.end)
	{
		if (*pass.in == '"')
			ok = pass_string(&pass);
		else if (*pass.in == '-' || (*pass.in >= '0' && *pass.in <= '9'))
			ok = pass_number(&pass);
		else
			ok = pass_other(&pass);
	}
	if (ok)
	{
		*pass.out++ = '\0';
		tree = cJSON_ParseWithLengthOpts(copy, (size_t) (pass.out - copy), NULL, true);
	}
	free(copy);
	return tree;
}

/* member finds what an object calls by the name. */
static const cJSON *
member(const cJSON *parent, const char *name)
{
	return cJSON_IsObject(parent) ? cJSON_GetObjectItemCaseSensitive(parent, name) : NULL;
}

const cJSON *
jread_child(const cJSON *parent, const char *name)
{
	const cJSON *value = member(parent, name);

	return cJSON_IsObject(value) ? value : NULL;
}

const cJSON *
jread_array(const cJSON *parent, const char *name)
{
	const cJSON *value = member(parent, name);

	return cJSON_IsArray(value) ? value : NULL;
}

const char *
jread_text(const cJSON *parent, const char *name)
{
	return cJSON_GetStringValue(member(parent, name));
}

bool
jread_int(const cJSON *parent, const char *name, int64_t low, int64_t high, int64_t *value)
{
	const char *text = jread_text(parent, name);

	return text != NULL && plain_int(text, low, high, value);
}

bool
jread_has(const cJSON *parent, const char *name)
{
	const cJSON *value = member(parent, name);

	return value != NULL && !cJSON_IsNull(value);
}
