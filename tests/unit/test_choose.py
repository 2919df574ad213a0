"""``train --choose``: a setting is chosen inside the training side, and nothing beyond it can move the choice."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import voxtune
from voxtune.cli import main
from voxtune.commands.split import split
from voxtune.commands.train import choose as choosing
from voxtune.commands.train import one_run
from voxtune.commands.train.choose import read_choices
from voxtune.commands.train.session import Session
from voxtune.config import read_recipe
from voxtune.data.manifest import file_sha256, read_manifest, write_manifest
from voxtune.data.split_files import read_split, write_split
from voxtune.errors import DataError, UsageError
from voxtune.evaluation.choice import Candidate, Choice, best_of, read_choice
from voxtune.run_dir import write_text

FAST = ("training.epochs=1", "targets=none", "vision=visual_prompts(2)", "text=none")


# --------------------------------------------------------------------------------------- what is asked
def test_every_combination_is_a_candidate_in_order() -> None:
    found = read_choices(
        ["peft=visual_prompts(2)|lora(4),ia3", "optimiser.rate = 1e-3 | 1e-4"], read_recipe("deft")
    )
    assert found == (
        ("vision=visual_prompts(2)", "optimiser.rate=1e-3"), ("vision=visual_prompts(2)", "optimiser.rate=1e-4"),
        ("vision=lora(4),ia3", "optimiser.rate=1e-3"), ("vision=lora(4),ia3", "optimiser.rate=1e-4"),
    )  # fmt: skip
    assert read_choices([], read_recipe("deft")) == ()


@pytest.mark.parametrize(
    ("option", "why"),
    [
        ("vision", "two values or more"),
        ("vision=lora(4)", "two values or more"),
        ("vision=lora(4)|", "two values or more"),
        ("vision=lora(4)|lora(rank=4)", "same settings"),
        ("seed=0|1", "of chance"),
        ("training.workers=1|2", "how a run is computed"),
        ("classes.names=NC,AD|NC,MCI", "not be compared"),
        ("classes=none|none", "not be compared"),
        ("training.metric=loss|accuracy", "not be compared"),
        ("visoin=lora(4)|lora(8)", "visoin"),
        ("optimiser.rate=0.1|fast", "rate"),
    ],
)
def test_what_no_score_can_choose_is_refused(option: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        read_choices([option], read_recipe("deft"))


def test_a_loss_does_not_choose_what_it_is_made_of() -> None:
    config = read_recipe("deft").edit("training.metric=loss")
    with pytest.raises(UsageError, match="not be compared"):
        read_choices(["loss.temperature=5|10"], config)
    with pytest.raises(UsageError, match="given twice"):
        read_choices(["loss.temperature=5|10", "loss.temperature=20|30"], read_recipe("deft"))


@given(
    st.lists(
        st.tuples(st.sampled_from([0.5, 0.6]), st.sampled_from([None, 1.0, 2.0])), min_size=1, max_size=6
    )
)
def test_the_best_is_the_best_by_metric_then_loss_then_order(
    scores: list[tuple[float, float | None]],
) -> None:
    candidates = [Candidate(("a=1",), *one) for one in scores]
    place = best_of(candidates)

    def key(one: Candidate) -> tuple[float, float]:
        return one.metric, -(one.loss if one.loss is not None else float("inf"))

    assert all(key(candidates[place]) > key(one) for one in candidates[:place])
    assert all(key(candidates[place]) >= key(one) for one in candidates)


def test_an_error_that_steers_is_said_as_it_is() -> None:
    candidates = (Candidate(("a=1",), -0.5, None), Candidate(("a=2",), -0.75, None))
    words = Choice(candidates, best_of(candidates), "mae", {"train": 30, "val": 10}).words
    assert "a=1: mean absolute error in standard deviations 0.500 on 10 participants" in words
    assert "not taken: a=2 0.750" in words
    assert "Level with another" not in words
    level = Choice((candidates[0], candidates[0]), 0, "accuracy", {"train": 30, "val": 10})
    assert "Level with another" in level.words
    with pytest.raises(UsageError, match="not be compared"):
        read_choices(["targets=age|mmse"], read_recipe("deft").edit("classes=none"))


# ---------------------------------------------------------------------------------- what trainings may see
Fit = Callable[[Session], str]


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What reaches a training; nothing is trained, and LoRA wins."""
    seen: list[dict[str, Any]] = []

    def fit(session: Session) -> str:
        cohort = session.cohort
        seen.append(
            {
                "config": session.config.to_json(),
                "sides": {side: list(rows) for side, rows in cohort.sides.items()},
                "reports": dict(cohort.reports),
                "audit": json.loads((session.run.root / "audit.json").read_text()),
            }
        )
        lora = "lora" in session.config.to_json()
        line = {"epoch": 0, "best": True, "metric": 0.75 if lora else 0.5, "validation_loss": 1.0}
        write_text(session.run.log, json.dumps(line) + "\n")
        write_text(session.run.adapter / "adapter.safetensors", "")
        write_text(session.run.page, "")
        return "trained"

    monkeypatch.setattr(one_run, "fit_run", fit)
    monkeypatch.setattr(one_run, "looked_at", lambda *_, **__: None)
    return seen


def fit(people: Path, parts: Path, output: Path, *choices: str, **more: Any) -> str:
    return voxtune.fit(
        "deft",
        output,
        data=people,
        split_dir=parts,
        assignments=FAST,
        choose=choices,
        say=lambda _: None,
        **more,
    ).summary  # type: ignore[no-any-return]


BOTH = "vision=visual_prompts(2)|lora(4)"


