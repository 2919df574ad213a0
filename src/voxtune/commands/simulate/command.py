"""``voxtune simulate``: a cohort whose truth is known, on disk: scans, manifest, truth, raw heads and a page. SIMULATED."""

import gzip
import hashlib
import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from voxtune.data.manifest import write_manifest, write_table
from voxtune.errors import SettingError, UsageError
from voxtune.progress import progress
from voxtune.run_dir import output_folder, write_bytes
from voxtune.simulate.brains import render
from voxtune.simulate.follow_up import MCI, true_risks
from voxtune.simulate.records import manifest_row
from voxtune.simulate.subjects import CLASSES, SOURCE, CohortSettings, Scan, disease, scans
from voxtune.types.event import read_event
from voxtune.types.records import ManifestRow
from voxtune.types.seed import check_seed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from voxtune.simulate.scanner import Scanner
    from voxtune.types.volume import Volume

TRUTH_COLUMNS = (
    "scan_id", "participant_id", "visit", "severity", "cognition", "reserve", "head_scale", "seed", "atrophy",
    "true_class", "subtype", "vascular", "other_cause", "template",
    "brain_template_mm3", "hippocampus_template_mm3", "ventricles_template_mm3", "entorhinal_template_mm3",
    "fusiform_template_mm3", "middle_temporal_template_mm3",
)  # fmt: skip
ENOUGH = 30
"""Participants from which on it is said how well the best reader and simple rules do."""
LATER: dict[str, object] = {"population": "separable", "confounding": 0.0, "event": None}
"""Settings that earlier versions had not, and what they did: at that they are left out of the record, so that their folders are known again."""
ATROPHY_STEP = 1e-4
"""Log volume change of one unit in the stored map (int16)."""


