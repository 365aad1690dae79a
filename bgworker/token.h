/*
 * token.h
 *		A store's access token, refreshed before it ends and when the platform
 *		refuses it, and the first one, for which the code of an authorisation
 *		is exchanged. docs/token.md has the rules.
 *
 * Either is a call of the store like any other and goes before all others.
 * One is under way at a time. Its pair is committed before anything uses it.
 */
#ifndef STORESYNC_TOKEN_H
#define STORESYNC_TOKEN_H

#include "storesync.h"

#include "platform.h"

typedef struct DispatchStore DispatchStore;
typedef struct DispatchCall DispatchCall;
typedef struct Record Record;

/* Calls of one of the two kinds, numbered for those who wait for the next one. */
typedef struct TokenTries
{
	uint64		begun;			/* the one under way included */
	uint64		ended;
	OutcomeClass last_class;	/* of the last one that ended, with its reason */
	char		last_reason[120];
} TokenTries;

/* Lives in its DispatchStore. Zeroed: a store without tokens, or not read yet. */
typedef struct StoreToken
{
	bool		known;			/* the platform has tokens and the store a refresh token */
	TimestampTz access_set_at;	/* which tokens the rest is about; 0 for none */
	TimestampTz refresh_set_at;
	TimestampTz expires;		/* of the access token, 0 unknown */
	TimestampTz due;			/* of the next refresh */
	int			failures;		/* in a row */
	bool		flying;			/* from the building of either call until its outcome is recorded */
	bool		useless;		/* the access token was refused, or there is none */
	int			vain;			/* refreshes since a call went well */
	bool		refused;		/* the refresh token was */
	bool		in_doubt;		/* it may have been spent by a refresh whose answer was lost */
	TokenTries	refresh;

	/* the code of an authorisation that waits to be exchanged */
	bool		has_code;
	TimestampTz code_set_at;	/* which code the rest is about */
	TimestampTz code_asked;		/* which one the exchange under way is about */
	TimestampTz code_due;
	int			code_failures;	/* in a row */
	bool		code_in_doubt;	/* it may have been spent by an exchange whose answer was lost */
	TokenTries	exchange;

	/* when the authorisation ends, asked of the platform now and then */
	TimestampTz look_due;
	bool		looking;
} StoreToken;

/* Read what the tables say of all stores' tokens, after the stores themselves. SPI connected, as the owner. */
extern void token_load(void);

/* Calls that bring a pair of tokens. */
extern bool token_brings(CallKind kind);
/* When the store's next refresh or exchange may be built; DT_NOEND for never or while one is under way. */
extern TimestampTz token_due(const DispatchStore *store);
/* Whether a call of another kind would be refused for certain. */
extern bool token_blocks(const DispatchStore *store);
/* Build what is due and hand it over; that it was asked for is committed before it leaves. SPI connected. */
extern void token_build(DispatchStore *store);
/* It was answered: store the pair that it brought, in a transaction of its own. Not called inside one. */
extern void token_answered(DispatchCall *call);
/* Pairs that could not be stored are tried again, and when. */
extern void token_save_again(TimestampTz now);
extern TimestampTz token_save_due(void);
/* Record the call and what follows from it. */
extern void token_settle(DispatchCall *call, Record *record);
/* The call could not be started. */
extern void token_return(DispatchCall *call);

/* The platform is asked until when the shop is authorised: a kind of work of its own (work.h). */
extern TimestampTz token_look_due(const DispatchStore *store);
extern void token_look_build(DispatchStore *store);
extern void token_look_settle(DispatchCall *call, Record *record);
extern void token_look_return(DispatchCall *call);

/*
 * A call of another kind went well, or was refused its credential. True: the
 * token is refreshed, or has been meanwhile; false: that would not help.
 */
extern void token_worked(const DispatchCall *call);
extern bool token_refused(const DispatchCall *call);

/*
 * Somebody wants a refresh, or waits for the exchange: its number, 0 when the
 * store has nothing to refresh or exchange. It has ended when the `ended` of
 * its tries has come so far.
 */
extern uint64 token_ask(DispatchStore *store);
extern uint64 token_ask_exchange(DispatchStore *store);

#endif
