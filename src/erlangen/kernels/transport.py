"""The article's two ways to move a kernel: by transport along a manifold, and by the group of a space."""

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.arguments import Extent, checked
from erlangen.geometry import Frame, Geometry
from erlangen.geometry.bad_points import expect_points
from erlangen.kernels.invariance import AVERAGE, Kernel, expect_invariant

ENDS = 1e-6  # lengths of the space that a path may miss its end by


@checked
def transported(
    space: Geometry,
    kernel: Kernel,
    p: Float[Tensor, "m"],
    *,
    along: Float[Tensor, "k m"] | None = None,
    radius: Extent | None = None,
) -> Kernel:
    r"""The kernel on T_{p0}M carried to T_p M: ``(Gamma_{p0->p} k)(v) = k(Gamma_{p->p0} v)``.

    Kernels that the holonomy group leaves alone are the same by every way; others are refused.

    Args:
        space: the manifold M.
        kernel: k, a function of components ``(..., n)`` in the frame at the origin p0.
        p: where it is carried, ``(m,)``.
        along: points ``(k, m)`` of a path from p0, the last of them p, joined by geodesics; None for the way
            by which the space chooses its frames.
        radius: up to where k is looked at, in units of the space; None for the injectivity radius, or the
            length of a space that has none.

    Returns:
        A function of tangent vectors v at p in the coordinates of points, ``(..., m)`` to ``(...)``.

    Raises:
        ValueError: for a kernel that the holonomy group moves, with its measured defect; for a point that is
            not one, a path that ends elsewhere.

    Reference: Bellaard, Equivariant Neural Networks (correlation on Riemannian manifolds).

    Example:
        >>> import torch, erlangen as er
        >>> ball = er.Sphere()
        >>> k = er.kernels.transported(ball, lambda v: 1 - v.square().sum(-1), torch.eye(3).double()[0])
        >>> k(torch.tensor([0.0, 0.5, 0.0]).double()).item()
        0.75
    """
    p = _point(space, p)
    expect_invariant(kernel, space.structure, _reach(space, radius))
    u = space.frames(p) if along is None else _carried(space, along, p)
    return lambda v: kernel(space.components(u, v.to(p)[..., None])[..., 0])


@checked
def moved(space: Geometry, kernel: Kernel, p: Float[Tensor, "m"], *, radius: Extent | None = None) -> Kernel:
    r"""The kernel on M moved from p0 to p: ``(g . k)(q) = k(g^{-1} q)``, with any g that takes p0 to p.

    Kernels that the stabilizer of p0 leaves alone are the same by every g; others are refused. Where no group
    moves the space k is carried as a function of normal coordinates: ``k(exp_{p0} Gamma_{p->p0} log_p q)``.

    Args:
        space: the space M.
        kernel: k, a function of points ``(..., m)``, centred at the origin p0 of the space.
        p: where it is moved, ``(m,)``.
        radius: up to where k is looked at, as in `transported`.

    Returns:
        A function of points q, ``(..., m)`` to ``(...)``.

    Raises:
        ValueError: for a kernel that the stabilizer moves, with its measured defect; for a point that is not
            one.

    Reference: Bellaard, Equivariant Neural Networks (correlation on homogeneous spaces).

    Example:
        >>> import torch, erlangen as er
        >>> cap = lambda q: torch.exp(4 * q[..., 2])  # about the north pole
        >>> x = torch.eye(3).double()[0]
        >>> k = er.kernels.moved(er.Sphere(), cap, x)
        >>> torch.allclose(k(x), cap(er.Sphere().origin))
        True
    """
    p = _point(space, p)
    expect_invariant(on_tangent(space, kernel), space.structure, _reach(space, radius), mend=AVERAGE)
    u = space.frames(p)
    if space.group is None:
        seen = on_tangent(space, kernel)
        return lambda q: seen(space.coordinates(u, q.to(p)))
    back = torch.linalg.inv(space.section(p))
    return lambda q: kernel(space.act(back, space.frames(q.to(p))).point)


def on_tangent(space: Geometry, kernel: Kernel) -> Kernel:
    """A kernel of points, centred at the origin, as one of frame components: ``v -> k(exp_{p0} v)``.

    Since ``carry(g u, v) = g carry(u, v)``, this says of a point q seen from ``g s(p0)`` what k says of
    ``g^{-1} q``.
    """
    p, E = space.frames(space.origin)

    def of_components(v: Tensor, *h: Tensor) -> Tensor:
        u = Frame(p.expand(*v.shape[:-1], -1), E.expand(*v.shape[:-1], -1, -1))
        return kernel(space.home(space.carry(u, v).point), *h)

    return of_components


def _point(space: Geometry, p: Tensor) -> Tensor:
    if p.shape[-1] != space.ambient:
        raise ValueError(f"p has shape {tuple(p.shape)}, expected ({space.ambient},): a point of {space}")
    p = p.to(torch.float64)
    expect_points(space, p[None], once=False)
    space.expect_points(p)
    return p


def _reach(space: Geometry, radius: float | None) -> float:
    most = space.injectivity_radius
    return radius or (most if most < float("inf") else space.length)


def _carried(space: Geometry, path: Tensor, p: Tensor) -> Frame:
    """The frame of the origin, carried along a path to p."""
    u = space.along(space.frames(space.origin), path.to(torch.float64))
    off = float((space.home(u.point) - space.home(p)).norm())
    if not off <= ENDS * space.length:
        raise ValueError(
            f"along ends {off:.2g} away from p, expected a path from the origin to p: let its last point be p"
        )
    return u
