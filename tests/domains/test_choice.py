"""Which engine computes a layer: those that a domain offers agree, and a user's own is one more."""

import pytest
import torch
from spaces import DOMAINS, RADIUS, field_shape

import erlangen as er
from erlangen.domains import Grid, KernelSpec
from erlangen.engines import Engine, StencilEngine

CASES = [name for name in DOMAINS if "masked" not in name]


@pytest.mark.parametrize("name", CASES)
def test_engines_of_a_domain_agree(name):
    torch.manual_seed(0)
    domain = DOMAINS[name]()
    field = domain.default_field
    spec = {"in_field": field, "out_field": field, "radius": RADIUS.get(name, 2.5), "rings": 3}
    default = domain.engine(KernelSpec(**spec))
    f = torch.randn(2, 3, *field_shape(domain, field)).double()
    w = torch.randn(4, 3, len(default.power)).double()
    expected = default.apply(f, w)
    assert float(expected.std()) > 1e-3
    serving = [n for n, offer in domain.engines.items() if offer.serves(domain, KernelSpec(**spec))]
    assert serving == (["lattice", "stencil"] if isinstance(domain, Grid) else ["stencil"])
    for engine in serving:
        asked = domain.engine(KernelSpec(**spec, engine=engine))
        assert isinstance(asked, StencilEngine) is (engine == "stencil")
        torch.testing.assert_close(
            asked.apply(f, w), expected, rtol=0, atol=1e-11 * float(expected.abs().max())
        )


class Doubled(Engine):
    """Another engine, twice."""

    def __init__(self, inner):
        self.inner, self.basis, self.rho_in, self.rho_out = inner, inner.basis, inner.rho_in, inner.rho_out
        self.power, self.smoothness = inner.power, inner.smoothness

    def apply(self, field, coefficients, groups=1):
        return 2 * self.inner.apply(field, coefficients, groups)


def doubled(domain, basis, spec):
    assert spec.engine is doubled
    return Doubled(domain.engines["stencil"].build(domain, basis, spec))


@pytest.mark.parametrize("name", ["plane, C4", "moebius", "sphere, lifted", "SE(2)", "plane, masked"])
def test_an_engine_of_ones_own(name):
    domain = DOMAINS[name]()
    options = {"radius": RADIUS.get(name, 2.5), "bias": False}
    own = er.nn.Correlation(domain, 2, 3, **options, engine=doubled).double()
    plain = er.nn.Correlation(domain, 2, 3, **options).double()
    own.load_state_dict(plain.state_dict())
    f = torch.randn(1, 2, *field_shape(domain, "scalar")).double()
    torch.testing.assert_close(own(f), 2 * plain(f))
    assert "engine=" in repr(own)
    assert "engine=" not in repr(plain)


def test_layers_ask_for_an_engine():
    plane = er.Plane(rotations=4, shape=(6, 5))
    layer = er.nn.Lift(plane, 1, 2, 5, engine="stencil")
    assert isinstance(plane.engine(layer.spec), StencilEngine)
    assert "engine='stencil'" in repr(layer)
    assert layer(torch.randn(1, 1, 6, 5)).shape == (1, 2, 4, 6, 5)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: er.nn.Lift(er.Plane(4), 1, 1, 5, engine="spectral"), "expected one of 'lattice', 'stencil'"),
        (lambda: er.nn.Correlation(er.Plane(), 1, 1, 1, engine="lattice"), "expected one of 'point', which"),
        (
            lambda: er.nn.Correlation(er.Sphere().grid(4), 1, 1, engine="stencil"),
            "expected one of 'spectral'",
        ),
        (lambda: er.nn.Lift(er.Plane(4), 1, 1, 5, engine="stencil"), "takes any size, expected a known one"),
        (
            lambda: er.nn.Correlation(
                er.Sphere().grid(4), 1, 1, radius=1.0, to=er.Sphere().grid(6), engine=doubled
            ),
            "expected a name: a function builds an engine of one domain",
        ),
        (
            lambda: er.nn.Correlation(er.Plane(), 1, 1, 5, engine=""),
            "engine is '', expected one of",
        ),
        (
            lambda: er.nn.Correlation(er.Plane(), 1, 1, 5, engine=lambda domain, basis, spec: None),
            "which made None, expected an Engine: let build",
        ),
        (
            lambda: er.nn.Correlation(
                er.Plane(shape=(6, 6)), 1, 1, 5, padding_mode="reflect", engine="stencil"
            ),
            "these need a lattice",
        ),
    ],
)
def test_what_a_domain_does_not_offer_is_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()
