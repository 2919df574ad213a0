"""One person under two IDs: pairs of scans that are nearer than strangers can be, and sides that are nearer than chance makes them.

A pair is judged by a null that does not hold the suspects, however many there are. Each scan has its own strangers: all other
participants, of whom at most a few can be itself under another ID, even if every single person of the cohort is there twice.
Both scans of a pair must find the other far outside their own strangers, and nearer than second-nearest strangers are in this
cohort. Where a cohort is too small to know its strangers, only what no two strangers of the shipped reference reach is found.
"""

import functools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from voxtune.audit.chests import ANCHORS
from voxtune.audit.fingerprints import BODY
from voxtune.audit.images import CHANNELS, Images, across, by_level
from voxtune.audit.report import Finding, Level, named, pairs_named

OUTLIER = 5.0
"""Least robust standard deviations above a scan's own strangers (more where there are many pairs)."""
FALSE_PAIRS = 0.005
"""Pairs of strangers per cohort that may lie above that limit if likeness were normal."""
NEARLY = 0.7
"""Of that limit: what the one scan of a pair must find at least if it shows, or is shown, half a brain."""
ENOUGH = 8
"""Other participants needed to know what is usual for a scan."""
NARROWEST = 0.03
"""Least standard deviation of strangers (Fisher z) that is believed."""
NARROWEST_NEAREST = 0.015
FLOOR, CHEST_FLOOR = 0.4, 0.62
"""Correlation below which nothing is one person (brains of strangers, SIMULATED and real: below 0.4; chests of strangers, SIMULATED: below 0.54)."""
CHEST_SHARE = 0.7
"""Of the limit in robust standard deviations, what is asked of chests, whose floor is the higher one: strangers' chests spread wide, with short tails."""
CERTAIN_SD = 6.0
"""Standard deviations of the shipped strangers above their mean from which two brains are one person in any cohort."""
CERTAIN_BRAIN = 0.9
CERTAIN_PICTURE = 0.97
"""Correlation from which two pictures are one scan with other noise, whatever the cohort (measured: 0.98 and above)."""
LEAST_SHARED = 0.2
"""Parts of two scans that must be seen in both (1: one hemisphere, whole)."""
BLOCK = 256
NEIGHBOURS = 12
DRAWS = 200
REFUSE_P, LEAST_EFFECT = 0.006, 0.5


@dataclass(frozen=True)
class Pair:
    """Two places of ``Images`` that look like one person."""

    first: int
    second: int
    correlation: float
    channel: str


@dataclass
class Likeness:
    """What a comparison of all scans leaves behind: memory grows with the number of scans alone."""

    pairs: list[Pair] = field(default_factory=list)
    judged: dict[str, int] = field(default_factory=dict)
    """By channel, how many scans had enough strangers."""
    neighbours: NDArray[np.int64] | None = None
    """The nearest scans of other participants, (N, NEIGHBOURS)."""
    nearness: NDArray[np.float64] | None = None
    """Their distance above the scan's own strangers, in robust standard deviations."""


@functools.lru_cache(maxsize=1)
def reference() -> Mapping[str, float]:
    """What strangers reach in the shipped reference of SIMULATED people (``benchmarks/audit/reference.py`` writes it)."""
    stored = json.loads(resources.files("voxtune.audit").joinpath("reference.json").read_text("utf-8"))
    return {name: float(stored[name]) for name in ("strangers_z", "sd_z")}


def certain(channel: str, *, enough: bool) -> float:
    """The correlation (not centred) from which two scans are one person whatever the rest of the cohort is like.

    Args:
        channel: what is compared.
        enough: the cohort has enough strangers to know how alike they are here, who may be more so than those of the reference.
    """
    if channel != "brain":
        return CERTAIN_PICTURE
    if enough:
        return CERTAIN_BRAIN
    strangers = reference()
    return float(np.tanh(strangers["strangers_z"] + CERTAIN_SD * strangers["sd_z"]))


