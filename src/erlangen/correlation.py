"""The one formula, summed literally, on every space: slow, exact, the oracle that engines are held to.

``(k * f)(p) = sum_q a_q K(v_q) rho_in(h_q)^{-1} f(q)``, where ``carry(s(p), v_q) = s(q) h_q``. May import
groups, geometry, kernels and domains; never an engine.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.arguments import Extent, Steps, checked
from erlangen.domains import Domain
from erlangen.domains.builders import ball_rule
from erlangen.domains.neighbours import CHUNK
from erlangen.domains.refusals import refuse_missing
from erlangen.domains.spec import Field
from erlangen.domains.view import View, view
from erlangen.geometry import Frame
from erlangen.groups import Representation
from erlangen.kernels import defect

Kernel = Callable[..., Tensor]
Signal = Tensor | np.ndarray | list | tuple | Callable[..., Tensor]  # samples, or a function of points

LARGEST_DEFECT = 1e-6


@checked
def correlate(
    domain: Domain,
    kernel: Kernel,
    f: Signal,
    *,
    radius: Extent | None = None,
    in_field: Field = "scalar",
    out_field: Field = "scalar",
    to: Domain | None = None,
    nodes: Steps = 32,
) -> Tensor:
    r"""The cross-correlation ``(k * f)(p) = int k(v) f(carry(s(p), v)) J(v) dv``, on any geometry.

    A sampled f is summed over its samples, with their weights and the kernel at each one's normal
    coordinates; a callable f is evaluated at nodes carried out from p, with no interpolation at all.
    Between field types the formula is

    - into a regular field: ``(k * f)(p, i) = int k(h_i^{-1} v) f(carry(s(p), v)) J(v) dv``, any kernel k(v);
    - out of a regular field: ``int int k(v, h) F(carry(s(p) h_i, v) h) J(v) dv dh``, any kernel k(v, h) into
      a regular field, and into a scalar one (h_i = 1) one with ``k(g v, g h) = k(v, h)``;
    - into or out of vectors and signs: K(v) is a matrix ``(..., d_out, d_in)`` with
      ``K(h v) = rho_out(h) K(v) rho_in(h)^{-1}``.

    Args:
        domain: where the result is sampled (and f, if it is a tensor).
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
        nodes: for a callable f, Gauss nodes along the radius.

    Returns:
        ``(*batch, [fibre,] *space)``.

    Raises:
        ValueError: for a kernel that the structure group does not leave alone, with its measured
            defect and the ways out; for a radius beyond the injectivity radius.

    Reference: Bellaard, Equivariant Neural Networks; Cohen, Geiger & Weiler 2019, eq. (10).

    Example:
        >>> import torch, erlangen as er
        >>> line = er.Euclidean(1).grid(256, spacing=0.1)
        >>> f = torch.sin(line.points[..., 0])
        >>> smooth = er.correlate(line, lambda v: torch.exp(-v.square().sum(-1)), f)
    """
    rho_in, rho_out = domain.representation(in_field), (to or domain).representation(out_field)
    if not callable(f):
        f = _numbers(f)
        axes = domain.space_axes + rho_in.has_axis
        if f.dim() < axes or (rho_in.has_axis and f.shape[-axes] != rho_in.dim):
            raise ValueError(
                f"f has shape {tuple(f.shape)}, expected (*batch, {rho_in.dim}, *space) for {in_field} "
                f"fields, with {domain.space_axes} space axes"
            )
        domain = domain.sized(tuple(f.shape[-domain.space_axes :]))
        f = domain.hide(f)
        refuse_missing(f)
    seen = view(domain, domain if to is None else to)
    if not seen.is_one_space and (in_field, out_field) != ("scalar", "scalar"):
        raise ValueError(f"between two spaces fields are scalar, not {in_field} and {out_field}")
    if radius is not None and not 0 < radius <= seen.geometry.injectivity_radius:
        raise ValueError(
            f"radius is {radius}, expected a positive length up to {seen.geometry.up_to()}, beyond which a "
            "kernel would meet itself"
        )
    K = _matrix_kernel(kernel, rho_in, rho_out)
    if not (rho_out.name == "regular" and rho_in.name in ("scalar", "regular")):
        _refuse_if_moved(seen, K, radius, rho_in, rho_out)
    if not callable(f):
        target = domain if to is None else to
        total = _sum_over_samples(seen, K, f.flatten(-domain.space_axes), radius, rho_in, rho_out)
        kind = torch.promote_types(f.dtype, torch.complex64) if total.is_complex() else f.dtype
        return target.hide(_shaped(total, kind, rho_out, target))
    if to is not None:
        raise ValueError("f is a function and to= is given, expected samples; or leave to= out")
    if radius is None:
        raise ValueError("f is a function without samples: give radius=, the support of the kernel")
    return _sum_over_nodes(domain, K, f, radius, rho_in, rho_out, nodes)


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


def _matrix_kernel(kernel: Kernel, rho_in: Representation, rho_out: Representation) -> Kernel:
    """K(v), ``(..., d_out, d_in)``, from the kernel in the form its field types ask for."""
    if not {rho_in.name, rho_out.name} <= {"scalar", "regular"}:
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


def _refuse_if_moved(
    seen: View, K: Kernel, radius: float | None, rho_in: Representation, rho_out: Representation
) -> None:
    if radius is None:
        radius = seen.geometry.injectivity_radius
    if radius == float("inf"):  # measure it over the extent of the samples
        radius = float((seen.seen.point - seen.seen.point[0]).norm(dim=-1).max()) or 1.0
    moved = defect(K, seen.structure, radius, rho_in, rho_out)
    if not moved <= LARGEST_DEFECT:
        raise ValueError(
            f"the structure group {seen.structure} moves this kernel: max |K(h v) - rho_out(h) K(v) "
            f"rho_in(h)^-1| is {moved:.2g} of max |K|, expected at most {LARGEST_DEFECT:g}, or the result "
            "would depend on the frames. Symmetrize it (erlangen.kernels.symmetrize(kernel, "
            'domain.geometry.structure)), or lift: with a fibre, out_field="regular" takes any kernel'
        )


def _sum_over_samples(
    seen: View,
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
    for start in range(0, len(ends.point), size):
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
    domain: Domain,
    K: Kernel,
    f: Callable[..., Tensor],
    radius: float,
    rho_in: Representation,
    rho_out: Representation,
    nodes: int,
) -> Tensor:
    geometry, p = domain.geometry, domain.frames.flat
    v, a = ball_rule(domain.dim, radius, nodes)
    kernels = K(v) * a[:, None, None]  # (j, d_out, d_in)
    rows = []
    size = max(1, CHUNK // (len(v) * max(1, rho_in.dim)))
    for start in range(0, len(p.point), size):
        u = p.at(slice(start, start + size))
        begin = Frame(u.point[:, None], u.basis[:, None])
        J = geometry.density_at(begin, v).expand(len(u.point), -1) if geometry.measure == "space" else None
        u = geometry.carry(begin, v.expand(len(u.point), -1, -1))
        if rho_in.fibre is not None:
            turned = Frame(u.point[..., None, :], u.basis[..., None, :, :]).turn(rho_in.fibre.elements)
            point = turned.point.expand(*turned.basis.shape[:-2], -1)
            values = f(Frame(point, turned.basis))  # (p, j, fibre)
        elif rho_in.name == "scalar":
            values = f(u.point)[..., None]
        else:
            raise ValueError(
                f"f is a function and in_field is {rho_in.name!r}, expected a scalar or regular field; "
                "sample it instead"
            )
        values = _numbers(values) * geometry.contains(u.point)[..., None]
        values = values if J is None else values * J[..., None]
        dtype = torch.promote_types(kernels.dtype, values.dtype)
        rows.append(torch.einsum("jab,pjb->ap", kernels.to(dtype), values.to(dtype)))
    result = torch.cat(rows, -1)
    return _shaped(result, result.dtype, rho_out, domain)


def _shaped(
    rows: Float[Tensor, "*batch d p"], dtype: torch.dtype, rho: Representation, domain: Domain
) -> Tensor:
    rows = rows if rho.has_axis else rows[..., 0, :]
    return rows.unflatten(-1, tuple(domain.weights.shape)).to(dtype)
