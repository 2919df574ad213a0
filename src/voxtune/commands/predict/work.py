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
from voxtune.types.visits import VolumeChange

if TYPE_CHECKING:
    from voxtune.commands.predict.visits import Before
    from voxtune.pages.scan_page import MapFigure
    from voxtune.serving.answer import Answer
    from voxtune.serving.predictor import Predictor, ScanResult
    from voxtune.serving.visits import EarlierScan

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
    bank_sha256: str | None = None
    """Of the cases beside the adapter, which may be exported anew without it; ``None``: it has none."""


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
    earlier: "tuple[Before, ...]" = ()
    """Scans of the same person that are read beside it."""
    changes: tuple[VolumeChange, ...] = ()
    """Of volumes of its manifest since then."""

    @property
    def asked(self) -> dict[str, Any]:
        """What a record must have been asked to be the answer of this job."""
        seen = {} if not self.earlier else {
            "earlier": [[one.scan.name, one.scan.sha256, one.years] for one in self.earlier],
            "changes": [one.sentence for one in self.changes],
        }  # fmt: skip
        beside = {} if self.model.bank_sha256 is None else {"bank": self.model.bank_sha256}
        return self.declared.as_json() | seen | beside


def work(job: Job) -> str | None:
    """Do one scan; ``None`` when its record stands, else the sentence why there is no answer.

    Raises:
        WeightsError: the adapter does not load.
    """
    predictor = loaded(job.model)
    scan, declared = job.scan, job.declared
    try:
        with one_sentence(scan.name, "predicted"), seen_from(job.model.view):
            if job.earlier:
                result, maps = _together(predictor, job)
            else:
                result, maps = _alone(job.model, scan.path, scan.name, declared), ()
            _write(predictor, job, result, maps)
    except ScanError as error:
        return str(error)
    return None


def _alone(model: Model, path: Path, name: str, declared: Declared) -> "ScanResult":
    """The answer for a scan by itself."""
    return loaded(model).predict(
        path,
        name=name,
        stripped=declared.stripped,
        series=declared.series,
        orientation=declared.orientation,
        sets=declared.sets,
    )


@lru_cache(maxsize=4)
def _visit(model: Model, path: Path, name: str, sha256: str | None, declared: Declared) -> "ScanResult | str":
    """The same of a visit of a person with several, kept for the person's other visits; or why it cannot be read."""
    del sha256  # of the key: another content is another scan
    try:
        with one_sentence(name, "predicted"):
            return _alone(model, path, name, declared)
    except ScanError as error:
        return error.cause


@lru_cache(maxsize=256)
def _encoded(model: Model, scan: Input, declared: Declared) -> "EarlierScan":
    """What a visit adds to a later one, without its picture: of a person with fifty visits each is preprocessed once or twice, not fifty times."""
    from voxtune.serving.visits import EarlierScan

    found = EarlierScan.of(scan.name, 1.0, _visit(model, scan.path, scan.name, scan.sha256, declared))
    return dataclasses.replace(found, volume=None)


def _together(predictor: "Predictor", job: Job) -> "tuple[ScanResult, tuple[MapFigure, ...]]":
    """The answer for a scan with the earlier ones of its person beside it, and the map of what changed."""
    from voxtune.pages.visits_section import change_figure
    from voxtune.serving.visits import EarlierScan, change_since

    plain = dataclasses.replace(job.declared, sets=None)

    def visit(scan: Input) -> "ScanResult | str":
        return _visit(job.model, scan.path, scan.name, scan.sha256, plain)

    earlier = []
    for one in job.earlier:
        bare = dataclasses.replace(one.scan, row=None)  # a row cannot be the key of a cache
        earlier.append(dataclasses.replace(_encoded(job.model, bare, plain), years=one.years))
    now = visit(job.scan)
    if isinstance(now, str):
        raise ScanError(job.scan.name, now)
    result = predictor.together(now, earlier, job.declared.sets)
    beside = result.caveats.visits
    if beside is None:
        return result, ()
    told = beside.model_copy(update={"changes": job.changes})
    result = dataclasses.replace(result, caveats=result.caveats.model_copy(update={"visits": told}))
    first = max(told.compared, key=lambda one: one.years, default=None)
    pictures = [
        EarlierScan.of(one.scan.name, one.years, visit(one.scan))
        for one in job.earlier
        if first is not None and one.scan.name == first.scan
    ]
    volume = result.preprocessed.volume
    change = change_since(told, volume, pictures, predictor.preset)
    if change is None:
        return result, ()
    since, heat = change
    return result, (change_figure(volume, heat, since.name, since.years),)


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


def forget() -> None:
    """Let go of the model and of visits: their files may have changed since."""
    loaded.cache_clear()
    _visit.cache_clear()
    _encoded.cache_clear()


def _write(
    predictor: "Predictor", job: Job, result: "ScanResult", changes: "tuple[MapFigure, ...]" = ()
) -> None:
    from voxtune.pages.scan_page import scan_page
    from voxtune.serving.answer import Answer

    scan, record = job.scan, result.preprocessed.record
    facts = predictor.adapter.facts.model_dump(mode="json")
    facts["simulated"] |= record.simulated
    prediction = result.prediction.model_copy(
        update={"participant_id": scan.participant_id, "diagnosis": scan.diagnosis}
    )
    page = job.home / job.page
    volume, near = result.preprocessed.volume, result.similar
    write_text(page, scan_page(prediction, result.caveats, volume, facts, similar=near, changes=changes))
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
        {"declared": job.asked, "simulated": answer.simulated, "answer": said},
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
        if record["declared"] != job.asked or not page.is_file():
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
