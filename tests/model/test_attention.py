"""Unpacking attention changes no output, and packing gives back the very same weights."""

from __future__ import annotations

import copy
from itertools import product

import pytest
import torch
from torch import nn

from fpray.model.attention import UnpackedAttention, pack, unpack
from fpray.model.reference import Reference


@pytest.mark.parametrize(("batch_first", "bias"), list(product([True, False], repeat=2)))
def test_unpacked_attention_is_the_same_function(batch_first: bool, bias: bool) -> None:
    torch.manual_seed(0)
    packed = nn.MultiheadAttention(32, 4, bias=bias, batch_first=batch_first).eval()
    if bias:  # torch starts them at 0, which would hide a mix-up
        nn.init.normal_(packed.in_proj_bias)
        nn.init.normal_(packed.out_proj.bias)
    unpacked = UnpackedAttention(packed).eval()
    query, key, value = torch.randn(3, 5, 5, 32)
    mask = torch.full((5, 5), float("-inf")).triu_(1)
    for attn_mask in (None, mask):
        theirs, _ = packed(query, key, value, need_weights=False, attn_mask=attn_mask)
        ours, weights = unpacked(query, key, value, need_weights=False, attn_mask=attn_mask)
        assert weights is None
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_pack_undoes_unpack_bit_by_bit(reference: Reference, pixels: torch.Tensor) -> None:
    encoder = copy.deepcopy(reference.classifier.encoder)
    for parameter in encoder.parameters():  # no bias may stay 0, which would hide a mix-up
        parameter.add_(0.02 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    expected = encoder(pixels)

    unpack(encoder)
    assert not any(isinstance(m, nn.MultiheadAttention) for m in encoder.modules())
    assert sum(isinstance(m, UnpackedAttention) for m in encoder.modules()) == 2
    torch.testing.assert_close(encoder(pixels), expected, rtol=1e-6, atol=1e-6)

    pack(encoder)
    after = encoder.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[key], before[key]) for key in before)
    assert torch.equal(encoder(pixels), expected)


def test_packing_keeps_mode_dtype_and_dropout() -> None:
    model = nn.Sequential(nn.MultiheadAttention(16, 2, dropout=0.3, bias=False, batch_first=True, dtype=torch.float64))
    for training in (True, False):
        model.train(training)
        unpack(model)
        assert all(module.training is training for module in model.modules())
        pack(model)
        assert isinstance(model[0], nn.MultiheadAttention)
        assert model[0].training is training
        assert (model[0].dropout, model[0].num_heads, model[0].batch_first) == (0.3, 2, True)
        assert model[0].in_proj_bias is None
        assert {p.dtype for p in model.parameters()} == {torch.float64}


def test_dropout_acts_in_training_only() -> None:
    torch.manual_seed(0)
    attention = UnpackedAttention(nn.MultiheadAttention(16, 2, dropout=0.5, batch_first=True))
    x = torch.randn(2, 6, 16)
    attention.eval()
    assert torch.equal(attention(x, x, x)[0], attention(x, x, x)[0])
    attention.train()
    assert not torch.equal(attention(x, x, x)[0], attention(x, x, x)[0])
