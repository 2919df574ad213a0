"""The group of commands, how errors become exit codes, and the options that several commands share."""

import os
import shlex
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import click

from voxtune import __version__
from voxtune.errors import DataError, UsageError, VoxTuneError
from voxtune.progress import Said, heard, is_quiet
from voxtune.storage.start import no_empty_folders
from voxtune.types.seed import MAX_SEED
from voxtune.types.words import cleaned

P = ParamSpec("P")
PATH = click.Path(path_type=Path)
LOUDNESS = ("--quiet", "--verbose")
LOG = "--log"


class _Commands(click.Group):
    """The group; how much is said may stand before a command or anywhere behind it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Options of the group first."""
        end = args.index("--") if "--" in args else len(args)
        own: list[str] = []
        rest: list[str] = []
        for place, one in enumerate(args[:end]):
            named = one in LOUDNESS or one == LOG or one.startswith(f"{LOG}=")
            belongs = place > 0 and args[place - 1] == LOG
            (own if named or belongs else rest).append(one)
        return super().parse_args(ctx, [*own, *rest, *args[end:]])


@click.group(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(__version__, prog_name="voxtune")
@click.option("--quiet", is_flag=True, help="Only results and errors; may stand behind the command too.")
@click.option(
    "--verbose",
    is_flag=True,
    help="A line for every scan and step, and where an error came from; so may this.",
)
@click.option(
    LOG,
    "log",
    type=PATH,
    envvar="VOXTUNE_LOG",
    help="A file that gets every line with its time, quiet or not; or the variable VOXTUNE_LOG.",
)
def main(*, quiet: bool, verbose: bool, log: Path | None) -> None:
    """Adapt frozen 3D medical vision-language models to one disease with little data.

    Exit codes: 0 done, 2 usage, 3 bad data, 4 leakage refused, 5 some scans failed and the rest are done, 130 or 143
    stopped by Ctrl-C or SIGTERM (a training is saved: --resume goes on). Research software, not for diagnosis.
    """
    if quiet and verbose:
        raise click.UsageError("--quiet and --verbose do not go together.")
    Said.loudness = "quiet" if quiet else "verbose" if verbose else "normal"
    Said.log = log


def command(name: str) -> Callable[[Callable[P, None]], click.Command]:
    """A subcommand whose user errors become one sentence on standard error and their exit code."""

    def decorate(function: Callable[P, None]) -> click.Command:
        @wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                _begin_log(name)
                with no_empty_folders(one for one in kwargs.values() if isinstance(one, Path)):
                    function(*args, **kwargs)
                sys.stdout.flush()
                heard(f"voxtune {name}: done")
            except VoxTuneError as error:
                if Said.loudness == "verbose":
                    traceback.print_exc()
                _complain(name, str(error))
                sys.exit(error.exit_code)
            except BrokenPipeError:
                raise
            except OSError as error:
                # A disk that is full, a folder that cannot be written: the cause and the last part of the name say enough.
                place = f"'{Path(str(error.filename)).name}' " if error.filename else "a file "
                _complain(
                    name, f"{place}cannot be read or written ({error.strerror or type(error).__name__})."
                )
                sys.exit(DataError.exit_code)
            except KeyboardInterrupt:
                heard(f"voxtune {name}: stopped")
                click.echo(f"voxtune {name}: stopped; what was finished is kept.", err=True)
                sys.exit(130)

        return main.command(name)(guarded)

    return decorate


def _begin_log(name: str) -> None:
    """Which program was asked what, where a log is asked for.

    Raises:
        StorageError: it cannot be written.
    """
    if Said.log is None:
        return
    from voxtune.storage.write import append_line

    asked = shlex.join(sys.argv[1:]) if Path(sys.argv[0]).stem.startswith("voxtune") else name
    append_line(
        Said.log,
        f"{datetime.now(tz=UTC).isoformat(timespec='seconds')} voxtune {__version__}: {cleaned(asked)}",
    )


def _complain(name: str, sentence: str) -> None:
    """One sentence on standard error; what cannot be said there or on standard output any more is dropped without a word."""
    heard(f"voxtune {name}: {sentence}")
    with suppress(OSError):
        click.echo(cleaned(f"voxtune {name}: {sentence}"), err=True)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):  # Python would try once more as it ends, with a traceback
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def echo(text: str, *, err: bool = False) -> None:
    """Print for people: what a file or a name smuggled in moves no cursor and turns no line around.

    A result goes to standard output; what is said on the way to standard error, and with ``--quiet`` nowhere.
    """
    heard(text)
    if err and is_quiet():
        return
    click.echo(cleaned(text), err=err)


