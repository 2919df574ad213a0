"""Who the people of a reproduction are: participants, scans, sex, age and MMSE, by cohort and class; Table 1 of a paper."""

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from voxtune.commands.reproduce.data import Sources
from voxtune.commands.reproduce.files import cohort, md_row, tex
from voxtune.commands.reproduce.paper import Paper, Role
from voxtune.commands.reproduce.table import sides_of
from voxtune.run_dir import write_json, write_text
from voxtune.types.records import ManifestRow

TRAINING = "to train and validate"
TESTED = "to test"
ALL = "all"
HEAD = (
    "cohort", "side", "class", "participants", "scans", "women / men", "age: mean ± sd [lowest, highest]", "MMSE: mean ± sd [lowest, highest]",
)  # fmt: skip
CSV_COLUMNS = (
    "cohort", "role", "side", "class", "simulated", "participants", "scans", "women", "men", "sex_missing",
    *(f"{what}_{name}" for what in ("age", "mmse") for name in ("mean", "sd", "low", "high", "missing")),
)  # fmt: skip


@dataclass(frozen=True)
class Spread:
    """A number over participants, at the first scan each has in the class; ``missing``: who has none."""

    mean: float | None
    sd: float | None
    low: float | None
    high: float | None
    missing: int


@dataclass(frozen=True)
class Group:
    """The people of a class in one cohort, on one side of its split."""

    role: Role
    side: str
    kind: str
    """The class, or ``all``."""
    participants: int
    scans: int
    women: int
    men: int
    sex_missing: int
    age: Spread
    mmse: Spread


def groups_of(sides: Mapping[str, Sequence[ManifestRow]]) -> list[Group]:
    """The groups of every cohort.

    Args:
        sides: rows of ``train``, ``val``, ``test`` and of each external role.
    """
    parts: list[tuple[Role, str, list[ManifestRow]]] = [
        ("own", TRAINING, [*sides["train"], *sides["val"]]),
        ("own", TESTED, list(sides["test"])),
    ]
    parts += [
        (role, TESTED, list(rows)) for role, rows in sides.items() if role not in {"train", "val", "test"}
    ]
    found = []
    for role, side, rows in parts:
        kinds = [name for name, _ in Counter(str(row.diagnosis) for row in rows if row.diagnosis).items()]
        order = _order(kinds, rows)
        found += [
            _group(role, side, kind, [row for row in rows if kind in {ALL, row.diagnosis}])
            for kind in (*order, ALL)
        ]
    return found


def _order(kinds: Sequence[str], rows: Sequence[ManifestRow]) -> list[str]:
    """The classes in the order of the profile, the rest by name."""
    from voxtune.profiles.recognise import chosen_profile

    known = [name for name in chosen_profile(None, rows).profile.classes if name in kinds]
    return known + sorted(set(kinds) - set(known))


def _group(role: Role, side: str, kind: str, rows: Sequence[ManifestRow]) -> Group:
    first: dict[str, ManifestRow] = {}
    for row in sorted(rows, key=lambda row: (row.age is None, row.age or 0.0)):
        first.setdefault(row.participant_id, row)
    sexes = Counter(
        next((row.sex for row in rows if row.participant_id == person and row.sex), None) for person in first
    )
    return Group(
        role, side, kind, len(first), len(rows), sexes["F"], sexes["M"], sexes[None],
        _spread([row.age for row in first.values()]), _spread([row.mmse for row in first.values()]),
    )  # fmt: skip


def _spread(values: Sequence[float | None]) -> Spread:
    import numpy as np

    known = np.array([value for value in values if value is not None], dtype=float)
    missing = len(values) - len(known)
    if not len(known):
        return Spread(None, None, None, None, missing)
    sd = float(known.std(ddof=1)) if len(known) > 1 else None
    return Spread(float(known.mean()), sd, float(known.min()), float(known.max()), missing)


