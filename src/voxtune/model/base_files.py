"""Where the weights and the tokenizer of an adapter's base are: given, beside the adapter, where its run found them, in VOXTUNE_HOME.

A file is known by its sha256 where the adapter names one; whatever is found, the tensors are compared with the adapter's fingerprint of
its base before it answers.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from voxtune.errors import UsageError, WeightsError
from voxtune.storage.strict_json import loads
from voxtune.types.settings import Settings
from voxtune.weights.load import file_sha256

TOKENIZER = ("tokenizer.json", "vocab.txt", "vocab.json", "merges.txt", "tokenizer_config.json")
"""Files that make a tokenizer."""
FILES = ("weights", "text_weights")
"""Settings of a backbone that name a file of tensors."""
ADAPTER = "adapter.safetensors"


def lacks_weights(settings: Settings) -> bool:
    """Whether these settings would start a backbone from random numbers without saying so (``fresh``)."""
    fields = type(settings).model_fields
    shipped = getattr(type(settings), "shipped", False)
    return (
        "weights" in fields
        and not shipped
        and getattr(settings, "weights", None) is None
        and not getattr(settings, "fresh", False)
    )


def check_weights(settings: Settings, kind: str) -> None:
    """Refuse a backbone of random numbers that nobody asked for.

    Raises:
        UsageError: it says how to get the weights, and how to mean it.
    """
    if lacks_weights(settings):
        raise UsageError(
            f"Backbone '{kind}' has no weights, and random numbers know nothing. {steps(kind)}\n"
            "then --set backbone.weights=FILE. To start from random numbers all the same: --set backbone.fresh=true."
        )


def from_home(settings: Settings, kind: str) -> Settings:
    """The settings with the weights and the tokenizer of VOXTUNE_HOME, where they name none and it has some; as they are otherwise."""
    home = Path(os.environ.get("VOXTUNE_HOME") or Path.home() / ".voxtune") / "weights" / kind
    if not lacks_weights(settings) or not _tensors(home):
        return settings
    return with_files(settings, kind, {}, home, home)


def steps(kind: str) -> str:
    """The two commands that get the weights of a base."""
    return f"Get them:\n  voxtune weights get {kind}\n  voxtune weights convert {kind} FILE   (of what was downloaded by hand)"


def base_files(settings: Settings) -> dict[str, str]:
    """The sha256 of the files that a backbone was read from, by what they are; for ``adapter.json``, without places."""
    found = {}
    for name in FILES:
        if (path := getattr(settings, name, None)) is not None and Path(path).is_file():
            found[name] = file_sha256(Path(path))
    folder = getattr(settings, "tokenizer", None)
    if folder is not None:
        for name in TOKENIZER:
            if (Path(folder) / name).is_file():
                found[f"tokenizer/{name}"] = file_sha256(Path(folder) / name)
    return found


def with_files(
    settings: Settings, kind: str, known: Mapping[str, str], adapter: Path, base: Path | None
) -> Settings:
    """The settings with the files that they need.

    Args:
        settings: of the base, as the adapter states them: without places.
        kind: the name of the base.
        known: ``base_files`` of the adapter; empty of one from before.
        adapter: the adapter's folder.
        base: a file or a folder that the caller names; ``None``: look.

    Raises:
        WeightsError: nothing fits; it names what is missing and the commands that get it.
    """
    elsewhere = list(_places(kind, adapter))
    places = elsewhere if base is None else [base, *([base.parent] if base.is_file() else [])]
    update: dict[str, Path] = {}
    fields = type(settings).model_fields
    if "weights" in fields and ("weights" in known or base is not None or lacks_weights(settings)):
        file = base if base is not None and base.is_file() else _file(places, known.get("weights"), kind)
        if file is None:
            raise WeightsError(_missing(kind, "weights", known, adapter, base))
        update["weights"] = file
    if "text_weights" in fields and "text_weights" in known:
        file = _file([*places, *elsewhere], known["text_weights"], kind)
        if file is None:
            raise WeightsError(_missing(kind, "text_weights", known, adapter, base))
        update["text_weights"] = file
    tokenizer = {name.removeprefix("tokenizer/"): digest for name, digest in known.items() if "/" in name}
    if "tokenizer" in fields and (tokenizer or update):
        folder = _tokenizer([*places, *(path.parent for path in update.values()), *elsewhere], tokenizer)
        if folder is not None:
            update["tokenizer"] = folder
        elif tokenizer:
            raise WeightsError(
                f"'{adapter.name}' needs the tokenizer of {kind} ({', '.join(tokenizer)}). Put its files beside the weights, or name the "
                "folder that holds both: --base FOLDER."
            )
    return settings.model_copy(update=update)


def _places(kind: str, adapter: Path) -> Iterator[Path]:
    """Where to look, nearest first."""
    yield adapter
    run = adapter.parent / "config.json"
    if run.is_file():
        yield from _of_run(run)
    home = Path(os.environ.get("VOXTUNE_HOME") or Path.home() / ".voxtune")
    yield home / "weights" / kind


def _of_run(config: Path) -> Iterator[Path]:
    """The places that a run's own settings name."""
    try:
        said: Any = loads(config.read_text(encoding="utf-8"))["backbone"]
        named = [said.get(name) for name in (*FILES, "tokenizer")]
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return
    yield from (Path(one) for one in named if isinstance(one, str))


def _file(places: list[Path], digest: str | None, kind: str) -> Path | None:
    """The file with that sha256; of a folder that was named, or where none is stated, the first that can be the one."""
    candidates = list(dict.fromkeys(file for place in places for file in _tensors(place)))
    if digest is not None:
        return next(
            (file for file in candidates if _stated(file) == digest or file_sha256(file) == digest), None
        )
    named = [file for file in candidates if file.stem in {kind, "model", "base"}]
    return next(iter([*named, *candidates]), None)


def _tensors(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    if not place.is_dir():
        return []
    return [path for path in sorted(place.glob("*.safetensors")) if path.name != ADAPTER]


def _stated(file: Path) -> str | None:
    """The sha256 that ``weights convert`` wrote beside a file, so that gigabytes need not be read twice."""
    try:
        said = loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return said.get("sha256") if isinstance(said, dict) else None


def _tokenizer(places: list[Path], known: Mapping[str, str]) -> Path | None:
    """The folder whose files are the adapter's; where it states none the first that holds a tokenizer."""
    folders = [place if place.is_dir() else place.parent for place in places]
    for folder in dict.fromkeys([*folders, *(one / "tokenizer" for one in folders)]):
        if known and all(
            (folder / name).is_file() and file_sha256(folder / name) == digest
            for name, digest in known.items()
        ):
            return folder
        if not known and any((folder / name).is_file() for name in TOKENIZER[:3]):
            return folder
    return None


def _missing(kind: str, name: str, known: Mapping[str, str], adapter: Path, base: Path | None) -> str:
    digest = f" (sha256 {known[name][:12]}...)" if name in known else ""
    what = f"'{adapter.name}' needs the {'text ' if name == 'text_weights' else ''}weights of {kind}{digest}, which are"
    if base is not None:
        return f"{what} not '{base.name}' nor in it. {steps(kind)}"
    return (
        f"{what} not beside it, not where its run found them and not in VOXTUNE_HOME. {steps(kind)}\n"
        "or say where they are: --base FILE or FOLDER (with the tokenizer in it)."
    )
