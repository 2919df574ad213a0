"""Which published weights are on this machine: found by name, checked by their headers, never loaded."""

import hashlib
import importlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voxtune.catalog import BACKBONES
from voxtune.config import RunConfig
from voxtune.errors import UsageError, WeightsError
from voxtune.storage.strict_json import loads
from voxtune.types.settings import Settings
from voxtune.weights.published import PUBLISHED

TOKENIZER_FILES = ("tokenizer.json", "vocab.txt", "vocab.json")
SHIPPED = ("tiny", "tiny_untaught", "ct_clip_small")
"""Backbones whose weights come with VoxTune."""
WHOLE, EDGE = 1 << 20, 1 << 16
_HEADER_LIMIT = 100 << 20


@dataclass(frozen=True)
class Found:
    """What this machine has of one backbone."""

    name: str
    file: Path | None = None
    settings: Mapping[str, Any] | None = None
    """Of the backbone, beyond the published defaults (from the record that ``voxtune weights convert`` wrote)."""
    preset: str | None = None
    fingerprint: str = ""
    gigabytes: float = 0.0
    parameters: int = 0
    """Of the vision tower; texts cost little beside volumes."""
    problem: str = ""
    """Why it cannot be used; empty where it can."""
    advice: str = ""
    """How to get it, or what else it needs."""

    @property
    def ready(self) -> bool:
        """Whether weights that fit are here."""
        return not self.problem


def find_weights(name: str, home: Path) -> Found:
    """Look for the weights of a backbone in ``HOME/weights/NAME``, as ``voxtune weights convert`` leaves them there.

    Only the header of the file is read: names, types and shapes of its tensors.
    """
    if name in SHIPPED:
        return Found(name)
    published = PUBLISHED.get(name)
    file = _file(name, home)
    if file is None:
        steps = published.steps(name) if published else ""
        return Found(name, problem="its weights are not on this machine", advice=steps)
    try:
        shapes = read_header(file)
        record = _record(file)
        settings = record.get("settings", {})
        _check(name, shapes, settings)
    except (WeightsError, UsageError) as error:
        return Found(name, file, problem=str(error), advice=published.steps(name) if published else "")
    advice = ""
    if not any((file.parent / one).is_file() for one in TOKENIZER_FILES):
        advice = f"its tokenizer is still needed: put tokenizer.json, vocab.txt or vocab.json with merges.txt beside {file.name}"
    return Found(
        name,
        file,
        settings,
        record.get("preset"),
        fingerprint(file),
        file.stat().st_size / 1e9,
        sum(math.prod(shape) for key, shape in shapes.items() if "vis" in key),
        advice=advice,
    )


def _file(name: str, home: Path) -> Path | None:
    folder = home / "weights" / name
    usual = folder / f"{name}.safetensors"
    others = sorted(path for path in folder.glob("*.safetensors") if not path.stem.startswith("text"))
    return usual if usual.is_file() else next(iter(others), None)


def _record(file: Path) -> dict[str, Any]:
    path = file.with_suffix(".json")
    try:
        said = loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"{path.name}: not a record of converted weights ({type(error).__name__})."
        ) from None
    return said if isinstance(said, dict) else {}


def read_header(file: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a safetensors file from its header alone, with the file's size checked against it.

    Raises:
        WeightsError: not a safetensors file, or cut short.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if not 2 <= length <= min(size - 8, _HEADER_LIMIT):
            raise WeightsError(f"{file.name}: not a whole safetensors file. Download or convert it again.")
        try:
            header = loads(stream.read(length))
            tensors = {key: one for key, one in header.items() if key != "__metadata__"}
            end = max((int(one["data_offsets"][1]) for one in tensors.values()), default=0)
            shapes = {key: tuple(int(n) for n in one["shape"]) for key, one in tensors.items()}
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            raise WeightsError(
                f"{file.name}: its header is not that of a safetensors file. Download or convert it again."
            ) from None
    if size < 8 + length + end:
        raise WeightsError(
            f"{file.name}: cut short ({size} of {8 + length + end} bytes). Download or convert it again."
        )
    return shapes


def fingerprint(file: Path) -> str:
    """A digest of a weights file that costs no reading of gigabytes: its size, its header's beginning, its ends and middle."""
    size = file.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with file.open("rb") as stream:
        if size <= WHOLE:
            digest.update(stream.read())
        else:
            for place in (0, size // 3, size // 2, 2 * size // 3, size - EDGE):
                stream.seek(place)
                digest.update(stream.read(EDGE))
    return digest.hexdigest()[:16]


def _check(name: str, shapes: Mapping[str, tuple[int, ...]], settings: Mapping[str, Any]) -> None:
    """Whether names and shapes are those of the model, which is built without storage for it."""
    from voxtune.backbones.load import load_backbone
    from voxtune.weights.plan import KeyRules, plan
    from voxtune.weights.shapes import shapes_only

    with shapes_only():
        model: Any = load_backbone(name, **settings)
    ours = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    rules = importlib.import_module(BACKBONES[name].partition(":")[0]).RULES
    assert isinstance(rules, KeyRules)
    found = plan(shapes, ours, rules, part=settings.get("part", "whole"))
    if not found.fits:
        raise WeightsError(f"{name}: {found.misfit(name)}")


def with_weights(config: RunConfig, found: Found, home: Path) -> RunConfig:
    """A row's configuration on the weights of this machine."""
    if found.file is None:
        return config
    update: dict[str, Any] = {"weights": found.file, **(found.settings or {})}
    fields = type(config.backbone).model_fields
    if any((found.file.parent / one).is_file() for one in TOKENIZER_FILES):
        update["tokenizer"] = found.file.parent
    if "text_weights" in fields:
        update["text_weights"] = next(
            iter(
                sorted(
                    [
                        *found.file.parent.glob("text*.safetensors"),
                        *(home / "weights" / "bert").glob("*.safetensors"),
                    ]
                )
            ),
            None,
        )
    tree = config.backbone.model_dump() | update
    backbone: Settings = type(config.backbone).model_validate(tree)
    return config.model_copy(update={"backbone": backbone, "preset": found.preset or config.preset})
