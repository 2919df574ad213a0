"""A frozen token tower with extra tokens carried through its layers (Eq. 1-3 and 6 of DEFT)."""

from typing import cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from voxtune.errors import SettingError
from voxtune.model.between_layers import BetweenLayers
from voxtune.model.extra_tokens import PROMPT, ExtraTokens
from voxtune.types.protocols import TokenTower, is_lead_tower, is_sparse_tower
from voxtune.types.tensors import TokenFeatures
from voxtune.weights.memory import aligned


class TokenEncoder(nn.Module):
    """Runs a tower's blocks over [lead, extra tokens, body]; without extra tokens it computes what the tower computes.

    The extra tokens have no position embedding and are never masked. Deep ones are replaced before every layer by that
    layer's own vectors; carried ones enter before the first.
    """

    def __init__(self, tower: TokenTower) -> None:
        super().__init__()
        self.tower = tower
        self.extra = nn.ModuleDict()
        self.between = nn.ModuleDict()
        """Learned layers that stand between the tower's own, by the name of their method."""
        self.lead_shift: nn.Parameter | None
        """Learned and added to the lead tokens (lead, width) as they enter the first layer; ``None``: they are as frozen."""
        self.register_parameter("lead_shift", None)
        self.checkpointing = False

    @property
    def width(self) -> int:
        """Features of a token."""
        return self.tower.width

    @property
    def depth(self) -> int:
        """Layers of the tower."""
        return len(self.tower.blocks)

    @property
    def frozen(self) -> bool:
        """Whether nothing here is trained: then a scan or a text always gives the same tokens."""
        return not any(value.requires_grad for value in self.parameters())

    @property
    def stem_frozen(self) -> bool:
        """Whether nothing trained reaches into ``embed``: then what it gives may be kept."""
        own = {id(value) for value in self.tower.blocks.parameters()}
        tower = cast(nn.Module, self.tower)
        return not any(value.requires_grad and id(value) not in own for value in tower.parameters())

    def insert(self, name: str, layers: BetweenLayers) -> None:
        """Let learned layers stand between the tower's own.

        Raises:
            SettingError: a method of that name is there already.
        """
        if name in self.between:
            raise SettingError(name, "one method of a name on a tower", "a second one")
        self.between[name] = layers

    def add(self, tokens: ExtraTokens) -> None:
        """Let extra tokens travel with the sequence.

        Raises:
            SettingError: tokens of that name are there already, or are made for another width or depth.
        """
        if tokens.name in self.extra:
            raise SettingError(tokens.name, "one set of extra tokens of a name on a tower", "a second one")
        layers, _, width = tokens.vectors.shape
        if width != self.width or layers not in {1, self.depth}:
            raise SettingError(
                tokens.name,
                f"vectors of width {self.width} for 1 or {self.depth} layers",
                tuple(tokens.vectors.shape),
            )
        self.extra[tokens.name] = tokens

    def sets(self) -> list[ExtraTokens]:
        """The extra tokens in the order of the sequence: as they were added, prompts last."""
        found = sorted(self.extra.items(), key=lambda entry: entry[0] == PROMPT)
        return [one for _, one in found if isinstance(one, ExtraTokens)]

    def embed(self, inputs: Tensor) -> Float[Tensor, "B T D"]:
        """The tower's own sequence before its first block; nothing trained reaches into it unless the tower itself is trained."""
        return self.tower.embed(aligned(inputs))

    def forward(
        self, inputs: Tensor, mask: Bool[Tensor, "B T"] | None = None, *, body: bool = True
    ) -> TokenFeatures:
        """Volumes (B, C, X, Y, Z) or token ids (B, L) to finished tokens, the extra ones apart; ``body`` as in ``run``."""
        return self.run(self.embed(inputs), mask, body=body)

    def run(
        self, embedded: Float[Tensor, "B T D"], mask: Bool[Tensor, "B T"] | None = None, *, body: bool = True
    ) -> TokenFeatures:
        """From the embedded sequence on: insert the extra tokens, pass every block and what stands between, take them out again.

        Args:
            embedded: what ``embed`` made.
            mask: True where a token is real.
            body: whether anything reads the finished tokens behind the lead and the extra ones. If not, they may be missing:
                a tower that can leaves them out of its last block.
        """
        lead, sets, count = self.tower.lead, self.sets(), len(embedded)
        first = embedded[:, :lead] if self.lead_shift is None else embedded[:, :lead] + self.lead_shift
        if mask is None and is_sparse_tower(self.tower):
            mask = self.tower.groups(embedded)
        sequence = torch.cat(
            [first, *(_expand(one.vectors[0], count) for one in sets), embedded[:, lead:]], dim=1
        )
        total = sum(one.length for one in sets)
        wide = (
            None
            if mask is None
            else torch.cat([mask[:, :lead], mask.new_ones(count, total), mask[:, lead:]], dim=1)
        )
        inserted = [one for one in self.between.values() if isinstance(one, BetweenLayers)]
        states = [one.start(count) for one in inserted]
        for layer, block in enumerate(self.tower.blocks):
            if layer:
                sequence = self._refresh(sequence, layer, sets)
            sequence = _pass(sequence, layer, inserted, states)
            short = not body and layer == self.depth - 1 and not inserted and is_lead_tower(self.tower)
            wanted = (sequence, wide, lead + total) if short else (sequence, wide)
            if self.checkpointing and torch.is_grad_enabled():
                sequence = checkpoint(block, *wanted, use_reentrant=False)
            else:
                sequence = block(*wanted)
        sequence = self.tower.finish(_pass(sequence, self.depth, inserted, states))
        extra: dict[str, Tensor] = {}
        start = lead
        for one in sets:
            extra[one.name] = sequence[:, start : start + one.length]
            start += one.length
        tokens = torch.cat([sequence[:, :lead], sequence[:, start:]], dim=1)
        return TokenFeatures(tokens, None if mask is None else mask[:, : tokens.shape[1]].bool(), extra)

    def _refresh(self, sequence: Tensor, layer: int, sets: list[ExtraTokens]) -> Tensor:
        """Put the layer's own vectors in the place of what the layer before made of its prompts."""
        start = self.tower.lead
        for one in sets:
            fresh = one.at(layer)
            if fresh is not None:
                sequence = torch.cat(
                    [sequence[:, :start], _expand(fresh, len(sequence)), sequence[:, start + one.length :]],
                    dim=1,
                )
            start += one.length
        return sequence


def _pass(sequence: Tensor, layer: int, inserted: list[BetweenLayers], states: list[Tensor | None]) -> Tensor:
    """Through what stands before this layer of the tower (after the last: its depth); the states are moved on in place."""
    for place, one in enumerate(inserted):
        sequence, states[place] = one(sequence, layer, states[place])
    return sequence


def _expand(vectors: Float[Tensor, "E D"], count: int) -> Float[Tensor, "B E D"]:
    return vectors.expand(count, -1, -1)
