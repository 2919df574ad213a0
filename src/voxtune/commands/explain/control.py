"""The control of an adapter: the one that was taught shuffled labels, found beside it or named, or why there is none."""

from pathlib import Path
from typing import TYPE_CHECKING

from voxtune.errors import UsageError, WeightsError
from voxtune.explanation.scan_explanation import Control
from voxtune.types.steering import said

if TYPE_CHECKING:
    from voxtune.model.adapter import AdapterFacts, LoadedAdapter

FOLDER = "control"
MAKE = (
    "'voxtune train RECIPE -o RUN --data MANIFEST --control' trains one with the adapter (with --resume, for a run that is finished), "
    "and --control ADAPTER names one"
)


def find_control(folder: Path, loaded: "LoadedAdapter", given: Path | None, base: Path | None) -> Control:
    """The control that was named, or the one that lies in or beside the adapter's folder and was made for this adapter.

    Args:
        folder: of the adapter: ``RUN/adapter``, whose control is ``RUN/control/adapter``, or an exported one.
        loaded: the adapter.
        given: a control by its folder, its run, or any adapter that was trained on shuffled labels.
        base: weights of the base, where they were given.

    Raises:
        UsageError: the named one knows other classes, or scans of another kind.
        WeightsError: it does not load.
    """
    from voxtune.model.adapter import load_adapter
    from voxtune.serving.bundled import adapter_folder, base_file

    if given is not None:
        place = _inside(given) or adapter_folder(given)
        adapter = load_adapter(place, base_file(place, base), control=True)
        if unlike := _unlike(adapter.facts, loaded.facts):
            raise UsageError(
                f"--control '{given.name}' has {unlike}: a control differs from its adapter in nothing but its labels."
            )
        return Control(adapter, _learned(adapter.facts))
    near = [_inside(one / FOLDER) for one in (folder, folder.parent)]
    try:
        controls = {one: of for one in near if one is not None and (of := _control_of(one)) is not None}
    except WeightsError as error:  # what a user did not name must not stop an explanation
        return Control(None, f"the control beside this adapter cannot be used ({error}): {MAKE}")
    own = [place for place, of in controls.items() if of == loaded.facts.adapter_sha256]
    if not own:
        why = (
            "the control beside this adapter is that of another one"
            if controls
            else "no control lies beside this adapter"
        )
        return Control(None, f"{why}: {MAKE}")
    try:
        adapter = load_adapter(own[0], base_file(folder, base), control=True)
    except WeightsError as error:
        return Control(None, f"the control beside this adapter cannot be used ({error}): {MAKE}")
    return Control(adapter, _learned(adapter.facts))


def _inside(folder: Path) -> Path | None:
    """The folder that holds the adapter: this one, or ``adapter`` in it."""
    return next((one for one in (folder, folder / "adapter") if (one / "adapter.json").is_file()), None)


def _control_of(folder: Path) -> str | None:
    """The adapter that something is the control of; ``None``: it is none.

    Raises:
        WeightsError: it is not whole.
    """
    from voxtune.model.adapter import read_facts

    return read_facts(folder).control_of


def _unlike(control: "AdapterFacts", adapter: "AdapterFacts") -> str:
    """What sets two adapters apart that should differ in their labels alone; empty: nothing."""
    if control.classes != adapter.classes:
        return f"the classes {', '.join(control.classes)}, the adapter has {', '.join(adapter.classes)}"
    if control.targets != adapter.targets:
        own, its = (", ".join(facts.targets) or "none" for facts in (control, adapter))
        return f"the targets {own}, the adapter has {its}"
    if control.preset != adapter.preset:
        return f"preset '{control.preset}', the adapter has '{adapter.preset}'"
    return ""


def _learned(facts: "AdapterFacts") -> str:
    learned = facts.training.get("learned")
    if facts.control_of is None or not learned:
        return "named by --control"
    metric, value = learned["metric"], learned["value"]
    chance = {"balanced_accuracy": 1 / max(1, len(facts.classes)), "auroc": 0.5}.get(metric)
    by = "" if chance is None else f" (chance {chance:.2f})"
    return f"it knows the labels it was dealt by {said(metric, value, 2)}{by}"
