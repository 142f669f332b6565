"""Weights that both sides can make, so that none need be kept: a hash of a tensor's name and of the position in it."""

import zlib

import numpy as np
import torch


def mix(x: np.ndarray) -> np.ndarray:
    """murmur3's finaliser."""
    x = (x ^ (x >> 16)) * np.uint32(0x85EBCA6B)
    x = (x ^ (x >> 13)) * np.uint32(0xC2B2AE35)
    return x ^ (x >> 16)


def weight(name: str, *shape: int) -> torch.Tensor:
    count = int(np.prod(shape))
    salt = np.uint32(zlib.crc32(name.encode()))
    uniform = mix(np.arange(count, dtype=np.uint32) ^ salt).astype(np.float64) / 2**32 - 0.5
    values = 1 + 0.5 * uniform if "norm" in name else 0.8 * uniform
    return torch.tensor(values.reshape(shape), dtype=torch.float64)


def dense(name: str, inputs: int, outputs: int, bias: bool = True) -> torch.nn.Linear:
    """A linear layer with our weights, which are [inputs, outputs]."""
    layer = torch.nn.Linear(inputs, outputs, bias=bias, dtype=torch.float64)
    layer.weight.data = weight(f"{name}/weights", inputs, outputs).T
    if bias:
        layer.bias.data = weight(f"{name}/biases", outputs)
    return layer


def norm(name: str, width: int) -> torch.nn.LayerNorm:
    layer = torch.nn.LayerNorm(width, eps=1e-6, dtype=torch.float64)
    layer.weight.data, layer.bias.data = weight(f"{name}/gain", width), weight(f"{name}/bias", width)
    return layer


def attention(name: str, width: int, heads: int, projected: bool = True) -> torch.nn.MultiheadAttention:
    layer = torch.nn.MultiheadAttention(width, heads, batch_first=True, dtype=torch.float64)
    parts = [dense(f"{name}/{part}", width, width) for part in ("query", "key", "value")]
    layer.in_proj_weight.data = torch.cat([part.weight for part in parts])
    layer.in_proj_bias.data = torch.cat([part.bias for part in parts])
    layer.out_proj.weight.data, layer.out_proj.bias.data = torch.eye(width).double(), torch.zeros(width).double()
    if projected:
        output = dense(f"{name}/output", width, width)
        layer.out_proj.weight.data, layer.out_proj.bias.data = output.weight.data, output.bias.data
    return layer


def gru(name: str, inputs: int, hidden: int) -> torch.nn.GRU:
    layer = torch.nn.GRU(inputs, hidden, batch_first=True, dtype=torch.float64)
    layer.weight_ih_l0.data = weight(f"{name}/input/weights", inputs, 3 * hidden).T
    layer.bias_ih_l0.data = weight(f"{name}/input/biases", 3 * hidden)
    layer.weight_hh_l0.data = weight(f"{name}/state/weights", hidden, 3 * hidden).T
    layer.bias_hh_l0.data = weight(f"{name}/state/biases", 3 * hidden)
    return layer


def lstm(names: list[str], inputs: int, hidden: int) -> torch.nn.LSTM:
    """@param names of the forward direction and, where there is one, of the backward"""
    layer = torch.nn.LSTM(inputs, hidden, batch_first=True, bidirectional=len(names) == 2, dtype=torch.float64)
    for name, end in zip(names, ("", "_reverse")):
        getattr(layer, f"weight_ih_l0{end}").data = weight(f"{name}/input/weights", inputs, 4 * hidden).T
        getattr(layer, f"bias_ih_l0{end}").data = weight(f"{name}/input/biases", 4 * hidden)
        getattr(layer, f"weight_hh_l0{end}").data = weight(f"{name}/state/weights", hidden, 4 * hidden).T
        getattr(layer, f"bias_hh_l0{end}").data = torch.zeros(4 * hidden, dtype=torch.float64)
    return layer


def rounded(values: torch.Tensor) -> list:
    """A row a list; six digits after the point are more than the tests compare."""
    return [[round(float(x), 6) for x in row] for row in values]
