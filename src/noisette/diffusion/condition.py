"""The conditions of a network: label, attributes, text and input image."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..shapes import Images


@dataclass(frozen=True)
class Condition:
    """The inputs of a network besides x_t and t, for a batch of B images. A field that is None is not used.

    A null condition, for classifier-free guidance, is the label -1, or a row of `vector` or `tokens` that is all NaN:
    the network replaces it by its learned null embedding. Texts shorter than the longest in the batch are padded with
    tokens that are all NaN.
    """

    label: Int[Tensor, "b"] | Float[Tensor, "b classes"] | None = (
        None  # class index, or weights of a mixture of classes
    )
    vector: Float[Tensor, "b d"] | None = None  # attributes, or a pooled text embedding
    tokens: Float[Tensor, "b l d"] | None = None  # text: the pooled embedding first, then one per token
    image: Images | None = None  # concatenated to x_t: a low-resolution or masked picture

    @property
    def droppable_fields(self) -> tuple[str, ...]:
        """Names of the fields that are not None, except `image`, which is never dropped."""
        return tuple(f.name for f in fields(self) if f.name != "image" and getattr(self, f.name) is not None)

    def drop(self, drop_mask: Bool[Tensor, "b"], *names: str) -> "Condition":
        """Make the condition null for the images where drop_mask is true.

        names: the fields to drop; by default `droppable_fields`.
        """

        def null(x: Tensor) -> Tensor:
            where = drop_mask.to(x.device).reshape((-1,) + (1,) * (x.ndim - 1))
            return torch.where(where, torch.nan if x.is_floating_point() else -1, x)

        return replace(self, **{kind: null(getattr(self, kind)) for kind in names or self.droppable_fields})

    def null(self) -> "Condition":
        """The null condition of the same batch; `image` is kept."""
        return self.drop(torch.ones(len(self), dtype=torch.bool, device="cpu"))

    def to(self, device: torch.device | str) -> "Condition":
        """All fields on a device."""
        return self.map(lambda x: x.to(device))

    def __len__(self) -> int:
        """The batch size; 0 if every field is None."""
        return next((len(x) for f in fields(self) if (x := getattr(self, f.name)) is not None), 0)

    def __getitem__(self, rows: slice | Tensor) -> "Condition":
        """The condition of some images of the batch."""
        return self.map(lambda x: x[rows])

    def concat(self, other: "Condition") -> "Condition | None":
        """Both batches joined; None if they have different fields, shapes or dtypes and cannot be joined."""
        joined: dict[str, Tensor] = {}
        for f in fields(self):
            first, second = getattr(self, f.name), getattr(other, f.name)
            if first is None and second is None:
                continue
            if first is None or second is None or first.shape[1:] != second.shape[1:] or first.dtype != second.dtype:
                return None
            joined[f.name] = torch.cat([first, second])
        return replace(self, **joined)

    def map(self, fn: Callable[[Tensor], Tensor]) -> "Condition":
        """Apply a function to every field that is not None."""
        return replace(self, **{f.name: fn(x) for f in fields(self) if (x := getattr(self, f.name)) is not None})
