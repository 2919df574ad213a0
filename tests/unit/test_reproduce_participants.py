"""Table 1 and what stands beside a table: counted by hand here, printed in every file, without a person's ID."""

import csv
import json
from pathlib import Path

import pytest

from voxtune.commands.reproduce import participants
from voxtune.commands.reproduce.beside import BEST, RULES, beside_of
from voxtune.commands.reproduce.command import Options, chosen_tables, wants_participants
from voxtune.commands.reproduce.data import Sources
from voxtune.commands.reproduce.participants import Group, Spread, groups_of, spread_text, write_participants
from voxtune.types.records import ManifestRow, Sex
from voxtune_recipes.paper_deft import paper
from voxtune_recipes.paper_medct import paper as medct


def row(
    person: str, visit: int, kind: str | None, age: float | None = None, mmse: float | None = None, sex: Sex | None = None
) -> ManifestRow:  # fmt: skip
    return ManifestRow(
        participant_id=person, scan_id=f"{person}_{visit}", image="i.nii.gz", diagnosis=kind, age=age, mmse=mmse, sex=sex,
    )  # fmt: skip


SIDES = {
    "train": [
        row("a", 1, "MCI", 71.0, 26, "F"),
        row("a", 0, "MCI", 70.0, 28, "F"),
        row("a", 2, "AD", 72.0, 21, "F"),
        row("b", 0, "NC", 60.0, None, "M"),
    ],
    "val": [row("c", 0, "NC", None, 30)],
    "test": [row("d", 0, "AD", 80.0, 20, "M")],
    "external-aibl": [row("e", 0, "AD", 81.0, 22, "F"), row("f", 0, "NC", 65.0, 29, "F")],
}


def test_people_are_counted_once_and_taken_at_their_first_scan() -> None:
    found = {(one.role, one.side, one.kind): one for one in groups_of(SIDES)}
    assert list(found)[:4] == [("own", "to train and validate", kind) for kind in ("NC", "MCI", "AD", "all")]
    mci = found["own", "to train and validate", "MCI"]
    assert (mci.participants, mci.scans, mci.women, mci.men) == (1, 2, 1, 0)
    assert mci.age == Spread(70.0, None, 70.0, 70.0, 0)
    assert mci.mmse.mean == 28
    whole = found["own", "to train and validate", "all"]
    assert (whole.participants, whole.scans, whole.women, whole.men, whole.sex_missing) == (3, 5, 1, 1, 1)
    assert whole.age.missing == 1
    assert whole.age.mean == 65.0
    assert found["external-aibl", "to test", "all"].participants == 2
    assert spread_text(found["own", "to train and validate", "NC"].mmse) == "30.0 [30.0, 30.0] (1 not known)"


def test_nothing_known_is_said() -> None:
    assert spread_text(Spread(None, None, None, None, 4)) == "not known"
    [nobody, _] = [one for one in groups_of({**SIDES, "test": [row("z", 0, "AD")]}) if one.side == "to test"][
        :2
    ]
    assert isinstance(nobody, Group)
    assert nobody.age.missing == 1


def test_every_file_has_every_group_and_no_person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(participants, "sides_of", lambda *_: SIDES)
    said = write_participants(tmp_path, paper(), Sources(tmp_path, {}, simulated=True))
    assert "Table 1" in said
    texts = {ending: (tmp_path / f"table_1.{ending}").read_text(encoding="utf-8") for ending in ("md", "csv", "tex", "json", "html")}  # fmt: skip
    for ending, text in texts.items():
        assert "AIBL" in text, ending
        assert "simulated" in text.lower(), ending
        assert "a_0" not in text, ending
    assert len(list(csv.DictReader(texts["csv"].splitlines()))) == len(groups_of(SIDES))
    assert len(json.loads(texts["json"])["groups"]) == len(groups_of(SIDES))
    assert "1,504 scans of 407 participants" in texts["html"]


def test_it_is_made_when_asked_for_or_when_nothing_is() -> None:
    assert wants_participants(paper(), Options())
    assert wants_participants(paper(), Options(tables=(1,)))
    assert not wants_participants(paper(), Options(tables=(3,)))
    assert not wants_participants(paper(), Options(figures=(2,)))
    assert not wants_participants(medct(), Options())
    assert chosen_tables(paper(), Options(tables=(1,))) == []


def test_beside_a_simulated_table_stands_all_that_the_simulation_scored(tmp_path: Path) -> None:
    truth = tmp_path / "truth"
    truth.mkdir()
    sources = Sources(tmp_path, {"own": tmp_path / "manifest.tsv"}, simulated=True)
    rules = {
        "volumes": 0.8,
        "ventricles": 0.5,
        "age_sex": 0.4,
        "voxel_count": 0.6,
        "mean_intensity": 0.3,
        "majority": 0.4,
    }
    (truth / "limits.json").write_text(json.dumps({"rules": rules}), encoding="utf-8")
    (truth / "posterior.tsv").write_text("scan_id\tp_NC\tp_MCI\tp_AD\nd_0\t0.1\t0.2\t0.7\n", encoding="utf-8")
    found = beside_of(sources, SIDES)
    assert found[BEST] == 100.0
    assert {words: found[words] for words in RULES.values()} == {words: 100 * rules[name] for name, words in RULES.items()}  # fmt: skip
    assert found["always the most frequent training class (MCI)"] == 0.0
    other = {**SIDES, "test": [row("d", 0, "AD"), row("g", 0, "AD")]}
    assert BEST not in beside_of(sources, other), "nothing is said of scans that the table does not hold"
    assert list(beside_of(Sources(tmp_path, sources.manifests, simulated=False), SIDES)) == [
        "always the most frequent training class (MCI)"
    ]


def test_of_a_simulated_cohort_without_its_truth_the_rules_on_its_numbers_stand(tmp_path: Path) -> None:
    def person(number: int, kind: str) -> ManifestRow:
        volumes = dict.fromkeys(
            ("hippocampus_mm3", "whole_brain_mm3", "entorhinal_mm3", "fusiform_mm3", "middle_temporal_mm3", "ventricles_mm3"),
            1000.0 + 37 * number,
        )  # fmt: skip
        return row(f"p{number}", 0, kind, 70 + number % 7, 25, "F").model_copy(
            update={**volumes, "icv_mm3": 1.5e6}
        )

    rows = [person(number, ("NC", "AD")[number % 2]) for number in range(12)]
    sources = Sources(tmp_path, {"own": tmp_path / "manifest.tsv"}, simulated=True)
    found = beside_of(sources, {"train": rows[:8], "val": rows[8:10], "test": rows[10:]})
    assert RULES["ventricles"] in found
    assert RULES["voxel_count"] not in found
    assert BEST not in found
