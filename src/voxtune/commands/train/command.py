"""``voxtune train``: rows, split, audit, reports, model, loop, calibration, adapter, page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxtune.commands.train.control import with_control
from voxtune.commands.train.fit import fit_run
from voxtune.commands.train.session import Session, TrainingCohort
from voxtune.commands.train.start import alone, check_start, has_progress
from voxtune.config import RunConfig, read_recipe
from voxtune.errors import DataError, StoppedError, UsageError
from voxtune.profiles.plausible import implausible
from voxtune.profiles.recognise import chosen_profile
from voxtune.reports.policy import left_out_note
from voxtune.run_dir import RunDir, write_json, write_text
from voxtune.storage.seal import write_sealed
from voxtune.tasks.task import check_settings, task_of
from voxtune.types.records import ManifestRow, Report

if TYPE_CHECKING:
    from voxtune.audit.images import Images
    from voxtune.data.splits import Split

Say = Callable[[str], None]


@dataclass(frozen=True)
class Trained:
    """A finished training: the run directory and a line for a person."""

    run: Path
    summary: str


@alone
def train(  # noqa: PLR0913  (the options of the command)
    recipe: str,
    output: Path,
    *,
    data: Path | None = None,
    split_dir: Path | None = None,
    assignments: Sequence[str] = (),
    allow: Sequence[str] = (),
    resume: bool = False,
    control: bool = False,
    say: Say = print,
    images: "Images | None" = None,
) -> Trained:
    """Train an adapter and write its run directory.

    Args:
        recipe: a name of ``voxtune info``, or the ``config.json`` of another run.
        output: the run directory.
        data: ``manifest.tsv`` of preprocessed scans.
        split_dir: a split folder; without one the cohort is split by participant with the recipe's seed.
        assignments: ``PATH=VALUE`` edits of the recipe.
        allow: audit checks whose findings are accepted and written down.
        resume: go on where this run stopped.
        control: train the control of the adapter as well (``RUN/control``), for what ``explain`` asks of a map.
        say: takes lines for a person.
        images: the audit's pictures of these scans, where the caller has made them for other runs on the same manifest.

    Raises:
        UsageError: no data, an unknown recipe or setting, or a run that exists and is not resumed.
        DataError: scans or reports that do not fit.
        LeakageError: the audit refuses.
        StoppedError: Ctrl-C or SIGTERM came; everything is saved.
    """
    from voxtune.audit.checks import AuditInputs, find_leaks
    from voxtune.audit.manifests import edited
    from voxtune.data.manifest import file_sha256, read_manifest, resolve_image
    from voxtune.data.simulated import with_marks
    from voxtune.data.split_files import read_split, relative_path
    from voxtune.data.splits import make_split
    from voxtune.imaging.read import read_scan
    from voxtune.training.ranks import number_of, start_ranks

    leads = number_of() == 0  # the others are started once the data are checked, or wait for it
    say = say if leads else _silence
    run = RunDir(output)
    config = read_recipe(recipe)
    for assignment in assignments:
        config = config.edit(assignment)
    if data is None:
        raise UsageError(
            "Say what to train on: --data OUT/manifest.tsv, as 'voxtune preprocess' or 'voxtune simulate' wrote it."
        )
    if leads and run.config.exists() and has_progress(run) and not resume:
        raise UsageError(
            f"'{output.name}' holds a run already; --resume goes on with it, another -o starts a new one."
        )
    everyone = with_marks(data, read_manifest(data))
    config = _with_profile(config, everyone, say)
    task = task_of(config)
    check_settings(task, config)
    rows = task.select_rows(everyone, say)
    split = read_split(split_dir) if split_dir else make_split(rows, seed=config.seed)
    reports = training_reports(rows, config)
    by_scan = {row.scan_id: row for row in rows}
    sides = {
        side: [by_scan[scan] for scan in scans if scan in by_scan] for side, scans in split.sides().items()
    }
    for side in ("train", "val"):
        if not sides[side]:
            raise DataError(
                f"The {side} side has no labelled scan; a run needs scans to train on and to validate on."
            )
    config = _guided_by_its_classes(task.settle(config, sides, say), sides["train"], say)
    check_start(config, sides["train"])
    if leads:
        _say_of_texts(rows, config, say)
        if run.config.exists() and has_progress(run) and not run.read_config().same_run(config):
            raise UsageError(
                f"'{output.name}' was started with other settings; --resume needs the same recipe and --set."
            )
        targets = tuple(target.name for target in config.targets)
        inputs = AuditInputs(
            read=lambda row: read_scan(resolve_image(data, row)),
            images=images,
            targets=targets,
            profile=config.profile,
            fields=config.report.fields,
        )
        verdict = find_leaks(rows, split, reports, inputs, allow=tuple(allow))
        changed = edited(split, rows, data, "refuse", split_dir)
        verdict = verdict.model_copy(update={"findings": (*changed, *verdict.findings)})
        verdict.refuse()
        write_text(run.config, config.to_json(), shared=True)
        facts = {"manifest": relative_path(data, run.root)} | _split_facts(split, file_sha256(data))
        write_sealed(run.split, facts)
        write_json(run.root / "audit.json", verdict.as_json())
    simulated = any(row.simulated for row in sides["train"])
    cohort = TrainingCohort(data, sides, reports, simulated)
    session = Session(run, config, cohort, say, resume, start_ranks(config.training))
    return Trained(output, _together(partial(with_control, fit_run) if control else fit_run, session))


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


def _silence(_: str) -> None:
    """The first process speaks for all."""


def training_reports(rows: Sequence[ManifestRow], config: RunConfig) -> dict[str, Report]:
    """The texts to align with, without the label sentence where no class is asked; none are read where their weight is 0.

    Raises:
        DataError: nothing can be said of a scan; the message says how to train without texts.
        LeakageError: a text would state a target.
    """
    from voxtune.data.examples import reports_of

    if not config.loss.contrastive_weight:
        return {}
    targets = [target.name for target in config.targets]
    try:
        return reports_of(rows, config.report, config.profile, label=config.classes.asked, targets=targets)
    except DataError as error:
        if config.classes.asked:
            raise
        raise DataError(
            f"{error} Without a class the reports are all that the text side learns from; train without it: "
            "--set loss.contrastive_weight=0 --set text=none --set projections=frozen --set loss.temperature_learned=false"
        ) from None


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


def _say_of_texts(rows: Sequence[ManifestRow], config: RunConfig, say: Say) -> None:
    """What a person should know of the fields: values that are hardly possible, and columns that are in no text."""
    assert config.profile is not None
    for sentence in implausible(rows, config.profile):
        say(f"Warning: {sentence}.")
    reads = config.loss.contrastive_weight and config.report.file is None
    if reads and (note := left_out_note(rows, config.profile, config.report.fields)):
        say(note)


def _split_facts(split: "Split", manifest_sha256: str) -> dict[str, Any]:
    people = {side: len(split.people(side)) for side in split.sides()}
    return {"manifest_sha256": manifest_sha256, "seed": split.seed, "participants": people} | {
        side: list(scans) for side, scans in split.sides().items()
    }
