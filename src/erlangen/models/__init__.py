"""Networks: `UNet` and `Classifier`, on any domain that can be coarsened. May import nn and below."""

from erlangen.models.blocks import ConvBlock, ResidualBlock
from erlangen.models.classifier import Classifier
from erlangen.models.options import Level, Options
from erlangen.models.unet import UNet

__all__ = ["Classifier", "ConvBlock", "Level", "Options", "ResidualBlock", "UNet"]
