/*
 * compat.h
 *		Differences between PostgreSQL major versions, all of them, each with
 *		the upstream change that made it.
 *
 * Written for 14 to 18; docs/versions.md says which were compiled and tested.
 */
#ifndef STORESYNC_COMPAT_H
#define STORESYNC_COMPAT_H

#include "postgres.h"

#if PG_VERSION_NUM < 140000 || PG_VERSION_NUM >= 190000
#error "storesync supports PostgreSQL 14 to 18"
#endif

#include "miscadmin.h"
#include "utils/guc.h"

/* 15 reserves prefixes of settings, 14 only warns */
#if PG_VERSION_NUM < 150000
#define MarkGUCPrefixReserved(prefix) EmitWarningsOnPlaceholders(prefix)
#endif

/*
 * 15 takes requests for shared memory only from shmem_request_hook, 14 only
 * from _PG_init. SS_REQUEST_SHMEM(previous, mine) in _PG_init arranges either;
 * `mine` begins with SS_PREVIOUS_REQUEST(previous).
 */
#if PG_VERSION_NUM < 150000
typedef void (*shmem_request_hook_type) (void);
#define SS_REQUEST_SHMEM(previous, mine) ((previous) = NULL, (mine) ())
#else
#define SS_REQUEST_SHMEM(previous, mine) ((previous) = shmem_request_hook, shmem_request_hook = (mine))
#endif
#define SS_PREVIOUS_REQUEST(previous) ((previous) != NULL ? (previous) () : (void) 0)

/* 15 has GetFlushRecPtr() tell the timeline, too */
#if PG_VERSION_NUM < 150000
#define SsGetFlushRecPtr() GetFlushRecPtr()
#else
#define SsGetFlushRecPtr() GetFlushRecPtr(NULL)
#endif

/* 15 tells the timeline that is written by a function; in 14 it is known once the end of recovery has been looked for */
#if PG_VERSION_NUM < 150000
#define SsTimeline() (RecoveryInProgress() ? 0 : ThisTimeLineID)
#else
#define SsTimeline() GetWALInsertionTimeLine()
#endif

/* 15 added a way to begin a set-returning function in materialize mode; this is what 14 spells out */
#if PG_VERSION_NUM < 150000
#include "funcapi.h"
static inline void
InitMaterializedSRF(FunctionCallInfo fcinfo, bits32 flags)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext caller;
	TupleDesc	desc;

	if (result == NULL || !IsA(result, ReturnSetInfo) || !(result->allowedModes & SFRM_Materialize))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("set-valued function called in context that cannot accept a set")));
	caller = MemoryContextSwitchTo(result->econtext->ecxt_per_query_memory);
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	result->returnMode = SFRM_Materialize;
	result->setResult = tuplestore_begin_heap((result->allowedModes & SFRM_Materialize_Random) != 0, false, work_mem);
	result->setDesc = desc;
	MemoryContextSwitchTo(caller);
}
#endif

/* 17 ties wait event sets to resource owners, before that they lived in a memory context */
#if PG_VERSION_NUM < 170000
#define SsCreateWaitEventSet(n) CreateWaitEventSet(TopMemoryContext, (n))
#else
#define SsCreateWaitEventSet(n) CreateWaitEventSet(NULL, (n))
#endif

/* 17 names the waits of extensions; before that there is one event for all of them */
#if PG_VERSION_NUM < 170000
#define SsWaitEvent(name) PG_WAIT_EXTENSION
#else
#define SsWaitEvent(name) WaitEventExtensionNew(name)
#endif

/*
 * 17 replaced BackendIds by ProcNumbers, gave PGPROC's number a macro and put
 * the local transaction id into a struct
 */
#if PG_VERSION_NUM < 170000
#define SsMyProcNumber() (MyProc->pgprocno)
#define SsMyLocalTransactionId() (MyProc->lxid)
#else
#define SsMyProcNumber() (MyProcNumber)
#define SsMyLocalTransactionId() (MyProc->vxid.lxid)
#endif

/* 16 replaced the ownership checks by one for all kinds of objects */
#if PG_VERSION_NUM < 160000
#define SsDatabaseOwnerCheck(database, role) pg_database_ownercheck(database, role)
#else
#define SsDatabaseOwnerCheck(database, role) object_ownercheck(DatabaseRelationId, database, role)
#endif

/*
 * 16 lets an update insert into summarizing indexes alone; 18 tells the check
 * for conflicts which row to leave out. None of it concerns inserts.
 */
#if PG_VERSION_NUM < 160000
#define SsInsertIndexTuples(info, slot, estate, tell, conflict) \
	ExecInsertIndexTuples(info, slot, estate, false, tell, conflict, NIL)
#else
#define SsInsertIndexTuples(info, slot, estate, tell, conflict) \
	ExecInsertIndexTuples(info, slot, estate, false, tell, conflict, NIL, false)
#endif
#if PG_VERSION_NUM < 180000
#define SsCheckIndexConstraints(info, slot, estate, other) \
	ExecCheckIndexConstraints(info, slot, estate, other, NIL)
#else
#define SsCheckIndexConstraints(info, slot, estate, other) \
	ExecCheckIndexConstraints(info, slot, estate, other, &(ItemPointerData) {{0, 0}, 0}, NIL)
#endif

/* 16 renamed what names a relation's files */
#if PG_VERSION_NUM < 160000
#define SsRelFile(rel) ((rel)->rd_node)
#else
#define SsRelFile(rel) ((rel)->rd_locator)
#endif

/* 15 gave the end of a btree's page a macro; the includer has access/nbtree.h */
#if PG_VERSION_NUM < 150000
#define SsBtOpaque(page) ((BTPageOpaque) PageGetSpecialPointer(page))
#else
#define SsBtOpaque(page) BTPageGetOpaque(page)
#endif

/* 16 names the table in a descent of a btree, 17 no longer the snapshot; 17 tells descents which way they will go on */
#if PG_VERSION_NUM < 160000
#define SsBtSearch(index, key, leaf, snapshot) _bt_search(index, key, leaf, BT_READ, snapshot)
#elif PG_VERSION_NUM < 170000
#define SsBtSearch(index, key, leaf, snapshot) _bt_search(index, NULL, key, leaf, BT_READ, snapshot)
#else
#define SsBtSearch(index, key, leaf, snapshot) _bt_search(index, NULL, key, leaf, BT_READ)
#endif
#if PG_VERSION_NUM < 170000
#define SsSearchBackward(key) ((void) 0)
#else
#define SsSearchBackward(key) ((key).backward = true)
#endif

/* 18 counts what an index scan looked at */
#if PG_VERSION_NUM < 180000
#define SsIndexBeginScan(heap, index, snapshot, nkeys) index_beginscan(heap, index, snapshot, nkeys, 0)
#else
#define SsIndexBeginScan(heap, index, snapshot, nkeys) index_beginscan(heap, index, snapshot, NULL, nkeys, 0)
#endif

#endif
