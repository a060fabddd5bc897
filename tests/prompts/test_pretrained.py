"""A public tokenizer (SmolLM2's, 49 thousand tokens): prompts are written as it would write them."""

import pytest
from transformers import AutoTokenizer

from rranker.prompts import TEMPLATES
from rranker.prompts.encoding import TextEncoder
from rranker.prompts.identifiers import Identifiers
from rranker.prompts.text import TextFormat

pytestmark = pytest.mark.pretrained
QUERY = "how long do fleas live?"
TEXTS = [
    "A flea can live up to a year, but its lifespan depends on the availability of hosts.",
    'Also called "walking corpse syndrome" (1880), it was named after Jules Cotard.',
    "$3.50 per m² — about 12% less than in 2019!",
    "naïve café 日本語 mixed with English",
    "- a list\n- of two lines",
    "ends in spaces  ",
]


@pytest.fixture(scope="module")
def encoder(smollm2):
    return TextEncoder(AutoTokenizer.from_pretrained(smollm2))


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_prompt_is_the_chat_template_filled_and_tokenised_whole(encoder, name):
    tokenizer, template = encoder.tokenizer, TEMPLATES[name]
    prompt_format, identifiers = TextFormat(encoder), Identifiers(encoder).first(len(TEXTS))
    lines = "".join(f"[{chr(65 + i)}] {text}\n" for i, text in enumerate(TEXTS))
    message = f"{template.instruction}\n\n{template.query_heading}{QUERY}\n\n{template.list_heading}\n{lines}"
    whole = tokenizer.apply_chat_template(
        [{"role": "user", "content": message}], tokenize=False, add_generation_prompt=True
    )
    pieces = [
        prompt_format.prefix(template, None, QUERY),
        *prompt_format.candidates(TEXTS, list(identifiers)),
    ]
    ids = [i for piece in pieces for i in piece.ids]
    ids += prompt_format.suffix(template, "exclude")
    assert ids == tokenizer(f"{whole}{template.worst}: [", add_special_tokens=False)["input_ids"]
