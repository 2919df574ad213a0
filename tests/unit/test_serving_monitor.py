"""What a server knows of drift: counts and sums, few false alarms however long it runs, a real shift soon."""

import json

import numpy as np

from voxtune.serving.monitor import FIRST_LOOK, Monitor, moments

RNG = np.random.default_rng(0)


def kept(people: int, rng: np.random.Generator) -> dict[str, dict[str, float]]:
    return moments({name: tuple(sorted(rng.normal(size=people).tolist())) for name in ("distance", "dice")})


def fed(monitor: Monitor, scans: int, rng: np.random.Generator, shift: float = 0.0) -> Monitor:
    for _ in range(scans):
        monitor.add({"distance": rng.normal() + shift, "dice": rng.normal()}, "answer with caution: x")
    return monitor


def test_a_shift_is_seen_and_scans_alike_hardly_ever() -> None:
    rng = np.random.default_rng(1)
    alarms = sum(bool(fed(Monitor(kept(40, rng)), 320, rng).found) for _ in range(100))
    assert alarms <= 11, "at most 5 of 100 servers on average; more than 11 of 100 has a chance below 1%"
    moved = fed(Monitor(kept(40, rng)), FIRST_LOOK, rng, shift=2.0)
    assert moved.found == {"distance": FIRST_LOOK}
    assert moved.state == "drift"
    assert "differ from those the adapter was made with in distance (seen at scan 20)" in moved.sentence
    assert fed(moved, 20, rng).state == "drift", "what was seen is not forgotten"


def test_nothing_of_a_scan_stays() -> None:
    monitor = fed(Monitor(kept(40, RNG)), 5, RNG)
    assert monitor.state == "too few scans"
    assert monitor.sentence.startswith("5 scans so far; from 20 on")
    one = monitor.sums["distance"]
    assert vars(one).keys() == {"count", "total", "squares"}
    said = json.loads(json.dumps(monitor.as_json()))
    assert said["verdicts"] == {"answer with caution": 5}
    assert said["next_look"] == 20
    assert fed(monitor, 20, RNG).sentence.startswith(
        "No drift found in 25 scans; looked once, the next time at 40"
    )


def test_an_adapter_that_keeps_nothing_is_not_watched() -> None:
    monitor = fed(Monitor(), 30, RNG)
    assert (monitor.state, monitor.scans, monitor.sums) == ("not known", 30, {})
    assert "keeps nothing" in monitor.sentence


def test_sums_are_means_and_variances_and_a_figure_that_never_varies_is_left_out() -> None:
    values = RNG.normal(3, 2, 50)
    monitor = Monitor({"dice": {"count": 10, "mean": 0.0, "variance": 0.0}})
    for value in values:
        monitor.add({"other": value, "dice": 1.0}, "answer")
    assert (monitor.found, monitor.sums["dice"].variance) == ({}, 0.0)
    free = Monitor({"other": {"count": 10, "mean": 3.0, "variance": 4.0}})
    for value in values:
        free.add({"other": value}, "answer")
    assert np.isclose(free.sums["other"].mean, values.mean())
    assert np.isclose(free.sums["other"].variance, values.var(ddof=1))
    assert moments({"a": (1.0, 3.0)}) == {"a": {"count": 2.0, "mean": 2.0, "variance": 2.0}}
