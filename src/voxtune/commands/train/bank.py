"""The bank of a run (``model/bank.py``): filled before each validation from some training scans, and from all of them with what is kept."""

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voxtune.commands.train.validate import score_together

if TYPE_CHECKING:
    from voxtune.commands.train.session import Scans, Session
    from voxtune.data.examples import Examples, ReadScan
    from voxtune.model.vlm import VisionLanguageModel
    from voxtune.training.ranks import Ranks
    from voxtune.training.records import Form

MOST = 24
"""Training scans of each class that are looked at before a validation."""


@dataclass(frozen=True)
class BankScans:
    """The training scans that a bank is made of, and how they are read."""

    examples: "Examples"
    read: "ReadScan"
    form: "Form"
    ranks: "Ranks"

    @classmethod
    def of(cls, examples: "Examples", scans: "Scans", session: "Session") -> "BankScans":
        """As a run reads them; with augmentation they were not made ready, so their plain volumes are."""
        if not session.config.augment.enabled:
            return cls(examples, scans.score, scans.score_form, session.ranks)
        return cls(examples, scans.plain, "embedded" if scans.embedded else "volumes", session.ranks)

    def fill(self, model: "VisionLanguageModel", most: int | None = None) -> None:
        """Make the bank of a model that uses one; every process of the run calls it.

        Args:
            model: as it stands.
            most: scans of each class, the first in the order of the manifest; ``None``: all.
        """
        import torch

        from voxtune.model.bank import centroids

        if not model.uses_bank:
            return
        examples = self.examples
        known = examples.labels.classes
        groups = torch.full((len(examples),), -1) if known is None else known
        seen: Counter[int] = Counter()
        places = []
        for place, group in enumerate(groups.tolist()):
            seen[group] += 1
            if most is None or seen[group] <= most:
                places.append(place)
        names = [examples.scan_ids[place] for place in places]
        people = [examples.participant_ids[place] for place in places]
        with torch.no_grad():
            vectors = score_together(model, names, self.read, self.form, [], self.ranks).vectors
        model.bank = centroids(vectors, groups[places], people).to(model.bank.device)
