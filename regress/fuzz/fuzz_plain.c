/*
 * fuzz_plain.c
 *		Foreign text made fit to be shown: what comes out is bounded UTF-8
 *		without control characters, and cleaning it again changes nothing.
 */
#include "fuzz_judge.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Arena	   *arena = arena_create(FUZZ_ARENA_BYTES);
	char	   *text = arena_alloc(arena, size + 1);
	size_t		most = size > 0 ? data[0] : 0;
	const char *clean;
	int64_t		value;

	if (size > 0)
		memcpy(text, data, size);
	clean = plain_clean(arena, text, most);
	REQUIRE(strlen(clean) <= most);
	fuzz_text(clean);
	REQUIRE(strcmp(plain_clean(arena, clean, most), clean) == 0);
	(void) plain_redact_tokens(arena, text);
	REQUIRE(strstr(plain_redact_secret(arena, clean, "abcd"), "abcd") == NULL);
	if (plain_int(text, -1000, 1000, &value))
		REQUIRE(strcmp(arena_printf(arena, "%d", (int) value), text) == 0);
	REQUIRE(plain_contains(text, clean) || strcmp(text, clean) != 0);
	arena_free(arena);
	return 0;
}
