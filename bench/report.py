"""What the samples of a run say: medians, ratios, goals, plots."""
import os
import re
import statistics

import plot

# What is compared, the more the better or the less: bench, value, unit, how it is shown.
COMPARED = [
    ("join/add", "per_s", "records/s, in memory", max),
    ("store/single", "per_s", "durable writes/s, one caller", max),
    ("store/callers", "per_s", "durable writes/s, 64 callers", max),
    ("store/batches_100", "per_s", "records/s in durable groups of 100", max),
    ("store/batches_1000", "per_s", "records/s in durable groups of 1,000", max),
    ("store/open_10000", "ms", "ms to open 10^4 and read one", min),
    ("store/open_100000", "ms", "ms to open 10^5 and read one", min),
    ("store/open_1000000", "ms", "ms to open 10^6 and read one", min),
    ("store/get", "per_s", "reads/s by id", max),
    ("store/scan", "per_s", "records/s read in order", max),
    ("store/churn", "per_s", "add and remove cycles/s", max),
    ("store/churn", "state_growth", "state after churn / before", min),
    ("store/churn", "disk_growth", "disk after churn / before", min),
    ("join/first_copy", "encode_ms", "ms to encode 10^5 records", min),
    ("join/first_copy", "apply_ms", "ms to apply them in memory", min),
    ("sync/first_copy_100000", "seconds", "s for a first copy of 10^5 over a link, durable", min),
    ("sync/first_copy_1000000", "seconds", "s for a first copy of 10^6 over a link, durable", min),
    ("join/replicas", "ms", "ms to merge 1,000 replicas of 10 records", min),
    ("join/one_key", "ms", "ms to merge 1,540 writers of one key", min),
    ("sync/catch_up", "ms", "ms to catch up with 100 adds and 20 removes each", min),
    ("sync/catch_up", "octets", "octets of it", min),
    ("sync/nothing_changed", "octets", "octets when nothing changed", min),
    ("sync/nothing_changed", "ms", "ms when nothing changed", min),
    ("sync/scattered_removes", "octets", "octets for 100 removes in 10^6 without a journal", min),
    ("live/visible", "p50_us", "µs until another process sees a write, median", min),
    ("live/visible", "p99_us", "µs until another process sees a write, 99 %", min),
    ("live/flood", "per_s", "records/s from one process to another", max),
]

# Plots: file, title, axes, and lines of (bench pattern with the x in it or a size, value).
PLOTS = [
    ("open", "Opening a store, to the first read", "records", "ms", r"store/open_(\d+)$", None, "ms"),
    ("copy", "First copy over a link, durable", "records", "s", r"sync/first_copy_(\d+)$", None, "seconds"),
    ("differences", "Catching up without a journal", "differences", "octets",
     r"sync/differences_(\d+)$", None, "octets"),
    ("actors", "Reconnecting after 100 adds, without a journal", "actors that ever wrote", "octets",
     r"sync/actors_(\d+)$", None, "compared_octets"),
    ("fleet_time", "Agents that wrote offline, until all are equal", "agents", "s",
     r"fleet/(chain|star|two_hubs|mesh)_(\d+)$", "shape", "seconds"),
    ("fleet_octets", "Octets of it per link", "agents", "octets",
     r"fleet/(chain|star|two_hubs|mesh)_(\d+)$", "shape", "octets_per_link"),
]


class Samples:
    """Values by bench, implementation and name."""

    def __init__(self, lines):
        self.values = {}
        for line in lines:
            for name, value in line["values"].items():
                self.values.setdefault((line["bench"], line["implementation"], name), []).append(value)

    def median(self, bench, name, implementation="loam"):
        values = self.values.get((bench, implementation, name))
        return statistics.median(values) if values else None

    def spread(self, bench, name, implementation):
        values = self.values[(bench, implementation, name)]
        return min(values), max(values)

    def implementations(self, bench, name):
        return [i for (b, i, n) in self.values if b == bench and n == name]

    def benches(self):
        return {bench for bench, _, _ in self.values}


