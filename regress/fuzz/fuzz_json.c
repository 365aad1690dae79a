/*
 * fuzz_json.c
 *		Foreign JSON of any bytes: parsed within bounds or refused, and every
 *		text of the tree is valid UTF-8.
 */
#include "fuzz_judge.h"

#include "json.h"

static void
walk(const cJSON *value)
{
	for (; value != NULL; value = value->next)
	{
		const char *texts[2] = {value->string, value->valuestring};
		int			i;

		/* numbers are texts */
		REQUIRE(!cJSON_IsNumber(value));
		for (i = 0; i < 2; i++)
		{
			size_t		length = texts[i] != NULL ? strlen(texts[i]) : 0;
			size_t		at = 0;

			while (at < length)
			{
				size_t		n = plain_utf8_length(texts[i] + at, length - at);

				REQUIRE(n > 0);
				at += n;
			}
		}
		walk(value->child);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cJSON	   *tree = jread_parse((const char *) data, size);
	int64_t		value = 5;

	walk(tree);
	if (jread_int(tree, "a", 0, 9, &value))
		REQUIRE(value >= 0 && value <= 9);
	(void) jread_text(jread_child(tree, "o"), "t");
	(void) jread_array(tree, "l");
	cJSON_Delete(tree);
	return 0;
}
