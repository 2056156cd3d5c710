"""System calls per relayed message, in a pass of its own.

Two runs with different numbers of messages: their difference is free of start-up, connecting and
closing. The calls are counted by the kernel's tracepoints through perf, which hardly slows the
relay; where that is not allowed by strace -c, which slows it so much that a relay finds more
events in each wait than in life.
"""

import re
import shutil
import signal
import subprocess
import time

from .loads import LOAD_BY_NAME
from .measure import Refused, run_load, start_echo, why_refused
from .processes import BenchError
from .tables import Table

LOADS = ("pingpong-1", "pingpong-64", "pingpong-1000")
FEW, MANY = 20_000, 60_000  # echoes
FEW_TRACED, MANY_TRACED = 2_000, 8_000

RECEIVES = ("recvfrom", "recvmsg", "read", "readv")
SENDS = ("sendto", "sendmsg", "write", "writev")
WAITS = ("epoll_wait", "epoll_pwait", "epoll_pwait2", "select", "pselect6", "poll", "ppoll")
LOCKS = ("futex",)
OTHERS = ("splice", "epoll_ctl", "setsockopt", "getsockopt", "sched_yield", "getpid")
NAMED = RECEIVES + SENDS + WAITS + LOCKS + OTHERS


def perf_counts():
    """True when perf may count system calls here."""
    if shutil.which("perf") is None:
        return False
    run = subprocess.run(
        ["perf", "stat", "-x,", "-e", "raw_syscalls:sys_enter", "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    return run.returncode == 0 and re.search(r"^\d+,,raw_syscalls", run.stderr, re.M) is not None


class PerfCounter:
    """perf stat on the threads of some processes."""

    name = "perf stat"
    few, many = FEW, MANY

    def start(self, place, pids):
        named = (f"syscalls:sys_enter_{name}" for name in self.known())
        events = ["raw_syscalls:sys_enter", *named]
        self._place = place
        self._out = place.folder("perf") / "counts"
        self._child = place.start(
            "perf",
            ["perf", "stat", "-x,", "-o", self._out]
            + [word for event in events for word in ("-e", event)]
            + ["-p", ",".join(map(str, pids))],
        )
        time.sleep(0.5)  # until it has opened its counters; it does not say when
        if self._child.has_ended():
            raise BenchError(f"perf stat ended: {self._child.last_words()}")

    @staticmethod
    def known():
        listed = subprocess.run(
            ["perf", "list", "--no-desc", "tracepoint"], capture_output=True, text=True, check=False
        ).stdout
        there = set(re.findall(r"syscalls:sys_enter_(\w+)", listed))
        return [name for name in NAMED if name in there]

    def stop(self):
        self._place.stop(self._child, signal.SIGINT)
        counts = {}
        for line in self._out.read_text().splitlines():
            words = line.split(",")
            if len(words) > 2 and words[0].isdigit():
                counts[words[2].partition("sys_enter")[2].lstrip("_")] = int(words[0])
        counts["all"] = counts.pop("", 0)
        return counts


class StraceCounter:
    """strace -c on the threads of some processes."""

    name = "strace -c"
    few, many = FEW_TRACED, MANY_TRACED

    def start(self, place, pids):
        self._place = place
        self._out = place.folder("strace") / "counts"
        self._child = place.start(
            "strace",
            ["strace", "-f", "-c", "-U", "calls,name", "-o", self._out]
            + [word for pid in pids for word in ("-p", pid)],
        )
        end = time.monotonic() + 10
        while time.monotonic() < end and "attached" not in self._child.log.read_text():
            if self._child.has_ended():
                raise BenchError(f"strace ended: {self._child.last_words()}")
            time.sleep(0.05)
        time.sleep(0.2)

    def stop(self):
        self._place.stop(self._child, signal.SIGINT)
        counts = {}
        for line in self._out.read_text().splitlines():
            if found := re.fullmatch(r"\s*(\d+)\s+(\w+)\s*", line):
                counts[found.group(2)] = int(found.group(1))
        counts["all"] = counts.pop("total", sum(counts.values()))
        return counts


def _count(bench, relay, load, counter, echoes):
    place = bench.place
    echo, upstream = start_echo(place, [bench.build / "pairload"])
    child = None
    try:
        child, port = relay.start(place, upstream, bench.workers, bench.build)
        counter.start(place, child.pids())
        argv = load.command(bench.build / "pairload", port, 1)
        cut = argv.index("--duration")
        argv = [*argv[:cut], "--count", echoes]
        result = run_load(place, argv, 60)
        counts = counter.stop()
        if why := why_refused(load, result, child):
            raise Refused(why)
        return counts, 2 * result["messages_total"]
    finally:
        if child is not None:
            place.stop(child)
        place.stop(echo)


def _per_message(bench, relay, load, counter):
    few, few_messages = _count(bench, relay, load, counter, counter.few)
    many, many_messages = _count(bench, relay, load, counter, counter.many)
    messages = many_messages - few_messages

    def rate(names):
        return sum(many.get(name, 0) - few.get(name, 0) for name in names) / messages

    figures = {
        "all": rate(["all"]),
        "receives": rate(RECEIVES),
        "sends": rate(SENDS),
        "waits": rate(WAITS),
    }
    figures["others"] = figures["all"] - sum(figures[k] for k in ("receives", "sends", "waits"))
    figures["by_name"] = {name: rate([name]) for name in many if name != "all" and many[name]}
    return figures


def count(bench, relays, wanted):
    """Returns {"counter", "entries": [{load, relay, refused, all, receives, ...}]}."""
    counter = PerfCounter() if perf_counts() else StraceCounter()
    entries = []
    for name in LOADS:
        if name not in wanted:
            continue
        for relay in relays:
            if relay.command is None or (relay.loads and name not in relay.loads):
                continue
            bench.say(f"system calls: {name}, {relay.name}")
            entry = {"load": name, "relay": relay.name, "refused": None}
            try:
                entry |= _per_message(bench, relay, LOAD_BY_NAME[name], counter)
            except (Refused, BenchError) as refusal:
                entry["refused"] = str(refusal)
            entries.append(entry)
    return {"counter": counter.name, "entries": entries}


BUDGET = 2.1  # a receive and a send; waits are shared by a batch


def table(result):
    """All counted loads, with the budget of pairport."""
    columns = ("receives", "sends", "waits", "others", "all")
    made = Table(f"System calls per relayed message ({result['counter']})")
    made.rows = [["", *columns, "without waits", "budget"]]
    for entry in result["entries"]:
        name = f"{entry['load']}, {entry['relay']}"
        if entry["refused"]:
            made.notes.append(f"{name}: not counted, {entry['refused']}")
            continue
        cells = [f"{abs(entry[column]):.2f}" for column in columns]
        cells.append(f"{without_waits(entry):.2f}")
        verdict = ""
        if entry["relay"] == "pairport":
            verdict = f"at most {BUDGET}: {'met' if is_met(entry) else 'MISSED'}"
        made.rows.append([name, *cells, verdict])
    return made


def without_waits(entry):
    return entry["all"] - entry["waits"]


def is_met(entry):
    """Whether pairport stays within its budget; None for another relay."""
    if entry["relay"] != "pairport":
        return None
    return not entry["refused"] and without_waits(entry) <= BUDGET
