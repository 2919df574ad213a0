"""One training: rows, split, audit, reports, model, loop, calibration, adapter, page."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxtune.commands.train.control import with_control
from voxtune.commands.train.fit import fit_run
from voxtune.commands.train.session import Session, TrainingCohort
from voxtune.commands.train.start import alone, check_start, has_progress
from voxtune.commands.train.texts import say_of_texts, training_norms, training_reports
from voxtune.commands.train.unlabelled import unlabelled_pairs
from voxtune.config import RunConfig, read_recipe
from voxtune.errors import DataError, StoppedError, UsageError
from voxtune.profiles.recognise import chosen_profile
from voxtune.run_dir import RunDir, read_json, write_json, write_text
from voxtune.storage.seal import write_sealed
from voxtune.tasks.task import check_settings, task_of
from voxtune.types.records import ManifestRow, Report

if TYPE_CHECKING:
    from voxtune.audit.images import Images
    from voxtune.audit.report import AuditReport
    from voxtune.data.splits import Split

Say = Callable[[str], None]


@dataclass(frozen=True)
class Trained:
    """A finished training: the run directory (of folds the folder that holds their runs) and a line for a person."""

    run: Path
    summary: str


@dataclass(frozen=True)
class Request:
    """What is to be trained, whatever the scans of a run are."""

    config: RunConfig
    """The recipe with the edits of ``--set``."""
    data: Path
    allow: tuple[str, ...] = ()
    resume: bool = False
    control: bool = False
    train_size: int | None = None
    choices: tuple[tuple[str, ...], ...] = ()
    """Edits to choose among inside the training side, before the run itself is trained."""
    only: frozenset[str] | None = None
    """The scans of the manifest that may be looked at at all; ``None``: every one."""


@alone
def train_one(
    request: Request,
    output: Path,
    split_dir: Path | None,
    *,
    say: Say = print,
    images: "Images | Callable[[], Images] | None" = None,
) -> Trained:
    """Train one run; see :func:`train`."""
    from voxtune.audit.manifests import edited
    from voxtune.data.manifest import file_sha256, read_manifest
    from voxtune.data.simulated import with_marks
    from voxtune.data.split_files import read_split, relative_path
    from voxtune.data.splits import make_split
    from voxtune.training.ranks import number_of, start_ranks

    leads = number_of() == 0  # the others are started once the data are checked, or wait for it
    say = say if leads else _silence
    run, config, data, resume = RunDir(output), request.config, request.data, request.resume
    if leads:
        refuse_progress(run, resume)
    everyone = _allowed(with_marks(data, read_manifest(data)), request.only)
    config = _with_profile(config, everyone, say)
    task = task_of(config)
    check_settings(task, config)
    rows = task.select_rows(everyone, say)
    split = read_split(split_dir) if split_dir else make_split(rows, seed=config.seed)
    split = with_train_size(split, request.train_size)
    by_scan = {row.scan_id: row for row in rows}
    sides = {
        side: [by_scan[scan] for scan in scans if scan in by_scan] for side, scans in split.sides().items()
    }
    for side in ("train", "val"):
        if not sides[side]:
            raise DataError(
                f"The {side} side has no labelled scan; a run needs scans to train on and to validate on."
            )
    norms = training_norms(sides["train"], config)
    reports = training_reports(rows, config, norms)
    config = _guided_by_its_classes(task.settle(config, sides, say), sides["train"], say)
    check_start(config, sides["train"])
    pairs = unlabelled_pairs(everyone, task, split, config, say, norms)
    reports = {**reports, **pairs.reports}
    if leads:
        say_of_texts(rows, config, say, norms)
        _same_run(run, config, split)
        refuse_other_pairs(run, pairs.scan_ids)
        learned = replace(split, train=tuple(dict.fromkeys([*split.train, *pairs.scan_ids])))
        changed = edited(split, rows, data, "refuse", split_dir)
        verdict = _audited([*rows, *pairs.rows], learned, reports, config, request, images)
        verdict = verdict.model_copy(update={"findings": (*changed, *verdict.findings)})
        verdict.refuse()
        write_text(run.config, config.to_json(), shared=True)
        facts = {"manifest": relative_path(data, run.root)} | _split_facts(split, file_sha256(data))
        if request.train_size is not None:
            facts["train_size"] = request.train_size
        if pairs.rows:
            facts["unlabelled"] = list(pairs.scan_ids)
        write_sealed(run.split, facts)
        write_json(run.root / "audit.json", verdict.as_json())
    simulated = any(row.simulated for row in (*sides["train"], *pairs.rows))
    cohort = TrainingCohort(data, sides, reports, simulated, unlabelled=pairs.rows, norms=norms)
    session = Session(run, config, cohort, say, resume, start_ranks(config.training))
    fit = partial(with_control, fit_run) if request.control else fit_run
    return Trained(output, _together(fit, session))


def _audited(
    rows: Sequence[ManifestRow],
    split: "Split",
    reports: Mapping[str, Report],
    config: RunConfig,
    request: Request,
    images: "Images | Callable[[], Images] | None",
) -> "AuditReport":
    """What crosses the split of a run; nothing is refused yet."""
    from voxtune.audit.checks import AuditInputs, find_leaks
    from voxtune.data.images import fingerprint_folder
    from voxtune.data.manifest import resolve_image
    from voxtune.imaging.read import read_scan

    inputs = AuditInputs(
        read=lambda row: read_scan(resolve_image(request.data, row)),
        kept=fingerprint_folder(request.data),
        images=images() if callable(images) else images,
        targets=config.predicted_columns,
        profile=config.profile,
        fields=config.report.fields,
        report=config.report,
    )
    return find_leaks(rows, split, reports, inputs, allow=request.allow)


def refuse_progress(run: RunDir, resume: bool) -> None:  # noqa: FBT001  (what the command was told)
    """Refuse to begin where a run stands already.

    Raises:
        UsageError: one does, and it is not to be resumed.
    """
    if has_progress(run) and not resume:
        raise UsageError(
            f"'{run.root.name}' holds a run already; --resume goes on with it, another -o starts a new one."
        )


def _allowed(rows: Sequence[ManifestRow], only: frozenset[str] | None) -> list[ManifestRow]:
    return [row for row in rows if only is None or row.scan_id in only]


def training_rows(
    config: RunConfig, data: Path, say: Say, only: frozenset[str] | None = None
) -> list[ManifestRow]:
    """The rows of a manifest that a recipe can learn from: with a label, or without one where the settings take such pairs."""
    from voxtune.data.manifest import read_manifest
    from voxtune.data.simulated import with_marks

    everyone = _allowed(with_marks(data, read_manifest(data)), only)
    config = _with_profile(config, everyone, say)
    task = task_of(config)
    check_settings(task, config)
    more = task.unlabelled_rows(everyone) if config.training.unlabelled else []
    return [*task.select_rows(everyone, say), *more]


def looked_at(rows: Sequence[ManifestRow], data: Path) -> "Images":
    """The audit's pictures of some rows, for several runs on one manifest: each is audited, the scans are read once."""
    from voxtune.audit.images import look_at
    from voxtune.data.images import fingerprint_folder
    from voxtune.data.manifest import resolve_image
    from voxtune.imaging.read import read_scan

    return look_at(rows, lambda row: read_scan(resolve_image(data, row)), kept=fingerprint_folder(data))


