"""Everything that is asked of one scan: its maps, its report, and the checks that say how far to trust both."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from voxtune.errors import UsageError
from voxtune.types.profile import plain
from voxtune.types.seed import check_seed
from voxtune.types.volume import Volume

if TYPE_CHECKING:
    from torch import Tensor

    from voxtune.explanation.heat_map import HeatMap
    from voxtune.explanation.integrated_gradients import TextAttribution
    from voxtune.explanation.regions import Atlas
    from voxtune.explanation.target import Target
    from voxtune.imaging.presets import Preset
    from voxtune.model.adapter import LoadedAdapter
    from voxtune.types.profile import Profile

SHUFFLED = 5
"""Models with shuffled weights that every map is compared with."""
FINDINGS_SHOWN = 6
FULL, ALONE = "full report", "class alone"
"""The first column of the figure, with a report and without."""


@dataclass(frozen=True)
class Question:
    """What is asked, of one scan or of many."""

    target: str | None = None
    method: str = "auto"
    biomarkers: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        check_seed(self.seed)


@dataclass(frozen=True)
class Case:
    """One scan with what is known of it."""

    name: str
    stored: Volume
    tensor: "Tensor"
    reports: Mapping[str, str] = field(default_factory=dict)
    """Row of the figure -> report text: the same facts under each class, or the text that was given."""
    own: str | None = None
    """Which of them is the scan's own report."""
    participant: str = ""
    diagnosis: str | None = None
    truth: NDArray[np.bool_] | None = None
    """Where a simulated brain changed, on the cube of the region table."""
    simulated: bool = False
    """By its row or its own mark."""


@dataclass(frozen=True)
class Control:
    """What the check with shuffled labels can lean on."""

    adapter: "LoadedAdapter | None"
    note: str
    """What the control has learned; without one, why not and what makes one."""


@dataclass(frozen=True)
class Explained:
    """The facts of an explanation (JSON) and its maps in the place of the scan."""

    facts: dict[str, Any]
    maps: dict[str, Volume]
    """``heat``, ``mmse``, ``occlusion``."""
    panel: dict[tuple[str, str], Volume]


def explain_scan(
    loaded: "LoadedAdapter",
    preset: "Preset",
    case: Case,
    question: Question,
    control: Control,
) -> Explained:
    """Maps, tables, words and checks of one scan.

    Raises:
        UsageError: an unknown target, method or biomarker.
    """
    from voxtune.explanation.heat_map import TITLES, explain_targets
    from voxtune.explanation.placement import stored_atlas, to_stored
    from voxtune.explanation.region_table import on_cube, region_table
    from voxtune.explanation.target import MMSE, choose_target, number_target
    from voxtune.imaging.orient import orient

    own = case.reports.get(case.own) if case.own else None
    said = predicted(loaded, case.tensor)
    target = choose_target(loaded, case.tensor, question.target or said["predicted"], report=own)
    [heat] = explain_targets(loaded, case.tensor, [target], question.method)
    atlas = stored_atlas(case.stored, preset)
    [hidden] = explain_targets(loaded, case.tensor, [target], "occlusion", atlas)
    found = {"heat": heat, "occlusion": hidden}
    if MMSE in loaded.model.target_heads and loaded.facts.mmse_note is None and target.name != MMSE:
        [found["mmse"]] = explain_targets(loaded, case.tensor, [number_target(loaded)])
    maps = {name: to_stored(one.voxels, case.stored, preset) for name, one in found.items()}
    panel, panel_facts = _panel(loaded, preset, case, question, said)
    table: list[dict[str, Any]] = []
    if atlas is not None:
        drops = _drops(hidden, atlas)
        table = [
            asdict(row) | {"drop": drops.get(row.label)}
            for row in region_table(to_stored(heat.whole, case.stored, preset), question.seed)
        ]
    facts: dict[str, Any] = {
        "scan": case.name,
        "prediction": said,
        "target": {"name": target.name, "says": target.says},
        "maps": {
            name: {
                "method": one.method, "title": TITLES[one.method], "target": one.target, "meaning": one.meaning, "peak": one.peak,
                "tokens": one.tokens,
            }
            for name, one in found.items()
        },
        "regions": table,
        "panel": panel_facts,
        "text": text_facts(loaded, case, own),
        "checks": checks(loaded, preset, case, target, heat, question, control),
    }  # fmt: skip
    if atlas is None:
        facts["checks"]["outside"] = heat_outside(orient(maps["heat"], "RAS"), orient(case.stored, "RAS"))
    if case.truth is not None:
        facts["checks"]["localisation"] = {
            name: localisation(on_cube(maps[name]), case.truth) for name in maps
        }
    return Explained(facts, maps, panel)


