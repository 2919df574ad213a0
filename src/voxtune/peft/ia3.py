"""IA3: one learned factor for every output of frozen layers (Liu et al. 2022, arXiv 2205.05638), through Hugging Face peft."""

import torch

from voxtune.model.injection import Targets, chosen_targets, frozen_tower, inject, side_of
from voxtune.model.token_encoder import TokenEncoder
from voxtune.model.vlm import VisionLanguageModel
from voxtune.types.settings import Settings


class Ia3(Settings):
    """Factors on the outputs of a tower's attention linears, or of the layers that ``targets`` name; all start at one.

    The paper scales keys, values and the inner layer of the perceptron; where a tower has q, k, v in one layer they cannot be
    told apart, so all are scaled.
    """

    targets: Targets = ()
    """As for ``lora``."""

    def attach(self, model: VisionLanguageModel, encoder: TokenEncoder, generator: torch.Generator) -> None:
        """Swap the layers; everything else stays as it is.

        Raises:
            SettingError: a target that is no layer of this tower, or a second method that swaps layers.
        """
        from peft import IA3Config

        names = chosen_targets(frozen_tower(model, encoder), self.targets, side_of(model, encoder))
        inject(model, encoder, IA3Config(target_modules=names, feedforward_modules=[]), generator)
