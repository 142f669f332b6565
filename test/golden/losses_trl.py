"""Writes losses-trl.json: the losses that TRL has, by TRL's own code, for test/plugins/losses/golden.test.ts.

    pip install torch==2.13.0 trl==1.16.0 && python test/golden/losses_trl.py

The trainers' own loss methods run, in float64, on a model that answers with given log-probs: no weights, no data set. Where TRL's float64 has no
limit for an exponent (the alpha divergence), it runs in float32.
"""

import json
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from trl import DPOTrainer, KTOTrainer
from trl.experimental.cpo import CPOTrainer
from trl.experimental.orpo import ORPOTrainer

random = np.random.default_rng(116)
pairs, prompt = 6, 2


def side():
    length = random.integers(3, 20, pairs)
    reference = np.round(-length * random.uniform(0.2, 2.5, pairs), 3)
    policy = np.round(np.minimum(reference + 4 * random.normal(size=pairs), -0.05), 3)
    return {"policy": policy, "reference": reference, "length": length}


sides = {name: side() for name in ("chosen", "rejected", "mismatched")}


def tokens(side, values, prompt=prompt):
    """Log-probs of tokens whose sum is the text's, after a prompt. [pairs, prompt + longest - 1]"""
    longest = prompt + max(s["length"].max() for s in sides.values())
    table, mask = np.zeros((pairs, longest)), np.zeros((pairs, longest), dtype=int)
    for row, (value, length) in enumerate(zip(values, side["length"])):
        table[row, prompt : prompt + length] = value / length
        mask[row, prompt : prompt + length] = 1
    return torch.tensor(table[:, 1:]), torch.tensor(mask)


class Answering(torch.nn.Module):
    """A model that answers the n-th call with the n-th table of log-probs."""

    def __init__(self, *answers):
        super().__init__()
        self.answers = list(answers)

    def forward(self, **_):
        log_probs = self.answers.pop(0)
        zeros = torch.zeros_like(log_probs)
        return SimpleNamespace(log_probs=log_probs, entropy=zeros, mean_logits=zeros, is_top1=zeros.bool(), log_sum_sq_probs=zeros)


def stub(model, **settings):
    same = lambda values: values
    accelerator = SimpleNamespace(device="cpu", gather_for_metrics=same, gather=same)
    shared = {"model": model, "accelerator": accelerator, "_metrics": {"train": defaultdict(list)}, "_total_train_tokens": 0, "_tp_size": 1}
    return SimpleNamespace(**shared, aux_loss_enabled=False, **settings)


def dpo(rows, loss_type, beta, dtype=torch.float64, label_smoothing=0.0, divergence="reverse_kl", alpha=0.5):
    tables, masks, references = [], [], {}
    for name in ("chosen", "rejected"):
        table, mask = tokens(sides[name], sides[name]["policy"])
        tables.append(table[rows].to(dtype))
        masks.append(mask[rows])
        references[f"ref_{name}_logps"] = torch.tensor(sides[name]["reference"])[rows].to(dtype)
    mask = torch.cat(masks)
    inputs = {"input_ids": torch.zeros_like(mask), "attention_mask": torch.ones_like(mask), "completion_mask": mask, **references}
    model = Answering(torch.cat(tables))
    settings = {"ld_alpha": None, "precompute_ref_logps": True, "loss_types": [loss_type], "loss_weights": [1.0], "use_weighting": False}
    args = SimpleNamespace(discopop_tau=0.05)
    trainer = stub(model, args=args, beta=beta, label_smoothing=label_smoothing, f_divergence_type=divergence, f_alpha_divergence_coef=alpha, **settings)
    return float(DPOTrainer._compute_loss(trainer, model, inputs, False))


