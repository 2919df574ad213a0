"""``voxtune similar``: the participants nearest to a scan by image, text or both, why they are, and how their outcomes spread."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxtune import __version__
from voxtune.cases.vectors import case_of, cases_of_rows, silent_reports, text_vectors
from voxtune.commands.similar.bank import Bank, asked_row, bank_of, pictured_in, spelled_as, training_side
from voxtune.commands.similar.measure import measure, measured_lines, notes
from voxtune.errors import ScanError, SomeScansFailedError, UsageError
from voxtune.run_dir import output_folder, write_json, write_text
from voxtune.types.records import ManifestRow
from voxtune.types.seed import check_seed

if TYPE_CHECKING:
    from voxtune.cases.nearest import By
    from voxtune.model.adapter import LoadedAdapter

COUNT = 5
"""Neighbours, where nobody says how many."""
FACTS, PAGE, FAILED = "similar.json", "page.html", "failed.tsv"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Similar:
    """What was found, as JSON and for a person."""

    facts: dict[str, Any]
    lines: tuple[str, ...]
    page: Path | None = None
    error: SomeScansFailedError | None = None
    """Scans of the bank, or of the manifest, could not be read; the rest is done."""

    def as_json(self) -> dict[str, Any]:
        """``similar.json``."""
        return self.facts | ({} if self.page is None else {"page": str(self.page)})

    @property
    def summary(self) -> str:
        """A few lines for a person."""
        more = [] if self.page is None else [f"Page: {self.page}"]
        return "\n".join([*self.lines, *more])


def similar(  # noqa: PLR0913  (the options of the command)
    adapter: str | Path,
    scan: str | Path,
    *,
    data: str | Path | None = None,
    split: str | Path | None = None,
    by: "By | None" = None,
    count: int | None = None,
    participant: str | None = None,
    facts: Mapping[str, str] | None = None,
    output: str | Path | None = None,
    base: str | Path | None = None,
    stripped: bool | None = None,
    series: str | None = None,
    orientation: str | None = None,
    seed: int = 0,
    device: str = "auto",
    say: Say = print,
) -> Similar:
    """Find the participants nearest to a scan; with a manifest in its place, measure how well its scans find each other.

    Args:
        adapter: the adapter's folder, a run, or ``demo`` for the shipped one.
        scan: a scan, ``head``, ``person``, or a ``manifest.tsv`` of preprocessed scans.
        data: manifest of preprocessed scans, the bank; ``None``: the bank that the adapter keeps (``export --case-bank``).
        split: a split folder whose training side is the bank; of a run its own; otherwise every row of the manifest, which is said.
        by: ``image``, ``text`` or ``both``; ``None``: both where the scan has facts, else the image.
        count: neighbours; ``None``: five, of the groups beside an adapter three and no more than half.
        participant: whose scan it is; nobody is their own neighbour. A row of ``data`` with this image says it too.
        facts: values by manifest column, to make a text of.
        output: the folder of ``similar.json`` and ``page.html``; nothing is written without.
        base: weights of the base, where they are not shipped.
        stripped: whether the skull is gone already; ``None``: look.
        series: a DICOM series by its UID, number or description.
        orientation: where the voxel axes point (``RAS``), for a header that does not say or contradicts itself.
        seed: of the intervals of a measurement.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        say: takes lines for a person.

    Raises:
        UsageError: no bank, or facts that no report says.
        ScanError: the scan cannot be read.
        DataError: nobody else is in the bank, or texts are asked for and there are none.
        WeightsError: the adapter does not load.
    """
    check_seed(seed)
    from voxtune.imaging.affine import checked_axes
    from voxtune.model.adapter import load_adapter
    from voxtune.model.device import on_device
    from voxtune.serving.bundled import adapter_folder, base_file, scan_file

    place, folder, file = Path(adapter), adapter_folder(Path(adapter)), scan_file(Path(scan))
    if not file.exists():
        raise ScanError(file, "no such file", "Give a NIfTI file, a DICOM folder or a manifest.tsv.")
    if count is not None and count < 1:
        raise UsageError(f"--count takes a whole number of at least 1, got {count}.")
    weights = base_file(folder, None if base is None else Path(base))
    axes = orientation and checked_axes(orientation)
    target = None if output is None else Path(output)
    with on_device(device), ExitStack() as held:
        loaded = load_adapter(folder, weights)
        held.enter_context(output_folder(target))
        if file.suffix == ".tsv":
            if data is not None or split is not None or facts:
                raise UsageError(
                    "A manifest is measured by its own scans: leave out --data, --split and --facts."
                )
            return _measured(*measure(loaded, file, seed, say, training_side(place, None)), target)
        bank = bank_of(loaded, place, folder, None if data is None else Path(data), split, say)
        from voxtune.data.images import load_preset, prepare_scan

        prepared = prepare_scan(
            file, load_preset(loaded.facts.preset), stripped=stripped, series=series, orientation=axes
        )
        row = bank.row_of(file, prepared.preprocessed.record.input_sha256) if bank.sources else None
        asked = asked_row(loaded, row, file, participant, facts or {})
        done = _searched(
            loaded, bank, asked, prepared, by, count, known=participant is not None or row is not None
        )
        return _written(done, target)


def _searched(
    loaded: "LoadedAdapter", bank: Bank, asked: ManifestRow, prepared: Any, by: "By | None", count: int | None, *, known: bool
) -> dict[str, Any]:  # fmt: skip
    from dataclasses import replace

    from voxtune.cases.bank import cases_of, read_bank
    from voxtune.cases.beside import groups_shown, similar_facts, standing_facts
    from voxtune.cases.nearest import nearest
    from voxtune.cases.outcomes import outcome_names
    from voxtune.evaluation.encode import encode
    from voxtune.serving.predictor import Predictor
    from voxtune.types.verdict import given

    profile = loaded.config.known_profile
    ((_, image),) = encode(loaded.model, ["scan"], lambda _: prepared.tensor, loaded.model.encode_image)
    texts = silent_reports(loaded, [asked], bank.norms) if by != "image" else {}
    words = text_vectors(loaded, texts).get(asked.scan_id)
    query = case_of(asked, image.vector[0].double().cpu().numpy(), words, loaded, bank.norms)
    if not known:
        query = replace(query, participant=None)
    how: By = by or ("both" if words is not None and bank.sources is not None else "image")
    if bank.sources is None:
        kept = read_bank(bank.folder, loaded.facts.adapter_sha256)
        assert kept is not None
        cases = cases_of(kept, loaded.facts.targets, outcome_names(loaded))
        marked, fewest = kept.simulated, kept.fewest
    else:
        cases = cases_of_rows(loaded, bank.sources, bank.norms, texts=how != "image")
        marked, fewest = any(row.simulated for row in bank.sources.rows), 1
    spelled = spelled_as(bank, asked) if known else frozenset()
    count = count or (groups_shown(cases) if bank.sources is None else COUNT)
    near = nearest(query, cases, how, count, spelled, pictured_in(bank, prepared.preprocessed.volume))
    answer, caveats = Predictor(loaded).judge(asked.scan_id, prepared.tensor, prepared.preprocessed)
    found = similar_facts(query, near, cases, profile, groups=bank.sources is None)
    have = bank.norms is not None and any(name in query.values for name in bank.norms.norms.regions)
    return {
        "prediction": given(answer, caveats.verdict),
        "caveats": caveats,
        "adapter": loaded.facts.model_dump(mode="json"),
        "similar": found | {"person_known": known, "simulated": marked, "fewest": fewest},
        "standing": standing_facts(bank.norms.standings(asked), profile) if have and bank.norms else None,
        "failed": () if bank.sources is None else bank.sources.failed,
        "rows": 0 if bank.sources is None else len(bank.sources.rows),
        "simulated": loaded.facts.simulated or marked or prepared.preprocessed.record.simulated,
    }


def _written(done: dict[str, Any], target: Path | None) -> Similar:
    from voxtune.pages.person_paragraph import person_paragraph
    from voxtune.pages.similar_page import similar_page

    prediction, caveats, similar_ = done["prediction"], done["caveats"], done["similar"]
    paragraph = person_paragraph(prediction, caveats, done["adapter"], similar_, done["standing"])
    facts = {
        "scan": prediction.scan_id,
        "verdict": str(caveats.verdict),
        "predicted": prediction.predicted,
        **similar_,
        "percentiles": done["standing"],
        "paragraph": [{"text": one.text, "rests_on": list(one.rests_on)} for one in paragraph],
        "failed": [list(one) for one in done["failed"]],
        "adapter_sha256": done["adapter"]["adapter_sha256"],
        "simulated": done["simulated"],
        "voxtune": __version__,
    }
    lines = ["SIMULATED." if done["simulated"] else "", " ".join(one.text for one in paragraph)]
    for one in similar_["neighbours"]:
        why = [*(f"agrees: {text}" for text in one["agree"][:2]), *(f"differs: {text}" for text in one["differ"][:2])]  # fmt: skip
        text = "" if one["text"] is None else f", text {one['text']:.3f}"
        lines.append(f"  {one['name']}: {_became(one)}, image {one['image']:.3f}{text}{'; ' if why else ''}{'; '.join(why)}")  # fmt: skip
    if similar_["wordless"]:
        lines.append(
            f"{similar_['wordless']} participants of the bank have no report to compare; --by image compares all."
        )
    lines.append("Research only, not for diagnosis.")
    page = None
    if target is not None:
        page = target / PAGE
        write_json(target / FACTS, facts)
        shown = similar_page(
            prediction, caveats, done["adapter"], similar_, done["standing"], simulated=done["simulated"]
        )
        write_text(page, shown)
    error = _lost(done["failed"], done["rows"], target)
    return Similar(facts, tuple(line for line in lines if line), page, error)


def _lost(failed: Sequence[tuple[str, str]], done: int, target: Path | None) -> SomeScansFailedError | None:
    """The error of scans that could not be read, which their table names; none where all could."""
    from voxtune.data.manifest import write_table

    table = "what is printed above" if target is None else target / FAILED
    if isinstance(table, Path):
        table.unlink(missing_ok=True)
        if failed:
            write_table(
                table, ("scan_id", "error"), [{"scan_id": name, "error": why} for name, why in failed]
            )
    return SomeScansFailedError(len(failed), len(failed) + done, table) if failed else None


def _became(one: Mapping[str, Any]) -> str:
    """The diagnosis of a neighbour, or its findings; of a group with how many of it have one."""
    there = [
        name if share == 1 else f"{name} ({share:.0%})" for name, share in one["outcomes"].items() if share
    ]
    known = [one["diagnosis"]] if one["diagnosis"] else []
    return ", ".join([*known, *there]) or ("none of the findings" if one["outcomes"] else "no diagnosis")


def _measured(found: dict[str, Any], failed: Sequence[tuple[str, str]], target: Path | None) -> Similar:
    page = None
    if target is not None:
        from voxtune.pages.retrieval_page import retrieval_page

        page = target / PAGE
        write_json(target / "retrieval.json", found, shared=True)
        write_text(page, retrieval_page(found, notes(found)), shared=True)
    return Similar(found, tuple(measured_lines(found)), page, _lost(failed, found["n_scans"], target))
