"""Writes number-formats.json: what llama.cpp's own Python package reads in blocks of its number formats.

    pip install gguf==0.19.0 numpy==2.4.6
    python test/golden/number_formats.py > test/golden/number-formats.json

Bytes are drawn at random; those of scales are made finite numbers.
"""

import base64
import json

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize

BLOCKS = 4
# Where each format's half-precision scales begin, in bytes of a block.
SCALES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "F16": None, "BF16": None}


def main() -> None:
    rng = np.random.default_rng(7)
    result = {}
    for name, scales in SCALES.items():
        kind = GGMLQuantizationType[name]
        values, size = GGML_QUANT_SIZES[kind]
        if scales is None:  # numbers by themselves
            numbers = rng.normal(size=32).astype(np.float32)
            halves = numbers.astype(np.float16).view(np.uint16) if name == "F16" else (numbers.view(np.uint32) >> 16).astype(np.uint16)
            data = halves.view(np.uint8)
        else:
            blocks = rng.integers(0, 256, size=(BLOCKS, size), dtype=np.uint8)
            for at in scales:
                blocks[:, at : at + 2] = rng.normal(size=(BLOCKS, 1)).astype(np.float16).view(np.uint8)
            data = blocks.reshape(-1)
        floats = dequantize(data.view(np.float16) if name == "F16" else data, kind).reshape(-1).astype(np.float32)
        result[name] = {"bytes": base64.b64encode(data.tobytes()).decode(), "values": base64.b64encode(floats.tobytes()).decode()}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
