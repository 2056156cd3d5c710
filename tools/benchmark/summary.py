"""From samples to the tables: medians, the ratio to the best peer, the budgets."""

from statistics import median

from .loads import FIGURES, LOAD_BY_NAME
from .tables import Table

OURS = "pairport"
FLOOR = "floor"
NO_PEERS = (OURS, FLOOR, "direct")


def _values(samples, load, relay, figure):
    """round -> value"""
    return {
        sample["round"]: sample["figures"][figure]
        for sample in samples
        if sample["load"] == load
        and sample["relay"] == relay
        and figure in sample["figures"]
    }


def _refusals(samples, load):
    """relay -> why its numbers don't count"""
    return {
        sample["relay"]: sample["refused"]
        for sample in samples
        if sample["load"] == load and sample["refused"]
    }


def _shaky(samples, load, refusals):
    """Relays that failed in one run and not in another: was it them, or the measurement?"""
    return [
        relay
        for relay in refusals
        if any(
            s["load"] == load and s["relay"] == relay and not s["refused"] for s in samples
        )
    ]


def _in_order(names):
    return list(dict.fromkeys(names))


def summarise(samples, settings):
    """One entry a load, as kept in the JSON file."""
    entries = []
    for name in _in_order(sample["load"] for sample in samples):
        load = LOAD_BY_NAME[name]
        relays = _in_order(s["relay"] for s in sorted(samples, key=_relay_order(settings)))
        relays = [r for r in relays if any(s["load"] == name and s["relay"] == r for s in samples)]
        refusals = _refusals(samples, name)
        rows = {}
        for relay in relays:
            rows[relay] = {
                figure: median(values.values())
                for figure in load.figures
                if (values := _values(samples, name, relay, figure)) and relay not in refusals
            }
        others = [s["others_share"] for s in samples if s["load"] == name and "others_share" in s]
        entries.append(
            {
                "load": name,
                "medians": rows,
                "refused": refusals,
                "others_share": median(others) if others else 0.0,
                "budgets": [
                    judge(samples, name, budget, rows, refusals) for budget in load.budgets
                ],
            }
        )
    return entries


def _relay_order(settings):
    order = settings["relays"]
    return lambda sample: order.index(sample["relay"])


def _ratios(samples, load, figure, relay, peer):
    """A relay's figure to a peer's, for each round that has both."""
    ours = _values(samples, load, relay, figure)
    theirs = _values(samples, load, peer, figure)
    return [ours[r] / theirs[r] for r in ours if theirs.get(r, 0) > 0]


def judge(samples, load, budget, rows, refusals):
    """One budget: the figure of pairport, the best peer's, their ratio and whether it is met.

    The ratio is the median of the rounds' ratios to the peer with the best median, so what drifts
    in the machine from round to round counts for both sides of it.
    """
    figure = budget.figure
    verdict = {
        "figure": figure,
        "budget_ratio": budget.ratio,
        "budget_least_ratio": budget.least_ratio,
        "budget_most": budget.most,
        "value": rows.get(OURS, {}).get(figure),
        "best_peer": None,
        "best_value": None,
        "ratio": None,
        "ratio_range": None,
        "floor_ratio": None,  # of what does nothing but receive and send, to the same peer
        "met": None,
        "why_not": None,
    }
    if OURS in refusals:
        verdict["why_not"] = f"{OURS}: {refusals[OURS]}"
        return verdict
    doubtful = _shaky(samples, load, refusals)
    if "direct" in refusals:
        doubtful.append("direct")
    if doubtful:
        verdict["why_not"] = f"{doubtful[0]}: {refusals[doubtful[0]]}"
        return verdict
    if verdict["value"] is None:
        verdict["why_not"] = f"{OURS} was not measured"
        return verdict
    peers = {
        relay: row[figure]
        for relay, row in rows.items()
        if relay not in NO_PEERS and figure in row
    }
    if peers:
        best = (max if budget.least_ratio else min)(peers, key=peers.get)
        verdict["best_peer"], verdict["best_value"] = best, peers[best]
        ratios = _ratios(samples, load, figure, OURS, best)
        floors = _ratios(samples, load, figure, FLOOR, best)
        if floors and FLOOR not in refusals and figure.startswith("cpu_us"):
            verdict["floor_ratio"] = median(floors)
        if ratios:
            verdict["ratio"] = median(ratios)
            verdict["ratio_range"] = [min(ratios), max(ratios)]
    if budget.most is not None:
        verdict["met"] = verdict["value"] <= budget.most
    elif verdict["ratio"] is None:
        verdict["why_not"] = "no peer to compare with"
    elif budget.least_ratio is not None:
        verdict["met"] = verdict["ratio"] >= budget.least_ratio
    else:
        verdict["met"] = verdict["ratio"] <= budget.ratio
    return verdict


