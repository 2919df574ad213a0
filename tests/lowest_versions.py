"""Print every library of pyproject.toml pinned to the lowest version it allows, torch aside: the constraints of ``make lowest``."""

import re
import tomllib
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"


def lowest(requirements: list[str]) -> list[str]:
    """``name>=version,<other`` as ``name==version``."""
    found = []
    for one in requirements:
        name, version = re.match(r"([\w-]+)(?:\[[\w,]+\])?>=([\w.]+)", one).groups()  # type: ignore[union-attr]
        if name != "torch":
            found.append(f"{name}=={version}")
    return found


if __name__ == "__main__":
    print("\n".join(lowest(tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["dependencies"])))
