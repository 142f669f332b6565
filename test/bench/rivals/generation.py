"""transformers' own `generate`.

Usage: generation.py PROMPTS.safetensors OPTIONS_JSON
"""

import json
import sys

import torch
from serve import load, serve
from transformers import AutoModelForCausalLM

options = json.loads(sys.argv[2])
prompts = torch.from_numpy(load(sys.argv[1])["prompts"]).long()  # [prompts, tokens]
model = AutoModelForCausalLM.from_pretrained(options["model"], dtype=torch.float32).eval()


@torch.inference_mode()
def generate(prompts_at_once: int, count: int, samples: int, tokens: int) -> dict:
    """Exactly `tokens` tokens of each sample of the first `count` prompts, drawn without filters."""
    written = 0
    for some in prompts[:count].split(prompts_at_once):
        output = model.generate(
            some,
            attention_mask=torch.ones_like(some),
            do_sample=True,
            temperature=1.0,
            top_k=0,
            top_p=1.0,
            num_return_sequences=samples,
            min_new_tokens=tokens,
            max_new_tokens=tokens,
            pad_token_id=0,
        )
        written += output.shape[0] * (output.shape[1] - some.shape[1])
    return {"tokens": written}


serve({"generate": generate})
