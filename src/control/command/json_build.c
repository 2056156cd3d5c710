#include "control/command/json_build.h"

#include <stddef.h>

static json_t *check(struct json_build *build, json_t *value)
{
    build->failed = build->failed || value == NULL;
    return value;
}

json_t *json_build_object(struct json_build *build)
{
    return check(build, json_object());
}

json_t *json_build_array(struct json_build *build)
{
    return check(build, json_array());
}

void json_build_put(struct json_build *build, json_t *object, const char *name, json_t *value)
{
    if (json_object_set_new(object, name, value) != 0)
        build->failed = true;
}

void json_build_push(struct json_build *build, json_t *array, json_t *value)
{
    if (json_array_append_new(array, value) != 0)
        build->failed = true;
}

void json_build_u64(struct json_build *build, json_t *object, const char *name, uint64_t value)
{
    json_build_put(build, object, name,
                   value > INT64_MAX ? json_null() : json_integer((json_int_t)value));
}

void json_build_bool(struct json_build *build, json_t *object, const char *name, bool value)
{
    json_build_put(build, object, name, json_boolean(value));
}

void json_build_text(struct json_build *build, json_t *object, const char *name,
                     const char *text)
{
    json_build_put(build, object, name, json_string(text));
}

void json_build_addr(struct json_build *build, json_t *object, const char *name,
                     const struct addr *addr)
{
    char text[ADDR_TEXT_MAX];
    json_build_put(build, object, name,
                   addr->family == ADDR_NONE ? json_null()
                                             : json_string(addr_format(addr, text)));
}

static int append(const char *bytes, size_t len, void *out)
{
    struct str *str = out;
    str_add_bytes(str, bytes, len);
    return str->failed ? -1 : 0;
}

void json_build_write(struct json_build *build, json_t *root, struct str *out)
{
    if (build->failed || json_dump_callback(root, append, out, JSON_INDENT(2)) != 0)
        out->failed = true;
    str_add_char(out, '\n');
    json_decref(root);
}
