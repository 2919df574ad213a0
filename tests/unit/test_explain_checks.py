"""The checks of an explanation on maps whose answer is known: regions, truth, order of hiding, intervals, what the page then says."""

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import false_discovery_control

from voxtune.explanation.cohort_summary import tokens_of
from voxtune.explanation.faithfulness import CELLS, faithfulness
from voxtune.explanation.intervals import mean_interval
from voxtune.explanation.localisation import changed_voxels, localise
from voxtune.explanation.occlusion import occlusion_drops, painted, score_altered
from voxtune.explanation.region_table import benjamini_hochberg, region_table, share_in
from voxtune.explanation.regions import blocks, brain_atlas
from voxtune.explanation.scan_explanation import columns_of, heat_outside, region_of
from voxtune.explanation.scan_reports import facts_row, reports_of_text
from voxtune.explanation.target import Target
from voxtune.explanation.verdicts import hottest, panel_verdict, verdicts, warnings
from voxtune.imaging.template import brain_mask, field_of_view
from voxtune.model.vlm import ImageFeatures
from voxtune.pages.explain_figures import coloured, heat_figure, panel_figure, viewer
from voxtune.pages.explain_page import words
from voxtune.pages.slices import cut
from voxtune.profiles.dementia import PROFILE as DEMENTIA
from voxtune.simulate.atlas import SIZE
from voxtune.types.volume import Volume

HIPPOCAMPUS = DEMENTIA.regions["hippocampus_mm3"].labels
HIPPOCAMPI = np.isin(brain_atlas(64).labels, HIPPOCAMPUS)


class Mean(torch.nn.Module):
    """A 'model' whose score is the mean brightness inside a box: what matters is known."""

    def __init__(self, box: torch.Tensor) -> None:
        super().__init__()
        self.box = box

    def encode_image(self, volumes: torch.Tensor) -> ImageFeatures:
        return ImageFeatures((volumes * self.box).flatten(1).sum(dim=1, keepdim=True) / self.box.sum(), None)


def boxed() -> tuple[Mean, torch.Tensor, Target, np.ndarray]:
    box = torch.zeros(32, 32, 32)
    box[8:16, 8:16, 8:16] = 1
    volume = torch.rand(1, 32, 32, 32, generator=torch.Generator().manual_seed(0)) * 0.01
    volume[0, 10:14, 10:14, 10:14] = 1  # bright inside the box, and as bright elsewhere
    volume[0, 20:24, 20:24, 20:24] = 1
    target = Target("x", "class", "the brightness", lambda image: image.vector[:, 0])
    return Mean(box), volume, target, box.numpy()


def test_a_map_of_what_matters_beats_random_orders() -> None:
    model, volume, target, box = boxed()
    good = {one.kind: one for one in faithfulness(model, volume, box, target, seed=0)}  # type: ignore[arg-type]
    bad = {one.kind: one for one in faithfulness(model, volume, 1 - box, target, seed=0)}  # type: ignore[arg-type]
    assert good["deletion"].p < 0.06
    assert good["insertion"].p < 0.06
    assert good["deletion"].area < good["deletion"].random_area < bad["deletion"].area
    assert bad["deletion"].p > 0.5
    assert good["deletion"].scores[0] == pytest.approx(good["insertion"].scores[-1], abs=1e-6)
    assert good["deletion"].scores[-1] == pytest.approx(good["insertion"].scores[0], abs=1e-6)


def test_occlusion_finds_the_block_that_matters() -> None:
    model, volume, target, _ = boxed()
    atlas = blocks((32, 32, 32))
    drops = occlusion_drops(model, volume, atlas, target.score)  # type: ignore[arg-type]
    assert max(drops, key=lambda one: drops[one]) == atlas.labels[8, 8, 8]
    heat = painted(drops, atlas)
    assert heat.sum() == pytest.approx(sum(drops.values()), rel=1e-3)
    assert set(np.unique(atlas.labels)) == set(range(1, 65))


