"""The loads, what is read off each, and the budgets of pairport against the best other relay.

A message is counted each time it is relayed: an echo passes a relay twice, so it counts as two. A
megabyte (1,000,000 bytes) likewise.
"""

from dataclasses import dataclass

MESSAGE_BYTES = 128


@dataclass(frozen=True)
class Budget:
    """What a figure of pairport may be: at most or at least a part of the best peer's, or at most
    a fixed number."""

    figure: str
    ratio: float | None = None
    least_ratio: float | None = None
    most: float | None = None


@dataclass(frozen=True)
class Load:
    """One way of using a relay."""

    name: str
    title: str
    mode: str  # of pairload
    connections: int
    args: tuple = ()
    warm_up_s: float = 0.5  # 0: all of the run is measured, connecting too
    length: float = 1.0  # of the time that was asked for
    per_second: int = 0  # not a time but a number of connections for each asked second
    once: bool = False  # not a time either: each connection once, all begun at the same moment
    figures: tuple = ()  # columns of the table
    budgets: tuple = ()
    spin: bool = False  # meet due times exactly, on a processor of the generator's own

    def command(self, pairload, port, seconds):
        argv = [pairload, self.mode, f"127.0.0.1:{port}", *self.args]
        argv += ["--spin"] if self.spin else []
        argv += ["--connections", self.connections, "--timeout", "20s", "--json"]
        if self.once or self.per_second:
            return [*argv, "--count", self.count(seconds)]
        argv += ["--duration", f"{round(1000 * self.seconds(seconds))}ms"]
        return [*argv, "--warm-up", f"{round(1000 * self.warm_up_s)}ms"]

    def seconds(self, seconds):
        return seconds * self.length

    def count(self, seconds):
        return self.connections if self.once else max(1, round(self.per_second * seconds))


def _message(connections):
    return ("--size", MESSAGE_BYTES, "--threads", 2 if connections >= 1000 else 1)


@dataclass(frozen=True)
class Figure:
    """A column: how it is called, in which unit it is shown, and whether less is better."""

    key: str
    title: str
    scale: float = 1.0
    digits: int = 2


FIGURES = {
    figure.key: figure
    for figure in (
        Figure("mb_per_s", "MB/s", 1, 0),
        Figure("messages_per_s", "messages/s", 1, 0),
        Figure("connections_per_s", "connections/s", 1, 0),
        Figure("p50_us", "p50 us", 1, 0),
        Figure("p99_us", "p99 us", 1, 0),
        Figure("p999_us", "p99.9 us", 1, 0),
        Figure("max_us", "max us", 1, 0),
        Figure("late_p999_us", "sent late p99.9 us", 1, 0),
        Figure("cpu_us_per_mb", "CPU us/MB", 1, 1),
        Figure("cpu_us_per_message", "CPU us/message", 1, 2),
        Figure("cpu_us_per_connection", "CPU us/connection", 1, 1),
        Figure("cpu_us_per_refusal", "CPU us/refusal", 1, 1),
        Figure("refusals_per_s", "refusals/s", 1, 0),
        Figure("user_share", "in user %", 100, 0),
        Figure("bytes_per_session", "B/session", 1, 0),
        Figure("resident_mb", "all MB", 1e-6, 1),
        Figure("wakeups_per_s", "wakeups/s", 1, 1),
        Figure("idle_cpu_ms_per_s", "CPU ms/s", 1, 3),
        Figure("calls_per_message", "calls/message", 1, 2),
    )
}

LATENCY = ("p50_us", "p99_us", "p999_us")
PER_MESSAGE = ("messages_per_s", *LATENCY, "cpu_us_per_message", "user_share")

