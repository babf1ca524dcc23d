"""The first picture of the article: a noisy signal on the line, smoothed by a kernel that moves along."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from erlangen.arguments import Count, Length, checked
from erlangen.figures.canvas import ACCENT, MUTED, SECOND, figure, save
from erlangen.formula import correlate
from erlangen.spaces import Euclidean


@checked
def smoothing(
    f: Tensor | None = None,
    kernel: Callable[[Tensor], Tensor] | None = None,
    *,
    spacing: Length = 0.05,
    places: Count = 4,
    path: str | Path | None = None,
) -> Any:
    r"""A signal f, the kernel at some places of the line, and ``(k * f)(x) = int k(y - x) f(y) dy``.

    Args:
        f: ``(samples,)``; None for steps and waves under noise.
        kernel: takes ``(..., 1)``; None for a Gaussian of width 0.25 and mass 1.
        spacing: of the samples.
        places: how often the kernel is shown.
        path: where to write the picture.

    Returns:
        The figure, or the path it was written to.
    """
    f = _steps_and_waves(spacing) if f is None else f.detach().double()
    if f.dim() != 1:
        raise ValueError(f"f has shape {tuple(f.shape)}, expected (samples,), a signal on the line")
    line = Euclidean(1).grid(len(f), spacing=spacing)
    k = kernel or (lambda v: torch.exp(-v.square().sum(-1) / 0.125) / (0.125 * torch.pi) ** 0.5)
    smooth, x = correlate(line, k, f), line.points[:, 0]
    canvas, ((axis,),) = figure(1, 1, 8.4, 3.4)
    axis.plot(x, f, color=MUTED, linewidth=0.9, label="f")
    axis.plot(x, smooth, color=ACCENT, linewidth=2.2, label="k * f")
    height = float(f.max() - f.min())
    base = float(f.min()) - 0.42 * height
    largest = float(k((x - x[len(x) // 2])[:, None]).abs().max())
    for i in range(places):
        here = x[int((i + 0.5) * len(x) / places)]
        shape = k((x - here)[:, None]) / largest
        near = shape.abs() > 1e-3
        axis.fill_between(
            x[near], base, base + 0.3 * height * shape[near], color=SECOND, alpha=0.35, linewidth=0
        )
        axis.plot([here, here], [base, float(smooth[x == here])], color=SECOND, linewidth=0.8, linestyle=":")
        axis.plot([here], smooth[x == here], "o", color=ACCENT, markersize=5)
    axis.plot([], [], color=SECOND, alpha=0.5, linewidth=6, label="k, moved to x")
    axis.set_yticks([])
    axis.set_xlabel("x")
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.legend(loc="upper right", frameon=False, fontsize=9, ncols=3)
    axis.set_ylim(base - 0.03 * height, float(f.max()) + 0.25 * height)
    return canvas if path is None else save(canvas, path)


def _steps_and_waves(spacing: float) -> Tensor:
    x = torch.arange(-6.0, 6.0, spacing, dtype=torch.float64)
    noise = torch.randn(len(x), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    steps = (x > -3.5).double() - 0.7 * (x > -1).double()
    return steps + 0.6 * torch.sin(1.7 * x) * (x > 0) + 0.22 * noise