def kto(beta, desirable, undesirable):
    texts = [tokens(sides[name], sides[name]["policy"]) for name in ("chosen", "rejected")]
    table, mask = (torch.cat([text[i] for text in texts]) for i in (0, 1))
    kl_table, kl_mask = (torch.cat([part, part]) for part in tokens(sides["mismatched"], sides["mismatched"]["policy"]))
    twice = lambda name: torch.tensor(np.concatenate([sides[name]["reference"]] * 2))
    inputs = {"input_ids": torch.zeros_like(mask), "attention_mask": torch.ones_like(mask), "completion_mask": mask}
    inputs |= {"KL_input_ids": torch.zeros_like(kl_mask), "KL_attention_mask": torch.ones_like(kl_mask), "KL_completion_mask": kl_mask}
    inputs["label"] = torch.tensor([True] * pairs + [False] * pairs)
    inputs["ref_logps"] = torch.tensor(np.concatenate([sides["chosen"]["reference"], sides["rejected"]["reference"]]))
    inputs["ref_KL_logps"] = twice("mismatched")
    model = Answering(kl_table, table)
    trainer = stub(model, beta=beta, calculate_KL=True, precompute_ref_logps=True, loss_type="kto", desirable_weight=desirable, undesirable_weight=undesirable)
    trainer._compute_kl_logps = lambda model, batch: KTOTrainer._compute_kl_logps(trainer, model, batch)
    return float(KTOTrainer._compute_loss(trainer, model, inputs, False))


def whole(Trainer, rows, **settings):
    """What a trainer makes of a batch's logits, its NLL included. The prompt is one token, which is never predicted: TRL's orpo learns prompts, too."""
    batch, logits = {}, []
    for name in ("chosen", "rejected"):
        table, mask = (part[rows] for part in tokens(sides[name], sides[name]["policy"], prompt=1))
        batch |= {f"{name}_input_ids": mask, f"{name}_labels": torch.where(mask == 1, 1, -100)}
        batch[f"{name}_attention_mask"] = mask | (torch.arange(mask.shape[1]) == 0)
        right = torch.where(mask[:, 1:] == 1, table, np.log(0.5))  # of two tokens, the second of which a text is made of
        logits.append(torch.nn.functional.pad(torch.stack([torch.log(-torch.expm1(right)), right], 2), (0, 0, 0, 1)))
    trainer = object.__new__(Trainer)
    vars(trainer).update(vars(stub(None, is_encoder_decoder=False, pad_token_id=0, padding_value=0, **settings)))
    model = lambda *_, **__: SimpleNamespace(logits=torch.cat(logits))
    return float(trainer.get_batch_loss_metrics(model, batch)[0])


def cpo(rows, loss_type, beta, label_smoothing=0.0, simpo_gamma=0.5, alpha=0.0, cpo_alpha=0.0):
    settings = {"label_smoothing": label_smoothing, "simpo_gamma": simpo_gamma, "alpha": alpha, "cpo_alpha": cpo_alpha}
    return whole(CPOTrainer, rows, loss_type=loss_type, beta=beta, **settings)


def orpo(rows, beta):
    exact = torch.Tensor.float
    torch.Tensor.float = lambda self: self if self.is_floating_point() else exact(self)  # it rounds to float32 otherwise
    try:
        return whole(ORPOTrainer, rows, beta=beta)
    finally:
        torch.Tensor.float = exact


