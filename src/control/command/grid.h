/* grid.h - an aligned text table.
 *
 * Cells are added row by row, from left to right; columns are as wide as their widest cell and
 * two blanks apart; lines end without blanks. When the rows are wider than wanted, columns are
 * left out, those with the lowest rank first; a column of rank 0 always stays.
 *
 * Threads: a grid belongs to one.
 */
#ifndef PAIRPORT_CONTROL_COMMAND_GRID_H
#define PAIRPORT_CONTROL_COMMAND_GRID_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

#define GRID_COLUMNS_MAX 20

struct grid_column {
    const char *title; /* NULL in all columns: no line of titles */
    bool right;        /* aligned to the right: numbers */
    unsigned rank;     /* 0: never left out; else the lower, the earlier */
};

struct grid {
    const struct grid_column *columns; /* not owned */
    size_t column_count;
    size_t cell_count;
    struct str cells; /* zero-terminated texts, one behind the other */
    size_t widths[GRID_COLUMNS_MAX];
    bool
        cut_last; /* long cells of the last column end in "…" where there is no room, so that no
                      other column is left out for them; set behind grid_init() */
};

void grid_init(struct grid *grid, const struct grid_column *columns, size_t count);
void grid_free(struct grid *grid);

/* Adds the next cell. */
void grid_cell(struct grid *grid, const char *format, ...) STR_PRINTF(2, 3);
/* Fills the rest of a row that was begun with empty cells. */
void grid_end_row(struct grid *grid);

/* Adds the table to `out`, every line behind `indent` blanks. `width` is what the lines should
 * keep to (0: no limit). The titles of columns left out are added to `dropped` (may be NULL), "A,
 * B". */
void grid_write(const struct grid *grid, unsigned indent, unsigned width, struct str *out,
                struct str *dropped);

/* The same without indent, and a line that names the columns left out. */
void grid_print(const struct grid *grid, unsigned width, struct str *out);

/* True when grid_print() does not leave the column out. */
bool grid_shows(const struct grid *grid, unsigned width, size_t column);

#endif
