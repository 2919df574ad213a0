"""Queries, keys, values and what attention makes of them in the last block of a tower, whatever its class.

Every token tower here attends through ``scaled_dot_product_attention``, so one function mode sees them all, with extra
tokens, LoRA layers and masks as the model itself uses them.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

Heads = Literal["model", "one"]
"""``model``: attention as the model computes it. ``one``: one head of full width, as Grad-ECLIP's published code has it."""


@dataclass(frozen=True)
class Attended:
    """One attention: queries, keys, values and its output before the output projection (B, T, width), heads side by side."""

    queries: Tensor
    keys: Tensor
    values: Tensor
    output: Tensor


@dataclass
class Captured:
    """What the block attended to, filled while the model runs."""

    calls: list[Attended] = field(default_factory=list)

    @property
    def attended(self) -> Attended:
        """The block's last attention."""
        return self.calls[-1]


class _Watch(TorchFunctionMode):
    """Keeps the attentions made while ``watching``; the output it hands on is on the path of the gradient."""

    def __init__(self, captured: Captured, heads: Heads) -> None:
        super().__init__()
        self.captured, self.heads = captured, heads
        self.watching = False

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = dict(kwargs or {})
        if func is not F.scaled_dot_product_attention or not self.watching:
            return func(*args, **named)
        query, key, value = (
            args[place] if place < len(args) else named[name]
            for place, name in enumerate(("query", "key", "value"))
        )
        q, k, v = _merged(query), _merged(key), _merged(value)
        if self.heads != "model":
            mask = args[3] if len(args) > 3 else named.get("attn_mask")
            mask = mask[:, :1] if isinstance(mask, Tensor) and mask.ndim == 4 else mask
            wide = F.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None], attn_mask=mask)[:, 0]
        else:
            wide = _merged(func(*args, **named))
        self.captured.calls.append(Attended(q, k, v, wide))
        return wide.reshape(*wide.shape[:2], query.shape[1], -1).transpose(1, 2)


def _merged(split: Tensor) -> Tensor:
    """(B, heads, T, width / heads) to (B, T, width)."""
    return split.transpose(1, 2).flatten(2)


@contextmanager
def last_attention(block: nn.Module, heads: Heads = "model") -> Iterator[Captured]:
    """Watch one block while the model runs; the graph of the gradient begins at its input, so memory is one block's.

    Only this thread's forwards are watched: others may use the model meanwhile.
    """
    captured, thread = Captured(), threading.get_ident()
    watch = _Watch(captured, heads)

    def before(_: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if threading.get_ident() != thread:
            return None
        watch.watching = True
        torch.set_grad_enabled(True)
        return (inputs[0].detach().requires_grad_(), *inputs[1:])

    def after(_module: nn.Module, _inputs: tuple[Any, ...], _output: Any) -> None:
        if threading.get_ident() == thread:
            watch.watching = False

    handles = [block.register_forward_pre_hook(before), block.register_forward_hook(after)]
    try:
        with torch.no_grad(), watch:
            yield captured
    finally:
        for handle in handles:
            handle.remove()
