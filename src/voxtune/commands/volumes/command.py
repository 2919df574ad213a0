"""``voxtune volumes``: the volumes of brain regions from the scans themselves, as a table, a page, and in a manifest."""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from voxtune import __version__
from voxtune.commands.predict.inputs import Input, identified, inputs_of, named
from voxtune.commands.spread import spread
from voxtune.commands.volumes.merge import COLUMNS, merged
from voxtune.commands.volumes.work import (
    PICTURE,
    Asked,
    Done,
    Job,
    died,
    facts_of,
    measure_one,
    weights_sha256,
)
from voxtune.errors import DataError, SomeScansFailedError, UsageError
from voxtune.imaging.affine import checked_axes
from voxtune.pages.slices import View, seen_from
from voxtune.progress import note, progress
from voxtune.types.names import scan_name
from voxtune.types.records import VOLUMES_SOURCE

SOURCE: Final = f"voxtune volumes {__version__}"
"""What a manifest says of volumes that were measured here."""
FAILED_COLUMNS: Final = ("scan_id", "reason")
ENDING: Final = re.compile(r"\.(nii|nii\.gz|zip|dcm|hdr|mgz|mgh|nrrd|mha)$")
PAGE_LIMIT: Final = 200
"""Brains with pictures on the page, those that need a look first."""


