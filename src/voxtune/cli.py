"""Parse, import the stage, call it. The only file that reads the environment and turns errors into exit codes."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, Literal, ParamSpec

import click

from voxtune import __version__
from voxtune.errors import NotBuiltError, UsageError, VoxTuneError

P = ParamSpec("P")
PATH = click.Path(path_type=Path)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="voxtune")
def main() -> None:
    """Adapt frozen 3D medical vision-language models to one disease with little data.

    Exit codes: 0 done, 2 usage, 3 bad data, 4 leakage refused, 5 some scans failed and the rest are done. Research software, not for
    diagnosis.
    """


def command(name: str) -> Callable[[Callable[P, None]], click.Command]:
    """A subcommand whose user errors become one sentence on standard error and their exit code."""

    def decorate(function: Callable[P, None]) -> click.Command:
        @wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                function(*args, **kwargs)
            except VoxTuneError as error:
                click.echo(f"voxtune {name}: {error}", err=True)
                sys.exit(error.exit_code)
            except KeyboardInterrupt:
                click.echo(f"voxtune {name}: stopped; what was finished is kept.", err=True)
                sys.exit(130)

        return main.command(name)(guarded)

    return decorate


def pairs(assignments: Sequence[str]) -> dict[str, str]:
    """``PATH=VALUE`` options as a mapping.

    Raises:
        UsageError: one has no ``=``.
    """
    found = {}
    for one in assignments:
        key, equals, value = one.partition("=")
        if not equals:
            raise UsageError(f"--set takes PATH=VALUE, got '{one}'.")
        found[key.strip()] = value
    return found


def say(result: Mapping[str, Any], text: str, *, as_json: bool) -> None:
    """One JSON object on standard output, or the sentence for people."""
    if as_json:
        import json

        click.echo(json.dumps(result, allow_nan=False))
    else:
        click.echo(text)


as_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
set_option = click.option(
    "--set", "assignments", multiple=True, metavar="PATH=VALUE", help="Change one setting; may be repeated."
)
data_option = click.option("--data", type=PATH, help="manifest.tsv of preprocessed scans.")


@command("info")
@as_json_option
def info(*, as_json: bool) -> None:
    """List models, presets, methods, recipes and cohorts."""
    from voxtune.stages.info import describe_catalog, information

    found = information()
    say(found, describe_catalog(found), as_json=as_json)


@command("doctor")
@click.argument("path", type=PATH, required=False)
@click.option("--cohort", help="Check PATH as this cohort.")
def doctor(path: Path | None, cohort: str | None) -> None:
    """Check this installation, or say what a cohort folder lacks before anything runs."""
    from voxtune.stages.doctor import doctor as stage

    report = stage(path, cohort)
    click.echo(report.text)
    sys.exit(report.exit_code)


@command("demo")
@click.argument("out", type=PATH, default=Path("demo-output"))
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
def demo(out: Path, seed: int) -> None:
    """Run the whole path on simulated people and one real head, offline."""
    from voxtune.stages.demo import demo as stage

    click.echo(f"The page: {stage(out, seed=seed)}")


@command("simulate")
@click.argument("out", type=PATH)
@click.option("--participants", type=click.IntRange(1), default=200, show_default=True)
@click.option(
    "--visits", type=click.IntRange(1, 20), default=3, show_default=True, help="Most visits of one person."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--scanners", type=click.IntRange(1, 50), default=3, show_default=True)
@click.option(
    "--difficulty", type=click.FloatRange(0.1, 10), default=1.0, show_default=True, help="Lower is easier."
)
@click.option(
    "--raw-heads",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Heads with skull, for preprocessing.",
)
def simulate(
    out: Path, participants: int, visits: int, seed: int, scanners: int, difficulty: float, raw_heads: int
) -> None:
    """Make a SIMULATED cohort whose truth is known."""
    from voxtune.stages.simulate import simulate as stage

    manifest = stage(
        out,
        participants=participants,
        visits=visits,
        seed=seed,
        scanners=scanners,
        difficulty=difficulty,
        raw_heads=raw_heads,
    )
    click.echo(f"SIMULATED cohort: {manifest}")


@command("ingest")
@click.argument("cohort")
@click.argument("source", type=PATH)
@click.option("-o", "--output", type=PATH, required=True, help="The manifest to write.")
@set_option
def ingest(cohort: str, source: Path, output: Path, assignments: tuple[str, ...]) -> None:
    """Read a cohort's download into a manifest; every label with its rule and source."""
    from voxtune.stages.ingest import ingest as stage

    click.echo(stage(cohort, source, output, pairs(assignments)).summary)


