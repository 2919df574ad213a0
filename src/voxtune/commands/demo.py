"""``voxtune demo``: the whole path on simulated people and one real head, offline, with one page that tells the story."""

import shutil
from collections.abc import Callable
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxtune.errors import SomeScansFailedError, UsageError
from voxtune.run_dir import RunDir, output_folder, read_json, write_bytes, write_json, write_text
from voxtune.storage.lock import is_lock
from voxtune.storage.write import is_part
from voxtune.types.seed import check_seed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PARTICIPANTS = 200
VISITS = 3
RAW_HEADS = 2
MARK, PAGE = "demo.json", "page.html"
HEAD = "T1w_2mm.nii.gz"


def demo(out: Path, *, seed: int = 0, say: Callable[[str], None] = print) -> Path:
    """Simulate, preprocess, fine-tune, evaluate, predict, explain; returns the page.

    Args:
        out: folder to write; an earlier demo in it is replaced, anything else is left alone.
        seed: of the people and of the training.
        say: takes lines for a person.

    Raises:
        UsageError: the folder holds files that are no demo of ours.
    """
    check_seed(seed)
    from voxtune.commands.evaluate.command import evaluate
    from voxtune.commands.export import export
    from voxtune.commands.predict.command import predict
    from voxtune.commands.preprocess import preprocess
    from voxtune.commands.simulate.command import simulate
    from voxtune.commands.split import split
    from voxtune.commands.train.command import train
    from voxtune.data.manifest import read_manifest
    from voxtune.pages.demo_page import demo_page
    from voxtune.pages.demo_prints import write_demo_prints

    with output_folder(out):
        _clear(out)
        write_json(out / MARK, {"unfinished": True})  # killed at any moment, it is known for a demo
        say("1/6 SIMULATED people with a known disease")
        manifest = simulate(
            out / "cohort", participants=PARTICIPANTS, visits=VISITS, seed=seed, raw_heads=RAW_HEADS
        )
        say("2/6 One real head and two simulated ones from the scanner to the model's volume")
        raw = _raw_manifest(out)
        try:
            preprocess(raw, out / "heads", preset="tiny", workers=2)
        except SomeScansFailedError as error:
            say(str(error))
        say("3/6 Fine-tune the frozen backbone by recipe deft")
        sides = split(manifest, out / "split", seed=seed)
        run = train(
            "deft", out / "run", data=manifest, split_dir=sides, assignments=(f"seed={seed}",), say=say
        ).run
        say("4/6 Score people the training never saw")
        evaluated = evaluate(run, data=manifest, say=say)
        say(evaluated.summary)
        say("5/6 Predict the heads with the exported adapter")
        adapter = export(run, out / "adapter")
        heads = [row.scan_id for row in read_manifest(out / "heads" / "manifest.tsv")]
        volumes = [out / "heads" / name / "volume.nii.gz" for name in heads]
        predicted = predict(adapter, volumes, output=out / "predictions", stripped=True)
        say("6/6 Ask one scan what its answer rests on")
        facts: dict[str, Any] = {
            "simulated": True,
            "seed": seed,
            "cohort": _cohort(manifest, sides),
            "metrics": evaluated.metrics,
            "heads": [
                {"name": name, "real": name == "real-head"}
                | {"predicted": one.predicted, "probabilities": one.probabilities, "mmse": one.mmse}
                | {"verdict": str(answer.caveats.verdict)}
                for name, answer in zip(heads, predicted.answers, strict=True)
                for one in (answer.prediction,)
            ],
            "explanation": _explain(adapter, manifest, run),
            "beside": _beside(manifest, sides),
            "limits": read_json(out / "cohort" / "truth" / "limits.json", "what can be reached"),
        }
        write_json(out / MARK, facts)
        slices = dict(zip(heads, volumes, strict=True))
        page = out / PAGE
        write_text(page, demo_page(facts, slices, read_json(RunDir(run).split, "the split")))
        write_demo_prints(facts, out)
        return page


def _clear(out: Path) -> None:
    if any(not is_lock(one) and not is_part(one) for one in out.iterdir()):
        if not (out / MARK).is_file() and not (out / "cohort" / "simulation.json").is_file():
            raise UsageError(f"'{out.name}' holds files that are no demo; give an empty or new folder.")
        for name in ("cohort", "raw", "heads", "split", "run", "adapter", "predictions", "figures", "tables"):
            shutil.rmtree(out / name, ignore_errors=True)
        for name in (PAGE, MARK):
            (out / name).unlink(missing_ok=True)


