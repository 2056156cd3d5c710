#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"

struct item {
    int before; /* keeps the link away from the owner's start */
    struct list link;
    int number;
};

#define ITEMS 5

struct fixture {
    struct list list;
    struct list other;
    struct item items[ITEMS];
};

static int set_up(void **state)
{
    static struct fixture fixture;
    list_init(&fixture.list);
    list_init(&fixture.other);
    for (int i = 0; i < ITEMS; i++) {
        list_init(&fixture.items[i].link);
        fixture.items[i].number = i;
    }
    *state = &fixture;
    return 0;
}

/* The numbers in the list as decimal digits, the first one leading, after a 1: "1" is empty.
 * Walks back as well and compares. */
static int digits(const struct list *list)
{
    int forward = 1;
    int order[ITEMS];
    int count = 0;
    for (struct list *at = list->next; at != list; at = at->next) {
        assert_true(count < ITEMS);
        order[count] = list_owner(at, struct item, link)->number;
        forward = forward * 10 + order[count++];
    }
    for (struct list *at = list->prev; at != list; at = at->prev)
        assert_int_equal(list_owner(at, struct item, link)->number, order[--count]);
    assert_int_equal(count, 0);
    return forward;
}

static void fill(struct list *list, struct item *items, int count)
{
    for (int i = 0; i < count; i++)
        list_push(list, &items[i].link);
}

static void a_new_list_is_empty(void **state)
{
    struct fixture *f = *state;
    assert_true(list_empty(&f->list));
    assert_null(list_pop(&f->list));
    assert_true(list_empty(&f->list));
}

static void the_owner_is_found_from_its_link(void **state)
{
    struct fixture *f = *state;
    assert_ptr_equal(list_owner(&f->items[3].link, struct item, link), &f->items[3]);
}

static void pushed_links_come_out_in_order(void **state)
{
    struct fixture *f = *state;
    fill(&f->list, f->items, 3);
    assert_false(list_empty(&f->list));
    assert_int_equal(digits(&f->list), 1012);
    assert_ptr_equal(list_pop(&f->list), &f->items[0].link);
    assert_ptr_equal(list_pop(&f->list), &f->items[1].link);
    assert_ptr_equal(list_pop(&f->list), &f->items[2].link);
    assert_null(list_pop(&f->list));
}

static void a_popped_link_stands_alone(void **state)
{
    struct fixture *f = *state;
    fill(&f->list, f->items, 2);
    struct list *link = list_pop(&f->list);
    assert_true(list_empty(link));
    list_push(&f->list, link);
    assert_int_equal(digits(&f->list), 110);
}

static void any_link_can_be_removed(void **state)
{
    struct fixture *f = *state;
    fill(&f->list, f->items, 5);
    list_remove(&f->items[2].link);
    assert_int_equal(digits(&f->list), 10134);
    list_remove(&f->items[0].link);
    assert_int_equal(digits(&f->list), 1134);
    list_remove(&f->items[4].link);
    assert_int_equal(digits(&f->list), 113);
    list_remove(&f->items[1].link);
    list_remove(&f->items[3].link);
    assert_true(list_empty(&f->list));
}

static void removing_a_lone_link_does_no_harm(void **state)
{
    struct fixture *f = *state;
    fill(&f->list, f->items, 2);
    list_remove(&f->items[0].link);
    list_remove(&f->items[0].link);
    list_remove(&f->items[4].link);
    assert_int_equal(digits(&f->list), 11);
}

static void splicing_moves_all_to_the_end(void **state)
{
    struct fixture *f = *state;
    fill(&f->list, f->items, 2);
    fill(&f->other, f->items + 2, 3);
    list_splice(&f->list, &f->other);
    assert_int_equal(digits(&f->list), 101234);
    assert_true(list_empty(&f->other));
}

static void splicing_into_an_empty_list_moves_all(void **state)
{
    struct fixture *f = *state;
    fill(&f->other, f->items, 3);
    list_splice(&f->list, &f->other);
    assert_int_equal(digits(&f->list), 1012);
    assert_true(list_empty(&f->other));
}

static void splicing_an_empty_list_changes_nothing(void **state)
{
    struct fixture *f = *state;
    fill(&f->list, f->items, 2);
    list_splice(&f->list, &f->other);
    assert_int_equal(digits(&f->list), 101);
    assert_true(list_empty(&f->other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_new_list_is_empty, set_up),
        cmocka_unit_test_setup(the_owner_is_found_from_its_link, set_up),
        cmocka_unit_test_setup(pushed_links_come_out_in_order, set_up),
        cmocka_unit_test_setup(a_popped_link_stands_alone, set_up),
        cmocka_unit_test_setup(any_link_can_be_removed, set_up),
        cmocka_unit_test_setup(removing_a_lone_link_does_no_harm, set_up),
        cmocka_unit_test_setup(splicing_moves_all_to_the_end, set_up),
        cmocka_unit_test_setup(splicing_into_an_empty_list_moves_all, set_up),
        cmocka_unit_test_setup(splicing_an_empty_list_changes_nothing, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
