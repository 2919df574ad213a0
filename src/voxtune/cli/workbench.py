"""Commands of a research: features for other programs, learning curves."""

from pathlib import Path

import click

from voxtune.cli.base import (
    PATH,
    as_json_option,
    command,
    data_option,
    device_option,
    pairs,
    say,
    set_option,
)


@command("embed")
@click.argument("model")
@click.argument("manifest", type=PATH)
@click.option("-o", "--output", type=PATH, required=True, help="The folder to write.")
@click.option("--tokens", is_flag=True, help="Keep the finished tokens of the vision tower too (large).")
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
    model: str, manifest: Path, output: Path, base: Path | None, preset: str | None, assignments: tuple[str, ...], device: str,
    *, tokens: bool, as_json: bool,
) -> None:  # fmt: skip
    """Write what a frozen base or an adapter makes of every scan, as an array for other programs.

    MODEL is a backbone of 'voxtune info', an adapter, a run, or 'demo'. OUTPUT gets embeddings.npy (scans x numbers, float32),
    embeddings.tsv (a row a scan, in that order) and embed.json.
    """
    from voxtune.commands.embed.command import embed as stage

    done = stage(
        model, manifest, output, base=base, preset=preset, settings=pairs(assignments, form="NAME=VALUE"), tokens=tokens,
        device=device, say=lambda line: click.echo(line, err=True),
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
        say=lambda line: click.echo(line, err=True),
    )  # fmt: skip
    say(done.content, done.summary, as_json=as_json)
    if done.failed:
        raise SomeTrainingsFailedError(dict(done.failed))
