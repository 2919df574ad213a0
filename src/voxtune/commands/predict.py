"""``voxtune predict``: what an adapter sees in one scan or several, with a page for each; one bad scan never stops the rest."""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxtune.errors import DataError, ScanError, SomeScansFailedError, VoxTuneError
from voxtune.run_dir import make_folder, write_text
from voxtune.storage.scratch import scratch
from voxtune.types.records import Prediction

if TYPE_CHECKING:
    from voxtune.model.adapter import AdapterFacts
    from voxtune.serving.answer import Answer
    from voxtune.serving.predictor import Predictor, ScanResult


@dataclass(frozen=True)
class Input:
    """One scan to predict: what it is called, where it is, and what a manifest says of it."""

    name: str
    path: Path
    participant_id: str | None = None
    diagnosis: str | None = None


@dataclass(frozen=True)
class Predicted:
    """Answers, and the scans that failed with their sentence."""

    answers: "list[Answer]"
    failed: list[tuple[str, str]]
    adapter: str
    facts: "AdapterFacts"
    table: Path
    note: str
    """What became of earlier answers in that table; empty where there were none."""
    error: VoxTuneError | None

    @property
    def predictions(self) -> list[Prediction]:
        """The predictions alone."""
        return [one.prediction for one in self.answers]

    def as_json(self) -> dict[str, Any]:
        """The contract of ``predict --json``: one object; for one scan its own, for several a list under ``scans``."""
        found = [
            one.as_json() | {"adapter": self.adapter, "base": self.facts.base, "simulated": one.simulated}
            for one in self.answers
        ]
        failed = [{"scan": name, "error": why} for name, why in self.failed]
        return found[0] if len(found) == 1 and not failed else {"scans": found, "failed": failed}

    def as_tsv(self) -> str:
        """The header of the table and the rows of this call."""
        header, *rows = self.table.read_text(encoding="utf-8").splitlines()
        return "\n".join([header, *rows[-len(self.answers) :]])

    @property
    def summary(self) -> str:
        """A few lines for each scan."""
        lines = [line for answer in self.answers for line in answer.lines()]
        if len(self.answers) > 1 or self.note:
            lines.append(f"Table: {self.table}" + (f". {self.note}" if self.note else ""))
        marked = sum(one.simulated for one in self.answers)
        if marked and not self.facts.simulated:
            lines.append(f"SIMULATED scans: {marked} of {len(self.answers)}.")
        if self.facts.simulated:
            lines.append("This adapter was trained on SIMULATED scans: it says nothing about a real person.")
        lines.append("Research only, not for diagnosis.")
        return "\n".join(lines)


def predict(  # noqa: PLR0913  (the options of the command)
    adapter: str | Path,
    scans: str | Path | Sequence[str | Path],
    *,
    output: str | Path | None = None,
    base: str | Path | None = None,
    stripped: bool | None = None,
    series: str | None = None,
    orientation: str | None = None,
    say: Callable[[str], None] | None = None,
) -> Predicted:
    """Preprocess and score every scan; write a page for each, and one table. Answers of earlier calls in it are kept.

    Args:
        adapter: the adapter's folder, a run directory, or ``demo`` for the shipped one.
        scans: NIfTI files, DICOM folders or zips, manifests, BIDS folders, or ``head`` for the shipped head.
        output: where pages and table go; otherwise ``predictions`` in the current folder.
        base: weights of the base, where they are not shipped.
        stripped: whether the skull is gone already; ``None``: look, scan by scan.
        series: a DICOM series by its UID, number or description; otherwise one is chosen by written rules.
        orientation: where the voxel axes point (``RAS``) in files whose header does not say or contradicts itself.
        say: takes a line for each failed scan.

    Raises:
        ScanError: the only scan cannot be read.
        DataError: none of several scans can be read.
        WeightsError: the adapter does not load.
    """
    from voxtune.imaging.affine import checked_axes
    from voxtune.serving.bundled import adapter_folder, base_file, scan_file

    orientation = orientation and checked_axes(orientation)
    sources = [Path(one) for one in ([scans] if isinstance(scans, str | Path) else scans)]
    home, weights = (None if one is None else Path(one) for one in (output, base))
    # Names are looked at first: a wrong one should not cost the time of loading a model.
    inputs = [one for scan in sources for one in inputs_of(scan_file(scan), alone=len(sources) == 1)]
    if not inputs:
        raise DataError("There is no scan to predict: the table is empty.")
    from voxtune.progress import progress
    from voxtune.serving.answers import FAILED, AnswerFolder
    from voxtune.serving.predictor import Predictor

    target = home or Path("predictions")
    folder = adapter_folder(Path(adapter))
    predictor = Predictor(folder, base_file(folder, weights))
    make_folder(target)  # before any scan is read, and after an adapter that is refused
    facts = predictor.adapter.facts
    kept = AnswerFolder(target, facts)
    answers: list[Answer] = []
    failed: list[tuple[str, str]] = []
    names = [one.name for one in inputs]
    pages = kept.pages(names, [page_name(names, number) for number in range(len(names))])
    with progress("Predicting", len(inputs)) as advance:
        for one, page in zip(inputs, pages, strict=True):
            try:
                result = predictor.predict(
                    one.path, name=one.name, stripped=stripped, series=series, orientation=orientation
                )
            except ScanError as error:
                failed.append((one.name, str(error)))
                if say is not None and len(inputs) > 1:
                    say(str(error))
            else:
                answers.append(_answer(predictor, one, result, page))
            if len(inputs) > 1:
                advance(one.name)
    if not answers:
        if len(failed) == 1:
            raise ScanError(failed[0][0], failed[0][1].removeprefix(f"{failed[0][0]}: "))
        raise DataError(" ".join(why for _, why in failed))
    done = kept.write(answers, failed)
    some = SomeScansFailedError(len(failed), len(inputs), kept.root / FAILED) if failed else None
    return Predicted(answers, failed, folder.name, facts, done.table, done.note, some)


