"""Which of our protocols a thing keeps, whatever the Python version looks at."""

from torch import nn

from voxtune.types.protocols import is_backbone, is_feature_tower, is_lead_tower, is_token_tower


class Tower(nn.Module):
    """Its blocks are where ``nn.Module`` puts them: in no ``__dict__``."""

    width, lead = 4, 1

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList()

    def embed(self) -> None: ...

    def finish(self) -> None: ...

    def pool(self) -> None: ...


class LeadTower(Tower):
    reads_lead = True


class Features(nn.Module):
    width = 4

    def features(self) -> None: ...

    def pool(self) -> None: ...


def test_a_tower_is_told_by_its_members() -> None:
    assert is_token_tower(Tower())
    assert not is_token_tower(Features())
    assert is_feature_tower(Features())
    assert not is_feature_tower(Tower())
    assert not is_backbone(Tower())


def test_a_lead_tower_is_a_token_tower_that_says_so() -> None:
    assert is_lead_tower(LeadTower())
    assert not is_lead_tower(Tower())
    denied = LeadTower()
    denied.reads_lead = False
    assert not is_lead_tower(denied)
    nothing = LeadTower()
    del nothing.blocks
    assert not is_lead_tower(nothing)
