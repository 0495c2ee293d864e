"""Attention with separate q, k, v and out projections, for LoRA.

open_clip packs q, k and v into one weight of `nn.MultiheadAttention`, on which peft's LoRA is wrong: it adds the
delta of out_proj twice and ignores dropout (peft PR 3774). `unpack` rewrites a model's attention with plain
`nn.Linear` modules, `pack` writes it back; both are exact.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class UnpackedAttention(nn.Module):
    """An `nn.MultiheadAttention` as plain linear layers, which computes the same."""

    def __init__(self, packed: nn.MultiheadAttention) -> None:
        super().__init__()
        weight, bias = packed.in_proj_weight, packed.in_proj_bias
        self.num_heads, self.batch_first, self.dropout = packed.num_heads, packed.batch_first, packed.dropout
        rows, biases = weight.chunk(3), bias.chunk(3) if bias is not None else (None,) * 3
        self.q, self.k, self.v = (_linear(row, b) for row, b in zip(rows, biases, strict=True))
        self.out = _linear(packed.out_proj.weight, packed.out_proj.bias)
        self.train(packed.training)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, *, need_weights: bool = False, attn_mask: Tensor | None = None
    ) -> tuple[Tensor, None]:
        """Attention over [batch, tokens, width], or [tokens, batch, width] without `batch_first`; no weights."""
        if not self.batch_first:
            query, key, value = (x.transpose(0, 1) for x in (query, key, value))
        q, k, v = (
            proj(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for proj, x in ((self.q, query), (self.k, key), (self.v, value))
        )
        dropout = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=attn_mask, dropout_p=dropout)
        result = self.out(mixed.transpose(1, 2).flatten(-2))
        return (result if self.batch_first else result.transpose(0, 1)), None

    @torch.no_grad()
    def packed(self) -> nn.MultiheadAttention:
        """The `nn.MultiheadAttention` of the same weights."""
        projections, device = (self.q, self.k, self.v), self.out.weight.device
        packed = nn.MultiheadAttention(
            self.out.out_features,
            self.num_heads,
            dropout=self.dropout,
            bias=self.q.bias is not None,
            batch_first=self.batch_first,
            device=device,
            dtype=self.out.weight.dtype,
        )
        packed.in_proj_weight.copy_(torch.cat([p.weight for p in projections]))
        packed.out_proj.weight.copy_(self.out.weight)
        if packed.in_proj_bias is not None:
            packed.in_proj_bias.copy_(torch.cat([p.bias for p in projections]))
            packed.out_proj.bias.copy_(self.out.bias)
        return packed.train(self.training)


def unpack(model: nn.Module) -> None:
    """Replace every `nn.MultiheadAttention` in the model by its unpacked form, in place.

    An `nn.MultiheadAttention` whose keys and values have another width than its queries (CoCa's pooling) has separate
    projections already, and stays.
    """
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.MultiheadAttention) and child.in_proj_weight is not None:
                setattr(module, name, UnpackedAttention(child))


def pack(model: nn.Module) -> None:
    """Undo `unpack`, in place."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, UnpackedAttention):
                setattr(module, name, child.packed())


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    linear = nn.Linear(
        weight.shape[1], weight.shape[0], bias=bias is not None, device=weight.device, dtype=weight.dtype
    )
    with torch.no_grad():
        linear.weight.copy_(weight)
        if bias is not None:
            linear.bias.copy_(bias)
    return linear
