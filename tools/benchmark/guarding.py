"""What turning clients away costs, and what it costs those that are let in.

Three questions: what a connection costs with all guards on against none; what a refused one costs
against HAProxy, told by an equivalent stick-table rule; and how late the messages of a client are
while another address floods the same route, against the same without a flood.
"""

from .relays import BACKLOG, Relay, pairport_conf

# High enough that no load here meets them.
ALL_GUARDS = """\
guard_exempt =
deny = 192.0.2.0/24, 198.51.100.0/24, 2001:db8::/32
allow = all
max_sessions_per_client = 100000
connect_rate_per_client = 1000000/s
connect_rate = 1000000/s
ban_after = 10000 refusals in 10s for 10m
first_byte_timeout = 1h
min_rate = 1B/s over 1h
max_backlog_age = 5m
max_session_time = 1d
"""
NO_GUARDS = """\
max_sessions_per_client = off
connect_rate_per_client = off
max_backlog_age = off
"""
FEW_CONNECTS = """\
guard_exempt =
max_sessions_per_client = off
connect_rate_per_client = 60/m burst 100
"""
FLOODER = "127.0.0.2"


def _pairport(keys, connect_rate="off"):
    def command(setting):
        conf = pairport_conf(setting, keys, connect_rate)
        return [setting.build / "pairport", "run", "-c", conf]

    return command


def _haproxy(setting):
    conf = setting.folder / "haproxy.cfg"
    conf.write_text(
        f"global\n nbthread {setting.workers}\n maxconn 5000\n"
        f"defaults\n mode tcp\n timeout connect 5s\n timeout client 10m\n timeout server 10m\n"
        f"frontend bench\n bind 127.0.0.1:{setting.port} backlog {BACKLOG}\n maxconn 5000\n"
        f" stick-table type ip size 100k expire 60s store conn_rate(60s)\n"
        f" tcp-request connection track-sc0 src\n"
        f" tcp-request connection reject if {{ sc0_conn_rate gt 100 }}\n"
        f" default_backend server\n"
        f"backend server\n server server 127.0.0.1:{setting.upstream}\n"
    )
    return ["haproxy", "-db", "-q", "-f", conf]


_VERSION = ("{build}/pairport", "version")
RELAYS = (
    Relay("pairport", _pairport(ALL_GUARDS, "1000000/s"), "all guards on", _VERSION, ("guarded-connect",)),
    Relay("open", _pairport(NO_GUARDS), "pairport without guards", _VERSION, ("guarded-connect",)),
    Relay("pairport", _pairport(FEW_CONNECTS), "all guards on", _VERSION, ("refused",)),
    Relay("haproxy", _haproxy, "a stick-table with conn_rate", ("haproxy", "-v"), ("refused",)),
    Relay(
        "pairport",
        _pairport(FEW_CONNECTS),
        "all guards on",
        _VERSION,
        ("flooded",),
        flooder=FLOODER,
    ),
    Relay("quiet", _pairport(FEW_CONNECTS), "pairport without a flood", _VERSION, ("flooded",)),
)
