"""What our parts expect of each other. Nothing inherits from these; they are checked by mypy and by contract tests.

Ask ``is_token_tower(x)`` and its like whether something is one.
"""

import inspect
from collections.abc import Iterable
from typing import Protocol, TypeGuard

from torch import Tensor, nn

from voxtune.types.records import ManifestRow


class _ByAttributes(type(Protocol)):  # type: ignore[misc]
    """``isinstance`` by ``hasattr``, for the tests' type checker: since Python 3.12 that of a plain protocol no longer finds what nn.Module keeps in tables of its own (blocks, vision, text)."""

    def __instancecheck__(cls, thing: object) -> bool:
        return _has_members(thing, cls)


class TokenTower(Protocol, metaclass=_ByAttributes):
    """A tower whose layers pass a token sequence, image or text: the first seam, extra tokens, enters between its layers.

    ``forward(inputs, mask)`` is ``finish(blocks(embed(inputs)))``. ``inputs`` are volumes (B, C, X, Y, Z) or token ids
    (B, L); tokens are (B, T, width); ``mask`` (B, T) is True where a token is real, ``None`` where all are.
    """

    width: int
    lead: int
    """Tokens that stand before any extra token: 1 with a CLS token, 0 without."""
    blocks: nn.ModuleList
    """Each block is called ``block(tokens, mask) -> tokens``."""

    def embed(self, inputs: Tensor) -> Tensor:
        """Inputs to the sequence that enters the first block (B, T, width)."""
        ...

    def finish(self, tokens: Tensor) -> Tensor:
        """What follows the last block (final norm) (B, T, width); works on a sequence of any length."""
        ...

    def pool(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """The read-out of finished tokens without extra ones: CLS, or the mean over real tokens (B, width)."""
        ...


class LeadTower(TokenTower, Protocol, metaclass=_ByAttributes):
    """A token tower whose read-out is its lead tokens alone, so that its last block need not finish the others.

    Its blocks are called ``block(tokens, mask, rows) -> tokens[:, :rows]``: all tokens are attended to, the first ``rows`` are
    computed; ``None`` is all of them.
    """

    reads_lead: bool


class OrderFreeTower(TokenTower, Protocol, metaclass=_ByAttributes):
    """A token tower whose positions are in its tokens, so that its layers and its read-out take any of them, in any order, with a mask."""

    order_free: bool


class SparseTower(TokenTower, Protocol, metaclass=_ByAttributes):
    """A token tower that reads some places of a volume only, so that scans have different numbers of tokens.

    What ``embed`` makes of scans side by side ends in rows of zeros where a scan has fewer; no real token is such a row.
    """

    def groups(self, embedded: Tensor) -> Tensor | None:
        """The mask of an embedded sequence (B, T); ``None``: one group, all real.

        True where a token is real; or numbers: 0 nobody's, 2 and more of a group that attends within itself. 1 is left to extra
        tokens, which all groups see.
        """
        ...

    def places(self, inputs: Tensor) -> Tensor:
        """Where on the whole token grid each token of one volume (1, C, X, Y, Z) stands, as a running number (T,)."""
        ...


class FeatureTower(Protocol, metaclass=_ByAttributes):
    """A vision tower without a token sequence (convolutional): it gives its last feature map."""

    width: int

    def features(self, volumes: Tensor) -> Tensor:
        """The last feature map as tokens (B, T, width), positions in (x, y, z) order of the tensor axes."""
        ...

    def pool(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """The read-out of those tokens (B, width)."""
        ...


class Backbone(Protocol, metaclass=_ByAttributes):
    """A published vision-language model: two towers, two projections, its own reading of similarity."""

    name: str
    vision: nn.Module
    text: nn.Module
    embed_dim: int
    volume_shape: tuple[int, int, int, int]
    """(C, X, Y, Z) of the tensor it takes by default."""

    def encode_image(self, volumes: Tensor) -> Tensor:
        """Volumes (B, C, X, Y, Z) to unit vectors (B, embed_dim)."""
        ...

    def encode_text(self, texts: list[str] | Tensor, mask: Tensor | None = None) -> Tensor:
        """Texts, or token ids (B, L) with their mask, to unit vectors (B, embed_dim)."""
        ...

    def tokenize(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """Texts to token ids (B, L) and mask (B, L), padded to the longest; raises ``WeightsError`` without a tokenizer."""
        ...

    def project_image(self, pooled: Tensor) -> Tensor:
        """Pooled vision features (B, vision.width) to unit vectors (B, embed_dim)."""
        ...

    def project_text(self, pooled: Tensor) -> Tensor:
        """Pooled text features (B, text.width) to unit vectors (B, embed_dim)."""
        ...

    def logit(self, image: Tensor, text: Tensor) -> Tensor:
        """Unit vectors (B, E) and (N, E) to logits (B, N) with the model's own scale."""
        ...


class Cohort(Protocol):
    """A source of scans: settings that know how to read it."""

    def rows(self) -> Iterable[ManifestRow]:
        """The manifest rows, every label with its rule and the sha256 of the table it came from."""
        ...


def is_token_tower(tower: object) -> TypeGuard[TokenTower]:
    """Whether a tower has all that extra tokens need."""
    return _has_members(tower, TokenTower)


def is_lead_tower(tower: object) -> TypeGuard[LeadTower]:
    """Whether a tower's last block may leave out what nobody reads."""
    return _has_members(tower, LeadTower) and bool(getattr(tower, "reads_lead", False))


def is_order_free_tower(tower: object) -> TypeGuard[OrderFreeTower]:
    """Whether a tower's layers take any of its tokens."""
    return _has_members(tower, OrderFreeTower) and bool(getattr(tower, "order_free", False))


def is_sparse_tower(tower: object) -> TypeGuard[SparseTower]:
    """Whether a tower's scans have different numbers of tokens."""
    return _has_members(tower, SparseTower)


def is_feature_tower(tower: object) -> TypeGuard[FeatureTower]:
    """Whether a tower gives a feature map."""
    return _has_members(tower, FeatureTower)


def is_backbone(model: object) -> TypeGuard[Backbone]:
    """Whether a model is a backbone."""
    return _has_members(model, Backbone)


def _has_members(thing: object, protocol: type) -> bool:
    names = {
        name
        for one in protocol.__mro__
        for name in (*inspect.get_annotations(one), *vars(one))
        if not name.startswith("_")
    }
    return all(hasattr(thing, name) for name in names)
