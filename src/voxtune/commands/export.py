"""``voxtune export``: the adapter of a run with its model card; no IDs, no paths."""

from pathlib import Path
from typing import TYPE_CHECKING

from voxtune.errors import DataError, UsageError
from voxtune.run_dir import RunDir, atomic_path, read_json, write_text

if TYPE_CHECKING:
    from voxtune.config import RunConfig
    from voxtune.model.adapter import AdapterFacts, LoadedAdapter

FILES = ("adapter.safetensors", "adapter.json")
PEFT = "peft"
"""Folder of the part that Hugging Face peft can read."""
WHOLE = "full"
"""The method whose adapter holds a tower's own weights."""
FOLDED = ("lora", "ia3")
"""Methods that ``--merge`` folds into the base."""


def export(
    run: Path, output: Path, *, merge: bool = False, peft: bool = False, base: Path | None = None
) -> Path:
    """Write the adapter with its card, with the figures of the run's own test scans where they exist, and its control.

    Args:
        run: the run directory.
        output: the adapter's folder.
        merge: fold the swapped layers (LoRA, IA3) into a copy of the base, ``base.safetensors``, and write the rest as the adapter of
            that copy.
        peft: write the swapped layers once more as Hugging Face peft stores them, in ``peft/``.
        base: weights of the base, where the run does not know them any more.

    Raises:
        DataError: the run has no adapter (its training did not finish).
        UsageError: the folder holds something else, or there is nothing to merge or to write for peft.
        LicenceError: the base's licence forbids to pass on what would be written.
    """
    from voxtune.commands.train.adapter import audited
    from voxtune.evaluation.evaluated_model import OWN
    from voxtune.model.adapter import read_facts
    from voxtune.pages.model_card import model_card

    place = RunDir(run)
    config = place.read_config()
    if not (place.adapter / FILES[0]).is_file():
        raise DataError(
            f"'{run.name}' has no adapter yet; 'voxtune train ... -o {run.name} --resume' finishes it."
        )
    if output.is_dir() and any(output.iterdir()) and not (output / FILES[1]).is_file():
        raise UsageError(f"'{output.name}' holds files that are no adapter; give a new folder.")
    facts = read_facts(place.adapter)
    check_licence(facts, merge=merge)
    if merge or peft:
        facts = _rewritten(place.adapter, output, config, base, merge=merge, peft=peft)
    else:
        for name in FILES:
            with atomic_path(output / name) as part:
                part.write_bytes((place.adapter / name).read_bytes())
    measured = place.evaluation(OWN) / "metrics.json"
    metrics = read_json(measured, "metrics") if measured.is_file() else None
    stated = measured.with_name("evaluation.json")
    evaluation = read_json(stated, "the facts of an evaluation") if stated.is_file() else None
    card = model_card(facts.model_dump(mode="json"), metrics, evaluation, leakage=audited(place))
    write_text(output / "README.md", card)
    if (
        place.control.adapter / FILES[1]
    ).is_file() and not merge:  # a control of the unmerged base fits no other
        for name in (*FILES, "README.md"):
            with atomic_path(output / "control" / name) as part:
                part.write_bytes((place.control.adapter / name).read_bytes())
    return output


def check_licence(facts: "AdapterFacts", *, merge: bool) -> None:
    """Refuse to hand over weights of a base in changed form where its licence forbids to pass them on.

    Raises:
        LicenceError: ``merge``, or an adapter that holds the towers themselves; the clause is named.
    """
    from voxtune.weights.licences import terms

    rules = terms(facts.licence)
    if merge:
        rules.check_sharing(facts.base, "A merged base")
    whole = [side for side in ("vision", "text") if any(one["kind"] == WHOLE for one in facts.config[side])]
    if whole:
        rules.check_sharing(facts.base, f"An adapter that holds the whole {' and '.join(whole)} tower")


def _rewritten(
    adapter: Path, output: Path, config: "RunConfig", base: Path | None, *, merge: bool, peft: bool
) -> "AdapterFacts":
    """Load the adapter and write it in another form: for peft, or merged."""
    from voxtune.model.adapter import load_adapter, save_adapter
    from voxtune.model.injection import write_peft

    loaded = load_adapter(adapter, base if base is not None else config.backbone)
    if peft:
        write_peft(loaded.model, output / PEFT, loaded.facts.base)
    facts = _merged(loaded, output) if merge else loaded.facts
    save_adapter(output, loaded.model, facts, "")
    from voxtune.model.adapter import read_facts

    return read_facts(output)


def _merged(loaded: "LoadedAdapter", output: Path) -> "AdapterFacts":
    """Fold the swapped layers into the base, write that base, and describe what is left as its adapter."""
    from typing import cast

    from safetensors.torch import save
    from torch import nn

    from voxtune.model.build import fingerprint
    from voxtune.model.injection import merge as fold
    from voxtune.serving.bundled import MERGED

    if not fold(loaded.model):
        raise UsageError("This adapter has no LoRA or IA3 part, so there is nothing to merge into the base.")
    backbone = cast(nn.Module, loaded.model.backbone)
    state = {name: value.detach().cpu().contiguous() for name, value in backbone.state_dict().items()}
    with atomic_path(output / MERGED) as part:
        part.write_bytes(save(state, metadata={"format": "pt", "licence": loaded.facts.licence}))
    tree = dict(loaded.facts.config)
    for side in ("vision", "text"):
        tree[side] = [one for one in tree[side] if one["kind"] not in FOLDED]
    return loaded.facts.model_copy(update={"base_sha256": fingerprint(backbone), "config": tree})
