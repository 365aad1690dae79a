/*
 * dialect.c
 *		The body of a request, and what faults make of its answer; see
 *		dialect.h.
 */
#include "dialect.h"

#include <string.h>

cJSON *
dialect_body(const Request *request)
{
	/* a NUL would end it early */
	if (strlen(request->body) != request->body_length)
		return NULL;
	return cJSON_ParseWithOpts(request->body, NULL, true);
}

void
dialect_page(Answer *answer, int status)
{
	text_free(&answer->body);
	answer->status = status;
	answer->content_type = "text/html";
	text_addf(&answer->body, "<html><body><h1>%d</h1></body></html>\n", status);
}

bool
dialect_fault_before(Simulator *sim, uint32_t shop, Answer *answer, FaultKind fault, DialectRefusal refuse, void *call)
{
	static const int statuses[] = {500, 502, 503, 504};

	switch (fault)
	{
		case FAULT_ERROR_5XX:
			dialect_page(answer, statuses[faults_pick(&sim->faults, shop, 4)]);
			return true;
		case FAULT_CUT_BEFORE:
			answer->cut = true;
			return true;
		case FAULT_THROTTLE:
		case FAULT_QUOTA:
		case FAULT_AUTH:
		case FAULT_SERVER:
			refuse(call, fault);
			return true;
		default:
			return false;
	}
}

/* Spoils a finished answer: half of it, or, as always when there is none, a page. */
static void
spoil(Simulator *sim, uint32_t shop, Answer *answer)
{
	Text	   *body = &answer->body;

	if (faults_pick(&sim->faults, shop, 2) == 0 && body->length > 1)
	{
		body->length /= 2;
		body->data[body->length] = '\0';
	}
	else
		dialect_page(answer, 200);
}

void
dialect_fault_after(Simulator *sim, uint32_t shop, Answer *answer, FaultKind fault)
{
	if (fault == FAULT_SLOW)
		answer->delay_ms = sim->faults.rules.slow_ms;
	else if (fault == FAULT_CUT_AFTER)
		answer->cut = true;
	else if (fault == FAULT_MALFORMED)
		spoil(sim, shop, answer);
}
