"""A plain cross-encoder of MiniLM-L6's shape (random weights) behind FastAPI: `python -m bench.serving_peer PORT`.

What one would write in an hour: a request's pairs are one forward pass, and requests take turns.
"""

from __future__ import annotations

import sys
from threading import Lock
from typing import Any

import torch
import uvicorn
from fastapi import FastAPI

from bench.random_inputs import random_cross_encoder
from rranker.engine.hardware import best_dtype
from rranker.engine.loading.model import DEFAULT_MODEL
from rranker.server.schemas import Rerank


def create_app() -> FastAPI:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(DEFAULT_MODEL)
    model = random_cross_encoder(len(tokenizer), best_dtype(torch.device("cpu")))
    app, turn = FastAPI(), Lock()

    @app.get("/ready")
    def ready() -> dict[str, str]:
        return {"status": "ready"}

    @app.post("/v2/rerank")
    def rerank(body: Rerank) -> dict[str, Any]:
        texts = [str(document) for document in body.documents]
        with turn, torch.inference_mode():
            pairs = tokenizer(
                [body.query] * len(texts), texts, padding=True, truncation=True, return_tensors="pt"
            )
            scores = model(**pairs).logits[:, 0].float().sigmoid().tolist()
        order = sorted(range(len(texts)), key=lambda i: -scores[i])
        return {"results": [{"index": i, "relevance_score": scores[i]} for i in order]}

    return app


def main() -> None:
    uvicorn.run(create_app(), host="127.0.0.1", port=int(sys.argv[1]), log_level="error", access_log=False)


if __name__ == "__main__":
    main()
