"""What the command line asks of a testbed, and what it cannot ask of one."""

from pathlib import Path

from voxtune.commands.reproduce.command import Options, Reproduced
from voxtune.commands.reproduce.loop import Say
from voxtune.commands.testbed.command import Machine, rehearse_testbed, run_testbed
from voxtune.commands.testbed.design import COHORTS
from voxtune.commands.testbed.plan import Asked
from voxtune.errors import UsageError


def asked_of(options: Options, cohorts: int | None, regimes: tuple[str, ...]) -> Asked | None:
    """The testbed that is asked for; ``None``: none, neither cohorts nor regimes are given.

    Raises:
        UsageError: an option beside them that a testbed has not.
    """
    if cohorts is None and not regimes:
        return None
    request = options.request
    other = {
        "--data": request.data is not None,
        "--external": bool(request.external),
        "--participants": request.participants is not None,
        "--seeds": options.seeds != Options.seeds,
        "--figure": bool(options.figures),
    }
    if given := [name for name, is_given in other.items() if is_given]:
        raise UsageError(
            f"{', '.join(given)} cannot stand beside --cohorts and --regime: they compare rows over cohorts that the testbed simulates, "
            "with one training of each row on each."
        )
    return Asked(cohorts or COHORTS, regimes, options.tables, options.base, options.edits)


def run_or_rehearse(
    paper: str, folder: Path, options: Options, asked: Asked, say: Say, *, dry_run: bool
) -> Reproduced:
    """Run the testbed, or say what would run."""
    machine = Machine(options.workers, options.shard, options.scheduler)
    if dry_run:
        return Reproduced(folder, rehearse_testbed(paper, folder, asked, machine))
    return run_testbed(paper, folder, asked, machine, say)
