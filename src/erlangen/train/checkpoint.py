"""Networks on disc: one safetensors file, with the recipe in its metadata. Loading runs no code."""

import hashlib
import json
import os
import reprlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from erlangen.train.predictor import Predictor, expect_predictor
from erlangen.train.recipe import build, expect_borne_out, expect_recipe, read_recipe, recipe_of
from erlangen.train.writing import make_folder, write_whole

FORMAT = 3
PAIR = 2  # the format before: the recipe in a file of its own
NAME, PAIRED = "model.safetensors", "model.json"
KEY = "erlangen"  # of the recipe, in the metadata
LONGEST = 8 * 2**20  # bytes of a header, or of a recipe
BLANK = "0" * 64  # in the place of the digest while it is computed
REALS = {"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32, "F64": torch.float64}
DTYPES = {**REALS, "I64": torch.int64}
Tensors = Mapping[str, tuple[torch.dtype, tuple[int, ...]]]  # what a file, or a network, holds


def save(model: Predictor, path: str | Path) -> Path:
    """Write a network as one file, by one rename: whoever reads finds the old one or the new one, whole.

    A digest (SHA-256) of recipe and weights goes with them. It shows damage; it is no signature, and keeps
    nobody from writing another network with a digest of its own.

    Args:
        model: what `fit` returns.
        path: a folder, made if it is missing, for ``path/model.safetensors``; or a name that ends in
            ``.safetensors``, in small letters or capitals. A link there is replaced, and what it points to
            stays as it is.

    Returns:
        The path.

    Raises:
        ValueError: for weights that are not finite, a network that is no UNet or Classifier on the plane
            or on volumes, or one that was changed after it was built.
        OSError: if the disc is full; what was there before is still there.
    """
    from safetensors.torch import save as pack

    expect_predictor(model)
    path = _as_path(path)
    recipe = {"format": FORMAT, "sha256": BLANK, **recipe_of(model)}
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    shell = build(recipe, model.net.domain)  # type: ignore[arg-type]
    try:
        _expect_like(shell, {name: (t.dtype, tuple(t.shape)) for name, t in state.items()})
    except ValueError as error:
        raise ValueError(
            f"this {type(model.net).__name__} was changed after it was built ({error}); build another"
        ) from error
    _expect_numbers(state, "the training diverged: take a smaller learning rate")
    packed = pack(state, {KEY: json.dumps(recipe)})
    packed = packed.replace(BLANK.encode(), hashlib.sha256(packed).hexdigest().encode(), 1)
    file = _file_of(path)
    make_folder(file.parent)
    write_whole(file, packed)
    _remove_pair(file)
    return path


def load(path: str | Path) -> Predictor:
    """The network that `save` wrote, in eval mode and in the dtype that it was saved in.

    Nothing in the file is trusted: the recipe must be within bounds, and names, shapes and dtypes must be
    those of its network, before anything is built or read; then the digest must be that of recipe and
    weights. Networks in the form before, with the recipe in ``model.json``, are read as well; their digest
    is of the weights only, so that a recipe which was edited shows only where it is out of bounds or does
    not fit the weights.

    Args:
        path: a folder with ``model.safetensors``, or such a file.

    Raises:
        ValueError: for what holds no network, one of another format, or one that is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load as unpack

    path = _as_path(path)
    try:
        file = path if path.is_file() else _file_of(path)
        older = _bytes_of_pair(file)  # first, since `save` removes it
        with open(_expect_file(file), "rb") as opened:
            header, text, tensors = _read_header(opened, file.name)
            recipe = _read_recipe(text, older)
            expect_borne_out(recipe, {name: shape for name, (_, shape) in tensors.items()})
            model = build(recipe)
            _expect_like(model, tensors)
            packed = header + opened.read()
        _expect_digest(packed, text, older)
        state = {name: tensor.clone() for name, tensor in unpack(packed).items()}
        _expect_numbers(state, "it is of no use: train again, at a smaller learning rate")
    except (OSError, ValueError, SafetensorError) as error:
        raise ValueError(
            f"{path} holds no network that can be read ({error}); expected the folder that `erlangen train` "
            f"wrote, or er.save, with {NAME}, or that file; copy it again, or read it with the version of "
            "erlangen that wrote it"
        ) from error
    model.load_state_dict(state, assign=True)
    return model.eval()


def _as_path(path: object) -> Path:
    if not isinstance(path, str | bytes | os.PathLike):
        raise ValueError(f"the path is a {type(path).__name__}, expected a str or Path")
    return Path(os.fsdecode(path))


def _file_of(path: Path) -> Path:
    """The file that a path stands for."""
    return path / NAME if path.is_dir() or path.suffix.lower() != ".safetensors" else path


def _expect_file(file: Path) -> Path:
    if not file.is_file():  # nor a pipe, which would not end
        raise ValueError(f"there is no file {file.name}")
    return file


def _bytes_of_pair(file: Path) -> bytes | None:
    """What stands in model.json beside the weights; None if there is none that can be read."""
    pair = file.with_name(PAIRED)
    if file.name != NAME or not pair.is_file():
        return None
    try:
        with open(pair, "rb") as opened:
            content = opened.read(LONGEST + 1)
    except OSError:
        return None
    return content if len(content) <= LONGEST else None


def _remove_pair(file: Path) -> None:
    """Take away the recipe of the network before, in the form before; no model.json of somebody else."""
    with suppress(OSError, ValueError):  # nobody reads it now
        recipe = read_recipe(_bytes_of_pair(file) or b"")
        if recipe.get("format") == PAIR and {"domain", "model", "task", "sha256"} <= set(recipe):
            file.with_name(PAIRED).unlink()


def _read_header(file: BinaryIO, name: str) -> tuple[bytes, str | None, Tensors]:
    """The bytes before the weights; the recipe in them, if there is one; names, dtypes and shapes."""
    size = os.fstat(file.fileno()).st_size
    start = file.read(8)
    length = int.from_bytes(start, "little")
    if not start:
        raise ValueError(f"{name} is empty, expected a header and weights")
    if len(start) == 8 and not 2 <= length <= LONGEST:
        raise ValueError(f"{name} begins with {start.hex()}, expected the length of a header")
    if len(start) < 8 or length > size - 8:
        raise ValueError(f"{name} was cut off: it has {size} bytes, expected a header and weights")
    header = file.read(length)
    entries = read_recipe(header.decode())
    metadata = entries.pop("__metadata__", {})
    text = metadata.get(KEY) if isinstance(metadata, dict) else None
    if text is not None and not isinstance(text, str):
        raise ValueError(f"the recipe is {reprlib.repr(text)}, expected text")
    tensors, end = {}, 0
    for key, entry in entries.items():
        dtype, shape, stop = _entry(key, entry)
        tensors[key], end = (dtype, shape), max(end, stop)
    whole = 8 + length + end
    if size != whole:
        happened = "was cut off" if size < whole else "had something added"
        raise ValueError(f"{name} {happened}: it has {size} bytes, expected {whole}")
    return start + header, text, tensors


def _entry(name: str, entry: object) -> tuple[torch.dtype, tuple[int, ...], int]:
    """Dtype, shape and end of a tensor, as the header says."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{name} is {reprlib.repr(entry)}, expected a dtype, a shape and offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    for numbers in (shape, offsets):
        if type(numbers) is not list or not all(type(n) is int and 0 <= n < 2**48 for n in numbers):
            raise ValueError(f"{name} has the shape or offsets {reprlib.repr(numbers)}, expected numbers")
    if type(dtype) is not str or dtype not in DTYPES or len(offsets) != 2:
        raise ValueError(f"{name} is {reprlib.repr(dtype)}, expected one of {', '.join(DTYPES)}")
    return DTYPES[dtype], tuple(shape), offsets[1]


def _read_recipe(text: str | None, older: bytes | None) -> dict[str, Any]:
    """The recipe from the metadata, else that of `older`, once it is within bounds."""
    if text is None and older is None:
        raise ValueError(f"its metadata holds no recipe, and there is no {PAIRED} beside it")
    form, recipe = (PAIR, read_recipe(older or b"")) if text is None else (FORMAT, read_recipe(text))
    if recipe.get("format") != form:
        raise ValueError(f"it has format {reprlib.repr(recipe.get('format'))}, expected {form}")
    recipe = {key: value for key, value in recipe.items() if key not in ("format", "sha256")}
    expect_recipe(recipe)
    return recipe


def _expect_digest(packed: bytes, text: str | None, older: bytes | None) -> None:
    """ValueError unless the digest is the file's, itself left blank; that of a pair is of its weights."""
    digest = read_recipe(older or b"" if text is None else text).get("sha256")
    if text is not None and isinstance(digest, str):
        packed = packed.replace(digest.encode(errors="replace"), BLANK.encode(), 1)
    if hashlib.sha256(packed).hexdigest() != digest:
        whose = f"{NAME} is not the file that {PAIRED} was written with; copy both" if text is None else ""
        raise ValueError(whose or "its digest is another: it was damaged, or edited, after it was saved")


def _expect_like(model: Predictor, tensors: Tensors) -> None:
    """ValueError unless these are the tensors of the model, the real ones of any one dtype."""
    expected = model.state_dict()
    wrong = [name for name in expected if name not in tensors or tensors[name][1] != expected[name].shape]
    wrong += [name for name in tensors if name not in expected]
    if wrong:
        raise ValueError(
            f"the weights do not fit the network of the recipe ({reprlib.repr(wrong[0])} first of "
            f"{len(wrong)}), expected the weights of that network"
        )
    real = {name for name, t in expected.items() if t.is_floating_point()}
    scale = real & {"mean", "std"}
    for names in (real - scale, scale):
        dtypes = {tensors[name][0] for name in names}
        if len(dtypes) != 1 or not dtypes <= set(REALS.values()):
            raise ValueError(
                f"the weights are {' and '.join(sorted(map(str, dtypes)))}, expected one of "
                f"{', '.join(map(str, REALS.values()))} for all; cast the whole model, by .float() or another"
            )
    for name in set(expected) - real:
        if tensors[name][0] != expected[name].dtype:
            raise ValueError(f"{name} is {tensors[name][0]}, expected {expected[name].dtype}")


def _expect_numbers(state: dict[str, Tensor], mend: str) -> None:
    broken = [name for name, t in state.items() if t.is_floating_point() and not t.isfinite().all()]
    if broken:
        raise ValueError(
            f"{len(broken)} tensors hold NaN or infinity ({broken[0]} first), expected finite weights; {mend}"
        )
    below = [name for name, t in state.items() if name.endswith("running_var") and (t < 0).any()]
    if below or not (state["std"] > 0).all():
        name = below[0] if below else "std"
        raise ValueError(f"{name} is {reprlib.repr(state[name].tolist())}, expected a spread above 0")
