"""Band-limited fields moved by any rotation: evaluated at g^{-1} u, never by the library's own harmonics."""

import torch
from torch import Tensor

from erlangen.geometry import Frame


def rotation() -> Tensor:
    q, r = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))
    q = q * r.diagonal().sign()
    return q if torch.linalg.det(q) > 0 else -q


class Field:
    """A random field of harmonics of degree < L: a polynomial in the entries of the frame."""

    def __init__(self, kind: str, L: int, channels: int, band: int = 0) -> None:
        self.kind, self.band, terms = kind, band, 12
        self.a = torch.randn(terms, channels, dtype=torch.float64)
        self.p = torch.nn.functional.normalize(torch.randn(terms, 3, dtype=torch.float64), dim=1)
        self.e = torch.randn(terms, 3, dtype=torch.float64)
        least = max(band, {"vector": 1, "spin2": 2}.get(kind, 0))
        self.i = torch.randint(0, L - least, (terms,))
        self.i[0] = L - 1 - least
        self.j = torch.randint(0, band + 1, (terms,))
        self.j[0] = band

    def __call__(self, domain, g: Tensor | None = None) -> Tensor:
        """``(g F)(u)`` at the frames of the domain, ``(1, channel, [fibre,] *space)``."""
        u = domain.frames if g is None else domain.geometry.act(g.T, domain.frames)
        powers = (u.point @ self.p.T) ** self.i  # (*space, t)
        if self.kind == "scalar":
            return (powers @ self.a).movedim(-1, 0)[None]
        along = torch.einsum("...md,tm->...td", u.basis, self.e)
        if self.kind == "vector":
            return torch.einsum("...t,...td,tc->cd...", powers, along, self.a)[None]
        if self.kind == "spin2":
            x, y = along.unbind(-1)
            tensor = torch.stack([x * x - y * y, 2 * x * y], -1)
            return torch.einsum("...t,...td,tc->cd...", powers, tensor, self.a)[None]
        first = torch.einsum("...td,hd->...ht", along, domain.fibre.elements[..., 0])
        return torch.einsum("...t,...ht,tc->ch...", powers, first**self.j, self.a)[None]


def values_at(f: Tensor, kind: str, domain, g: Tensor) -> Tensor:
    """``F(g^{-1} u)`` of a band-limited field given by its samples: fitted by D^l_mn, evaluated there."""
    L = domain.degrees
    band = {"scalar": [0], "vector": [-1, 1], "spin2": [-2, 2]}.get(kind) or list(
        range(-domain.fibre.default_band, domain.fibre.default_band + 1)
    )
    turns = {
        "scalar": torch.eye(2).double()[None],
        "vector": torch.tensor([[[1.0, 0], [0, 1]], [[0, -1.0], [1, 0]]]).double(),
        "spin2": torch.tensor([[[1.0, 0], [0, 1]], [[0.5**0.5, -(0.5**0.5)], [0.5**0.5, 0.5**0.5]]]).double(),
    }
    h = domain.fibre.elements if kind == "regular" else turns[kind]

    def waves(u: Frame) -> Tensor:
        R = torch.cat([u.basis, u.point[..., None]], -1)[..., None, :, :]
        turn = torch.eye(3).double().repeat(len(h), 1, 1)
        turn[:, :2, :2] = h
        R = (R @ turn).flatten(0, -3)  # (frame, 3, 3)
        beta = torch.atan2(torch.hypot(R[:, 0, 2], R[:, 1, 2]), R[:, 2, 2])
        pole = torch.sin(beta).abs() < 1e-12  # where only alpha + gamma, or their difference, is there
        alpha = torch.where(pole, 0.0, torch.atan2(R[:, 1, 2], R[:, 0, 2]))
        at_pole = torch.atan2(R[:, 1, 0], R[:, 2, 2].sign() * R[:, 0, 0])
        gamma = torch.where(pole, at_pole, torch.atan2(R[:, 2, 1], -R[:, 2, 0]))
        return torch.cat([_rows(l, band, alpha, beta, gamma) for l in range(L)], 1)

    here, there = waves(domain.frames), waves(domain.geometry.act(g.T, domain.frames))
    values = f if kind == "scalar" else f.movedim(2, -1)
    flat = values.reshape(-1, len(here)).T + 0j
    found = there @ torch.linalg.lstsq(here, flat, driver="gelsd").solution
    moved = found.real.T.reshape(values.shape)
    return moved if kind == "scalar" else moved.movedim(-1, 2)


def _rows(l: int, band: list[int], alpha: Tensor, beta: Tensor, gamma: Tensor) -> Tensor:
    """conj D^l_mn for all m and the n of the band, from the exponential of J_y."""
    m = torch.arange(-l, l + 1).double()
    up = torch.zeros(2 * l + 1, 2 * l + 1, dtype=torch.complex128)
    up[range(1, 2 * l + 1), range(2 * l)] = torch.sqrt(l * (l + 1) - m[:-1] * (m[:-1] + 1)) + 0j
    J = (up - up.conj().T) / 2j
    w, v = torch.linalg.eigh(J)
    d = torch.einsum("ma,ja,na->jmn", v, torch.exp(-1j * beta[:, None] * w.round()), v.conj()).real
    n = torch.tensor([k for k in band if abs(k) <= l])
    if not len(n):
        return torch.zeros(len(alpha), 0, dtype=torch.complex128)
    D = d[:, :, n + l] * torch.exp(1j * (alpha[:, None, None] * m[:, None] + gamma[:, None, None] * n))
    return D.flatten(1)
