"""Latitude and longitude arrays, as files of climate data have them, made into rings."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from erlangen.spaces.spherical.latitudes import KINDS, Latitudes, fitted

NEAR = 1e-3  # degrees: files often round to float32


def recognized(lat: Any, lon: Any) -> tuple[Latitudes, int, float]:
    """The latitudes, of a known kind if they are, the number of longitudes, and the first in radians.

    Args:
        lat: degrees north, from north to south.
        lon: degrees east, eastward, evenly once around.

    Raises:
        ValueError: for radians, other orders, gaps, a repeated meridian, missing polar regions.
    """
    lat, lon = _line("lat", lat), _line("lon", lon)
    _refuse_radians(lat, lon)
    _refuse_latitudes(lat)
    first = _longitudes(lon)
    theta = torch.deg2rad(90 - lat)
    for rule in KINDS.values():
        known = rule(len(lat))
        if float((known.theta - theta).abs().max()) < math.radians(NEAR):
            return known, len(lon), first
    return fitted(theta), len(lon), first


def _line(name: str, values: Any) -> Tensor:
    if isinstance(values, Tensor):
        values = values.detach().cpu()
    line = torch.tensor(np.asarray(values).tolist(), dtype=torch.float64)
    if line.dim() != 1 or len(line) < 2:
        raise ValueError(
            f"{name} has shape {tuple(line.shape)}, expected one axis of at least 2; a grid is given by its "
            f"two axes, such as {name}=array[:, 0]; scattered places go to er.Sphere().samples"
        )
    if not bool(torch.isfinite(line).all()):
        raise ValueError(f"{name} has values that are not finite, expected degrees; drop these rows")
    return line


def _refuse_radians(lat: Tensor, lon: Tensor) -> None:
    if float(lat.abs().max()) > 90 + NEAR:
        raise ValueError(
            f"lat reaches {float(lat.abs().max()):g}, expected degrees north from 90 to -90; colatitudes are "
            "90 - lat, and if the arguments are exchanged, exchange them"
        )
    turn = float((lon.max() - lon.min()) * len(lon) / (len(lon) - 1))
    reach = float(lat.abs().max())
    small, nearly = reach <= math.pi / 2 + 1e-6, abs(turn - 2 * math.pi) < 0.1
    radians = ["lat"] * (small and reach > math.pi / 2 - 0.4) + ["lon"] * nearly
    if small and turn < 2 * math.pi + 0.1:
        radians = ["lat", "lon"]
    if radians:
        raise ValueError(
            f"lat reaches {reach:.4g} and lon goes {turn:.4g} round, which looks like radians in "
            f"{' and '.join(radians)}, expected degrees; convert with numpy.rad2deg"
        )


def _refuse_latitudes(lat: Tensor) -> None:
    steps = lat[1:] - lat[:-1]
    if bool((steps > 0).all()):
        raise ValueError(
            "the latitudes ascend, expected from north to south; flip both: lat = lat[::-1] and the field "
            "with field.flip(-2)"
        )
    if not bool((steps < 0).all()):
        raise ValueError(
            "the latitudes are not in order, expected from north to south; sort them, and the field"
        )
    gap = 1.5 * float(-steps.min())
    missing = (-steps > 1.5 * -steps.median()).nonzero().flatten()
    if len(missing):
        i = int(missing[0])
        raise ValueError(
            f"between the latitudes {float(lat[i]):g} and {float(lat[i + 1]):g} some are missing, expected "
            f"steps of about {float(-steps.median()):g}; put in those rings, and give mask= to hide them"
        )
    north, south = 90 - float(lat[0]), 90 + float(lat[-1])
    if max(north, south) > gap:
        raise ValueError(
            f"the latitudes run from {float(lat[0]):g} to {float(lat[-1]):g}, expected to reach the poles up "
            f"to {gap:g} degrees, the rings' own distance; put the window into an array of the whole sphere, "
            "and give mask= to hide the rest"
        )


def _longitudes(lon: Tensor) -> float:
    n = len(lon)
    steps = (lon[1:] - lon[:-1]) % 360
    step = 360 / n
    if float(steps.median()) > 180:
        raise ValueError("the longitudes descend, expected eastward; flip both: lon[::-1] and field.flip(-1)")
    if abs(float(lon[-1] - lon[0])) > 360 - NEAR and abs(float(steps.median()) * (n - 1) - 360) < 1e-2 * n:
        raise ValueError(
            f"the first meridian comes twice, as {float(lon[0]):g} and {float(lon[-1]):g}, expected once; "
            "drop the last column of the field and of lon: field[..., :-1]"
        )
    apart = float((steps - steps.median()).abs().max())
    if apart > 10 * NEAR:
        raise ValueError(
            f"the longitudes are {float(steps.min()):g} to {float(steps.max()):g} degrees apart, expected "
            "even steps; scattered places go to er.Sphere().samples"
        )
    if (
        abs(float(steps.median()) - step) > 10 * NEAR / n + 1e-9
        and abs(float(steps.sum() + steps.median()) - 360) > 0.1
    ):
        raise ValueError(
            f"the longitudes go {float(steps.sum() + steps.median()):g} degrees round, expected 360; put the "
            "window into an array of the whole sphere, and give mask= to hide the rest"
        )
    if n % 2:
        raise ValueError(
            f"there are {n} longitudes, expected an even number: beyond a pole every meridian goes on as "
            "another one; interpolate to an even number, or give the places to er.Sphere().samples"
        )
    return math.radians(float(lon[0]))
