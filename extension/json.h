/*
 * json.h
 *		Reading foreign JSON within bounds: cJSON's tree behind a pass that
 *		makes every number a text, so that no id ever is a double.
 *
 * Free of PostgreSQL headers, and of its names: the server has json_object
 * and others, and a symbol of the executable wins over one of a library. The
 * tree is malloc's, not the arena's: whoever parses frees it, and copies what
 * is to outlive it.
 */
#ifndef STORESYNC_JSON_H
#define STORESYNC_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

/* Longest body that is looked at. */
#define JSON_MAX_BYTES		(4 * 1024 * 1024)
/* Deepest nesting; answers of the platforms stay below 10. */
#define JSON_MAX_DEPTH		32
/* Values in one body: bounds the tree at about 30 MB. */
#define JSON_MAX_VALUES		200000
/* Longest number, in characters. */
#define JSON_MAX_NUMBER		40

/*
 * The tree of a body that is one JSON value, or NULL when it is none, is
 * beyond the bounds, or memory is short. Numbers are strings in it, with the
 * text they had. Bytes that are no UTF-8 become '?', control characters in
 * strings spaces, escapes of NUL and of half a surrogate pair U+FFFD: one
 * broken name must not cost the page that it stands on.
 */
extern cJSON *jread_parse(const char *body, size_t length);

/*
 * Members of an object, NULL or false when the parent is NULL or no object,
 * or the member is missing or of another type. Texts live as long as the tree.
 */
extern const cJSON *jread_child(const cJSON *parent, const char *name);
extern const cJSON *jread_array(const cJSON *parent, const char *name);
extern const char *jread_text(const cJSON *parent, const char *name);
extern bool jread_int(const cJSON *parent, const char *name, int64_t low, int64_t high, int64_t *value);

/* Whether there is a member, and it is not null. */
extern bool jread_has(const cJSON *parent, const char *name);

#endif