def predicted(loaded: "LoadedAdapter", tensor: "Tensor") -> dict[str, Any]:
    """What the model says of the scan, as ``predict`` does."""
    import torch

    from voxtune.explanation.target import MMSE, class_scores, class_texts

    model, classes = loaded.model, loaded.facts.classes
    with torch.no_grad():
        image = model.encode_image(tensor[None].to(next(model.parameters()).device))
        chances = class_scores(loaded, image, class_texts(loaded))[0].sigmoid().tolist()
        targets = {name: float(value[0]) for name, value in model.target_values(image.targets).items()}
    probabilities = dict(zip(classes, chances, strict=True))
    return {
        "predicted": max(classes, key=lambda name: probabilities[name], default=None),
        "probabilities": probabilities,
        "mmse": targets.get(MMSE),
        **({"targets": targets} if targets.keys() - {MMSE} else {}),  # files of DEFT keep their keys
    }


def checks(  # noqa: PLR0913  (what a check needs)
    loaded: "LoadedAdapter",
    preset: "Preset",
    case: Case,
    target: "Target",
    heat: "HeatMap",
    question: Question,
    control: Control,
    *,
    curves: bool = True,
) -> dict[str, Any]:
    """Shuffled weights, other targets, a model trained on shuffled labels, deletion and insertion."""
    from voxtune.explanation.faithfulness import faithfulness
    from voxtune.explanation.heat_map import explain_targets, heat_map, tensor_mask
    from voxtune.explanation.randomised import SAME, correlation, randomised
    from voxtune.explanation.target import MMSE, class_target

    inside, own = tensor_mask(preset), case.reports.get(case.own) if case.own else None

    def again(other: "LoadedAdapter", *, signed: bool = False) -> "HeatMap":
        return heat_map(
            other, case.tensor, target=target.name, biomarker=target.biomarker, method=heat.method, report=own, signed=signed
        )  # fmt: skip

    def of(other: "LoadedAdapter") -> float:
        return correlation(heat.voxels, again(other).voxels, inside)

    found: dict[str, Any] = {"limit": SAME}
    twins = SHUFFLED if heat.method != "occlusion" else 1
    shuffled = [of(randomised(loaded, question.seed + 1 + number)) for number in range(twins)]
    found["shuffled_weights"] = {"correlations": shuffled, "mean": float(np.mean(shuffled))}
    found |= {"shuffled_labels": None, "control": control.note, "control_empty": False}
    if control.adapter is not None:
        theirs = again(control.adapter)
        pair = [heat.voxels, theirs.voxels]
        if theirs.peak == 0:  # an empty map is like no other, and that is no merit
            found["control_empty"] = True
            pair = [again(one, signed=True).voxels for one in (loaded, control.adapter)]
        found["shuffled_labels"] = correlation(pair[0], pair[1], inside)
    others = [name for name in loaded.facts.classes if name != target.name]
    if target.name != MMSE and target.read_out == "class" and others:
        maps = explain_targets(
            loaded, case.tensor, [class_target(loaded, name) for name in others[:FINDINGS_SHOWN]], heat.method
        )
        found["other_targets"] = {one.target: correlation(heat.voxels, one.voxels, inside) for one in maps}
    if curves:
        made = faithfulness(loaded.model, case.tensor, heat.voxels, target, question.seed, inside=inside)
        found["curves"] = [
            {
                "kind": one.kind, "scores": list(one.scores), "area": one.area, "random_area": one.random_area, "p": one.p,
                "random_low": np.percentile(one.random, 2.5, axis=0).tolist(),
                "random_high": np.percentile(one.random, 97.5, axis=0).tolist(),
                "random_mean": np.mean(one.random, axis=0).tolist(),
            }
            for one in made
        ]  # fmt: skip
    return found


