"""transformers' own loading of a GGUF file.

Usage: loading.py MODEL.gguf OPTIONS_JSON
"""

import sys
from pathlib import Path

import torch
from serve import serve
from transformers import AutoModelForCausalLM, AutoTokenizer

path = Path(sys.argv[1])


def load() -> dict:
    """All that writing takes: weights and tokenizer."""
    model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
    AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    return {"parameters": sum(parameter.numel() for parameter in model.parameters())}


serve({"load": load})
