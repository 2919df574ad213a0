"""Two models on the same scans: the same scans or a refusal, paired tests, Holm."""

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from voxtune.commands.compare import compare, summary
from voxtune.errors import DataError, SettingError
from voxtune.evaluation.compare import compare as compare_tables
from voxtune.evaluation.compare import compare_with_each
from voxtune.evaluation.intervals import Draw
from voxtune.evaluation.paired import McNemar, holm, mcnemar, permutation_p
from voxtune.evaluation.predictions import of_records
from voxtune.evaluation.tables import write_predictions
from voxtune.run_dir import write_json
from voxtune.types.records import Comparison, Prediction

CLASSES = ("NC", "MCI", "AD")


def model(skill: float, seed: int, people: int = 36, scans: int = 2) -> list[Prediction]:
    rng = np.random.default_rng(seed)
    rows = []
    for n in range(people * scans):
        true = n // scans % 3
        p = np.exp(rng.normal(size=3) + skill * np.eye(3)[true])
        rows.append(
            Prediction(
                scan_id=f"s{n}",
                participant_id=f"p{n // scans}",
                diagnosis=CLASSES[true],
                predicted=CLASSES[int(p.argmax())],
                probabilities=dict(zip(CLASSES, (p / p.sum()).tolist(), strict=True)),
            )
        )
    return rows


# --------------------------------------------------------------------------------------- single tests
def test_permutation_of_few_people_is_exact() -> None:
    rng = np.random.default_rng(0)
    gain, participant = rng.normal(0.5, 1, size=20), np.repeat(np.arange(5), 4)
    sums = np.bincount(participant, weights=gain)
    every = [abs(np.dot(signs, sums)) for signs in product((-1, 1), repeat=5)]
    want = np.mean(np.array(every) >= abs(sums.sum()) - 1e-12)
    assert permutation_p(lambda keep: (2 * keep - 1) @ gain, participant) == want


def test_permutation_of_many_people_never_gives_zero_and_repeats() -> None:
    participant = np.arange(40)

    def difference(keep: np.ndarray) -> np.ndarray:
        return (2 * keep - 1).sum(axis=1)

    assert permutation_p(difference, participant, 999, seed=1) == 1 / 1000
    assert permutation_p(lambda keep: 0 * keep.sum(axis=1), participant, 99) == 1.0
    assert permutation_p(lambda keep: np.nan * keep.sum(axis=1), participant, 99) is None
    with pytest.raises(SettingError, match="permutations"):
        permutation_p(difference, participant, 0)


def test_permutation_holds_its_level_under_no_difference() -> None:
    rng = np.random.default_rng(5)
    participant = np.repeat(np.arange(20), 3)
    small = 0
    for seed in range(200):
        gain = rng.normal(size=20)[participant]  # scans of a person agree
        p = permutation_p(lambda keep, gain=gain: (2 * keep - 1) @ gain, participant, 199, seed)
        small += p <= 0.05
    assert small <= 20  # 5 percent of 200 is 10; a test that takes scans as independent gives about 50


def test_mcnemar_counts_discordant_pairs() -> None:
    found = mcnemar([1, 1, 0, 0, 1], [1, 1, 0, 1, 0], [0, 0, 0, 0, 1])
    assert (found.b, found.c) == (2, 2)
    assert found.p_value == 1
    none = McNemar(0, 0)
    assert (none.p_value, none.chi2_corrected, none.chi2_corrected_p) == (1, 0, 1)


def test_holm_of_nothing_and_of_nonsense() -> None:
    assert holm([]) == []
    for p in ([1.2], [-0.1], [float("nan")]):
        with pytest.raises(DataError, match="Holm"):
            holm(p)


