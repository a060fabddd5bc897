"""Token embeddings that know, before the first step, which tokens keep company: latent semantic analysis.

Items of one history and words of one paragraph are documents. A few sparse products find in seconds what
gradient descent would need many thousands of lists to see.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor


def lsa_embeddings(documents: Iterable[Sequence[int]], vocabulary: int, size: int, seed: int = 0) -> Tensor:
    """`documents` are token ids → [vocabulary, size] unit rows (a zero row for a token never seen).

    Idf-weighted unit rows, truncated SVD by subspace iteration; the first direction, which all tokens share,
    is dropped, and a random rotation makes the dimensions alike.
    """
    rows: list[int] = []
    columns: list[int] = []
    count = 0
    for document in documents:
        distinct = sorted(set(document))
        rows += [count] * len(distinct)
        columns += distinct
        count += 1
    row, column = torch.tensor(rows), torch.tensor(columns)
    idf = (count / (1 + torch.bincount(column, minlength=vocabulary))).log().clip(0.1)
    values = idf[column]
    norms = torch.zeros(count).index_add_(0, row, values.square()).sqrt()
    table = torch.sparse_coo_tensor(
        torch.stack([row, column]), values / norms[row], (count, vocabulary), check_invariants=True
    ).coalesce()
    generator = torch.Generator().manual_seed(seed)
    sketch = torch.sparse.mm(table, torch.randn(vocabulary, min(size + 40, vocabulary), generator=generator))
    for _ in range(2):
        basis = torch.linalg.qr(torch.sparse.mm(table.t(), torch.linalg.qr(sketch)[0]))[0]
        sketch = torch.sparse.mm(table, basis)
    _, strength, turn = torch.linalg.svd(sketch, full_matrices=False)
    vectors = (basis @ turn.T)[:, 1 : size + 1] * strength[1 : size + 1].sqrt()
    vectors = vectors / vectors.norm(dim=-1, keepdim=True).clip(1e-6)
    rotation = torch.linalg.qr(torch.randn(vectors.shape[1], size, generator=generator).T)[0].T
    result: Tensor = vectors @ rotation
    return result


@torch.no_grad()
def lay_into(
    embedding: Tensor, semantics: Tensor, share: float = 0.7, norm: float = 0.96, seed: int = 0
) -> None:
    """Overwrites `embedding` [V, D]: `share` of each row's direction is meaning, the rest keeps tokens apart."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(embedding.shape, generator=generator)
    mixed = share * semantics + (1 - share**2) ** 0.5 * noise / noise.norm(dim=-1, keepdim=True)
    embedding.copy_(norm * mixed / mixed.norm(dim=-1, keepdim=True))
