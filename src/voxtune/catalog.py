"""Names and where they live. Strings only, so that listing them imports nothing; adding a thing is its file and one line."""

import difflib
import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from voxtune.errors import UsageError

BACKBONES: Mapping[str, str] = MappingProxyType(
    {
        "m3d": "voxtune.backbones.m3d_clip:M3dClip",
        "ct_clip": "voxtune.backbones.ct_clip:CtClip",
        "ct_clip_small": "voxtune.backbones.ct_clip:CtClipSmall",
        "radfm": "voxtune.backbones.radfm:RadFm",
        "med3dvlm": "voxtune.backbones.med3dvlm:Med3dVlm",
        "merlin": "voxtune.backbones.merlin:Merlin",
        "biomedclip": "voxtune.backbones.biomedclip:BiomedClip",
        "medclip": "voxtune.backbones.medclip:MedClip",
        "hlip": "voxtune.backbones.hlip:Hlip",
        "medblip_vit": "voxtune.backbones.medblip_vit:MedBlipVit",
        "colipri": "voxtune.backbones.colipri:Colipri",
        "neurovfm": "voxtune.backbones.neurovfm:NeuroVfm",
        "brainiac": "voxtune.backbones.brainiac:BrainIac",
        "tiny": "voxtune.backbones.tiny:Tiny",
        "tiny_untaught": "voxtune.backbones.tiny_untaught:TinyUntaught",
    }
)

PRESETS: Mapping[str, str] = MappingProxyType(
    {
        "biomedclip": "voxtune.imaging.presets:BIOMEDCLIP",
        "brainiac": "voxtune.imaging.presets:BRAINIAC",
        "brainiac_paediatric": "voxtune.imaging.presets:BRAINIAC_PAEDIATRIC",
        "colipri": "voxtune.imaging.presets:COLIPRI",
        "colipri_0_1_1": "voxtune.imaging.presets:COLIPRI_0_1_1",
        "ct_clip": "voxtune.imaging.presets:CT_CLIP",
        "ct_clip_small": "voxtune.imaging.presets:CT_CLIP_SMALL",
        "deft": "voxtune.imaging.presets:DEFT",
        "m3d": "voxtune.imaging.presets:M3D",
        "med3dvlm": "voxtune.imaging.presets:MED3DVLM",
        "medclip": "voxtune.imaging.presets:MEDCLIP",
        "merlin": "voxtune.imaging.presets:MERLIN",
        "neurovfm": "voxtune.imaging.presets:NEUROVFM",
        "neurovfm_ct": "voxtune.imaging.presets:NEUROVFM_CT",
        "radfm": "voxtune.imaging.presets:RADFM",
        "tiny": "voxtune.imaging.presets:TINY",
    }
)

PEFT_METHODS: Mapping[str, str] = MappingProxyType(
    {
        "adapter": "voxtune.peft.adapter:Adapter",
        "cls_token": "voxtune.peft.cls_token:ClsToken",
        "full": "voxtune.peft.full:Full",
        "ia3": "voxtune.peft.ia3:Ia3",
        "lga": "voxtune.peft.lga:Lga",
        "linear_probe": "voxtune.peft.linear_probe:LinearProbe",
        "lora": "voxtune.peft.lora:Lora",
        "skip_empty": "voxtune.peft.skip_empty:SkipEmpty",
        "spatial_pooling": "voxtune.peft.spatial_pooling:SpatialPooling",
        "visual_prompts": "voxtune.peft.visual_prompts:VisualPrompts",
        "text_prompts": "voxtune.peft.text_prompts:TextPrompts",
    }
)

COHORTS: Mapping[str, str] = MappingProxyType(
    {
        "adni": "voxtune.cohorts.adni:Adni",
        "aibl": "voxtune.cohorts.aibl:Aibl",
        "bids": "voxtune.cohorts.bids:Bids",
        "caps": "voxtune.cohorts.caps:Caps",
        "ct_rate": "voxtune.cohorts.ct_rate:CtRate",
        "folder": "voxtune.cohorts.folder:Folder",
        "oasis1": "voxtune.cohorts.oasis1:Oasis1",
        "oasis2": "voxtune.cohorts.oasis2:Oasis2",
        "rad_chestct": "voxtune.cohorts.rad_chestct:RadChestCt",
        "simulated": "voxtune.cohorts.simulated:Simulated",
    }
)

PROFILES: Mapping[str, str] = MappingProxyType(
    {
        "blank": "voxtune.profiles.blank:PROFILE",
        "chest": "voxtune.profiles.chest:PROFILE",
        "dementia": "voxtune.profiles.dementia:PROFILE",
    }
)
"""What a disease adds; a file of one's own is read beside them."""

