"""The scans of a manifest explained one after the other: which ones, what is kept of each, and their mean maps by group."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from voxtune.errors import DataError
from voxtune.explanation.cohort_summary import Gathered, tokens_of
from voxtune.explanation.scan_explanation import (
    FULL,
    Case,
    Control,
    Question,
    attribution_facts,
    checks,
    columns_of,
    localisation,
    region_of,
)
from voxtune.types.volume import Volume

if TYPE_CHECKING:
    from voxtune.imaging.presets import Preset
    from voxtune.model.adapter import LoadedAdapter
    from voxtune.types.records import ManifestRow


def choose_rows(
    manifest: Path, loaded: "LoadedAdapter", target: str, limit: int, seed: int
) -> list[tuple[str, "ManifestRow"]]:
    """One scan of each of up to ``limit`` participants of each group: the diagnosis, or the target finding there or not.

    Raises:
        DataError: no row belongs to a group.
    """
    from voxtune.data.manifest import read_manifest
    from voxtune.data.simulated import with_marks
    from voxtune.model.questions import question_of

    question = question_of(loaded.facts)
    rows = with_marks(manifest, read_manifest(manifest))
    order = np.random.default_rng(seed).permutation(len(rows))
    taken: dict[str, list[int]] = {}
    seen: set[str] = set()
    for place in order.tolist():
        group, person = question.group(rows[place], target), rows[place].participant_id
        if group is None or person in seen or len(taken.get(group, ())) >= limit:
            continue
        seen.add(person)
        taken.setdefault(group, []).append(place)
    if not taken:
        raise DataError(
            f"{manifest.name}: no row can be put in a group to explain '{target}'; expected a class of the adapter or a known label of the "
            f"finding ({', '.join(question.names)})."
        )
    stages = [name for name in loaded.facts.classes if name in taken] or sorted(taken)
    return [(group, rows[place]) for group in stages for place in sorted(taken[group])]


def gather(  # noqa: PLR0913  (what is asked of each scan)
    gathered: Gathered,
    loaded: "LoadedAdapter",
    preset: "Preset",
    case: Case,
    group: str,
    question: Question,
    control: Control,
    *,
    curves: bool,
) -> dict[str, Any]:
    """Explain one scan and keep what the group needs of it: all of it, or nothing where explaining fails."""
    one_scan = Gathered()
    says = _gathered(one_scan, loaded, preset, case, group, question, control, curves=curves)
    gathered.add(one_scan)
    return says


def _gathered(  # noqa: PLR0913  (what is asked of each scan)
    one_scan: Gathered,
    loaded: "LoadedAdapter",
    preset: "Preset",
    case: Case,
    group: str,
    question: Question,
    control: Control,
    *,
    curves: bool,
) -> dict[str, Any]:
    from voxtune.explanation.heat_map import explain_targets
    from voxtune.explanation.integrated_gradients import attribute_report
    from voxtune.explanation.placement import stored_atlas, to_stored
    from voxtune.explanation.region_table import on_cube, share_in
    from voxtune.explanation.regions import brain_atlas
    from voxtune.explanation.target import choose_target, text_target
    from voxtune.imaging.presets import Brain
    from voxtune.model.questions import question_of

    report = case.reports.get(case.own) if case.own else None
    target = choose_target(loaded, case.tensor, question.target, report=report)
    [heat] = explain_targets(loaded, case.tensor, [target], question.method)
    one_scan.groups.append(group)
    one_scan.participants.append(case.participant)
    brain = isinstance(preset.steps, Brain)
    columns: dict[str, str] = {}
    main = on_cube(to_stored(heat.voxels, case.stored, preset)) if brain else None
    if main is not None:
        atlas = brain_atlas(len(main))
        positive = np.clip(main, 0, None)
        sums = np.bincount(atlas.labels.ravel(), weights=positive.ravel().astype(np.float64))
        total = float(positive.sum()) or 1.0
        one_scan.regions.append({name: float(sums[label]) / total for label, name in atlas.names.items()})
        _add(one_scan, (group, target.name), main)
    if report is not None:
        said = attribution_facts(attribute_report(loaded, case.tensor, report))
        one_scan.parts.append(said["parts"])
        one_scan.frames.append(said["frame"])
        one_scan.errors.append(said["completeness_error"])
        one_scan.tokens.append(tokens_of(said, loaded.config.known_profile))
    if report is not None and main is not None and question_of(loaded.facts).biomarkers:
        columns = columns_of(case.reports, question.biomarkers, loaded.config.known_profile)
        asked = [text_target(loaded, report), *(text_target(loaded, report, keep=key) for key in columns)]
        maps = [
            on_cube(to_stored(one.voxels, case.stored, preset))
            for one in explain_targets(loaded, case.tensor, asked)
        ]
        for name, one in zip((FULL, *columns.values()), maps, strict=True):
            _add(one_scan, (group, name), one)
        one_scan.moves.append(
            {
                name: (share_in(one, labels), share_in(maps[0], labels))
                for (key, name), one in zip(columns.items(), maps[1:], strict=True)
                if (labels := region_of(key, loaded.config.known_profile))
            }
        )
    made = checks(loaded, preset, case, target, heat, question, control, curves=curves)
    control_value = made["shuffled_labels"]
    nothing = heat.peak == 0  # an empty map is like no other, and that is no merit
    one_scan.empty += nothing
    one_scan.shuffled.append(float("nan") if nothing else made["shuffled_weights"]["mean"])
    one_scan.controls.append(float("nan") if nothing or control_value is None else control_value)
    one_scan.curves += made.get("curves", [])
    if case.truth is not None and main is not None:
        [hidden] = explain_targets(
            loaded, case.tensor, [target], "occlusion", stored_atlas(case.stored, preset)
        )
        there = {heat.method: main, "occlusion": on_cube(to_stored(hidden.voxels, case.stored, preset))}
        one_scan.found.append({name: localisation(one, case.truth) for name, one in there.items()})
    else:
        one_scan.found.append({})
    return {
        "target": {"name": target.name, "says": target.says}, "method": heat.method, "meaning": heat.meaning,
        "columns": list(columns.values()),
    }  # fmt: skip


def _add(gathered: Gathered, place: tuple[str, str], heat: NDArray[np.float32]) -> None:
    gathered.sums[place] = gathered.sums.get(place, np.zeros(heat.shape)) + heat


def mean_maps(gathered: Gathered) -> dict[tuple[str, str], Volume]:
    """Mean relative heat by stage and column, in template space, the strongest place of all pictures of a column 1."""
    from voxtune.imaging.template import field_of_view

    found = {}
    for (group, column), total in gathered.sums.items():
        mean = total / gathered.groups.count(group)
        found[group, column] = Volume(mean.astype(np.float32), field_of_view(len(mean)))
    for column in {column for _, column in found}:
        peak = (
            max(float(np.abs(one.voxels).max()) for (_, name), one in found.items() if name == column) or 1.0
        )
        for place in [place for place in found if place[1] == column]:
            found[place] = found[place].with_voxels((found[place].voxels / peak).astype(np.float32))
    return found
