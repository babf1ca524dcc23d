"""The engine that keeps nodes, against the one that folds them into tables."""

import pytest
import torch
from solids import flat_patch, icosphere, stored, torus

import erlangen as er
from erlangen.engines import StencilEngine, Table
from erlangen.nn import Correlation
from erlangen.spaces.mesh import pooling
from erlangen.spaces.mesh.node_engine import NodeEngine

pytestmark = pytest.mark.usefixtures("double")


PLACES = {
    "all round": (lambda: torus(14, 9).samples(rotations=8), 0.8),
    "an edge, zero": (lambda: flat_patch(8).samples(rotations=5), 0.3),
    "an edge, renormalized": (lambda: flat_patch(8).samples(rotations=5, boundary="renormalize"), 0.3),
    "some of the vertices": (lambda: icosphere(3).samples(rotations=8).coarser(), 0.8),
    "faces that are turned over": (lambda: some_over(torus(14, 9)).samples(rotations=8), 0.8),
}


def some_over(mesh):
    faces = mesh.faces.clone()
    faces[1::3] = faces[1::3].flip(1)
    return er.Mesh(mesh.vertices, faces)


@pytest.mark.parametrize("out", ["regular", "scalar", "vector"])
@pytest.mark.parametrize("place", PLACES)
def test_both_engines_say_the_same(place, out):
    make, radius = PLACES[place]
    domain = make()
    count = domain.shape[0]
    x = torch.randn(2, 4, len(domain.fibre), count)
    for groups in (1, 2):
        layer = Correlation(domain, 4, 2, radius=radius, groups=groups, in_field="regular", out_field=out)
        folded = domain.engine(layer.spec)
        assert isinstance(folded, StencilEngine)
        nodes = domain.quadrature.by_nodes(folded.basis)
        w = layer.weight.detach()
        torch.testing.assert_close(nodes.apply(x, w, groups), folded.apply(x, w, groups), rtol=0, atol=1e-12)
        if count <= pooling.SOME:
            torch.testing.assert_close(nodes.power, folded.power)


def test_gradients():
    domain = torus(5, 4).samples(rotations=3, nodes=4)
    layer = Correlation(domain, 2, 2, radius=0.8, groups=2, in_field="regular", out_field="regular")
    engine = domain.quadrature.by_nodes(domain.engine(layer.spec).basis)
    x = torch.randn(2, 2, 3, domain.shape[0], requires_grad=True)
    w = layer.weight.detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda x, w: engine.apply(x, w, 2), (x, w))
    whole = engine.apply(x, w, 2).square().sum()
    found = torch.func.grad(lambda w: engine.apply(x.detach(), w, 2).square().sum())(w.detach())
    torch.testing.assert_close(found, torch.autograd.grad(whole, w)[0])


def test_frames_do_not_matter(monkeypatch):
    monkeypatch.setattr(pooling, "SMALL", 0)
    mesh = torus(12, 8)
    domain = mesh.samples(rotations=8)
    layer = Correlation(domain, 2, 2, radius=0.8, in_field="regular", out_field="regular")
    assert isinstance(domain.engine(layer.spec), NodeEngine)
    assert er.verify.gauge(layer).defect < 1e-12
    assert er.verify.gauge(layer, turns="any").defect < 1e-12
    assert er.verify.gauge(layer.float(), turns="any").defect < 1e-5
    assert isinstance(domain.engine(Correlation(domain, 1, 1, radius=0.8).spec), StencilEngine)


@pytest.mark.slow
def test_tables_stay_small():
    """One lifted layer on 10,000 vertices, 16 channels, N = 8: as large for any radius."""
    mesh = stored("rocker-arm")
    layer = Correlation(
        mesh.samples(rotations=8),
        16,
        16,
        radius=5 * float(mesh.lengths.mean()),
        in_field="regular",
        out_field="regular",
    )
    engine = layer.domain.engine(layer.spec)
    assert isinstance(engine, NodeEngine)
    layer.float()(torch.randn(1, 16, 8, mesh.count, dtype=torch.float32))
    tables = [table for table in vars(engine).values() if isinstance(table, Table)]
    held = {
        id(t): t for table in tables for t in (table.value, table.like(torch.zeros(1, dtype=torch.float32)))
    }
    size = sum(t.numel() * t.element_size() for t in held.values())
    print("tables, MB:", size / 1e6)
    assert size <= 60e6
