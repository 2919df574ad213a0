"""Long computations of the commands that write nothing, remembered beside the study: a trial then costs its writes.

A break is about what is written and in which order. Fingerprints of scans, brain masks, registrations, deletion curves and the
drawing of figures and of SIMULATED people take nine tenths of a command's time and write nothing, and all trials of a command compute the same of them.
Their results are kept by the content of what they are computed from, so that every call still gets what it would have computed;
of a figure a short text is written in the place of its pixels.
"""

import hashlib
import importlib
import io
import os
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

COSTLY = (
    ("voxtune.audit.checks", "text_probe"),
    ("voxtune.audit.images", "fingerprint"),
    ("voxtune.commands.simulate.command", "render"),
    ("voxtune.commands.explain.command", "explain_scan"),
    ("voxtune.explanation.faithfulness", "faithfulness"),
    ("voxtune.explanation.heat_map", "occlusion_drops"),
    ("voxtune.explanation.region_table", "region_table"),
    ("voxtune.imaging.chain", "find_brain"),
    ("voxtune.imaging.chain", "correct_bias"),
    ("voxtune.imaging.chain", "register"),
    ("voxtune.pages.cohort_page", "cohort_page"),
    ("voxtune.pages.explain_page", "explain_page"),
    ("voxtune.simulate.best_possible", "best_possible"),
    ("voxtune.simulate.heads", "raw_head"),
)
"""Module in which the name is looked up, and the name."""
PRINTED = tuple(
    f"voxtune.pages.{name}"
    for name in ("curve_page", "evaluation_prints", "comparison_prints", "explain_prints")
)
"""Which draw figures for papers."""


def remember(folder: Path) -> None:
    """Let the costly functions keep their results in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for module, name in COSTLY:
        place = importlib.import_module(module)
        setattr(place, name, _remembered(getattr(place, name), folder))
    from matplotlib.figure import Figure

    Figure.savefig = _undrawn  # type: ignore[method-assign]
    for module in PRINTED:
        importlib.import_module(module).write_figure = _unprinted  # type: ignore[attr-defined]


def _remembered(real: Callable[..., Any], folder: Path) -> Callable[..., Any]:
    def remembered(*words: Any, **names: Any) -> Any:
        digest = hashlib.sha256()
        _feed(digest, [words, names])
        path = folder / f"{real.__name__}-{digest.hexdigest()}"
        if path.is_file():
            return pickle.loads(path.read_bytes())
        found = real(*words, **names)
        part = path.with_suffix(f".{os.getpid()}")
        part.write_bytes(pickle.dumps(found))
        part.replace(path)
        return found

    return remembered


def _feed(digest: Any, value: Any) -> None:
    """The content of a value, whatever it is made of; what computes is known by its parameters or by its name."""
    import numpy as np
    import torch

    if isinstance(value, torch.nn.Module):
        value = value.state_dict()
    if isinstance(value, np.random.Generator):
        value = value.bit_generator.state
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    digest.update(type(value).__name__.encode())
    if isinstance(value, np.ndarray):
        digest.update(f"{value.dtype}{value.shape}".encode() + np.ascontiguousarray(value).tobytes())
    elif is_dataclass(value):
        _feed(digest, [getattr(value, one.name) for one in fields(value)])
    elif isinstance(value, Mapping):
        _feed(digest, [*value.items()])
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for one in value:
            _feed(digest, one)
    else:
        digest.update(str(getattr(value, "__qualname__", value)).encode())


def _undrawn(_: Any, file: Any, **__: Any) -> None:
    if isinstance(file, io.TextIOBase):
        file.write("a figure")
    elif hasattr(file, "write"):
        file.write(b"a figure")
    else:
        Path(file).write_bytes(b"a figure")


def _unprinted(folder: Path, name: str, *_: Any, shared: bool = True, **__: Any) -> None:
    """The files of a figure for papers, written as they are."""
    from voxtune.pages.print_files import ENDINGS, FIGURES
    from voxtune.run_dir import write_bytes

    for ending in ENDINGS:
        write_bytes(folder / FIGURES / f"{name}.{ending}", b"a figure", shared=shared)
