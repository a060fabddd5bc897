"""A public tokenizer (SmolLM2's, 49 thousand tokens): prompts are written as it would write them."""

import pytest
from transformers import AutoTokenizer

from rranker.prompts import TEMPLATES
from rranker.prompts.encoding import TextEncoder
from rranker.prompts.formats import prompt_formats
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


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("instruction", [None, "Prefer recent ones."])
@pytest.mark.parametrize("kind", ["judge", "likelihood"])
def test_a_question_about_one_candidate_is_the_chat_template_filled(encoder, kind, name, instruction):
    tokenizer, template = encoder.tokenizer, TEMPLATES[name]
    asked = prompt_formats("text", encoder)[kind]
    for text in map(
        str.rstrip, TEXTS
    ):  # blanks before a line's end belong to it only where a special token follows
        said = f"{instruction}\n\n" if instruction else ""
        if kind == "judge":
            said += f"{template.query_heading}{QUERY}\n\n"
            answers = [tokenizer(word)["input_ids"] for word in ("Yes", "No")]
            closing = f"{template.fits} Answer Yes or No."
        else:
            answers = [tokenizer(QUERY)["input_ids"]]
            closing = template.invites
        whole = tokenizer.apply_chat_template(
            [{"role": "user", "content": f"{said}{template.item}: {text}\n{closing}"}],
            tokenize=False,
            add_generation_prompt=True,
        )
        (piece,) = asked.candidates([text], [])
        ids = [*asked.prefix(template, instruction, QUERY).ids, *piece.ids, *asked.suffix(template, kind)]
        assert ids == tokenizer(whole, add_special_tokens=False)["input_ids"], text
        assert list(asked.targets(template, QUERY).ids) == [i for answer in answers for i in answer]
