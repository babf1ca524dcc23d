"""The domains that the tests run over, one of each kind."""

import math

import torch

import erlangen as er
from erlangen.domains import Samples

HEXAGONAL = torch.tensor([[1.0, 0.0], [0.5, math.sqrt(0.75)]], dtype=torch.float64)
C6 = er.groups.StructureGroup.cyclic(6)
DOMAINS = {
    "line": lambda: er.Euclidean(1).grid(12, spacing=0.5),
    "line, mirrored": lambda: er.Euclidean(1, "isometries").grid(12),
    "circle": lambda: er.FlatTorus((12.0,)).grid(12),
    "plane, any kernel": lambda: er.Plane(symmetry="translations", shape=(7, 6)),
    "plane, isotropic": lambda: er.Plane(shape=(6, 7)),
    "plane, C4": lambda: er.Plane(rotations=4, shape=(6, 5)),
    "plane, C3": lambda: er.Plane(rotations=3, shape=(5, 5)),
    "plane, C8": lambda: er.Plane(rotations=8, shape=(4, 5)),
    "plane, D4": lambda: er.Plane(rotations=4, reflections=True, shape=(4, 5)),
    "space": lambda: er.Euclidean(3, "isometries").grid(4, 5, 4),
    "space, any kernel": lambda: er.Euclidean(3).grid(4, 3, 4),
    "volume, C4, thick slices": lambda: er.Volume(4, axis=0, spacing=(3, 1, 1), shape=(3, 4, 3)),
    "volume, directions": lambda: er.Volume(degree=1, shape=(3, 3, 4)),
    "torus": lambda: er.FlatTorus((7.0, 6.0)).grid(7, 6),
    "hexagonal torus": lambda: er.FlatTorus(lattice=7 * HEXAGONAL, structure=C6).grid(6, 5),
    "cylinder": lambda: er.Cylinder(8.0, 5.0).grid(8, 5),
    "moebius": lambda: er.Moebius(8.0, 5.0).grid(8, 5),
    "moebius, isometries": lambda: er.Moebius(8.0, 4.0, symmetry="isometries").grid(8, 4),
    "klein": lambda: er.KleinBottle(8.0, 6.0).grid(8, 6),
    "klein, isometries, odd": lambda: er.KleinBottle(7.0, 5.0, symmetry="isometries").grid(7, 5),
    "sphere": lambda: er.Sphere().grid(6),
    "sphere, lifted": lambda: er.Sphere().grid(5, 8, rotations=5),
    "sphere, O(2)": lambda: er.Sphere(symmetry="isometries").grid(4, 6, rotations=3),
    "sphere, poles": lambda: er.Sphere().grid(5, kind="equiangular", rotations=3),
    "sphere, oriented": lambda: er.Sphere(symmetry="axis").grid(5, 8),
    "sphere, HEALPix": lambda: er.Sphere().healpix(2, rotations=3),
    "sphere, masked": lambda: er.Sphere().grid(6, mask=torch.arange(72).view(6, 12) % 5 != 1),
    "plane, masked": lambda: er.Plane(rotations=4).masked(torch.arange(30).view(6, 5) % 4 != 1),
    "SE(2)": lambda: se2_grid(4, 4),
    "S2 x S1": lambda: sphere_and_circle(3, 4),
}
RADIUS = {"S2 x S1": 2.0, "line": 1.25}
RADIUS |= {name: 1.2 for name in DOMAINS if name.startswith("sphere")}


def se2_grid(turns: int, size: int) -> Samples:
    """SE(2) on itself: `turns` angles at each of size x size places of the unit lattice."""
    space = er.GroupSpace(er.groups.SE(2))
    angle = 2 * math.pi * torch.arange(turns).double() / turns
    place = torch.arange(size).double() - (size - 1) / 2
    t, x, y = torch.meshgrid(angle, place, place, indexing="ij")
    g = torch.eye(3).double().expand(*t.shape, 3, 3).clone()
    g[..., 0, 0], g[..., 0, 1], g[..., 1, 0], g[..., 1, 1] = t.cos(), -t.sin(), t.sin(), t.cos()
    g[..., 0, 2], g[..., 1, 2] = x, y
    return space.samples(space.point(g), torch.full(t.shape, 2 * math.pi / turns, dtype=torch.float64))


def sphere_and_circle(rings: int, count: int) -> Samples:
    """S^2 x S^1, samples of one beside samples of the other."""
    space = er.Product(er.Sphere(), er.FlatTorus((2 * math.pi,)))
    ball, circle = er.Sphere().grid(rings, 4), er.FlatTorus((2 * math.pi,)).grid(count)
    p = ball.points[:, :, None].expand(-1, -1, count, -1)
    q = circle.points.expand(rings, 4, -1, -1)
    return Samples(space, torch.cat([p, q], -1), ball.weights[..., None] * circle.weights)


def field_shape(domain, field: str) -> tuple[int, ...]:
    """The axes of a field after the channels."""
    rho = domain.representation(field)
    return ((rho.dim,) if rho.has_axis else ()) + domain.shape
