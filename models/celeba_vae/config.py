"""The shape of a CelebA VAE."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CelebAVAEConfig:
    """Widths and sizes of the network; the defaults are the published model's.

    Attributes:
        hidden_channels: output channels of the encoder's blocks, input side first.
        latent_channels: length of one latent vector.
        image_size_px: side of the square pictures that go in and come out.
    """

    hidden_channels: tuple[int, ...] = (32, 64, 128, 256, 512)
    latent_channels: int = 128
    image_size_px: int = 150

    def __post_init__(self) -> None:
        """Refuse shapes that cannot be built, naming the value and the fix."""
        if len(self.hidden_channels) < 2 or min(self.hidden_channels) < 1:
            raise ValueError(
                f"hidden_channels is {self.hidden_channels}: give at least two positive widths"
            )
        if self.latent_channels < 1:
            raise ValueError(f"latent_channels is {self.latent_channels}: give at least 1")
        if self.image_size_px < 2 ** len(self.hidden_channels):
            raise ValueError(
                f"image_size_px is {self.image_size_px}: "
                f"{len(self.hidden_channels)} halvings need at least "
                f"{2 ** len(self.hidden_channels)}"
            )

    @property
    def feature_side_px(self) -> int:
        """Side of the encoder's last feature map: each block halves and rounds up."""
        side = self.image_size_px
        for _ in self.hidden_channels:
            side = (side + 1) // 2
        return side
