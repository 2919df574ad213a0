"""Several scans of one person, once the adapter is trained: what change adds to the last scan is learned and told."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voxtune.commands.train.session import Scans, Session
    from voxtune.data.examples import Examples
    from voxtune.model.vlm import VisionLanguageModel
    from voxtune.training.records import Form
    from voxtune.types.tensors import ScanOutputs


def with_visits(
    session: "Session",
    model: "VisionLanguageModel",
    sides: "tuple[Examples, Examples]",
    scans: "Scans",
    texts: "list[list[str]]",
    outputs: "ScanOutputs",
) -> "ScanOutputs":
    """What a model says of the validation scans with the earlier scans of their people read beside them; every process calls it.

    Args:
        session: of the run.
        model: as it was kept; where it reads several scans, it has learned to afterwards.
        sides: training and validation scans.
        scans: how they are read.
        texts: of the question.
        outputs: of the validation scans, each read alone.
    """
    from dataclasses import replace

    from voxtune.commands.train.validate import score_together
    from voxtune.model.questions import encoded_texts
    from voxtune.model.visits import VisitJoin, VisitSide, histories_of, learn_visits
    from voxtune.tasks.time_to_event import baseline_of

    join, event = model.visits, session.config.event
    if not isinstance(join, VisitJoin) or event is None:
        return outputs
    form: Form = "embedded" if scans.embedded else "volumes"
    with session.ranks.autocast():
        encoded = encoded_texts(model, texts)
        seen = score_together(model, sides[0].scan_ids, scans.plain, form, encoded, session.ranks)

    def side(name: str, examples: "Examples", found: "ScanOutputs") -> VisitSide:
        assert found.logits is not None
        assert examples.labels.findings is not None
        histories = histories_of(session.cohort.sides[name], event.visits)
        cells = examples.labels.findings.double().numpy()
        return VisitSide(found.logits, found.vectors, cells, histories, examples.participant_ids)

    train, validation = side("train", sides[0], seen), side("val", sides[1], outputs)
    session.say(learn_visits(join, train, validation, baseline_of(session.cohort.sides["train"], event)))
    return replace(outputs, logits=join.joined(validation.logits, validation.vectors, validation.histories))
