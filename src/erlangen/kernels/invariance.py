"""Kernels that a user writes: how far H moves them, and how to make them invariant."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.groups import StructureGroup
from erlangen.kernels.harmonics import sphere_rule

Kernel = Callable[[Tensor], Tensor]


def probes(n: int, radius: float, count: int = 12) -> Float[Tensor, "k n"]:
    """Vectors of every direction and length in the ball, to measure a kernel on."""
    directions, _ = sphere_rule(n, count)
    lengths = radius * (torch.arange(count, dtype=torch.float64) + 0.5) / count
    return (lengths[:, None, None] * directions).flatten(0, 1)


def defect(kernel: Kernel, group: StructureGroup, radius: float) -> float:
    r"""How far H moves a scalar kernel: ``max |k(h v) - k(v)| / max |k|`` over the ball."""
    v = probes(group.dim, radius)
    k = kernel(v)
    moved = torch.stack([kernel(v @ h.T) - k for h in group.sample()])
    return float(moved.abs().max() / k.abs().max().clamp_min(1e-300))


def symmetrize(kernel: Kernel, group: StructureGroup, count: int = 64) -> Kernel:
    r"""The invariant part of a kernel: ``v -> mean over h in H of k(h v)``.

    A finite group is averaged over exactly; SO(n) and O(n) over the sphere of directions by
    quadrature with `count` nodes on each axis.

    Raises:
        ValueError: for an infinite group that is neither SO(n) nor O(n).
    """
    if group.is_finite:
        return lambda v: torch.stack([kernel(v @ h.to(v).T) for h in group.components]).mean(0)
    n = group.dim
    if len(group.algebra) != n * (n - 1) // 2:
        raise ValueError(
            f"the mean over {group} is not known here, expected a finite group, SO(n) or O(n); "
            "average over its elements yourself"
        )
    nodes, weights = sphere_rule(n, count)

    def mean(v: Tensor) -> Tensor:
        turned = v.norm(dim=-1)[..., None, None] * nodes.to(v)  # (..., k, n)
        return (kernel(turned) * weights.to(v)).sum(-1)

    return mean
