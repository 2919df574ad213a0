"""A published tokenizer is read from a local folder, in any of the ways hubs lay one out."""

import json
from pathlib import Path
from typing import Any, cast

import pytest
import tokenizers
import torch
from torch import Tensor, nn

import voxtune
from voxtune.backbones.dual_encoder import DualEncoder
from voxtune.errors import WeightsError
from voxtune.weights.load import Tokenizer

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "photo", "of", "nc", "NC", "##s", "."]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    return tmp_path


def test_wordpiece_pads_to_the_longest(folder: Path) -> None:
    ids, mask = Tokenizer(folder, max_length=16)(["A photo of NCs.", "A"])
    assert ids.tolist() == [[2, 5, 6, 7, 8, 10, 11, 3], [2, 5, 3, 0, 0, 0, 0, 0]]
    assert mask.dtype == torch.bool
    assert torch.equal(mask, ids != 0)


def test_long_texts_are_cut_and_keep_their_end(folder: Path) -> None:
    ids, _ = Tokenizer(folder, max_length=4)(["a photo of nc a photo of nc"])
    assert ids.tolist() == [[2, 5, 6, 3]]


def test_case_is_the_folders_word_then_the_models(folder: Path) -> None:
    assert Tokenizer(folder, max_length=9, lowercase=False)(["NC"])[0].tolist() == [[2, 9, 3]]
    assert Tokenizer(folder, max_length=9)(["NC"])[0].tolist() == [[2, 8, 3]]
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": False}))
    assert Tokenizer(folder, max_length=9)(["NC"])[0].tolist() == [[2, 9, 3]]


def test_a_whole_tokenizer_file_wins(folder: Path) -> None:
    made = tokenizers.BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=False)
    made.save(str(folder / "tokenizer.json"))
    assert Tokenizer(folder, max_length=9)(["NC"])[0].tolist() == [[2, 9, 3]]


def test_byte_level_pairs(tmp_path: Path) -> None:
    made = tokenizers.ByteLevelBPETokenizer()
    made.train_from_iterator(
        ["a photo of nc"] * 3, vocab_size=300, special_tokens=["<s>", "<pad>", "</s>", "<unk>"]
    )
    made.save_model(str(tmp_path))
    ids, mask = Tokenizer(tmp_path, max_length=30, pad=1)(["a photo of nc", "a"])
    assert (ids[:, 0] == 0).all()
    assert ids[1, int(mask[1].sum()) - 1] == 2
    assert ids[1, -1] == 1


def test_a_folder_without_one_says_what_it_needs(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"tokenizer\.json"):
        Tokenizer(tmp_path, max_length=9)(["a"])


def test_texts_and_ids_are_the_same_thing(folder: Path) -> None:
    text = {"vocab": 12, "width": 24, "depth": 1, "heads": 2, "mlp": 32, "max_length": 12}
    sizes: dict[str, Any] = {
        "volume": (4, 8, 8),
        "patch": (2, 4, 4),
        "width": 24,
        "depth": 1,
        "heads": 2,
        "mlp": 32,
        "text": text,
    }
    model = cast(Any, voxtune.load_backbone("m3d", tokenizer=folder, **sizes))
    texts = ["A photo of NC.", "a"]
    ids, mask = model.tokenize(texts)
    for vectors in (
        model.encode_text(ids, mask),
        model.encode_text(ids),
        model.encode_text(ids, mask.long()),
    ):
        torch.testing.assert_close(vectors, model.encode_text(texts))


class _Masks(nn.Module):
    """A text tower that keeps the masks it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[Tensor] = []

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        self.given.append(mask)
        return ids[..., None].float()

    def pool(self, tokens: Tensor, _: Tensor | None = None) -> Tensor:
        return tokens[:, 0]


def test_a_mask_of_ones_is_not_guessed_away() -> None:
    model, tower, ids = DualEncoder(), _Masks(), torch.tensor([[2, 0, 3]])
    model.text, model.text_projection = tower, nn.Identity()
    model.encode_text(ids)
    model.encode_text(ids, torch.ones_like(ids))
    assert [mask.tolist() for mask in tower.given] == [[[True, False, True]], [[True, True, True]]]


def test_merlin_cuts_words_and_punctuation(tmp_path: Path) -> None:
    seen: list[list[str]] = []

    class Recorder:
        def __call__(self, texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
            seen.append(texts)
            return torch.zeros(1, 1), torch.ones(1, 1)

    from voxtune.backbones.merlin import MerlinModel

    model = MerlinModel.__new__(MerlinModel)
    torch.nn.Module.__init__(model)
    model.tokenizer = cast(Any, Recorder())
    model.tokenize(["Liver: no lesion (2.5cm)..."])
    assert seen == [["liver : no lesion ( 2 . 5cm )..."]]
