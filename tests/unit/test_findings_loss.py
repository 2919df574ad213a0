"""Findings as labels, weights, texts and a loss: unknown is masked, rare sides weigh more, pairs keep their order."""

import math

import pytest
import torch

from voxtune.data.findings import (
    cell_weights,
    finding_labels,
    pair_texts,
    seen_and_held_out,
    with_findings,
)
from voxtune.errors import DataError, SettingError, TableError
from voxtune.losses.findings import pair_cross_entropy, pair_differences
from voxtune.types.records import ManifestRow

NAN = float("nan")


def row(scan: str, **cells: str | int | None) -> ManifestRow:
    return ManifestRow.model_validate({"participant_id": scan, "scan_id": scan, "image": "x.nii", **cells})


def test_the_pair_is_a_two_way_softmax() -> None:
    logits = torch.tensor([[1.5, -0.5, 0.0, 2.0], [0.3, 0.1, -1.0, -1.0]])
    both = logits.unflatten(1, (2, 2)).softmax(dim=-1)
    assert torch.allclose(pair_differences(logits).sigmoid(), both[..., 0])
    labels, weights = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 2.0], [0.5, 1.0]])
    chosen = torch.where(labels == 1, both[..., 0], both[..., 1])
    assert pair_cross_entropy(logits, labels, weights).item() == pytest.approx(
        float((-chosen.log() * weights).mean()), rel=1e-6
    )


def test_an_unknown_label_is_masked_whatever_its_logits() -> None:
    labels, weights = torch.tensor([[1.0, NAN], [NAN, 0.0]]), torch.ones(2, 2)
    logits = torch.randn(2, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    loss = pair_cross_entropy(logits, labels, weights)
    loss.backward()
    assert logits.grad is not None
    assert torch.equal(
        logits.grad == 0, torch.tensor([[False, False, True, True], [True, True, False, False]])
    )
    known = pair_cross_entropy(logits[:1, :2].detach(), labels[:1, :1], weights[:1, :1])
    other = pair_cross_entropy(logits[1:, 2:].detach(), labels[1:, 1:], weights[1:, 1:])
    assert loss.item() == pytest.approx(float(known + other) / 2, rel=1e-6)


def test_nothing_known_is_a_zero_loss_with_a_zero_gradient() -> None:
    logits = torch.randn(3, 4, requires_grad=True)
    loss = pair_cross_entropy(logits, torch.full((3, 2), NAN), torch.full((3, 2), NAN))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_weights_balance_present_and_absent_and_have_a_mean_of_one() -> None:
    train = torch.tensor([[1, 0], [0, 0], [0, 0], [0, NAN]], dtype=torch.float32)
    weights = cell_weights(train, train, balanced=True)
    assert weights[:, 0].tolist() == pytest.approx([2.0, 2 / 3, 2 / 3, 2 / 3])
    assert weights[:, 0].mean().item() == pytest.approx(1.0)
    assert not weights[:, 1].any()  # never present in training: says nothing
    assert cell_weights(train, train, balanced=False)[:, 0].tolist() == [1, 1, 1, 1]


def test_labels_are_read_by_name_and_a_strange_cell_is_named() -> None:
    rows = [row("a", Nodule="1", Effusion="0"), row("b", Nodule="n/a", Effusion=1)]
    labels = finding_labels(rows, ("Effusion", "Nodule"))
    assert labels[0].tolist() == [0, 1]
    assert labels[1, 0] == 1
    assert math.isnan(labels[1, 1])
    assert [one.scan_id for one in with_findings([*rows, row("c", Nodule=None)], ("Nodule",))] == ["a"]
    with pytest.raises(TableError, match="scan 'a', column 'Nodule': expected 0, 1 or n/a, got '2'"):
        finding_labels([row("a", Nodule="2")], ("Nodule",))
    with pytest.raises(DataError, match="no column 'Hernia'"):
        finding_labels(rows, ("Hernia",))
    with pytest.raises(DataError, match="No scan of 1"):
        with_findings([row("c", Nodule=None)], ("Nodule",))


def test_texts_stand_in_pairs() -> None:
    assert pair_texts(("A", "B"), ("{finding} is present.", "{finding} is not present.")) == [
        "A is present.", "A is not present.", "B is present.", "B is not present.",
    ]  # fmt: skip
    for wrong in (("yes", "no"), ("{finding}", "{finding}")):
        with pytest.raises(SettingError, match=r"classes\.pair"):
            pair_texts(("A",), wrong)


def test_held_out_findings_are_some_of_them() -> None:
    assert seen_and_held_out(("A", "B", "C"), ("B",)) == (("A", "C"), ("B",))
    for wrong in (("D",), ("A", "B", "C")):
        with pytest.raises(SettingError, match=r"classes\.held_out"):
            seen_and_held_out(("A", "B", "C"), wrong)
