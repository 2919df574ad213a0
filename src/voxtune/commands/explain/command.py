"""``voxtune explain``: what an answer rests on, and whether that can be believed; one scan, or the scans of a manifest."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxtune.commands.explain.control import find_control
from voxtune.commands.explain.done import ExplainDone, common_facts
from voxtune.errors import ScanError, UsageError
from voxtune.explanation.scan_explanation import Case, Explained, Question, columns_of, explain_scan
from voxtune.explanation.scan_reports import (
    facts_row,
    named_class,
    plain_name,
    read_report,
    reports_of_row,
    reports_of_text,
    row_of,
    truth_of,
)
from voxtune.explanation.verdicts import OPEN, hottest, panel_verdict, text_bars, verdicts, warnings
from voxtune.imaging.boundary import one_sentence
from voxtune.pages.slices import View, seen_from
from voxtune.run_dir import output_folder, write_json, write_text
from voxtune.types.seed import check_seed

if TYPE_CHECKING:
    from voxtune.model.adapter import LoadedAdapter
    from voxtune.types.reliability import Caveats

REGION_COLUMNS = ("label", "region", "share", "volume_share", "null_low", "null_high", "p", "q", "drop")


def explain(  # noqa: PLR0913  (the options of the command)
    adapter: str | Path,
    scan: str | Path,
    *,
    output: str | Path | None = None,
    base: str | Path | None = None,
    stripped: bool | None = None,
    series: str | None = None,
    orientation: str | None = None,
    target: str | None = None,
    biomarkers: Sequence[str] = (),
    method: str = "auto",
    report: str | Path | None = None,
    facts: Mapping[str, str] | None = None,
    data: str | Path | None = None,
    control: str | Path | None = None,
    limit: int = 20,
    seed: int = 0,
    device: str = "auto",
    view: View = "radiological",
    say: Callable[[str], None] | None = None,
) -> ExplainDone:
    """Explain one scan, or with a manifest in its place the scans of a cohort by stage.

    Args:
        adapter: the adapter's folder, a run directory, or ``demo``.
        scan: a scan, ``head``, or a ``manifest.tsv``.
        output: folder to write; otherwise ``explanations/<scan>`` in the current folder.
        base: weights of the base, where they are not shipped.
        stripped: whether the skull is gone already; ``None``: look.
        series: a DICOM series by its UID, number or description; otherwise one is chosen by written rules.
        orientation: where the voxel axes point (``RAS``), for a header that does not say or contradicts itself.
        target: a class or finding, ``mmse``, or ``report``; ``None``: the predicted class (of a manifest: the last class).
        biomarkers: those to keep alone; otherwise all that the report names.
        method: ``auto``, ``grad_eclip``, ``grad_activation``, ``voxel_gradient`` or ``occlusion``.
        report: a text file with the scan's report.
        facts: values by manifest column (``hippocampus_mm3``, ...) to write a report of.
        data: a manifest that has a row for the scan, and with simulated scans their truth beside it.
        control: an adapter trained on shuffled labels, for the check of that name; ``None``: that of ``train --control``.
        limit: scans of each class, of a manifest.
        seed: of null maps, shuffled weights and random orders.
        device: ``auto`` (a GPU where there is one), ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        view: ``radiological`` (the person's right on the left of a picture) or ``neurological``.
        say: hears a line as each part begins.

    Raises:
        ScanError: the scan cannot be read.
        UsageError: an unknown target, method or biomarker; two sources of the report.
        WeightsError: an adapter does not load.
    """
    from voxtune.serving.bundled import adapter_folder, base_file, scan_file

    folder, scan = adapter_folder(Path(adapter)), scan_file(Path(scan))
    home, weights, text, table, rival = (
        None if one is None else Path(one) for one in (output, base, report, data, control)
    )
    if not scan.exists():
        raise ScanError(scan, "no such file", "Give a NIfTI file, a DICOM folder or a manifest.tsv.")
    if sum(one is not None and bool(one) for one in (report, facts, data)) > 1:
        raise UsageError("The report comes from one place: give one of --report, --facts and --data.")
    from voxtune.data.images import load_preset, prepare_scan
    from voxtune.explanation.heat_map import check_asked
    from voxtune.imaging.affine import checked_axes
    from voxtune.model.adapter import load_adapter
    from voxtune.model.device import on_device
    from voxtune.serving.predictor import Predictor
    from voxtune.types.verdict import given

    tell = say or (lambda _: None)
    with on_device(device):
        loaded = load_adapter(folder, base_file(folder, weights))
        other = find_control(folder, loaded, rival, weights)
    preset = load_preset(loaded.facts.preset)
    place = home or Path("explanations") / ("cohort" if scan.suffix == ".tsv" else plain_name(scan))
    with output_folder(place):  # before any scan is read, and after an adapter that is refused
        question = Question(target, method, tuple(biomarkers), check_seed(seed))
        check_asked(loaded, target, method, biomarkers)
        axes = orientation and checked_axes(orientation)
        if scan.suffix == ".tsv":
            from voxtune.commands.explain.cohort import explain_cohort

            if report is not None or facts or data is not None:
                raise UsageError(
                    "The rows of a manifest bring their own facts: leave out --report, --facts and --data."
                )
            with seen_from(view):
                return explain_cohort(loaded, preset, scan, question, place, other, limit, tell)
        told = _told(loaded, scan, biomarkers, report=text, facts=facts, data=table)
        tell("Preprocessing")
        prepared = prepare_scan(scan, preset, stripped=stripped, series=series, orientation=axes)
        made = prepared.preprocessed
        told["simulated"] |= made.record.simulated
        case = Case(plain_name(scan), made.volume, prepared.tensor, **told)
        tell("Explaining")
        with one_sentence(case.name, "explained"):
            found = explain_scan(loaded, preset, case, question, other)
        answer, caveats = Predictor(loaded).judge(case.name, case.tensor, made)
        said = given(answer, caveats.verdict)
        found.facts["prediction"]["mmse"] = said.mmse
        if "targets" in found.facts["prediction"]:
            found.facts["prediction"]["targets"] = dict(said.targets)
        computed = found.facts["prediction"]["predicted"]
        if not caveats.verdict.answered:
            found.facts["prediction"]["predicted"] = None
        tell("Drawing")
        shown = case.own or computed
        with seen_from(view):
            return _write(loaded, case, found, caveats, question, place, shown)


def _told(
    loaded: "LoadedAdapter",
    scan: Path,
    biomarkers: Sequence[str],
    *,
    report: Path | None,
    facts: Mapping[str, str] | None,
    data: Path | None,
) -> dict[str, Any]:
    """What is known of a scan besides its voxels, as fields of a ``Case``."""
    row = row_of(data, scan) if data is not None else None
    reports: dict[str, str] = {}
    if report is not None:
        reports = reports_of_text(read_report(report), loaded.facts.classes, loaded.config.known_profile)
    elif facts or row is not None:
        reports = reports_of_row(loaded, row or facts_row(facts or {}), facts or ())
    if biomarkers:
        columns_of(reports, biomarkers, loaded.config.known_profile)  # said before the scan is read
    own = row.diagnosis if row is not None and row.diagnosis in reports else None
    named = named_class(report, reports, loaded.config.known_profile)
    return {
        "reports": reports,
        "own": own or (next(iter(reports)) if len(reports) == 1 else named),
        "participant": row.participant_id if row is not None else "",
        "diagnosis": row.diagnosis if row is not None else None,
        "truth": truth_of(data, row.scan_id) if data is not None and row is not None else None,
        "simulated": row is not None and row.simulated,
    }


def _write(
    loaded: "LoadedAdapter",
    case: Case,
    found: Explained,
    caveats: "Caveats",
    question: Question,
    folder: Path,
    shown: str | None,
) -> ExplainDone:
    from voxtune.data.manifest import write_table
    from voxtune.explanation.concepts import concept_table
    from voxtune.explanation.faithfulness import ORDERS
    from voxtune.imaging.write import write_volume
    from voxtune.pages.explain_page import explain_page
    from voxtune.pages.explain_prints import write_scan_prints

    facts = {**found.facts, **common_facts(loaded, question.seed), "caveats": caveats.model_dump(mode="json")}
    facts["simulated"] |= case.simulated
    rows = verdicts(facts["checks"], facts["text"], facts["maps"]["heat"]["peak"])
    facts |= {"verdicts": rows, "warnings": warnings(rows), "orders": ORDERS}
    if facts["panel"]["shares"]:
        facts["panel"]["verdict"] = panel_verdict(facts["panel"]["shares"], shown or "")
    if facts["text"] is not None:
        facts["text"]["bars"] = text_bars(facts["text"])
    facts["concepts"] = concept_table(facts["regions"], facts["text"], loaded.config.known_profile)
    files = []
    for name, heat in found.maps.items():
        files.append(f"{name}.nii.gz")
        write_volume(heat, folder / files[-1], "template" if facts["regions"] else "scanner")
    write_volume(case.stored, folder / "scan.nii.gz", "template" if facts["regions"] else "scanner")
    files.append("scan.nii.gz")
    if facts["regions"]:
        files.append("regions.tsv")
        write_table(folder / "regions.tsv", REGION_COLUMNS, facts["regions"])
    facts["files"] = [*files, "explanation.json", "page.html"]
    facts["lines"] = [
        f"{case.name}: {caveats.verdict}",
        f"{case.name}: what raises {facts['target']['says']}, by {facts['maps']['heat']['title']}. {hottest(facts['regions'])}".strip(),
        *caveats.warnings(),
        *(
            f"{row['check']} {row['verdict']}{': ' + row['found'] if row['verdict'] == OPEN else ''}."
            for row in rows
        ),
    ]
    write_json(folder / "explanation.json", facts)
    page = folder / "page.html"
    write_text(page, explain_page(facts, case.stored, found.maps, found.panel))
    write_scan_prints(facts, case.stored, found.maps, folder)
    return ExplainDone(page, facts)
