"""Several scans of one person: any number at any times, one scan as it is, and never a scan from after the moment."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from voxtune.data.follow_up import Earlier, earlier_scans, follow_up
from voxtune.errors import DataError, TableError
from voxtune.evaluation.survival import hazard_cells, life_table
from voxtune.model.visits import (
    FARTHEST,
    Histories,
    VisitJoin,
    VisitSide,
    directions_of,
    histories_of,
    joined_logits,
    learn_visits,
)
from voxtune.types.event import Event
from voxtune.types.records import ManifestRow

WIDTH = 8


def row(person: str, name: str, when: object = 0.0, **more: object) -> ManifestRow:
    return ManifestRow.model_validate(
        {"participant_id": person, "scan_id": name, "image": f"{name}.nii", "visit_years": when} | more
    )


def taught(most: int = 4, seed: int = 0) -> VisitJoin:
    join, draw = VisitJoin(WIDTH, most), torch.Generator().manual_seed(seed)
    join.directions.copy_(torch.randn(join.directions.shape, generator=draw))
    join.weights.copy_(torch.randn(join.weights.shape, generator=draw))
    return join


def answers(seed: int, count: int) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(count, 2, generator=draw), torch.nn.functional.normalize(
        torch.randn(count, WIDTH, generator=draw), dim=1
    )


people = st.lists(st.tuples(st.integers(0, 3), st.floats(0, 8, allow_nan=False)), min_size=1, max_size=12)


# ------------------------------------------------------------------------------------------------- which scans
@settings(max_examples=100, deadline=None)
@given(people, st.integers(1, 5))
def test_only_earlier_scans_of_the_same_person_the_nearest_first(
    some: list[tuple[int, float]], most: int
) -> None:
    rows = [row(f"P{person}", f"s{place}", when) for place, (person, when) in enumerate(some)]
    found = earlier_scans(rows, rows, most)
    for one in rows:
        mine = found.get(one.scan_id, ())
        now = float(one.model_extra["visit_years"])  # type: ignore[index]
        assert len(mine) <= most - 1
        assert all(other.row.participant_id == one.participant_id for other in mine)
        assert all(float(other.row.model_extra["visit_years"]) < now for other in mine)  # type: ignore[index]
        assert [other.years for other in mine] == sorted(other.years for other in mine)
        assert all(
            other.years > 0 or now - float(other.row.model_extra["visit_years"]) < 1e-6 for other in mine
        )  # type: ignore[index]


def test_a_scan_without_a_time_is_before_nothing_and_after_nothing() -> None:
    rows = [row("A", "a", 0.0), row("A", "b", "n/a"), row("A", "c", 2.0), row("B", "d", 1.0)]
    assert {
        name: [one.row.scan_id for one in some] for name, some in earlier_scans(rows, rows, 5).items()
    } == {"c": ["a"]}
    with pytest.raises(TableError, match="visit_years"):
        earlier_scans([row("A", "a", "soon")], [row("A", "a", "soon")], 2)


def test_scans_that_are_read_together_must_have_times() -> None:
    undated = [row("A", "a", 0.0), row("A", "b", "n/a")]
    with pytest.raises(DataError, match="Scan 'b' of participant 'A' has no visit_years"):
        histories_of(undated, 2)
    assert histories_of(undated, 1) == [[], []], "each scan alone"
    assert histories_of([row("A", "a", "n/a"), row("B", "b", 0.0)], 2) == [[], []], "one scan each"
    with pytest.raises(DataError, match="12 months are 1"):
        histories_of([row("A", "a", 0), row("A", "b", 36)], 2)


def leaks(
    find: Callable[[Sequence[ManifestRow], int], Histories], rows: list[ManifestRow], most: int
) -> bool:
    """Whether what is said of some scan changes with scans that were made at its moment or after it."""
    join = taught(most)
    logits, vectors = answers(1, len(rows))
    whole = join.joined(logits, vectors, find(rows, most))
    for place, one in enumerate(rows):
        now = float(one.model_extra["visit_years"])  # type: ignore[index]
        kept = [
            n for n, other in enumerate(rows) if n == place or float(other.model_extra["visit_years"]) < now
        ]  # type: ignore[index]
        alone = join.joined(logits[kept], vectors[kept], find([rows[n] for n in kept], most))
        if not torch.equal(alone[kept.index(place)], whole[place]):
            return True
    return False


@settings(max_examples=40, deadline=None)
@given(people)
def test_no_scan_from_the_moment_or_after_it_is_ever_read(some: list[tuple[int, float]]) -> None:
    rows = [row(f"P{person}", f"s{place}", when) for place, (person, when) in enumerate(some)]
    assert not leaks(histories_of, rows, 4)


@pytest.mark.parametrize("how", ["later", "same day"])
def test_the_check_of_leaks_finds_one(how: str) -> None:
    """The property above is no empty one: a reader that looks at later scans, or at those of the same day, fails it."""
    rows = [row("A", "a", 0.0), row("A", "b", 1.0), row("A", "c", 1.0), row("A", "d", 2.5)]

    def wrong(rows: Sequence[ManifestRow], most: int) -> Histories:
        when = [float(one.model_extra["visit_years"]) for one in rows]  # type: ignore[index]
        other = (lambda a, b: b > a) if how == "later" else (lambda a, b: b == a)
        return [
            [(n, 1.0) for n in range(len(rows)) if n != place and other(when[place], when[n])][: most - 1]
            for place in range(len(rows))
        ]

    assert leaks(wrong, rows, 4)
    assert not leaks(histories_of, rows, 4)


# ------------------------------------------------------------------------------------------------- what is read
def test_one_scan_is_as_it_was_to_the_bit_and_so_is_a_model_without_weights() -> None:
    logits, vectors = answers(2, 4)
    logits[0] = -0.0
    rows = [row("A", "a", 0.0), row("B", "b", 0.0), row("B", "c", 1.0), row("C", "d", "n/a")]
    found = joined_logits(taught(), rows, vectors, logits)
    assert torch.equal(found[[0, 1, 3]].view(torch.int32), logits[[0, 1, 3]].view(torch.int32))
    assert not torch.equal(found[2], logits[2])
    assert joined_logits(None, rows, vectors, logits) is logits
    assert joined_logits(VisitJoin(WIDTH, 4), rows, vectors, logits) is logits


@settings(max_examples=30, deadline=None)
@given(people, st.randoms(use_true_random=False))
def test_the_order_of_rows_says_nothing(some: list[tuple[int, float]], chance: object) -> None:
    some = list({(person, round(when, 2)): (person, round(when, 2)) for person, when in some}.values())
    rows = [row(f"P{person}", f"s{place}", when) for place, (person, when) in enumerate(some)]
    logits, vectors = answers(3, len(rows))
    order = list(range(len(rows)))
    chance.shuffle(order)  # type: ignore[attr-defined]
    whole = joined_logits(taught(), rows, vectors, logits)
    turned = joined_logits(taught(), [rows[n] for n in order], vectors[order], logits[order])
    assert torch.allclose(turned, whole[order], atol=1e-5)


def test_the_same_change_in_less_time_is_faster() -> None:
    join = VisitJoin(WIDTH, 2)
    join.weights[len(join.weights) // 2] = 1.0  # the rate of the factor alone
    logits = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    fast, slow = (
        join.joined(logits, torch.zeros(2, WIDTH), [[], [(0, gap)]])[1, 0].item() - 1 for gap in (1.0, 4.0)
    )
    assert (fast, slow) == (pytest.approx(1.0), pytest.approx(0.25))


# ----------------------------------------------------------------------------------------------------- learning
def side(seed: int, people: int, *, of_change: float, visits: int = 2, drift: float = 0.0) -> VisitSide:
    """People whose hazard goes by what a scan shows of their level (with error) and by how it changes from visit to visit.

    ``drift`` is how much everybody changes, in standard deviations of the pace.
    """
    rng = np.random.default_rng(seed)
    factor, vectors, years, status, histories, whose = [], [], [], [], [], []
    for person in range(people):
        level, pace = rng.normal(), rng.normal()
        rate = 0.25 * np.exp(0.8 * level + of_change * pace)
        end, lost = rng.exponential(1 / rate), rng.uniform(2, 6)
        before: list[tuple[int, float]] = []
        for visit in range(visits):
            now = len(factor)
            vector = rng.normal(size=WIDTH) * 0.02
            vector[0] += (pace + drift) * visit * 0.3
            factor.append(0.8 * level)
            whose.append(f"P{person}")
            vectors.append(vector)
            years.append(min(end, lost) + 0.01)
            status.append(int(end <= lost))
            histories.append([(one, (visit - n) * 1.0) for n, (one, _) in reversed(list(enumerate(before)))])
            before.append((now, 0.0))
    cells = hazard_cells(np.array(years), np.array(status), np.array([1.0, 2.0, 3.0]))
    logits = torch.tensor(np.column_stack([factor, np.zeros(len(factor))]), dtype=torch.float32)
    return VisitSide(logits, torch.tensor(np.array(vectors), dtype=torch.float32), cells, histories, whose)


def held(join: VisitJoin, some: VisitSide, baseline: np.ndarray) -> tuple[float, float]:
    """The loss on people nobody learned from: of each scan alone, and of several."""

    def loss(logits: Tensor) -> float:
        odds = (logits[:, 0] - logits[:, 1]).double().numpy()[:, None] + baseline
        known = np.isfinite(some.cells)
        return float(np.logaddexp(0, np.where(some.cells == 1, -odds, odds))[known].mean())

    return loss(some.logits), loss(join.joined(some.logits, some.vectors, some.histories))


@pytest.mark.parametrize("drift", [0.0, 5.0])
def test_two_visits_beat_one_where_change_carries_the_signal_and_do_not_hurt_where_it_does_not(
    drift: float,
) -> None:
    """Whether people stay as they are on the whole or all change: else that somebody came twice would itself move the odds, and nothing could be learned."""
    gains: dict[float, list[float]] = {0.0: [], 1.0: []}
    for of_change, found in gains.items():
        for seed in range(6):
            train, validation, test = (
                side(100 * seed + n, 150, of_change=of_change, drift=drift) for n in range(3)
            )
            hazard = life_table(train.cells)
            baseline = np.log(hazard / (1 - hazard))
            join = VisitJoin(WIDTH, 3)
            said = learn_visits(join, train, validation, baseline.tolist())
            assert said.startswith("Visits: 150 training pairs of scans, 150 validation scans")
            alone, several = held(join, test, baseline)
            found.append(alone - several)
    assert np.mean(gains[1.0]) > 0.02
    assert min(gains[1.0]) > 0
    assert np.mean(gains[0.0]) > -0.003


def test_the_direction_of_time_is_found_among_louder_noise() -> None:
    """Scanners and positions move a vector more than a year does, in more directions than are kept; only time moves it the same way in everybody."""
    rng = np.random.default_rng(0)
    gaps, pace = rng.uniform(0.5, 3, 200), rng.normal(1.0, 0.5, 200)
    loud = np.concatenate([np.full(10, 3.0), np.full(22, 0.3)])
    change = rng.normal(size=(200, 32)) * loud
    change[:, 20] += pace * gaps
    found = directions_of(change, gaps)
    assert found.shape == (6, 32)
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(6))
    along = (change / gaps[:, None]) @ found[0]
    assert np.corrcoef(along, pace)[0, 1] > 0.6
    assert max(abs(np.corrcoef((change / gaps[:, None]) @ one, pace)[0, 1]) for one in found[1:]) < 0.3
    assert np.isfinite(directions_of(np.zeros((3, 4)), np.ones(3))).all()


def test_a_change_moves_an_answer_no_farther_than_it_may() -> None:
    join = taught()
    logits, vectors = (
        torch.zeros(2, 2),
        torch.nn.functional.one_hot(torch.tensor([0, 1]), WIDTH).float() * 100,
    )
    moved = join.joined(logits, vectors, [[], [(0, 0.3)]])
    assert abs(float(moved[1, 0])) == FARTHEST


def test_nothing_to_learn_from_is_said_and_changes_nothing() -> None:
    one = side(1, 20, of_change=0.0, visits=1)
    join = VisitJoin(WIDTH, 3)
    assert "no training scan has an earlier one" in learn_visits(join, one, one, [0.0, 0.0, 0.0])
    two = side(1, 20, of_change=0.0)
    few = side(2, 9, of_change=2.0)
    assert "9 training participants with an earlier scan are too few" in learn_visits(
        join, few, two, [0.0, 0.0, 0.0]
    )
    assert "9 validation participants" in learn_visits(join, two, few, [0.0, 0.0, 0.0])
    assert not join.weights.any()
    assert "no validation scan has an earlier one" in learn_visits(join, two, one, [0.0, 0.0, 0.0])
    assert not join.weights.any()


# --------------------------------------------------------------------------------------------- the columns
@pytest.mark.parametrize(
    ("years", "status", "said"),
    [(2.0, "n/a", "conversion_status"), ("n/a", 1, "conversion_years"), (0.0, 1, "more than 0"), (2.0, 3, "0, 1 or 2"), ("soon", 1, "a number")],
)  # fmt: skip
def test_a_cell_that_cannot_be_is_refused_with_scan_and_column(
    years: object, status: object, said: str
) -> None:
    with pytest.raises(TableError, match=said) as caught:
        follow_up(
            [row("A", "scan-a", conversion_years=years, conversion_status=status)], Event(name="conversion")
        )
    assert "scan-a" in str(caught.value)


def test_earlier_names_row_and_gap() -> None:
    rows = [row("A", "a", 0.5), row("A", "b", 2.0)]
    assert earlier_scans(rows, rows, 2) == {"b": (Earlier(rows[0], 1.5),)}


# ------------------------------------------------------------------------------------------- as an evaluation asks
def test_an_evaluation_reads_earlier_scans_and_no_later_one(tmp_path: Path) -> None:
    from voxtune.commands.simulate.command import simulate
    from voxtune.config import read_recipe
    from voxtune.data.manifest import read_manifest
    from voxtune.evaluation.answers import ask
    from voxtune.model.build import adapter_state, build_model, load_adapter_state
    from voxtune.model.risk_question import RiskQuestion

    manifest = simulate(
        tmp_path,
        participants=2,
        visits=2,
        seed=5,
        proportions=(0, 1, 0),
        event="conversion(rate=0.001, dropout=0)",
    )
    rows = read_manifest(manifest)
    assert len(rows) == 4
    config = (
        read_recipe("deft")
        .edit("event=conversion(visits=2)")
        .edit("aggregation.form=none")
        .edit("targets=none")
        .edit("vision=none")
        .edit("text=none")
    )
    model = build_model(config)
    assert isinstance(model.visits, VisitJoin)
    asked = RiskQuestion(config.event, (-1.0, -1.0, -1.0))  # type: ignore[arg-type]
    alone = ask(model, asked, rows, manifest, config.preset).table.probabilities
    model.visits.directions.copy_(
        torch.randn(model.visits.directions.shape, generator=torch.Generator().manual_seed(0))
    )
    model.visits.weights.fill_(3.0)
    both = ask(model, asked, rows, manifest, config.preset).table.probabilities
    first = [n for n, one in enumerate(rows) if (one.model_extra or {})["visit_years"] == "0"]
    second = [n for n in range(4) if n not in first]
    assert (both[first] == alone[first]).all(), "the first scan of a person is read alone"
    assert (both[second] != alone[second]).any(axis=1).all()
    kept = ask(model, asked, [rows[n] for n in first], manifest, config.preset).table.probabilities
    assert kept == pytest.approx(both[first], abs=1e-6), (
        "whether there is a later scan changes nothing but the last bits of a batch"
    )

    state = adapter_state(model)
    assert {"visits.directions", "visits.weights"} <= state.keys()
    again = build_model(config)
    load_adapter_state(again, state)
    assert (ask(again, asked, rows, manifest, config.preset).table.probabilities == both).all()
