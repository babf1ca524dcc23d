"""From where shooting starts: straight lines of coordinates, from chart to chart through stations."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.geometry import Frame
from erlangen.spaces.atlas.cover import Cover
from erlangen.spaces.atlas.lines import length, lengths
from erlangen.spaces.atlas.nerve import Nerve
from erlangen.spaces.metric import inverse

HELD = 1 << 20  # lengths at once


@dataclass(frozen=True, eq=False)
class BrokenLines:
    """The shortest of all broken lines: straight in coordinates, bent at stations in the overlaps.

    Attributes:
        room: a length; what is nearer than that is looked for in one chart only.
    """

    cover: Cover
    nerve: Nerve
    room: float

    def __call__(self, u: Frame, q: Float[Tensor, "*batch m"]) -> Float[Tensor, "*batch n"]:
        """The direction in which the line to q leaves the frame u, as long as the line."""
        shape, n = q.shape[:-1], u.basis.shape[-1]
        u, q = Frame(u.point.reshape(-1, n + 1), u.basis.reshape(-1, n + 1, n)), q.reshape(-1, n + 1)
        v, straight = self._straight(u, q)
        if len(self.stations):
            size = max(1, HELD // len(self.stations) ** 2)
            for part in (straight > self.room).nonzero()[:, 0].split(size):
                there = u.at(part)
                total, first = self._bent(there.point, q[part])
                w, leg = self._straight(there, self.stations[first])
                shorter = (total < straight[part])[:, None]
                v[part] = torch.where(shorter, w * (total / leg)[:, None], v[part])
        return v.nan_to_num(0.0).unflatten(0, shape)

    @cached_property
    def stations(self) -> Float[Tensor, "s m"]:
        """Points in all pieces of overlaps."""
        pieces = [piece.stations for piece in self.nerve.pieces]
        return torch.cat(pieces) if pieces else torch.zeros(0, self.cover.charts[0].dim + 1)

    @cached_property
    def _between(self) -> Float[Tensor, "s s"]:
        """The lengths of the shortest broken lines from station to station (Floyd and Warshall)."""
        d = lengths(self.cover, self.stations, self.stations)
        d.fill_diagonal_(0.0)
        for k in range(len(d)):
            d = torch.minimum(d, d[:, k, None] + d[k])
        return d

    def _bent(self, p: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
        """The length of the shortest line through stations, and the first of them."""
        out, back = lengths(self.cover, p, self.stations), lengths(self.cover, q, self.stations)
        onward = (self._between + back[:, None]).amin(-1)
        return (out + onward).min(-1)

    def _straight(self, u: Frame, q: Tensor) -> tuple[Tensor, Tensor]:
        """The direction and length of the shortest line in one chart; zero and inf, where none holds both."""
        v, best = u.basis.new_zeros(len(q), u.basis.shape[-1]), torch.full_like(q[:, 0], torch.inf)
        for b in range(len(self.cover.charts)):
            x, y = self.cover.seen_in(b, u.point), self.cover.seen_in(b, q)
            both = (self.cover.inside(b, x) & self.cover.inside(b, y)).nonzero()[:, 0]
            if len(both):
                E = self.cover.written(u.at(both), torch.tensor(b)).basis[..., 1:, :]
                d = y[both] - x[both]
                w = (inverse(E) @ d[..., None])[..., 0]
                size = length(self.cover, b, x[both], y[both])
                w = w * (size / w.norm(dim=-1).clamp_min(1e-300))[:, None]
                shorter = size < best[both]
                v[both] = torch.where(shorter[:, None], w, v[both])
                best[both] = torch.minimum(size, best[both])
        return v, best
