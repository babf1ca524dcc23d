"""Files of volumes: NIfTI, stacks of TIFF and npz, with the spacing and the orientation that they tell."""

import gzip
import io
import math
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Num, UInt8

from erlangen.train.parts import Parts
from erlangen.train.room import machine_memory

Array = np.ndarray
Spacing = tuple[float, float, float]
NIFTI, TIFF, ARRAYS = (".nii", ".nii.gz"), (".tif", ".tiff"), (".npz",)
VOLUMES = (*NIFTI, *ARRAYS, *TIFF)
IMAGE_NAMES = ("image", "volume", "img", "data", "arr_0")  # of arrays in npz
MASK_NAMES = ("labels", "label", "mask", "masks", "seg", "segmentation", "arr_0")
CHANNELS = 64  # of a volume, at most
MILLIMETRES = {"mm": 1.0, "micron": 1e-3, "meter": 1e3}  # of NIfTI's units
STACKED = "ZIQTR"  # what tifffile calls the axis along which pages lie


@dataclass(frozen=True)
class VolumeFacts:
    """How a file holds its volume.

    Attributes:
        name: of the file.
        format: "NIfTI", "TIFF" or "npz".
        shape: voxels on each axis, as networks see them.
        channels: numbers at each voxel.
        dtype: NumPy's name of their kind.
        spacing: the step of each axis, in millimetres for NIfTI, else in the unit of the file; None where it
            does not say.
        orientation: where the axes of the file lead, such as "LPS"; empty where it does not say. Networks
            see those of NIfTI to the right, the front and the top, "RAS", as far as steps of the array do.
    """

    name: str
    format: str
    shape: tuple[int, int, int]
    channels: int
    dtype: str
    spacing: Spacing | None = None
    orientation: str = ""

    def __str__(self) -> str:
        parts = [f"{self.format}, {self.dtype}", "x".join(map(str, self.shape))]
        parts += [f"{self.channels} channels"] if self.channels > 1 else []
        parts += [self.orientation] if self.orientation else []
        return ", ".join(parts)


@dataclass(frozen=True, eq=False)
class Scan:
    """A volume, its axes as networks see them.

    Attributes:
        facts: how the file holds it.
        values: the exact numbers, ``(channel, *space)``.
    """

    facts: VolumeFacts
    values: Num[Array, "channel depth height width"]


Source = Path | Parts[VolumeFacts, Scan]  # of voxels: a file, or what is put together of some


@dataclass(frozen=True)
class _Format:
    """How files of one kind are read and written.

    Attributes:
        head: a file's facts, without its voxels.
        values: its voxels as they lie there, axes as networks see them.
        write: class indices as a file of its kind, with what else it says: steps, orientation, unit.
    """

    head: Callable[[Path, bool], VolumeFacts]
    values: Callable[[Path, VolumeFacts, bool], Array]
    write: Callable[[Path, Array], bytes]


def is_volume(path: Path) -> bool:
    """Whether a file's name is that of a volume; a TIFF is one if it has several pages."""
    name = path.name.lower()
    if name.startswith(".") or not name.endswith(VOLUMES) or path.is_dir():
        return False
    return not name.endswith(TIFF) or _pages(path) > 1


def ending_of(path: Path) -> str:
    """That of a volume's name, as it is spelled there: ``.nii.gz`` is one ending."""
    low = path.name.lower()
    ending = max((e for e in VOLUMES if low.endswith(e)), key=len, default=path.suffix)
    return path.name[len(path.name) - len(ending) :]


def stem_of(path: Path) -> str:
    """The name without its ending."""
    return path.name[: len(path.name) - len(ending_of(path))]


def examine_volume(path: Source, mask: bool = False) -> VolumeFacts:
    """How a file holds its volume, from its head.

    Args:
        path: the file.
        mask: whether of an npz's arrays that of the labels is meant.

    Raises:
        ValueError: naming the file, for what holds no volume.
        ImportError: where what reads such files is not installed, with the line that installs it.
    """
    if isinstance(path, Parts):
        return path.examine()
    with _named(path):
        facts = _format_of(path).head(path, mask)
        _expect_volume(facts)
    return facts


