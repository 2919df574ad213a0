"""Commands on models: train, score, predict, hand over."""

import os
from pathlib import Path

import click

from voxtune.cli.base import (
    PATH,
    as_json_option,
    by_class_option,
    command,
    coverage_option,
    data_option,
    device_option,
    echo,
    false_discovery_option,
    listed,
    pairs,
    say,
    set_option,
    tell,
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
    "--choose",
    multiple=True,
    metavar="PATH=A|B",
    help="Choose a setting inside the training side (of each fold), by score; several are combined.",
)
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
    choose: tuple[str, ...],
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
        choose=choose,
        workers=workers,
        shard=shard,
        say=tell,
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
@coverage_option(
    "Measure prediction sets, and intervals of numbers, that hold the truth for this share of people, as 0.9."
)
@by_class_option
@false_discovery_option
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
    false_discovery: float | None,
    *,
    by_class: bool,
    as_json: bool,
) -> None:
    """Score a run on its test scans or on another cohort, or a recipe's base zero-shot, with intervals over participants.

    Several runs (-o DIR), or a folder of runs: seeds of one recipe are scored each by itself, and as mean and standard deviation;
    folds of a cross-validation are pooled, each fold beside the whole.
    """
    chosen = None if classes is None else listed(classes, "--classes")
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
        false_discovery=false_discovery,
        device=device,
        say=tell,
    )
    say(done.as_json(), done.summary, as_json=as_json)


@command("drift")
@click.argument("adapter", type=PATH)
@click.argument("manifest", type=PATH)
@click.option("-o", "--output", type=PATH, help="Folder of the page and drift.json.")
@click.option(
    "--reference", type=PATH, help="Compare with the scans of this manifest, not with what the adapter keeps."
)
@click.option("--base", type=PATH, help="Weights of the base, where they are not found.")
@device_option
@as_json_option
def drift(
    adapter: Path,
    manifest: Path,
    output: Path | None,
    reference: Path | None,
    base: Path | None,
    device: str,
    *,
    as_json: bool,
) -> None:
    """Say whether scans without labels are like those an adapter was made with, and what to do if not.

    ADAPTER is a folder, a run, or 'demo' for the shipped one; MANIFEST lists preprocessed scans, whose labels are not looked at. A participant
    counts once. What accuracy would be is estimated where that can be believed, and withheld where not.
    """
    from voxtune.commands.drift import drift as stage

    done = stage(
        adapter,
        manifest,
        output,
        reference=reference,
        base=base,
        device=device,
        say=lambda line: echo(line, err=True),
    )
    say(done.as_json(), done.summary, as_json=as_json)
    if done.error is not None:
        raise done.error


@command("compare")
@click.argument("a", type=PATH)
@click.argument("b", type=PATH)
@click.option("-o", "--output", type=PATH, help="Where to write the table and the page.")
@as_json_option
def compare(a: Path, b: Path, output: Path | None, *, as_json: bool) -> None:
    """Compare two runs, or two sets of seeds or folds, on the same test scans with paired tests."""
    from voxtune.commands.compare import compare as stage
    from voxtune.commands.compare import summary

    found = stage(a, b, output)
    say(found, summary(found, output), as_json=as_json)


@command("export")
@click.argument("run", type=PATH)
@click.option("-o", "--output", type=PATH, required=True, help="The adapter folder to write.")
@click.option("--merge", is_flag=True, help="Fold LoRA or IA3 into a copy of the base, written beside.")
@click.option("--peft", is_flag=True, help="Also write the LoRA or IA3 part as Hugging Face peft stores it.")
@click.option("--base", type=PATH, help="Weights of the base, where the run does not know them any more.")
@click.option(
    "--case-bank",
    type=click.IntRange(5),
    metavar="K",
    help="Also a bank of similar cases: means over at least K training participants of a class.",
)
def export(
    run: Path, output: Path, base: Path | None, case_bank: int | None, *, merge: bool, peft: bool
) -> None:
    """Export a run's adapter with its model card; no IDs, no paths."""
    from voxtune.commands.export import export as stage

    echo(f"Adapter: {stage(run, output, merge=merge, peft=peft, base=base, case_bank=case_bank)}")
