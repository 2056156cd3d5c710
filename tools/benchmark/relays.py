"""The relays that are compared: how each is configured and started with one equal route.

Equal means: one listener on loopback with a backlog of 4,096, one upstream, as many workers
(threads or processes) as asked for, sessions not logged, no limits that the loads would meet, and
everything else as the program comes.
"""

import os
import re
import resource
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from .processes import BenchError, Child, free_port, wait_for_port

BACKLOG = 4096
NGINX_STREAM_MODULE = Path("/usr/lib/nginx/modules/ngx_stream_module.so")


def descriptor_limit():
    """Descriptors that one process may have."""
    return min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 1 << 20)


@dataclass(frozen=True)
class Setting:
    """What a relay is started with."""

    folder: Path
    port: int
    upstream: int
    workers: int
    build: Path


def pairport_conf(setting, route_keys="", connect_rate="off"):
    """Writes pairport's configuration with further lines of the route. Returns the file."""
    # The others have no limit either; those of a client spare this machine's own addresses.
    conf = setting.folder / "pairport.ini"
    conf.write_text(
        f"[relay]\nworkers = {setting.workers}\nlog_level = notice\n"
        f"connect_rate = {connect_rate}\n"
        f"[console]\nlisten = none\n"
        f"[route bench]\nlisten = 127.0.0.1:{setting.port}\n"
        f"upstream = 127.0.0.1:{setting.upstream}\nbacklog = {BACKLOG}\n{route_keys}"
    )
    return conf


def _pairport(setting):
    return [setting.build / "pairport", "run", "-c", pairport_conf(setting)]


def _haproxy(setting, splice=False):
    # Two descriptors a session, two a pipe, and some of its own must fit the limit.
    pipes = 256
    sessions = min(10000, (descriptor_limit() - 2 * pipes - 300) // 2)
    conf = setting.folder / "haproxy.cfg"
    conf.write_text(
        f"global\n nbthread {setting.workers}\n maxconn {sessions}\n maxpipes {pipes}\n"
        f"defaults\n mode tcp\n timeout connect 5s\n timeout client 10m\n timeout server 10m\n"
        f"{' option splice-auto' if splice else ''}\n"
        f"frontend bench\n bind 127.0.0.1:{setting.port} backlog {BACKLOG}\n"
        f" maxconn {sessions}\n default_backend server\n"
        f"backend server\n server server 127.0.0.1:{setting.upstream}\n"
    )
    return ["haproxy", "-db", "-q", "-f", conf]


def _haproxy_splice(setting):
    return _haproxy(setting, splice=True)


def _nginx(setting):
    conf = setting.folder / "nginx.conf"
    descriptors = descriptor_limit()
    conf.write_text(
        f"load_module {NGINX_STREAM_MODULE};\n"
        f"daemon off;\npid {setting.folder}/nginx.pid;\nerror_log stderr crit;\n"
        f"worker_processes {setting.workers};\nworker_rlimit_nofile {descriptors};\n"
        f"events {{ worker_connections {descriptors - 100}; }}\n"
        f"stream {{ server {{\n listen 127.0.0.1:{setting.port} backlog={BACKLOG};\n"
        f" proxy_pass 127.0.0.1:{setting.upstream};\n"
        f" proxy_connect_timeout 5s;\n proxy_timeout 10m;\n}} }}\n"
    )
    return ["nginx", "-p", setting.folder, "-e", "stderr", "-c", conf]


def _rinetd(setting):
    conf = setting.folder / "rinetd.conf"
    conf.write_text(f"127.0.0.1 {setting.port} 127.0.0.1 {setting.upstream}\n")
    return ["rinetd", "-f", "-c", conf]


def _floor(setting):
    return [setting.build / "floor", setting.port, setting.upstream]


@dataclass(frozen=True)
class Relay:
    """A program that is measured."""

    name: str
    command: Callable | None  # of a Setting; None: no relay, straight to the server
    about: str
    version: tuple = ()  # command that prints its version
    loads: tuple = ()  # the only loads it differs in; empty: all
    env: dict | None = None  # in addition to ours
    flooder: str = ""  # an address that floods it meanwhile

    def find_version(self, build):
        if not self.version:
            return ""
        argv = [word.format(build=build) for word in self.version]
        try:
            env = {**os.environ, **(self.env or {})}
            run = subprocess.run(argv, capture_output=True, text=True, check=False, env=env)
        except FileNotFoundError:
            raise BenchError(f"{self.name} is not installed; tools/setup bench does that") from None
        found = re.search(r"\d+(\.\d+)+\S*", run.stdout + run.stderr)
        return found.group(0) if found else "?"

    def start(self, place, upstream, workers, build, cpus=None):
        """Returns the started Child and its port; with no relay, None and the server's port."""
        if self.command is None:
            return None, upstream
        setting = Setting(place.folder(self.name), free_port(), upstream, workers, build)
        child: Child = place.start(
            self.name, self.command(setting), cpus=cpus, env=self.env, cwd=setting.folder
        )
        wait_for_port(child, setting.port)
        return child, setting.port


PAIRPORT = Relay("pairport", _pairport, "all defaults", ("{build}/pairport", "version"))
DIRECT = Relay("direct", None, "no relay, straight to the server")
# What one receive and one send a message cost without a relay around them: no relay that sends and
# receives by system calls is much cheaper, see floor.c.
FLOOR = Relay(
    "floor",
    _floor,
    "one thread that receives and sends and does nothing else: what the kernel alone costs",
    loads=("pingpong-64", "pingpong-1000", "connect"),
)
PEERS = (
    Relay("haproxy", _haproxy, "mode tcp, otherwise its defaults", ("haproxy", "-v")),
    # It only splices what streams, so it is another program in that load alone.
    Relay(
        "haproxy-splice",
        _haproxy_splice,
        "mode tcp with option splice-auto",
        ("haproxy", "-v"),
        ("bulk",),
    ),
    Relay("nginx", _nginx, "stream module, otherwise its defaults", ("nginx", "-v")),
    Relay("rinetd", _rinetd, "one thread, it knows no others", ("rinetd", "--version")),
)
