"""Volumes as other programs write them: read in one order, written back as they came."""

import gzip
from itertools import permutations, product

import numpy as np
import pytest

from erlangen.train.volume_files import examine_volume, is_volume, read_volume, stem_of, written_like

nib = pytest.importorskip("nibabel")
tifffile = pytest.importorskip("tifffile")
SHAPE = (5, 4, 3)


def numbers(dtype=np.int16, shape=SHAPE):
    return np.random.default_rng(0).integers(0, 100, shape).astype(dtype)


def affine_of(axes, signs, steps=(1.0, 2.0, 3.0)):
    """File axis i leads along world axis ``axes[i]``, backwards where the sign is -1."""
    affine = np.eye(4)
    affine[:3, :3] = 0
    for i, (axis, sign, step) in enumerate(zip(axes, signs, steps, strict=True)):
        affine[axis, i] = sign * step
    affine[:3, 3] = (7, -8, 9)
    return affine


@pytest.mark.parametrize("axes", [*permutations(range(3))])
def test_nifti_of_any_orientation_is_seen_in_one_and_written_back_in_its_own(axes, tmp_path):
    for k, signs in enumerate(product((1, -1), repeat=3)):
        path, values = tmp_path / f"{k}.nii.gz", numbers()
        affine = affine_of(axes, signs)
        nib.save(nib.Nifti1Image(values, affine), path)
        scan = read_volume(path)
        for place in product(*map(range, SHAPE)):  # by the affine itself: further right, front, top is later
            world = affine @ [*place, 1]
            corner = affine_corner(affine)
            steps = np.array(scan.facts.spacing)
            seen = tuple(np.round((world[:3] - corner) / steps).astype(int))
            assert scan.values[(0, *seen)] == values[place]
        labels = (scan.values[0] > 50).astype(np.uint8)
        (tmp_path / "back.nii.gz").write_bytes(written_like(path, labels))
        back = nib.load(tmp_path / "back.nii.gz")
        assert np.array_equal(back.affine, affine)
        assert np.array_equal(np.asanyarray(back.dataobj), values > 50)
        assert back.get_data_dtype() == np.uint8


def affine_corner(affine):
    """The least coordinates of any voxel."""
    corners = [affine @ [*(np.array(c) * (np.array(SHAPE) - 1)), 1] for c in product((0, 1), repeat=3)]
    return np.min([c[:3] for c in corners], 0)


def test_nifti_units_slopes_and_channels(tmp_path):
    path = tmp_path / "a.nii"
    image = nib.Nifti1Image(numbers(np.int16, (*SHAPE, 2)), np.diag([2.0, 2.0, 5.0, 1.0]))
    image.header.set_xyzt_units("micron")
    nib.save(image, path)
    facts = examine_volume(path)
    assert facts.channels == 2
    assert facts.spacing == pytest.approx((2e-3, 2e-3, 5e-3))
    assert np.array_equal(read_volume(path).values, np.moveaxis(numbers(np.int16, (*SHAPE, 2)), -1, 0))
    image = nib.Nifti1Image(numbers().astype(np.float64) / 10 + 3, np.eye(4))
    image.header.set_data_dtype(np.int16)  # with a slope, then
    nib.save(image, path)
    assert read_volume(path).values[0] == pytest.approx(numbers() / 10 + 3, abs=1e-3)
    back = nib.Nifti1Image.from_bytes(written_like(path, np.ones(SHAPE, np.uint8)))
    assert (np.asanyarray(back.dataobj) == 1).all()  # without the slope


