"""docs/how-to/add-a-disease.md, pasted: a made-up Parkinson cohort from ingest to explain with one profile, the page's own."""

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from voxtune.cli import main
from voxtune.commands.simulate.command import simulate
from voxtune.data.manifest import read_manifest, read_reports, read_table
from voxtune.model.adapter import read_facts
from voxtune.pages.score_labels import BASELINES

PAGE = Path(__file__).resolve().parents[2] / "docs/how-to/add-a-disease.md"
TEXT = PAGE.read_text(encoding="utf-8")
PEOPLE = 36


def block(language: str, number: int = 0) -> str:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)[number]


def paste(line: str) -> Result:
    name, *arguments = line.split()
    assert name == "voxtune"
    return CliRunner().invoke(main, arguments)


def cohort(folder: Path) -> None:
    """Small heads of the simulator, with a table of another disease. SIMULATED: the images say so, the table does not."""
    made = simulate(
        folder.with_name("simulated"), participants=PEOPLE, visits=1, seed=3, proportions=(0.5, 0.0, 0.5)
    )
    rng = np.random.default_rng(0)
    folder.mkdir()
    header = block("text").splitlines()[0].split(",")
    with (folder / "subjects.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, header)
        writer.writeheader()
        for number, row in enumerate(read_manifest(made), start=1):
            sick = row.diagnosis == "AD"
            shutil.copy(made.parent / row.image, folder / f"P{number:02d}.nii.gz")
            writer.writerow(
                {
                    "id": f"P{number:02d}", "group": "PD" if sick else "HC", "age": round(row.age or 0), "sex": row.sex,
                    "dat_ratio": f"{rng.normal(1.4 if sick else 2.6, 0.3):.2f}", "putamen_mm3": round(rng.normal(8000 if sick else 9400, 500)),
                    "updrs_total": round(rng.normal(33, 4)) if sick else int(rng.integers(0, 5)),
                }
            )  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's commands, run one after another in a folder that holds the cohort and the page's profile."""
    root = tmp_path_factory.mktemp("disease")
    cohort(root / "cohort")
    (root / "parkinson.toml").write_text(f"{block('toml')}\n{block('toml', 1)}", encoding="utf-8")
    said = []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        for line in block("sh").splitlines():
            done = paste(line)
            assert done.exit_code == 0, f"{line}\n{done.output}"
            said.append(done.output)
    (root / "said.txt").write_text("\n".join(said), encoding="utf-8")
    return root


def test_the_texts_are_the_profiles(place: Path) -> None:
    texts = {name: report.text for name, report in read_reports(place / "reports.tsv").items()}
    rows = {row.scan_id: row for row in read_manifest(place / "manifest.tsv")}
    assert len(texts) == len(rows) == PEOPLE
    for name, text in texts.items():
        extra = rows[name].model_extra or {}
        assert text == (
            f"A brain scan of {rows[name].diagnosis}. The brain scan shows: DaT ratio: {extra['dat_ratio']}, "
            f"Putamen volume: {extra['putamen_mm3']} mm^3, Age: {rows[name].age:.0f} years."
        )


def test_a_graph_of_ones_own_writes_texts(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    done = paste(block("sh", 2).strip())
    assert done.exit_code == 0, done.output
    texts = [report.text for report in read_reports(place / "known.tsv").values()]
    low = [text for text in texts if "few" in text.lower() or "ratio is low" in text]
    assert low
    # One healthy person in twenty lies below the 5th percentile.
    sick = [text for text in low if text.startswith("A brain scan of PD. ")]
    assert len(sick) > len(low) - len(sick)
    assert all(text.endswith("Few dopamine transporters are a sign of nigrostriatal loss.") for text in low)
    assert any("ratio is usual" in text for text in texts)
    config = json.loads((place / "run/config.json").read_text(encoding="utf-8"))
    assert config["profile"]["knowledge"]["nodes"]["dopamine_loss"]["column"] == "dat_ratio"


def test_the_score_that_makes_the_diagnosis_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    before = (place / "reports.tsv").read_bytes()
    done = paste(block("sh", 1).strip())
    assert done.exit_code == 4
    assert re.findall(r"exit code 4 and `(.*?)`", TEXT)[0] in done.output
    refused = paste(
        "voxtune train deft -o other --data manifest.tsv --set profile=parkinson.toml --set report.fields=updrs_total"
    )
    assert refused.exit_code == 4
    assert "defines the class" in refused.output
    assert not (place / "other").exists()
    for profile in ("blank", "dementia", "chest"):
        done = paste(f"voxtune describe manifest.tsv -o other.tsv --profile {profile} --template fields")
        assert done.exit_code == 0, done.output
        assert "updrs_total" in done.output  # among what is left out
        assert all("updrs" not in one.fields for one in read_reports(place / "other.tsv").values())
    assert (place / "reports.tsv").read_bytes() == before


def test_run_and_adapter_hold_the_profile_and_say_simulated(place: Path) -> None:
    config = json.loads((place / "run/config.json").read_text(encoding="utf-8"))
    facts = read_facts(place / "run/adapter")
    assert config["profile"]["classes"] == ["HC", "PD"]
    assert facts.config["profile"] == config["profile"]
    assert config["profile"]["regions"]["putamen_mm3"]["labels"] == [12, 51]
    assert facts.classes == ("HC", "PD")
    assert facts.class_texts == ("A brain scan of {name}",)
    assert facts.simulated
    assert str(place) not in (place / "run/adapter/adapter.json").read_text(encoding="utf-8")
    assert "SIMULATED" in (place / "said.txt").read_text(encoding="utf-8")


def test_the_dat_ratio_is_in_the_baselines(place: Path) -> None:
    folder = place / "run/evaluation/test"
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    notes = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))["baseline_notes"]
    assert metrics["baseline/volumes/accuracy"]["value"] > 0.8  # two numbers tell these classes apart
    assert "dat_ratio and putamen_mm3" in notes["volumes"]
    assert "class_text/The diagnosis is {name}/accuracy" in metrics
    page = (folder / "page.html").read_text(encoding="utf-8")
    assert "The paper that describes this cohort." in page
    assert "2509.07613" in page  # the recipe's
    assert BASELINES["volumes"] in page


def test_the_map_is_looked_at_in_the_profiles_region(place: Path) -> None:
    facts = json.loads((place / "explanation/explanation.json").read_text(encoding="utf-8"))
    assert "Putamen volume" in facts["panel"]["columns"]
    assert {one["biomarker"] for one in facts["panel"]["shares"]} == {"Putamen volume"}
    assert "DaT ratio" in facts["text"]["parts"]
    assert "SIMULATED" in (place / "explanation/page.html").read_text(encoding="utf-8")


def test_a_profile_is_needed_by_no_later_command(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    (place / "parkinson.toml").rename(place / "away.toml")
    try:
        done = paste("voxtune evaluate run --json")
        assert done.exit_code == 0, done.output
    finally:
        (place / "away.toml").rename(place / "parkinson.toml")
    assert len(read_table(place / "run/evaluation/test/predictions.tsv")) > 0
