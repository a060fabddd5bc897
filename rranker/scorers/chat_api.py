"""Any model behind an OpenAI-compatible chat endpoint: by the probability of labels, else by what it says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from typing import Any, Unpack

from ..methods import Episode
from ..permutations import parse_choice
from ..prompts.numbered import NumberedQuestion
from ..real import real_number
from ..repairs import encoding_repairs
from ..request import Request
from ..types import Repair
from ..whole import whole_number
from .answers import TextQuestion, answered_job, observe_answer, player_of, question_of, report
from .chat_reply import Alternatives, ChatReply, label_logits, place_of, read_reply
from .protocol import Job
from .remote import RemoteError, RemoteScorer
from .remote.scorer import Calls
from .remote.settings import CallSettings

_MOST_ALTERNATIVES = 20
"""What the protocol allows."""
_WRONG_REQUEST = (400, 422)
_CHARACTERS = 4
"""Of a token, about; where a budget has to be held back before anybody has counted."""


class ChatScorer(RemoteScorer):
    """A model behind a chat endpoint answers the methods' questions; see `Scorer`, and docs/remote.md.

    Where the endpoint offers log-probabilities, lists of up to `top_logprobs` candidates stand under letters, and
    their probabilities are read where the answer names one. Longer lists, and all where it does not offer them, stand
    under numbers; the answer is read by the permutation parser, and every repair is reported.

    Args:
        model: the name that the endpoint knows it by.
        logprobs: None takes log-probabilities where they are offered, which the first answers show; True insists;
            False asks for words.
        top_logprobs: the alternatives that the endpoint gives, at most 20.
        prefill: the beginning of the answer is written for the model, so that its first token is a label (vLLM and
            SGLang can, by `continue_final_message`); the prompt is then the one that a local model reads.
        temperature: None leaves it to the endpoint.
        max_answer_tokens: the longest answer; None is what an answer in the wanted form takes. A model that thinks
            before it answers needs more.
        extra_body: further fields of each request, in the endpoint's own words.
        calls: see `rranker.scorers.remote.settings.Settings`.

    Raises:
        ImportError: the `openai` package is missing; the message names the extra.
        TypeError, ValueError: a wrong setting, or no API key.
    """

    def __init__(
        self,
        model: str,
        *,
        logprobs: bool | None = None,
        top_logprobs: int = _MOST_ALTERNATIVES,
        prefill: bool = False,
        temperature: float | None = 0.0,
        max_answer_tokens: int | None = None,
        extra_body: Mapping[str, Any] | None = None,
        **calls: Unpack[CallSettings],
    ) -> None:
        if not 1 <= whole_number(top_logprobs, "top_logprobs") <= _MOST_ALTERNATIVES:
            raise ValueError(f"top_logprobs must be from 1 to {_MOST_ALTERNATIVES}, not {top_logprobs!r}")
        if max_answer_tokens is not None:
            whole_number(max_answer_tokens, "max_answer_tokens", least=1)
        if temperature is not None:
            real_number(temperature, "temperature (or None for the endpoint's own)", least=0)
        if not isinstance(prefill, bool):
            raise TypeError(f"prefill must be True or False, not {prefill!r}")
        if not isinstance(logprobs, bool | None):
            raise TypeError(f"logprobs must be True, False or None, not {logprobs!r}")
        super().__init__(**calls)
        self.model = model
        self._insists, self._alternatives, self._prefill = logprobs, top_logprobs, prefill
        self._temperature, self._longest = temperature, max_answer_tokens
        self._extra = dict(extra_body or {})
        self._withdrawn = {"logprobs"} if logprobs is False else set[str]()
        """What the endpoint does not take."""

    def default_method(self, request: Request) -> str:
        """One call a query: each call has its price."""
        return "dranker"

    def prepare(self, request: Request, method: type[Episode]) -> Job:
        """See `Scorer.prepare`."""
        job = answered_job(request, method)
        if not job.decided:
            job.repairs += encoding_repairs(request)
        return job

    async def ask(self, job: Job, calls: Calls) -> None:
        """One question. Where the endpoint turns out not to take it like that, nothing is played: it is asked anew."""
        question = question_of(job)
        letters = "logprobs" not in self._withdrawn and len(question.texts) <= self._alternatives
        asked = _written(question, _letters(player_of(job).asked) if letters else None)
        body = self._body(asked)

        async def send(client: Any) -> ChatReply:
            return read_reply(await client.chat.completions.create(**body))

        expected = len(str(body["messages"])) // _CHARACTERS + self._length(asked)
        try:
            reply = await calls(send, lambda reply: reply.usage, expected=expected)
        except RemoteError as error:
            if not self._withdraw(body, error):
                raise
            return
        if letters and reply.text and not reply.tokens:
            if self._insists:
                raise RemoteError(f"{self.model} gives no log-probabilities: leave logprobs= out")
            self._withdrawn.add("logprobs")
            return
        _observe(job, asked, reply, opened=letters and self._prefill)

    def _body(self, asked: NumberedQuestion) -> dict[str, Any]:
        content, extra = asked.listing, dict(self._extra)
        messages: list[dict[str, str]] = []
        if self._prefill and not asked.order:
            messages.append({"role": "assistant", "content": asked.opening})
            extra |= {"continue_final_message": True, "add_generation_prompt": False}
        else:
            content += f"\n{asked.request}"
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": "user", "content": content}, *messages],
            "extra_body": extra,
        }
        # OpenAI's newer models know the bound by its second name only, some servers by its first.
        name = "max_completion_tokens" if "max_tokens" in self._withdrawn else "max_tokens"
        body[name] = self._length(asked)
        if self._temperature is not None and "temperature" not in self._withdrawn:
            body["temperature"] = self._temperature
        if asked.letters is not None:
            body |= {"logprobs": True, "top_logprobs": self._alternatives}
        return body

    def _length(self, asked: NumberedQuestion) -> int:
        if self._longest is not None:
            return self._longest
        if asked.order:
            return 16 + 8 * len(asked.texts)
        return 1 if self._prefill and asked.letters is not None else 16

    def _withdraw(self, body: Mapping[str, Any], error: RemoteError) -> bool:
        """Whether the endpoint refused a field that it can do without; it is not sent again."""
        if error.status not in _WRONG_REQUEST:
            return False
        wrong = {
            name for name in ("logprobs", "max_tokens", "temperature") if name in body and name in str(error)
        }
        if self._insists:
            wrong.discard("logprobs")
        self._withdrawn |= wrong
        return bool(wrong)


def _letters(places: Sequence[int]) -> list[str]:
    """As a local model's prompt has it, a candidate keeps its letter from round to round; where there are enough."""
    own = max(places) < len(ascii_uppercase)
    return [ascii_uppercase[place if own else i] for i, place in enumerate(places)]


