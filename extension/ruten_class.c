/*
 * ruten_class.c
 *		Ruten partner API: what a refusal means for the call.
 *
 * The platform publishes no list of its codes to us; those below are the ones
 * that clients have met. For all others the HTTP status counts, and before it
 * a few phrases that say that the platform, not the call, was the matter.
 *
 * In doubt stands for "failed somewhere inside": for a read it is later,
 * which judge.c sees to.
 */
#include "ruten.h"

#include <string.h>

typedef struct Word
{
	const char *text;
	OutcomeClass class;
} Word;

static const Word codes[] = {
	/* a parameter is not as it should be */
	{"20005", OUTCOME_PERMANENT},
	{"200005", OUTCOME_PERMANENT},
	/* shipping and payment of the shop or the item */
	{"211101", OUTCOME_PERMANENT},
	{"211106", OUTCOME_PERMANENT},
	{"211006", OUTCOME_PERMANENT},
};

static const Word phrases[] = {
	{"too many request", OUTCOME_THROTTLED},
	{"too frequent", OUTCOME_THROTTLED},
	{"rate limit", OUTCOME_THROTTLED},
	{"system error", OUTCOME_IN_DOUBT},
	{"internal error", OUTCOME_IN_DOUBT},
	{"timeout", OUTCOME_IN_DOUBT},
	{"timed out", OUTCOME_IN_DOUBT},
	{"系統錯誤", OUTCOME_IN_DOUBT},
	{"系統異常", OUTCOME_IN_DOUBT},
	{"timestamp", OUTCOME_LATER},
	{"try again", OUTCOME_LATER},
	{"busy", OUTCOME_LATER},
	{"忙碌", OUTCOME_LATER},
	{"稍後", OUTCOME_LATER},
};

OutcomeClass
ruten_class(const char *code, const char *message, int http_status)
{
	size_t		i;

	for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (strcmp(codes[i].text, code) == 0)
			return codes[i].class;
	if (http_status == 429)
		return OUTCOME_THROTTLED;
	if (http_status >= 500)
		return OUTCOME_IN_DOUBT;
	for (i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++)
		if (plain_contains(message, phrases[i].text))
			return phrases[i].class;
	/* a wrong signature or key; nothing but a person helps, so the store waits for one */
	if (http_status == 401 || http_status == 403)
		return OUTCOME_AUTH;
	return OUTCOME_PERMANENT;
}
