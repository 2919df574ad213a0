"""Rows and their reports as the arrays a training step needs; batches are cut from them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from voxtune.config import ReportSettings
from voxtune.data.manifest import read_reports
from voxtune.errors import DataError, SettingError
from voxtune.profiles.recognise import chosen_profile
from voxtune.reports.change import with_changes
from voxtune.reports.norms import FittedNorms
from voxtune.reports.policy import opened
from voxtune.reports.wording import load_template, write_report
from voxtune.types.profile import Profile
from voxtune.types.records import ManifestRow, Report
from voxtune.types.tensors import Batch, side_by_side

ReadScan = Callable[[str], Tensor]
"""scan_id to its tensor (C, X, Y, Z), or (T, D) once a frozen tower embedded it."""

Tokenize = Callable[[list[str]], tuple[Tensor, Tensor]]
"""Texts to their token ids and mask (N, L)."""

NO_LABEL = -100


@dataclass(frozen=True)
class Labels:
    """What is known of some scans in their order, as arrays; what no task asks for is absent."""

    classes: Int[Tensor, " N"] | None = None
    """-100 where there is none."""
    targets: Mapping[str, Float[Tensor, " N"]] = field(default_factory=dict)
    """By name, in their own units; NaN where missing."""
    findings: Float[Tensor, "N F"] | None = None
    """1 present, 0 absent, NaN unknown."""
    finding_weights: Float[Tensor, "N F"] | None = None
    """Of each cell in the loss."""
    class_weights: Float[Tensor, " N"] | None = None
    """Of each scan in the class term; ``None``: all alike."""

    def beside(self, other: "Labels") -> "Labels":
        """What both know of the same scans; no two tasks know the same."""
        return Labels(
            _either(self.classes, other.classes),
            {**self.targets, **other.targets},
            _either(self.findings, other.findings),
            _either(self.finding_weights, other.finding_weights),
            _either(self.class_weights, other.class_weights),
        )

    def at(self, places: Int[Tensor, " B"]) -> "Labels":
        """Those of some scans."""
        return Labels(
            _rows(self.classes, places),
            {name: values[places] for name, values in self.targets.items()},
            _rows(self.findings, places),
            _rows(self.finding_weights, places),
            _rows(self.class_weights, places),
        )

    def and_unknown(self, count: int) -> "Labels":
        """These, then of ``count`` further scans nothing: no class, no value, no finding, no weight."""
        return Labels(
            _and(self.classes, count, NO_LABEL),
            {name: _filled(values, count, torch.nan) for name, values in self.targets.items()},
            _and(self.findings, count, torch.nan),
            _and(self.finding_weights, count, 0.0),
            _and(self.class_weights, count, 0.0),
        )


def _either(mine: Tensor | None, other: Tensor | None) -> Tensor | None:
    return mine if other is None else other


def _rows(values: Tensor | None, places: Tensor) -> Tensor | None:
    return None if values is None else values[places]


def _and(values: Tensor | None, count: int, filling: float) -> Tensor | None:
    return None if values is None else _filled(values, count, filling)


def _filled(values: Tensor, count: int, filling: float) -> Tensor:
    return torch.cat([values, values.new_full((count, *values.shape[1:]), filling)])


@dataclass(frozen=True)
class Examples:
    """Scans of one side of a split, in manifest order, with their tokenised reports and what is known of them."""

    scan_ids: tuple[str, ...]
    participant_ids: tuple[str, ...]
    labels: Labels
    token_ids: Int[Tensor, "N L"]
    token_mask: Bool[Tensor, "N L"]

    def __len__(self) -> int:
        return len(self.scan_ids)

    def batch(self, index: Sequence[int], read: ReadScan) -> Batch:
        """The scans at these places as a batch; texts are cut to the longest among them."""
        facts = self.facts(index)
        return replace(facts, volumes=side_by_side([read(name) for name in facts.scan_ids]))

    def facts(self, index: Sequence[int]) -> Batch:
        """``batch`` without the volumes (B, 0): all that is known of the scans before one is read."""
        places = torch.as_tensor(list(index))
        mask = self.token_mask[places]
        longest = int(mask.sum(dim=1).max())
        labels = self.labels.at(places)
        return Batch(
            scan_ids=tuple(self.scan_ids[i] for i in index),
            volumes=torch.empty(len(index), 0),
            token_ids=self.token_ids[places, :longest],
            token_mask=mask[:, :longest],
            labels=labels.classes,
            targets=dict(labels.targets),
            findings=labels.findings,
            finding_weights=labels.finding_weights,
            class_weights=labels.class_weights,
        )


def make_examples(
    rows: Sequence[ManifestRow],
    reports: Mapping[str, Report],
    labels: Labels,
    tokenize: Tokenize,
) -> Examples:
    """Collect labels and tokenised reports of some rows; without any report their texts are empty, which costs next to nothing.

    Raises:
        DataError: no rows, or a row without a report; the scan is named.
    """
    if not rows:
        raise DataError("This side of the split has no scans; expected at least one.")
    absent = [row.scan_id for row in rows if row.scan_id not in reports] if reports else []
    if absent:
        raise DataError(
            f"No report for {len(absent)} of {len(rows)} scans, first '{absent[0]}'; 'voxtune describe' writes them."
        )
    ids, mask = tokenize([reports[row.scan_id].text if reports else "" for row in rows])
    return Examples(
        scan_ids=tuple(row.scan_id for row in rows),
        participant_ids=tuple(row.participant_id for row in rows),
        labels=labels,
        token_ids=ids,
        token_mask=mask.bool(),
    )


def reports_of(
    rows: Sequence[ManifestRow],
    settings: ReportSettings,
    profile: Profile | None = None,
    *,
    label: bool = True,
    targets: Sequence[str] = (),
    norms: FittedNorms | None = None,
) -> dict[str, Report]:
    """The training texts of some rows: read from the file the settings name, or written by their template.

    Args:
        rows: the scans.
        settings: template or file, and the fields opened by name.
        profile: of the cohort; ``None``: recognised.
        label: whether the label sentence is written.
        targets: columns that are predicted, which no text may state.
        norms: of the training side, where the texts state percentiles (``reports/needed.py``).

    Raises:
        LeakageError: the template asks for a target, another field that may never be in a text, or one that nobody opened.
        SettingError: texts of a file that are to say what changed.
    """
    if settings.file is not None:
        if settings.change:
            expected = "false with report.file, whose texts are taken as they are"
            raise SettingError("report.change", expected, settings.change)
        return read_reports(Path(settings.file))
    profile = chosen_profile(profile, rows, settings.template).profile
    policy = opened(settings.fields, profile, rows, targets)
    template = load_template(settings.template or profile.template, profile, policy)
    found = {
        row.scan_id: write_report(
            row, template, missing=settings.missing, label=label, policy=policy, profile=profile, norms=norms
        )
        for row in rows
    }
    return with_changes(found, rows, profile, targets) if settings.change else found


def class_labels(rows: Sequence[ManifestRow], classes: Sequence[str]) -> Int[Tensor, " N"]:
    """The place of each row's diagnosis among the classes, -100 where it is none of them."""
    places = {name: place for place, name in enumerate(classes)}
    return torch.tensor([places.get(row.diagnosis or "", NO_LABEL) for row in rows])


