"""Processes of a measurement: started, looked at through /proc, and surely ended.

Everything a run starts hangs in one Workplace, whose end stops the processes by their own ids and
removes the temporary folder, also after Ctrl-C and failures.
"""

import contextlib
import ctypes
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

PORTS = range(21000, 30000)  # below what Linux takes for outgoing connections
TICKS = os.sysconf("SC_CLK_TCK")
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


class BenchError(Exception):
    """What ends the whole measurement, as a sentence for the user."""


def _die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def free_port():
    """A port nobody listens on; random, so that no run meets the leftovers of the one before."""
    for _ in range(1000):
        port = random.choice(PORTS)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise BenchError("no free port between 21000 and 29999")


@dataclass
class Usage:
    """What a group of processes has used so far."""

    cpu_ns: int = 0
    user_ticks: int = 0
    kernel_ticks: int = 0
    sleeps: int = 0  # times a thread went to sleep, so times it was woken
    threads: frozenset = frozenset()
    exact: bool = True  # False: this kernel only tells ticks

    def since(self, before):
        """The difference, with the exact time split into user and kernel as the ticks say."""
        cpu_ns = self.cpu_ns - before.cpu_ns
        user = self.user_ticks - before.user_ticks
        kernel = self.kernel_ticks - before.kernel_ticks
        share = user / (user + kernel) if user + kernel else None
        return {
            "cpu_ns": cpu_ns,
            "user_share": share,
            "sleeps": self.sleeps - before.sleeps,
            "lost_threads": len(before.threads - self.threads),
        }


def _read(path):
    try:
        return Path(path).read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def children_of(pid):
    """Ids of all processes below this one."""
    found = []
    for task in _list(f"/proc/{pid}/task"):
        for child in _read(f"/proc/{pid}/task/{task}/children").split():
            found += [int(child), *children_of(int(child))]
    return found


def _list(path):
    try:
        return os.listdir(path)
    except (FileNotFoundError, ProcessLookupError):
        return []


def usage_of(pids):
    """Processor time of all threads in nanoseconds, as precisely as the kernel tells."""
    usage = Usage()
    threads = set()
    for pid in pids:
        stat = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
        if not stat:
            continue
        user, kernel = int(stat[11]), int(stat[12])
        usage.user_ticks += user
        usage.kernel_ticks += kernel
        for task in _list(f"/proc/{pid}/task"):
            threads.add(int(task))
            schedstat = _read(f"/proc/{pid}/task/{task}/schedstat").split()
            if schedstat:
                usage.cpu_ns += int(schedstat[0])
            else:
                usage.exact = False
            for line in _read(f"/proc/{pid}/task/{task}/status").splitlines():
                if line.startswith("voluntary_ctxt_switches"):
                    usage.sleeps += int(line.split()[1])
    if not usage.exact:
        usage.cpu_ns = (usage.user_ticks + usage.kernel_ticks) * (10**9 // TICKS)
    usage.threads = frozenset(threads)
    return usage


def memory_of(pids):
    """Resident bytes, shared pages counted by their share (Pss)."""
    total = 0
    for pid in pids:
        for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


def machine_busy_ns():
    """Time that all processors together have not been idle, in the kernel's ticks."""
    words = _read("/proc/stat").splitlines()[0].split()[1:]
    user, nice, system, _idle, _iowait, irq, softirq, steal = (int(word) for word in words[:8])
    return (user + nice + system + irq + softirq + steal) * (10**9 // TICKS)


def ended_children_ns():
    """Processor time of those we started and that are over."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return round((used.ru_utime + used.ru_stime) * 1e9)


@dataclass
class Child:
    """A started process and where its output went."""

    name: str
    popen: subprocess.Popen
    log: Path

    def pids(self):
        return [self.popen.pid, *children_of(self.popen.pid)]

    def has_ended(self):
        return self.popen.poll() is not None

    def last_words(self):
        text = self.log.read_text(errors="replace").strip()
        return text.splitlines()[-1] if text else "it said nothing"


@dataclass
class Workplace:
    """The temporary folder and the processes of a measurement."""

    path: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix=f"pairport-bench-{os.getpid()}-")))
    children: list = field(default_factory=list)
    started: int = 0

    def __post_init__(self):
        # Programs that give up root's rights (nginx) must still get through.
        self.path.chmod(0o755)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # Asking once more must not leave anything behind.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        for child in reversed(self.children):
            self._end(child)
        self.children.clear()
        for _ in range(50):  # somebody's last words may still be written
            shutil.rmtree(self.path, ignore_errors=True)
            if not self.path.exists():
                break
            time.sleep(0.1)

    def pids(self):
        """This process and all it has started."""
        return [os.getpid(), *(pid for child in self.children for pid in child.pids())]

    def folder(self, name):
        self.started += 1
        path = self.path / f"{self.started}-{name}"
        path.mkdir()
        return path

    def start(self, name, argv, *, cpus=None, env=None, stdout=None, stderr=None, cwd=None):
        """Starts a program; what it says goes to a log unless stdout or stderr is given."""
        self.started += 1
        log = self.path / f"{self.started}-{name}.log"
        if cpus is not None:
            argv = ["taskset", "-c", ",".join(str(cpu) for cpu in cpus), *argv]
        with log.open("wb") as out:
            popen = subprocess.Popen(
                [str(word) for word in argv],
                stdin=subprocess.DEVNULL,
                stdout=stdout or out,
                stderr=stderr or out,
                env={**os.environ, **(env or {})},
                cwd=cwd,
                # Ctrl-C is ours, and we end them. The session stays the same: the kernel may share
                # the processors among sessions first, and then priorities don't count.
                process_group=0,
                preexec_fn=_die_with_parent,
            )
        child = Child(name, popen, log)
        self.children.append(child)
        return child

    def stop(self, child, how=signal.SIGTERM, patience_s=10.0):
        """Ends a child and everything below it. Returns its exit code."""
        if child in self.children:
            self.children.remove(child)
        return self._end(child, how, patience_s)

    @staticmethod
    def _end(child, how=signal.SIGTERM, patience_s=10.0):
        below = [] if child.has_ended() else children_of(child.popen.pid)
        if not child.has_ended():
            child.popen.send_signal(how)
            try:
                child.popen.wait(patience_s)
            except subprocess.TimeoutExpired:
                child.popen.kill()
                child.popen.wait()
        for pid in below:
            if Path(f"/proc/{pid}").exists():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        for stream in (child.popen.stdout, child.popen.stderr):
            if stream:
                stream.close()
        return child.popen.returncode


def wait_for_port(child, port, patience_s=20.0):
    """Returns when somebody accepts on the port; fails when the child ends or takes too long."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        if child.has_ended():
            raise BenchError(f"{child.name} ended at once: {child.last_words()}")
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise BenchError(f"{child.name} does not listen after {patience_s:.0f} s: {child.last_words()}")
