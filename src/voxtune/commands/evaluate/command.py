"""``voxtune evaluate``: score a run on its test scans or on another cohort, or several runs together, with intervals over participants."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from voxtune.commands.evaluate.runs import evaluate_runs
from voxtune.commands.evaluate.write import Evaluated, folder_of, scored, write_evaluation
from voxtune.errors import UsageError
from voxtune.types.conformal import WantedSets


def evaluate(  # noqa: PLR0913  (the options of the command)
    run: str | Path | Sequence[str | Path],
    *,
    data: str | Path | None = None,
    classes: Sequence[str] | None = None,
    label_map: Mapping[str, str] | None = None,
    output: str | Path | None = None,
    device: str = "auto",
    coverage: float | None = None,
    by_class: bool = False,
    false_discovery: float | None = None,
    say: Callable[[str], None] = print,
) -> Evaluated:
    """Predict and score; writes ``predictions.tsv``, ``metrics.json``, ``evaluation.json`` and ``page.html``.

    With the manifest the run was trained on (found again where it lay), its test side is scored; with any other manifest, all scans of
    it of which something is known (an external cohort). Each baseline's predictions go to ``baselines/<name>/predictions.tsv``.

    Args:
        run: a run directory; or a recipe (name or ``config.json``), whose base is then scored as published: zero-shot; or several runs,
            or a folder that holds them: seeds of one recipe are given as mean and standard deviation, folds of a cross-validation pooled.
        data: ``manifest.tsv`` of preprocessed scans.
        classes: score and choose among these classes (findings) only; a class that training never saw is scored by its class text.
        label_map: labels of the cohort to classes, of findings columns to findings, as ``{"CN": "NC"}``.
        output: folder to write; otherwise ``RUN/evaluation/<cohort>``, of a folder of runs ``FOLDER/evaluation/<cohort>``.
        coverage: measure prediction sets too, that hold the truth for this share of people.
        by_class: let that share hold for the people of each class by themselves.
        false_discovery: measure findings said to be there too, so that on average at most this share of those said is not.
        device: ``auto`` (a GPU where there is one), ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        say: takes lines for a person.

    Raises:
        SettingError: a share outside 0..1, or a promise that is not for what is predicted.
        UsageError: no manifest, no place to write to, impossible classes or labels, a device that is not there.
        DataError: nothing to score, runs that are not of one question (the settings that differ are named), or a coverage that the
            adapter's validation participants are too few for.
    """
    from voxtune.evaluation.conformal import wanted_sets
    from voxtune.model.device import on_device

    sources = [Path(one) for one in ([run] if isinstance(run, str | Path) else run)]
    manifest, target = (None if one is None else Path(one) for one in (data, output))
    sets = wanted_sets(coverage, by_class=by_class, false_discovery=false_discovery)
    with on_device(device):
        return _evaluate(sources, manifest, classes, label_map, target, sets, say)


def _evaluate(
    sources: Sequence[Path],
    manifest: Path | None,
    classes: Sequence[str] | None,
    label_map: Mapping[str, str] | None,
    target: Path | None,
    sets: WantedSets | None,
    say: Callable[[str], None],
) -> Evaluated:
    from voxtune.evaluation.evaluated_model import manifest_to_score, read_model
    from voxtune.evaluation.run_list import run_folders
    from voxtune.run_dir import output_folder

    runs = run_folders(sources[0]) if len(sources) == 1 else sources
    if len(runs) > 1:
        home = sources[0] if len(sources) == 1 else None
        with output_folder(target):  # before any scan is read
            return evaluate_runs(
                runs,
                data=manifest,
                classes=classes,
                label_map=label_map,
                output=target,
                home=home,
                say=say,
                sets=sets,
            )
    model = read_model(runs[0])
    manifest_to_score(model, manifest)  # what to score is asked for before where to write
    if target is None and model.run is None:
        raise UsageError("Say where to write the scores of a base: -o DIR.")
    with output_folder(target):
        found = scored(model, manifest, classes, label_map, say, sets)
        return write_evaluation(found, target or folder_of(found))
