"""Maps as files bring them: missing values, NESTED order, arrays; spectra as others count them."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import erlangen as er
from erlangen.spaces.spherical.healpix import nested

sys.path.insert(0, str(Path(__file__).parent))
from rotations import Field, rotation

SPHERE = er.Sphere()
UNSEEN, NETCDF = -1.6375e30, 9.969209968386869e36
MISSING = {
    "NaN": (math.nan, "1 of 192 values of the field are NaN"),
    "inf": (math.inf, "1 of 192 values of the field are infinite"),
    "-inf": (-math.inf, "1 of 192 values of the field are infinite"),
    "UNSEEN": (UNSEEN, r"1 of 192 values of the field are UNSEEN \(-1.6375e30\)"),
    "netCDF": (NETCDF, "1 of 192 values of the field are the fill value of netCDF"),
}
READERS = {
    "analyze": lambda d, f: d.analyze(f),
    "spectrum": lambda d, f: d.spectrum(f),
    "act": lambda d, f: d.act(rotation(), f),
    "mean": lambda d, f: er.nn.mean(d, f),
    "loss": lambda d, f: er.nn.mse_loss(d, f, torch.zeros_like(f)),
    "global layer": lambda d, f: er.nn.Correlation(d, 1, 1).to(f.dtype)(f[None, None]),
    "local layer": lambda d, f: er.nn.Correlation(d, 1, 1, radius=0.9).to(f.dtype)(f[None, None]),
    "literal": lambda d, f: er.correlate(d, lambda v: torch.exp(-v.square().sum(-1)), f, radius=0.9),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", MISSING)
def test_missing_values_are_refused(name, dtype):
    value, message = MISSING[name]
    domain = SPHERE.healpix(4)
    f = domain.points[:, 2].clone().to(dtype)
    f[17] = value
    for reader in READERS.values() if dtype == torch.float64 else (READERS["analyze"], READERS["mean"]):
        with pytest.raises(ValueError, match=message + r".*domain.masked\(mask\), or mask="):
            reader(domain, f)
    seen = domain.masked(torch.arange(192) != 17)
    assert abs(float(er.nn.mean(seen, f))) < 0.02
    values = er.nn.Correlation(seen, 1, 1, radius=0.9, dtype=torch.float64)(f[None, None].double())
    assert float(values.detach().abs().max()) < 1e3


def test_all_kinds_of_missing_values_are_counted():
    f = torch.randn(1, 1, 192)
    f[..., 3:5], f[..., 7], f[..., 9] = math.nan, math.inf, UNSEEN
    with pytest.raises(ValueError, match="2 of 192 values of the field are NaN, 1 infinite, 1 UNSEEN"):
        er.nn.Correlation(SPHERE.healpix(4), 1, 1)(f)
    c = torch.zeros(1, 1, 2, 8, 8)
    c[..., 0, 0] = math.inf
    with pytest.raises(ValueError, match="2 of 128 values of the field are infinite"):
        er.nn.Lift(SPHERE.harmonics(8, rotations=3), 1, 1)(c)


def test_large_fields_that_lack_nothing_are_taken():
    domain = SPHERE.healpix(4)
    for scale in (1e28, -1e30, 1e35):
        c = domain.analyze(scale * (1 + domain.points[:, 2] / 9))
        assert bool(c.real.isfinite().all())


class DataArray:
    """What xarray's has of an array's."""

    def __init__(self, values):
        self.values, self.dims, self.dtype, self.shape = values, ("lat", "lon"), values.dtype, values.shape


def test_arrays_are_refused_with_the_way_to_tensors():
    domain = SPHERE.grid(8)
    f, a = np.zeros((8, 16), "f4"), DataArray(np.zeros((8, 16), "f4"))
    for reader in (
        domain.analyze,
        domain.spectrum,
        lambda f: er.nn.mean(domain, f),
        lambda f: domain.act(rotation(), f),
    ):
        with pytest.raises(
            ValueError, match=r"the field is a ndarray, expected a tensor: torch.from_numpy\(field\)"
        ):
            reader(f)
        with pytest.raises(
            ValueError, match=r"the field is a DataArray, .*: torch.from_numpy\(field.values\)"
        ):
            reader(a)
        with pytest.raises(ValueError, match=r"the field is a list, .*: torch.as_tensor\(field\)"):
            reader(f.tolist())
    with pytest.raises(
        ValueError, match=r"the coefficients is|the coefficients are|from_numpy\(coefficients\)"
    ):
        domain.synthesize(np.zeros((8, 8), "c16"))
    for make in (domain.masked, lambda mask: SPHERE.grid(8, mask=mask)):
        with pytest.raises(ValueError, match=r"mask is a DataArray, .*torch.from_numpy\(mask.values\)"):
            make(DataArray(f == 0))
    p = SPHERE.fibonacci(50).points.numpy()
    with pytest.raises(
        ValueError, match=r"points is a ndarray, expected a tensor: torch.from_numpy\(points\)"
    ):
        SPHERE.samples(p)
    with pytest.raises(ValueError, match=r"weights is a ndarray.*torch.from_numpy\(weights\)"):
        SPHERE.samples(torch.from_numpy(p), p[:, 0])


@pytest.mark.parametrize("nside", [1, 2, 8])
def test_nested_pixels_lie_where_their_bits_say(nside):
    """From the south corner of the base pixel, x the even bits and y the odd ones, in equal areas."""
    p = SPHERE.healpix(nside, nest=True).points.numpy()
    bits = nside.bit_length() - 1
    for pixel in range(len(p)):
        face, k = divmod(pixel, nside**2)
        text = f"{k:0{2 * bits + 2}b}"
        x, y = int(text[1::2], 2), int(text[::2], 2)
        down = face // 4 + 2 - (x + y + 1) / nside  # the north pole 0, the south pole 4
        cap = min(down, 4 - down)
        z = math.copysign(1 - cap**2 / 3, 2 - down) if cap < 1 else (2 - down) * 2 / 3
        phi = math.pi / 4 * (2 * (face % 4) + (face // 4 != 1) + (x - y) / nside / min(cap, 1))
        rho = math.sqrt(1 - z * z)
        np.testing.assert_allclose(p[pixel], [rho * math.cos(phi), rho * math.sin(phi), z], atol=1e-12)


def test_nested_maps_are_maps():
    """The layers, coarser samples and fields of RING order, with their pixels in another one."""
    options = {"degrees": 6, "rotations": 3}
    ring, nest = SPHERE.healpix(4, **options), SPHERE.healpix(4, nest=True, **options)
    order = (nest.points[:, None] - ring.points).square().sum(-1).argmin(1)
    assert torch.equal(ring.points[order], nest.points)
    assert order.tolist() != list(range(192))
    weighted = [SPHERE.healpix(4, nest=n, ring_weights=True).weights for n in (False, True)]
    assert torch.equal(weighted[0][order], weighted[1])
    assert torch.equal(nest.coarser().points, SPHERE.healpix(2, nest=True).points)
    f = Field("scalar", 6, 2)
    torch.testing.assert_close(ring.to(nest, f(ring)), f(nest), atol=1e-10, rtol=0)
    torch.testing.assert_close(nest.analyze(f(nest)), ring.analyze(f(ring)), atol=1e-10, rtol=0)
    net = er.models.UNet(ring, 2, 1, width=2, depth=1).double().eval()
    there = er.models.UNet(nest, 2, 1, width=2, depth=1).double().eval()
    there.load_state_dict(net.state_dict())
    y, z = net(f(ring)).detach(), there(f(nest)).detach()
    assert float(y.std()) > 1e-2
    torch.testing.assert_close(z, y[..., order], atol=1e-9, rtol=0)
    local = er.nn.Correlation(ring, 2, 1, radius=0.9, dtype=torch.float64)
    same = er.nn.Correlation(nest, 2, 1, radius=0.9, dtype=torch.float64)
    same.load_state_dict(local.state_dict())
    torch.testing.assert_close(same(f(nest)), local(f(ring))[..., order], atol=1e-11, rtol=0)


@pytest.mark.slow
def test_nested_order_is_healpys():
    healpy = pytest.importorskip("healpy")
    for nside in (1, 2, 4, 16, 64, 256):
        pixels = np.arange(12 * nside**2)
        p = SPHERE.healpix(nside, nest=True).points
        there = np.stack(healpy.pix2vec(nside, pixels, nest=True), -1)
        np.testing.assert_allclose(p.numpy(), there, rtol=0, atol=1e-12)
        np.testing.assert_array_equal(nested(nside).numpy(), healpy.nest2ring(nside, pixels))


@pytest.mark.slow
@pytest.mark.parametrize("spin", [1, 2])
def test_spectra_are_those_of_gradients_and_curls(spin):
    """``sum_m |E_lm|^2 + |B_lm|^2`` of maps that others synthesized, on every grid, and their integrals."""
    ducc0, healpy = pytest.importorskip("ducc0"), pytest.importorskip("healpy")
    L, field, rng = 16, ("vector", "spin2")[spin - 1], np.random.default_rng(spin)
    l, m = healpy.Alm.getlm(L - 1)
    alm = rng.standard_normal((2, len(l))) + 1j * rng.standard_normal((2, len(l)))
    alm = np.where(m == 0, alm.real, alm) * (l >= spin)
    twice = np.where(m == 0, 1, 2)  # m < 0 as well
    power = np.stack([(twice * np.abs(alm) ** 2).sum(0)[l == k].sum() for k in range(L)])
    rows = {"GL": SPHERE.grid(L), "CC": SPHERE.grid(2 * L + 1, 4 * L, kind="equiangular")}
    for geometry, grid in rows.items():
        size = {"ntheta": grid.shape[0], "nphi": grid.shape[1]}
        v = ducc0.sht.synthesis_2d(alm=alm, spin=spin, lmax=L - 1, geometry=geometry, **size)
        v = torch.from_numpy(v)
        found = grid.spectrum(v, field)[..., 0, :]
        np.testing.assert_allclose(found[:L].numpy(), power, rtol=1e-9, atol=1e-9)
        integral = (grid.weights * v.square().sum(0)).sum()
        np.testing.assert_allclose(float(found.sum()), float(integral), rtol=1e-9)
        if geometry == "GL":
            stay = SPHERE.harmonics(L)
            found = stay.spectrum(stay.analyze(v[None, None], field), field)[0, 0, 0]
            np.testing.assert_allclose(found.numpy(), power, rtol=1e-9, atol=1e-9)
    for nest in (False, True):
        maps = np.stack(healpy.alm2map_spin(alm, 16, spin, L - 1))
        maps = maps[:, healpy.nest2ring(16, np.arange(3072))] if nest else maps
        pixels = SPHERE.healpix(16, nest=nest, degrees=L)
        found = pixels.spectrum(torch.from_numpy(maps), field)[0]
        np.testing.assert_allclose(found.numpy(), power, rtol=1e-8, atol=1e-8)
