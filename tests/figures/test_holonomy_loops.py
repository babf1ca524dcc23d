"""The picture of holonomy shows what transport does."""

import math

import pytest
import torch

import erlangen as er

OPTIONS = {"pixels": 80}


def words(canvas):
    return sorted(text.get_text() for text in canvas.axes[0].texts)


def test_circles_on_the_sphere_turn_by_their_area():
    canvas = er.figures.holonomy_loops(er.Sphere(), loops=2, **OPTIONS)
    areas = {round(360 * (1 - math.cos(size * 0.24 * math.pi))) for size in (1.0, 0.8, 0.6, 0.5)}
    found = words(canvas)
    assert len(found) == 2
    assert {int(text.removeprefix("+").removesuffix("°")) for text in found} <= areas
    assert canvas.get_suptitle() == "Sphere(2): holonomy SO(2)"


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (er.Moebius, ["mirrored", "unchanged"]),
        (er.KleinBottle, ["mirrored", "unchanged", "unchanged"]),
        (lambda: er.MappingTorus(math.pi / 2), ["turned by 90°", "unchanged"]),
        (er.FlatTorus, ["unchanged"] * 3),
        (lambda: er.FlatTorus(lattice=torch.tensor([[1.0, 0.0], [0.5, 0.8]])), ["unchanged"] * 3),
    ],
)
def test_flat_spaces_show_their_circuits(build, expected):
    assert words(er.figures.holonomy_loops(build(), **OPTIONS)) == expected


def test_the_projective_plane_mirrors(tmp_path):
    H = er.ProjectivePlane().holonomy()
    path = er.figures.holonomy_loops(H, loops=1, path=tmp_path / "rp2.png", **OPTIONS)
    assert path.stat().st_size > 10_000
    assert "mirrored" in words(er.figures.holonomy_loops(H, loops=0, **OPTIONS))


def test_hyperbolic_circles_turn_the_other_way():
    found = words(er.figures.holonomy_loops(er.Hyperbolic(), loops=1, **OPTIONS))
    assert found == [f"{360 * (1 - math.cosh(0.24 * 4.0)):+.0f}°"]


def test_the_group_is_drawn_whole():
    axis = er.figures.holonomy_loops(er.Sphere(), loops=0, **OPTIONS).axes[1]
    grey = torch.tensor(axis.collections[0].get_offsets())
    torch.testing.assert_close(grey.norm(dim=-1), torch.ones(len(grey)).double())
    angle = torch.atan2(grey[:, 1], grey[:, 0]).sort().values
    assert float((angle[1:] - angle[:-1]).max()) < 0.1


def test_spaces_without_a_picture_say_so():
    with pytest.raises(ValueError, match="give embedding="):
        er.figures.holonomy_loops(er.Sphere(4))
    first = er.geometry.Embedding(lambda p: p[..., :3])
    assert words(er.figures.holonomy_loops(er.Sphere(4), embedding=first, loops=1, **OPTIONS))
