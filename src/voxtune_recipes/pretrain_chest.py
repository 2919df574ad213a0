"""Recipe ``pretrain_chest``: how the shipped weights of ``ct_clip_small`` were made. ``python -m voxtune_recipes.pretrain_chest --out DIR``.

SIMULATED chests in random windows; three lessons at once, each through a linear layer that is dropped afterwards:

1. the image vector says which findings a scan has;
2. each token says which findings lie in its own block;
3. the text vector says which finding a statement names, and whether it is there.

No image is ever compared with a text, so zero-shot is luck; nor has the model seen calibrated Hounsfield units or the words of CT-CLIP's
pairs ('is present'). Fine-tuning has to tie the two together. The codebook moves here by an exponential mean, as upstream's does in
training, and never again. Hardware: one CPU core, about 2 GB, half an hour. The same settings give the same weights on one machine.
"""

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from voxtune.backbones.ct_clip import CtClipModel, CtClipSmall
from voxtune.imaging.presets import CT_CLIP_SMALL
from voxtune.imaging.tensor import to_tensor
from voxtune.run_dir import atomic_path, write_text
from voxtune.simulate.chest import ChestSettings, Scan, draw, scans
from voxtune.simulate.chest_findings import DRAWN
from voxtune.simulate.seeds import Branch, generator
from voxtune.types.volume import Volume

BATCH = 24
SEED_OF_COHORT = 9_999
"""A seed of its own; cohorts of users should take another."""
THERE = ("{f}.", "There is {f}.", "{f} is seen.", "Findings in keeping with {f}.")
ABSENT = ("No {f}.", "There is no {f}.", "{f} is not seen.", "No evidence of {f}.")
"""Words of a statement that a finding is there, and that it is not, in pairs."""
EXTRA = "a an the of in with without and or normal abnormal mild moderate severe chest ct scan photo image lungs heart finding findings impression"
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
GRID = (8, 8, 8)
"""Tokens along depth, height, width."""
DENSE_WEIGHT, TEXT_WEIGHT = 1.0, 0.3
CODEBOOK_DECAY = 0.95


