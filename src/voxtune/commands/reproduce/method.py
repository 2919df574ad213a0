"""How a table came about, in words for a paper's methods section."""

from collections.abc import Mapping, Sequence

from voxtune.commands.reproduce.externals import external_sides
from voxtune.commands.reproduce.paper import Paper, Table
from voxtune.commands.reproduce.scores import Line
from voxtune.training.plan import choice_in_words, length_in_words


def method_paragraph(
    paper: Paper,
    table: Table,
    lines: Sequence[Line],
    sides: Mapping[str, Mapping[str, int]],
    *,
    simulated: bool,
) -> str:
    """How the table came about, for a paper's methods section."""
    others = external_sides(sides)
    own, seeds = sides, max((one.seeds for line in lines for one in line.accuracy.values()), default=0)
    trained = next((line for line in lines if line.row.mode == "trained" and line.row.config), None)
    said = [
        f"After {paper.citation}.",
        "All people are SIMULATED; the published column is of real ones, so its difference to ours says nothing about the method."
        if simulated
        else "",
        f"One split by participant: {_side(own, 'train')} to train, {_side(own, 'val')} to validate, {_side(own, 'test')} to test"
        + (
            "; "
            + " and ".join(
                f"{_side(own, role)} of {'another cohort' if len(others) == 1 else paper.cohorts[role]}"
                for role in others
            )
            + f" ({', '.join(paper.external_classes)} only) to test."
            if others
            else "."
        ),
        f"Every trained row was trained with {seeds} seed(s) on that same split; mean and standard deviation are over the seeds. "
        "The 95% interval resamples participants within their diagnosis and belongs to the mean over the seeds.",
        f"Each row is compared with '{table.reference}'{' or the method on its own base' if any(line.row.against for line in lines) else ''} on the same scans, per scan the share of seeds that got it right; p by swapping "
        "whole participants between the two rows, after Holm over the rows of the table.",
    ]
    if trained and trained.row.config:
        config = trained.row.config
        said.append(
            f"AdamW, rate {config.optimiser.rate:g}, {length_in_words(config.training)}, batches of {config.training.batch_size}; "
            f"{choice_in_words(config.training)}, with a temperature and an offset for each class fitted on "
            "validation where it has enough people. Test scans steered nothing."
        )
    if table.largest is not None:
        said.append(
            f"Sizes are the shares of the paper's {table.largest} scans, taken from our training side as whole participants; smaller sets lie in "
            "larger ones, and validation shrinks with training"
            + (
                "; every size takes as many steps (fewer scans, more epochs)."
                if trained and trained.row.config and trained.row.config.training.epochs
                else "."
            )
        )
    return " ".join(one for one in said if one)


def findings_paragraph(
    paper: Paper,
    _table: Table,
    lines: Sequence[Line],
    sides: Mapping[str, Mapping[str, int]],
    *,
    simulated: bool,
) -> str:
    """How a table of findings came about."""
    seeds = max((one.seeds for line in lines for one in line.accuracy.values()), default=0)
    said = [
        f"After {paper.citation}.",
        "All people are SIMULATED; the published column is of real ones, so its difference to ours says nothing about the method."
        if simulated
        else "",
        f"One split by participant: {_side(sides, 'train')} to train, {_side(sides, 'val')} to validate, {_side(sides, 'test')} to test.",
        f"The tuned row was trained with {seeds} seed(s) on that split; mean and standard deviation are over the seeds. Every score is a mean "
        "over findings. An interval is the mean of the runs' own 95% intervals, which resample participants; the base is scored on the same "
        "scans, and thresholds of both are fixed on the validation scans.",
    ]
    return " ".join(one for one in said if one)


def _side(sides: Mapping[str, Mapping[str, int]], name: str) -> str:
    return f"{sides[name]['scans']} scans of {sides[name]['participants']} participants"
