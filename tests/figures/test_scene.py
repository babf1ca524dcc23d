"""Scenes: what is behind is hidden, in two dimensions and in three."""

import math
import sys

import numpy as np
import pytest
import torch

import erlangen as er
from erlangen.figures.camera import Camera
from erlangen.figures.scene import scene
from erlangen.figures.surfaces import parameters
from erlangen.spaces.sphere import WORLD, on_sphere

ROUND = [(0.0, 2 * math.pi)] * 2


def torus(x, R=2.0, r=0.8):
    u, v = x.unbind(-1)
    return torch.stack([(R + r * v.cos()) * u.cos(), (R + r * v.cos()) * u.sin(), r * v.sin()], -1)


def camera(embedding, extent, azimuth, elevation, pixels=120):
    eye = Camera(azimuth, elevation, pixels)
    eye.hide_behind(eye.seen(embedding(parameters(extent, (24, 12), 4))))
    return eye


def test_right_up_and_towards_the_eye():
    eye = Camera(20, 30)
    torch.testing.assert_close(eye.turn.T @ eye.turn, np.eye(3), rtol=0, atol=1e-14)
    assert np.linalg.det(eye.turn) == pytest.approx(1)
    above = Camera(-90, 90)  # the plane as one draws it
    torch.testing.assert_close(above.seen(torch.eye(3).double()), np.eye(3), rtol=0, atol=1e-14)


def test_the_sphere_hides_its_back_and_every_pixel_is_found():
    eye = camera(on_sphere, WORLD, 20, 30)
    p = torch.randn(400, 3, generator=torch.Generator().manual_seed(0)).double()
    p = p / p.norm(dim=-1, keepdim=True)
    towards = (p @ torch.from_numpy(eye.eye)).numpy()
    sure = np.abs(towards) > 0.3
    assert (eye.visible(p) == (towards > 0))[sure].all()
    depth, normal = eye.raster.depth, eye.raster.normal
    left, right, bottom, top = eye.raster.extent
    x, y = np.meshgrid(
        *(
            np.linspace(a, b, n, endpoint=False) + eye.raster.pixel / 2
            for a, b, n in ((left, right, depth.shape[1]), (bottom, top, depth.shape[0]))
        )
    )
    inside = x**2 + y**2 < 0.94
    expected = np.sqrt(1 - x**2 - y**2, where=inside, out=np.zeros_like(x))
    assert np.abs(depth - expected)[inside].max() < 0.05
    z = (normal / np.linalg.norm(normal, axis=-1, keepdims=True).clip(1e-9))[..., 2]
    assert np.abs(np.abs(z) - expected)[inside].max() < 0.05


def test_a_torus_hides_itself():
    eye = camera(torus, ROUND, 0, 20)
    near_inside, far_inside = torus(torch.tensor([[0.0, math.pi], [math.pi, math.pi]]).double())
    assert not eye.visible(near_inside[None])[0]  # behind the front of the tube
    assert eye.visible(far_inside[None])[0]  # seen through the hole


def test_a_hidden_curve_is_faint():
    _, view = scene(pixels=80)
    view.surface(on_sphere, WORLD)
    before = len(view.axis.lines)
    t = torch.linspace(0, 2 * math.pi, 61).double()
    view.curve(torch.stack([t.cos(), t.sin(), 0 * t], -1), color="k")
    front, back = view.axis.lines[before:]
    assert front.get_alpha() == 1
    assert back.get_alpha() < 0.5
    seen = np.isfinite(front.get_xdata()).sum() + np.isfinite(back.get_xdata()).sum()
    assert 61 <= seen <= 65


def test_three_dimensions_say_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyvista", None)
    with pytest.raises(ImportError, match="pip install pyvista, or leave out interactive=True"):
        er.figures.parallel_transport(interactive=True)


class Recorder:
    """In place of pyvista: keeps what it was asked to draw."""

    def __init__(self):
        self.made = []

    def __getattr__(self, name):
        def make(*args, **options):
            self.made.append((name, args, options))
            return self

        return make


def test_three_dimensions_draw_the_same(monkeypatch):
    fake = Recorder()
    monkeypatch.setitem(sys.modules, "pyvista", fake)
    er.figures.parallel_transport(interactive=True)
    grids = [args for name, args, _ in fake.made if name == "StructuredGrid"]
    radius = sum(part**2 for part in grids[0])
    np.testing.assert_allclose(radius, 1, atol=1e-12)
    arrows = [options for name, _, options in fake.made if name == "Arrow"]
    first, last = arrows[-2], arrows[-1]
    np.testing.assert_allclose(first["start"], last["start"], atol=1e-12)
    assert abs(first["direction"] @ last["direction"]) < 1e-12  # an octant turns by a right angle
    titles = [args[0] for name, args, _ in fake.made if name == "add_text"]
    assert titles == ["carried round the loop, the vector comes back turned by 90°"]


def test_three_dimensions_for_real(tmp_path):
    pytest.importorskip("pyvista")
    path = er.figures.exponential_map(interactive=True, path=tmp_path / "exp.png")
    assert path.stat().st_size > 10_000
