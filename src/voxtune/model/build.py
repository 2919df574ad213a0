"""From a configuration to a model: build and freeze the backbone, add the tokens of targets, attach the methods."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from voxtune.config import Aggregation, RunConfig
from voxtune.errors import SettingError, WeightsError
from voxtune.model.bridge import Bridge
from voxtune.model.device import placed
from voxtune.model.extra_tokens import ExtraTokens, normal_vectors
from voxtune.model.heads import Projection, TargetHead, Temperature
from voxtune.model.token_encoder import TokenEncoder
from voxtune.model.visits import VisitJoin, named
from voxtune.model.vlm import VisionLanguageModel
from voxtune.types.protocols import Backbone, TokenTower, is_feature_tower, is_sparse_tower, is_token_tower
from voxtune.types.settings import Settings
from voxtune.types.target import Target

BANK = "bank"
"""Name of the bank in an adapter's file."""
STANDARDISED = {part: f"image_projection.{part}" for part in ("mean", "deviation")}
"""What the image projection standardises with, where it does: parts of the layer and their names in an adapter's file."""


class Method(Protocol):
    """An adaptation method: a settings object that attaches itself to one side of a model."""

    def attach(self, model: VisionLanguageModel, encoder: TokenEncoder, generator: torch.Generator) -> None:
        """Add or un-freeze what it trains on that side; ``generator`` is the only source of randomness.

        Raises:
            SettingError: the method makes no sense on that side of that model.
        """
        ...


class BackboneSettings(Protocol):
    """Settings that build a backbone."""

    def build(self) -> Backbone:
        """The model with its weights, in eval mode."""
        ...


@dataclass(frozen=True)
class TargetScale:
    """Mean and sd of a target over the training scans that have one, in its own units."""

    mean: float = 0.0
    sd: float = 1.0


def build_model(
    config: RunConfig, *, backbone: Backbone | None = None, scales: Mapping[str, TargetScale] | None = None
) -> VisionLanguageModel:
    """The model a configuration describes; the same configuration and seed give the same parameters.

    Args:
        config: what to build.
        backbone: a backbone already in memory; otherwise it is built from the configuration.
        scales: of the targets by name; needed for training, restored by ``load_adapter_state`` otherwise.

    Raises:
        SettingError: a method that makes no sense on this backbone.
        WeightsError: the checkpoint does not fit.
    """
    backbone = backbone or cast(BackboneSettings, config.backbone).build()
    if config.aggregation.form == "tokens" and is_sparse_tower(backbone.vision):
        raise SettingError(
            "aggregation",
            f"'batch' or 'none': scans have different numbers of tokens in {backbone.name}",
            "tokens",
        )
    base_sha256 = fingerprint(cast(nn.Module, backbone))
    for parameter in cast(nn.Module, backbone).parameters():
        parameter.requires_grad_(False)  # noqa: FBT003
    loss = config.loss
    generator = torch.Generator().manual_seed(config.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)  # torch's own layer initialisers take no generator
        model = VisionLanguageModel(
            backbone,
            vision_tower(backbone.vision, bridged=needs_layers(config)),
            aggregation=config.aggregation,
            temperature=Temperature(
                loss.temperature,
                loss.temperature_low,
                loss.temperature_high,
                learned=loss.temperature_learned,
                log=loss.temperature_space == "log",
            ),
            temperature_form=loss.temperature_form,
            projections=config.projections == "trained",
        )
        model.base_sha256 = base_sha256
        model.chunk = config.training.chunk
        model.base_identity = identity(base_sha256, config.backbone)
        for target in config.targets:
            add_target(model, target, generator, (scales or {}).get(target.name, TargetScale()))
        for encoder, methods in ((model.vision, config.vision), (model.text, config.text)):
            for method in in_order(methods):
                cast(Method, method).attach(model, encoder, generator)
    if config.event is not None and config.event.visits > 1:
        model.visits = VisitJoin(backbone.embed_dim, config.event.visits)
    model.vision.checkpointing = model.text.checkpointing = config.training.checkpointing
    for part in cast(nn.Module, backbone).modules():
        if hasattr(
            part, "checkpointing"
        ):  # towers whose layers run inside ``features`` recompute them themselves
            part.checkpointing = config.training.checkpointing  # type: ignore[assignment]  # a flag, no submodule
    return model.eval()


def in_order(methods: Sequence[Settings]) -> list[Settings]:
    """Methods as they are attached: what changes how the base reads a scan first, the others as they stand."""
    return sorted(methods, key=lambda method: not getattr(method, "changes_base", False))


def frozen_base(config: RunConfig, backbone: Backbone | None = None) -> VisionLanguageModel:
    """The base of a configuration with nothing learned around it: what zero-shot and the linear probe stand on; ``backbone`` as in ``build_model``."""
    kept = tuple(method for method in config.vision if getattr(method, "changes_base", False))
    bare = {"vision": kept, "text": (), "projections": "frozen"}
    plain = config.model_copy(
        update=bare | {"targets": (), "event": None, "aggregation": Aggregation(form="none")}
    )
    return placed(build_model(plain, backbone=backbone))


