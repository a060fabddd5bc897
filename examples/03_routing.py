"""Choose the language model that should answer a question: `python examples/03_routing.py`.

The candidates are descriptions of models, and `instruction` says what counts. The bundled model was trained
on three instructions (`ROUTING_INSTRUCTIONS` below shows them) and on eleven models of 2023; see its card
for what it knows.
"""

import rranker
from rranker.prompts import ROUTING_INSTRUCTIONS

QUESTION = "Write a Python function that returns the longest palindrome in a string, with tests."
MODELS = {
    "mistral-7b": "Mistral 7B Chat: small, cheap open model. $0.20 per M tokens",
    "gpt-4-turbo": "GPT-4 Turbo 1106: OpenAI's strongest reasoning model. $10 in, $30 out per M tokens",
    "code-llama": "Code Llama Instruct 34B: Meta's model for code. $0.78 per M tokens",
    "claude-v2": "Claude v2: Anthropic's large model, long documents. $8 in, $24 out per M tokens",
    "gpt-3.5": "GPT-3.5 Turbo 1106: OpenAI's fast general model. $1 in, $2 out per M tokens",
}


def main() -> None:
    """Prints the order of the models under each trade-off."""
    candidates = [{"id": name, "text": text} for name, text in MODELS.items()]
    with rranker.Ranker() as ranker:
        for trade_off, instruction in ROUTING_INSTRUCTIONS.items():
            ranking = ranker.rank(QUESTION, candidates, template="routing", instruction=instruction)
            print(f"{trade_off:12} {instruction}")
            print(f"{'':12} {' > '.join(str(item.id) for item in ranking)}")


if __name__ == "__main__":
    main()
