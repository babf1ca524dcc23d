"""The icosahedral grid: the vertices of an icosahedron whose faces are halved again and again."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor


def icosahedron(level: int) -> tuple[Float[Tensor, "n 3"], Int[Tensor, "f 3"]]:
    """10 4^level + 2 points and the 20 4^level faces; those of a level come first among those of the next.

    At level 0 the twelve vertices, the first at the north pole.
    """
    if level < 0:
        raise ValueError(f"level is {level}, expected 0 (the icosahedron's own vertices) or more")
    z, rho = 1 / math.sqrt(5), 2 / math.sqrt(5)
    upper = [(rho * math.cos(a), rho * math.sin(a), z) for a in (2 * math.pi * k / 5 for k in range(5))]
    lower = [
        (rho * math.cos(a), rho * math.sin(a), -z) for a in (math.pi * (2 * k + 1) / 5 for k in range(5))
    ]
    p = torch.tensor([(0.0, 0.0, 1.0), *upper, *lower, (0.0, 0.0, -1.0)], dtype=torch.float64)
    faces = []
    for k in range(5):
        a, b, c, d = 1 + k, 1 + (k + 1) % 5, 6 + k, 6 + (k + 1) % 5
        faces += [(0, a, b), (a, c, b), (b, c, d), (c, 11, d)]
    f = torch.tensor(faces)
    for _ in range(level):
        p, f = _halved(p, f)
    return p, f


def _halved(p: Tensor, f: Tensor) -> tuple[Tensor, Tensor]:
    edges = torch.stack([f, f.roll(-1, 1)], -1).sort(-1).values  # (f, 3, 2)
    unique, middle = torch.unique(edges.flatten(0, 1), dim=0, return_inverse=True)
    m = p[unique].sum(1)
    ab, bc, ca = (len(p) + middle.view(-1, 3)).unbind(1)
    a, b, c = f.unbind(1)
    parts = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
    finer = torch.stack([torch.stack(part, -1) for part in parts], 1).flatten(0, 1)
    return torch.cat([p, m / m.norm(dim=-1, keepdim=True)]), finer
