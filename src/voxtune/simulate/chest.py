"""A simulated chest CT cohort: who is in it, which findings each scan has, and the scan as a scanner writes it. SIMULATED.

Findings go together through a person's *burden*; lasting ones (lime, emphysema, a device) stay from scan to scan, others
come and go. Every finding draws from its own random stream: the same chest with one finding more differs only by it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from voxtune.cohorts.ct_rate import FINDINGS
from voxtune.imaging.blas import one_blas_thread
from voxtune.simulate.chest_anatomy import AIR, SHAPE, Array, Chest, Grid, Person, build
from voxtune.simulate.chest_findings import DRAWN, Planted
from voxtune.simulate.seeds import Branch, generator
from voxtune.types.records import Sex
from voxtune.types.settings import Settings

PADDING = -1024.0
"""What stands outside the scanner's circle."""
LASTING = frozenset(
    {
        "Medical material", "Arterial wall calcification", "Coronary artery wall calcification", "Cardiomegaly",
        "Emphysema", "Pulmonary fibrotic sequela", "Hiatal hernia", "Lung nodule",
    }
)  # fmt: skip
HEALTHY_BURDEN = -0.35


class ChestSettings(Settings):
    """A simulated chest cohort. The same settings give the same people and the same voxels."""

    participants: int = Field(200, ge=1, le=99_999)
    scans: int = Field(2, ge=1, le=20)
    """At most; each participant has 1 to this many."""
    seed: int = Field(0, ge=0, le=9_999)
    scanners: int = Field(3, ge=1, le=50)
    difficulty: float = Field(1.0, ge=0.1, le=10)
    """Above 1 findings are slighter and scans noisier, below 1 the reverse."""


@dataclass(frozen=True)
class Scanner:
    """What makes one scanner's pictures look like its own."""

    name: str
    noise: float
    """Standard deviation in HU."""
    blur: float
    """Standard deviation of the reconstruction kernel, in voxels."""
    offset: float
    """Error of calibration, HU."""
    scale: float
    """Field of view over the usual one."""

    @classmethod
    def drawn(cls, seed: int, index: int) -> "Scanner":
        """The ``index``-th scanner of a cohort."""
        rng = generator(Branch.SCANNER, seed, 1000 + index)
        return cls(
            name=f"SIM CT {index + 1}",
            noise=float(rng.uniform(14, 30)),
            blur=float(rng.uniform(0.25, 0.55)),
            offset=float(rng.normal(0, 6)),
            scale=float(rng.uniform(0.95, 1.06)),
        )


@dataclass(frozen=True)
class Scan:
    """One scan of one person before it is drawn: the truth."""

    participant_id: str
    scan_id: str
    """As CT-RATE names volumes: ``train_12_a_1``."""
    index: int
    visit: int
    person: Person
    sex: Sex
    age: int
    scanner: int
    pose: tuple[float, float, float, float]
    """mm to the left, to the back, upwards; degrees turned."""
    amounts: Mapping[str, float]
    """How marked each finding that is there is, about 0.2 to 1."""

    @property
    def session_id(self) -> str:
        """The scan without its reconstruction."""
        return self.scan_id.removesuffix("_1")


@dataclass(frozen=True)
class Rendered:
    """A scan as drawn: Hounsfield units, where they are, and each finding's place and words."""

    voxels: NDArray[np.int16]
    grid: Grid
    planted: Mapping[str, Planted]
    chest: Chest


def scans(settings: ChestSettings) -> Iterator[Scan]:
    """Every scan of every participant, in order; nothing is drawn yet."""
    for index in range(settings.participants):
        rng = generator(Branch.CHEST_PERSON, settings.seed, index)
        burden = HEALTHY_BURDEN + rng.normal(0, 0.9)
        person = Person.drawn(rng)
        sex: Sex = "F" if rng.uniform() < 0.5 else "M"
        age = int(np.clip(rng.normal(55 + 5 * burden, 14), 20, 92))
        scanner = int(rng.integers(settings.scanners))
        lasting = _findings(rng, burden, settings.difficulty)
        name = f"{'valid' if index % 5 == 4 else 'train'}_{settings.seed * 100_000 + index + 1}"
        for visit in range(int(rng.integers(1, settings.scans + 1))):
            day = generator(Branch.CHEST_SCAN, settings.seed, index, visit)
            pose = tuple(float(day.normal(0, spread)) for spread in (5, 5, 8, 2))
            fresh = _findings(day, burden, settings.difficulty)
            amounts = {
                finding: amount
                for finding in DRAWN
                if (amount := (lasting if finding in LASTING else fresh).get(finding)) is not None
            }
            large = 1.24 + 0.3 * amounts.get("Cardiomegaly", 0.0)
            yield Scan(
                participant_id=name,
                scan_id=f"{name}_{chr(ord('a') + visit)}_1",
                index=index,
                visit=visit,
                person=replace(person, heart=person.heart * large) if "Cardiomegaly" in amounts else person,
                sex=sex,
                age=age + visit,
                scanner=scanner,
                pose=(pose[0], pose[1], pose[2], pose[3]),
                amounts=amounts,
            )


