"""Earlier scans beside the one that is answered: which are read, what is said of the others, and where the picture changed."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from voxtune.errors import ScanError
from voxtune.imaging.change import grey_change
from voxtune.model.visits import VisitJoin
from voxtune.pages.layout import render
from voxtune.pages.visits_section import visits_section
from voxtune.serving.visits import EarlierScan, change_since, read_together
from voxtune.types.verdict import Verdict
from voxtune.types.visits import VisitsRead
from voxtune.types.volume import Volume

WIDTH = 8


def now() -> Any:
    prediction = SimpleNamespace(scan_id="now", probabilities={"1 year": 0.2})
    return SimpleNamespace(prediction=prediction, logits=torch.zeros(1, 2), vector=torch.ones(1, WIDTH))


def earlier(name: str, years: float, left_out: str | None = None) -> EarlierScan:
    if left_out:
        return EarlierScan(name, years, left_out=left_out)
    return EarlierScan(name, years, torch.full((1, 2), years), torch.full((1, WIDTH), 1 + years))


def join(most: int = 3) -> VisitJoin:
    found, draw = VisitJoin(WIDTH, most), torch.Generator().manual_seed(0)
    found.weights.copy_(0.01 * torch.randn(found.weights.shape, generator=draw))
    found.directions.copy_(torch.randn(found.directions.shape, generator=draw))
    return found


def test_the_nearest_are_read_and_what_is_left_out_is_said() -> None:
    some = [earlier("c", 3.0), earlier("a", 1.0), earlier("b", 2.0, "failed the quality check")]
    logits, visits = read_together(join(), now(), some)
    assert [(one.scan, one.left_out) for one in visits.earlier] == [
        ("a", None),
        ("b", "failed the quality check"),
    ]
    assert visits.lost == "an earlier scan is not read (b: failed the quality check)"
    assert visits.sentence == "read together with a (1.00 years before)"
    assert visits.alone == {"1 year": 0.2}
    assert torch.equal(logits, read_together(join(), now(), some[1:2])[0])
    assert not torch.equal(logits, torch.zeros(1, 2))
    nobody, visits = read_together(join(), now(), [earlier("x", 1.0, "broken"), earlier("y", 2.0, "broken")])
    assert torch.equal(nobody, torch.zeros(1, 2))
    assert visits.sentence == "read alone: no earlier scan could be read"
    assert visits.lost == "2 earlier scans are not read (x: broken; and others)"
    assert VisitsRead(earlier=()).lost is None


def test_an_adapter_that_learned_nothing_of_change_says_so_and_shows_the_pictures() -> None:
    logits, visits = read_together(
        VisitJoin(WIDTH, 3), now(), [earlier("a", 1.0), earlier("b", 2.0, "broken")]
    )
    assert torch.equal(logits, torch.zeros(1, 2))
    assert visits.read == ()
    assert [one.scan for one in visits.compared] == ["a"]
    assert visits.sentence == "read alone: this adapter learned nothing from what changes between scans"
    assert visits.lost == "an earlier scan is not read (b: broken)"
    lost = VisitsRead.model_validate(
        {"earlier": [{"scan": "b", "years": 2, "left_out": "broken"}], "unused": "why"}
    )
    assert lost.sentence == "read alone: no earlier scan could be read"
    page = render("scan_visits.html.j2", {"visits": visits_section(visits, now().prediction), "change_maps": ()}, title="", simulated=False)  # fmt: skip
    assert "not read: this adapter learned nothing" in page
    assert "with the earlier ones" not in page


def test_the_scan_itself_is_no_earlier_visit() -> None:
    again = EarlierScan("again", 1.0, torch.zeros(1, 2), torch.ones(1, WIDTH))
    logits, visits = read_together(join(), now(), [again])
    assert torch.equal(logits, torch.zeros(1, 2))
    assert visits.lost == "an earlier scan is not read (again: it is the same picture as the scan itself)"


@pytest.mark.parametrize("years", [0.0, -1.0, float("nan"), float("inf")])
def test_a_scan_that_is_not_from_before_the_moment_is_refused(years: float) -> None:
    with pytest.raises(ScanError, match="'late' is not from before it"):
        read_together(join(), now(), [earlier("late", years)])


@pytest.mark.parametrize("model", [None, VisitJoin(WIDTH, 1)])
def test_a_model_of_one_scan_reads_no_other(model: VisitJoin | None) -> None:
    with pytest.raises(ScanError, match="reads each scan alone"):
        read_together(model, now(), [earlier("a", 1.0)])


def test_an_earlier_scan_is_known_by_its_answer() -> None:
    found: Any = SimpleNamespace(
        caveats=SimpleNamespace(verdict=Verdict("no answer", ("unlike", "foreign"))),
        logits=None,
        vector=None,
        preprocessed=SimpleNamespace(volume=None),
    )
    assert EarlierScan.of("a", 1.0, found).left_out == "unlike; foreign"
    assert EarlierScan.of("a", 1.0, "cannot be read").left_out == "cannot be read"


# -------------------------------------------------------------------------------------------------- the picture
def head(seed: int = 0) -> np.ndarray:
    voxels = np.zeros((16, 16, 16), dtype=np.float32)
    voxels[3:13, 3:13, 3:13] = np.random.default_rng(seed).uniform(0.2, 1.0, (10, 10, 10))
    return voxels


def test_another_brightness_is_no_change_and_a_change_is_where_it_is() -> None:
    before = head()
    brighter = np.where(before > 0, 0.3 + 0.5 * before, 0).astype(np.float32)
    assert np.abs(grey_change(before, brighter)).max() < 1e-4
    now = before.copy()
    now[6:9, 6:9, 6:9] = 0.2
    found = grey_change(now, before)
    assert found[7, 7, 7] < -0.3, "darker than it was"
    assert np.abs(found[:3]).max() == 0, "nothing outside the head"
    assert np.abs(found).max() <= 1
    flat = np.ones((4, 4, 4), dtype=np.float32)
    assert not grey_change(flat, flat).any()
    assert not grey_change(head(), np.where(head() > 0, 0.5, 0).astype(np.float32)).any(), (
        "a head of one grey"
    )


def test_a_map_is_since_the_earliest_scan_that_was_read_and_of_registered_heads_alone() -> None:
    from voxtune.data.images import load_preset

    volume = Volume(head(), np.eye(4))
    some = [
        EarlierScan("a", 1.0, volume=volume),
        EarlierScan("b", 2.0, volume=volume),
        EarlierScan("c", 3.0, left_out="broken"),
    ]
    listed = [{"scan": one.name, "years": one.years, "left_out": one.left_out} for one in some]
    visits = VisitsRead.model_validate({"earlier": listed})
    found = change_since(visits, volume, some, load_preset("tiny"))
    assert found is not None
    assert found[0].name == "b"
    assert change_since(None, volume, some, load_preset("tiny")) is None
    assert change_since(VisitsRead(earlier=visits.earlier[2:]), volume, some, load_preset("tiny")) is None
    assert change_since(visits, volume, some, load_preset("ct_clip_small")) is None
