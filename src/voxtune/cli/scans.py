"""Commands on scans: what an adapter sees in them, what that rests on, a page to drop them on."""

from pathlib import Path
from typing import Literal

import click

from voxtune.cli.base import (
    PATH,
    as_json_option,
    by_class_option,
    command,
    coverage_option,
    device_option,
    echo,
    false_discovery_option,
    pairs,
    say,
    seed_option,
    series_option,
    view_option,
)


@command("predict")
@click.argument("adapter", type=PATH)
@click.argument("scans", type=PATH, nargs=-1)
@click.option("-o", "--output", type=PATH, help="Folder of the pages; otherwise 'predictions' here.")
@click.option(
    "--base",
    type=PATH,
    help="Weights of the base (a file, or a folder with the tokenizer), where they are not found.",
)
@click.option("--stripped/--with-skull", default=None, help="Declare it; otherwise recognised.")
@series_option
@click.option(
    "--orientation",
    metavar="AXES",
    help="Where voxel axes point (such as RAS), for files that do not say or contradict themselves.",
)
@click.option(
    "--when",
    metavar="YEARS|DAYS",
    help="The scans are visits of one person at these moments, as 0,1.5 or 2015-03-01,2016-09-12: one answer, for the last.",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Processes; each loads the model once.",
)
@click.option("--scheduler", metavar="ADDRESS", help="A Dask scheduler to run on.")
@click.option("--force", is_flag=True, help="Answer again what was answered before.")
@coverage_option(
    "Give prediction sets, and intervals of numbers, that hold the truth for this share of people, as 0.9."
)
@by_class_option
@false_discovery_option
@device_option
@click.option("--tsv", "as_tsv", is_flag=True, help="Print the table instead of lines.")
@view_option
@as_json_option
def predict(
    adapter: Path,
    scans: tuple[Path, ...],
    output: Path | None,
    base: Path | None,
    series: str | None,
    orientation: str | None,
    when: str | None,
    workers: int,
    scheduler: str | None,
    coverage: float | None,
    false_discovery: float | None,
    device: str,
    view: Literal["radiological", "neurological"],
    *,
    stripped: bool | None,
    force: bool,
    by_class: bool,
    as_tsv: bool,
    as_json: bool,
) -> None:
    """Say what an adapter sees in one scan or several, with a page for each.

    ADAPTER is a folder, a run, or 'demo' for the shipped one. SCANS are NIfTI files, DICOM folders or zips, folders of
    scans, manifests, BIDS folders, or 'head' for the shipped head; 'demo' alone takes a SIMULATED person. A scan that was answered before keeps its answer.
    """
    from voxtune.commands.predict.command import predict as stage
    from voxtune.serving.bundled import scans_or_person

    done = stage(
        adapter,
        scans_or_person(adapter, scans),
        output=output,
        base=base,
        stripped=stripped,
        series=series,
        orientation=orientation,
        when=when,
        workers=workers,
        scheduler=scheduler,
        force=force,
        coverage=coverage,
        by_class=by_class,
        false_discovery=false_discovery,
        device=device,
        view=view,
        say=lambda line: echo(line, err=True),
    )
    say(done.as_json(), done.as_tsv() if as_tsv else done.summary, as_json=as_json)
    if done.error is not None:
        raise done.error


@command("explain")
@click.argument("adapter", type=PATH)
@click.argument("scan", type=PATH, required=False)
@click.option("-o", "--output", type=PATH, help="Folder to write; otherwise 'explanations/SCAN' here.")
@click.option("--target", help="A class, a finding, 'mmse' or 'report'; otherwise the predicted class.")
@click.option("--biomarker", "biomarkers", multiple=True, help="Keep this one alone; may be repeated.")
@click.option("--method", default="auto", show_default=True, help="How the heat is computed.")
@click.option("--report", type=PATH, help="A text file with the scan's report.")
@click.option("--facts", multiple=True, metavar="NAME=VALUE", help="A value for the report; may be repeated.")
@click.option("--data", type=PATH, help="A manifest that has a row for the scan.")
@click.option(
    "--control", type=PATH, help="An adapter trained on shuffled labels; otherwise that of 'train --control'."
)
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="Participants a stage.")
@click.option(
    "--base",
    type=PATH,
    help="Weights of the base (a file, or a folder with the tokenizer), where they are not found.",
)
@click.option("--stripped/--with-skull", default=None, help="Declare it; otherwise recognised.")
@series_option
@click.option(
    "--orientation",
    metavar="AXES",
    help="Where voxel axes point (such as RAS), for files that do not say or contradict themselves.",
)
@seed_option("Of the checks that draw at random.")
@device_option
@view_option
@as_json_option
def explain(
    adapter: Path,
    scan: Path | None,
    output: Path | None,
    target: str | None,
    biomarkers: tuple[str, ...],
    method: str,
    report: Path | None,
    facts: tuple[str, ...],
    data: Path | None,
    control: Path | None,
    limit: int,
    base: Path | None,
    orientation: str | None,
    seed: int,
    device: str,
    view: Literal["radiological", "neurological"],
    series: str | None,
    *,
    stripped: bool | None,
    as_json: bool,
) -> None:
    """Show what an answer for SCAN rests on, with checks; of a manifest.tsv in its place, its scans by stage.

    'demo' alone takes a SIMULATED person.
    """
    from voxtune.serving.bundled import scans_or_person

    (scan,) = scans_or_person(adapter, [] if scan is None else [scan])
    from voxtune.commands.explain.command import explain as stage

    done = stage(
        adapter,
        scan,
        output=output,
        base=base,
        stripped=stripped,
        series=series,
        orientation=orientation,
        target=target,
        biomarkers=biomarkers,
        method=method,
        report=report,
        facts=pairs(facts, "--facts"),
        data=data,
        control=control,
        limit=limit,
        seed=seed,
        device=device,
        view=view,
        say=lambda line: echo(line, err=True),
    )
    say(done.facts | {"page": str(done.page)}, done.summary, as_json=as_json)
    if done.error is not None:
        raise done.error


