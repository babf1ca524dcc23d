"""Photographs and their masks, from folders."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm"}


@dataclass(frozen=True)
class Photographs:
    """Pairs of files, an image and its mask with the same stem."""

    images: tuple[Path, ...]
    masks: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.images)

    def subset(self, indices: list[int]) -> "Photographs":
        """The pairs at the given places."""
        return Photographs(tuple(self.images[i] for i in indices), tuple(self.masks[i] for i in indices))

    def load(self, size: int | None) -> tuple[list[Tensor], list[Tensor]]:
        """All images ``(3, h, w)`` and masks ``(h, w)`` as bytes, the longer side at most `size`."""
        images, masks = [], []
        for image_path, mask_path in zip(self.images, self.masks, strict=True):
            image, mask = read_image(image_path), read_mask(mask_path)
            if image.size != mask.size:
                raise ValueError(
                    f"{mask_path} has {mask.size[0]} x {mask.size[1]} pixels, expected "
                    f"{image.size[0]} x {image.size[1]} as {image_path.name}; export it at that size"
                )
            images.append(torch.from_numpy(np.array(shrink(image, size))).permute(2, 0, 1))
            small = np.array(shrink(mask, size)) >= 128
            masks.append(torch.from_numpy(small).to(torch.uint8))
        return images, masks


def find_photographs(folder: str | Path) -> Photographs:
    """The pairs in ``folder/images`` and ``folder/masks``, sorted by name.

    Raises:
        ValueError: naming the folder or file that is missing, and what was expected.
    """
    folder = Path(folder)
    images, masks = (_by_stem(folder / name) for name in ("images", "masks"))
    missing = sorted(set(images) - set(masks))
    if missing:
        names = ", ".join(images[stem].name for stem in missing[:5])
        raise ValueError(
            f"{len(missing)} of {len(images)} images have no mask: {names}; expected a file of the same stem "
            f"in {folder / 'masks'}; add it, or take the image away"
        )
    stems = sorted(images)
    return Photographs(tuple(images[s] for s in stems), tuple(masks[s] for s in stems))


def find_images(path: str | Path) -> list[Path]:
    """An image file itself, or the images in a folder (or in its ``images``), sorted by name."""
    path = Path(path)
    if path.is_file():
        return [path]
    if (path / "images").is_dir():
        path = path / "images"
    return [file for _, file in sorted(_by_stem(path).items())]


def read_image(path: Path) -> Image.Image:
    """A photograph as RGB, upright as its EXIF data says.

    Raises:
        ValueError: for a file that is no image, or a truncated one.
    """
    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith(("I", "F")):  # 16 bits and more: scaled to its own range
                values = np.nan_to_num(np.asarray(upright, dtype=np.float64))
                top = next((t for t in (1.0, 255.0) if values.max() <= t), max(65535.0, values.max()))
                if upright.mode.startswith("I"):
                    top = 65535.0 if values.max() > 255 else 255.0
                upright = Image.fromarray((values / top * 255).clip(0, 255).astype(np.uint8))
            return upright.convert("RGB")
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise ValueError(
            f"{path} cannot be read as an image ({error}); expected a whole PNG, JPEG, TIFF or the like; "
            "export it again, or take it away"
        ) from error


def read_mask(path: Path) -> Image.Image:
    """A mask as one channel, 255 where it is not zero.

    Raises:
        ValueError: for a file that is no image, or a truncated one.
    """
    try:
        with Image.open(path) as mask:
            values = np.asarray(mask.convert("RGBA" if mask.mode in ("LA", "PA", "RGBA") else mask.mode))
            if mask.mode in ("LA", "PA", "RGBA"):
                values = values[..., :3] * (values[..., 3:] > 0)  # what is transparent is not there
            if values.ndim == 3:
                values = values.max(-1)
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise ValueError(
            f"{path} cannot be read as a mask ({error}); expected a whole PNG of the image's size"
        ) from error
    return Image.fromarray(np.where(values > 0, 255, 0).astype(np.uint8))


def shrink(image: Image.Image, size: int | None) -> Image.Image:
    """The image with its longer side at most `size`, by the mean over areas."""
    longer = max(image.size)
    if size is None or longer <= size:
        return image
    target = (round(image.size[0] * size / longer), round(image.size[1] * size / longer))
    return image.resize((max(target[0], 1), max(target[1], 1)), Image.Resampling.BOX)


def numbers(image: Image.Image) -> Float[Tensor, "1 3 height width"]:
    """A photograph as a batch of one, in [0, 1]."""
    return as_batch([torch.from_numpy(np.array(image)).permute(2, 0, 1)])


def as_batch(images: list[Tensor]) -> Float[Tensor, "batch 3 height width"]:
    """Bytes to numbers in [0, 1]; all of one size."""
    return torch.stack(images).float() / 255


def statistics(images: list[Tensor]) -> tuple[Float[Tensor, "3"], Float[Tensor, "3"]]:
    """Mean and standard deviation of each colour, over all pixels, in [0, 1]."""
    pixels = torch.cat([image.flatten(1) for image in images], 1).double() / 255
    return pixels.mean(1).float(), pixels.std(1).clamp_min(1e-3).float()


def split(count: int, fraction: float, seed: int) -> tuple[list[int], list[int]]:
    """A random split of so many photographs: training, validation."""
    order: Int[Tensor, count] = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    held_out = min(max(1, round(fraction * count)), count - 1)
    return sorted(order[held_out:].tolist()), sorted(order[:held_out].tolist())


def _by_stem(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        expected = "a photograph, or a folder of them"
        if folder.name in ("images", "masks"):
            expected = "the photographs there: DIR/images and DIR/masks with files of equal stems"
        raise ValueError(f"{folder} is no folder, expected {expected}")
    files: dict[str, Path] = {}
    for file in sorted(folder.iterdir()):
        if file.suffix.lower() in ENDINGS:
            if file.stem in files:
                raise ValueError(
                    f"{files[file.stem]} and {file.name} have one stem, expected one file of each; rename one"
                )
            files[file.stem] = file
    if not files:
        raise ValueError(f"{folder} holds no images, expected PNG, JPEG, TIFF or the like")
    return files
