"""Which elements of a space's group might permute samples of it."""

import itertools

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.geometry import Frame, Geometry
from erlangen.groups.families import affine

SAME = 1e-8  # relative
PAIRS = 1 << 23  # of samples that are looked at
ALIKE = 64  # samples that all others are looked at from, however many these are
INDEPENDENT = 0.3
AXES = 3  # of a space whose axes are mirrored and exchanged
MOMENT = 4  # halves of the degree of moments that tell samples of a sphere apart


def candidates(geometry: Geometry, frames: Frame, weights: Tensor) -> Float[Tensor, "c d d"]:
    """Matrices, as `act` takes them, among which are those that permute the samples, or some of them.

    An element is known by where it takes one frame. One sample goes to samples that look alike, and its
    frame to one in which the neighbours lie as they did. Where no group is named, mirrors of axes and shifts
    by whole samples are tried.
    """
    if geometry.matrix_size is None:
        return torch.zeros(0, 1, 1, dtype=torch.float64)
    if geometry.group is not None:
        return _by_frames(geometry, frames.flat, weights.flatten())
    if geometry.matrix_size == geometry.dim + 1 == geometry.ambient + 1:
        return _along_axes(frames.point)
    if geometry.matrix_size == geometry.ambient <= AXES:
        return _signed_permutations(geometry.ambient)
    return torch.zeros(0, 1, 1, dtype=torch.float64)


def _by_frames(geometry: Geometry, u: Frame, weights: Tensor) -> Tensor:
    first, alike = _fewest_alike(_invariants(geometry, u.point, weights))
    K = geometry.stabilizer()
    if K.dim == 0:
        there, back = geometry.section(u.point[alike]), torch.linalg.inv(geometry.section(u.point[first]))
        return (there[:, None] @ K.components @ back).flatten(0, 1)
    if len(alike) > ALIKE and len(alike) * len(u.point) > PAIRS:
        return torch.zeros(0, 1, 1, dtype=torch.float64)
    V = _directions_of_neighbours(geometry.coordinates(u.at(first), u.point), geometry.injectivity_radius)
    found, back = [], torch.linalg.inv(geometry.mover(u.at(first)))
    inverse = torch.linalg.inv(_completed(V[None]))[0]
    span = geometry.chord(1.01 * float(V.norm(dim=0).max())) if V.numel() else 0.0
    for there in map(u.at, alike.tolist()):
        # no other samples are as near as the neighbours may be
        close = u.point[(u.point - there.point).norm(dim=-1) <= span]
        h = _completed(_as_placed(V, geometry.coordinates(there, close))) @ inverse
        h = h[geometry.structure.contains(h)]
        g = geometry.mover(Frame(there.point.expand(len(h), -1), there.basis @ h))
        found.append(g[g.isfinite().flatten(1).all(1)] @ back)
    return torch.cat(found)


def _invariants(geometry: Geometry, p: Float[Tensor, "q m"], weights: Tensor) -> Float[Tensor, "q k"]:
    """Numbers that are the same at samples which symmetries exchange."""
    found = [weights / weights.max()]
    if geometry.ambient == geometry.dim and geometry.injectivity_radius == float("inf"):
        r = (p - (weights @ p) / weights.sum()).norm(dim=-1)  # any symmetry keeps the centre
        found.append(r / r.max().clamp_min(1e-300))
    elif geometry.matrix_size == geometry.ambient <= MOMENT and _on_a_sphere(p):
        power = p / p[0].norm()
        for _ in range(MOMENT - 1):
            power = (power[:, :, None] * p[:, None] / p[0].norm()).flatten(1)
        moment = torch.einsum("qa,q,qb->ab", power, weights / weights.sum(), power)
        found.append(((power @ moment) * power).sum(-1))  # mean of (p . q)^8 over the samples q
    return torch.stack(found, -1)


def _on_a_sphere(p: Float[Tensor, "q m"]) -> bool:
    r = p.norm(dim=-1)
    return bool((r - r[0]).abs().max() < SAME * r[0])


