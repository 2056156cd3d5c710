"""Where and with what was measured, for the head of a result."""

import os
import platform
import subprocess
import time
from datetime import datetime, timezone
from pathlib import Path

from .processes import machine_busy_ns


def _output(*argv, cwd=None):
    try:
        run = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=cwd)
    except FileNotFoundError:
        return ""
    return run.stdout.strip()


def processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def revision(root):
    """The commit that is measured, marked when files differ from it."""
    name = _output("git", "-c", "safe.directory=*", "describe", "--always", "--dirty", cwd=root)
    return name or "unknown"


def busy_share(seconds=1.0):
    """How busy the machine is while this waits."""
    before, begin = machine_busy_ns(), time.monotonic()
    time.sleep(seconds)
    return (machine_busy_ns() - before) / 1e9 / (time.monotonic() - begin) / os.cpu_count()


def describe(root):
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "processor": processor(),
        "processors": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "kernel": f"{platform.system()} {platform.release()}",
        "system": _os_name(),
        "compiler": _output("cc", "--version").partition("\n")[0],
        "revision": revision(root),
        "busy_before": busy_share(),
    }


def _os_name():
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return platform.platform()
    return release.get("PRETTY_NAME", "")


def head_lines(machine, versions, settings):
    memory = machine["memory_bytes"] / 2**30
    lines = [
        f"{machine['date']}, {machine['processors']} x {machine['processor']}, {memory:.0f} GB, "
        f"{machine['kernel']}, {machine['system']}",
        f"pairport {versions.get('pairport', '?')} ({machine['revision']}, {machine['compiler']})",
    ]
    about = settings["about"]
    for name, version in versions.items():
        if name != "pairport":
            lines.append(f"{name} {version}: {about[name]}")
    lines.append(
        f"{settings['workers']} workers each, {settings['rounds']} rounds of "
        f"{settings['seconds']:g} s a load, medians"
    )
    return lines
