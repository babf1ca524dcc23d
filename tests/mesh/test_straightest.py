"""Lines on triangles: straight, reversible, the same on both sides of vertices, thrown back at edges."""

import math
import time

import numpy as np
import pytest
import torch
from solids import cube, flat_patch, icosphere, octahedron, stored, strip, torus

import erlangen as er
from erlangen.geometry import Frame

TURN = 2 * math.pi


def directions(count, seed=0):
    angle = TURN * torch.rand(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.stack([angle.cos(), angle.sin()], -1)


def test_lines_in_the_plane_are_lines_of_the_plane():
    """Through jittered triangles, from faces and from vertices; a second leg tells the frames."""
    mesh = flat_patch(12)
    inner = mesh.vertices[:, :2].sub(0.5).norm(dim=-1) < 0.15
    vertices = mesh.vertex_points(inner.nonzero().flatten())
    faces = mesh.face_points(torch.arange(100, 160), torch.tensor([0.2, 0.5, 0.3]).double().expand(60, 3))
    faces = faces[(mesh.in_space(faces)[:, :2] - 0.5).norm(dim=-1) < 0.2]
    for points in (vertices, faces):
        u, start = mesh.frames(points), mesh.in_space(points)
        v, w = 0.15 * directions(len(points), 1), 0.12 * directions(len(points), 2)
        there = mesh.carry(u, v)
        torch.testing.assert_close((mesh.in_space(there.point) - start).norm(dim=-1), v.norm(dim=-1))
        assert bool((there.point[:, 0] < len(mesh.faces)).all())
        torch.testing.assert_close(
            mesh.in_space(mesh.carry(there, w).point),
            mesh.in_space(mesh.carry(u, v + w).point),
            rtol=0,
            atol=1e-13,
        )


@pytest.mark.parametrize(
    "make", [lambda: icosphere(2), lambda: torus(16, 9), lambda: torus(16, 9, flip=True)]
)
def test_lines_come_back(make):
    """There and back again, with the frame: on triangles of any kind, also where there are no two sides."""
    mesh = make()
    b = torch.rand(200, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64) + 0.1
    faces = torch.arange(200) * 7 % len(mesh.faces)
    u = mesh.frames(mesh.face_points(faces, b / b.sum(1, keepdim=True)))
    v = 2.5 * mesh.length * directions(200)
    back = mesh.carry(mesh.carry(u, v), -v)
    assert bool((back.point[:, 0] == faces).all())
    torch.testing.assert_close(back.point, u.point, rtol=0, atol=1e-11)
    torch.testing.assert_close(back.basis, u.basis, rtol=0, atol=1e-11)


def test_rays_are_walks():
    mesh = torus(16, 9)
    u, e = mesh.frames(mesh.vertex_points()), directions(5)
    r = torch.tensor([0.1, 0.4, 1.1, 1.3], dtype=torch.float64)
    rays = mesh.rays(u, e, r)
    v = (r[:, None, None] * e).flatten(0, 1)
    one = mesh.carry(Frame(u.point[:, None], u.basis[:, None]), v)
    torch.testing.assert_close(rays.point, one.point, rtol=0, atol=1e-11)
    torch.testing.assert_close(rays.basis, one.basis, rtol=0, atol=1e-11)


def test_round_the_cube_and_round_a_corner():
    """Across four faces one comes home; round a corner, where three squares meet, turned by a quarter."""
    mesh = cube()
    u = mesh.frames(mesh.face_points(torch.tensor([0]), torch.tensor([[0.2, 0.3, 0.5]]).double()))
    p = mesh.in_space(u.point)
    E = u.basis[0, 1:]
    for way in E:  # along the first edge of the face, and across it
        home = mesh.carry(u, 4 * way[None])
        torch.testing.assert_close(mesh.in_space(home.point), p, rtol=0, atol=1e-13)
        torch.testing.assert_close(home.basis, u.basis, rtol=0, atol=1e-13)
    u = mesh.frames(mesh.face_points(torch.tensor([0]), torch.tensor([[0.5, 0.0, 0.5]]).double()))
    right, up = u.basis[0, 1:]
    home = u
    for leg in (right, up, -right):
        home = mesh.carry(home, leg[None])
    torch.testing.assert_close(mesh.in_space(home.point), mesh.in_space(u.point), rtol=0, atol=1e-13)
    w = 0.1 * directions(5)
    quarter = torch.stack([-w[:, 1], w[:, 0]], -1)
    ends = [mesh.in_space(mesh.carry(f, legs).point) for f, legs in ((home, w), (u, quarter))]
    torch.testing.assert_close(*ends, rtol=0, atol=1e-12)


def test_vertices_have_the_same_angle_on_both_sides():
    """Along edges of an octahedron, from corner to corner: 120 degrees left and right, home after four."""
    mesh = octahedron()
    u = mesh.frames(mesh.vertex_points(torch.tensor([0])))
    fans = mesh.surface.fans
    for corner in (fans.vertex == 0).nonzero().flatten().tolist():
        angle = fans.stretch[0] * fans.start[corner]
        d = torch.stack([angle.cos(), angle.sin()])
        v = 4 * math.sqrt(2) * (u.basis[0, 1:].mT @ d)[None]
        half, home = mesh.carry(u, v * 0.625), mesh.carry(u, v * 1.125)
        there = mesh.in_space(torch.cat([half.point, home.point]))
        assert float(there.abs().amin(1).max()) < 1e-12  # on an edge
        torch.testing.assert_close(
            there[1], mesh.in_space(mesh.carry(u, v * 0.125).point)[0], rtol=0, atol=1e-12
        )
        w = 0.3 * directions(7)
        ends = [
            mesh.in_space(mesh.carry(Frame(f.point, f.basis), w).point)
            for f in (home, mesh.carry(u, v * 0.125))
        ]
        torch.testing.assert_close(*ends, rtol=0, atol=1e-12)


def test_edges_throw_back():
    """Beyond the boundary of a square lies its mirror image, and the frame is mirrored too."""
    mesh = flat_patch(6)
    b = torch.tensor([[0.2, 0.5, 0.3]]).double()
    points = torch.cat([mesh.face_points(torch.arange(30, 36), b.expand(6, 3)), mesh.vertex_points()])
    u, start = mesh.frames(points), mesh.in_space(points)
    v = 0.5 * directions(len(points))
    axis = 1e-6 * torch.eye(2).double()
    d = mesh.in_space(mesh.carry(u, axis[[0]].expand(len(points), -1)).point) - start
    inside = (start[:, :2] > 0.01).all(1) & (start[:, :2] < 0.99).all(1)
    E = torch.stack([d[:, 0], -d[:, 1], d[:, 1], d[:, 0]], -1).view(-1, 2, 2)[inside] / 1e-6
    there, u, v = mesh.carry(u.at(inside), v[inside]), u.at(inside), v[inside]
    flat = start[inside, :2] + (E @ v[..., None])[..., 0]
    out = ((flat < 0) | (flat > 1)).any(1)
    assert 10 < int(out.sum()) < len(out) - 10
    assert bool((mesh.contains(there.point) == ~out).all())
    folded = 1 - (1 - flat.remainder(2)).abs()
    seen = mesh.reflected(there)
    torch.testing.assert_close(mesh.in_space(seen.point)[:, :2], folded, rtol=0, atol=1e-9)
    turned = torch.linalg.det(seen.basis[:, 1:]) * torch.linalg.det(u.basis[:, 1:])
    odd = (flat.div(1, rounding_mode="floor").sum(1) % 2).double()
    torch.testing.assert_close(turned, 1 - 2 * odd, rtol=0, atol=1e-9)
    lost = mesh.rays(
        mesh.frames(mesh.vertex_points(torch.tensor([0]))), directions(200), torch.tensor([0.1]).double()
    )
    assert float(mesh.contains(lost.point).double().mean()) == pytest.approx(
        0.25, abs=0.1
    )  # a corner of the square


def test_lines_from_edges():
    """Those that lead off the surface come back mirrored at once; along an edge they stay on it."""
    mesh = flat_patch(6)
    rim = mesh.surface.fans.is_open.nonzero().flatten()
    u = mesh.frames(mesh.vertex_points(rim))
    there = mesh.carry(u, 0.1 * directions(len(rim)))
    turned = torch.linalg.det(there.basis[:, 1:]) * torch.linalg.det(u.basis[:, 1:])
    out = ~mesh.contains(there.point)
    assert 0.3 < float(out.double().mean()) < 0.8
    torch.testing.assert_close(turned, 1 - 2 * out.double(), rtol=0, atol=1e-12)
    total = mesh.surface.fans.total[rim]
    for angle in (0 * total, total):
        along = torch.stack([angle.cos(), angle.sin()], -1)
        d = (u.basis[:, 1:].mT @ along[..., None])[..., 0]
        p = mesh.in_space(mesh.reflected(mesh.carry(u, 0.1 * d)).point)
        off = torch.minimum(p[:, :2], 1 - p[:, :2]).amin(1)
        assert float(off.abs().max()) < 1e-12
        torch.testing.assert_close((p - mesh.vertices[rim]).norm(dim=-1), torch.full((len(p),), 0.1).double())


def test_once_round_the_strip_frames_are_mirrored():
    mesh = strip(12, 5, "moebius").with_structure("holonomy")
    u = mesh.frames(mesh.face_points(torch.tensor([20]), torch.tensor([[0.3, 0.4, 0.3]]).double()))
    h = mesh.gauge(u, mesh.carry(u, torch.tensor([[4.0, 0.0]]).double()))
    torch.testing.assert_close(h[0], torch.eye(2).double(), rtol=0, atol=1e-12)
    once = mesh.carry(u, torch.tensor([[2.0, 0.0]]).double())
    twice = mesh.carry(once, torch.tensor([[2.0, 0.0]]).double())
    torch.testing.assert_close(twice.point, u.point, rtol=0, atol=1e-12)
    across = mesh.frames(once.point)
    torch.testing.assert_close(mesh.gauge(across, once)[0].abs(), torch.eye(2).double(), rtol=0, atol=1e-12)
    assert float(
        torch.linalg.det(once.basis[0, 1:]) * torch.linalg.det(across.basis[0, 1:])
    ) == pytest.approx(-1)


def test_lines_end():
    """On slivers, on a cone of a thousand triangles, round a sharp tip: within bounded steps, and finite."""
    count = 1000
    angle = TURN * torch.arange(count).double() / count
    rim = torch.stack([1e-3 * angle.cos(), 1e-3 * angle.sin(), torch.ones_like(angle)], -1)
    i = torch.arange(count)
    needle = er.Mesh(
        torch.cat([torch.zeros(1, 3).double(), rim]), torch.stack([0 * i, 1 + i, 1 + (i + 1) % count], 1)
    )
    start = time.process_time()
    u = needle.frames(needle.vertex_points(torch.arange(1, 3)))
    there = needle.rays(u, directions(8), torch.linspace(0.1, 2, 5).double())
    assert bool(there.point.isfinite().all())
    assert time.process_time() - start < 10


def foreign(mesh, face, b, way):
    """End points of lines from points in faces, by the straightest lines of geometry-central."""
    potpourri3d = pytest.importorskip("potpourri3d")
    tracer = potpourri3d.GeodesicTracer(mesh.vertices.numpy(), mesh.faces.numpy())
    found = [
        tracer.trace_geodesic_from_face(int(f), weights, v)
        for f, weights, v in zip(face, b.numpy(), way.numpy(), strict=True)
    ]
    return torch.from_numpy(np.stack([line[-1] for line in found]))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["spot", "rocker-arm", "stanford-bunny"])
