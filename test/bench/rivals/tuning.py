"""DPO on a LoRA adapter: in plain PyTorch with PEFT, and by TRL's own trainer.

Usage: tuning.py PAIRS.safetensors OPTIONS_JSON
A step is one pair: the reference's log-probs, the policy's with gradients, and AdamW.
"""

import json
import re
import sys
import tempfile
from pathlib import Path

import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model
from serve import load, serve
from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback

options = json.loads(sys.argv[2])
data = {name: torch.from_numpy(values).long() for name, values in load(sys.argv[1]).items()}  # prompts, chosen, rejected: [pairs, tokens]


def frozen():
    return AutoModelForCausalLM.from_pretrained(options["model"], dtype=torch.float32)


def adapter() -> LoraConfig:
    return LoraConfig(r=options["rank"], lora_alpha=options["alpha"], lora_dropout=0.0, target_modules=options["targets"], task_type="CAUSAL_LM")


def peak() -> dict:
    """As peak-memory.ts: what getrusage tells begins with what the process that started this one held."""
    status = Path("/proc/self/status").read_text()
    return {"bytes": int(re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)[1]) * 1024}


class Plain:
    """A pair is a batch of two whole sequences; logits of the completion's tokens alone."""

    def __init__(self):
        torch.manual_seed(1)
        self.model = get_peft_model(frozen(), adapter())
        trainable = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.optimiser = torch.optim.AdamW(trainable, lr=options["learningRate"], weight_decay=0.0)

    def log_probs(self, ids: torch.Tensor, completion: int) -> torch.Tensor:
        logits = self.model(input_ids=ids, use_cache=False, logits_to_keep=completion + 1).logits[:, :-1]
        return F.log_softmax(logits, -1).gather(-1, ids[:, -completion:, None]).squeeze(-1).sum(-1)

    def tune(self, pairs: int) -> dict:
        self.model.train()
        for pair in range(pairs):
            sides = [torch.cat([data["prompts"][pair], data[side][pair]]) for side in ("chosen", "rejected")]
            ids, completion = torch.stack(sides), data["chosen"].shape[1]
            with torch.no_grad(), self.model.disable_adapter():
                reference = self.log_probs(ids, completion)
            ratio = self.log_probs(ids, completion) - reference
            loss = -F.logsigmoid(options["beta"] * (ratio[0] - ratio[1]))
            self.optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimiser.step()
            loss.item()
        return peak()


class Trl:
    def __init__(self):
        self.model, self.tokenizer = frozen(), AutoTokenizer.from_pretrained(options["model"])

    def tune(self, pairs: int) -> dict:
        from datasets import Dataset
        from trl import DPOConfig, DPOTrainer

        class Tokenized(DPOTrainer):
            def _prepare_dataset(self, dataset, *_):
                return dataset

        rows = [{"prompt_ids": data["prompts"][i].tolist(), "chosen_ids": data["chosen"][i].tolist(), "rejected_ids": data["rejected"][i].tolist()} for i in range(pairs)]  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            arguments = DPOConfig(
                output_dir=folder, beta=options["beta"], learning_rate=options["learningRate"], lr_scheduler_type="constant", num_train_epochs=1,
                per_device_train_batch_size=1, gradient_accumulation_steps=1, gradient_checkpointing=False, max_grad_norm=1.0, max_length=None,
                save_strategy="no", report_to=[], logging_steps=1, disable_tqdm=True, bf16=False, fp16=False, use_cpu=True, seed=1,
            )  # fmt: skip
            trainer = Tokenized(model=self.model, args=arguments, train_dataset=Dataset.from_list(rows), processing_class=self.tokenizer, peft_config=adapter())
            trainer.remove_callback(PrinterCallback)  # standard output is for answers
            trainer.train()
            self.model = trainer.model.unload()
        return peak()


rival = {"plain": Plain, "trl": Trl}[options["by"]]()
serve({"tune": rival.tune})