# ------------------------------------------------------------------------------------------------- files
def write_participants(output: Path, paper: Paper, sources: Sources) -> str:
    """``table_<n>.html``, ``.md``, ``.csv``, ``.tex`` and ``.json``; a line for a person."""
    from voxtune.pages.reproduce_page import participants_page

    groups = groups_of(sides_of(sources, paper))
    number, simulated = paper.participants_table, sources.simulated
    assert number is not None
    name = f"table_{number}"
    rows = [cells_of(paper, one, simulated=simulated) for one in groups]
    said = beside(paper)
    write_text(output / f"{name}.md", _markdown(number, rows, said, simulated=simulated), shared=True)
    write_text(output / f"{name}.csv", _csv(paper, groups, simulated=simulated), shared=True)
    write_text(output / f"{name}.tex", _latex(rows, simulated=simulated), shared=True)
    content = _json(paper, groups, simulated=simulated)
    content["markdown"] = _markdown(number, rows, said, simulated=simulated)
    write_json(output / f"{name}.json", content, shared=True)
    page = participants_page(number, caption(), HEAD, rows, said, simulated=simulated)
    write_text(output / f"{name}.html", page, shared=True)
    return f"Table {number}: who the people are. {output / f'{name}.html'}"


def caption() -> str:
    """Of the table."""
    return "Who the people are"


def beside(paper: Paper) -> str:
    """What the paper says of its people, and how ours are counted."""
    ours = "Age and MMSE are those of each participant's first scan in the class; a participant may be in more than one class."
    return f"{ours} {paper.people_published}".strip()


def cells_of(paper: Paper, one: Group, *, simulated: bool) -> tuple[str, ...]:
    """The texts of a group, in the order of ``HEAD``."""
    sex = f"{one.women} / {one.men}" + (f" ({one.sex_missing} not known)" if one.sex_missing else "")
    return (
        cohort(paper, one.role, simulated=simulated), one.side, one.kind, str(one.participants), str(one.scans), sex,
        spread_text(one.age), spread_text(one.mmse),
    )  # fmt: skip


def spread_text(one: Spread) -> str:
    """``73.1 ± 6.0 [55.0, 91.0] (2 not known)``."""
    if one.mean is None:
        return "not known"
    sd = f" ± {one.sd:.1f}" if one.sd is not None else ""
    missing = f" ({one.missing} not known)" if one.missing else ""
    return f"{one.mean:.1f}{sd} [{one.low:.1f}, {one.high:.1f}]{missing}"


def _markdown(number: int, rows: Sequence[Sequence[str]], said: str, *, simulated: bool) -> str:
    opening = f"**Table {number}. {caption()}.**{' SIMULATED people.' if simulated else ''}"
    return "\n".join([opening, "", *map(md_row, (HEAD, ["---"] * len(HEAD), *rows)), "", said, ""])


def _csv(paper: Paper, groups: Sequence[Group], *, simulated: bool) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for one in groups:
        numbers = [*asdict(one.age).values(), *asdict(one.mmse).values()]
        fields = (
            paper.cohorts[one.role], one.role, one.side, one.kind, simulated, one.participants, one.scans, one.women, one.men,
            one.sex_missing, *("" if value is None else value for value in numbers),
        )  # fmt: skip
        writer.writerow(fields)
    return buffer.getvalue()


def _latex(rows: Sequence[Sequence[str]], *, simulated: bool) -> str:
    body = [" & ".join(tex(one) for one in cells) + r" \\" for cells in rows]
    said = tex(f"{'SIMULATED people. ' if simulated else ''}{caption()}.")
    return "\n".join(
        [
            r"\begin{table}", r"\centering", rf"\caption{{{said}}}", r"\begin{tabular}{lllrrrrr}", r"\toprule",
            " & ".join(tex(one) for one in HEAD) + r" \\", r"\midrule", *body, r"\bottomrule", r"\end{tabular}", r"\end{table}",
        ]
    ) + "\n"  # fmt: skip


def _json(paper: Paper, groups: Sequence[Group], *, simulated: bool) -> dict[str, Any]:
    return {
        "paper": paper.name,
        "table": paper.participants_table,
        "caption": caption(),
        "simulated": simulated,
        "cohorts": {role: paper.cohorts[role] for role in dict.fromkeys(one.role for one in groups)},
        "published": paper.people_published,
        "groups": [asdict(one) for one in groups],
    }
