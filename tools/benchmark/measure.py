"""One relay under one load, measured; and all of them, interleaved over several rounds."""

import json
import os
import queue
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from .machine import busy_share
from .processes import (
    BenchError,
    Usage,
    ended_children_ns,
    machine_busy_ns,
    memory_of,
    usage_of,
    wait_for_port,
)

GRACE_S = 90  # for connecting, and for what is on its way at the end
QUIET_SHARE = 0.05  # of the machine, used by others
QUIET_WAIT_S = 120  # for one run, all its tries together


class Refused(Exception):
    """A run whose numbers are worth nothing, and why."""


@dataclass(frozen=True)
class Mark:
    """What was to be seen at one moment."""

    usage: Usage  # of the relay
    memory_bytes: int  # of the relay
    ours_ns: int  # processor time of the whole measurement
    busy_ns: int  # processor time of the whole machine
    time_s: float

    @classmethod
    def now(cls, relay_pids, our_pids):
        usage = usage_of(relay_pids)
        moment = time.monotonic()
        ours_ns = usage_of(our_pids).cpu_ns + ended_children_ns()
        return cls(usage, memory_of(relay_pids), ours_ns, machine_busy_ns(), moment)

    def others_share(self, before):
        """How much of the machine was taken by what does not belong to the measurement."""
        others_ns = self.busy_ns - before.busy_ns - (self.ours_ns - before.ours_ns)
        return max(0.0, others_ns / 1e9 / (self.time_s - before.time_s) / os.cpu_count())


def start_echo(place, pairload, *, cpus=None, env=None, patience_s=10):
    """An echo server of its own for each run; `pairload` is the words that start the program.
    Returns it and its port."""
    child = place.start("echo", [*pairload, "echo", "127.0.0.1:0"], cpus=cpus, env=env)
    end = time.monotonic() + patience_s
    while time.monotonic() < end and not child.has_ended():
        said = child.log.read_text()
        if said.startswith("listening on ") and said.endswith("\n"):
            port = int(said.rpartition(":")[2])
            wait_for_port(child, port)
            return child, port
        time.sleep(0.01)
    raise BenchError(f"the echo server does not start: {child.last_words()}")


class _Lines:
    """The lines of a stream as they come, with a time limit."""

    def __init__(self, stream):
        self._queue = queue.Queue()
        threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    def _read(self, stream):
        for line in stream:
            self._queue.put(line.decode(errors="replace").strip())
        self._queue.put(None)

    def next(self, end):
        try:
            return self._queue.get(timeout=max(0.0, end - time.monotonic()))
        except queue.Empty:
            raise Refused("the load generator is stuck") from None


def run_load(place, argv, seconds, *, at_start=None, at_end=None, cpus=None):
    """Runs pairload; calls at_start and at_end around what it measures. Returns its result."""
    end = time.monotonic() + seconds + GRACE_S
    marked = "--warm-up" in argv
    if not marked and at_start:
        at_start()
    child = place.start("load", argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cpus=cpus)
    try:
        said = _Lines(child.popen.stderr)
        result = _Lines(child.popen.stdout)
        other = []
        while (line := said.next(end)) is not None:
            if line == "measuring" and at_start:
                at_start()
            elif line == "measured" and at_end:
                at_end()
            elif line not in ("measuring", "measured"):
                other.append(line)
        text = result.next(end)
        _wait_for_end(child)
        if not marked and at_end:
            at_end()
        if text is None:
            raise Refused("the load generator failed: " + "; ".join(other))
        return json.loads(text)
    finally:
        place.stop(child)


def _wait_for_end(child):
    try:
        child.popen.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        raise Refused("the load generator does not end") from None


def why_refused(load, result, relay, lost_threads=0):
    """Why the numbers of a run can't be taken, or None."""
    if relay is not None and relay.has_ended():
        return f"it ended with code {relay.popen.returncode}: {relay.last_words()}"
    if result["errors_total"]:
        kinds = ", ".join(f"{count} {kind}" for kind, count in result["errors"].items())
        return f"errors: {kinds}"
    if result["connections_total"] < load.connections:
        return f"only {result['connections_total']} of {load.connections} connections"
    if load.mode == "flood":
        few = result["turned_away_total"] < 0.9 * result["connections_total"]
        return "most connections were not turned away" if few else None
    if result["connections_ended_in_order_total"] != result["connections_total"]:
        return "not all connections ended in order"
    if load.mode != "idle" and not result["messages_total"]:
        return "no message came back"
    if lost_threads and any(figure.startswith("cpu_us") for figure in load.figures):
        return "a thread ended under way, so its processor time is lost"
    return None


