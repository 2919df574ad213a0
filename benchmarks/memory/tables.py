"""The table of ``docs/concepts/training-cost.md`` on what every command takes on a base of the published size, from the result files beside this one."""

import json
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
NAMES = {"m3d": "M3D-CLIP, recipe `deft_m3d`", "ct_clip": "CT-CLIP, recipe `medct`"}
NOT_YET = "Not measured yet."
WALK = (
    "weights convert", "simulate", "preprocess", "split", "train, stopped", "train --resume", "evaluate", "export", "embed",
    "predict", "explain", "serve",
)  # fmt: skip
"""Every command of the walk."""


def commands() -> str:
    """Peak memory and processor seconds of every command, base by base."""
    parts = []
    for path in sorted(RESULTS.glob("*--cpu.json"), reverse=True):
        found = json.loads(path.read_text(encoding="utf-8"))
        lines = [
            f"{NAMES[found['base']]} ({found['machine']}, torch {found['torch']}, commit {found['commit']}):\n",
            "| command | peak memory, MiB | processor seconds |",
            "|---|---|---|",
        ]
        for name, one in found["commands"].items():
            if name in WALK:
                lines.append(f"| `{name}` | {one['peak_mib']:,} | {one['processor_seconds']:.0f} |")
        missing = [f"`{name}`" for name in WALK if name not in found["commands"]]
        if missing:
            lines.append(f"\nNot measured yet: {', '.join(missing)}.")
        parts.append("\n".join(lines))
    return "\n\n".join(parts) or NOT_YET
