"""Each patch as if it were the whole scan: for backbones whose patches were trained to lie in the space of texts (COLIPRI)."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from voxtune.errors import UsageError
from voxtune.explanation.target import Target
from voxtune.model.vlm import ImageFeatures, VisionLanguageModel


def dense(
    model: VisionLanguageModel,
    embedded: Float[Tensor, "1 T D"],
    targets: Sequence[Target],
    *,
    signed: bool = False,
) -> list[Float[Tensor, " T"]]:
    """How much more each patch alone speaks for a target than the median patch; ``signed``: less, too.

    Raises:
        UsageError: the backbone has no vector for a single patch, or the target is read from a token of its own.
    """
    if not hasattr(model.backbone, "dense_map"):
        raise UsageError(
            f"The patches of '{model.backbone.name}' were never compared with texts one by one; 'dense' is for colipri."
        )
    for target in targets:
        if target.read_out != "class":
            raise UsageError(
                f"'{target.name}' is read from a token of its own and not from patches: use method 'grad_eclip'."
            )
    with torch.no_grad():
        tokens = model.vision.run(embedded).tokens
        vectors = model.image_projection(model.backbone.project_image(tokens))[0]
        found = []
        for target in targets:
            score = target.score(ImageFeatures(vectors, None))
            more = score - score.median()
            found.append(more if signed else more.relu())
    return found
