"""Integrated Gradients against captum, words and biomarkers of a report, what masking keeps."""

import pytest
import torch
from captum.attr import IntegratedGradients, LayerIntegratedGradients

from voxtune.backbones.bert import BertSizes
from voxtune.backbones.tiny import Tiny
from voxtune.config import Aggregation, RunConfig
from voxtune.errors import UsageError
from voxtune.explanation.biomarkers import biomarker_text, find_part, report_parts
from voxtune.explanation.integrated_gradients import (
    attribute_report,
    baseline_ids,
    integrated_gradients,
    text_score,
)
from voxtune.explanation.target import text_target, token_places
from voxtune.model.adapter import AdapterFacts, LoadedAdapter
from voxtune.model.build import build_model
from voxtune.peft.text_prompts import TextPrompts
from voxtune.profiles.dementia import PROFILE as DEMENTIA
from voxtune.reports.wording import write_report
from voxtune.types.records import ManifestRow

FACTS = {"hippocampus_mm3": 5270.0, "ventricles_mm3": 47563.0, "whole_brain_mm3": 952123.0, "entorhinal_mm3": 2644.0, "fusiform_mm3": 14544.0, "middle_temporal_mm3": 17518.0}  # fmt: skip
ROW = ManifestRow.model_validate(
    {"participant_id": "p", "scan_id": "s", "image": "s.nii", "diagnosis": "AD", **FACTS}
)
REPORT = write_report(ROW).text


def shipped(form: str = "batch") -> LoadedAdapter:
    """The shipped ``tiny`` with prompts away from their start."""
    config = RunConfig(
        name="t",
        backbone=Tiny(),
        preset="tiny",
        text=(TextPrompts(length=6),),
        aggregation=Aggregation(form=form),
    )
    model = build_model(config)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for value in model.parameters():
            if value.requires_grad:
                value.add_(0.1 * torch.randn(value.shape, generator=generator))
    facts = AdapterFacts(
        base="tiny", base_sha256="0", adapter_sha256="0", preset="tiny", classes=("NC", "AD"), class_texts=("A photo of {name}",), config={}
    )  # fmt: skip
    return LoadedAdapter(model, facts, config)


@pytest.fixture(scope="module")
def loaded() -> LoadedAdapter:
    return shipped()


@pytest.fixture(scope="module")
def scan() -> torch.Tensor:
    return torch.rand(1, 64, 64, 64, generator=torch.Generator().manual_seed(0))


def test_a_quadrature_of_known_gradient() -> None:
    """f = sum of x^3: the attribution of each entry is x^3 itself from 0, exactly, with two points."""
    end = torch.tensor([[1.0, -2.0], [0.5, 3.0]], dtype=torch.float64)
    found = integrated_gradients(lambda x: (x**3).sum(dim=(1, 2)), torch.zeros_like(end), end, steps=2)
    assert torch.allclose(found, end**3, atol=1e-12)


@pytest.mark.parametrize("form", ["batch", "tokens", "none"])
def test_captum_agrees(form: str, scan: torch.Tensor) -> None:
    loaded = shipped(form)
    model = loaded.model
    with torch.no_grad():
        image = model.encode_image(scan[None])
    ids, mask = model.backbone.tokenize([REPORT])
    mask = mask.bool()
    score = text_score(model, image, mask)
    start_ids = baseline_ids(ids, token_places(model, REPORT))
    end, start = model.text.embed(ids).detach(), model.text.embed(start_ids).detach()
    ours = integrated_gradients(score, start[0], end[0], steps=20)
    theirs = IntegratedGradients(score).attribute(
        end, start, n_steps=20, method="gausslegendre", internal_batch_size=10
    )
    assert (ours - theirs[0]).abs().max() < 1e-5 * float(theirs.abs().max()) + 1e-7

    def of_ids(one: torch.Tensor) -> torch.Tensor:
        return model.cosines_alone(image, model.encode_text(one, mask.expand(len(one), -1)))[0]

    if form == "none":  # captum gives whole batches of the path to the model, where 'batch' would mix them
        layer = LayerIntegratedGradients(of_ids, model.text.tower.embeddings)
        again = layer.attribute(ids, start_ids, n_steps=20, method="gausslegendre")
        assert (ours - again[0]).abs().max() < 1e-5