@dataclass(frozen=True)
class Volumes:
    """What was measured."""

    rows: list[dict[str, Any]]
    """The rows of ``volumes.tsv``: volumes in mm^3, ``None`` where one is not given."""
    failed: dict[str, str] = field(default_factory=dict)
    """Scans that could not be measured, with the reason."""
    table: Path | None = None
    error: SomeScansFailedError | None = None
    left_out: tuple[str, ...] = ()
    """Columns that are not given because they could not be measured well enough for a report."""
    merged: Path | None = None
    simulated: bool = False

    def as_json(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        return {
            "volumes": self.rows,
            "failed": self.failed,
            "left_out": list(self.left_out),
            "table": None if self.table is None else str(self.table),
            "manifest": None if self.merged is None else str(self.merged),
            "simulated": self.simulated,
        }

    @property
    def summary(self) -> str:
        """Lines for a person."""
        marked = " SIMULATED" if self.simulated else ""
        counts = {
            v: sum(str(row["verdict"]).startswith(v) for row in self.rows) for v in ("pass", "warn", "fail")
        }
        lines = [
            f"Volumes of {len(self.rows)}{marked} scans: {counts['pass']} pass, {counts['warn']} to look at, {counts['fail']} not to use"
            + (f"; {len(self.failed)} failed" if self.failed else "")
            + (f": {self.table}" if self.table else "")
        ]
        if self.left_out:
            lines.append(
                f"Not given, because their errors are too large for a report: {', '.join(self.left_out)} (--all gives them all the same)."
            )
        if self.table is not None:
            lines.append(f"Page: {self.table.with_suffix('.html')}")
        if self.merged is not None:
            lines.append(f"Manifest: {self.merged}")
        return "\n".join(lines)


def volumes(  # noqa: PLR0913  (the options of the command)
    scans: str | Path | Sequence[str | Path],
    output: str | Path | None = None,
    *,
    labels: str | Path | None = None,
    manifest: str | Path | None = None,
    everything: bool = False,
    workers: int = 1,
    scheduler: str | None = None,
    stripped: bool | None = None,
    series: str | None = None,
    orientation: str | None = None,
    device: str = "auto",
    force: bool = False,
    view: View = "radiological",
    say: Callable[[str], None] = note,
) -> Volumes:
    """Measure the regions of T1 heads or brains; one that cannot be measured does not stop the others.

    Written: ``output`` (a row a scan: the volumes a manifest has columns for, their standard errors, a verdict with its reasons, left and
    right of every trusted region), a page of the same name with outlines on slices, and a folder of the same name with what is kept of each
    scan, so that the same command goes on where it stopped.

    Args:
        scans: a manifest, a BIDS folder, a folder of scans, or scans (NIfTI file, DICOM folder or zip).
        output: the table to write, ``volumes.tsv``; nothing is written without.
        labels: folder for a label map of each scan, on its own grid, by FreeSurfer's numbers.
        manifest: also write the manifest with these volumes where it has none; ``volumes_source`` says so.
        everything: give regions too whose errors are too large for a report.
        workers: processes on this machine.
        scheduler: address of a Dask scheduler whose workers see the same files; replaces ``workers``.
        stripped: whether the skull is already gone; ``None``: look, scan by scan.
        series: a DICOM series by its UID, number or description.
        orientation: where the voxel axes point (``RAS``) in files whose header does not say.
        device: ``auto`` (a GPU where there is one), ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        force: measure again what was measured before.
        view: which side of a picture the person's right is on.
        say: hears lines for a person.

    Raises:
        UsageError: a manifest to write and none was read, or a table that is not called ``.tsv``.
        SettingError: no such device, or ``orientation`` no three directions.
        DataError: no scan could be measured.

    Source: the network after Billot et al., Medical Image Analysis 86 (2023) 102789; regions of Desikan et al., NeuroImage 31 (2006) 968-980.
    """
    from voxtune.model.device import torch_device
    from voxtune.run_dir import output_folder
    from voxtune.storage.scratch import scratch

    torch_device(device)
    sources = [Path(scans)] if isinstance(scans, str | Path) else [Path(one) for one in scans]
    if output is not None and Path(output).suffix != ".tsv":
        raise UsageError(f"-o {Path(output).name}: expected the name of a table, such as volumes.tsv.")
    if manifest is not None:
        _check_merge(sources, Path(manifest), output)
    with ExitStack() as stack:
        table = (
            Path(output) if output is not None else stack.enter_context(scratch("volumes")) / "volumes.tsv"
        )
        home = table.with_suffix("")
        asked = Asked(
            labels=None if labels is None else Path(labels).absolute(),
            stripped=stripped,
            series=series,
            orientation=orientation and checked_axes(orientation),
            force=force,
            device=device,
            view=view,
        )
        jobs = _jobs(_inputs(sources, table, say), home, asked)
        stack.enter_context(output_folder(home))
        stack.enter_context(seen_from(view))
        done, failed = _measured(jobs, workers, scheduler)
        _write_failed(home / "failed.tsv", failed)
        if not done:
            raise DataError(
                f"None of the {len(jobs)} scans could be measured; {home / 'failed.tsv'} says why. The first: {next(iter(failed.values()))}"
            )
        found = _written(
            table, [done[job.scan_id] for job in jobs if job.scan_id in done], failed, everything=everything
        )
        if manifest is not None:
            by_name = {row["scan_id"]: row for row in found.rows}
            found = replace(found, merged=merged(sources[0], by_name, Path(manifest), SOURCE, say))
        if failed:
            found = replace(found, error=SomeScansFailedError(len(failed), len(jobs), home / "failed.tsv"))
    return found if output is not None else replace(found, table=None)


def _measured(
    jobs: Sequence[Job], workers: int, scheduler: str | None
) -> tuple[dict[str, Done], dict[str, str]]:
    """What was measured and the sentences of what was not, by scan."""
    done: dict[str, Done] = {}
    failed: dict[str, str] = {}
    with progress("Measuring", len(jobs)) as advance:
        for job, outcome in spread(measure_one, jobs, died, workers=workers, scheduler=scheduler):
            if isinstance(outcome, str):
                failed[job.scan_id] = outcome
                note(outcome)
            else:
                done[job.scan_id] = outcome
            advance("")
    return done, {job.scan_id: failed[job.scan_id] for job in jobs if job.scan_id in failed}


def _write_failed(file: Path, failed: Mapping[str, str]) -> None:
    from voxtune.data.manifest import write_table

    if failed:
        write_table(file, FAILED_COLUMNS, ({"scan_id": name, "reason": why} for name, why in failed.items()))
    else:
        file.unlink(missing_ok=True)


def _written(table: Path, done: Sequence[Done], failed: dict[str, str], *, everything: bool) -> Volumes:
    """The table and its page, of the scans in their order."""
    from voxtune.data.manifest import write_table
    from voxtune.pages.volumes_page import Entry, volumes_page
    from voxtune.run_dir import write_text
    from voxtune.segmentation.accuracy import accuracy

    trust = accuracy()
    fit = {name for name in trust.regions if everything or trust.fit(name)}
    rows = [_row(one, fit) for one in done]
    unfit = tuple(name for name in COLUMNS if not trust.fit(name.removesuffix("_mm3")))
    simulated = any(one.simulated for one in done)
    write_table(table, _columns(rows), (row | {"simulated": str(row["simulated"]).lower()} for row in rows))
    home = table.with_suffix("")
    entries = [
        Entry(one.scan_id, one.verdict, tuple(one.reasons), _picture(home, one.scan_id), row)
        for one, row in zip(done, rows, strict=True)
    ]
    page = volumes_page(
        entries, failed, unfit, limit=PAGE_LIMIT, simulated=simulated, source=SOURCE, everything=everything
    )
    write_text(table.with_suffix(".html"), page)
    return Volumes(rows, dict(failed), table, left_out=() if everything else unfit, simulated=simulated)


def _check_merge(sources: Sequence[Path], manifest: Path, table: str | Path | None) -> None:
    if len(sources) != 1 or (sources[0].suffix != ".tsv" and not (sources[0] / "participants.tsv").is_file()):
        raise UsageError(
            "--manifest writes the manifest that was read with volumes in it: give one manifest or BIDS folder."
        )
    if manifest.resolve() == sources[0].resolve():
        raise UsageError(f"--manifest {manifest.name} is the manifest that is read; give another name.")
    if table is not None and manifest.resolve() == Path(table).resolve():
        raise UsageError(f"--manifest and -o are both {manifest.name}; give two names.")


def _inputs(sources: Sequence[Path], table: Path, say: Callable[[str], None]) -> list[Input]:
    """The scans with names that no other scan has."""
    inputs = [one for source in sources for one in inputs_of(source, alone=len(sources) == 1, say=say)]
    if any(one.row is not None for one in inputs) and len(sources) == 1:
        return inputs  # a manifest's names are its own
    return named(identified(inputs, table), {}, weights_sha256())


def _jobs(inputs: Sequence[Input], home: Path, asked: Asked) -> list[Job]:
    from voxtune.imaging.simulated import is_marked

    jobs: list[Job] = []
    taken: set[str] = set()
    for one in inputs:
        name = one.name if one.row is not None else scan_name(ENDING.sub("", one.name))
        if name in taken:
            name = f"{name}-{one.key(weights_sha256())}"
        taken.add(name)
        jobs.append(
            Job(
                scan_id=name,
                image=one.path.absolute(),
                folder=(home / name).absolute(),
                simulated=bool(one.row is not None and one.row.simulated) or is_marked(one.path),
                icv_mm3=None if one.row is None else one.row.icv_mm3,
                asked=asked,
            )
        )
    return jobs


def _row(done: Done, fit: set[str]) -> dict[str, Any]:
    """A row of the table: ``None`` for what is not fit for a report, and for every volume of a scan that failed its check."""
    facts = facts_of(done)
    usable = done.verdict != "fail"
    row: dict[str, Any] = {"scan_id": done.scan_id}
    names = [name.removesuffix("_mm3") for name in COLUMNS]
    for name in names:
        row[f"{name}_mm3"] = facts.get(f"{name}_mm3") if usable and name in fit else None
    for name in names:
        row[f"{name}_mm3_error"] = facts.get(f"{name}_mm3_error") if usable and name in fit else None
    why = "; ".join(done.reasons)
    row |= {
        "verdict": f"{done.verdict}: {why}" if why else done.verdict,
        "space": done.space,
        VOLUMES_SOURCE: SOURCE,
        "simulated": done.simulated,
    }
    for name, value in done.volumes.items():
        if name not in names and name in fit:
            row[f"{name}_mm3"] = value if usable else None
            row[f"{name}_mm3_error"] = done.errors[name] if usable else None
    return row


def _columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _picture(home: Path, name: str) -> bytes | None:
    path = home / name / PICTURE
    return path.read_bytes() if path.is_file() else None