@command("preprocess")
@click.argument("manifest", type=PATH)
@click.argument("out", type=PATH)
@click.option("--preset", default="deft", show_default=True)
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True)
@click.option("--scheduler", metavar="ADDRESS", help="A Dask scheduler to run on.")
@click.option("--shard", metavar="I/N", help="Do the I-th of N parts (job arrays).")
@click.option("--resume/--no-resume", default=True, show_default=True, help="Keep finished scans.")
@click.option("--stripped/--with-skull", default=None, help="Declare it; otherwise recognised scan by scan.")
def preprocess(
    manifest: Path,
    out: Path,
    preset: str,
    workers: int,
    scheduler: str | None,
    shard: str | None,
    *,
    resume: bool,
    stripped: bool | None,
) -> None:
    """Bring every scan of a manifest to a model's volume, with a quality page."""
    from voxtune.stages.preprocess import preprocess as stage

    done = stage(
        manifest,
        out,
        preset=preset,
        workers=workers,
        scheduler=scheduler,
        shard=shard,
        resume=resume,
        stripped=stripped,
    )
    click.echo(f"Preprocessed: {done}")


@command("describe")
@click.argument("manifest", type=PATH)
@click.option("-o", "--output", type=PATH, required=True, help="The reports.tsv to write.")
@click.option(
    "--template", default="deft", show_default=True, help="A shipped template or a Jinja2 text file."
)
@click.option("--missing", type=click.Choice(["omit", "unavailable"]), default="omit", show_default=True)
def describe(manifest: Path, output: Path, template: str, missing: Literal["omit", "unavailable"]) -> None:
    """Write a report text for every scan from its metadata."""
    from voxtune.stages.describe import describe as stage

    click.echo(stage(manifest, output, template, missing).summary)


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
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
def split(
    manifest: Path, output: Path, test: float, val: float, folds: int | None, holdout: str | None, seed: int
) -> None:
    """Split by participant, always; stratified."""
    from voxtune.stages.split import split as stage

    done = stage(
        manifest, output, test=test, val=val, folds=folds, holdout=holdout, seed=seed, say=click.echo
    )
    click.echo(f"Split: {done}")


@command("audit")
@click.argument("directory", type=PATH)
@data_option
@click.option(
    "--allow", multiple=True, metavar="CHECK", help="Accept what this check finds; it is written down."
)
def audit(directory: Path, data: Path | None, allow: tuple[str, ...]) -> None:
    """Look for information that crosses a split; exit 4 refuses."""
    from voxtune.stages.audit import audit as stage

    click.echo(stage(directory, data, allow=allow).text)


@command("weights")
@click.argument("action", type=click.Choice(["list", "get", "convert"]))
@click.argument("name", required=False)
@click.argument("file", type=PATH, required=False)
def weights(action: str, name: str | None, file: Path | None) -> None:
    """List published weights, say how to get them, or convert a published file to safetensors."""
    from voxtune.stages.weights import weights as stage

    home = os.environ.get("VOXTUNE_HOME")
    click.echo(stage(action, name, file, home=Path(home) if home else None))


