"""Writes smollm2.json: what transformers and tokenizers make of SmolLM2-135M-Instruct in GGUF.

    pip install torch==2.13.0 transformers==5.3.0 tokenizers==0.22.2 gguf==0.19.0
    python test/golden/smollm2.py ~/.cache/rlrf4rec/assets/smollm2-135m-instruct > test/golden/smollm2.json

Tokens: the file's vocabulary and merges under each pre-tokenizer, by the Rust library's own steps, on 10,000 texts that
test/support/odd-texts.ts draws alike; a digest for each hundred of them. Logits and greedy texts: transformers in float32.
"""

import hashlib
import json
import sys
from pathlib import Path

import torch
from gguf import GGUFReader
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import AutoModelForCausalLM

PIECES = [
    "the", " a", "Genre", ": ", "Drama", ", ", "don't", "I'LL", "we'Ve", "’s", " 'd", "hello", "WORLD", " of", "ing", "naïve", " café", "cafe\u0301", "Å", "A\u030a",
    "0", "7", "12", "345", " 1984", "3.14", "1,000", "½", "٣٤", "Ⅷ", "²", "१२", "𝟘", "①",
    " ", "  ", "   ", "\t", "\n", "\n\n", "\r\n", "\r", "\u00a0", "\u2003", "\u3000", "\u0085", "\u2028", "\ufeff", "\u200b", "\u180e", "\u001c", "\u001f",
    "\u0000", "\u0001", "\u0004", "\u0007", "\u0008", "\u000b", "\u000c", "\u001b", "\u007f", "\u0080", "\u009f", "\u00ad",
    "東京", "中文字符", "日本語のテスト", "한국어", "각", "ありがとう", "カタカナ", "العربية", "עברית", "हिन्दी", "ไทย", "Ελληνικά", "Русский", "ქართული", "አማርኛ", "Türkçe İı", "ßẞ", "ǅ", "ﬁ",
    "🎬", "👩‍👩‍👧‍👦", "🇩🇪", "👍🏽", "❤️", "☺", "🤷🏿‍♀️", "𝒳", "𐍈", "𠜎", "\U0001F9FF", "\u20e3", "1️⃣", "\ufffd", "\ue000", "\ufdd0", "\U000f0000",
    ".", "...", "!?", "—", "«»", "“”", "#", "@user", "http://x.y/z?a=1&b=2", "\\", "{}", "[]", "<>", "||", "==", "->", "$5", "€", "%", "°C", "x²", "∑", "≠", "…",
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|im_end", "|>", "<repo_name>", "_a_b", "CamelCase", "aaaaaaaa", "zzxqj", "\u0301", "\u0300\u0300", "a\u0323\u0307",
]  # fmt: skip
TEXTS = 10_000
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")

LOGIT_TEXTS = [
    "The capital of France is Paris, and the capital of Italy is",
    "<|im_start|>user\nWhich films are set in the 1990s?<|im_end|>\n<|im_start|>assistant\n",
    "Genre: Drama, Comedy\nPeriod: 1990s\nAvoids: Horror 🎬 東京",
]
QUESTIONS = [
    "What is the capital of France?",
    "Name three colours.",
    "Write a haiku about the sea.",
    "Why is the sky blue?",
    "Translate 'good morning' into Spanish.",
    "What is 12 + 7?",
    "Give me a synonym for happy.",
    "List two films of the 1990s.",
    "Who wrote Hamlet?",
    "Explain photosynthesis in one sentence.",
    "What does a viewer like who gave Toy Story 5 stars and Alien 2 stars?\nAnswer in two lines:\nGenre: …\nAvoids: …",
    "Summarise: The cat sat on the mat. It was warm there, so it fell asleep.",
    "What comes after Tuesday?",
    "Is a tomato a fruit?",
    "Write a limerick about a programmer.",
    "What is the boiling point of water?",
    "Recommend a comedy film and say why.",
    "Spell the word 'necessary'.",
    "What is machine learning?",
    "Say hello in German 👋",
]
TOKENS = 40


