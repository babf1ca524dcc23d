"""Deck transformations ``x -> A x + period e_axis``: what glues a chart to itself."""

import itertools
import math
from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.geometry import Frame
from erlangen.spaces.lattices import nearest, reduced

Deck = tuple[int, float, Tensor]  # axis, period, A
HIGHEST = 12  # the highest order of a turn that keeps a lattice in up to five dimensions
TURNED = 1e-9  # less is rounding
NEARER = 1e-12  # by this part of a period, or it is rounding


def image(deck: Deck, x: Tensor, times: int) -> Tensor:
    """x once round an axis, or once back."""
    axis, period, A = deck
    shift = torch.zeros_like(x)
    shift[..., axis] = times * period
    power = torch.linalg.matrix_power(A, times).to(x)
    return (power @ x[..., None])[..., 0] + shift


def _power(A: Tensor, k: Tensor) -> Tensor:
    """A^k for whole numbers k of any shape."""
    values, index = torch.unique(k, return_inverse=True)
    powers = torch.stack([torch.linalg.matrix_power(A, int(value)) for value in values])
    return powers.to(k)[index]


def glued(decks: Sequence[Deck], u: Frame) -> Frame:
    """The frame of the cover, brought to where axes with a period lie in [0, period)."""
    point, basis = u.point, u.basis.expand(*u.point.shape[:-1], -1, -1)
    for axis, period, A in decks:
        turns = torch.floor(point[..., axis] / period)
        turns = turns + (point[..., axis] - turns * period >= period)  # a rounding below zero
        turns = torch.where(turns.isfinite(), turns, 0)
        if bool((turns != 0).any()):
            power = _power(A, -turns)
            shift = torch.zeros_like(point)
            shift[..., axis] = turns * period
            point, basis = (power @ (point - shift)[..., None])[..., 0], power @ basis
    return Frame(point, basis)


def in_order(decks: Sequence[Deck]) -> list[Deck]:
    """What turns an axis before what glues that axis: so points come home axis by axis.

    Raises:
        ValueError: for decks that turn each other's axes, where some product of them keeps points.
    """
    rest, ordered = list(decks), []
    while rest:
        first = next((deck for deck in rest if not _is_turned(deck, rest)), None)
        if first is None:
            raise ValueError(
                f"the gluings of axes {[axis for axis, _, _ in rest]} turn each other's axes, expected an "
                "order in which each turns only axes of later ones: else some points have cones about them"
            )
        rest = [deck for deck in rest if deck is not first]
        ordered.append(first)
    return ordered


def _is_turned(deck: Deck, decks: Sequence[Deck]) -> bool:
    """Whether others do anything to the coordinate that it glues."""
    axis = deck[0]
    others = [A[axis] for _, _, A in decks if A is not deck[2]]
    return any(bool((row - torch.eye(len(row)).to(row)[axis]).abs().max() > TURNED) for row in others)


def basis(decks: Sequence[Deck], g: Float[Tensor, "*batch n n"]) -> Float[Tensor, "*batch k n"]:
    """Short translations, as the metric g measures them, that generate those among the decks.

    They are the powers of each deck that turn nothing; a deck none of whose powers is one adds none.
    """
    n = g.shape[-1]
    whole = [(axis, order(A) * period) for axis, period, A in decks if order(A)]
    V = torch.zeros(len(whole), n, dtype=torch.float64, device=g.device)
    for row, (axis, length) in zip(V, whole, strict=True):
        row[axis] = length
    return reduced(V @ g.to(V) @ V.T) @ V if whole else V.expand(*g.shape[:-2], 0, n)


def order(A: Float[Tensor, "n n"]) -> int:
    """The least power of A that is the identity; 0 if there is none up to `HIGHEST`."""
    one, power = torch.eye(len(A)).to(A), A
    for times in range(1, HIGHEST + 1):
        if bool((power - one).abs().max() < TURNED):
            return times
        power = power @ A
    return 0


def nearest_image(
    decks: Sequence[Deck],
    g: Float[Tensor, "*#batch n n"],
    p: Float[Tensor, "*#batch n"],
    q: Float[Tensor, "*#batch n"],
    short: Float[Tensor, "*#batch k n"] | None = None,
) -> Float[Tensor, "*batch n"]:
    """The image of q nearest to p, as the metric g measures it; of several the one with the fewest turns.

    An image is a product of decks that turn q, then a translation, and of all translations the nearest is
    found at once, by `lattices.nearest`. Decks of which no power is a translation are tried outward from q
    until no image can be nearer.

    Args:
        decks: the deck transformations.
        g: the metric at p.
        p, q: points.
        short: what `basis` made of g, where it was made before.
    """
    shape = torch.broadcast_shapes(p.shape, q.shape)
    found, best = q.expand(shape), torch.full(shape[:-1], math.inf, dtype=torch.float64, device=q.device)
    if not decks:
        return found
    short = basis(decks, g) if short is None else short
    metric, scale = g.detach().to(short), _least_step(decks, g)
    for words, least in _words(decks, g.detach(), (q - p).detach()):
        if not bool((best > least).any()):
            break
        for word in words:
            candidate = q
            for deck, times in reversed(list(zip(decks, word, strict=True))):
                candidate = image(deck, candidate, times) if times else candidate
            d = (candidate - p).detach().to(short)
            back = nearest(short, metric, d) if short.shape[-2] else torch.zeros_like(d)
            d = d - back
            length = (d[..., None, :] @ metric @ d[..., None])[..., 0, 0].clamp_min(0).sqrt()
            closer = length < best - NEARER * scale
            found = torch.where(closer[..., None], candidate - back.to(candidate), found)
            best = torch.where(closer, length, torch.where(length.isfinite(), best, math.nan))
    return found


def _least_step(decks: Sequence[Deck], g: Tensor) -> Tensor:
    """A length to compare with: the shortest period of an axis, at the points of the metric g."""
    steps = [period * g[..., axis, axis].detach().double().sqrt() for axis, period, _ in decks]
    return torch.stack(steps).amin(0)


def _words(decks: Sequence[Deck], g: Tensor, d: Tensor) -> Iterator[tuple[list[tuple[int, ...]], Tensor]]:
    """Powers of the decks up to translations, in groups; what no image by one of a group on is shorter than.

    Along ``e``, which A keeps, an image by the k-th power lies k periods away.
    """
    orders = [order(A) for _, _, A in decks]
    endless = [(axis, period) for (axis, period, _), o in zip(decks, orders, strict=True) if o == 0]
    steps, slack = [torch.zeros(())], torch.zeros(())
    if endless:
        lowered = [g[..., axis, :] / g[..., axis, axis, None].sqrt() for axis, _ in endless]
        steps = [period * g[..., axis, axis].sqrt() for axis, period in endless]
        slack = torch.stack([(row * d).sum(-1).abs() for row in lowered]).amax(0)
    least = torch.stack(steps).amin(0)
    for shell in itertools.count():
        ranges = [range(o) if o else sorted(range(-shell, shell + 1), key=abs) for o in orders]
        words = [
            word
            for word in itertools.product(*ranges)
            if not endless or max(abs(k) for k, o in zip(word, orders, strict=True) if o == 0) == shell
        ]
        yield sorted(words, key=lambda word: sum(map(abs, word))), (shell * least - slack).to(torch.float64)
        if not endless:
            return
