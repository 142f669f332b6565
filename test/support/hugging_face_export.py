"""A GGUF checkpoint as transformers reads it, saved in Hugging Face's own layout, with what transformers' `generate` writes for some chats.

    python hugging_face_export.py FOLDER FILE.gguf OUT CHATS.json TOKENS
"""

import json
import pathlib
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

folder, gguf, out, chats, tokens = sys.argv[1:]
model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=gguf, dtype=torch.float32)
tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=gguf)

greedy = []
for messages in json.loads(pathlib.Path(chats).read_text()):
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    with torch.no_grad():
        written = model.generate(**prompt, do_sample=False, max_new_tokens=int(tokens))
    greedy.append(tokenizer.decode(written[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True))

# transformers saves no model that came from a GGUF, though its weights are float32 by now: the same weights in a new model.
if hasattr(model.config, "quantization_config"):
    del model.config.quantization_config
plain = AutoModelForCausalLM.from_config(model.config, dtype=torch.float32)
plain.load_state_dict(model.state_dict())

# A server that is asked for a temperature samples only where the model's own configuration does not say otherwise.
plain.generation_config = model.generation_config
plain.generation_config.do_sample = True
plain.generation_config.top_k = 0
plain.save_pretrained(out)
tokenizer.save_pretrained(out)
(pathlib.Path(out) / "greedy.json").write_text(json.dumps(greedy))