def write_vocabulary(folder: Path, size: int) -> Path:
    """Write ``tokenizer.json``: whole words of the simulator's texts in alphabetical order, any other word letter by letter."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    texts = [EXTRA, *THERE, *ABSENT, *(kind.absent for kind in DRAWN.values())]
    from voxtune.cohorts.ct_rate import FINDINGS

    texts += FINDINGS
    settings = ChestSettings(participants=60, seed=SEED_OF_COHORT)
    texts += [
        planted.words
        for scan in list(scans(settings))[:60]
        for planted in draw(scan, settings.seed)[1].values()
    ]
    split = pre_tokenizers.BertPreTokenizer()
    words = sorted(
        {word for text in texts for word, _ in split.pre_tokenize_str(text.lower()) if word.isalpha()}
    )
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    entries = [
        *SPECIAL,
        *letters,
        *(f"##{one}" for one in letters),
        *".,:;-()/^",
        *(w for w in words if len(w) > 1),
    ]
    if len(entries) > size:
        raise ValueError(f"The vocabulary has {len(entries)} entries, the model {size}.")
    made = Tokenizer(
        models.WordPiece({entry: place for place, entry in enumerate(entries)}, unk_token="[UNK]")  # noqa: S106
    )
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.BertPreTokenizer(), pre_tokenizers.Digits(individual_digits=True)]
    )
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    made.decoder = decoders.WordPiece()
    write_text(folder / "tokenizer.json", made.to_str(pretty=True), shared=True)
    return folder / "tokenizer.json"


class Pool:
    """Chests drawn once: HU / 1000 without window or noise, and the findings of each token and scan."""

    def __init__(self, count: int) -> None:
        settings = ChestSettings(participants=max(1, count // 2), scans=4, seed=SEED_OF_COHORT)
        self.names = tuple(DRAWN)
        self.volumes: list[NDArray[np.float32]] = []
        self.tokens: list[NDArray[np.bool_]] = []
        self.scans: list[Scan] = []
        self.noise = np.random.default_rng(0).standard_normal(1_000_000, dtype=np.float32)
        for scan in scans(settings):
            if len(self.volumes) == count:
                break
            chest, planted = draw(scan, settings.seed)
            affine = chest.grid.affine
            self.volumes.append(to_tensor(Volume(chest.voxels, affine), CT_CLIP_SMALL))
            parts = [
                _by_token(Volume(planted[name].part, affine))
                if name in planted
                else np.zeros(GRID, dtype=bool)
                for name in self.names
            ]
            self.tokens.append(np.stack(parts, axis=-1).reshape(math.prod(GRID), -1))
            self.scans.append(scan)

    def lesson(self, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """A batch: volumes (B, 1, 48, 64, 64), findings by token (B, 512, F), findings by scan (B, F)."""
        chosen = rng.choice(len(self.volumes), BATCH, replace=False)
        volumes = np.stack([self._contrasted(self.volumes[index], rng) for index in chosen])
        tokens = torch.from_numpy(np.stack([self.tokens[index] for index in chosen])).float()
        there = torch.tensor(
            [[float(name in self.scans[index].amounts) for name in self.names] for index in chosen]
        )
        return torch.from_numpy(volumes), tokens, there

    def _contrasted(self, volume: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """A random shift of up to two voxels, a random window and level, with noise; within -1..1."""
        volume = np.roll(volume, tuple(int(step) for step in rng.integers(-2, 3, 3)), axis=(1, 2, 3))
        width, level = rng.uniform(0.6, 1.5), rng.normal(0, 0.15)
        start = int(rng.integers(self.noise.size - volume.size))
        noise = self.noise[start : start + volume.size].reshape(volume.shape)
        out: NDArray[np.float32] = np.float32(width) * volume + np.float32(level)
        out += np.float32(rng.uniform(0.005, 0.05)) * noise
        return np.clip(out, -1, 1, out=out)


def _by_token(part: Volume) -> NDArray[np.bool_]:
    """Whether a finding fills more than a voxel and a half of a token's block (8, 8, 8)."""
    plain = CT_CLIP_SMALL.model_copy(
        update={"steps": CT_CLIP_SMALL.steps.model_copy(update={"low": 0.0, "high": 1.0}), "deviation": 1.0}
    )
    cube = to_tensor(part, plain)[0].reshape(8, 6, 8, 8, 8, 8)
    found: NDArray[np.bool_] = cube.sum(axis=(1, 3, 5)) > 1.5
    return found


@torch.no_grad()
def move_codebook(model: CtClipModel, tokens: Tensor, state: dict[str, Tensor], rng: torch.Generator) -> None:
    """Move each row towards the mean of the tokens that chose it; a row that nobody chooses becomes one of the tokens."""
    book = model.vision.vq._codebook.embed[0]  # noqa: SLF001  (upstream's name)
    units = F.normalize(tokens.flatten(0, -2), dim=-1)
    if not state:
        state |= {"count": torch.ones(len(book)), "total": book.clone(), "fresh": torch.zeros(())}
        book.copy_(units[torch.randperm(len(units), generator=rng)[: len(book)]])
        state["total"] = book.clone()
    codes = model.vision.vq.codes(units)
    chosen = F.one_hot(codes, len(book)).float()
    state["count"].lerp_(chosen.sum(dim=0), 1 - CODEBOOK_DECAY)
    state["total"].lerp_(chosen.T @ units, 1 - CODEBOOK_DECAY)
    dead = state["count"] < 0.5
    book.copy_(F.normalize(state["total"], dim=-1))
    if bool(dead.any()):
        fresh = units[torch.randint(len(units), (int(dead.sum()),), generator=rng)]
        book[dead], state["total"][dead], state["count"][dead] = fresh, fresh, 1.0