def _raw_manifest(out: Path) -> Path:
    """The simulated raw heads and the shipped real one in one manifest."""
    from voxtune.data.manifest import read_manifest, resolve_image, write_manifest
    from voxtune.types.records import ManifestRow

    simulated = out / "cohort" / "raw" / "manifest.tsv"
    rows = [
        row.model_copy(update={"image": str(resolve_image(simulated, row).resolve())})
        for row in read_manifest(simulated)
    ]
    with as_file(files("voxtune.simulate") / "assets" / "head_pddl" / HEAD) as head:
        target = out / "raw" / head.name
        write_bytes(target, head.read_bytes(), shared=True)
    real = ManifestRow(
        participant_id="studyforrest-02",
        scan_id="real-head",
        image=str(target.resolve()),
        source="studyforrest, PDDL",
    )
    return write_manifest([real, *rows], out / "raw" / "manifest.tsv")


def _cohort(manifest: Path, sides: Path) -> dict[str, Any]:
    from voxtune.data.manifest import read_manifest
    from voxtune.data.split_files import read_split

    rows, split = read_manifest(manifest), read_split(sides)
    by_class: dict[str, dict[str, float]] = {}
    for name in ("NC", "MCI", "AD"):
        own = [row for row in rows if row.diagnosis == name]
        scores = [row.mmse for row in own if row.mmse is not None]
        by_class[name] = {
            "scans": len(own),
            "participants": len({row.participant_id for row in own}),
            "mmse_mean": sum(scores) / len(scores),
        }
    return {
        "scans": len(rows),
        "participants": len({row.participant_id for row in rows}),
        "classes": by_class,
        "sides": {
            side: {"scans": len(scans), "participants": len(split.people(side))}
            for side, scans in split.sides().items()
        },
    }


def _beside(manifest: Path, sides: Path) -> dict[str, float]:
    """The error of guessing the training mean of MMSE."""
    from voxtune.data.manifest import read_manifest
    from voxtune.data.split_files import read_split

    rows = {row.scan_id: row for row in read_manifest(manifest)}
    split = read_split(sides)
    known = [score for name in split.train if (score := rows[name].mmse) is not None]
    mean = sum(known) / len(known)
    errors = [abs(score - mean) for name in split.test if (score := rows[name].mmse) is not None]
    return {"mmse_mae_of_mean": sum(errors) / len(errors)}


def _explain(adapter: Path, manifest: Path, run: Path) -> dict[str, Any]:
    """Occlusion of each simulated region in the AD test scan the model is surest of."""
    import torch

    from voxtune.data.manifest import read_manifest, resolve_image
    from voxtune.evaluation.tables import read_predictions
    from voxtune.explanation.occlusion import occlude_regions
    from voxtune.imaging.read import read_scan
    from voxtune.serving.predictor import Predictor

    found = read_predictions(RunDir(run).evaluation("test") / "predictions.tsv").rows()
    chosen = max((one for one in found if one.diagnosis == "AD"), key=lambda one: one.probabilities["AD"])
    row = next(row for row in read_manifest(manifest) if row.scan_id == chosen.scan_id)
    predictor = Predictor(adapter)

    def score(voxels: "NDArray[np.float32]") -> float:
        return predictor.log_odds(torch.from_numpy(voxels)[None], "AD")

    drops = occlude_regions(score, read_scan(resolve_image(manifest, row)).voxels, _regions())
    return {
        "scan": chosen.scan_id,
        "class": "AD",
        "probability": chosen.probabilities["AD"],
        "drops": [{"region": one.region, "drop": one.drop, "voxels": one.voxels} for one in drops],
    }


def _regions() -> "dict[str, NDArray[np.bool_]]":
    from scipy.ndimage import binary_dilation

    from voxtune.simulate.atlas import LABELS, MAPS, SIZE, atlas

    maps = atlas().maps.reshape(SIZE, SIZE, SIZE, len(MAPS))
    return {name: binary_dilation(maps[..., MAPS.index(name)] > 0.5) for name in LABELS}