each = lambda loss, *args, **options: [loss([row], *args, **options) for row in range(pairs)]
everything = list(range(pairs))
expected = [
    ("dpo", {"beta": 0.1}, {"loss": each(dpo, "sigmoid", 0.1)}),
    ("robust-dpo", {"beta": 0.1, "labelSmoothing": 0.2}, {"loss": each(dpo, "robust", 0.1, label_smoothing=0.2)}),
    ("hinge", {"beta": 0.1}, {"loss": each(dpo, "hinge", 0.1)}),
    ("ipo", {"beta": 0.1}, {"loss": each(dpo, "ipo", 0.1)}),
    ("exo", {"beta": 0.1, "labelSmoothing": 0.01}, {"loss": each(dpo, "exo_pair", 0.1, label_smoothing=0.01)}),
    ("nca", {"beta": 0.1}, {"loss": each(dpo, "nca_pair", 0.1)}),
    ("bco", {"beta": 0.1, "shift": False}, {"loss": each(dpo, "bco_pair", 0.1)}),
    ("sppo", {"beta": 0.01}, {"loss": each(dpo, "sppo_hard", 0.01)}),
    ("aot", {"beta": 0.1, "labelSmoothing": 0.1}, {"mean": dpo(everything, "aot", 0.1, label_smoothing=0.1)}),
    ("aot", {"beta": 0.1, "unpaired": True}, {"mean": dpo(everything, "aot_unpaired", 0.1)}),
    ("apo-zero", {"beta": 0.1}, {"loss": each(dpo, "apo_zero", 0.1)}),
    ("apo-down", {"beta": 0.1}, {"loss": each(dpo, "apo_down", 0.1)}),
    ("discopop", {"beta": 0.05, "temperature": 0.05}, {"loss": each(dpo, "discopop", 0.05)}),
    ("f-dpo", {"beta": 0.1, "divergence": "forward-kl"}, {"loss": each(dpo, "sigmoid", 0.1, divergence="forward_kl")}),
    ("f-dpo", {"beta": 0.1, "divergence": "js"}, {"loss": each(dpo, "sigmoid", 0.1, divergence="js_divergence")}),
    (
        "f-dpo",
        {"beta": 0.1, "divergence": "alpha", "alpha": 0.7},
        {"float32": True, "loss": each(dpo, "sigmoid", 0.1, dtype=torch.float32, divergence="alpha_divergence", alpha=0.7)},
    ),
    ("sft", {}, {"loss": each(dpo, "sft", 0.1)}),
    ("dpo-norm", {"beta": 5}, {"loss": each(dpo, "sigmoid_norm", 5)}),
    # TRL's is the mean over texts, ours the sum over a pair.
    ("kto", {"beta": 0.1, "undesirableWeight": 1.5}, {"mean": 2 * kto(0.1, 1.0, 1.5)}),
    ("cpo", {"beta": 0.1, "labelSmoothing": 0.1, "alpha": 0}, {"loss": each(cpo, "sigmoid", 0.1, label_smoothing=0.1)}),
    # A batch of one pair has no other text: its mean over tokens is the text's.
    ("cpo", {"beta": 0.1, "alpha": 0.5}, {"loss": each(cpo, "sigmoid", 0.1, cpo_alpha=0.5)}),
    ("cpo", {"beta": 0.1, "alpha": 0.5, "each": "token"}, {"mean": cpo(everything, "sigmoid", 0.1, cpo_alpha=0.5)}),
    ("simpo", {"beta": 2, "gamma": 1.2}, {"loss": each(cpo, "simpo", 2, simpo_gamma=1.2)}),
    ("alphapo", {"beta": 2.5, "gamma": 0.5, "alpha": 0.25}, {"loss": each(cpo, "simpo", 2.5, simpo_gamma=0.5, alpha=0.25)}),
    ("orpo", {"beta": 0.1}, {"loss": each(orpo, 0.1)}),
]

column = lambda values: [[value] for value in values.tolist()]
form = lambda name, of: {"logProbs": of(sides[name]["policy"]), "reference": of(sides[name]["reference"]), "lengths": of(sides[name]["length"])}
row = lambda values: values.tolist()
batch = {"chosen": form("chosen", row), "rejected": form("rejected", column), "mismatched": form("mismatched", row)}
lines = ",\n".join(json.dumps({"name": name, "options": options, **values}) for name, options, values in expected)
Path(__file__).with_name("losses-trl.json").write_text(f'{{"input": {json.dumps(batch)},\n"expected": [\n{lines}\n]}}\n')
