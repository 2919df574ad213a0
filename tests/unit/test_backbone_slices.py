"""2D models see the slices that show something, upright and in order."""

import torch

from voxtune.backbones.slices import Slicing, read_slices


def test_slices_with_content_are_read_in_order() -> None:
    volume = torch.zeros(1, 1, 8, 8, 20)
    for z in range(5, 13):
        volume[..., z] = z / 20
    read = read_slices(volume, Slicing(count=8), 8)
    torch.testing.assert_close(read[0].mean(dim=(1, 2)), torch.arange(5, 13) / 20)
    few = read_slices(volume, Slicing(count=2), 8)
    torch.testing.assert_close(few[0].mean(dim=(1, 2)), torch.tensor([5 / 20, 12 / 20]))


def test_fewer_slices_than_wanted_are_repeated_and_empty_volumes_read() -> None:
    volume = torch.zeros(2, 1, 4, 4, 6)
    volume[0, ..., 3] = 1
    read = read_slices(volume, Slicing(count=5), 4)
    assert read.shape == (2, 5, 4, 4)
    assert read[0].min() == 1
    assert read[1].max() == 0


def test_what_is_anterior_is_up_and_what_is_right_is_left() -> None:
    volume = torch.zeros(1, 1, 6, 5, 3)
    volume[0, 0, 5, 4] = 1  # the most right and most anterior voxel
    upright = read_slices(volume, Slicing(count=1), 6)[0, 0]
    assert upright[0, 0] == 1
    as_stored = read_slices(volume, Slicing(count=1, upright=False), 6)[0, 0]
    assert as_stored[5, 4] == 1


def test_the_axis_is_a_choice() -> None:
    volume = torch.zeros(1, 1, 4, 6, 6)
    volume[0, 0, 2] = 0.5
    assert read_slices(volume, Slicing(axis=0, count=1), 6).mean() == 0.5


def test_slices_become_squares_without_being_stretched() -> None:
    volume = torch.ones(1, 1, 20, 10, 4)
    square = read_slices(volume - 0.5 * (torch.arange(4) == 0), Slicing(count=1), 40)[0, 0]
    assert square.shape == (40, 40)
    across, down = (square > 0.25).sum(dim=1).max(), (square > 0.25).sum(dim=0).max()
    assert across == 40
    assert abs(int(down) - 20) <= 2
