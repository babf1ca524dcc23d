"""Equivariance with no interpolation: of a function, and of the layer's own sum at moved frames."""

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.arguments import Count, Length, checked
from erlangen.domains import Domain, KernelSpec, gather, weighted_sum
from erlangen.domains.spec import Field
from erlangen.engines import StencilEngine
from erlangen.geometry import Frame

Signal = Callable[[Frame], Tensor]


@checked
@checked
def quadrature_error(
    domain: Domain,
    signal: Signal,
    g: Float[Tensor, "d d"],
    *,
    radius: Length,
    rings: Count = 3,
    in_field: Field = "scalar",
    out_field: Field = "scalar",
    builder: Literal["weighted_sum", "gather"] = "weighted_sum",
    count: Count = 256,
    seed: int = 0,
) -> float:
    r"""``max |N(g f)(u) - N(f)(g^{-1} u)| / max |N(f)|`` of a correlation with random weights, at frames u.

    ``g f`` is the signal at ``g^{-1} q``, and N(f) at ``g^{-1} u`` the same sum over samples as at
    u: what is left is the quadrature of the samples (or the interpolation of "gather"), or a broken kernel.

    Args:
        domain: the samples.
        signal: frames ``(...)`` to channels ``(..., c)``; for scalar fields a function of their points.
        g: a symmetry of the space.
        radius, rings, in_field, out_field: as in `er.nn.Correlation`; scalar and regular fields.
        builder: how a layer sums, "weighted_sum" or "gather".
        count: of frames u, spread over the samples.
        seed: of the weights.
    """
    spec = KernelSpec(in_field, out_field, radius=radius, rings=rings)
    q = domain.frames.flat
    u = q.at(torch.linspace(0, len(q.point) - 1, min(count, len(q.point))).round().long())
    back = torch.linalg.inv(g.to(torch.float64))
    basis, build = domain.basis(spec), weighted_sum if builder == "weighted_sum" else gather
    draw = torch.Generator().manual_seed(seed)

    def answer(f: Tensor, at: Frame, weights: Tensor) -> Tensor:
        return StencilEngine(basis, build(domain.sampling, radius, at), (len(at.point),)).apply(f, weights)

    f = _sampled(domain, in_field, signal, q)
    weights = torch.randn(2, f.shape[1], len(basis), generator=draw, dtype=torch.float64) * basis.smoothness
    moved = answer(_sampled(domain, in_field, signal, domain.geometry.act(back, q)), u, weights)
    there = answer(f, domain.geometry.act(back, u), weights)
    return float((moved - there).abs().max() / there.abs().max())


def _sampled(domain: Domain, field: Field, signal: Signal, u: Frame) -> Float[Tensor, "1 channel *fibre_q"]:
    fibre = domain.representation(field).fibre
    if fibre is None:
        return signal(u).double().movedim(-1, 0)[None]
    elements = fibre.elements[:, None]  # (i, 1, n, n)
    turned = Frame(u.point.expand(len(fibre), -1, -1), u.basis @ elements)
    return signal(turned).double().movedim(-1, 0)[None]
