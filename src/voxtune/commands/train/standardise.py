"""Before a training: does the base tell the training scans apart at all, and is the projection to standardise their vectors?"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from voxtune.config import RunConfig
from voxtune.errors import SettingError

if TYPE_CHECKING:
    from voxtune.data.examples import Examples, ReadScan
    from voxtune.model.vlm import VisionLanguageModel
    from voxtune.training.ranks import Ranks
    from voxtune.training.records import Form

FEW, MOST = 16, 256
"""Training scans that are looked at to decide, and those that mean and deviation are taken over."""


def standardise_projection(
    model: "VisionLanguageModel",
    config: RunConfig,
    examples: "Examples",
    read: "ReadScan",
    form: "Form",
    ranks: "Ranks",
) -> str | None:
    """Let the image projection standardise where the settings ask for it or the scans' vectors nearly coincide; every process calls it.

    Args:
        model: as it was built, nothing trained.
        config: of the run.
        examples: of the training side.
        read: reads one of them.
        form: in which form.
        ranks: processes of the run.

    Returns:
        What a person should know; ``None`` where vectors go into the projection as they are.

    Raises:
        SettingError: asked for without a trained projection, with a model that is shared out or with too few people to give none of them
            away; or bf16 cannot hold the differences.
        DataError: all vectors are equal.
    """
    from voxtune.commands.train.validate import score_together
    from voxtune.model.bank import FEWEST
    from voxtune.model.heads import Projection
    from voxtune.model.standardise import NARROW, mean_and_deviation, mean_cosine

    projection, asked, scan_ids = model.image_projection, config.standardise, examples.scan_ids
    needs = {
        "a trained projection": isinstance(projection, Projection),
        "a model that is whole on each device": config.training.strategy != "fsdp",
        f"{FEWEST} training participants": len(set(examples.participant_ids)) >= FEWEST,
    }
    lacking = [need for need, met in needs.items() if not met]
    if asked == "always" and lacking:
        raise SettingError("standardise", f"'auto' or 'never' without {' and '.join(lacking)}", asked)
    if asked == "never" or lacking:
        return None
    assert isinstance(projection, Projection)
    model.to(ranks.device)
    looked = score_together(model, _spread(scan_ids, FEW), read, form, [], ranks).vectors
    cosine = mean_cosine(looked)
    if asked == "auto" and cosine <= NARROW:
        return None
    seen = score_together(model, _spread(scan_ids, MOST), read, form, [], ranks).vectors
    mean, deviation = mean_and_deviation(seen)
    # bf16 keeps 8 bits of each number.
    if config.training.precision == "bf16-mixed" and float(deviation.norm() / mean.norm()) < 2**-8:
        raise SettingError(
            "training.precision",
            f"'32-true': the vectors of these scans differ by less than bf16 can hold (mean cosine {cosine:.6f})",
            config.training.precision,
        )
    projection.standardise(mean, deviation)
    why = (
        "as the settings ask"
        if asked == "always"
        else "so they are standardised before the trained projection ('--set standardise=never' leaves them as they are)"
    )
    return (
        f"The frozen base gives these scans {'nearly one vector' if cosine > NARROW else 'vectors'} (mean cosine {cosine:.6f} between "
        f"{len(looked)} training scans), {why}; mean and deviation are those of {len(seen)} training scans."
    )


def _spread(names: Sequence[str], most: int) -> list[str]:
    """At most so many, evenly over the whole list."""
    count = min(most, len(names))
    return [names[place * len(names) // count] for place in range(count)]
