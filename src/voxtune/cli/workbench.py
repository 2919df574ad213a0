"""Commands of a study: volumes and features for other programs, learning curves, a paper's tables, the demo."""

import os
from pathlib import Path
from typing import Literal

import click

from voxtune.cli.base import (
    PATH,
    as_json_option,
    command,
    data_option,
    device_option,
    echo,
    pairs,
    say,
    seed_option,
    series_option,
    set_option,
    tell,
    view_option,
)


@command("volumes")
@click.argument("scans", type=PATH, nargs=-1, required=True)
@click.option("-o", "--output", type=PATH, required=True, help="The table to write, volumes.tsv.")
@click.option(
    "--labels",
    type=PATH,
    help="Folder for a label map of each scan, on its own grid, by FreeSurfer's numbers.",
)
@click.option(
    "--manifest",
    type=PATH,
    help="Also write the manifest with these volumes, for scans that have none; it says so.",
)
@click.option(
    "--all", "everything", is_flag=True, help="Give regions too whose errors are too large for a report."
)
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes.")
@click.option("--scheduler", metavar="ADDRESS", help="A Dask scheduler to run on.")
@click.option("--stripped/--with-skull", default=None, help="Declare it; otherwise recognised scan by scan.")
@series_option
@click.option(
    "--orientation",
    metavar="AXES",
    help="Where voxel axes point (such as RAS), for files that do not say or contradict themselves.",
)
@click.option("--force", is_flag=True, help="Measure again what was measured before.")
@device_option
@view_option
@as_json_option
def volumes(
    scans: tuple[Path, ...],
    output: Path,
    labels: Path | None,
    manifest: Path | None,
    workers: int,
    scheduler: str | None,
    series: str | None,
    orientation: str | None,
    device: str,
    view: Literal["radiological", "neurological"],
    *,
    everything: bool,
    stripped: bool | None,
    force: bool,
    as_json: bool,
) -> None:
    """Measure brain regions in T1 scans: mm^3 with errors, a verdict, a page with outlines.

    SCANS are NIfTI files, DICOM folders or zips, folders of scans, a manifest or a BIDS folder, or 'head' for the shipped head.
    """
    from voxtune.commands.volumes.command import volumes as stage
    from voxtune.serving.bundled import scan_file

    done = stage(
        [scan_file(one) for one in scans],
        output,
        labels=labels,
        manifest=manifest,
        everything=everything,
        workers=workers,
        scheduler=scheduler,
        stripped=stripped,
        series=series,
        orientation=orientation,
        device=device,
        force=force,
        view=view,
        say=lambda line: echo(line, err=True),
    )
    say(done.as_json(), done.summary, as_json=as_json)
    if done.error is not None:
        raise done.error


@command("embed")
@click.argument("model")
@click.argument("manifest", type=PATH)
@click.option("-o", "--output", type=PATH, required=True, help="The folder to write.")
@click.option("--tokens", is_flag=True, help="Keep the finished tokens of the vision tower too (large).")
@click.option(
    "--harmonise",
    metavar="COLUMN",
    help="Bring the sites of this column onto one scale; refused where they go with the diagnosis.",
)
@click.option("--base", type=PATH, help="Weights of the base, where they are not shipped.")
@click.option("--preset", help="Of the scans; otherwise the adapter's, or the one called like the backbone.")
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="NAME=VALUE",
    help="A setting of the backbone; may be repeated.",
)
@device_option
@as_json_option
def embed(
    model: str, manifest: Path, output: Path, harmonise: str | None, base: Path | None, preset: str | None, assignments: tuple[str, ...],
    device: str, *, tokens: bool, as_json: bool,
) -> None:  # fmt: skip
    """Write what a frozen base or an adapter makes of every scan, as an array for other programs.

    MODEL is a backbone of 'voxtune info', an adapter, a run, or 'demo'. OUTPUT gets embeddings.npy (scans x numbers, float32),
    embeddings.tsv (a row a scan, in that order) and embed.json.
    """
    from voxtune.commands.embed.command import embed as stage

    done = stage(
        model, manifest, output, base=base, preset=preset, settings=pairs(assignments, form="NAME=VALUE"), tokens=tokens,
        harmonise=harmonise, device=device, say=lambda line: echo(line, err=True),
    )  # fmt: skip
    say(done.facts | {"folder": str(done.folder)}, done.summary, as_json=as_json)
    if done.error is not None:
        raise done.error


