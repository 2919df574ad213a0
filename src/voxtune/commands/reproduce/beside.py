"""What stands beside a table: guessing, and of simulated scans the best possible and the rules that need no model."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from voxtune.commands.reproduce.data import Sources
from voxtune.run_dir import read_json
from voxtune.types.records import ManifestRow
from voxtune.types.stored import CohortLimits

BEST = "best possible (the true posterior given what a picture shows)"
OVER_ALL = "cross-validated over the whole cohort"
RULES: Mapping[str, str] = {
    "volumes": f"regression on the measured volumes ({OVER_ALL}, as all that follow; no bound)",
    "ventricles": "ventricles over ICV alone",
    "age_sex": "age and sex",
    "voxel_count": "voxels above 0.02",
    "mean_intensity": "mean brightness",
}
"""Rules that need no model of pictures, in words and in the order in which they are printed."""


def beside_of(sources: Sources, rows: Mapping[str, Sequence[ManifestRow]]) -> dict[str, float]:
    """Accuracies in percent by what they are of.

    Args:
        sources: where the cohort is; the truth of a simulated one lies beside its manifest.
        rows: of ``train``, ``val`` and ``test``.
    """
    usual = Counter(str(row.diagnosis) for row in rows["train"]).most_common(1)[0][0]
    test = rows["test"]
    found = {
        f"always the most frequent training class ({usual})": 100
        * sum(row.diagnosis == usual for row in test)
        / len(test)
    }
    if not sources.simulated:
        return found
    truth = sources.manifests["own"].parent / "truth"
    if (best := _best_possible(truth / "posterior.tsv", test)) is not None:
        found[BEST] = 100 * best
    rules = _rules(truth / "limits.json", [row for side in ("train", "val", "test") for row in rows[side]])
    return found | {words: 100 * rules[name] for name, words in RULES.items() if name in rules}


def _best_possible(path: Path, test: Sequence[ManifestRow]) -> float | None:
    """How often the most probable class is the written one, over the test scans; ``None`` where the cohort has no such table."""
    if not path.is_file():
        return None
    head, *lines = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    names = [name.removeprefix("p_") for name in head[1:]]
    most = {name: names[max(range(len(names)), key=lambda at: float(chances[at]))] for name, *chances in lines}  # fmt: skip
    if any(row.scan_id not in most for row in test):
        return None
    return sum(most[row.scan_id] == row.diagnosis for row in test) / len(test)


def _rules(path: Path, rows: Sequence[ManifestRow]) -> Mapping[str, float]:
    """Every rule that the simulation scored; of a cohort without such a file those on its numbers."""
    if path.is_file():
        rules: Mapping[str, float] = read_json(path, "the limits of a simulated cohort", CohortLimits)[
            "rules"
        ]
        return rules
    from voxtune.simulate.simple_rules import simple_rule_accuracies

    return simple_rule_accuracies([row.model_dump() for row in rows])
