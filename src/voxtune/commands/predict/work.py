"""One scan in a process that has the model: predict, write its page, and then its record, which says that it is done."""

import dataclasses
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxtune.commands.predict.inputs import Input
from voxtune.errors import DataError, ScanError
from voxtune.imaging.boundary import one_sentence
from voxtune.pages.slices import View, seen_from
from voxtune.run_dir import write_text
from voxtune.storage.seal import read_sealed, write_sealed
from voxtune.types.conformal import WantedSets

if TYPE_CHECKING:
    from voxtune.serving.answer import Answer
    from voxtune.serving.predictor import Predictor, ScanResult

RECORDS = "answers"
"""Folder of the records in the folder of a table."""


@dataclass(frozen=True)
class Model:
    """What a process loads once."""

    adapter: Path
    adapter_sha256: str
    """So that a process that stays does not answer with an adapter that has been replaced."""
    base: Path | None = None
    device: str = "auto"
    threads: int | None = None
    """Of the processor; ``None``: as they are."""
    view: View = "radiological"
    """Of the pictures."""


@dataclass(frozen=True)
class Declared:
    """What the caller says of the scans; a record made under other declarations is none of this call's."""

    stripped: bool | None = None
    series: str | None = None
    orientation: str | None = None
    sets: WantedSets | None = None
    """What is asked beside the answer."""

    def as_json(self) -> dict[str, Any]:
        """As a record holds it."""
        asked = {} if self.sets is None else {"sets": dataclasses.asdict(self.sets)}
        return {"stripped": self.stripped, "series": self.series, "orientation": self.orientation} | asked


@dataclass(frozen=True)
class Job:
    """One scan to do; what travels to a worker."""

    scan: Input
    home: Path
    page: str
    model: Model
    declared: Declared


def work(job: Job) -> str | None:
    """Do one scan; ``None`` when its record stands, else the sentence why there is no answer.

    Raises:
        WeightsError: the adapter does not load.
    """
    predictor = loaded(job.model)
    scan, declared = job.scan, job.declared
    try:
        with one_sentence(scan.name, "predicted"), seen_from(job.model.view):
            result = predictor.predict(
                scan.path,
                name=scan.name,
                stripped=declared.stripped,
                series=declared.series,
                orientation=declared.orientation,
                sets=declared.sets,
            )
            _write(predictor, job, result)
    except ScanError as error:
        return str(error)
    return None


def died(job: Job) -> str:
    """The sentence for a scan whose process was killed."""
    return f"{job.scan.name}: the process that worked on it was killed (most often: out of memory)."


@lru_cache(maxsize=1)
def loaded(model: Model) -> "Predictor":
    """The model of this process, loaded with its first scan.

    Raises:
        WeightsError: the adapter does not load.
    """
    from voxtune.model.device import on_device
    from voxtune.serving.predictor import Predictor

    if model.threads is not None:
        import torch

        torch.set_num_threads(model.threads)
    with on_device(model.device):
        return Predictor(model.adapter, model.base)


def _write(predictor: "Predictor", job: Job, result: "ScanResult") -> None:
    from voxtune.pages.scan_page import scan_page
    from voxtune.serving.answer import Answer

    scan, record = job.scan, result.preprocessed.record
    facts = predictor.adapter.facts.model_dump(mode="json")
    facts["simulated"] |= record.simulated
    prediction = result.prediction.model_copy(
        update={"participant_id": scan.participant_id, "diagnosis": scan.diagnosis}
    )
    page = job.home / job.page
    write_text(
        page, scan_page(prediction, result.caveats, result.preprocessed.volume, facts, similar=result.similar)
    )
    answer = Answer(
        prediction,
        result.caveats,
        page,
        predictor.adapter.model.targets,
        simulated=facts["simulated"],
        file=scan.file,
        sha256=scan.sha256,
        thresholds=predictor.thresholds,
        similar=result.similar,
    )
    said = answer.as_json()
    del said["page"]
    write_sealed(
        record_file(job.home, job.page),
        {"declared": job.declared.as_json(), "simulated": answer.simulated, "answer": said},
    )


def record_file(home: Path, page: str) -> Path:
    """Where the record of a page's scan is."""
    return home / RECORDS / f"{Path(page).stem}.json"


def read_answer(job: Job) -> "Answer | None":
    """The answer that a record holds; ``None`` where there is none, it is damaged, or something else was declared."""
    from voxtune.serving.answer import Answer, from_json

    page = job.home / job.page
    try:
        record = read_sealed(record_file(job.home, job.page), "the record of an answer")
        if record["declared"] != job.declared.as_json() or not page.is_file():
            return None
        said = record["answer"]
        prediction, caveats = from_json(said)
        known = {
            "scan_id": job.scan.name,
            "participant_id": job.scan.participant_id,
            "diagnosis": job.scan.diagnosis,
        }
        return Answer(
            prediction.model_copy(update=known),
            caveats,
            page,
            simulated=bool(record["simulated"]),
            file=job.scan.file,
            sha256=job.scan.sha256,
            thresholds=said.get("thresholds"),
            similar=said.get("similar"),
        )
    except (DataError, OSError, ValueError, KeyError, TypeError):
        return None