def inputs_of(source: Path, *, alone: bool) -> list[Input]:
    """The scans behind one argument: itself, or those of a manifest or of a BIDS folder.

    Args:
        source: a scan, a manifest or a BIDS folder.
        alone: whether it is the only argument; its absence then is an error now, otherwise a failed scan later.

    Raises:
        ScanError: there is nothing of that name.
        TableError: the manifest cannot be read.
    """
    bids = source.is_dir() and (source / "participants.tsv").is_file()
    if not bids and source.suffix != ".tsv":
        if alone and not source.exists():
            raise ScanError(
                source,
                "no such file",
                "Give a NIfTI file, a DICOM folder or zip, a manifest or a BIDS folder.",
            )
        return [Input(scan_label(source), source)]
    from voxtune.data.manifest import read_manifest, resolve_image
    from voxtune.data.sources import as_manifest

    with scratch("predict") as folder:
        manifest = as_manifest(source, folder)
        return [
            Input(row.scan_id, _outside(resolve_image(manifest, row)), row.participant_id, row.diagnosis)
            for row in read_manifest(manifest)
        ]


def _outside(image: Path) -> Path:
    """The image without the scratch folder of its manifest, which goes; a link keeps its own name."""
    return image.parent.resolve() / image.name


def scan_label(scan: Path) -> str:
    """What a scan is called: its file name; a preprocessed ``<scan_id>/volume.nii.gz`` goes by its folder."""
    # A link goes by its own name: what git-annex links to is named by a checksum.
    whole = Path(os.path.abspath(scan))  # noqa: PTH100  (without following links)
    return whole.parent.name if whole.name == "volume.nii.gz" else whole.name


def page_name(labels: Sequence[str], number: int) -> str:
    """The file name of a scan's page: its label made safe, with a number where two scans would share it."""
    plain = [
        re.sub(r"[^A-Za-z0-9._-]+", "_", re.sub(r"\.nii(\.gz)?$", "", label)).strip("._") or "scan"
        for label in labels
    ]
    return f"{plain[number]}-{number + 1}" if plain.count(plain[number]) > 1 else plain[number]


def _answer(predictor: "Predictor", one: Input, result: "ScanResult", page: Path) -> "Answer":
    from voxtune.pages.scan_page import scan_page
    from voxtune.serving.answer import Answer

    prediction = result.prediction.model_copy(
        update={"participant_id": one.participant_id, "diagnosis": one.diagnosis}
    )
    facts = predictor.adapter.facts.model_dump(mode="json")
    facts["simulated"] |= result.preprocessed.record.simulated
    write_text(page, scan_page(prediction, result.caveats, result.preprocessed.volume, facts))
    targets = predictor.adapter.model.targets
    thresholds = facts["thresholds"] if predictor.question.choice == "each" else None
    return Answer(
        prediction, result.caveats, page, targets, simulated=facts["simulated"], thresholds=thresholds
    )
