"""Writes minilm.json: cosine similarities of a few texts by all-MiniLM-L6-v2, computed without @huggingface/transformers.

    pip install onnxruntime==1.32.0 tokenizers==0.23.3 torch==2.13.0 transformers==5.23.0 numpy
    python test/golden/minilm.py INT8_FOLDER FLOAT_FOLDER > test/golden/minilm.json

INT8_FOLDER is the asset's folder (onnx/model_quantized.onnx, tokenizer.json); FLOAT_FOLDER holds the model as published
(model.safetensors, config.json, tokenizer.json). Both: mean over the tokens that are not padding, then length 1.
"""

import json
import sys

import numpy as np
import onnxruntime
import torch
from tokenizers import Tokenizer
from transformers import AutoModel

TEXTS = [
    "Genre: Drama, Comedy",
    "Genre: Horror, Thriller",
    "Period: 1990s",
    "Avoids: Horror",
    "Toy Story (1995). genres: Animation, Children's, Comedy. period: 1990s",
    "Scream (1996). genres: Horror, Thriller. period: 1990s",
    "Amélie, ça va? 東京物語",
    "A viewer who likes slow films about families, and whom car chases leave cold, whatever the critics may have said of them.",
]


def cosines(hidden: np.ndarray, mask: np.ndarray) -> list[list[float]]:
    mean = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
    unit = mean / np.linalg.norm(mean, axis=1, keepdims=True)
    return [[round(float(x), 6) for x in row] for row in unit @ unit.T]


def main(int8_folder: str, float_folder: str) -> None:
    tokenizer = Tokenizer.from_file(f"{int8_folder}/tokenizer.json")
    tokenizer.enable_padding()
    encodings = tokenizer.encode_batch(TEXTS)
    inputs = {
        "input_ids": np.array([e.ids for e in encodings]),
        "attention_mask": np.array([e.attention_mask for e in encodings]),
        "token_type_ids": np.array([e.type_ids for e in encodings]),
    }
    mask = inputs["attention_mask"].astype(np.float32)
    session = onnxruntime.InferenceSession(f"{int8_folder}/onnx/model_quantized.onnx")
    int8 = session.run(["last_hidden_state"], inputs)[0]
    model = AutoModel.from_pretrained(float_folder, dtype=torch.float32).eval()
    with torch.no_grad():
        exact = model(**{name: torch.tensor(values) for name, values in inputs.items()}).last_hidden_state.numpy()
    rows = lambda matrix: ",\n".join(f"    {json.dumps(row)}" for row in matrix)
    texts = ",\n".join(f"    {json.dumps(text, ensure_ascii=False)}" for text in TEXTS)
    print(f'{{\n  "texts": [\n{texts}\n  ],\n  "int8": [\n{rows(cosines(int8, mask))}\n  ],\n  "float": [\n{rows(cosines(exact, mask))}\n  ]\n}}')


main(*sys.argv[1:])
