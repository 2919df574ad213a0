"""Commands on scans and tables: from a download to an audited split."""

import sys
from pathlib import Path
from typing import Literal

import click

from voxtune.cli.base import (
    PATH,
    command,
    data_option,
    echo,
    pairs,
    profile_option,
    seed_option,
    series_option,
    set_option,
    tell,
    text_settings,
)
from voxtune.errors import UsageError


@command("simulate")
@click.argument("out", type=PATH)
@click.option(
    "--kind",
    type=click.Choice(["brain", "chest"]),
    default="brain",
    show_default=True,
    help="T1 heads, or chest CT laid out as CT-RATE.",
)
@click.option(
    "--participants", type=click.IntRange(1), default=200, show_default=True, help="How many people."
)
@click.option(
    "--visits", type=click.IntRange(1, 20), default=3, show_default=True, help="Most visits of one person."
)
@seed_option("Of everything that is drawn.")
@click.option(
    "--scanners",
    type=click.IntRange(1, 50),
    default=3,
    show_default=True,
    help="How many they were scanned on.",
)
@click.option(
    "--difficulty", type=click.FloatRange(0.1, 10), default=1.0, show_default=True, help="Lower is easier."
)
@click.option(
    "--population",
    type=click.Choice(["separable", "published"]),
    default="separable",
    show_default=True,
    help="What people are like: classes further apart than in people, or as in published cohorts.",
)
@click.option(
    "--confounding",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Part of the people whose scanner goes by their class.",
)
@click.option(
    "--raw-heads",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Heads with skull, for preprocessing.",
)
@click.option(
    "--event",
    metavar="NAME",
    help="People with MCI convert, revert, leave or stay: conversion, or conversion(rate=0.2, dropout=0.3).",
)
def simulate(
    out: Path, kind: str, participants: int, visits: int, seed: int, scanners: int, difficulty: float, population: str,
    confounding: float, raw_heads: int, event: str | None,
) -> None:  # fmt: skip
    """Make a SIMULATED cohort whose truth is known."""
    if kind == "chest":
        from voxtune.commands.simulate.chest import simulate_chest

        if raw_heads:
            raise UsageError("--raw-heads goes with --kind brain: a chest has no skull to strip.")
        if population != "separable" or confounding or event:
            raise UsageError("--population, --confounding and --event go with --kind brain.")
        made = simulate_chest(
            out,
            participants=participants,
            scans_each=visits,
            seed=seed,
            scanners=scanners,
            difficulty=difficulty,
        )
        echo(f"SIMULATED chest cohort: {made}")
        return
    from voxtune.commands.simulate.command import simulate as stage

    manifest = stage(
        out,
        participants=participants,
        visits=visits,
        seed=seed,
        scanners=scanners,
        difficulty=difficulty,
        population=population,
        confounding=confounding,
        raw_heads=raw_heads,
        event=event,
    )
    echo(f"SIMULATED cohort: {manifest}")


@command("ingest")
@click.argument("cohort")
@click.argument("source", type=PATH)
@click.option("-o", "--output", type=PATH, required=True, help="The manifest to write.")
@set_option
@profile_option
def ingest(
    cohort: str, source: Path, output: Path, assignments: tuple[str, ...], profile: str | None
) -> None:
    """Read a cohort's download into a manifest; every label with its rule and source."""
    from voxtune.commands.ingest.command import ingest as stage

    echo(stage(cohort, source, output, pairs(assignments), profile).summary)


@command("preprocess")
@click.argument("manifest", type=PATH)
@click.argument("out", type=PATH)
@click.option(
    "--preset",
    default="deft",
    show_default=True,
    help="What the volumes are made for; 'voxtune info' lists them.",
)
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes.")
@click.option("--scheduler", metavar="ADDRESS", help="A Dask scheduler to run on.")
@click.option("--shard", metavar="I/N", help="Do the I-th of N parts (job arrays).")
@click.option("--resume/--no-resume", default=True, show_default=True, help="Keep finished scans.")
@click.option("--stripped/--with-skull", default=None, help="Declare it; otherwise recognised scan by scan.")
@click.option(
    "--hu-policy",
    type=click.Choice(["refuse", "trust"]),
    default="refuse",
    show_default=True,
    help="Of a CT whose Hounsfield units look wrong.",
)
@series_option
@click.option(
    "--orientation",
    metavar="AXES",
    help="Where voxel axes point (such as RAS), for files that do not say or contradict themselves.",
)
def preprocess(
    manifest: Path,
    out: Path,
    preset: str,
    workers: int,
    scheduler: str | None,
    shard: str | None,
    hu_policy: Literal["refuse", "trust"],
    series: str | None,
    orientation: str | None,
    *,
    resume: bool,
    stripped: bool | None,
) -> None:
    """Bring scans to a model's volume, with a quality page. MANIFEST may also be a BIDS folder or one scan."""
    from voxtune.commands.preprocess import preprocess as stage

    done = stage(
        manifest,
        out,
        preset=preset,
        workers=workers,
        scheduler=scheduler,
        shard=shard,
        resume=resume,
        stripped=stripped,
        hu_policy=hu_policy,
        series=series,
        orientation=orientation,
    )
    echo(f"Preprocessed: {done}")


