"""Several files as one: the masks of single objects, and channels that lie in files of their own."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from erlangen.train.decoding import Decoded, Facts, decode, examine
from erlangen.train.masks import Mask
from erlangen.train.parts import Parts
from erlangen.train.volume_files import Scan, VolumeFacts, examine_volume, read_volume


@dataclass(frozen=True)
class UnitedMasks(Parts[Facts, Decoded]):
    """Masks of single objects, which may overlap: at every pixel their largest value."""

    def examine(self) -> Facts:
        return replace(examine(self.files[0]), name=str(self))

    def read(self) -> Decoded:
        first = self._mask(self.files[0])
        values, lossy = first.shades, first.decoded.facts.lossy
        for file in self.files[1:]:  # one after the other: there may be hundreds
            other = self._mask(file)
            _expect_same(file, other.shades.shape[::-1], self.files[0], values.shape[::-1], "pixels")
            values, lossy = np.maximum(values, other.shades), lossy or other.decoded.facts.lossy
        facts = replace(first.decoded.facts, name=str(self), mode="L", lossy=lossy, white_is_zero=False)
        return Decoded(facts, values)

    def _mask(self, file: Path) -> Mask:
        """One of them; what is drawn by nothing but transparency is refused, since it would be black."""
        mask = Mask(file, decode(file, "a mask"))
        if mask.alpha is not None and not mask.shades.any():
            raise ValueError(
                f"{file} is black all over and only its transparency varies, expected the object brighter "
                "than what is around it; export it as greyscale PNG: 0 where nothing is, 255 where it is"
            )
        return mask


@dataclass(frozen=True)
class UnitedVolumes(Parts[VolumeFacts, Scan]):
    """Masks of single objects in volumes, which may overlap: 1 where any of them is not 0."""

    def examine(self) -> VolumeFacts:
        return replace(examine_volume(self.files[0], mask=True), name=self.name, dtype="uint8")

    def read(self) -> Scan:
        facts = self.examine()
        inside = np.zeros((1, *facts.shape), np.uint8)
        for file in self.files:
            one = read_volume(file, mask=True)
            _expect_same(file, one.values.shape, self.files[0], inside.shape, "voxels")
            inside |= one.values != 0
        return Scan(facts, inside)


@dataclass(frozen=True)
class Channels(Parts[VolumeFacts, Scan]):
    """A volume whose channels lie in files of their own."""

    def examine(self) -> VolumeFacts:
        every = [examine_volume(file) for file in self.files]
        for file, one in zip(self.files, every, strict=True):
            _expect_same(file, one.shape, self.files[0], every[0].shape, "voxels")
        kind = str(np.result_type(*(one.dtype for one in every)))
        return replace(every[0], name=self.name, channels=sum(one.channels for one in every), dtype=kind)

    def read(self) -> Scan:
        facts = self.examine()
        return Scan(facts, np.concatenate([read_volume(file).values for file in self.files]))


def _expect_same(file: Path, size: Sequence[int], first: Path, wanted: Sequence[int], what: str) -> None:
    """ValueError for a file of another size than the first."""
    if tuple(size) != tuple(wanted):
        one, other = (" x ".join(map(str, lengths)) for lengths in (size, wanted))
        raise ValueError(f"{file} has {one} {what}, expected {other} as {first.name}; export it at that size")
