"""The classification network."""

from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from erlangen.arguments import Count, Depth, Length, Oversampling, checked
from erlangen.domains import Domain
from erlangen.domains.spec import PaddingMode
from erlangen.models.blocks import ConvBlock, Nonlinearity, ResidualBlock, Style, stem
from erlangen.nn import GlobalPool, Pool, Project
from erlangen.nn.equivariant import Equivariant


class Classifier(Equivariant):
    r"""An invariant classifier: lift, residual blocks with pooling between, project, pool, classify.

    Args:
        domain: where the images live.
        in_channels: scalar fields in.
        out_channels: classes (logits).
        width: fields at the finest level; twice as many at each next one.
        depth: how often the resolution is halved.
        padding_mode, separable, kernel_size, radius, nonlinearity, oversampling, projection: as in `UNet`.
            The projection is "max" unless told; with nonlinearity="polynomial" take "mean", or rotations of
            the sphere are not exact.
        pooling: "mean" or "max" between the levels.
        exact_shifts: logits are invariant under integer shifts along the axes that close, as in `UNet`.

    Shapes: ``(batch, in_channels, *space)`` to ``(batch, out_channels)``.

    Example:
        >>> import torch, erlangen as er
        >>> net = er.models.Classifier(er.Plane(rotations=8), in_channels=1, out_channels=10)
        >>> net(torch.randn(2, 1, 28, 28)).shape
        torch.Size([2, 10])
    """

    @checked
    def __init__(
        self,
        domain: Domain,
        in_channels: Count,
        out_channels: Count,
        width: Count = 8,
        depth: Depth = 2,
        *,
        padding_mode: PaddingMode = "zeros",
        separable: bool = True,
        kernel_size: int | None = None,
        radius: Length | None = None,
        nonlinearity: Nonlinearity = "relu",
        oversampling: Oversampling = 2,
        projection: Literal["mean", "max"] = "max",
        pooling: Literal["mean", "max"] = "mean",
        exact_shifts: bool = False,
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
        self.options = {
            "width": width,
            "depth": depth,
            "padding_mode": padding_mode,
            "separable": separable,
            "kernel_size": kernel_size,
            "radius": radius,
            "nonlinearity": nonlinearity,
            "oversampling": oversampling,
            "projection": projection,
            "pooling": pooling,
            "exact_shifts": exact_shifts,
        }
        style = Style(kernel_size, radius, padding_mode, separable, nonlinearity, oversampling)
        layers = stem(domain, in_channels, width, style)
        circular = padding_mode == "circular"
        for level in range(depth + 1):
            layers.append(ResidualBlock(domain, width, style))
            if level < depth:
                layers.append(Pool(domain, pooling, circular=circular, exact_shifts=exact_shifts))
                domain, style = domain.coarser(), style.coarser(domain)
                layers.append(ConvBlock(domain, width, 2 * width, style))
                width *= 2
        if domain.fibre is not None:
            layers.append(Project(domain, projection))
        self.features = nn.Sequential(*layers, GlobalPool(domain))
        self.head = nn.Linear(width, out_channels)

    def forward(
        self, image: Float[Tensor, "batch in_channels *space"]
    ) -> Float[Tensor, "batch out_channels"]:
        return self.head(self.features(image))