def _findings(rng: np.random.Generator, burden: float, difficulty: float) -> dict[str, float]:
    """Which findings someone has, and how marked."""
    found = {}
    for finding, kind in DRAWN.items():
        odds = kind.share / (1 - kind.share) * np.exp(0.8 * burden)
        chance, amount = rng.uniform(), float(np.clip(rng.normal(0.6, 0.22), 0.15, 1.0))
        if chance < odds / (1 + odds):
            found[finding] = amount / difficulty**0.5
    return found


def draw(scan: Scan, seed: int, scale: float = 1.0) -> tuple[Chest, dict[str, Planted]]:
    """The chest with its findings, before any scanner: HU without noise."""
    chest = build(scan.person, Grid.of(scale, scan.pose))
    planted = {}
    for number, (finding, kind) in enumerate(DRAWN.items()):
        if finding in scan.amounts:
            rng = generator(Branch.CHEST_SCAN, seed, scan.index, scan.visit, 1 + number)
            planted[finding] = kind.draw(chest, rng, scan.amounts[finding])
    return chest, planted


@one_blas_thread()
def render(settings: ChestSettings, scan: Scan, scanner: Scanner) -> Rendered:
    """The scan as the scanner writes it: kernel, noise, calibration, its circle."""
    chest, planted = draw(scan, settings.seed, scanner.scale)
    rng = generator(Branch.CHEST_SCAN, settings.seed, scan.index, scan.visit, 0)
    voxels = scanned(chest.voxels, scanner, rng, settings.difficulty)
    field = Grid.of(scanner.scale)
    voxels[np.hypot(field.left, field.back) > 0.5 * SHAPE[0] * field.spacing[0]] = PADDING
    return Rendered(np.round(np.clip(voxels, PADDING, 3071)).astype(np.int16), chest.grid, planted, chest)


def scanned(voxels: Array, scanner: Scanner, rng: np.random.Generator, difficulty: float = 1.0) -> Array:
    """HU after the reconstruction kernel, with correlated noise that is stronger behind more tissue."""
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(rng.standard_normal(SHAPE, dtype=np.float32), (0.6, 0.6, 0.3))
    noise *= np.float32(scanner.noise * difficulty**0.5) / noise.std()
    thick = np.clip((voxels - AIR).mean(axis=(0, 1), keepdims=True) / 420, 0.6, 1.6)
    out: Array = gaussian_filter(voxels, scanner.blur) + noise * thick + np.float32(scanner.offset)
    return out


def report(scan: Scan, drawn: Rendered, seed: int) -> tuple[str, str]:
    """The radiologist's words: findings, then impressions. What is not there is mentioned often, not always."""
    rng = generator(Branch.CHEST_SCAN, seed, scan.index, scan.visit, 100)
    voxel = drawn.grid.voxel_mm3 / 1e3
    right, left = (float(part.sum()) * voxel for part in drawn.chest.lungs)
    sentences = [planted.words for planted in drawn.planted.values()]
    sentences += [
        f"{kind.absent}."
        for finding, kind in DRAWN.items()
        if finding not in scan.amounts and rng.uniform() < 0.55
    ]
    rng.shuffle(sentences)
    volumes = f"Lung volumes are {right:.0f} ml on the right and {left:.0f} ml on the left."
    heard = ", ".join(finding.lower() for finding in FINDINGS if finding in scan.amounts)
    return " ".join([volumes, *sentences]), f"{heard.capitalize()}." if heard else "No pathological finding."
