"""Texts to token ids with the published tokenizer from a local folder; nothing is downloaded."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from voxtune.errors import WeightsError
from voxtune.storage.seal import read_sealed


class Tokenizer:
    """Texts to ids and mask (B, L), padded to the longest, cut at ``max_length``.

    Reads ``tokenizer.json``, or ``vocab.txt`` (WordPiece), or ``vocab.json`` with ``merges.txt`` (byte-level BPE), from
    a folder as model hubs lay it out. The file is read at the first call.
    """

    def __init__(self, folder: Path | None, *, max_length: int, pad: int = 0, lowercase: bool = True) -> None:
        self.folder = folder
        self.max_length = max_length
        self.pad = pad
        self.lowercase = lowercase
        self._made: Any = None

    def __call__(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """Texts to token ids (B, L) int64 and mask (B, L) bool.

        Raises:
            WeightsError: no folder was given or it holds no tokenizer.
        """
        rows = [encoding.ids for encoding in self._tokenizer().encode_batch(texts)]
        longest = max((len(row) for row in rows), default=0)
        ids = torch.tensor([row + [self.pad] * (longest - len(row)) for row in rows], dtype=torch.int64)
        lengths = torch.tensor([len(row) for row in rows])
        return ids, torch.arange(longest)[None, :] < lengths[:, None]

    def places(self, text: str) -> list[tuple[int, int]]:
        """Where each token of the text stands in it (start, end); a special token stands nowhere: (0, 0)."""
        return [(int(start), int(end)) for start, end in self._tokenizer().encode(text).offsets]

    def _tokenizer(self) -> Any:
        if self._made is None:
            self._made = self._make()
        return self._made

    def _make(self) -> Any:
        if self.folder is None:
            raise WeightsError(
                "This backbone has no tokenizer: texts cannot become token ids. Set 'tokenizer' to a local folder with "
                "tokenizer.json or vocab.txt of the model's text encoder, or pass token ids."
            )
        made = self._read(self.folder)
        made.no_padding()
        made.enable_truncation(self.max_length)
        return made

    def _read(self, folder: Path) -> Any:
        import tokenizers
        from tokenizers import processors

        whole, words, pieces, merges = (
            folder / name for name in ("tokenizer.json", "vocab.txt", "vocab.json", "merges.txt")
        )
        if whole.is_file():
            return tokenizers.Tokenizer.from_file(str(whole))
        if words.is_file():
            return tokenizers.BertWordPieceTokenizer(str(words), lowercase=self._lowercase(folder))
        if pieces.is_file() and merges.is_file():
            made = tokenizers.ByteLevelBPETokenizer(str(pieces), str(merges))
            end, start = ((mark, int(made.token_to_id(mark))) for mark in ("</s>", "<s>"))
            made._tokenizer.post_processor = processors.RobertaProcessing(end, start)  # noqa: SLF001  (has no public setter)
            return made
        raise WeightsError(
            f"The tokenizer folder {folder.name} has no tokenizer.json, no vocab.txt and no vocab.json with merges.txt. "
            "Copy them from the model's text encoder on its hub page."
        )

    def _lowercase(self, folder: Path) -> bool:
        """What ``tokenizer_config.json`` says, else the published default."""
        card = folder / "tokenizer_config.json"
        said = (
            read_sealed(card, "the settings of a tokenizer").get("do_lower_case") if card.is_file() else None
        )
        return self.lowercase if said is None else bool(said)
