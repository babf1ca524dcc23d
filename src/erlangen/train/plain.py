"""The U-Net that everyone has, for comparison: nothing in it knows a symmetry but shifts."""

import torch
from torch import Tensor, nn

KINDS = {  # in the plane and in space: convolution, norm, and how to come up again
    2: (nn.Conv2d, nn.BatchNorm2d, "bilinear"),
    3: (nn.Conv3d, nn.BatchNorm3d, "trilinear"),
}


class PlainUNet(nn.Module):
    """A U-Net of `torch.nn.Conv2d`: two 3x3 convolutions at each level, maximum pooling, skips side by side.

    Args:
        in_channels, out_channels: as in `erlangen.models.UNet`.
        width: channels at the finest level; twice as many at each next one.
        depth: how often the resolution is halved.
        dim: 2 for photographs, 3 for volumes.

    Shapes: ``(batch, in_channels, *space)`` to ``(batch, out_channels, *space)``, any size.
    """

    def __init__(
        self, in_channels: int = 3, out_channels: int = 1, width: int = 16, depth: int = 3, dim: int = 2
    ) -> None:
        super().__init__()
        convolution, _, self.mode = KINDS[dim]
        widths = [width * 2**level for level in range(depth + 1)]
        before = [in_channels, *widths]
        self.encoder = nn.ModuleList(_block(before[i], widths[i], dim) for i in range(depth + 1))
        self.decoder = nn.ModuleList(_block(widths[i] + widths[i + 1], widths[i], dim) for i in range(depth))
        self.head = convolution(width, out_channels, 1)
        self.pool = nn.functional.max_pool2d if dim == 2 else nn.functional.max_pool3d

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for level, block in enumerate(self.encoder):
            x = block(x)
            if level < len(self.decoder):
                skips.append(x)
                x = self.pool(x, 2, ceil_mode=True)
        for level in reversed(range(len(self.decoder))):
            size = skips[level].shape[2:]
            x = nn.functional.interpolate(x, size, mode=self.mode, align_corners=False)
            x = self.decoder[level](torch.cat([skips[level], x], 1))
        return self.head(x)


def plain_unet_of(parameters: int, depth: int = 3) -> PlainUNet:
    """The widest plain U-Net with at most so many parameters."""
    width = 1
    while _count(width + 1, depth) <= parameters:
        width += 1
    return PlainUNet(width=width, depth=depth)


def _count(width: int, depth: int) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in PlainUNet(width=width, depth=depth).parameters())


def _block(before: int, after: int, dim: int) -> nn.Sequential:
    convolution, norm, _ = KINDS[dim]
    layers: list[nn.Module] = []
    for channels in (before, after):
        layers += [convolution(channels, after, 3, padding=1, bias=False), norm(after), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)
