"""Directions of space that a cube's turns and mirrors exchange, with weights: Lebedev's quadrature."""

import itertools
import math
from functools import cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

Direction = tuple[float, float, float]
FACES: Direction = (0.0, 0.0, 1.0)
CORNERS: Direction = (3**-0.5, 3**-0.5, 3**-0.5)
EDGES: Direction = (0.0, 0.5**0.5, 0.5**0.5)
# By the degree up to which a rule is exact: one direction of each orbit. Three digits of the free ones are
# enough, since the equations give the others, and the weights.
ORBITS: dict[int, tuple[Direction, ...]] = {
    3: (FACES,),
    5: (FACES, CORNERS),
    7: (FACES, CORNERS, EDGES),
    9: (FACES, CORNERS, (0.0, 0.460, 0.888)),
    11: (FACES, CORNERS, EDGES, (0.302, 0.302, 0.905)),
    15: (FACES, CORNERS, (0.370, 0.370, 0.853), (0.694, 0.694, 0.189), (0.0, 0.374, 0.927)),
    17: (
        FACES,
        CORNERS,
        *((0.185, 0.185, 0.965), (0.690, 0.690, 0.216), (0.396, 0.396, 0.829), (0.0, 0.478, 0.878)),
    ),
    19: (
        *(FACES, CORNERS, EDGES),
        *((0.676, 0.676, 0.291), (0.417, 0.417, 0.807), (0.157, 0.157, 0.975), (0.140, 0.449, 0.882)),
    ),
    21: (
        *(FACES, CORNERS, EDGES, (0.255, 0.255, 0.933), (0.674, 0.674, 0.301), (0.432, 0.432, 0.792)),
        *((0.0, 0.261, 0.965), (0.145, 0.499, 0.854)),
    ),
    23: (
        *(FACES, CORNERS, EDGES, (0.671, 0.671, 0.314), (0.289, 0.289, 0.913), (0.445, 0.445, 0.777)),
        *((0.130, 0.130, 0.983), (0.0, 0.346, 0.938), (0.159, 0.525, 0.836)),
    ),
}
ROUNDS, CLOSE = 50, 1e-13  # of Newton's method, at most; a step behind which only rounding comes


@cache
def lebedev(degree: int) -> tuple[Float[Tensor, "k 3"], Float[Tensor, "k"]]:
    r"""Directions and weights of the mean over the sphere, exact up to a degree (at least) of polynomials.

    All 48 symmetries of the cube permute the directions. By Sobolev's theorem the rule is exact as soon as it
    is for polynomials that they leave alone: as many equations as there are free numbers, solved by Newton.

    Args:
        degree: at most 23, for which 194 directions are taken.

    Raises:
        ValueError: for a higher one.

    Reference: Lebedev 1976; Lebedev & Laikov 1999.
    """
    found = [known for known in ORBITS if known >= degree]
    if not found:
        raise ValueError(
            f"degree is {degree}, expected at most {max(ORBITS)}, of the finest rule that is known: take "
            "fewer degrees, or less oversampling"
        )
    orbits, exact = ORBITS[found[0]], found[0]
    free = [_free(x) for x in orbits]
    p = np.array([*[1 / len(orbits)] * len(orbits), *itertools.chain.from_iterable(free)])
    p[: len(orbits)] = np.linalg.lstsq(*_equations(p, orbits, exact), rcond=None)[0]
    for _ in range(ROUNDS):
        step = np.linalg.solve(_jacobian(p, orbits, exact), _rest(p, orbits, exact))
        p = p - step
        if np.abs(step).max() < CLOSE:
            break
    weights, firsts = p[: len(orbits)], _directions(p, orbits)
    every = [_orbit(x) for x in firsts]
    shares = [np.full(len(orbit), w / len(orbit)) for w, orbit in zip(weights, every, strict=True)]
    return torch.from_numpy(np.concatenate(every)), torch.from_numpy(np.concatenate(shares))


def _free(x: Direction) -> list[float]:
    """The numbers by which a direction may move within its kind: angles."""
    a, b, c = x
    if x in (FACES, CORNERS, EDGES):
        return []
    if a == 0:
        return [math.atan2(b, c)]
    if a == b:
        return [math.atan2(math.hypot(a, b), c)]
    return [math.atan2(math.hypot(a, b), c), math.atan2(b, a)]


def _directions(p: np.ndarray, orbits: tuple) -> list[np.ndarray]:
    """One of each orbit, of the weights and angles p."""
    angles, found = iter(p[len(orbits) :]), []
    for x in orbits:
        if not _free(x):
            found.append(np.array(x))
            continue
        t = next(angles)
        turned = math.pi / 2 if x[0] == 0 else math.pi / 4 if x[0] == x[1] else next(angles)
        sine = math.sin(t)
        first = 0.0 if x[0] == 0 else sine * math.cos(turned)
        found.append(np.array([first, sine * math.sin(turned), math.cos(t)]))
    return found


def _orbit(x: np.ndarray) -> np.ndarray:
    """All images of a direction under the 48 symmetries, each once."""
    images = {
        tuple(sign * x[i] + 0.0 for sign, i in zip(signs, order, strict=True)): None
        for order in itertools.permutations(range(3))
        for signs in itertools.product((1, -1), repeat=3)
    }
    kept: list[np.ndarray] = []
    for image in map(np.array, images):
        if all(np.abs(image - other).max() > 1e-9 for other in kept):
            kept.append(image)
    return np.array(kept)


def _equations(p: np.ndarray, orbits: tuple, degree: int) -> tuple[np.ndarray, np.ndarray]:
    """The means of invariant polynomials over each orbit, relative to the sphere's, which are one then."""
    half = degree // 2
    powers = [(a, b, half - a - b) for a in range(half + 1) for b in range(a + 1) if 0 <= half - a - b <= b]
    images = 2 * np.array([list(itertools.permutations(power)) for power in powers])  # (power, 6, 3)
    rows = (np.array(_directions(p, orbits)) ** images[:, :, None]).prod(-1).mean(1)  # (power, orbit)
    odd = [math.prod(range(1, 2 * k, 2)) for k in range(half + 2)]  # (2 k - 1)!!
    means = np.array([odd[a] * odd[b] * odd[c] / odd[half + 1] for a, b, c in powers])
    return rows / means[:, None], np.ones(len(means))


def _rest(p: np.ndarray, orbits: tuple, degree: int) -> np.ndarray:
    means, wanted = _equations(p, orbits, degree)
    return means @ p[: len(orbits)] - wanted


def _jacobian(p: np.ndarray, orbits: tuple, degree: int, step: float = 1e-6) -> np.ndarray:
    """By differences: Newton's steps need no more to arrive."""
    columns = [
        (_rest(p + step * e, orbits, degree) - _rest(p - step * e, orbits, degree)) / (2 * step)
        for e in np.eye(len(p))
    ]
    return np.stack(columns, 1)
