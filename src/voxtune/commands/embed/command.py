"""``voxtune embed``: what a frozen base or an adapter makes of every scan, as an array for any other program."""

import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from voxtune import __version__
from voxtune.commands.embed.source import Source, find_source
from voxtune.commands.embed.tokens import TOKENS, token_array
from voxtune.errors import DataError, ScanError, SomeScansFailedError, UsageError
from voxtune.run_dir import atomic_path, output_folder, write_json
from voxtune.types.records import MANIFEST_COLUMNS, ManifestRow

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[np.float32]
Say = Callable[[str], None]
EMBEDDINGS, ROWS, FACTS, FAILED = "embeddings.npy", "embeddings.tsv", "embed.json", "failed.tsv"
ABSENT = "NaN: tokens of background, which never entered (vision.skip_empty)"
FAILED_COLUMNS = ("scan_id", "participant_id", "error")


@dataclass(frozen=True)
class Embedded:
    """The embeddings of some scans: row n of ``vectors`` is scan n of ``rows``."""

    vectors: Floats
    """(N, E), each of unit length."""
    rows: list[ManifestRow]
    facts: dict[str, Any]
    """``embed.json``."""
    tokens: Floats | None = None
    """(N, T, width) where they were asked for; a map of the file where there is one."""
    failed: tuple[tuple[str, str], ...] = ()
    """Scans that could not be read, with the reason."""
    folder: Path | None = None
    error: SomeScansFailedError | None = None

    @property
    def summary(self) -> str:
        """A line for a person."""
        marked = " of SIMULATED scans" if self.facts["simulated"] else ""
        harmonised = self.facts.get("harmonised")
        more = f" {harmonised['sentence']}" if harmonised else ""
        return (
            f"Embeddings{marked}: {len(self.rows)} scans of {self.facts['n_participants']} participants, {self.facts['width']} numbers each "
            f"({self.facts['model']}, preset {self.facts['preset']}): {(self.folder or Path()) / EMBEDDINGS}"
            + more
        )


def embed(  # noqa: PLR0913  (the options of the command)
    model: str | Path,
    manifest: str | Path,
    output: str | Path | None = None,
    *,
    base: str | Path | None = None,
    preset: str | None = None,
    settings: Mapping[str, str] | None = None,
    tokens: bool = False,
    harmonise: str | None = None,
    device: str = "auto",
    say: Say = print,
) -> Embedded:
    """Embed every scan of a preprocessed manifest; one that cannot be read does not stop the others.

    Written to ``output``: ``embeddings.npy`` (N, E) float32, ``embeddings.tsv`` (the rows of the manifest in that order, without their images),
    ``embed.json`` (base, preset, layer, sha256), with ``tokens`` also ``tokens.npy`` (N, T, width), and ``failed.tsv`` where a scan failed.
    Of a base the vector is the one that ``evaluate`` fits its linear probe on.

    Args:
        model: a backbone of ``voxtune info``, an adapter, a run, or ``demo`` for the shipped adapter.
        manifest: ``manifest.tsv`` of scans preprocessed with the model's preset.
        output: the folder to write; nothing is written without.
        base: weights of the base, where they are not shipped.
        preset: that the scans were preprocessed with; otherwise the adapter's, or the one called like the backbone.
        settings: of a backbone, by name, as texts: ``{"input_volume": "[128,128,128]"}``.
        tokens: keep the finished tokens of the vision tower too.
        harmonise: a column, as ``site``, whose values are brought onto one scale (ComBat); refused where it goes with the diagnosis.
        device: ``auto`` (a GPU where there is one), ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        say: takes lines for a person.

    Raises:
        UsageError: no such model, preset or device, a base without weights, or tokens of a base whose scans have different numbers.
        WeightsError: the weights do not fit.
        DataError: no scan can be read, or scans that cannot be harmonised.
    """
    from voxtune.data.images import readable, scan_reader
    from voxtune.data.manifest import file_sha256, read_manifest
    from voxtune.data.simulated import with_marks
    from voxtune.evaluation.harmonise import check_sites
    from voxtune.evaluation.harmonise import harmonise as brought_together
    from voxtune.model.skip_empty import SkipEmpty
    from voxtune.types.protocols import is_sparse_tower

    if tokens and harmonise is not None:
        raise UsageError("--harmonise brings image vectors onto one scale, not tokens: leave --tokens out.")
    table, target = Path(manifest), None if output is None else Path(output)
    from voxtune.model.device import torch_device

    place = torch_device(device)
    rows = with_marks(table, read_manifest(table))
    with output_folder(target):
        source = find_source(model, None if base is None else Path(base), preset, settings or {}, say)
        tower = source.model.vision.tower
        if tokens and is_sparse_tower(tower) and not isinstance(tower, SkipEmpty):
            raise UsageError(
                f"--tokens needs as many tokens in every scan: {source.facts['base']} drops patches with background, scan by scan."
            )
        source.model.to(place)
        good, failed = readable(rows, scan_reader(table, rows, source.preset))
        if not good:
            raise DataError(
                f"None of the {len(rows)} scans can be read. The first: {failed[0][1] if failed else 'the table has no row'}"
            )
        if harmonise is not None:
            check_sites(good, harmonise)  # what is refused is refused before the model runs
        vectors, kept = _encode(source, good, table, target if tokens else None, tokens=tokens)
        brought = None if harmonise is None else brought_together(vectors, good, harmonise)
        if brought is not None:
            vectors = brought.vectors.astype(np.float32)
        facts = source.facts | {
            "n_scans": len(good),
            "n_participants": len({row.participant_id for row in good}),
            "failed": len(failed),
            "width": int(vectors.shape[1]),
            "dtype": "float32",
            "tokens": None
            if kept is None
            else {
                "shape": list(kept.shape),
                "lead": source.model.vision.tower.lead,
                "layer": "after the last block and its norm, without extra tokens",
                **({"absent": ABSENT} if isinstance(tower, SkipEmpty) else {}),
            },
            "device": place.type,
            "simulated": bool(source.facts["simulated"]) or any(row.simulated for row in good),
            "manifest_sha256": file_sha256(table),
            "embeddings_sha256": hashlib.sha256(vectors.tobytes()).hexdigest(),
            "voxtune": __version__,
        }
        if brought is not None:
            facts["harmonised"] = brought.facts
        error = None
        if target is not None:
            _write(target, vectors, good, failed, facts)
            error = SomeScansFailedError(len(failed), len(rows), target / FAILED) if failed else None
        pairs = tuple((row.scan_id, why) for row, why in failed)
        return Embedded(vectors, good, facts, kept, pairs, target, error)