@command("train")
@click.argument("recipe")
@click.option("-o", "--output", type=PATH, required=True, help="The run directory to write.")
@data_option
@click.option(
    "--split", "split_dir", type=PATH, help="The split folder; otherwise one is made by participant."
)
@set_option
@click.option(
    "--allow", multiple=True, metavar="CHECK", help="Train although this audit check finds something."
)
@click.option("--resume", is_flag=True, help="Go on where this run stopped.")
def train(
    recipe: str,
    output: Path,
    data: Path | None,
    split_dir: Path | None,
    assignments: tuple[str, ...],
    allow: tuple[str, ...],
    *,
    resume: bool,
) -> None:
    """Train an adapter by a recipe."""
    from voxtune.stages.train import train as stage

    done = stage(
        recipe, output, data=data, split_dir=split_dir, assignments=assignments, allow=allow, resume=resume
    )
    click.echo(done.summary)


@command("evaluate")
@click.argument("run", type=PATH)
@data_option
@click.option("--classes", metavar="A,B", help="Score these classes only (an external cohort with fewer).")
@click.option("-o", "--output", type=PATH, help="Where to write; otherwise inside the run.")
@as_json_option
def evaluate(
    run: Path, data: Path | None, classes: str | None, output: Path | None, *, as_json: bool
) -> None:
    """Score a run on its test scans, or on another cohort, with intervals over participants."""
    from voxtune.stages.evaluate import evaluate as stage

    done = stage(run, data=data, classes=tuple(classes.split(",")) if classes else None, output=output)
    say(done.metrics, done.summary, as_json=as_json)


@command("compare")
@click.argument("a", type=PATH)
@click.argument("b", type=PATH)
@click.option("-o", "--output", type=PATH, help="Where to write the table and the page.")
def compare(a: Path, b: Path, output: Path | None) -> None:
    """Compare two runs on the same test scans with paired tests."""
    import json

    from voxtune.stages.compare import compare as stage

    click.echo(json.dumps(stage(a, b, output), indent=2, allow_nan=False))


@command("predict")
@click.argument("adapter", type=PATH)
@click.argument("scans", type=PATH, nargs=-1, required=True)
@click.option("-o", "--output", type=PATH, help="Folder of the pages; otherwise 'predictions' here.")
@click.option("--base", type=PATH, help="Weights of the base, where they are not shipped.")
@click.option("--stripped/--with-skull", default=None, help="Declare it; otherwise recognised.")
@as_json_option
def predict(
    adapter: Path,
    scans: tuple[Path, ...],
    output: Path | None,
    base: Path | None,
    *,
    stripped: bool | None,
    as_json: bool,
) -> None:
    """Say what an adapter sees in one scan or several, with a page for each."""
    from voxtune.stages.predict import predict as stage

    done = stage(
        adapter,
        scans,
        output=output,
        base=base,
        stripped=stripped,
        say=lambda line: click.echo(line, err=True),
    )
    say(done.as_json(), done.summary, as_json=as_json)
    if done.error is not None:
        raise done.error


@command("explain")
@click.argument("adapter", type=PATH)
@click.argument("scan", type=PATH)
@click.option("-o", "--output", type=PATH, help="Where to write maps, tables and the page.")
def explain(adapter: Path, scan: Path, output: Path | None) -> None:
    """Not built yet: show what a prediction rests on, with checks."""
    raise NotBuiltError("explain")


@command("export")
@click.argument("run", type=PATH)
@click.option("-o", "--output", type=PATH, required=True, help="The adapter folder to write.")
def export(run: Path, output: Path) -> None:
    """Export a run's adapter with its model card; no IDs, no paths."""
    from voxtune.stages.export import export as stage

    click.echo(f"Adapter: {stage(run, output)}")


@command("reproduce")
@click.argument("paper")
@click.option("--table", type=click.IntRange(2, 6))
@data_option
@click.option("-o", "--output", type=PATH)
def reproduce(paper: str, table: int | None, data: Path | None, output: Path | None) -> None:
    """Not built yet: make a paper's table beside its published numbers."""
    raise NotBuiltError("reproduce")


@command("serve")
@click.argument("adapter", type=PATH)
@click.option("--port", type=click.IntRange(1, 65535), default=8765, show_default=True)
def serve(adapter: Path, port: int) -> None:
    """Not built yet: open a local page to drop scans on."""
    raise NotBuiltError("serve")
