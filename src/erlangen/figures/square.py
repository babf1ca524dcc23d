"""The commuting square: move, then compute; compute, then move."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from erlangen.figures.canvas import blank, figure, save, shown

if TYPE_CHECKING:
    from erlangen.verify.report import Square


def commuting_square(square: "Square", path: str | Path | None = None) -> Any:
    """f and g f above, N f, g N f and N g f below, with the difference of the last two.

    Returns:
        The figure, or the path it was written to.
    """
    from torch import Tensor

    def picture(x: Tensor) -> Any:
        image = x[0] if x.dim() == 4 else x[0, :, 0]
        return shown(image if image.shape[0] == 3 else image[:1])

    canvas, axes = figure(2, 3, 8.4, 5.8)
    g = square.name
    for axis, tensor, title in (
        (axes[0, 0], square.f, "f"),
        (axes[0, 1], square.gf, f"g f: {g}"),
        (axes[1, 0], square.Nf, "N(f)"),
        (axes[1, 1], square.gNf, "g N(f)"),
        (axes[1, 2], square.Ngf, "N(g f)"),
    ):
        if tensor.dim() in (4, 5):
            axis.imshow(picture(tensor), cmap="gray")
        blank(axis, title)
    if square.Ngf.dim() in (4, 5) and square.Ngf.shape == square.gNf.shape:
        difference = (square.Ngf - square.gNf).abs()
        largest = float(square.gNf.amax() - square.gNf.amin())
        image = difference[0, 0] if difference.dim() == 4 else difference[0, 0, 0]
        axes[0, 2].imshow(image.cpu(), cmap="magma", vmin=0, vmax=largest)
    blank(axes[0, 2], "|N(g f) - g N(f)|, same scale")
    return canvas if path is None else save(canvas, path)
