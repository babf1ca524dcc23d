"""What a layer on a manifold should not see: isometries, the choice of frames, the grid."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from erlangen.arguments import Count, Length, checked
from erlangen.domains import Domain
from erlangen.domains.builders import ray_rule
from erlangen.domains.spec import Field
from erlangen.geometry import Frame
from erlangen.nn.equivariant import on
from erlangen.verify.fields import field_of

IsometryLike = Tensor | Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Defect:
    """How far two outputs that should agree are from each other, relative to how much they vary.

    Attributes:
        what: was compared.
        defect: the Euclidean norm of the difference, over that of the centred output.
        floor: what reading the input between the samples costs by itself; None where it was not measured.
    """

    what: str
    defect: float
    floor: float | None = None

    def __str__(self) -> str:
        beside = "" if self.floor is None else f" (reading between the samples: {self.floor:.2g})"
        return f"{self.what}: {self.defect:.2g}{beside}"


@checked
def isometry(
    module: nn.Module,
    phi: IsometryLike,
    x: Tensor | Callable[[Tensor], Tensor],
    *,
    in_field: Field = "scalar",
    domain: Domain | None = None,
) -> Defect:
    r"""The defect of a module under an isometry: ``|N(f o phi) - N(f) o phi|``.

    Kernels that the holonomy group leaves alone are well defined, but commute with phi only if they are
    invariant under ``A_phi``, transport from phi(p0) back to p0 after d phi, as well: where the defect is
    large, name phi in ``symmetry=``.

    Args:
        module: from fields on the domain to fields on it.
        phi: a matrix as the geometry's `act` takes it, or a function of points.
        x: a field ``(batch, channel, [fibre,] *space)``, read between the samples; or a scalar function of
            points ``(*space, m)`` to ``(*space)``, which needs no reading.
        in_field: the type of x.
        domain: where x lives; None for that of the module.
    """
    domain = _domain_of(module, domain)
    u = domain.geometry.moved(phi, domain.frames)
    like = next(module.parameters(), torch.zeros(1, dtype=torch.float64))
    floor = None
    if isinstance(x, Tensor):
        here, there = x, domain.seen_from(u, x, in_field)
    else:
        here, there = (x(points)[None, None].to(like) for points in (domain.points, u.point))
        floor = _relative(domain.seen_from(u, here), there)
    with torch.no_grad():
        y, moved = module(here), module(there)
    return Defect("isometry", _relative(moved, domain.seen_from(u, y, _output(module, y, domain))), floor)


@checked
def gauge(
    module: nn.Module,
    x: Tensor | None = None,
    *,
    turns: Literal["fibre", "any"] = "fibre",
    in_field: Field | None = None,
    domain: Domain | None = None,
    seed: int = 0,
) -> Defect:
    r"""The defect of a module under other frames ``s(p) h(p)``, random at each sample.

    Args:
        module: from fields on the domain to fields on it.
        x: ``(batch, channel, [fibre,] *space)``; None for noise.
        turns: "fibre" for h among the samples of the fibre, "any" for any element of H.
        in_field: the type of x; None for that of the module.
        domain: where x lives; None for that of the module.
        seed: of the random numbers.
    """
    domain = _domain_of(module, domain)
    field: Field = in_field or getattr(module, "in_field", "scalar")
    rho = domain.representation(field)
    generator = torch.Generator().manual_seed(seed)
    h = _turns(domain, turns, generator)
    like = next(module.parameters(), torch.zeros(1, dtype=torch.float64))
    if x is None:
        shape = (2, getattr(module, "in_channels", 1), *([rho.dim] if rho.has_axis else []), *h.shape[:-2])
        x = torch.randn(shape, generator=generator, dtype=torch.float64).to(like)
    if rho.fibre is not None:  # what the samples of the fibre hold
        x = torch.einsum("ij,bcj...->bci...", rho.fibre.lowpass(rho.fibre.default_band).to(x), x)
    with torch.no_grad():
        y = module(x)
        other = on(module, domain.reframed(h))(_in_frames(x, domain, field, h))
    expected = _in_frames(y, domain, _output(module, y, domain), h)
    return Defect(f"gauge, turns: {turns}", _relative(other, expected))


@dataclass(frozen=True)
class Refinement:
    """The errors on a sequence of domains against the finest of them, and the order of convergence.

    Attributes:
        shapes: of the domains but the finest.
        errors: the relative Euclidean norms.
        order: ``log_2`` of the ratio of the last two errors.
    """

    shapes: list[tuple[int, ...]]
    errors: list[float]

    @property
    def order(self) -> float:
        """How fast the error falls when the distance of samples is halved."""
        return math.log2(self.errors[-2] / self.errors[-1]) if len(self.errors) > 1 else math.nan

    def __str__(self) -> str:
        rows = [f"{shape}: {error:.2g}" for shape, error in zip(self.shapes, self.errors, strict=True)]
        return "\n".join([*rows, f"order {self.order:.1f}"])


@checked
def refinement(module: nn.Module, domains: Sequence[Domain], f: Callable[[Tensor], Tensor]) -> Refinement:
    """The same weights on finer and finer domains, each of half the distance, against the last one.

    Args:
        module: from one scalar field on a domain to fields on it.
        domains: of one space, with finer grids and more nodes.
        f: a scalar function of points.
    """
    if len(domains) < 3:
        raise ValueError(
            f"{len(domains)} domains, expected at least three: two to compare and one to compare with"
        )
    like = next(module.parameters())
    outputs = []
    with torch.no_grad():
        outputs = [on(module, d)(f(d.points)[None, None].to(like)) for d in domains]
    finest, reference = domains[-1], outputs[-1]
    field = _output(module, reference, finest)
    errors = [
        _relative(y, finest.seen_from(d.frames, reference, field))
        for d, y in zip(domains[:-1], outputs[:-1], strict=True)
    ]
    return Refinement([tuple(d.weights.shape) for d in domains[:-1]], errors)


@checked
def loop_bound(domain: Domain, radius: Length, order: int = 1, places: Count = 64) -> float:
    r"""The bound ``|m| max_p int_{|v| < radius} |K| dmu`` of what loops within a kernel do to it.

    Transport round a loop inside of the disc turns frames by the curvature that it encloses, at most by this
    integral; a kernel of angular order m feels m times as much. For surfaces.

    Args:
        domain: samples of a surface; the maximum is taken over some of them.
        radius: of the kernel, in the units of the space.
        order: m, the kernel's angular order.
        places: how many samples.
    """
    if domain.dim != 2:
        raise ValueError(f"{domain} has dimension {domain.dim}, expected a surface")
    geometry, u = domain.geometry, domain.frames.flat
    u = u.at(torch.linspace(0, len(u.point) - 1, min(places, len(u.point))).long())
    directions, share, r, radial = ray_rule(2, radius, 8)
    v, a = (r[:, None, None] * directions).flatten(0, 1), (radial[:, None] * share).flatten()
    J = geometry.density_at(Frame(u.point[:, None], u.basis[:, None]), v)
    K = geometry.curvature(geometry.rays(u, directions, r))[..., 0, 1, 0, 1]
    return abs(order) * float((K.abs() * J * a).sum(-1).max())


def _domain_of(module: nn.Module, domain: Domain | None) -> Domain:
    if domain is not None:
        return domain
    for part in module.modules():
        found: Any = getattr(part, "domain", None)
        if found is not None:
            return found
    raise ValueError(f"no layer of {type(module).__name__} has a domain, expected one; give domain=")


def _output(module: nn.Module, y: Tensor, domain: Domain) -> Field:
    last = [part for part in module.modules() if hasattr(part, "domain")][-1]
    return field_of(y, domain, last) or "scalar"


def _turns(domain: Domain, turns: str, generator: torch.Generator) -> Float[Tensor, "*space n n"]:
    shape, H = tuple(domain.weights.shape), domain.geometry.structure
    elements = H.components if domain.fibre is None else domain.fibre.elements
    if turns == "any" and not H.is_finite:
        t = 7 * torch.randn(*shape, len(H.algebra), generator=generator, dtype=torch.float64)
        one = torch.matrix_exp(torch.einsum("...a,aij->...ij", t, H.algebra))
        return one @ H.components[torch.randint(len(H.components), shape, generator=generator)]
    if turns not in ("any", "fibre"):
        raise ValueError(f'turns is {turns!r}, expected "fibre" or "any"')
    return elements[torch.randint(len(elements), shape, generator=generator)]


def _in_frames(f: Tensor, domain: Domain, field: Field, h: Tensor) -> Tensor:
    """The same field by its values in the frames s(p) h: ``rho(h)^-1 f(p)``."""
    rho = domain.representation(field)
    matrix = rho.inverse(h).to(f)
    if not rho.has_axis:
        return f * matrix[..., 0, 0]
    return torch.einsum("...ij,bcj...->bci...", matrix, f)


def _relative(a: Tensor, b: Tensor) -> float:
    spread = (b - b.mean()).norm()
    if not bool(spread > 1e-6 * b.abs().max()):
        raise ValueError(
            "the output does not vary, and proves nothing; expected a varying input and a module"
        )
    return float((a - b).norm() / spread)
