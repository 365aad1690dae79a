/*
 * pchome_class.c
 *		PChome 24h vendor API: what an error code means for the call.
 *
 * A code stands for the whole call: of several products none was done, and
 * which of them is at fault is not said. So what one product would be given
 * up for is given to all, and the caller asks again in halves.
 *
 * In doubt stands for "failed somewhere inside": for a read it is later,
 * which judge_settle sees to.
 */
#include "pchome.h"

#include <string.h>

typedef struct Code
{
	const char *code;
	OutcomeClass class;
} Code;

static const Code codes[] = {
	/* of every module */
	{"400-00-001", OUTCOME_PERMANENT},	/* invalid data */
	{"400-00-004", OUTCOME_AUTH},	/* no such vendor: nothing of the store works */
	{"400-00-007", OUTCOME_PERMANENT},	/* malformed product id */
	{"400-00-008", OUTCOME_PERMANENT},	/* no such product */
	{"400-00-011", OUTCOME_PERMANENT},	/* query and body differ in count */
	{"400-00-012", OUTCOME_PERMANENT},	/* query and body differ in ids */
	{"400-00-016", OUTCOME_IN_DOUBT},	/* the update failed, and how far it came is not said */

	/* stock */
	{"400-01-010", OUTCOME_PERMANENT},	/* not between 0 and 1200 */
	{"400-01-035", OUTCOME_PERMANENT},	/* consigned: the platform's warehouse counts it */
	{"400-01-036", OUTCOME_PERMANENT},	/* spec 000 of a product that has specs */
	{"400-01-098", OUTCOME_LATER},	/* cannot be lowered right now */

	/* price */
	{"400-01-004", OUTCOME_PERMANENT},
	{"400-01-005", OUTCOME_PERMANENT},
	{"400-01-006", OUTCOME_PERMANENT},
	{"400-01-007", OUTCOME_PERMANENT},
	{"400-01-037", OUTCOME_PERMANENT},	/* a gift has no price */
	{"400-01-038", OUTCOME_OK},		/* unchanged */
	{"400-01-039", OUTCOME_LATER},	/* on sale */
	{"400-01-040", OUTCOME_PERMANENT},	/* needs a review by the platform */
	{"400-01-041", OUTCOME_PERMANENT},	/* margin */
	{"400-01-042", OUTCOME_PERMANENT},
	{"400-01-082", OUTCOME_PERMANENT},	/* query and body differ in groups */
	{"400-01-099", OUTCOME_LATER},	/* marketing runs */

	/* shelf */
	{"400-01-044", OUTCOME_PERMANENT},
	{"400-01-045", OUTCOME_PERMANENT},
	{"400-01-046", OUTCOME_OK},		/* in that state already */
	{"400-01-047", OUTCOME_PERMANENT},
	{"400-01-048", OUTCOME_PERMANENT},
	{"400-01-049", OUTCOME_OK},		/* in that state already */
	{"400-01-050", OUTCOME_PERMANENT},
	{"400-01-051", OUTCOME_PERMANENT},
	{"400-01-052", OUTCOME_PERMANENT},
	{"400-01-053", OUTCOME_PERMANENT},
	{"400-01-054", OUTCOME_PERMANENT},
	{"400-01-055", OUTCOME_PERMANENT},
	{"400-01-083", OUTCOME_PERMANENT},	/* the description is missing */
	{"400-01-095", OUTCOME_PERMANENT},

	/* shipping: short codes */
	{"400-001", OUTCOME_PERMANENT}, /* units */
	{"400-002", OUTCOME_PERMANENT}, /* carrier */
	{"400-003", OUTCOME_PERMANENT}, /* tracking number */
	{"400-004", OUTCOME_PERMANENT}, /* over 48 hours */
	{"400-005", OUTCOME_PERMANENT}, /* not shipped by the vendor itself */
};

OutcomeClass
pchome_code_class(const char *code, bool *known)
{
	size_t		i;

	*known = true;
	for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (strcmp(codes[i].code, code) == 0)
			return codes[i].class;
	/* whatever else it says, the caller may not */
	if (strncmp(code, "403-", 4) == 0)
		return OUTCOME_AUTH;
	*known = false;
	return OUTCOME_PERMANENT;
}
