"""Meshes as people have them: each gets a report, and a repair or a clear error."""

import math
import time

import numpy as np
import pytest
import torch
from paths import DATA
from solids import cube, icosphere, mesh, octahedron, stored, strip, tetrahedron

import erlangen as er

SQUARE = [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]
NAN = float("nan")


def changed(body, **vertices):
    v = body.vertices.clone()
    for name, place in vertices.items():
        v[int(name[1:])] = torch.tensor(place, dtype=torch.float64)
    return er.Mesh(v, body.faces)


def with_faces(body, *faces):
    return er.Mesh(body.vertices, torch.cat([body.faces, torch.tensor(faces)]))


def loose(body):
    """Triangles with vertices of their own, as STL writes them."""
    return er.Mesh(body.vertices[body.faces].flatten(0, 1), torch.arange(3 * len(body.faces)).view(-1, 3))


def some_turned(body):
    faces = body.faces.clone()
    faces[::3] = faces[::3].flip(1)
    return er.Mesh(body.vertices, faces)


def fan_of_pages(count):
    """So many squares on one edge."""
    angle = 2 * math.pi * torch.arange(count).double() / count
    rim = torch.stack([angle.cos(), angle.sin(), 0 * angle], -1)
    axis = torch.tensor([[0.0, 0, 0], [0, 0, 1]], dtype=torch.float64)
    i = torch.arange(count) + 2
    return er.Mesh(torch.cat([axis, rim]), torch.stack([0 * i, 1 + 0 * i, i], 1))


def sliver(body, height):
    """A triangle cut in three at a point that lies nearly on a side."""
    v, f = body.vertices, body.faces
    a, b, c = v[f[0]]
    point = (a + b) / 2 + height * (c - (a + b) / 2)
    n, (x, y, z) = len(v), f[0].tolist()
    new = torch.tensor([[x, y, n], [y, z, n], [z, x, n]])
    return er.Mesh(torch.cat([v, point[None]]), torch.cat([f[1:], new]))


BROKEN = {  # how it is made; a fault that is told, or None; faces that are left
    "twice the same vertex": (lambda: loose(octahedron()), None, 8),
    "a face twice": (lambda: with_faces(cube(), cube().faces[0].tolist()), "there twice", 12),
    "a face twice, turned over": (
        lambda: with_faces(cube(), cube().faces[0].flip(0).tolist()),
        "there twice",
        12,
    ),
    "a corner twice": (lambda: with_faces(cube(), [0, 0, 1]), "corner twice", 12),
    "one point as a face": (lambda: with_faces(cube(), [3, 3, 3]), "corner twice", 12),
    "a point in a row": (lambda: sliver(octahedron(), 0.0), "without area", 10),
    "slivers": (lambda: sliver(octahedron(), 1e-9), "without area", 10),
    "thin but good": (lambda: sliver(octahedron(), 1e-3), None, 10),
    "vertices at one place": (
        lambda: changed(icosphere(1), v0=icosphere(1).vertices[12].tolist()),
        "without area",
        None,
    ),
    "faces turned over": (lambda: some_turned(icosphere(1)), None, 80),
    "all turned over": (lambda: er.Mesh(cube().vertices, cube().faces.flip(1)), None, 12),
    "a bow tie": (lambda: mesh([*SQUARE, [2, 2, 0], [2, 1, 0]], [[0, 1, 2], [2, 4, 5]]), "pieces touch", 2),
    "two cones": (
        lambda: er.Mesh(
            torch.cat([tetrahedron().vertices, 2 * tetrahedron().vertices[:1] - tetrahedron().vertices[1:]]),
            torch.cat([tetrahedron().faces, torch.tensor([0, 4, 5, 6])[tetrahedron().faces].flip(1)]),
        ),
        "pieces touch",
        8,
    ),
    "three faces on an edge": (lambda: fan_of_pages(3), "three faces or more", 3),
    "four faces on an edge": (lambda: fan_of_pages(4), "three faces or more", 4),
    "vertices in no face": (
        lambda: er.Mesh(torch.cat([cube().vertices, torch.rand(5, 3)]), cube().faces),
        None,
        12,
    ),
    "a vertex that is no number": (lambda: changed(icosphere(1), v3=[NAN, 0.0, 0.0]), "not finite", 75),
    "a vertex at infinity": (lambda: changed(icosphere(1), v3=[math.inf, 0.0, 0.0]), "not finite", 75),
    "no numbers at all": (
        lambda: er.Mesh(torch.full((3, 3), NAN), torch.tensor([[0, 1, 2]])),
        "not finite",
        0,
    ),
    "no area at all": (lambda: er.Mesh(torch.zeros(4, 3), tetrahedron().faces), "without area", 0),
    "one triangle": (lambda: mesh(SQUARE[:3], [[0, 1, 2]]), None, 1),
    "boundary everywhere": (
        lambda: mesh(
            [[3 * i + x, y, i] for i in range(5) for x, y in ((0, 0), (1, 0), (0, 1))],
            torch.arange(15).view(5, 3),
        ),
        None,
        5,
    ),
    "pieces of all sizes": (lambda: er.Mesh.joined([cube(1e-6), icosphere(1, 1e3)]), None, 92),
    "huge": (lambda: icosphere(1, 1e12), None, 80),
    "tiny": (lambda: icosphere(1, 1e-12), None, 80),
    "far away": (lambda: er.Mesh(icosphere(1).vertices + 1e6, icosphere(1).faces), None, 80),
    "a Moebius strip": (lambda: strip(6, 3, "moebius"), None, 36),
    "lengths that do not agree": (
        lambda: er.Mesh(
            faces=strip(3, 2, "open").faces,
            lengths=strip(3, 2, "open").lengths * torch.linspace(1, 1.1, 12)[:, None],
        ),
        "two lengths",
        12,
    ),
    "no triangle by its lengths": (
        lambda: er.Mesh(faces=torch.tensor([[0, 1, 2]]), lengths=torch.tensor([[1.0, 1.0, 5.0]])),
        "without area",
        1,
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_report_and_a_repair(name):
    make, fault, left = BROKEN[name]
    start = time.process_time()
    body = make()
    report = body.report()
    assert report.is_manifold == (fault is None)
    assert fault is None or any(fault in words for words in report.faults)
    assert ("FAULT" in str(report)) == (fault is not None)
    if fault is not None:
        with pytest.raises(
            ValueError, match=r"Mesh\(.* has .*, expected a surface of triangles; mend it: mesh = mesh.repair"
        ):
            body.samples()
    if left == 0:
        with pytest.raises(ValueError, match=r"no face is left of this mesh \(.*\), expected triangles"):
            body.repair()
        return
    good = body.repair()
    assert good.report().is_manifold
    assert good.report().is_oriented == good.report().is_orientable
    assert left is None or len(good.faces) == left
    assert (fault is None) or good.did
    if body.vertices is not None:
        torch.testing.assert_close(good.vertices, body.vertices[good.kept])
    if len(good.faces) > 1 or fault is None:  # a flat triangle by itself sees nothing
        works(good)
    again = good.repair()
    assert again.did == good.did
    assert torch.equal(again.faces, good.faces)
    assert time.process_time() - start < 5


def test_pages_come_apart():
    assert fan_of_pages(4).repair().report().components == 4
    assert fan_of_pages(2).repair().report().components == 1


def works(body):
    """A lifted layer there gives numbers."""
    domain = body.samples(rotations=4)
    radius = 2 * float(body.lengths.median())
    y = er.nn.Lift(domain, 1, 1, radius=radius)(torch.randn(1, 1, body.count))
    assert bool(y.isfinite().all())
    assert body.holonomy().name


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            (torch.zeros(0, 3), torch.zeros(0, 3).long()),
            r"faces is a tensor of shape \(0, 3\).*expected whole numbers",
        ),
        ((torch.rand(4, 3), None), "faces are None, or both vertices and lengths, expected faces"),
        ((None, torch.tensor([[0, 1, 2]])), "faces are None, or both vertices and lengths, expected faces"),
        (
            (torch.rand(3, 3), torch.tensor([[1, 2, 3]])),
            r"faces name vertices 1 to 3, expected numbers from 0 to 2; .* faces - 1",
        ),
        ((torch.rand(3, 3), torch.tensor([[-1, 0, 1]])), "faces name vertices -1 to 1, expected"),
        (
            (torch.rand(4, 3), torch.tensor([[0, 1, 2, 3]])),
            "expected whole numbers .* cut polygons into triangles",
        ),
        ((torch.rand(4, 3), torch.rand(2, 3)), "faces is a tensor .* expected whole numbers"),
        ((torch.rand(4, 2), torch.tensor([[0, 1, 2]])), r"vertices is a tensor .* expected numbers \(v, 3\)"),
        (
            (np.zeros((3, 3)), torch.tensor([[0, 1, 2]])),
            "vertices is a ndarray, expected a tensor: torch.from_numpy",
        ),
    ],
)
def test_what_is_no_mesh_is_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        er.Mesh(*arguments)


