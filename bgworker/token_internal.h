/*
 * token_internal.h
 *		What token.c, which refreshes, token_code.c, which exchanges codes, and
 *		token_pair.c, which stores what either brings, have of each other.
 */
#ifndef STORESYNC_TOKEN_INTERNAL_H
#define STORESYNC_TOKEN_INTERNAL_H

#include "dispatcher.h"
#include "token.h"

/* Why a call is tried again whose answer is of no use any more. */
#define SET_ANEW	"the tokens were set anew meanwhile"

/* The call that was under way has ended so, for those who wait for it. */
extern void token_ended(StoreToken *token, TokenTries *tries, OutcomeClass class, const char *reason);
/* When the access token of an answer ends. */
extern TimestampTz token_expiry(const DispatchCall *call);

/* Take over what a row of token_status says of a code: the code, when it was set, whether it was asked for. */
extern void token_code_read(DispatchStore *store, const char *code, TimestampTz set_at, bool asked);
/* When the code may be exchanged; DT_NOEND for no code. */
extern TimestampTz token_code_due(const StoreToken *token);
extern void token_code_build(DispatchStore *store);
/* Store the pair that a code has brought; sets the call's flag when it was wanted still. In a transaction of its own. */
extern void token_code_save(void *call);
/* The pair is stored: no code is left but one that came meanwhile. */
extern void token_code_done(const DispatchCall *call);
/* What follows from an answer, which is recorded already. */
extern void token_code_settle(DispatchCall *call);

#endif
