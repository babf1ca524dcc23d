"""The 3-D U-Net that everyone has: nothing in it knows a symmetry but shifts."""

import torch
from torch import Tensor, nn


class PlainUNet(nn.Module):
    """Two 3 x 3 x 3 convolutions at each level, maximum pooling, skips side by side; any size.

    Args:
        in_channels, out_channels, depth: as in `erlangen.models.UNet`.
        width: channels at the finest level; twice as many at each next one.
    """

    def __init__(self, in_channels: int, out_channels: int, width: int, depth: int) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(depth + 1)]
        before = [in_channels, *widths]
        self.encoder = nn.ModuleList(_block(before[i], widths[i]) for i in range(depth + 1))
        self.decoder = nn.ModuleList(_block(widths[i] + widths[i + 1], widths[i]) for i in range(depth))
        self.head = nn.Conv3d(width, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for level, block in enumerate(self.encoder):
            x = block(x)
            if level < len(self.decoder):
                skips.append(x)
                x = nn.functional.max_pool3d(x, 2, ceil_mode=True)
        for level in reversed(range(len(self.decoder))):
            size = skips[level].shape[-3:]
            x = nn.functional.interpolate(x, size, mode="trilinear", align_corners=False)
            x = self.decoder[level](torch.cat([skips[level], x], 1))
        return self.head(x)


def _block(before: int, after: int) -> nn.Sequential:
    layers = []
    for channels in (before, after):
        layers += [nn.Conv3d(channels, after, 3, padding=1, bias=False), nn.BatchNorm3d(after), nn.ReLU()]
    return nn.Sequential(*layers)
