"""The layers that networks spend their time in, on every space: each with an input of its usual size."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

import erlangen as er
from benchmarks.timing import Effort

REGULAR = {"in_field": "regular", "out_field": "regular"}
VECTORS = {"in_field": "vector", "out_field": "vector"}
TURN = 2 * math.pi
WIDEST = 2.0  # the torus of revolution below allows 2.2


class Case(NamedTuple):
    """A layer and what it is applied to."""

    layer: nn.Module
    x: Tensor


Make = Callable[[Effort], Case]


def field(domain: er.domains.Domain, kind: str, *leading: int, shape: tuple[int, ...] = ()) -> Tensor:
    """A random one, channels innermost in memory, as layers leave it."""
    axes = domain.representation(kind)
    fibre = (axes.dim,) if axes.has_axis else ()
    space = tuple(shape or domain.shape)
    x = torch.randn(leading[0], *space, *fibre, leading[1])
    order = (0, len(space) + len(fibre) + 1, *(len(space) + 1 for _ in fibre), *range(1, len(space) + 1))
    return x.permute(order)


def plane(
    make: Callable[[er.Plane], nn.Module],
    kind: str = "regular",
    channels: int = 16,
    side: int = 64,
    batch: int = 2,
    **options,  # noqa: ANN003
) -> Make:
    """A layer on photographs; with 8 turns, unless the options say otherwise."""

    def case(effort: Effort) -> Case:
        domain, pixels = er.Plane(**(options or {"rotations": 8})), effort(side, 9)
        return Case(make(domain), field(domain, kind, effort(batch, 1), channels, shape=(pixels, pixels)))

    return case


def on(
    domain: Callable[[Effort], er.domains.Domain],
    make: Callable[[er.domains.Domain], nn.Module],
    kind: str,
    channels: int,
    batch: int = 2,
) -> Make:
    """A layer on samples of a space."""

    def case(effort: Effort) -> Case:
        samples = domain(effort)
        return Case(make(samples), field(samples, kind, effort(batch, 1), channels))

    return case


def correlation(channels: int, *size: int, **options) -> Callable[[er.domains.Domain], nn.Module]:  # noqa: ANN003
    """As many fields out as in."""
    return lambda domain: er.nn.Correlation(domain, channels, channels, *size, **options)


def local(channels: int, **options) -> Callable[[er.domains.Domain], nn.Module]:  # noqa: ANN003
    """The same, as far as three times the mean distance of samples, but within the injectivity radius."""

    def make(domain: er.domains.Domain) -> nn.Module:
        radius = min(3 * float(domain.weights.mean()) ** (1 / domain.dim), WIDEST)
        return er.nn.Correlation(domain, channels, channels, radius=radius, **options)

    return make


def up(domain: er.Plane) -> nn.Module:
    """Back to twice as many pixels."""
    layer = er.nn.Up(domain)
    return Applied(layer, lambda x: layer(x, tuple(2 * n for n in x.shape[-2:])))


class Applied(nn.Module):
    """A function of an input that uses a layer."""

    def __init__(self, layer: nn.Module, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.layer, self.function = layer, function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


PLANE: dict[str, Make] = {
    "lift, 7 x 7": plane(lambda p: er.nn.Lift(p, 3, 16, 7), "scalar", 3, 128),
    "regular, 3 x 3": plane(correlation(16, 3, **REGULAR)),
    "regular, 5 x 5": plane(correlation(16, 5, **REGULAR)),
    "regular, 5 x 5, one image of 32 pixels": plane(correlation(16, 5, **REGULAR), side=32, batch=1),
    "regular, 5 x 5, D8": plane(correlation(8, 5, **REGULAR), channels=8, rotations=8, reflections=True),
    "regular, 5 x 5, stride 2": plane(correlation(16, 5, 2, **REGULAR)),
    "separable, 5 x 5": plane(correlation(16, 5, separable=True, **REGULAR)),
    "isotropic, 5 x 5": plane(correlation(64, 5), "scalar", 64, symmetry="isometries"),
    "any kernel, 5 x 5": plane(correlation(64, 5), "scalar", 64, symmetry="translations"),
    "norm": plane(lambda p: er.nn.Norm(p, 16)),
    "ReLU": plane(lambda p: er.nn.ReLU(p)),
    "ReLU, oversampling=1": plane(lambda p: er.nn.ReLU(p, oversampling=1)),
    "SiLU": plane(lambda p: er.nn.SiLU(p)),
    "gated": plane(lambda p: er.nn.Gated(p, 16)),
    "polynomial": plane(lambda p: er.nn.Polynomial(p, 16)),
    "projection, mean": plane(lambda p: er.nn.Project(p, "mean")),
    "projection, max": plane(lambda p: er.nn.Project(p, "max")),
    "down": plane(lambda p: er.nn.Down(p)),
    "up": plane(up, side=32),
    "pool, max": plane(lambda p: er.nn.Pool(p, "max")),
}


def ball(effort: Effort, degrees: int, **options) -> er.domains.Domain:  # noqa: ANN003
    """A Gauss-Legendre grid."""
    return er.Sphere().grid(effort(degrees, 6), **options)


def torus(effort: Effort) -> er.domains.Domain:
    """A torus of revolution, by its metric alone."""
    space = er.Chart(metric_of_a_torus, 2, periods=(TURN, TURN))
    side = effort(16, 5)
    return space.grid(2 * side, side, rotations=4, nodes=effort(8, 3))


def metric_of_a_torus(x: Tensor) -> Tensor:
    around = (2 + 0.7 * x[..., 1].cos()) ** 2
    return torch.diag_embed(torch.stack([around, torch.full_like(around, 0.49)], -1))


def cubes(effort: Effort) -> er.domains.Domain:
    """A volume with the 24 turns of the cube at each voxel."""
    side = effort(12, 4)
    turns = er.groups.StructureGroup.finite(er.groups.cube().components)
    return er.Euclidean(3, structure=turns).grid(side, side, side)


def volume(effort: Effort) -> er.domains.Domain:
    side = effort(24, 5)
    return er.Euclidean(3, "isometries").grid(side, side, side)


def line(effort: Effort) -> er.domains.Domain:
    return er.Euclidean(1).grid(effort(16384, 16))


def moebius(effort: Effort) -> er.domains.Domain:
    side = effort(48, 8)
    return er.Moebius(2.0 * side, float(side)).grid(2 * side, side)


def hexagonal(effort: Effort) -> er.domains.Domain:
    """A torus by the lattice of hexagons, with turns by 60 degrees."""
    lattice = torch.tensor([[1.0, 0.0], [0.5, math.sqrt(0.75)]], dtype=torch.float64)
    side = effort(48, 8)
    structure = er.groups.StructureGroup.cyclic(6)
    return er.FlatTorus(lattice=side * lattice, structure=structure).grid(side, side)


SPACES: dict[str, Make] = {
    "line, 5": on(line, correlation(16, 5), "scalar", 16),
    "volume, isotropic, 5^3": on(volume, correlation(8, 5), "scalar", 8, 1),
    "volume, vectors, 5^3": on(volume, correlation(4, 5, **VECTORS), "vector", 4, 1),
    "volume, turns of the cube, 3^3": on(cubes, correlation(2, 3, **REGULAR), "regular", 2, 1),
    "Möbius strip, regular, 5 x 5": on(moebius, correlation(16, 5, **REGULAR), "regular", 16),
    "hexagonal torus, C6, 5 x 5": on(hexagonal, correlation(8, 5, **REGULAR), "regular", 8),
    "sphere, zonal, L = 64": on(lambda e: ball(e, 64), correlation(16), "scalar", 16),
    "sphere, lift to SO(3), L = 32": on(
        lambda e: ball(e, 32, rotations=9), lambda d: er.nn.Lift(d, 16, 16), "scalar", 16, 1
    ),
    "SO(3), L = 32, band 4": on(
        lambda e: ball(e, 32, rotations=9), correlation(16, **REGULAR), "regular", 16, 1
    ),
    "SO(3), ReLU at twice the samples": on(
        lambda e: ball(e, 32, rotations=9), lambda d: er.nn.ReLU(d), "regular", 4, 1
    ),
    "sphere, local, 48 x 96": on(lambda e: ball(e, 48), local(16), "scalar", 16),
    "HEALPix 16, local": on(lambda e: er.Sphere().healpix(e(16, 2)), local(16), "scalar", 16),
    "HEALPix 16, zonal": on(lambda e: er.Sphere().healpix(e(16, 2)), correlation(16), "scalar", 16),
    "torus of revolution, regular": on(torus, local(8, **REGULAR), "regular", 8, 4),
}
