"""Every engine against the formula summed literally, on every geometry and every pair of field types."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from spaces import DOMAINS, RADIUS, field_shape

import erlangen as er
from erlangen.domains import KernelSpec

FIELDS = ["scalar", "regular", "vector", "sign"]


def pairs(name: str) -> list[tuple[str, str]]:
    domain = DOMAINS[name]()
    fields = [field for field in FIELDS if field != "regular" or domain.fibre is not None]
    return [(a, b) for a in fields for b in fields]


# what mirrors forbid, at the degrees that three rings hold
MIRRORED = [
    "plane, isotropic",
    "plane, D4",
    "space",
    "moebius, isometries",
    "klein, isometries, odd",
    "sphere, O(2)",
]
EMPTY = {(name, *pair) for name in MIRRORED for pair in (("scalar", "sign"), ("sign", "scalar"))}
EMPTY |= {("space", "vector", "sign"), ("space", "sign", "vector")}
CASES = [(name, a, b) for name in DOMAINS for a, b in pairs(name)]


def literal_kernel(basis, coefficients, in_field, out_field):
    """The kernel of one pair of channels, in the form that `er.correlate` takes."""

    def K(v):
        return torch.einsum("b,...bij->...ij", coefficients, basis(v))

    if not {in_field, out_field} <= {"scalar", "regular"}:
        return K
    if in_field == "scalar":
        return lambda v: K(v)[..., 0, 0]
    fibre = basis.rho_in.fibre
    return lambda v, h: (K(v)[..., 0, :] * fibre.interpolate(h)).sum(-1) / fibre.weight


@pytest.mark.parametrize(("name", "in_field", "out_field"), CASES)
def test_engine_is_the_formula(name, in_field, out_field):
    torch.manual_seed(0)
    domain = DOMAINS[name]()
    radius = RADIUS.get(name, 2.5)
    spec = KernelSpec(in_field, out_field, radius=radius, rings=3)
    if (name, in_field, out_field) in EMPTY:
        with pytest.raises(ValueError, match="allows no kernel"):
            domain.engine(spec)
        return
    engine = domain.engine(spec)
    basis = er.kernels.KernelBasis.build(
        domain.geometry.structure,
        er.kernels.Rings(domain.dim, radius, 3),
        domain.representation(in_field),
        domain.representation(out_field),
    )
    f = torch.randn(2, 2, *field_shape(domain, in_field), dtype=torch.float64)
    w = torch.randn(2, 2, len(basis), dtype=torch.float64)
    y = engine.apply(f, w)
    expected = torch.zeros_like(y)
    for o in range(2):
        for c in range(2):
            mixed = replace(basis, mix=torch.einsum("b,baij->aij", w[o, c], basis.mix)[None])  # one function
            kernel = literal_kernel(mixed, w.new_ones(1), in_field, out_field)
            expected[:, o] += er.correlate(
                domain, kernel, f[:, c], radius=radius, in_field=in_field, out_field=out_field
            )
    assert y.shape == (2, 2, *field_shape(domain, out_field))
    assert float(expected.abs().max()) > 1e-3
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-11 * float(expected.abs().max()))


GLOBAL = {"radius": math.inf, "degrees": 6}
SPLIT = {  # a domain, the fields, what else the kernel is
    "lattice": (er.Plane(rotations=4), "regular", "regular", {"radius": 2.5, "rings": 3}),
    "stride": (er.Plane(rotations=4), "scalar", "regular", {"radius": 2.5, "rings": 3, "stride": 2}),
    "depthwise": (er.Plane(rotations=8), "regular", "regular", {"radius": 2.5, "depthwise": True}),
    "point": (er.Plane(rotations=8), "regular", "regular", {}),
    "strip": (er.Moebius(8.0, 5.0).grid(8, 5), "regular", "vector", {"radius": 2.5, "rings": 3}),
    "masked": (DOMAINS["plane, masked"](), "regular", "scalar", {"radius": 2.5, "rings": 3}),
    "stencil": (DOMAINS["sphere, lifted"](), "scalar", "regular", {"radius": 1.2, "rings": 3}),
    "harmonics": (er.Sphere().grid(6, rotations=3), "regular", "regular", GLOBAL),
    "coefficients": (er.Sphere().harmonics(6, rotations=3), "regular", "scalar", GLOBAL),
    "coefficients, point": (er.Sphere().harmonics(6, rotations=3), "regular", "scalar", {}),
    "projective plane": (er.ProjectivePlane().grid(6, rotations=3), "regular", "regular", GLOBAL),
}


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("name", SPLIT)
def test_filters_that_were_made_before_give_the_same(name, groups):
    """In the engines' own dtypes and in half ones, at odd and even sizes; the bias is added where they do."""
    torch.manual_seed(0)
    domain, in_field, out_field, options = SPLIT[name]
    spec = KernelSpec(in_field, out_field, **options)
    engine = domain.engine(spec)
    sizes = [(9, 6), (6, 5), (7, 7)] if domain.shape is None else [domain.shape]
    for dtype, size in itertools.product((torch.float64, torch.bfloat16), sizes):
        parts = domain.parts(domain.representation(in_field))
        f = torch.randn(2, 4, *([] if parts is None else [parts]), *size, dtype=dtype)
        w = torch.randn(4, 4 // groups, len(engine.power), dtype=dtype)
        bias = torch.randn(4, dtype=dtype) if engine.adds_bias and out_field != "vector" else None
        filters = engine.filters(w, groups, bias)
        assert all(t.dtype == dtype for t in filters.tensors)
        y, expected = engine.filtered(f, filters, groups), engine.apply(f, w, groups)
        expected = expected if bias is None else domain.add(expected, bias)
        assert y.dtype == expected.dtype == dtype
        error = float((y - expected).abs().max() / expected.abs().max())
        assert error < (1e-14 if dtype == torch.float64 else 0.03), (size, dtype)
