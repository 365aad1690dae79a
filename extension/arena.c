/*
 * arena.c
 *		Memory for pure code: blocks from malloc, handed out from front to
 *		back and freed all together, under a bound given at creation.
 *
 * Free of PostgreSQL headers, so that the codecs run and are fuzzed outside
 * of a server; a worker that dies frees it with its process. Never raises:
 * what cannot be had is NULL and is remembered in `failed`.
 *
 * Not shared between threads or processes: no lock.
 */
#include "arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Most requests and answers fit into one block; larger needs get their own. */
#define ARENA_BLOCK_BYTES	(16 * 1024)
#define ARENA_ALIGN			_Alignof(max_align_t)

/*
 * Under AddressSanitizer the unused part of a block is poisoned and a gap is
 * left behind each piece, so that an overrun inside the arena is seen.
 */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#endif
#ifdef ARENA_ASAN
/* its own header says const, from which gcc concludes that the memory is read */
extern void __asan_poison_memory_region(volatile void *start, size_t bytes);
extern void __asan_unpoison_memory_region(volatile void *start, size_t bytes);
#define ARENA_GAP			ARENA_ALIGN
#define ARENA_CLOSE(p, n)	__asan_poison_memory_region(p, n)
#define ARENA_OPEN(p, n)	__asan_unpoison_memory_region(p, n)
#else
#define ARENA_GAP			0
#define ARENA_CLOSE(p, n)	((void) 0)
#define ARENA_OPEN(p, n)	((void) 0)
#endif

typedef struct ArenaBlock
{
	struct ArenaBlock *next;
	size_t		size;			/* bytes of data */
	size_t		used;
	_Alignas(max_align_t) char data[];
} ArenaBlock;

struct Arena
{
	ArenaBlock *blocks;			/* the first one is being filled */
	size_t		taken;			/* bytes of all blocks, headers included */
	size_t		max_bytes;
	bool		failed;
};

Arena *
arena_create(size_t max_bytes)
{
	Arena	   *arena = calloc(1, sizeof(Arena));

	if (arena != NULL)
		arena->max_bytes = max_bytes;
	return arena;
}

/*
 * add_block puts a block with room for `size` bytes at the head of the list:
 * one of the usual size when the bound still allows that, else just enough.
 */
static ArenaBlock *
add_block(Arena *arena, size_t size)
{
	size_t		left = arena->max_bytes - arena->taken;
	size_t		wanted = size < ARENA_BLOCK_BYTES ? ARENA_BLOCK_BYTES : size;
	ArenaBlock *block;

	if (left < sizeof(ArenaBlock) || left - sizeof(ArenaBlock) < size)
		return NULL;
	if (wanted > left - sizeof(ArenaBlock))
		wanted = size;
	block = malloc(sizeof(ArenaBlock) + wanted);
	if (block == NULL)
		return NULL;
	block->next = arena->blocks;
	block->size = wanted;
	block->used = 0;
	ARENA_CLOSE(block->data, block->size);
	arena->blocks = block;
	arena->taken += sizeof(ArenaBlock) + wanted;
	return block;
}

void *
arena_alloc(Arena *arena, size_t size)
{
	ArenaBlock *block = arena->blocks;
	size_t		rounded;
	void	   *piece;

	if (arena->failed)
		return NULL;
	/* an empty piece has an address of its own, too */
	rounded = (size == 0 ? 1 : size) + ARENA_GAP;
	if (size > arena->max_bytes || rounded > SIZE_MAX - ARENA_ALIGN)
	{
		arena->failed = true;
		return NULL;
	}
	rounded = (rounded + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;

	if (block == NULL || block->size - block->used < rounded)
		block = add_block(arena, rounded);
	if (block == NULL)
	{
		arena->failed = true;
		return NULL;
	}
	piece = block->data + block->used;
	block->used += rounded;
	ARENA_OPEN(piece, size);
	memset(piece, 0, size);
	return piece;
}

char *
arena_strdup(Arena *arena, const char *text)
{
	return arena_strndup(arena, text, strlen(text));
}

/* arena_strndup copies the first `length` bytes of text, or all when it is shorter, and ends them by NUL. */
char *
arena_strndup(Arena *arena, const char *text, size_t length)
{
	size_t		n = strnlen(text, length);
	char	   *copy = n < SIZE_MAX ? arena_alloc(arena, n + 1) : NULL;

	if (copy != NULL)
		memcpy(copy, text, n);
	return copy;
}

char *
arena_printf(Arena *arena, const char *format,...)
{
	va_list		args;
	int			length;
	char	   *text;

	va_start(args, format);
	length = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (length < 0)
	{
		arena->failed = true;
		return NULL;
	}
	text = arena_alloc(arena, (size_t) length + 1);
	if (text == NULL)
		return NULL;
	va_start(args, format);
	(void) vsnprintf(text, (size_t) length + 1, format, args);
	va_end(args);
	return text;
}

bool
arena_failed(const Arena *arena)
{
	return arena->failed;
}

/*
 * arena_reset frees everything, forgets a failure, and keeps one block of the
 * usual size: the next call of the same kind then needs no malloc.
 */
void
arena_reset(Arena *arena)
{
	ArenaBlock *block = arena->blocks;
	ArenaBlock *kept = NULL;

	while (block != NULL)
	{
		ArenaBlock *next = block->next;

		if (kept == NULL && block->size == ARENA_BLOCK_BYTES)
			kept = block;
		else
			free(block);
		block = next;
	}
	arena->blocks = kept;
	arena->taken = 0;
	arena->failed = false;
	if (kept != NULL)
	{
		kept->next = NULL;
		kept->used = 0;
		ARENA_CLOSE(kept->data, kept->size);
		arena->taken = sizeof(ArenaBlock) + kept->size;
	}
}

void
arena_free(Arena *arena)
{
	if (arena == NULL)
		return;
	while (arena->blocks != NULL)
	{
		ArenaBlock *next = arena->blocks->next;

		free(arena->blocks);
		arena->blocks = next;
	}
	free(arena);
}