def compare(images: Images) -> Likeness:
    """Compare every scan with every scan of another participant, a block of rows at a time."""
    found = Likeness()
    best: dict[tuple[int, int], Pair] = {}
    people = np.unique(np.array(images.participants, dtype=object).astype(str), return_inverse=True)[1]
    known = [
        (images.vectors[one] != 0).any(axis=1) for one in CHANNELS if one != BODY and one in images.vectors
    ]
    framed = np.any(known, axis=0)
    for channel in (one for one in CHANNELS if one in images.vectors):
        for pair in _channel(images, channel, people, found):
            key = (pair.first, pair.second)
            # Of two brains and of two chests the shape decides: pictures of two left halves are alike because both are left halves.
            both = bool(framed[pair.first] and framed[pair.second])
            if channel == BODY and both and pair.correlation < CERTAIN_PICTURE:
                continue
            if key not in best or pair.correlation > best[key].correlation:
                best[key] = pair
    found.pairs = [best[key] for key in sorted(best)]
    return found


@dataclass(frozen=True)
class _Rows:
    """Scans of a channel, each part as long as it is seen: (N, parts, D), and the parts that are seen (N, parts)."""

    values: NDArray[np.float32]
    seen: NDArray[np.float32]

    def centred(self, centre: NDArray[np.float32]) -> "_Rows":
        """The same less what all have in common, each part as long as it is seen."""
        return _Rows(_long(self.values - self.seen[:, :, None] * centre, self.seen), self.seen)

    def against(self, other: "_Rows", rows: slice) -> NDArray[np.float32]:
        """Correlations of some rows with all of the other, over the parts that both have; 0 where they share none."""
        shared = self.seen[rows] @ other.seen.T
        flat = (
            self.values[rows].reshape(-1, self.values[0].size) @ other.values.reshape(len(other.values), -1).T
        )
        return np.asarray(
            np.where(shared > LEAST_SHARED, flat / np.maximum(shared, 1e-6), 0), dtype=np.float32
        )


def _long(values: NDArray[np.float32], seen: NDArray[np.float32]) -> NDArray[np.float32]:
    norms = np.maximum(np.linalg.norm(values, axis=2), 1e-6)
    return np.asarray(values * (seen / norms)[:, :, None], dtype=np.float32)


def _rows(vectors: NDArray[np.float16], seen: NDArray[np.float16] | None) -> _Rows:
    parts = 1 if seen is None else seen.shape[1]
    values = vectors.astype(np.float32).reshape(len(vectors), parts, -1)
    there = np.ones((len(vectors), 1), np.float32) if seen is None else seen.astype(np.float32)
    return _Rows(_long(values, there), there)