def test_stacks_of_tiff(tmp_path):
    path, values = tmp_path / "a.tif", numbers(np.uint16)
    about = {"axes": "ZYX", "spacing": 3.0, "unit": "um"}
    tifffile.imwrite(path, values, imagej=True, metadata=about, resolution=(1 / 0.5, 1 / 0.25))
    scan = read_volume(path)
    assert is_volume(path)
    assert np.array_equal(scan.values[0], values)
    assert scan.facts.spacing == pytest.approx((3.0, 0.25, 0.5))
    (tmp_path / "b.tif").write_bytes(written_like(path, (values > 50).astype(np.uint8)))
    back = read_volume(tmp_path / "b.tif")
    assert np.array_equal(back.values[0], values > 50)
    assert back.facts.spacing == pytest.approx((3.0, 0.25, 0.5))
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert file.imagej_metadata["unit"] == "um"
    about = {"axes": "ZCYX", "PhysicalSizeX": 1.0, "PhysicalSizeY": 1.0, "PhysicalSizeZ": 2.0}
    tifffile.imwrite(
        tmp_path / "c.ome.tif", numbers(np.uint8, (5, 2, 4, 3)), metadata=about, photometric="minisblack"
    )
    scan = read_volume(tmp_path / "c.ome.tif")
    assert scan.facts.spacing == (2.0, 1.0, 1.0)
    assert np.array_equal(scan.values, numbers(np.uint8, (5, 2, 4, 3)).swapaxes(0, 1))
    tifffile.imwrite(path, numbers(np.uint16, (5, 4, 6)))  # pages that say nothing
    assert examine_volume(path).spacing is None
    tifffile.imwrite(path, values[0])
    assert not is_volume(path)


def test_npz(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, image=numbers(np.float32), labels=numbers(np.uint8), spacing=[1, 2, 3])
    assert np.array_equal(read_volume(path).values[0], numbers(np.float32))
    assert np.array_equal(read_volume(path, mask=True).values[0], numbers(np.uint8))
    assert examine_volume(path).spacing == (1.0, 2.0, 3.0)
    (tmp_path / "b.npz").write_bytes(written_like(path, (numbers() > 50).astype(np.uint8)))
    assert np.array_equal(read_volume(tmp_path / "b.npz", mask=True).values[0], numbers() > 50)
    assert examine_volume(tmp_path / "b.npz").spacing == (1.0, 2.0, 3.0)


@pytest.mark.parametrize(
    ("name", "write", "says"),
    [
        ("a.nii.gz", lambda p: p.write_bytes(b"no"), "cannot be read as a volume"),
        ("a.nii.gz", lambda p: p.write_bytes(gzip.compress(b"0" * 400)), "cannot be read as a volume"),
        ("a.nii", lambda p: nib.save(nib.Nifti1Image(np.ones((3, 4), np.uint8), np.eye(4)), p), "2 axes"),
        (
            "a.nii",
            lambda p: nib.save(nib.Nifti1Image(np.ones((3, 4, 5, 2, 2), np.uint8), np.eye(4)), p),
            "5 axes",
        ),
        (
            "a.nii",
            lambda p: nib.save(nib.Nifti1Image(np.ones((3, 4, 5), np.complex64), np.eye(4)), p),
            "complex64",
        ),
        ("a.npz", lambda p: np.savez(p, x=np.ones((3, 4))), "expected one array of 3 axes"),
        ("a.npz", lambda p: np.savez(p, x=np.ones((3, 4, 2)), y=np.ones((3, 4, 2))), 'named "image"'),
        ("a.npz", lambda p: np.savez(p, image=np.array([[[{}]]], object)), "object, expected whole or real"),
        ("a.npz", lambda p: p.write_bytes(b"PK\x03\x04"), "cannot be read as a volume"),
        (
            "a.tif",
            lambda p: tifffile.imwrite(
                p, np.ones((2, 3, 4, 5), np.uint8), imagej=True, metadata={"axes": "TZYX"}
            ),
            "save each time",
        ),
    ],
)
def test_what_holds_no_volume_is_named(name, write, says, tmp_path):
    path = tmp_path / name
    write(path)
    with pytest.raises(ValueError, match=says) as error:
        read_volume(path)
    assert str(path) in str(error.value)


def test_a_volume_larger_than_memory_is_refused_before_it_is_read(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    np.savez(path, numbers())
    monkeypatch.setattr("erlangen.train.volume_files.machine_memory", lambda: (100, 100))
    with pytest.raises(ValueError, match="cut it into smaller volumes"):
        read_volume(path)


def test_names():
    from pathlib import Path

    assert stem_of(Path("x/a.b.nii.gz")) == "a.b"
    assert stem_of(Path("x/A.NII")) == "A"
    assert stem_of(Path("x/a.tif")) == "a"
