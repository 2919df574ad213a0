"""What a worker does with a scan: predict it, draw a heat map over it; results are files in the folder of the scan."""

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from voxtune.errors import DataError, ScanError
from voxtune.explanation.heat_map import HeatMap, heat_map
from voxtune.explanation.target import MMSE
from voxtune.imaging.presets import Brain, Preset
from voxtune.imaging.tensor import to_tensor
from voxtune.pages.map_figure import map_figure
from voxtune.pages.scan_page import MapFigure, scan_page
from voxtune.pages.slices import slice_figure, to_ras
from voxtune.pages.visits_section import change_figure
from voxtune.run_dir import read_json, write_bytes, write_json, write_text
from voxtune.serving.answer import Answer, from_json
from voxtune.serving.monitor import moments
from voxtune.serving.predictor import Predictor
from voxtune.serving.scans import CHANGE, FIGURES, GREY, PAGE, RESULT, TENSOR, ZERO
from voxtune.serving.visits import EarlierScan, change_since
from voxtune.types.conformal import WantedSets
from voxtune.types.volume import Volume

Tell = Callable[[dict[str, Any]], None]
CUBE_MM = 192.0
"""Edge of the template cube, for presets that state no spacing."""
_DIRECTIONS = {
    "R": (1, 0, 0),
    "L": (-1, 0, 0),
    "A": (0, 1, 0),
    "P": (0, -1, 0),
    "S": (0, 0, 1),
    "I": (0, 0, -1),
}


class Bench:
    """A loaded adapter and the jobs it can do. Nothing of a scan stays in it between two jobs."""

    def __init__(self, predictor: Predictor, sets: WantedSets | None = None) -> None:
        self.predictor, self.sets = predictor, sets
        facts = predictor.adapter.facts
        self.targets = [*facts.classes, *(name for name in facts.targets if facts.target_note(name) is None)]
        profile = predictor.adapter.config.known_profile
        self.biomarkers = profile.biomarkers if isinstance(predictor.preset.steps, Brain) else {}

    def warm_up(self) -> None:
        """Import and draw what the first scan would: no scan is slower than the others, and the limits bear on scans only."""
        import SimpleITK  # noqa: F401

        from voxtune.pages.layout import image

        preset = self.predictor.preset
        if isinstance(preset.steps, Brain):
            import deepbet.bet  # noqa: F401

            from voxtune.imaging.template import brain_mask

            brain_mask(preset.shape[0])
        # Every value a scan may have: a volume of one value is background alone, and values of 0 to 1 are no CT.
        values = torch.linspace(*preset.value_range, math.prod(preset.tensor_shape))
        ramp = values.reshape(preset.tensor_shape)
        self.predictor.answer("warm-up", ramp)
        image(slice_figure(seen(ramp.numpy()[0], preset)), dpi=20)

    def describe(self) -> dict[str, Any]:
        """What the page and programs need to know of the adapter."""
        facts = self.predictor.adapter.facts
        hidden: dict[str, Any] = {
            "familiar": {"mean", "directions", "variances"},
            "sets": True,
            "intervals": True,
        }
        return {
            "base": facts.base,
            "preset": facts.preset,
            "classes": list(facts.classes),
            "class_texts": list(facts.class_texts),
            "task": facts.task,
            "thresholds": facts.thresholds,
            "simulated": facts.simulated,
            "licence": facts.licence,
            "training": facts.training,
            "trust": facts.trust.model_dump(mode="json", exclude=hidden),
            "sets": self._promises(),
            "reference": {} if facts.trust.reference is None else moments(facts.trust.reference.figures),
            "targets": self.targets,
            "biomarkers": self.biomarkers,
            "visits": self.predictor.visits,
        }

    def _promises(self) -> dict[str, Any] | None:
        if self.sets is None:
            return None
        said = self.predictor.promise(self.sets).check(self.predictor.adapter.facts.classes)
        return dataclasses.asdict(self.sets) | {"guarantee": " ".join(said)}

    def do(self, job: dict[str, Any], tell: Tell) -> dict[str, Any]:
        """One job: ``{"do": "predict", "folder", "scan", "name"[, "series"][, "earlier"]}`` or ``{"do": "map", "folder", "target", "biomarker"}``."""
        if job["do"] == "predict":
            return self._predict(job, tell)
        return self._map(Path(job["folder"]), job["file"], job["target"], job["biomarker"])

    def _predict(self, job: dict[str, Any], tell: Tell) -> dict[str, Any]:
        folder, preset = Path(job["folder"]), self.predictor.preset
        tell({"step": "read"})
        earlier = [self._earlier(one) for one in job.get("earlier", ())]
        found = self.predictor.predict(
            Path(job["scan"]),
            name=job["name"],
            series=job.get("series"),
            sets=None if earlier else self.sets,
            tell=lambda step: tell({"step": step}),
        )
        if earlier:
            found = self.predictor.together(found, earlier, self.sets)
        tell({"step": "draw"})
        tensor = to_tensor(found.preprocessed.volume, preset)
        view = seen(tensor[0], preset)
        targets = self.predictor.adapter.model.targets
        answer = Answer(
            found.prediction,
            found.caveats,
            folder / PAGE,
            targets,
            thresholds=self.predictor.thresholds,
            similar=found.similar,
        ).as_json()
        del answer["page"]
        answer["simulated"] = self.predictor.adapter.facts.simulated or found.preprocessed.record.simulated
        answer["view"] = {"shape": list(view.shape), "spacing": [round(one, 4) for one in view.spacing]}
        write_bytes(folder / GREY, grey(view.voxels).tobytes(order="F"))
        write_bytes(folder / TENSOR, tensor.astype("<f4").tobytes())
        change = change_since(found.caveats.visits, view, earlier, preset)
        if change is not None:
            since, heat = change
            write_bytes(folder / CHANGE, stored_heat(heat))
            answer["change_since"] = [since.name, since.years]
        write_text(folder / PAGE, self._page(folder, answer, view, []))
        write_json(folder / RESULT, answer)
        return answer | {FIGURES: dict(found.figures)}

    def _earlier(self, one: dict[str, Any]) -> EarlierScan:
        """An earlier scan of the person, from what is kept of it.

        Raises:
            ScanError: nothing is.
        """
        folder, preset = Path(one["folder"]), self.predictor.preset
        try:
            answer = read_json(folder / RESULT, "the result of a scan")
            stored = np.frombuffer((folder / TENSOR).read_bytes(), dtype="<f4").reshape(preset.tensor_shape)
        except (OSError, DataError):
            raise ScanError(one["name"], "this earlier scan is not kept any more", "Send it again.") from None
        prediction, caveats = from_json(answer)
        del prediction
        if not caveats.verdict.answered:
            return EarlierScan(one["name"], one["years"], left_out="; ".join(caveats.verdict.reasons))
        vector, logits = self.predictor.encoded(torch.from_numpy(stored.astype(np.float32)))
        return EarlierScan(one["name"], one["years"], logits, vector, seen(stored[0], preset))

    def _map(self, folder: Path, file: str, target: str, biomarker: str | None) -> dict[str, Any]:
        preset = self.predictor.preset
        stored = np.frombuffer((folder / TENSOR).read_bytes(), dtype="<f4").reshape(preset.tensor_shape)
        tensor = torch.from_numpy(stored.astype(np.float32))
        found = heat_map(self.predictor.adapter, tensor, target=target, biomarker=biomarker)
        heat = seen(found.voxels, preset).voxels
        write_bytes(folder / f"{file}.u8", stored_heat(heat))
        said: dict[str, Any] = {"title": self._title(found), "meaning": found.meaning, "method": found.method}
        said |= {"target": target, "biomarker": biomarker, "peak": found.peak}
        write_json(folder / f"{file}.json", said)
        view = seen(stored[0], preset)
        answer = read_json(folder / RESULT, "the result of a scan")
        write_text(folder / PAGE, self._page(folder, answer, view, _maps(folder, view)))
        return said

    def _title(self, found: HeatMap) -> str:
        what = "lower MMSE" if found.target == MMSE else found.target
        only = (
            f", asked with '{self.biomarkers[found.biomarker]}' alone"
            if found.biomarker in self.biomarkers
            else ""
        )
        return f"What speaks for {what}{only}"

    def _page(self, folder: Path, answer: dict[str, Any], view: Volume, maps: list[MapFigure]) -> str:
        prediction, caveats = from_json(answer)
        facts = self.predictor.adapter.facts.model_dump(mode="json")
        facts["simulated"] |= bool(answer.get("simulated"))
        since = answer.get("change_since")
        changes = [] if since is None else [change_figure(view, read_heat(folder / CHANGE, view), *since)]
        return scan_page(prediction, caveats, view, facts, maps, answer.get("similar"), changes)


