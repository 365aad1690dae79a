# storesync: build, install, try and check. `make help` lists what there is.
#
# The lists below are explicit on purpose: who adds a file adds its name.

EXTENSION = storesync
EXTVERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" storesync.control)

# extension/: the library that every backend maps
MODULE_big = storesync
EXTENSION_FILES = storesync version settings session shmem shmem_wake shmem_hold shmem_launcher stat store_stat utility recovery incarnation partition partition_make outbox consumer task task_payload rotation \
	key rate_limit gcra pace rate rate_adapt rate_budget rate_lane rate_shared rate_sql listing listing_wanted listing_terms listing_read listing_facts listing_stock listing_sales listing_moves \
	transition catalog_change audit allotment allotment_seen credential authorize ingest_push notification \
	set ids rows rows_target rows_insert rows_memo rows_last rows_path rows_find rows_guard rows_delete stock stock_place stock_load stock_bundle holder answer ledger ledger_balance \
	price offer transfer count count_line order_line order_return order_again remap remap_line remap_moves remap_write short short_request short_order short_move expiry \
	job job_worker \
	order order_part order_draw order_doc order_number order_time order_read order_look order_load order_map order_want order_book order_write order_fill order_json \
	arena plain json sign taipei document platform judge shopee shopee_class shopee_judge shopee_order \
	shopee_write shopee_fetch shopee_item shopee_ship shopee_return shopee_token shopee_push \
	ruten ruten_class ruten_judge ruten_list ruten_item ruten_order ruten_time ruten_push \
	pchome pchome_id pchome_product pchome_class pchome_judge pchome_order pchome_shown \
	ship_read \
	redis_url cache cache_stat olap \
	what_if what_if_replay histogram delay visits sale rollup rollup_sum rollup_read sku_sums sku_month stock_gather stock_month turnover \
	search_text search_lists search_gram search_pack search_run search_orders \
	csv csv_kind csv_file csv_load csv_change \
	verify
OBJS = $(EXTENSION_FILES:%=extension/%.o)

# bgworker/: the library of the worker processes, the only one that links curl
WORKER_FILES = launcher worker dispatcher dispatcher_answer http http_call address \
	stores host peak breaker breaker_mark share queue queue_place round feed target push read_back lost listings listings_store intake intake_walk intake_book reread second_look rhythm returns record shown call retry \
	due search_runs lane work price price_settle price_look price_task rotation rollup_due task task_do task_fetch task_event errand token token_pair token_code token_look \
	ship ship_call ship_task \
	read_call verify verify_judge drift \
	olap_main olap_state olap_feed olap_fill olap_read olap_send olap_settle
WORKER = storesync_worker$(DLSUFFIX)
WORKER_OBJS = $(WORKER_FILES:%=bgworker/%.o)

# and the library of the cache, the only one that links hiredis: a worker's, and loaded by sessions that use it
CACHE_FILES = redis cache_main cache_read cache_feed cache_fill cache_write
CACHE = storesync_cache$(DLSUFFIX)
CACHE_OBJS = $(CACHE_FILES:%=bgworker/%.o)

# The install script, in this order; what is left to do by hand in an upgrade is in sql/upgrade/
SQL_MODULES = 00_guard 05_version 10_types 12_key 15_incarnation 20_tables 25_partition 30_ledger 31_opening \
	40_order 50_outbox 52_task 53_rotation 54_maintain 55_rate 56_cache 56_retire 57_olap 58_allotment 59_price 60_listing 62_forget 64_remap 64_undo 65_catalog 66_bundle 67_instance 68_verify 69_drift 70_dispatch 71_breaker 72_peak 73_compensate 74_onboarding 74_csv 75_stat 76_short 77_token 78_replica 78_task_hint 79_push 80_health 80_work \
	81_search 82_histogram 82_sku_month 82_rollup 82_stock_month 82_pushed 83_job 83_what_if 84_report 84_today \
	85_invariant 87_role 90_rights
# Releases, which stay as they were; from each a script leads to the next, from the last to this one
LAST_RELEASE = 1.0
DATA = sql/releases/storesync--1.0.sql
SQL_INSTALL = storesync--$(EXTVERSION).sql
SQL_UPGRADE = storesync--$(LAST_RELEASE)--$(EXTVERSION).sql
DATA_built = $(SQL_INSTALL) $(SQL_UPGRADE)

