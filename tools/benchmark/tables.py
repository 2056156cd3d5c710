"""Tables of words, shown as text in columns or as Markdown."""

from dataclasses import dataclass, field


@dataclass
class Table:
    """The first row is the head; the first column is aligned left, the others right."""

    title: str
    rows: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    left: tuple = (0,)  # columns aligned left


def _text(table):
    out = ["", table.title]
    widths = [max(map(len, column)) for column in zip(*table.rows)]
    for row in table.rows:
        cells = (
            word.ljust(width) if i in table.left else word.rjust(width)
            for i, (word, width) in enumerate(zip(row, widths))
        )
        out.append("  " + "  ".join(cells).rstrip())
    return out + [f"  {note}" for note in table.notes]


def _markdown(table):
    out = ["", f"**{table.title}**", ""]
    for number, row in enumerate(table.rows):
        out.append("| " + " | ".join(row) + " |")
        if number == 0:
            out.append(
                "|" + "|".join("---" if i in table.left else "---:" for i in range(len(row))) + "|"
            )
    if table.rows and table.notes:
        out.append("")
    return out + [f"- {note}" for note in table.notes]


def as_text(head, tables):
    return "\n".join([*head, *(line for table in tables for line in _text(table))])


def as_markdown(head, tables):
    lines = [f"- {line}" for line in head]
    return "\n".join([*lines, *(line for table in tables for line in _markdown(table))]) + "\n"
