"""Kernels that a user writes: how far H moves them, and how to make them invariant."""

from collections.abc import Callable
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.arguments import Range, checked
from erlangen.groups import Representation, StructureGroup
from erlangen.kernels.directions import sphere_rule

Nodes = Annotated[int, Range(1, 1024, limit="more would not fit in memory")]
Kernel = Callable[[Tensor], Tensor]
GOLDEN = (5**0.5 - 1) / 2
MOST_TURNS = 60
LARGEST_DEFECT = 1e-6
SYMMETRIZE = "Symmetrize it (erlangen.kernels.symmetrize(kernel, {}))"
AVERAGE = "Take its mean over the elements of space.stabilizer()"  # of a kernel of points


def probes(n: int, radius: float, count: int = 6) -> Float[Tensor, "k n"]:
    """Vectors of every direction and length in the ball, to measure a kernel on.

    The lengths are no simple fractions of the radius, where kernels that a user writes have their edges,
    and go down to a hundredth of it.
    """
    directions, _ = sphere_rule(n, count)
    i = torch.arange(2 * count, dtype=torch.float64)
    even = (i * GOLDEN + 0.013) % 1.0
    small = 0.917 * 2.0 ** -torch.arange(1, 8, dtype=torch.float64)
    return (radius * torch.cat([even, small])[:, None, None] * directions).flatten(0, 1)


@torch.no_grad()
def defect(
    kernel: Kernel,
    group: StructureGroup,
    radius: float,
    rho_in: Representation | None = None,
    rho_out: Representation | None = None,
) -> float:
    r"""How far H moves a kernel: ``max |K(h v) - rho_out(h) K(v) rho_in(h)^{-1}| / max |K|`` over the ball.

    Without representations for a scalar kernel k, ``(..., n) -> (...)``; with them for matrices. For
    regular fields h runs over the fibre.

    Raises:
        ValueError: for a kernel that vanishes wherever it is probed.
    """
    v = probes(group.dim, radius)
    fibres = [rho.fibre for rho in (rho_in, rho_out) if rho is not None and rho.fibre is not None]
    elements = fibres[0].elements if fibres else group.sample(3)
    k = kernel(v)
    largest = float(k.abs().max())
    if largest == 0:
        raise ValueError(
            f"this kernel vanishes at all {len(v)} vectors up to {radius:.3g} that were tried, expected one "
            "that does not; give radius=, the support of the kernel"
        )
    worst = 0.0
    for h in elements:
        expected = k
        if rho_in is not None and rho_out is not None:
            expected = rho_out.matrix(h).to(k) @ k @ rho_in.inverse(h).to(k)
        worst = max(worst, float((kernel(v @ h.T) - expected).abs().max()))
    return worst / largest


def expect_invariant(
    kernel: Kernel,
    group: StructureGroup,
    radius: float,
    rho_in: Representation | None = None,
    rho_out: Representation | None = None,
    *,
    mend: str = SYMMETRIZE.format("space.structure"),
) -> None:
    """ValueError for a kernel that H moves, with its measured defect and the ways out: `mend`, or to lift."""
    moved = defect(kernel, group, radius, rho_in, rho_out)
    if not moved <= LARGEST_DEFECT:
        formula = "K(h v) - rho_out(h) K(v) rho_in(h)^-1" if rho_in is not None else "k(h v) - k(v)"
        raise ValueError(
            f"the structure group {group} moves this kernel: max |{formula}| is {moved:.2g} of its maximum, "
            f"expected at most {LARGEST_DEFECT:g}, or the result would depend on the frames. {mend}, or "
            'lift: with a fibre, out_field="regular" takes any kernel'
        )


@checked
def symmetrize(kernel: Kernel, group: StructureGroup, count: Nodes = 64) -> Kernel:
    r"""The invariant part of a kernel: ``v -> mean over h in H of k(h v)``.

    A finite group is averaged over exactly; circles of turns by `count` of them; SO(n) and O(n) over the
    sphere of directions by quadrature with `count` nodes on each axis.

    Raises:
        ValueError: for a group that is none of these.
    """
    n = group.dim
    if group.is_finite or (len(group.algebra) == 1 and n > 2):
        elements = group.components if group.is_finite else _circles(group, count)
        return lambda v: torch.stack([kernel(v @ h.to(v).T) for h in elements]).mean(0)
    if len(group.algebra) != n * (n - 1) // 2:
        raise ValueError(
            f"the mean over {group} is not known here, expected a finite group, circles, SO(n) or O(n); "
            "average over its elements yourself"
        )
    nodes, weights = sphere_rule(n, count)

    def mean(v: Tensor) -> Tensor:
        turned = v.norm(dim=-1)[..., None, None] * nodes.to(v)  # (..., k, n)
        return (kernel(turned) * weights.to(v)).sum(-1)

    return mean


def _circles(group: StructureGroup, count: int) -> Float[Tensor, "k n n"]:
    """Even samples of a group whose components are circles."""
    X = group.algebra[0]
    speeds = torch.linalg.eigvals(X).imag
    speeds = speeds[speeds > 1e-8]
    # how often each plane has turned when the slowest has turned once, twice, ...
    turns = torch.arange(1, MOST_TURNS)[:, None] * speeds / speeds.min()
    closed = (turns - turns.round()).abs().amax(1) < 1e-6
    if not bool(closed.any()):
        raise ValueError(
            f"the turns of {group} do not come round together, expected a closed group; take its closure"
        )
    period = 2 * torch.pi * (1 + int(closed.int().argmax())) / speeds.min()
    t = period * torch.arange(count, dtype=torch.float64) / count
    return (torch.matrix_exp(t[:, None, None] * X)[:, None] @ group.components).flatten(0, 1)
