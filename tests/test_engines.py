"""Every engine against the formula summed literally, on every geometry and every pair of field types."""

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
    f = torch.randn(2, 3, *field_shape(domain, in_field), dtype=torch.float64)
    w = torch.randn(2, 3, len(basis), dtype=torch.float64)
    y = engine.apply(f, w)
    expected = torch.zeros_like(y)
    for o in range(2):
        for c in range(3):
            kernel = literal_kernel(basis, w[o, c], in_field, out_field)
            expected[:, o] += er.correlate(
                domain, kernel, f[:, c], radius=radius, in_field=in_field, out_field=out_field
            )
    assert y.shape == (2, 2, *field_shape(domain, out_field))
    assert float(expected.abs().max()) > 1e-3
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-11 * float(expected.abs().max()))
