"""The process that opens a published pickle: tensors only, nothing else of it is ever built or run.

Started by ``voxtune weights convert`` as ``python -m voxtune.commands.weights.convert NAME FILE OUTPUT``; the last line it
prints is a JSON object, with ``error`` where it refused.
"""

import importlib
import json
import pickle
import re
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor

from voxtune.catalog import BACKBONES, load
from voxtune.errors import WeightsError
from voxtune.storage.read import OddFileError, whole_bytes
from voxtune.storage.strict_json import loads
from voxtune.storage.tensors import write_tensors
from voxtune.types.settings import Settings
from voxtune.weights.licences import stated_beside
from voxtune.weights.load import KeyRules, Plan, file_sha256, plan
from voxtune.weights.shapes import shapes_only

CONTAINERS = ("state_dict", "model_state_dict", "model", "module")
"""Where training checkpoints keep the state dict."""
CHOICES = ("variant", "part")
"""Settings that choose between published files of one model."""
LARGEST_CARD, MOST_HEADS = 2**20, 4096
"""Bytes of a ``config.json``; a number of heads in it that can be one."""


def read_tensors(file: Path) -> dict[str, Tensor]:
    """The state dict of a published file, mapped where the format allows.

    Raises:
        WeightsError: the file wants to run code, is cut short, or holds no state dict.
    """
    if file.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(file)
        except SafetensorError as error:
            raise WeightsError(f"not a whole safetensors file ({error}). Download it again.") from error
    found = _read_pickle(file)
    for container in CONTAINERS:
        if isinstance(found, Mapping) and isinstance(found.get(container), Mapping):
            found = found[container]
            break
    if not isinstance(found, Mapping):
        raise WeightsError(f"expected a state dict (names to tensors), got {type(found).__name__}.")
    tensors = {
        str(key).removeprefix("module."): value for key, value in found.items() if isinstance(value, Tensor)
    }
    if not tensors:
        raise WeightsError("holds no tensors by name: not a state dict.")
    return tensors


def _read_pickle(file: Path) -> object:
    try:
        return torch.load(file, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(file))
    except pickle.UnpicklingError as error:
        wanted = re.search(r"GLOBAL ([\w.]+)|Unsupported (?:global|class) ([\w.]+)", str(error))
        if wanted:
            raise WeightsError(
                f"refused: it asks to run or build {wanted[1] or wanted[2]}, which weights never need. Nothing was run."
            ) from error
        raise WeightsError(
            "refused: not a plain file of tensors, or cut short. Nothing was run. Download it again."
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, AttributeError) as error:
        # torch reports a damaged archive by any of these.
        raise WeightsError(
            f"cut short or damaged: not a whole file of tensors ({type(error).__name__}). Download it again."
        ) from error


def fit(name: str, shapes: Mapping[str, tuple[int, ...]]) -> tuple[Settings, dict[str, str], Plan, bool]:
    """The settings of a model that a file fits: published sizes first, then, by key names alone, other sizes.

    Returns:
        The settings, those of them that are not the default, the plan, and whether the sizes are the published ones.

    Raises:
        WeightsError: it fits none.
    """
    tried = [(settings, chosen, _plan(settings, chosen, shapes)) for settings, chosen in _candidates(name)]
    for settings, chosen, found in tried:
        if found.fits:
            return settings, chosen, found, True
    for settings, chosen, found in tried:
        if found.shaped and _same_names(found):
            return settings, chosen, found, False
    closest = max((found for _, _, found in tried), key=lambda found: len(found.places))
    raise WeightsError(closest.misfit(name))


def _candidates(name: str) -> Iterator[tuple[Any, dict[str, str]]]:
    settings = load(BACKBONES, name, "backbone")
    fields = [field for field in CHOICES if field in settings.model_fields]
    for values in product(*(get_args(settings.model_fields[field].annotation) for field in fields)):
        given = dict(zip(fields, values, strict=True))
        yield (
            settings(**given),
            {key: value for key, value in given.items() if value != settings.model_fields[key].default},
        )


