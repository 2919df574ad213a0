"""The parts of a paper that explain: the tokens that count at each stage, and one person's maps with one biomarker kept."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxtune.commands.reproduce.data import prepared
from voxtune.commands.reproduce.files import tex
from voxtune.commands.reproduce.gradients import heat_json, heat_of, write_heat_files
from voxtune.commands.reproduce.paper import Cell, Paper
from voxtune.commands.reproduce.sweep import Sweep
from voxtune.run_dir import RunDir, read_json, write_json, write_text
from voxtune.types.records import ManifestRow

if TYPE_CHECKING:
    from voxtune.model.adapter import LoadedAdapter

LIMIT = 8
"""Participants a stage: every one costs hundreds of passes."""


@dataclass(frozen=True)
class Explaining:
    """What is explained: the run of one cell on the test side, and where it goes."""

    sweep: Sweep
    paper: Paper
    cell: Cell
    output: Path

    @property
    def adapter(self) -> Path:
        """The adapter of the cell."""
        return RunDir(self.sweep.folder(self.cell)).adapter

    @property
    def mark(self) -> dict[str, Any]:
        """What a finished file was made of; the same mark is not made again."""
        facts = read_json(self.adapter / "adapter.json", "the facts of an adapter")
        return {"cell": self.cell.name, "adapter_sha256": facts["adapter_sha256"], "limit": LIMIT}

    def test_manifest(self) -> Path:
        """The test side as a manifest of its own; on simulated scans beside their truth."""
        from voxtune.data.manifest import resolve_image, write_manifest

        manifest = prepared(self.sweep.sources, "own", self.cell.config.preset)
        ours = (self.sweep.sources.root / "data").resolve() in manifest.resolve().parents
        folder = manifest.parent if ours else self.sweep.sources.root / "data"
        rows = [
            row.model_copy(update={"image": str(resolve_image(manifest, row).resolve())})
            for row in self._test_rows(manifest)
        ]
        return write_manifest(rows, folder / "test.tsv")

    def _test_rows(self, manifest: Path) -> list[ManifestRow]:
        from voxtune.data.manifest import read_manifest
        from voxtune.data.split_files import read_split

        names = set(read_split(self.sweep.sources.split()).test)
        return [row for row in read_manifest(manifest) if row.scan_id in names]


def is_made(path: Path, mark: dict[str, Any]) -> bool:
    """Whether a file with this mark is there."""
    return path.is_file() and read_json(path, "a finished part").get("made_of") == mark


def explained_facts(what: Explaining) -> dict[str, Any]:
    """The whole explanation of the run in ``OUT/explained``, made where it is not there yet."""
    from voxtune.commands.explain.command import explain

    folder = what.output / "explained"
    made, facts = folder / "made_of.json", folder / "explanation.json"
    if not (is_made(made, what.mark) and facts.is_file()):
        base = getattr(what.cell.config.backbone, "weights", None)
        explain(what.adapter, what.test_manifest(), output=folder, base=base, limit=LIMIT)
        write_json(made, {"made_of": what.mark})
    return read_json(facts, "an explanation")


# --------------------------------------------------------------------------------------------- the words
def explain_words(what: Explaining, number: int) -> str:
    """The table of the tokens that give most at each stage, by Integrated Gradients; a line for a person."""
    from voxtune.pages.reproduce_page import words_page

    name = f"table_{number}"
    record = what.output / f"{name}.json"
    if not is_made(record, what.mark):
        facts = explained_facts(what)
        said = facts["text"]
        write_json(
            record,
            {
                "paper": what.paper.name,
                "table": number,
                "caption": "Tokens with the largest Integrated Gradients by stage",
                "simulated": facts["simulated"],
                "groups": facts["groups"],
                "tokens": said["tokens"] if said else {},
                "completeness_error": said["completeness_error"] if said else None,
                "made_of": what.mark,
            },
        )
    facts = read_json(record, "the table of tokens")
    write_text(what.output / f"{name}.md", words_markdown(facts))
    write_text(what.output / f"{name}.csv", words_csv(facts))
    write_text(what.output / f"{name}.tex", words_latex(facts))
    write_text(
        what.output / f"{name}.html",
        words_page(number, facts["caption"], word_rows(facts), simulated=facts["simulated"]),
    )
    return f"Table {number}: done. {what.output / f'{name}.html'}"


def word_rows(facts: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Stage with its people, and its tokens with mean and interval."""
    return [
        (
            f"{stage} ({facts['groups'][stage]['participants']} participants)",
            [f"{one['token']} {_interval(one)}" for one in tokens],
        )
        for stage, tokens in facts["tokens"].items()
    ]


def _interval(one: dict[str, Any]) -> str:
    if one["value"] is None:
        return ""
    low, high = one.get("low"), one.get("high")
    between = "" if low is None or high is None else f" [{low:.3f}, {high:.3f}]"
    return f"{one['value']:.3f}{between}"


def words_markdown(facts: dict[str, Any]) -> str:
    """The table of tokens for a README."""
    said = " SIMULATED people." if facts["simulated"] else ""
    lines = [
        f"**Table {facts['table']}. {facts['caption']}.** Mean attribution of the similarity of report and scan, with its 95% interval.{said}",
        "",
        "| stage | first | second | third |",
        "| --- | --- | --- | --- |",
    ]
    for stage, tokens in word_rows(facts):
        lines.append("| " + " | ".join([stage, *(tokens + ["-"] * 3)[:3]]) + " |")
    return "\n".join(lines) + "\n"


