"""The small cases of the losses, with answers worked out by hand."""

import math

import pytest
import torch
import torch.nn.functional as F

from voxtune.losses.classification import class_cross_entropy
from voxtune.losses.contrastive import (
    class_targets,
    contrastive,
    image_to_text,
    instance_targets,
    scale,
    similarity,
    text_to_image,
)
from voxtune.losses.findings import pair_cross_entropy, pair_differences
from voxtune.losses.regression import masked_squared_error
from voxtune.losses.total import LossTerms, TaskTerms, total


def test_similarity_is_the_cosine_of_rows() -> None:
    image = torch.tensor([[3.0, 4.0], [0.0, 2.0], [1.0, 0.0]])
    text = torch.tensor([[1.0, 0.0], [5.0, 5.0]])
    half = math.sqrt(0.5)
    torch.testing.assert_close(
        similarity(image, text), torch.tensor([[0.6, 1.4 * half], [0.0, half], [1.0, half]])
    )


def test_a_temperature_multiplies_or_divides() -> None:
    scores = torch.tensor([0.5, -1.0])
    assert scale(scores, 4.0, "multiplier").tolist() == [2.0, -4.0]
    assert scale(scores, 4.0, "divisor").tolist() == [0.125, -0.25]


def test_targets() -> None:
    assert instance_targets(torch.zeros(3, 3)).tolist() == torch.eye(3).tolist()
    same = class_targets(torch.tensor([0, 2, 0, -100, -100]))
    assert same.tolist() == [
        [0.5, 0, 0.5, 0, 0],
        [0, 1, 0, 0, 0],
        [0.5, 0, 0.5, 0, 0],
        [0, 0, 0, 1, 0],
        [0, 0, 0, 0, 1],
    ]


def test_info_nce_by_hand() -> None:
    logits = torch.tensor([[2.0, 0.0], [1.0, 0.0]])
    targets = instance_targets(logits)
    rows = (math.log1p(math.exp(-2)) + math.log1p(math.exp(1))) / 2
    columns = (math.log1p(math.exp(-1)) + math.log(2)) / 2
    assert float(image_to_text(logits, targets)) == pytest.approx(rows)
    assert float(text_to_image(logits, targets)) == pytest.approx(columns)
    assert float(contrastive(logits, targets)) == pytest.approx(rows + columns)
    assert float(contrastive(logits, targets, "mean")) == pytest.approx((rows + columns) / 2)


def test_mmse_counts_known_scores_only() -> None:
    predicted = torch.tensor([1.0, 5.0, 2.0], requires_grad=True)
    loss = masked_squared_error(predicted, torch.tensor([3.0, math.nan, 3.0]))
    assert loss.item() == pytest.approx((4 + 1) / 2)
    loss.backward()
    assert predicted.grad is not None
    assert predicted.grad.tolist() == [-2.0, 0.0, -1.0]


def test_no_known_score_is_no_loss() -> None:
    predicted = torch.tensor([1.0, 5.0], requires_grad=True)
    loss = masked_squared_error(predicted, torch.full((2,), math.nan))
    loss.backward()
    assert loss.item() == 0
    assert predicted.grad is not None
    assert predicted.grad.tolist() == [0.0, 0.0]


def test_the_total_adds_what_is_there() -> None:
    one, two, three = torch.tensor(1.0), torch.tensor(2.0), torch.tensor(3.0)
    both = LossTerms(one, TaskTerms(three, {"mmse": two}))
    assert float(total(LossTerms(one), {})) == 1
    assert float(total(LossTerms(one, TaskTerms(targets={"mmse": two})), {"mmse": 0.5})) == 2
    assert float(total(both, {"mmse": 0.5})) == 2, "the class term is off by default"
    assert float(total(both, {"mmse": 0.25}, class_weight=2.0)) == 7.5
    assert float(total(both, {"mmse": 0.0}, class_weight=0.5)) == 2.5
    assert (
        float(total(LossTerms(one, TaskTerms(targets={"mmse": two, "age": three})), {"mmse": 0.5, "age": 2}))
        == 8
    )


