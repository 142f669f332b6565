"""Reads an adapter.gguf with llama.cpp's own Python package and prints its metadata and tensors. Called by test/framework/language-model/files.test.ts.

    python adapter_gguf.py FILE
"""

import json
import sys

from gguf import GGUFReader


def main(path: str) -> None:
    reader = GGUFReader(path)
    fields = {name: field.contents() for name, field in reader.fields.items() if not name.startswith("GGUF.")}
    tensors = {tensor.name: {"type": tensor.tensor_type.name, "shape": list(tensor.data.shape), "values": tensor.data.flatten().tolist()} for tensor in reader.tensors}
    print(json.dumps({"fields": fields, "tensors": tensors}))


if __name__ == "__main__":
    main(sys.argv[1])