TASKS: Mapping[str, str] = MappingProxyType(
    {
        "classification": "voxtune.tasks.classification:Classification",
        "combined": "voxtune.tasks.combined:Combined",
        "findings": "voxtune.tasks.findings:Findings",
        "regression": "voxtune.tasks.regression:Regression",
        "time_to_event": "voxtune.tasks.time_to_event:TimeToEvent",
    }
)
"""What may be asked of a scan; ``tasks.task.task_of`` chooses by the settings of a run."""

SCORED_TASKS: Mapping[str, str] = MappingProxyType(
    {
        "classification": "voxtune.tasks.classification:ScoredClasses",
        "findings": "voxtune.tasks.findings:ScoredFindings",
        "regression": "voxtune.tasks.regression:ScoredNumbers",
        "time_to_event": "voxtune.tasks.time_to_event:ScoredEvent",
    }
)
"""The same when a model is scored; ``tasks.task.scored_task`` chooses by the model."""

RECIPES: Mapping[str, str] = MappingProxyType(
    {
        "ablation_all_four": "voxtune_recipes.ablations:all_four",
        "ablation_mmse_token": "voxtune_recipes.ablations:mmse_token",
        "ablation_report": "voxtune_recipes.ablations:report",
        "ablation_text": "voxtune_recipes.ablations:text",
        "ablation_text_prompts": "voxtune_recipes.ablations:text_prompts",
        "ablation_vision": "voxtune_recipes.ablations:vision",
        "ablation_visual_prompts": "voxtune_recipes.ablations:visual_prompts",
        "deft": "voxtune_recipes.deft:recipe",
        "deft_adapter": "voxtune_recipes.baselines:deft_adapter",
        "deft_brainiac": "voxtune_recipes.deft:brainiac",
        "deft_colipri": "voxtune_recipes.deft:colipri",
        "deft_fast": "voxtune_recipes.deft_fast:recipe",
        "deft_lora": "voxtune_recipes.baselines:deft_lora",
        "deft_labels": "voxtune_recipes.deft_labels:recipe",
        "deft_published": "voxtune_recipes.deft_published:recipe",
        "deft_neurovfm": "voxtune_recipes.deft:neurovfm",
        "deft_m3d": "voxtune_recipes.deft_bases:m3d",
        "deft_med3dvlm": "voxtune_recipes.deft_bases:med3dvlm",
        "deft_plus": "voxtune_recipes.deft_plus:recipe",
        "deft_radfm": "voxtune_recipes.deft_bases:radfm",
        "full": "voxtune_recipes.baselines:full",
        "lga": "voxtune_recipes.baselines:lga",
        "linear_probe": "voxtune_recipes.baselines:linear_probe",
        "medct": "voxtune_recipes.medct:recipe",
        "medct_brainiac": "voxtune_recipes.medct:brainiac",
        "medct_colipri": "voxtune_recipes.medct:colipri",
        "medct_neurovfm": "voxtune_recipes.medct:neurovfm",
        "medct_small": "voxtune_recipes.medct:small",
        "projections": "voxtune_recipes.projections:recipe",
        "spp_lora": "voxtune_recipes.baselines:spp_lora",
    }
)

PAPERS: Mapping[str, str] = MappingProxyType(
    {
        "deft": "voxtune_recipes.paper_deft:paper",
        "medct": "voxtune_recipes.paper_medct:paper",
    }
)
"""Papers whose tables ``voxtune reproduce`` makes."""

TESTBEDS: Mapping[str, str] = MappingProxyType({"deft": "voxtune_recipes.testbed_deft:design"})
"""Of papers, by their names: what ``voxtune reproduce --cohorts`` runs."""

TABLES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "models": BACKBONES,
        "presets": PRESETS,
        "methods": PEFT_METHODS,
        "recipes": RECIPES,
        "papers": PAPERS,
        "cohorts": COHORTS,
        "profiles": PROFILES,
    }
)
"""The tables by the plural a person would say; ``voxtune info`` prints them."""


def load(table: Mapping[str, str], name: str, kind: str = "entry") -> Any:
    """The object a name stands for; imports its module.

    Raises:
        UsageError: the name is not in the table; the message offers the nearest one.
    """
    if name not in table:
        near = difflib.get_close_matches(name, table, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise UsageError(f"No {kind} named '{name}'.{hint} Known: {', '.join(sorted(table))}.")
    module, _, attribute = table[name].partition(":")
    return getattr(importlib.import_module(module), attribute)
