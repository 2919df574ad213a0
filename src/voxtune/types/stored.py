"""What one command writes as JSON and another looks up: the names that are read, and of what kind their values are."""

from typing import Any, NotRequired

from typing_extensions import TypedDict


class RunSplit(TypedDict):
    """``split.json`` of a run."""

    train: list[str]
    val: list[str]
    test: list[str]
    unlabelled: NotRequired[list[str]]
    manifest: NotRequired[str]
    manifest_sha256: NotRequired[str]


class Counts(TypedDict):
    """Numbers of scans or participants on the sides that train."""

    train: int
    val: int


class Trained(TypedDict):
    """What an adapter says of its training, as far as a learning curve needs it."""

    seed: int
    scans: Counts
    participants: Counts


class AdapterStated(TypedDict):
    """``adapter.json``, looked into without loading the adapter."""

    adapter_sha256: str
    training: Trained


class EvaluationStated(TypedDict, total=False):
    """``evaluation.json``."""

    classes: list[str]
    cohort: str | None
    base_seen: str
    base_seen_alarms: bool | None
    looks: int | None
    seeds: list[int]
    folds: list[int]
    adapter_sha256: str | None
    manifest_sha256: str | None


class Found(TypedDict):
    """One finding of an audit."""

    check: str
    level: str


class AuditStated(TypedDict):
    """``audit.json`` of a run."""

    verdict: str
    findings: NotRequired[list[Found]]
    checked: NotRequired[dict[str, str]]
    allowed: NotRequired[list[str]]


class CurveRequest(TypedDict):
    """``request.json`` of a learning curve."""

    config: dict[str, Any]


class CellResult(TypedDict):
    """``result.json`` of a cell of ``reproduce``."""

    status: str
    config: dict[str, Any]
    mode: NotRequired[str]
    reason: NotRequired[str]
    seconds: NotRequired[float]
    scores: NotRequired[dict[str, Any]]


class CellFailure(TypedDict):
    """``failed.json`` of a cell of ``reproduce``."""

    error: str


class FoldList(TypedDict):
    """``folds.json`` of a cross-validation."""

    folds: list[str]


class Tried(TypedDict):
    """One candidate of a choice inside the training side."""

    set: list[str]
    metric: float | None
    validation_loss: float | None


class Chosen(TypedDict):
    """``choice.json`` of a run."""

    candidates: list[Tried]
    chosen: int
    metric: str
    participants: dict[str, int]


class CohortLimits(TypedDict):
    """``limits.json`` of a simulated cohort."""

    rules: dict[str, float]
