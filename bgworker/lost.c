/*
 * lost.c
 *		Notifications that a platform could not deliver.
 *
 * Asked for at the start and from then on every ten minutes, where the
 * application has told the platform a URL at all (credential callback_url). A
 * page is taken in a transaction of its own and confirmed by a call that leaves
 * when that is durable; then comes the next page. A page that was taken and
 * not confirmed comes again and changes nothing.
 */
#include "lost.h"

#include "utils/memutils.h"

#include "dispatcher.h"
#include "notification.h"
#include "retry.h"
#include "work.h"
#include "worker.h"

#define EVERY_US		(10 * USECS_PER_MINUTE)
#define MAX_APPLICATIONS 8

typedef struct Application
{
	const Platform *platform;
	TimestampTz due;			/* of its next call; 0: at once */
	char	   *confirm;		/* the last one that was taken and not confirmed, NULL for none */
	int			failures;		/* in a row */
	bool		more;			/* another page follows that one */
	bool		flying;
} Application;

static Application applications[MAX_APPLICATIONS];

static Application *
application_of(const Platform *platform)
{
	for (int i = 0; i < MAX_APPLICATIONS; i++)
	{
		if (applications[i].platform == NULL)
			applications[i].platform = platform;
		if (applications[i].platform == platform)
			return &applications[i];
	}
	elog(ERROR, "too many platforms");
}

static bool
may_carry(const DispatchStore *store)
{
	return store->present && store->fetches && store->access.callback_url != NULL &&
		(store->platform->calls & CALL_BIT(CALL_LOST_PUSHES)) != 0;
}

/* carries: the first store of an application that makes calls makes these. */
static bool
carries(const DispatchStore *store)
{
	if (!may_carry(store))
		return false;
	for (int i = 0; stores_nth(i) != store; i++)
		if (stores_nth(i)->platform == store->platform && may_carry(stores_nth(i)))
			return false;
	return true;
}

TimestampTz
lost_due(const DispatchStore *store)
{
	const Application *application;

	if (!carries(store))
		return DT_NOEND;
	application = application_of(store->platform);
	return application->flying ? DT_NOEND : application->due;
}

void
lost_build(DispatchStore *store)
{
	Application *application = application_of(store->platform);
	DispatchCall *call = call_create(store, application->confirm != NULL ? CALL_CONFIRM_PUSHES : CALL_LOST_PUSHES);

	if (application->confirm != NULL)
		call->call.cursor = arena_strdup(call->arena, application->confirm);
	application->flying = true;
	work_hand_over(call);
}

void
lost_return(DispatchCall *call)
{
	application_of(call->store->platform)->flying = false;
	call_free(call);
}

/* take runs inside a transaction of its own. */
static void
take(void *arg)
{
	DispatchCall *call = arg;
	SsSession	session;

	ss_enter(&session, "storesync dispatcher", true);
	(void) notification_take_lost(call->store->platform, call->answer.documents);
	ss_leave(&session);
}

void
lost_answered(DispatchCall *call)
{
	if (call->call.kind == CALL_LOST_PUSHES && call->answer.class == OUTCOME_OK && call->answer.n_documents > 0)
	{
		if (!worker_try("storesync: taking lost notifications", take, call))
		{
			call->answer.class = OUTCOME_LATER;
			call->answer.message = "they could not be stored";
		}
		dispatch_count(SS_STATEMENTS, 1);
	}
	dispatch_ended(call);
}

/* went_well says what comes next: the confirmation of a page, the next page, or nothing for a while. */
static void
went_well(Application *application, const DispatchCall *call)
{
	application->failures = 0;
	application->due = call->answered_at + EVERY_US;
	if (call->call.kind == CALL_LOST_PUSHES && call->answer.n_documents > 0)
	{
		application->confirm = MemoryContextStrdup(TopMemoryContext, call->answer.next_cursor);
		application->more = call->answer.more;
		application->due = 0;
	}
	else if (call->call.kind == CALL_CONFIRM_PUSHES)
	{
		pfree(application->confirm);
		application->confirm = NULL;
		if (application->more)
			application->due = 0;
	}
}

void
lost_settle(DispatchCall *call, Record *record)
{
	Application *application = application_of(call->store->platform);
	OutcomeClass class = call->answer.class;

	application->flying = false;
	record_call(record, call, NULL);
	dispatch_count_answer(call);
	/* signed without the store's token: what else it says is not about the store */
	if (class == OUTCOME_THROTTLED || class == OUTCOME_QUOTA)
		(void) dispatch_hold_store(call);
	else if (class == OUTCOME_OK)
		went_well(application, call);
	else if (class == OUTCOME_PERMANENT || class == OUTCOME_AUTH)
		application->due = call->answered_at + EVERY_US;
	else
		application->due = call->answered_at + retry_delay_us(++application->failures);
	call_free(call);
}