def _channel(images: Images, channel: str, people: NDArray[np.int64], out: Likeness) -> Iterator[Pair]:
    plain, mirrored = images.vectors[channel], images.mirrored[channel]
    seen = images.seen.get(channel)
    shown = np.flatnonzero((plain != 0).any(axis=1))
    owner = people[shown]
    if len(set(owner.tolist())) < 2:
        out.judged[channel] = 0
        return
    enough = len(set(owner.tolist())) > ENOUGH
    ours = _rows(plain[shown], None if seen is None else seen[shown])
    theirs = _rows(mirrored[shown], None if seen is None else seen[shown, ::-1])
    weight = np.maximum(ours.seen.sum(axis=0), 1e-6)
    centre = ours.values.sum(axis=0) / weight[:, None]
    own, flipped = (ours.centred(centre), theirs.centred(centre)) if enough else (ours, theirs)
    chest = channel in ANCHORS
    limit = max(OUTLIER, _normal_limit(len(shown))) * (CHEST_SHARE if chest else 1)
    floor = CHEST_FLOOR if chest else FLOOR
    kind = (ours.seen > 0).sum(axis=1)
    votes: dict[tuple[int, int], list[tuple[float, float, bool]]] = {}
    second = np.full(len(shown), np.nan)
    near, above = np.full((len(shown), NEIGHBOURS), -1), np.full((len(shown), NEIGHBOURS), -np.inf)
    for start in range(0, len(shown), BLOCK):
        rows = slice(start, start + BLOCK)
        whole = np.maximum(ours.against(ours, rows), ours.against(theirs, rows))
        centred = np.maximum(own.against(own, rows), own.against(flipped, rows)) if enough else whole
        for place, (line, raw) in enumerate(zip(centred, whole, strict=True), start):
            others = np.flatnonzero(owner != owner[place])
            z = np.arctanh(np.clip(line[others], -0.9999, 0.9999).astype(np.float64))
            sure = raw[others] >= certain(channel, enough=enough)
            unusual, far = _unusual_of_kind(z, owner[others], kind[others], limit) if enough else (sure, z)
            # A half is compared with few others of its kind: what one of the two finds near must be the more unusual for the other.
            part = np.minimum(kind[place], kind[others]) < ours.seen.shape[1]
            near_enough = unusual | (part & (far >= NEARLY * limit))
            marked = (near_enough & (np.minimum(line, raw)[others] >= floor)) | sure
            for at in np.flatnonzero(marked).tolist():
                partner = int(others[at])
                vote = (
                    2.0 if sure[at] else float(line[partner]),
                    math.inf if sure[at] else float(far[at]),
                    bool(unusual[at]),
                )
                votes.setdefault((min(place, partner), max(place, partner)), []).append(vote)
            second[place] = _second_nearest(z, owner[others])
            nearest = np.argpartition(-z, min(NEIGHBOURS, len(z) - 1))[:NEIGHBOURS]
            order = nearest[np.argsort(-z[nearest])]
            near[place, : len(order)], above[place, : len(order)] = (
                shown[others[order]],
                far[order],
            )
    out.judged[channel] = len(shown) if enough else 0
    if enough and (out.neighbours is None or channel == "brain"):
        _keep_neighbours(out, len(plain), shown, near, above)
    least = _above_second_nearest(second, limit) if enough else math.inf
    for (a, b), cast in sorted(votes.items()):
        # Both scans must find the other unusual: a scan that is near to everybody is not near to one person.
        if len(cast) == 2 and _agreed(cast, least, limit):
            one = slice(a, a + 1)
            value = float(max(ours.against(ours, one)[0, b], ours.against(theirs, one)[0, b]))
            yield Pair(int(shown[a]), int(shown[b]), value, channel)


def _agreed(cast: Sequence[tuple[float, float, bool]], least: float, limit: float) -> bool:
    """Whether both scans of a pair find the other so near that they are one person."""
    lines, fars, unusual = zip(*cast, strict=True)
    if max(lines) == 2.0:
        return True
    return min(lines) >= least and (all(unusual) or (any(unusual) and fars[0] * fars[1] >= limit**2))


def _keep_neighbours(
    out: Likeness, scans: int, shown: NDArray[np.int64], near: NDArray[np.int64], above: NDArray[np.float64]
) -> None:
    out.neighbours = np.full((scans, NEIGHBOURS), -1)
    out.nearness = np.full((scans, NEIGHBOURS), -np.inf)
    out.neighbours[shown], out.nearness[shown] = near, above


def _normal_limit(scans: int) -> float:
    """Standard deviations that FALSE_PAIRS of all pairs (and their mirror images) exceed if likeness is normal."""
    from scipy.stats import norm

    return float(norm.isf(FALSE_PAIRS / max(1, scans * (scans - 1))))


