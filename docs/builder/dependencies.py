"""The licences of the libraries in pyproject.toml, as the installed packages state them."""

import re
import tomllib
from collections.abc import Callable, Mapping
from html import escape
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from types import MappingProxyType

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 60


def dependency_licences() -> str:
    """A table: library, version, licence, and whether it is needed or an extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = {"always": project["dependencies"], **project["optional-dependencies"]}
    wanted: dict[str, list[str]] = {}
    for group, requirements in groups.items():
        for one in requirements:
            wanted.setdefault(re.split(r"[\[<>=! ]", one)[0], []).append(group)
    rows = []
    for name in sorted(wanted, key=str.lower):
        try:
            said = metadata(name)
        except PackageNotFoundError:
            continue  # an extra that is not installed here
        rows.append(
            f"<tr><td>{escape(name)}</td><td>{escape(said['Version'])}</td><td>{escape(_licence(said.get('License-Expression'), said.get('License'), said.get_all('Classifier')))}</td>"
            f"<td>{escape(', '.join(wanted[name]))}</td></tr>"
        )
    return f"<table><thead><tr><th>library</th><th>version</th><th>licence</th><th>for</th></tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _licence(expression: str | None, free: str | None, classifiers: list[str] | None) -> str:
    if expression:
        return expression
    found = [
        one.rsplit(" :: ", 1)[-1]
        for one in classifiers or []
        if one.startswith("License ::") and one.count("::") > 1
    ]
    if found:
        return ", ".join(found)
    first = (free or "").strip().split("\n")[0]
    return first[:LONGEST] or "not stated"


FIGURES: Mapping[str, Callable[[], str]] = MappingProxyType({"dependency-licences": dependency_licences})