def test_attributions_add_up(loaded: LoadedAdapter, scan: torch.Tensor) -> None:
    found = attribute_report(loaded, scan, REPORT)
    assert found.completeness_error < 0.01
    assert sum(found.parts.values()) + found.frame == pytest.approx(found.score - found.baseline, abs=1e-4)
    assert [word.text for word in found.words] == REPORT.split(" ")
    assert all(REPORT[word.start : word.end] == word.text for word in found.words)
    assert list(found.parts) == [part.name for part in report_parts(REPORT, DEMENTIA)]
    coarse = attribute_report(loaded, scan, REPORT, steps=1)
    assert coarse.completeness_error > found.completeness_error


def test_special_tokens_give_nothing(loaded: LoadedAdapter) -> None:
    ids, _ = loaded.model.backbone.tokenize([REPORT])
    places = token_places(loaded.model, REPORT)
    start = baseline_ids(ids, places)
    assert start[0, 0] == ids[0, 0]
    assert start[0, -1] == ids[0, -1]
    assert not start[0, 1:-1].any()


def test_parts_of_reports() -> None:
    names = [part.name for part in report_parts(REPORT, DEMENTIA)]
    assert names == ["Hippocampal volume", "Ventricular size", "Whole brain volume", "Entorhinal cortex volume", "Fusiform gyrus volume", "Middle temporal gyrus volume"]  # fmt: skip
    code = write_report(ROW, "deft_code").text
    assert [part.name for part in report_parts(code, DEMENTIA)] == ["Hippocampal Vol", "Ventricular size", "Whole brain Vol", "Entorhinal Vol"]  # fmt: skip
    for text in (REPORT, code):
        for asked in ("hippocampus", "hippocampus_mm3", "Hippocampal"):
            part = find_part(report_parts(text, DEMENTIA), asked, DEMENTIA)
            assert text[part.start : part.end].startswith("Hippocampal")
            assert "5270.00" in text[part.start : part.end]
    chest = "There is emphysema. No effusion is seen! Heart size normal"
    assert [part.name for part in report_parts(chest, DEMENTIA)] == [
        "There is emphysema.",
        "No effusion is seen!",
        "Heart size normal",
    ]
    for asked in ("fusiform", "age"):
        with pytest.raises(UsageError, match="Hippocampal Vol"):
            find_part(report_parts(code, DEMENTIA), asked, DEMENTIA)
    assert (
        biomarker_text("AD", "middle_temporal", DEMENTIA)
        == "A photo of AD. The MRI scan reveals the following biomarkers: Middle temporal gyrus volume."
    )


def test_a_masked_biomarker_changes_nothing(loaded: LoadedAdapter, scan: torch.Tensor) -> None:
    """With the hippocampus kept, other ventricles give the same score; other hippocampi do not."""
    model = loaded.model
    with torch.no_grad():
        image = model.encode_image(scan[None])

    def score(**facts: float) -> float:
        text = write_report(ROW.model_copy(update=facts)).text
        return float(text_target(loaded, text, keep="hippocampus").score(image)[0])

    assert score(ventricles_mm3=11111.0) == pytest.approx(score(), abs=1e-6)
    assert abs(score(hippocampus_mm3=9999.0) - score()) > 1e-6


def test_other_sizes_of_text_towers_work(scan: torch.Tensor) -> None:
    config = RunConfig(
        name="t", backbone=Tiny(fresh=True, text=BertSizes(vocab=1024, width=16, depth=1, heads=2, mlp=16, max_length=24, token_types=1, pooler=False)),
        preset="tiny",
    )  # fmt: skip
    facts = AdapterFacts(
        base="tiny", base_sha256="0", adapter_sha256="0", preset="tiny", classes=("NC", "AD"), class_texts=("A photo of {name}",), config={}
    )  # fmt: skip
    cut = attribute_report(LoadedAdapter(build_model(config), facts, config), scan, REPORT)
    assert REPORT.startswith(cut.text)
    assert 0 < len(cut.text) < len(REPORT)
