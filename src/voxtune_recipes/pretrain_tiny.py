"""Recipe ``pretrain_tiny``: how the shipped weights of ``tiny`` were made. ``python -m voxtune_recipes.pretrain_tiny --out DIR``.

Random-contrast, CT-like renderings of random anatomies and texts that describe them; three lessons at once:

1. image-text contrast (InfoNCE in both directions, Radford et al. 2021, arXiv 2103.00020);
2. the vision tower reads anatomy: CLS gives the regional volumes, each token how much of each tissue and region lies in
   the eight parts of its own block (heads dropped afterwards);
3. the text tower reads numbers and phrases: its CLS gives the volumes its text tells and the phrase it opens with.

No T1 scanner, no diagnosis, no MMSE. Hardware: two CPU cores (one trains, one renders), about 3 GB; a GPU is used where
there is one. Expected: see ``log.jsonl`` beside the weights and the model card. It can be stopped at any time: the
weights file is replaced whole once a minute.
"""

import argparse
import json
import math
import multiprocessing
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any, TextIO, cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from voxtune.backbones.tiny import ASSETS, Tiny, TinyClip
from voxtune.run_dir import atomic_path, write_bytes, write_text
from voxtune.simulate.atlas import LABELS, MAPS, SIZE, VOXEL_MM3, atlas
from voxtune.simulate.contrast import random_anatomy, random_rendering
from voxtune.simulate.seeds import Branch, generator
from voxtune.simulate.subjects import INTRACRANIAL_MM3, TEMPLATE_INTRACRANIAL_MM3
from voxtune.simulate.words import MORE_WORDS, NAMED, PHRASES, SIZES, describe

VOLUMES = ("brain", *LABELS)
CELLS = 8
"""Cells of the local lesson along each axis: two for each token."""
LOCAL = tuple(name for name in MAPS if name != "t1")
DECAY = 0.998
"""Of the moving average of the weights, which is what is kept."""


@dataclass(frozen=True)
class Sizes:
    """How much of everything; the defaults made the shipped weights."""

    batch: int = 32
    pool: int = 3500
    """Anatomies kept; each is drawn many times in new contrasts."""
    new: int = 3
    """Anatomies added with each batch until the pool is full."""
    warm: int = 256
    """Anatomies made before the first step; they also fix what is normal."""


@dataclass(frozen=True)
class Lesson:
    """One batch, as the producer sends it."""

    volumes: NDArray[np.uint8]
    """(B, 64, 64, 64)."""
    sizes: NDArray[np.float32]
    """Standardised log volumes (B, len(VOLUMES))."""
    cells: NDArray[np.float32]
    """Standardised content of each cell (B, 8, 8, 8, len(LOCAL)); 0 where nothing varies."""
    texts: list[str]
    told: NDArray[np.float32]
    """1 where the text tells a volume (B, len(NAMED))."""
    phrases: NDArray[np.int64]
    """Index of the opening phrase, -1 for none (B,)."""


class Heads(nn.Module):
    """What is dropped after pretraining."""

    def __init__(self, settings: Tiny) -> None:
        super().__init__()
        per_token = (2**3) * len(LOCAL)
        self.sizes = nn.Linear(settings.width, len(VOLUMES))
        self.cells = nn.Linear(settings.width, per_token)
        self.numbers = nn.Linear(settings.text.width, len(NAMED))
        self.phrases = nn.Linear(settings.text.width, len(PHRASES))