def read_volume(path: Source, mask: bool = False) -> Scan:
    """All that the file holds.

    Raises:
        ValueError: as `examine_volume`, and for a volume that is more than this machine's memory.
    """
    if isinstance(path, Parts):
        return path.read()
    facts = examine_volume(path, mask)
    size = facts.channels * math.prod(facts.shape) * 8  # as whatever numbers it is read
    free = machine_memory()[0]
    if free is not None and size > free:
        raise ValueError(
            f"{path} takes {size / 2**30:.3g} GiB of memory, expected at most the {free / 2**30:.3g} that "
            "are free; cut it into smaller volumes"
        )
    with _named(path):
        values = _format_of(path).values(path, facts, mask)
        if values.shape != (facts.channels, *facts.shape):
            raise ValueError(f"it holds {values.shape} numbers, expected {(facts.channels, *facts.shape)}")
    return Scan(facts, np.ascontiguousarray(values))


def written_like(path: Path, labels: UInt8[Array, "depth height width"]) -> bytes:
    """Class indices as a file of the same kind as a volume's, on the axes and with the steps that it has.

    Args:
        path: of the volume.
        labels: on the axes of `read_volume`.
    """
    with _named(path):
        return _format_of(path).write(path, labels)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Whatever a reader raises becomes one ValueError with the name of the file; Ctrl-C stays what it is."""
    try:
        yield
    except ImportError:
        raise
    except Exception as error:
        text = " ".join(str(error).split()) or type(error).__name__
        text = text.removeprefix(f"{path} ")
        raise ValueError(
            f"{path} cannot be read as a volume ({text}), expected NIfTI, a stack of TIFF, or npz; export it "
            "again, or take it away"
        ) from error


def _format_of(path: Path) -> _Format:
    name = path.name.lower()
    return FORMATS["nifti" if name.endswith(NIFTI) else "tiff" if name.endswith(TIFF) else "npz"]


def _expect_volume(facts: VolumeFacts) -> None:
    if 0 in facts.shape:
        raise ValueError(f"it has {facts.shape} voxels, expected some")
    if not 1 <= facts.channels <= CHANNELS:
        raise ValueError(f"it has {facts.channels} numbers at each voxel, expected 1 to {CHANNELS}")
    if np.dtype(facts.dtype).kind not in "buif":
        raise ValueError(f"its numbers are {facts.dtype}, expected whole or real ones")


def needed(module: str, extra: str) -> ModuleType:
    """A library that an extra installs.

    Raises:
        ImportError: with the line that installs it.
    """
    from importlib import import_module

    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{module} is not installed, which reads such files; pip install 'erlangen[{extra}]'"
        ) from error


# NIfTI


def _nifti(path: Path) -> Any:
    return needed("nibabel", "medical").load(path)


def _orientation(image: Any) -> Array:
    """Which axis of the result each axis of the file is, and whether it runs backwards, as nibabel says."""
    from nibabel import orientations

    return orientations.io_orientation(image.affine)


def _nifti_head(path: Path, _mask: bool) -> VolumeFacts:
    from nibabel import orientations

    image = _nifti(path)
    shape = image.shape
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) not in (3, 4):
        raise ValueError(f"it has {len(image.shape)} axes ({image.shape}), expected 3, or 4 with channels")
    if not np.isfinite(image.affine).all() or abs(np.linalg.det(image.affine[:3, :3])) == 0:
        raise ValueError("its affine is no invertible matrix, expected one")
    axes = _orientation(image)[:3, 0].astype(int)
    factor = MILLIMETRES.get(image.header.get_xyzt_units()[0], 1.0)
    steps = np.linalg.norm(image.affine[:3, :3], axis=0) * factor
    a, b, c = (int(np.flatnonzero(axes == axis)[0]) for axis in range(3))
    dtype = image.get_data_dtype()
    if dtype.kind in "iu" and (image.dataobj.slope, image.dataobj.inter) != (1.0, 0.0):
        dtype = np.dtype(np.float32)
    return VolumeFacts(
        path.name,
        "NIfTI",
        (shape[a], shape[b], shape[c]),
        shape[3] if len(shape) == 4 else 1,
        str(dtype),
        (float(steps[a]), float(steps[b]), float(steps[c])),
        "".join(orientations.aff2axcodes(image.affine)),
    )


def _nifti_values(path: Path, facts: VolumeFacts, _mask: bool) -> Array:
    from nibabel import orientations

    image = _nifti(path)
    values = np.asanyarray(image.dataobj).reshape(*image.shape[:3], facts.channels)
    values = orientations.apply_orientation(values, _orientation(image))
    values = values.astype(facts.dtype, copy=False)  # scaled numbers come in double precision
    return np.moveaxis(values, -1, 0)


def _write_nifti(path: Path, labels: Array) -> bytes:
    from nibabel import orientations

    image = _nifti(path)
    header = image.header.copy()
    header.set_data_dtype(np.uint8)
    header.set_slope_inter(1, 0)
    header["cal_min"] = header["cal_max"] = 0
    labels = orientations.apply_orientation(labels, _inverse(_orientation(image)))
    written = type(image)(np.ascontiguousarray(labels), image.affine, header).to_bytes()
    return gzip.compress(written, 6, mtime=0) if path.name.lower().endswith(".gz") else written


def _inverse(orientation: Array) -> Array:
    """What undoes a turn of axes: axis i goes back to where it came from, backwards if it came backwards."""
    undone = np.empty_like(orientation)
    for axis, (there, sign) in enumerate(orientation):
        undone[int(there)] = axis, sign
    return undone


# stacks of TIFF


def _pages(path: Path) -> int:
    from erlangen.train.tiff import read_layout

    try:
        return read_layout(path).pages
    except Exception:  # which is named where it is read
        return 1


def _series(file: Any) -> tuple[Any, str]:
    """The one stack of a file and what its axes are, those of length 1 left out."""
    if len(file.series) != 1:
        raise ValueError(f"it holds {len(file.series)} series of pages, expected one stack")
    series = file.series[0]
    kept = [(a, n) for a, n in zip(series.axes, series.shape, strict=True) if n > 1 or a in "YX"]
    axes = "".join(a for a, _ in kept)
    along = [a for a in axes if a in STACKED]
    if len(along) != 1 or "Y" not in axes or "X" not in axes or len(axes) > 4:
        raise ValueError(
            f"its axes are {series.axes} of {series.shape}, expected one stack (Z), rows and columns, and "
            "perhaps channels; save each time or place as a file of its own"
        )
    if len(axes) == 4 and not {"C", "S"} & set(axes):
        raise ValueError(f"its axes are {series.axes}, expected channels (C or S) beside Z, Y and X")
    return series, axes


def _tiff_head(path: Path, _mask: bool) -> VolumeFacts:
    with needed("tifffile", "microscopy").TiffFile(path) as file:
        series, axes = _series(file)
        lengths = dict(zip(series.axes, series.shape, strict=True))
        along = next(a for a in axes if a in STACKED)
        channel = next((a for a in axes if a in "CS"), None)
        shape = (lengths[along], lengths["Y"], lengths["X"])
        channels = lengths[channel] if channel else 1
        return VolumeFacts(path.name, "TIFF", shape, channels, str(series.dtype), _tiff_spacing(file))


def _tiff_values(path: Path, facts: VolumeFacts, _mask: bool) -> Array:
    with needed("tifffile", "microscopy").TiffFile(path) as file:
        series, axes = _series(file)
        values = series.asarray().reshape(
            [n for a, n in zip(series.axes, series.shape, strict=True) if n > 1 or a in "YX"]
        )
    order = [axes.index(a) for a in axes if a in "CS"]
    order += [next(i for i, a in enumerate(axes) if a in STACKED), axes.index("Y"), axes.index("X")]
    return values.transpose(order).reshape(facts.channels, *facts.shape)


def _tiff_spacing(file: Any) -> Spacing | None:
    """Steps that OME or ImageJ wrote; None where a file does not tell those of all axes."""
    if file.ome_metadata:
        from tifffile import xml2dict

        images = xml2dict(file.ome_metadata)["OME"]["Image"]
        pixels = (images[0] if isinstance(images, list | tuple) else images)["Pixels"]
        steps = [pixels.get(f"PhysicalSize{axis}") for axis in "ZYX"]
        units = {pixels.get(f"PhysicalSize{axis}Unit", "µm") for axis in "ZYX"}
        return _steps(steps) if len(units) == 1 else None
    told = (file.imagej_metadata or {}).get("spacing")
    tags = file.pages[0].tags
    if told is None or "XResolution" not in tags or "YResolution" not in tags:
        return None
    across = [tags[name].value for name in ("YResolution", "XResolution")]
    return _steps([told, *(d / n if n else None for n, d in across)])


def _steps(steps: list[Any]) -> Spacing | None:
    if any(step is None or not math.isfinite(float(step)) or float(step) <= 0 for step in steps):
        return None
    z, y, x = map(float, steps)
    return z, y, x


def _write_tiff(path: Path, labels: Array) -> bytes:
    tifffile, stream = needed("tifffile", "microscopy"), io.BytesIO()
    with tifffile.TiffFile(path) as file:
        spacing, told = _tiff_spacing(file), (file.imagej_metadata or {}).get("unit")
    unit = told if isinstance(told, str) else None
    about: dict[str, Any] = {"axes": "ZYX"} | ({"unit": unit} if unit else {})
    options: dict[str, Any] = {}
    if spacing is not None:
        about["spacing"] = spacing[0]
        options["resolution"] = (1 / spacing[2], 1 / spacing[1])
    tifffile.imwrite(stream, labels, imagej=True, metadata=about, **options)
    return stream.getvalue()


# npz


def _member(path: Path, mask: bool) -> tuple[str, tuple[int, ...], np.dtype]:
    """The array of an npz that is meant: its name, shape and dtype, from its head."""
    found = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            with archive.open(name) as member:
                version = np.lib.format.read_magic(member)
                read = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
                shape, _, dtype = read[version[0]](member)
                found[name.removesuffix(".npy")] = (shape, dtype)
    volumes = {name: head for name, head in found.items() if len(head[0]) in (3, 4)}
    named = [name for name in (MASK_NAMES if mask else IMAGE_NAMES) if name in volumes]
    chosen = named[:1] or (list(volumes) if len(volumes) == 1 else [])
    if not chosen:
        names = ", ".join(f"{name} {shape}" for name, (shape, _) in found.items()) or "nothing"
        wanted = (MASK_NAMES if mask else IMAGE_NAMES)[0]
        raise ValueError(
            f'it holds {names}, expected one array of 3 axes (or 4, channels first), or one named "{wanted}"'
        )
    return chosen[0], *volumes[chosen[0]]


def _npz_head(path: Path, mask: bool) -> VolumeFacts:
    _, shape, dtype = _member(path, mask)
    spacing = None
    with np.load(path, allow_pickle=False) as arrays:
        if "spacing" in arrays.files and arrays["spacing"].size == 3:
            spacing = _steps(arrays["spacing"].ravel().tolist())
    a, b, c = shape[-3:]
    return VolumeFacts(path.name, "npz", (a, b, c), shape[0] if len(shape) == 4 else 1, str(dtype), spacing)


def _npz_values(path: Path, facts: VolumeFacts, mask: bool) -> Array:
    with np.load(path, allow_pickle=False) as arrays:
        return arrays[_member(path, mask)[0]].reshape(facts.channels, *facts.shape)


def _write_npz(path: Path, labels: Array) -> bytes:
    spacing, stream = _npz_head(path, False).spacing, io.BytesIO()
    also: dict[str, Any] = {} if spacing is None else {"spacing": np.array(spacing)}
    np.savez_compressed(stream, labels=labels, **also)
    return stream.getvalue()


FORMATS = {
    "nifti": _Format(_nifti_head, _nifti_values, _write_nifti),
    "tiff": _Format(_tiff_head, _tiff_values, _write_tiff),
    "npz": _Format(_npz_head, _npz_values, _write_npz),
}