def test_altered_scans_are_scored_one_by_one_or_together() -> None:
    model, volume, target, _ = boxed()
    many = [volume * (n / 10) for n in range(10)]
    expected = [float(target.score(model.encode_image(one[None]))[0]) for one in many]
    assert score_altered(model, target.score, iter(many)) == pytest.approx(expected)  # type: ignore[arg-type]


def test_heat_in_the_hippocampi_is_found_there() -> None:
    heat = Volume(HIPPOCAMPI.astype(np.float32), field_of_view(64))
    table = region_table(heat, seed=0, draws=200)
    assert {table[0].region, table[1].region} == {"left hippocampus", "right hippocampus"}
    assert table[0].share + table[1].share == pytest.approx(1, abs=1e-6)
    assert table[0].p < 0.01
    assert table[0].share > table[0].null_high
    assert table[2].share == 0
    assert table[2].p > 0.9
    assert [asdict(one) for one in table] == [asdict(one) for one in region_table(heat, seed=0, draws=200)]
    assert share_in(heat.voxels, HIPPOCAMPUS) == pytest.approx(1)
    assert np.isnan(share_in(0 * heat.voxels, HIPPOCAMPUS))


def test_an_even_map_is_nowhere_special() -> None:
    table = region_table(Volume(np.ones((64, 64, 64), np.float32), field_of_view(64)), seed=0, draws=50)
    for one in table:
        assert one.share == pytest.approx(one.volume_share)
        assert one.p == 1
    assert sum(one.share for one in table) <= 1


def test_a_finer_map_gives_the_same_table() -> None:
    fine = np.isin(brain_atlas(128).labels, HIPPOCAMPUS).astype(np.float32)
    table = region_table(Volume(fine, field_of_view(128)), seed=0, draws=20)
    assert {table[0].region, table[1].region} == {"left hippocampus", "right hippocampus"}


def test_benjamini_and_hochberg_as_scipy() -> None:
    p = np.random.default_rng(0).uniform(size=40) ** 2
    assert np.allclose(benjamini_hochberg(p), false_discovery_control(p))


def test_localisation_of_known_maps() -> None:
    atrophy = 0.05 * brain_mask(64).astype(np.float32)
    atrophy[HIPPOCAMPI] = 0.5
    changed = changed_voxels(-atrophy)
    assert changed is not None
    assert (changed == (HIPPOCAMPI & brain_mask(64))).all()
    perfect = localise(changed.astype(np.float32), changed)
    assert (perfect.auc, perfect.hit, perfect.heat_share) == (1, 1, 1)
    inverse = localise(-changed.astype(np.float32), changed)
    assert inverse.auc == 0
    level = localise(np.ones((64, 64, 64), np.float32), changed)
    assert level.auc == pytest.approx(0.5)
    assert level.hit == pytest.approx(level.changed_share)
    assert level.heat_share == pytest.approx(level.changed_share)
    noise = localise(np.random.default_rng(0).random((64, 64, 64)).astype(np.float32), changed)
    assert noise.auc == pytest.approx(0.5, abs=0.02)
    assert changed_voxels(atrophy / 100) is None


def test_the_truth_and_the_atlas_agree() -> None:
    """What the simulator calls hippocampus is where this atlas has it."""
    from voxtune.simulate.atlas import MAPS, atlas

    theirs = atlas().maps.reshape(SIZE, SIZE, SIZE, len(MAPS))[..., MAPS.index("hippocampus")]
    assert theirs[HIPPOCAMPI].sum() > 0.6 * theirs.sum()


def test_means_have_intervals_over_participants() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(3, 1, 40)
    found = mean_interval(values.tolist(), [str(n) for n in range(40)], ["a"] * 40)
    assert found["value"] == pytest.approx(values.mean())
    assert found["low"] is not None
    assert found["high"] is not None
    half = (found["high"] - found["low"]) / 2
    assert half == pytest.approx(2.02 * values.std(ddof=1) / np.sqrt(40), rel=0.15)
    twice = mean_interval([*values, *values], [str(n % 40) for n in range(80)], ["a"] * 80)
    assert twice["n_participants"] == 40
    assert twice["high"] - twice["low"] == pytest.approx(2 * half, rel=0.1)  # type: ignore[operator]
    assert mean_interval([1.0], ["p"], ["a"])["low"] is None
    assert mean_interval([float("nan")], ["p"], ["a"])["value"] is None


