"""The normative model that the texts of a run need, if any: one path for every command that writes texts."""

from collections.abc import Sequence

from voxtune.config import ReportSettings
from voxtune.errors import VoxTuneError
from voxtune.profiles.recognise import chosen_profile
from voxtune.reports.norms import FittedNorms, fit_norms
from voxtune.reports.policy import opened, use_of
from voxtune.reports.wording import asks_norms, load_template
from voxtune.types.norms import COLUMNS, Norms, Term
from voxtune.types.profile import Profile
from voxtune.types.records import ManifestRow


def needed_norms(
    settings: ReportSettings,
    profile: Profile | None,
    train: Sequence[ManifestRow],
    targets: Sequence[str] = (),
) -> FittedNorms | None:
    """The normative model of the training side, where the texts state percentiles; ``None`` where they state none.

    Args:
        settings: of the texts.
        profile: of the cohort; ``None``: recognised.
        train: rows of the training side and of no other.
        targets: columns that are predicted: percentiles are not adjusted for them.

    Raises:
        DataError: too few controls, or nobody says which class they are.
        LeakageError: a field that may never be in a text is opened.
    """
    if settings.file is not None:
        return None
    profile = chosen_profile(profile, train, settings.template).profile
    policy = opened(settings.fields, profile, train, targets)
    if not asks_norms(load_template(settings.template or profile.template, profile, policy), profile):
        return None
    rules = {row.diagnosis_rule for row in train}
    closed: dict[Term, str] = {
        term: "it may not be in a text"
        for term, column in COLUMNS.items()
        if any(use_of(column, policy, rule, profile=profile) == "never" for rule in rules)
    }
    return fit_norms(train, profile, settings.controls, closed)


def kept_norms(
    kept: Norms | None,
    settings: ReportSettings,
    profile: Profile,
    train: Sequence[ManifestRow] = (),
    targets: Sequence[str] = (),
) -> FittedNorms | None:
    """The normative model that an adapter keeps, with the models without each of its controls where the training rows make the same one.

    Args:
        kept: of the adapter; ``None``: its texts state no percentiles.
        settings: of its texts.
        profile: of its cohort.
        train: rows of its training side, if they are at hand; other rows give another model and are not used.
        targets: columns that it predicts.
    """
    if kept is None:
        return None
    try:
        again = needed_norms(settings, profile, train, targets) if train else None
    except VoxTuneError:  # not the rows it was made of
        again = None
    return again if again is not None and again.norms == kept else FittedNorms(kept)
