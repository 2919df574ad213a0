"""Where neighbours come from, and whose scan it is that is asked for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from voxtune.audit.same_person import ZEROS, spelling
from voxtune.cases.vectors import Sources, readable_rows
from voxtune.errors import DataError, UsageError
from voxtune.run_dir import RunDir, read_json
from voxtune.types.profile import plain
from voxtune.types.records import ManifestRow
from voxtune.types.stored import RunSplit

if TYPE_CHECKING:
    from voxtune.model.adapter import LoadedAdapter
    from voxtune.reports.norms import FittedNorms
    from voxtune.types.volume import Volume

Say = Callable[[str], None]


@dataclass(frozen=True)
class Bank:
    """Where neighbours come from."""

    sources: Sources | None
    """Scans; ``None``: the groups beside the adapter."""
    folder: Path
    everyone: Sequence[ManifestRow] = ()
    norms: "FittedNorms | None" = None

    def row_of(self, scan: Path, input_sha256: str) -> ManifestRow | None:
        """The row of the manifest that is this very scan: by its path, else by its content, before or after preprocessing."""
        from voxtune.evaluation.scan_figures import records_of
        from voxtune.imaging.record import content_sha256

        assert self.sources is not None
        manifest = self.sources.manifest
        images = {row.scan_id: image for row in self.everyone if (image := _image(manifest, row)) is not None}
        rows = {row.scan_id: row for row in self.everyone}
        if found := [name for name, image in images.items() if image == scan.resolve()]:
            return rows[found[0]]
        mine = {content_sha256(scan), input_sha256}
        records = records_of(manifest, self.everyone)
        for name, image in images.items():
            record = records[name]
            if (record is not None and record.input_sha256 in mine) or (
                image.exists() and content_sha256(image) in mine
            ):
                return rows[name]
        return None


def _image(manifest: Path, row: ManifestRow) -> Path | None:
    """The image of a row; ``None``: it is nowhere, so it is not this scan."""
    from voxtune.data.manifest import resolve_image

    try:
        return resolve_image(manifest, row).resolve()
    except DataError:
        return None


def bank_of(
    loaded: "LoadedAdapter", place: Path, folder: Path, data: Path | None, split: str | Path | None, say: Say
) -> Bank:
    """The bank of a manifest, or the one beside an adapter.

    Raises:
        UsageError: there is none, or no scan of the training side is in it.
    """
    from voxtune.reports.needed import kept_norms
    from voxtune.types.case_bank import BANK

    config, kept = loaded.config, loaded.facts.norms
    if data is None:
        if not (folder / BANK).is_file():
            raise UsageError(
                "There is no bank: give the manifest of its scans, --data MANIFEST, or an adapter that keeps one (voxtune export RUN -o ADAPTER --case-bank 5)."
            )
        if split is not None:
            raise UsageError("--split goes with --data.")
        return Bank(None, folder, norms=kept_norms(kept, config.report, config.known_profile))
    from voxtune.data.manifest import read_manifest
    from voxtune.data.simulated import with_marks

    everyone = with_marks(data, read_manifest(data))
    train = training_side(place, None if split is None else Path(split))
    rows = [row for row in everyone if train is None or row.scan_id in train]
    if not rows:
        raise UsageError(
            f"{data.name} holds no scan of the training side; give the manifest that was trained on."
        )
    if train is None:
        say(
            f"Bank: every scan of {data.name}; a run in place of its adapter, or --split DIR, takes the training side alone."
        )
    sources = readable_rows(loaded, data, rows)
    for _, why in sources.failed:
        say(why)
    learned = [row for row in everyone if train is not None and row.scan_id in train]
    closed = config.predicted_columns
    norms = kept_norms(kept, config.report, config.known_profile, learned, closed)
    if norms is None:
        norms = _fitted(loaded, learned)
    return Bank(sources, folder, everyone, norms)


def training_side(place: Path, split: Path | None) -> set[str] | None:
    """The scans that may be neighbours; ``None``: nobody says which were trained on."""
    if split is not None:
        from voxtune.data.split_files import read_split

        return set(read_split(split).train)
    run = RunDir(place)
    return (
        set(read_json(run.split, "the split of the run", RunSplit)["train"]) if run.split.is_file() else None
    )


def _fitted(loaded: "LoadedAdapter", train: Sequence[ManifestRow]) -> "FittedNorms | None":
    """A normative model of the training side, where the adapter keeps none and enough controls are there."""
    from voxtune.reports.norms import fit_norms

    try:
        return fit_norms(train, loaded.config.known_profile, loaded.config.report.controls)
    except DataError:  # no controls: regions are compared by the spread of the bank
        return None


def asked_row(
    loaded: "LoadedAdapter", row: ManifestRow | None, file: Path, participant: str | None, facts: Mapping[str, str]
) -> ManifestRow:  # fmt: skip
    """What is known of the scan: its row of the manifest, and what a person gives over it.

    Raises:
        UsageError: the manifest has this scan as another participant's, or a fact that is compared nowhere.
    """
    from voxtune.explanation.scan_reports import facts_row, plain_name

    if row is not None and participant is not None and not same_id(participant, row.participant_id):
        raise UsageError(
            f"--participant {participant}: the manifest has this scan ('{row.scan_id}') as that of participant '{row.participant_id}'. Leave it out."
        )
    _check_facts(loaded, facts)
    given = facts_row(facts) if facts else None
    known = {} if row is None else row.model_dump()
    told = (
        {} if given is None else {name: value for name, value in given.model_dump().items() if name in facts}
    )
    name = row.scan_id if row is not None else plain_name(file)
    whose = {"participant_id": participant} if participant is not None else {}
    return ManifestRow.model_validate({"participant_id": "unknown", "image": "given"} | whose | known | told | {"scan_id": name})  # fmt: skip


def _check_facts(loaded: "LoadedAdapter", facts: Mapping[str, str]) -> None:
    from voxtune.reports.wording import columns_of, known_template, load_template
    from voxtune.types.norms import COLUMNS

    profile, settings = loaded.config.known_profile, loaded.config.report
    policy = dict.fromkeys(settings.fields, "training")
    templates = {known_template(settings.template, profile), profile.template}
    said = {one for name in templates for one in columns_of(load_template(name, profile, policy), profile)}  # type: ignore[arg-type]
    known = {plain(one) for one in (*said, *profile.regions, *COLUMNS.values())} - {"diagnosis"}
    if unread := sorted(name for name in facts if plain(name) not in known):
        raise UsageError(
            f"--facts: {', '.join(map(repr, unread))} is in no report of this adapter and compared nowhere; it has {', '.join(sorted(known))}."
        )


def spelled_as(bank: Bank, asked: ManifestRow) -> frozenset[str]:
    """The participants of the bank whose ID is that of the scan, however it is spelled."""
    rows = [] if bank.sources is None else bank.sources.rows
    return frozenset(row.participant_id for row in rows if same_id(row.participant_id, asked.participant_id))


def pictured_in(bank: Bank, volume: "Volume") -> frozenset[str]:
    """The participants of the bank whose pictures show the person of a scan."""
    from voxtune.cases.pictures import people_on

    return (
        frozenset() if bank.sources is None else people_on(volume, bank.sources.manifest, bank.sources.rows)
    )


def same_id(one: str, other: str) -> bool:
    """Whether two IDs name one person: they differ in letter case, a prefix, separators or zeros in front of a number alone."""
    return one == other or spelling(one, ZEROS) == spelling(other, ZEROS)
