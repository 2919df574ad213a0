"""``voxtune weights``: where published weights are, how to get them, and how to make them safe to read."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from voxtune.errors import UsageError, WeightsError
from voxtune.extras import install_line
from voxtune.run_dir import write_json
from voxtune.weights.licences import terms
from voxtune.weights.published import HLIP_ONE_T1, HLIP_VARIANTS, PUBLISHED, Published
from voxtune.weights.seen import SEEN

SUFFIXES = {".bin", ".ckpt", ".pt", ".pth", ".safetensors"}
"""Of files that can hold weights."""


def weights(
    action: str,
    name: str | None = None,
    file: Path | None = None,
    *,
    home: Path | None = None,
    seen: bool = False,
) -> str:
    """Do one of ``list``, ``get NAME``, ``convert NAME FILE``; what it returns is for a person.

    Args:
        action: ``list``, ``get`` or ``convert``.
        name: catalogue name of the backbone.
        file: the published file to convert.
        home: folder that keeps weights; ``None`` writes beside the file.
        seen: of ``list``: what each base has seen instead of where it is.

    Raises:
        UsageError: a name or file is missing or unknown, or ``seen`` with anything but ``list``.
        WeightsError: the file is not what it should be, or cannot be had from here.
    """
    if seen and action != "list":
        raise UsageError("--seen goes with 'voxtune weights list'.")
    if action == "list":
        return seen_table(name) if seen else _table()
    published = _published(action, name)
    assert name is not None
    if action == "get":
        return get(name, published, home)
    if file is None:
        raise UsageError(f"'voxtune weights convert {name}' needs the published FILE.")
    return convert(name, file, home)


def _published(action: str, name: str | None) -> Published:
    if name is None:
        raise UsageError(f"'voxtune weights {action}' needs a NAME: {', '.join(PUBLISHED)}.")
    if name not in PUBLISHED:
        raise UsageError(f"No published weights named '{name}'. Known: {', '.join(PUBLISHED)}.")
    return PUBLISHED[name]


def _table() -> str:
    rows = [("name", "size, GB", "licence", "where", "file")]
    for name, one in PUBLISHED.items():
        where = one.where + (" (gated)" if one.gated else "")
        rows.append(
            (
                name,
                f"{one.gigabytes:.2f}" if one.parameters else "-",
                one.licence,
                where,
                ", ".join(one.files) or "-",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]])
        for row in rows
    ]
    variants = [f"  {one.setting:<16} {one.where}: {one.seen}; takes {one.takes}" for one in HLIP_VARIANTS]
    return "\n".join(
        [
            *lines,
            "Sizes are of all published parameters in float32. 'voxtune weights get NAME' says how to get one; 'voxtune weights list --seen' what "
            "each has seen.",
            "",
            "HLIP has several checkpoints; its setting 'variant' says which:",
            *variants,
            f"For one T1 take {HLIP_ONE_T1}",
        ]
    )


def seen_table(name: str | None = None) -> str:
    """The register of what each base has seen, or of one base.

    Raises:
        UsageError: no such base.
    """
    if name is not None and name not in SEEN:
        raise UsageError(f"No base named '{name}'. Known: {', '.join(SEEN)}.")
    lines = []
    for base in SEEN if name is None else (name,):
        one = SEEN[base]
        lines += [
            f"{base}: {one.names}",
            f"  trained on {one.data}",
            f"  source: {one.source}",
            *([f"  {one.note}"] if one.note else []),
        ]
    return "\n".join(
        [*lines, "A cohort that is not named may have been seen all the same, save where it says 'none'."]
    )


def get(name: str, published: Published, home: Path | None) -> str:
    """Download by the hub's client where it is installed and allowed to, then convert; otherwise say the steps.

    Raises:
        WeightsError: not to be had from here; the message holds the steps by hand.
    """
    steps = published.steps(name)
    if not published.hub or not published.files:
        raise WeightsError(f"'{name}' cannot be downloaded by a command.\n{steps}")
    try:
        import huggingface_hub
    except ImportError:
        raise WeightsError(
            f"Downloading needs the hub's client: {install_line('hub')}. Or by hand:\n{steps}"
        ) from None
    folder = (home or Path.home() / ".voxtune") / "downloads" / name
    wanted = published.files[0]
    try:
        there = [
            one.rfilename
            for one in huggingface_hub.HfApi()
            .repo_info(published.where, repo_type=published.hub, timeout=10)
            .siblings
        ]
        found = (
            huggingface_hub.hf_hub_download(
                published.where, wanted, repo_type=published.hub, local_dir=folder
            )
            if wanted in there
            else None
        )
    except Exception as error:  # the client has no common base for offline, gated, missing and refused
        raise WeightsError(
            f"'{name}' could not be downloaded ({type(error).__name__}). By hand:\n{steps}"
        ) from error
    if found is None:
        files = ", ".join(one for one in there if Path(one).suffix in SUFFIXES) or "no weights"
        raise WeightsError(f"{published.where} has no {wanted} now; it has {files}. By hand:\n{steps}")
    return convert(name, Path(found), home or folder.parents[1])


def convert(name: str, file: Path, home: Path | None) -> str:
    """Turn a published ``.bin``, ``.pt`` or ``.pth`` into safetensors, in a process of its own that runs no pickled code.

    What the model never reads is left out. Writes the file and, beside it, a JSON with the sha256 of both and what was
    dropped.

    Raises:
        WeightsError: no such file, a file with code in it, a truncated file, another model's file.
    """
    if not file.is_file():
        raise WeightsError(f"No file {file.name} to convert.")
    output = (home / "weights" / name if home else file.parent) / f"{name if home else file.stem}.safetensors"
    if output.exists() and output.samefile(file):
        raise WeightsError(
            f"{file.name} is safetensors already; set VOXTUNE_HOME to convert it into that folder."
        )
    output.parent.mkdir(parents=True, exist_ok=True)
    order = [sys.executable, "-m", "voxtune.commands.weights.convert", name, str(file), str(output)]
    done = subprocess.run(order, capture_output=True, encoding="utf-8", check=False)  # noqa: S603  (our own module)
    said = _last_json(done.stdout)
    if done.returncode or said is None or "error" in said:
        cause = (
            said["error"]
            if said and "error" in said
            else f"the converter stopped with code {done.returncode}"
        )
        raise WeightsError(f"{file.name}: {cause}")
    write_json(output.with_suffix(".json"), said, shared=True)
    dropped = f", {said['dropped_keys']} keys without effect left out" if said["dropped_keys"] else ""
    lines = [
        f"Converted {file.name}: {said['keys']} keys, {said['parameters']:,} numbers{dropped}.",
        f"sha256 in  {said['source_sha256']}",
        f"sha256 out {said['sha256']}",
        f"Written to {output}",
    ]
    if said["settings"]:
        lines.append(
            f"Load it with {', '.join(f'{key}={value}' for key, value in said['settings'].items())}."
        )
    if said["also_fits"]:
        same = "; ".join(
            ", ".join(f"{k}={v}" for k, v in one.items()) or "the default" for one in said["also_fits"]
        )
        lines.append(
            f"The shapes are also those of {same}: take what the file's name says, nothing else can tell."
        )
    if said["licence"]:
        lines.append(f"Licence beside the file: {said['licence']}")
    elif not terms(PUBLISHED[name].licence).known or terms(PUBLISHED[name].licence).rules:
        lines.append(
            f"No licence lies beside the file; taken as '{PUBLISHED[name].licence}'. Put its LICENSE or card there and convert again to be sure."
        )
    if not said["published_sizes"]:
        lines.append("The sizes are not the published ones: give the model its own when you load it.")
    return "\n".join(lines)


def _last_json(text: str) -> dict[str, Any] | None:
    lines = text.strip().splitlines()
    try:
        value = json.loads(lines[-1]) if lines else None
    except json.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None
