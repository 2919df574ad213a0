"""Layers swapped inside a frozen tower by Hugging Face peft (the second seam): which layers, how, and back to plain ones."""

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import torch
from pydantic import BeforeValidator
from torch import Tensor, nn

from voxtune.errors import SettingError, UsageError
from voxtune.model.build import fingerprint
from voxtune.model.token_encoder import TokenEncoder
from voxtune.model.vlm import VisionLanguageModel
from voxtune.run_dir import write_bytes, write_json

if TYPE_CHECKING:
    from peft import PeftConfig

Targets = Annotated[
    tuple[str, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)
]
"""Names of layers; a single one may stand alone."""
ADAPTER = "default"
"""The name peft gives an adapter in its parameters."""


def side_of(model: VisionLanguageModel, encoder: TokenEncoder) -> str:
    """``vision`` or ``text``: which side of the model an encoder is."""
    return "vision" if encoder is model.vision else "text"


def frozen_tower(model: VisionLanguageModel, encoder: TokenEncoder) -> nn.Module:
    """The backbone's own tower of that side (without the bridge that a convolutional one may stand under)."""
    tower = model.backbone.vision if encoder is model.vision else model.backbone.text
    assert isinstance(tower, nn.Module)
    return tower


def is_adaptable(module: nn.Module) -> bool:
    """Whether a layer is a matrix: a linear, or a convolution without groups."""
    return isinstance(module, nn.Linear) or (
        isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d) and module.groups == 1
    )


def is_pointwise(module: nn.Module) -> bool:
    """Whether a layer maps every place by itself: a linear, or a convolution of kernel 1."""
    return is_adaptable(module) and (isinstance(module, nn.Linear) or set(module.kernel_size) == {1})  # type: ignore[arg-type]


def default_targets(tower: nn.Module) -> list[str]:
    """The linears inside the tower's attention layers; of a convolutional tower, every linear and 1x1 convolution.

    An attention layer is a module whose class is called so, whatever its linears are called (qkv, to_q, query, q_lin, ...).
    """
    attentions = [
        name for name, module in tower.named_modules() if "attention" in type(module).__name__.lower()
    ]
    found = [
        name
        for name, module in tower.named_modules()
        if isinstance(module, nn.Linear) and any(name.startswith(f"{one}.") for one in attentions)
    ]
    found = found or [name for name, module in tower.named_modules() if is_pointwise(module)]
    return [name for name in found if not is_unread(tower, name)]


def is_unread(tower: nn.Module, name: str) -> bool:
    """Whether a part is only kept because the published file has it: ``unread`` of a tower names what its read-out never calls."""
    return name.startswith(tuple(f"{one}." for one in getattr(tower, "unread", ())))


def chosen_targets(tower: nn.Module, targets: tuple[str, ...], side: str) -> list[str]:
    """The layers that ``targets`` name: each is the end of a dotted name (``attn.qkv``, ``query``) or a regular expression of a whole one.

    Raises:
        SettingError: an entry names no linear and no convolution of the tower.
    """
    if not targets:
        return default_targets(tower)
    layers = [name for name, module in tower.named_modules() if is_adaptable(module)]
    found: list[str] = []
    for target in targets:
        try:
            hits = [n for n in layers if f".{n}".endswith(f".{target}") or re.fullmatch(target, n)]
        except re.error as error:
            raise SettingError(
                f"{side}.targets", f"a name or a regular expression ({error})", target
            ) from None
        if not hits:
            ends = sorted({re.sub(r"^.*\.\d+\.", "", name) for name in layers})
            raise SettingError(f"{side}.targets", f"the end of a layer's name ({', '.join(ends)})", target)
        found += hits
    return [name for name in layers if name in set(found)]


def inject(
    model: VisionLanguageModel, encoder: TokenEncoder, config: "PeftConfig", generator: torch.Generator
) -> None:
    """Swap the layers that ``config.target_modules`` names in the tower of that side; only the new parameters are trained by it.

    Raises:
        SettingError: the tower has swapped layers already.
    """
    from peft import inject_adapter_in_model

    side, tower = side_of(model, encoder), frozen_tower(model, encoder)
    if hasattr(tower, "peft_config"):
        raise SettingError(side, "one of lora and ia3 on a tower", "a second one")
    wanted = set(config.target_modules)
    before = {id(value): value.requires_grad for value in tower.parameters()}
    with torch.random.fork_rng(devices=[]):  # peft's own initialisers take no generator
        inject_adapter_in_model(config, tower)
    swapped = dict(swapped_layers(tower))
    assert set(swapped) == wanted, f"peft swapped {sorted(set(swapped) ^ wanted)} otherwise than asked"
    for value in tower.parameters():  # peft freezes all the rest, also what another method trains
        value.requires_grad_(before.get(id(value), True))
    for layer in swapped.values():
        _start(layer, generator)
        model.awake.append(layer)


