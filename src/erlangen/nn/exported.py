"""Networks as files that run without this library: for photographs of every size, in any batch."""

import json
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from erlangen.arguments import checked

NAME = "about.json"  # of the notes, in a .pt2; in an .onnx they are metadata of the model
INSTALL = 'pip install "erlangen[export]"'


@checked
def export(
    module: nn.Module,
    path: str | Path,
    example: Tensor | None = None,
    *,
    notes: Mapping[str, Any] | None = None,
) -> Path:
    r"""Write a network as one file that runs without this library, for any batch, and on images any size.

    The name's ending says what is written: ``.pt2``, which `torch.export.load` reads, or ``.onnx``, for ONNX
    Runtime and others. Where a domain has a shape, so has the file; on images height and width are free, odd
    or even. What a trained network does to colours is in the file:
    images in [0, 1] come in, logits come out.

    Args:
        module: in eval mode, as the file will be. ``er.freeze(module)`` makes a smaller one.
        path: ends in .pt2 or .onnx; a file of that name is replaced when the new one is whole.
        example: an input, with a batch of two at least; None makes one for networks.
        notes: what else the file says of itself, in JSON, under "about.json": of the ``extra_files`` of
            `torch.export.load`, or of ``session.get_modelmeta().custom_metadata_map``.

    Raises:
        ValueError: for another ending, a module in training, an example of one image, no example where none
            can be made, exact_shifts, and for .onnx operations that ONNX does not have.
        ImportError: for .onnx without its packages.

    Example:
        >>> import tempfile, torch, erlangen as er
        >>> net = er.models.UNet(er.Plane(rotations=4), 3, 1, width=2, depth=1, kernel_size=3).eval()
        >>> file = er.export(net, tempfile.mkdtemp() + "/net.pt2")
        >>> torch.export.load(file).module()(torch.randn(1, 3, 21, 16)).shape
        torch.Size([1, 1, 21, 16])
    """
    path = Path(path)
    if path.suffix not in (".pt2", ".onnx"):
        raise ValueError(f"the file is {path.name!r}, expected a name that ends in .pt2 or .onnx")
    if any(part.training for part in module.modules()):
        raise ValueError(
            f"{type(module).__name__} is in training, where norms look at the batch, expected it as it will "
            "be used; call .eval() on it first"
        )
    if any(getattr(part, "exact_shifts", False) for part in module.modules()):
        raise ValueError(
            f"{type(module).__name__} has exact_shifts, whose phases torch traces for one batch only, "
            "expected a network without; for one shape take torch.export.export(net, (example,))"
        )
    program = _traced(module, _example(module) if example is None else example)
    said = json.dumps(dict(notes or {}))
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        if path.suffix == ".pt2":
            with warnings.catch_warnings():  # of parameters that share a storage, which stay as they are
                warnings.simplefilter("ignore", UserWarning)
                torch.export.save(program, part, extra_files={NAME: said})
        else:
            _write_onnx(program, part, said, type(module).__name__)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return path


def _example(module: nn.Module) -> Tensor:
    """Two images, or fields, as a network takes them."""
    net: Any = getattr(module, "net", module)  # of a trained one
    channels, domain = getattr(net, "in_channels", None), getattr(net, "domain", None)
    if channels is None or domain is None or getattr(net, "in_field", "scalar") != "scalar":
        raise ValueError(
            f"{type(module).__name__} does not say what it takes, expected a network; give example=, an "
            "input with a batch of two"
        )
    unit = 2 ** getattr(getattr(net, "options", None), "depth", 0)
    sides = [4 * unit, 6 * unit, 5 * unit]
    shape = sides[: domain.space_axes] if domain.shape is None else domain.shape
    like = next(module.parameters(), torch.empty(0))
    return torch.zeros(2, channels, *shape, dtype=like.dtype, device=like.device)


def _traced(module: nn.Module, example: Tensor) -> torch.export.ExportedProgram:
    """The program of a module, its sizes symbols."""
    if example.shape[0] < 2:
        raise ValueError(
            f"the example has a batch of {example.shape[0]}, of which nothing can be told for others, "
            "expected two at least; repeat it"
        )
    domain = getattr(getattr(module, "net", module), "domain", None)
    free = [0]
    if domain is not None and domain.shape is None:
        free += range(example.dim() - domain.space_axes, example.dim())
    sizes = dict.fromkeys(free, torch.export.Dim.DYNAMIC)
    with torch.no_grad():
        module(example)  # what it refuses, it refuses in its own words
        return torch.export.export(module, (example,), dynamic_shapes=(sizes,))


def _write_onnx(program: torch.export.ExportedProgram, path: Path, said: str, name: str) -> None:
    try:
        import onnx  # type: ignore[import-not-found]  # noqa: F401
        import onnxscript  # type: ignore[import-not-found]  # noqa: F401
    except ImportError as error:
        raise ImportError(f"a file .onnx needs {error.name}; {INSTALL}", name=error.name) from error
    try:
        written = torch.onnx.export(program, dynamo=True, verbose=False)
    except torch.onnx.errors.OnnxExporterError as error:
        raise ValueError(
            f"{name} has operations that ONNX does not have, expected convolutions and the like "
            f"({' '.join(str(error.__cause__ or error).split())[:200]}); take a .pt2"
        ) from error
    if written is None:
        raise ValueError(f"torch wrote no ONNX of {name}, expected a model; take a .pt2")
    written.model.metadata_props[NAME] = said
    written.save(path)
