"""The command line of tools/bench."""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from . import guarding, machine, plot, profiling, scaling, summary, syscalls, tables, windows
from .loads import GUARD_LOADS, LOAD_BY_NAME, LOADS, WINDOWS_LOADS
from .measure import Bench, rounds
from .processes import BenchError, Workplace
from .relays import DIRECT, FLOOR, PAIRPORT, PEERS

ROOT = Path(__file__).resolve().parents[2]
BUSY_SHARE = 0.05  # of the machine, by others; above it numbers are doubtful


def _words(known):
    def parse(text):
        words = [word for word in text.split(",") if word]
        for word in words:
            if word not in known:
                raise argparse.ArgumentTypeError(f"'{word}' is none of {', '.join(known)}")
        return words

    return parse


def _positive(kind):
    def parse(text):
        with contextlib.suppress(ValueError):
            if (value := kind(text)) > 0:
                return value
        raise argparse.ArgumentTypeError(f"'{text}' is not a number above 0")

    return parse


def _plot_file(text):
    if Path(text).suffix not in plot.TERMINALS:
        raise argparse.ArgumentTypeError(f"'{text}' ends in none of {', '.join(plot.TERMINALS)}")
    return Path(text)


def _arguments(argv):
    parser = argparse.ArgumentParser(
        prog="tools/bench",
        description="Measures pairport side by side with other TCP relays: the same loads through "
        "each and straight to the server, interleaved over several rounds. Builds pairport and "
        "installs what is missing first. Exit codes: 0 all budgets met, 1 not or not measured, "
        "2 usage.",
    )
    loads = [load.name for load in LOADS + WINDOWS_LOADS + GUARD_LOADS]
    peers = [peer.name for peer in PEERS]
    add = parser.add_argument
    add("--rounds", type=_positive(int), default=5, metavar="N", help="(default 5)")
    add("--seconds", type=_positive(float), default=3.0, metavar="S", help="a load (default 3)")
    add("--workers", type=_positive(int), default=2, metavar="N", help="a relay (default 2)")
    add("--loads", type=_words(loads), metavar="A,B", help=", ".join(loads))
    add("--peers", type=_words(peers), default=peers, metavar="A,B", help=", ".join(peers))
    add("--patient", action="store_true", help="wait for a quiet machine, repeat disturbed runs")
    add("--no-syscalls", action="store_true", help="leave out the pass that counts system calls")
    add(
        "--scaling",
        action="store_true",
        help="CPU per message at 10 to 9,000 connections, with 1 and 2 workers",
    )
    add(
        "--guard",
        action="store_true",
        help="what refused clients cost, and what the guards cost those that are let in",
    )
    add("--profile", action="store_true", help="where the CPU time goes, by function (perf)")
    add(
        "--windows",
        action="store_true",
        help="the Windows program under Wine, against a relay on Node.js for Windows",
    )
    add("--json", type=Path, metavar="FILE", help="keep the result, with every sample")
    add("--markdown", type=Path, metavar="FILE", help="the same tables as Markdown")
    add("--plot", type=_plot_file, metavar="FILE", help="bars of the result, .svg or .png")
    add("--from", type=Path, dest="source", metavar="FILE", help="show a kept result again")
    add("--build", type=Path, metavar="DIR", help="take the programs built there as they are")
    add("--windows-build", type=Path, metavar="DIR", help="and the Windows program built there")
    add("--no-setup", action="store_true", help="install nothing")
    return parser.parse_args(argv)


def _say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def _set_up(mode):
    if subprocess.run([ROOT / "tools/setup", mode], check=False).returncode != 0:
        raise BenchError("can't set up")


def _build(preset="linux", targets=("pairport", "pairload", "floor")):
    """Builds what is measured. Returns where it is."""
    log = ROOT / f"build/bench-build-{preset}.log"
    log.parent.mkdir(exist_ok=True)
    _say(f"building in build/{preset}")
    with log.open("w") as out:
        for command in (
            ["cmake", "--preset", preset],
            ["cmake", "--build", f"build/{preset}", "--target", *targets],
        ):
            run = subprocess.run(command, cwd=ROOT, stdout=out, stderr=out, check=False)
            if run.returncode != 0:
                raise BenchError(f"building failed; the whole log: {log}")
    return ROOT / "build" / preset


def _prefer_us():
    """Lets the measurement look at its clock and at /proc in time on a machine that is full."""
    with contextlib.suppress(PermissionError, OSError):
        os.sched_setscheduler(
            0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(os.sched_get_priority_min(1))
        )