def figures_of(load, result, used, before_bytes, after_bytes):
    """The figures of a run from the load generator's result and what the relay used."""
    seconds = result["elapsed_us"] / 1e6
    relayed = 2 * result["messages_total"]
    figures = {}
    if load.mode == "bulk":
        megabytes = (result["sent_bytes_total"] + result["received_bytes_total"]) / 1e6
        figures["mb_per_s"] = megabytes / seconds
    elif load.mode == "connect":
        figures["connections_per_s"] = result["connections_total"] / seconds
    elif load.mode in ("pingpong", "paced"):
        figures["messages_per_s"] = relayed / seconds
    elif load.mode == "flood":
        figures["refusals_per_s"] = result["turned_away_total"] / seconds
    if load.mode in ("pingpong", "paced", "connect"):
        latency = result["latency_us"]
        figures |= {f"{p}_us": latency[p] for p in ("p50", "p99", "p999", "max")}
    if load.mode == "paced":
        figures["late_p999_us"] = result["lateness_us"]["p999"]
    if used is None:
        return figures
    cpu_us = used["cpu_ns"] / 1e3
    if load.mode == "bulk":
        figures["cpu_us_per_mb"] = cpu_us / megabytes
    elif load.mode == "connect":
        figures["cpu_us_per_connection"] = cpu_us / result["connections_total"]
    elif load.mode == "flood":
        figures["cpu_us_per_refusal"] = cpu_us / result["turned_away_total"]
    elif load.mode == "idle":
        figures["bytes_per_session"] = (after_bytes - before_bytes) / load.connections
        figures["resident_mb"] = after_bytes
        figures["wakeups_per_s"] = used["sleeps"] / seconds
        figures["idle_cpu_ms_per_s"] = cpu_us / 1e3 / seconds
    else:
        figures["cpu_us_per_message"] = cpu_us / relayed
    if used["user_share"] is not None:
        figures["user_share"] = used["user_share"]
    return figures


class Bench:
    """What all runs of a measurement share."""

    def __init__(self, place, build, workers, seconds, say):
        self.place = place
        self.build = Path(build)
        self.workers = workers
        self.seconds = seconds
        self.say = say
        self.relay_cpus = None  # processors it is kept on; None: any
        self.load_cpus = None
        self.patient = False  # waits for a quiet machine, and repeats what was disturbed
        self.helpers = []  # Children that work for the relay, and whose time is its time

    def run(self, relay, load):
        """Starts server, relay and load. Returns the sample as a dict."""
        if not self.patient:
            return self._run_once(relay, load)
        end = time.monotonic() + QUIET_WAIT_S
        tries = []
        while not tries or time.monotonic() < end:
            while busy_share(0.3) > QUIET_SHARE and time.monotonic() < end:
                pass
            tries.append(self._run_once(relay, load))
            if tries[-1]["refused"] or tries[-1]["others_share"] <= QUIET_SHARE:
                return tries[-1]
        return min(tries, key=lambda sample: sample["others_share"])

    def _cpus(self, load):
        """The processors of server, relay and load generator; None: any.

        A generator that spins has one for itself: beside others it would either take the time
        of relay and server or wait for a turn, and count that as their latency.
        """
        every = sorted(os.sched_getaffinity(0))
        if load.spin and len(every) > 1 and self.relay_cpus is None:
            return every[:-1], every[:-1], every[-1:]
        return self.load_cpus, self.relay_cpus, self.load_cpus

    def _run_once(self, relay, load):
        place = self.place
        server_cpus, relay_cpus, load_cpus = self._cpus(load)
        echo, upstream = start_echo(place, [self.build / "pairload"], cpus=server_cpus)
        child = flood = None
        try:
            child, port = relay.start(
                place, upstream, self.workers, self.build, relay_cpus
            )
            if relay.flooder:
                flood = self._start_flood(port, relay.flooder)
            return self._run(load, child, port, load_cpus)
        except (BenchError, Refused) as refusal:
            return {"figures": {}, "refused": str(refusal)}
        finally:
            for started in (flood, child, echo):
                if started is not None:
                    place.stop(started)

    def _start_flood(self, port, source):
        argv = [self.build / "pairload", "flood", f"127.0.0.1:{port}", "--source", source]
        argv += ["--connections", 32, "--duration", f"{GRACE_S}s"]
        return self.place.start("flood", argv, cpus=self.load_cpus)

    def _run(self, load, child, port, load_cpus):
        pids = [pid for one in [child, *self.helpers] if one for pid in one.pids()]
        before_bytes = memory_of(pids)
        marks = []

        def mark():
            marks.append(Mark.now(pids, self.place.pids()))

        argv = load.command(self.build / "pairload", port, self.seconds)
        result = run_load(
            self.place,
            argv,
            load.seconds(self.seconds),
            at_start=mark,
            at_end=mark,
            cpus=load_cpus,
        )
        if len(marks) != 2:
            return {"figures": {}, "refused": "the load did not come to be measured"}
        used = marks[1].usage.since(marks[0].usage)
        refused = why_refused(load, result, child, used["lost_threads"])
        figures = {}
        if not refused:
            figures = figures_of(
                load, result, used if child else None, before_bytes, marks[1].memory_bytes
            )
        return {
            "figures": figures,
            "refused": refused,
            "others_share": marks[1].others_share(marks[0]),
            "result": result,
        }


def rounds(bench, loads, relays, count, unable=None):
    """Runs everything `count` times, one relay after the other and each time another one first.

    Returns the samples. What failed is tried once more at once: a relay that then fails again
    can't do the load and is left out of it from there on; one that fails only now and then stays
    in, and makes the load's comparison void. `unable` has the (relay, load) that are known to fail
    and gets those that do.
    """
    samples = []
    unable = set() if unable is None else unable

    def add(number, load, relay):
        sample = bench.run(relay, load)
        samples.append({"round": number, "load": load.name, "relay": relay.name, **sample})
        return sample["refused"]

    for number in range(1, count + 1):
        for load in loads:
            start = (number + loads.index(load)) % len(relays)
            for relay in relays[start:] + relays[:start]:
                if relay.loads and load.name not in relay.loads:
                    continue
                if (relay.name, load.name) in unable:
                    continue
                bench.say(f"round {number} of {count}: {load.name}, {relay.name}")
                if add(number, load, relay) and add(number, load, relay):
                    unable.add((relay.name, load.name))
    return samples
