"""From a manifest to predictions: an adapter, its bare base, other wordings; each scan by itself."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from voxtune.config import read_recipe
from voxtune.data.images import load_preset
from voxtune.data.manifest import write_manifest
from voxtune.errors import ScanError
from voxtune.evaluation.answers import Answers, ask
from voxtune.evaluation.baselines import unlabelled_texts
from voxtune.evaluation.site_probe import probe_sites
from voxtune.evaluation.validation import validation_metric
from voxtune.model.adapter import AdapterFacts, LoadedAdapter, shareable_config
from voxtune.model.build import build_model, frozen_base
from voxtune.model.questions import ClassQuestion
from voxtune.types.records import ManifestRow

CLASSES = ("NC", "MCI", "AD")
AFFINE = load_preset("tiny").affine


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[ManifestRow]]:
    """Six made-up scans in the shape of preset ``tiny``, of three participants."""
    folder = tmp_path_factory.mktemp("scans")
    rng = np.random.default_rng(0)
    rows = []
    for n in range(6):
        nib.save(nib.Nifti1Image(rng.random((64, 64, 64), dtype=np.float32), AFFINE), folder / f"s{n}.nii.gz")
        rows.append(
            ManifestRow(
                participant_id=f"p{n // 2}",
                scan_id=f"s{n}",
                image=f"s{n}.nii.gz",
                diagnosis=CLASSES[n // 2 % 3],
            )
        )
    return write_manifest(rows, folder / "manifest.tsv"), rows


@pytest.fixture(scope="module")
def adapter() -> LoadedAdapter:
    """An untrained adapter of recipe ``deft`` on ``tiny``."""
    config = read_recipe("deft")
    model = build_model(config)
    facts = AdapterFacts(
        base="tiny", base_sha256=model.base_sha256, adapter_sha256="", preset=config.preset, classes=CLASSES,
        class_texts=("A photo of {name}",), temperature=2.0, offsets={"NC": 0.5, "MCI": -0.25, "AD": -0.25},
        config=shareable_config(config),
    )  # fmt: skip
    return LoadedAdapter(model, facts, config)


def asked(
    adapter: LoadedAdapter, rows: list[ManifestRow], manifest: Path, wordings: tuple[str, ...] = ()
) -> Answers:
    facts = adapter.facts
    offsets = tuple(facts.offsets_of(CLASSES))
    question = ClassQuestion(CLASSES, facts.class_texts, facts.temperature, offsets, wordings)
    return ask(adapter.model, question, rows, manifest, facts.preset)


def test_an_adapter_answers_beside_the_truth(
    study: tuple[Path, list[ManifestRow]], adapter: LoadedAdapter
) -> None:
    manifest, rows = study
    found = asked(adapter, rows, manifest, ("{name}", "A photo of {name}"))
    said = found.table.rows()
    assert [(one.scan_id, one.participant_id, one.diagnosis) for one in said] == [
        (row.scan_id, row.participant_id, row.diagnosis) for row in rows
    ]
    for one in said:
        assert sum(one.probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert one.predicted == max(one.probabilities, key=one.probabilities.__getitem__)
        assert one.mmse is not None
    assert set(found.vectors) == {row.scan_id for row in rows}
    assert all(np.linalg.norm(vector) == pytest.approx(1, abs=1e-4) for vector in found.vectors.values())
    # Its own words asked for again give the same answers; other words need not.
    for one, same, other in zip(
        said, found.reworded["A photo of {name}"].rows(), found.reworded["{name}"].rows(), strict=True
    ):
        assert [one.probabilities[name] for name in CLASSES] == pytest.approx(
            [same.probabilities[name] for name in CLASSES], abs=1e-5
        )
        assert other.probabilities != one.probabilities
    # A scan's answer does not depend on which others are scored with it.
    alone = asked(adapter, rows[3:4], manifest).table.rows()[0]
    assert [alone.probabilities[name] for name in CLASSES] == pytest.approx(
        [said[3].probabilities[name] for name in CLASSES], abs=1e-4
    )


def test_a_base_answers_without_any_run(study: tuple[Path, list[ManifestRow]]) -> None:
    manifest, rows = study
    config = read_recipe("deft")
    base = frozen_base(config)
    question = ClassQuestion(("NC", "AD"), config.classes.templates, wordings=("{name}",))
    found = ask(base, question, rows, manifest, config.preset, published=True)
    said = found.table.rows()
    assert [one.scan_id for one in said] == [row.scan_id for row in rows]
    assert all(one.mmse is None for one in said)
    assert list(found.reworded) == ["{name}"]
    bare = ClassQuestion(("NC", "AD"), config.classes.templates)
    again = ask(base, bare, rows[:1], manifest, config.preset, published=True)
    assert again.reworded == {}
    assert again.table.probabilities[0] == pytest.approx(found.table.probabilities[0], abs=1e-5)
    # The probability is the base's own reading of similarity.
    texts = base.backbone.encode_text([f"A photo of {name}" for name in ("NC", "AD")])
    image = torch.from_numpy(found.vectors["s0"])[None]
    want = base.backbone.logit(image, texts).softmax(dim=-1)[0, 1].item()
    assert said[0].probabilities["AD"] == pytest.approx(want, abs=1e-5)


def test_a_scan_of_another_preset_is_refused(tmp_path: Path) -> None:
    nib.save(
        nib.Nifti1Image(np.random.default_rng(0).random((8, 8, 8), dtype=np.float32), AFFINE),
        tmp_path / "s.nii.gz",
    )
    rows = [ManifestRow(participant_id="p", scan_id="s", image="s.nii.gz", diagnosis="NC")]
    manifest = write_manifest(rows, tmp_path / "manifest.tsv")
    with pytest.raises(ScanError, match="not preprocessed with preset 'tiny'"):
        ask(
            frozen_base(read_recipe("deft")),
            ClassQuestion(CLASSES, ("{name}",)),
            rows,
            manifest,
            "tiny",
            published=True,
        )


def test_calibration_enters_the_probabilities() -> None:
    logits = torch.tensor([[2.0, 0.0, 0.0]])
    plain, cooler, moved = (
        ClassQuestion(CLASSES, ("{name}",), *how).probabilities(logits)[0]
        for how in ((), (4.0,), (1.0, (-3.0, 3.0, 0.0)))
    )
    assert plain.argmax() == cooler.argmax() == 0
    assert cooler[0] < plain[0]
    assert moved.argmax() == 1


def test_the_figure_that_steers_a_run() -> None:
    logits = torch.tensor([[2.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 0.0]])
    labels = torch.tensor([0, 0, 1, 1])
    assert validation_metric(logits, labels, "accuracy") == 0.75
    assert validation_metric(logits, labels, "balanced_accuracy") == 0.75
    assert validation_metric(logits, torch.tensor([0, 0, 0, -100]), "accuracy") == pytest.approx(2 / 3)
    assert validation_metric(logits, torch.full((4,), -100), "accuracy") == 0
    assert validation_metric(logits, labels, "loss") == pytest.approx(
        -torch.nn.functional.cross_entropy(logits, labels).item()
    )


# ----------------------------------------------------------------------------------------- the reports
def test_reports_are_written_without_their_label_sentence() -> None:
    told = ManifestRow(participant_id="p", scan_id="s", image="x", diagnosis="AD", hippocampus_mm3=5000)
    bare = ManifestRow(participant_id="p", scan_id="t", image="x", diagnosis="AD")
    for template in ("deft", "/somewhere/mine.j2"):
        found = unlabelled_texts([told, bare], template)
        assert list(found) == ["s"]
        assert "5000.00" in found["s"].text
        assert "AD" not in found["s"].text


# --------------------------------------------------------------------------------------------- the sites
def test_the_site_probe_says_what_it_found() -> None:
    rng = np.random.default_rng(0)
    rows = [
        ManifestRow(participant_id=f"p{n // 2}", scan_id=f"s{n}", image="x", site="AB"[n // 2 % 2])
        for n in range(60)
    ]
    noise = {row.scan_id: rng.normal(size=5) for row in rows}
    marked = {row.scan_id: noise[row.scan_id] + 4 * (row.site == "A") for row in rows}
    plain, found = probe_sites(rows, noise, resamples=200), probe_sites(rows, marked, resamples=200)
    assert plain is not None
    assert found is not None
    assert (found.largest, found.sites) == (0.5, ("A", "B"))
    assert "(2 sites)" in found.sentence
    assert "of 60 scans of 30 participants" in found.sentence
    assert found.sentence.endswith("The embeddings hold the site: look at the scores by site.")
    assert plain.sentence.endswith("That is not above chance beyond its interval.")
    assert probe_sites(rows[:4], noise) is None