@pytest.fixture(scope="module")
def parts(people: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return split(people, tmp_path_factory.mktemp("split") / "one", seed=2)


def test_the_choice_is_made_inside_the_training_side_and_then_trained(
    people: Path, parts: Path, tmp_path: Path, watched: list[dict[str, Any]]
) -> None:
    assert fit(people, parts, tmp_path / "run", BOTH) == "trained"
    outer, rows = read_split(parts), {row.scan_id: row for row in read_manifest(people)}
    assert [('"lora"' in one["config"]) for one in watched] == [False, True, True]
    for inner in watched[:2]:
        seen = {row.scan_id for side in inner["sides"].values() for row in side}
        assert seen == set(outer.train)
        assert set(inner["reports"]) <= set(outer.train)
        people_of = [{row.participant_id for row in inner["sides"][side]} for side in ("train", "val")]
        assert not people_of[0] & people_of[1]
        assert not inner["sides"]["test"]
    assert {row.scan_id for row in watched[2]["sides"]["train"]} == set(outer.train) & set(rows)
    choice = read_choice(tmp_path / "run")
    assert choice is not None
    assert choice.candidates[choice.chosen].edits == ("vision=lora(4)",)
    assert re.match(r"vision=lora\(4\): balanced accuracy 0\.750 on \d+ participants", choice.words)
    assert "SIM" not in (tmp_path / "run/choice.json").read_text(), "an ID in a file that is shared"
    # the same again trains nothing; another choice in this folder is refused
    watched.clear()
    fit(people, parts, tmp_path / "run", BOTH, resume=True)
    assert [len(one["sides"]["test"]) > 0 for one in watched] == [True]
    with pytest.raises(UsageError, match="another choice"):
        fit(people, parts, tmp_path / "run", "vision=visual_prompts(2)|lora(8)", resume=True)


def test_labels_beyond_the_training_side_change_nothing_of_it(
    people: Path, parts: Path, tmp_path: Path, watched: list[dict[str, Any]]
) -> None:
    """Every diagnosis, MMSE and volume of validation and test is another; the candidates see the same to the letter."""
    outer = read_split(parts)
    held = {*outer.val, *outer.test}
    image = people.parent
    rows = read_manifest(people)
    other = [
        row.model_copy(
            update={"image": str(image / row.image)}
            | ({"diagnosis": {"NC": "AD", "MCI": "NC", "AD": "Parkinson"}[str(row.diagnosis)], "mmse": 1.0, "hippocampus_mm3": 1.0} if row.scan_id in held else {})
        )
        for row in rows
    ]  # fmt: skip
    same = [row.model_copy(update={"image": str(image / row.image)}) for row in rows]
    found = []
    for name, some in (("same", same), ("other", other)):
        manifest = write_manifest(some, tmp_path / name / "manifest.tsv")
        folder = write_split(outer, tmp_path / name / "split", file_sha256(manifest), manifest)
        watched.clear()
        made = one_run.Request(read_recipe("deft"), manifest)
        for edit in FAST:
            made = one_run.replace(made, config=made.config.edit(edit))
        made = one_run.replace(made, choices=read_choices([BOTH], made.config))
        choosing.choose(made, read_split(folder), tmp_path / name / "run", lambda _: None)
        found.append((list(watched), (tmp_path / name / "run/choice.json").read_text()))
    assert len(found[0][0]) == 2
    assert found[0] == found[1]


def test_a_choice_needs_a_split_and_one_device(people: Path, parts: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs --split"):
        voxtune.fit("deft", tmp_path / "a", data=people, choose=[BOTH], say=lambda _: None)
    with pytest.raises(UsageError, match="one device"):
        voxtune.fit("deft", tmp_path / "a", data=people, split_dir=parts, assignments=["training.devices=2"], choose=[BOTH], say=lambda _: None)  # fmt: skip
    assert not (tmp_path / "a").exists()


def test_a_candidate_that_cannot_be_trained_ends_the_choice(
    people: Path, parts: Path, tmp_path: Path, watched: list[dict[str, Any]]
) -> None:
    with pytest.raises(DataError):
        fit(people, parts, tmp_path / "run", "report.file=nowhere.tsv|elsewhere.tsv")
    assert watched == []
    assert not (tmp_path / "run").exists(), "a start that failed left something that the next one trips over"


# ------------------------------------------------------------------------------------------- whole path
@pytest.mark.slow
@pytest.mark.usefixtures("few_draws")
def test_each_fold_chooses_for_itself_and_the_page_says_what(people: Path, tmp_path: Path) -> None:
    folds = split(people, tmp_path / "folds", folds=2)
    words = [
        "train",
        "deft",
        "--data",
        people,
        "--split",
        folds,
        "-o",
        tmp_path / "cv",
        "--choose",
        "vision=visual_prompts(2)|visual_prompts(3)",
    ]
    words += [word for edit in (*FAST[:2], "text=none") for word in ("--set", edit)]
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    choices = [read_choice(tmp_path / "cv" / f"fold_{number}") for number in (0, 1)]
    assert all(choices)
    for number, choice in enumerate(choices):
        assert choice is not None
        made = json.loads((tmp_path / f"cv/fold_{number}/config.json").read_text())
        assert choice.candidates[choice.chosen].edits == (
            f"vision=visual_prompts({made['vision'][0]['length']})",
        )
    done = CliRunner().invoke(main, ["evaluate", str(tmp_path / "cv")])
    assert done.exit_code == 0, done.output
    page = (tmp_path / "cv/evaluation/test/page.html").read_text()
    assert "What each fold chose" in page
    assert "the scored scans had no part in it" in page
    facts = json.loads((tmp_path / "cv/evaluation/test/evaluation.json").read_text())
    assert set(facts["choices"]) == {"0", "1"}
    assert "Chosen by --choose" in (tmp_path / "cv/fold_0/page.html").read_text()