def with_train_size(split: "Split", size: int | None) -> "Split":
    """The split with the training subset of that size in place of its train side; ``None`` leaves it whole.

    Raises:
        UsageError: the split has no such subset.
    """
    if size is None:
        return split
    if size not in split.subsets:
        known = ", ".join(map(str, sorted(split.subsets))) or "none"
        raise UsageError(
            f"The split has no training subset of {size} scans; it has: {known}. "
            f"'voxtune split MANIFEST -o DIR --train-size {size}' makes one, nested in the larger ones."
        )
    return replace(split, train=split.subsets[size])


def _same_run(run: RunDir, config: RunConfig, split: "Split") -> None:
    """Refuse to go on with a run that was started otherwise."""
    if not has_progress(run):
        return
    if not run.read_config().same_run(config):
        raise UsageError(
            f"'{run.root.name}' was started with other settings; --resume needs the same recipe and --set. A run that an earlier version "
            f"began goes on with its own settings: voxtune train {run.root.name}/{run.config.name} -o {run.root.name} --resume."
        )
    refuse_other_scans(run, split)


def refuse_other_scans(run: RunDir, split: "Split") -> None:
    """Refuse a run that was started on other scans.

    Raises:
        UsageError: a side of it has others.
    """
    if not run.split.is_file():
        return
    before = read_json(run.split, "the split of the run")
    for side, scans in split.sides().items():
        if side in before and set(before[side]) != set(scans):
            raise UsageError(
                f"'{run.root.name}' was started on other scans (its {side} side has {len(before[side])}, this one {len(scans)}); "
                "--resume needs the same --data, --split and --train-size."
            )


