"""The commuting square: move, then compute; compute, then move."""

from pathlib import Path
from typing import Any

from torch import Tensor

from erlangen.figures.canvas import blank, figure, save, shown


def commuting_square(
    f: Tensor,
    gf: Tensor,
    Nf: Tensor,
    gNf: Tensor,
    Ngf: Tensor,
    *,
    name: str = "g",
    path: str | Path | None = None,
) -> Any:
    """f and g f above, N f, g N f and N g f below, with the difference of the last two.

    Args:
        f, gf, Nf, gNf, Ngf: ``(batch, channel, [fibre,] height, width)``; the first of the batch is
            shown, and of a fibre the first value.
        name: of g.
        path: where to write the picture.

    Returns:
        The figure, or the path it was written to.
    """
    canvas, axes = figure(2, 3, 8.4, 5.8)
    for axis, tensor, title in (
        (axes[0, 0], f, "f"),
        (axes[0, 1], gf, f"g f: {name}"),
        (axes[1, 0], Nf, "N(f)"),
        (axes[1, 1], gNf, "g N(f)"),
        (axes[1, 2], Ngf, "N(g f)"),
    ):
        if tensor.dim() in (4, 5):
            axis.imshow(_picture(tensor), cmap="gray")
        blank(axis, title)
    if Ngf.dim() in (4, 5) and Ngf.shape == gNf.shape:
        largest = float(gNf.amax() - gNf.amin())
        difference = (Ngf - gNf).abs()
        axes[0, 2].imshow(_picture(difference[:, :1], raw=True), cmap="magma", vmin=0, vmax=largest)
    blank(axes[0, 2], "|N(g f) - g N(f)|, same scale")
    return canvas if path is None else save(canvas, path)


def _picture(x: Tensor, raw: bool = False) -> Any:
    image = x[0] if x.dim() == 4 else x[0, :, 0]
    if raw:
        return image[0].detach().cpu().numpy()
    return shown(image if image.shape[0] == 3 else image[:1])