# -------------------------------------------------------------------------------------- two models
def test_a_better_model_is_found_better() -> None:
    rows = [
        one.comparison
        for one in compare_tables(
            {"": (of_records(model(3, 0), CLASSES), of_records(model(0.5, 1), CLASSES))}, Draw(resamples=400)
        )
    ]
    assert {(r.score, r.test) for r in rows} >= {
        ("accuracy", "participants swapped"),
        ("accuracy", "McNemar, exact, by scan"),
        ("participant/accuracy", "McNemar, exact, by participant"),
        ("auroc/AD", "DeLong, clustered (Obuchowski)"),
    }
    for r in rows:
        assert r.p_value <= r.p_holm <= 1
        assert r.p_holm < 0.05, r
        assert r.difference == r.a - r.b
        assert (r.difference < 0) == (r.score == "brier")
        assert (r.n_scans, r.n_participants) == (72, 36)
        if r.low is not None:
            assert r.low <= r.difference <= r.high


def test_sides_mirror_and_order_does_not_matter() -> None:
    a, b = model(2, 0), model(1, 1)
    there = [
        one.comparison
        for one in compare_tables({"": (of_records(a, CLASSES), of_records(b, CLASSES))}, Draw(resamples=200))
    ]
    back = [
        one.comparison
        for one in compare_tables(
            {"": (of_records(b, CLASSES), of_records(a[::-1], CLASSES))}, Draw(resamples=200)
        )
    ]
    for one, other in zip(there, back, strict=True):
        assert one.difference == pytest.approx(-other.difference)
        if "Obuchowski" in one.test or "McNemar" in one.test:
            assert one.p_value == pytest.approx(other.p_value)


def test_a_model_equals_itself() -> None:
    rows = [
        one.comparison
        for one in compare_tables(
            {"": (of_records(model(1, 0), CLASSES), of_records(model(1, 0), CLASSES))}, Draw(resamples=100)
        )
    ]
    for r in rows:
        assert (r.difference, r.low, r.high, r.p_value, r.p_holm) == (0, None, None, 1, 1)


def answers(labels: str, said: str, people: str = "") -> list[Prediction]:
    """One letter a scan: its class and what was said of it, by default each of another participant."""
    return [
        Prediction(
            scan_id=f"s{n}",
            participant_id=(people or "abcdefghijklmnopqrstuvwxyz")[n],
            diagnosis=true,
            predicted=one,
            probabilities={name: float(name == one) for name in "XY"},
        )
        for n, (true, one) in enumerate(zip(labels, said, strict=True))
    ]


def accuracies(a: list[Prediction], b: list[Prediction]) -> Comparison:
    return compare_with_each(
        of_records(a, "XY"),
        {name: of_records(some, "XY") for name, some in ({"b": b}).items()},
        Draw(resamples=500),
    )["b"]


@pytest.mark.parametrize(
    ("labels", "a", "b", "people"),
    [
        (
            "XXXXY",
            "YYYYY",
            "XXXXY",
            "aabcd",
        ),  # one participant in Y, the model wrong wherever the rival is right
        ("XXXXY", "YYYYY", "XXXXY", ""),
        ("XXYYY", "XXYYY", "YYXXX", ""),
    ],
)
def test_with_five_participants_a_difference_has_no_interval(
    labels: str, a: str, b: str, people: str
) -> None:
    one = accuracies(answers(labels, a, people), answers(labels, b, people))
    assert one.p_value is not None
    assert one.p_value > 0.05, "no swap of five can reach 0.05"
    assert (one.low, one.high) == (None, None)


def test_answers_that_never_differ_have_no_interval() -> None:
    same = answers("XXXXXYYYYY", "XXXXYYYYYX")
    one = accuracies(same, same)
    assert (one.difference, one.low, one.high, one.p_value) == (0, None, None, 1)


def test_one_participant_of_a_class_does_not_narrow_the_interval() -> None:
    right, wrong = answers("XXXXXXXXY", "XXXXXXXXY"), answers("XXXXXXXXY", "XXXXXXXXX")
    one = accuracies(right, wrong)
    assert one.low is not None
    assert one.high is not None
    assert one.low <= 0 < one.high, "the only participant who differs may be absent from another nine"


