/*
 * arena.h
 *		Memory for pure code: allocations that are freed all at once, with a
 *		bound. Free of PostgreSQL headers.
 *
 * arena_alloc returns NULL once the bound is passed or malloc fails, and the
 * arena then stays `failed`: callers may build on and look once at the end.
 */
#ifndef STORESYNC_ARENA_H
#define STORESYNC_ARENA_H

#include <stdbool.h>
#include <stddef.h>

typedef struct Arena Arena;

extern Arena *arena_create(size_t max_bytes);
extern void *arena_alloc(Arena *arena, size_t size);	/* zeroed, aligned for any type */
extern char *arena_strdup(Arena *arena, const char *text);
extern char *arena_strndup(Arena *arena, const char *text, size_t length);
extern char *arena_printf(Arena *arena, const char *format,...) __attribute__((format(printf, 2, 3)));
extern bool arena_failed(const Arena *arena);
extern void arena_reset(Arena *arena);	/* frees everything, keeps the arena */
extern void arena_free(Arena *arena);	/* NULL is allowed */

#endif