def swapped_layers(tower: nn.Module) -> Iterator[tuple[str, Any]]:
    """The layers that peft swapped, by name."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for name, module in tower.named_modules():
        if isinstance(module, BaseTunerLayer):
            yield name, module


def _start(layer: Any, generator: torch.Generator) -> None:
    """Draw A of a LoRA layer from the run's own generator, as peft draws it: uniform in +-1 / sqrt(inputs); B stays zero."""
    if not hasattr(layer, "lora_A"):
        return
    weight: Tensor = layer.lora_A[ADAPTER].weight
    if weight.device.type == "meta":
        return
    bound = weight[0].numel() ** -0.5
    with torch.no_grad():
        weight.copy_(torch.empty(weight.shape).uniform_(-bound, bound, generator=generator))


def merge(model: VisionLanguageModel) -> int:
    """Fold every swapped layer into the layer it stands for, in place; how many there were.

    Afterwards the backbone has its published names again and computes what base and adapter computed together: it is another base,
    with a fingerprint of its own.
    """
    count = 0
    for side in ("vision", "text"):
        tower = getattr(model.backbone, side)
        for name, layer in list(swapped_layers(tower)):
            if hasattr(layer, "lora_A"):
                # peft 0.21 takes a 1x1x1 Conv3d for a 1x1 Conv2d here and fails (its issue 3768)
                layer.get_delta_weight = partial(_update, layer)
            layer.merge(safe_merge=True)
            parent, _, leaf = name.rpartition(".")
            plain = layer.get_base_layer()
            plain.requires_grad_(requires_grad=False)
            setattr(tower.get_submodule(parent), leaf, plain)
            count += 1
        if hasattr(tower, "peft_config"):
            del tower.peft_config
    model.awake.clear()
    if count:
        model.base_sha256 = fingerprint(cast(nn.Module, model.backbone))
        model.base_identity = f"{model.base_identity}|{model.base_sha256}"
    return count


def _update(layer: Any, adapter: str) -> Tensor:
    """The product B A, scaled, in the shape of the layer's weight, whatever its kind and kernel."""
    a, b = layer.lora_A[adapter].weight, layer.lora_B[adapter].weight
    product = b.flatten(1) @ a.flatten(1)
    scaled: Tensor = product.reshape(layer.get_base_layer().weight.shape) * layer.scaling[adapter]
    return scaled


def write_peft(model: VisionLanguageModel, folder: Path, base: str = "") -> int:
    """Write the swapped layers as peft stores an adapter, to be read by ``PeftModel.from_pretrained(backbone, folder)``.

    Names are those of the backbone (``vision.blocks.0...``); both sides share one file. Prompts, heads and projections are no
    peft adapter and stay out.

    Args:
        model: with at least one swapped layer.
        folder: gets ``adapter_config.json`` and ``adapter_model.safetensors``.
        base: name of the base, for ``base_model_name_or_path``.

    Returns:
        The number of tensors written.

    Raises:
        UsageError: nothing to write, or the two sides are of kinds that one file cannot hold.
    """
    from safetensors.torch import save

    sides = {side: getattr(model.backbone, side) for side in ("vision", "text")}
    configs = {s: t.peft_config[ADAPTER] for s, t in sides.items() if hasattr(t, "peft_config")}
    if not configs:
        raise UsageError("This adapter has no LoRA or IA3 part, so there is nothing that peft could read.")
    common = [_common(one) for one in configs.values()]
    if any(one != common[0] for one in common):
        raise UsageError("Vision and text use different kinds of LoRA; one peft file cannot hold both.")
    tree: dict[str, Any] = dict(common[0])
    tree["target_modules"] = [f"{s}.{name}" for s in configs for name, _ in swapped_layers(sides[s])]
    tree["base_model_name_or_path"] = base
    tree["inference_mode"] = True
    if tree["peft_type"] == "LORA":
        first = next(iter(configs.values()))
        tree |= {"r": first.r, "lora_alpha": first.lora_alpha}
        tree["rank_pattern"] = {rf"{side}\..*": one.r for side, one in configs.items()}
        tree["alpha_pattern"] = {rf"{side}\..*": one.lora_alpha for side, one in configs.items()}
    state = {
        f"base_model.model.{side}.{_stored(name)}": value.detach().cpu().contiguous()
        for side in configs
        for name, value in sides[side].named_parameters()
        if f".{ADAPTER}" in name
    }
    data = save(state, metadata={"format": "pt"})
    write_bytes(folder / "adapter_model.safetensors", data, shared=True)
    write_json(folder / "adapter_config.json", tree, shared=True)
    return len(state)


def _common(config: "PeftConfig") -> dict[str, Any]:
    """The settings that both sides must share, as JSON holds them."""
    varying = ("target_modules", "r", "lora_alpha", "lora_dropout", "rank_pattern", "alpha_pattern")
    tree = {
        key: sorted(value) if isinstance(value, set) else value
        for key, value in config.to_dict().items()
        if key not in varying
    }
    found: dict[str, Any] = json.loads(json.dumps(tree))
    return found


def _stored(name: str) -> str:
    """A parameter's name without the adapter's; of DoRA's magnitude peft drops the last part too."""
    if name.endswith(f"lora_magnitude_vector.{ADAPTER}.weight"):
        return name.removesuffix(f".{ADAPTER}.weight")
    return name.replace(f".{ADAPTER}", "")
