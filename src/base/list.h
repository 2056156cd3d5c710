/* list.h - intrusive, circular, doubly linked list.
 *
 * A link is a field of its owner; a list is a link that stands alone. A link that is in no
 * list points to itself, so removing it again does no harm.
 *
 * Threads: guard a list as you guard its owner.
 */
#ifndef PAIRPORT_BASE_LIST_H
#define PAIRPORT_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next;
    struct list *prev;
};

/* The owner of a link: list_owner(link, struct pair, in_table). */
#define list_owner(link, type, member) ((type *)((char *)(link)-offsetof(type, member)))

static inline void list_init(struct list *list)
{
    list->next = list;
    list->prev = list;
}

static inline bool list_empty(const struct list *list)
{
    return list->next == list;
}

/* Puts `link`, which is in no list, at the end of `list`. */
static inline void list_push(struct list *list, struct list *link)
{
    link->prev = list->prev;
    link->next = list;
    list->prev->next = link;
    list->prev = link;
}

/* Takes `link` out of its list, if any. */
static inline void list_remove(struct list *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    list_init(link);
}

/* Takes the first link out, or gives NULL. */
static inline struct list *list_pop(struct list *list)
{
    struct list *first = list->next;
    if (first == list)
        return NULL;
    list_remove(first);
    return first;
}

/* Moves all of `from` to the end of `to`; `from` is empty afterwards. */
static inline void list_splice(struct list *to, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

#endif
