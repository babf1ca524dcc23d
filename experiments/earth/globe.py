"""The Earth's fields, band-limited, and turned: ``(g f)(q) = f(g^{-1} q)``.

Data are those of `ERLANGEN_DATA` (default: ../shared/data), in its folder sphere.
"""

import os
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

import erlangen as er
from erlangen.domains import Samples

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("ERLANGEN_DATA", ROOT.parent / "shared" / "data")) / "sphere"
FINER = 4  # fields are turned on a grid so many times as fine
MONTHS = {"January": 0, "July": 1}


class Globe:
    """A Gauss-Legendre grid, and a finer one on which fields are turned.

    Args:
        degrees: the bandwidth, and the number of latitudes.
        fibre: samples of the fibre of the grid.
    """

    def __init__(self, degrees: int, fibre: int) -> None:
        self.degrees = degrees
        self.grid = er.Sphere().grid(degrees, rotations=fibre)
        self.finer = er.Sphere().grid(FINER * degrees)

    def turned(self, f: Tensor, g: Float[Tensor, "3 3"], field: str = "scalar") -> Tensor:
        """The field read at g^{-1} q, cubically on the finer grid; tangent vectors in their frames."""
        more = self.finer.degrees - self.degrees
        c = F.pad(self.grid.analyze(f.double(), field), (0, more, 0, more))
        moved = self.finer.act(g, self.finer.synthesize(c, field), field)
        return self._from(self.finer, moved, field).to(f)

    def _from(self, source: Samples, f: Tensor, field: str = "scalar") -> Tensor:
        L = self.degrees
        return self.grid.synthesize(source.analyze(f.double(), field)[..., :L, :L].contiguous(), field)

    def noise(self, n: int, generator: torch.Generator) -> Tensor:
        """Random fields ``(n, 1, j, k)`` of variance 1, all coefficients alike; rotations keep their law."""
        L = self.degrees
        parts = torch.randn(2, n, 1, L, L, generator=generator, dtype=torch.float64) / 2**0.5
        c = torch.complex(*parts).tril()
        c[..., 0] = parts[0, ..., 0] * 2**0.5
        return self.grid.synthesize(c * ((4 * torch.pi) ** 0.5 / L)).float()

    @cached_property
    def latitude(self) -> Tensor:
        """Its sine, a scalar field: the axis of the planet, that turns with it."""
        return self.grid.points[..., 2].float()

    def topography(self) -> Tensor:
        """Height ``(j, k)``, in standard deviations."""
        file = np.load(_there("earth_topo_1deg.npz"))
        source = er.Sphere().from_latlon(file["lat"], file["lon"])
        f = self._from(source, torch.from_numpy(file["height_m"]))
        mean = er.nn.mean(self.grid, f)
        return ((f - mean) / er.nn.mse_loss(self.grid, f, mean.expand_as(f)).sqrt()).float()

    def weather(self, month: str) -> tuple[Tensor, Tensor, list[int]]:
        """Geopotential about its mean ``(level, j, k)``, wind to south, east ``(level, 2, j, k)``, hPa."""
        file = np.load(_there("eraint_uvz.npz"))
        lat, lon = (file[name].astype(np.float64) for name in ("latitude", "longitude"))
        source = er.Sphere().from_latlon(lat, lon)
        z, u, v = (torch.from_numpy(file[name][MONTHS[month]]) for name in "zuv")
        z = self._from(source, z)
        wind = self._from(source, torch.stack([-v, u], 1), "vector")
        return (z - er.nn.mean(self.grid, z)[:, None, None]).float(), wind.float(), file["level"].tolist()


def _there(name: str) -> Path:
    file = DATA / name
    if not file.exists():
        raise SystemExit(f"{file} is not there; set ERLANGEN_DATA to the folder that holds sphere/{name}")
    return file