# Tests. PURE_FILES know no PostgreSQL: unit tests and fuzz targets link them all.
PURE_FILES = arena plain json sign taipei document platform judge gcra pace listing_terms histogram sku_sums \
	shopee shopee_class shopee_judge shopee_order shopee_write shopee_fetch shopee_item shopee_ship shopee_return shopee_token shopee_push \
	ruten ruten_class ruten_judge ruten_list ruten_item ruten_order ruten_time ruten_push \
	pchome pchome_id pchome_product pchome_class pchome_judge pchome_order pchome_shown \
	ship_read search_text search_lists csv csv_kind
UNIT_TESTS = test_http test_reach test_arena test_plain test_json test_sign test_platform test_gcra test_histogram test_sku_sums test_terms test_lane test_rhythm \
	test_shopee_build test_shopee_judge test_shopee_order test_shopee_item test_shopee_ship test_shopee_return test_shopee_push \
	test_taipei test_ruten_build test_ruten_judge test_ruten_read test_ruten_push \
	test_pchome_build test_pchome_judge test_pchome_order test_canonical \
	test_ship_read test_redis test_search test_csv
FUZZ_TARGETS = fuzz_plain fuzz_json fuzz_search fuzz_csv \
	fuzz_shopee_build fuzz_shopee_push fuzz_shopee_list fuzz_shopee_orders fuzz_shopee_token fuzz_shopee_item \
	fuzz_shopee_write fuzz_shopee_notice \
	fuzz_ruten_build fuzz_ruten_write fuzz_ruten_list fuzz_ruten_item fuzz_ruten_orders fuzz_ruten_hook \
	fuzz_pchome_build fuzz_pchome_write fuzz_pchome_list fuzz_pchome_orders fuzz_pchome_shown
REGRESS_TESTS = conventions matrix install partition outbox task rotation maintain retire moved catalog audit undo credential token rights role key rate_limit rate ledger \
	transfer count order_return order_parked expiry \
	order order_input order_found order_rules remap short place bundle direct memo peak breaker compensate push listing unseen solo stop allotment price locked onboarding csv terms work dispatch job report what_if cache olap search rollup invariant tamper
ISOLATION_TESTS = outbox_order roll_up_begin roll_up_prepared partition_make rate_snapshot allot_race last_unit same_key opposite_pages \
	transfer_opposite bundle_opposite bundle_late return_race taken count_race count_late same_order known_order one_holder \
	expiry_race snapshot first_row life_race lock_order remap_race price_race short_settle life_first retire_race grant_race csv_race