def shown(value):
    """A number with three digits that count."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def comparison_table(samples):
    out = ["| work | loam | others | ratio to the best of them |", "|---|---|---|---|"]
    for bench, name, what, better in COMPARED:
        ours = samples.median(bench, name)
        if ours is None:
            continue
        low, high = samples.spread(bench, name, "loam")
        others = {i: samples.median(bench, name, i) for i in samples.implementations(bench, name) if i != "loam"}
        text = " · ".join(f"{i} {shown(v)}" for i, v in sorted(others.items(), key=lambda item: item[1],
                                                              reverse=better is max))
        peers = [v for i, v in others.items() if i != "lmdb" and v > 0]
        ratio = shown(ours / better(peers)) if peers else ""
        out.append(f"| {what} | {shown(ours)} ({shown(low)}–{shown(high)}) | {text} | {ratio} |")
    return "\n".join(out)


def goals(samples):
    """(id, goal, what was measured, met) for each goal that the samples can tell of."""
    m = samples.median
    rows = []

    def row(name, goal, parts, is_met):
        if any(value is None for value in parts.values()):
            return
        rows.append((name, goal, ", ".join(f"{k} {shown(v)}" for k, v in parts.items()), is_met(*parts.values())))

    row("P1", "first copy of 10^5, durable, ≤ 0.6 × Yjs's in-memory apply",
        {"s": m("sync/first_copy_100000", "seconds"), "Yjs ms": m("join/first_copy", "apply_ms", "yjs")},
        lambda s, y: s * 1e3 <= 0.6 * y)
    row("P1", "10^6 linear within 20 %",
        {"s 10^5": m("sync/first_copy_100000", "seconds"), "s 10^6": m("sync/first_copy_1000000", "seconds")},
        lambda a, b: b <= 12 * a)
    row("P1", "resident memory of each process ≤ 128 MiB at 10^6",
        {"receiver": m("sync/first_copy_1000000", "receiver_anonymous_mib"),
         "source": m("sync/first_copy_1000000", "source_anonymous_mib")}, lambda a, b: max(a, b) <= 128)
    row("P2", "catch-up ≤ 1.10 × the records' octets",
        {"ratio": m("sync/catch_up", "octets_per_octet_of_records")}, lambda r: r <= 1.10)
    row("P2", "≤ 5 ms of processor on both sides", {"ms": m("sync/catch_up", "cpu_ms")}, lambda t: t <= 5)
    row("P2", "≤ 0.3 × Yjs's time", {"ms": m("sync/catch_up", "ms"), "Yjs ms": m("sync/catch_up", "ms", "yjs")},
        lambda a, b: a <= 0.3 * b)
    row("P3", "nothing changed ≤ 128 octets a segment, of six, beside showing who one is",
        {"octets": m("sync/nothing_changed", "octets"), "of these the opening": m("sync/nothing_changed", "octets_opening")},
        lambda b, opening: b - opening <= 6 * 128)
    row("P3", "nothing changed ≤ 1 ms", {"ms": m("sync/nothing_changed", "ms")}, lambda t: t <= 1)
    row("P4", "100 scattered removes in 10^6 ≤ 3,000 octets",
        {"octets": m("sync/scattered_removes", "octets"),
         "beside those of a reconnect": m("sync/scattered_removes", "octets_beyond_idle")}, lambda b, _: b <= 3000)
    row("P5", "churn ≥ 100,000 cycles/s", {"per s": m("store/churn", "per_s")}, lambda r: r >= 100000)
    row("P5", "state as before, disk ≤ 2 ×",
        {"state": m("store/churn", "state_growth"), "disk": m("store/churn", "disk_growth")},
        lambda s, d: s <= 1.01 and d <= 2)
    row("P6", "one caller ≥ 0.7 × raw LMDB",
        {"per s": m("store/single", "per_s"), "LMDB": m("store/single", "per_s", "lmdb")}, lambda a, b: a >= 0.7 * b)
    row("P6", "64 callers ≥ 20,000/s", {"per s": m("store/callers", "per_s")}, lambda r: r >= 20000)
    row("P6", "batches of 1,000 ≥ 100,000/s and 2 × Redis",
        {"per s": m("store/batches_1000", "per_s"), "Redis": m("store/batches_1000", "per_s", "redis")},
        lambda a, b: a >= 100000 and a >= 2 * b)
    row("P7", "seen at 500/s: p50 ≤ 2 × a commit",
        {"p50 µs": m("live/visible", "p50_us"), "commit": m("live/visible", "commit_p50_us")}, lambda a, b: a <= 2 * b)
    row("P7", "p99 ≤ Redis's p99 + 3 × a commit's p99",
        {"p99 µs": m("live/visible", "p99_us"), "Redis": m("live/visible", "p99_us", "redis"),
         "commit": m("live/visible", "commit_p99_us")}, lambda a, b, c: a <= b + 3 * c)
    row("trust", "first copy of 10^5 in batches of 100 ≤ 15 % slower than unverified",
        {"s": m("sync/signed_copy_100000", "seconds"), "unverified": m("sync/signed_copy_100000", "seconds", "unverified")},
        lambda a, b: a <= 1.15 * b)
    for how in ("silent", "dripping", "passing", "pings", "garbage"):
        row("trust", f"p99 while strangers trouble the port ≤ 2 × without, resident ≤ 256 MiB: {how}",
            {"p99 µs": m(f"live/attacked_{how}", "p99_us"), "without": m("live/attacked_none", "p99_us"),
             "MiB": m(f"live/attacked_{how}", "resident_mib")}, lambda a, b, r: a <= 2 * b and r <= 256)
    row("trust", "p99 while a member brings 60,000 commits ≤ 2 × without, with a quota of 400/s",
        {"p99 µs": m("live/crowded_quota", "p99_us"), "without": m("live/attacked_none", "p99_us"),
         "MiB": m("live/crowded_quota", "resident_mib")}, lambda a, b, r: a <= 2 * b and r <= 256)
    row("P8", "flood over a hub ≥ Redis", {"per s": m("live/flood", "per_s"), "Redis": m("live/flood", "per_s", "redis")},
        lambda a, b: a >= b)
    row("P9", "open 10^6 ≤ 10 ms, as 10^4",
        {"ms 10^6": m("store/open_1000000", "ms"), "ms 10^4": m("store/open_10000", "ms")},
        lambda a, b: a <= 10 and a <= 2 * b)
    row("P10", "get ≥ 500,000/s", {"per s": m("store/get", "per_s")}, lambda r: r >= 500000)
    row("P10", "scan ≥ 1,000,000 records/s", {"per s": m("store/scan", "per_s")}, lambda r: r >= 1000000)
    row("P12", "a decision of 1,000 rules: p99 ≤ 20 µs", {"p99 µs": m("rules/check_1000", "p99_us"),
        "p50": m("rules/check_1000", "p50_us")}, lambda t, _: t <= 20)
    row("P12", "a change seen by another process within 50 ms of its commit",
        {"p99 µs": m("rules/change", "seen_after_p99_us")}, lambda t: t <= 50000)
    for name, what, most in (("read_quiet", "a strong read when nobody writes: 1 round trip", 1),
                             ("read_busy", "a strong read while a voter writes 100 a second: p99 ≤ 3 round trips", 3),
                             ("write", "a strong write: 1 round trip and the voters' syncs", 1)):
        row("strong", what, {"round trips, p99": m(f"strong/{name}", "rounds_p99"), "ms, p50": m(f"strong/{name}", "p50_ms"),
            "ms, p99": m(f"strong/{name}", "p99_ms")}, lambda r, *_, most=most: r <= most)
    row("P13", "1,000 linked: p99 of visibility ≤ 250 ms", {"ms": m("fleet/idle_1000", "visible_p99_ms")},
        lambda t: t <= 250)
    row("P13", "≤ 64 KiB a link", {"KiB": m("fleet/idle_1000", "hub_anonymous_kib_per_link")}, lambda k: k <= 64)
    for kind, what in (("nothing_changed", "reconnect, nothing changed"), ("journal", "reconnect after 100 adds"),
                       ("compared", "the same without a journal")):
        for unit in ("octets", "ms"):
            row("P14", f"100,000 actors within 2 × of 10: {what}, {unit}",
                {"100,000": m("sync/actors_100000", f"{kind}_{unit}"), "10": m("sync/actors_10", f"{kind}_{unit}")},
                lambda a, b: a <= 2 * b)
    for shape in ("chain", "star", "two_hubs", "mesh"):
        row("P16", f"offline writers merged over a {shape.replace('_', ' ')}: plotted below",
            {f"s, {agents} agents": m(f"fleet/{shape}_{agents}", "seconds") for agents in (10, 100, 1000)
             if m(f"fleet/{shape}_{agents}", "seconds") is not None}, lambda *_: True)
    row("P15", "1,000 replicas merged, durable, ≤ Yjs in memory",
        {"ms": m("join/replicas", "ms"), "Yjs": m("join/replicas", "ms", "yjs")}, lambda a, b: a <= b)
    return rows


def goals_table(samples):
    out = ["| | goal | measured | |", "|---|---|---|---|"]
    out += [f"| {name} | {goal} | {parts} | {'met' if is_met else 'unmet'} |" for name, goal, parts, is_met in goals(samples)]
    return "\n".join(out)


def draw(samples, directory):
    """Writes the plots that there are values for; returns their titles by file."""
    made = {}
    for file, title, x_name, y_name, pattern, by, value in PLOTS:
        series = {}
        for bench in samples.benches():
            found = re.match(pattern, bench)
            if not found:
                continue
            for implementation in set(samples.implementations(bench, value)):
                y = samples.median(bench, value, implementation)
                name = found[1] if by else implementation
                if y and y > 0:
                    series.setdefault(name, []).append((int(found[2 if by else 1]), y))
        series = {name: line for name, line in sorted(series.items()) if len(line) > 1}
        if series:
            os.makedirs(directory, exist_ok=True)
            with open(os.path.join(directory, file + ".svg"), "w") as out:
                out.write(plot.plot(title, x_name, y_name, series))
            made[file + ".svg"] = title
    return made
