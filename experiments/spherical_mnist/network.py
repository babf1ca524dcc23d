"""The networks of this experiment: global kernels on SO(3), and plain convolutions beside them."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

import erlangen as er
from erlangen.engines import FinerFibre
from erlangen.models.blocks import ConvBlock, Style, stem

sys.path.insert(0, str(Path(__file__).parent.parent))
import latlon

SPHERE = er.Sphere()


class Equivariant(nn.Module):
    """Lift to SO(3), correlate, coarsen by harmonics, and take integrals that rotations leave alone.

    Args:
        rings: latitudes on which digits are read, before they are band-limited to the first level.
        degrees: the bandwidth L of the first level, and its latitudes; half as many at each next one.
        fibre: samples of the fibre.
        widths: regular fields at each level.
        convolutions: correlations between regular fields at each.
        separable: mix at each point, then correlate each channel by itself.
        oversampling: of the ReLU.
        dropout: of the invariants.
        reading: of the last level is integrated, beside the root mean square, the "mean" along the fibre, the
            "maximum" on samples twice as fine, or the "coarse maximum" on those that there are, which say how
            a digit lies.
    """

    def __init__(
        self,
        rings: int,
        degrees: int,
        fibre: int,
        widths: list[int],
        convolutions: list[int],
        separable: bool = True,
        nonlinearity: str = "relu",
        oversampling: int = 2,
        dropout: float = 0.0,
        reading: str = "mean",
    ) -> None:
        super().__init__()
        self.read = SPHERE.grid(rings)
        self.first = domain = SPHERE.grid(degrees, rotations=fibre)
        style = Style(None, separable=separable, nonlinearity=nonlinearity, oversampling=oversampling)
        layers, before = stem(domain, 1, widths[0], style), widths[0]
        for level, (width, count) in enumerate(zip(widths, convolutions, strict=True)):
            if level:
                layers.append(er.nn.Down(domain))
                domain = domain.coarser()
            for _ in range(count):
                layers.append(ConvBlock(domain, before, width, style))
                before = width
        self.features, self.last = nn.Sequential(*layers), domain
        self.reduce: Callable[[Tensor], Tensor] = {
            "mean": lambda: er.nn.Project(domain, "mean"),
            "maximum": lambda: er.nn.Project(domain, "max", oversampling=2),
            "coarse maximum": lambda: partial(coarse_maximum, FinerFibre(domain.fibre, 4)),
        }[reading]()
        self.head = nn.Sequential(
            nn.BatchNorm1d(2 * before, affine=False), nn.Dropout(dropout), nn.Linear(2 * before, 10)
        )

    def forward(self, digits: Tensor) -> Tensor:
        L = self.first.degrees
        f = self.first.synthesize(self.read.analyze(digits)[..., :L, :L].contiguous())
        f = self.features(f)
        size = torch.sqrt(er.nn.mean(self.last, f.square().mean(2)) + 1e-6)
        return self.head(torch.cat([er.nn.mean(self.last, self.reduce(f)), size], 1))


def coarse_maximum(fibre: FinerFibre, f: Tensor) -> Tensor:
    """The maximum over a finer fibre at each sample of the sphere, aliased."""
    return fibre.up(f).amax(2)


class Plain(nn.Module):
    """Convolutions of the longitude-latitude picture, with pooling between.

    Args:
        rings: latitudes on which digits are read.
        widths: channels at each level, of half the samples at each next one.
        kernel_size: of all convolutions.
    """

    def __init__(self, rings: int, widths: list[int], kernel_size: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.read = SPHERE.grid(rings)
        before, layers = 1, []
        for level, width in enumerate(widths):
            layers += [nn.MaxPool2d(2)] if level else []
            layers += latlon.block(before, width, kernel_size) + latlon.block(width, width, kernel_size)
            before = width
        self.features = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(2 * before, 10))

    def forward(self, digits: Tensor) -> Tensor:
        f = self.features(digits)
        return self.head(torch.cat([f.mean((2, 3)), f.amax((2, 3))], 1))


NETWORKS = {"equivariant": Equivariant, "plain": Plain}


def network(kind: str, **options) -> nn.Module:
    return NETWORKS[kind](**options)
