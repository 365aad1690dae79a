/*
 * short_request.c
 *		What settle_short() is asked for, checked. Nothing is read or locked.
 */
#include "storesync.h"

#include "utils/builtins.h"

#include "ledger.h"
#include "short.h"

/* How long a line may be left to rest, as tasks may. */
#define MAX_REST	(366 * USECS_PER_DAY)

enum
{
	ARG_STORE, ARG_ORDER, ARG_LINE, ARG_PROPOSAL, ARG_KEY, ARG_LOCATION, ARG_UNTIL, ARG_NOTE, ARG_WHOLE
};

static const char *const proposal_names[] = {"cancel", "wait", "move"};

static ShortProposal
read_proposal(const text *name)
{
	for (int i = 0; i < (int) lengthof(proposal_names); i++)
		if (VARSIZE_ANY_EXHDR(name) == strlen(proposal_names[i]) &&
			memcmp(VARDATA_ANY(name), proposal_names[i], strlen(proposal_names[i])) == 0)
			return (ShortProposal) i;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown proposal: \"%s\"", text_to_cstring(name)),
			 errhint("Proposals that can be carried out are cancel, wait and move.")));
}

static uint64
request_fingerprint(const ShortRequest *r)
{
	char		store[16];
	char		until[32];
	const text *texts[] = {r->order_sn, r->line_id, r->location, r->note};
	const char *parts[9] = {"settle_short", store, proposal_names[r->proposal], until, r->whole ? "whole" : ""};
	int			lengths[9];

	snprintf(store, sizeof(store), "%d", r->store_id);
	snprintf(until, sizeof(until), "%lld", (long long) r->until);
	for (int i = 0; i < 5; i++)
		lengths[i] = strlen(parts[i]);
	for (int i = 0; i < (int) lengthof(texts); i++)
	{
		parts[5 + i] = texts[i] == NULL ? "" : VARDATA_ANY(texts[i]);
		lengths[5 + i] = texts[i] == NULL ? 0 : VARSIZE_ANY_EXHDR(texts[i]);
	}
	return ss_fingerprint(lengthof(parts), parts, lengths);
}

static text *
read_text(FunctionCallInfo fcinfo, int argument, const char *what)
{
	text	   *value = PG_ARGISNULL(argument) ? NULL : PG_GETARG_TEXT_PP(argument);

	if (value != NULL)
		ss_check_text(what, value);
	return value;
}

/* check_belongs raises for an argument that only another proposal has. */
static void
check_belongs(bool given, bool belongs, const char *what, ShortProposal proposal)
{
	if (given && !belongs)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("proposal \"%s\" takes no %s", proposal_names[proposal], what)));
}

static void
read_until(FunctionCallInfo fcinfo, ShortRequest *r)
{
	TimestampTz now = GetCurrentTimestamp();

	if (r->proposal != SHORT_WAIT)
		return;
	ledger_check_not_null(fcinfo, ARG_UNTIL, "end of a wait");
	r->until = PG_GETARG_TIMESTAMPTZ(ARG_UNTIL);
	if (TIMESTAMP_NOT_FINITE(r->until) || r->until > now + MAX_REST)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("a line cannot be left to wait for more than 366 days")));
}

const char *
short_proposal_name(ShortProposal proposal)
{
	return proposal_names[proposal];
}

void
short_read_request(FunctionCallInfo fcinfo, ShortRequest *r)
{
	memset(r, 0, sizeof(ShortRequest));
	ledger_check_not_null(fcinfo, ARG_STORE, "store");
	ledger_check_not_null(fcinfo, ARG_ORDER, "order number");
	ledger_check_not_null(fcinfo, ARG_PROPOSAL, "proposal");
	ledger_check_not_null(fcinfo, ARG_KEY, "idempotency key");
	r->store_id = PG_GETARG_INT32(ARG_STORE);
	r->order_sn = read_text(fcinfo, ARG_ORDER, "order number");
	r->line_id = read_text(fcinfo, ARG_LINE, "line id");
	r->proposal = read_proposal(PG_GETARG_TEXT_PP(ARG_PROPOSAL));
	r->key = PG_GETARG_IDEMPOTENCY_KEY_P(ARG_KEY);
	r->location = read_text(fcinfo, ARG_LOCATION, "location");
	r->note = read_text(fcinfo, ARG_NOTE, "note");
	r->whole = !PG_ARGISNULL(ARG_WHOLE) && PG_GETARG_BOOL(ARG_WHOLE);
	check_belongs(r->location != NULL, r->proposal == SHORT_MOVE, "location", r->proposal);
	check_belongs(!PG_ARGISNULL(ARG_UNTIL), r->proposal == SHORT_WAIT, "end of a wait", r->proposal);
	check_belongs(r->whole, r->proposal == SHORT_CANCEL, "whole line", r->proposal);
	if (r->proposal == SHORT_MOVE)
		ledger_check_not_null(fcinfo, ARG_LINE, "line id of a move");
	read_until(fcinfo, r);
	key_check_age(r->key);
	r->fingerprint = request_fingerprint(r);
}