def simulate(  # noqa: PLR0913  (the options of the command)
    out: Path,
    *,
    participants: int = 200,
    visits: int = 3,
    seed: int = 0,
    scanners: int = 3,
    difficulty: float = 1.0,
    proportions: tuple[float, float, float] | None = None,
    population: str = "separable",
    confounding: float = 0.0,
    raw_heads: int = 0,
    event: str | None = None,
) -> Path:
    """Write a simulated cohort and return its manifest; the same arguments give the same bytes.

    ``OUT/manifest.tsv``, ``OUT/scans/<scan_id>.nii.gz`` (64^3, 3 mm, template space, [0, 1]), ``OUT/truth/truth.tsv`` and
    ``OUT/truth/<scan_id>_atrophy.nii.gz`` (log volume change by disease), ``OUT/truth/limits.json`` and ``posterior.tsv`` (the best
    possible, and rules that need no model; from 30 participants on), ``OUT/simulation.json`` (the settings),
    ``OUT/raw/manifest.tsv`` with ``raw_heads`` heads as they come from a scanner, ``OUT/page.html``.

    Args:
        out: folder, made if absent.
        participants: people.
        visits: most visits of one person, a year apart; where the population says so, people leave before.
        seed: of everything.
        scanners: how many scanners the cohort was scanned on.
        difficulty: scales what hides the disease; lower is easier, higher harder.
        proportions: of NC, MCI and AD at the first visit; a third each by default.
        population: what people are like: ``separable`` or ``published``.
        confounding: part of the participants whose scanner is chosen by their true class.
        raw_heads: also write this many first visits as raw heads with skull, bias, noise and odd orientation.
        event: how people with MCI go on, as ``conversion`` or ``conversion(rate=0.2, dropout=0.3)``: its columns are in the manifest, the true
            risks in ``OUT/truth/risk.tsv``.

    Raises:
        SettingError: a setting has a value it cannot have.
        UsageError: the folder holds another simulated cohort.
    """
    check_seed(seed)
    from voxtune.simulate.scanner import Scanner

    chosen: dict[str, Any] = {} if proportions is None else {"proportions": proportions}
    chosen |= {} if event is None else {"event": read_event(event)}
    try:
        settings = CohortSettings(
            participants=participants,
            visits=visits,
            seed=seed,
            scanners=scanners,
            difficulty=difficulty,
            population=population,
            confounding=confounding,
            **chosen,
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise SettingError(
            str(first["loc"][0]) if first["loc"] else "proportions", first["msg"], first["input"]
        ) from None
    text = json.dumps({"source": SOURCE, **recorded(settings)}, indent=2, sort_keys=True) + "\n"
    record = out / "simulation.json"
    with output_folder(out):
        if record.is_file() and record.read_text(encoding="utf-8") != text:
            raise UsageError(
                f"'{out.name}' holds a cohort simulated with other settings; give another folder, or remove it first."
            )
        digest = hashlib.sha256(text.encode()).hexdigest()
        for folder in (out / "scans", out / "truth"):
            folder.mkdir(parents=True, exist_ok=True)
        machines = [Scanner.drawn(seed, index) for index in range(scanners)]

        rows: list[ManifestRow] = []
        truth: list[dict[str, object]] = []
        pictures: list[dict[str, float]] = []
        planned = list(scans(settings))
        with progress("Simulating", len(planned)) as advance:
            for scan in planned:
                row, fact, seen = _write_scan(out, settings, scan, machines[scan.participant.scanner], digest)
                rows.append(row)
                truth.append(fact)
                pictures.append(seen)
                advance("")
        _replace(record, text.encode())
        write_table(out / "truth" / "truth.tsv", TRUTH_COLUMNS, truth)
        manifest = write_manifest(rows, out / "manifest.tsv")
        if raw_heads:
            write_raw_heads(out, settings, rows, raw_heads)
        limits = None
        if settings.event is not None:  # the class is what people are chosen by, not what is asked
            _write_risks(out, settings, planned)
        elif participants >= ENOUGH:
            limits = _write_limits(out, settings, planned, rows, pictures)
        _replace(out / "page.html", _page(out, settings, rows, limits).encode())
        return manifest


def recorded(settings: CohortSettings) -> dict[str, Any]:
    """The settings as ``simulation.json`` holds them."""
    dumped = settings.model_dump(mode="json")
    return {name: value for name, value in dumped.items() if name not in LATER or value != LATER[name]}


def _write_risks(out: Path, settings: CohortSettings, planned: list[Scan]) -> None:
    """The true risk after each scan of a person at risk, by each year of the study."""
    assert settings.event is not None
    years = range(1, int(settings.event.years) + 1)
    names = [f"risk_{year}" for year in years]
    table = [
        {"scan_id": scan.scan_id, "participant_id": scan.participant.participant_id}
        | dict(zip(names, (round(one, 6) for one in true_risks(settings, scan, years)), strict=True))
        for scan in planned
        if scan.participant.kind == MCI
    ]
    write_table(out / "truth" / "risk.tsv", ("scan_id", "participant_id", *names), table)


def _write_limits(
    out: Path,
    settings: CohortSettings,
    planned: list[Scan],
    rows: list[ManifestRow],
    pictures: list[dict[str, float]],
) -> dict[str, Any]:
    """What the best reader of pictures and rules that need no model get here: ``limits.json`` and ``posterior.tsv``."""
    from voxtune.simulate.best_possible import best_possible
    from voxtune.simulate.simple_rules import simple_rule_accuracies

    best = best_possible(settings, planned)
    limits: dict[str, Any] = {
        "simulated": True,
        "scans": len(rows),
        "best_possible": {
            "accuracy": best.accuracy,
            "expected_accuracy": best.expected,
            "between_halves_of_the_draws": best.between_halves,
        },
        "rules": simple_rule_accuracies([row.model_dump() for row in rows], pictures),
    }
    _replace(out / "truth" / "limits.json", (json.dumps(limits, indent=1, sort_keys=True) + "\n").encode())
    columns = ("scan_id", *(f"p_{name}" for name in CLASSES))
    table = [
        dict(zip(columns, (scan.scan_id, *(round(float(p), 6) for p in row)), strict=True))
        for scan, row in zip(planned, best.posterior, strict=True)
    ]
    write_table(out / "truth" / "posterior.tsv", columns, table)
    return limits


def write_raw_heads(out: Path, settings: CohortSettings, rows: list[ManifestRow], count: int) -> Path:
    """Write ``OUT/raw``: the first visits of the first ``count`` participants as raw heads, with a manifest of their own."""
    from voxtune.imaging.write import write_volume
    from voxtune.simulate.brains import anatomy_of
    from voxtune.simulate.heads import raw_head
    from voxtune.simulate.seeds import Branch, generator

    known = {row.scan_id: row for row in rows}
    first = (scan for scan in scans(settings) if scan.visit == 0)
    raw: list[ManifestRow] = []
    for scan in itertools.islice(first, count):
        head = raw_head(
            anatomy_of(settings, scan),
            scan.participant.head,
            generator(Branch.RAW_HEAD, settings.seed, scan.participant.index),
        )
        image = f"heads/{scan.scan_id}_raw.nii.gz"
        write_volume(head.with_voxels(head.voxels.round()), out / "raw" / image, simulated=True)
        raw.append(known[scan.scan_id].model_copy(update={"scan_id": f"{scan.scan_id}_raw", "image": image}))
    return write_manifest(raw, out / "raw" / "manifest.tsv")


def _page(out: Path, settings: CohortSettings, rows: list[ManifestRow], limits: dict[str, Any] | None) -> str:
    from voxtune.pages.cohort_page import Example, class_order, cohort_page

    examples = []
    for kind in class_order(rows):
        # The scan whose MMSE is the median of its class.
        own = sorted(
            (row for row in rows if row.diagnosis == kind), key=lambda row: (row.mmse or 0, row.scan_id)
        )
        row = own[len(own) // 2]
        examples.append(
            Example(
                f"{kind}, MMSE {row.mmse:g}",
                _read(out / row.image),
                _read(out / "truth" / f"{row.scan_id}_atrophy.nii.gz"),
            )
        )
    return cohort_page(rows, examples, recorded(settings), limits)


def _read(path: Path) -> "Volume":
    from voxtune.imaging.read import read_map

    return read_map(path)


def _write_scan(
    out: Path, settings: CohortSettings, scan: Scan, scanner: "Scanner", digest: str
) -> tuple[ManifestRow, dict[str, object], dict[str, float]]:
    import numpy as np

    from voxtune.simulate.anatomy import points
    from voxtune.simulate.atrophy import atrophy_map
    from voxtune.simulate.simple_rules import picture_numbers

    volume, anatomy = render(settings, scan, scanner)
    image = f"scans/{scan.scan_id}.nii.gz"
    write_nifti(out / image, np.round(volume.voxels * 255).astype(np.uint8), volume.affine, 1 / 255)
    atrophy = f"{scan.scan_id}_atrophy.nii.gz"
    change = (
        points().volume(atrophy_map(anatomy, disease(settings, scan.participant, scan.severity))).voxels
        / ATROPHY_STEP
    )
    write_nifti(out / "truth" / atrophy, np.round(change).astype(np.int16), volume.affine, ATROPHY_STEP)

    person = scan.participant
    row = manifest_row(settings, scan, anatomy, scanner, image=image, digest=digest)
    counted = anatomy.volumes()
    fact: dict[str, object] = {
        "scan_id": scan.scan_id,
        "participant_id": person.participant_id,
        "visit": scan.visit,
        "severity": round(scan.severity, 6),
        "cognition": round(scan.cognition, 6),
        "reserve": round(person.reserve, 6),
        "head_scale": round(person.head, 6),
        "seed": settings.seed,
        "atrophy": atrophy,
        "true_class": scan.true_class,
        "subtype": person.subtype,
        "vascular": round(person.vascular, 6),
        "other_cause": person.other_cause,
        "template": person.template,
    }
    fact |= {
        column: round(counted[column.removesuffix("_template_mm3")], 1)
        for column in TRUTH_COLUMNS
        if column.endswith("_template_mm3")
    }
    return row, fact, picture_numbers(np.round(volume.voxels * 255) / np.float32(255))


def write_nifti(
    path: Path, voxels: "NDArray[np.uint8] | NDArray[np.int16]", affine: "NDArray[np.float64]", step: float
) -> None:
    """Write a small NIfTI whose value is ``voxels * step``; the same voxels give the same bytes, all at once or not at all."""
    import nibabel

    image = nibabel.Nifti1Image(voxels, affine)
    image.header.set_slope_inter(step, 0)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = SOURCE.encode()
    _replace(path, gzip.compress(_bytes_of(image, voxels), compresslevel=6, mtime=0))


def _bytes_of(image, voxels) -> bytes:  # type: ignore[no-untyped-def]  # nibabel ships no types
    # The header by nibabel, the voxels as they are: to_bytes would scale them once more.
    header = image.header.copy()
    header["vox_offset"] = 352
    header["magic"] = b"n+1"
    content: bytes = header.binaryblock + b"\0" * 4 + voxels.tobytes(order="F")
    return content


def _replace(path: Path, content: bytes) -> None:
    write_bytes(path, content, shared=True)  # nobody is in it
