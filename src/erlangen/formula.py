"""The one formula, summed literally, on every space: slow, exact, the oracle that engines are held to.

``(k * f)(p) = sum_q a_q K(v_q) rho_in(h_q)^{-1} f(q)``, where ``carry(s(p), v_q) = s(q) h_q``. May import
groups, geometry, kernels and domains; never an engine.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.arguments import Extent, Steps, checked
from erlangen.domains import Domain
from erlangen.domains.builders import ball_rule
from erlangen.domains.neighbours import CHUNK
from erlangen.domains.refusals import refuse_missing
from erlangen.domains.relative import Relative, relative
from erlangen.domains.sampling import Sampling
from erlangen.domains.spec import Field, representation_of
from erlangen.geometry import Frame, Geometry
from erlangen.geometry.bad_points import expect_points
from erlangen.groups import Fibre, Representation, fibre_of
from erlangen.kernels.invariance import AVERAGE, SYMMETRIZE, expect_invariant
from erlangen.kernels.transport import on_tangent

Kernel = Callable[..., Tensor]
Signal = Tensor | np.ndarray | list | tuple | Callable[..., Tensor]  # samples, or a function of points


@checked
def correlate(
    domain: Domain | Geometry,
    kernel: Kernel,
    f: Signal,
    *,
    radius: Extent | None = None,
    in_field: Field = "scalar",
    out_field: Field = "scalar",
    to: Domain | None = None,
    at: Tensor | Frame | None = None,
    kernel_on: Literal["tangent", "space"] = "tangent",
    nodes: Steps = 32,
) -> Tensor:
    r"""The cross-correlation ``(k * f)(p) = int k(v) f(carry(s(p), v)) J(v) dv``, on any geometry.

    Where the measure of the space is "tangent", as on charts unless told, J is 1.
    A sampled f is summed over its samples, with their weights and the kernel at each one's normal
    coordinates; a callable f is evaluated at nodes carried out from p, with no interpolation at all.
    Between field types the formula is

    - into a regular field: ``(k * f)(p, i) = int k(h_i^{-1} v) f(carry(s(p), v)) J(v) dv``, any kernel k(v);
    - out of a regular field: ``int int k(v, h) F(carry(s(p) h_i, v) h) J(v) dv dh``, any kernel k(v, h) into
      a regular field, and into a scalar one (h_i = 1) one with ``k(g v, g h) = k(v, h)``;
    - into or out of vectors and signs: K(v) is a matrix ``(..., d_out, d_in)`` with
      ``K(h v) = rho_out(h) K(v) rho_in(h)^{-1}``.

    Args:
        domain: where f is sampled, and the result. A callable f has no samples: with `at` a space will do.
        kernel: takes frame components ``(..., n)``; for a regular in_field also h ``(..., n, n)``.
        f: ``(*batch, [fibre,] *space)``, real or complex, or a callable on points ``(..., m)`` (on
            frames, for a regular in_field).
        radius: kernels are cut there; None sums over all samples (a callable f needs one).
        in_field, out_field: "scalar", "regular", "vector", "sign", or on surfaces "spin2": symmetric
            tensors without trace, by (Q, U), such as polarization.
        to: where the result is sampled, on this space or on another one of its group (scalar fields only);
            None for here. With M' = G/H' and H' in H, ``(k * f)(p') = int_M k(v) f(q) dmu(q)``, where v are
            the coordinates of q seen from the frame over p': a lift, and any k that H' leaves alone will do.
            The other way, from M' to M, ``int_M' k(v) f(q') dmu(q')`` with v those of p seen from over q'.
        at: points ``(*places, m)`` of the space to have the result at, instead of all samples, in the frames
            s(p) chosen there; or any `Frame` ``(*places)``, which then decides.
        kernel_on: "space" for the article's k on M itself, a function of points ``(..., m)``, centred at the
            origin p0 and moved by the group: ``(k * f)(p) = int_M k(g^{-1} q) f(q) dmu(q)``, any g with
            ``g p0 = p``. Where no group moves the space, ``k(exp_{p0} v)`` in components v carried from p0.
        nodes: for a callable f, Gauss nodes along the radius.

    Returns:
        ``(*batch, [fibre,] *space)``; with `at` ``(*batch, [fibre,] *places)``.

    Raises:
        ValueError: for a kernel that the structure group does not leave alone, with its measured
            defect and the ways out; for a radius beyond the injectivity radius; for points off the space.

    Reference: Bellaard, Equivariant Neural Networks; Cohen, Geiger & Weiler 2019, eq. (10).

    Example:
        >>> import torch, erlangen as er
        >>> line = er.Euclidean(1).grid(256, spacing=0.1)
        >>> f = torch.sin(line.points[..., 0])
        >>> smooth = er.correlate(line, lambda v: torch.exp(-v.square().sum(-1)), f)
        >>> cap, x = (lambda q: (4 * q[..., 2] - 4).exp()), torch.tensor([[1.0, 0.0, 0.0]])
        >>> er.correlate(er.Sphere(), cap, lambda q: q[..., 0], at=x, kernel_on="space", radius=3.0).shape
        torch.Size([1])
    """
    f = f if callable(f) else _numbers(f)
    space, fibre = _space_of(domain, f, at)
    rho_in = representation_of(in_field, space, fibre)
    rho_out = representation_of(out_field, space, fibre) if to is None else to.representation(out_field)
    samples = seen = None
    if isinstance(f, Tensor) and isinstance(domain, Domain):
        f, domain = _expected_samples(f, domain, rho_in)
        samples = f.flatten(-domain.space_axes)
    receivers = _receivers(domain, to, at)
    if samples is not None and isinstance(domain, Domain):
        seen = relative(domain.sampling, receivers.seen_as)
    geometry, H = (space, space.structure) if seen is None else (seen.geometry, seen.structure)
    if seen is not None and not seen.is_one_space and (in_field, out_field) != ("scalar", "scalar"):
        raise ValueError(f"between two spaces fields are scalar, not {in_field} and {out_field}")
    _expect_radius(geometry, radius)
    K = _matrix_kernel(kernel if kernel_on == "tangent" else on_tangent(geometry, kernel), rho_in, rho_out)
    if not (rho_out.name == "regular" and rho_in.name in ("scalar", "regular")):
        structure = "domain.structure" if domain is space else "domain.geometry.structure"
        mend = AVERAGE if kernel_on == "space" else SYMMETRIZE.format(structure)
        expect_invariant(K, H, _extent(geometry, radius, seen), rho_in, rho_out, mend=mend)
    if seen is not None and samples is not None:
        total = _sum_over_samples(seen, K, samples, radius, rho_in, rho_out)
        kind = torch.promote_types(samples.dtype, torch.complex64) if total.is_complex() else samples.dtype
        return receivers.shaped(total, kind, rho_out)
    if to is not None:
        raise ValueError("f is a function and to= is given, expected samples; or leave to= out")
    if radius is None:
        raise ValueError("f is a function without samples: give radius=, the support of the kernel")
    total = _sum_over_nodes(space, receivers.frames, K, f, radius, rho_in, nodes)  # type: ignore[arg-type]
    return receivers.shaped(total, total.dtype, rho_out)


@checked
def convolve(
    domain: Domain, kernel: Kernel, f: Signal, *, radius: Extent | None = None, nodes: Steps = 32
) -> Tensor:
    r"""The convolution on R^n: ``int k(x - y) f(y) dy``, the correlation with the flipped kernel.

    Args and Returns: as `correlate`.

    Raises:
        ValueError: elsewhere than on R^n, where there is no flip.
    """
    geometry = domain.geometry
    if geometry.ambient != geometry.dim or geometry.injectivity_radius < float("inf"):
        raise ValueError(
            f"convolution flips the kernel, k(-v), which is defined on R^n only, "
            f"not on {geometry}; use correlate"
        )
    return correlate(domain, lambda v: kernel(-v), f, radius=radius, nodes=nodes)


@dataclass(frozen=True, eq=False)
class _Receivers:
    """Where the result is seen: samples of a domain, or frames ``(*places)``."""

    domain: Domain | None
    frames_there: Frame | None

    @property
    def seen_as(self) -> Sampling | Frame:
        """What `relative` takes."""
        return self.frames if self.domain is None else self.domain.sampling

    @property
    def frames(self) -> Frame:
        """The frames, along one axis."""
        u = self.frames_there if self.domain is None else self.domain.frames
        m, n = u.basis.shape[-2:]  # type: ignore[union-attr]
        return Frame(u.point.reshape(-1, m), u.basis.reshape(-1, m, n))  # type: ignore[union-attr]

    def shaped(self, rows: Float[Tensor, "*batch d p"], dtype: torch.dtype, rho: Representation) -> Tensor:
        """The result in its axes, hidden where a mask says so."""
        rows = rows if rho.has_axis else rows[..., 0, :]
        if self.domain is not None:
            return self.domain.hide(rows.unflatten(-1, tuple(self.domain.weights.shape)).to(dtype))
        places = self.frames_there.point.shape[:-1]  # type: ignore[union-attr]
        return rows.reshape((*rows.shape[:-1], *places)).to(dtype)


def _receivers(domain: Domain | Geometry, to: Domain | None, at: Tensor | Frame | None) -> _Receivers:
    """The samples, or the frames at the points asked for."""
    if at is None:
        return _Receivers(to or domain, None)  # type: ignore[arg-type]
    if to is not None:
        raise ValueError("to= and at= both say where the result is sampled, expected one of them")
    space = domain if isinstance(domain, Geometry) else domain.geometry
    p = (at.point if isinstance(at, Frame) else at).to(torch.float64)
    if p.dim() == 0 or p.shape[-1] != space.ambient:
        raise ValueError(
            f"at has shape {tuple(p.shape)}, expected (*places, {space.ambient}), points of {space}"
        )
    expect_points(space, p.reshape(1, -1) if p.dim() == 1 else p, once=False)
    inside = space.contains(p)
    if not bool(inside.all()):
        raise ValueError(
            f"{p[~inside][0].tolist()} lies beyond the edge of {space}, expected points of it: "
            "leave the others out"
        )
    return _Receivers(None, at if isinstance(at, Frame) else space.frames(p))


def _space_of(
    domain: Domain | Geometry, f: Tensor | Callable[..., Tensor], at: Tensor | Frame | None
) -> tuple[Geometry, Fibre | None]:
    """The space and its fibre, which without a domain is all of a finite H."""
    if isinstance(domain, Domain):
        return domain.geometry, domain.fibre
    if isinstance(f, Tensor) or at is None:
        raise ValueError(f"{Domain.refusal('domain', domain)}; or a function f, and at= points of the space")
    return domain, fibre_of(domain.structure)


def _expected_samples(f: Tensor, domain: Domain, rho: Representation) -> tuple[Tensor, Domain]:
    """The samples of f, and the domain of their number; ValueError for what is no field of that type."""
    axes = domain.space_axes + rho.has_axis
    if f.dim() < axes or (rho.has_axis and f.shape[-axes] != rho.dim):
        raise ValueError(
            f"f has shape {tuple(f.shape)}, expected (*batch, {rho.dim}, *space) for {rho.name} "
            f"fields, with {domain.space_axes} space axes"
        )
    domain = domain.sized(tuple(f.shape[-domain.space_axes :]))
    f = domain.hide(f)
    refuse_missing(f)
    return f, domain


def _expect_radius(geometry: Geometry, radius: float | None) -> None:
    if radius is not None and not 0 < radius <= geometry.injectivity_radius:
        raise ValueError(
            f"radius is {radius}, expected a positive length up to {geometry.up_to()}, beyond which a "
            "kernel would meet itself"
        )


def _extent(geometry: Geometry, radius: float | None, seen: Relative | None) -> float:
    """Up to where a kernel is looked at: on infinite spaces over the extent of the samples."""
    if radius is None:
        radius = geometry.injectivity_radius
    if radius < float("inf") or seen is None:
        return radius if radius < float("inf") else geometry.length
    return float((seen.seen.point - seen.seen.point[0]).norm(dim=-1).max()) or 1.0


def _matrix_kernel(kernel: Kernel, rho_in: Representation, rho_out: Representation) -> Kernel:
    """K(v), ``(..., d_out, d_in)``, from the kernel in the form its field types ask for."""
    by_blocks = bool(rho_in.blocks or rho_out.blocks)
    if by_blocks or not {rho_in.name, rho_out.name} <= {"scalar", "regular"}:
        return lambda v: _values(kernel, v, size=(rho_out.dim, rho_in.dim))
    into, out_of = rho_out.fibre, rho_in.fibre
    if into is None and out_of is None:
        return lambda v: _values(kernel, v)[..., None, None]

    def carried_round(v: Tensor) -> Tensor:
        """K(v)[i, j] = k(h_i^{-1} v, h_i^{-1} h_j), with one h_i for a scalar that goes out."""
        one = torch.eye(v.shape[-1], dtype=v.dtype)[None]
        turns = one if into is None else into.elements.to(v)  # (i, n, n)
        turned = torch.einsum("iab,...a->...ib", turns, v)  # h_i^{-1} v
        if out_of is None:
            return _values(kernel, turned)[..., None]
        relative = turns.mT[:, None] @ out_of.elements.to(v)  # (i, j, n, n)
        pairs = turned[..., None, :].expand(*turned.shape[:-1], len(out_of), -1)
        return _values(kernel, pairs, relative.expand(*pairs.shape[:-1], -1, -1)) * out_of.weight

    return carried_round


def _values(kernel: Kernel, v: Tensor, *h: Tensor, size: tuple[int, ...] = ()) -> Tensor:
    """What the kernel gives, as numbers in double precision, of the shape that it should have."""
    k = torch.as_tensor(kernel(v, *h))
    expected = (*v.shape[:-1], *size)
    if k.dim() == 0:
        k = k.expand(expected)
    if tuple(k.shape) != expected:
        raise ValueError(
            f"the kernel gave shape {tuple(k.shape)} for vectors {tuple(v.shape)}, expected {expected}: "
            f"frame components (..., {v.shape[-1]}) in, (...{''.join(f', {d}' for d in size)}) out"
        )
    return k.to(torch.complex128 if k.is_complex() else torch.float64)


def _numbers(f: Any) -> Tensor:
    """f as a tensor of real or complex numbers."""
    f = torch.as_tensor(f)
    return f if f.is_floating_point() or f.is_complex() else f.to(torch.get_default_dtype())


def _sum_over_samples(
    seen: Relative,
    K: Kernel,
    f: Float[Tensor, "*batch q"],
    radius: float | None,
    rho_in: Representation,
    rho_out: Representation,
) -> Float[Tensor, "*batch d p"]:
    values = f.to(torch.complex128 if f.is_complex() else torch.float64)
    values = values if rho_in.has_axis else values[..., None, :]  # (*batch, d, q)
    ends, others = (seen.viewers, seen.seen) if seen.outward else (seen.seen, seen.viewers)
    size = max(1, CHUNK // (len(seen.weights) * max(1, rho_in.dim * rho_out.dim)))
    rows = []
    for start in range(0, max(1, len(ends.point)), size):  # of no points no values
        p = ends.at(slice(start, start + size))
        p = Frame(p.point[:, None], p.basis[:, None])
        v, h, a = seen.entries(*((p, others) if seen.outward else (others, p)), radius)  # (p, q, n)
        k = K(v)
        terms = k @ rho_in.inverse(h).to(k)
        terms = terms * a[..., None, None]  # (p, q, d, d)
        dtype = torch.promote_types(terms.dtype, values.dtype)
        rows.append(torch.einsum("pqij,...jq->...ip", terms.to(dtype), values.to(dtype)))
    return torch.cat(rows, -1)


def _sum_over_nodes(
    geometry: Geometry,
    p: Frame,
    K: Kernel,
    f: Callable[..., Tensor],
    radius: float,
    rho_in: Representation,
    nodes: int,
) -> Float[Tensor, "d p"]:
    v, a = ball_rule(geometry.dim, radius, nodes)
    kernels = K(v) * a[:, None, None]  # (j, d_out, d_in)
    rows = []
    size = max(1, CHUNK // (len(v) * max(1, rho_in.dim)))
    for start in range(0, max(1, len(p.point)), size):  # of no points no values
        u = p.at(slice(start, start + size))
        begin = Frame(u.point[:, None], u.basis[:, None])
        J = geometry.density_at(begin, v).expand(len(u.point), -1) if geometry.measure == "space" else None
        values = _signal_at(f, geometry.carry(begin, v.expand(len(u.point), -1, -1)), geometry, rho_in)
        values = values if J is None else values * J[..., None]
        dtype = torch.promote_types(kernels.dtype, values.dtype)
        rows.append(torch.einsum("jab,pjb->ap", kernels.to(dtype), values.to(dtype)))
    return torch.cat(rows, -1)


def _signal_at(
    f: Callable[..., Tensor], u: Frame, geometry: Geometry, rho: Representation
) -> Float[Tensor, "p j d"]:
    """The function at frames ``(p, j)``, and zero off the space."""
    if rho.fibre is not None:
        turned = Frame(u.point[..., None, :], u.basis[..., None, :, :]).turn(rho.fibre.elements)
        values = f(Frame(turned.point.expand(*turned.basis.shape[:-2], -1), turned.basis))  # (p, j, fibre)
    elif rho.name == "scalar":
        values = f(u.point)[..., None]
    else:
        raise ValueError(
            f"f is a function and in_field is {rho.name!r}, expected a scalar or regular field; "
            "sample it instead"
        )
    return _numbers(values) * geometry.contains(u.point)[..., None]
