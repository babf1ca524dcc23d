"""Networks whose inputs and outputs are other fields than scalar ones."""

import pytest
import torch

import erlangen as er

SPACES = {
    "D8": (er.Plane(rotations=8, reflections=True), (7, 8)),
    "round": (er.Plane(), (7, 8)),
    "cube": (er.Volume("cube", reflections=True), (4, 5, 3)),
    "directions": (er.Volume(degree=1), (4, 5, 3)),
    "thick slices": (er.Volume(8, axis=0, spacing=(3, 1, 1)), (3, 5, 4)),
}
BOTH = [("scalar", 1), ("vector", 2)]


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize(("in_field", "out_field"), [("scalar", "vector"), ("vector", BOTH)])
def test_vectors_go_in_and_come_out_turned(name, in_field, out_field):
    domain, size = SPACES[name]
    torch.manual_seed(0)
    out = 2 if out_field == "vector" else 3
    fields = {"in_field": in_field, "out_field": out_field}
    net = er.models.UNet(domain, 1, out, width=2, depth=1, kernel_size=3, **fields).double()
    components = () if in_field == "scalar" else (domain.dim,)
    x = torch.randn(2, 1, *components, *size, dtype=torch.float64)
    net = er.verify.randomized(net, x)
    kinds = ["vector"] if out_field == "vector" else [kind for kind, _ in out_field]

    def answers(f):
        y = net(f)
        return y if isinstance(y, tuple) else (y,)

    with torch.no_grad():
        here = answers(x)
        assert all(float(y.std()) > 1e-4 for y in here)
        for g in [g for g in domain.symmetries() if g.is_exact][::5]:
            there = answers(domain.act(g.matrix, x, in_field))
            for kind, y, moved in zip(kinds, here, there, strict=True):
                off = (moved - domain.act(g.matrix, y, kind)).abs().max()
                assert off < 1e-11 * y.abs().max(), (g.name, kind)
        frozen = er.freeze(net)(x)
        for y, again in zip(answers_of(net.eval()(x)), answers_of(frozen), strict=True):
            torch.testing.assert_close(again, y)


def answers_of(y):
    return y if isinstance(y, tuple) else (y,)


def test_of_several_types_there_are_as_many_as_are_told():
    net = er.models.UNet(er.Plane(rotations=4), 3, 3, width=2, depth=1, out_field=BOTH)
    scalars, vectors = net(torch.randn(1, 3, 9, 8))
    assert scalars.shape == (1, 1, 9, 8)
    assert vectors.shape == (1, 2, 2, 9, 8)
    with pytest.raises(ValueError, match="as many fields"):
        er.models.UNet(er.Plane(rotations=4), 3, 2, width=2, depth=1, out_field=BOTH)
    with pytest.raises(ValueError, match="no kernel"):
        er.models.UNet(er.Plane(), 3, 1, width=2, depth=1, out_field="sign")
    with pytest.raises(ValueError, match="expected"):
        er.models.UNet(er.Plane(), 3, 1, width=2, depth=1, out_field="tensor")


def test_the_shape_of_vectors_is_asked_for():
    net = er.models.UNet(er.Plane(rotations=4), 1, 1, width=2, depth=1, in_field="vector")
    with pytest.raises(ValueError, match=r"\(batch, 1, 2, \*space\)"):
        net(torch.randn(1, 1, 8, 8))
