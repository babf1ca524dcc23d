"""The group that deck transformations generate: the way home from the cover, and nearest images."""

import itertools
import math
from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.geometry import Deck, Frame
from erlangen.geometry.deck import TURNED
from erlangen.geometry.lattices import nearest, reduced
from erlangen.shared import shared

NEARER = 1e-12  # by this part of a period, or it is rounding


class DeckGroup:
    r"""What deck transformations generate: all products, in an order in which points come home deck by deck.

    Each deck has a form ``c = w . x`` that it raises by one, and that those after it leave alone: the group
    acts freely, and one point of each orbit has all c in [0, 1).

    Args:
        decks: the generators.

    Raises:
        ValueError: for decks without such an order, where some product of them may keep points; for decks
            that do not lead home, because their products lie dense.
    """

    is_ordered: bool = True

    def __init__(self, decks: Sequence[Deck]) -> None:
        with shared():
            self.decks, self.forms = in_order(decks)
            if self.decks:
                self._expect_a_group()

    def __iter__(self) -> Iterator[Deck]:
        return iter(self.decks)

    def __len__(self) -> int:
        return len(self.decks)

    def home(self, u: Frame) -> Frame:
        """The frame of the cover, brought to where each form lies in [0, 1)."""
        point, basis = u.point, u.basis.expand(*u.point.shape[:-1], -1, -1)
        # a point a rounding below zero is at zero: at one it would be another one's mirror image
        slack = max(1e-12, 4 * torch.finfo(point.dtype).eps)
        for deck, w in zip(self.decks, self.forms, strict=True):
            turns = torch.floor(point @ w.to(point) + slack)
            turns = torch.where(turns.isfinite(), turns, 0)
            if bool((turns != 0).any()):
                point, basis = deck.power(-turns).act(Frame(point, basis))
        return Frame(point, basis)

    def image(self, word: Sequence[int], x: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch n"]:
        """x by the product of so many of each deck, the last one first."""
        for deck, times in reversed(list(zip(self.decks, word, strict=True))):
            x = deck.power(times).image(x) if times else x
        return x

    def translations(self, g: Float[Tensor, "*batch n n"]) -> Float[Tensor, "*batch k n"]:
        """Short translations, as the metric g measures them, that generate those among the decks.

        They are the powers of each deck that turn nothing; a deck none of whose powers is one adds none.
        """
        whole = [deck.order * deck.pitch for deck in self.decks if deck.order]
        if not whole:
            return torch.zeros(*g.shape[:-2], 0, g.shape[-1], dtype=torch.float64, device=g.device)
        V = torch.stack(whole).to(g.device)
        return reduced(V @ g.to(V) @ V.T) @ V

    def shortest_loop(self) -> float:
        """The length of the shortest closed geodesic of R^n by this group: what some image is away at least.

        ``x -> A x + t`` moves no point by less than the part of t that A keeps.
        """
        one = torch.eye(self.decks[0].shift.shape[-1], dtype=torch.float64)
        short = self.translations(one)
        lengths = [short.norm(dim=-1).min()]
        steps = (-1.0, 0.0, 1.0) if len(short) > 4 else (-2.0, -1.0, 0.0, 1.0, 2.0)
        for word in self.words():
            if any(word):
                t = self.image(word, one[:1] * 0)
                A = (self.image(word, one) - t).T
                near = torch.tensor(list(itertools.product(steps, repeat=len(short))), dtype=torch.float64)
                kept = Deck(A, torch.zeros(len(one))).fixed
                lengths.append(((t - nearest(short, one, t) + near @ short) @ kept.T).norm(dim=-1).min())
        return float(torch.stack(lengths).min())

    def words(self) -> list[tuple[int, ...]]:
        """What `image` takes: powers of the decks up to translations, where all of them have an order."""
        return list(itertools.product(*[range(deck.order) for deck in self.decks]))

    def is_kept_by(self, g: Deck) -> bool:
        """Whether an affine map carries points that are one to points that are one."""
        u = self._probes()
        here = self.home(g.act(u))
        return all(self._is_same(self.home(g.act(deck.act(u))), here) for deck in self.decks)

    def nearest_image(
        self,
        g: Float[Tensor, "*#batch n n"],
        p: Float[Tensor, "*#batch n"],
        q: Float[Tensor, "*#batch n"],
        short: Float[Tensor, "*#batch k n"] | None = None,
    ) -> Float[Tensor, "*batch n"]:
        """The image of q nearest to p, as the metric g measures it; of several the one with the fewest turns.

        An image is a product of decks that turn q, then a translation, and of all translations the nearest is
        found at once, by `lattices.nearest`. Decks of which no power is a translation are tried outward from
        q until no image can be nearer.

        Args:
            g: the metric at p.
            p, q: points.
            short: what `translations` made of g, where it was made before.
        """
        p, q = torch.broadcast_tensors(p, q)
        found, best = q, torch.full(q.shape[:-1], math.inf, dtype=torch.float64, device=q.device)
        if not self.decks:
            return found
        short = self.translations(g) if short is None else short
        metric, scale = g.detach().to(short), self._least_step(g.detach().to(short))
        for words, least in self.shells(metric, (q - p).detach().to(short)):
            if not bool((best > least).any()):
                break
            for word in words:
                candidate = self.image(word, q)
                d = (candidate - p).detach().to(short)
                back = nearest(short, metric, d) if short.shape[-2] else torch.zeros_like(d)
                d = d - back
                length = (d[..., None, :] @ metric @ d[..., None])[..., 0, 0].clamp_min(0).sqrt()
                closer = length < best - NEARER * scale
                found = torch.where(closer[..., None], candidate - back.to(candidate), found)
                best = torch.where(closer, length, torch.where(length.isfinite(), best, math.nan))
        return found

    def _least_step(self, g: Tensor) -> Tensor:
        """A length to compare with: the shortest pitch, at the points of the metric g."""
        pitches = torch.stack([deck.pitch for deck in self.decks]).to(g)
        return torch.einsum("...ij,ki,kj->...k", g, pitches, pitches).sqrt().amin(-1)

    def shells(self, g: Tensor, d: Tensor) -> Iterator[tuple[list[tuple[int, ...]], Tensor]]:
        """Powers of the decks up to translations, in groups; what no image by one of a group on is shorter
        than.

        The k-th power raises the form of its deck by k, which takes a way of k over the form's length.
        """
        orders = [deck.order for deck in self.decks]
        endless = [w for w, o in zip(self.forms, orders, strict=True) if o == 0]
        steps, slack = d.new_zeros(()), d.new_zeros(())
        if endless:
            w = torch.stack(endless).to(g)
            heights = torch.einsum("...ij,ki,kj->...k", torch.linalg.inv(g), w, w).rsqrt()
            steps, slack = heights.amin(-1), (heights * (d @ w.T).abs()).amax(-1)
        for shell in itertools.count():
            ranges = [range(o) if o else sorted(range(-shell, shell + 1), key=abs) for o in orders]
            words = [
                word
                for word in itertools.product(*ranges)
                if not endless or max(abs(k) for k, o in zip(word, orders, strict=True) if o == 0) == shell
            ]
            yield sorted(words, key=lambda word: sum(map(abs, word))), shell * steps - slack
            if not endless:
                return

    def _expect_a_group(self) -> None:
        """ValueError unless points that are one come home to one."""
        u = self._probes()
        here = self.home(u)
        for number, deck in enumerate(self.decks):
            if not self._is_same(self.home(deck.act(u)), here):
                raise ValueError(
                    f"the deck {number}, x -> {_shown(deck.matrix)} x + {_shown(deck.shift)}, leads to "
                    "points that come home elsewhere, expected one that carries the lattice of the others "
                    "onto itself; give a lattice that it keeps"
                )

    def _sizes(self) -> Float[Tensor, "n"]:
        """How far decks lead, by axis."""
        size = torch.stack([deck.shift.abs() for deck in self.decks]).amax(0)
        return torch.where(size > 0, size, size.max())

    def _probes(self) -> Frame:
        size, generator = self._sizes(), torch.Generator().manual_seed(0)
        x = size * (torch.rand(16, len(size), generator=generator, dtype=torch.float64) - 0.3)
        return Frame(x, torch.eye(len(size), dtype=torch.float64).expand(16, -1, -1))

    def _is_same(self, u: Frame, w: Frame) -> bool:
        apart = (u.point - w.point).abs() / (self._sizes() + w.point.abs())
        return bool((apart < 1e-6).all()) and bool(((u.basis - w.basis).abs() < 1e-6).all())


def _shown(x: Tensor) -> list:
    return torch.round(x, decimals=4).tolist()


def in_order(decks: Sequence[Deck]) -> tuple[list[Deck], list[Tensor]]:
    """What turns others before those others, and the form of each.

    Raises:
        ValueError: for decks without such an order.
    """
    rest, ordered, forms = list(decks), [], []
    while rest:
        found = ((deck, _form(deck, rest)) for deck in rest)
        first, form = next(((deck, w) for deck, w in found if w is not None), (None, None))
        if first is None or form is None:
            raise ValueError(
                f"the decks with the shifts {[_shown(deck.shift) for deck in rest]} turn each other's axes, "
                "expected an order in which each turns only axes of later ones: else some points have cones "
                "about them"
            )
        rest = [deck for deck in rest if deck is not first]
        ordered.append(first)
        # best one that earlier decks do not raise either: then the cell has the shifts for sides
        beside = _form(first, [*rest, first], ordered[:-1])
        forms.append(form if beside is None else beside)
    return ordered, forms


def _form(deck: Deck, decks: Sequence[Deck], earlier: Sequence[Deck] = ()) -> Float[Tensor, "n"] | None:
    """w with ``w . b = 1`` that decks leave alone but for that, and the pitches of earlier ones do not raise;
    None where there is none."""
    b = deck.pitch
    size = b.norm()
    one = torch.eye(len(b)).to(b)
    others = [other.pitch / other.pitch.norm() for other in [*decks, *earlier] if other is not deck]
    kept = torch.cat([*[other.matrix.T - one for other in decks], *[unit[None] for unit in others]])
    straight = b / size
    w = straight
    if not bool((kept @ w).abs().max() < TURNED):
        zeros_and_one = torch.cat([kept.new_zeros(len(kept)), kept.new_ones(1)])
        w = torch.linalg.pinv(torch.cat([kept, straight[None]])) @ zeros_and_one
    holds = bool((kept @ w).abs().max() < TURNED * w.norm()) and bool((w @ straight - 1).abs() < TURNED)
    return w / size if holds else None
