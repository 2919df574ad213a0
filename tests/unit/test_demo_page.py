"""The page of the demo prints every comparator that was computed, and how fine-tuning stands to the linear probe; a demo that was killed begins anew."""

from pathlib import Path
from typing import Any

import pytest

from voxtune.commands.demo import PAGE, demo
from voxtune.evaluation.baselines import BASELINES
from voxtune.pages.demo_page import MODELS, demo_page, probe_line


def one(value: float | None, low: float | None = None, high: float | None = None) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high, "n_scans": 90, "n_participants": 40}


def facts(**metrics: Any) -> dict[str, Any]:
    known = {
        f"baseline/{name}/accuracy": one(0.4 + place / 100, 0.3, 0.6) for place, name in enumerate(BASELINES)
    }
    return {
        "seed": 0,
        "metrics": {"accuracy": one(0.8, 0.7, 0.9), "n_participants": 40, "n_scans": 90, **known, **metrics},
        "heads": [],
        "cohort": {"scans": 300, "participants": 200, "classes": {}, "sides": {}},
        "limits": {
            "best_possible": {"accuracy": 0.897},
            "rules": {
                "volumes": 0.824,
                "ventricles": 0.611,
                "age_sex": 0.402,
                "voxel_count": 0.633,
                "mean_intensity": 0.351,
            },
        },
        "explanation": {"scan": "s", "probability": 0.9, "drops": [{"region": "hippocampus", "drop": 0.3}]},
    }


def test_every_comparator_that_was_computed_is_printed() -> None:
    page = demo_page(facts(), {}, {"participants": {"val": 30}})
    for place, name in enumerate(BASELINES):
        assert f"baseline/{name}/accuracy" in dict(MODELS), f"{name} has no name on the page"
        assert f"{40 + place:.1f}% (95% interval 30.0% to 60.0%)" in page
    for share in ("89.7%", "82.4%", "61.1%", "40.2%", "63.3%", "35.1%"):
        assert share in page
    assert "true posterior" in page
    assert "hope for" not in page


@pytest.mark.parametrize(
    ("difference", "said"),
    [
        (one(0.05, 0.01, 0.09), "beats the linear probe: +5.0 points (95% interval +1.0 to +9.0)"),
        (one(-0.05, -0.09, -0.01), "loses to the linear probe: -5.0 points"),
        (one(0.02, -0.01, 0.05), "is not told apart from the linear probe"),
        (one(-0.02, -0.05, 0.01), "is behind, within chance, the linear probe"),
        (one(-0.02), "is behind, within chance, the linear probe: -2.0 points."),
        (one(None), ""),
    ],
)
def test_the_line_of_the_probe(difference: dict[str, Any], said: str) -> None:
    metrics = {"against/linear_probe/accuracy": difference}
    assert said in probe_line(metrics)
    assert probe_line(metrics) in demo_page(facts(**metrics), {}, {"participants": {"val": 30}})
    assert probe_line({}) == ""


class Killed(BaseException):
    """As by a signal."""


def test_a_demo_that_was_killed_begins_anew_and_shows_no_older_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from voxtune.commands.simulate import command

    def killed(*_: object, **__: object) -> Path:
        assert not (tmp_path / PAGE).exists()
        (tmp_path / "cohort" / "scans").mkdir(parents=True, exist_ok=True)
        (tmp_path / "cohort" / "scans" / "a.nii.gz").touch()
        raise Killed

    monkeypatch.setattr(command, "simulate", killed)
    (tmp_path / ".part-0-1-a.json").touch()  # killed while it marked the folder as its own
    for _ in range(2):
        with pytest.raises(Killed):
            demo(tmp_path, say=lambda _: None)
        (tmp_path / PAGE).write_text("of an earlier demo")