# ------------------------------------------------------------------------------------------- the scans
def _encode(
    source: Source, rows: Sequence[ManifestRow], manifest: Path, folder: Path | None, *, tokens: bool
) -> tuple[Floats, Floats | None]:
    """The vectors (N, E) and, where asked for, the finished tokens (N, T, width): on disk where there is a folder, else in memory.

    Scan by scan: a vector is the same to the bit whatever scans are beside it.
    """
    from voxtune.data.images import scan_reader
    from voxtune.evaluation.answers import frozen_reader
    from voxtune.evaluation.encode import encode
    from voxtune.model.skip_empty import SkipEmpty
    from voxtune.progress import progress

    model = source.model
    finished = not tokens and source.facts["adapter_sha256"] is None
    if finished:
        read = frozen_reader(model, rows, manifest, source.preset.name)
    else:
        read = scan_reader(manifest, rows, source.preset)

    def see(inputs: "Tensor") -> "tuple[Tensor, Tensor | None]":
        if not tokens:
            return model.encode_image(inputs, finished=finished).vector.float().cpu(), None
        found = model.vision(inputs)
        finished_tokens = found.tokens
        if isinstance(model.vision.tower, SkipEmpty):
            finished_tokens = model.vision.tower.on_grid(finished_tokens, inputs)
        return model.read_image(found).vector.float().cpu(), finished_tokens.float().cpu()

    names = [row.scan_id for row in rows]
    vectors: list[Floats] = []
    with token_array(folder, len(names)) as kept, progress("Embedding", len(names)) as advance:
        for some, (vector, found) in encode(model, names, read, see, batch_size=1):
            vectors.append(vector.numpy())
            if found is not None:
                kept.put(found.numpy())
            for name in some:
                advance(name)
    whole = np.concatenate(vectors)
    if not np.isfinite(whole).all():
        bad = [names[n] for n in np.flatnonzero(~np.isfinite(whole).all(axis=1))]
        raise ScanError(bad[0], f"its embedding is not a number ({len(bad)} scans in all)")
    return whole, kept.array


# ---------------------------------------------------------------------------------------------- files
def _write(
    folder: Path,
    vectors: Floats,
    rows: Sequence[ManifestRow],
    failed: Sequence[tuple[ManifestRow, str]],
    facts: Mapping[str, Any],
) -> None:
    """Everything whole or not at all; ``embed.json`` last, so that a folder that has it is whole."""
    from voxtune.data.manifest import write_table

    (folder / FACTS).unlink(missing_ok=True)
    if facts["tokens"] is None:
        (folder / TOKENS).unlink(missing_ok=True)
    buffer = io.BytesIO()
    np.save(buffer, vectors, allow_pickle=False)
    with atomic_path(folder / EMBEDDINGS) as part:
        part.write_bytes(buffer.getvalue())
    extra = sorted({name for row in rows for name in (row.model_extra or {})})
    columns = [name for name in (*MANIFEST_COLUMNS, *extra) if name != "image"]
    lines = [row.model_dump() | {"simulated": "true" if row.simulated else "false"} for row in rows]
    write_table(folder / ROWS, columns, lines)
    if failed:
        lost = [
            {"scan_id": row.scan_id, "participant_id": row.participant_id, "error": why}
            for row, why in failed
        ]
        write_table(folder / FAILED, FAILED_COLUMNS, lost)
    else:
        (folder / FAILED).unlink(missing_ok=True)
    write_json(folder / FACTS, facts)
