"""What comes out: a summary for machines, a table and a plot for people."""

from statistics import median

# The ratios that are promised, by their names in the summary.
PROMISED = ("noop", "ai_proxy_passthrough", "ai_proxy_translate", "chain", "bundle",
            "bundle_without_guard")


def spread(values):
    """Median, least and most."""
    return {"median": round(median(values), 3), "min": round(min(values), 3),
            "max": round(max(values), 3)}


def summary(about, results, memory, starts):
    """Everything that was measured. A ratio is that of two runs of the same round."""
    cases = {name: case(rounds) for name, rounds in results.items()}
    ratios = {name: row["cpu_ratio"]["median"] for name, row in cases["base"].items()}
    return {"about": about,
            "cpu_ratio_to_plain_envoy": {name: ratios.get(name) for name in PROMISED},
            "all_ratios": ratios, "cases": cases, "memory_kb": memory, "start_cpu_seconds": starts}


def case(rounds):
    """One case: a row per variant."""
    plain = rounds["plain"]
    rows = {}
    for name, seen in rounds.items():
        row = {"cpu_us": spread([one["cpu_us"] for one in seen]),
               "cpu_ratio": spread([one["cpu_us"] / by["cpu_us"]
                                    for one, by in zip(seen, plain)]),
               "per_second": spread([one["per_second"] for one in seen])}
        for what in ("answer_us", "first_us", "token_us"):
            for part in ("p50", "p99"):
                pairs = [(one[what][part], by[what][part]) for one, by in zip(seen, plain)]
                if all(None not in pair for pair in pairs):
                    row[f"added_{what}_{part}"] = spread([ours - base for ours, base in pairs])
        # Who answers without the provider sends no tokens one by one.
        if all(one["tokens"] for one in (*plain, *seen)):
            row["added_cpu_us_per_token"] = spread([
                (one["cpu_us"] - by["cpu_us"]) * one["requests"] / one["tokens"]
                for one, by in zip(seen, plain)])
        rows[name] = row
    return rows


def table(summary_):
    """The summary as text."""
    about = summary_["about"]
    lines = [f"{about['date']}, {about['machine']}, commit {about['commit']}, "
             f"load average {about['load_average']:.1f}"]
    for name, rows in summary_["cases"].items():
        lines.append(f"\n{name:30} {'CPU us':>9} {'ratio':>6} {'(min-max)':>13} {'+p50 us':>9} "
                     f"{'+first us':>9} {'+us/token':>9}")
        for variant, row in rows.items():
            ratio = row["cpu_ratio"]
            added = row.get("added_answer_us_p50", {}).get("median", 0)
            first = row.get("added_first_us_p50", {}).get("median", 0)
            token = row.get("added_cpu_us_per_token", {}).get("median")
            token = "" if token is None else f"{token:9.1f}"
            lines.append(f"{variant:30} {row['cpu_us']['median']:9.1f} {ratio['median']:6.2f} "
                         f"({ratio['min']:5.2f}-{ratio['max']:5.2f}) {added:9.0f} {first:9.0f} "
                         f"{token}")
    return "\n".join(lines)


def plot(summary_):
    """The base case as bars, an SVG."""
    rows = summary_["cases"]["base"]
    most = max(row["cpu_ratio"]["max"] for row in rows.values())
    about = summary_["about"]
    height = 24 * len(rows) + 60
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="760" height="{height}" '
           'font-family="sans-serif" font-size="12">',
           f'<text x="10" y="20">CPU time per request as a multiple of plain Envoy&#39;s; '
           f"{about['date']}, {about['machine']}; make bench</text>"]
    for index, (name, row) in enumerate(rows.items()):
        y, ratio = 40 + 24 * index, row["cpu_ratio"]
        scale = 440 / most
        out.append(f'<text x="10" y="{y + 13}">{name}</text>'
                   f'<rect x="220" y="{y}" width="{ratio["median"] * scale:.1f}" height="16" '
                   'fill="#4878a8"/>'
                   f'<line x1="{220 + ratio["min"] * scale:.1f}" x2="{220 + ratio["max"] * scale:.1f}" '
                   f'y1="{y + 8}" y2="{y + 8}" stroke="black"/>'
                   f'<text x="{228 + ratio["max"] * scale:.1f}" y="{y + 13}">{ratio["median"]:.2f}'
                   "</text>")
    return "\n".join([*out, "</svg>"]) + "\n"
