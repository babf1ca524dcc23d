"""Meshes to test on, made here."""

import itertools
import math

import numpy as np
import torch
from paths import DATA

import erlangen as er


def mesh(vertices, faces, scale=1.0):
    return er.Mesh(scale * torch.tensor(vertices, dtype=torch.float64), torch.as_tensor(faces))


def hull(vertices, scale=1.0):
    """A convex body of equal triangles, turned outwards."""
    v = torch.tensor(vertices, dtype=torch.float64)
    near = min((a - b).norm().item() for a, b in itertools.combinations(v, 2)) * (1 + 1e-9)
    faces = []
    for a, b, c in itertools.combinations(range(len(v)), 3):
        if all((v[i] - v[j]).norm() <= near for i, j in ((a, b), (b, c), (a, c))):
            outward = torch.linalg.det(v[[a, b, c]]) > 0
            faces.append([a, b, c] if outward else [a, c, b])
    return er.Mesh(scale * v, torch.tensor(faces))


def tetrahedron(scale=1.0):
    return hull([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], scale)


def octahedron(scale=1.0):
    return hull([[s * (i == j) for j in range(3)] for i in range(3) for s in (1, -1)], scale)


def icosahedron(scale=1.0):
    golden = (1 + math.sqrt(5)) / 2
    corners = [np.roll([0, s, t * golden], i).tolist() for i in range(3) for s in (1, -1) for t in (1, -1)]
    return hull(corners, scale)


def cube(scale=1.0):
    corners = list(itertools.product((0, 1), repeat=3))
    squares = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
    return mesh(corners, [t for a, b, c, d in squares for t in ([a, b, c], [a, c, d])], scale)


def icosphere(level, scale=1.0):
    """Every face in four, level times, the corners on the sphere."""
    start = icosahedron()
    v, f = start.vertices, start.faces
    for _ in range(level):
        pairs = torch.stack([f, f.roll(-1, 1)], -1).flatten(0, 1).sort(1).values
        edges, which = pairs.unique(dim=0, return_inverse=True)
        middle = (which + len(v)).view(-1, 3)
        v = torch.cat([v, v[edges].mean(1)])
        (a, b, c), (x, y, z) = f.unbind(1), middle.unbind(1)
        f = torch.cat([torch.stack(t, 1) for t in ((a, x, z), (b, y, x), (c, z, y), (x, y, z))])
    return er.Mesh(scale * torch.nn.functional.normalize(v, dim=-1), f)


def strip(m, n, glue, width=1.0, length=2.0):
    """A flat band of m x n squares cut in two, by lengths: "open", "cylinder", "moebius" or "klein"."""
    i, j = torch.meshgrid(torch.arange(m), torch.arange(n), indexing="ij")

    def number(i, j):
        over = (i == m) & (glue != "open")
        i, j = torch.where(over, 0, i), torch.where(over & (glue in ("moebius", "klein")), n - j, j)
        j = j % n if glue == "klein" else j
        return i * (n + 1) + j

    a, b, c, d = number(i, j), number(i + 1, j), number(i + 1, j + 1), number(i, j + 1)
    faces = torch.stack([torch.stack([a, b, c], -1), torch.stack([a, c, d], -1)], 2).view(-1, 3)
    x, y = length / m, width / n
    lengths = torch.tensor([[x, y, math.hypot(x, y)], [math.hypot(x, y), x, y]], dtype=torch.float64)
    lengths = lengths.repeat(m * n, 1)
    return er.Mesh(faces=faces, lengths=lengths)


def torus(m, n, big=2.0, small=0.7, flip=False):
    """A torus of revolution; with `flip` a Klein bottle by its lengths, one way round mirrored."""
    i, j = torch.meshgrid(torch.arange(m), torch.arange(n), indexing="ij")

    def number(i, j):
        j = torch.where((i == m) & flip, -j, j)
        return (i % m) * n + j % n

    a, b, c, d = number(i, j), number(i + 1, j), number(i + 1, j + 1), number(i, j + 1)
    faces = torch.stack([torch.stack([a, b, c], -1), torch.stack([a, c, d], -1)], 2).view(-1, 3)
    p, q = 2 * math.pi * torch.arange(m).double()[:, None] / m, 2 * math.pi * torch.arange(n).double() / n
    r = big + small * q.cos()
    v = torch.stack([r * p.cos(), r * p.sin(), (small * q.sin()).expand(m, n)], -1).flatten(0, 1)
    return er.Mesh(v, faces)


def stored(name):
    """A mesh of the data, its vertices in use only."""
    if not (DATA / "meshes" / f"{name}.npz").exists():
        import pytest

        pytest.skip("the meshes are not here; set ERLANGEN_DATA")
    z = np.load(DATA / "meshes" / f"{name}.npz")
    return er.Mesh(torch.from_numpy(z["v"]).double(), torch.from_numpy(z["f"]).long())


def flat_patch(n, seed=0):
    """The unit square in space, triangles of jittered points."""
    x, y = (t.flatten() for t in torch.meshgrid(torch.arange(n + 1.0), torch.arange(n + 1.0), indexing="ij"))
    v = torch.stack([x, y, 0 * x], -1).double()
    inside = ((v[:, :2] > 0) & (v[:, :2] < n)).all(1)
    jitter = torch.rand(len(v), 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 0.5
    v[:, :2] += 0.5 * jitter * inside[:, None]
    i, j = (t.flatten() for t in torch.meshgrid(torch.arange(n), torch.arange(n), indexing="ij"))
    a, b, c, d = i * (n + 1) + j, (i + 1) * (n + 1) + j, (i + 1) * (n + 1) + j + 1, i * (n + 1) + j + 1
    return er.Mesh(v / n, torch.stack([a, b, c, a, c, d], 1).view(-1, 3))


def relative(a, b):
    """How far a is from b, beside how much b varies."""
    return ((a - b).norm() / (b - b.mean()).norm()).item()
