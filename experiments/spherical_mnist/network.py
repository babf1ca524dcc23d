"""The networks of this experiment: global kernels on SO(3), and plain convolutions beside them."""

import sys
from pathlib import Path

import torch
from torch import Tensor, nn

import erlangen as er
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
        all_blocks: integrate what each block gives, not the last one alone.
        maximum: read the maximum along the fibre where the mean is read otherwise. It is no integral of a
            band-limited field, and few samples of it say how a digit lies.
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
        all_blocks: bool = False,
        maximum: bool = False,
    ) -> None:
        super().__init__()
        self.read = SPHERE.grid(rings)
        self.first = domain = SPHERE.grid(degrees, rotations=fibre)
        style = Style(None, separable=separable, nonlinearity=nonlinearity, oversampling=oversampling)
        blocks: list[nn.Module] = [nn.Sequential(*stem(domain, 1, widths[0], style))]
        self.domains, channels = [domain], [widths[0]]
        for level, (width, count) in enumerate(zip(widths, convolutions, strict=True)):
            down = [er.nn.Down(domain)] if level else []
            domain = domain.coarser() if level else domain
            for _ in range(count):
                blocks.append(nn.Sequential(*down, ConvBlock(domain, channels[-1], width, style)))
                self.domains.append(domain)
                channels.append(width)
                down = []
        self.blocks, self.all_blocks = nn.ModuleList(blocks), all_blocks
        # three times the samples for the maximum of the library; here as few as there are
        self.reduce = (lambda f: f.amax(2)) if maximum else (lambda f: f.mean(2))
        features = 2 * (sum(channels) if all_blocks else channels[-1])
        self.head = nn.Sequential(
            nn.BatchNorm1d(features, affine=False), nn.Dropout(dropout), nn.Linear(features, 10)
        )

    def forward(self, digits: Tensor) -> Tensor:
        L = self.first.degrees
        f = self.first.synthesize(self.read.analyze(digits)[..., :L, :L].contiguous())
        integrals = []
        for domain, block in zip(self.domains, self.blocks, strict=True):
            f = block(f)
            size = torch.sqrt(er.nn.mean(domain, f.square().mean(2)) + 1e-6)
            integrals.append(torch.cat([er.nn.mean(domain, self.reduce(f)), size], 1))
        return self.head(torch.cat(integrals if self.all_blocks else integrals[-1:], 1))


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