LOADS = (
    Load(
        "bulk",
        "bulk: 8 connections, 64 KB writes, both ways",
        "bulk",
        8,
        ("--size", "64KB"),
        figures=("mb_per_s", "cpu_us_per_mb", "user_share"),
        budgets=(Budget("cpu_us_per_mb", ratio=0.60),),
    ),
    Load(
        "pingpong-1",
        "ping-pong: 1 connection, 128 B",
        "pingpong",
        1,
        _message(1),
        figures=PER_MESSAGE,
        budgets=(Budget("p50_us", ratio=0.97),),
    ),
    Load(
        "pingpong-64",
        "ping-pong: 64 connections, 128 B",
        "pingpong",
        64,
        _message(64),
        figures=PER_MESSAGE,
        budgets=(Budget("cpu_us_per_message", ratio=0.75),),
    ),
    Load(
        "pingpong-1000",
        "ping-pong: 1,000 connections, 128 B",
        "pingpong",
        1000,
        _message(64),
        figures=PER_MESSAGE,
        budgets=(Budget("cpu_us_per_message", ratio=0.75),),
    ),
    Load(
        "paced",
        "paced: 500 connections, 20 messages/s each, 128 B, latency from the due time",
        "paced",
        500,
        ("--size", MESSAGE_BYTES, "--rate", 10000),
        figures=(*PER_MESSAGE, "late_p999_us"),
        budgets=(Budget("p99_us", ratio=0.90), Budget("p999_us", ratio=1.0)),
        spin=True,
    ),
    Load(
        "connect",
        "connect, one echo of 128 B, close: 32 at a time",
        "connect",
        32,
        ("--size", MESSAGE_BYTES),
        warm_up_s=0,
        per_second=4000,
        figures=("connections_per_s", *LATENCY, "cpu_us_per_connection", "user_share"),
        budgets=(Budget("cpu_us_per_connection", ratio=0.80),),
    ),
    Load(
        "storm",
        "storm: 5,000 clients connect at the same moment; time until each has its first echo",
        "connect",
        5000,
        ("--size", MESSAGE_BYTES),
        warm_up_s=0,
        once=True,
        figures=("p50_us", "p99_us", "max_us", "cpu_us_per_connection"),
        budgets=(Budget("max_us", ratio=1.0),),
    ),
    Load(
        "idle",
        "idle: 5,000 sessions that have each relayed a message",
        "idle",
        5000,
        ("--size", MESSAGE_BYTES),
        warm_up_s=1,
        length=0.5,
        figures=("bytes_per_session", "resident_mb"),
        budgets=(
            Budget("bytes_per_session", ratio=0.30),
            Budget("bytes_per_session", most=2048),
        ),
    ),
    Load(
        "idle-50",
        "idle: 50 sessions, the whole process",
        "idle",
        50,
        ("--size", MESSAGE_BYTES),
        warm_up_s=1,
        length=1.5,
        figures=("wakeups_per_s", "idle_cpu_ms_per_s"),
        budgets=(Budget("wakeups_per_s", most=20),),
    ),
)

# Under Wine the processor time is that of the relay and of Wine's server together.
WINDOWS_LOADS = (
    Load(
        "wine-bulk",
        "under Wine, bulk: 8 connections, 64 KB writes, both ways",
        "bulk",
        8,
        ("--size", "64KB"),
        figures=("mb_per_s", "cpu_us_per_mb"),
        budgets=(Budget("mb_per_s", least_ratio=2.5),),
    ),
    Load(
        "wine-pingpong-1",
        "under Wine, ping-pong: 1 connection, 128 B",
        "pingpong",
        1,
        _message(1),
        figures=("messages_per_s", *LATENCY, "cpu_us_per_message"),
    ),
    Load(
        "wine-pingpong-64",
        "under Wine, ping-pong: 64 connections, 128 B",
        "pingpong",
        64,
        _message(64),
        figures=("messages_per_s", *LATENCY, "cpu_us_per_message"),
        budgets=(Budget("messages_per_s", least_ratio=2.5),),
    ),
)

# With the guards of pairport, see guarding.py.
GUARD_LOADS = (
    Load(
        "guarded-connect",
        "connect, one echo of 128 B, close, all guards on: 32 at a time",
        "connect",
        32,
        ("--size", MESSAGE_BYTES),
        warm_up_s=0,
        per_second=4000,
        figures=("connections_per_s", *LATENCY, "cpu_us_per_connection", "user_share"),
        budgets=(Budget("cpu_us_per_connection", ratio=1.10),),
    ),
    Load(
        "refused",
        "flood: connections over the client's rate, 32 at a time",
        "flood",
        32,
        warm_up_s=0,
        per_second=8000,
        figures=("refusals_per_s", "cpu_us_per_refusal", "user_share"),
        budgets=(Budget("cpu_us_per_refusal", ratio=1.00),),
    ),
    Load(
        "flooded",
        "paced: 50 connections, 10 messages/s each, 128 B, beside a flood from another address",
        "paced",
        50,
        ("--size", MESSAGE_BYTES, "--rate", 500, "--source", "127.0.0.3"),
        figures=("messages_per_s", *LATENCY),
        budgets=(Budget("p99_us", ratio=3.0),),
    ),
)

LOAD_BY_NAME = {load.name: load for load in LOADS + WINDOWS_LOADS + GUARD_LOADS}
