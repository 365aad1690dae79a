/*
 * storesync.c
 *		Entry of the library that every backend maps: settings, shared memory
 *		when preloaded, and the launcher's registration.
 *
 * Loaded without shared_preload_libraries the SQL API works, but there are no
 * limits and no workers.
 */
#include "storesync.h"

#include "postmaster/bgworker.h"

#include "rate.h"
#include "recovery.h"
#include "store_stat.h"
#include "shmem.h"
#include "utility.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

/*
 * register_launcher asks the postmaster for the one static worker. It lives
 * in the other library, which alone links curl.
 */
static void
register_launcher(void)
{
	BackgroundWorker worker = {0};

	strlcpy(worker.bgw_name, "storesync launcher", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "storesync launcher", BGW_MAXLEN);
	strlcpy(worker.bgw_library_name, "storesync_worker", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "storesync_launcher_main", BGW_MAXLEN);
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = 1;
	RegisterBackgroundWorker(&worker);
}

void
_PG_init(void)
{
	settings_define();
	recovery_init(process_shared_preload_libraries_in_progress && !IsBinaryUpgrade);
	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;
	shmem_init();
	rate_init();
	store_stat_init();
	utility_init();
	register_launcher();
}
