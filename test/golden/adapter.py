"""What real PEFT and transformers make of our files, and files of theirs for us. Called by test/framework/language-model/files.test.ts.

    python adapter.py FOLDER

FOLDER/model and FOLDER/ours were exported by us, and so was FOLDER/published, from a GGUF file; FOLDER/input.json has token ids, and texts.
Writes FOLDER/theirs (an adapter made by PEFT) and FOLDER/output.json: logits of the last row of tokens without an adapter, with ours and with
theirs, the same of theirs said to have been initialised in every way, and the texts' token ids, by the model's tokenizer and by the published one's.
"""

import json
import shutil
import sys
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer


def logits(model, tokens: list[int]) -> list[list[float]]:
    with torch.no_grad():
        return model(torch.tensor([tokens])).logits[0].tolist()


def main(folder: Path) -> None:
    given = json.loads((folder / "input.json").read_text())
    tokens = given["tokens"]
    model = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    result = {
        "architecture": type(model).__name__,
        "logits": logits(model, tokens),
        "generation": model.generation_config.eos_token_id,
        "ids": [tokenizer(text, add_special_tokens=False)["input_ids"] for text in given["texts"]],
        "decoded": [tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in given["texts"]],
        "chat": tokenizer.apply_chat_template(given["messages"], add_generation_prompt=True)["input_ids"],
    }
    published = AutoTokenizer.from_pretrained(folder / "published")
    result["published"] = [published(text, add_special_tokens=False)["input_ids"] for text in given["texts"]]
    result["publishedChat"] = published.apply_chat_template(given["messages"], add_generation_prompt=True)["input_ids"]
    ours = PeftModel.from_pretrained(model, folder / "ours").eval()
    result["ours"] = logits(ours, tokens)
    model = ours.unload()
    torch.manual_seed(1)
    config = LoraConfig(r=6, lora_alpha=15, lora_dropout=0.1, target_modules=["down_proj", "k_proj", "q_proj", "gate_proj"], init_lora_weights=False)
    theirs = get_peft_model(model, config).eval()
    result["theirs"] = logits(theirs, tokens)
    theirs.save_pretrained(folder / "theirs")
    result["initialised"] = {}
    for way in [True, False, "gaussian", "eva", "orthogonal", "mica", "pissa", "olora"]:
        said = json.loads((folder / "theirs" / "adapter_config.json").read_text()) | {"init_lora_weights": way}
        (folder / "said").mkdir(exist_ok=True)
        (folder / "said" / "adapter_config.json").write_text(json.dumps(said))
        shutil.copy(folder / "theirs" / "adapter_model.safetensors", folder / "said")
        base = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32)
        result["initialised"][json.dumps(way)] = logits(PeftModel.from_pretrained(base, folder / "said").eval(), tokens)
    factors = [parameter for name, parameter in theirs.named_parameters() if "lora_" in name]
    for dtype in (torch.bfloat16, torch.float32):
        for parameter in factors:
            parameter.data = parameter.data.to(dtype)
        if dtype == torch.bfloat16:
            theirs.save_pretrained(folder / "theirs-bf16")
    result["theirsBf16"] = logits(theirs, tokens)
    (folder / "output.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
