#include "control/command/grid.h"

#include <assert.h>
#include <string.h>

#include "control/command/text_width.h"

#define GAP     2  /* blanks between columns */
#define CUT_MIN 16 /* columns that are left of a cell, with the mark */

void grid_init(struct grid *grid, const struct grid_column *columns, size_t count)
{
    assert(count > 0 && count <= GRID_COLUMNS_MAX);
    *grid = (struct grid){.columns = columns, .column_count = count};
    str_init(&grid->cells);
    for (size_t i = 0; i < count; i++)
        grid->widths[i] = columns[i].title == NULL ? 0 : str_columns(columns[i].title);
}

void grid_free(struct grid *grid)
{
    str_free(&grid->cells);
}

void grid_cell(struct grid *grid, const char *format, ...)
{
    size_t start = grid->cells.len;
    va_list args;
    va_start(args, format);
    str_vaddf(&grid->cells, format, args);
    va_end(args);
    str_add_bytes(&grid->cells, "", 1); /* the end of the cell */
    if (grid->cells.failed)
        return;
    size_t width = str_columns(grid->cells.data + start);
    size_t column = grid->cell_count % grid->column_count;
    if (width > grid->widths[column])
        grid->widths[column] = width;
    grid->cell_count++;
}

void grid_end_row(struct grid *grid)
{
    while (!grid->cells.failed && grid->cell_count % grid->column_count != 0)
        grid_cell(grid, "%s", "");
}

/* What a column needs at least. */
static size_t least_width(const struct grid *grid, size_t column)
{
    size_t width = grid->widths[column];
    bool cut = grid->cut_last && column + 1 == grid->column_count;
    return cut && width > CUT_MIN ? CUT_MIN : width;
}

static size_t full_width(const struct grid *grid, const bool shown[])
{
    size_t width = 0;
    for (size_t i = 0; i < grid->column_count; i++) {
        if (shown[i])
            width += least_width(grid, i) + (width > 0 ? GAP : 0);
    }
    return width;
}

/* Leaves out columns until the rows fit or only those of rank 0 are left. */
static void choose_columns(const struct grid *grid, size_t width, bool shown[])
{
    for (size_t i = 0; i < grid->column_count; i++)
        shown[i] = true;
    while (full_width(grid, shown) > width) {
        size_t lowest = grid->column_count;
        for (size_t i = 0; i < grid->column_count; i++) {
            unsigned rank = grid->columns[i].rank;
            if (shown[i] && rank > 0 &&
                (lowest == grid->column_count || rank < grid->columns[lowest].rank))
                lowest = i;
        }
        if (lowest == grid->column_count)
            return;
        shown[lowest] = false;
    }
}

/* The room for the columns themselves. */
static size_t room_in(unsigned width, unsigned indent)
{
    return width == 0 ? SIZE_MAX : width > indent ? width - indent : 0;
}

/* The columns of its texts that the last column has room for. */
static size_t last_room(const struct grid *grid, size_t width, const bool shown[])
{
    size_t last = grid->column_count - 1;
    if (!grid->cut_last || !shown[last] || width == SIZE_MAX)
        return SIZE_MAX;
    size_t others = full_width(grid, shown) - least_width(grid, last);
    return width > others + CUT_MIN ? width - others : CUT_MIN;
}

/* `text`, or its beginning with "…" where it takes more than `room` columns. */
static void add_cut(struct str *out, const char *text, size_t room)
{
    size_t len = 0, columns = 0;
    if (str_columns(text) <= room) {
        str_add(out, text);
        return;
    }
    while (text[len] != '\0' && columns + text_char_width(text + len) < room) {
        columns += text_char_width(text + len);
        len += text_char_len(text + len);
    }
    while (len > 0 && text[len - 1] == ' ')
        --len;
    str_add_bytes(out, text, len);
    str_add(out, "\xe2\x80\xa6");
}

static void add_blanks(struct str *out, size_t count)
{
    str_addf(out, "%*s", (int)count, "");
}

/* Blanks are owed until a text follows, so that no line ends in them. */
static size_t add_text(struct str *out, const char *text, size_t width, bool right, size_t owed,
                       size_t room)
{
    size_t columns = str_columns(text);
    size_t pad = width > columns ? width - columns : 0;
    if (*text == '\0')
        return owed + width;
    add_blanks(out, owed + (right ? pad : 0));
    add_cut(out, text, room);
    return right ? 0 : pad;
}

void grid_write(const struct grid *grid, unsigned indent, unsigned width, struct str *out,
                struct str *dropped)
{
    bool shown[GRID_COLUMNS_MAX];
    size_t left = indent;
    choose_columns(grid, room_in(width, indent), shown);
    size_t room = last_room(grid, room_in(width, indent), shown);

    if (grid->columns[0].title != NULL) {
        size_t owed = left;
        for (size_t i = 0; i < grid->column_count; i++) {
            const struct grid_column *column = &grid->columns[i];
            if (!shown[i]) {
                if (dropped != NULL)
                    str_addf(dropped, "%s%s", dropped->len == 0 ? "" : ", ", column->title);
                continue;
            }
            owed =
                add_text(out, column->title, grid->widths[i], column->right, owed, SIZE_MAX) +
                GAP;
        }
        str_add_char(out, '\n');
    }

    const char *cell = grid->cells.data;
    for (size_t row = 0; row < grid->cell_count / grid->column_count; row++) {
        size_t start = out->len, owed = left;
        for (size_t i = 0; i < grid->column_count; i++) {
            if (shown[i])
                owed = add_text(out, cell, grid->widths[i], grid->columns[i].right, owed,
                                i + 1 == grid->column_count ? room : SIZE_MAX) +
                       GAP;
            cell += strlen(cell) + 1;
        }
        if (out->len > start) /* a row that has text only in columns left out goes with them */
            str_add_char(out, '\n');
    }
    if (grid->cells.failed)
        out->failed = true; /* a part of a table is no table */
}

void grid_print(const struct grid *grid, unsigned width, struct str *out)
{
    struct str dropped;
    str_init(&dropped);
    grid_write(grid, 0, width, out, &dropped);
    if (dropped.len > 0)
        str_addf(out, "left out at %u columns: %s\n", width, dropped.data);
    str_free(&dropped);
}

bool grid_shows(const struct grid *grid, unsigned width, size_t column)
{
    assert(column < grid->column_count);
    bool shown[GRID_COLUMNS_MAX];
    choose_columns(grid, room_in(width, 0), shown);
    return shown[column];
}