def test_a_rival_that_knows_one_class_only_is_drawn_without_the_mix() -> None:
    labels = "X" * 12 + "Y" * 12
    one = accuracies(answers(labels, labels), answers(labels, "X" * 24))
    assert one.low is not None
    assert one.high is not None
    assert 0.1 < one.low < 0.4 < 0.6 < one.high < 0.9, "within a diagnosis every participant differs alike"


def test_an_absent_class_and_ten_people_give_none_not_nan() -> None:
    a, b = ([r for r in model(s, s, people=10) if r.diagnosis != "MCI"] for s in (1, 2))
    rows = {
        (r.score, r.test): r
        for r in [
            one.comparison
            for one in compare_tables(
                {"": (of_records(a, CLASSES), of_records(b, CLASSES))}, Draw(resamples=100)
            )
        ]
    }
    json.dumps([vars(r) for r in rows.values()], allow_nan=False)
    absent = rows["auroc/MCI", "DeLong, clustered (Obuchowski)"]
    assert (absent.a, absent.difference, absent.low, absent.p_value, absent.p_holm) == (None,) * 5
    assert rows["auroc", "participants swapped"].p_value is None
    assert rows["accuracy", "participants swapped"].p_value is not None


def test_other_scans_are_refused_and_named() -> None:
    a = model(1, 0)
    other = [*a[2:], a[0].model_copy(update={"scan_id": "z9"})]
    with pytest.raises(DataError, match=r"Only in A: 2 \(s0, s1\)\. Only in B: 1 \(z9\)"):
        [one.comparison for one in compare_tables({"": (of_records(a, CLASSES), of_records(other, CLASSES))})]
    with pytest.raises(DataError, match=r"Only in A: 42 \(s0, .* and 32 more\)\. Only in B: none"):
        [
            one.comparison
            for one in compare_tables({"": (of_records(a, CLASSES), of_records(a[42:], CLASSES))})
        ]


@pytest.mark.parametrize(("column", "value"), [("diagnosis", "AD"), ("participant_id", "q")])
def test_other_labels_of_the_same_scans_are_refused(column: str, value: str) -> None:
    a = model(1, 0)
    b = [a[0].model_copy(update={column: value}), *a[1:]]
    with pytest.raises(DataError, match=rf"another {column} .*1 \(s0\)"):
        [one.comparison for one in compare_tables({"": (of_records(a, CLASSES), of_records(b, CLASSES))})]


def test_nothing_labelled_is_refused() -> None:
    a = [r.model_copy(update={"diagnosis": None}) for r in model(1, 0)]
    with pytest.raises(DataError, match="None of the scans has a diagnosis"):
        [one.comparison for one in compare_tables({"": (of_records(a, CLASSES), of_records(a, CLASSES))})]


def with_mmse(
    rows: list[Prediction], error: float, silent: int = 0
) -> tuple[list[Prediction], dict[str, float]]:
    """Predicted MMSE off by about ``error`` points, and the measured ones; the first ``silent`` scans have no prediction."""
    rng = np.random.default_rng(7)
    truth = {row.scan_id: float(rng.integers(10, 31)) for row in rows}
    said = [
        row.model_copy(
            update={
                "targets": {} if n < silent else {"mmse": truth[row.scan_id] + error * (1 if n % 2 else -1)}
            }
        )
        for n, row in enumerate(rows)
    ]
    return said, truth


