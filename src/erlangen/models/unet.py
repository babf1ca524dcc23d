"""The segmentation network."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from erlangen.arguments import Count, Depth, checked
from erlangen.domains import Domain
from erlangen.domains.spec import Field
from erlangen.engines import LatticeEngine
from erlangen.models.blocks import Beside, conv_blocks, output, stem
from erlangen.models.options import WIDTH, Level, Options, PerLevel
from erlangen.nn import Correlation, Down, Gated, LowPass, Up
from erlangen.nn.equivariant import Equivariant
from erlangen.nn.in_turn import in_turn
from erlangen.nn.recompute import stored

SMOOTHED = 4  # samples that a low-passed gate sees about each


class UNet(Equivariant):
    r"""An equivariant U-Net: lift, encode, decode with skips, project; any size in, the same size out.

    On a domain with a fibre all inner fields are regular, ``width 2^level`` of them at each level; without,
    they are scalar. Levels are resampled about one centre at every size, so turns and flips of the pixel grid
    that lie in the group commute with the network exactly.

    Args:
        domain: where the images live, such as ``er.Plane(rotations=8)``.
        in_channels, out_channels: fields in and out (logits).
        width: fields at the finest level, or at each level.
        depth: how often the resolution is halved; number of resolutions - 1.
        in_field: their type, such as "vector" for winds and displacements, by components in the frames.
        out_field: the type of those that come out; or pairs of a type and a number, ``[("scalar", 1),
            ("vector", 1)]``, for several tensors, as many fields together as out_channels.
        options: the others of `Options`: kernel_size or radius, nonlinearity, blocks, separable,
            exact_shifts, padding_mode, ... All of them are in `options` of the network.

    Shapes: ``(batch, in_channels, [components,] *space)`` to ``(batch, out_channels, [components,] *space)``;
    of several types a tuple of these.

    Example:
        >>> import torch, erlangen as er
        >>> net = er.models.UNet(er.Plane(rotations=8), in_channels=3, out_channels=1)
        >>> net(torch.randn(2, 3, 97, 128)).shape
        torch.Size([2, 1, 97, 128])
        >>> flow = er.models.UNet(er.Plane(rotations=8), 3, 1, width=2, depth=1, out_field="vector")
        >>> flow(torch.randn(2, 3, 20, 24)).shape
        torch.Size([2, 1, 2, 20, 24])
    """

    @checked
    def __init__(
        self,
        domain: Domain,
        in_channels: Count,
        out_channels: Count,
        width: PerLevel[Count] | None = WIDTH,
        depth: Depth = 3,
        *,
        in_field: Field = "scalar",
        out_field: Field | Sequence[tuple[Field, Count]] = "scalar",
        **options: Any,
    ) -> None:
        super().__init__()
        self.domain, self.in_channels, self.out_channels = domain, in_channels, out_channels
        self.in_field: Field = in_field
        self.out_field: Field | Sequence[tuple[Field, int]] = (
            out_field if isinstance(out_field, str) else tuple(out_field)
        )
        self.options = Options.named(width, depth, options).chosen(domain, blocks=1, projection="mean")
        if self.options.pooling is not None:
            raise ValueError(
                f'pooling="{self.options.pooling}", but a UNet goes down by Gaussian means, expected None; '
                "leave it out, or take a Classifier"
            )
        levels = self.options.levels(domain)
        self.lift = nn.Sequential(*stem(levels[0], in_channels, in_field))
        self.encoder, self.decoder = nn.ModuleList(), nn.ModuleList()
        self.down, self.mix, self.up = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for i, level in enumerate(levels):
            before = levels[max(i - 1, 0)]
            self.encoder.append(conv_blocks(level, before.width, before.field))
            if i < depth:
                self._add_way_back(level, levels[i + 1])
        projection: Any = self.options.projection
        if isinstance(self.out_field, str):
            self.project, self.head = output(levels[0], out_channels, self.out_field, projection)
        else:
            if sum(count for _, count in self.out_field) != out_channels:
                raise ValueError(
                    f"out_channels is {out_channels} and out_field={list(self.out_field)}, expected as many "
                    "fields together"
                )
            self.project = nn.Identity()
            several = (nn.Sequential(*output(levels[0], n, f, projection)) for f, n in self.out_field)
            self.head = Beside(several)

    def _add_way_back(self, level: Level, below: Level) -> None:
        """Down from a level and up to it again, where the skip comes in."""
        circular, shifts = self.options.circular, self.options.exact_shifts
        by: Any = {"circular": circular, "resampling": self.options.resampling}
        self.down.append(Down(level.domain, level.field, exact_shifts=shifts, **by))
        self.mix.append(
            Correlation(
                below.domain,
                below.width,
                level.width,
                1,
                bias=False,
                in_field=below.field,
                out_field=level.field,
            )
        )
        self.up.append(Up(level.domain, level.field, **by))
        self.decoder.append(conv_blocks(level, level.width))

    def forward(self, image: Float[Tensor, "batch in_channels *space"]) -> Tensor | tuple[Tensor, ...]:
        self._check_input(image)
        skips: list[tuple[Tensor, Tensor | None]] = []
        again = self.options.recompute
        field = image if again else self.lift(image)
        for level, down in enumerate(self.down):
            lifted = (self.lift,) if again and not level else ()
            block = self.encoder[level]
            field = stored(field, *lifted, block) if again else block(field)
            coarse = down(field)
            coarse, phase = coarse if self.options.exact_shifts else (coarse, None)
            skips.append((field, phase))
            field = coarse
        lifted = (self.lift,) if again and not len(self.down) else ()
        last: tuple[nn.Module, ...] = *lifted, self.encoder[-1]
        for level in reversed(range(len(self.up))):
            field = stored(field, *last) if again else last[0](field)
            skip, phase = skips.pop()
            size = skip.shape[-self.domain.space_axes :]
            # A block on the two fields side by side would mix each by a matrix of its own, and mixing
            # commutes with interpolation: so mix where it is cheap, and add.
            field = skip + self.up[level](self.mix[level](field), size, phase)
            del skip  # nobody needs it any more
            last = (self.decoder[level],)
        return self.head(self._projected(field, *last))

    def _projected(self, field: Tensor, *last: nn.Module) -> Tensor:
        """The last block, and what the head takes of it."""
        if not (self.options.recompute and torch.is_grad_enabled()):
            return in_turn(field, *last, self.project)
        field = stored(field, *last)
        most = self.options.projection == "max"  # of a finer fibre; a mean keeps nothing
        return stored(field, self.project) if most else self.project(field)

    @property
    def receptive_radius(self) -> int:
        """How many samples away the input can change an output, at most, on the lattice where the network is.

        A correlation sees its radius, a low-passed gate 4 samples, down-sampling 3 and up-sampling 2 samples
        of the finer grid, both 5 where they are band-limited.

        Raises:
            ValueError: where samples are no lattice.
        """
        down, up = ([_samples_seen(block) for block in blocks] for blocks in (self.encoder, self.decoder))
        resampled = 5 if self.options.resampling == "gaussian" else 10
        there_and_back = sum((down[i] + up[i] + resampled) * 2**i for i in range(len(up)))
        return _samples_seen(self.lift) + there_and_back + down[-1] * 2 ** len(up)

    def _check_input(self, image: Tensor) -> None:
        if not isinstance(image, Tensor):
            return  # a trace by torch.fx, which knows no sizes
        axes, parts = self.domain.layout(self.in_field)
        if image.dim() != axes or image.shape[1] != self.in_channels:
            components = "" if parts is None else f"{parts}, "
            raise ValueError(
                f"the image has shape {tuple(image.shape)}, expected (batch, {self.in_channels}, {components}"
                f"*space), {axes} axes"
            )
        if not self.options.exact_shifts:
            return
        halvings = 2 ** len(self.down)
        axes = self.domain.content_axes(self.options.circular)
        space = image.shape[-self.domain.space_axes :]
        sizes = [size for size, closes in zip(space, axes, strict=True) if closes]
        if any(size % halvings for size in sizes):
            raise ValueError(
                f"exact_shifts halves sizes {tuple(sizes)} {len(self.down)} times, expected "
                f"multiples of {halvings}"
            )


def _samples_seen(module: nn.Module) -> int:
    """How far its correlations see, one after the other, in samples of their lattice."""
    total = 0
    for part in module.modules():
        total += SMOOTHED * (isinstance(part, Gated) and part.low_pass) + isinstance(part, LowPass)
        if not isinstance(part, Correlation) or part.spec.radius == 0:
            continue
        engine = part.domain.engine(part.spec)
        if not isinstance(engine, LatticeEngine):
            raise ValueError(
                f"a correlation on {part.domain} does not see whole samples, expected one on a lattice, "
                "such as er.Plane()"
            )
        total += max(engine.margins([1] * part.domain.space_axes))
    return total