def heat_outside(heat: Volume, scan: Volume) -> float | None:
    """The share of the (positive) heat where a scan holds nothing: its lowest value, padding or air; ``None`` without heat."""
    positive = np.clip(heat.voxels, 0, None).astype(np.float64)
    total = float(positive.sum())
    return float(positive[scan.voxels <= scan.voxels.min()].sum()) / total if total else None


def localisation(heat: NDArray[np.float32], truth: NDArray[np.bool_]) -> dict[str, float]:
    """How a map on the cube meets the changed voxels; heat of either sign counts."""
    from voxtune.explanation.localisation import localise

    return asdict(localise(np.abs(heat), truth))


def text_facts(loaded: "LoadedAdapter", case: Case, report: str | None) -> dict[str, Any] | None:
    """Words and biomarkers of the scan's own report by Integrated Gradients; ``None`` without a report."""
    from voxtune.explanation.integrated_gradients import attribute_report

    if report is None:
        return None
    return attribution_facts(attribute_report(loaded, case.tensor, report))


def attribution_facts(found: "TextAttribution") -> dict[str, Any]:
    """An attribution as JSON."""
    return {
        "report": found.text,
        "words": [{"text": word.text, "value": word.value, "part": word.part} for word in found.words],
        "parts": found.parts,
        "frame": found.frame,
        "score": found.score,
        "baseline": found.baseline,
        "steps": found.steps,
        "completeness_error": found.completeness_error,
    }


def columns_of(reports: Mapping[str, str], asked: Sequence[str], profile: "Profile") -> dict[str, str]:
    """The biomarkers of a figure: what to ask for -> its name, those asked for or all that the reports name."""
    from voxtune.explanation.biomarkers import find_part, report_parts

    names = profile.biomarkers
    if not reports:
        known = {plain(word): name for key, name in names.items() for word in (key, f"{key}_mm3", name)}
        if unknown := [one for one in asked if plain(one) not in known]:
            raise UsageError(
                f"Biomarker '{unknown[0]}': without a report of the scan it is one of {', '.join(names)}; a report "
                "(--report, --facts or --data) may name others."
            )
        return {one: known[plain(one)] for one in asked} or dict(names)
    parts = report_parts(next(iter(reports.values())), profile)
    if asked:
        return {one: find_part(parts, one, profile).name for one in asked}
    return {part.name: part.name for part in parts[:8]}


def _panel(
    loaded: "LoadedAdapter", preset: "Preset", case: Case, question: Question, said: Mapping[str, Any]
) -> tuple[dict[tuple[str, str], Volume], dict[str, Any]]:
    """The figure of the paper: a row for each report or class, a column for the whole and for each biomarker kept alone."""
    from voxtune.explanation.heat_map import explain_targets
    from voxtune.explanation.placement import to_stored
    from voxtune.explanation.region_table import on_cube
    from voxtune.imaging.presets import Brain

    asked, regions = PANELS[loaded.facts.task](loaded, case, question, said)
    maps = dict(zip(asked, explain_targets(loaded, case.tensor, list(asked.values())), strict=True))
    placed = {place: to_stored(one.voxels, case.stored, preset) for place, one in maps.items()}
    brain = isinstance(preset.steps, Brain)
    return placed, {
        "rows": list(dict.fromkeys(row for row, _ in asked)),
        "columns": list(dict.fromkeys(column for _, column in asked)),
        "method": next(iter(maps.values())).method,
        "with_values": bool(case.reports),
        "shares": _own_shares({at: on_cube(one) for at, one in placed.items()}, regions) if brain else [],
    }


Pictures = tuple[dict[tuple[str, str], "Target"], dict[str, tuple[int, ...]]]
"""What a figure shows by row and column, and the atlas labels of the columns that have a place."""


