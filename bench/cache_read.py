# Reads for bench/cache: SOCKET SKUS ORDERS READS CHANGES MEMORY. The database is the one of PGHOST, PGPORT and PGDATABASE.
#
# The pattern is that of a shop's pages: of 100 reads 60 are of stock and 25 of prices, both skewed (a tenth of the
# SKUs gets two thirds of the reads), and 15 of orders, whose age falls off with a mean of 20 days: one in a
# hundred of those is older than the 90 days that are kept.
import random
import sys
import threading
import time

import psycopg2
import redis

socket, skus, orders, reads, changes, memory = sys.argv[1], *map(int, sys.argv[2:7])
random.seed(20261123)
cache = redis.Redis(unix_socket_path=socket, socket_timeout=1)
database = psycopg2.connect("")
database.autocommit = True
statement = database.cursor()
statement.execute("PREPARE stock (bigint) AS SELECT sum(on_hand - reserved) FROM storesync.stock WHERE sku_id = $1")
statement.execute("PREPARE sku (bigint) AS SELECT code FROM storesync.sku WHERE sku_id = $1")


def a_sku():
    return 1 + min(int(random.paretovariate(0.25) - 1), skus - 1) if random.random() < 0.75 else random.randint(1, skus)


def a_key():
    kind = random.random()
    if kind < 0.60:
        return "bench:stock:S%d" % a_sku(), "available"
    if kind < 0.85:
        return "bench:listing:%d" % a_sku(), "price"
    return "bench:order:1:O%d" % max(1, min(orders, int(random.expovariate(1 / 20) * orders / 150))), "doc"


def timed(function):
    began = time.perf_counter()
    function()
    return (time.perf_counter() - began) * 1e6


def show(what, values):
    values.sort()
    print("%-52s p50 %8.1f  p99 %8.1f" % (what, values[len(values) // 2], values[int(len(values) * 0.99)]))


def hit_rate(what):
    hits = sum(cache.hget(*a_key()) is not None for _ in range(reads))
    print("hit rate, with memory for %s: %.1f %% (the case's figure: 92 %%)" % (what, 100 * hits / reads))


hit_rate("all")

times = {"hget": [], "key": [], "stock": []}
for _ in range(reads):
    number = a_sku()
    times["hget"].append(timed(lambda: cache.hget("bench:stock:S%d" % number, "available")))
    times["key"].append(timed(lambda: (statement.execute("EXECUTE sku (%s)", (number,)), statement.fetchone())))
    times["stock"].append(timed(lambda: (statement.execute("EXECUTE stock (%s)", (number,)), statement.fetchone())))
print("microseconds, as the reader sees it")
show("  HGET of a SKU's stock", times["hget"])
show("  SELECT by primary key, prepared", times["key"])
show("  SELECT of a SKU's stock, prepared", times["stock"])

# others change stock meanwhile
stop = threading.Event()


def others():
    connection = psycopg2.connect("")
    connection.autocommit = True
    cursor = connection.cursor()
    while not stop.wait(0.005):
        cursor.execute("SELECT storesync.receive('S' || %s, 1, storesync.new_key())", (random.randint(1, skus),))


thread = threading.Thread(target=others)
thread.start()
ages = []
late = 0
for _ in range(changes):
    number = random.randint(1, skus)
    statement.execute("SELECT (storesync.receive('S' || %s, 1, storesync.new_key())).version", (number,))
    wanted = statement.fetchone()[0]
    began = time.perf_counter()
    while int(cache.hget("bench:stock:S%d" % number, "version") or 0) < wanted:
        if time.perf_counter() - began > 30:
            late += 1
            break
    ages.append((time.perf_counter() - began) * 1e3)
stop.set()
thread.join()
print("milliseconds from a commit until Redis has it, beside 200 other changes a second")
show("  age of a cached value", ages)
cache.config_set("maxmemory", memory)
cache.set("bench:room", "is made by the next write")
hit_rate("three quarters of it, just evicted")
if late:
    sys.exit("%d changes did not reach Redis in 30 s" % late)
