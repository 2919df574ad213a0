"""``voxtune predict``: what an adapter sees in one scan or several, with a page for each; one bad scan never stops the rest."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voxtune.errors import DataError, ScanError, SomeScansFailedError, VoxTuneError
from voxtune.run_dir import write_text
from voxtune.types.records import Prediction


@dataclass(frozen=True)
class Predicted:
    """Predictions, their pages, and the scans that failed with their sentence."""

    predictions: list[Prediction]
    pages: list[Path]
    failed: list[tuple[str, str]]
    adapter: str
    base: str
    simulated: bool
    error: VoxTuneError | None

    def as_json(self) -> dict[str, Any]:
        """The contract of ``predict --json``: one object; for one scan its own, for several a list under ``scans``."""
        found = [
            {
                "scan": one.scan_id,
                "predicted": one.predicted,
                "probabilities": one.probabilities,
                "mmse": one.mmse,
                "adapter": self.adapter,
                "base": self.base,
                "simulated": self.simulated,
                "page": str(page),
            }
            for one, page in zip(self.predictions, self.pages, strict=True)
        ]
        failed = [{"scan": name, "error": why} for name, why in self.failed]
        return found[0] if len(found) == 1 and not failed else {"scans": found, "failed": failed}

    @property
    def summary(self) -> str:
        """A line for each scan."""
        lines = []
        for one, page in zip(self.predictions, self.pages, strict=True):
            chances = ", ".join(f"{name} {value:.2f}" for name, value in one.probabilities.items())
            score = f"; MMSE {one.mmse:.1f}" if one.mmse is not None else ""
            lines.append(f"{one.scan_id}: {one.predicted} ({chances}){score}\n  page: {page}")
        if self.simulated:
            lines.append("This adapter was trained on SIMULATED scans: it says nothing about a real person.")
        lines.append("Research only, not for diagnosis.")
        return "\n".join(lines)


def predict(
    adapter: Path,
    scans: Sequence[Path],
    *,
    output: Path | None = None,
    base: Path | None = None,
    stripped: bool | None = None,
    say: Callable[[str], None] | None = None,
) -> Predicted:
    """Preprocess and score every scan, and write a page for each.

    Args:
        adapter: the adapter's folder, or a run directory.
        scans: scan files or folders.
        output: where the pages go; otherwise ``predictions`` in the current folder.
        base: weights of the base, where they are not shipped.
        stripped: whether the skull is gone already; ``None``: look, scan by scan.
        say: takes a line for each failed scan.

    Raises:
        ScanError: the only scan cannot be read.
        DataError: none of several scans can be read.
        WeightsError: the adapter does not load.
    """
    for scan in scans:  # a wrong name should not cost the time of loading a model
        if not scan.exists() and len(scans) == 1:
            raise ScanError(scan, "no such file", "Give a NIfTI file or a DICOM folder.")
    from voxtune.pages.scan_page import scan_page
    from voxtune.serving.predictor import Predictor

    folder = (
        adapter / "adapter"
        if (adapter / "config.json").is_file() and not (adapter / "adapter.json").is_file()
        else adapter
    )
    predictor = Predictor(folder, base)
    facts = predictor.adapter.facts
    target = output or Path("predictions")
    found: list[Prediction] = []
    pages: list[Path] = []
    failed: list[tuple[str, str]] = []
    for number, scan in enumerate(scans):
        try:
            result = predictor.predict(scan, name=scan_label(scan), stripped=stripped)
        except ScanError as error:
            failed.append((scan.name, str(error)))
            if say is not None and len(scans) > 1:
                say(str(error))
            continue
        page = target / f"{page_name(scan_label(scan), number, [scan_label(one) for one in scans])}.html"
        write_text(
            page,
            scan_page(
                result.prediction,
                result.preprocessed.volume,
                facts.model_dump(mode="json"),
                result.preprocessed.record.model_dump(mode="json"),
            ),
        )
        found.append(result.prediction)
        pages.append(page)
    if not found:
        if len(failed) == 1:
            raise ScanError(*_parts(failed[0]))
        raise DataError(" ".join(why for _, why in failed))
    some = SomeScansFailedError(len(failed), len(scans), "the list above") if failed else None
    return Predicted(found, pages, failed, folder.name, facts.base, facts.simulated, some)


def scan_label(scan: Path) -> str:
    """What a scan is called: its file name; a preprocessed ``<scan_id>/volume.nii.gz`` goes by its folder."""
    return scan.resolve().parent.name if scan.name == "volume.nii.gz" else scan.name


def page_name(label: str, number: int, labels: Sequence[str]) -> str:
    """The file name of a scan's page: its label made safe, with a number where two scans share it."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", re.sub(r"\.nii(\.gz)?$", "", label)).strip("._") or "scan"
    return f"{plain}-{number + 1}" if labels.count(label) > 1 else plain


def _parts(failure: tuple[str, str]) -> tuple[str, str]:
    name, sentence = failure
    return name, sentence.removeprefix(f"{name}: ")