def _likeliest_shown(
    row: str, loaded: "LoadedAdapter", case: Case, question: Question, said: Mapping[str, Any]
) -> Pictures:
    """The findings, or the horizons of an event, that the model finds likeliest."""
    from voxtune.explanation.target import class_target

    del case, question
    first = sorted(said["probabilities"], key=lambda name: -said["probabilities"][name])[:FINDINGS_SHOWN]
    return {(row, name): class_target(loaded, name) for name in first}, {}


def _classes_shown(
    loaded: "LoadedAdapter", case: Case, question: Question, said: Mapping[str, Any]
) -> Pictures:
    """Each report or class, whole and with one biomarker kept alone."""
    from voxtune.explanation.target import choose_target, class_target, text_target

    del said
    asked: dict[tuple[str, str], Target] = {}
    columns = columns_of(case.reports, question.biomarkers, loaded.config.known_profile)
    for row in case.reports or loaded.facts.classes:
        report = case.reports.get(row)
        asked[row, FULL if report else ALONE] = (
            text_target(loaded, report) if report else class_target(loaded, row)
        )
        for key, name in columns.items():
            asked[row, name] = choose_target(
                loaded, case.tensor, row if not report else "report", key, report
            )
    places = {name: region_of(key, loaded.config.known_profile) for key, name in columns.items()}
    return asked, {name: labels for name, labels in places.items() if labels}


def _targets_shown(
    loaded: "LoadedAdapter", case: Case, question: Question, said: Mapping[str, Any]
) -> Pictures:
    """Each predicted number, or the report that was given."""
    from voxtune.explanation.target import number_target

    if case.reports:
        return _classes_shown(loaded, case, question, said)
    return {("predicted", name): number_target(loaded, name) for name in loaded.facts.targets}, {}


PANELS: Mapping[str, Callable[["LoadedAdapter", Case, Question, Mapping[str, Any]], Pictures]] = {
    "diagnosis": _classes_shown,
    "findings": partial(_likeliest_shown, "present"),
    "regression": _targets_shown,
    "time_to_event": partial(_likeliest_shown, "event by"),
}
"""What the figure of an explanation shows, by the task of the adapter."""


def region_of(biomarker: str, profile: "Profile") -> tuple[int, ...]:
    """The atlas labels of a biomarker by its column or its name in a report; empty for the whole brain and unknown ones."""
    named = {one.name: one.labels for one in profile.regions.values() if one.text}
    columns = {column.removesuffix("_mm3"): one.labels for column, one in profile.regions.items() if one.text}
    if biomarker.removesuffix("_mm3") in columns:
        return columns[biomarker.removesuffix("_mm3")]
    # 'Hippocampal Vol' and 'Hippocampal volume' are one biomarker: the first six letters decide where the whole name does not.
    start = [labels for name, labels in named.items() if name[:6].lower() == biomarker[:6].lower()]
    return named.get(biomarker, start[0] if start else ())


def _own_shares(
    heat: Mapping[tuple[str, str], NDArray[np.float32]], regions: Mapping[str, tuple[int, ...]]
) -> list[dict[str, Any]]:
    """For each biomarker with a place: its region's share of the heat with the biomarker alone and with the full report."""
    from voxtune.explanation.randomised import correlation
    from voxtune.explanation.region_table import SIZE, share_in
    from voxtune.imaging.template import brain_mask

    found = []
    for (row, column), one in heat.items():
        if column not in regions:
            continue
        whole = heat.get((row, FULL), heat.get((row, ALONE)))
        assert whole is not None
        alone, full = share_in(one, regions[column]), share_in(whole, regions[column])
        found.append(
            {
                "row": row, "biomarker": column, "alone": none_if_nan(alone), "full": none_if_nan(full),
                "correlation": correlation(one, whole, brain_mask(SIZE)),
            }
        )  # fmt: skip
    return found


def none_if_nan(value: float) -> float | None:
    """Missing is ``None`` in JSON."""
    return None if math.isnan(value) else value


def _drops(occlusion: "HeatMap", atlas: "Atlas") -> dict[int, float]:
    """The fall of the score for each region, from the map it was painted into."""
    sums = np.bincount(atlas.labels.ravel(), weights=occlusion.whole.ravel().astype(np.float64))
    return {label: float(sums[label]) * occlusion.peak for label in atlas.names}
