"""Recipe ``pretrain_untaught``: how the shipped weights of ``tiny_untaught`` were made. ``python -m voxtune_recipes.pretrain_untaught --out DIR``.

Pictures of random label maps in random contrasts, and texts of what is seen in them (``simulate/label_maps.py``). Three lessons:

1. image-text contrast (InfoNCE in both directions, Radford et al. 2021, arXiv 2103.00020);
2. CLS gives the look of the picture (contrast, noise, blur, bias, fluid), each token how much of each tissue lies in the eight
   parts of its own block (heads dropped afterwards);
3. the text tower's CLS gives the look its text tells and the phrase it opens with.

Never: a named region, a size of anything as a whole, the disease vector, ageing, a diagnosis, an MMSE, a T1 scanner. So CLS was
never asked for what a diagnosis needs: there is something left to adapt. The same seed gives the same weights
on the same machine. Hardware: one CPU core, 1.1 GB, about a quarter of an hour of its time.
"""

import argparse
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from voxtune.backbones.tiny import TinyClip
from voxtune.backbones.tiny_untaught import TinyUntaught
from voxtune.simulate.atlas import SIZE, atlas
from voxtune.simulate.label_maps import (
    SEEN,
    TISSUES,
    LabelMap,
    describe,
    eighths,
    picture,
    random_label_map,
    random_look,
    standardised,
)
from voxtune.simulate.seeds import Branch, generator
from voxtune.simulate.words import PHRASES
from voxtune_recipes.pretrain_tiny import CELLS, optimiser_of, save, write_line

STEPS, BATCH, POOL = 1500, 12, 60
MORE = 5
DECAY = 0.99
"""Of the moving average of the weights, which is what is kept."""
WEIGHTS = {"contrast": 0.3, "look": 0.5, "cells": 1.0, "told": 0.5, "phrases": 0.2}


@dataclass(frozen=True)
class Lesson:
    """One batch."""

    volumes: NDArray[np.float32]
    """(B, 64, 64, 64)."""
    look: NDArray[np.float32]
    """(B, len(SEEN))."""
    cells: NDArray[np.float32]
    """Tissue of each cell (B, 8, 8, 8, 3), standardised over all cells; NaN outside the head."""
    texts: list[str]
    """Of the pictures, then ``MORE`` times as many of pictures that are not drawn: words are cheap, and only text lessons read them."""
    told: NDArray[np.float32]
    """1 where a text tells a part of the look (T, len(SEEN))."""
    said: NDArray[np.float32]
    """The look that each text is of (T, len(SEEN))."""
    phrases: NDArray[np.int64]


class Heads(nn.Module):
    """What is dropped after pretraining."""

    def __init__(self, settings: TinyUntaught) -> None:
        super().__init__()
        self.look = nn.Linear(settings.width, len(SEEN))
        self.cells = nn.Linear(settings.width, 2**3 * len(TISSUES))
        self.told = nn.Linear(settings.text.width, len(SEEN))
        self.phrases = nn.Linear(settings.text.width, len(PHRASES))


