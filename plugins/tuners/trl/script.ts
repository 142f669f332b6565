/** The program that tunes with TRL. It stands beside its inputs and needs nothing else: it can be run here or on another machine. */
export const script = String.raw`"""Tunes a LoRA adapter with TRL, as rlrf4rec's tuner "trl" asks for in arguments.json.

    pip install -r requirements.txt
    python tune.py                                                # one process
    accelerate launch --config_file accelerate.yaml tune.py      # several, as a config of accelerate says (FSDP, DeepSpeed, several GPUs)

Reads arguments.json, examples.jsonl and start/ (the adapter to go on from) beside this file, and the model, frozen.
Writes adapter/ (PEFT's layout), which is whole when it is there, and checkpoints/ until then. Killed, it goes on where it was.
Every step is told on a line of standard output: {"step": 0, "steps": 10, "loss": 0.69, ...}.
"""

import json
import math
import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROCESSES = int(os.environ.get("WORLD_SIZE", "1"))  # set by accelerate's launcher
FIRST = os.environ.get("RANK", "0") == "0"  # the one that writes and tells
if PROCESSES == 1:
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")  # TRL's trainers refuse one process with several devices
os.environ.setdefault("HF_HOME", str(HERE / "cache"))
for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "TQDM_DISABLE"):
    os.environ[name] = "1"


def end_with_starter() -> None:
    """Whoever started this program holds its standard input open. Where that ends nobody hears of the steps, and the next one begins in this folder."""
    while os.read(0, 4096):
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__" and os.environ.get("RLRF_ATTACHED") == "1":
    threading.Thread(target=end_with_starter, daemon=True).start()

import torch
from datasets import Dataset, disable_progress_bars
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback, TrainerCallback
from transformers.trainer_utils import get_last_checkpoint
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

disable_progress_bars()

# The examples come with their token ids: a text that was cut by the token limit has no end token, which no chat template could say.


class TokenizedDPOTrainer(DPOTrainer):
    def _prepare_dataset(self, dataset, *_):
        return dataset.select_columns(["prompt_ids", "chosen_ids", "rejected_ids"])

    def compute_ref_log_probs(self, model, inputs):
        training = self.model.training
        self.model.eval()  # the reference has no dropout
        try:
            return super().compute_ref_log_probs(model, inputs)
        finally:
            self.model.train(training)


def tokenized_cpo():
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    from trl.experimental.cpo import CPOConfig, CPOTrainer

    class TokenizedCPOTrainer(CPOTrainer):
        def tokenize_row(self, feature, model=None):
            prompt = feature["prompt_ids"]
            row = {"prompt_input_ids": prompt, "prompt_attention_mask": [1] * len(prompt)}
            for side in ("chosen", "rejected"):
                ids = prompt + feature[f"{side}_ids"]
                row[f"{side}_input_ids"] = ids
                row[f"{side}_attention_mask"] = [1] * len(ids)
                row[f"{side}_labels"] = [-100] * len(prompt) + feature[f"{side}_ids"]
            return row

    return CPOConfig, TokenizedCPOTrainer


class SFTTrainerByText(SFTTrainer):
    """The NLL of a text is the mean over its own tokens; TRL's is one mean over the tokens of all texts, in which long ones count more."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.model_accepts_loss_kwargs = False  # the mean over accumulated batches is the trainer's

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        labels = inputs["labels"][:, 1:]
        logits = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], use_cache=False).logits[:, :-1]
        nll = torch.nn.functional.cross_entropy(logits.transpose(1, 2).float(), labels, reduction="none", ignore_index=-100)
        return (nll.sum(1) / (labels != -100).sum(1)).mean()


def scheduled(Trainer, settings, steps):
    """With rlrf4rec's optimizer and schedule, which the trainer makes when it has wrapped the model (FSDP and DeepSpeed need that)."""

    class ScheduledTrainer(Trainer):
        def create_optimizer(self, model=None):
            if self.optimizer is None:
                model = self.model if model is None else model
                trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
                self.optimizer = torch.optim.AdamW(trainable, lr=settings["learningRate"], weight_decay=settings["weightDecay"])
            return self.optimizer

        def create_scheduler(self, num_training_steps, optimizer=None):
            if self.lr_scheduler is None:
                optimizer = self.optimizer if optimizer is None else optimizer
                scale = lambda step: learning_rate_scale(step, steps, settings["schedule"], settings["rise"])
                self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, scale)
            return self.lr_scheduler

    return ScheduledTrainer


class Reporter(TrainerCallback):
    """Tells of every step, and ends between two of them when it is asked to."""

    names = {
        "grad_norm": "gradNorm",
        "learning_rate": "learningRate",
        "rewards/chosen": "chosenReward",
        "rewards/rejected": "rejectedReward",
        "rewards/margins": "margin",
        "rewards/accuracies": "accuracy",
        "entropy": "entropy",
    }

    def __init__(self, every: int):
        self.every = every
        self.stopped = False
        self.diverged = None
        self.began = time.monotonic()
        self.file = HERE / "steps.jsonl"
        signal.signal(signal.SIGTERM, self.stop)
        signal.signal(signal.SIGINT, self.stop)

    def stop(self, *_):
        self.stopped = True

    def resume(self, done: int) -> None:
        """Tells again what an earlier process did; what it did after its last checkpoint comes anew."""
        if not FIRST:
            return
        lines = self.file.read_text().splitlines()[:done] if done > 0 else []
        self.file.write_text("".join(line + "\n" for line in lines))
        for line in lines:
            print(line, flush=True)

    def on_log(self, args, state, control, logs=None, **_):
        if "loss" not in logs:
            return
        figures = {ours: float(logs[theirs]) for theirs, ours in self.names.items() if theirs in logs}
        step = state.global_step - 1
        if not all(map(math.isfinite, [logs["loss"], *figures.values()])):
            self.diverged = self.diverged or step
            control.should_training_stop = True
            return
        if not FIRST:
            return
        now = time.monotonic()
        line = json.dumps({"step": step, "steps": state.max_steps, "loss": float(logs["loss"]), **figures, "seconds": now - self.began})
        self.began = now
        with self.file.open("a") as file:
            file.write(line + "\n")
        print(line, flush=True)

    def on_step_end(self, args, state, control, **_):
        if self.stopped:
            control.should_training_stop = True
        control.should_save = self.diverged is None and (self.stopped or state.global_step % self.every == 0)
        return control


def learning_rate_scale(step: int, steps: int, schedule: str, rise: float) -> float:
    """A linear rise over the first share of the steps, then the schedule down from 1: rlrf4rec's, step by step."""
    rising = math.floor(rise * steps + 0.5)
    if step < rising:
        return (step + 1) / rising
    progress = min(1.0, (step - rising) / max(1, steps - rising))
    return {"constant": 1.0, "linear": 1 - progress, "cosine": (1 + math.cos(math.pi * progress)) / 2}[schedule]


def main() -> int:
    arguments = json.loads((HERE / "arguments.json").read_text())
    settings = arguments["settings"]
    if settings["accumulate"] % PROCESSES != 0:
        print(json.dumps({"uneven": PROCESSES}), flush=True)
        return 2
    rows = [json.loads(line) for line in (HERE / "examples.jsonl").open(encoding="utf8")]
    path = HERE / arguments["model"]
    tokenizer = AutoTokenizer.from_pretrained(path)
    base = AutoModelForCausalLM.from_pretrained(path, dtype=getattr(torch, arguments["dtype"]))
    # A second, frozen copy of this adapter is what TRL takes for the reference: the policy that the tuning starts from.
    model = PeftModel.from_pretrained(base, HERE / "start", is_trainable=True)

    common = {
        "output_dir": str(HERE / "checkpoints"),
        "per_device_train_batch_size": settings["batchSize"],
        "gradient_accumulation_steps": settings["accumulate"] // PROCESSES,
        "num_train_epochs": settings["epochs"],
        "max_grad_norm": settings["clip"],
        "seed": arguments["seed"],
        "gradient_checkpointing": arguments["gradientCheckpointing"],
        "bf16": False,
        "use_cpu": PROCESSES > 1 and not torch.cuda.is_available(),  # else accelerate sees no group of processes there
        "disable_dropout": False,  # it is the adapter's own, and part of the spec
        "max_length": None,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "save_strategy": "steps",
        "save_steps": 1_000_000_000,  # the reporter says when
        "save_total_limit": 1,
        "report_to": "none",
        "disable_tqdm": True,
        **arguments["loss"]["arguments"],
    }
    if arguments["loss"]["trainer"].startswith("SFT"):
        del common["disable_dropout"]
        config = SFTConfig(**common, completion_only_loss=True, packing=False, dataset_kwargs={"skip_prepare_dataset": True})
        Trainer = SFTTrainer if arguments["loss"]["trainer"] == "SFT" else SFTTrainerByText
        rows = [{"input_ids": row["prompt_ids"] + row["chosen_ids"], "labels": [-100] * len(row["prompt_ids"]) + row["chosen_ids"]} for row in rows]
    elif arguments["loss"]["trainer"] == "CPO":
        Config, Trainer = tokenized_cpo()
        config = Config(**common)
    else:
        config = DPOConfig(**common, precompute_ref_log_probs=PROCESSES == 1)  # several would each keep them in a folder of their own
        Trainer = TokenizedDPOTrainer

    batches = math.ceil(len(rows) / (settings["batchSize"] * PROCESSES))
    steps = settings["epochs"] * math.ceil(batches / (settings["accumulate"] // PROCESSES))
    reporter = Reporter(arguments["checkpointEvery"])
    trainer = scheduled(Trainer, settings, steps)(
        model=model,
        args=config,
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        callbacks=[reporter],
    )
    if trainer.accelerator.num_processes != PROCESSES:
        sys.exit(f"accelerate started {PROCESSES} processes, which do not know of each other: {trainer.accelerator.distributed_type}")
    trainer.remove_callback(PrinterCallback)
    folder = HERE / "checkpoints"
    last = get_last_checkpoint(folder) if folder.is_dir() else None
    reporter.resume(int(last.rsplit("-", 1)[1]) if last else 0)
    trainer.train(resume_from_checkpoint=last)
    if reporter.diverged is not None:
        print(json.dumps({"diverged": reporter.diverged}), flush=True)
        return 3
    if trainer.state.global_step < steps:
        return 130

    sharded = trainer.accelerator.distributed_type.value in ("FSDP", "DEEPSPEED")
    state = trainer.accelerator.get_state_dict(trainer.model_wrapped) if sharded else None  # gathered from all processes
    if not FIRST:
        return 0
    made = HERE / "adapter.new"
    shutil.rmtree(made, ignore_errors=True)
    trainer.accelerator.unwrap_model(trainer.model).save_pretrained(made, selected_adapters=["default"], state_dict=state)
    (made / "task.json").write_text(json.dumps({"task": arguments["task"]}) + "\n")
    shutil.copy(HERE / "steps.jsonl", made / "steps.jsonl")
    shutil.rmtree(HERE / "adapter", ignore_errors=True)
    made.rename(HERE / "adapter")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(HERE / "cache", ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
`;
