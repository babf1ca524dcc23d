"""Derivatives of functions of points: backward where that can be, forward elsewhere, the same numbers."""

import pytest
import torch
from metrics import flat, torus
from torch.autograd.forward_ad import dual_level, make_dual

import erlangen as er
from erlangen.geometry import derivative
from erlangen.geometry.derivative import directional, gradient, jet, partials
from erlangen.spaces.metric import levi_civita


def bump(x):
    """Smooth, with a branch whose derivative is infinite where it is not taken."""
    r = x.square().sum(-1)
    return torch.where(r < 1, torch.exp(-1 / (1 - r)), 0.0 * r)


FUNCTIONS = {
    "metric": torus,
    "flat": flat,
    "linear": lambda x: 3 * x - 1,
    "constant": lambda x: torch.ones_like(x),
    "branch": lambda x: torch.where(x > 0.5, torch.sqrt(x - 0.5), x),
    "bump": lambda x: bump(1.5 * x),  # inside, and beyond its edge
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch, of its own code
@pytest.mark.parametrize("name", FUNCTIONS)
def test_backward_is_forward(name):
    f, x = FUNCTIONS[name], torch.rand(40, 2, generator=torch.Generator().manual_seed(0)).double()
    value, D = partials(f, x)
    torch.testing.assert_close(value, f(x), rtol=0, atol=0)
    for axis, v in enumerate(torch.eye(2).double()):
        true = torch.func.jvp(f, (x,), (v.expand_as(x),))[1]
        torch.testing.assert_close(D[axis], true, rtol=1e-13, atol=1e-14)
        torch.testing.assert_close(directional(f, x, v.expand_as(x))[1], true, rtol=1e-13, atol=1e-14)
    if value.dim() == 2:
        torch.testing.assert_close(gradient(f, x), D.movedim(0, -1), rtol=1e-13, atol=1e-14)
    assert not D.requires_grad


def test_derivatives_are_differentiable_where_functions_are():
    x, a = torch.rand(7, 2).double(), torch.ones((), dtype=torch.float64, requires_grad=True)
    D = partials(lambda x: a * x.square(), x)[1]
    torch.testing.assert_close(torch.autograd.grad(D.sum(), a)[0], 2 * x.sum())
    with torch.no_grad():
        assert not partials(lambda x: a * x.square(), x)[1].requires_grad

    def of(x):
        return (partials(torus, x)[1] ** 2).sum() + (gradient(torch.sin, x) ** 2).sum()

    assert torch.autograd.gradcheck(of, (x.requires_grad_(),))
    torch.testing.assert_close(torch.func.grad(of)(x), torch.autograd.grad(of(x), x)[0])


def test_jets():
    t = torch.linspace(-1, 1, 9).double()
    true = [[t.sin(), t, t**3], [t.cos(), t**0, 3 * t**2], [-t.sin(), 0 * t, 6 * t]]
    for found, row in zip(jet(lambda t: (t.sin(), t, t**3), t, 2), true, strict=True):
        torch.testing.assert_close(found, torch.stack(row, -1), rtol=1e-14, atol=1e-15)
    branch = jet(lambda t: (torch.where(t > 0, torch.sqrt(t), t**2),), t, 2)
    torch.testing.assert_close(branch[2][:5, 0], torch.full((5,), 2.0).double())


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
def test_no_graph_is_needed(mode):
    with mode():
        space = er.SurfaceOfRevolution()
        assert str(space.holonomy()) == "SO(2)"


def test_forward_differentiation_is_left_out_where_it_can_be(monkeypatch):
    monkeypatch.setattr(derivative, "_forward", None)
    for space in (er.SurfaceOfRevolution(), er.Ellipsoid(steps=4)):
        assert str(space.holonomy()) == "SO(2)"


def test_the_symbols_of_a_surface_of_revolution():
    def profile(t):
        return 2 + torch.cos(t), t + 0.3 * torch.sin(t)

    space = er.SurfaceOfRevolution(profile, bounds=(-2.0, 1.0))
    x = 6 * torch.rand(40, 2).double() - 3  # beyond the edges too, as in a mirror
    torch.testing.assert_close(space.christoffel(x), levi_civita(space.metric, x), rtol=1e-12, atol=1e-12)


def test_dual_numbers_are_refused_and_jvp_is_right():
    space, p = er.SurfaceOfRevolution(), torch.tensor([0.3, 1.0]).double()
    v, w = torch.tensor([[0.2, -0.4], [1.0, 1.0]]).double()

    def away(v):
        return space.exp(p, v)

    true = torch.autograd.functional.jacobian(away, v) @ w
    torch.testing.assert_close(torch.func.jvp(away, (v,), (w,))[1], true)
    with dual_level(), pytest.raises(RuntimeError, match="Nested forward mode AD is not supported"):
        away(make_dual(v, w))