def pretrain(out: Path, *, steps: int = 1000, pool: int = 960, seed: int = 0, rate: float = 2e-3) -> Path:
    """Train for so many steps on one core and return the weights file ``OUT/ct_clip_small.safetensors`` (float16)."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    settings = CtClipSmall(fresh=True, seed=seed)
    write_vocabulary(out, settings.whole().text.vocab)
    model = settings.whole().model_copy(update={"tokenizer": out}).build().train()
    dense = nn.Linear(model.vision.width, len(DRAWN))
    whole, named_by = nn.Linear(model.embed_dim, len(DRAWN)), nn.Linear(model.embed_dim, 2 * len(DRAWN))
    named = [
        *model.named_parameters(),
        *((f"head.{name}", p) for head in (dense, whole, named_by) for name, p in head.named_parameters()),
    ]
    plain = [p for name, p in named if p.ndim < 2 or "embeddings" in name]
    weights = [p for name, p in named if not (p.ndim < 2 or "embeddings" in name)]
    groups: list[dict[str, Any]] = [{"params": weights}, {"params": plain, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(
        groups,
        lr=rate,
        weight_decay=0.05,
        betas=(0.9, 0.98),
    )
    rng, order = generator(Branch.PRETRAINING_CHEST, seed), torch.Generator().manual_seed(seed)
    log: list[dict[str, Any]] = [
        {
            "batch": BATCH,
            "pool": pool,
            "steps": steps,
            "seed": seed,
            "rate": rate,
            "torch": torch.__version__,
        }
    ]
    book: dict[str, Tensor] = {}
    chests = Pool(pool)
    rare = torch.from_numpy(np.stack(chests.tokens)).float().mean(dim=(0, 1)).clamp_min(1e-4)
    often = (
        torch.tensor([[float(name in scan.amounts) for name in chests.names] for scan in chests.scans])
        .mean(dim=0)
        .clamp(0.02, 0.98)
    )

    def weigh(there: Tensor) -> Tensor:
        return torch.where(there == 1, 0.5 / often, 0.5 / (1 - often))

    balance = (1 / rare).sqrt().clamp_max(30)
    began, sums = time.monotonic(), dict.fromkeys(("scans", "dense", "texts"), 0.0)
    for step in range(1, steps + 1):
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1.0, step / 40) * 0.5 * (1 + math.cos(math.pi * step / steps))
        volumes, found, there = chests.lesson(rng)
        before = model.vision.encode(volumes)
        move_codebook(model, before, book, order)
        tokens = model.vision.vq(before).flatten(1, 3)
        image = model.project_image(model.vision.pool(tokens))
        words = int(rng.integers(len(THERE)))
        texts = [
            frame.replace("{f}", name.lower())
            for frame in (THERE[words], ABSENT[words])
            for name in chests.names
        ]
        words_of = model.encode_text(*model.tokenize(texts))  # (2 F, E): there, then not there
        scans_say = F.binary_cross_entropy_with_logits(whole(10 * image), there, weight=weigh(there))
        texts_say = F.cross_entropy(named_by(10 * words_of), torch.arange(len(texts)))
        placed = F.binary_cross_entropy_with_logits(dense(8 * tokens), found, pos_weight=balance)
        optimiser.zero_grad(set_to_none=True)
        (scans_say + DENSE_WEIGHT * placed + TEXT_WEIGHT * texts_say).backward()  # type: ignore[no-untyped-call]  # torch ships no type for it
        nn.utils.clip_grad_norm_([p for _, p in named], 1.0)
        optimiser.step()
        with torch.no_grad():
            model.temperature.clamp_(0.0, math.log(60))
        for name, term in {"scans": scans_say, "dense": placed, "texts": texts_say}.items():
            sums[name] += term.item()
        if step % 25 == 0:
            used = int((book["count"] > 1).sum())
            log.append(
                {"step": step, "minutes": round((time.monotonic() - began) / 60, 2), "codes": used}
                | {k: round(v / 25, 4) for k, v in sums.items()}
            )
            print(json.dumps(log[-1]), flush=True)  # noqa: T201  (a script's progress)
            sums = dict.fromkeys(sums, 0.0)
        if step % 100 == 0:
            save(model, out, log)
    log.append(
        {
            "done": True,
            "step": steps,
            "scans": steps * BATCH,
            "minutes": round((time.monotonic() - began) / 60, 2),
        }
    )
    return save(model, out, log)


def save(model: CtClipModel, out: Path, log: list[dict[str, Any]]) -> Path:
    """Write weights in half precision and the log, each whole or not at all."""
    from safetensors.torch import save_file

    path = out / "ct_clip_small.safetensors"
    with atomic_path(path, shared=True, room=True) as part:
        save_file(
            {name: value.detach().half().contiguous() for name, value in model.state_dict().items()}, part
        )
    write_text(out / "log.jsonl", "".join(json.dumps(line) + "\n" for line in log), shared=True)
    return path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--pool", type=int, default=960)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    pretrain(options.out, steps=options.steps, pool=options.pool, seed=options.seed)
