"""Commands on models: train, score, predict, hand over."""

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
    series_option,
    set_option,
    view_option,
)


@command("info")
@click.argument("what", type=click.Choice(["recipe", "settings"]), required=False)
@click.argument("name", required=False)
@as_json_option
def info(what: str | None, name: str | None, *, as_json: bool) -> None:
    """List models, presets, methods, recipes and cohorts.

    'info recipe NAME' shows what a recipe sets; 'info settings' lists every setting of a training, 'info settings NAME' those of a part
    (training, loss, ...), a model or a method.
    """
    from voxtune.commands.info import describe_catalog, information, look_up

    found, text = (information(), "") if what is None else look_up(what, name)
    say(found, text or describe_catalog(found), as_json=as_json)


@command("weights")
@click.argument("action", type=click.Choice(["list", "get", "convert"]))
@click.argument("name", required=False)
@click.argument("file", type=PATH, required=False)
@click.option(
    "--seen", is_flag=True, help="With 'list': which public cohorts each base has seen, and the source."
)
def weights(action: str, name: str | None, file: Path | None, *, seen: bool) -> None:
    """List published weights, say how to get them, or convert a published file to safetensors."""
    from voxtune.commands.weights.command import weights as stage

    home = os.environ.get("VOXTUNE_HOME")
    echo(stage(action, name, file, home=Path(home) if home else None, seen=seen))


@command("train")
@click.argument("recipe")
@click.option("-o", "--output", type=PATH, required=True, help="The run directory to write.")
@data_option
@click.option(
    "--split",
    "split_dir",
    type=PATH,
    help="The split folder, or that of all folds; otherwise one is made by participant.",
)
@click.option(
    "--train-size",
    type=click.IntRange(1),
    metavar="N",
    help="Train on the subset of N scans of 'split --train-size'.",
)
@set_option
@click.option(
    "--allow", multiple=True, metavar="CHECK", help="Train although this audit check finds something."
)
@click.option("--resume", is_flag=True, help="Go on where this run stopped.")
@click.option(
    "--control", is_flag=True, help="Train a control on shuffled labels too, for the checks of 'explain'."
)
@device_option
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes for folds.")
@click.option("--shard", metavar="I/N", help="Do the I-th of N parts of the folds (job arrays).")
def train(
    recipe: str,
    output: Path,
    data: Path | None,
    split_dir: Path | None,
    assignments: tuple[str, ...],
    train_size: int | None,
    allow: tuple[str, ...],
    device: str,
    workers: int,
    shard: str | None,
    *,
    resume: bool,
    control: bool,
) -> None:
    """Train an adapter by a recipe, or one for each fold of a cross-validation (--split FOLDS).

    'voxtune info recipe RECIPE' shows what a recipe sets, 'voxtune info settings' every setting that --set takes.
    """
    from voxtune.commands.train.command import train as stage

    done = stage(
        recipe,
        output,
        data=data,
        split_dir=split_dir,
        assignments=assignments,
        allow=allow,
        resume=resume,
        control=control,
        device=device,
        train_size=train_size,
        workers=workers,
        shard=shard,
    )
    echo(done.summary)


@command("evaluate")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=PATH)
@data_option
@click.option(
    "--classes",
    metavar="A,B",
    help="Score these classes only; one unseen in training is known by its class text.",
)
@click.option(
    "--map",
    "renamed",
    multiple=True,
    metavar="LABEL=CLASS",
    help="A label of this cohort is this class (a column this finding); may be repeated.",
)
@click.option(
    "--coverage",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Measure prediction sets that hold the truth for this share of people, as 0.9.",
)
@click.option("--by-class", is_flag=True, help="With --coverage: for the people of each class by themselves.")
@click.option("-o", "--output", type=PATH, help="Where to write; otherwise inside the run.")
@device_option
@as_json_option
def evaluate(
    runs: tuple[Path, ...],
    data: Path | None,
    classes: str | None,
    renamed: tuple[str, ...],
    output: Path | None,
    device: str,
    coverage: float | None,
    *,
    by_class: bool,
    as_json: bool,
) -> None:
    """Score a run on its test scans or on another cohort, or a recipe's base zero-shot, with intervals over participants.

    Several runs (-o DIR), or a folder of runs: seeds of one recipe are scored each by itself, and as mean and standard deviation;
    folds of a cross-validation are pooled, each fold beside the whole.
    """
    chosen = tuple(classes.split(",")) if classes else None
    label_map = pairs(renamed, "--map", "LABEL=CLASS")

    def tell(line: str) -> None:
        echo(line, err=True)

    from voxtune.commands.evaluate.command import evaluate as score

    done = score(
        runs,
        data=data,
        classes=chosen,
        label_map=label_map,
        output=output,
        coverage=coverage,
        by_class=by_class,
        say=tell,
    )
    say(done.as_json(), done.summary, as_json=as_json)


