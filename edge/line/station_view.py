"""What the station lets the engine see: region of interest and ignore mask, the same for capture, calibration and inspection."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edge.errors import ConfigError
from edge.frame import Image
from edge.graph_contract import GraphShape
from edge.pictures.image_file import read_image
from edge.preprocess import Region, ignore_mask_cells, preprocess
from edge.slots.calibration_tensors import Array
from edge.station_config import RegionConfig, StationConfig
from edge.storage.strict_yaml import StrictModel


class View(StrictModel):
    """Identity of the view, kept in a slot: a threshold is valid only for what it was derived on."""

    region: RegionConfig | None
    ignore_mask_sha256: str | None

    def describe(self) -> str:
        """In words."""
        region = "the whole image"
        if self.region is not None:
            region = f"region {self.region.width}×{self.region.height} at ({self.region.x}, {self.region.y})"
        return region + (f" with ignore_mask {self.ignore_mask_sha256[:12]}" if self.ignore_mask_sha256 else "")


@dataclass(frozen=True, slots=True)
class StationView:
    """Turns a camera image into the engine's input.

    ignore_mask: float32 map_height×map_width, 1 = not judged. frame_size: (width, height) that an image must have, None for any.
    """

    view: View
    shape: GraphShape
    region: Region | None
    ignore_mask: Array
    frame_size: tuple[int, int] | None = None

    def expecting(self, frame_size: tuple[int, int] | None) -> StationView:
        """The same, for images of ``frame_size`` only where there is a region: in others it would show something else."""
        return replace(self, frame_size=frame_size) if self.region is not None and frame_size is not None else self

    def preprocess(self, image: Image) -> Image:
        """Crop and resize, uint8 height×width×3; raises ConfigError where the image has not the size of mask and region."""
        size = image.shape[1], image.shape[0]
        if self.frame_size is not None and size != self.frame_size:
            raise ConfigError(
                f"expected an image of {self.frame_size[0]}×{self.frame_size[1]} pixels, for which region and mask were made, "
                f"got {size[0]}×{size[1]}; correct the camera's size, or the station file and calibrate again"
            )
        return preprocess(image, self.shape.height, self.shape.width, self.region)


def view_of(station: StationConfig) -> View:
    """What ``station`` looks at, without a graph; raises ImageError on a mask that cannot be read."""
    mask = read_image(station.ignore_mask) if station.ignore_mask is not None else None
    return View(region=station.region, ignore_mask_sha256=mask.sha256 if mask else None)


def station_view(station: StationConfig, shape: GraphShape) -> StationView:
    """The view of ``station`` for a graph of ``shape``; raises ConfigError or ImageError on a mask that cannot be used."""
    region = station.region.region() if station.region is not None else None
    mask = read_image(station.ignore_mask) if station.ignore_mask is not None else None
    cells = ignore_mask_cells(mask.image if mask else None, shape.map_height, shape.map_width, region)
    size = (mask.image.shape[1], mask.image.shape[0]) if mask else None
    return StationView(view_of(station), shape, region, cells, size)
