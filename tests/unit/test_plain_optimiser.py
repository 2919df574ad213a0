"""AdamW without torch's compiler is AdamW to the bit, with its state, its schedule and its hooks."""

import subprocess
import sys
from pathlib import Path

import torch
from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from voxtune.training.optimiser import PlainAdamW


def steps(
    kind: type[AdamW], count: int, state: dict[str, object] | None = None
) -> tuple[list[torch.Tensor], AdamW]:
    torch.manual_seed(0)
    layer = nn.Sequential(nn.Linear(5, 7), nn.GELU(), nn.Linear(7, 1))
    groups = [
        {"params": layer[0].parameters(), "weight_decay": 0.1},
        {"params": layer[2].parameters(), "lr": 0.05},
    ]
    optimiser = kind(groups, lr=0.01)
    if state is not None:
        optimiser.load_state_dict(state)
    schedule = LambdaLR(optimiser, lambda step: 1 / (1 + step))
    for number in range(count):
        optimiser.zero_grad(set_to_none=True)
        layer(torch.full((3, 5), float(number))).square().sum().backward()
        optimiser.step()
        schedule.step()
    return [value.detach().clone() for value in layer.parameters()], optimiser


def test_every_number_is_that_of_torch() -> None:
    for count in (1, 5):
        for one, two in zip(steps(PlainAdamW, count)[0], steps(AdamW, count)[0], strict=True):
            assert torch.equal(one, two)


def test_its_state_goes_from_one_to_the_other() -> None:
    _, plain = steps(PlainAdamW, 3)
    _, torchs = steps(AdamW, 3)
    mine, theirs = plain.state_dict(), torchs.state_dict()
    assert mine.keys() == theirs.keys()
    for place, state in mine["state"].items():
        assert all(torch.equal(value, theirs["state"][place][name]) for name, value in state.items())
    for one, two in zip(steps(PlainAdamW, 2, theirs)[0], steps(AdamW, 2, mine)[0], strict=True):
        assert torch.equal(one, two)


def test_nothing_of_a_step_is_on_the_path_of_a_gradient() -> None:
    layer = nn.Linear(2, 1)
    optimiser = PlainAdamW(layer.parameters(), lr=0.1)
    layer(torch.ones(1, 2)).sum().backward()
    with torch.enable_grad():
        optimiser.step()
        assert torch.is_grad_enabled()
    assert layer.weight.grad_fn is None


def test_torch_s_compiler_is_not_imported(tmp_path: Path) -> None:
    script = (
        "import sys, torch\nfrom torch import nn\nfrom voxtune.training.optimiser import PlainAdamW\n"
        "layer = nn.Linear(2, 1)\noptimiser = PlainAdamW(layer.parameters(), lr=0.1)\n"
        "layer(torch.ones(1, 2)).sum().backward()\noptimiser.step()\noptimiser.zero_grad()\noptimiser.state_dict()\n"
        "assert 'torch._dynamo' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path)