@command("similar")
@click.argument("adapter", type=PATH)
@click.argument("scan", type=PATH)
@click.option("--data", type=PATH, help="manifest.tsv of the bank; otherwise the bank beside the adapter.")
@click.option("--split", type=PATH, help="Its training side is the bank; of a run its own.")
@click.option(
    "--by", type=click.Choice(["image", "text", "both"]), help="Otherwise both where the scan has facts."
)
@click.option(
    "--count", type=click.IntRange(1), help="Neighbours; otherwise 5, of a stored bank up to 3 groups."
)
@click.option("--participant", metavar="ID", help="Whose scan it is: nobody is their own neighbour.")
@click.option("--facts", multiple=True, metavar="NAME=VALUE", help="A value for the text; may be repeated.")
@click.option("-o", "--output", type=PATH, help="Folder of the page and similar.json.")
@click.option(
    "--base",
    type=PATH,
    help="Weights of the base (a file, or a folder with the tokenizer), where they are not found.",
)
@click.option("--stripped/--with-skull", default=None, help="Declare it; otherwise recognised.")
@series_option
@click.option(
    "--orientation",
    metavar="AXES",
    help="Where voxel axes point (such as RAS), for files that do not say or contradict themselves.",
)
@seed_option("Of the intervals.")
@device_option
@as_json_option
def similar(
    adapter: Path, scan: Path, data: Path | None, split: Path | None, by: Literal["image", "text", "both"] | None, count: int | None,
    participant: str | None, facts: tuple[str, ...], output: Path | None, base: Path | None, series: str | None,
    orientation: str | None, seed: int, device: str, *, stripped: bool | None, as_json: bool,
) -> None:  # fmt: skip
    """Find the participants nearest to SCAN in a bank, why they are near, and how their outcomes spread.

    A manifest.tsv in place of SCAN measures how well its scans find others of their class, and texts their images.
    """
    from voxtune.commands.similar.command import similar as stage

    done = stage(
        adapter,
        scan,
        data=data,
        split=split,
        by=by,
        count=count,
        participant=participant,
        facts=pairs(facts, "--facts"),
        output=output,
        base=base,
        stripped=stripped,
        series=series,
        orientation=orientation,
        seed=seed,
        device=device,
        say=lambda line: echo(line, err=True),
    )
    say(done.as_json(), done.summary, as_json=as_json)
    if done.error is not None:
        raise done.error


@command("serve")
@click.argument("adapter", type=PATH)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option(
    "--port", type=click.IntRange(1, 65535), default=8765, show_default=True, help="Where it listens."
)
@click.option(
    "--base",
    type=PATH,
    help="Weights of the base (a file, or a folder with the tokenizer), where they are not found.",
)
@click.option(
    "--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Scans worked on at once."
)
@click.option(
    "--keep", type=click.FloatRange(0, min_open=True), default=60.0, show_default=True,
    help="Minutes until a result is deleted.",
)  # fmt: skip
@click.option(
    "--upload-limit", type=click.IntRange(1), default=1024, show_default=True, help="Largest upload, in MB."
)
@click.option(
    "--memory-limit", type=click.IntRange(1), default=8, show_default=True, help="For one scan, in GB."
)
@click.option(
    "--time-limit", type=click.IntRange(1), default=600, show_default=True, help="For one scan, in seconds."
)
@click.option("--root-path", default="", help="The path it has behind a proxy, such as /voxtune.")
@click.option(
    "--trusted-host",
    "trusted",
    multiple=True,
    metavar="NAME",
    help="A name it is asked by, as a proxy passes it; may be repeated.",
)
@click.option("--token-file", type=PATH, help="Holds the token, or is written with a new one.")
@coverage_option(
    "Give prediction sets, and intervals of numbers, that hold the truth for this share of people, as 0.9."
)
@by_class_option
@false_discovery_option
@device_option
@view_option
def serve(
    adapter: Path, host: str, port: int, base: Path | None, workers: int, keep: float, upload_limit: int, memory_limit: int,
    time_limit: int, root_path: str, trusted: tuple[str, ...], token_file: Path | None, coverage: float | None,
    false_discovery: float | None, device: str, view: Literal["radiological", "neurological"], *, by_class: bool,
) -> None:  # fmt: skip
    """Open a page to drop scans on; on this machine only, unless --host and --trusted-host say otherwise.

    ADAPTER is a folder, a run, or 'demo' for the shipped one. The address with its token is printed.
    """
    from voxtune.commands.serve import serve as stage
    from voxtune.serving.access import Access
    from voxtune.serving.limits import Limits

    limits = Limits(
        workers=workers,
        keep_seconds=60 * keep,
        upload_bytes=upload_limit * 2**20,
        memory_bytes=memory_limit * 2**30,
        seconds=time_limit,
    )
    access = Access(host, port, root_path, trusted, token_file)
    stage(
        adapter,
        access=access,
        base=base,
        limits=limits,
        coverage=coverage,
        by_class=by_class,
        false_discovery=false_discovery,
        device=device,
        view=view,
        say=echo,
    )