def tell(text: str) -> None:
    """A line on the way on standard output, where people have always read it; with ``--quiet`` none."""
    if is_quiet():
        heard(text)
    else:
        echo(text)


def pairs(assignments: Sequence[str], option: str = "--set", form: str = "PATH=VALUE") -> dict[str, str]:
    """Options of the form ``PATH=VALUE`` as a mapping.

    Raises:
        UsageError: one has no ``=``.
    """
    found = {}
    for one in assignments:
        key, equals, value = one.partition("=")
        if not equals:
            raise UsageError(f"{option} takes {form}, got '{one}'.")
        found[key.strip()] = value
    return found


def listed(text: str, option: str) -> tuple[str, ...]:
    """Names with commas between them.

    Raises:
        UsageError: there is none, or nothing between two commas.
    """
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise UsageError(f"{option} takes names with commas between them, got '{text}'.")
    return names


def text_settings(
    profile: str | None, assignments: Sequence[str], also: Sequence[str] = ()
) -> tuple[str | None, tuple[str, ...], dict[str, tuple[str, ...]]]:
    """``--profile`` and the settings of texts that ``train`` has too: the profile, and the columns that are opened by name.

    Args:
        profile: of ``--profile``.
        assignments: of ``--set``.
        also: further settings of ``report`` that a command takes; their names come last.

    Raises:
        UsageError: another setting, or two profiles.
    """
    given = pairs(assignments)
    named = given.pop("profile", None)
    fields = given.pop("report.fields", "")
    more = {name: _names(given.pop(f"report.{name}")) for name in also if f"report.{name}" in given}
    if given:
        known = ", ".join(["report.fields", *(f"report.{name}" for name in also)])
        raise UsageError(f"No setting '{next(iter(given))}' here; expected {known} or profile.")
    if named and profile and named != profile:
        raise UsageError(f"Two profiles, '{profile}' and '{named}': give one.")
    return profile or named, _names(fields), more


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def say(result: Mapping[str, Any], text: str, *, as_json: bool) -> None:
    """One JSON object on standard output, or the sentence for people."""
    if as_json:
        import json

        try:
            line = json.dumps(result, allow_nan=False)
        except ValueError:
            raise DataError("A figure of the result is not finite, so there is no JSON of it.") from None
        click.echo(line)
    else:
        echo(text)


as_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
set_option = click.option(
    "--set", "assignments", multiple=True, metavar="PATH=VALUE", help="Change one setting; may be repeated."
)
series_option = click.option(
    "--series",
    metavar="NAME",
    help="DICOM series by UID, number or description; otherwise chosen by rules and said.",
)
device_option = click.option(
    "--device", metavar="DEVICE", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps."
)
view_option = click.option(
    "--view",
    type=click.Choice(["radiological", "neurological"]),
    default="radiological",
    show_default=True,
    help="Which side of a picture the person's right is on: left, or right.",
)
profile_option = click.option(
    "--profile", metavar="NAME|FILE.toml", help="What the disease adds; otherwise recognised and said."
)
data_option = click.option("--data", type=PATH, help="manifest.tsv of preprocessed scans.")
by_class_option = click.option(
    "--by-class", is_flag=True, help="With --coverage: for the people of each class by themselves."
)
false_discovery_option = click.option(
    "--false-discovery",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="RATE",
    help="Of findings: say which are there, at most this share of those said being wrong on average.",
)


def seed_option(words: str) -> Callable[[Any], Any]:
    """``--seed``, of what ``words`` say."""
    return click.option("--seed", type=click.IntRange(0, MAX_SEED), default=0, show_default=True, help=words)


def coverage_option(words: str) -> Callable[[Any], Any]:
    """``--coverage``, whose help says what is done with it."""
    return click.option("--coverage", type=click.FloatRange(0, 1, min_open=True, max_open=True), help=words)
