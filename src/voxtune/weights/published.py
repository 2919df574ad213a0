"""Where published weights are, under which licence, and how large: facts for ``voxtune weights list`` and ``get``.

Counts are of the published classes; no file was opened to fill this table. Imports nothing heavy.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Published:
    """One published checkpoint."""

    where: str
    """A hub id, or the address of a page or file."""
    files: tuple[str, ...]
    licence: str
    parameters: int
    """Of everything the published class holds, unused parts included."""
    hub: str = ""
    """``model`` or ``dataset`` where ``where`` is a hub id."""
    gated: bool = False
    note: str = ""

    @property
    def gigabytes(self) -> float:
        """Size in float32."""
        return self.parameters * 4 / 1e9

    def steps(self, name: str) -> str:
        """How a person gets the file and makes it readable."""
        page = {"model": "https://huggingface.co/", "dataset": "https://huggingface.co/datasets/"}.get(
            self.hub, ""
        ) + self.where
        lines = [f"1. Open {page}" + (", sign in and accept its terms (it is gated)." if self.gated else ".")]
        lines.append(
            f"2. Download {' or '.join(self.files)}." if self.files else "2. No weights are published there."
        )
        if self.gated:
            lines.append(
                "   With the hub's client: 'hf auth login', then 'voxtune weights get " + name + "' again."
            )
        lines.append(f"3. voxtune weights convert {name} FILE")
        if self.note:
            lines.append(f"Note: {self.note}")
        return "\n".join(lines)


PUBLISHED: Mapping[str, Published] = MappingProxyType(
    {
        "m3d": Published(
            "GoodBaiBai88/M3D-CLIP", ("pytorch_model.bin",), "Apache-2.0 by its card (not verified)", 198_052_609, hub="model",
            note="pretrained_ViT.bin holds the vision tower alone; load it with part=vision. The name of the whole model's file was not verified.",
        ),
        "radfm": Published(
            "chaoyi-wu/RadFM", ("pytorch_model.bin",), "unknown; holds LLaMA-13B, whose terms apply", 107_947_776, hub="model",
            note="Published as a split archive of tens of gigabytes; join and unpack it first. Only the image tower is kept (counted here).",
        ),
        "med3dvlm": Published(
            "MagicXin/DCFormer_SigLIP", ("pytorch_model.bin",), "unknown; code for research only", 154_160_066, hub="model",
            note="pretrained_ViT.bin holds the vision tower alone; load it with part=vision. The name of the whole model's file was not verified.",
        ),
        "ct_clip": Published(
            "ibrahimhamamci/CT-RATE", ("models/CT-CLIP-Related/CT-CLIP_v2.pt",), "CC-BY-NC-SA-4.0", 438_148_761, hub="dataset", gated=True,
            note="About a third of the file is an unused twin of a projection; convert drops it.",
        ),
        "merlin": Published(
            "stanfordmimi/Merlin", ("i3_resnet_clinical_longformer_best_clip_04-02-2024_23-21-36_epoch_99.pt",), "MIT (not verified)",
            270_935_389, hub="model",
        ),
        "medclip": Published(
            "https://storage.googleapis.com/pytrial/medclip-vit-pretrained.zip", ("pytorch_model.bin (inside the archive)",), "unknown",
            136_616_059, note="Unpack the archive first. The ResNet-50 variant is not supported.",
        ),
        "biomedclip": Published(
            "microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224", ("open_clip_pytorch_model.bin",), "MIT (not verified)", 195_902_721,
            hub="model",
        ),
        "hlip": Published(
            "zch0414/clip-vit_base-scan_study-dualdinotxt1568", ("model.safetensors",), "code MIT; weights without a statement", 198_103_298,
            hub="model",
            note="Load it with variant=hub_base. The models of the paper (brain_mri, head CT, chest_ct) are on Google Drive, linked from "
            "https://github.com/zch0414/hlip.",
        ),
        "medblip_vit": Published(
            "https://github.com/Qybc/MedBLIP", (), "code MIT", 0, note="No weights were released; train from EVA-CLIP's blocks or new."
        ),
    }
)  # fmt: skip
"""By catalogue name."""
