"""Beside e3nn: convolutions of voxels, and the sphere's harmonics."""

from functools import partial
from typing import Any

import torch
from e3nn import o3
from e3nn.nn.models.v2104.voxel_convolution import Convolution
from torch import Tensor, nn

import erlangen as er
from benchmarks.networks import answer, differentiated
from benchmarks.timing import Effort, Ratio, Task, interleaved

Row = dict[str, Any]
WIDTH = 5


class ScalarsAndVectors(nn.Module):
    """Ours: a correlation for each pair of types, as e3nn's one tensor product has them."""

    def __init__(self, domain: er.domains.Domain, scalars: int, vectors: int) -> None:
        super().__init__()
        counts = {"scalar": scalars, "vector": vectors}
        self.scalars, self.vectors = scalars, vectors
        self.paths = nn.ModuleDict(
            {
                f"{a}_{b}": er.nn.Correlation(
                    domain, counts[a], counts[b], WIDTH, in_field=a, out_field=b, bias=False
                )
                for a in counts
                for b in counts
            }
        )

    def forward(self, x: Tensor) -> Tensor:
        f, v = x[:, : self.scalars], x[:, self.scalars :].unflatten(1, (self.vectors, 3))
        scalars = self.paths["scalar_scalar"](f) + self.paths["vector_scalar"](v)
        vectors = self.paths["scalar_vector"](f) + self.paths["vector_vector"](v)
        return torch.cat([scalars, vectors.flatten(1, 2)], 1)


def volumes(effort: Effort) -> list[Row]:
    """By the side of the volume and the number of fields."""
    rows = []
    for side, scalars, vectors in effort(((16, 8, 4), (24, 8, 4), (24, 16, 0)), ((6, 2, 1),)):
        domain = er.Euclidean(3, "isometries").grid(side, side, side)
        fields = f"{scalars}x0e + {vectors}x1o" if vectors else f"{scalars}x0e"
        harmonics = o3.Irreps.spherical_harmonics(2 if vectors else 0)
        theirs = voxels(fields, harmonics)
        if vectors:
            ours: nn.Module = ScalarsAndVectors(domain, scalars, vectors)
        else:
            ours = er.nn.Correlation(domain, scalars, scalars, WIDTH, bias=False)
        x = torch.randn(1, scalars + 3 * vectors, side, side, side)
        facts = {"side": side, "fields": fields}
        rows.append(facts | raced(ours, theirs, x, effort))
    return rows


def voxels(fields: str, harmonics: o3.Irreps) -> nn.Module:
    """Theirs; the signature lost an argument between its versions."""
    return Convolution(fields, fields, harmonics, diameter=WIDTH, num_radial_basis=3, steps=(1.0, 1.0, 1.0))


def sphere(effort: Effort) -> list[Row]:
    """Samples to coefficients and back, on the grid that each takes for so many degrees.

    e3nn's even steps need twice as many latitudes as Gauss and Legendre's.
    """
    rows = []
    for L in effort((16, 32, 64), (4,)):
        ball, channels, res = er.Sphere().grid(L), effort(16, 2), (2 * L, 2 * L - 1)
        back, there = o3.ToS2Grid(L - 1, res), o3.FromS2Grid(res, L - 1)
        f, g, c = (torch.randn(1, channels, *size) for size in (ball.shape, res, (L * L,)))
        pairs = {
            "analysis": (partial(ball.analyze, f), partial(there, g)),
            "synthesis": (partial(ball.synthesize, ball.analyze(f)), partial(back, c)),
        }
        for name, (mine, theirs) in pairs.items():
            found = interleaved({"ours": mine, "theirs": theirs}, effort, seconds=5)
            rows.append({"what": name, "L": L, "forward": Ratio.of(found["theirs"], found["ours"])._asdict()})
    return rows


def raced(ours: nn.Module, theirs: nn.Module, x: Tensor, effort: Effort) -> Row:
    """Theirs / ours."""
    sides = {"ours": ours, "theirs": theirs}
    forward: dict[str, Task] = {n: answer(side, x) for n, side in sides.items()}
    both: dict[str, Task] = {n: differentiated(side, x) for n, side in sides.items()}
    return {
        name: Ratio.of(found["theirs"], found["ours"])._asdict()
        for name, tasks in (("forward", forward), ("with gradient", both))
        if (found := interleaved(tasks, effort, seconds=8))
    }
