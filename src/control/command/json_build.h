/* json_build.h - JSON answers: jansson with its errors gathered.
 *
 * Names are in snake_case with their unit, as Prometheus would name them; numbers are 64-bit
 * integers. A failure (no memory) marks the answer, and json_build_write() then writes nothing
 * of it.
 *
 * Threads: an answer belongs to one.
 */
#ifndef PAIRPORT_CONTROL_COMMAND_JSON_BUILD_H
#define PAIRPORT_CONTROL_COMMAND_JSON_BUILD_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/str.h"

struct json_build {
    bool failed;
};

json_t *json_build_object(struct json_build *build);
json_t *json_build_array(struct json_build *build);

/* Puts `value` (its reference is taken over) under `name` of an object, or at the end of an
 * array. */
void json_build_put(struct json_build *build, json_t *object, const char *name, json_t *value);
void json_build_push(struct json_build *build, json_t *array, json_t *value);

/* A number over 2^63-1, which no JSON reader of ours can hold, becomes null ("no limit"). */
void json_build_u64(struct json_build *build, json_t *object, const char *name, uint64_t value);
void json_build_bool(struct json_build *build, json_t *object, const char *name, bool value);
void json_build_text(struct json_build *build, json_t *object, const char *name,
                     const char *text);
/* "10.0.0.5:7000"; null for ADDR_NONE. */
void json_build_addr(struct json_build *build, json_t *object, const char *name,
                     const struct addr *addr);

/* Writes the answer with its newline and gives `root` back. On a failure out->failed is set. */
void json_build_write(struct json_build *build, json_t *root, struct str *out);

#endif