@command("compare")
@click.argument("a", type=PATH)
@click.argument("b", type=PATH)
@click.option("-o", "--output", type=PATH, help="Where to write the table and the page.")
def compare(a: Path, b: Path, output: Path | None) -> None:
    """Compare two runs, or two sets of seeds, on the same test scans with paired tests."""
    import json

    from voxtune.commands.compare import compare as stage

    echo(json.dumps(stage(a, b, output), indent=2, allow_nan=False))


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
    "--workers",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Processes; each loads the model once.",
)
@click.option("--scheduler", metavar="ADDRESS", help="A Dask scheduler to run on.")
@click.option("--force", is_flag=True, help="Answer again what was answered before.")
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
    workers: int,
    scheduler: str | None,
    device: str,
    view: Literal["radiological", "neurological"],
    *,
    stripped: bool | None,
    force: bool,
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
        workers=workers,
        scheduler=scheduler,
        force=force,
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
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
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


@command("export")
@click.argument("run", type=PATH)
@click.option("-o", "--output", type=PATH, required=True, help="The adapter folder to write.")
@click.option("--merge", is_flag=True, help="Fold LoRA or IA3 into a copy of the base, written beside.")
@click.option("--peft", is_flag=True, help="Also write the LoRA or IA3 part as Hugging Face peft stores it.")
@click.option("--base", type=PATH, help="Weights of the base, where the run does not know them any more.")
def export(run: Path, output: Path, base: Path | None, *, merge: bool, peft: bool) -> None:
    """Export a run's adapter with its model card; no IDs, no paths."""
    from voxtune.commands.export import export as stage

    echo(f"Adapter: {stage(run, output, merge=merge, peft=peft, base=base)}")


@command("reproduce")
@click.argument("paper")
@click.option(
    "--table", "tables", type=click.IntRange(1), multiple=True, help="Only this one; may be repeated."
)
@click.option(
    "--figure", "figures", type=click.IntRange(1), multiple=True, help="Only this one; may be repeated."
)
@data_option
@click.option("--external", type=PATH, help="manifest.tsv of another cohort to test on.")
@click.option(
    "-o", "--output", type=PATH, help="The folder to write or go on with; otherwise 'reproduce-PAPER'."
)
@click.option("--base", help="Model under the tables that have one; a shipped one on simulated scans.")
@click.option("--seeds", type=click.IntRange(1), default=5, show_default=True, help="Trainings of each row.")
@click.option("--participants", type=click.IntRange(30), help="Of the simulated cohort (no --data).")
@set_option
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes.")
@click.option("--shard", metavar="I/N", help="Do the I-th of N parts (job arrays).")
@click.option("--scheduler", metavar="ADDRESS", help="A Dask scheduler to run on.")
@click.option("--dry-run", is_flag=True, help="Say what would run, how long, and what is missing.")
def reproduce(
    paper: str, tables: tuple[int, ...], figures: tuple[int, ...], data: Path | None, external: Path | None, output: Path | None,
    base: str | None, seeds: int, participants: int | None, assignments: tuple[str, ...], workers: int, shard: str | None,
    scheduler: str | None, *, dry_run: bool,
) -> None:  # fmt: skip
    """Make a paper's tables beside its published numbers, on your cohorts or on SIMULATED people."""
    from voxtune.commands.reproduce.command import Options, reproduce
    from voxtune.commands.reproduce.data import Request
    from voxtune.commands.reproduce.dry_run import dry_run as rehearse

    home = os.environ.get("VOXTUNE_HOME")
    options = Options(
        tables=tables,
        figures=figures,
        request=Request(data, external, participants),
        seeds=seeds,
        base=base,
        workers=workers,
        shard=shard,
        scheduler=scheduler,
        home=Path(home) if home else Path.home() / ".voxtune",
        edits=assignments,
    )
    folder = output or Path(f"reproduce-{paper}")
    echo(rehearse(paper, folder, options) if dry_run else reproduce(paper, folder, options, echo).summary)


@command("serve")
@click.argument("adapter", type=PATH)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option("--port", type=click.IntRange(1, 65535), default=8765, show_default=True)
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
@device_option
@view_option
def serve(
    adapter: Path, host: str, port: int, base: Path | None, workers: int, keep: float, upload_limit: int, memory_limit: int,
    time_limit: int, root_path: str, trusted: tuple[str, ...], token_file: Path | None, device: str,
    view: Literal["radiological", "neurological"],
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
    stage(adapter, access=access, base=base, limits=limits, device=device, view=view, say=echo)


@command("demo")
@click.argument("out", type=PATH, default=Path("demo-output"))
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
def demo(out: Path, seed: int) -> None:
    """Run the whole path on simulated people and one real head, offline."""
    from voxtune.commands.demo import demo as stage

    echo(f"The page: {stage(out, seed=seed)}")
