"""Which trained parameters a loss can reach, found before the first step by a forward of one scan.

A softmax over a single thing is 1 whatever it is given: attention with one key, a loss over a batch of one. What leads to it alone
has no gradient in truth, but in floating point some kernels leave a little rounding noise there, by which an optimiser that divides
by the size of gradients would walk at random. So it is told from the graph, not from the size of gradients: where a softmax is
over a single thing its result is put in without one.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from voxtune.model.vlm import ClassTokens, VisionLanguageModel
from voxtune.training.devices import is_sharded
from voxtune.training.step import Share, StepSettings, encode, encode_classes, loss_of


@dataclass(frozen=True)
class Unreached:
    """Trained parameters that no gradient can reach, and how many attentions had a single key to look at."""

    names: tuple[str, ...] = ()
    single: int = 0
    untold: tuple[str, ...] = ()
    """Trained parameters of which each process holds a part: the graph is of the whole ones and cannot tell."""
    replaced: int = 0
    """Softmaxes over a single thing through which a gradient would have gone, attentions among them."""

    @property
    def doubts(self) -> list[str]:
        """What a person should know though nothing is refused, a sentence each."""
        if self.names or not self.replaced:
            return []
        found = f"{self.replaced} softmaxes of the model are over a single thing here (one key, one text, one scan)"
        if self.untold:
            return [
                f"{found}, and {len(self.untold)} trained parameters are spread over processes: whether a gradient can reach each of them "
                "is not told; train on one device to be sure."
            ]
        return [
            f"{found}: what is asked there makes no difference. Every trained matrix is reached by another way, but the parts of it "
            "that make those queries and keys learn nothing from them."
        ]


def unreached(
    model: VisionLanguageModel,
    trained: Mapping[str, nn.Parameter],
    share: Share,
    classes: ClassTokens | None,
    settings: StepSettings,
) -> Unreached:
    """What the loss of this batch cannot reach at the sizes at hand; draws no random number that a step would draw.

    Args:
        model: in training mode.
        trained: parameters by name.
        share: the first batch of a run; in the towers its first scan stands for all.
        classes: as a step takes them.
        settings: of the run.
    """
    with torch.enable_grad(), _interpreted(model), OfOne() as watch:
        own = encode(model, share, slice(0, 1), settings, seed=0)
        sets = None if classes is None else encode_classes(model, classes, settings)
        count = len(share.facts.scan_ids)
        whole = {name: value.expand(count, *value.shape[1:]) for name, value in own.items()}
        loss, _ = loss_of(model, share, whole, sets, settings)
        reached = set(map(id, leaves(loss)))
    untold = tuple(name for name, value in trained.items() if is_sharded(value))
    dead = [name for name, value in trained.items() if id(value) not in reached and name not in untold]
    return Unreached(tuple(dead), watch.single, untold, watch.replaced)


@dataclass
class OfOne(TorchFunctionMode):
    """Puts the result of every softmax over a single thing in its place: attention gives its one value, a probability is 1."""

    single: int = field(default=0, init=False)
    """Attentions met in which no query has more than one key."""
    replaced: int = field(default=0, init=False)
    """Softmaxes met over a single thing that has a gradient, those of attentions among them."""

    def __post_init__(self) -> None:
        super().__init__()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Torch's own result, but for a softmax over one."""
        named = dict(kwargs or {})
        if func is F.scaled_dot_product_attention:
            mask = args[3] if len(args) > 3 else named.get("attn_mask")
            chosen = _only_keys(args[0], args[1], mask)
            if chosen is not None:
                self.single += 1
                self.replaced += args[0].requires_grad or args[1].requires_grad
                return chosen.to(args[2].dtype) @ args[2]
        elif func in _OVER_ONE and args[0].shape[_axis(args, named)] == 1:
            self.replaced += args[0].requires_grad
            return _OVER_ONE[func](args[0])
        elif func is F.cross_entropy and args[0].shape[1] == 1:
            self.replaced += args[0].requires_grad
            return args[0].new_zeros(())
        return func(*args, **named)


_OVER_ONE: Mapping[Any, Callable[[Tensor], Tensor]] = {
    torch.softmax: torch.ones_like,
    F.softmax: torch.ones_like,
    Tensor.softmax: torch.ones_like,
    torch.log_softmax: torch.zeros_like,
    F.log_softmax: torch.zeros_like,
    Tensor.log_softmax: torch.zeros_like,
}


def _axis(args: Sequence[Any], named: Mapping[str, Any]) -> int:
    return int(args[1] if len(args) > 1 else named["dim"])


def _only_keys(query: Tensor, key: Tensor, mask: Tensor | None) -> Tensor | None:
    """Which key each query may look at, as zeros and ones (..., T, S), where none has a choice; ``None`` where one has."""
    if mask is None:
        if key.shape[-2] > 1:
            return None
        return query.new_ones(*query.shape[:-1], 1)
    allowed = mask if mask.dtype == torch.bool else ~mask.detach().isneginf()
    allowed = allowed.expand(*query.shape[:-1], key.shape[-2])
    return allowed if bool((allowed.sum(dim=-1) <= 1).all()) else None


def leaves(result: Tensor) -> Iterator[Tensor]:
    """The tensors that a result's gradient flows to."""
    seen: set[Any] = set()
    left = [result.grad_fn]
    while left:
        node = left.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        variable = getattr(node, "variable", None)
        if variable is not None:
            yield variable
        left += [one for one, _ in node.next_functions]


def _interpreted(model: nn.Module) -> AbstractContextManager[Any]:
    """Blocks that will be compiled run as they are written: a compiler would keep what it sees here."""
    compiled = any(getattr(part, "_compiled_call_impl", None) is not None for part in model.modules())
    stance: Any = torch.compiler.set_stance if compiled else None
    return stance("force_eager") if compiled else nullcontext()
