"""Where the processor time goes: by function, kernel and user apart, and how much of it is spent
inside the kernel's receiving and sending.

perf samples the relay's threads by the clock while a load runs; its own counting of cycles is not
to be had on many virtual machines.
"""

import re
import shutil
import signal
import subprocess
from collections import Counter

from .loads import LOAD_BY_NAME
from .measure import Refused, figures_of, run_load, start_echo, why_refused
from .processes import BenchError, usage_of
from .summary import OURS
from .tables import Table

LOADS = ("pingpong-64", "bulk", "connect")
FREQUENCY = 2999
TOP = 14

# What a system call is for, by the name of its entry in the kernel.
PURPOSES = {
    "receive": ("recvfrom", "recvmsg", "read", "readv"),
    "send": ("sendto", "sendmsg", "write", "writev", "splice"),
    "wait": ("epoll_wait", "epoll_pwait", "epoll_pwait2", "select", "pselect6", "poll", "ppoll"),
    "lock": ("futex",),
}
PARTS = ("user", "receive", "send", "wait", "lock", "other calls", "rest of kernel")
# The entry itself is missing from the stack where it ended in a jump to what does the work.
ENTRY = re.compile(r"^(?:__(?:x64|se|do|ia32|arm64)_sys_|__sys_|ksys_|do_|vfs_)(\w+)$")
ENTRY_ALONE = re.compile(r"^__(?:x64|arm64)_sys_(\w+)$")
FRAME = re.compile(r"^\s+[0-9a-f]+ (.*) \(([^()]*(?:\([^()]*\))?[^()]*)\)$")


def _purpose(function):
    """What the system call is for, if the function is the beginning of one."""
    if found := ENTRY.match(function):
        for purpose, names in PURPOSES.items():
            if found.group(1) in names:
                return purpose
    return "other calls" if ENTRY_ALONE.match(function) else None


def _is_kernel(dso):
    return dso.startswith("[kernel") or dso.endswith(".ko") or dso.startswith("[guest.kernel")


def _stacks(text):
    """The samples of perf script: lists of (function, in the kernel), the innermost first."""
    stack = []
    for line in text.splitlines():
        if not line.strip():
            if stack:
                yield stack
            stack = []
        elif found := FRAME.match(line):
            stack.append((found.group(1).partition("+0x")[0], _is_kernel(found.group(2))))
    if stack:
        yield stack


def _part_of(stack):
    if not stack[0][1]:
        return "user"
    for function, in_kernel in stack:
        if in_kernel and (purpose := _purpose(function)):
            return purpose
    return "rest of kernel"


def _digest(text):
    parts, kernel, user = Counter(), Counter(), Counter()
    for stack in _stacks(text):
        parts[_part_of(stack)] += 1
        function, in_kernel = stack[0]
        (kernel if in_kernel else user)[function] += 1
    total = sum(parts.values())
    if total == 0:
        raise Refused("perf took no samples")
    return {
        "samples": total,
        "parts": {part: parts[part] / total for part in PARTS},
        "kernel": [[name, count / total] for name, count in kernel.most_common(TOP)],
        "user": [[name, count / total] for name, count in user.most_common(TOP)],
    }


def _profile(bench, relay, load):
    place = bench.place
    echo, upstream = start_echo(place, [bench.build / "pairload"])
    child = None
    data = place.folder("perf") / "data"
    perf = []
    usages = []
    try:
        child, port = relay.start(place, upstream, bench.workers, bench.build)
        pids = child.pids()

        def begin():
            usages.append(usage_of(pids))
            argv = ["perf", "record", "-q", "-e", "cpu-clock", "-F", FREQUENCY, "-g", "-o", data]
            perf.append(place.start("perf", [*argv, "-p", ",".join(map(str, pids))]))

        def end():
            usages.append(usage_of(pids))
            place.stop(perf[0], signal.SIGINT)

        argv = load.command(bench.build / "pairload", port, bench.seconds)
        result = run_load(
            place, argv, load.seconds(bench.seconds), at_start=begin, at_end=end
        )
        if why := why_refused(load, result, child):
            raise Refused(why)
    finally:
        if child is not None:
            place.stop(child)
        place.stop(echo)
    script = subprocess.run(
        ["perf", "script", "-i", data, "-F", "tid,ip,sym,dso", "--no-inline"],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    used = usages[1].since(usages[0])
    figures = figures_of(load, result, used, 0, 0)
    cost = next(key for key in figures if key.startswith("cpu_us_per"))
    return {**_digest(script.stdout), "figure": cost, "cpu_us": figures[cost]}


def profile(bench, relays, wanted):
    """Returns a list of {"load", "relay", "refused", "parts", "kernel", "user", ...}."""
    if shutil.which("perf") is None:
        raise BenchError("perf is not installed; tools/setup bench does that")
    entries = []
    for name in wanted or LOADS:
        for relay in relays:
            if relay.command is None or (relay.loads and name not in relay.loads):
                continue
            bench.say(f"profile: {name}, {relay.name}")
            entry = {"load": name, "relay": relay.name, "refused": None}
            try:
                entry |= _profile(bench, relay, LOAD_BY_NAME[name])
            except (Refused, BenchError) as refusal:
                entry["refused"] = str(refusal)
            entries.append(entry)
    return entries


def tables(entries):
    """For each load where each relay's time goes, and pairport's functions."""
    made = []
    for name in dict.fromkeys(entry["load"] for entry in entries):
        of_load = [entry for entry in entries if entry["load"] == name]
        made.append(_parts_table(LOAD_BY_NAME[name], of_load))
        made += [
            _functions_table(entry)
            for entry in of_load
            if entry["relay"] == OURS and not entry["refused"]
        ]
    return made


def _parts_table(load, entries):
    made = Table(load.title)
    for entry in entries:
        if entry["refused"]:
            made.notes.append(f"{entry['relay']}: not counted, {entry['refused']}")
            continue
        if not made.rows:
            unit = entry["figure"].removeprefix("cpu_us_per_").replace("mb", "MB")
            made.rows.append([f"CPU us/{unit}, under perf", *PARTS, "all", "in receive and send"])
        cells = [f"{entry['parts'][part] * entry['cpu_us']:.2f}" for part in PARTS]
        inside = entry["parts"]["receive"] + entry["parts"]["send"]
        made.rows.append([entry["relay"], *cells, f"{entry['cpu_us']:.2f}", f"{inside:.0%}"])
    return made


def _functions_table(entry):
    made = Table(f"{OURS} by function, of {entry['samples']} samples", left=(0, 2))
    made.rows = [["user", "", "kernel", ""]]
    for i in range(max(len(entry["user"]), len(entry["kernel"]))):
        row = []
        for side in ("user", "kernel"):
            function, share = entry[side][i] if i < len(entry[side]) else ("", None)
            row += [function[:40], f"{share:.1%}" if share is not None else ""]
        made.rows.append(row)
    return made
