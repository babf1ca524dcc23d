"""Networks: `UNet` and `Classifier`, on any domain that can be coarsened. May import nn and below."""

from typing import TYPE_CHECKING

from erlangen.doors import doors

if TYPE_CHECKING:
    from erlangen.models.blocks import ConvBlock, ResidualBlock
    from erlangen.models.classifier import Classifier
    from erlangen.models.options import Level, Options
    from erlangen.models.unet import UNet
else:
    __getattr__, __dir__ = doors(__name__)

__all__ = ["Classifier", "ConvBlock", "Level", "Options", "ResidualBlock", "UNet"]
