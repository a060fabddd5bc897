"""Rank with a model of your own: `python examples/04_own_model.py [FOLDER or hub name]`.

Most decoder-only language models of transformers will do (docs/loading.md says which do not). Without an argument a
tiny one with random weights is built in a temporary folder: it shows that all parts fit, and its ranking means nothing.
"""

import sys
import tempfile
from pathlib import Path

import rranker

QUERY = "who wrote Emma?"
TEXTS = [
    "Jane Austen wrote Emma in 1815.",
    "Emma is a given name.",
    "Austen was born in Hampshire.",
    "It rained.",
]


def random_model(folder: Path) -> Path:
    """A Llama of two layers and a byte-level tokenizer, as `save_pretrained` writes them."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = Tokenizer(models.BPE())
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    words.train_from_iterator(TEXTS, trainers.BpeTrainer(special_tokens=["<s>"], initial_alphabet=alphabet))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, bos_token="<s>")
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            bos_token_id=0,
            eos_token_id=0,
        )
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def main(model: str | None = None) -> None:
    """Prints the ranking and what it cost."""
    with tempfile.TemporaryDirectory() as folder:
        if model is None:
            print("no model was named, so this is a tiny one with random weights: its order means nothing")
            model = str(random_model(Path(folder)))
        # One that was not trained to rank gets the method that suits such models; `method=` chooses another.
        with rranker.Ranker(model) as ranker:
            ranking = ranker.rank(QUERY, TEXTS, template="passage")
        print(ranking)
        stats = ranking.stats
        print(
            f"rounds: {len(ranking.rounds)}, passes: {stats.forward_passes}; {stats.tokens_encoded} tokens encoded, "
            f"where encoding each question's prompt anew takes {stats.tokens_naive}"
        )


if __name__ == "__main__":
    main(*sys.argv[1:2])
