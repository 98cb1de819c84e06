"""Linear layers computed as 1x1 convolutions, which some processors multiply faster."""

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear


class PointwiseLinear(nn.Linear):
    """A linear layer whose sequences go through a 1x1 convolution in channels_last.

    torch multiplies matrices with MKL on a CPU and convolves with oneDNN. MKL uses AVX2 alone on
    processors of other makers than its own, oneDNN uses AVX-512 wherever it is there.
    """

    @classmethod
    def sharing(cls, other: nn.Linear) -> "PointwiseLinear":
        """Return a layer with the very parameters of another, not copies of them."""
        layer = cls.__new__(cls)
        nn.Module.__init__(layer)
        layer.in_features, layer.out_features = other.in_features, other.out_features
        layer.weight, layer.bias = other.weight, other.bias
        layer.train(other.training)
        return layer

    def forward(self, input: Tensor) -> Tensor:
        """Map (N, T, C) float to (N, T, D); other ranks and precisions go the usual way."""
        if input.dim() != 3 or input.dtype != torch.float32:
            return linear(input, self.weight, self.bias)
        # (N, C, T, 1) as a view: C lies innermost, which is what channels_last means.
        image = input.unsqueeze(2).permute(0, 3, 1, 2)
        mapped = conv2d(image, self.weight[:, :, None, None], self.bias)
        return mapped.permute(0, 2, 3, 1).squeeze(2)


def use_convolutions(module: nn.Module) -> None:
    """Replace the linear layers within a module, in place; names and parameters stay."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            # Exactly that class: a subclass may compute something else.
            if type(child) is nn.Linear:
                setattr(parent, name, PointwiseLinear.sharing(child))
