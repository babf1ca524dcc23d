"""Correlation from one domain to another, on one space or between two spaces of one group."""

from erlangen.domains.builders import sum_in_view
from erlangen.domains.domain import Domain
from erlangen.domains.refusals import expect_kernels, expect_reach, without_grid_options
from erlangen.domains.spec import KernelSpec
from erlangen.domains.view import view
from erlangen.engines import Engine, StencilEngine
from erlangen.kernels import KernelBasis, Rings


def between(source: Domain, target: Domain, spec: KernelSpec) -> Engine:
    r"""The engine of ``(k * f)(p') = int_M k(v) f(q) dmu(q)``, v the coordinates of q seen from over p'.

    On one space fields may be of any type that both domains carry; between two they are scalar.

    Raises:
        ValueError: for spaces without a common group, fields that are not scalar between two spaces, options
            that only a grid has, a kernel of no width.
    """
    without_grid_options(spec)
    if target.shape is None or source.shape is None:
        raise ValueError(f"{source} to {target}: expected domains of known size; give shape=")
    if spec.radius == 0 or spec.depthwise:
        raise ValueError(
            "a kernel from one domain to another has a width and mixes channels, expected radius= and "
            "separable=False"
        )
    seen = view(source, target)
    if not seen.is_one_space and (spec.in_field, spec.out_field) != ("scalar", "scalar"):
        raise ValueError(
            f"from {source.geometry} to {target.geometry} fields are scalar, not {spec.in_field} and "
            f"{spec.out_field}; a lifted field is a scalar one on the group: "
            "to=er.GroupSpace(group).samples(points, weights)"
        )
    expect_reach(seen.geometry, spec.radius)
    basis = KernelBasis.build(
        seen.structure,
        Rings(seen.geometry.dim, spec.radius, spec.rings),
        source.representation(spec.in_field),
        target.representation(spec.out_field),
        spec.band_in,
        spec.band_out,
    )
    expect_kernels(basis, seen.structure, spec)
    stencil = sum_in_view(seen, spec.radius, turns=spec.in_field != "scalar")
    if len(stencil.row) == 0:
        raise ValueError(
            f"no sample of {source} lies within {spec.radius} of those of {target}; expected some: take a "
            "larger radius"
        )
    return StencilEngine(basis, stencil, tuple(target.shape))
