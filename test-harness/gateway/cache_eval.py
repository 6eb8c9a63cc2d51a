"""`python -m gateway.cache_eval FOLDER [ROWS]`: pairs of questions with the cosine of their vectors.

Reads `FOLDER/*/*.jsonl` (`a`, `b`, `label`), at most ROWS of each, embeds the questions with the real
model through its OpenAI-compatible endpoint, and prints lines for the command `cache-eval`.
"""

import json
import operator
import pathlib
import sys
import urllib.request

from .embeddings import Server

BATCH = 64


def embed(port, texts):
    """Vectors by text; those of about the same length together, since they are padded."""
    texts = sorted(texts, key=len)
    vectors = {}
    for at in range(0, len(texts), BATCH):
        batch = texts[at:at + BATCH]
        body = json.dumps({"model": "all-MiniLM-L6-v2", "input": batch}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/embeddings", body,
                                         {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=300) as response:
            data = json.load(response)["data"]
        vectors.update(zip(batch, (item["embedding"] for item in data)))
        if at % (BATCH * 20) == 0:
            print(f"{at} of {len(texts)} questions", file=sys.stderr)
    return vectors


def main(folder, rows=None):
    """Prints the pairs."""
    pairs = []
    for path in sorted(pathlib.Path(folder).glob("*/*.jsonl")):
        lines = path.read_text(encoding="utf-8").splitlines()[:rows]
        pairs += [{**json.loads(line), "set": path.parent.name} for line in lines]
    if not pairs:
        sys.exit(f"no pairs in {folder}")
    server = Server()
    vectors = embed(server.port, {pair[side] for pair in pairs for side in "ab"})
    server.stop()
    for pair in pairs:
        pair["cosine"] = sum(map(operator.mul, vectors[pair["a"]], vectors[pair["b"]]))
        print(json.dumps(pair, ensure_ascii=False))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else None)
