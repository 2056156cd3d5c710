"""The result as bars, drawn by gnuplot: one panel a load, one bar a relay."""

import shutil
import subprocess

from .loads import FIGURES, LOAD_BY_NAME
from .processes import BenchError

TERMINALS = {
    ".svg": "svg size {width},{height} font 'sans,12' background 'white'",
    ".png": "pngcairo size {width},{height} font 'sans,10' background 'white'",
}
COLUMNS = 2
PANEL = (560, 300)  # pixels
OURS, THEIRS = "0x1f6feb", "0x9aa4b0"


def _panels(result):
    """(title, [(relay, value)], limit or None) a load: what its budget looks at."""
    for entry in result.get("summary", []):
        load = LOAD_BY_NAME[entry["load"]]
        if not entry["budgets"]:
            continue
        verdict = entry["budgets"][0]
        figure = FIGURES[verdict["figure"]]
        bars = [
            (relay, row[figure.key] * figure.scale)
            for relay, row in entry["medians"].items()
            if figure.key in row and relay != "direct"
        ]
        if not bars:
            continue
        limit = verdict["budget_most"]
        if limit is None and verdict["best_value"] is not None:
            factor = verdict["budget_ratio"] or verdict["budget_least_ratio"]
            limit = verdict["best_value"] * factor
        better = "more" if verdict["budget_least_ratio"] else "less"
        title = f"{load.title}\\n{figure.title}, {better} is better"
        yield title, bars, limit * figure.scale if limit is not None else None, figure.digits


def _quoted(text):
    return '"' + text.replace('"', "'") + '"'


def script(result, path):
    """The gnuplot program; its data stand in it."""
    panels = list(_panels(result))
    if not panels:
        raise BenchError("nothing was measured that could be drawn")
    rows = -(-len(panels) // COLUMNS)
    terminal = TERMINALS[path.suffix].format(
        width=PANEL[0] * COLUMNS, height=PANEL[1] * rows + 60
    )
    versions = ", ".join(
        f"{name} {version}"
        for name, version in result["versions"].items()
        if name != "haproxy-splice"
    )
    machine = result["machine"]
    head = f"{versions}\\n{machine['processors']} x {machine['processor']}, {machine['kernel']}"
    out = [
        f"set terminal {terminal}",
        f"set output {_quoted(str(path))}",
        f"set multiplot layout {rows},{COLUMNS} title {_quoted(head)}",
        "set style fill solid 0.9 border rgb 'white'",
        "set boxwidth 0.6",
        "set yrange [0:*]",
        "set offsets 0.1, 0.1, graph 0.25, 0",
        "set grid ytics lc rgb '0xdddddd'",
        "set border 3 lc rgb '0x888888'",
        "set tics nomirror out scale 0.5",
        "set key top right samplen 1.5",
    ]
    for number, (title, bars, limit, digits) in enumerate(panels):
        name = f"$panel{number}"
        out.append(f"{name} << END")
        for x, (relay, value) in enumerate(bars):
            color = OURS if relay == "pairport" else THEIRS
            out.append(f'{x} {value} {color} "{relay}" "{value:.{digits}f}"')
        out += ["END", f"set title {_quoted(title)} noenhanced"]
        parts = [
            f"{name} using 1:2:3:xtic(4) with boxes lc rgb variable notitle",
            f"{name} using 1:2:5 with labels offset 0,0.7 noenhanced notitle",
        ]
        if limit is not None:
            parts.append(f"{limit} with lines dt 2 lw 2 lc rgb '0xd1242f' title 'budget'")
        out.append("plot " + ", ".join(parts))
    out.append("unset multiplot")
    return "\n".join(out) + "\n"


def draw(result, path):
    if shutil.which("gnuplot") is None:
        raise BenchError("gnuplot is not installed; tools/setup bench does that")
    run = subprocess.run(
        ["gnuplot"], input=script(result, path), text=True, capture_output=True, check=False
    )
    if run.returncode != 0 or not path.exists():
        raise BenchError(f"gnuplot failed: {run.stderr.strip()}")
