"""``voxtune export``: the adapter of a run with its model card; no IDs, no paths."""

from pathlib import Path

from voxtune.errors import DataError, UsageError
from voxtune.run_dir import RunDir, atomic_path, read_json, write_text


def export(run: Path, output: Path) -> Path:
    """Copy the adapter and write its card anew, with the figures of the run's own test scans where they exist.

    Raises:
        DataError: the run has no adapter (its training did not finish).
        UsageError: the folder holds something else.
    """
    from voxtune.model.adapter import read_facts
    from voxtune.pages.model_card import model_card
    from voxtune.stages.evaluate_subject import OWN

    place = RunDir(run)
    place.read_config()
    if not (place.adapter / "adapter.safetensors").is_file():
        raise DataError(
            f"'{run.name}' has no adapter yet; 'voxtune train ... -o {run.name} --resume' finishes it."
        )
    if output.is_dir() and any(output.iterdir()) and not (output / "adapter.json").is_file():
        raise UsageError(f"'{output.name}' holds files that are no adapter; give a new folder.")
    facts = read_facts(place.adapter)
    measured = place.evaluation(OWN) / "metrics.json"
    metrics = read_json(measured, "metrics") if measured.is_file() else None
    stated = measured.with_name("evaluation.json")
    evaluation = read_json(stated, "the facts of an evaluation") if stated.is_file() else None
    for name in ("adapter.safetensors", "adapter.json"):
        with atomic_path(output / name) as part:
            part.write_bytes((place.adapter / name).read_bytes())
    write_text(output / "README.md", model_card(facts.model_dump(mode="json"), metrics, evaluation))
    return output
