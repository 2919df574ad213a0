"""Learned layers that stand between the layers of a frozen tower: bottleneck adapters, interaction with a text (the third seam)."""

from torch import Tensor, nn


class BetweenLayers(nn.Module):
    """Called before every layer of the tower, and once more after its last, with the whole sequence, extra tokens included.

    A state of its own may travel from call to call.
    """

    def start(self, count: int) -> Tensor | None:  # noqa: ARG002  (for those that carry a state)
        """The state before the first layer, for ``count`` scans or texts."""
        return None

    def forward(self, sequence: Tensor, layer: int, state: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The sequence (B, T, width) before layer ``layer`` (0-based; the tower's depth: after its last) and the state, both moved on."""
        raise NotImplementedError
