"""``voxtune drift``: are scans without labels like those an adapter was made with, and what to do if not."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxtune import __version__
from voxtune.errors import DataError, SomeScansFailedError, UsageError
from voxtune.run_dir import output_folder, write_json, write_text

if TYPE_CHECKING:
    from voxtune.evaluation.drift import Drift
    from voxtune.evaluation.reference import Seen
    from voxtune.evaluation.weighted_metrics import Floats
    from voxtune.model.adapter import LoadedAdapter
    from voxtune.types.records import ManifestRow

FACTS, PAGE, FAILED = "drift.json", "page.html", "failed.tsv"
FAILED_COLUMNS = ("scan_id", "participant_id", "error")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Drifted:
    """What was found, as JSON and for a person."""

    found: "Drift"
    facts: dict[str, Any]
    folder: Path | None = None
    error: SomeScansFailedError | None = None

    def as_json(self) -> dict[str, Any]:
        """``drift.json``."""
        return self.facts

    @property
    def summary(self) -> str:
        """A few lines for a person."""
        found = self.found
        lines = ["SIMULATED scans." if self.facts["simulated"] else "", found.sentence, found.power]
        lines += [f"Differs: {', '.join(found.found)}." if found.found else ""]
        lines += [found.mix.sentence if found.mix else f"Mix of classes not estimated: {found.no_mix}."]
        lines += [
            found.accuracy.sentence if found.accuracy else f"Accuracy not estimated: {found.no_accuracy}."
        ]
        lines += [f"- {one}" for one in found.advice()]
        if self.folder is not None:
            lines.append(f"Page: {self.folder / PAGE}")
        return "\n".join(line for line in lines if line)


def drift(
    adapter: str | Path,
    manifest: str | Path,
    output: str | Path | None = None,
    *,
    reference: str | Path | None = None,
    base: str | Path | None = None,
    device: str = "auto",
    say: Say = print,
) -> Drifted:
    """Hold the scans of a manifest, whose labels are not looked at, against the validation participants of an adapter.

    A participant counts once, by one scan drawn by chance. Written to ``output``: ``drift.json`` and ``page.html``; neither names a scan.

    Args:
        adapter: the adapter's folder, a run, or ``demo`` for the shipped one.
        manifest: ``manifest.tsv`` of scans preprocessed with the adapter's preset.
        output: the folder to write; nothing is written without.
        reference: the manifest of scans to compare with in their place, such as the training cohort's.
        base: weights of the base, where they are not shipped.
        device: ``auto`` (a GPU where there is one), ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        say: takes lines for a person.

    Raises:
        UsageError: a device that is not there, or an adapter from before there was drift and no reference.
        WeightsError: the adapter does not load.
        DataError: no scan can be read, or a scan stands in both manifests.
    """
    from voxtune.data.manifest import file_sha256
    from voxtune.evaluation.drift import find_drift
    from voxtune.model.adapter import load_adapter, read_facts
    from voxtune.model.device import on_device
    from voxtune.serving.bundled import adapter_folder, base_file

    folder, table = adapter_folder(Path(adapter)), Path(manifest)
    target = None if output is None else Path(output)
    trust = read_facts(folder).trust
    kept = None if trust.familiar is None else trust.reference
    if kept is None and reference is None:
        raise UsageError(
            "This adapter keeps nothing to compare scans with (made before VoxTune had drift, or with fewer than 10 validation participants): "
            "give the manifest of its training cohort, --reference MANIFEST."
        )
    if reference is not None:
        _check_apart(table, Path(reference))
    with on_device(device), ExitStack() as held:
        loaded = load_adapter(folder, base_file(folder, None if base is None else Path(base)))
        held.enter_context(output_folder(target))
        new = _looked_at(loaded, table)
        other = None if reference is None else _looked_at(loaded, Path(reference))
        seen, compared = _seen(loaded, new, other)
        found = find_drift(seen, kept, compared, loaded.facts.trust.familiar, chances=new.probabilities)
        looked = [new, *([other] if other else [])]
        facts = found.as_json() | {
            "adapter_sha256": loaded.facts.adapter_sha256,
            "base": loaded.facts.base,
            "preset": loaded.facts.preset,
            "manifest_sha256": file_sha256(table),
            "reference_manifest_sha256": None if reference is None else file_sha256(Path(reference)),
            "failed": len(new.failed),
            "simulated": loaded.facts.simulated or any(row.simulated for one in looked for row in one.rows),
            "voxtune": __version__,
        }
        for one in looked:
            for _, why in one.failed:
                say(why)
        error = None
        if target is not None:
            error = _write(target, facts, new)
        return Drifted(found, facts, target, error)


@dataclass(frozen=True)
class _Cohort:
    """The scans of a manifest as the model saw them."""

    manifest: Path
    rows: "list[ManifestRow]"
    failed: "list[tuple[ManifestRow, str]]"
    features: "Floats"
    """(n, F)."""
    probabilities: "Floats | None"
    """(n, k), of one class among several."""


def _check_apart(manifest: Path, reference: Path) -> None:
    """See that no scan is on both sides: people who are compared with themselves are always alike.

    Raises:
        DataError: the first such scan is named.
    """
    from voxtune.data.manifest import read_manifest, resolve_image

    def images(table: Path) -> dict[Path, str]:
        found = {}
        for row in read_manifest(table):
            with suppress(DataError):  # a row whose image is nowhere is said where it is read
                found[resolve_image(table, row).resolve()] = row.scan_id
        return found

    new, old = images(manifest), images(reference)
    if both := [new[path] for path in new if path in old]:
        raise DataError(
            f"{len(both)} scans stand in both manifests, first '{both[0]}': the reference must be of other people than the scans it is compared with."
        )


def _looked_at(loaded: "LoadedAdapter", manifest: Path) -> _Cohort:
    """Every scan that can be read, seen once.

    Raises:
        DataError: none can.
    """
    from voxtune.data.images import load_preset, readable, scan_reader
    from voxtune.data.manifest import read_manifest
    from voxtune.data.simulated import with_marks

    rows = with_marks(manifest, read_manifest(manifest))
    read = scan_reader(manifest, rows, load_preset(loaded.facts.preset))
    good, failed = readable(rows, read)
    if not good:
        raise DataError(
            f"None of the {len(rows)} scans can be read. The first: {failed[0][1] if failed else 'the table has no row'}"
        )
    features, probabilities = _encoded(loaded, [row.scan_id for row in good], read)
    return _Cohort(manifest, good, failed, features, probabilities)


def _encoded(
    loaded: "LoadedAdapter", names: Sequence[str], read: "Callable[[str], Any]"
) -> "tuple[Floats, Floats | None]":
    import torch

    from voxtune.evaluation.encode import encode
    from voxtune.evaluation.ood_detection import pooled_features
    from voxtune.model.questions import encoded_texts, question_of
    from voxtune.progress import progress

    model, question = loaded.model, question_of(loaded.facts)
    texts = encoded_texts(model, question.texts) if question.choice == "one" and question.names else []

    def see(inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        found = model.vision(inputs)
        logits = model.class_logits(model.read_image(found), texts).float().cpu() if texts else None
        return pooled_features(model, found).cpu(), logits

    features, logits = [], []
    with progress("Looking", len(names)) as advance:
        for some, (one, said) in encode(model, names, read, see):
            features.append(one)
            logits += [] if said is None else [said]
            for name in some:
                advance(name)
    whole = torch.cat(features).double().numpy()
    return whole, question.probabilities(torch.cat(logits)) if logits else None


def _seen(loaded: "LoadedAdapter", new: _Cohort, other: _Cohort | None) -> "tuple[Seen, Seen | None]":
    """The figures of each scan; of two cohorts along directions of both, which do not know which scan is of which."""
    import numpy as np

    from voxtune.evaluation.reference import Seen
    from voxtune.evaluation.scan_figures import Basis, recorded_figures, records_of

    familiar = loaded.facts.trust.familiar
    if other is not None:
        basis = Basis.of_both(np.concatenate([new.features, other.features]))
    else:
        assert familiar is not None, "otherwise a reference was asked for"
        basis = Basis.of_training(familiar)

    def of(cohort: _Cohort) -> Seen:
        records = records_of(cohort.manifest, cohort.rows)
        figures = [
            basis.figures(one) | recorded_figures(records[row.scan_id], row)
            for one, row in zip(cohort.features, cohort.rows, strict=True)
        ]
        return Seen.of(cohort.rows, figures)

    return of(new), None if other is None else of(other)


def _write(folder: Path, facts: dict[str, Any], new: _Cohort) -> SomeScansFailedError | None:
    """The page, ``drift.json``, and ``failed.tsv`` where a scan failed."""
    from voxtune.data.manifest import write_table
    from voxtune.pages.drift_page import drift_page

    write_json(folder / FACTS, facts, shared=True)
    write_text(folder / PAGE, drift_page(facts), shared=True)
    if not new.failed:
        (folder / FAILED).unlink(missing_ok=True)
        return None
    lost = [
        {"scan_id": row.scan_id, "participant_id": row.participant_id, "error": why}
        for row, why in new.failed
    ]
    write_table(folder / FAILED, FAILED_COLUMNS, lost)
    return SomeScansFailedError(len(new.failed), len(new.failed) + len(new.rows), folder / FAILED)