def facts(**changes: Any) -> dict[str, Any]:
    curve = {"kind": "deletion", "p": 0.01, "area": 0.0, "random_area": 1.0}
    return {
        "limit": 0.3, "shuffled_weights": {"correlations": [0.1, 0.2], "mean": 0.15}, "shuffled_labels": None, "control": "no control", "control_empty": False,
        "other_targets": {"NC": -0.5}, "curves": [curve],
    } | changes  # fmt: skip


def test_a_good_map_passes_and_warns_of_nothing() -> None:
    rows = verdicts(facts(), {"completeness_error": 1e-6})
    assert warnings(rows) == []
    assert {row["kind"] for row in rows} == {"pass", "soft"}


@pytest.mark.parametrize(
    "broken",
    [
        {"shuffled_weights": {"correlations": [0.5], "mean": 0.5}},
        {"shuffled_labels": 0.8},
        {"curves": [{"kind": "deletion", "p": 0.4, "area": 1.0, "random_area": 1.0}]},
    ],
)
def test_a_bad_map_warns_at_the_top(broken: dict[str, Any]) -> None:
    [warning] = warnings(verdicts(facts(**broken), None))
    assert warning.startswith("Do not lean on this explanation.")


def test_an_empty_map_says_so() -> None:
    assert "empty" in warnings(verdicts(facts(), None, peak=0.0))[0]


def test_a_region_is_claimed_only_where_the_moved_map_seldom_gives_it_as_much() -> None:
    def region(name: str, share: float, p: float) -> dict[str, Any]:
        return {"region": name, "share": share, "p": p}

    some = [region("fusiform", 0.23, 0.4), region("hippocampus", 0.12, 0.03), region("insula", 0.1, 0.5)]
    assert hottest(some) == "Hottest: hippocampus 12% (p 0.030)."
    assert hottest(some[:1]) == "No region stands out (most heat: fusiform 23%, p 0.400)."
    assert hottest([]) == ""


def test_one_biomarker_moves_the_heat_or_the_page_says_that_it_does_not() -> None:
    shares = [
        {"row": "AD", "biomarker": name, "alone": 0.2, "full": full}
        for name, full in (("a", 0.1), ("b", 0.3))
    ]
    assert "does not clearly move" in panel_verdict(shares, "AD")
    assert "biomarker moves the heat" in panel_verdict(shares[:1], "AD")
    assert "no heat" in panel_verdict(shares, "NC")


def test_reports_by_hand() -> None:
    given = reports_of_text("A photo of MCI. Hippocampal volume: 5.00 mm^3.", ("NC", "AD"), DEMENTIA)
    assert given == {name: f"A photo of {name}. Hippocampal volume: 5.00 mm^3." for name in ("NC", "AD")}
    assert reports_of_text("No effusion.", ("NC", "AD"), DEMENTIA) == {"report": "No effusion."}
    assert facts_row({"hippocampus_mm3": "5000"}).hippocampus_mm3 == 5000
    assert columns_of(given, ("hippocampus",), DEMENTIA) == {"hippocampus": "Hippocampal volume"}
    assert region_of("Hippocampal volume", DEMENTIA) == region_of("hippocampus_mm3", DEMENTIA) == HIPPOCAMPUS
    assert region_of("Whole brain volume", DEMENTIA) == ()


def test_tokens_keep_the_label_sentence_apart() -> None:
    texts = ["A", "photo", "of", "AD.", "Hippocampal", "volume:", "5000.00", "mm^3."]
    said = {"report": " ".join(texts), "words": [{"text": one, "value": 1.0, "part": "Hippocampal volume" if n > 3 else None} for n, one in enumerate(texts)]}  # fmt: skip
    found = tokens_of(said, DEMENTIA)
    assert found == {"label sentence": 4.0, "hippocampal": 1.0, "volume": 1.0, "value of Hippocampal volume": 1.0, "mm^3": 1.0}  # fmt: skip