def test_mmse_is_compared_where_both_predict_it() -> None:
    near, truth = with_mmse(model(1, 0), 1.0)
    far, _ = with_mmse(model(1, 1), 3.0, silent=4)
    truth.pop("s10")
    rows = {
        r.score: r
        for r in [
            one.comparison
            for one in compare_tables(
                {"": (of_records(near, CLASSES, {"mmse": truth}), of_records(far, CLASSES, {"mmse": truth}))},
                Draw(resamples=200),
            )
        ]
    }
    for score in ("mmse_mae", "mmse_rmse"):
        one = rows[score]
        assert (one.a, one.b) == (pytest.approx(1), pytest.approx(3))
        assert one.difference == pytest.approx(-2)
        assert one.p_holm < 0.05
        assert one.n_scans == 72 - 4 - 1
        assert one.low is None  # every error of A is 1 point, every error of B is 3: nothing varies
        assert one.sign == -1
    without = [
        one.comparison
        for one in compare_tables(
            {
                "": (
                    of_records(near, CLASSES, {"mmse": truth}),
                    of_records(model(1, 1), CLASSES, {"mmse": truth}),
                )
            },
            Draw(resamples=50),
        )
    ]
    assert not [r for r in without if r.score.startswith("mmse")]
    assert not [
        r
        for r in [
            one.comparison
            for one in compare_tables(
                {"": (of_records(near, CLASSES), of_records(far, CLASSES))}, Draw(resamples=50)
            )
        ]
        if r.score.startswith("mmse")
    ]


def test_a_model_is_compared_with_each_rival() -> None:
    rivals = {"weak": model(0, 1), "same": model(3, 0), "also weak": model(0, 2)}
    found = compare_with_each(
        of_records(model(3, 0), CLASSES),
        {name: of_records(some, CLASSES) for name, some in (rivals).items()},
        Draw(resamples=300),
    )
    assert list(found) == list(rivals)
    assert found["same"].difference == 0
    assert found["same"].p_holm == 1
    for name in ("weak", "also weak"):
        one = found[name]
        assert one.difference > 0
        assert one.low > 0
        assert one.p_value < one.p_holm < 0.05
    assert (
        compare_with_each(
            of_records(model(3, 0), CLASSES),
            {name: of_records(some, CLASSES) for name, some in ({}).items()},
            Draw(),
        )
        == {}
    )
    with pytest.raises(DataError, match="different scans"):
        compare_with_each(
            of_records(model(3, 0), CLASSES),
            {name: of_records(some, CLASSES) for name, some in ({"other": model(3, 0)[1:]}).items()},
            Draw(),
        )


# ------------------------------------------------------------------------------------------ the stage
def evaluated(
    folder: Path,
    rows: list[Prediction],
    classes: tuple[str, ...] = CLASSES,
    measured: dict[str, dict[str, float]] | None = None,
) -> Path:
    write_predictions(folder, of_records(rows, classes, measured))
    return folder


def test_stage_compares_runs_and_writes(tmp_path: Path) -> None:
    for cohort in ("adni", "oasis2"):
        evaluated(tmp_path / "a" / "evaluation" / cohort, model(2, 0))
        evaluated(tmp_path / "b" / "evaluation" / cohort, model(1, 1))
    evaluated(tmp_path / "b" / "evaluation" / "aibl", model(1, 1))
    write_json(tmp_path / "b" / "evaluation" / "oasis2" / "evaluation.json", {"simulated": True})
    found = compare(tmp_path / "a", tmp_path / "b", tmp_path / "out")
    assert (found["a"], found["b"]) == ("a", "b")
    assert [one["cohort"] for one in found["evaluations"]] == ["adni", "oasis2"]
    assert [one["simulated"] for one in found["evaluations"]] == [False, True]
    assert found["evaluations"][0]["n_participants"] == 36
    assert json.loads((tmp_path / "out" / "comparison.json").read_text(encoding="utf-8")) == found
    lines = (tmp_path / "out" / "comparison.tsv").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("cohort\tscore\ttest\ta\tb\tdifference\tlow\thigh\tp_value\tp_holm")
    assert len(lines) == 1 + 2 * len(found["evaluations"][0]["comparisons"])
    assert str(tmp_path) not in json.dumps(found)
    assert "SIMULATED" in (tmp_path / "out" / "page.html").read_text(encoding="utf-8")


def test_stage_takes_folders_of_any_name_and_tells_equal_names_apart(tmp_path: Path) -> None:
    a, b = (
        evaluated(tmp_path / name / "evaluation" / "adni", model(1, n)) for n, name in enumerate(("r1", "r2"))
    )
    found = compare(a, tmp_path / "r2")
    assert (found["a"], found["b"]) == ("adni", "r2")
    found = compare(a, b)
    assert (found["a"], found["b"]) == ("r1/evaluation/adni", "r2/evaluation/adni")
    assert compare(a, a)["a"] == "adni"


