"""The texts a training aligns its scans with, and what a person should know of them."""

from collections.abc import Callable, Sequence

from voxtune.config import RunConfig
from voxtune.errors import DataError
from voxtune.profiles.plausible import implausible
from voxtune.reports.change import said_of_change
from voxtune.reports.norms import FittedNorms, said_of_norms
from voxtune.reports.policy import left_out_note
from voxtune.types.records import ManifestRow, Report

Say = Callable[[str], None]


def training_norms(train: Sequence[ManifestRow], config: RunConfig) -> FittedNorms | None:
    """The normative model of the training side, where the texts state percentiles and are read at all.

    Raises:
        DataError: too few controls.
    """
    from voxtune.reports.needed import needed_norms

    if not config.loss.contrastive_weight:
        return None
    return needed_norms(config.report, config.profile, train, config.predicted_columns)


def training_reports(
    rows: Sequence[ManifestRow], config: RunConfig, norms: FittedNorms | None = None
) -> dict[str, Report]:
    """The texts to align with, without the label sentence where no class is asked; none are read where their weight is 0.

    Raises:
        DataError: nothing can be said of a scan; the message says how to train without texts.
        LeakageError: a text would state a target.
    """
    from voxtune.data.examples import reports_of

    if not config.loss.contrastive_weight:
        return {}
    targets = list(config.predicted_columns)
    try:
        return reports_of(
            rows, config.report, config.profile, label=config.classes.asked, targets=targets, norms=norms
        )
    except DataError as error:
        if config.classes.asked:
            raise
        raise DataError(
            f"{error} Without a class the reports are all that the text side learns from; train without it: "
            "--set loss.contrastive_weight=0 --set text=none --set projections=frozen --set loss.temperature_learned=false"
        ) from None


def say_of_texts(
    rows: Sequence[ManifestRow], config: RunConfig, say: Say, norms: FittedNorms | None = None
) -> None:
    """What a person should know of the fields: values that are hardly possible, and columns that are in no text."""
    assert config.profile is not None
    for sentence in implausible(rows, config.profile):
        say(f"Warning: {sentence}.")
    reads = config.loss.contrastive_weight and config.report.file is None
    if reads and (note := left_out_note(rows, config.profile, config.report.fields)):
        say(note)
    if reads and config.report.change:
        say(said_of_change(rows, config.profile, config.predicted_columns))
    if norms is not None:
        for line in said_of_norms(rows, norms):
            say(line)