def test_lines_end_where_those_of_others_end(name):
    mesh = stored(name).repair()
    count, generator = 10_000, torch.Generator().manual_seed(0)
    face = torch.randint(len(mesh.faces), (count,), generator=generator)
    b = torch.rand(count, 3, generator=generator, dtype=torch.float64) + 0.05
    b = b / b.sum(1, keepdim=True)
    points = mesh.face_points(face, b)
    u = mesh.frames(points)
    reach = 10 * float(mesh.lengths.mean())
    e = directions(count)
    there = mesh.carry(u, reach * e)
    p = mesh.vertices[mesh.faces[face]]
    first = torch.nn.functional.normalize(p[:, 1] - p[:, 0], dim=-1)
    normal = torch.linalg.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0])
    second = torch.linalg.cross(torch.nn.functional.normalize(normal, dim=-1), first)
    d = (u.basis[:, 1:] @ e[..., None])[..., 0]
    ends = foreign(mesh, face, b, reach * (d[:, :1] * first + d[:, 1:] * second))
    within = mesh.contains(there.point)  # others end at a boundary
    off = (mesh.in_space(there.point) - ends).norm(dim=-1)[within] / reach
    assert float(within.double().mean()) > 0.8
    print(name, "largest", float(off.max()), "beyond 1e-9", int((off > 1e-9).sum()), "of", len(off))
    assert float((off > 1e-9).double().mean()) < 1e-3
    assert float(off.quantile(0.999)) < 1e-9


