"""The tables of ``docs/concepts/training-cost.md``, from the result files beside this one."""

import json
import re
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
NOT_YET = "Not measured yet."


def stored(question: str) -> list[dict[str, Any]]:
    """The result files of a question, one for each machine."""
    return [
        json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob(f"{question}--*.json"))
    ]


def machine(record: dict[str, Any]) -> str:
    """What a result was measured on."""
    name = ", ".join(
        filter(None, (record.get("processor"), re.sub(r"(-threads).*", r"\1", record["device"])))
    )
    return (
        f"{name}, torch {record['versions']['torch']}, commit {record['commit'][:7]}, "
        f"load {record['load_average_at_start']:.1f} at the start"
    )


def step() -> str:
    """Every way to take a step against the plain reference."""
    blocks = []
    for record in stored("step"):
        lines = [
            f"{machine(record)}; {record['batch']} scans a step, {record['tokens']:,} tokens each{_entering(record)}; seconds of the {record['seconds_are']}, median.",
            "",
            "| step | seconds | throughput | peak memory, MiB | loss off by |",
            "|---|---|---|---|---|",
        ]
        for name, arm in record["arms"].items():
            lines.append(
                f"| {name.replace('+', ' + ')} | {arm['seconds']:.1f} | x {arm['throughput_over_reference']:.2f} "
                f"| {arm['peak_mib']:,.0f} (x {arm['memory_over_reference']:.2f}) | {arm['largest_loss_difference']:.0e} |"
            )
        for name, arm in record["arms"].items():
            if "seconds_of_arithmetic_alone" in arm:
                lines.append(
                    f"\nThe arithmetic of a step of `{name}` is {arm['flops'] / 1e12:.2f} TFLOP. At the rate at which this machine multiplies "
                    f"large matrices ({arm['matmul_flops_per_second'] / 1e9:.0f} GFLOP/s) it takes {arm['seconds_of_arithmetic_alone']:.1f} s: "
                    f"no step of the same mathematics could be more than {arm['most_throughput_over_reference']:.1f} times as fast as the reference."
                )
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) or NOT_YET


def _entering(record: dict[str, Any]) -> str:
    return f", of which {record['tokens_entering']:,} hold anything" if "tokens_entering" in record else ""


def growth() -> str:
    """How cost grows: the slopes of the logarithms."""
    blocks = []
    for record in stored("growth"):
        lines = [f"{machine(record)}; seconds of the {record['seconds_are']}.", "", "| over | of | slope of time | slope of memory |", "|---|---|---|---|"]  # fmt: skip
        for name, curve in record["curves"].items():
            memory = curve["slope_peak_mib"]
            lines.append(
                f"| {name}: {', '.join(str(point['x']) for point in curve['points'])} | {curve['of']} | {curve['slope_seconds']:.2f} "
                f"| {'' if memory is None else f'{memory:.2f}'} |"
            )
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) or NOT_YET


def data() -> str:
    """The share of an epoch that waits for data."""
    lines = [
        f"- {one['scans']:,} scans, {one['workers']} workers: {100 * one['data_share']:.1f}% of {one['seconds']:.0f} s ({machine(record)})"
        for record in stored("data")
        for one in record["epochs"]
    ]
    return "\n".join(lines) or NOT_YET