def _plan(settings: Any, chosen: Mapping[str, str], shapes: Mapping[str, tuple[int, ...]]) -> Plan:
    with shapes_only():
        ours = settings.build().state_dict()
    return plan(
        shapes,
        {key: tuple(value.shape) for key, value in ours.items()},
        _rules(settings),
        part=chosen.get("part", "whole"),
    )


def _rules(settings: object) -> KeyRules:
    rules = importlib.import_module(type(settings).__module__).RULES
    assert isinstance(rules, KeyRules)
    return rules


def _same_names(found: Plan) -> bool:
    """Whether the file differs in numbers only: of layers, of channels."""

    def pattern(key: str) -> str:
        return re.sub(r"\d+", "#", key)

    known = {pattern(key) for key in found.places}
    return all(pattern(key) in known for key in (*found.missing, *found.unknown))


def convert(name: str, file: Path, output: Path) -> dict[str, Any]:
    """Write the tensors that a model reads, under their published names; what was done, for the record.

    Raises:
        WeightsError: the file is unsafe, damaged or another model's.
    """
    tensors = read_tensors(file)
    shapes = {key: tuple(value.shape) for key, value in tensors.items()}
    settings, chosen, found, published = fit(name, shapes)
    wanted = set(found.places.values()) if published else set(tensors) - set(found.dropped)
    kept = {key: value.contiguous() for key, value in tensors.items() if key in wanted}
    seen: Counter[int] = Counter(value.untyped_storage().data_ptr() for value in kept.values())
    kept = {
        key: value.clone() if seen[value.untyped_storage().data_ptr()] > 1 else value
        for key, value in kept.items()
    }
    card = _card(settings, file, published=published)
    licence = stated_beside(file)
    header = {"format": "pt", "model": name, "card": json.dumps(card)}
    write_tensors(output, kept, header if licence is None else header | {"licence": licence})
    return {
        "model": name,
        "source": file.name,
        "source_sha256": file_sha256(file),
        "sha256": file_sha256(output),
        "keys": len(kept),
        "parameters": sum(value.numel() for value in kept.values()),
        "dropped_keys": len(found.dropped),
        "dropped": dict(Counter(found.dropped.values())),
        "settings": chosen,
        "published_sizes": published,
        "also_fits": others(name, chosen, shapes) if published else [],
        "licence": licence,
    }


def others(
    name: str, chosen: Mapping[str, str], shapes: Mapping[str, tuple[int, ...]]
) -> list[dict[str, str]]:
    """Further choices whose files have the very same shapes: only the name of a file tells those apart."""
    return [
        other
        for settings, other in _candidates(name)
        if other != chosen and other.get("part") == chosen.get("part") and _plan(settings, other, shapes).fits
    ]


def _card(settings: Any, file: Path, *, published: bool) -> dict[str, int]:
    """Numbers of heads: of ``config.json`` beside the file where it has them, else the published ones."""
    card: dict[str, int] = settings.heads_card() if published else {}
    beside = file.with_name("config.json")
    if beside.is_file():
        said = _beside(beside)
        card |= {word: said[word] for word in settings.heads_card() if word in said}
    return card


def _beside(path: Path) -> dict[str, int]:
    """The counts in a ``config.json``.

    Raises:
        WeightsError: it is no JSON object; one that lies there and cannot be read is no sign that the published numbers hold.
    """
    try:
        said = loads(whole_bytes(path, LARGEST_CARD))
    except (OSError, ValueError, OddFileError) as error:
        raise WeightsError(
            f"{path.name}: not JSON ({type(error).__name__}). Correct it, or take it away."
        ) from None
    if not isinstance(said, dict):
        raise WeightsError(f"{path.name}: expected a JSON object. Correct it, or take it away.")
    return {word: one for word, one in said.items() if type(one) is int and 0 < one <= MOST_HEADS}


def main() -> None:
    """Convert by the command line's words and print the record."""
    name, file, output = sys.argv[1:]
    try:
        said = convert(name, Path(file), Path(output))
    except WeightsError as error:
        said = {"error": str(error)}
    sys.stdout.write(json.dumps(said) + "\n")


if __name__ == "__main__":
    main()
