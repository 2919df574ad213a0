"""Many explained scans put together: means by stage with intervals over participants, and what they say in sentences."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxtune.explanation.intervals import mean_interval
from voxtune.explanation.scan_explanation import none_if_nan
from voxtune.explanation.scan_reports import label_sentence
from voxtune.types.profile import Profile

TOP_TOKENS = 3
Numbers = dict[str, float]


@dataclass
class Gathered:
    """What each scan gave, in the order of the scans."""

    groups: list[str] = field(default_factory=list)
    participants: list[str] = field(default_factory=list)
    parts: list[Numbers] = field(default_factory=list)
    tokens: list[Numbers] = field(default_factory=list)
    frames: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    regions: list[Numbers] = field(default_factory=list)
    moves: list[dict[str, tuple[float, float]]] = field(default_factory=list)
    shuffled: list[float] = field(default_factory=list)
    controls: list[float] = field(default_factory=list)
    empty: int = 0
    """Maps in which no place raises the score."""
    curves: list[dict[str, Any]] = field(default_factory=list)
    found: list[dict[str, dict[str, float]]] = field(default_factory=list)
    sums: dict[tuple[str, str], NDArray[np.float64]] = field(default_factory=dict)

    def add(self, other: "Gathered") -> None:
        """Put what others gave behind it."""
        for part in fields(self):
            mine, theirs = getattr(self, part.name), getattr(other, part.name)
            if isinstance(mine, list):
                mine.extend(theirs)
        self.empty += other.empty
        for place, heat in other.sums.items():
            self.sums[place] = self.sums.get(place, np.zeros(heat.shape)) + heat

    def mean(self, values: Sequence[float], seed: int, only: str | None = None) -> dict[str, Any]:
        """The mean over scans (of one group) with its interval over participants."""
        places = [place for place, group in enumerate(self.groups) if only in {None, group}]
        return mean_interval(
            [values[place] for place in places],
            [self.participants[place] for place in places],
            [self.groups[place] for place in places],
            seed,
        )


def tokens_of(said: Mapping[str, Any], profile: Profile) -> Numbers:
    """Sums by word: numbers go by the biomarker whose value they are, the words of the label sentence by that name."""
    report = str(said["report"])
    label = label_sentence(profile).match(report)
    sums: Numbers = {}
    place = 0
    for word in said["words"]:
        inside = label is not None and place < label.end()
        place += len(word["text"]) + 1
        plain = word["text"].strip(":,.;()").lower()
        if inside:
            name = "label sentence"
        elif re.fullmatch(r"-?\d+(\.\d+)?", plain):
            name = f"value of {word['part']}" if word["part"] else "a number"
        else:
            name = plain
        sums[name] = sums.get(name, 0.0) + word["value"]
    return sums


def summarised(gathered: Gathered, seed: int) -> dict[str, Any]:
    """Means by group, with intervals over participants."""
    stages = list(dict.fromkeys(gathered.groups))
    facts: dict[str, Any] = {
        "groups": {
            stage: {"scans": gathered.groups.count(stage), "participants": len({p for p, g in zip(gathered.participants, gathered.groups, strict=True) if g == stage})}
            for stage in stages
        },
        "empty": gathered.empty,
        "shuffled_weights": gathered.mean(gathered.shuffled, seed),
        "shuffled_labels": gathered.mean(gathered.controls, seed),
        "curves": _curve_facts(gathered.curves),
        "text": None,
        "regions": [],
        "moves": [],
        "localisation": {},
    }  # fmt: skip
    if gathered.parts:
        names = list(dict.fromkeys(name for one in gathered.parts for name in one))
        tokens = {stage: _top(gathered, stage, seed) for stage in stages}
        facts["text"] = {
            "parts": {
                stage: {name: gathered.mean([one.get(name, float("nan")) for one in gathered.parts], seed, stage) for name in names}
                for stage in stages
            },
            "frame": {stage: gathered.mean(gathered.frames, seed, stage) for stage in stages},
            "tokens": tokens,
            "completeness_error": {"mean": float(np.mean(gathered.errors)), "largest": float(np.max(gathered.errors))},
        }  # fmt: skip
    if gathered.regions:
        rows = [
            {
                "region": name,
                **{
                    stage: gathered.mean([one[name] for one in gathered.regions], seed, stage)
                    for stage in stages
                },
            }
            for name in gathered.regions[0]
        ]
        facts["regions"] = sorted(rows, key=lambda row: -max(row[stage]["value"] for stage in stages))
    if gathered.moves:
        for name in gathered.moves[0]:
            alone, full = (np.array([one[name][side] for one in gathered.moves]) for side in (0, 1))
            facts["moves"].append(
                {
                    "biomarker": name, "alone": none_if_nan(float(np.nanmean(alone))), "full": none_if_nan(float(np.nanmean(full))),
                    "difference": gathered.mean((alone - full).tolist(), seed),
                }
            )  # fmt: skip
    methods = dict.fromkeys(name for one in gathered.found for name in one)
    for method in methods:
        facts["localisation"][method] = {
            score: gathered.mean(
                [one[method][score] if one else float("nan") for one in gathered.found], seed
            )
            for score in ("auc", "hit", "heat_share", "changed_share")
        }
    return facts


def _top(gathered: Gathered, stage: str, seed: int) -> list[dict[str, Any]]:
    """The tokens that give most, on average over the scans of a stage; the label sentence is no finding of anyone."""
    own = [one for one, group in zip(gathered.tokens, gathered.groups, strict=True) if group == stage]
    names = {name for one in own for name in one} - {"label sentence"}
    order = sorted(names, key=lambda name: (-float(np.mean([one.get(name, 0.0) for one in own])), name))
    return [
        {"token": name, **gathered.mean([one.get(name, 0.0) for one in gathered.tokens], seed, stage)}
        for name in order[:TOP_TOKENS]
    ]


def _curve_facts(curves: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for kind in dict.fromkeys(one["kind"] for one in curves):
        own = [one for one in curves if one["kind"] == kind]
        found.append(
            {
                "kind": kind, "scans": len(own), "better": sum(one["p"] <= 0.05 for one in own),
                "area": float(np.mean([one["area"] for one in own])), "random_area": float(np.mean([one["random_area"] for one in own])),
            }
        )  # fmt: skip
    return found


def group_warnings(facts: Mapping[str, Any]) -> list[str]:
    """What stands at the top of the page of a group."""
    from voxtune.explanation.randomised import SAME

    found = []
    if facts["empty"]:
        scans = sum(one["scans"] for one in facts["groups"].values())
        found.append(f"{facts['empty']} of {scans} maps are empty: no place of these scans raises the score.")
    for key, what in (("shuffled_weights", "shuffled weights"), ("shuffled_labels", "the control adapter")):
        value = facts[key]["value"]
        if value is not None and value >= SAME:
            found.append(
                f"Do not lean on these maps: those of {what} are much alike (mean rank correlation {value:.2f})."
            )
    found += [
        "Do not lean on these maps: hiding the hottest places first lowers the score no more than hiding places at random."
        for one in facts["curves"]
        if one["kind"] == "deletion" and one["area"] >= one["random_area"]
    ]
    return found


def group_lines(facts: Mapping[str, Any]) -> list[str]:
    """For a terminal."""
    lines = [f"{name}: {one['participants']} participants" for name, one in facts["groups"].items()]
    if facts["text"] is not None:
        for stage, tokens in facts["text"]["tokens"].items():
            lines.append(f"{stage}, top tokens: {', '.join(one['token'] for one in tokens)}")
    for method, one in facts["localisation"].items():
        auc = one["auc"]
        if auc["value"] is not None:
            low, high = auc["low"], auc["high"]
            interval = "" if low is None else f" [{low:.2f}, {high:.2f}]"
            lines.append(f"localisation by {method}: AUC {auc['value']:.2f}{interval} (chance 0.50)")
    return lines
