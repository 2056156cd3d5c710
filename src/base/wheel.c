#include "base/wheel.h"

#include <assert.h>

#define SLOTS     (1u << WHEEL_BITS)
#define SLOT_MASK (SLOTS - 1)

/* The last slot that begins within 64 bits of milliseconds. */
#define LAST_SLOT (UINT64_MAX / WHEEL_SLOT_MS)

static_assert(SLOTS == 64, "the busy slots of a level are the bits of one word");
static_assert(LAST_SLOT >> (WHEEL_BITS * WHEEL_LEVELS) == 0, "each slot has a level");

/* How it works: write a time in slots as a number of base 64. An entry stands at the level of
 * the highest digit in which its time differs from the wheel's, in the slot of that digit. Its
 * time is later, so the digit is larger than the wheel's, and all higher digits are equal: at
 * each level time goes up with the slots, none wraps around, and everything at one level is
 * earlier than everything at the next. So the earliest slot is the lowest busy bit of the
 * lowest busy level. As long as the wheel's time stays before the begin of that slot, moving it
 * changes the place of no entry, and the place can be computed from the two times. */

static unsigned lowest_bit(uint64_t word)
{
    return (unsigned)__builtin_ctzll(word);
}

static unsigned highest_bit(uint64_t word)
{
    return 63 - (unsigned)__builtin_clzll(word);
}

/* Where an entry of time `when` stands; needs when > wheel->now. */
static void locate(const struct wheel *wheel, uint64_t when, unsigned *level, unsigned *slot)
{
    *level = highest_bit(when ^ wheel->now) / WHEEL_BITS;
    *slot = (unsigned)(when >> (*level * WHEEL_BITS)) & SLOT_MASK;
}

static void place(struct wheel *wheel, struct wheel_entry *entry)
{
    if (entry->when <= wheel->now) {
        list_push(&wheel->due, &entry->link);
        return;
    }
    unsigned level;
    unsigned slot;
    locate(wheel, entry->when, &level, &slot);
    list_push(&wheel->slots[level][slot], &entry->link);
    wheel->busy[level] |= UINT64_C(1) << slot;
}

/* The earliest slot that holds entries and the time at which it begins. False: none does. */
static bool find_earliest(const struct wheel *wheel, unsigned *level, unsigned *slot,
                          uint64_t *begin)
{
    for (unsigned i = 0; i < WHEEL_LEVELS; i++) {
        if (wheel->busy[i] == 0)
            continue;
        unsigned shift = i * WHEEL_BITS;
        *level = i;
        *slot = lowest_bit(wheel->busy[i]);
        uint64_t digits_above = wheel->now >> shift & ~(uint64_t)SLOT_MASK;
        *begin = (digits_above | *slot) << shift;
        return true;
    }
    return false;
}

void wheel_init(struct wheel *wheel, uint64_t now_ms)
{
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        wheel->busy[level] = 0;
        for (unsigned slot = 0; slot < SLOTS; slot++)
            list_init(&wheel->slots[level][slot]);
    }
    list_init(&wheel->due);
    wheel->now = now_ms / WHEEL_SLOT_MS;
    wheel->armed = 0;
}

void wheel_entry_init(struct wheel_entry *entry)
{
    list_init(&entry->link);
    entry->when = 0;
}

bool wheel_is_armed(const struct wheel_entry *entry)
{
    return !list_empty(&entry->link);
}

void wheel_disarm(struct wheel *wheel, struct wheel_entry *entry)
{
    if (!wheel_is_armed(entry))
        return;
    list_remove(&entry->link);
    wheel->armed--;

    if (entry->when <= wheel->now)
        return; /* it was due already and in no slot */
    unsigned level;
    unsigned slot;
    locate(wheel, entry->when, &level, &slot);
    if (list_empty(&wheel->slots[level][slot]))
        wheel->busy[level] &= ~(UINT64_C(1) << slot);
}

void wheel_arm(struct wheel *wheel, struct wheel_entry *entry, uint64_t due_ms)
{
    wheel_disarm(wheel, entry);
    entry->when = due_ms / WHEEL_SLOT_MS + (due_ms % WHEEL_SLOT_MS != 0 ? 1 : 0);
    if (entry->when > LAST_SLOT)
        entry->when = LAST_SLOT; /* no clock of 64 bits ever shows the next one */
    place(wheel, entry);
    wheel->armed++;
}

/* Empties the earliest slot into `due` or, if it spans more than one time, into the levels
 * below, provided it has begun. Else moves the time and gives false. */
static bool advance(struct wheel *wheel, uint64_t target)
{
    unsigned level;
    unsigned slot;
    uint64_t begin;
    if (!find_earliest(wheel, &level, &slot, &begin) || begin > target) {
        if (wheel->now < target)
            wheel->now = target;
        return false;
    }

    wheel->now = begin;
    wheel->busy[level] &= ~(UINT64_C(1) << slot);
    struct list entries;
    list_init(&entries);
    list_splice(&entries, &wheel->slots[level][slot]);
    for (struct list *link = list_pop(&entries); link != NULL; link = list_pop(&entries))
        place(wheel, list_owner(link, struct wheel_entry, link));
    return true;
}

struct wheel_entry *wheel_expire(struct wheel *wheel, uint64_t now_ms)
{
    struct list *link = list_pop(&wheel->due);
    while (link == NULL && advance(wheel, now_ms / WHEEL_SLOT_MS))
        link = list_pop(&wheel->due);
    if (link == NULL)
        return NULL;
    wheel->armed--;
    return list_owner(link, struct wheel_entry, link);
}

uint64_t wheel_next_ms(const struct wheel *wheel)
{
    if (!list_empty(&wheel->due))
        return 0;
    unsigned level;
    unsigned slot;
    uint64_t begin;
    if (!find_earliest(wheel, &level, &slot, &begin))
        return WHEEL_NEVER;
    return begin * WHEEL_SLOT_MS;
}
