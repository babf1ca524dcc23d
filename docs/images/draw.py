"""The pictures of the README, drawn again by `make docs`: those of the demonstration, and of the strip."""

from pathlib import Path

from PIL import Image

import erlangen as er
from erlangen.train.demo import demonstrate

HERE = Path(__file__).parent
DEMO = HERE.parent.parent / "runs" / "demo"


def small(picture: Path, width: int, to: Path) -> None:
    """The picture at that width, as JPEG: a page should open at once."""
    with Image.open(picture) as image:
        size = (width, round(image.height * width / image.width))
        image.convert("RGB").resize(size, Image.Resampling.LANCZOS).save(to, quality=90, optimize=True)


if __name__ == "__main__":
    if not (DEMO / "demo.png").exists():
        demonstrate(DEMO)
    small(DEMO / "demo.png", 1400, HERE / "turned_camera.jpg")
    small(er.figures.round_the_strip(path=DEMO / "strip.png"), 900, HERE / "round_the_strip.jpg")