@command("curve")
@click.argument("recipe")
@click.option("-o", "--output", type=PATH, required=True, help="The folder to write or go on with.")
@data_option
@click.option(
    "--sizes",
    metavar="N,N,all",
    required=True,
    help="Numbers of training scans; 'all' is the whole train side.",
)
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="Trainings of each size.")
@click.option(
    "--split", "split_dir", type=PATH, help="The split folder; otherwise one is made by participant."
)
@set_option
@click.option(
    "--allow", multiple=True, metavar="CHECK", help="Train although this audit check finds something."
)
@as_json_option
def curve(
    recipe: str, output: Path, data: Path | None, sizes: str, seeds: int, split_dir: Path | None, assignments: tuple[str, ...],
    allow: tuple[str, ...], *, as_json: bool,
) -> None:  # fmt: skip
    """Draw a learning curve: a recipe on nested subsets of its training scans, beside the baselines on the same scans."""
    from voxtune.commands.curve.command import curve as stage
    from voxtune.errors import SomeTrainingsFailedError

    done = stage(
        recipe, output, data=data, sizes=sizes.split(","), seeds=seeds, split_dir=split_dir, assignments=assignments, allow=allow,
        say=lambda line: echo(line, err=True),
    )  # fmt: skip
    say(done.content, done.summary, as_json=as_json)
    if done.failed:
        raise SomeTrainingsFailedError(dict(done.failed))


@command("reproduce")
@click.argument("paper")
@click.option(
    "--table", "tables", type=click.IntRange(1), multiple=True, help="Only this one; may be repeated."
)
@click.option(
    "--figure", "figures", type=click.IntRange(1), multiple=True, help="Only this one; may be repeated."
)
@data_option
@click.option(
    "--external",
    "externals",
    metavar="[NAME=]PATH",
    multiple=True,
    help="manifest.tsv of another cohort to test on; may be repeated.",
)
@click.option(
    "-o", "--output", type=PATH, help="The folder to write or go on with; otherwise 'reproduce-PAPER'."
)
@click.option("--base", help="Model under the tables that have one; a shipped one on simulated scans.")
@click.option("--seeds", type=click.IntRange(1), default=5, show_default=True, help="Trainings of each row.")
@click.option("--participants", type=click.IntRange(30), help="Of the simulated cohort (no --data).")
@click.option(
    "--cohorts",
    type=click.IntRange(1),
    help="Compare the rows over this many simulated cohorts (the testbed).",
)
@click.option(
    "--regime",
    "regimes",
    metavar="NAME",
    multiple=True,
    help="Of the testbed: 24, 48, 96, all or labels; may be repeated.",
)
@set_option
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes.")
@click.option("--shard", metavar="I/N", help="Do the I-th of N parts (job arrays).")
@click.option("--scheduler", metavar="ADDRESS", help="A Dask scheduler to run on.")
@click.option("--dry-run", is_flag=True, help="Say what would run, how long, and what is missing.")
def reproduce(
    paper: str, tables: tuple[int, ...], figures: tuple[int, ...], data: Path | None, externals: tuple[str, ...],
    output: Path | None, base: str | None, seeds: int, participants: int | None, cohorts: int | None, regimes: tuple[str, ...],
    assignments: tuple[str, ...], workers: int, shard: str | None,
    scheduler: str | None, *, dry_run: bool,
) -> None:  # fmt: skip
    """Make a paper's tables beside its published numbers, on your cohorts or on SIMULATED people."""
    from voxtune.commands.reproduce.command import Options, Reproduced, reproduce
    from voxtune.commands.reproduce.data import Request
    from voxtune.commands.reproduce.dry_run import dry_run as rehearse
    from voxtune.commands.reproduce.externals import External
    from voxtune.commands.testbed.asked import asked_of, run_or_rehearse
    from voxtune.errors import SomeTrainingsFailedError

    home = os.environ.get("VOXTUNE_HOME")
    options = Options(
        tables=tables,
        figures=figures,
        request=Request(data, tuple(External.parsed(text) for text in externals), participants),
        seeds=seeds,
        base=base,
        workers=workers,
        shard=shard,
        scheduler=scheduler,
        home=Path(home) if home else Path.home() / ".voxtune",
        edits=assignments,
    )
    if (asked := asked_of(options, cohorts, regimes)) is not None:
        folder = output or Path(f"testbed-{paper}")
        done = run_or_rehearse(paper, folder, options, asked, tell, dry_run=dry_run)
    else:
        folder = output or Path(f"reproduce-{paper}")
        done = (
            Reproduced(folder, rehearse(paper, folder, options))
            if dry_run
            else reproduce(paper, folder, options, tell)
        )
    echo(done.summary)
    if done.failed:
        raise SomeTrainingsFailedError(done.failed)


@command("demo")
@click.argument("out", type=PATH, default=Path("demo-output"))
@seed_option("Of people and training.")
def demo(out: Path, seed: int) -> None:
    """Run the whole path on simulated people and one real head, offline."""
    from voxtune.commands.demo import demo as stage

    echo(f"The page: {stage(out, seed=seed)}")