# ---- tables ----

RATES = ("mb_per_s", "messages_per_s", "connections_per_s")
BOUND_SHARE = 0.85  # of the rate without a relay; above it the load generator is the limit
DOUBTFUL_SHARE = 0.05  # of the machine, used by others


def shown(figure, value):
    if value is None:
        return "-"
    kind = FIGURES[figure]
    return f"{value * kind.scale:,.{kind.digits}f}"


def _bound(load, medians):
    """Relays that the load generator could not keep busy."""
    rate = next((figure for figure in load.figures if figure in RATES), None)
    limit = medians.get("direct", {}).get(rate)
    if rate is None or limit is None or load.mode == "paced":
        return []
    return [
        relay
        for relay, row in medians.items()
        if relay != "direct" and row.get(rate, 0) > BOUND_SHARE * limit
    ]


def load_table(entry):
    """What was measured under one load."""
    load = LOAD_BY_NAME[entry["load"]]
    table = Table(load.title, [["", *(FIGURES[figure].title for figure in load.figures)]])
    for relay, row in entry["medians"].items():
        if relay not in entry["refused"]:
            table.rows.append([relay, *(shown(figure, row.get(figure)) for figure in load.figures)])
    for relay, why in entry["refused"].items():
        table.notes.append(f"{relay}: not counted, {why}")
    if bound := _bound(load, entry["medians"]):
        table.notes.append(
            f"as fast as without a relay, so the rate says nothing: {', '.join(bound)}"
        )
    if entry["others_share"] > DOUBTFUL_SHARE:
        table.notes.append(f"doubtful: {entry['others_share']:.0%} of the machine went to others")
    return table


def _budget_row(entry, verdict):
    figure = verdict["figure"]
    ratio = "-"
    if verdict["ratio"] is not None:
        low, high = verdict["ratio_range"]
        ratio = f"{verdict['ratio']:.2f} ({low:.2f}-{high:.2f})"
    if verdict["budget_most"] is not None:
        budget = f"at most {shown(figure, verdict['budget_most'])}"
    elif verdict["budget_least_ratio"] is not None:
        budget = f"at least {verdict['budget_least_ratio']:.2f} x"
    else:
        budget = f"at most {verdict['budget_ratio']:.2f} x"
    peer = verdict["best_peer"] or ""
    return [
        f"{entry['load']}, {FIGURES[figure].title}",
        shown(figure, verdict["value"]),
        f"{peer} {shown(figure, verdict['best_value'])}".strip(),
        ratio,
        f"{floor:.2f}" if (floor := verdict.get("floor_ratio")) else "",
        budget,
        {True: "met", False: "MISSED", None: verdict["why_not"]}[verdict["met"]],
    ]


def budget_table(entries):
    """All budgets; '-' is where no ratio can be given, with the reason."""
    table = Table("Budgets: pairport to the best peer, median (and range) of the rounds")
    table.rows = [["", OURS, "best peer", "ratio", "floor", "budget", ""]]
    for entry in entries:
        table.rows += [_budget_row(entry, verdict) for verdict in entry["budgets"]]
    return table
