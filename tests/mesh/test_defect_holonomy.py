"""Names of holonomy groups, in micrometres and in kilometres."""

import math

import pytest
import torch
from solids import cube, flat_patch, icosahedron, icosphere, octahedron, strip, tetrahedron, torus

import erlangen as er

NAMES = {
    "C4": cube,
    "C6": icosahedron,
    "C3": octahedron,
    "C2": tetrahedron,
    "SO(2)": lambda scale=1.0: icosphere(1, scale),
}


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e3])
@pytest.mark.parametrize("name", NAMES)
def test_solids(name, scale):
    mesh = NAMES[name](scale)
    assert mesh.holonomy().name == name
    assert (f"{name} (angles to " in repr(mesh.holonomy())) == (name != "SO(2)")
    single = er.Mesh(mesh.vertices.float(), mesh.faces)
    assert single.holonomy().name == name
    assert 1e-7 < single.holonomy().tolerance < 1e-3 or name == "SO(2)"


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e3])
def test_flat_bands(scale):
    sizes = {"width": scale, "length": 2.1 * scale}
    assert strip(8, 4, "open", **sizes).holonomy().name == "trivial"
    assert strip(8, 4, "cylinder", **sizes).holonomy().name == "trivial"
    moebius = strip(8, 4, "moebius", **sizes)
    assert moebius.holonomy().name == "Z2: reflection of axis 1"
    assert str(moebius.structure) == "O(2)"
    assert str(moebius.with_structure("holonomy").structure) == "Z2: reflection of axis 1"


def test_mirrors_along_any_edge():
    """Faces that begin at another edge know the mirror by another angle; it is one mirror."""
    for glue in ("moebius", "klein"):
        body = strip(8, 5, glue).repair()
        for first in range(3):
            mesh = er.Mesh(faces=body.faces.roll(first, 1), lengths=body.lengths.roll(first, 1))
            assert mesh.holonomy().name == "Z2: reflection of axis 1"


def test_surfaces_that_turn_frames_by_any_angle():
    assert torus(9, 7).holonomy().name == "SO(2)"
    klein = torus(9, 7, flip=True)
    assert klein.holonomy().name == "O(2)"
    assert str(klein.structure) == "O(2)"


@pytest.mark.parametrize("order", [3, 5, 7, 12])
def test_cones(order):
    """Of the angle 2 pi (1 - 1 / order): one vertex turns frames by a part of a turn."""
    count = 9
    a = 2 * math.pi * (1 - 1 / order) / count
    i = torch.arange(count)
    faces = torch.stack([0 * i, 1 + i, 1 + (i + 1) % count], 1)
    lengths = torch.tensor([[1.0, 2 * math.sin(a / 2), 1.0]], dtype=torch.float64).expand(count, -1)
    assert er.Mesh(faces=faces, lengths=lengths).holonomy().name == f"C{order}"


def test_pieces_count_together():
    both = er.Mesh.joined([cube(), octahedron(3.0)])
    assert both.holonomy().name == "C12"
    assert er.Mesh.joined([strip(6, 3, "moebius"), strip(5, 4, "open")]).holonomy().name.startswith("Z2")


def test_holonomy_of_a_file_in_single_precision():
    """Flat triangles with rounded corners far from zero: as flat as their roundings can tell."""
    patch = flat_patch(8)
    assert patch.holonomy().name == "trivial"
    rounded = er.Mesh((patch.vertices + 100).float(), patch.faces)
    assert float(rounded.surface.fans.defect.abs().max()) > 1e-9
    assert rounded.holonomy().name == "trivial"
    bent = patch.vertices.clone()
    bent[40, 2] += 0.05
    assert er.Mesh((bent + 100).float(), patch.faces).holonomy().name == "SO(2)"


def test_the_group_is_one_for_a_data_set():
    with pytest.raises(
        ValueError, match=r'structure is "SO\(2\)" and Mesh.* is not orientable: its holonomy is Z2'
    ):
        strip(8, 4, "moebius").samples(structure="SO(2)")
    for mesh in (cube(), icosphere(1), strip(8, 4, "moebius")):
        assert str(mesh.samples(rotations=4, structure="O(2)").geometry.structure) == "O(2)"
    assert str(cube().samples(structure="holonomy").geometry.structure) == "C4"