def test_a_term_without_weight_is_not_looked_at() -> None:
    broken = torch.tensor(math.nan)
    terms = LossTerms(torch.tensor(1.0), TaskTerms(broken, {"mmse": broken}))
    assert float(total(terms, {"mmse": 0.0}, class_weight=0.0)) == 1


def test_class_cross_entropy_skips_scans_without_a_label() -> None:
    logits = torch.tensor([[2.0, 0.0, 1.0], [0.0, 3.0, 1.0], [5.0, 5.0, -5.0]])
    labels = torch.tensor([0, 2, -100])
    expected = F.cross_entropy(logits[:2], labels[:2])
    torch.testing.assert_close(class_cross_entropy(logits, labels), expected)
    torch.testing.assert_close(
        class_cross_entropy(logits, torch.tensor([0, -100, -100])), F.cross_entropy(logits[:1], labels[:1])
    )


def test_a_weight_counts_a_scan_so_many_times() -> None:
    logits = torch.tensor([[2.0, 0.0], [0.5, 1.0], [9.0, 9.0]])
    labels = torch.tensor([0, 0, -100])
    one, two = (F.cross_entropy(logits[[place]], labels[[place]]) for place in (0, 1))
    found = class_cross_entropy(logits, labels, torch.tensor([3.0, 0.5, 7.0]))
    torch.testing.assert_close(found, (3 * one + 0.5 * two) / 2)


def test_no_label_is_no_class_loss() -> None:
    logits = torch.ones(2, 3, requires_grad=True)
    loss = class_cross_entropy(logits, torch.tensor([-100, -100]))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert logits.grad.abs().sum() == 0


def test_the_contrastive_term_has_a_weight_too() -> None:
    one, two = torch.tensor(1.0), TaskTerms(targets={"mmse": torch.tensor(2.0)})
    assert float(total(LossTerms(one, two), {"mmse": 0.5}, contrastive_weight=3.0)) == 4
    assert float(total(LossTerms(torch.tensor(math.nan), two), {"mmse": 0.5}, contrastive_weight=0.0)) == 1


def test_pairs_are_two_way_choices() -> None:
    logits = torch.tensor([[2.0, 1.0, 0.0, 3.0]])
    assert pair_differences(logits).tolist() == [[1.0, -3.0]]
    labels, weights = torch.tensor([[1.0, 1.0]]), torch.tensor([[1.0, 0.5]])
    present, absent = math.log1p(math.exp(-1)), math.log1p(math.exp(3))
    assert float(pair_cross_entropy(logits, labels, weights)) == pytest.approx((present + 0.5 * absent) / 2)


def test_an_unknown_finding_is_no_negative() -> None:
    logits = torch.tensor([[2.0, 1.0, 0.0, 3.0]], requires_grad=True)
    loss = pair_cross_entropy(logits, torch.tensor([[math.nan, 0.0]]), torch.tensor([[math.nan, 2.0]]))
    assert loss.item() == pytest.approx(2 * math.log1p(math.exp(-3)))
    loss.backward()
    assert logits.grad is not None
    assert logits.grad[0, :2].tolist() == [0.0, 0.0]
    nothing = pair_cross_entropy(logits, torch.full((1, 2), math.nan), torch.ones(1, 2))
    assert nothing.item() == 0


def test_terms_of_two_tasks_stand_beside_each_other() -> None:
    classes, error = torch.tensor(1.0), torch.tensor(2.0)
    asked, numbers = TaskTerms(classes), TaskTerms(targets={"age": error})
    for both in (asked.beside(numbers), numbers.beside(asked)):
        assert both == TaskTerms(classes, {"age": error})
    more = numbers.beside(TaskTerms(targets={"mmse": classes}))
    assert more == TaskTerms(None, {"age": error, "mmse": classes})