@pytest.mark.slow
def test_nodes_are_quick():
    """10,000 vertices, 64 nodes each up to 5 edges away, with frames; others find ends one by one."""
    potpourri3d = pytest.importorskip("potpourri3d")
    mesh = stored("rocker-arm").repair()
    u = mesh.frames(mesh.vertex_points(torch.arange(10_000)))
    t = torch.arange(8).double() * TURN / 8 + 0.1
    e = torch.stack([t.cos(), t.sin()], -1)
    r = torch.arange(1, 9).double() / 8 * 5 * mesh.lengths.mean()
    mesh.rays(u.at(slice(0, 100)), e, r)
    start = time.perf_counter()
    nodes = mesh.rays(u, e, r)
    ours = nodes.point[..., 0].numel() / (time.perf_counter() - start)
    tracer = potpourri3d.GeodesicTracer(mesh.vertices.numpy(), mesh.faces.numpy())
    way = np.array([1.0, 0.4, 0.2]) / math.hypot(1, 0.4, 0.2)
    start = time.perf_counter()
    for vertex in range(0, 10_000, 5):
        tracer.trace_geodesic_from_vertex(vertex, way * float(r[vertex // 5 % 8]))
    theirs = 2000 / (time.perf_counter() - start)
    print(f"nodes a second: {ours:.3g}, one by one {theirs:.3g}, ratio {ours / theirs:.1f}")
    assert ours > 8 * theirs  # 11 to 12 where nothing else runs
