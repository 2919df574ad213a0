"""A model made of shapes alone: on the meta device, without drawing a number that a file will replace."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

FILLS = frozenset(
    {Tensor.normal_, Tensor.uniform_, nn.init.normal_, nn.init.uniform_, nn.init.kaiming_uniform_}
)
SCALES = frozenset({Tensor.mul, Tensor.__mul__, Tensor.__rmul__})


class _Unfilled(TorchFunctionMode):
    """Draws and scalings of tensors without storage give the shape and nothing else.

    On the meta device torch would do them by its symbolic machinery, whose import takes longer than a small model's forward pass.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func is torch.randn:
            return torch.empty(*args, **kwargs)
        if func in FILLS or (func in SCALES and not isinstance(args[1], Tensor)):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


@contextlib.contextmanager
def shapes_only() -> Iterator[None]:
    """Modules made inside have parameters with shapes and types, and no storage."""
    with torch.device("meta"), _Unfilled():
        yield
