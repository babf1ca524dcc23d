"""A warm call does no more than its work: calls are counted, never timed."""

import pytest
import torch
from called import called

import erlangen as er
from erlangen.nn.equivariant import Equivariant


def calls_of(net, x):
    """How often each function of the library is called by a warm forward."""
    with torch.no_grad():
        net(x)
        return called(lambda: net(x))


@pytest.mark.parametrize(("training", "most"), [(False, 436), (True, 452)])
def test_a_photograph_takes_half_of_the_calls_that_it_took(training, most):
    net = er.models.UNet(er.Plane(rotations=8), 3, 1, width=8, depth=3).train(training)
    found = calls_of(net, torch.randn(1, 3, 64, 64))
    assert found.total() <= most, found  # of 888
    layers = sum(isinstance(part, Equivariant) for part in net.modules())
    assert 0 < found["domains/domain.py check"] <= layers
    assert not [name for name in found if name.startswith(("groups/", "arguments.py", "kernels/"))]


@pytest.mark.parametrize(
    ("domain", "size"),
    [
        (er.Moebius(8.0, 5.0).grid(16, 10), (16, 10)),
        (er.Sphere().grid(8, rotations=3), (8, 16)),
        (er.Plane(shape=(8, 8)).masked(torch.ones(8, 8).bool()), (8, 8)),
        (er.SurfaceOfRevolution(steps=2).grid(16, 8, rotations=4), (16, 8)),
    ],
    ids=["strip", "sphere", "masked", "chart"],
)
def test_no_representation_is_made_anew(domain, size, monkeypatch):
    radius = {"radius": 1.0} if isinstance(domain.geometry, er.Chart) else {}
    net = er.models.UNet(domain, 1, 1, width=2, depth=1, **radius).eval()
    count, init = [], er.groups.Representation.__init__
    monkeypatch.setattr(
        er.groups.Representation, "__init__", lambda self, *a, **k: (count.append(1), init(self, *a, **k))[1]
    )
    er.groups.trivial()
    assert len(count) == 1  # so it would be counted
    x = torch.randn(1, 1, *size)
    net(x)
    count.clear()
    found = calls_of(net, x)
    assert count == []
    layers = sum(isinstance(part, Equivariant) for part in net.modules())
    assert 0 < found["domains/domain.py check"] <= layers
    made = {"groups/representation.py " + name for name in ("regular", "trivial", "standard", "determinant")}
    assert not made & set(found)