def _measure(args):
    build = args.build.resolve() if args.build else _build()
    peers = [peer for peer in PEERS if peer.name in args.peers]
    relays = [PAIRPORT, *peers, FLOOR, DIRECT]
    loads = [load for load in LOADS if load.name in (args.loads or LOAD_BY_NAME)]
    result = _head(args, relays, {r.name: r.find_version(build) for r in relays if r.command})
    with Workplace() as place:
        bench = Bench(place, build, args.workers, args.seconds, _say)
        bench.patient = args.patient
        if args.scaling:
            result["scaling"] = scaling.measure(bench, relays[:-1], args.rounds)
        elif args.profile:
            names = [load.name for load in loads] if args.loads else None
            result["profile"] = profiling.profile(bench, relays, names)
        else:
            result["samples"] = rounds(bench, loads, relays, args.rounds)
            if not args.no_syscalls:
                result["syscalls"] = syscalls.count(bench, relays, [load.name for load in loads])
            result["summary"] = summary.summarise(result["samples"], result["settings"])
    return result


def _measure_guard(args):
    build = args.build.resolve() if args.build else _build()
    relays = list(guarding.RELAYS)
    loads = [load for load in GUARD_LOADS if load.name in (args.loads or LOAD_BY_NAME)]
    result = _head(args, relays, {r.name: r.find_version(build) for r in relays})
    with Workplace() as place:
        bench = Bench(place, build, args.workers, args.seconds, _say)
        bench.patient = args.patient
        result["samples"] = rounds(bench, loads, relays, args.rounds)
    result["summary"] = summary.summarise(result["samples"], result["settings"])
    return result


def _measure_windows(args):
    build = args.build.resolve() if args.build else _build(targets=["pairload"])
    if args.windows_build:
        windows_build = args.windows_build.resolve()
    else:
        windows_build = _build("windows", ["pairport"])
    node = windows.get_node(ROOT / "build/bench-node", _say)
    loads = [load for load in WINDOWS_LOADS if load.name in (args.loads or LOAD_BY_NAME)]
    with Workplace() as place:
        wine = windows.Wine(place, _say)
        try:
            relays = windows.relays(wine, windows_build / "pairport.exe", node, args.workers)
            versions = {
                "pairport": relays[0].find_version(windows_build),
                "node": windows.NODE_VERSION,
                "wine": wine.version(),
            }
            relays.append(DIRECT)
            result = _head(args, relays, versions)
            result["settings"]["about"]["wine"] = windows.ABOUT
            bench = windows.bench(place, wine, build, args.workers, args.seconds, _say)
            bench.patient = args.patient
            result["samples"] = rounds(bench, loads, relays, args.rounds)
        finally:
            wine.end()
    result["summary"] = summary.summarise(result["samples"], result["settings"])
    return result


def _head(args, relays, versions):
    """Where, when and with what is measured, and how: the beginning of a result."""
    result = {
        "machine": machine.describe(ROOT),
        "versions": versions,
        "settings": {
            "rounds": args.rounds,
            "seconds": args.seconds,
            "workers": args.workers,
            "relays": [relay.name for relay in relays],
            "about": {relay.name: relay.about for relay in relays},
        },
    }
    if result["machine"]["busy_before"] > BUSY_SHARE:
        _say(f"the machine is {result['machine']['busy_before']:.0%} busy already")
    _prefer_us()
    return result


def _tables(result):
    """All there is to show of a result."""
    entries = result.get("summary", [])
    made = [summary.load_table(entry) for entry in entries]
    if result.get("syscalls", {}).get("entries"):
        made.append(syscalls.table(result["syscalls"]))
    if any(entry["budgets"] for entry in entries):
        made.append(summary.budget_table(entries))
    return made + scaling.tables(result.get("scaling", [])) + profiling.tables(
        result.get("profile", [])
    )


def _all_met(result):
    verdicts = [v["met"] for entry in result.get("summary", []) for v in entry["budgets"]]
    calls = [syscalls.is_met(entry) for entry in result.get("syscalls", {}).get("entries", [])]
    return all(verdicts) and False not in calls


def _run(args):
    if args.source:
        result = json.loads(args.source.read_text())
        if "samples" in result:
            result["summary"] = summary.summarise(result["samples"], result["settings"])
    else:
        if not args.no_setup:
            _set_up("bench-windows" if args.windows else "bench")
        measure = _measure
        if args.windows:
            measure = _measure_windows
        elif args.guard:
            measure = _measure_guard
        result = measure(args)
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    head = machine.head_lines(result["machine"], result["versions"], result["settings"])
    made = _tables(result)
    print(tables.as_text(head, made))
    if args.markdown:
        args.markdown.write_text(tables.as_markdown(head, made))
    if args.plot:
        plot.draw(result, args.plot)
    return 0 if _all_met(result) else 1


def _on_signal(number, _frame):
    raise SystemExit(128 + number)


def main(argv=None):
    args = _arguments(argv)
    signal.signal(signal.SIGTERM, _on_signal)
    signal.signal(signal.SIGHUP, _on_signal)
    try:
        return _run(args)
    except BenchError as error:
        _say(error)
        return 1
    except KeyboardInterrupt:
        _say("interrupted")
        return 130
