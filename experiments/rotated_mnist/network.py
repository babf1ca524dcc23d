"""The networks of this experiment: regular fields on the plane, and plain convolutions beside them."""

from dataclasses import replace

from torch import Tensor, nn

import erlangen as er
from erlangen.models.blocks import ConvBlock, ResidualBlock, stem

PIXELS = 7  # of the last level: 28, 14, 7


class Equivariant(nn.Module):
    """Lift, correlate on 14 x 14 and 7 x 7 pixels, read the picture with one kernel at its middle, project.

    Args:
        rotations: samples of the fibre.
        widths: regular fields at 28, 14 and 7 pixels, and those that the kernel at the middle makes.
        blocks: correlations at each level after the one that brings its fields there.
        kernels: sizes of the lift's kernel, and of those on 14 and 7 pixels.
        separable: mix at each point, then correlate each channel by itself; the kernel at the middle always.
        reading: "middle": a kernel as large as the picture, at its middle, sees how a digit lies towards it;
            "mean": the mean over all pixels of the maximum along the fibre, which does not.
        dropout: of the invariants.
        half: lift to 14 pixels at once, instead of to 28 and pooling them.
        options: the others of `er.models.Options`.
    """

    def __init__(
        self,
        rotations: int,
        widths: list[int],
        blocks: list[int],
        kernels: list[int],
        separable: bool = False,
        reading: str = "middle",
        dropout: float = 0.0,
        half: bool = False,
        resampling: str = "gaussian",
        pooling: str = "mean",
        projection: str = "max",
        **options,
    ) -> None:
        super().__init__()
        plane = er.Plane(rotations=rotations)
        record = er.models.Options(
            tuple(widths[:3]), depth=2, kernel_size=tuple(kernels), separable=separable, **options
        )
        levels = record.levels(plane)
        layers, before = stem(levels[0], 1), levels[0].width
        pool = er.nn.Pool(plane, pooling, resampling=resampling)
        if half:
            layers[0] = er.nn.Lift(plane, 1, before, **levels[0].kernel, stride=2, bias=False)
        for level, count in zip(levels[1:], blocks, strict=True):
            layers += [] if half and level is levels[1] else [pool]
            layers.append(ConvBlock(level, before))
            layers += [ResidualBlock(level) for _ in range(count // 2)]
            layers += [ConvBlock(level, level.width) for _ in range(count % 2)]
            before = level.width
        if reading == "middle":
            kernel = levels[-1].kernel | {"kernel_size": PIXELS, "padding": 0}
            last = replace(levels[-1], kernel=kernel, width=widths[3], separable=True)
            layers.append(ConvBlock(last, before))
            before = widths[3]
        layers += [er.nn.Project(plane, projection), er.nn.GlobalPool(plane)]
        self.features = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(before, 10))

    def forward(self, digits: Tensor) -> Tensor:
        return self.head(self.features(digits))


class Plain(nn.Module):
    """Convolutions of as many parameters, the levels and the reading of the other.

    Args:
        widths: channels at 28, 14 and 7 pixels, and those that the kernel at the middle makes.
        blocks: convolutions at each level after the one that brings its channels there.
        kernels: sizes of the first kernel, and of those on 14 and 7 pixels.
        dropout: of what was read.
    """

    def __init__(
        self, widths: list[int], blocks: list[int], kernels: list[int], dropout: float = 0.0
    ) -> None:
        super().__init__()
        layers, before = block(1, widths[0], kernels[0]), widths[0]
        for width, count, size in zip(widths[1:3], blocks, kernels[1:], strict=True):
            layers.append(nn.MaxPool2d(2))
            for _ in range(1 + count):
                layers += block(before, width, size)
                before = width
        mix = nn.Conv2d(before, widths[3], 1, bias=False)
        middle = nn.Conv2d(widths[3], widths[3], PIXELS, groups=widths[3], bias=False)
        layers += [mix, middle, nn.BatchNorm2d(widths[3]), nn.SiLU(), nn.Flatten()]
        self.features = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(widths[3], 10))

    def forward(self, digits: Tensor) -> Tensor:
        return self.head(self.features(digits))


def block(before: int, width: int, size: int) -> list[nn.Module]:
    """Convolution, norm, nonlinearity."""
    convolution = nn.Conv2d(before, width, size, padding=size // 2, bias=False)
    return [convolution, nn.BatchNorm2d(width), nn.SiLU()]


NETWORKS = {"equivariant": Equivariant, "plain": Plain}


def network(kind: str, **options) -> nn.Module:
    """A network of a kind."""
    return NETWORKS[kind](**options)
