"""Grad-ECLIP: which patches the read-out token takes its evidence from (Zhao et al., ICML 2024; backbones.md section 12)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from voxtune.errors import UsageError
from voxtune.explanation.attention_capture import Heads, last_attention
from voxtune.explanation.target import Target
from voxtune.model.token_encoder import TokenEncoder
from voxtune.model.vlm import VisionLanguageModel


def relevance(
    query: Float[Tensor, " D"],
    keys: Float[Tensor, "T D"],
    values: Float[Tensor, "T D"],
    gradient: Float[Tensor, " D"],
    *,
    signed: bool = False,
) -> Float[Tensor, " T"]:
    """E_i = relu(sum_c g_c v_ic a_i) with a_i = minmax over i of cos(q, k_i), heads side by side.

    Args:
        query: of the read-out token in the last block.
        keys: of the patches.
        values: of the patches.
        gradient: dS/do of the attention output of the read-out token, before the output projection.
        signed: leave the relu out, so that evidence against the target stays visible.
    """
    alike = F.cosine_similarity(query[None], keys, dim=-1)
    low, high = alike.min(), alike.max()
    # Where every patch is equally alike, none is preferred.
    weight = (alike - low) / (high - low) if high > low else torch.ones_like(alike)
    evidence = (values @ gradient) * weight
    return evidence if signed else evidence.relu()


def grad_eclip(
    model: VisionLanguageModel,
    embedded: Float[Tensor, "1 T D"],
    patches: int,
    targets: Sequence[Target],
    heads: Heads = "model",
    *,
    signed: bool = False,
) -> list[Float[Tensor, " P"]]:
    """The relevance of each patch of one scan for each target; one forward serves them all.

    Args:
        model: in eval mode.
        embedded: what ``model.vision.embed`` made of the scan.
        patches: how many tokens of its sequence are places in the scan; they are its last ones.
        targets: each with the score S and the token it is read from.
        heads: attention as the model computes it, or with one head as the published code has it.
        signed: without the relu.

    Raises:
        UsageError: the tower has no token to read from, or its last block does not attend over one whole scan.
    """
    places = [read_out_place(model.vision, target) for target in targets]
    block: nn.Module = model.vision.tower.blocks[-1]
    with last_attention(block, heads) as captured:
        image = model.encode_image(embedded, embedded=True)
        if len(captured.calls) != 1 or len(captured.attended.output) != 1:
            raise UsageError(
                f"Grad-ECLIP needs one attention over the whole scan in the last block of '{model.backbone.name}'."
            )
        attended = captured.attended
        found = []
        for target, place in zip(targets, places, strict=True):
            [gradient] = torch.autograd.grad(target.score(image).sum(), attended.output, retain_graph=True)
            found.append(
                relevance(
                    attended.queries[0, place].detach(),
                    attended.keys[0, -patches:].detach(),
                    attended.values[0, -patches:].detach(),
                    gradient[0, place],
                    signed=signed,
                )
            )
    return found


def read_out_place(encoder: TokenEncoder, target: Target) -> int:
    """Where the read-out token stands in the sequence of the last block: CLS first, the tokens of targets after the lead.

    Raises:
        UsageError: the tower reads out a mean, not a token.
    """
    if target.read_out != "class":
        before = 0
        for one in encoder.sets():
            if one.name == target.read_out:
                return encoder.tower.lead + before
            before += one.length
    if encoder.tower.lead == 0:
        raise UsageError("This tower has no CLS token: use method 'grad_activation'.")
    return 0


def grad_activation(
    model: VisionLanguageModel,
    embedded: Float[Tensor, "1 T D"],
    patches: int,
    targets: Sequence[Target],
    *,
    signed: bool = False,
) -> list[Float[Tensor, " P"]]:
    """Gradient times activation of the finished tokens: relu(sum_c dS/dt_ic t_ic), ``signed`` without the relu; for towers that read out a mean.

    Raises:
        UsageError: a score is read from one token, so no gradient reaches the finished patch tokens.
    """
    if getattr(model.vision.tower, "reads_corner", False):
        raise UsageError(
            f"'{model.backbone.name}' reads token 0 alone, a corner of the volume, so no other place of its last grid speaks of a "
            "score: use 'voxel_gradient' or 'occlusion'."
        )
    for target in targets:
        if model.vision.tower.lead or target.read_out != "class":
            raise UsageError(
                f"'{target.name}' is read from one token of this tower, not from its last grid: use method 'grad_eclip'."
            )
    with torch.no_grad():
        tokens = model.vision.run(embedded)
    with torch.enable_grad():
        tokens.tokens.requires_grad_()
        image = model.read_image(tokens)
        found = []
        for target in targets:
            [gradient] = torch.autograd.grad(target.score(image).sum(), tokens.tokens, retain_graph=True)
            evidence = (gradient * tokens.tokens).sum(dim=-1)[0, -patches:].detach()
            found.append(evidence if signed else evidence.relu())
    return found