def test_lengths_are_positive():
    for bad in (torch.zeros(1, 3), torch.full((1, 3), NAN), torch.ones(2, 3), -torch.ones(1, 3)):
        with pytest.raises(
            ValueError, match=r"lengths is a tensor .* expected a positive length for each side of 1 faces"
        ):
            er.Mesh(faces=torch.tensor([[0, 1, 2]]), lengths=bad)


def test_reports_know_surfaces():
    for body, euler, boundaries, genus, orientable in (
        (cube(), 2, 0, 0, True),
        (strip(6, 3, "open"), 1, 1, 0, True),
        (strip(6, 3, "cylinder"), 0, 2, 0, True),
        (strip(6, 3, "moebius"), 0, 1, 1, False),
        (er.Mesh.joined([cube(), strip(6, 3, "cylinder")]), 2, 2, 0, True),
    ):
        report = body.report()
        assert (report.euler, report.boundaries, report.genus, report.is_orientable) == (
            euler,
            boundaries,
            genus,
            orientable,
        )
    assert cube().report().defects == pytest.approx((90.0, 90.0))
    assert cube().report().smallest_angle == pytest.approx(45.0)
    assert icosphere(2).report().area == pytest.approx(4 * math.pi, rel=0.03)


FILES = sorted((DATA / "rna" / "train").glob("*.npz"))


@pytest.mark.slow
@pytest.mark.skipif(not FILES, reason="the surfaces of molecules are not here; set ERLANGEN_DATA")
def test_every_molecule():
    for path in FILES:
        z = np.load(path)
        body = er.Mesh(torch.from_numpy(z["v"]), torch.from_numpy(z["f"].astype(np.int64)))
        assert str(body.report())
        good = body.repair()
        assert good.report().is_manifold
        assert good.holonomy().name == "SO(2)"
        assert len(torch.from_numpy(z["y"])[good.kept]) == good.count


@pytest.mark.slow
@pytest.mark.parametrize("name", ["spot", "cow", "fandisk", "rocker-arm", "suzanne", "stanford-bunny"])
def test_every_mesh_of_the_data(name):
    body = stored(name)
    assert str(body.report())
    works(body.repair())
