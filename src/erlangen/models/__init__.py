"""Networks: `UNet` and `Classifier`, on any domain that can be coarsened. May import nn and below."""

from erlangen.models.blocks import ConvBlock, ResidualBlock, Style
from erlangen.models.classifier import Classifier
from erlangen.models.unet import UNet

__all__ = ["Classifier", "ConvBlock", "ResidualBlock", "Style", "UNet"]
