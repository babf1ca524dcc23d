"""The segmentation network."""

from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from erlangen.arguments import Count, Depth, Length, Oversampling, checked
from erlangen.domains import Domain
from erlangen.domains.spec import PaddingMode
from erlangen.models.blocks import Nonlinearity, Style, conv_blocks, stem
from erlangen.nn import Correlation, Down, Project, Up
from erlangen.nn.equivariant import Equivariant


class UNet(Equivariant):
    r"""An equivariant U-Net: lift, encode, decode with skips, project; any size in, the same size out.

    On a domain with a fibre all inner fields are regular, ``width 2^level`` of them at each level; without,
    they are scalar. Levels are resampled about one centre at every size, so turns and flips of the pixel grid
    that lie in the group commute with the network exactly.

    Args:
        domain: where the images live, such as ``er.Plane(rotations=8)``.
        in_channels, out_channels: scalar fields in and out (logits).
        width: fields at the finest level.
        depth: how often the resolution is halved; number of resolutions - 1.
        exact_shifts: integer shifts along the axes that close commute too, exactly; needs sizes divisible by
            2^depth there, and where no axis closes padding_mode="circular".
        padding_mode: as in `torch.nn.Conv2d`.
        separable: mix channels at each point, then correlate each channel by itself.
        kernel_size: of all correlations, in samples (5 on lattices, unless told); or
        radius: in units of the space at the finest level; with neither, kernels on the sphere's grids are
            global.
        nonlinearity: "relu" (on a finer fibre; on the sphere it aliases by per cents), "gated" (exact at
            every angle of the plane, and with oversampling=6 to 1e-5 under rotations of the sphere) or
            "polynomial" (of degree 2; exact at every angle of the plane, and by harmonics under every
            rotation; fields of more than 4 times the size that norms make are scaled down to that).
        oversampling: how much finer the samples are for ReLUs and gates: the fibre's, and on the sphere
            latitudes and longitudes too.
        projection: "mean" or "max" over the fibre.
        blocks: correlations, each with norm and nonlinearity, at every level, on the way down and again on
            the way up.

    Shapes: ``(batch, in_channels, *space)`` to ``(batch, out_channels, *space)``.

    Example:
        >>> import torch, erlangen as er
        >>> net = er.models.UNet(er.Plane(rotations=8), in_channels=3, out_channels=1)
        >>> net(torch.randn(2, 3, 97, 128)).shape
        torch.Size([2, 1, 97, 128])
    """

    @checked
    def __init__(
        self,
        domain: Domain,
        in_channels: Count,
        out_channels: Count,
        width: Count = 8,
        depth: Depth = 3,
        *,
        exact_shifts: bool = False,
        padding_mode: PaddingMode = "zeros",
        separable: bool = True,
        kernel_size: int | None = None,
        radius: Length | None = None,
        nonlinearity: Nonlinearity = "relu",
        oversampling: Oversampling = 2,
        projection: Literal["mean", "max"] = "mean",
        blocks: Count = 1,
    ) -> None:
        super().__init__()
        if exact_shifts and padding_mode != "circular" and not any(domain.closed):
            raise ValueError(
                f'exact_shifts=True with padding_mode="{padding_mode}": what leaves the image is lost, '
                'expected padding_mode="circular"'
            )
        if kernel_size is None and radius is None:
            kernel_size = domain.default_kernel_size
        self.domain, self.in_channels, self.out_channels = domain, in_channels, out_channels
        self.exact_shifts = exact_shifts
        self.options = {
            "width": width,
            "depth": depth,
            "exact_shifts": exact_shifts,
            "padding_mode": padding_mode,
            "separable": separable,
            "kernel_size": kernel_size,
            "radius": radius,
            "nonlinearity": nonlinearity,
            "oversampling": oversampling,
            "projection": projection,
            "blocks": blocks,
        }
        style = Style(kernel_size, radius, padding_mode, separable, nonlinearity, oversampling)
        circular = padding_mode == "circular"
        domains, styles = [domain], [style]
        for _ in range(depth):
            styles.append(styles[-1].coarser(domains[-1]))
            domains.append(domains[-1].coarser())
        widths = [width * 2**level for level in range(depth + 1)]
        lifted, field = domain.fibre is not None, domain.default_field

        def mixing(domain: Domain, before: int, after: int) -> nn.Module:
            return Correlation(domain, before, after, 1, bias=False, in_field=field, out_field=field)

        self.lift = nn.Sequential(*stem(domain, in_channels, width, style))
        self.encoder = nn.ModuleList()
        self.decoder = nn.ModuleList()
        self.down = nn.ModuleList()
        self.mix = nn.ModuleList()
        self.up = nn.ModuleList()
        for level, here in enumerate(domains):
            before = widths[max(level - 1, 0)]
            self.encoder.append(conv_blocks(blocks, here, before, widths[level], styles[level]))
            if level < depth:
                self.down.append(Down(here, circular=circular, exact_shifts=exact_shifts))
                self.mix.append(mixing(domains[level + 1], widths[level + 1], widths[level]))
                self.up.append(Up(here, circular=circular))
                self.decoder.append(conv_blocks(blocks, here, widths[level], widths[level], styles[level]))
        self.project = Project(domain, projection) if lifted else nn.Identity()
        self.head = Correlation(domain, width, out_channels, 1)

    def forward(self, image: Float[Tensor, "batch in_channels *space"]) -> Tensor:
        self._check_input(image)
        skips: list[tuple[Tensor, Tensor | None]] = []
        field = self.lift(image)
        for level, block in enumerate(self.encoder):
            field = block(field)
            if level < len(self.down):
                coarse = self.down[level](field)
                coarse, phase = coarse if self.exact_shifts else (coarse, None)
                skips.append((field, phase))
                field = coarse
        for level in reversed(range(len(self.up))):
            skip, phase = skips[level]
            size = tuple(skip.shape[-self.domain.space_axes :])
            # A block on the two fields side by side would mix each by a matrix of its own, and mixing
            # commutes with interpolation: so mix where it is cheap, and add.
            field = skip + self.up[level](self.mix[level](field), size, phase)
            field = self.decoder[level](field)
        return self.head(self.project(field))

    @property
    def reach(self) -> int:
        """How many samples away the input can change an output, at most.

        A correlation sees its radius, down-sampling 3 and up-sampling 2 samples of the finer grid.
        """
        size = self.options["kernel_size"]
        if not isinstance(size, int) or self.options["radius"] is not None:
            raise ValueError(
                "the reach of kernels with a radius is not known in samples, expected kernel_size"
            )
        kernel, depth = size // 2, len(self.down)
        seen = kernel * self.options["blocks"]  # by all blocks of a level, in its own samples
        levels = sum((2 * seen + 3 + 2) * 2**level for level in range(depth))
        return kernel + levels + seen * 2**depth

    def _check_input(self, image: Tensor) -> None:
        parts = self.domain.parts(self.domain.representation("scalar"))
        axes = 2 + (parts is not None) + self.domain.space_axes
        if image.dim() != axes or image.shape[1] != self.in_channels:
            raise ValueError(
                f"the image has shape {tuple(image.shape)}, expected (batch, {self.in_channels}, *space), "
                f"{axes} axes"
            )
        if not self.exact_shifts:
            return
        halvings = 2 ** len(self.down)
        axes = self.domain.content_axes(self.options["padding_mode"] == "circular")
        sizes = [size for size, closes in zip(image.shape[2:], axes, strict=True) if closes]
        if any(size % halvings for size in sizes):
            raise ValueError(
                f"exact_shifts halves sizes {tuple(sizes)} {len(self.down)} times, expected "
                f"multiples of {halvings}"
            )
