"""All targets by name; that of remote models where their client is installed."""

from importlib.util import find_spec

from tests.fuzz import chat, parse, rank, rewards, trec

TARGETS = {target.name: target for target in (parse.TARGET, trec.TARGET, rewards.TARGET, rank.TARGET)}
if find_spec("openai") is not None:
    TARGETS[chat.TARGET.name] = chat.TARGET