def class_weights(labels: Int[Tensor, " N"], train: Int[Tensor, " M"], classes: int) -> Float[Tensor, " N"]:
    """The weight of each scan: n / (K n_class) of its class in training, so that their mean there is 1; 0 without a label.

    Args:
        labels: of the scans.
        train: of the training scans, which are counted.
        classes: how many there are; K counts those that training has. A class that it has not weighs 0.
    """
    counts = torch.bincount(train[train >= 0], minlength=classes).double()
    each = counts.sum() / ((counts > 0).sum() * counts)
    each[counts == 0] = 0.0
    return torch.where(labels >= 0, each[labels.clamp(min=0)], 0.0).float()


def class_names(rows: Sequence[ManifestRow], profile: Profile | None = None) -> tuple[str, ...]:
    """The diagnoses of some rows: those of the profile first in its order, the rest in alphabetical order.

    Args:
        rows: of a manifest.
        profile: of the cohort; ``None``: recognised.

    Raises:
        DataError: fewer than two.
    """
    found = {row.diagnosis for row in rows if row.diagnosis}
    if len(found) < 2:
        raise DataError(
            f"The training scans have {len(found)} diagnosis ({', '.join(sorted(found)) or 'none'}); expected two or more."
        )
    order = chosen_profile(profile, rows).profile.classes
    known = tuple(name for name in order if name in found)
    return known + tuple(sorted(found - set(known)))
