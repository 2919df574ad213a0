"""What a dry run expects: monotone in what there is to do, taken from finished cells where there are some."""

import pytest

from voxtune.commands.reproduce import cost
from voxtune.commands.reproduce.cost import embedded_bytes, estimate, kind_of
from voxtune.commands.reproduce.paper import Cell
from voxtune.training.plan import default_steps
from voxtune_recipes.paper_deft import compared


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "operations_a_second", lambda: 1e11)


def cell(base: str = "m3d", system: str = "ours", share: float | None = None) -> Cell:
    return Cell(compared(base)[system], "zero_shot" if system == "zero-shot" else "trained", share)


def seconds(*cells: Cell, parameters: int = 88_000_000) -> float:
    found = estimate(cells, 250, parameters, {}).seconds
    assert found is not None
    return found


def test_more_to_do_costs_more() -> None:
    assert estimate((), 250, 1, {}) == cost.Cost(0.0, 0.0, 0.0)
    assert seconds(cell("m3d", "zero-shot")) < seconds(cell()) < seconds(cell("m3d", "full"))
    assert seconds(cell(), cell()) == pytest.approx(2 * seconds(cell()))
    assert seconds(cell(share=0.5)) < seconds(cell())
    frozen, whole = (estimate((cell("m3d", one),), 250, 88_000_000, {}) for one in ("ours", "full"))
    assert whole.memory_bytes > frozen.memory_bytes
    assert whole.disk_bytes > frozen.disk_bytes


def test_a_step_of_m3d_is_its_parameters_times_its_tokens() -> None:
    scans, parameters, tokens = 250, 88_000_000, 32 * 8 * 8
    operations = default_steps(scans) * 16 * 2 * 2 * parameters * tokens
    expected = cost.OVERHEAD_SECONDS + operations / (cost.EFFICIENCY * 1e11)
    assert seconds(cell()) == pytest.approx(expected)
    assert embedded_bytes(cell(), 10) == 4 * 10 * tokens * 768


def test_finished_cells_of_the_kind_know_better() -> None:
    assert kind_of(cell("tiny")) == "tiny/trained"
    assert estimate((cell("tiny"),) * 3, 250, 0, {"tiny/trained": 7.0}).seconds == 21.0


def test_what_cannot_be_known_is_said() -> None:
    assert estimate((cell("medclip", "ours"),), 250, 0, {}).seconds is None