TAP = $(sort $(wildcard regress/t/*.pl))

# ---------------------------------------------------------------- building

ifneq ($(words $(CURDIR)),1)
$(error the path of this tree contains a space, which make and pg_regress cannot cope with: "$(CURDIR)")
endif

PG_CPPFLAGS = -I$(CURDIR)/extension \
	-DSS_LIBRARY_MAJOR=$(word 1,$(subst ., ,$(EXTVERSION))) -DSS_LIBRARY_MINOR=$(word 2,$(subst ., ,$(EXTVERSION)))
PG_CFLAGS = -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers
SHLIB_LINK = -lcjson -lcrypto
EXTRA_CLEAN = storesync--*.sql $(WORKER) $(WORKER_OBJS) $(CACHE) $(CACHE_OBJS) .build
NO_INSTALLCHECK = 1
override with_llvm = no

PG_CONFIG ?= pg_config
export PG_CONFIG
PGXS := $(shell $(PG_CONFIG) --pgxs)
ifeq ($(wildcard $(PGXS)),)
$(error $(PG_CONFIG) names no PGXS makefile: run deploy/setup, or say PG_CONFIG=/path/to/pg_config)
endif
include $(PGXS)

# The worker library uses functions of the first: 16 and later would hide them
override CFLAGS := $(filter-out -fvisibility%,$(CFLAGS))

$(SQL_INSTALL): $(SQL_MODULES:%=sql/%.sql) storesync.control Makefile
	cat $(SQL_MODULES:%=sql/%.sql) > $@
$(SQL_UPGRADE): $(SQL_MODULES:%=sql/%.sql) $(DATA) sql/upgrade/script sql/upgrade/lock.sql $(wildcard sql/upgrade/*/*.sql) storesync.control Makefile
	sql/upgrade/script $(LAST_RELEASE) $(EXTVERSION) $(SQL_MODULES) > $@.new && mv $@.new $@

$(OBJS) $(WORKER_OBJS) $(CACHE_OBJS): $(wildcard extension/*.h bgworker/*.h)
extension/version.o bgworker/dispatcher.o: storesync.control

ifneq ($(WORKER_FILES),)
all: $(WORKER) $(CACHE)
install: install-worker
endif
$(WORKER): $(WORKER_OBJS)
	$(CC) $(CFLAGS) -shared -o $@ $(WORKER_OBJS) $(LDFLAGS) $(LDFLAGS_SL) -lcurl
# worker.o is in both: how a worker starts, and what makes a library a module
$(CACHE): $(CACHE_OBJS) bgworker/worker.o
	$(CC) $(CFLAGS) -shared -o $@ $(CACHE_OBJS) bgworker/worker.o $(LDFLAGS) $(LDFLAGS_SL) -lhiredis

.PHONY: install-worker uninstall-worker
install-worker: $(WORKER) $(CACHE) installdirs
	$(INSTALL_SHLIB) $(WORKER) '$(DESTDIR)$(pkglibdir)/$(WORKER)'
	$(INSTALL_SHLIB) $(CACHE) '$(DESTDIR)$(pkglibdir)/$(CACHE)'
uninstall: uninstall-worker
uninstall-worker:
	rm -f '$(DESTDIR)$(pkglibdir)/$(WORKER)' '$(DESTDIR)$(pkglibdir)/$(CACHE)'

# simulator/: a program of its own, with a Makefile of its own
# Run when a port is named on the command line; SIMULATOR has more of its options
.PHONY: simulator clean-simulator
simulator:
	@$(MAKE) -s -C simulator
ifeq ($(origin PORT),command line)
	@exec simulator/simulator --catalogue $(CATALOGUE) --trace simulator/trace.example.tsv --port $(PORT) $(SIMULATOR)
endif
CATALOGUE = simulator/catalogue.example.tsv
clean: clean-simulator
clean-simulator:
	@$(MAKE) -s -C simulator clean

# Installed is what was built? Then nobody is asked for a password again.
SUDO = $(if $(shell test -w '$(pkglibdir)' -a -w '$(datadir)/extension' && echo yes),,sudo)
.PHONY: installed
installed: all
	@cmp -s storesync$(DLSUFFIX) '$(pkglibdir)/storesync$(DLSUFFIX)' && \
	 cmp -s $(WORKER) '$(pkglibdir)/$(WORKER)' && \
	 cmp -s $(CACHE) '$(pkglibdir)/$(CACHE)' && \
	 (for script in $(DATA) $(DATA_built); do cmp -s $$script '$(datadir)/extension/'$${script##*/} || exit 1; done) && \
	 cmp -s storesync.control '$(datadir)/extension/storesync.control' || \
	 $(SUDO) $(MAKE) -s install PG_CONFIG='$(PG_CONFIG)'

# ---------------------------------------------------------------- trying

.PHONY: demo demo-stop psql psql-replica
demo: installed simulator
	simulator/demo
demo-stop:
	simulator/demo stop
	deploy/cluster remove
psql:
	@deploy/cluster psql
psql-replica:
	@deploy/cluster replica psql
# STORE, PLATFORM, SINCE, UNTIL, TOP, CURRENCY on the command line are in the environment of what make runs
.PHONY: report
report:
	@reports/page $(if $(TERMINAL),--terminal,'$(or $(FILE),report.html)')

# ---------------------------------------------------------------- checking
#
# Tests run as the private cluster's user (postgres when you are root) in a copy
# under .run/check, so they work in a tree which that user cannot write to.

CLUSTER = deploy/cluster
PGXS_SRC = $(abspath $(top_builddir)/src)
STAGED = $(wildcard regress expected reports simulator deploy/nginx deploy/pgbackrest deploy/postgresql deploy/prometheus docs deploy/clickhouse deploy/csv deploy/export.sql)

.PHONY: test unit fuzz lint regress isolation tap
test: all simulator
	@MAKE='$(MAKE)' SMITH=1000 regress/tally unit fuzz lint installed regress isolation sanitize sqlsmith tap

# The copy that suite $@ runs in
define stage
@tar -cf - $(STAGED) | $(CLUSTER) run sh -c 'rm -rf check/$@ && mkdir -p check/$@ && tar -xf - -C check/$@'
endef

REGRESS_FLAGS = --inputdir=regress --outputdir=. --bindir='$(bindir)' --no-locale --encoding=UTF8 \
	--temp-instance=instance --temp-config=regress/regress.conf --load-extension=storesync

