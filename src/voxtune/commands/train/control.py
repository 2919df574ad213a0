"""``voxtune train --control``: the same recipe once more on labels and texts dealt out at random, for what ``explain`` asks of a map.

Adebayo et al. 2018 (arXiv 1810.03292), data randomisation: a map that a model taught nonsense gives as well does not show what the
labels taught. The control learns its nonsense by heart: what is kept is what knows the dealt labels of the training scans best.
"""

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence

from voxtune.commands.train.session import Session, TrainingCohort
from voxtune.config import RunConfig
from voxtune.types.records import ManifestRow, Report
from voxtune.types.target import MMSE

EPOCHS = 8
"""Most epochs of a control whose length is in epochs: nonsense has nothing to wait for."""
DEALT = ("diagnosis", MMSE)
"""Columns that what is asked is made of, besides findings and other targets; everything else a text says comes with the text."""


def with_control(fit: Callable[[Session], str], session: Session) -> str:
    """Train the adapter, then its control; the line for a person says both."""
    summary = fit(session)
    session.say(
        "Now the control for 'voxtune explain': the same recipe on labels and texts dealt out at random."
    )
    return f"{summary}\n{fit(control_session(session))}"


def control_session(session: Session) -> Session:
    """The session of a finished run's control; it sees the training scans only.

    Raises:
        WeightsError: the run has no adapter.
    """
    from voxtune.model.adapter import read_facts

    facts = read_facts(session.run.adapter)
    config, cohort = session.config, session.cohort
    asked = {*DEALT, *config.classes.findings, *config.predicted_columns}
    rows, reports = deal(cohort.sides["train"], cohort.reports, asked, config.seed)
    dealt = TrainingCohort(
        cohort.manifest,
        {"train": rows, "val": rows, "test": []},
        reports,
        cohort.simulated,
        facts.adapter_sha256,
    )
    names = facts.classes if facts.task == "diagnosis" else ()
    return dataclasses.replace(
        session, run=session.run.control, config=control_config(config, names), cohort=dealt
    )


def control_config(config: RunConfig, classes: Sequence[str]) -> RunConfig:
    """The same settings, no more than ``EPOCHS``, the adapter's own classes, and no tracker that would show it beside real runs."""
    training: dict[str, object] = {"keep": "best", "stop_after": None, "trackers": ()}
    if config.training.epochs is not None:
        training["epochs"] = min(EPOCHS, config.training.epochs)
    update = {"training": config.training.model_copy(update=training)}
    if classes:
        return config.model_copy(
            update=update | {"classes": config.classes.model_copy(update={"names": tuple(classes)})}
        )
    return config.model_copy(update=update)


def deal(
    rows: Sequence[ManifestRow], reports: Mapping[str, Report], columns: Collection[str], seed: int
) -> tuple[list[ManifestRow], dict[str, Report]]:
    """Give every participant the labels and reports of a participant drawn at random, visit by visit.

    Whole people are dealt, so that labels and texts stay as plausible as they were, one with the other and from visit to visit. Who
    has more visits than were drawn for them begins again at the first.

    Args:
        rows: of one side of a split.
        reports: by scan; scans may be without.
        columns: of the rows, to be dealt.
        seed: of the draw.
    """
    import numpy as np

    visits: dict[str, list[ManifestRow]] = {}
    for row in rows:
        visits.setdefault(row.participant_id, []).append(row)
    people = list(visits)
    order = np.random.default_rng(seed).permutation(len(people)).tolist()
    donors = {person: visits[people[place]] for person, place in zip(people, order, strict=True)}
    seen: dict[str, int] = {}
    dealt_rows, dealt_reports = [], {}
    for row in rows:
        given = donors[row.participant_id]
        number = seen.get(row.participant_id, 0)
        seen[row.participant_id] = number + 1
        source = given[number % len(given)]
        dealt_rows.append(row.model_copy(update=source.model_dump(include=set(columns))))
        if source.scan_id in reports:
            dealt_reports[row.scan_id] = reports[source.scan_id].model_copy(update={"scan_id": row.scan_id})
    return dealt_rows, dealt_reports
