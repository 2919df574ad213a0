"""The whole model: two frozen towers with what is learned around them, from volumes and texts to similarities and targets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from voxtune.config import Aggregation
from voxtune.losses.contrastive import TemperatureForm, scale
from voxtune.model import cross_attention
from voxtune.model.cross_attention import LearnedAttention
from voxtune.model.extra_tokens import ExtraTokens
from voxtune.model.heads import Projection, TargetHead, Temperature
from voxtune.model.token_encoder import TokenEncoder
from voxtune.types.protocols import Backbone, TokenTower
from voxtune.types.target import Target
from voxtune.types.tensors import Batch, Output, TokenFeatures


@dataclass(frozen=True)
class ImageFeatures:
    """A scan as the model sees it: unit vector, unit patch vectors (``tokens`` form only), targets by name on the scale of the loss."""

    vector: Float[Tensor, "B E"]
    patches: Float[Tensor, "B P E"] | None
    targets: dict[str, Float[Tensor, " B"]] = field(default_factory=dict)


@dataclass(frozen=True)
class TextFeatures:
    """A text as the model sees it: unit vector, unit word vectors and their mask (``tokens`` form only)."""

    vector: Float[Tensor, "N E"]
    words: Float[Tensor, "N L E"] | None
    mask: Bool[Tensor, "N L"] | None


ClassTokens = Sequence[tuple[Tensor, Tensor]]
"""Token ids (K, L) and mask (K, L) of the class texts, one pair for each template."""


class VisionLanguageModel(nn.Module):
    """A frozen backbone and everything learned around it. Only parameters with ``requires_grad`` are the adapter."""

    def __init__(
        self,
        backbone: Backbone,
        vision_tower: TokenTower,
        *,
        aggregation: Aggregation,
        temperature: Temperature,
        temperature_form: TemperatureForm = "multiplier",
        projections: bool = True,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.vision = TokenEncoder(vision_tower)
        self.text = TokenEncoder(cast(TokenTower, backbone.text))
        width = backbone.embed_dim
        self.image_projection: nn.Module = Projection(width) if projections else nn.Identity()
        self.text_projection: nn.Module = Projection(width) if projections else nn.Identity()
        self.image_summary: nn.Module | None = None
        """A learned reader of all patch tokens (B, P, width), whose vector (B, E) is added to the image's."""
        self.aggregation = aggregation
        self.attention = (
            LearnedAttention(width, aggregation.heads)
            if aggregation.form == "batch" and aggregation.learned
            else None
        )
        self.bank: Tensor
        """Image vectors (G, E) that class texts attend to when a scan is scored (``model/bank.py``); none: they attend to nothing."""
        self.register_buffer("bank", torch.zeros(0, width))
        self.visits: nn.Module | None = None
        """How the earlier scans of a person are read beside the one at the moment (``model/visits.py``); ``None``: each scan alone."""
        self.temperature = temperature
        self.temperature_form = temperature_form
        self.targets: tuple[Target, ...] = ()
        """What has a token and a head, in their order; ``add_target`` adds one."""
        self.awake: list[nn.Module] = []
        """Learned layers inside the backbone that follow training mode (dropout), unlike the frozen layers around them."""
        self.base_sha256 = ""
        """Of the backbone before anything was attached; ``build_model`` sets it."""
        self.chunk: int | None = None
        """Most scans of one forward, as the run trained; ``None``: as many as fit."""
        self.base_identity = ""
        """Of those tensors and of the settings that decide what the backbone computes with them: the key of what it makes."""

    def train(self, mode: bool = True) -> "VisionLanguageModel":  # noqa: FBT001, FBT002  (torch's signature)
        """Training mode for what is learned; the frozen backbone stays in eval mode (no dropout, no moving statistics)."""
        super().train(mode)
        cast(nn.Module, self.backbone).eval()
        for layer in self.awake:
            layer.train(mode)
        return self

    def add_target(self, target: Target, tokens: ExtraTokens, head: TargetHead) -> None:
        """Let a target's token travel through the vision tower and its head read it; parts are called by ``target.key``."""
        self.vision.add(tokens)
        self.add_module(f"{target.key}_head", head)
        self.targets = (*self.targets, target)

    def head(self, target: Target) -> TargetHead:
        """The head of a target."""
        return cast(TargetHead, getattr(self, f"{target.key}_head"))

    @property
    def target_heads(self) -> dict[str, TargetHead]:
        """The heads by the names of their targets."""
        return {one.name: self.head(one) for one in self.targets}

    def target_values(self, scaled: Mapping[str, Float[Tensor, " B"]]) -> dict[str, Float[Tensor, " B"]]:
        """Targets on the scale of the loss (``ImageFeatures.targets``) in their own units, float32, within their range."""
        heads = self.target_heads
        return {name: heads[name].points(values).float() for name, values in scaled.items()}

    @property
    def vision_frozen(self) -> bool:
        """Whether a scan always gives the same tokens and the same backbone vector: nothing trained before ``image_projection``."""
        return self.vision.frozen and self.image_summary is None and self._frozen_outside("text")

    @property
    def text_frozen(self) -> bool:
        """Whether a text always gives the same tokens and the same backbone vector: nothing trained before ``text_projection``."""
        return self.text.frozen and self._frozen_outside("vision")

    def _frozen_outside(self, side: str) -> bool:
        """Whether nothing of the backbone is trained but the tower and the projection of that side."""
        parameters = cast(nn.Module, self.backbone).named_parameters()
        spared = (f"{side}.", f"{side}_projection.")
        return not any(value.requires_grad for name, value in parameters if not name.startswith(spared))

    @property
    def needs_patches(self) -> bool:
        """Whether texts attend to single patches, which then must be projected."""
        return self.aggregation.form == "tokens"

    def encode_image(
        self, inputs: Tensor, *, embedded: bool = False, finished: bool = False
    ) -> ImageFeatures:
        """Volumes (B, C, X, Y, Z) to features (Eq. 1-5).

        Args:
            inputs: volumes, or where a frozen part of the tower was run before, what it made of them.
            embedded: ``inputs`` are what ``vision.embed`` made (B, T, D).
            finished: ``inputs`` are what ``base_image`` made (B, 1 + P, E).
        """
        if finished:
            return self.project_image(inputs)
        run = self.vision.run if embedded else self.vision
        return self.read_image(run(inputs, body=self.needs_patches or self.image_summary is not None))

    def read_image(self, found: TokenFeatures) -> ImageFeatures:
        """Finished tokens to features: what ``encode_image`` does after the last layer."""
        targets = {one.name: self.head(one)(found.extra[one.key][:, 0]) for one in self.targets}
        return replace(self.project_image(self.base_image(found)), targets=targets)

    def base_image(self, found: TokenFeatures) -> Float[Tensor, "B parts E"]:
        """Finished tokens in the backbone's own joint space: the vector of the scan first, then its patches (``tokens`` form only)."""
        tower = self.vision.tower
        vector = self.backbone.project_image(tower.pool(found.tokens, found.mask))
        if self.image_summary is not None:
            vector = F.normalize(vector + self.image_summary(found.tokens[:, tower.lead :]), dim=-1)
        vector = vector[:, None]
        if not self.needs_patches:
            return vector
        return torch.cat([vector, self.backbone.project_image(found.tokens[:, tower.lead :])], dim=1)

    def project_image(self, base: Float[Tensor, "B parts E"]) -> ImageFeatures:
        """What ``base_image`` made, after our own projection (Eq. 4); no target, which needs its token."""
        parts = self.image_projection(base)
        return ImageFeatures(parts[:, 0], parts[:, 1:] if self.needs_patches else None)

    def encode_text(self, ids: Int[Tensor, "N L"], mask: Bool[Tensor, "N L"]) -> TextFeatures:
        """Token ids and their mask to features (Eq. 6-7)."""
        return self.project_text(self.base_text(ids, mask), mask)

    def base_text(self, ids: Int[Tensor, "N L"], mask: Bool[Tensor, "N L"]) -> Float[Tensor, "N parts E"]:
        """Texts in the backbone's own joint space: the vector of the text first, then its words (``tokens`` form only)."""
        return self.read_text(self.text(ids, mask), mask)

    def read_text(self, found: TokenFeatures, mask: Bool[Tensor, "N L"]) -> Float[Tensor, "N parts E"]:
        """Finished tokens in the backbone's own joint space: what ``base_text`` does after the last layer."""
        vector = self.backbone.project_text(self.text.tower.pool(found.tokens, mask))[:, None]
        if not self.needs_patches:
            return vector
        return torch.cat([vector, self.backbone.project_text(found.tokens)], dim=1)

    def project_text(self, base: Float[Tensor, "N parts E"], mask: Bool[Tensor, "N L"]) -> TextFeatures:
        """What ``base_text`` made, after our own projection (Eq. 7)."""
        parts = self.text_projection(base)
        if not self.needs_patches:
            return TextFeatures(parts[:, 0], None, None)
        return TextFeatures(parts[:, 0], parts[:, 1:], mask)

    def cosines_of_batch(self, image: ImageFeatures, text: TextFeatures) -> Float[Tensor, "N M"]:
        """Similarities of a training batch, where Eq. 8-9 run over the batch (form ``batch``)."""
        if self.aggregation.form == "none":
            return image.vector @ text.vector.T
        if self.aggregation.form == "tokens":
            return self._of_tokens(image, text)
        if self.attention is not None:
            return self.attention.of_sets(image.vector, text.vector)
        return cross_attention.similarities_of_sets(image.vector, text.vector)

    @property
    def uses_bank(self) -> bool:
        """Whether class texts attend to a bank when a scan is scored."""
        return self.aggregation.form == "batch" and self.aggregation.inference == "bank"

    def cosines_alone(
        self, image: ImageFeatures, text: TextFeatures, bank: Float[Tensor, "G E"] | None = None
    ) -> Float[Tensor, "B K"]:
        """Similarities of scans with class texts, each scan scored as if it were the only one; ``bank`` stands in for the model's own."""
        if self.aggregation.form == "none":
            return image.vector @ text.vector.T
        if self.aggregation.form == "tokens":
            return self._of_tokens(image, text)
        keys = self.bank if bank is None else bank
        seen = keys if self.uses_bank and len(keys) else None
        if self.attention is not None:
            return self.attention.alone(image.vector, text.vector, seen)
        return cross_attention.similarities_alone(image.vector, text.vector, seen)

    def _of_tokens(self, image: ImageFeatures, text: TextFeatures) -> Tensor:
        assert image.patches is not None
        assert text.words is not None
        assert text.mask is not None
        return cross_attention.similarities_of_tokens(
            image.vector, text.vector, image.patches, text.words, text.mask
        )

    def scaled(self, cosines: Float[Tensor, "N M"]) -> Float[Tensor, "N M"]:
        """Cosines on the scale of the loss."""
        return scale(cosines, self.temperature(), self.temperature_form)

    def class_logits(
        self, image: ImageFeatures, texts: list[TextFeatures], bank: Float[Tensor, "G E"] | None = None
    ) -> Float[Tensor, "B K"]:
        """Scaled similarities to the class texts; several sets of texts (templates) are averaged."""
        return self.scaled(torch.stack([self.cosines_alone(image, text, bank) for text in texts]).mean(dim=0))

    def compare(
        self, image: ImageFeatures, text: TextFeatures, classes: list[TextFeatures] | None = None
    ) -> Output:
        """Features of a whole training batch to logits (B, B), scaled targets and, given class texts, logits to them (B, K)."""
        # In training the batch stands in for the bank, which is made of whole training sides afterwards.
        class_scores = None if classes is None else self.class_logits(image, classes, image.vector)
        return Output(
            image.vector,
            text.vector,
            self.scaled(self.cosines_of_batch(image, text)),
            image.targets,
            class_scores,
        )

    def forward(
        self,
        batch: Batch | Tensor,
        classes: ClassTokens | list[str] | None = None,
        *,
        embedded: bool = False,
    ) -> Output:
        """A training batch with its own texts to logits (B, B), scaled targets and, given class texts, logits to them (B, K).

        Volumes (B, C, X, Y, Z) with a list of texts go as well: ``model(volumes, ["A photo of AD", ...])``. The logits (B, N) are then
        those of ``predict`` before calibration: each scan is scored alone.
        """
        if isinstance(batch, Tensor):
            return self._of_tensors(batch, classes or [], embedded=embedded)
        if batch.token_ids is None or batch.token_mask is None:
            raise ValueError("A training batch needs the token ids of its reports.")
        image = self.encode_image(batch.volumes, embedded=embedded)
        text = self.encode_text(batch.token_ids, batch.token_mask)
        sets = None if classes is None else [self.encode_text(*_tokens(one)) for one in classes]
        return self.compare(image, text, sets)

    def _of_tensors(self, volumes: Tensor, texts: ClassTokens | list[str], *, embedded: bool) -> Output:
        strings = [text for text in texts if isinstance(text, str)]
        if not strings or len(strings) < len(texts):
            raise ValueError("Volumes need a list of texts to be compared with: model(volumes, ['...']).")
        ids, mask = self.backbone.tokenize(strings)
        text = self.encode_text(ids.to(volumes.device), mask.bool().to(volumes.device))
        image = self.encode_image(volumes, embedded=embedded)
        return Output(image.vector, text.vector, self.class_logits(image, [text]), image.targets)


def _tokens(one: object) -> tuple[Tensor, Tensor]:
    if isinstance(one, str):
        raise TypeError("A training batch takes class texts as token ids and mask; texts go with volumes.")
    return cast(tuple[Tensor, Tensor], one)