regress:
	$(stage)
	@$(CLUSTER) run sh -c 'cd check/$@ && "$(PGXS_SRC)/test/regress/pg_regress" $(REGRESS_FLAGS) \
		--dbname=regress $(REGRESS_TESTS) || { cat regression.diffs; exit 1; }'

isolation:
	$(stage)
	@$(CLUSTER) run sh -c 'cd check/$@ && "$(PGXS_SRC)/test/isolation/pg_isolation_regress" $(REGRESS_FLAGS) \
		--dbname=isolation $(ISOLATION_TESTS) || { cat regression.diffs; exit 1; }'

# Where real order lines may be; the test that books them says when they are not
STORESYNC_DATA ?= $(abspath ../shared/data)
# TAP files at a time
TAP_JOBS ?= 3
tap: simulator
	$(stage)
	@$(CLUSTER) run sh -c 'cd check/$@ && TESTDIR=$$PWD PG_REGRESS="$(PGXS_SRC)/test/regress/pg_regress" \
		STORESYNC_DATA="$(STORESYNC_DATA)" PROVE_FLAGS="-I $(PGXS_SRC)/test/perl -I regress/t/lib" \
		TAP_JOBS=$(TAP_JOBS) regress/prove $(TAP)'

# One of them alone, with its steps and their times
.PHONY: drill
drill: installed simulator
	$(stage)
	@$(CLUSTER) run sh -c 'cd check/$@ && TESTDIR=$$PWD PG_REGRESS="$(PGXS_SRC)/test/regress/pg_regress" \
		perl -I "$(PGXS_SRC)/test/perl" -I regress/t/lib regress/t/084_drill.pl'

# Random statements, COUNT of them from SEED; SMITH as part of `make test`
.PHONY: sqlsmith
sqlsmith: STAGED = regress simulator
sqlsmith: simulator
	$(stage)
	@$(CLUSTER) run sh -c 'cd check/$@ && TESTDIR=$$PWD PG_REGRESS="$(PGXS_SRC)/test/regress/pg_regress" \
		TAP_LIMIT=$(if $(SMITH),420,0) COUNT=$(or $(COUNT),$(SMITH),20000) SEED=$(or $(SEED),1) PROVE_FLAGS="-I $(PGXS_SRC)/test/perl -I regress/t/lib" regress/prove regress/sqlsmith.pl'

# Regress and isolation once more, with libraries in which whatever is undefined in C ends the process
.PHONY: sanitize
SANITIZE = regress isolation
sanitize:
	@MAKE='$(MAKE)' regress/sanitize $(SANITIZE)

.PHONY: installcheck
installcheck: regress isolation tap