def mulberry32(seed: int):
    state = seed

    def below(bound: int) -> int:
        nonlocal state
        state = (state + 0x6D2B79F5) & 0xFFFFFFFF
        t = ((state ^ (state >> 15)) * (state | 1)) & 0xFFFFFFFF
        t = (t ^ (t + ((t ^ (t >> 7)) * (t | 61)))) & 0xFFFFFFFF
        return (t ^ (t >> 14)) % bound

    return below


def odd_texts() -> list[str]:
    below = mulberry32(1)
    return ["".join(PIECES[below(len(PIECES))] for _ in range(1 + below(24))) for _ in range(TEXTS)]


def tokenizer_of(reader: GGUFReader, kind: str) -> Tokenizer:
    field = lambda name: reader.fields[f"tokenizer.ggml.{name}"].contents()
    tokens, types = field("tokens"), field("token_type")
    merges = [tuple(merge.split(" ")) for merge in field("merges")]
    model = models.BPE({token: i for i, token in enumerate(tokens)}, merges, ignore_merges=kind == "llama-bpe")
    tokenizer = Tokenizer(model)
    plain = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    split = lambda pattern: pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), plain])
    tokenizer.pre_tokenizer = {
        "smollm": lambda: pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]),
        "gpt-2": lambda: pre_tokenizers.ByteLevel(add_prefix_space=False),
        "llama-bpe": lambda: split(LLAMA3),
        "qwen2": lambda: split(QWEN2),
    }[kind]()
    if kind == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([token for token, type in zip(tokens, types) if type == 3])
    tokenizer.encode_special_tokens = True  # texts never become special tokens
    return tokenizer


def digests(tokenizer: Tokenizer) -> list[str]:
    ids = [encoding.ids for encoding in tokenizer.encode_batch(odd_texts(), add_special_tokens=False)]
    join = lambda rows: "\n".join(",".join(map(str, row)) for row in rows)
    return [hashlib.sha256(join(ids[at : at + 100]).encode()).hexdigest()[:16] for at in range(0, TEXTS, 100)]


def main() -> None:
    folder = Path(sys.argv[1])
    (path,) = folder.glob("*.gguf")
    reader = GGUFReader(path)
    tokenizer = tokenizer_of(reader, "smollm")
    template = reader.fields["tokenizer.chat_template"].contents()
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=path.name, dtype=torch.float32).eval()
    special = lambda text: special_tokenizer.encode(text, add_special_tokens=False).ids
    special_tokenizer = tokenizer_of(reader, "smollm")
    special_tokenizer.encode_special_tokens = False
    result = {
        "tokens": {kind: digests(tokenizer_of(reader, kind)) for kind in ("smollm", "gpt-2", "llama-bpe", "qwen2")},
        "logits": [],
        "greedy": [],
    }
    with torch.no_grad():
        for text in LOGIT_TEXTS:
            ids = special(text)
            logits = model(torch.tensor([ids])).logits[0]
            columns = sorted({*range(0, 49152, 1571), *logits[-1].topk(8).indices.tolist()})
            values = [[round(float(row[column]), 5) for column in columns] for row in logits]
            result["logits"].append({"text": text, "tokens": ids, "columns": columns, "values": values})
        for question in QUESTIONS:
            prompt = chat(template, question)
            ids = torch.tensor([special(prompt)])
            output = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=TOKENS, pad_token_id=2)
            written = [token for token in output[0, ids.shape[1] :].tolist() if token != 2]
            result["greedy"].append({"question": question, "prompt": ids.shape[1], "text": tokenizer.decode(written)})
    print(json.dumps(result, ensure_ascii=True))


def chat(template: str, question: str) -> str:
    import jinja2

    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(template).render(messages=[{"role": "user", "content": question}], add_generation_prompt=True)


if __name__ == "__main__":
    main()