def test_stage_refuses_what_cannot_be_compared(tmp_path: Path) -> None:
    for name in ("adni", "oasis2"):
        evaluated(tmp_path / "a" / "evaluation" / name, model(1, 0))
    evaluated(tmp_path / "b" / "evaluation" / "aibl", model(1, 0))
    with pytest.raises(DataError, match="share no evaluation: A has adni, oasis2, B has aibl"):
        compare(tmp_path / "a", tmp_path / "b")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"'empty' has no predictions\.tsv"):
        compare(tmp_path / "empty", tmp_path / "b")
    two = [
        r.model_copy(
            update={"probabilities": {"NC": 0.5, "AD": 0.5}, "predicted": "AD", "diagnosis": r.diagnosis}
        )
        for r in model(1, 0)
        if r.diagnosis != "MCI"
    ]
    fewer = evaluated(tmp_path / "c", two, ("NC", "AD"))
    with pytest.raises(DataError, match=r"answer for other classes\. Only in A: none\. Only in B: MCI"):
        compare(fewer, tmp_path / "b")


def test_stage_compares_mmse_and_refuses_other_measurements(tmp_path: Path) -> None:
    near, truth = with_mmse(model(1, 0), 1.0)
    far, _ = with_mmse(model(1, 1), 3.0)
    for name, rows in (("a", near), ("b", far)):
        evaluated(tmp_path / name, rows, measured={"mmse": truth})
    (found,) = compare(tmp_path / "a", tmp_path / "b", tmp_path / "out")["evaluations"]
    assert "mmse_mae" in {one["score"] for one in found["comparisons"]}
    page = (tmp_path / "out" / "page.html").read_text(encoding="utf-8")
    assert "MMSE: mean absolute error (points)" in page
    evaluated(tmp_path / "b", far, measured={"mmse": truth | {"s3": 1.0}})
    with pytest.raises(
        DataError,
        match=r"A and B give another measured mmse to the same scans: 1 \(s3\)",
    ):
        compare(tmp_path / "a", tmp_path / "b")


def test_the_baselines_of_a_simulated_evaluation_are_simulated(tmp_path: Path) -> None:
    own = evaluated(tmp_path / "test", model(2, 0))
    write_json(own / "evaluation.json", {"simulated": True, "kind": "held-out classes"})
    rival = evaluated(own / "baselines" / "majority", model(0, 0))
    assert compare(rival, rival)["evaluations"][0]["simulated"]
    found = compare(own, rival, tmp_path / "out")["evaluations"][0]
    assert found["simulated"]
    assert found["kinds"] == ["held-out classes", "baseline: majority"]
    page = (tmp_path / "out" / "page.html").read_text(encoding="utf-8")
    assert "A: held-out classes. B: baseline: majority." in page


def test_a_person_reads_a_sentence_and_where_the_rest_is(tmp_path: Path) -> None:
    one = {"score": "balanced_accuracy", "difference": 0.1, "low": -0.02, "high": 0.2, "p_value": 0.031}
    cohort = {"cohort": "test", "simulated": True, "n_scans": 40, "n_participants": 20, "comparisons": [one]}
    said = summary({"a": "lora", "b": "deft", "evaluations": [cohort]}, tmp_path)
    assert said.splitlines() == [
        "SIMULATED. test: lora minus deft, balanced accuracy +0.100, 95% interval -0.020 to +0.200, p 0.031, on 40 scans of 20 participants.",
        f"Page: {tmp_path / 'page.html'}",
    ]
    nothing = cohort | {
        "simulated": False,
        "comparisons": [one | dict.fromkeys(("difference", "low", "high", "p_value"))],
    }
    said = summary({"a": "lora", "b": "deft", "evaluations": [nothing]}, None)
    assert said.startswith("test: lora minus deft, balanced accuracy not defined, on 40 scans")
    assert "-o DIR" in said
