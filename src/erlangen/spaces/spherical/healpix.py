"""HEALPix: 12 nside^2 pixels of one area, on 4 nside - 1 rings, in RING or in NESTED order."""

import math

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor


def healpix(
    nside: int, ring_weights: bool = False, nest: bool = False
) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n"]]:
    r"""The centres of the pixels, north to south, ring by ring, eastward from x; and their weights.

    Ring i of the north cap has 4 i pixels at ``z = 1 - i^2 / (3 nside^2)``, those of the belt 4 nside at
    ``z = 4/3 - 2 i / (3 nside)``.

    Args:
        nside: pixels along the side of each of the 12 base pixels.
        ring_weights: one weight for each ring, changed as little from the areas as exactness for zonal
            polynomials below degree 2 nside asks for; otherwise all pixels weigh the same.
        nest: in NESTED order, see `nested`.

    Reference: Gorski et al. 2005.
    """
    if not isinstance(nside, int) or nside < 1:
        raise ValueError(f"nside is {nside}, expected a whole number of at least 1")
    i = torch.arange(1, 4 * nside).double()
    north = torch.minimum(i, 4 * nside - i)
    cap = north < nside
    z = torch.where(cap, 1 - north**2 / (3 * nside**2), 4 / 3 - 2 * north / (3 * nside))
    z = torch.where(i > 2 * nside, -z, z)
    length = torch.where(cap, 4 * north, 4.0 * nside).long()
    half = cap | ((i.long() - nside) % 2 == 0)  # whether the first pixel lies half a step from x
    ring = torch.arange(len(i)).repeat_interleave(length)
    place = torch.arange(len(ring)) - (length.cumsum(0) - length)[ring]
    phi = 2 * math.pi * (place + half.double()[ring] / 2) / length[ring]
    rho = torch.sqrt((1 - z) * (1 + z))[ring]
    points = torch.stack([rho * phi.cos(), rho * phi.sin(), z[ring]], -1)
    share = torch.full((len(i),), 4 * math.pi / len(points), dtype=torch.float64)
    if ring_weights:
        share = share * _exact(z, length.double() * share / (2 * math.pi), 2 * nside - 1)
    weights = share[ring]
    if nest:
        order = nested(nside)
        return points[order], weights[order]
    return points, weights


def nested(nside: int) -> Int[Tensor, "n"]:
    """The places in RING order of the pixels in NESTED order, as healpy's ``nest2ring``.

    Pixel ``face nside^2 + k`` lies at (x, y) of the base pixel, from its south corner north-east and
    north-west: x has the even bits of k, y the odd ones.
    """
    if nside & (nside - 1):
        raise ValueError(
            f"nside is {nside} with nest=True, expected a power of 2, for pixels that are halved again and "
            "again; other maps lie in RING order: leave nest out"
        )
    face, k = (t.flatten() for t in torch.meshgrid(torch.arange(12), torch.arange(nside**2), indexing="ij"))
    x, y = torch.zeros_like(k), torch.zeros_like(k)
    for bit in range(nside.bit_length() - 1):
        x += (k >> 2 * bit & 1) << bit
        y += (k >> 2 * bit + 1 & 1) << bit
    row, column = face // 4, face % 4
    ring = (row + 2) * nside - x - y - 1  # from 1, at the north pole
    length = torch.minimum(torch.minimum(ring, 4 * nside - ring), torch.tensor(nside))  # a quarter of a ring
    south = ring > 3 * nside
    before = torch.where(ring < nside, 2 * length * (length - 1), 2 * nside * (2 * ring - nside - 1))
    before = torch.where(south, 12 * nside**2 - 2 * length * (length + 1), before)
    half = torch.where(
        (ring < nside) | south, 1, 1 - (ring - nside) % 2
    )  # the first pixel lies half a step on
    eighth = 2 * column + (row != 1)  # of the base pixel's middle, eastward
    return before + (eighth * length + x - y - half) // 2 % (4 * length)


def _exact(z: Tensor, areas: Tensor, degree: int) -> Tensor:
    """Factors of the rings' areas with ``sum_i factor_i area_i P_l(z_i) = 2 delta_l0`` to that degree."""
    P = torch.from_numpy(np.polynomial.legendre.legvander(z.numpy(), degree)).T[::2]  # odd ones cancel
    wanted = P.new_zeros(len(P))
    wanted[0] = 2.0
    scaled = P * areas
    return 1 + torch.linalg.solve(scaled @ P.T, wanted - P @ areas) @ P
