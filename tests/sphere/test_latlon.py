"""Latitudes and longitudes as files have them: found out, or refused with the mend."""

import math

import numpy as np
import pytest
import torch
from paths import DATA

import erlangen as er

SPHERE = er.Sphere()
LON = np.arange(24) * 15.0
LAT = 90 - np.arange(13) * 15.0


@pytest.mark.parametrize(
    ("lat", "kind", "count"),
    [
        (LAT, "equiangular", 13),
        (90 - (np.arange(12) + 0.5) * 15, "equiangular, no poles", 12),
        (np.rad2deg(np.arcsin(np.polynomial.legendre.leggauss(12)[0][::-1])), "gauss-legendre", 12),
    ],
)
def test_known_kinds_are_found_out(lat, kind, count):
    for lon in (LON, LON - 180, LON + 7.5):
        ball = SPHERE.from_latlon(lat.astype(np.float32), lon)
        known = SPHERE.grid(count, 24, kind=kind)
        assert torch.equal(ball.weights, known.weights)
        x = math.cos(math.radians(lat[3])) * math.cos(math.radians(lon[5]))
        assert float(ball.points[3, 5, 0]) == pytest.approx(x, abs=1e-6)
        assert float(ball.points[3, 5, 2]) == pytest.approx(math.sin(math.radians(lat[3])), abs=1e-6)


@pytest.mark.parametrize(
    ("lat", "count", "bands"),
    [
        (np.rad2deg(np.arcsin(np.polynomial.legendre.leggauss(48)[0][::-1])), 96, [48, 24, 12, 6]),
        (np.linspace(90, -90, 48), 96, [47, 23, 11, 5]),
        (90 - (np.arange(48) + 0.5) * 3.75, 96, [48, 24, 12, 6]),
        (np.linspace(88, -87, 32), 64, [None, 16, 8, 4]),
    ],
)
def test_half_of_the_rings_carry_half_of_the_band(lat, count, bands):
    ball = SPHERE.from_latlon(lat, np.arange(count) * 360 / count)
    for band in bands:
        assert band is None or ball.degrees == band
        ball = ball.coarser()


def test_an_asked_bandwidth_is_halved_as_far_as_the_rings_carry_it():
    ball = SPHERE.grid(36, 72, kind="equiangular", degrees=35)
    assert ball.coarser().degrees == 17
    assert SPHERE.grid(32, 64, degrees=31).coarser().degrees == 16


def test_other_first_meridians_read_and_correlate_right():
    here, there = SPHERE.from_latlon(LAT, LON), SPHERE.from_latlon(LAT, LON - 180)
    f = torch.randn(13, 24).double()
    f[[0, -1]] = f[[0, -1], :1]
    turn = torch.linalg.qr(torch.randn(3, 3).double())[0]
    torch.testing.assert_close(there.act(turn, f.roll(12, 1)), here.act(turn, f).roll(12, 1))
    layer = er.nn.Correlation(here, 1, 1, radius=0.6).double()
    other = er.nn.Correlation(there, 1, 1, radius=0.6).double()
    other.load_state_dict(layer.state_dict())
    y = layer(f[None, None])
    torch.testing.assert_close(other(f.roll(12, 1)[None, None]), y.roll(12, -1))


def names():
    return {
        "earth_topo_1deg": ("lat", "lon", (180, 360)),
        "eraint_uvz": ("latitude", "longitude", (241, 480)),
        "wind_mean": ("latitude", "longitude", (73, 144)),
    }


@pytest.mark.parametrize("name", names())
def test_climate_files_are_taken_as_they_are(name):
    path = DATA / "sphere" / f"{name}.npz"
    if not path.exists():
        pytest.skip(f"{path} is not here; set ERLANGEN_DATA to the folder that holds sphere/")
    lat, lon, shape = names()[name]
    with np.load(path) as file:
        ball = SPHERE.from_latlon(file[lat], file[lon])
    assert ball.shape == shape
    assert float(ball.weights.sum()) == pytest.approx(4 * math.pi)


@pytest.mark.parametrize(
    ("lat", "lon", "message"),
    [
        (LAT[::-1], LON, r"latitudes ascend.*lat\[::-1\] and the field with field.flip\(-2\)"),
        (
            np.deg2rad(LAT),
            np.deg2rad(LON),
            "looks like radians in lat and lon, expected degrees; convert with numpy.rad2deg",
        ),
        (np.deg2rad(LAT), LON, "looks like radians in lat, expected degrees"),
        (LAT, np.deg2rad(LON), "looks like radians in lon, expected degrees"),
        (
            np.delete(LAT, 6),
            LON,
            "between the latitudes 15 and -15 some are missing, expected steps of about 15",
        ),
        (90 - LAT, LON, "lat reaches 180, expected degrees north.*90 - lat"),
        (LAT[[0, 2, 1, *range(3, 13)]], LON, "latitudes are not in order.*sort them"),
        (LAT[3:10], LON, "latitudes run from 45 to -45, expected to reach the poles.*give mask="),
        (LAT, LON[::-1], r"longitudes descend, expected eastward; flip both"),
        (LAT, np.arange(25) * 15.0, r"first meridian comes twice, as 0 and 360.*field\[..., :-1\]"),
        (LAT, LON**1.02, "degrees apart, expected even steps"),
        (LAT, np.arange(12) * 15.0, "longitudes go 180 degrees round, expected 360.*give mask="),
        (LAT, np.arange(15) * 24.0, "there are 15 longitudes, expected an even number"),
        (np.tile(LAT[:, None], (1, 24)), LON, r"lat has shape \(13, 24\), expected one axis"),
        (np.where(LAT == 15, np.nan, LAT), LON, "lat has values that are not finite"),
    ],
)
def test_bad_axes_are_refused_with_the_mend(lat, lon, message):
    with pytest.raises(ValueError, match=message):
        SPHERE.from_latlon(lat, lon)
