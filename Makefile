# storesync: build, install, try and check. `make help` lists what there is.

EXTENSION = storesync
EXTVERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" storesync.control)

MODULE_big = storesync
EXTENSION_FILES = storesync settings session shmem incarnation partition outbox \
	key rate_limit gcra rate ledger order order_doc listing credential \
	arena platform shopee
OBJS = $(EXTENSION_FILES:%=extension/%.o)

SQL_MODULES = 00_guard 10_types 15_incarnation 20_tables 25_partition 30_ledger 35_key \
	40_order 50_outbox 55_rate 60_listing 65_catalog 70_dispatch 80_health \
	85_invariant 90_rights
DATA_built = storesync--$(EXTVERSION).sql

PG_CPPFLAGS = -I$(CURDIR)/extension
PG_CFLAGS = -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers
SHLIB_LINK = -lcjson -lcrypto
EXTRA_CLEAN = storesync--*.sql results output_iso tmp_check log
override with_llvm = no

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

storesync--$(EXTVERSION).sql: $(SQL_MODULES:%=sql/%.sql) storesync.control Makefile
	cat $(SQL_MODULES:%=sql/%.sql) > $@
