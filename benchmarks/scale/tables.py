"""The tables of ``docs/concepts/scale.md``, from the result files beside this one and those of the benchmarks that time a scan."""

import json
from math import log10
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "results"
NOT_YET = "Not measured yet."
ARCHIVE = 100_000
RISING = 0.1
"""How much steeper the last step is than the last three points where a slope is not reached yet."""
WORDS = {
    "tables": "write and read the manifest, split it",
    "pages": "the page of the preprocessed cohort",
    "encode": "keep and read back what the frozen front made",
    "train": "one epoch (a base of two layers)",
    "evaluate": "all scores with intervals, two comparisons",
    "audit": "every check of a split (fingerprints are there)",
}


def stored(name: str) -> dict[str, Any] | None:
    """A result by its name."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def slope(points: list[dict[str, Any]], what: str) -> float | None:
    """Of the logarithms over the three largest points; ``None`` where something is too small to be measured."""
    some = [(log10(one["scans"]), one[what]) for one in points[-3:]]
    if len(some) < 2 or min(value for _, value in some) <= 0:
        return None
    x, y = [one for one, _ in some], [log10(value) for _, value in some]
    middle = sum(x) / len(x)
    top = sum((a - middle) * b for a, b in zip(x, y, strict=True))
    return top / sum((a - middle) ** 2 for a in x)


def clock(seconds: float) -> str:
    """Seconds as a person would say them."""
    for unit, size in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"


def size(mib: float) -> str:
    """MiB as a person would say them."""
    return f"{mib / 1024:.1f} GiB" if mib >= 1024 else f"{mib:.0f} MiB"


def parts() -> str:
    """Each part: what was measured, its slopes, and what they say of an archive."""
    record = stored("parts")
    if record is None:
        return NOT_YET
    lines = [
        f"{record['machine']['processor']}, one thread, seconds of the processor; SIMULATED volumes of 16 x 16 x 16.",
        "",
        "| part | scans measured | seconds at the most | slope of time | peak memory at the most | slope of memory | 100,000 scans, extrapolated |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, points in record["parts"].items():
        if not points:
            continue
        last = points[-1]
        time, memory = slope(points, "seconds"), slope(points, "peak_mib")
        far = ARCHIVE / last["scans"]
        there = "" if time is None else clock(last["seconds"] * far**time)
        steeper = slope(points[-2:], "seconds")
        if time is not None and steeper is not None and steeper > max(time + RISING, 1 + RISING):
            there = f"{there} to {clock(last['seconds'] * far**2)} (the slope still rises, at most to 2)"
        room = "" if memory is None else f", {size(last['peak_mib'] * far ** max(memory, 0))}"
        measured = ", ".join(f"{one['scans']:,}" for one in points)
        lines.append(
            f"| `{name}`: {WORDS[name]} | {measured} | {last['seconds']:.1f} | {'' if time is None else f'{time:.2f}'} "
            f"| {size(last['peak_mib'])} | {'' if memory is None else f'{memory:.2f}'} | {there}{room} |"
        )
    return "\n".join(lines)


def workers() -> str:
    """Preprocessing on local Dask workers."""
    record = stored("workers")
    if record is None:
        return NOT_YET
    lines = [
        f"{record['scans']} SIMULATED raw heads, {record['machine']['processor']}, {record['machine']['cores']} cores, by the clock.",
        "",
        "| workers | seconds | scans an hour | load at the start |",
        "|---|---|---|---|",
    ]
    for count, one in record["workers"].items():
        lines.append(
            f"| {count} | {one['seconds']:.0f} | {3600 * record['scans'] / one['seconds']:.0f} | {one['load_at_start']:.1f} |"
        )
    return "\n".join(lines)


def archive() -> str:
    """What an archive takes where a scan costs what the other benchmarks measured."""
    chains = HERE.parent / "preprocess" / "results" / "chains.json"
    steps = sorted((HERE.parent / "train" / "results").glob("step--*.json"))
    rows = []
    if chains.is_file():
        heads = json.loads(chains.read_text(encoding="utf-8"))["heads"]
        rows.append(
            ("preprocess a 1 mm head", sum(one["ours"]["cpu_s"] for one in heads) / len(heads), "processor")
        )
    for path in steps:
        record = json.loads(path.read_text(encoding="utf-8"))
        for arm, words in (
            ("engine", "a training step of full-size M3D"),
            ("fast", "the same without tokens of background"),
        ):
            if arm in record["arms"]:
                name = record.get("processor", record["device"])
                seconds = record["arms"][arm]["seconds"] / record["batch"]
                rows.append(
                    (f"{words} ({name})", seconds, f"{record['cpus']} cores, {record['seconds_are']}")
                )
    lines = ["| of one scan | seconds | of | 100,000 scans | on 16 of them |", "|---|---|---|---|---|"]
    for words, seconds, of in rows:
        lines.append(
            f"| {words} | {seconds:.1f} | {of} | {clock(ARCHIVE * seconds)} | {clock(ARCHIVE * seconds / 16)} |"
        )
    return "\n".join(lines) if rows else NOT_YET


def steps() -> str:
    """Where the time of a head goes."""
    path = HERE.parent / "preprocess" / "results" / "steps.json"
    if not path.is_file():
        return NOT_YET
    record = json.loads(path.read_text(encoding="utf-8"))
    heads = [one["cpu_s"] for one in record["heads"]]
    whole = sum(sum(one.values()) for one in heads) / len(heads)
    lines = [
        f"{len(heads)} heads of 1 mm, {record['processor']}, one thread, seconds of the processor.",
        "",
        "| part | seconds | share |",
        "|---|---|---|",
    ]
    for name in heads[0]:
        seconds = sum(one[name] for one in heads) / len(heads)
        lines.append(f"| {name} | {seconds:.1f} | {100 * seconds / whole:.0f}% |")
    return "\n".join([*lines, f"| all | {whole:.1f} | |"])