def fingerprint(backbone: nn.Module) -> str:
    """The sha256 of a backbone's tensors (name, type, shape, values), whatever file they came in.

    A backbone on torch's meta device has shapes alone: enough to count parameters, and its fingerprint is empty.
    """
    if any(value.is_meta for value in backbone.state_dict().values()):
        return ""
    digest = hashlib.sha256()
    for name, value in sorted(backbone.state_dict().items()):
        plain = value.detach().cpu().contiguous()
        digest.update(f"{name}|{plain.dtype}|{tuple(plain.shape)}|".encode())
        digest.update(plain.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def identity(base_sha256: str, settings: Settings) -> str:
    """The sha256 of what decides a frozen backbone's output: its tensors and its settings, not the places of its files."""
    chosen = {
        name: value
        for name, value in settings.model_dump().items()
        if value is not None and not isinstance(value, Path)
    }
    return hashlib.sha256(f"{base_sha256}|{type(settings).__name__}|{chosen}".encode()).hexdigest()


def vision_tower(tower: nn.Module, *, bridged: bool) -> TokenTower:
    """The vision side as a token tower: itself, or a bridge over the feature map of a convolutional one.

    Raises:
        SettingError: the tower is neither.
    """
    if is_token_tower(tower):
        return tower
    if is_feature_tower(tower):
        return Bridge(tower, depth=2 if bridged else 0)
    raise SettingError("backbone", "a vision tower with tokens or a feature map", type(tower).__name__)


def needs_layers(config: RunConfig) -> bool:
    """Whether something travels through the layers of the vision tower, so that a convolutional one needs a bridge."""
    return bool(config.targets) or any(getattr(method, "needs_layers", False) for method in config.vision)


def add_target(
    model: VisionLanguageModel, target: Target, generator: torch.Generator, scale: TargetScale
) -> None:
    """One learned vector carried through all layers, and its head (Eq. 3 and 5)."""
    width = model.vision.width
    tokens = ExtraTokens(target.key, normal_vectors(1, 1, width, target.init_std, generator))
    mean, sd = (scale.mean, scale.sd) if target.scale == "standardised" else (0.0, 1.0)
    hidden = max(1, round(width * target.hidden_ratio))
    model.add_target(target, tokens, TargetHead(width, hidden, mean, sd, low=target.low, high=target.high))


def adapter_state(model: VisionLanguageModel) -> dict[str, Tensor]:
    """What the adapter is: every trained parameter, and the buffers of our own layers (scales of targets and of vectors, the bank)."""
    state = {name: _whole(value.detach()) for name, value in model.named_parameters() if value.requires_grad}
    state |= _scales(model) | dict(named(model.visits)) | ({BANK: model.bank} if model.uses_bank else {})
    if isinstance(model.image_projection, Projection) and model.image_projection.standardises:
        state |= {name: getattr(model.image_projection, part) for part, name in STANDARDISED.items()}
    return {name: value.cpu().contiguous() for name, value in sorted(state.items())}


def _scales(model: VisionLanguageModel) -> dict[str, Tensor]:
    return {
        f"{target.key}_head.{name}": value
        for target in model.targets
        for name, value in model.head(target).named_buffers()
    }


def _whole(value: Tensor) -> Tensor:
    """A tensor shared out among processes (FSDP) with all its parts, which every process must ask for; any other as it is."""
    return cast(Tensor, cast(Any, value).full_tensor()) if hasattr(value, "full_tensor") else value


def load_adapter_state(model: VisionLanguageModel, state: dict[str, Tensor]) -> None:
    """Put an adapter's tensors into the model built from its configuration.

    Raises:
        WeightsError: a tensor is missing, unknown or of another shape; all of them are listed.
    """
    places: dict[str, Tensor] = {
        name: value for name, value in model.named_parameters() if value.requires_grad
    }
    places |= _scales(model) | dict(named(model.visits))
    if model.uses_bank:  # as many vectors as training had classes with enough people
        model.bank = model.bank.new_zeros(state.get(BANK, model.bank).shape[:1] + model.bank.shape[1:])
        places[BANK] = model.bank
    projection = model.image_projection
    if isinstance(projection, Projection) and state.keys() & set(STANDARDISED.values()):
        width = model.backbone.embed_dim
        projection.standardise(torch.zeros(width), torch.ones(width))
        places |= {name: getattr(projection, part) for part, name in STANDARDISED.items()}
    problems = [f"missing {name}" for name in sorted(places.keys() - state.keys())]
    problems += [f"unknown {name}" for name in sorted(state.keys() - places.keys())]
    problems += [
        f"{name}: expected {tuple(places[name].shape)}, got {tuple(state[name].shape)}"
        for name in sorted(places.keys() & state.keys())
        if places[name].shape != state[name].shape
    ]
    if problems:
        raise WeightsError(
            f"The adapter does not fit the model of its configuration: {'; '.join(problems[:8])}."
        )
    with torch.no_grad():
        for name, place in places.items():
            place.copy_(state[name])