@command("describe")
@click.argument("manifest", type=PATH)
@click.option("-o", "--output", type=PATH, required=True, help="The reports.tsv to write.")
@click.option(
    "--template", help="A shipped template or a Jinja2 text file; otherwise the one of the profile."
)
@click.option(
    "--missing",
    type=click.Choice(["omit", "unavailable"]),
    default="omit",
    show_default=True,
    help="A missing value is left out, or written as unavailable.",
)
@click.option(
    "--norms",
    type=PATH,
    help="Percentiles (templates normative, graph) are of this adapter's or run's controls, or of a split's training side.",
)
@profile_option
@set_option
def describe(
    manifest: Path,
    output: Path,
    template: str | None,
    missing: Literal["omit", "unavailable"],
    norms: Path | None,
    profile: str | None,
    assignments: tuple[str, ...],
) -> None:
    """Write a report text for every scan from its metadata.

    --set report.fields=COLUMN,... opens columns that the profile does not know; --set report.controls=CLASS,... names the controls.
    """
    from voxtune.commands.describe import describe as stage

    profile, fields, more = text_settings(profile, assignments, ("controls",))
    done = stage(
        manifest, output, template, missing,
        profile=profile, fields=fields, norms=norms, controls=more.get("controls", ()),
    )  # fmt: skip
    echo(done.summary)


@command("split")
@click.argument("manifest", type=PATH)
@click.option("-o", "--output", type=PATH, required=True, help="The split folder to write.")
@click.option(
    "--test", type=click.FloatRange(0, 0.9), default=0.2, show_default=True, help="Share of participants."
)
@click.option(
    "--val", type=click.FloatRange(0, 0.9), default=0.15, show_default=True, help="Share of participants."
)
@click.option("--folds", type=click.IntRange(2), help="Make K folds instead.")
@click.option("--holdout", metavar="COLUMN=VALUE", help="Test on this site, scanner or cohort.")
@click.option("--baseline-only", is_flag=True, help="Keep the first scan of each participant.")
@click.option(
    "--train-size",
    type=click.IntRange(1),
    multiple=True,
    help="Also write a nested training subset of this size.",
)
@click.option(
    "--share",
    type=PATH,
    metavar="KEYFILE",
    help="Also write a split file without IDs, hashed with this secret.",
)
@seed_option("The same seed gives the same split.")
def split(
    manifest: Path, output: Path, test: float, val: float, folds: int | None, holdout: str | None,
    train_size: tuple[int, ...], share: Path | None, seed: int, *, baseline_only: bool,
) -> None:  # fmt: skip
    """Split by participant, always; stratified."""
    from voxtune.commands.split import split as stage

    done = stage(
        manifest, output, test=test, val=val, folds=folds, holdout=holdout, baseline_only=baseline_only,
        train_sizes=train_size, share=share, seed=seed, say=tell,
    )  # fmt: skip
    echo(f"Split: {done}")


AUDITED = ("targets", "classes.findings")
"""Settings of a run that say what an audit looks at beside the diagnosis."""


@command("audit")
@click.argument("directory", type=PATH)
@data_option
@click.option(
    "--reports", type=PATH, help="reports.tsv; otherwise the one in the split folder or beside the manifest."
)
@click.option(
    "--allow", multiple=True, metavar="CHECK", help="Accept what this check finds; it is written down."
)
@click.option(
    "--ancestor",
    "ancestors",
    type=PATH,
    multiple=True,
    metavar="SPLIT",
    help="Split folder of an earlier run of the same adapter.",
)
@click.option(
    "--permute",
    type=click.IntRange(0),
    default=200,
    show_default=True,
    help="Draws of random sides against which the sides are tested; 0 leaves that out.",
)
@profile_option
@set_option
def audit(
    directory: Path, data: Path | None, reports: Path | None, allow: tuple[str, ...], ancestors: tuple[Path, ...], permute: int,
    profile: str | None, assignments: tuple[str, ...],
) -> None:  # fmt: skip
    """Look for information that crosses a split; exit 4 refuses.

    --set report.fields=COLUMN,... names columns that were opened for the texts, --set report.controls=CLASS,... the classes whose percentiles
    they state; --set targets=COLUMN,... and --set classes.findings=COLUMN,... what is predicted beside the diagnosis, as for train.
    """
    from voxtune.commands.audit import audit as stage

    answers = {name: value for one in assignments for name, value in pairs([one]).items() if name in AUDITED}
    rest = [one for one in assignments if one.partition("=")[0].strip() not in AUDITED]
    profile, fields, more = text_settings(profile, rest, ("controls",))
    done = stage(
        directory, data, reports, allow, ancestors=ancestors, permute=permute, profile=profile, fields=fields,
        controls=more.get("controls", ()), targets=answers.get("targets", ""), findings=answers.get("classes.findings", ""),
    )  # fmt: skip
    echo(done.text)


@command("doctor")
@click.argument("path", type=PATH, required=False)
@click.option("--cohort", help="Check PATH as this cohort.")
@profile_option
def doctor(path: Path | None, cohort: str | None, profile: str | None) -> None:
    """Check this installation, or say what a cohort folder lacks before anything runs."""
    from voxtune.commands.doctor import doctor as stage

    report = stage(path, cohort, profile)
    echo(report.text)
    sys.exit(report.exit_code)
