"""``voxtune export``: the adapter of a run with its model card; no IDs, no paths."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from voxtune.errors import DataError, UsageError
from voxtune.run_dir import RunDir, output_folder, read_json, write_bytes, write_text
from voxtune.storage.lock import is_lock
from voxtune.storage.seal import SUMS, write_sums
from voxtune.storage.tensors import write_tensors
from voxtune.storage.write import is_part
from voxtune.types.case_bank import BANK
from voxtune.types.stored import EvaluationStated, RunSplit

if TYPE_CHECKING:
    from voxtune.config import RunConfig
    from voxtune.model.adapter import AdapterFacts, LoadedAdapter

FILES = ("adapter.safetensors", "adapter.json")
PARTS = ("control", "peft", "base.safetensors", BANK)
OURS = {*FILES, SUMS, "README.md", *PARTS}
"""What an export may find where it writes: of an earlier one, whole or broken off."""
PEFT = "peft"
"""Folder of the part that Hugging Face peft can read."""
WHOLE = "full"
"""The method whose adapter holds a tower's own weights."""
FOLDED = ("lora", "ia3")
"""Methods that ``--merge`` folds into the base."""


def export(
    run: Path,
    output: Path,
    *,
    merge: bool = False,
    peft: bool = False,
    base: Path | None = None,
    case_bank: int | None = None,
) -> Path:
    """Write the adapter with its card, with the figures of the run's own test scans where they exist, and its control.

    Args:
        run: the run directory.
        output: the adapter's folder.
        merge: fold the swapped layers (LoRA, IA3) into a copy of the base, ``base.safetensors``, and write the rest as the adapter of
            that copy.
        peft: write the swapped layers once more as Hugging Face peft stores them, in ``peft/``.
        base: weights of the base, where the run does not know them any more.
        case_bank: also write a case bank for ``similar``, means over at least so many training participants of a class (``case_bank.json``).

    Raises:
        DataError: the run has no adapter (its training did not finish).
        UsageError: the folder holds something else, or there is nothing to merge or to write for peft.
        LicenceError: the base's licence forbids to pass on what would be written.
    """
    from voxtune.model.adapter import read_facts

    if base is not None and not (merge or peft or case_bank):
        raise UsageError(
            "--base is the base that --merge, --peft and --case-bank load; a plain export copies the adapter."
        )
    place = RunDir(run)
    config = place.read_config()
    if not (place.adapter / FILES[0]).is_file():
        raise DataError(
            f"'{run.name}' has no adapter yet; 'voxtune train ... -o {run.name} --resume' finishes it."
        )
    if output.is_dir() and any(
        one.name not in OURS and not is_part(one) and not is_lock(one) for one in output.iterdir()
    ):
        raise UsageError(f"'{output.name}' holds files that are no adapter; give a new folder.")
    check_licence(read_facts(place.adapter), merge=merge)
    with output_folder(output):
        return _exported(place, output, config, base, merge=merge, peft=peft, case_bank=case_bank)


def _exported(
    place: RunDir, output: Path, config: "RunConfig", base: Path | None, *, merge: bool, peft: bool, case_bank: int | None
) -> Path:  # fmt: skip
    from voxtune.commands.train.adapter import audited
    from voxtune.evaluation.evaluated_model import OWN
    from voxtune.evaluation.tables import read_metrics
    from voxtune.model.adapter import read_facts
    from voxtune.pages.model_card import model_card

    facts = read_facts(place.adapter)
    _clear(output)
    if merge or peft:
        facts = _rewritten(place.adapter, output, config, base, merge=merge, peft=peft)
    else:
        _copied(place.adapter, output)
    if case_bank is not None:
        _banked(place, output, base, case_bank, facts.adapter_sha256)
    measured = place.evaluation(OWN) / "metrics.json"
    if measured.is_file():
        read_metrics(measured)  # every score is one
    metrics = read_json(measured, "metrics") if measured.is_file() else None
    stated = measured.with_name("evaluation.json")
    evaluation = (
        read_json(stated, "the facts of an evaluation", EvaluationStated) if stated.is_file() else None
    )
    card = model_card(facts.model_dump(mode="json"), metrics, evaluation, leakage=audited(place))
    write_text(output / "README.md", card, shared=True)
    control = place.control.adapter
    if (control / FILES[1]).is_file() and not merge:  # a control of the unmerged base fits no other
        read_facts(control)
        _copied(control, output / "control")
        write_bytes(output / "control" / "README.md", (control / "README.md").read_bytes(), shared=True)
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


def _clear(output: Path) -> None:
    """Remove the parts of an earlier export that not every export writes: beside another adapter they would pass for its own."""
    if not (output / FILES[1]).is_file():
        return
    for name in PARTS:
        part = output / name
        if part.is_dir() and not part.is_symlink():
            shutil.rmtree(part)
        else:
            part.unlink(missing_ok=True)


def _copied(adapter: Path, output: Path) -> None:
    """Copy the two files of an adapter that was checked, and write their sums."""
    for name in FILES:
        write_bytes(output / name, (adapter / name).read_bytes(), shared=True)
    write_sums(output, FILES, shared=True)


def _banked(run: RunDir, output: Path, base: Path | None, fewest: int, adapter_sha256: str) -> None:
    """Write the bank of the training side.

    Raises:
        DataError: its manifest is gone, none of its scans can be read, or no class has enough participants.
    """
    from dataclasses import replace

    from voxtune.cases.bank import anonymous_bank
    from voxtune.cases.pictures import one_person
    from voxtune.cases.vectors import cases_of_rows, readable_rows
    from voxtune.data.manifest import read_manifest
    from voxtune.data.simulated import with_marks
    from voxtune.model.adapter import load_adapter
    from voxtune.storage.seal import write_sealed

    split = read_json(run.split, "the split of the run", RunSplit)
    manifest = (run.root / split["manifest"]).resolve()
    train = set(split["train"])
    everyone = with_marks(manifest, read_manifest(manifest))
    loaded = load_adapter(run.adapter, base)
    sources = readable_rows(loaded, manifest, [row for row in everyone if row.scan_id in train])
    # Five IDs of four people would tell more of each than is promised.
    first = one_person(manifest, sources.rows)
    cases = [
        replace(one, participant=first[str(one.participant)])
        for one in cases_of_rows(loaded, sources, None, texts=False)
    ]
    marked = any(row.simulated for row in sources.rows)
    made = anonymous_bank(cases, adapter_sha256, fewest, simulated=marked)
    write_sealed(output / BANK, made.model_dump(mode="json"), shared=True)


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

    from torch import nn

    from voxtune.model.build import fingerprint
    from voxtune.model.injection import merge as fold
    from voxtune.serving.bundled import MERGED

    if not fold(loaded.model):
        raise UsageError("This adapter has no LoRA or IA3 part, so there is nothing to merge into the base.")
    backbone = cast(nn.Module, loaded.model.backbone)
    state = {name: value.detach().cpu().contiguous() for name, value in backbone.state_dict().items()}
    write_tensors(output / MERGED, state, {"format": "pt", "licence": loaded.facts.licence})
    tree = dict(loaded.facts.config)
    for side in ("vision", "text"):
        tree[side] = [one for one in tree[side] if one["kind"] not in FOLDED]
    words = {
        name: digest for name, digest in loaded.facts.base_files.items() if name.startswith("tokenizer/")
    }
    return loaded.facts.model_copy(
        update={"base_sha256": fingerprint(backbone), "config": tree, "base_files": words}
    )
