/* page.h - parts of a README that are made from a table of the program.
 *
 * Such a part stands between the lines "<!-- begin NAME -->" and "<!-- end NAME -->" of the file.
 * A test makes the text and compares. With PAIRPORT_WRITE_PAGES=1 in the environment the text is
 * written into the file instead.
 *
 * Threads: one.
 */
#ifndef PAIRPORT_TESTS_PAGE_H
#define PAIRPORT_TESTS_PAGE_H

/* Fails the running test when the part `name` of the file is not `text`. */
void page_check(const char *path, const char *name, const char *text);

#endif
