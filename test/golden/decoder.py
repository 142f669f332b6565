"""Writes decoder.json: logits of small decoders by transformers' own Llama, Qwen2 and Qwen3, on weights that both sides can make.

    pip install torch==2.13.0 transformers==5.3.0 numpy
    python test/golden/decoder.py > test/golden/decoder.json

The weights are those of weights.py.
"""

import json

import torch
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM
from weights import weight

SIZES = {
    "vocab_size": 48,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 40,
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-5,
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
CASES = {
    "llama, tied": (LlamaForCausalLM, LlamaConfig, {"num_key_value_heads": 4, "tie_word_embeddings": True}),
    "llama, grouped queries": (LlamaForCausalLM, LlamaConfig, {"num_key_value_heads": 2, "tie_word_embeddings": False}),
    "llama 3, scaled rope": (LlamaForCausalLM, LlamaConfig, {"num_key_value_heads": 1, "tie_word_embeddings": True, "rope_parameters": LLAMA3}),
    "qwen 2, biases": (Qwen2ForCausalLM, Qwen2Config, {"num_key_value_heads": 2, "tie_word_embeddings": True}),
    "qwen 3, normed heads": (Qwen3ForCausalLM, Qwen3Config, {"num_key_value_heads": 2, "tie_word_embeddings": False, "head_dim": 16}),
}
TOKENS = [3, 1, 4, 1, 5, 9, 2, 6, 5, 35, 8, 47, 0, 20]


def main() -> None:
    result = {"tokens": TOKENS, "cases": {}}
    for name, (model_class, config_class, options) in CASES.items():
        config = config_class(**SIZES, **options)
        model = model_class(config).to(torch.float64).eval()
        state = {key: weight(key, *value.shape) for key, value in model.state_dict().items() if key != "lm_head.weight" or not config.tie_word_embeddings}
        model.load_state_dict(state, strict=False)
        if config.tie_word_embeddings:
            model.tie_weights()
        with torch.no_grad():
            logits = model(torch.tensor([TOKENS])).logits[0]
        result["cases"][name] = {
            "kvHeads": options["num_key_value_heads"],
            "tiedHead": options["tie_word_embeddings"],
            "headDim": options.get("head_dim", 8),
            "theta": (getattr(config, "rope_parameters", None) or {}).get("rope_theta", 10000.0),
            "logits": [[round(float(x), 6) for x in row] for row in logits],
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
