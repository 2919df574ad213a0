"""``voxtune predict``: what an adapter sees in one scan or thousands, with a page for each; one bad scan never stops the rest."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxtune.commands.predict.inputs import Input, given_twice, identified, inputs_of, named
from voxtune.commands.predict.visits import histories, last_of_person, moments, volume_changes
from voxtune.commands.predict.work import Declared, Job, Model, died, forget, loaded, read_answer, work
from voxtune.commands.spread import spread
from voxtune.config import RunConfig
from voxtune.errors import DataError, ScanError, SettingError, SomeScansFailedError, VoxTuneError
from voxtune.pages.slices import View
from voxtune.run_dir import make_folder, write_text
from voxtune.types.records import Prediction

if TYPE_CHECKING:
    from voxtune.model.adapter import AdapterFacts
    from voxtune.serving.answer import Answer
    from voxtune.serving.answers import Failure, Written

INDEX = "index.html"
FEW = 20
"""Answers that a terminal prints one by one; of more it counts the verdicts."""


@dataclass(frozen=True)
class Predicted:
    """Answers, and the scans that failed with their sentence."""

    answers: "list[Answer]"
    failed: "list[Failure]"
    adapter: str
    facts: "AdapterFacts"
    written: "Written"
    reused: int
    """Answers that an earlier call had given to the same content at the same path."""
    error: VoxTuneError | None
    moment: "Answer | None" = None
    """The answer for the last scan, where all of the call are visits of one person."""

    @property
    def table(self) -> Path:
        """``predictions.tsv``."""
        return self.written.table

    @property
    def predictions(self) -> list[Prediction]:
        """The predictions alone."""
        return [one.prediction for one in self.answers]

    def as_json(self) -> dict[str, Any]:
        """The contract of ``predict --json``: ``predictions`` and ``failed``; for one scan, and for the last of one person, its keys stand at the top too.

        ``scans`` is the name that ``predictions`` had before.
        """
        found = [
            one.as_json() | {"adapter": self.adapter, "base": self.facts.base, "simulated": one.simulated}
            for one in self.answers
        ]
        failed = [
            {"scan": one.scan, "file": one.file, "verdict": f"no answer: {one.error}", "predicted": None, "error": one.error}
            for one in self.failed
        ]  # fmt: skip
        lists = {"predictions": found, "failed": failed}
        if self.moment is not None:
            return found[self.answers.index(self.moment)] | lists
        return found[0] | lists if len(found) == 1 and not failed else lists | {"scans": found}

    def as_tsv(self) -> str:
        """The header of the table and the rows of this call."""
        header, *rows = self.table.read_text(encoding="utf-8").splitlines()
        place = header.split("\t").index("page")
        mine = {one.page.name for one in self.answers}
        return "\n".join([header, *(row for row in rows if row.split("\t")[place] in mine)])

    @property
    def summary(self) -> str:
        """A few lines for each scan, of many scans the number of each verdict."""
        lines = (
            self._counted()
            if len(self.answers) > FEW
            else [line for one in self.answers for line in one.lines()]
        )
        note = self.written.note
        if self.reused:
            note = f"{note} {self.reused} answered before, as they are (--force asks again).".strip()
        if len(self.answers) > 1 or note:
            lines.append(f"Table: {self.table}" + (f". {note}" if note else ""))
        if len(self.answers) > 1:
            lines.append(f"What needs a look first: {self.table.with_name(INDEX)}")
        marked = sum(one.simulated for one in self.answers)
        if marked and not self.facts.simulated:
            lines.append(f"SIMULATED scans: {marked} of {len(self.answers)}.")
        if self.facts.simulated:
            lines.append("This adapter was trained on SIMULATED scans: it says nothing about a real person.")
        lines.append("Research only, not for diagnosis.")
        return "\n".join(lines)

    def _counted(self) -> list[str]:
        from voxtune.types.verdict import SAID

        said = [one.caveats.verdict.said for one in self.answers]
        return [f"{len(said)} scans: {', '.join(f'{said.count(one)} {one}' for one in SAID)}."]


def predict(  # noqa: PLR0913  (the options of the command)
    adapter: str | Path,
    scans: str | Path | Sequence[str | Path],
    *,
    output: str | Path | None = None,
    base: str | Path | None = None,
    stripped: bool | None = None,
    series: str | None = None,
    orientation: str | None = None,
    when: str | None = None,
    workers: int = 1,
    scheduler: str | None = None,
    force: bool = False,
    coverage: float | None = None,
    by_class: bool = False,
    false_discovery: float | None = None,
    device: str = "auto",
    view: View = "radiological",
    say: Callable[[str], None] | None = None,
) -> Predicted:
    """Preprocess and score every scan; write a page for each, one table, and an index of what needs a look.

    A scan is its content and its path: one that was answered before under the same declarations keeps its answer, so that a call that was
    stopped goes on where it stood. Answers of earlier calls to other scans are kept.

    Args:
        adapter: the adapter's folder, a run directory, or ``demo`` for the shipped one.
        scans: NIfTI files, DICOM folders or zips, folders of scans, manifests, BIDS folders, or ``head`` for the shipped head.
        output: where pages and table go; otherwise ``predictions`` in the current folder.
        base: weights of the base, where they are not shipped.
        stripped: whether the skull is gone already; ``None``: look, scan by scan.
        series: a DICOM series by its UID, number or description; otherwise one is chosen by written rules.
        orientation: where the voxel axes point (``RAS``) in files whose header does not say or contradicts itself.
        when: the scans are visits of one person, made at these moments (years, or days as 2016-09-12, by commas): one answer, for the last.
        workers: processes on this machine; each loads the model once.
        scheduler: address of a Dask scheduler whose workers see the same files; replaces ``workers``.
        force: answer again what was answered before.
        coverage: give prediction sets too, that hold the truth for this share of people.
        by_class: let that share hold for the people of each class by themselves.
        false_discovery: say which findings are there, so that on average at most this share of those said is not.
        device: ``auto`` (a GPU where there is one), ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        view: ``radiological`` (the person's right on the left of a picture) or ``neurological``.
        say: takes a line for each failed scan.

    Raises:
        ScanError: the only scan cannot be read.
        DataError: none of several scans can be read, or too few validation participants for what is promised.
        SettingError: a device that is not there, a share outside 0..1, a promise that is not for what is predicted, or moments that are none
            or that this adapter does not read.
        WeightsError: the adapter does not load.
    """
    from voxtune.evaluation.conformal import wanted_sets
    from voxtune.imaging.affine import checked_axes
    from voxtune.serving.bundled import adapter_folder, base_file

    tell = say or (lambda _: None)
    sets = wanted_sets(coverage, by_class=by_class, false_discovery=false_discovery)
    declared = Declared(stripped, series, orientation and checked_axes(orientation), sets)
    sources = [Path(one) for one in ([scans] if isinstance(scans, str | Path) else scans)]
    home = Path("predictions" if output is None else output)
    # Names are looked at first: a wrong one should not cost the time of loading a model.
    inputs = [one for source in sources for one in _meant(source, alone=len(sources) == 1, say=tell)]
    if not inputs:
        raise DataError("There is no scan to predict: the table is empty.")
    from voxtune.model.adapter import read_facts
    from voxtune.model.device import torch_device
    from voxtune.serving.answers import AnswerFolder
    from voxtune.serving.predictor import promise_in_words

    folder = adapter_folder(Path(adapter))
    if scheduler is None:
        torch_device(device)  # a cluster has devices of its own
    facts = read_facts(folder)
    if sets is not None:  # what cannot be promised is refused before a model is loaded
        promise_in_words(facts, sets)
    weights = base_file(folder, None if base is None else Path(base))
    model = Model(
        folder.absolute(),
        facts.adapter_sha256,
        weights and weights.absolute(),
        device,
        _threads(workers),
        view,
        _bank_sha256(folder),
    )
    kept = AnswerFolder(home, facts)
    most = _visits(facts)
    if when is not None:
        inputs = _visits_of_one(inputs, when, most, len(sources))
    inputs = named(_once(inputs, home, tell), kept.names(), facts.adapter_sha256)
    if when is None and most > 1 and len(inputs) > 1 and all(one.row is None for one in inputs):
        tell("Each scan is read alone, as of another person; --when 0,1.5 says that they are visits of one.")
    before = histories(inputs, most) if most > 1 else {}
    last = last_of_person(inputs) if before or when is not None else None
    profile = RunConfig.from_json(json.dumps(facts.config)).known_profile
    jobs = [
        Job(
            one, home.absolute(), one.page(facts.adapter_sha256), model, declared, some := before.get(place, ()),
            volume_changes(one, some, profile),
        )
        for place, one in enumerate(inputs)
        if when is None or place == last
    ]  # fmt: skip
    moment = None if last is None else inputs[last].page(facts.adapter_sha256)
    done = {} if force else {job.page: answer for job in jobs if (answer := read_answer(job)) is not None}
    reused = len(done)
    todo = [job for job in jobs if job.page not in done]
    forget()  # of a call before
    if todo and scheduler is None and workers == 1:
        loaded(model)
    make_folder(home)  # before any scan is read, and after an adapter that is refused
    lost = _run(todo, workers, scheduler, tell if len(jobs) > 1 else lambda _: None)
    forget()
    for job in todo:
        if job.page not in lost and (answer := read_answer(job)) is not None:
            done[job.page] = answer
    targets = _targets(facts)
    answers = [
        replace(done[job.page], page=home / job.page, targets=targets) for job in jobs if job.page in done
    ]
    done_now = _finished(jobs, answers, lost, kept, folder.name, facts, reused)
    return replace(done_now, moment=next((one for one in answers if one.page.name == moment), None))


def _bank_sha256(adapter: Path) -> str | None:
    """Of the cases beside an adapter; ``None``: it has none."""
    from voxtune.storage.seal import file_sha256
    from voxtune.types.case_bank import BANK

    return file_sha256(adapter / BANK) if (adapter / BANK).is_file() else None


def _meant(source: Path, *, alone: bool, say: Callable[[str], None]) -> list[Input]:
    """The scans of one argument; a shipped one goes by its word in a table, not by where it is installed."""
    from voxtune.serving.bundled import scan_file

    file = scan_file(source)
    found = inputs_of(file, alone=alone, say=say)
    return found if file == source else [replace(one, file=str(source)) for one in found]


def _once(inputs: Sequence[Input], home: Path, say: Callable[[str], None]) -> list[Input]:
    """The scans with path and content, each once; rows of a manifest that share an image are said."""
    once = identified(inputs, home)
    for one, first in given_twice(inputs, once):
        say(f"{one}: the same file as {first}; it is answered once, under that name.")
    return once


def _visits(facts: "AdapterFacts") -> int:
    """Most scans of a person that the adapter reads together."""
    event = facts.config.get("event")
    return int(event.get("visits", 1)) if isinstance(event, dict) else 1


def _visits_of_one(inputs: list[Input], when: str, most: int, given: int) -> list[Input]:
    """The scans of one person with their moments.

    Raises:
        SettingError: no such moments, a scan that is given twice, or an adapter that reads each scan alone.
    """
    if most < 2:
        raise SettingError("when", "nothing: this adapter reads each scan alone (train one with event.visits above 1)", when)  # fmt: skip
    return moments(when, inputs, given)


def _threads(workers: int) -> int | None:
    """Processors are shared out among several workers of this machine."""
    return None if workers == 1 else max(1, (os.cpu_count() or 1) // workers)


def _run(
    jobs: Sequence[Job], workers: int, scheduler: str | None, tell: Callable[[str], None]
) -> dict[str, str]:
    """Do them; the sentences of those that failed, by page."""
    from voxtune.progress import progress

    lost = {}
    with progress("Predicting", len(jobs)) as advance:
        for job, sentence in spread(work, jobs, died, workers=workers, scheduler=scheduler):
            if sentence is not None:
                lost[job.page] = sentence
                tell(sentence)
            if len(jobs) > 1:
                advance(job.scan.name)
    return lost


def _targets(facts: "AdapterFacts") -> tuple[Any, ...]:
    return RunConfig.from_json(json.dumps(facts.config)).targets


def _finished(
    jobs: Sequence[Job],
    answers: "list[Answer]",
    lost: dict[str, str],
    kept: "Any",
    adapter: str,
    facts: "AdapterFacts",
    reused: int,
) -> Predicted:
    from voxtune.serving.answers import FAILED, Failure

    failed = [Failure(job.scan.name, lost[job.page], job.scan.file) for job in jobs if job.page in lost]
    if not answers:
        if len(failed) == 1:
            raise ScanError(failed[0].scan, failed[0].error.removeprefix(f"{failed[0].scan}: "))
        raise DataError(" ".join(one.error for one in failed))
    asked = {job.scan.file: job.scan.sha256 for job in jobs if job.page in lost}
    written = kept.write(answers, failed, asked, lambda done: _index(done, facts, answers))
    some = SomeScansFailedError(len(failed), len(jobs), kept.root / FAILED) if failed else None
    return Predicted(answers, failed, adapter, facts, written, reused, some)


def _index(written: "Written", facts: "AdapterFacts", answers: "Sequence[Answer]") -> None:
    from voxtune.pages.predictions_page import predictions_page

    simulated = facts.simulated or any(one.simulated for one in answers)
    page = predictions_page(
        written.rows, written.failures, facts.model_dump(mode="json"), simulated=simulated
    )
    write_text(written.table.with_name(INDEX), page)