def _fewest_alike(x: Float[Tensor, "q k"]) -> tuple[int, Tensor]:
    """A visible sample that looks like as few others as any, and those, itself among them."""
    seen = (x[:, 0] > 0).nonzero().flatten()
    _, kind, counts = torch.unique((x[seen] / 1e-6).round(), dim=0, return_inverse=True, return_counts=True)
    first = int(seen[counts[kind].argmin()])
    return first, ((x - x[first]).abs().amax(1) < SAME).nonzero().flatten()


def _directions_of_neighbours(v: Float[Tensor, "q n"], radius: float) -> Float[Tensor, "n k"]:
    """The nearest samples that span all directions in which there are some, as columns."""
    chosen, length = v[:0], v.norm(dim=-1)
    for i in length.argsort().tolist():
        if len(chosen) == v.shape[1] or float(length[i]) > 0.9 * radius:
            break
        if float(length[i]) == 0:
            continue
        more = torch.cat([chosen, v[i : i + 1]])
        unit = more / more.norm(dim=-1, keepdim=True)
        if float(torch.linalg.svdvals(unit)[-1]) > INDEPENDENT:
            chosen = more
    return chosen.T


def _completed(V: Float[Tensor, "c n k"]) -> Float[Tensor, "d n n"]:
    """Tuples of k independent columns, and beside each all mirror images of axes across them.

    Samples in a row, or in one layer, say nothing of the directions across it.
    """
    n, k = V.shape[1:]
    if k == n:
        return V
    across = torch.linalg.qr(V, mode="complete").Q[..., k:]
    signs = torch.tensor(list(itertools.product((1.0, -1.0), repeat=n - k)), dtype=V.dtype)  # (s, n - k)
    mirrored = across[:, None] * signs[:, None]  # (c, s, n, n - k)
    return torch.cat([V[:, None].expand(-1, len(signs), -1, -1), mirrored], -1).flatten(0, 1)


def _as_placed(V: Float[Tensor, "n k"], v: Float[Tensor, "q n"]) -> Float[Tensor, "c n k"]:
    """The tuples of samples that have the lengths and angles of V, as columns."""
    close, gram = SAME * float(V.square().sum()), V.T @ V
    found = v.new_zeros(1, V.shape[0], 0)
    for i in range(V.shape[1]):
        w = v[(v.square().sum(-1) - gram[i, i]).abs() < close]  # as long
        fits = ((w @ found - gram[i, :i]).abs() < close).all(-1)  # (c, w)
        which, k = fits.nonzero(as_tuple=True)
        found = torch.cat([found[which], w[k][..., None]], -1)
    return found


def _along_axes(points: Float[Tensor, "*space n"]) -> Float[Tensor, "c d d"]:
    """Axes mirrored and exchanged about the middle or the first sample, and shifts along rows of samples."""
    n = points.shape[-1]
    flat = points.flatten(0, -2)
    middles = torch.stack([(flat.amin(0) + flat.amax(0)) / 2, flat[0]])
    found = [affine(A, c - A @ c) for A in _signed_permutations(n) for c in middles] if n <= AXES else []
    rows = points if points.dim() == n + 1 else flat[:1].view(*[1] * n, n)
    for axis, size in enumerate(rows.shape[:-1]):
        line = rows.movedim(axis, 0).flatten(1, -2)[:, 0] if n > 1 else rows
        counts = sorted({1, size // 4, size // 2} - {0}) if size > 1 else []
        found += [affine(torch.eye(n).double(), line[count] - line[0]) for count in counts]
    return torch.stack(found)


def _signed_permutations(n: int) -> Float[Tensor, "c n n"]:
    """The symmetries of a cube."""
    one = torch.eye(n, dtype=torch.float64)
    return torch.stack(
        [
            torch.diag(torch.tensor(signs).double()) @ one[list(order)]
            for order in itertools.permutations(range(n))
            for signs in itertools.product((1, -1), repeat=n)
        ]
    )
