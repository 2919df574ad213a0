"""Which model embeds: a backbone by name, or an adapter; and what is said of it."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxtune.catalog import BACKBONES, PRESETS
from voxtune.errors import SettingError, UsageError

if TYPE_CHECKING:
    from voxtune.imaging.presets import Preset
    from voxtune.model.vlm import VisionLanguageModel

Say = Callable[[str], None]


@dataclass(frozen=True)
class Source:
    """A model that embeds, and what is said of it."""

    model: "VisionLanguageModel"
    preset: "Preset"
    facts: dict[str, Any]


def find_source(
    model: str | Path, base: Path | None, preset: str | None, settings: Mapping[str, str], say: Say
) -> Source:
    """The model of ``voxtune embed``; see there.

    Raises:
        UsageError: no such model or preset, or a base without weights.
        WeightsError: the weights do not fit.
    """
    if str(model) in BACKBONES and not Path(model).is_dir():
        return _of_backbone(str(model), base, preset, settings, say)
    from voxtune.serving.bundled import DEMO, adapter_folder, base_file

    folder = adapter_folder(Path(model))
    if not folder.is_dir():
        raise UsageError(
            f"'{Path(model).name}' is no backbone, adapter or run. Backbones: {', '.join(sorted(BACKBONES))}; '{DEMO}' is the shipped adapter."
        )
    if settings:
        raise UsageError("An adapter knows the settings of its base: --set goes with a backbone.")
    return _of_adapter(folder, base_file(folder, base), preset)


def _of_adapter(folder: Path, base: Path | None, preset: str | None) -> Source:
    from voxtune.data.images import load_preset
    from voxtune.model.adapter import load_adapter

    loaded = load_adapter(folder, base=base)
    facts = loaded.facts
    if preset is not None and preset != facts.preset:
        raise SettingError("preset", f"'{facts.preset}', with which the adapter was trained", preset)
    return Source(
        loaded.model,
        load_preset(facts.preset),
        {
            "model": f"{loaded.config.name} on {facts.base}",
            "base": facts.base,
            "base_sha256": facts.base_sha256,
            "adapter_sha256": facts.adapter_sha256,
            "preset": facts.preset,
            "layer": "image vector of the adapted model: read-out of the vision tower, the base's projection, the adapter's projection; unit length",
            "licence": facts.licence,
            "simulated": facts.simulated,
        },
    )


def _of_backbone(
    name: str, base: Path | None, preset: str | None, settings: Mapping[str, str], say: Say
) -> Source:
    from voxtune.config import RunConfig
    from voxtune.data.images import load_preset
    from voxtune.model.base_files import check_weights, from_home, with_files
    from voxtune.model.build import frozen_base

    if preset is None and name not in PRESETS:
        raise UsageError(f"No preset is called '{name}': give --preset, one of {', '.join(sorted(PRESETS))}.")
    chosen = load_preset(preset or name)
    config = RunConfig.model_validate(
        {"name": name, "backbone": name, "preset": chosen.name, "report": {"template": "deft"}}
    )
    for key, value in settings.items():
        config = config.edit(f"backbone.{key}={value}")
    if base is not None:
        if not base.exists():
            raise UsageError(f"'{base.name}': no such file of weights.")
        found = with_files(config.backbone, name, {}, base if base.is_dir() else base.parent, base)
        config = config.model_copy(update={"backbone": found})
    tree = config.backbone.model_dump()
    if "input_volume" in tree and tree["input_volume"] is None and tree.get("volume") != chosen.size:
        config = config.edit(f"backbone.input_volume={json.dumps(list(chosen.size))}")
        say(
            f"The volumes of preset '{chosen.name}' are {_times(chosen.size)} voxels: {name} takes them as they are (input_volume)."
        )
    if base is None and "seed" not in settings:
        config = config.model_copy(update={"backbone": from_home(config.backbone, name)})
    if "seed" not in settings:  # which means random numbers as plainly as 'fresh'
        check_weights(config.backbone, name)
    model = frozen_base(config)
    backbone = model.backbone
    if tuple(backbone.volume_shape) != chosen.tensor_shape:
        raise SettingError(
            "preset", f"one that gives {_times(backbone.volume_shape)}, as {name} takes it", chosen.name
        )
    return Source(
        model,
        chosen,
        {
            "model": name,
            "base": name,
            "base_sha256": model.base_sha256,
            "adapter_sha256": None,
            "preset": chosen.name,
            "layer": "image vector of the base: read-out of the vision tower and the base's own projection; unit length",
            "weights": "of a file" if getattr(backbone, "loaded", None) is not None else "random",
            "simulated": False,
        },
    )


def _times(shape: Sequence[int]) -> str:
    return " x ".join(str(size) for size in shape)
