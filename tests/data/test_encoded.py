"""Decoding: any mode becomes upright RGB with the right pixels; what can't be decoded is noted."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fpray.data.base import UnreadableImageError
from fpray.data.encoded import ImageFiles, decode
from fpray.errors import UserError

RNG = np.random.default_rng(0)
COLOURED = RNG.integers(0, 256, (6, 9, 3), np.uint8)
GREY = COLOURED[..., 0]


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def pixels(content: bytes) -> NDArray[np.uint8]:
    image = decode(content)
    assert image.mode == "RGB"
    return np.asarray(image)


def smooth() -> NDArray[np.uint8]:
    """A gradient, which lossy compression hardly changes."""
    rows, columns = np.mgrid[0:32, 0:48]
    return np.stack([rows * 6, columns * 5, 255 - rows * 4], axis=-1).astype(np.uint8)


def test_a_png_keeps_its_pixels() -> None:
    assert np.array_equal(pixels(saved(Image.fromarray(COLOURED), "PNG")), COLOURED)


def test_a_lossless_webp_keeps_its_pixels() -> None:
    assert np.array_equal(pixels(saved(Image.fromarray(COLOURED), "WEBP", lossless=True)), COLOURED)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_lossy_images_come_out_alike(kind: str) -> None:
    decoded = pixels(saved(Image.fromarray(smooth()), kind, quality=95))
    assert np.abs(decoded.astype(int) - smooth()).mean() < 3


def test_a_cmyk_jpeg_comes_out_alike() -> None:
    decoded = pixels(saved(Image.fromarray(smooth()).convert("CMYK"), "JPEG", quality=95))
    assert np.abs(decoded.astype(int) - smooth()).mean() < 3


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_grey_has_three_equal_channels(kind: str) -> None:
    decoded = pixels(saved(Image.fromarray(GREY), kind, lossless=True))
    assert np.array_equal(decoded, np.repeat(GREY[..., None], 3, axis=-1))


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "PPM"])
def test_other_formats_keep_their_pixels(kind: str) -> None:
    assert np.array_equal(pixels(saved(Image.fromarray(COLOURED), kind)), COLOURED)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_are_scaled_to_eight(kind: str) -> None:
    wide = RNG.integers(0, 65536, (6, 9), np.uint16)
    content = saved(Image.fromarray(wide), kind)
    assert Image.open(BytesIO(content)).mode.startswith("I")
    assert np.array_equal(pixels(content), np.repeat((wide >> 8).astype(np.uint8)[..., None], 3, axis=-1))


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_transparent_parts_are_on_white(kind: str) -> None:
    alpha = np.array([0, 255, 128], np.uint8)[np.arange(9) % 3] * np.ones((6, 1), np.uint8)
    transparent = Image.fromarray(np.dstack([COLOURED, alpha]))
    decoded = pixels(saved(transparent, kind, lossless=True, exact=True))
    assert (decoded[:, 0::3] == 255).all()
    assert np.array_equal(decoded[:, 1::3], COLOURED[:, 1::3])
    half = 255 + (COLOURED[:, 2::3].astype(float) - 255) * 128 / 255
    assert np.abs(decoded[:, 2::3] - half).max() <= 1


def test_a_grey_image_with_transparency_is_on_white() -> None:
    alpha = np.zeros_like(GREY)
    alpha[:, 4:] = 255
    decoded = pixels(saved(Image.fromarray(np.dstack([GREY, alpha]), "LA"), "PNG"))
    assert (decoded[:, :4] == 255).all()
    assert np.array_equal(decoded[:, 4:], np.repeat(GREY[:, 4:, None], 3, axis=-1))


def test_a_palette_gives_its_colours_and_white_where_it_is_transparent() -> None:
    image = Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4) % 3, "P")
    image.putpalette([200, 10, 20, 30, 40, 50, 60, 170, 80])
    colours = np.array([[200, 10, 20], [30, 40, 50], [60, 170, 80]], np.uint8)
    assert np.array_equal(pixels(saved(image, "PNG")), colours[np.asarray(image)])
    colours[1] = 255
    assert np.array_equal(pixels(saved(image, "PNG", transparency=1)), colours[np.asarray(image)])


@pytest.mark.parametrize(
    ("orientation", "turned"),
    [
        (1, COLOURED),
        (2, COLOURED[:, ::-1]),
        (3, COLOURED[::-1, ::-1]),
        (4, COLOURED[::-1]),
        (5, COLOURED.transpose(1, 0, 2)),
        (6, np.rot90(COLOURED, -1)),
        (7, COLOURED[::-1, ::-1].transpose(1, 0, 2)),
        (8, np.rot90(COLOURED, 1)),
    ],
)
def test_a_turned_image_is_upright(orientation: int, turned: NDArray[np.uint8]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert np.array_equal(pixels(saved(Image.fromarray(COLOURED), "PNG", exif=exif)), turned)


def test_files_are_found_by_their_paths_whatever_their_names(tmp_path: Path) -> None:
    names = ["a/naïve dög.png", "b/日本.png", "c/x.png"]
    for value, name in enumerate(names):
        (tmp_path / name).parent.mkdir()
        Image.new("L", (4, 4), value).save(tmp_path / name)
    images = ImageFiles(tmp_path, names, [2, 0, 1])
    assert len(images) == 3
    assert list(images.labels) == [2, 0, 1]
    assert [images.name_of(i) for i in range(3)] == names
    assert [int(np.asarray(images[i]).max()) for i in range(3)] == [0, 1, 2]


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.unlink(),
        lambda file: file.write_bytes(b""),
        lambda file: file.write_text("not an image"),
        lambda file: file.write_bytes(file.read_bytes()[:60]),
    ],
    ids=["missing", "empty", "text", "cut off"],
)
def test_what_can_not_be_decoded_is_named_and_noted(damage: object, tmp_path: Path) -> None:
    names = [f"{number:03d}.png" for number in range(100)]
    for name in names:
        Image.fromarray(COLOURED).save(tmp_path / name)
    damage(tmp_path / "017.png")  # type: ignore[operator]
    images = ImageFiles(tmp_path, names, [0] * 100)
    with pytest.raises(UnreadableImageError, match=r"^017\.png: \w"):
        images[17]
    assert images.unreadable.nonzero().flatten().tolist() == [17]
    assert np.array_equal(np.asarray(images[18]), COLOURED)


def test_more_than_a_hundredth_unreadable_is_an_error_that_names_them(tmp_path: Path) -> None:
    images = ImageFiles(tmp_path, [f"{number}.png" for number in range(150)], [0] * 150)
    with pytest.raises(UnreadableImageError):
        images[5]
    with pytest.raises(
        UserError,
        match=r"^data: at least 2 of 150 images can't be decoded, more than 1 %: 5.png, 9.png "
        r"\(9.png: no such file or directory\); mend or remove them$",
    ):
        images[9]


def test_an_image_is_tried_without_an_error_for_the_split(tmp_path: Path) -> None:
    (tmp_path / "0.png").write_bytes(saved(Image.fromarray(COLOURED), "PNG"))
    (tmp_path / "1.png").write_text("not an image")
    images = ImageFiles(tmp_path, ["0.png", "1.png", "2.png"], [0] * 3)
    assert images.too_many_unreadable("none yet") is None
    assert [images.try_one(index) for index in range(3)] == [
        (9, 6),
        "1.png: not an image",
        "2.png: no such file or directory",
    ]
    assert images.unreadable.tolist() == [False, True, True]
    assert images.too_many_unreadable("an example") == (
        "data: at least 2 of 3 images can't be decoded, more than 1 %: 1.png, 2.png (an example); mend or remove them"
    )


def test_an_image_that_pil_calls_huge_but_decodes_is_no_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    (tmp_path / "1.png").write_bytes(saved(Image.fromarray(COLOURED), "PNG"))
    images = ImageFiles(tmp_path, ["1.png"], [0])
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", COLOURED.shape[0] * COLOURED.shape[1] - 1)
    assert np.array_equal(np.asarray(images[0]), COLOURED)
    assert list(recwarn) == []