def seen(voxels: NDArray[np.float32], preset: Preset) -> Volume:
    """One channel of a preset's tensor as a volume with axes to right, anterior, superior, for the eye."""
    spacing = preset.spacing or tuple(CUBE_MM / count for count in preset.size)
    affine = np.eye(4)
    for axis, letter in enumerate(preset.axes):
        affine[:3, axis] = np.array(_DIRECTIONS[letter]) * spacing[axis]
    return to_ras(Volume(np.ascontiguousarray(voxels, dtype=np.float32), affine))


def grey(voxels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Voxels as 0..255 between their 1st and 99.7th percentile; all 0 where they are constant."""
    bottom, top = (float(np.percentile(voxels, q)) for q in (1, 99.7))
    if top <= bottom:
        return np.zeros(voxels.shape, dtype=np.uint8)
    return (np.clip((voxels - bottom) / (top - bottom), 0, 1) * 255).round().astype(np.uint8)


def stored_heat(heat: NDArray[np.float32]) -> bytes:
    """A heat (-1..1) as the bytes that are kept of it, first axis fastest."""
    return (ZERO + 127 * heat).round().astype(np.uint8).tobytes(order="F")


def read_heat(path: Path, view: Volume) -> NDArray[np.float32]:
    """The heat that was kept, on the voxels of a view."""
    stored = np.frombuffer(path.read_bytes(), dtype=np.uint8).reshape(view.shape, order="F")
    return ((stored.astype(np.float32) - ZERO) / 127).astype(np.float32)


def _maps(folder: Path, view: Volume) -> list[MapFigure]:
    """The heat maps of a scan that were asked for so far, for its page."""
    found = []
    for path in sorted(folder.glob("map-*.json")):
        heat = read_heat(path.with_suffix(".u8"), view)
        said = json.loads(path.read_text(encoding="utf-8"))
        found.append(MapFigure(said["title"], said["meaning"], map_figure(view, heat)))
    return found
