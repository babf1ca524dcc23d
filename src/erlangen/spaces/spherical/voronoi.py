"""The areas of the spherical Voronoi cells of points: the weights of a user's own samples."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from erlangen.domains.neighbours import nearest
from erlangen.geometry import Geometry

MOST, HOLE = 5000, 12.0  # points whose weights are tested; the area of a cell, in means, that is a hole
FEWEST = 10  # neighbours that cells are cut with at first
WIDEST = math.tan(math.radians(80))
PAIRS = 1 << 21


def voronoi_areas(sphere: Geometry, points: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
    """The area of the part of S^2 that is nearer to each point than to any other.

    Seen from its point (gnomonic projection), a cell is a convex polygon, cut by the bisectors of the
    neighbours. More of these are taken until the next one is too far to cut.

    Raises:
        ValueError: for points that coincide; for a hole wider than about a quarter of the sphere.
    """
    areas = points.new_zeros(len(points))
    todo, count = torch.arange(len(points)), FEWEST
    while len(todo):
        count = min(count, len(points) - 1)
        size = max(1, PAIRS // (count + 4) ** 3)
        left = []
        for some in todo.split(size * 8):
            distance, index = nearest(sphere, points[some], points, count + 1)
            _refuse_coinciding(distance, index)
            for piece in torch.arange(len(some)).split(size):
                area, radius = _cells(sphere, points[some[piece]], points[index[piece, 1:]])
                whole = (distance[piece, -1] >= 2 * radius) | (count == len(points) - 1)
                areas[some[piece]] = area
                left.append(some[piece][~whole])
                _refuse_holes(some[piece][whole], radius[whole])
        todo, count = torch.cat(left), 2 * count
    return areas


def expect_areas(sphere: Geometry, points: Float[Tensor, "n 3"], weights: Float[Tensor, "n"]) -> None:
    r"""ValueError for weights that are not, but for a factor, the areas of the points.

    The weighted means of the harmonics of degree 1 and 2, of mean square 1, are zero, or near those by
    Voronoi areas; equal weights of random points err by ``1 / sqrt(n)``. Points with holes, and more than
    5,000, for which balls tell enough (`expect_invariant`), are taken as they are.
    """
    if len(points) > MOST or weights.shape != points.shape[:1]:
        return
    try:
        areas = voronoi_areas(sphere, points)
    except ValueError:  # a hole, or points twice, which is for others to say
        return
    if float(areas.max()) > HOLE * float(areas.mean()):
        return
    x, y, z = points.unbind(-1)
    first = math.sqrt(3) * points
    second = torch.stack([x * y, y * z, z * x, (x * x - y * y) / 2, (3 * z * z - 1) / math.sqrt(12)], -1)
    values = torch.cat([first, math.sqrt(15) * second], -1)
    means, those_of_cells = (w @ values / w.sum() for w in (weights, areas))
    off = float(torch.minimum(means.abs(), (means - those_of_cells).abs()).max())
    if off > 0.06 + 3.5 / math.sqrt(len(points)):
        raise ValueError(
            f"the weights are not the invariant measure of {sphere}: harmonics of degree 1 or 2 have a "
            f"mean of {off:.2g}, expected 0; multiply them by the density of your coordinates (such as sin "
            "theta), or take the areas of Voronoi cells, er.Sphere().samples(points).weights"
        )


def _cells(sphere: Geometry, p: Float[Tensor, "k 3"], q: Float[Tensor, "k c 3"]) -> tuple[Tensor, Tensor]:
    """The areas of the cells of p against the neighbours q, and how far their corners are."""
    E = sphere.frame(p)
    c = q @ E  # x = p + E y is nearer to p than to q where c y <= d
    d = 1 - (q * p[:, None]).sum(-1)
    box = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]], dtype=p.dtype)
    c = torch.cat([c, box.expand(len(p), -1, -1)], 1)
    d = torch.cat([d, torch.full((len(p), 4), WIDEST, dtype=p.dtype)], 1)
    a, b = torch.triu_indices(c.shape[1], c.shape[1], 1)
    det = c[:, a, 0] * c[:, b, 1] - c[:, a, 1] * c[:, b, 0]
    y = (
        torch.stack(
            [d[:, a] * c[:, b, 1] - d[:, b] * c[:, a, 1], c[:, a, 0] * d[:, b] - c[:, b, 0] * d[:, a]], -1
        )
        / torch.where(det == 0, 1.0, det)[..., None]
    )
    slack = d[:, None] * (1 + 1e-10) - y @ c.mT  # (k, corners, halfplanes)
    corner = (slack >= 0).all(-1) & (det.abs() > 1e-14)
    angle = torch.where(corner, torch.atan2(y[..., 1], y[..., 0]), math.inf)
    order = angle.argsort(1)[:, : int(corner.sum(1).max())]
    y, corner = y.gather(1, order[..., None].expand(-1, -1, 2)), corner.gather(1, order)
    y = torch.where(corner[..., None], y, y[:, :1])
    x = p[:, None] + y @ E.mT
    x = x / x.norm(dim=-1, keepdim=True)
    following = x.roll(-1, 1)
    triple = (p[:, None] * torch.linalg.cross(x, following)).sum(-1)
    cosines = 1 + x @ p[..., None] + following @ p[..., None]
    area = 2 * torch.atan2(triple, cosines[..., 0] + (x * following).sum(-1))
    return area.sum(1), torch.atan(y.norm(dim=-1).amax(1))


def _refuse_coinciding(distance: Tensor, index: Tensor) -> None:
    same = distance[:, 1] < 1e-7
    if bool(same.any()):
        i = int(same.nonzero()[0])
        pair = sorted({int(index[i, 0]), int(index[i, 1])})
        raise ValueError(
            f"points {pair[0]} and {pair[1]} coincide, expected points apart from each other, since each is "
            "weighted by its own area; remove one of them (torch.unique), or give weights="
        )


def _refuse_holes(some: Int[Tensor, "k"], radius: Tensor) -> None:
    if len(some) and float(radius.max()) >= 0.999 * math.atan(WIDEST):
        raise ValueError(
            f"next to point {int(some[int(radius.argmax())])} the sphere is empty as far as 80 degrees, "
            "expected points all over it; a window is a mask: take a grid of the whole sphere and give mask="
        )