def words_csv(facts: dict[str, Any]) -> str:
    """One line for each stage and token."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(("table", "stage", "rank", "token", "value", "low", "high", "simulated"))
    for stage, tokens in facts["tokens"].items():
        for rank, one in enumerate(tokens, start=1):
            writer.writerow(
                (
                    facts["table"],
                    stage,
                    rank,
                    one["token"],
                    one["value"],
                    one.get("low"),
                    one.get("high"),
                    facts["simulated"],
                )
            )
    return buffer.getvalue()


def words_latex(facts: dict[str, Any]) -> str:
    """The table of tokens for booktabs."""
    body = [
        " & ".join(tex(one) for one in [stage, *(tokens + ["-"] * 3)[:3]]) + r" \\"
        for stage, tokens in word_rows(facts)
    ]
    caption = tex(f"{'SIMULATED people. ' if facts['simulated'] else ''}{facts['caption']}.")
    return "\n".join(
        [
            r"\begin{table}", r"\centering", rf"\caption{{{caption}}}", r"\begin{tabular}{llll}", r"\toprule",
            r"Stage & first & second & third \\", r"\midrule", *body, r"\bottomrule", r"\end{tabular}", r"\end{table}",
        ]
    ) + "\n"  # fmt: skip


# ---------------------------------------------------------------------------------------------- the maps
def draw_maps(what: Explaining, number: int) -> str:
    """The figure in both its forms: maps of one person at several stages, each with one biomarker of the report kept; and gradients by stage."""
    from voxtune.pages.reproduce_page import ShownMaps, figure_page

    name = f"figure_{number}"
    record = what.output / f"{name}.json"
    mark = what.mark | {"forms": ["maps", "gradients"]}
    if not (is_made(record, mark) and (what.output / f"{name}.html").is_file()):
        from voxtune.data.images import load_preset
        from voxtune.model.adapter import load_adapter

        loaded = load_adapter(what.adapter, base=what.cell.config.backbone)
        manifest = what.test_manifest()
        chosen = choose_stages(what._test_rows(manifest), loaded.facts.classes)  # noqa: SLF001  (of this file)
        scans, panel, people = _maps(loaded, load_preset(loaded.facts.preset), manifest, chosen)
        simulated = what.sweep.sources.simulated
        maps = ShownMaps(caption_of(chosen, people), scans, panel)
        heat = heat_of(explained_facts(what))
        write_heat_files(what.output / name, number, heat, simulated=simulated)
        write_text(what.output / f"{name}.html", figure_page(number, maps, heat, simulated=simulated))
        content = {"caption": maps.caption, "stages": [stage for stage, _ in chosen], "simulated": simulated}
        write_json(record, content | {"gradients": heat_json(heat), "made_of": mark})
    return f"Figure {number}: done. {what.output / f'{name}.html'}"


def choose_stages(rows: Sequence[ManifestRow], classes: Sequence[str]) -> list[tuple[str, ManifestRow]]:
    """One scan of each stage, as many of them as can be of one person: who was seen at most stages."""
    by_person: dict[str, dict[str, ManifestRow]] = {}
    for row in rows:
        if row.diagnosis in classes:
            by_person.setdefault(row.participant_id, {}).setdefault(str(row.diagnosis), row)
    if not by_person:
        return []
    most = max(len(own) for own in by_person.values())
    chosen = dict(next(own for own in by_person.values() if len(own) == most))
    for own in by_person.values():
        for stage, row in own.items():
            chosen.setdefault(stage, row)
    return [(stage, chosen[stage]) for stage in classes if stage in chosen]


def caption_of(chosen: Sequence[tuple[str, ManifestRow]], people: int) -> str:
    """What the figure shows, without IDs."""
    who = "one participant" if people == 1 else f"{people} participants (nobody was seen at every stage)"
    return (
        f"Heat maps of the similarity of scan and report of {who}, a row for each stage ({', '.join(stage for stage, _ in chosen)}): "
        "with the full report, and with one biomarker kept and the others masked."
    )


def _maps(
    loaded: "LoadedAdapter", preset: Any, manifest: Path, chosen: Sequence[tuple[str, ManifestRow]]
) -> tuple[dict[str, Any], dict[tuple[str, str], Any], int]:
    """Grey picture by stage, heat by stage and column, and how many people they are."""
    import torch

    from voxtune.data.manifest import resolve_image
    from voxtune.explanation.heat_map import explain_targets
    from voxtune.explanation.placement import to_stored
    from voxtune.explanation.scan_explanation import FULL, columns_of
    from voxtune.explanation.scan_reports import reports_of_row
    from voxtune.explanation.target import text_target
    from voxtune.imaging.read import read_scan
    from voxtune.imaging.tensor import to_tensor

    scans, panel = {}, {}
    for stage, row in chosen:
        stored = read_scan(resolve_image(manifest, row))
        reports = reports_of_row(loaded, row)
        report = reports.get(stage)
        if report is None:
            continue
        columns = columns_of(reports, (), loaded.config.known_profile)
        asked = [text_target(loaded, report), *(text_target(loaded, report, keep=key) for key in columns)]
        found = explain_targets(loaded, torch.from_numpy(to_tensor(stored, preset)), asked)
        scans[stage] = stored
        for name, one in zip((FULL, *columns.values()), found, strict=True):
            panel[stage, name] = to_stored(one.voxels, stored, preset)
    return scans, panel, len({row.participant_id for _, row in chosen})
