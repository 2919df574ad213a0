"""Where and how a model's tensors lie during training: device, number type of frozen weights, shards, compiled blocks."""

import math
from collections.abc import Iterable
from itertools import chain
from typing import Any, cast

import torch
from torch import Tensor, nn

from voxtune.config import TrainingSettings
from voxtune.errors import SettingError
from voxtune.model.vlm import VisionLanguageModel
from voxtune.training.ranks import Ranks


def place(model: VisionLanguageModel, settings: TrainingSettings, ranks: Ranks) -> VisionLanguageModel:
    """The model where it will be trained.

    The backbone's frozen weights are stored in bf16 on a GPU under ``bf16-mixed``: autocast would round them at every step anyway. With
    ``fsdp`` the blocks of both towers are shared out among the processes (FSDP2); prompts, heads and embeddings, which are
    small, lie on every one.
    """
    if settings.precision == "bf16-mixed" and ranks.device.type == "cuda":
        round_frozen(model)
    if settings.strategy == "fsdp" and ranks.count > 1:
        shard(model, ranks)
    model = model.to(ranks.device)
    if settings.compile:
        for block in _blocks(model):
            block.compile()
    return model


def round_frozen(model: VisionLanguageModel) -> None:
    """Store the frozen linear and convolution weights of the backbone in bf16: nearly all of it, in half the memory.

    They are what autocast multiplies in bf16; norms, embeddings, buffers and everything learned keep their type.
    """
    layers = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
    for layer in cast(nn.Module, model.backbone).modules():
        if isinstance(layer, layers):
            for value in layer.parameters(recurse=False):
                if not value.requires_grad and value.dtype == torch.float32:
                    value.data = value.data.to(torch.bfloat16)


def can_shard(device: torch.device) -> bool:
    """Whether this torch can share a model out on such a device: on processors not before its stand-in for streams is whole (2.6 fails)."""
    return device.type != "cpu" or hasattr(torch.cpu.Stream, "record_event")


def shard(model: VisionLanguageModel, ranks: Ranks) -> None:
    """Share out the blocks of both towers; each is gathered when it runs and let go after.

    Raises:
        SettingError: this torch cannot do it on processors.
    """
    if not can_shard(ranks.device):
        raise SettingError(
            "training.strategy",
            f"'ddp' on processors with torch {torch.__version__}, or a later torch",
            "fsdp",
        )
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(ranks.device.type, (ranks.count,))
    for block in _blocks(model):
        fully_shard(block, mesh=mesh)


def _blocks(model: VisionLanguageModel) -> Iterable[nn.Module]:
    return chain(model.vision.tower.blocks, model.text.tower.blocks)


def is_sharded(value: Tensor) -> bool:
    """Whether a tensor is one process's part of a larger one."""
    return hasattr(value, "placements")


def whole(value: Tensor) -> Tensor:
    """A tensor with the parts of all processes; every process must ask."""
    return cast(Tensor, cast(Any, value).full_tensor()) if is_sharded(value) else value


def like(value: Tensor, pattern: Tensor) -> Tensor:
    """A whole tensor as ``pattern`` lies: the own part of it where that is sharded."""
    if not is_sharded(pattern):
        return value.to(pattern.device)
    from torch.distributed.tensor import distribute_tensor

    mesh, placements = cast(Any, pattern).device_mesh, cast(Any, pattern).placements
    return distribute_tensor(value.to(mesh.device_type), mesh, placements)


def clip_gradients(parameters: Iterable[nn.Parameter], limit: float, ranks: Ranks) -> float:
    """Shorten the gradient of all parameters together to ``limit``; returns its norm before."""
    used = [value for value in parameters if value.grad is not None]
    if not any(is_sharded(value) for value in used):
        return float(torch.nn.utils.clip_grad_norm_(used, limit))
    grads = [cast(Tensor, value.grad) for value in used]
    square = torch.zeros(2, device=ranks.device)  # of whole gradients, of the own part of sharded ones
    for grad in grads:
        local = cast(Any, grad).to_local() if is_sharded(grad) else grad
        square[int(is_sharded(grad))] += local.square().sum()
    norm = math.sqrt(float(square[0] + ranks.gathered(square[1:]).sum()))
    if norm > limit:
        for grad in grads:
            grad.mul_(limit / (norm + 1e-6))
    return norm
