"""The scans of a reproduction: the reader's own manifests or two simulated cohorts, one split, and each model's input of them."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from voxtune.commands.crew import processors
from voxtune.commands.reproduce.externals import External, external_roles, external_sides
from voxtune.commands.reproduce.paper import Paper, Role
from voxtune.errors import DataError, ScanError, SomeScansFailedError, UsageError
from voxtune.run_dir import read_json, write_json
from voxtune.storage.lock import waited
from voxtune.types.records import ManifestRow

SEED = 0
"""Of the simulated cohort in the role of the paper's own, and of the one split."""
EXTERNAL_SEED, EXTERNAL_SCANNERS = 1000, 5
"""The simulated cohort in the role of the external one has other people and other scanners."""
SIMULATED_TEST = 0.3
"""Share of simulated participants on the test side: training is short, intervals are what is scarce."""

PREPROCESSING = 8
"""Processes at most; each may take 3 GB."""

if TYPE_CHECKING:
    from voxtune.types.volume import Volume

Say = Callable[[str], None]


@dataclass(frozen=True)
class Request:
    """Which scans the command was asked for."""

    data: Path | None = None
    external: tuple[External, ...] = ()
    """Other cohorts to be tested on."""
    participants: int | None = None
    """Of the simulated cohort, where ``data`` is not given; ``None``: the paper's default."""


@dataclass(frozen=True)
class Sources:
    """The manifests of a reproduction by role."""

    root: Path
    manifests: Mapping[Role, Path]
    simulated: bool
    names: Mapping[Role, str] = field(default_factory=dict)
    """Of cohorts that the paper does not have."""

    def split(self, share: float | None = None) -> Path:
        """The folder of the split: all training scans, or a nested share of them."""
        return self.root / "split" / ("whole" if share is None else f"share-{round(100 * share)}")


def find_sources(root: Path, paper: Paper, asked: Request, shares: Sequence[float], say: Say) -> Sources:
    """The cohorts and their splits, made once in ``root`` however many processes ask at the same time.

    Raises:
        UsageError: ``root`` belongs to another reproduction, or there is an external cohort without ``data``.
        DataError: the external cohort shares scans or participants with the training cohort.
    """
    if asked.external and asked.data is None:
        raise UsageError("--external needs --data: one cohort to train on, another to be tested on.")
    people = asked.participants or paper.participants
    others = external_roles(paper, asked.external)
    with waited(root / "locks", "sources"):
        if asked.data is None:
            said: dict[str, object] = {"simulated": True, "participants": people}
        else:
            from voxtune.data.manifest import file_sha256

            said = {
                "data_sha256": file_sha256(asked.data),
                "external_sha256": _said_of({role: file_sha256(path) for role, (_, path) in others.items()}),
            }
        same_reproduction(root, {"paper": paper.name} | said)
        manifests: dict[Role, Path] = {}
        if asked.data is None:
            own = root / "data" / "own"
            simulated = {"findings": _simulated_chests, "diagnosis": _simulated_brains}[paper.task]
            manifests["own"] = simulated(own, people, say)
            if paper.external_classes:
                manifests["external"] = _external(root, paper, people, say)
        else:
            manifests["own"] = asked.data
            manifests |= {role: path for role, (_, path) in others.items()}
        _refuse_acquaintances(manifests)
        sources = Sources(
            root,
            manifests,
            simulated=asked.data is None or _says_simulated(asked.data),
            names={role: name for role, (name, _) in others.items()},
        )
        _split(sources, paper, shares, test=SIMULATED_TEST if asked.data is None else 0.2)
    return sources


def _said_of(hashes: Mapping[Role, str]) -> object:
    """Of one cohort in the paper's first place its hash alone, as earlier versions wrote it."""
    if hashes.keys() <= {"external"}:
        return hashes.get("external")
    return dict(hashes)


def same_reproduction(root: Path, said: dict[str, object]) -> None:
    """Write down what a folder holds, or check that it holds this.

    Raises:
        UsageError: it holds another reproduction.
    """
    record = root / "reproduction.json"
    if record.is_file():
        known = read_json(record, "what is reproduced here")
        if known != said:
            other = ", ".join(
                sorted(key for key in known.keys() | said.keys() if known.get(key) != said.get(key))
            )
            raise UsageError(
                f"'{root.name}' holds another reproduction (another {other}); give another -o, or the same options."
            )
        return
    write_json(record, said)


def _simulated(folder: Path, participants: int, seed: int, scanners: int, say: Say) -> Path:
    from voxtune.commands.simulate.command import simulate

    if (folder / "page.html").is_file():  # written last
        return folder / "manifest.tsv"
    say(f"SIMULATED cohort of {participants} participants, {scanners} scanners")
    return simulate(folder, participants=participants, seed=seed, scanners=scanners)


def _simulated_brains(folder: Path, participants: int, say: Say) -> Path:
    return _simulated(folder, participants, SEED, 3, say)


def _simulated_chests(folder: Path, participants: int, say: Say) -> Path:
    from voxtune.commands.simulate.chest import simulate_chest

    if (folder / "page.html").is_file():  # written last
        return folder / "manifest.tsv"
    say(f"SIMULATED chest cohort of {participants} participants")
    return simulate_chest(folder, participants=participants, seed=SEED)


