/*
 * fuzz_build.h
 *		What the fuzz targets of the builders share: any texts make a request
 *		that is refused with a reason, or a URL of visible ASCII, headers of
 *		one line each and a body that is JSON.
 */
#ifndef STORESYNC_FUZZ_BUILD_H
#define STORESYNC_FUZZ_BUILD_H

#include "fuzz_judge.h"

#include "json.h"

#define FUZZ_URL_BYTES	(1024 * 1024)

/* fuzz_split cuts the input at '\n' into n texts in the arena; the last takes the rest, missing ones are "". */
static inline void
fuzz_split(const uint8_t *data, size_t size, Arena *arena, const char **texts, int n)
{
	const char *p = (const char *) data;
	const char *end = p + size;

	for (int i = 0; i < n; i++)
	{
		const char *stop = p < end && i < n - 1 ? memchr(p, '\n', (size_t) (end - p)) : NULL;

		stop = stop != NULL ? stop : end;
		texts[i] = p < stop ? arena_strndup(arena, p, (size_t) (stop - p)) : "";
		REQUIRE(texts[i] != NULL);
		p = stop < end ? stop + 1 : end;
	}
}

/* fuzz_build builds the request of one call, and asserts what holds for every kind. */
static inline void
fuzz_build(const PlatformCall *call, const PlatformAccess *access, Arena *arena)
{
	PlatformRequest request;
	const char *error = NULL;
	cJSON	   *body;

	if (!FUZZ_PLATFORM.build(call, access, arena, &request, &error))
	{
		REQUIRE(error != NULL && *error != '\0');
		REQUIRE(request.url == NULL && request.headers == NULL && request.body == NULL);
		return;
	}
	REQUIRE(error == NULL);
	REQUIRE(FUZZ_PLATFORM.calls & CALL_BIT(call->kind));
	REQUIRE(plain_visible(request.url, FUZZ_URL_BYTES));
	REQUIRE(strchr(request.path, '?') == NULL);
	for (int i = 0; i < request.n_headers; i++)
		REQUIRE(strpbrk(request.headers[i], "\r\n") == NULL);
	if (request.body == NULL)
		return;
	body = jread_parse(request.body, request.body_length);
	REQUIRE(body != NULL);
	cJSON_Delete(body);
}

#endif