def refuse_other_pairs(run: RunDir, pairs: Sequence[str]) -> None:
    """Refuse to go on with a run whose scans without a label were others.

    Raises:
        UsageError: they were.
    """
    if has_progress(run) and run.split.is_file():
        before = read_json(run.split, "the split of the run").get("unlabelled", [])
        if list(before) != list(pairs):
            raise UsageError(
                f"'{run.root.name}' was started with {len(before)} scans without a label, here are {len(pairs)} or others; "
                "--resume needs the same --data."
            )


def _together(fit: Callable[[Session], str], session: Session) -> str:
    """The work of all processes; only the first one comes back from it, and says how a stopped run ended."""
    try:
        summary = fit(session)
    except StoppedError:
        if session.leads:
            raise
        summary = ""
    session.ranks.leave()
    if not session.leads:
        raise SystemExit(0)
    return summary


def asked_for(recipe: str, assignments: Sequence[str], device: str = "auto", say: Say = print) -> RunConfig:
    """The recipe with its edits, on a device that is there and with weights that know something.

    Raises:
        UsageError: an unknown recipe or setting, or a backbone of random numbers that nobody asked for.
        SettingError: a device that is not there.
    """
    from voxtune.model.base_files import check_weights, from_home
    from voxtune.model.device import torch_device

    config = read_recipe(recipe)
    for assignment in assignments:
        config = config.edit(assignment)
    if device != "auto":
        torch_device(device)
        config = config.edit(f"training.accelerator={device}")
    kind = str(config.model_dump(mode="json")["backbone"]["kind"])
    found = from_home(config.backbone, kind)
    if found is not config.backbone:
        say(f"Weights of {kind}: {getattr(found, 'weights', None)}.")
        config = config.model_copy(update={"backbone": found})
    check_weights(config.backbone, kind)
    return config


def _silence(_: str) -> None:
    """The first process speaks for all."""


def _guided_by_its_classes(config: RunConfig, rows: Sequence[ManifestRow], say: Say) -> RunConfig:
    """The same settings; a method that texts guide (LGA) is guided by this cohort's classes where its own texts name none of them."""
    names = config.classes.names or tuple(sorted({row.diagnosis for row in rows if row.diagnosis}))
    methods = []
    for method in config.vision:
        field = type(method).model_fields.get("texts")
        own: tuple[str, ...] = getattr(method, "texts", ())
        if (
            field
            and own == field.default
            and not any(text.endswith(f" {name}") for text in own for name in names)
        ):
            texts = tuple(config.known_profile.class_text(name) for name in names)
            say(f"Guided by the texts of this cohort's classes: {', '.join(texts)}.")
            method = method.model_copy(update={"texts": texts})  # noqa: PLW2901
        methods.append(method)
    return config.model_copy(update={"vision": tuple(methods)})


def _with_profile(config: RunConfig, rows: Sequence[ManifestRow], say: Say) -> RunConfig:
    """The same settings with their profile: the one that was asked for, or the one these scans look like, which is said."""
    template = config.report.template
    if config.profile is None and config.classes.findings:
        template = template or "ct_rate"
    found = chosen_profile(config.profile, rows, template)
    if config.profile is None:
        say(found.sentence)
    return config.settled(found.profile)


def _split_facts(split: "Split", manifest_sha256: str) -> dict[str, Any]:
    people = {side: len(split.people(side)) for side in split.sides()}
    return {"manifest_sha256": manifest_sha256, "seed": split.seed, "participants": people} | {
        side: list(scans) for side, scans in split.sides().items()
    }