def test_left_is_left_and_up_is_up() -> None:
    left = np.where(np.arange(64)[:, None, None] < 32, HIPPOCAMPI, 0).astype(
        np.float32
    )  # RAS: x grows to the right
    picture = cut(left, "coronal", 0.48)
    assert picture[:, 32:].sum() > 0, "radiological: the person's left is on the right of the picture"
    assert picture[:, :32].sum() == 0
    assert np.argwhere(picture)[:, 0].mean() < 32, "hippocampi lie below the middle, and rows go up"


def test_colours_and_figures() -> None:
    colours = coloured(np.array([-1.0, 0.0, 1.0], np.float32))
    assert colours[0, 2] > colours[0, 0]
    assert colours[1, 3] == 0
    assert colours[2, 0] > colours[2, 2]
    scan = Volume(brain_mask(64).astype(np.float32), field_of_view(64))
    heat = Volume(HIPPOCAMPI.astype(np.float32), field_of_view(64))
    figure = heat_figure(scan, heat, "what it means")
    assert "what it means" in {axis.get_xlabel() for axis in figure.axes}
    letters = [text.get_text() for axis in figure.axes[:12] for text in axis.texts]
    assert letters.count("L") == letters.count("R") == 8
    shown = viewer(scan, heat)
    assert "background: #000" in shown.split("</head>")[0], "readable on a light page and on a dark one"
    panel = panel_figure(scan, {("NC", "a"): heat, ("AD", "a"): heat, ("AD", "b"): heat}, "heat")
    assert [axis.get_title() for axis in panel.axes[:2]] == ["a", "b"]


def test_the_viewer_opens_at_the_hottest_place_on_black_ground(monkeypatch: pytest.MonkeyPatch) -> None:
    import nilearn.plotting

    asked: dict[str, Any] = {}
    real = nilearn.plotting.view_img

    def spy(*given: Any, **named: Any) -> Any:
        asked.update(named)
        return real(*given, **named)

    monkeypatch.setattr(nilearn.plotting, "view_img", spy)
    affine = np.diag([7.5, 5.0, 5.0, 1.0])
    affine[:3, 3] = (-100, 20, 600)
    lungs = np.full((48, 64, 64), -1000.0, np.float32)
    lungs[10:30] = 40
    heat = np.zeros_like(lungs)
    heat[20, 30, 40] = 1
    viewer(Volume(lungs, affine), Volume(heat, affine))
    assert asked["cut_coords"] == pytest.approx((-100 + 7.5 * 20, 20 + 5 * 30, 600 + 5 * 40))
    assert asked["bg_img"].get_fdata().min() == 0, "what resampling adds is 0: it must be the darkest"


def test_heat_where_nothing_was_scanned_is_warned_of() -> None:
    scan = np.full((8, 8, 8), -1000, np.float32)
    scan[:4] = 40
    heat = np.zeros_like(scan)
    heat[3], heat[4] = 1, 3
    place = field_of_view(8)
    share = heat_outside(Volume(heat, place), Volume(scan, place))
    assert share == pytest.approx(0.75)
    assert heat_outside(Volume(0 * heat, place), Volume(scan, place)) is None
    row = next(row for row in verdicts(facts(outside=share), None) if "scanned" in row["check"])
    assert "75%" in row["found"]
    assert warnings([row])
    assert (
        next(row for row in verdicts(facts(outside=0.2), None) if "scanned" in row["check"])["kind"] == "pass"
    )


def test_words_are_escaped_and_coloured() -> None:
    shown = words(
        {"words": [{"text": "<b>", "value": 1.0, "part": None}, {"text": "no", "value": -0.5, "part": None}]}
    )
    assert "<b>" not in shown
    assert "&lt;b&gt;" in shown
    assert "230, 120, 20, 0.750" in shown
    assert "40, 120, 220, 0.375" in shown


def test_cells_cover_the_volume() -> None:
    assert len(np.unique(blocks((64, 48, 40), CELLS).labels)) == CELLS**3