def _unusual(
    z: NDArray[np.float64], owner: NDArray[np.int64], limit: float
) -> tuple[NDArray[np.bool_], float, float]:
    """Which of one scan's likenesses with other people stand out; the middle and spread of the others."""
    usual = np.ones(z.shape, bool)
    middle, spread = 0.0, 1.0
    for _ in range(3):
        middle = float(np.median(z[usual]))
        spread = max(NARROWEST, 1.4826 * float(np.median(np.abs(z[usual] - middle))))
        above = z > middle + limit * spread
        if len(set(owner[above].tolist())) < ENOUGH:
            return above, middle, spread
        # Many people stand out: a cohort within the cohort (same scanner, same organ). Judge among those.
        usual = above
    return np.zeros(z.shape, bool), middle, spread


def _unusual_of_kind(
    z: NDArray[np.float64], owner: NDArray[np.int64], kind: NDArray[np.int64], limit: float
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Which likenesses stand out among all partners, or among those that show as much (whole brains, halves), and how far in robust deviations.

    Two halves of strangers are alike in more ways than a half and a whole brain: together they would hide what stands out among either.
    """
    unusual, middle, spread = _unusual(z, owner, limit)
    far = (z - middle) / spread
    kinds = np.unique(kind)
    for own in (kind == one for one in kinds if len(kinds) > 1):
        if len(set(owner[own].tolist())) > ENOUGH:
            here, middle, spread = _unusual(z[own], owner[own], limit)
            unusual[own] |= here
            far[own] = np.maximum(far[own], (z[own] - middle) / spread)
    return unusual, far


def _second_nearest(z: NDArray[np.float64], owner: NDArray[np.int64]) -> float:
    """The nearest likeness once the nearest participant is left out: a stranger, even where the nearest is the person."""
    rest = z[owner != owner[int(np.argmax(z))]]
    return float(rest.max()) if rest.size else math.nan


def _above_second_nearest(second: NDArray[np.float64], limit: float) -> float:
    """The correlation above which a pair is nearer than near strangers are in this cohort.

    A scan's nearest stranger is the best of hundreds, and in a cohort of few kinds of anatomy (coarse voxels, one template)
    far above what is usual for the scan. The nearest of all is left out, because it may be the person: what remains are strangers.
    """
    known = second[np.isfinite(second)]
    middle = float(np.median(known))
    spread = max(NARROWEST_NEAREST, 1.4826 * float(np.median(np.abs(known - middle))))
    return float(np.tanh(middle + limit * spread))


# ------------------------------------------------------------------------------------------- findings
def near_duplicates(
    images: Images, sides: Mapping[str, str], likeness: Likeness | None = None
) -> list[Finding]:
    """Scans of two participant IDs that look like one person; refused where they are on two sides."""
    grave: list[tuple[tuple[str, str], Pair]] = []
    light: list[tuple[tuple[str, str], Pair]] = []
    for found in (likeness or compare(images)).pairs:
        pair = (images.scan_ids[found.first], images.scan_ids[found.second])
        if images.hashes[found.first] != images.hashes[found.second]:
            (grave if across(pair, sides) else light).append((pair, found))
    findings = []
    for some, level, what in by_level(grave, light):
        if some:
            pairs = tuple(pair for pair, _ in some)
            best = max(found.correlation for _, found in some)
            message = (
                f"{len(pairs)} pair{'s' if len(pairs) > 1 else ''} of scans of different participant IDs look like one person {what} "
                f"(correlation up to {best:.2f}): {pairs_named(pairs, sides)}."
            )
            scans = tuple(dict.fromkeys(scan for pair in pairs for scan in pair))
            figures = {"pairs": float(len(pairs)), "highest_correlation": best}
            findings.append(
                Finding(
                    check="near_duplicate",
                    level=level,
                    message=message,
                    scans=scans,
                    figures=figures,
                    pairs=pairs,
                )
            )
    return findings


def state(images: Images, likeness: Likeness) -> str:
    """``done``, or what could not be looked at and why."""
    parts = []
    if images.failed:
        parts.append(f"{len(images.failed)} scans could not be read: {named(images.failed)}")
    if not any(likeness.judged.values()):
        people = len(set(images.participants))
        parts.append(
            f"only {people} participants have a readable scan and at least {ENOUGH + 1} are needed to know how alike strangers are here; "
            "nothing but near-certain doubles was looked for"
        )
    shown = (images.vectors["brain"] != 0).any(axis=1)
    if shown.sum() > len(shown) / 2 and not shown.all():
        without = [scan for scan, there in zip(images.scan_ids, shown, strict=True) if not there]
        parts.append(
            f"{len(without)} scans among brains show none that could be laid in the standard space, and were compared "
            f"as pictures alone: {named(without)}"
        )
    return "; ".join(parts) or "done"


def permuted_sides(
    images: Images, sides: Mapping[str, str], likeness: Likeness, draws: int, seed: int = 0
) -> tuple[list[Finding], str]:
    """Are the sides nearer to each other than to themselves? The labels train, val and test are drawn again for whole participants.

    For each scan, the nearest scan of another participant across sides is set against the nearest on its own side. Between
    different people the difference is nil on average, wherever they stand. If the people of one side stand on the other under
    other IDs, it is large, and hardly any other draw of sides makes it so: a fully leaked split fails.

    Returns:
        One finding, and ``done`` or why it was not done.
    """
    if likeness.neighbours is None or likeness.nearness is None:
        return [], f"needs at least {ENOUGH + 1} participants with readable scans"
    number = {side: place for place, side in enumerate(sorted(set(sides.values())))}
    side = np.array([number.get(sides.get(scan, ""), -1) for scan in images.scan_ids])
    if len(set(side[side >= 0].tolist())) < 2:
        return [], "needs scans on two sides"
    people = np.unique(np.array(images.participants, dtype=object).astype(str), return_inverse=True)[1]
    first = np.full(int(people.max()) + 1, -1)
    first[people] = side
    observed = _excess(likeness.neighbours, likeness.nearness, side)
    generator = np.random.default_rng(seed)
    placed = np.flatnonzero(first >= 0)
    drawn = []
    for _ in range(draws):
        shuffled = first.copy()
        shuffled[placed] = generator.permutation(first[placed])
        drawn.append(_excess(likeness.neighbours, likeness.nearness, shuffled[people]))
    reached = float((1 + np.sum(np.array(drawn) >= observed)) / (draws + 1))
    level: Level = "refuse" if reached <= REFUSE_P and observed >= LEAST_EFFECT else "note"
    told = "nearer than" if level == "refuse" else "not nearer than other draws make them: the difference is"
    message = (
        f"The sides of this split are {told} {observed:.2f} standard deviations of strangers between a scan's nearest across sides and "
        f"on its own side; {100 * reached:.1f}% of {draws} draws of sides reach that."
        if level == "note"
        else f"The sides of this split are nearer to each other than different people can be: a scan's nearest across sides is {observed:.2f} "
        f"standard deviations of strangers nearer than the nearest on its own side, and {100 * reached:.1f}% of {draws} draws of sides "
        "reach that. People of one side stand on another under other IDs."
    )
    figures = {"excess": observed, "p": reached, "draws": float(draws)}
    return [Finding(check="permuted_labels", level=level, message=message, figures=figures)], "done"


def _excess(near: NDArray[np.int64], nearness: NDArray[np.float64], side: NDArray[np.int64]) -> float:
    """Mean over scans of nearest across sides minus nearest on the own side, each at least the last neighbour kept."""
    theirs = np.where(near >= 0, side[np.maximum(near, 0)], -1)
    known = (near >= 0) & (theirs >= 0)
    used = known.any(axis=1) & (side >= 0)
    last = np.where(known, nearness, np.inf).min(axis=1)
    same = theirs == side[:, None]
    inside = np.maximum(np.where(known & same, nearness, -np.inf).max(axis=1), last)
    outside = np.maximum(np.where(known & ~same, nearness, -np.inf).max(axis=1), last)
    return float(np.mean(outside[used] - inside[used])) if used.any() else 0.0