def _written(question: TextQuestion, letters: Sequence[str] | None) -> NumberedQuestion:
    request = question.request
    return NumberedQuestion(
        request.template,
        request.instruction,
        request.query,
        question.texts,
        question.kind,
        order=question.wants_order and letters is None,
        letters=letters,
    )


def _observe(job: Job, asked: NumberedQuestion, reply: ChatReply, *, opened: bool) -> None:
    """Plays a round by an answer: by the probabilities of its labels where they were asked for, else by its words."""
    player, said = player_of(job), reply.text
    player.thought = reply.thought
    if asked.letters is not None:
        named = _named(said, asked.letters)
        alternatives = _where_named(reply, named, opened)
        logits, missing = label_logits(alternatives, asked.letters, exact=opened)
        if len(missing) < len(asked.letters):
            if len(missing) > 1 and player.leaving > len(asked.letters) - len(missing):
                unknown = (
                    "is not among the alternatives whose probability is known; it keeps its place among such"
                )
                report(job, [Repair("missing", f"candidate {place} {unknown}", place) for place in missing])
            player.observe_logits(logits)
            return
        if named is not None:  # the parser counts candidates as this round shows them, and letters have gaps
            said = f"[{asked.letters.index(named) + 1}]"
    if reply.refusal is not None:
        report(job, [Repair("refused", f"the model refused: {reply.refusal}")])
    if reply.cut:
        report(job, [Repair("answer_cut", "the answer ran into its bound: pass a higher max_answer_tokens=")])
    observe_answer(job, said)


def _named(answer: str, letters: Sequence[str]) -> str | None:
    """The letter that an answer names."""
    choice, _ = parse_choice(answer, len(ascii_uppercase))
    letter = None if choice is None else ascii_uppercase[choice]
    return letter if letter in letters else None


def _where_named(reply: ChatReply, letter: str | None, opened: bool) -> Alternatives:
    """What else could have stood where the answer names somebody; nothing when it names nobody."""
    place = 0 if opened else None if letter is None else place_of(reply.tokens, letter)
    return () if place is None or not reply.tokens else reply.tokens[place].alternatives
