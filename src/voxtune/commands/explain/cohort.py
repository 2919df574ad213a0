"""``voxtune explain ADAPTER MANIFEST``: biomarkers and regions by stage, the tokens of Table 6, and the checks with intervals."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxtune.commands.explain.done import ExplainDone, common_facts
from voxtune.data.manifest import write_table
from voxtune.errors import DataError, ScanError, SomeScansFailedError
from voxtune.explanation.cohort_explanation import choose_rows, gather, mean_maps
from voxtune.explanation.cohort_summary import Gathered, group_lines, group_warnings, summarised
from voxtune.explanation.scan_explanation import Case, Control, Question
from voxtune.explanation.scan_reports import reports_of_row, truth_of
from voxtune.imaging.boundary import one_sentence
from voxtune.progress import progress
from voxtune.run_dir import write_json, write_text
from voxtune.types.volume import Volume

if TYPE_CHECKING:
    from voxtune.imaging.presets import Preset
    from voxtune.model.adapter import LoadedAdapter
    from voxtune.types.records import ManifestRow

CHECKED = 6
"""Scans on which deletion and insertion are run; the other checks are run on all."""


def explain_cohort(  # noqa: PLR0913, PLR0917  (what ``explain`` hands on)
    loaded: "LoadedAdapter",
    preset: "Preset",
    manifest: Path,
    question: Question,
    folder: Path,
    control: Control,
    limit: int,
    tell: Callable[[str], None],
) -> ExplainDone:
    """Explain one scan of each of up to ``limit`` participants of each stage, and put them together.

    Raises:
        DataError: no row has a class of the adapter.
    """
    from voxtune.explanation.heat_map import TITLES
    from voxtune.pages.explain_group_page import explain_group_page
    from voxtune.pages.explain_prints import write_group_prints

    target = question.target or (loaded.facts.classes or loaded.facts.targets[:1])[-1]
    question = Question(target, question.method, question.biomarkers, question.seed)
    chosen = choose_rows(manifest, loaded, target, limit, question.seed)
    gathered = Gathered()
    read = _reader(manifest, preset)
    last: dict[str, Any] = {}
    failed: list[dict[str, str]] = []
    with progress("Explaining scans", len(chosen)) as advance:
        for number, (group, row) in enumerate(chosen):
            spread = max(1, len(chosen) // CHECKED)
            try:
                with one_sentence(row.scan_id, "explained"):
                    case = _case(loaded, manifest, row, *read(row))
                    last = gather(
                        gathered, loaded, preset, case, group, question, control, curves=number % spread == 0
                    )
            except ScanError as error:
                failed.append({"scan_id": row.scan_id, "reason": str(error)})
                tell(str(error))
            advance(row.scan_id)
    if not gathered.groups:
        raise DataError(f"Every scan failed ({len(failed)}). The first: {failed[0]['reason']}")
    table = folder / "failed.tsv"
    table.unlink(missing_ok=True)
    if failed:
        write_table(table, ("scan_id", "reason"), failed)
    tell("Drawing")
    facts = summarised(gathered, question.seed) | common_facts(loaded, question.seed)
    facts |= {
        "cohort": manifest.parent.name, "limit": limit, "target": last["target"], "method": last["method"],
        "title": TITLES[last["method"]], "meaning": last["meaning"], "columns": last["columns"], "control": control.note,
        "simulated": loaded.facts.simulated or any(row.simulated for _, row in chosen),
    }  # fmt: skip
    files = _write_maps(gathered, folder) if gathered.sums else []
    facts["files"] = [*files, "explanation.json", "page.html"]
    facts["warnings"] = group_warnings(facts)
    facts["lines"] = group_lines(facts)
    write_json(folder / "explanation.json", facts)
    page = folder / "page.html"
    write_text(page, explain_group_page(facts, mean_maps(gathered)))
    write_group_prints(facts, folder)
    return ExplainDone(page, facts, SomeScansFailedError(len(failed), len(chosen), table) if failed else None)


def _case(loaded: "LoadedAdapter", manifest: Path, row: "ManifestRow", stored: Volume, tensor: Any) -> Case:
    reports = reports_of_row(loaded, row)
    own = row.diagnosis if row.diagnosis in reports else next(iter(reports), None)
    return Case(
        row.scan_id,
        stored,
        tensor,
        reports,
        own,
        row.participant_id,
        row.diagnosis,
        truth_of(manifest, row.scan_id),
    )


def _write_maps(gathered: Gathered, folder: Path) -> list[str]:
    from voxtune.imaging.write import write_volume

    files = []
    for (group, column), heat in mean_maps(gathered).items():
        name = re.sub(r"[^A-Za-z0-9]+", "_", f"mean_{group}_{column}").strip("_").lower()
        write_volume(heat, folder / f"{name}.nii.gz", "template")
        files.append(f"{name}.nii.gz")
    return files


def _reader(manifest: Path, preset: "Preset") -> Callable[["ManifestRow"], tuple[Volume, Any]]:
    import torch

    from voxtune.data.manifest import resolve_image
    from voxtune.imaging.chain import preprocess_scan
    from voxtune.imaging.presets import fits
    from voxtune.imaging.read import read_scan
    from voxtune.imaging.stored import check_stored
    from voxtune.imaging.tensor import to_tensor

    def read(row: "ManifestRow") -> tuple[Volume, Any]:
        image = resolve_image(manifest, row)  # here, so that one bad row stops no other scan
        check_stored(image)
        volume = read_scan(image)
        if not fits(volume, preset):
            volume = preprocess_scan(image, preset).volume
        return volume, torch.from_numpy(to_tensor(volume, preset))

    return read
