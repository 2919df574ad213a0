"""Commands of a research: features for other programs, learning curves."""

from pathlib import Path

import click

from voxtune.cli.base import PATH, as_json_option, command, device_option, pairs, say


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
