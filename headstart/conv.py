"""The convolutional net of the classic few-shot papers, for many rows that each wear a slot of their own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor

from headstart.bank import Bank, Weights, worn
from headstart.errors import BankError, SettingsError
from headstart.settings import below, refuse

_BLOCKS = 4
_CLOSE = 1e-5


@final
@dataclass(frozen=True)
class Conv4:
    """Four blocks of a 3x3 convolution, batch normalisation, ReLU and 2x2 max-pooling, and a linear head.

    Normalisation uses the statistics of the batch at hand, a row's own n images, in training and ever after: what a row is asked
    together shapes the answers ("transductive"). `OneByOne` asks a learner one image at a time.

    Source: Vinyals et al. 2016, Matching Networks, section 4.1; 32 filters on 84x84x3 as in Ravi & Larochelle 2017; `strided` as in
    Finn et al. 2017, MAML, section 5.2.
    """

    ways: int | None
    """Classes the head tells apart; None leaves the head off and gives the features."""
    filters: int = 64
    """Channels of every block."""
    channels: int = 1
    """Channels of an image."""
    size: int = 28
    """Height and width of an image in pixels, 16 at least."""
    strided: bool = False
    """Convolve with stride 2 in place of pooling, and average over space at the end: a quarter of the work."""

    def __post_init__(self) -> None:
        refuse(below(1, self, "filters", table="net"))
        if self.size < 1 << _BLOCKS:
            raise SettingsError(f"Four blocks halve an image four times: {self.size} pixels are too few, 16 are the least.")

    @property
    def features(self) -> int:
        """Width of what the last block gives: 64 for 28x28 images and 64 filters, 800 for 84x84 and 32."""
        return self.filters if self.strided else self.filters * (self.size >> _BLOCKS) ** 2

    def blank(self, seed: int) -> Weights:
        """Fresh weights: Glorot's uniform draw, unit gains and zero shifts, as in the MAML authors' code."""
        rng = torch.Generator().manual_seed(seed)
        weights: Weights = {}
        for block in range(1, _BLOCKS + 1):
            weights[f"conv{block}.weight"] = _glorot((self.filters, self.channels if block == 1 else self.filters, 3, 3), rng)
            weights[f"norm{block}.weight"] = torch.ones(self.filters)
            weights[f"norm{block}.bias"] = torch.zeros(self.filters)
        if self.ways is not None:
            weights["head.weight"] = _glorot((self.ways, self.features), rng)
            weights["head.bias"] = torch.zeros(self.ways)
        return weights

    def __call__(self, bank: Bank, slots: Tensor, inputs: Tensor) -> Tensor:
        """Scores of the classes, or features: (rows, n, ways | features).

        Args:
            bank: name -> (slots, ...).
            slots: (rows,) int64.
            inputs: images, (rows, n, channels, size, size).
        """
        if inputs.shape[2:] != (self.channels, self.size, self.size):
            got = "x".join(map(str, inputs.shape[2:]))
            raise BankError(f"The images are {got}, this net reads {self.channels}x{self.size}x{self.size} (channels, height, width).")
        weights = worn(bank, slots)
        x = inputs
        for block in range(1, _BLOCKS + 1):
            kernel, gain, shift = weights[f"conv{block}.weight"], weights[f"norm{block}.weight"], weights[f"norm{block}.bias"]
            x = self._block(x, kernel, gain, shift)
        flat = x.mean((3, 4)) if self.strided else x.flatten(2)
        return flat if self.ways is None else torch.baddbmm(weights["head.bias"][:, None], flat, weights["head.weight"].mT)

    def _block(self, x: Tensor, kernel: Tensor, gain: Tensor, shift: Tensor) -> Tensor:
        """(rows, n, channels, size, size) -> (rows, n, filters, smaller, smaller), in whichever way is fastest here."""
        narrow = 9 * kernel.shape[2] <= kernel.shape[1]
        way = self._by_products if x.is_cuda else self._from_patches if narrow else self._grouped
        return way(x, kernel, gain, shift)

    def _grouped(self, x: Tensor, kernel: Tensor, gain: Tensor, shift: Tensor) -> Tensor:
        """One block as a convolution in groups, a row a group."""
        rows = len(x)
        side_by_side = x.transpose(0, 1).flatten(1, 2)
        h = F.conv2d(side_by_side, kernel.flatten(0, 1), stride=self._stride, padding=1, groups=rows)
        h = F.batch_norm(h, None, None, gain.flatten(), shift.flatten(), training=True, eps=_CLOSE)
        out: Tensor = self._settled(h).unflatten(1, (rows, -1)).transpose(0, 1)
        return out

    def _from_patches(self, x: Tensor, kernel: Tensor, gain: Tensor, shift: Tensor) -> Tensor:
        """The same block where an image has few channels, as on the pixels themselves.

        The outputs are the largest tensors of the whole net, and their mean and variance follow from those of the 3x3 patches, which are
        small. So normalisation is folded into the kernel and touches no output: a second-order step takes a third less time.
        """
        rows, count = x.shape[:2]
        patches = F.unfold(x.flatten(0, 1), 3, padding=1, stride=self._stride).mT
        places = patches.shape[1]
        patches = patches.reshape(rows, count * places, -1)
        centred = patches - patches.mean(1, keepdim=True)
        covariance = centred.mT @ centred / centred.shape[1]
        kernel = kernel.flatten(2).mT
        variance = (kernel * (covariance @ kernel)).sum(1, keepdim=True)
        kernel = kernel * (gain[:, None] * (variance + _CLOSE).rsqrt())
        side = math.isqrt(places)
        h = torch.baddbmm(shift[:, None], centred, kernel).view(rows, count, side, side, -1).permute(0, 1, 4, 2, 3)
        if self.strided:
            # Laid out as the next block wants it before ReLU, whose gradient comes in that order; pooling reads either, and leaves less.
            return F.relu(h.transpose(0, 1).contiguous().transpose(0, 1))
        out: Tensor = self._settled(h.flatten(0, 1)).unflatten(0, (rows, count))
        return out

    def _by_products(self, x: Tensor, kernel: Tensor, gain: Tensor, shift: Tensor) -> Tensor:
        """The same block as a batched product of all its 3x3 patches, for a GPU.

        There a convolution in groups has a second derivative that goes group by group, and `unfold` goes image by image: hundreds of
        small launches a block, where this takes a few whatever the number of rows.
        """
        rows, count = x.shape[:2]
        windows = F.pad(x.flatten(0, 1), (1, 1, 1, 1)).unfold(2, 3, self._stride).unfold(3, 3, self._stride)
        high, wide = windows.shape[2:4]
        patches = windows.permute(0, 2, 3, 1, 4, 5).reshape(rows, count * high * wide, -1)
        h = torch.bmm(patches, kernel.flatten(2).mT)
        variance, mean = torch.var_mean(h, 1, correction=0, keepdim=True)
        h = torch.addcmul(shift[:, None], h - mean, gain[:, None] * (variance + _CLOSE).rsqrt())
        h = h.view(rows * count, high, wide, -1).permute(0, 3, 1, 2)
        out: Tensor = self._settled(h).unflatten(0, (rows, count))
        return out

    @property
    def _stride(self) -> int:
        return 2 if self.strided else 1

    def _settled(self, h: Tensor) -> Tensor:
        # The maximum and ReLU commute, and this way ReLU sees a quarter of the places.
        return F.relu(h if self.strided else F.max_pool2d(h, 2))


def _glorot(shape: tuple[int, ...], rng: torch.Generator) -> Tensor:
    """A uniform draw whose variance is 2 / (fan in + fan out). Source: Glorot & Bengio 2010, equation 16."""
    fans = (shape[0] + shape[1]) * math.prod(shape[2:])
    return (torch.rand(shape, generator=rng) * 2 - 1) * math.sqrt(6 / fans)
