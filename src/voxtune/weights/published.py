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
            note="Load it with the variant of its name (voxtune weights list). The models of the paper (brain_mri, head CT, chest_ct) are on Google Drive, linked from "
            "https://github.com/zch0414/hlip.",
        ),
        "medblip_vit": Published(
            "https://github.com/Qybc/MedBLIP", (), "code MIT", 0, note="No weights were released; train from EVA-CLIP's blocks or new."
        ),
        "colipri": Published(
            "microsoft/colipri", ("model.safetensors",), "MIT", 258_366_240, hub="model",
            note="Pin its revision: upstream does not, and converting records the sha256. Its tokenizer is that of "
            "microsoft/BiomedVLP-CXR-BERT-specialized. The training data CT-RATE is for research only.",
        ),
        "neurovfm": Published(
            "mlinslab/neurovfm-encoder", ("pytorch_model.bin",), "CC BY-NC-SA 4.0", 85_803_234, hub="model", gated=True,
            note="No text tower: bring a BERT (text_weights). The diagnosis heads (neurovfm-dx-mri, -dx-ct) are not supported.",
        ),
        "brainiac": Published(
            "https://github.com/AIM-KannLab/BrainIAC", ("BrainIAC.ckpt (linked from its README)",),
            "non-commercial (read the licence beside the file)", 88_340_736,
            note="A Lightning checkpoint, sha256 f22bdbcae26823a9d9e8aee883c6f24386ba4617339c12269848b6666cc62693 as third parties say; put its licence "
            "beside it before you convert. No text tower: bring a BERT (text_weights). Version 1, a ResNet, is another model.",
        ),
    }
)  # fmt: skip
"""By catalogue name."""


@dataclass(frozen=True)
class Variant:
    """One of several published checkpoints of a model."""

    setting: str
    where: str
    seen: str
    takes: str


HLIP_VARIANTS: tuple[Variant, ...] = (
    Variant("brain_mri", "Google Drive, linked from its repository", "brain MRI; head CT has a file of the same layout", "studies of up to 40 scans, 48 slices and more"),
    Variant("chest_ct", "Google Drive, linked from its repository", "CT-RATE's training split", "one chest CT of 112 x 336 x 336"),
    Variant("hub_2025_10", "zch0414/hlip-2025_10_08", "brain MRI and head CT", "studies in any order of scans, 48 slices"),
    Variant("hub_base", "zch0414/clip-vit_base-scan_study-dualdinotxt1568", "brain MRI and head CT (MR-RATE, as a third party says)", "the same"),
    Variant("hub_large", "zch0414/clip-vit_large-scan_study-dualdinotxt1568", "brain MRI and head CT", "the same"),
    Variant("hub_base_slice", "zch0414/clip-vit_base-slice_scan_study-dualdinotxt1568", "brain MRI and head CT", "the same, and single scans"),
    Variant("hub_large_slice", "zch0414/clip-vit_large-slice_scan_study-dualdinotxt1568", "brain MRI and head CT", "the same, and single scans"),
)  # fmt: skip
"""HLIP's checkpoints by the setting ``variant``."""
HLIP_ONE_T1 = (
    "hub_large_slice: its author takes it first for a single MRI too (issue 9 of Zch0414/hlip); hub_base_slice where memory is short. Files of the "
    "slice and the scan family have the same shapes, so the variant must be set as the file's name says: no check can tell them apart."
)
"""Which of them to take for one T1."""