class Producer:
    """The label maps and the lessons drawn from them: a function of the seed alone."""

    def __init__(self, seed: int, pool: int) -> None:
        from scipy.sparse import csr_array

        self.rng = generator(Branch.PRETRAINING_UNTAUGHT, seed)
        points = atlas().points
        x, y, z = (points // (SIZE // CELLS)).T
        one = np.ones(len(points), dtype=np.float32)
        where = np.arange(len(points))
        self.to_cells = csr_array((one, ((x * CELLS + y) * CELLS + z, where)), shape=(CELLS**3, len(points)))
        self.to_parts = csr_array((one, (eighths(), where)), shape=(8, len(points)))
        self.maps = [random_label_map(self.rng) for _ in range(pool)]
        self.cells = [self._cells(one) for one in self.maps]
        parts = np.stack([self._parts(one) for one in self.maps])
        self.parts = (parts - parts.mean(axis=0)) / (parts.std(axis=0) + 1e-6)
        known = np.concatenate([one[np.isfinite(one).all(axis=1)] for one in self.cells])
        self.mean, self.sd = known.mean(axis=0), known.std(axis=0)

    def _cells(self, one: LabelMap) -> NDArray[np.float32]:
        inside = self.to_cells @ one.within
        content = self.to_cells @ one.tissues
        # A cell that is mostly outside says little; it is not asked for.
        mostly = inside > 0.5 * (SIZE // CELLS) ** 3
        return np.where(mostly[:, None], content / np.maximum(inside, 1)[:, None], np.nan).astype(np.float32)

    def _parts(self, one: LabelMap) -> NDArray[np.float32]:
        return np.asarray((self.to_parts @ one.tissues) / (self.to_parts @ one.within)[:, None])

    def lesson(self, batch: int) -> Lesson:
        """The next batch."""
        volumes, looks, cells, said = [], [], [], []
        told_of = []
        for index in self.rng.choice(len(self.maps), batch, replace=False):
            look = random_look(self.rng)
            volumes.append(picture(self.maps[index], look, self.rng).voxels)
            looks.append(standardised(look))
            cells.append(((self.cells[index] - self.mean) / self.sd).reshape(CELLS, CELLS, CELLS, -1))
            said.append(describe(look, self.parts[index], self.rng))
            told_of.append(standardised(look))
        for _ in range(MORE * batch):
            look = random_look(self.rng)
            said.append(describe(look, self.parts[int(self.rng.integers(len(self.parts)))], self.rng))
            told_of.append(standardised(look))
        return Lesson(
            np.stack(volumes), np.stack(looks), np.stack(cells), [one.text for one in said], np.stack([one.told for one in said]),
            np.stack(told_of), np.array([one.phrase for one in said]),
        )  # fmt: skip


def losses(model: TinyClip, heads: Heads, lesson: Lesson) -> dict[str, Tensor]:
    """The lessons of one batch, each a scalar."""
    tokens = model.vision(torch.from_numpy(lesson.volumes)[:, None])
    words = model.text.pool(model.text(*model.tokenize(lesson.texts)))
    image = model.project_image(model.vision.pool(tokens))
    text = model.project_text(words[: len(image)])
    scores = model.logit(image, text)
    target = torch.arange(len(scores))
    look, told, said_look = (torch.from_numpy(part) for part in (lesson.look, lesson.told, lesson.said))
    edge = CELLS // 2
    # (B, 8, 8, 8, M) -> (B, 4, 2, 4, 2, 4, 2, M) -> (B, 64 tokens, 8 * M)
    wanted = torch.from_numpy(lesson.cells).reshape(-1, edge, 2, edge, 2, edge, 2, len(TISSUES))
    wanted = wanted.permute(0, 1, 3, 5, 2, 4, 6, 7).reshape(len(look), edge**3, -1)
    known = wanted.isfinite()
    said = heads.cells(tokens[:, 1:])
    numbers = F.smooth_l1_loss(heads.told(words), said_look, reduction="none")
    return {
        "contrast": 0.5 * (F.cross_entropy(scores, target) + F.cross_entropy(scores.mT, target)),
        "look": F.smooth_l1_loss(heads.look(tokens[:, 0]), look),
        "cells": F.smooth_l1_loss(said[known], wanted[known]),
        "told": (numbers * told).sum() / told.sum().clamp_min(1),
        "phrases": F.cross_entropy(heads.phrases(words), torch.from_numpy(lesson.phrases), ignore_index=-1),
    }


def pretrain(
    out: Path, *, seed: int = 0, steps: int = STEPS, batch: int = BATCH, pool: int = POOL, rate: float = 3e-3
) -> Path:
    """Train for so many steps on one core and return the weights file ``OUT/tiny_untaught.safetensors`` (float16).

    Args:
        out: folder for weights and log.
        seed: of the weights and of everything drawn.
        steps: the learning rate rises over a twentieth of them and falls to zero.
        batch: pictures a step.
        pool: label maps; each is drawn many times in new looks.
        rate: highest learning rate.
    """
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    out.mkdir(parents=True, exist_ok=True)
    settings = TinyUntaught(fresh=True, seed=seed)
    model, heads = settings.build().train(), Heads(settings)
    average = {name: value.detach().clone() for name, value in model.state_dict().items()}
    named = [*model.named_parameters(), *heads.named_parameters()]
    optimiser = optimiser_of(named, rate)
    began = time.monotonic()
    producer = Producer(seed, pool)
    with (out / "log.jsonl").open("w", encoding="utf-8") as log:
        write_line(log, {"settings": settings.model_dump(mode="json", exclude={"tokenizer", "weights"}), "seed": seed, "steps": steps,
                    "batch": batch, "pool": pool, "rate": rate, "loss_weights": WEIGHTS, "torch": torch.__version__})  # fmt: skip
        sums = dict.fromkeys((*WEIGHTS, "total"), 0.0)
        for step in range(steps):
            part = step / steps
            for group in optimiser.param_groups:
                group["lr"] = rate * min(1.0, 20 * (step + 1) / steps) * 0.5 * (1 + math.cos(math.pi * part))
            terms = losses(model, heads, producer.lesson(batch))
            total = torch.stack([WEIGHTS[name] * term for name, term in terms.items()]).sum()
            optimiser.zero_grad(set_to_none=True)
            total.backward()  # type: ignore[no-untyped-call]  # torch ships no type for it
            nn.utils.clip_grad_norm_([p for _, p in named], 1.0)
            optimiser.step()
            with torch.no_grad():
                model.logit_scale.clamp_(1, 100)
                keep = min(DECAY, (1 + step) / (10 + step))
                for name, value in model.state_dict().items():
                    average[name].lerp_(value, 1 - keep)
            for name, term in (terms | {"total": total}).items():
                sums[name] += float(term.detach())
            if (step + 1) % 25 == 0:
                line = {"step": step + 1, "minutes": round((time.monotonic() - began) / 60, 2)}
                write_line(log, line | {name: round(value / 25, 4) for name, value in sums.items()})
                sums = dict.fromkeys(sums, 0.0)
        minutes = round((time.monotonic() - began) / 60, 2)
        write_line(log, {"done": True, "step": steps, "scans": steps * batch, "minutes": minutes})
    return save(average, out / "tiny_untaught.safetensors")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=STEPS)
    options = parser.parse_args()
    print(json.dumps(str(pretrain(options.out, seed=options.seed, steps=options.steps))))  # noqa: T201