# ------------------------------------------------------------------------------------ producer
def _cell_matrix() -> NDArray[np.int64]:
    """Which cell each atlas point lies in (N,)."""
    edge = SIZE // CELLS
    x, y, z = (atlas().points // edge).T
    return np.asarray((x * CELLS + y) * CELLS + z, dtype=np.int64)


class Producer:
    """The pool of anatomies and the stream of lessons drawn from it: a function of the seed and the sizes alone."""

    def __init__(self, seed: int, much: Sizes) -> None:
        from scipy.sparse import csr_array

        self.seed, self.much = seed, much
        self.rng = generator(Branch.PRETRAINING_RENDERING, seed)
        points = len(atlas().points)
        self.to_cells = csr_array(
            (np.ones(points, dtype=np.float32), (_cell_matrix(), np.arange(points))), shape=(CELLS**3, points)
        )
        self.maps: list[NDArray[np.uint8]] = []
        self.sizes: list[NDArray[np.float32]] = []
        self.cells: list[NDArray[np.float32]] = []
        for _ in range(much.warm):
            self._grow()
        sizes, cells = np.stack(self.sizes), np.stack(self.cells)
        self.size_mean, self.size_sd = sizes.mean(axis=0), sizes.std(axis=0)
        self.cell_mean, self.cell_sd = cells.mean(axis=0), cells.std(axis=0)
        # Cells that hold almost nothing of a structure (a thousandth of a cell) teach nothing.
        self.cell_scale = np.where(self.cell_sd > 0.002, 1 / np.maximum(self.cell_sd, 0.01), 0).astype(
            np.float32
        )

    def _grow(self) -> None:
        maps = random_anatomy(self.seed, len(self.maps)).maps
        total = maps.sum(axis=0, dtype=np.float64) * VOXEL_MM3
        self.maps.append(np.round(np.clip(maps, 0, 1) * 255).astype(np.uint8))
        self.sizes.append(np.log([total[MAPS.index(name)] for name in VOLUMES]).astype(np.float32))
        local = maps[:, [MAPS.index(name) for name in LOCAL]]
        self.cells.append(np.asarray(self.to_cells @ local / (SIZE // CELLS) ** 3, dtype=np.float32))

    def lesson(self) -> Lesson:
        """The next batch."""
        for _ in range(self.much.new if len(self.maps) < self.much.pool else 0):
            self._grow()
        chosen = self.rng.choice(len(self.maps), self.much.batch, replace=False)
        volumes, sizes, cells, texts, told, phrases = [], [], [], [], [], []
        for index in chosen:
            voxels = random_rendering(self.maps[index].astype(np.float32) / 255, self.rng).voxels
            cell = ((self.cells[index] - self.cell_mean) * self.cell_scale).reshape(CELLS, CELLS, CELLS, -1)
            if self.rng.uniform() < 0.5:  # mirrored: another brain for free
                voxels, cell = voxels[::-1], cell[::-1]
            score = (self.sizes[index] - self.size_mean) / self.size_sd
            head = math.exp(self.rng.normal(0, 0.04)) * INTRACRANIAL_MM3 / TEMPLATE_INTRACRANIAL_MM3
            native = {name: math.exp(self.sizes[index][VOLUMES.index(name)]) * head for name in NAMED}
            text = describe(native, {name: float(score[VOLUMES.index(name)]) for name in NAMED}, self.rng)
            volumes.append(np.round(voxels * 255).astype(np.uint8))
            sizes.append(score)
            cells.append(np.clip(cell, -4, 4))
            texts.append(text.text)
            told.append([float(name in text.told) for name in NAMED])
            phrases.append(text.phrase)
        return Lesson(
            np.stack(volumes),
            np.stack(sizes).astype(np.float32),
            np.stack(cells).astype(np.float32),
            texts,
            np.asarray(told, dtype=np.float32),
            np.asarray(phrases, dtype=np.int64),
        )


def _produce(seed: int, much: Sizes, queue: "Queue[Lesson]") -> None:
    producer = Producer(seed, much)
    while True:
        queue.put(producer.lesson())


# ---------------------------------------------------------------------------------- vocabulary
def train_vocabulary(folder: Path, seed: int, size: int) -> None:
    """Write ``tokenizer.json``: a lower-case WordPiece whose digits stand alone, learned from the recipe's own texts.

    The trainer of the library breaks ties by chance, so a run takes the shipped vocabulary unless it is told to learn one.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    rng = generator(Branch.PRETRAINING_RENDERING, seed, 1)
    zeros = dict.fromkeys(NAMED, 0.0)
    corpus = [describe(dict.fromkeys(NAMED, 1e6 * rng.uniform()), zeros, rng).text for _ in range(3000)]
    corpus += [*PHRASES, *SIZES, MORE_WORDS] * 50
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))  # noqa: S106  (a token, no password)
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.BertPreTokenizer(), pre_tokenizers.Digits(individual_digits=True)]
    )
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    alphabet = [chr(code) for code in range(33, 127)]
    # Pieces of one letter, so that any word of the Latin alphabet has a spelling.
    pieces = [f"##{chr(code)}" for code in range(97, 123)]
    made.train_from_iterator(
        corpus + [" ".join("x" + piece[2:] for piece in pieces)] * 3,
        trainers.WordPieceTrainer(
            vocab_size=size, special_tokens=special, initial_alphabet=alphabet, min_frequency=1
        ),
    )
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[(token, made.token_to_id(token)) for token in ("[CLS]", "[SEP]")],
    )
    made.decoder = decoders.WordPiece()
    write_text(folder / "tokenizer.json", made.to_str(pretty=False), shared=True)


# --------------------------------------------------------------------------------------- losses
def losses(model: TinyClip, heads: Heads, lesson: Lesson, device: torch.device) -> dict[str, Tensor]:
    """The five lessons of one batch, each a scalar."""
    volumes = torch.from_numpy(lesson.volumes).to(device)[:, None].float() / 255
    sizes, cells, told, phrases = (
        torch.from_numpy(part).to(device)
        for part in (lesson.sizes, lesson.cells, lesson.told, lesson.phrases)
    )
    ids, mask = (part.to(device) for part in model.tokenize(lesson.texts))
    tokens = model.vision(volumes)
    words = model.text.pool(model.text(ids, mask))
    image, text = model.project_image(model.vision.pool(tokens)), model.project_text(words)
    scores = model.logit(image, text)
    target = torch.arange(len(scores), device=device)
    edge = CELLS // 2
    # (B, 8, 8, 8, M) -> (B, 4, 2, 4, 2, 4, 2, M) -> (B, 64 tokens, 8 * M)
    wanted = cells.reshape(len(cells), edge, 2, edge, 2, edge, 2, -1).permute(0, 1, 3, 5, 2, 4, 6, 7)
    wanted = wanted.reshape(len(cells), edge**3, -1)
    named = torch.tensor([VOLUMES.index(name) for name in NAMED], device=device)
    numbers = F.smooth_l1_loss(heads.numbers(words), sizes[:, named], reduction="none")
    varying = (wanted != 0).float()
    local = F.smooth_l1_loss(heads.cells(tokens[:, 1:]), wanted, reduction="none") * varying
    return {
        "contrast": 0.5 * (F.cross_entropy(scores, target) + F.cross_entropy(scores.mT, target)),
        "sizes": F.smooth_l1_loss(heads.sizes(tokens[:, 0]), sizes),
        "cells": local.sum() / varying.sum().clamp_min(1),
        "numbers": (numbers * told).sum() / told.sum().clamp_min(1),
        "phrases": F.cross_entropy(heads.phrases(words), phrases, ignore_index=-1),
    }


WEIGHTS = {"contrast": 0.3, "sizes": 1.0, "cells": 1.0, "numbers": 0.5, "phrases": 0.2}


# ----------------------------------------------------------------------------------------- loop
def optimiser_of(named: list[tuple[str, nn.Parameter]], rate: float) -> torch.optim.AdamW:
    """AdamW without decay for biases, norms and embeddings: words no text has used must keep their size."""
    plain = {
        name for name, p in named if p.ndim < 2 or any(w in name for w in ("embeddings", "place", "token"))
    }
    decayed: dict[str, Any] = {"params": [p for name, p in named if name not in plain]}
    kept: dict[str, Any] = {"params": [p for name, p in named if name in plain], "weight_decay": 0.0}
    return torch.optim.AdamW([decayed, kept], lr=rate, weight_decay=0.05, betas=(0.9, 0.98))


def pretrain(
    out: Path,
    *,
    minutes: float,
    seed: int = 0,
    threads: int = 1,
    rate: float = 1e-3,
    new_vocabulary: bool = False,
    much: Sizes = Sizes(),
) -> Path:
    """Train for so many minutes and return the weights file ``OUT/tiny.safetensors`` (float16).

    Args:
        out: folder for weights, vocabulary and log.
        minutes: wall-clock time of training; the learning rate falls to zero over it.
        seed: of the weights, the anatomies and the renderings.
        threads: of torch; the renderer takes one core more.
        rate: highest learning rate.
        new_vocabulary: learn the vocabulary anew instead of taking the shipped one.
        much: of a batch and of the pool of anatomies.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    out.mkdir(parents=True, exist_ok=True)
    settings = Tiny(fresh=True, seed=seed, tokenizer=out)
    if new_vocabulary:
        train_vocabulary(out, seed, settings.text.vocab)
    else:
        write_bytes(out / "tokenizer.json", (ASSETS / "tokenizer.json").read_bytes(), shared=True)
    model = settings.build().to(device).train()
    heads = Heads(settings).to(device)
    average = {name: value.detach().clone() for name, value in model.state_dict().items()}
    named = [*model.named_parameters(), *heads.named_parameters()]
    optimiser = optimiser_of(named, rate)

    context = multiprocessing.get_context("spawn")
    queue: Queue[Lesson] = cast("Queue[Lesson]", context.Queue(maxsize=6))
    producer = context.Process(target=_produce, args=(seed, much, queue), daemon=True)
    producer.start()
    log = (out / "log.jsonl").open("w", encoding="utf-8")
    write_line(log, {"settings": settings.model_dump(mode="json", exclude={"tokenizer", "weights"}), "minutes": minutes,
                 "seed": seed, "threads": threads, "rate": rate, "batch": much.batch, "pool": much.pool, "loss_weights": WEIGHTS,
                 "device": device.type, "torch": torch.__version__})  # fmt: skip
    lesson = queue.get()
    start = saved = time.monotonic()
    step, sums = 0, dict.fromkeys((*WEIGHTS, "total"), 0.0)
    # ------------------------------------------------------------------ until the time is over
    while (part := (time.monotonic() - start) / (60 * minutes)) < 1:
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / 100) * 0.5 * (1 + math.cos(math.pi * part))
        terms = losses(model, heads, lesson, device)
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
        step += 1
        for name, term in (terms | {"total": total}).items():
            sums[name] += float(term.detach())
        if step % 50 == 0:
            line = {
                "step": step,
                "scans": step * much.batch,
                "minutes": round((time.monotonic() - start) / 60, 2),
            }
            write_line(log, line | {name: round(value / 50, 4) for name, value in sums.items()})
            sums = dict.fromkeys(sums, 0.0)
        if time.monotonic() - saved > 60:
            save(average, out / "tiny.safetensors")
            saved = time.monotonic()
        lesson = queue.get()
    write_line(
        log,
        {
            "done": True,
            "step": step,
            "scans": step * much.batch,
            "minutes": round((time.monotonic() - start) / 60, 2),
        },
    )
    log.close()
    producer.terminate()
    producer.join()
    return save(average, out / "tiny.safetensors")


def write_line(log: TextIO, line: Mapping[str, object]) -> None:
    """Write a line of the log, and print it."""
    log.write(json.dumps(line) + "\n")
    log.flush()
    print(json.dumps(line), flush=True)  # noqa: T201  (a script's progress)


def save(state: dict[str, Tensor], path: Path) -> Path:
    """Write the weights in half precision, all at once or not at all."""
    from safetensors.torch import save_file

    with atomic_path(path, shared=True, room=True) as part:
        save_file({name: value.detach().cpu().half().contiguous() for name, value in state.items()}, part)
    return path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--new-vocabulary", action="store_true")
    options = parser.parse_args()
    pretrain(
        options.out,
        minutes=options.minutes,
        seed=options.seed,
        threads=options.threads,
        new_vocabulary=options.new_vocabulary,
    )
