"""A model made of shapes alone: on the meta device, without drawing a number that a file will replace."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

MAKERS = frozenset({torch.zeros, torch.ones, torch.randn})
"""What makes a tensor of a shape."""
FILLS = frozenset(
    {Tensor.normal_, Tensor.uniform_, nn.init.normal_, nn.init.uniform_, nn.init.kaiming_uniform_}
)
"""What writes numbers into the tensor it is given and returns it."""
SCALES = frozenset({Tensor.mul, Tensor.__mul__, Tensor.__rmul__})
"""What multiplies; by a number, a tensor of floats keeps its shape and type."""


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
        if func in MAKERS:
            return torch.empty(*args, **kwargs)
        if func in FILLS:
            return args[0] if args else kwargs["tensor"]
        if func in SCALES and args[0].is_floating_point() and isinstance(args[1], int | float):
            return args[0]
        return func(*args, **kwargs)


@contextlib.contextmanager
def shapes_only() -> Iterator[None]:
    """Modules made inside have parameters with shapes and types, and no storage."""
    with torch.device("meta"), _Unfilled():
        yield
