/*
 * platform.c
 *		The list of marketplaces, and what is the same for all of them.
 *
 * A new platform is one more file with a Platform in it and one more line in
 * `platforms`. Free of PostgreSQL headers, no state.
 */
#include "platform.h"

#include <string.h>

#include "plain.h"

static const Platform *const platforms[] = {
	&platform_shopee,
	NULL
};

const char *
outcome_name(OutcomeClass class)
{
	switch (class)
	{
		case OUTCOME_OK:
			return "ok";
		case OUTCOME_PARTIAL:
			return "partial";
		case OUTCOME_THROTTLED:
			return "throttled";
		case OUTCOME_QUOTA:
			return "quota";
		case OUTCOME_AUTH:
			return "auth";
		case OUTCOME_LATER:
			return "later";
		case OUTCOME_PERMANENT:
			return "permanent";
		case OUTCOME_IN_DOUBT:
			break;
	}
	return "in_doubt";
}

const Platform *
platform_find(const char *name)
{
	const Platform *const *p;

	for (p = platforms; *p != NULL; p++)
		if (strcmp((*p)->name, name) == 0)
			return *p;
	return NULL;
}

const Platform *const *
platform_all(void)
{
	return platforms;
}

/* redact_all removes every secret of one access from one text. */
static const char *
redact_all(Arena *arena, const char *text, const PlatformAccess *access)
{
	text = plain_redact_secret(arena, text, access->partner_key);
	text = plain_redact_secret(arena, text, access->access_token);
	return plain_redact_secret(arena, text, access->refresh_token);
}

void
platform_redact(const PlatformAccess *access, Arena *arena, PlatformAnswer *answer)
{
	int			i;

	answer->code = redact_all(arena, answer->code, access);
	answer->message = redact_all(arena, answer->message, access);
	for (i = 0; i < answer->n_items; i++)
		answer->items[i].reason = redact_all(arena, answer->items[i].reason, access);
}

const char *
platform_redact_text(const PlatformAccess *access, Arena *arena, const char *text, size_t max_bytes)
{
	return plain_clean(arena, redact_all(arena, plain_redact_tokens(arena, text), access), max_bytes);
}
