"""Nobody may notice how the frames were chosen: linear layers are exact under every change of gauge."""

import pickle

import pytest
import torch

import erlangen as er
from erlangen.groups.structure import turn


class TwistedSphere(er.Sphere):
    """The sphere with every frame turned by an angle of its own."""

    def frame(self, p):
        return super().frame(p) @ twist(p)


def twist(p):
    return turn(3 * torch.sin(2 * p[..., 0] + 5 * p[..., 1]) + 2 * p[..., 2])


def in_other_frames(domain, f, field):
    """The same field by its values in the twisted frames: f'(p) = rho(h)^-1 f(p)."""
    rho = domain.representation(field)
    if not rho.has_axis:
        return f
    h = twist(domain.points)  # (*space, 2, 2)
    return torch.einsum("...ij,bcj...->bci...", rho.inverse(h), f)


@pytest.mark.parametrize("rotations", [4, 5, 8])
@pytest.mark.parametrize("separable", [False, True])
@pytest.mark.parametrize(
    ("in_field", "out_field"),
    [
        ("scalar", "regular"),
        ("regular", "regular"),
        ("regular", "scalar"),
        ("vector", "regular"),
        ("vector", "vector"),
        ("spin2", "vector"),
        ("spin2", "spin2"),
    ],
)
def test_linear_layers_do_not_see_the_frames(rotations, separable, in_field, out_field):
    if separable and in_field != out_field:
        pytest.skip("separable layers between other fields mix in the same way")
    plain, twisted = er.Sphere().grid(6, rotations=rotations), TwistedSphere().grid(6, rotations=rotations)
    fields = {"in_field": in_field, "out_field": out_field, "separable": separable, "dtype": torch.float64}
    layer = er.nn.Correlation(plain, 2, 3, radius=1.2, rings=3, **fields)
    other = er.nn.Correlation(twisted, 2, 3, radius=1.2, rings=3, **fields)
    other.load_state_dict(layer.state_dict())
    rho = plain.representation(in_field)
    f = torch.randn(1, 2, *([rho.dim] if rho.has_axis else []), *plain.shape).double()
    if in_field == "regular":  # what the samples of SO(2) hold
        lowpass = rho.fibre.lowpass((rotations - 1) // 2)
        f = torch.einsum("ij,bcj...->bci...", lowpass, f)
    y = layer(f)
    assert float(y.detach().std()) > 0.01
    expected = in_other_frames(plain, y, out_field)
    found = other(in_other_frames(plain, f, in_field))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10 * float(y.detach().abs().max()))


@pytest.mark.parametrize("name", ["grid", "healpix", "points"])
def test_stored_with_the_frames_that_it_has(name):
    """What is pickled comes back in the frames that the samples were turned to."""
    axes = torch.eye(3, dtype=torch.float64)
    octahedron = torch.cat([axes, -axes])
    made = {
        "grid": er.Sphere().grid(6, rotations=3),
        "healpix": er.Sphere().healpix(2, rotations=3),
        "points": er.Sphere().samples(octahedron),
    }[name]
    h = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64).expand(*made.weights.shape, 2, 2)
    turned = made.reframed(h)
    for domain in (turned, turned.reframed(h)):
        again = pickle.loads(pickle.dumps(domain))
        assert torch.equal(again.frames.basis, domain.frames.basis)
        assert not torch.equal(again.frames.basis, made.frames.basis)
