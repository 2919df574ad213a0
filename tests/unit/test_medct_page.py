"""The page 'MedCT-VLM on CT-CLIP' (medct-on-ct-clip.md), line by line on stand-in chests: folds, trainings up to their first step, what follows parsed."""

import csv
import json
import re
import shlex
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from click.testing import CliRunner

from voxtune.cli import main
from voxtune.cohorts.ct_rate import FINDINGS
from voxtune.commands.train import one_run
from voxtune.commands.train.session import Session
from voxtune.run_dir import write_text

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "medct-on-ct-clip.md"


def lines() -> dict[str, list[list[str]]]:
    """The commands of the page that are run, by the number of their heading."""
    found: dict[str, list[list[str]]] = {}
    for part in re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        for marks, block in re.findall(r"((?:<!--[^\n]*-->\n+)*)```sh\n(.*?)```", part, flags=re.DOTALL):
            if "not run" not in marks:
                found[part.split(".")[0]] = [shlex.split(line)[1:] for line in block.splitlines()]
    return found


def chests(folder: Path) -> None:
    """Twelve patients with small pictures that resemble no other, every finding present in some of them."""
    folder.mkdir(parents=True)
    rows = []
    for number in range(12):
        voxels = np.kron(np.random.default_rng(number).random((4, 4, 4)), np.ones((4, 4, 4))) * 900 - 500
        nib.save(
            nib.Nifti1Image(voxels.astype(np.int16), np.diag([8.0, 8, 8, 1])), folder / f"c{number}.nii.gz"
        )
        rows.append(
            {
                "participant_id": f"p{number}",
                "scan_id": f"c{number}",
                "image": f"c{number}.nii.gz",
                "source": "stand-in",
            }
            | {name: (number + place) % 2 for place, name in enumerate(FINDINGS)}
        )
    with (folder / "manifest.tsv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter="\t")
        writer.writeheader()
        writer.writerows(rows)


def test_the_page_leads_from_a_split_to_a_comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    chests(tmp_path / "pre")
    started: list[Session] = []

    def fit(session: Session) -> str:
        started.append(session)
        write_text(session.run.adapter / "adapter.safetensors", "")
        return "started"

    monkeypatch.setattr(one_run, "fit_run", fit)
    page = lines()
    assert list(page) == ["3", "4", "5", "6"], "a block of the page is not run, or does not say so"
    for words in page["3"]:
        said = ["medct_small" if word == "medct" else word for word in words]
        done = CliRunner().invoke(main, said)
        assert done.exit_code == 0, done.output
    assert [one.run.root.name for one in started] == [f"fold_{number}" for number in range(5)] * 2
    assert [len(one.config.vision) for one in started] == [1] * 5 + [0] * 5
    tested = [row.scan_id for one in started[:5] for row in one.cohort.sides["test"]]
    assert sorted(tested) == sorted(f"c{number}" for number in range(12))
    audit = json.loads((tmp_path / "cv/fold_0/audit.json").read_text())
    assert audit["checked"]["same_image"] == "done"
    for words in [line for number in ("4", "5", "6") for line in page[number]]:
        assert main.commands[words[0]].make_context(words[0], words[1:])  # type: ignore[attr-defined]


def test_both_recipes_of_the_page_pass_their_settings() -> None:
    """At the published size too, up to the weights that a test has not."""
    from voxtune.config import read_recipe
    from voxtune.tasks.task import check_settings, task_of

    for edits in ((), ("vision=none", "text=none", "projections=trained")):
        config = read_recipe("medct")
        for edit in edits:
            config = config.edit(edit)
        check_settings(task_of(config), config)
