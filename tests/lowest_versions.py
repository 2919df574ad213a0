"""Print every library of pyproject.toml pinned to the lowest version it allows: the constraints of ``make lowest``.

An argument names the build of torch for this machine, where it is another than the lowest version's own (``2.6.0+cpu``).
"""

import re
import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
EXTRAS = ("augment", "dask", "serve")
"""Extras whose code the fast tests reach."""


def lowest(requirements: list[str]) -> dict[str, str]:
    """``name[extra]>=version,<other`` as name: version."""
    found = [re.match(r"([\w-]+)(?:\[[\w,]+\])?>=([\w.]+)", one) for one in requirements]
    return {one[1]: one[2] for one in found if one}


if __name__ == "__main__":
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    wanted = [
        *project["dependencies"],
        *(one for name in EXTRAS for one in project["optional-dependencies"][name]),
    ]
    versions = lowest(wanted)
    if sys.argv[1:]:
        versions["torch"] = sys.argv[1]
    print("\n".join(f"{name}=={version}" for name, version in versions.items()))
