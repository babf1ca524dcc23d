"""Which engine computes a kernel: what each kind of domain offers, in order of preference.

A domain holds one of these tables as its `engines`. A layer gets the first engine that serves its kernel, or
the one whose name it asks for (``engine="stencil"``), or what a user's own ``build(domain, basis, spec)``
makes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from erlangen.domains.builders import sum_in_view
from erlangen.domains.refusals import expect_kernels, expect_reach, without_grid_options
from erlangen.domains.relative import relative
from erlangen.domains.sampling import Sampling
from erlangen.domains.spec import Build, KernelSpec
from erlangen.engines import Engine, LatticeEngine, PointEngine, StencilEngine
from erlangen.groups import Representation
from erlangen.kernels import KernelBasis


@dataclass(frozen=True)
class Offer:
    """An engine that a domain has: the kernels there that it serves, and what builds it."""

    serves: Callable[[Any, KernelSpec], bool]
    build: Build


def chosen(domain: Any, offers: Mapping[str, Offer], spec: KernelSpec) -> Build:
    """What builds the engine that is asked for, or else the first that serves; ValueError names those."""
    if callable(spec.engine):
        return spec.engine
    serving = {name: offer.build for name, offer in offers.items() if offer.serves(domain, spec)}
    name = next(iter(serving), None) if spec.engine is None else spec.engine
    if name not in serving:
        raise ValueError(
            f"engine is {spec.engine!r}, expected one of {', '.join(map(repr, serving))}, which serve this "
            f"kernel on {domain}, or build(domain, basis, spec); or leave it out"
        )
    return serving[name]


def _at_a_point(domain: Any, spec: KernelSpec) -> bool:
    return spec.radius == 0 and spec.is_plain


def _beyond_it(domain: Any, spec: KernelSpec) -> bool:
    return not _at_a_point(domain, spec)


def _all_round(domain: Any, spec: KernelSpec) -> bool:
    return spec.is_global and domain.spectral is not None


def _not_all_round(domain: Any, spec: KernelSpec) -> bool:
    return not _all_round(domain, spec)


def _local(domain: Any, spec: KernelSpec) -> bool:
    return _beyond_it(domain, spec) and not _all_round(domain, spec)


def _point(domain: Any, basis: Any, spec: KernelSpec) -> Engine:
    return PointEngine(basis)


def _lattice(domain: Any, basis: Any, spec: KernelSpec) -> Engine:
    if spec.radius == 0 and spec.stride % 2 == 0:
        raise ValueError(
            f"kernel_size=1 with stride={spec.stride}: where sizes are even the coarse samples fall between "
            "the fine ones, where a kernel at one point sees nothing; take kernel_size=3, or er.nn.Down "
            "before it"
        )
    return LatticeEngine(
        basis,
        domain.steps,
        stride=spec.stride,
        padding=spec.padding,
        dilation=spec.dilation,
        padding_mode=spec.padding_mode,
        periodic=domain.periodic,
        centred=not domain.is_skew,
        surround=domain.beyond(basis.rho_in),
    )


def _stencil(domain: Any, basis: Any, spec: KernelSpec) -> Engine:
    without_grid_options(spec)
    return domain.quadrature.engine(basis)


def _spectral(domain: Any, basis: Any, spec: KernelSpec) -> Engine:
    without_grid_options(spec)
    return domain.spectral.engine(basis)


def _stencil_to(domain: Any, to: Any, spec: KernelSpec) -> Engine:
    rho = domain.representation(spec.in_field), to.representation(spec.out_field)
    return between(domain.sampling, to.sampling, *rho, spec)


def _spectral_to(domain: Any, to: Any, spec: KernelSpec) -> Engine:
    without_grid_options(spec)
    if to.spectral is None or not domain.geometry.is_same(to.geometry):
        raise ValueError(
            f"a global kernel goes from {domain} to {to}, expected samples of one sphere, under the same "
            "symmetries; or give radius="
        )
    rho = domain.representation(spec.in_field), to.representation(spec.out_field)
    return domain.spectral.engine(domain.spectral.kernels(spec, *rho, to.spectral), to.spectral)


def between(
    source: Sampling, target: Sampling, rho_in: Representation, rho_out: Representation, spec: KernelSpec
) -> Engine:
    r"""The engine of ``(k * f)(p') = int_M k(v) f(q) dmu(q)``, v the coordinates of q seen from over p'.

    On one space fields may be of any type that both domains carry; between two they are scalar.

    Raises:
        ValueError: for spaces without a common group, fields that are not scalar between two spaces, options
            that only a grid has, a kernel of no width.
    """
    without_grid_options(spec)
    if spec.radius == 0 or spec.depthwise:
        raise ValueError(
            "a kernel from one domain to another has a width and mixes channels, expected radius= and "
            "separable=False"
        )
    seen = relative(source, target)
    if not seen.is_one_space and (spec.in_field, spec.out_field) != ("scalar", "scalar"):
        raise ValueError(
            f"from {source.geometry} to {target.geometry} fields are scalar, not {spec.in_field} and "
            f"{spec.out_field}; a lifted field is a scalar one on the group: "
            "to=er.GroupSpace(group).samples(points, weights)"
        )
    expect_reach(seen.geometry, spec.radius)
    basis = KernelBasis.build(
        seen.structure,
        spec.polar(seen.geometry.dim),
        rho_in,
        rho_out,
        spec.band_in,
        spec.band_out,
    )
    expect_kernels(basis, seen.structure, spec)
    stencil = sum_in_view(seen, spec.radius, turns=spec.in_field != "scalar")
    if len(stencil.row) == 0:
        raise ValueError(
            f"none of the {source} lies within {spec.radius} of the {target}; expected some: take a "
            "larger radius"
        )
    return StencilEngine(basis, stencil, target.shape)


POINT = Offer(_at_a_point, _point)
GRID = {"point": POINT, "lattice": Offer(_beyond_it, _lattice), "stencil": Offer(_beyond_it, _stencil)}
SAMPLES = {"point": POINT, "spectral": Offer(_all_round, _spectral), "stencil": Offer(_local, _stencil)}
# from one domain to another: build(domain, to, spec)
TO = {"spectral": Offer(_all_round, _spectral_to), "stencil": Offer(_not_all_round, _stencil_to)}
