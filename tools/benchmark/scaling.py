"""How the cost of a message grows with the connections and the workers."""

from statistics import median

from .loads import PER_MESSAGE, Load
from .measure import rounds
from .summary import NO_PEERS, OURS
from .tables import Table

CONNECTIONS = (10, 100, 1000, 9000)
WORKERS = (1, 2)
FIGURE = "cpu_us_per_message"


def _load(connections):
    return Load(
        f"pingpong-{connections}",
        f"ping-pong: {connections:,} connections, 128 B",
        "pingpong",
        connections,
        ("--size", 128),
        warm_up_s=1.0,
        figures=PER_MESSAGE,
    )


def measure(bench, relays, count):
    """Returns one entry a number of workers: {"workers", "samples"}."""
    loads = [_load(connections) for connections in CONNECTIONS]
    entries, unable = [], set()
    for workers in WORKERS:
        bench.workers = workers
        bench.say(f"{workers} worker{'s' if workers > 1 else ''} a relay")
        samples = rounds(bench, loads, [r for r in relays if not r.loads], count, unable)
        entries.append({"workers": workers, "samples": samples})
    return entries


def _cell(samples, relay, connections, figure):
    """The median, or None when a run of it failed."""
    runs = [
        s for s in samples if s["relay"] == relay and s["load"] == f"pingpong-{connections}"
    ]
    if not runs or any(run["refused"] for run in runs):
        return None
    values = [run["figures"][figure] for run in runs if figure in run["figures"]]
    return median(values) if values else None


def _growth(row):
    return row[-1] / row[0] if row[0] and row[-1] else None


def _shown(value, suffix=""):
    return f"{value:.2f}{suffix}" if value is not None else "-"


def tables(entries):
    """A table for each number of workers, and whether the curve is as flat as the best peer's."""
    return [_table(entry) for entry in entries]


def _table(entry):
    samples, workers = entry["samples"], entry["workers"]
    relays = [r for r in dict.fromkeys(s["relay"] for s in samples) if r != "direct"]
    relays.sort(key=lambda relay: relay != OURS)
    costs = {r: [_cell(samples, r, c, FIGURE) for c in CONNECTIONS] for r in relays}
    best = []
    for i in range(len(CONNECTIONS)):
        peers = [costs[r][i] for r in relays if r not in NO_PEERS and costs[r][i]]
        best.append(min(peers) if peers else None)
    head = [f"{connections:,}" for connections in CONNECTIONS]
    plural = "s" if workers > 1 else ""
    made = Table(f"Ping-pong of 128 B, CPU us/message, {workers} worker{plural}")
    made.rows = [["connections", *head, f"{head[-1]} : {head[0]}"]]
    for relay, row in costs.items():
        made.rows.append([relay, *map(_shown, row), _shown(_growth(row))])
    ours = costs.get(OURS, [None] * len(CONNECTIONS))
    ratios = [a / b if a and b else None for a, b in zip(ours, best)]
    made.rows.append(["pairport to the best peer", *(_shown(r, " x") for r in ratios), ""])
    made.notes = [*_refusals(samples), _steepness(costs)]
    return made


def _refusals(samples):
    reasons = {(s["relay"], s["load"]): s["refused"] for s in samples if s["refused"]}
    return [f"{relay}, {load}: not counted, {why}" for (relay, load), why in reasons.items()]


def _steepness(costs):
    ours = _growth(costs[OURS]) if OURS in costs else None
    peers = {relay: growth for relay, row in costs.items() if (growth := _growth(row))}
    peers.pop(OURS, None)
    if ours is None or not peers:
        return "steepness: not compared, a point is missing"
    flattest = min(peers, key=peers.get)
    cheapest = min(peers, key=lambda relay: costs[relay][-1])
    verdict = "not steeper" if round(ours, 2) <= round(peers[cheapest], 2) else "STEEPER"
    return (
        f"steepness: {ours:.2f}; the peer that is cheapest at the end ({cheapest}) has "
        f"{peers[cheapest]:.2f}, the flattest ({flattest}) {peers[flattest]:.2f}: {verdict}"
    )