def _external(root: Path, paper: Paper, participants: int, say: Say) -> Path:
    """The scans of the second simulated cohort that have one of the external classes."""
    from voxtune.data.manifest import read_manifest, write_manifest

    manifest = root / "data" / "external" / "manifest.tsv"
    if not manifest.is_file():
        people = max(30, participants * 6 // 10)
        whole = _simulated(root / "data" / "external-whole", people, EXTERNAL_SEED, EXTERNAL_SCANNERS, say)
        rows = [row for row in read_manifest(whole) if row.diagnosis in paper.external_classes]
        write_manifest(
            [row.model_copy(update={"image": str((whole.parent / row.image).resolve())}) for row in rows],
            manifest,
        )
    return manifest


def _refuse_acquaintances(manifests: Mapping[Role, Path]) -> None:
    from voxtune.data.manifest import read_manifest

    own = read_manifest(manifests["own"])
    for role in external_sides(manifests):
        external = read_manifest(manifests[role])
        for column in ("scan_id", "participant_id"):
            both = sorted({getattr(row, column) for row in own} & {getattr(row, column) for row in external})
            if both:
                raise DataError(
                    f"{len(both)} values of {column} are in both cohorts, first '{both[0]}'; the external cohort must hold other people."
                )


def _says_simulated(manifest: Path) -> bool:
    from voxtune.data.manifest import read_manifest
    from voxtune.data.simulated import with_marks

    return any(row.simulated for row in with_marks(manifest, read_manifest(manifest)))


def _split(sources: Sources, paper: Paper, shares: Sequence[float], test: float) -> None:
    """The one split, and nested shares of its training and validation sides with the same test side."""
    from voxtune.data.manifest import file_sha256, read_manifest
    from voxtune.data.split_files import read_split, write_split
    from voxtune.data.splits import SplitSettings, make_split
    from voxtune.tasks.classification import labelled

    manifest = sources.manifests["own"]
    sha256 = file_sha256(manifest)
    rows = read_manifest(manifest)
    rows = {"findings": lambda: rows, "diagnosis": lambda: labelled(rows, (), lambda _: None)}[paper.task]()
    whole = sources.split()
    if not (whole / "split.json").is_file():
        write_split(make_split(rows, SplitSettings(test=test), SEED), whole, sha256, manifest)
    split = read_split(whole)
    by_scan = {row.scan_id: row for row in rows}
    for share in shares:
        folder = sources.split(share)
        if (folder / "split.json").is_file():
            continue
        # Who has fewer labelled scans has fewer of them for everything: validation shrinks with training.
        sides = {
            side: _share_of([by_scan[scan] for scan in scans], share)
            for side, scans in (("train", split.train), ("val", split.val))
        }
        write_split(replace(split, **sides, subsets={}), folder, sha256, manifest)  # type: ignore[arg-type]


def _share_of(rows: Sequence[ManifestRow], share: float) -> tuple[str, ...]:
    """The scans of whole participants, about this share of all, each diagnosis in proportion; smaller shares lie in larger ones."""
    from voxtune.data.splits import SplitSettings, make_split

    ordered = list(dict.fromkeys(row.participant_id for row in rows))
    size = max(1, round(share * len(rows)))
    one = make_split(rows, SplitSettings(test=0, val=0, train_sizes=(size,)), SEED)
    assert ordered
    return one.subsets[size]


def prepared(sources: Sources, role: Role, preset: str) -> Path:
    """The manifest of a cohort as the model of ``preset`` takes it; made once, in the reproduction's own folder.

    Scans preprocessed for this preset are taken as they are. Brains in template space are resampled to the preset's grid.
    Anything else goes through ``voxtune preprocess``; scans that fail there are left out, and its page says why.
    """
    from voxtune.data.images import load_preset
    from voxtune.data.manifest import read_manifest
    from voxtune.imaging.presets import Brain, fits
    from voxtune.imaging.template import field_of_view

    manifest = sources.manifests[role]
    chosen = load_preset(preset)
    rows = read_manifest(manifest)
    first = _first_readable(manifest, rows)
    if first is not None and fits(first, chosen):
        return manifest
    folder = sources.root / "data" / f"{role}-{preset}"
    with waited(sources.root / "locks", f"data-{role}-{preset}"):
        if (folder / "manifest.tsv").is_file():
            return folder / "manifest.tsv"
        if first is not None and isinstance(chosen.steps, Brain):
            size = first.shape[0]
            if first.shape == (size,) * 3 and _close(first.affine, field_of_view(size)):
                return _resampled(manifest, rows, folder, chosen.steps.grid)
        from voxtune.commands.preprocess import preprocess

        try:
            return preprocess(manifest, folder, preset=preset, workers=min(processors(), PREPROCESSING))
        except SomeScansFailedError:
            return folder / "manifest.tsv"


def _first_readable(manifest: Path, rows: Sequence[ManifestRow]) -> "Volume | None":
    from voxtune.data.manifest import resolve_image
    from voxtune.imaging.read import read_scan

    for row in rows[:20]:
        with suppress(ScanError):
            return read_scan(resolve_image(manifest, row))
    return None


def _close(a: object, b: object) -> bool:
    import numpy as np

    return bool(np.allclose(a, b, atol=1e-3))  # type: ignore[arg-type]


def _resampled(manifest: Path, rows: Sequence[ManifestRow], folder: Path, grid: int) -> Path:
    from voxtune.data.manifest import resolve_image, write_manifest
    from voxtune.imaging.read import read_scan
    from voxtune.imaging.resample import resample
    from voxtune.imaging.template import field_of_view
    from voxtune.imaging.write import write_volume
    from voxtune.progress import progress

    with progress(f"Resampling to {grid}^3", len(rows)) as advance:
        for row in rows:
            image = folder / "scans" / f"{row.scan_id}.nii.gz"
            if not image.is_file():
                volume = resample(read_scan(resolve_image(manifest, row)), (grid,) * 3, field_of_view(grid))
                write_volume(volume, image, "template")
            advance(row.scan_id)
    done = [row.model_copy(update={"image": f"scans/{row.scan_id}.nii.gz"}) for row in rows]
    return write_manifest(done, folder / "manifest.tsv")