# The pure files, compiled once for the unit tests, once for the fuzz targets and once for bench-codec
CHECKED_FLAGS = -std=gnu11 -O1 -g $(PG_CFLAGS) -Wall -fno-sanitize-recover=all -Iextension -Ibgworker
UNIT_CC = $(CC) $(CHECKED_FLAGS) -fsanitize=address,undefined
FUZZ_CC = clang $(CHECKED_FLAGS) -fsanitize=fuzzer,address,undefined
BENCH_CC = $(CC) -std=gnu11 -O2 -g $(PG_CFLAGS) -Wall -Iextension
PURE_HEADERS = $(wildcard extension/*.h bgworker/*.h)
PURE_LIBS = -lcjson -lcrypto -lm

.build/unit/pure/%.o: extension/%.c $(PURE_HEADERS)
	@mkdir -p $(@D)
	$(UNIT_CC) -c -o $@ $<
.build/fuzz/pure/%.o: extension/%.c $(PURE_HEADERS)
	@mkdir -p $(@D)
	$(subst =fuzzer,=fuzzer-no-link,$(FUZZ_CC)) -c -o $@ $<
.build/bench/pure/%.o: extension/%.c $(PURE_HEADERS)
	@mkdir -p $(@D)
	$(BENCH_CC) -c -o $@ $<
pure = $(PURE_FILES:%=.build/$(1)/pure/%.o)

# The engine and the lanes are pure too, but for curl
ENGINE = bgworker/http.c bgworker/http_call.c bgworker/address.c
.build/unit/test_http: regress/unit/test_http.c $(ENGINE) $(PURE_HEADERS)
	@mkdir -p $(@D)
	$(UNIT_CC) -o $@ $(filter %.c,$^) -lcmocka -lcurl -lssl -lcrypto -ldl -pthread
.build/unit/test_reach: regress/unit/test_reach.c $(ENGINE) $(PURE_HEADERS)
	@mkdir -p $(@D)
	$(UNIT_CC) -o $@ $(filter %.c,$^) -lcmocka -lcurl
.build/unit/test_lane: regress/unit/test_lane.c bgworker/lane.c $(PURE_HEADERS)
	@mkdir -p $(@D)
	$(UNIT_CC) -o $@ $(filter %.c,$^) -lcmocka
.build/unit/test_redis: regress/unit/test_redis.c bgworker/redis.c extension/redis_url.c $(PURE_HEADERS)
	@mkdir -p $(@D)
	$(UNIT_CC) -o $@ $(filter %.c,$^) -lcmocka -lhiredis
.build/unit/test_rhythm: regress/unit/test_rhythm.c bgworker/rhythm.c $(PURE_HEADERS)
	@mkdir -p $(@D)
	$(UNIT_CC) -o $@ $(filter %.c,$^) -lcmocka

.build/unit/%: regress/unit/%.c $(call pure,unit)
	$(UNIT_CC) -o $@ $^ -lcmocka $(PURE_LIBS)

unit: $(UNIT_TESTS:%=.build/unit/%)
	@status=0; for test in $(UNIT_TESTS); do CMOCKA_MESSAGE_OUTPUT=TAP .build/unit/$$test || status=1; done; exit $$status

# FUZZ_SECONDS a target, from a fixed seed
FUZZ_SECONDS = 5
.build/fuzz/%: regress/fuzz/%.c $(call pure,fuzz)
	$(FUZZ_CC) -o $@ $^ $(PURE_LIBS)

fuzz: $(FUZZ_TARGETS:%=.build/fuzz/%)
	@printf '%s\n' $(FUZZ_TARGETS) | xargs -P 2 -I TARGET regress/fuzz/run TARGET $(FUZZ_SECONDS)

lint: all
	@CC='$(CC)' CPPFLAGS='$(CPPFLAGS)' CFLAGS='$(PG_CFLAGS)' regress/lint

.PHONY: bench
bench: STAGED = bench
bench: installed
	@$(CLUSTER) stop
	$(stage)
	@$(CLUSTER) run check/bench/bench/orders $(BENCH)

# Calls to shops: programs of their own beside it
DISPATCH_BENCH = .build/bench/sink .build/bench/dispatch_loop
$(DISPATCH_BENCH): .build/bench/%: bench/%.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Wno-unused-parameter -o $@ $< -lcurl

.PHONY: bench-dispatch
bench-dispatch: STAGED = bench $(DISPATCH_BENCH)
bench-dispatch: installed $(DISPATCH_BENCH)
	@$(CLUSTER) stop
	$(stage)
	@$(CLUSTER) run check/$@/bench/dispatch $(BENCH)

.PHONY: bench-limits
bench-limits: STAGED = bench
bench-limits: installed
	@$(CLUSTER) stop
	$(stage)
	@$(CLUSTER) run check/$@/bench/limits $(BENCH)

.PHONY: bench-peak
bench-peak: STAGED = bench regress simulator
bench-peak: installed simulator
	@$(CLUSTER) stop
	$(stage)
	@$(CLUSTER) run env STORESYNC_DATA='$(STORESYNC_DATA)' check/$@/bench/peak $(BENCH)

.PHONY: bench-stop
bench-stop: STAGED = bench regress simulator
bench-stop: installed simulator
	@$(CLUSTER) stop
	$(stage)
	@$(CLUSTER) run check/$@/bench/stop $(BENCH)

.PHONY: bench-compensate
bench-compensate: STAGED = bench regress simulator
bench-compensate: installed simulator
	@$(CLUSTER) stop
	$(stage)
	@$(CLUSTER) run check/$@/bench/compensate $(BENCH)

.PHONY: bench-cache
bench-cache: STAGED = bench
bench-cache: installed
	@$(CLUSTER) stop
	$(stage)
	@$(CLUSTER) run check/$@/bench/cache $(BENCH)

.PHONY: bench-search
bench-search: STAGED = bench
bench-search: installed
	@$(CLUSTER) stop
	$(stage)
	@$(CLUSTER) run check/$@/bench/search $(BENCH)

.PHONY: bench-outbox
bench-outbox: STAGED = bench
bench-outbox: installed
	@$(CLUSTER) stop
	$(stage)
	@$(CLUSTER) run check/$@/bench/outbox $(BENCH)

# Two years of orders, SCALE of them; its loader is a client, its clock a library of the server's process
REPORT_BENCH = .build/bench/report_load .build/bench/report_clock$(DLSUFFIX)
.build/bench/report_load: bench/report_load.c bench/report_orders.c bench/report_orders.h
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -I'$(includedir)' -o $@ $(filter %.c,$^) -L'$(libdir)' -lpq -lm
.build/bench/report_clock$(DLSUFFIX): bench/report_clock.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -I'$(includedir_server)' -fPIC -shared -o $@ $<

SCALE = 1
.PHONY: bench-report
bench-report: STAGED = bench deploy/postgresql $(REPORT_BENCH)
bench-report: installed $(REPORT_BENCH)
	@$(CLUSTER) stop
	$(stage)
	@$(CLUSTER) run check/$@/bench/report --scale $(SCALE) $(BENCH)

.build/bench/%: bench/%.c bench/answers.c bench/answers.h $(call pure,bench)
	$(BENCH_CC) -Ibench -o $@ $(filter-out %.h,$^) $(PURE_LIBS)

.PHONY: bench-codec
bench-codec: .build/bench/codec
	@$<

# Answers made and read here, booked there
.PHONY: bench-ingest
bench-ingest: STAGED = bench .build/bench/pages
bench-ingest: installed .build/bench/pages
	@$(CLUSTER) stop
	$(stage)
	@$(CLUSTER) run check/$@/bench/ingest $(BENCH)

.PHONY: help
help:
	@sed -n 's/^#: \{0,1\}//p' Makefile

#:  make               build the libraries and the install script
#:  make install       install them into the PostgreSQL of PG_CONFIG (as root, or with sudo)
#:  make installcheck  regress, isolation and tap, against what is installed
#:    make regress     pg_regress         REGRESS_TESTS="ledger order" for some of them
#:    make isolation   isolation tester   ISOLATION_TESTS=...
#:    make tap         real processes     TAP=regress/t/030_dispatch.pl
#:  make drill         backup, loss and recovery of a cluster at work, step by step (docs/backup.md)
#:  make sqlsmith      random statements   COUNT=20000 SEED=1
#:  make sanitize      regress and isolation once more, with the undefined-behaviour sanitizer; SANITIZE="tap" for others
#:  make unit          pure C code under cmocka, with address and undefined-behaviour sanitizers
#:  make fuzz          libFuzzer targets, FUZZ_SECONDS each (5)
#:  make lint          compilers' warnings as errors, clang-tidy, cppcheck, SQL rules
#:  make test          all of these, counted; installs first
#:  make bench         storesync beside its peers and the floors, BENCH="--mode hot --rounds 3" to shorten
#:  make bench-dispatch  calls to shops, beside a libcurl loop and a worker  BENCH="--case fast,hot"
#:  make bench-limits  rate_take beside a row bucket, a script in Redis and an empty function
#:  make bench-peak    the hour of a campaign, beside a queue that sends every change
#:  make bench-stop    a SKU stopped in 12 stores with full queues, beside the least that the limits allow
#:  make bench-compensate  memory and time of compensate() over 100,000 listings
#:  make bench-cache   hit rate, latency and age of the cache, beside a SELECT by primary key
#:  make bench-search  searches of orders, beside trigram indexes over the same rows
#:  make bench-outbox  the outbox as a queue, beside a bare INSERT, SKIP LOCKED and PgQ
#:  make bench-codec   what a call costs in the codec, beside the libraries below it
#:  make bench-ingest  answers of platforms parsed and booked, beside PL/pgSQL
#:  make bench-report  five questions about two years of orders, beside plain SQL, ClickHouse and DuckDB  SCALE=0.02
#:  make simulator     the marketplace simulator alone, run with PORT=18080 (CATALOGUE=FILE, SIMULATOR="--rate 20")
#:  make demo          private cluster and replica, simulator, a replay of orders, a report
#:  make psql          look at what the demo left; make psql-replica: at its replica
#:  make report        one HTML page, FILE=report.html, or TERMINAL=1; STORE= PLATFORM= SINCE= UNTIL=; of the demo, or of PGHOST (docs/reports.md)
#:  make demo-stop     stop it and remove .run
#:  make clean
#:
#: PG_CONFIG=/path/to/pg_config chooses the PostgreSQL, everywhere.
