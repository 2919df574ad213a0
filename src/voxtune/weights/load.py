"""How a published checkpoint becomes a model: safetensors only, every key accounted for, no second copy in memory.

A model is built on the meta device (shapes without storage) and the file's tensors are then assigned, so nothing is
initialised only to be overwritten and the weights are held once. They are copied to where torch would have put them, so that
the same weights give the same bits from any file (``memory``). Every key must find its place and every place its key: what is left over is an error that lists it, save
for the harmless extras that a model's ``KeyRules`` name.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from voxtune.errors import WeightsError
from voxtune.storage.strict_json import loads
from voxtune.weights.batch_norm import StoredBatchNorm
from voxtune.weights.memory import read_tensors
from voxtune.weights.plan import BERT_RULES, KeyRules, Plan, plan
from voxtune.weights.shapes import shapes_only
from voxtune.weights.tokenizer import Tokenizer

__all__ = [
    "KeyRules",
    "LoadReport",
    "Plan",
    "StoredBatchNorm",
    "Tokenizer",
    "build",
    "check_card",
    "file_sha256",
    "plan",
    "weights_sha256",
]


@dataclass(frozen=True)
class LoadReport:
    """What a file gave: kept on the model as ``loaded``."""

    file: str
    sha256: str
    keys: int
    dropped: Mapping[str, str]
    new: tuple[str, ...]
    licence: str | None = None
    """What lay beside the published file when it was converted."""


Model = TypeVar("Model", bound=nn.Module)


def file_sha256(file: Path) -> str:
    """The sha256 of a file, read in pieces."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def weights_sha256(backbone: nn.Module) -> str | None:
    """What a backbone's weights are: the sha256 of its file, or of the sha256s of its files; ``None`` for a new one."""
    reports = [getattr(backbone, name, None) for name in ("loaded", "text_loaded")]
    digests = [report.sha256 for report in reports if isinstance(report, LoadReport)]
    if len(digests) < 2:
        return digests[0] if digests else None
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def build(
    make: Callable[[], Model],
    weights: Path | None,
    rules: KeyRules,
    *,
    part: str = "whole",
    text_weights: Path | None = None,
    seed: int = 0,
) -> Model:
    """A model in eval mode: new from ``seed``, or from a file without ever being initialised.

    Args:
        make: makes the module on the current default device.
        weights: a safetensors file with the published key names; ``None`` initialises anew.
        rules: the model's key rules.
        part: ``whole`` file, or ``vision``: the file holds the vision tower alone and the rest starts new.
        text_weights: a BERT file for the submodule ``text``, for models published without a text tower.
        seed: of the parts that start new.

    Raises:
        WeightsError: a file is not safetensors, is cut short, or its keys or shapes do not fit.
    """
    if weights is None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = make()
    else:
        with shapes_only():
            model = make()
    reports = {}
    if text_weights is not None:
        text = model.get_submodule("text")
        reports["text_loaded"], _ = _load(text, Path(text_weights), BERT_RULES, part="whole")
    if weights is not None:
        reports["loaded"], new = _load(model, Path(weights), rules, part=part)
        _start_new(model, new, seed)
    for name, report in reports.items():
        setattr(model, name, report)  # every backbone declares both
    return model.eval()


def _load(model: nn.Module, file: Path, rules: KeyRules, *, part: str) -> tuple[LoadReport, tuple[str, ...]]:
    """Assign the file's tensors; the report, and our names that are still without storage."""
    ours = model.state_dict()
    with _opened(file) as tensors:
        licence = (tensors.metadata() or {}).get("licence")
        shapes = {key: tuple(tensors.get_slice(key).get_shape()) for key in tensors.keys()}  # noqa: SIM118  (not a dict)
        found = plan(shapes, {name: tuple(tensor.shape) for name, tensor in ours.items()}, rules, part=part)
        if not found.fits:
            raise WeightsError(f"{file.name}: {found.misfit(rules.model)}")
    names = {key: name for name, key in found.places.items()}
    state = {names[key]: tensor.to(ours[names[key]].dtype) for key, tensor in read_tensors(file, list(names))}
    model.load_state_dict(state, strict=False, assign=True)
    new = tuple(name for name in found.new if ours[name].is_meta)
    return LoadReport(file.name, file_sha256(file), len(shapes), found.dropped, new, licence), new


def _opened(file: Path) -> safe_open:
    if not file.is_file():
        raise WeightsError(
            f"No weights file {file.name}. 'voxtune weights get' or 'voxtune weights convert' makes one."
        )
    if file.suffix != ".safetensors":
        raise WeightsError(
            f"{file.name}: weights are read from .safetensors only, because other formats can run code. "
            f"'voxtune weights convert NAME {file.name}' makes one safely."
        )
    try:
        return safe_open(file, framework="pt")
    except (SafetensorError, OSError) as cause:
        raise WeightsError(
            f"{file.name}: not a whole safetensors file ({cause}). Download or convert it again."
        ) from cause


def check_whole(file: Path) -> None:
    """See that a file is safetensors from its first byte to its last, by its header; nothing is loaded.

    Raises:
        WeightsError: it is not.
    """
    with _opened(file):
        pass


def _start_new(model: nn.Module, names: tuple[str, ...], seed: int) -> None:
    """Initialise what the file says nothing of; each owner of such a tensor has ``reset_parameters``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for owner in dict.fromkeys(name.rpartition(".")[0] for name in names):
            module = model.get_submodule(owner)
            for name, tensor in [
                *module.named_parameters(recurse=False),
                *module.named_buffers(recurse=False),
            ]:
                if tensor.is_meta:
                    fresh = torch.zeros(tensor.shape, dtype=tensor.dtype)
                    setattr(module, name, nn.Parameter(fresh) if isinstance(tensor, nn.Parameter) else fresh)
            reset: Callable[[], None] = module.reset_parameters  # type: ignore[assignment]  # torch's own convention
            reset()


def check_card(file: Path, heads: Mapping[str, int], model: str) -> None:
    """Compare head counts with the card beside a file: they change the function but not one shape.

    The card is the file's own header (``voxtune weights convert`` writes one) or ``config.json`` beside it.

    Args:
        file: the safetensors file.
        heads: the model's numbers of heads by the card's own words for them (``num_heads``, ...).
        model: catalogue name, for the message.

    Raises:
        WeightsError: the card says another number.
    """
    with _opened(file) as tensors:
        header = (tensors.metadata() or {}).get("card")
    beside = file.with_name("config.json")
    card = _card(beside.read_text(encoding="utf-8"), beside) if beside.is_file() else {}
    card |= _card(header, file) if header is not None else {}
    wrong = [
        f"{word} is {card[word]} on the card, {ours} here"
        for word, ours in heads.items()
        if card.get(word, ours) != ours
    ]
    if wrong:
        raise WeightsError(
            f"{file.name} for '{model}': {'; '.join(wrong)}. The shapes are the same but another function is computed. "
            "Set it as the card says, or card='ignore' to mean it."
        )


def _card(text: str, file: Path) -> dict[str, object]:
    try:
        said = loads(text)
    except ValueError as error:
        raise WeightsError(
            f"The card in {file.name} is not JSON ({error}). Mend it, or set card='ignore'."
        ) from None
    return said if isinstance(said, dict) else {}
